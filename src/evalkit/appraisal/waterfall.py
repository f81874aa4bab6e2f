"""From the total that a programme reports to what it brought to the place and to the country.

    local    = (τN·(1 − L) + Σ_j δ_j N_j) · M
    national = (τN + Σ_j δ_j N_j) · M · (1 − E)

τN and Σ δ_j N_j are estimated together and share their errors; L (leakage: jobs held by people from elsewhere), M (multiplier)
and E (lost elsewhere) are assumed, independently. Jobs that leak are in the country all the same, so they come back at the
last step. Nothing is known of E in most programmes: then the answer is the range from all lost elsewhere (0) to none.

What a difference-in-differences leaves out already may not be taken off again. A `Total` carries what it is net of, and
`less` refuses to take the same thing off twice: deadweight from an effect against a comparison group, displacement from one
that counts the rings. A monitored gross total has neither taken off, and for it alone there is the identity of the
Additionality Guide (HCA, 4th ed. 2014), `additional_impact`.

Checked: hand-worked identity, moments in closed form, refusals: tests/reference/test_net_value.py, tests/unit/test_net_value.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.appraisal.priors import NONE, ONE, Prior, joint_draws, variance_shares
from evalkit.errors import DataError, RefusalError, UsageError
from evalkit.estimate import Estimate

Floats = NDArray[np.float64]
Part = Literal["deadweight", "substitution", "displacement", "leakage"]
PARTS: dict[Part, str] = {
    "deadweight": "사중손실",
    "substitution": "대체",
    "displacement": "전치",
    "leakage": "누출",
}
Triple = tuple[float, float, float]
Basis = Literal["reported", "estimated", "assumed", "implied"]


@dataclass(frozen=True, slots=True)
class Total:
    """A total and what has been taken off it already.

    Attributes
    ----------
    value : in the unit of the outcome
    label : gross, direct, local or national
    net_of : what is no longer in it
    """

    value: float
    label: Literal["gross", "direct", "local", "national"]
    net_of: frozenset[Part] = frozenset()


def gross_total(value: float) -> Total:
    """A total as monitored or reported: nothing is taken off it."""
    return Total(float(value), "gross")


def direct_total(value: float) -> Total:
    """An effect against a comparison group, times its units.

    What would have happened anyway (deadweight) and what a supported firm cut elsewhere in itself (substitution) are not in it.
    """
    return Total(float(value), "direct", frozenset({"deadweight", "substitution"}))


def with_rings(direct: Total, spillover: float) -> Total:
    """A direct effect and what was won or lost in the rings: displacement is counted.

    Raises
    ------
    RefusalError : displacement is counted already, or the total is a gross one
    """
    if direct.label == "gross":
        raise RefusalError(
            "보고된 총량에 고리에서 추정한 전치를 더할 수 없음: 총량에는 사중손실이 남아 있음",
            remedy="비교집단과 견준 직접 순효과에 더할 것",
        )
    _refuse_twice(direct, "displacement")
    return Total(direct.value + spillover, "local", direct.net_of | {"displacement"})


def less(total: Total, part: Part, share: float) -> Total:
    """A total without a share of it: value · (1 − share).

    Raises
    ------
    RefusalError : the part was taken off before
    UsageError : a share outside 0–1, or a part that does not exist
    """
    if part not in PARTS:
        raise UsageError(f"{part!r} 은(는) 뺄 수 있는 몫이 아님", remedy=", ".join(PARTS))
    _refuse_twice(total, part)
    if not 0 <= share <= 1:
        raise UsageError(
            f"{PARTS[part]}의 비율 {share!r} 이(가) 0과 1 사이가 아님", remedy="0.1 처럼 적을 것"
        )
    return Total(total.value * (1 - share), total.label, total.net_of | {part})


def _refuse_twice(total: Total, part: Part) -> None:
    if part not in total.net_of:
        return
    why = {
        "deadweight": "비교집단과 견준 효과에는 지원이 없었어도 생겼을 몫이 이미 빠져 있음",
        "substitution": "기업 전체의 변화로 잰 효과에는 기업 안에서 줄어든 일자리가 이미 빠져 있음",
        "displacement": "고리 효과를 더한 값에는 이웃에서 줄어든 몫이 이미 들어 있음",
        "leakage": "지역 밖 사람의 몫을 이미 뺐음",
    }[part]
    raise RefusalError(
        f"{PARTS[part]}의 몫을 두 번 뺄 수 없음: {why}",
        where=(f"{total.label} {total.value:g}",),
        remedy="보고된 총량(gross)에서만 빼거나, 뺀 값을 그대로 쓸 것",
    )


def additional_impact(
    gross: Total,
    shares: Mapping[Part, float],
    multiplier: float = 1.0,
    *,
    reference: Total | None = None,
    reference_shares: Mapping[Part, float] | None = None,
    reference_multiplier: float | None = None,
) -> Total:
    """Additional impact of a monitored gross total: AI = GI(1−L)(1−Dp)(1−S)M − GI*(1−L*)(1−Dp*)(1−S*)M*.

    The second part is what would have happened without the programme: the deadweight. For gross totals alone.

    Parameters
    ----------
    gross : as monitored; shares : of it, by part (leakage, displacement, substitution)
    reference : the gross total without the programme; None = none
    reference_shares, reference_multiplier : of the reference; None = those of the programme

    Raises
    ------
    RefusalError : a total that something was taken off already, or deadweight among the shares beside a reference
    """
    for total in (gross, reference):
        if total is not None and total.net_of:
            raise RefusalError(
                f"지침의 식은 모니터링한 총량에만 쓰임: 이 값에는 {', '.join(PARTS[p] for p in sorted(total.net_of))}의 몫이 이미 빠져 있음",
                remedy="보고된 총량(gross_total)을 넣을 것",
            )
    if reference is not None and "deadweight" in shares:
        raise RefusalError(
            "사중손실의 몫을 두 번 뺄 수 없음: 기준 상황(reference)이 곧 사중손실임",
            remedy="shares 에서 deadweight 를 빼거나 reference 를 주지 말 것",
        )
    net = gross
    for part, share in shares.items():
        net = less(net, part, share)
    value, net_of = net.value * multiplier, net.net_of
    if reference is not None:
        base = reference
        for part, share in (shares if reference_shares is None else reference_shares).items():
            base = less(base, part, share)
        value -= base.value * (multiplier if reference_multiplier is None else reference_multiplier)
        net_of = net_of | {"deadweight"}
    return Total(value, "local", net_of)


# -- the way from gross to national, with errors ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is assumed on the way. `elsewhere` None = not known."""

    leakage: Prior = NONE
    multiplier: Prior = ONE
    elsewhere: Prior | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One number on the way.

    Attributes
    ----------
    key : gross, implied, direct, leakage, displacement, multiplier, local, returned, elsewhere, national
    change : whether it is a difference between two levels
    estimate, low, high : of the level or the change; a range without a centre has estimate NaN
    basis : reported, estimated, assumed (an assumption enters), implied (reported against estimated)
    """

    key: str
    change: bool
    estimate: float
    low: float
    high: float
    basis: Basis


@dataclass(frozen=True, slots=True, eq=False)
class Waterfall:
    """The steps, the draws behind them, and what drives the last ones.

    Attributes
    ----------
    steps : in order
    local, national : draws; None where it cannot be said  # (draws,)
    plain_local : local net at multiplier 1 and no leakage (estimated alone): estimate, low, high; None without rings
    shares : of the variance of the local net by input; first order, with "interaction"
    zero_sum : the national step is a range, because nothing is known of losses elsewhere
    implied_share : 1 − τN/G, with its interval; what of the reported total is not additional. Never subtracted
    level : of the intervals
    """

    steps: tuple[Step, ...]
    local: Floats | None
    national: Floats | None
    plain_local: Triple | None
    shares: Mapping[str, float]
    zero_sum: bool
    implied_share: Triple | None
    level: float

    def step(self, key: str) -> Step | None:
        """The step of that name, where the way gets that far."""
        return next((step for step in self.steps if step.key == key), None)


def waterfall(
    totals: Estimate,
    *,
    gross: float | None,
    assumed: Assumed,
    level: float = 0.95,
    draws: int = 100_000,
    seed: int = 0,
) -> Waterfall:
    """Gross, direct, local and national net, an interval at each step.

    Parameters
    ----------
    totals : of `net_effect` (terms "quantity": direct, spillover, net, with their joint covariance), or the direct total alone
        (one term): without rings the way ends there, because what neighbours lost is not known
    gross : the reported total; None = none
    assumed : leakage, multiplier, losses elsewhere
    level, draws, seed : of intervals; the same seed gives the same numbers

    Raises
    ------
    DesignError : the estimate has no errors; DataError : a gross total of zero or below, two degrees of freedom or fewer
    """
    if gross is not None and not (gross > 0 and math.isfinite(gross)):
        raise DataError(f"보고된 총량 {gross!r} 이(가) 0보다 큰 수가 아님", remedy="보고된 실적을 확인할 것")
    table = totals.table(level)
    direct = _triple(table.iloc[0])
    steps, implied = _reported_steps(gross, direct)
    if len(totals) == 1:
        return Waterfall(tuple(steps), None, None, None, {}, False, implied, level)
    centre = totals.values[:2]
    inputs: dict[str, Floats] = {
        "estimation": joint_draws(
            centre,
            totals.covariance[:2, :2],
            float(totals.dof[:2].min()),
            np.random.default_rng([seed, 1]),
            draws,
        ),
        "leakage": assumed.leakage.draw(np.random.default_rng([seed, 2]), draws),
        "multiplier": assumed.multiplier.draw(np.random.default_rng([seed, 3]), draws),
    }
    plain = _triple(table.iloc[2])
    steps += _local_steps(inputs, centre, assumed, level, around=_triple(table.iloc[1]), plain=plain)
    last, national = _national_steps(inputs, centre, assumed, level, np.random.default_rng([seed, 4]))
    shares = variance_shares(
        local_net,
        inputs,
        {"estimation": centre, "leakage": assumed.leakage.mean, "multiplier": assumed.multiplier.mean},
    )
    if shares:
        shares["interaction"] = max(0.0, 1 - sum(shares.values()))
    return Waterfall(
        steps=(*steps, *last),
        local=local_net(inputs),
        national=national,
        plain_local=plain,
        shares=shares,
        zero_sum=assumed.elsewhere is None,
        implied_share=implied,
        level=level,
    )


def _triple(row: pd.Series) -> Triple:
    return float(row["estimate"]), float(row["conf_low"]), float(row["conf_high"])


def _reported_steps(gross: float | None, direct: Triple) -> tuple[list[Step], Triple | None]:
    """The reported total, what of it is not additional (implied, never subtracted), and the direct net."""
    last = Step("direct", False, *direct, basis="estimated")
    if gross is None:
        return [last], None
    value, low, high = direct
    return [
        Step("gross", False, gross, math.nan, math.nan, "reported"),
        Step("implied", True, value - gross, low - gross, high - gross, "implied"),
        last,
    ], (1 - value / gross, 1 - high / gross, 1 - low / gross)


def local_net(inputs: Mapping[str, Floats]) -> Floats:
    """(τN(1 − L) + X) · M; ``estimation`` holds τN and X  # (n, 2)"""
    theta = inputs["estimation"]
    return np.asarray((theta[:, 0] * (1 - inputs["leakage"]) + theta[:, 1]) * inputs["multiplier"])


def national_net(inputs: Mapping[str, Floats]) -> Floats:
    """(τN + X) · M · (1 − E)"""
    theta = inputs["estimation"]
    return np.asarray((theta[:, 0] + theta[:, 1]) * inputs["multiplier"] * (1 - inputs["elsewhere"]))


def quantiles(draws: Floats, level: float) -> tuple[float, float]:
    """Ends of the equal-tailed interval of draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _local_steps(
    inputs: Mapping[str, Floats],
    centre: Floats,
    assumed: Assumed,
    level: float,
    *,
    around: Triple,
    plain: Triple,
) -> list[Step]:
    """Leakage, displacement, multiplier and the local net; their centres are exact, so that the steps add up.

    What is not assumed is not a step; without assumptions the local net is estimated, and has its exact interval.
    """
    a, x = (float(v) for v in centre)
    leak, times = assumed.leakage.mean, assumed.multiplier.mean
    theta = inputs["estimation"]
    middle = a * (1 - leak) + x
    steps = [Step("displacement", True, *around, basis="estimated")]
    if assumed.leakage != NONE:
        ends = quantiles(-theta[:, 0] * inputs["leakage"], level)
        steps.insert(0, Step("leakage", True, -a * leak, *ends, basis="assumed"))
    if assumed.multiplier != ONE:
        before = theta[:, 0] * (1 - inputs["leakage"]) + theta[:, 1]
        ends = quantiles(before * (inputs["multiplier"] - 1), level)
        steps.append(Step("multiplier", True, middle * (times - 1), *ends, basis="assumed"))
    if len(steps) == 1:
        return [*steps, Step("local", False, *plain, basis="estimated")]
    ends = quantiles(local_net(inputs), level)
    return [*steps, Step("local", False, middle * times, *ends, basis="assumed")]


def _national_steps(
    inputs: Mapping[str, Floats],
    centre: Floats,
    assumed: Assumed,
    level: float,
    rng: np.random.Generator,
) -> tuple[list[Step], Floats | None]:
    """The way from local to national; the draws, or None where only a range can be said."""
    a, x = (float(v) for v in centre)
    leak, times = assumed.leakage.mean, assumed.multiplier.mean
    whole = (a + x) * times
    steps: list[Step] = []
    if assumed.leakage != NONE:
        back = inputs["estimation"][:, 0] * inputs["leakage"] * inputs["multiplier"]
        steps.append(Step("returned", True, a * leak * times, *quantiles(back, level), basis="assumed"))
    nothing = np.zeros(len(inputs["leakage"]))
    if assumed.elsewhere is None:
        low, high = quantiles(national_net({**inputs, "elsewhere": nothing}), level)
        steps.append(Step("elsewhere", True, math.nan, min(0.0, -whole), max(0.0, -whole), "assumed"))
        steps.append(Step("national", False, math.nan, min(0.0, low), max(0.0, high), "assumed"))
        return steps, None
    lost = assumed.elsewhere.draw(rng, len(nothing))
    gone = assumed.elsewhere.mean
    before = national_net({**inputs, "elsewhere": nothing})
    drawn = national_net({**inputs, "elsewhere": lost})
    steps.append(Step("elsewhere", True, -whole * gone, *quantiles(-before * lost, level), basis="assumed"))
    steps.append(Step("national", False, whole * (1 - gone), *quantiles(drawn, level), basis="assumed"))
    return steps, drawn
