"""Every payload in every place of every format: each parses back, holds all that was written, and runs nothing."""

from __future__ import annotations

import csv
import io
from collections import Counter
from functools import cache
from typing import Any
from xml.etree import ElementTree

import docx
import openpyxl
import pytest
from payloads import ALL, LONG, SHORT
from planted import (
    addresses,
    chunks,
    csv_cells,
    document_of,
    drawing_of,
    excel_words,
    flat,
    harmless,
    heads_table,
    lost,
    package_parts,
    rows_table,
    tex_commands,
    untexed,
    words_of,
)

from evalkit.errors import UsageError
from evalkit.plain_text import clean_text
from evalkit.present.messages import say
from evalkit.present.numerals import number
from evalkit.present.tabulation import Tabulation
from evalkit.present.writers.grids import excel_text, is_dangerous, safe_text
from evalkit.present.writers.html import html_table
from evalkit.present.writers.hwpx import hwpx_bytes
from evalkit.present.writers.latex import latex_text
from evalkit.present.writers.spreadsheets import csv_bytes, xlsx_bytes
from evalkit.present.writers.word import word_bytes
from evalkit.present.writers.workbook import workbook_bytes
from evalkit.release import Release

TEXTS = [payload.text for payload in SHORT]
OFFICE = {"xlsx": workbook_bytes, "docx": word_bytes, "hwpx": hwpx_bytes}
_RUNS = {
    "f",
    "instrText",
    "fldSimple",
    "hyperlink",
    "object",
    "oleObject",
    "externalLink",
    "ddeLink",
    "script",
}


@cache
def parts_of(form: str, quiet: bool = False) -> dict[str, bytes]:
    return package_parts(OFFICE[form](document_of(harmless(TEXTS) if quiet else TEXTS)))


def kinds_in(parts: dict[str, bytes]) -> Counter[str]:
    """Elements of all XML parts."""
    return Counter(
        str(element.tag).rpartition("}")[2]
        for name, data in parts.items()
        if name.endswith((".xml", ".hpf"))
        for element in ElementTree.fromstring(data).iter()
    )


def words_in(form: str, parts: dict[str, bytes]) -> str:
    return excel_words(parts) if form == "xlsx" else words_of(parts)


def test_the_corpus_is_what_it_says() -> None:
    assert len(ALL) >= 220
    assert len({payload.text for payload in ALL}) == len(ALL)
    assert len({payload.kind for payload in ALL}) >= 20
    assert all(payload.why for payload in ALL)


# -- office formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", OFFICE)
def test_an_office_file_holds_every_text_and_runs_none(form: str) -> None:
    parts, quiet = parts_of(form), parts_of(form, quiet=True)
    assert lost(SHORT, words_in(form, parts)) == []
    assert addresses(parts) == []
    assert set(parts) == set(quiet)
    found, expected = kinds_in(parts), kinds_in(quiet)
    assert set(found) <= set(expected)
    assert {kind: found[kind] for kind in _RUNS} == {kind: expected[kind] for kind in _RUNS}


def test_other_software_opens_what_was_written() -> None:
    book = openpyxl.load_workbook(io.BytesIO(OFFICE["xlsx"](document_of(TEXTS[:40]))))
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert kinds <= {"s", "n", "inlineStr"}
    quoted = [
        cell for sheet in book for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)
    ]
    assert all(cell.quotePrefix for cell in quoted if is_dangerous(cell.value))
    assert docx.Document(io.BytesIO(OFFICE["docx"](document_of(TEXTS[:40])))).paragraphs


@pytest.mark.slow
@pytest.mark.parametrize("form", OFFICE)
def test_very_long_texts_break_no_office_file(form: str) -> None:
    parts = package_parts(OFFICE[form](document_of([payload.text for payload in LONG[:4]], heads=False)))
    if form != "xlsx":
        assert lost(LONG[:4], words_in(form, parts)) == []


def test_a_text_too_long_for_excel_says_that_it_was_cut() -> None:
    for payload in LONG:
        for lang in ("ko", "en"):
            written = excel_text(payload.text, lang)
            units = len(written.encode("utf-16-le")) // 2
            assert units <= 32_767
            if len(payload.text.encode("utf-16-le")) // 2 > 32_767:
                assert units > 32_500
                assert written.endswith(say("sheet.cut", lang, count=f"{len(payload.text):,}"))
            else:
                assert written == clean_text(payload.text)


def test_what_looks_like_an_escape_of_excel_stands_as_written() -> None:
    table = rows_table(["_x003D_1+1", "a_x000D_b", "_x5F_"])
    parts = package_parts(xlsx_bytes([table], title="_x0041_"))
    read = excel_words(parts)
    for text in ("_x003D_1+1", "a_x000D_b", "_x5F_", "_x0041_"):
        assert text in read


def test_a_sheet_has_a_name_that_excel_allows() -> None:
    tables = [
        Tabulation(name, "", rows_table(["가"]).columns, ())
        for name in ("history", "History", "a" * 60, "표지"[:0] + "x")
    ]
    names = openpyxl.load_workbook(io.BytesIO(xlsx_bytes(tables, title="가"))).sheetnames
    assert "history" not in {name.lower() for name in names}
    assert len({name.lower() for name in names}) == len(names)
    assert all(0 < len(name) <= 31 for name in names)


# -- CSV --------------------------------------------------------------------------------------------


def test_csv_holds_every_text_and_no_formula() -> None:
    content = csv_bytes(rows_table([payload.text for payload in ALL]))
    read = flat(" ".join(" ".join(row) for row in csv_cells(content)))
    wanted = [" ".join(safe_text(clean_text(payload.text)).replace("\u200e", "").split()) for payload in ALL]
    assert [text for text in wanted if text not in read] == []
    headed = b"".join(csv_bytes(heads_table(group, "t")) for group in chunks(TEXTS, 5))
    for data in (content, headed):
        text = data.decode("utf-8-sig").replace("\ufeff", "")
        csv.field_size_limit(10_000_000)
        for separator in (",", ";", "\t"):
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
                for cell in row:
                    assert not is_dangerous(cell) or _number(cell), (separator, cell)


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "before",
    ["", " ", "\u00a0", "\u3000", "\u200b", "\ufeff", "\t", "\n", "\x00", "가;", "가\t", "가\n", '가";'],
)
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_a_formula_is_met_wherever_a_spreadsheet_would(before: str, sign: str) -> None:
    written = safe_text(clean_text(f"{before}{sign}1+1"))
    at = written.index(sign)
    assert "'" in written[:at]
    assert written.replace("'", "") == clean_text(f"{before}{sign}1+1")


def test_numbers_that_are_text_stay_text_and_numbers_stay_numbers() -> None:
    assert safe_text("-1+1") == "'-1+1"
    rows = csv_cells(csv_bytes(Tabulation("t", "", rows_table([]).columns, [("-1+1", "1e5", "00150", -3.5)])))
    assert rows[1] == ["'-1+1", "1e5", "00150", "-3.5"]


# -- LaTeX ------------------------------------------------------------------------------------------


def test_latex_sets_every_text_and_runs_none() -> None:
    tex, quiet = latex_text(document_of(TEXTS)), latex_text(document_of(harmless(TEXTS)))
    assert lost(SHORT, untexed(tex)) == []
    assert tex_commands(tex) <= tex_commands(quiet) | {"\\newline"}
    assert tex.count("\\end{document}") == 1
    assert not {"\\input", "\\include", "\\write18", "\\immediate", "\\def", "\\csname"} & tex_commands(tex)


# -- figures ----------------------------------------------------------------------------------------


def test_pictures_drawn_from_every_text_are_shapes_alone() -> None:
    """A text without glyphs is refused in one sentence; all others are drawn, and nothing of them is markup."""
    from evalkit.present.canvas import canvas, finish
    from evalkit.report.guard import is_still

    glyphs = _glyphs()
    drawn = [p for p in SHORT if all(ord(sign) in glyphs or sign.isspace() for sign in clean_text(p.text))]
    with canvas(4) as (figure, axes):
        for k, payload in enumerate(drawn):
            axes.text(0, k, payload.text).set_in_layout(False)
        axes.set_yticks([0, 1], ["$\\frac{1}{2}$", "<b>\x00"])
        axes.set_xlabel("\u202e=1+1")
        drawing = finish(figure, name="all", title="가", alt="나", data=rows_table(["다"]))
    assert len(drawn) > 300
    assert is_still(drawing.svg)
    assert not [
        payload.name
        for payload in drawn
        if clean_text(payload.text).replace("\t", " ").strip() not in drawing.words
    ]
    assert Release().figure(drawing).payload["svg"] == drawing.svg
    with canvas(1) as (figure, axes):
        axes.set_xlabel("\U00012000 쐐기 글자")
        with pytest.raises(UsageError, match="글꼴에 없는 글자"):
            finish(figure, name="one", title="가", alt="나", data=rows_table(["다"]))


def _glyphs() -> set[int]:
    from fontTools.ttLib import TTFont
    from matplotlib import font_manager

    from evalkit.present.canvas import FONTS

    paths = [*FONTS.glob("*Regular.otf"), *FONTS.glob("*Regular.ttf"), font_manager.findfont("DejaVu Sans")]
    return {sign for path in paths for sign in TTFont(path).getBestCmap()}


# -- HTML fragments ---------------------------------------------------------------------------------


def test_every_table_in_html_is_well_formed() -> None:
    """As XML too, which forgives nothing: every attribute closed, every element in its place."""
    for table in (rows_table(TEXTS), *(heads_table(group, "t") for group in chunks(TEXTS, 5))):
        markup = html_table(table).replace("<br>", "<br/>")
        root = ElementTree.fromstring(markup)
        assert {str(e.tag) for e in root.iter()} <= set(
            "div table caption colgroup thead tbody tr th td br p span".split()  # noqa: SIM905
        )


def test_words_of_a_figure_are_clean() -> None:
    for group in chunks(TEXTS, 5):
        drawing: Any = drawing_of(group, "d")
        for part in (drawing.title, drawing.alt, drawing.note):
            assert part == clean_text(part)
    assert number(1234) == "1,234"
