"""The working parts of the wild cluster bootstrap: which weights, how many draws, p-values and the sets that they leave."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays import wild_bootstrap as arrays
from evalkit.arrays.wild_bootstrap import Denominator, Pieces, System
from evalkit.arrays.wild_inversion import Alternative, accepted, counts
from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import EXACT, Estimate
from evalkit.inference.moments import Hypotheses
from evalkit.inference.robust import SmallSample, small_sample_factor
from evalkit.interval_set import IntervalSet

Floats = NDArray[np.float64]
Weights = Literal["auto", "rademacher", "webb", "mammen", "normal"]
SEED = 20180301
# clusters up to which sign patterns are enumerated, and below which six-point weights are the default
ENUMERATED = 16
FEW = 10
# the null imposed: no sign against it; not imposed: hardly any draw as far out: the mark of few treated clusters
UNMOVED, BEYOND = 0.2, 0.01
# row sums of scores below this share of their parts are rounding errors
CANCELLED = 1e-12


@dataclass(frozen=True, slots=True)
class Plan:
    """Which weights on how many clusters."""

    weights: arrays.Weights
    clusters: int
    draws: int
    seed: int
    exact: bool

    def blocks(self) -> Iterator[Floats]:
        """Weights in blocks of rows  # (b, C)"""
        if self.exact:
            return iter([arrays.enumerated(self.clusters)])
        return arrays.drawn(self.weights, self.draws, self.clusters, self.seed)

    @property
    def size(self) -> int:
        """Draws, mirror images not counted."""
        return 2 ** (self.clusters - 1) if self.exact else self.draws


def plan_of(weights: Weights, clusters: int, draws: int, seed: int, enumerate_: bool | None) -> Plan:
    """Settle the weights.

    Raises
    ------
    UsageError : weights that do not exist, too few draws, enumeration asked for where it is too long
    DesignError : one cluster
    """
    if weights not in get_args(Weights):
        raise UsageError(
            f"부트스트랩 가중치 {weights!r} 은(는) 없음",
            remedy=f"{', '.join(get_args(Weights))} 중에서 고를 것",
        )
    if clusters < 2:
        raise DesignError(
            "군집이 하나뿐이라 와일드 부트스트랩을 할 수 없음", remedy="더 잘게 나뉜 군집 변수를 쓸 것"
        )
    kind = ("webb" if clusters < FEW else "rademacher") if weights == "auto" else weights
    exact = kind == "rademacher" and clusters <= ENUMERATED if enumerate_ is None else enumerate_
    if exact and (kind != "rademacher" or clusters > ENUMERATED):
        raise UsageError(
            f"군집 {clusters}개의 {kind} 가중치는 모두 나열할 수 없음",
            remedy=f"enumerate_patterns 를 비우거나, 군집 {ENUMERATED}개까지 rademacher 로 쓸 것",
        )
    if not exact and draws < 99:
        raise UsageError(f"추출 횟수 {draws} 이(가) 너무 적음", remedy="적어도 99, 보통 9999 로 적을 것")
    return Plan(kind, clusters, draws, seed, exact)


def smallest(plan: Plan, clusters: int, alternative: Alternative = "two-sided") -> float:
    """The smallest p-value with these weights and this many clusters."""
    sides = 1 if alternative in ("less", "greater") else 2
    floor = sides * 2.0**-clusters if plan.weights == "rademacher" else 0.0
    return (
        floor if plan.exact else max(floor, sides / (plan.draws + 1) if sides == 1 else 1 / (plan.draws + 1))
    )


def prepared(asked: Hypotheses, row: int | NDArray[np.int64], kind: str, *, linear: bool = True) -> Pieces:
    """The pieces of one hypothesis (or of several together) for a kind such as "WCR-S".

    Raises
    ------
    RefusalError : jackknife denominators for a term that a deletion leaves without an estimate
    DesignError : nothing is left of the residuals
    """
    rows = asked.rows[np.atleast_1d(row)]
    system = System.of(asked.gram, asked.score, rows)
    denominator: Denominator = "CV3" if kind[-1] in "VB" else "CV1"
    name = asked.labels[int(np.atleast_1d(row)[0])]
    if denominator == "CV3" and arrays.without_each(system)[1].any():
        raise RefusalError(
            f"어느 군집을 빼면 항 {name} 을(를) 추정할 수 없어 잭나이프 분모를 쓸 수 없음",
            remedy=f"{kind[:-1]}C 또는 {kind[:-1]}S 를 쓸 것",
        )
    found = arrays.pieces(
        system,
        restricted=kind.startswith(("WCR", "WCLR")),
        jackknifed=kind[-1] in "SB",
        denominator=denominator,
        linear=linear,
    )
    variance = np.diag(found.variance)
    weights = np.linalg.solve(asked.gram.sum(axis=0), rows.T)  # (P, q)
    parts = np.square(np.abs(asked.score) @ np.abs(weights)).sum(axis=0)
    least = np.maximum(EXACT * np.abs(asked.values[np.atleast_1d(row)]), CANCELLED * np.sqrt(parts)) ** 2
    if not (variance > least).all():
        raise DesignError(
            f"항 {name} 의 잔차가 군집마다 남지 않아 표준오차를 구할 수 없음",
            remedy="자료를 남김없이 맞추는 설명변수가 없는지 확인하고, 처치 군집이 하나면 randomisation 검정을 쓸 것",
        )
    return found


def factor_of(est: Estimate, kind: str, ssc: SmallSample) -> float:
    """Small-sample factor of the variance in t: that of CV1 by the convention, (G − 1)/G of the jackknife."""
    c = est.n_clusters
    return (c - 1) / c if kind[-1] in "VB" else small_sample_factor(est, ssc)


def nulls(null: ArrayLike, count: int) -> Floats:
    """One null for each hypothesis.

    Raises
    ------
    UsageError : another number of nulls, or one that is not finite
    """
    given = np.asarray(null, dtype=np.float64)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != count) or not np.isfinite(given).all():
        raise UsageError(
            f"귀무값 {null!r} 이(가) 가설 {count}개와 맞지 않음",
            remedy="수 하나, 또는 가설마다 하나씩 적을 것",
        )
    return np.broadcast_to(given, (count,)).copy()


def linear_only(asked: Hypotheses) -> Hypotheses:
    """The hypotheses, if the estimate is least squares.

    Raises
    ------
    RefusalError : it is not
    """
    if asked.nonlinear:
        raise RefusalError(
            "포아송 같은 비선형 추정에는 와일드 군집 부트스트랩이 그대로 성립하지 않음",
            remedy="score_bootstrap (점수·선형화 부트스트랩)이나 군집 잭나이프를 쓸 것",
        )
    return asked


def p_value_of(found: tuple[int, int, int], plan: Plan, floor: float, alternative: Alternative) -> float:
    """From the draws at or beyond the sample (either side, above, below), mirror images counted where enumerated."""
    draws = 2 * plan.size if plan.exact else plan.size
    either, above, below = (
        (n if plan.exact else n + 1) / (draws if plan.exact else draws + 1) for n in found
    )
    raw = {
        "two-sided": either,
        "greater": above,
        "less": below,
        "equal-tailed": min(1.0, 2 * min(above, below)),
    }[alternative]
    return max(raw, floor)


def needed(plan: Plan, level: float) -> tuple[int, int, int]:
    """Least number of draws at or beyond a null that is not rejected: two-sided, one side, each of two tails."""
    draws = 2 * plan.size if plan.exact else plan.size + 1
    own = 0 if plan.exact else 1
    least = [max(math.ceil(share * (1 - level) * draws - 1e-9) - own, 0) for share in (1.0, 1.0, 0.5)]
    return least[0], least[1], least[2]


def interval(
    value: float,
    error: float,
    curve: Floats,
    plan: Plan,
    floor: float,
    alternative: Alternative,
    level: float,
) -> tuple[tuple[float, float], ...]:
    """All nulls with p ≥ 1 − level, on the scale of the estimate; `error` goes with x = (value − null)/error."""
    if floor >= 1 - level - 1e-12:
        return ((-math.inf, math.inf),)
    found = accepted(curve, needed(plan, level), alternative, mirrored=plan.exact)
    return tuple((value - high * error, value - low * error) for low, high in reversed(found))


def inverted(
    est: Estimate,
    asked: Hypotheses,
    against: Floats,
    ready: Sequence[tuple[Pieces, ...]],
    plan: Plan,
    kind: str,
    alternative: Alternative,
    level: float,
    factor: float,
) -> tuple[IntervalSet, ...]:
    """Draw, count and invert each hypothesis; second pieces, if any, are those with the null (not) imposed."""
    parts: list[list[list[Floats]]] = [[[] for _ in pair] for pair in ready]
    for block in plan.blocks():
        for found, pair in zip(parts, ready, strict=True):
            for kept, piece in zip(found, pair, strict=True):
                kept.append(arrays.curves(block, piece))
    floor = smallest(plan, est.n_clusters, alternative)
    out = []
    for i, found in enumerate(parts):
        value, error = float(asked.values[i]), float(np.sqrt(ready[i][0].variance[0, 0]))
        x = (value - float(against[i])) / error
        curve = [np.concatenate(kept, axis=1) for kept in found]
        p = [p_value_of(counts(c, x, mirrored=plan.exact), plan, floor, alternative) for c in curve]
        pieces = interval(value, error, curve[0], plan, floor, alternative, level)
        detail: dict[str, object] = {
            "term": asked.labels[i],
            "t": float(x / np.sqrt(factor)),
            "std_error": float(error * np.sqrt(factor)),
            "weights": plan.weights,
            "alternative": alternative,
            "clusters": est.n_clusters,
        }
        if len(p) > 1:
            detail["p_other"] = p[1]
        out.append(
            IntervalSet(
                estimate=value,
                pieces=pieces,
                level=level,
                p_value=p[0],
                method=kind,
                smallest_p=floor,
                null=float(against[i]),
                exact=plan.exact,
                draws=2 * plan.size if plan.exact else plan.size,
                notes=_notes(kind, p, pieces, floor, alternative, level),
                detail=detail,
            )
        )
    return tuple(out)


def _notes(
    kind: str,
    p: list[float],
    pieces: tuple[tuple[float, float], ...],
    floor: float,
    alternative: Alternative,
    level: float,
) -> tuple[str, ...]:
    notes = []
    if len(p) > 1:
        imposed, free = p if kind.startswith(("WCR", "WCLR")) else p[::-1]
        if imposed >= UNMOVED and free <= max(BEYOND, floor):
            notes.append("few_treated_failure")
    if floor >= 1 - level - 1e-12:
        notes.append("no_rejection_possible")
    open_ended = any(math.isinf(end) for piece in pieces for end in piece)
    if open_ended and alternative in ("two-sided", "equal-tailed"):
        notes.append("unbounded")
    if len(pieces) > 1:
        notes.append("gaps")
    return tuple(notes)
