"""The gap of loss between treated and comparison units, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.checks.attrition import attrition
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.panel import Panel


def panel(lost_treated: int, lost_comparison: int) -> Panel:
    """Ten treated in 2 and ten never treated units over periods 0..3; the first few of each vanish in period 3."""
    y = np.ones((20, 4))
    y[:lost_treated, 3] = np.nan
    y[10 : 10 + lost_comparison, 3] = np.nan
    adoption = np.where(np.arange(20) < 10, 2.0, np.inf)
    return Panel(np.arange(20), np.arange(4), {"y": y}, {"adoption": adoption})


@pytest.mark.parametrize(
    ("treated", "comparison", "verdict", "gap"),
    [
        (0, 0, "pass", 0.0),
        (2, 0, "pass", 0.1),
        (4, 1, "fail", 0.15),
        (0, 3, "fail", -0.15),
        (5, 5, "pass", 0.0),
    ],
)
def test_the_gap_is_averaged_over_event_times(
    treated: int, comparison: int, verdict: str, gap: float
) -> None:
    """Event times 0 (nobody lost) and 1 weigh the same: 0.4 − 0.1 lost at time 1 is 0.15 in the mean."""
    found = attrition(panel(treated, comparison), Design("y"))
    assert found.statistic == pytest.approx(gap)
    assert found.verdict == verdict
    assert found.detail["by_event_time"][1] == [1, treated / 10, comparison / 10]


def test_units_not_seen_in_the_base_period_are_not_lost() -> None:
    world = panel(0, 0)
    y = world.values("y").copy()
    y[:6, 1:] = np.nan
    found = attrition(world.with_varying(y=y), Design("y"))
    assert (found.statistic, found.verdict) == (0.0, "pass")


def test_the_horizon_and_the_comparison_group_are_those_of_the_design() -> None:
    world = panel(5, 0)
    assert attrition(world, Design("y"), horizon=0).statistic == 0.0
    late = np.where(np.arange(20) < 10, 2.0, 3.0)
    staggered = world.with_fixed(adoption=late)
    assert [row[0] for row in attrition(staggered, Design("y")).detail["by_event_time"]] == [0]
    assert attrition(staggered, Design("y", comparison="never")).verdict == "unknown"


def test_without_a_base_period_nothing_can_be_said() -> None:
    world = panel(0, 0).select(periods=[2, 3])
    found = attrition(world, Design("y"))
    assert (found.verdict, found.reason, found.statistic) == ("unknown", "no_base_period", None)


def test_bad_names_and_horizons_are_sentences() -> None:
    with pytest.raises(DesignError, match="'sales'"):
        attrition(panel(0, 0), Design("sales"))
    with pytest.raises(DesignError, match="-1"):
        attrition(panel(0, 0), Design("y"), horizon=-1)
