"""Steps: how a sample flow is written so that no step tells of one or two firms what left them out.

A step is what remains after it, so its neighbours' difference is a count of firms too: of all units, of the supported
ones, and of the others. A step in which one of the three is too small is joined with its neighbours, as few as will do.
Where even all steps together lose too few of one side, sides are told at the last step only; where all units together
do, the first step keeps its number to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Joined:
    """One line of a flow as it may be shown.

    Attributes
    ----------
    steps : positions of the steps it stands for; the first line is step 0, all units
    left, treated : what remains after the last of them; None = withheld
    dropped : what it left out; None on the first line, and where the line before is withheld
    """

    steps: tuple[int, ...]
    left: int | None
    treated: int | None
    dropped: int | None


def joined_steps(left: Sequence[tuple[int, int]], least: int) -> list[Joined]:
    """Lines of a flow.

    Parameters
    ----------
    left : units and supported units that remain after each step; all units first
    least : smallest count of firms that may be told; 1 = every count may

    Examples
    --------
    >>> [(line.steps, line.dropped) for line in joined_steps([(90, 9), (80, 9), (79, 9), (60, 9)], 3)]
    [((0,), None), ((1, 2), 11), ((3,), 19)]
    """

    def thin(count: int) -> bool:
        return 0 < count < least

    def lost(start: int, end: int) -> tuple[int, int]:
        return left[start][0] - left[end][0], left[start][1] - left[end][1]

    def both_sides(start: int, end: int) -> bool:
        units, treated = lost(start, end)
        return not (thin(units) or thin(treated) or thin(units - treated))

    def all_units(start: int, end: int) -> bool:
        return not thin(lost(start, end)[0])

    for told, sides in ((both_sides, True), (all_units, False)):
        ends = _ends(len(left), told)
        if ends is not None:
            return [_line(left, start, end, sides or end == len(left) - 1) for start, end in ends]
    last = len(left) - 1
    return [Joined((0,), None, None, None), Joined(tuple(range(1, last + 1)), *left[last], None)]


def _line(left: Sequence[tuple[int, int]], start: int | None, end: int, sides: bool) -> Joined:
    units, treated = left[end]
    steps = (0,) if start is None else tuple(range(start + 1, end + 1))
    dropped = None if start is None else left[start][0] - units
    return Joined(steps, units, treated if sides else None, dropped)


def _ends(count: int, told: Callable[[int, int], bool]) -> list[tuple[int | None, int]] | None:
    """(step before, last step) of each line, as many lines as may be told; None where no way does."""
    best: list[tuple[int, ...] | None] = [(0,)]
    for end in range(1, count):
        ways = [(*way, end) for start in range(end) if (way := best[start]) is not None and told(start, end)]
        best.append(max(ways, key=lambda way: (len(way), way)) if ways else None)
    way = best[-1]
    return None if way is None else [(None, 0), *pairwise(way)]
