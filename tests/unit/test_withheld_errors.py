"""No confident number where the data hold none: one unit or cluster on a side, nothing that varies, nothing observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit import aggregate
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.attrition import attrition_effects
from evalkit.estimators.changes_in_changes import changes_in_changes
from evalkit.estimators.distribution_did import distribution_effects
from evalkit.estimators.duration_did import duration_effects, duration_pre_test
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.estimators.goodman_bacon import goodman_bacon_decomposition
from evalkit.estimators.gravity import gravity_effects
from evalkit.estimators.hazard import hazard_effects, incidence_effects
from evalkit.estimators.lee_bounds import bound_interval, lee_bounds
from evalkit.estimators.local_projection import local_projection_effects
from evalkit.estimators.margins import margin_effects
from evalkit.estimators.percent_effects import percent_effects
from evalkit.estimators.poisson import poisson_effects, poisson_event_study
from evalkit.estimators.stacked import stacked_effects
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.switching import switching_average, switching_effects
from evalkit.estimators.synthetic_control import (
    augmented_synthetic_control_effects,
    synthetic_control_effects,
)
from evalkit.estimators.synthetic_did import synthetic_did_effects
from evalkit.flows import Flows
from evalkit.panel import Panel

INF = np.inf
N, T = 60, 8
Call = Callable[[Panel, Design], Estimate]
METHODS: dict[str, tuple[str, Call]] = {
    "extended": ("y", extended_two_way_effects),
    "extended_never": ("y", lambda p, d: extended_two_way_effects(p, replace(d, comparison="never"))),
    "extended_poisson": ("count", lambda p, d: extended_two_way_effects(p, d, link="poisson")),
    "extended_logit": ("share", lambda p, d: extended_two_way_effects(p, d, link="logit")),
    "sun_abraham": ("y", sun_abraham_effects),
    "sun_abraham_cell": ("y", lambda p, d: sun_abraham_effects(p, d, by="cell")),
    "stacked": ("y", lambda p, d: stacked_effects(p, d, window=(-2, 1))),
    "margins": ("count", margin_effects),
    "distribution": ("y", distribution_effects),
    "lee": ("left", lee_bounds),
    "attrition": ("left", attrition_effects),
    "hazard": ("exit", hazard_effects),
    "incidence": ("exit", incidence_effects),
    "duration": ("exit", duration_effects),
    "duration_pre": ("exit", duration_pre_test),
    "changes": ("y", changes_in_changes),
    "poisson": ("count", poisson_effects),
    "poisson_treatment": ("count", lambda p, d: poisson_effects(p, d, treatment="on")),
    "poisson_events": ("count", lambda p, d: poisson_event_study(p, d, window=(-2, 1))),
    "percent": ("count", lambda p, d: percent_effects(p, d, by="overall")),
    "shares": ("part", lambda p, d: fractional_shares(p, d, denominator="whole")),
    "projection": ("y", local_projection_effects),
    "switching": ("y", lambda p, d: switching_effects(p, d, treatment="on")),
    "switching_average": ("y", lambda p, d: switching_average(p, d, treatment="on")),
    "bacon": ("y", goodman_bacon_decomposition),
}
each = pytest.mark.parametrize("name", METHODS)


def world(first: Any = (5.0, INF), seed: int = 5, **fixed: Any) -> Panel:
    """Cohorts in turn over 60 units; noise, counts, shares, an absorbing exit and an outcome that it ends."""
    rng = np.random.default_rng(seed)
    place, periods = np.arange(N), np.arange(1, T + 1)
    adoption = np.array([first[i % len(first)] for i in place]) if len(first) < N else np.asarray(first)
    treated = (periods >= adoption[:, None]).astype(float)
    y = rng.normal(size=(N, 1)) + rng.normal(size=(N, T)) + treated
    gone = rng.uniform(size=(N, T)) < 0.1
    gone[:, 0] = False
    # the unit that stands alone below leaves in the seventh period
    gone[:2] = periods == 7
    exit_ = np.maximum.accumulate(gone, axis=1)
    varying = {
        "y": y,
        "count": rng.poisson(np.exp(0.5 + 0.3 * treated), size=(N, T)).astype(float),
        "share": 1 / (1 + np.exp(-y)),
        "exit": exit_.astype(float),
        "left": np.where(exit_, np.nan, y),
        "on": treated,
        "whole": np.full((N, T), 30.0),
        "part": rng.binomial(30, 0.3 + 0.2 * treated).astype(float),
    }
    known = {"adoption": adoption, "many": place // 2 % 12, "one": np.where(np.isfinite(adoption), 99, place)}
    return Panel(place, periods, varying, {**known, **fixed})


def alone(treated: bool) -> Panel:
    """One treated unit among units never treated, or the other way round."""
    own, others = (5.0, INF) if treated else (INF, 5.0)
    return world(np.where(np.arange(N) == 0, own, others))


def shown(est: Estimate) -> tuple[Any, Any]:
    """Terms with an estimate that is not 0 by construction; whether they lack every part of an interval."""
    table = est.table()
    lost = table[["std_error", "conf_low", "conf_high", "p_value"]].isna()
    assert (lost.all(axis=1) == lost.any(axis=1)).all()
    assert np.isfinite(table.to_numpy()[~lost.any(axis=1)]).all()
    return np.isfinite(est.values), lost.all(axis=1).to_numpy()


@each
@pytest.mark.parametrize("treated", [True, False])
def test_one_unit_on_a_side_has_no_standard_error(name: str, treated: bool) -> None:
    outcome, call = METHODS[name]
    try:
        est = call(alone(treated), Design(outcome))
    except EvalkitError:
        assert name in ("hazard", "incidence", "duration", "duration_pre", "poisson_events")
        return
    there, lost = shown(est)
    assert there.any()
    assert lost[there].all(), est.table()
    assert any("단위가 하나뿐인 항" in note for note in est.detail["notes"])


@each
def test_one_treated_cluster_has_no_standard_error(name: str) -> None:
    outcome, call = METHODS[name]
    est = call(world(), Design(outcome, cluster="one"))
    there, lost = shown(est)
    assert there.any()
    assert lost[there].all(), est.table()
    assert any("군집(one)이 하나뿐인 항" in note for note in est.detail["notes"])


@each
def test_clusters_enough_on_both_sides_keep_theirs(name: str) -> None:
    outcome, call = METHODS[name]
    est = call(world(), Design(outcome, cluster="many"))
    there, lost = shown(est)
    assert (there & ~lost).sum() >= 0.8 * there.sum()
    assert not any("하나뿐인 항" in note or "너무 작기" in note for note in est.detail["notes"])


@pytest.mark.parametrize("call", [extended_two_way_effects, local_projection_effects])
def test_as_many_slopes_as_comparison_units_leave_no_standard_error(call: Call) -> None:
    panel = world((5.0, INF, INF)).select(units=np.arange(9))
    rng = np.random.default_rng(0)
    panel = panel.with_fixed(**{f"x{i}": rng.normal(size=9) for i in range(5)})
    est = call(panel, Design("y", covariates=tuple(f"x{i}" for i in range(5))))
    there, lost = shown(est)
    assert lost[there].all()
    assert any("계수 6개보다 많지 않은 항" in note for note in est.detail["notes"])
    fewer = call(panel, Design("y", covariates=("x0", "x1")))
    assert not any("많지 않은 항" in note for note in fewer.detail["notes"])


@pytest.mark.parametrize("treated", [1, 5, 9])
@pytest.mark.parametrize("pair", [True, False])
def test_flows_to_one_destination_on_a_side_have_no_standard_error(treated: int, pair: bool) -> None:
    adoption = np.where(np.arange(10) < treated, 4.0, INF)
    counts = np.random.default_rng(1).poisson(6.0, size=(5, 10, 6)).astype(float)
    flows = Flows(np.arange(5), np.arange(10), np.arange(1, 7), counts, {"adoption": adoption})
    est = gravity_effects(flows, Design("movers"), pair=pair)
    alone = min(treated, 10 - treated) == 1
    _, lost = shown(est)
    assert lost.all() == alone
    assert any("단위가 하나뿐인 항" in note for note in est.detail["notes"]) == alone


def test_destinations_without_a_cluster_are_refused() -> None:
    place = {"adoption": np.array([4.0, INF, INF]), "sido": np.array(["강원", "", " "])}
    flows = Flows(np.arange(2), np.arange(3), np.arange(1, 7), np.ones((2, 3, 6)), place)
    with pytest.raises(DataError, match="빈 도착지가 2곳"):
        gravity_effects(flows, Design("movers", cluster="sido"))


@pytest.mark.parametrize("name", ["extended", "extended_never", "changes"])
def test_an_average_of_cells_without_an_error_has_none(name: str) -> None:
    outcome, call = METHODS[name]
    panel = alone(True)
    est = (
        changes_in_changes(panel, Design(outcome), quantiles=())
        if name == "changes"
        else call(panel, Design(outcome))
    )
    for average in (aggregate.overall(est), aggregate.event_study(est)):
        assert np.isnan(average.table()[["std_error", "p_value"]].to_numpy()).all()
        assert any("하나뿐인 항" in note for note in average.detail["notes"])


def test_a_cohort_of_one_unit_keeps_the_average_over_cohorts() -> None:
    first = np.where(np.arange(N) % 2 == 0, 5.0, INF)
    first[0] = 4.0
    est = extended_two_way_effects(world(first), Design("y"))
    cohort = np.asarray(est.terms.get_level_values("cohort"))
    assert np.isnan(est.std_errors[cohort == 4]).all()
    assert (est.std_errors[cohort == 5] > 0).all()
    assert aggregate.overall(est).std_errors[0] > 0
    mean = sun_abraham_effects(world(first), Design("y"), by="overall")
    assert mean.std_errors[0] > 0


def test_an_outcome_without_noise_has_no_standard_error() -> None:
    """The same path for all units: what is left is rounding, which must not become a p-value."""
    path = np.tile(np.array([3.1, 2.7, 5.3, 9.9, 1.1, 7.7, 2.3, 4.9]), (N, 1))
    panel = world((4.0, 6.0, INF)).with_varying(y=path, count=path, share=path / 10, left=path)
    names = ("extended", "extended_never", "sun_abraham", "sun_abraham_cell", "margins", "lee", "attrition")
    calls = [METHODS[name] for name in names]
    # the stacked regression counts differences between stacks as noise, unless their shares are fixed
    calls.append(("y", lambda p, d: stacked_effects(p, d, window=(-2, 1), shares="fixed")))
    for outcome, call in calls:
        est = call(panel, Design(outcome))
        _, lost = shown(est)
        nothing = np.abs(est.values) < 1e-9
        assert nothing.any()
        assert lost[nothing].all(), est.method


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_an_outcome_of_one_value_gives_no_warning(level: float) -> None:
    panel = world((4.0, 6.0, INF))
    panel = panel.with_varying(**{name: np.full((N, T), level) for name in ("y", "count", "share")})
    for name, (outcome, call) in METHODS.items():
        if outcome in ("exit", "left", "part"):
            continue
        try:
            there, lost = shown(call(panel, Design(outcome)))
        except EvalkitError:
            continue
        assert lost[there].all(), name
    with pytest.raises(DesignError, match="경로가 모두 같아"):
        augmented_synthetic_control_effects(world((5.0, INF, INF)).with_varying(y=panel.values("y")), Design("y"))  # fmt: skip


def test_bounds_without_an_error_have_no_interval() -> None:
    est = lee_bounds(alone(True), Design("left"))
    assert np.isnan(bound_interval(est)[["conf_low", "conf_high"]].to_numpy()).all()
    with np.errstate(invalid="ignore"):
        still = replace(est, covariance=np.zeros((2, 2)))
    assert np.isnan(bound_interval(still)[["conf_low", "conf_high"]].to_numpy()).all()


# -- what is left out is told --------------------------------------------------------------------------


def test_cells_that_failed_are_named() -> None:
    """A covariate that is the treatment leaves nothing to tell the two apart."""
    panel = world((4.0, 6.0, INF))
    panel = panel.with_fixed(x=np.isfinite(panel.constant("adoption")).astype(float))
    est = extended_two_way_effects(panel, Design("y", covariates=("x",)))
    lost = [f"{g}·{t}" for (g, t), value in zip(est.terms, est.values, strict=True) if np.isnan(value)]
    assert lost
    note = next(note for note in est.detail["notes"] if "추정하지 못한 칸" in note)
    assert all(cell in note for cell in lost)


def test_units_with_a_missing_period_are_told() -> None:
    panel = world()
    y = panel.values("y").copy()
    y[7, 2] = np.nan
    for call in (distribution_effects, changes_in_changes):
        est = call(panel.with_varying(y=y), Design("y"))
        assert any("관측이 빠진 기간이 있는 단위 1개" in note for note in est.detail["notes"])


def test_terms_of_margins_without_a_positive_share_are_told() -> None:
    panel = world((4.0, 6.0, INF))
    count = panel.values("count").copy()
    count[np.isfinite(panel.constant("adoption")), 3:] = 0.0
    est = margin_effects(panel.with_varying(count=count), Design("count"))
    assert np.isnan(est.values).any()
    assert any("항을 비웠다" in note for note in est.detail["notes"])


def test_treated_units_that_had_to_survive_are_told() -> None:
    """Who must be there to be treated is a survivor by construction; "not" treated units are not."""
    plain, panel = world((5.0, INF)), world((5.0, INF))
    early = panel.values("exit").copy()
    early[np.isfinite(panel.constant("adoption")), :4] = 0.0
    early = np.maximum.accumulate(early, axis=1)
    panel = panel.with_varying(exit=early, left=np.where(early > 0, np.nan, panel.values("y")))
    told = "코호트 5: 지원 전에"
    for name in ("duration", "duration_pre", "attrition"):
        outcome, call = METHODS[name]
        assert any(told in note for note in call(panel, Design(outcome)).detail["notes"]), name
        assert not any(told in note for note in call(plain, Design(outcome)).detail["notes"]), name
    for call in (hazard_effects, incidence_effects):
        fails(DesignError, "지원 전 사건이 하나도 없어", call, panel, Design("exit"))


def test_a_gap_between_periods_is_told_and_makes_no_horizon() -> None:
    panel = world((4.0, 6.0, INF)).select(periods=[1, 2, 3, 5, 6, 7, 8])
    for call in (hazard_effects, incidence_effects):
        assert any("잇달지 않아(3–5)" in note for note in call(panel, Design("exit")).detail["notes"])
    biennial = world((7.0, 11.0, INF))
    biennial = Panel(biennial.units, 2 * biennial.periods - 1, biennial.varying, biennial.fixed)
    est = incidence_effects(biennial, Design("exit", cluster="many"))
    assert list(est.terms.get_level_values("horizon")) == [0, 2, 4, 6, 8]
    assert est.replicates is not None
    assert np.isfinite(est.values).all()


# -- sentences -----------------------------------------------------------------------------------------


def fails(kind: type[EvalkitError], match: str, call: Call, panel: Panel, design: Design) -> str:
    with pytest.raises(kind, match=match) as caught:
        call(panel, design)
    return str(caught.value)


def test_weights_of_zero_are_named() -> None:
    """Not the adoption variable and not the comparison group is at fault."""
    panel = world()
    panel = panel.with_fixed(w=np.where(np.isfinite(panel.constant("adoption")), 0.0, 1.0))
    for name in ("margins", "distribution", "lee", "attrition", "changes"):
        outcome, call = METHODS[name]
        fails(DesignError, "가중치 w 이", call, panel, Design(outcome, weight="w"))
    for name in ("extended", "sun_abraham"):
        outcome, call = METHODS[name]
        fails(DesignError, r"지원받은 단위 30개에 쓸 수 있는 결과나 가중치\(w\)", call, panel, Design(outcome, weight="w"))  # fmt: skip

    for call in (METHODS["percent"][1], METHODS["shares"][1]):
        fails(DesignError, "가중치 w 이", call, panel, Design("part", weight="w"))
    nobody = panel.with_fixed(w=np.zeros(N))
    fails(DesignError, "가중치 w 이", goodman_bacon_decomposition, nobody, Design("y", weight="w"))


@pytest.mark.parametrize("name", ["percent", "shares"])
def test_one_cluster_is_refused(name: str) -> None:
    outcome, call = METHODS[name]
    fails(DesignError, "군집 same", call, world(same=np.zeros(N)), Design(outcome, cluster="same"))


def test_counts_of_zero_before_treatment_are_refused() -> None:
    nothing = world().with_varying(count=np.zeros((N, T)))
    fails(DesignError, "모두 0 이라", METHODS["extended_poisson"][1], nothing, Design("count"))


def test_everyone_treated_at_once_lacks_comparison_units() -> None:
    for name in ("extended", "sun_abraham_cell"):
        fails(DesignError, "비교할 단위가 하나도 없어", METHODS[name][1], world((5.0,) * N), Design("y"))


def test_an_empty_covariate_is_named() -> None:
    panel = world().with_fixed(x=np.full(N, np.nan))
    fails(DataError, "공변량 x 이", extended_two_way_effects, panel, Design("y", covariates=("x",)))


def test_a_missing_covariate_of_attrition_is_placed() -> None:
    x = np.ones(N)
    x[3] = np.nan
    panel = world().with_fixed(x=x)
    fails(DataError, "단위 3.*1칸", attrition_effects, panel, Design("left", covariates=("x",)))
    varying = np.ones((N, T))
    varying[3, 2] = INF
    panel = world().with_varying(v=varying)
    fails(DataError, "단위 3 > 기간 3", attrition_effects, panel, Design("left", covariates=("v",)))


@pytest.mark.parametrize("call", [lee_bounds, attrition_effects])
def test_sentences_name_the_outcome_and_no_other_variable(call: Call) -> None:
    text = fails(DesignError, "관측된 기간이 1개", call, world().select(periods=[5]), Design("left"))
    assert "결과 변수 left" in text


def test_a_weight_that_changes_is_named_by_hazards() -> None:
    panel = world().with_varying(w=np.ones((N, T)))
    fails(DesignError, "가중치 w 이.*기간에 따라 바뀜", hazard_effects, panel, Design("exit", weight="w"))


def test_refusals_of_placebos_offer_what_the_method_has() -> None:
    for call in (synthetic_control_effects, augmented_synthetic_control_effects):
        for design in (Design("y"), Design("y", cluster="many")):
            text = fails(RefusalError, "플라시보|군집", call, world((5.0, INF)), design)
            assert "conformal" in text
            assert '"jackknife"' not in text
            assert "bootstrap" not in text


def test_synthetic_errors_of_few_draws_or_clusters_are_doubted() -> None:
    few = world((5.0, INF, INF, INF)).select(units=np.arange(8))
    est = synthetic_did_effects(few, Design("y"), inference="jackknife")
    assert any("군집이 2개뿐이라 jackknife" in note for note in est.detail["notes"])
    one = world((5.0, INF, INF, INF)).select(units=np.arange(4))
    est = synthetic_did_effects(one, Design("y"))
    assert est.inference == "placebo"
    assert any("플라시보가 3개뿐" in note for note in est.detail["notes"])
    own = world(one=np.where(np.arange(N) % 2 == 0, np.arange(N), 99))
    with pytest.raises(RefusalError, match="비교 단위가 한 군집에만"):
        synthetic_did_effects(own, Design("y", cluster="one"), inference="bootstrap", replications=50)
