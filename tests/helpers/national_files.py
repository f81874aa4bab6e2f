"""Small national files with everything that a large one has: entries, exits, gaps, weights, clusters of unequal size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

YEARS = tuple(range(2014, 2022))


def national_frame(units: int = 600, seed: int = 1) -> pd.DataFrame:
    """One row an establishment and year: id, year, sido, region, industry, founded, employment, sales, w, adoption."""
    rng = np.random.default_rng(seed)
    entry = rng.choice([2014, 2014, 2014, 2016, 2018], units)
    gone = rng.choice([2022, 2022, 2022, 2020, 2017], units)
    sido = rng.choice(["11", "26", "27", "29", "41"], units, p=[0.4, 0.2, 0.2, 0.1, 0.1])
    adoption = rng.choice([2017.0, 2019.0, np.nan], units, p=[0.15, 0.1, 0.75])
    size = np.exp(rng.normal(2.0, 1.0, units))
    industry = rng.choice(["10110", "20200", "26110"], units)
    founded = entry - rng.integers(0, 25, units)
    district = rng.integers(1, 4, units)
    weight = rng.integers(1, 4, units)
    rows = []
    for i in range(units):
        for year in range(entry[i], min(gone[i], 2022)):
            jobs = int(size[i] * np.exp(0.2 * rng.normal()) + 2 * (year >= adoption[i]))
            sales = float(jobs * 120.5 * np.exp(rng.normal()))
            rows.append(
                (f"u{i:05d}", year, sido[i], f"{sido[i]}{district[i]}10", industry[i], founded[i], jobs, sales,
                 weight[i], adoption[i])
            )  # fmt: skip
    names = ["id", "year", "sido", "region", "industry", "founded", "employment", "sales", "w", "adoption"]
    return pd.DataFrame(rows, columns=names)


def written(frame: pd.DataFrame, path: Path) -> Path:
    """The frame as one Parquet file."""
    frame.to_parquet(path, index=False)
    return path
