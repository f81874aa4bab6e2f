"""Counterfactual means, per cent, shares and sums of the outcome pages against other ways to the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tests.helpers.small_study import PERIODS, UNITS, small_panel, small_study

from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.percent_effects import percent_effects
from evalkit.panel import Panel
from evalkit.study.outcomes.cells import blend, measure, percent
from evalkit.study.outcomes.cohorts import each_cohort
from evalkit.study.outcomes.jobs import job_years
from evalkit.study.outcomes.sales import base_values, deflated, ratio, tails
from evalkit.study.outcomes.shares import share_change

# sums of doubles in another order
EXACT = 1e-9
# central differences with a step of 1e-6
SLOPE = 1e-5


def panel_with_parts() -> Panel:
    """The small panel with jobs and a part of them; the part's share rises by 5 points under support."""
    panel, rng = small_panel(), np.random.default_rng(11)
    jobs = np.round(panel.values("jobs"))
    treated = np.asarray(panel.constant("adoption"))[:, None] <= PERIODS
    part = np.round(jobs * (0.6 + 0.05 * treated) + rng.uniform(-1, 1, size=jobs.shape))
    return panel.with_varying(jobs=jobs, part=part)


@pytest.fixture(scope="module")
def effect_and_plan(tmp_path_factory):
    raw = {"design": {"comparison": "never", "covariates": []}}
    study = small_study(tmp_path_factory.mktemp("small"), panel_with_parts(), **raw)
    return study.effect("jobs", 1), study.plan


def test_per_cent_is_that_of_percent_effects_where_that_can_be_used(effect_and_plan):
    """No covariates, a balanced panel, one event time at a time: the same ratio, error and replicates."""
    effect, plan = effect_and_plan
    sample = effect.sample
    design = replace(sample.design, outcome="outcome")
    theirs = percent_effects(sample.panel, design, method="reg").select(
        [
            k
            for k, label in enumerate(percent_effects(sample.panel, design, method="reg").terms)
            if label[1] == 0
        ]
    )
    first = measure(plan, replace(effect, horizon=(0,)), "outcome")
    mine = percent(first)
    at = {str(label[0]): k for k, label in enumerate(theirs.terms)}
    assert mine.values[0] == pytest.approx(theirs.values[at["percent"]], rel=EXACT)
    assert first.untreated.values[0] == pytest.approx(theirs.values[at["counterfactual"]], rel=EXACT)
    assert mine.std_errors[0] == pytest.approx(theirs.std_errors[at["percent"]], rel=1e-7)
    assert np.allclose(mine.replicates[:, 0], theirs.replicates[:, at["percent"]], rtol=EXACT)


def test_counterfactual_is_the_mean_of_the_treated_less_the_effect(effect_and_plan):
    effect, plan = effect_and_plan
    found = measure(plan, effect, "outcome")
    assert found.average.values[0] == pytest.approx(effect.average.values[0], rel=EXACT)
    assert found.untreated.values[0] == pytest.approx(effect.counterfactual_mean, rel=EXACT)
    assert found.observed.values[0] - found.average.values[0] == pytest.approx(found.untreated.values[0])


def test_shares_are_those_of_fractional_shares_at_each_event_time(effect_and_plan):
    """Its numerator, denominator and ratio rest on cell means alone: without covariates they are the same."""
    effect, plan = effect_and_plan
    sample = effect.sample
    design = Design("part", adoption=sample.design.adoption, comparison="never", cluster="sido")
    theirs = fractional_shares(sample.panel, design, denominator="outcome", by="event_time")
    named = {(str(term), int(e)): k for k, (term, e) in enumerate(theirs.terms)}
    for e in (0, 1, 2):
        only = replace(effect, horizon=(e,))
        part, whole = measure(plan, only, "part"), measure(plan, only, "outcome")
        share = share_change(part, whole).share
        assert part.average.values[0] == pytest.approx(theirs.values[named["numerator", e]], rel=EXACT)
        for mine, term in ((2, "ratio"), (3, "ratio_numerator"), (4, "ratio_denominator")):
            at = named[term, e]
            assert share.values[mine] == pytest.approx(100 * theirs.values[at], rel=1e-8)
            assert share.std_errors[mine] == pytest.approx(100 * theirs.std_errors[at], rel=1e-6)
            assert np.allclose(share.replicates[:, mine], 100 * theirs.replicates[:, at], rtol=1e-8)


def test_parts_of_a_share_add_up_and_slopes_are_derivatives(effect_and_plan):
    effect, plan = effect_and_plan
    part, whole = measure(plan, effect, "part"), measure(plan, effect, "outcome")
    share = share_change(part, whole).share
    assert share.values[3] + share.values[4] == pytest.approx(share.values[2])
    assert share.values[0] - share.values[1] == pytest.approx(share.values[2])
    from evalkit.study.outcomes.shares import _shares, _slopes

    at = np.array([25.0, 22.0, 40.0, 38.0])
    for k in range(4):
        step = np.zeros(4)
        step[k] = 1e-6
        numeric = (_shares(at + step) - _shares(at - step)) / 2e-6
        assert np.allclose(_slopes(at)[:, k], numeric, rtol=SLOPE, atol=SLOPE)


def test_a_share_can_rise_because_its_denominator_falls(tmp_path):
    """Support closes the jobs that are not in the part: the share rises, the count does not, and the page must say so."""
    panel = small_panel(noise=0.2)
    treated = np.asarray(panel.constant("adoption"))[:, None] <= PERIODS
    part = np.full(panel.shape, 20.0) + np.random.default_rng(5).normal(0, 0.01, panel.shape)
    jobs = np.where(treated, panel.values("jobs") - 13.0, panel.values("jobs"))
    study = small_study(
        tmp_path,
        panel.with_varying(jobs=jobs, regular=part),
        design={"comparison": "never", "covariates": []},
    )
    effect = study.effect("jobs", 1)
    share = share_change(measure(study.plan, effect, "regular"), measure(study.plan, effect, "outcome"))
    shrunk = replace(
        share,
        share=replace(share.share, values=np.array([60.0, 50.0, 10.0, -0.1, 10.1])),
    )
    assert shrunk.because_denominator_falls
    assert share.share.values[2] > 5
    assert share.share.values[4] > 5


def test_a_denominator_of_nothing_is_refused(tmp_path):
    panel = panel_with_parts().with_varying(nothing=np.zeros((UNITS, len(PERIODS))))
    study = small_study(tmp_path, panel, design={"comparison": "never", "covariates": []})
    effect = study.effect("jobs", 1)
    with pytest.raises(RefusalError, match="분모 nothing 의 평균이 0 이하"):
        share_change(measure(study.plan, effect, "part"), measure(study.plan, effect, "nothing"))
    assert percent(measure(study.plan, effect, "nothing")) is None


def test_job_years_are_effects_times_the_firms_seen(effect_and_plan):
    effect, _ = effect_and_plan
    found = job_years(effect)
    table = effect.plain.table()
    by_hand = sum(
        float(
            table.loc[e, "estimate"].iloc[0]
            if hasattr(table.loc[e, "estimate"], "iloc")
            else table.loc[e, "estimate"]
        )
        * int(n)
        for e, n in zip(
            effect.plain.terms.get_level_values("event_time"), effect.plain.n_treated, strict=True
        )
        if e in effect.horizon
    )
    assert found.values[0] == pytest.approx(by_hand)


def test_blending_needs_the_same_units(effect_and_plan, tmp_path):
    effect, plan = effect_and_plan
    found = measure(plan, effect, "outcome")
    with pytest.raises(DesignError, match="단위나 군집이 서로 달라"):
        blend(
            (found.average, replace(found.average, units=found.average.units[::-1].copy())),
            (1.0, -1.0),
            found.average.terms,
        )


def test_cohorts_are_averaged_with_their_treated_units(effect_and_plan):
    effect, plan = effect_and_plan

    def fit(panel, design):
        cells = group_time_effects(panel, replace(design, outcome="outcome"), method="reg")
        keep = [k for k, (g, t) in enumerate(cells.terms) if t == g]
        return replace(cells.select(keep), terms=pd.MultiIndex.from_arrays([["at"]], names=["term"]))

    pooled = each_cohort(plan, effect.sample, 1, fit)
    sizes = {
        g: int((np.asarray(effect.sample.panel.constant("adoption_used")) == g).sum()) for g in pooled.parts
    }
    by_hand = sum(sizes[g] * float(part.values[0]) for g, part in pooled.parts.items()) / sum(sizes.values())
    assert pooled.estimate.values[0] == pytest.approx(by_hand)
    assert pooled.treated == sum(sizes.values())
    assert set(pooled.parts) == {2018, 2019}


def test_a_price_path_common_to_two_years_leaves_the_ratio_alone(tmp_path):
    """Two years and one industry: the Poisson ratio is a ratio of ratios of sums, in which prices cancel exactly."""
    panel = small_panel(cohorts=(2018,)).select(None, [2017, 2018])
    panel = panel.with_fixed(sector_group=np.full(UNITS, "한 업종"))
    study = small_study(
        tmp_path,
        panel,
        phases={1: {"label": {"ko": "앞", "en": "first"}, "cohorts": [2018, 2018], "periods": [2017, 2018]}},
        design={"comparison": "never", "covariates": []},
    )
    effect = study.effect("jobs", 1)
    plain = ratio(study.plan, effect, "outcome").estimate.values[0]
    priced = ratio(study.plan, deflated(effect), "deflated").estimate.values[0]
    sums = effect.sample.panel.values("outcome")
    treated = effect.sample.treated
    by_hand = np.log(
        sums[treated, 1].sum() / sums[treated, 0].sum() / (sums[~treated, 1].sum() / sums[~treated, 0].sum())
    )
    assert plain == pytest.approx(by_hand, abs=1e-8)
    assert priced == pytest.approx(plain, abs=1e-8)


def test_tails_refit_without_the_largest_and_shift_by_influence(effect_and_plan):
    effect, plan = effect_and_plan
    found = tails(plan, effect)
    base = base_values(effect)
    adoption = np.asarray(effect.sample.panel.constant("adoption_used"))
    row = int(np.flatnonzero(effect.sample.treated)[0])
    column = int(np.flatnonzero(effect.sample.panel.periods == adoption[row] - 1)[0])
    assert base[row] == effect.sample.panel.values("outcome")[row, column]
    assert np.isnan(base[~effect.sample.treated]).all()
    assert found.top_units == plan.disclosure.min_firms  # 1 % of thirty is none
    top = np.argsort(-np.nan_to_num(base, nan=-np.inf), kind="stable")[: found.top_units]
    keep = np.setdiff1d(np.arange(len(base)), top)
    cells = group_time_effects(
        effect.sample.panel.select(np.isin(np.arange(len(base)), keep)), effect.sample.design, method="reg"
    )
    values = {(int(g), int(t)): float(v) for (g, t), v in zip(cells.terms, cells.values, strict=True)}
    sizes = {g: int((adoption[keep] == g).sum()) for g in (2018, 2019)}
    by_hand = np.mean(
        [sum(sizes[g] * values[g, g + e] for g in sizes) / sum(sizes.values()) for e in effect.horizon]
    )
    assert found.without_top.values[0] == pytest.approx(by_hand)
    assert found.lowest < effect.average.values[0] < found.highest
