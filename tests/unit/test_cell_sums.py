"""Sums on a grid: exact, the same for every order of the rows, and cells that count what they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evalkit.arrays.cell_sums import CellSums, effective_size, exact_sums, grid_exponent, sum_cells
from evalkit.errors import DataError


def test_sums_are_those_of_exact_arithmetic() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(5_000, 2)) * np.array([1.0, 1e9])
    group = rng.integers(0, 7, 5_000)
    found = exact_sums(values, group, 8, np.abs(values).max())
    for g in range(8):
        for k in range(2):
            true = math.fsum(values[group == g, k])
            # each value is rounded by at most half a step of the grid, 2^-59 of the largest
            assert abs(found[g, k] - true) <= 5_000 * np.abs(values).max() * 2.0**-58 + 1e-16 * abs(true)
    assert (found[7] == 0).all()


def test_order_of_rows_changes_no_bit() -> None:
    rng = np.random.default_rng(4)
    values = np.exp(rng.normal(0, 8, (3_000, 1)))
    group = rng.integers(0, 3, 3_000)
    largest = values.max()
    first = exact_sums(values, group, 3, largest)
    order = rng.permutation(3_000)
    assert first.tobytes() == exact_sums(values[order], group[order], 3, largest).tobytes()
    # what the grid is for: plain sums do differ
    plain = [np.add.reduce(values[o][group[o] == 0, 0]) for o in (np.arange(3_000), order)]
    cumulative = [values[o][group[o] == 0, 0].cumsum()[-1] for o in (np.arange(3_000), order)]
    assert plain[0] != plain[1] or cumulative[0] != cumulative[1]


def test_small_values_beside_large_ones_keep_their_squares() -> None:
    values = np.array([[1e12], [3.5], [2.5]]) ** 2
    assert exact_sums(values, np.array([0, 1, 1]), 2, 1e24, parts=3)[1, 0] == 3.5**2 + 2.5**2


def test_whole_numbers_are_added_without_any_error() -> None:
    values = np.array([[2.0**40], [1.0], [-3.0], [2.0**40]])
    assert exact_sums(values, np.array([0, 0, 0, 1]), 2, 2.0**40)[:, 0].tolist() == [2.0**40 - 2, 2.0**40]


@pytest.mark.parametrize("largest", [0.0, 1e-300, 0.7, 1.0, 3.0, 1e17, 1e300])
def test_the_grid_keeps_the_largest_value_below_its_bits(largest: float) -> None:
    assert math.ldexp(largest, grid_exponent(largest)) < 2.0**35


def hand_made() -> CellSums:
    """Two clusters; unit 3 has a gap, unit 4 is never seen, unit 5 has no weight."""
    outcome = np.array([[1, 2], [3, 5], [2, 2], [7, np.nan], [np.nan, np.nan], [9, 9]], dtype=float)
    return sum_cells(
        np.array([2018, 2019]),
        outcome,
        np.array(["부산", "부산", "대구", "부산", "부산", "대구"]),
        np.array([2019, 2019, np.inf, 2019, np.inf, np.inf]),
        np.array([1, 2, 1, 1, 1, np.nan]),
    )


def test_cells_hold_what_they_say() -> None:
    cells = hand_made()
    assert cells.cluster.tolist() == ["대구", "대구", "부산", "부산", "부산"]
    assert cells.seen.tolist() == [[False, False], [True, True], [True, False], [True, True], [False, False]]
    assert cells.units.tolist() == [1, 1, 1, 2, 1]
    assert cells.weight.tolist() == [0, 1, 1, 3, 1]
    assert cells.weight_squares.tolist() == [0, 1, 1, 5, 1]
    assert cells.sums[3].tolist() == [7, 12]
    assert cells.squares[3].tolist() == [19, 54]
    assert cells.means[3].tolist() == [7 / 3, 4]
    assert np.isnan(cells.means[0]).all()
    assert np.isnan(cells.means[2, 1])
    assert cells.counted(cells.cluster == "부산") == 4


def test_effective_size_is_that_of_the_observations() -> None:
    cells = hand_made()
    members = np.zeros((5, 2), dtype=bool)
    members[3] = members[2, 0] = True  # weights 1, 2 twice each, and 1
    assert effective_size(cells, members) == pytest.approx(7**2 / 11, abs=1e-14)
    assert effective_size(cells, np.zeros((5, 2), dtype=bool)) == 0.0


@pytest.mark.parametrize(
    ("outcome", "weight"),
    [(np.inf, 1.0), (1.0, -1.0), (1.0, np.inf)],
)
def test_what_no_sum_can_hold_is_refused(outcome: float, weight: float) -> None:
    with pytest.raises(DataError, match="무한대"):
        sum_cells(np.array([1]), np.array([[outcome]]), np.array([0]), np.array([np.inf]), np.array([weight]))


def test_shapes_are_checked() -> None:
    cells = hand_made()
    with pytest.raises(DataError, match="칸 합계의 sums 크기"):
        CellSums(
            cells.periods, cells.cluster, cells.cohort, cells.seen, cells.units, cells.weight,
            cells.weight_squares, cells.sums[:, :1], cells.squares,
        )  # fmt: skip
