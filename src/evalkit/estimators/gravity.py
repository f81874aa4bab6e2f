"""Gravity of flows from origins to destinations over time: does a treated destination draw more?

What it estimates: β of  E[F_odt] = exp(α_ot + η_od + [δ_d t] + β D_dt + diversion terms + x_dt'γ)  by Poisson pseudo-
likelihood. α_ot takes up all that happens at the origin in a year (how many leave), η_od all that is lasting between two
places (distance, ties). D_dt varies by destination and period, so destination × period effects are not identified beside
it; destination-linear trends δ_d t are (``trends=True``).

With α_ot the likelihood is that of a conditional logit of the movers' choice among destinations (Guimarães, Figueirêdo &
Woodward 2003; the identity is a test). The two readings of β bound the truth (Schmidheiny & Brülhart 2011, Journal of
Urban Economics 69): Poisson is positive-sum, flows to d grow by β with nothing lost elsewhere; conditional logit is zero-
sum, ∂ log E n_d / ∂D_d = β (1 − P_d) with P_d the share of d in the flows, the rest being diverted from other destinations.
`evalkit.percent.flow_bounds` makes both from the result. ``diversion`` names terms for neighbours (rings) or rivals of
the treated: what they lose shows there, and β is then relative to the destinations left.

Fit: origin × destination effects concentrated out, origin × period effects eliminated origin by origin (exact, any number
of origins). Without pair effects (``pair=False``: η_d in place of η_od) by iterated weighted least squares with origin ×
period effects eliminated. Clusters are groups of destinations, units are destinations; CV1 as in fixest with t(G − 1);
replicates are exact fits without the destinations of each cluster.

Checked against pyfixest, statsmodels with dummies, and conditional logit: tests/reference/test_gravity.py. Nagengast & Yotov
(2025) for the staggered form (cohort × time cells), which is not done here: with staggered adoption and effects that grow,
the warning of `evalkit.estimators.two_way` holds.

``detail``
    n_obs, n_regressors, n_period_effects, deviance, iterations, collinear, smallest_mean : of the fit
    n_separated_pairs : origin × destination pairs (levels) without any flow; n_separated_cells : other separated cells
    n_missing : cells not observed; notes : Korean sentences
    own_share : P, share of a treated destination in all flows, averaged over flows to treated cells
    effects : names of the fixed effects; scale : "log"
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.poisson_sums import Problem
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._flow_regressors import Regressors, regressors
from evalkit.estimators._one_sided import FEW, Sides, doubts, without_error
from evalkit.estimators._poisson_factors import Rows, solve_rows
from evalkit.estimators._poisson_fit import Solved, solve
from evalkit.flows import Flows
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

CARDS = (
    MethodCard(
        function="gravity_effects",
        name="이전 흐름의 중력 모형",
        english="PPML gravity of relocation flows",
        group="flows",
        question="지원받은 지역으로 옮겨 온 기업이 늘었는가, 어디에서 빼앗아 온 것인가?",
        assumptions=(
            "지원이 없었다면 한 출발지에서 각 도착지로 가는 흐름의 비가 유지되었다(출발지×연도 효과를 뺀 비율의 평행추세).",
            "이웃·경쟁 지역의 변화는 diversion 에 적은 항에만 나타난다.",
            "지원 전에는 효과가 나타나지 않는다.",
        ),
        returns="term (로그 척도: treatment, diversion, 공변량); CV1(도착지 묶음), 영향함수, 군집을 뺀 추정치",
        reference="Guimarães, Figueirêdo & Woodward (2003); Schmidheiny & Brülhart (2011)",
        oracle=("pyfixest fepois, 조건부 로짓 항등식: tests/reference/test_gravity.py",),
        differs="p값에 t(G−1)을 쓴다. 조건부 로짓과 포아송의 두 해석을 함께 낸다(flow_bounds).",
        refuses="도착지×연도 효과(처치와 구별되지 않음).",
    ),
)


def gravity_effects(
    flows: Flows,
    design: Design,
    *,
    treatment: str | None = None,
    diversion: tuple[str, ...] = (),
    pair: bool = True,
    origin_period: bool = True,
    trends: bool = False,
    replicates: bool | None = None,
) -> Estimate:
    """Log ratio of flows to treated destinations, with diversion to or from others beside it.

    Parameters
    ----------
    flows : counts (O, D, T); the design's variables are those of the destinations
    design : adoption and cluster name fixed variables, covariates varying ones; anticipation leaves periods out.
        ``outcome`` only labels the result
    treatment : name of a varying variable to use in place of the indicator period >= adoption
    diversion : names of varying variables, or of fixed ones that hold the first period of exposure (missing = never):
        rings around treated destinations, rival provinces
    pair : origin × destination effects; False = destination effects
    origin_period : origin × period effects; False = period effects (needs ``pair``)
    trends : destination-linear trends (need ``pair``)
    replicates : whether to leave out each cluster of destinations; None = where this is cheap

    Returns
    -------
    Estimate with terms at level "term", on the log scale; units are destinations

    Raises
    ------
    DesignError : nobody treated, one cluster, nothing but zeros, the treatment absorbed or separated, effects that
        cannot be had together

    Examples
    --------
    >>> counts = np.array([[[4, 4], [4, 8]], [[2, 3], [2, 6.0]]])
    >>> flows = Flows(np.arange(2), np.arange(2), np.array([1, 2]), counts, {"adoption": np.array([np.inf, 2])})
    >>> round(float(np.exp(gravity_effects(flows, Design("movers")).values[0])), 12)
    2.0
    """
    if not pair and (trends or not origin_period):
        raise DesignError(
            "출발지×도착지 효과 없이는 도착지 추세나 기간 효과만의 모형을 두지 않음",
            remedy="pair=True 로 두거나, trends 를 빼고 origin_period=True 로 둘 것",
        )
    found = regressors(flows, design, treatment, tuple(diversion))
    codes, labels = flows.clusters(design.cluster)
    if len(labels) < 2:
        raise DesignError(
            f"도착지 군집 {design.cluster} 이(가) 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )
    k = len(found.names)
    if pair:
        solved, destination = _with_pairs(flows, found, codes, origin_period, trends, replicates)
    else:
        solved, destination = _without_pairs(flows, found, codes, bool(replicates or replicates is None))
    if np.isnan(solved.values[0]):
        raise DesignError(
            f"처치 {found.names[0]} 을(를) 고정효과와 구별할 수 없음"
            + (f" (분리된 칸 {solved.detail['n_separated_cells']}개)" if solved.cells.any() else ""),
            remedy="처치되지 않은 도착지와 처치 전 기간이 있는지, 처치된 뒤의 흐름이 모두 0은 아닌지 확인할 것",
        )
    return _assemble(
        flows, design, found, solved, destination, (codes, labels), k, (pair, origin_period, trends)
    )


def _with_pairs(
    flows: Flows,
    found: Regressors,
    codes: Codes,
    origin_period: bool,
    trends: bool,
    replicates: bool | None,
) -> tuple[Solved, Codes]:
    """Rows are pairs of origin and destination; and the destination of each row kept."""
    origins, destinations, periods = flows.shape
    tables = found.columns
    names = list(found.names)
    if trends:
        slope = np.zeros((destinations, periods, destinations))
        at = np.arange(destinations)
        slope[at, :, at] = np.arange(periods) - (periods - 1) / 2
        tables = np.concatenate([tables, slope], axis=2)
        names += [f"trend:{label}" for label in flows.destinations]
    # destinations with the same regressors throughout share a profile, so that their flows can be added up
    shapes, profile = np.unique(tables.reshape(destinations, -1), axis=0, return_inverse=True)
    profile = profile.ravel().astype(np.int64)
    origin = np.repeat(np.arange(origins), destinations)
    destination = np.tile(np.arange(destinations), origins)
    stratum = origin if origin_period else np.zeros_like(origin)
    pairs, group = np.unique(stratum * len(shapes) + profile[destination], return_inverse=True)
    used = found.used.reshape(-1, periods)
    problem = Problem(
        counts=np.where(used, flows.counts.reshape(-1, periods), 0.0),
        exposure=None if used.all() else used.astype(np.float64),
        group=group.ravel().astype(np.int64),
        profile=(pairs % len(shapes)).astype(np.int64),
        stratum=(pairs // len(shapes)).astype(np.int64),
        tables=shapes.reshape(len(shapes), periods, -1),
        dense=(),
        cluster=codes[destination],
    )
    solved = solve(problem, names, weights=None, replicates=replicates, required=1, unit="출발지×도착지 쌍")
    return solved, destination[solved.rows]


def _without_pairs(flows: Flows, found: Regressors, codes: Codes, replicates: bool) -> tuple[Solved, Codes]:
    """Rows are destinations; origin × period and destination effects."""
    periods = flows.shape[2]
    origin, destination, period = np.nonzero(found.used)
    rows = Rows(
        counts=flows.counts[origin, destination, period],
        columns=found.columns[destination, period],
        factors=[origin * periods + period, destination],
        weights=np.ones(len(origin)),
        offset=np.zeros(len(origin)),
        unit=destination,
        period=period,
        cluster=codes[destination],
    )
    solved = solve_rows(rows, found.names, flows.shape[1:], replicates=replicates)
    return solved, np.flatnonzero(solved.rows)


def _assemble(
    flows: Flows,
    design: Design,
    found: Regressors,
    solved: Solved,
    destination: Codes,
    clusters: tuple[Codes, NDArray[Any]],
    k: int,
    effects: tuple[bool, bool, bool],
) -> Estimate:
    units = np.unique(destination)
    place = np.searchsorted(units, destination)
    influence = np.zeros((len(units), k))
    np.add.at(influence, place, solved.influence[:, :k] * (len(units) / len(destination)))
    labels = np.unique(clusters[0][units])
    treated = found.treated[units]
    pair, origin_period, trends = effects
    notes = [
        "처치는 도착지와 연도에 따라 바뀌므로 도착지×연도 효과는 처치와 구별되지 않아 넣지 않았다:"
        " 같은 때 그 도착지에 생긴 다른 변화도 효과로 보인다.",
        *found.notes,
        *solved.detail["notes"],
    ]
    dropped = {"gram", "score", "positions", "by_period", "cell_meat", "n_cells", "hessian_inverse"}
    detail = {key: value for key, value in solved.detail.items() if key not in dropped}
    detail |= {
        "n_separated_pairs": detail.pop("n_separated_units"),
        "n_missing": found.n_missing,
        "collinear": [name for name in detail["collinear"] if not name.startswith("trend:")],
        "own_share": _own_share(flows, found),
        "effects": [
            "origin_period" if origin_period else "period",
            "pair" if pair else "destination",
            *(["destination_trend"] if trends else []),
        ],
        "scale": "log",
        "notes": notes,
    }
    terms = pd.MultiIndex.from_arrays([found.names], names=["term"])
    sides = _sides(found, clusters[0], units)
    covariance = without_error(solved.covariance[:k, :k], sides.alone)
    notes += doubts(sides, terms, solved.values[:k], covariance, design.cluster)
    return Estimate(
        terms=terms,
        values=solved.values[:k],
        covariance=covariance,
        influence=influence,
        cluster=np.searchsorted(labels, clusters[0][units]),
        cluster_labels=clusters[1][labels],
        replicates=None if solved.replicates is None else solved.replicates[:, :k],
        dof=np.full(k, float(len(labels) - 1)),
        n_treated=np.full(k, treated.sum()),
        n_comparison=np.full(k, (~treated).sum()),
        method="gravity/" + "+".join(detail["effects"]),
        inference="CV1",
        units=flows.destinations[units],
        design=replace(design, link="ratios").to_dict(),
        detail=detail,
    )


def _sides(found: Regressors, codes: Codes, units: Codes) -> Sides:
    """Clusters of destinations behind the treatment: treated ones, and ones without it while others have it."""
    on = found.columns[units, :, 0] != 0
    others = (on.any(axis=0) & ~on).any(axis=1)
    fewest = min(len(np.unique(codes[units][side])) for side in (on.any(axis=1), others))
    behind = np.full(len(found.names), FEW)
    behind[0] = fewest
    return Sides(behind, behind)


def _own_share(flows: Flows, found: Regressors) -> float:
    """Σ n_dt P_dt / Σ n_dt over treated cells, with P_dt = n_dt / n_t and n_dt summed over origins."""
    flow = np.where(found.used, flows.counts, 0.0).sum(axis=0)  # (D, T)
    total = flow.sum(axis=0)
    share = flow / np.where(total > 0, total, 1.0)
    on = np.where(found.columns[:, :, 0] != 0, flow, 0.0)
    return float((on * share).sum() / on.sum()) if on.sum() > 0 else float("nan")
