"""Support of each firm by phase: first years and amounts, from the agreements of the 성과조사 workbooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.table import Table

PHASES = (1, 2, 3)
_WON = 1e-6


def support_variables(tables: list[Table], started: pd.DataFrame, units: pd.Index) -> dict[str, NDArray[Any]]:
    """Fixed variables of the firms about their support.

    Parameters
    ----------
    tables : of the 성과조사 workbooks
    started : as `programme_files.support`
    units : firms of the panel

    Returns
    -------
    ``adoption`` (first support ever, +inf never), ``phase_first`` (its phase, 0 never), ``adoption_phase1`` … (first year
    of support within that phase, +inf none), ``support_million_krw`` (국비 and 지방비 of the phase of first support,
    nominal, 0 never) and ``support_national_million_krw`` (국비 alone)
    """
    frame = pd.concat(
        [table.frame for table in tables if table.spec.name == "performance_projects"], ignore_index=True
    )
    frame = frame.assign(year=pd.to_datetime(frame["agreement_start"]).dt.year)
    first = frame.groupby(["firm_id", "phase"])["year"].min().unstack("phase")
    amounts = frame.merge(started["phase"].rename("phase_first"), left_on="firm_id", right_index=True)
    amounts = amounts[amounts["phase"].astype(int) == amounts["phase_first"]]
    sums = amounts.groupby("firm_id")[["national_grant_krw", "local_grant_krw"]].sum(min_count=1)
    national = sums["national_grant_krw"]
    both = sums.sum(axis=1, min_count=1)

    def money(values: pd.Series) -> NDArray[np.float64]:
        won = values.reindex(units).to_numpy(dtype=float, na_value=np.nan) * _WON
        return np.where(units.isin(started.index), won, 0.0)

    return {
        "adoption": started["adoption"].reindex(units).to_numpy(dtype=float, na_value=np.inf),
        "phase_first": started["phase"].reindex(units).to_numpy(dtype=float, na_value=0.0),
        **{
            f"adoption_phase{phase}": (
                first[phase].reindex(units).to_numpy(dtype=float, na_value=np.inf)
                if phase in first
                else np.full(len(units), np.inf)
            )
            for phase in PHASES
        },
        "support_million_krw": money(both),
        "support_national_million_krw": money(national),
    }
