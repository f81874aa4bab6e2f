"""Leave-one-out against refits one by one, exact means, and diff_diff 3.13."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from evalkit import aggregate
from evalkit.checks.influence import leave_one_out, leave_out
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel


def two_way(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design).select([0])


@cache
def panel() -> Panel:
    rng = np.random.default_rng(8)
    n = 60
    region = np.arange(n) % 10
    dates = np.array([2014.0, 2016.0, *[np.inf] * 8])[region]
    years = np.arange(2012, 2019)
    y = rng.normal(size=(n, 1)) + rng.standard_t(3, size=(n, 7)) + 1.0 * (years >= dates[:, None])
    return Panel(
        np.array([f"기업{i:02d}" for i in range(n)]),
        years,
        {"y": y},
        {"adoption": dates, "region": region, "industry": np.array(list("가나다라"))[rng.integers(0, 4, n)]},
    )


def without(name: str) -> dict[str, float]:
    values = panel().constant(name)
    return {
        str(v): float(two_way(panel().select(values != v), Design("y", cluster="region")).values[0])
        for v in np.unique(values)
    }


@pytest.mark.parametrize(("by", "how"), [(None, "replicate"), ("region", "replicate"), ("industry", "refit")])
def test_every_group_is_left_out_exactly(by: str | None, how: str) -> None:
    found = leave_out(panel(), Design("y", cluster="region"), two_way, by=by)
    expected = without(by or "region")
    assert set(found.table["how"]) == {how}
    assert set(found.table.index) == set(expected)
    np.testing.assert_allclose(
        found.table["estimate"], [expected[label] for label in found.table.index], rtol=1e-9
    )
    sizes = np.abs(found.table["change"].to_numpy())
    assert (np.diff(sizes) <= 0).all()
    np.testing.assert_allclose(found.table["change"], found.table["estimate"] - found.estimate.values[0])


def test_intervals_of_refits_are_those_of_the_refits() -> None:
    found = leave_out(panel(), Design("y", cluster="region"), two_way, by="industry", level=0.9)
    label = found.table.index[0]
    keep = panel().constant("industry") != label
    row = two_way(panel().select(keep), Design("y", cluster="region")).table(0.9).iloc[0]
    np.testing.assert_allclose(
        found.table.loc[label, ["conf_low", "conf_high"]].astype(float), row[["conf_low", "conf_high"]]
    )


def test_a_verdict_by_cluster_is_that_of_the_estimate_alone() -> None:
    design = Design("y", cluster="region")
    found, alone = leave_out(panel(), design, two_way), leave_one_out(two_way(panel(), design))
    assert (found.check.verdict, found.check.reason) == (alone.verdict, alone.reason)
    assert alone.detail.items() <= found.check.detail.items()


def test_the_most_influential_firms_are_fitted_again() -> None:
    """First order for the rest: the error of the approximation is of the square of the change."""
    design = Design("y")
    found = leave_out(panel(), design, two_way, by="unit", refits=5)
    assert (found.table["how"] == "refit").sum() == 5
    exact = {
        str(unit): two_way(panel().select(panel().units != unit), design).values[0] for unit in panel().units
    }
    told = found.table["estimate"].to_numpy()
    true = np.array([exact[label] for label in found.table.index])
    again = (found.table["how"] == "refit").to_numpy()
    np.testing.assert_allclose(told[again], true[again], rtol=1e-9)
    spread = np.abs(true - found.estimate.values[0]).max()
    assert np.abs(told - true).max() < 0.25 * spread
    # the five that were chosen are the five most influential, or tie with them within the approximation
    largest = np.sort(np.abs(true - found.estimate.values[0]))[::-1]
    assert np.abs(true[again] - found.estimate.values[0]).min() > 0.8 * largest[5]


def test_the_approximation_is_exact_for_the_mean_of_one_group() -> None:
    """Group-time effects of one cohort in one period without covariates: a difference of two means.

    Leaving out i of n changes a mean by −(y_i − ȳ)/(n − 1); the influence of the larger N − 1 scales it by N/n.
    """
    design = Design("y")

    def first(p: Panel, d: Design) -> Estimate:
        cells = group_time_effects(p, d)
        return cells.select([list(cells.terms).index((2014, 2014))])

    found = leave_out(panel(), design, first, by="unit", refits=0)
    assert set(found.table["how"]) == {"influence"}
    y, dates = panel().values("y"), panel().constant("adoption")
    gap = y[:, 2] - y[:, 1]
    value = gap[dates == 2014].mean() - gap[dates > 2014].mean()
    n = len(dates)
    for label, side, sign in (("기업00", dates == 2014, 1.0), ("기업05", dates > 2014, -1.0)):
        i = list(panel().units).index(label)
        share = n / side.sum() / (n - 1)
        np.testing.assert_allclose(
            found.table.loc[label, "estimate"],
            value - sign * share * (gap[i] - gap[side].mean()),
            rtol=1e-9,
        )


def test_groups_by_influence_add_up_their_units() -> None:
    design = Design("y")
    units = leave_out(panel(), design, two_way, by="unit", refits=0).table["change"]
    groups = leave_out(panel(), design, two_way, by="industry", refits=0).table
    industry = panel().constant("industry")
    n = len(industry)
    for label in groups.index:
        own = units.loc[panel().units[industry == label]].sum() * (n - 1) / (n - (industry == label).sum())
        np.testing.assert_allclose(groups.loc[label, "change"], own, rtol=1e-9)
    assert (groups["units"] == [int((industry == label).sum()) for label in groups.index]).all()


def test_a_group_without_which_nothing_is_left_is_told() -> None:
    """Leaving out the only treated industry leaves no effect."""
    own = panel()
    dates = np.where(own.constant("industry") == "가", 2014.0, np.inf)
    found = leave_out(own.with_fixed(adoption=dates), Design("y"), two_way, by="industry")
    assert list(found.failed) == ["가"]
    assert found.table.index[0] == "가"
    assert np.isnan(found.table["estimate"].iloc[0])
    assert found.check.detail["undefined"] == 1


def test_aggregates_are_left_out_as_they_are() -> None:
    def averaged(p: Panel, d: Design) -> Estimate:
        return aggregate.overall(group_time_effects(p, d))

    design = Design("y", cluster="region")
    found = leave_out(panel(), design, averaged, by="industry")
    keep = panel().constant("industry") != "나"
    np.testing.assert_allclose(
        found.table.loc["나", "estimate"], averaged(panel().select(keep), design).values[0], rtol=1e-10
    )


@pytest.mark.peer
def test_diff_diff_agrees_on_deletions() -> None:
    diff_diff = pytest.importorskip("diff_diff")
    one = panel().select(np.isin(panel().constant("region"), [0, 2, 3, 4]))
    frame = one.to_long().assign(
        treated=lambda f: np.isfinite(f["adoption"]).astype(int), post=lambda f: (f["period"] >= 2014) * 1
    )
    theirs = diff_diff.leave_one_out_test(frame, "y", "treated", post="post", unit="unit")
    ours = leave_out(one, Design("y"), two_way, by="unit")
    effects = theirs.leave_one_out_effects
    compared = {label: value for label, value in effects.items() if np.isfinite(value)}
    assert len(compared) >= 6
    np.testing.assert_allclose(
        [ours.table.loc[str(label), "estimate"] for label in compared], list(compared.values()), rtol=1e-8
    )
