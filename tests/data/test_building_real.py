"""Panels, breaks and moves on files that none of us made; skipped where ../shared/data is absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from shared_files import REAL as DATA
from shared_files import needs_real

from evalkit.building import History, Part, joined_panel, move_flows, moved_in
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimators.two_way import two_way_effects
from evalkit.ingest import read_source
from evalkit.panel import Panel
from evalkit.study.plan import Plan
from evalkit.study.regions import build_regions
from evalkit.study.sample import draw_sample

pytestmark = needs_real
NAMES = {"shops": "estab_census", "people": "population", "corporations": "nts_biz_corp"}


@pytest.fixture(scope="module")
def panel() -> Panel:
    tables = read_source("region_panel", DATA / "kr_sigungu_panel_2010_2024.csv")
    part = Part.of_tables("시군구 통계", tables, NAMES, traits={"sido": "sido_2018"}, unit="region")
    built = joined_panel([part], fixed={"sido": "constant"})
    assert built.flow.left("패널") == (3435, 229)
    moving = np.arange(229) % 3 == 0
    return built.panel.with_fixed(adoption=np.where(moving, 2015.0, np.inf))


def test_establishments_are_not_differenced_across_2020(panel: Panel) -> None:
    raw = panel.varying["shops"]
    observed = panel.periods[np.isfinite(raw).any(axis=0)]
    assert observed.tolist() == [2010, 2015, 2020]
    totals = dict(zip(observed.tolist(), np.nansum(raw, axis=0)[np.isfinite(raw).any(axis=0)], strict=True))
    assert 0.5 < totals[2020] / totals[2015] - 1 < 0.6  # what the data folder says: +55 %
    design = Design("shops", cluster="sido")
    with pytest.raises(RefusalError, match=r"shops 을\(를\) 2015년과 2020년 사이.*\+55") as caught:
        two_way_effects(panel, design)
    assert "nps_members" in caught.value.remedy
    with pytest.raises(RefusalError):
        two_way_effects(panel.select(periods=[2015, 2020]), design)
    early = panel.select(periods=[2010, 2015])
    found = two_way_effects(early, design)
    change = early.varying["shops"][:, 1] - early.varying["shops"][:, 0]
    on = early.fixed["adoption"] == 2015
    assert found.values[0] == pytest.approx(change[on].mean() - change[~on].mean(), rel=1e-9)


def test_a_study_of_establishments_is_refused_as_well() -> None:
    plans = Path(__file__).resolve().parents[2] / "plans"
    raw = yaml.safe_load((plans / "innovation_cities.yml").read_text(encoding="utf-8"))
    raw["units"]["options"]["variables"] = ["population", "estab_census"]
    raw["outcomes"] = {"shops": raw["outcomes"]["population"] | {"variable": "estab_census"}}
    raw["reports"], raw["known"], raw["opinions"] = [{"notebook": "01_data_audit.ipynb"}], [], {}
    plan = Plan.model_validate(raw)
    tables = {
        name: read_source(source.table, DATA / source.files) for name, source in plan.data.sources.items()
    }
    panel = build_regions(plan, tables)[0]["units"]
    with pytest.raises(RefusalError, match=r"estab_census 을\(를\) 2015년과 2020년 사이") as caught:
        draw_sample(plan, panel, "shops", 1)
    assert "계획에서는 periods" in caught.value.remedy
    raw["phases"][1]["periods"] = [2010, 2019]
    with pytest.raises(DesignError, match="깨끗한 기간이 없음"):  # 2013 was not surveyed: another question
        draw_sample(Plan.model_validate(raw), panel, "shops", 1)


@pytest.mark.parametrize("name", ["people", "corporations"])
def test_what_did_not_break_is_compared_throughout(panel: Panel, name: str) -> None:
    assert np.isfinite(two_way_effects(panel, Design(name, cluster="sido")).values).all()


def test_moves_of_head_offices_are_those_that_were_found_before() -> None:
    """The folder's own list of changes of 시·도 between snapshots, made by others from the same snapshots."""
    rows = pd.read_csv(DATA / "listed_firm_hq_snapshots.csv", dtype=str)
    rows["period"] = rows["snapshot"].str.replace("-", "").astype(int)
    part = Part("거래소", rows, {}, {"place": "hq_sido"}, unit="code", period="period")
    built = joined_panel([part])
    assert (built.panel.shape, built.flow.left("거래소")[0]) == ((3208, 15), 37404)
    listed = pd.read_csv(DATA / "listed_firm_hq_moves.csv", dtype=str)
    flows, chart = move_flows(built.rows["거래소"], place="place", across="at_return")
    assert chart.left("이전")[0] == len(listed) == 285
    for (origin, destination, snapshot), group in listed.groupby(["prev_sido", "hq_sido", "snapshot"]):
        o, d = flows.origins == origin, flows.destinations == destination
        t = flows.periods == int(str(snapshot).replace("-", ""))
        assert flows.counts[o, d, t].item() == len(group), (origin, destination, snapshot)
    capital = np.isin(flows.origins, ["서울", "인천", "경기"])
    out = moved_in(flows, capital)[~capital].sum()
    assert out == (listed["out_of_capital"] == "1").sum()
    # moves over a snapshot without the firm are those that the stricter rule leaves out
    strict, _ = move_flows(built.rows["거래소"], place="place")
    gap = History.of(np.isfinite(seen_of(built.rows["거래소"], built.panel)))
    assert 285 - strict.counts.sum() <= gap.gaps.any(axis=1).sum()


def seen_of(rows: pd.DataFrame, panel: Panel) -> np.ndarray:
    out = np.full(panel.shape, np.nan)
    out[np.searchsorted(panel.units, rows["unit"]), np.searchsorted(panel.periods, rows["period"])] = 1.0
    return out
