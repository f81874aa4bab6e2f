"""What may be counted twice in programme files, with the rows to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.counting.arrivals import AGREEMENT, told_again
from evalkit.ingest.counting.results import (
    COUNTS,
    MONEY,
    alike_pairs,
    lead_of,
    leads_of,
    same_results,
    tokens_of,
)
from evalkit.ingest.counting.rows import (
    ATTRACTED,
    FIRM_YEARS,
    OUTCOMES,
    PROJECTS,
    branch_groups,
    masked_firm,
    masked_name,
    numbers,
    rows_of,
)
from evalkit.ingest.table import Table

COLUMNS = (
    "question", "kind", "certain", "case", "phase", "file", "sheet", "row", "firm", "name", "project", "year",
    "column", "value", "note",
)  # fmt: skip
KINDS: dict[str, str] = {
    "repeated_same": "여러 과제 행에 같은 기업 총량이 되풀이됨",
    "repeated_differ": "과제 행마다 기업 총량이 다름",
    "partner_same": "한 과제의 여러 기업이 같은 성과를 적음",
    "agreement": "협약(MOU)을 유치로 적음",
    "agreement_and_move": "협약과 그 뒤의 이전을 따로 적음",
    "told_twice": "같은 유치를 두 번 적음",
    "told_near": "같은 기업·유형·도착지의 유치를 열두 달 안에 다시 적음",
    "branch": "이름의 뿌리가 같고 번호가 다른 기업",
    "two_phases": "두 단계에 모두 든 기업",
    "two_phases_same": "두 단계에 같은 성과를 적음",
}
_KOREAN = {
    "question": "물음", "kind": "종류", "certain": "확실함", "case": "건", "phase": "단계", "file": "파일", "sheet": "시트",
    "row": "행", "firm": "기업", "name": "이름(가림)", "project": "과제", "year": "연도", "column": "열", "value": "값",
    "note": "설명",
}  # fmt: skip
_SHOWN = ("phase", "file", "sheet", "row", "firm", "name", "project", "year")
_MONTHS_NEAR = 12


def find_double_counting(tables: Iterable[Table]) -> pd.DataFrame:
    """Every row that takes part in something that may be counted twice.

    Parameters
    ----------
    tables : of 성과조사 workbooks, all phases together

    Returns
    -------
    DataFrame with `COLUMNS`: rows with the same question, kind and ``case`` belong together; ``certain`` is False where it
        may be chance (two firms of one name) and no rule takes it out; firms and names are masked; ``value`` is the number
        in the column's unit, NaN where the finding concerns the row itself. For the analyst's own eyes: values are firms'
    """
    held = list(tables)
    outcomes, projects, attracted = (rows_of(held, spec) for spec in (OUTCOMES, PROJECTS, ATTRACTED))
    yearly = rows_of(held, FIRM_YEARS)
    found: list[dict[str, Any]] = []
    for frame in (outcomes, yearly):
        if len(frame):
            found += _repeated(frame)
    if len(outcomes):
        found += _partners(outcomes, projects)
    if len(attracted):
        found += _arrivals(attracted)
    found += _branches([outcomes, projects, attracted])
    found += _phases([outcomes, projects, attracted])
    out = pd.DataFrame(found, columns=list(COLUMNS))
    return out.astype({"certain": bool, "case": "int64", "phase": "int64", "row": "int64", "year": "int64", "value": "float64"})  # fmt: skip


def in_korean(findings: pd.DataFrame) -> pd.DataFrame:
    """The findings with Korean headers and kinds, for a sheet to work through."""
    out = findings.assign(
        kind=findings["kind"].map(KINDS), certain=np.where(findings["certain"], "예", "확인할 것")
    )
    return out.rename(columns=_KOREAN)


class _Listing:
    """Rows of cases, numbered in order."""

    def __init__(self, question: str) -> None:
        self.question, self.rows, self._cases = question, list[dict[str, Any]](), dict[str, int]()
        self._records: dict[int, tuple[pd.DataFrame, list[dict[str, Any]]]] = {}
        self._numbers: dict[tuple[int, str], NDArray[np.float64]] = {}

    def _record(self, frame: pd.DataFrame, at: int) -> dict[str, Any]:
        if id(frame) not in self._records:
            shown = zip(*(frame[name] for name in _SHOWN), strict=True)
            self._records[id(frame)] = frame, [dict(zip(_SHOWN, row, strict=True)) for row in shown]
        return self._records[id(frame)][1][at]

    def _value(self, frame: pd.DataFrame, column: str, at: int) -> float:
        if not column:
            return np.nan
        if (id(frame), column) not in self._numbers:
            self._numbers[id(frame), column] = numbers(frame, column)
        return float(self._numbers[id(frame), column][at])

    def add(
        self,
        frame: pd.DataFrame,
        places: Sequence[int],
        kind: str,
        *,
        column: str = "",
        certain: bool = True,
        note: str | Callable[[int], str] = "",
        same_case: bool = False,
    ) -> None:
        """One case with its rows (positions in the frame), or more rows of the last case."""
        case = self._cases[kind] = self._cases.get(kind, 0) + (not same_case)
        for at in places:
            row = self._record(frame, at)
            self.rows.append(
                {
                    "question": self.question,
                    "kind": kind,
                    "certain": certain,
                    "case": case,
                    "phase": int(row["phase"]),
                    "file": row["file"],
                    "sheet": row["sheet"],
                    "row": int(row["row"]),
                    "firm": masked_firm(row["firm"]),
                    "name": masked_name(row["name"]),
                    "project": row["project"],
                    "year": int(row["year"]),
                    "column": column,
                    "value": self._value(frame, column, at),
                    "note": note if isinstance(note, str) else note(at),
                }
            )


def _value_columns(frame: pd.DataFrame) -> list[str]:
    known = (*MONEY, *COUNTS, "total_sales_million_krw", "employees")
    return [name for name in known if name in frame]


def _repeated(frame: pd.DataFrame) -> list[dict[str, Any]]:
    listing = _Listing("repeated_totals")
    for column in _value_columns(frame):
        values = numbers(frame, column)
        of: dict[tuple[int, str, int], list[int]] = {}
        for at, key in enumerate(zip(frame["phase"], frame["firm"], frame["year"], strict=True)):
            if not np.isnan(values[at]):
                of.setdefault(key, []).append(at)
        for _, places in sorted(of.items()):
            if len(places) < 2 or not values[places].any():
                continue
            same = len({f"{values[i]:.12g}" for i in places}) == 1
            listing.add(frame, places, "repeated_same" if same else "repeated_differ", column=column)
    return listing.rows


def _partners(outcomes: pd.DataFrame, projects: pd.DataFrame) -> list[dict[str, Any]]:
    listing = _Listing("partners")
    leads = leads_of(projects)
    pairs = alike_pairs(outcomes, MONEY, COUNTS)
    for column in [c for c in (*MONEY, *COUNTS) if c in outcomes]:
        for group in same_results(tokens_of(outcomes, column, "once"), pairs):
            chosen, told = lead_of(group, leads)
            first = {at for _, at in chosen["places"]}
            word = "주관" if told else "주관을 알 수 없어 첫 행을 주관으로 봄"
            meeting = {p for t in group for p, _ in t["places"] if _met(p, group)}
            places = sorted(at for t in group for p, at in t["places"] if p in meeting)
            listing.add(
                outcomes,
                places,
                "partner_same",
                column=column,
                note=lambda at, first=first, word=word: word if at in first else "참여",  # type: ignore[misc]
            )
    return listing.rows


def _met(project: str, group: list[dict[str, Any]]) -> bool:
    return sum(any(p == project for p, _ in token["places"]) for token in group) > 1


def _arrivals(attracted: pd.DataFrame) -> list[dict[str, Any]]:
    kinds, again = _Listing("attraction"), _Listing("bodies")
    kind = attracted["kind"].astype(str).to_numpy()
    date = pd.to_datetime(attracted["date"])
    to = attracted["to_region"].astype(object).where(attracted["to_region"].notna(), "").to_numpy()
    repeat = told_again(attracted).to_numpy()
    for at in np.flatnonzero((kind == AGREEMENT) & ~repeat):
        kinds.add(attracted, [int(at)], "agreement")
    month = date.dt.strftime("%Y-%m")
    keys = attracted.assign(kind=kind, to=to, month=month)
    for _, part in keys.groupby(["phase", "firm", "kind", "to", "month"], sort=True):
        if len(part) > 1:
            again.add(attracted, part.index.tolist(), "told_twice")
    for _, part in keys[~repeat].groupby("firm", sort=True):
        ordered = part.assign(date=date[part.index]).sort_values("date", kind="stable")
        for i, j in zip(ordered.index[:-1], ordered.index[1:], strict=True):
            apart = (date[j].year - date[i].year) * 12 + date[j].month - date[i].month
            if kind[i] == kind[j] and to[i] == to[j] and apart <= _MONTHS_NEAR:
                again.add(attracted, [int(i), int(j)], "told_near", certain=False)
        for i in ordered.index[ordered["kind"] == AGREEMENT]:
            later = [
                j for j in ordered.index if kind[j] != AGREEMENT and date[j] >= date[i] and to[j] == to[i]
            ]
            if later:
                kinds.add(attracted, [int(i), int(later[0])], "agreement_and_move")
    return kinds.rows + again.rows


def _branches(frames: Sequence[pd.DataFrame]) -> list[dict[str, Any]]:
    """The first row of each firm of a group, from whichever sheet it stands in first."""
    listing = _Listing("branches")
    firsts: dict[str, tuple[pd.DataFrame, int]] = {}
    for frame in frames:
        for at, firm in enumerate(frame["firm"] if len(frame) else ()):
            firsts.setdefault(str(firm), (frame, at))
    for _, part in branch_groups(frames).groupby("group", sort=True):
        for index, (firm, strong, head) in enumerate(
            zip(part["firm"], part["strong"], part["head"], strict=True)
        ):
            frame, at = firsts[firm]
            word = ("본사로 봄" if firm == head else "지사·공장") if strong else "다른 기업일 수도 있음"
            listing.add(frame, [at], "branch", certain=bool(strong), note=word, same_case=index > 0)
    return listing.rows


def _phases(frames: Sequence[pd.DataFrame]) -> list[dict[str, Any]]:
    listing = _Listing("phases")
    for frame in frames:
        if frame.empty:
            continue
        frame = frame.reset_index(drop=True)
        for _, part in frame.groupby("firm", sort=True):
            if part["phase"].nunique() > 1:
                places = part.drop_duplicates("phase").index.tolist()
                told = ", ".join(f"{p}단계" for p in sorted(set(part["phase"])))
                listing.add(frame, places, "two_phases", note=told)
                _same_in_both(listing, frame, part)
    return listing.rows


def _same_in_both(listing: _Listing, frame: pd.DataFrame, part: pd.DataFrame) -> None:
    """An amount of money, or a count that is not small, that a firm wrote in two phases alike."""
    for column in [c for c in (*MONEY, *COUNTS) if c in frame]:
        values = pd.Series(numbers(part, column), index=part.index)
        least = 0.0 if column in MONEY else 10.0
        held = values[(values > 0) & (values >= least)]
        for value in sorted(set(held)):
            at = held.index[held == value]
            if part.loc[at, "phase"].nunique() > 1:
                places = part.loc[at].drop_duplicates("phase").index.tolist()
                listing.add(frame, places, "two_phases_same", column=column)
