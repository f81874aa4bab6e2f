"""Where the cells of a table stand, for formats whose tables are grids: header cells with their spans, column widths."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from evalkit.present.tabulation import Tabulation, clean_text

_WORDS = re.compile(r"[ \n]+")
_BOUNDS = re.compile(r"(\[[−\d.,∞]+,) (?=[−\d.,∞]+\])")
_P_VALUE = re.compile(r"\bp ([=<>]) (?=\d)")


@dataclass(frozen=True, slots=True)
class HeaderCell:
    """One cell of the header: its place (counted from 0), how far it reaches, and whether numbers stand under it."""

    text: str
    row: int
    column: int
    across: int = 1
    down: int = 1
    number: bool = False


def caption_text(label: str, title: str) -> str:
    """Number and title of a table or figure.

    >>> caption_text("표 3", "두 집단의 차이")
    '표 3. 두 집단의 차이'
    """
    return f"{label}. {title}" if title else label


def with_digits(table: Tabulation) -> Tabulation:
    """The same table with the decimals of its columns chosen once, not anew for every cell."""
    columns = [replace(column, digits=table.digits(c)) for c, column in enumerate(table.columns)]
    return replace(table, columns=columns)


def is_number(table: Tabulation, column: int) -> bool:
    """Whether a column is set right: everything but texts and codes."""
    return table.columns[column].kind not in ("text", "code")


def header_cells(table: Tabulation) -> tuple[HeaderCell, ...]:
    """The header of a table in one row, or in two where columns are grouped; the stub belongs to no group."""
    names = ["" if at < table.stub else column.group for at, column in enumerate(table.columns)]
    deep = any(names)
    cells: list[HeaderCell] = []
    at = 0
    for name, members in groupby(names):
        span = len(list(members))
        if name:
            cells.append(HeaderCell(name, 0, at, across=span))
        for column in range(at, at + span):
            header, number = table.columns[column].header, is_number(table, column)
            if name:
                cells.append(HeaderCell(header, 1, column, number=number))
            else:
                cells.append(HeaderCell(header, 0, column, down=2 if deep else 1, number=number))
        at += span
    return tuple(sorted(cells, key=lambda cell: (cell.row, cell.column)))


def heading_text(table: Tabulation, row: int) -> str:
    """What a row that heads others says: its first cell that holds anything."""
    width = len(table.columns)
    return next((table.text(row, c) for c in range(width) if table.value(row, c) is not None), "")


def unbroken(text: str) -> str:
    """Clean text in which no line ends inside an interval or a p-value."""
    return _P_VALUE.sub("p\u00a0\\1\u00a0", _BOUNDS.sub("\\1\u00a0", clean_text(text)))


def text_width(text: str) -> int:
    """Width of the longest line in half characters: a Hangul syllable or Chinese character counts two.

    >>> text_width("가나 ab")
    7
    """
    return max((sum(_half(letter) for letter in line) for line in text.split("\n")), default=0)


def word_width(text: str) -> int:
    """Width of the longest word in half characters."""
    return max((text_width(word) for word in _WORDS.split(text)), default=0)


def _half(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def column_widths(columns: Sequence[Sequence[str]], total: int, *, unit: int, padding: int) -> list[int]:
    """Widths of columns that add up to `total`.

    A column gets the width of its longest text up to a share of the page and never less than its longest word, as far
    as the page allows.

    Parameters
    ----------
    columns : the texts of each column
    total : width of the table
    unit : width of half a character
    padding : what a column needs beside its text
    """
    words = [padding + unit * max(map(word_width, texts), default=1) for texts in columns]
    wishes = [padding + unit * max(map(text_width, texts), default=1) for texts in columns]
    most = max(total // 2, total // max(len(columns), 1))
    wishes = [max(word, min(wish, most)) for word, wish in zip(words, wishes, strict=True)]
    if sum(wishes) <= total:
        parts = wishes
        spare = total - sum(wishes)
        shared = sum(parts)
        found = [part + spare * part // shared for part in parts]
    elif sum(words) <= total:
        spare, wanted = total - sum(words), sum(wishes) - sum(words)
        found = [word + spare * (wish - word) // wanted for word, wish in zip(words, wishes, strict=True)]
    else:
        found = [total * word // sum(words) for word in words]
    found[-1] += total - sum(found)
    return found


def fits(columns: Sequence[Sequence[str]], total: int, *, unit: int, padding: int) -> bool:
    """Whether every word of every column fits in its line."""
    return sum(padding + unit * max(map(word_width, texts), default=1) for texts in columns) <= total
