"""The planned design on another measure of the outcome, under every treatment of its links in doubt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evalkit.checks.check import Check
from evalkit.checks.linkage import LinkSensitivity, link_sensitivity, linkage_gap
from evalkit.errors import DesignError
from evalkit.panel import Panel
from evalkit.study.fitting import PlannedFit
from evalkit.study.linking import RIVALS, STATUS
from evalkit.study.sample import AnalysisSample

DRAWS = 20


@dataclass(frozen=True, slots=True, eq=False)
class SecondSource:
    """The planned design on another measure of the outcome.

    Attributes
    ----------
    links : estimates with all links, without those in doubt, and with these drawn
    gap : whether treated and comparison firms were linked at different rates
    linked, ambiguous, unlinked : units of the sample
    """

    links: LinkSensitivity
    gap: Check
    linked: int
    ambiguous: int
    unlinked: int


def second_source(sample: AnalysisSample, fit: PlannedFit, variable: str, level: float) -> SecondSource:
    """The planned design on another measure, under every treatment of its links in doubt.

    Raises
    ------
    DesignError : the sample has no such variable, or nothing can be estimated with it
    """
    panel = sample.panel
    if variable not in panel.varying or STATUS not in panel.fixed:
        raise DesignError(
            f"두 번째 자료의 변수 {variable} 이(가) 표본에 없음",
            remedy="국민연금 파일을 두거나 계획에서 second_source 를 뺄 것",
        )
    status = panel.constant(STATUS).astype(str)
    kept = status != "unlinked"
    group = np.nan_to_num(panel.constant(RIVALS).astype(np.float64), nan=-1.0).astype(np.int64)
    design = replace(sample.design, outcome=variable)
    found = link_sensitivity(
        panel.select(kept),
        design,
        fit,
        ambiguous=group[kept],
        resolve=lambda given, seed: _drawn(given, variable, seed),
        draws=DRAWS,
        level=level,
    )
    return SecondSource(
        found,
        linkage_gap(status == "linked", sample.treated),
        *(int((status == name).sum()) for name in ("linked", "ambiguous", "unlinked")),
    )


def _drawn(panel: Panel, variable: str, seed: int) -> Panel:
    """The panel with the series of each group of rivals, and what else could be theirs, dealt out again."""
    rng = np.random.default_rng([seed, 1])
    group = panel.constant(RIVALS).astype(np.float64)
    values = panel.varying[variable].copy()
    others = panel.varying.get(f"{variable}_next", np.full_like(values, np.nan))
    for number in np.unique(group[group >= 0]):
        rivals = np.flatnonzero(group == number)
        series = np.vstack([values[rivals], others[rivals]])
        series = series[np.isfinite(series).any(axis=1)]
        chosen = rng.permutation(len(series))[: len(rivals)]
        values[rivals] = np.nan
        values[rivals[: len(chosen)]] = series[chosen]
    return panel.with_varying(**{variable: values})
