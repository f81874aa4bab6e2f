"""What stands in a cell of a table, as plain values and as JSON; and what disclosure rules know of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from evalkit.plain_text import clean_text

Kind = Literal["text", "integer", "number", "year", "percent", "p_value", "interval", "code"]
KINDS: tuple[Kind, ...] = ("text", "integer", "number", "year", "percent", "p_value", "interval", "code")
Cell = str | int | float | tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell that is written otherwise than its column (tables with one estimate a column).

    `bracketed`: written in round brackets, as spreads and errors under a mean are; it stays a number.
    """

    value: Cell
    kind: Kind = "number"
    digits: int | None = None
    unit: str = ""
    bracketed: bool = False


@dataclass(frozen=True, slots=True)
class Contribution:
    """What firms add to the quantity of one cell; read by the disclosure rules, never written anywhere.

    ``total`` over all firms; ``largest`` the largest single contributions, in falling order (two at least, or all).
    """

    total: float
    largest: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float], keep: int = 5) -> Contribution:
        """From the values of the firms.

        >>> Contribution.of([3.0, 10.0, 1.0], keep=2)
        Contribution(total=14.0, largest=(10.0, 3.0))
        """
        found = sorted((abs(float(v)) for v in values if float(v) == float(v)), reverse=True)
        return cls(math.fsum(found), tuple(found[:keep]))


def tightest(*facts: Mapping[str, Any] | None) -> Contribution | None:
    """Of several sums that one cell tells (itself, its difference from its neighbour), that which two firms hold most of.

    Parameters
    ----------
    facts : ``total`` and ``largest`` as the prepared data keep them; None = not known

    Returns
    -------
    None where none is known or all are zero
    """
    found = [Contribution(fact["total"], tuple(fact["largest"])) for fact in facts if fact]
    known = [made for made in found if made.total > 0]
    return max(known, key=lambda made: math.fsum(made.largest[:2]) / made.total, default=None)


@dataclass(frozen=True, slots=True)
class Identity:
    """A quantity that is the sum of others, each named by its key (`Tabulation.keys`), in whatever table they stand."""

    total: str
    parts: tuple[str, ...]


def numbers_in(cell: Any) -> list[float]:
    """The numbers of a cell that say how many decimals suit it; an interval's half width first."""
    if isinstance(cell, tuple):
        half = abs(cell[1] - cell[0]) / 2
        return [half, *cell]
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return [float(cell)]
    return []


def plain(cell: Any) -> Cell | Entry:
    """A cell without numpy or pandas in it; NaN and NA become None."""
    if isinstance(cell, Entry):
        bare = plain(cell.value)
        value = bare.value if isinstance(bare, Entry) else bare
        return replace(cell, value=value, unit=clean_text(cell.unit))
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None:
        return None
    if isinstance(cell, str):
        return clean_text(cell)
    if isinstance(cell, bool):
        return int(cell)
    if isinstance(cell, int):
        return cell
    if isinstance(cell, float):
        return None if math.isnan(cell) else cell
    if isinstance(cell, tuple | list) and len(cell) == 2:
        low, high = (math.nan if part is None else float(part) for part in cell)
        return None if math.isnan(low) or math.isnan(high) else (low, high)
    if type(cell).__name__ in ("NAType", "NaTType"):
        return None
    return clean_text(cell)


def cell_json(cell: Cell | Entry) -> Any:
    """A cell as JSON knows it; what is not finite is spelt out."""
    if isinstance(cell, Entry):
        return {
            "value": cell_json(cell.value),
            "kind": cell.kind,
            "digits": cell.digits,
            "unit": cell.unit,
            **({"bracketed": True} if cell.bracketed else {}),
        }
    if isinstance(cell, tuple):
        return [_number_json(part) for part in cell]
    if isinstance(cell, float):
        return _number_json(cell)
    return cell


def _number_json(value: float) -> float | dict[str, int]:
    return value if math.isfinite(value) else {"infinite": 1 if value > 0 else -1}


def _number_back(value: Any) -> float:
    return math.inf * value["infinite"] if isinstance(value, Mapping) else float(value)


def cell_back(cell: Any) -> Cell | Entry:
    """The inverse of `cell_json`."""
    if isinstance(cell, Mapping):
        if "infinite" in cell:
            return _number_back(cell)
        bare = cell_back(cell["value"])
        value = bare.value if isinstance(bare, Entry) else bare
        return Entry(value, cell["kind"], cell["digits"], cell["unit"], bool(cell.get("bracketed")))
    if isinstance(cell, list):
        return (_number_back(cell[0]), _number_back(cell[1]))
    return cell  # type: ignore[no-any-return]
