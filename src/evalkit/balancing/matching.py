"""Nearest-neighbour matching on the propensity or the Mahalanobis distance, exactly within strata.

A treated unit is matched to its nearest comparison units; a comparison unit weighs what its matches give it (Rubin
1973; Rosenbaum & Rubin 1985 for calipers in standard deviations of the logit of the propensity; Abadie & Imbens 2006
for replacement). Without replacement the pairs are those of smallest total distance ("optimal", Rosenbaum 1989) or
taken greedily, the treated unit that is hardest to match first.

Checked in tests/reference/test_balancing.py against brute force over all neighbours and all assignments.

Where it differs from MatchIt: of equally near units the one with the smallest label is taken (the order of rows cannot
matter), covariances of the Mahalanobis distance are pooled within groups with the base weights, and every unit that
finds no match is listed: the effect is then of the matched units only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.nearest import with_replacement, without_replacement
from evalkit.balancing.inverse_probability import inverse_probability
from evalkit.balancing.result import Balancing
from evalkit.balancing.sides import Covariate, Sides, Told, balancing_of, read_sides, standardised
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError, nearest
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]
On = Literal["propensity", "mahalanobis"]
Order = Literal["optimal", "greedy"]
# treated × comparison pairs of one stratum that are held at once without replacement
PAIRS = 1 << 26

CARDS = (
    MethodCard(
        function="matching",
        name="최근접 짝짓기",
        english="nearest-neighbour matching",
        group="before",
        question="지원받은 단위마다 기준 시점의 특성이 가장 가까운 비교 단위는 누구인가?",
        assumptions=(
            "기준 시점의 공변량이 같으면 지원이 없었을 때의 추세가 같았다(조건부 평행추세).",
            "가까운 비교 단위가 있다: 짝이 없는 단위는 목록에 남고, 효과는 짝지어진 단위의 것이 된다.",
        ),
        returns="Balancing: 짝의 무게, 유효 표본 크기, 짝이 없는 단위; apply 로 패널에 붙여 Design.weight 에 쓴다",
        reference="Rosenbaum & Rubin (1985); Abadie & Imbens (2006)",
        oracle=("모든 짝과 모든 배정의 전수 비교: tests/reference/test_balancing.py",),
        differs="거리가 같으면 이름이 앞선 단위를 고르므로 행의 순서가 결과를 바꾸지 않는다.",
        refuses="지원 뒤에 측정한 공변량. 짝이 하나도 없으면 멈추고 무엇을 풀지 알린다.",
    ),
)


def matching(
    panel: Panel,
    design: Design,
    covariates: Sequence[Covariate] | None = None,
    *,
    on: On = "propensity",
    neighbours: int = 1,
    replacement: bool = True,
    caliper: float | None = None,
    exact: Sequence[str] = (),
    order: Order = "optimal",
) -> Balancing:
    """Matches of the treated units, nearest first.

    Parameters
    ----------
    panel : outcomes after adoption are not read
    design : adoption (treated = ever), anticipation, weight (base weights of treated units), at_risk
    covariates : names of variables (varying: in the base period) or (name, earlier period); None = design.covariates
    on : "propensity" (logit of the fitted propensity) or "mahalanobis"
    neighbours : matches wanted for each treated unit
    replacement : whether a comparison unit may be matched more than once
    caliper : largest distance, in standard deviations of the logit, or as Mahalanobis distance; None = any
    exact : fixed variables on which matches must agree, such as a size class or an industry
    order : without replacement: "optimal" or "greedy"

    Returns
    -------
    Balancing ("matching"); ``detail``: matches (n1, neighbours) positions in the panel or −1, treated_at (n1,),
    distances (n1, neighbours), neighbours, caliper

    Raises
    ------
    DesignError : no unit finds a match, the covariates separate the groups (propensity)
    RefusalError : a covariate measured at or after adoption
    UsageError : an option that does not exist

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1]), {"y": np.zeros((4, 1))},
    ...               {"adoption": np.array([2, np.inf, np.inf, np.inf]), "size": np.array([5.0, 1.0, 4.0, 7.0])})
    >>> matching(panel, Design("y"), ("size",), on="mahalanobis").weights
    array([1., 0., 1., 0.])
    """
    _check(on, neighbours, caliper, order)
    sides = read_sides(panel, design, covariates)
    place, propensity = _coordinates(panel, design, covariates, sides, on)
    limit = np.inf if caliper is None else caliper
    # units in order of their labels, so that ties do not depend on the order of rows
    rank = np.argsort(np.asarray(panel.units).astype(str), kind="stable")
    treated_at, found = _matched(panel, sides, place, rank, exact, neighbours, replacement, limit, order)
    weights, unmatched = _weights(panel, sides, treated_at, found)
    apart = np.linalg.norm(place[treated_at][:, None, :] - place[np.maximum(found, 0)], axis=2)
    z, _, spread = standardised(sides.x, sides)
    detail = {
        "matches": found,
        "treated_at": treated_at,
        "distances": np.where(found >= 0, apart, np.nan),
        "neighbours": neighbours,
        "caliper": caliper,
        "on": on,
        "replacement": replacement,
        "exact": list(exact),
    }
    dropped = {**sides.dropped, **({"unmatched": unmatched} if unmatched else {})}
    told = Told("matching", dropped, (), detail, propensity)
    return balancing_of(told, panel, sides, weights, z, spread)


def _weights(panel: Panel, sides: Sides, treated_at: Codes, found: Codes) -> tuple[Floats, tuple[str, ...]]:
    """Base weights of matched treated units, shared out over their matches; and who has no match."""
    gained = (found >= 0).sum(axis=1)
    has = gained > 0
    weights = np.zeros(len(panel.units))
    weights[treated_at[has]] = sides.base[treated_at[has]]
    share = np.where(found >= 0, (sides.base[treated_at] / np.maximum(gained, 1))[:, None], 0.0)
    np.add.at(weights, found[found >= 0], share[found >= 0])
    return weights, tuple(str(unit) for unit in panel.units[treated_at[~has]])


def _check(on: str, neighbours: int, caliper: float | None, order: str) -> None:
    for name, value, known in (("on", on, get_args(On)), ("order", order, get_args(Order))):
        if value not in known:
            raise UsageError(f"짝짓기의 {name} 값 {value!r} 을(를) 모름", remedy=nearest(value, known))
    if isinstance(neighbours, bool) or not isinstance(neighbours, int) or neighbours < 1:
        raise UsageError(f"짝의 수 {neighbours!r} 이(가) 1 이상의 정수가 아님", remedy="1 처럼 적을 것")
    if caliper is not None and not 0 < caliper < np.inf:
        raise UsageError(
            f"caliper {caliper!r} 이(가) 0보다 큰 수가 아님", remedy="0.2 처럼 적거나 None 으로 둘 것"
        )


def _coordinates(
    panel: Panel, design: Design, covariates: Sequence[Covariate] | None, sides: Sides, on: On
) -> tuple[Floats, Floats]:
    """Where each unit stands, so that Euclidean distance is the distance wanted  # (N, d); and the propensity  # (N,)"""
    used = sides.treated | sides.comparison
    if on == "propensity":
        fitted = inverse_probability(panel, design, covariates, trim=(0.0, 1.0)).propensity
        with np.errstate(divide="ignore", invalid="ignore"):
            logit = np.log(fitted / (1 - fitted))
        logit = np.where(used, np.clip(logit, -500, 500), 0.0)
        return (logit / max(float(logit[used].std(ddof=1)), 1e-300))[:, None], fitted
    z, _, spread = standardised(sides.x, sides)
    z = z[:, spread > 0]
    covariance = np.zeros((z.shape[1], z.shape[1]))
    for side in (sides.treated, sides.comparison):
        w = sides.base[side] / sides.base[side].mean()
        gap = z[side] - w @ z[side] / w.sum()
        covariance += (gap * w[:, None]).T @ gap
    covariance /= max(int(used.sum()) - 2, 1)
    values, vectors = np.linalg.eigh(covariance)
    sound = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    # directions in which nothing varies within the groups must agree as they stand
    scale = np.where(sound, 1 / np.sqrt(np.where(sound, values, 1.0)), 1.0)
    return z @ (vectors * scale), np.full(len(z), np.nan)


def _matched(
    panel: Panel,
    sides: Sides,
    place: Floats,
    rank: Codes,
    exact: Sequence[str],
    neighbours: int,
    replacement: bool,
    limit: float,
    order: Order,
) -> tuple[Codes, Codes]:
    """Positions of the treated units, and of their matches (−1 = none), stratum by stratum."""
    keys = [np.unique(np.asarray(panel.constant(name)).astype(str), return_inverse=True)[1] for name in exact]
    stratum = np.zeros(len(panel.units), dtype=np.int64)
    for key in keys:
        stratum = stratum * (int(key.max()) + 1) + key
    ordered = [rank[side[rank]] for side in (sides.treated, sides.comparison)]
    treated_at = ordered[0]
    found = np.full((len(treated_at), neighbours), -1, dtype=np.int64)
    for level in np.unique(stratum[treated_at]):
        own = np.flatnonzero(stratum[treated_at] == level)
        pool = ordered[1][stratum[ordered[1]] == level]
        a, b = place[treated_at[own]], place[pool]
        if replacement:
            got = with_replacement(a, b, neighbours, limit)
        else:
            _holdable(len(own) * (neighbours if order == "optimal" else 1), len(pool))
            # the hardest to match first: farthest from the middle of the comparison units
            hard = np.argsort(-np.linalg.norm(a - b.mean(axis=0), axis=1), kind="stable") if len(b) else own
            at = hard if order == "greedy" and len(b) else np.arange(len(own))
            got = np.full((len(own), neighbours), -1, dtype=np.int64)
            got[at] = without_replacement(a[at], b, neighbours, limit, optimal=order == "optimal")
        found[own] = np.where(got >= 0, pool[got] if len(pool) else -1, -1)
    if not (found >= 0).any():
        raise DesignError(
            f"지원받은 단위 {len(treated_at)}개 가운데 짝을 찾은 단위가 없음",
            where=tuple(f"{name} 일치" for name in exact),
            remedy="caliper 를 넓히거나 exact 를 줄이거나, 모든 단위를 쓰는 entropy_balancing 을 쓸 것",
        )
    return treated_at, found


def _holdable(treated: int, pool: int) -> None:
    if treated * pool > PAIRS:
        raise DesignError(
            f"지원 {treated}개 × 비교 {pool}개의 거리를 한꺼번에 다루기에는 너무 많음",
            remedy="exact 로 나누거나, replacement=True 로 두거나, entropy_balancing 을 쓸 것",
        )
