"""Workbooks of any layout: a mapping file says which header is which declared column; `guess` proposes one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.ingest.workbook.guessing import guess
    from evalkit.ingest.workbook.mapped import read_mapped

_HOMES = {"guess": "guessing", "read_mapped": "mapped"}

__all__ = ["guess", "read_mapped"]


def __getattr__(name: str) -> Any:
    """Loaded when asked for: which mapping file is for a workbook is told without pandas."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
