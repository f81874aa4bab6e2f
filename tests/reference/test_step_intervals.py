"""Ends of every step from gross to national, where only one input moves and each end is a quantile by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from evalkit.appraisal.mvpf import INPUTS, mvpf
from evalkit.appraisal.priors import NONE, ONE, Prior
from evalkit.appraisal.value import per_cost
from evalkit.appraisal.waterfall import Assumed, Waterfall, waterfall
from evalkit.estimate import Estimate

DRAWS = 100_000
HALF = Prior("fixed", (0.5,))
TENTH = Prior("fixed", (0.1,))


def totals(a: float, x: float, sd: float = 1e-9, dof: float = np.inf) -> Estimate:
    """Direct, spillover and their sum with independent errors."""
    covariance = sd**2 * np.array([[1, 0, 1], [0, 1, 1], [1, 1, 2.0]])
    return Estimate(
        terms=pd.MultiIndex.from_arrays([["direct", "spillover", "net"]], names=["quantity"]),
        values=np.array([a, x, a + x]),
        covariance=covariance,
        influence=None,
        cluster=np.zeros(1, dtype=np.int64),
        cluster_labels=np.array(["a"]),
        replicates=None,
        dof=np.full(3, dof),
        n_treated=np.ones(3, dtype=np.int64),
        n_comparison=np.ones(3, dtype=np.int64),
        method="given",
        inference="given",
        units=np.array(["u"]),
    )


def ends(found: Waterfall, key: str) -> tuple[float, float]:
    step = found.step(key)
    assert step is not None
    return step.low, step.high


def test_where_only_the_multiplier_moves_every_end_is_its_quantile() -> None:
    times = Prior("lognormal", (1.2, 0.2))
    low, high = times.quantile(0.025), times.quantile(0.975)
    found = waterfall(totals(400, -100), gross=None, assumed=Assumed(TENTH, times, HALF), draws=DRAWS, seed=1)
    by_hand = {
        "leakage": (-40, -40),
        "displacement": (-100, -100),
        "multiplier": (260 * (low - 1), 260 * (high - 1)),
        "local": (260 * low, 260 * high),
        "returned": (40 * low, 40 * high),
        "elsewhere": (-150 * high, -150 * low),
        "national": (150 * low, 150 * high),
    }
    for key, expected in by_hand.items():
        assert ends(found, key) == pytest.approx(expected, rel=0.01), key


def test_where_only_the_leakage_moves_it_takes_from_the_direct_effect_alone() -> None:
    leak = Prior("beta", (4.0, 16.0))
    low, high = leak.quantile(0.025), leak.quantile(0.975)
    found = waterfall(totals(400, -100), gross=None, assumed=Assumed(leak, ONE, HALF), draws=DRAWS, seed=1)
    assert ends(found, "leakage") == pytest.approx((-400 * high, -400 * low), rel=0.01)
    assert ends(found, "local") == pytest.approx((300 - 400 * high, 300 - 400 * low), rel=0.01)
    assert ends(found, "returned") == pytest.approx((400 * low, 400 * high), rel=0.01)
    assert ends(found, "national") == pytest.approx((150, 150))


@pytest.mark.parametrize(("a", "x"), [(400.0, -100.0), (100.0, -400.0)])
def test_losses_elsewhere_that_nobody_knows_give_a_range_that_reaches_zero(a: float, x: float) -> None:
    times = Prior("lognormal", (1.0, 0.1))
    found = waterfall(totals(a, x), gross=None, assumed=Assumed(NONE, times), draws=DRAWS, seed=1)
    far = (a + x) * times.quantile(0.975)
    assert ends(found, "national") == pytest.approx((min(0.0, far), max(0.0, far)), rel=0.01)
    assert found.national is None
    assert found.zero_sum


def test_errors_of_few_clusters_reach_the_last_step() -> None:
    found = waterfall(
        totals(400, -100, 30.0, dof=8), gross=None, assumed=Assumed(NONE, ONE, HALF), draws=DRAWS
    )
    reach = 0.5 * 30 * np.sqrt(2) * student.ppf(0.975, 8)
    assert ends(found, "national") == pytest.approx((150 - reach, 150 + reach), rel=0.03)


def test_the_share_that_is_not_additional_turns_its_ends_around() -> None:
    found = waterfall(totals(400, -100, 30.0), gross=500.0, assumed=Assumed(), draws=1_000)
    row = totals(400, -100, 30.0).table().iloc[0]
    assert found.implied_share == pytest.approx(
        (0.2, 1 - row["conf_high"] / 500, 1 - row["conf_low"] / 500), rel=1e-12
    )
    assert found.implied_share is not None
    assert found.implied_share[1] < found.implied_share[0] < found.implied_share[2]
    assert ends(found, "implied") == pytest.approx((row["conf_low"] - 500, row["conf_high"] - 500))


def test_a_total_is_divided_by_its_cost() -> None:
    found = per_cost(totals(400, -100, 30.0).select([0]), 200.0)
    row = totals(400, -100, 30.0).table().iloc[0]
    assert found.per_eok == pytest.approx((2.0, row["conf_low"] / 200, row["conf_high"] / 200))
    assert found.total == pytest.approx((400, row["conf_low"], row["conf_high"]))


def test_every_saving_of_the_budget_comes_off_the_outlay_in_its_unit() -> None:
    """100 job-years at 36 million KRW are 3.6 억원 of wages; half a million saved a job-year is 0.5 억원."""
    given = dict.fromkeys(INPUTS, NONE) | {"transfer_value": ONE, "transfer_share": HALF}
    given |= {"wage": Prior("fixed", (36.0,)), "unemployment_saving": HALF}
    years, sales = np.full(10, 100.0), np.full(10, 40.0)

    def net(**changes: Prior) -> float:
        return mvpf(100.0, years, sales, given | changes).components["net_cost"][0]

    assert net() == pytest.approx(100 - 0.5)
    assert net(income_tax=TENTH) == pytest.approx(100 - 0.5 - 3.6)
    assert net(social_insurance=TENTH) == pytest.approx(100 - 0.5 - 3.6)
    assert net(business_tax=TENTH) == pytest.approx(100 - 0.5 - 4.0)
    assert mvpf(100.0, years, sales, given).median == pytest.approx(50 / 99.5)
