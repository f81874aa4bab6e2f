"""Copies left in a folder, rows nobody sees in Excel, and options that no reader knows."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import openpyxl
import pytest

from evalkit.errors import FileError, PlanError, SchemaError, ValueProblem
from evalkit.ingest import SPECS, ColumnSpec, TableSpec, read_source, read_table
from evalkit.ingest.identifiers import business_check_digit, normalise_number
from evalkit.ingest.sources.performance_survey import phase_in_name

KEY = b"test key"
INSURED = "사업장명,사업자등록번호,사업장주소,상시근로자수\n"
FINANCIAL = "사업자등록번호,결산연도,매출액(천원),본사주소\n"


def number(index: int) -> str:
    head = f"{100 + index:03d}81{index:04d}"
    return head + str(business_check_digit(head))


def insured(firms: range) -> str:
    return INSURED + "".join(f"기업{i},{number(i)},부산 중구,{10 + i}\n" for i in firms)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_copied_file_is_not_counted_twice(tmp_path):
    first = write(tmp_path / "가입_20191231.csv", insured(range(9)))
    copy = write(tmp_path / "가입_20191231 (1).csv", insured(range(9)))
    with pytest.raises(FileError, match=r"가입_20191231.*내용이 똑같은 파일임") as caught:
        read_source("employment_insurance", [first, copy], key=KEY)
    assert caught.value.exit_code == 3
    again = write(copy, insured(range(9)), "cp949")  # saved once more: other bytes, the same rows
    with pytest.raises(FileError, match=r"행의 100%가 파일 .* 에도 그대로 있음"):
        read_source("employment_insurance", [first, again], key=KEY)


def test_a_year_in_two_parts_is_read(tmp_path):
    parts = [
        write(tmp_path / "부산_20191231.csv", insured(range(9))),
        write(tmp_path / "대구_20191231.csv", insured(range(9, 18))),
        write(tmp_path / "부산_20201231.csv", insured(range(9)) + "\n"),  # unchanged a year later
    ]
    tables = read_source("employment_insurance", parts, key=KEY)
    assert [len(table.frame) for table in tables] == [9, 9, 9]


def test_overlapping_years_of_two_files(tmp_path):
    early = FINANCIAL + "".join(f"{number(1)},{y},{y},부산 중구\n" for y in (2018, 2019))
    late = FINANCIAL + "".join(f"{number(1)},{y},7,부산 중구\n" for y in (2019, 2020))
    paths = [write(tmp_path / "가.csv", early), write(tmp_path / "나.csv", late)]
    with pytest.raises(
        ValueProblem, match=r"\[나.csv > 2행\] 파일 가.csv 에도 있는 열쇠\(사업자등록번호·결산연도\)"
    ):
        read_source("firm_financials", paths, key=KEY)
    write(paths[1], late.replace(",2019,", ",2021,"))
    assert sum(len(table.frame) for table in read_source("firm_financials", paths, key=KEY)) == 4


def test_two_price_indices(tmp_path):
    paths = [
        write(tmp_path / f"{n}.csv", f"연도,지수\n2019,{v}\n2020,100\n") for n, v in (("가", 99), ("나", 98))
    ]
    with pytest.raises(ValueProblem, match=r"에도 있는 열쇠\(연도\)임 \(모두 2행\)"):
        read_source("deflator", paths, key=KEY)


def test_options_are_checked_before_a_file_is_read(tmp_path):
    path = write(tmp_path / "가입_20191231.csv", insured(range(2)))
    with pytest.raises(PlanError, match=r"모르는 옵션 'invalid_identifer'.*비슷한 이름: invalid_identifier"):
        read_source("employment_insurance", path, key=KEY, options={"invalid_identifer": "unlinked"})
    with pytest.raises(
        PlanError,
        match=r"쓸 수 없는 값 'unlinkd'\. → 쓸 수 있는 값: error, unlinked",
    ):
        read_source("employment_insurance", path, key=KEY, options={"invalid_identifier": "unlinkd"})
    wrong = write(path, insured(range(2)).replace(number(0), "1248100999"))
    with pytest.raises(ValueProblem, match="자릿수나 검증번호가 틀림"):
        read_source("employment_insurance", wrong, key=KEY)
    (table,) = read_source("employment_insurance", wrong, key=KEY, options={"invalid_identifier": "unlinked"})
    assert table.frame["firm_id"].str.startswith("u-").tolist() == [True, False]


SPEC = TableSpec(
    name="firms",
    title="기업",
    row_meaning="기업",
    sheets=("기업",),
    columns=(
        ColumnSpec("firm_id", ("사업자등록번호",), "business_number", "기업", nullable=False),
        ColumnSpec("staff", ("종업원수",), "integer", "종업원 수", unit="명"),
    ),
)


def test_hidden_rows_and_sheets_are_read_and_counted(tmp_path):
    book = openpyxl.Workbook()
    page = book.create_sheet("기업")
    for row in (["사업자등록번호", "종업원수"], [number(1), "１２"], [number(2), 3], [number(3), 4]):
        page.append(row)
    for row in (2, 4):
        page.row_dimensions[row].hidden = True
    path = tmp_path / "기업.xlsx"
    book.save(path)
    table = read_table(path, SPEC, key=KEY)
    assert table.frame["staff"].tolist() == [12, 3, 4]
    found = {r.kind: (r.row, r.count) for r in table.repairs}
    assert found["숨긴 행도 읽음"] == (2, 2)
    assert found["전각·특수 글자 읽음"] == (2, 1)  # wide digits are a repair like any other
    assert "숨긴 시트를 읽음" not in found
    page.sheet_state = "hidden"
    book.save(path)
    found = {r.kind: (r.row, r.count) for r in read_table(path, SPEC, key=KEY).repairs}
    assert found["숨긴 시트를 읽음"] == (2, 3)


def test_wide_digits_of_a_business_number_link(tmp_path):
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number(5))
    assert normalise_number(wide) == number(5)
    rows = f"사업자등록번호,종업원수\n{number(5)},1\n{wide},2\n"
    table = read_table(write(tmp_path / "기업.csv", rows), SPEC, key=KEY)
    assert table.frame["firm_id"].nunique() == 1
    assert [(r.kind, r.row) for r in table.repairs] == [("전각·특수 글자 읽음", 3)]


def test_a_single_sheet_is_not_taken_for_the_outcomes(tmp_path):
    text = io.StringIO()
    csv.writer(text).writerows(
        [
            ["과제번호", "사업구분", "기업명", "사업자등록번호", "협약시작일", "국비(천원)"],
            ["P-1", "R&D", "가", number(1), "2019-03-01", 10],
        ]
    )
    path = write(tmp_path / "성과조사_1단계.xlsx", text.getvalue(), "cp949")
    with pytest.raises(
        SchemaError, match=r"성과 표에 성과가 하나도 없음\. → 과제현황·성과·기업유치 시트가 모두"
    ):
        read_source("performance_survey", path, key=KEY)


def test_a_phase_in_a_name_that_came_from_a_mac():
    import unicodedata

    assert phase_in_name(Path(unicodedata.normalize("NFD", "성과조사_1단계.xlsx"))) == 1


def test_a_place_that_was_divided_before(tmp_path):
    path = write(tmp_path / "가입_20191231.csv", INSURED + f"가,{number(1)},충청북도 청원군 오창읍,3\n")
    with pytest.raises(
        ValueProblem, match=r"2행 > 열 사업장주소\] 주소 '충청북도 청원군' 의 시·군·구가 그 시점에 없고"
    ):
        read_source("employment_insurance", path, key=KEY)


def test_the_guide_names_every_column_that_a_file_must_have():
    """data/raw/README.md: the row of a folder has, for each required column, one of the headers that are read."""
    guide = (Path(__file__).resolve().parents[2] / "data" / "raw" / "README.md").read_text(encoding="utf-8")
    folders = {
        "성과조사": ("performance_projects", "performance_outcomes", "performance_attracted"),
        "고용보험": ("employment_insurance",),
        "재무": ("firm_financials",),
        "지정고시": ("zone_designation", "zone_distance"),
        "물가": ("deflator",),
        "국민연금": ("national_pension",),
    }
    for folder, tables in folders.items():
        (row,) = [line for line in guide.splitlines() if line.startswith(f"| `{folder}/`")]
        told = {word.strip() for word in re.split(r"[,·:|]", row)}
        for column in (c for table in tables for c in SPECS[table].columns if c.required):
            assert told & {*column.aliases}, (folder, column.name, column.aliases)
