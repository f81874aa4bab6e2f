"""One monthly 국민연금 file, block by block: names and numbers become keyed hashes before anything is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import FileError, SchemaError, ValueProblem
from evalkit.ingest.addresses import address_head, base_of_address
from evalkit.ingest.cells import DASHES, parse_date
from evalkit.ingest.headers import find_header
from evalkit.ingest.identifiers import entity_kind, hash_head, mask
from evalkit.ingest.linking.keys import link_names, place_kinds
from evalkit.ingest.number_columns import _head
from evalkit.ingest.regions import base_of_code, retired_base
from evalkit.ingest.sources.national_pension import SPEC
from evalkit.ingest.sources.pension_regions import _PARTS
from evalkit.ingest.table import Repair
from evalkit.scale.delimited import Converted, blocks, cut_cells, decoded, read_head, write
from evalkit.scale.months import month_label, month_number

CutLastRow = Literal["error", "drop"]
COUNTS = ("members", "premium", "acquired", "lost")
_TEXTS = ("month", "firm_name", "head_key", "region", "joined", "industry", "status")
_ADDRESSES = ("lot_address", "road_address")
_CODE = re.compile(r"[1-9]\d{4}(?:\d{5})?")
_LOOSE = replace(
    SPEC,
    columns=tuple(replace(c, required=False) if c.name == "region" else c for c in (*SPEC.columns, *_PARTS.columns)),
)  # fmt: skip
FOLLOWED = "이미 없어진 지역 코드를 그 뒤의 지역으로 읽음"
FROM_PARTS = "법정동 코드가 없어 시·도와 시·군·구 코드를 이음"
FROM_ADDRESS = "법정동 코드가 없어 주소를 읽음"
LEFT = "탈퇴한 사업장의 행을 뺌"
UNREADABLE = "읽을 수 없는 지역을 빈 값으로 둠"


@dataclass(slots=True)
class Workplaces:
    """Workplaces met so far, numbered in order; a workplace is name, six digits, region and joining day.

    Names and digits live here, in memory, until `columns` has hashed them.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    regions: dict[tuple[str, int], tuple[str | None, str]] = field(default_factory=dict)

    def number(self, labels: list[str]) -> list[int]:
        """Numbers of labels «name|digits|region|day», new ones where they are met first."""
        with self.lock:
            known = self.numbers
            return [known.setdefault(label, len(known)) for label in labels]

    def columns(self, key: bytes) -> tuple[NDArray[np.int64], dict[str, list[Any]]]:
        """The workplace of each number, for names have several spellings; and the table of workplaces, hashed.

        Keys are those of `evalkit.ingest.linking.keys`; ``workplace`` is made of them, the kind of place, region and day.
        """
        parts = [label.rsplit("|", 3) for label in self.numbers]
        names, kinds = link_names([name for name, _, _, _ in parts], key)
        heads = [head for _, head, _, _ in parts]
        held = [entity_kind(head) if head else "unknown" for head in heads]
        places = place_kinds(kinds.tolist(), held).tolist()
        hashed = {head: hash_head(head, key) for head in set(heads) if head}
        # of keyed hashes: without the key nothing can be tried against it
        whole = [
            blake2b(f"{name}|{hashed.get(head)}|{kind}|{region}|{day}".encode(), digest_size=8).hexdigest()
            for name, kind, (_, head, region, day) in zip(names.tolist(), places, parts, strict=True)
        ]
        of, distinct = pd.factorize(np.array(whole, dtype=object))
        first = np.unique(of, return_index=True)[1].tolist()
        return of.astype(np.int64), {
            "number": list(range(len(distinct))),
            "workplace": [whole[k] for k in first],
            "name_key": [names[k] for k in first],
            "head_key": [hashed.get(heads[k]) for k in first],
            "entity_kind": [held[k] for k in first],
            "place_kind": [places[k] for k in first],
            "region": [parts[k][2] or None for k in first],
            "joined": [parts[k][3] or None for k in first],
        }


@dataclass(slots=True)
class _File:
    """What is known of the file that is being read."""

    name: str
    workplaces: Workplaces
    digits: int
    month: int | None = None
    counted: dict[str, int] = field(default_factory=dict)

    def count(self, kind: str, rows: int) -> None:
        """Rows of one kind of repair."""
        if rows and kind:
            self.counted[kind] = self.counted.get(kind, 0) + rows


@dataclass(frozen=True, slots=True)
class _Block:
    """Columns of bytes, the row that Excel shows for the first line, and the encoding."""

    file: _File
    columns: dict[str, Any]
    first: int
    encoding: str

    def text(self, name: str) -> Any:
        """A column decoded and trimmed."""
        import pyarrow.compute as pc

        return pc.utf8_trim_whitespace(decoded(self.columns[name], self.encoding))

    def error(self, problem: str, row: int, column: str, remedy: str) -> ValueProblem:
        """The error of one cell."""
        alias = SPEC.column(column).aliases[0]
        return ValueProblem(
            problem, where=(self.file.name, f"{self.first + row}행", f"열 {alias}"), remedy=remedy
        )


@dataclass(frozen=True, slots=True)
class Month:
    """A month as Parquet: its `month_number`, whether a last row that broke off was left out, and rows of the left."""

    made: Converted
    month: int
    cut: bool
    left: int


def convert_month(
    path: Path, target: Path, workplaces: Workplaces, digits: int, cut_last_row: CutLastRow
) -> Month:
    """One month to Parquet with columns number, month, industry and counts.

    Raises
    ------
    ValueProblem, SchemaError, FileError : as `evalkit.scale.open_pension`
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    head = read_head(path)
    header = find_header(head.sheet, _LOOSE, path.name)
    positions = {m.column.name: m.position for m in header.matches}
    if not {"region", "sido_part", *_ADDRESSES} & set(positions):
        find_header(head.sheet, SPEC, path.name)  # says that the region is missing
    wanted = (*_TEXTS, *COUNTS, "sido_part", "sigungu_part", *_ADDRESSES)
    positions = {name: at for name, at in positions.items() if name in wanted}
    skip = header.last_row + 1
    schema = pa.schema(
        [
            ("number", pa.int64()),
            ("month", pa.int64()),
            ("industry", pa.string()),
            *((c, pa.int64()) for c in COUNTS),
        ]
    )
    file = _File(path.name, workplaces, digits)
    filled = cut_cells(path, head)
    if filled and cut_last_row == "error":
        raise FileError(
            f"마지막 행이 도중에 끊김 (채워진 칸 {filled}개, 머리글은 {head.sheet.widths[skip - 1]}칸): 파일이 잘린 것으로 보임",
            where=(path.name,),
            remedy='원본을 다시 받거나, 그 행을 빼려면 cut_last_row="drop" 으로 둘 것',
        )

    def attempt(encoding: str, temporary: Path) -> int:
        rows = 0
        file.month = None
        file.counted.clear()
        with pq.ParquetWriter(temporary, schema, compression="lz4") as writer:
            for before, batch in blocks(path, head, skip, positions, encoding, all_but_last=filled > 0):
                columns = {name: batch.column(name) for name in batch.schema.names}
                block = _Block(file, columns, before + skip + 1, encoding)
                month = _without_left(block, pa.table(_block(block), schema=schema))
                writer.write_table(month)
                rows += batch.num_rows
        return rows

    made = write(path, target, head, attempt)
    if file.month is None:
        raise SchemaError(
            "머리글만 있고 행이 하나도 없음", where=(path.name,), remedy="원본 파일을 다시 받을 것"
        )
    alias = SPEC.column("region").aliases[0]
    repairs = [Repair(path.name, "", 0, alias, kind, "", "", n) for kind, n in sorted(file.counted.items())]
    return Month(
        replace(made, repairs=(*made.repairs, *repairs)), file.month, filled > 0, file.counted.get(LEFT, 0)
    )


def _block(block: _Block) -> dict[str, Any]:
    """One block as the columns of the table."""
    import pyarrow as pa
    import pyarrow.compute as pc

    file = block.file
    month = _month(block)
    name = block.text("firm_name")
    n = len(name)
    blank = np.flatnonzero(np.asarray(pc.equal(name, "")))
    if len(blank):
        raise block.error("사업장명이 비어 있음", int(blank[0]), "firm_name", "원본의 행을 확인할 것")
    nothing = pa.array(np.full(n, ""), pa.string())
    day = _mapped(block.text("joined"), _day) if "joined" in block.columns else nothing
    parts = (name, _heads(block), _regions(block, month // 12), day)
    labels = pc.binary_join_element_wise(*parts, "|").dictionary_encode()
    numbers = pa.array(file.workplaces.number(labels.dictionary.to_pylist()), pa.int64())
    industry = block.text("industry") if "industry" in block.columns else nothing
    made = {
        "number": numbers.take(labels.indices),
        "month": pa.array(np.full(n, month), pa.int64()),
        "industry": pc.utf8_slice_codeunits(industry, 0, file.digits),
    }
    for column in COUNTS:
        made[column] = _whole(block, column) if column in block.columns else pa.nulls(n, pa.int64())
    return made


def _without_left(block: _Block, month: Any) -> Any:
    """Without workplaces that have left the scheme: they stand in the month's file with the members that they had."""
    import pyarrow as pa

    if "status" not in block.columns:
        return month
    words = {text for text, value in SPEC.column("status").categories if value == "left"}
    gone = np.isin(np.array(block.text("status").to_pylist(), dtype=str), list(words))
    block.file.count(LEFT, int(gone.sum()))
    return month.filter(pa.array(~gone))


def _mapped(cells: Any, reading: Callable[[str], str]) -> Any:
    """A function of text applied once to each distinct value."""
    import pyarrow as pa

    found = cells.dictionary_encode()
    return pa.array([reading(text) for text in found.dictionary.to_pylist()], pa.string()).take(found.indices)


def _day(text: str) -> str:
    """A day as ``2008-01-01``; "" where there is none."""
    if text in SPEC.column("joined").null_values or text.lower() in DASHES or not text:
        return ""
    parsed = parse_date(text, "first")
    return parsed[0].isoformat() if parsed else ""


def _month(block: _Block) -> int:
    """The one month of a file."""
    found = block.text("month").dictionary_encode()
    codes = np.asarray(found.indices)
    for code, text in enumerate(found.dictionary.to_pylist()):
        row = int(np.flatnonzero(codes == code)[0])
        parsed = parse_date(text, "first")
        if parsed is None:
            raise block.error(f"읽을 수 없는 연월 {text[:20]!r}", row, "month", "2021-03 처럼 적을 것")
        number = month_number(parsed[0].year, parsed[0].month)
        if block.file.month not in (None, number):
            raise SchemaError(
                f"한 파일에 {month_label(int(block.file.month or 0))} 와 {month_label(number)} 두 달이 있음",
                where=(block.file.name, f"{block.first + row}행"),
                remedy="달마다 파일 하나로 나눌 것",
            )
        block.file.month = number
    assert block.file.month is not None
    return block.file.month


def _heads(block: _Block) -> Any:
    """Six digits of the number, the zeros lost on the left put back; "" where empty."""
    import pyarrow.compute as pc

    cells = block.text("head_key")
    plain = np.asarray(pc.match_substring_regex(cells, r"^[0-9]{6}$"))
    if plain.all():
        return cells

    def one(text: str) -> str:
        if not text or text.lower() in DASHES:
            return ""
        return _head(text) or "?"

    found = _mapped(cells, one)
    bad = np.flatnonzero(np.asarray(pc.equal(found, "?")))
    if len(bad):
        raise block.error(
            f"사업자등록번호 앞 여섯 자리로 읽을 수 없는 값 {mask(cells[int(bad[0])].as_py())}", int(bad[0]),
            "head_key", "여섯 자리(또는 열 자리)로 고치거나, 모르면 빈 칸으로 둘 것",
        )  # fmt: skip
    return found


def _regions(block: _Block, year: int) -> Any:
    """2018 codes of the rows: by the 법정동 code, else its parts, else the address; "" where none can be read."""
    import pyarrow as pa

    file = block.file
    n = len(block.columns["firm_name"])
    codes = block.text("region") if "region" in block.columns else pa.array([""] * n, pa.string())
    found = codes.dictionary_encode()
    at = np.asarray(found.indices)
    size = np.bincount(at, minlength=len(found.dictionary))
    bases: list[str] = []
    for text, rows in zip(found.dictionary.to_pylist(), size.tolist(), strict=True):
        base, kind = _base(file.workplaces, re.sub(r"\.0+$", "", text), year)
        file.count(kind, rows)
        bases.append("?" if base is None else base)
    out = np.array(bases, dtype=object)[at]
    left = np.flatnonzero(out == "?")
    if len(left):
        out[left] = [_otherwise(block, int(row), year) for row in left]
    return pa.array(out, pa.string())


def _base(workplaces: Workplaces, code: str, year: int) -> tuple[str | None, str]:
    """The 2018 code of a code, and the repair that it took; None where it is no code."""
    if _CODE.fullmatch(code) is None:
        return None, ""
    head = code[:5]
    if (head, year) not in workplaces.regions:
        try:
            known: tuple[str | None, str] = (base_of_code(head, year), "")
        except ValueProblem:
            past = retired_base(head, year)
            known = ("", UNREADABLE) if past is None else (past, FOLLOWED)
        workplaces.regions[head, year] = known
    return workplaces.regions[head, year]


def _otherwise(block: _Block, row: int, year: int) -> str:
    """The region of a row without a code."""
    file = block.file

    def cell(name: str) -> str:
        held = block.columns.get(name)
        return "" if held is None else str(decoded(held.slice(row, 1), block.encoding)[0].as_py()).strip()

    sido, sigungu = (re.sub(r"\.0+$", "", cell(name)) for name in ("sido_part", "sigungu_part"))
    sigungu = sigungu.zfill(3) if sigungu else ""
    joined = sigungu if len(sigungu) == 5 and sigungu.startswith(sido) else sido + sigungu
    base, kind = _base(file.workplaces, joined, year)
    if base is not None:
        file.count(FROM_PARTS, 1)
        file.count(kind, 1)
        return base
    for name in _ADDRESSES:
        text = cell(name)
        if text:
            try:
                found = base_of_address(address_head(text), year)
            except ValueProblem:
                continue
            file.count(FROM_ADDRESS, 1)
            return found
    file.count(UNREADABLE, 1)
    return ""


def _whole(block: _Block, column: str) -> Any:
    """Whole numbers that are not negative; null where empty and the declaration allows it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = decoded(block.columns[column], block.encoding)
    with suppress(pa.ArrowInvalid):  # nearly always: digits and nothing else
        whole = plain.cast(pa.int64())
        if pc.min(whole).as_py() >= 0:
            return whole
    text = pc.utf8_trim_whitespace(plain)
    text = pc.replace_substring(text, ",", "")
    text = pc.replace_substring_regex(text, r"\.0+$", "")
    empty = pc.is_in(text, value_set=pa.array(["", "-"]))
    good = pc.or_(empty, pc.match_substring_regex(text, r"^[0-9]{1,15}$"))
    bad = np.flatnonzero(~np.asarray(good))
    if len(bad):
        shown = text[int(bad[0])].as_py()
        problem = f"음수 {shown[:20]}" if re.match(r"-\d", shown) else f"읽을 수 없는 수 {shown[:20]!r}"
        more = f" (같은 문제 {len(bad) - 1}곳 더)" if len(bad) > 1 else ""
        raise block.error(problem + more, int(bad[0]), column, "0 이상의 정수로 고칠 것")
    missing = np.flatnonzero(np.asarray(empty))
    if len(missing) and not SPEC.column(column).nullable:
        raise block.error("빈 값", int(missing[0]), column, "원본의 값을 확인할 것")
    return pc.if_else(empty, None, text).cast(pa.int64())
