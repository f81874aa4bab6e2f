"""Rows of repeated cross-sections in order of period and cohort, so that every side of a comparison is a slice or two.

Who is left out follows the sample of group-time effects (`evalkit.estimators.cohort_sample`): rows with a missing value
leave first; without never treated rows the periods from the last adoption on are cut; cohorts already treated in the
first period (anticipation counted) leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimators.cohort_sample import gap_notes, not_outcome, standardise
from evalkit.estimators.group_time_cells import Cell
from evalkit.sample import Sample

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CrossSectionRows:
    """Used rows sorted by period, cohort (never treated last), cluster.

    order : positions of the m used rows in the sample  # (m,)
    cohorts : codes, +inf = never treated  # (G,); periods : labels  # (T,)
    starts : rows of cohort j in period t are starts[t G + j] .. starts[t G + j + 1] − 1  # (T G + 1,)
    targets : positions of the cohorts whose effects are wanted
    y : outcomes less their mean; x : standardised, the first ones  # (m,), (p, m)
    w, cluster : (m,)
    cohort_of, share : of all n rows; NaN and 0 where unused
    """

    order: NDArray[np.int64]
    cohorts: Floats
    periods: NDArray[np.int64]
    starts: NDArray[np.int64]
    targets: NDArray[np.int64]
    y: Floats
    x: Floats
    w: Floats
    cluster: NDArray[np.int64]
    cohort_of: Floats
    share: Floats
    columns: tuple[str, ...]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def treated(self, cell: Cell, period: int) -> slice:
        """Rows of a cell's cohort in a period."""
        at = period * len(self.cohorts) + cell.cohort
        return slice(int(self.starts[at]), int(self.starts[at + 1]))

    def compared(self, cell: Cell, period: int) -> list[slice]:
        """Rows that a cell compares with in a period: cohorts from the first clean one on, its own left out."""
        first = period * len(self.cohorts)
        low, high = (
            int(self.starts[first + cell.first_comparison]),
            int(self.starts[first + len(self.cohorts)]),
        )
        own = self.treated(cell, period)
        pieces = (
            [slice(low, high)]
            if cell.cohort < cell.first_comparison
            else [slice(low, own.start), slice(own.stop, high)]
        )
        return [piece for piece in pieces if piece.stop > piece.start]


def cohort_codes(sample: Sample, name: str) -> Floats:
    """First treated period of each row's group, +inf = never.

    Raises
    ------
    DesignError : a code is not a whole positive period
    """
    codes = sample.numbers(name)
    codes = np.where(np.isnan(codes), np.inf, codes)
    wrong = (codes <= 0) | (np.isfinite(codes) & (codes != np.floor(codes)))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DesignError(
            f"도입 시점 변수 {name} 의 값 {codes[at]:g} 은(는) 기간이 아님 (같은 문제 {int(wrong.sum())}개 관측)",
            where=(f"관측 {sample.labels[at]}",),
            remedy="지원받지 않은 집단의 관측은 0 이 아니라 빈 값(무한대)으로 적을 것",
        )
    return np.asarray(codes)


def draw_rows(sample: Sample, design: Design) -> CrossSectionRows:
    """The rows of a design.

    Raises
    ------
    DesignError : no clean period, no comparison, a covariate that cannot be used
    DataError : negative weights, infinite values
    """
    not_outcome(design)
    codes = cohort_codes(sample, design.adoption)
    y = _finite(sample, design.outcome, "결과 변수")
    layers = _covariates(sample, design.covariates)
    w = np.ones(len(sample)) if design.weight is None else _finite(sample, design.weight, "가중치")
    if (w < 0).any():
        at = int(np.flatnonzero(w < 0)[0])
        raise DataError(
            f"가중치 {design.weight} 에 음수가 있음",
            where=(f"관측 {sample.labels[at]}",),
            remedy="0 이상의 유한한 수로 적을 것",
        )
    seen = ~np.isnan(y) & ~np.isnan(w)
    for _, values in layers:
        seen &= ~np.isnan(values)
    notes: list[str] = []
    dropped = {"unobserved": int((~seen).sum())}
    codes, seen, labels, last_target = _settle(sample, design, codes, seen, dropped, notes)
    rows = np.flatnonzero(seen)
    cohorts = np.sort(pd.unique(codes[rows]))
    of = np.searchsorted(cohorts, codes[rows])
    targets = _targets(cohorts, last_target, design)
    when = np.searchsorted(labels, sample.periods[rows])
    cluster = sample.clusters(design.cluster)[0]
    key = when * len(cohorts) + of
    by_cluster = key if design.cluster is None else key * (int(cluster.max()) + 1) + cluster[rows]
    # short codes are sorted by radix
    short = by_cluster.astype(np.int16) if by_cluster.max() < 2**15 else by_cluster
    order = rows[np.argsort(short, kind="stable")]
    names = tuple(name for name, _ in layers)
    x = np.ones((1, len(layers) + 1, len(order)))
    for j, (_, values) in enumerate(layers, start=1):
        x[0, j] = values[order]
    standardise(x, None, names, design.outcome)
    share = np.zeros(len(sample))
    share[order] = w[order]
    return CrossSectionRows(
        order=order,
        cohorts=cohorts,
        periods=labels,
        starts=np.concatenate([[0], np.cumsum(np.bincount(key, minlength=len(cohorts) * len(labels)))]),
        targets=targets,
        y=y[order] - y[order].mean(),
        x=x[0],
        w=w[order],
        cluster=cluster[order],
        cohort_of=np.where(seen, codes, np.nan),
        share=share,
        columns=names,
        dropped=dropped,
        notes=(*notes, *gap_notes(labels)),
    )


def _finite(sample: Sample, name: str, what: str) -> Floats:
    values = sample.numbers(name)
    if np.isinf(values).any():
        at = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(
            f"{what} {name} 에 무한대가 있음",
            where=(f"관측 {sample.labels[at]}", f"{sample.periods[at]}"),
            remedy="0 의 로그처럼 정의되지 않는 값은 변환을 바꾸거나 빈 값으로 둘 것",
        )
    return values


def _covariates(sample: Sample, names: tuple[str, ...]) -> list[tuple[str, Floats]]:
    """(name, (n,)); strings become dummies without the first level."""
    layers: list[tuple[str, Floats]] = []
    for name in names:
        raw: NDArray[Any] = sample.column(name)
        if raw.dtype.kind in "iufb":
            layers.append((name, _finite(sample, name, "공변량")))
            continue
        levels = [level for level in np.unique(raw) if level]
        layers += [(f"{name}={level}", np.where(raw == "", np.nan, raw == level)) for level in levels[1:]]
    return layers


def _settle(
    sample: Sample,
    design: Design,
    codes: Floats,
    seen: NDArray[np.bool_],
    dropped: dict[str, int],
    notes: list[str],
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64], float]:
    """Codes, rows that stay, periods that stay, and the last code that is a target."""
    labels = np.sort(pd.unique(sample.periods[seen]))
    if not len(labels):
        raise DesignError(f"결과 변수 {design.outcome} 의 관측값이 없음", remedy="변수와 기간을 확인할 것")
    ahead, last_target = design.anticipation, np.inf
    codes = np.where(codes > labels[-1] + ahead, np.inf, codes)
    if not np.isposinf(codes[seen]).any():
        last = float(codes[seen].max())
        labels = labels[labels < last - ahead]
        if design.comparison == "never":
            codes = np.where(codes == last, np.inf, codes)
            notes.append(f"지원받지 않은 집단이 없어 마지막 코호트 {last:g} 을(를) 비교집단으로 씀")
        else:
            last_target = last
            notes.append(f"지원받지 않은 집단이 없어 마지막 코호트 {last:g} 은(는) 비교집단으로만 씀")
        notes.append(f"{last - ahead:g} 이후의 기간은 비교할 집단이 없어 쓰지 않음")
    if len(labels) < 2:
        raise DesignError(
            f"비교에 쓸 수 있는 기간이 {len(labels)}개뿐임",
            where=(f"결과 {design.outcome}",),
            remedy="지원받지 않은 집단이나 더 이른 기간의 자료를 더할 것",
        )
    seen = seen & np.isin(sample.periods, labels)
    first = int(labels[0])
    early = seen & np.isfinite(codes) & (codes <= first + ahead)
    dropped["already_treated"] = int(early.sum())
    left = seen & ~early
    if early.any() and not np.isfinite(codes[left]).any():
        raise DesignError(
            f"코호트 {codes[early].min():g} 이전의 깨끗한 기간이 없음 (자료의 첫 기간 {first}, 예상 효과 {ahead}기간)",
            where=(f"결과 {design.outcome}",),
            remedy=f"{first} 이전의 자료를 더하거나, 결과 변수를 바꾸거나, anticipation 을 줄일 것",
        )
    if early.any():
        gone = ", ".join(f"{code:g}" for code in np.unique(codes[early]))
        notes.append(
            f"첫 기간 {first} 에 이미 지원받은 코호트 {gone} 의 관측 {int(early.sum())}개는 기준 기간이 없어 제외"
        )
    return codes, left, labels, last_target


def _targets(cohorts: Floats, last_target: float, design: Design) -> NDArray[np.int64]:
    targets = np.flatnonzero(np.isfinite(cohorts) & (cohorts < last_target))
    if not len(targets):
        raise DesignError(
            "효과를 추정할 수 있는 코호트가 없음",
            where=(f"결과 {design.outcome}",),
            remedy="지원받은 집단과 지원 전 기간이 자료에 있는지 확인할 것",
        )
    if len(cohorts) == 1:
        raise DesignError(
            "비교할 집단이 없음", where=(f"결과 {design.outcome}",), remedy="지원받지 않은 집단을 더할 것"
        )
    return targets
