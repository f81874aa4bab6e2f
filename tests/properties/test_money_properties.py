"""Deflating and inflating back, and freedom from the index's own base."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.ingest.money import PriceIndex, chain, deflate

growth = st.lists(st.floats(-0.1, 0.2), min_size=3, max_size=12)


def made(rates: list[float], base: int) -> PriceIndex:
    level = np.cumprod([1.0, *(1 + r for r in rates)])
    years = range(2010, 2010 + len(level))
    return PriceIndex("x", {y: v / level[base] * 100 for y, v in zip(years, level, strict=True)}, 2010 + base)


@given(growth, st.data())
@settings(max_examples=60, deadline=None)
def test_there_and_back(rates, data):
    n = len(rates) + 1
    index = made(rates, data.draw(st.integers(0, n - 1)))
    years = np.arange(2010, 2010 + n)
    first, second = (int(2010 + data.draw(st.integers(0, n - 1))) for _ in range(2))
    values = np.array(data.draw(st.lists(st.floats(0, 1e12), min_size=n, max_size=n)))
    real = deflate(values, years, index, first)
    back = real * index.at(years) / index.at([first])
    assert back == pytest.approx(values, rel=1e-12)
    # the base of the index itself does not matter, and prices of another year differ by one factor
    assert deflate(values, years, index.rebased(second), first) == pytest.approx(real, rel=1e-10)
    assert deflate(values, years, index, second) == pytest.approx(
        real * index.level[second] / index.level[first], rel=1e-10
    )


@given(growth, st.data())
@settings(max_examples=40, deadline=None)
def test_a_series_cut_in_two_and_chained_is_itself(rates, data):
    n = len(rates) + 1
    whole = made(rates, n - 1)
    cut = data.draw(st.integers(0, n - 2))
    early = {y: v for y, v in whole.level.items() if y <= 2010 + cut + 1}
    scale = 100 / early[2010]
    old = PriceIndex("old", {y: v * scale for y, v in early.items()}, 2010)
    new = PriceIndex("new", {y: v for y, v in whole.level.items() if y >= 2010 + cut}, whole.base_year)
    assert dict(chain(old, new).level) == pytest.approx(dict(whole.level), rel=1e-12)
