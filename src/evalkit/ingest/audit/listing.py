"""Findings as lists: one line a finding, one line a row to look at; as a workbook or a CSV file."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evalkit.ingest.audit.finding import Finding, Row
from evalkit.ingest.audit.words import TITLES, number_words

FINDING_HEADS = ("자료", "번호", "정도", "점검", "찾은 것", "관련된 곳 수", "할 일", "확실함(0–1)")
ROW_HEADS = ("번호", "파일", "행", "단위", "기간", "열", "값", "예상한 값")
_ACTIVE = re.compile(r"^[=+\-@\t\r]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def place_words(row: Row) -> str:
    """A row to look at in a line: «12행 50110 2016 인구 450,000 (예상 120,000)».

    >>> place_words(Row(12, "50110", "2016", "인구", 450000.0, 120000.0))
    '12행 50110 2016 인구 450,000 (예상 120,000)'
    """
    parts = (
        [f"{row.file} {row.source_row}행" if row.file else f"{row.source_row}행"] if row.source_row else []
    )
    parts += [part for part in (row.unit, row.period, row.variable) if part]
    if row.value is not None:
        parts.append(_written(row.value))
    if row.expected is not None:
        parts.append(f"(예상 {_written(row.expected)})")
    return " ".join(parts)


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else number_words(value)


def tabulated(found: Sequence[tuple[str, Finding]]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Lines of findings and lines of rows, joined by the number of the finding."""
    findings: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []
    for number, (source, f) in enumerate(found, start=1):
        findings.append(
            (
                source,
                number,
                f.severity_words,
                TITLES[f.check],
                f.sentence,
                f.total,
                f.rule,
                round(f.score, 2),
            )
        )
        rows += [
            (number, r.file, r.source_row or None, r.unit, r.period, r.variable, r.value, r.expected)
            for r in f.rows
        ]
    return findings, rows


def write_findings(found: Sequence[tuple[str, Finding]], path: str | Path) -> None:
    """Write a workbook of two sheets, or a CSV (UTF-8 with its mark, for Excel) with one line a row to look at.

    Text from the data stays text: nothing of it is a formula. Written under a temporary name, then moved.
    """
    path = Path(path)
    findings, rows = tabulated(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".findings-", suffix=path.suffix)
    os.close(handle)
    try:
        if path.suffix.lower() == ".xlsx":
            _workbook(findings, rows, temporary)
        else:
            Path(temporary).write_bytes(_csv(findings, rows))
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _workbook(findings: list[tuple[Any, ...]], rows: list[tuple[Any, ...]], path: str) -> None:
    import datetime as dt

    from openpyxl import Workbook

    book = Workbook()
    # the same findings give the same bytes
    book.properties.created = book.properties.modified = dt.datetime(2000, 1, 1)
    pages = (("찾은 것", FINDING_HEADS, findings), ("볼 행", ROW_HEADS, rows))
    for place, (title, heads, lines) in enumerate(pages):
        page = book.active if place == 0 else book.create_sheet()
        page.title = title
        for r, line in enumerate((heads, *lines), start=1):
            for c, value in enumerate(line, start=1):
                cell = page.cell(row=r, column=c)
                cell.value = _plain(value)
                if isinstance(value, str):
                    cell.data_type = "s"
        page.freeze_panes = "A2"
    book.save(path)


def _csv(findings: list[tuple[Any, ...]], rows: list[tuple[Any, ...]]) -> bytes:
    """Each row to look at beside its finding; a finding without rows has one line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow((*FINDING_HEADS, *ROW_HEADS[1:]))
    for line in findings:
        mine = [row[1:] for row in rows if row[0] == line[1]] or [("",) * (len(ROW_HEADS) - 1)]
        for row in mine:
            writer.writerow([_harmless(value) for value in (*line, *row)])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _plain(value: Any) -> Any:
    return _CONTROL.sub("�", value) if isinstance(value, str) else value


def _harmless(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(value, str):
        text = _plain(value)
        return f"'{text}" if _ACTIVE.match(text) else text
    return value
