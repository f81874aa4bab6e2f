"""Defects seen in reference implementations, as regression tests of the kit's own estimators.

Where a defect belongs to one method its test stands beside that method:

* weights put in twice (didimputation 0.5.0): test_imputation.py, test_weights_enter_once
* averaged effects with the effects absorbed (etwfe before 0.6.0): test_extended_two_way.py,
  test_cohort_effects_absorbed_in_a_poisson_fit_give_the_wrong_error
* Frank–Wolfe that stops early (synthdid 0.0.9): test_synthetic_did.py, test_the_reference_stops_before_the_optimum
* rings that never change (Butts, unit-static): tests/unit/test_spillovers.py,
  test_a_ring_that_never_changes_is_the_documented_trap
* influence scaled to the cell, divided by all (triplediff, diff_diff): test_triple_differences.py
* lone switchers without variance, units counted for clusters (DIDmultiplegtDYN 2.1.2): test_switching.py
* the last cohort where nobody is never treated, codes 0, negative and infinite, levels of a factor lost in a cell (did
  up to 2.5.0): tests/unit/test_group_time.py; rows that stand twice: tests/unit/test_panel.py

Here is what concerns many: errors that forget the clusters (several packages), weights in rows out of order (did up to
2.3), weights that change over time (did 2.5.0), and averages over windows that hold nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.aggregate import by_cohort, by_period, event_study, overall
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.hazard import hazard_effects
from evalkit.estimators.imputation import imputation_effects
from evalkit.estimators.lee_bounds import lee_bounds
from evalkit.estimators.local_projection import local_projection_effects
from evalkit.estimators.margins import margin_effects
from evalkit.estimators.percent_effects import percent_effects
from evalkit.estimators.poisson import poisson_effects
from evalkit.estimators.repeated_cross_sections import repeated_cross_section_effects
from evalkit.estimators.stacked import stacked_effects
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.switching import switching_effects
from evalkit.estimators.tier_effects import tier_effects
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.estimators.two_stage import two_stage_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel
from evalkit.sample import Sample

Call = Callable[[Panel, Design], Estimate]
SEEN: dict[str, tuple[str, Call]] = {
    "group_time": ("y", group_time_effects),
    "group_time, rows": ("y", partial(group_time_effects, missing="rows")),
    "group_time, pairs": ("y", partial(group_time_effects, missing="pairs")),
    "tiers": ("y", partial(tier_effects, tier="tier")),
    "triple differences": ("y", partial(triple_difference_effects, eligible="target")),
    "imputation": ("y", partial(imputation_effects, by="event_time")),
    "two stages": ("y", two_stage_effects),
    "extended": ("y", extended_two_way_effects),
    "extended, Poisson": ("count", partial(extended_two_way_effects, link="poisson")),
    "interaction-weighted": ("y", sun_abraham_effects),
    "stacked": ("y", partial(stacked_effects, window=(-1, 1))),
    "local projection": ("y", local_projection_effects),
    "switching": ("y", partial(switching_effects, treatment="on", horizons=2)),
    "two-way": ("y", two_way_effects),
    "Poisson": ("count", poisson_effects),
    "percent": ("count", percent_effects),
    "shares": ("count", partial(fractional_shares, denominator="whole")),
    "margins": ("count", margin_effects),
    "Lee": ("hole", lee_bounds),
    "hazard": ("exit", hazard_effects),
}


def world(seed: int, copies: int = 1) -> Panel:
    """Eight regions of 36 units, each cohort and kind of one with shocks of its own; ``copies`` of every unit in its region."""
    rng = np.random.default_rng(seed)
    n, periods = 288, 6
    at, years = np.arange(n), np.arange(2011, 2017)
    adoption = np.array([2013.0, 2014.0, np.inf])[at % 3]
    on = years >= adoption[:, None]
    shock = rng.normal(size=(48, periods)).cumsum(axis=1)[at // 36 * 6 + at % 3 * 2 + at // 6 % 2]
    y = rng.normal(size=(n, 1)) + shock + on + rng.normal(size=(n, periods))
    leaves = rng.random((n, periods)) < 0.05
    leaves[:, 0] = False
    gone = np.maximum.accumulate(leaves, axis=1)
    first = gone & ~np.pad(gone, ((0, 0), (1, 0)))[:, :-1]
    count = rng.poisson(np.exp(0.5 + 0.3 * y))
    varying = {
        "y": y,
        "on": on,
        "count": count,
        "whole": count + 1 + rng.poisson(3, (n, periods)),
        "hole": np.where(gone, np.nan, y),
        "exit": first,
    }
    fixed = {
        "adoption": adoption,
        "tier": np.where(np.isfinite(adoption), at // 3 % 2, np.nan),
        "target": at // 6 % 2,
        "region": at // 36,
    }
    again = np.tile(at, copies)
    return Panel(
        np.arange(n * copies),
        years,
        {name: values[again].astype(float) for name, values in varying.items()},
        {name: values[again] for name, values in fixed.items()},
    )


@pytest.mark.parametrize("name", SEEN)
def test_copies_within_clusters_are_no_new_information(name: str) -> None:
    """Every unit four times in its own region: the same points, the same errors; errors that take units as
    independent would be half as large. Small-sample factors of regressions may move by n and k."""
    outcome, call = SEEN[name]
    design = Design(outcome, cluster="region")
    once, often = (call(world(3, copies), design) for copies in (1, 4))
    assert list(once.terms) == list(often.terms)
    np.testing.assert_allclose(often.values, once.values, rtol=1e-9, atol=1e-9)
    known = np.isfinite(once.std_errors) & (once.std_errors > 0)
    assert known.any()
    tolerance = 1e-9 if once.inference in ("IF", "IF leave-out", "dCDH") else 0.01
    np.testing.assert_allclose(often.std_errors[known], once.std_errors[known], rtol=tolerance)
    units = call(world(3, 4), Design(outcome)).std_errors[known]
    assert np.median(units / often.std_errors[known]) < 0.7


def test_copies_of_rows_of_cross_sections_are_no_new_information() -> None:
    rng = np.random.default_rng(1)
    n = 1600
    t, town = rng.integers(1, 5, n), np.arange(n) % 8
    g = np.array([3.0, np.inf])[town % 2]
    y = rng.normal(size=(8, 5))[town, t] + (t >= g) + rng.normal(size=n)
    columns = {"y": y, "adoption": g, "town": town}
    errors = []
    for copies in (1, 4):
        sample = Sample(np.tile(t, copies), {k: np.tile(v, copies) for k, v in columns.items()})
        errors.append(repeated_cross_section_effects(sample, Design("y", cluster="town")).std_errors)
    np.testing.assert_allclose(errors[0], errors[1], rtol=1e-9)


@pytest.mark.parametrize("missing", ["rows", "pairs", "drop"])
def test_weights_of_cohorts_follow_their_rows(missing: Any) -> None:
    """did up to 2.3 added the sampling error of the shares in another order than that of the rows."""
    panel = world(5)
    rng = np.random.default_rng(5)
    panel = panel.with_fixed(w=rng.uniform(0.5, 2, panel.shape[0]))
    frame = panel.to_long()
    if missing != "drop":
        frame = frame[rng.random(len(frame)) > 0.1]
    design = Design("y", cluster="region", weight="w")
    numbers = []
    for order in (np.arange(len(frame)), rng.permutation(len(frame)), np.arange(len(frame))[::-1]):
        rows = frame.iloc[order]
        names = {"varying": ["y"], "fixed": ["adoption", "region", "w"]}
        again = Panel.from_long(rows, unit="unit", period="period", **names)
        cells = group_time_effects(again, design, missing=missing)
        averages = [overall(cells), event_study(cells), by_cohort(cells), by_period(cells)]
        numbers.append(
            [np.concatenate([e.values for e in averages]), np.concatenate([e.std_errors for e in averages])]
        )
    for other in numbers[1:]:
        np.testing.assert_allclose(other, numbers[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("missing", ["rows", "pairs", "drop"])
def test_a_weight_that_does_not_change_is_the_same_however_it_is_given(missing: Any) -> None:
    """did 2.5.0: weights given by row had errors about twice too large."""
    panel = world(6)
    w = np.random.default_rng(6).uniform(0.5, 2, panel.shape[0])
    fixed = panel.with_fixed(w=w)
    varying = panel.with_varying(w=np.repeat(w[:, None], panel.shape[1], axis=1))
    design = Design("y", cluster="region", weight="w")
    one, other = (group_time_effects(p, design, missing=missing) for p in (fixed, varying))
    for average in (lambda e: e, overall, event_study):
        np.testing.assert_allclose(average(one).values, average(other).values, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(average(one).std_errors, average(other).std_errors, rtol=1e-9, atol=1e-12)


def test_a_window_that_holds_nothing_is_refused() -> None:
    cells = group_time_effects(world(7), Design("y"))
    with pytest.raises(DesignError):
        event_study(cells, min_event_time=50)
    with pytest.raises(DesignError):
        overall(cells, max_event_time=-5)
    assert isinstance(cells.terms, pd.MultiIndex)
