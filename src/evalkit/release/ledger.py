"""The list of suppressed and flagged cells of a run, as the output checker signs it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from evalkit.plain_text import clean_text
from evalkit.present.writers.spreadsheets import safe_text

COLUMNS = ("report", "table", "row", "column", "rule", "action", "limit")
SIGNED = ("decision", "checker", "date")


def ledger_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """One row a cell: place, rule, what was done, the rule's threshold; three empty columns for the checker.

    Never the value, nor the number of firms. The same cells give the same text.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow((*COLUMNS, *SIGNED))
    for row in rows:
        writer.writerow(
            [*(safe_text(clean_text(row.get(name, ""))) for name in COLUMNS), *("" for _ in SIGNED)]
        )
    return stream.getvalue()


def totals_of(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """Action -> rule -> number of cells."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        rules = found.setdefault(str(row.get("action", "suppressed")), {})
        rules[str(row["rule"])] = rules.get(str(row["rule"]), 0) + 1
    return {action: dict(sorted(rules.items())) for action, rules in sorted(found.items())}
