"""The difference of mean changes between clusters under every simulation and effect size at once."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.power_draws import (
    all_assignments,
    assignments_count,
    bias_reduced_reach,
    cluster_means,
    differences,
    jackknife_reach,
    permutation_p,
    random_assignments,
    window_means,
)
from evalkit.checks._power_setting import Setting
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError, nearest

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rule = Literal["CV3-t", "CR2-BM", "wider", "RI-t"]
ENUMERATED = 5000


def collapsed_decisions(
    design: Design,
    setting: Setting,
    rule: str,
    sizes: Floats,
    level: float,
    permutations: int,
    seed: int,
) -> tuple[Bools, Floats]:
    """Whether each simulation rejects at each effect size, and its estimate  # (R, E), (R, E)

    Raises
    ------
    DesignError : what the difference of mean changes cannot do: mixed clusters, several adoption dates in the window,
        covariates, missing outcomes; fewer than two clusters on a side
    UsageError : the rule does not exist
    """
    if rule not in get_args(Rule):
        raise UsageError(f"추론 규칙 {rule!r} 을(를) 모름", remedy=nearest(rule, get_args(Rule)))
    size, on, dose = _clusters(design, setting, rule)
    y = setting.panel.values(design.outcome)
    means = cluster_means(y, setting.weight, setting.slot, size)
    starts = np.arange(int(setting.window.max()) + 1)
    post = window_means(means, starts, setting.before + setting.gap, setting.after)  # (W, C)
    change = (post - window_means(means, starts, 0, setting.before))[setting.window]
    treated = on[setting.codes][setting.pick]  # (R, C)
    if setting.kind == "multiplicative":
        slope = np.where(treated, post[setting.window], 0.0)
    else:
        slope = np.where(treated, dose[setting.codes][setting.pick] if setting.kind == "dose" else 1.0, 0.0)
    # (R, E, C)
    full = change[:, None, :] + sizes[:, None] * slope[:, None, :]
    estimates = differences(full, treated[:, None, :], size)
    if rule == "RI-t":
        return _by_permutation(full, treated, size, setting, on, level, permutations, seed), estimates
    reach = np.zeros(estimates.shape)
    if rule in ("CV3-t", "wider"):
        reach = jackknife_reach(full, treated[:, None, :], size, level)
    if rule in ("CR2-BM", "wider"):
        reach = np.maximum(reach, bias_reduced_reach(full, treated[:, None, :], size, level))
    return np.abs(estimates) > reach, estimates


def _by_permutation(
    full: Floats,
    treated: Bools,
    size: Floats,
    setting: Setting,
    on: Bools,
    level: float,
    permutations: int,
    seed: int,
) -> Bools:
    drawn = assignments_count(setting.actual, setting.block) > ENUMERATED
    reference = (
        random_assignments(setting.actual, setting.block, permutations, seed + 1)
        if drawn
        else all_assignments(setting.actual, setting.block)
    )
    r, e, c = full.shape
    p = permutation_p(full.reshape(r * e, c), np.repeat(treated, e, axis=0), size, on[reference], drawn=drawn)
    return (p <= (1 - level) * (1 + 1e-12)).reshape(r, e)


def _clusters(design: Design, setting: Setting, rule: str) -> tuple[Floats, Bools, Floats]:
    """Size of each cluster, and of each code whether it is treated and its dose."""
    remedy = "fit 에 추정 함수를, decide 에 추론 함수를 줄 것 (예: fit=..., decide=leading_rule(fit))"
    clusters = len(np.unique(setting.panel.clusters(design.cluster)[0]))
    if len(setting.actual) != clusters:
        raise DesignError(
            "한 군집 안에 지원받은 단위와 받지 않은 단위가 섞여 있어 군집 평균의 차이로 볼 수 없음",
            where=(f"군집 {design.cluster}",),
            remedy=remedy,
        )
    late = np.unique(setting.offset[np.isfinite(setting.offset)])
    if len(late) > 1:
        raise DesignError(
            f"창 안에서 도입 시점이 {len(late)}가지라 군집 평균의 차이로 볼 수 없음", remedy=remedy
        )
    if design.covariates:
        raise DesignError(
            f"공변량 {', '.join(design.covariates)} 은(는) 군집 평균의 차이에 쓰이지 않음", remedy=remedy
        )
    if design.link != "levels" or design.at_risk is not None:
        raise DesignError("군집 평균의 차이는 link=levels 이고 at_risk 가 없을 때만 씀", remedy=remedy)
    y = setting.panel.values(design.outcome)
    if np.isnan(y).any():
        at = np.argwhere(np.isnan(y))[0]
        raise DesignError(
            f"결과 {design.outcome} 에 빈 칸이 있어 군집 평균의 변화가 같은 단위의 것이 아님",
            where=(f"단위 {setting.panel.units[at[0]]}", f"{setting.panel.periods[at[1]]}"),
            remedy="빈 칸이 없는 단위만 남기거나, " + remedy,
        )
    if design.weight is not None and rule in ("CR2-BM", "wider"):
        raise DesignError(
            f"가중치 {design.weight} 이(가) 있는 CR2 는 군집 평균만으로 구할 수 없음",
            remedy='decide="CV3-t" 나 "RI-t" 로 두거나, ' + remedy,
        )
    size = np.bincount(setting.slot, setting.weight).astype(np.float64)
    on = np.isfinite(setting.offset)
    sides = [int(on[setting.actual].sum()), int((~on)[setting.actual].sum())]
    if min(sides) < 2 and rule != "RI-t":
        raise DesignError(
            f"지원 군집 {sides[0]}개, 비교 군집 {sides[1]}개로는 한쪽의 분산을 알 수 없어 {rule} 검정을 할 수 없음",
            remedy='decide="RI-t" 로 두고 가장 작은 p 값을 함께 볼 것',
        )
    return size, on, setting.dose
