"""From a matched synthetic path to an Estimate: terms, delete-one refits, inference, and what the reader must know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators._synthetic_draws import checked_replications, placebo_roles, rank_p_values
from evalkit.estimators._synthetic_match import Matcher
from evalkit.estimators._synthetic_permutations import (
    Target,
    conformal_interval,
    conformal_p,
    jackknife_plus,
    placebo_gaps,
    rmspe_ratio,
)
from evalkit.estimators._synthetic_sample import SyntheticSample, draw
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Inference = Literal["placebo", "conformal", "jackknife_plus", "none"]
Terms = Literal["overall", "event_time"]
Permutations = Literal["shifts", "random"]

MOST_REFITS = 1_000  # delete-one refits of an augmented fit, which share nothing
VISIBLE = 0.01  # donor weights that a sentence names


@dataclass(frozen=True, slots=True)
class Settings:
    """Options that both methods share."""

    terms: Terms
    inference: Inference
    replications: int
    seed: int
    level: float
    permutations: Permutations = "shifts"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("terms", self.terms, ("overall", "event_time")),
            ("inference", self.inference, ("placebo", "conformal", "jackknife_plus", "none")),
        ):
            if value not in known:
                raise UsageError(
                    f"{name} {value!r} 은(는) 쓸 수 없음", remedy=f"{', '.join(known)} 가운데 고를 것"
                )
        if self.permutations not in ("shifts", "random"):
            raise UsageError(
                f"permutations {self.permutations!r} 은(는) 쓸 수 없음",
                remedy="shifts 또는 random 으로 적을 것",
            )
        checked_replications(self.replications)
        if not 0 < self.level < 1:
            raise UsageError(f"신뢰수준 {self.level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")


INSTEAD = 'inference="conformal" 이나 "jackknife_plus" 를 쓰거나'


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison: the sample, the treated path and what stands beside donors and treated."""

    sample: SyntheticSample
    target: Target
    beside: Floats | None  # (n, q): covariates or weighted predictors of every unit
    columns: NDArray[np.int64]  # periods matched

    @property
    def treated(self) -> NDArray[np.int64]:
        return self.sample.cohorts[0].treated


def read(panel: Panel, design: Design, fit_periods: tuple[int, ...] | None = None) -> Case:
    """The sample with one adoption date; covariates are read apart, not projected."""
    sample = draw(panel, replace(design, covariates=()), single=True)
    cohort = sample.cohorts[0]
    columns = cohort.pre
    if fit_periods is not None:
        columns = columns[np.isin(sample.periods[columns], np.asarray(fit_periods))]
        if len(columns) < 2:
            raise DesignError(
                f"맞출 기간 {tuple(fit_periods)} 가운데 지원 전의 관측 기간이 {len(columns)}개뿐임",
                remedy=f"{sample.periods[cohort.pre[0]]}…{sample.periods[cohort.pre[-1]]} 안에서 둘 이상 고를 것",
            )
    path = sample.outcome[cohort.treated].mean(axis=0)
    return Case(sample, Target(path, None, columns, cohort.post), None, columns)


def beside(case: Case, values: Floats) -> Case:
    """The same case with variables of every unit (n, q) beside the outcomes; those of the treated are averaged."""
    mean = values[case.treated].mean(axis=0)
    return replace(case, beside=values, target=replace(case.target, beside=mean))


def unit_means(panel: Panel, sample: SyntheticSample, name: str, periods: NDArray[np.int64]) -> Floats:
    """A variable of each unit: fixed, or the mean of what is observed over some periods  # (n,)"""
    if name in panel.fixed:
        raw = panel.constant(name)
        if raw.dtype.kind not in "iufb":
            raise DesignError(f"변수 {name} 이(가) 숫자가 아님", remedy="숫자로 된 변수를 쓸 것")
        values = raw.astype(np.float64)[sample.position]
    else:
        cells = panel.values(name)[sample.position][:, np.isin(panel.periods, periods)]
        seen = ~np.isnan(cells)
        with np.errstate(invalid="ignore"):
            values = np.where(seen, cells, 0.0).sum(axis=1) / seen.sum(axis=1)
    if not np.isfinite(values).all():
        unit = sample.units[~np.isfinite(values)][0]
        raise DataError(
            f"변수 {name} 의 값이 없거나 무한대임",
            where=(f"단위 {unit}", f"기간 {periods[0]}…{periods[-1]}"),
            remedy=f"{name} 을(를) 채우거나 빼고, 관측된 다른 기간을 쓸 것",
        )
    donors = values[sample.donors]
    if not donors.std() > 1e-12 * max(1.0, np.abs(donors).max()):
        raise DesignError(f"변수 {name} 이(가) 비교 단위에서 모두 같은 값임", remedy=f"{name} 을(를) 뺄 것")
    return np.asarray(values)


def cells_of(case: Case, terms: Terms) -> tuple[pd.MultiIndex, Floats]:
    """Labels and the mean over periods that each term is  # (k, T)"""
    periods, cohort = case.sample.periods, case.sample.cohorts[0]
    if terms == "overall":
        cells = np.zeros((1, len(periods)))
        cells[0, cohort.post] = 1.0 / len(cohort.post)
        return pd.MultiIndex.from_arrays([["overall"]], names=["term"]), cells
    clock = periods - cohort.adoption
    return pd.MultiIndex.from_arrays([clock], names=["event_time"]), np.eye(len(periods))


def estimate(
    case: Case, matcher: Matcher, design: Design, settings: Settings, method: str, extra: dict[str, Any]
) -> Estimate:
    """The Estimate of a matched case."""
    sample, target = case.sample, case.target
    labels, cells = cells_of(case, settings.terms)
    own = None if target.beside is None else target.beside[None]
    weights = matcher.weights(target.path[None], own, case.columns)[0]
    gaps = matcher.gaps(target.path[None], weights[None], case.columns)[0]
    values, k = cells @ gaps, len(cells)
    length = float(np.linalg.norm(gaps[case.columns]))
    equal = matcher.gaps(target.path[None], np.full((1, len(weights)), 1.0 / len(weights)), case.columns)[0]
    even = float(np.linalg.norm(equal[case.columns]))
    replicates = _replicates(case, matcher, weights, values, cells)
    detail: dict[str, Any] = {
        "weights": weights,
        "donors": sample.units[sample.donors],
        "periods": sample.periods,
        "fit_periods": sample.periods[case.columns],
        "gaps": gaps,
        "synthetic": matcher.centred(target.path[None], case.columns)[0] - gaps,
        "pre_fit": float(np.sqrt((gaps[case.columns] ** 2).mean())),
        "imbalance": length,
        "scaled_imbalance": length / even if even > 0 else float("nan"),
        "noise": _noise(case),
        "dropped": dict(sample.dropped),
        **extra,
        **_inference(case, matcher, settings, values, gaps, cells),
    }
    detail["notes"] = [*sample.notes, *extra.get("notes", []), *_notes(case, matcher, detail, replicates)]
    return Estimate(
        terms=labels,
        values=values,
        covariance=np.full((k, k), np.nan),
        influence=None,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=replicates,
        dof=np.full(k, np.nan),
        n_treated=np.full(k, len(case.treated)),
        n_comparison=np.full(k, len(sample.donors)),
        method=method,
        inference=settings.inference,
        units=sample.units,
        design=design.to_dict(),
        detail=detail,
    )


def _noise(case: Case) -> float:
    """Standard deviation of the donors' first differences before adoption."""
    before = case.sample.outcome[np.ix_(case.sample.donors, case.sample.cohorts[0].pre)]
    return float(np.diff(before, axis=1).std(ddof=1))


def _replicates(
    case: Case, matcher: Matcher, weights: Floats, values: Floats, cells: Floats
) -> Floats | None:
    """Terms without each cluster, matched anew; a donor without weight leaves the optimum where it was  # (C, k)"""
    sample, clusters = case.sample, len(case.sample.cluster_labels)
    donor, own = sample.cluster[sample.donors], sample.cluster[case.treated]
    moved = np.ones(clusters, dtype=bool)
    if matcher.plain:
        used = np.bincount(donor, weights != 0, minlength=clusters) > 0
        moved = used | (np.bincount(own, minlength=clusters) > 0)
    elif clusters > MOST_REFITS:
        return None
    out = np.repeat(values[None], clusters, axis=0)
    at = np.flatnonzero(moved)
    stays = own[None, :] != at[:, None]  # (M, N_tr)
    copies = (donor[None, :] != at[:, None]).astype(np.float64)
    fine = stays.any(axis=1) & (copies.sum(axis=1) >= 2)
    out[at[~fine]] = np.nan
    at, stays, copies = at[fine], stays[fine], copies[fine]
    if not len(at):
        return out
    mean = stays / stays.sum(axis=1, keepdims=True)
    paths = mean @ sample.outcome[case.treated]
    around = None if case.beside is None else mean @ case.beside[case.treated]
    refitted = matcher.weights(paths, around, case.columns, copies)
    out[at] = matcher.gaps(paths, refitted, case.columns) @ cells.T
    return out


def _inference(
    case: Case, matcher: Matcher, settings: Settings, values: Floats, gaps: Floats, cells: Floats
) -> dict[str, Any]:
    sample, target, alpha = case.sample, case.target, 1 - settings.level
    if settings.inference == "placebo":
        roles, enumerated = placebo_roles(sample, settings.replications, settings.seed, INSTEAD)
        around = None if case.beside is None else case.beside[sample.donors]
        pretended = placebo_gaps(matcher, target, roles, around)
        ratio = rmspe_ratio(gaps[None], case.columns, target.post)
        ratios = rmspe_ratio(pretended, case.columns, target.post)
        return {
            "placebos": pretended @ cells.T,
            "placebo_p": rank_p_values(pretended @ cells.T, values),
            "placebo_p_ratio": float(rank_p_values(ratios[:, None], ratio)[0]),
            "placebo_p_smallest": 1.0 / (1 + len(roles)),
            "rmspe_ratio": float(ratio[0]),
            "enumerated": enumerated,
            "seed": settings.seed,
        }
    if settings.inference == "none":
        return {}
    if matcher.predictors is not None:
        raise RefusalError(
            "예측변수로 맞춘 합성 대조에는 기간을 바꾸어 보는 추론(conformal, jackknife_plus)이 없음",
            remedy='inference="placebo" 를 쓰거나 predictors 없이 결과의 경로로 맞출 것',
        )
    low, high = np.full(len(cells), np.nan), np.full(len(cells), np.nan)
    known = {"level": settings.level, "conf_low": low, "conf_high": high}
    post = [target.post[cells[j, target.post] != 0] for j in range(len(cells))]
    if settings.inference == "jackknife_plus":
        if len(case.columns) < 3:
            raise RefusalError(
                f"지원 전 기간이 {len(case.columns)}개뿐이라 한 기간씩 뺀 구간(jackknife_plus)을 낼 수 없음",
                remedy='inference="placebo" 를 쓸 것',
            )
        shown = np.array([len(after) > 0 for after in post])
        bounds = jackknife_plus(matcher, target, cells, alpha)
        low[shown], high[shown] = bounds[0][shown], bounds[1][shown]
        return known
    p = np.full(len(cells), np.nan)
    steps, smallest = p.copy(), p.copy()
    orders = (None if settings.permutations == "shifts" else settings.replications, settings.seed)
    scale = max(float(np.abs(gaps[case.columns]).max()), 0.1 * _noise(case))
    for j, after in enumerate(post):
        if len(after):
            p[j] = conformal_p(matcher, target, np.zeros(1), after, *orders)[0]
            low[j], high[j], steps[j] = conformal_interval(
                matcher, target, after, values[j], scale, alpha, *orders
            )
            smallest[j] = 1.0 / (len(case.columns) + len(after) if orders[0] is None else orders[0] + 1)
    return {**known, "conformal_p": p, "conformal_p_smallest": smallest, "grid_step": steps}


def _notes(case: Case, matcher: Matcher, detail: dict[str, Any], replicates: Floats | None) -> list[str]:
    """What the reader must know about this match."""
    weights, names, notes = detail["weights"], detail["donors"], []
    order = np.argsort(-weights, kind="stable")
    named = [f"{names[i]} {weights[i]:.2f}" for i in order if weights[i] >= VISIBLE]
    notes.append(
        f"합성에 든 비교 단위({len(named)}개): {', '.join(named)}. 서로 많이 다른 단위를 섞어 맞춘 값은 "
        "결과가 특성과 곧은 비례가 아닐 때 치우친다(보간 편의): 닮은 단위들인지 볼 것."
    )
    if detail["pre_fit"] > detail["noise"]:
        notes.append(
            f"지원 전 적합이 나쁘다(차이의 제곱평균제곱근 {detail['pre_fit']:.3g}, 비교 단위의 해마다의 흔들림 "
            f"{detail['noise']:.3g}). 효과로 읽지 말고 fixed_effects 나 합성 이중차분과 견줄 것."
        )
    donors = matcher.centred(case.sample.outcome[case.sample.donors], case.columns)[:, case.columns]
    path = matcher.centred(case.target.path[None], case.columns)[0, case.columns]
    outside = int(((path > donors.max(axis=0)) | (path < donors.min(axis=0))).sum())
    if outside:
        notes.append(
            f"지원 전 {len(path)}개 기간 가운데 {outside}개에서 처치 단위가 모든 비교 단위의 범위 밖에 있다."
        )
    size = float(np.abs(donors - path).max())
    if matcher.plain and matcher.predictors is None and detail["pre_fit"] < 1e-9 * size:
        notes.append(
            "지원 전 경로가 남김없이 맞아 가중치가 하나로 정해지지 않는다: 기간에 견주어 비교 단위가 많다."
        )
    if (weights < -1e-12).any():
        notes.append(
            f"음의 가중치의 합이 {weights[weights < 0].sum():.3f} 이다: 그만큼 비교 단위의 범위 밖으로 뻗어 맞추었다."
        )
    if replicates is None:
        notes.append(f"군집이 {MOST_REFITS:,}개보다 많아 군집을 하나씩 뺀 추정치를 두지 않았다.")
    notes.append(
        "처치 경로 하나에 대한 표준오차는 없다. p값과 구간은 detail 에 있는 순열·적합성 추론의 것이다."
    )
    return notes
