"""Effects on the treated within strata by regression adjustment, pooled over cohorts, and with each cluster left out.

For a stratum k and e periods since adoption: treated units of cohort g change by Y[g+e] − Y[g−1−a] (a = anticipation);
comparison units of the stratum give the change that goes with their covariates, by least squares in each (g, e)
(Heckman, Ichimura & Todd 1997; Sant'Anna and Zhao 2020, eq. 2.2). The effect of k at e is the mean gap over its treated
units, whatever their cohort; the effect of k is the plain mean over the event times asked for.

A cluster is left out by computing everything again without it: a cohort that it alone made up drops out of the mean of its
stratum, and the others go on.

Shapes: N units, T periods, p covariates with the intercept, K strata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

SINGULAR = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Units of one phase.

    y : outcome, NaN = not observed  # (N, T)
    at_risk : may enter a comparison with this base period  # (N, T)
    periods : calendar labels  # (T,)
    cohort : first treated period, +inf = comparison  # (N,)
    stratum : 0..K−1, −1 = takes no part  # (N,)
    x : covariates fixed before treatment, the first column ones  # (N, p)
    cluster : codes 0..C−1  # (N,)
    anticipation : periods before adoption that the base period keeps clear of
    """

    y: Floats
    at_risk: Flags
    periods: Ints
    cohort: Floats
    stratum: Ints
    x: Floats
    cluster: Ints
    anticipation: int = 0

    def without(self, cluster: int) -> Stretch:
        """Without the units of one cluster."""
        return replace(self, stratum=np.where(self.cluster == cluster, -1, self.stratum))


@dataclass(frozen=True, slots=True, eq=False)
class StratumEffects:
    """values (K,), NaN where an event time has no estimate; influence in sum form (N, K); units behind each (K,)."""

    values: Floats
    influence: Floats
    n_treated: Ints
    n_comparison: Ints


def changes(s: Stretch, cohort: float, event: int) -> tuple[Floats, Flags]:
    """Change from the base period of a cohort to an event time, and who is seen in both and at risk in the first  # (N,)"""
    n = len(s.cohort)
    base = np.flatnonzero(s.periods == cohort - 1 - s.anticipation)
    at = np.flatnonzero(s.periods == cohort + event)
    if not len(base) or not len(at):
        return np.full(n, np.nan), np.zeros(n, dtype=bool)
    gap = s.y[:, at[0]] - s.y[:, base[0]]
    return gap, np.isfinite(gap) & s.at_risk[:, base[0]]


def counted(s: Stretch) -> Flags:
    """Treated units that are seen and at risk in the base period of their cohort: those that shares are taken over  # (N,)"""
    out = np.zeros(len(s.cohort), dtype=bool)
    for g in np.unique(s.cohort[np.isfinite(s.cohort)]):
        base = np.flatnonzero(s.periods == g - 1 - s.anticipation)
        if len(base):
            out |= (s.cohort == g) & np.isfinite(s.y[:, base[0]]) & s.at_risk[:, base[0]]
    return out


def stratum_effects(s: Stretch, strata: int, times: Sequence[int]) -> StratumEffects:
    """Effects by stratum.

    Parameters
    ----------
    strata : K
    times : event times that are averaged
    """
    n = len(s.cohort)
    values, influence = np.zeros(strata), np.zeros((n, strata))
    treated_seen = np.zeros((n, strata), dtype=bool)
    comparison_seen = np.zeros((n, strata), dtype=bool)
    comparison = np.isinf(s.cohort)
    members = [np.flatnonzero(s.stratum == k) for k in range(strata)]
    cohorts = np.unique(s.cohort[~comparison & (s.stratum >= 0)])
    for event in times:
        gaps = {float(g): changes(s, float(g), event) for g in cohorts}
        for k, rows in enumerate(members):
            found = _at_event(s, rows, gaps, comparison)
            if found is None:
                values[k] = np.nan
                continue
            value, share, on_treated, on_comparison = found
            values[k] += value / len(times)
            influence[:, k] += share / len(times)
            treated_seen[on_treated, k] = True
            comparison_seen[on_comparison, k] = True
    influence[:, np.isnan(values)] = np.nan
    return StratumEffects(values, influence, treated_seen.sum(axis=0), comparison_seen.sum(axis=0))


def _at_event(
    s: Stretch, rows: Ints, gaps: dict[float, tuple[Floats, Flags]], comparison: Flags
) -> tuple[float, Floats, Ints, Ints] | None:
    """Effect of one stratum at one event time: value, influence (N,), treated and comparison rows."""
    own: list[tuple[Ints, Ints, Floats, Floats, Floats]] = []
    for g, (gap, seen) in gaps.items():
        inside = rows[seen[rows]]
        one, zero = inside[s.cohort[inside] == g], inside[comparison[inside]]
        if not len(one):
            continue
        fitted = _fit(s.x[zero], gap[zero])
        if fitted is None:
            continue
        slope, inverse = fitted
        residual = gap[zero] - s.x[zero] @ slope
        lever = inverse @ s.x[one].sum(axis=0)
        own.append((one, zero, gap[one] - s.x[one] @ slope, residual, s.x[zero] @ lever))
    total = sum(len(one) for one, *_ in own)
    if not total:
        return None
    value = sum(float(gain.sum()) for _, _, gain, _, _ in own) / total
    share = np.zeros(len(s.cohort))
    for one, zero, gain, residual, lever in own:
        share[one] += (gain - value) / total
        share[zero] -= lever * residual / total
    return (
        value,
        share,
        np.concatenate([one for one, *_ in own]),
        np.unique(np.concatenate([zero for _, zero, *_ in own])),
    )


def _fit(x: Floats, y: Floats) -> tuple[Floats, Floats] | None:
    """Least squares: slopes and (X'X)⁻¹; None where the comparison units are too few or all alike."""
    if len(y) <= x.shape[1]:
        return None
    cross = x.T @ x
    eigenvalues = np.linalg.eigvalsh(cross)
    if eigenvalues[0] <= SINGULAR * eigenvalues[-1]:
        return None
    inverse = np.linalg.inv(cross)
    return np.asarray(inverse @ (x.T @ y)), np.asarray(inverse)


def delete_clusters(s: Stretch, strata: int, times: Sequence[int], clusters: int) -> Floats:
    """The effects without each cluster  # (C, K)"""
    return np.stack([stratum_effects(s.without(c), strata, times).values for c in range(clusters)])


def shares(s: Stretch, strata: int) -> tuple[Floats, Floats]:
    """Share of the counted treated units in each stratum (K,), and its influence in sum form (N, K)."""
    inside = counted(s) & (s.stratum >= 0)
    member = (s.stratum[:, None] == np.arange(strata)) & inside[:, None]
    total = int(inside.sum())
    if not total:
        return np.full(strata, np.nan), np.full((len(inside), strata), np.nan)
    share = member.sum(axis=0) / total
    return share, (member - share) * inside[:, None] / total
