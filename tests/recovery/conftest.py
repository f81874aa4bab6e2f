"""The table of `tests/recovery/ESTIMATORS.md`: written when every recovery case of the estimators has run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import rigour

import recovery

TABLE = Path(__file__).parent / "ESTIMATORS.md"
HEAD = """# Recovery of each estimator

Each estimator in a world that keeps its assumption (유지: bias within four of its Monte Carlo errors, coverage of the 95 %
interval as the test declares) and in worlds that break it (위배: the bias must show). Draw i of a case comes from the generator
seeded with (seed, i). A world that breaks only what an error assumes (one province twice as noisy) stands under 유지 with the coverage
that shows it. Written when all of it passes by

    python3 run.py rigour

"""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the tables when asked to and nothing failed."""
    if os.environ.get("EVALKIT_RIGOUR_TABLE") and not session.testsfailed:
        rigour.PAGE.write_text(rigour.page(), encoding="utf-8")
    if os.environ.get("EVALKIT_RIGOUR_TABLE") and recovery.ROWS and not session.testsfailed:
        rows = sorted(recovery.ROWS, key=lambda row: (row.method, not row.holds, row.world))
        TABLE.write_text(
            HEAD + recovery.HEADER + "\n" + "\n".join(r.line() for r in rows) + "\n", encoding="utf-8"
        )
