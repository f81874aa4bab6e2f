"""A second measure of jobs: 국민연금 members of each firm, linked by name, six digits, place and date; and what is in doubt.

Two neighbours with the same name and digits are one bundle of workplaces to a file that carries six digits only. Their
members stand with them in the order of size; which is whose is unknown, and drawn again and again when the estimate is
looked at (`second_source`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.linking.firms import FirmLinks, link_firms
from evalkit.ingest.linking.report import report_firms
from evalkit.ingest.table import Table

MEMBERS, STATUS, RIVALS = "pension_members", "pension_link", "pension_rivals"
OTHERS = f"{MEMBERS}_next"  # of rivals: what else could be theirs


def pension_members(
    insured: list[Table], pension: list[Table], units: NDArray[np.str_], years: NDArray[np.int64]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], dict[str, Any]]:
    """Members of each firm in each year from files that know six digits of its number.

    A firm that was linked and does not stand in a later file counts nobody there only when it is gone from the insurance
    files too, which the caller knows; here it is missing, because small firms are not published.

    Parameters
    ----------
    insured, pension : the year-end files (whole numbers) and the pension files
    units, years : of the panel  # (N,), (T,)

    Returns
    -------
    varying (``pension_members``, ``pension_members_next`` (N, T)), fixed (``pension_link``, ``pension_rivals`` (N,)) and the report as plain values
    """
    firms = pd.concat([table.frame for table in insured], ignore_index=True)
    places = _standing(pd.concat([table.frame for table in pension], ignore_index=True))
    links = link_firms(firms, places, unit="firm_id")
    report = report_firms(links, firms, places, unit="firm_id", by=("year",), most=50)
    at = pd.Index(units)
    year = places["month"].dt.year.to_numpy(dtype=np.int64)
    members = places["members"].to_numpy(dtype=np.float64)
    wide = np.full((len(units), len(years)), np.nan)
    own = links.places
    _add(
        wide, at.get_indexer(pd.Index(own["unit"].astype(str))), year[own["row"]], members[own["row"]], years
    )
    group, others = _in_order_of_size(wide, links, at, year, members, years)
    status = links.firms["status"].reindex(units).fillna("unlinked").to_numpy(dtype=str)
    facts = {
        "linked": report.linked,
        "ambiguous": report.ambiguous,
        "unlinked": report.unlinked,
        "stages": [
            {"stage": str(row["단계"]), "linked": int(row["연결"])}
            for row in report.by_stage.to_dict("records")
        ],
        "years": [
            {
                "year": int(float(row["값"])),
                "linked": int(row["연결"]),
                "ambiguous": int(row["모호"]),
                "unlinked": int(row["미연결"]),
            }
            for row in report.by_group.to_dict("records")
        ],
        "groups": len(np.unique(group[group >= 0])),
    }
    return {MEMBERS: wide, OTHERS: others}, {STATUS: status, RIVALS: group.astype(np.float64)}, facts


def _standing(places: pd.DataFrame) -> pd.DataFrame:
    """Workplaces that are in the scheme in the last month of each year's files.

    A workplace that has left (탈퇴) still stands in the file of that month with its last members; and a firm must not be
    counted once a month.
    """
    month = places["month"].dt.to_period("M")
    last = month.groupby(month.dt.year).max()
    kept = month == month.dt.year.map(last)
    if "status" in places.columns:
        kept &= places["status"].fillna("joined").astype(str) != "left"
    standing: pd.DataFrame = places[kept].reset_index(drop=True)
    return standing


def _add(
    wide: NDArray[np.float64],
    unit: NDArray[np.int64],
    year: NDArray[np.int64],
    members: NDArray[np.float64],
    years: NDArray[np.int64],
) -> None:
    """Members of all workplaces of a firm in a year, in place."""
    column = np.searchsorted(years, year)
    known = (unit >= 0) & (column < len(years)) & np.isin(year, years)
    total = np.zeros_like(wide)
    seen = np.zeros(wide.shape, dtype=bool)
    np.add.at(total, (unit[known], column[known]), members[known])
    seen[unit[known], column[known]] = True
    wide[seen] = total[seen]


def _in_order_of_size(
    wide: NDArray[np.float64],
    links: FirmLinks,
    at: pd.Index,
    year: NDArray[np.int64],
    members: NDArray[np.float64],
    years: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give rivals the rows in doubt, the largest to the first, in place.

    Returns
    -------
    the group of each unit, −1 beyond doubt  # (N,)
    what is left where more rows than rivals are in doubt, in the same order  # (N, T)
    """
    group = np.full(len(at), -1, dtype=np.int64)
    others = np.full_like(wide, np.nan)
    for number, part in links.doubts.groupby("group", sort=True):
        rivals = np.unique(at.get_indexer(pd.Index(part["unit"].astype(str))))
        rivals = rivals[rivals >= 0]
        group[rivals] = int(str(number))
        rows = np.unique(part["row"].to_numpy(dtype=np.int64))
        for column, when in enumerate(years):
            found = members[rows[year[rows] == when]]
            size = np.sort(found[np.isfinite(found)])[::-1]
            first, rest = size[: len(rivals)], size[len(rivals) : 2 * len(rivals)]
            wide[rivals[: len(first)], column] = first
            others[rivals[: len(rest)], column] = rest
    return group, others
