"""`read_table`: one messy file and one declaration to one validated `Table`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import FileError, SchemaError, ValueProblem
from evalkit.ingest import columns as col
from evalkit.ingest import number_columns as numbers
from evalkit.ingest import units
from evalkit.ingest.columns import Options, Source
from evalkit.ingest.files import RawFile, Sheet, read_raw
from evalkit.ingest.headers import Header, Match, find_header
from evalkit.ingest.identifiers import key_fingerprint
from evalkit.ingest.log import Log
from evalkit.ingest.personal import refuse_residents, search_cells
from evalkit.ingest.place_codes import read_regions
from evalkit.ingest.regions import Date
from evalkit.ingest.rows import body_cells, data_rows, refuse_merged_numbers, refuse_ragged
from evalkit.ingest.sheets import choose_sheet
from evalkit.ingest.table import ColumnSpec, FlowStep, Table, TableSpec, place


def read_table(
    path: str | Path | RawFile,
    spec: TableSpec,
    *,
    sheet: str | None = None,
    key: bytes = b"",
    year: Date | None = None,
    invalid_identifier: Literal["error", "unlinked"] = "error",
    invalid_region: Literal["error", "missing", "follow"] = "error",
    units_of: Mapping[str, str] | None = None,
    cut_last_row: Literal["error", "drop", "keep"] = "error",
    mapping: str | Path | None = None,
) -> Table:
    """Read, match, convert and check one table; nothing is repaired or left out without being logged.

    Parameters
    ----------
    path : an Excel workbook (.xlsx, .xls) or delimited text (UTF-8, CP949, UTF-16; comma, tab, semicolon, bar), or what
        `files.read_raw` made of it
    spec : the declaration
    sheet : name of the sheet; without it the sheet that the declaration names
    key : secret for hashing identifiers; needed when the table has a 사업자등록번호
    year : when the region codes of the file were in use (year, "YYYY-MM", or a day)
    invalid_identifier, invalid_region : see `columns.Options`
    units_of : unit of a money column whose file does not say it, by column name
    cut_last_row : what a file that breaks off in its last row does: stop, or be read without that row (the flow says so)
    mapping : a mapping file, or a folder with one for each workbook: it says where the table stands and which header is
        which column (`evalkit.ingest.workbook`)

    Raises
    ------
    FileError, SchemaError, ValueProblem : one sentence with file, sheet, row, column and what to do
    UsageError : the mapping file is at fault
    """
    raw = path if isinstance(path, RawFile) else read_raw(path)
    options = Options(key, invalid_identifier, invalid_region, tuple((units_of or {}).items()))
    if mapping is not None:
        from evalkit.ingest.workbook.mapped import read_one, refuse_beside

        refuse_beside(raw.path.name, sheet=sheet, units_of=units_of)
        return read_one(raw, spec, mapping, options, year=year, cut_last_row=cut_last_row)
    page = choose_sheet(raw, spec, sheet)
    header = find_header(page, spec, raw.path.name)
    return read_rows(raw, page, header, spec, options, year=year, cut_last_row=cut_last_row)


def read_rows(
    raw: RawFile,
    page: Sheet,
    header: Header,
    spec: TableSpec,
    options: Options,
    *,
    year: Date | None = None,
    cut_last_row: Literal["error", "drop", "keep"] = "error",
    constants: Sequence[tuple[Match, str]] = (),
    notes: Mapping[str, Any] | None = None,
) -> Table:
    """As `read_table`, where the header was found already.

    Parameters
    ----------
    page : a sheet of `raw`, or the part of one that holds the table; its rows count as in the sheet
    header : which column of `page` is which declared column
    constants : columns that the file does not have, with the text that stands in every row
    notes : what the table should say of itself beside the usual
    """
    refuse_ragged(page, header, raw.path.name)
    refuse_merged_numbers(page, header, raw.path.name)
    log = Log(raw.path.name, page.name, header.last_row + 1)
    personal = search_cells(page.cells, _labels(page, header))
    refuse_residents(personal, raw.path.name, page.name)
    body, filled = body_cells(page, header)
    if filled:
        log.note("병합된 칸을 아래로 채움", "", row=header.last_row + 2, count=filled)
    first_row = header.last_row + 2
    kept, flow = data_rows(body, header, spec, first_row)
    if (
        page.cut_row >= 0
        and cut_last_row != "keep"
        and len(kept)
        and kept[-1] + header.last_row + 1 == page.cut_row
    ):
        kept, flow = _without_cut_row(kept, flow, page, cut_last_row, log)
    if not len(kept):
        raise FileError(
            "머리글 아래에 자료 행이 없음",
            where=place(raw.path.name, page.name, first_row),
            remedy="빈 양식이 아닌지 확인할 것",
        )
    rows = kept + first_row
    _note_hidden(page, rows, log)
    if page.open_end and rows[-1] == len(page.cells):
        log.note("파일이 줄바꿈 없이 끝남: 마지막 행이 온전한지 확인할 것", "", row=int(rows[-1]))
    cells, matches = _with_constants(body[kept], header.matches, constants, rows, log)
    frame, steps = _frame(cells, rows, replace(header, matches=matches), spec, options, year, log)
    _check_key(frame, spec, log)
    return Table(
        spec=spec,
        frame=frame,
        source=raw.path,
        sha256=raw.sha256,
        sheet=page.name,
        repairs=tuple(log.repairs),
        flow=(*flow, *steps),
        notes={
            "encoding": raw.encoding,
            "unused_columns": header.unused,
            **(
                {"personal": tuple(f"{f.column}: {f.kind} {f.cells}곳" for f in personal)} if personal else {}
            ),
            **({"key_fingerprint": key_fingerprint(options.key)} if _hashed(spec) and options.key else {}),
            **(notes or {}),
        },
    )


def _labels(page: Sheet, header: Header) -> list[str]:
    """What stands above each column, all rows of the header in one."""
    rows = page.cells[header.first_row : header.last_row + 1]
    return [" ".join(dict.fromkeys(t for t in map(str.strip, map(str, column)) if t)) for column in rows.T]


def _hashed(spec: TableSpec) -> bool:
    return any(column.kind in ("business_number", "number_head") for column in spec.columns)


def _with_constants(
    cells: NDArray[np.object_],
    matches: tuple[Match, ...],
    constants: Sequence[tuple[Match, str]],
    rows: NDArray[np.int64],
    log: Log,
) -> tuple[NDArray[np.object_], tuple[Match, ...]]:
    """The data rows with a column of its own for each constant, read like any other."""
    for match, text in constants:
        log.note("모든 행에 같은 값을 넣음", match.label, after=text, row=int(rows[0]), count=len(rows))
        matches = (*matches, replace(match, position=cells.shape[1]))
        cells = np.hstack([cells, np.full((len(rows), 1), text, dtype=object)])
    return cells, matches


def _note_hidden(page: Sheet, rows: NDArray[np.int64], log: Log) -> None:
    """Rows that nobody sees in Excel are read like the others, and counted."""
    hidden = rows[np.isin(rows, page.hidden_rows)]
    if len(hidden):
        log.note("숨긴 행도 읽음", "", row=int(hidden[0]), count=len(hidden))
    if page.hidden:
        log.note("숨긴 시트를 읽음", "", row=int(rows[0]), count=len(rows))


def _without_cut_row(
    kept: NDArray[np.int64], flow: tuple[FlowStep, ...], page: Sheet, policy: str, log: Log
) -> tuple[NDArray[np.int64], tuple[FlowStep, ...]]:
    """A download that broke off: other rows may be missing too, so the reader must be told to go on."""
    cells = int(sum(bool(cell) for cell in page.cells[page.cut_row]))
    if policy == "error":
        raise FileError(
            f"마지막 행이 도중에 끊김 (채워진 칸 {cells}개, 다른 행은 {page.cells.shape[1]}칸): 파일이 잘린 것으로 보임",
            where=place(log.file, log.sheet, page.cut_row + 1),
            remedy="원본을 다시 받거나, 계획에서 이 자료의 options 에 cut_last_row: drop(그 행을 뺌) 또는 keep(온전한 행임)을 적을 것",
        )
    step = FlowStep("도중에 끊긴 마지막 행", -1, f"{page.cut_row + 1}행")
    return kept[:-1], (*flow[:-1], step, FlowStep("자료 행", len(kept) - 1))


def _frame(
    body: NDArray[np.object_],
    rows: NDArray[np.int64],
    header: Header,
    spec: TableSpec,
    options: Options,
    year: Date | None,
    log: Log,
) -> tuple[pd.DataFrame, tuple[FlowStep, ...]]:
    """The typed frame, long where headers carry years."""
    by_name: dict[str, list[Match]] = {}
    for match in header.matches:
        by_name.setdefault(match.column.name, []).append(match)
    if (
        any(c.kind in ("business_number", "number_head") and c.name in by_name for c in spec.columns)
        and not options.key
    ):
        raise ValueProblem(
            "사업자등록번호를 암호화할 열쇠가 없음",
            where=place(log.file, log.sheet),
            remedy="key 에 평가자만 아는 열쇠를 줄 것",
        )
    years = sorted({m.year for m in header.matches if m.year is not None})
    values: dict[str, NDArray[Any]] = {}
    regions: list[tuple[ColumnSpec, Source]] = []
    yearly: dict[tuple[str, int], NDArray[Any]] = {}
    for name, matches in by_name.items():
        for match in matches:
            source = _open(match, body, rows, header, log)
            if match.column.kind == "region":
                regions.append((match.column, source))
            elif match.year is None:
                if match.column.kind == "number_head":
                    values["firm_id"] = numbers.read_whole_numbers(source, options)
                else:
                    values[name] = _convert(source, options)
                if match.column.with_head:
                    values["head_key"], values["entity_kind"] = numbers.read_number_heads(source, options)
            else:
                yearly[name, match.year] = _convert(source, options)
    for column, source in regions:
        when = _when(column, values, year, log)
        values[column.name] = read_regions(source, when, options)
    frame = pd.DataFrame({"source_row": rows})
    for column in spec.columns:
        if column.name in values:
            frame[column.name] = _typed(column, values[column.name])
        elif not column.required and not (column.by_year and years):
            frame[column.name] = _typed(column, _nothing(column, len(rows)))
        if column.with_head:
            more = {"head_key": None, "entity_kind": "unknown"}
            for name, nothing in (more | ({"firm_id": None} if column.kind == "number_head" else {})).items():
                told = values.get(name, np.full(len(rows), nothing, dtype=object))
                frame[name] = pd.Series(told, dtype="str")
    if not years:
        return frame, ()
    if spec.year_column in values:
        raise SchemaError(
            f"연도가 머리글({', '.join(map(str, years))})에도 열 {spec.year_column} 에도 있음",
            where=place(log.file, log.sheet, header.last_row + 1),
            remedy="둘 가운데 하나만 둘 것",
        )
    return _melt(frame, yearly, spec, years)


def _melt(
    frame: pd.DataFrame, yearly: dict[tuple[str, int], NDArray[Any]], spec: TableSpec, years: list[int]
) -> tuple[pd.DataFrame, tuple[FlowStep, ...]]:
    """One row per row and year of the header; a column without that year is missing there."""
    n, t = len(frame), len(years)
    long = frame.drop(columns=[spec.year_column], errors="ignore")
    long = long.iloc[np.repeat(np.arange(n), t)].reset_index(drop=True)
    long[spec.year_column] = np.tile(np.array(years, dtype=np.int64), n)
    for column in spec.columns:
        if column.by_year:
            stacked = np.stack(
                [yearly.get((column.name, y), _nothing(column, n)) for y in years], axis=1
            ).reshape(-1)
            long[column.name] = _typed(column, stacked)
    step = FlowStep(f"연도별로 펼친 행 ({years[0]}–{years[-1]}, {t}개 연도)", n * t)
    return long, (step,)


def _open(
    match: Match, body: NDArray[np.object_], rows: NDArray[np.int64], header: Header, log: Log
) -> Source:
    texts = body[:, match.position]
    unit = match.unit
    if not unit and match.column.unit:
        fitting = [u for u in header.table_units if units.dimension(u) == units.dimension(match.column.unit)]
        if len(fitting) > 1:
            raise log.error(
                f"표의 단위가 둘 이상임 ({', '.join(fitting)})",
                match.label,
                header.first_row + 1,
                "머리글마다 '(천원)' 처럼 단위를 붙일 것",
            )
        foreign = [u for u in header.table_units if not units.known(u)]
        if match.column.kind == "money" and not fitting and foreign:
            fitting = foreign
        unit = fitting[0] if fitting else ""
    if match.column.blank == "above":
        texts, filled = _from_above(texts)
        log.note_rows("빈 칸을 위의 값으로 채움", match.label, filled, rows, np.full(len(rows), ""), texts)
    return col.open_column(match.column, match.label, unit, texts, rows, log)


def _from_above(texts: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    blank = np.array([not str(text).strip() for text in texts], dtype=bool)
    last = np.maximum.accumulate(np.where(blank, -1, np.arange(len(texts))))
    filled = blank & (last >= 0)
    out = texts.copy()
    out[filled] = texts[last[filled]]
    return out, filled


def _convert(source: Source, options: Options) -> NDArray[Any]:
    kind = source.spec.kind
    if kind in ("integer", "number", "money"):
        return col.read_numbers(source, options)
    if kind in ("date", "month"):
        return col.read_dates(source)
    if kind == "year":
        return col.read_years(source)
    if kind == "business_number":
        return numbers.read_business_numbers(source, options)
    if kind == "category":
        return col.read_categories(source)
    if kind == "code":
        return col.read_codes(source)
    return col.read_texts(source)


def _when(
    column: ColumnSpec, values: dict[str, NDArray[Any]], year: Date | None, log: Log
) -> NDArray[Any] | Date:
    """When the codes of a region column were in use: a column of the row, else the file's own year."""
    named = values.get(column.region_date)
    if named is not None and named.dtype.kind == "M":
        return np.asarray(named.astype("datetime64[Y]").astype(np.int64) + 1970, dtype=np.int64)
    if named is not None:
        return np.asarray(np.nan_to_num(named, nan=0), dtype=np.int64)
    if year is None:
        raise ValueProblem(
            "지역 코드의 기준 연도를 알 수 없음",
            where=place(log.file, log.sheet, column=column.aliases[0]),
            remedy="파일 이름에 연도를 넣거나 계획에서 이 자료의 options 에 year: 2018 처럼 적을 것",
        )
    return year


def _nothing(column: ColumnSpec, n: int) -> NDArray[Any]:
    if column.kind in ("integer", "number", "money", "year"):
        return np.full(n, np.nan)
    if column.kind in ("date", "month"):
        return np.full(n, np.datetime64("NaT"), dtype="datetime64[s]")
    return np.full(n, None, dtype=object)


def _typed(column: ColumnSpec, values: NDArray[Any]) -> pd.Series[Any]:
    """Whole numbers that may not be missing are int64; other numbers float64; words are ``str``."""
    if column.kind in ("integer", "year") and not column.nullable:
        return pd.Series(values.astype(np.int64))
    if values.dtype.kind in "fM":
        return pd.Series(values)
    return pd.Series(values, dtype="str")


def _check_key(frame: pd.DataFrame, spec: TableSpec, log: Log) -> None:
    """No two rows may share the key."""
    if not spec.key:
        return
    twice = frame.duplicated(list(spec.key), keep=False).to_numpy(dtype=bool)
    if not twice.any():
        return
    first = int(np.flatnonzero(twice)[0])
    same = (frame.loc[twice, list(spec.key)] == frame[list(spec.key)].iloc[first]).all(axis=1)
    rows = frame.loc[twice, "source_row"][same].tolist()
    hidden = {c.name for c in spec.columns if c.kind in ("business_number", "number_head")}
    aliases = {c.name: c.aliases[0] for c in spec.columns}
    shown = ", ".join(f"{aliases.get(n, '연도')} {frame[n].iloc[first]}" for n in spec.key if n not in hidden)
    names = "·".join(aliases.get(n, "연도") for n in spec.key)
    pair = frame.duplicated(list(spec.key)).sum()
    raise ValueProblem(
        f"같은 열쇠({names})가 두 번 있음: {', '.join(map(str, rows[:3]))}행"
        + (f" ({shown})" if shown else "")
        + (f" (모두 {int(pair)}행이 겹침)" if pair > 1 else ""),
        where=place(log.file, log.sheet, int(rows[1]), re.split("·", names)[0]),
        remedy="겹친 행을 합치거나 지울 것",
    )
