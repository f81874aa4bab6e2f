"""Run audit: can a withheld number be worked out from all tables of a run together?

Pages are made apart, each in a kernel of its own, so no page can know what another shows. Afterwards the audit takes
what every reader has: the released tables as they were published, with their sums, the keys by which tables say that two
cells are one number (`Tabulation.keys`), and the sums between keys (`Tabulation.identities`). It solves for every
withheld cell as `attack` does. No confidential value is needed, kept or read, so nothing has to be deleted afterwards.

Its limit is what the keys say: tables that share a quantity without naming it are not joined. Levels of protection of
dominance and p % cells were assured within their table; across tables such a cell must not be pinned down exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evalkit.present.tabulation import Tabulation, Total
from evalkit.release.attack import Sum, System, Unknown
from evalkit.release.protection import implied_totals
from evalkit.release.rules import At, Rules, number_of

_EXACT = 1e-6
_TRIED = 24  # pages that are tried without at most
_TESTED = ("threshold", "withheld", "dominance", "p_percent")
Name = Any


@dataclass(frozen=True, slots=True)
class Published:
    """A released table of one report; ``hidden``: (row, column) -> rule, and whether the cell is a number of firms."""

    report: str
    table: Tabulation
    hidden: Mapping[At, tuple[str, bool]]

    @classmethod
    def read(cls, report: str, payload: Mapping[str, Any]) -> Published | None:
        """From the description of a released table; None where no other table can tell anything of it."""
        model = payload.get("table")
        if not isinstance(model, Mapping) or not (payload.get("hidden") or model.get("keys")):
            return None
        hidden = {
            (int(r), int(c)): (str(rule), bool(whole)) for r, c, rule, whole in payload.get("hidden", ())
        }
        return cls(report, Tabulation.from_json(model), hidden)

    @property
    def place(self) -> str:
        """Where a reader finds it."""
        return f"{self.report} › {self.table.name}"

    def name(self, at: At) -> Name:
        """The key of a cell, or its place."""
        return self.table.keys.get(at) or (self.report, self.table.name, at)


@dataclass(frozen=True, slots=True)
class Exposure:
    """A withheld cell that follows from what is shown: its table, the tables that give it away, the page to stop."""

    place: str
    given_by: tuple[str, ...]
    report: str


def audit(tables: Iterable[Published], order: Sequence[str], rules: Rules) -> list[Exposure]:
    """Withheld cells that all tables together give away.

    The page to stop is the last, in the order given, without which the cell does not follow; where no single page after
    the one that withholds is enough, the last of those that take part. It is left out and the rest is attacked again,
    until nothing follows.

    Parameters
    ----------
    order : names of the reports as the plan lists them
    """
    found: list[Exposure] = []
    left = list(tables)
    rank = {name: k for k, name in enumerate(order)}
    while rules.apply and (exposure := _first(left, rank, rules)) is not None:
        exposure = _least_loss(left, rank, rules, exposure)
        found.append(exposure)
        left = [entry for entry in left if entry.report != exposure.report]
    return found


def _least_loss(
    tables: Sequence[Published], rank: Mapping[str, int], rules: Rules, exposure: Exposure
) -> Exposure:
    """The exposure with the page whose absence ends it, of those after the page that withholds; else as it stands."""
    own = exposure.place.split(" › ")[0]
    takers = {place.split(" › ")[0] for place in exposure.given_by} | {own}
    for name in sorted(takers, key=lambda report: (rank.get(report, -1), report), reverse=True)[:_TRIED]:
        if name == own:
            break
        left = [entry for entry in tables if entry.report != name]
        if not _reached(left, exposure.place, rank, rules):
            return replace(exposure, report=name)
    return exposure


def _reached(tables: Sequence[Published], place: str, rank: Mapping[str, int], rules: Rules) -> bool:
    """Whether a cell of one table still follows from what is left."""
    return _first(tables, rank, rules, place) is not None


def _first(
    tables: Sequence[Published], rank: Mapping[str, int], rules: Rules, place: str = ""
) -> Exposure | None:
    """The first cell that follows, of one table only where its place is given."""
    asked = [entry for entry in tables if place in ("", entry.place)]
    known = _known(tables)
    unknowns = _unknowns(tables, rules)
    for entry in asked:
        for at, (rule, _) in entry.hidden.items():
            name = entry.name(at)
            if rule != "complementary" and name in known:
                return _exposure(entry, known[name][1], rank)
    system, places = _system(tables, known, unknowns)
    for entry in asked:
        for at, (rule, whole) in entry.hidden.items():
            name = entry.name(at)
            if (
                rule not in _TESTED
                or name not in system.unknowns
                or _apart(system.seen(name), rule, whole, rules)
            ):
                continue
            ends = system.interval(name)
            if ends is not None and not _apart(ends, rule, whole, rules):
                _, sums = system.component(name)
                givers = {place for found in sums for place in places[id(found)]}
                return _exposure(entry, givers, rank)
    return None


def _known(tables: Sequence[Published]) -> dict[Name, tuple[float, set[tuple[str, str]]]]:
    """Quantities that some table shows, and where."""
    known: dict[Name, tuple[float, set[tuple[str, str]]]] = {}
    for entry in tables:
        for at, key in entry.table.keys.items():
            value = number_of(entry.table, at)
            if value is not None and at not in entry.hidden:
                known.setdefault(key, (value, set()))[1].add((entry.report, entry.place))
    return known


def _unknowns(tables: Sequence[Published], rules: Rules) -> dict[Name, Unknown]:
    """What the rules tell of each withheld number."""
    found: dict[Name, Unknown] = {}
    least = float(rules.min_firms)
    for entry in tables:
        signed = any((number_of(entry.table, at) or 0.0) < 0 for at in _cells(entry.table))
        for at, (rule, whole) in entry.hidden.items():
            name = entry.name(at)
            if whole and rule == "threshold":
                found[name] = Unknown(1.0, least - 1.0, whole=True)
            elif name not in found:
                gap = least if whole and rule != "withheld" else 0.0
                found[name] = Unknown(-math.inf if signed and not whole else 0.0, gap=gap, whole=whole)
    return found


def _cells(table: Tabulation) -> list[At]:
    return [(r, c) for r in range(len(table.rows)) for c in range(table.stub, len(table.columns))]


def _system(
    tables: Sequence[Published],
    known: Mapping[Name, tuple[float, set[tuple[str, str]]]],
    unknowns: dict[Name, Unknown],
) -> tuple[System, dict[int, set[tuple[str, str]]]]:
    """All sums over withheld numbers, and which tables each was read from."""
    sums: list[Sum] = []
    places: dict[int, set[tuple[str, str]]] = {}

    def add(signed: list[tuple[float, Name, float | None]], read_from: set[tuple[str, str]]) -> None:
        weights: dict[Name, float] = {}
        level = 0.0
        for weight, name, value in signed:
            if value is None:
                weights[name] = weights.get(name, 0.0) + weight
                unknowns.setdefault(name, Unknown())
            else:
                level -= weight * value
        if weights:
            slack = 1e-9 * (1.0 + abs(level))
            sums.append(Sum(weights, level - slack, level + slack))
            places[id(sums[-1])] = read_from

    for entry in tables:
        for cells in _sums_of(entry):
            signed, read_from = [], {(entry.report, entry.place)}
            for k, at in enumerate(cells):
                name = entry.name(at)
                value = number_of(entry.table, at) if at not in entry.hidden else None
                if value is None and name in known:
                    value = known[name][0]
                    read_from |= known[name][1]
                signed.append((-1.0 if k == 0 else 1.0, name, value))
            add(signed, read_from)
        for identity in entry.table.identities:
            read_from = {(entry.report, entry.place)}
            signed = []
            for k, key in enumerate((identity.total, *identity.parts)):
                if key in known:
                    read_from |= known[key][1]
                signed.append((-1.0 if k == 0 else 1.0, key, known[key][0] if key in known else None))
            add(signed, read_from)
    return System(unknowns, sums), places


def _sums_of(entry: Published) -> Iterable[list[At]]:
    """Cells of each sum of a table, the total first; a sum with a cell that is empty for another reason is none."""
    table = entry.table
    lines: list[tuple[Total, list[At]]] = []
    for total in (*table.totals, *implied_totals(table)):
        if total.axis == "row":
            lines += [
                (total, [(r, c) for r in (total.total, *total.parts)])
                for c in range(table.stub, len(table.columns))
            ]
        else:
            lines += [(total, [(r, c) for c in (total.total, *total.parts)]) for r in range(len(table.rows))]
    for _, cells in lines:
        used = [at for at in cells if at in entry.hidden or number_of(table, at) is not None]
        if len(used) > 1 and used[0] == cells[0] and any(at in entry.hidden for at in used):
            yield used


def _apart(ends: tuple[float, float], rule: str, whole: bool, rules: Rules) -> bool:
    """Whether the possible values lie far enough apart."""
    low, high = ends
    if not low < high:
        return False
    if whole:
        return high - low > 0.5
    if math.isinf(high) or math.isinf(low):
        return True
    share = rules.safety if rule == "threshold" else _EXACT
    return high - low > share * max(abs(low), abs(high), _EXACT)


def _exposure(entry: Published, givers: Iterable[tuple[str, str]], rank: Mapping[str, int]) -> Exposure:
    reports = {report for report, _ in givers} | {entry.report}
    last = max(reports, key=lambda name: (rank.get(name, -1), name))
    return Exposure(entry.place, tuple(sorted({place for _, place in givers} - {entry.place})), last)
