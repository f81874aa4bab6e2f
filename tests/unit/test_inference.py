"""Inference: each function against a formula written out, and the decision table cell by cell."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import (
    DECISIONS,
    ClusterCounts,
    Headline,
    bias_reduced,
    cluster_counts,
    cluster_jackknife,
    cluster_robust,
    decide,
    headline,
    inflated,
    multiplier_bootstrap,
    strength,
    uniform_band,
    wald,
    wider,
)
from evalkit.panel import Panel


def make(
    k: int = 2,
    clusters: int = 8,
    per: int = 5,
    seed: int = 0,
    dof: float = np.inf,
    replicates: bool = True,
) -> Estimate:
    rng = np.random.default_rng(seed)
    n = clusters * per
    influence = rng.normal(size=(n, k)) + rng.normal(size=(clusters, k)).repeat(per, axis=0)
    values = np.arange(1.0, k + 1)
    cluster = np.arange(n) // per
    sums = np.stack([np.bincount(cluster, influence[:, j]) for j in range(k)], axis=1)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([list(range(k))], names=["event_time"]),
        values=values,
        covariance=sums.T @ sums / n**2,
        influence=influence,
        cluster=cluster,
        cluster_labels=np.array([f"r{c}" for c in range(clusters)]),
        replicates=values - sums / n if replicates else None,
        dof=np.full(k, dof),
        n_treated=np.full(k, 10),
        n_comparison=np.full(k, 20),
        method="test",
        inference="IF",
        units=np.arange(n),
    )


def with_covariance(covariance: np.ndarray, values: np.ndarray, dof: float = np.inf) -> Estimate:
    return replace(
        make(len(values)),
        covariance=np.asarray(covariance, dtype=float),
        values=np.asarray(values, dtype=float),
        dof=np.full(len(values), dof),
    )


def panel(treated: tuple[int, ...] = (0, 1), clusters: int = 8, per: int = 4, seed: int = 3) -> Panel:
    rng = np.random.default_rng(seed)
    n = clusters * per
    region = np.arange(n) // per
    adoption = np.where(np.isin(region, treated), 3.0, np.inf)
    y = rng.normal(size=(n, 5)) + rng.normal(size=(clusters, 5))[region]
    return Panel(
        np.arange(n),
        np.arange(5),
        {"y": y},
        {"adoption": adoption, "region": region, "w": rng.uniform(0.5, 3, n), "unit": np.arange(n)},
    )


# -- cluster robust ---------------------------------------------------------------------------------


def test_without_a_regression_CV1_is_the_cluster_factor_alone() -> None:
    est = make()
    plain, adjusted = cluster_robust(est, "CR0"), cluster_robust(est)
    np.testing.assert_allclose(plain.covariance, est.covariance, rtol=1e-12)
    np.testing.assert_allclose(adjusted.covariance, est.covariance * 8 / 7, rtol=1e-12)
    assert adjusted.dof.tolist() == [7.0, 7.0]
    assert adjusted.inference == "CV1"


def test_units_as_clusters_need_no_sums() -> None:
    est = make(clusters=30, per=1)
    np.testing.assert_allclose(cluster_robust(est, "CR0").covariance, est.covariance, rtol=1e-12)


@pytest.mark.parametrize("kind", ["iid", "CV1-period"])
def test_regression_covariances_need_a_regression(kind: str) -> None:
    with pytest.raises(UsageError, match="없어"):
        cluster_robust(make(), kind)  # type: ignore[arg-type]


def test_a_selection_no_longer_has_the_fit_s_arrays() -> None:
    fitted = two_way_event_study(panel((0, 1, 2)), Design("y", cluster="region"))
    assert cluster_robust(fitted, "iid").inference == "iid"
    with pytest.raises(UsageError):
        cluster_robust(fitted.select([0, 1]), "iid")
    with pytest.raises(RefusalError, match="CR2"):
        bias_reduced(fitted.select([0, 1]))


def test_a_combination_under_the_old_names_is_noticed() -> None:
    fitted = two_way_event_study(panel((0, 1, 2)), Design("y", cluster="region"))
    turned = fitted.combine(2 * np.eye(len(fitted)), fitted.terms)
    with pytest.raises(UsageError):
        cluster_robust(turned, "iid")
    with pytest.raises(RefusalError):
        bias_reduced(turned)


def test_a_selection_after_CR2_keeps_its_exact_joint_test() -> None:
    fitted = bias_reduced(two_way_event_study(panel((0, 1, 2)), Design("y", cluster="region")))
    inside = wald(fitted, [0, 1])
    assert wald(fitted.select([0, 1])) == inside
    assert inside.df_denominator != fitted.dof[:2].min() - 1
    turned = fitted.combine(np.eye(len(fitted))[:2] * 3, fitted.terms[:2])
    assert wald(turned).df_denominator == pytest.approx(fitted.dof[:2].min() - 1)


def test_an_unknown_covariance_is_named() -> None:
    with pytest.raises(UsageError, match="'HC3'"):
        cluster_robust(make(), "HC3")  # type: ignore[arg-type]


def test_no_influence_no_cluster_covariance() -> None:
    with pytest.raises(DesignError, match="영향함수"):
        cluster_robust(replace(make(), influence=None))


# -- jackknife ----------------------------------------------------------------------------------------


def test_jackknife_formula() -> None:
    est = make()
    assert est.replicates is not None
    expected = sum(np.outer(r - est.values, r - est.values) for r in est.replicates) * 7 / 8
    result = cluster_jackknife(est)
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-12)
    assert (result.dof == 7).all()
    assert result.inference == "CV3"


def test_an_undefined_replicate_flags_its_term_and_no_other() -> None:
    est = make(3)
    assert est.replicates is not None
    broken = est.replicates.copy()
    broken[[2, 5], 1] = np.nan
    result = cluster_jackknife(replace(est, replicates=broken))
    assert np.isnan(result.covariance[1]).all()
    assert np.isnan(result.covariance[:, 1]).all()
    whole = cluster_jackknife(est)
    np.testing.assert_array_equal(
        result.covariance[np.ix_([0, 2], [0, 2])], whole.covariance[np.ix_([0, 2], [0, 2])]
    )
    assert result.detail["jackknife_undefined"] == {"1": ["r2", "r5"]}
    assert "jackknife_undefined" not in cluster_jackknife(replace(result, replicates=est.replicates)).detail


def test_no_replicates_is_a_refusal_that_names_the_alternative() -> None:
    with pytest.raises(RefusalError, match="cluster_robust"):
        cluster_jackknife(make(replicates=False))


# -- CR2 ------------------------------------------------------------------------------------------------


def test_large_weighted_fits_fall_back_to_the_moment_form(monkeypatch: pytest.MonkeyPatch) -> None:
    design = Design("y", cluster="region", weight="w")
    rows = bias_reduced(two_way_effects(panel(), design))
    inverse = bias_reduced(two_way_effects(panel(), design), "inverse")
    monkeypatch.setattr("evalkit.estimators._two_way_fit.ROW_LIMIT", 0)
    moments = two_way_effects(panel(), design)
    fallen = bias_reduced(moments)
    assert (rows.detail["working"], fallen.detail["working"]) == ("identity", "inverse")
    np.testing.assert_array_equal(fallen.covariance, inverse.covariance)
    assert abs(rows.std_errors[0] / inverse.std_errors[0] - 1) > 1e-4
    with pytest.raises(RefusalError, match="working='inverse'"):
        bias_reduced(moments, "identity")


def test_equal_weights_are_no_weights() -> None:
    even = panel().with_fixed(w=np.full(32, 2.5))
    plain = bias_reduced(two_way_effects(even, Design("y", cluster="region")))
    for working in ("identity", "inverse"):
        weighted = bias_reduced(two_way_effects(even, Design("y", cluster="region", weight="w")), working)  # type: ignore[arg-type]
        np.testing.assert_allclose(weighted.covariance, plain.covariance, rtol=1e-9)
        np.testing.assert_allclose(weighted.dof, plain.dof, rtol=1e-9)


def test_the_only_treated_cluster_leaves_CR2_undefined() -> None:
    """Taken as it comes, CR2 would see an eighth of the variance here."""
    est = bias_reduced(two_way_effects(panel((4,)), Design("y", cluster="region")))
    assert est.detail["bias_reduced_undefined"] == ["treatment"]
    assert np.isnan(est.covariance).all()
    assert np.isnan(est.dof).all()
    two = bias_reduced(two_way_effects(panel((4, 5)), Design("y", cluster="region")))
    assert two.detail["bias_reduced_undefined"] == []


def test_an_unknown_working_model_is_named() -> None:
    with pytest.raises(UsageError, match="'ar1'"):
        bias_reduced(two_way_effects(panel(), Design("y", cluster="region")), "ar1")  # type: ignore[arg-type]


def test_equal_clusters_with_one_adoption_have_textbook_degrees_of_freedom() -> None:
    """G1 against G0 equal clusters: Welch's degrees of freedom at equal variances."""
    g1, g0 = 3, 5
    est = bias_reduced(two_way_effects(panel((0, 1, 2), clusters=8), Design("y", cluster="region")))
    expected = (1 / g1 + 1 / g0) ** 2 / (1 / (g1**2 * (g1 - 1)) + 1 / (g0**2 * (g0 - 1)))
    np.testing.assert_allclose(est.dof, expected, rtol=1e-9)


# -- bands ------------------------------------------------------------------------------------------------


def test_independent_normal_terms_have_the_sidak_critical_value() -> None:
    band = uniform_band(with_covariance(np.diag([4.0, 1.0, 0.25]), np.zeros(3)), draws=400_000)
    exact = stats.norm.ppf((1 + 0.95 ** (1 / 3)) / 2)
    assert band.critical == pytest.approx(exact, rel=0.005)
    np.testing.assert_allclose(band.high, band.critical * np.array([2, 1, 0.5]))
    np.testing.assert_allclose(band.low, -band.high)


def test_correlated_terms_against_the_normal_distribution_function() -> None:
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    c = uniform_band(with_covariance(covariance, np.zeros(2)), draws=400_000).critical
    box = stats.multivariate_normal(np.zeros(2), covariance).cdf([c, c], lower_limit=[-c, -c])
    assert box == pytest.approx(0.95, abs=0.002)


def test_one_term_at_few_clusters_is_the_t_interval() -> None:
    band = uniform_band(with_covariance(np.eye(1), np.zeros(1), dof=5), draws=400_000)
    assert band.critical == pytest.approx(stats.t.ppf(0.975, 5), rel=0.01)
    assert band.critical >= stats.t.ppf(0.975, 5)


def test_the_band_is_deterministic_and_leaves_the_reference_out() -> None:
    est = with_covariance(np.diag([1.0, 0.0, 2.0]), np.array([1.0, 0.0, 3.0]))
    one, two = uniform_band(est, seed=4), uniform_band(est, seed=4)
    assert one.critical == two.critical
    assert uniform_band(est, seed=5).critical != one.critical
    assert np.isnan(one.low).tolist() == [False, True, False]


def test_no_variance_no_band() -> None:
    with pytest.raises(DesignError, match="동시신뢰대"):
        uniform_band(with_covariance(np.full((2, 2), np.nan), np.zeros(2)))


@pytest.mark.parametrize(("level", "draws"), [(1.5, 1000), (0.95, 10)])
def test_impossible_band_options(level: float, draws: int) -> None:
    with pytest.raises(UsageError):
        uniform_band(make(), level=level, draws=draws)


def test_enumerated_signs_are_the_bootstrap_s_limit() -> None:
    """Few clusters: all 2^C sign patterns give the exact distribution that the draws sample."""
    est = make(1, clusters=6)
    assert est.influence is not None
    sums = np.bincount(est.cluster, est.influence[:, 0]) / est.n_units
    every = np.sort(np.array([np.dot(s, sums) for s in product([-1, 1], repeat=6)]))
    drawn = multiplier_bootstrap(est, draws=40_000)
    low, high = np.quantile(every, [0.25, 0.75], method="inverted_cdf")
    exact = (high - low) / (stats.norm.ppf(0.75) - stats.norm.ppf(0.25))
    assert drawn.estimate.std_errors[0] == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_bootstrap_covariance_with_many_clusters(weights: str) -> None:
    est = make(2, clusters=400, per=2)
    result = multiplier_bootstrap(est, draws=20_000, weights=weights)  # type: ignore[arg-type]
    np.testing.assert_allclose(result.estimate.covariance, est.covariance, rtol=0.06, atol=1e-4)
    again = multiplier_bootstrap(est, draws=20_000, weights=weights)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.estimate.covariance, result.estimate.covariance)


def test_bootstrap_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    est = make(2, clusters=100, per=1)
    monkeypatch.setattr("evalkit.inference.band.BLOCK", 200 * 16)
    result = multiplier_bootstrap(est, draws=200, seed=1)
    assert np.isfinite(result.estimate.covariance).all()
    big = multiplier_bootstrap(make(2, clusters=1000, per=1), draws=20_000, seed=1)
    np.testing.assert_allclose(
        np.diag(big.estimate.covariance), np.diag(make(2, clusters=1000, per=1).covariance), rtol=0.06
    )


def test_bootstrap_keeps_the_reference_at_zero_and_skips_missing_terms() -> None:
    est = make(3)
    assert est.influence is not None
    influence = est.influence.copy()
    influence[:, 1], influence[:, 2] = 0.0, np.nan
    result = multiplier_bootstrap(replace(est, influence=influence), draws=500)
    assert result.estimate.covariance[1, 1] == 0
    assert np.isnan(result.estimate.covariance[2, 2])
    assert result.estimate.covariance[0, 0] > 0


def test_unknown_multipliers_are_named() -> None:
    with pytest.raises(UsageError, match="'mammen'"):
        multiplier_bootstrap(make(), weights="mammen")  # type: ignore[arg-type]


# -- joint tests --------------------------------------------------------------------------------------------


def test_chi_squared() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    values = np.array([1.0, -2.0])
    test = wald(with_covariance(covariance, values))
    expected = values @ np.linalg.solve(covariance, values)
    assert test.statistic == pytest.approx(expected, rel=1e-12)
    assert test.p_value == pytest.approx(stats.chi2.sf(expected, 2), rel=1e-12)
    assert (test.df, test.df_denominator, test.rank_reduced, test.omitted) == (2, np.inf, False, ())


def test_hotelling_at_few_clusters() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    values = np.array([1.0, -2.0])
    nu, q = 13.0, 2
    test = wald(with_covariance(covariance, values, dof=nu))
    expected = (nu - q + 1) / (nu * q) * (values @ np.linalg.solve(covariance, values))
    assert test.statistic == pytest.approx(expected, rel=1e-12)
    assert test.p_value == pytest.approx(stats.f.sf(expected, q, nu - q + 1), rel=1e-10)


def test_one_restriction_is_the_t_test() -> None:
    est = bias_reduced(two_way_effects(panel((0, 1, 2)), Design("y", cluster="region")))
    test = wald(est)
    assert test.p_value == pytest.approx(est.table()["p_value"].iloc[0], rel=1e-9)
    assert test.df_denominator == pytest.approx(est.dof[0], rel=1e-9)


def test_a_rank_deficient_covariance_is_flagged() -> None:
    direction = np.array([1.0, 2.0, -1.0])
    covariance = np.outer(direction, direction) + np.outer([1, 0, 0], [1.0, 0, 0])
    test = wald(with_covariance(covariance, np.array([1.0, 2.0, -1.0])))
    assert test.rank_reduced
    assert test.df == 2


def test_more_restrictions_than_clusters_gives_no_p_value() -> None:
    est = cluster_jackknife(make(9, clusters=6))
    test = wald(est)
    assert test.rank_reduced
    assert test.df == 6
    assert np.isnan(test.p_value)
    small = wald(with_covariance(np.eye(4), np.ones(4), dof=2))
    assert np.isnan(small.p_value)
    assert np.isnan(small.statistic)


def test_terms_without_variance_are_left_out_and_named() -> None:
    est = with_covariance(np.diag([1.0, 0.0, np.nan, 1.0]), np.array([1.0, 0.0, 2.0, 1.0]))
    test = wald(est)
    assert test.df == 2
    assert test.omitted == ("1", "2")
    with pytest.raises(DesignError, match="결합 검정"):
        wald(est, [1])


# -- counts ---------------------------------------------------------------------------------------------------


def test_counts_by_cluster_assignment() -> None:
    est = make(1, clusters=14, per=3)
    treated = est.cluster < 4
    counts = cluster_counts(est, treated)
    assert (counts.total, counts.treated, counts.comparison, counts.mixed) == (14, 4, 10, 0)
    assert counts.min_p_permutation == 1 / comb(14, 4)
    assert counts.min_p_sign == 2.0**-13
    assert counts.effective == pytest.approx(14)


def test_mixed_clusters_stand_on_both_sides_and_have_no_permutation_p() -> None:
    est = make(1, clusters=5, per=4)
    treated = np.arange(20) % 4 == 0
    treated[:4] = True
    counts = cluster_counts(est, treated)
    assert (counts.treated, counts.comparison, counts.mixed) == (1, 0, 4)
    assert (counts.treated_side, counts.comparison_side, counts.fewest) == (5, 4, 4)
    assert counts.min_p_permutation is None


def test_one_treated_cluster_is_promised_no_p_value() -> None:
    """Flipping signs of 14 clusters gives 2^-13 at best, but with one treated cluster it does not keep its size."""
    est = make(1, clusters=14, per=3)
    assert cluster_counts(est, est.cluster < 1).min_p_sign is None
    assert cluster_counts(est, np.arange(42) == 0).min_p_sign is None  # one mixed cluster
    assert cluster_counts(est, est.cluster < 2).min_p_sign == 2.0**-13


def test_adoption_periods_count_as_treatment() -> None:
    est = make(1, clusters=4, per=2)
    adoption = np.array([2014, 2014, np.inf, np.inf, np.nan, np.nan, np.inf, np.inf])
    assert cluster_counts(est, adoption).treated == 1
    assert cluster_counts(est, adoption).min_p_permutation == 0.25


def test_unequal_clusters_count_for_less() -> None:
    est = replace(make(1, clusters=3, per=4), cluster=np.array([0] * 10 + [1, 2]))
    counts = cluster_counts(est, np.arange(12) < 10)
    assert counts.effective == pytest.approx(144 / 102)


def test_counts_need_one_value_a_unit() -> None:
    with pytest.raises(DesignError, match="40개"):
        cluster_counts(make(), np.ones(3, dtype=bool))


def test_one_treated_of_fourteen_can_never_reject_at_five_percent() -> None:
    counts = cluster_counts(make(1, clusters=14, per=1), np.arange(14) == 0)
    assert counts.min_p_permutation == pytest.approx(0.0714, abs=1e-4)


def test_inflated_formula() -> None:
    est = make(1, clusters=9, per=2)
    result = inflated(est, cluster_counts(est, est.cluster < 3))
    np.testing.assert_allclose(result.covariance, est.covariance * 3 / 2, rtol=1e-12)
    expected = (1 / 3 + 1 / 6) ** 2 / (1 / (9 * 2) + 1 / (36 * 5))
    assert result.dof[0] == pytest.approx(expected)
    with pytest.raises(DesignError, match="처치 군집 1개"):
        inflated(est, cluster_counts(est, est.cluster < 1))


# -- which leads ------------------------------------------------------------------------------------------------


def counted(
    treated: int, comparison: int, mixed: int = 0, effective: float = np.nan, ratio: float = np.nan
) -> ClusterCounts:
    total = treated + comparison + mixed
    return ClusterCounts(
        total,
        treated,
        comparison,
        mixed,
        None,
        2.0 ** (1 - total),
        float(total),
        effective_treated=effective,
        size_ratio=ratio,
    )


STRENGTHS = {"nothing": 0, "one": 1, "few": 3, "enough": 7, "many": 25}
# rule, strength, assignment, what can be fitted again, treated clusters larger -> lead, keeps its size, reason
CELLS: dict[tuple[str, str, str, str, bool], tuple[str, bool, str]] = {}
for _assignment, _fit, _larger in product(("clusters", "within"), ("linear", "ratio", "none"), (False, True)):
    for _rule in ("auto", "cv3"):
        CELLS[_rule, "nothing", _assignment, _fit, _larger] = ("none", False, "no_clusters_on_one_side")
        CELLS[_rule, "one", _assignment, _fit, _larger] = ("none", False, "one_cluster_on_one_side")
        CELLS[_rule, "enough", _assignment, _fit, _larger] = (
            ("CV3", True, "enough_clusters") if _rule == "auto" else ("CV3", True, "cv3_by_plan")
        )
    CELLS["auto", "many", _assignment, _fit, _larger] = ("levels", False, "many_clusters_two_levels")
    CELLS["cv3", "many", _assignment, _fit, _larger] = ("CV3", True, "cv3_by_plan")
    CELLS["auto", "few", _assignment, _fit, _larger] = ("wider", False, "few_clusters_wider_leads")
    CELLS["cv3", "few", _assignment, _fit, _larger] = ("CV3", False, "cv3_by_plan_few_clusters")
CELLS["auto", "few", "clusters", "linear", False] = ("FP-v", True, "few_clusters_residuals_lead")
CELLS["auto", "few", "clusters", "linear", True] = ("FP-v", False, "few_large_clusters_residuals_lead")
for _larger in (False, True):
    CELLS["auto", "few", "clusters", "ratio", _larger] = ("RI", True, "few_clusters_reassignment_leads")


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell)))
def test_every_cell_of_the_decision_table(cell: tuple[str, str, str, str, bool]) -> None:
    """One row answers each cell, and it is the row written down here."""
    rule, name, assignment, fit, larger = cell
    few = STRENGTHS[name]
    counts = (
        counted(few, 25, ratio=2.0 if larger else 1.0)
        if assignment == "clusters"
        else counted(0, 25, few, ratio=2.0 if larger else 1.0)
    )
    row = decide(counts, rule, refitting=fit, coarser=name == "many")  # type: ignore[arg-type]
    assert (row.lead, row.covers, row.reason) == CELLS[cell]
    matching = [
        r
        for r in DECISIONS
        if r.rule == rule
        and name in r.strength
        and (not r.assignment or assignment in r.assignment)
        and (not r.refitting or fit in r.refitting)
        and (not r.larger or larger in r.larger)
    ]
    assert matching == [row]


def test_every_row_of_the_decision_table_answers_some_cell() -> None:
    assert {row.reason for row in DECISIONS} == {reason for _, _, reason in CELLS.values()}
    assert len(CELLS) == 2 * 5 * 2 * 3 * 2


@pytest.mark.parametrize(
    ("treated", "comparison", "mixed", "effective", "jackknife", "coarser", "expected"),
    [
        (0, 14, 0, np.nan, True, False, "nothing"),
        (1, 13, 0, np.nan, True, False, "one"),
        (13, 1, 0, np.nan, True, False, "one"),
        (2, 12, 0, np.nan, True, False, "few"),
        (4, 10, 0, np.nan, True, False, "few"),
        (10, 4, 0, np.nan, True, False, "few"),
        (5, 9, 0, np.nan, True, False, "enough"),
        (5, 9, 0, 4.99, True, False, "few"),
        (5, 9, 0, 5.0, True, False, "enough"),
        (5, 9, 0, 5.0, False, False, "few"),
        (0, 0, 14, np.nan, True, False, "enough"),
        (1, 9, 4, np.nan, True, False, "enough"),
        (0, 9, 4, np.nan, True, False, "few"),
        (20, 20, 0, np.nan, True, True, "many"),
        (20, 19, 0, np.nan, True, True, "enough"),
        (20, 20, 0, np.nan, True, False, "enough"),
    ],
)
def test_strength(
    treated: int, comparison: int, mixed: int, effective: float, jackknife: bool, coarser: bool, expected: str
) -> None:
    counts = counted(treated, comparison, mixed, effective)
    assert strength(counts, jackknife=jackknife, coarser=coarser) == expected


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(UsageError, match="'cv1'"):
        decide(counted(5, 5), "cv1")  # type: ignore[arg-type]


def lead_of(treated: tuple[int, ...], clusters: int = 10) -> tuple[Estimate, Headline]:
    est = two_way_effects(panel(treated, clusters=clusters), Design("y", cluster="region"))
    return est, headline(est, cluster_counts(est, np.isin(est.cluster, treated)))


def test_enough_clusters_lead_with_the_jackknife() -> None:
    est, lead = lead_of((0, 1, 2, 3, 4))
    assert lead.estimate.inference == "CV3"
    assert set(lead.companions) == {"CR2", "CV1"}
    assert lead.reasons == ("enough_clusters",)
    np.testing.assert_array_equal(lead.estimate.covariance, cluster_jackknife(est).covariance)


def test_few_clusters_lead_with_the_wider_interval() -> None:
    est, lead = lead_of((0, 1, 2))
    ways = [cluster_jackknife(est), bias_reduced(est)]
    widths = [float((w.table()["conf_high"] - w.table()["conf_low"]).iloc[0]) for w in ways]
    table = lead.estimate.table()
    assert float((table["conf_high"] - table["conf_low"]).iloc[0]) == max(widths)
    assert lead.estimate.inference == ways[int(np.argmax(widths))].inference
    assert lead.p_value_allowed


def test_one_treated_cluster_gets_no_interval() -> None:
    est, lead = lead_of((4,))
    assert not lead.p_value_allowed
    assert lead.reasons == ("one_cluster_on_one_side", "jackknife_undefined")
    assert lead.estimate.values[0] == est.values[0]
    row = lead.estimate.table().iloc[0]
    assert np.isnan(row[["std_error", "conf_low", "conf_high", "p_value"]].to_numpy(dtype=float)).all()
    assert "CV1" in lead.companions


def test_group_time_effects_use_the_inflated_covariance_beside_the_jackknife() -> None:
    est = make(1, clusters=9, per=2)
    lead = headline(est, cluster_counts(est, est.cluster < 3))
    assert {lead.estimate.inference, *lead.companions} == {"CV3", "CV1-W", "CV1"}


def test_a_term_without_a_jackknife_takes_the_other_method_and_says_so() -> None:
    est = make(2, clusters=12, per=2)
    assert est.replicates is not None
    broken = est.replicates.copy()
    broken[3, 1] = np.nan
    counts = cluster_counts(est, est.cluster < 6)
    lead = headline(replace(est, replicates=broken), counts)
    assert lead.reasons == ("enough_clusters", "jackknife_undefined")
    assert lead.estimate.inference == "max(CV3,CV1-W)"
    np.testing.assert_allclose(lead.estimate.std_errors[0], cluster_jackknife(est).std_errors[0])
    np.testing.assert_allclose(lead.estimate.std_errors[1], inflated(est, counts).std_errors[1])


def test_many_clusters_without_replicates_lead_with_CV1() -> None:
    est = make(1, clusters=60, per=1, replicates=False)
    lead = headline(est, cluster_counts(est, est.cluster < 30))
    assert lead.estimate.inference == "CV1"
    assert lead.reasons == ("enough_clusters", "jackknife_not_kept")
    few = headline(est, cluster_counts(est, est.cluster < 3))
    assert few.estimate.inference == "CV1-W"


def test_wider_mixes_term_by_term_and_stays_a_covariance() -> None:
    first = with_covariance(np.array([[4.0, 0.5], [0.5, 1.0]]), np.zeros(2), dof=9)
    second = with_covariance(np.array([[1.0, 0.9], [0.9, 9.0]]), np.zeros(2), dof=4)
    both = wider(replace(first, inference="A"), replace(second, inference="B"))
    np.testing.assert_allclose(np.diag(both.covariance), [4.0, 9.0])
    assert both.dof.tolist() == [9.0, 4.0]
    assert both.covariance[0, 1] / 6 == pytest.approx(0.25)
    assert both.inference == "max(A,B)"
    assert (np.linalg.eigvalsh(both.covariance) > 0).all()
