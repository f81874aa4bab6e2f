"""The programme's claim read on a power curve, by hand: 649 jobs over 14 provinces and three years."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.checks.claim import claim_check
from evalkit.checks.power_simulation import PowerCurve
from evalkit.errors import UsageError

CURVE = PowerCurve(
    effects=np.array([0.0, 10, 20, 40]),
    power=np.array([0.05, 0.25, 0.65, 1.0]),
    error=np.zeros(4),
    exaggeration=np.array([np.nan, 3.0, 1.5, 1.0]),
    size=0.05,
    target=0.8,
    smallest=28.0,
    smallest_low=27.0,
    smallest_high=29.0,
    natural=28.0,
    percent=14.0,
    counterfactual_mean=200.0,
    kind="additive",
    rule="CV3-t",
    level=0.95,
    simulations=1000,
    windows=4,
    assignments=2002,
    exact=False,
    before=4,
    after=3,
    detail={"unit_effect": 1.0},
)


def test_jobs_a_province_and_year() -> None:
    check = claim_check(CURVE, 649, 14, periods=3, unit_of_measure="명")
    effect = 649 / 42
    assert check.detail["claimed_effect"] == pytest.approx(effect)
    assert check.statistic == pytest.approx(0.25 + 0.4 * (effect - 10) / 10)
    assert (check.verdict, check.reason) == ("fail", "claim_invisible")
    assert check.detail["smallest_total"] == pytest.approx(28 * 42)
    assert check.detail["ratio"] == pytest.approx(effect / 28)
    assert check.detail["claimed_percent"] == pytest.approx(100 * effect / 200)
    assert check.detail["exaggeration"] == 1.5
    assert check.detail["unit_of_measure"] == "명"


@pytest.mark.parametrize(
    ("total", "verdict", "reason"),
    [
        (16, "fail", "claim_invisible"),
        (20, "warn", "claim_uncertain"),
        (30, "pass", "claim_visible"),
        (90, "pass", "claim_visible"),
    ],
)
def test_verdicts(total: float, verdict: str, reason: str) -> None:
    check = claim_check(CURVE, total, 1)
    assert (check.verdict, check.reason) == (verdict, reason)


def test_a_claim_beyond_a_curve_that_stays_low_is_unknown() -> None:
    low = replace(CURVE, power=CURVE.power / 2, smallest=np.nan, natural=np.nan)
    assert claim_check(low, 90, 1).reason == "claim_beyond_curve"
    assert claim_check(low, 40, 1).verdict == "warn"


def test_a_test_that_cannot_reject() -> None:
    never = replace(CURVE, power=np.zeros(4), smallest=np.nan, natural=np.nan)
    check = claim_check(never, 30, 1)
    assert (check.verdict, check.reason) == ("unknown", "test_never_rejects")


def test_an_effect_in_shares_is_read_in_the_unit_of_the_outcome() -> None:
    """Multiplicative: an effect of 0.1 is 20 jobs where the mean is 200."""
    shares = replace(CURVE, effects=CURVE.effects / 200, kind="multiplicative", detail={"unit_effect": 200.0})
    assert claim_check(shares, 20, 1).statistic == pytest.approx(0.65)
    assert claim_check(shares, 20, 1).detail["exaggeration"] == 1.5


@pytest.mark.parametrize(
    "wrong", [(0, 14, 3), (-5, 14, 3), (649, 0, 3), (649, 14, 0), (np.nan, 14, 3), (np.inf, 14, 3)]
)
def test_numbers_that_are_none(wrong: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="0보다 큰 수가 아님"):
        claim_check(CURVE, wrong[0], wrong[1], periods=wrong[2])
