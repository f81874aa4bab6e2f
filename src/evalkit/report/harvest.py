"""Files beside a page: tables as CSV and Excel, figures as SVG, the numbers as JSON, the executed notebook without what
varies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalkit.report.guard import PAYLOAD, Shown, masked, scrubbed
from evalkit.report.results import results_bytes
from evalkit.report.source import KERNELSPEC, serialised, tags_of, text_of

_NAME = re.compile(r"[^A-Za-z0-9_\-가-힣]+")
_KEPT_TAGS = {"parameters", "injected-parameters"}


@dataclass(slots=True)
class Harvest:
    """What a page left: files (relative path → bytes), the headline, suppressed cells."""

    files: dict[str, bytes] = field(default_factory=dict)
    headline: str = ""
    suppressed: list[dict[str, str]] = field(default_factory=list)


def harvest(released: Iterable[Shown], job: str) -> Harvest:
    """Collect what released outputs describe."""
    found = Harvest()
    released = tuple(released)
    found.files[f"results/{job}.json"] = results_bytes((shown.payload for shown in released), job)
    for shown in released:
        payload = shown.payload
        kind = payload.get("kind")
        name = _NAME.sub("_", str(payload.get("name") or "")).strip("_")
        stem = f"{job}__{name}"
        if kind in {"table", "figure"} and name:
            place = "tables" if kind == "table" else "figures"
            if isinstance(payload.get("csv"), str):
                found.files[f"{place}/{stem}.csv"] = str(payload["csv"]).lstrip("\ufeff").encode("utf-8-sig")
            if kind == "table" and payload.get("table"):
                found.files[f"{place}/{stem}.xlsx"] = _workbook(payload["table"])
            if payload.get("svg"):
                found.files[f"{place}/{stem}.svg"] = str(payload["svg"]).encode()
        elif kind in {"headline", "cards"} and not found.headline:
            found.headline = " ".join(str(item.get("sentence", "")) for item in payload.get("items", ()))
        elif kind == "text" and payload.get("headline") and not found.headline:
            found.headline = str(payload["headline"])
        for row in payload.get("disclosure", ()):
            found.suppressed.append({"report": job, **{str(k): str(v) for k, v in row.items()}})
    return found


def _workbook(model: Mapping[str, Any]) -> bytes:
    """Excel file of a released table."""
    from evalkit.present.tabulation import Tabulation
    from evalkit.present.writers.spreadsheets import xlsx_bytes

    table = Tabulation.from_json(model)
    return xlsx_bytes([table], title=table.title, lang=table.lang)


def kept_notebook(nb: Any, folders: Iterable[Path] = (), *, stopped: int | None = None) -> str:
    """The executed notebook to keep: no times, no counters of papermill, no folders, no literal of an error.

    Parameters
    ----------
    stopped : the cell that failed; its source and what follows are left out
    """
    folders = tuple(folders)
    cells = []
    for index, cell in enumerate(nb["cells"]):
        if stopped is not None and index > stopped:
            break
        clean: dict[str, Any] = {
            "cell_type": cell["cell_type"],
            "id": cell.get("id", ""),
            "metadata": {"tags": tags} if (tags := tags_of(cell)) else {},
            "source": [] if index == stopped else text_of(cell).splitlines(keepends=True),
        }
        if cell["cell_type"] == "code":
            clean["execution_count"] = cell.get("execution_count")
            outputs = cell.get("outputs", ())
            if index == stopped:  # what it printed may hold what made it fail
                outputs = [output for output in outputs if output["output_type"] != "stream"]
            clean["outputs"] = [_kept_output(output, folders) for output in outputs]
        cells.append(clean)
    metadata = {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    return serialised({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _kept_output(output: Mapping[str, Any], folders: tuple[Path, ...]) -> dict[str, Any]:
    kept = deepcopy(dict(output))
    if kept["output_type"] == "stream":
        kept["text"] = masked(scrubbed(text_of({"source": kept.get("text", "")}), folders))
    elif kept["output_type"] == "error":
        kept |= {"ename": "Exception", "evalue": "", "traceback": []}
    else:
        kept["metadata"] = {k: v for k, v in kept.get("metadata", {}).items() if k == "evalkit"}
        payload = kept.get("data", {}).get(PAYLOAD)
        if isinstance(payload, dict) and isinstance(payload.get("table"), dict):
            payload["table"].pop("counts", None)  # firms behind a suppressed cell are no reader's business
    return kept
