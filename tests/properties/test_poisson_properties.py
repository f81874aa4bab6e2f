"""Identities of the Poisson estimators over random small panels.

The oracle is a Poisson regression with every dummy written out, by plain Newton steps on n × (N + T + K). 1e-9 is what
double precision leaves on panels of this size; influence is held against numerical derivatives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import contract
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evalkit.arrays.poisson_chord import chord
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators.poisson import poisson_effects, poisson_event_study
from evalkit.panel import Panel

DESIGN = Design("y", cluster="region", weight="w")
WITH_X = replace(DESIGN, covariates=("x",))
few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def simulate(
    seed: int, *, holes: bool = False, cell_weights: bool = False, zeros: float = 0.0, clusters: int = 5
) -> Panel:
    """Counts with two cohorts and never treated units; missing cells, weights and many zeros on demand."""
    rng = np.random.default_rng(seed)
    n, periods = 8 * clusters, 6
    years = np.arange(2015, 2015 + periods)
    adoption = rng.choice([2017.0, 2019.0, np.inf], n)
    adoption[:6] = [2017.0, 2017.0, 2019.0, 2019.0, np.inf, np.inf]
    x = rng.normal(size=(n, periods))
    size = np.exp(rng.normal(0.5, 0.7, (n, 1)))
    mean = size * np.exp(0.1 * np.arange(periods) + 0.3 * (years >= adoption[:, None]) + 0.2 * x)
    y = rng.poisson(mean) * rng.choice([1.0, 0.5], (n, 1))
    y[rng.random((n, periods)) < zeros] = 0.0
    y[:, 0] += 1.0  # nothing is separated, so that perturbed weights stay in one regime
    if holes:
        y[rng.random((n, periods)) < 0.15] = np.nan
        y[:6] = np.where(np.isnan(y[:6]), 1.0, y[:6])
    w = rng.uniform(0.5, 2.0, (n, periods)) if cell_weights else rng.uniform(0.5, 2.0, n)
    varying = {"y": y, "x": x, "risk": rng.uniform(1, 9, (n, periods))}
    fixed = {"adoption": adoption, "region": np.arange(n) % clusters, "group": np.arange(n) // 2 % 3}
    (varying if cell_weights else fixed)["w"] = w
    return Panel(np.arange(n), years, varying, fixed)


def dummies(panel: Panel, columns: list[np.ndarray], offset: np.ndarray | None = None) -> np.ndarray:
    """Coefficients of the columns by Newton on every dummy."""
    y = panel.values("y")
    w = panel.varying["w"] if "w" in panel.varying else np.repeat(panel.constant("w")[:, None], y.shape[1], 1)
    seen = ~np.isnan(y)
    seen &= (np.where(seen, y, 0).sum(1) > 0)[:, None]
    i, t = np.nonzero(seen)
    x = np.column_stack(
        [*(c[i, t] for c in columns), np.eye(len(y))[i][:, seen.any(1)], np.eye(y.shape[1])[t]]
    )
    y, w = y[i, t], w[i, t]
    shift = 0.0 if offset is None else offset[i, t]
    eta = np.log((y + y.mean()) / 2) - shift
    for _ in range(60):
        mean = np.exp(eta + shift)
        root = np.sqrt(w * mean)
        theta = np.linalg.lstsq(x * root[:, None], root * (eta + (y - mean) / mean), rcond=1e-12)[0]
        eta = x @ theta
    return theta[: len(columns)]


def treatment(panel: Panel) -> np.ndarray:
    return (panel.periods[None, :] >= panel.constant("adoption")[:, None]).astype(float)


@few
@given(seed=seeds, holes=st.booleans(), cell=st.booleans())
def test_equals_every_dummy_written_out(seed: int, holes: bool, cell: bool) -> None:
    panel = simulate(seed, holes=holes, cell_weights=cell, zeros=0.2)
    np.testing.assert_allclose(
        poisson_effects(panel, DESIGN).values, dummies(panel, [treatment(panel)]), rtol=1e-8, atol=1e-9
    )
    np.testing.assert_allclose(
        poisson_effects(panel, WITH_X, exposure="risk").values,
        dummies(panel, [treatment(panel), panel.values("x")], np.log(panel.values("risk"))),
        rtol=1e-8,
        atol=1e-9,
    )


@few
@given(seed=seeds)
def test_unit_effects_are_cohort_effects_are_cell_means(seed: int) -> None:
    """Without covariates, balanced: unit effects = cohort dummies = weighted Poisson on cell means."""
    panel = simulate(seed)
    estimate = poisson_effects(panel, DESIGN).values
    y, w, adoption = panel.values("y"), panel.constant("w"), panel.constant("adoption")
    dates = np.unique(adoption)
    means = np.array([np.average(y[adoption == g], axis=0, weights=w[adoption == g]) for g in dates])
    sizes = np.array([w[adoption == g].sum() for g in dates])
    cells = Panel(
        np.arange(len(dates)),
        panel.periods,
        {"y": means},
        {"adoption": dates, "w": sizes},
    )
    np.testing.assert_allclose(
        poisson_effects(cells, Design("y", weight="w")).values, estimate, rtol=1e-9, atol=1e-10
    )
    pooled = dummies(cells, [treatment(cells)])
    np.testing.assert_allclose(pooled, estimate, rtol=1e-9, atol=1e-9)


@few
@given(seed=seeds, scale=st.floats(1e-6, 1e6))
def test_the_unit_of_measure_does_not_matter(seed: int, scale: float) -> None:
    panel = simulate(seed, zeros=0.2)
    changed = panel.with_varying(y=panel.values("y") * scale)
    for method in (poisson_effects, poisson_event_study):
        a, b = method(panel, DESIGN), method(changed, DESIGN)
        np.testing.assert_allclose(b.values, a.values, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(b.std_errors, a.std_errors, rtol=1e-8)
        np.testing.assert_allclose(b.replicates, a.replicates, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("covariates", [(), ("x",)])
def test_replicates_are_refits(holes: bool, cell: bool, covariates: tuple[str, ...]) -> None:
    for seed in range(3):
        panel = simulate(seed, holes=holes, cell_weights=cell, zeros=0.3)
        design = replace(DESIGN, covariates=covariates)
        contract.replicates_are_refits(poisson_effects, panel, design)
        contract.replicates_are_refits(poisson_event_study, panel, design)
        contract.replicates_are_refits(lambda p, d: poisson_effects(p, d, within="group"), panel, design)


def test_replicates_of_a_cluster_that_holds_a_cohort_or_all_counts_of_a_year_are_undefined_or_refits() -> (
    None
):
    """A cohort, or every positive count of a period, in one cluster: what is left is fitted anew, or is not defined."""
    panel = simulate(3)
    region, adoption = panel.constant("region"), panel.constant("adoption").copy()
    adoption[(adoption == 2019) & (region != 0)] = np.inf
    alone = panel.with_fixed(adoption=adoption)
    contract.replicates_are_refits(poisson_event_study, alone, DESIGN)
    y = panel.values("y").copy()
    y[region != 1, 4] = 0.0
    contract.replicates_are_refits(poisson_effects, panel.with_varying(y=y), DESIGN)
    treated_only_here = np.where(region == 2, panel.constant("adoption"), np.inf)
    estimate = poisson_effects(panel.with_fixed(adoption=treated_only_here), DESIGN)
    assert estimate.replicates is not None
    assert np.isnan(estimate.replicates[2]).all()
    assert np.isfinite(np.delete(estimate.replicates, 2, axis=0)).all()


def test_a_cluster_that_holds_what_a_fit_with_covariates_needs() -> None:
    """As above where a regressor varies by cell: halves of the clusters must not vouch for what only one cluster has."""
    panel = simulate(5, zeros=0.2)
    region, adoption = panel.constant("region"), panel.constant("adoption").copy()
    for own in range(5):
        alone = np.where((adoption == 2019) & (region != own), np.inf, adoption)
        full = panel.with_fixed(adoption=alone).with_varying(y=panel.values("y") + 1.0)
        contract.replicates_are_refits(poisson_event_study, full, WITH_X)
        y = panel.values("y").copy()
        y[region != own, 4] = 0.0
        contract.replicates_are_refits(poisson_effects, panel.with_varying(y=y), WITH_X)
        x = np.where((region == own)[:, None], panel.values("x"), 0.0)
        contract.replicates_are_refits(poisson_effects, panel.with_varying(x=x), WITH_X)


@few
@given(seed=seeds, holes=st.booleans(), cell=st.booleans(), within=st.sampled_from([None, "group"]))
def test_deletions_side_by_side_equal_those_one_by_one(
    seed: int, holes: bool, cell: bool, within: str | None
) -> None:
    """The fast way is taken, and gives what fits of one cluster after the other give."""
    panel = simulate(seed, holes=holes, cell_weights=cell, zeros=0.2, clusters=9)
    panel = panel.with_varying(z=np.log(panel.values("risk")))
    found = []

    def spy(*args: Any) -> Any:
        found.append(chord(*args))
        return found[-1]

    def none(problem: Any, whole: Any, moments: Any, wanted: Any, sound: Any) -> Any:
        return np.full((len(sound), len(wanted)), np.nan), np.zeros(len(sound), dtype=bool)

    design = replace(DESIGN, covariates=("x", "z"))
    results = []
    for way in (spy, none):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("evalkit.arrays.poisson_deletion.chord", way)
            results.append(poisson_effects(panel, design, within=within, exposure="risk").replicates)
    assert found[0][1].mean() > 0.5
    assert results[0] is not None
    np.testing.assert_allclose(results[0], results[1], rtol=1e-9, atol=1e-10)


@few
@given(seed=seeds)
def test_several_sets_of_period_effects(seed: int) -> None:
    panel = simulate(seed, zeros=0.2)

    def both(p: Panel, d: Design) -> object:
        return poisson_effects(p, d, within=("group", "region"), replicates=True)

    contract.replicates_are_refits(both, panel, WITH_X)  # type: ignore[arg-type]
    one = poisson_effects(panel, WITH_X, within=("group",))
    other = poisson_effects(
        panel.with_fixed(same=np.zeros(len(panel.units))), WITH_X, within=("group", "same")
    )
    np.testing.assert_allclose(other.values, one.values, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(other.influence, one.influence, rtol=1e-6, atol=1e-7)


@few
@given(seed=seeds, holes=st.booleans())
def test_the_contract(seed: int, holes: bool) -> None:
    panel = simulate(seed, holes=holes, zeros=0.2)
    for method in (poisson_effects, poisson_event_study):
        for design in (DESIGN, WITH_X):
            contract.unit_order_does_not_matter(method, panel, design)
            contract.periods_are_labels(method, panel, design)
            contract.weights_matter_up_to_a_factor(method, panel, design)
            contract.copies_are_weights(method, panel, design)
            contract.caller_is_left_alone(method, panel, design)
            contract.influence_gives_the_covariance(method(panel, design))
    contract.influence_is_the_derivative(poisson_effects, panel, WITH_X, [0, 5, 9])
    contract.influence_is_the_derivative(poisson_event_study, panel, DESIGN, [0, 5])


def test_survives_a_file(tmp_path: object) -> None:
    contract.survives_a_file(poisson_effects(simulate(1, zeros=0.5), WITH_X), tmp_path)
    contract.survives_a_file(poisson_event_study(simulate(1), WITH_X), tmp_path)


@few
@given(seed=seeds)
def test_two_periods_and_two_groups_are_a_ratio_of_ratios(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.poisson(3.0, (20, 2)) + 0.0
    adoption = np.where(np.arange(20) < 8, 2.0, np.inf)
    sums = np.array([y[:8].sum(0), y[8:].sum(0)])
    assume((sums > 0).all())
    panel = Panel(np.arange(20), np.array([1, 2]), {"y": y}, {"adoption": adoption})
    expected = np.log(sums[0, 1] / sums[0, 0]) - np.log(sums[1, 1] / sums[1, 0])
    np.testing.assert_allclose(poisson_effects(panel, Design("y")).values, [expected], rtol=1e-9, atol=1e-10)


@few
@given(seed=seeds)
def test_a_deflator_common_to_all_units_does_not_matter(seed: int) -> None:
    """With one cohort the event study is saturated, and period effects take a common deflator up."""
    panel = simulate(seed)
    adoption = panel.constant("adoption")
    panel = panel.with_fixed(adoption=np.where(adoption == 2019, np.inf, adoption))
    prices = np.random.default_rng(seed).uniform(0.2, 5, panel.shape[1])
    deflated = panel.with_varying(y=panel.values("y") * prices)
    np.testing.assert_allclose(
        poisson_event_study(deflated, DESIGN).values,
        poisson_event_study(panel, DESIGN).values,
        rtol=1e-9,
        atol=1e-10,
    )


def test_no_estimate_without_a_comparison() -> None:
    panel = simulate(0).with_fixed(adoption=np.full(40, 2017.0))
    with pytest.raises(DesignError, match="흡수"):
        poisson_effects(panel, DESIGN)
