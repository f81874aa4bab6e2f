"""What was read, as plain values that a page can show and a test can count."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from evalkit.ingest.audit import TITLES, Finding, audit_tables
from evalkit.ingest.table import Repair, Table
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
        "flow": [
            {"reason": s.reason, "rows": int(s.rows), "example": left_out(s.example)} for s in table.flow
        ],
        "repairs": [describe_repair(r) for r in table.repairs],
    }


def describe_findings(
    tables: Mapping[str, Sequence[Table]], today: dt.date | None = None
) -> list[dict[str, Any]]:
    """What the audit found in each kind of table, its files looked at as one; values and names of firms stay inside.

    `today` is the day after which dates lie ahead; None = the computer's.
    """
    found = []
    for source, group in tables.items():
        for name in dict.fromkeys(table.spec.name for table in group):
            same = [table for table in group if table.spec.name == name]
            about = {"source": source, "title": same[0].spec.title, "sheet": same[0].sheet}
            found += [{**about, **describe_finding(finding)} for finding in audit_tables(same, today=today)]
    return found


def describe_finding(finding: Finding) -> dict[str, Any]:
    """One finding as plain values; the check stands with its Korean title."""
    plain = asdict(finding)
    plain["rows"] = list(plain["rows"])
    plain["title_of_check"] = TITLES[finding.check]
    plain["score"] = float(round(finding.score, 3))
    return plain


def describe_repair(repair: Repair) -> dict[str, Any]:
    """One repair without the firm's own value."""
    return {
        "sheet": repair.sheet,
        "row": int(repair.row),
        "column": re.sub(r" > .*\d{2,4}.*$", " > (연도별)", repair.column),
        "kind": repair.kind,
        "before": shape_of(repair.before, repair.kind),
        "after": shape_of(repair.after, repair.kind),
        "count": int(repair.count),
    }


def left_out(example: str) -> str:
    """A row that was left out, with its place and words but without its numbers.

    >>> left_out("23행: 부산 소계 8,592,858 3,671,429")
    '23행: 부산 소계 …'
    """
    place, colon, words = example.partition(":")
    if not colon:
        return re.sub(r"[\d,.]*\d{2,}[\d,.]*", "…", example) if "행" not in example else example
    kept = [word for word in words.split() if not re.fullmatch(r"[\d,.−-]+", word)]
    return f"{place}: {' '.join(kept)}{' …' if len(kept) < len(words.split()) else ''}"


def shape_of(example: str, kind: str) -> str:
    """The form of an example without a firm's own value: digits become #, an address ends at its 시군구.

    >>> shape_of("33,361", "천 단위 쉼표 뺌"), shape_of("강원도 평창군 참빛로 14", "주소에서 지역 코드를 정함")
    ('##,###', '강원도 평창군 …')
    """
    if "날짜" in kind:
        return example
    if example == "0" or (re.search("지역|주소", kind) and re.fullmatch(r"\d{5}", example)):
        return example
    if "주소" in kind:
        words = [re.sub(r"\d", "#", word) for word in example.split()]
        return f"{' '.join(words[:2])} …" if len(words) > 2 else " ".join(words)
    return re.sub(r"\d", "#", example)


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
