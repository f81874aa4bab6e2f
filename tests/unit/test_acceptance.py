"""Where re-assigned statistics are as large as the actual one: ends of intervals against the inequality itself."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.arrays.acceptance import covered, of_coefficient, of_t

NONE = np.zeros(1, dtype=bool)
GRID = np.linspace(-8.0, 8.0, 3201)


def depth(starts: np.ndarray, ends: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Intervals that contain each value; starts and ends are not in pairs."""
    return (starts[:, None] <= at).sum(axis=0) - (ends[:, None] < at).sum(axis=0)


@pytest.mark.parametrize("h", [-1.0, 1.0, 0.0, 0.4, -0.7, 1.6, -2.5])
@pytest.mark.parametrize("b", [-1.3, 0.8])
def test_coefficient(b: float, h: float) -> None:
    starts, ends = of_coefficient(np.array([b]), np.array([h]), NONE)
    z = GRID + 1e-4  # beside the ends
    assert (depth(starts, ends, z) == (np.abs(b - z * h) >= np.abs(z))).all()
    assert depth(starts, ends, np.zeros(1))[0] == 1


def test_coefficient_without_a_difference() -> None:
    """b = 0: the value itself, every value where h = ±1, and everything where nothing can be estimated."""
    starts, ends = of_coefficient(np.zeros(1), np.array([0.5]), NONE)
    assert (starts.tolist(), ends.tolist()) == ([0.0], [0.0])
    for h in (1.0, -1.0, np.nan):
        starts, ends = of_coefficient(np.zeros(1), np.array([h]), NONE)
        assert (starts.tolist(), ends.tolist()) == ([-np.inf], [np.inf])
    starts, ends = of_coefficient(np.ones(1), np.array([0.5]), ~NONE)
    assert (starts.tolist(), ends.tolist()) == ([-np.inf], [np.inf])


@pytest.mark.parametrize("seed", range(30))
def test_t(seed: int) -> None:
    """Random b and h, variances with and without a term that moves, several crossings among them."""
    rng = np.random.default_rng(seed)
    b, h = rng.normal(size=1), rng.uniform(-1.2, 1.2, 1)
    low = rng.uniform(0.05, 2.0)
    bend = rng.uniform(0.05, 1.0)
    slope = rng.uniform(-1.9, 1.9) * np.sqrt(low * bend)
    own = np.array([[low, slope, bend]])
    actual = np.array([rng.uniform(0.1, 3.0), 0.0, 0.0 if seed % 2 else 0.01])
    starts, ends = of_t(b, h, own, actual, NONE)
    z = GRID + 1e-4
    left = (b - z * h) ** 2 * (actual[0] + actual[2] * z * z)
    right = z * z * (low + slope * z + bend * z * z)
    clear = np.abs(left - right) > 1e-6 * (left + right)
    assert clear.mean() > 0.99
    assert (depth(starts, ends, z) == (left >= right))[clear].all()


def test_t_without_a_difference_keeps_the_estimate() -> None:
    starts, ends = of_t(
        np.zeros(1), np.array([0.1]), np.array([[1.0, 0.0, 1.0]]), np.array([1.0, 0, 0]), NONE
    )
    assert depth(starts, ends, np.array([-0.1, 0.0, 0.1])).tolist() == [0, 1, 0]


def test_pieces_that_touch_are_one() -> None:
    assert covered(np.array([0.0, 1.0]), np.array([1.0, 2.0]), 1) == ((0.0, 2.0),)
    assert covered(np.array([0.0, 1.0]), np.array([1.0, 2.0]), 2) == ((1.0, 1.0),)
    assert covered(np.array([0.0, 1.0 + 1e-13]), np.array([1.0, 2.0]), 1) == ((0.0, 2.0),)
    assert covered(np.array([-np.inf, 3.0]), np.array([1.0, np.inf]), 1) == ((-np.inf, 1.0), (3.0, np.inf))
    assert covered(np.array([0.0]), np.array([1.0]), 2) == ()
