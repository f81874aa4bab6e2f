"""Separation: examples made by hand after the cases of Correia, Guimarães and Zylkin, and a linear programme as oracle.

The oracle writes every dummy out and asks scipy for the largest set of zero counts that some z = Xγ, 0 on positive counts
and nowhere negative, raises: proposition 2 of the paper, without a concentrated likelihood or a null space.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from evalkit.arrays.poisson_factors import Absorber
from evalkit.arrays.poisson_sums import Problem
from evalkit.arrays.separation import empty_levels, rectifier, separated_cells, tiny_means
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.poisson import poisson_effects, poisson_event_study
from evalkit.panel import Panel


def oracle(counts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Separated rows of a design with all its columns."""
    empty = counts <= 0
    k, m = x.shape[1], int(empty.sum())
    if not m:
        return empty
    found = linprog(
        np.concatenate([np.zeros(k), -np.ones(m)]),
        A_ub=np.hstack([-x[empty], np.eye(m)]),
        b_ub=np.zeros(m),
        A_eq=np.hstack([x[~empty], np.zeros((int((~empty).sum()), m))]),
        b_eq=np.zeros(int((~empty).sum())),
        bounds=[(None, None)] * k + [(0, 1)] * m,
        method="highs",
    )
    out = np.zeros(len(counts), dtype=bool)
    out[empty] = found.x[k:] > 0.5
    return out


def by_rectifier(counts: np.ndarray, columns: np.ndarray, factors: list[np.ndarray]) -> np.ndarray:
    """Empty levels and the rectifier by turns, until neither finds any."""
    kept = np.ones(len(counts), dtype=bool)
    while True:
        kept = empty_levels(counts, kept, factors)
        codes = [np.unique(f[kept], return_inverse=True)[1] for f in factors]
        apart = rectifier(counts[kept], Absorber(codes).weighted(columns[kept]))
        if not apart.any():
            return ~kept
        kept[np.flatnonzero(kept)[apart]] = False


ONE = np.zeros(8, dtype=np.int64)


def test_a_regressor_that_is_positive_only_where_the_count_is_zero() -> None:
    y = np.array([0, 0, 0, 1, 2, 3, 4, 0.0])
    x = np.array([[2.0, 1, 0, 0, 0, 0, 0, 0]]).T
    expected = np.array([1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    np.testing.assert_array_equal(by_rectifier(y, x, [ONE]), expected)
    np.testing.assert_array_equal(oracle(y, np.column_stack([x, np.ones(8)])), expected)


def test_a_regressor_that_takes_both_signs_on_zero_counts_separates_nothing() -> None:
    y = np.array([0, 0, 0, 1, 2, 3, 4, 0.0])
    x = np.array([[2.0, -1, 0, 0, 0, 0, 0, 0]]).T
    assert not by_rectifier(y, x, [ONE]).any()
    assert not oracle(y, np.column_stack([x, np.ones(8)])).any()


def test_only_a_combination_of_two_regressors_separates() -> None:
    """Neither is 0 on positive counts, their difference is."""
    y = np.array([0, 0, 0, 1, 2, 3, 4, 0.0])
    x1 = np.array([5.0, 3, 1, 1, -2, 3, 1, 2])
    x2 = np.array([2.0, 3, 1, 1, -2, 3, 1, 2])
    expected = np.array([1, 0, 0, 0, 0, 0, 0, 0], dtype=bool)
    columns = np.column_stack([x1, x2])
    np.testing.assert_array_equal(by_rectifier(y, columns, [ONE]), expected)
    np.testing.assert_array_equal(oracle(y, np.column_stack([columns, np.ones(8)])), expected)


def test_a_slope_beyond_a_threshold() -> None:
    """x = 0 on positive counts only at the boundary: overlap at one point is no separation of the rows at that point."""
    y = np.array([0, 0, 0, 0, 1, 5, 2, 0.0])
    x = np.array([[4.0, 3, 1, 1, 1, 1, 1, 1]]).T
    expected = np.array([1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    np.testing.assert_array_equal(by_rectifier(y, x, [ONE]), expected)
    np.testing.assert_array_equal(oracle(y, np.column_stack([x, np.ones(8)])), expected)


def test_levels_go_until_none_is_empty() -> None:
    """Unit 2 has counts in period 3 only, where nobody else is; taking unit 1 away empties period 2."""
    unit = np.array([0, 0, 1, 1, 2, 2])
    period = np.array([0, 1, 1, 2, 0, 2])
    y = np.array([1.0, 0, 0, 0, 2, 3])
    kept = empty_levels(y, np.ones(6, dtype=bool), [unit, period])
    np.testing.assert_array_equal(kept, [True, False, False, False, True, True])


def test_effects_alone_can_separate_without_an_empty_level() -> None:
    """Positive counts fall into two blocks of units and periods joined by zeros from one side only."""
    y = np.array([[1.0, 2, 0, np.nan], [2, 1, np.nan, 0], [np.nan, np.nan, 3, 1], [np.nan, np.nan, 1, 2]])
    panel = Panel(
        np.arange(4),
        np.arange(2000, 2004),
        {"y": y, "d": np.array([[0.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])},
        {"adoption": np.full(4, np.inf)},
    )
    estimate = poisson_effects(panel, Design("y"), treatment="d")
    assert estimate.detail["n_separated_cells"] == 2
    listed = set(
        zip(estimate.detail["separated_cell_units"], estimate.detail["separated_cell_periods"], strict=True)
    )
    assert {(int(u), int(t)) for u, t in listed} == {(0, 2002), (1, 2003)}
    without = panel.with_varying(y=np.where(y == 0, np.nan, y))
    np.testing.assert_allclose(
        poisson_effects(without, Design("y"), treatment="d").values, estimate.values, rtol=1e-9
    )


def counts_panel(**extra: np.ndarray) -> Panel:
    rng = np.random.default_rng(1)
    y = rng.poisson(3.0, (12, 5)) + 1.0
    adoption = np.where(np.arange(12) < 4, 2002.0, np.inf)
    return Panel(
        np.arange(12),
        np.arange(2000, 2005),
        {"y": y, **extra},
        {"adoption": adoption, "r": np.arange(12) // 2},
    )


def test_a_treatment_after_which_nothing_is_left_is_refused() -> None:
    panel = counts_panel()
    y = panel.values("y").copy()
    y[:4, 2:] = 0.0
    with pytest.raises(DesignError, match="분리"):
        poisson_effects(panel.with_varying(y=y), Design("y"))
    y[:4, 2] = 3.0
    y[:4, 3] = 0.0
    y[:4, 4] = 2.0
    with pytest.raises(DesignError, match="경과 기간 1"):
        poisson_event_study(panel.with_varying(y=y), Design("y"))
    assert np.isfinite(poisson_effects(panel.with_varying(y=y), Design("y")).values).all()


def test_a_covariate_that_separates_takes_its_cells_and_its_name_is_told() -> None:
    panel = counts_panel()
    y, x = panel.values("y").copy(), np.zeros((12, 5))
    y[7, 3] = 0.0
    x[7, 3] = 1.0
    estimate = poisson_effects(panel.with_varying(y=y, x=x), Design("y", covariates=("x",)))
    assert estimate.detail["n_separated_cells"] == 1
    assert estimate.detail["collinear"] == ["x"]
    assert np.isnan(estimate.values[1])
    y[7, 3] = np.nan
    np.testing.assert_allclose(
        poisson_effects(panel.with_varying(y=y), Design("y")).values, estimate.values[:1], rtol=1e-9
    )


def test_a_period_without_any_count_is_left_out() -> None:
    panel = counts_panel()
    y = panel.values("y").copy()
    y[:, 3] = 0.0
    estimate = poisson_effects(panel.with_varying(y=y), Design("y"))
    assert estimate.detail["n_separated_cells"] == 12
    assert estimate.detail["n_periods"] == 4
    np.testing.assert_allclose(
        estimate.values,
        poisson_effects(panel.select(periods=[2000, 2001, 2002, 2004]), Design("y")).values,
        rtol=1e-10,
    )


def test_the_back_stop_flags_means_below_all_others() -> None:
    y = np.array([0.0, 0, 1, 2])
    np.testing.assert_array_equal(tiny_means(y, np.array([1e-8, 0.5, 1, 2])), [True, False, False, False])
    # where positive counts have tiny means themselves, the tolerance moves with them
    np.testing.assert_array_equal(
        tiny_means(y, np.array([1e-8, 1e-15, 1e-7, 2])), [False, True, False, False]
    )


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_way_finds_the_cells_that_the_programme_finds(seed: int) -> None:
    """Unit and period effects, a cohort table and a covariate by cell; few positive counts, holes."""
    rng = np.random.default_rng(seed)
    n, periods = int(rng.integers(4, 9)), int(rng.integers(3, 6))
    y = rng.poisson(0.5, (n, periods)).astype(float)
    used = rng.random((n, periods)) > rng.choice([0.0, 0.25])
    y[~used] = 0.0
    keep = y.sum(axis=1) > 0
    if keep.sum() < 2:
        return
    y, used = y[keep], used[keep]
    n = len(y)
    cohort = rng.integers(0, 2, n)
    tables = np.zeros((2, periods, 1))
    tables[1, rng.integers(1, periods) :, 0] = 1.0
    x = rng.integers(-1, 2, (n, periods)).astype(float)
    dense = (x,) if rng.random() < 0.6 else ()
    stratum = np.array([0, 0]) if rng.random() < 0.7 else np.array([0, 1])
    problem = Problem(
        y, used.astype(float), cohort, np.arange(2), stratum, tables, dense, np.zeros(n, dtype=np.int64)
    )
    i, t = np.nonzero(used)
    level = stratum[cohort[i]] * periods + t
    columns = np.column_stack([tables[cohort[i], t], *(d[i, t] for d in dense)])
    design = np.column_stack([np.eye(n)[i], np.eye(2 * periods)[level], columns])
    expected = oracle(y[i, t], design)
    np.testing.assert_array_equal(separated_cells(problem)[i, t], expected)
    factors = [i, np.unique(level, return_inverse=True)[1]]
    np.testing.assert_array_equal(by_rectifier(y[i, t], columns, factors), expected)
