"""`guess`: a proposed mapping of a workbook, with confidence and evidence for each header and a question wherever it is not sure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evalkit.ingest.files import RawFile, Sheet, read_raw
from evalkit.ingest.headers import normal
from evalkit.ingest.table import TableSpec
from evalkit.ingest.workbook.blocks import Block, tables_in
from evalkit.ingest.workbook.details import constants, header_guess, one_unit_for_all, region_year
from evalkit.ingest.workbook.mapping import declared
from evalkit.ingest.workbook.model import LEAVE, QUESTION
from evalkit.ingest.workbook.proposal import ASKED, SURE, Candidate, Guess, HeaderGuess, TableGuess
from evalkit.ingest.workbook.weighing import (
    Body,
    SheetColumn,
    Standing,
    body_of,
    said_by_words,
    standing,
    weigh,
)

_FAMILY = "performance_"
_RIVAL = 0.1  # two columns of one table whose confidence lies closer than this compete for a header
_SAME_KEY = 0.2  # share of rows with a key that stood before, from which a table is in doubt


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """A declaration that serves a block."""

    spec: TableSpec
    candidates: dict[int, list[Candidate]]
    standing: Standing
    hinted: bool


def guess(path: str | Path | RawFile) -> Guess:
    """Propose a mapping of a workbook.

    Nothing is guessed in silence: a header is proposed without a question only when its whole wording is that of a declared
    column (or of it with marks, units and notes on filling in taken away), its cells do not speak against it, and no other
    header or column competes. Everything else that comes near is a question, which `read_mapping` refuses until answered.

    Raises
    ------
    FileError : as `read_raw`
    """
    raw = path if isinstance(path, RawFile) else read_raw(path)
    tables: list[TableGuess] = []
    left: list[tuple[str, str]] = []
    for page in raw.sheets:
        found, near = _of_sheet(page, raw)
        tables += found
        if not found:
            left.append((page.name, near))
    return Guess(raw.path, raw.sha256, tuple(tables), tuple(left))


def _of_sheet(page: Sheet, raw: RawFile) -> tuple[list[TableGuess], str]:
    """Tables of a sheet, or the words on what comes nearest."""
    found: list[TableGuess] = []
    near = "머리글을 찾지 못함" if page.cells.size else "빈 시트"
    for block in tables_in(page):
        body, choices = _choices(block)
        chosen = _chosen(choices)
        if chosen:
            found += _tables(block, body, chosen, page, raw)
        elif choices:
            best = choices[0]
            near = f"가장 가까운 표: {best.spec.name} (필수 열 가운데 {best.standing.likely:.0%} 와 맞을 수 있으나, 이 표만의 열을 찾지 못함)"
        else:
            near = "아는 표의 머리글이 없음"
    return found, near


def _choices(block: Block) -> tuple[Body | None, list[_Choice]]:
    """Declarations with a word in common with the header, best first, and the block's body."""
    counted = {name: len(said_by_words(block, spec)) for name, spec in declared().items()}
    specs = [spec for name, spec in declared().items() if counted[name]]
    if not specs:
        return None, []
    body = body_of(block, max(specs, key=lambda spec: counted[spec.name]))
    if not body.rows:
        return body, []
    choices = []
    for spec in specs:
        candidates = weigh(body, spec)
        choices.append(_Choice(spec, candidates, standing(candidates, spec), _hinted(block, spec)))
    choices.sort(key=lambda c: (-c.standing.sure, -c.hinted, -len(c.standing.columns)))
    return body, choices


def _hinted(block: Block, spec: TableSpec) -> bool:
    """Whether the sheet's name or a line above the table names it."""
    words = {normal(word) for word in (*spec.sheets, spec.title)}
    places = [normal(block.sheet), *(normal(text) for text in block.above)]
    return any(word and word in place for word in words for place in places)


def _chosen(choices: list[_Choice]) -> list[_Choice]:
    """The declarations that a block is read with: one, and of the programme tables every further one with its own columns."""
    first = next((choice for choice in choices if _serves(choice)), None)
    if first is None:  # nothing of its own is sure: then all of it is asked, rather than left alone
        first = next((choice for choice in choices if _may_serve(choice)), None)
    if first is None:
        return []
    chosen = [first]
    if first.spec.name.startswith(_FAMILY):
        taken = set(first.standing.own)
        for choice in choices:
            new = choice.standing.own - taken
            if choice is not first and choice.spec.name.startswith(_FAMILY) and new and _serves(choice):
                chosen.append(choice)
                taken |= choice.standing.own
    order = list(declared())
    return sorted(chosen, key=lambda choice: order.index(choice.spec.name))


def _serves(choice: _Choice) -> bool:
    """What is missing is asked, so half of the required columns is enough where the table's own columns are there."""
    told = choice.standing
    if not told.own or told.likely < 0.5:
        return False
    return (
        told.likely == 1
        or told.sure >= 0.75
        or len(told.own) >= 2
        or (choice.hinted and len(told.columns) >= 2)
    )


def _may_serve(choice: _Choice) -> bool:
    """Two or more columns of its own may be there, and the sheet's name or all required columns speak for it."""
    told = choice.standing
    return len(told.maybe) >= 2 and told.likely >= 0.5 and (choice.hinted or told.likely == 1)


def _tables(
    block: Block, body: Body | None, chosen: list[_Choice], page: Sheet, raw: RawFile
) -> list[TableGuess]:
    assert body is not None
    keys = _keys(body)
    settled = [_settled(body, choice) for choice in chosen]
    sure = {position for one in settled for position, (state, _) in one.items() if state == "sure"}
    near = _nearest_is_taken(settled)
    asked: set[int] = set()
    out = []
    for place, choice in enumerate(chosen):
        headers = []
        for column in body.columns:
            state, found = settled[place].get(column.position, ("leave", []))
            if state == "ask" and column.position in (sure | asked | set(near)):
                state = "elsewhere"
            if state == "ask":
                asked.add(column.position)
            if state in ("sure", "ask"):
                headers.append(header_guess(column, keys, block, choice.spec, found, ask=state == "ask"))
        out.append((choice, headers))
    return [
        _table(block, body, choice, _with_left(headers, body, keys, sure | asked, near) if not place else headers, page, raw)
        for place, (choice, headers) in enumerate(out)
    ]  # fmt: skip


def _nearest_is_taken(settled: list[dict[int, tuple[str, list[Candidate]]]]) -> dict[int, Candidate]:
    """Headers that come nearest, over all tables of a block, to a column that another header is: position -> that column."""
    best: dict[int, tuple[str, Candidate]] = {}
    for one in settled:
        for position, (state, found) in one.items():
            if position not in best or found[0].confidence > best[position][1].confidence:
                best[position] = (state, found[0])
    return {position: candidate for position, (state, candidate) in best.items() if state == "near"}


def _keys(body: Body) -> dict[int, str]:
    """How the mapping names each column: its header, with Excel's letters where two have the same or it has none."""
    counted: dict[str, int] = {}
    for column in body.columns:
        counted[normal(column.label)] = counted.get(normal(column.label), 0) + 1
    return {
        c.position: c.label
        if c.label and counted[normal(c.label)] == 1
        else f"{c.label} @{c.letters}".strip()
        for c in body.columns
    }


def _settled(body: Body, choice: _Choice) -> dict[int, tuple[str, list[Candidate]]]:
    """Position -> ("sure" | "ask", candidates); headers that compete for one column are all asked about."""
    claims: dict[tuple[str, int | None], list[int]] = {}
    for position, found in choice.candidates.items():
        best = found[0]
        rivals = [c for c in found[1:] if c.column != best.column and best.confidence - c.confidence < _RIVAL]
        if best.confidence >= SURE and not rivals:
            claims.setdefault((best.column, best.year), []).append(position)
    out: dict[int, tuple[str, list[Candidate]]] = {}
    for positions in claims.values():
        for position in positions:
            found = choice.candidates[position]
            if len(positions) == 1:
                out[position] = ("sure", found)
            else:
                others = ", ".join(f"'{body.label(p)}'" for p in positions if p != position)
                out[position] = ("ask", [_competing(found[0], others), *found[1:]])
    given = {key for key, positions in claims.items() if len(positions) == 1}
    for position, found in choice.candidates.items():
        free = [c for c in found if (c.column, c.year) not in given]
        if position not in out:
            likely = bool(free) and free[0].confidence >= max(ASKED, found[0].confidence - _RIVAL)
            if likely:
                out[position] = ("ask", free)
            elif (found[0].column, found[0].year) in given:
                out[position] = ("near", found)
    return out


def _competing(best: Candidate, others: str) -> Candidate:
    words = (f"머리글 {others} 도 같은 열에 맞음: 하나만 고를 것", *best.evidence)
    return Candidate(best.column, best.meaning, best.year, best.confidence, words)


def _with_left(
    headers: list[HeaderGuess],
    body: Body,
    keys: Mapping[int, str],
    used: set[int],
    near: Mapping[int, Candidate],
) -> list[HeaderGuess]:
    """The headers of the first table, and those of the block that no table reads, in the order of the sheet."""
    left = [
        HeaderGuess(
            keys[c.position], c.letters, LEAVE, candidates=(near[c.position],) if c.position in near else ()
        )
        for c in body.columns
        if c.position not in used
    ]
    place = {c.letters: number for number, c in enumerate(body.columns)}
    return sorted([*headers, *left], key=lambda header: place[header.letters])


def _table(
    block: Block, body: Body, choice: _Choice, headers: list[HeaderGuess], page: Sheet, raw: RawFile
) -> TableGuess:
    spec = choice.spec
    year, why = region_year(spec, headers, raw.path)
    told, unit, unit_why = one_unit_for_all(headers)
    read = {header.letters for header in headers if header.column != LEAVE}
    spare = [column for column in body.columns if column.letters not in read]
    return TableGuess(
        name=spec.name,
        title=spec.title,
        row_meaning=spec.row_meaning,
        sheet=page.name,
        hidden=page.hidden,
        first_row=block.first_row + 1,
        last_row=block.last_row + 1,
        rows=block.rows,
        cols=block.cols,
        headers=tuple(told),
        constants=constants(spec, headers, block, raw.path, spare),
        unit=unit,
        unit_evidence=unit_why,
        region_year=year,
        region_year_evidence=why,
        asked=_doubt(body, spec, headers),
        data_rows=body.rows,
    )


def _doubt(body: Body, spec: TableSpec, headers: list[HeaderGuess]) -> str:
    """Why the table may be another one: many rows share what should tell them apart."""
    if not spec.key or spec.name.startswith(_FAMILY):
        return ""
    by_letters: dict[str, SheetColumn] = {column.letters: column for column in body.columns}
    cells = {
        h.column: by_letters[h.letters].cells.texts for h in headers if h.column not in (QUESTION, LEAVE)
    }
    if not set(spec.key) <= set(cells) or len({len(texts) for texts in cells.values()}) != 1:
        return ""
    rows = list(zip(*(cells[name] for name in spec.key), strict=True))
    again = 1 - len(set(rows)) / len(rows)
    if again <= _SAME_KEY:
        return ""
    names = "·".join(spec.column(name).aliases[0] for name in spec.key)
    return f"한 행이 '{spec.row_meaning}' 이어야 하는데 {names} 이(가) 같은 행이 {again:.0%} 임"
