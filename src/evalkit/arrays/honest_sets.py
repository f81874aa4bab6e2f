"""Confidence sets by inversion of the tests of `honest_tests`, and the bound at which a value is no longer excluded.

A set is found on a coarse grid that holds every point where two combinations change places and that reaches beyond where
the first stage rejects, so that gaps are seen; each end is then refined by sections to 1e-12 of the width. The sets of
HonestDiD are points of a grid of ±20 standard errors around 0: wider ones are cut there ("CI is open").

The breakdown bound is found without a grid on θ: the smallest bound whose set holds the null, first bracketed on a geometric
scale and then refined by sections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.honest_critical import least_favourable
from evalkit.arrays.honest_flci import Frontier, fixed_length
from evalkit.arrays.honest_restrictions import Combinations
from evalkit.arrays.honest_tests import Moments, moments, rejected

Floats = NDArray[np.float64]
Pieces = tuple[tuple[float, float], ...]

GRID = 160
# combinations up to which all points where two of them change places are tested
FEW = 14
# statistic beyond which a conditional test is looked at only on a geometric scale
FAR = 12.0
SECTIONS = 9
# relative precision of a breakdown bound
PRECISION = 1e-10


class Problem:
    """Tests of one restriction for one event study.

    Parameters
    ----------
    found : combinations of the restriction
    coefficients, covariance : event study without its base  # (p,), (p, p)
    stage : "Conditional", "C-LF" or "C-F"
    level : confidence level
    path, target : frontier of the fixed-length interval and ℓ, for "C-F"
    """

    def __init__(
        self,
        found: Combinations,
        coefficients: Floats,
        covariance: Floats,
        stage: str,
        level: float,
        path: Frontier | None = None,
        target: Floats | None = None,
    ) -> None:
        self.found = found
        self.coefficients = coefficients
        self.root: Floats = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
        self.stage = stage
        self.level = level
        self.kappa = 0.0 if stage == "Conditional" else (1 - level) / 10
        self.path, self.target = path, target
        self.components = len(found.slope)

    def moments(self, bounds: Floats) -> Moments:
        """Moments with the first stage, components of a bound next to each other."""
        out = moments(self.found, self.coefficients, self.root, bounds)
        if self.stage == "C-LF":
            return replace(out, critical=self._critical(out.loading, len(bounds)))
        if self.stage == "C-F" and self.path is not None and self.target is not None:
            first = fixed_length(self.path, self.target, bounds, 1 - self.kappa)
            n = self.components
            return replace(
                out,
                estimate=np.repeat(first.weights @ self.coefficients, n),
                half_length=np.repeat(first.half_length, n),
                weights=np.repeat(first.weights @ self.root, n, axis=0),
            )
        return out

    def _critical(self, loading: Floats, bounds: int) -> Floats:
        """First-stage critical values  # (B,)"""
        if not self.found.mirrored:
            return least_favourable(loading, self.kappa)
        # the second half of the components has the opposite largest difference: ξ → −ξ swaps their combinations
        split = loading.reshape(bounds, 2, self.components // 2, *loading.shape[1:])
        once = least_favourable(np.ascontiguousarray(split[:, 0]).reshape(-1, *loading.shape[1:]), self.kappa)
        twice = np.repeat(once.reshape(bounds, 1, -1), 2, axis=1)
        return np.asarray(twice.reshape(-1), dtype=np.float64)

    def excludes(self, bounds: Floats, value: float) -> NDArray[np.bool_]:
        """Whether the set of each bound leaves the value out  # (m,)"""
        m = self.moments(bounds)
        out = rejected(m, np.full((len(m.level), 1), value), self.level, self.kappa)
        return np.asarray(out.reshape(len(bounds), self.components).all(axis=1))

    def sets(self, bounds: Floats) -> list[Pieces]:
        """The confidence set of each bound, as pieces."""
        m = self.moments(bounds)
        grid = _grid(m, len(bounds), self.components)
        inside = self._accepted(m, grid)
        ends = _changes(inside)
        refined = self._refine(m, grid, ends)
        return [_pieces(grid[i], inside[i], refined, ends, i) for i in range(len(bounds))]

    def _accepted(self, m: Moments, theta: Floats) -> NDArray[np.bool_]:
        """Values that some component does not reject  # (m, T)"""
        out = rejected(m, np.repeat(theta, self.components, axis=0), self.level, self.kappa)
        return np.asarray(~out.reshape(len(theta), self.components, -1).all(axis=1))

    def _refine(self, m: Moments, grid: Floats, ends: NDArray[np.int64]) -> Floats:
        """The last accepted value next to each change between grid points  # (n,)"""
        if not len(ends):
            return np.zeros(0)
        bound, left, rising = ends.T
        inner = np.where(rising == 1, grid[bound, left + 1], grid[bound, left])
        outer = np.where(rising == 1, grid[bound, left], grid[bound, left + 1])
        chosen = (bound[:, None] * self.components + np.arange(self.components)).ravel()
        some = Moments(*(getattr(m, name)[chosen] for name in Moments.__slots__))
        share = np.arange(1, SECTIONS + 1) / (SECTIONS + 1)
        for _ in range(14):
            points = inner[:, None] + (outer - inner)[:, None] * share
            kept = self._accepted(some, points)
            # up to the first rejected point, seen from inside
            last = np.where(kept.all(axis=1), SECTIONS, kept.argmin(axis=1))
            padded = np.concatenate([inner[:, None], points, outer[:, None]], axis=1)
            row = np.arange(len(inner))
            inner, outer = padded[row, last], padded[row, last + 1]
        return np.asarray(inner, dtype=np.float64)


def _grid(m: Moments, bounds: int, components: int) -> Floats:
    """Values to test for each bound, in order  # (m, T)"""
    cut = np.where(np.isfinite(m.critical), m.critical, FAR)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = (m.level - cut) / m.toward
        floor = np.where(m.toward > 0, edge, -np.inf).max(axis=1)
        ceiling = np.where(m.toward < 0, edge, np.inf).min(axis=1)
    floor = np.maximum(floor, m.estimate - m.half_length).reshape(bounds, components)
    ceiling = np.minimum(ceiling, m.estimate + m.half_length).reshape(bounds, components)
    nothing = floor > ceiling
    floor, ceiling = (
        np.where(nothing, np.inf, floor).min(axis=1),
        np.where(nothing, -np.inf, ceiling).max(axis=1),
    )
    scale = _scale(m).reshape(bounds, components).max(axis=1)
    middle = np.where(np.isfinite(floor), floor, np.where(np.isfinite(ceiling), ceiling, 0.0))
    floor = np.where(np.isfinite(floor), floor, np.minimum(middle, ceiling) - 100 * scale)
    ceiling = np.where(np.isfinite(ceiling), ceiling, np.maximum(middle, floor) + 100 * scale)
    floor, ceiling = np.minimum(floor, ceiling - scale * 1e-6), np.maximum(ceiling, floor + scale * 1e-6)
    width = ceiling - floor
    # evenly, and closer and closer to both ends: a first stage that cuts a test off can leave islands there
    near = np.concatenate([[0.0], 2.0 ** -np.arange(8.0, 24.0, 2.0)])
    share = np.concatenate([np.linspace(-0.002, 1.002, GRID), near, 1 - near])
    extra = [floor[:, None] * (1 - share) + ceiling[:, None] * share]
    if not np.isfinite(m.critical).all() and not np.isfinite(m.half_length).all():
        far = 2.0 ** np.arange(1, 12)
        extra += [floor[:, None] - width[:, None] * far, ceiling[:, None] + width[:, None] * far]
    if m.level.shape[1] <= FEW:
        extra.append(_meetings(m, bounds, floor, ceiling))
    return np.sort(np.concatenate(extra, axis=1), axis=1)


def _scale(m: Moments) -> Floats:
    """About one standard error of the target in each problem  # (B,)"""
    steep = np.abs(m.toward).max(axis=1)
    return np.where(steep > 0, 1 / np.where(steep > 0, steep, 1.0), 1.0)


def _meetings(m: Moments, bounds: int, floor: Floats, ceiling: Floats) -> Floats:
    """Values at which two combinations of a component are equal, kept inside the range  # (m, ·)"""
    one, two = np.triu_indices(m.level.shape[1], 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (m.level[:, one] - m.level[:, two]) / (m.toward[:, one] - m.toward[:, two])
    at = at.reshape(bounds, -1)
    inside = np.isfinite(at) & (at >= floor[:, None]) & (at <= ceiling[:, None])
    return np.where(inside, at, (floor + ceiling)[:, None] / 2)


def _changes(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(bound, left grid point, 1 where the set begins and 0 where it ends) of every change  # (n, 3)"""
    bound, left = np.nonzero(inside[:, 1:] != inside[:, :-1])
    return np.stack([bound, left, inside[bound, left + 1].astype(np.int64)], axis=1)


def _pieces(
    grid: Floats,
    inside: NDArray[np.bool_],
    refined: Floats,
    ends: NDArray[np.int64],
    i: int,
) -> Pieces:
    mine = ends[:, 0] == i
    starts = list(refined[mine & (ends[:, 2] == 1)])
    stops = list(refined[mine & (ends[:, 2] == 0)])
    if inside[0]:  # accepted as far as it was looked
        starts.insert(0, -np.inf)
    if inside[-1]:
        stops.append(np.inf)
    out: list[tuple[float, float]] = []
    for low, high in zip(starts, stops, strict=True):
        if out and low <= out[-1][1]:
            out[-1] = (out[-1][0], float(high))
        else:
            out.append((float(low), float(high)))
    return tuple(out)


def breakdown(excludes: Callable[[Floats], NDArray[np.bool_]], scale: float, points: int = 3) -> float:
    """The largest bound up to which the null is excluded: 0 where it never is, +inf where it always is.

    Parameters
    ----------
    excludes : whether the set of each bound (m,) leaves the null out
    scale : a bound of usual size
    points : bounds tried at once while the bracket is narrowed
    """
    if not excludes(np.zeros(1))[0]:
        return 0.0
    scan = scale * 2.0 ** np.arange(-6.0, 15.0)
    for part in (scan[:10], scan[10:]):
        out = excludes(part)
        if not out.all():
            break
    else:
        return float("inf")
    first = int(np.searchsorted(scan, part[int(out.argmin())]))
    low, high = (0.0 if first == 0 else float(scan[first - 1])), float(scan[first])
    while high - low > PRECISION * max(high, 1e-4 * scale):
        tried = np.linspace(low, high, points + 2)
        out = excludes(tried[1:-1])
        last = points if out.all() else int(out.argmin())
        low, high = float(tried[last]), float(tried[last + 1])
    return low
