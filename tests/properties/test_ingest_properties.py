"""The same table gives the same frame whatever file it arrives in; identities of codes, units and identifiers."""

from __future__ import annotations

import csv
import datetime as dt
import io
import string
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.ingest import ColumnSpec, TableSpec, read_table, regions, units
from evalkit.ingest.cells import parse_date, parse_number, parse_year
from evalkit.ingest.identifiers import (
    business_check_digit,
    hash_identifier,
    is_business_number,
    mask,
    normalise_number,
)

KEY = b"test key"
SPEC = TableSpec(
    name="t",
    title="시험 표",
    row_meaning="기업",
    sheets=("자료",),
    columns=(
        ColumnSpec("firm_name", ("기업명",), "name", "기업 이름", nullable=False),
        ColumnSpec("firm_id", ("사업자등록번호",), "business_number", "기업", nullable=False),
        ColumnSpec("region", ("시군구코드",), "region", "지역"),
        ColumnSpec("sales", ("매출액",), "money", "매출액", unit="백만원", dash="zero"),
        ColumnSpec("staff", ("종업원수",), "integer", "종업원 수", unit="명"),
        ColumnSpec("day", ("협약일",), "date", "협약일"),
    ),
)
HEADER = ["기업명", "사업자등록번호", "시군구코드", "매출액(천원)", "종업원수", "협약일"]
CODES = regions.municipalities(2020)["code"].tolist()

# names of letters that every encoding here can write; never a bare «-» or a subtotal word
names = st.text(
    alphabet="가나다라마바사아자차하한국전자소재" + string.ascii_letters + " (),\"'", min_size=1, max_size=12
).map(lambda text: "기업" + text + "갑")
numbers = st.integers(10**8, 10**9 - 1).map(lambda head: f"{head}{business_check_digit(str(head))}")
rows = st.lists(
    st.tuples(
        names,
        numbers,
        st.sampled_from([*CODES, ""]),
        st.one_of(
            st.integers(-(10**9), 10**9).map(str), st.sampled_from(["1,234", "△12", "-", "", "(7)", "12.5"])
        ),
        st.one_of(st.integers(0, 10**6).map(str), st.sampled_from(["12명", "해당없음", ""])),
        st.one_of(
            st.dates(dt.date(1990, 1, 1), dt.date(2027, 12, 31)).map(str),
            st.sampled_from(["’23.11.", "2023년 5월", ""]),
        ),
    ),
    min_size=1,
    max_size=12,
)


def text_file(path: Path, table: list[list[str]], encoding: str, separator: str) -> Path:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator="\r\n").writerows(table)
    path.write_bytes(stream.getvalue().encode(encoding))
    return path


def workbook(path: Path, table: list[list[str]]) -> Path:
    """Plain numbers and dates as Excel stores them, the rest as text."""
    book = openpyxl.Workbook()
    book.active.title = "자료"
    for row in table:
        cells: list[object] = []
        for place, value in enumerate(row):
            if place in (1, 3, 4) and value.lstrip("-").isdigit():
                cells.append(int(value))
            elif place == 5 and len(value) == 10 and value[4] == "-":
                cells.append(dt.date.fromisoformat(value))
            else:
                cells.append(value or None)
        book.active.append(cells)
    book.save(path)
    return path


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_the_file_format_does_not_matter(tmp_path, records):
    table = [HEADER, *(list(row) for row in records)]
    files = [
        text_file(tmp_path / "a.csv", table, "cp949", ","),
        text_file(tmp_path / "b.csv", table, "utf-8-sig", ","),
        text_file(tmp_path / "c.txt", table, "utf-16", "\t"),
        workbook(tmp_path / "d.xlsx", table),
    ]
    frames = [read_table(path, SPEC, key=KEY, year=2020, cut_last_row="error").frame for path in files]
    assert len(frames[0]) == len(records)
    for other in frames[1:]:
        pd.testing.assert_frame_equal(frames[0], other, check_exact=True)
    assert frames[0]["firm_id"].tolist() == [hash_identifier(row[1], KEY) for row in records]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CODES), st.integers(2019, 2025))
def test_codes_come_back(code, year):
    base = regions.to_base([code], 2020)
    there = regions.code_at(base, year)
    np.testing.assert_array_equal(regions.to_base(there, dt.date(year, 12, 31)), base)


@given(st.integers(10**8, 10**9 - 1), st.integers(1, 9))
def test_check_digit_finds_a_changed_last_digit(head, change):
    digit = business_check_digit(str(head))
    assert is_business_number(f"{head}{digit}")
    assert not is_business_number(f"{head}{(digit + change) % 10}")
    dressed = f"{head}{digit}"
    dressed = f"{dressed[:3]}-{dressed[3:5]}-{dressed[5:]}"
    assert normalise_number(dressed) == f"{head}{digit}"
    assert dressed[4:] not in mask(dressed)


money = st.sampled_from(["원", "천원", "백만원", "억원"])


@given(st.integers(-(10**12), 10**12), money, money, money)
def test_units_do_not_depend_on_the_way(value, a, b, c):
    ab, bc, ac = units.factor(a, b), units.factor(b, c), units.factor(a, c)
    assert ab is not None
    assert bc is not None
    assert ab * bc == ac
    assert value * ab * units.factor(b, a) == value


@given(st.integers(-(10**12), 10**12))
def test_numbers_survive_their_dress(value):
    size = f"{abs(value):,}"
    forms = [f"{value:,}", f"{value}", f" {value:,} 명"]
    if value < 0:
        forms += [f"△{size}", f"▲ {size}", f"({size})", f"−{size}"]
    for text in forms:
        got = parse_number(text)
        assert got is not None
        assert got.value == value


@given(st.dates(dt.date(2000, 1, 1), dt.date(2049, 12, 31)))
def test_dates_survive_their_dress(day):
    serial = (day - dt.date(1899, 12, 30)).days
    for text in (
        day.isoformat(),
        day.strftime("%Y%m%d"),
        f"{day.year}.{day.month}.{day.day}.",
        f"{day.year}년 {day.month}월 {day.day}일",
        f"’{day.year % 100:02d}.{day.month}.{day.day}",
        f"{day.isoformat()} 00:00:00",
        str(serial),
    ):
        got = parse_date(text)
        assert got is not None, text
        assert got[0] == day, text
    for way, expected in (("first", 1), ("last", pd.Timestamp(day).days_in_month)):
        got = parse_date(f"{day.year}년 {day.month:02d}월", way)
        assert got is not None
        assert got[0] == day.replace(day=expected)


@pytest.mark.parametrize(
    "text", ["", "abc", "2023-00-10", "2023-13-01", "2023.2.30", "12", "2023", "99999", "202313"]
)
def test_what_is_no_date(text):
    assert parse_date(text) is None


@pytest.mark.parametrize(
    "text", ["", "1,23", "12,3456", "1 명 2", "--5", "(−5)", "5원정", "0x10", "1_000", "inf", "nan"]
)
def test_what_is_no_number(text):
    assert parse_number(text) is None


@given(st.integers(2000, 2049))
def test_years_survive_their_dress(year):
    for text in (f"{year}", f"{year}년", f"{year}년도", f"{year}.0", f"’{year % 100:02d}", f"{year}-12-31"):
        got = parse_year(text)
        assert got is not None, text
        assert got[0] == year
    for text in (f"{year % 100:02d}", f"{year}5", "년", f"{year}~{year + 1}"):
        assert parse_year(text) is None
