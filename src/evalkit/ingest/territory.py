"""Which ground each code stood for: every code of 2010–2026 as a set of pieces of land that no change ever cut.

The pieces are found by walking all changes once (``facts/changes_2010_2026.csv``; where several codes became several,
``facts/region_links.csv`` says which land went where). Two codes of any two dates then share exactly the pieces that both
hold, so that a renaming, a merger, a split and a crossing border are told apart without any base year.

The size of a piece is not known here. What is known is its order: the first piece of a code is the one that is followed
where a border crosses and no weights are given.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import Literal

from evalkit.ingest.lineage import Date, city_code, facts, period, sido_rows, spans_of_districts

Scale = Literal["district", "city", "province"]
Pieces = tuple[int, ...]

_FIRST, _LAST = dt.date(1900, 1, 1), dt.date(9999, 12, 31)


@dataclass(frozen=True, slots=True)
class Area:
    """One code while it stood for one area (start <= day < stop); `pieces` in the order in which they are followed."""

    code: str
    name: str
    start: dt.date
    stop: dt.date
    pieces: Pieces


class _Land:
    """The walk through the changes: who holds which piece, and which pieces were cut later."""

    def __init__(self) -> None:
        self.parts: dict[int, list[int]] = {}
        self.made = 0
        self.held: dict[str, list[int]] = {}
        self.names: dict[str, str] = {}
        self.since: dict[str, dt.date] = {}
        self.past: list[Area] = []

    def whole(self, pieces: list[int]) -> list[int]:
        """Pieces as they are cut by now."""
        out: list[int] = []
        for piece in pieces:
            out.extend(self.whole(self.parts[piece]) if piece in self.parts else [piece])
        return out

    def fresh(self) -> int:
        self.made += 1
        return self.made

    def land_of(self, code: str) -> list[int]:
        """Pieces of a living code, or of a code that lived last before."""
        if code in self.held:
            return self.whole(self.held[code])
        return self.whole(list([area for area in self.past if area.code == code][-1].pieces))

    def step(self, day: dt.date, links: list[tuple[str, str]], names: dict[str, str], old: list[str]) -> None:
        """Carry the land across one change."""
        moved: dict[str, list[tuple[str, int]]] = {new: [] for _, new in links}
        for source in dict.fromkeys(source for source, _ in links):
            targets = [new for origin, new in links if origin == source]
            for piece in self.land_of(source):
                cut = [piece] if len(targets) == 1 else [self.fresh() for _ in targets]
                if len(targets) > 1:
                    self.parts[piece] = cut
                for target, part in zip(targets, cut, strict=True):
                    moved[target].append((source, part))
        living = [code for code in dict.fromkeys([*old, *(s for s, _ in links)]) if code in self.held]
        kept = {code: self.names[code] for code in living}
        for code in living:
            self.past.append(Area(code, kept[code], self.since.pop(code), day, tuple(self.held.pop(code))))
        for new, parts in moved.items():
            first = {source: k for k, source in enumerate(s for s, n in links if n == new)}
            ordered = sorted(parts, key=lambda item: first[item[0]])
            self.held[new] = [part for _, part in ordered]
            self.names[new], self.since[new] = names.get(new) or kept[new], day

    def done(self) -> tuple[Area, ...]:
        """Every area that ever was, its pieces as they are cut at the end."""
        open_ones = [
            Area(code, self.names[code], self.since[code], _LAST, tuple(pieces))
            for code, pieces in self.held.items()
        ]
        return tuple(
            Area(a.code, a.name, a.start, a.stop, tuple(self.whole(list(a.pieces))))
            for a in (*self.past, *open_ones)
        )


@cache
def areas() -> tuple[Area, ...]:
    """Every district-level code while it stood for one area."""
    land = _Land()
    for code, spans in spans_of_districts().items():
        if spans[0].start == _FIRST:
            land.held[code], land.names[code] = [land.fresh()], spans[0].name
            land.since[code] = _FIRST
    declared: dict[str, list[tuple[str, str]]] = {}
    for row in facts("region_links.csv"):
        declared.setdefault(row["date"], []).append((row["old"], row["new"]))
    for event in sorted(facts("changes_2010_2026.csv"), key=lambda row: row["date"]):
        old, new = event["old_codes"].split("|"), event["new_codes"].split("|")
        if not all(code in land.held for code in old):
            continue  # a change of the city-level code; its districts have rows of their own
        links = [pair for pair in declared.get(event["date"], []) if set(pair) & {*old, *new}]
        named = {source for source, _ in links}
        if any(
            source in old for source in named
        ):  # land that goes along from a neighbour belongs to the change
            links = [pair for pair in declared[event["date"]] if pair[1] in {*new} | named]
        if not links:
            links = [(source, target) for source in old for target in new]
        land.step(
            dt.date.fromisoformat(event["date"]),
            links,
            dict(zip(new, event["new_names"].split("|"), strict=True)),
            old,
        )
    return land.done()


def changes_of_land() -> tuple[dt.date, ...]:
    """Days on which some code began or ended, in order."""
    return tuple(sorted({area.start for area in areas()} - {_FIRST}))


def code_on(area: Area, level: Scale) -> str:
    """The code of an area at a level: its own, its city's, or the two digits of its 시·도."""
    if level == "province":
        return area.code[:2]
    return city_code(area.code, area.name) if level == "city" else area.code


@cache
def _held_on(day: dt.date, level: Scale) -> dict[str, Pieces]:
    held: dict[str, tuple[int, ...]] = {}
    for area in sorted(areas(), key=lambda a: a.code):
        if area.start <= day < area.stop:
            code = code_on(area, level)
            held[code] = (*held.get(code, ()), *area.pieces)
    return held


def land_on(date: Date, level: Scale = "district") -> dict[str, Pieces]:
    """Pieces of each code in use on the last day of `date`."""
    day = period(date)[1]
    begun = [_FIRST, *(change for change in changes_of_land() if change <= day)]
    return _held_on(begun[-1], level)


def land_during(date: Date, level: Scale = "district") -> dict[str, Pieces]:
    """Pieces of each code in use on any day of `date`; as it was last where it changed within it."""
    begin, end = period(date)
    days = [begin, *(change for change in changes_of_land() if begin < change <= end)]
    found: dict[str, Pieces] = {}
    for day in days:
        found.update(land_on(day, level))
    return found


@cache
def _names_on(day: dt.date, level: Scale) -> dict[str, str]:
    if level == "province":
        return {row["mois"]: row["name"] for row in sido_rows()}
    named = {}
    for area in areas():
        if area.start <= day < area.stop:
            code = code_on(area, level)
            named[code] = area.name if code == area.code else area.name.split("시")[0] + "시"
    return named


def names_during(date: Date, level: Scale = "district") -> dict[str, str]:
    """Name of each code in use on any day of `date`, without its 시·도."""
    begin, end = period(date)
    found: dict[str, str] = {}
    for day in [begin, *(change for change in changes_of_land() if begin < change <= end)]:
        found.update(_names_on(day, level))
    return found
