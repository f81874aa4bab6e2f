"""Does the answer depend on when the effect may begin? The estimate with 0, 1, 2 periods of anticipation.

For each number of periods a: the effect with the base moved before them (``design.anticipation = a``), its change from the
estimate with the fewest, and the effect in the a periods themselves: adoption moved a periods earlier on the data before
the true adoption (Callaway & Sant'Anna 2021, section 2: limited anticipation; Malani & Reif 2015). With one base period the
change is the announcement effect in the last period before adoption.

Checked against long differences written out by hand on panels with a known announcement effect:
tests/reference/test_placebo.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from evalkit.checks._before import Cut, before_treatment, shifted
from evalkit.checks._joint import Fits, stacked
from evalkit.checks.check import Check
from evalkit.checks.reassignment import require_level
from evalkit.design import Design
from evalkit.errors import EvalkitError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.refit import Fit
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

CARDS = (
    MethodCard(
        function="anticipation_effects",
        name="예상 효과",
        english="anticipation",
        group="robustness",
        question="지원 전에 효과가 미리 나타났는가, 그렇다면 답이 얼마나 달라지는가?",
        assumptions=("허용한 예상 기간보다 앞서서는 효과가 없다.", "그때까지는 두 집단의 추세가 같았다."),
        returns="Anticipation: 예상 기간마다의 효과·변화·지원 전 효과와 구간, Check",
        reference="Callaway & Sant'Anna (2021); Malani & Reif (2015)",
        oracle=("발표 효과를 아는 자료의 긴 차분: tests/reference/test_placebo.py",),
    ),
)

_EARLY = ("early", "early_low", "early_high", "early_p")
_CHANGE = ("change", "change_low", "change_high", "change_p")


@dataclass(frozen=True, slots=True)
class Anticipation:
    """Estimates by periods of anticipation.

    Attributes
    ----------
    table : indexed by periods of anticipation: estimate, std_error, conf_low, conf_high, p_value; early, early_low,
        early_high, early_p (mean effect in these periods before adoption, NaN for none); change, change_low, change_high,
        change_p (from the row with the fewest, NaN there and where the joint covariance is not known)
    failed : periods -> sentence, of rows that could not be estimated; "a early" for the effect before adoption alone
    check : verdict
    """

    table: pd.DataFrame
    failed: Mapping[str, str]
    check: Check


def anticipation_effects(
    panel: Panel,
    design: Design,
    fit: Fit,
    *,
    periods: Sequence[int] = (0, 1, 2),
    cut: Cut = "periods",
    level: float = 0.95,
) -> Anticipation:
    """The effect, and the effect before adoption, with each number of periods of anticipation.

    Parameters
    ----------
    fit : one-term method that reads ``design.anticipation``
    periods : numbers of periods, 0 or more, at least two of them
    cut : as in `placebo_in_time`, for the effect before adoption

    Raises
    ------
    UsageError : fewer than two numbers, or one that is no whole number from 0 on
    """
    require_level(level)
    if len(set(periods)) < 2 or any(int(a) != a or a < 0 for a in periods):
        raise UsageError(
            f"예상 기간 {list(periods)} 은(는) 견줄 수 없음",
            remedy="(0, 1, 2)처럼 0 이상의 정수를 둘 이상 적을 것",
        )
    wanted = sorted({int(a) for a in periods})
    main, early = Fits(), Fits()
    for a in wanted:
        main.attempt(a, fit, panel, replace(design, anticipation=a))
        if a:
            _announce(panel, design, fit, a, cut, early)
    first = min(main.done) if main.done else None
    rows = {}
    for a in wanted:
        if a not in main.done:
            continue
        row = main.done[a].table(level).iloc[0].to_dict()
        row |= dict(zip(_EARLY, _interval(early.done.get(a), level), strict=True))
        change = None if a == first or first is None else _difference(main.done[a], main.done[first])
        row |= dict(zip(_CHANGE, _interval(change, level), strict=True))
        if change is None and a != first and first is not None:
            row["change"] = float(main.done[a].values[0] - main.done[first].values[0])
        rows[a] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "anticipation"
    failed = {**main.failed, **{f"{a} early": why for a, why in early.failed.items()}}
    return Anticipation(table, failed, _check(table, failed, design.anticipation, level))


def _announce(panel: Panel, design: Design, fit: Fit, a: int, cut: Cut, fits: Fits) -> None:
    """The mean effect in the a periods before adoption."""
    plain = replace(design, anticipation=0)
    try:
        clean, dates = before_treatment(panel, plain, 0, cut)
        moved = shifted(clean, plain, dates, a)
    except EvalkitError as problem:
        fits.failed[str(a)] = problem.sentence()
        return
    if moved is None:
        fits.failed[str(a)] = f"지원 {a}기간 전보다 앞선 기간이 없음."
        return
    fits.attempt(a, fit, moved, plain)


def _interval(estimate: Estimate | None, level: float) -> tuple[float, float, float, float]:
    """Value, interval and p-value; NaN where there is none."""
    if estimate is None:
        return (float("nan"),) * 4
    row = estimate.table(level).iloc[0]
    return float(row["estimate"]), float(row["conf_low"]), float(row["conf_high"]), float(row["p_value"])


def _difference(later: Estimate, first: Estimate) -> Estimate | None:
    both = stacked([first, later])
    return None if both is None else both.combine([[-1.0, 1.0]], ["change"])


def _check(table: pd.DataFrame, failed: Mapping[str, str], planned: int, level: float) -> Check:
    name = "anticipation"
    if len(table) < 2:
        return Check(name, "unknown", "too_few_estimates", detail={"failed": len(failed)})
    alpha = 1 - level
    tested = [*table["early_p"].dropna(), *table["change_p"].dropna()]
    smallest = float(min(tested)) if tested else None
    if table["p_value"].isna().any():
        return Check(name, "unknown", "no_error", detail={"failed": len(failed)})
    base = table.loc[planned] if planned in table.index else table.iloc[0]
    told = np.sign(table["estimate"]) * (table["p_value"] < alpha)
    changed = told != np.sign(base["estimate"]) * (base["p_value"] < alpha)
    detail: dict[str, Any] = {
        "lowest": float(table["estimate"].min()),
        "highest": float(table["estimate"].max()),
        "changed_at": [int(a) for a in table.index[changed]],
        "failed": len(failed),
    }
    early = table["early_p"].dropna()
    if changed.any():
        return Check(name, "fail", "conclusion_changes", p_value=smallest, detail=detail)
    if len(early) and float(early.min()) < alpha / len(early):
        return Check(name, "warn", "effect_before_adoption", p_value=smallest, detail=detail)
    if not len(early):
        return Check(name, "warn", "early_effect_not_estimated", p_value=smallest, detail=detail)
    return Check(name, "pass", "no_anticipation_found", p_value=smallest, detail=detail)
