"""Claims of relocation (유치 실적) held against what the files show of the same firms.

A programme reports firms that it drew: head offices, branches, laboratories, plants, and agreements (MOU). A claim is counted
only where the firm's own histories show a relocation to the claimed place; everything else is named, an agreement without a
trace as much as an opening that was reported as a move.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evalkit.building.relocations import STATUS, Relocations
from evalkit.errors import DataError
from evalkit.ingest.linking.codes import period_numbers
from evalkit.ingest.linking.stages import require_columns
from evalkit.ingest.regions import sido_short

EVIDENCE: dict[str, str] = {
    **STATUS,
    "elsewhere": "이전했으나 실적에 적힌 시·도가 아님",
    "no_trace": "주소가 바뀐 흔적이 없음",
    "unlinked": "기업이 자료와 연결되지 않음",
}
# where several events of a firm fit a claim, the one that proves most is taken
_RANK = (
    "relocated",
    "censored",
    "unseen",
    "too_short",
    "paper",
    "opening",
    "returned",
    "elsewhere",
    "no_trace",
    "unlinked",
)


def claimed_moves(
    claims: pd.DataFrame,
    moved: Relocations,
    places: pd.DataFrame,
    *,
    firm: str = "firm",
    before: int = 6,
    after: int = 24,
) -> pd.DataFrame:
    """What the files show of each claim.

    Parameters
    ----------
    claims : one row a claim: `firm`, ``region`` (시·군·구 of 2018, or any code whose first two digits are the 시·도's), ``month``
        (date), and ``kind`` as claimed ("head_office", "branch", "laboratory", "plant", "mou")
    moved : events of all histories
    places : `firm` and ``unit``, the histories of each linked firm (`FirmLinks.places` with the unit of each row)
    before, after : months before and after the month claimed in which an event is taken for it

    Returns
    -------
    claims in their order with ``evidence`` (`EVIDENCE`), ``counted`` (evidence is a relocation), ``unit`` (history behind it,
    −1 = none) and ``moved`` (its period)

    Raises
    ------
    SchemaError : a column is missing
    DataError : a claim without region or month
    """
    require_columns([claims], [firm, "region", "month", "kind"], "유치 실적")
    require_columns([places], [firm, "unit"], "기업의 사업장")
    table = claims.reset_index(drop=True)
    empty = table[["region", "month"]].isna().any(axis=1)
    if empty.any():
        raise DataError(
            "유치 실적의 지역이나 연월이 빔",
            where=(f"{int(np.argmax(empty.to_numpy())) + 1}번째 행",),
            remedy="이전지와 연월을 채울 것",
        )
    number = period_numbers(table["month"], "month")
    step = moved.histories.months
    wanted = table[[firm]].assign(
        claim=np.arange(len(table)),
        when=number if step == 1 else number // 12,
        sido=[sido_short(str(code)) for code in table["region"]],
    )
    events = moved.events[["unit", "destination", "moved", "status"]]
    fit = wanted.merge(places[[firm, "unit"]].drop_duplicates(), on=firm).merge(events, on="unit")
    wait = fit["moved"] - fit["when"]
    fit = fit[(wait * step >= -before) & (wait * step <= after)]
    there = [sido_short(str(code)) for code in fit["destination"]]
    fit = fit.assign(evidence=np.where(np.array(there) == fit["sido"].to_numpy(), fit["status"], "elsewhere"))
    fit = fit[(fit["evidence"] != "elsewhere") | (fit["status"] == "relocated")]
    fit = fit.assign(rank=fit["evidence"].map({name: i for i, name in enumerate(_RANK)}))
    best = fit.sort_values(["claim", "rank", "moved", "unit"], kind="stable").drop_duplicates("claim")
    best = best.set_index("claim").reindex(np.arange(len(table)))
    known = table[firm].isin(places[firm]).to_numpy()
    evidence = np.where(known, best["evidence"].fillna("no_trace").to_numpy(dtype=object), "unlinked")
    return table.assign(
        evidence=evidence,
        counted=evidence == "relocated",
        unit=best["unit"].fillna(-1).to_numpy(dtype=np.int64),
        moved=best["moved"].fillna(-1).to_numpy(dtype=np.int64),
    )


def claim_table(found: pd.DataFrame) -> pd.DataFrame:
    """Claims by kind as claimed and by evidence, Korean headers."""
    table = found.groupby(["kind", "evidence"], sort=True).size().reset_index(name="건수")
    order = {name: i for i, name in enumerate(_RANK)}
    table = table.assign(rank=table["evidence"].map(order)).sort_values(["kind", "rank"], ignore_index=True)
    return pd.DataFrame(
        {"유치구분": table["kind"], "자료에서 본 것": table["evidence"].map(EVIDENCE), "건수": table["건수"]}
    )
