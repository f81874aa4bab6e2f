"""What the extended two-way regression promises on random small panels.

The oracles write every dummy out: dense weighted least squares, and iteratively reweighted least squares with the
whole design (cohorts, periods, treated cells, and their products with the covariate), then average the marginal
effects. 1e-9 is what double precision leaves.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staggered_panels import staggered_panels

from evalkit.design import Design
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import cluster_jackknife
from evalkit.panel import Panel

TIGHT = {"rtol": 1e-9, "atol": 1e-9}
DESIGN = Design("y", cluster="region", weight="w")
few = settings(max_examples=12, deadline=None)
OUTCOME = {"linear": "y", "poisson": "count", "logit": "share"}
KINDS = [
    ("linear", "unit", ()),
    ("linear", "unit", ("x",)),
    ("linear", "cohort", ()),
    ("linear", "cohort", ("x",)),
    ("poisson", "cohort", ()),
    ("poisson", "cohort", ("x",)),
    ("logit", "cohort", ()),
    ("logit", "cohort", ("x",)),
]
kinds = pytest.mark.parametrize(("link", "effects", "covariates"), KINDS)


def call_of(link: str, effects: str, **options: object) -> contract.Call:
    return partial(extended_two_way_effects, link=link, effects=effects, **options)  # type: ignore[arg-type]


def design_of(link: str, covariates: tuple[str, ...], **changes: object) -> Design:
    return replace(DESIGN, outcome=OUTCOME[link], covariates=covariates, **changes)  # type: ignore[arg-type]


# -- brute force ---------------------------------------------------------------------------------------


def mean_of(link: str, eta: np.ndarray) -> np.ndarray:
    return eta if link == "linear" else np.exp(eta) if link == "poisson" else 1 / (1 + np.exp(-eta))


def reweighted(link: str, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Maximum quasi-likelihood by least squares on working outcomes, no shortcut."""
    start = y.mean() * np.ones(len(y)) * 0.5 + 0.5 * y
    eta = {
        "linear": start,
        "poisson": np.log(np.maximum(start, 1e-3)),
        "logit": np.log(np.clip(start, 0.01, 0.99) / (1 - np.clip(start, 0.01, 0.99))),
    }[link]
    beta = np.zeros(x.shape[1])
    for _ in range(60):
        mean = mean_of(link, eta)
        steep = {"linear": np.ones(len(y)), "poisson": mean, "logit": mean * (1 - mean)}[link]
        root = np.sqrt(w * steep)
        beta = np.linalg.lstsq(x * root[:, None], (eta + (y - mean) / steep) * root, rcond=1e-12)[0]
        eta = x @ beta
    return beta


def brute(panel: Panel, design: Design, link: str, units: bool = False) -> dict[tuple[int, int], float]:
    """ATT of each treated cell: mean over its rows of h(with) − h(without), from one regression with every dummy."""
    seen = ~np.isnan(panel.values(design.outcome))
    i, t = np.nonzero(seen)
    y = panel.values(design.outcome)[i, t]
    w = panel.constant("w")[i] if design.weight == "w" else panel.values("wt")[i, t]
    g, label = panel.constant("adoption")[i], panel.periods[t]
    z = panel.constant("x")[i] if design.covariates else None
    first = np.eye(panel.shape[0])[i] if units else (g[:, None] == np.unique(g)).astype(float)
    base = [first, (label[:, None] == panel.periods[1:]).astype(float)]
    cells = sorted(
        {
            (int(a), int(b))
            for a, b in zip(g, label, strict=True)
            if np.isfinite(a) and _effect(design, panel, a, b)
        }
    )
    dummies = np.stack([(g == a) & (label == b) for a, b in cells], axis=1).astype(float)
    parts = [*base]
    extra = [dummies]
    if z is not None:
        parts += [b * z[:, None] for b in ([base[1]] if units else base)]
        if units:
            parts.append(z[:, None])
        extra.append(dummies * z[:, None])
    x0 = np.hstack(parts)
    x = np.hstack([x0, *extra])
    beta = reweighted(link, x, y, w)
    with_, without = mean_of(link, x @ beta), mean_of(link, x0 @ beta[: x0.shape[1]])
    return {
        cell: float(np.average((with_ - without)[d > 0], weights=w[d > 0]))
        for cell, d in zip(cells, dummies.T, strict=True)
    }


def _effect(design: Design, panel: Panel, g: float, t: int) -> bool:
    if design.comparison == "not_yet":
        return t >= g - design.anticipation
    before = panel.periods[panel.periods < g - design.anticipation]
    return bool(t != before[-1])


@kinds
@few
@given(staggered_panels(), st.sampled_from(["not_yet", "never"]), st.integers(0, 1))
def test_is_the_regression_with_every_dummy(
    link: str, effects: str, covariates: tuple[str, ...], panel: Panel, comparison: str, ahead: int
) -> None:
    design = design_of(link, covariates, comparison=comparison, anticipation=ahead)
    estimate = call_of(link, effects)(panel, design)
    expected = brute(panel, design, link, units=effects == "unit")
    assert list(expected) == [(int(g), int(t)) for g, t in estimate.terms]
    np.testing.assert_allclose(estimate.values, list(expected.values()), rtol=1e-7, atol=1e-8)


@few
@given(staggered_panels())
def test_weights_by_cell(panel: Panel) -> None:
    for link, effects in (("linear", "unit"), ("linear", "cohort"), ("poisson", "cohort")):
        design = design_of(link, (), weight="wt")
        expected = brute(panel, design, link, units=effects == "unit")
        estimate = call_of(link, effects)(panel, design)
        np.testing.assert_allclose(estimate.values, list(expected.values()), rtol=1e-8, atol=1e-8)


# -- identities --------------------------------------------------------------------------------------


def imputed(panel: Panel, outcome: str) -> np.ndarray:
    """Unit and period effects from untreated rows, written out; mean of what is left in each treated cell."""
    y, g = panel.values(outcome), panel.constant("adoption")
    clean = panel.periods < g[:, None]
    n, t = panel.shape
    i, j = np.nonzero(clean)
    x = np.hstack([np.eye(n)[i], np.eye(t)[j]])
    root = np.sqrt(panel.constant("w")[i])
    beta = np.linalg.lstsq(x * root[:, None], y[i, j] * root, rcond=1e-12)[0]
    gap = y - beta[:n, None] - beta[None, n:]
    cells = [(a, b) for a in np.unique(g[np.isfinite(g)]) for b in panel.periods if b >= a]
    return np.array(
        [
            np.average(gap[g == a, np.searchsorted(panel.periods, b)], weights=panel.constant("w")[g == a])
            for a, b in cells
        ]
    )


@few
@given(staggered_panels(holes=False))
def test_linear_effects_are_imputed_cell_means(panel: Panel) -> None:
    estimate = extended_two_way_effects(panel, DESIGN)
    np.testing.assert_allclose(estimate.values, imputed(panel, "y"), **TIGHT)


@few
@given(staggered_panels(holes=False), st.sampled_from([(), ("x",)]))
def test_unit_effects_are_cohort_effects_in_a_balanced_panel(
    panel: Panel, covariates: tuple[str, ...]
) -> None:
    design = design_of("linear", covariates)
    one, other = (extended_two_way_effects(panel, design, effects=e) for e in ("unit", "cohort"))
    np.testing.assert_allclose(one.values, other.values, **TIGHT)
    np.testing.assert_allclose(one.influence, other.influence, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.replicates, other.replicates, **TIGHT)
    ratio = one.std_errors / other.std_errors  # K counts the cohort effects or not
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)
    assert (ratio < 1).all()


@few
@given(staggered_panels(holes=False))
def test_never_comparison_is_the_group_time_effect_with_a_universal_base(panel: Panel) -> None:
    design = replace(DESIGN, comparison="never")
    ours = extended_two_way_effects(panel, design)
    other = group_time_effects(panel, design)
    at = [list(other.terms).index(term) for term in ours.terms]
    np.testing.assert_allclose(ours.values, other.values[at], **TIGHT)
    np.testing.assert_allclose(ours.influence, other.influence[:, at], rtol=1e-9, atol=1e-9)


def unit_effects_poisson(panel: Panel) -> np.ndarray:
    """Poisson with unit dummies, periods and treated cells: the conditional likelihood by Newton, then exp sums."""
    y, g, w = panel.values("count"), panel.constant("adoption"), panel.constant("w")
    cells = [(a, b) for a in np.unique(g[np.isfinite(g)]) for b in panel.periods if b >= a]
    n, t = panel.shape
    x = np.zeros((n, t, t - 1 + len(cells)))
    x[:, np.arange(1, t), np.arange(t - 1)] = 1.0
    for k, (a, b) in enumerate(cells):
        x[g == a, np.searchsorted(panel.periods, b), t - 1 + k] = 1.0
    beta = np.zeros(x.shape[2])
    for _ in range(60):
        share = np.exp(x @ beta)
        share /= share.sum(axis=1, keepdims=True)
        total = (w * y.sum(axis=1))[:, None]
        score = np.einsum("ntk,nt->k", x, w[:, None] * y - total * share)
        mean = np.einsum("nt,ntk->nk", share, x)
        hess = np.einsum("nt,ntk,ntl->kl", total * share, x, x) - (mean * total).T @ mean
        beta += np.linalg.solve(hess, score)
    level = y.sum(axis=1) / np.exp(x @ beta).sum(axis=1)
    plain = x.copy()
    plain[:, :, t - 1 :] = 0
    gap = level[:, None] * (np.exp(x @ beta) - np.exp(plain @ beta))
    return np.array(
        [np.average(gap[g == a, np.searchsorted(panel.periods, b)], weights=w[g == a]) for a, b in cells]
    )


@few
@given(staggered_panels(holes=False))
def test_poisson_cohorts_are_unit_effects_and_cell_means(panel: Panel) -> None:
    """Cohort dummies, unit effects (conditional likelihood) and the fit on cell means alone agree."""
    design = design_of("poisson", ())
    ours = extended_two_way_effects(panel, design, link="poisson")
    np.testing.assert_allclose(ours.values, unit_effects_poisson(panel), **TIGHT)
    labels = panel.constant("adoption")
    groups = [labels == a for a in np.unique(labels)]
    w = panel.constant("w")
    means = Panel(
        np.arange(len(groups)),
        panel.periods,
        {"count": np.stack([np.average(panel.values("count")[g], axis=0, weights=w[g]) for g in groups])},
        {"adoption": np.unique(labels), "w": np.array([w[g].sum() for g in groups])},
    )
    small = extended_two_way_effects(means, replace(design, cluster=None), link="poisson")
    np.testing.assert_allclose(small.values, ours.values, **TIGHT)
    same = extended_two_way_effects(panel, design, link="poisson", effects="unit")
    np.testing.assert_allclose(same.values, ours.values, **TIGHT)


@few
@given(staggered_panels(), st.sampled_from(KINDS))
def test_scales_fit_together(panel: Panel, kind: tuple[str, str, tuple[str, ...]]) -> None:
    """relative = effect / counterfactual: values, influence and replicates."""
    link, effects, covariates = kind
    design = design_of(link, covariates)
    effect, mean, relative = (
        call_of(link, effects, scale=s)(panel, design) for s in ("outcome", "counterfactual", "relative")
    )
    np.testing.assert_allclose(mean.values, effect.detail["counterfactual"], **TIGHT)
    np.testing.assert_allclose(mean.values + effect.values, effect.detail["observed"], **TIGHT)
    np.testing.assert_allclose(relative.values, effect.values / mean.values, **TIGHT)
    expected = (effect.influence - relative.values * mean.influence) / mean.values
    np.testing.assert_allclose(relative.influence, expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(relative.replicates, effect.replicates / mean.replicates, rtol=1e-8, atol=1e-9)


@few
@given(staggered_panels())
def test_the_relative_effect_does_not_know_the_unit_of_measure(panel: Panel) -> None:
    design = design_of("poisson", ())
    scaled = panel.with_varying(count=panel.values("count") * 1e6)
    one, other = (
        extended_two_way_effects(p, design, link="poisson", scale="relative") for p in (panel, scaled)
    )
    np.testing.assert_allclose(one.values, other.values, **TIGHT)
    np.testing.assert_allclose(one.std_errors, other.std_errors, rtol=1e-8)


# -- the contract ------------------------------------------------------------------------------------


@kinds
@few
@given(staggered_panels(), st.booleans())
def test_replicates_are_refits(
    link: str, effects: str, covariates: tuple[str, ...], panel: Panel, ahead: bool
) -> None:
    design = design_of(link, covariates, anticipation=int(ahead))
    contract.replicates_are_refits(call_of(link, effects), panel, design)


@kinds
@few
@given(staggered_panels(holes=False, one_cluster_cohort=True))
def test_replicates_of_a_cohort_in_one_cluster_are_missing(
    link: str, effects: str, covariates: tuple[str, ...], panel: Panel
) -> None:
    design = design_of(link, covariates)
    contract.replicates_are_refits(call_of(link, effects), panel, design)
    estimate = call_of(link, effects)(panel, design)
    alone = np.asarray(estimate.terms.get_level_values("cohort")) == 2015
    assert np.isnan(estimate.replicates[0, alone]).all()
    assert np.isnan(np.diag(cluster_jackknife(estimate).covariance)[alone]).all()


@few
@given(staggered_panels(never=False), st.sampled_from(KINDS))
def test_without_units_never_treated(panel: Panel, kind: tuple[str, str, tuple[str, ...]]) -> None:
    link, effects, covariates = kind
    design = design_of(link, covariates)
    estimate = call_of(link, effects)(panel, design)
    assert max(t for _, t in estimate.terms) == 2015
    assert estimate.detail["dropped"]["all_treated_cells"] > 0
    contract.replicates_are_refits(call_of(link, effects), panel, design)
    expected = brute(panel.select(periods=range(2011, 2016)), design, link, units=effects == "unit")
    np.testing.assert_allclose(estimate.values, list(expected.values()), rtol=1e-7, atol=1e-8)


@kinds
@settings(max_examples=5, deadline=None)
@given(staggered_panels())
def test_influence_is_the_derivative(
    link: str, effects: str, covariates: tuple[str, ...], panel: Panel
) -> None:
    design = design_of(link, covariates)
    for scale in ("outcome", "relative"):
        contract.influence_is_the_derivative(call_of(link, effects, scale=scale), panel, design, [0, 7, 12])


@kinds
@settings(max_examples=5, deadline=None)
@given(staggered_panels(), st.sampled_from(["not_yet", "never"]))
def test_the_rest_of_the_contract(
    link: str, effects: str, covariates: tuple[str, ...], panel: Panel, comparison: str
) -> None:
    design = design_of(link, covariates, comparison=comparison)
    call = call_of(link, effects)
    contract.unit_order_does_not_matter(call, panel, design)
    contract.periods_are_labels(call, panel, design)
    contract.weights_matter_up_to_a_factor(call, panel, design)
    contract.copies_are_weights(call, panel, design)
    contract.influence_gives_the_covariance(call(panel, design), rtol=1e-7)
    contract.caller_is_left_alone(call, panel, design)


@few
@given(staggered_panels(), st.sampled_from([k for k in KINDS if k[0] == "linear"]))
def test_linear_effects_follow_the_outcome(panel: Panel, kind: tuple[str, str, tuple[str, ...]]) -> None:
    link, effects, covariates = kind
    contract.outcome_is_equivariant(call_of(link, effects), panel, design_of(link, covariates), level=1e3)


@few
@given(staggered_panels())
def test_counts_follow_their_unit_of_measure(panel: Panel) -> None:
    call = call_of("poisson", "cohort")
    contract.outcome_is_equivariant(call, panel, design_of("poisson", ("x",)), level=0.0)


def test_saved_and_loaded(tmp_path: object) -> None:
    rng = np.random.default_rng(3)
    adoption = np.repeat([2.0, 3.0, np.inf], 4)
    panel = Panel(np.arange(12), np.arange(1, 5), {"y": rng.normal(size=(12, 4))}, {"adoption": adoption})
    contract.survives_a_file(extended_two_way_effects(panel, Design("y")), tmp_path)
    contract.survives_a_file(extended_two_way_effects(panel, Design("y", comparison="never")), tmp_path)
