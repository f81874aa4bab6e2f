"""Which rows below a header are data: blank rows, subtotals, repeated headers and notes are counted, with an example."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import FileError, ValueProblem
from evalkit.ingest.files import Sheet
from evalkit.ingest.headers import Header, normal
from evalkit.ingest.table import FlowStep, TableSpec, place

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


def refuse_ragged(page: Sheet, header: Header, file: str) -> None:
    """A line with more cells than its header has been torn apart by a comma inside a value."""
    if header.last_row >= len(page.widths):
        return
    width = page.widths[header.last_row]
    for row in range(header.last_row + 1, len(page.widths)):
        if page.widths[row] > width and (page.cells[row, width:] != "").any():
            raise FileError(
                f"칸이 {page.widths[row]}개인데 머리글은 {width}개임",
                where=place(file, page.name, row + 1),
                remedy="값 속의 쉼표를 큰따옴표로 묶거나, 엑셀에서 열어 다시 저장할 것",
            )


def refuse_merged_numbers(sheet: Sheet, header: Header, file: str) -> None:
    """Stop where one amount stands for several rows: filled down it would count as often as there are rows.

    Raises
    ------
    ValueProblem : a column of numbers has a cell merged over rows that are not merged as a whole
    """
    start = header.last_row + 1
    kinds = {match.position: match for match in header.matches}
    naming = {m.position for m in header.matches if m.column.kind in _KEYISH}
    spans = [(t, c, b) for t, c, b, right in sheet.merged if t >= start and b > t and c == right]
    whole = {(t, b) for t, c, b in spans if c in naming}
    for top, column, bottom in sorted(spans):
        match = kinds.get(column)
        if match is None or match.column.kind not in ("money", "integer", "number"):
            continue
        if not str(sheet.cells[top, column]).strip() or (top, bottom) in whole:
            continue
        raise ValueProblem(
            f"수 한 칸이 {bottom - top + 1}개 행({top + 1}–{bottom + 1}행)에 병합되어 있어 누구의 값인지 알 수 없음",
            where=place(file, sheet.name, top + 1, match.label),
            remedy="사본에서 병합을 풀어 행마다 나눈 값을 적거나, 한 번만 셀 값이면 한 행에만 두고 나머지는 비울 것",
        )


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
