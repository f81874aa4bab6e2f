"""Capital letters at the beginning of what stands alone in English: titles, headers and cells.

Labels of a plan and short messages are written as a sentence takes them («supported firms»); where one begins a cell or a
title it begins with a capital. Names, symbols and formulas (p-value, n/a, log(1 + y), file_name) stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from evalkit.present.tabulation import Entry, Tabulation

_PLAIN_WORD = re.compile(r"[a-z]{2,}(-[a-z]{2,})*(?=[\s,;]|:\s|$)")


def capital(text: str, lang: str = "en") -> str:
    """A phrase with a capital at its beginning, where that is an English word.

    >>> capital("supported firms"), capital("p-value"), capital("log(1 + sales)"), capital("n/a")
    ('Supported firms', 'p-value', 'log(1 + sales)', 'n/a')
    """
    return text[0].upper() + text[1:] if lang == "en" and _PLAIN_WORD.match(text) else text


def capitals(table: Tabulation) -> Tabulation:
    """An English table whose title, headers and cells of words begin with a capital; a Korean one as it is."""
    if table.lang != "en":
        return table
    columns = tuple(replace(c, label=capital(c.label), group=capital(c.group)) for c in table.columns)
    words = [column.kind == "text" for column in table.columns]
    rows = tuple(
        tuple(_cell(cell, is_words) for cell, is_words in zip(row, words, strict=True)) for row in table.rows
    )
    return replace(table, title=capital(table.title), columns=columns, rows=rows)


def _cell(cell: Any, is_words: bool) -> Any:
    if isinstance(cell, Entry) and cell.kind == "text" and isinstance(cell.value, str):
        return replace(cell, value=capital(cell.value))
    return capital(cell) if is_words and isinstance(cell, str) else cell
