"""What stands beside CSV files of many tables: which file is which table, and what marks and notes say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evalkit.present.messages import say
from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Column, Tabulation

_MARKS = (("*", "workbook.mark_withheld"), ("", "workbook.mark_missing"), ("∞", "workbook.mark_infinite"))
_READING = ("csv.how", "csv.mark", "csv.unit", "workbook.interval", "csv.quote")


def listing(rows: Sequence[tuple[str, str, str, str]], title: str, lang: Lang) -> Tabulation:
    """The list of files: number as in the other formats, file, title, report."""
    keys = ("sheet", "file", "title", "report")
    words = {"sheet": say("csv.number", lang), **{key: say(f"workbook.{key}", lang) for key in keys[1:]}}
    return Tabulation("contents", title, [Column(key, words[key]) for key in keys], rows, lang=lang)


def notes_of(tables: Mapping[str, Tabulation], title: str, lang: Lang) -> Tabulation:
    """What the marks of all files mean, then the notes of each file in order, a row each.

    Parameters
    ----------
    tables : name of the file -> its table
    """
    everywhere, read = say("csv.all", lang), say("workbook.reading", lang)
    rows = [(everywhere, mark or say("csv.missing", lang), say(key, lang)) for mark, key in _MARKS]
    rows += [(everywhere, read, say(key, lang)) for key in _READING]
    note = say("export.notes_word", lang)
    rows += [(name, note, text) for name, table in tables.items() for text in table.notes]
    columns = (
        Column("file", say("workbook.file", lang)),
        Column("mark", say("workbook.mark", lang)),
        Column("meaning", say("workbook.meaning", lang)),
    )
    return Tabulation("notes", title, columns, rows, lang=lang)
