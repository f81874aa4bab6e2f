"""Averages of group-time effects: weights, windows, labels, replicates, selection, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.aggregate import (
    average,
    by_cohort,
    by_period,
    cohort_average,
    event_study,
    overall,
    select_cohorts,
)
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel

INF = np.inf
ADOPTION = np.array([3.0] * 4 + [5.0] * 8 + [6.0] * 2 + [INF] * 10)


def cells(*, base: str = "universal", weight: bool = False) -> Estimate:
    """Exact effects: outcomes are 0 but for treated units, whose effect is 10 cohort + event time + 1."""
    periods = np.arange(1, 8)
    event = periods[None, :] - ADOPTION[:, None]
    y = np.where(event >= 0, 10 * np.where(np.isinf(ADOPTION), 0, ADOPTION)[:, None] + event + 1, 0.0)
    panel = Panel(
        np.arange(24),
        periods,
        {"y": y},
        {"adoption": ADOPTION, "w": np.arange(24) + 1.0, "region": np.arange(24) % 6},
    )
    design = Design(
        outcome="y",
        base=base,
        comparison="never",
        cluster="region",
        weight="w" if weight else None,  # type: ignore[arg-type]
    )
    return group_time_effects(panel, design)


def truth(cohort: int, period: int) -> float:
    return 10.0 * cohort + period - cohort + 1


def shares(weight: bool = False) -> dict[int, float]:
    w = np.arange(24) + 1.0 if weight else np.ones(24)
    return {g: float(w[g == ADOPTION].sum()) for g in (3, 5, 6)}


@pytest.mark.parametrize("weight", [False, True])
def test_each_average_weighs_cohorts_by_their_units(weight: bool) -> None:
    est, p = cells(weight=weight), shares(weight)
    treated = [(g, t) for g in (3, 5, 6) for t in range(g, 8)]
    expected = np.average([truth(*c) for c in treated], weights=[p[g] for g, _ in treated])
    assert overall(est).values == pytest.approx([expected])

    events = event_study(est)
    assert list(events.terms.get_level_values("event_time")) == list(range(-5, 5))
    at = dict(zip(events.terms.get_level_values(0), events.values, strict=True))
    assert at[-1] == 0
    assert at[1] == pytest.approx(
        (p[3] * truth(3, 4) + p[5] * truth(5, 6) + p[6] * truth(6, 7)) / (p[3] + p[5] + p[6])
    )
    assert at[4] == pytest.approx(truth(3, 7))

    cohorts = by_cohort(est)
    means = {g: np.mean([truth(g, t) for t in range(g, 8)]) for g in (3, 5, 6)}
    assert cohorts.values == pytest.approx(list(means.values()))
    assert cohort_average(cohorts).values == pytest.approx(
        [np.average(list(means.values()), weights=[p[g] for g in means])]
    )

    periods = by_period(est)
    assert list(periods.terms.get_level_values("period")) == [3, 4, 5, 6, 7]
    assert periods.values[2] == pytest.approx((p[3] * truth(3, 5) + p[5] * truth(5, 5)) / (p[3] + p[5]))
    assert average(periods).values == pytest.approx([periods.values.mean()])


def test_windows_change_the_estimand_and_the_label() -> None:
    est, p = cells(), shares()
    short = overall(est, max_event_time=0)
    assert short.values == pytest.approx(
        [np.average([truth(g, g) for g in (3, 5, 6)], weights=list(p.values()))]
    )
    assert short.method == "group_time/dr_improved/overall[max_event_time=0]"
    assert short.detail["aggregation"] == "overall[max_event_time=0]"
    window = event_study(est, min_event_time=-2, max_event_time=1)
    assert list(window.terms.get_level_values(0)) == [-2, -1, 0, 1]
    assert by_cohort(est, max_event_time=0).values == pytest.approx([truth(g, g) for g in (3, 5, 6)])
    balanced = event_study(est, balance=2)  # cohorts 3 and 5 are seen two periods after adoption
    assert list(balanced.terms.get_level_values(0)) == [-4, -3, -2, -1, 0, 1, 2]
    at = dict(zip(balanced.terms.get_level_values(0), balanced.values, strict=True))
    assert at[0] == pytest.approx((p[3] * truth(3, 3) + p[5] * truth(5, 5)) / (p[3] + p[5]))
    assert "balance=2" in balanced.method


def test_sampling_error_of_the_shares_is_all_the_error_there_is() -> None:
    """With exact cells only the shares vary: the delta method on their multinomial covariance is the oracle."""
    est = cells()
    found = overall(est)
    n, k = 24, [(g, t) for g in (3, 5, 6) for t in range(g, 8)]
    p = np.array([shares()[g] / n for g in (3, 5, 6)])
    count = np.array([sum(1 for g, _ in k if g == c) for c in (3, 5, 6)])
    total = np.array([sum(truth(g, t) for g, t in k if g == c) for c in (3, 5, 6)])
    value, size = float(p @ total / (p @ count)), float(p @ count)
    slope = (total - value * count) / size
    assert found.influence is not None
    expected = np.where(np.isinf(ADOPTION), 0.0, slope[np.searchsorted([3, 5, 6], np.minimum(ADOPTION, 6))])
    np.testing.assert_allclose(found.influence[:, 0], expected, atol=1e-12)
    multinomial = np.diag(p) - np.outer(p, p)
    error = np.sqrt(slope @ multinomial @ slope / n)
    unclustered = np.sqrt((found.influence[:, 0] ** 2).sum()) / n
    assert unclustered == pytest.approx(error, abs=1e-12)
    assert by_cohort(est).std_errors == pytest.approx(0.0, abs=1e-12)


def test_replicates_use_the_shares_that_are_left() -> None:
    est = cells()
    found = overall(est)
    assert found.replicates is not None
    for c in range(6):
        left = np.arange(24) % 6 != c
        p = {g: int(((g == ADOPTION) & left).sum()) for g in (3, 5, 6)}
        treated = [(g, t) for g in (3, 5, 6) for t in range(g, 8)]
        expected = np.average([truth(*x) for x in treated], weights=[p[g] for g, _ in treated])
        assert found.replicates[c, 0] == pytest.approx(expected)


def test_counts_add_cohorts_and_take_the_widest_comparison() -> None:
    est = cells()
    events = event_study(est)
    at = dict(zip(events.terms.get_level_values(0), events.n_treated, strict=True))
    assert (at[0], at[1], at[2], at[4]) == (14, 14, 12, 4)
    assert overall(est).n_treated[0] == 14
    assert (overall(est).n_comparison == 10).all()
    assert list(by_cohort(est).n_treated) == [4, 8, 2]


def test_average_takes_the_labels_asked_for() -> None:
    events = event_study(cells())
    at = dict(zip(events.terms.get_level_values(0), events.values, strict=True))
    assert average(events, range(3)).values == pytest.approx([np.mean([at[0], at[1], at[2]])])
    assert average(events).values == pytest.approx([np.mean([at[e] for e in range(5)])])
    named = average(events, [0], name="immediate")
    assert list(named.terms) == [("immediate",)]
    assert named.method.endswith("/average[0]")
    with pytest.raises(DesignError, match="9 의 추정치가 없음"):
        average(events, [0, 9])
    with pytest.raises(UsageError, match="event_study"):
        average(cells())


def test_selected_cohorts_carry_their_own_weights() -> None:
    est, p = cells(), shares()
    late = select_cohorts(est, 5, 6)
    assert set(late.terms.get_level_values("cohort")) == {5, 6}
    assert len(late.detail["trimmed"]) == len(late)
    at = event_study(late, min_event_time=0, max_event_time=0)
    assert at.values == pytest.approx([(p[5] * truth(5, 5) + p[6] * truth(6, 6)) / (p[5] + p[6])])
    assert "cohorts[5,6]" in at.method
    with pytest.raises(DesignError, match=r"처음 지원받은 코호트가 없음.*3, 5, 6"):
        select_cohorts(est, 8, 9)


def test_cells_without_an_estimate_are_left_out() -> None:
    est = cells()
    lost = np.asarray(est.terms.get_level_values("cohort")) == 5
    values, covariance = est.values.copy(), est.covariance.copy()
    assert est.influence is not None
    influence = est.influence.copy()
    values[lost], covariance[lost], covariance[:, lost], influence[:, lost] = (np.nan,) * 4
    hurt = replace(est, values=values, covariance=covariance, influence=influence)
    kept = select_cohorts(est, 3, 3)
    only = by_cohort(hurt)
    assert list(only.terms.get_level_values(0)) == [3, 6]
    assert only.values[0] == by_cohort(kept).values[0]
    assert np.isfinite(overall(hurt).std_errors).all()


def test_only_group_time_effects_can_be_averaged() -> None:
    est = cells()
    with pytest.raises(UsageError, match="집단-시점 효과가 아님"):
        overall(event_study(est))
    with pytest.raises(UsageError, match="by_cohort"):
        cohort_average(event_study(est))
    before = est.select(
        np.asarray(est.terms.get_level_values("period")) < np.asarray(est.terms.get_level_values("cohort"))
    )
    for reduce in (overall, by_cohort, by_period):
        with pytest.raises(DesignError, match="평균할 수 없음"):
            reduce(before)
    with pytest.raises(DesignError, match="경과 기간"):
        event_study(est, min_event_time=40)
