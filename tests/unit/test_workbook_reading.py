"""Reading as a mapping says: what it adds to the declarations, and every way in which it and the workbook may disagree."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from workbook_truth import hashed, number_with_check_digit

from evalkit.errors import DataError, EvalkitError, PlanError, SchemaError, UsageError, ValueProblem
from evalkit.ingest import read_source, read_table
from evalkit.ingest.sources import SPECS, check_options
from evalkit.ingest.workbook.checking import check_mapping
from evalkit.ingest.workbook.guessing import guess
from evalkit.ingest.workbook.mapped import read_mapped

KEY = b"key of the layouts"
FIRMS = [number_with_check_digit(f"{401 + n}81{7000 + n}") for n in range(3)]
HEAD = ["고유번호", "수행처", "번호", "종류", "시작", "끝", "국고", "구분", "구분"]
ROWS = [
    ["P-1", "한빛", FIRMS[0], "R&D", "2019-01-02", "2020-12-31", "1,200", "총괄", "신규"],
    ["", "두레", FIRMS[1], "기술개발", "2019.2.", "2020-12-31", "-", "참여", "계속"],
    ["P-2", "세움", FIRMS[2], "비R&D", "2020-03-04", "2021-06-30", "70", "기타", "신규"],
]
MAPPING = """\
schema_version: 1
tables:
  - table: performance_projects
    columns:
      고유번호: {column: project_id, blank: above}
      수행처: firm_name
      번호: firm_id
      종류: {column: track, categories: {기술개발: rnd}}
      시작: agreement_start
      끝: agreement_end
      국고: {column: national_grant_krw, unit: 천원, dash: missing}
      구분 @H: {column: role, categories: {총괄: lead, 기타: missing}}
"""


def workbook(folder: Path, *sheets: tuple[str, list[list[Any]]], name: str = "결과_1단계.xlsx") -> Path:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    path = folder / name
    book.save(path)
    return path


def plain(folder: Path, *above: list[Any]) -> Path:
    return workbook(folder, ("현황", [*above, HEAD, *ROWS]))


def told(folder: Path, text: str = MAPPING, name: str = "결과_1단계.map.yml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def changed(old: str, new: str) -> str:
    assert MAPPING.count(old) == 1
    return MAPPING.replace(old, new)


def test_a_mapping_reads_what_no_declaration_knows(tmp_path: Path) -> None:
    (table,) = read_mapped(plain(tmp_path, ["국가혁신클러스터 과제"]), told(tmp_path), key=KEY)
    frame = table.frame
    assert frame["project_id"].tolist() == ["P-1", "P-1", "P-2"]
    assert frame["firm_id"].tolist() == [hashed(number) for number in FIRMS]
    assert frame["track"].tolist() == ["rnd", "rnd", "non_rnd"]
    assert frame["role"].fillna("-").tolist() == ["lead", "partner", "-"]
    assert frame["national_grant_krw"].fillna(-1).tolist() == [1_200_000, -1, 70_000]
    assert frame["agreement_start"].dt.date.tolist() == [
        dt.date(2019, 1, 2),
        dt.date(2019, 2, 1),
        dt.date(2020, 3, 4),
    ]
    assert frame["source_row"].tolist() == [3, 4, 5]
    kinds = {repair.kind for repair in table.repairs}
    assert {"빈 칸을 위의 값으로 채움", "단위 환산 천원 → 원", "날이 없는 날짜"} <= kinds
    assert (table.notes["mapping"], len(table.notes["mapping_sha256"])) == ("결과_1단계.map.yml", 64)
    assert table.notes["unused_columns"] == ("구분",)
    assert table.flow[-1].rows == 3


def test_the_survey_reads_by_a_mapping_or_a_folder_of_them(tmp_path: Path) -> None:
    path = plain(tmp_path)
    for mapping in (told(tmp_path), tmp_path):
        (table,) = read_source("performance_survey", path, key=KEY, options={"mapping": str(mapping)})
        assert table.frame["phase"].tolist() == [1, 1, 1]  # of the file's name
    other = told(tmp_path, "workbook: 기관A.xlsx\n" + MAPPING, "기관A.map.yml")
    with pytest.raises(SchemaError, match="모두 track"):  # no mapping is for it: the declared reader
        read_source("performance_survey", path, key=KEY, options={"mapping": str(other)})
    check_options("performance_survey", {"mapping": "x"})
    with pytest.raises(PlanError, match="mapping"):
        check_options("performance_survey", {"maping": "x"})


def test_words_are_given_a_code_or_a_word_that_is_known(tmp_path: Path) -> None:
    frames = []
    for target in ("rnd", "R&D"):
        text = changed("기술개발: rnd", f"기술개발: {target}")
        (table,) = read_mapped(plain(tmp_path), told(tmp_path, text), key=KEY)
        frames.append(table.frame["track"].tolist())
    assert frames == [["rnd", "rnd", "non_rnd"]] * 2
    with pytest.raises(ValueProblem, match=r"모르는 구분 '기술개발'.*열 대응 파일의 그 열에 categories"):
        read_mapped(plain(tmp_path), told(tmp_path, changed(", categories: {기술개발: rnd}", "")), key=KEY)
    with pytest.raises(UsageError, match=r"없는 값 'R%D'.*→ 비슷한 이름: "):
        read_mapped(plain(tmp_path), told(tmp_path, changed("기술개발: rnd", "기술개발: R%D")), key=KEY)


def test_constants_are_read_like_cells(tmp_path: Path) -> None:
    text = changed(
        "    columns:\n", "    constants: {phase: 1단계, industry: 26110, local_grant_krw: 5}\n    columns:\n"
    )
    with pytest.raises(
        UsageError, match=r"4행 .*금액 열 local_grant_krw 을\(를\) 모든 행에 같은 값으로 둘 수 없음"
    ):
        read_mapped(plain(tmp_path), told(tmp_path, text), key=KEY)
    (table,) = read_mapped(plain(tmp_path), told(tmp_path, text.replace(", local_grant_krw: 5", "")), key=KEY)
    assert table.frame["industry"].tolist() == ["26110"] * 3
    assert table.frame["phase"].tolist() == ["1"] * 3
    assert [(r.column, r.after, r.count) for r in table.repairs if r.kind == "모든 행에 같은 값을 넣음"] == [
        ("phase", "1단계", 3), ("industry", "26110", 3)
    ]  # fmt: skip


def test_one_unit_for_the_amounts_of_a_table(tmp_path: Path) -> None:
    text = changed("    columns:\n", "    unit: 백만원\n    columns:\n").replace(", unit: 천원", "")
    (table,) = read_mapped(plain(tmp_path), told(tmp_path, text), key=KEY)
    assert table.frame["national_grant_krw"].iloc[0] == 1_200_000_000
    assert not [r for r in table.repairs if "다른" in r.kind]
    text = text.replace("unit: 백만원\n", "unit: 백만원\n    unit_in_file: wrong\n")
    (table,) = read_mapped(plain(tmp_path, ["(단위: 천원)"]), told(tmp_path, text), key=KEY)
    (repair,) = [r for r in table.repairs if "파일에 적힌 단위와 다른" in r.kind]
    assert (repair.column, repair.before, repair.after) == ("국고", "천원", "백만원")


def test_units_that_nobody_knows_or_tells(tmp_path: Path) -> None:
    without = changed(", unit: 천원", "")
    with pytest.raises(ValueProblem, match="금액 열의 단위를 알 수 없음"):
        read_mapped(plain(tmp_path), told(tmp_path, without), key=KEY)
    rows = [[*HEAD[:6], "국고(백만불)", *HEAD[7:]], *ROWS]
    path = workbook(tmp_path, ("현황", rows))
    foreign = without.replace("국고:", "국고(백만불):")
    with pytest.raises(
        ValueProblem,
        match=r"모르는 단위 '백만불'. → 결과_1단계\.map\.yml 의 이 머리글에 unit 을 적을 것 \(기준 단위: 원\)",
    ):
        read_mapped(path, told(tmp_path, foreign), key=KEY)


def test_years_stand_in_headers_or_in_the_mapping(tmp_path: Path) -> None:
    rows = [["고유번호", "번호", "매출 전년", "매출 2020"], ["P-1", FIRMS[0], 10, 20]]
    text = """\
schema_version: 1
tables:
  - table: performance_firm_years
    unit: 억원
    columns:
      고유번호: project_id
      번호: firm_id
      매출 전년: {column: total_sales_million_krw, year: 2019}
      매출 2020: total_sales_million_krw
"""
    path = workbook(tmp_path, ("현황", rows))
    (table,) = read_mapped(path, told(tmp_path, text), key=KEY)
    assert table.frame[["year", "total_sales_million_krw"]].to_numpy().tolist() == [
        [2019, 1000],
        [2020, 2000],
    ]
    with pytest.raises(SchemaError, match=r"모두 열 total_sales_million_krw\(2020년\) \(으\)로 읽으라고 함"):
        read_mapped(path, told(tmp_path, text.replace("2019", "2020")), key=KEY)


DISAGREEMENTS: list[tuple[str, str, str]] = [
    ("      수행처:", "      수행기관:", r"결과_1단계\.xlsx > 시트 현황 > 1행 > 결과_1단계\.map\.yml > 6행\] 머리글 '수행기관' 이\(가\) 시트에 없음. → 머리글을 시트에 적힌 대로 고칠 것"),
    ("구분 @H", "구분", r"머리글 '구분' 이\(가\) H열과 I열에 다 있음. → '구분 @H' 처럼 열을 붙여 적을 것"),
    ("구분 @H", "구분 @G", r"12행\] 머리글 '구분' 이\(가\) G열에 없음: 그 열의 머리글은 '국고' 임. → 열의 글자나 머리글을 고칠 것"),
    ("구분 @H", "구분 @Z", r"머리글 '구분' 이\(가\) Z열에 없음: 그 열의 머리글은 비어 있음"),
    ("    columns:\n", "    sheet: 현항\n    columns:\n", r"시트 '현항' 이\(가\) 없음. → 있는 시트 가운데 고를 것 \(있는 시트: '현황'\)"),
    ("    columns:\n", "    header_rows: 9\n    columns:\n", r"4행\] 머리글이 9행에 있다고 적었으나 표는 4행까지임. → header_rows 를 고치거나 지울 것 \(지우면 찾음\)"),
    ("    columns:\n", "    header_rows: 2-3\n    columns:\n", r"머리글이 1행으로 옮겨 감: header_rows 를 고치거나 지울 것"),
    ("schema_version: 1\n", "schema_version: 1\nworkbook: 다른*.xlsx\n", r"결과_1단계\.map\.yml > 2행\] 다른\*\.xlsx 의 열 대응 파일로 결과_1단계\.xlsx 을\(를\) 읽으려 함. → 이 파일에도 맞으면 workbook 을"),
    ("    columns:\n", "    constants: {phase: 2}\n    columns:\n", r"4행\] 파일 이름은 1단계인데 모든 행의 phase 를 '2' \(으\)로 읽으라고 함. → phase 줄을 지울 것"),
    ("번호: firm_id", "번호: sido", r"꼭 필요한 열 firm_id"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), DISAGREEMENTS)
def test_the_mapping_and_the_workbook_disagree(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = (
        MAPPING.replace("\n      번호: firm_id", "\n      번호: sido") if "sido" in new else changed(old, new)
    )
    with pytest.raises(EvalkitError, match=sentence):
        read_mapped(plain(tmp_path), told(tmp_path, text), key=KEY)


def test_a_name_with_brackets_is_its_own_pattern(tmp_path: Path) -> None:
    path = workbook(tmp_path, ("현황", [HEAD, *ROWS]), name="결과[최종].xlsx")
    text = changed("schema_version: 1\n", "schema_version: 1\nworkbook: ['결과[최종].xlsx', 없음.xlsx]\n")
    assert len(read_mapped(path, told(tmp_path, text), key=KEY)[0].frame) == 3


def test_several_sheets_need_a_name_and_a_single_one_does_not(tmp_path: Path) -> None:
    path = workbook(tmp_path, ("현황", [HEAD, *ROWS]), ("둘째", [["아무"], ["것"]]))
    with pytest.raises(
        SchemaError,
        match=r"시트가 2개인데 performance_projects 표가 어느 시트에 있는지 적지 않음. → sheet 를 적을 것 \(있는 시트: '현황', '둘째'\)",
    ):
        read_mapped(path, told(tmp_path), key=KEY)
    csv = tmp_path / "결과_1단계.csv"
    csv.write_text("\n".join("\t".join(row) for row in [HEAD, *ROWS]), encoding="utf-8")
    text = changed("    columns:\n", "    sheet: 현황\n    columns:\n")
    assert len(read_mapped(csv, told(tmp_path, text), key=KEY)[0].frame) == 3


def test_options_that_a_mapping_says_better(tmp_path: Path) -> None:
    path, mapping = plain(tmp_path), told(tmp_path)
    for options, word in (
        ({"sheet": "현황"}, "sheet 를"),
        ({"units_of": {"national_grant_krw": "원"}}, "unit 을"),
    ):
        with pytest.raises(UsageError, match=f"함께 쓸 수 없는 옵션.*열 대응 파일에 {word} 적을 것"):
            read_source("performance_survey", path, key=KEY, options={"mapping": mapping, **options})
        with pytest.raises(UsageError, match="함께 쓸 수 없는 옵션"):
            read_table(path, SPECS["performance_projects"], key=KEY, mapping=mapping, **options)  # type: ignore[arg-type]


def test_the_mapping_must_name_the_table_once(tmp_path: Path) -> None:
    path = plain(tmp_path)
    with pytest.raises(
        SchemaError, match=r"열 대응 파일에 deflator 표가 없음 \(있는 표: performance_projects\)"
    ):
        read_table(path, SPECS["deflator"], mapping=told(tmp_path))
    twice = MAPPING + MAPPING.split("tables:\n")[1]
    with pytest.raises(
        SchemaError, match=r"13행\] 과제현황 표\(performance_projects\)가 열 대응 파일에 2번 있음"
    ):
        read_table(path, SPECS["performance_projects"], key=KEY, mapping=told(tmp_path, twice))


def test_region_codes_are_of_the_year_that_is_told_or_of_the_name(tmp_path: Path) -> None:
    head, rows = (
        ["상호", "번호", "코드", "상시인원"],
        [["한빛", FIRMS[0], "28170", "7"]],
    )  # 인천 남구 until 2018-07
    text = """\
schema_version: 1
tables:
  - table: employment_insurance
    columns: {상호: firm_name, 번호: firm_id, 코드: region, 상시인원: employees}
"""
    path = workbook(tmp_path, ("현황", [head, *rows]), name="고용보험_20171231.xlsx")
    (table,) = read_mapped(path, told(tmp_path, text), key=KEY)
    assert table.frame["region"].tolist() == ["28177"]  # 미추홀구 on the boundaries of 2018
    with pytest.raises(ValueProblem, match="28170"):
        read_mapped(
            path,
            told(tmp_path, text.replace("    columns", "    region_year: 2020-06\n    columns")),
            key=KEY,
        )
    nameless = workbook(tmp_path, ("현황", [head, *rows]), name="고용보험.xlsx")
    with pytest.raises(ValueProblem, match="지역 코드의 기준 연도를 알 수 없음"):
        read_mapped(nameless, told(tmp_path, text), key=KEY)
    (again,) = read_mapped(nameless, told(tmp_path, text), key=KEY, year=2017)
    assert again.frame["region"].tolist() == ["28177"]


def test_two_tables_on_one_sheet_are_parts_of_it(tmp_path: Path) -> None:
    rows = [
        ["연도", "지수", None, "해", "값"],
        [2019, 99.5, None, 2021, 102.5],
        [2020, 100, None, 2022, 107.7],
        ["해", "값", None, None, None],
        [2023, 111.6, None, None, None],
    ]
    path = workbook(tmp_path, ("물가", rows))
    text = """\
schema_version: 1
tables:
  - {table: deflator, rows: 1-3, cols: A-B, columns: {연도: year, 지수: index}}
  - {table: deflator, cols: "D:E", columns: {해: year, 값: index}}
  - {table: deflator, rows: 4-, columns: {해: year, 값: index}}
"""
    tables = read_mapped(path, told(tmp_path, text), key=KEY)
    found = [table.frame[["year", "index", "source_row"]].to_numpy().tolist() for table in tables]
    assert found == [
        [[2019, 99.5, 2], [2020, 100, 3]],
        [[2021, 102.5, 2], [2022, 107.7, 3]],
        [[2023, 111.6, 5]],
    ]


YEARLY = """\
schema_version: 1
tables:
  - table: performance_firm_years
    constants: {phase: 1}
    columns:
      과제번호: project_id
      번호: firm_id
      총매출(억원) > ’18: {column: total_sales_million_krw}
"""


def yearly(folder: Path) -> Path:
    head = [["과제번호", "번호", "총매출(억원)"], ["", "", "’18"]]
    return workbook(folder, ("성과", [*head, ["P-1", FIRMS[0], "12"]]))


def test_a_year_that_contradicts_the_header_is_refused(tmp_path: Path) -> None:
    book = yearly(tmp_path)
    text = YEARLY.replace("krw}", "krw, year: 2019}")
    with pytest.raises(SchemaError) as caught:
        read_mapped(book, told(tmp_path, text), key=KEY)
    sentence = caught.value.sentence()
    assert "8행" in sentence
    assert "2018년인데 2019년으로 읽으라고 함" in sentence
    assert "year 를 2018 (으)로 고치거나 지울 것" in sentence
    (check,) = check_mapping(book, told(tmp_path, text))
    assert check.fault is not None
    (table,) = read_mapped(book, told(tmp_path, text.replace("2019", "2018")), key=KEY)
    assert (table.frame["year"].tolist(), table.frame["total_sales_million_krw"].tolist()) == ([2018], [1200])


@pytest.mark.parametrize("where", ["column", "table", "above"])
def test_a_unit_that_contradicts_the_file_needs_a_word(tmp_path: Path, where: str) -> None:
    book, text = yearly(tmp_path), YEARLY.replace("krw}", "krw, unit: 천원}")
    word = text.replace("unit: 천원", "unit: 천원, unit_in_file: wrong")
    if where != "column":
        rows = [["(단위: 억원)"], ["과제번호", "번호", "총매출 2018"], ["P-1", FIRMS[0], "12"]]
        book = workbook(tmp_path, ("성과", rows))
        text, word = (t.replace("총매출(억원) > ’18", "총매출 2018") for t in (text, word))
    if where == "table":
        at, end = "    constants", "    unit: 천원\n    constants"
        text = text.replace(", unit: 천원", "").replace(at, end)
        word = text.replace(end, "    unit: 천원\n    unit_in_file: wrong\n    constants")
    with pytest.raises(SchemaError) as caught:
        read_mapped(book, told(tmp_path, text), key=KEY)
    assert "파일에 억원 (으)로 적혀 있는데 천원 (으)로 읽으라고 함" in caught.value.sentence()
    assert "unit_in_file: wrong" in caught.value.sentence()
    (check,) = check_mapping(book, told(tmp_path, text))
    assert check.fault is not None
    (table,) = read_mapped(book, told(tmp_path, word), key=KEY)
    assert table.frame["total_sales_million_krw"].tolist() == [0.012]
    assert [r.before for r in table.repairs if "열 대응 파일의 단위" in r.kind] == ["억원"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_mark_that_cuts_lines_alike(tmp_path: Path, separator: str) -> None:
    """Amounts and addresses hold more commas than there are separators."""
    lines = [
        ["기업", "금액(원)", "주소"],
        *([f"한빛{n}", "1,234,567", "부산 해운대구, 우동, 1, 2층"] for n in range(9)),
    ]
    text = "\n".join(separator.join(f'"{c}"' if separator == "," else c for c in line) for line in lines)
    path = tmp_path / "자료.csv"
    path.write_text(text, encoding="utf-8")
    assert guess(path).left  # read without a fault, whatever it is
    from evalkit.ingest.files import read_raw

    assert read_raw(path).sheets[0].cells.shape == (10, 3)


def test_a_check_tells_all_tables_and_what_is_left(tmp_path: Path) -> None:
    text = MAPPING + MAPPING.split("tables:\n")[1].replace("수행처", "수행인").replace(
        "table: performance_projects", "table: performance_projects"
    )
    checks = check_mapping(plain(tmp_path), told(tmp_path, text))
    assert [check.fault is None for check in checks] == [True, False]
    assert isinstance(checks[1].fault, DataError)
    first = checks[0]
    assert (first.rows_read, first.rows_used, first.header_rows) == (3, 3, (1, 1))
    assert first.unmapped == ("구분 (I열)",)
    assert "sido" in [column.name for column in first.absent]
    assert "phase" not in [column.name for column in first.absent]
    path = workbook(tmp_path, ("현황", [HEAD, *ROWS]), name="결과.xlsx")
    (check,) = check_mapping(path, told(tmp_path, MAPPING + '    leave: ["구분 @I"]\n'))
    assert check.unmapped == ()
    assert check.fault is not None
    assert "몇 단계 자료인지 알 수 없음" in check.fault.sentence()
