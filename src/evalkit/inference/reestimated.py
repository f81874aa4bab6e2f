"""Any method estimated again under re-assignments, and how its statistic moves with the null.

Under the null of a constant effect τ the outcome without treatment is y − τD, D the actual treatment. Where a method is
linear in the outcome its estimate under another assignment is affine in τ and its variance quadratic, so three estimates
(at the null and at equal distances from it) give both for all τ. This is checked, not assumed: where it does not hold the
p-value of the null stands and no interval is given. Checked: tests/reference/test_randomisation.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.inference.placebo_curves import Curves
from evalkit.inference.reassignment import Reassignment
from evalkit.inference.refit import Fit, only_term
from evalkit.panel import Panel

Floats = NDArray[np.float64]

# departure from a line, relative to the estimates, above which a method is not linear in the outcome
LINEAR = 1e-7


def reestimate(
    panel: Panel, design: Design, fit: Fit, chosen: Reassignment, *, null: float, shifted: bool
) -> Curves:
    """Estimates of one method under every assignment.

    Parameters
    ----------
    fit : returns one term, with its own covariance
    null : value of the constant effect at which the statistic is wanted
    shifted : estimate also at two other values, for the whole curve; otherwise it holds at the null only

    Raises
    ------
    EvalkitError : the actual assignment cannot be estimated; assignments that cannot are NaN
    """
    given = adoption_codes(panel, design.adoption)
    on = (panel.periods[None, :] >= given[:, None]).astype(np.float64)
    outcome = panel.values(design.outcome)
    first = fit(panel, design)
    estimate = only_term(first)
    if not np.isfinite(estimate):
        raise DesignError(
            "실제 배정의 추정치가 없어 재배정할 것이 없음",
            where=(f"결과 {design.outcome}",),
            remedy="방법(fit)이 이 자료에서 값을 내는지 먼저 확인할 것",
        )
    error = float(first.std_errors[0])
    unit = max(abs(estimate - null), error if np.isfinite(error) else 0.0) or 1.0

    def at(shift: float, row: int | None) -> tuple[float, float]:
        tried = panel.with_varying(**{design.outcome: outcome - (null + shift) * on})
        if row is not None:
            tried = tried.with_fixed(**{design.adoption: chosen.adoption(row, given)})
        out = fit(tried, design)
        return only_term(out), float(out.std_errors[0]) ** 2

    shifts = (-unit, 0.0, unit) if shifted else (0.0,)
    rows: list[int | None] = [None, *range(len(chosen.codes))]
    found = np.full((len(rows), len(shifts), 2), np.nan)
    for i, row in enumerate(rows):
        try:
            found[i] = [at(shift, row) for shift in shifts]
        except EvalkitError:
            if row is None:
                raise
    same = _ties(chosen)
    if not shifted:
        return _at_the_null(found[:, 0], estimate, null, same)
    slope = (found[:, 2, 0] - found[:, 0, 0]) / (2.0 * unit)
    bend = found[:, 0, 0] + found[:, 2, 0] - 2.0 * found[:, 1, 0]
    size = np.nanmax(np.abs(found[:, :, 0]))
    low, middle, high = found[:, 0, 1], found[:, 1, 1], found[:, 2, 1]
    # variance by powers of the shift, moved to powers of z = shift − gap
    two = (low + high - 2.0 * middle) / (2.0 * unit**2)
    one = (high - low) / (2.0 * unit)
    gap = estimate - null
    own = np.stack([middle + one * gap + two * gap * gap, one + 2.0 * two * gap, two], axis=1)
    affine = bool(np.nanmax(np.abs(bend)) <= LINEAR * size)
    # the actual assignment must give the estimate less the shift, with an error that does not depend on it
    affine = affine and abs(slope[0] + 1.0) <= LINEAR
    affine = affine and not abs(np.array([low[0], high[0]]) - middle[0]).max(initial=0.0) > LINEAR * middle[0]
    affine = affine and _quadratic(at, rows, own, unit, gap)
    if not affine:
        return _at_the_null(found[:, 1], estimate, null, same)
    actual = np.array([middle[0], 0.0, 0.0])
    return Curves(
        estimate, estimate, found[1:, 1, 0] + slope[1:] * gap, -slope[1:], own[1:], actual, same, True
    )


def _quadratic(at: object, rows: list[int | None], own: Floats, unit: float, gap: float) -> bool:
    """Whether variances at a fourth value lie on the quadratics, for the first few assignments that can be estimated."""
    assert callable(at)
    usable = [i for i in range(1, len(rows)) if np.isfinite(own[i]).all()][:3]
    for i in usable:
        expected = float(own[i] @ np.array([1.0, 2.0 * unit - gap, (2.0 * unit - gap) ** 2]))
        actual = at(2.0 * unit, rows[i])[1]
        if not abs(actual - expected) <= 1e-6 * max(abs(actual), abs(expected)):
            return False
    return True


def _at_the_null(found: Floats, estimate: float, null: float, same: NDArray[np.bool_]) -> Curves:
    """b such that b − zh is the statistic at the null, with h = 0 and a constant variance."""
    own = np.zeros((len(found), 3))
    own[:, 0] = found[:, 1]
    centre = null + float(found[0, 0])
    return Curves(estimate, centre, found[1:, 0], np.zeros(len(found) - 1), own[1:], own[0], same, False)


def _ties(chosen: Reassignment) -> NDArray[np.bool_]:
    """Assignments equal to the actual one  # (B,)"""
    out: NDArray[np.bool_] = (chosen.codes == chosen.observed[None, :]).all(axis=1)
    return out
