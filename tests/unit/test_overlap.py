"""Overlap by hand: effective numbers, shares, and each verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evalkit.balancing import Balancing
from evalkit.checks.overlap import overlap


def made(
    weights: list[float],
    treated: int,
    *,
    method: str = "entropy",
    propensity: list[float] | None = None,
    **more: Any,
) -> Balancing:
    n = len(weights)
    on = np.arange(n) < treated
    return Balancing(
        method,
        np.arange(n),
        np.array(weights, dtype=float),
        np.ones(n),
        on,
        ~on,
        np.full(n, np.nan) if propensity is None else np.array(propensity),
        ("x",),
        np.zeros((n, 1)),
        2012,
        0.0,
        **more,
    )


def test_equal_weights_overlap_well() -> None:
    check = overlap(made([1] * 4 + [0.5] * 8, 4))
    assert (check.verdict, check.reason) == ("pass", "overlap_good")
    assert check.detail["ess"] == pytest.approx(8)
    assert check.statistic == pytest.approx(1)
    assert check.detail["largest_share"] == pytest.approx(1 / 8)


def test_few_effective_units() -> None:
    # 10 comparison units, one carries nearly all: ESS = (4)²/(3.1² + 9·0.1²) = 16/9.7
    check = overlap(made([1] * 4 + [3.1] + [0.1] * 9, 4))
    assert check.detail["ess"] == pytest.approx(16 / 9.7)
    assert (check.verdict, check.reason) == ("fail", "few_effective")


def test_a_large_pool_of_which_enough_is_comparable() -> None:
    check = overlap(made([1] * 4 + [0.5] * 8 + [1e-9] * 40, 4))
    assert check.statistic is not None
    assert check.statistic < 0.3
    assert (check.verdict, check.reason) == ("warn", "few_effective_large_pool")


def test_trimmed_treated_and_comparison_units() -> None:
    lost = made([1, 1, 1, 0, 0.5, 0.5, 1, 1], 4)
    assert lost.trimmed == pytest.approx(1 / 4)
    assert overlap(lost).reason == "much_trimmed"
    high = made(
        [1] * 2 + [0.25] * 8, 2, method="inverse_probability", dropped={"propensity_high": ("8", "9")}
    )
    assert high.trimmed == pytest.approx(2 / 8)
    assert overlap(high).verdict == "fail"


def test_a_heavy_unit() -> None:
    check = overlap(made([1] * 30 + [4.0] + [26 / 29] * 29, 30))
    assert (check.verdict, check.reason) == ("warn", "heavy_unit")


def test_matches_are_counted_over_what_was_asked_for() -> None:
    """Two treated with two matches each among 100: four matches used once are everything that was asked for."""
    b = made([1] * 2 + [0.5] * 4 + [0] * 96, 2, method="matching", detail={"neighbours": 2})
    assert b.ess_share == pytest.approx(1)
    reused = made([1] * 4 + [4] + [0] * 95, 4, method="matching", detail={"neighbours": 1})
    assert reused.ess_share == pytest.approx(1 / 4)
    assert overlap(reused).reason == "few_effective"


def test_propensities_are_described() -> None:
    check = overlap(made([1] * 2 + [0.5] * 4, 2, propensity=[0.95, 0.5, 0.05, 0.3, 0.4, 0.6]))
    assert check.detail["treated_beyond"] == pytest.approx(1 / 2)
    assert check.detail["extreme"] == pytest.approx(2 / 6)
    assert check.detail["propensity_treated"] == pytest.approx([0.5, 0.6125, 0.725, 0.8375, 0.95])
    assert check.detail["propensity_comparison"][0] == 0.05
