"""What the interaction-weighted event study promises on random small panels.

The oracle is dense least squares with every unit, period and (cohort, event time) dummy, averaged by hand.
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

from evalkit.aggregate import event_study
from evalkit.design import Design
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.two_way import two_way_event_study
from evalkit.inference import bias_reduced, cluster_jackknife, cluster_robust
from evalkit.panel import Panel

TIGHT = {"rtol": 1e-9, "atol": 1e-9}
DESIGN = Design("y", covariates=("z",), cluster="region", weight="w")
few = settings(max_examples=12, deadline=None)
every = pytest.mark.parametrize("by", ["event_time", "overall", "cohort", "cell"])


def call_of(by: str, **options: object) -> contract.Call:
    return partial(sun_abraham_effects, by=by, **options)  # type: ignore[arg-type]


def brute(
    panel: Panel, by: str, reference: tuple[int, ...] = (-1,), window: tuple[int, int] | None = None
) -> dict[object, float]:
    """Every dummy written out; means over cells with the sums of weights of their rows."""
    y, g, years = panel.values("y"), panel.constant("adoption"), panel.periods
    if np.isfinite(g).all():
        last = g.max()
        keep = years < last
        y, years, g = y[:, keep], years[keep], np.where(g == last, np.inf, g)
    i, t = np.nonzero(~np.isnan(y))
    clock = years[t] - g[i]
    clock = np.where(np.isfinite(clock), clock, reference[0])
    if window is not None:
        clock = np.clip(clock, *window)
    never = np.isinf(g[i])
    cells = sorted(
        {(g[a], e) for a, e, n in zip(i, clock, never, strict=True) if not n and e not in reference}
    )
    d = np.stack([(g[i] == a) & (clock == e) & ~never for a, e in cells], axis=1).astype(float)
    x = np.hstack(
        [d, panel.values("z")[:, : y.shape[1]][i, t][:, None], np.eye(len(y))[i], np.eye(len(years))[t]]
    )
    w = panel.constant("w")[i]
    beta = np.linalg.lstsq(x * np.sqrt(w)[:, None], y[i, t] * np.sqrt(w), rcond=1e-11)[0][: len(cells)]
    mass = w @ d
    cohort, event = np.array(cells).T
    post = event >= 0
    keys: dict[object, np.ndarray] = {
        "event_time": {e: event == e for e in np.unique(event)},
        "overall": {"overall": post},
        "cohort": {a: (cohort == a) & post for a in np.unique(cohort[post])},
        "cell": {cell: np.arange(len(cells)) == k for k, cell in enumerate(cells)},
    }[by]  # type: ignore[assignment]
    return {key: float(np.average(beta[m], weights=mass[m])) for key, m in keys.items()}


@every
@few
@given(staggered_panels(), st.sampled_from([None, (-2, 2)]), st.sampled_from([(-1,), (-2, -1)]))
def test_is_the_regression_with_every_dummy(
    by: str, panel: Panel, window: tuple[int, int] | None, reference: tuple[int, ...]
) -> None:
    estimate = sun_abraham_effects(panel, DESIGN, by=by, window=window, reference=reference)  # type: ignore[arg-type]
    expected = brute(panel, by, reference, window)
    assert [t[0] if len(t) == 1 else t for t in estimate.terms] == list(expected)
    np.testing.assert_allclose(estimate.values, list(expected.values()), rtol=1e-9, atol=1e-9)


@few
@given(staggered_panels(never=False), st.sampled_from(["event_time", "overall"]))
def test_the_last_cohort_is_the_comparison_where_no_unit_is_never_treated(panel: Panel, by: str) -> None:
    estimate = call_of(by)(panel, DESIGN)
    np.testing.assert_allclose(estimate.values, list(brute(panel, by).values()), rtol=1e-9, atol=1e-9)
    assert estimate.detail["control"] == "2016"


@few
@given(staggered_panels(holes=False))
def test_is_a_view_of_group_time_effects(panel: Panel) -> None:
    """No covariates, no missing cells: the group-time effects with units never treated and a universal base."""
    design = replace(DESIGN, covariates=(), comparison="never", base="universal")
    cells = sun_abraham_effects(panel, design, by="cell")
    group_time = group_time_effects(panel, design)
    at = [list(group_time.terms).index((g, g + e)) for g, e in cells.terms]
    np.testing.assert_allclose(cells.values, group_time.values[at], **TIGHT)
    np.testing.assert_allclose(cells.influence, group_time.influence[:, at], rtol=1e-9, atol=1e-9)
    # with the shares as draws, the average is that of `evalkit.aggregate`, influence and replicates included
    ours = sun_abraham_effects(panel, design, shares="sampled")
    other = event_study(group_time)
    kept = [list(other.terms).index(term) for term in ours.terms]
    np.testing.assert_allclose(ours.values, other.values[kept], **TIGHT)
    np.testing.assert_allclose(ours.influence, other.influence[:, kept], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.replicates, other.replicates[:, kept], **TIGHT)


@few
@given(staggered_panels(holes=False))
def test_is_the_extended_regression_with_leads(panel: Panel) -> None:
    design = replace(DESIGN, covariates=(), comparison="never")
    cells = sun_abraham_effects(panel, design, by="cell")
    extended = extended_two_way_effects(panel, design)
    at = [list(extended.terms).index((g, g + e)) for g, e in cells.terms]
    np.testing.assert_allclose(cells.values, extended.values[at], **TIGHT)
    np.testing.assert_allclose(cells.covariance, extended.covariance[np.ix_(at, at)], rtol=1e-8, atol=1e-11)


@few
@given(staggered_panels())
def test_with_one_cohort_it_is_the_plain_event_study_and_so_is_its_inference(panel: Panel) -> None:
    """What the fit keeps for CR2, CV3, iid and two-way errors stays right when terms are means of coefficients."""
    one = panel.with_fixed(adoption=np.where(np.isfinite(panel.constant("adoption")), 2014.0, np.inf))
    ours, plain = sun_abraham_effects(one, DESIGN), two_way_event_study(one, DESIGN)
    np.testing.assert_allclose(ours.values, plain.values, **TIGHT)
    for kind in ("CV1", "iid", "CV1-period"):
        a, b = (cluster_robust(e, kind) for e in (ours, plain))  # type: ignore[arg-type]
        np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-8, atol=1e-11)


@few
@given(staggered_panels())
def test_inference_of_means_is_that_of_the_cells_combined(panel: Panel) -> None:
    """CR2 and its degrees of freedom, of a mean over cohorts: the moments in other coordinates are the same fit."""
    cells, means = sun_abraham_effects(panel, DESIGN, by="cell"), sun_abraham_effects(panel, DESIGN)
    weights = np.zeros((len(means), len(cells)))
    for row, (e,) in enumerate(means.terms):
        at = np.asarray(cells.terms.get_level_values("event_time")) == e
        weights[row, at] = cells.detail["cohort_weights"][at] / cells.detail["cohort_weights"][at].sum()
    working = "inverse"
    a, b = bias_reduced(means, working), bias_reduced(cells, working)
    np.testing.assert_allclose(a.covariance, weights @ b.covariance @ weights.T, rtol=1e-7, atol=1e-10)
    iid = [cluster_robust(e, "iid").covariance for e in (means, cells)]
    np.testing.assert_allclose(iid[0], weights @ iid[1] @ weights.T, rtol=1e-8, atol=1e-12)


@every
@few
@given(staggered_panels(), st.sampled_from([None, (-2, 2)]))
def test_replicates_are_refits(by: str, panel: Panel, window: tuple[int, int] | None) -> None:
    contract.replicates_are_refits(call_of(by, window=window), panel, DESIGN)


@few
@given(
    staggered_panels(holes=False, one_cluster_cohort=True), st.sampled_from(["event_time", "overall", "cell"])
)
def test_a_cohort_in_one_cluster_leaves_the_mean_of_the_others(panel: Panel, by: str) -> None:
    contract.replicates_are_refits(call_of(by), panel, DESIGN)
    cells = sun_abraham_effects(panel, DESIGN, by="cell")
    alone = np.asarray(cells.terms.get_level_values("cohort")) == 2015
    assert np.isnan(cells.replicates[0, alone]).all()
    assert np.isnan(np.diag(cluster_jackknife(cells).covariance)[alone]).all()


@every
@settings(max_examples=5, deadline=None)
@given(staggered_panels())
def test_influence_with_sampled_shares_is_the_derivative(by: str, panel: Panel) -> None:
    contract.influence_is_the_derivative(call_of(by, shares="sampled"), panel, DESIGN, [0, 7, 12])


@settings(max_examples=5, deadline=None)
@given(staggered_panels())
def test_influence_of_the_cells_is_the_derivative(panel: Panel) -> None:
    """A cell has no share: fixed or sampled is the same."""
    contract.influence_is_the_derivative(call_of("cell"), panel, DESIGN, [0, 7, 12])


@every
@settings(max_examples=5, deadline=None)
@given(staggered_panels(), st.sampled_from(["fixed", "sampled"]))
def test_the_rest_of_the_contract(by: str, panel: Panel, shares: str) -> None:
    call = call_of(by, shares=shares)
    contract.unit_order_does_not_matter(call, panel, DESIGN)
    if by in ("event_time", "overall"):
        contract.periods_are_labels(call, panel, DESIGN)
    contract.weights_matter_up_to_a_factor(call, panel, DESIGN)
    contract.copies_are_weights(call, panel, DESIGN)
    contract.outcome_is_equivariant(call, panel, DESIGN)
    contract.influence_gives_the_covariance(call(panel, DESIGN), rtol=1e-7)
    contract.caller_is_left_alone(call, panel, DESIGN)


def test_saved_and_loaded(tmp_path: object) -> None:
    rng = np.random.default_rng(3)
    adoption = np.repeat([2.0, 3.0, np.inf], 4)
    panel = Panel(np.arange(12), np.arange(1, 5), {"y": rng.normal(size=(12, 4))}, {"adoption": adoption})
    contract.survives_a_file(sun_abraham_effects(panel, Design("y")), tmp_path)
