"""What a mapping file makes of a workbook, table by table, and what a workbook holds before there is a mapping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evalkit.errors import DataError, ValueProblem
from evalkit.ingest.columns import Options
from evalkit.ingest.files import RawFile, read_raw
from evalkit.ingest.headers import normal
from evalkit.ingest.regions import Date
from evalkit.ingest.table import ColumnSpec, Table, TableSpec
from evalkit.ingest.workbook.blocks import tables_in
from evalkit.ingest.workbook.location import mapping_of
from evalkit.ingest.workbook.mapped import Opened, for_this_workbook, open_table, read_opened
from evalkit.ingest.workbook.mapping import MappingFile, declared, read_mapping
from evalkit.ingest.workbook.model import column_letters, header_and_place
from evalkit.ingest.workbook.part import labels_of

_KEY = b"check only: nothing that is read here is kept"


@dataclass(frozen=True, slots=True, eq=False)
class TableCheck:
    """One table of a mapping, read or not.

    Attributes
    ----------
    table : what was read; None where it could not be, and `fault` says why
    unmapped : headers that neither a table nor ``leave`` names, with Excel's letters
    absent : declared columns that nothing gives (none of them required)
    """

    name: str
    spec: TableSpec
    sheet: str
    header_rows: tuple[int, int] | None
    table: Table | None
    fault: DataError | None
    unmapped: tuple[str, ...]
    absent: tuple[ColumnSpec, ...]

    @property
    def rows_read(self) -> int:
        """Rows below the header."""
        return self.table.flow[0].rows if self.table is not None and self.table.flow else 0

    @property
    def rows_used(self) -> int:
        """Rows of the sheet that became rows of the table."""
        return int(self.table.frame["source_row"].nunique()) if self.table is not None else 0


def check_mapping(
    path: str | Path,
    mapping: str | Path | MappingFile,
    *,
    year: Date | None = None,
    invalid_identifier: Literal["error", "unlinked"] = "error",
    invalid_region: Literal["error", "missing", "follow"] = "error",
    cut_last_row: Literal["error", "drop", "keep"] = "error",
) -> list[TableCheck]:
    """Read every table of a mapping; a fault in one does not hide those of the others.

    Raises
    ------
    UsageError : the mapping file is at fault
    FileError : the workbook cannot be read at all
    """
    raw = read_raw(path)
    told = mapping if isinstance(mapping, MappingFile) else read_mapping(mapping_of(mapping, raw.path))
    for_this_workbook(raw, told)
    options = Options(_KEY, invalid_identifier, invalid_region)
    opened = {number: _opened(raw, told, number) for number in range(len(told.model.tables))}
    found = [one for one in opened.values() if isinstance(one, Opened)]
    checks = []
    for number, entry in enumerate(told.model.tables):
        one = opened[number]
        spec = declared()[entry.table]
        absent = _absent(spec, [c.column for c in entry.columns.values()] + [*entry.constants])
        if isinstance(one, DataError):
            checks.append(TableCheck(entry.table, spec, entry.sheet or "", None, None, one, (), absent))
            continue
        rows = (one.header.first_row + 1, one.header.last_row + 1)
        table, fault = None, None
        try:
            table = read_opened(raw, one, told, options, year=year, cut_last_row=cut_last_row)
            fault = _no_phase(table, raw)
        except DataError as error:
            fault = error
        unmapped = tuple(_unmapped(one, found))
        checks.append(TableCheck(entry.table, spec, one.part.name, rows, table, fault, unmapped, absent))
    return checks


def _no_phase(table: Table, raw: RawFile) -> DataError | None:
    """Programme tables need a phase: a column, a constant of the mapping, or the file's name."""
    from evalkit.ingest.sources.performance_survey import phase_in_name

    if "phase" not in table.frame or table.frame["phase"].notna().any() or phase_in_name(raw.path):
        return None
    return ValueProblem(
        "몇 단계 자료인지 알 수 없음",
        where=table.where(),
        remedy="constants 에 'phase: 1' 처럼 적거나 파일 이름에 '1단계' 를 넣을 것",
    )


def _opened(raw: RawFile, told: MappingFile, number: int) -> Opened | DataError:
    try:
        return open_table(raw, told, number)
    except DataError as error:
        return error


def _absent(spec: TableSpec, given: Iterable[str]) -> tuple[ColumnSpec, ...]:
    names = set(given)
    by_year = any(column.by_year and column.name in names for column in spec.columns)
    return tuple(
        column
        for column in spec.columns
        if column.name not in names
        and column.name != "phase"
        and not (by_year and column.name == spec.year_column)
    )


def _unmapped(one: Opened, opened: list[Opened]) -> Iterable[str]:
    """Headers of a table's part that no table on that part reads or leaves."""
    here = [o for o in opened if (o.part.name, o.entry.rows, o.entry.cols) == _home(one)]
    if here[0] is not one:
        return
    used = {match.position for o in here for match in o.header.matches}
    left = {(normal(name), at) for o in here for name, at in map(header_and_place, _left(o))}
    for position, label in enumerate(one.labels):
        number = one.left + position + 1
        names = {(normal(label), 0), (normal(label), number)}
        if label and position not in used and not names & left:
            yield f"{label} ({column_letters(number)}열)"


def _home(one: Opened) -> tuple[str, str | None, str | None]:
    return one.part.name, one.entry.rows, one.entry.cols


def _left(one: Opened) -> list[str]:
    return [*one.entry.leave, *(key for key, column in one.entry.columns.items() if column.column == "leave")]


# -- before there is a mapping -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SheetShown:
    """A sheet as `evalkit ingest show` prints it: its size, and each header found with its rows, units and texts."""

    name: str
    rows: int
    columns: int
    hidden: bool
    hidden_rows: int
    merged: int
    headers: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]


def show(path: str | Path) -> tuple[str, list[SheetShown]]:
    """(encoding, sheets) of a file: where headers stand, which units are named, what the headers are.

    Raises
    ------
    FileError : as `read_raw`
    """
    raw = read_raw(path)
    return raw.encoding, [
        SheetShown(
            name=page.name,
            rows=page.cells.shape[0],
            columns=page.cells.shape[1],
            hidden=page.hidden,
            hidden_rows=len(page.hidden_rows),
            merged=len(page.merged),
            headers=tuple(
                (
                    _rows(block.first_row + 1, block.last_row + 1)
                    + (f", {block.cols}열" if block.cols else ""),
                    block.table_units,
                    tuple(text for text in labels_of(block.part, block.first_row, block.last_row) if text),
                )
                for block in tables_in(page)
            ),
        )
        for page in raw.sheets
    ]


def _rows(first: int, last: int) -> str:
    return f"{first}행" if first == last else f"{first}–{last}행"
