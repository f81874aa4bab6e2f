"""Cross-sections behind `evalkit.estimators.lee_wooldridge`: which units, which number, and the Estimate of all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.rolling import (
    CrossSection,
    cross_moments,
    cross_section,
    cross_section_without,
    homoskedastic,
    rolled,
)
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators._rolling_sample import RollingSample

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Transformation = Literal["demean", "detrend"]
By = Literal["overall", "cohort", "cell"]
CLUSTERS_FOR_REPLICATES = 400
ALONE = 1 - 1e-9  # leverage of a unit that carries a term by itself


@dataclass(frozen=True, slots=True)
class Options:
    """As in `lee_wooldridge_effects`."""

    transformation: Transformation
    season: int | None
    by: By
    interacted: bool
    robust: bool
    replicates: bool | None


@dataclass(frozen=True, slots=True)
class Term:
    """One cross-section.

    label : of the term; members : treated units  # (N,); others : comparison units  # (N,)
    parts : numbers whose weighted sum is regressed  # (N, parts); shares : their weights  # (parts,)
    cohorts : first treated periods behind the parts after the first; empty when shares are fixed
    n_before : periods before adoption
    """

    label: tuple[int | str, ...]
    members: Bools
    others: Bools
    parts: Floats
    shares: Floats
    cohorts: Floats
    n_before: int


def rolling_estimate(sample: RollingSample, design: Design, options: Options) -> Estimate:
    """Every term of the question, and their Estimate."""
    sample, targets, notes = _targets(sample, design, options)
    never = np.isposinf(sample.adoption) & (sample.weight > 0)
    if options.by != "cell" and not never.any():
        raise DesignError(
            "지원받지 않은 단위가 없어 여러 코호트의 효과를 한 번에 견줄 수 없음",
            where=(f"변수 {design.adoption}",),
            remedy='by="cell" 과 comparison="not_yet" 으로 코호트와 기간마다 볼 것',
        )
    regressors = _regressors(sample.periods, options)
    if options.by == "overall":
        terms = [_composite(sample, design, targets, never, regressors)]
    else:
        terms = _each(sample, design, targets, never, regressors, options.by)
    return _assemble(sample, design, options, terms, notes)


def _targets(
    sample: RollingSample, design: Design, options: Options
) -> tuple[RollingSample, Floats, list[str]]:
    """Cohorts with a past, and the sample without the units of those that have none."""
    first, last, ahead = int(sample.periods[0]), int(sample.periods[-1]), design.anticipation
    notes = list(sample.notes)
    adoption = np.where(sample.adoption > last + ahead, np.inf, sample.adoption)
    used = sample.weight > 0
    cohorts = np.unique(adoption[used & np.isfinite(adoption)])
    if not len(cohorts):
        raise DesignError(
            "지원받은 단위가 하나도 없음",
            where=(f"변수 {design.adoption}",),
            remedy="도입 시점 변수를 확인할 것",
        )
    regressors = _regressors(sample.periods, options)
    needed = regressors.shape[1]
    pasts = [regressors[sample.periods < g - ahead] for g in cohorts]
    known = np.array([len(p) >= needed and int(np.linalg.matrix_rank(p)) == needed for p in pasts])
    early = cohorts[~known]
    gone = used & np.isin(adoption, early)
    if len(early) == len(cohorts):
        raise DesignError(
            f"코호트 {early[0]:g} 이전의 깨끗한 기간 {len(pasts[0])}개로는 평균·추세·계절 {needed}개를 정할 수 없음"
            f" (자료의 첫 기간 {first})",
            where=(f"결과 {design.outcome}",),
            remedy="더 이른 자료를 더하거나, detrend 대신 demean 을 쓰거나, season 을 빼거나, anticipation 을 줄일 것",
        )
    if len(early):
        names = ", ".join(f"{g:g}" for g in early)
        notes.append(
            f"지원 전 기간으로 평균·추세·계절 {needed}개를 정할 수 없는 코호트 {names} 의 단위 {int(gone.sum())}개는 제외"
        )
    dropped = {**sample.dropped, "already_treated": int(gone.sum())}
    sample = replace(sample, adoption=adoption, weight=np.where(gone, 0.0, sample.weight), dropped=dropped)
    return sample, np.array([g for g in cohorts[known] if g <= last]), notes


def _regressors(periods: NDArray[np.int64], options: Options) -> Floats:
    """Ones, a trend, seasons  # (T, q)"""
    columns = [np.ones(len(periods))]
    if options.transformation == "detrend":
        columns.append((periods - periods[0]).astype(np.float64))
    if options.season is not None:
        phase = periods % options.season
        columns += [(phase == s).astype(np.float64) for s in np.unique(phase)[1:]]
    return np.column_stack(columns)


def _windows(sample: RollingSample, design: Design, cohort: float) -> tuple[Bools, Bools]:
    return sample.periods < cohort - design.anticipation, sample.periods >= cohort


def _composite(
    sample: RollingSample, design: Design, targets: Floats, never: Bools, regressors: Floats
) -> Term:
    """Ever treated units with their cohort's number; never treated ones with the cohorts' weighted mean."""
    windows = [_windows(sample, design, g) for g in targets]
    numbers = rolled(sample.outcome, regressors, windows)  # (N, G)
    at = np.searchsorted(targets, sample.adoption)
    treated = np.isin(sample.adoption, targets) & (sample.weight > 0)
    own = np.where(treated, numbers[np.arange(len(at)), np.minimum(at, len(targets) - 1)], 0.0)
    members = treated & np.isfinite(own)
    mass = np.array([sample.weight[members & (sample.adoption == g)].sum() for g in targets])
    others = never & np.isfinite(numbers[:, mass > 0]).all(axis=1)
    parts = np.column_stack([np.where(members, own, 0.0), np.where(others[:, None], numbers, 0.0)])
    parts = np.where(np.isfinite(parts), parts, 0.0)
    total = mass.sum()
    shares = np.concatenate([[1.0], mass / total if total > 0 else mass])
    fewest = min(int(before.sum()) for before, _ in windows)
    return Term(("overall",), members, others, parts, shares, targets, fewest)


def _each(
    sample: RollingSample, design: Design, targets: Floats, never: Bools, regressors: Floats, by: By
) -> list[Term]:
    """A cross-section a cohort, or a cohort and period."""
    terms = []
    used = sample.weight > 0
    none = np.zeros(0)
    for g in targets:
        before, after = _windows(sample, design, g)
        wanted: list[tuple[tuple[int, ...], Bools, Bools]]
        if by == "cohort":
            wanted = [((int(g),), after, never)]
        else:
            wanted = [
                ((int(g), int(t)), sample.periods == t, _compared(sample, design, never, int(t)))
                for t in sample.periods[after]
            ]
        numbers = rolled(sample.outcome, regressors, [(before, ahead) for _, ahead, _ in wanted])
        for k, (label, _, others) in enumerate(wanted):
            seen = np.isfinite(numbers[:, k])
            members = used & (sample.adoption == g) & seen
            part = np.where(seen, numbers[:, k], 0.0)[:, None]
            terms.append(Term(label, members, others & seen, part, np.ones(1), none, int(before.sum())))
    return terms


def _compared(sample: RollingSample, design: Design, never: Bools, period: int) -> Bools:
    if design.comparison == "never":
        return never
    return (sample.weight > 0) & (sample.adoption > period + design.anticipation)


# -- one cross-section -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One term: its units, their least squares, its influence on all N units, and the deletions."""

    at: NDArray[np.int64]
    fit: CrossSection
    influence: Floats
    replicates: Floats | None


def _z(sample: RollingSample, term: Term, at: NDArray[np.int64], interacted: bool) -> tuple[Floats, Floats]:
    """Regressors 1, D, X (, D X) of the used units (n, P), and the contrast that is the effect (P,)."""
    d = term.members[at].astype(np.float64)
    x = sample.covariates[at]
    z = np.column_stack([np.ones(len(at)), d, x, *([d[:, None] * x] if interacted else [])])
    contrast = np.zeros(z.shape[1])
    contrast[1] = 1.0
    if interacted:
        w = sample.weight[at] * d
        contrast[2 + x.shape[1] :] = w @ x / w.sum()
    return z, contrast


def _fit(sample: RollingSample, options: Options, term: Term, clusters: int) -> _Fitted | str:
    """The fit, or why there is none."""
    at = np.flatnonzero(term.members | term.others)
    k = sample.covariates.shape[1]
    n1, n0 = int(term.members.sum()), int(term.others.sum())
    interacted = options.interacted and k > 0
    if not n1 or not n0:
        return "지원받은 단위가 없음" if not n1 else "비교할 단위가 없음"
    if interacted and min(n0, n1) <= k + 1:
        return f"공변량을 처치와 엮으려면 두 집단에 단위가 {k + 2}개씩은 있어야 함 ({n1}개와 {n0}개)"
    if len(at) <= 2 + k * (1 + interacted):
        return f"단위 {len(at)}개로는 분산을 추정할 자유도가 남지 않음"
    z, contrast = _z(sample, term, at, interacted)
    w = sample.weight[at]
    number = term.parts[at] @ term.shares
    fit = cross_section(number, z, w, contrast)
    if len(fit.dependent):
        column = int(fit.dependent[0]) - 2
        name = sample.names[column % k] if column >= 0 else "처치"
        return f"공변량 {name} 이(가) 쓰는 단위에서 같은 값이거나 다른 공변량의 조합임"
    n = len(sample.weight)
    influence = np.zeros(n)
    influence[at] = fit.loading * fit.residual
    if interacted:
        inside = term.members[at]
        mean = contrast[2 + k :]
        influence[at] += (
            inside * w / w[inside].sum() * ((sample.covariates[at] - mean) @ fit.coefficients[2 + k :])
        )
    if len(term.cohorts):
        influence += _share_influence(sample, term, at, fit)
    deleted = _deleted(sample, term, at, z, interacted, clusters) if clusters else None
    influence *= n
    return _Fitted(at, fit, influence, deleted)


def _share_influence(sample: RollingSample, term: Term, at: NDArray[np.int64], fit: CrossSection) -> Floats:
    """Of the cohort shares, which treated units make  # (N,)"""
    slopes = fit.loading @ term.parts[at, 1:]  # dθ/dω_g
    out = np.zeros(len(sample.weight))
    inside = np.flatnonzero(term.members)
    mass = sample.weight[inside]
    own = slopes[np.searchsorted(term.cohorts, sample.adoption[inside])]
    out[inside] = mass * (own - slopes @ term.shares[1:]) / mass.sum()
    return out


def _deleted(
    sample: RollingSample, term: Term, at: NDArray[np.int64], z: Floats, interacted: bool, clusters: int
) -> Floats:
    """The effect without each cluster  # (C,)"""
    codes, w = sample.cluster[at], sample.weight[at]
    parts = cross_moments(term.parts[at], z, w, codes, clusters)
    shares = np.repeat(term.shares[None, :], clusters, axis=0)
    if len(term.cohorts):
        inside = term.members[at]
        place = np.searchsorted(term.cohorts, sample.adoption[at][inside])
        mass = np.zeros((clusters, len(term.cohorts)))
        np.add.at(mass, (codes[inside], place), w[inside])
        left = mass.sum(axis=0) - mass
        total = left.sum(axis=1, keepdims=True)
        shares[:, 1:] = left / np.where(total > 0, total, 1.0)
    coefficients, gram = cross_section_without(parts, shares)
    out: Floats = coefficients[:, 1].copy()
    if interacted:
        k = sample.covariates.shape[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = gram[:, 1, 2 + k :] / gram[:, 1, 1][:, None]
        out += np.einsum("ck,ck->c", mean, coefficients[:, 2 + k :])
    few = 2 + sample.covariates.shape[1] * (1 + interacted)
    inside = term.members[at]
    gone = [np.bincount(codes[side], minlength=clusters) for side in (inside, ~inside)]
    treated, others = int(inside.sum()) - gone[0], int((~inside).sum()) - gone[1]
    out[treated + others <= few] = np.nan
    if interacted:  # the fit asks for as many on each side
        out[np.minimum(treated, others) <= sample.covariates.shape[1] + 1] = np.nan
    return out


# -- the result --------------------------------------------------------------------------------------------


def _covariance(
    sample: RollingSample, options: Options, kept: list[tuple[Term, _Fitted]], dof: Floats
) -> tuple[Floats, Floats]:
    """Covariance of all terms (k, k), and the residual standard deviation of each (k,)."""
    shape = (len(sample.weight), len(kept))
    loadings, residuals = np.zeros(shape, order="F"), np.zeros(shape, order="F")
    for k, (term, c) in enumerate(kept):
        root = np.sqrt(sample.weight[c.at])
        loadings[c.at, k], residuals[c.at, k] = c.fit.loading / root, c.fit.residual * root
        if not options.robust:
            continue
        if c.fit.leverage.max() >= ALONE:
            raise RefusalError(
                "한 단위가 혼자 항을 결정하여 HC3 표준오차가 정의되지 않음",
                where=(str(part) for part in term.label),
                remedy='errors="exact" 로 두고, 순열 검정이나 합성 비교집단과 견줄 것',
            )
        loadings[c.at, k] = c.fit.loading * c.fit.residual / (1 - c.fit.leverage)
    sigma = np.sqrt(np.einsum("nk,nk->k", residuals, residuals) / dof)
    if options.robust:
        return loadings.T @ loadings, sigma
    return homoskedastic(loadings, residuals, dof), sigma


def _assemble(
    sample: RollingSample, design: Design, options: Options, terms: list[Term], notes: list[str]
) -> Estimate:
    labels = len(sample.cluster_labels)
    wanted = labels <= CLUSTERS_FOR_REPLICATES if options.replicates is None else options.replicates
    fits = [_fit(sample, options, term, labels if wanted else 0) for term in terms]
    failed = [(term, fit) for term, fit in zip(terms, fits, strict=True) if isinstance(fit, str)]
    kept = [(term, fit) for term, fit in zip(terms, fits, strict=True) if not isinstance(fit, str)]
    if not kept:
        term, reason = failed[0]
        raise DesignError(
            f"추정할 수 있는 효과가 하나도 없음: {reason}",
            where=(str(part) for part in term.label),
            remedy="단위나 공변량을 조정하거나, 비교집단을 not_yet 으로 넓힐 것",
        )
    columns = [fit for _, fit in kept]
    dof = np.array([float(c.fit.dof) for c in columns])
    covariance, sigma = _covariance(sample, options, kept, dof)
    deleted = [c.replicates for c in columns if c.replicates is not None]
    names = {"overall": ["term"], "cohort": ["cohort"], "cell": ["cohort", "period"]}[options.by]
    used = np.any([term.members | term.others for term, _ in kept], axis=0)
    shares = kept[0][0].shares[1:] if len(kept[0][0].cohorts) else np.zeros(0)
    return Estimate(
        terms=pd.MultiIndex.from_tuples([term.label for term, _ in kept], names=names),
        values=np.array([c.fit.value for c in columns]),
        covariance=covariance,
        influence=np.column_stack([c.influence for c in columns]),
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=np.column_stack(deleted) if deleted else None,
        dof=dof,
        n_treated=np.array([int(term.members.sum()) for term, _ in kept]),
        n_comparison=np.array([int(term.others.sum()) for term, _ in kept]),
        method=f"lee_wooldridge/{options.transformation}",
        inference="HC3" if options.robust else "exact t",
        units=sample.units,
        design=design.to_dict(),
        detail={
            "transformation": options.transformation,
            "season": options.season,
            "adjustment": "interacted" if options.interacted else "plain",
            "level": "cluster" if sample.collapsed else "unit",
            "n_used": np.array([int((term.members | term.others).sum()) for term, _ in kept]),
            "sigma": sigma,
            "leverage": np.array([float(c.fit.leverage.max()) for c in columns]),
            "n_before": np.array([term.n_before for term, _ in kept]),
            "cohort": np.where(used, sample.adoption, np.nan),
            "weight": np.where(used, sample.weight, 0.0),
            "periods": sample.periods,
            "shares": [[float(g), float(s)] for g, s in zip(kept[0][0].cohorts, shares, strict=True)],
            "dropped": sample.dropped,
            "cells": [{"term": [str(p) for p in term.label], "reason": reason} for term, reason in failed],
            "notes": notes,
        },
    )
