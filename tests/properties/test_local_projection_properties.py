"""What local projections promise on random panels, and the identities that tie them to group-time effects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.aggregate import event_study
from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.local_projection import local_projection_effects
from evalkit.panel import Panel

TIGHT = {"rtol": 1e-9, "atol": 1e-10}
DESIGN = Design("y", cluster="region", weight="w")
fast = settings(max_examples=12, deadline=None)
WEIGHTINGS = ["equal", "variance", "reweighted"]


@st.composite
def panels(draw: st.DrawFn, *, holes: bool | None = None) -> Panel:
    """Small panels with up to three cohorts, five clusters, fixed weights and covariates of both kinds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    per, periods = draw(st.integers(4, 7)), draw(st.integers(5, 7))
    n = 5 * per
    years = np.arange(2015, 2015 + periods)
    adoption = rng.choice([2017.0, 2018.0, 2019.0, np.inf], n)
    adoption[:10] = np.repeat([2017.0, np.inf], 5)
    y = 3 * rng.normal(size=(n, periods)) + (years >= adoption[:, None])
    if draw(st.booleans()) if holes is None else holes:
        y[rng.random(y.shape) < 0.1] = np.nan
    return Panel(
        np.arange(n),
        years,
        {"y": y, "z": rng.normal(size=y.shape)},
        {
            "adoption": adoption,
            "region": np.arange(n) % 5,
            "w": rng.uniform(0.4, 2.5, n),
            "x": rng.normal(size=n),
        },
    )


OPTIONS: list[dict[str, Any]] = [
    {"weighting": "equal"},
    {"weighting": "variance"},
    {"weighting": "reweighted"},
    {"weighting": "equal", "base_window": "all"},
    {"weighting": "variance", "base_window": 2},
    {"weighting": "equal", "pooled": (0, 1)},
    {"weighting": "equal", "lagged_changes": 1},
]


def calls(options: dict[str, Any]) -> contract.Call:
    def call(panel: Panel, design: Design) -> Estimate:
        return local_projection_effects(panel, design, **options)

    return call


@pytest.mark.parametrize("covariates", [(), ("x",), ("x", "z")])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_contract(options: dict[str, Any], covariates: tuple[str, ...]) -> None:
    design = replace(DESIGN, covariates=covariates)
    call = calls(options)

    @settings(max_examples=5, deadline=None)
    @given(panels())
    def holds(panel: Panel) -> None:
        contract.replicates_are_refits(call, panel, design)
        contract.unit_order_does_not_matter(call, panel, design)
        contract.periods_are_labels(call, panel, design)
        contract.outcome_is_equivariant(call, panel, design)
        contract.weights_matter_up_to_a_factor(call, panel, design)
        contract.copies_are_weights(call, panel, design)
        contract.caller_is_left_alone(call, panel, design)
        if options["weighting"] != "reweighted":  # there the weights of the events are given, not estimated
            contract.influence_is_the_derivative(call, panel, design, range(0, 20, 3))
        if options["weighting"] == "equal":
            contract.influence_gives_the_covariance(call(panel, design))

    holds()


@fast
@given(panels(), st.sampled_from(WEIGHTINGS))
def test_covariance_is_the_influence_with_the_factor_of_each_regression(panel: Panel, weighting: Any) -> None:
    estimate = local_projection_effects(panel, DESIGN, weighting=weighting)
    sums = np.zeros((5, len(estimate)))
    np.add.at(sums, estimate.cluster, estimate.influence)
    factor = np.sqrt(estimate.detail["small_sample"])
    expected = sums.T @ sums / estimate.n_units**2 * factor[:, None] * factor[None, :]
    known = ~np.isnan(estimate.covariance)  # a term with one cluster alone on a side has no standard error
    np.testing.assert_allclose(estimate.covariance[known], expected[known], rtol=1e-9, atol=1e-12)


@fast
@given(panels(holes=False), st.sampled_from(["never", "not_yet"]), st.integers(0, 1))
def test_equal_weights_are_the_event_study_of_group_time_effects(
    panel: Panel, comparison: Any, anticipation: int
) -> None:
    """Values, influence and replicates, weights and anticipation included."""
    design = replace(DESIGN, comparison=comparison, anticipation=anticipation)
    theirs = event_study(group_time_effects(panel, design, replicates=True))
    ours = local_projection_effects(panel, design)
    at = [list(theirs.terms).index(term) for term in ours.terms]
    np.testing.assert_allclose(ours.values, theirs.values[at], **TIGHT)
    np.testing.assert_allclose(ours.influence, theirs.influence[:, at], rtol=1e-9, atol=1e-9)
    both = ~np.isnan(ours.covariance) & ~np.isnan(theirs.covariance[np.ix_(at, at)])
    covariance = theirs.covariance[np.ix_(at, at)][both]
    np.testing.assert_allclose(ours.covariance[both], covariance, rtol=1e-9, atol=1e-10)
    # without a whole cohort the average of cells is not defined there; here it is over those that are left
    known = np.isfinite(theirs.replicates[:, at])
    np.testing.assert_allclose(ours.replicates[known], theirs.replicates[:, at][known], rtol=1e-9, atol=1e-9)


def stacked(panel: Panel, h: int) -> tuple[np.ndarray, ...]:
    """Rows of one horizon: change, D, period t, weight, cluster, x."""
    y, g = panel.values("y"), panel.constant("adoption")
    rows = []
    for i in range(panel.shape[0]):
        for t, year in enumerate(panel.periods):
            base, target = t - 1, t + h
            if base < 0 or not 0 <= target < panel.shape[1]:
                continue
            change = y[i, target] - y[i, base]
            on, clean = g[i] == year, g[i] > year + max(h, 0)
            if np.isfinite(change) and (on or clean):
                at = (panel.constant(name)[i] for name in ("w", "region", "x"))
                rows.append((change, float(on), t, *at))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


@fast
@given(panels(), st.sampled_from([-2, 0, 1]), st.booleans())
def test_the_plain_regression_is_least_squares_with_every_dummy(panel: Panel, h: int, adjusted: bool) -> None:
    design = replace(DESIGN, covariates=("x",) if adjusted else ())
    try:
        estimate = local_projection_effects(panel, design, weighting="variance", horizons=(h, h))
    except EvalkitError:
        return
    change, on, t, w, cluster, x = stacked(panel, h)
    clean = np.isin(t, t[on == 0])  # a period with treated units only has nothing to say
    change, on, t, w, cluster, x = (v[clean] for v in (change, on, t, w, cluster, x))
    dummies = (t[:, None] == np.unique(t)[None, :]).astype(float)
    z = np.column_stack([on, *([x] if adjusted else []), dummies])
    gram = (z * w[:, None]).T @ z
    theta = np.linalg.solve(gram, (z * w[:, None]).T @ change)
    assert estimate.values[0] == pytest.approx(theta[0], rel=1e-8, abs=1e-9)
    scores = z * (w * (change - z @ theta))[:, None]
    sums = np.array([scores[cluster == c].sum(axis=0) for c in np.unique(cluster)])
    bread = np.linalg.inv(gram)
    groups = len(sums)
    factor = groups / (groups - 1) * (len(z) - 1) / max(len(z) - z.shape[1], 1)
    expected = np.sqrt(factor * (bread @ sums.T @ sums @ bread)[0, 0])
    assert estimate.std_errors[0] == pytest.approx(expected, rel=1e-7, abs=1e-10)


@fast
@given(panels(holes=False), st.sampled_from(WEIGHTINGS))
def test_cell_sums_equal_rows(panel: Panel, weighting: Any) -> None:
    """A unit that is never comparable sends the same data down the row-wise path."""
    y = np.vstack([panel.values("y"), np.full((1, panel.shape[1]), np.nan)])
    y[-1, 0] = 1.0  # seen once: in no comparison
    longer = Panel(
        np.arange(panel.shape[0] + 1),
        panel.periods,
        {"y": y},
        {name: np.append(panel.constant(name), panel.constant(name)[0]) for name in panel.fixed},
    )
    sums = local_projection_effects(panel, DESIGN, weighting=weighting)
    rows = local_projection_effects(longer, DESIGN, weighting=weighting)
    np.testing.assert_allclose(rows.values, sums.values, **TIGHT)
    np.testing.assert_allclose(rows.std_errors, sums.std_errors, **TIGHT)
    np.testing.assert_allclose(rows.replicates, sums.replicates, **TIGHT)
    scale = longer.shape[0] / panel.shape[0]
    np.testing.assert_allclose(rows.influence[:-1], sums.influence * scale, rtol=1e-8, atol=1e-9)


def test_it_survives_a_file(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    panel = Panel(
        np.arange(20),
        np.arange(1, 6),
        {"y": rng.normal(size=(20, 5))},
        {"adoption": np.repeat([3.0, np.inf], 10), "x": rng.normal(size=20)},
    )
    contract.survives_a_file(local_projection_effects(panel, Design("y", covariates=("x",))), tmp_path)
