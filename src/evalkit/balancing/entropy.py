"""Entropy balancing: comparison weights with exactly the covariate means (and moments) of the treated units.

Of all weights that meet the moments, those closest to the base weights in relative entropy: Hainmueller (2012),
Entropy balancing for causal effects, Political Analysis 20, eq. 4–6. They are the weights of the improved doubly
robust estimator of Sant'Anna & Zhao (2020) (exponential tilting), so a difference in differences with these weights
equals `group_time_effects(method="dr_improved")` with the same covariates.

Checked in tests/reference/test_balancing.py: moments to 1e-10, scipy's minimisers on primal and dual, diff_diff 3.13
(``balancing.entropy_balance``), and R DRDID 1.2.3 on the NSW–CPS data through the identity above.

Where it differs: a covariate of whose category the treated have none (or all) drops the comparison units of the other
category, the limit of the weights there; a target that no weights reach is an error that names the covariate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.exponential_tilt import Tilt, exponential_tilt, least_gap
from evalkit.balancing.result import Balancing
from evalkit.balancing.sides import (
    Covariate,
    Told,
    balancing_of,
    independent,
    read_sides,
    standardised,
    with_powers,
)
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
EDGE = 1e-12

CARDS = (
    MethodCard(
        function="entropy_balancing",
        name="엔트로피 균형 가중",
        english="entropy balancing",
        group="before",
        question="비교 단위에 어떤 무게를 주면 기준 시점의 특성이 지원받은 단위와 정확히 같아지는가?",
        assumptions=(
            "기준 시점의 공변량이 같으면 지원이 없었을 때의 추세가 같았다(조건부 평행추세).",
            "공변량은 지원 전에 정해졌다.",
            "지원받은 단위의 평균이 비교 단위들로 만들 수 있는 범위 안에 있다(공통 영역).",
        ),
        returns="Balancing: 가중치, 유효 표본 크기, 가장 큰 무게, 빠진 단위; apply 로 패널에 붙여 Design.weight 에 쓴다",
        reference="Hainmueller (2012)",
        oracle=(
            "scipy 최적화(원문제·쌍대문제), diff_diff 3.13, R DRDID 1.2.3: tests/reference/test_balancing.py",
        ),
        differs="지원받은 단위가 없는 범주의 비교 단위는 무게가 0으로 가는 극한을 그대로 쓰고 알린다.",
        refuses="지원 뒤에 측정한 공변량. 비교 단위로 만들 수 없는 평균이면 공변량의 이름을 알리고 멈춘다.",
    ),
)


def entropy_balancing(
    panel: Panel,
    design: Design,
    covariates: Sequence[Covariate] | None = None,
    *,
    moments: int = 1,
    max_weight: float | None = None,
) -> Balancing:
    """Weights of the comparison units that give the treated units' covariate moments.

    Parameters
    ----------
    panel : outcomes after adoption are not read
    design : adoption (treated = ever), anticipation, weight (base weights; varying: in the base period), at_risk
    covariates : names of variables (varying: in the base period) or (name, earlier period); None = design.covariates
    moments : 1 = means, 2 = variances too, 3 = skewness too (not of binary columns)
    max_weight : largest share of the comparison total that one unit may carry, 0–1; None = no bound

    Returns
    -------
    Balancing ("entropy"); ``detail``: multipliers (of the standardised columns), columns, steps, max_weight

    Raises
    ------
    DesignError : the treated moments lie outside what the comparison units can give (the sentence names the
        covariate), one side is empty, no clean period
    RefusalError : a covariate measured at or after adoption

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1]), {"y": np.zeros((4, 1))},
    ...               {"adoption": np.array([2, np.inf, np.inf, np.inf]), "size": np.array([2.0, 1.0, 2.0, 4.0])})
    >>> found = entropy_balancing(panel, Design("y"), ("size",))
    >>> round(float(found.weights[1:] @ panel.constant("size")[1:]), 10)
    2.0
    """
    if max_weight is not None and not 0 < max_weight <= 1:
        raise UsageError(
            f"가장 큰 무게 max_weight={max_weight!r} 이(가) 0과 1 사이가 아님",
            remedy="비교 합계에서 한 단위가 질 수 있는 몫을 0.05 처럼 적을 것",
        )
    sides = read_sides(panel, design, covariates)
    x, names, origin = with_powers(sides, moments)
    z, _, spread = standardised(x, sides)
    at = np.flatnonzero(sides.comparison)
    kept, columns, notes = _inside(z, at, spread, origin)
    dropped = dict(sides.dropped)
    if len(kept) < len(at):
        dropped["outside_category"] = tuple(str(u) for u in panel.units[np.setdiff1d(at, kept)])
    columns, redundant = independent(z[kept], columns)
    notes += ["redundant_column"] * redundant
    bound = np.inf if max_weight is None else max_weight
    tilt = _tilted(z[kept], columns, spread, origin, sides.base[kept], bound, sides.period)
    if (tilt.weights > bound * (1 - 1e-9)).any():
        notes.append("bounded")
    weights = np.where(sides.treated, sides.base, 0.0)
    weights[kept] = tilt.weights * weights.sum()
    detail = {
        "multipliers": tilt.multipliers,
        "columns": [names[j] for j in columns],
        "steps": tilt.steps,
        "max_weight": max_weight,
        "moments": moments,
    }
    told = Told("entropy", dropped, notes, detail)
    return balancing_of(told, panel, sides, weights, z, spread)


def _tilted(
    z: Floats,
    columns: Codes,
    spread: Floats,
    origin: tuple[str, ...],
    base: Floats,
    bound: float,
    period: int,
) -> Tilt:
    """The weights, or the sentence why there are none."""
    if bound * len(z) < 1:
        raise DesignError(
            f"비교 단위 {len(z)}개가 저마다 {bound:g} 까지만 지면 합이 1이 되지 않음",
            remedy=f"max_weight 를 {1 / len(z):.3g} 보다 크게 적을 것",
        )
    tilt = exponential_tilt(z[:, columns], np.zeros(len(columns)), base, bound)
    # columns that the others determine must agree too
    left = np.abs(tilt.weights @ z)[spread > 0].max(initial=0.0)
    if not tilt.found or left > 1e-8:
        _refuse(tilt, z, spread, origin, bound, period)
    return tilt


def _inside(z: Floats, at: Codes, spread: Floats, origin: tuple[str, ...]) -> tuple[Codes, Codes, list[str]]:
    """Comparison units and columns left where the target (0) lies strictly between the units' values.

    A target on the edge of a column leaves the units on that edge, and the column has no more to say.
    """
    told: list[str] = []
    columns = np.flatnonzero(spread > 0)
    if len(columns) < len(spread):
        told.append("constant_column")
    while True:
        low, high = z[at][:, columns].min(axis=0), z[at][:, columns].max(axis=0)
        outside = np.flatnonzero((low > EDGE) | (high < -EDGE))
        if len(outside):
            j = int(columns[outside[0]])
            side = "작음" if low[outside[0]] > EDGE else "큼"
            raise DesignError(
                f"공변량 {origin[j]} 의 지원 단위 평균이 모든 비교 단위보다 {side}: 어떤 무게로도 맞출 수 없음",
                where=(f"비교 단위 {len(at)}개",),
                remedy=f"공변량에서 {origin[j]} 을(를) 빼거나, 비교할 수 있는 단위만 남기거나(matching 의 caliper), 비교집단을 넓힐 것",
            )
        flat = (np.abs(low) <= EDGE) & (np.abs(high) <= EDGE)
        edge = np.flatnonzero(((np.abs(low) <= EDGE) | (np.abs(high) <= EDGE)) & ~flat)
        columns_left = columns[~flat]
        if not len(edge):
            return at, columns_left, told
        told.append("category_without_treated")
        j = int(columns[edge[0]])
        at = at[np.abs(z[at, j]) <= EDGE]
        columns = columns_left[columns_left != j]


def _refuse(
    tilt: Tilt,
    z: Floats,
    spread: Floats,
    origin: tuple[str, ...],
    bound: float,
    period: int,
) -> None:
    """Say which covariate cannot be balanced: what a linear programme cannot close, else what pulls hardest."""
    free = least_gap(z, np.zeros(z.shape[1]))
    if np.isfinite(bound) and not np.abs(np.nan_to_num(free)).max(initial=0.0) > 0:
        raise DesignError(
            f"한 단위의 몫을 {bound:g} 이하로 두면 공변량의 평균을 맞출 수 없음",
            where=(f"기준 시점 {period}", f"비교 단위 {len(z)}개"),
            remedy="max_weight 를 키우거나 두지 말고, 유효 표본 크기를 볼 것",
        )
    left = np.where(spread > 0, np.abs(np.nan_to_num(free)), 0.0)
    if not left.max(initial=0.0) > 0:
        left = np.where(spread > 0, np.abs(tilt.weights @ z), 0.0)
    names_left = list(dict.fromkeys(origin[j] for j in np.argsort(-left, kind="stable")[:3] if left[j] > 0))
    raise DesignError(
        f"공변량 {', '.join(names_left)} 의 지원 단위 평균을 비교 단위의 무게로 만들 수 없음"
        f" (가장 가까운 무게로도 {left.max():.3g} 표준편차 남음)",
        where=(f"기준 시점 {period}", f"비교 단위 {len(z)}개"),
        remedy=f"공변량 {names_left[0]} 을(를) 빼거나 묶고, 적률의 차수를 낮추거나, matching 의 caliper 로 비교할 수 있는 단위만 남길 것",
    )
