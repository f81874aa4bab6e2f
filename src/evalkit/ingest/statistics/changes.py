"""What an official series says now and said before: cells changed, added, taken away. Official series are revised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evalkit.errors import UsageError
from evalkit.ingest.statistics.faults import shown
from evalkit.ingest.statistics.kept import Kept, rows_of
from evalkit.ingest.statistics.queries import ecos_cell, kosis_cell

Cell = tuple[str, ...]
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Changes:
    """How two fetches differ.

    Attributes
    ----------
    changed : (cell, before, after), in order of cell
    added, removed : cells that only the later, only the earlier has
    same : number of cells that say the same
    """

    changed: tuple[tuple[Cell, str, str], ...]
    added: tuple[Cell, ...]
    removed: tuple[Cell, ...]
    same: int

    def sentence(self) -> str:
        """One line."""
        if not (self.changed or self.added or self.removed):
            return f"앞서 받은 것과 값이 모두 같음 ({self.same:,}칸)"
        return (
            f"앞서 받은 것과 견주어 {len(self.changed):,}칸이 바뀌고 {len(self.added):,}칸이 늘고 "
            f"{len(self.removed):,}칸이 없어짐 (같은 칸 {self.same:,})"
        )

    def examples(self, count: int = _SHOWN) -> list[str]:
        """The first cells that differ, as lines."""
        lines = [
            f"{_name(cell)}: {shown(old, 30)} → {shown(new, 30)}" for cell, old, new in self.changed[:count]
        ]
        lines += [f"{_name(cell)}: 새로 생김" for cell in self.added[:count]]
        return lines + [f"{_name(cell)}: 없어짐" for cell in self.removed[:count]]


def _name(cell: Cell) -> str:
    return shown(" ".join(part for part in cell if part), 60)


def cells(rows: Iterable[Mapping[str, Any]], source: str) -> dict[Cell, str]:
    """The value of each cell, as written."""
    if source == "kosis":
        return {kosis_cell(row): _text(row.get("DT")) for row in rows}
    return {ecos_cell(row): _text(row.get("DATA_VALUE")) for row in rows}


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def compared(before: Kept, after: Kept) -> Changes:
    """How the later of two records differs from the earlier.

    Raises
    ------
    UsageError : records of two services
    FileError : an answer is not what was received
    """
    if before.record.source != after.record.source:
        raise UsageError(
            "서로 다른 서비스의 기록임",
            where=(before.path.name, after.path.name),
            remedy="같은 통계표를 두 번 받은 기록을 적을 것",
        )
    source = after.record.source
    old, new = cells(rows_of(before), source), cells(rows_of(after), source)
    both = old.keys() & new.keys()
    changed = tuple((cell, old[cell], new[cell]) for cell in sorted(both) if old[cell] != new[cell])
    return Changes(
        changed,
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        len(both) - len(changed),
    )
