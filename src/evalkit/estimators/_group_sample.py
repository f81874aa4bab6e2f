"""Units sorted by group, where a group is any tuple of fixed facts: path of treatments, cohort × tier, cohort × eligibility.

Every comparison is then a few slices of one set of arrays, as in `cohort_sample` (Callaway and Sant'Anna 2021), whose
steps are used here. What a comparison is, the methods decide: a group is treated, others are its comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.doubly_robust import Method
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, nearest
from evalkit.estimators.cohort_sample import (
    adoption_codes,
    covariate_layers,
    covariate_stack,
    gap_notes,
    outcome_layers,
    seen_rows,
    standardise,
    weight_layers,
)
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Span = tuple[int, int]
Missing = Literal["drop", "pairs"]
CLUSTERS_FOR_REPLICATES = 400


@dataclass(frozen=True, slots=True)
class GroupSample:
    """Used units in order of group, then of cluster.

    order : positions of the n used units in the panel  # (n,)
    keys : facts of each group, in lexical order  # (G, q)
    starts : group j holds units starts[j]..starts[j+1]-1  # (G+1,)
    periods : labels  # (T,)
    y : outcomes less a constant  # (T, n)
    observed : None when every unit is seen in every period  # (T, n)
    at_risk : who may enter a comparison with this base period; None = all  # (T, n)
    x : covariates, standardised, the first ones  # (1 or T, p, n)
    w : weights  # (1 or T, n)
    share : weight of each unit in averages over groups  # (n,)
    cluster, labels : codes of the n units, and the panel's clusters
    codes : cluster codes of all N units of the panel  # (N,)
    """

    order: Ints
    keys: Floats
    starts: Ints
    periods: Ints
    y: Floats
    observed: NDArray[np.bool_] | None
    at_risk: NDArray[np.bool_] | None
    x: Floats
    w: Floats
    share: Floats
    cluster: Ints
    labels: NDArray[Any]
    codes: Ints
    columns: tuple[str, ...]
    dropped: dict[str, int]
    notes: tuple[str, ...]

    @property
    def by_pairs(self) -> bool:
        """Whether each cell has a sample of its own."""
        return self.observed is not None or self.at_risk is not None

    def sizes(self) -> Ints:
        """Units of each group  # (G,)"""
        return np.diff(self.starts)

    def spans(self, groups: NDArray[np.bool_]) -> tuple[Span, ...]:
        """Stretches of units of the chosen groups, neighbours joined."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], groups, [False]]).astype(np.int8)))
        return tuple((int(self.starts[a]), int(self.starts[b])) for a, b in edges.reshape(-1, 2))

    def before(self, start: float, anticipation: int) -> int | None:
        """Position of the last period before `start` in which nothing can show yet; None where there is none."""
        clean = np.flatnonzero(self.periods + anticipation < start)
        return int(clean[-1]) if len(clean) else None


def check_options(design: Design, method: str, missing: str) -> None:
    """Refuse what no comparison of groups can do.

    Raises
    ------
    RefusalError : link "ratios"
    DesignError : an option that is not known
    """
    if design.link != "levels":
        raise RefusalError(
            f"이 방법의 효과는 수준 척도에서만 정의됨 (link={design.link})",
            remedy='link="levels" 로 두거나, 비율의 평행추세는 포아송 회귀로 추정할 것',
        )
    for given, known, what in (
        (method, get_args(Method), "추정 방법"),
        (missing, get_args(Missing), "빠진 칸을 다루는 방법"),
    ):
        if given not in known:
            raise DesignError(f"{what} {given!r} 을(를) 모름", remedy=nearest(given, known))


def starting_periods(panel: Panel, name: str, design: Design) -> Floats:
    """First treated periods; what starts after the data (anticipation counted) is never  # (N,)"""
    codes = adoption_codes(panel, name)
    return np.where(codes > panel.periods[-1] + design.anticipation, np.inf, codes)


def wants_replicates(replicates: bool | None, design: Design, clusters: int) -> bool:
    """Whether clusters are left out: when asked, or when they are few and are not the units."""
    if replicates is None:
        return design.cluster is not None and clusters <= CLUSTERS_FOR_REPLICATES
    return replicates


def build_groups(panel: Panel, design: Design, keys: Floats, missing: Missing) -> GroupSample:
    """The sample of a design for given groups.

    Parameters
    ----------
    keys : facts of each unit; a row with NaN leaves  # (N, q)

    Raises
    ------
    DesignError : nothing observed, one cluster, no unit left, a covariate that cannot be used
    DataError : negative weights, infinite values
    """
    layers, x_varies = covariate_layers(panel, design.covariates)
    weights = weight_layers(panel, design.weight)
    codes, labels = panel.clusters(design.cluster)
    if len(labels) < 2:
        raise DesignError(
            f"{'단위가' if design.cluster is None else '군집이'} {len(labels)}개뿐이라 표준오차를 구할 수 없음",
            where=() if design.cluster is None else (f"군집 {design.cluster}",),
            remedy="단위를 더할 것" if design.cluster is None else "더 잘게 나뉜 군집 변수를 쓸 것",
        )
    seen = seen_rows(panel, design, weights, layers)
    columns = np.flatnonzero(seen.any(axis=0))
    if len(columns) < 2:
        raise DesignError(
            f"결과 변수 {design.outcome} 이(가) 관측된 기간이 {len(columns)}개뿐임",
            remedy="변수와 기간을 확인하고 둘 이상의 기간이 있는 자료를 넣을 것",
        )
    empty, gone = ~seen.any(axis=1), np.isnan(keys).any(axis=1)
    seen = seen[:, columns] if len(columns) < seen.shape[1] else seen
    enough = seen.any(axis=1) if missing == "pairs" else seen.all(axis=1)
    members = np.flatnonzero(~gone & enough)
    if not len(members):
        raise DesignError(
            "모든 기간이 관측된 단위가 없음",
            where=(f"결과 {design.outcome}",),
            remedy='missing="pairs" 로 계산하거나 기간을 줄일 것',
        )
    groups, of = distinct_rows(keys[members])
    place = of if design.cluster is None else of * len(labels) + codes[members]
    # short codes are sorted by radix
    order = members[np.argsort(place.astype(np.int16) if place.max() < 2**15 else place, kind="stable")]
    rows = np.ascontiguousarray(seen[order].T)
    observed = None if missing == "drop" or rows.all() else rows
    names = tuple(name for name, _ in layers)
    x = covariate_stack(layers, order, columns, x_varies)
    standardise(x, observed, names, design.outcome)
    w = np.ascontiguousarray((weights[order][:, columns] if weights.shape[1] > 1 else weights[order]).T)
    y, share = outcome_layers(panel.values(design.outcome), w, order, columns, observed)
    return GroupSample(
        order=order,
        keys=groups,
        starts=np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(groups)))]),
        periods=panel.periods[columns],
        y=y,
        observed=observed,
        at_risk=_at_risk(panel, design, order, columns),
        x=x,
        w=w,
        share=share,
        cluster=codes[order],
        labels=labels,
        codes=codes,
        columns=names,
        dropped={
            "unobserved": int(empty.sum()),
            "incomplete": int((~gone & ~enough & ~empty).sum()),
        },
        notes=(*_notes(int((~gone & ~enough).sum())), *gap_notes(panel.periods[columns])),
    )


def distinct_rows(keys: Floats) -> tuple[Floats, Ints]:
    """Distinct rows in lexical order (G, q), and the code of each row (n,): one hash of each column, no sort of rows."""
    codes = np.zeros(len(keys), dtype=np.int64)
    columns = []
    for column in keys.T:
        own, levels = pd.factorize(column, sort=True)
        columns.append(np.asarray(levels, dtype=np.float64))
        codes = codes * len(levels) + own
    sizes = [len(levels) for levels in columns]
    present = np.flatnonzero(np.bincount(codes, minlength=int(np.prod(sizes))))
    place = np.zeros(int(np.prod(sizes)), dtype=np.int64)
    place[present] = np.arange(len(present))
    at = np.unravel_index(present, sizes)
    return np.stack([levels[i] for levels, i in zip(columns, at, strict=True)], axis=1), place[codes]


def _notes(left: int) -> tuple[str, ...]:
    if not left:
        return ()
    return (f"빠진 값이 있는 단위 {left}개는 쓰지 않음: missing='pairs' 로 두면 두 시점이 있는 칸에는 쓴다",)


def _at_risk(panel: Panel, design: Design, order: Ints, columns: Ints) -> NDArray[np.bool_] | None:
    if design.at_risk is None:
        return None
    with np.errstate(invalid="ignore"):
        return np.ascontiguousarray((panel.values(design.at_risk)[order][:, columns] > 0).T)


def fixed_labels(panel: Panel, name: str) -> tuple[Floats, list[Any]]:
    """Codes of a fixed variable (N,), NaN where it is missing, and its labels in order."""
    raw = panel.constant(name)
    if raw.dtype.kind in "iufb":
        values = raw.astype(np.float64)
        if np.isinf(values).any():
            raise DataError(f"변수 {name} 에 무한대가 있음", remedy="값이 없는 단위는 빈 값으로 둘 것")
        known = np.unique(values[~np.isnan(values)])
        codes = np.where(np.isnan(values), np.nan, np.searchsorted(known, values).astype(np.float64))
        return codes, [int(v) if float(v).is_integer() else float(v) for v in known]
    text = raw.astype(str)
    words = np.unique(text[text != ""])
    found = np.searchsorted(words, text).astype(np.float64)
    return np.where(text == "", np.nan, found), [str(word) for word in words]
