"""Which cells a question covers, and how it is divided so that no answer holds more than the service gives.

A table of KOSIS is items × categories of each axis × periods. A question over the limit is divided by period first and, where
one period is still too much, by the longest list of codes; an answer that says «too many» all the same is halved again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from evalkit.ingest.statistics.faults import KOSIS_LIMIT
from evalkit.ingest.statistics.periods import Period

LONGEST_LIST = 3000
"""Characters of one list of codes in an address: longer addresses are refused by servers."""


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes asked of one axis (or of the items).

    Attributes
    ----------
    codes : the codes; empty where they are not known (the question says ALL, and one is counted)
    whole : whether they are all that the table has, so that the question may say ALL
    """

    codes: tuple[str, ...]
    whole: bool = False

    @property
    def count(self) -> int:
        """How many codes; at least one."""
        return max(1, len(self.codes))

    def text(self) -> str:
        """As a question says it: ALL, or the codes with blanks between them (a blank is «+» in an address)."""
        return "ALL" if self.whole or not self.codes else " ".join(self.codes)


@dataclass(frozen=True, slots=True)
class Part:
    """One question: items, axes and periods; `newest` stands for the newest periods where none are named."""

    items: Codes
    axes: tuple[Codes, ...]
    periods: tuple[Period, ...]
    newest: int = 0

    @property
    def lists(self) -> tuple[Codes, ...]:
        """Items first, then the axes."""
        return (self.items, *self.axes)

    @property
    def cells(self) -> int:
        """How many cells the answer can hold."""
        return prod(codes.count for codes in self.lists) * max(1, len(self.periods), self.newest)

    def with_list(self, place: int, codes: Codes) -> Part:
        """The part with another list: place 0 is the items."""
        if place == 0:
            return replace(self, items=codes)
        return replace(self, axes=(*self.axes[: place - 1], codes, *self.axes[place:]))


def divided(part: Part, limit: int = KOSIS_LIMIT) -> list[Part]:
    """Parts that together cover every cell once, none with more than `limit` cells; in order of period, then of code.

    A list whose codes are not known cannot be divided, nor can the newest periods: such a part stays as it is.
    """
    return list(_divided(part, limit))


def _divided(part: Part, limit: int) -> Iterator[Part]:
    if part.cells <= limit:
        place = next((i for i, codes in enumerate(part.lists) if _too_long(codes)), None)
        pieces = [part] if place is None else _by_code(part, place, (part.lists[place].count + 1) // 2)
        if len(pieces) == 1:
            yield pieces[0]
            return
    elif len(part.periods) > 1:
        each = part.cells // len(part.periods)
        pieces = _by_period(part, max(1, limit // each))
    else:
        place = max(range(len(part.lists)), key=lambda i: len(part.lists[i].codes))
        longest = len(part.lists[place].codes)
        if longest < 2:
            yield part
            return
        others = part.cells // longest
        pieces = _by_code(part, place, max(1, limit // others))
    for piece in pieces:
        yield from _divided(piece, limit)


def halved(part: Part) -> list[Part] | None:
    """Two parts that cover a part; None where nothing can be divided."""
    if len(part.periods) > 1:
        return _by_period(part, (len(part.periods) + 1) // 2)
    place = max(range(len(part.lists)), key=lambda i: len(part.lists[i].codes))
    longest = len(part.lists[place].codes)
    return _by_code(part, place, (longest + 1) // 2) if longest > 1 else None


def _too_long(codes: Codes) -> bool:
    return len(codes.codes) > 1 and len(codes.text()) > LONGEST_LIST


def _by_period(part: Part, size: int) -> list[Part]:
    return [replace(part, periods=part.periods[i : i + size]) for i in range(0, len(part.periods), size)]


def _by_code(part: Part, place: int, size: int) -> list[Part]:
    codes = part.lists[place].codes
    return [
        part.with_list(
            place, Codes(codes[i : i + size], whole=part.lists[place].whole and size >= len(codes))
        )
        for i in range(0, len(codes), size)
    ]
