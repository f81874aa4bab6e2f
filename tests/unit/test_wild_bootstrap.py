"""Bad input of the wild and score bootstrap and of the diagnostics of clusters, their notes, and small cases by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.arrays.wild_bootstrap import enumerated, quadratic
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.poisson import poisson_effects
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import (
    bias_reduced,
    cluster_diagnostics,
    cluster_jackknife,
    row_robust,
    score_bootstrap,
    two_way_clusters,
    wild_bootstrap,
    wild_draws,
    wild_joint,
)
from evalkit.inference.robust import positive
from evalkit.panel import Panel

DESIGN = Design("y", cluster="region")


def panel(regions: int = 6, treated: int = 3, effect: float = 0.0, seed: int = 1, per: int = 3) -> Panel:
    rng = np.random.default_rng(seed)
    region = np.arange(regions * per) // per
    n, years = len(region), np.arange(2001, 2007)
    adoption = np.where(region < treated, 2004.0, np.inf)
    y = rng.normal(size=(n, 6)) + rng.normal(size=(regions, 6))[region]
    y = y + effect * (years >= adoption[:, None])
    counts = rng.poisson(5, (n, 6)).astype(float)
    fixed = {"adoption": adoption, "region": region, "w": rng.uniform(1, 2, n)}
    return Panel(np.arange(n), years, {"y": y, "z": rng.normal(size=(n, 6)), "count": counts}, fixed)


@pytest.fixture(scope="module")
def fit() -> Estimate:
    return two_way_effects(panel(), DESIGN)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "WCR"}, "WCR-C"),
        ({"weights": "gamma"}, "rademacher"),
        ({"alternative": "both"}, "two-sided"),
        ({"level": 1.0}, "0과 1 사이"),
        ({"draws": 10, "weights": "webb"}, "9999"),
        ({"enumerate_patterns": True, "weights": "webb"}, "나열할 수 없음"),
        ({"null": [0.0, 1.0]}, "가설 1개"),
        ({"null": np.nan}, "가설 1개"),
        ({"contrast": [[1.0, 2.0]]}, "항 1개와 맞지"),
        ({"contrast": [[0.0]]}, "항 1개와 맞지"),
        ({"terms": [0], "contrast": [[1.0]]}, "함께 적음"),
        ({"terms": np.array([False])}, "고른 항이 없음"),
    ],
)
def test_wrong_options(fit: Estimate, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        wild_bootstrap(fit, **options)


def test_what_it_needs_and_where_to_go_instead(fit: Estimate) -> None:
    groups = group_time_effects(panel(), DESIGN)
    with pytest.raises(RefusalError, match="잭나이프"):
        wild_bootstrap(groups)
    study = two_way_event_study(panel(), DESIGN)
    with pytest.raises(RefusalError, match="contrast"):
        wild_bootstrap(study.combine([[0, 0, 0.5, 0.5, 0]], ["average"]))
    counts = poisson_effects(panel(), Design("count", cluster="region"))
    with pytest.raises(RefusalError, match="score_bootstrap"):
        wild_bootstrap(counts)
    assert score_bootstrap(counts)[0].method == "WCLR-S"
    assert score_bootstrap(groups, [0], kind="KS")[0].notes[-1] == "null_not_imposed"
    with pytest.raises(RefusalError, match="영향함수가 없는"):
        score_bootstrap(replace(groups, influence=None, replicates=None), [0], kind="KS")
    with pytest.raises(RefusalError, match="KS"):
        score_bootstrap(replace(groups, replicates=None), [0], kind="KS-J")
    with pytest.raises(UsageError, match="WCLR-S"):
        score_bootstrap(fit, kind="WCR-C")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="추정이 하나도"):
        wild_draws([])


def test_one_cluster_and_terms_without_estimate(fit: Estimate) -> None:
    lonely = replace(
        fit,
        cluster=np.zeros(fit.n_units, dtype=int),
        cluster_labels=np.array(["a"]),
        replicates=None,
    )
    with pytest.raises(DesignError, match="군집이 하나뿐"):
        wild_bootstrap(lonely)
    twin = panel()
    twin = twin.with_varying(z2=2 * twin.values("z"))
    both = two_way_effects(twin, Design("y", cluster="region", covariates=("z", "z2")))
    assert len(wild_bootstrap(both)) == 2  # the dependent one is passed over
    with pytest.raises(DesignError, match="z2"):
        wild_bootstrap(both, [2])


def test_an_exact_fit_has_no_t_statistic() -> None:
    flat = panel()
    exact = flat.with_varying(y=2.0 * (flat.periods >= flat.constant("adoption")[:, None]) + flat.periods)
    with pytest.raises(DesignError, match="잔차"):
        wild_bootstrap(two_way_effects(exact, DESIGN))


def test_jackknife_denominators_need_every_deletion() -> None:
    alone = two_way_effects(panel(treated=1), DESIGN)
    with pytest.raises(RefusalError, match="WCR-C"):
        wild_bootstrap(alone, kind="WCR-B")


def test_few_treated_clusters_are_told() -> None:
    """One treated cluster: with the null imposed nothing is ever rejected, without it nearly everything is."""
    one = two_way_effects(panel(regions=12, treated=1, effect=2.0, per=2, seed=2), DESIGN)
    restricted = wild_bootstrap(one, kind="WCR-C")[0]
    free = wild_bootstrap(one, kind="WCU-C")[0]
    assert restricted.detail["p_other"] == free.p_value == 2.0**-11
    assert free.detail["p_other"] == restricted.p_value
    assert restricted.p_value > 0.2
    assert restricted.notes == free.notes == ("few_treated_failure",)
    seven = wild_bootstrap(two_way_effects(panel(regions=12, treated=6, effect=25.0), DESIGN))[0]
    assert "few_treated_failure" not in seven.notes
    assert seven.p_value == seven.smallest_p == 2.0**-11


def test_so_few_clusters_that_nothing_can_be_rejected(fit: Estimate) -> None:
    """Five clusters: 2^(1−5) = 6.25 %, so that every value is inside at 95 %; at 90 % it is not so."""
    five = two_way_effects(panel(regions=5, treated=2, effect=50.0), DESIGN)
    found = wild_bootstrap(five, weights="rademacher", kind="WCR-C")[0]
    assert found.smallest_p == 1 / 16
    assert found.pieces == ((-np.inf, np.inf),)
    assert found.notes == ("no_rejection_possible", "unbounded")
    wider = wild_bootstrap(five, weights="rademacher", kind="WCR-C", level=0.9)[0]
    assert "no_rejection_possible" not in wider.notes
    assert wild_bootstrap(fit)[0].detail["weights"] == "webb"
    assert not wild_bootstrap(fit)[0].exact


def test_the_same_seed_the_same_draws_and_the_same_weights_for_every_outcome(fit: Estimate) -> None:
    first, again = wild_draws(fit, draws=499), wild_draws(fit, draws=499)
    np.testing.assert_array_equal(first.t_star, again.t_star)
    assert (wild_draws(fit, draws=499, seed=4).t_star != first.t_star).any()
    both = wild_draws([fit, two_way_effects(panel(), Design("z", cluster="region"))], draws=499)
    assert both.labels == ("0:treatment", "1:treatment")
    np.testing.assert_array_equal(both.t_star[:, 0], first.t_star[:, 0])
    assert both.p_values[0] == wild_bootstrap(fit, draws=499)[0].p_value


def test_outcomes_that_miss_a_cluster_keep_the_weights_of_the_others() -> None:
    whole = panel(regions=11, treated=5)
    fewer = two_way_effects(whole.select(units=whole.constant("region") != 10), DESIGN)
    found = wild_draws([two_way_effects(whole, DESIGN), fewer], kind="WCR-C")
    alone = wild_draws(fewer, kind="WCR-C")
    assert found.exact
    assert len(found.t_star) == 2**10
    np.testing.assert_allclose(
        np.sort(np.abs(found.t_star[:, 1])), np.sort(np.repeat(np.abs(alone.t_star[:, 0]), 2)), rtol=1e-9
    )
    np.testing.assert_allclose(found.p_values[1], alone.p_values[0])
    assert found.smallest_p.tolist() == [2.0**-10, 2.0**-9]


def test_joint_tests_that_cannot_be() -> None:
    study = two_way_event_study(panel(regions=4, treated=2), DESIGN)
    with pytest.raises(DesignError, match="군집 4개"):
        wild_joint(study)
    with pytest.raises(DesignError, match="겹침"):
        wild_joint(study, contrast=[[1, 0, 0, 0, 0], [2, 0, 0, 0, 0]])


def test_all_sign_patterns_once_with_the_sample_first() -> None:
    found = enumerated(4)
    assert found.shape == (8, 4)
    assert (found[0] == 1).all()
    assert (found[:, 0] == 1).all()
    assert len({tuple(row) for row in found}) == 8


def test_quadratic_forms_in_singular_directions_are_infinite() -> None:
    matrix = np.array([[[2.0, 0], [0, 1.0]], [[1.0, 1], [1, 1.0]], [[1.0, 1], [1, 1.0]]])
    top = np.array([[2.0, 3.0], [1.0, 1.0], [1.0, -1.0]])
    np.testing.assert_allclose(quadratic(top, matrix), [11.0, 1.0, np.inf])


# -- covariances and diagnostics ------------------------------------------------------------------------------------


def test_wrong_options_of_the_covariances(fit: Estimate) -> None:
    with pytest.raises(UsageError, match="estimate 또는 mean"):
        cluster_jackknife(fit, centre="median")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="BM 또는 IK"):
        bias_reduced(fit, dof="satt")  # type: ignore[arg-type]
    with pytest.raises(RefusalError, match="BM"):
        bias_reduced(two_way_effects(panel(), replace(DESIGN, weight="w")), dof="IK")
    with pytest.raises(UsageError, match="HC1, HC2, HC3"):
        row_robust(fit, "HC4")  # type: ignore[arg-type]
    with pytest.raises(RefusalError, match="군집 표준오차"):
        row_robust(two_way_effects(panel(), replace(DESIGN, weight="w")))
    with pytest.raises(UsageError, match="0과 1 사이"):
        cluster_diagnostics(fit, rho=(2.0,))


def test_second_groupings_that_cannot_be_used(fit: Estimate) -> None:
    with pytest.raises(DataError, match="18개와 다름"):
        two_way_clusters(fit, np.arange(5))
    with pytest.raises(DataError, match="비어 있는"):
        two_way_clusters(fit, np.array([np.nan, *range(17)]))
    with pytest.raises(DataError, match="비어 있는"):
        two_way_clusters(fit, np.array([None, *"abcdefghijklmnopq"], dtype=object))
    with pytest.raises(DesignError, match="하나뿐"):
        two_way_clusters(fit, np.zeros(18))
    with pytest.raises(DesignError, match="영향함수가 없는"):
        two_way_clusters(replace(fit, influence=None), np.arange(18) % 4)


def test_a_covariance_made_positive_keeps_its_variances() -> None:
    broken = np.array([[1.0, 2.0, 0.1], [2.0, 1.0, 0.0], [0.1, 0.0, -0.5]])
    found, changed = positive(broken)
    assert changed
    np.testing.assert_allclose(np.diag(found)[:2], 1.0)
    np.testing.assert_allclose(found[0, 1], 1.0)
    assert np.isnan(found[2]).all()
    sound = np.array([[1.0, 0.5], [0.5, 2.0]])
    same, changed = positive(sound)
    assert not changed
    np.testing.assert_array_equal(same, sound)


def test_diagnostics_without_moments_give_what_influence_and_replicates_give() -> None:
    groups = group_time_effects(panel(treated=2), DESIGN)
    average = groups.combine(np.full((1, len(groups)), 1 / len(groups)), ["average"])
    found = cluster_diagnostics(average)
    assert found.leverage is None
    assert found.effective is None
    assert found.notes == ("no_moments",)
    assert found.share is not None
    np.testing.assert_allclose(found.share.sum(axis=0), 1)
    assert 1 <= found.effective_share[0] <= 6
    replicates = average.replicates
    assert replicates is not None
    assert found.low[0] == np.nanmin(replicates)
    assert found.clusters[int(np.nanargmax(replicates[:, 0]))] == found.high_without[0]
    bare = cluster_diagnostics(replace(average, replicates=None, influence=None))
    assert bare.notes == ("no_moments", "no_replicates")
    assert bare.share is None
    assert np.isnan(bare.low[0])
    assert bare.low_without == ("",)


def test_deletions_that_undo_the_term_are_named() -> None:
    found = cluster_diagnostics(two_way_effects(panel(treated=1), DESIGN))
    assert found.undefined == (("0",),)
    assert found.low_without[0] != "0"


def test_equal_clusters_count_fully() -> None:
    """Six clusters alike in size, half treated at once: partial leverage 1/6 each, six effective clusters."""
    found = cluster_diagnostics(two_way_effects(panel(), DESIGN), rho=(0.0,))
    assert found.partial_leverage is not None
    assert found.effective is not None
    np.testing.assert_allclose(found.partial_leverage[:, 0], 1 / 6)
    np.testing.assert_allclose(found.effective[0, 0], 6)
    np.testing.assert_allclose(found.variation["partial_leverage"], 0, atol=1e-12)
