"""Cells of a sheet filled before it is read, so that one reader reads every variant of a file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.files import RawFile, Sheet
from evalkit.ingest.headers import Header


def with_empty_column(
    page: Sheet, header: Header, at: dict[str, int], label: str, name: str = "region"
) -> tuple[Sheet, dict[str, int]]:
    """The sheet with an empty column in front, under a header of its own, and the positions of the columns there."""
    empty = np.full((len(page.cells), 1), "", dtype=object)
    empty[header.last_row, 0] = label
    moved = replace(
        page,
        cells=np.hstack([empty, page.cells]),
        merged=tuple((top, left + 1, bottom, right + 1) for top, left, bottom, right in page.merged),
        widths=tuple(width + 1 for width in page.widths),
    )
    return moved, {name: 0, **{key: position + 1 for key, position in at.items()}}


def with_cells(raw: RawFile, page: Sheet, cells: NDArray[np.object_]) -> RawFile:
    """The file with other cells in one sheet."""
    changed = replace(page, cells=cells)
    return replace(raw, sheets=tuple(changed if s.name == page.name else s for s in raw.sheets))
