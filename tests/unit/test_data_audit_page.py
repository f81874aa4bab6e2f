"""docs/data_audit.md is what the kept rows say, every planted fault is there, and what it claims holds."""

from __future__ import annotations

import audit_table
import planted_faults
import pytest


def test_the_page_is_written_from_the_rows() -> None:
    command = "EVALKIT_AUDIT_TABLE=1 python3 run.py rigour -k planted_faults"
    assert audit_table.PAGE.read_text(encoding="utf-8") == audit_table.page(), f"run: {command}"
    assert command in audit_table.page()


def test_every_fault_has_its_rows() -> None:
    cases = {(row["fault"], row["kind"]) for row in audit_table.kept() if row["kind"] != "clean"}
    assert cases == {
        (fault, kind) for fault, (_, kinds, _) in planted_faults.FAULTS.items() for kind in kinds
    }


def test_the_claims_hold_on_enough_panels() -> None:
    rows = audit_table.kept()
    planted = [row for row in rows if row["kind"] != "clean"]
    clean = [row for row in rows if row["kind"] == "clean"]
    assert sum(row["panels"] for row in planted) >= 200
    assert sum(row["panels"] for row in clean) >= 200
    assert all(audit_table.holds(row) for row in planted)
    able, found = (sum(row[key] for row in planted) for key in ("identifiable", "found"))
    assert found / able >= audit_table.RECALL
    assert all(row["with_fault"] <= audit_table.FALSE_FAULTS * row["panels"] for row in clean)


def test_a_row_below_its_claim_is_seen() -> None:
    assert audit_table.holds({"identifiable": 50, "found": 46})
    assert not audit_table.holds({"identifiable": 50, "found": 40})
    assert audit_table.holds({"identifiable": 0, "found": 0})


@pytest.mark.parametrize("kind", list(audit_table.KINDS))
def test_a_panel_can_be_drawn_again(kind: str) -> None:
    one, two = (planted_faults.corrupted(audit_table._seeded(1, 2), kind, "doubled") for _ in range(2))
    assert one[0].frame.equals(two[0].frame)
    assert one[2] == two[2]
    assert any(planted_faults.tells(finding, one[1]) for finding in one[2])
