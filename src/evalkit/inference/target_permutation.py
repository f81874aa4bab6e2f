"""Permutation of target lists across provinces: the companion of the target-industry triple difference.

Under the sharp null that no target industry was moved, the list of a province could have been that of another. The lists
change hands (whole rows of T, so that a province keeps as many targets as the list it gets), the estimate is made anew,
and the actual one is ranked by size. What is permuted is the list, not single cells: industries of a province move
together. The p-value counts the actual assignment, (1 + #{|β*| ≥ |β|}) / (1 + draws): Phipson and Smyth (2010).

All cells that are seen in the base year and in every averaged year are used; one cohort. With w and the cells fixed, β is
linear in T̃ = M T, M the projection off the dummies, so that a draw costs one product.

Checked against: the estimator itself on permuted panels, one by one (tests/reference/test_target_industries.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, permutations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators._target_cells import Scale, event_change, residual_maker
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="permuted_targets",
        name="대상 산업 목록의 바꾸어 배정",
        english="permutation of target lists across provinces",
        group="few_treated",
        question="대상 산업의 목록을 시·도끼리 바꾸어 놓아도 이만한 차이가 나오는가?",
        assumptions=(
            "지원이 없었다면 어느 시·도의 목록이었든 대상 산업과 다른 산업의 차이가 같은 분포로 변했다.",
        ),
        returns="PermutedTargets: 추정치, p값, 바꾸어 배정한 추정치의 분포",
        reference="Fisher (1935); Phipson & Smyth (2010)",
        oracle=("목록을 바꾼 자료를 하나씩 다시 추정: tests/reference/test_target_industries.py",),
        refuses="시작 연도가 둘 이상인 자료. 목록이 모두 같은 자료.",
    ),
)


@dataclass(frozen=True, slots=True)
class PermutedTargets:
    """The estimate among those of other assignments of the lists.

    Attributes
    ----------
    estimate : mean effect over event times 0..horizon
    p_value : two-sided, the actual assignment counted
    draws : estimates under other assignments; those that cannot be estimated are left out  # (draws,)
    exact : whether every assignment was looked at
    provinces, listed : provinces, and those with a list
    """

    estimate: float
    p_value: float
    draws: Floats
    exact: bool
    provinces: int
    listed: int


def permuted_targets(
    panel: Panel,
    design: Design,
    *,
    horizon: int,
    draws: int = 999,
    seed: int = 1,
    province: str = "sido",
    industry: str = "sector",
    scale: Scale = "level",
) -> PermutedTargets:
    """Rank the mean effect over event times 0..horizon among assignments of the lists to other provinces.

    Parameters
    ----------
    panel, design, province, industry, scale : as in `target_industry_effects`
    horizon : last event time of the average
    draws : assignments drawn; where there are no more than these, every one is looked at

    Raises
    ------
    DesignError : more than one cohort, every province has the same list; as `target_industry_effects`
    RefusalError, DataError : as `target_industry_effects`
    """
    sheet = event_change(panel, design, horizon=horizon, province=province, industry=industry, scale=scale)
    maker = residual_maker(sheet.province, sheet.industry, sheet.weight)
    count = len(sheet.provinces)
    lists = np.zeros((count, int(sheet.industry.max()) + 1))
    lists[sheet.province, sheet.industry] = sheet.target
    actual = _estimate(maker, sheet.weight, sheet.target, sheet.change)
    if np.isnan(actual):
        raise DesignError(
            "모든 시·도의 대상 산업이 같아 목록을 바꾸어 배정해도 달라지는 것이 없음",
            remedy="대상 산업이 서로 다른 시·도가 있어야 함",
        )
    exact = factorial(count) - 1 <= draws
    rng = np.random.default_rng([seed, count])
    orders = (
        [np.array(o) for o in islice(permutations(range(count)), 1, None)]
        if exact
        else [rng.permutation(count) for _ in range(draws)]
    )
    found = np.array(
        [
            _estimate(maker, sheet.weight, lists[order][sheet.province, sheet.industry], sheet.change)
            for order in orders
        ]
    )
    found = found[np.isfinite(found)]
    extreme = int((np.abs(found) >= abs(actual) * (1 - 1e-9)).sum())
    return PermutedTargets(
        actual, (1 + extreme) / (1 + len(found)), found, exact, count, int((lists.sum(axis=1) > 0).sum())
    )


def _estimate(maker: Floats, weight: Floats, target: Floats, change: Floats) -> float:
    """β of one assignment; NaN where the dummies explain it."""
    left = maker @ target
    size = float(weight @ left**2)
    total = float(weight @ (target - np.average(target, weights=weight)) ** 2)
    return float(weight @ (left * change)) / size if size > 1e-9 * total else float("nan")


__all__ = ["PermutedTargets", "permuted_targets"]
