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


def strands_of(whole: Codes, at: Codes, apart: Codes | None, live: Mask) -> Strands:
    """Strands of rows with an exact key.

    A row that says that the workplace has left is no sighting: it goes with the strand of its key that ended last, and is a
    strand without a key where there is none.

    Parameters
    ----------
    whole : exact key of each row, −1 where a part is empty: such a row is a strand of its own  # (n,)
    at : place of the row's file among the files in time  # (n,)
    apart : codes that tell rows apart whose key stands more than once in some file; None = nothing does  # (n,)
    live : rows that are sightings  # (n,)
    """
    files = int(at.max()) + 1
    rows = np.flatnonzero(live)
    exact = whole if apart is None else _told_apart(whole, at, apart, rows, files)
    order = rows[_order(exact[rows], at[rows], files)]
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
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(order)) - 1
    of_row = np.empty(len(at), dtype=np.int64)
    of_row[order] = np.cumsum(new) - 1
    keyed = key >= 0
    # rows that only say that somebody left
    gone = np.flatnonzero(~live)
    place = (
        np.searchsorted(key[starts] * files + file[starts], exact[gone] * files + at[gone], side="right") - 1
    )
    found = (place >= 0) & (exact[gone] >= 0)
    found &= np.append(key[starts], -2)[place] == exact[gone]
    of_row[gone[found]] = place[found]
    lone = gone[~found]
    lone = lone[_order(exact[lone], at[lone], files)]
    of_row[lone] = len(starts) + np.arange(len(lone))
    none = np.full(len(lone), -1, dtype=np.int64)
    return Strands(
        of_row,
        np.append(key[starts], none),
        np.append(whole[order[starts]], none),
        np.append(file[starts], at[lone]),
        np.append(file[ends], at[lone]),
        np.append(order[starts], lone),
        np.append(order[ends], lone),
        np.append(bundle[starts], np.zeros(len(lone), dtype=bool)),
        key[keyed] * files + file[keyed],
        files,
    )


def _told_apart(whole: Codes, at: Codes, apart: Codes, rows: Codes, files: int) -> Codes:
    """The exact key, with what tells rows apart added where the key stands more than once in some file  # (n,)"""
    twice = np.zeros(int(whole.max(initial=-1)) + 2, dtype=bool)
    order = rows[_order(whole[rows], at[rows], files)]
    again = np.diff(whole[order] * files + at[order]) == 0
    twice[whole[order][1:][again]] = True
    twice[-1] = False  # where the code is −1
    split = np.flatnonzero(twice[whole])
    if not len(split):
        return whole
    exact = whole.copy()
    exact[split] = int(whole.max()) + 1 + combined([whole[split], apart[split] + 1])
    return dense(exact)


def _order(key: Codes, at: Codes, files: int) -> Codes:
    """Rows by key and file"""
    return np.argsort(key * files + at)


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
