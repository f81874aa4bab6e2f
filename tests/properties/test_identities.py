"""Identities that tie estimators to one another and to formulas, on random panels drawn by Hypothesis.

Others stand beside their methods (see the header of each file of this folder); here are those that belong to no single
one, or whose oracle is another method. 1e-9 relative to the size of the numbers is what double precision leaves.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staggered_panels import staggered_panels

from evalkit.checks._residualised import residualise
from evalkit.checks.jakiela import jakiela
from evalkit.checks.two_way_weights import cell_weights, two_way_weights
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.gravity import gravity_effects
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.flows import Flows
from evalkit.panel import Panel

TIGHT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
fast = settings(max_examples=15, deadline=None)
few = settings(max_examples=6, deadline=None)
seeds = st.integers(0, 2**32 - 1)


# -- two-way weights: Σ W Δ = β when outcomes without treatment are additive ---------------------------------------------


@fast
@given(staggered_panels(), st.sampled_from([None, "w", "wt"]), st.booleans(), seeds)
def test_weighted_effects_add_up_to_the_two_way_coefficient(
    panel: Panel, weight: str | None, other: bool, seed: int
) -> None:
    """Missing cells, weights by unit or cell, a covariate and perhaps a second treatment in the regression."""
    rng = np.random.default_rng(seed)
    n, periods = panel.shape
    treated = (panel.periods >= panel.constant("adoption")[:, None]).astype(float)
    late = np.where(np.arange(n) % 4 == 0, panel.periods[-3], np.inf)
    second = (panel.periods >= late[:, None]).astype(float)
    effect, leak = rng.normal(1, 1, (n, periods)), rng.normal(0, 2, (n, periods))
    without = rng.normal(size=(n, 1)) + rng.normal(size=periods) + 0.7 * panel.values("z")
    y = without + treated * effect + (second * leak if other else 0.0)
    panel = panel.with_varying(y=np.where(np.isnan(panel.values("y")), np.nan, y), second=second)
    others = ("second",) if other else ()
    design = Design("y", covariates=("z",), weight=weight)
    check = two_way_weights(panel, design, other_treatments=others)
    fit = residualise(panel, design, None, others)
    total = float((fit.weights * fit.treatment_left * fit.treatment).sum())
    rows, columns = (
        np.isin(panel.units, fit.sample.units),
        np.isin(panel.periods, fit.sample.periods),
    )
    effect, leak, second = (v[rows][:, columns] for v in (effect, leak, second))
    own = cell_weights(fit, fit.treatment, total)
    np.testing.assert_allclose(own.sum(), 1.0, **TIGHT)
    found = (own * effect).sum()
    if other:
        mixed = cell_weights(fit, second, total)
        np.testing.assert_allclose(mixed.sum(), 0.0, **TIGHT)
        found += (mixed * leak).sum()
    np.testing.assert_allclose(found, check.detail["beta"], **TIGHT)
    regression = two_way_effects(panel, Design("y", covariates=("z", *others), weight=weight))
    np.testing.assert_allclose(check.detail["beta"], regression.values[0], **TIGHT)


@few
@given(staggered_panels(), st.sampled_from([None, "w"]), seeds)
def test_diagnoses_of_two_way_do_not_see_order_labels_or_scale(
    panel: Panel, weight: str | None, seed: int
) -> None:
    design = Design("y", weight=weight, cluster="region")
    order = np.random.default_rng(seed).permutation(panel.shape[0])
    later = Panel(
        panel.units,
        panel.periods + 9,
        panel.varying,
        {**panel.fixed, "adoption": panel.constant("adoption") + 9},
    )
    changed = [panel.select(order), later]
    if weight is not None:
        changed.append(panel.with_fixed(w=panel.constant("w") * 3.7))
    scaled = panel.with_varying(y=3 + 2.5 * panel.values("y"))
    plain, slopes = two_way_weights(panel, design), jakiela(panel, design)
    for one in (*changed, scaled):
        factor = 2.5 if one is scaled else 1.0
        weights, again = two_way_weights(one, design), jakiela(one, design)
        for key in ("beta", "sigma", "sigma_sign"):
            if plain.detail[key] is None:
                assert weights.detail[key] is None
            else:
                np.testing.assert_allclose(weights.detail[key], factor * plain.detail[key], **TIGHT)
        for key in ("n_positive", "n_negative", "n_zero"):
            assert weights.detail[key] == plain.detail[key]
        np.testing.assert_allclose(weights.statistic, plain.statistic, **TIGHT)
        assert again.detail["n_negative"] == slopes.detail["n_negative"]
        for key in ("beta", "difference", "slope_untreated", "std_error"):
            np.testing.assert_allclose(again.detail[key], factor * slopes.detail[key], **TIGHT)


# -- triple differences: the signed sum of eight cell means ----------------------------------------------------------------


def places(seed: int, missing: float) -> Panel:
    rng = np.random.default_rng(seed)
    n, periods = 160, 6
    at = np.arange(n)
    adoption, target = np.array([3.0, 4.0, 5.0, np.inf])[at % 4], (at // 4) % 2
    y = rng.normal(size=(n, periods)).cumsum(axis=1) + 3 * rng.normal(size=(n, 1))
    gone = rng.random(y.shape) < missing
    gone[:48] = False
    return Panel(
        at,
        np.arange(1, periods + 1),
        {"y": np.where(gone, np.nan, y)},
        {"adoption": adoption, "target": target, "w": rng.uniform(0.5, 2, n), "cluster": (at // 8) % 5},
    )


@fast
@given(
    seeds,
    st.sampled_from(["dr_improved", "dr", "reg", "ipw"]),
    st.sampled_from([None, "w"]),
    st.sampled_from(["universal", "varying"]),
    st.sampled_from([0.0, 0.1]),
)
def test_triple_differences_are_eight_cell_means(
    seed: int, method: str, weight: str | None, base: str, missing: float
) -> None:
    """Without covariates, whatever the method; where cells are missing, over the units seen in both periods."""
    panel = places(seed, missing)
    design = Design("y", weight=weight, cluster="cluster", base=base)  # type: ignore[arg-type]
    found = triple_difference_effects(
        panel,
        design,
        eligible="target",
        combination="separate",
        method=method,  # type: ignore[arg-type]
        missing="pairs" if missing else "drop",
    )
    y, adoption, target = panel.values("y"), panel.constant("adoption"), panel.constant("target") == 1
    w = np.ones(len(y)) if weight is None else panel.constant("w")
    for (g, t, other), value in zip(found.terms, found.values, strict=True):
        before = g - 1 if base == "universal" or t >= g else t - 1
        change = y[:, t - 1] - y[:, before - 1]
        seen = ~np.isnan(change)
        c = np.inf if other == "never" else float(other)
        cells = [
            np.average(change[at], weights=w[at])
            for place in (g, c)
            for side in (target, ~target)
            for at in [(adoption == place) & side & seen]
        ]
        np.testing.assert_allclose(value, cells[0] - cells[1] - (cells[2] - cells[3]), **TIGHT)


# -- Poisson: saturated effects are imputed effects ------------------------------------------------------------------------


@few
@given(staggered_panels(holes=False))
def test_poisson_effects_are_imputed_by_a_poisson_fit_of_untreated_rows(panel: Panel) -> None:
    """Unit and period effects fitted where nobody is treated (by proportional scaling), effect = mean less fit."""
    found = extended_two_way_effects(panel, Design("count", weight="w", cluster="region"), link="poisson")
    y, w, g = panel.values("count"), panel.constant("w"), panel.constant("adoption")
    clean = panel.periods < g[:, None]
    level, season = np.ones(len(y)), np.ones(len(panel.periods))
    for _ in range(5000):  # both margins of the untreated cells are met in turn
        old = season
        level = (y * clean).sum(axis=1) / (clean * season).sum(axis=1)
        mass = w[:, None] * clean
        season = (mass * y).sum(axis=0) / (mass * level[:, None]).sum(axis=0)
        if np.abs(season / old - 1).max() < 1e-14:
            break
    gap = y - level[:, None] * season
    expected = [
        np.average(gap[g == a, np.searchsorted(panel.periods, t)], weights=w[g == a]) for a, t in found.terms
    ]
    np.testing.assert_allclose(found.values, expected, **TIGHT)


# -- relocation: conditional logit is Poisson with origin effects ----------------------------------------------------------


@fast
@given(seeds, st.sampled_from([0.0, 0.1]), st.booleans())
def test_conditional_logit_is_poisson_with_origin_period_effects(
    seed: int, missing: float, ring: bool
) -> None:
    """Movers of an origin and year choose among the destinations; Newton on the multinomial likelihood."""
    rng = np.random.default_rng(seed)
    origins, destinations, periods = 4, 8, 5
    at, years = np.arange(destinations), np.arange(1, periods + 1)
    fixed = {
        "adoption": np.where(at % 4 == 0, 3.0, np.inf),
        "ring": np.where(at % 4 == 1, 4.0, np.inf),
        "group": at // 2,
    }
    mean = np.exp(
        rng.normal(1, 0.6, (origins, destinations, 1)) + 0.3 * (years >= fixed["adoption"][:, None])
    )
    counts = rng.poisson(mean).astype(float) + (rng.random((*mean.shape[:2], periods)) < 0.3)
    counts[rng.random(counts.shape) < missing] = np.nan
    flows = Flows(
        np.arange(origins), at, years, counts, fixed, {"x": rng.normal(size=(destinations, periods))}
    )
    design = Design("movers", cluster="group", covariates=("x",))
    found = gravity_effects(flows, design, diversion=("ring",) if ring else (), pair=False)
    o, d, t = np.nonzero(~np.isnan(counts))
    named = [years[t] >= fixed["adoption"][d], flows.varying["x"][d, t]]
    if ring:
        named.insert(1, years[t] >= fixed["ring"][d])
    x = np.column_stack([*named, np.eye(destinations)[d][:, 1:]]).astype(float)
    y, group = counts[o, d, t], o * periods + t
    total, beta = np.bincount(group, y, minlength=group.max() + 1), np.zeros(x.shape[1])
    for _ in range(50):
        share = np.exp(x @ beta)
        expected = total[group] * share / np.bincount(group, share)[group]
        sums = np.stack([np.bincount(group, expected * c) for c in x.T], axis=1)
        information = (x * expected[:, None]).T @ x - sums.T @ (sums / np.maximum(total, 1e-300)[:, None])
        step = np.linalg.solve(information, x.T @ (y - expected))
        beta = beta + step * min(1.0, 2.0 / np.abs(step).max())
        if np.abs(step).max() < 1e-13:
            break
    np.testing.assert_allclose(found.values, beta[: len(found)], **TIGHT)


# -- influence: the derivative of the estimate in the unit's weight --------------------------------------------------------


def cells_of(method: str, missing: str, panel: Panel, design: Design) -> Any:
    return group_time_effects(panel, design, method=method, missing=missing, replicates=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["drop", "rows", "pairs"])
@pytest.mark.parametrize("method", ["dr_improved", "dr", "reg", "ipw"])
@settings(max_examples=3, deadline=None)
@given(staggered_panels())
def test_influence_of_group_time_effects_is_the_derivative(method: str, missing: str, panel: Panel) -> None:
    design = Design("y", covariates=(), weight="w", cluster="region")
    contract.influence_is_the_derivative(partial(cells_of, method, missing), panel, design, [0, 1, 7, 14])


@pytest.mark.parametrize("method", ["dr_improved", "dr", "reg", "ipw"])
@few
@given(seeds)
def test_influence_with_a_covariate_is_the_derivative(method: str, seed: int) -> None:
    """Nuisance terms included; the improved method has none, because its weights and slopes make them 0."""
    rng = np.random.default_rng(seed)
    n, periods = 240, 4
    adoption = np.array([3.0, 4.0, np.inf, np.inf])[np.arange(n) % 4]
    x = rng.normal(size=n)
    y = rng.normal(size=(n, periods)).cumsum(axis=1) + 0.3 * x[:, None] * np.arange(periods)
    fixed = {"adoption": adoption, "x": x, "w": rng.uniform(0.5, 2, n), "region": np.arange(n) % 12}
    panel = Panel(np.arange(n), np.arange(1, periods + 1), {"y": y}, fixed)
    design = Design("y", covariates=("x",), weight="w", cluster="region")
    call = partial(cells_of, method, "drop")
    contract.influence_is_the_derivative(call, panel, design, [0, 1, 2, 3], rtol=1e-4)


@pytest.mark.parametrize("call", [two_way_effects, partial(two_way_event_study, window=(-2, 2))])
@few
@given(panel=staggered_panels())
def test_influence_of_two_way_effects_is_the_derivative(call: Any, panel: Panel) -> None:
    design = Design("y", covariates=("z",), weight="w", cluster="region")
    try:
        contract.influence_is_the_derivative(call, panel, design, [0, 1, 7, 14])
    except DesignError:
        return
