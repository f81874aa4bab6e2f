"""The difference of two phases against paths drawn anew: whole vectors of first support, permuted within each cluster.

Each unit's path (first support in the earlier phase, first support in the later) is drawn from the paths of its own cluster, so
that every cluster keeps its numbers on every path, and units supported in both phases stay units supported in both. The statistic is
the difference of the two mean effects over its error by the cluster jackknife (RI-t), with effects as mean changes less the
mean changes of never-supported units, after the changes were adjusted once, by least squares among the truly never supported,
for what was known before each phase.

The p-value is exact where neither phase had an effect on anybody and paths were drawn at random in each cluster given what is
adjusted for; for the hypothesis that both effects are equal and not zero it is approximate, because the statistic is
studentised (DiCiccio & Romano 2017). It stands beside the jackknife, not in its place.

Checked against a loop over units: tests/reference/test_path_randomisation.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import DesignError, UsageError
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CARDS = (
    MethodCard(
        function="permute_paths",
        name="지원 경로의 재배정 검정",
        english="randomisation test of whole treatment paths",
        group="phases",
        question="지원 경로를 군집 안에서 바꾸어 배정해도 두 단계의 차이가 이만큼 나는가?",
        assumptions=(
            "보정한 특성이 같으면 군집 안에서 어느 단위가 어느 경로를 갔는지는 무작위와 같다.",
            "정확한 수준은 두 단계 모두 아무에게도 효과가 없을 때의 것이고, 두 효과가 0이 아니면서 같을 때는 표준화한 통계량이라 근사이다.",
        ),
        returns="Permuted: 차이, t, p값, 가능한 가장 작은 p값, 재배정마다의 t",
        reference="Fisher (1935); DiCiccio & Romano (2017)",
        oracle=("단위를 하나씩 도는 계산: tests/reference/test_path_randomisation.py",),
        refuses="두 단계 가운데 지원 단위가 없는 자료, 군집이 하나인 자료.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class PathUnits:
    """Units of all paths.

    Attributes
    ----------
    first, last : first support in the earlier and in the later phase, +inf = none  # (N,)
    cluster : codes 0..C−1  # (N,)
    y : outcome  # (N, T); at_risk : may enter a comparison with this base period  # (N, T)
    periods : calendar labels  # (T,)
    x_first, x_last : what was known before each phase, with the intercept; NaN = not known  # (N, p)
    anticipation : periods before support that the base period keeps clear of
    """

    first: Floats
    last: Floats
    cluster: Ints
    y: Floats
    at_risk: Flags
    periods: Ints
    x_first: Floats
    x_last: Floats
    anticipation: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Permuted:
    """Attributes: difference, t of the actual paths; p_value (two-sided, of t); smallest_p; draws; placebos: t by draw  # (B,)"""

    difference: float
    t: float
    p_value: float
    smallest_p: float
    draws: int
    placebos: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """Adjusted changes by phase, cohort and event time.

    change, seen : (N, M); phase (0, 1), cohort, event of each column  # (M,)
    """

    change: Floats
    seen: Floats
    phase: Ints
    cohort: Floats
    event: Ints


def permute_paths(units: PathUnits, *, horizon: Sequence[int], draws: int, seed: int) -> Permuted:
    """The test.

    Parameters
    ----------
    horizon : event times averaged
    draws, seed : random assignments

    Raises
    ------
    UsageError : fewer than 19 draws
    DesignError : one cluster, a phase without an estimate
    """
    if draws < 19:
        raise UsageError(f"재배정 횟수 {draws!r} 이(가) 19보다 적음", remedy="499 처럼 적을 것")
    clusters = int(units.cluster.max()) + 1
    if clusters < 2:
        raise DesignError("군집이 하나뿐이라 재배정 검정을 할 수 없음", remedy="더 잘게 나뉜 군집을 쓸 것")
    columns = _columns(units, tuple(horizon))
    kinds, code = np.unique(np.column_stack([units.first, units.last]), axis=0, return_inverse=True)
    code = code.reshape(-1)
    actual = _statistic(columns, units.cluster, code, kinds, clusters, tuple(horizon))
    if not np.isfinite(actual).all():
        raise DesignError(
            "두 단계의 차이를 군집 잭나이프로 구할 수 없어 재배정 검정을 하지 않음",
            remedy="지원 단위가 둘 이상의 군집에 있는지 확인할 것",
        )
    rng = np.random.default_rng([seed, 3])
    order = np.argsort(units.cluster, kind="stable")
    edges = np.cumsum(np.bincount(units.cluster, minlength=clusters))[:-1]
    blocks = np.split(order, edges)
    found = np.empty(draws)
    for b in range(draws):
        drawn = code.copy()
        for block in blocks:
            drawn[block] = code[rng.permutation(block)]
        found[b] = _statistic(columns, units.cluster, drawn, kinds, clusters, tuple(horizon))[1]
    # an assignment that leaves nothing to estimate counts as at least as large
    large = ~(np.abs(found) < abs(actual[1]) * (1 - 1e-12))
    return Permuted(
        difference=float(actual[0]),
        t=float(actual[1]),
        p_value=float((1 + large.sum()) / (draws + 1)),
        smallest_p=1 / (draws + 1),
        draws=draws,
        placebos=found,
    )


def _columns(units: PathUnits, horizon: tuple[int, ...]) -> _Columns:
    never = np.isinf(units.first) & np.isinf(units.last)
    made: list[tuple[Floats, Flags, int, float, int]] = []
    for phase, (start, x) in enumerate(((units.first, units.x_first), (units.last, units.x_last))):
        known = np.isfinite(x).all(axis=1)
        for g in np.unique(start[np.isfinite(start)]):
            base = np.flatnonzero(units.periods == g - 1 - units.anticipation)
            for e in horizon:
                at = np.flatnonzero(units.periods == g + e)
                if not len(base) or not len(at):
                    continue
                gap = units.y[:, at[0]] - units.y[:, base[0]]
                seen = np.isfinite(gap) & units.at_risk[:, base[0]] & known
                rows = seen & never
                if rows.sum() <= x.shape[1]:
                    continue
                slope = np.linalg.lstsq(x[rows], gap[rows], rcond=None)[0]
                change = np.where(
                    seen, np.where(seen, gap, 0.0) - np.where(known[:, None], x, 0.0) @ slope, 0.0
                )
                made.append((change, seen, phase, float(g), int(e)))
    if {phase for _, _, phase, _, _ in made} != {0, 1}:
        raise DesignError(
            "두 단계 가운데 지원 전후가 모두 관측된 지원 단위가 없는 단계가 있음",
            remedy="기간과 지원 연도를 확인할 것",
        )
    return _Columns(
        np.stack([m[0] for m in made], axis=1),
        np.stack([m[1] for m in made], axis=1).astype(np.float64),
        np.array([m[2] for m in made]),
        np.array([m[3] for m in made]),
        np.array([m[4] for m in made]),
    )


def _statistic(
    columns: _Columns, cluster: Ints, code: Ints, kinds: Floats, clusters: int, horizon: tuple[int, ...]
) -> Floats:
    """The difference (later − earlier) and its jackknife t  # (2,)"""
    j, m = len(kinds), columns.change.shape[1]
    key = ((cluster * j + code)[:, None] * m + np.arange(m)).ravel()
    size = clusters * j * m
    sums, counts = (
        np.bincount(key, weights=values.ravel(), minlength=size).reshape(clusters, j, m)
        for values in (columns.change, columns.seen)
    )
    sums, counts = (
        np.concatenate([part.sum(axis=0)[None], part.sum(axis=0)[None] - part]) for part in (sums, counts)
    )
    never = np.isinf(kinds).all(axis=1)
    gaps: list[Floats] = []
    for phase in (0, 1):
        means = []
        for e in horizon:
            at = np.flatnonzero((columns.phase == phase) & (columns.event == e))
            if not len(at):
                continue
            treated = kinds[:, phase][:, None] == columns.cohort[at]  # (J, m')
            if phase:  # the later phase is asked of units first supported in it
                treated &= np.isinf(kinds[:, :1])
            gain, n1 = ((part[:, :, at] * treated).sum(axis=1) for part in (sums, counts))
            with np.errstate(invalid="ignore", divide="ignore"):
                held = sums[:, never][:, :, at].sum(axis=1) / counts[:, never][:, :, at].sum(axis=1)
                means.append((gain - n1 * np.where(n1 > 0, held, 0.0)).sum(axis=1) / n1.sum(axis=1))
        gaps.append(np.mean(means, axis=0))
    difference = gaps[1] - gaps[0]
    spread = (clusters - 1) / clusters * ((difference[1:] - difference[0]) ** 2).sum()
    return np.array([difference[0], difference[0] / np.sqrt(spread) if spread > 0 else np.nan])
