"""Placebos, negative controls and anticipation against means and panels cut by hand, explicit loops and diff_diff 3.13.

With one adoption date and a complete panel the two-way coefficient is a difference in mean changes, so every placebo is a few
means; under staggered adoption the panel is cut from the long table and handed to `two_way_effects`.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evalkit import aggregate
from evalkit.checks.anticipation import anticipation_effects
from evalkit.checks.negative_controls import negative_control_exposures, negative_control_outcomes
from evalkit.checks.placebo import placebo_in_industry, placebo_in_time
from evalkit.checks.placebo_places import placebo_in_place
from evalkit.checks.reassignment import two_way_coefficient
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import cluster_jackknife, wald
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
EXACT = 1e-10


def two_way(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design).select([0])


@cache
def one_date(seed: int = 1) -> Panel:
    """24 units in 8 regions, 7 years, regions 0–2 treated from 2016."""
    rng = np.random.default_rng(seed)
    n, years = 24, np.arange(2011, 2018)
    region = np.arange(n) % 8
    treated = region < 3
    y = rng.normal(size=(n, 1)) + 0.2 * np.arange(7) + rng.normal(size=(n, 7)) * 0.5
    y = y + 1.5 * treated[:, None] * (years >= 2016)
    other = rng.normal(size=(n, 7)) + 0.5 * rng.normal(size=(8, 7))[region]
    return Panel(
        np.arange(n),
        years,
        {"y": y, "public": other, "other": rng.normal(size=(n, 7)) + 0.5 * other},
        {
            "adoption": np.where(treated, 2016.0, np.inf),
            "region": region,
            "industry": np.array(["자동차", "기계", "식품"])[np.arange(n) // 8],
            "announced": np.where((region == 3) | (region == 0), 2014.0, np.inf),
            "side": np.where(region < 5, "동", "서"),
        },
    )


def change(y: np.ndarray, treated: np.ndarray, after: np.ndarray) -> float:
    """Difference in mean changes."""
    gap = y[:, after].mean(axis=1) - y[:, ~after].mean(axis=1)
    return float(gap[treated].mean() - gap[~treated].mean())


@cache
def s1() -> pd.DataFrame:
    return pd.read_csv(HERE / "data" / "S1_panel.csv")


def s1_panel(frame: pd.DataFrame) -> Panel:
    frame = frame.assign(adoption=frame["g"].where(frame["g"] > 0, np.inf))
    return Panel.from_long(
        frame, unit="unit", period="year", varying=["y", "x2"], fixed=["adoption", "region"]
    )


# -- time --------------------------------------------------------------------------------------------------


def test_moved_dates_are_differences_in_means_before_adoption() -> None:
    panel = one_date()
    found = placebo_in_time(panel, Design("y"), two_way)
    y, treated = panel.values("y")[:, :5], np.isfinite(panel.constant("adoption"))
    assert list(found.table.index) == [1, 2, 3, 4]
    for shift in found.table.index:
        after = np.arange(2011, 2016) >= 2016 - shift
        np.testing.assert_allclose(found.table.loc[shift, "estimate"], change(y, treated, after), rtol=EXACT)
        assert found.table.loc[shift, "before"] == 5 - shift
        assert found.table.loc[shift, "after"] == shift
    whole = change(panel.values("y"), treated, panel.periods >= 2016)
    np.testing.assert_allclose(found.estimate, whole, rtol=EXACT)


def test_moved_dates_are_tested_together_with_their_covariance() -> None:
    """The Wald test from scores of the mean changes, unit by unit, scaled to the errors of each estimate."""
    panel = one_date()
    found = placebo_in_time(panel, Design("y"), two_way)
    y, treated = panel.values("y")[:, :5], np.isfinite(panel.constant("adoption"))
    scores = []
    for shift in found.table.index:
        after = np.arange(2011, 2016) >= 2016 - shift
        gap = y[:, after].mean(axis=1) - y[:, ~after].mean(axis=1)
        own = np.where(treated, gap - gap[treated].mean(), gap - gap[~treated].mean())
        scores.append(np.where(treated, own / treated.sum(), -own / (~treated).sum()))
    correlation = np.array(scores) @ np.array(scores).T
    size = np.sqrt(np.diag(correlation))
    errors, values = found.table["std_error"].to_numpy(), found.table["estimate"].to_numpy()
    covariance = correlation / np.outer(size, size) * np.outer(errors, errors)
    q, eta = len(values), len(treated) - 1
    statistic = (eta - q + 1) / (eta * q) * values @ np.linalg.solve(covariance, values)
    assert found.combined == "wald"
    np.testing.assert_allclose(found.p_value, stats.f.sf(statistic, q, eta - q + 1), rtol=1e-8)


def test_the_joint_test_of_jackknife_estimates_uses_replicates() -> None:
    panel, design = one_date(), Design("y", cluster="region")

    def jackknifed(p: Panel, d: Design) -> Estimate:
        return cluster_jackknife(two_way(p, d))

    found = placebo_in_time(panel, design, jackknifed)
    each = [jackknifed(_cut(panel, shift), design) for shift in (1, 2, 3, 4)]
    gaps = np.stack([e.replicates[:, 0] - e.values[0] for e in each], axis=1)  # type: ignore[index]
    covariance = 7 / 8 * gaps.T @ gaps
    values = found.table["estimate"].to_numpy()
    np.testing.assert_allclose(found.table["std_error"], np.sqrt(np.diag(covariance)), rtol=EXACT)
    statistic = (7 - 4 + 1) / (7 * 4) * values @ np.linalg.solve(covariance, values)
    np.testing.assert_allclose(found.p_value, stats.f.sf(statistic, 4, 4), rtol=1e-7)


def _cut(panel: Panel, shift: int) -> Panel:
    dates = panel.constant("adoption")
    return panel.select(periods=range(2011, 2016)).with_fixed(adoption=dates - shift)


def test_holm_stands_in_where_asked_for() -> None:
    found = placebo_in_time(one_date(), Design("y"), two_way, joint="holm")
    p = np.sort(found.table["p_value"].to_numpy())
    expected = float(np.minimum(p * np.array([4, 3, 2, 1]), 1)[0])
    assert found.combined == "holm"
    np.testing.assert_allclose(found.p_value, expected, rtol=EXACT)


@pytest.mark.parametrize("shift", [1, 2])
def test_staggered_dates_on_the_periods_before_the_first(shift: int) -> None:
    frame = s1()
    first = int(frame.loc[frame["g"] > 0, "g"].min())
    found = placebo_in_time(s1_panel(frame), Design("y", cluster="region"), two_way, shifts=[shift])
    cut = frame[frame["year"] < first].copy()
    last = cut["year"].max()
    moved = (cut["g"] - shift).where(cut["g"] > 0, 0)
    cut["g"] = moved.where(moved <= last, 0)
    if (cut["g"].between(1, cut["year"].min())).any():
        cut = cut[~cut["g"].between(1, cut["year"].min())]
    by_hand = two_way(s1_panel(cut), Design("y", cluster="region")).table().iloc[0]
    row = found.table.loc[shift]
    np.testing.assert_allclose(
        row[["estimate", "std_error", "p_value"]].astype(float),
        by_hand[["estimate", "std_error", "p_value"]],
        rtol=1e-9,
    )


@pytest.mark.parametrize("shift", [1, 3])
def test_staggered_dates_on_each_units_own_periods(shift: int) -> None:
    frame = s1()
    found = placebo_in_time(
        s1_panel(frame), Design("y", cluster="region"), two_way, shifts=[shift], cut="cells"
    )
    cut = frame[(frame["g"] == 0) | (frame["year"] < frame["g"])]
    cut = cut[cut["year"] < frame["g"].max()].copy()
    cut = cut[(cut["g"] == 0) | (cut["g"] - shift > cut["year"].min())]
    cut["g"] = (cut["g"] - shift).where(cut["g"] > 0, 0)
    by_hand = two_way(s1_panel(cut), Design("y", cluster="region")).table().iloc[0]
    np.testing.assert_allclose(found.table.loc[shift, "estimate"], by_hand["estimate"], rtol=1e-9)
    np.testing.assert_allclose(found.table.loc[shift, "std_error"], by_hand["std_error"], rtol=1e-9)


def test_anticipated_periods_are_neither_before_nor_after() -> None:
    """One period of anticipation: 2015 is touched, and the period before each moved date is left out."""
    panel = one_date()
    found = placebo_in_time(panel, Design("y", anticipation=1), two_way)
    y, treated = panel.values("y"), np.isfinite(panel.constant("adoption"))
    kept = {
        2: [2011, 2012, 2014],
        3: [2011, 2013, 2014],
    }  # the moved date 2014 leaves out 2013, 2013 leaves out 2012
    assert list(found.table.index) == [2, 3]
    for shift, years in kept.items():
        at = np.isin(panel.periods, years)
        # the period left out of the treated group alone does not enter the coefficient of a balanced rest
        untreated = y[~treated][:, at]
        both = np.concatenate([y[treated][:, at], untreated])
        flag = np.repeat([True, False], [treated.sum(), (~treated).sum()])
        after = np.array(years) >= 2016 - shift
        np.testing.assert_allclose(found.table.loc[shift, "estimate"], change(both, flag, after), rtol=1e-8)


# -- place -------------------------------------------------------------------------------------------------


def test_every_assignment_among_comparison_regions() -> None:
    panel, design = one_date(), Design("y", cluster="region")
    found = placebo_in_place(panel, design, two_way_coefficient)
    y, region = panel.values("y"), panel.constant("region")
    after, pool = panel.periods >= 2016, range(3, 8)
    values = {}
    for chosen in combinations(pool, 3):
        keep = region >= 3
        values[", ".join(map(str, chosen))] = change(y[keep], np.isin(region[keep], chosen), after)
    assert found.exact
    assert len(found.table) == 10
    told = dict(zip(found.table["assigned"], found.table["estimate"], strict=True))
    assert told.keys() == values.keys()
    np.testing.assert_allclose([told[k] for k in values], list(values.values()), rtol=1e-9)
    actual = change(y, region < 3, after)
    larger = sum(abs(v) >= abs(actual) for v in values.values())
    assert found.p_value == (1 + larger) / 11
    assert found.rank == 1 + larger
    assert found.smallest_p == 1 / 11
    slow = placebo_in_place(panel, design, two_way)
    np.testing.assert_allclose(slow.table["estimate"], found.table["estimate"], rtol=1e-9)
    np.testing.assert_allclose(slow.table["p_value"], found.table["p_value"], rtol=1e-7)
    assert (slow.p_value, slow.p_studentised) == (found.p_value, found.p_studentised)


def test_cohorts_are_moved_whole() -> None:
    """Two cohorts of one region each among six comparison regions: 30 ordered pairs."""
    rng = np.random.default_rng(5)
    years, region = np.arange(2011, 2017), np.repeat(np.arange(8), 2)
    dates = np.array([2013.0, 2015.0, *[np.inf] * 6])[region]
    panel = Panel(
        np.arange(16), years, {"y": rng.normal(size=(16, 6))}, {"adoption": dates, "region": region}
    )
    design = Design("y", cluster="region")
    found = placebo_in_place(panel, design, two_way)
    clean = panel.select(region >= 2)
    values = []
    for early, late in permutations(range(2, 8), 2):
        own = np.select([region == early, region == late], [2013.0, 2015.0], np.inf)[region >= 2]
        values.append(two_way(clean.with_fixed(adoption=own), design).values[0])
    np.testing.assert_allclose(np.sort(found.table["estimate"]), np.sort(values), rtol=1e-9)
    actual = abs(two_way(panel, design).values[0])
    assert found.p_value == (1 + int((np.abs(values) >= actual).sum())) / 31


def test_strata_keep_the_treatment_on_its_side() -> None:
    rng = np.random.default_rng(6)
    years, region = np.arange(2011, 2016), np.repeat(np.arange(9), 2)
    dates = np.where(np.isin(region, (0, 5)), 2014.0, np.inf)
    side = np.where(region < 5, "동", "서")
    panel = Panel(
        np.arange(18),
        years,
        {"y": rng.normal(size=(18, 5))},
        {"adoption": dates, "region": region, "side": side},
    )
    found = placebo_in_place(panel, Design("y", cluster="region"), two_way, strata="side")
    expected = {f"{a}, {b}" for a in range(1, 5) for b in range(6, 9)}
    assert set(found.table["assigned"]) == expected
    assert len(found.table) == 12


# -- outcome, exposure, industry -----------------------------------------------------------------------------


def test_negative_control_outcomes_one_by_one_and_together() -> None:
    panel, design = one_date(), Design("y", cluster="region")
    found = negative_control_outcomes(panel, design, two_way, ["public", "other"])
    each = [two_way(panel, Design(name, cluster="region")) for name in ("public", "other")]
    np.testing.assert_allclose(found.table["estimate"], [e.values[0] for e in each], rtol=EXACT)
    sums = []
    for e in each:
        assert e.influence is not None
        sums.append(np.bincount(e.cluster, e.influence[:, 0]) / e.n_units)
    r = float(np.dot(*sums) / np.sqrt(np.dot(sums[0], sums[0]) * np.dot(sums[1], sums[1])))
    z = found.table["estimate"].to_numpy() / found.table["std_error"].to_numpy()
    quadratic = float((z[0] ** 2 - 2 * r * z[0] * z[1] + z[1] ** 2) / (1 - r**2))
    p = stats.f.sf((7 - 2 + 1) / (7 * 2) * quadratic, 2, 6)
    np.testing.assert_allclose(found.p_value, p, rtol=1e-8)
    assert r > 0.1  # the outcomes move together, so the covariance matters
    smaller, larger = np.sort(found.table["p_value"])
    np.testing.assert_allclose(
        np.sort(found.table["p_holm"]), [min(2 * smaller, 1), min(max(2 * smaller, larger), 1)]
    )
    assert found.check.reason in ("no_placebo_effect", "placebo_effect_found")


def test_an_outcome_that_the_programme_seems_to_move_fails() -> None:
    panel = one_date()
    on = (panel.periods >= panel.constant("adoption")[:, None]).astype(float)
    moved = panel.with_varying(public=panel.values("public") + 5 * on)
    check = negative_control_outcomes(moved, Design("y"), two_way, ["public", "other"]).check
    assert (check.verdict, check.reason) == ("fail", "placebo_effect_found")


def test_cancelled_zones_against_never_announced_ones() -> None:
    panel = one_date()
    found = negative_control_exposures(panel, Design("y", cluster="region"), two_way, announced="announced")
    region, y = panel.constant("region"), panel.values("y")
    keep = region >= 3
    expected = change(y[keep], region[keep] == 3, panel.periods >= 2014)
    np.testing.assert_allclose(found.table.loc["cancelled", "estimate"], expected, rtol=EXACT)
    assert found.detail == {"cancelled": 3, "comparison": 12}
    # one cancelled region has no standard error of its own: nothing is claimed
    assert (found.check.verdict, found.check.reason) == ("unknown", "no_error")


def test_industries_that_are_not_targets() -> None:
    panel, design = one_date(), Design("y", cluster="region")
    industry, region = panel.constant("industry"), panel.constant("region")
    own = np.where(
        (industry == "자동차") & (region < 3), 2016.0, np.inf
    )  # the others have no date of their own
    listed = panel.with_fixed(adoption=own)
    found = placebo_in_industry(listed, design, two_way, industry="industry", target=["자동차"])
    y, after = panel.values("y"), panel.periods >= 2016
    for name in ("기계", "식품"):
        at = industry == name
        np.testing.assert_allclose(
            found.table.loc[name, "estimate"], change(y[at], region[at] < 3, after), rtol=EXACT
        )
    at = industry != "자동차"
    np.testing.assert_allclose(
        found.table.loc["(all)", "estimate"], change(y[at], region[at] < 3, after), rtol=EXACT
    )
    target = ~at
    np.testing.assert_allclose(found.estimate, change(y[target], region[target] < 3, after), rtol=EXACT)
    masked = placebo_in_industry(listed, design, two_way, industry=target)
    np.testing.assert_allclose(masked.table.loc["other"], found.table.loc["(all)"][masked.table.columns].fillna(
        {"p_holm": masked.table.loc["other", "p_holm"]}), rtol=EXACT)  # fmt: skip


# -- anticipation --------------------------------------------------------------------------------------------


def announced(effect: float, early: float, noise: float = 0.0, seed: int = 2) -> Panel:
    """Effect from 2016 on, and already `early` in 2015."""
    rng = np.random.default_rng(seed)
    n, years = 40, np.arange(2010, 2019)
    treated = np.arange(n) < 16
    y = rng.normal(size=(n, 1)) + 0.3 * (years - 2010) + noise * rng.normal(size=(n, 9))
    y = y + treated[:, None] * (effect * (years >= 2016) + early * (years == 2015))
    return Panel(np.arange(n), years, {"y": y}, {"adoption": np.where(treated, 2016.0, np.inf)})


def test_a_known_announcement_is_found_and_put_right() -> None:
    def averaged(panel: Panel, design: Design) -> Estimate:
        return aggregate.overall(group_time_effects(panel, design))

    found = anticipation_effects(announced(2.0, 0.7), Design("y"), averaged)
    # the base 2015 holds the announcement without anticipation, and not with it
    np.testing.assert_allclose(found.table["estimate"], [1.3, 2.0, 2.0], atol=1e-9)
    np.testing.assert_allclose(found.table["change"].iloc[1:], [0.7, 0.7], atol=1e-9)
    np.testing.assert_allclose(found.table["early"].iloc[1:], [0.7, 0.35], atol=1e-9)
    assert np.isnan(found.table.loc[0, ["early", "change"]]).all()


def test_the_change_has_the_interval_of_a_difference_of_long_differences() -> None:
    """2018 − 2014 less 2018 − 2015 is 2015 − 2014: its mean difference with the error of that difference."""

    def last(panel: Panel, design: Design) -> Estimate:
        cells = group_time_effects(panel, design)
        return cells.select([len(cells) - 1])  # the last cohort in the last period

    panel = announced(2.0, 0.7, noise=0.4)
    found = anticipation_effects(panel, Design("y"), last, periods=(0, 1))
    y, treated = panel.values("y"), np.isfinite(panel.constant("adoption"))
    gap = y[:, 5] - y[:, 4]
    value = gap[treated].mean() - gap[~treated].mean()
    np.testing.assert_allclose(found.table.loc[1, "change"], value, rtol=1e-9)
    long = [y[:, 8] - y[:, 5], y[:, 8] - y[:, 4]]
    means = [np.where(treated, g - g[treated].mean(), -(g - g[~treated].mean())) for g in long]
    weight = np.where(treated, 1 / treated.sum(), 1 / (~treated).sum())
    error = float(np.sqrt((((means[1] - means[0]) * weight) ** 2).sum()))
    half = 1.959963984540054 * error
    np.testing.assert_allclose(
        found.table.loc[1, ["change_low", "change_high"]].astype(float),
        [value - half, value + half],
        rtol=1e-8,
    )
    np.testing.assert_allclose(found.table.loc[1, "early"], value, rtol=1e-9)
    np.testing.assert_allclose(
        two_way(_before(panel, 1), Design("y")).values[0],
        anticipation_effects(panel, Design("y"), two_way, periods=(0, 1)).table.loc[1, "early"],
        rtol=1e-9,
    )


def _before(panel: Panel, moved: int) -> Panel:
    dates = panel.constant("adoption")
    return panel.select(periods=range(2010, 2016)).with_fixed(adoption=dates - moved)


def test_verdicts_of_anticipation() -> None:
    none = anticipation_effects(announced(2.0, 0.0, noise=0.3, seed=3), Design("y"), two_way).check
    assert (none.verdict, none.reason) == ("pass", "no_anticipation_found")
    some = anticipation_effects(announced(2.0, 0.7, noise=0.3), Design("y"), two_way).check
    assert (some.verdict, some.reason) == ("warn", "effect_before_adoption")

    def averaged(panel: Panel, design: Design) -> Estimate:
        return aggregate.overall(group_time_effects(panel, design))

    turned = anticipation_effects(announced(0.5, 0.5, noise=0.05), Design("y"), averaged).check
    assert (turned.verdict, turned.reason) == ("fail", "conclusion_changes")
    assert turned.detail["changed_at"] == [1, 2]


# -- another package -----------------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize("shift", [1, 2, 3])
def test_diff_diff_agrees_on_moved_dates(shift: int) -> None:
    diff_diff = pytest.importorskip("diff_diff")
    panel = one_date()
    frame = panel.to_long().assign(treated=lambda f: np.isfinite(f["adoption"]).astype(int))
    theirs = diff_diff.placebo_timing_test(
        frame, "y", "treated", "period", 2016 - shift, post_periods=[2016, 2017]
    )
    ours = placebo_in_time(panel, Design("y"), two_way)
    np.testing.assert_allclose(ours.table.loc[shift, "estimate"], theirs.placebo_effect, rtol=1e-8)
    np.testing.assert_allclose(ours.estimate, theirs.original_effect, rtol=1e-8)


@pytest.mark.peer
def test_diff_diff_agrees_on_other_places() -> None:
    diff_diff = pytest.importorskip("diff_diff")
    panel = one_date()
    region = panel.constant("region")
    ours = placebo_in_place(panel, Design("y", cluster="region"), two_way)
    for row in (0, 4, 9):
        names = [int(name) for name in ours.table["assigned"][row].split(", ")]
        frame = panel.select(region >= 3).to_long()
        fake = panel.units[np.isin(region, names)].tolist()
        theirs = diff_diff.placebo_group_test(frame, "y", "period", "unit", fake, post_periods=[2016, 2017])
        np.testing.assert_allclose(ours.table["estimate"][row], theirs.placebo_effect, rtol=1e-8)


def test_the_joint_wald_is_the_kits_own() -> None:
    """`together` hands a stack to `wald`: one estimate alone is its own t test squared."""
    panel = one_date()
    found = placebo_in_time(panel, Design("y"), two_way, shifts=[2])
    single = two_way(_cut(panel, 2), Design("y"))
    np.testing.assert_allclose(found.p_value, wald(single).p_value, rtol=1e-9)
    np.testing.assert_allclose(found.p_value, found.table["p_value"].iloc[0], rtol=1e-9)
