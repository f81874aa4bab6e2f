"""One truth written in many layouts: containers, encodings, headers, units, subtotals, notes, spacers, arrangements.

Each layout also says what each of its headers is, which is what an analyst answers to the questions of a guess.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import openpyxl
from old_excel import xls_bytes
from workbook_truth import YEARS, Truth

UNIT = {"원": 1, "천원": 1000, "백만원": 10**6, "억원": 10**8}
CHOICES: dict[str, tuple[Any, ...]] = {
    "container": ("xlsx", "csv", "xls", "xlsx", "csv"),
    "encoding": ("utf-8", "utf-8-sig", "cp949", "utf-16-le", "utf-16-be"),
    "separator": (",", "\t", ";"),
    "header": ("two", "one", "three"),
    "words": ("plain", "other", "marked", "asked"),
    "unit_place": ("above", "header", "none"),
    "unit": ("천원", "백만원", "원", "억원"),
    "titles": (1, 0, 3),
    "subtotals": (True, False, True),
    "notes": (True, False),
    "spacer_columns": (False, True, False),
    "spacer_rows": (False, False, True),
    "hidden": (False, True),
    "numbers": ("plain", "comma", "suffix"),
    "dates": ("iso", "dots", "real", "compact", "short"),
    "vertical": (False, True, False),
    "arrangement": ("sheets", "below", "beside"),
    "phase_in_name": (True, False),
}
_STRIDE = {name: stride for stride, name in enumerate(CHOICES, start=1)}


@dataclass(frozen=True)
class Layout:
    """One way to write the truth; see `CHOICES`."""

    container: str
    encoding: str
    separator: str
    header: str
    words: str
    unit_place: str
    unit: str
    titles: int
    subtotals: bool
    notes: bool
    spacer_columns: bool
    spacer_rows: bool
    hidden: bool
    numbers: str
    dates: str
    vertical: bool
    arrangement: str
    phase_in_name: bool

    @property
    def name(self) -> str:
        return "-".join(
            str(getattr(self, f.name)).replace("\t", "tab").replace(",", "comma").replace(";", "semicolon")
            for f in fields(self)
        )


def layouts(count: int) -> list[Layout]:
    """Layouts in which every value of every choice comes up, in changing company."""
    out = []
    for n in range(count):
        picked = {
            name: values[(n * _STRIDE[name] + n // len(values)) % len(values)]
            for name, values in CHOICES.items()
        }
        if picked["container"] == "csv" and picked["arrangement"] == "beside":
            picked["arrangement"] = "below"
        if picked["container"] != "xlsx" and picked["dates"] == "real":
            picked["dates"] = "iso"
        out.append(Layout(**picked))
    return out


@dataclass
class Column:
    """A column of a layout: its header from the group down, its cells, and what it is in each declared table."""

    path: tuple[str, ...]
    cells: list[Any]
    means: dict[str, str] = field(default_factory=dict)
    money: bool = False
    total: bool = False
    label: str = ""  # the header as the sheet shows it, groups and units included


@dataclass
class Sheet:
    """Cells, merges and hidden rows (from zero) of one sheet or one table."""

    name: str
    rows: list[list[Any]]
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)


@dataclass
class Written:
    """A file of a layout and what its headers are: declared table -> header -> column; unit and phase as told."""

    path: Path
    answers: dict[str, dict[str, str]]
    unit: str
    vertical: bool


_OTHER = {
    "과제번호": "과제코드", "기업명": "업체명", "사업자등록번호": "사업자번호", "사업구분": "R&D/비R&D", "과제명": "사업명",
    "주관/참여": "참여형태", "본사소재지": "본사주소", "국비": "정부출연금", "논문": "논문게재", "특허출원": "특허 출원 건수",
    "유치구분": "유치유형", "이전전소재지": "종전소재지", "이전후소재지": "신규소재지", "유치일": "이전일", "매출액": "총매출액",
    "종업원수": "상시근로자수",
}  # fmt: skip
_MARKED = {
    "과제번호": "① 과제번호", "기업명": "기업명*", "사업자등록번호": "사업자등록번호('-' 제외)", "과제명": "2. 과제명",
    "유치일": "유치일(YYYY-MM-DD)", "유치구분": "유치구분1)", "업종코드(KSIC)": "업종코드(5자리)",
}  # fmt: skip
_ASKED = {
    "과제번호": "고유번호", "국비": "국가지원액", "논문": "논문 편수(SCI)", "유치구분": "유치 형태", "기업명": "수행 기업체",
    "특허출원": "특허(출원+등록)",
}  # fmt: skip


def _word(text: str, layout: Layout) -> str:
    table = {"plain": {}, "other": _OTHER, "marked": _MARKED, "asked": _ASKED}[layout.words]
    return str(table.get(text, text))


# -- cells as people type them --------------------------------------------------------------------------------


def _money(won: int | None, layout: Layout) -> Any:
    if won is None:
        return "-"
    scale = UNIT[layout.unit]
    whole, rest = divmod(won, scale)
    if layout.numbers == "plain":
        return whole if not rest else won / scale
    digits = len(str(scale)) - 1
    return f"{whole:,}" + (f".{rest:0{digits}d}".rstrip("0") if rest else "")


def _count(value: int | None, layout: Layout, unit: str = "명") -> Any:
    if value is None:
        return "해당없음"
    if layout.numbers == "plain":
        return value
    return f"{value:,}{unit}" if layout.numbers == "suffix" else f"{value:,}"


def _zero(value: int, layout: Layout, unit: str) -> Any:
    return "-" if value == 0 and layout.numbers != "plain" else _count(value, layout, unit)


def _date(day: dt.date, layout: Layout) -> Any:
    return {
        "iso": day.isoformat(),
        "dots": f"{day.year}.{day.month}.{day.day}.",
        "real": day,
        "compact": f"{day:%Y%m%d}",
        "short": f"’{day:%y}.{day.month}.{day.day}.",
    }[layout.dates]


def _number(text: str, place: int) -> str:
    return f"{text[:3]}-{text[3:5]}-{text[5:]}" if place % 2 else text


# -- the three tables -------------------------------------------------------------------------------------------


def projects_table(told: Truth, layout: Layout) -> list[Column]:
    """과제현황."""
    rows, table = told.projects, "performance_projects"

    def col(
        path: tuple[str, ...], cell: Callable[[int, dict[str, Any]], Any], name: str = "", **more: Any
    ) -> Column:
        means = {table: name} if name else {}
        return Column(path, [cell(n, row) for n, row in enumerate(rows)], means, **more)

    track = {"rnd": "R&D", "non_rnd": "비R&D"}
    role = {"lead": "주관", "partner": "참여"}
    return [
        col(("연번",), lambda n, r: n + 1),
        col(("시도",), lambda n, r: r["sido"], "sido"),
        col(("사업구분",), lambda n, r: track[r["track"]], "track"),
        col(("세부프로그램",), lambda n, r: r["programme_line"], "programme_line"),
        col(("과제번호",), lambda n, r: r["project_id"], "project_id"),
        col(("과제명",), lambda n, r: r["project_name"], "project_name"),
        col(("주관/참여",), lambda n, r: role[r["role"]], "role"),
        col(("기업명",), lambda n, r: r["firm_name"], "firm_name"),
        col(("사업자등록번호",), lambda n, r: _number(r["number"], n), "firm_id"),
        col(("대표자",), lambda n, r: f"홍길{n}"),
        col(("업종코드(KSIC)",), lambda n, r: r["industry"], "industry"),
        col(("본사소재지",), lambda n, r: r["address"], "region"),
        col(("협약기간", "시작일"), lambda n, r: _date(r["start"], layout), "agreement_start"),
        col(("협약기간", "종료일"), lambda n, r: _date(r["end"], layout), "agreement_end"),
        col(("사업비", "계"), lambda n, r: _money(sum(r[m] for m in ("national_grant_krw", "local_grant_krw", "private_krw")), layout), money=True, total=True),
        col(("사업비", "국비"), lambda n, r: _money(r["national_grant_krw"], layout), "national_grant_krw", money=True, total=True),
        col(("사업비", "지방비"), lambda n, r: _money(r["local_grant_krw"], layout), "local_grant_krw", money=True, total=True),
        col(("사업비", "민간부담금"), lambda n, r: _money(r["private_krw"], layout) if r["private_krw"] else "-", "private_krw", money=True, total=True),
        col(("비고",), lambda n, r: ""),
    ]  # fmt: skip


def outcomes_table(told: Truth, layout: Layout) -> list[Column]:
    """성과: outcomes and the yearly totals of the firm."""
    rows, first, second = told.projects, "performance_outcomes", "performance_firm_years"

    def col(
        path: tuple[str, ...],
        cell: Callable[[int, dict[str, Any]], Any],
        means: dict[str, str] | None = None,
        **more: Any,
    ) -> Column:
        return Column(path, [cell(n, row) for n, row in enumerate(rows)], means or {}, **more)

    def yearly(name: str, cell: Callable[[Any], Any], key: str, column: str, **more: Any) -> list[Column]:
        shown = (str(YEARS[0]), f"{YEARS[1]}년", f"’{YEARS[2] % 100}")
        return [
            col((name, text), lambda n, r, at=at: cell(r[key][at]), {second: f"{column} {YEARS[at]}"}, **more)
            for at, text in enumerate(shown)
        ]

    both = {first: "", second: ""}
    return [
        col(("연번",), lambda n, r: n + 1),
        col(("시도",), lambda n, r: r["sido"]),
        col(("과제번호",), lambda n, r: r["project_id"], dict.fromkeys(both, "project_id")),
        col(("기업명",), lambda n, r: r["firm_name"], {first: "firm_name"}),
        col(("사업자등록번호",), lambda n, r: _number(r["number"], n + 1), dict.fromkeys(both, "firm_id")),
        *yearly("매출액", lambda v: _money(v, layout), "sales", "total_sales_million_krw", money=True, total=True),
        *yearly("종업원수", lambda v: _count(v, layout), "staff", "employees", total=True),
        col(("신규고용", "계"), lambda n, r: _count(r["new_jobs"], layout), {first: "new_jobs"}, total=True),
        col(("신규고용", "정규직"), lambda n, r: _count(r["new_regular_jobs"], layout), {first: "new_regular_jobs"}, total=True),
        col(("신규고용", "비정규직"), lambda n, r: _count(r["temporary"], layout), total=True),
        col(("신규고용", "청년"), lambda n, r: _zero(r["new_youth_jobs"], layout, "명"), {first: "new_youth_jobs"}, total=True),
        col(("사업화매출액", "계"), lambda n, r: _money(r["sold"], layout), {first: "commercial_sales_million_krw"}, money=True, total=True),
        col(("사업화매출액", "내수"), lambda n, r: _money(r["home"], layout), money=True, total=True),
        col(("사업화매출액", "수출"), lambda n, r: _money(r["abroad"], layout), money=True, total=True),
        col(("특허출원",), lambda n, r: _zero(r["patents"], layout, "건"), {first: "patents"}, total=True),
        col(("논문",), lambda n, r: _zero(r["papers"], layout, "건"), {first: "papers"}, total=True),
    ]  # fmt: skip


def attracted_table(told: Truth, layout: Layout) -> list[Column]:
    """기업유치."""
    rows, table = told.attracted, "performance_attracted"
    kinds = {
        "headquarters": "본사이전",
        "branch": "지사설립",
        "laboratory": "연구소",
        "plant": "공장신설",
        "mou": "MOU",
    }

    def col(
        path: tuple[str, ...], cell: Callable[[int, dict[str, Any]], Any], name: str = "", **more: Any
    ) -> Column:
        return Column(
            path, [cell(n, row) for n, row in enumerate(rows)], {table: name} if name else {}, **more
        )

    return [
        col(("연번",), lambda n, r: n + 1),
        col(("시도",), lambda n, r: r["sido"], "sido"),
        col(("기업명",), lambda n, r: r["firm_name"], "firm_name"),
        col(("사업자등록번호",), lambda n, r: _number(r["number"], n), "firm_id"),
        col(("유치구분",), lambda n, r: kinds[r["kind"]], "kind"),
        col(("이전전소재지",), lambda n, r: r["from_address"], "from_region"),
        col(("이전후소재지",), lambda n, r: r["to_address"], "to_region"),
        col(("유치일",), lambda n, r: _date(r["date"], layout), "date"),
        col(("투자금액(억원)",), lambda n, r: r["investment"], total=True),
    ]  # fmt: skip


# -- a table as a grid --------------------------------------------------------------------------------------------

_SUPER = {"연번": "기본정보", "시작일": "지원내역", "매출액": "성과", "default": ""}


def grid(title: str, columns: list[Column], layout: Layout) -> Sheet:
    """Title lines, unit line, header, rows with subtotals, notes; the columns' labels are set as the sheet shows them."""
    merging = layout.container != "csv"
    sheet = Sheet(title, [])
    places: list[int] = []
    at = 0
    for number, column in enumerate(columns):
        if (
            layout.spacer_columns
            and number
            and number % 4 == 0
            and column.path[0] != columns[number - 1].path[0]
        ):
            at += 1
        places.append(at)
        at += 1
    width = at
    for line in (f"국가혁신클러스터 {title}", "작성기관 : 부산테크노파크", "작성일 : 2021-03-02")[
        : layout.titles
    ]:
        sheet.rows.append([line] + [None] * (width - 1))
    if layout.titles and merging:
        sheet.merges.append((0, 0, 0, width - 1))
    if layout.unit_place == "above" and any(c.money for c in columns):
        sheet.rows.append([None] * (width - 1) + [f"(단위: {layout.unit}, 명)"])
    _header(sheet, columns, places, width, layout, merging=merging)
    body = len(sheet.rows)
    _rows(sheet, columns, places, width, layout, merging=merging)
    if layout.hidden:
        sheet.hidden = [body + 1, body + 3]
    if layout.notes:
        sheet.rows.append([None] * width)
        sheet.rows.append(["※ 기업이 스스로 적은 값임"] + [None] * (width - 1))
    return sheet


def _header(
    sheet: Sheet, columns: list[Column], places: list[int], width: int, layout: Layout, *, merging: bool
) -> None:
    paths = []
    group = "기본정보"
    for column in columns:
        path = tuple(_word(text, layout) for text in column.path)
        if column.money and layout.unit_place == "header":
            path = (*path[:-1], f"{path[-1]}({layout.unit})")
        if layout.header == "one":
            path = (" ".join(path),)
        elif layout.header == "three":
            group = (
                "지원내역"
                if column.path[0] in ("협약기간", "유치구분")
                else "성과"
                if column.path[0] == "매출액"
                else group
            )
            path = (group, *path)
        paths.append(path)
        column.label = " > ".join(path)
    top = len(sheet.rows)
    height = {"one": 1, "two": 2, "three": 3}[layout.header]
    sheet.rows += [[None] * width for _ in range(height)]
    for number, (path, place) in enumerate(zip(paths, places, strict=True)):
        for level, text in enumerate(path):
            before = (
                number
                and places[number - 1] == place - 1
                and paths[number - 1][: level + 1] == path[: level + 1]
            )
            if not (level < len(path) - 1 and before):
                sheet.rows[top + level][place] = int(text) if text.isdigit() and level else text
        if merging and len(path) < height:
            sheet.merges.append((top + len(path) - 1, place, top + height - 1, place))
    if not merging:
        return
    for level in range(height - 1):
        start = 0
        for number in range(1, len(paths) + 1):
            ends = (
                number == len(paths)
                or paths[number][: level + 1] != paths[start][: level + 1]
                or places[number] != places[number - 1] + 1
            )
            if ends:
                if number - start > 1 and len(paths[start]) > level + 1:
                    sheet.merges.append((top + level, places[start], top + level, places[number - 1]))
                start = number


def _rows(
    sheet: Sheet, columns: list[Column], places: list[int], width: int, layout: Layout, *, merging: bool
) -> None:
    count = len(columns[0].cells)
    ids = next((c for c in columns if c.path[-1] == "과제번호"), None)
    region = next(number for number, c in enumerate(columns) if c.path[-1] == "시도")
    started = len(sheet.rows)
    for n in range(count):
        row: list[Any] = [None] * width
        for column, place in zip(columns, places, strict=True):
            row[place] = column.cells[n]
        same = ids is not None and n and ids.cells[n] == ids.cells[n - 1]
        if layout.vertical and same and ids is not None:
            place = places[columns.index(ids)]
            row[place] = None
            above = sheet.merges[-1] if sheet.merges and merging else None
            here = len(sheet.rows)
            if merging and above and above[1] == place and above[2] == here - 1 and above[0] >= started:
                sheet.merges[-1] = (above[0], place, here, place)
            elif merging:
                sheet.merges.append((here - 1, place, here, place))
        sheet.rows.append(row)
        if (
            layout.spacer_rows
            and n % 7 == 6
            and not (layout.vertical and n + 1 < count and ids and ids.cells[n + 1] == ids.cells[n])
        ):
            sheet.rows.append([None] * width)
    if layout.subtotals:
        for label in ("소계", "합계"):
            row = [None] * width
            row[places[region]] = label
            for column, place in zip(columns, places, strict=True):
                if column.total:
                    row[place] = 12345
            sheet.rows.append(row)


# -- files ----------------------------------------------------------------------------------------------------------


def write(layout: Layout, told: Truth, folder: Path) -> list[Written]:
    """The files of a layout; CSV has one file per table unless tables stand below one another."""
    made = {"과제현황": projects_table, "성과": outcomes_table, "기업유치": attracted_table}
    columns = {name: make(told, layout) for name, make in made.items()}
    sheets = {name: grid(name, found, layout) for name, found in columns.items()}
    answers = {name: _answers(found) for name, found in columns.items()}
    stem = "성과조사_1단계" if layout.phase_in_name else "성과조사 결과"
    if layout.arrangement == "sheets" and layout.container == "csv":
        return [
            _file(folder / f"{stem}_{name}", layout, [sheet], answers[name]) for name, sheet in sheets.items()
        ]
    together: dict[str, dict[str, str]] = {}
    for one in answers.values():
        together |= one
    pages = list(sheets.values())
    if layout.arrangement == "below":
        pages = [_below(pages)]
    elif layout.arrangement == "beside":
        pages = [_beside([sheets["과제현황"], sheets["기업유치"]]), sheets["성과"]]
    elif layout.container != "csv":
        cover = Sheet("표지", [["2020년 성과조사 결과"], [None], ["부산테크노파크"]])
        codes = Sheet("작성요령", [["번호", "설명"], [1, "기업이 직접 적음"], [2, "빈 칸을 두지 않음"]])
        pages = [cover, *pages, codes]
    return [_file(folder / stem, layout, pages, together)]


def _answers(columns: list[Column]) -> dict[str, dict[str, str]]:
    tables = {table for column in columns for table in column.means}
    return {table: {c.label: c.means.get(table, "leave") for c in columns} for table in tables}


def _below(pages: Sequence[Sheet]) -> Sheet:
    out = Sheet("종합", [])
    for page in pages:
        start = len(out.rows)
        out.merges += [(a + start, b, c + start, d) for a, b, c, d in page.merges]
        out.hidden += [row + start for row in page.hidden]
        out.rows += [*page.rows, [None], [None]]
    return out


def _beside(pages: Sequence[Sheet]) -> Sheet:
    out = Sheet("현황", [])
    height = max(len(page.rows) for page in pages)
    left = 0
    rows: list[list[Any]] = [[] for _ in range(height)]
    for page in pages:
        width = max(len(row) for row in page.rows)
        out.merges += [(a, b + left, c, d + left) for a, b, c, d in page.merges]
        for n in range(height):
            own = page.rows[n] if n < len(page.rows) else []
            rows[n] += [*own, *[None] * (width - len(own) + 1)]
        left += width + 1
    out.rows = rows
    return out


def _file(path: Path, layout: Layout, pages: Sequence[Sheet], answers: dict[str, dict[str, str]]) -> Written:
    path = path.with_name(f"{path.name}.{layout.container}")
    if layout.container == "xlsx":
        path.write_bytes(_xlsx(pages))
    elif layout.container == "xls":
        path.write_bytes(xls_bytes([(p.name, p.rows, p.merges) for p in pages]))
    else:
        path.write_bytes(_csv(pages[0], layout))
    return Written(path, answers, layout.unit, layout.vertical)


def _xlsx(pages: Sequence[Sheet]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for page in pages:
        sheet = book.create_sheet(page.name)
        for r, row in enumerate(page.rows, start=1):
            for c, value in enumerate(row, start=1):
                if value is not None and value != "":
                    sheet.cell(row=r, column=c, value=value)
        for top, left, bottom, right in page.merges:
            sheet.merge_cells(
                start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1
            )
        for row in page.hidden:
            sheet.row_dimensions[row + 1].hidden = True
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _csv(page: Sheet, layout: Layout) -> bytes:
    width = max(len(row) for row in page.rows)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=layout.separator, lineterminator="\r\n")
    for row in page.rows:
        writer.writerow(["" if v is None else v for v in [*row, *[None] * (width - len(row))]])
    text = out.getvalue()
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(layout.encoding, b"")
    return mark + text.encode(layout.encoding)
