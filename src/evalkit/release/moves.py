"""Moves: changes of the cells of a table that keep all its sums, found by linear programming and remembered.

A move shows that every cell in it could have another value. As moves can be scaled and turned round, one that was found
for a cell often serves others, and the programme is not solved again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.release.rules import At

Floats = NDArray[np.float64]
_SMALL = 1e-9


@dataclass(slots=True)
class Part:
    """Cells that sums tie together: their places, sums, rooms, costs, which are whole numbers, and the moves found."""

    cells: Sequence[At]
    position: Mapping[At, int]
    matrix: Any
    up: Floats
    down: Floats
    cost: Floats
    whole: NDArray[np.bool_]
    found: list[Floats] = field(default_factory=list)

    def scaled(self, k: int, level: float, kept: Collection[At] | None = None) -> bool:
        """Whether a move found before, scaled, moves cell `k` by `level` within all rooms.

        With `kept`, as a reader could imagine it: no other cell moves, and whole numbers stay whole.
        """
        for move in self.found:
            if abs(move[k]) <= _SMALL:
                continue
            wide = move * (level / move[k])
            fits = bool((wide <= self.up * (1 + _SMALL)).all() and (-wide <= self.down * (1 + _SMALL)).all())
            if fits and kept is not None:
                steps = wide[self.whole]
                fits = bool((np.abs(steps - np.rint(steps)) < 1e-6).all())
                fits = fits and all(self.cells[int(j)] in kept for j in np.flatnonzero(move))
            if fits:
                return True
        return False


@dataclass(slots=True)
class Moves:
    """Moves of one table.

    Attributes
    ----------
    equations : cells of each sum, the total first
    room : (cell, sign) -> how far it may move, inf = without bound; called once a cell
    cost : cell -> how much it is missed; whole : whether it is a whole number
    """

    equations: Sequence[Sequence[At]]
    room: Callable[[At, float], float]
    cost: Callable[[At], float]
    whole: Callable[[At], bool]
    _parts: dict[At, Part] = field(default_factory=dict, init=False)

    def part(self, at: At) -> Part:
        """All cells that sums tie to one."""
        from scipy.sparse import csr_array

        if at in self._parts:
            return self._parts[at]
        reached, before = {at}, 0
        while len(reached) > before:
            before = len(reached)
            for cells in self.equations:
                if reached.intersection(cells):
                    reached.update(cells)
        cells = sorted(reached)
        position = {cell: k for k, cell in enumerate(cells)}
        rows = [line for line in self.equations if line[0] in position]
        matrix = np.zeros((len(rows), len(cells)))
        for j, line in enumerate(rows):
            for cell in line:
                matrix[j, position[cell]] += -1.0 if cell == line[0] else 1.0
        part = Part(
            cells,
            position,
            csr_array(np.hstack([matrix, -matrix])),
            np.array([self.room(cell, 1.0) for cell in cells]),
            np.array([self.room(cell, -1.0) for cell in cells]),
            np.array([self.cost(cell) for cell in cells]),
            np.array([self.whole(cell) for cell in cells]),
        )
        self._parts |= dict.fromkeys(cells, part)
        return part

    def cheapest(self, at: At, level: float, hidden: Collection[At]) -> list[At]:
        """Cells of the cheapest move of one cell by `level`; none where a move found before does it, or none can."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        part = self.part(at)
        k, n = part.position[at], len(part.cells)
        if part.scaled(k, level, hidden):
            return []
        gone = np.array([cell in hidden for cell in part.cells])
        cost = np.where(gone, 1e-3, part.cost)
        low, high = np.zeros(2 * n), np.concatenate([part.up, part.down])
        mine, other = (k, n + k) if level > 0 else (n + k, k)
        low[mine] = high[mine] = abs(level)
        high[other] = 0.0
        found = milp(
            np.concatenate([cost, cost]),
            constraints=LinearConstraint(part.matrix, 0.0, 0.0),
            bounds=Bounds(low, high),
        )
        if found.status != 0:
            return []
        move = found.x[:n] - found.x[n:]
        move[np.abs(move) <= _SMALL * abs(level)] = 0.0
        part.found.append(move)
        return [part.cells[int(j)] for j in np.flatnonzero(move)]

    def shows(self, at: At, levels: Sequence[float], hidden: Collection[At]) -> bool:
        """Whether moves found before, of hidden cells alone, move a cell by each of the levels."""
        part = self.part(at)
        return all(part.scaled(part.position[at], level, hidden) for level in levels if abs(level) >= 1e-12)
