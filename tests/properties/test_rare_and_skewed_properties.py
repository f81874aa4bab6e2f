"""What every method for zeros, attrition, rare events and distributions promises, over random small panels.

Oracles: brute-force refits, derivatives by finite differences, and identities between methods. 1e-9 relative is what
double precision leaves on panels of this size; derivatives are central differences with a step of 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import contract
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.attrition import attrition_effects
from evalkit.estimators.changes_in_changes import changes_in_changes
from evalkit.estimators.distribution_did import distribution_effects
from evalkit.estimators.duration_did import duration_effects, duration_pre_test
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.hazard import hazard_effects, incidence_effects
from evalkit.estimators.lee_bounds import lee_bounds
from evalkit.estimators.margins import margin_effects
from evalkit.panel import Panel

fast = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Call = Callable[[Panel, Design], Estimate]
GRID = (-0.5, 0.0, 0.4, 1.1, 2.5)

METHODS: dict[str, tuple[str, Call]] = {
    "margins": ("sales", margin_effects),
    "margins by event time": ("sales", lambda p, d: margin_effects(p, d, by="event_time")),
    "margins, down": ("sales", lambda p, d: margin_effects(p, d, monotone="down")),
    "distribution": ("y", lambda p, d: distribution_effects(p, d, thresholds=GRID)),
    "distribution by cell": (
        "y",
        lambda p, d: distribution_effects(p, d, thresholds=GRID, by="cell", rearrange=False),
    ),
    "Lee, more": ("hole", lambda p, d: lee_bounds(p, d, monotone="more")),
    "Lee, fewer": ("hole", lambda p, d: lee_bounds(p, d, monotone="fewer", by="event_time")),
    "Lee, auto": ("hole", lambda p, d: lee_bounds(p, d, by="cell")),
    "Lee, levels by type": ("hole", lambda p, d: lee_bounds(p, d, change=False, within="kind")),
    "attrition": ("hole", attrition_effects),
    "duration, cd": ("gone", duration_effects),
    "duration, ph": ("gone", lambda p, d: duration_effects(p, d, model="ph")),
    "duration, pre-test": ("gone", duration_pre_test),
    "hazard": ("exit", lambda p, d: hazard_effects(p, d, competing=("move",))),
    "hazard, logit with durations": (
        "exit",
        lambda p, d: hazard_effects(p, d, link="logit", start="born", bins=(3, 6)),
    ),
    "incidence": ("exit", lambda p, d: incidence_effects(p, d, competing=("move",), effects="overall")),
    "incidence with durations": (
        "exit",
        lambda p, d: incidence_effects(p, d, start="born", bins=(3, 6), effects="overall"),
    ),
    "changes-in-changes": ("y", changes_in_changes),
    "changes-in-changes, bounds": ("sales", lambda p, d: changes_in_changes(p, d, bounds=True)),
}
# step functions of the weights: their influence is not the derivative; tests/reference holds it to a bootstrap
STEPS = {"changes-in-changes", "changes-in-changes, bounds"}


def world(seed: int, per: int = 60, clusters: int = 5, periods: int = 6) -> Panel:
    """Cohorts 2017, 2018 and never in every region; a continuous, a zero-inflated, a missing and an absorbing outcome."""
    rng = np.random.default_rng(seed)
    n = per * clusters
    years = np.arange(2014, 2014 + periods)
    adoption = np.tile([2017.0, 2018.0, np.inf, np.inf], n)[:n]
    treated = years >= adoption[:, None]
    level = rng.normal(size=(n, 1))
    y = level + 0.1 * (years - 2014) + rng.normal(size=(n, periods)) + 0.7 * treated
    hazard = np.where(treated, 0.16, 0.2) * np.exp(0.2 * level)
    event = rng.random((n, periods)) < np.clip(hazard, 0, 0.6)
    first = np.where(event.any(axis=1), event.argmax(axis=1), periods)
    kind = rng.integers(0, 2, n)
    at = np.arange(periods) == first[:, None]
    gone = (np.arange(periods) >= first[:, None]).astype(float)
    left = gone.copy()
    left[:, 0] = 0.0
    return Panel(
        np.arange(n),
        years,
        {
            "y": y,
            "sales": np.where(y > 0, np.exp(y), 0.0),
            "hole": np.where(left > 0, np.nan, y),
            "gone": left,
            "exit": (at & (kind == 0)[:, None]).astype(float),
            "move": (at & (kind == 1)[:, None]).astype(float),
        },
        {
            "adoption": adoption,
            "region": np.repeat(np.arange(clusters), per),
            "born": 2014 - rng.integers(0, 8, n),
            "kind": rng.integers(0, 2, n),
            "w": rng.uniform(0.5, 2.0, n),
        },
    )


seeds = st.integers(0, 2**32 - 1)


def design(name: str, weight: str | None = "w") -> Design:
    return Design(METHODS[name][0], cluster="region", weight=weight)


@pytest.mark.parametrize("name", METHODS)
@fast
@given(seeds)
def test_replicates_are_refits(name: str, seed: int) -> None:
    contract.replicates_are_refits(METHODS[name][1], world(seed), design(name))


@pytest.mark.parametrize("name", METHODS)
@fast
@given(seeds)
def test_units_periods_and_weights_are_what_they_should_be(name: str, seed: int) -> None:
    call, panel = METHODS[name][1], world(seed)
    contract.unit_order_does_not_matter(call, panel, design(name))
    if "durations" not in name:  # their start is a period too
        contract.periods_are_labels(call, panel, design(name))
    contract.weights_matter_up_to_a_factor(call, panel, design(name))
    contract.caller_is_left_alone(call, panel, design(name))


@pytest.mark.parametrize("name", [n for n in METHODS if n not in STEPS])
@fast
@given(seeds)
def test_copies_count_like_weights(name: str, seed: int) -> None:
    contract.copies_are_weights(METHODS[name][1], world(seed), design(name))


@pytest.mark.parametrize("name", [n for n in METHODS if n not in STEPS])
@fast
@given(seeds)
def test_influence_is_the_derivative(name: str, seed: int) -> None:
    contract.influence_is_the_derivative(
        METHODS[name][1], world(seed), design(name), units=(0, 1, 2, 57, 101), step=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("name", METHODS)
def test_influence_gives_the_covariance_and_the_file_keeps_it(name: str, tmp_path: Path) -> None:
    estimate = METHODS[name][1](world(3), design(name))
    contract.influence_gives_the_covariance(estimate)
    contract.survives_a_file(estimate, tmp_path)
    assert np.isfinite(estimate.values).any()


LINEAR = {
    "Lee": ("hole", lambda p, d: lee_bounds(p, d, monotone="more")),
    "changes-in-changes": ("y", changes_in_changes),
}


@pytest.mark.parametrize("name", LINEAR)
@fast
@given(seeds)
def test_a_linear_change_of_the_outcome_carries_over(name: str, seed: int) -> None:
    outcome, call = LINEAR[name]
    contract.outcome_is_equivariant(call, world(seed), Design(outcome, cluster="region"))


@fast
@given(seeds)
def test_changes_in_changes_carries_any_increasing_change_through_its_counterfactual(seed: int) -> None:
    """Quantiles of the counterfactual move with the outcome: exp of the quantile is the quantile of exp."""
    panel = world(seed)
    raised = panel.with_varying(y=np.exp(panel.values("y")))
    a, b = (changes_in_changes(p, Design("y")) for p in (panel, raised))
    at = a.terms.get_level_values("term") == "q0.5"
    for g, t in {(g, t) for _, g, t in a.terms}:
        own = panel.constant("adoption") == g
        after = panel.values("y")[own, list(panel.periods).index(t)]
        here = at & (a.terms.get_level_values("cohort") == g) & (a.terms.get_level_values("period") == t)
        top = np.sort(after)[int(np.ceil(0.5 * len(after))) - 1]
        np.testing.assert_allclose(np.exp(top - a.values[here]), np.exp(top) - b.values[here], rtol=1e-9)


@fast
@given(seeds)
def test_margins_add_up_and_are_group_time_effects(seed: int) -> None:
    panel = world(seed)
    found = margin_effects(panel, Design("sales"), by="cell")
    part = {
        name: found.select(found.terms.get_level_values("term") == name)
        for name in set(found.terms.get_level_values("term"))
    }
    np.testing.assert_allclose(
        part["through_extensive"].values + part["through_intensive"].values, part["total"].values, rtol=1e-9
    )
    positive = panel.with_varying(positive=(panel.values("sales") > 0).astype(float))
    for name, outcome in (("total", "sales"), ("extensive", "positive")):
        other = group_time_effects(positive, Design(outcome))
        keep = [term in part[name].terms.droplevel(0) for term in other.terms]
        other = other.select(np.array(keep))
        np.testing.assert_allclose(part[name].values, other.values, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(part[name].std_errors, other.std_errors, rtol=1e-9)
        np.testing.assert_allclose(part[name].influence, other.influence, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "everyone"),
    [
        ({"comparison": "never"}, False),
        ({"comparison": "never"}, True),
        ({"base": "varying"}, False),
        ({"base": "varying"}, True),
        ({"anticipation": 1}, False),
        ({"comparison": "never", "base": "varying", "anticipation": 1}, False),
    ],
    ids=str,
)
def test_designs_are_read_as_group_time_effects_read_them(options: dict[str, object], everyone: bool) -> None:
    """everyone: all units are treated in the end."""
    panel = world(4)
    if everyone:
        panel = panel.select(np.isfinite(panel.constant("adoption")))
    asked = Design("sales", cluster="region", weight="w", **options)  # type: ignore[arg-type]
    found, other = margin_effects(panel, asked, by="cell"), group_time_effects(panel, asked)
    total = found.select(found.terms.get_level_values("term") == "total")
    at = {term: i for i, term in enumerate(other.terms)}
    rows = [at[term[1:]] for term in total.terms]
    np.testing.assert_allclose(total.values, other.values[rows], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(total.std_errors, other.std_errors[rows], rtol=1e-9)
    assert other.replicates is not None
    np.testing.assert_allclose(total.replicates, other.replicates[:, rows], rtol=1e-9, atol=1e-12)


@fast
@given(seeds)
def test_the_integral_of_distribution_effects_is_the_mean_effect(seed: int) -> None:
    panel = world(seed)
    grid = np.unique(panel.values("y").round(1))
    whole = panel.with_varying(y=panel.values("y").round(1))
    found = distribution_effects(whole, Design("y"), thresholds=grid, by="cell", rearrange=False)
    mean = found.select(found.terms.get_level_values("term") == "mean")
    other = group_time_effects(whole, Design("y"))
    at = {term: i for i, term in enumerate(other.terms)}
    rows = [at[term[2:]] for term in mean.terms]
    np.testing.assert_allclose(mean.values, other.values[rows], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(mean.std_errors, other.std_errors[rows], rtol=1e-9)


@fast
@given(seeds)
def test_lee_bounds_order_and_collapse(seed: int) -> None:
    panel = world(seed)
    bounds = lee_bounds(panel, Design("hole"), by="cell")
    half = len(bounds) // 2
    assert (bounds.values[:half] <= bounds.values[half:] + 1e-12).all()
    full = lee_bounds(panel, Design("y"), by="cell")  # nobody leaves: the plain effect
    plain = group_time_effects(panel, Design("y"))
    at = {term: i for i, term in enumerate(plain.terms)}
    rows = [at[term[1:]] for term in full.terms[:half]]
    np.testing.assert_allclose(full.values[:half], plain.values[rows], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(full.values[half:], plain.values[rows], rtol=1e-9, atol=1e-12)


@fast
@given(seeds)
def test_bounds_of_changes_hold_the_point_and_meet_where_nothing_is_tied(seed: int) -> None:
    panel = world(seed, per=200)
    point = changes_in_changes(panel, Design("y"), quantiles=())
    both = changes_in_changes(panel, Design("y"), quantiles=(), bounds=True)
    low, high = both.values[: len(point)], both.values[len(point) :]
    assert (low <= point.values + 1e-9).all()
    assert (point.values <= high + 1e-9).all()
    assert np.abs(high - low).max() < 0.06  # a step of one in 500
