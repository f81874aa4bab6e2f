"""Links over time: workplaces of monthly or yearly files to stable histories, by stages, and only where one fits one.

Rows with the same exact key in successive files are a strand. A key that stands twice in one file is told apart by the kind
of place, if that does it; else its rows are a bundle, which no stage touches. Then each stage ties loose ends: the end of
one strand to the beginning of a later one that has the stage's keys in common. Two strands whose keys stand in the same
file anywhere are two workplaces. Strands that follow one another (A, then B, then C) are a chain; an end that has two
candidates, or that two others have as theirs, is in doubt and stays loose, and no looser stage may tie it: only its own
exact key, seen again, can. A file that is missing is nobody's gap: gaps are counted in files that are there.

The numbers of histories follow the keys, not the rows: rows or files in another order give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError
from evalkit.ingest.linking.codes import column_codes, combined, dense, period_numbers
from evalkit.ingest.linking.ends import Ends, candidates, tie_only_ones
from evalkit.ingest.linking.links import Links, links_of
from evalkit.ingest.linking.stages import WORKPLACE_STAGES, Stage, checked, require_columns
from evalkit.ingest.linking.strands import Strands, strands_of

Codes = NDArray[np.int64]


def link_over_time(
    frames: pd.DataFrame | Iterable[pd.DataFrame],
    *,
    period: str = "month",
    stages: Sequence[Stage] = WORKPLACE_STAGES,
) -> Links:
    """Histories of the workplaces of several files.

    Parameters
    ----------
    frames : tables of readers, one a file or all in one, with the columns of the stages (`linking.keys.LINK_COLUMNS`); a row
        whose ``status`` is "left" goes with the history that it ends, and is no sighting
    period : column with the file's month (dates) or year (integers)
    stages : rules in order; the first is the exact key, the others tie what it leaves

    Returns
    -------
    Links: history of each row, in the order of the frames put below one another; the stage of its link; what is in doubt

    Raises
    ------
    SchemaError : a column of a stage or the period is missing
    DataError : no rows, or a row without a period
    PlanError : no stage, or two of one name
    """
    table = checked(stages)
    parts = [frames] if isinstance(frames, pd.DataFrame) else list(frames)
    parts = [part for part in parts if len(part)]
    if not parts:
        raise DataError("연결할 행이 없음", remedy="파일과 필터를 확인할 것")
    told = [name for s in table for name in (*s.keys, *s.differs, s.later) if name]
    apart = table[0].apart if all(table[0].apart in part.columns for part in parts) else ""
    require_columns(parts, [period, *told], "연결할 자료")
    numbers = np.concatenate([period_numbers(part[period], period) for part in parts])
    there = np.bincount(numbers - numbers.min()) > 0
    periods = np.flatnonzero(there) + numbers.min()
    at = (np.cumsum(there) - 1)[numbers - numbers.min()]
    columns: dict[str, Codes] = {}

    def codes(name: str) -> Codes:
        if name not in columns:
            columns[name] = column_codes([part[name] for part in parts])
        return columns[name]

    exact = combined([codes(name) for name in table[0].keys])
    live = _live(parts)
    strands = strands_of(exact, at, codes(apart) if apart else None, live)
    ends = Ends.loose(len(strands.exact))
    for number, stage in enumerate(table[1:], start=1):
        if set(stage.keys) == set(table[0].keys):
            _tie_same_key(strands, ends, number, stage)
            continue
        keys = [_both_ends(codes(name), strands) for name in stage.keys]
        joint = combined(keys)
        half = len(strands.exact)
        earlier, later = candidates(strands, ends, joint[:half], joint[half:], stage.missed)
        keep = np.ones(len(earlier), dtype=bool)
        for name in stage.differs:
            both = codes(name)
            keep &= both[strands.last_row[earlier]] != both[strands.first_row[later]]
        for name in stage.compatible:
            if all(name in part.columns for part in parts):
                both = column_codes([part[name].mask(part[name].eq("unknown")) for part in parts])
                old, new = both[strands.last_row[earlier]], both[strands.first_row[later]]
                keep &= (old < 0) | (new < 0) | (old == new)
        if stage.later:
            keep &= _later(parts, stage.later, strands, earlier, later, periods)
        tie_only_ones(strands, ends, earlier[keep], later[keep], number)
    return links_of(strands, ends, table, periods, at, live)


def _live(parts: Sequence[pd.DataFrame]) -> NDArray[np.bool_]:
    """Rows that are sightings: all but those with the status "left"  # (n,)"""
    return np.concatenate(
        [
            ~part["status"].eq("left").fillna(False).to_numpy(dtype=bool)
            if "status" in part.columns
            else np.ones(len(part), dtype=bool)
            for part in parts
        ]
    )


def _both_ends(codes: Codes, strands: Strands) -> Codes:
    """Codes at the end of every strand, then at the beginning of every strand  # (2S,)"""
    return np.concatenate([codes[strands.last_row], codes[strands.first_row]])


def _tie_same_key(strands: Strands, ends: Ends, number: int, stage: Stage) -> None:
    """Strands of one exact key after a gap: the next one; where a key was told apart, by candidates."""
    one = np.arange(len(strands.exact) - 1)
    alike = (strands.exact[1:] == strands.exact[:-1]) & strands.alone[1:]
    alike &= (ends.after[:-1] < 0) & (ends.before[1:] < 0)
    if stage.missed is not None:
        alike &= strands.first[1:] - strands.last[:-1] - 1 <= stage.missed
    ends.tie(one[alike], one[alike] + 1, number)
    parts = np.zeros(int(strands.whole.max(initial=-1)) + 2, dtype=np.int64)
    pairs = np.unique(strands.exact[strands.exact >= 0], return_index=True)[1]
    keyed = strands.whole[strands.exact >= 0][pairs]
    np.add.at(parts, keyed, 1)
    split = np.where((strands.whole >= 0) & (parts[strands.whole] > 1), strands.whole, -1)
    if (split >= 0).any():
        earlier, later = candidates(strands, ends, dense(split), dense(split), stage.missed)
        tie_only_ones(strands, ends, earlier, later, number, heed_doubt=False)


def _later(
    parts: Sequence[pd.DataFrame],
    name: str,
    strands: Strands,
    earlier: Codes,
    later: Codes,
    periods: Codes,
) -> NDArray[np.bool_]:
    """Whether the date of the later strand lies after that of the earlier, and not before its last month  # (P,)"""
    dates = np.concatenate([part[name].to_numpy().astype("datetime64[D]") for part in parts])
    new, old = dates[strands.first_row[later]], dates[strands.last_row[earlier]]
    last = periods[strands.last[earlier]]
    yearly = bool(periods[-1] <= 9_999)
    unit = new.astype("datetime64[Y]" if yearly else "datetime64[M]").astype(np.int64)
    begun = unit + (1970 if yearly else 1970 * 12)
    with np.errstate(invalid="ignore"):
        return np.asarray(~np.isnat(new) & ((new > old) | np.isnat(old)) & (begun >= last))
