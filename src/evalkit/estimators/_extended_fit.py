"""The fit behind `evalkit.estimators.extended_two_way`: cell moments, or rows where covariates meet a link."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.saturated import (
    MOMENT_LIMIT,
    CellMoments,
    Fit,
    Group,
    Link,
    cell_moments,
    fit_cells,
    fit_rows,
    pseudo_inverse,
)
from evalkit.arrays.saturated_effects import Cells, Effects, effects_of_cells, effects_of_rows, influence
from evalkit.design import Design
from evalkit.estimators._saturated_sample import Trimmed

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Scale = Literal["outcome", "relative", "counterfactual"]

# clusters beyond which replicates are not made unless asked for
CLUSTERS_FOR_REPLICATES = 1_000
# clusters × cells × (1 + covariates) beyond which refits on rows are not made unless asked for
ROWS_FOR_REPLICATES = 50_000_000
REASONS = {
    "unidentified": "지원 전 관측값이나 비교할 단위가 없어 지원이 없었을 때의 평균을 정할 수 없음",
    "edge": "지원 전 결과가 모두 0(비율이면 0 이나 1)이라 지원이 없었을 때의 평균을 정할 수 없음",
    "negative": "지원이 없었을 때의 평균이 0 이하라 그에 대한 비율이 뜻을 잃음",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a fit."""

    link: Link
    scale: Scale
    fixed: bool
    unit_effects: bool
    replicates: bool | None


@dataclass(frozen=True, slots=True)
class Fitted:
    """Numbers of the K cells.

    values, covariance, influence, replicates : as in Estimate
    observed, untreated, weight : mean outcome, its mean without the programme, and sum of weights  # (K,)
    reasons : why a cell has no estimate, "" where it has one
    cluster, cluster_labels, units : of the rows of the influence function
    cohort_of, share : adoption and weight in cohort shares of those units
    detail : counts for small-sample corrections, and what the two-way fit keeps
    """

    values: Floats
    covariance: Floats
    influence: Floats
    replicates: Floats | None
    observed: Floats
    untreated: Floats
    weight: Floats
    reasons: list[str]
    cluster: Codes
    cluster_labels: NDArray[Any]
    units: NDArray[Any]
    cohort_of: Floats
    share: Floats
    detail: dict[str, Any]


def scaled(scale: Scale, observed: Floats, untreated: Floats) -> Floats:
    """The value on the scale asked for, from the two means."""
    if scale == "outcome":
        return observed - untreated
    if scale == "counterfactual":
        return untreated
    positive = np.where(untreated > 0, untreated, np.nan)
    return (observed - untreated) / positive


def factors(scale: Scale, observed: Floats, untreated: Floats) -> tuple[Floats, Floats]:
    """Derivatives of the value in the mean observed and in the untreated mean."""
    one = np.ones(len(observed))
    if scale == "outcome":
        return one, -one
    if scale == "counterfactual":
        return 0 * one, one
    positive = np.where(untreated > 0, untreated, np.nan)
    return 1 / positive, -observed / positive**2


def _reasons(scale: Scale, effects: Effects) -> list[str]:
    out = []
    for known, untreated in zip(effects.known[0], effects.untreated[0], strict=True):
        if not known:
            out.append("unidentified")
        elif np.isnan(untreated):
            out.append("edge")
        else:
            out.append("negative" if scale == "relative" and untreated <= 0 else "")
    return out


# -- cohort and period effects ----------------------------------------------------------------------------


def groups_of(
    trimmed: Trimmed, outcome: str, covariates: Floats, cluster: Codes
) -> tuple[list[Group], float]:
    """The units of each cohort; the linear link's outcome less its mean, which is returned."""
    y = trimmed.panel.values(outcome)
    seen = trimmed.seen
    weights = np.ones((len(y), 1)) if trimmed.weights is None else trimmed.weights
    if seen is not None:
        weights = np.where(seen, weights, 0.0)
        y = np.where(seen, y, 0.0)
    z = np.column_stack([np.ones(len(y)), covariates])
    out = []
    for g in range(len(trimmed.cohorts)):
        rows = np.flatnonzero(trimmed.cohort == g)
        out.append(Group(rows, y[rows], weights[rows], z[rows], cluster[rows], trimmed.clean[g]))
    total = sum(float((g.w * g.y).sum()) for g in out)
    mass = sum(float(g.w.sum()) * (y.shape[1] if g.w.shape[1] == 1 else 1) for g in out)
    return out, total / mass


def _centred(groups: list[Group], centre: float) -> list[Group]:
    return [replace(g, y=np.where(g.w > 0, g.y - centre, 0.0)) for g in groups]


def saturated_fit(
    trimmed: Trimmed, design: Design, request: Request, covariates: Floats, cells: Cells
) -> Fitted:
    """Effects, influence and replicates from the clean cells' cohort and period effects."""
    link, n = request.link, trimmed.panel.shape[0]
    codes, labels = trimmed.panel.clusters(design.cluster)
    groups, centre = groups_of(trimmed, design.outcome, covariates, codes)
    if link == "linear":
        groups = _centred(groups, centre)
    on_rows = link != "linear" and covariates.shape[1] > 0
    wanted = _wants_replicates(request, trimmed, len(labels), covariates.shape[1] if on_rows else 0)
    by_cluster = cell_moments(groups, len(labels) if wanted else None)
    whole = CellMoments(
        by_cluster.gram.sum(axis=0, keepdims=True), by_cluster.cross.sum(axis=0, keepdims=True)
    )
    if on_rows:
        fit, effects = _rows_fit(link, groups, whole, trimmed, cells)
    else:
        fit = fit_cells(link, whole, trimmed.clean)
        effects = effects_of_cells(link, fit, whole, cells)
    shift = centre if link == "linear" else 0.0
    observed, untreated = effects.observed[0] + shift, effects.untreated[0] + shift
    reasons = _reasons(request.scale, replace(effects, untreated=untreated[None]))
    on = factors(request.scale, observed, untreated)
    psi = influence(link, groups, fit, effects, cells, n, *on, fixed=request.fixed)
    replicates = None
    if wanted and on_rows:
        left = [
            _rows_fit(link, groups, _less(whole, by_cluster, c), trimmed, cells, fit, c)[1]
            for c in range(len(labels))
        ]
        replicates = scaled(
            request.scale,
            np.concatenate([e.observed for e in left]),
            np.concatenate([e.untreated for e in left]),
        )
    elif wanted:
        rest = CellMoments(whole.gram - by_cluster.gram, whole.cross - by_cluster.cross)
        rest = _without_dust(rest, whole)
        again = fit_cells(link, rest, trimmed.clean, fit.theta)
        after = effects_of_cells(link, again, rest, cells)
        replicates = scaled(request.scale, after.observed + shift, after.untreated + shift)
    detail = _counts(trimmed, request, whole, fit, cells)
    weights = np.ones((n, 1)) if trimmed.weights is None else trimmed.weights
    return Fitted(
        values=scaled(request.scale, observed, untreated),
        covariance=cv1(psi, codes, len(labels), detail),
        influence=psi,
        replicates=replicates,
        observed=observed,
        untreated=untreated,
        weight=effects.weight[0],
        reasons=reasons,
        cluster=codes,
        cluster_labels=labels,
        units=trimmed.panel.units,
        cohort_of=trimmed.adoption,
        share=share_of(weights, trimmed.seen),
        detail=detail,
    )


def _rows_fit(
    link: Link,
    groups: list[Group],
    moments: CellMoments,
    trimmed: Trimmed,
    cells: Cells,
    start: Fit | None = None,
    without: int | None = None,
) -> tuple[Fit, Effects]:
    """With covariates and a link; the first guess is the fit without covariates."""
    if start is None:
        plain = CellMoments(moments.gram[..., :1, :1], moments.cross[..., :1])
        theta = np.zeros((sum(trimmed.clean.shape), moments.cross.shape[-1]))
        theta[:, 0] = np.maximum(fit_cells(link, plain, trimmed.clean).theta[0, :, 0], -20.0)
    else:
        theta = start.theta[0]
    fit = fit_rows(link, groups, theta, without)
    return fit, effects_of_rows(link, fit, groups, moments, cells, without)


def _less(whole: CellMoments, by_cluster: CellMoments, c: int) -> CellMoments:
    return CellMoments(whole.gram - by_cluster.gram[c : c + 1], whole.cross - by_cluster.cross[c : c + 1])


def _without_dust(rest: CellMoments, whole: CellMoments) -> CellMoments:
    """A cell that lost all its units holds nothing, not what subtraction leaves behind."""
    empty = rest.gram[..., 0, 0] <= 1e-12 * whole.gram[..., 0, 0]
    return CellMoments(
        np.where(empty[..., None, None], 0.0, rest.gram), np.where(empty[..., None], 0.0, rest.cross)
    )


def _wants_replicates(request: Request, trimmed: Trimmed, clusters: int, covariates: int) -> bool:
    if request.replicates is not None:
        return request.replicates
    q = covariates + 1
    n, t = trimmed.panel.shape
    if covariates and clusters * n * t * q > ROWS_FOR_REPLICATES:
        return False
    return clusters <= CLUSTERS_FOR_REPLICATES and clusters * trimmed.clean.size * q * q <= MOMENT_LIMIT


def share_of(weights: Floats, seen: NDArray[np.bool_] | None) -> Floats:
    """Mean weight of each unit over the cells it is seen in  # (N,)"""
    if seen is None:
        return np.asarray(weights.mean(axis=1))
    return np.asarray(np.where(seen, weights, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))


def _counts(trimmed: Trimmed, request: Request, whole: CellMoments, fit: Fit, cells: Cells) -> dict[str, Any]:
    """Observations and parameters, the unit effects absorbed (nested in clusters) where they were asked for."""
    gram = whole.gram[0]
    treated = pseudo_inverse(gram[cells.cohort, cells.period]).rank.sum()
    periods = trimmed.panel.shape[1]
    parameters = int(fit.rank[0] + treated)
    if request.unit_effects:
        kept = (gram * trimmed.clean[:, :, None, None]).sum(axis=1)
        parameters -= int(pseudo_inverse(kept).rank.sum()) - 1
    return {
        "n_obs": int(trimmed.counts.sum()),
        "n_units": trimmed.panel.shape[0],
        "n_periods": periods,
        "n_period_effects": periods,
        "period_rank": periods - 1,
        "periods_nested": False,
        "n_regressors": parameters - periods,
    }


def cv1(psi: Floats, codes: Codes, clusters: int, detail: dict[str, Any]) -> Floats:
    """CV1 as fixest makes it: K counts the parameters that are not nested in clusters."""
    n, k = detail["n_obs"], detail["n_regressors"] + detail["n_period_effects"]
    factor = clusters / (clusters - 1) * (n - 1) / max(n - k, 1)
    return np.asarray(factor * sandwich(psi, codes, clusters))
