"""Every planned choice crossed with every other: the estimates of the whole grid, and one test of all of them.

The curve (Simonsohn, Simmons & Nelson 2020): each combination of the planned choices that answers the same question is
estimated; what fails is listed with its reason, and what estimates something else is shown apart and never counted. Three
statistics of the counted estimates: the median, the share significant with the sign of the median, and Stouffer's
Σ z_i / √S with z_i from the two-sided p-values. Specifications share the data, so their null distribution comes from
re-assigning treatment: the same assignments for all specifications, the modifiers applied to each re-assigned panel anew.

Checked against a grid written out as nested loops and, on a small panel, every assignment by hand:
tests/reference/test_specification_curve.py. Differences from the paper: re-assignment of whole clusters in place of shuffled
or resampled rows; two-sided; the share takes the sign of the median of the same assignment, so no sign is chosen by the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from evalkit.arrays.permutations import as_large, p_value
from evalkit.checks._specifications import Choice, Specification, permuted, specifications
from evalkit.checks.check import Check
from evalkit.checks.reassignment import require_level
from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import COLUMNS, Estimate
from evalkit.inference.reassignment import Reassignment, reassignments
from evalkit.inference.refit import Fit, only_term
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

__all__ = ["Choice", "SpecificationCurve", "curve_statistics", "specification_curve"]

Floats = NDArray[np.float64]

# the statistics of a curve, as columns of `curve_statistics`
STATISTICS = ("median", "share_significant", "stouffer")
# most of the estimates have the sign of the median from this share on
MOSTLY = 0.5

CARDS = (
    MethodCard(
        function="specification_curve",
        name="명세 곡선",
        english="specification curve",
        group="robustness",
        question="계획에서 고를 수 있었던 다른 선택들로도 같은 답이 나오는가?",
        assumptions=(
            "센 명세는 모두 같은 효과를 추정한다.",
            "지원이 없었다면 어느 군집이 지원받았어도 곡선의 분포가 같았다(결합 검정).",
        ),
        returns="SpecificationCurve: 명세마다의 추정치와 구간, 중앙값, 유의한 비율, 결합 p값, 실패한 명세와 까닭, Check",
        reference="Simonsohn, Simmons & Nelson (2020)",
        oracle=("모든 배정과 명세를 하나하나 추정한 값: tests/reference/test_specification_curve.py",),
        differs="행을 섞지 않고 군집을 통째로 다시 배정하며, 같은 배정을 모든 명세에 쓴다.",
        refuses="다른 효과를 추정하는 명세는 따로 보이고 세지 않는다.",
    ),
)


@dataclass(frozen=True, slots=True)
class SpecificationCurve:
    """The curve and its tests.

    Attributes
    ----------
    table : one row a specification that has an estimate, in the order of the grid: estimate, std_error, conf_low,
        conf_high, p_value, n_treated, n_comparison, counted
    choices : the same rows: the label taken of each dimension
    failed : one row a specification without an estimate: the labels and ``reason``, a sentence
    planned : row of the first label of each dimension, the plan's own; None where it failed
    median, share_significant, share_same_sign, stouffer : of the counted estimates; significant means with the sign of the
        median
    joint : p-value of each statistic by re-assignment, NaN where not asked for
    draws, exact, smallest_p : assignments used, whether they are all there are, and the smallest p-value they can give
    not_estimated : share of specification × assignment that could not be estimated
    check : verdict
    """

    table: pd.DataFrame
    choices: pd.DataFrame
    failed: pd.DataFrame
    planned: int | None
    median: float
    share_significant: float
    share_same_sign: float
    stouffer: float
    joint: Mapping[str, float]
    draws: int
    exact: bool
    smallest_p: float
    not_estimated: float
    check: Check


def specification_curve(
    panel: Panel,
    design: Design,
    fit: Fit,
    dimensions: Mapping[str, Mapping[str, Choice]],
    *,
    draws: int = 499,
    most: int = 2000,
    strata: str | None = None,
    seed: int = 20180301,
    level: float = 0.95,
) -> SpecificationCurve:
    """Estimate every combination of the choices and test the curve.

    Parameters
    ----------
    panel, design, fit : the plan's own, which the choices change; a choice without a change is `Choice()`
    dimensions : dimension -> label -> what it changes; the first label of each is the plan's own choice
    draws : assignments for the joint test where there are more than `most` distinct ones; 0 = no joint test. The cost is
        draws × specifications estimates, less where a fit is a `FastFit` such as `two_way_coefficient`
    strata : fixed variable within whose values treatment may be re-assigned

    Raises
    ------
    UsageError : no dimension, one without a choice, two that change the same field of the design or both the method,
        every combination marked as another estimand
    DesignError : treatment is not given to whole clusters (joint test)
    """
    require_level(level)
    grid = specifications(panel, design, fit, dimensions)
    done, failed = _estimated(grid, panel)
    table, choices = _tables(done, list(dimensions), level)
    counted = table["counted"].to_numpy(dtype=bool)
    own = curve_statistics(
        table.loc[counted, "estimate"].to_numpy(dtype=np.float64)[None],
        table.loc[counted, "p_value"].to_numpy(dtype=np.float64)[None],
        level,
    )[0]
    joint = _Joint()
    if draws and counted.any():
        chosen = reassignments(panel, design, strata=strata, draws=draws, seed=seed, enumerated=most)
        joint = _tested([spec for spec, _ in done if spec.counted], panel, design, chosen, own, level)
    same = np.sign(table.loc[counted, "estimate"]) == np.sign(own[0])
    planned = next((row for row, (spec, _) in enumerate(done) if spec.planned), None)
    share_same = float(same.mean()) if counted.any() else float("nan")
    check = _check(table, planned, own, share_same, joint, len(failed), level)
    columns = [*dimensions, "reason"]
    return SpecificationCurve(
        table=table,
        choices=choices,
        failed=pd.DataFrame(failed, columns=columns),
        planned=planned,
        median=float(own[0]),
        share_significant=float(own[1]),
        share_same_sign=share_same,
        stouffer=float(own[2]),
        joint=joint.p_values,
        draws=joint.draws,
        exact=joint.exact,
        smallest_p=joint.smallest_p,
        not_estimated=joint.missing,
        check=check,
    )


def _estimated(
    grid: list[Specification], panel: Panel
) -> tuple[list[tuple[Specification, Estimate]], list[dict[str, str]]]:
    """Specifications with an estimate, and the labels of the others with the reason."""
    done, failed = [], []
    for spec in grid:
        try:
            found = spec.estimate(panel)
            value = only_term(found)
        except EvalkitError as problem:
            failed.append({**spec.labels, "reason": problem.sentence()})
            continue
        if np.isfinite(value):
            done.append((spec, found))
        else:
            failed.append({**spec.labels, "reason": "추정치가 없음."})
    return done, failed


@dataclass(frozen=True, slots=True)
class _Joint:
    """Joint p-values, and the assignments behind them; as it is, none was asked for."""

    p_values: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(STATISTICS, float("nan")))
    draws: int = 0
    exact: bool = False
    smallest_p: float = float("nan")
    missing: float = float("nan")


def _tested(
    specs: list[Specification],
    panel: Panel,
    design: Design,
    chosen: Reassignment,
    own: Floats,
    level: float,
) -> _Joint:
    """The curve among those of the other assignments."""
    values, p_values = permuted(specs, panel, design, chosen)
    told = curve_statistics(values[1:], p_values[1:], level)
    exact, draws = chosen.exact, len(chosen.codes)
    found = {
        name: p_value(as_large(float(own[k]), told[:, k]), exact=exact) for k, name in enumerate(STATISTICS)
    }
    smallest = 1 / draws if exact else 1 / (draws + 1)
    return _Joint(found, draws, exact, smallest, float(np.isnan(values[1:]).mean()))


def curve_statistics(values: Floats, p_values: Floats, level: float) -> Floats:
    """Median, share significant with the sign of the median, and Stouffer's z of each row.

    Parameters
    ----------
    values, p_values : estimates and two-sided p-values, NaN = none  # (B, S)

    Returns
    -------
    (B, 3); the share is over the estimates, one without a p-value is not significant and does not enter z
    """
    known, tested = np.isfinite(values), np.isfinite(p_values) & np.isfinite(values)
    out = np.full((len(values), 3), np.nan)
    rows = known.any(axis=1)
    out[rows, 0] = np.nanmedian(np.where(known, values, np.nan)[rows], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        hits = tested & (p_values < 1 - level) & (np.sign(values) == np.sign(out[:, :1]))
        out[:, 1] = hits.sum(axis=1) / known.sum(axis=1)
        # a p-value of 0 is the smallest number there is, not an infinite z
        z = -np.sign(values) * ndtri(np.maximum(p_values, np.finfo(float).tiny) / 2)
        out[:, 2] = np.where(tested, z, 0.0).sum(axis=1) / np.sqrt(tested.sum(axis=1))
    return out


def _tables(
    done: list[tuple[Specification, Estimate]], dimensions: list[str], level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows: list[dict[str, Any]] = []
    for spec, found in done:
        row = found.table(level).iloc[0]
        behind = {"n_treated": int(found.n_treated[0]), "n_comparison": int(found.n_comparison[0])}
        rows.append({**{name: float(row[name]) for name in COLUMNS}, **behind, "counted": spec.counted})
    columns = [*COLUMNS, "n_treated", "n_comparison", "counted"]
    return (
        pd.DataFrame(rows, columns=columns),
        pd.DataFrame([spec.labels for spec, _ in done], columns=dimensions, dtype=object),
    )


def _check(
    table: pd.DataFrame,
    planned: int | None,
    own: Floats,
    share_same: float,
    joint: _Joint,
    failed: int,
    level: float,
) -> Check:
    """Does the plan's own answer stand for the grid?"""
    name, counted = "specification_curve", int(table["counted"].sum())
    told = {**{f"p_{k}": v for k, v in joint.p_values.items()}, "smallest_p": joint.smallest_p}
    detail: dict[str, Any] = {
        "specifications": counted,
        "apart": len(table) - counted,
        "failed": failed,
        "share_significant": float(own[1]),
        "share_same_sign": share_same,
        **{key: value for key, value in told.items() if np.isfinite(value)},
    }
    p_joint = joint.p_values["stouffer"] if np.isfinite(joint.p_values["stouffer"]) else None
    if not counted or planned is None:
        reason = "nothing_estimated" if not counted else "planned_failed"
        return Check(name, "unknown", reason, detail=detail)
    base, median = table.loc[planned], float(own[0])
    if np.isnan(base["p_value"]):
        return Check(name, "unknown", "no_error", median, p_joint, detail)
    significant = bool(base["p_value"] < 1 - level)
    if significant and (np.sign(median) != np.sign(base["estimate"]) or share_same <= MOSTLY):
        return Check(name, "fail", "sign_turns", median, p_joint, detail)
    if significant and own[1] <= MOSTLY:
        return Check(name, "warn", "mostly_not_significant", median, p_joint, detail)
    if significant and p_joint is not None and p_joint >= 1 - level:
        reason = "too_few_assignments" if joint.smallest_p >= 1 - level else "joint_not_significant"
        return Check(name, "warn", reason, median, p_joint, detail)
    if not significant and own[1] > MOSTLY:
        return Check(name, "warn", "planned_differs", median, p_joint, detail)
    if failed:
        return Check(name, "warn", "some_failed", median, p_joint, detail)
    reason = "same_answer" if significant else "consistently_not_significant"
    return Check(name, "pass", reason, median, p_joint, detail)
