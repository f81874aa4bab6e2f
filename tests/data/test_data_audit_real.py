"""The audit on files that none of us made: no fault is cried where there is none, and the faults that stood in the sources,
put back into them, are found with their rows. Skipped where ../shared/data is absent."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from shared_files import REAL as DATA
from shared_files import needs_real

from evalkit.ingest import read_source
from evalkit.ingest.audit import Finding, audit_file, audit_table
from evalkit.ingest.regions import municipalities

pytestmark = needs_real
TODAY = dt.date(2026, 6, 1)
PANEL = "kr_sigungu_panel_2010_2024.csv"


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return pd.read_csv(DATA / PANEL, dtype=str, keep_default_na=False)


def audited(frame: pd.DataFrame, folder) -> tuple[Finding, ...]:
    path = folder / PANEL
    frame.to_csv(path, index=False)
    return audit_file(path, today=TODAY)


def faults(found: tuple[Finding, ...]) -> list[Finding]:
    return [f for f in found if f.severity == "fault"]


def rows_of(frame: pd.DataFrame, mask) -> set[int]:
    return set((np.flatnonzero(mask) + 2).tolist())


def shown(finding: Finding) -> set[int]:
    return {row.source_row for row in finding.rows}


# -- as they are --------------------------------------------------------------------------------------------


def test_the_panel_has_no_fault_and_its_breaks_are_found():
    found = audit_file(DATA / PANEL, today=TODAY)
    assert not faults(found)
    told = {(f.variable, f.sentence.split(":")[1][:6]) for f in found if f.check == "break"}
    # the census of 2020; the limit of 간이과세 raised in July 2021; landlords registered as exempt businesses for 2019
    assert told == {
        ("estab_census", " 2020년"),
        ("nts_biz_simplified", " 2021년"),
        ("nts_biz_exempt", " 2020년"),
    }
    census = next(f for f in found if f.variable == "estab_census")
    assert census.score == 1.0
    assert "알려진 정의 변경과 시점이 같음" in census.sentence
    # grdp is complete from 2015 on; the second population has three cells of another territory
    assert {f.check for f in found if f.severity == "suspicion"} == {"break", "missing_by_group", "twins"}
    assert next(f for f in found if f.check == "twins").total == 3


def test_the_declared_panel_has_no_fault():
    (table,) = read_source("region_panel", DATA / PANEL)
    found = audit_table(table, today=TODAY)
    assert not faults(found)
    assert {f.variable for f in found if f.check == "break"} == {
        "estab_census",
        "nts_biz_simplified",
        "nts_biz_exempt",
    }


def test_rates_and_indices():
    found = audit_file(DATA / "sido_emp_rate_annual.csv", today=TODAY)
    assert {f.check: f.severity for f in found} == {"columns_read": "hint", "total_row": "hint"}
    found = audit_file(DATA / "sido_cpi_annual.csv", today=TODAY)
    # seven series begin in 1965, ten in 1990, 세종 in 2020
    assert {f.check: f.severity for f in found} == {
        "columns_read": "hint",
        "total_row": "hint",
        "churn": "suspicion",
    }
    assert "1990년" in next(f for f in found if f.check == "churn").sentence


def test_deflators_of_different_bases():
    found = audit_file(DATA / "kr_deflators.csv", today=TODAY)
    assert {f.check: f.severity for f in found} == {"columns_read": "hint", "index_base": "hint"}
    assert "ppi_2015_bok_mean (2015)" in next(f for f in found if f.check == "index_base").sentence


def test_the_pension_file_breaks_off_and_shows_no_firm():
    found = audit_file(DATA / "nps_firms_202204_sample.csv", today=TODAY)
    (fault,) = faults(found)
    assert (fault.check, fault.rows[0].source_row) == ("cut_row", 29_976)
    names = set(
        pd.read_csv(DATA / "nps_firms_202204_sample.csv", usecols=["사업장명"], dtype=str)[
            "사업장명"
        ].dropna()
    )
    for finding in found:
        for row in finding.rows:
            assert row.value is None
            assert row.unit not in names


# -- with the faults that stood in their sources ----------------------------------------------------------------


def test_twelve_cities_twice(raw, tmp_path):
    districts = municipalities(2018)
    districts = districts[districts["sigungu"].str.contains("시.+구")]
    frame, added = [raw], []
    for code in sorted(set(raw["code"])):
        base = {"51": "42", "52": "45"}.get(code[:2], code[:2]) + code[2:]
        parts = districts[districts["code"].str[:4] == base[:4]]
        for part in parts.itertuples():
            own = raw[raw["code"] == code].assign(code=code[:2] + part.code[2:], sigungu=part.sigungu)
            own["population"] = (pd.to_numeric(own["population"]) // len(parts)).astype(str)
            frame.append(own)
        added += [code] * bool(len(parts))
    assert len(added) == 11  # 부천 had no 구 in 2018
    whole = pd.concat(frame, ignore_index=True)
    whole = pd.concat(
        [whole, whole[whole["code"] == "41190"].assign(code="41192", sigungu="부천시원미구")],
        ignore_index=True,
    )
    (finding,) = faults(audited(whole, tmp_path))
    assert finding.check == "counted_twice"
    assert finding.total == 12 * 15
    assert shown(finding) <= rows_of(whole, whole["code"].isin([*added, "41190"]))


@pytest.mark.parametrize("name", ["nps_members", "population", "nts_biz_corp"])
@pytest.mark.parametrize("year", ["2015", "2019", "2023"])
def test_one_snapshot_doubled(raw, tmp_path, name, year):
    frame = raw.copy()
    hit = frame["year"] == year
    frame.loc[hit, name] = (2 * pd.to_numeric(frame.loc[hit, name])).map("{:.0f}".format)
    told = faults(audited(frame, tmp_path))
    finding = next(f for f in told if f.check == "scaled_period")
    assert finding.sentence == f"{name}: {year}년 값이 통째로 2배로 적힌 것으로 보임 (모든 값이 짝수)"
    assert finding.total == 229
    assert shown(finding) <= rows_of(frame, hit)
    assert len(told) == 1


@pytest.mark.parametrize("year", ["2011", "2016", "2023"])
@pytest.mark.parametrize("whole_row", [False, True])
def test_jeju_and_seogwipo_swapped(raw, tmp_path, year, whole_row):
    frame = raw.copy()
    jeju = frame.index[(frame["code"] == "50110") & (frame["year"] == year)]
    other = frame.index[(frame["code"] == "50130") & (frame["year"] == year)]
    names = [c for c in frame.columns[5:] if c != "boundary_note"] if whole_row else ["population"]
    frame.loc[jeju.union(other), names] = frame.loc[[*other, *jeju], names].to_numpy()
    (finding,) = faults(audited(frame, tmp_path))
    assert finding.check == "swapped"
    assert f"{year}년 50110 값과 50130 값이" in finding.sentence
    assert shown(finding) == {int(jeju[0]) + 2, int(other[0]) + 2}


@pytest.mark.parametrize("name", ["population", "nps_members", "nts_biz_corp"])
def test_six_incheon_districts_shifted(raw, tmp_path, name):
    frame = raw.copy()
    codes = sorted(c for c in set(frame["code"]) if c.startswith("28"))[1:7]
    block = [frame.index[(frame["code"] == code) & (frame["year"] == "2018")][0] for code in codes]
    frame.loc[block, name] = frame.loc[np.roll(block, 1), name].to_numpy()
    finding = next(f for f in faults(audited(frame, tmp_path)) if f.check == "shifted")
    assert name in finding.sentence
    assert "2018년" in finding.sentence
    wrong = {row.source_row for row in finding.rows}
    assert len(wrong & {i + 2 for i in block}) >= 5
    assert wrong <= {i + 2 for i in block}


def test_names_swapped_while_codes_are_right(raw, tmp_path):
    frame = raw.copy()
    first, second = "26140", "26170"  # 부산 서구 and 동구
    one, two = frame["code"] == first, frame["code"] == second
    frame.loc[one, "sigungu"], frame.loc[two, "sigungu"] = "동구", "서구"
    (finding,) = faults(audited(frame, tmp_path))
    assert finding.check == "name_contradicts_code"
    assert finding.total == 30
    assert shown(finding) <= rows_of(frame, one | two)


def test_an_index_that_is_a_rate(tmp_path):
    frame = pd.read_csv(DATA / "sido_cpi_annual.csv")
    frame["cpi_2020"] = (100 * frame.groupby("sido")["cpi_2020"].pct_change()).round(1)
    path = tmp_path / "sido_cpi_annual.csv"
    frame.to_csv(path, index=False)
    (finding,) = faults(audit_file(path, today=TODAY))
    assert finding.check == "rate_as_index"
