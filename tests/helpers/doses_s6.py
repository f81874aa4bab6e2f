"""The S6 panel and what R computed on it, carried in tests/reference/doses_S6.json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from evalkit.panel import Panel

CARRIED = Path(__file__).resolve().parents[1] / "reference" / "doses_S6.json"


@cache
def carried() -> dict[str, Any]:
    """The file as read."""
    return json.loads(CARRIED.read_text(encoding="utf-8"))


def panel_of_s6() -> Panel:
    """240 units, 2010-2015, tiers 0-3 from 2013, a dose for tiers 1-3."""
    data = carried()["data"]
    tier = np.array(data["tier"])
    return Panel(
        np.array(data["units"]),
        np.array(data["periods"]),
        {"y": np.array(data["y"])},
        {
            "adoption": np.where(tier > 0, 2013.0, np.inf),
            "tier": tier,
            "dose": np.array(data["dose"]),
            "region": np.array(data["region"]),
        },
    )


def case(name: str) -> dict[str, Any]:
    """The result of one case."""
    return next(c["result"] for c in carried()["cases"] if c["id"] == name)
