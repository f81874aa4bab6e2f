"""The fits behind `evalkit.estimators.spillovers`: from states of cells to an Estimate, in one regression or two stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.two_stage import two_stage
from evalkit.arrays.two_stage_moments import Stages
from evalkit.arrays.two_way import Regression
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._exposure import OUT, Exposure, Terms, patterns, terms_of
from evalkit.estimators._one_sided import judged
from evalkit.estimators._two_way_fit import solve
from evalkit.estimators._two_way_sample import Sample, draw
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
CLUSTERS_FOR_REPLICATES = 400


# -- one regression ------------------------------------------------------------------------------------


def one_regression(panel: Panel, design: Design, exposure: Exposure) -> Estimate:
    """Unit and period effects beside D and (1 − D) Ring; left-out cells are not observed."""
    out = exposure.states == OUT
    if out.any():
        panel = panel.with_varying(**{design.outcome: np.where(out, np.nan, panel.values(design.outcome))})
    sample, exposure = _drawn(panel, design, exposure)
    cohort, first = patterns(exposure, np.zeros(sample.n_units, dtype=bool))
    shared = exposure.of(first)
    seen = sample.counts(cohort, len(first))
    terms = terms_of(shared, sample.periods, seen, by_event_time=False, leads=False)
    _require_direct(terms, design)
    regression = Regression(sample.outcome, terms.tables, cohort, sample.dense, sample.weights)
    labels = [kind if kind == "direct" else f"ring {ring}" for kind, ring, _ in terms.labels]
    fit = solve(sample, regression, [*labels, *sample.covariates], shown=len(labels))
    if np.isnan(fit.values).any():
        lost = ", ".join(label for label, bad in zip(labels, np.isnan(fit.values), strict=True) if bad)
        raise DesignError(
            f"항 {lost} 을(를) 단위 효과와 기간 효과에서 구별할 수 없음",
            remedy="지정 전 기간과, 어느 고리에도 들지 않는 먼 단위를 자료에 넣을 것",
        )
    treated, never = _units_behind(sample, cohort, terms, shared)
    cells = np.einsum("jt,jtk->k", seen, terms.tables)
    index = _index(terms, "none")
    clean, hit = shared.states == 0, terms.tables != 0
    covariance, told = judged(sample, cohort, hit, clean, index, fit.values, fit.covariance, design)
    notes = [*exposure.notes, *fit.detail["notes"], *told, *_compared_with_treated(sample, seen, shared)]
    detail = {
        **fit.detail,
        "cells": cells,
        "dropped": _dropped(exposure, sample, int(out.sum())),
        "notes": notes,
    }
    return Estimate(
        terms=index,
        values=fit.values,
        covariance=covariance,
        influence=fit.influence,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=fit.replicates,
        dof=np.full(len(terms.labels), float(len(sample.cluster_labels) - 1)),
        n_treated=treated,
        n_comparison=np.full(len(terms.labels), never),
        method="spillovers/static",
        inference="CV1",
        units=sample.units,
        design=design.to_dict(),
        detail=detail,
    )


def _compared_with_treated(sample: Sample, seen: Floats, shared: Exposure) -> list[str]:
    """Sentences on comparisons with cells that are treated or near themselves."""
    here, clean = seen > 0, (seen > 0) & (shared.states == 0)
    always = int(seen.max(axis=1)[here.any(axis=1) & ~clean.any(axis=1)].sum())
    bare = [str(sample.periods[t]) for t in np.flatnonzero(here.any(axis=0) & ~clean.any(axis=0))]
    notes = []
    if always:
        notes.append(
            f"관측된 모든 기간에 지원이나 고리 안에 있던 단위 {always}개가 비교 대상처럼 쓰임: 효과가 해마다 다르면 틀어짐"
        )
    if bare:
        notes.append(
            f"{', '.join(bare)} 에는 지원도 고리도 없는 단위가 없음: 효과가 해마다 다르면 계수가 틀어짐"
        )
    return notes


# -- two stages ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Patterns of the units of a sample; those without a clean cell have patterns of their own."""

    cohort: Codes
    shared: Exposure
    seen: Floats  # observed cells (J, T)
    lost: NDArray[np.bool_]  # patterns that cannot be imputed (J,)
    n_lost: int


def two_stages(
    panel: Panel,
    design: Design,
    exposure: Exposure,
    *,
    by_event_time: bool,
    leads: bool,
    replicates: bool | None,
    phases: bool = False,
) -> Estimate:
    sample, exposure = _drawn(panel, design, exposure)
    drawn = _patterns(sample, exposure)
    terms = terms_of(
        drawn.shared,
        sample.periods,
        np.where(drawn.lost[:, None], 0.0, drawn.seen),
        by_event_time=by_event_time,
        leads=leads,
    )
    if not phases:
        _require_direct(terms, design)
    target = (terms.tables != 0).any(axis=2) & ~drawn.lost[:, None]
    clean = (drawn.shared.states == 0) & ~drawn.lost[:, None]
    _require_clean(sample, drawn, clean, target)
    outcome, dense, weights = sample.outcome, sample.dense, sample.weights
    stages = Stages(outcome, drawn.cohort, clean, target, terms.tables, covariates=dense, weights=weights)
    clusters = len(sample.cluster_labels)
    if replicates is None:
        replicates = design.cluster is not None and clusters <= CLUSTERS_FOR_REPLICATES
    fit = two_stage(stages, sample.cluster, clusters, replicates=replicates)
    solution = fit.solution
    kept = solution.first_kept[stages.n_period_effects :]
    collinear = [name for name, good in zip(sample.covariates, kept, strict=True) if not good]
    if solution.uncovered is not None:
        raise _uncovered(sample, solution.uncovered, collinear)
    deleted = fit.replicates
    if deleted is not None and not phases:
        direct = np.array([kind == "direct" for kind, _, _ in terms.labels])
        deleted[np.isnan(deleted[:, direct]).all(axis=1)] = np.nan
    treated, never = _units_behind(sample, drawn.cohort, terms, drawn.shared)
    detail = _detail(sample, exposure, drawn, terms, solution.parts.second.sum(axis=0))
    detail["slopes"] = solution.theta[stages.n_period_effects :]
    detail["n_clean_units"] = never
    detail["collinear"] = collinear
    index = _index(terms, "phase" if phases else "event_time" if by_event_time else "none")
    hit = (terms.tables != 0) & ~drawn.lost[:, None, None]
    plain = sandwich(fit.influence, sample.cluster, clusters)
    covariance, told = judged(sample, drawn.cohort, hit, clean, index, fit.values, plain, design)
    detail["notes"] += told
    return Estimate(
        terms=index,
        values=fit.values,
        covariance=covariance,
        influence=fit.influence,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=deleted,
        dof=np.full(len(terms.labels), np.inf),
        n_treated=treated,
        n_comparison=np.full(len(terms.labels), never),
        method="spillovers/two_stage",
        inference="IF",
        units=sample.units,
        design=design.to_dict(),
        detail=detail,
    )


def _uncovered(sample: Sample, cells: NDArray[np.bool_], collinear: list[str]) -> DesignError:
    i, t = np.argwhere(cells)[0]
    where = (f"단위 {sample.units[i]}", f"기간 {sample.periods[t]}")
    if collinear:
        return DesignError(
            f"공변량 {', '.join(collinear)} 이(가) 지원도 고리도 없는 칸에서는 단위·기간 효과와 구별되지 않아"
            " 다른 칸을 채울 수 없음",
            where=where,
            remedy=f"공변량에서 {', '.join(collinear)} 을(를) 빼거나, 깨끗한 칸에서도 바뀌는 변수를 쓸 것",
        )
    return DesignError(
        "지원받지 않았다면 어땠을지를 깨끗한 칸으로 채울 수 없는 칸이 있음",
        where=where,
        remedy="먼 곳의 단위나 지정 전 기간을 더하거나, 그 단위를 제외할 것",
    )


def _drawn(panel: Panel, design: Design, exposure: Exposure) -> tuple[Sample, Exposure]:
    """The sample of a regression, and the exposure of its units."""
    sample = draw(panel, replace(design, anticipation=0))
    same = len(sample.units) == len(panel.units)
    rows = np.arange(len(panel.units)) if same else pd.Index(panel.units).get_indexer(pd.Index(sample.units))
    return sample, exposure.of(rows)


def _patterns(sample: Sample, exposure: Exposure) -> _Drawn:
    clean = exposure.states == 0
    used = sample.used
    lost = ~(clean if used is None else clean & used).any(axis=1)
    cohort, first = patterns(exposure, lost)
    seen = sample.counts(cohort, len(first))
    return _Drawn(cohort, exposure.of(first), seen, lost[first], int(lost.sum()))


def _require_direct(terms: Terms, design: Design) -> None:
    if not any(kind == "direct" and (e is None or e >= 0) for kind, _, e in terms.labels):
        raise DesignError(
            "지원받은 칸 가운데 지원 전의 깨끗한 칸이 있는 단위의 것이 없음",
            where=(f"변수 {design.adoption}", f"결과 {design.outcome}"),
            remedy="지원 전 기간의 자료를 더할 것",
        )


def _require_clean(
    sample: Sample, drawn: _Drawn, clean: NDArray[np.bool_], target: NDArray[np.bool_]
) -> None:
    if not (clean & (drawn.seen > 0)).any():
        raise DesignError(
            "지원도 고리도 없는 깨끗한 칸이 하나도 없음",
            remedy="먼 곳의 단위나 지정 전 기간을 더하거나 고리를 줄일 것",
        )
    bare = ((target & (drawn.seen > 0)).any(axis=0)) & ~((clean & (drawn.seen > 0)).any(axis=0))
    if bare.any():
        raise DesignError(
            f"기간 {sample.periods[int(np.flatnonzero(bare)[0])]} 에 지원도 고리도 없는 단위가 하나도 없음",
            remedy="모든 고리 밖의 먼 단위를 더하거나, 바깥 고리를 줄이거나, 그 기간을 뺄 것",
        )


def _units_behind(
    sample: Sample, cohort: Codes, terms: Terms, shared: Exposure
) -> tuple[NDArray[np.int64], int]:
    """Units with an observed cell in each term (k,), and units that are clean throughout."""
    used = sample.used
    sizes = np.bincount(cohort, minlength=len(shared.states))
    counts = np.zeros(terms.tables.shape[2], dtype=np.int64)
    for g in range(len(sizes)):
        hit = terms.tables[g] != 0  # (T, k)
        if not hit.any():
            continue
        if used is None:
            counts += sizes[g] * hit.any(axis=0)
        else:
            counts += ((used[cohort == g].astype(np.float64) @ hit) > 0).sum(axis=0)
    return counts, int(sizes[~(shared.states > 0).any(axis=1)].sum())


def _dropped(exposure: Exposure, sample: Sample, out: int = 0) -> dict[str, int]:
    return {**exposure.counts, "missing": sample.n_missing - out, "singletons": sample.n_singletons}


def _detail(
    sample: Sample, exposure: Exposure, drawn: _Drawn, terms: Terms, second: Floats
) -> dict[str, Any]:
    notes = [*exposure.notes, *sample.notes]
    if drawn.n_lost:
        notes.append(
            f"지원이나 고리가 없는 깨끗한 기간이 없어 비교할 기준이 없는 단위 {drawn.n_lost}개는 어느 항에도 들지 않는다."
        )
    shown = {(kind, ring) for kind, ring, _ in terms.labels}
    empty = [f"{kind} {ring}".strip() for kind, ring in exposure.labels if (kind, ring) not in shown]
    if empty:
        notes.append(f"관측된 칸이 없는 항: {', '.join(empty)}")
    seen = np.where(drawn.lost[:, None], 0.0, drawn.seen)
    return {
        "cells": np.einsum("jt,jtk->k", seen, terms.tables),
        "mass": np.diag(second).copy(),
        "n_patterns": len(drawn.seen),
        "dropped": {**_dropped(exposure, sample), "never_clean": drawn.n_lost},
        "covariates": list(sample.covariates),
        "notes": notes,
    }


def _index(terms: Terms, extra: Literal["none", "event_time", "phase"]) -> pd.MultiIndex:
    """Terms as (kind, ring), with event time or phase where there is one."""
    if extra == "phase":
        parts = [(*kind.split(" "), ring) for kind, ring, _ in terms.labels]
        rows = [(kind, ring, int(phase)) for kind, phase, ring in parts]
        return pd.MultiIndex.from_tuples(rows, names=["kind", "ring", "phase"])
    if extra == "event_time":
        return pd.MultiIndex.from_tuples(list(terms.labels), names=["kind", "ring", "event_time"])
    return pd.MultiIndex.from_tuples([label[:2] for label in terms.labels], names=["kind", "ring"])
