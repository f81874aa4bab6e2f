"""The industry code of each firm from before the programme.

A firm is classified by its code from before the programme, and never by its present one: the programme may have changed
it, and revision 11 was made for the very industries that clusters aim at.
"""

from __future__ import annotations

import datetime as dt
from itertools import takewhile
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import RefusalError, SchemaError, ValueProblem, nearest
from evalkit.ingest.industries import (
    divisions_of,
    plain_codes,
    read_industries,
    revision_at,
    to_revision,
    with_zeros,
)
from evalkit.ingest.lineage import Date, period


def pre_period_industry(
    frame: pd.DataFrame,
    before: Date,
    *,
    firm: str = "firm_id",
    code: str = "industry",
    when: str = "year",
    revision: str | int | None = None,
    size: str = "",
) -> pd.DataFrame:
    """The last industry code of each firm from before `before`, and its division in revision 10.

    Parameters
    ----------
    frame : one row per firm and time, or per workplace; `when` is a year or a date
    before : first day that is too late; a code of that year or later is never taken, not even for want of another
    revision : column of the 차수, or one 차수 for all; without it the revision in force at the time of each row
    size : column of the workers of a row: of several codes of one time the largest workplace's is taken. Without it they
        must be of one division, and what their digits have in common is the code

    Returns
    -------
    One row per firm of `frame`: ``firm, industry, when, revision, division`` (KSIC 10, two digits) and ``status``: "이전 코드", "이전
    코드 없음", "차수를 옮길 수 없음", "앞자리 0이 모호함", "같은 시점의 코드가 여럿임"

    Raises
    ------
    SchemaError : a column is missing
    """
    needed = [firm, code, when, *([revision] if isinstance(revision, str) else []), *([size] if size else [])]
    for name in needed:
        if name not in frame:
            raise SchemaError(f"열 {name!r} 이(가) 없음", remedy=nearest(name, map(str, frame.columns)))
    first_late = period(before)[0]
    work = frame[needed].copy()
    work["_day"] = [_last_day(value) for value in work[when]]
    # whether a zero was lost is told by the whole column
    work["_plain"], work["_either"] = _column_of(frame[code], revision if isinstance(revision, int) else None)
    early = work[
        (work["_day"] < first_late) & work[code].notna() & (work[code].astype("str").str.strip() != "")
    ]
    last = early[early["_day"] == early.groupby(firm)["_day"].transform("max")]
    of = dict(list(last.groupby(firm, sort=True)))
    rows = []
    for name in sorted(frame[firm].dropna().unique().tolist()):
        if name not in of:
            rows.append((name, "", None, 0, "", "이전 코드 없음"))
            continue
        own = of[name]
        if size and own["_plain"].nunique() > 1 and own[size].notna().any():
            own = own[own[size] == own[size].max()]
        found = sorted({_passage(row, code, revision) for row in own.to_dict("records")})
        at = min(own[when].tolist())
        if len({(division, status) for _, _, division, status in found}) > 1:
            rows.append((name, "", at, found[0][1], "", "같은 시점의 코드가 여럿임"))
            continue
        # sorted: what the first and the last have in common, all have
        ends = zip(found[0][0], found[-1][0], strict=False)
        common = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], ends))
        rows.append((name, common, at, *found[0][1:]))
    return pd.DataFrame(rows, columns=[firm, "industry", when, "revision", "division", "status"])


def _column_of(values: pd.Series, revision: int | None) -> tuple[list[str], list[bool]]:
    """Codes of a column with lost zeros put back (as they stand where they are no codes); which could be either"""
    letters, digits = [], []
    for value in values.tolist():
        try:
            (letter,), (plain,), _ = plain_codes([value])
        except ValueProblem:
            letter, plain = "", ""
        letters.append(letter)
        digits.append(plain)
    digits, either = with_zeros(letters, digits, divisions_of(revision, None), {})
    whole = [
        f"{letter}{plain}" or str(value)
        for letter, plain, value in zip(letters, digits, values.tolist(), strict=True)
    ]
    doubtful = set(either)
    return whole, [k in doubtful for k in range(len(whole))]


def _passage(row: dict[Any, Any], code: str, revision: str | int | None) -> tuple[str, int, str, str]:
    """Code, its revision, its division in revision 10, and status of one row"""
    own = int(row[revision]) if isinstance(revision, str) else revision or revision_at(row["_day"])
    if row["_either"]:
        return str(row[code]), own, "", "앞자리 0이 모호함"
    try:
        (plain,) = read_industries([row["_plain"]], revision=own).codes.tolist()
        return plain, own, str(to_revision([plain], own, 10)[0]), "이전 코드"
    except (RefusalError, ValueProblem):
        return str(row[code]), own, "", "차수를 옮길 수 없음"


def _last_day(value: Any) -> dt.date:
    if isinstance(value, dt.datetime | dt.date | np.datetime64 | pd.Timestamp):
        return pd.Timestamp(value).date()
    text = str(int(value)) if isinstance(value, int | float | np.integer | np.floating) else str(value)
    return period(text)[1]
