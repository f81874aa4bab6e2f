"""What a guess consists of: tables, headers with their candidates, and questions that only the analyst can answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from evalkit.ingest.workbook.model import LEAVE, QUESTION

SURE, ASKED = 0.9, 0.5
"""Confidence from which a header is proposed without a question, and from which it is asked about."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A declared column that a header may be: confidence (0–1) and what speaks for it."""

    column: str
    meaning: str
    year: int | None
    confidence: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeaderGuess:
    """One header.

    Attributes
    ----------
    key : the header as the mapping names it; letters : its column in Excel
    column : a declared column, ``???`` where the analyst is asked, ``leave`` where nothing is read
    confidence, evidence : of the chosen column; 0 and the reason of the question otherwise
    candidates : every column that it may be, best first
    unit : a unit, ``???``, or empty where the column needs none; unit_evidence : where the unit was found
    dash, blank : what they mean; ``???`` where asked; empty where there are none
    words : category words that the column does not know, all of them questions
    shape : shape of the first example, never the example
    """

    key: str
    letters: str
    column: str
    confidence: float = 0.0
    evidence: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    year: int | None = None
    unit: str = ""
    unit_evidence: str = ""
    dash: str = ""
    blank: str = ""
    emptiness: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    shape: str = ""

    @property
    def questions(self) -> int:
        """How many answers this header needs."""
        return [self.column, self.unit, self.dash, self.blank].count(QUESTION) + len(self.words)


@dataclass(frozen=True, slots=True)
class ConstantGuess:
    """A column without a header: the value of every row or ``???``, and why; empty where the reader finds it itself."""

    column: str
    meaning: str
    value: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableGuess:
    """One table of the workbook: where it stands, its headers in the order of the sheet, and its constants.

    `name` is the declared table; `asked` says why it is in doubt, and is empty where it is not.
    """

    name: str
    title: str
    row_meaning: str
    sheet: str
    hidden: bool
    first_row: int
    last_row: int
    rows: str | None
    cols: str | None
    headers: tuple[HeaderGuess, ...]
    constants: tuple[ConstantGuess, ...] = ()
    region_year: str = ""
    region_year_evidence: str = ""
    unit: str = ""
    unit_evidence: str = ""
    asked: str = ""
    data_rows: int = 0

    @property
    def questions(self) -> int:
        """How many answers this table needs."""
        own = bool(self.asked) + [self.region_year, self.unit].count(QUESTION)
        return own + sum(h.questions for h in self.headers) + sum(c.value == QUESTION for c in self.constants)

    @property
    def sure(self) -> tuple[HeaderGuess, ...]:
        """Headers proposed without a question about their column."""
        return tuple(h for h in self.headers if h.column not in (QUESTION, LEAVE))


@dataclass(frozen=True, slots=True)
class Guess:
    """A proposed mapping of one workbook.

    Attributes
    ----------
    tables : in the order of the sheets
    left : sheets in which nothing was recognised, with what comes nearest
    """

    path: Path
    sha256: str
    tables: tuple[TableGuess, ...]
    left: tuple[tuple[str, str], ...] = field(default=())

    @property
    def questions(self) -> int:
        """How many answers the mapping needs before anything is read."""
        return sum(table.questions for table in self.tables)
