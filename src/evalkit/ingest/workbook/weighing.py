"""Each header of a table against each declared column: words and cells together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evalkit.ingest.headers import Header, Match, normal
from evalkit.ingest.rows import body_cells, data_rows
from evalkit.ingest.table import TableSpec
from evalkit.ingest.workbook.blocks import Block
from evalkit.ingest.workbook.closeness import GROUPED, Closeness, closest
from evalkit.ingest.workbook.evidence import Cells, sums_among, verdict
from evalkit.ingest.workbook.model import column_letters
from evalkit.ingest.workbook.part import one_line
from evalkit.ingest.workbook.proposal import ASKED, SURE, Candidate

# columns that are a part of something: one that is the sum of its neighbours is the whole and not this part
_PARTS = frozenset(
    {"national_grant_krw", "local_grant_krw", "private_krw", "new_regular_jobs", "new_youth_jobs", "patents", "papers"}
)  # fmt: skip
_CLOSE_ENOUGH = 0.35
_NUMBER = re.compile(r"(?<!\d)(?:\d{3}-?\d{2}-?\d{5}|\d{6}-?\d{7})(?!\d)")


@dataclass(frozen=True, slots=True, eq=False)
class SheetColumn:
    """A column of a table as it stands in the sheet."""

    position: int
    letters: str
    label: str
    path: tuple[str, ...]
    cells: Cells


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """The columns of a table with their data cells, and how many data rows there are."""

    columns: tuple[SheetColumn, ...]
    rows: int
    sums: dict[int, tuple[int, ...]]

    def label(self, position: int) -> str:
        """Header of a column, or its letters."""
        column = next(c for c in self.columns if c.position == position)
        return column.label or f"{column.letters}열"


def body_of(block: Block, spec: TableSpec) -> Body:
    """Data cells below a header; subtotals, notes and repeated headers left out as the reader of `spec` would."""
    header = Header(
        block.first_row,
        block.last_row,
        tuple(said_by_words(block, spec)),
        (),
        (),
        tuple(normal(str(cell)) for cell in block.part.cells[block.last_row]),
    )
    cells, _ = body_cells(block.part, header)
    kept, _ = data_rows(cells, header, spec, block.last_row + 2)
    columns = []
    for position, path in enumerate(block.paths):
        texts = cells[kept, position]
        if path or (texts != "").any():
            own = Cells.of(texts)
            shown = (
                () if any(map(_NUMBER.search, path)) else path
            )  # a header that holds a number is named by its place
            label = " > ".join(one_line(text) for text in shown)
            columns.append(
                SheetColumn(position, column_letters(block.left + position + 1), label, shown, own)
            )
    sums = sums_among({c.position: c.cells for c in columns})
    return Body(tuple(columns), len(kept), sums)


def said_by_words(block: Block, spec: TableSpec) -> list[Match]:
    """Headers that are the same as one of a declaration's, whatever their cells hold."""
    found = []
    for position, path in enumerate(block.paths):
        close = closest(list(path), spec) if path else []
        if close and close[0].score >= GROUPED:
            found.append(Match(position, close[0].column, " > ".join(path), "", close[0].year))
    return found


def weigh(body: Body, spec: TableSpec) -> dict[int, list[Candidate]]:
    """Candidates of each header among the columns of one declaration, best first."""
    found: dict[int, list[Candidate]] = {}
    for column in body.columns:
        close = closest(list(column.path), spec) if column.path else []
        candidates = [_weighed(body, column, one) for one in close if one.score >= _CLOSE_ENOUGH]
        candidates += _by_cells_alone(column, spec, {c.column for c in candidates})
        if candidates:
            found[column.position] = sorted(candidates, key=lambda c: -c.confidence)
    return found


def _weighed(body: Body, column: SheetColumn, close: Closeness) -> Candidate:
    told = verdict(column.cells, close.column)
    evidence = [close.how, told.words]
    support = told.support
    parts = body.sums.get(column.position)
    if parts and close.column.kind in ("money", "integer", "number"):
        evidence.append("= " + " + ".join(f"'{body.label(part)}'" for part in parts))
        if close.column.name in _PARTS:
            support = min(support, -0.5)
            evidence.append("다른 열들의 합계임")
    score = close.score * ((0.9 + 0.1 * support) if support >= 0 else (1 + 0.6 * support))
    typo = close.score >= 0.62 and "비슷함" in close.how
    spec = close.column
    if told.identifying and typo and spec.kind == "business_number":
        score = max(score, SURE)
    if close.score >= GROUPED:
        score = max(score, ASKED)  # the very header over cells that speak against it is worth a question
    return Candidate(spec.name, spec.meaning, close.year, round(score, 2), tuple(evidence))


def _by_cells_alone(column: SheetColumn, spec: TableSpec, known: set[str]) -> list[Candidate]:
    """A header that says nothing over cells that can hardly be anything else is worth a question."""
    out = []
    if column.cells.said < 5:
        return []
    for declared in spec.columns:
        tellable = declared.kind in ("business_number", "category", "name") and declared.name != "phase"
        if tellable and declared.name not in known:
            told = verdict(column.cells, declared)
            if told.identifying:
                words = ("머리글로는 알 수 없음", told.words)
                out.append(Candidate(declared.name, declared.meaning, None, ASKED, words))
    return out


@dataclass(frozen=True, slots=True)
class Standing:
    """How well a table's headers serve a declaration.

    Attributes
    ----------
    sure, likely : shares of the required columns found without and at most with a question
    own : columns of amounts, dates or categories found without a question: what the table is about
    columns : columns found without a question
    maybe : columns of amounts, dates or categories found at most with a question
    """

    sure: float
    likely: float
    own: frozenset[str]
    columns: frozenset[str]
    maybe: frozenset[str]


def standing(candidates: dict[int, list[Candidate]], spec: TableSpec) -> Standing:
    """How well headers serve a declaration, by their best candidates."""
    sure = frozenset(c.column for found in candidates.values() for c in found if c.confidence >= SURE)
    likely = sure | {c.column for found in candidates.values() for c in found if c.confidence >= ASKED}
    required = {column.name for column in spec.columns if column.required}
    about = {
        c.name
        for c in spec.columns
        if c.kind in ("money", "integer", "number", "date", "category") and c.name not in ("phase", "role")
    }
    first, at_most = (len(required & found) / len(required) for found in (sure, likely))
    return Standing(first, at_most, sure & about, sure, likely & about)
