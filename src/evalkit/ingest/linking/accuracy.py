"""Accuracy of links where the truth is known: precision and recall of successive rows of a history, by stage."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError
from evalkit.ingest.linking.links import Links


def link_accuracy(links: Links, truth: ArrayLike) -> pd.DataFrame:
    """Precision and recall of links between successive rows of a history.

    A link joins two successive sightings of one history. It is right where both are truly of one workplace; a true link,
    between successive sightings of a workplace, is found where it is among them.

    Parameters
    ----------
    truth : which workplace each row truly is, any labels, never missing  # (n,)

    Returns
    -------
    DataFrame by stage and in all ("all"): links, right, precision; the row "all" also true_links, found and recall
    (`recall_by_change` tells them by what truly changed)
    """
    before, own = _before(links.unit, links), _before(_codes(truth, len(links.unit)), links)
    truth_codes = _codes(truth, len(links.unit))
    made = np.flatnonzero(before >= 0)
    right = truth_codes[before[made]] == truth_codes[made]
    found = int((own[made] == before[made]).sum())
    rows = []
    for number, stage in enumerate(links.stages):
        of_stage = links.stage[made] == number
        rows.append((stage.name, int(of_stage.sum()), int((right & of_stage).sum())))
    rows.append(("all", len(made), int(right.sum())))
    table = pd.DataFrame(rows, columns=["stage", "links", "right"]).set_index("stage")
    table["precision"] = table["right"] / table["links"].where(table["links"] > 0)
    true = int((own >= 0).sum())
    table["true_links"] = pd.Series({"all": float(true)})
    table["found"] = pd.Series({"all": float(found)})
    table["recall"] = table["found"] / table["true_links"]
    return table


def recall_by_change(links: Links, truth: ArrayLike, change: ArrayLike) -> pd.DataFrame:
    """Share of true links found, by what changed between the two rows.

    Parameters
    ----------
    truth : which workplace each row truly is  # (n,)
    change : label of what truly changed since the row before of the same workplace; read where there is one  # (n,)
    """
    before, own = _before(links.unit, links), _before(_codes(truth, len(links.unit)), links)
    later = own >= 0
    frame = pd.DataFrame(
        {
            "change": np.asarray(change)[later],
            "found": before[later] == own[later],
            "ambiguous": ~links.certain[later] & (before[later] != own[later]),
        }
    )
    table = frame.groupby("change").agg(
        true_links=("found", "size"), found=("found", "sum"), ambiguous=("ambiguous", "sum")
    )
    table["recall"] = table["found"] / table["true_links"]
    return table


def _codes(truth: ArrayLike, rows: int) -> NDArray[np.int64]:
    codes, _ = pd.factorize(np.asarray(truth))
    if len(codes) != rows or (codes < 0).any():
        raise DataError(
            f"참값의 길이 {len(codes)} 이(가) 행 수 {rows} 와 다르거나 빈 값이 있음",
            remedy="행마다 참값을 하나씩 줄 것",
        )
    return codes.astype(np.int64)


def _before(unit: NDArray[np.int64], links: Links) -> NDArray[np.int64]:
    """The sighting before each sighting of a history, −1 where it is the first  # (n,)

    Rows of one history in one file (a bundle) have none: who followed whom is not said.
    """
    live = np.flatnonzero(links.live)
    order = live[np.lexsort((links.period[live], unit[live]))]
    u, p = unit[order], links.period[order]
    before = np.full(len(unit), -1, dtype=np.int64)
    same = u[1:] == u[:-1]
    before[order[1:][same]] = order[:-1][same]
    bundled = np.zeros(int(unit.max()) + 1, dtype=bool)
    bundled[u[1:][same & (p[1:] == p[:-1])]] = True
    before[bundled[unit]] = -1
    return before
