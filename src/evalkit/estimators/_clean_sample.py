"""The sample behind imputation and two-stage estimators: clean cells, treated cells, and what cannot be imputed.

A cell is clean before its unit's adoption (anticipation counted), treated from then on. Every unit of the panel keeps
its row; a cell with a missing outcome, covariate or weight gets weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_stage_moments import Stages
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators._one_sided import Sides, sides_of_terms
from evalkit.estimators.cohort_sample import (
    adoption_codes,
    covariate_layers,
    gap_notes,
    not_outcome,
    weight_layers,
)
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(slots=True)
class CleanSample:
    """Arrays of one design; J cohorts are the pairs of adoption and stratum.

    outcome : (N, T); weights : (N, T) with 0 = not used, (N, 1), or None
    adoption : first treated period, +inf = never within the data  # (N,)
    dates, cohort, stratum : adoption of each cohort (J,), cohort of each unit (N,), stratum of each cohort or None
    clean, treated : cells by cohort and period  # (J, T)
    covariates, names : of the first stage, each (N, T)
    cluster, labels : codes (N,) and labels (C,)
    lost : cells whose untreated outcome cannot be imputed: cohort, period, number of units, reason
    """

    outcome: Floats
    weights: Floats | None
    adoption: Floats
    dates: Floats
    cohort: Codes
    stratum: Codes | None
    clean: Bools
    treated: Bools
    covariates: list[Floats]
    names: list[str]
    cluster: Codes
    labels: NDArray[Any]
    units: NDArray[Any]
    periods: Codes
    n_missing: int
    lost: list[list[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def used(self) -> Bools | None:
        """Cells used  # (N, T); None = all"""
        return None if self.weights is None or self.weights.shape[1] == 1 else self.weights > 0

    @property
    def event(self) -> Floats:
        """Periods since adoption, −inf for the never treated  # (J, T)"""
        return np.asarray(self.periods[None, :] - self.dates[:, None])

    def stages(self, tables: Floats, target: Bools, dense: tuple[Floats, ...], *, averages: bool) -> Stages:
        """The two stages with this second stage."""
        return Stages(
            outcome=self.outcome,
            cohort=self.cohort,
            clean=self.clean,
            target=target,
            tables=tables,
            dense=dense,
            covariates=self.covariates,
            weights=self.weights,
            stratum=self.stratum,
            averages=averages,
        )

    def count(self, cells: Bools) -> Codes:
        """Units seen in at least one of the cells of each column  # cells (J, T, K) -> (K,)"""
        out = np.zeros(cells.shape[2], dtype=np.int64)
        used = self.used
        sizes = np.bincount(self.cohort, minlength=len(self.dates))
        for g in range(len(cells)):
            if used is None:
                out += sizes[g] * cells[g].any(axis=0)
            elif cells[g].any():
                out += ((used[self.cohort == g].astype(np.float64) @ cells[g]) > 0).sum(axis=0)
        return out

    def unit_cohort(self) -> Floats:
        """Adoption of each unit, +inf = never, NaN where no cell is used  # (N,)"""
        used = self.used
        return self.adoption if used is None else np.where(used.any(axis=1), self.adoption, np.nan)

    def unit_weight(self) -> Floats:
        """Mean weight of each unit's cells, 0 where none is used  # (N,)"""
        if self.weights is None:
            return np.ones(len(self.units))
        seen = (self.weights > 0).sum(axis=1)
        return np.asarray(self.weights.sum(axis=1) / np.maximum(seen, 1))

    def sides(self, tables: Bools) -> Sides:
        """Clusters behind terms with these treated cells  # tables (J, T, k)"""
        return sides_of_terms(
            self.cohort, self.cluster, len(self.labels), self.used, tables, self.clean, self.stratum
        )

    def cell_counts(self, cells: Bools) -> int:
        """Cells used among those marked  # cells (J, T)"""
        used = self.used
        if used is None:
            return int(np.bincount(self.cohort, minlength=len(cells)) @ cells.sum(axis=1))
        return int(sum(used[self.cohort == g][:, cells[g]].sum() for g in range(len(cells))))


def draw(panel: Panel, design: Design, *, within: str | None, what: str) -> CleanSample:
    """Read the design's variables and settle which cells are used.

    Raises
    ------
    DesignError : nothing observed, one cluster, nobody treated, no clean cell
    DataError : infinite values, negative weights
    RefusalError : ``link`` other than levels, ``at_risk``
    """
    if design.link != "levels":
        raise RefusalError(
            f"{what}은(는) 수준(levels)의 평행추세만 다룸",
            where=(f"결과 {design.outcome}", f"link={design.link}"),
            remedy="비율의 평행추세는 포아송 회귀로 추정할 것",
        )
    if design.at_risk is not None:
        raise RefusalError(
            f"{what}에는 기준 기간이 없어 at_risk 를 쓸 수 없음",
            where=(f"결과 {design.outcome}", f"at_risk={design.at_risk}"),
            remedy="위험에 놓인 단위만 골라 panel.select 로 넘기거나 group_time_effects 를 쓸 것",
        )
    not_outcome(design)
    codes = adoption_codes(panel, design.adoption)
    codes = np.where(codes > panel.periods[-1] + design.anticipation, np.inf, codes)
    outcome = panel.values(design.outcome)
    covariates, names, notes = _covariates(panel, design)
    seen = _finite([outcome, *covariates], [design.outcome, *names], panel)
    weights, missing = _weights(panel, design.weight, seen)
    dates, cohort = np.unique(codes, return_inverse=True)
    stratum = None
    if within is not None:
        pairs, cohort = np.unique(panel.clusters(within)[0] * len(dates) + cohort, return_inverse=True)
        dates, stratum = dates[pairs % len(dates)], (pairs // len(dates)).astype(np.int64)
    cluster, labels = panel.clusters(design.cluster)
    first = (dates - design.anticipation)[:, None]
    sample = CleanSample(
        outcome=outcome,
        weights=weights,
        adoption=codes,
        dates=dates,
        cohort=cohort.astype(np.int64),
        stratum=stratum,
        clean=panel.periods[None, :] < first,
        treated=panel.periods[None, :] >= first,
        covariates=covariates,
        names=names,
        cluster=cluster,
        labels=labels,
        units=panel.units,
        periods=panel.periods,
        n_missing=missing,
        notes=[*notes, *gap_notes(panel.periods)],
    )
    _require(sample, design)
    return sample


def _covariates(panel: Panel, design: Design) -> tuple[list[Floats], list[str], list[str]]:
    """Varying covariates as they are; fixed ones times every period but the first (unit effects hold their level)."""
    arrays: list[Floats] = []
    names: list[str] = []
    fixed: list[str] = []
    for name, values in covariate_layers(panel, design.covariates)[0]:
        if values.ndim == 2:
            arrays.append(values)
            names.append(name)
            continue
        if np.isinf(values).any():
            raise DataError(
                f"공변량 {name} 에 무한대 값이 있음",
                where=(f"단위 {panel.units[int(np.flatnonzero(np.isinf(values))[0])]}",),
                remedy="0으로 나눈 값이나 log(0)을 먼저 고칠 것",
            )
        with np.errstate(invalid="ignore"):
            spread = np.nanstd(values) if np.isfinite(values).any() else np.nan
        if not spread > 1e-9 * max(1.0, abs(float(np.nanmean(values)))):
            raise DesignError(
                f"공변량 {name} 이(가) 모든 단위에서 같은 값임",
                where=(f"결과 {design.outcome}",),
                remedy=f"공변량에서 {name} 을(를) 뺄 것",
            )
        fixed.append(name)
        scaled = (values - np.nanmean(values)) / spread
        for t, period in enumerate(panel.periods[1:], start=1):
            column = np.zeros(panel.shape)
            column[np.isnan(scaled)] = np.nan
            column[:, t] = scaled
            arrays.append(column)
            names.append(f"{name}:{period}")
    notes = []
    if design.comparison == "never":
        notes.append("comparison=never 는 쓰이지 않는다: 아직 지원받지 않은 관측값도 모두 비교에 들어간다.")
    if fixed:
        notes.append(f"고정 공변량 {', '.join(fixed)} 은(는) 기간마다 다른 계수를 갖는다(기간과의 상호작용).")
    return arrays, names, notes


def _finite(arrays: list[Floats], names: list[str], panel: Panel) -> Bools | None:
    """Cells where every variable is observed; None = all."""
    seen: Bools | None = None
    for array, name in zip(arrays, names, strict=True):
        if np.isfinite(array.sum()):  # one cheap pass; a sum that overflows falls through to the exact check
            continue
        if np.isinf(array).any():
            i, t = np.argwhere(np.isinf(array))[0]
            raise DataError(
                f"변수 {name} 에 무한대 값이 있음",
                where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
                remedy="0으로 나눈 값이나 log(0)을 먼저 고칠 것",
            )
        here = ~np.isnan(array)
        seen = here if seen is None else seen & here
    return None if seen is None or seen.all() else seen


def _weights(panel: Panel, name: str | None, seen: Bools | None) -> tuple[Floats | None, int]:
    """Weights as (N, T), (N, 1) or None, and the number of cells not used."""
    given = None
    if name is not None:
        given = weight_layers(panel, name)
        good = given > 0  # missing and zero weights are not used
        if not good.all() or given.shape[1] > 1:
            good = np.broadcast_to(good, panel.shape)
            seen = good if seen is None else seen & good
        elif seen is None:
            return given, 0
    if seen is None:
        return None, 0
    weights = np.where(seen, 1.0 if given is None else given, 0.0)
    return weights, int(seen.size - seen.sum())


def _require(sample: CleanSample, design: Design) -> None:
    place = (f"결과 {design.outcome}",)
    used = sample.used
    if used is not None and not used.any():
        raise DesignError(
            "쓸 수 있는 관측값이 하나도 없음",
            where=place,
            remedy="결과 변수, 공변량, 가중치의 빈 값을 확인할 것",
        )
    if len(sample.labels) < 2:
        raise DesignError(
            f"{'단위가' if design.cluster is None else f'군집 {design.cluster} 이(가)'} 하나뿐이라"
            " 표준오차를 구할 수 없음",
            where=place,
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )
    if not sample.cell_counts(sample.treated):
        raise DesignError(
            "지원받은 관측값이 하나도 없음", where=place, remedy=f"변수 {design.adoption} 을(를) 확인할 것"
        )
    if not sample.cell_counts(sample.clean):
        last = float(sample.dates.max())
        raise DesignError(
            f"지원받지 않은 관측값이 하나도 없음 (가장 늦은 코호트 {last:g})",
            where=place,
            remedy="지원받지 않은 단위나 지원 전 기간의 자료를 더할 것",
        )
