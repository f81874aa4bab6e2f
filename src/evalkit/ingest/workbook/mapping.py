"""Mapping files as files: read, held against the declared tables, every fault one sentence with its line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from evalkit import strict_yaml
from evalkit.errors import UsageError, nearest
from evalkit.ingest import units
from evalkit.ingest.table import ColumnSpec, TableSpec
from evalkit.ingest.workbook.model import (
    LEAVE,
    MISSING,
    QUESTION,
    ColumnMapping,
    TableMapping,
    WorkbookMapping,
    header_and_place,
)
from evalkit.ingest.workbook.wording import emptied, real_faults, said

_UNIT_FIRST = ("unit_in_file 을 적었으나 unit 이 없음", "값의 단위를 unit 에 적을 것")

Place = tuple[str | int, ...]
_MOST_BYTES = 2_000_000
_MONEY = ", ".join(name for name in units.UNITS if units.dimension(name) == "money")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a mapping file: its line, where it stands, what it is and what is expected."""

    line: int
    at: tuple[str, ...]
    problem: str
    remedy: str

    def error(self, file: str, others: int = 0) -> UsageError:
        """The fault as an error; how many others there are is said."""
        more = f" (그 밖에 {others}곳)" if others else ""
        return UsageError(self.problem + more, where=(file, f"{self.line}행", *self.at), remedy=self.remedy)


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A mapping that was read: what it says, its bytes' hash, and the line of each of its places."""

    path: Path
    sha256: str
    model: WorkbookMapping
    lines: dict[Place, int]

    def where(self, *at: str | int) -> tuple[str, ...]:
        """A place of the file, as errors name it."""
        return (self.path.name, f"{_line(self.lines, at)}행")


def declared() -> dict[str, TableSpec]:
    """Every declared table by name (late, because the sources use this package themselves)."""
    from evalkit.ingest.sources import SPECS

    return SPECS


def read_mapping(path: str | Path) -> MappingFile:
    """Read and check a mapping file.

    Raises
    ------
    UsageError : the file is missing, is not YAML, says what the declared tables do not know, lacks a required column, or
        holds a question that was not answered; the first fault in order of lines, with the number of the others
    """
    path = Path(path)
    text, sha256 = _text(path)
    model, lines, faults = _examined(text, path)
    if faults or model is None:
        raise faults[0].error(path.name, len(faults) - 1)
    return MappingFile(path, sha256, model, lines)


def mapping_faults(path: str | Path) -> tuple[Fault, ...]:
    """Every fault of a mapping file in order of lines.

    Raises
    ------
    UsageError : the file is missing or is not YAML
    """
    path = Path(path)
    return _examined(_text(path)[0], path)[2]


def _text(path: Path) -> tuple[str, str]:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise UsageError(
            "열 대응 파일이 없음", where=(path.name,), remedy=f"경로를 확인할 것 ({nearest(path.name, near)})"
        )
    content = path.read_bytes()
    if len(content) > _MOST_BYTES:
        raise UsageError(
            f"열 대응 파일이 너무 큼 ({len(content):,}바이트)",
            where=(path.name,),
            remedy="YAML 파일이 맞는지 확인할 것",
        )
    try:
        return content.decode("utf-8-sig"), hashlib.sha256(content).hexdigest()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            "UTF-8 로 읽을 수 없음", where=(path.name, f"{line}행"), remedy="UTF-8 로 다시 저장할 것"
        ) from error


def _examined(text: str, path: Path) -> tuple[WorkbookMapping | None, dict[Place, int], tuple[Fault, ...]]:
    try:
        raw, lines = strict_yaml.load_with_lines(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise UsageError(
            "YAML 문법이 맞지 않음",
            where=(path.name, f"{mark.line + 1}행 {mark.column + 1}열") if mark else (path.name,),
            remedy="들여쓰기를 맞추고, 쌍점(:)이나 # 이 든 머리글은 큰따옴표로 묶을 것",
        ) from error
    except UsageError as error:
        raise UsageError(error.problem, where=(path.name, *error.where), remedy=error.remedy) from None
    except RecursionError as error:
        raise UsageError(
            "너무 깊이 겹친 YAML 임", where=(path.name,), remedy="예를 복사해 고칠 것"
        ) from error
    if not isinstance(raw, dict):
        fault = Fault(1, (), "열 대응 파일이 비어 있거나 목록임", "evalkit ingest guess 로 만들어 고칠 것")
        return None, lines, (fault,)
    empty = [Fault(_line(lines, at), _told(at, raw), *emptied(str(at[-1]))) for at in _empty(raw, ())]
    if empty:
        return None, lines, tuple(sorted(empty, key=lambda fault: fault.line))
    try:
        model = WorkbookMapping.model_validate(raw)
    except ValidationError as error:
        found = [
            Fault(_line(lines, fault["loc"]), _told(fault["loc"], raw), *said(fault))
            for fault in real_faults(error)
        ]
        return None, lines, tuple(sorted(found, key=lambda fault: fault.line))
    faults = sorted(_disagreements(model, lines), key=lambda fault: fault.line)
    return model, lines, tuple(faults)


def _empty(value: Any, at: Place) -> Iterator[Place]:
    """Places with a key and nothing behind it."""
    if value is None:
        yield at
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield from _empty(inside, (*at, key))
    elif isinstance(value, list):
        for place, inside in enumerate(value):
            yield from _empty(inside, (*at, place))


def _line(lines: dict[Place, int], at: Place) -> int:
    """Line of a place, or of the nearest one around it."""
    known = tuple(at)
    while known not in lines:
        known = known[:-1]
    return lines[known]


def _told(at: Place, raw: Any) -> tuple[str, ...]:
    """A place in words: the table's name instead of its number."""
    if len(at) > 1 and at[0] == "tables" and isinstance(at[1], int):
        table = raw["tables"][at[1]]
        name = table.get("table") if isinstance(table, dict) else None
        return (str(name or f"tables {at[1] + 1}번째"), *(str(part) for part in at[2:-1]))
    return tuple(str(part) for part in at[:-1])


# -- against the declared tables ---------------------------------------------------------------------------

_Say = Callable[..., Fault]


def _disagreements(model: WorkbookMapping, lines: dict[Place, int]) -> Iterator[Fault]:
    specs = declared()
    for number, table in enumerate(model.tables):
        top: Place = ("tables", number)

        def say(
            problem: str, remedy: str, *at: str | int, top: Place = top, name: str = table.table
        ) -> Fault:
            return Fault(_line(lines, (*top, *at)), (name, *map(str, at[1:2])), problem, remedy)

        for name in ("table", "sheet", "header_rows", "rows", "cols", "region_year", "unit"):
            if getattr(table, name) == QUESTION:
                yield say(f"{name} 을(를) 아직 정하지 않음 (???)", "답을 적을 것", name)
        if table.unit_in_file and not table.unit:
            yield say(*_UNIT_FIRST, "unit_in_file")
        if table.table == QUESTION:
            continue
        if table.table not in specs:
            yield say(f"모르는 표 {table.table!r}", nearest(table.table, specs), "table")
            continue
        spec = specs[table.table]
        if table.unit not in (None, QUESTION) and units.dimension(str(table.unit)) != "money":
            yield say(f"금액의 단위가 아닌 {table.unit!r}", f"쓸 수 있는 단위: {_MONEY}", "unit")
        found = [*_columns(table, spec, say), *_constants(table, spec, say)]
        yield from found or _incomplete(table, spec, say)


def _columns(table: TableMapping, spec: TableSpec, say: _Say) -> Iterator[Fault]:
    taken: dict[tuple[str, int | None], str] = {}
    left = {header_and_place(name) for name in table.leave}
    names = [column.name for column in spec.columns]
    for header, entry in table.columns.items():
        at = ("columns", header)
        if entry.column == QUESTION:
            yield say(
                f"머리글 {header!r} 이(가) 어느 열인지 아직 정하지 않음 (???)",
                "열 이름을 적거나, 읽지 않을 머리글이면 leave 를 적을 것",
                *at,
            )
            if entry.unit == QUESTION:
                yield _unit_in_question(header, say)
            continue
        if header_and_place(header) in left and entry.column != LEAVE:
            yield say(f"머리글 {header!r} 이(가) columns 와 leave 에 다 있음", "한쪽에만 적을 것", *at)
        if entry.column == LEAVE:
            continue
        if entry.column not in names:
            yield say(
                f"{spec.title} 표에 없는 열 {entry.column!r}", nearest(entry.column, [*names, LEAVE]), *at
            )
            continue
        key = (entry.column, entry.year)
        if key in taken:
            yield say(
                f"머리글 {taken[key]!r} 와(과) {header!r} 을(를) 모두 열 {entry.column} (으)로 읽으라고 함",
                "하나를 leave 로 바꿀 것",
                *at,
            )
        taken[key] = header
        yield from _entry(header, entry, spec.column(entry.column), say)


def _unit_in_question(header: str, say: _Say) -> Fault:
    words = f"머리글 {header!r} 의 단위를 아직 정하지 않음 (???)"
    return say(words, "원·천원·백만원·억원 가운데 하나를 적을 것", "columns", header, "unit")


def _entry(header: str, entry: ColumnMapping, column: ColumnSpec, say: _Say) -> Iterator[Fault]:
    """One header against the declaration of its column."""
    at = ("columns", header)
    if entry.unit == QUESTION:
        yield _unit_in_question(header, say)
    elif entry.unit is not None and not column.unit:
        yield say(
            f"열 {column.name}({column.meaning})에는 단위가 없는데 {entry.unit!r} 을(를) 적음", "unit 을 지울 것", *at, "unit"
        )  # fmt: skip
    elif entry.unit is not None and units.factor(entry.unit, column.unit) is None:
        same = [name for name in units.UNITS if units.dimension(name) == units.dimension(column.unit)]
        yield say(
            f"열 {column.name}({column.meaning})에 쓸 수 없는 단위 {entry.unit!r}",
            f"쓸 수 있는 단위: {', '.join(same)}",
            *at, "unit",
        )  # fmt: skip
    if entry.unit_in_file and not entry.unit:
        yield say(*_UNIT_FIRST, *at, "unit_in_file")
    if entry.year is not None and not column.by_year:
        yield say(
            f"열 {column.name}({column.meaning})은(는) 해마다 있는 열이 아닌데 year 를 적음", "year 를 지울 것", *at, "year"
        )  # fmt: skip
    if entry.categories and column.kind != "category":
        yield say(
            f"열 {column.name}({column.meaning})은(는) 구분 열이 아닌데 categories 를 적음",
            "categories 를 지울 것",
            *at, "categories",
        )  # fmt: skip
        return
    values = list(dict.fromkeys(value for _, value in column.categories))
    for word, value in entry.categories.items():
        if value == QUESTION:
            yield say(
                f"{header!r} 에 적힌 말 {word!r} 의 뜻을 아직 정하지 않음 (???)",
                f"쓸 수 있는 값: {', '.join(values)}, {MISSING}(빈 값)",
                *at, "categories", word,
            )  # fmt: skip
        elif value not in (*values, *dict(column.categories), MISSING):
            known = [*values, *dict(column.categories), MISSING]
            yield say(
                f"열 {column.name} 에 없는 값 {value!r}", nearest(value, known), *at, "categories", word
            )  # fmt: skip


def _constants(table: TableMapping, spec: TableSpec, say: _Say) -> Iterator[Fault]:
    names = [column.name for column in spec.columns]
    mapped = {entry.column for entry in table.columns.values()}
    for name, value in table.constants.items():
        at = ("constants", name)
        if name not in names:
            yield say(f"{spec.title} 표에 없는 열 {name!r}", nearest(name, names), *at)
        elif value == QUESTION:
            yield say(
                f"열 {name}({spec.column(name).meaning})을(를) 어디에서 읽을지 아직 정하지 않음 (???)",
                ("" if is_identifier(spec.column(name)) else "모든 행에 같은 값이면 그 값을 적고, ")
                + f"머리글이 있으면 columns 에 '머리글: {name}' 을 더하고 이 줄을 지울 것",
                *at,
            )
        elif name in mapped:
            yield say(f"열 {name} 이(가) columns 와 constants 에 다 있음", "한쪽에만 적을 것", *at)
        elif is_identifier(spec.column(name)):
            yield say(
                f"행마다 다른 열 {name}({spec.column(name).meaning})을(를) 모든 행에 같은 값으로 둘 수 없음",
                f"번호가 적힌 머리글을 columns 에 '머리글: {name}' 으로 적을 것",
                *at,
            )
        elif spec.column(name).kind == "money":
            yield say(
                f"금액 열 {name} 을(를) 모든 행에 같은 값으로 둘 수 없음", "금액이 적힌 머리글을 columns 에 적을 것", *at
            )  # fmt: skip
        elif spec.column(name).kind == "category":
            words = [alias for alias, _ in spec.column(name).categories]
            known = [*words, *(v for _, v in spec.column(name).categories)]
            if value not in known:
                yield say(f"열 {name} 에 쓸 수 없는 값 {value!r}", nearest(value, dict.fromkeys(known)), *at)


def _incomplete(table: TableMapping, spec: TableSpec, say: _Say) -> Iterator[Fault]:
    """Required columns that nothing gives; told once every header that is there is in order."""
    for column in missing_columns(table, spec):
        yield say(
            f"{spec.title} 표에 꼭 필요한 열 {column.name}({column.meaning})이(가) 없음",
            f"columns 에 '머리글: {column.name}' 을 더할 것"
            if is_identifier(column)
            else f"columns 에 '머리글: {column.name}' 을, 모든 행에 같은 값이면 constants 에 '{column.name}: 값' 을 더할 것",
        )


def is_identifier(column: ColumnSpec) -> bool:
    """A required number of a project, firm or place: one for all rows would make one of them all."""
    return column.required and column.name.endswith("_id")


def missing_columns(table: TableMapping, spec: TableSpec) -> list[ColumnSpec]:
    """Required columns of a table that the mapping does not give."""
    given = {entry.column for entry in table.columns.values()} | set(table.constants)
    return [column for column in spec.columns if column.required and column.name not in given]
