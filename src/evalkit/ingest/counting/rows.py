"""The rows of programme workbooks side by side, with their places, their firms and what says that two firms are one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.linking.keys import name_roots, plain_name, split_place
from evalkit.ingest.table import Table

PROJECTS, OUTCOMES, FIRM_YEARS, ATTRACTED = (
    "performance_projects",
    "performance_outcomes",
    "performance_firm_years",
    "performance_attracted",
)
# entity kinds and place kinds of `evalkit.ingest.linking.keys` that say: this number or name is not the firm's own
_PLACES = ("branch", "laboratory", "plant")


def rows_of(tables: Iterable[Table], spec: str) -> pd.DataFrame:
    """The rows of one kind of table, with ``file, sheet, row``, ``firm`` (its hash; a row without one is a firm of its
    own, known by its name where it has one) and ``project``; empty where there is no such table.
    """
    frames = []
    for table in tables:
        if table.spec.name != spec:
            continue
        frame = table.frame.copy()
        place = frame["source_row"] if "source_row" in frame else np.arange(len(frame)) + 1
        frames.append(frame.assign(file=table.file, sheet=table.sheet, row=np.asarray(place, dtype=np.int64)))
    if not frames:
        return pd.DataFrame()
    frame = pd.concat([f.astype(object) for f in frames], ignore_index=True)
    names = frame["firm_name"] if "firm_name" in frame else pd.Series([None] * len(frame), dtype=object)
    firms = frame["firm_id"] if "firm_id" in frame else pd.Series([None] * len(frame), dtype=object)
    frame["firm"] = [
        str(firm) if not _blank(firm) else f"name {name}" if not _blank(name) else f"row {i}"
        for i, (firm, name) in enumerate(zip(firms, names, strict=True))
    ]
    frame["name"] = ["" if _blank(name) else str(name) for name in names]
    frame["phase"] = frame["phase"].astype(int) if "phase" in frame else 0
    frame["project"] = (
        ["" if _blank(p) else str(p) for p in frame["project_id"]] if "project_id" in frame else ""
    )
    frame["year"] = _years(frame)
    return frame


def _blank(value: Any) -> bool:
    return value is None or value is pd.NA or value != value or not str(value).strip()


def _years(frame: pd.DataFrame) -> NDArray[np.int64]:
    """The year of a result, 0 where the sheet has none."""
    if "year" not in frame:
        return np.zeros(len(frame), dtype=np.int64)
    return np.nan_to_num(numbers(frame, "year")).astype(np.int64)


def numbers(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as numbers, NaN = missing  # (n,)"""
    return pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def masked_firm(firm: str) -> str:
    """A firm without its name: the first six signs of its hash, enough to find it again in the same data."""
    if firm.startswith("name "):
        return f"번호 없음 ({masked_name(firm.removeprefix('name '))})"
    return "번호 없음" if firm.startswith("row ") else firm[:6]


def masked_name(name: str) -> str:
    """The first letter of a name without its legal form, and its length: enough to find the row, not to name the firm.

    >>> masked_name("(주)한빛소재")
    '한○○○'
    """
    bare = plain_name(name) or name
    return bare[:1] + "○" * (len(bare) - 1)


def branch_groups(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Firms whose names have one root and whose numbers differ.

    Returns
    -------
    DataFrame ``firm, group, strong, head``: firms of a group share a root; strong where one of them says itself to be a
    branch, laboratory or plant (by its name, or by the digits of its number), for two firms may also bear one name;
    ``head`` is the firm taken for all: the one that does not say so (the smallest hash of several)
    """
    columns = ["firm", "group", "strong", "head"]
    seen = pd.concat([_named(frame) for frame in frames if len(frame)] or [pd.DataFrame()], ignore_index=True)
    if seen.empty:
        return pd.DataFrame(columns=columns)
    seen["root"] = name_roots(seen["name"])
    seen = seen[seen["root"].notna()].groupby(["root", "firm"], sort=True)["placed"].any().reset_index()
    seen = seen[seen.duplicated("root", keep=False)]
    out = []
    for root, part in seen.groupby("root", sort=True):
        own = part.loc[~part["placed"], "firm"]
        head = str((own if len(own) else part["firm"]).min())
        strong = bool(part["placed"].any())
        out += [(str(firm), str(root), strong, head) for firm in part["firm"]]
    return pd.DataFrame(out, columns=columns).drop_duplicates("firm", ignore_index=True)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Firms with a number and a name, and whether the row says that it is a place of another firm."""
    known = frame[(frame["name"] != "") & ~frame["firm"].str.startswith(("name ", "row "))]
    if known.empty:
        return pd.DataFrame()
    kinds = [split_place(name)[1] for name in known["name"]]
    placed = np.isin(kinds, _PLACES)
    if "place_kind" in known:
        placed = placed | known["place_kind"].isin(_PLACES).to_numpy()
    return pd.DataFrame(
        {"firm": known["firm"].to_numpy(), "name": known["name"].to_numpy(), "placed": placed}
    )


def merged_firms(frame: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """The rows with the head of each strong group for all its firms."""
    if frame.empty or groups.empty:
        return frame
    strong = groups[groups["strong"].astype(bool)]
    head = dict(zip(strong["firm"], strong["head"], strict=True))
    return frame.assign(firm=[head.get(firm, firm) for firm in frame["firm"]])
