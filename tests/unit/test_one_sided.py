"""No method may give a standard error that the data cannot hold: one cluster alone on a side, scores that cancel."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.arrays.cluster import sandwich
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.dose_response import dose_response
from evalkit.estimators.imputation import imputation_effects, imputation_pretrends
from evalkit.estimators.phase_paths import naive_phase_regression, phase_path_effects
from evalkit.estimators.repeated_cross_sections import repeated_cross_section_effects
from evalkit.estimators.spillovers import spillover_effects
from evalkit.estimators.tier_effects import tier_contrasts, tier_effects
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.estimators.two_stage import two_stage_effects, two_stage_event_study
from evalkit.panel import Panel
from evalkit.sample import Sample

INF = np.inf
N, T = 48, 6
FIRST = np.where(np.arange(N) % 2 == 0, 2018.0, INF)


def panel(first: Any = FIRST, **fixed: Any) -> Panel:
    """Treated units even, never treated odd; the values of a unit are noise."""
    rng = np.random.default_rng(3)
    place = np.arange(N)
    treated = np.isfinite(first)
    known = {
        "adoption": first,
        "later": np.where(place // 2 % 2 == 0, 2020.0, INF),
        "tier": np.where(treated, 1.0 + place // 2 % 2, np.nan),
        "dose": np.where(treated, 1.0 + place % 5, 0.0),
        "target": (place // 2 % 2).astype(float),
        "one": np.where(treated, 0, 1 + place % 3),
        "many": place % 8,
        **fixed,
    }
    return Panel(place, np.arange(2016, 2016 + T), {"y": rng.normal(size=(N, T))}, known)


def cross_sections(data: Panel, question: Design) -> Estimate:
    """The panel's cells as observations of different firms."""
    n, t = data.shape
    columns: dict[str, Any] = {name: np.repeat(values, t) for name, values in data.fixed.items()}
    columns |= {name: values.ravel() for name, values in data.varying.items()}
    return repeated_cross_section_effects(Sample(np.tile(data.periods, n), columns), question)


def rings(data: Panel, question: Design, method: Any = "two_stage") -> Estimate:
    """Every fourth unit never treated is near from 2018 on."""
    near = (
        (np.arange(N) % 4 == 1)[:, None]
        & (data.periods >= 2018)
        & np.isinf(data.constant("adoption"))[:, None]
    )
    found = spillover_effects(
        data.with_varying(near=near.astype(float)), question, rings=("near",), method=method
    )
    return found.select([0])


def dummies(data: Panel, question: Design) -> Estimate:
    if np.isinf(data.constant("later")).all():
        data = data.with_fixed(later=np.where(np.arange(N) % 4 == 0, 2020.0, INF))
    return naive_phase_regression(data, question, second="later", for_contrast=True).select([0])


def overall(data: Panel, question: Design) -> Estimate:
    return tier_effects(data, question, tier="tier", level="overall")


METHODS: dict[str, Callable[[Panel, Design], Estimate]] = {
    "tiers": overall,
    "contrasts": lambda p, d: tier_contrasts(p, d, tier="tier", level="overall"),
    "doses": lambda p, d: dose_response(p, d, dose="dose", degree=1, grid=(2.0, 3.0)),
    "triple": lambda p, d: triple_difference_effects(p, d, eligible="target", combination="never"),
    "imputation": lambda p, d: imputation_effects(p, d, by="event_time"),
    "imputation, own weights": lambda p, d: imputation_effects(p.with_fixed(own=np.ones(N)), d, by=("own",)),
    "two stages": two_stage_effects,
    "two stages, event study": lambda p, d: two_stage_event_study(p, d, window=(-2, 2)),
    "repeated cross-sections": cross_sections,
    "rings": rings,
    "rings, one regression": lambda p, d: rings(p, d, "static"),
    "two dummies": dummies,
    "paths": lambda p, d: phase_path_effects(p, d, second="later", level="overall", estimands=("E1",)),
}
each = pytest.mark.parametrize("call", METHODS.values(), ids=METHODS.keys())


def missing(est: Estimate) -> Any:
    """Terms that are estimated (a base period is 0 by construction) and whether they lack an interval."""
    table = est.table()
    shown = np.isfinite(est.values) & (est.values != 0)
    lost = table[["std_error", "conf_low", "conf_high", "p_value"]].isna()
    assert (lost.all(axis=1) == lost.any(axis=1)).all()
    return shown, lost.all(axis=1).to_numpy()


@each
def test_one_treated_cluster_has_no_standard_error(call: Callable[[Panel, Design], Estimate]) -> None:
    est = call(panel(), Design("y", cluster="one"))
    shown, lost = missing(est)
    assert shown.any()
    assert lost[shown].all()
    assert any("하나뿐" in note or "흩어짐이 0" in note for note in est.detail["notes"])


@each
def test_one_comparison_cluster_has_no_standard_error(call: Callable[[Panel, Design], Estimate]) -> None:
    """The path without treatment is that of one cluster, whose own noise no other cluster tells."""
    place = np.arange(N)
    data = panel(other=np.where(np.isinf(FIRST), 0, 1 + place % 6), later=np.full(N, INF))
    est = call(data, Design("y", cluster="other"))
    shown, lost = missing(est)
    after = np.ones(len(est), dtype=bool)
    if "event_time" in est.terms.names:
        after = np.asarray(est.terms.get_level_values("event_time") >= 0)
    assert lost[shown & after].all()


@each
def test_clusters_on_both_sides_keep_theirs(call: Callable[[Panel, Design], Estimate]) -> None:
    est = call(panel(), Design("y", cluster="many"))
    shown, lost = missing(est)
    assert shown.any()
    assert not lost[shown].any()
    assert any(re.search(r"한쪽의 군집\(many\)이 [24]개까지", note) for note in est.detail["notes"])


def test_one_treated_unit_and_one_comparison_unit() -> None:
    for first in (np.where(np.arange(N) == 4, 2018.0, INF), np.where(np.arange(N) == 5, INF, 2018.0)):
        est = overall(panel(first), Design("y"))
        shown, lost = missing(est)
        assert lost[shown].all()
        assert any("단위가 하나뿐인 항" in note for note in est.detail["notes"])


def test_a_cohort_of_one_unit_is_told_in_the_average_over_cohorts() -> None:
    first = np.where(np.arange(N) == 4, 2019.0, FIRST)
    est = overall(panel(first, tier=np.where(np.isfinite(first), 1.0, np.nan)), Design("y"))
    assert np.isfinite(est.std_errors).all()
    assert any("일부 칸에서" in note for note in est.detail["notes"])


def test_as_many_doses_as_coefficients_leave_nothing_to_judge_them_by() -> None:
    place = np.arange(N)
    first = np.where(place < 2, 2018.0, INF)
    est = dose_response(
        panel(first, dose=np.where(place < 2, 1.0 + place, 0.0)),
        Design("y"),
        dose="dose",
        degree=1,
        grid=(1.5,),
    )
    _, lost = missing(est)
    assert lost.all()


def test_scores_that_cancel_have_no_variance() -> None:
    """Treated units in one cluster and comparison units in the other: sums of rounding errors are not a variance."""
    rng = np.random.default_rng(0)
    influence = rng.normal(size=(1000, 2))
    cluster = np.repeat([0, 1], 500)
    for c in (0, 1):
        influence[cluster == c, 0] -= influence[cluster == c, 0].mean()
    covariance = sandwich(influence, cluster, 2)
    assert covariance[0, 0] == covariance[0, 1] == 0 < covariance[1, 1]


def test_a_combination_does_not_turn_rounding_into_an_error() -> None:
    """Two terms that share all of their error: the difference has none that is known."""
    shared = np.array([0.1, 0.3, 0.7])[:, None] * np.ones((1, 2)) / 3
    est = Estimate(
        terms=pd.MultiIndex.from_arrays([["a", "b"]], names=["term"]),
        values=np.array([0.4, 0.1]),
        covariance=shared.T @ shared * np.array([[1, 1 + 1e-15], [1 + 1e-15, 1 + 4e-15]]),
        influence=None,
        cluster=np.arange(3),
        cluster_labels=np.arange(3),
        replicates=None,
        dof=np.inf,
        n_treated=1,
        n_comparison=1,
        method="test",
        inference="IF",
        units=np.arange(3),
    )
    table = est.combine([[1.0, -1.0]], ["gap"]).table()
    assert table["estimate"].item() == pytest.approx(0.3)
    assert np.isnan(table["std_error"].item())
    assert np.isnan(table["p_value"].item())


def test_one_cluster_alone_has_no_pretrend_error() -> None:
    """Neither the leads of one treated unit, or against one other, nor a joint test of them."""
    for first in (np.where(np.arange(N) == 4, 2019.0, INF), np.where(np.arange(N) == 5, INF, 2019.0)):
        est = imputation_pretrends(panel(first), Design("y"), leads=2)
        shown, lost = missing(est)
        assert lost[shown].all()
        assert np.isnan(est.detail["joint_p_value"])
        assert any("하나뿐" in note for note in est.detail["notes"])


def test_two_units_fit_exactly_and_say_nothing() -> None:
    two = panel().select(units=[0, 1])
    table = imputation_pretrends(two, Design("y"), leads=1).table()
    assert table.drop(columns="estimate").isna().all(axis=None)


def test_a_ratio_that_no_data_give_is_rounding() -> None:
    """An exact fit leaves errors of the size of rounding: no p-value of 0 comes of them."""
    step = panel().with_varying(y=(np.arange(2016, 2016 + T)[None, :] >= FIRST[:, None]) * 1.0)
    for call in (METHODS["two dummies"], METHODS["doses"]):
        _, lost = missing(call(step, Design("y")))
        assert lost.all()
