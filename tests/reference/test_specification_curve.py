"""The specification curve against nested loops, and its joint test against every assignment estimated by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from evalkit import aggregate
from evalkit.checks.reassignment import FastFit, refit, two_way_coefficient
from evalkit.checks.specification_curve import Choice, curve_statistics, specification_curve
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.reassignment import reassignments
from evalkit.panel import Panel


def two_way(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design).select([0])


def averaged(panel: Panel, design: Design) -> Estimate:
    return aggregate.overall(group_time_effects(panel, design))


@cache
def panel(effect: float = 0.8) -> Panel:
    rng = np.random.default_rng(12)
    n, years = 24, np.arange(2011, 2017)
    region = np.arange(n) % 6
    dates = np.where(region < 2, 2014.0, np.inf)
    y = rng.normal(size=(n, 1)) + rng.normal(size=(n, 6)) * 0.6 + effect * (years >= dates[:, None])
    return Panel(
        np.arange(n),
        years,
        {
            "y": y,
            "real": y + 0.1 * rng.normal(size=(n, 6)),
            "hole": np.where(rng.random((n, 6)) < 0.08, np.nan, y),
            "z": rng.normal(size=(n, 6)),
        },
        {
            "adoption": dates,
            "region": region,
            "w": rng.uniform(0.5, 2.0, n),
            "big": np.arange(n) < 18,
            "part": np.where(np.arange(n) < 12, "앞", "뒤"),
        },
    )


DESIGN = Design("y", cluster="region")


def large(p: Panel) -> Panel:
    return p.select(p.constant("big"))


GRID = {
    "통제": {"없음": Choice(), "z": Choice(design={"covariates": ("z",)})},
    "표본": {"전체": Choice(), "큰 곳": Choice(panel=large)},
    "결과": {"명목": Choice(), "실질": Choice(design={"outcome": "real"})},
}


def by_hand(p: Panel) -> list[Estimate]:
    out = []
    for covariates, sample, outcome in product(((), ("z",)), (False, True), ("y", "real")):
        own = p.select(p.constant("big")) if sample else p
        out.append(two_way(own, Design(outcome, covariates=covariates, cluster="region")))
    return out


def test_the_grid_is_every_combination_in_order() -> None:
    found = specification_curve(panel(), DESIGN, two_way, GRID, draws=0)
    each = by_hand(panel())
    np.testing.assert_allclose(found.table["estimate"], [e.values[0] for e in each], rtol=1e-12)
    np.testing.assert_allclose(found.table["std_error"], [e.std_errors[0] for e in each], rtol=1e-12)
    assert found.choices.to_numpy().tolist() == [
        list(labels) for labels in product(("없음", "z"), ("전체", "큰 곳"), ("명목", "실질"))
    ]
    assert found.planned == 0
    assert found.table["counted"].all()
    p = np.array([e.table()["p_value"].iloc[0] for e in each])
    np.testing.assert_allclose(found.median, np.median([e.values[0] for e in each]))
    np.testing.assert_allclose(found.share_significant, np.mean(p < 0.05))
    np.testing.assert_allclose(found.stouffer, stats.norm.isf(p / 2).sum() / np.sqrt(8), rtol=1e-10)
    assert np.isnan(list(found.joint.values())).all()
    assert found.draws == 0


def explicit(p: Panel) -> np.ndarray:
    """Median, share and Stouffer's z of each of the 15 assignments of two regions of six, the actual one first."""
    region = p.constant("region")
    pairs = sorted(combinations(range(6), 2), key=lambda pair: pair != (0, 1))
    out = []
    for pair in pairs:
        dates = np.where(np.isin(region, pair), 2014.0, np.inf)
        each = by_hand(p.with_fixed(adoption=dates))
        values = np.array([e.values[0] for e in each])
        p_values = np.array([e.table()["p_value"].iloc[0] for e in each])
        middle = np.median(values)
        hits = (p_values < 0.05) & (np.sign(values) == np.sign(middle))
        z = np.sign(values) * stats.norm.isf(p_values / 2)
        out.append([middle, hits.mean(), z.sum() / np.sqrt(len(z))])
    return np.array(out)


@pytest.mark.parametrize("fit", [two_way, two_way_coefficient])
@pytest.mark.parametrize("effect", [0.0, 0.8])
def test_the_joint_test_is_every_assignment_by_hand(fit: FastFit, effect: float) -> None:
    own = panel(effect)
    found = specification_curve(own, DESIGN, fit, GRID, draws=99)
    told = np.abs(explicit(own))
    expected = (told >= told[0] * (1 - 1e-9)).mean(axis=0)
    assert (found.draws, found.exact, found.smallest_p) == (15, True, 1 / 15)
    for k, name in enumerate(("median", "share_significant", "stouffer")):
        assert found.joint[name] == pytest.approx(expected[k], abs=1e-12)
    np.testing.assert_allclose(
        [abs(found.median), found.share_significant, abs(found.stouffer)], told[0], rtol=1e-9
    )
    assert found.not_estimated == 0


def test_the_fast_way_is_the_slow_way_for_every_kind_of_choice() -> None:
    """Weights, holes, covariates, samples, other periods, another cluster and another estimator."""
    grid = {
        "방법": {"이원": Choice(), "집단": Choice(fit=averaged)},
        "가중": {"없음": Choice(), "규모": Choice(design={"weight": "w"})},
        "표본": {
            "전체": Choice(),
            "큰 곳": Choice(panel=large),
            "늦게": Choice(panel=lambda p: p.select(periods=range(2012, 2017))),
        },
        "결과": {"y": Choice(), "빈칸": Choice(design={"outcome": "hole"})},
    }
    fast = specification_curve(panel(), DESIGN, two_way_coefficient, grid)
    slow = specification_curve(panel(), DESIGN, two_way, grid)
    assert len(fast.table) == len(slow.table) == 24
    assert fast.joint == pytest.approx(slow.joint, abs=1e-12)
    np.testing.assert_allclose(fast.table["estimate"], slow.table["estimate"], rtol=1e-10)


@pytest.mark.parametrize(
    "design",
    [
        DESIGN,
        Design("hole", cluster="region", covariates=("z",), weight="w"),
        Design("y"),
        Design("y", covariates=("z",)),
    ],
)
def test_assignments_at_once_are_refits(design: Design) -> None:
    grouped = Design("y", cluster="region")
    chosen = reassignments(panel(), grouped)
    quick = refit(panel(), design, two_way_coefficient, chosen)
    slow = refit(panel(), design, two_way, chosen)
    if design.cluster is None:
        assert not quick.fast  # a region is no cluster of its own here
    else:
        assert quick.fast
    assert not slow.fast
    np.testing.assert_allclose(quick.values, slow.values, rtol=1e-9)
    np.testing.assert_allclose(quick.errors, slow.errors, rtol=1e-9)
    np.testing.assert_allclose(quick.p_values, slow.p_values, rtol=1e-8)


@pytest.mark.parametrize("staggered", [False, True])
@pytest.mark.parametrize("coarse", [False, True])
def test_one_cluster_on_a_side_has_no_error_the_fast_way_either(staggered: bool, coarse: bool) -> None:
    """A sample without region 5: assignments that treat it leave one treated region, whose scores cancel."""
    own = panel().with_fixed(pair=panel().constant("region") % 3)
    if staggered:
        region = own.constant("region")
        own = own.with_fixed(adoption=np.select([region == 0, region == 1], [2014.0, 2015.0], np.inf))
    chosen = reassignments(own, DESIGN)
    keep = own.constant("region") != 5
    here = replace(chosen, group=chosen.group[keep])
    design = Design("y", cluster="pair" if coarse else "region")
    quick = refit(own.select(keep), design, two_way_coefficient, here)
    slow = refit(own.select(keep), design, two_way, here)
    assert quick.fast
    assert np.isnan(slow.errors).any()
    np.testing.assert_allclose(quick.values, slow.values, rtol=1e-9)
    np.testing.assert_allclose(quick.errors, slow.errors, rtol=1e-9)


def test_a_change_that_depends_on_who_is_treated_is_made_anew() -> None:
    """The sample leaves out the comparison region with the largest mean: another one under every assignment."""

    def trimmed(p: Panel) -> Panel:
        region, never = p.constant("region"), np.isinf(p.constant("adoption"))
        means = [
            p.values("y")[(region == r) & never].mean() if (region == r)[never].any() else -9
            for r in range(6)
        ]
        return p.select(region != int(np.argmax(means)))

    grid = {"표본": {"전체": Choice(), "덜어냄": Choice(panel=trimmed)}}
    fast = specification_curve(panel(0.0), DESIGN, two_way_coefficient, grid)
    slow = specification_curve(panel(0.0), DESIGN, two_way, grid)
    assert fast.joint == pytest.approx(slow.joint, abs=1e-12)


def test_another_estimand_stands_apart() -> None:
    grid = GRID | {
        "효과": {
            "평균": Choice(),
            "첫해": Choice(panel=lambda p: p.select(periods=range(2011, 2015)), other_estimand=True),
        }
    }
    found = specification_curve(panel(), DESIGN, two_way_coefficient, grid)
    plain = specification_curve(panel(), DESIGN, two_way_coefficient, GRID)
    assert found.table["counted"].sum() == 8
    assert len(found.table) == 16
    assert found.check.detail["apart"] == 8
    assert (found.median, found.share_significant, found.joint) == (
        plain.median,
        plain.share_significant,
        plain.joint,
    )


def test_failures_are_listed_with_their_reason() -> None:
    grid = {
        "결과": {
            "y": Choice(),
            "없는 것": Choice(design={"outcome": "이익"}),
            "한 해": Choice(panel=lambda p: p.select(periods=[2011])),
        }
    }
    found = specification_curve(panel(), DESIGN, two_way, grid, draws=0)
    assert list(found.failed["결과"]) == ["없는 것", "한 해"]
    assert "이익" in found.failed["reason"][0]
    assert len(found.table) == 1
    assert found.check.detail["failed"] == 2
    assert (found.check.verdict, found.check.reason) == ("warn", "some_failed")


def test_statistics_of_curves_by_hand() -> None:
    values = np.array([[1.0, 2.0, -3.0, np.nan], [-1.0, -2.0, np.nan, np.nan]])
    p_values = np.array([[0.01, 0.5, 0.001, np.nan], [0.04, np.nan, np.nan, np.nan]])
    told = curve_statistics(values, p_values, 0.95)
    z = stats.norm.isf(np.array([0.005, 0.25, 0.0005]))
    np.testing.assert_allclose(told[0], [1.0, 1 / 3, (z[0] + z[1] - z[2]) / np.sqrt(3)])
    np.testing.assert_allclose(told[1], [-1.5, 1 / 2, -stats.norm.isf(0.02)])
    nothing = curve_statistics(np.full((1, 2), np.nan), np.full((1, 2), np.nan), 0.95)
    assert np.isnan(nothing).all()


def test_drawn_assignments_are_the_same_with_the_same_seed() -> None:
    one, two = (
        specification_curve(panel(), DESIGN, two_way_coefficient, GRID, draws=25, most=1, seed=s)
        for s in (3, 3)
    )
    assert one.joint == two.joint
    assert (one.draws, one.exact, one.smallest_p) == (25, False, 1 / 26)
