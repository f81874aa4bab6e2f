"""Markdown read into paragraphs: what Word, HWPX and LaTeX write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.sample_document import HOSTILE, MARKDOWN, empty_table, full_table, plain_table

from evalkit.plain_text import clean_text
from evalkit.present.writers.layout import (
    column_widths,
    fits,
    header_cells,
    text_width,
    with_digits,
    word_width,
)
from evalkit.present.writers.prose import Grid, Paragraph, Run, read_prose


def test_every_construct_has_its_kind_level_and_marker() -> None:
    found = [(p.kind, p.level, p.marker) for p in read_prose(MARKDOWN) if isinstance(p, Paragraph)]
    assert found == [
        ("paragraph", 0, ""),
        ("paragraph", 0, ""),
        ("item", 1, "•"),
        ("item", 2, "◦"),
        ("item", 3, "▪"),
        ("item", 1, "•"),
        ("item", 1, ""),
        ("item", 1, "3."),
        ("item", 1, "4."),
        ("quote", 1, ""),
        ("code", 0, ""),
        ("formula", 0, ""),
        ("rule", 0, ""),
        ("paragraph", 0, ""),
        ("item", 1, "[1]"),
    ]


def test_appearance_is_kept_run_by_run() -> None:
    read = read_prose("**나 *다* 라** `마 <b>` ~~바~~ $x^2$\n사  \n아")[0]
    assert isinstance(read, Paragraph)
    assert read.runs == (
        Run("나 ", bold=True),
        Run("다", bold=True, italic=True),
        Run(" 라", bold=True),
        Run(" "),
        Run("마 <b>", code=True),
        Run(" "),
        Run("바", strike=True),
        Run(" "),
        Run("x^2", formula=True),
        Run(" 사\n아"),
    )


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("글 <b onclick=x>굵게</b>", "글 <b onclick=x>굵게</b>"),
        ("[글](http://a.invalid/b)", "글 (http://a.invalid/b)"),
        ("[글](javascript:alert)", "글 (javascript:alert)"),
        ("<http://a.invalid>", "http://a.invalid"),
        ("![말](http://a.invalid/x.png)", "말"),
        ("&lt;b> &amp; &copy;", "<b> & ©"),
        ("[절](#s1)", "절"),
    ],
)
def test_what_would_load_or_link_is_text(markdown: str, text: str) -> None:
    assert "".join(p.text for p in read_prose(markdown) if isinstance(p, Paragraph)) == text


def test_a_table_keeps_its_cells_and_which_columns_are_numbers() -> None:
    (grid,) = (p for p in read_prose(MARKDOWN) if isinstance(p, Grid))
    assert [[cell[0].text for cell in row] for row in (grid.head, *grid.rows)] == [
        ["이름", "값"],
        ["가", "1"],
        ["나 & 다", "2"],
    ]
    assert grid.right == (False, True)


def test_a_list_in_a_list_without_words_of_its_own_keeps_its_marks() -> None:
    found = [(p.marker, p.level, p.text) for p in read_prose("- - 가\n- \n- 나") if isinstance(p, Paragraph)]
    assert found == [("•", 1, ""), ("◦", 2, "가"), ("•", 1, ""), ("•", 1, "나")]


_SIGNS = st.sampled_from(
    [*list("가나 ab*_`~$[]()<>!#|-+1.>&;:\n\\\"'"), "\n\n", "```", "- ", "$$", "http://a"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_SIGNS, max_size=40).map("".join) | st.sampled_from(HOSTILE))
def test_no_letter_of_prose_is_lost(markdown: str) -> None:
    # fences, links, references and tables name or drop some letters, on the page as here
    read = "".join(
        p.text
        if isinstance(p, Paragraph)
        else "".join(r.text for row in (p.head, *p.rows) for c in row for r in c)
        for p in read_prose(markdown)
    )
    wanted = [letter for letter in clean_text(markdown) if letter in "가나"]
    if "```" not in markdown and "](" not in markdown and "]:" not in markdown and "|" not in markdown:
        assert [letter for letter in read if letter in "가나"] == wanted


# -- where cells stand ------------------------------------------------------------------------------


def test_header_cells_tile_one_or_two_rows() -> None:
    for table in (full_table(), plain_table(), empty_table()):
        cells = header_cells(table)
        rows = 1 + max(cell.row for cell in cells)
        taken = [
            (cell.row + i, cell.column + j)
            for cell in cells
            for i in range(cell.down)
            for j in range(cell.across)
        ]
        assert sorted(taken) == [(r, c) for r in range(rows) for c in range(len(table.columns))]
    assert [cell.down for cell in header_cells(plain_table())] == [1, 1, 1]


def test_width_counts_hangul_twice_and_marks_not_at_all() -> None:
    assert (text_width("가나 ab"), text_width("e\u0301"), text_width("가\nabc"), text_width("")) == (
        7,
        1,
        3,
        0,
    )
    assert word_width("긴낱말 a bc") == 6


@given(
    st.lists(st.lists(st.text("가a 1\n", max_size=30), min_size=1, max_size=4), min_size=1, max_size=15),
    st.integers(5_000, 60_000),
)
def test_columns_share_the_line_exactly(columns: list[list[str]], total: int) -> None:
    widths = column_widths(columns, total, unit=450, padding=566)
    assert sum(widths) == total
    assert min(widths) > 0
    if fits(columns, total, unit=450, padding=566):
        words = [566 + 450 * max(map(word_width, texts)) for texts in columns]
        assert all(width >= word for width, word in zip(widths, words, strict=True))


def test_decimals_chosen_once_write_every_cell_alike() -> None:
    table = full_table()
    settled = with_digits(table)
    assert all(column.digits is not None for column in settled.columns)
    for r in range(len(table.rows)):
        for c in range(len(table.columns)):
            assert settled.text(r, c) == table.text(r, c)
