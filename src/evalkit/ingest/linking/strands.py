"""Strands: rows of successive files with the same exact key; what the stages then tie together are their loose ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.linking.codes import combined, dense

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Strands:
    """Strands in order of exact key and time.

    Attributes
    ----------
    of_row : strand of each row  # (n,)
    exact, whole : exact key of each strand, and the key before it was told apart; −1 = a key column is empty  # (S,)
    first, last : place of its first and last file  # (S,)
    first_row, last_row : a row of them  # (S,)
    several : more than one row of the key in some file: a bundle of workplaces that cannot be told apart  # (S,)
    cells : exact key × T + place of the file, of all keyed rows, sorted; files : T
    """

    of_row: Codes
    exact: Codes
    whole: Codes
    first: Codes
    last: Codes
    first_row: Codes
    last_row: Codes
    several: Mask
    cells: Codes
    files: int

    @property
    def alone(self) -> Mask:
        """Strands that may be tied: a full key, and one row a file  # (S,)"""
        return (self.exact >= 0) & ~self.several


def strands_of(whole: Codes, at: Codes, apart: Codes | None) -> Strands:
    """Strands of rows with an exact key.

    Parameters
    ----------
    whole : exact key of each row, −1 where a part is empty: such a row is a strand of its own  # (n,)
    at : place of the row's file among the files in time  # (n,)
    apart : codes that tell rows apart whose key stands more than once in some file; None = nothing does  # (n,)
    """
    files = int(at.max()) + 1
    exact = whole.copy()
    if apart is not None:
        twice = np.zeros(int(whole.max(initial=-1)) + 2, dtype=bool)
        order = _order(whole, at, files)
        again = np.diff(whole[order] * files + at[order]) == 0
        twice[whole[order][1:][again]] = True
        twice[-1] = False  # where the code is −1
        split = np.flatnonzero(twice[whole])
        if len(split):
            pairs = combined([whole[split], apart[split] + 1])
            exact[split] = int(whole.max()) + 1 + pairs
            exact = dense(exact)
    order = _order(exact, at, files)
    key, file = exact[order], at[order]
    new = np.ones(len(order), dtype=bool)
    again = np.zeros(len(order), dtype=bool)
    same = (key[1:] == key[:-1]) & (key[1:] >= 0)
    again[1:] = same & (file[1:] == file[:-1])
    several_keys = np.zeros(int(key.max(initial=-1)) + 2, dtype=bool)
    several_keys[key[again]] = True
    bundle = several_keys[key] & (key >= 0)
    # a bundle is one strand from its first to its last file: who is who in it is not known
    new[1:] = ~(same & (bundle[1:] | (file[1:] - file[:-1] <= 1)))
    number = np.cumsum(new) - 1
    of_row = np.empty(len(order), dtype=np.int64)
    of_row[order] = number
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(order)) - 1
    keyed = key >= 0
    return Strands(
        of_row,
        key[starts],
        whole[order[starts]],
        file[starts],
        file[ends],
        order[starts],
        order[ends],
        bundle[starts],
        key[keyed] * files + file[keyed],
        files,
    )


def _order(key: Codes, at: Codes, files: int) -> Codes:
    """Rows by key and file; rows of both alike keep their order"""
    return np.argsort(key * files + at, kind="stable")


def seen_together(strands: Strands, one: Codes, other: Codes) -> Mask:
    """Whether the exact keys of two strands stand in the same file somewhere: then they are two workplaces  # (P,)"""
    found = np.zeros(len(one), dtype=bool)
    key, against = strands.exact[one], strands.exact[other]
    begin = np.searchsorted(strands.cells, key * strands.files)
    size = np.searchsorted(strands.cells, (key + 1) * strands.files) - begin
    pair = np.repeat(np.arange(len(one)), size)
    cell = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size) + np.repeat(begin, size)
    wanted = against[pair] * strands.files + strands.cells[cell] % strands.files
    place = np.minimum(np.searchsorted(strands.cells, wanted), max(0, len(strands.cells) - 1))
    found[pair[strands.cells[place] == wanted]] = True
    return np.asarray(found & (key != against))
