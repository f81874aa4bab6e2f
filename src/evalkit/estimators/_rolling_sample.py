"""The units behind `evalkit.estimators.lee_wooldridge`, averaged to clusters where treatment was assigned to those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.cohort_sample import adoption_codes, covariate_layers, weight_layers
from evalkit.panel import Panel

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RollingSample:
    """Units of one cross-section.

    outcome : NaN = not observed  # (N, T)
    adoption : first treated period, +inf never  # (N,)
    weight : 0 = unit not used  # (N,)
    covariates : standardised, NaN = missing  # (N, K)
    cluster, cluster_labels, units : (N,), (C,), (N,)
    """

    outcome: Floats
    periods: NDArray[np.int64]
    adoption: Floats
    weight: Floats
    covariates: Floats
    names: tuple[str, ...]
    cluster: NDArray[np.int64]
    cluster_labels: NDArray[Any]
    units: NDArray[Any]
    collapsed: bool
    dropped: dict[str, int]
    notes: tuple[str, ...]


def rolling_sample(panel: Panel, design: Design, *, collapse: bool) -> RollingSample:
    """Read the design's variables.

    Raises
    ------
    DesignError, DataError, RefusalError : as `lee_wooldridge_effects`
    """
    if design.link != "levels":
        raise RefusalError(
            f"단위별 변환은 수준 척도에서만 정의됨 (link={design.link})",
            remedy='link="levels" 로 두거나, 비율의 평행추세는 포아송 회귀로 추정할 것',
        )
    if design.at_risk is not None:
        raise RefusalError(
            f"단위별 변환에는 기준 기간이 없어 at_risk={design.at_risk} 를 쓸 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="위험에 놓인 단위만 골라 panel.select 로 넘기거나 group_time_effects 를 쓸 것",
        )
    adoption = adoption_codes(panel, design.adoption)
    outcome = panel.values(design.outcome)
    if np.isinf(outcome).any():
        i, t = np.argwhere(np.isinf(outcome))[0]
        raise DataError(
            f"결과 변수 {design.outcome} 에 무한대가 있음",
            where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
            remedy="0 의 로그처럼 정의되지 않는 값은 변환을 바꾸거나 빈 값으로 둘 것",
        )
    names, covariates, given = _unit_variables(panel, design)
    codes, labels = panel.clusters(design.cluster)
    weight = np.where(np.isnan(given) | np.isnan(covariates).any(axis=1), 0.0, given)
    units: NDArray[Any] = panel.units
    notes: list[str] = []
    if collapse:
        outcome, adoption, covariates, weight = _collapsed(
            panel, design, (outcome, adoption, covariates, weight), codes, labels
        )
        units, codes = labels, np.arange(len(labels), dtype=np.int64)
        notes.append(f"결과를 {design.cluster} {len(labels)}개로 모아 군집을 단위로 썼다.")
    elif design.cluster is not None:
        notes.append(
            f"단위를 {design.cluster} 로 모으지 않았다: 같은 {design.cluster} 안의 단위가 함께 움직이면 정확한 t 가 아니다."
        )
    unobserved = (weight <= 0) | np.isnan(outcome).all(axis=1)
    weight = np.where(unobserved, 0.0, weight)
    known = outcome[(weight > 0)[:, None] & ~np.isnan(outcome)]
    if len(known) > 1 and np.ptp(known) == 0:
        raise DesignError(
            f"결과 {design.outcome} 의 값이 모두 {known[0]:g} 로 같음", remedy="결과 변수를 확인할 것"
        )
    if not (weight > 0).any():
        raise DesignError(
            f"결과 변수 {design.outcome} 의 쓸 수 있는 관측값이 없음", remedy="변수와 기간을 확인할 것"
        )
    return RollingSample(
        outcome=outcome,
        periods=panel.periods,
        adoption=adoption,
        weight=weight,
        covariates=_standardised(covariates, weight),
        names=names,
        cluster=codes,
        cluster_labels=labels,
        units=units,
        collapsed=collapse,
        dropped={"unobserved": int(unobserved.sum())},
        notes=tuple(notes),
    )


def _unit_variables(panel: Panel, design: Design) -> tuple[tuple[str, ...], Floats, Floats]:
    """Names of the covariates, their values (N, K), and the weights (N,): one value a unit."""
    layers, varies = covariate_layers(panel, design.covariates)
    if varies:
        name = next(name for name, values in layers if values.ndim == 2)
        raise DesignError(
            f"공변량 {name} 이(가) 시간에 따라 바뀜: 단위마다 한 값만 쓸 수 있음",
            remedy="지원 전의 값이나 평균을 고정 변수로 만들어 쓸 것",
        )
    weights = weight_layers(panel, design.weight)
    if weights.shape[1] > 1:
        raise DesignError(
            f"가중치 {design.weight} 이(가) 시간에 따라 바뀜",
            remedy="지원 전의 값을 고정 변수로 만들어 쓸 것",
        )
    covariates = (
        np.column_stack([values for _, values in layers]) if layers else np.zeros((len(panel.units), 0))
    )
    if np.isinf(covariates).any():
        i, k = np.argwhere(np.isinf(covariates))[0]
        raise DataError(
            f"공변량 {layers[k][0]} 에 무한대가 있음",
            where=(f"단위 {panel.units[i]}",),
            remedy="변환을 바꾸거나 빈 값으로 둘 것",
        )
    return tuple(name for name, _ in layers), covariates, weights[:, 0]


def _collapsed(
    panel: Panel,
    design: Design,
    given: tuple[Floats, Floats, Floats, Floats],
    codes: NDArray[np.int64],
    labels: NDArray[Any],
) -> tuple[Floats, Floats, Floats, Floats]:
    """Weighted means by cluster and period; a cluster counts once."""
    outcome, adoption, covariates, weight = given
    count = len(labels)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    used = weight > 0
    np.minimum.at(low, codes[used], adoption[used])
    np.maximum.at(high, codes[used], adoption[used])
    mixed = np.flatnonzero((low < high) & (high > -np.inf))
    if len(mixed):
        raise DesignError(
            f"도입 시점이 한 {design.cluster} 안에서 서로 다름 ({low[mixed[0]]:g} 와 {high[mixed[0]]:g})",
            where=(f"{design.cluster}={labels[mixed[0]]}",),
            remedy='지원을 정한 수준의 군집을 쓰거나, level="unit" 으로 단위를 그대로 쓸 것',
        )
    seen = ~np.isnan(outcome) & used[:, None]
    sums, mass = np.zeros((count, outcome.shape[1])), np.zeros((count, outcome.shape[1]))
    for t in range(outcome.shape[1]):
        w = np.where(seen[:, t], weight, 0.0)
        mass[:, t] = np.bincount(codes, w, minlength=count)
        sums[:, t] = np.bincount(codes, np.where(seen[:, t], weight * outcome[:, t], 0.0), minlength=count)
    total = np.bincount(codes, weight, minlength=count)
    means = [np.bincount(codes, weight * np.where(used, x, 0.0), minlength=count) for x in covariates.T]
    with np.errstate(invalid="ignore", divide="ignore"):
        outcome = np.where(mass > 0, sums / mass, np.nan)
        covariates = np.column_stack(means) / total[:, None] if means else np.zeros((count, 0))
    present = total > 0
    return outcome, np.where(present, low, np.inf), covariates, present.astype(np.float64)


def _standardised(covariates: Floats, weight: Floats) -> Floats:
    """Centred and scaled over used units: the effect is unchanged, and what is collinear does not depend on units."""
    used = weight > 0
    if not covariates.shape[1]:
        return covariates
    centre, spread = covariates[used].mean(axis=0), covariates[used].std(axis=0)
    out: Floats = (covariates - centre) / np.where(spread > 0, spread, 1.0)
    return np.where(used[:, None], out, 0.0)
