"""How good a guess is: headers of many wordings and headers that only look like a column; what a mapping file shows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from workbook_truth import PLACES, number_with_check_digit

from evalkit.ingest.headers import normal
from evalkit.ingest.sources import SPECS
from evalkit.ingest.workbook.guessing import guess
from evalkit.ingest.workbook.proposal import TableGuess
from evalkit.ingest.workbook.writing import mapping_text

ROWS = 24
RNG = np.random.default_rng([5, 1])


def _business(n: int) -> str:
    return number_with_check_digit(f"{201 + n}81{4000 + 31 * n:04d}")


def _corporate(n: int) -> str:
    head = f"1101110{12345 + n:05d}"
    total = sum(int(d) * (1 + i % 2) for i, d in enumerate(head))
    return head + str((10 - total % 10) % 10)


GRANT = [int(x) * 1000 for x in RNG.integers(100, 9000, ROWS)]
LOCAL = [int(x) * 1000 for x in RNG.integers(100, 9000, ROWS)]
CELLS: dict[str, list[Any]] = {
    "project_id": [f"P2019-{n // 2:03d}" for n in range(ROWS)],
    "project_name": [f"소재 실증 {n // 2}" for n in range(ROWS)],
    "track": ["R&D" if n % 2 else "비R&D" for n in range(ROWS)],
    "role": ["참여" if n % 2 else "주관" for n in range(ROWS)],
    "sido": [PLACES[n % 6][2] for n in range(ROWS)],
    "firm_name": [f"(주)한빛정밀{n}" for n in range(ROWS)],
    "firm_id": [_business(n) for n in range(ROWS)],
    "industry": [("26110", "20411", "10749")[n % 3] for n in range(ROWS)],
    "region": [PLACES[n % 6][0] for n in range(ROWS)],
    "agreement_start": [dt.date(2019, 1 + n % 12, 1) for n in range(ROWS)],
    "agreement_end": [dt.date(2021, 1 + n % 12, 28) for n in range(ROWS)],
    "national_grant_krw": GRANT,
    "local_grant_krw": LOCAL,
    "private_krw": [7000 + 10 * n for n in range(ROWS)],
    "new_jobs": [n % 7 for n in range(ROWS)],
    "date": [dt.date(2020, 1 + n % 12, 3) for n in range(ROWS)],
    "total": [a + 7000 + 10 * n for n, a in enumerate(LOCAL)],
    "people": [20 + n for n in range(ROWS)],
    "person": [f"홍길{'동서남북'[n % 4]}" for n in range(ROWS)],
    "corporate": [_corporate(n) for n in range(ROWS)],
    "text": [f"비고 사항 {n}" for n in range(ROWS)],
    "phone": [f"051-{300 + n}-{1000 + n}" for n in range(ROWS)],
    "office": ["부산테크노파크" if n % 2 else "경남테크노파크" for n in range(ROWS)],
    "zone": ["수도권" if n % 2 else "비수도권" for n in range(ROWS)],
    "new": ["신규" if n % 2 else "계속" for n in range(ROWS)],
    "years": [2019 + n % 3 for n in range(ROWS)],
}  # fmt: skip
HEADERS = {
    "project_id": "과제번호", "project_name": "과제명", "track": "사업구분", "role": "주관/참여", "sido": "시도", "firm_name": "기업명",
    "firm_id": "사업자등록번호", "industry": "업종코드", "region": "본사소재지", "agreement_start": "협약시작일", "agreement_end": "협약종료일",
    "national_grant_krw": "국비(천원)", "local_grant_krw": "지방비(천원)", "private_krw": "민간부담금(천원)",
}  # fmt: skip

# what a header is (a column of the projects), as people write it
WORDINGS = [
    ("project_id", text) for text in ("과제 번호", "과제코드", "① 과제번호", "1. 과제번호", "과제번호*", "과제번호1)", "관리번호", "고유번호", "과제ID(필수)", "과제관리번호", "사업 과제번호")
] + [
    ("firm_id", text) for text in ("사업자번호", "사업자 등록번호", "사업자등록번호(-제외)", "사업자등록번호(숫자만)", "사업자등록번호(10자리)", "사업자등록번허", "BRN", "등록번호", "기업 사업자등록번호", "사업자등록\n번호")
] + [
    ("firm_name", text) for text in ("기업명(국문)", "업체명", "회사명", "상호", "수행기업명", "㉮ 기업명", "기 업 명", "기업 이름", "지원기업", "참여기업명", "기업체명")
] + [
    ("agreement_start", text) for text in ("협약일", "협약 시작", "협약시작일(YYYY-MM-DD)", "협약기간 시작일", "시작일자", "협약 개시일", "지원 시작일", "협약체결일")
] + [
    ("agreement_end", text) for text in ("협약종료일*", "종료일", "협약 만료일", "협약기간(종료)")
] + [
    ("national_grant_krw", text) for text in ("국비 (단위: 천원)", "정부출연금(천원)", "정부 지원금(천원)", "국비지원액(천원)", "국고보조금(천원)", "국비[천원]", "(1) 국비(천원)", "국비", "국비(백만불)", "출연금(국비)(천원)")
] + [
    ("local_grant_krw", text) for text in ("지방비 (천원)", "시도비(천원)", "지방비¹ (천원)", "사업비 지방비(천원)")
] + [
    ("region", text) for text in ("본사주소", "소재지", "주소", "기업소재지", "본사 소재지(시군구)", "사업장 주소", "본점 소재지")
] + [
    ("track", text) for text in ("유형", "R&D구분", "구분", "R&D 여부", "사업 유형", "지원유형")
] + [
    ("role", text) for text in ("역할", "참여구분", "주관·참여", "참여 형태", "주관여부")
] + [
    ("sido", text) for text in ("지역", "시·도", "광역시도", "시/도", "소속 지역")
] + [("industry", "표준산업분류(10차)"), ("industry", "KSIC"), ("industry", "업종코드(5자리)"), ("industry", "산업분류")]  # fmt: skip

# what only looks like a column: (header, cells, the column that is not there)
LOOKALIKES = [
    ("국비 집행액(천원)", "national_grant_krw", "national_grant_krw"), ("국비 이자(천원)", "private_krw", "national_grant_krw"),
    ("당초 국비(천원)", "national_grant_krw", "national_grant_krw"), ("국비 반납액(천원)", "private_krw", "national_grant_krw"),
    ("정부출연금 잔액(천원)", "private_krw", "national_grant_krw"), ("국비", "total", "national_grant_krw"),
    ("신청 국비(천원)", "national_grant_krw", "national_grant_krw"), ("2020년 국비(천원)", "national_grant_krw", "national_grant_krw"),
    ("국비 비율(%)", "people", "national_grant_krw"), ("총사업비(천원)", "total", "national_grant_krw"),
    ("법인등록번호", "corporate", "firm_id"), ("사업자등록번호", "corporate", "firm_id"), ("사업자등록번호", "phone", "firm_id"),
    ("대표기관 사업자등록번호", "firm_id", "firm_id"), ("모기업 사업자번호", "firm_id", "firm_id"), ("기업명", "person", "firm_id"),
    ("대표자명", "person", "firm_name"), ("담당자", "person", "firm_name"), ("기업명", "region", "firm_name"), ("기관명", "office", "firm_name"),
    ("수요기업명", "firm_name", "firm_name"), ("기업명(모기업)", "firm_name", "firm_name"), ("변경 전 기업명", "firm_name", "firm_name"),
    ("협약변경일", "date", "agreement_start"), ("설립일", "date", "agreement_start"), ("시작일", "text", "agreement_start"),
    ("협약시작일", "people", "agreement_start"), ("고용 시작일", "date", "agreement_start"), ("최초 협약일", "date", "agreement_start"),
    ("구분", "new", "track"), ("사업구분", "zone", "track"), ("유형", "office", "track"), ("신규/계속 구분", "new", "track"),
    ("지역", "zone", "sido"), ("시도", "years", "sido"), ("지역", "office", "sido"),
    ("공장 소재지", "region", "region"), ("이전 전 소재지", "region", "region"), ("소재지", "phone", "region"), ("대표자 주소", "region", "region"),
    ("이메일 주소", "text", "region"),
    ("과제번호", "firm_id", "project_id"), ("선행 과제번호", "project_id", "project_id"), ("과제번호", "years", "project_id"),
    ("과제 수", "people", "project_id"), ("역할", "person", "role"), ("주관기관", "office", "role"), ("참여인력", "people", "role"),
    ("업종", "text", "industry"), ("업종코드", "person", "industry"), ("주업종코드명", "text", "industry"),
    ("민간부담금 현금(천원)", "private_krw", "private_krw"), ("민간부담률", "people", "private_krw"), ("지방비 매칭비율", "people", "local_grant_krw"),
    ("시비(천원)", "private_krw", "local_grant_krw"), ("도비(천원)", "private_krw", "local_grant_krw"), ("지방비 집행률(%)", "people", "local_grant_krw"),
]  # fmt: skip


def workbook(folder: Path, columns: list[tuple[str, list[Any]]], name: str = "성과조사_1단계.xlsx") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "과제현황"
    for at, (header, cells) in enumerate(columns, start=1):
        sheet.cell(row=1, column=at, value=header)
        for row, value in enumerate(cells, start=2):
            sheet.cell(row=row, column=at, value=value)
    path = folder / name
    book.save(path)
    return path


def with_header(folder: Path, header: str, cells: str, instead_of: str) -> TableGuess:
    """The guess of the projects with one header in the place of another."""
    columns = [(HEADERS[name], CELLS[name]) for name in HEADERS if name != instead_of]
    columns.insert(3, (header, CELLS[cells]))
    (table,) = guess(workbook(folder, columns)).tables
    return table


def proposals(table: TableGuess) -> dict[str, str]:
    return {header.key: header.column for header in table.headers}


def test_wordings_are_never_proposed_wrongly_and_mostly_found(tmp_path: Path) -> None:
    sure = asked = 0
    for meaning, header in WORDINGS:
        table = with_header(tmp_path, header, meaning, meaning)
        found = next(h for h in table.headers if h.letters == "D")
        assert found.column in (meaning, "???", "leave"), (header, found.column)
        for name, text in HEADERS.items():
            if name != meaning:
                assert proposals(table)[text] == name, (header, text)
        sure += found.column == meaning
        asked += found.column == "???" and meaning in [c.column for c in found.candidates]
    assert len(WORDINGS) >= 60
    # what the wordings above give; a change for the worse must be seen
    assert sure >= 60
    assert sure + asked >= 82


@pytest.mark.parametrize(("header", "cells", "missing"), LOOKALIKES)
def test_what_only_looks_like_a_column_is_asked_or_left(
    tmp_path: Path, header: str, cells: str, missing: str
) -> None:
    table = with_header(tmp_path, header, cells, missing)
    found = next(h for h in table.headers if h.letters == "D")
    assert found.column in ("???", "leave"), (found.column, found.evidence)
    declared = SPECS["performance_projects"].column(missing)
    if normal(header) in {
        normal(alias) for alias in declared.aliases
    }:  # the very header is never left in silence
        assert found.column == "???"
        assert missing in [candidate.column for candidate in found.candidates]


def test_a_table_in_other_words_is_asked_whole_and_not_left_alone(tmp_path: Path) -> None:
    """No header is sure, the sheet's name speaks for the table: every column is a question with its candidates."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "3. 유치실적"
    sheet.append(["유치지역", "상호(법인명)", "유치 형태", "이전 前 주소", "이전 後 주소", "유치 시기"])
    for name, kind, day in (
        ("㈜가온테크", "본사이전", "03"),
        ("나래소재(주)", "MOU", "04"),
        ("다솜랩", "연구소", "05"),
    ):
        sheet.append(["부산", name, kind, "서울특별시 강남구", "부산광역시 해운대구", f"2019.{day}.01"])
    book.save(tmp_path / "a.xlsx")
    found = guess(tmp_path / "a.xlsx")
    (table,) = found.tables
    assert table.name == "performance_attracted"
    assert not found.left
    text = mapping_text(found)
    assert text.count("column: ???") == 6
    for column in ("firm_name", "kind", "from_region", "to_region", "date"):
        assert f"  {column}  " in text
