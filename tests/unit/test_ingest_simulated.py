"""From written files back to the arrays of the world: what the readers return is what was drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evalkit import simulate
from evalkit.ingest import read_source, regions
from evalkit.ingest.identifiers import hash_identifier
from evalkit.ingest.sources.performance_survey import deduplicate_attracted, deduplicate_firm_totals
from evalkit.simulate.identity import identify

KEY = b"test key"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    world = simulate.world(3, firms=900)
    files = simulate.write(world, folder / "raw", folder / "truth")
    ids = pd.Index([hash_identifier(n, KEY) for n in identify(world).business_number])
    return world, files.raw, ids


def test_insurance_returns_jobs_and_places(made):
    world, raw, ids = made
    tables = read_source("employment_insurance", (raw / "고용보험").glob("*.csv"), key=KEY)
    assert {table.notes["encoding"] for table in tables} == {"utf-8-sig", "cp949"}
    frame = pd.concat([table.frame for table in tables])
    jobs = np.full(world.jobs.shape, np.nan)
    total = frame.groupby(["firm_id", "year"])["employees"].sum()
    firm = ids.get_indexer(total.index.get_level_values(0))
    assert (firm >= 0).all()
    jobs[firm, total.index.get_level_values(1) - 2013] = total.to_numpy()
    np.testing.assert_array_equal(jobs, np.where(world.alive, world.jobs, np.nan))
    place = frame.drop_duplicates(["firm_id", "year"])
    drawn = world.geography.codes[
        world.municipality[ids.get_indexer(place["firm_id"]), place["year"].to_numpy() - 2013]
    ]
    found = place["region"].to_numpy(dtype=str)
    # 서원구 (43112) began on 2014-07-01: at the end of 2013 its area is written, and read, as 상당구
    assert set(drawn[found != drawn]) <= {"43112"}
    assert set(place["year"].to_numpy()[found != drawn]) <= {2013}


def test_accounts_return_sales(made):
    world, raw, ids = made
    (table,) = read_source("firm_financials", (raw / "재무").glob("*.csv"), key=KEY)
    frame = table.frame
    firm, at = ids.get_indexer(frame["firm_id"]), frame["year"].to_numpy() - 2013
    assert len(frame) == world.filed.sum()
    nominal = world.sales[firm, at] * world.parameters.cpi()[at] / 100
    np.testing.assert_allclose(
        frame["sales_million_krw"], nominal, atol=0.0005 + 1e-9
    )  # written in whole 천원


def test_survey_returns_published_totals(made):
    """Phase 1 of 국가혁신클러스터: 649 jobs (87.2 % regular, 70.0 % young), 1,446억원, 국비 1,203억원, 122 attracted of which 47 capital."""
    _, raw, _ = made
    tables = read_source("performance_survey", (raw / "성과조사").glob("*.xlsx"), key=KEY)
    assert len(tables) == 12
    first = {t.spec.name: t for t in tables if t.frame["phase"].iloc[0] == 1}
    once = deduplicate_firm_totals(first["performance_outcomes"]).frame
    assert once["new_jobs"].sum() == 649
    assert round(100 * once["new_regular_jobs"].sum() / 649, 1) == 87.2
    assert round(100 * once["new_youth_jobs"].sum() / 649, 1) == 70.0
    assert once["commercial_sales_million_krw"].sum() == 144_600
    assert first["performance_projects"].frame["national_grant_krw"].sum() == pytest.approx(120.3e9, abs=1e6)
    repeated = first["performance_outcomes"].frame["new_jobs"].sum()
    assert repeated > 649  # what a sum over 과제 rows would claim
    moved = deduplicate_attracted(first["performance_attracted"]).frame
    assert len(moved) == 122
    assert moved["from_region"].dropna().map(regions.is_capital).sum() == 47


def test_every_row_of_every_sheet_is_accounted_for(made):
    _, raw, _ = made
    for table in read_source("performance_survey", (raw / "성과조사").glob("*.xlsx"), key=KEY):
        steps = [step for step in table.flow if not step.reason.startswith("연도별")]
        assert steps[0].rows + sum(s.rows for s in steps[1:-1]) == steps[-1].rows
        assert all(step.rows < 0 for step in steps[1:-1])


def test_survey_firms_are_in_the_registers(made):
    _, raw, ids = made
    for table in read_source("performance_survey", (raw / "성과조사").glob("*.xlsx"), key=KEY):
        if table.spec.name == "performance_projects":
            assert (ids.get_indexer(table.frame["firm_id"]) >= 0).all()


def test_pension_zones_and_prices(made):
    world, raw, _ = made
    tables = read_source("national_pension", (raw / "국민연금").glob("*.csv"), key=KEY)
    assert len(tables) == 13
    assert {table.notes["encoding"] for table in tables} == {"cp949"}
    # a firm that stays where it is keeps its key
    shared = set(tables[0].frame["name_key"]) & set(tables[1].frame["name_key"])
    assert len(shared) > 0.8 * len(tables[0].frame)
    by_name = {t.spec.name: t.frame for t in read_source("zones", (raw / "지정고시").glob("*.csv"))}
    distance = by_name["zone_distance"].pivot(index="region", columns="phase", values="zone_distance_km")
    for phase, km in world.geography.distance_km.items():
        np.testing.assert_allclose(distance[phase].loc[world.geography.codes.astype(str)], km, atol=0.0501)
    for phase, zones in world.geography.zones.items():
        named = by_name["zone_designation"]
        assert set(named.loc[named["phase"] == phase, "region"]) == set(world.geography.codes[zones])
    (prices,) = read_source("deflator", (raw / "물가").glob("*.csv"))
    np.testing.assert_allclose(prices.frame["index"], world.parameters.cpi(), atol=0.0005)
