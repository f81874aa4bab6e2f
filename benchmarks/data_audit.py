"""The data audit: a region panel of twenty columns, and firm tables of half a million rows; beside one pass of pandas.

    python benchmarks/data_audit.py

The yardstick is the least that any check must do: the change of every column within units by `groupby().diff()`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from _measuring import HEADER, line, peak_of, timed

from evalkit.ingest.audit import audit_frame


def regions(units: int = 250, periods: int = 15, columns: int = 20) -> pd.DataFrame:
    """Counts that grow with a noise of three per cent."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "code": np.repeat([f"R{i:03d}" for i in range(units)], periods),
            "year": np.tile(np.arange(2010, 2010 + periods), units),
        }
    )
    for k in range(columns):
        size = rng.normal(10, 1, (units, 1)) + rng.normal(0, 0.03, (units, periods)).cumsum(axis=1)
        frame[f"count{k}"] = np.round(np.exp(size)).ravel()
    return frame


def firms(units: int, periods: int) -> pd.DataFrame:
    """Four columns with heavy tails; one row in twenty is not there."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "firm_id": np.repeat([f"F{i}" for i in range(units)], periods),
            "year": np.tile(np.arange(2012, 2012 + periods), units),
            "sido": np.repeat(rng.choice(["부산", "대구", "광주", "대전", "충북"], units), periods),
        }
    )
    for name in ("workers", "sales_won", "premium_won", "women_count"):
        size = rng.normal(4, 1.3, (units, 1)) + 0.1 * rng.standard_t(3, (units, periods)).cumsum(axis=1)
        frame[name] = np.round(np.exp(size)).ravel()
    return frame[rng.random(len(frame)) > 0.05]


def main() -> None:
    """One line a table."""
    print(HEADER)
    cases = [("250 regions × 15 years × 20 columns", regions(), "code", ())]
    cases += [
        (f"{n:,} firms × {t} periods × 4 columns", firms(n, t), "firm_id", ("sido",))
        for n, t in ((500_000, 1), (100_000, 5), (42_000, 12))
    ]
    for name, frame, unit, groups in cases:
        values = [c for c in frame.columns if c not in (unit, "year", *groups)]

        def ours(frame=frame, unit=unit, values=values, groups=groups) -> object:
            return audit_frame(frame, unit, "year", values, groups=groups)

        def theirs(frame=frame, unit=unit, values=values) -> object:
            return frame.groupby(unit, sort=False)[values].diff()

        seconds, yardstick = timed([ours, theirs], 3)
        print(line(frame[unit].nunique(), name, seconds, "pandas groupby.diff", yardstick, peak_of(ours)))


if __name__ == "__main__":
    main()
