"""The simulated world: what it promises, and that its files say what its arrays say."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from shared_files import REAL

from evalkit import simulate
from evalkit.errors import ParameterError, UsageError
from evalkit.ingest import identifiers, regions
from evalkit.ingest.sources import read_source
from evalkit.simulate import Files, World
from evalkit.simulate.identity import identify
from evalkit.simulate.parameters import CPI_PUBLISHED, PHASE_YEARS, YEARS
from evalkit.simulate.registers import PENSION_COLUMNS, insurance_file, pension_file
from evalkit.simulate.reported import report_phase, shares_out
from evalkit.simulate.truth import potential

KEY = b"only for this test: not a secret"


@pytest.fixture(scope="module")
def world() -> World:
    return simulate.world(5)


@pytest.fixture(scope="module")
def small() -> World:
    return simulate.world(3, firms=600)


@pytest.fixture(scope="module")
def files(small: World, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("모의")
    return simulate.write(small, folder / "raw", folder / "truth")


# -- the world ----------------------------------------------------------------------------------------


def test_same_seed_same_arrays_other_seed_others() -> None:
    one, two, other = (
        simulate.world(9, firms=400),
        simulate.world(9, firms=400),
        simulate.world(10, firms=400),
    )
    np.testing.assert_array_equal(one.jobs, two.jobs)
    np.testing.assert_array_equal(one.sales, two.sales)
    assert not np.array_equal(one.jobs, other.jobs)


def test_parameters_are_checked() -> None:
    with pytest.raises(ParameterError, match="비슷한 이름: exit_rate"):
        simulate.world(1, exitrate=0.1)
    with pytest.raises(ParameterError, match="200 이상"):
        simulate.world(1, firms=20)
    calm = simulate.world(1, exit_rate=0.0, covid_exit_rate=0.0)
    assert bool((calm.alive == (calm.firms.entry[:, None] <= YEARS)).all())
    assert calm.truth.att("survival", 1) == 0.0


def test_life_of_a_firm(world: World) -> None:
    before = world.firms.entry[:, None] > YEARS
    assert np.isnan(world.jobs[before]).all()
    assert np.isnan(world.sales[before]).all()
    gone = ~world.alive & ~before
    assert (world.jobs[gone] == 0).all()
    assert (world.sales[gone] == 0).all()
    assert (world.jobs[world.alive] >= 1).all()
    assert (
        world.alive[:, 1:] <= (world.alive[:, :-1] | (world.firms.entry[:, None] == YEARS[1:]))
    ).all()  # no return
    assert bool((world.alive >= world.alive_untreated).all())  # support never kills
    assert 0.002 < (world.sales[world.alive] == 0).mean() < 0.02


def test_support_is_equal_by_province_and_falls_on_living_firms(world: World) -> None:
    support, firms = world.support, world.firms
    for phase, (first, last) in PHASE_YEARS.items():
        rows = np.flatnonzero(support.phase == phase)
        counts = np.bincount(firms.province[rows], minlength=17)
        assert (counts[:3] == 0).all()
        assert (counts[3:] == world.parameters.first_time_firms(phase)).all()
        cohort = support.cohort[rows].astype(int)
        assert cohort.min() == first
        assert cohort.max() == last
        assert world.alive[rows, cohort - 1 - 2013].all()
    assert np.isinf(support.cohort[support.phase == 0]).all()
    # selection on observables: supported firms are larger and more often in the target industry
    inside = firms.province >= 3
    assert firms.size[support.phase > 0].mean() > firms.size[(support.phase == 0) & inside].mean()
    assert firms.target[support.phase > 0].mean() > 1.3 * firms.target[(support.phase == 0) & inside].mean()


def test_geography(world: World) -> None:
    g = world.geography
    assert len(g.codes) == 250
    assert sorted(set(g.province)) == list(range(17))
    for phase, zones in g.zones.items():
        assert not g.capital[zones].any()
        assert len(np.unique(g.province[zones])) == 14
        assert (g.distance_km[phase][zones] == 0).all()
        assert 1 <= np.bincount(g.province[zones])[3:].min() <= np.bincount(g.province[zones]).max() <= 3
    assert set(g.zones[1]) != set(g.zones[3])  # partly redrawn
    assert len(set(g.zones[1]) & set(g.zones[3])) >= 10
    clean = (world.distance_km(1) > 20) & (world.distance_km(3) > 20) & (world.support.phase == 0)
    assert (clean & (world.firms.province >= 3)).sum() > 500


# -- the truth ----------------------------------------------------------------------------------------


def test_truth_is_the_difference_of_potential_outcomes(world: World) -> None:
    support = world.support
    for outcome, (treated, untreated) in potential(world).items():
        gap = treated - untreated
        for cohort in (2019, 2023):
            rows = support.cohort == cohort
            at = cohort + 1 - 2013
            table = world.truth.effects.query(
                f"outcome == '{outcome}' and cohort == {cohort} and event_time == 1"
            )
            assert table["att_realised"].item() == pytest.approx(gap[rows, at].mean())
            assert table["units"].item() == rows.sum()
            with_, without = world.expected[outcome]
            assert table["att"].item() == pytest.approx((with_ - without)[rows, at].mean())
    early = world.truth.effects.query("event_time < 0")
    assert set(early["outcome"]) == {"jobs", "sales", "survival", "relocation"}
    assert (early["att"] == 0).all()
    assert (early["att_realised"] == 0).all()
    assert len(early) > 50


def test_expected_effect_is_the_mean_of_realised_ones() -> None:
    """Over many draws the realised effect centres on the expected one."""
    gaps = []
    for seed in range(40):
        table = simulate.world(seed, firms=1500).truth.effects.query(
            "outcome == 'jobs' and event_time == 1 and phase == 1"
        )
        gaps.append(np.average(table["att_realised"] - table["att"], weights=table["units"]))
    assert abs(np.mean(gaps)) < 3 * np.std(gaps, ddof=1) / np.sqrt(len(gaps))


def test_shape_of_the_truth(world: World) -> None:
    truth = world.truth
    path = [truth.att("jobs", 1, cohort=2019, event_time=e) for e in range(8)]
    assert path == sorted(path)  # phase 1 persists and grows
    assert path[0] > 0
    assert truth.att("jobs", 1) == pytest.approx(
        np.mean([truth.att("jobs", 1, event_time=e) for e in range(3)])
    )
    last = [truth.att("jobs", 3, event_time=2), truth.att_balanced("jobs", 3)]
    assert min(last) > 0
    tiers = world.firms.tier[world.support.phase == 3]
    gap = np.nan_to_num(world.expected["jobs"][0] - world.expected["jobs"][1])[world.support.phase == 3, -1]
    assert gap[tiers == 2].mean() > gap[tiers == 1].mean()
    assert (truth.ring["jobs"] < 0).all()
    assert (truth.ring["survival"] == 0).all()
    assert sum(truth.relocated.values()) == (world.move_year > 0).sum() > 0
    with pytest.raises(UsageError, match="결과 'job' 이"):
        truth.att("job", 1)
    with pytest.raises(UsageError, match="경과 연수 9"):
        truth.att("jobs", 3, event_time=9)


def test_only_supported_and_ring_firms_are_touched(world: World) -> None:
    ring = np.minimum(world.distance_km(1), world.distance_km(3)) <= world.parameters.ring_km
    apart = (world.support.phase == 0) & ~(ring & (world.firms.province >= 3))
    np.testing.assert_array_equal(world.jobs[apart], world.jobs_untreated[apart])
    np.testing.assert_array_equal(world.sales[apart], world.sales_untreated[apart])
    near = (world.support.phase == 0) & ring & (world.firms.province >= 3)
    assert np.nansum(world.jobs[near, 12] - world.jobs_untreated[near, 12]) < 0
    np.testing.assert_array_equal(world.jobs[near, :6], world.jobs_untreated[near, :6])  # none before 2019


def test_moves_leave_the_capital_region_only(world: World) -> None:
    moved = world.move_year > 0
    assert (world.firms.province[moved] < 3).all()
    assert not world.geography.capital[world.municipality[moved, -1]].any()
    np.testing.assert_array_equal(world.municipality[~moved, 0], world.municipality[~moved, -1])


def test_zones_draw_firms_and_nothing_else_changes() -> None:
    """Inflow per municipality and year, over seeds: zones gain what the truth says, the others nothing."""
    gained, expected, elsewhere = [], [], []
    for seed in range(30):
        w = simulate.world(seed)
        counts = np.zeros((250, len(YEARS)))
        moved = np.flatnonzero(w.move_year > 0)
        np.add.at(counts, (w.municipality[moved, -1], w.move_year[moved] - 2013), 1)
        zones = w.geography.zones[1]
        others = np.setdiff1d(np.flatnonzero(~w.geography.capital), np.union1d(zones, w.geography.zones[3]))
        after, before = slice(6, 9), slice(1, 6)
        rise = counts[:, after].mean(axis=1) - counts[:, before].mean(axis=1)
        gained.append(rise[zones].mean() - rise[others].mean())
        elsewhere.append(rise[others].mean())
        expected.append(w.truth.att("relocation", 1))
        assert w.truth.att("relocation", 1, event_time=0) > 0
    error = np.array(gained) - np.array(expected)
    assert abs(error.mean()) < 2.5 * error.std(ddof=1) / np.sqrt(len(error))
    assert abs(np.mean(elsewhere)) < 0.01
    assert np.mean(expected) > 0.1


def test_firm_panel_holds_the_arrays(world: World) -> None:
    panel = simulate.firm_panel(world)
    np.testing.assert_array_equal(panel.varying["jobs"], world.jobs)
    assert len(np.unique(panel.fixed["sido"])) == 17
    filed = simulate.firm_panel(world, filed_only=True).varying["sales"]
    assert np.isnan(filed[world.alive & ~world.filed]).all()
    assert (filed[(world.firms.entry[:, None] <= YEARS) & ~world.alive] == 0).all()


# -- what is reported ----------------------------------------------------------------------------------


def test_published_totals_hold_once_firms_are_counted_once(world: World) -> None:
    one = report_phase(world, 1)
    assert {k: int(v.sum()) for k, v in one.results.items() if k in ("jobs", "regular", "young")} == {
        "jobs": 649, "regular": 566, "young": 454,
    }  # fmt: skip
    assert int((one.results["sales_home"] + one.results["sales_abroad"]).sum()) == 144_600
    assert (one.results["regular"] <= one.results["jobs"]).all()
    assert len(one.attractions) == len({a.business_number for a in one.attractions}) == 122
    capital = [a for a in one.attractions if a.origin.split()[0] in ("서울특별시", "인천광역시", "경기도")]
    assert len(capital) == 47
    assert 10 < sum(a.kind == "MOU" for a in one.attractions) < 50
    rows = sum(len(project.firms) for project in one.projects)
    assert rows > len(one.firms) == len({f for project in one.projects for f in project.firms})


@pytest.mark.parametrize(("phase", "national", "local"), [(1, 1203, 514), (2, 1306, 506)])
def test_budgets_are_the_published_ones_in_equal_parts(
    world: World, phase: int, national: int, local: int
) -> None:
    projects = report_phase(world, phase).projects
    assert sum(p.money[0] for p in projects) == national * 100_000
    assert sum(p.money[1] for p in projects) == local * 100_000
    by_province = {k: sum(p.money[0] for p in projects if p.province == k) for k in range(3, 17)}
    assert max(by_province.values()) - min(by_province.values()) <= 2
    if phase == 2:
        assert sum(p.money[0] for p in projects if p.research) == 1134 * 100_000


def test_shares_out_keeps_the_total() -> None:
    parts = shares_out(10, np.array([1.0, 1.0, 1.0]))
    assert parts.tolist() == [4, 3, 3]
    assert shares_out(649, np.arange(1.0, 50.0)).sum() == 649


# -- names and numbers ---------------------------------------------------------------------------------


def test_numbers_are_valid_distinct_and_names_awkward(world: World) -> None:
    who = identify(world)
    assert identifiers.valid_business_numbers(who.business_number).all()
    assert len(set(who.business_number)) == len(who.business_number)
    assert all(identifiers.is_corporate_number(n) for n in who.corporate_number[:50])
    # a few pairs of neighbours share the name and the first six digits; nobody else shares a name
    _, first, counts = np.unique(who.name.astype(str), return_index=True, return_counts=True)
    assert set(counts.tolist()) == {1, 2}
    assert 0 < int((counts == 2).sum()) <= len(who.name) / 100
    for one in first[counts == 2]:
        (other,) = [i for i in np.flatnonzero(who.name == who.name[one]) if i != one]
        assert who.business_number[one][:6] == who.business_number[other][:6]
        assert world.firms.home[one] == world.firms.home[other]
    for mark in ("<b>", "=누리", "㈜", '"', ",", "<script>"):
        assert any(mark in name for name in who.name), mark
    supported = who.name[world.support.phase > 0]
    assert any("<b>" in name for name in supported)


def test_prices(world: World) -> None:
    cpi = world.parameters.cpi()
    assert cpi[YEARS == 2020].item() == 100
    assert cpi[YEARS == 2025].item() == pytest.approx(114.181 * 1.02, abs=1e-3)
    path = REAL / "kr_deflators.csv"
    if path.is_file():
        table = pd.read_csv(path).set_index("year")["cpi_2020_wb"]
        assert {year: table[year] for year in CPI_PUBLISHED} == CPI_PUBLISHED


# -- files ---------------------------------------------------------------------------------------------


def digest(paths: tuple[Path, ...]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_same_seed_same_bytes(small: World, files: Files, tmp_path: Path) -> None:
    again = simulate.write(simulate.world(3, firms=600), tmp_path / "a", tmp_path / "b")
    assert [p.name for p in again.paths] == [p.name for p in files.paths]
    assert digest(again.paths) == digest(files.paths)
    with zipfile.ZipFile(next(p for p in files.paths if p.suffix == ".xlsx")) as book:
        assert {entry.date_time for entry in book.infolist()} == {(2028, 1, 31, 9, 0, 0)}
        assert b"2028-01-31T09:00:00Z" in book.read("docProps/core.xml")


def test_the_truth_lies_apart(small: World, files: Files, tmp_path: Path) -> None:
    assert sorted(p.name for p in files.truth.iterdir()) == ["effects.csv", "truth.json"]
    assert not list(files.raw.rglob("*truth*"))
    assert not list(files.raw.rglob("*.part"))
    summary = json.loads((files.truth / "truth.json").read_text(encoding="utf-8"))
    assert summary["phases"]["1"]["att"]["jobs"]["event_times_0_2"] == small.truth.att("jobs", 1)
    table = pd.read_csv(files.truth / "effects.csv")
    assert np.allclose(table["att"], small.truth.effects["att"], rtol=1e-8)
    with pytest.raises(UsageError, match="참값 폴더"):
        simulate.write(small, tmp_path, tmp_path / "truth")


def test_workbook_looks_like_one(files: Files) -> None:
    book = openpyxl.load_workbook(files.raw / "성과조사" / "성과조사_1단계_2018-2020.xlsx")
    assert book.sheetnames == ["과제현황", "성과", "기업유치"]
    texts = {
        name: [str(c.value) for row in book[name].iter_rows() for c in row if c.value is not None]
        for name in book.sheetnames
    }
    assert "(단위: 천원)" in texts["과제현황"]
    assert any("백만원" in text for text in texts["성과"])
    assert "투자금액(억원)" in texts["기업유치"]
    for page in texts.values():
        assert "합계" in page
        assert sum(text.endswith("소계") for text in page) >= 5
        assert any(text.startswith("※") for text in page)
        assert any("모의 자료" in text for text in page)
    assert any(text.endswith("명") and text[:-1].replace(",", "").isdigit() for text in texts["성과"])
    assert {"-", "해당없음"} <= set(texts["성과"])
    assert any(text.startswith("’") and text.endswith(".") for text in texts["과제현황"])
    heads = [str(r) for r in book["성과"].merged_cells.ranges]
    assert any(r.endswith("3") and r.startswith("F3") for r in heads), heads  # 매출액 over its years
    types = {type(row[9].value) for row in book["과제현황"].iter_rows(min_row=5) if row[9].value is not None}
    assert types == {str, int}  # business numbers as text and as numbers
    assert all(c.data_type != "f" for page in book for row in page.iter_rows() for c in row)


def test_awkward_names_reach_the_workbook_as_text(world: World) -> None:
    from evalkit.simulate.workbook import workbook_bytes

    who = identify(world)
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes(world, who, report_phase(world, 1))))
    shown = {str(row[8].value) for row in book["과제현황"].iter_rows(min_row=5)}
    supported = set(who.name[world.support.phase == 1])
    assert supported <= shown


def test_pension_file_has_the_exact_header(small: World) -> None:
    name, content = pension_file(small, identify(small), 2023)
    assert name == "국민연금_가입사업장_202312.csv"
    rows = list(csv.reader(io.StringIO(content.decode("cp949"))))
    assert tuple(rows[0]) == PENSION_COLUMNS
    assert len(rows[0]) == 22
    assert [h.strip() for h in rows[0]][3] == "사업장가입상태코드 1 등록 2 탈퇴"
    valid = set(regions.municipalities("2023-12")["code"])
    assert {row[7][:5] for row in rows[1:]} <= valid
    assert all(len(row[2]) == 6 for row in rows[1:])
    assert all(int(row[18]) >= 3 for row in rows[1:])


@pytest.mark.parametrize(
    ("year", "present", "absent"),
    [
        (2017, ("강원도 ", "전라북도 ", "인천광역시 남구 ", "경상북도 군위군 "), ("미추홀구", "강원특별")),
        (2022, ("강원도 ", "전라북도 ", "미추홀구 ", "경상북도 군위군 "), ("강원특별", "인천광역시 남구 ")),
        (2023, ("강원특별자치도 ", "전라북도 ", "대구광역시 군위군 "), ("강원도 ", "경상북도 군위군")),
        (2025, ("전북특별자치도 ", "광주광역시 ", "전라남도 "), ("전라북도", "전남광주")),
        (2026, ("전남광주통합특별시 ", "화성시 "), ("전라남도", "광주광역시")),
    ],
)
def test_addresses_carry_the_names_of_their_year(
    year: int, present: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    world = simulate.world(1)
    _, content = insurance_file(world, identify(world), year)
    text = content.decode("utf-8-sig" if year % 3 == 1 else "cp949")
    for name in present:
        assert name in text, name
    for name in absent:
        assert name not in text, name


def test_files_say_what_the_arrays_say(small: World, files: Files) -> None:
    """Workbook, 고용보험 and accounts, read by the kit's own readers, give back jobs, sales and first support."""
    folder = {p.parent.name: p.parent for p in files.paths}
    spine = pd.concat(
        [t.frame for t in read_source("employment_insurance", folder["고용보험"].glob("*.csv"), key=KEY)]
    )
    who = identify(small)
    ids = [identifiers.hash_identifier(number, KEY) for number in who.business_number]
    jobs = (
        spine.groupby(["firm_id", "year"])["employees"].sum().unstack(fill_value=0).reindex(ids, fill_value=0)
    )
    np.testing.assert_array_equal(jobs.to_numpy(), np.nan_to_num(small.jobs))
    at_2020 = spine[spine["year"] == 2020].drop_duplicates("firm_id").set_index("firm_id")["region"]
    rows = np.flatnonzero(small.alive[:, 7])
    np.testing.assert_array_equal(
        at_2020.loc[[ids[r] for r in rows]].to_numpy(dtype=str),
        small.geography.codes[small.municipality[rows, 7]],
    )
    [accounts] = read_source("firm_financials", folder["재무"].glob("*.csv"), key=KEY)
    nominal = (
        accounts.frame.pivot(index="firm_id", columns="year", values="sales_million_krw")
        .reindex(ids)
        .to_numpy()
    )
    real = nominal / small.parameters.cpi() * 100
    np.testing.assert_array_equal(np.isfinite(real), small.filed)
    np.testing.assert_allclose(real[small.filed], small.sales[small.filed], atol=1e-3)
    tables = read_source("performance_survey", folder["성과조사"].glob("*.xlsx"), key=KEY)
    starts = pd.concat(
        [t.frame[["firm_id", "agreement_start"]] for t in tables if t.spec.name == "performance_projects"]
    )
    adoption = starts.groupby("firm_id")["agreement_start"].min().dt.year.reindex(ids).to_numpy()
    np.testing.assert_array_equal(np.nan_to_num(adoption, nan=np.inf), small.support.cohort)


def test_zone_files_and_pension_files_can_be_read(small: World, files: Files) -> None:
    folder = {p.parent.name: p.parent for p in files.paths}
    zones = read_source("zones", folder["지정고시"].glob("*.csv"), key=KEY)
    frames = {t.spec.name: t.frame for t in zones}
    first = frames["zone_designation"].query("phase == 1")["region"]
    assert set(first) == set(small.geography.codes[small.geography.zones[1]])
    far = frames["zone_distance"].query("phase == 3").set_index("region")["zone_distance_km"]
    np.testing.assert_allclose(far.loc[small.geography.codes.tolist()], small.geography.distance_km[3])
    pension = read_source("national_pension", folder["국민연금"].glob("*2023*.csv"), key=KEY)[0].frame
    assert pension["members"].min() >= 3
    assert pension["region"].notna().all()
