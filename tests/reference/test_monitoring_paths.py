"""Required paths, gaps, paces and shares by hand, on the published targets and against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from evalkit.appraisal.monitoring import portfolio, required_path, steps, track
from evalkit.programmes import fact

# published figures have three or four digits; what follows from them is exact up to rounding of doubles
EXACT = 1e-13


def line(points: list[tuple[int, Fraction]], year: int) -> Fraction:
    """The value between the two declared points around a year, in exact fractions."""
    for (y0, v0), (y1, v1) in pairwise(points):
        if y0 <= year <= y1:
            return v0 + (v1 - v0) * Fraction(year - y0, y1 - y0)
    raise AssertionError(year)


@pytest.mark.parametrize(
    "points",
    [
        [(2020, Fraction("10.5")), (2027, Fraction(30))],
        [(2021, Fraction("40.1")), (2024, Fraction("43.3")), (2027, Fraction(50))],
        [(2022, Fraction(100)), (2023, Fraction(632)), (2030, Fraction(50))],
    ],
)
def test_a_path_is_straight_between_declared_points(points: list[tuple[int, Fraction]]) -> None:
    years = list(range(points[0][0], points[-1][0] + 1))
    found = required_path([(y, float(v)) for y, v in points], [years[0] - 1, *years, years[-1] + 1])
    assert np.isnan(found[[0, -1]]).all()
    np.testing.assert_allclose(found[1:-1], [float(line(points, y)) for y in years], rtol=EXACT)


def test_gross_product_by_hand() -> None:
    start = fact("LDC_PLAN.goals.지방 디지털 경제 총생산액.baseline").number
    target = fact("LDC_PLAN.goals.지방 디지털 경제 총생산액.target").number
    # 14 trillion in 2024 is an invented observation
    found = track(start=(2020, start), target=(2027, target), observed={2024: 14.0}, now=2026)
    assert found.required == pytest.approx(
        float(Fraction("10.5") + Fraction("19.5") * Fraction(4, 7)), rel=EXACT
    )
    assert found.gap == pytest.approx(14.0 - 21.642857142857142, rel=EXACT)
    assert found.pace == pytest.approx(0.875, rel=EXACT)  # 3.5 in four years
    assert found.pace_planned == pytest.approx(19.5 / 7, rel=EXACT)
    assert found.pace_needed == pytest.approx(16 / 3, rel=EXACT)  # 16 in three years
    assert found.covered == pytest.approx(3.5 / 19.5, rel=EXACT)
    assert found.continued == pytest.approx(14 + 3 * 0.875, rel=EXACT)
    assert found.required_now == pytest.approx(10.5 + 19.5 * 6 / 7, rel=EXACT)
    assert found.standing == "behind"


def test_the_pace_needed_ends_at_the_target() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        base, goal, seen = rng.normal(size=3) * 100
        year = int(rng.integers(2021, 2029))
        found = track(start=(2020, base), target=(2030, goal), observed={year: seen})
        assert seen + found.pace_needed * (2030 - year) == pytest.approx(goal, rel=1e-9, abs=1e-9)
        assert base + found.pace_planned * 10 == pytest.approx(goal, rel=1e-9, abs=1e-9)
        # an observation on the path makes all paces one, and the gap nothing
        on = track(start=(2020, base), target=(2030, goal), observed={year: found.required})
        assert on.standing == "on_path"
        assert on.pace == pytest.approx(found.pace_planned, rel=1e-9)
        assert on.continued == pytest.approx(goal, rel=1e-9, abs=1e-9)


def test_smart_village_by_hand() -> None:
    values = {year: fact(f"LDI.smart_village.{year}").number for year in (2022, 2023, 2024)}
    found = steps(values)
    assert found.change[1:] == (532.0, 407.0)
    assert found.ratio[1] == pytest.approx(6.32, rel=EXACT)
    assert found.ratio[2] == pytest.approx(1039 / 632, rel=EXACT)
    assert found.change[2] == fact("LDI.smart_village.2024.increase").number


def test_the_portfolio_of_2024_by_hand() -> None:
    total = fact("LDI.budget_2024.total").number
    names = (
        "디지털 혁신지구 등 거점 조성",
        "인공지능 등 신기술 융합·확산",
        "지역사회 포용",
        "디지털 인재 양성",
    )
    parts = [fact(f"LDI.budget_2024.parts.{name}").number for name in names]
    found = portfolio(
        total,
        parts,
        named=[217, 103, 100, 94, 1039],
        increase=fact("LDI.budget_2024.increase").number,
        share=52.5,
        share_change=10,
    )
    assert found.difference == 0.0
    assert sum(found.shares) == pytest.approx(1.0, rel=EXACT)
    assert found.before == 5533.0
    assert found.growth == pytest.approx(237 / 5533, rel=EXACT)
    assert round(100 * found.growth, 2) == 4.28
    assert (found.named_sum, found.share_before) == (1553.0, 42.5)
