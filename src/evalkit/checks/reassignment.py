"""One method under other assignments of treatment: a fit repeated over re-assigned clusters, fast where it can be.

Any `Fit` is repeated one assignment at a time. A `FastFit` carries beside it a function that gives the same numbers for
many assignments at once; it is used only after it has reproduced the fit on the actual assignment and on some of the others.
`two_way_coefficient` is the two-way regression in this form (`evalkit.arrays.reassigned_two_way`). Checked against explicit
re-estimation: tests/reference/test_specification_curve.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr

from evalkit.arrays.reassigned_two_way import evaluate, factor, moments
from evalkit.design import Design
from evalkit.errors import EvalkitError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators._two_way_sample import Sample
from evalkit.estimators._two_way_sample import draw as sample_of
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.reassignment import Reassignment
from evalkit.inference.refit import Fit, only_term
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Numbers = tuple[Floats, Floats, Floats]
# panel, design, assignments -> values, standard errors, degrees of freedom, (B + 1,) each, the actual assignment first; None
# where the fast way does not apply
Many = Callable[[Panel, Design, Reassignment], Numbers | None]

# assignments, beside the actual one, on which a fast way must give what the fit gives
VERIFIED = 2
AGREEMENT = 1e-7


@dataclass(frozen=True, slots=True)
class FastFit:
    """A fit that also knows how to answer for many assignments at once.

    Attributes
    ----------
    one : the fit itself
    many : the same for all assignments; returns None where it cannot
    """

    one: Fit
    many: Many

    def __call__(self, panel: Panel, design: Design) -> Estimate:
        """The fit on one panel."""
        return self.one(panel, design)


@dataclass(frozen=True, slots=True)
class Refits:
    """Estimates under each assignment, the actual one first; NaN where a fit was refused.

    values, errors, p_values : (B + 1,)
    fast : whether they were computed at once
    """

    values: Floats
    errors: Floats
    p_values: Floats
    fast: bool

    @property
    def failed(self) -> int:
        """Assignments without an estimate."""
        return int(np.isnan(self.values).sum())


def p_values_of(values: Floats, errors: Floats, dof: Floats) -> Floats:
    """Two-sided p-values against 0; NaN without a standard error."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(errors > 0, np.abs(values) / errors, np.nan)
    finite = np.isfinite(dof)
    safe = np.where(finite, dof, 1.0)
    return np.asarray(2 * np.where(finite, stdtr(safe, -ratio), ndtr(-ratio)))


def refit(panel: Panel, design: Design, fit: Fit, chosen: Reassignment) -> Refits:
    """The fit under the actual assignment and each of the others."""
    quick = at_once(panel, design, fit, chosen)
    if quick is not None:
        return Refits(quick[0], quick[1], p_values_of(*quick), True)
    single = fit.one if isinstance(fit, FastFit) else fit
    rows = [fit_or_nan(assigned(panel, design, chosen, b), design, single) for b in _every(chosen)]
    values, errors, dof = (np.array(column) for column in zip(*rows, strict=True))
    return Refits(values, errors, p_values_of(values, errors, dof), False)


def _every(chosen: Reassignment) -> range:
    return range(-1, len(chosen.codes))


def assigned(panel: Panel, design: Design, chosen: Reassignment, row: int) -> Panel:
    """The panel under one assignment; row −1 is the actual one."""
    if row < 0:
        return panel
    given = adoption_codes(panel, design.adoption)
    return panel.with_fixed(**{design.adoption: chosen.adoption(row, given)})


def fit_or_nan(panel: Panel, design: Design, fit: Fit) -> tuple[float, float, float]:
    """Value, standard error and degrees of freedom; NaN where the data cannot answer."""
    try:
        return numbers_of(fit(panel, design))
    except EvalkitError:
        return float("nan"), float("nan"), float("nan")


def numbers_of(estimate: Estimate) -> tuple[float, float, float]:
    """Value, standard error and degrees of freedom of an estimate with one term."""
    return only_term(estimate), float(estimate.std_errors[0]), float(estimate.dof[0])


def at_once(panel: Panel, design: Design, fit: Fit, chosen: Reassignment) -> Numbers | None:
    """Every assignment by the fast way, if the fit has one and it agrees with the fit itself; None otherwise."""
    if not isinstance(fit, FastFit) or len(chosen.codes) <= VERIFIED:
        return None
    found = fit.many(panel, design, chosen)
    if found is None:
        return None
    last = len(chosen.codes)
    for b in (-1, *range(last - VERIFIED, last)):
        told = np.array([column[b + 1] for column in found])
        seen = np.array(fit_or_nan(assigned(panel, design, chosen, b), design, fit.one))
        slack = AGREEMENT * abs(seen[1]) if np.isfinite(seen[1]) else AGREEMENT
        if not np.allclose(told, seen, rtol=AGREEMENT, atol=slack, equal_nan=True):
            return None
    return found


# -- the two-way coefficient -----------------------------------------------------------------------------


def _two_way(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design).select([0])


def _two_way_at_once(panel: Panel, design: Design, chosen: Reassignment) -> Numbers | None:
    """CV1 with t(C − 1) of every assignment; None where the cells used change with it, or a group lies in two clusters."""
    try:
        actual = _two_way(panel, design)
        sample = sample_of(panel, design)
    except EvalkitError:
        return None
    if design.anticipation or actual.detail["collinear"] or not actual.std_errors[0] > 0:
        return None
    group = chosen.group[np.isin(panel.units, sample.units)]
    owner = np.full(len(chosen.labels), -1, dtype=np.int64)
    owner[group[::-1]] = sample.cluster[::-1]
    if (group < 0).any() or (owner[group] != sample.cluster).any():
        return None
    seen = _seen(sample, group, len(owner))
    present = np.asarray(seen.any(axis=1))
    if (present & ~np.asarray(seen.all(axis=1))).any():
        return None  # who stands on each side would have to be counted period by period
    # groups without a unit in this panel stand in the first cluster, to which they add nothing
    owner = np.maximum(owner, 0)
    paths = (panel.periods[None, :] >= chosen.dates[:, None]).astype(np.float64)
    effects = factor(sample.weights, sample.dense, sample.outcome.shape)
    sums = moments(effects, [effects.residual(sample.outcome)], paths, group, len(chosen.labels), owner)
    codes = np.vstack([chosen.observed.astype(np.int8), chosen.codes])
    found = evaluate(sums, codes)
    values, errors = found.coefficient[:, 0], np.sqrt(found.variance[:, 0])
    scale = float(actual.std_errors[0]) / errors[0]
    errors[_alone(chosen.dates[codes], present, owner, panel.periods)] = np.nan
    return values, errors * scale, np.full(len(values), float(actual.dof[0]))


def _seen(sample: Sample, group: NDArray[np.int64], groups: int) -> NDArray[np.bool_]:
    """Whether each group is observed in each period  # (A, T)"""
    used = np.ones(sample.outcome.shape, dtype=bool) if sample.used is None else sample.used
    out = np.zeros((groups, used.shape[1]), dtype=bool)
    np.logical_or.at(out, group, used)
    return out


def _alone(
    dates: Floats, present: NDArray[np.bool_], owner: NDArray[np.int64], periods: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Assignments (B, A) with one cluster on a side, as `evalkit.estimators._one_sided` counts them  # (B,)"""
    of_cluster = (owner[:, None] == np.arange(int(owner.max()) + 1)) & present[:, None]  # (A, C)
    table = of_cluster.astype(np.float64)
    treated = present & (dates > periods[0]) & (dates <= periods[-1])
    first = np.where(treated, dates, np.inf).min(axis=1, keepdims=True)
    # units treated in every period serve as comparison too
    others = present & ((dates > first) | (dates <= periods[0]))
    sides = [((side.astype(np.float64) @ table) > 0).sum(axis=1) for side in (treated, others)]
    return np.asarray(np.minimum(*sides) == 1)


# the coefficient of the treatment in a two-way regression, CV1
two_way_coefficient = FastFit(_two_way, _two_way_at_once)


def require_level(level: float) -> None:
    """A confidence level strictly between 0 and 1.

    Raises
    ------
    UsageError : it is not
    """
    if not 0 < level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
