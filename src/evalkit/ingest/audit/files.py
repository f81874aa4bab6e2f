"""`audit_file`: any workbook or delimited file that holds a long table (or one column a year)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import FileError, SchemaError, nearest
from evalkit.ingest.audit.columns import Roles, Typed, find_roles, labels, read_column
from evalkit.ingest.audit.finding import SHOWN, Finding, Row, in_order
from evalkit.ingest.audit.frames import audit_frame
from evalkit.ingest.audit.tables import declared_breaks
from evalkit.ingest.audit.words import RULES, listed, said
from evalkit.ingest.cells import parse_number
from evalkit.ingest.files import RawFile, Sheet, read_raw
from evalkit.ingest.identifiers import without_numbers
from evalkit.ingest.personal import refuse_residents, search_cells

_HEADER_WITHIN = 30
_YEAR = re.compile(r"(?:19|20)\d{2}\s*(?:년도?)?")
UNIT, PERIOD, VALUE = "단위", "기간", "값"


def audit_file(
    path: str | Path | RawFile,
    *,
    sheet: str | None = None,
    unit: Sequence[str] = (),
    period: str | None = None,
    values: Sequence[str] = (),
    today: dt.date | None = None,
) -> tuple[Finding, ...]:
    """Findings on a file; the first of them says which columns were taken for unit, period and values.

    Parameters
    ----------
    path : workbook or delimited text, in any encoding that `files.read_raw` knows
    sheet : of a workbook; without it the first that holds a table
    unit, period, values : headers of columns, where the rule should not decide

    Raises
    ------
    FileError : the file cannot be read, or holds no table
    SchemaError : a sheet or a header that is not there
    DisclosureError : a column holds 주민등록번호, as in the readers
    """
    raw = path if isinstance(path, RawFile) else read_raw(path)
    page = _page(raw, sheet)
    _refuse_persons(page, raw.path.name)
    columns, rows, cut = _columns(page, raw.path.name)
    for name in (*unit, *values, *([period] if period else [])):
        if name not in columns:
            raise SchemaError(
                f"열 {name!r} 이(가) 파일에 없음", where=(raw.path.name,), remedy=nearest(name, columns)
            )
    roles = find_roles(columns, unit=unit, period=period, values=values)
    if not roles.values and not roles.unit:
        raise FileError(
            "수가 든 열도 단위를 적은 열도 없어 점검할 것이 없음",
            where=(raw.path.name,),
            remedy="--unit 이나 --values 로 열의 머리글을 적을 것",
        )
    found = [_said_columns(roles), *_unreadable(columns, roles, rows), *cut]
    frame = pd.DataFrame({"source_row": rows})
    if roles.unit:
        frame[UNIT] = labels(columns, roles.unit)
    if roles.period:
        frame[roles.period] = pd.Series(columns[roles.period].texts, dtype="object").replace("", None)
    for name in roles.values:
        frame[name] = columns[name].numbers
    for name in (*roles.names, *roles.groups):
        frame[name] = columns[name].texts
    for name in roles.dates:
        frame[name] = columns[name].dates
    found += audit_frame(
        frame, UNIT if roles.unit else None, roles.period, roles.values, groups=roles.groups, names=roles.names,
        dates=roles.dates, breaks=declared_breaks(None, roles.values), repeats="hint" if roles.sensitive else "fault",
        sensitive=roles.sensitive, today=today,
    )  # fmt: skip
    return in_order(found)


def _page(raw: RawFile, sheet: str | None) -> Sheet:
    if sheet is not None:
        for page in raw.sheets:
            if page.name == sheet:
                return page
        names = [page.name for page in raw.sheets]
        raise SchemaError(f"시트 {sheet!r} 이(가) 없음", where=(raw.path.name,), remedy=nearest(sheet, names))
    for page in raw.sheets:
        if len(page.cells) > 1 and page.cells.shape[1] > 1:
            return page
    raise FileError(
        "표가 든 시트가 없음", where=(raw.path.name,), remedy="머리글과 자료 행이 있는 시트를 둘 것"
    )


def _refuse_persons(page: Sheet, file: str) -> None:
    """Nothing is shown of a file that holds numbers of persons."""
    if len(page.cells):
        refuse_residents(
            search_cells(page.cells, [str(c) for c in page.cells[max(0, _header(page.cells))]]),
            file,
            page.name,
        )


def _header(cells: NDArray[np.object_]) -> int:
    """The row of headers: the first that is filled as widely as the rows below it and holds words, not numbers; −1 if none."""
    filled = np.array([[bool(str(c).strip()) for c in row] for row in cells[: _HEADER_WITHIN + 20]]).sum(
        axis=1
    )
    for row in range(min(_HEADER_WITHIN, len(cells) - 1)):
        below = filled[row + 1 : row + 20]
        usual = float(np.median(below[below > 0])) if (below > 0).any() else 0.0
        texts = [str(c).strip() for c in cells[row] if str(c).strip()]
        words = [t for t in texts if parse_number(t) is None or _YEAR.fullmatch(t)]
        if len(texts) >= max(2, 0.7 * usual) and len(words) >= 0.8 * len(texts):
            return row
    return -1


def _columns(page: Sheet, file: str) -> tuple[dict[str, Typed], NDArray[np.int64], list[Finding]]:
    """Columns by header, the row numbers of their cells, and what is told of a file that breaks off."""
    head = _header(page.cells)
    if head < 0:
        raise FileError(
            "머리글 행을 찾을 수 없음", where=(file,), remedy="첫 30행 안에 열 이름이 든 한 행을 둘 것"
        )
    body = page.cells[head + 1 :]
    rows = np.arange(len(body)) + head + 2
    width = body.shape[1]
    count = np.zeros(len(body), dtype=np.int64)
    for column in range(width):
        count += body[:, column] != ""
    keep = count > 1 if width > 1 else count > 0
    cut: list[Finding] = []
    if page.cut_row > head:
        keep[page.cut_row - head - 1] = False
        row = Row(page.cut_row + 1)
        cut.append(Finding(check="cut_row", severity="fault", sentence=said("cut_row", row=page.cut_row + 1), rows=(row,), total=1, rule=RULES["cut_row"], score=0.95))  # fmt: skip
    body, rows = body[keep], rows[keep]
    if not len(body):
        raise FileError(
            "머리글 아래에 자료 행이 없음", where=(file, f"{head + 1}행"), remedy="빈 양식이 아닌지 확인할 것"
        )
    heads: list[str] = []
    for column, text in enumerate(page.cells[head]):
        label = " ".join(str(text).split()) or f"{column + 1}번째 열"
        heads.append(label if label not in heads else f"{label} ({column + 1}번째 열)")
    yearly = [k for k, label in enumerate(heads) if _YEAR.fullmatch(label)]
    if len(yearly) >= 3:
        body, rows, heads = _melted(body, rows, heads, yearly)
    return {label: read_column(body[:, k]) for k, label in enumerate(heads)}, rows, cut


def _melted(
    body: NDArray[np.object_], rows: NDArray[np.int64], heads: list[str], yearly: list[int]
) -> tuple[NDArray[np.object_], NDArray[np.int64], list[str]]:
    """One row a unit and year from one column a year."""
    rest = [k for k in range(len(heads)) if k not in yearly]
    n, t = len(body), len(yearly)
    fixed = np.repeat(body[:, rest], t, axis=0)
    years = np.tile(np.array([heads[k] for k in yearly], dtype=object), n)
    long = np.column_stack([fixed, years, body[:, yearly].reshape(-1)])
    return long, np.repeat(rows, t), [*(heads[k] for k in rest), PERIOD, VALUE]


def _said_columns(roles: Roles) -> Finding:
    unit = " + ".join(roles.unit) if roles.unit else "없음(모든 행이 하나)"
    sentence = said("columns_read", unit=unit, period=roles.period or "없음", n=len(roles.values), values=listed(list(roles.values), 8) or "없음")  # fmt: skip
    return Finding(
        check="columns_read", severity="hint", sentence=sentence, rows=(), total=len(roles.values),
        rule=RULES["columns_read"], score=1.0,
    )  # fmt: skip


def _unreadable(columns: dict[str, Typed], roles: Roles, rows: NDArray[np.int64]) -> list[Finding]:
    """Words in columns of numbers."""
    found = []
    for name in roles.values:
        bad = columns[name].unreadable
        if len(bad):
            shown = tuple(
                Row(
                    int(rows[k]),
                    variable=name,
                    value=None if roles.sensitive else without_numbers(str(columns[name].texts[k]))[:40],
                )
                for k in bad[:SHOWN]
            )
            found.append(
                Finding(
                    check="unreadable", severity="suspicion", sentence=said("unreadable", variable=name, n=len(bad)), rows=shown,
                    total=len(bad), rule=RULES["unreadable"], score=0.9, variable=name,
                )
            )  # fmt: skip
    return found
