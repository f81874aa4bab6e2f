"""What weighted stacks promise on random small panels.

The oracle really stacks: rows are copied once for every stack, the corrective weights are made, and the regression is
run by dense least squares, with the cluster sandwich of its scores summed by unit.
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
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.stacked import stacked_effects
from evalkit.panel import Panel

TIGHT = {"rtol": 1e-9, "atol": 1e-9}
DESIGN = Design("y", cluster="region", weight="w")
WINDOW = (-2, 1)
few = settings(max_examples=15, deadline=None)
options = pytest.mark.parametrize(
    ("by", "baseline"), [("event_time", "reference"), ("event_time", "mean"), ("overall", "reference")]
)
weightings = pytest.mark.parametrize("weighting", ["treated", "variance"])


def call_of(**options: object) -> contract.Call:
    return partial(stacked_effects, window=WINDOW, **options)  # type: ignore[arg-type]


class Stacked:
    """Rows of the stacked data: outcome, weight, treated, event time, stack, unit."""

    def __init__(self, panel: Panel, comparison: str, weighted: bool = True) -> None:
        y, g, w = (
            panel.values("y"),
            panel.constant("adoption"),
            panel.constant("w") if weighted else np.ones(len(panel.units)),
        )
        rows = []
        for a in np.unique(g[np.isfinite(g)]):
            columns = [
                int(c)
                for c in np.flatnonzero((panel.periods >= a + WINDOW[0]) & (panel.periods <= a + WINDOW[1]))
            ]
            if len(columns) < WINDOW[1] - WINDOW[0] + 1:
                continue
            clean = (g > a + WINDOW[1]) if comparison == "not_yet" else np.isinf(g)
            for i in np.flatnonzero((g == a) | clean):
                if not np.isnan(y[i, columns]).any():
                    rows += [(y[i, c], w[i], g[i] == a, panel.periods[c] - a, a, i) for c in columns]
        self.y, self.w, d, self.e, self.a, self.i = (np.array(column) for column in zip(*rows, strict=True))
        self.d = d.astype(float)
        total = self.w[self.d == 1].sum()
        q = np.ones(len(self.y))
        for a in np.unique(self.a):
            own = self.a == a
            treated, clean_mass = self.w[own & (self.d == 1)].sum(), self.w[own & (self.d == 0)].sum()
            q[own & (self.d == 0)] = treated / total / clean_mass * total
        self.q = q


def fitted(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, k: int, cluster: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    root = np.sqrt(w)[:, None]
    bread = np.linalg.pinv((x * root).T @ (x * root), rcond=1e-11)
    beta = bread @ (x.T @ (w * y))
    scores = x * (w * (y - x @ beta))[:, None]
    sums = np.stack([scores[cluster == c].sum(axis=0) for c in np.unique(cluster)])
    return beta[:k], (bread @ sums.T @ sums @ bread)[:k, :k]


@few
@given(staggered_panels(), st.sampled_from(["not_yet", "never"]))
def test_is_the_stacked_weighted_regression(panel: Panel, comparison: str) -> None:
    estimate = stacked_effects(panel, replace(DESIGN, comparison=comparison), window=WINDOW)
    s = Stacked(panel, comparison)
    times = [-2, 0, 1]
    x = np.column_stack(
        [*((s.d == 1) & (s.e == e) for e in times), s.d, *(s.e == e for e in range(WINDOW[0], WINDOW[1] + 1))]
    ).astype(float)
    region = panel.constant("region")[s.i.astype(int)]
    beta, meat = fitted(x, s.y, s.w * s.q, 3, region)
    np.testing.assert_allclose(estimate.values, beta, rtol=1e-8, atol=1e-8)
    n, k, c = len(s.y), 8, 5
    np.testing.assert_allclose(
        estimate.covariance, meat * c / (c - 1) * (n - 1) / (n - k), rtol=1e-7, atol=1e-11
    )


@few
@given(staggered_panels(), st.sampled_from(["not_yet", "never"]))
def test_the_classic_stack_is_the_regression_with_effects_of_unit_and_period_by_stack(
    panel: Panel, comparison: str
) -> None:
    estimate = stacked_effects(
        panel, replace(DESIGN, comparison=comparison), window=WINDOW, weighting="variance"
    )
    s = Stacked(panel, comparison)
    unit = np.unique(np.stack([s.a, s.i]), axis=1, return_inverse=True)[1].ravel()
    time = np.unique(np.stack([s.a, s.e]), axis=1, return_inverse=True)[1].ravel()
    x = np.column_stack(
        [
            *(((s.d == 1) & (s.e == e)) for e in (-2, 0, 1)),
            np.eye(unit.max() + 1)[unit],
            np.eye(time.max() + 1)[time],
        ]
    ).astype(float)
    beta, meat = fitted(x, s.y, s.w, 3, panel.constant("region")[s.i.astype(int)])
    np.testing.assert_allclose(estimate.values, beta, rtol=1e-8, atol=1e-8)
    n, k = len(s.y), 3 + time.max() + 1
    np.testing.assert_allclose(estimate.covariance, meat * 5 / 4 * (n - 1) / (n - k), rtol=1e-7, atol=1e-11)


@few
@given(staggered_panels(holes=False))
def test_is_the_trimmed_mean_of_group_time_effects(panel: Panel) -> None:
    """Σ_a share_a ATT(a, a+e) over cohorts with a full window, each with the stack's own clean comparison units."""
    ours = stacked_effects(panel, DESIGN, window=WINDOW)
    g, w = panel.constant("adoption"), panel.constant("w")
    parts, mass = [], []
    for a in np.unique(g[np.isfinite(g)]):
        if a + WINDOW[0] < panel.periods[0] or a + WINDOW[1] > panel.periods[-1]:
            continue
        keep = (g == a) | (g > a + WINDOW[1])
        only = panel.select(keep).with_fixed(adoption=np.where(g[keep] == a, a, np.inf))
        effects = group_time_effects(only, replace(DESIGN, comparison="never"))
        at = [list(effects.terms).index((int(a), int(a + e))) for e in (-2, 0, 1)]
        parts.append(effects.values[at])
        mass.append(w[g == a].sum())
    np.testing.assert_allclose(ours.values, np.average(parts, axis=0, weights=mass), **TIGHT)
    np.testing.assert_allclose(ours.detail["stack_effects"], parts, **TIGHT)


@few
@given(staggered_panels())
def test_overall_is_the_mean_of_the_effects_after(panel: Panel) -> None:
    times, overall = call_of()(panel, DESIGN), call_of(by="overall")(panel, DESIGN)
    after = np.asarray(times.terms.get_level_values("event_time")) >= 0
    np.testing.assert_allclose(overall.values, [times.values[after].mean()], **TIGHT)
    np.testing.assert_allclose(
        overall.covariance, [[times.covariance[np.ix_(after, after)].mean()]], rtol=1e-8
    )


@options
@weightings
@few
@given(staggered_panels())
def test_replicates_are_refits(by: str, baseline: str, weighting: str, panel: Panel) -> None:
    contract.replicates_are_refits(call_of(by=by, baseline=baseline, weighting=weighting), panel, DESIGN)


@few
@given(staggered_panels(holes=False, one_cluster_cohort=True), st.sampled_from(["treated", "variance"]))
def test_a_stack_that_lives_in_one_cluster_leaves_with_it(panel: Panel, weighting: str) -> None:
    contract.replicates_are_refits(call_of(weighting=weighting), panel, DESIGN)


@options
@weightings
@settings(max_examples=5, deadline=None)
@given(staggered_panels())
def test_influence_with_sampled_shares_is_the_derivative(
    by: str, baseline: str, weighting: str, panel: Panel
) -> None:
    call = call_of(by=by, baseline=baseline, weighting=weighting, shares="sampled")
    contract.influence_is_the_derivative(call, panel, DESIGN, [0, 7, 12])


@weightings
@few
@given(staggered_panels())
def test_influence_with_fixed_shares_is_that_of_the_stacks_combined(weighting: str, panel: Panel) -> None:
    """One stack at a time, sampled or fixed is the same; shares as constants combine them."""
    whole = call_of(weighting=weighting, shares="fixed")(panel, DESIGN)
    place = {unit: i for i, unit in enumerate(whole.units)}
    expected = np.zeros(whole.influence.shape)
    g = panel.constant("adoption")
    for stack, share in zip(whole.detail["stacks"], whole.detail["stack_weights"], strict=True):
        keep = (g == stack["cohort"]) | (g > stack["last"])
        alone = np.where(g[keep] == stack["cohort"], g[keep], np.inf)
        part = call_of(shares="sampled")(panel.select(keep).with_fixed(adoption=alone), DESIGN)
        at = [place[unit] for unit in part.units]
        expected[at] += share * part.influence / part.n_units * whole.n_units
    np.testing.assert_allclose(whole.influence, expected, rtol=1e-8, atol=1e-9)


@options
@weightings
@settings(max_examples=5, deadline=None)
@given(staggered_panels(), st.sampled_from(["regression", "fixed", "sampled"]))
def test_the_rest_of_the_contract(by: str, baseline: str, weighting: str, panel: Panel, shares: str) -> None:
    call = call_of(by=by, baseline=baseline, weighting=weighting, shares=shares)
    contract.unit_order_does_not_matter(call, panel, DESIGN)
    contract.periods_are_labels(call, panel, DESIGN)
    contract.weights_matter_up_to_a_factor(call, panel, DESIGN)
    contract.copies_are_weights(call, panel, DESIGN)
    contract.outcome_is_equivariant(call, panel, DESIGN)
    contract.influence_gives_the_covariance(call(panel, DESIGN))
    contract.caller_is_left_alone(call, panel, DESIGN)


def test_saved_and_loaded(tmp_path: object) -> None:
    rng = np.random.default_rng(3)
    adoption = np.repeat([2.0, 3.0, np.inf], 4)
    panel = Panel(np.arange(12), np.arange(1, 5), {"y": rng.normal(size=(12, 4))}, {"adoption": adoption})
    contract.survives_a_file(stacked_effects(panel, Design("y"), window=(-1, 1)), tmp_path)
