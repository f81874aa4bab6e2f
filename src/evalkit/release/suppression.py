"""Suppression: a table as it may be shown, and the log of what was taken out or should be looked at.

`rules` names the sensitive cells, `protection` those that must go with them because of sums, and here go those that
would give a withheld cell away as a ratio: a mean times its number of firms, a share of a total.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evalkit.errors import DisclosureError
from evalkit.present.cells import Entry
from evalkit.present.numerals import number
from evalkit.present.tabulation import Tabulation
from evalkit.release.protection import Protector
from evalkit.release.rules import At, Need, Rules, flagged, is_count, kept_back, number_of, sensitive

MARK = "*"
_POWERS = 10.0 ** np.array([-8, -6, -4, -3, -2, 0, 2, 3, 4, 6, 8])  # units: %, per thousand, 만, 백만, 억


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One entry of the disclosure log: the place, the rule with its threshold, what was done; never the value."""

    table: str
    row: str
    column: str
    rule: str
    action: str = "suppressed"
    limit: str = ""

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        names = ("table", "row", "column", "rule", "action", "limit")
        return {name: getattr(self, name) for name in names}


def suppress(table: Tabulation, rules: Rules | int) -> dict[At, str]:
    """Cells to suppress with the rule that asks for it."""
    asked = rules if isinstance(rules, Rules) else Rules(rules)
    return {at: need.rule for at, need in hidden_cells(table, asked).items()}


def hidden_cells(
    table: Tabulation, rules: Rules, decided: Mapping[str, bool] | None = None
) -> dict[At, Need]:
    """Cells to suppress: sensitive ones, those that sums ask for, and those that are a ratio of a withheld one.

    Parameters
    ----------
    decided : key -> whether an earlier table of the page withheld that quantity
    """
    decided = decided or {}
    hidden = sensitive(table, rules)
    for at, key in table.keys.items():
        if decided.get(key) and at not in hidden and table.value(*at) is not None:
            hidden[at] = Need("complementary", "withheld in another table")
    if not hidden:
        return {}
    standing = frozenset(at for at, key in table.keys.items() if decided.get(key) is False)
    protector = Protector.of(table, rules, standing)
    while True:
        hidden = protector.cover(hidden)
        telling = _ratios(table, hidden)
        if not telling:
            return hidden
        hidden |= telling


def _ratios(table: Tabulation, hidden: Mapping[At, Need]) -> dict[At, Need]:
    """Shown rates of a row that give one of its withheld numbers back when multiplied with another shown number.

    A rate is a share or a number that is not whole; powers of ten stand for units (억원, per thousand).
    """
    wanted: dict[int, list[float]] = {}
    for r, c in hidden:
        value = number_of(table, (r, c))
        if value:
            wanted.setdefault(r, []).append(value)
    if not wanted:
        return {}
    shown = {
        (r, c): value
        for r in range(len(table.rows))
        for c in range(table.stub, len(table.columns))
        if (r, c) not in hidden and (value := number_of(table, (r, c)))
    }
    factors = np.array(sorted(set(shown.values())))
    found = {}
    for (r, c), rate in shown.items():
        if r in wanted and _is_rate(table, (r, c), rate):
            for value in wanted[r]:
                needed = np.array([value / rate, value * rate])
                made = (needed[:, None] * _POWERS).ravel()
                made = made[
                    ~np.isclose(made, rate, rtol=1e-9, atol=0.0)
                ]  # a withheld 1 is a ratio of nothing
                if (
                    made.size
                    and factors.size
                    and np.isclose(made[:, None], factors[None, :], rtol=1e-9, atol=0.0).any()
                ):
                    found[r, c] = Need("derived", "a withheld cell follows from it and another")
    return found


def _is_rate(table: Tabulation, at: At, value: float) -> bool:
    cell = table.rows[at[0]][at[1]]
    kind = cell.kind if isinstance(cell, Entry) else table.columns[at[1]].kind
    return kind == "percent" or not float(value).is_integer()


@dataclass(frozen=True, slots=True)
class Withheld:
    """A table as it may be shown, the log, and the withheld cells: (row, column, rule, is it a number of firms)."""

    table: Tabulation
    log: tuple[Suppressed, ...]
    cells: tuple[tuple[int, int, str, bool], ...]


def withhold(
    table: Tabulation, rules: Rules, note: str, decided: Mapping[str, bool] | None = None
) -> Withheld:
    """The table as it may be shown, without what single firms add to its cells, and the log."""
    hidden = hidden_cells(table, rules, decided)
    _refuse_words(table, hidden)
    looked = {at: need for at, need in flagged(table, rules).items() if at not in hidden}
    empty = kept_back(table)
    log = (*log_of(table, hidden | empty, "suppressed"), *log_of(table, looked, "flagged"))
    shown = table.with_cells(dict.fromkeys(hidden), dict.fromkeys(hidden, MARK), (note,) if hidden else ())
    cells = tuple(
        (r, c, need.rule, is_count(table, (r, c)))
        for (r, c), need in sorted(hidden.items(), key=lambda x: x[0])
    )
    cells += tuple((r, c, need.rule, True) for (r, c), need in sorted(empty.items(), key=lambda x: x[0]))
    return Withheld(shown.without_counts(), log, cells)


def _refuse_words(table: Tabulation, hidden: Mapping[At, Need]) -> None:
    """A withheld number of three digits or more must not stand in the title or a note either."""
    words = " ".join((table.title, *table.notes))
    for at in hidden:
        value = number_of(table, at)
        if value is None or abs(value) < 100:
            continue
        forms = {table.text(*at), number(value, 0), f"{value:.0f}", f"{value:g}", repr(value)}
        for form in forms:
            if re.search(rf"(?<![\d.,]){re.escape(form)}(?![\d]|[.,]\d)", words):
                raise DisclosureError(
                    "가린 칸의 값이 제목이나 주에 적혀 있음",
                    where=(f"표 {table.name}",),
                    remedy="제목과 주에서 그 수를 뺄 것",
                )


def log_of(table: Tabulation, needs: Mapping[At, Need], action: str) -> tuple[Suppressed, ...]:
    """Entries of the log, in the order of the table's cells."""
    entries = []
    for (r, c), need in sorted(needs.items(), key=lambda item: item[0]):
        place = _row_name(table, r), table.columns[c].header or table.columns[c].key
        entries.append(Suppressed(table.name, *place, need.rule, action, need.limit))
    return tuple(entries)


def _row_name(table: Tabulation, row: int) -> str:
    stub = " ".join(table.text(row, c) for c in range(table.stub))
    return stub or str(row + 1)
