"""Identities of two-way fixed effects over random small panels.

The oracle is dense least squares with every dummy written out (`numpy.linalg.lstsq` on n × (N + T + K)), and formulas
with n × n hat matrices. 1e-9 relative is what double precision leaves on panels of this size.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.arrays.two_way import demean, projection
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import bias_reduced, cluster_jackknife, cluster_robust
from evalkit.panel import Panel

TIGHT = {"rtol": 1e-9, "atol": 1e-10}
DESIGN = Design("y", covariates=("x",), cluster="region", weight="w")
fast = settings(max_examples=25, deadline=None)


@st.composite
def panels(draw: st.DrawFn, *, holes: bool | None = None, clusters: int = 5) -> Panel:
    """Small panels with three cohorts, covariate, weights varying by cell, and missing cells."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    per, periods = draw(st.integers(2, 4)), draw(st.integers(4, 6))
    n = per * clusters
    years = np.arange(2015, 2015 + periods)
    adoption = rng.choice([2017.0, 2018.0, np.inf], n)
    adoption[:4] = [2017.0, 2018.0, np.inf, np.inf]
    region = np.arange(n) % clusters
    y = rng.normal(size=(n, periods)) * 3 + 10 * rng.normal(size=(n, 1)) + (years >= adoption[:, None])
    if draw(st.booleans()) if holes is None else holes:
        y[rng.random((n, periods)) < 0.12] = np.nan
        y[:4, 0] = 0.5  # every cohort keeps its first years
        y[:4, 2:4] = 1.0
    w = (
        rng.uniform(0.3, 3, (n, periods))
        if draw(st.booleans())
        else np.repeat(rng.uniform(0.3, 3, (n, 1)), periods, 1)
    )
    return Panel(
        np.arange(n),
        years,
        {"y": y, "x": rng.normal(size=(n, periods)), "w": w},
        {"adoption": adoption, "region": region, "unit": np.arange(n)},
    )


def rows(panel: Panel, columns: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Outcome, all regressors (terms first, then unit and period dummies), weights and clusters of the used rows."""
    seen = ~np.isnan(panel.values("y"))
    while True:  # as fixest: singletons go
        lone = (seen & (seen.sum(1) == 1)[:, None]) | (seen & (seen.sum(0) == 1)[None, :])
        if not lone.any():
            break
        seen &= ~lone
    i, t = np.nonzero(seen)
    n, periods = panel.shape
    x = np.column_stack(
        [*(c[i, t] for c in columns), np.eye(n)[i][:, seen.any(1)], np.eye(periods)[t][:, seen.any(0)]]
    )
    return panel.values("y")[i, t], x, panel.values("w")[i, t], panel.constant("region")[i].astype(int)


def treatment(panel: Panel) -> np.ndarray:
    return (panel.periods[None, :] >= panel.constant("adoption")[:, None]).astype(float)


def least_squares(y: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    root = np.sqrt(w)
    return np.linalg.lstsq(x * root[:, None], y * root, rcond=1e-11)[0]


@fast
@given(panels())
def test_equals_least_squares_with_every_dummy(panel: Panel) -> None:
    y, x, w, cluster = rows(panel, [treatment(panel), panel.values("x")])
    dense = least_squares(y, x, w)
    estimate = two_way_effects(panel, DESIGN)
    np.testing.assert_allclose(estimate.values, dense[:2], **TIGHT)
    residual = y - x @ dense
    np.testing.assert_allclose(estimate.detail["ssr"], np.sum(w * residual**2), rtol=1e-9)
    bread = np.linalg.pinv((x * w[:, None]).T @ x, rcond=1e-12)
    scores = np.array([(x * (w * residual)[:, None])[cluster == c].sum(0) for c in np.unique(cluster)])
    plain = (bread @ scores.T @ scores @ bread)[:2, :2]
    np.testing.assert_allclose(cluster_robust(estimate, "CR0").covariance, plain, rtol=1e-7, atol=1e-11)


@fast
@given(panels())
def test_event_study_equals_least_squares_with_every_dummy(panel: Panel) -> None:
    estimate = two_way_event_study(panel, DESIGN)
    clock = panel.periods[None, :] - panel.constant("adoption")[:, None]
    times = estimate.terms.get_level_values("event_time")
    y, x, w, _ = rows(panel, [*((clock == e).astype(float) for e in times), panel.values("x")])
    dense = least_squares(y, x, w)
    np.testing.assert_allclose(estimate.values, dense[: len(times)], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(estimate.detail["covariate_values"], dense[len(times)], rtol=1e-8, atol=1e-9)


@fast
@given(panels())
def test_schur_demeaning_equals_residuals_on_dummies(panel: Panel) -> None:
    weights = np.where(np.isnan(panel.values("y")), 0.0, panel.values("w"))
    i, t = np.nonzero(weights > 0)
    dummies = np.column_stack([np.eye(panel.shape[0])[i], np.eye(panel.shape[1])[t]])
    x = panel.values("x")[i, t]
    residual = x - dummies @ least_squares(x, dummies, weights[i, t])
    np.testing.assert_allclose(demean(panel.values("x"), projection(weights))[i, t], residual, **TIGHT)
    even = np.repeat(weights.max(axis=1, keepdims=True), panel.shape[1], axis=1)
    np.testing.assert_allclose(
        demean(panel.values("x"), projection(even[:, :1])),
        demean(panel.values("x"), projection(even)),
        **TIGHT,
    )


@fast
@given(panels(), st.randoms(use_true_random=False))
def test_the_order_of_units_does_not_matter(panel: Panel, random: object) -> None:
    order = np.arange(panel.shape[0])
    random.shuffle(order)  # type: ignore[attr-defined]
    one, other = two_way_effects(panel, DESIGN), two_way_effects(panel.select(order), DESIGN)
    np.testing.assert_allclose(other.values, one.values, **TIGHT)
    np.testing.assert_allclose(other.covariance, one.covariance, **TIGHT)
    np.testing.assert_allclose(other.replicates, one.replicates, **TIGHT)
    back = {int(u): row for u, row in zip(other.units, np.asarray(other.influence), strict=True)}
    np.testing.assert_allclose(
        [back[int(u)] for u in one.units], np.asarray(one.influence), rtol=1e-8, atol=1e-8
    )


@fast
@given(panels(), st.floats(-5, 5), st.floats(0.1, 100))
def test_affine_outcome(panel: Panel, shift: float, scale: float) -> None:
    one = two_way_effects(panel, DESIGN)
    other = two_way_effects(panel.with_varying(y=shift + scale * panel.values("y")), DESIGN)
    np.testing.assert_allclose(other.values, scale * one.values, rtol=1e-8, atol=1e-9 * scale)
    np.testing.assert_allclose(other.std_errors, scale * one.std_errors, rtol=1e-8)
    np.testing.assert_allclose(
        bias_reduced(other, "inverse").dof, bias_reduced(one, "inverse").dof, rtol=1e-7
    )


@fast
@given(panels(), st.floats(1e-3, 1e6))
def test_the_scale_of_weights_does_not_matter(panel: Panel, scale: float) -> None:
    one = two_way_effects(panel, DESIGN)
    other = two_way_effects(panel.with_varying(w=scale * panel.values("w")), DESIGN)
    for name in ("values", "covariance", "replicates"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-8, atol=1e-10)
    iid = [cluster_robust(e, "iid").covariance for e in (one, other)]
    np.testing.assert_allclose(iid[1], iid[0], rtol=1e-8)
    both = [bias_reduced(e, "identity") for e in (one, other)]
    np.testing.assert_allclose(both[1].std_errors, both[0].std_errors, rtol=1e-6)


@fast
@given(panels(), st.data())
def test_a_weight_of_two_is_the_unit_twice(panel: Panel, data: st.DataObject) -> None:
    n = panel.shape[0]
    times = np.array([data.draw(st.integers(1, 3)) for _ in range(n)])
    order = np.repeat(np.arange(n), times)
    twice = Panel(
        np.arange(len(order)),
        panel.periods,
        {name: panel.values(name)[order] for name in ("y", "x")},
        {name: panel.constant(name)[order] for name in ("adoption", "region")},
    )
    design = replace(DESIGN, weight="times")
    one = two_way_effects(panel.with_fixed(times=times.astype(float)), design)
    other = two_way_effects(twice, replace(DESIGN, weight=None))
    np.testing.assert_allclose(other.values, one.values, **TIGHT)
    plain = [cluster_robust(e, "CR0").covariance for e in (one, other)]
    np.testing.assert_allclose(plain[1], plain[0], rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(
        cluster_jackknife(other).covariance, cluster_jackknife(one).covariance, rtol=1e-7, atol=1e-10
    )


@fast
@given(panels())
def test_jackknife_is_the_refit(panel: Panel) -> None:
    estimate = two_way_effects(panel, DESIGN)
    replicates = np.asarray(estimate.replicates)
    columns = [treatment(panel), panel.values("x")]
    y, x, w, cluster = rows(panel, columns)
    for c in range(5):
        kept = cluster != c
        dense = least_squares(y[kept], x[kept], w[kept])[:2]
        found = ~np.isnan(replicates[c])
        np.testing.assert_allclose(replicates[c][found], dense[found], rtol=1e-9, atol=1e-9)


def hat(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted regressors with full column rank, and the hat matrix of the transformed rows (n, n)."""
    star = x * np.sqrt(w)[:, None]
    return star, star @ np.linalg.pinv(star.T @ star, rcond=1e-12) @ star.T


def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    keep = values > 1e-8
    return (vectors[:, keep] * values[keep] ** exponent) @ vectors[:, keep].T


@fast
@given(panels())
def test_CV3_is_the_sum_of_leverage_corrected_scores(panel: Panel) -> None:
    """(C−1)/C Σ_c g_c g_c' with g_c = B X_c'(I − H_cc)⁻¹ û_c."""
    estimate = two_way_effects(panel, DESIGN)
    if np.isnan(estimate.replicates).any():
        return
    y, x, w, cluster = rows(panel, [treatment(panel), panel.values("x")])
    star, h = hat(x, w)
    bread = np.linalg.pinv(star.T @ star, rcond=1e-12)
    residual = (np.eye(len(y)) - h) @ (y * np.sqrt(w))
    parts = []
    for c in range(5):
        at = np.flatnonzero(cluster == c)
        block = np.eye(len(at)) - h[np.ix_(at, at)]
        parts.append((bread @ star[at].T @ power(block, -1.0) @ residual[at])[:2])
    gaps = np.array(parts)
    # an effect seen by one cluster only (λ = 1) is refitted exactly either way
    np.testing.assert_allclose(
        cluster_jackknife(estimate).covariance, 0.8 * gaps.T @ gaps, rtol=1e-6, atol=1e-9
    )


def dense_bias_reduced(panel: Panel, working: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CR2, its degrees of freedom and expected share, by the definition, n × n, errors of equal variance.

    "inverse": of the rows times √w; "identity": of the rows as they are, fitted by weighted least squares.
    """
    y, x, w, cluster = rows(panel, [treatment(panel), panel.values("x")])
    if working == "inverse":
        y, x, w = y * np.sqrt(w), x * np.sqrt(w)[:, None], np.ones(len(w))
    bread = np.linalg.pinv((x * w[:, None]).T @ x, rcond=1e-12)
    h = x @ bread @ (x * w[:, None]).T
    maker = np.eye(len(y)) - h
    residual = maker @ y
    gaps, vectors = [], []
    for c in range(5):
        at = np.flatnonzero(cluster == c)
        adjust = power((maker @ maker.T)[np.ix_(at, at)], -0.5)
        load = adjust @ (w[at, None] * (x[at] @ bread[:, :2]))  # (n_c, 2)
        gaps.append(load.T @ residual[at])
        vectors.append(maker[at].T @ load)  # (n, 2)
    covariance = np.array(gaps).T @ np.array(gaps)
    dof, share = [], []
    true = np.diag(bread @ (x * w[:, None] ** 2).T @ x @ bread)
    for k in range(2):
        v = np.stack([vector[:, k] for vector in vectors])
        products = v @ v.T
        dof.append(np.trace(products) ** 2 / np.sum(products**2))
        share.append(np.trace(products) / true[k])
    return covariance, np.array(dof), np.array(share)


@fast
@given(panels(), st.sampled_from(["inverse", "identity"]))
def test_CR2_is_the_dense_definition(panel: Panel, working: str) -> None:
    result = bias_reduced(two_way_effects(panel, DESIGN), working)  # type: ignore[arg-type]
    covariance, dof, share = dense_bias_reduced(panel, working)
    known = ~np.isnan(result.dof)
    np.testing.assert_array_equal(known, share > 1 - 1e-5)
    np.testing.assert_allclose(
        result.covariance[np.ix_(known, known)], covariance[np.ix_(known, known)], rtol=1e-6, atol=1e-10
    )
    np.testing.assert_allclose(result.dof[known], dof[known], rtol=1e-6)


@fast
@given(panels(holes=False))
def test_one_adoption_date_is_the_collapsed_comparison(panel: Panel) -> None:
    """Common timing, weights fixed in time: mean after minus mean before, treated minus comparison."""
    w = panel.values("w")[:, 0]
    treated = np.isfinite(panel.constant("adoption"))
    common = panel.with_fixed(adoption=np.where(treated, 2017.0, np.inf), size=w)
    after = panel.periods >= 2017
    change = panel.values("y")[:, after].mean(axis=1) - panel.values("y")[:, ~after].mean(axis=1)
    expected = np.average(change[treated], weights=w[treated]) - np.average(
        change[~treated], weights=w[~treated]
    )
    estimate = two_way_effects(common, Design("y", cluster="region", weight="size"))
    np.testing.assert_allclose(estimate.values, [expected], **TIGHT)


@fast
@given(panels())
def test_periods_may_be_renamed(panel: Panel) -> None:
    later = Panel(
        panel.units,
        panel.periods + 100,
        dict(panel.varying),
        {**panel.fixed, "adoption": panel.constant("adoption") + 100},
    )
    one, other = two_way_event_study(panel, DESIGN), two_way_event_study(later, DESIGN)
    np.testing.assert_array_equal(one.values, other.values)
    assert one.terms.equals(other.terms)


@fast
@given(panels(), st.sampled_from(["region", "half"]))
def test_separate_period_effects_equal_their_dummies(panel: Panel, group: str) -> None:
    panel = panel.with_fixed(half=np.arange(panel.shape[0]) % 2)
    panel = panel.with_varying(y=np.nan_to_num(panel.values("y")))
    codes = panel.constant(group).astype(int)
    y, x, w, _ = rows(panel, [treatment(panel), panel.values("x")])
    periods = panel.shape[1]
    cell = (codes[:, None] * periods + np.arange(periods)).ravel()
    x = np.column_stack([x, np.eye(cell.max() + 1)[cell]])
    others = np.linalg.matrix_rank(x[:, 1:] * np.sqrt(w)[:, None], tol=1e-8)
    if np.linalg.matrix_rank(x * np.sqrt(w)[:, None], tol=1e-8) == others:
        with pytest.raises(DesignError, match="흡수"):
            two_way_effects(panel, DESIGN, within=group)
        return
    estimate = two_way_effects(panel, DESIGN, within=group)
    np.testing.assert_allclose(estimate.values, least_squares(y, x, w)[:2], rtol=1e-7, atol=1e-8)
