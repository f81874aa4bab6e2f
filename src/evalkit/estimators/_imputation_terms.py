"""The averages of imputed effects that become terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.two_stage_moments import Stages
from evalkit.errors import DataError, DesignError, UsageError, nearest
from evalkit.estimators._clean_sample import CleanSample
from evalkit.estimators._one_sided import Sides
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]
By = Literal["cohort_period", "event_time", "cohort", "period", "overall"]


@dataclass(frozen=True, slots=True)
class Terms:
    """index : labels (k); tables (J, T, k) or dense weights (N, T) each; target : treated cells in any term (J, T)

    label : how they were chosen; n_treated, n_comparison : units with a treated cell in a term, and clean units in
    one of its periods  # (k,)
    """

    index: pd.MultiIndex
    tables: Floats
    dense: tuple[Floats, ...]
    target: Bools
    label: str
    n_treated: Codes
    n_comparison: Codes

    def name(self, k: int) -> str:
        """The label of a term in words."""
        parts = self.index[k]
        return "·".join(str(part) for part in parts)

    def sides(self, sample: CleanSample, settled: Bools) -> Sides:
        """Clusters behind the terms; nothing is said of those that are settled already."""
        tables = np.asarray((self.tables != 0) & self.target[:, :, None])
        if self.dense:  # cohorts and periods that a weight reaches
            tables = np.zeros((*self.target.shape, len(self.dense)), dtype=bool)
            for k, weights in enumerate(self.dense):
                for g in range(len(self.target)):
                    tables[g, :, k] = (weights[sample.cohort == g] > 0).any(axis=0)
        found = sample.sides(tables)
        return Sides(np.where(settled, 0, found.least), np.where(settled, 0, found.most))


def terms_of(panel: Panel, sample: CleanSample, by: By | Sequence[str]) -> Terms:
    """Indicators or weights of each term.

    Raises
    ------
    UsageError : an average that is not known
    DesignError, DataError : a weight variable that is absent, negative, infinite, or 0 on every treated cell
    """
    if not isinstance(by, str):
        return _custom(panel, sample, tuple(by))
    if by not in get_args(By):
        raise UsageError(
            f"by 값 {by!r} 은(는) 쓸 수 없음",
            remedy=f"{nearest(by, get_args(By))}. 가중치 변수는 목록으로 적을 것",
        )
    shape = sample.treated.shape
    cohorts = np.broadcast_to(sample.dates[:, None], shape)
    periods = np.broadcast_to(sample.periods[None, :].astype(np.float64), shape)
    keys: dict[str, Callable[[], Floats]] = {
        "cohort_period": lambda: np.stack([cohorts, periods], axis=2),
        "event_time": lambda: sample.event[:, :, None],
        "cohort": lambda: cohorts[:, :, None],
        "period": lambda: periods[:, :, None],
        "overall": lambda: np.zeros((*shape, 1)),
    }
    target: Bools = np.asarray(sample.treated & _observed(sample))
    if by in ("cohort", "period", "overall"):
        target = np.asarray(target & (sample.event >= 0))
    if not target.any():
        raise DesignError(
            "평균할 지원 후 관측값이 없음", where=(f"by={by}",), remedy='by="event_time" 으로 볼 것'
        )
    found, place = np.unique(keys[by]()[target], axis=0, return_inverse=True)
    tables = np.zeros((*shape, len(found)))
    at = np.argwhere(target)
    tables[at[:, 0], at[:, 1], place.ravel()] = 1.0
    names = {"cohort_period": ["cohort", "period"], "overall": ["term"]}.get(by, [by])
    labels: list[Any] = [["overall"]] if by == "overall" else [column.astype(np.int64) for column in found.T]
    index = pd.MultiIndex.from_arrays(labels, names=names)
    used: Bools = np.asarray(tables > 0)
    comparison = sample.clean[:, :, None] & np.asarray(used.any(axis=0))[None]
    return Terms(index, tables, (), target, by, sample.count(used), sample.count(comparison))


def _observed(sample: CleanSample) -> Bools:
    """Cohorts and periods with an observation  # (J, T)"""
    used = sample.used
    if used is None:
        sizes = np.bincount(sample.cohort, minlength=len(sample.dates))
        return np.repeat(sizes[:, None] > 0, len(sample.periods), axis=1)
    return np.stack([used[sample.cohort == g].any(axis=0) for g in range(len(sample.dates))])


def _custom(panel: Panel, sample: CleanSample, names: tuple[str, ...]) -> Terms:
    if not names or len(set(names)) < len(names):
        raise UsageError(f"가중치 변수 {names} 이(가) 비었거나 겹침", remedy="변수 이름을 하나씩 적을 것")
    target = sample.treated & (sample.event >= 0)
    cells = target[sample.cohort]
    if sample.used is not None:
        cells = cells & sample.used
    clean = sample.clean[sample.cohort] if sample.used is None else sample.clean[sample.cohort] & sample.used
    dense, treated, comparison = [], [], []
    for name in names:
        weights = np.where(cells, _weights(panel, name), 0.0)
        weights[np.isnan(weights)] = 0.0
        wrong = (weights < 0) | np.isinf(weights)
        if wrong.any():
            unit, period = np.argwhere(wrong)[0]
            raise DataError(
                f"가중치 변수 {name} 의 값 {weights[unit, period]:g} 을(를) 쓸 수 없음",
                where=(f"단위 {panel.units[unit]}", f"{panel.periods[period]}"),
                remedy="0 이상의 유한한 수로 적을 것",
            )
        if not (weights > 0).any():
            raise DesignError(
                f"가중치 변수 {name} 이(가) 지원받은 모든 관측값에서 0 이거나 비어 있음",
                remedy="지원받은 관측값 가운데 평균할 것을 양수로 적을 것",
            )
        dense.append(weights)
        treated.append(int((weights > 0).any(axis=1).sum()))
        comparison.append(int(clean[:, (weights > 0).any(axis=0)].any(axis=1).sum()))
    index = pd.MultiIndex.from_arrays([list(names)], names=["term"])
    tables = np.zeros((*target.shape, 0))
    return Terms(index, tables, tuple(dense), target, "weights", np.array(treated), np.array(comparison))


def _weights(panel: Panel, name: str) -> Floats:
    if name in panel.varying:
        return panel.values(name)
    if name not in panel.fixed:
        raise DesignError(
            f"가중치 변수 {name!r} 이(가) 패널에 없음", remedy=nearest(name, [*panel.varying, *panel.fixed])
        )
    raw = panel.constant(name)
    if raw.dtype.kind not in "iufb":
        raise DesignError(f"가중치 변수 {name} 이(가) 숫자가 아님", remedy="숫자 변수를 고를 것")
    return np.asarray(np.broadcast_to(raw.astype(np.float64)[:, None], panel.shape))


def effective_sizes(stages: Stages) -> Floats:
    """(Σ v)² / Σ v² over treated cells of each term  # (K,)"""
    first, second = np.zeros(stages.n_second), np.zeros(stages.n_second)
    tables = int(stages.tables.shape[2])
    cells, squares = stages.target_sums()
    first[:tables] = np.einsum("jt,jtk->k", cells, stages.tables)
    second[:tables] = np.einsum("jt,jtk->k", squares, stages.tables**2)
    for d, x in enumerate(stages.dense, start=tables):
        weights = x * stages.target[stages.cohort]
        if stages.weights is not None:
            weights = weights * stages.weights
        first[d], second[d] = weights.sum(), np.square(weights).sum()
    return np.divide(first**2, second, out=np.zeros_like(first), where=second > 0)


def remarks(terms: Terms, kind: Codes, effective: Floats, few: Bools, least: float | None) -> list[str]:
    """Sentences on terms without a standard error, with a coarser one, suppressed, or with little behind them."""
    notes: list[str] = []
    alone = [terms.name(k) for k in np.flatnonzero(kind < 0).tolist()]
    if alone:
        notes.append(
            f"지원받은 군집이 하나뿐이어서 표준오차를 구할 수 없는 항: {', '.join(alone)}. "
            'by="event_time" 이나 "overall" 로 묶거나 군집을 뺀 추정치를 쓴다.'
        )
    moved = [terms.name(k) for k in np.flatnonzero(kind > 0).tolist()]
    if moved:
        notes.append(
            f"군집이 하나뿐인 칸이 있어 더 넓은 묶음의 평균으로 표준오차를 구한 항: {', '.join(moved)}."
        )
    if few.any():
        suppressed = [terms.name(k) for k in np.flatnonzero(few).tolist()]
        notes.append(f"유효 관측수가 {least:g} 보다 적어 값을 싣지 않은 항: {', '.join(suppressed)}.")
    small = int((effective < 30).sum())
    if small and least is None:
        notes.append(
            f"유효 관측수가 30보다 적은 항이 {small}개 있다(detail 의 effective): 정규근사가 거칠다."
        )
    return notes
