"""Which rows below a header are data: blank rows, subtotals, repeated headers and notes are counted, with an example."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.files import Sheet
from evalkit.ingest.headers import Header, normal
from evalkit.ingest.table import FlowStep, TableSpec

_SUBTOTAL = re.compile(
    r"(?:소계|합계|총계|누계|전체계)(?:\(.*\))?$|^(?:계|총합|합)(?:\(.*\))?$|^(?:소계|합계|총계)"
)
_WHOLE_SUBTOTAL = re.compile(r"(?:소계|합계|총계|누계|전체계|계|총합)(?:\(.*\))?")
_NOTE = re.compile(
    r"^\s*(?:[※*＊▶☞•]|주\s*\d*\s*[):.]|\(주\s*\d*\)|자료\s*[::]|출처\s*[::]|비고\s*[::]|주석)"
)
_KEYISH = {"business_number", "number_head", "code", "name", "region"}


def body_cells(sheet: Sheet, header: Header) -> tuple[NDArray[np.object_], int]:
    """Cells below the header with vertical merges filled down, and how many cells were filled."""
    start = header.last_row + 1
    body = sheet.cells[start:].copy()
    filled = 0
    for top, left, bottom, right in sheet.merged:
        if bottom < start or top < start or left != right:
            continue
        body[top - start + 1 : bottom - start + 1, left] = sheet.cells[top, left]
        filled += bottom - top
    return body, filled


def data_rows(
    body: NDArray[np.object_], header: Header, spec: TableSpec, first_row: int
) -> tuple[NDArray[np.int64], tuple[FlowStep, ...]]:
    """Positions of the data rows within the body, and the flow from rows read to rows used.

    `first_row` is the row number that Excel shows for the body's first row.
    """
    n = len(body)
    used = np.ones(n, dtype=bool)
    steps = [FlowStep("머리글 아래에서 읽은 행", n)]
    positions = [match.position for match in header.matches]
    filled = np.asarray(body != "", dtype=bool)  # cells of blanks only were emptied when the file was read
    for reason, mask in (
        ("빈 행", ~filled.any(axis=1)),
        ("머리글이 되풀이된 행", _repeated(body, header)),
        ("소계·합계 행", _subtotals(body, filled, header, spec)),
        ("주석 행", _notes(body, filled)),
        ("선언된 열이 모두 빈 행", ~filled[:, positions].any(axis=1)),
    ):
        out = mask & used
        if out.any():
            row = int(np.flatnonzero(out)[0])
            text = " ".join(str(cell).strip() for cell in body[row] if str(cell).strip())
            steps.append(
                FlowStep(reason, -int(out.sum()), f"{first_row + row}행: {text[:40]}" if text else "")
            )
            used &= ~out
    steps.append(FlowStep("자료 행", int(used.sum())))
    return np.flatnonzero(used), tuple(steps)


def _repeated(body: NDArray[np.object_], header: Header) -> NDArray[np.bool_]:
    out = np.zeros(len(body), dtype=bool)
    leaves = [(m.position, header.leaves[m.position]) for m in header.matches if header.leaves[m.position]]
    if not leaves:
        return out
    position, leaf = leaves[0]
    first = leaf[:1]
    for row in [
        r for r, t in enumerate(body[:, position].tolist()) if first in t.lower() and normal(t) == leaf
    ]:
        out[row] = all(normal(str(body[row, p])) == text for p, text in leaves)
    return out


def _subtotals(
    body: NDArray[np.object_], filled: NDArray[np.bool_], header: Header, spec: TableSpec
) -> NDArray[np.bool_]:
    """Rows in which a cell says 소계, 합계 … and a column that names the row's own unit is blank."""
    out = np.zeros(len(body), dtype=bool)
    naming = [m.position for m in header.matches if m.column.kind in _KEYISH and m.column.required]
    complete = np.full(len(body), bool(naming))
    for position in naming:
        complete &= filled[:, position]
    for column in range(min(body.shape[1], 12)):
        texts = body[:, column].tolist()
        joined = "\n".join(texts)
        if "계" not in joined and "합" not in joined:
            continue
        for row, text in enumerate(texts):
            if ("계" in text or text.endswith(("합", "합 "))) and filled[row, column] and not out[row]:
                compact = re.sub(r"\s+", "", text)
                if complete[row]:  # a firm may be called so: only the bare word, where a name should stand
                    out[row] = column in naming and bool(_WHOLE_SUBTOTAL.fullmatch(compact))
                else:
                    out[row] = len(compact) <= 20 and bool(_SUBTOTAL.search(compact))
    return out


def _notes(body: NDArray[np.object_], filled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows of one or two cells that begin with a note mark."""
    out = np.zeros(len(body), dtype=bool)
    few = np.flatnonzero((filled.sum(axis=1) > 0) & (filled.sum(axis=1) <= 2))
    for row in few:
        text = str(body[row, int(np.flatnonzero(filled[row])[0])])
        out[row] = bool(_NOTE.match(text))
    return out
