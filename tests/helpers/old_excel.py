"""A workbook in the form of Excel 97 (.xls), written by hand: texts, numbers, merged cells.

A compound file (MS-CFB: header, allocation table, directory, one stream) around BIFF8 records (MS-XLS: BOF, BOUNDSHEET, LABEL,
NUMBER, MERGEDCELLS, EOF). Enough for a reader; nothing here is read by Excel's own repair.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

_SECTOR = 512
_END, _FREE, _TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
Merge = tuple[int, int, int, int]  # first row, first column, last row, last column


def xls_bytes(sheets: Sequence[tuple[str, Sequence[Sequence[Any]], Sequence[Merge]]]) -> bytes:
    """The bytes of a workbook; each sheet is (name, rows of str | int | float | None, merged cells)."""
    bodies = [_sheet(rows, merges) for _, rows, merges in sheets]
    head = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0)) + _record(
        0x0042, struct.pack("<H", 1200)
    )
    bounds = [len(name.encode("utf-16-le")) + 8 + 4 for name, _, _ in sheets]
    at = len(head) + sum(bounds) + 4
    names = b""
    for (name, _, _), body in zip(sheets, bodies, strict=True):
        names += _record(0x0085, struct.pack("<IBBBB", at, 0, 0, len(name), 1) + name.encode("utf-16-le"))
        at += len(body)
    return _compound(head + names + _record(0x000A, b"") + b"".join(bodies))


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _sheet(rows: Sequence[Sequence[Any]], merges: Sequence[Merge]) -> bytes:
    width = max((len(row) for row in rows), default=0)
    out = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0))
    out += _record(0x0200, struct.pack("<IIHHH", 0, len(rows), 0, width, 0))
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            if value is None or value == "":
                continue
            if isinstance(value, str):
                text = value.encode("utf-16-le")
                out += _record(0x0204, struct.pack("<HHHHB", r, c, 0, len(text) // 2, 1) + text)
            else:
                out += _record(0x0203, struct.pack("<HHHd", r, c, 0, float(value)))
    if merges:
        cells = b"".join(
            struct.pack("<HHHH", top, bottom, left, right) for top, left, bottom, right in merges
        )
        out += _record(0x00E5, struct.pack("<H", len(merges)) + cells)
    return out + _record(0x000A, b"")


def _compound(stream: bytes) -> bytes:
    stream = stream.ljust(max(4096, -(-len(stream) // _SECTOR) * _SECTOR), b"\0")
    sectors = len(stream) // _SECTOR
    tables = 1
    while tables * (_SECTOR // 4) < tables + 1 + sectors:
        tables += 1
    chain = [_TABLE] * tables + [_END] + [tables + 2 + n for n in range(sectors - 1)] + [_END]
    chain += [_FREE] * (tables * (_SECTOR // 4) - len(chain))
    header = struct.pack(
        "<8s16sHHHHHHIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\0" * 16, 0x3E, 3, 0xFFFE, 9, 6, 0, 0, 0,
        tables, tables, 0, 4096, _END, 0, _END, 0,
    )  # fmt: skip
    header += struct.pack("<109I", *(list(range(tables)) + [_FREE] * (109 - tables)))
    root = _entry("Root Entry", 5, 1, _END, 0)
    book = _entry("Workbook", 2, _FREE, tables + 1, len(stream))
    directory = (root + book).ljust(_SECTOR, b"\0")
    return header + struct.pack(f"<{len(chain)}I", *chain) + directory + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIQ", text, len(text), kind, 1, _FREE, _FREE, child, b"\0" * 16, 0, 0, 0, start, size
    )  # fmt: skip
