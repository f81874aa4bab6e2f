"""What switching treatments promise on random paths, and their identities with group-time effects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.aggregate import event_study, overall
from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.switching import switching_average, switching_effects
from evalkit.panel import Panel

TIGHT = {"rtol": 1e-9, "atol": 1e-10}
DESIGN = Design("y", cluster="region", weight="w")
fast = settings(max_examples=12, deadline=None)


@st.composite
def panels(draw: st.DrawFn, *, kind: str | None = None, holes: bool | None = None) -> Panel:
    """Small panels of treatments that stay, go on and off, or have doses; two baselines, five clusters."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["stays", "on_off", "dose"])) if kind is None else kind
    n, periods = 5 * draw(st.integers(5, 8)), draw(st.integers(4, 6))
    start = np.zeros(n) if kind == "stays" else rng.integers(0, 2, n).astype(float)
    first = rng.choice([1, 2, 3, periods], n)
    first[:10] = np.repeat([2, periods], 5)
    d = np.repeat(start[:, None], periods, axis=1)
    for i in np.flatnonzero(first < periods):
        step = rng.choice([-2, -1, 1, 3]) if kind == "dose" else 1 - 2 * start[i]
        d[i, first[i] :] += step
        if kind == "on_off" and rng.random() < 0.5:
            d[i, first[i] + 2 :] = start[i]
    y = 2 * rng.normal(size=(n, periods)) + d
    if draw(st.booleans()) if holes is None else holes:
        y[rng.random(y.shape) < 0.08] = np.nan
    years = np.arange(2015, 2015 + periods)
    adoption = np.where(first < periods, years[np.minimum(first, periods - 1)], np.inf)
    return Panel(
        np.arange(n),
        years,
        {"y": y, "d": d, "x": rng.normal(size=(n, periods)).cumsum(axis=1)},
        {
            "adoption": adoption,
            "region": np.arange(n) % 5,
            "w": rng.uniform(0.4, 2.5, n),
            "half": rng.integers(0, 2, n),
        },
    )


OPTIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({}, ("x",)),
    ({"normalized": True}, ()),
    ({"normalized": True, "crossing": "keep"}, ("x",)),
    ({"same_switchers": True, "horizons": 2}, ()),
    ({"switchers": "in"}, ()),
    ({"switchers": "out", "normalized": True}, ()),
    ({"within": "half"}, ()),
    ({"trends_linear": True}, ()),
    ({"horizons": 1, "placebos": 1}, ("x",)),
]


def holds(call: contract.Call, panel: Panel, design: Design) -> None:
    try:
        call(panel, design)
    except EvalkitError:
        return  # nobody left to compare with, or slopes that cannot be told apart: a sentence, tested elsewhere
    contract.replicates_are_refits(call, panel, design)
    contract.unit_order_does_not_matter(call, panel, design)
    contract.periods_are_labels(call, panel, design)
    contract.outcome_is_equivariant(call, panel, design)
    contract.weights_matter_up_to_a_factor(call, panel, design)
    contract.copies_are_weights(call, panel, design)
    contract.influence_is_the_derivative(call, panel, design, range(0, 20, 4))
    contract.caller_is_left_alone(call, panel, design)


@pytest.mark.parametrize(("options", "covariates"), OPTIONS, ids=str)
def test_the_contract_of_effects(options: dict[str, Any], covariates: tuple[str, ...]) -> None:
    def call(panel: Panel, design: Design) -> Estimate:
        return switching_effects(panel, design, treatment="d", **options)

    @settings(max_examples=6, deadline=None)
    @given(panels())
    def check(panel: Panel) -> None:
        holds(call, panel, replace(DESIGN, covariates=covariates))

    check()


@pytest.mark.parametrize(
    "options", [{}, {"same_switchers": True, "horizons": 2}, {"switchers": "in"}], ids=str
)
def test_the_contract_of_the_average(options: dict[str, Any]) -> None:
    def call(panel: Panel, design: Design) -> Estimate:
        return switching_average(panel, design, treatment="d", **options)

    @settings(max_examples=6, deadline=None)
    @given(panels())
    def check(panel: Panel) -> None:
        holds(call, panel, DESIGN)

    check()


@fast
@given(panels(kind="stays", holes=False), st.sampled_from(["never", "not_yet"]), st.integers(0, 1))
def test_a_treatment_that_stays_is_the_event_study_of_group_time_effects(
    panel: Panel, comparison: Any, anticipation: int
) -> None:
    """Effects, their influence and replicates; the average total effect is the overall effect where all can be compared."""
    design = replace(DESIGN, comparison=comparison, anticipation=anticipation)
    cells = group_time_effects(panel, design, replicates=True)
    theirs = event_study(cells)
    ours = switching_effects(panel, design, treatment="d", placebos=0)
    at = [list(theirs.terms).index(term) for term in ours.terms]
    np.testing.assert_allclose(ours.values, theirs.values[at], **TIGHT)
    np.testing.assert_allclose(ours.influence, theirs.influence[:, at], rtol=1e-8, atol=1e-8)
    # without a whole cohort the average of cells is not defined there; here it is over those that are left
    known = np.isfinite(theirs.replicates[:, at])
    np.testing.assert_allclose(ours.replicates[known], theirs.replicates[:, at][known], rtol=1e-9, atol=1e-9)
    average = switching_average(panel, design, treatment="d")
    np.testing.assert_allclose(average.values, overall(cells).values, **TIGHT)


@fast
@given(panels(kind="on_off"))
def test_in_and_out_average_to_both(panel: Panel) -> None:
    try:
        both, up, down = (
            switching_effects(panel, DESIGN, treatment="d", horizons=1, placebos=0, switchers=s)
            for s in (None, "in", "out")
        )
    except EvalkitError:
        return
    w, d, y = panel.constant("w"), panel.values("d"), panel.values("y")
    first = np.array([next((t for t in range(d.shape[1]) if row[t] != row[0]), d.shape[1]) for row in d])
    moved = (first < d.shape[1]) & (first > 0)
    at = np.minimum(first, d.shape[1] - 1)
    seen = moved & np.isfinite(y[np.arange(len(y)), at] - y[np.arange(len(y)), at - 1])
    if both.n_treated[0] != seen.sum():
        return  # some have nobody to compare with; the weights below would count them
    rise = d[np.arange(len(d)), at] > d[:, 0]
    mass = [w[seen & rise].sum(), w[seen & ~rise].sum()]
    expected = np.average([up.values[0], down.values[0]], weights=mass)
    assert both.values[0] == pytest.approx(expected, rel=1e-9, abs=1e-10)


@fast
@given(panels(kind="dose"), st.floats(0.2, 5.0))
def test_the_unit_of_the_dose(panel: Panel, scale: float) -> None:
    """Twice the dose in other units: effects stay, effects of one unit halve."""
    other = panel.with_varying(d=scale * panel.values("d"))
    try:
        plain = [switching_effects(p, DESIGN, treatment="d") for p in (panel, other)]
        unit = [switching_effects(p, DESIGN, treatment="d", normalized=True) for p in (panel, other)]
    except EvalkitError:
        return
    np.testing.assert_allclose(plain[1].values, plain[0].values, **TIGHT)
    np.testing.assert_allclose(unit[1].values * scale, unit[0].values, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(unit[1].std_errors * scale, unit[0].std_errors, rtol=1e-8, atol=1e-9)


@fast
@given(panels(holes=False))
def test_cell_sums_equal_rows(panel: Panel) -> None:
    """A unit seen once is in no comparison but sends the same data down the row-wise path."""
    n = panel.shape[0]
    y = np.vstack([panel.values("y"), np.full((1, panel.shape[1]), np.nan)])
    y[-1, 0] = 1.0
    d = np.vstack([panel.values("d"), panel.values("d")[:1, :1].repeat(panel.shape[1], axis=1)])
    longer = Panel(
        np.arange(n + 1),
        panel.periods,
        {"y": y, "d": d},
        {name: np.append(panel.constant(name), panel.constant(name)[0]) for name in panel.fixed},
    )
    sums, rows = (switching_effects(p, DESIGN, treatment="d") for p in (panel, longer))
    np.testing.assert_allclose(rows.values, sums.values, **TIGHT)
    np.testing.assert_allclose(rows.std_errors, sums.std_errors, **TIGHT)
    np.testing.assert_allclose(rows.replicates, sums.replicates, **TIGHT)
    np.testing.assert_allclose(rows.influence[:-1], sums.influence * (n + 1) / n, rtol=1e-8, atol=1e-9)


def test_it_survives_a_file(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    d = np.zeros((20, 5))
    d[:8, 2:] = 1
    panel = Panel(
        np.arange(20),
        np.arange(1, 6),
        {"y": rng.normal(size=(20, 5)), "d": d, "x": rng.normal(size=(20, 5))},
        {"adoption": np.full(20, np.inf)},
    )
    contract.survives_a_file(
        switching_effects(panel, Design("y", covariates=("x",)), treatment="d"), tmp_path
    )
