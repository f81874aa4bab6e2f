"""Rows that stand in a register file twice, every cell alike: one workplace written twice would count its workers twice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.errors import ValueProblem
from evalkit.ingest.files import RawFile
from evalkit.ingest.table import FlowStep, Table


def without_exact_repeats(table: Table, raw: RawFile, repeats: str) -> Table:
    """The table with the first of each; what rows alike in every cell of the file do is `repeats`: drop, keep or error.

    Raises
    ------
    ValueProblem : there are such rows and `repeats` is "error"
    """
    sheets = {page.name: page.cells for page in raw.sheets}
    if repeats == "keep":
        return table
    candidates = table.frame.duplicated(
        [name for name in table.frame.columns if name != "source_row"], keep=False
    ).to_numpy()
    if not candidates.any():
        return table
    frame = table.frame
    rows = frame["source_row"].to_numpy()[candidates]
    again = np.zeros(len(frame), dtype=bool)
    again[candidates] = pd.DataFrame(sheets[table.sheet][rows - 1]).duplicated().to_numpy()
    if not again.any():
        return table
    row = int(frame["source_row"].to_numpy()[again][0])
    if repeats == "error":
        raise ValueProblem(
            f"모든 칸이 같은 행이 되풀이됨 (모두 {int(again.sum())}행)",
            where=table.where(row),
            remedy="겹친 행을 지우거나, 계획에서 이 자료의 options 에 repeats: drop 을 적을 것",
        )
    kept = frame[~again].reset_index(drop=True)
    steps = (
        FlowStep("모든 칸이 같은 행의 되풀이", -int(again.sum()), f"{row}행"),
        FlowStep("사업장 행", len(kept)),
    )
    return table.with_frame(kept, flow=steps)
