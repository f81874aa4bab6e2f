"""The decision table applied: which test leads, what stands beside it, and what is said where it cannot be had."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import provinces
import pytest

from evalkit.checks._power_trials import _excludes
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.poisson import poisson_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import cluster_counts, cluster_jackknife, ferman_pinto, headline, wider
from evalkit.inference.beside import named_tests, reassigned_ratio
from evalkit.inference.headline import Headline
from evalkit.inference.refit import Fit, Refits, only_term
from evalkit.interval_set import IntervalSet
from evalkit.panel import Panel

LEVEL = 0.95


def lead(
    treated: int, *, fit: Fit = two_way_effects, refits: bool = True, seed: int = 3, **options: object
) -> tuple[Headline, Panel, Estimate]:
    panel = provinces.world(np.random.default_rng(seed), 14, treated)
    design = Design("y", cluster="province")
    est = fit(panel, design)
    counts = cluster_counts(est, np.asarray(panel.constant("adoption")))
    again = Refits(panel, design, fit, draws=499, **options) if refits else None  # type: ignore[arg-type]
    return headline(est, counts, refits=again), panel, est


def test_two_to_four_treated_clusters_lead_with_residuals_rescaled() -> None:
    found, panel, est = lead(3)
    assert (found.row.lead, found.name, found.covered) == ("FP-v", "FP-v", True)
    own = ferman_pinto(panel, Design("y", cluster="province"), two_way_effects, draws=499)
    assert found.interval is not None
    assert (found.interval.p_value, found.interval.pieces) == (own.p_value, own.pieces)
    row = found.first(LEVEL)
    assert (row["conf_low"], row["conf_high"], row["p_value"]) == (own.low, own.high, own.p_value)
    assert row["estimate"] == est.values[0]
    assert math.isnan(row["std_error"])  # a test has no standard error, and none is borrowed for it
    assert {"RI"} <= set(found.sets)
    assert found.sets["RI"].method == "RI-t"
    assert {"CR2", "CV1"} <= {*found.companions, found.estimate.inference}


def test_the_covariance_behind_a_leading_test_is_the_wider() -> None:
    found, _, est = lead(3)
    second = found.companions.get("CR2", found.estimate)
    assert found.estimate.std_errors[0] == wider(cluster_jackknife(est), second).std_errors[0]


def test_without_the_panel_the_wider_covariance_leads_and_nothing_is_claimed() -> None:
    found, _, _ = lead(3, refits=False)
    assert (found.row.lead, found.interval, found.covered) == ("wider", None, False)
    assert found.reasons[0] == "few_clusters_wider_leads"


def test_enough_clusters_lead_with_the_jackknife_and_the_wild_bootstrap_beside() -> None:
    found, _, _ = lead(6)
    assert (found.name, found.interval, found.covered) == ("CV3", None, True)
    assert set(found.sets) == {"WCR-S"}
    assert found.first(LEVEL)["p_value"] == found.estimate.table(LEVEL)["p_value"].iloc[0]


def test_one_treated_cluster_has_no_p_value_and_its_tests_are_exploratory() -> None:
    found, _, _ = lead(1)
    assert not found.p_value_allowed
    assert not found.covered
    row = found.first(LEVEL)
    assert np.isnan([row["std_error"], row["conf_low"], row["conf_high"], row["p_value"]]).all()
    assert set(found.sets) == {"FP-v", "RI", "Hagemann"}
    assert found.sets["RI"].method == "RI-β"
    assert found.sets["Hagemann"].detail["side"] == "two"
    assert found.sets["RI"].smallest_p == pytest.approx(1 / 14)
    assert "no_rejection_possible" in found.sets["RI"].notes


def test_a_lead_that_cannot_be_computed_is_said_and_the_wider_stands_in() -> None:
    """A method that is not linear in the outcome has no weights to put residuals through."""

    def crooked(panel: Panel, design: Design) -> Estimate:
        est = two_way_effects(panel, design)
        return replace(est, values=np.abs(est.values) + 1.0)

    found, _, _ = lead(3, fit=crooked)
    assert found.interval is None
    assert found.reasons[-1] == "lead_not_computed"
    assert not found.covered
    assert "선형" in found.missing["FP-v"]
    assert np.isfinite(found.first(LEVEL)["p_value"])


def test_several_terms_have_no_leading_test() -> None:
    panel = provinces.world(np.random.default_rng(1), 14, 3)
    design = Design("y", cluster="province")
    est = two_way_effects(panel, design)
    twice = est.combine([[1.0], [2.0]], ["a", "b"])
    counts = cluster_counts(est, np.asarray(panel.constant("adoption")))
    found = headline(twice, counts, refits=Refits(panel, design, two_way_effects))
    assert (found.interval, dict(found.sets), found.row.refitting) == (None, {}, ("none",))


def test_a_coarser_level_counts_where_there_are_forty_clusters() -> None:
    rng = np.random.default_rng(2)
    region = np.repeat(np.arange(50), 2)
    adoption = np.where(region < 20, 5.0, np.inf)
    y = provinces.shocks(rng, 14)[region % 14] + rng.normal(size=(100, provinces.PERIODS))
    panel = Panel(
        np.arange(100),
        np.arange(provinces.PERIODS),
        {"y": y},
        {"adoption": adoption, "fine": region, "coarse": region % 14},
    )
    fine, coarse = (two_way_effects(panel, Design("y", cluster=name)) for name in ("fine", "coarse"))
    counts = cluster_counts(fine, adoption)
    found = headline(fine, counts, coarser=coarse)
    assert (found.row.lead, found.covered) == ("levels", False)
    both = wider(cluster_jackknife(fine), cluster_jackknife(coarse))
    assert found.estimate.std_errors[0] == both.std_errors[0]
    assert headline(fine, counts).row.lead == "CV3"


def two_levels(split: bool) -> tuple[Estimate, Estimate, np.ndarray]:
    """45 municipalities of two units in nine provinces; with `split` one of them lies in two provinces."""
    fine = np.repeat(np.arange(45), 2)
    coarse = fine % 9
    if split:
        coarse[7] = 5  # the second unit of municipality 3, whose first lies in province 3
    rng = np.random.default_rng(8)
    adoption = np.where(fine < 20, 5.0, np.inf)
    panel = Panel(
        np.arange(90),
        np.arange(provinces.PERIODS),
        {"y": rng.normal(size=(90, provinces.PERIODS))},
        {"adoption": adoption, "fine": fine, "coarse": coarse},
    )
    return (*(two_way_effects(panel, Design("y", cluster=name)) for name in ("fine", "coarse")), adoption)


def test_a_cluster_in_two_provinces_is_refused_with_its_name() -> None:
    fine, coarse, adoption = two_levels(split=True)
    with pytest.raises(DesignError, match=r"군집 1개가 더 큰 군집 둘에") as caught:
        headline(fine, cluster_counts(fine, adoption), coarser=coarse)
    assert "군집 3" in str(caught.value)
    assert "3, 5" in str(caught.value)
    fine, coarse, adoption = two_levels(split=False)
    assert headline(fine, cluster_counts(fine, adoption), coarser=coarse).row.lead == "levels"
    with pytest.raises(DesignError, match="서로 다른 단위"):
        headline(fine, cluster_counts(fine, adoption), coarser=lead(3)[2])


def test_fewer_comparison_than_treated_clusters_is_said() -> None:
    found, _, _ = lead(11)
    assert (found.row.lead, found.covered) == ("FP-v", False)  # no such design was simulated
    assert "comparison_side_is_smaller" in found.reasons
    assert "comparison_side_is_smaller" not in lead(3)[0].reasons


def test_a_ratio_is_reassigned_and_its_interval_agrees_with_its_p_value() -> None:
    rng = np.random.default_rng(5)
    size = provinces.sizes(14)
    for effect, inside in ((0.0, True), (1.5, False)):
        adoption = np.full(14, np.inf)
        adoption[[1, 7]] = provinces.BEFORE
        on = np.arange(provinces.PERIODS)[None, :] >= adoption[:, None]
        mean = 2_000 * size[:, None] * np.exp(0.08 * provinces.shocks(rng, 14) + effect * on)
        panel = Panel(
            np.arange(14),
            np.arange(provinces.PERIODS),
            {"y": rng.poisson(mean) * 1.0},
            {"adoption": adoption},
        )
        found = reassigned_ratio(Refits(panel, Design("y"), poisson_effects, scale="ratio"))
        assert (0.0 in found) is inside is (found.p_value > 1 - LEVEL)
        assert found.exact
        assert found.draws == 91
        assert "interval_by_shift" in found.notes
        assert found.low + found.high == pytest.approx(2 * found.estimate)


def test_a_ratio_with_few_clusters_leads_with_reassignment() -> None:
    rng = np.random.default_rng(6)
    panel = provinces.world(rng, 14, 2)
    counted = panel.with_varying(y=rng.poisson(np.exp(5 + 0.05 * panel.values("y"))) * 1.0)
    design = Design("y", cluster="province")
    est = poisson_effects(counted, design, replicates=True)
    counts = cluster_counts(est, np.asarray(panel.constant("adoption")))
    found = headline(est, counts, refits=Refits(counted, design, poisson_effects, scale="ratio"))
    assert (found.row.lead, found.covered) == ("RI", True)
    assert found.interval is not None
    assert found.interval.method == "RI-β"


def test_only_the_tests_that_the_row_names_are_made() -> None:
    found, panel, est = lead(3)
    counts = cluster_counts(est, np.asarray(panel.constant("adoption")))
    refits = Refits(panel, Design("y", cluster="province"), two_way_effects, draws=99, intervals=False)
    sets, missing = named_tests(est, counts, replace(found.row, companions=()), refits, level=LEVEL)
    assert (set(sets), missing) == ({"FP-v"}, {})
    assert sets["FP-v"].pieces == ((-np.inf, np.inf),)


def test_one_term_is_asked_for() -> None:
    est = lead(3)[2]
    assert only_term(est) == est.values[0]
    with pytest.raises(UsageError, match="항이 2개"):
        only_term(est.combine([[1.0], [2.0]], ["a", "b"]))


@pytest.mark.parametrize("outcome", [np.ones((14, 10)), np.arange(14.0)[:, None] / 3 + np.arange(10.0) / 7])
@pytest.mark.parametrize("treated", [3, 6])
def test_an_outcome_without_error_has_no_p_value(outcome: np.ndarray, treated: int) -> None:
    panel = provinces.world(np.random.default_rng(1), 14, treated).with_varying(y=outcome)
    design = Design("y", cluster="province")
    est = two_way_effects(panel, design)
    counts = cluster_counts(est, np.asarray(panel.constant("adoption")))
    for intervals in (True, False):
        refits = Refits(panel, design, two_way_effects, draws=199, intervals=intervals)
        found = headline(est, counts, refits=refits)
        assert found.interval is None
        assert not found.covered or not found.first(LEVEL)["p_value"] < 0.05
        with pytest.raises(RefusalError, match="잔차가 모두 0"):
            ferman_pinto(panel, design, two_way_effects, draws=199, interval=intervals)


def test_a_level_that_does_not_exist_is_not_passed_over() -> None:
    est = lead(6)[2]
    panel = provinces.world(np.random.default_rng(3), 14, 3)
    counts = cluster_counts(est, np.asarray(panel.constant("adoption")))
    for level in (1.0, 0.0, math.nan):
        with pytest.raises(UsageError, match="신뢰수준"):
            headline(est, counts, level=level)


def test_sizes_that_are_no_numbers() -> None:
    panel = provinces.world(np.random.default_rng(3), 14, 3).with_fixed(words=np.array(["큼"] * 14))
    design = Design("y", cluster="province")
    est = two_way_effects(panel, design)
    counts = cluster_counts(est, np.asarray(panel.constant("adoption")))
    with pytest.raises(DataError, match="words 이\\(가\\) 숫자가 아님"):
        headline(est, counts, refits=Refits(panel, design, two_way_effects, size="words"))


def coarse_and_fine(treated: int) -> tuple[Estimate, Estimate, Headline]:
    """Fifty municipalities in ten areas, of whose first `treated` municipalities are treated."""
    rng = np.random.default_rng(2)
    area = np.arange(50) // 5
    y = rng.normal(size=(50, 8)) + 2 * rng.normal(size=(10, 8))[area]
    adoption = np.where(np.arange(50) < treated, 4.0, np.inf)
    panel = Panel(np.arange(50), np.arange(8), {"y": y}, {"adoption": adoption, "area": area})
    fine, coarse = two_way_effects(panel, Design("y")), two_way_effects(panel, Design("y", cluster="area"))
    return fine, coarse, headline(fine, cluster_counts(fine, adoption), coarser=coarse)


def test_the_wider_of_two_levels_leads() -> None:
    fine, coarse, found = coarse_and_fine(20)
    errors = [cluster_jackknife(one).std_errors[0] for one in (fine, coarse)]
    assert errors[0] < errors[1] == found.estimate.std_errors[0]
    assert found.reasons[0] == "many_clusters_two_levels"
    assert "coarser_not_computed" not in found.reasons


def test_a_coarser_level_that_cannot_be_computed_is_told() -> None:
    fine, _, found = coarse_and_fine(5)
    assert found.estimate.std_errors[0] == cluster_jackknife(fine).std_errors[0]
    assert "coarser_not_computed" in found.reasons
    assert not found.covered


def test_the_variable_of_sizes_says_which_clusters_are_larger() -> None:
    panel = provinces.world(np.random.default_rng(3), 14, 3)
    on = np.isfinite(np.asarray(panel.constant("adoption"), dtype=np.float64))
    design = Design("y", cluster="province")
    est = two_way_effects(panel, design)
    counts = cluster_counts(est, on)
    for ratio, reason in (
        (1.5, "few_clusters_residuals_lead"),
        (1.51, "few_large_clusters_residuals_lead"),
    ):
        sized = panel.with_fixed(people=np.where(on, ratio, 1.0))
        found = headline(est, counts, refits=Refits(sized, design, two_way_effects, size="people", draws=199))
        assert found.row.reason == reason


REMEMBERED: dict[tuple[bytes, bytes], Estimate] = {}


def remembered(panel: Panel, design: Design) -> Estimate:
    """The Poisson regression, once for each outcome and assignment: levels and numbers of draws share them."""
    key = (panel.values("y").tobytes(), np.asarray(panel.constant("adoption"), dtype=np.float64).tobytes())
    if key not in REMEMBERED:
        REMEMBERED[key] = poisson_effects(panel, design)
    return REMEMBERED[key]


@pytest.mark.parametrize("level", [0.93, 0.95, 0.97])
@pytest.mark.parametrize("draws", [19, 499])
def test_the_interval_of_a_ratio_says_what_its_p_value_says(level: float, draws: int) -> None:
    """Of 91 assignments all are listed; with 19 draws the actual one stands beside."""
    rng = np.random.default_rng(11)
    said = set()
    for effect in (0.0, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7):
        adoption = np.where(np.arange(14) < 2, 3.0, np.inf)
        mean = np.exp(5 + 0.1 * rng.normal(size=(14, 6)))
        mean[:2, 3:] *= np.exp(effect)
        y = rng.poisson(mean) * 1.0
        panel = Panel(np.arange(14), np.arange(6), {"y": y}, {"adoption": adoption})
        again = Refits(panel, Design("y"), remembered, scale="ratio", draws=draws, most_refits=draws)
        found = reassigned_ratio(again, level=level)
        assert found.exact is (draws == 499)
        assert (0.0 in found) is (found.p_value > 1 - level + 1e-12)
        said.add(0.0 in found)
    assert True in said


@pytest.mark.parametrize("bad", [-1.0, 0.0, np.nan])
def test_a_size_that_is_none_is_refused_with_its_unit(bad: float) -> None:
    panel = provinces.world(np.random.default_rng(1), 14, 3)
    size = np.asarray(panel.constant("size")).copy()
    size[4] = bad
    design = Design("y", cluster="province")
    est = two_way_effects(panel, design)
    counts = cluster_counts(est, np.asarray(panel.constant("adoption")))
    refits = Refits(panel.with_fixed(size=size), design, two_way_effects, size="size")
    with pytest.raises(DataError, match="1개") as caught:
        headline(est, counts, refits=refits)
    assert "단위 4" in str(caught.value)


def test_power_does_not_judge_a_test_by_a_set_that_was_not_made() -> None:
    """A p-value of 0.02 beside the whole line: the set was not asked for, and power would be 0 at every effect."""
    bare = IntervalSet(0.4, ((-np.inf, np.inf),), LEVEL, 0.02, "FP-v")
    with pytest.raises(UsageError, match=r"Refits\(intervals=True\)"):
        _excludes(bare, np.zeros(1), LEVEL)
    wide = IntervalSet(0.4, ((-np.inf, np.inf),), LEVEL, 1 - LEVEL, "FP-v")
    assert not _excludes(wide, np.zeros(1), LEVEL)[0]
