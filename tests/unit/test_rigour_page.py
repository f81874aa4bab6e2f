"""docs/rigour.md is what the kept rows say, every study is there, and every claim on it holds."""

from __future__ import annotations

import json

import pytest
import rigour


def test_the_page_is_written_from_the_rows() -> None:
    assert rigour.PAGE.read_text(encoding="utf-8") == rigour.page(), "run: python3 run.py rigour"


def test_every_study_has_rows() -> None:
    assert {path.stem for path in rigour.KEPT.glob("*.json")} == set(rigour.TITLES)


@pytest.mark.parametrize("study", sorted(rigour.TITLES))
def test_rows_rest_on_enough_draws_and_keep_their_claims(study: str) -> None:
    held = json.loads((rigour.KEPT / f"{study}.json").read_text(encoding="utf-8"))
    rows = [row for world in held.values() for row in world]
    assert rows
    for row in rows:
        assert row["replications"] >= rigour.REPLICATIONS, row
        assert row["claim"] is None or row["claim"][0] <= row["value"] <= row["claim"][1], row


def test_a_claim_that_does_not_hold_is_refused() -> None:
    row = rigour.Row("M0", "w", "m", "rejection", 9.0, 0.5, 2000, 0, 1, (3.0, 7.0))
    with pytest.raises(AssertionError, match="outside"):
        rigour.judge({("m", "rejection"): row})
