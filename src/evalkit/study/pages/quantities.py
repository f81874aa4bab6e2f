"""Names of numbers of firms that several pages show, so that what one page withholds another does not tell.

A name says which number it is, not which table it stands in: the run audit joins the tables of all pages by them.
"""

from __future__ import annotations

from collections.abc import Iterable

from evalkit.present.cells import Identity

ALL = "all"
SIDES = ("treated", "comparison")


def firms_key(outcome: str, phase: int, place: str, side: str) -> str:
    """Supported or unsupported firms of an outcome's sample in a province, or in all of them."""
    return f"firms.{outcome}.{phase}.{place}.{side}"


def sides_of_all(outcome: str, phase: int, place: str = ALL) -> tuple[str, ...]:
    """Both sides of a sample: together its size."""
    return tuple(firms_key(outcome, phase, place, side) for side in SIDES)


def over_places(outcome: str, phase: int, places: Iterable[str]) -> tuple[Identity, ...]:
    """The provinces of a sample add up to the whole of it, side by side."""
    named = tuple(places)
    return tuple(
        Identity(
            firms_key(outcome, phase, ALL, side),
            tuple(firms_key(outcome, phase, place, side) for place in named),
        )
        for side in SIDES
    )
