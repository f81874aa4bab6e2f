"""What an audit leaves: findings, each with the rows to look at and the rule that it suggests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["fault", "suspicion", "hint"]
SEVERITIES: tuple[Severity, ...] = ("fault", "suspicion", "hint")
SEVERITY_WORDS: dict[Severity, str] = {"fault": "오류", "suspicion": "의심", "hint": "참고"}

SHOWN = 20
"""Rows that a finding shows: enough to open the file and see the pattern; all of them are counted."""


@dataclass(frozen=True, slots=True)
class Row:
    """One cell to look at.

    Attributes
    ----------
    source_row : the row number that Excel shows; 0 where the finding is about the whole column
    unit, period, variable : as the file writes them; the unit of a firm table is masked
    value, expected : what stands there and what its neighbours make one expect; None in firm tables
    file : name of the file where several were audited as one
    """

    source_row: int
    unit: str = ""
    period: str = ""
    variable: str = ""
    value: float | str | None = None
    expected: float | str | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    check : code of the check, such as "swapped"
    severity : "fault" (the numbers are wrong), "suspicion" (they may be, or are not comparable), "hint" (worth knowing)
    sentence : one Korean sentence
    rows : at most `SHOWN` cells to look at
    total : how many cells the finding concerns
    rule : what to write in the plan or mapping, or what to do with the rows
    score : how sure the check is, 0–1
    variable : the column concerned; empty where it is the rows themselves
    """

    check: str
    severity: Severity
    sentence: str
    rows: tuple[Row, ...]
    total: int
    rule: str
    score: float
    variable: str = ""

    @property
    def severity_words(self) -> str:
        """The severity in Korean."""
        return SEVERITY_WORDS[self.severity]


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Faults first, then suspicions, then hints; the surest first, and among equals as they were found."""
    return tuple(sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -round(f.score, 3))))
