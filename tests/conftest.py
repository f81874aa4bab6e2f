"""What every test run has: the share of the code that it covered, above pytest's closing line."""

from __future__ import annotations

import io

import coverage
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings inside other packages are theirs, not failures of ours."""
    for item in items:
        if item.get_closest_marker("peer"):
            item.add_marker(pytest.mark.filterwarnings("ignore"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Under `coverage run` (python3 run.py test) print the total; elsewhere nothing."""
    measuring = coverage.Coverage.current()
    if measuring is None:
        return
    measuring.stop()
    measuring.save()
    try:
        total = measuring.report(file=io.StringIO())
    except coverage.CoverageException as error:
        terminalreporter.write_line(f"coverage: {error}")
        return
    terminalreporter.write_line(
        f"coverage: {total:.1f} % of statements and branches (table: coverage report)"
    )
