"""What the files show of relocations: events by year, kind and direction, and what became of each claim of the programme.

Kept in the audit as counts: the pages on relocation read nothing of a single firm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evalkit.building.claimed_moves import claimed_moves
from evalkit.building.relocations import Relocations
from evalkit.ingest.sources.performance_survey import ATTRACTED, deduplicate_attracted
from evalkit.ingest.table import Table
from evalkit.study.places import capital_mask


def relocation_facts(tables: list[Table], rows: pd.DataFrame, found: Relocations) -> dict[str, Any]:
    """Counts of events and of claims.

    Parameters
    ----------
    tables : of the performance survey; those of attracted firms are read
    rows : rows of the year-end file with ``unit`` (identifier of the firm), in the order that `found` was made from
    found : events of all histories; a history is a firm, numbered in the order of its first row

    Returns
    -------
    ``events`` (year, kind, direction, events) of relocations, ``fates`` (status, events) of all changes of address, ``claims``
    (phase, kind, capital, evidence, claims) by what the files show, and the rule (months, workers)
    """
    counted = found.counted()
    step = 12 if found.histories.months == 1 else 1
    year = counted["moved"].to_numpy(dtype=np.int64) // step
    events = (
        counted.assign(year=year)
        .groupby(["year", "kind", "direction"], sort=True)
        .size()
        .reset_index(name="events")
    )
    fates = found.events.groupby("status", sort=True).size().reset_index(name="events")
    return {
        "months": found.months,
        "workers": found.workers,
        "events": _records(events),
        "fates": _records(fates),
        "claims": _claims(tables, rows, found),
    }


def _claims(tables: list[Table], rows: pd.DataFrame, found: Relocations) -> list[dict[str, Any]]:
    attracted = [table for table in tables if table.spec.name == ATTRACTED.name]
    if not attracted:
        return []
    frame = pd.concat([deduplicate_attracted(table).frame for table in attracted], ignore_index=True)
    region = frame["to_region"].astype(object).where(frame["to_region"].notna(), None)
    known = region.notna() & frame["date"].notna()
    claims = frame[known].assign(
        firm=frame["firm_id"].fillna("").astype(str), region=region, month=frame["date"]
    )
    places = pd.DataFrame(
        {"firm": rows["unit"].astype(str).to_numpy(), "unit": pd.factorize(rows["unit"])[0]}
    ).drop_duplicates()
    told = claimed_moves(claims, found, places)
    out = frame[["phase", "kind"]].copy()
    out["capital"] = 0
    origin = frame["from_region"].fillna("").astype(str)
    out.loc[origin != "", "capital"] = capital_mask(origin[origin != ""]).astype(int)
    out["evidence"] = "no_place"
    out.loc[known, "evidence"] = told["evidence"].to_numpy()
    return _records(
        out.groupby(["phase", "kind", "capital", "evidence"], sort=True).size().reset_index(name="claims")
    )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Plain values, ready for JSON."""
    return [
        {str(k): (v.item() if isinstance(v, np.generic) else v) for k, v in row.items()}
        for row in frame.to_dict("records")
    ]
