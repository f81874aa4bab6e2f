"""Messy Korean files to validated tables."""

from __future__ import annotations

from evalkit.ingest.reading import read_table
from evalkit.ingest.sources import READERS, SPECS, read_source
from evalkit.ingest.table import ColumnSpec, FlowStep, Repair, Table, TableSpec

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
