"""Cluster-level effects: one effect a treated cluster from comparison clusters of its own, or one change a cluster.

Effects from disjoint sets of clusters are independent whatever goes on within clusters, and need not have the same
variance: the input of `sign_changes` and `ibragimov_muller` (Ibragimov & Müller 2010; Canay, Romano & Shaikh 2017). Changes
from before to after one adoption date are the input of the two-sample test, of `single_treated_cluster` and of
`evalkit.arrays.permutations.permutation_t`. Checked: tests/reference/test_cluster_effects.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.cohort_sample import adoption_codes, weight_layers
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.refit import Fit, only_term
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

CARDS = (
    MethodCard(
        function="cluster_effects",
        name="지역별 효과",
        english="cluster-level effects from disjoint comparisons",
        group="few_treated",
        question="지원 지역마다 따로 견준 효과는 각각 얼마인가?",
        assumptions=(
            "지원 지역과 짝지은 비교 지역은 지원이 없었다면 추세가 같았다.",
            "비교 지역을 두 번 쓰지 않으므로 효과들이 서로 독립이다.",
        ),
        returns="ClusterEffects: 지역마다의 효과와 짝",
        reference="Ibragimov & Müller (2010); Canay, Romano & Shaikh (2017)",
        oracle=("짝마다의 이중차분 손계산: tests/reference/test_cluster_effects.py",),
        refuses="비교 군집이 처치 군집보다 적으면 짝을 지을 수 없다: randomisation_test 를 쓴다.",
    ),
)


@dataclass(frozen=True, slots=True)
class ClusterEffects:
    """One effect a treated cluster.

    Attributes
    ----------
    values : effects  # (q,)
    treated : label of each treated cluster  # (q,)
    comparison : labels of the comparison clusters of each  # (q,)
    distance : root mean square distance of the paths before adoption of the matched clusters; NaN where pairs were
        given  # (q,)
    """

    values: Floats
    treated: tuple[str, ...]
    comparison: tuple[tuple[str, ...], ...]
    distance: Floats


def cluster_effects(
    panel: Panel, design: Design, fit: Fit | None = None, *, pairs: str | None = None
) -> ClusterEffects:
    """Estimate each treated cluster against comparison clusters of its own.

    Parameters
    ----------
    panel, design : clusters of the design (units where it names none), each wholly treated from one date or never
    fit : method with one term out, called with the panel of one group; None = the treatment coefficient of
        `two_way_effects`
    pairs : fixed variable that puts each treated cluster with its comparison clusters, decided before outcomes are read;
        a cluster with an empty value takes no part. None: each treated cluster is matched with one never treated cluster,
        without replacement, so that the sum of squared distances of paths before the first adoption, each less its own
        mean, is smallest

    Raises
    ------
    DesignError : a mixed cluster, fewer comparison than treated clusters, a group without one treated and at least one
        comparison cluster, one treated cluster only
    """
    codes, labels = panel.clusters(design.cluster)
    dates = _dates(panel, design, codes, labels)
    treated = np.flatnonzero(np.isfinite(dates))
    if len(treated) < 2:
        raise DesignError(
            f"처치 군집이 {len(treated)}개라 군집별 효과의 흩어짐을 알 수 없음",
            remedy="placebo_rank 나 single_treated_cluster 를 쓸 것",
        )
    if pairs is None:
        partner, distance = _matched(panel, design, codes, dates, treated)
        groups = [(int(c), [int(k)]) for c, k in zip(treated, partner, strict=True)]
    else:
        groups = _given(panel, pairs, codes, labels, dates)
        distance = np.full(len(groups), np.nan)
    estimate = fit or _two_way
    values = np.empty(len(groups))
    for i, (own, others) in enumerate(groups):
        part = panel.select(np.isin(codes, [own, *others]))
        values[i] = only_term(estimate(part, design))
    if not np.isfinite(values).all():
        lost = labels[groups[int(np.argmin(np.isfinite(values)))][0]]
        raise DesignError(
            "효과를 추정할 수 없는 처치 군집이 있음",
            where=(f"군집 {lost}",),
            remedy="그 군집을 빼거나 짝을 다시 정할 것",
        )
    return ClusterEffects(
        values=values,
        treated=tuple(str(labels[own]) for own, _ in groups),
        comparison=tuple(tuple(str(labels[k]) for k in others) for _, others in groups),
        distance=distance,
    )


@dataclass(frozen=True, slots=True)
class ClusterChanges:
    """Mean after adoption less mean before, by cluster.

    Attributes
    ----------
    values : NaN where a cluster is not seen on both sides  # (C,)
    treated : whether the cluster adopts  # (C,)
    size : mean weight of the cluster by period, for tests that weigh clusters  # (C,)
    labels : (C,)
    """

    values: Floats
    treated: NDArray[np.bool_]
    size: Floats
    labels: tuple[str, ...]


def cluster_changes(panel: Panel, design: Design) -> ClusterChanges:
    """Change of each cluster's mean outcome from before to after the only adoption date.

    Parameters
    ----------
    panel, design : outcome, adoption, cluster, weight and anticipation are read; periods count alike, cells of a period by
        their weights. The periods of anticipation are left out

    Raises
    ------
    DesignError : a mixed cluster, more or fewer than one adoption date, no period before it
    """
    codes, labels = panel.clusters(design.cluster)
    dates = _dates(panel, design, codes, labels)
    when = np.unique(dates[np.isfinite(dates)])
    if len(when) != 1:
        raise DesignError(
            f"도입 시점이 {len(when)}가지라 처치 전후의 변화가 하나로 정해지지 않음",
            remedy="도입 시점이 하나인 자료로 좁히거나 cluster_effects 로 짝마다 추정할 것",
        )
    after, before = panel.periods >= when[0], panel.periods < when[0] - design.anticipation
    if not before.any():
        raise DesignError(f"도입 시점 {when[0]:g} 이전 기간이 없음", remedy="처치 전 기간이 든 자료를 쓸 것")
    y = panel.values(design.outcome)
    w = np.broadcast_to(weight_layers(panel, design.weight), y.shape)
    w = np.where(np.isfinite(y) & np.isfinite(w), w, 0.0)
    mass, total = np.zeros((len(labels), y.shape[1])), np.zeros((len(labels), y.shape[1]))
    np.add.at(mass, codes, w)
    np.add.at(total, codes, w * np.where(w > 0, y, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / mass
        seen = np.isfinite(mean)
        filled = np.where(seen, mean, 0.0)
        late, early = (filled[:, k].sum(axis=1) / seen[:, k].sum(axis=1) for k in (after, before))
        size = mass.sum(axis=1) / seen.sum(axis=1)
    return ClusterChanges(late - early, np.isfinite(dates), size, tuple(str(label) for label in labels))


def _two_way(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design).select([0])


def _dates(panel: Panel, design: Design, codes: Codes, labels: NDArray[np.generic]) -> Floats:
    adoption = adoption_codes(panel, design.adoption)
    adoption = np.where(adoption > panel.periods[-1], np.inf, adoption)
    dates = np.full(len(labels), np.nan)
    dates[codes[::-1]] = adoption[::-1]
    wrong = adoption != dates[codes]
    if wrong.any():
        i = int(np.argmax(wrong))
        raise DesignError(
            f"군집 {design.cluster} 안에 처치 시점이 다른 단위가 있어 군집 하나의 효과를 따로 낼 수 없음",
            where=(f"군집 {labels[codes[i]]}", f"단위 {panel.units[i]}"),
            remedy="처치 시점이 같은 단위로 군집을 나누거나 CV3 잭나이프를 쓸 것",
        )
    return dates


def _matched(
    panel: Panel, design: Design, codes: Codes, dates: Floats, treated: Codes
) -> tuple[Codes, Floats]:
    """The never treated cluster of each treated one, and the distance."""
    never = np.flatnonzero(~np.isfinite(dates))
    if len(never) < len(treated):
        raise DesignError(
            f"비교 군집({len(never)}개)이 처치 군집({len(treated)}개)보다 적어 겹치지 않게 짝을 지을 수 없음",
            remedy="군집을 통째로 재배정하는 randomisation_test 나 CV3 잭나이프를 쓸 것",
        )
    before = panel.periods < dates[treated].min() - design.anticipation
    y = panel.values(design.outcome)[:, before]
    seen = np.isfinite(y)
    path = np.empty((len(dates), y.shape[1]))
    for c in range(len(dates)):
        rows = codes == c
        with np.errstate(invalid="ignore"):
            path[c] = np.where(seen[rows], y[rows], 0.0).sum(axis=0) / seen[rows].sum(axis=0)
    known = np.isfinite(path).all(axis=0)
    if known.sum() < 2:
        raise DesignError(
            f"모든 군집이 관측된 처치 전 기간이 {int(known.sum())}개뿐이라 경로가 닮은 짝을 찾을 수 없음",
            remedy="pairs 에 짝을 적은 고정 변수를 줄 것",
        )
    path = path[:, known] - path[:, known].mean(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        cost = np.square(path[treated][:, None, :] - path[never][None, :, :]).mean(axis=2)
    if not np.isfinite(cost).all():
        raise DataError(
            f"결과 {design.outcome} 의 값이 너무 커서 경로 사이의 거리를 잴 수 없음",
            remedy="결과 변수의 단위를 확인할 것",
        )
    row, column = linear_sum_assignment(cost)
    return never[column], np.sqrt(cost[row, column])


def _given(
    panel: Panel, pairs: str, codes: Codes, labels: NDArray[np.generic], dates: Floats
) -> list[tuple[int, list[int]]]:
    """Treated cluster and its comparison clusters in each group of a fixed variable."""
    values = panel.constant(pairs)
    groups: dict[object, set[int]] = {}
    home: dict[int, object] = {}
    for i, value in enumerate(values.tolist()):
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            continue
        c = int(codes[i])
        if home.setdefault(c, value) != value:
            raise DesignError(
                f"군집 {labels[c]} 이(가) 두 짝({home[c]}, {value})에 들어 있음",
                where=(f"짝 {pairs}",),
                remedy="군집마다 짝을 하나만 적을 것",
            )
        groups.setdefault(value, set()).add(c)
    out = []
    for value, members in sorted(groups.items(), key=lambda item: str(item[0])):
        own = sorted(c for c in members if np.isfinite(dates[c]))
        others = sorted(c for c in members if not np.isfinite(dates[c]))
        if len(own) != 1 or not others:
            raise DesignError(
                f"짝 {value} 에 처치 군집이 {len(own)}개, 비교 군집이 {len(others)}개임",
                where=(f"짝 {pairs}",),
                remedy="짝마다 처치 군집 하나와 비교 군집 하나 이상을 적을 것",
            )
        out.append((own[0], others))
    if len(out) < 2:
        raise DesignError(f"짝이 {len(out)}개뿐임", remedy="처치 군집이 둘 이상 들도록 짝을 적을 것")
    return out
