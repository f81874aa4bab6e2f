"""Claims of relocation against histories made by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from evalkit.building.claimed_moves import _RANK, EVIDENCE, claim_table, claimed_moves
from evalkit.building.relocations import relocations
from evalkit.building.workplaces import workplace_histories
from evalkit.errors import DataError, SchemaError

START = pd.Timestamp("2019-01-01")


def rows(unit: int, months: range, region: str = "11110", members: float = 5, firm: str = "") -> pd.DataFrame:
    frame = pd.DataFrame({"month": [START + pd.DateOffset(months=m) for m in months]})
    return frame.assign(
        unit=unit, region=region, members=float(members), firm=firm or f"f{unit}", place_kind="unknown"
    )


def found(*claims: dict[str, Any]) -> pd.DataFrame:
    frame = pd.concat(
        [
            rows(0, range(36), "50110"),
            rows(1, range(6)), rows(1, range(6, 36), "26110"),  # moved to 부산
            rows(2, range(36)),  # stayed: an agreement
            rows(3, range(6)), rows(3, range(6, 36), "26110", 0),  # an address on paper
            rows(4, range(36)), rows(5, range(8, 36), "26110", firm="f4"),  # a further workplace
            rows(6, range(30)), rows(6, range(30, 36), "26110"),  # too early to tell
            rows(7, range(6)), rows(7, range(6, 36), "27110"),  # moved, but to 대구
            rows(8, range(6)), rows(8, range(10, 36), "26110"),  # away between
        ],
        ignore_index=True,
    )  # fmt: skip
    moved = relocations(workplace_histories(frame, frame["unit"], firm="firm"))
    places = frame[["firm", "unit"]].drop_duplicates()
    told = [
        {"region": "26", "month": START + pd.DateOffset(months=6), "kind": "head_office", **c} for c in claims
    ]
    return claimed_moves(pd.DataFrame(told), moved, places)


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ({"firm": "f1"}, "relocated"),
        ({"firm": "f1", "month": START + pd.DateOffset(months=12)}, "relocated"),
        (
            {"firm": "f1", "month": START + pd.DateOffset(months=13)},
            "no_trace",
        ),  # seven months before the claim
        ({"firm": "f1", "region": "27110"}, "elsewhere"),
        ({"firm": "f2", "kind": "mou"}, "no_trace"),
        ({"firm": "f3"}, "paper"),
        ({"firm": "f4", "kind": "branch"}, "opening"),
        ({"firm": "f6", "month": START + pd.DateOffset(months=30)}, "censored"),
        ({"firm": "f7"}, "elsewhere"),
        ({"firm": "f8"}, "unseen"),
        ({"firm": "f1", "month": START - pd.DateOffset(months=18)}, "relocated"),  # 24 months after the claim
        ({"firm": "f1", "month": START - pd.DateOffset(months=19)}, "no_trace"),
        ({"firm": "nobody"}, "unlinked"),
    ],
)
def test_what_the_files_show_of_a_claim(claim: dict[str, Any], evidence: str) -> None:
    row = found(claim).iloc[0]
    assert row["evidence"] == evidence
    assert row["counted"] == (evidence == "relocated")
    assert (row["unit"] >= 0) == (evidence not in ("no_trace", "unlinked"))


def test_every_evidence_has_its_rank_and_its_words() -> None:
    assert set(EVIDENCE) == set(_RANK)


def test_claims_keep_their_order_and_are_counted_by_kind() -> None:
    table = found(
        {"firm": "f2", "kind": "mou"}, {"firm": "f1"}, {"firm": "f2"}, {"firm": "f1", "kind": "mou"}
    )
    assert table["firm"].tolist() == ["f2", "f1", "f2", "f1"]
    assert table["counted"].tolist() == [False, True, False, True]
    shown = claim_table(table)
    assert shown["건수"].sum() == 4
    assert shown["자료에서 본 것"].tolist() == ["이전", "주소가 바뀐 흔적이 없음"] * 2


def test_bad_input_is_told() -> None:
    with pytest.raises(DataError, match="지역이나 연월이 빔"):
        found({"firm": "f1", "region": None})
    frame = rows(1, range(3))
    moved = relocations(workplace_histories(frame, frame["unit"]))
    with pytest.raises(SchemaError, match="kind"):
        claimed_moves(pd.DataFrame({"firm": ["f1"], "region": "26", "month": START}), moved, frame)
