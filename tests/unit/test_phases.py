"""Two phases side by side: what shared units and clusters do to the error of their difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from evalkit import aggregate
from evalkit.appraisal.phases import compare_phases, equivalence, stack
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel

NAMES = np.array([f"u{i:02d}" for i in range(30)])
PLACE = np.array(["가", "나", "다", "라", "마", "바"])[np.arange(30) % 6]


def means(y: NDArray[np.float64], rows: NDArray[np.int64], *, times: tuple[int, ...] = (0, 1)) -> Estimate:
    """The means of the columns of y over some units: the plainest estimate with influence and replicates."""
    part, place = y[rows], PLACE[rows]
    labels, cluster = np.unique(place, return_inverse=True)
    values = part.mean(axis=0)
    influence = part - values
    sums = np.array([influence[cluster == c].sum(axis=0) for c in range(len(labels))])
    return Estimate(
        terms=pd.MultiIndex.from_arrays([list(times)], names=["event_time"]),
        values=values,
        covariance=sums.T @ sums / len(rows) ** 2,
        influence=influence,
        cluster=cluster,
        cluster_labels=labels,
        replicates=np.array([part[cluster != c].mean(axis=0) for c in range(len(labels))]),
        dof=np.inf,
        n_treated=len(rows) // 2,
        n_comparison=len(rows) - len(rows) // 2,
        method="means",
        inference="IF",
        units=NAMES[rows],
    )


@pytest.fixture
def drawn() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(5)
    place = rng.normal(size=(6, 1))[np.arange(30) % 6]
    return {"first": place + rng.normal(size=(30, 2)), "second": place + rng.normal(size=(30, 2))}


EARLY, LATE = np.arange(0, 22), np.arange(8, 30)  # units 8–21 stand in both


def test_covariance_is_that_of_one_joint_influence_matrix(drawn: dict[str, NDArray[np.float64]]) -> None:
    joined = stack({1: means(drawn["first"], EARLY), 3: means(drawn["second"], LATE)})
    psi = np.zeros((30, 4))  # each unit's share in the error of each of the four means
    psi[EARLY, :2] = (drawn["first"][EARLY] - drawn["first"][EARLY].mean(axis=0)) / len(EARLY)
    psi[LATE, 2:] = (drawn["second"][LATE] - drawn["second"][LATE].mean(axis=0)) / len(LATE)
    expected = sum(
        np.outer(psi[p == PLACE].sum(axis=0), psi[p == PLACE].sum(axis=0)) for p in np.unique(PLACE)
    )
    np.testing.assert_allclose(joined.covariance, expected, rtol=1e-12)
    assert abs(joined.covariance[0, 2]) > 1e-4  # the overlap is there to be seen
    assert joined.n_units == 30
    np.testing.assert_allclose(joined.influence.sum(axis=0), 0, atol=1e-12)


def test_each_block_is_the_estimate_itself(drawn: dict[str, NDArray[np.float64]]) -> None:
    first, second = means(drawn["first"], EARLY), means(drawn["second"], LATE)
    joined = stack({1: first, 3: second})
    np.testing.assert_allclose(joined.covariance[:2, :2], first.covariance, rtol=1e-12)
    np.testing.assert_allclose(joined.covariance[2:, 2:], second.covariance, rtol=1e-12)
    np.testing.assert_array_equal(joined.values, [*first.values, *second.values])
    assert list(joined.terms) == [(1, 0), (1, 1), (3, 0), (3, 1)]
    assert list(joined.terms.names) == ["phase", "event_time"]


def test_order_of_units_does_not_matter(drawn: dict[str, NDArray[np.float64]]) -> None:
    turned = np.random.default_rng(1).permutation(LATE)
    plain = stack({1: means(drawn["first"], EARLY), 3: means(drawn["second"], LATE)})
    other = stack({1: means(drawn["first"], EARLY), 3: means(drawn["second"], turned)})
    np.testing.assert_allclose(other.covariance, plain.covariance, rtol=1e-12)
    np.testing.assert_allclose(other.replicates, plain.replicates, rtol=1e-12)


def test_a_cluster_that_one_phase_has_leaves_the_other_as_it_is(
    drawn: dict[str, NDArray[np.float64]],
) -> None:
    only = np.flatnonzero(PLACE != "바")
    first, second = means(drawn["first"], only), means(drawn["second"], LATE)
    joined = stack({1: first, 3: second})
    assert list(joined.cluster_labels) == ["가", "나", "다", "라", "마", "바"]
    np.testing.assert_array_equal(joined.replicates[5, :2], first.values)
    np.testing.assert_array_equal(joined.replicates[:5, :2], first.replicates)
    np.testing.assert_array_equal(joined.replicates[:, 2:], second.replicates)


def test_jackknife_of_a_contrast_is_the_contrast_of_jackknives(
    drawn: dict[str, NDArray[np.float64]],
) -> None:
    joined = stack({1: means(drawn["first"], EARLY), 3: means(drawn["second"], LATE)})
    contrast = joined.combine([[-0.5, -0.5, 0.5, 0.5]], ["difference"])
    for c, place in enumerate(joined.cluster_labels):
        early, late = EARLY[PLACE[EARLY] != place], LATE[PLACE[LATE] != place]
        gap = drawn["second"][late].mean() - drawn["first"][early].mean()
        assert contrast.replicates[c, 0] == pytest.approx(gap, rel=1e-12)


def test_a_unit_may_not_change_its_cluster(drawn: dict[str, NDArray[np.float64]]) -> None:
    first, second = means(drawn["first"], EARLY), means(drawn["second"], LATE)
    moved = second.cluster.copy()
    moved[0] = (moved[0] + 1) % 6
    with pytest.raises(DesignError, match=r"단위 1개의 군집이 단계마다 다름.*기준 시점"):
        stack({1: first, 3: replace(second, cluster=moved)})


def test_what_cannot_be_stacked(drawn: dict[str, NDArray[np.float64]]) -> None:
    first, second = means(drawn["first"], EARLY), means(drawn["second"], LATE)
    with pytest.raises(DesignError, match="영향함수가 없는"):
        stack({1: first, 3: replace(second, influence=None)})
    assert stack({1: first, 3: replace(second, replicates=None)}).replicates is None


# -- the comparison -------------------------------------------------------------------------------


def halves(*rows: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Every second unit treated, so that every cluster stands on both sides."""
    return [np.arange(len(r)) // 6 % 2 == 0 for r in rows]


def cv3(replicates: NDArray[np.float64], value: float) -> float:
    """(C − 1)/C Σ (θ(−c) − θ)², written out."""
    return (len(replicates) - 1) / len(replicates) * float(((replicates - value) ** 2).sum())


def test_independent_phases_add_their_variances(drawn: dict[str, NDArray[np.float64]]) -> None:
    """No unit and no cluster in common: the variance of the difference is the sum."""
    a, b = (
        np.flatnonzero(np.isin(PLACE, ["가", "나", "다"])),
        np.flatnonzero(np.isin(PLACE, ["라", "마", "바"])),
    )
    found = compare_phases(
        {1: means(drawn["first"], a), 3: means(drawn["second"], b)},
        dict(zip((1, 3), (np.arange(len(r)) // 3 % 2 == 0 for r in (a, b)), strict=True)),
        horizon=1,
    )
    v1, v3, vd = np.diag(found.averages.covariance)
    assert vd == pytest.approx(v1 + v3, rel=1e-12)
    np.testing.assert_allclose(found.effects.covariance[:2, 2:], 0, atol=1e-15)
    assert found.shared_units == 0
    assert found.averages.values[2] == pytest.approx(drawn["second"][b].mean() - drawn["first"][a].mean())
    # both by hand, over the six clusters of the union
    assert found.averages.inference == "CV3"
    assert found.averages.dof[2] == 5
    first = [drawn["first"][a[PLACE[a] != p]].mean() for p in np.unique(PLACE)]
    assert v1 == pytest.approx(cv3(np.array(first), drawn["first"][a].mean()), rel=1e-12)


def test_shared_units_enter_the_error_of_the_difference(drawn: dict[str, NDArray[np.float64]]) -> None:
    found = compare_phases(
        {3: means(drawn["second"], LATE), 1: means(drawn["first"], EARLY)},
        dict(zip((1, 3), halves(EARLY, LATE), strict=True)),
        horizon=1,
    )
    assert found.phases == (1, 3)  # in order, whichever way they came
    assert found.shared_units == 14
    gaps = np.array(
        [
            drawn["second"][LATE[PLACE[LATE] != p]].mean() - drawn["first"][EARLY[PLACE[EARLY] != p]].mean()
            for p in np.unique(PLACE)
        ]
    )
    full = drawn["second"][LATE].mean() - drawn["first"][EARLY].mean()
    v1, v3, vd = np.diag(found.averages.covariance)
    assert vd == pytest.approx(cv3(gaps, full), rel=1e-10)
    assert vd < v1 + v3  # shocks of a place hit both phases and cancel
    assert list(found.averages.terms) == [("phase1",), ("phase3",), ("difference",)]
    np.testing.assert_allclose(
        found.differences.values,
        drawn["second"][LATE].mean(axis=0) - drawn["first"][EARLY].mean(axis=0),
    )


def test_joint_test_of_the_differences_by_hand(drawn: dict[str, NDArray[np.float64]]) -> None:
    found = compare_phases(
        {1: means(drawn["first"], EARLY), 3: means(drawn["second"], LATE)},
        dict(zip((1, 3), halves(EARLY, LATE), strict=True)),
        horizon=1,
    )
    d = found.differences.values
    w = float(d @ np.linalg.solve(found.differences.covariance, d))
    # Hotelling with η = 5: F = (η − q + 1)/(η q) W on (2, 4) degrees of freedom
    assert found.joint_p_value == pytest.approx(stats.f.sf(4 / 10 * w, 2, 4), rel=1e-9)


def test_only_shared_event_times_are_compared(drawn: dict[str, NDArray[np.float64]]) -> None:
    first, second = means(drawn["first"], EARLY), means(drawn["second"], LATE, times=(1, 2))
    treated = dict(zip((1, 3), halves(EARLY, LATE), strict=True))
    found = compare_phases({1: first, 3: second}, treated, horizon=2)
    assert found.horizon == (1,)
    assert found.averages.values[0] == pytest.approx(first.values[1])
    assert found.averages.values[1] == pytest.approx(second.values[0])
    apart = means(drawn["second"], LATE, times=(2, 3))
    with pytest.raises(DesignError, match="1단계와 3단계가 함께 가진 경과 연수가 없음"):
        compare_phases({1: first, 3: apart}, treated, horizon=3)
    with pytest.raises(DesignError, match="단계 1개를 비교할 수 없음"):
        compare_phases({1: first}, treated, horizon=1)


def test_one_cluster_gives_no_p_value(drawn: dict[str, NDArray[np.float64]]) -> None:
    """Where the rule allows no inference the comparison prints none."""
    found = compare_phases(
        {1: means(drawn["first"], EARLY), 3: means(drawn["second"], LATE)},
        {1: PLACE[EARLY] == "가", 3: PLACE[LATE] == "가"},
        horizon=1,
    )
    assert found.joint_p_value is None
    assert np.isnan(found.averages.std_errors).all()
    assert np.isfinite(found.averages.values).all()


def test_two_phases_with_one_treated_cluster_each_are_no_design_with_two(
    drawn: dict[str, NDArray[np.float64]],
) -> None:
    """Neither phase allows a p-value, so their comparison allows none, though together they treat two clusters."""
    found = compare_phases(
        {1: means(drawn["first"], EARLY), 3: means(drawn["second"], LATE)},
        {1: PLACE[EARLY] == "가", 3: PLACE[LATE] == "나"},
        horizon=1,
    )
    assert found.joint_p_value is None
    assert found.averages.table()[["conf_low", "conf_high", "p_value"]].isna().all(axis=None)
    assert found.reasons[0] == "one_cluster_on_one_side"


def test_the_phase_with_fewer_clusters_decides(drawn: dict[str, NDArray[np.float64]]) -> None:
    """Three treated clusters in one phase: the wider of two intervals leads, unless the plan fixed CV3."""
    events = {1: means(drawn["first"], EARLY), 3: means(drawn["second"], LATE)}
    treated = {1: np.isin(PLACE[EARLY], ["가", "나", "다"]), 3: halves(LATE)[0]}
    found = compare_phases(events, treated, horizon=1)
    assert found.reasons[0] == "few_clusters_wider_leads"
    fixed = compare_phases(events, treated, horizon=1, rule="cv3")
    assert (fixed.reasons[0], fixed.averages.inference) == ("cv3_by_plan_few_clusters", "CV3")


def test_deleting_a_province_deletes_it_from_both_phases() -> None:
    """Replicates of the difference against estimating both phases again without each province."""
    rng = np.random.default_rng(8)
    n, t = 60, 8
    place = np.array(["가", "나", "다", "라", "마", "바"])[np.arange(n) % 6]
    adoption = np.where(np.arange(n) < 12, 2.0, np.where(np.arange(n) < 24, 5.0, np.inf))
    y = rng.normal(size=(n, t)) + np.where(np.arange(t)[None, :] >= adoption[:, None], 1.0, 0.0)
    panel = Panel(np.arange(n), np.arange(t), {"y": y}, {"g": adoption, "place": place})
    design = Design("y", adoption="g", comparison="never", cluster="place")

    def phase(panel: Panel, cohort: int) -> Estimate:
        cells = group_time_effects(panel, design, method="reg", replicates=True)
        return aggregate.event_study(aggregate.select_cohorts(cells, cohort, cohort))

    def gap(panel: Panel) -> float:
        means_ = []
        for cohort in (2, 5):
            est = phase(panel, cohort)
            post = np.isin(est.terms.get_level_values("event_time"), [0, 1])
            means_.append(est.values[post].mean())
        return float(means_[1] - means_[0])

    found = compare_phases(
        {1: phase(panel, 2), 3: phase(panel, 5)}, {1: adoption == 2, 3: adoption == 5}, horizon=1
    )
    without = np.array([gap(panel.select(place != p)) for p in np.unique(place)])
    assert found.averages.values[2] == pytest.approx(gap(panel), rel=1e-10)
    np.testing.assert_allclose(found.averages.replicates[:, 2], without, rtol=1e-9)
    assert found.averages.std_errors[2] == pytest.approx(cv3(without, gap(panel)) ** 0.5, rel=1e-9)


# -- equivalence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dof", [np.inf, 13.0, 3.0])
def test_two_one_sided_tests_against_scipy(dof: float, drawn: dict[str, NDArray[np.float64]]) -> None:
    est = replace(means(drawn["first"], EARLY), dof=np.full(2, dof))
    law = stats.norm if np.isinf(dof) else stats.t(dof)
    for margin in (0.1, 0.5, 3.0):
        lower = law.sf((est.values + margin) / est.std_errors)
        upper = law.cdf((est.values - margin) / est.std_errors)
        np.testing.assert_allclose(equivalence(est, margin), np.maximum(lower, upper), rtol=1e-9)


def test_equivalence_means_that_the_90_per_cent_interval_lies_inside(
    drawn: dict[str, NDArray[np.float64]],
) -> None:
    est = replace(means(drawn["first"], EARLY), dof=np.full(2, 5.0))
    table = est.table(0.9)
    edge = np.maximum(table["conf_high"].abs(), table["conf_low"].abs()).to_numpy()
    for k in range(2):
        assert equivalence(est, edge[k] * 1.001)[k] < 0.05 < equivalence(est, edge[k] * 0.999)[k]
