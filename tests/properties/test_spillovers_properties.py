"""What ring effects keep whatever the panel: the contract of all methods, and the identities of their algebra.

The oracle for numbers is tests/reference/test_spillovers.py; here the panels are drawn, balanced or not, with weights or not.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import contract
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.appraisal.net_effect import net_effect
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.imputation import imputation_effects
from evalkit.estimators.spillovers import border_class_effects, spillover_effects
from evalkit.estimators.two_stage import two_stage_effects
from evalkit.panel import Panel
from evalkit.zones import Zone, Zones

DESIGN = Design("y", cluster="region", weight="w", covariates=("x",))
TIGHT = {"rtol": 1e-9, "atol": 1e-9}
fast = settings(max_examples=12, deadline=None)


@st.composite
def panels(draw: st.DrawFn, *, holes: bool | None = None, clusters: int = 6) -> Panel:
    """Regions of several units, two cohorts, two rings that a unit enters with the nearest cohort; far units in all."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    per, periods = draw(st.integers(5, 7)), draw(st.integers(5, 7))
    n = per * clusters
    years = np.arange(2015, 2015 + periods)
    place = np.arange(n) // clusters  # 0 treated, 1 and 2 near, the rest far, in every region
    adoption = np.where(place == 0, rng.choice([2017.0, 2018.0], n), np.inf)
    adoption[:4] = [2017.0, 2017.0, 2018.0, 2018.0]
    start = np.where((place == 1) | (place == 2), rng.choice([2017, 2018], n), 9999)
    start[clusters : clusters + 4] = start[2 * clusters : 2 * clusters + 4] = 2017
    on = years[None, :] >= start[:, None]
    y = rng.normal(size=(n, periods)) * 2 + 5 * rng.normal(size=(n, 1)) + (years >= adoption[:, None])
    if draw(st.booleans()) if holes is None else holes:
        lost = rng.random((n, periods)) < 0.1
        lost[:, :2] = False
        lost[-2 * clusters :] = False
        y[lost] = np.nan
    return Panel(
        np.arange(n),
        years,
        {
            "y": y,
            "x": rng.normal(size=(n, periods)),
            "near": (on & (place == 1)[:, None]).astype(float),
            "mid": (on & (place == 2)[:, None]).astype(float),
        },
        {
            "adoption": adoption,
            "region": np.arange(n) % clusters,
            "w": rng.uniform(0.5, 2, n) if draw(st.booleans()) else np.ones(n),
        },
    )


def two_stage(panel: Panel, design: Design, **options: Any) -> Estimate:
    return spillover_effects(panel, design, rings=("near", "mid"), **options)


def by_event_time(panel: Panel, design: Design) -> Estimate:
    return two_stage(panel, design, by="event_time", leads=True)


def static(panel: Panel, design: Design) -> Estimate:
    return two_stage(panel, design, method="static")


CALLS = (two_stage, by_event_time, static)


@fast
@given(panels())
def test_replicates_are_refits(panel: Panel) -> None:
    for call in CALLS:
        contract.replicates_are_refits(call, panel, DESIGN)


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
        contract.caller_is_left_alone(call, panel, DESIGN)


@fast
@given(panels())
def test_copies_are_weights(panel: Panel) -> None:
    for call in CALLS:
        contract.copies_are_weights(call, panel, DESIGN)


@fast
@given(panels())
def test_influence_gives_the_covariance_and_a_file_keeps_all(panel: Panel) -> None:
    for call in CALLS:
        estimate = call(panel, DESIGN)
        contract.influence_gives_the_covariance(estimate)
        with TemporaryDirectory() as folder:
            contract.survives_a_file(estimate, Path(folder))


@fast
@given(panels())
def test_overall_is_the_mean_over_event_times(panel: Panel) -> None:
    """Stage two is saturated, so that the overall effects are the event times' weighted by their mass."""
    fine, coarse = two_stage(panel, DESIGN, by="event_time"), two_stage(panel, DESIGN)
    for k, (kind, ring) in enumerate(coarse.terms):
        at = np.array([term[:2] == (kind, ring) for term in fine.terms])
        mass = fine.detail["mass"][at]
        assert fine.detail["cells"][at].sum() == coarse.detail["cells"][k]
        np.testing.assert_allclose(mass @ fine.values[at] / mass.sum(), coarse.values[k], **TIGHT)
    np.testing.assert_allclose(
        net_effect(fine, fine.detail["mass"]).values,
        net_effect(coarse, coarse.detail["mass"]).values,
        **TIGHT,
    )


@fast
@given(panels(holes=False))
def test_a_ring_split_in_two_keeps_the_direct_effect(panel: Panel) -> None:
    """The first stage is the same, so that only the rings' own cells tell their effects."""
    merged = panel.with_varying(both=panel.values("near") + panel.values("mid"))
    one = spillover_effects(merged, DESIGN, rings=("both",))
    two = two_stage(panel, DESIGN)
    np.testing.assert_allclose(one.values[0], two.values[0], **TIGHT)
    mass = two.detail["mass"][1:]
    np.testing.assert_allclose(one.values[1], mass @ two.values[1:] / mass.sum(), **TIGHT)


@fast
@given(panels(holes=False), st.integers(0, 2**32 - 1))
def test_effects_that_are_exact_are_found_exactly(panel: Panel, seed: int) -> None:
    """Additive outcomes plus effects: both methods give the effects to the last digits."""
    rng = np.random.default_rng(seed)
    n, t = panel.shape
    d = panel.periods >= panel.constant("adoption")[:, None]
    effect = 2 * d - 0.7 * panel.values("near") * ~d + 0.3 * panel.values("mid") * ~d
    panel = panel.with_varying(y=rng.normal(size=(n, 1)) + rng.normal(size=(1, t)) + effect)
    design = replace(DESIGN, covariates=())
    for call in (two_stage, static):
        np.testing.assert_allclose(call(panel, design).values, [2.0, -0.7, 0.3], **TIGHT)


@fast
@given(panels())
def test_without_neighbours_it_is_two_stages_and_imputation(panel: Panel) -> None:
    """No unit in a ring: the direct effect of Gardner's two stages, which is imputation's, errors included."""
    empty = panel.with_varying(near=np.zeros(panel.shape))
    found = spillover_effects(empty, DESIGN, rings=("near",))
    same = two_stage_effects(panel, DESIGN)
    np.testing.assert_allclose(found.values, same.values, **TIGHT)
    np.testing.assert_allclose(found.covariance, same.covariance, rtol=1e-8)
    np.testing.assert_allclose(found.values, imputation_effects(panel, DESIGN, by="overall").values, **TIGHT)
    events = spillover_effects(empty, DESIGN, rings=("near",), by="event_time")
    imputed = imputation_effects(panel, DESIGN, by="event_time")
    assert list(events.terms.get_level_values("event_time")) == list(
        imputed.terms.get_level_values("event_time")
    )
    np.testing.assert_allclose(events.values, imputed.values, **TIGHT)


@st.composite
def redrawn(draw: st.DrawFn) -> tuple[Panel, Zones]:
    """A circle in phase 1 and another in phase 3, units all around and far away in every region."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, years = 90, np.arange(2016, 2024)
    lat = np.concatenate([36 + rng.uniform(-0.5, 0.8, 60), 33.2 + rng.uniform(0, 0.5, 30)])
    panel = Panel(
        np.arange(n),
        years,
        {"y": rng.normal(size=(n, len(years))), "x": rng.normal(size=(n, len(years)))},
        {
            "latitude": lat,
            "longitude": 127 + rng.uniform(-0.2, 0.2, n),
            "region": np.arange(n) % 5,
            "w": rng.uniform(0.5, 2, n),
        },
    )
    zones = [
        Zone(1, 2018, [(36.0, 127.0)], last=2020, radius_km=35.0),
        Zone(3, 2021, [(36.3, 127.0)], radius_km=35.0),
    ]
    return panel, Zones.measure(panel, zones, rings=(0, 10, 20), donut=(20, 30))


@fast
@given(redrawn())
def test_border_classes_keep_the_contract(world: tuple[Panel, Zones]) -> None:
    panel, zones = world

    def call(p: Panel, design: Design) -> Estimate:
        return border_class_effects(p, design, zones=zones, before=1, after=3)

    contract.replicates_are_refits(call, panel, DESIGN)
    contract.unit_order_does_not_matter(call, panel, DESIGN)
    contract.outcome_is_equivariant(call, panel, DESIGN)
    contract.weights_matter_up_to_a_factor(call, panel, DESIGN)
    contract.influence_is_the_derivative(call, panel, DESIGN, [0, 30, 70], rtol=1e-4)
    contract.influence_gives_the_covariance(call(panel, DESIGN))
    contract.caller_is_left_alone(call, panel, DESIGN)
