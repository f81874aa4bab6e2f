"""Attracted firms counted by the rules: agreements and moves, one arrival told by two bodies, branches, phases."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.ingest.counting.rules import CountingRules
from evalkit.ingest.regions import is_capital

AGREEMENT = "mou"


def told_again(attracted: pd.DataFrame) -> pd.Series:
    """Rows that tell an arrival told before: same phase, firm, kind, month and destination  # (n,) of bool"""
    keys = pd.DataFrame(
        {
            "phase": attracted["phase"],
            "firm": attracted["firm"],
            "kind": attracted["kind"].astype(str),
            "to": attracted["to_region"].astype(object).where(attracted["to_region"].notna(), ""),
            "month": pd.to_datetime(attracted["date"]).dt.strftime("%Y-%m"),
        }
    )
    return keys.duplicated()


def from_capital(attracted: pd.DataFrame) -> pd.Series:
    """Rows of firms that come from the capital region; an unknown origin does not  # (n,) of bool"""
    origin = attracted["from_region"].astype(object).where(attracted["from_region"].notna(), "").astype(str)
    capital = {code: is_capital(code) for code in origin.unique() if code}
    return origin.map(lambda code: capital.get(code, False)).astype(bool)


def counted_arrivals(
    attracted: pd.DataFrame, rules: CountingRules, *, only_capital: bool = False
) -> pd.DataFrame:
    """The rows that count by the rules on agreements, bodies and phases, in their order.

    Parameters
    ----------
    attracted : of `rows.rows_of`, branches merged where they are to be
    only_capital : only firms from the capital region
    """
    rows = attracted
    if rows.empty:
        return rows
    keep = np.ones(len(rows), dtype=bool)
    if rules.bodies == "once":
        keep &= ~told_again(rows).to_numpy()
    agreement = (rows["kind"].astype(str) == AGREEMENT).to_numpy()
    if rules.attraction != "both":
        keep &= agreement if rules.attraction == "agreements" else ~agreement
    if only_capital:
        keep &= from_capital(rows).to_numpy()
    if rules.phases == "first":
        first = rows.groupby("firm")["phase"].min()
        keep &= rows["phase"].to_numpy() == first.reindex(rows["firm"]).to_numpy()
    return rows[keep]
