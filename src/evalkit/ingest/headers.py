"""Finding the header of a sheet and matching it to declared columns.

A header may stand in one, two or three rows with merged cells; a group heading over several columns is part of each
column's path («매출액» > «2018»). Matching is exact after blanks, brackets and punctuation are taken away: nothing is
guessed. A header that fits two columns, or two headers that fit one, is an error that names both.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import SchemaError, ValueProblem
from evalkit.ingest import units
from evalkit.ingest.files import Sheet
from evalkit.ingest.identifiers import without_numbers
from evalkit.ingest.table import ColumnSpec, TableSpec, place

_SEARCHED_ROWS = 30
_YEAR = re.compile(r"(?<![0-9])(?:((?:19|20)\d{2})|['’‘`´]\s?(\d{2}))\s*(?:년도|년)?(?:말|도)?(?![0-9])")
_BRACKETED = re.compile(r"[(\[<〔【〈{]([^()\[\]<>〔〕【】〈〉{}]*)[)\]>〕】〉}]")


@dataclass(frozen=True, slots=True)
class Match:
    """One column of the sheet that is one declared column (in one year)."""

    position: int
    column: ColumnSpec
    label: str
    unit: str
    year: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Where a header stands and what it means; rows count from zero."""

    first_row: int
    last_row: int
    matches: tuple[Match, ...]
    table_units: tuple[str, ...]
    unused: tuple[str, ...]
    leaves: tuple[str, ...]  # the last row's own text, by which a repeated header is known


@lru_cache(maxsize=4096)
def normal(text: str) -> str:
    """Letters and digits only: what two spellings of one header have in common.

    >>> normal(" 사업장가입상태코드 1 등록 2 탈퇴") == normal("사업장가입상태코드.1.등록.2.탈퇴")
    True
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).lower()


def _filled(sheet: Sheet, first: int, last: int) -> list[list[str]]:
    """Header rows with merged cells filled; without merges, group headings reach right over blank cells."""
    block = sheet.cells[first : last + 1].copy()
    covered = np.zeros(block.shape, dtype=bool)
    for top, left, bottom, right in sheet.merged:
        if top <= last and bottom >= first and bottom - top < 4:
            value = sheet.cells[top, left]
            rows = slice(max(top, first) - first, min(bottom, last) - first + 1)
            block[rows, left : right + 1] = value
            covered[rows, left : right + 1] = True
    for row in range(block.shape[0] - 1):  # the last row holds the leaves: never filled sideways
        for column in range(1, block.shape[1]):
            below = any(str(cell).strip() for cell in block[row + 1 :, column])
            if (
                not str(block[row, column]).strip()
                and below
                and not covered[row, column]
                and not covered[row, column - 1]
            ):
                block[row, column] = block[row, column - 1]
    return [[str(cell).strip() for cell in row] for row in block]


def column_paths(sheet: Sheet, first: int, last: int) -> list[list[str]]:
    """For each column its texts from top to bottom, repeated ones once, unit lines of the table left out."""
    rows = _filled(sheet, first, last)
    paths = []
    for column in range(sheet.cells.shape[1]):
        path: list[str] = []
        for row in rows:
            text = row[column]
            if text and not units.units_in_line(_without_brackets(text)) and text not in path[-1:]:
                path.append(text)
        paths.append(path)
    return paths


def _without_brackets(text: str) -> str:
    """The text of a cell that is nothing but «(단위: …)»; empty for a header that holds more."""
    compact = unicodedata.normalize("NFKC", text).strip().lstrip("([<※* ")
    return compact if compact.startswith("단위") else ""


@lru_cache(maxsize=4096)
def take_unit(text: str) -> tuple[str, str]:
    """A header without the unit that stands in brackets, and the unit: «매출액(천원)» → («매출액», «천원»)."""
    text = unicodedata.normalize("NFKC", text)
    for found in _BRACKETED.finditer(text):
        inside = re.sub(r"^\s*단위\s*[::]?", "", found.group(1))
        if units.known(inside):
            return text[: found.start()] + text[found.end() :], units.plain_unit(inside)
    return text, ""


def path_readings(path: list[str]) -> list[tuple[str, str]]:
    """Ways to read a column's path, the most specific first: (label, unit)."""
    unit = ""
    parts = []
    for text in path:
        if units.known(text):
            unit = units.plain_unit(text)
            continue
        rest, found = take_unit(text)
        unit = found or unit
        if normal(rest):
            parts.append(rest)
    whole = [" ".join(parts[start:]) for start in range(len(parts))]
    raw = [" ".join(path[start:]) for start in range(len(path))]
    return [*((label, unit) for label in whole), *((label, "") for label in raw)]


def split_year(label: str) -> tuple[str, int] | None:
    """A header without the one year in it, and the year; None where it holds none, or several."""
    found = list(_YEAR.finditer(label))
    if len(found) != 1:
        return None
    year = int(found[0].group(1) or 2000 + int(found[0].group(2)))
    return label[: found[0].start()] + " " + label[found[0].end() :], year


class _Aliases:
    """Normalised alias -> declared columns, with and without a year in the header."""

    def __init__(self, spec: TableSpec) -> None:
        self.plain: dict[str, list[ColumnSpec]] = {}
        self.yearly: dict[str, list[ColumnSpec]] = {}
        for column in spec.columns:
            table = self.yearly if column.by_year else self.plain
            for alias in dict.fromkeys(normal(a) for a in (*column.aliases, column.name)):
                table.setdefault(alias, []).append(column)

    def read(self, label: str) -> tuple[list[ColumnSpec], int | None]:
        """Columns that a label may mean, and the year in it."""
        found = self.plain.get(normal(label), [])
        if found:
            return found, None
        split = split_year(label)
        if split is not None and self.yearly.get(normal(split[0])):
            return self.yearly[normal(split[0])], split[1]
        return self.yearly.get(normal(label), []), None  # already one row per year


def _match_columns(
    paths: list[list[str]], aliases: _Aliases, where: tuple[str, ...]
) -> tuple[list[Match], list[str]]:
    matches: list[Match] = []
    unused: list[str] = []
    for position, path in enumerate(paths):
        hit = _match_one(path, position, aliases, where)
        if hit is not None:
            matches.append(hit)
        elif path:
            unused.append(" > ".join(path))
    return matches, unused


def _match_one(path: list[str], position: int, aliases: _Aliases, where: tuple[str, ...]) -> Match | None:
    label = " > ".join(path)
    for text, unit in path_readings(path):
        columns, year = aliases.read(text)
        if len(columns) > 1:
            raise SchemaError(
                f"머리글 {label!r} 이(가) 두 열에 맞음: "
                + ", ".join(f"{c.name}({c.meaning})" for c in columns),
                where=(*where, f"{position + 1}번째 열"),
                remedy="머리글을 더 분명하게 고쳐 쓸 것 (예: 총매출액, 사업화매출액)",
            )
        if columns:
            return Match(position, columns[0], label, unit, year)
    return None


def _unknown_unit(paths: list[list[str]], aliases: _Aliases, where: tuple[str, ...]) -> None:
    """Say so when a header is a declared amount but for a unit that nobody knows: «매출액(백만불)»."""
    for position, path in enumerate(paths):
        text = unicodedata.normalize("NFKC", " ".join(path))
        found = _BRACKETED.search(text)
        if found is None:
            continue
        columns, _ = aliases.read(text[: found.start()] + text[found.end() :])
        if len(columns) == 1 and columns[0].unit:
            raise ValueProblem(
                f"모르는 단위 {found.group(1)!r}",
                where=(*where, f"{position + 1}번째 열 {' > '.join(path)!r}"),
                remedy=f"원·천원·백만원·억원 등 아는 단위로 적을 것 (이 열의 기준 단위: {columns[0].unit})",
            )


def find_header(sheet: Sheet, spec: TableSpec, file: str) -> Header:
    """The rows that fit the declaration best, among the first thirty and up to three high.

    Raises
    ------
    SchemaError : no header, a required column missing, a header that fits two columns, two headers that fit one
    ValueProblem : a header names an unknown unit
    """
    where = place(file, sheet.name)
    aliases = _Aliases(spec)
    best: tuple[tuple[int, int, int], int, int] | None = None
    required = sum(column.required for column in spec.columns)
    for first in range(min(_SEARCHED_ROWS, sheet.cells.shape[0])):
        if best is not None and best[0][0] >= required and first > best[2] + 3:
            break  # a header with every required column stands a few rows above: what follows is data
        for height in (1, 2, 3):
            last = first + height - 1
            if last >= sheet.cells.shape[0]:
                break
            try:
                found, _ = _match_columns(column_paths(sheet, first, last), aliases, ())
            except SchemaError:
                found = []
                score = (_names_in(sheet, first, last, aliases), 0, -height)
            else:
                score = (
                    len({(m.column.name, m.year) for m in found}),
                    sum(bool(m.unit) for m in found),
                    -height,
                )
            if score[0] and (best is None or score > best[0]):
                best = (score, first, last)
    if best is None:
        raise SchemaError(
            f"{spec.title} 표의 머리글 행을 찾을 수 없음",
            where=where,
            remedy="첫 30행 안에 "
            + ", ".join(c.aliases[0] for c in spec.columns if c.required)
            + " 머리글을 둘 것",
        )
    _, first, last = best
    paths = column_paths(sheet, first, last)
    where = (*where, f"{last + 1}행")
    matches, unused = _match_columns(paths, aliases, where)
    _unknown_unit([p if " > ".join(p) in unused else [] for p in paths], aliases, where)
    _once_each(matches, where)
    _all_there(matches, unused, spec, where)
    return Header(
        first_row=first,
        last_row=last,
        matches=tuple(matches),
        table_units=units_above(sheet.cells, first, last),
        unused=tuple(map(without_numbers, unused)),
        leaves=tuple(normal(str(cell)) for cell in sheet.cells[last]),
    )


def _names_in(sheet: Sheet, first: int, last: int, aliases: _Aliases) -> int:
    """How many columns have a known label, when some label fits two."""
    return sum(
        any(aliases.read(text)[0] for text, _ in path_readings(path))
        for path in column_paths(sheet, first, last)
    )


def _once_each(matches: list[Match], where: tuple[str, ...]) -> None:
    seen: dict[tuple[str, int | None], Match] = {}
    for match in matches:
        key = (match.column.name, match.year)
        if key in seen:
            raise SchemaError(
                f"머리글 {seen[key].label!r}({seen[key].position + 1}번째 열)와 "
                f"{match.label!r}({match.position + 1}번째 열)이 모두 {match.column.name}({match.column.meaning}) 열에 맞음",
                where=where,
                remedy="쓰지 않을 열을 지우거나 머리글을 바꿀 것",
            )
        seen[key] = match


def _all_there(matches: list[Match], unused: list[str], spec: TableSpec, where: tuple[str, ...]) -> None:
    have = {match.column.name for match in matches}
    missing = [column for column in spec.columns if column.required and column.name not in have]
    if missing:
        names = ", ".join(repr(column.aliases[0]) for column in missing)
        spellings = ", ".join(repr(alias) for alias in missing[0].aliases[:4])
        raise SchemaError(
            f"{spec.title} 표에 열 {names} 이(가) 없음",
            where=where,
            remedy=f"머리글을 {spellings} 가운데 하나로 적거나 열을 더할 것 ({without_numbers(_left(missing[0], unused))})",
        )


def _left(column: ColumnSpec, unused: list[str]) -> str:
    """Headers that nothing was read from: the nearest, or all."""
    close = get_close_matches(column.aliases[0], unused, n=1, cutoff=0.6)
    if close:
        return f"비슷한 머리글: {close[0]}"
    return f"쓰이지 않은 머리글: {', '.join(unused[:8])}" if unused else "쓰이지 않은 머리글이 없음"


def units_above(cells: NDArray[np.object_], first: int, last: int) -> tuple[str, ...]:
    """Units named by «(단위: …)» above the header or within its rows."""
    for row in range(last, max(-1, first - 8), -1):
        for cell in cells[row]:
            text = str(cell)
            if "단위" in text:
                found = units.units_in_line(text)
                # a header with its own unit in brackets speaks of that column alone
                if found and (row < first or _without_brackets(text)):
                    return found
    return ()
