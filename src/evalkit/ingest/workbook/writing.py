"""A guess as a mapping file: commented in Korean, in the order of the sheet, without one value of the workbook.

Comments hold confidence, evidence and shapes. Headers, sheet names and category words are the only texts of the file that
are written, each on one line and quoted where YAML would read something else.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator

import yaml

from evalkit.ingest.workbook.model import LEAVE, MISSING, QUESTION
from evalkit.ingest.workbook.part import one_line
from evalkit.ingest.workbook.proposal import Candidate, ConstantGuess, Guess, HeaderGuess, TableGuess

_NARROWEST, _WIDEST = 40, 84
_MARK = "\0"  # between a line and its remarks, until they are set in one column
_MONEY = "원·천원·백만원·억원 가운데 하나"


_EXAMPLES = (
    ("header_rows: 3-4", "머리글 행이 다르게 찾아졌을 때"),
    ("rows: 5-40", "한 시트에 표가 위아래로 여럿일 때 이 표의 행 (머리글부터)"),
    ("constants: {phase: 1, sido: 전남}", "시트에 없고 모든 행에 같은 값인 열"),
    (
        "  구분: {column: track, categories: {기술개발: R&D, 미정: missing}}",
        "columns 안: 파일의 말 → 아는 말",
    ),
    (
        "  매출(억원): {column: …, unit: 천원, unit_in_file: wrong}",
        "columns 안: 파일에 적힌 단위가 틀렸을 때",
    ),
)


def mapping_text(guess: Guess, name: str = "", schema: str = "") -> str:
    """The mapping file of a guess.

    Parameters
    ----------
    name : of the mapping file, for the command that its head names
    schema : path of the JSON Schema as seen from the mapping file; editors then complete and check it
    """
    lines = [f"# yaml-language-server: $schema={schema}"] if schema else []
    lines += [*_head(guess, name), ""]
    if guess.tables:
        lines.append("tables:")
    else:
        lines += ["# 아는 표를 하나도 찾지 못함: 아래에 표를 손으로 적을 것", "tables: []"]
    for table in guess.tables:
        lines += _table(table)
    if guess.left and any(sheet for sheet, _ in guess.left):
        lines += ["", "leave_sheets:  # 읽지 않는 시트"]
        lines += [_noted(f"  - {scalar(sheet)}", why) for sheet, why in guess.left]
    lines += [
        "",
        "# ── 손으로 더할 수 있는 것의 보기 ('# ' 를 지우고 고쳐 그 자리에 둠). 표마다, table 과 같은 들여쓰기로:",
    ]
    lines += [_noted(f"#     {example}", why) for example, why in _EXAMPLES]
    lines += ["# 파일에 하나, 맨 왼쪽에서:", _noted("# leave_sheets: [표지, 작성요령]", "읽지 않는 시트")]
    return "\n".join(_aligned(lines)) + "\n"


def for_shell(text: object) -> str:
    """An argument of a command as it is typed: in quotes where it holds blanks, brackets or other signs of the shell."""
    plain = str(text)
    if re.fullmatch(r"[\w./\\:~@%+=,-]+", plain):
        return plain
    return f'"{plain}"' if os.name == "nt" else shlex.quote(plain)


def scalar(text: str) -> str:
    """A text of the workbook as a YAML scalar on one line."""
    plain = yaml.safe_dump(one_line(text), allow_unicode=True, width=10**9).strip()
    return plain.removesuffix("...").strip()


def _head(guess: Guess, name: str) -> Iterator[str]:
    file = one_line(guess.path.name)
    yield f"# 열 대응 파일: {file} 의 어느 머리글이 어느 열인지"
    yield f"# evalkit ingest guess 의 제안 (파일의 sha256 {guess.sha256[:12]}…)"
    yield f"# 답할 물음: {guess.questions}개" + (
        " — '???' 를 모두 답으로 바꾸기 전에는 읽히지 않음" if guess.questions else ""
    )
    yield "#"
    yield "#   머리글: 열        병합된 머리글은 '사업비 > 국비' 처럼 위에서 아래로 이음. 읽지 않을 머리글은 leave"
    yield "#   줄 끝의 수        확신(0–1)과 그 근거. '꼴' 은 첫 칸의 꼴 (숫자는 #, 글자는 가·A)"
    yield "#   unit · dash · blank · categories · year   단위, '-' 의 뜻, 빈 칸의 뜻, 구분 말의 뜻, 값의 연도"
    yield f"#   다 고친 뒤        evalkit ingest check {for_shell(file)} --map {for_shell(name or 'FILE.map.yml')}"
    yield "schema_version: 1"
    yield _noted(f"workbook: {scalar(guess.path.name)}", "여러 파일에 쓰려면 '성과조사_*.xlsx' 같은 무늬")


def _noted(text: str, *notes: str) -> str:
    """A line with its remarks behind it, in one column as far as it goes."""
    said = " · ".join(one_line(note) for note in notes if note)
    if not said:
        return text
    return f"{text}{_MARK}# {said}"


def _aligned(lines: list[str]) -> Iterator[str]:
    """Remarks of neighbouring lines in one column, as far as it goes."""
    margin = _NARROWEST
    for place, line in enumerate(lines):
        text, mark, said = line.partition(_MARK)
        if mark and (not place or _MARK not in lines[place - 1]):
            end = next((n for n in range(place, len(lines)) if _MARK not in lines[n]), len(lines))
            widths = [_width(other.partition(_MARK)[0]) for other in lines[place:end]]
            margin = max([_NARROWEST, *(width for width in widths if width <= _WIDEST)])
        yield text + " " * (max(margin - _width(text), 0) + 2) + said if mark else line


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _table(table: TableGuess) -> Iterator[str]:
    rows = f"{table.data_rows:,}행" + (", 숨긴 시트" if table.hidden else "")
    yield ""
    yield f"  # ── {table.title}: {table.row_meaning} ({rows})"
    if table.asked:
        yield f"  # 물음: {table.name} 표가 맞는가? {one_line(table.asked)}"
        yield "  #       맞으면 그 이름을 적고, 아니면 이 표를 지울 것"
        yield "  - table: ???"
    else:
        yield f"  - table: {table.name}"
    if table.sheet:
        yield f"    sheet: {scalar(table.sheet)}"
    one = table.first_row == table.last_row
    yield f"    header_rows: {table.first_row}" + ("" if one else f"-{table.last_row}")
    if table.rows:
        yield _noted(f"    rows: {table.rows}", "한 시트에 표가 위아래로 있음: 이 표의 행")
    if table.cols:
        yield _noted(f"    cols: {table.cols}", "한 시트에 표가 나란히 있음: 이 표의 열")
    if table.region_year_evidence and not table.region_year:
        yield f"    # region_year: {table.region_year_evidence}"
    if table.region_year:
        why = ("물음: " if table.region_year == QUESTION else "") + table.region_year_evidence
        yield _noted(f"    region_year: {table.region_year}", why)
    if table.unit:
        yield f"    # 물음: {one_line(table.unit_evidence)}"
        yield f"    #       {_MONEY}. 열마다 다르면 이 줄을 지우고 열마다 unit 을 적을 것"
        yield f"    unit: {table.unit}"
    written = [constant for constant in table.constants if constant.value]
    yield from (f"    # {c.column}: {c.evidence[0]}" for c in table.constants if not c.value)
    if written:
        yield "    constants:"
        for constant in written:
            yield from _constant(constant)
    left = [header for header in table.headers if header.column == LEAVE]
    yield "    columns:"
    for header in table.headers:
        if header.column != LEAVE:
            yield from _header(header)
    if left:
        yield from _left(left)


def _constant(constant: ConstantGuess) -> Iterator[str]:
    line = f"      {constant.column}: {constant.value}"
    if constant.value != QUESTION:
        yield _noted(line, *constant.evidence)
        return
    yield f"      # 물음: {constant.meaning}. {' · '.join(map(one_line, constant.evidence))}"
    if constant.column != "phase":
        yield f"      #       그 머리글을 leave 에서 columns 로 옮겨 '머리글: {constant.column}' 으로 적고 이 줄을 지울 것"
        if not constant.column.endswith("_id"):
            yield "      #       모든 행에 같은 값이면 그 값"
    yield line


def _header(header: HeaderGuess) -> Iterator[str]:
    key = scalar(header.key)
    settings = _settings(header)
    if header.column == QUESTION:
        yield from _question(header)
    notes = () if header.column == QUESTION else (
        f"{header.letters}열", f"{header.confidence:.2f}", *header.evidence,
        f"단위는 {header.unit_evidence}" if header.unit and header.unit != QUESTION else "",
        *(header.emptiness if not header.questions else ()),
        f"꼴 {header.shape}" if header.shape else "",
    )  # fmt: skip
    if not header.questions:
        line = f"      {key}: {header.column}"
        if settings:
            pairs = ", ".join(
                f"{name}: {_setting(value)}" for name, value in (("column", header.column), *settings)
            )
            line = f"      {key}: {{{pairs}}}"
        yield _noted(line, *notes)
        return
    yield _noted(f"      {key}:", *notes)
    yield f"        column: {header.column}"
    for name, value in settings:
        asked = value == QUESTION
        why = {
            "unit": f"물음: {header.unit_evidence}. {_MONEY}",
            "blank": "물음: " + "; ".join(header.emptiness),
        }
        yield _noted(f"        {name}: {_setting(value)}", why.get(name, "") if asked else "")
    if header.words:
        yield "        categories:"
        values = ", ".join((*header.values, f"{MISSING}(빈 값)"))
        for word in header.words:
            yield _noted(f"          {scalar(word)}: ???", f"물음: 모르는 구분 말임. 쓸 수 있는 값: {values}")


def _setting(value: str) -> str:
    return value if value == QUESTION or value.isdigit() else scalar(value)


def _settings(header: HeaderGuess) -> list[tuple[str, str]]:
    pairs = (
        ("year", str(header.year or "")), ("unit", header.unit), ("dash", header.dash), ("blank", header.blank)
    )  # fmt: skip
    return [(name, value) for name, value in pairs if value]


def _question(header: HeaderGuess) -> Iterator[str]:
    shape = f", 꼴 {header.shape}" if header.shape else ""
    yield f"      # 물음: 어느 열인가? 읽지 않으려면 leave ({header.letters}열{shape})"
    for candidate in header.candidates[:4]:
        yield f"      #   {candidate.confidence:.2f}  {_candidate(candidate)}"


def _candidate(candidate: Candidate) -> str:
    year = f" {candidate.year}년" if candidate.year else ""
    return f"{candidate.column}{year}  {candidate.meaning}: " + " · ".join(map(one_line, candidate.evidence))


def _left(left: list[HeaderGuess]) -> Iterator[str]:
    """Headers that nothing is read from; those that come near a column say which header that column is."""
    for header in left:
        for candidate in header.candidates[:1]:
            yield f"    # {one_line(header.key)}: {candidate.column} 와(과) 비슷하나 다른 머리글이 그 열임"
    yield "    leave:"
    yield from _wrapped(scalar_in_list(header.key) for header in left)


def scalar_in_list(text: str) -> str:
    """A text as an item of a list on one line."""
    return yaml.safe_dump([one_line(text)], allow_unicode=True, default_flow_style=True, width=10**9).strip()[
        1:-1
    ]


def _wrapped(items: Iterable[str]) -> Iterator[str]:
    line = "      ["
    for place, item in enumerate(items):
        piece = ("" if not place else ", ") + item
        if _width(line + piece) > 100:
            yield line + ","
            line, piece = "       ", item
        line += piece
    yield line + "]"
