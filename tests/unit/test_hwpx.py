"""HWPX: valid against the schema of the standard, formed like the word processor's own files, and nothing lost.

Hancom Office runs on none of our machines, so no test opens a file in it. What stands in for it: the schema (KS X 6101, in
the edition that python-hwpx carries), the rules that python-hwpx measured against Hancom Office, and a checker of our own
with what people reported of files that it refused, crashed on or cut short.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.helpers.hwpx_checks import HH, HP, Read, Table, faults, read_hwpx
from tests.helpers.sample_document import HOSTILE, SVG, full_table, sample_document

from evalkit.errors import UsageError
from evalkit.plain_text import clean_text
from evalkit.present.document import Document, Exhibit, Heading, Part, Picture, Prose, Remark
from evalkit.present.messages import say
from evalkit.present.tabulation import Column, Tabulation
from evalkit.present.writers.hwpx import hwpx_bytes
from evalkit.present.writers.layout import header_cells
from evalkit.present.writers.pictures import png_of, png_size
from evalkit.present.writers.prose import Grid, read_prose

HEADER, BODY, PACKAGE = "Contents/header.xml", "Contents/section0.xml", "Contents/content.hpf"


@cache
def sample(lang: str = "ko") -> bytes:
    return hwpx_bytes(sample_document("en" if lang == "en" else "ko"))


@cache
def sample_read() -> Read:
    return read_hwpx(sample())


def with_blocks(*blocks: object) -> Document:
    return replace(sample_document(), parts=(Part("p", "쪽", blocks=blocks),))  # type: ignore[arg-type]


def said(text: str) -> str:
    """Text as a format with lines shows it: clean, tabs and unbroken spaces as spaces."""
    return clean_text(text).replace("\t", " ").replace("\xa0", " ")


def changed(content: bytes, name: str, old: str, new: str) -> bytes:
    """A copy of the file with one part changed once."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename == name:
                assert old.encode() in data
                data = data.replace(old.encode(), new.encode(), 1)
            target.writestr(info, data)
    return out.getvalue()


# -- the form of the file ---------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_a_document_with_one_of_everything_has_no_fault(lang: str) -> None:
    assert faults(sample(lang)) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (HEADER, '<hh:styles itemCnt="', '<hh:styles itemCnt="1'),
        (HEADER, '<hh:borderFill id="1"', '<hh:borderFill id="0"'),
        (HEADER, '<hh:charPr id="0"', '<hh:charPr id="77"'),
        (HEADER, 'fontCnt="2"', 'fontCnt="3"'),
        (HEADER, 'hangul="1"', 'hangul="9"'),
        (HEADER, 'width="0.1 mm"', 'width="0.1mm"'),
        (HEADER, 'secCnt="1"', 'secCnt="2"'),
        (HEADER, 'tabPrIDRef="0"', 'tabPrIDRef="9"'),
        (HEADER, '<hh:heading type="BULLET" idRef="1"', '<hh:heading type="BULLET" idRef="8"'),
        (HEADER, ' standalone="yes"', ""),
        (HEADER, 'xmlns:hpf="http://www.hancom.co.kr/schema/2011/hpf"', ""),
        (BODY, 'charPrIDRef="0"', 'charPrIDRef="999"'),
        (BODY, 'paraPrIDRef="1"', 'paraPrIDRef="999"'),
        (BODY, 'styleIDRef="1"', 'styleIDRef="999"'),
        (
            BODY,
            '<hp:tc name="" header="1" hasMargin="0" protect="0" editable="0" dirty="0" borderFillIDRef="',
            '<hp:tc header="1" borderFillIDRef="99',
        ),
        (BODY, 'outlineShapeIDRef="1"', 'outlineShapeIDRef="0"'),
        (BODY, 'rowCnt="7"', 'rowCnt="8"'),
        (BODY, 'colCnt="7"', 'colCnt="6"'),
        (BODY, 'colAddr="1"', 'colAddr="2"'),
        (BODY, 'rowSpan="2"', 'rowSpan="1"'),
        (BODY, '<hp:cellMargin left="283" right="283" top="141" bottom="141"/>', ""),
        (BODY, '<hp:cellSz width="', '<hp:cellSz width="9'),
        (BODY, 'header="1"', 'header="0"'),
        (BODY, 'repeatHeader="1"', 'repeatHeader="0"'),
        (BODY, '<hp:p id="2"', '<hp:p id="3"'),
        (BODY, "<hp:startNum", "<hp:linesegarray/><hp:startNum"),
        (BODY, '<hp:pageBorderFill type="ODD"', '<hp:pageBorderFill type="BOTH"'),
        (BODY, "<hp:ctrl><hp:pageNum", "<hp:ctrl/><hp:ctrl><hp:pageNum"),
        (BODY, 'binaryItemIDRef="image1"', 'binaryItemIDRef="image2"'),
        (BODY, "<hc:scaMatrix", "<hc:rotMatrix"),
        (BODY, "<hp:shapeComment>사건연구 그림. 가로축은 경과 연수.</hp:shapeComment>", "<hp:shapeComment/>"),
        (BODY, 'href=""', 'href="http://evil.invalid"'),
        (BODY, "<hp:t>결론</hp:t>", "<hp:t>결론</hp:t>글"),
        (PACKAGE, 'href="BinData/image1.png"', 'href="../BinData/image1.png"'),
        (PACKAGE, 'media-type="image/png"', 'media-type="image/bmp"'),
        (PACKAGE, '<opf:itemref idref="header" linear="yes"/>', ""),
        ("version.xml", "tagetApplication", "targetApplication"),
        ("META-INF/container.xml", 'media-type="text/plain"', ""),
    ],
)
def test_the_checker_sees_what_the_word_processor_refuses_or_loses(name: str, old: str, new: str) -> None:
    assert faults(changed(sample(), name, old, new)) != []


def test_the_kind_of_file_stands_first_and_bare() -> None:
    archive = zipfile.ZipFile(io.BytesIO(sample()))
    first = archive.infolist()[0]
    assert (first.filename, first.compress_type, archive.read(first)) == (
        "mimetype",
        zipfile.ZIP_STORED,
        b"application/hwp+zip",
    )


def standard(payload: bytes) -> etree._Element:
    """A part in the words of the standard: what the word processor itself writes otherwise is put right first.

    Each step is one habit of Hancom Office, seen in the empty document that it made and python-hwpx carries.
    """
    for name in ("paragraph", "section", "core", "head"):
        payload = payload.replace(
            f"http://www.hancom.co.kr/hwpml/2011/{name}".encode(),
            f"http://www.owpml.org/owpml/2024/{name}".encode(),
        )
    root = etree.fromstring(payload)
    hp, hh, hc = (f"{{http://www.owpml.org/owpml/2024/{name}}}" for name in ("paragraph", "head", "core"))
    for switch in list(root.iter(hp + "switch")):  # two ways of writing one thing: the newer is kept
        parent, case = switch.getparent(), switch.find(hp + "case")
        at = parent.index(switch)
        parent.remove(switch)
        for child in reversed(list(case)):
            parent.insert(at, child)
    for shape in root.iter(hh + "paraPr"):
        del shape.attrib["textDir"]
        for length in shape.find(hh + "margin"):
            length.tag = length.tag.replace(hc, hh)
        shape.append(shape.find(hh + "autoSpacing"))
    for shape in root.iter(hh + "charPr"):
        if shape.get("shadeColor") == "none":
            shape.set("shadeColor", "#FFFFFF")
    for brush in root.iter(hc + "fillBrush"):
        brush.tag = hh + "fillBrush"
        if brush[0].get("faceColor") == "none":
            brush[0].set("faceColor", "#FFFFFF")
    for bullet in root.iter(hh + "bullet"):
        bullet[0].set("level", "1")
    for changes in root.iter(hh + "trackchageConfig"):  # spelt so
        changes.tag = hh + "trackchangeConfig"
        _in_order(changes.getparent(), ("beginNum", "refList", "compatibleDocument", "trackchangeConfig"))
    for properties in root.iter(hp + "secPr"):
        del properties.attrib["tabStop"]
        _in_order(properties, ("startNum", "grid", "visibility"))
    for picture in root.iter(hp + "pic"):
        for child in picture.iter(*(hc + n for n in ("transMatrix", "scaMatrix", "rotMatrix", "img"))):
            child.tag = child.tag.replace(hc, hp)
        for n in range(4):
            for point in picture.iter(f"{hc}pt{n}"):
                point.tag = f"{hp}pt{n}"
        _in_order(
            picture,
            (
                *("sz", "pos", "outMargin", "caption", "shapeComment", "offset", "orgSz", "curSz", "flip"),
                *(
                    "rotationInfo",
                    "renderingInfo",
                    "imgRect",
                    "imgClip",
                    "effects",
                    "inMargin",
                    "imgDim",
                    "img",
                ),
            ),
        )
    return root


def _in_order(element: etree._Element, names: tuple[str, ...]) -> None:
    place = {name: at for at, name in enumerate(names)}
    children = sorted(element, key=lambda child: place.get(etree.QName(child).localname, len(names)))
    for child in list(element):
        element.remove(child)
    element.extend(children)


@cache
def schema(name: str) -> etree.XMLSchema:
    import hwpx.tools

    return etree.XMLSchema(
        etree.parse(str(Path(hwpx.tools.__file__).parent / "_schemas" / f"owpml-{name}.xsd"))
    )


@pytest.mark.parametrize(("name", "kind"), [(HEADER, "header"), (BODY, "body")])
def test_every_part_is_valid_against_the_schema_of_the_standard(name: str, kind: str) -> None:
    root = standard(zipfile.ZipFile(io.BytesIO(sample())).read(name))
    schema(kind).validate(root)
    assert [entry.message for entry in schema(kind).error_log] == []


@pytest.mark.parametrize(
    ("name", "kind", "old", "new"),
    [
        (HEADER, "header", 'type="SOLID" width="0.4 mm"', 'type="THICK" width="0.4 mm"'),
        (HEADER, "header", 'horizontal="RIGHT"', 'horizontal="EAST"'),
        (BODY, "body", 'pageBreak="CELL"', 'pageBreak="ROW"'),
        (BODY, "body", "<hp:outMargin", "<hp:outMargins"),
        (BODY, "body", 'pos="BOTTOM_CENTER"', 'pos="BELOW"'),
        (BODY, "body", '<hp:imgDim dimwidth="', '<hp:imgDim dimwidth="-'),
    ],
)
def test_the_schema_refuses_what_the_standard_does_not_know(name: str, kind: str, old: str, new: str) -> None:
    payload = zipfile.ZipFile(io.BytesIO(changed(sample(), name, old, new))).read(name)
    assert not schema(kind).validate(standard(payload))


def test_the_checks_of_python_hwpx_find_nothing() -> None:
    from hwpx.tools.package_validator import validate_editor_open_safety, validate_package
    from hwpx.tools.validator import validate_document

    report = validate_document(sample())
    assert (report.ok, report.issues) == (True, ())
    assert validate_package(sample()).errors == ()
    assert validate_editor_open_safety(sample()).ok


def _forms(root: etree._Element) -> set[tuple[str, frozenset[str]]]:
    return {(str(e.tag), frozenset(map(str, e.attrib))) for e in root.iter() if isinstance(e.tag, str)}


def test_every_element_has_the_attributes_that_the_word_processor_writes() -> None:
    # the empty document was saved by Hancom Office; python-hwpx adds tables, pictures and captions as it saw them there
    import hwpx
    from hwpx import HwpxDocument

    made = HwpxDocument.new()
    table = made.add_table(2, 2)
    table.set_caption("표")
    table.set_treat_as_char(False)
    made.add_picture(png_of(SVG)[0], "png", width_mm=50)
    made.add_paragraph("가\n나")
    made.styles.apply_list_format(
        paragraph_indexes=[len(made.paragraphs) - 1], kind="bullet", bullet_char="•"
    )
    made.page.set_page_number()
    run = made.paragraphs[0].add_run("굵게", bold=True)
    run.italic = True
    empty = zipfile.ZipFile(Path(hwpx.__file__).parent / "data" / "Skeleton.hwpx")
    theirs = zipfile.ZipFile(io.BytesIO(made.to_bytes()))
    known: set[tuple[str, frozenset[str]]] = set()
    ours: set[tuple[str, frozenset[str]]] = set()
    for name in (HEADER, BODY, PACKAGE, "settings.xml", "version.xml", "META-INF/container.xml"):
        known |= _forms(etree.fromstring(empty.read(name))) | _forms(etree.fromstring(theirs.read(name)))
        ours |= _forms(etree.fromstring(zipfile.ZipFile(io.BytesIO(sample())).read(name)))
    # a heading without number has no text in its numbering, whatever its level; bold and italic have no attributes
    known |= {(HH + "italic", frozenset()), (HH + "bold", frozenset())}
    assert sorted((tag, sorted(names)) for tag, names in ours - known) == []


def test_the_same_document_gives_the_same_bytes_in_any_process() -> None:
    code = (
        "import hashlib, sys; sys.path.insert(0, '.'); from tests.helpers.sample_document import sample_document;"
        "from evalkit.present.writers.hwpx import hwpx_bytes;"
        "print(hashlib.sha256(hwpx_bytes(sample_document())).hexdigest())"
    )
    root = Path(__file__).parents[2]
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(root / "src")},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed, zone in (("1", "Asia/Seoul"), ("2", "America/Lima"))
    }
    assert len(hashes) == 1
    assert hwpx_bytes(sample_document()) == sample()


# -- nothing is lost --------------------------------------------------------------------------------


def tables_of(document: Document) -> list[Tabulation]:
    return [block.table for part in document.parts for block in part.blocks if isinstance(block, Exhibit)]


def check_table(found: Table, table: Tabulation, caption: str) -> None:
    """Every cell of a table as written equals the table's own text, at its place."""
    top = 1 + max(cell.row for cell in header_cells(table))
    assert found.caption.replace("\xa0", " ") == said(caption)
    assert found.shape == (top + max(1, len(table.rows)), len(table.columns))
    for c, column in enumerate(table.columns):
        label = next(
            text for (r, at), text in sorted(found.cells.items(), reverse=True) if at == c and r < top
        )
        assert label.replace("\xa0", " ") == said(column.header)
    for r, role in enumerate(table.roles):
        for c, column in enumerate(table.columns):
            if role == "heading":
                assert (top + r, c) not in found.cells or c == 0
                continue
            assert found.cells[top + r, c].replace("\xa0", " ") == said(table.text(r, c))
            right = column.kind not in ("text", "code")
            assert found.aligns[top + r, c] == ("RIGHT" if right else "LEFT")
    assert found.header == {at for at in found.cells if at[0] < top}


def test_every_cell_of_every_table_says_what_the_page_says() -> None:
    document = sample_document()
    wanted = tables_of(document)
    found = [table for table in sample_read().tables if table.caption]
    assert len(found) == len(wanted) == 4
    for number, (read, table) in enumerate(zip(found, wanted, strict=True), start=1):
        check_table(read, table, f"표 {number}. {table.title}")


def test_column_groups_and_heading_rows_are_joined_cells() -> None:
    read = next(table for table in sample_read().tables if "두 집단의 차이" in table.caption)
    assert (read.cells[0, 1], read.spans[0, 1]) == ("평균", (1, 2))
    assert (read.cells[0, 3], read.spans[0, 3]) == ("차이", (1, 2))
    assert read.spans[0, 0] == read.spans[0, 5] == (2, 1)
    assert (read.cells[2, 0], read.spans[2, 0]) == ("인력", (1, 7))
    assert read.repeats
    assert read.header == {(0, c) for c in (0, 1, 3, 5, 6)} | {(1, c) for c in (1, 2, 3, 4)}


def test_all_prose_survives_with_its_bullets_and_boxes() -> None:
    document = sample_document()
    text = sample_read().text.replace("\xa0", " ") + "".join(
        "\n".join(table.cells.values()) for table in sample_read().tables
    )
    for block in document.parts[0].blocks:
        if isinstance(block, Heading | Remark):
            assert said(block.text) in text
        elif isinstance(block, Prose):
            for paragraph in read_prose(block.markdown):
                if isinstance(paragraph, Grid):
                    assert all(run.text in text for row in paragraph.rows for cell in row for run in cell)
                else:
                    assert said(paragraph.text) in text
    for notes in (table.notes for table in tables_of(document)):
        assert all(said(note) in text for note in notes)
    for words in (
        *(
            "국가혁신클러스터 & 실증",
            "모의 자료로 만든 보고서입니다.",
            "효과 추정 · 고용 · 1단계(2018–20)",
            "그림의 주",
        ),
        *(
            "이 보고서는 끝까지 실행되지 않았다.",
            "0a1b<2c>",
            "+1.89명/기업 [1.31, 2.48]",
            "(근거 등급 3)",
            "그림 1. 고용은",
        ),
        *("3. 셋째부터", "[1] 각주의 글", "<b>태그는 글이다</b>", "자료 (https://example.org/a?b=c&d)"),
        say("export.values_elsewhere", "ko"),
    ):
        assert words in text


def test_headings_have_the_styles_that_make_an_outline() -> None:
    paragraphs = sample_read().paragraphs
    styles = {text: style for style, text in paragraphs}
    assert styles["영향 평가 <보고서>"] == "제목"
    assert styles["효과 추정 · 고용 · 1단계(2018–20)"] == styles["종합 요약"] == "개요 1"
    assert (styles["결론"], styles["표와 그림"], styles["글"]) == ("개요 2", "개요 3", "개요 6")
    assert (
        styles[
            "첫 문단은 굵고 기울고 코드 x_1 이며 지운 글 도 있다. <b>태그는 글이다</b>. 다음 줄이 이어진다."
        ]
        == "본문"
    )


def test_bold_italic_code_and_struck_text_have_shapes_of_their_own() -> None:
    archive = zipfile.ZipFile(io.BytesIO(sample()))
    header, body = (etree.fromstring(archive.read(name)) for name in (HEADER, BODY))
    shapes = {shape.get("id"): shape for shape in header.iter(HH + "charPr")}
    of = {t.text: shapes[t.getparent().get("charPrIDRef")] for t in body.iter(HP + "t")}
    assert of["굵고"].find(HH + "bold") is not None
    assert of["기울고"].find(HH + "italic") is not None
    assert of["코드\xa0x_1".replace("\xa0", " ")].get("shadeColor") == "#EDEDED"
    assert of["지운 글"].find(HH + "strikeout").get("shape") == "SOLID"
    assert of[" 도 있다. <b>태그는 글이다</b>. 다음 줄이 이어진다."].find(HH + "bold") is None


def test_a_picture_is_a_png_with_words_for_those_who_cannot_see_it() -> None:
    ((words, png),) = sample_read().pictures
    assert words == "사건연구 그림. 가로축은 경과 연수."
    assert png_size(png) == (400, 200)  # 144 × 72 points at 200 dots an inch
    body = etree.fromstring(zipfile.ZipFile(io.BytesIO(sample())).read(BODY))
    assert [size.get("width") for size in body.find(f".//{HP}pic").iterfind(HP + "sz")] == ["14400"]


def test_paper_margins_page_number_language_title_and_dates() -> None:
    archive = zipfile.ZipFile(io.BytesIO(sample("en")))
    body, package = etree.fromstring(archive.read(BODY)), archive.read(PACKAGE).decode()
    page = body.find(f".//{HP}pagePr")
    assert (page.get("width"), page.get("height")) == ("59528", "84186")
    millimetres = {name: int(value) / 7200 * 25.4 for name, value in page.find(HP + "margin").attrib.items()}
    assert millimetres["left"] == millimetres["right"] == pytest.approx(20, abs=0.01)
    assert millimetres["top"] + millimetres["header"] == pytest.approx(20, abs=0.01)
    assert body.find(f".//{HP}pageNum").get("pos") == "BOTTOM_CENTER"
    assert "<opf:language>en</opf:language>" in package
    assert "<opf:title>영향 평가 &lt;보고서&gt;</opf:title>" in package
    assert set(re.findall(r"\d{4}-\d\d-\d\dT[\d:]+Z", package)) == {"2000-01-01T00:00:00Z"}
    header = etree.fromstring(archive.read(HEADER))
    assert {style.get("langID") for style in header.iter(HH + "style")} == {"1033"}
    assert {font.get("face") for font in header.iter(HH + "font")} == {"함초롬돋움", "함초롬바탕"}


def test_many_columns_of_long_words_stay_within_the_page() -> None:
    columns = [Column(f"c{n}", "열이름이매우긴열" * 3, "number") for n in range(20)]
    table = Tabulation("wide", "넓은 표", columns, [tuple(float(n) * 1e6 for n in range(20))] * 3)
    content = hwpx_bytes(with_blocks(Exhibit(table)))
    assert faults(content) == []


def test_a_table_without_columns_is_a_caption_and_a_sentence() -> None:
    content = hwpx_bytes(with_blocks(Exhibit(Tabulation("none", "없는 표", (), [], stub=0))))
    assert faults(content) == []
    assert [text for _, text in read_hwpx(content).paragraphs][-2:] != []
    assert "없는 표" in read_hwpx(content).text


# -- what comes from outside ------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_anything_but_text(text: str) -> None:
    document = Document(
        "x",
        text,
        text,
        text,
        "ko",
        (Part("p", text, text, (Heading(2, text), Remark("note", text), Prose(text)), "failed", text),),
        (text,),
        ((text, text),),
    )
    content = hwpx_bytes(document)
    assert faults(content) == []
    read = read_hwpx(content)
    assert read.title.replace("\xa0", " ") == " ".join(said(text).split())
    assert next(shown for style, shown in read.paragraphs if style == "개요 2").replace("\xa0", " ") == said(
        text
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec=None), max_size=30) | st.sampled_from(HOSTILE), min_size=4, max_size=4
    ),
    st.integers(0, 3),
    st.integers(1, 4),
)
def test_any_text_in_any_place_keeps_the_file_whole(texts: list[str], rows: int, columns: int) -> None:
    a, b, c, d = texts
    table = Tabulation(
        "t",
        a,
        [Column(f"c{n}", texts[n], group=texts[n % 2]) for n in range(columns)],
        [tuple(texts[:columns])] * rows,
        notes=texts,
        marks={(r, 0): d for r in range(rows)},
    )
    document = Document(
        "x", a, b, c, "ko", (Part("p", d, "", (Exhibit(table), Prose(a), Remark("note", b))),)
    )
    content = hwpx_bytes(document)
    assert faults(content) == []
    read = read_hwpx(content)
    check_table(
        read.tables[-1] if not a.strip() else next(t for t in read.tables if t.caption),
        table,
        f"표 1. {a}" if a else "표 1",
    )
    assert said(b) in read.text.replace("\xa0", " ")


@pytest.mark.parametrize(
    "inside",
    [
        '<image href="/etc/hostname"/>',
        '<image xlink:href="data:image/png;base64,AAAA" xmlns:xlink="http://www.w3.org/1999/xlink"/>',
        '<use href="other.svg#a"/>',
        "<script>alert(1)</script>",
        "<style>@import url(http://evil.invalid/x.css)</style>",
        '<rect fill="url(http://evil.invalid/x#y)"/>',
        '<a href="http://evil.invalid"><rect/></a>',
        "<foreignObject/>",
    ],
)
def test_a_picture_that_names_anything_outside_itself_is_refused(inside: str) -> None:
    svg = SVG.replace("</svg>", f"{inside}</svg>")
    with pytest.raises(UsageError, match="이 판의 그림이 아님"):
        hwpx_bytes(with_blocks(Picture("p", "그림", svg, "말", full_table())))


@pytest.mark.parametrize(
    "svg",
    [
        '<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG,
        SVG.replace('width="144pt"', 'width="9e9pt"'),
        SVG.replace('width="144pt"', ""),
        "<svg",
        "",
    ],
)
def test_a_picture_that_is_none_is_refused(svg: str) -> None:
    with pytest.raises(UsageError, match="이 판의 그림이 아님"):
        png_of(svg)


def test_references_within_a_picture_are_its_own() -> None:
    svg = SVG.replace(
        "<rect", '<defs><path id="g" d="M0 0h5v5z"/></defs><use href="#g"/><rect clip-path="url(#c)"'
    )
    assert png_size(png_of(svg)[0]) == (400, 200)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    document = with_blocks(Picture("p", "그림", SVG.replace("#0b3a6e", "#0b3a6f"), "말", full_table()))
    with pytest.raises(UsageError, match=r"evalkit\[office\]"):
        hwpx_bytes(document)
    assert faults(hwpx_bytes(with_blocks(Exhibit(full_table())))) == []  # tables need nothing


def test_notes_of_a_table_stay_together_and_apart_from_what_follows() -> None:
    document = with_blocks(Exhibit(full_table()), Prose("다음 글"))
    with zipfile.ZipFile(io.BytesIO(hwpx_bytes(document))) as archive:
        header, body = (etree.fromstring(archive.read(name)) for name in (HEADER, BODY))
    shapes = {shape.get("id"): shape for shape in header.iter(HH + "paraPr")}
    found = []
    for paragraph in body.iter(HP + "p"):
        text = "".join(paragraph.itertext())
        if text in full_table().notes:
            shape = shapes[paragraph.get("paraPrIDRef")]
            (below, *_) = [e.get("value") for e in shape.iter() if etree.QName(e).localname == "next"]
            found.append((shape.find(HH + "breakSetting").get("keepWithNext"), int(below)))
    assert found == [("1", 100), ("0", 800)]
