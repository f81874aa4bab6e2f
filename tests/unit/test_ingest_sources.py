"""Each source by a small file written here; values by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from evalkit.errors import RefusalError, SchemaError, ValueProblem
from evalkit.ingest import READERS, SPECS, read_source
from evalkit.ingest.audit import audit_table
from evalkit.ingest.breaks import refuse_break
from evalkit.ingest.identifiers import business_check_digit, hash_identifier
from evalkit.ingest.linking.keys import normalised_names
from evalkit.ingest.sources.fields import year_in_name
from evalkit.ingest.sources.national_pension import is_header_of_pension_file
from evalkit.ingest.sources.performance_survey import (
    deduplicate_attracted,
    deduplicate_firm_totals,
    phase_in_name,
)

KEY = b"test key"


def number(index: int) -> str:
    head = f"{100 + index:03d}81{index:04d}"
    return head + str(business_check_digit(head))


def write(path: Path, text: str, encoding: str = "utf-8-sig") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def read_one(name: str, path: Path, **options):
    (table,) = read_source(name, path, key=KEY, options=options)
    return table


# -- 고용보험 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("encoding", "separator"), [("utf-8-sig", ","), ("cp949", "\t"), ("utf-16", "\t")])
def test_employment_insurance(tmp_path, encoding, separator):
    rows = [
        ["사업장명", "사업장주소", "사업자등록번호", "고용보험상시근로자수", "고용업종코드", "고용업종명", "성립일자"],
        ["(주)가", "강원특별자치도 춘천시 동면", number(1), "1234", "1110", "곡물 재배업", "1999-01-02"],
        ["나", "대구광역시 군위군 부계면", number(2), "-", "26110", "반도체", "20200301"],
    ]  # fmt: skip
    text = "\n".join(separator.join(row) for row in rows) + "\n"
    table = read_one("employment_insurance", write(tmp_path / "가입현황_20231231.csv", text, encoding))
    frame = table.frame
    assert "firm_name" not in frame
    assert frame["year"].tolist() == [2023, 2023]
    assert frame["region"].tolist() == ["42110", "47720"]
    assert frame["employees"].tolist() == [1234, 0]
    assert frame["industry"].tolist() == ["01110", "26110"]
    assert frame["firm_id"].iloc[0] == hash_identifier(number(1), KEY)
    assert frame["joined"].dt.year.tolist() == [1999, 2020]
    assert {r.kind for r in table.repairs} >= {"코드의 앞자리 0 되살림", "주소에서 지역 코드를 정함"}


def test_year_of_a_file(tmp_path):
    assert year_in_name(Path("고용보험_20191231.csv")) == 2019
    assert year_in_name(Path("panel_2010_2024.csv")) == 2024
    assert year_in_name(Path("국민연금_202204.csv")) == 2022
    assert year_in_name(Path("사업자1234567.csv")) is None
    with pytest.raises(ValueProblem, match="어느 해의 자료인지"):
        read_source("employment_insurance", write(tmp_path / "가입현황.csv", "a\n"), key=KEY)


# -- 국민연금 -----------------------------------------------------------------------------------------

PENSION = (
    "자료생성년월, 사업장명, 사업자등록번호, 사업장가입상태코드 1 등록 2 탈퇴, 우편번호, 사업장지번상세주소, 사업장도로명상세주소, 고객법정동주소코드,"
    " 고객행정동주소코드, 법정동주소광역시도코드, 법정동주소광역시시군구코드, 법정동주소광역시시군구읍면동코드, 사업장형태구분코드 1 법인 2 개인,"
    " 사업장업종코드, 사업장업종코드명, 적용일자, 재등록일자, 탈퇴일자, 가입자수, 당월고지금액, 신규취득자수, 상실가입자수\n"
)


def test_national_pension(tmp_path):
    # the row printed in DOMAIN 2.2, and the same firm written another way a month later
    first = "2021-03,우성기전(주),126811,1,12816,경기도 광주시 도척면,경기도 광주시 도척면 도척윗로,4161033025,4161033025,41,610,330,1,292201,동력식 수지 공구 제조업,1988-01-01,0001-01-01,0001-01-01,5,792720,0,0\n"
    later = (
        first.replace("2021-03", "2021-04")
        .replace("우성기전(주)", "주식회사 우성 기전")
        .replace(",5,792720", ",6,800000")
    )
    a, b = read_source(
        "national_pension",
        [
            write(tmp_path / "2021_03.csv", PENSION + first, "cp949"),
            write(tmp_path / "2021_04.csv", PENSION + later, "cp949"),
        ],
        key=KEY,
    )
    row = a.frame.iloc[0]
    assert row["month"] == pd.Timestamp("2021-03-01")
    assert (row["region"], row["members"], row["premium"]) == ("41610", 5, 792720.0)
    assert row["joined"] == pd.Timestamp("1988-01-01")
    assert pd.isna(row["left"])
    assert row["entity"] == "corporation"
    assert row["name_key"] == hash_identifier("name|우성기전", KEY) == b.frame["name_key"].iloc[0]
    assert "우성" not in a.frame.to_csv()
    assert row["head_key"] == hash_identifier("head|126811", KEY)
    assert (row["entity_kind"], row["place_kind"]) == ("corporation_head_office", "head_office")
    assert len(a.notes["cautions"]) == 6
    assert is_header_of_pension_file(PENSION.split(","))
    with pytest.raises(ValueProblem, match="열쇠"):
        read_source("national_pension", tmp_path / "2021_03.csv")


def test_names_meet():
    names = ["㈜ 한빛 소재", "한빛소재(주)", "주식회사 한빛소재", "(유)한빛소재", "HANBIT Co., Ltd."]
    assert normalised_names(names).tolist() == ["한빛소재"] * 4 + ["hanbit"]


# -- 재무, 지정고시, 명단, 물가 -------------------------------------------------------------------------


def test_firm_financials(tmp_path):
    text = (
        "기업명,사업자등록번호,결산연도,매출액(천원),자산총계(천원),표준산업분류(10차),설립일자,본사주소\n"
        f'가,{number(1)},2023,"1,234,567",10,26110,2001-02-03,전북 전주시 덕진구\n'
        f"가,{number(1)},2024,2000,,26110,2001-02-03,전북특별자치도 전주시 덕진구\n"
    )
    frame = read_one("firm_financials", write(tmp_path / "기업재무.csv", text)).frame
    assert frame["sales_million_krw"].tolist() == [1234.567, 2.0]
    np.testing.assert_array_equal(frame["assets_million_krw"], [0.01, np.nan])
    assert frame["region"].tolist() == ["45113", "45113"]
    twice = text + f"가,{number(1)},2024,2000,,26110,2001-02-03,전북 전주시 덕진구\n"
    with pytest.raises(ValueProblem, match=r"같은 열쇠\(사업자등록번호·결산연도\).*3, 4행 \(결산연도 2024\)"):
        read_source("firm_financials", write(tmp_path / "기업재무.csv", twice), key=KEY)


def test_zones(tmp_path):
    named = write(
        tmp_path / "지구.csv",
        "단계,시도,시군구코드,지구명,지정일\n1단계,강원,42110,가,2018-11-06\n3,강원,51110,나,2023.7.1\n",
    )
    table = read_one("zones", named)
    assert table.spec.name == "zone_designation"
    assert table.frame[["phase", "region", "year"]].values.tolist() == [
        [1, "42110", 2018],
        [3, "42110", 2023],
    ]
    far = write(
        tmp_path / "거리_2024.csv", "시군구코드,단계,지구까지거리_km\n51110,1단계,12.5\n52111,1단계,0\n"
    )
    table = read_one("zones", far)
    assert table.frame[["region", "phase", "zone_distance_km"]].values.tolist() == [
        ["42110", 1, 12.5],
        ["45111", 1, 0.0],
    ]
    with pytest.raises(SchemaError, match="지정고시 파일도 거리 파일도 아님"):
        read_source("zones", write(tmp_path / "x.csv", "단계\n1\n"))


def test_membership_and_prices(tmp_path):
    text = "name,sido,sigungu,code,status,common_event_year,provenance\nA,강원,원주시,51130,treated,2014,x\n"
    frame = read_one("membership", write(tmp_path / "m.csv", text)).frame
    assert frame[["region", "status", "adoption"]].values.tolist() == [["42130", "treated", 2014]]
    frame = read_one("deflator", write(tmp_path / "p.csv", "연도,지수(2020=100),비고\n2019,99.466,x\n")).frame
    assert frame[["year", "index"]].values.tolist() == [[2019, 99.466]]


# -- 성과조사 -----------------------------------------------------------------------------------------


def survey(path: Path, *, second: object = "1,200") -> Path:
    """One firm in two 과제 with the same sales and jobs; another with blanks; an MOU reported twice."""
    book = openpyxl.Workbook()
    page = book.active
    page.title = "과제현황"
    for row in [
        ["(단위: 백만원)"],
        [
            "과제번호",
            "과제명",
            "사업구분",
            "시도",
            "기업명",
            "사업자등록번호",
            "주관/참여",
            "협약기간",
            None,
            "국비",
        ],
        [None] * 7 + ["시작일", "종료일", None],
        ["P1", "가", "R&D", "부산", "가", number(1), "주관", "’19.03.", "’20.12.", "1,000"],
        ["P2", "나", "비R&D", "부산", "가", number(1), "참여", "2019-03-02", "2020-12-31", "-"],
        ["P2", "나", "비 R&D", "부산", "나", number(2), "주관", "2019-03-02", "2020-12-31", 5],
    ]:
        page.append(row)
    page.merge_cells("H2:I2")
    page = book.create_sheet("성과")
    for row in [
        ["(단위: 백만원, 명)"],
        [
            "과제번호",
            "기업명",
            "사업자등록번호",
            "총매출액",
            None,
            "종업원수",
            "신규고용",
            None,
            "사업화매출액",
        ],
        [None, None, None, "2018", "2019", "2019", "계", "정규직", None],
        ["P1", "가", number(1), 1000, 1200, 10, "2명", 1, "-"],
        ["P2", "가", number(1), 1000, second, 10, 2, 1, 0],
        ["P2", "나", number(2), None, None, None, "해당없음", "-", 7],
        ["합계", None, None, 2000, 2400, 20, 4, 2, 7],
    ]:
        page.append(row)
    page.merge_cells("D2:E2")
    page.merge_cells("G2:H2")
    page = book.create_sheet("기업유치")
    for row in [
        ["시도", "기업명", "사업자등록번호", "유치구분", "이전전소재지", "이전후소재지", "유치일"],
        ["부산", "다", number(3), "본사이전", "서울 강남구", "부산 해운대구", "’20.05."],
        ["부산", "라", None, "MOU", "-", "부산 남구", "2020-06-01"],
        ["부산", "라", None, "MOU", "-", "부산 남구", "2020.6.1"],
    ]:
        page.append(row)
    book.save(path)
    return path


def test_performance_survey(tmp_path):
    tables = {
        t.spec.name: t
        for t in read_source("performance_survey", survey(tmp_path / "성과조사_1단계.xlsx"), key=KEY)
    }
    assert list(tables) == [
        "performance_projects",
        "performance_outcomes",
        "performance_firm_years",
        "performance_attracted",
    ]
    projects = tables["performance_projects"].frame
    assert projects["phase"].tolist() == [1, 1, 1]
    assert projects["track"].tolist() == ["rnd", "non_rnd", "non_rnd"]
    assert projects["role"].tolist() == ["lead", "partner", "lead"]
    assert projects["national_grant_krw"].tolist() == [1e9, 0, 5e6]
    assert projects["agreement_start"].dt.strftime("%Y-%m-%d").tolist()[0] == "2019-03-01"
    assert projects["agreement_end"].dt.strftime("%Y-%m-%d").tolist() == ["2020-12-31"] * 3
    outcomes = tables["performance_outcomes"]
    assert outcomes.frame["new_jobs"].tolist() == [2, 2, 0]
    assert outcomes.frame["commercial_sales_million_krw"].tolist() == [0, 0, 7]
    once = deduplicate_firm_totals(outcomes)
    assert len(once.frame) == 2
    assert once.frame["new_jobs"].sum() == 2
    assert [(s.reason, s.rows) for s in once.flow][-2:] == [
        ("같은 기업이 여러 과제에 되풀이된 행", -1),
        ("기업(·연도) 행", 2),
    ]
    years = deduplicate_firm_totals(tables["performance_firm_years"])
    got = years.frame.set_index(["firm_id", "year"]).sort_index()
    first = hash_identifier(number(1), KEY)
    assert got.loc[(first, 2019), "total_sales_million_krw"] == 1200
    assert got.loc[(first, 2019), "employees"] == 10
    assert np.isnan(got.loc[(first, 2018), "employees"])
    moved = tables["performance_attracted"]
    assert moved.frame["kind"].tolist() == ["headquarters", "mou", "mou"]
    assert moved.frame["from_region"].fillna("").tolist() == ["11680", "", ""]
    assert len(deduplicate_attracted(moved).frame) == 2


def test_repeated_values_that_differ(tmp_path):
    tables = read_source("performance_survey", survey(tmp_path / "성과조사_1단계.xlsx", second=1300), key=KEY)
    table = next(t for t in tables if t.spec.name == "performance_firm_years")
    with pytest.raises(ValueProblem, match=r"시트 성과 > 5행.*총매출액.*4행 1200, 5행 1300"):
        deduplicate_firm_totals(table)
    for rule, value in (("largest", 1300.0), ("missing", np.nan)):
        done = deduplicate_firm_totals(table, conflict=rule)
        first = done.frame[
            (done.frame["firm_id"] == hash_identifier(number(1), KEY)) & (done.frame["year"] == 2019)
        ]
        np.testing.assert_equal(first["total_sales_million_krw"].tolist(), [value])
        assert any("과제 행마다 다른" in r.kind for r in done.repairs)


def test_phase_must_be_known(tmp_path):
    path = survey(tmp_path / "성과조사.xlsx")
    with pytest.raises(ValueProblem, match="몇 단계 자료인지"):
        read_source("performance_survey", path, key=KEY)
    tables = read_source("performance_survey", path, key=KEY, options={"phase": 3})
    assert set(tables[0].frame["phase"]) == {3}
    assert [phase_in_name(Path(n)) for n in ("a_2단계.xlsx", "phase3.xlsx", "2019.xlsx")] == [2, 3, None]


def test_phase_as_a_column(tmp_path):
    """One workbook of all phases: the column says it, and may not be blank."""
    path = survey(tmp_path / "성과조사_1단계.xlsx")
    book = openpyxl.load_workbook(path)
    page = book["기업유치"]
    for row, value in enumerate(["단계", "1단계", "2단계", 3], start=1):
        page.cell(row=row, column=8, value=value)
    book.save(path)
    tables = {t.spec.name: t.frame for t in read_source("performance_survey", path, key=KEY)}
    assert tables["performance_attracted"]["phase"].tolist() == [1, 2, 3]  # the column before the file's name
    assert tables["performance_projects"]["phase"].tolist() == [1, 1, 1]
    page.cell(row=3, column=8).value = None
    book.save(path)
    with pytest.raises(ValueProblem, match=r"시트 기업유치 > 3행 > 열 단계\] 단계가 비어 있음"):
        read_source("performance_survey", path, key=KEY)


# -- 시·군·구 패널 ------------------------------------------------------------------------------------


def panel(changes=()) -> pd.DataFrame:
    """Six units × five years with odd counts, totals that add up."""
    rows = []
    for i, code in enumerate(["26110", "26140", "26170", "26200", "26230", "51110"]):
        for year in range(2016, 2021):
            people = 10_001 * (1 + i) ** 2 + 2 * (year - 2016)
            rows.append((code, year, people, 101 + i, 301, 402 + i))
    frame = pd.DataFrame(
        rows, columns=["code", "year", "population", "nts_biz_corp", "nts_biz_indiv", "nts_biz_total"]
    )
    for change in changes:
        change(frame)
    return frame


def findings(tmp_path, frame):
    path = tmp_path / "panel_2016_2024.csv"
    frame.to_csv(path, index=False)
    table = read_one("region_panel", path)
    return {f.check: f for f in audit_table(table)}, table


def test_clean_panel(tmp_path):
    found, table = findings(tmp_path, panel())
    assert not found
    assert table.frame["region"].unique().tolist()[-1] == "42110"
    assert table.frame["sido_2018"].unique().tolist() == ["부산", "강원"]


def test_panel_total_that_does_not_add_up(tmp_path):
    frame = panel()
    frame.loc[3, "nts_biz_total"] += 5
    found, _ = findings(tmp_path, frame)
    (row,) = found["sums"].rows
    assert (row.source_row, row.variable, row.value, row.expected) == (5, "nts_biz_total", 407.0, 402.0)


def test_panel_with_a_city_and_its_districts(tmp_path):
    extra = panel()[lambda f: f["code"] == "26110"]
    frame = pd.concat([panel(), extra.assign(code="41110"), extra.assign(code="41111")])
    with pytest.raises(ValueProblem, match=r"시와 그 일반구의 행이 함께 있어 두 번 셈함: 41110"):
        findings(tmp_path, frame)


def test_panel_with_duplicates_and_wrong_codes(tmp_path):
    with pytest.raises(ValueProblem, match="code 26110, year 2016"):
        findings(tmp_path, pd.concat([panel(), panel().head(1)]))
    with pytest.raises(ValueProblem, match=r"27행 > 열 code.*42110.*2024년에 이미 없어진"):
        findings(tmp_path, panel().replace("51110", "42110"))


def test_reading_across_a_new_definition_is_refused():
    refuse_break("estab_census", 2010, 2015)
    refuse_break("population", 2010, 2024)
    with pytest.raises(RefusalError, match=r"estab_census.*2015년과 2020년 사이.*nps_members"):
        refuse_break("estab_census", 2015, 2020)


def test_registry():
    assert {
        "performance_survey",
        "employment_insurance",
        "national_pension",
        "firm_financials",
        "zones",
        "region_panel",
        "membership",
    } <= set(READERS)
    for name, spec in SPECS.items():
        assert spec.name == name
        assert spec.row_meaning
        assert len(spec.dictionary()) == len(spec.columns)
        assert all(c.meaning and c.aliases for c in spec.columns)


def test_a_workplace_written_twice_counts_its_workers_once(tmp_path: Path) -> None:
    path = tmp_path / "고용보험_20191231.csv"
    line = "한빛,부산광역시 동구 가온로 1,124-81-00998,5,26110,전자,2015-03-02\n"
    head = "사업장명,사업장주소,사업자등록번호,고용보험상시근로자수,고용업종코드,고용업종명,성립일자\n"
    path.write_text(head + line + line + line.replace(",5,", ",7,"), encoding="utf-8")
    (table,) = read_source("employment_insurance", path, key=b"k")
    assert table.frame["employees"].tolist() == [5, 7]
    assert [(s.reason, s.rows) for s in table.flow][-2] == ("모든 칸이 같은 행의 되풀이", -1)
    (kept,) = read_source("employment_insurance", path, key=b"k", options={"repeats": "keep"})
    assert kept.frame["employees"].tolist() == [5, 5, 7]
    with pytest.raises(ValueProblem, match="모든 칸이 같은 행"):
        read_source("employment_insurance", path, key=b"k", options={"repeats": "error"})
