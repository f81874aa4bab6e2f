"""Breaks as they travel with data: from which period a variable means something else, and the refusal to compare across.

``notes["breaks"]`` of a `Panel`, `Sample` or `Flows` is a list of plain values; what is declared of each source stands in
`evalkit.ingest.breaks`. Every estimator reads its variables through the data it is given, and there `refuse_across` stands:
comparing periods on one side of a break stays allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalkit.errors import DataError, RefusalError

NOTES = "breaks"


@dataclass(frozen=True, slots=True)
class BreakNote:
    """A break as it travels: ``period`` is the first period of the new meaning, in the data's own periods."""

    variable: str
    period: int
    reason: str
    source: str
    way_out: str = ""


def notes_of(notes: Mapping[str, Any], variable: str) -> list[BreakNote]:
    """The breaks of one variable among the notes of a panel, sample or flows.

    Raises
    ------
    DataError : the notes hold something else than breaks
    """
    entries = notes.get(NOTES) or ()
    known = set(BreakNote.__dataclass_fields__)
    for entry in entries:
        if not isinstance(entry, Mapping) or not {"variable", "period", "reason", "source"} <= set(entry):
            raise DataError(
                "notes['breaks'] 에 단절이 아닌 것이 있음",
                remedy="evalkit.ingest.breaks.known_breaks 가 만든 값을 넣을 것",
            )
    return [
        BreakNote(**{k: v for k, v in entry.items() if k in known})
        for entry in entries
        if entry["variable"] == variable
    ]


def carried(notes: Mapping[str, Any], sources: Iterable[str], made: Iterable[str]) -> dict[str, Any]:
    """The notes with the breaks of some variables also under the names of those made from them."""
    wanted = set(sources)
    entries = list(notes.get(NOTES) or ())
    for name in made:
        for entry in [e for e in entries if e.get("variable") in wanted]:
            mine = {**entry, "variable": name}
            if mine not in entries:
                entries.append(mine)
    return {**notes, NOTES: entries} if entries else dict(notes)


def with_breaks(notes: Mapping[str, Any] | None, breaks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The notes with breaks added; without breaks they stay as they are."""
    merged = list((notes or {}).get(NOTES) or ())
    merged += [dict(b) for b in breaks if dict(b) not in merged]
    return {**(notes or {}), NOTES: merged} if merged else dict(notes or {})


def refuse_across(notes: Mapping[str, Any], variable: str, observed: Iterable[int]) -> None:
    """Refuse to read a variable as one series across a change of its meaning.

    Parameters
    ----------
    observed : the periods in which the variable has a value

    Raises
    ------
    RefusalError : it has values on both sides of one of its breaks
    """
    found = notes_of(notes, variable)
    if not found:
        return
    periods = sorted({int(p) for p in observed})
    for note in sorted(found, key=lambda n: n.period):
        before = [p for p in periods if p < note.period]
        after = [p for p in periods if p >= note.period]
        if before and after:
            other = f", {note.way_out}" if note.way_out else ""
            raise RefusalError(
                f"{variable} 을(를) {before[-1]}년과 {after[0]}년 사이에 비교할 수 없음: {note.reason}"
                if note.period < 10_000
                else f"{variable} 을(를) {_month(before[-1])}과 {_month(after[0])} 사이에 비교할 수 없음: {note.reason}",
                where=(variable, f"{periods[0]}–{periods[-1]}"),
                remedy=f"{_span(before)}만 또는 {_span(after)}만 쓰거나(panel.select(periods=…), 계획에서는 periods){other}"
                f" [근거: {note.source}]",
            )


def _month(period: int) -> str:
    return f"{period // 100}년 {period % 100}월"


def _span(periods: Sequence[int]) -> str:
    return f"{periods[0]}" if len(periods) == 1 else f"{periods[0]}–{periods[-1]}"
