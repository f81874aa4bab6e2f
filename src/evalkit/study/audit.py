"""What was read, as plain values that a page can show and a test can count."""

from __future__ import annotations

from typing import Any

import numpy as np

from evalkit.ingest.table import Table
from evalkit.panel import Panel


def describe_table(source: str, table: Table) -> dict[str, Any]:
    """One table: where it came from, its row flow and its repairs (identifiers are masked by the reader)."""
    return {
        "source": source,
        "spec": table.spec.name,
        "title": table.spec.title,
        "file": table.file,
        "sheet": table.sheet,
        "sha256": table.sha256,
        "rows": len(table.frame),
        "flow": [{"reason": s.reason, "rows": int(s.rows), "example": s.example} for s in table.flow],
        "repairs": [
            {
                "sheet": r.sheet,
                "row": int(r.row),
                "column": r.column,
                "kind": r.kind,
                "before": r.before,
                "after": r.after,
                "count": int(r.count),
            }
            for r in table.repairs
        ],
    }


def describe_panel(panel: Panel) -> dict[str, Any]:
    """Size of a panel and how many units each variable has in each period."""
    return {
        "units": len(panel.units),
        "periods": [int(p) for p in panel.periods],
        "observed": {
            name: [int(n) for n in np.isfinite(values).sum(axis=0)]
            for name, values in sorted(panel.varying.items())
        },
        "row": str(panel.notes.get("row", "")),
    }
