"""One cell of Lee bounds: the trimmed means, their influence, and both without each cluster (Lee 2009)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.quantiles import IntegratedQuantiles
from evalkit.estimators._cell_means import Frame

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Piece:
    """One cell (of a stratum): bounds, always observed, and how both change.

    cell : position in the frame; label : cohort, period, stratum; population : weight of treated units at the base
    mass : weight of the always observed; bounds (2,); at : positions of the units; psi_mass (m,), psi (2, m) : w dθ/dw
    mass_left (C,), bounds_left (2, C) : without each cluster
    """

    cell: int
    label: tuple[int, int, str]
    direction: str
    observed: tuple[float, float]
    population: float
    mass: float
    bounds: Floats
    at: NDArray[np.int64]
    psi_mass: Floats
    psi: Floats
    mass_left: Floats | None
    bounds_left: Floats | None


def trimmed_cell(
    frame: Frame,
    cell: int,
    label: tuple[int, int, str],
    values: Floats,
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    monotone: str,
) -> Piece | None:
    """Bounds of one cell; None where one side has nobody left.

    values : change or outcome of every unit of the sample, NaN = not observed; own, other : positions of the two sides
    """
    w = frame.weight
    seen = ~np.isnan(values)
    stay1, stay0 = own[seen[own]], other[seen[other]]
    if not len(stay1) or not len(stay0):
        return None
    w1, w0, s1, s0 = (float(w[part].sum()) for part in (own, other, stay1, stay0))
    q1, q0 = s1 / w1, s0 / w0
    direction = monotone if monotone != "auto" else ("more" if q1 >= q0 else "fewer")
    trimmed, plain = (stay1, stay0) if direction == "more" else (stay0, stay1)
    ratio = q0 / q1 if direction == "more" else q1 / q0
    share, free = min(ratio, 1.0), ratio < 1
    low, high, part_low, part_high, slope = _tails(values[trimmed], w[trimmed], share)
    mean = float(w[plain] @ values[plain] / w[plain].sum())
    sign = 1.0 if direction == "more" else -1.0
    bounds = np.array([low - mean, high - mean]) if sign > 0 else np.array([mean - high, mean - low])
    # the always observed among treated units: q_0 of them, or all survivors
    mass = w1 * q0 if direction == "more" and free else s1
    at = np.concatenate([own, other])
    mine, theirs = slice(0, len(own)), slice(len(own), None)
    alive = seen[at].astype(np.float64)
    d_q1 = np.where(np.arange(len(at)) < len(own), w[at] * (alive - q1) / w1, 0.0)
    d_q0 = np.where(np.arange(len(at)) < len(own), 0.0, w[at] * (alive - q0) / w0)
    d_share = (d_q0 / q1 - q0 / q1**2 * d_q1) if direction == "more" else (d_q1 / q0 - q1 / q0**2 * d_q0)
    cut, rest = (mine, theirs) if direction == "more" else (theirs, mine)
    psi = np.zeros((2, len(at)))
    for row, part in enumerate((part_low, part_high)):
        psi[row, cut][alive[cut] > 0] += part
        if free:
            psi[row] += slope[row] * d_share
    centred = w[plain] * (values[plain] - mean) / w[plain].sum()
    psi[:, rest][:, alive[rest] > 0] -= centred
    if sign < 0:
        psi = -psi[::-1]
    psi_mass = w[at] * alive * (np.arange(len(at)) < len(own))
    if direction == "more" and free:
        psi_mass = w1 * d_q0 + np.where(np.arange(len(at)) < len(own), w[at], 0.0) * q0
    gone: tuple[Floats | None, Floats | None] = (None, None)
    if frame.mass_of is not None:
        gone = _without(frame, values, own, other, seen, monotone)
    return Piece(cell, label, direction, (q1, q0), w1, mass, bounds, at, psi_mass, psi, *gone)


def _tails(values: Floats, w: Floats, share: float) -> tuple[float, float, Floats, Floats, Floats]:
    """Means of the lowest and highest share, their influence at a fixed share, and their slopes in the share (2,)."""
    sample = IntegratedQuantiles.of(values, w)
    (bottom, q_low), (rest, q_high), (whole, _) = sample.at(share), sample.at(1 - share), sample.at(1.0)
    low, high = bottom / share, (whole - rest) / share
    slope = np.array([q_low - low, q_high - high]) / share
    top = (sample.influence(1.0) - sample.influence(1 - share)) / share
    return low, high, sample.influence(share) / share, top, slope


def _without(
    frame: Frame,
    values: Floats,
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    seen: NDArray[np.bool_],
    monotone: str,
) -> tuple[Floats, Floats]:
    """Always observed (C,) and bounds (2, C) without each cluster."""
    count = len(frame.labels)

    def left(at: NDArray[np.int64], of: Floats) -> Floats:
        own = np.bincount(frame.sample.cluster[at], of[at], minlength=count)
        return np.asarray(of[at].sum() - own)

    w = frame.weight
    w1, w0 = _few(left(own, w), w[own]), _few(left(other, w), w[other])
    stay1, stay0 = own[seen[own]], other[seen[other]]
    s1, s0 = _few(left(stay1, w), w[stay1]), _few(left(stay0, w), w[stay0])
    with np.errstate(invalid="ignore", divide="ignore"):
        q1, q0 = s1 / w1, s0 / w0
        m1, m0 = left(stay1, w * np.nan_to_num(values)) / s1, left(stay0, w * np.nan_to_num(values)) / s0
        more = np.full(count, monotone == "more") if monotone != "auto" else q1 >= q0
        ratio = np.where(more, q0 / q1, q1 / q0)
    good = (s1 > 0) & (s0 > 0)
    share = np.where(good, np.minimum(ratio, 1.0), 1.0)
    parts = []
    for stay, needed in ((stay1, more[good].any()), (stay0, (~more[good]).any())):
        if not needed:
            parts.append((np.full(count, np.nan), np.full(count, np.nan)))
            continue
        sample = IntegratedQuantiles.of(values[stay], w[stay])
        asked = np.stack([share, 1 - share, np.ones(count)])
        low, rest, whole = sample.without(frame.sample.cluster[stay], count, asked)
        parts.append((low / share, (whole - rest) / share))
    (low1, high1), (low0, high0) = parts
    bounds = np.where(more, np.stack([low1 - m0, high1 - m0]), np.stack([m1 - high0, m1 - low0]))
    mass = np.where(more & (ratio < 1), w1 * q0, s1)
    return np.where(good, mass, 0.0), np.where(good, bounds, np.nan)


def _few(left: Floats, of: Floats) -> Floats:
    return np.where(left > 1e-12 * of.sum(), left, 0.0)
