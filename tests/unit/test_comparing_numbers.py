"""Numbers of a comparison of phases that hand calculation gives: costs, borders, parts, and paths in one province."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phase_worlds import EFFECT, GROUPS, border_panel, moves_outcome, phase_panel, phase_plan, phase_study

from evalkit.errors import DataError, RefusalError
from evalkit.study.comparing import PathEffect
from evalkit.study.comparing_borders import BorderEffect
from evalkit.study.comparing_costs import phase_costs
from evalkit.study.deciding import decision_rows
from evalkit.study.trends import trend_of


def test_a_cost_in_value_leads_and_stands_on_one_basis(tmp_path: Path) -> None:
    """National money of one phase against all money of another, or two base years, would be no ratio of phases."""
    source = {"ko": "예산서", "en": "budget"}

    def found(costs: dict[int, list[tuple[str, float]]], *, beside: bool) -> dict[int, float]:
        levels = {2018: 0.5, 2023: 2.0, 2020: 1.0}
        years = {1: [2018, 2018], 3: [2023, 2023]}
        items = {
            phase: {
                "items": [
                    {"years": years[phase], "eok": eok, "basis": basis, "source": source}
                    for basis, eok in pairs
                ]
            }
            for phase, pairs in costs.items()
        }
        value = {"prices": {"base_year": 2020, "levels": levels, "source": source}, "costs": items}
        given = {phase: {"eok": 7.0, "source": source} for phase in (1, 3)} if beside else {}
        study = phase_study(tmp_path, value=value, comparison={"permutations": 0, "costs": given})
        return dict(phase_costs(study, "jobs", "budget").eok)

    both = {1: [("national", 100.0)], 3: [("national", 100.0)]}
    assert found(both, beside=False) == {1: 200.0, 3: 50.0}
    assert found(both, beside=True) == {1: 200.0, 3: 50.0}
    shared = {1: [("national", 100.0), ("total", 150.0)], 3: [("total", 300.0), ("rd", 80.0)]}
    assert found(shared, beside=False) == {1: 300.0, 3: 150.0}
    apart = {1: [("national", 100.0)], 3: [("total", 100.0)]}
    with pytest.raises(RefusalError, match=r"서로 다른 범위\(national, total\)"):
        found(apart, beside=False)
    # one phase known to `value` alone: the other place is used for both, never one each
    one = {1: [("national", 100.0)]}
    assert found(one, beside=True) == {1: 7.0, 3: 7.0}
    with pytest.raises(RefusalError, match="3단계의 총비용이 없어"):
        found(one, beside=False)


def test_each_class_of_municipalities_has_its_own_clock_and_comparison(tmp_path: Path) -> None:
    """No noise to speak of: a zone of 2023 is measured from 2023, and what lies near a zone is no place without one."""
    panel = border_panel(places=240)
    start = panel.constant("adoption")[:, None]
    near = (panel.constant("border") == "never") & (np.arange(240) % 8 == 7)
    rng = np.random.default_rng(0)
    moved = 5.0 + 1.0 * (start <= panel.periods) + 0.01 * rng.normal(size=panel.shape)
    moved = moved + 0.5 * (near[:, None] & (panel.periods >= 2019))
    ready = panel.with_varying(moved_in=moved).with_fixed(ring=near.astype(int).astype(str))
    ready.save(tmp_path / "regions.npz")
    rule = {
        "variable": "ring",
        "equals": "1",
        "applies_to": "comparison",
        "reason": {"ko": "지구 가까이", "en": "near a zone"},
    }
    outcomes = {"jobs": phase_plan()["outcomes"]["jobs"], "moves": moves_outcome()}
    units = phase_plan()["units"] | {"exclude": [rule]}
    found = phase_study(tmp_path, outcomes=outcomes, units=units).borders("moves")
    assert found.counts["never"] == 120
    for name, truth in (("entered", 1.0), ("stable", 1.0), ("left", 0.0)):
        effect = found.effects[name]
        assert isinstance(effect, BorderEffect)
        assert effect.average.values[0] == pytest.approx(truth, abs=0.02), name


def test_grants_that_a_few_firms_did_not_write_down_are_scaled_up(tmp_path: Path) -> None:
    panel = phase_panel()
    money = panel.constant("support_million_krw").copy()
    lost = np.flatnonzero(np.isfinite(panel.constant("adoption_phase1")) & (money > 0))[::20]
    money[lost] = 0.0
    whole = phase_study(tmp_path)
    full = phase_costs(whole, "jobs", "grants").eok[1]
    part = phase_costs(
        phase_study(tmp_path, panel.with_fixed(support_million_krw=money)), "jobs", "grants"
    ).eok[1]
    assert part == pytest.approx(full, rel=2e-3)  # the years of the lost ones differ a little
    money[np.isfinite(panel.constant("adoption_phase1")) & (np.arange(len(money)) % 4 == 0)] = 0.0
    few = phase_study(tmp_path, panel.with_fixed(support_million_krw=money))
    with pytest.raises(DataError, match=r"지원금이 적힌 기업이 \d+개뿐임"):
        phase_costs(few, "jobs", "grants")


def test_a_path_in_one_province_has_no_interval(tmp_path: Path) -> None:
    """Firms supported once stand in one province; those supported twice elsewhere do not lend them theirs."""
    panel = phase_panel()
    first, last = panel.constant("adoption_phase1"), panel.constant("adoption_phase3").copy()
    last[np.isfinite(first) & np.isinf(last) & (panel.constant("sido") != "강원")] = 2023.0
    moved = panel.with_fixed(adoption_phase3=last)
    found = phase_study(tmp_path, moved, comparison={"permutations": 0}).comparing("jobs").paths.effects
    persist, both = found["E1_persist"], found["E_cum"]
    assert isinstance(persist, PathEffect)
    assert isinstance(both, PathEffect)
    assert "one_cluster_on_one_side" in persist.reasons
    assert np.isnan(persist.row(0.95)["conf_low"])
    assert np.isfinite(both.row(0.95)["conf_low"])


def test_composition_and_transport_find_what_was_put_in(tmp_path: Path) -> None:
    """Phase 3 supported more of the industry with the larger effect: most of its lead is who was supported."""
    study = phase_study(tmp_path, phase_panel(3, 1500, noise=0.3), comparison={"permutations": 0})
    asked = study.comparing("jobs")
    shares = []
    for phase in (1, 3):
        sample = asked.effects[phase].sample
        own = sample.panel.constant("sector_group_fixed")[sample.treated]
        shares.append(np.array([(own == group).mean() for group in GROUPS]))
    (w1, w3), (t1, t3) = shares, (EFFECT[1], EFFECT[3])
    truth = {
        "first": w1 @ t1,
        "last": w3 @ t3,
        "total": w3 @ t3 - w1 @ t1,
        "composition": (w3 - w1) @ (t1 + t3) / 2,
        "effect": (w1 + w3) / 2 @ (t3 - t1),
        "transported": w3 @ t1,
    }
    split = dict(
        zip(asked.split.estimate.terms.get_level_values("part"), asked.split.estimate.values, strict=True)
    )
    for part in ("first", "last", "total", "composition", "effect"):
        assert split[part] == pytest.approx(truth[part], abs=0.2), part
    moved = asked.moved
    table = dict(zip(moved.table.terms.get_level_values(0), moved.table.values, strict=True))
    assert table["own"] == pytest.approx(study.effect("jobs", 1).average.values[0], rel=1e-6)
    assert table["last"] == pytest.approx(study.effect("jobs", 3).average.values[0], rel=1e-6)
    assert table["transported"] == pytest.approx(truth["transported"], abs=0.25)
    assert len(moved.transport.columns) == 3
    for at, name in enumerate(moved.transport.columns):
        _, _, group = name.partition("=")
        if group:  # weights give the earlier phase the later one's share of it
            sample = asked.effects[1].sample
            mine = sample.panel.constant("sector_group_fixed")[sample.treated] == group
            later = w3[list(GROUPS).index(group)]
            assert (moved.transport.overlap.weights @ mine) / len(mine) == pytest.approx(later), at


def test_one_phase_exceeds_another_from_whichever_side_it_is_asked(tmp_path: Path) -> None:
    """Effects of 1.7 and 3.6 on average: phase 3 exceeds phase 1, and phase 1 does not exceed phase 3."""
    source = {"ko": "예산서", "en": "budget"}
    items = [{"years": [2018, 2018], "eok": 100.0, "source": source}]
    value = {
        "prices": {"base_year": 2020},
        "costs": {phase: {"items": items} for phase in (1, 3)},
        "rings": False,
        "draws": 1_000,
    }
    panel = phase_panel(noise=0.3)
    for phase, other, verdict in ((1, 3, "fails"), (3, 1, "holds")):
        asked = value | {"decisions": [{"asks": "exceeds_phase", "phase": other}]}
        study = phase_study(tmp_path, panel, value=asked, comparison={"permutations": 0})
        found = study.value(phase)
        assert study.plan.value is not None
        rows = decision_rows(study, found, study.plan.value.decisions)
        assert {row.verdicts[0] for row in rows if row.key == "direct"} == {verdict}, phase


def test_bounds_on_trends_are_of_the_total_and_not_of_one_firm(tmp_path: Path) -> None:
    value = {
        "prices": {"base_year": 2020},
        "costs": {1: {"missing": {"ko": "모름", "en": "unknown"}}},
        "rings": False,
        "draws": 1_000,
    }
    study = phase_study(tmp_path, phase_panel(noise=0.3), value=value, comparison={"permutations": 0})
    found = study.value(1)
    sets = trend_of(study.plan, found.jobs, "relative_magnitudes").found
    by_bound = dict(zip(sets.bounds, sets.sets, strict=True))
    rows = [row for row in decision_rows(study, found, ()) if row.key == "trends"]
    assert rows
    for row in rows:
        one = by_bound[row.detail]
        n = found.jobs.n_treated
        assert (row.low, row.high) == pytest.approx((one.low * n, one.high * n))
