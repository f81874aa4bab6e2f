"""Bands around zones beside the direct effect, on a panel without noise: who counts, who is clean, who decides the interval."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import PERIODS, PROVINCE, UNITS, raw_plan, small_panel, small_study

from evalkit.appraisal.mvpf import Mvpf
from evalkit.appraisal.value import PerCost, summed
from evalkit.appraisal.waterfall import Waterfall
from evalkit.inference import headline
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.deciding import decision_rows
from evalkit.study.ring_paths import Paths, paths_of
from evalkit.study.value_totals import job_year_weights, year_weights

ORDER = np.arange(UNITS) // 6  # 0–4 supported, 5–11 not
APART = {"variable": "ring", "equals": "1", "reason": {"ko": "지구 가까이", "en": "near a zone"}}


def ringed(*, only: str | None = None, noise: float = 0.0) -> Panel:
    """10–11 lose 1 at 0–5 km from 2018, 9 loses 4 at 5–10 km from 2018, 8 gains 50 at 0–5 km from a zone of 2021."""
    panel = small_panel(noise=noise)
    inner, outer, late = ORDER >= 10, ORDER == 9, ORDER == 8
    if only is not None:
        inner, outer = inner & (only == PROVINCE), outer & (only == PROVINCE)
    years = PERIODS[None, :]
    near = (inner[:, None] & (years >= 2018)) | (late[:, None] & (years >= 2021))
    around = outer[:, None] & (years >= 2018)
    jobs = panel.values("jobs") - 1.0 * (inner[:, None] & (years >= 2018)) - 4.0 * around
    jobs = jobs + 50.0 * (late[:, None] & (years >= 2020))
    return panel.with_varying(
        jobs=jobs, ring_0_5=near.astype(float), ring_5_10=around.astype(float)
    ).with_fixed(ring=(inner | outer | late).astype(int).astype(str))


def study_of(folder: Path, panel: Panel, **changes: Any) -> Study:
    units = raw_plan()["units"] | {"exclude": [APART]}
    design = raw_plan()["design"] | {"covariates": [], "method": "reg"}
    return small_study(folder, panel, units=units, design=design, **changes)


def paths(folder: Path, panel: Panel) -> tuple[Paths, tuple[int, ...]]:
    study = study_of(folder, panel)
    effect = study.effect("jobs", 1)
    return paths_of(study.plan, panel, effect), effect.horizon


def test_each_band_is_held_against_firms_never_near_a_zone(tmp_path: Path) -> None:
    found, horizon = paths(tmp_path, ringed())
    assert [(band.name, band.units) for band in found.bands] == [("ring_0_5", 12), ("ring_5_10", 6)]
    rings = np.asarray(found.joint.terms.get_level_values("ring"))
    for ring, effect in (("", 3.0), ("ring_0_5", -1.0), ("ring_5_10", -4.0)):
        inside = (rings == ring) & np.isin(found.event_times, horizon)
        assert inside.any()
        np.testing.assert_allclose(found.joint.values[inside], effect, atol=1e-9)
    weights = year_weights(found, horizon)
    assert weights @ found.joint.values == pytest.approx(30 * 3 - 12 * 1 - 6 * 4)


def test_a_band_in_one_province_decides_that_the_sum_has_no_interval(tmp_path: Path) -> None:
    found, _ = paths(tmp_path, ringed(only="강원", noise=1.0))
    assert found.has_rings
    assert found.clusters.fewest == 1
    led = headline(found.joint, found.clusters, rule="auto")
    assert "one_cluster_on_one_side" in led.reasons


VALUE: dict[str, Any] = {
    "prices": {"base_year": 2020},
    "costs": {1: {"missing": {"ko": "모름", "en": "unknown"}}},
    "discount": {"value": 0.25},
    "persistence": {"years": 5, "decay": 0.1},
    "leakage": {"mean": 0.2, "sd": 0.1},
    "multiplier": {"median": 1.2, "sd_log": 0.1},
    "draws": 1_000,
}


def test_job_years_are_discounted_and_fade_after_the_last_year_estimated(tmp_path: Path) -> None:
    study = study_of(tmp_path, ringed(noise=1.0), value=VALUE, horizon=2)
    value, asked = study.value(1), study.plan.value
    assert asked is not None
    weights = job_year_weights(asked, value.paths, value.jobs, planned=True)
    assert weights is not None
    times = value.paths.event_times
    kept = 1 + 0.9 * 0.8 + 0.9**2 * 0.8**2  # the last year stands for itself and two more
    for e, each in ((0, 1.0), (1, 0.8), (2, 0.8**2 * kept), (3, 0.0)):
        assert weights[value.paths.direct & (times == e)] == pytest.approx(30 * each), e
    rings = np.asarray(value.paths.joint.terms.get_level_values("ring"))
    for band in value.paths.bands:
        assert weights[(rings == band.name) & (times == 1)] == pytest.approx(band.units * 0.8)
    seen = job_year_weights(asked, value.paths, value.jobs, planned=False)
    assert seen is not None
    after = times >= 0
    np.testing.assert_allclose(seen[after], value.paths.seen[after] * 0.8 ** times[after])


def test_each_assumption_changes_the_part_that_it_is_about(tmp_path: Path) -> None:
    study = study_of(tmp_path, ringed(noise=1.0), value=VALUE, horizon=2)
    value = study.value(1)
    year = year_weights(value.paths, value.jobs.horizon)
    rows = decision_rows(study, value, ())

    def ends(weights: np.ndarray) -> tuple[float, float]:
        row = summed(value.led, weights, "total").table(0.95).iloc[0]
        return row["conf_low"], row["conf_high"]

    leaks = [row for row in rows if row.key == "leakage"]
    assert len(leaks) == 2
    for row in leaks:
        found = ends(np.where(value.paths.direct, year * (1 - row.detail), year))
        assert (row.low, row.high) == pytest.approx(found)
    times = [row for row in rows if row.key == "multiplier"]
    assert [row.detail for row in times] == pytest.approx(
        [1.2 * np.exp(-0.16448536), 1.2 * np.exp(0.16448536)]
    )
    for row in times:
        assert (row.low, row.high) == pytest.approx(tuple(row.detail * np.array(ends(year))))


def test_recorded_growth_is_from_the_year_before_support(tmp_path: Path) -> None:
    study = study_of(tmp_path, ringed(), value=VALUE | {"rings": False}, horizon=2)
    gross = study.value(1).gross
    assert (gross.records, gross.record_firms) == (pytest.approx(30 * 3.0), 30)
    assert (
        gross.survey == 90.0
    )  # the published total: files of a real programme without rows of this indicator
    assert gross.misreport == pytest.approx(1.0)


def test_net_sales_are_in_the_unit_of_the_cost(tmp_path: Path) -> None:
    """A hundredth of the outcome's unit is 억원: Σ effect × 30 firms × 0.8^e / 100, over the years of the horizon."""
    outcomes = raw_plan()["outcomes"]
    outcomes["sales"] = outcomes["jobs"] | {"claimed": {}, "total_factor": 0.01}
    items = [{"years": [2020, 2020], "eok": 2.0, "source": {"ko": "예산서", "en": "budget"}}]
    asked = VALUE | {"sales": "sales", "costs": {1: {"items": items}}}
    study = study_of(tmp_path, ringed(noise=1.0), value=asked, outcomes=outcomes, horizon=2)
    event = study.effect("sales", 1).event
    times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
    weights = np.where((times >= 0) & (times <= 2), 0.3 * 0.8 ** times.clip(0).astype(float), 0.0)
    row = summed(event, weights, "sales").table(0.95).iloc[0]
    ((cost, found),) = study.value(1).sales_rows
    assert cost.eok == pytest.approx(2.0)
    assert isinstance(found, PerCost)
    # the interval is that of the inference that leads
    assert found.total == pytest.approx((row["estimate"], row["conf_low"], row["conf_high"]))
    assert found.per_eok[0] == pytest.approx(row["estimate"] / 2)


def test_the_published_total_of_the_real_programme_is_not_set_beside_simulated_firms(tmp_path: Path) -> None:
    real = study_of(tmp_path, ringed(noise=1.0), value=VALUE, horizon=2)
    made_up = Study(real.plan, real.plan_path, real.folder, replace(real.inputs, simulated=True), "ko")
    assert made_up.simulated
    gross = made_up.value(1).gross
    assert (gross.survey, gross.misreport) == (None, None)
    steps = made_up.value(1).waterfall
    assert isinstance(steps, Waterfall)
    assert steps.step("gross") is None
    assert steps.implied_share is None


def test_losses_elsewhere_come_off_jobs_and_sales_alike(tmp_path: Path) -> None:
    """Half of what was gained was lost elsewhere: taxes on wages and taxes on sales are both halved."""
    outcomes = raw_plan()["outcomes"]
    outcomes["sales"] = outcomes["jobs"] | {"claimed": {}, "total_factor": 0.01}
    items = [{"years": [2020, 2020], "eok": 2.0, "source": {"ko": "예산서", "en": "budget"}}]
    names = ("income_tax", "social_insurance", "business_tax", "wage_surplus", "transfer_share")
    funds = {name: {"value": 0.1} for name in names} | {
        "wage_million_krw": {"value": 30},
        "unemployment_saving_million_krw": {"value": 0.5},
        "transfer_value": {"value": 1.0},
    }
    asked = VALUE | {"sales": "sales", "costs": {1: {"items": items}}, "mvpf": funds}
    found = []
    for more in ({}, {"elsewhere": {"mean": 0.5, "sd": 0.001}}):
        study = study_of(tmp_path, ringed(noise=0.1), value=asked | more, outcomes=outcomes, horizon=2)
        ratio = study.value(1).mvpf
        assert isinstance(ratio, Mvpf)
        found.append({name: part[0] for name, part in ratio.components.items()})
    for name in ("wages", "income_tax", "unemployment", "business_tax"):
        assert found[0][name] > 0, name
        assert found[1][name] == pytest.approx(found[0][name] / 2, rel=0.01), name
