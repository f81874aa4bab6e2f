"""Tables in a sheet, found by their headers: one, several below one another, or side by side.

No declaration is presumed: a header is a row of words that the declared tables know, or at least of words over data. Group
rows above it belong to it, titles and unit lines do not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest import units
from evalkit.ingest.cells import parse_date, parse_number
from evalkit.ingest.files import Sheet
from evalkit.ingest.headers import column_paths, normal, path_readings, split_year, units_above
from evalkit.ingest.identifiers import is_business_number
from evalkit.ingest.workbook.closeness import cleaned
from evalkit.ingest.workbook.mapping import declared
from evalkit.ingest.workbook.model import column_letters
from evalkit.ingest.workbook.part import part_of

_FIRST_ROWS, _ALL_ROWS, _HIGHEST, _WIDE = 40, 5000, 4, 1000
_KNOWN, _PARTLY, _WORD, _DATA = 1.0, 0.4, 0.15, -1.0
_COUNTERS = frozenset({"연번", "번호", "순번", "no", "구분", "비고"})


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One table: its part of the sheet, its header's rows (from zero), and what stands above.

    `rows` and `cols` are the part as a mapping file writes it; None where the table has the sheet to itself.
    """

    sheet: str
    part: Sheet
    left: int
    rows: str | None
    cols: str | None
    first_row: int
    last_row: int
    paths: tuple[tuple[str, ...], ...]
    table_units: tuple[str, ...]
    above: tuple[str, ...]


@cache
def _words() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Normalised aliases of all tables: plain ones, those of columns by year, and those long enough to look for inside."""
    plain: set[str] = set()
    yearly: set[str] = set()
    for spec in declared().values():
        for column in spec.columns:
            (yearly if column.by_year else plain).update(normal(a) for a in (*column.aliases, column.name))
    return frozenset(plain | yearly), frozenset(yearly), frozenset(w for w in plain | yearly if len(w) >= 3)


def known_word(text: str) -> bool:
    """Whether a text, without units and marks, is a header of some declared table."""
    plain, yearly, _ = _words()
    for reading in {text, cleaned(text), *(label for label, _ in path_readings([text]))}:
        split = split_year(reading)
        if normal(reading) in plain or (split is not None and normal(split[0]) in yearly):
            return True
    return False


def _value_of(path: list[str]) -> float:
    """How much a path speaks for being a header."""
    if any(_like_data(text) for text in path):
        return _DATA
    readings = [text for text, _ in path_readings(path)]
    if not readings:
        return 0.0
    for place, text in enumerate(readings):
        if known_word(text):
            return _KNOWN - (0.1 if place else 0.0)
    bare = normal(readings[0])
    return _PARTLY if any(word in bare for word in _words()[2]) else _WORD


def _like_data(text: str) -> bool:
    """A number (no year), a whole date, an identifier or a long text: never a header."""
    compact = text.strip()
    if len(compact) > 60 or is_business_number(compact):
        return True
    if re.fullmatch(r"(?:19|20)\d{2}(?:\.0)?", compact) or units.known(compact):
        return False
    number = parse_number(compact)
    if number is not None and not re.fullmatch(r"\(?\d{1,2}\)?", compact):
        return True
    date = parse_date(compact)
    return date is not None and date[1] != "날이 없는 날짜"


def tables_in(sheet: Sheet) -> list[Block]:
    """The tables of a sheet, from top to bottom and left to right; empty where no header is found."""
    if not sheet.cells.size:
        return []
    sheet = _without_far_cells(sheet)
    joint = _stacked(sheet, None)
    ranges = _side_by_side(sheet)
    if len(ranges) > 1:
        apart = [_stacked(sheet, cols) for cols in ranges]
        if all(group and all(_known_headers(block) >= 3 for block in group) for group in apart):
            return [block for group in apart for block in group]
    return joint


def _without_far_cells(sheet: Sheet) -> Sheet:
    """A sheet of thousands of columns without those at its right end that hold a single stray cell."""
    if sheet.cells.shape[1] <= _WIDE:
        return sheet
    filled = np.asarray((sheet.cells != "").sum(axis=0))
    last = int(np.flatnonzero(filled > 1).max(initial=0))
    return replace(sheet, cells=sheet.cells[:, : last + 1])


def _side_by_side(sheet: Sheet) -> list[str]:
    """Ranges of columns that hold tables of their own: after a blank column, headers of the table before come again."""
    groups: list[tuple[int, int, dict[str, list[int]]]] = []
    for left, right in _column_pieces(sheet):
        told: dict[str, list[int]] = {}
        for row, cells in enumerate(sheet.cells[:_FIRST_ROWS, left : right + 1]):
            for text in map(str, filter(None, cells)):
                if len(text) <= 40 and (known_word(text) or normal(text) in _COUNTERS):
                    told.setdefault(normal(text), []).append(row)
        if groups and _come_again(groups[-1][2], told) < 2:
            start, _, before = groups.pop()
            for word, rows in told.items():
                before.setdefault(word, []).extend(rows)
            groups.append((start, right, before))
        else:
            groups.append((left, right, told))
    return [f"{column_letters(a + 1)}-{column_letters(b + 1)}" for a, b, _ in groups]


def _come_again(before: dict[str, list[int]], told: dict[str, list[int]]) -> int:
    """Words of both whose rows are those of one header, a few rows apart at most."""
    return sum(
        any(abs(one - other) < _HIGHEST for one in before[word] for other in rows)
        for word, rows in told.items()
        if word in before
    )


def _column_pieces(sheet: Sheet) -> list[tuple[int, int]]:
    """Runs of columns between blank ones."""
    used = np.asarray((sheet.cells != "").any(axis=0), dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], used.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _known_headers(block: Block) -> int:
    return sum(_value_of(list(path)) >= _KNOWN - 0.1 for path in block.paths)


# -- below one another ------------------------------------------------------------------------------------


def _stacked(sheet: Sheet, cols: str | None) -> list[Block]:
    part, _ = part_of(sheet, None, cols)
    count = _known_per_row(part)
    top = 0
    spans: list[tuple[int, int, int]] = []  # first row of the part, header's first and last row
    while (found := _best_header(part, top, count, later=bool(spans))) is not None:
        first, last = found
        if not (spans and _same_header(part, last, spans[-1][2])):
            spans.append((_part_start(part, first, top) if spans else 0, first, last))
        top = last + 1
    blocks = []
    for place, (start, first, last) in enumerate(spans):
        end = spans[place + 1][0] if place + 1 < len(spans) else None
        rows = None
        if len(spans) > 1:
            rows = f"{start + 1}-" + ("" if end is None else str(end))
        blocks.append(_block(sheet, rows, cols, first, last))
    return blocks


def _block(sheet: Sheet, rows: str | None, cols: str | None, first: int, last: int) -> Block:
    part, left = part_of(sheet, rows, cols)
    above = [str(cell).strip() for row in part.cells[max(0, first - 6) : first] for cell in row if cell]
    return Block(
        sheet=sheet.name,
        part=part,
        left=left,
        rows=rows,
        cols=cols,
        first_row=first,
        last_row=last,
        paths=tuple(tuple(path) for path in column_paths(part, first, last)),
        table_units=units_above(part.cells, first, last),
        above=tuple(above[-12:]),
    )


def _known_per_row(part: Sheet) -> NDArray[np.int64]:
    """How many cells of each row are headers of some declared table  # (R,)"""
    cells = part.cells[:_ALL_ROWS]
    codes, distinct = pd.factorize(cells.ravel())
    flags = np.array([bool(text) and len(text) <= 40 and known_word(text) for text in distinct], dtype=bool)
    return np.asarray(flags[codes].reshape(cells.shape).sum(axis=1), dtype=np.int64)


def _best_header(part: Sheet, top: int, count: NDArray[np.int64], *, later: bool) -> tuple[int, int] | None:
    """Header rows at or below `top`; below a first table only rows of known words count."""
    height = part.cells.shape[0]
    best: tuple[float, int, int] | None = None
    for row in range(top, min(height, len(count))):
        if later and (count[row] < 3 or any(_like_data(str(cell)) for cell in part.cells[row] if cell)):
            continue
        if not later and row >= _FIRST_ROWS and count[row] < 3:
            continue
        if best is not None and row > best[2] + 3 and best[0] >= 2:
            break
        for last in range(row, min(height, row + _HIGHEST)):
            score = _score(part, row, last)
            if score is not None and (best is None or score > best[0]):
                best = (score, row, last)
    if best is None:
        return None
    first, last = _whole_header(part, best[1], best[2], top)
    return first, last


def _same_header(part: Sheet, last: int, earlier: int) -> bool:
    """A header that is only repeated, as at the top of each printed page."""
    one, other = ([normal(str(c)) for c in part.cells[row]] for row in (last, earlier))
    return one == other


def _score(part: Sheet, first: int, last: int) -> float | None:
    """How well rows `first` … `last` do as a header; None where they cannot be one."""
    paths = [path for path in column_paths(part, first, last) if path]
    if len(paths) < 2 or not (part.cells[last] != "").any() or not (part.cells[first] != "").any():
        return None
    values = [_value_of(path) for path in paths]
    if sum(value > 0 for value in values) < 2 or sum(values) <= 0:
        return None
    below = part.cells[last + 1] if last + 1 < part.cells.shape[0] else np.array([], dtype=object)
    filled = [str(cell) for cell in below if cell]
    share = sum(_like_data(text) for text in filled) / len(filled) if filled else 0.0
    return sum(values) + 0.5 * share - 0.2 * (last - first)


def _whole_header(part: Sheet, first: int, last: int, top: int) -> tuple[int, int]:
    """With the group rows above and the rows below into which a merged header cell reaches."""
    for merged_top, _, merged_bottom, _ in part.merged:
        if first <= merged_top <= last and merged_bottom > last and merged_bottom - merged_top < _HIGHEST:
            last = merged_bottom
    while first > top and last - first + 1 < _HIGHEST and _is_group_row(part, first - 1, last):
        first -= 1
    return first, last


def _is_group_row(part: Sheet, row: int, last: int) -> bool:
    """A row over a header that names groups of its columns: neither blank nor title, units, remark or data."""
    texts = [(at, str(cell).strip()) for at, cell in enumerate(part.cells[row]) if str(cell).strip()]
    if not texts:
        return False
    if any(units.units_in_line(t) or _like_data(t) or ":" in t or "：" in t or len(t) > 25 for _, t in texts):
        return False
    width = int((part.cells[last] != "").sum())
    spans = {left: right for top, left, bottom, right in part.merged if top == row}
    if len({text for _, text in texts}) == 1:
        at = texts[0][0]
        used = np.flatnonzero((part.cells[row + 1 : last + 1] != "").any(axis=0))
        wide = spans.get(at, at) - at + 1 > 0.6 * width
        return bool(len(used)) and at > used[0] and not wide
    return True


def _part_start(part: Sheet, first: int, top: int) -> int:
    """First row of a lower table's part: its title and unit line included, the notes of the table above not."""
    row = first
    while row > top:
        texts = [str(cell).strip() for cell in part.cells[row - 1] if str(cell).strip()]
        if not texts or len(texts) > 2 or re.match(r"\s*[※*＊주]", texts[0]) or any(map(_like_data, texts)):
            break
        row -= 1
    return row
