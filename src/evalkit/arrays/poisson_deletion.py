"""Which cells a Poisson fit can use, and the exact fits without each cluster.

A fit without a cluster is nonlinear, so it is done again, from the solution of the whole. Three ways, each for what the
one before leaves:

* `poisson_batch`: on few sums of units (`poisson_rows.compress`), Newton's method for all clusters at once;
* `poisson_chord`: scores of the rows for all clusters at once, Hessians from moments by cluster. Two to six passes; with
  17 clusters and a regressor that varies by cell the estimate with its replicates takes 1.5 to 1.8 times as long;
* cluster by cluster, with the first Newton step from sums by cluster: where cells may be separated or parameters lost
  without the cluster, where it moves the solution far, and where moments by cluster would take too much memory.

The first two need to know that nothing is separated without a cluster. Sums of few units show it at once. Otherwise a
few rows do: if the positive counts of some rows outside the cluster tell all parameters apart, there is no direction for
separation to move along, whatever the other rows are (Correia, Guimarães & Zylkin 2019, proposition 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.poisson import PoissonFit, System, factor, fit
from evalkit.arrays.poisson_batch import batch
from evalkit.arrays.poisson_chord import ClusterMoments, chord
from evalkit.arrays.poisson_rows import compress
from evalkit.arrays.poisson_sums import Problem, Sums, evaluate, weighed
from evalkit.arrays.separation import certain, positive_sums, separated_cells
from evalkit.arrays.two_way import group_matrix
from evalkit.errors import EvalkitError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

# numbers in the largest of the sums by cluster (clusters × groups × periods²) that are kept for a warm start
SUMS_LIMIT = 20_000_000
# rows that are looked at first for what their positive counts tell apart
SAMPLE = 500


@dataclass(frozen=True, slots=True)
class Usable:
    """problem : rows and cells that carry information; rows : kept  # (n,)

    empty_levels : cells of periods (of a stratum) without any count; separated : other separated cells  # (n, T)
    """

    problem: Problem
    rows: Bools
    empty_levels: Bools
    separated: Bools


def usable(problem: Problem) -> Usable:
    """Leave out rows and periods whose counts are all 0, then what else is separated."""
    rows = problem.counts.sum(axis=1) > 0
    if not rows.all():
        problem = problem.keep(rows)
    stratum = problem.stratum[problem.group]
    total = group_matrix(stratum, problem.strata) @ problem.counts
    lost = np.zeros(problem.counts.shape, dtype=bool)
    used: Bools | None = None
    if (total == 0).any():
        used = problem.used()
        lost = used & (total == 0)[stratum]
        problem = replace(problem, exposure=np.where(lost, 0.0, _exposure(problem)))
    apart = separated_cells(problem) if _in_doubt(problem) else np.zeros_like(lost)
    if apart.any():
        problem = replace(problem, exposure=np.where(apart, 0.0, _exposure(problem)))
    return Usable(problem, rows, lost, apart)


def _in_doubt(problem: Problem) -> bool:
    """Whether positive counts alone fail to tell apart some regressor or period, so that more must be looked at."""
    used = problem.used()
    if not (used & (problem.counts <= 0)).any():
        return False
    positive = factor(problem, positive_sums(problem))
    stratum = problem.stratum[problem.group]
    seen = group_matrix(stratum, problem.strata) @ used.astype(np.float64) > 0
    told = positive.kept.all() and (positive.ranks == np.maximum(seen.sum(axis=1) - 1, 0)).all()
    return not told


def _exposure(problem: Problem) -> Floats:
    return np.ones(problem.counts.shape) if problem.exposure is None else problem.exposure


def without_each(
    problem: Problem,
    whole: PoissonFit,
    clusters: int,
    wanted: Codes,
    required: Codes,
    *,
    strict: bool,
    moments: ClusterMoments | None = None,
) -> Floats:
    """The wanted regressors without each cluster, exactly; NaN where a fit is not defined  # (C, k)

    Parameters
    ----------
    problem : usable rows, each in one cluster
    required : regressors without which there is no estimate at all
    strict : a required regressor that is 0 throughout makes only itself undefined, any other loss all of them;
        otherwise any loss of a required one makes all undefined
    moments : by cluster at the solution of the whole, where they are at hand
    """
    out, found_at_once = batch(problem, whole, clusters, wanted)
    if found_at_once.all():
        return out
    if moments is not None:
        sound = ~found_at_once & _told_apart(problem, whole.system, clusters)
        more, reached = chord(problem, whole, moments, wanted, sound)
        out[reached] = more[reached]
        found_at_once |= reached
        if found_at_once.all():
            return out
    sums = _ClusterSums.of(problem, whole, clusters)
    for c in np.flatnonzero(~found_at_once):
        rest = problem.keep(problem.cluster != c)
        if not len(rest.counts):
            continue
        # what the clusters left share can be added up further
        part, _ = compress(replace(rest, cluster=np.zeros(len(rest.counts), dtype=np.int64)), 1)
        try:
            first = sums.without(part, int(c)) if sums is not None and _full(part) else None
            if first is not None:
                found = fit(part, (whole.delta, whole.beta), first, finish=False)
            else:
                found = fit(usable(part).problem, finish=False)
        except EvalkitError:
            continue
        kept, present = found.system.kept, found.system.present
        lost = ~kept[required] & (present[required] if strict else True)
        if not lost.any():
            out[c] = np.where(kept[wanted], found.beta[wanted], np.nan)
    return out


def _told_apart(problem: Problem, whole: System, clusters: int) -> Bools:
    """Clusters without which the positive counts still tell all parameters apart, as far as halves show it  # (C,)"""
    half = problem.cluster % 2
    first = np.concatenate([np.flatnonzero(half == h)[:SAMPLE] for h in (0, 1)])
    told = [False, False]
    for rows in (first, np.arange(len(half))) if len(first) < len(half) else (first,):
        part = replace(problem.keep(rows), cluster=half[rows])
        positive = positive_sums(part, 2)
        for h in (0, 1):
            found = factor(part, positive, h)
            told[h] |= bool((found.ranks == whole.ranks).all() and found.kept.sum() == whole.kept.sum())
        if all(told):
            break
    return np.where(np.arange(clusters) % 2 == 0, told[1], told[0])


@dataclass(frozen=True, slots=True)
class _ClusterSums:
    """Sums by cluster at the solution, of cells in use, and of cells with a positive count; and over all clusters."""

    own: tuple[Sums, Sums, Sums]
    whole: tuple[Sums, Sums, Sums]

    @classmethod
    def of(cls, problem: Problem, whole: PoissonFit, clusters: int) -> _ClusterSums | None:
        """None where they would take too much memory."""
        if clusters * len(problem.profile) * problem.counts.shape[1] ** 2 > SUMS_LIMIT:
            return None
        own = (
            evaluate(problem, whole.delta, whole.beta, clusters=clusters),
            weighed(problem, problem.used().astype(np.float64), clusters),
            positive_sums(problem, clusters),
        )
        return cls(own, (own[0].total(), own[1].total(), own[2].total()))

    def without(self, part: Problem, c: int) -> tuple[Sums, System] | None:
        """Sums and factors at the solution of the whole; None where the part may be separated."""
        used = self.whole[1].mean[0] - self.own[1].mean[c] > 0
        positive = self.whole[2].mean[0] - self.own[2].mean[c] > 0
        if (part.used() & (part.counts <= 0)).any():
            every = self.own[1].minus(self.whole[1], c, used)
            if not certain(part, every, self.own[2].minus(self.whole[2], c, positive)):
                return None
        sums = self.own[0].minus(self.whole[0], c, used)
        return sums, factor(part, sums)


def _full(problem: Problem) -> bool:
    """Every period of every stratum that is in use has a count."""
    stratum = problem.stratum[problem.group]
    indicator = group_matrix(stratum, problem.strata)
    if problem.exposure is None:
        seen = np.broadcast_to(
            (np.bincount(stratum, minlength=problem.strata) > 0)[:, None],
            (problem.strata, problem.counts.shape[1]),
        )
    else:
        seen = indicator @ problem.exposure > 0
    return bool((indicator @ problem.counts > 0)[seen].all())
