"""Mapping files: every fault is one sentence with the line and what is expected; a question is never passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit import strict_yaml
from evalkit.errors import FileError, UsageError
from evalkit.ingest.sources import SPECS
from evalkit.ingest.workbook.location import mapping_files, mapping_for, mapping_of
from evalkit.ingest.workbook.mapping import mapping_faults, read_mapping
from evalkit.ingest.workbook.model import (
    column_letters,
    column_number,
    header_and_place,
    mapping_schema,
    span_of_columns,
    span_of_rows,
)

PROJECT = Path(__file__).resolve().parents[2]
GOOD = """\
schema_version: 1
workbook: 성과조사_1단계.xlsx
tables:
  - table: performance_outcomes
    sheet: 성과
    header_rows: 3-4
    constants: {phase: 1}
    columns:
      과제번호: project_id
      기업명: firm_name
      사업자등록번호: firm_id
      신규고용 > 계: {column: new_jobs, dash: zero}
      사업화매출액 > 계: {column: commercial_sales_million_krw, unit: 백만원}
    leave: [연번, 비고]
leave_sheets: [표지]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "기관A.map.yml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_mapping_says_what_it_says(tmp_path: Path) -> None:
    told = read_mapping(written(tmp_path, GOOD))
    (table,) = told.model.tables
    assert (table.table, table.sheet, table.header_rows) == ("performance_outcomes", "성과", "3-4")
    assert table.columns["과제번호"].column == "project_id"
    assert table.columns["신규고용 > 계"].dash == "zero"
    assert table.constants == {"phase": "1"}
    assert (table.leave, told.model.leave_sheets) == (("연번", "비고"), ("표지",))
    assert told.where("tables", 0, "columns", "사업자등록번호") == ("기관A.map.yml", "11행")
    assert len(told.sha256) == 64


FAULTS = [
    ("schema_version: 1\n", "", "꼭 필요한 키 'schema_version' 이(가) 없음. → 첫 줄에 schema_version: 1 을 적을 것."),
    ("schema_version: 1\n", "schema_version: 2\n", "[기관A.map.yml > 1행] schema_version 에 쓸 수 없는 값 '2'. → 쓸 수 있는 이름: 1."),
    ("workbook: ", "workbok: ", "[기관A.map.yml > 2행] 모르는 키 'workbok'. → 비슷한 이름: workbook."),
    ("    sheet: 성과\n", "    shet: 성과\n", "[기관A.map.yml > 5행 > performance_outcomes] 모르는 키 'shet'. → 비슷한 이름: sheet."),
    ("dash: zero", "dahs: zero", "[기관A.map.yml > 12행 > performance_outcomes > columns > 신규고용 > 계] 모르는 키 'dahs'. → 비슷한 이름: dash."),
    ("dash: zero", "dash: nought", "dash 에 쓸 수 없는 값 'nought'"),
    ("dash: zero", "dash: above", "'-' 를 위의 값으로 읽을 수는 없음 (blank 에만 above 를 쓸 수 있음). → dash 을(를) 고칠 것."),
    ("dash: zero", 'blank: "???"', "[기관A.map.yml > 12행 > performance_outcomes > columns > 신규고용 > 계] blank 을(를) 아직 정하지 않음 (???). → 쓸 수 있는 값: missing, zero, above."),
    ("dash: zero", "year: 지난해", "year 의 값 '지난해' 이(가) 맞지 않음. → 정수를 적을 것."),
    ("dash: zero", "year: 1889", "year 의 값 '1889' 이(가) 맞지 않음. → 1990 이상의 연도를 적을 것."),
    ("dash: zero", "year: 2019", "열 new_jobs(신규고용(스스로 적은 수))은(는) 해마다 있는 열이 아닌데 year 를 적음. → year 를 지울 것."),
    ("dash: zero", "categories: {하나: 1}", "열 new_jobs(신규고용(스스로 적은 수))은(는) 구분 열이 아닌데 categories 를 적음. → categories 를 지울 것."),
    ("dash: zero", "unit_in_file: wrong", "unit_in_file 을 적었으나 unit 이 없음. → 값의 단위를 unit 에 적을 것."),
    ("dash: zero", "unit_in_file: right", "unit_in_file 에 쓸 수 없는 값 'right'"),
    ("dash: zero", "unit: 억원", "[기관A.map.yml > 12행 > performance_outcomes > 신규고용 > 계] 열 new_jobs(신규고용(스스로 적은 수))에 쓸 수 없는 단위 '억원'. → 쓸 수 있는 단위: 명, 인, 천명, 만명."),
    ("table: performance_outcomes", "table: performance_outcome", "[기관A.map.yml > 4행 > performance_outcome] 모르는 표 'performance_outcome'. → 비슷한 이름: performance_outcomes."),
    ("table: performance_outcomes", "table: ???", "table 을(를) 아직 정하지 않음 (???). → 답을 적을 것."),
    ("  - table: performance_outcomes\n    sheet: 성과", "  - sheet: 성과", "[기관A.map.yml > 4행 > tables 1번째] 꼭 필요한 키 'table' 이(가) 없음. → 선언된 표의 이름을 적을 것 (예: table: performance_projects)."),
    ("header_rows: 3-4", "header_rows: 세 번째", "'세 번째' 은(는) 행이 아님 (3, 3-4 또는 12- 처럼 적음). → header_rows 을(를) 고칠 것."),
    ("header_rows: 3-4", "header_rows: 4-3", "행 '4-3' 의 끝이 처음보다 앞섬. → header_rows 을(를) 고칠 것."),
    ("header_rows: 3-4", "cols: 3-7", "[기관A.map.yml > 6행 > performance_outcomes] '3-7' 은(는) 열이 아님 (A-F 처럼 적음). → cols 을(를) 고칠 것."),
    ("header_rows: 3-4", "cols: F-A", "열 'F-A' 의 끝이 처음보다 앞섬"),
    ("header_rows: 3-4", "region_year: 옛날", "'옛날' 은(는) 때가 아님 (2019, 2019-06 또는 2019-06-30)"),
    ("header_rows: 3-4", "unit: 명", "[기관A.map.yml > 6행 > performance_outcomes] 금액의 단위가 아닌 '명'. → 쓸 수 있는 단위: 원, 천원"),
    ("header_rows: 3-4", "unit: ???", "unit 을(를) 아직 정하지 않음 (???). → 답을 적을 것."),
    ("header_rows: 3-4", "header_rows:", "[기관A.map.yml > 6행 > performance_outcomes] 키 'header_rows' 의 값이 비어 있음"),
    ("과제번호: project_id", "과제번호: projct_id", "[기관A.map.yml > 9행 > performance_outcomes > 과제번호] 성과 표에 없는 열 'projct_id'. → 비슷한 이름: project_id."),
    ("과제번호: project_id", "과제번호: ???", "[기관A.map.yml > 9행 > performance_outcomes > 과제번호] 머리글 '과제번호' 이(가) 어느 열인지 아직 정하지 않음 (???). → 열 이름을 적거나, 읽지 않을 머리글이면 leave 를 적을 것."),
    ("과제번호: project_id", "과제번호: leave", "[기관A.map.yml > 4행 > performance_outcomes] 성과 표에 꼭 필요한 열 project_id(과제 번호)이(가) 없음. → columns 에 '머리글: project_id' 을 더할 것."),
    ("과제번호: project_id", "과제번호:", "키 '과제번호' 의 값이 비어 있음"),
    ("과제번호: project_id", "과제번호: {colum: project_id}", "모르는 키 'colum'. → 비슷한 이름: column. (그 밖에 1곳)"),
    ("기업명: firm_name", "기업명: project_id", "머리글 '과제번호' 와(과) '기업명' 을(를) 모두 열 project_id (으)로 읽으라고 함. → 하나를 leave 로 바꿀 것."),
    ("기업명: firm_name", "연번: firm_name", "머리글 '연번' 이(가) columns 와 leave 에 다 있음. → 한쪽에만 적을 것."),
    ("기업명: firm_name", "기업명: {column: firm_name, unit: 명}", "열 firm_name(기업 이름)에는 단위가 없는데 '명' 을(를) 적음. → unit 을 지울 것."),
    ("unit: 백만원", "unit: 백만불", "[기관A.map.yml > 13행 > performance_outcomes > 사업화매출액 > 계] 열 commercial_sales_million_krw(사업화매출(총량 지표, 효과가 아님))에 쓸 수 없는 단위 '백만불'"),
    ("{column: commercial_sales_million_krw, unit: 백만원}", "\n        column: commercial_sales_million_krw\n        unit: ???", "[기관A.map.yml > 15행 > performance_outcomes > 사업화매출액 > 계] 머리글 '사업화매출액 > 계' 의 단위를 아직 정하지 않음 (???). → 원·천원·백만원·억원 가운데 하나를 적을 것."),
    ("{phase: 1}", "{phase: 7}", "열 phase 에 쓸 수 없는 값 '7'"),
    ("{phase: 1}", "{phaze: 1}", "[기관A.map.yml > 7행 > performance_outcomes > phaze] 성과 표에 없는 열 'phaze'. → 비슷한 이름: phase."),
    ("{phase: 1}", "\n      phase: ???", "[기관A.map.yml > 8행 > performance_outcomes > phase] 열 phase(사업 단계(1–3))을(를) 어디에서 읽을지 아직 정하지 않음 (???)"),
    ("{phase: 1}", "{firm_name: 한빛}", "열 firm_name 이(가) columns 와 constants 에 다 있음. → 한쪽에만 적을 것."),
    ("{phase: 1}", "{project_id: P-1}", "열 project_id 이(가) columns 와 constants 에 다 있음"),
    ("    constants: {phase: 1}\n    columns:\n      과제번호: project_id", "    constants: {project_id: P-1}\n    columns:", "행마다 다른 열 project_id(과제 번호)을(를) 모든 행에 같은 값으로 둘 수 없음. → 번호가 적힌 머리글을 columns 에 '머리글: project_id' 으로 적을 것."),
    ("{phase: 1}", "[1]", "constants 의 값 이(가) 맞지 않음. → '머리글: 열' 처럼 키와 값의 묶음으로 적을 것."),
    ("leave: [연번, 비고]", "leave: {연번: 1}", "leave 의 값 이(가) 맞지 않음. → 목록으로 적을 것 ('- ' 로 시작하는 줄들)."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), FAULTS, ids=[f"{n}" for n in range(len(FAULTS))])
def test_every_fault_is_one_sentence_with_its_line(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_mapping(written(tmp_path, changed(old, new)))
    told = caught.value.sentence()
    body, _, more = sentence.partition(" (그 밖에 ")
    problem, _, remedy = body.partition(" → ")
    assert problem.rstrip(".") in told
    assert remedy in told
    assert ("(그 밖에" in told) == bool(more)
    assert told.startswith("[기관A.map.yml > ")
    assert "행" in told.split("]")[0]


WHOLE = [
    ("", "열 대응 파일이 비어 있거나 목록임"),
    ("- 1\n- 2\n", "열 대응 파일이 비어 있거나 목록임"),
    ("schema_version: 1\ntables: []\n", "tables 이(가) 비어 있음. → 하나 이상 적을 것"),
    ("schema_version: 1\ntables:\n  - {table: deflator, columns: {}}\n", "columns 이(가) 비어 있음"),
    ("schema_version: 1\n  tables: [\n", "YAML 문법이 맞지 않음. → 들여쓰기를 맞추고, 쌍점(:)이나 # 이 든 머리글은 큰따옴표로 묶을 것"),
    (GOOD + "workbook: 둘째.xlsx\n", "[기관A.map.yml > 16행] 키 'workbook' 이(가) 두 번 있음. → 하나를 지우거나 이름을 바꿀 것"),
    (GOOD.replace("[표지]", "&a [표지]").replace("[연번, 비고]", "*a"), "YAML 문법이 맞지 않음"),
    (GOOD.replace("[연번, 비고]", "&a [연번]").replace("[표지]", "*a"), "다른 곳을 가리키는 표식(&, *)을 씀. → 같은 내용을 그대로 적을 것"),
    ("a: " + "[" * 3000 + "]" * 3000, "너무 깊이 겹친 YAML 임"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WHOLE, ids=[f"{n}" for n in range(len(WHOLE))])
def test_files_that_are_no_mapping(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_mapping(written(tmp_path, text))
    assert sentence in caught.value.sentence()


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    with pytest.raises(UsageError, match=r"열 대응 파일이 없음.*비슷한 이름: 기관A\.map\.yml"):
        read_mapping(tmp_path / "기관B.map.yml")
    path = tmp_path / "cp949.map.yml"
    path.write_bytes(GOOD.encode("cp949"))
    with pytest.raises(UsageError, match=r"2행\] UTF-8 로 읽을 수 없음"):
        read_mapping(path)
    path.write_bytes(b"#" * 2_000_001)
    with pytest.raises(UsageError, match="너무 큼"):
        read_mapping(path)


def test_all_faults_are_told_in_order_of_lines(tmp_path: Path) -> None:
    text = (
        changed("과제번호: project_id", "과제번호: ???")
        .replace("unit: 백만원", "unit: 척")
        .replace("phase: 1", "phase: 9")
    )
    faults = mapping_faults(written(tmp_path, text))
    assert [fault.line for fault in faults] == [7, 9, 13]
    assert not mapping_faults(written(tmp_path, GOOD))


def test_words_of_the_sheet_stay_words(tmp_path: Path) -> None:
    """YAML would read «2018», «No», «3:40» and «1.10» as a number, a truth value, a time and a number."""
    text = GOOD.replace(
        "      과제번호: project_id\n",
        "      No: leave\n      2018: leave\n      3:40: leave\n      과제번호: project_id\n",
    )
    told = read_mapping(written(tmp_path, text))
    assert list(told.model.tables[0].columns)[:3] == ["No", "2018", "3:40"]
    value, lines = strict_yaml.load_with_lines("a: {b: [1.10, ~, yes]}\n")
    assert value == {"a": {"b": ["1.10", None, "yes"]}}
    assert lines[("a", "b")] == 1


def test_rows_columns_and_headers() -> None:
    assert [span_of_rows(t) for t in ("3", "3-4", "12-", "3:4")] == [(3, 3), (3, 4), (12, None), (3, 4)]
    assert span_of_columns("a:AB") == (1, 28)
    assert all(column_number(column_letters(n)) == n for n in range(1, 20_000))
    assert header_and_place("사업비 > 국비 @AC") == ("사업비 > 국비", 29)
    assert header_and_place("@C") == ("", 3)
    assert header_and_place("이메일 user@b") == ("이메일 user@b", 0)
    for bad in ("0", "-3", "A", "5-4", ""):
        with pytest.raises(ValueError, match="행"):
            span_of_rows(bad)


def test_a_mapping_is_a_file_or_a_folder_with_one_for_each(tmp_path: Path) -> None:
    one = tmp_path / "기관A.map.yml"
    one.write_text(GOOD.replace("workbook: 성과조사_1단계.xlsx\n", ""), encoding="utf-8")
    assert mapping_of(one, "아무.xlsx") == one
    assert mapping_of(tmp_path, "raw/기관A.xlsx") == one
    assert mapping_files(tmp_path, ["기관A.xlsx", "기관A.csv", "기관C.csv"]) == [one]
    with pytest.raises(
        FileError,
        match=r"이 파일의 열 대응 파일 '기관B\.map\.yml' 이\(가\) 없음.*비슷한 이름: 기관A\.map\.yml",
    ):
        mapping_of(tmp_path, "기관B.xlsx")
    with pytest.raises(FileError, match="열 대응 파일이 없음"):
        mapping_of(tmp_path / "없음.yml", "기관B.xlsx")


def test_a_mapping_is_for_the_workbooks_that_it_names(tmp_path: Path) -> None:
    """The name of the mapping file says nothing where its `workbook` line does."""
    one = written(tmp_path, GOOD)
    books = ["성과조사_1단계.xlsx", "성과조사_2단계.xlsx"]
    for mapping in (one, tmp_path):
        assert [mapping_for(mapping, book) for book in books] == [one, None]
        assert mapping_for(mapping, "기관A.xlsx") is None
        assert mapping_files(mapping, books) == [one]
        with pytest.raises(
            FileError, match=r"'성과조사_1단계\.xlsx'.* 자료에 없음.*비슷한 이름: 성과조사_2단계\.xlsx"
        ):
            mapping_files(mapping, books[1:])
    two = tmp_path / "둘째.map.yml"
    two.write_text(changed("성과조사_1단계.xlsx", "성과조사_*.xlsx"), encoding="utf-8")
    assert mapping_for(two, "성과조사_3단계.xlsx") == two
    with pytest.raises(
        FileError, match=r"기관A\.map\.yml 와\(과\) 둘째\.map\.yml 이\(가\) 모두 이 파일의 것임"
    ):
        mapping_for(tmp_path, books[0])
    empty = tmp_path / "빈 폴더"
    empty.mkdir()
    with pytest.raises(FileError, match="열 대응 파일이 하나도 없음"):
        mapping_files(empty, books)


def test_the_schema_is_that_of_the_models() -> None:
    """Written by `evalkit ingest schema`; editors read it beside the mapping files."""
    committed = (PROJECT / "plans" / "mapping.schema.json").read_text(encoding="utf-8")
    schema = mapping_schema(list(SPECS))
    assert json.loads(committed) == schema, "evalkit ingest schema > plans/mapping.schema.json"
    assert schema["$defs"]["TableMapping"]["properties"]["table"]["enum"] == list(SPECS)
