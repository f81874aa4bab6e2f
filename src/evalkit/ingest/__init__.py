"""Messy Korean files to validated tables."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.ingest.reading import read_table
    from evalkit.ingest.sources import READERS, SPECS, read_source
    from evalkit.ingest.table import ColumnSpec, FlowStep, Repair, Table, TableSpec

_HOMES = {
    "READERS": "sources",
    "SPECS": "sources",
    "ColumnSpec": "table",
    "FlowStep": "table",
    "Repair": "table",
    "Table": "table",
    "TableSpec": "table",
    "read_source": "sources",
    "read_table": "reading",
}

__all__ = [
    "READERS",
    "SPECS",
    "ColumnSpec",
    "FlowStep",
    "Repair",
    "Table",
    "TableSpec",
    "read_source",
    "read_table",
]


def __getattr__(name: str) -> Any:
    """Load a reader when it is asked for: what a plan reads can be listed without pandas."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
