"""Estimates under each treatment of links in doubt, against panels cut by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from evalkit.aggregate import overall
from evalkit.checks.linkage import link_sensitivity, linkage_gap
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel

DESIGN = Design("y", comparison="never")


def fit(panel: Panel, design: Design) -> Estimate:
    return overall(group_time_effects(panel, design))


def panel(effect: float = 1.0, units: int = 60, odd: float = 0.0) -> Panel:
    """The first four units are treated and differ from the others by `odd` in their effect."""
    rng = np.random.default_rng(3)
    adoption = np.where(np.arange(units) % 2 == 0, 3.0, np.inf)
    adoption[:4] = 3.0
    y = rng.standard_normal((units, 1)) + 0.1 * rng.standard_normal((units, 5))
    after = (np.arange(5) >= 3) & np.isfinite(adoption)[:, None]
    y = y + effect * after
    y[:4] += odd * after[:4]
    return Panel(np.arange(units), np.arange(5), {"y": y}, {"adoption": adoption})


def test_rivals_drawn_are_among_all_ways_to_choose_one_of_each() -> None:
    data = panel()
    group = np.full(60, -1)
    group[[0, 1]], group[[2, 3, 5]] = 0, 1
    found = link_sensitivity(data, DESIGN, fit, ambiguous=group, draws=40)
    every = {}
    for one, other in product([0, 1], [2, 3, 5]):
        kept = group < 0
        kept[[one, other]] = True
        every[one, other] = float(fit(data.select(kept), DESIGN).values[0])
    drawn = found.table["estimate"][2:]
    assert all(min(abs(value - v) for v in every.values()) < 1e-12 for value in drawn)
    assert len(set(np.round(drawn, 12))) == 6  # all six ways come up in forty draws
    assert (found.low, found.high) == pytest.approx((min(every.values()), max(every.values())))
    assert found.table.loc["dropped", "estimate"] == pytest.approx(
        float(fit(data.select(group < 0), DESIGN).values[0])
    )
    assert found.table["units"].tolist() == [60, 55] + [57] * 40
    assert (found.ambiguous, found.groups) == (5, 2)
    assert found.check.verdict == "pass"
    again = link_sensitivity(data, DESIGN, fit, ambiguous=group, draws=40)
    assert found.table.equals(again.table)
    assert not found.table.equals(
        link_sensitivity(data, DESIGN, fit, ambiguous=group, draws=40, seed=1).table
    )


def test_units_in_doubt_that_carry_the_result_are_found() -> None:
    doubtful = np.arange(60) < 4
    moved = link_sensitivity(panel(0.05, odd=3.0), DESIGN, fit, ambiguous=doubtful, draws=5)
    assert (moved.check.verdict, moved.check.reason) == ("warn", "moves_much")
    assert moved.check.statistic == pytest.approx(
        abs(moved.table["estimate"] - moved.table["estimate"].iloc[0]).max()
    )
    turned = link_sensitivity(
        panel(-0.3, odd=5.0), DESIGN, fit, ambiguous=np.arange(60) < 4, draws=3, level=0.5
    )
    assert (turned.check.verdict, turned.check.reason) == ("fail", "sign_turns")


def test_nothing_in_doubt() -> None:
    found = link_sensitivity(panel(), DESIGN, fit, ambiguous=np.zeros(60, dtype=bool))
    assert (found.check.verdict, found.check.reason, len(found.table)) == ("pass", "nothing_in_doubt", 1)


def test_a_panel_can_be_built_again_for_every_draw() -> None:
    data = panel()
    seeds: list[int] = []

    def resolve(given: Panel, seed: int) -> Panel:
        seeds.append(seed)
        return given.select(np.arange(60) != seed % 60)

    doubtful = np.arange(60) < 2
    found = link_sensitivity(data, DESIGN, fit, ambiguous=doubtful, draws=4, resolve=resolve)
    assert len(set(seeds)) == 4
    assert found.table["units"].tolist() == [60, 58, 59, 59, 59, 59]


def test_without_those_in_doubt_nothing_may_be_left() -> None:
    data = panel(units=60).select(np.array([0, 1, 2, 3, 5, 7, 9, 11]))
    doubtful = np.isfinite(np.asarray(data.constant("adoption")))
    found = link_sensitivity(data, DESIGN, fit, ambiguous=doubtful, draws=2)
    assert "dropped" in found.failed
    assert (found.check.verdict, found.check.reason) == ("warn", "cannot_be_estimated")
    assert np.isnan(found.table.loc["dropped", "estimate"])  # type: ignore[arg-type]


def test_without_a_standard_error_there_is_no_verdict() -> None:
    def bare(panel: Panel, design: Design) -> Estimate:
        return replace(fit(panel, design), covariance=np.full((1, 1), np.nan))

    found = link_sensitivity(panel(), DESIGN, bare, ambiguous=np.arange(60) < 2, draws=2)
    assert (found.check.verdict, found.check.reason) == ("unknown", "no_standard_error")


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [(0.3, 0.1, "fail"), (0.1, 0.1, "pass"), (0.2, 0.1, "pass"), (0.1, 0.3, "fail")],
)
def test_losing_more_of_one_group_is_attrition(one: float, other: float, verdict: str) -> None:
    treated = np.arange(200) < 100
    linked = np.ones(200, dtype=bool)
    linked[: round(100 * one)] = False
    linked[100 : 100 + round(100 * other)] = False
    check = linkage_gap(linked, treated)
    assert check.verdict == verdict
    assert check.statistic == pytest.approx(one - other)


def test_bad_input_is_told() -> None:
    assert linkage_gap([True], [True]).verdict == "unknown"
    with pytest.raises(DesignError, match="연결 여부의 크기"):
        linkage_gap([True], [True, False])
    with pytest.raises(DesignError, match="모호한 단위의 표시"):
        link_sensitivity(panel(), DESIGN, fit, ambiguous=np.zeros(3, dtype=bool))
    with pytest.raises(DesignError, match="모호한 단위의 표시"):
        link_sensitivity(panel(), DESIGN, fit, ambiguous=np.zeros(60))
    with pytest.raises(DesignError, match="모든 단위"):
        link_sensitivity(panel(), DESIGN, fit, ambiguous=np.ones(60, dtype=bool))
    with pytest.raises(UsageError, match="횟수 0"):
        link_sensitivity(panel(), DESIGN, fit, ambiguous=np.zeros(60, dtype=bool), draws=0)
