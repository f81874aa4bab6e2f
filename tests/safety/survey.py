"""The table of docs/assurance.md: formats, payloads, what ran, what was lost.

    python tests/safety/survey.py

writes Markdown to standard output and ends with 1 where a payload ran or was lost.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from payloads import ALL, SHORT
from planted import (
    addresses,
    chunks,
    csv_cells,
    document_of,
    excel_words,
    flat,
    harmless,
    heads_table,
    lost,
    package_parts,
    page_of,
    prose_page,
    rows_table,
    tex_commands,
    untexed,
    words_of,
)

from browser import pages
from evalkit.plain_text import clean_text
from evalkit.present.writers.grids import is_dangerous, safe_text
from evalkit.present.writers.hwpx import hwpx_bytes
from evalkit.present.writers.latex import latex_text
from evalkit.present.writers.spreadsheets import csv_bytes
from evalkit.present.writers.word import word_bytes
from evalkit.present.writers.workbook import workbook_bytes
from evalkit.report.guard import is_still

_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_RUNS = {"f", "instrText", "fldSimple", "object", "oleObject", "externalLink", "ddeLink", "script"}
TEXTS = [payload.text for payload in SHORT]
Row = tuple[str, str, int, int, int]


def in_browser(folder: Path) -> list[Row]:
    """Pages opened in Chromium: dialogs, requests, messages, marks of a script that ran, scripts in the tree."""
    page, prose = page_of(TEXTS), prose_page(TEXTS)
    shown = {
        "HTML page": (page, SHORT),
        "HTML page, policy taken out": (_POLICY.sub("", page), SHORT),
        "Markdown of an author, policy taken out": (_POLICY.sub("", prose), ()),
    }
    rows: list[Row] = []
    with pages() as show:
        for name, (markup, wanted) in shown.items():
            path = folder / "page.html"
            path.write_text(markup, encoding="utf-8")
            opened = show(path)
            opened.page.wait_for_timeout(300)
            ran = len(opened.dialogs) + len(opened.requests) + len(opened.messages)
            ran += opened.page.evaluate("(window.hit ? 1 : 0) + document.scripts.length")
            read = opened.page.evaluate("document.documentElement.textContent")
            rows.append((name, "opened in Chromium", len(SHORT), ran, len(lost(wanted, read))))
        svg, count = drawn()
        path = folder / "figure.svg"
        path.write_text(svg, encoding="utf-8")
        opened = show(path)
        opened.page.wait_for_timeout(300)
        ran = len(opened.dialogs) + len(opened.requests) + len(opened.messages) + (not is_still(svg))
        rows.append(("SVG, opened by itself", "opened in Chromium; glyphs are outlines", count, int(ran), 0))
    return rows


def drawn() -> tuple[str, int]:
    """One figure with every text that its fonts have glyphs for."""
    from fontTools.ttLib import TTFont
    from matplotlib import font_manager

    from evalkit.present.canvas import FONTS, canvas, svg_of

    paths = [*FONTS.glob("*Regular.otf"), *FONTS.glob("*Regular.ttf"), font_manager.findfont("DejaVu Sans")]
    glyphs = {sign for path in paths for sign in TTFont(path).getBestCmap()}
    texts = [t for t in TEXTS if all(ord(s) in glyphs or s.isspace() for s in clean_text(t))]
    with canvas(4) as (figure, axes):
        for k, text in enumerate(texts):
            axes.text(0, k, text).set_in_layout(False)
        return svg_of(figure), len(texts)


def in_files() -> list[Row]:
    """Files parsed back: parts that run, addresses outside, cells that a spreadsheet would compute."""
    document = document_of(TEXTS)
    rows: list[Row] = []
    for name, write, read in (
        ("Excel", workbook_bytes, excel_words),
        ("Word", word_bytes, words_of),
        ("HWPX", hwpx_bytes, words_of),
    ):
        parts, plain = package_parts(write(document)), package_parts(write(document_of(harmless(TEXTS))))
        ran = max(0, running(parts) - running(plain)) + len(addresses(parts))
        rows.append((name, "every part parsed as XML", len(SHORT), ran, len(lost(SHORT, read(parts)))))
    tables = [rows_table([p.text for p in ALL]), *(heads_table(group, "t") for group in chunks(TEXTS, 5))]
    cells = [cell for table in tables for row in csv_cells(csv_bytes(table)) for cell in row]
    ran = sum(1 for cell in cells if is_dangerous(cell) and not re.fullmatch(r"-[\d.e+\-]+", cell))
    read_back = flat(" ".join(cells))
    missing = sum(
        1
        for p in ALL
        if " ".join(safe_text(clean_text(p.text)).replace("\u200e", "").split()) not in read_back
    )
    rows.append(("CSV", "parsed; no cell is a formula", len(ALL), ran, missing))
    tex = latex_text(document)
    plain_tex = tex_commands(latex_text(document_of(harmless(TEXTS))))
    more = tex_commands(tex) - plain_tex - {"\\newline", "\\textbf"}
    rows.append(
        (
            "LaTeX",
            "commands counted; no TeX on this machine",
            len(SHORT),
            len(more),
            len(lost(SHORT, untexed(tex))),
        )
    )
    return rows


def running(parts: dict[str, bytes]) -> int:
    """Elements that compute, embed or point outside."""
    kinds = Counter(
        str(element.tag).rpartition("}")[2]
        for name, data in parts.items()
        if name.endswith((".xml", ".hpf"))
        for element in ElementTree.fromstring(data).iter()
    )
    return sum(kinds[kind] for kind in _RUNS)


def main() -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        rows = in_browser(Path(folder)) + in_files()
    print("| format | how it was looked at | payloads | executed | lost |\n|---|---|---:|---:|---:|")
    for name, how, count, ran, missing in rows:
        print(f"| {name} | {how} | {count} | {ran} | {missing} |")
    print(
        f"\n{len(ALL)} payloads of {len({p.kind for p in ALL})} kinds, in every place that text from outside can reach."
    )
    return int(any(ran or missing for *_, ran, missing in rows))


if __name__ == "__main__":
    raise SystemExit(main())
