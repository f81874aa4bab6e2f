"""What must hold for any text and any counts: escaping, no formulas, no way back to a suppressed cell."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import mistune
import numpy as np
import openpyxl
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.present.tabulation import Column, Tabulation, Total, clean_text
from evalkit.present.writers.spreadsheets import csv_bytes, xlsx_bytes
from evalkit.release import Release, suppress

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://x")',
    "@SUM(A1)",
    "-2+3",
    "+cmd|' /C calc'!A0",
    "\t=1",
    "&lt;b&gt; &amp;",
    "]]><![CDATA[",
    "</td></table><h1>",
    "#N/A",
    "#REF!",
    "`x` ![a](http://b) [c](javascript:d)",
    "주식회사 <가나>",
]
# digits stay out: identifiers are another test's business
TEXT = st.one_of(
    st.sampled_from(PAYLOADS),
    st.text(st.characters(exclude_categories=["Cs", "Nd"], exclude_characters="\r"), max_size=60),
)


class Cells(HTMLParser):
    """Texts of a page's cells, caption and notes; names of its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag in ("td", "th", "caption", "p"):
            self.texts.append("")
            self.open = True
        elif tag == "br":
            self.texts[-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "caption", "p"):
            self.open = False

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[-1] += data


def read(html: str) -> Cells:
    cells = Cells()
    cells.feed(html)
    cells.close()
    return cells


def table_of(text: str) -> Tabulation:
    return Tabulation(
        name="t",
        title=text,
        columns=(Column("a", text or "가"), Column("b", "값", "number")),
        rows=((text, text), (text, 3.5)),
        notes=(text,),
    )


@settings(deadline=None, max_examples=150)
@given(TEXT)
def test_any_text_comes_back_from_the_page_as_it_was(text: str) -> None:
    cells = read(Release().table(table_of(text)).html)
    clean = clean_text(text)
    assert cells.texts.count(clean) >= (5 if clean else 2)
    assert cells.tags <= {
        "div",
        "table",
        "caption",
        "colgroup",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "p",
        "br",
    }
    assert cells.attributes <= {"class", "id", "lang", "style", "span", "scope", "colspan", "rowspan"}


@settings(deadline=None, max_examples=100)
@given(TEXT)
def test_notices_and_headlines_escape_any_text(text: str) -> None:
    release = Release()
    for released in (release.notice("note", text), release.headline(text, text, text, text)):
        cells = read(released.html)
        assert any(clean_text(text) in shown for shown in cells.texts)
        assert cells.tags <= {"div", "p", "strong", "small", "br"}


@settings(deadline=None, max_examples=150)
@given(TEXT)
def test_prose_never_becomes_foreign_markup(text: str) -> None:
    shown = Release().text(text).data["text/markdown"]
    # the harshest reader: a Markdown renderer that lets raw HTML pass
    html = str(mistune.create_markdown(escape=False)(shown))
    tags = {tag.lower() for tag in re.findall(r"<([A-Za-z][A-Za-z0-9]*)", html)}
    assert tags <= {"p", "em", "strong", "code", "pre", "ul", "ol", "li", "blockquote", "hr", "br", "a"} | {
        f"h{k}" for k in range(1, 7)
    }


@settings(deadline=None, max_examples=150)
@given(TEXT)
def test_no_cell_of_a_csv_starts_a_formula(text: str) -> None:
    content = csv_bytes(table_of(text)).decode("utf-8-sig")
    for row in csv.reader(io.StringIO(content, newline="")):
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    clean = clean_text(text)
    found = list(csv.reader(io.StringIO(content, newline="")))[1][0]
    # whoever opens it with another separator (a tab in LibreOffice, a semicolon in many locales) finds no formula either,
    # so an apostrophe may stand behind each of them as well: `'<tab>=1` alone would leave `=1` in a cell of its own
    assert not any(part.startswith(("=", "+", "-", "@")) for part in re.split("[\t;]", found))
    assert found.replace("'", "") == clean.replace("'", "")


@settings(deadline=None, max_examples=25)
@given(TEXT)
def test_no_cell_of_a_workbook_is_a_formula(text: str) -> None:
    content = xlsx_bytes([table_of(text)], title=text, cover=[(text, text)])
    book = openpyxl.load_workbook(io.BytesIO(content))
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type in ("s", "n")
                assert cell.hyperlink is None
    stored = book["t"]["A4"].value
    assert (stored or "") == clean_text(text)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=7),
    st.lists(st.integers(0, 9), min_size=2, max_size=7),
    st.integers(2, 5),
)
def test_no_suppressed_cell_follows_from_the_totals(first: list[int], second: list[int], least: int) -> None:
    height = min(len(first), len(second))
    body = [[a, b, a + b] for a, b in zip(first[:height], second[:height], strict=True)]
    body.append([sum(column) for column in zip(*body, strict=True)])
    table = Tabulation(
        name="t",
        title="",
        columns=(Column("s", "가"), *(Column(f"v{k}", f"{k}", "integer") for k in range(3))),
        rows=tuple((str(k), *(10 * n for n in line)) for k, line in enumerate(body)),
        counts=tuple((None, *line) for line in body),
        totals=(Total("row", height, tuple(range(height))), Total("column", 3, (1, 2))),
    )
    hidden = suppress(table, least)
    counts = table.counts or ()
    for r in range(height + 1):
        for c in range(1, 4):
            if 0 < (counts[r][c] or 0) < least:
                assert (r, c) in hidden
    # oracle: vary the hidden cells along every direction that keeps all totals; each of them must move
    unknown = sorted(hidden)
    lines = [[(r, c) for r in (height, *range(height))] for c in (1, 2, 3)]
    lines += [[(r, c) for c in (3, 1, 2)] for r in range(height + 1)]
    system = np.array(
        [[(-1.0 if at == line[0] else 1.0) if at in line else 0.0 for at in unknown] for line in lines]
    )
    if unknown:
        full = np.linalg.matrix_rank(system)
        for k in range(len(unknown)):
            # a cell is determined exactly when fixing it adds nothing that the system does not know
            fixed = np.vstack([system, np.eye(len(unknown))[k]])
            assert np.linalg.matrix_rank(fixed) == full + 1, unknown[k]
