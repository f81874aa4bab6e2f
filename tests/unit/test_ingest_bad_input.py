"""Every fault of an input file is one Korean sentence with file, sheet, row, column and what to do."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from evalkit.errors import DataError, FileError, SchemaError, ValueProblem
from evalkit.ingest import ColumnSpec, TableSpec, read_source, read_table
from evalkit.ingest.personal import search_cells

KEY = b"test key"
GOOD = "1248100998"

SPEC = TableSpec(
    name="firms",
    title="기업",
    row_meaning="기업",
    sheets=("기업",),
    key=("firm_id",),
    columns=(
        ColumnSpec("name", ("기업명",), "name", "기업 이름", nullable=False),
        ColumnSpec("firm_id", ("사업자등록번호",), "business_number", "기업", nullable=False),
        ColumnSpec("sales", ("매출액", "총매출액"), "money", "총매출액", unit="백만원"),
        ColumnSpec(
            "commercial", ("사업화매출액", "매출액"), "money", "사업화매출액", unit="백만원", required=False
        ),
        ColumnSpec("founded", ("설립일",), "date", "설립일", required=False),
        ColumnSpec("staff", ("종업원수",), "integer", "종업원 수", unit="명", minimum=0, required=False),
        ColumnSpec("region", ("시군구코드",), "region", "지역", required=False),
    ),
)
HEAD = ["기업명", "사업자등록번호", "총매출액(백만원)"]


def book(path: Path, rows: list[list[object]], sheet: str = "기업") -> Path:
    workbook = openpyxl.Workbook()
    workbook.active.title = "표지"
    page = workbook.create_sheet(sheet)
    for row in rows:
        page.append(row)
    workbook.active["A1"] = "표지"
    workbook.save(path)
    return path


def sentence(kind: type[DataError], path: Path, **options: object) -> str:
    """The message, checked to be one sentence with a remedy, and the exit code of bad data."""
    with pytest.raises(kind) as caught:
        read_table(path, SPEC, key=KEY, year=2022, **options)
    text = str(caught.value)
    assert path.name in text
    assert " → " in text
    assert text.endswith(".")
    assert "\n" not in text
    assert caught.value.exit_code == 3
    assert re.search(r"[가-힣] 것(?: \(.*\))?\.$", text), text
    return text


def test_wrong_encoding(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_bytes("기업명,사업자등록번호\n가,1\n".encode() + b"\xff\xfe\x81\n")
    assert "[기업.csv > 3행] UTF-8, CP949, UTF-16 어느 것으로도 읽을 수 없음" in sentence(FileError, path)


def test_text_damaged_before_it_came(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_text("기업명,사업자등록번호\n\ufffd\ufffd,1\n", encoding="utf-8")
    assert "[기업.csv > 2행] 이미 깨진 글자" in sentence(FileError, path)


def test_utf16_cut_in_the_middle_or_without_its_mark(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_bytes("기업명\n가\n".encode("utf-16") + b"\x00")
    assert "UTF-16 어느 것으로도 읽을 수 없음" in sentence(FileError, path)
    path.write_bytes("name,number\na,1\n".encode("utf-16-le"))
    assert "표식 없는 UTF-16" in sentence(FileError, path)


def test_binary_called_xlsx(tmp_path):
    path = tmp_path / "기업.xlsx"
    path.write_bytes(b"\x01\x00\x02\x00" * 300)
    assert "통합 문서가 깨졌거나 끝이 잘림. → 원본을" in sentence(FileError, path)


def test_workbook_without_any_cell(tmp_path):
    path = tmp_path / "기업.xlsx"
    openpyxl.Workbook().save(path)
    assert "통합 문서에 자료가 없음" in sentence(FileError, path)


def test_open_quote(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_text('기업명,사업자등록번호\n"가,1\n', encoding="utf-8")
    assert "닫히지 않은 큰따옴표" in sentence(FileError, path)


def test_unreadable_year_unit_and_category(tmp_path):
    spec = TableSpec(
        "t",
        "표",
        "행",
        (
            ColumnSpec("year", ("연도",), "year", "연도"),
            ColumnSpec(
                "kind", ("구분",), "category", "구분", categories=(("주관", "lead"), ("참여", "partner"))
            ),
            ColumnSpec("code", ("코드",), "code", "코드", digits=5),
            ColumnSpec("sales", ("매출액",), "money", "매출액", unit="백만원", maximum=100),
        ),
    )
    for row, said in (
        ("이천십년,주관,1,1", "2행 > 열 연도] 읽을 수 없는 연도 '이천십년'"),
        ("2010,주간,1,1", "2행 > 열 구분] 모르는 구분 '주간'"),
        ("2010,주관,123456,1", "2행 > 열 코드] 코드 '123456' 이(가) 5자리가 아님"),
        ("2010,주관,1,3명", "단위가 이 열의 단위 백만원 와 맞지 않음"),
        ("2010,주관,1,200", "값 '200' 이(가) 100 보다 큼"),
    ):
        path = tmp_path / "표.csv"
        path.write_text(f"연도,구분,코드,매출액(백만원)\n{row}\n", encoding="utf-8")
        with pytest.raises(ValueProblem) as caught:
            read_table(path, spec)
        assert said in str(caught.value)


def test_missing_file(tmp_path):
    (tmp_path / "기업_2022.csv").write_text("x")
    text = sentence(FileError, tmp_path / "기업_2023.csv")
    assert "파일이 없음" in text
    assert "비슷한 이름: 기업_2022.csv" in text


def test_empty_file(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\n")
    assert "빈 파일임 (5바이트)" in sentence(FileError, path)


def test_header_without_rows(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD])
    assert "[기업.xlsx > 시트 기업 > 2행] 머리글 아래에 자료 행이 없음" in sentence(FileError, path)


def test_truncated_workbook(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, 1]])
    path.write_bytes(path.read_bytes()[:-900])
    assert "통합 문서가 깨졌거나 끝이 잘림" in sentence(FileError, path)


def compound_file(names: list[str]) -> bytes:
    """A minimal OLE compound file with empty streams: what Excel writes when it encrypts a workbook."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<HHHHH", header, 24, 0x3E, 3, 0xFFFE, 9, 6)
    struct.pack_into("<I", header, 44, 1)  # sectors of the allocation table
    struct.pack_into("<I", header, 48, 1)  # first directory sector
    struct.pack_into("<I", header, 56, 4096)
    struct.pack_into("<I", header, 60, 0xFFFFFFFE)
    struct.pack_into("<I", header, 68, 0xFFFFFFFE)
    struct.pack_into("<109I", header, 76, 0, *[0xFFFFFFFF] * 108)
    table = struct.pack("<128I", 0xFFFFFFFD, 0xFFFFFFFE, *[0xFFFFFFFF] * 126)
    directory = b""
    for index in range(4):
        name = (["Root Entry", *names, "", "", ""])[index]
        entry = bytearray(128)
        text = name.encode("utf-16-le")
        entry[: len(text)] = text
        struct.pack_into("<H", entry, 64, len(text) + 2 if name else 0)
        entry[66] = 5 if index == 0 else 2 if name else 0
        struct.pack_into("<III", entry, 68, *[0xFFFFFFFF] * 3)
        struct.pack_into("<I", entry, 116, 0xFFFFFFFE)
        directory += bytes(entry)
    return bytes(header) + table + directory


def test_password(tmp_path):
    path = tmp_path / "기업.xlsx"
    path.write_bytes(compound_file(["EncryptionInfo", "EncryptedPackage"]))
    text = sentence(FileError, path)
    assert "암호가 걸린 통합 문서라 열 수 없음" in text
    assert "암호를 풀어" in text


def test_web_page_called_xls(tmp_path):
    path = tmp_path / "기업.xls"
    path.write_text("<html><table><tr><td>기업명</td></tr></table></html>", encoding="utf-8")
    assert "내용은 웹 문서(HTML)임" in sentence(FileError, path)


def test_sheet_missing(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, 1]], sheet="총괄")
    text = sentence(SchemaError, path)
    assert "기업 시트가 없음" in text
    assert "있는 시트: '표지', '총괄'" in text
    assert "시트 '합계' 이(가) 없음" in sentence(SchemaError, path, sheet="합계")


def test_two_sheets_fit(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, 1]], sheet="기업 1")
    workbook = openpyxl.load_workbook(path)
    workbook.copy_worksheet(workbook["기업 1"]).title = "기업 2"
    workbook.save(path)
    assert "시트 '기업 1', '기업 2' 이(가) 모두" in sentence(SchemaError, path)


def test_column_missing(tmp_path):
    path = book(tmp_path / "기업.xlsx", [["기업명", "사업자번호등록", "총매출액(백만원)"], ["가", GOOD, 1]])
    text = sentence(SchemaError, path)
    assert "[기업.xlsx > 시트 기업 > 1행] 기업 표에 열 '사업자등록번호' 이(가) 없음" in text
    assert "머리글을 '사업자등록번호' 가운데" in text
    assert "비슷한 머리글: 사업자번호등록" in text
    path = book(tmp_path / "기업.xlsx", [["기업명", "사업자등록번호", "연간 실적(천원)"], ["가", GOOD, 1]])
    assert "쓰이지 않은 머리글: 연간 실적(천원)" in sentence(
        SchemaError, path
    )  # not «names that may be used»


def test_no_header(tmp_path):
    path = book(tmp_path / "기업.xlsx", [["가", GOOD, 1]])
    assert "머리글 행을 찾을 수 없음" in sentence(SchemaError, path)


def test_one_header_fits_two_columns(tmp_path):
    path = book(tmp_path / "기업.xlsx", [["기업명", "사업자등록번호", "매출액(백만원)"], ["가", GOOD, 1]])
    text = sentence(SchemaError, path)
    assert "시트 기업 > 1행 > 3번째 열" in text
    assert "두 열에 맞음: sales(총매출액), commercial(사업화매출액)" in text


def test_two_headers_fit_one_column(tmp_path):
    path = book(tmp_path / "기업.xlsx", [[*HEAD, "총 매출액 (천원)"], ["가", GOOD, 1, 1]])
    text = sentence(SchemaError, path)
    assert "'총매출액(백만원)'(3번째 열)와 '총 매출액 (천원)'(4번째 열)이 모두 sales" in text


def test_unknown_unit(tmp_path):
    path = book(tmp_path / "기업.xlsx", [["기업명", "사업자등록번호", "총매출액(백만불)"], ["가", GOOD, 1]])
    assert "1행 > 3번째 열 '총매출액(백만불)'] 모르는 단위 '백만불'" in sentence(ValueProblem, path)
    path = book(
        tmp_path / "기업.xlsx",
        [["(단위: 백만엔)"], ["기업명", "사업자등록번호", "총매출액"], ["가", GOOD, 1]],
    )
    assert "모르는 금액 단위 '백만엔'" in sentence(ValueProblem, path)


def test_no_unit(tmp_path):
    path = book(tmp_path / "기업.xlsx", [["기업명", "사업자등록번호", "총매출액"], ["가", GOOD, 1]])
    text = sentence(ValueProblem, path)
    assert "[기업.xlsx > 시트 기업 > 1행 > 열 총매출액] 금액 열의 단위를 알 수 없음" in text


def test_two_units_above(tmp_path):
    rows = [["(단위: 천원, 백만원)"], ["기업명", "사업자등록번호", "총매출액"], ["가", GOOD, 1]]
    assert "표의 단위가 둘 이상임 (천원, 백만원)" in sentence(
        ValueProblem, book(tmp_path / "기업.xlsx", rows)
    )


def test_duplicated_key(tmp_path):
    path = book(
        tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, 1], ["나", "116-82-00276", 1], ["가", "124-81-00998", 2]]
    )
    text = sentence(ValueProblem, path)
    assert "시트 기업 > 4행" in text
    assert "같은 열쇠(사업자등록번호)가 두 번 있음: 2, 4행" in text
    assert GOOD not in text.replace("-", "")


def test_wrong_check_digit(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, 1], ["나", "124-81-00997", 1]])
    text = sentence(ValueProblem, path)
    assert "[기업.xlsx > 시트 기업 > 3행 > 열 사업자등록번호]" in text
    assert "124-**-*****" in text
    assert "00997" not in text


def test_no_key(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, 1]])
    with pytest.raises(ValueProblem, match="열쇠가 없음"):
        read_table(path, SPEC)


def test_region_code_of_another_year(tmp_path):
    path = book(tmp_path / "기업.xlsx", [[*HEAD, "시군구코드"], ["가", GOOD, 1, "51110"]])
    text = sentence(ValueProblem, path)
    assert "2행 > 열 시군구코드] 지역 코드 51110 은(는) 2022년에 아직 없던 코드임" in text
    assert "2023-06-11 춘천시(42110) → 춘천시(51110)" in text


@pytest.mark.parametrize("value", ["2023-13-01", "2023.2.30", "작년", "23", "2023"])
def test_unreadable_date(tmp_path, value):
    path = book(tmp_path / "기업.xlsx", [[*HEAD, "설립일"], ["가", GOOD, 1, value]])
    text = sentence(ValueProblem, path)
    assert f"2행 > 열 설립일] 읽을 수 없는 날짜 {value!r}" in text


@pytest.mark.parametrize("value", ["약 10", "1,23", "열", "12.3.4", "10%", "1 2 3-4"])
def test_unreadable_number(tmp_path, value):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, value]])
    assert "2행 > 열 총매출액(백만원)]" in sentence(ValueProblem, path)


def test_out_of_range_and_not_whole(tmp_path):
    path = book(tmp_path / "기업.xlsx", [[*HEAD, "종업원수"], ["가", GOOD, 1, -3]])
    assert "값 '-3' 이(가) 0 보다 작음" in sentence(ValueProblem, path)
    path = book(tmp_path / "기업.xlsx", [[*HEAD, "종업원수"], ["가", GOOD, 1, 2.5]])
    assert "정수가 아닌 값 '2.5'" in sentence(ValueProblem, path)


def test_missing_value(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, 1], [None, "116-82-00276", 2]])
    assert "3행 > 열 기업명] 값이 없음" in sentence(ValueProblem, path)


def test_excel_error_value_is_not_a_blank(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, "#N/A"]])
    assert "2행 > 열 총매출액(백만원)] 엑셀 오류 값 #N/A" in sentence(ValueProblem, path)


def test_uncalculated_formula_is_not_a_blank(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", GOOD, "=1+1"]])
    assert "수식의 계산 결과가 저장되어 있지 않음" in sentence(ValueProblem, path)


def test_ragged_rows(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_text(
        "기업명,사업자등록번호,총매출액(백만원)\n" + f"가,{GOOD},1\n" * 70 + f"나,{GOOD},1,234\n",
        encoding="utf-8",
    )
    assert "[기업.csv > 72행] 칸이 4개인데 앞 행들은 3개임" in sentence(FileError, path)


def test_a_comma_inside_a_value_near_the_top(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_text(
        f"(단위: 백만원)\n기업명,사업자등록번호,총매출액,비고\n가,{GOOD},1,\n나,116-82-00276,1,234,좋음\n",
        encoding="utf-8",
    )
    assert "[기업.csv > 4행] 칸이 5개인데 머리글은 4개임" in sentence(FileError, path)
    path.write_text(
        f"기업명,사업자등록번호,총매출액(백만원)\n가,{GOOD},1,,\n나,116-82-00276,2\n", encoding="utf-8"
    )
    assert read_table(path, SPEC, key=KEY).frame["sales"].tolist() == [1.0, 2.0]  # only empty cells beyond


def test_the_way_out_of_a_missing_date_fits_the_column(tmp_path):
    path = book(tmp_path / "기업.xlsx", [[*HEAD, "설립일"], ["가", GOOD, 1, "2019.13.45"]])
    assert "모르면 빈 칸으로 둘 것" in sentence(ValueProblem, path)
    strict = TableSpec(
        "t",
        "표",
        "한 줄",
        (ColumnSpec("day", ("시작일",), "date", "시작일", nullable=False),),
        sheets=("기업",),
    )
    path = book(tmp_path / "기업.xlsx", [["시작일"], ["2019.13.45"]])
    with pytest.raises(ValueProblem) as caught:
        read_table(path, strict)
    assert str(caught.value).endswith("→ 2023-11-02 처럼 적을 것.")


def test_letters_in_a_business_number_are_named(tmp_path):
    path = book(tmp_path / "기업.xlsx", [HEAD, ["가", "124-81-OO998", 1]])
    text = sentence(ValueProblem, path)
    assert "글자 O 이(가) 섞임" in text
    assert "OO998" not in text  # the number itself stays masked
    assert "options 에 invalid_identifier: unlinked" in text


def test_cut_last_row(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_text(
        f"기업명,사업자등록번호,총매출액(백만원),종업원수\n가,{GOOD},1,2\n나,1168", encoding="utf-8"
    )
    assert "[기업.csv > 3행] 마지막 행이 도중에 끊김" in sentence(FileError, path)
    table = read_table(path, SPEC, key=KEY, cut_last_row="drop")
    assert len(table.frame) == 1
    assert ("도중에 끊긴 마지막 행", -1) in [(s.reason, s.rows) for s in table.flow]


def test_a_whole_last_row_without_a_line_end_is_read(tmp_path):
    path = tmp_path / "기업.csv"
    path.write_text(
        f"기업명,사업자등록번호,총매출액(백만원),종업원수\nNA,{GOOD},1,2\n나,116-82-00276,1,",
        encoding="utf-8",
    )
    frame = read_table(path, SPEC, key=KEY).frame
    assert frame["name"].tolist() == ["NA", "나"]  # a firm may be called so
    path.write_text(
        f"기업명,사업자등록번호,총매출액(백만원),종업원수\n가,{GOOD},1,2\n나,116-82-00276,,\n",
        encoding="utf-8",
    )
    assert "3행] 마지막 행이" in sentence(FileError, path)
    assert len(read_table(path, SPEC, key=KEY, cut_last_row="keep").frame) == 2


def test_unknown_source_and_no_files():
    with pytest.raises(SchemaError, match="비슷한 이름: national_pension"):
        read_source("national_pensions", "x.csv")
    with pytest.raises(SchemaError, match="하나도 없음"):
        read_source("national_pension", [])


def test_a_count_beyond_all_counts_is_refused(tmp_path: Path) -> None:
    """1e308 as a whole number of 64 bits would be a negative one."""
    path = tmp_path / "고용보험_20191231.csv"
    head = "사업장명,사업장주소,사업자등록번호,고용보험상시근로자수\n"
    for text in ("1e308", "9007199254740993", "9" * 60):
        path.write_text(head + f"한빛,부산광역시 동구 가온로 1,124-81-00998,{text}\n", encoding="utf-8")
        with pytest.raises(ValueProblem, match=r"너무 큼|보다 큼"):
            read_source("employment_insurance", path, key=b"k")
    spec = TableSpec(
        "t",
        "표",
        "행",
        (ColumnSpec("n", ("수",), "integer", "수", nullable=False), ColumnSpec("m", ("값",), "text", "글")),
    )
    small = tmp_path / "t.csv"
    small.write_text("수,값\n1e308,a\n", encoding="utf-8")
    with pytest.raises(ValueProblem, match="너무 큼"):
        read_table(small, spec)


def test_a_cell_of_letters_without_end_is_searched_at_once(tmp_path: Path) -> None:
    cells = np.array([["x" * 200_000], ["@바다"], ["a" * 60 + "@b.kr"]], dtype=object)
    found = search_cells(cells, ["글"])  # it took an hour when every letter began a search to the end
    assert [(f.kind, f.row) for f in found] == [("전자우편 주소", 3)]
