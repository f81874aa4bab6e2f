"""What deviations from parallel trends are allowed, as inequalities on the coefficients after the base period.

δ is the path that the comparison of treated and untreated would have taken without the programme, 0 in the base period;
coefficients before the base are δ itself, those after it are effect plus δ. Restrictions of Rambachan & Roth (2023, Review
of Economic Studies 90, section 2.4):

smoothness            |δ(t+1) − 2δ(t) + δ(t−1)| <= M
relative_magnitudes   |δ(t+1) − δ(t)| after the base <= M̄ × the largest |δ(s) − δ(s−1)| before it
smoothness_relative   |δ(t+1) − 2δ(t) + δ(t−1)| after the base <= M̄ × the largest such bend before it

each with δ >= 0 or <= 0 after the base (sign of the bias), or δ never falling or never rising. The two relative ones are
unions over which difference s is the largest and its sign: "components". In every component and for every bound the
inequalities are  (A0 + M A1) δ <= M d1  where A1 touches only coefficients before the base, so that combinations that
free them of the effects (`honest_rays`) are found once. Inequalities among coefficients before the base alone are left out:
they do not restrict the effect (the default of HonestDiD with two or more periods after the base).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.honest_rays import extreme_rays

Floats = NDArray[np.float64]
Kind = Literal["smoothness", "relative_magnitudes", "smoothness_relative"]
Bias = Literal["positive", "negative"]
Trend = Literal["increasing", "decreasing"]

# coefficients before the base that a restriction needs
NEEDS: dict[str, int] = {"smoothness": 1, "relative_magnitudes": 1, "smoothness_relative": 2}


@dataclass(frozen=True, slots=True)
class Combinations:
    """Combinations of the inequalities that hold for some effects with ℓ'τ = θ:  (base + M slope_c)'β̂ − M bound <= θ toward.

    before, after : K, S, number of coefficients on the two sides of the base
    base : (V, K+S); slope : (components, V, K+S); bound : (V,); toward : (V,)
    rays : γ >= 0 of each combination  # (V, m)
    inequalities, inequality_slopes : A0 and A1  # (m, K+S), (components, m, K+S)
    inequality_bounds : d1  # (m,)
    mirrored : the second half of the components is the first half with the opposite sign, and nothing else tells them apart
    """

    before: int
    after: int
    base: Floats
    slope: Floats
    bound: Floats
    toward: Floats
    rays: Floats
    inequalities: Floats
    inequality_slopes: Floats
    inequality_bounds: Floats
    mirrored: bool


def differences(before: int, after: int) -> tuple[Floats, Floats]:
    """First differences of δ before and after the base, as rows over the K + S coefficients  # (K, K+S), (S, K+S)"""
    rows = np.diff(np.insert(np.eye(before + after), before, 0.0, axis=0), axis=0)
    return rows[:before], rows[before:]


def bends(before: int, after: int) -> tuple[Floats, Floats]:
    """Second differences whose last period is the base or earlier, and those that end after it  # (K−1, ·), (S, ·)"""
    rows = np.diff(np.insert(np.eye(before + after), before, 0.0, axis=0), n=2, axis=0)
    return rows[: before - 1], rows[before - 1 :]


def _inequalities(
    kind: Kind, before: int, after: int, bias: Bias | None, trend: Trend | None
) -> tuple[Floats, Floats, Floats]:
    p = before + after
    earlier, later = (differences if kind == "relative_magnitudes" else bends)(before, after)
    rows = [later, -later]
    if bias is not None:
        eye = np.eye(p)[before:]
        rows.append(-eye if bias == "positive" else eye)
    if trend is not None:
        steps = differences(before, after)[1]
        rows.append(-steps if trend == "increasing" else steps)
    a0 = np.concatenate(rows)
    bounded = (np.arange(len(a0)) < 2 * after).astype(np.float64)
    if kind == "smoothness":
        return a0, np.zeros((1, *a0.shape)), bounded
    signed = np.concatenate([earlier, -earlier])  # the difference said to be the largest
    return a0, -bounded[None, :, None] * signed[:, None, :], np.zeros(len(a0))


def combinations(
    kind: Kind, before: int, target: Floats, *, bias: Bias | None = None, trend: Trend | None = None
) -> Combinations:
    """Enumerate the combinations for a target ℓ'τ.

    Parameters
    ----------
    before : K, coefficients before the base
    target : ℓ over the coefficients after the base  # (S,)

    Raises
    ------
    TooManyRays : signs or monotonicity with too many periods after the base
    """
    after = len(target)
    a0, a1, d1 = _inequalities(kind, before, after, bias, trend)
    pivot = int(np.abs(target).argmax())
    free = np.delete(np.eye(after), pivot, axis=1)
    free[pivot] = -np.delete(target, pivot) / target[pivot]  # effects that leave the target alone
    touched = a0[:, before:]
    rays = extreme_rays(touched @ free)
    return Combinations(
        before,
        after,
        rays @ a0,
        np.einsum("vm,cmp->cvp", rays, a1),
        rays @ d1,
        rays @ touched[:, pivot] / target[pivot],
        rays,
        a0,
        a1,
        d1,
        len(a1) > 1 and bias is None and trend is None,
    )


def identified_set(found: Combinations, coefficients: Floats, bound: float) -> list[tuple[float, float]]:
    """Values of the target that some allowed path reconciles with these coefficients: pieces, in order.

    A component that no path satisfies adds nothing; ±inf where nothing bounds the target.
    """
    level = (found.base + bound * found.slope) @ coefficients - bound * found.bound  # (components, V)
    slack = 1e-12 * max(1.0, float(np.abs(coefficients).max(initial=0.0)), abs(bound))
    flat = np.abs(found.toward) <= 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = level / found.toward
    low = np.where(found.toward > 1e-12, edge, -np.inf).max(axis=1)
    high = np.where(found.toward < -1e-12, edge, np.inf).min(axis=1)
    possible = (np.where(flat, level, -np.inf).max(axis=1) <= slack) & (low <= high + slack)
    return union([(float(a), float(max(a, b))) for a, b in zip(low[possible], high[possible], strict=True)])


def union(pieces: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Intervals joined where they meet, in order."""
    out: list[tuple[float, float]] = []
    for low, high in sorted(pieces):
        if out and low <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return out
