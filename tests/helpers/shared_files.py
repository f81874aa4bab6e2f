"""Where the reference numbers and real files lie that are never committed; tests that need them skip where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"
GOLDEN = SHARED / "golden"
REAL = SHARED / "data"

needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the reference numbers are not here")
needs_facts = pytest.mark.skipif(not (SHARED / "facts").is_dir(), reason="the fact tables are not here")
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
