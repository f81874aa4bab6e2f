"""Poisson fits without each cluster, side by side, from the moments by cluster and a few passes of scores.

The Hessian without cluster c at the solution of the whole is a difference of sums. It serves as the preconditioner of
every step (the chord method, Ortega & Rheinboldt 1970, section 10.2): the first step needs no pass over the rows, each
later one the scores alone, and the distance shrinks each time by about its first length, some 1/C. What is exact is the
score, so what is reached is the maximum. From the whole to a deletion the log means of a row move by a function of its
group and of little else,

    p_it(θ + d) ∝ p_it exp(d_g(i)t) exp(x_it'd),

so exp is taken of the part that varies by cell only, and nothing at all where no regressor does.

Shapes: n rows, T periods, G groups, R strata, K table and V dense regressors, C clusters, P parameters told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.normal_equations import independent
from evalkit.arrays.poisson import SETTLED, PoissonFit
from evalkit.arrays.poisson_sums import Problem, base_of, evaluate, probabilities
from evalkit.arrays.two_way import BLOCK_CELLS, group_matrix

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

PASSES = 25
# change of log means beyond which a deletion is left to a fit of its own
FAR = 0.5
# largest factor a pass may leave of the last step
SHRINKS = 0.7
# growth of a scaled variance by a deletion beyond which a parameter may be lost
INFLATION = 1e9


@dataclass(frozen=True, slots=True)
class ClusterMoments:
    """Hessian and score of each cluster at the solution of the whole.

    gram : (C, P, P); score : (C, P)
    at : which of the R T + L parameters these are  # (P,)
    """

    gram: Floats
    score: Floats
    at: Codes


def moments_by_cluster(problem: Problem, whole: PoissonFit, clusters: int) -> ClusterMoments:
    """The moments with the fitted means as weights, unit effects eliminated."""
    sums = evaluate(problem, whole.delta, whole.beta, clusters=clusters)
    assert sums.outer is not None
    groups, periods = sums.mean.shape[1:]
    strata, dense = problem.strata, len(problem.dense)
    tables = problem.tables[problem.profile]  # (G, T, K)
    k, wide = tables.shape[2], strata * periods
    cells = groups * periods
    flat = tables.reshape(cells, k)
    to_strata = (problem.stratum == np.arange(strata)[:, None]).astype(np.float64)  # (R, G)
    schur, diagonal = -sums.outer, np.arange(periods)
    schur[:, :, diagonal, diagonal] += sums.mean
    own = schur @ tables  # (C, G, T, K)
    blocks = (to_strata @ schur.reshape(clusters, groups, -1)).reshape(clusters, strata, periods, periods)
    gram = np.zeros((clusters, wide + k + dense, wide + k + dense))
    for r in range(strata):
        block = slice(r * periods, (r + 1) * periods)
        gram[:, block, block] = blocks[:, r]
    gram[:, :wide, wide : wide + k] = (to_strata @ own.reshape(clusters, groups, periods * k)).reshape(
        clusters, wide, k
    )
    across = sums.cross  # (C, V, G, T)
    gram[:, wide + k :, :wide] = (to_strata @ across).reshape(clusters, dense, wide)
    gram[:, wide + k :, wide : wide + k] = across.reshape(clusters, dense, cells) @ flat
    gram[:, wide : wide + k, :wide] = gram[:, :wide, wide : wide + k].transpose(0, 2, 1)
    gram[:, : wide + k, wide + k :] = gram[:, wide + k :, : wide + k].transpose(0, 2, 1)
    gram[:, wide : wide + k, wide : wide + k] = flat.T @ own.reshape(clusters, cells, k)
    gram[:, wide + k :, wide + k :] = sums.inner
    score = _parameters(problem, sums.residual, sums.slope)
    total = gram.sum(axis=0)
    lost = wide + np.flatnonzero(~whole.system.kept)
    total[lost, :] = total[:, lost] = 0.0
    at = np.flatnonzero(independent(total))
    return ClusterMoments(gram[:, at[:, None], at], score[:, at], at)


def _parameters(problem: Problem, by_group: Floats, slope: Floats) -> Floats:
    """Sums by group (C, G, T) and of dense regressors (C, V) as sums of all parameters  # (C, R T + L)"""
    clusters = len(by_group)
    to_strata = (problem.stratum == np.arange(problem.strata)[:, None]).astype(np.float64)
    tables = problem.tables[problem.profile]
    period = (to_strata @ by_group).reshape(clusters, -1)
    cells = tables.shape[0] * tables.shape[1]
    own = by_group.reshape(clusters, cells) @ tables.reshape(cells, tables.shape[2])
    return np.concatenate([period, own, slope], axis=1)


def chord(
    problem: Problem, whole: PoissonFit, moments: ClusterMoments, wanted: Codes, sound: Bools
) -> tuple[Floats, Bools]:
    """The wanted regressors without each cluster (C, k), and for which clusters they were found (C,).

    Parameters
    ----------
    sound : clusters without which nothing is separated and no parameter is lost  # (C,)
    """
    out = np.full((len(sound), len(wanted)), np.nan)
    inverse, fine = _inverses(moments.gram)
    ids = np.flatnonzero(sound & fine)
    if not len(ids):
        return out, np.zeros(len(sound), dtype=bool)
    rows = _Rows.of(problem, whole, len(sound))
    spread = np.sqrt(np.maximum(np.diag(whole.system.reduced)[problem.tables.shape[2] :], 0.0))
    spread /= np.sqrt(max(float(problem.counts.sum()), 1e-300))
    score = moments.score.sum(axis=0) - moments.score[ids]
    theta = np.zeros((len(ids), whole.delta.size + problem.n_regressors))
    first, last = np.zeros(len(ids)), np.full(len(ids), np.inf)
    live, done = np.ones(len(ids), dtype=bool), np.zeros(len(ids), dtype=bool)
    for iteration in range(PASSES):
        now = np.flatnonzero(live & ~done)
        if not len(now):
            break
        if iteration:
            score = rows.scores(theta[now], ids[now])[:, moments.at]
        move = np.zeros((len(now), theta.shape[1]))
        move[:, moments.at] = np.einsum("cpq,cq->cp", inverse[ids[now]], score)
        length = _length(problem, move, spread)
        if iteration == 0:
            first, live = length, length < FAR
        settled = length < SETTLED
        live[now] &= settled | (length < SHRINKS * last[now])
        theta[now] += move
        # what is left shrinks as the last step did, or by about the distance from where the Hessian was taken
        rate = np.maximum(length / last[now], first[now])
        done[now] = live[now] & (settled | ((iteration > 0) & (length * rate < SETTLED)))
        last[now] = length
    found = ids[done]
    told = np.where(whole.system.kept[wanted], 0.0, np.nan)
    out[found] = whole.beta[wanted] + theta[done][:, whole.delta.size + wanted] + told
    good = np.zeros(len(sound), dtype=bool)
    good[found] = True
    return out, good


def _inverses(gram: Floats) -> tuple[Floats, Bools]:
    """Inverse Hessians without each cluster (C, P, P), and which are far from singular (C,)."""
    rest = gram.sum(axis=0) - gram
    scale = np.sqrt(np.maximum(np.einsum("cpp->cp", rest), 0.0))
    fine = (scale > 0).all(axis=1)
    scale[~fine] = 1.0
    rest /= scale[:, :, None] * scale[:, None, :]
    rest[~fine] = np.eye(rest.shape[1])
    try:
        inverse = np.linalg.inv(rest)
    except np.linalg.LinAlgError:
        return rest, np.zeros(len(rest), dtype=bool)
    fine &= np.einsum("cpp->cp", inverse).max(axis=1, initial=0.0) < INFLATION
    return inverse / (scale[:, :, None] * scale[:, None, :]), fine


def _base(problem: Problem, theta: Floats) -> Floats:
    """Change of the log means of each group, relative to their mean  # (C, G, T)"""
    periods, k = problem.tables.shape[1:]
    wide = problem.strata * periods
    base = theta[:, :wide].reshape(-1, problem.strata, periods)[:, problem.stratum]
    base += (problem.tables @ theta[:, wide : wide + k].T).transpose(2, 0, 1)[:, problem.profile]
    return np.asarray(base - base.mean(axis=2, keepdims=True))


def _length(problem: Problem, theta: Floats, spread: Floats) -> Floats:
    """Largest change of a log mean, relative to its row  # (C,)"""
    slopes = np.abs(theta[:, theta.shape[1] - len(problem.dense) :])
    return np.asarray(np.abs(_base(problem, theta)).max(axis=(1, 2)) + slopes @ spread)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows of one group. p : at the solution of the whole, (n, T); total : (n,); dense : V arrays (n, T)"""

    group: int
    p: Floats
    total: Floats
    dense: tuple[Floats, ...]
    cluster: Codes


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows in pieces that stay in the cache, and sums of counts without each cluster: (C, G, T) and (C, V)."""

    problem: Problem
    pieces: list[_Piece]
    counts: Floats
    slopes: Floats

    @classmethod
    def of(cls, problem: Problem, whole: PoissonFit, clusters: int) -> _Rows:
        base = base_of(problem, whole.delta, whole.beta)
        own = np.zeros((clusters, *base.shape))
        slopes = np.zeros((clusters, len(problem.dense)))
        if (np.diff(problem.group) < 0).any():
            problem = problem.keep(np.argsort(problem.group, kind="stable"))
        pieces = []
        for group, rows in _slices(problem):
            counts, cluster = problem.counts[rows], problem.cluster[rows]
            dense = tuple(x[rows] for x in problem.dense)
            p = probabilities(problem, base, whole.beta[problem.tables.shape[2] :], rows)[1]
            pieces.append(_Piece(group, p, counts.sum(axis=1), dense, cluster))
            own[:, group] += group_matrix(cluster, clusters) @ counts
            for v, x in enumerate(dense):
                slopes[:, v] += np.bincount(cluster, np.einsum("nt,nt->n", counts, x), minlength=clusters)
        return cls(problem, pieces, own.sum(axis=0) - own, slopes.sum(axis=0) - slopes)

    def scores(self, theta: Floats, ids: Codes) -> Floats:
        """Scores of all parameters at θ + theta, each without its cluster  # (C, R T + L)"""
        by_group, slope = self.counts[ids].copy(), self.slopes[ids].copy()
        grown = np.exp(_base(self.problem, theta))
        moved = theta[:, theta.shape[1] - slope.shape[1] :]
        for piece in self.pieces:
            step = max(1, BLOCK_CELLS // piece.p.size)
            for low in range(0, len(ids), step):
                at = slice(low, low + step)
                g = piece.group
                _take_means(piece, ids[at], grown[at, g], moved[at], by_group[at, g], slope[at])
        return _parameters(self.problem, by_group, slope)


def _take_means(
    piece: _Piece, ids: Codes, grown: Floats, moved: Floats, by_group: Floats, slope: Floats
) -> None:
    """Take the means of a piece's rows, each without its cluster, from sums of counts (C, T) and (C, V), in place."""
    weight = piece.p[None]
    if piece.dense:
        weight = moved[:, 0, None, None] * piece.dense[0]
        for v in range(1, len(piece.dense)):
            weight += moved[:, v, None, None] * piece.dense[v]
        np.exp(weight, out=weight)
        weight *= piece.p
    column = grown[:, :, None]
    size = (weight @ column)[:, :, 0]  # (C, n)
    load = np.where(piece.cluster == ids[:, None], 0.0, piece.total / size)
    by_group -= grown * (load[:, None, :] @ weight)[:, 0]
    for v, x in enumerate(piece.dense):
        slope[:, v] -= np.einsum("cn,cn->c", load, ((weight * x) @ column)[:, :, 0])


def _slices(problem: Problem) -> Iterator[tuple[int, slice]]:
    """Group and rows of each piece; rows are in the order of their groups."""
    step = max(1, BLOCK_CELLS // problem.counts.shape[1])
    ends = np.cumsum(np.bincount(problem.group, minlength=len(problem.profile)))
    for group, end in enumerate(ends):
        for low in range(0 if group == 0 else int(ends[group - 1]), int(end), step):
            yield group, slice(low, min(low + step, int(end)))
