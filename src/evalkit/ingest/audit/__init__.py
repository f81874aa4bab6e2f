"""Faults in data: found, shown by their rows, and answered with a rule; nothing is repaired here."""

from __future__ import annotations

from evalkit.ingest.audit.files import audit_file
from evalkit.ingest.audit.finding import SEVERITIES, SEVERITY_WORDS, SHOWN, Finding, Row
from evalkit.ingest.audit.frames import audit_frame
from evalkit.ingest.audit.listing import place_words, write_findings
from evalkit.ingest.audit.tables import audit_table, audit_tables
from evalkit.ingest.audit.words import TITLES

__all__ = [
    "SEVERITIES",
    "SEVERITY_WORDS",
    "SHOWN",
    "TITLES",
    "Finding",
    "Row",
    "audit_file",
    "audit_frame",
    "audit_table",
    "audit_tables",
    "place_words",
    "write_findings",
]
