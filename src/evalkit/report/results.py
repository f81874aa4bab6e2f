"""The numbers of a page as data: ``results/<job>.json``, which ``evalkit diff`` and other programs read.

Made of what `release` let pass, and of nothing else: no cell stands here that does not stand in a table of the page.
Numbers are rounded to ten significant digits, so that the last bits of a sum do not count as a change. The form is
``results.schema.json`` beside this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SCHEMA = 1
DIGITS = 10
SCHEMA_FILE = Path(__file__).with_name("results.schema.json")
_BETWEEN = " › "


def results_of(payloads: Iterable[Mapping[str, Any]], job: str) -> dict[str, Any]:
    """What a page says in numbers and sentences.

    Parameters
    ----------
    payloads : descriptions of the released outputs, in the order of the page

    Returns
    -------
    schema, job, lang, headlines, tables, figures, texts
    """
    found: dict[str, Any] = {"headlines": [], "tables": [], "figures": [], "texts": []}
    lang = ""
    for payload in payloads:
        kind = payload.get("kind")
        lang = lang or str(payload.get("lang") or "")
        if kind in {"table", "figure"} and payload.get("name") and isinstance(payload.get("table"), Mapping):
            entry = {"name": str(payload["name"]), "title": str(payload.get("title") or "")}
            if kind == "figure":
                entry["alt"] = str(payload.get("alt") or "")
            found[f"{kind}s"].append(entry | _grid(payload["table"]))
        elif kind in {"headline", "cards"}:
            found["headlines"] += [_headline(item) for item in payload.get("items", ())]
        elif kind == "text":
            found["texts"].append({"kind": "text", "text": str(payload.get("markdown") or "")})
        elif kind == "notice":
            found["texts"].append({"kind": "notice", "text": str(payload.get("text") or "")})
    return {"schema": SCHEMA, "job": job, "lang": lang, **found}


def results_bytes(payloads: Iterable[Mapping[str, Any]], job: str) -> bytes:
    """`results_of` as the file holds it: UTF-8, sorted keys, a final newline."""
    text = json.dumps(
        results_of(payloads, job), ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False
    )
    return (text + "\n").encode()


def rounded(value: float) -> float | int | dict[str, int]:
    """A number on ten significant digits; without end as a mark that JSON can hold.

    >>> rounded(2 / 3), rounded(-0.0), rounded(float("-inf"))
    (0.6666666667, 0.0, {'infinite': -1})
    """
    if isinstance(value, bool | int):
        return int(value)
    if not math.isfinite(value):
        return {"infinite": 1 if value > 0 else -1}
    return float(f"{value:.{DIGITS}g}") + 0.0


def _headline(item: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: str(item.get(name) or "") for name in ("label", "value", "sentence")}
    grade = item.get("grade")
    return kept | {"grade": None if grade is None else str(grade)}


def _grid(table: Mapping[str, Any]) -> dict[str, Any]:
    """A released table: columns with keys and units, rows with keys that say which row it is."""
    stub = int(table.get("stub", 1))
    columns = [
        {name: str(column.get(name) or "") for name in ("key", "label", "kind", "unit", "group")}
        for column in table["columns"]
    ]
    roles = list(table.get("roles") or ["body"] * len(table["rows"]))
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    heading = ""
    for row, role in zip(table["rows"], roles, strict=True):
        name = _BETWEEN.join(text for cell in row[: max(stub, 1)] if (text := _text(cell)))
        if role == "heading":
            heading = name
        elif heading:
            name = f"{heading}{_BETWEEN}{name}"
        seen[name] = seen.get(name, 0) + 1
        key = name if seen[name] == 1 else f"{name} #{seen[name]}"
        rows.append({"key": key, "role": role, "cells": [_cell(cell) for cell in row]})
    return {
        "stub": stub,
        "columns": columns,
        "rows": rows,
        "marks": [[int(r), int(c), str(mark)] for r, c, mark in table.get("marks") or ()],
        "notes": [str(note) for note in table.get("notes") or ()],
    }


def _cell(cell: Any) -> Any:
    """A cell as data: null, text, number, [low, high], or one of these with a unit and kind of its own."""
    if isinstance(cell, Mapping) and "value" in cell:
        own = {"kind": str(cell.get("kind") or ""), "unit": str(cell.get("unit") or "")}
        return {"value": _cell(cell["value"]), **own}
    if isinstance(cell, Mapping):
        return {"infinite": int(cell["infinite"])}
    if isinstance(cell, list | tuple):
        return [_cell(part) for part in cell]
    return cell if cell is None or isinstance(cell, str) else rounded(cell)


def _text(cell: Any) -> str:
    if isinstance(cell, Mapping) and "value" in cell:
        cell = cell["value"]
    return "" if cell is None else str(cell).replace("\n", " ")
