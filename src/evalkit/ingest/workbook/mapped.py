"""Reading a workbook as its mapping file says, through the reader of declared tables and with its logs and errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NoReturn

from evalkit.errors import SchemaError, UsageError, ValueProblem
from evalkit.ingest import units
from evalkit.ingest.columns import Options
from evalkit.ingest.files import RawFile, Sheet, read_raw
from evalkit.ingest.headers import Header, Match, column_paths, normal, split_year, units_above
from evalkit.ingest.reading import read_rows
from evalkit.ingest.regions import Date
from evalkit.ingest.sheets import choose_sheet
from evalkit.ingest.sources.fields import year_in_name
from evalkit.ingest.table import ColumnSpec, Repair, Table, TableSpec, place
from evalkit.ingest.workbook.details import phases_in
from evalkit.ingest.workbook.finding import Finder
from evalkit.ingest.workbook.location import mapping_of, names
from evalkit.ingest.workbook.mapping import MappingFile, declared, read_mapping
from evalkit.ingest.workbook.model import LEAVE, MISSING, ColumnMapping, TableMapping
from evalkit.ingest.workbook.part import labels_of, part_of, unit_in, unknown_money

CutLastRow = Literal["error", "drop", "keep"]


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """One table of a mapping with its part of the sheet and its header found; nothing is read yet.

    Attributes
    ----------
    number : position of the table in the mapping file
    part : the part of the sheet
    labels : header of each column of the part
    """

    number: int
    entry: TableMapping
    spec: TableSpec
    part: Sheet
    left: int
    header: Header
    labels: tuple[str, ...]
    repairs: tuple[Repair, ...]


def read_mapped(
    path: str | Path | RawFile,
    mapping: str | Path | MappingFile,
    *,
    key: bytes = b"",
    only: Iterable[str] | None = None,
    year: Date | None = None,
    invalid_identifier: Literal["error", "unlinked"] = "error",
    invalid_region: Literal["error", "missing", "follow"] = "error",
    cut_last_row: CutLastRow = "error",
    sheet: str | None = None,
    units_of: Mapping[str, str] | None = None,
) -> list[Table]:
    """The tables of a workbook in the order of its mapping file.

    Parameters
    ----------
    path : the workbook or delimited text
    mapping : the mapping file, or a folder with one for each workbook
    key : secret for hashing identifiers
    only : names of the declared tables to read; without it all that the mapping names
    year : when region codes were in use, where neither a column nor the mapping (``region_year``) says it; without it the
        year in the file's name
    invalid_identifier, invalid_region, cut_last_row : as `read_table`
    sheet, units_of : refused: the mapping says both

    Raises
    ------
    UsageError : the mapping file is at fault, or holds a question not answered
    FileError, SchemaError, ValueProblem : as `read_table`; also when a header of the mapping is not in the sheet
    """
    raw = path if isinstance(path, RawFile) else read_raw(path)
    refuse_beside(raw.path.name, sheet=sheet, units_of=units_of)
    told = mapping if isinstance(mapping, MappingFile) else read_mapping(mapping_of(mapping, raw.path))
    options = Options(key, invalid_identifier, invalid_region)
    return [
        read_opened(raw, opened, told, options, year=year, cut_last_row=cut_last_row)
        for opened in open_tables(raw, told, only=only)
    ]


def refuse_beside(file: str, **options: Any) -> None:
    """Options that a mapping file says better.

    Raises
    ------
    UsageError : one of `options` is given
    """
    for name, value in options.items():
        if value:
            raise UsageError(
                f"열 대응 파일과 함께 쓸 수 없는 옵션 {name!r}",
                where=(file,),
                remedy="그 옵션을 지우고 열 대응 파일에 "
                + ("sheet 를" if name == "sheet" else "unit 을")
                + " 적을 것",
            )


def read_one(
    raw: RawFile,
    spec: TableSpec,
    mapping: str | Path,
    options: Options,
    *,
    year: Date | None,
    cut_last_row: CutLastRow,
) -> Table:
    """The one table of a declaration, as a mapping says.

    Raises
    ------
    SchemaError : the mapping does not name the table, or names it twice
    """
    told = read_mapping(mapping_of(mapping, raw.path))
    found = list(open_tables(raw, told, only=(spec.name,)))
    if len(found) > 1:
        raise SchemaError(
            f"{spec.title} 표({spec.name})가 열 대응 파일에 {len(found)}번 있음",
            where=told.where("tables", found[1].number),
            remedy="이 자료는 파일 하나에 표 하나임: 하나만 남길 것",
        )
    return read_opened(raw, found[0], told, options, year=year, cut_last_row=cut_last_row)


def open_tables(raw: RawFile, told: MappingFile, *, only: Iterable[str] | None = None) -> Iterator[Opened]:
    """Find each table of the mapping in the workbook.

    Raises
    ------
    UsageError : the mapping is not for this workbook
    SchemaError : a sheet or a header that is not there, or stands twice; none of the tables asked for
    """
    for_this_workbook(raw, told)
    wanted = None if only is None else set(only)
    named = [table.table for table in told.model.tables]
    if wanted is not None and not wanted & set(named):
        raise SchemaError(
            f"열 대응 파일에 {', '.join(sorted(wanted))} 표가 없음 (있는 표: {', '.join(dict.fromkeys(named))})",
            where=(raw.path.name, told.path.name),
            remedy="그 표를 tables 에 더하거나 evalkit ingest guess 로 다시 만들 것",
        )
    for number, entry in enumerate(told.model.tables):
        if wanted is None or entry.table in wanted:
            yield open_table(raw, told, number)


def for_this_workbook(raw: RawFile, told: MappingFile) -> None:
    """Refuse a mapping that was written for another workbook.

    Raises
    ------
    UsageError : the workbook's name fits none of the mapping's patterns
    """
    name, patterns = raw.path.name, told.model.workbook
    if patterns and not names(patterns, name):
        raise UsageError(
            f"{', '.join(patterns)} 의 열 대응 파일로 {name} 을(를) 읽으려 함",
            where=told.where("workbook"),
            remedy="이 파일에도 맞으면 workbook 을 '성과조사_*.xlsx' 같은 무늬나 목록으로 고칠 것",
        )


def open_table(raw: RawFile, told: MappingFile, number: int) -> Opened:
    """Find one table of the mapping: its sheet, its header, the column of each header.

    Raises
    ------
    SchemaError : a sheet or a header that is not there, or stands twice; a year or a unit that contradicts the file
    """
    entry = told.model.tables[number]
    spec = _adapted(declared()[entry.table], entry)
    page = _page(raw, entry, spec, told, number)
    part, left = part_of(page, entry.rows, entry.cols)
    finder = Finder(raw.path.name, page.name, told, number, entry, part, left)
    first, last = finder.header_rows()
    labels = labels_of(part, first, last)
    paths = column_paths(part, first, last)
    above = units_above(part.cells, first, last)
    matches: list[Match] = []
    repairs: list[Repair] = []
    for key, column in entry.columns.items():
        if column.column == LEAVE:
            continue
        position = finder.position(key, labels, first, last)
        match = _match(position, labels[position], column, spec)
        at = (*place(raw.path.name, page.name, last + 1), *told.where("tables", number, "columns", key))
        _refuse_other_year(labels[position], column, at)
        own = unit_in(paths[position])
        foreign = unknown_money(paths[position])
        unit = column.unit or ("" if own or match.column.kind != "money" else entry.unit or "")
        if match.column.kind == "money" and foreign and not unit:
            raise ValueProblem(
                f"모르는 단위 {foreign!r}",
                where=(*place(raw.path.name, page.name, last + 1), f"열 {labels[position]!r}"),
                remedy=f"{told.path.name} 의 이 머리글에 unit 을 적을 것 (기준 단위: {match.column.unit})",
            )
        said = own or _only([u for u in above if units.dimension(u) == units.dimension(match.column.unit)])
        if unit and said and units.plain_unit(unit) != units.plain_unit(said):
            if "wrong" not in (column.unit_in_file, entry.unit_in_file):
                _refuse_other_unit(labels[position], unit, said, at)
            kind = "파일에 적힌 단위와 다른, 열 대응 파일의 단위로 읽음"
            repairs.append(Repair(raw.path.name, page.name, last + 1, match.label, kind, said, unit))
        matches.append(replace(match, unit=units.plain_unit(unit) if unit else own))
    _once_each(matches, raw, page, told, number)
    matches.sort(key=lambda match: match.position)
    used = {match.position for match in matches}
    unused = tuple(text for at, text in enumerate(labels) if text and at not in used)
    leaves = tuple(normal(str(cell)) for cell in part.cells[last])
    header = Header(first, last, tuple(matches), above, unused, leaves)
    return Opened(number, entry, spec, part, left, header, tuple(labels), tuple(repairs))


def _refuse_other_year(label: str, told: ColumnMapping, at: tuple[str, ...]) -> None:
    """A year that contradicts the header would move a whole year's values to another."""
    found = split_year(label)
    if told.year is not None and found is not None and found[1] != told.year:
        raise SchemaError(
            f"머리글 {label!r} 은(는) {found[1]}년인데 {told.year}년으로 읽으라고 함",
            where=at,
            remedy=f"year 를 {found[1]} (으)로 고치거나 지울 것. 파일이 틀렸으면 통합문서의 머리글을 바꿀 것",
        )


def _refuse_other_unit(label: str, unit: str, said: str, at: tuple[str, ...]) -> NoReturn:
    """A unit that contradicts the file makes amounts larger or smaller by powers of ten."""
    raise SchemaError(
        f"머리글 {label!r} 의 단위는 파일에 {said} (으)로 적혀 있는데 {unit} (으)로 읽으라고 함",
        where=at,
        remedy="unit 을 고치거나 지울 것. 파일에 적힌 단위가 틀렸으면 unit 옆에 'unit_in_file: wrong' 을 적을 것",
    )


def read_opened(
    raw: RawFile,
    opened: Opened,
    told: MappingFile,
    options: Options,
    *,
    year: Date | None = None,
    cut_last_row: CutLastRow = "error",
) -> Table:
    """Read the rows of a table that `open_table` found; the table's notes name the mapping file and its hash.

    Region codes whose date no column says are of ``region_year``, else of `year`, else of the year in the file's name.

    Raises
    ------
    UsageError : the mapping says one phase for every row, and the file's name another
    """
    constants = tuple(
        (Match(-1, opened.spec.column(name), name, ""), text) for name, text in opened.entry.constants.items()
    )
    _refuse_other_phase(raw, opened, told)
    when = year_in_name(raw.path) if year is None else year
    if opened.entry.region_year:
        text = opened.entry.region_year
        when = int(text) if len(text) == 4 else text
    notes: dict[str, Any] = {"mapping": told.path.name, "mapping_sha256": told.sha256}
    table = read_rows(
        raw,
        opened.part,
        opened.header,
        opened.spec,
        options,
        year=when,
        cut_last_row=cut_last_row,
        constants=constants,
        notes=notes,
    )
    return table.with_frame(table.frame, repairs=opened.repairs)


def _refuse_other_phase(raw: RawFile, opened: Opened, told: MappingFile) -> None:
    """A mapping written for the workbook of one phase must not give its phase to those of the others."""
    named = set(phases_in(raw.path.stem))
    phase = opened.entry.constants.get("phase")
    values = dict(opened.spec.column("phase").categories) if phase else {}
    if phase and len(named) == 1 and values.get(phase, phase) not in named:
        raise UsageError(
            f"파일 이름은 {named.pop()}단계인데 모든 행의 phase 를 {phase!r} (으)로 읽으라고 함",
            where=(raw.path.name, *told.where("tables", opened.number, "constants", "phase")),
            remedy="phase 줄을 지울 것 (파일 이름의 단계를 씀)",
        )


def _only(found: list[str]) -> str:
    return found[0] if len(found) == 1 else ""


def _adapted(spec: TableSpec, entry: TableMapping) -> TableSpec:
    """The declaration with what the mapping says of dashes, blanks and words."""
    changes: dict[str, dict[str, Any]] = {}
    for told in entry.columns.values():
        if told.column == LEAVE:
            continue
        column = spec.column(told.column)
        changes.setdefault(told.column, {}).update(_changes(column, told))
    return spec.with_columns(**changes)


def _changes(column: ColumnSpec, told: ColumnMapping) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if told.dash:
        out["dash"] = told.dash
    if told.blank:
        out["blank"] = told.blank
    if told.categories:
        values = dict(column.categories)
        words = tuple(
            (w, values.get(value, value)) for w, value in told.categories.items() if value != MISSING
        )
        out["categories"] = (*column.categories, *words)
        gone = tuple(word for word, value in told.categories.items() if value == MISSING)
        out["null_values"] = (*column.null_values, *gone)
    return out


def _match(position: int, label: str, told: ColumnMapping, spec: TableSpec) -> Match:
    column = spec.column(told.column)
    column = replace(column, **_changes(column, told))
    year = told.year
    if column.by_year and year is None:
        found = split_year(label)
        year = found[1] if found else None
    return Match(position, column, label, "", year)


def _page(raw: RawFile, entry: TableMapping, spec: TableSpec, told: MappingFile, number: int) -> Sheet:
    filled = [page for page in raw.sheets if page.cells.size]
    if len(filled) == 1 and (entry.sheet is None or not filled[0].name):
        return filled[0]
    if entry.sheet is None:
        names = ", ".join(repr(page.name) for page in filled)
        raise SchemaError(
            f"시트가 {len(filled)}개인데 {entry.table} 표가 어느 시트에 있는지 적지 않음",
            where=(raw.path.name, *told.where("tables", number)),
            remedy=f"sheet 를 적을 것 (있는 시트: {names})",
        )
    return choose_sheet(raw, spec, entry.sheet)


def _once_each(matches: list[Match], raw: RawFile, page: Sheet, told: MappingFile, number: int) -> None:
    seen: dict[tuple[str, int | None], Match] = {}
    for match in matches:
        key = (match.column.name, match.year)
        if key in seen:
            raise SchemaError(
                f"머리글 {seen[key].label!r} 와(과) {match.label!r} 을(를) 모두 열 {match.column.name}"
                + (f"({match.year}년)" if match.year else "")
                + " (으)로 읽으라고 함",
                where=(*place(raw.path.name, page.name), *told.where("tables", number)),
                remedy="하나를 leave 로 바꾸거나 year 를 적을 것",
            )
        seen[key] = match
