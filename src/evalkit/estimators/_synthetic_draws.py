"""Draws behind the inference of synthetic comparisons: pretended treatments among donors, and bootstrap samples.

Draws are made over units (or clusters) in the order of their labels by a counter-based generator, so they depend on
the seed and the units, not on the order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import RefusalError, UsageError
from evalkit.estimators._synthetic_fit import (
    Solver,
    Tuning,
    Variant,
    Weights,
    average,
    effects_of,
    weights_of,
)
from evalkit.estimators._synthetic_sample import SyntheticSample

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Roles = NDArray[np.int16]
BLOCK = 4_000_000  # numbers of one (draws, donors) array


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the weights of a draw are found: as those of the estimate."""

    tuned: list[Tuning]
    fitted: list[Weights]
    variant: Variant
    solver: Solver


def generator(seed: int) -> np.random.Generator:
    """Counter-based, so that the same seed gives the same draws everywhere."""
    return np.random.Generator(np.random.Philox(seed))


def checked_replications(replications: int) -> int:
    """At least 50 draws."""
    if isinstance(replications, bool) or not isinstance(replications, int) or replications < 50:
        raise UsageError(f"반복 수 {replications!r} 이(가) 50보다 적음", remedy="200 이상의 정수로 적을 것")
    return replications


def treated_clusters(sample: SyntheticSample) -> Codes:
    """Clusters with a treated unit, by cohort  # (A,)"""
    return np.array([len(np.unique(sample.cluster[c.treated])) for c in sample.cohorts], dtype=np.int64)


def placebo_roles(
    sample: SyntheticSample, replications: int, seed: int, instead: str = 'inference="jackknife" 를 쓰거나'
) -> tuple[Roles, bool]:
    """Cohort that each donor pretends to be, −1 = stays a donor (B, J); and whether these are all there are.

    Whole clusters change roles. With one cohort and no more than ``replications`` choices, every choice stands once.
    ``instead`` is the way out that the method offers, for the sentence of a refusal.

    Raises
    ------
    RefusalError : too few donors, clusters of unequal size, a cluster with treated units and donors
    """
    own = sample.cluster[sample.donors]
    groups, code, sizes = np.unique(own, return_inverse=True, return_counts=True)
    wanted = treated_clusters(sample)
    treated = np.concatenate([cohort.treated for cohort in sample.cohorts])
    treated_sizes = np.unique(sample.cluster[treated], return_counts=True)[1]
    if np.isin(sample.cluster[treated], groups).any():
        raise RefusalError(
            "한 군집에 지원 단위와 비교 단위가 섞여 있어 플라시보 추론을 할 수 없음",
            remedy=f"{instead} 군집을 단위로 둘 것",
        )
    if len(np.unique(np.concatenate([sizes, treated_sizes]))) > 1:
        raise RefusalError(
            f"군집의 크기가 서로 달라(비교 {sizes.min()}–{sizes.max()}개, 지원 {treated_sizes.min()}–"
            f"{treated_sizes.max()}개) 지원 군집의 자리를 비교 군집으로 바꾸어 볼 수 없음",
            remedy=f"{instead} 군집 단위로 묶은 자료로 추정할 것",
        )
    if len(groups) <= wanted.sum():
        raise RefusalError(
            f"비교 군집 {len(groups)}개가 지원 군집 {wanted.sum()}개보다 많지 않아 플라시보 추론을 할 수 없음",
            remedy=f"{instead} 비교 단위를 늘릴 것",
        )
    roles = _assign(len(groups), wanted, replications, seed)
    enumerated = len(wanted) == 1 and comb(len(groups), int(wanted[0])) <= replications
    return roles[:, code], enumerated


def _assign(groups: int, wanted: Codes, replications: int, seed: int) -> Roles:
    if len(wanted) == 1 and comb(groups, int(wanted[0])) <= replications:
        chosen = np.array(list(islice(combinations(range(groups), int(wanted[0])), replications)))
        roles = np.full((len(chosen), groups), -1, dtype=np.int16)
        np.put_along_axis(roles, chosen, 0, axis=1)
        return roles
    rng = generator(seed)
    plain = np.repeat(np.arange(-1, len(wanted), dtype=np.int16), [groups - wanted.sum(), *wanted])
    return np.stack([rng.permutation(plain) for _ in range(replications)])


def placebo_effects(sample: SyntheticSample, recipe: Recipe, roles: Roles) -> Floats:
    """Effects of each cohort and period as if the donors with a role had been treated  # (B, A, T)"""
    y0 = sample.outcome[sample.donors]
    out = np.empty((len(roles), len(sample.cohorts), len(sample.periods)))
    step = max(1, BLOCK // len(y0))
    for low in range(0, len(roles), step):
        part = roles[low : low + step]
        copies = (part < 0).astype(np.float64)
        for a, cohort in enumerate(sample.cohorts):
            acting = (part == a).astype(np.float64)
            target = acting @ y0 / acting.sum(axis=1, keepdims=True)
            weights = weights_of(
                y0, target, copies, cohort, recipe.tuned[a], recipe.variant, recipe.solver, recipe.fitted[a]
            )
            out[low : low + step, a] = effects_of(y0, target, weights, cohort)
    return out


def bootstrap_terms(
    sample: SyntheticSample, recipe: Recipe, cells: Floats, replications: int, seed: int
) -> tuple[Floats, int]:
    """Terms in samples of clusters drawn with replacement, weights found anew; and how many draws were discarded.

    A draw without a treated unit of some cohort, or with fewer than two donors, is discarded and drawn again.

    Raises
    ------
    RefusalError : a cohort lives in one cluster, or most draws have to be discarded
    """
    alone = treated_clusters(sample) < 2
    if alone.any():
        raise RefusalError(
            "지원 단위가 한 군집에만 있어 붓스트랩으로 오차를 잴 수 없음",
            where=(f"코호트 {sample.cohorts[int(np.argmax(alone))].adoption}",),
            remedy='inference="placebo" 를 쓸 것',
        )
    if len(np.unique(sample.cluster[sample.donors])) < 2:
        raise RefusalError(
            "비교 단위가 한 군집에만 있어 붓스트랩으로 오차를 잴 수 없음",
            where=(f"군집 {sample.cluster_labels[sample.cluster[sample.donors[0]]]}",),
            remedy="군집을 더 잘게 나누거나 비교 단위를 늘릴 것",
        )
    rng, clusters = generator(seed), len(sample.cluster_labels)
    discarded = 0
    kept: list[Floats] = []
    step = max(1, min(replications, BLOCK // len(sample.units)))
    while sum(len(part) for part in kept) < replications:
        drawn = rng.integers(0, clusters, (step, clusters))
        times = np.stack([np.bincount(row, minlength=clusters) for row in drawn]).astype(np.float64)
        copies = times[:, sample.cluster]  # (B, n)
        counts = np.stack([copies[:, c.treated].sum(axis=1) for c in sample.cohorts], axis=1)
        fine = (counts > 0).all(axis=1) & (copies[:, sample.donors].sum(axis=1) >= 2)
        discarded += int((~fine).sum())
        if discarded > 10 * replications:
            raise RefusalError(
                f"붓스트랩 표본 {discarded}개에 지원 단위나 비교 단위가 없어 그만둠",
                remedy='inference="placebo" 나 "jackknife" 를 쓸 것',
            )
        copies, counts = copies[fine], counts[fine]
        if not len(copies):
            continue
        effects = _resampled_effects(sample, recipe, copies, counts)
        kept.append(average(effects, counts, cells))
    return np.concatenate(kept)[:replications], discarded


def _resampled_effects(sample: SyntheticSample, recipe: Recipe, copies: Floats, counts: Floats) -> Floats:
    """Effects where unit i stands copies[b, i] times  # (B, A, T)"""
    y0 = sample.outcome[sample.donors]
    effects = np.empty((len(copies), len(sample.cohorts), len(sample.periods)))
    for a, cohort in enumerate(sample.cohorts):
        target = copies[:, cohort.treated] @ sample.outcome[cohort.treated] / counts[:, a, None]
        weights = weights_of(
            y0,
            target,
            copies[:, sample.donors],
            cohort,
            recipe.tuned[a],
            recipe.variant,
            recipe.solver,
            recipe.fitted[a],
        )
        effects[:, a] = effects_of(y0, target, weights, cohort)
    return effects


def rank_p_values(placebos: Floats, values: Floats) -> Floats:
    """(1 + number of placebos at least as far from zero) / (1 + number of placebos)  # (k,)"""
    out: Floats = (1.0 + (np.abs(placebos) >= np.abs(values) * (1 - 1e-12)).sum(axis=0)) / (
        1.0 + len(placebos)
    )
    return out
