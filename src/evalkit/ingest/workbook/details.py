"""What a proposed header needs beside its column: unit, dashes, blanks, words; and columns that have no header."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from evalkit.ingest import units
from evalkit.ingest.table import ColumnSpec, TableSpec
from evalkit.ingest.workbook.blocks import Block
from evalkit.ingest.workbook.evidence import looks_like_company, shape_of, verdict
from evalkit.ingest.workbook.model import LEAVE, QUESTION
from evalkit.ingest.workbook.part import one_line, unit_in, unknown_money
from evalkit.ingest.workbook.proposal import Candidate, ConstantGuess, HeaderGuess
from evalkit.ingest.workbook.weighing import SheetColumn

_NOWHERE = "단위가 어디에도 적혀 있지 않음"
_NAMED = ("text", "name", "category", "date", "business_number")


def header_guess(
    column: SheetColumn,
    keys: Mapping[int, str],
    block: Block,
    spec: TableSpec,
    found: Sequence[Candidate],
    *,
    ask: bool,
) -> HeaderGuess:
    """A header with everything that its line in the mapping file says."""
    best = found[0]
    declared = spec.column(best.column)
    unit, unit_evidence = _unit(column, block, declared)
    dash, blank, emptiness = _emptiness(column, declared)
    words: tuple[str, ...] = ()
    if declared.kind == "category" and not ask:
        words = tuple(map(one_line, filter(_may_be_shown, column.cells.unknown_words(declared))))
    values = tuple(dict.fromkeys(value for _, value in declared.categories))
    return HeaderGuess(
        key=keys[column.position],
        letters=column.letters,
        column=QUESTION if ask else best.column,
        confidence=best.confidence,
        evidence=best.evidence,
        candidates=tuple(found),
        year=None if ask else best.year,
        unit=unit,
        unit_evidence=unit_evidence,
        dash=dash,
        blank=blank if not ask else "",
        emptiness=emptiness,
        words=words,
        values=values if words else (),
        shape=shape_of(column.cells.texts),
    )


def _may_be_shown(word: str) -> bool:
    """A category word; what may be a firm's name or a number is never written, the reader will name its row."""
    return len(word) <= 15 and not (looks_like_company(word) or re.search(r"\d{3}", word))


def _unit(column: SheetColumn, block: Block, declared: ColumnSpec) -> tuple[str, str]:
    """Unit of a money column and where it was found; a question where it was not."""
    if declared.kind != "money":
        return "", ""
    foreign = unknown_money(list(column.path))
    if foreign:
        return QUESTION, f"머리글의 '{one_line(foreign)}' 은(는) 모르는 단위임"
    own = unit_in(list(column.path))
    if units.dimension(own) == "money":
        return own, "머리글에 적힘"
    above = [unit for unit in block.table_units if units.dimension(unit) == "money"]
    if len(set(above)) == 1:
        return above[0], "표 위에 적힘"
    if above:
        return QUESTION, f"표 위의 단위가 여럿임 ({', '.join(map(one_line, above))})"
    money = {unit: n for unit, n in column.cells.units.items() if units.dimension(unit) == "money"}
    if len(money) == 1 and sum(money.values()) == column.cells.said:
        return next(iter(money)), "칸마다 적힘"
    unknown = [unit for unit in block.table_units if not units.known(unit)]
    if unknown:
        return QUESTION, f"표 위의 '{one_line(unknown[0])}' 은(는) 모르는 단위임"
    return QUESTION, f"{_NOWHERE} (값의 크기: {_magnitude(column)})"


def _magnitude(column: SheetColumn) -> str:
    values = [abs(v) for v in column.cells.numbers.tolist() if v == v and v]
    digits = sorted(len(str(int(v))) for v in values)
    if not digits:
        return "값이 없음"
    span = f"{digits[0]}–{digits[-1]}자리" if digits[0] != digits[-1] else f"{digits[0]}자리"
    return f"{span}, 가운데 {digits[len(digits) // 2]}자리"


def one_unit_for_all(headers: Sequence[HeaderGuess]) -> tuple[list[HeaderGuess], str, str]:
    """Where several amounts lack a unit one question is asked of the table: (headers, unit, what is asked)."""
    lost = [h for h in headers if h.unit == QUESTION and h.unit_evidence.startswith(_NOWHERE)]
    if len(lost) < 2:
        return list(headers), "", ""
    names = ", ".join(f"{h.key}{h.unit_evidence.removeprefix(_NOWHERE)}" for h in lost[:3])
    more = f" 등 {len(lost)}개 열" if len(lost) > 3 else ""
    told = [replace(h, unit="", unit_evidence="") if h in lost else h for h in headers]
    return told, QUESTION, f"{_NOWHERE}: {names}{more}"


def _emptiness(column: SheetColumn, declared: ColumnSpec) -> tuple[str, str, tuple[str, ...]]:
    """(dash, blank, what was seen) where there are such cells; the declaration says what they usually mean."""
    words = {"missing": "빈 값", "zero": "0", "above": "위와 같음"}
    seen: list[str] = []
    dash = blank = ""
    if column.cells.dashed and declared.kind in ("integer", "number", "money"):
        dash = declared.dash
        seen.append(f"'-'·'해당없음' {column.cells.dashed}칸을 {words[dash]}(으)로")
    if column.cells.blank and not declared.nullable and declared.kind in _NAMED:
        blank = QUESTION
        seen.append(f"빈 칸 {column.cells.blank}개: 위와 같으면 above, 값이 없으면 missing")
    return dash, blank, tuple(seen)


# -- columns without a header ------------------------------------------------------------------------------


def constants(
    spec: TableSpec,
    headers: Sequence[HeaderGuess],
    block: Block,
    path: Path,
    spare: Sequence[SheetColumn],
) -> tuple[ConstantGuess, ...]:
    """Columns that the sheet does not have: the phase, the year of yearly values, and required ones.

    `spare` are the columns that nothing is read from: those whose cells would fit a required one are named.
    """
    given = {header.column for header in headers}
    asked = {c.column for header in headers if header.column == QUESTION for c in header.candidates}
    names = [column.name for column in spec.columns]
    out: list[ConstantGuess] = []
    if "phase" in names and "phase" not in given | asked:
        out.append(_phase(spec.column("phase"), block, path, named=not spec.column("phase").required))
    for column in spec.columns:
        if column.required and column.name not in given | asked and column.name != "phase":
            aliases = ", ".join(column.aliases[:4])
            fitting = [c.label for c in spare if c.label and verdict(c.cells, column).support >= 1]
            near = f"; 꼴이 맞는 머리글: {', '.join(map(repr, fitting[:4]))}" if fitting else ""
            words = (f"머리글을 찾지 못함 (아는 머리글: {aliases}{near})",)
            out.append(ConstantGuess(column.name, column.meaning, QUESTION, words))
    yearless = [h.key for h in headers if h.column in names and _lacks_year(h, spec)]
    if yearless and spec.year_column not in given | asked:
        words = (f"머리글 {', '.join(map(repr, yearless[:3]))} 에 연도가 없음: 어느 해의 값인지 적을 것",)
        out.append(ConstantGuess(spec.year_column, "연도", QUESTION, words))
    return tuple(out)


def _lacks_year(header: HeaderGuess, spec: TableSpec) -> bool:
    return spec.column(header.column).by_year and header.year is None


def _phase(column: ColumnSpec, block: Block, path: Path, *, named: bool) -> ConstantGuess:
    """The phase that the file's name, the sheet's name and the lines above the table speak of, if it is one.

    Where the reader takes it from the file's name itself (`named`) nothing need be written: one mapping then serves the
    workbooks of all phases.
    """
    places = (("파일 이름", path.stem), ("시트 이름", block.sheet), *(("표 위의 글", t) for t in block.above))
    found: dict[str, str] = {}
    for where, text in places:
        for hit in phases_in(text):
            found.setdefault(hit, where)
    if len(found) == 1:
        (phase, where), *_ = found.items()
        if named and where == "파일 이름":
            return ConstantGuess("phase", column.meaning, "", (f"적지 않으면 파일 이름의 단계({phase})",))
        return ConstantGuess("phase", column.meaning, phase, (f"{where}에 '{phase}단계' 가 있음",))
    why = "파일에 단계가 적혀 있지 않음" if not found else f"단계가 여럿임 ({', '.join(sorted(found))})"
    return ConstantGuess("phase", column.meaning, QUESTION, (f"{why}: 1, 2, 3 가운데 하나를 적을 것",))


def phases_in(text: str) -> list[str]:
    """Phases that a text names: «성과조사 1단계» → ["1"]."""
    return re.findall(r"(?<!\d)([123])\s*단계", unicodedata.normalize("NFKC", text))


def region_year(spec: TableSpec, headers: Sequence[HeaderGuess], path: Path) -> tuple[str, str]:
    """When region codes were in use where no column of the table says it: a question, unless the file's name has a year.

    The year of the name is not written, since the reader takes it from there: one mapping then serves the files of all years.
    """
    from evalkit.ingest.sources.fields import year_in_name

    given = {header.column for header in headers if header.column not in (QUESTION, LEAVE)}
    lonely = [
        c for c in spec.columns if c.kind == "region" and c.name in given and c.region_date not in given
    ]
    if not lonely:
        return "", ""
    year = year_in_name(path)
    if year is not None:
        return "", f"적지 않으면 파일 이름의 연도({year})"
    return QUESTION, f"{lonely[0].meaning} 이(가) 어느 해의 행정구역인지 적을 것 (예: 2019)"
