"""Fieller's set against the test at every ratio of a grid, its shapes by hand, and the jackknife on the log by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from evalkit.appraisal.ratio import cost_per, fieller, log_ratio, ratio
from evalkit.errors import UsageError
from evalkit.estimate import Estimate


def pvalue(a: float, b: float, va: float, vb: float, vab: float, r: float, dof: float) -> float:
    size = abs(a - r * b) / math.sqrt(va - 2 * r * vab + r * r * vb)
    return float(2 * (t.sf(size, dof) if math.isfinite(dof) else norm.sf(size)))


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("dof", [math.inf, 13.0])
def test_every_ratio_of_a_grid(seed: int, dof: float) -> None:
    """Inside where the test at that ratio gives p >= 5 %, outside where it does not; all shapes come up."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(2, 2))
    v = half @ half.T
    a, b = rng.normal(size=2) * 3
    found = fieller(a, b, (v[0, 0], v[1, 1]), v[0, 1], dof=dof)
    grid = np.concatenate([np.linspace(-30, 30, 6_001), [-1e6, 1e6]])
    p = np.array([pvalue(a, b, v[0, 0], v[1, 1], v[0, 1], r, dof) for r in grid])
    inside = np.array([r in found for r in grid])
    clear = np.abs(p - 0.05) > 1e-9
    np.testing.assert_array_equal(inside[clear], (p >= 0.05)[clear])
    for r in grid[::1000]:
        one = fieller(a, b, (v[0, 0], v[1, 1]), v[0, 1], dof=dof, null=r)
        assert one.p_value == pytest.approx(pvalue(a, b, v[0, 0], v[1, 1], v[0, 1], r, dof), rel=1e-10)


def test_all_three_shapes_come_up_and_are_told() -> None:
    shapes = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = fieller(*rng.normal(size=2) * 2.5, (1.0, 1.0), 0.2)
        shapes.add(found.notes[0])
        if found.notes[0] == "bounded":
            assert found.bounded
        elif found.notes[0] == "complement":
            assert len(found.pieces) == 2
            assert found.pieces[0][0] == -math.inf
            assert found.pieces[1][1] == math.inf
        else:
            assert found.pieces == ((-math.inf, math.inf),)
    assert shapes == {"bounded", "complement", "whole_line"}


def test_the_textbook_case() -> None:
    """Independent, a = 10 (se 1), b = 4 (se 0.5): r± = (ab ± √(a²b² − (b² − z²v_b)(a² − z²v_a)))/(b² − z²v_b)."""
    z = norm.isf(0.025)
    lead = 16 - z * z * 0.25
    root = math.sqrt(1600 - lead * (100 - z * z))
    found = fieller(10, 4, (1.0, 0.25))
    np.testing.assert_allclose(found.pieces[0], [(40 - root) / lead, (40 + root) / lead], rtol=1e-12)
    assert found.estimate == 2.5


def made(values: list[float], covariance: np.ndarray, replicates: np.ndarray | None = None) -> Estimate:
    k = len(values)
    c = 1 if replicates is None else len(replicates)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([[f"a{i}" for i in range(k)]], names=["term"]),
        values=np.array(values),
        covariance=covariance,
        influence=None,
        cluster=np.arange(c),
        cluster_labels=np.arange(c).astype(str),
        replicates=replicates,
        dof=np.full(k, 12.0),
        n_treated=np.ones(k, dtype=int),
        n_comparison=np.ones(k, dtype=int),
        method="by hand",
        inference="by hand",
        units=np.arange(c),
    )


def test_two_terms_of_an_estimate() -> None:
    v = np.array([[1.0, 0.3], [0.3, 0.5]])
    est = made([4.0, 3.0], v)
    assert ratio(est).pieces == fieller(4, 3, (1.0, 0.5), 0.3, dof=12).pieces
    assert ratio(est, 1, 0).pieces == fieller(3, 4, (0.5, 1.0), 0.3, dof=12).pieces


def test_a_known_cost_over_jobs_turns_the_interval_of_the_jobs_around() -> None:
    est = made([649.0], np.array([[200.0**2]]))
    half = t.isf(0.025, 12) * 200
    found = cost_per(1446.0, est)
    np.testing.assert_allclose(found.pieces[0], [1446 / (649 + half), 1446 / (649 - half)], rtol=1e-10)
    wide = cost_per(1446.0, made([649.0], np.array([[400.0**2]])))
    half = t.isf(0.025, 12) * 400
    np.testing.assert_allclose(wide.pieces[0][1], 1446 / (649 - half), rtol=1e-10)
    np.testing.assert_allclose(wide.pieces[1][0], 1446 / (649 + half), rtol=1e-10)
    assert wide.notes == ("complement",)


def test_a_denominator_exactly_at_the_edge_leaves_half_a_line() -> None:
    z = norm.isf(0.025)
    found = fieller(3.0, z, (0.25, 1.0))
    assert found.notes == ("half_line",)
    edge = (9 - z * z * 0.25) / (2 * 3 * z)
    np.testing.assert_allclose(found.pieces, [(edge, math.inf)], rtol=1e-9)
    mirrored = fieller(-3.0, z, (0.25, 1.0))
    np.testing.assert_allclose(mirrored.pieces, [(-math.inf, -edge)], rtol=1e-9)


def test_log_ratio_by_hand() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(5, 1, (10, 2))
    values = x.mean(0)
    replicates = (x.sum(0) - x) / 9
    est = made(list(values), np.cov(x.T) / 10, replicates)
    logs = np.log(replicates[:, 0] / replicates[:, 1])
    centre = np.log(values[0] / values[1])
    error = np.sqrt(0.9 * ((logs - centre) ** 2).sum())
    half = t.isf(0.025, 9) * error
    found = log_ratio(est)
    np.testing.assert_allclose(found.pieces[0], [np.exp(centre - half), np.exp(centre + half)], rtol=1e-12)
    assert found.p_value == pytest.approx(2 * t.sf(abs(centre) / error, 9))
    turned = made([-values[0], values[1]], np.eye(2), replicates * [-1, 1])
    np.testing.assert_allclose(log_ratio(turned).pieces[0], [-found.high, -found.low], rtol=1e-12)


def test_log_ratio_and_fieller_agree_where_both_parts_are_far_from_zero() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(50, 1, (14, 2))
    replicates = (x.sum(0) - x) / 13
    covariance = np.cov(x.T) / 14
    est = made(list(x.mean(0)), covariance, replicates)
    a, b = log_ratio(est), fieller(*x.mean(0), (covariance[0, 0], covariance[1, 1]), covariance[0, 1], dof=13)
    np.testing.assert_allclose(a.pieces[0], b.pieces[0], rtol=2e-4)


@pytest.mark.parametrize("null", [float("nan"), float("inf")])
def test_a_null_that_is_no_number(null: float) -> None:
    with pytest.raises(UsageError, match="유한한 수가 아님"):
        fieller(1.0, 2.0, (0.1, 0.1), null=null)
