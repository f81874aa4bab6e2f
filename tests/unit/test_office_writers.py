"""Word and Excel of a document made by hand: read back with the libraries, and as the XML that they are."""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
from dataclasses import replace
from typing import Any

import docx
import openpyxl
import pytest
from docx.oxml.ns import qn
from lxml import etree

from evalkit.errors import UsageError
from evalkit.present.document import (
    Answer,
    Document,
    Exhibit,
    Heading,
    Part,
    Picture,
    Prose,
    Remark,
    numbered,
)
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.present.writers.grids import flatten, number_format, with_groups
from evalkit.present.writers.spreadsheets import csv_bytes
from evalkit.present.writers.word import word_bytes
from evalkit.present.writers.word_math import formula
from evalkit.present.writers.word_tables import fit_of
from evalkit.present.writers.workbook import workbook_bytes

NASTY = "=cmd\u202e|' /C calc'!A0 <b>&amp;\x07\ufffe"
CLEAN = "=cmd[U+202E]|' /C calc'!A0 <b>&amp;\ufffd\ufffd"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="144pt" height="72pt" viewBox="0 0 144 72">'
    '<path d="M 0 0 L 144 72" stroke="#0b3c6f" fill="none"/></svg>'
)
TABLE = Tabulation(
    "effects",
    "단계별 효과",
    (
        Column("what", "결과"),
        Column("value", "추정값", "number", "명", 1, "1단계"),
        Column("range", "95% 신뢰구간", "interval", digits=1, group="1단계"),
        Column("p", "p값", "p_value"),
        Column("n", "기업 수", "integer"),
    ),
    (
        ("고용", None, None, None, None),
        (NASTY, 1234.56, (-0.25, 2.5), 0.0004, 196),
        ("총량", Entry(371.4, "number", None, "명"), (1.0, float("inf")), 0.0312, None),
        ("모두", 12.0, None, 0.99971, 4000),
    ),
    notes=("* 가린 값이다.", "† 설명."),
    marks={(1, 1): "†", (2, 4): "*"},
    roles=("heading", "body", "body", "total"),
)
FIGURE = Picture("paths", "고용은 늘었다", SVG, "두 집단의 경로", replace(TABLE, name="paths"), "점은 평균.")


def document(**changes: Any) -> Document:
    part = Part(
        "02_effect_jobs",
        "효과 추정",
        "고용 · 1단계",
        (
            Heading(2, "결론"),
            Answer("고용", "+1.89명/기업 [1.31, 2.48]", f"늘었다. {NASTY}", "3"),
            Prose(
                "글 **굵게** &lt;script>와 `코드`와 $x_i^2$\n\n- 하나\n- 둘\n\n3. 셋\n4. 넷\n\n| 가 | 나 |\n|---|--:|\n| 1 | 2 |"
            ),
            Remark("caution", "조심할 점"),
            Exhibit(TABLE),
            FIGURE,
            Exhibit(replace(TABLE, name="again")),
        ),
    )
    gone = Part("03_value", "비용", state="failed", sentence="자료가 없어 멈췄다.")
    made = Document(
        name="small",
        title="성과평가",
        programme="클러스터",
        question="얼마나 달라졌는가?",
        lang="ko",
        parts=(part, gone),
        banners=("모의 자료로 만든 보고서입니다.",),
        facts=(("계획 해시", "559bae56951c"),),
    )
    return replace(made, **changes)


@pytest.fixture(scope="module")
def word() -> bytes:
    return word_bytes(document())


@pytest.fixture(scope="module")
def book() -> Any:
    return openpyxl.load_workbook(io.BytesIO(workbook_bytes(document())))


def opened(content: bytes) -> Any:
    return docx.Document(io.BytesIO(content))


def texts_of(table: Any) -> list[list[str]]:
    """Cells as text; a cell that reaches over columns stands once."""
    rows = []
    for row in table._tbl.tr_lst:
        rows.append(["".join(t.text or "" for t in cell.iter(qn("w:t"))) for cell in row.tc_lst])
    return rows


# -- numbers of all formats -----------------------------------------------------------------------


def test_blocks_are_numbered_through_the_document_each_kind_by_itself() -> None:
    found = [(type(block).__name__, number) for _, block, number in numbered(document()) if number]
    assert found == [("Exhibit", 1), ("Picture", 1), ("Exhibit", 2)]


def test_every_cell_of_a_word_table_is_the_text_of_the_page(word: bytes) -> None:
    table = opened(word).tables[1]  # the first stands in the prose
    body = texts_of(table)[2:]
    assert body[0] == ["고용"]
    wanted = [[TABLE.text(r, c) for c in range(5)] for r in (1, 2, 3)]
    wanted[0][0] = CLEAN
    assert [[cell.replace("\u00a0", " ") for cell in row] for row in body[1:]] == wanted
    assert wanted[0][1:] == ["1,234.6†", "[−0.2, 2.5]", "< 0.001", "196"]


def test_every_number_of_the_workbook_is_the_number_of_the_page(book: Any) -> None:
    sheet = book["표 1"]
    top = next(row[0].row for row in sheet.iter_rows() if row[0].value == "구분")
    header = [cell.value for cell in sheet[top]]
    low, high = "1단계 · 95% 신뢰구간 하한", "1단계 · 95% 신뢰구간 상한"
    assert header == ["구분", "결과", "1단계 · 추정값 (명)", low, high, "p값", "기업 수"]
    rows = [[cell.value for cell in sheet[top + k]] for k in (1, 2, 3)]
    assert rows[0] == ["고용", CLEAN, 1234.56, -0.25, 2.5, 0.0004, 196]
    assert rows[1] == ["고용", "총량", 371.4, 1, "∞", 0.0312, "*"]
    assert rows[2] == ["고용", "모두", 12, "–", "–", 0.99971, 4000]
    assert sheet.cell(top + 1, 3).number_format == '#,##0.0"†"'
    assert sheet.cell(top + 2, 3).number_format == '#,##0"명"'  # two figures of 371, as the page writes it
    assert TABLE.text(2, 1) == "371명"
    assert sheet.cell(top + 1, 6).number_format == '[<0.001]"< 0.001";0.000'
    assert sheet.cell(top + 3, 6).number_format == '"> 0.999"'
    assert TABLE.text(3, 3) == "> 0.999"


def test_a_table_keeps_its_digits_when_its_headings_become_a_column() -> None:
    bare = replace(TABLE, columns=tuple(replace(c, digits=None) for c in TABLE.columns))
    grouped = with_groups(bare)
    assert [grouped.digits(c + 1) for c in range(1, 5)] == [bare.digits(c) for c in range(1, 5)]
    assert grouped.marks == {(0, 2): "†", (1, 5): "*"}
    assert with_groups(replace(TABLE, roles=("body",) * 4)).columns == TABLE.columns


def test_a_unit_cannot_end_the_number_format() -> None:
    assert number_format("number", 1, '명"0') == '#,##0.0"명″0"'
    grid = flatten(replace(TABLE, marks={(1, 1): '"@'}))
    assert grid.row_formats[1, 1] == '#,##0.0"″@"'


# -- Excel ----------------------------------------------------------------------------------------


def test_the_workbook_can_be_read_by_eye_by_ear_and_by_a_program(book: Any) -> None:
    assert book.sheetnames == ["표지", "차례", "참고", "표 1", "그림 1", "표 2"]
    assert book.properties.title == "성과평가"
    assert book.properties.language == "ko-KR"
    for sheet in book:
        assert not sheet.merged_cells.ranges
        (table,) = sheet.tables.values()
        cells = sheet[table.ref]
        assert all(cell.value not in (None, "") for row in cells for cell in row), sheet.title
        assert [cell.value for cell in cells[0]] == [column.name for column in table.tableColumns]
    cover = {row[0].value: row[1].value for row in book["표지"].iter_rows(min_row=3)}
    assert cover["알림"] == "모의 자료로 만든 보고서입니다."
    assert cover["싣지 못한 보고서"] == "비용: 자료가 없어 멈췄다."
    assert cover["계획 해시"] == "559bae56951c"
    assert [row[0].value for row in book["차례"].iter_rows(min_row=3)] == ["표 1", "그림 1", "표 2"]
    assert {row[0].value for row in book["참고"].iter_rows(min_row=3)} >= {"*", "–", "†", "∞"}
    sheet = book["표 1"]
    first = [row[0].value for row in sheet.iter_rows(max_col=1)]
    assert first[:3] == [
        "표 1. 단계별 효과",
        "보고서: 효과 추정 · 고용 · 1단계",
        "모의 자료로 만든 보고서입니다.",
    ]
    said = next(re.search(r"(\d+)행", line) for line in first if line and line.startswith("주 2개"))
    assert said is not None
    assert sheet.cell(int(said[1]), 1).value == "* 가린 값이다."
    assert sheet.freeze_panes == f"C{first.index('고용') + 1}"
    assert "두 집단의 경로" in str(book["그림 1"]["A4"].value)


def test_nothing_in_the_workbook_runs_or_leads_out_of_it(book: Any) -> None:
    content = workbook_bytes(document())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert not [n for n in archive.namelist() if "vba" in n.lower() or "externalLink" in n]
        sheets = [archive.read(n) for n in archive.namelist() if n.startswith("xl/worksheets/")]
        relations = b"".join(archive.read(n) for n in archive.namelist() if n.endswith(".rels"))
    assert b"External" not in relations
    assert not [sheet for sheet in sheets if b"<f>" in sheet or b"<f " in sheet]
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type in ("s", "n")
                if cell.hyperlink:
                    assert cell.hyperlink.target is None
                    assert re.fullmatch(r"'[^'!]+'!A1", cell.hyperlink.location)


def test_a_table_without_rows_and_headers_that_repeat_make_a_valid_sheet() -> None:
    bare = Tabulation("none", "빈 표", (Column("a", "가"), Column("b", "가"), Column("c", "")), ())
    part = Part("p", "쪽", blocks=(Exhibit(bare),))
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes(document(parts=(part,)))))
    (table,) = book["표 1"].tables.values()
    assert [column.name for column in table.tableColumns] == ["가", "가 (2)", "항목"]
    assert [cell.value for cell in book["표 1"][table.ref][1]] == ["해당하는 행이 없다.", "–", "–"]


# -- Word -----------------------------------------------------------------------------------------


def test_headings_captions_and_answers_have_their_styles(word: bytes) -> None:
    found = [(p.style.name, p.text) for p in opened(word).paragraphs if p.text]
    assert ("Title", "성과평가") in found
    headings = [(style, text) for style, text in found if style.startswith("Heading")]
    assert headings == [
        ("Heading 1", "효과 추정 · 고용 · 1단계"),
        ("Heading 2", "결론"),
        ("Heading 1", "비용"),
        ("Heading 1", "재현 정보"),
    ]
    captions = [
        "".join(t.text for t in p._p.iter(qn("w:t")))
        for p in opened(word).paragraphs
        if p.style.name == "Caption"
    ]
    assert captions == ["표 1. 단계별 효과", "그림 1. 고용은 늘었다", "표 2. 단계별 효과"]
    assert ("Ek Answer Value", "+1.89명/기업 [1.31,\u00a02.48]") in found
    assert ("Ek Remark Danger", "경고 자료가 없어 멈췄다.") in found
    assert ("Ek Remark Danger", "비용: 자료가 없어 멈췄다.") in found  # on the cover too
    assert ("Ek Remark Caution", "주의 조심할 점") in found
    assert ("Ek Table Note", "† 설명.") in found
    assert [text for style, text in found if style.startswith("toc")] == [text for _, text in headings]


def test_header_rows_repeat_and_are_marked_and_the_table_says_what_it_holds(word: bytes) -> None:
    table = opened(word).tables[1]._tbl
    marked = [row.trPr is not None and row.trPr.find(qn("w:tblHeader")) is not None for row in table.tr_lst]
    assert marked == [True, True, False, False, False, False]
    assert table.tblPr.find(qn("w:tblCaption")).get(qn("w:val")) == "단계별 효과"
    assert table.tblPr.find(qn("w:tblDescription")).get(qn("w:val")) == "* 가린 값이다. † 설명."
    assert texts_of(opened(word).tables[1])[:2] == [
        ["결과", "1단계", "p값", "기업 수"],
        ["", "추정값 (명)", "95% 신뢰구간", "", ""],
    ]
    for row in table.tr_lst:  # every row fills the grid
        spans = [cell.tcPr.find(qn("w:gridSpan")) for cell in row.tc_lst]
        assert sum(1 if span is None else int(span.get(qn("w:val"))) for span in spans) == 5


def kept(table: Any) -> list[bool]:
    """For every row, whether all its cells stay with what follows."""
    return [
        all(p.pPr is not None and p.pPr.find(qn("w:keepNext")) is not None for p in row.iter(qn("w:p")))
        for row in table._tbl.tr_lst
    ]


def test_a_short_table_is_not_broken_between_pages_and_no_row_of_a_long_one_stands_alone(word: bytes) -> None:
    assert kept(opened(word).tables[1]) == [True] * 6  # header, rows and the first note
    columns = (Column("a", "가"), Column("b", "나", "integer"))
    for count, notes, wanted in (
        (14, (), [True] * 14 + [False]),
        (20, ("주",), [True] * 3 + [False] * 15 + [True] * 3),
    ):
        rows = [(str(k), k) for k in range(count)]
        part = Part("p", "쪽", blocks=(Exhibit(Tabulation("t", "", columns, rows, notes=notes)),))
        assert kept(opened(word_bytes(document(parts=(part,)))).tables[0]) == wanted


def test_notes_stay_together_and_apart_from_the_text_that_follows(word: bytes) -> None:
    notes = [p for p in opened(word).paragraphs if p.style.name == "Ek Table Note"][:2]
    assert [bool(p.paragraph_format.keep_with_next) for p in notes] == [True, False]
    assert notes[1].paragraph_format.space_after.pt == 8


def test_pictures_say_what_they_show(word: bytes) -> None:
    (shape,) = opened(word).inline_shapes
    described = shape._inline.docPr
    assert (described.get("descr"), described.get("name")) == ("두 집단의 경로", "그림 1")
    assert (shape.width.pt, shape.height.pt) == (144, 72)
    with zipfile.ZipFile(io.BytesIO(word)) as archive:
        (name,) = [n for n in archive.namelist() if n.startswith("word/media/")]
        png = archive.read(name)
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (400, 200)  # 200 dpi


def test_lists_are_lists_and_begin_where_the_text_says(word: bytes) -> None:
    opened_word = opened(word)
    items = [p for p in opened_word.paragraphs if p.style.name.startswith("List")]
    assert [(p.style.name, p.text) for p in items] == [
        ("List Bullet", "하나"),
        ("List Bullet", "둘"),
        ("List Number", "셋"),
        ("List Number", "넷"),
    ]
    numbers = {p._p.pPr.numPr.numId.val for p in items[2:]}
    assert len(numbers) == 1
    numbering = opened_word.part.numbering_part.element
    (made,) = [n for n in numbering.num_lst if n.numId in numbers]
    assert [int(start.val) for start in made.iter(qn("w:startOverride"))] == [3]


def test_the_document_says_its_language_fonts_paper_and_pages(word: bytes) -> None:
    opened_word = opened(word)
    properties = opened_word.core_properties
    assert (properties.language, properties.title, properties.author) == ("ko-KR", "성과평가", "evalkit")
    defaults = opened_word.styles.element.find(qn("w:docDefaults"))
    fonts = next(defaults.iter(qn("w:rFonts")))
    assert {fonts.get(qn(f"w:{slot}")) for slot in ("ascii", "hAnsi", "eastAsia")} == {"맑은 고딕"}
    assert next(defaults.iter(qn("w:lang"))).get(qn("w:eastAsia")) == "ko-KR"
    for style in opened_word.styles.element.iter(qn("w:rFonts")):
        assert not [name for name in style.attrib if "Theme" in name]
    section = opened_word.sections[0]
    assert (round(section.page_width.mm), round(section.page_height.mm)) == (210, 297)
    assert "모의 자료로 만든 보고서입니다." in [p.text for p in section.header.paragraphs]
    fields = [f.get(qn("w:instr")).strip() for f in section.footer._element.iter(qn("w:fldSimple"))]
    assert fields == ["PAGE", "NUMPAGES"]
    contents = [i.text.strip() for i in opened_word.element.body.iter(qn("w:instrText"))]
    assert contents == ['TOC \\o "1-2" \\h \\z \\u']


def test_text_from_data_is_text_in_word_and_nothing_loads(word: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(word)) as archive:
        names = archive.namelist()
        parts = {n: archive.read(n) for n in names}
    for name, content in parts.items():
        if name.endswith((".xml", ".rels")):
            etree.fromstring(content)
    assert b'TargetMode="External"' not in b"".join(v for k, v in parts.items() if k.endswith(".rels"))
    assert not [n for n in names if "vba" in n.lower() or "embeddings" in n or "thumbnail" in n]
    assert {m.decode() for m in re.findall(rb'instr="([^"]*)"', parts["word/document.xml"])} == {
        " SEQ 표 \\* ARABIC ",
        " SEQ 그림 \\* ARABIC ",
    }
    answer = next(p.text for p in opened(word).paragraphs if p.style.name == "Ek Answer Text")
    assert answer == f"늘었다. {CLEAN}"
    prose = next(p.text for p in opened(word).paragraphs if p.text.startswith("글 굵게"))
    assert "<script>" in prose


def test_a_formula_is_a_formula_and_what_cannot_be_is_its_tex() -> None:
    made = formula(r"\frac{x_i^2}{\sqrt{n}}")
    names = [etree.QName(e).localname for e in made.iter()]
    assert names[0] == "oMath"
    assert {"f", "num", "den", "sSubSup", "rad"} <= set(names)
    assert "".join(made.itertext()) == "xi2n"
    shown = formula(r"\begin{matrix} a \end{matrix}")
    assert shown.tag == qn("w:r")
    assert "matrix" in shown.text


def test_a_table_too_wide_for_the_page_stands_across() -> None:
    wide = Tabulation(
        "wide",
        "넓은 표",
        tuple(Column(f"c{k}", f"구분할수없는긴머리글{k}") for k in range(9)),
        (("가나다라마바사",) * 9,),
    )
    assert fit_of(wide).landscape
    assert not fit_of(TABLE).landscape
    part = Part("p", "쪽", blocks=(Exhibit(wide), Prose("다음")))
    sections = opened(word_bytes(document(parts=(part,)))).sections
    assert [s.page_width > s.page_height for s in sections] == [False, True, False]


@pytest.mark.parametrize("write", [word_bytes, workbook_bytes])
def test_the_same_document_gives_the_same_bytes(write: Any) -> None:
    first, second = write(document()), write(document())
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_english_words_where_the_document_is_english() -> None:
    english = document(lang="en")
    table = replace(TABLE, lang="en")
    english = replace(english, parts=(replace(english.parts[0], blocks=(Exhibit(table),)),))
    captions = [
        "".join(t.text for t in p._p.iter(qn("w:t")))
        for p in opened(word_bytes(english)).paragraphs
        if p.style.name == "Caption"
    ]
    assert captions == ["Table 1. 단계별 효과"]
    assert openpyxl.load_workbook(io.BytesIO(workbook_bytes(english))).sheetnames == [
        "Cover",
        "Contents",
        "Notes",
        "Table 1",
    ]


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(UsageError, match=r'pip install "evalkit\[office\]"'):
        word_bytes(document())


def test_csv_writes_what_stands_in_a_text_cell_with_its_mark() -> None:
    table = Tabulation("t", "", (Column("a", "가"),), (("나",),), marks={(0, 0): "†"})
    assert csv_bytes(table).decode("utf-8-sig").splitlines() == ["가", "나†"]


def csv_rows(table: Tabulation) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_bytes(table).decode("utf-8-sig"), newline="")))


def test_csv_keeps_units_and_marks_apart_from_numbers_and_says_withheld_the_same_everywhere() -> None:
    table = replace(TABLE, marks={**TABLE.marks, (3, 2): "*"})  # an interval withheld
    header, *rows = csv_rows(table)
    assert header == [
        "구분", "결과", "1단계 · 추정값 (명)", "1단계 · 추정값 (명) 단위", "1단계 · 추정값 (명) 표시",
        "1단계 · 95% 신뢰구간 하한", "1단계 · 95% 신뢰구간 상한", "p값", "기업 수",
    ]  # fmt: skip
    assert rows[0] == ["고용", f"'{CLEAN}", "1234.56", "", "†", "-0.25", "2.5", "0.0004", "196"]
    assert rows[1] == ["고용", "총량", "371.4", "명", "", "1", "∞", "0.0312", "*"]
    assert rows[2] == ["고용", "모두", "12", "", "", "*", "*", "0.99971", "4000"]


def test_a_unit_that_a_column_shares_goes_to_its_header_in_csv() -> None:
    rows = (("가", Entry(1.5, unit="명")), ("나", Entry(2.5, unit="명")), ("다", None))
    table = Tabulation("t", "", (Column("a", ""), Column("b", "값", "number")), rows)
    assert csv_rows(table) == [["항목", "값 (명)"], ["가", "1.5"], ["나", "2.5"], ["다", ""]]


LONG_UNIT = (
    "지원 기업 한 곳이 한 해에 새로 채용한 상시 근로자 가운데 청년의 수를 국비 1억원으로 나눈 값(명/억원)"
)


def test_a_unit_too_long_for_a_number_format_is_said_whole_elsewhere() -> None:
    shared = Tabulation(
        "t", "", (Column("a", "가"), Column("b", "값", "number")), (("나", Entry(1.5, unit=LONG_UNIT)),)
    )
    assert flatten(shared).header == ["가", f"값 ({LONG_UNIT})"]
    assert flatten(shared).row_formats == {(0, 1): "#,##0.0"}
    more = (*shared.rows, ("다", Entry(2.0, unit="명")))
    mixed = replace(shared, rows=more, roles=(), marks={(0, 1): "†"})
    grid = flatten(mixed)
    assert grid.header == ["가", "값", "값 단위"]
    assert [row[1:] for row in grid.rows] == [[1.5, LONG_UNIT], [2.0, "명"]]
    assert grid.row_formats[0, 1] == '#,##0.0"†"'
    marked = replace(shared, rows=(("나", 1.5),), marks={(0, 1): LONG_UNIT})
    assert flatten(marked).rows == [["나", 1.5, LONG_UNIT]]
    for table in (shared, mixed, marked):
        book = openpyxl.load_workbook(
            io.BytesIO(workbook_bytes(document(parts=(Part("p", "쪽", blocks=(Exhibit(table),)),))))
        )
        cells = [str(cell.value) for row in book["표 1"].iter_rows() for cell in row]
        assert any(LONG_UNIT in cell for cell in cells)
        assert all(len(c.number_format) <= 255 for row in book["표 1"].iter_rows() for c in row)


def test_a_column_name_too_long_for_excel_is_shortened_visibly_and_said_whole_below() -> None:
    names = ["가" * 260 + "나", "가" * 260 + "다"]
    bare = Tabulation("t", "", tuple(Column(f"c{k}", name) for k, name in enumerate(names)), ((1, 2),))
    book = openpyxl.load_workbook(
        io.BytesIO(workbook_bytes(document(parts=(Part("p", "쪽", blocks=(Exhibit(bare),)),))))
    )
    (table,) = book["표 1"].tables.values()
    shown = [column.name for column in table.tableColumns]
    assert len(set(shown)) == 2
    assert all(len(name) <= 255 and "…" in name for name in shown)
    said = " ".join(str(row[0].value) for row in book["표 1"].iter_rows(max_col=1))
    assert all(name in said for name in names)


def test_the_ends_of_an_interval_in_two_rows_are_told_by_the_name_of_the_row() -> None:
    """With panels the first column says the panel; the row's own name says which end it holds."""
    table = Tabulation(
        "t", "", (Column("a", ""), Column("b", "(1)", "number")),
        (("고용", None), ("지원", Entry(1.5)), ("신뢰구간", Entry((1.0, 2.0), "interval"))),
        roles=("heading", "body", "body"),
    )  # fmt: skip
    rows = flatten(with_groups(table)).rows
    assert [row[:2] for row in rows] == [
        ["고용", "지원"],
        ["고용", "신뢰구간 하한"],
        ["고용", "신뢰구간 상한"],
    ]
