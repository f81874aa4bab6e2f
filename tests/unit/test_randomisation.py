"""Re-assignment of clusters: what is refused and with which words, edge cases, notes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit import aggregate
from evalkit.arrays.permutations import all_assignments, as_large, p_value, permutation_t
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.poisson import poisson_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.cluster_effects import cluster_changes, cluster_effects
from evalkit.inference.independent_effects import ibragimov_muller, sign_changes
from evalkit.inference.placebo_rank import placebo_rank
from evalkit.inference.randomisation import randomisation_draws, randomisation_test
from evalkit.inference.reassignment import reassignments
from evalkit.panel import Panel

INF = np.inf


def world(dates: list[float], *, seed: int = 0, periods: int = 5, **fixed: Any) -> Panel:
    rng = np.random.default_rng(seed)
    n = len(dates)
    y = 10 + rng.normal(size=(n, periods)).cumsum(axis=1)
    return Panel(
        np.array([f"u{i}" for i in range(n)]),
        np.arange(2020, 2020 + periods),
        {"y": y},
        {"adoption": np.array(dates), **{k: np.asarray(v) for k, v in fixed.items()}},
    )


FEW = [2023.0, 2023.0, INF, INF, INF, INF]


def first(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design).select([0])


def test_mixed_clusters_are_refused() -> None:
    panel = world(FEW, g=["a", "b", "a", "b", "c", "c"])
    with pytest.raises(DesignError, match="군집 g 안에 처치 시점이 다른 단위가 있어") as told:
        randomisation_test(panel, Design("y", cluster="g"))
    assert told.value.where == ("군집 a", "단위 u2")
    assert "units_within_clusters" in told.value.remedy
    out = randomisation_test(panel, Design("y", cluster="g"), reassign="units_within_clusters")
    assert out.detail["count"] == 4
    assert out.notes == ("no_rejection_possible", "unbounded_interval")


def test_a_cluster_in_two_strata_is_refused() -> None:
    panel = world(FEW, g=["a", "a", "b", "b", "c", "c"], province=["p", "q", "p", "p", "q", "q"])
    with pytest.raises(DesignError, match=r"군집 a 이\(가\) 두 층\(p, q\)에 걸쳐 있어"):
        randomisation_test(panel, Design("y", cluster="g"), strata="province")


@pytest.mark.parametrize("dates", [[INF] * 4, [2022.0] * 4])
def test_nothing_to_re_assign(dates: list[float]) -> None:
    with pytest.raises(DesignError, match="재배정할 것이 없음"):
        reassignments(world(dates), Design("y"))
    strata = world([2022.0, 2022.0, INF, INF], s=["a", "a", "b", "b"])
    with pytest.raises(DesignError, match="재배정할 것이 없음"):
        randomisation_test(strata, Design("y"), strata="s")


def test_one_cluster() -> None:
    with pytest.raises(DesignError, match="하나뿐이라"):
        randomisation_test(world(FEW, g=["a"] * 6), Design("y", cluster="g"))


def test_options_that_do_not_exist() -> None:
    panel, design = world(FEW), Design("y")
    with pytest.raises(UsageError, match="통계량 'mean'"):
        randomisation_test(panel, design, statistic="mean")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="재배정 단위 'rows'"):
        randomisation_test(panel, design, reassign="rows")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="횟수 10"):
        randomisation_test(panel, design, draws=10)
    with pytest.raises(UsageError, match="신뢰수준 95"):
        randomisation_test(panel, design, level=95)
    with pytest.raises(DataError, match="검정할 값 nan"):
        randomisation_test(panel, design, null=math.nan)
    with pytest.raises(UsageError, match="결과 변수가 하나도"):
        randomisation_draws(panel, design, [])
    with pytest.raises(UsageError, match="다른 패널"):
        randomisation_draws(panel, design, ["y"], assignments=reassignments(world(FEW[:5]), design))
    part = reassignments(panel, design, units=np.arange(6) < 5)
    with pytest.raises(UsageError, match="들지 않은 단위"):
        randomisation_draws(panel, design, ["y"], assignments=part)


def test_too_many_assignments_to_hold() -> None:
    panel = world([2023.0] * 30 + [INF] * 30)
    with pytest.raises(UsageError, match="한 번에 다루기에 너무 많음"):
        randomisation_test(panel, Design("y"), draws=10**8)


def test_anticipation_needs_the_method() -> None:
    panel, design = world(FEW, periods=6), Design("y", anticipation=1)
    with pytest.raises(RefusalError, match="anticipation=1"):
        randomisation_test(panel, design)
    out = randomisation_test(panel, design, first, statistic="coefficient")
    assert out.exact
    assert out.estimate == pytest.approx(float(two_way_effects(panel, design).values[0]))


def test_outcome_that_does_not_vary_has_no_t() -> None:
    panel = world(FEW).with_varying(y=np.ones((6, 5)))
    with pytest.raises(RefusalError, match="t 통계량을 만들 수 없음"):
        randomisation_test(panel, Design("y"))


def test_treatment_taken_up_by_a_covariate() -> None:
    panel = world(FEW)
    on = (panel.periods[None, :] >= panel.constant("adoption")[:, None]) * 1.0
    panel = panel.with_varying(same=on)
    with pytest.raises(DesignError, match="모두 흡수되어"):
        randomisation_test(panel, Design("y", covariates=("same",)))


def test_assignments_that_leave_nothing_count_as_large() -> None:
    """A covariate that is the treatment of the last two units: that assignment cannot be estimated."""
    panel = world(FEW)
    other = np.where((np.arange(6) >= 4)[:, None] & (panel.periods >= 2023)[None, :], 1.0, 0.0)
    out = randomisation_test(panel.with_varying(z=other), Design("y", covariates=("z",)), level=0.5)
    assert out.detail["n_not_estimable"] == 1
    assert "assignments_not_estimable" in out.notes
    placebos = out.detail["placebos"]
    hits = np.sum(np.abs(placebos[np.isfinite(placebos)]) >= abs(out.detail["t"]) * (1 - 1e-12)) + 1
    assert out.p_value == hits / 15


def test_half_treated_ties_with_its_mirror_image() -> None:
    """Three of six treated: the coefficient only changes its sign where the sides change places, so 2/20 is the smallest p."""
    panel = world([2023.0] * 3 + [INF] * 3)
    jump = np.where(np.isfinite(panel.constant("adoption"))[:, None] & (panel.periods >= 2023), 1e3, 0.0)
    out = randomisation_test(panel.with_varying(y=panel.values("y") + jump), Design("y"))
    assert out.smallest_p == out.p_value == 0.1
    assert "no_rejection_possible" in out.notes
    bounded = randomisation_test(panel, Design("y"), level=0.8)
    assert bounded.bounded


def test_adoption_after_the_last_period_is_never() -> None:
    late = world([2023.0, 2023.0, 2030.0, INF, INF, INF])
    never = world(FEW)
    out = randomisation_test(late, Design("y"))
    assert out.detail["count"] == 15
    assert out.p_value == randomisation_test(never, Design("y")).p_value


def test_clusters_never_observed_take_no_part() -> None:
    panel = world(FEW)
    y = panel.values("y").copy()
    y[5] = np.nan
    out = randomisation_test(panel.with_varying(y=y), Design("y"))
    assert out.detail["n_groups"] == 5
    assert out.detail["count"] == 10
    alone = randomisation_test(panel.select(np.arange(6) < 5), Design("y"))
    np.testing.assert_allclose(out.detail["placebos"], alone.detail["placebos"], rtol=1e-10)


def test_drawn_assignments_repeat_with_their_seed() -> None:
    panel = world([2023.0] * 10 + [INF] * 14, seed=3)
    a, b = (randomisation_test(panel, Design("y"), draws=499, seed=5) for _ in range(2))
    assert (a.p_value, a.pieces) == (b.p_value, b.pieces)
    assert not a.exact
    assert a.notes == ("drawn_assignments",)
    assert a.smallest_p == 1 / 500
    other = randomisation_test(panel, Design("y"), draws=499, seed=6)
    assert not np.array_equal(other.detail["placebos"], a.detail["placebos"])


def test_a_method_with_many_assignments_is_drawn() -> None:
    panel = world([2023.0] * 4 + [INF] * 8, seed=4)
    out = randomisation_test(
        panel, Design("y"), first, statistic="coefficient", most_refits=60, interval=False
    )
    assert (out.draws, out.exact, out.detail["count"]) == (60, False, 495)
    assert out.pieces == ((-INF, INF),)
    fast = reassignments(panel, Design("y"), draws=60, enumerated=60)
    shared = randomisation_draws(panel, Design("y"), ["y"], statistic="coefficient", assignments=fast)
    np.testing.assert_allclose(out.detail["placebos"], shared[1][:, 0], rtol=1e-9, atol=1e-12)


def test_a_method_that_is_not_linear_has_no_interval() -> None:
    rng = np.random.default_rng(6)
    panel = world(FEW).with_varying(y=rng.poisson(20.0, (6, 5)).astype(float))
    design = Design("y", link="ratios")

    def ratio(panel: Panel, design: Design) -> Estimate:
        return poisson_effects(panel, design).select([0])

    out = randomisation_test(panel, design, ratio, statistic="coefficient")
    assert "no_interval_not_affine" in out.notes
    assert out.pieces == ((-INF, INF),)
    assert out.exact
    values = [
        float(ratio(panel.with_fixed(adoption=np.where(codes == 0, 2023.0, INF)), design).values[0])
        for codes in all_assignments(np.array([0, 0, 1, 1, 1, 1]), np.zeros(6, dtype=int))
    ]
    assert out.p_value == np.mean(np.abs(values) >= abs(out.estimate) * (1 - 1e-12))


def test_assignments_where_the_method_fails_count_as_large() -> None:
    """The group-time method drops a unit with missing periods: where it is the treated one nothing is left."""
    panel = world([2022.0, INF, INF, INF, INF, INF])
    y = panel.values("y").copy()
    y[3, :2] = np.nan
    panel = panel.with_varying(y=y)

    def fit(panel: Panel, design: Design) -> Estimate:
        return aggregate.overall(group_time_effects(panel, design))

    out = randomisation_test(panel, Design("y"), fit, statistic="coefficient", interval=False)
    assert out.detail["n_not_estimable"] == 1
    assert out.p_value >= 2 / 6


def test_rank_needs_one_treated_cluster() -> None:
    with pytest.raises(DesignError, match="처치 군집이 2개라"):
        placebo_rank(world(FEW), Design("y"))
    with pytest.raises(DesignError, match="처치 군집이 2개라"):
        placebo_rank(world(FEW), Design("y"), first)
    panel = world([2022.0, INF, INF, INF])
    built, given = placebo_rank(panel, Design("y")), placebo_rank(panel, Design("y"), first)
    assert (built.rank, built.of, built.share) == (given.rank, 4, given.rank / 4)
    np.testing.assert_allclose(built.placebos, given.placebos, rtol=1e-9)
    assert built.labels == ("u0", "u1", "u2", "u3")


def test_rank_by_clusters_of_units() -> None:
    panel = world([2022.0, 2022.0, INF, INF, INF, INF, INF, INF], g=list("bbaaccdd"))
    out = placebo_rank(panel, Design("y", cluster="g"))
    assert out.treated == "b"
    assert out.placebos[out.labels.index("b")] == pytest.approx(out.estimate)
    swap = panel.with_fixed(adoption=np.where(np.array(list("bbaaccdd")) == "c", 2022.0, INF))
    alone = two_way_effects(swap, Design("y", cluster="g"))
    assert out.placebos[out.labels.index("c")] == pytest.approx(float(alone.values[0]))


def test_p_values_count_ties_and_the_actual_assignment() -> None:
    draws = np.array([1.0, -1.0, 1.0 - 1e-14, 0.5, math.nan])
    assert as_large(1.0, draws).tolist() == [True, True, True, False, True]
    assert as_large(1.0, draws, 1).tolist() == [True, False, True, False, True]
    assert as_large(1.0, draws, -1).tolist() == [True, True, True, True, True]
    assert p_value(np.zeros(99, dtype=bool), exact=False) == 0.01
    assert permutation_t([1.0, 1.0, 1.0], [True, False, False]).p_coefficient == 1.0
    assert math.isnan(permutation_t([1.0, 1.0, 1.0], [True, False, False]).p_t)


def test_pairs_that_cannot_be() -> None:
    with pytest.raises(DesignError, match=r"비교 군집\(1개\)이 처치 군집\(3개\)보다 적어"):
        cluster_effects(world([2023.0] * 3 + [INF]), Design("y"))
    with pytest.raises(DesignError, match="처치 군집이 1개라"):
        cluster_effects(world([2023.0, INF, INF]), Design("y"))
    with pytest.raises(DesignError, match="처치 전 기간이 1개뿐이라"):
        cluster_effects(world([2021.0, 2021.0, INF, INF]), Design("y"))
    mixed = world(FEW, g=["a", "b", "a", "b", "c", "c"])
    with pytest.raises(DesignError, match="군집 하나의 효과를 따로 낼 수 없음"):
        cluster_effects(mixed, Design("y", cluster="g"))
    pairs = world(FEW, pair=["p", "p", "p", "q", "q", "q"])
    with pytest.raises(DesignError, match="짝 p 에 처치 군집이 2개, 비교 군집이 1개임"):
        cluster_effects(pairs, Design("y"), pairs="pair")
    single = world(FEW, pair=["p", "", "p", "", "", ""])
    with pytest.raises(DesignError, match="짝이 1개뿐임"):
        cluster_effects(single, Design("y"), pairs="pair")
    torn = world(FEW, g=["a", "b", "c", "c", "d", "d"], pair=["p", "q", "p", "q", "", ""])
    with pytest.raises(DesignError, match=r"군집 c 이\(가\) 두 짝\(p, q\)에 들어 있음"):
        cluster_effects(torn, Design("y", cluster="g"), pairs="pair")
    with pytest.raises(DesignError, match="도입 시점이 2가지라"):
        cluster_changes(world([2022.0, 2023.0, INF]), Design("y"))
    with pytest.raises(DesignError, match="이전 기간이 없음"):
        cluster_changes(world([2020.0, INF, INF]), Design("y"))


def test_pairs_by_another_method() -> None:
    panel, design = world(FEW, seed=8), Design("y", comparison="never")

    def fit(panel: Panel, design: Design) -> Estimate:
        return aggregate.overall(group_time_effects(panel, replace(design, comparison="never")))

    out = cluster_effects(panel, design, fit)
    for value, own, (other,) in zip(out.values, out.treated, out.comparison, strict=True):
        y = panel.values("y")[[list(panel.units).index(name) for name in (own, other)]]
        assert value == pytest.approx((y[0, 3:] - y[0, 2]).mean() - (y[1, 3:] - y[1, 2]).mean())


def test_effects_that_say_nothing() -> None:
    for test in (sign_changes, ibragimov_muller):
        with pytest.raises(DesignError, match="효과가 1개라"):
            test([1.0])
        with pytest.raises(DataError, match=r"유한하지 않은 값 nan"):
            test([1.0, math.nan])
    with pytest.raises(DesignError, match="모두 같아 표준오차가 0"):
        ibragimov_muller([1.0, 1.0, 1.0])
    calm = ibragimov_muller([1.0, -1.1, 0.2])
    assert calm.notes == ("p_not_calibrated",)
    assert sign_changes([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]).p_value == 2 / 64
