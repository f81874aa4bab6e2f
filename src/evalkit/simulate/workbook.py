"""A 성과조사 workbook as evaluators receive it: titles, two-row merged headers, three units of money, subtotals, notes.

The bytes depend on the world alone: times in the container and its properties are fixed.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from openpyxl import Workbook
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from evalkit.ingest import regions
from evalkit.simulate.economy import World
from evalkit.simulate.identity import Identity, municipality_names
from evalkit.simulate.parameters import PHASE_YEARS, SECTORS
from evalkit.simulate.reported import Reported

_STAMP = (2028, 1, 31, 9, 0, 0)
_SIDO = (*regions.CAPITAL, *regions.PROVINCES)
_NOT_REAL = "※ 이 파일은 evalkit 이 만든 모의 자료임. 기업·번호·주소·실적은 모두 지어낸 것임"

Row = list[Any]


def workbook_bytes(world: World, who: Identity, reported: Reported) -> bytes:
    """The workbook of one phase as bytes of an .xlsx file."""
    rng = np.random.default_rng(np.random.SeedSequence([world.seed, 13, reported.phase]))
    book = Workbook()
    book.properties.creator = "evalkit 모의 자료"
    book.properties.created = dt.datetime(*_STAMP)
    first = book.active
    assert isinstance(first, Worksheet)
    first.title = "과제현황"
    _projects_sheet(first, world, who, reported, rng)
    _results_sheet(book.create_sheet("성과"), world, who, reported, rng)
    _attractions_sheet(book.create_sheet("기업유치"), reported, rng)
    buffer = io.BytesIO()
    book.save(buffer)
    return _fixed(buffer.getvalue())


def _fixed(content: bytes) -> bytes:
    """The same archive with every time stamp fixed."""
    stamp = dt.datetime(*_STAMP).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as new,
    ):
        for name in sorted(old.namelist(), key=lambda n: (n != "[Content_Types].xml", n)):
            data = old.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, data)
            entry = zipfile.ZipInfo(name, _STAMP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 0
            new.writestr(entry, data)
    return out.getvalue()


# -- cells as people type them -------------------------------------------------------------------------


def _put(sheet: Worksheet, rows: Iterable[Row], start: int) -> int:
    """Write rows as they are: a text that begins with «=» stays a text. Returns the next free row."""
    row = start
    for values in rows:
        for column, value in enumerate(values, start=1):
            if value is None:
                continue
            cell = sheet.cell(row=row, column=column, value=value)
            if isinstance(value, str):
                cell.data_type = "s"
        row += 1
    return row


def _number(value: float, rng: np.random.Generator, suffix: str = "") -> Any:
    """A number, or the text that someone typed instead."""
    whole = round(value)
    way = rng.random()
    if way < 0.55:
        return whole
    if way < 0.85 or not suffix:
        return f"{whole:,}"
    return f"{whole:,}{suffix}"


def _business_number(number: str, rng: np.random.Generator) -> Any:
    way = rng.random()
    if way < 0.5:
        return f"{number[:3]}-{number[3:5]}-{number[5:]}"
    return number if way < 0.8 else int(number)


def _date(parts: tuple[int, int, int], rng: np.random.Generator, *, month_only: bool = True) -> Any:
    year, month, day = parts
    way = rng.random()
    if way < 0.35 and month_only:
        return f"’{year % 100:02d}.{month:02d}."
    if way < 0.6:
        return dt.date(year, month, day)
    return f"{year}.{month}.{day}" if way < 0.8 else f"{year}-{month:02d}-{day:02d}"


def _header(sheet: Worksheet, row: int, groups: Sequence[tuple[str, tuple[str, ...]]]) -> int:
    """A header of two rows: a column without parts is merged downwards, a group with parts sideways."""
    column = 1
    for title, parts in groups:
        sheet.cell(row=row, column=column, value=title)
        if parts:
            for offset, part in enumerate(parts):
                sheet.cell(row=row + 1, column=column + offset, value=int(part) if part.isdigit() else part)
            if len(parts) > 1:
                sheet.merge_cells(
                    start_row=row, start_column=column, end_row=row, end_column=column + len(parts) - 1
                )
        else:
            sheet.merge_cells(start_row=row, start_column=column, end_row=row + 1, end_column=column)
        column += max(1, len(parts))
    for index in range(1, column):
        sheet.column_dimensions[get_column_letter(index)].width = 14
    return row + 2


def _title(sheet: Worksheet, text: str, unit: str, width: int) -> int:
    sheet.cell(row=1, column=1, value=text)
    sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=width)
    if unit:
        sheet.cell(row=2, column=width, value=unit)
    return 3


def _by_province(
    rows: Iterable[tuple[int, Row]], sums: Sequence[int], label: Callable[[str], Row], width: int
) -> list[Row]:
    """Rows with a 소계 after each province and a 합계 at the end; the sums count repeated firms as often as they stand."""
    out: list[Row] = []
    total = np.zeros(len(sums))
    part = np.zeros(len(sums))
    rows = list(rows)
    for index, (province, row) in enumerate(rows):
        out.append(row)
        part += [_value(row[column]) for column in sums]
        if index + 1 == len(rows) or rows[index + 1][0] != province:
            out.append(_sum_row(label(f"{_SIDO[province]} 소계"), part, sums, width))
            total, part = total + part, np.zeros(len(sums))
    out.append(_sum_row(label("합계"), total, sums, width))
    return out


def _sum_row(head: Row, values: np.ndarray[Any, Any], sums: Sequence[int], width: int) -> Row:
    row: Row = [*head, *[None] * (width - len(head))]
    for column, value in zip(sums, values, strict=True):
        row[column] = f"{round(value):,}"
    return row


def _value(cell: Any) -> float:
    if isinstance(cell, int | float):
        return float(cell)
    digits = re.sub(r"[^\d]", "", str(cell or ""))
    return float(digits) if digits else 0.0


# -- sheets --------------------------------------------------------------------------------------------


def _projects_sheet(
    sheet: Worksheet, world: World, who: Identity, reported: Reported, rng: np.random.Generator
) -> None:
    heads = ("연번", "사업연도", "시도", "사업구분", "세부프로그램", "과제번호", "과제명", "주관/참여", "기업명", "사업자등록번호",
             "법인등록번호", "설립일", "업종코드(KSIC)", "본사소재지")  # fmt: skip
    groups = [
        *((h, ()) for h in heads),
        ("협약기간", ("시작일", "종료일")),
        ("사업비", ("국비", "지방비", "민간부담금")),
    ]
    width = len(heads) + 5
    row = _title(sheet, f"국가혁신클러스터 {reported.phase}단계 과제현황", "(단위: 천원)", width)
    row = _header(sheet, row, groups)
    rows: list[tuple[int, Row]] = []
    names = {year: municipality_names(world, f"{year}-12-31") for year in range(*_span(reported.phase))}
    for project in reported.projects:
        national, local, cash, kind = project.money
        parts = partner_shares(len(project.firms))
        for place, firm in enumerate(project.firms):
            money = [int(portion(amount, parts, place)) for amount in (national, local, cash + kind)]
            at = world.municipality[firm, project.year - int(world.years[0])]
            address = f"{names[project.year][at]} {who.road[firm]} {who.house[firm]}"
            rows.append((project.province, [
                len(rows) + 1, f"{project.year}년" if rng.random() < 0.3 else project.year, _SIDO[project.province],
                "R&D" if project.research else "비R&D", project.track, project.number, project.title,
                "주관" if place == 0 else "참여", who.name[firm], _business_number(who.business_number[firm], rng),
                who.corporate_number[firm] if who.corporation[firm] else "해당없음",
                _date((int(world.firms.founded[firm]), 3, 2), rng, month_only=False),
                int(SECTORS[world.firms.sector[firm]].ksic), address, _date(project.start, rng),
                _date(project.end, rng, month_only=False), *(_number(m, rng) for m in money),
            ]))  # fmt: skip
    body = _by_province(rows, range(width - 3, width), lambda text: [None, None, text], width)
    row = _put(sheet, body, row)
    _put(sheet, [["※ 참여기업의 사업비는 협약서상 배분액임"], [_NOT_REAL]], row + 1)


def _span(phase: int) -> tuple[int, int]:
    return PHASE_YEARS[phase][0], PHASE_YEARS[phase][1] + 1


def partner_shares(count: int) -> np.ndarray[Any, Any]:
    """Share of each partner in a project's money, the leading one first  # (count,)"""
    weight = np.ones(count)
    weight[0] = 1.5 * max(1, count - 1)
    return np.asarray(weight / weight.sum())


def portion(amount: int, shares: np.ndarray[Any, Any], place: int) -> int:
    """Parts that add up: the last partner takes what is left."""
    edges = np.floor(amount * np.concatenate([[0.0], np.cumsum(shares)]) + 1e-9)
    edges[-1] = amount
    return int(edges[place + 1] - edges[place])


def _results_sheet(
    sheet: Worksheet, world: World, who: Identity, reported: Reported, rng: np.random.Generator
) -> None:
    years = [
        str(year) if i % 3 == 0 else f"{year}년" if i % 3 == 1 else f"’{year % 100}"
        for i, year in enumerate(reported.years)
    ]
    groups: list[tuple[str, tuple[str, ...]]] = [
        *((h, ()) for h in ("연번", "시도", "과제번호", "기업명", "사업자등록번호")),
        ("매출액", tuple(years)),
        ("종업원수", tuple(years)),
        ("신규고용", ("계", "정규직", "비정규직", "청년")),
        ("사업화매출액", ("계", "내수", "수출")),
        ("특허출원", ()),
        ("논문", ()),
    ]
    width = 5 + 2 * len(years) + 9
    row = _title(sheet, f"국가혁신클러스터 {reported.phase}단계 성과조사", "(단위: 백만원, 명, 건)", width)
    row = _header(sheet, row, groups)
    figures = {int(firm): _figures(reported, index, rng) for index, firm in enumerate(reported.firms)}
    rows: list[tuple[int, Row]] = []
    for project in reported.projects:
        for firm in project.firms:
            number = _business_number(who.business_number[firm], rng)
            rows.append((project.province, [
                len(rows) + 1, _SIDO[project.province], project.number, who.name[firm], number, *figures[firm],
            ]))  # fmt: skip
    body = _by_province(rows, range(5 + 2 * len(years), width), lambda text: [None, text], width)
    row = _put(sheet, body, row)
    notes = ["※ 매출액·종업원수·신규고용·사업화매출은 기업 단위로, 여러 과제에 참여한 기업은 같은 값을 적음",
             "※ 폐업 기업은 ‘-’, 설립 전은 ‘해당없음’", _NOT_REAL]  # fmt: skip
    _put(sheet, [[note] for note in notes], row + 1)


def _figures(reported: Reported, index: int, rng: np.random.Generator) -> Row:
    """A firm's own columns, written once and repeated in each of its 과제 rows."""
    sales = [
        _yearly(v, s, rng, "") for v, s in zip(reported.sales[index], reported.staff[index], strict=True)
    ]
    staff = [_yearly(s, s, rng, "명") for s in reported.staff[index]]
    r = {name: int(values[index]) for name, values in reported.results.items()}
    counts = [r["jobs"], r["regular"], r["jobs"] - r["regular"], r["young"]]
    sold = [r["sales_home"] + r["sales_abroad"], r["sales_home"], r["sales_abroad"]]
    return [
        *sales,
        *staff,
        *(_zero(c, rng, "명") for c in counts),
        *(_zero(s, rng, "") for s in sold),
        *(_zero(c, rng, "건") for c in (r["patents"], r["papers"])),
    ]


def _yearly(value: float, staff: float, rng: np.random.Generator, suffix: str) -> Any:
    if np.isnan(staff):
        return "해당없음"
    return "-" if staff == 0 else _number(value, rng, suffix)


def _zero(value: int, rng: np.random.Generator, suffix: str) -> Any:
    if value == 0:
        return ("-", 0, "해당없음")[int(rng.integers(3))]
    return _number(value, rng, suffix)


def _attractions_sheet(sheet: Worksheet, reported: Reported, rng: np.random.Generator) -> None:
    heads = ("연번", "시도", "기업명", "사업자등록번호", "유치구분", "이전전소재지", "이전후소재지", "유치일", "투자금액(억원)",
             "고용계획(명)", "비고")  # fmt: skip
    row = _title(sheet, f"국가혁신클러스터 {reported.phase}단계 기업유치 현황", "", len(heads))
    _put(sheet, [list(heads)], row + 1)
    twice = set(np.linspace(3, len(reported.attractions) - 1, 5).astype(int).tolist())
    rows: list[tuple[int, Row]] = []
    for index, a in enumerate(reported.attractions):
        for copy in range(2 if index in twice else 1):
            rows.append((a.province, [
                len(rows) + 1, _SIDO[a.province], a.name, _business_number(a.business_number, rng), a.kind, a.origin,
                a.destination, _date((*a.when, 1), rng), a.investment if a.kind != "MOU" else "-",
                _number(a.jobs, rng, "명"), "타 기관과 중복 보고" if copy else None,
            ]))  # fmt: skip
    body = _by_province(rows, (9,), lambda text: [None, text], len(heads))
    row = _put(sheet, body, row + 2)
    _put(sheet, [["※ 유치는 협약(MOU) 체결 기준이며 이전 완료와 다를 수 있음"], [_NOT_REAL]], row + 1)
