"""Where the headers that a mapping names stand in a sheet."""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.errors import SchemaError, nearest
from evalkit.ingest.files import Sheet
from evalkit.ingest.headers import normal
from evalkit.ingest.table import place
from evalkit.ingest.workbook.mapping import MappingFile
from evalkit.ingest.workbook.model import LEAVE, TableMapping, column_letters, header_and_place, span_of_rows
from evalkit.ingest.workbook.part import labels_of

_SEARCHED_ROWS, _HIGHEST = 60, 4


def _rows(first: int, last: int) -> str:
    return f"{first + 1}행" if first == last else f"{first + 1}–{last + 1}행"


@dataclass(frozen=True, slots=True, eq=False)
class Finder:
    """Headers of one table of a mapping, looked for in its part of a sheet."""

    file: str
    sheet: str
    told: MappingFile
    number: int
    entry: TableMapping
    part: Sheet
    left: int

    def _wanted(self) -> list[str]:
        return [key for key, column in self.entry.columns.items() if column.column != LEAVE]

    def header_rows(self) -> tuple[int, int]:
        """First and last row of the header, counted from zero: as told, else where most headers are found.

        Raises
        ------
        SchemaError : the rows told lie beyond the sheet
        """
        height = self.part.cells.shape[0]
        if self.entry.header_rows:
            first, last = span_of_rows(self.entry.header_rows)
            last = first if last is None else last
            if last > height:
                raise SchemaError(
                    f"머리글이 {last}행에 있다고 적었으나 표는 {height}행까지임",
                    where=(
                        *place(self.file, self.sheet),
                        *self.told.where("tables", self.number, "header_rows"),
                    ),
                    remedy="header_rows 를 고치거나 지울 것 (지우면 찾음)",
                )
            return first - 1, last - 1
        return self._best()[1:]

    def _best(self) -> tuple[int, int, int]:
        """(how many headers are found, first row, last row) of the best place."""
        best = (-1, 0, 0)
        wanted = [header_and_place(key) for key in self._wanted()]
        for first in range(min(_SEARCHED_ROWS, self.part.cells.shape[0])):
            for last in range(first, min(first + _HIGHEST, self.part.cells.shape[0])):
                names = {normal(text) for text in labels_of(self.part, first, last)}
                found = sum(normal(label) in names for label, _ in wanted)
                if found > best[0]:
                    best = (found, first, last)
            if best[0] == len(wanted):
                break
        return best

    def position(self, key: str, labels: list[str], first: int, last: int) -> int:
        """Column of a header within the part.

        Raises
        ------
        SchemaError : the header is not there, or stands twice
        """
        label, at = header_and_place(key)
        rows = _rows(first, last)
        where = (*place(self.file, self.sheet), rows, *self.told.where("tables", self.number, "columns", key))
        if at:
            column = at - 1 - self.left
            inside = 0 <= column < len(labels)
            if not inside or (label and normal(labels[column]) != normal(label)):
                there = f"{labels[column]!r} 임" if inside and labels[column] else "비어 있음"
                raise SchemaError(
                    f"머리글 {label!r} 이(가) {column_letters(at)}열에 없음: 그 열의 머리글은 {there}",
                    where=where,
                    remedy="열의 글자나 머리글을 고칠 것",
                )
            return column
        found = [place_ for place_, text in enumerate(labels) if text and text == label]
        found = found or [p for p, text in enumerate(labels) if text and normal(text) == normal(label)]
        if len(found) > 1:
            both = "열과 ".join(column_letters(self.left + p + 1) for p in found)
            raise SchemaError(
                f"머리글 {label!r} 이(가) {both}열에 다 있음",
                where=where,
                remedy=f"'{label} @{column_letters(self.left + found[0] + 1)}' 처럼 열을 붙여 적을 것",
            )
        if not found:
            raise SchemaError(
                f"머리글 {label!r} 이(가) 시트에 없음", where=where, remedy=self._elsewhere(label, labels)
            )
        return found[0]

    def _elsewhere(self, label: str, labels: list[str]) -> str:
        """Where to look: the header's rows are others than told, or the nearest header."""
        if self.entry.header_rows:
            count, first, last = self._best()
            if count == len(self._wanted()):
                return f"머리글이 {_rows(first, last)}으로 옮겨 감: header_rows 를 고치거나 지울 것"
        return f"머리글을 시트에 적힌 대로 고칠 것 ({nearest(label, [text for text in labels if text])})"
