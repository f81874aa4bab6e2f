"""Exact intervals of rates, their ratio and an odds ratio: each bound is where the tail of the exact distribution is half of α."""

from __future__ import annotations

from math import comb, exp

import numpy as np
import pytest
from scipy.stats import binom, poisson

from evalkit.arrays.exact_odds import exact_odds
from evalkit.arrays.exact_rates import exact_rate, exact_ratio
from evalkit.errors import DataError


@pytest.mark.parametrize(("events", "exposure"), [(0, 50.0), (1, 20.0), (7, 300.0), (46, 5056.0)])
def test_bounds_of_a_rate_are_where_its_tails_are(events: int, exposure: float) -> None:
    found = exact_rate(events, exposure, 0.9)
    assert found.value == events / exposure
    assert poisson.cdf(events, found.high * exposure) == pytest.approx(0.05, rel=1e-9)
    if events:
        assert poisson.sf(events - 1, found.low * exposure) == pytest.approx(0.05, rel=1e-9)
    else:
        assert found.low == 0.0


@pytest.mark.parametrize(
    ("a", "n", "b", "m"), [(10, 100.0, 5, 100.0), (46, 5056.0, 6, 3466.0), (3, 10.0, 8, 40.0)]
)
def test_bounds_of_a_ratio_are_where_the_binomial_tails_are(a: int, n: float, b: int, m: float) -> None:
    found = exact_ratio(a, n, b, m)

    def share(ratio: float) -> float:
        return ratio * n / (ratio * n + m)

    assert found.value == pytest.approx((a / n) / (b / m))
    assert binom.sf(a - 1, a + b, share(found.low)) == pytest.approx(0.025, rel=1e-8)
    assert binom.cdf(a, a + b, share(found.high)) == pytest.approx(0.025, rel=1e-8)
    tails = binom.cdf(a, a + b, share(1.0)), binom.sf(a - 1, a + b, share(1.0))
    assert found.p_value == pytest.approx(min(1.0, 2 * min(tails)))
    assert (found.p_value < 0.05) == (found.low > 1 or found.high < 1)


def test_a_ratio_with_none_on_a_side_has_one_bound() -> None:
    assert exact_ratio(4, 10.0, 0, 10.0).high == float("inf")
    assert exact_ratio(0, 10.0, 4, 10.0).low == 0.0


def tails(table: list[list[int]], odds: float) -> tuple[float, float]:
    """P(X ≤ a) and P(X ≥ a) of the noncentral hypergeometric, summed by hand."""
    (a, b), (c, d) = table
    n, m, k = a + b, c + d, a + c
    support = range(max(0, k - m), min(n, k) + 1)
    weight = {x: comb(n, x) * comb(m, k - x) * odds**x for x in support}
    total = sum(weight.values())
    return sum(w for x, w in weight.items() if x <= a) / total, sum(
        w for x, w in weight.items() if x >= a
    ) / total


@pytest.mark.parametrize("table", [[[9, 8], [1, 6]], [[12, 20], [5, 25]], [[3, 9], [4, 2]]])
def test_bounds_of_an_odds_ratio_are_where_the_hypergeometric_tails_are(table: list[list[int]]) -> None:
    found = exact_odds(table, 0.9)
    assert tails(table, found.low)[1] == pytest.approx(0.05, rel=1e-5)
    assert tails(table, found.high)[0] == pytest.approx(0.05, rel=1e-5)
    assert found.p_value == pytest.approx(min(1.0, 2 * min(tails(table, 1.0))))
    # the conditional estimate: the expected first cell is the observed one
    (a, b), (c, d) = table
    support = np.arange(max(0, a - d), min(a + b, a + c) + 1)
    weight = np.array([comb(a + b, x) * comb(c + d, a + c - x) for x in support]) * found.ratio**support
    assert weight @ support / weight.sum() == pytest.approx(a, rel=1e-5)


def test_an_empty_cell_leaves_one_side_open() -> None:
    found = exact_odds([[6, 4], [0, 5]])
    assert found.ratio == float("inf")
    assert found.high == float("inf")
    assert tails([[6, 4], [0, 5]], found.low)[1] == pytest.approx(0.025, rel=1e-5)


def test_intervals_cover_at_least_as_often_as_they_say() -> None:
    expected = 3.0
    covered = sum(
        exp(-expected) * expected**x / np.prod(np.arange(1, x + 1, dtype=float))
        for x in range(40)
        if exact_rate(x, 1.0).low <= expected <= exact_rate(x, 1.0).high
    )
    assert 0.95 <= covered < 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: exact_odds([[1, 2, 3]]), "2 × 2 건수표가 아님"),
        (lambda: exact_odds([[1.5, 2], [3, 4]]), "2 × 2 건수표가 아님"),
        (lambda: exact_odds([[0, 2], [0, 4]]), "모두 0"),
        (lambda: exact_rate(-1, 3.0), "율을 구할 수 없음"),
        (lambda: exact_rate(1, 0.0), "율을 구할 수 없음"),
        (lambda: exact_ratio(0, 3.0, 0, 3.0), "사건이 하나도 없어"),
    ],
)
def test_what_is_no_table_of_counts_is_refused(call, words: str) -> None:
    with pytest.raises(DataError, match=words):
        call()
