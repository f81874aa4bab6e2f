"""Numbers of the outcome pages on a panel without noise: job-years, windows of cohorts, survivors, firms that start to sell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phase_worlds import border_panel, moves_outcome, phase_plan, phase_study
from small_study import PERIODS, UNITS, raw_plan, small_panel, small_study

from evalkit import aggregate
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.outcomes.borders import borders
from evalkit.study.outcomes.cells import Measured, measure
from evalkit.study.outcomes.cohorts import Pooled, each_cohort
from evalkit.study.outcomes.jobs import job_years, jobs_outcome, survivors
from evalkit.study.outcomes.sales import CAP, POSITIVE, sales_outcome, tails

ORDER = np.arange(UNITS) // 6  # 0–4 supported, the rest not


def study_of(folder: Path, panel: Panel, **changes: Any) -> Study:
    plain = raw_plan()["design"] | {"covariates": [], "method": "reg", "at_risk": "alive"}
    return small_study(folder, panel, design=plain, horizon=2, **changes)


def living(**varying: np.ndarray) -> Panel:
    panel = small_panel(noise=0.0)
    return panel.with_varying(**({"alive": np.ones(panel.shape)} | varying))


def test_job_years_count_the_firms_that_were_seen(tmp_path: Path) -> None:
    panel = living()
    event = PERIODS[None, :] - panel.constant("adoption")[:, None]
    jobs = panel.values("jobs").copy()
    lost = np.flatnonzero(ORDER == 0)[:2]
    jobs[lost] = np.where(event[lost] == 2, np.nan, jobs[lost])
    effect = study_of(tmp_path, panel.with_varying(jobs=jobs)).effect("jobs", 1)
    assert job_years(effect).values[0] == pytest.approx(3.0 * (30 + 30 + 28))


def test_each_cohort_is_set_beside_units_there_in_its_own_base_year(tmp_path: Path) -> None:
    alive = np.ones((UNITS, len(PERIODS)))
    early, late = np.flatnonzero(ORDER == 10)[0], np.flatnonzero(ORDER == 11)[0]
    alive[early, PERIODS >= 2017] = 0  # gone before both cohorts
    alive[late, PERIODS >= 2018] = 0  # there in the base year of 2018, gone in that of 2019
    study = study_of(tmp_path, living(alive=alive))
    effect = study.effect("jobs", 1)
    seen: dict[int, tuple[list[int], set[str]]] = {}

    def fit(panel: Panel, design: Design) -> Estimate:
        adoption = panel.constant(design.adoption)
        cohort = int(adoption[np.isfinite(adoption)].min())
        seen[cohort] = (panel.periods.tolist(), set(panel.units.tolist()))
        cells = group_time_effects(panel, replace(design, at_risk=None), method="reg")
        return aggregate.average(aggregate.event_study(cells), (0,))

    found = each_cohort(study.plan, effect.sample, 1, fit)
    # two years before support (one before the base), and the horizon
    assert [(years[0], years[-1]) for years, _ in (seen[2018], seen[2019])] == [(2017, 2020), (2018, 2021)]
    names = [f"u{early:02d}", f"u{late:02d}"]
    assert [name in seen[2018][1] for name in names] == [False, True]
    assert [name in seen[2019][1] for name in names] == [False, False]
    assert (found.treated, found.comparison) == (30, 41)


def test_the_observed_mean_is_of_firms_that_were_at_risk(tmp_path: Path) -> None:
    """A supported firm that had closed before support is in no effect, and in no mean beside it."""
    panel = living()
    alive, jobs = panel.values("alive").copy(), panel.values("jobs").copy()
    gone = np.flatnonzero(ORDER == 0)[0]
    base = panel.constant("adoption")[gone] - 1
    alive[gone, base <= PERIODS] = 0
    jobs[gone, base <= PERIODS] = 0
    study = study_of(tmp_path, panel.with_varying(alive=alive, jobs=jobs))
    effect = study.effect("jobs", 1)
    found = measure(study.plan, effect, "outcome")
    adoption = panel.constant("adoption")
    event = PERIODS[None, :] - adoption[:, None]
    own = np.arange(UNITS) != gone
    # cohorts weigh as their firms in the sample, fifteen each
    by_event = [
        np.mean([jobs[own & (adoption == g)][event[own & (adoption == g)] == e].mean() for g in (2018, 2019)])
        for e in (0, 1, 2)
    ]
    assert found.observed.values[0] == pytest.approx(np.mean(by_event))
    assert found.untreated.values[0] == pytest.approx(np.mean(by_event) - 3.0)


def test_firms_that_closed_are_no_survivors(tmp_path: Path) -> None:
    """Six of thirty supported firms close with support: survival falls by a fifth, though their row goes on with zeros."""
    panel = living()
    event = PERIODS[None, :] - panel.constant("adoption")[:, None]
    closed = (ORDER == 0)[:, None] & (event >= 0)
    study = study_of(
        tmp_path,
        panel.with_varying(
            alive=np.where(closed, 0.0, 1.0), jobs=np.where(closed, 0.0, panel.values("jobs"))
        ),
    )
    found = survivors(study.plan, study.effect("jobs", 1))
    assert isinstance(found, Pooled)
    labels = [label if isinstance(label, str) else label[0] for label in found.estimate.terms]
    survival = found.estimate.values[labels.index("survival")]
    assert survival == pytest.approx(-0.2)


def test_firms_that_begin_to_sell_are_counted_in_per_cent_points(tmp_path: Path) -> None:
    panel = living()
    event = PERIODS[None, :] - panel.constant("adoption")[:, None]
    idle = (ORDER == 0)[:, None] & ~(event >= 0)
    outcomes = raw_plan()["outcomes"]
    outcomes["jobs"] = outcomes["jobs"] | {"claimed": {}}
    study = study_of(
        tmp_path,
        panel.with_varying(jobs=np.where(idle, 0.0, panel.values("jobs"))),
        outcomes=outcomes,
    )
    found = sales_outcome(study.plan, study.effect("jobs", 1)).extensive
    assert isinstance(found, Measured)
    assert found.variable == POSITIVE
    assert found.average.values[0] == pytest.approx(20.0)


def test_one_firm_and_the_largest_firms_carry_what_the_tails_say(tmp_path: Path) -> None:
    """One supported firm gains 90 more than the others: without it the mean effect falls by three."""
    panel = small_panel(noise=1.0)
    event = PERIODS[None, :] - panel.constant("adoption")[:, None]
    star = np.flatnonzero(ORDER == 2)[0]
    jobs = panel.values("jobs") + 500.0 * (np.arange(UNITS) == star)[:, None]
    jobs = jobs + 90.0 * ((np.arange(UNITS) == star)[:, None] & (event >= 0))
    study = study_of(tmp_path, panel.with_varying(jobs=jobs, alive=np.ones(panel.shape)))
    effect = study.effect("jobs", 1)
    theta, found = float(effect.average.values[0]), tails(study.plan, effect)
    assert found.lowest == pytest.approx(theta - 3.0, abs=0.4)
    assert abs(found.highest - theta) < 0.5
    # the cut is where sales were before anybody was supported
    assert found.cap == pytest.approx(np.quantile(jobs[:, PERIODS < 2018] + 0.0, CAP))
    assert found.top_units == study.plan.disclosure.min_firms
    if np.isfinite(found.share):
        rest = float(found.without_top.values[0]) * (30 - found.top_units)
        assert found.share == pytest.approx(1 - rest / (30 * theta))
    assert float(found.without_top.values[0]) == pytest.approx(3.0, abs=0.6)


def test_what_the_largest_firms_carry_is_a_share_of_the_total(tmp_path: Path) -> None:
    """Thirty alike: without the five largest the total is smaller by what five of thirty gain."""
    study = study_of(tmp_path, small_panel(noise=0.01).with_varying(alive=np.ones((UNITS, len(PERIODS)))))
    found = tails(study.plan, study.effect("jobs", 1))
    assert found.share == pytest.approx(found.top_units / 30, abs=0.01)


def test_a_zone_that_was_dropped_ends_with_its_phase(tmp_path: Path) -> None:
    """Each class moves by one while its zone is in force; the capital region, which moves by nine, takes no part."""
    panel = border_panel(places=240)
    border = panel.constant("border")
    on = panel.constant("adoption")[:, None] <= panel.periods
    on = on & ~((border == "left")[:, None] & (panel.periods >= 2023))
    capital = np.arange(240) % 8 == 6
    moved = 5.0 + on + 0.001 * np.random.default_rng(0).normal(size=panel.shape)
    moved = moved + 9.0 * (capital[:, None] & (panel.periods >= 2019))
    ready = panel.with_varying(moved_in=moved).with_fixed(
        km_phase1=np.where(np.isin(border, ["stable", "left"]), 0.0, 40.0),
        km_phase3=np.where(np.isin(border, ["stable", "entered"]), 0.0, 40.0),
        capital_region=capital.astype(int).astype(str),
    )
    outcomes = {"jobs": phase_plan()["outcomes"]["jobs"], "moves": moves_outcome()}
    found = borders(phase_study(tmp_path, outcomes=outcomes).plan, ready, "moved_in", (1, 3))
    assert found.classes == {"stable": 30, "entered": 30, "left": 30, "never": 120}
    values = {
        (kind, int(phase)): value
        for (kind, _, phase), value in zip(found.estimate.terms, found.estimate.values, strict=True)
    }
    truth = {("stable", 1): 1, ("stable", 3): 1, ("entered", 3): 1, ("left", 1): 1, ("left", 3): 0}
    assert values == pytest.approx(truth, abs=0.002)


def test_net_hires_are_hires_less_separations(tmp_path: Path) -> None:
    """Four more hires and one more separation a year are three more jobs a year."""
    panel = living()
    on = (panel.constant("adoption")[:, None] <= PERIODS).astype(float)
    rng = np.random.default_rng(2)
    moves = {
        name: base + more * on + 0.001 * rng.normal(size=panel.shape)
        for name, base, more in (("hires", 5.0, 4.0), ("separations", 2.0, 1.0))
    }
    study = study_of(tmp_path, panel.with_varying(**moves))
    found = jobs_outcome(study.plan, study.effect("jobs", 1)).net_hires
    assert found is not None
    assert found.values[0] == pytest.approx(3.0, abs=0.01)
