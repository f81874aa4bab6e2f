"""Differencing: what two finished runs give away together that neither gives away alone.

Two samples that differ by one firm differ by that firm's value. No run can know which others will be released, and a page
that depended on earlier runs could not be made again byte for byte; so nothing is withheld here. What two runs tell together
is listed, with a rule for each, for the output checker to sign before the second leaves the house.

Read are the released tables alone, as every reader has them. Four things are looked for: a number of firms that differs by
one or two; numbers that moved on a page of such a sample; a cell that one run withholds and the other shows; a withheld
cell that follows from the sums of both. A sample in which one firm took another's place has the same size, and is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from evalkit.release.rules import At, Rules, number_of
from evalkit.release.run_audit import Published, audit

BEFORE, AFTER = "앞", "뒤"
_BETWEEN = " › "
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Risk:
    """One thing to look at; `rule` is difference, moved, shown_elsewhere or linked; never a value.

    Attributes
    ----------
    report, table, row, column : where in the later run
    limit : what the rule asks
    """

    rule: str
    report: str
    table: str
    row: str
    column: str
    limit: str

    def to_json(self) -> dict[str, str]:
        """As a line of the list of suppressed cells."""
        names = ("report", "table", "row", "column", "rule", "limit")
        return {name: getattr(self, name) for name in names} | {"action": "flagged"}


def differencing(
    before: Sequence[Published],
    after: Sequence[Published],
    rules: Rules,
    subjects: Mapping[str, Collection[str]],
) -> list[Risk]:
    """What the tables of two runs tell together.

    Parameters
    ----------
    subjects : report -> words that a key of a number of firms must hold to be of its sample; none = of any
    """
    if not rules.apply:
        return []
    near = _near(before, after, rules.min_firms)
    found = [risk for key in near for risk in _places(after, key, rules.min_firms)]
    found += _moved(before, after, near, subjects, rules.min_firms)
    found += _withheld_and_shown(before, after)
    found += _linked(before, after, rules, {(risk.report, risk.table) for risk in found})
    return list(dict.fromkeys(found))


def _counts(tables: Sequence[Published]) -> dict[str, float]:
    """Whole numbers by their keys: numbers of firms."""
    found: dict[str, float] = {}
    for entry in tables:
        for at, key in entry.table.keys.items():
            value = number_of(entry.table, at)
            if value is not None and value.is_integer() and entry.table.columns[at[1]].kind == "integer":
                found.setdefault(key, value)
    return found


def _near(before: Sequence[Published], after: Sequence[Published], least: int) -> list[str]:
    """Keys of numbers of firms that differ by one or two."""
    old, new = _counts(before), _counts(after)
    return [key for key in new if key in old and 0 < abs(new[key] - old[key]) < least]


def _places(tables: Sequence[Published], key: str, least: int) -> Iterator[Risk]:
    limit = f"difference = 0 or >= {least} firms"
    for entry in tables:
        for at, name in entry.table.keys.items():
            if name == key and at not in entry.hidden:
                yield Risk("difference", entry.report, entry.table.name, *_words(entry, at), limit)


def _moved(
    before: Sequence[Published],
    after: Sequence[Published],
    near: Sequence[str],
    subjects: Mapping[str, Collection[str]],
    least: int,
) -> Iterator[Risk]:
    """Tables of which numbers moved, on pages of a sample whose size differs by one or two firms."""
    if not near:
        return
    cells = {(entry.report, entry.table.name): _cells(entry) for entry in before}
    keyed = _values(before)
    for entry in after:
        own = set(entry.table.keys.values())
        asked = subjects.get(entry.report, ())
        if not any(key in own or all(word in key.split(".") for word in asked) for key in near):
            continue
        then = keyed | cells.get((entry.report, entry.table.name), {})
        now = _cells(entry) | _keyed(entry)
        moved = sum(name in then and not _equal(then[name], value) for name, value in now.items())
        if moved:
            limit = f"{moved} numbers moved, sample by fewer than {least} firms"
            yield Risk("moved", entry.report, entry.table.name, "", "", limit)


def _withheld_and_shown(before: Sequence[Published], after: Sequence[Published]) -> Iterator[Risk]:
    """Cells that one run withholds and the other shows, by their key or else by their words."""
    for hiding, showing, run in ((before, after, BEFORE), (after, before, AFTER)):
        shown = {name for entry in showing for name in (*_keyed(entry), *_cells(entry))}
        for entry in hiding:
            for at, (rule, _) in entry.hidden.items():
                if rule != "complementary" and _name(entry, at) in shown:
                    limit = f"withheld ({rule}) in {run}"
                    yield Risk("shown_elsewhere", entry.report, entry.table.name, *_words(entry, at), limit)


def _linked(
    before: Sequence[Published], after: Sequence[Published], rules: Rules, told: Collection[tuple[str, str]]
) -> Iterator[Risk]:
    """Withheld cells that follow from the sums of both runs; a quantity that moved is two quantities."""
    old, new = _values(before), _values(after)
    split = {key for key in old if key in new and not _equal(old[key], new[key])}
    both = [_renamed(entry, BEFORE, split) for entry in before]
    both += [_renamed(entry, AFTER, split) for entry in after]
    for exposure in audit(both, [entry.report for entry in both], rules):
        _, report, table = exposure.place.split(_BETWEEN)
        if (report, table) not in told:
            yield Risk("linked", report, table, "", "", f"follows from {', '.join(exposure.given_by)}")


def _values(tables: Sequence[Published]) -> dict[str, float]:
    return {key: value for entry in tables for key, value in _keyed(entry).items()}


def _keyed(entry: Published) -> dict[str, float]:
    named = (
        (key, number_of(entry.table, at)) for at, key in entry.table.keys.items() if at not in entry.hidden
    )
    return {key: value for key, value in named if value is not None}


def _renamed(entry: Published, run: str, split: Collection[str]) -> Published:
    def named(key: str) -> str:
        return f"{key}@{run}" if key in split else key

    table = replace(
        entry.table,
        keys={at: named(key) for at, key in entry.table.keys.items()},
        identities=tuple(
            replace(item, total=named(item.total), parts=tuple(map(named, item.parts)))
            for item in entry.table.identities
        ),
    )
    return Published(f"{run}{_BETWEEN}{entry.report}", table, entry.hidden)


def _cells(entry: Published) -> dict[str, float]:
    """Shown numbers by the words that tell where they stand."""
    table = entry.table
    return {
        _place(entry, (r, c)): value
        for r in range(len(table.rows))
        for c in range(table.stub, len(table.columns))
        if (r, c) not in entry.hidden and (value := number_of(table, (r, c))) is not None
    }


def _name(entry: Published, at: At) -> str:
    return entry.table.keys.get(at) or _place(entry, at)


def _place(entry: Published, at: At) -> str:
    """The words of the row, numbered where several are alike, and the column's key."""
    table = entry.table
    words = _words(entry, at)[0]
    alike = sum(_words(entry, (r, at[1]))[0] == words for r in range(at[0]))
    return _BETWEEN.join((entry.report, table.name, words, str(alike), table.columns[at[1]].key))


def _words(entry: Published, at: At) -> tuple[str, str]:
    table, (r, c) = entry.table, at
    row = " ".join(table.text(r, k) for k in range(table.stub)) or str(r + 1)
    return row, table.columns[c].header or table.columns[c].key


def _equal(one: float, two: float) -> bool:
    return math.isclose(one, two, rel_tol=_SAME, abs_tol=_SAME)
