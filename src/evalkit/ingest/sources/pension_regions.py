"""국민연금: the region code of a row from what its file has: the 법정동 code, its three parts, else the address.

The public file has the ten digits of the 법정동 and their parts (41|610|330); the open API has the parts only; a
spreadsheet turns the ten digits into 4.16E+09. The cell of the code is filled before the table is read, so that one reader
reads every file.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.files import RawFile
from evalkit.ingest.headers import find_header
from evalkit.ingest.sheets import choose_sheet
from evalkit.ingest.sources.region_cells import with_cells, with_empty_column
from evalkit.ingest.table import ColumnSpec, Repair, TableSpec

_CODE = re.compile(r"[1-9]\d{4}(?:\d{5})?(?:\.0+)?")
_PARTS = TableSpec(
    name="pension_region_parts",
    title="국민연금 사업장의 지역",
    row_meaning="한 사업장",
    columns=(
        ColumnSpec("sido_part", ("법정동주소광역시도코드", "LDONG_ADDR_MGPL_DG_CD"), "code", "시·도 두 자리", required=False),
        ColumnSpec("sigungu_part", ("법정동주소광역시시군구코드", "LDONG_ADDR_MGPL_SGGU_CD"), "code", "시·군·구 세 자리", required=False),
        ColumnSpec("lot_address", ("사업장지번상세주소", "WKPL_LTNO_DTL_ADDR"), "text", "지번 주소", required=False),
        ColumnSpec("road_address", ("사업장도로명상세주소", "WKPL_ROAD_NM_DTL_ADDR"), "text", "도로명 주소", required=False),
    ),
)  # fmt: skip
_CODE_HEADER = "고객법정동주소코드"


def with_region_codes(raw: RawFile, spec: TableSpec, sheet: str | None) -> tuple[RawFile, tuple[Repair, ...]]:
    """The file with every cell of the region code filled as far as its row tells it, and what was filled from where."""
    page = choose_sheet(raw, spec, sheet)
    code = spec.column("region")
    loose = replace(
        spec,
        columns=tuple(replace(c, required=False) for c in (*spec.columns, *_PARTS.columns)),
    )
    header = find_header(page, loose, raw.path.name)
    at = {match.column.name: match.position for match in header.matches}
    if not {"sido_part", "lot_address", "road_address"} & set(at):
        return raw, ()  # nothing to fill from: the reader says what is missing
    if code.name not in at:
        page, at = with_empty_column(page, header, at, _CODE_HEADER)
    first = header.last_row + 1
    column = at[code.name]
    texts = page.cells[first:, column]
    codes, distinct = pd.factorize(texts)
    good = np.array([bool(_CODE.fullmatch(str(text).strip())) for text in distinct], dtype=bool)[codes]
    filled = (page.cells[first:] != "").sum(axis=1) > 2  # blank lines and notes stay as they are
    todo = np.flatnonzero(~good & filled)
    if not len(todo):
        return raw, ()
    body = page.cells[first:]
    found, by_parts = _told(body, todo, at)
    hit = np.array([text != "" for text in found], dtype=bool)
    if not hit.any():
        return raw, ()
    cells = page.cells.copy()
    before = cells[first + todo, column].copy()
    cells[first + todo[hit], column] = found[hit]
    where = raw.path.name
    repairs = tuple(
        Repair(where, page.name, int(first + todo[np.flatnonzero(m)[0]] + 1), _CODE_HEADER, kind,
               str(before[np.flatnonzero(m)[0]])[:60], str(found[np.flatnonzero(m)[0]])[:60], int(m.sum()))
        for kind, m in (
            ("법정동 코드가 없어 시·도와 시·군·구 코드를 이음", by_parts & hit),
            ("법정동 코드가 없어 주소를 읽음", ~by_parts & hit),
        )
        if m.any()
    )  # fmt: skip
    return with_cells(raw, page, cells), repairs


def _told(
    body: NDArray[np.object_], rows: NDArray[np.int64], at: dict[str, int]
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """For each row its five-digit code or its address, "" where there is neither; and whether the parts told it."""
    found = np.full(len(rows), "", dtype=object)
    by_parts = np.zeros(len(rows), dtype=bool)
    if "sido_part" in at and "sigungu_part" in at:
        sido = pd.Series(body[rows, at["sido_part"]]).map(lambda text: _digits(text, 2))
        sigungu = pd.Series(body[rows, at["sigungu_part"]]).map(lambda text: _digits(text, 3))
        # some answers of the API repeat the 시·도 before the 시·군·구
        joined = np.array(
            [b if len(b) == 5 and b.startswith(a) else a + b for a, b in zip(sido, sigungu, strict=True)],
            dtype=object,
        )
        by_parts = np.array([bool(_CODE.fullmatch(text)) for text in joined], dtype=bool)
        found[by_parts] = joined[by_parts]
    for name in ("lot_address", "road_address"):
        if name in at:
            left = found == ""
            found[left] = [str(text).strip() for text in body[rows[left], at[name]]]
    return found, by_parts


def _digits(text: object, width: int) -> str:
    bare = re.sub(r"\.0+$", "", str(text).strip())
    return bare.zfill(width) if bare.isdigit() else ""
