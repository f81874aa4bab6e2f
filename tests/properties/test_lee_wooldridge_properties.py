"""What the rolling transformation keeps whatever the panel, and the identities it takes part in."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import contract
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

DESIGN = Design("y", cluster="region", weight="w", covariates=("x",))
TIGHT = {"rtol": 1e-9, "atol": 1e-9}
fast = settings(max_examples=12, deadline=None)


@st.composite
def panels(draw: st.DrawFn, *, holes: bool | None = None, one_date: bool = False, clusters: int = 6) -> Panel:
    """Units of two cohorts and never treated ones in every region."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    per, periods = draw(st.integers(6, 8)), draw(st.integers(6, 8))
    n = per * clusters
    years = np.arange(2015, 2015 + periods)
    place = np.arange(n) // clusters
    adoption = np.select([place == 0, place == 1], [2018.0, 2018.0 if one_date else 2019.0], np.inf)
    y = rng.normal(size=(n, periods)) * 2 + 5 * rng.normal(size=(n, 1)) + 0.3 * years
    if draw(st.booleans()) if holes is None else holes:
        lost = rng.random((n, periods)) < 0.1
        lost[:, [0, 1, 4]] = False
        y[lost] = np.nan
    return Panel(
        np.arange(n),
        years,
        {"y": y},
        {
            "adoption": adoption,
            "region": np.arange(n) % clusters,
            "x": rng.normal(size=n),
            "w": rng.uniform(0.5, 2, n) if draw(st.booleans()) else np.ones(n),
        },
    )


def call_of(**options: Any) -> contract.Call:
    def call(panel: Panel, design: Design) -> Estimate:
        return lee_wooldridge_effects(panel, design, level="unit", **options)

    return call


CALLS = (
    call_of(),
    call_of(transformation="detrend", adjustment="interacted"),
    call_of(by="cohort", errors="HC3"),
    call_of(by="cell", adjustment="interacted"),
)


@fast
@given(panels())
def test_replicates_are_refits(panel: Panel) -> None:
    for call in CALLS:
        contract.replicates_are_refits(call, panel, DESIGN)


def test_a_replicate_asks_for_as_many_units_on_each_side_as_the_fit() -> None:
    """Interacted: without one region a cohort has too few units seen for a slope of its own, so there is no such cell."""
    rng = np.random.default_rng(25)
    n, periods = 36, 8
    place, years = np.arange(n) // 6, np.arange(2015, 2015 + periods)
    y = rng.normal(size=(n, periods)) * 2 + 5 * rng.normal(size=(n, 1)) + 0.3 * years
    lost = rng.random((n, periods)) < 0.1
    lost[:, [0, 1, 4]] = False
    y[lost] = np.nan
    adoption = np.select([place == 0, place == 1], [2018.0, 2019.0], np.inf)
    fixed = {"adoption": adoption, "region": np.arange(n) % 6, "x": rng.normal(size=n), "w": np.ones(n)}
    panel = Panel(np.arange(n), years, {"y": y}, fixed)
    call = call_of(by="cell", adjustment="interacted")
    contract.replicates_are_refits(call, panel, DESIGN)
    found = call(panel, DESIGN).replicates
    assert found is not None
    assert np.isnan(found).any()


@fast
@given(panels())
def test_replicates_of_clusters_are_refits(panel: Panel) -> None:
    """Averaged to regions that adopt together, a replicate leaves a region out."""
    region = np.where(np.isfinite(panel.constant("adoption")), panel.constant("adoption") - 2000, 0.0)
    region = region * 100 + panel.constant("region")
    panel = panel.with_fixed(region=region)
    for by in ("overall", "cohort", "cell"):

        def call(p: Panel, d: Design, by: Any = by) -> Estimate:
            return lee_wooldridge_effects(p, d, by=by)

        contract.replicates_are_refits(call, panel, DESIGN)
        a, b = (
            call(panel, DESIGN),
            call(panel.select(np.random.default_rng(0).permutation(len(panel.units))), DESIGN),
        )
        np.testing.assert_allclose(a.values, b.values, **TIGHT)
        np.testing.assert_allclose(a.covariance, b.covariance, **TIGHT)


@fast
@given(panels())
def test_influence_is_the_derivative(panel: Panel) -> None:
    for call in CALLS:
        contract.influence_is_the_derivative(call, panel, DESIGN, [0, 5, 7, 13, 20], rtol=1e-4)


@fast
@given(panels())
def test_contract_of_invariances(panel: Panel) -> None:
    for call in CALLS:
        contract.unit_order_does_not_matter(call, panel, DESIGN)
        contract.periods_are_labels(call, panel, DESIGN)
        contract.outcome_is_equivariant(call, panel, DESIGN)
        contract.weights_matter_up_to_a_factor(call, panel, DESIGN)
        contract.copies_are_weights(call, panel, DESIGN)
        contract.caller_is_left_alone(call, panel, DESIGN)
        with TemporaryDirectory() as folder:
            contract.survives_a_file(call(panel, DESIGN), Path(folder))


@fast
@given(panels(one_date=True, holes=False))
def test_one_date_is_two_way_fixed_effects(panel: Panel) -> None:
    """TWFE = collapsed regression = demeaning, to rounding, with weights."""
    design = Design("y", weight="w")
    rolling = lee_wooldridge_effects(panel, design)
    np.testing.assert_allclose(rolling.values, two_way_effects(panel, design).values, **TIGHT)
    y, d, w = panel.values("y"), np.isfinite(panel.constant("adoption")), panel.constant("w")
    after = panel.periods >= 2018
    step = y[:, after].mean(axis=1) - y[:, ~after].mean(axis=1)
    by_hand = np.average(step[d], weights=w[d]) - np.average(step[~d], weights=w[~d])
    np.testing.assert_allclose(rolling.values, [by_hand], **TIGHT)


@fast
@given(panels(holes=False))
def test_averages_agree(panel: Panel) -> None:
    """Never treated comparisons: a cohort's effect is the mean of its cells, the overall one that of cohorts by share."""
    design = Design("y", weight="w", comparison="never")
    for kind in ("demean", "detrend"):
        cells = lee_wooldridge_effects(panel, design, by="cell", transformation=kind)
        cohorts = lee_wooldridge_effects(panel, design, by="cohort", transformation=kind)
        whole = lee_wooldridge_effects(panel, design, transformation=kind)
        of = np.asarray(cells.terms.get_level_values("cohort"))
        for k, g in enumerate(cohorts.terms.get_level_values("cohort")):
            np.testing.assert_allclose(cells.values[of == g].mean(), cohorts.values[k], **TIGHT)
        shares = np.array([share for _, share in whole.detail["shares"]])
        np.testing.assert_allclose(shares @ cohorts.values, whole.values[0], **TIGHT)


@fast
@given(panels(), st.floats(-3, 3), st.floats(-3, 3))
def test_a_line_of_each_unit_changes_nothing_once_detrended(panel: Panel, level: float, slope: float) -> None:
    """Whatever is linear in time within a unit is removed; a level is by demeaning already."""
    rng = np.random.default_rng(0)
    n = len(panel.units)
    line = level * rng.normal(size=(n, 1)) + slope * rng.normal(size=(n, 1)) * (panel.periods - 2015)
    moved = panel.with_varying(y=panel.values("y") + line)
    call = call_of(transformation="detrend")
    np.testing.assert_allclose(call(panel, DESIGN).values, call(moved, DESIGN).values, rtol=1e-7, atol=1e-7)
    lifted = panel.with_varying(y=panel.values("y") + line[:, :1])
    np.testing.assert_allclose(
        CALLS[0](panel, DESIGN).values, CALLS[0](lifted, DESIGN).values, rtol=1e-8, atol=1e-8
    )


@fast
@given(panels())
def test_the_joint_covariance_is_positive(panel: Panel) -> None:
    for call in CALLS:
        estimate = call(panel, DESIGN)
        values = np.linalg.eigvalsh(estimate.covariance)
        assert values[0] > -1e-10 * values[-1]
