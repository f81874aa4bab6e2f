"""What the 성과조사 workbooks say: who was supported from when, and what was reported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from evalkit import programmes
from evalkit.errors import DataError
from evalkit.ingest.sources.performance_survey import deduplicate_firm_totals
from evalkit.ingest.table import Table
from evalkit.study.places import capital_mask


def _of(tables: Iterable[Table], spec: str) -> list[Table]:
    return [table for table in tables if table.spec.name == spec]


def support(tables: Iterable[Table]) -> pd.DataFrame:
    """First support of each firm.

    Returns
    -------
    DataFrame indexed by firm_id: adoption (year in which the first agreement starts), phase (of that agreement),
    phases (all phases in which the firm has an agreement, such as "1,3")
    """
    frames = [table.frame for table in _of(tables, "performance_projects")]
    if not frames:
        raise DataError(
            "성과조사에 과제현황이 없음", where=("성과조사",), remedy="과제현황 시트가 있는 파일을 넣을 것"
        )
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.assign(year=pd.to_datetime(frame["agreement_start"]).dt.year)
    ordered = frame.sort_values(["firm_id", "agreement_start", "phase"], kind="stable")
    groups = ordered.groupby("firm_id", sort=True)
    return pd.DataFrame(
        {
            "adoption": groups["year"].first().astype(float),
            "phase": groups["phase"].first().astype(int),
            "phases": groups["phase"].agg(lambda values: ",".join(str(v) for v in sorted(set(values)))),
        }
    )


# indicator -> (column, divisor to the printed unit, attribute of the published outcomes)
INDICATORS: tuple[tuple[str, str, float, str], ...] = (
    ("new_jobs", "new_jobs", 1.0, "jobs"),
    ("new_regular_jobs", "new_regular_jobs", 1.0, ""),
    ("new_youth_jobs", "new_youth_jobs", 1.0, ""),
    ("commercial_sales", "commercial_sales_million_krw", 100.0, "commercialisation_sales"),
)


def reported_totals(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """Reported totals by phase: the sum over rows, without double counting, and as published.

    Rows of one firm that repeat the same value count once; where they differ the largest counts and the repair is logged.
    """
    tables = list(tables)
    rows: list[dict[str, Any]] = []
    for table in _of(tables, "performance_outcomes"):
        once = deduplicate_firm_totals(table, conflict="largest")
        phase = int(table.frame["phase"].iloc[0])
        for indicator, column, divisor, attribute in INDICATORS:
            if column not in table.frame:
                continue
            fact = published(phase, attribute)
            rows.append(
                {
                    "phase": phase,
                    "indicator": indicator,
                    "raw": float(np.nansum(table.frame[column].to_numpy(dtype=float, na_value=np.nan)))
                    / divisor,
                    "deduplicated": float(
                        np.nansum(once.frame[column].to_numpy(dtype=float, na_value=np.nan))
                    )
                    / divisor,
                    "published": None if fact is None else fact.number,
                    "source": "" if fact is None else fact.cite(),
                }
            )
    for table in _of(tables, "performance_attracted"):
        frame = table.frame
        phase = int(frame["phase"].iloc[0])
        known = frame["from_region"].notna() & (frame["from_region"].astype(str) != "")
        capital = np.zeros(len(frame), dtype=bool)
        capital[known.to_numpy()] = capital_mask(frame.loc[known, "from_region"].to_numpy(dtype=str))
        signed = (frame["kind"].astype(str) != "mou").to_numpy()
        for indicator, inside, attribute in (
            ("attracted", np.ones(len(frame), dtype=bool), "core_firms_attracted"),
            ("attracted_capital", capital, "core_firms_from_capital"),
        ):
            fact = published(phase, attribute)
            rows.append(
                {
                    "phase": phase,
                    "indicator": indicator,
                    "raw": float(inside.sum()),
                    "deduplicated": float((inside & signed).sum()),
                    "published": None if fact is None else fact.number,
                    "source": "" if fact is None else fact.cite(),
                }
            )
    return sorted(rows, key=lambda row: row["phase"])


def published(phase: int, attribute: str) -> Any:
    """The published figure of a phase of 국가혁신클러스터, or None."""
    if not attribute:
        return None
    found = programmes.programme("NIC").phase(phase).outcomes
    return found.get(attribute)
