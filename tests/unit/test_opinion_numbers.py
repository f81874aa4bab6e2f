"""Numbers of second designs on hand-made panels, where each is known to the last digit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_study import PERIODS, UNITS, raw_plan, small_panel, small_study
from world_study import world_study

from evalkit import simulate
from evalkit.arrays.exact_odds import exact_odds
from evalkit.flows import Flows
from evalkit.panel import Panel
from evalkit.study import Study
from evalkit.study.opinions import Opinion
from evalkit.study.opinions.gravity import collapsed, within_phase

AT = np.arange(UNITS) // 6  # 0–4 supported, the rest not


def answered(folder: Path, panel: Panel, kind: str, options: dict[str, Any], **changes: Any) -> Opinion:
    asked = {"one": {"design": kind, "outcome": "jobs", "phase": 1, "options": options}}
    plain = raw_plan()["design"] | {"covariates": [], "method": "reg"} | changes.pop("design", {})
    return small_study(folder, panel, opinions=asked, design=plain, **changes).opinion("one")


def test_amounts_are_in_the_unit_that_the_plan_names(tmp_path: Path) -> None:
    """Two jobs more for each 100 of support, whose variable is written in ones; two amounts that nobody wrote down."""
    panel = small_panel(noise=0.0)
    adopted = np.isfinite(panel.constant("adoption"))
    support = np.where(adopted, 100.0 * (1 + np.arange(UNITS) % 5), 0.0)
    after = panel.constant("adoption")[:, None] <= PERIODS
    jobs = panel.values("jobs") + 0.02 * support[:, None] * after
    support[np.flatnonzero(adopted)[:2]] = 0.0
    found = answered(
        tmp_path,
        panel.with_varying(jobs=jobs).with_fixed(support=support),
        "dose",
        {"variable": "support", "scale": 100.0, "unit": {"ko": "억원", "en": "100 million KRW"}, "degree": 1},
    )
    rows = {row.term: row for row in found.rows}
    assert rows["slope"].estimate == pytest.approx(2.0)
    assert (found.facts["low"], found.facts["high"]) == pytest.approx((1.0, 5.0))
    assert (found.facts["unknown"], found.facts["treated"]) == (2, 28)
    known = support[support > 0]
    assert rows["effect"].estimate == pytest.approx(3.0 + 0.02 * known.mean())
    assert rows["total"].estimate == pytest.approx(28 * rows["effect"].estimate)


def ringed(**changes: Any) -> Panel:
    """20 supported in 2018 gain 3, 10 in 2019 gain 6; three units of a province near a zone lose 1 from 2018 on."""
    panel = small_panel(noise=0.0, cohorts=(2018, 2018, 2019))
    adoption = panel.constant("adoption")
    near = (AT >= 9)[:, None] & (PERIODS >= 2018)[None, :]
    jobs = panel.values("jobs") - 1.0 * near + 3.0 * ((adoption == 2019)[:, None] & (PERIODS >= 2019))
    # years beyond the horizon that must not enter
    jobs = jobs + 50.0 * ((adoption[:, None] + 3 <= PERIODS) | ((AT >= 9)[:, None] & (PERIODS >= 2021)))
    return panel.with_varying(
        jobs=jobs, alive=np.ones(panel.shape), ring_0_5=near.astype(float), **changes
    ).with_fixed(ring=(AT >= 9).astype(int).astype(str))


def test_cohorts_of_the_ring_design_count_with_their_firms(tmp_path: Path) -> None:
    found = answered(
        tmp_path,
        ringed(),
        "rings",
        {"bands": ["ring_0_5"], "covariates": "none"},
        design={"at_risk": "alive"},
        horizon=2,
    )
    rows = {row.term: row for row in found.rows}
    assert found.rows[0].estimate == pytest.approx((20 * 3 + 10 * 6) / 30)
    assert rows["direct"].estimate == pytest.approx(30 * 4)  # the last row of that name is the total
    assert rows["ring"].estimate == pytest.approx(-1.0)
    assert rows["spillover"].estimate == pytest.approx(-18.0)
    assert rows["net"].estimate == pytest.approx(30 * 4 - 18)


def test_a_ring_that_empties_counts_the_firms_of_a_mean_year(tmp_path: Path) -> None:
    """Six of the eighteen firms are near in the first year alone: (18 + 12 + 12)/3 firms a year lose one job each."""
    panel = ringed()
    near = panel.values("ring_0_5").copy()
    leaves = (AT == 11)[:, None] & (PERIODS >= 2019)[None, :]
    jobs = panel.values("jobs") + 1.0 * leaves
    found = answered(
        tmp_path,
        panel.with_varying(ring_0_5=np.where(leaves, 0.0, near), jobs=jobs),
        "rings",
        {"bands": ["ring_0_5"], "covariates": "none"},
        design={"at_risk": "alive"},
        horizon=2,
    )
    rows = {row.term: row for row in found.rows}
    assert rows["spillover"].estimate == pytest.approx(-14.0)


def test_the_mean_of_the_mix_ends_at_the_horizon(tmp_path: Path) -> None:
    panel = small_panel(noise=0.1, cohorts=(2018,))
    later = 30.0 * (panel.constant("adoption")[:, None] + 2 <= PERIODS)
    found = answered(
        tmp_path,
        panel.with_varying(jobs=panel.values("jobs") + later),
        "synthetic",
        {"replications": 50},
        horizon=1,
    )
    assert found.refusal is None, found.refusal
    assert found.first.estimate == pytest.approx(3.0, abs=0.3)
    checks = {check.name: check for check in found.checks}
    rank = next(row.p_value for row in found.rows if row.term == "placebo_rank")
    assert checks["placebo"].verdict == ("pass" if rank <= 0.05 else "unknown")
    assert rank <= 0.05


# -- flows -----------------------------------------------------------------------------------------


def moves() -> Flows:
    """One origin, five destinations (zones of 2017, 2018, 2019, 2023 and none), 2016–2020; each cell its own power of two."""
    return Flows(
        np.array(["서울"]),
        np.array(["a", "b", "c", "d", "e"]),
        np.arange(2016, 2021),
        2.0 ** np.arange(25).reshape(1, 5, 5),
        {"zone_adoption": np.array([2017.0, 2018.0, 2019.0, 2023.0, np.inf])},
    )


def test_a_phase_keeps_its_own_zones_and_counts_a_zone_from_its_first_year() -> None:
    found = within_phase(moves(), "zone_adoption", (), (2018, 2020), (2016, 2020))
    assert found.destinations.tolist() == [
        "b",
        "c",
        "d",
        "e",
    ]  # a zone of 2017 is neither treated nor untouched
    assert found.constant("adoption_used").tolist() == [2018.0, 2019.0, np.inf, np.inf]
    cells = moves().counts[0]
    by_hand = [
        [cells[1, 2:].sum() + cells[2, 3:].sum(), cells[3:, 2:].sum()],
        [cells[1:3, :2].sum(), cells[3:, :2].sum()],
    ]
    assert collapsed(found).tolist() == by_hand  # 2018 of the zone of 2019 stands in no cell


def test_flows_are_told_in_per_cent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"gravity": {"design": "gravity", "outcome": "relocation", "phase": 1}}
    study = world_study(tmp_path, simulate.world(6, firms=1500), asked)
    exact = {row.term: row for row in study.opinion("gravity").rows}["exact"]
    flows = within_phase(study.flows(), "zone_adoption", (), (2018, 2020), (2013, 2022))
    odds = exact_odds(collapsed(flows), 0.95)
    assert exact.unit == "percent"
    assert (exact.estimate, exact.low) == pytest.approx((100 * (odds.ratio - 1), 100 * (odds.low - 1)))
    # enough moves for the regression: many to zones after they came
    rng, original = np.random.default_rng(4), study.flows()
    start = np.asarray(original.constant("zone_adoption"), dtype=float)
    mean = 8.0 * np.where(start[:, None] <= original.periods, 2.0, 1.0)
    many = replace(original, counts=rng.poisson(np.broadcast_to(mean, original.counts.shape)).astype(float))
    monkeypatch.setattr(Study, "flows", lambda self, name="relocation": many)
    found = world_study(tmp_path, simulate.world(6, firms=1500), asked).opinion("gravity")
    assert found.refusal is None, found.refusal
    assert found.estimate is not None
    row = {row.term: row for row in found.rows}["flow"]
    assert row.estimate == pytest.approx(100 * np.expm1(found.estimate.values[0]))
    assert row.estimate == pytest.approx(100, abs=25)
