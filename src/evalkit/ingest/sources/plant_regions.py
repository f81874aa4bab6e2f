"""공장등록: the address from which a plant's 시·군·구 is read: 도로명, else 지번, else 시도 and 시군구.

The first that can be read is put into the column of the address before the table is read; the address as written goes to a
column of its own. Where none can be read, the first that is there stays, and the reader says why it cannot be read.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import ValueProblem
from evalkit.ingest.addresses import address_head, base_of_address
from evalkit.ingest.files import RawFile
from evalkit.ingest.headers import find_header
from evalkit.ingest.regions import Date
from evalkit.ingest.sheets import choose_sheet
from evalkit.ingest.sources.region_cells import with_cells, with_empty_column
from evalkit.ingest.table import Repair, TableSpec

_ADDRESS, _WRITTEN = "공장대표주소(도로명)", "주소 그대로"


def with_plant_regions(
    raw: RawFile, spec: TableSpec, when: Date, province: str, sheet: str | None
) -> tuple[RawFile, tuple[Repair, ...]]:
    """The file with a readable address in every row that has one, and what was taken from where."""
    page = choose_sheet(raw, spec, sheet)
    loose = replace(spec, columns=tuple(replace(c, required=False) for c in spec.columns))
    header = find_header(page, loose, raw.path.name)
    at = {match.column.name: match.position for match in header.matches}
    if not {"region", "lot_address", "sigungu"} & set(at):
        return raw, ()
    if "region" not in at:
        page, at = with_empty_column(page, header, at, _ADDRESS)
    page, at = with_empty_column(page, header, at, _WRITTEN, "written_address")
    cells = page.cells.copy()
    body = cells[header.last_row + 1 :]
    readable = _Readable(when)
    repairs: list[Repair] = []
    chosen, used = _first_readable(body, at, province, readable)
    written = body[:, at["region"]].copy()
    lots = body[:, at["lot_address"]] if "lot_address" in at else np.full(len(body), "", dtype=object)
    body[:, at["written_address"]] = np.where(written != "", written, lots)
    body[:, at["region"]] = chosen
    for number, kind in enumerate(_KINDS):
        hit = np.flatnonzero(used == number)
        if kind and len(hit):
            row, first = int(header.last_row + 2 + hit[0]), hit[0]
            # an address would tell who the firm is: only the 시·도 and the 시·군·구 are shown
            before, after = (address_head(str(text[first])) for text in (written, chosen))
            repairs.append(Repair(raw.path.name, page.name, row, _ADDRESS, kind, before, after, len(hit)))
    return with_cells(raw, page, cells), tuple(repairs)


_KINDS = (
    "",
    "도로명 주소 앞에 시·도를 붙임",
    "도로명 주소로 지역을 알 수 없어 지번 주소를 읽음",
    "도로명 주소로 지역을 알 수 없어 지번 주소 앞에 시·도를 붙여 읽음",
    "주소로 지역을 알 수 없어 시도·시군구 칸을 읽음",
)


def _first_readable(
    body: NDArray[np.object_], at: dict[str, int], province: str, readable: _Readable
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """The address to read in each row and which of `_KINDS` it is; the one that stands there where none can be read."""
    n = len(body)
    blank = np.full(n, "", dtype=object)
    road = body[:, at["region"]]
    lot = body[:, at["lot_address"]] if "lot_address" in at else blank
    sido, sigungu = (body[:, at[name]] if name in at else blank for name in ("sido", "sigungu"))
    chosen = np.where(road != "", road, lot)
    used = np.zeros(n, dtype=np.int64)
    for row in range(n):
        own = province or str(sido[row]).strip()
        tries = (
            str(road[row]),
            f"{province} {road[row]}" if province and road[row] else "",
            str(lot[row]),
            f"{province} {lot[row]}" if province and lot[row] else "",
            f"{own} {sigungu[row]}" if own and sigungu[row] else "",
        )
        for number, text in enumerate(tries):
            if text and readable(text):
                chosen[row], used[row] = text, number
                break
    return chosen, used


class _Readable:
    """Whether an address begins with a 시·도 and one of its 시·군·구, each beginning tried once."""

    def __init__(self, when: Date) -> None:
        self._when = when
        self._known: dict[str, bool] = {}

    def __call__(self, text: str) -> bool:
        found = re.fullmatch(r"\d{5}(?:\d{5})?", text.strip())
        if found:
            return True  # a code: the reader of the column judges it
        head = address_head(text)
        if head not in self._known:
            try:
                base_of_address(head, self._when)
            except ValueProblem:
                self._known[head] = False
            else:
                self._known[head] = True
        return self._known[head]
