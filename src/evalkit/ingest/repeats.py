"""The same thing in two files: a copy left in the folder, or two files whose years overlap.

Rows of two files are joined by what they say, so a copy would count every job twice, or let the later file win, in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import FileError, ValueProblem
from evalkit.ingest.table import Table

_TIMES = ("year", "month", "phase")


def refuse_repeats(tables: Sequence[Table]) -> None:
    """Stop when two files of one source hold the same rows.

    Raises
    ------
    FileError : two files are the same, or more than half of the rows of one stand in the other
    ValueProblem : a key of the declaration stands in both
    """
    for first, second in combinations(tables, 2):
        if first.spec.name != second.spec.name or first.source == second.source:
            continue
        if first.sha256 == second.sha256:
            raise FileError(
                f"{first.file} 와(과) 내용이 똑같은 파일임",
                where=(second.file,),
                remedy="둘 가운데 하나를 지울 것",
            )
        if _meet_in_time(first.frame, second.frame):
            _refuse_rows(first, second)


def _meet_in_time(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Whether some year, month and phase stands in both."""
    return all(
        bool(np.isin(first[name].unique(), second[name].unique()).any())
        for name in _TIMES
        if name in first and name in second
    )


def _refuse_rows(first: Table, second: Table) -> None:
    spec = second.spec
    if spec.key:
        names = [*spec.key, *(n for n in ("phase",) if n in second.frame and n not in spec.key)]
        old = pd.MultiIndex.from_frame(first.frame[names])
        again = pd.MultiIndex.from_frame(second.frame[names]).isin(old)
        if again.any():
            row = int(second.frame.loc[again, "source_row"].iloc[0])
            titles = "·".join(
                next((c.aliases[0] for c in spec.columns if c.name == n), "연도") for n in spec.key
            )
            raise ValueProblem(
                f"파일 {first.file} 에도 있는 열쇠({titles})임 (모두 {int(again.sum())}행)",
                where=second.where(row),
                remedy="두 파일에 겹친 행을 한쪽에서 지울 것",
            )
        return
    same = _hashes(second.frame)
    share = float(np.isin(same, _hashes(first.frame)).mean())
    if share > 0.5:
        raise FileError(
            f"행의 {share:.0%}가 파일 {first.file} 에도 그대로 있음",
            where=(second.file,),
            remedy="같은 자료를 두 번 둔 것이면 하나를 지울 것",
        )


def _hashes(frame: pd.DataFrame) -> NDArray[np.uint64]:
    """One number for what each row says, wherever it stands  # (n,)"""
    content = frame.drop(columns="source_row")
    return np.asarray(pd.util.hash_pandas_object(content, index=False), dtype=np.uint64)
