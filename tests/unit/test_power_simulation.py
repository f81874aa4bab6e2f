"""Simulated power: every sentence, notes, and numbers that can be seen by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.checks import before_adoption, serial_mde, simulated_power
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import cluster_jackknife
from evalkit.panel import Panel

D = Design("y", cluster="c")
YEARS = np.arange(2010, 2018)


def made(clusters: int = 8, treated: int = 3, periods: np.ndarray = YEARS, **more: object) -> Panel:
    rng = np.random.default_rng(0)
    at = np.arange(clusters)
    y = 10 + rng.normal(size=(clusters, len(periods)))
    fixed = {
        "adoption": np.where(at < treated, 2018.0, np.inf),
        "c": at,
        "half": at % 2,
        "dose": np.where(at < treated, at + 1.0, np.nan),
    }
    varying = {"y": y}
    for name, value in more.items():
        (varying if np.ndim(value) == 2 else fixed)[name] = np.asarray(value)  # type: ignore[assignment]
    return Panel(at, periods, varying, fixed)


def fit(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design)


def rule(est: Estimate, panel: Panel, design: Design) -> Estimate:
    return cluster_jackknife(est)


def power(panel: Panel, design: Design = D, *args: object, **options: object):  # type: ignore[no-untyped-def]
    given = {"effects": [1.0, 3.0], "after": 2, "before": 3, "simulations": 60, "decide": "CV3-t"} | options
    return simulated_power(panel, design, *args, **given)  # type: ignore[arg-type]


# -- outcomes after adoption -------------------------------------------------------------------------


def test_outcomes_from_adoption_on_are_refused() -> None:
    late = made(periods=np.arange(2011, 2019))
    with pytest.raises(RefusalError, match="2018 의 결과 y") as raised:
        power(late)
    assert "before_adoption" in raised.value.remedy
    with pytest.raises(RefusalError):
        serial_mde(late, D, after=2)
    assert power(before_adoption(late, D)).windows == 3


def test_anticipated_periods_count_as_after() -> None:
    with pytest.raises(RefusalError, match=r"\(예상 효과 포함\) 2017"):
        power(made(), replace(D, anticipation=1))


def test_empty_periods_after_adoption_are_no_outcomes() -> None:
    y = np.hstack([made().values("y"), np.full((8, 2), np.nan)])
    panel = made(periods=np.arange(2010, 2020), y=y)
    np.testing.assert_array_equal(power(panel).power, power(made()).power)


# -- sentences ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "options", "error", "sentence"),
    [
        ({}, {"after": 9}, DesignError, "창을 하나도 만들 수 없음"),
        ({}, {"before": 7}, DesignError, "창을 하나도 만들 수 없음"),
        ({}, {"after": 0}, UsageError, "after=0"),
        ({}, {"before": 1.5}, UsageError, "before=1.5"),
        ({}, {"effects": [-1.0]}, UsageError, "효과 크기"),
        ({}, {"effects": [0.0]}, UsageError, "효과 크기"),
        ({}, {"effects": [np.nan, 1.0]}, UsageError, "효과 크기"),
        ({}, {"kind": "cubic"}, UsageError, "효과의 꼴"),
        ({}, {"kind": "dose"}, UsageError, "용량 변수의 이름"),
        ({}, {"dose": "dose"}, UsageError, "용량 변수의 이름"),
        ({}, {"decide": "CV9"}, UsageError, "추론 규칙 'CV9'"),
        ({}, {"decide": rule}, UsageError, "추정 방법"),
        ({}, {"fit": fit}, UsageError, "이름으로 쓸 수 없음"),
        ({}, {"level": 1.0}, UsageError, "신뢰수준"),
        ({}, {"target": 0.0}, UsageError, "목표 검정력"),
        ({}, {"simulations": 10}, UsageError, "모의 횟수"),
        ({"adoption": np.full(8, np.inf)}, {}, DesignError, "지원받을 단위가 없어"),
        ({"adoption": np.full(8, 2018.0)}, {}, DesignError, "지원받지 않는 단위가 없어"),
        ({"adoption": np.where(np.arange(8) < 1, 2018.0, np.inf)}, {}, DesignError, "지원 군집 1개"),
        ({"adoption": np.array([2018.0, 2018, 2019] + [np.inf] * 5)}, {}, DesignError, "도입 시점이 2가지"),
        ({"c": np.array([0, 0, 0, 0, 1, 1, 2, 2])}, {}, DesignError, "섞여 있어"),
        ({"y": np.where(np.arange(64).reshape(8, 8) == 9, np.nan, 1.0)}, {}, DesignError, "빈 칸"),
        ({"y": np.where(np.arange(64).reshape(8, 8) == 9, np.inf, 1.0)}, {}, DataError, "무한대"),
        ({"half": np.arange(8)}, {"strata": "half"}, DesignError, "배정이 하나뿐"),
        (
            {"c": np.array([0, 0, 0, 1, 1, 2, 2, 3]), "half": np.arange(8) % 2},
            {"strata": "half"},
            DesignError,
            "여러 값에 걸쳐",
        ),
        ({"dose": np.full(8, np.nan)}, {"kind": "dose", "dose": "dose"}, DataError, "용량 dose"),
        ({"dose": np.zeros(8)}, {"kind": "dose", "dose": "dose"}, DesignError, "평균 용량이 0"),
        ({"dose": np.array(["a"] * 8)}, {"kind": "dose", "dose": "dose"}, DesignError, "숫자가 아님"),
        ({"y": np.zeros((8, 8))}, {"kind": "multiplicative"}, DesignError, "평균 결과가 0"),
    ],
)
def test_sentences(changes, options, error, sentence) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=sentence) as raised:
        power(made(**changes), D, **options)
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("design", "sentence"),
    [
        (replace(D, weight="w"), "가중치 w"),
        (replace(D, covariates=("half",)), "공변량 half"),
        (replace(D, link="ratios"), "link=levels"),
    ],
)
def test_what_a_difference_of_means_does_not_do(design: Design, sentence: str) -> None:
    with pytest.raises(DesignError, match=sentence):
        power(made(w=np.arange(8) + 1.0), design, decide="wider")


def test_weights_that_are_missing() -> None:
    with pytest.raises(DataError, match="가중치 w"):
        power(made(w=np.array([np.nan] + [1.0] * 7)), replace(D, weight="w"))


def test_too_short_a_history_points_to_the_formula() -> None:
    with pytest.raises(DesignError) as raised:
        power(made(periods=np.array([2016, 2017])))
    assert "serial_mde" in raised.value.remedy
    assert serial_mde(made(periods=np.array([2016, 2017])), D, before=1, after=1).windows == 1


def test_a_rule_that_answers_something_else() -> None:
    with pytest.raises(UsageError, match="float"):
        simulated_power(made(), D, fit, lambda e, p, d: 0.3, [1.0], after=2, before=3, simulations=60)  # type: ignore[arg-type,return-value]


def test_every_simulation_failing_is_told_with_the_reason() -> None:
    def broken(panel: Panel, design: Design) -> Estimate:
        raise DesignError("되지 않음")

    with pytest.raises(DesignError, match="모두 추정되지 않음: 되지 않음"):
        simulated_power(made(), D, broken, rule, [1.0], after=2, before=3, simulations=60)


def test_some_simulations_failing_are_counted_as_no_rejection() -> None:
    def fragile(panel: Panel, design: Design) -> Estimate:
        if np.isfinite(panel.constant("adoption")[0]):
            raise DesignError("되지 않음")
        return two_way_effects(panel, design)

    curve = simulated_power(made(), D, fragile, rule, [50.0], after=2, before=3, simulations=200)
    assert curve.exact or curve.failed > 0
    assert "failures" in curve.notes
    assert curve.power[-1] == pytest.approx(1 - curve.failed / curve.simulations)


# -- numbers -----------------------------------------------------------------------------------------


def test_a_huge_effect_is_always_found_and_none_is_rarely() -> None:
    curve = power(made(), effects=[1000.0])
    np.testing.assert_array_equal(curve.effects, [0, 1000])
    assert curve.power[-1] == 1
    assert curve.size == curve.power[0] < 0.2
    assert curve.exaggeration[1] == pytest.approx(1, abs=0.01)


def test_the_mean_of_those_to_be_treated_and_the_per_cent() -> None:
    panel = made()
    curve = power(panel, effects=np.linspace(0, 4, 9))
    mean = panel.values("y")[:3, -2:].mean()
    assert curve.counterfactual_mean == pytest.approx(mean)
    assert curve.percent == pytest.approx(100 * curve.natural / mean)
    assert curve.natural == curve.smallest
    shares = power(panel, effects=np.linspace(0, 0.4, 9), kind="multiplicative")
    assert shares.natural == pytest.approx(shares.smallest * mean)
    doses = power(panel, kind="dose", dose="dose", effects=np.linspace(0, 3, 9))
    assert doses.detail["unit_effect"] == pytest.approx(2)


def test_windows_and_assignments_are_counted() -> None:
    curve = power(made(), simulations=100)
    assert (curve.windows, curve.assignments, curve.exact) == (4, 56, False)
    assert curve.detail["by_window"].shape == (4, 3)
    np.testing.assert_array_equal(curve.detail["window_starts"], [2010, 2011, 2012, 2013])
    np.testing.assert_allclose(curve.detail["by_window"].mean(axis=0), curve.power)
    whole = power(made(), simulations=1000)
    assert whole.exact
    assert whole.simulations == 4 * 56
    strata = power(made(), strata="half", simulations=1000)
    assert strata.assignments == 6 * 4  # two of four and one of four
    default = simulated_power(made(), D, effects=[1.0], after=2, decide="CV3-t")
    assert (default.before, default.windows) == (3, 4)


def test_the_grid_can_be_left_to_the_formula() -> None:
    curve = simulated_power(made(), D, after=2, before=3)
    scale = serial_mde(made(), D, after=2, before=3).smallest
    assert curve.effects[-1] == pytest.approx(2 * scale)
    assert len(curve.effects) == 21
    assert curve.rule == "wider"


def test_a_liberal_test_is_named() -> None:
    def liberal(est: Estimate, panel: Panel, design: Design) -> Estimate:
        return replace(cluster_jackknife(est), covariance=np.array([[1e-6]]))

    curve = simulated_power(made(), D, fit, liberal, [1.0], after=2, before=3)
    assert "size_above_nominal" in curve.notes
    assert curve.rule == "liberal"


def test_a_test_that_cannot_reject_is_named() -> None:
    curve = power(made(treated=1), decide="RI-t", effects=[1.0, 100.0])
    assert "never_rejects" in curve.notes
    assert "few_assignments" in curve.notes
    assert np.isnan(curve.smallest)
    low = power(made(), effects=[0.01])
    assert "never_reached" in low.notes


def test_the_same_seed_gives_the_same_curve() -> None:
    a, b, c = (power(made(), simulations=60, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.power, b.power)
    assert (a.detail["by_window"] != c.detail["by_window"]).any()


def test_power_between_the_points() -> None:
    curve = power(made(), effects=[1.0, 2.0])
    assert curve.power_at(1.5) == pytest.approx((curve.power[1] + curve.power[2]) / 2)
    assert curve.power_at(99) == curve.power[-1]


# -- the formula -------------------------------------------------------------------------------------


def test_one_period_on_each_side_is_the_two_sample_formula() -> None:
    panel = made(periods=np.array([2016, 2017]))
    change = panel.values("y")[:, 1] - panel.values("y")[:, 0]
    found = serial_mde(panel, D, before=1, after=1)
    assert found.std_error == pytest.approx(np.sqrt(change.var(ddof=1) * (1 / 3 + 1 / 5)))
    assert (found.psi_before, found.psi_after, found.dof) == (0, 0, 6)
    assert found.percent == pytest.approx(100 * found.smallest / panel.values("y")[:3, 1].mean())


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({"y": np.where(np.arange(64).reshape(8, 8) == 9, np.nan, 1.0)}, {}, "빈 칸"),
        ({"c": np.array([0, 0, 0, 0, 1, 1, 2, 2])}, {}, "섞여 있음"),
        ({"c": np.array([0, 0, 0, 1, 1, 2, 2, 2])}, {}, "군집이 3개"),
        ({}, {"after": 8}, "창을 하나도"),
    ],
)
def test_sentences_of_the_formula(changes: dict[str, object], options: dict[str, int], sentence: str) -> None:
    with pytest.raises(DesignError, match=sentence):
        serial_mde(made(**changes), D, **({"after": 2} | options))
    with pytest.raises(UsageError, match="신뢰수준"):
        serial_mde(made(), D, after=2, level=2)


def test_a_multiplicative_effect_in_natural_units_and_per_cent() -> None:
    panel = made().with_varying(y=40.0 + made().values("y"))
    curve = power(panel, kind="multiplicative", effects=[0.01, 0.05, 0.2, 1.0])
    unit = curve.detail["unit_effect"]
    assert abs(unit - 1) > 1
    assert curve.natural == pytest.approx(curve.smallest * unit)
    assert curve.percent == pytest.approx(100 * curve.natural / abs(curve.counterfactual_mean))


def test_a_size_at_the_level_asked_for_is_not_liberal() -> None:
    curve = power(made(), level=0.8)
    assert 0.075 < curve.size < 0.3
    assert "size_above_nominal" not in curve.notes
