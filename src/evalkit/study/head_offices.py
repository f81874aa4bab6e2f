"""Flows of listed head offices between 시·도, without mergers with shell companies, and the counts that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import DataError, nearest
from evalkit.flows import Flows
from evalkit.ingest.regions import CAPITAL
from evalkit.ingest.table import Table
from evalkit.programmes import treatments


def build_head_offices(
    plan: Any, tables: Mapping[str, list[Table]]
) -> tuple[dict[str, Flows], dict[str, Any]]:
    """Flows ``relocation`` (시·도 × 시·도 × year of the snapshot that first shows the change).

    Returns
    -------
    flows by name, and facts: ``head_offices`` with changes, spac (left out), counted, the four directions, the first and last
    snapshot, and moves out of and into the capital region by snapshot

    Raises
    ------
    DataError : an unknown 시·도
    """
    del plan
    frame = pd.concat([table.frame for table in tables["moves"]], ignore_index=True)
    known = sorted({t.province for t in treatments()})
    for column in ("origin", "destination"):
        strange = frame[~frame[column].isin(known)]
        if len(strange):
            word = str(strange[column].iloc[0])
            raise DataError(
                f"모르는 시·도 {word!r}", where=("상장회사 본점 이전",), remedy=nearest(word, known)
            )
    moved = frame[frame["merger"] != "yes"]
    year = moved["snapshot"].astype(str).str[:4].astype(int)
    periods = np.arange(int(year.min()), int(year.max()) + 1)
    counts = np.zeros((len(known), len(known), len(periods)))
    place = {name: k for k, name in enumerate(known)}
    origin, destination = (moved[c].map(place).to_numpy(dtype=int) for c in ("origin", "destination"))
    np.add.at(counts, (origin, destination, year.to_numpy() - periods[0]), 1)
    leaves, comes = moved["origin"].isin(CAPITAL), moved["destination"].isin(CAPITAL)
    out, into = leaves & ~comes, ~leaves & comes
    by_snapshot = {
        str(label): {"out": int(out[part.index].sum()), "into": int(into[part.index].sum())}
        for label, part in moved.groupby("snapshot")
    }
    flows = Flows(np.array(known), np.array(known), periods, counts, {"sido": np.array(known)})
    return {"relocation": flows}, {
        "head_offices": {
            "changes": len(frame),
            "spac": len(frame) - len(moved),
            "counted": len(moved),
            "out_of_capital": int(out.sum()),
            "into_capital": int(into.sum()),
            "within_capital": int((leaves & comes).sum()),
            "outside_capital": int((~leaves & ~comes).sum()),
            "first": str(frame["before"].min()),
            "last": str(frame["snapshot"].max()),
            "capital": list(CAPITAL),
            "by_snapshot": by_snapshot,
        }
    }
