"""Protection: which further cells of a table have to go, so that no withheld one can be worked out.

For every sensitive cell the cheapest change of the table that keeps all sums and moves that cell by its protection
level is found by linear programming; the shown cells that move are withheld with it (linear programming for complementary
suppression: Zayatz 1992, Census Bureau research report RR-92/02; the problem and its exact solution: Fischetti and Salazar
2000, JASA). Then `attack` tries to work every
sensitive cell out, and what it still reaches is covered by further cells of the same sum until it reaches nothing;
cells that turn out not to be needed are shown again. What is returned has therefore been attacked in vain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.present.tabulation import Tabulation, Total
from evalkit.release.attack import Sum, System, Unknown, rank_sets
from evalkit.release.moves import Moves
from evalkit.release.rules import At, Need, Rules, is_count, number_of

_CLOSE = 1e-7
_SPARED = 12  # complementary cells that are tried without at most


@dataclass(frozen=True, slots=True)
class Equation:
    """Cells of which the first is the sum of the others."""

    cells: tuple[At, ...]

    def weight(self, at: At) -> float:
        """-1 for the total, 1 for a part."""
        return -1.0 if at == self.cells[0] else 1.0


def equations_of(table: Tabulation) -> list[Equation]:
    """Every sum that a reader can make: declared, implied by the role of a row, or an identity between keys."""
    found: dict[tuple[At, ...], None] = {}
    for entry in (*table.totals, *implied_totals(table)):
        if entry.axis == "row":
            lines = [
                [(r, c) for r in (entry.total, *entry.parts)] for c in range(table.stub, len(table.columns))
            ]
        else:
            lines = [[(r, c) for c in (entry.total, *entry.parts)] for r in range(len(table.rows))]
        for cells in lines:
            used = tuple(at for at in cells if number_of(table, at) is not None)
            if len(used) > 1 and used[0] == cells[0]:
                found[used] = None
    at_key = {key: at for at, key in table.keys.items()}
    for identity in table.identities:
        named = [at_key.get(key) for key in (identity.total, *identity.parts)]
        known = tuple(at for at in named if at is not None and number_of(table, at) is not None)
        if len(known) == len(named):
            found[known] = None
    return [Equation(cells) for cells in found]


def implied_totals(table: Tabulation) -> Iterator[Total]:
    """A row shown as a total, but not declared as one, sums the body rows above it."""
    declared = {entry.total for entry in table.totals if entry.axis == "row"}
    parts: list[int] = []
    for r, role in enumerate(table.roles):
        if role == "body":
            parts.append(r)
        elif role == "heading":
            parts = []
        elif r not in declared and parts:
            yield Total("row", r, tuple(parts))


@dataclass(frozen=True, slots=True)
class Protector:
    """A table with its sums, and what is asked of them."""

    table: Tabulation
    rules: Rules
    equations: Sequence[Equation]
    values: Mapping[At, float]
    signed: bool
    standing: frozenset[At] = frozenset()
    _sums: frozenset[At] = frozenset()
    _found: list[Moves] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, table: Tabulation, rules: Rules, standing: frozenset[At] = frozenset()) -> Protector:
        """With the values of every cell in a sum.

        Parameters
        ----------
        standing : cells that another table of the page shows already; to withhold them here would protect nothing
        """
        equations = equations_of(table)
        values = {at: number_of(table, at) or 0.0 for entry in equations for at in entry.cells}
        signed = any(v < 0 for v in values.values())
        totals = frozenset(entry.cells[0] for entry in equations)
        return cls(table, rules, equations, values, signed, standing, totals)

    # -- the reader's side --------------------------------------------------------------------

    def unknown(self, at: At, need: Need | None) -> Unknown:
        """What the rules tell of a withheld cell."""
        if not is_count(self.table, at):
            return Unknown(-math.inf if self.signed else 0.0)
        least = float(self.rules.min_firms)
        if need is not None and need.rule == "threshold":
            return Unknown(1.0, least - 1.0, whole=True)
        if need is _UNNAMED:
            return Unknown(0.0, math.inf, whole=True)
        return Unknown(0.0, math.inf, gap=least, whole=True)

    def system(self, hidden: Mapping[At, Need]) -> System:
        """The withheld cells that stand in sums, and those sums."""
        unknowns = {at: self.unknown(at, hidden[at]) for at in hidden if at in self.values}
        sums = []
        for entry in self.equations:
            weights = {at: entry.weight(at) for at in entry.cells if at in unknowns}
            if weights:
                level = math.fsum(w * self.values[at] for at, w in weights.items())
                slack = 1e-9 * (1.0 + abs(level))
                sums.append(Sum(weights, level - slack, level + slack))
        return System(unknowns, sums)

    def exposed(self, hidden: Mapping[At, Need]) -> At | None:
        """The first sensitive cell that a reader can work out more closely than the rules allow."""
        system = self.system(hidden)
        for at, need in hidden.items():
            if need.rule == "complementary" or at not in system.unknowns or self._shown_open(at, hidden):
                continue
            if not self._safe(at, need, system.seen(at)):
                ends = system.interval(
                    at
                )  # None: rounded sums that do not add up, from which nothing follows
                if ends is not None and not self._safe(at, need, ends):
                    return at
        firms = {
            at: n for at in system.unknowns if hidden[at].rule == "threshold" and (n := self.table.firms(*at))
        }
        for chosen in rank_sets(firms, self.rules.min_firms):
            if system.fixed(chosen):
                return next((at for at in firms if at in chosen), None)
        return None

    def _safe(self, at: At, need: Need, ends: tuple[float, float]) -> bool:
        low, high = ends
        if is_count(self.table, at):
            return high - low > 0.5
        value = self.values[at]
        least = _CLOSE * (1.0 + abs(value))
        up, down = max(need.up, least), max(need.down, least)
        if not self.signed:
            down = min(down, value)  # nobody doubts that it is not negative
        return high >= value + up * (1 - 1e-6) and low <= value - down * (1 - 1e-6)

    def _shown_open(self, at: At, hidden: Mapping[At, Need]) -> bool:
        """Whether moves found before already show a cell as open as it must be."""
        if not self._found:
            return False
        levels = [level for sign in (1.0, -1.0) if (level := self._level(at, sign, hidden[at]))]
        if is_count(self.table, at):
            return any(self._found[0].shows(at, [level], hidden) for level in levels)
        return self._found[0].shows(at, levels, hidden)

    # -- our side -----------------------------------------------------------------------------

    def cover(self, needs: Mapping[At, Need]) -> dict[At, Need]:
        """The sensitive cells and those that go with them."""
        hidden = dict(needs)
        for at in [at for at, need in needs.items() if at in self.values and need.rule != "complementary"]:
            self._enough_firms(hidden)
            for sign in (1.0, -1.0):
                self._move(at, sign, hidden)
        self._enough_firms(hidden)
        while (found := self.exposed(hidden)) is not None:
            extra = self._beside(found, hidden)
            if extra is None:
                break
            hidden[extra] = _COMPLEMENTARY
            self._enough_firms(hidden)
        self._spare(hidden)
        self._say_less(hidden)
        return hidden

    def _say_less(self, hidden: dict[At, Need]) -> None:
        """Where the rule alone tells a count (each of three is 1 or 2, and one is the sum of the others), no rule is named."""
        while (found := self.exposed(hidden)) is not None and is_count(self.table, found):
            tied, _ = self.system(hidden).component(found)
            hidden |= {at: _UNNAMED for at in tied if is_count(self.table, at)}

    def _enough_firms(self, hidden: dict[At, Need]) -> None:
        """The withheld parts of a sum hold `min_firms` firms together, and are two at least."""
        again = True
        while again:
            again = False
            for entry in self.equations:
                gone = [at for at in entry.cells if at in hidden]
                if gone and (len(gone) < 2 or self._firms(entry, gone) < self.rules.min_firms):
                    extra = self._next(entry, hidden)
                    if extra is not None:
                        hidden[extra], again = _COMPLEMENTARY, True

    def _firms(self, entry: Equation, gone: Sequence[At]) -> float:
        total = entry.cells[0]
        if total in gone:
            return math.inf
        counts = [self.table.firms(*at) for at in gone]
        return math.inf if any(n is None for n in counts) else float(sum(n or 0 for n in counts))

    def _order(self, at: At) -> tuple[int, float, At]:
        """Which cell is missed least: the smallest group; empty groups and totals last."""
        n = self.table.firms(*at)
        last = at in self._sums
        return (9 if at in self.standing else 2 if last else 1 if not n else 0, float(n or 0), at)

    def _next(self, entry: Equation, hidden: Mapping[At, Need]) -> At | None:
        left = [at for at in entry.cells if at not in hidden]
        return min(left, key=self._order) if left else None

    def _beside(self, at: At, hidden: Mapping[At, Need]) -> At | None:
        """A further cell of the sums that tie the exposed one, nearest first."""
        reached, tied = {at}, [entry for entry in self.equations if at in entry.cells]
        while tied:
            left = [other for entry in tied for other in entry.cells if other not in hidden]
            if left:
                return min(left, key=self._order)
            grown = reached | {other for entry in tied for other in entry.cells}
            if grown == reached:
                return None
            reached = grown
            tied = [entry for entry in self.equations if reached.intersection(entry.cells)]
        return None

    def _move(self, at: At, sign: float, hidden: dict[At, Need]) -> None:
        """Withhold the shown cells of the cheapest change that moves one cell by its level."""
        level = self._level(at, sign, hidden[at])
        if abs(level) >= 1e-12:
            for cell in self._moves(hidden).cheapest(at, level, hidden):
                hidden.setdefault(cell, _COMPLEMENTARY)

    def _level(self, at: At, sign: float, need: Need) -> float:
        """How far a cell must be able to move up (sign 1) or down; 0 where it need not."""
        value = self.values[at]
        if is_count(self.table, at):
            least = self.rules.min_firms
            level = 1.0 if sign > 0 else -1.0
            return 0.0 if need.rule == "threshold" and not 1.0 <= value + level <= least - 1.0 else level
        level = sign * max(need.up if sign > 0 else need.down, _CLOSE * (1.0 + abs(value)))
        return level if self.signed else max(level, -value)

    def _moves(self, hidden: Mapping[At, Need]) -> Moves:
        """Moves found so far; rooms depend on the cells that are thin, which are known from the start."""
        if not self._found:
            self._found.append(
                Moves(
                    [entry.cells for entry in self.equations],
                    lambda cell, sign: self._room(cell, sign, hidden),
                    self._cost,
                    lambda cell: is_count(self.table, cell),
                )
            )
        return self._found[0]

    def _cost(self, cell: At) -> float:
        rank, n, _ = self._order(cell)
        return float(1.0 + 30.0 * rank + min(n, 1e4) / 1e3)

    def _room(self, cell: At, sign: float, hidden: Mapping[At, Need]) -> float:
        """How far a cell may move; inf = without bound."""
        value = self.values[cell]
        if is_count(self.table, cell):
            need = hidden.get(cell)
            if need is not None and need.rule == "threshold":
                room = self.rules.min_firms - 1 - value if sign > 0 else value - 1
            elif value == 0:
                room = 0.0
            else:
                room = math.inf if sign > 0 else value - self.rules.min_firms
            return max(0.0, float(room))
        return math.inf if sign > 0 or self.signed else value

    def _spare(self, hidden: dict[At, Need]) -> None:
        """Show again what is not needed, the largest groups first."""
        extra = sorted((at for at, need in hidden.items() if need is _COMPLEMENTARY), key=self._order)[::-1]
        if not 2 <= len(extra) <= _SPARED or len(hidden) > 2 * _SPARED:
            return
        for at in extra:
            fewer = {other: need for other, need in hidden.items() if other != at}
            if self._holds_firms(fewer) and self.exposed(fewer) is None:
                del hidden[at]

    def _holds_firms(self, hidden: Mapping[At, Need]) -> bool:
        for entry in self.equations:
            gone = [at for at in entry.cells if at in hidden]
            if gone and (len(gone) < 2 or self._firms(entry, gone) < self.rules.min_firms):
                return False
        return True


_COMPLEMENTARY = Need("complementary", "protects a withheld cell")
_UNNAMED = Need("withheld", "the rule would tell the value")
