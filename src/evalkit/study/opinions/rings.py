"""Firms supported, firms near a zone and firms far away at once: direct effect, ring effects and what is left of both.

The leading design keeps firms near a zone out of the comparison and says nothing of them. Here they have an effect of their
own (Butts 2021), and the total of both carries their joint covariance (`evalkit.appraisal.net_effect`). Covariates of the
plan, frozen at the base year, enter with an effect of their own in every year. Where the plan compares units at risk, each
cohort is fitted among the units alive just before it, so that a cohort is not compared with firms that had closed by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.appraisal.net_effect import net_effect
from evalkit.appraisal.phases import stack
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.spillovers import spillover_effects
from evalkit.panel import Panel
from evalkit.study.opinions.question import RING, Question, adoption_of, require, treated_flags
from evalkit.study.opinions.result import Opinion
from evalkit.study.plan_opinions import RingsOptions
from evalkit.study.sample import AnalysisSample


def rings(question: Question) -> Opinion:
    """Direct effect, effect by band, and the totals of both."""
    asked = cast(RingsOptions, question.asked.options)
    require(question.study.panel(question.of.panel), *asked.bands)
    sample = _not_yet_near(
        question.sample(without=(RING,), covariates=asked.covariates == "planned"), asked.bands
    )
    panel, design = _with_yearly_covariates(sample.panel, sample.design)
    parts = _by_cohort(panel, design, asked.bands, adoption_of(sample), sample.baseline)
    joint, counts, cells = _combined(parts, asked.bands, question.horizon)
    treated = treated_flags(joint, sample)
    n_far = int(sample.comparison.sum()) - int(sum(counts[band] for band in asked.bands if band in counts))
    bands = [band for band in asked.bands if band in counts]
    lead = question.led(joint.select([0]), treated)
    rows = question.rows(lead, [("direct", {}, counts["direct"], n_far)])
    for at, band in enumerate(bands, start=1):
        # a band is known by the clusters that lie in it, few as they may be
        inside = exposed(joint, sample, band)
        told = question.rows(
            question.led(joint.select([at]), inside),
            [("ring", {"band": band_words(band)}, counts[band], n_far)],
        )
        rows += told
    if question.of.total_unit is not None:
        net = net_effect(joint, [float(counts["direct"]), *(cells[band] for band in bands)])
        rows += question.rows(
            question.led(net, treated),
            [(str(label[0]), {}, counts["direct"], n_far) for label in net.terms],
            "total",
            question.of.total_factor,
        )
    return question.answer(
        rows,
        same_question=True,
        shares_comparison=True,
        estimate=joint,
        lead=lead,
        facts={
            "treated": counts["direct"],
            "near": int(sum(counts[band] for band in bands)),
            "comparison": n_far,
            "base": sample.baseline,
            "widest": band_words(asked.bands[-1]).partition("–")[2],
        },
    )


def _not_yet_near(sample: AnalysisSample, bands: tuple[str, ...]) -> AnalysisSample:
    """Without untreated units that were near a zone before this phase: what they lose is of the earlier zones."""
    before = sample.panel.periods <= sample.baseline
    near = np.any([(sample.panel.values(band) > 0)[:, before].any(axis=1) for band in bands], axis=0)
    keep = np.asarray(sample.treated | ~near)
    return replace(
        sample,
        panel=sample.panel.select(keep),
        treated=sample.treated[keep],
        comparison=sample.comparison[keep],
    )


def exposed(estimate: Estimate, sample: AnalysisSample, band: str) -> NDArray[np.bool_]:
    """Whether each unit of an estimate is ever in a band  # (N,)"""
    place = pd.Index(sample.panel.units).get_indexer(pd.Index(estimate.units))
    inside: NDArray[np.bool_] = (sample.panel.values(band) > 0).sum(axis=1) > 0
    return np.asarray(inside[place])


def band_words(name: str) -> str:
    """Kilometres of a band: «5–10km» of ``ring_5_10``; the name itself where it does not say.

    >>> band_words("ring_10_20")
    '10–20km'
    """
    parts = name.split("_")[-2:]
    return f"{parts[0]}–{parts[1]}km" if len(parts) == 2 and all(p.isdigit() for p in parts) else name


def _with_yearly_covariates(panel: Panel, design: Design) -> tuple[Panel, Design]:
    """Fixed covariates as one variable a year after the first: what moves firms of a size or an industry alike."""
    columns: dict[str, NDArray[np.float64]] = {}
    for name in design.covariates:
        values = panel.constant(name)
        if values.dtype.kind in "OUS":
            text = values.astype(str)
            parts = {f"{name}={label}": (text == label).astype(float) for label in np.unique(text)[1:]}
        else:
            parts = {name: np.asarray(values, dtype=np.float64) - float(np.mean(values))}
        for label, value in parts.items():
            for at, period in enumerate(panel.periods):
                if at:
                    column = np.zeros(panel.shape)
                    column[:, at] = value
                    columns[f"{label}×{period}"] = column
    plain = replace(design, covariates=tuple(columns), at_risk=None)
    return panel.with_varying(**columns), replace(plain, at_risk=design.at_risk)


def _by_cohort(
    panel: Panel,
    design: Design,
    bands: tuple[str, ...],
    adoption: NDArray[np.float64],
    baseline: int,
) -> dict[int, tuple[Estimate, int]]:
    """Estimates by event time and their treated units; one for all cohorts where no units at risk are asked for."""
    used = tuple(band for band in bands if panel.values(band).any())
    if not used:
        raise DesignError(
            "고리에 든 단위가 표본에 하나도 없음",
            where=bands,
            remedy="비교집단에서 고리를 빼지 않은 자료와 고리의 범위를 확인할 것",
        )
    plain = replace(design, at_risk=None)
    finite = np.isfinite(adoption)
    if design.at_risk is None:
        return {baseline: (_fit(panel, plain, used), int(finite.sum()))}
    alive = panel.values(design.at_risk)
    found = {}
    for cohort in np.unique(adoption[finite]):
        (before,) = np.flatnonzero(panel.periods == cohort - 1 - design.anticipation)
        keep = (alive[:, before] > 0) & (~finite | (adoption == cohort))
        part = panel.select(keep)
        found[int(cohort)] = (_fit(part, plain, used), int((keep & finite).sum()))
    return found


def _fit(panel: Panel, design: Design, bands: tuple[str, ...]) -> Estimate:
    return spillover_effects(panel, design, rings=bands, by="event_time")


def _combined(
    parts: Mapping[int, tuple[Estimate, int]], bands: tuple[str, ...], horizon: int
) -> tuple[Estimate, dict[str, int], dict[str, float]]:
    """Means over event times 0..horizon: of the direct effect over cohorts by their units, of the rings in the first.

    Returns
    -------
    Estimate with terms (kind, ring); units behind each; mean number of units in each band a year
    """
    joint = stack({cohort: est for cohort, (est, _) in parts.items()}, level="cohort")
    cohort, kind, ring, event = (
        np.asarray(joint.terms.get_level_values(name)) for name in ("cohort", "kind", "ring", "event_time")
    )
    event = event.astype(int)
    known = np.isfinite(joint.values) & (event >= 0) & (event <= horizon)
    weights = []
    direct = known & (kind == "direct")
    row = np.zeros(len(joint))
    times = np.unique(event[direct])
    if not len(times):
        raise DesignError(
            f"지원 후 0–{horizon}년의 직접 효과를 하나도 추정할 수 없음", remedy="기간과 코호트를 확인할 것"
        )
    for e in times:
        at = np.flatnonzero(direct & (event == e))
        size = np.array([parts[int(cohort[k])][1] for k in at], dtype=float)
        row[at] = size / size.sum() / len(times)
    weights.append(row)
    first = min(parts)
    base = parts[first][0]
    own = {tuple(label): float(n) for label, n in zip(base.terms, base.detail["cells"], strict=True)}
    counts = {"direct": sum(n for _, n in parts.values())}
    cells: dict[str, float] = {}
    labels = [("direct", "")]
    for band in bands:
        at = np.flatnonzero(known & (kind == "ring") & (ring == band) & (cohort == first))
        if not len(at):
            continue
        row = np.zeros(len(joint))
        row[at] = 1 / len(at)
        weights.append(row)
        labels.append(("ring", band))
        near = [own["ring", band, int(event[k])] for k in at]
        cells[band] = float(np.mean(near))
        counts[band] = int(max(near))
    terms = pd.MultiIndex.from_tuples(labels, names=["kind", "ring"])
    return joint.combine(np.array(weights), terms, method="spillovers/by_cohort"), counts, cells
