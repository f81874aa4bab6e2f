"""Imputation and two stages: hand-calculated numbers, bad input, what is dropped and what is told."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import contract
import numpy as np
import pytest

from evalkit.aggregate import event_study, overall
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError, UsageError
from evalkit.estimators.imputation import imputation_effects, imputation_pretrends, imputation_weights
from evalkit.estimators.two_stage import two_stage_effects, two_stage_event_study
from evalkit.panel import Panel

INF = np.inf
BOTH = pytest.mark.parametrize("call", [imputation_effects, two_stage_effects])
ALL = pytest.mark.parametrize(
    "call", [imputation_effects, two_stage_effects, two_stage_event_study, imputation_pretrends]
)


def world(seed: int = 0, n: int = 40, periods: int = 6, cohorts: tuple[float, ...] = (3, 4, INF)) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = np.resize(np.array(cohorts, dtype=float), n)
    t = np.arange(1, periods + 1)
    y = rng.normal(size=(n, 1)) + 0.3 * t + (t >= adoption[:, None]) + rng.normal(size=(n, periods))
    return Panel(
        np.arange(n),
        t,
        {"y": y, "x": rng.normal(size=(n, periods))},
        {
            "adoption": adoption,
            "region": np.arange(n) % 8,
            "w": rng.uniform(0.5, 2, n),
            "z": rng.normal(size=n),
        },
    )


def test_by_hand() -> None:
    """Two never treated, two treated from period 3 on: mean change against mean change."""
    y = np.array([[1, 2, 4, 5], [0, 2, 3, 3], [5, 6, 12, 14], [2, 3, 6, 11]], dtype=float)
    panel = Panel(np.arange(4), np.arange(1, 5), {"y": y}, {"adoption": np.array([INF, INF, 3, 3])})
    # untreated changes from the mean of periods 1-2: period 3: 2.5, 2 -> 2.25; period 4: 3.5, 2 -> 2.75
    # treated: unit 3: 6.5, 8.5; unit 4: 3.5, 8.5 -> effects 4.25, 5.75 and 1.25, 5.75
    cells = imputation_effects(panel, Design("y"))
    np.testing.assert_allclose(cells.values, [2.75, 5.75], atol=1e-12)
    assert list(cells.terms) == [(3, 3), (3, 4)]
    for call in (partial(imputation_effects, by="overall"), two_stage_effects):
        np.testing.assert_allclose(call(panel, Design("y")).values, [4.25], atol=1e-12)  # type: ignore[operator]
    np.testing.assert_allclose(imputation_effects(panel, Design("y"), by="cohort").values, [4.25], atol=1e-12)
    # residuals of the clean cells: period effects 0, 1.5-0.25.. are exact in two periods but for ±0.25
    plain = imputation_effects(panel, Design("y"), leave_out=False)
    wide = imputation_effects(panel, Design("y"))
    influence = np.asarray(plain.influence)[2:, 0] / 4
    away = np.asarray(wide.influence)[2:, 0] / 4
    first = np.array([1, 1]) * 0  # both treated units change by 1 in the clean periods: the same residual
    np.testing.assert_allclose(influence - influence.mean() - first, [0.75, -0.75], atol=1e-12)
    np.testing.assert_allclose(away - away.mean(), [1.5, -1.5], atol=1e-12)  # n / (n − 1) = 2
    assert cells.n_treated.tolist() == [2, 2]
    assert cells.n_comparison.tolist() == [2, 2]
    np.testing.assert_allclose(cells.detail["effective"], [2, 2])


@ALL
def test_what_no_method_takes(call) -> None:  # type: ignore[no-untyped-def]
    panel = world()
    y = panel.values("y")
    few = {"leads": 1} if call is imputation_pretrends else {}
    with pytest.raises(RefusalError, match="포아송"):
        call(panel, Design("y", link="ratios"))
    with pytest.raises(RefusalError, match="at_risk"):
        call(panel, Design("y", at_risk="x"))
    assert any(
        "comparison=never" in n for n in call(panel, Design("y", comparison="never"), **few).detail["notes"]
    )
    with pytest.raises(DesignError, match="하나도 없"):
        call(panel.with_varying(y=np.full(panel.shape, np.nan)), Design("y"))
    with pytest.raises(DataError, match="무한대"):
        call(panel.with_varying(y=np.where(y > 2, INF, y)), Design("y"))
    with pytest.raises(DataError, match="무한대"):
        call(panel.with_varying(x=np.where(y > 2, INF, y)), Design("y", covariates=("x",)))
    with pytest.raises(DataError, match="음수"):
        call(panel.with_fixed(w=-panel.constant("w")), Design("y", weight="w"))
    with pytest.raises(DesignError, match="군집 one 이"):
        call(panel.with_fixed(one=np.ones(40)), Design("y", cluster="one"))
    with pytest.raises(DesignError, match="지원받은 관측값이 하나도"):
        call(panel.with_fixed(adoption=np.full(40, INF)), Design("y"))
    with pytest.raises(DesignError, match="비슷한 이름"):
        call(panel, Design("yy"))
    with pytest.raises(DesignError, match="기간이 아님"):
        call(panel.with_fixed(adoption=np.where(panel.constant("adoption") == 3, 3.0, 0.0)), Design("y"))


@BOTH
def test_everyone_treated_at_the_end(call) -> None:  # type: ignore[no-untyped-def]
    panel = world(cohorts=(3, 4, 5))
    with pytest.raises(DesignError, match=r"코호트 3 의 5 .*지원받지 않은 관측값이 없음.*unimputable"):
        call(panel, Design("y"))
    estimate = call(panel, Design("y"), unimputable="drop")
    lost = estimate.detail["not_imputable"]
    assert {row[1] for row in lost} == {5, 6}
    assert sum(row[2] for row in lost) == 80
    assert "80개를 뺐다" in estimate.detail["notes"][-1] or any("80개" in n for n in estimate.detail["notes"])
    early = call(panel.select(periods=range(1, 5)), Design("y"))
    np.testing.assert_allclose(estimate.values, early.values, rtol=1e-10)
    np.testing.assert_allclose(estimate.std_errors, early.std_errors, rtol=1e-10)


@BOTH
def test_a_cohort_treated_from_the_start(call) -> None:  # type: ignore[no-untyped-def]
    panel = world(cohorts=(1, 4, INF))
    with pytest.raises(DesignError, match=r"코호트 1 의 1 .*지원 전 기간이 자료에 없음"):
        call(panel, Design("y"))
    estimate = call(panel, Design("y"), unimputable="drop")
    rest = call(panel.select(panel.constant("adoption") != 1), Design("y"))
    np.testing.assert_allclose(estimate.values, rest.values, rtol=1e-10)
    assert {row[0] for row in estimate.detail["not_imputable"]} == {1}
    with pytest.raises(DesignError, match="지원받지 않은 관측값이 하나도"):
        call(world(cohorts=(1,)), Design("y"))
    with pytest.raises(DesignError, match="코호트 1"):
        call(world(cohorts=(1, INF)), Design("y"), unimputable="drop")


@BOTH
def test_a_unit_seen_only_under_treatment(call) -> None:  # type: ignore[no-untyped-def]
    panel = world()
    y = panel.values("y").copy()
    y[0, :2] = np.nan
    holes = panel.with_varying(y=y)
    with pytest.raises(DesignError, match="지원 전의 관측값이 없음, 단위 1개"):
        call(holes, Design("y"))
    estimate = call(holes, Design("y"), unimputable="drop")
    np.testing.assert_allclose(
        estimate.values, call(panel.select(np.arange(1, 40)), Design("y")).values, rtol=1e-10
    )
    assert estimate.n_units == 40
    assert not np.asarray(estimate.influence)[0].any()


@BOTH
def test_a_covariate_that_moves_under_treatment_only(call) -> None:  # type: ignore[no-untyped-def]
    """Constant on untreated cells: its slope is not known, so treated outcomes cannot be imputed."""
    panel = world()
    treated = panel.periods[None, :] >= panel.constant("adoption")[:, None]
    moved = panel.with_varying(x=np.where(treated, panel.values("x"), 3.7))
    with pytest.raises(DesignError, match="공변량 x 의 계수"):
        call(moved, Design("y", covariates=("x",)))
    still = panel.with_varying(x=np.where(treated, 1.0, panel.values("x")))
    call(still, Design("y", covariates=("x",)))  # constant within the treated is no obstacle
    twice = panel.with_varying(v=2 * panel.values("x") + 1)
    both = call(twice, Design("y", covariates=("x", "v")))
    assert both.detail["collinear"] == ["v"]
    assert any("v 은(는)" in note for note in both.detail["notes"])
    np.testing.assert_allclose(both.values, call(panel, Design("y", covariates=("x",))).values, rtol=1e-10)


def test_a_fixed_covariate_is_the_same_at_any_scale() -> None:
    panel = world()
    a = imputation_effects(panel, Design("y", covariates=("z",)))
    b = imputation_effects(
        panel.with_fixed(z=1e6 + 1e3 * panel.constant("z")), Design("y", covariates=("z",))
    )
    np.testing.assert_allclose(a.values, b.values, rtol=1e-8)
    assert len(a.detail["covariate_names"]) == 5
    with pytest.raises(DesignError, match="같은 값"):
        imputation_effects(panel.with_fixed(z=np.ones(40)), Design("y", covariates=("z",)))


def test_groups_of_units_that_no_cell_links() -> None:
    """Half the units are seen early and half late: a late level cannot be told from the period effects."""
    panel = world(cohorts=(3, INF), periods=6)
    y = panel.values("y").copy()
    early = np.arange(40) < 20
    y[early, 3:] = np.nan
    y[~early, :3] = np.nan
    moved = panel.with_varying(y=y).with_fixed(
        adoption=np.where(early, np.resize([3.0, INF], 40), np.resize([6.0, INF], 40))
    )
    imputation_effects(moved, Design("y"))  # each half has its own comparison
    # a unit clean in the early half and treated in the late half is imputable in neither
    y2 = y.copy()
    y2[0, 3:] = 1.0
    with pytest.raises(DesignError, match="고정효과을\\(를\\) 지원받지 않은 관측값으로 구별할 수 없음"):
        imputation_effects(moved.with_varying(y=y2), Design("y"))
    dropped = imputation_effects(moved.with_varying(y=y2), Design("y"), unimputable="drop")
    assert sum(row[2] for row in dropped.detail["not_imputable"]) == 3


def test_one_treated_unit_has_an_effect_and_no_error() -> None:
    panel = world(cohorts=(INF,)).with_fixed(adoption=np.where(np.arange(40) == 0, 4.0, INF))
    cells = imputation_effects(panel, Design("y"))
    assert np.isfinite(cells.values).all()
    assert np.isnan(cells.std_errors).all()
    assert cells.detail["averages"] == ["none"] * 3
    assert any("하나뿐" in note for note in cells.detail["notes"])
    plain = imputation_effects(panel, Design("y"), leave_out=False)
    assert (
        plain.std_errors > 0
    ).all()  # of the comparison only: too small, which is why it is not the default
    assert any("너무 작다" in note for note in plain.detail["notes"])


def test_a_cohort_of_one_takes_a_coarser_average() -> None:
    panel = world()
    adoption = panel.constant("adoption").copy()
    adoption[0] = 5.0
    lonely = panel.with_fixed(adoption=adoption)
    by_time = imputation_effects(lonely, Design("y"), by="event_time")
    assert by_time.detail["averages"] == ["event_time", "event_time", "cohort_period", "cohort_period"]
    assert np.isfinite(by_time.std_errors).all()
    whole = imputation_effects(lonely, Design("y"), by="overall")
    assert whole.detail["averages"] == ["event_time"]
    assert any("더 넓은 묶음" in note for note in whole.detail["notes"])


def test_few_effective_observations_can_be_held_back() -> None:
    panel = world()
    all_terms = imputation_effects(panel, Design("y", cluster="region"))
    some = imputation_effects(panel, Design("y", cluster="region"), min_effective=13.5)
    assert some.detail["suppressed"] == ["4·4", "4·5", "4·6"]
    np.testing.assert_array_equal(np.isnan(some.values), [False] * 4 + [True] * 3)
    assert np.isnan(some.replicates[:, 4:]).all()
    assert np.isnan(some.std_errors[4:]).all()
    np.testing.assert_array_equal(some.values[:4], all_terms.values[:4])


def test_anticipation_is_imputed_and_shown() -> None:
    panel = world()
    estimate = imputation_effects(panel, Design("y", anticipation=1), by="event_time")
    assert estimate.terms.get_level_values(0).min() == -1
    whole = imputation_effects(panel, Design("y", anticipation=1), by="overall")
    earlier = panel.with_fixed(adoption=panel.constant("adoption") - 1)
    moved = imputation_effects(earlier, Design("y"), by="event_time")
    np.testing.assert_allclose(estimate.values, moved.values, rtol=1e-12)
    np.testing.assert_allclose(
        two_stage_effects(panel, Design("y", anticipation=1)).values, whole.values, rtol=1e-10
    )
    late = panel.with_fixed(adoption=np.where(panel.constant("adoption") == 3, 7.0, INF))
    with pytest.raises(DesignError, match="by="):
        imputation_effects(late, Design("y", anticipation=1), by="overall")


def test_weights_of_ones_own_and_their_faults() -> None:
    panel = world()
    treated = (panel.periods[None, :] >= panel.constant("adoption")[:, None]).astype(float)
    named = panel.with_varying(all=treated, none=np.zeros(panel.shape), bad=-treated)
    own = imputation_effects(named, Design("y"), by=["all"])
    whole = imputation_effects(panel, Design("y"), by="overall")
    np.testing.assert_allclose(own.values, whole.values, rtol=1e-12)
    np.testing.assert_allclose(own.std_errors, whole.std_errors, rtol=1e-12)
    assert own.terms[0] == ("all",)
    assert own.n_treated[0] == whole.n_treated[0]
    assert own.n_comparison[0] == whole.n_comparison[0]
    with pytest.raises(DesignError, match="none"):
        imputation_effects(named, Design("y"), by=["none"])
    with pytest.raises(DataError, match=r"bad 의 값 -1"):
        imputation_effects(named, Design("y"), by=["bad"])
    with pytest.raises(DesignError, match="패널에 없음"):
        imputation_effects(named, Design("y"), by=["al"])
    with pytest.raises(UsageError, match="목록"):
        imputation_effects(named, Design("y"), by="all")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="겹침"):
        imputation_effects(named, Design("y"), by=[])


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="averages"):
        imputation_effects(world(), Design("y"), averages="unit")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unimputable"):
        imputation_effects(world(), Design("y"), unimputable="keep")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unimputable"):
        two_stage_effects(world(), Design("y"), unimputable="keep")  # type: ignore[arg-type]
    for leads in (0, True, 1.5):
        with pytest.raises(UsageError, match="leads"):
            imputation_pretrends(world(), Design("y"), leads=leads)  # type: ignore[arg-type]


def test_pretrends_need_their_leads() -> None:
    panel = world()
    with pytest.raises(DesignError, match="경과 기간 -4"):
        imputation_pretrends(panel, Design("y"), leads=4)
    with pytest.raises(DesignError, match=r"구별할 수 없음|관측값이 없음"):
        imputation_pretrends(world(cohorts=(3, INF)), Design("y"), leads=2)
    estimate = imputation_pretrends(panel, Design("y"), leads=2)
    assert estimate.detail["joint_dof"] == [2, estimate.n_clusters - 1]
    statistic = estimate.values @ np.linalg.solve(estimate.covariance, estimate.values) / 2
    np.testing.assert_allclose(estimate.detail["joint_statistic"], statistic)
    assert 0 < estimate.detail["joint_p_value"] < 1
    assert estimate.detail["honest_input"] is False
    few = imputation_pretrends(
        panel.with_fixed(region=np.arange(40) % 2), Design("y", cluster="region"), leads=2
    )
    assert np.isnan(few.detail["joint_p_value"])


def test_pretrends_do_not_see_treated_cells() -> None:
    panel = world()
    treated = panel.periods[None, :] >= panel.constant("adoption")[:, None]
    wild = panel.with_varying(y=np.where(treated, 1e6, panel.values("y")))
    one, other = (imputation_pretrends(p, Design("y"), leads=2) for p in (panel, wild))
    np.testing.assert_array_equal(one.values, other.values)
    ahead = imputation_pretrends(panel, Design("y", anticipation=1), leads=1)
    assert list(ahead.terms) == [(-2,)]


def test_event_study_references_and_windows() -> None:
    panel = world()
    study = two_stage_event_study(panel, Design("y"))
    assert list(study.terms.get_level_values(0)) == [-3, -2, 0, 1, 2, 3]
    assert study.detail["reference"] == [-1]
    binned = two_stage_event_study(panel, Design("y"), window=(-2, 1))
    assert list(binned.terms.get_level_values(0)) == [-2, 0, 1]
    with pytest.raises(DesignError, match="-9"):
        two_stage_event_study(panel, Design("y"), reference=-9)
    with pytest.raises(DesignError, match="오름차순"):
        two_stage_event_study(panel, Design("y"), window=(2, -2))


def test_the_aggregates_take_the_cells() -> None:
    panel = world()
    cells = imputation_effects(panel, Design("y", cluster="region"))
    np.testing.assert_allclose(
        overall(cells).values, imputation_effects(panel, Design("y"), by="overall").values, rtol=1e-10
    )
    times = event_study(cells)
    np.testing.assert_allclose(
        times.values, imputation_effects(panel, Design("y"), by="event_time").values, rtol=1e-10
    )
    assert np.isfinite(times.std_errors).all()


def test_replicates_are_made_when_cheap_or_asked_for() -> None:
    panel = world(n=1200)
    assert imputation_effects(panel, Design("y")).replicates is None
    asked = imputation_effects(panel, Design("y"), replicates=True)
    assert asked.replicates is not None
    assert asked.replicates.shape == (1200, 7)
    without = imputation_effects(panel.select(np.arange(1, 1200)), Design("y"))
    np.testing.assert_allclose(asked.replicates[0], without.values, rtol=1e-9)
    assert imputation_effects(panel, Design("y", cluster="region"), replicates=False).replicates is None
    assert two_stage_effects(panel, Design("y", cluster="region")).replicates is not None


def test_replicates_that_cannot_be_imputed_are_nan() -> None:
    """One cluster holds all never treated units: without it the last periods have no comparison."""
    panel = world(cohorts=(3, 4, INF))
    region = np.where(np.isinf(panel.constant("adoption")), 99, panel.constant("region"))
    design = Design("y", cluster="region")
    lonely = panel.with_fixed(region=region)
    contract.replicates_are_refits(imputation_effects, lonely, design)
    contract.replicates_are_refits(two_stage_effects, lonely, design)
    loose = imputation_effects(lonely, design, unimputable="drop")
    at = list(loose.cluster_labels).index(99)
    defined = np.isfinite(loose.replicates[at])
    assert [term for term, ok in zip(loose.terms, defined, strict=True) if ok] == [(3, 3)]
    refit = imputation_effects(lonely.select(region != 99), design, unimputable="drop")
    np.testing.assert_allclose(loose.replicates[at][defined], refit.values, rtol=1e-10)


def test_period_gaps_are_labels() -> None:
    """A year that is missing for everybody shifts event time, and nothing else."""
    panel = world().select(periods=[1, 2, 4, 5, 6])
    estimate = imputation_effects(panel, Design("y"))
    assert 3 not in estimate.terms.get_level_values("period")
    assert np.isfinite(estimate.values).all()


@BOTH
def test_weights_of_zero_are_absent_units(call) -> None:  # type: ignore[no-untyped-def]
    panel = world()
    keep = np.arange(40) >= 6
    weighted = call(panel.with_fixed(w=keep * panel.constant("w")), Design("y", weight="w"))
    np.testing.assert_allclose(
        weighted.values, call(panel.select(keep), Design("y", weight="w")).values, rtol=1e-10
    )


@ALL
def test_it_survives_a_file(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    contract.survives_a_file(
        call(
            world(),
            replace(Design("y"), cluster="region"),
            **({"leads": 1} if "pre" in call.__name__ else {}),
        ),
        tmp_path,
    )


def test_weights_need_nothing_more() -> None:
    terms, v = imputation_weights(world(), Design("y", covariates=("x",), weight="w"), by="event_time")
    assert v.shape == (len(terms), 40, 6)
    assert terms.names == ["event_time"]
    with pytest.raises(EvalkitError):
        imputation_weights(world(cohorts=(3, 4)), Design("y"))
