"""The harness of the reported numbers: what counts as covered, what goes on after a stop, and one world through all of it.

The study itself: tests/helpers/reported_recovery.py; its table: tests/recovery/REPORTED.md.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import reported_recovery as reported
from reported_numbers import NUMBERS, Case, Found, Number

from evalkit.errors import RefusalError
from evalkit.interval_set import IntervalSet

TABLE = Path(reported.TABLE)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(7, 1200)


def test_sets_of_two_pieces_cover_outside_the_gap() -> None:
    split = IntervalSet(2.0, ((-np.inf, -1.0), (1.5, np.inf)), 0.95, 0.3, "Fieller")
    assert Found(2.0, 5.0, values=split).covers
    assert not Found(2.0, 0.5, values=split).covers
    assert Found(1.0, 2.0, 0.0, 2.0).covers
    assert not Found(1.0, 2.1, 0.0, 2.0).covers
    assert not Found(1.0, 2.0).covers  # no interval covers nothing


def test_a_refusal_is_a_row_and_a_fault_is_not(case: Case) -> None:
    def refuse(_: Case) -> Found:
        raise RefusalError("비교집단이 없음", remedy="없음")

    row = reported.draw(case, Number("a", "명", refuse), 1)
    assert row == {"seed": 1, "number": "a", "refused": "비교집단이 없음"}
    with pytest.raises(ZeroDivisionError):
        reported.draw(case, Number("a", "명", lambda _: Found(1 / 0, 1.0)), 1)


def test_a_line_of_the_table_by_hand() -> None:
    rows = [
        {"seed": k, "number": "a", "estimate": 1.0 + e, "truth": 1.0, "width": 3.92, "covers": e < 1}
        for k, e in enumerate((-1.0, 0.0, 1.0, 2.0))
    ]
    rows.append({"seed": 9, "number": "a", "refused": "없음"})
    cells = [
        c.strip() for c in reported.line(Number("a", "명", lambda _: Found(0, 0)), rows).split("|")[1:-1]
    ]
    # misses −1, 0, 1, 2: mean 0.5, sd 1.291, its error 0.645; half the worlds covered
    assert cells == ["a", "명", "4", "1.000", "+0.500 (0.645)", "1.291", "1.000", "50.0 (25.0)", "1"]


def test_what_was_drawn_is_not_drawn_again(tmp_path: Path) -> None:
    store = tmp_path / "draws.jsonl"
    store.write_text(json.dumps({"seed": 1, "number": "a", "estimate": 1.0}) + '\n{"seed": 2, "num')
    assert set(reported.done(store)) == {(1, "a")}  # the line that a stop cut off is drawn again
    assert reported.done(tmp_path / "none") == {}


def test_one_world_through_the_quick_numbers_of_phase_1(case: Case) -> None:
    """A truth in the wrong unit, or of other firms, is far from any estimate."""
    far = {}
    for name, asked in NUMBERS.items():
        if asked.late or "3단계" in name:
            continue
        row = reported.draw(case, asked, 7)
        if row.get("covers") is None:  # refused in a world this small, or printed without an interval
            continue
        if not row["covers"] and abs(row["estimate"] - row["truth"]) > row["width"]:
            far[name] = (row["estimate"], row["truth"], row["width"])
    assert not far


def table_rows() -> dict[str, tuple[int, float]]:
    """Number -> (worlds, coverage in %)."""
    found = {}
    for text in TABLE.read_text(encoding="utf-8").splitlines():
        parts = [part.strip() for part in text.split("|")[1:-1]]
        if len(parts) == 9 and parts[2].isdigit() and (m := re.match(r"[\d.]+", parts[7])):
            found[parts[0]] = (int(parts[2]), float(m[0]))
    return found


def test_the_committed_table_says_what_is_registered() -> None:
    rows = table_rows()
    assert rows, "python tests/helpers/reported_recovery.py 200"
    assert set(rows) <= set(NUMBERS)
