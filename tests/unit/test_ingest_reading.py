"""A workbook as evaluators get it: merged headers, unit lines, subtotals, notes, text numbers; every repair is logged."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from evalkit.errors import SchemaError, ValueProblem
from evalkit.ingest import ColumnSpec, TableSpec, read_table
from evalkit.ingest.identifiers import business_check_digit, hash_identifier

KEY = b"test key"


def number(index: int) -> str:
    """A valid 사업자등록번호."""
    head = f"{100 + index:03d}81{index:04d}"
    return head + str(business_check_digit(head))


SPEC = TableSpec(
    name="messy",
    title="지원기업",
    row_meaning="과제에 든 기업",
    sheets=("지원기업",),
    key=("firm_id", "year"),
    columns=(
        ColumnSpec("sido", ("시도",), "text", "시·도", blank="above"),
        ColumnSpec("firm_name", ("기업명", "업체명"), "name", "기업 이름", nullable=False),
        ColumnSpec("firm_id", ("사업자등록번호",), "business_number", "기업", nullable=False),
        ColumnSpec("start", ("협약시작일",), "date", "협약 시작일"),
        ColumnSpec("grant_krw", ("지원금 국비", "국비"), "money", "국비", unit="원", dash="zero"),
        ColumnSpec(
            "jobs", ("신규고용 계", "신규고용"), "integer", "신규고용", unit="명", dash="zero", blank="zero"
        ),
        ColumnSpec(
            "sales", ("매출액", "총매출액"), "money", "총매출액", unit="백만원", by_year=True, minimum=-1e6
        ),
    ),
)


def messy(path: Path) -> Path:
    """Title, unit line, two header rows with merges, merged 시도, subtotals, a repeated header, a blank row, notes."""
    book = openpyxl.Workbook()
    cover = book.active
    cover.title = "표지"
    cover["A1"] = "2023년 성과조사"
    page = book.create_sheet("1. 지원기업")
    rows = [
        ["지원기업 현황"],
        [None] * 8 + ["(단위: 백만원, 명)"],
        [
            "시도",
            "기업명",
            "사업자\n등록번호",
            "협약\n시작일",
            "지원금",
            None,
            "신규고용(명)",
            "매출액",
            None,
        ],
        [None, None, None, None, "국비(천원)", "지방비(천원)", None, "2022", "2023년"],
        [
            "부산",
            "(주)가",
            f"{number(1)[:3]}-{number(1)[3:5]}-{number(1)[5:]}",
            "’23.11.",
            "1,234",
            5,
            "12명",
            "△1,234",
            10.5,
        ],
        [None, "나", int(number(2)), dt.date(2023, 5, 6), 2000, 5, "-", "(1,000)", "2천원"],
        ["소계", None, None, None, 3234, 10, 12, None, None],
        [
            "시도",
            "기업명",
            "사업자등록번호",
            "협약시작일",
            "국비(천원)",
            None,
            "신규고용(명)",
            "2022",
            "2023년",
        ],
        ["대구", "소계산업", number(3), 45000, "해당없음", 5, None, "-", None],
        [],
        ["합 계", None, None, None, 3234, 10, 12, None, None],
        ["※ 자료: 각 시·도"],
    ]
    for row in rows:
        page.append(row)
    for area in ("A3:A4", "B3:B4", "C3:C4", "D3:D4", "E3:F3", "G3:G4", "H3:I3", "A5:A6", "A1:I1"):
        page.merge_cells(area)
    book.save(path)
    return path


@pytest.fixture
def table(tmp_path):
    return read_table(messy(tmp_path / "성과조사.xlsx"), SPEC, key=KEY)


def test_values(table):
    frame = table.frame
    assert list(frame.columns) == [
        "source_row", "sido", "firm_name", "firm_id", "start", "grant_krw", "jobs", "year", "sales",
    ]  # fmt: skip
    assert frame["source_row"].tolist() == [5, 5, 6, 6, 9, 9]
    assert frame["sido"].tolist() == ["부산"] * 4 + ["대구"] * 2
    assert frame["firm_name"].tolist() == ["(주)가"] * 2 + ["나"] * 2 + ["소계산업"] * 2
    assert frame["firm_id"].tolist()[::2] == [hash_identifier(number(i), KEY) for i in (1, 2, 3)]
    # 45000 days after 1899-12-30
    assert frame["start"].dt.strftime("%Y-%m-%d").tolist()[::2] == ["2023-11-01", "2023-05-06", "2023-03-15"]
    assert frame["grant_krw"].tolist()[::2] == [1_234_000.0, 2_000_000.0, 0.0]
    assert frame["jobs"].tolist()[::2] == [12.0, 0.0, 0.0]
    assert frame["year"].tolist() == [2022, 2023] * 3
    np.testing.assert_array_equal(frame["sales"], [-1234.0, 10.5, -1000.0, 0.002, np.nan, np.nan])


def test_flow_counts_every_row(table):
    flow = [(step.reason, step.rows) for step in table.flow]
    assert flow == [
        ("머리글 아래에서 읽은 행", 8),
        ("빈 행", -1),
        ("머리글이 되풀이된 행", -1),
        ("소계·합계 행", -2),
        ("주석 행", -1),
        ("자료 행", 3),
        ("연도별로 펼친 행 (2022–2023, 2개 연도)", 6),
    ]
    read, *left, used, _ = [rows for _, rows in flow]
    assert read + sum(left) == used
    assert "7행" in next(step.example for step in table.flow if step.reason == "소계·합계 행")
    assert table.flow_table()["행 수"].sum() == 8 - 5 + 3 + 6


def test_every_repair_is_logged(table):
    log = {(r.column, r.kind): r for r in table.repairs}
    assert log["", "병합된 칸을 아래로 채움"].count == 1
    assert log["지원금 > 국비(천원)", "단위 환산 천원 → 원"].count == 2
    assert log["지원금 > 국비(천원)", "천 단위 쉼표 뺌"].before == "1,234"
    assert log["지원금 > 국비(천원)", "'-'·'해당없음' 등을 0(으)로 읽음"].row == 9
    assert log["신규고용(명)", "단위 글자 뺌"].before == "12명"
    assert log["신규고용(명)", "빈 칸을 0(으)로 읽음"].row == 9
    assert log["매출액 > 2022", "음수 표기(△·괄호) 읽음"].count == 2
    assert log["매출액 > 2023년", "단위 환산 천원 → 백만원"].before == "2천원"
    assert log["협약\n시작일", "날이 없는 날짜"].before == "’23.11."
    assert log["협약\n시작일", "엑셀 일련번호 날짜"].after == "2023-03-15"
    assert len(table.repair_table()) == len(table.repairs)


def test_identifiers_do_not_show(table):
    shown = table.repair_table().to_csv() + table.frame.to_csv() + table.flow_table().to_csv()
    for index in (1, 2, 3):
        assert number(index) not in shown.replace("-", "")


def test_provenance(table):
    assert table.sha256 == hashlib.sha256(table.source.read_bytes()).hexdigest()
    assert table.sheet == "1. 지원기업"
    assert table.notes["unused_columns"] == ("지원금 > 지방비(천원)",)
    with pytest.raises(AttributeError):
        table.sheet = "x"


def test_dictionary_names_every_column():
    dictionary = SPEC.dictionary()
    assert dictionary["열"].tolist() == [c.name for c in SPEC.columns]
    assert dictionary.set_index("열").loc["sales", "단위"] == "백만원"


def csv(path: Path, text: str, encoding: str = "utf-8-sig") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


SMALL = TableSpec(
    name="small",
    title="작은 표",
    row_meaning="행",
    columns=(
        ColumnSpec("name", ("이름",), "name", "이름", nullable=False),
        ColumnSpec("sales", ("매출액",), "money", "매출액", unit="백만원"),
    ),
)


@pytest.mark.parametrize(
    ("header", "above", "value"),
    [
        ("매출액(억원)", "", 1200.0),
        ("매출액 [단위: 천원]", "", 0.012),
        ("매출액", "(단위 : 천원)", 0.012),
        ("매출액(원)", "(단위: 억원)", 0.000012),
        ("매출액", "〈단위: 억 원〉", 1200.0),
    ],
)
def test_unit_of_money(tmp_path, header, above, value):
    path = csv(tmp_path / "a.csv", f"표 제목\n{above}\n이름,{header}\n가,12\n")
    assert read_table(path, SMALL).frame["sales"].tolist() == [value]


def test_unit_told_by_the_caller(tmp_path):
    path = csv(tmp_path / "a.csv", "이름,매출액\n가,12\n")
    assert read_table(path, SMALL, units_of={"sales": "억원"}).frame["sales"].tolist() == [1200.0]


def test_unit_row_under_the_header(tmp_path):
    path = csv(tmp_path / "a.csv", "이름,매출액\n,(억원)\n가,12\n")
    assert read_table(path, SMALL).frame["sales"].tolist() == [1200.0]


def test_conversion_rounds_once(tmp_path):
    path = csv(tmp_path / "a.csv", "이름,매출액(천원)\n가,1\n나,123456789\n")
    assert read_table(path, SMALL).frame["sales"].tolist() == [0.001, 123456.789]


def test_three_header_rows_and_apostrophe_years(tmp_path):
    text = "이름,기업 성과,,\n,매출액,,종업원수\n,'21,’22,\n가,1,2,3\n"
    spec = TableSpec(
        name="t",
        title="t",
        row_meaning="행",
        columns=(
            ColumnSpec("name", ("이름",), "name", "이름"),
            ColumnSpec("sales", ("매출액",), "money", "매출", unit="백만원", by_year=True),
            ColumnSpec("staff", ("종업원수",), "integer", "종업원"),
        ),
    )
    got = read_table(csv(tmp_path / "a.csv", text), spec, units_of={"sales": "백만원"}).frame
    assert got[["year", "sales", "staff"]].values.tolist() == [[2021, 1, 3], [2022, 2, 3]]


@pytest.mark.parametrize(
    "header", ["매출액 2018(백만원)", "2018년 매출액(백만원)", "매출액_2018 (백만원)", "’18 매출액(백만원)"]
)
def test_year_in_the_header(tmp_path, header):
    spec = TableSpec(
        name="t",
        title="t",
        row_meaning="행",
        columns=(
            ColumnSpec("name", ("이름",), "name", "이름"),
            ColumnSpec("sales", ("매출액",), "money", "매출", unit="백만원", by_year=True),
        ),
    )
    got = read_table(csv(tmp_path / "a.csv", f"이름,{header}\n가,1\n"), spec).frame
    assert got[["year", "sales"]].values.tolist() == [[2018, 1]]


def test_region_codes_of_their_own_year(tmp_path):
    spec = TableSpec(
        name="t",
        title="t",
        row_meaning="행",
        columns=(
            ColumnSpec("year", ("연도",), "year", "연도", nullable=False),
            ColumnSpec("region", ("지역",), "region", "지역", region_date="year"),
        ),
    )
    text = "연도,지역\n2022,42110\n2024,51110\n2024,5111010100\n2024,강원특별자치도 춘천시 동면\n2024,-\n"
    table = read_table(csv(tmp_path / "a.csv", text), spec)
    assert table.frame["region"].tolist()[:4] == ["42110"] * 4
    assert pd.isna(table.frame["region"].iloc[4])
    kinds = {r.kind: r.count for r in table.repairs}
    assert kinds["지역 코드를 2018년 기준으로 바꿈"] == 2
    assert kinds["주소에서 지역 코드를 정함"] == 1


def test_region_policies(tmp_path):
    spec = TableSpec(
        name="t", title="t", row_meaning="행", columns=(ColumnSpec("region", ("지역",), "region", "지역"),)
    )
    path = csv(tmp_path / "a.csv", "지역\n41195\n99999\n41110\n11110\n")  # 부천시 원미구 went in 2016
    with pytest.raises(ValueProblem, match=r"2행.*41195.*2016-07-04.*2곳 더"):
        read_table(path, spec, year=2022)
    table = read_table(path, spec, year=2022, invalid_region="missing")
    assert table.frame["region"].isna().tolist() == [True, True, True, False]
    table = read_table(path, spec, year=2022, invalid_region="follow")
    assert table.frame["region"].fillna("").tolist() == ["41190", "", "", "11110"]
    assert {r.kind: r.count for r in table.repairs} == {
        "이미 없어진 지역 코드를 그 뒤의 지역으로 읽음": 1,
        "읽을 수 없는 지역을 빈 값으로 둠": 2,
    }


def test_unlinked_identifiers(tmp_path):
    spec = TableSpec(
        name="t",
        title="t",
        row_meaning="행",
        columns=(
            ColumnSpec("order", ("순번",), "integer", "순번"),
            ColumnSpec("firm_id", ("사업자등록번호",), "business_number", "기업", nullable=True),
        ),
    )
    path = csv(tmp_path / "a.csv", f"순번,사업자등록번호\n1,{number(1)}\n2,1234567890\n3,미등록\n4,\n")
    table = read_table(path, spec, key=KEY, invalid_identifier="unlinked")
    ids = table.frame["firm_id"].tolist()
    assert ids[0] == hash_identifier(number(1), KEY)
    assert all(text.startswith("u-") for text in ids[1:])
    assert len(set(ids)) == 4
    assert sum(r.count for r in table.repairs) == 3
    assert all("1234567890" not in (r.before + r.after) for r in table.repairs)


def test_declaration_must_hold_together():
    column = ColumnSpec("a", ("가",), "text", "가")
    with pytest.raises(SchemaError, match="두 번"):
        TableSpec("t", "t", "행", (column, column))
    with pytest.raises(SchemaError, match="b"):
        TableSpec("t", "t", "행", (column,), key=("b",))
    with pytest.raises(SchemaError, match="'b'"):
        TableSpec("t", "t", "행", (column,)).column("b")
