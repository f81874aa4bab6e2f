"""Marginal value of public funds: what people would give for the programme over what it costs the budget in the end.

    WTP      = outlay · transferred share · value of a won to firms + job-years · wage · surplus share
    net cost = outlay − job-years · (wage · (income tax + social insurance) + unemployment benefits saved)
               − net sales · business tax
    MVPF     = WTP / net cost;  ∞ where the budget gets its money back (net cost ≤ 0) and WTP > 0

Hendren & Sprung-Keyser (2020, QJE 135). A won given to a firm for what it would have done anyway is worth a won to it.
Money in 억원 of one year. Jobs and sales are drawn with the joint errors of their estimates, everything else from what the
plan assumes; a draw with neither value nor cost (WTP ≤ 0 and net cost ≤ 0) has no ratio and is counted apart.

Checked: hand-worked example, the three cases: tests/reference/test_net_value.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.appraisal.priors import NONE, Prior
from evalkit.errors import DataError, RefusalError

Floats = NDArray[np.float64]
MILLION_PER_EOK = 100.0
# in the order of the table; what a sign says: + adds to WTP, − lowers the net cost
INPUTS: Mapping[str, str] = {
    "wage": "연 임금",
    "income_tax": "소득세율",
    "social_insurance": "사회보험료율",
    "unemployment_saving": "실업급여 절감",
    "business_tax": "부가세·법인세율",
    "wage_surplus": "임금의 순이득 비율",
    "transfer_value": "지원 1원의 값",
    "transfer_share": "기업에 이전된 비율",
}
# what stands in the table of the page
COMPONENTS = (
    "transfer",
    "wages",
    "wtp",
    "outlay",
    "income_tax",
    "social_insurance",
    "unemployment",
    "business_tax",
    "net_cost",
)


@dataclass(frozen=True, slots=True, eq=False)
class Mvpf:
    """The ratio and what it is made of.

    Attributes
    ----------
    components : name -> mean, low, high in 억원; fiscal gains are positive and come off the outlay
    median, low, high : quantiles of the ratio, +inf where it pays for itself
    infinite : share of draws in which the programme pays for itself
    undefined : share of draws with neither value nor cost, left out of the quantiles
    draws : of the ratio, NaN where undefined
    """

    components: Mapping[str, tuple[float, float, float]]
    median: float
    low: float
    high: float
    infinite: float
    undefined: float
    draws: Floats


def mvpf(
    outlay_eok: float,
    job_years: Floats,
    sales_eok: Floats | None,
    priors: Mapping[str, Prior | None],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Mvpf:
    """The ratio by simulation.

    Parameters
    ----------
    outlay_eok : cost in 억원; known
    job_years : draws of net job-years, discounted  # (n,)
    sales_eok : draws of net sales over the same years, 억원; None only where the business tax is fixed at 0  # (n,)
    priors : name (`INPUTS`) -> distribution; wage and unemployment saving in million KRW a year, others shares

    Raises
    ------
    RefusalError : an input that the plan does not give, by name
    DataError : an outlay that is not above 0
    """
    missing = [words for name, words in INPUTS.items() if priors.get(name) is None]
    if missing:
        raise RefusalError(
            f"공적 자금의 한계가치를 낼 수 없음: {', '.join(missing)}이(가) 계획에 없음",
            where=("value.mvpf",),
            remedy="값과 범위를 출처와 함께 적거나, 출처가 없으면 가정으로 적을 것",
        )
    known = {name: prior for name, prior in priors.items() if prior is not None}
    if sales_eok is None and known["business_tax"] != NONE:
        raise RefusalError(
            "공적 자금의 한계가치를 낼 수 없음: 순증 매출이 없어 부가세·법인세를 셈할 수 없음",
            where=("value.mvpf.business_tax",),
            remedy="value.sales 에 매출 결과를 적거나 business_tax 를 0 으로 둘 것",
        )
    if not outlay_eok > 0:
        raise DataError(f"비용 {outlay_eok!r}억원이 0보다 크지 않음", remedy="비용을 확인할 것")
    size = len(job_years)
    x = {
        name: known[name].draw(np.random.default_rng([seed, 10 + at]), size) for at, name in enumerate(INPUTS)
    }
    parts = _parts(outlay_eok, job_years, np.zeros(size) if sales_eok is None else sales_eok, x)
    ratio = ratio_of(parts["wtp"], parts["net_cost"])
    low, median, high = _quantiles(ratio, [(1 - level) / 2, 0.5, (1 + level) / 2])
    ends = [(1 - level) / 2, (1 + level) / 2]
    return Mvpf(
        components={
            name: (float(parts[name].mean()), *(float(q) for q in np.quantile(parts[name], ends)))  # type: ignore[misc]
            for name in COMPONENTS
        },
        median=median,
        low=low,
        high=high,
        infinite=float(np.isposinf(ratio).mean()),
        undefined=float(np.isnan(ratio).mean()),
        draws=ratio,
    )


def _parts(outlay: float, job_years: Floats, sales: Floats, x: Mapping[str, Floats]) -> dict[str, Floats]:
    """Every component of `COMPONENTS`, 억원  # (n,) each"""
    wages = job_years * x["wage"] / MILLION_PER_EOK
    parts = {
        "transfer": outlay * x["transfer_share"] * x["transfer_value"],
        "wages": wages * x["wage_surplus"],
        "outlay": np.full(len(job_years), float(outlay)),
        "income_tax": wages * x["income_tax"],
        "social_insurance": wages * x["social_insurance"],
        "unemployment": job_years * x["unemployment_saving"] / MILLION_PER_EOK,
        "business_tax": sales * x["business_tax"],
    }
    parts["wtp"] = parts["transfer"] + parts["wages"]
    parts["net_cost"] = parts["outlay"] - sum(
        parts[name] for name in ("income_tax", "social_insurance", "unemployment", "business_tax")
    )
    return parts


def ratio_of(wtp: Floats, net_cost: Floats) -> Floats:
    """WTP over net cost by case: ∞ where net cost ≤ 0 < WTP, NaN where neither is above 0.

    >>> ratio_of(np.array([2.0, 2.0, -1.0, -1.0]), np.array([4.0, -1.0, -1.0, 2.0])).tolist()
    [0.5, inf, nan, -0.5]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = wtp / net_cost
    return np.where(net_cost > 0, plain, np.where(wtp > 0, np.inf, np.nan))


def _quantiles(ratio: Floats, shares: list[float]) -> list[float]:
    """Order statistics: a mean of a number and ∞ would be no quantile."""
    known = np.sort(ratio[~np.isnan(ratio)])
    if not len(known):
        return [float("nan")] * len(shares)
    at = np.minimum((np.asarray(shares) * len(known)).astype(int), len(known) - 1)
    return [float(v) for v in known[at]]
