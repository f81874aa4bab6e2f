"""What the 성과조사 workbooks say: who was supported from when, and what was reported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from evalkit import programmes
from evalkit.errors import DataError, UsageError
from evalkit.ingest.sources.performance_survey import deduplicate_attracted, deduplicate_firm_totals
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


# indicator -> (attribute of the published outcomes, what is counted)
ATTRACTED: tuple[tuple[str, str, dict[str, bool]], ...] = (
    ("attracted", "core_firms_attracted", {"only_capital": False, "agreements": True}),
    ("attracted_capital", "core_firms_from_capital", {"only_capital": True, "agreements": True}),
    ("attracted_moved", "", {"only_capital": False, "agreements": False}),
)


def reported_totals(
    tables: Iterable[Table], programme: str = "NIC"
) -> tuple[list[dict[str, Any]], list[Table]]:
    """Reported totals by phase: the sum over rows, without double counting, and as published.

    Rows of one firm that repeat the same value count once; where they differ the largest counts. A firm reported as
    attracted by two bodies counts once; agreements (MOU) are counted as reported, and left out in a row of their own.

    Parameters
    ----------
    programme : whose published figures stand beside; a programme that `evalkit.programmes` does not know has none

    Returns
    -------
    rows of plain values, and the tables after the double counting was taken out (with the repairs that say so). Of each
    sum over firms: ``firms`` behind it, and ``repeated``, those behind the difference of the two sums
    """
    rows: list[dict[str, Any]] = []
    cleaned: list[Table] = []
    for table in tables:
        if table.spec.name == "performance_outcomes":
            once = deduplicate_firm_totals(table, conflict="largest")
            for indicator, column, divisor, attribute in INDICATORS:
                if column in table.frame:
                    raw, net = _by_firm(table, column) / divisor, _by_firm(once, column) / divisor
                    rows.append(
                        _row(indicator, programme, attribute, raw.sum(), net.sum(), table)
                        | {"firms": int((raw != 0).sum()), "repeated": _repeated(raw, net)}
                    )
        elif table.spec.name == "performance_attracted":
            once = deduplicate_attracted(table)
            for indicator, attribute, options in ATTRACTED:
                rows.append(
                    _row(
                        indicator,
                        programme,
                        attribute,
                        _attracted(table.frame, **options),
                        _attracted(once.frame, **options),
                        table,
                    )
                )
        else:
            continue
        cleaned.append(once)
    return sorted(rows, key=lambda row: row["phase"]), cleaned


def _row(
    indicator: str, programme: str, attribute: str, raw: float, deduplicated: float, table: Table
) -> dict[str, Any]:
    phase = int(table.frame["phase"].iloc[0])
    fact = published(programme, phase, attribute)
    return {
        "phase": phase,
        "indicator": indicator,
        "raw": float(raw),
        "deduplicated": float(deduplicated),
        "published": None if fact is None else fact.number,
        "source": "" if fact is None else fact.cite(),
    }


def _by_firm(table: Table, column: str) -> pd.Series:
    """The sum of a column by firm; a row without a firm counts for itself."""
    values = pd.Series(table.frame[column].to_numpy(dtype=float, na_value=np.nan)).fillna(0.0)
    firms = table.frame["firm_id"].reset_index(drop=True).astype(object)
    firms = firms.where(firms.notna(), pd.Series([f"row {i}" for i in range(len(firms))], dtype=object))
    return values.groupby(firms).sum()


def _repeated(raw: pd.Series, net: pd.Series) -> int:
    """Firms whose value differs once it is counted a single time."""
    both = raw.sub(net, fill_value=0.0)
    return int((both.abs() > 1e-9 * raw.abs().clip(lower=1.0).reindex(both.index, fill_value=1.0)).sum())


def _attracted(frame: pd.DataFrame, *, only_capital: bool, agreements: bool) -> float:
    """Firms attracted: all kinds, or those that are more than an agreement; from the capital region, or from anywhere."""
    counted = (
        np.ones(len(frame), dtype=bool) if agreements else (frame["kind"].astype(str) != "mou").to_numpy()
    )
    if only_capital:
        origin = frame["from_region"].fillna("").to_numpy(dtype=str)
        known = origin != ""
        capital = np.zeros(len(frame), dtype=bool)
        capital[known] = capital_mask(origin[known])
        counted = counted & capital
    return float(counted.sum())


def published(programme: str, phase: int, attribute: str) -> Any:
    """The published figure of a phase of a programme, or None where none is known."""
    if not attribute:
        return None
    try:
        found = programmes.programme(programme).phase(phase).outcomes
    except UsageError:
        return None
    return found.get(attribute)
