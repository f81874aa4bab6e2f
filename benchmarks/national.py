"""A synthetic national file of 60 million establishment-years to panels, cells and effects.

    python benchmarks/national.py              # 2 million rows, with pandas and the panel in memory beside it
    python benchmarks/national.py --large      # 60 million; aim: under 120 s within 8 GB on two cores
    python benchmarks/national.py --million 20

DuckDB writes the file, one Parquet folder a year, from hashes of the identifier (the same file in every run), to a temporary
folder that is removed at the end. Timed: the panel of the supported firms, their matched pool, region × industry × year cells,
sums by cluster, cohort and pattern, and both effects from these. The peak is that of this process (DuckDB runs inside).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import duckdb
import numpy as np
import pandas as pd

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel
from evalkit.scale import (
    Source,
    group_time_from_cells,
    imputation_from_cells,
    matched_pool,
    national_cells,
    open_engine,
    open_source,
    place_cells,
    supported_panel,
    with_programme,
)

YEARS = range(2015, 2025)
ROWS_A_UNIT = 6.3028
SUPPORTED = 6_000
PROVINCES = (11, 26, 27, 28, 29, 30, 31, 36, 41, 42, 43, 44, 45, 46, 47, 48, 50)
T = TypeVar("T")


def peak_gb() -> float:
    """Peak resident memory of this process and its children, in GB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 2**20


def stage(name: str, call: Callable[[], T]) -> T:
    """Run one step and print its time and the peak so far."""
    begin, busy = time.perf_counter(), time.process_time()
    out = call()
    wall, cpu = time.perf_counter() - begin, time.process_time() - busy
    print(f"{name:<44} {wall:8.1f} s    peak {peak_gb():.2f} GB    processor {cpu:.1f} s", flush=True)
    return out


def write_national(folder: Path, units: int) -> None:
    """The file: units that enter and leave, sizes that grow, seventeen provinces, seventy industries."""
    places = "[" + ",".join(f"'{p}'" for p in PROVINCES) + "]"
    share = "% 1000000 / 1000000.0"
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2; SET memory_limit = '4GB'; SET preserve_insertion_order = false")
        for year in YEARS:
            target = folder / f"year={year}"
            target.mkdir(parents=True)
            connection.execute(f"""
                COPY (
                  WITH u AS (
                    SELECT i AS id, hash(i * 7 + 1) {share} AS a, hash(i * 7 + 2) {share} AS b, hash(i * 7 + 3) {share} AS c,
                           hash(i * 7 + 4) {share} AS d, CAST(hash(i * 7 + 5) % 70 AS INT) AS industry, CAST(hash(i * 7 + 6) % 17 AS INT) AS province
                    FROM range({units}) r(i)),
                  f AS (
                    SELECT *, CASE WHEN a < 0.55 THEN 2015 ELSE 2015 + CAST(floor(b * 10) AS INT) END AS entry,
                           CASE WHEN c < 0.6 THEN 2025 ELSE 2016 + CAST(floor(d * 9) AS INT) END AS gone FROM u)
                  SELECT id, ({places})[province + 1] AS sido,
                         ({places})[province + 1] || lpad(CAST(110 + id % 25 AS VARCHAR), 3, '0') AS region,
                         lpad(CAST(10 + industry AS VARCHAR), 2, '0') || '110' AS industry,
                         entry - CAST(floor(d * 20) AS INT) AS founded,
                         CAST(floor(exp(2 * a + 2 * b) * (1 + 0.2 * (hash(id * 31 + {year}) {share}))) AS INT) AS employment
                  FROM f WHERE {year} >= entry AND {year} < greatest(gone, entry + 1) ORDER BY id
                ) TO '{target}/part.parquet' (FORMAT parquet, ROW_GROUP_SIZE 500000)""")


def beside_pandas(folder: Path, cells: pd.DataFrame) -> None:
    """The same region × industry cells by pandas, read and grouped in memory."""
    begin = time.perf_counter()
    parts = [
        pd.read_parquet(
            folder / f"year={year}" / "part.parquet", columns=["region", "industry", "employment"]
        ).assign(year=year)
        for year in YEARS
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows["industry"] = rows["industry"].str[:2]
    rows["square"] = rows["employment"].astype("float64") ** 2
    found = rows.groupby(["region", "industry", "year"])[["employment", "square"]].agg(["count", "sum"])
    theirs = time.perf_counter() - begin
    assert float(found[("employment", "sum")].sum()) == float(cells["employment_sum"].sum())
    print(f"region × industry cells by pandas (same sums): {theirs:.1f} s, peak {peak_gb():.2f} GB")


def beside_memory(folder: Path, programme: pd.DataFrame, design: Design, effects: Estimate) -> None:
    """The same group-time effects from a panel in memory, read and pivoted by pandas."""
    begin = time.perf_counter()
    names = ["id", "sido", "employment"]
    parts = [
        pd.read_parquet(folder / f"year={y}" / "part.parquet", columns=names).assign(year=y) for y in YEARS
    ]
    rows = pd.concat(parts, ignore_index=True).merge(programme, on="id", how="left")
    panel = Panel.from_long(
        rows, unit="id", period="year", varying=["employment"], fixed=["sido", "adoption"]
    )
    found = group_time_effects(panel, design, missing="pairs")
    theirs = time.perf_counter() - begin
    gap = float(np.abs(found.values - effects.values).max())
    known = effects.std_errors > 0
    wide = float(np.abs(found.std_errors[known] / effects.std_errors[known] - 1).max())
    print(
        f"group-time in memory: {theirs:.1f} s, peak {peak_gb():.2f} GB; values differ by {gap:.1e}, errors by {wide:.1e}"
    )


def main() -> None:
    """Write, time, remove."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="60 million rows")
    parser.add_argument("--million", type=float, default=2.0, help="million rows")
    parser.add_argument("--memory", default="5.5GB", help="limit of the engine")
    asked = parser.parse_args()
    asked.million = 60.0 if asked.large else asked.million
    folder = Path(tempfile.mkdtemp(prefix="evalkit-national-"))
    units = int(asked.million * 1e6 / ROWS_A_UNIT) + 1
    try:
        stage("written", lambda: write_national(folder / "national", units))
        print(f"load before: {os.getloadavg()[0]:.1f}")
        rng = np.random.default_rng(1)
        programme = pd.DataFrame(
            {
                "id": rng.choice(units, min(SUPPORTED, units // 20), replace=False),
                "adoption": rng.integers(2018, 2023, min(SUPPORTED, units // 20)),
            }
        )
        begin = time.perf_counter()
        design = Design("employment", cluster="sido")
        where = {"unit": "id", "period": "year", "minimum": 0.0}
        with open_engine("duckdb", memory=asked.memory, threads=2, folder=folder) as engine:
            opened = stage("opened", lambda: open_source(engine, folder / "national"))
            source: Source = stage("programme joined", lambda: with_programme(opened, programme, unit="id"))
            panel = stage("panel of supported firms", lambda: supported_panel(source, design, **where))
            pool = stage(
                "matched pool, 3 each", lambda: matched_pool(source, design, labels=("sido",), **where)
            )
            places = stage(
                "region × industry × year cells",
                lambda: place_cells(
                    opened, period="year", region="region", industry="industry", values=("employment",)
                ),
            )
            cells = stage("sums by cluster, cohort, pattern", lambda: national_cells(source, design, **where))
        effects = stage(
            "group-time from sums", lambda: group_time_from_cells(cells.sums, design, missing="pairs")
        )
        imputed = stage(
            "imputation from sums",
            lambda: imputation_from_cells(cells.sums, replace(design), unimputable="drop"),
        )
        total = time.perf_counter() - begin
        print(f"{'total':<44} {total:8.1f} s    peak {peak_gb():.2f} GB    load {os.getloadavg()[0]:.1f}")
        print(
            f"rows {opened.flow[0].rows:,}; supported {panel.shape[0]:,}; matched {pool.panel.shape[0]:,};"
            f" places {len(places):,}; cells {len(cells.sums):,}; terms {len(effects)} and {len(imputed)}"
        )
        if asked.million <= 10:
            beside_pandas(folder / "national", places)
        if asked.million <= 5:
            beside_memory(folder / "national", programme, design, effects)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
