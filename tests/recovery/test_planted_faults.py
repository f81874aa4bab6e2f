"""How many planted faults the data audit finds, and how often it cries on clean panels: the table of docs/data_audit.md.

Every panel is drawn by the generator seeded with (SEED, fault, kind of panel, number); thresholds were set on other seeds.

    EVALKIT_AUDIT_TABLE=1 pytest -m slow tests/recovery/test_planted_faults.py

writes the kept rows and the page; tests/unit/test_data_audit_page.py holds the page to the rows.
"""

from __future__ import annotations

import os

import audit_table
import planted_faults
import pytest

pytestmark = pytest.mark.slow

CASES = [(fault, kind) for fault, (_, kinds, _) in planted_faults.FAULTS.items() for kind in kinds]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    found = audit_table.measure(CASES)
    if os.environ.get("EVALKIT_AUDIT_TABLE"):
        audit_table.keep(found)
    return found


def test_faults_that_can_be_told_are_found(rows) -> None:
    planted = [row for row in rows if row["kind"] != "clean"]
    told = sum(row["found"] for row in planted)
    able = sum(row["identifiable"] for row in planted)
    assert able > 1500
    assert told / able >= audit_table.RECALL
    for row in planted:
        assert audit_table.holds(row), row


def test_clean_panels_are_let_pass(rows) -> None:
    for row in rows:
        if row["kind"] == "clean":
            assert row["panels"] >= 200
            assert row["with_fault"] <= audit_table.FALSE_FAULTS * row["panels"], row
