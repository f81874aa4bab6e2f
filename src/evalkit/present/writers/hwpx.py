"""HWPX, the open format of Hancom Office (KS X 6101): a document as one file, the same bytes every time.

Written without the word processor and without a library that changes from version to version; what it writes was laid
beside files that the word processor had made, and is checked against the schema of the standard by the tests. Nothing in it
runs, loads or links: there are no fields, no scripts, no objects but tables and pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape

from evalkit.plain_text import one_line
from evalkit.present.document import (
    Answer,
    Block,
    Document,
    Exhibit,
    Heading,
    Part,
    Picture,
    Prose,
    Remark,
    heading_of,
    numbered,
)
from evalkit.present.messages import say
from evalkit.present.writers.hwpx_package import packed, picture_id
from evalkit.present.writers.hwpx_shapes import (
    DECLARATION,
    ROOT,
    STYLE,
    STYLES,
    Border,
    Letters,
    Lines,
    header_part,
)
from evalkit.present.writers.hwpx_tables import WIDTH, facts_block, grid_block, table_blocks
from evalkit.present.writers.hwpx_text import Sheet
from evalkit.present.writers.layout import caption_text
from evalkit.present.writers.pictures import png_of
from evalkit.present.writers.prose import Grid, Paragraph, Run, read_prose

_PAPER, _MARGIN = (59_528, 84_186), 2_835  # A4; 10 mm of margin and 10 mm of header or footer
_TALLEST = 58_000
_COLORS = {"note": "#0B3A6E", "caution": "#9A5B00", "danger": "#A3162A"}
_RULE = Lines("LEFT", spacing=100, after=400)


def hwpx_bytes(document: Document) -> bytes:
    """A document as HWPX.

    Raises
    ------
    UsageError : a picture cannot be drawn because the extra `office` is absent
    """
    sheet = Sheet()
    body = "".join(_document(sheet, document))
    section = f"{DECLARATION}<hs:sec {ROOT}>{body}</hs:sec>"
    # the header lists what the body asked for, so it is written last
    header = header_part(sheet.shapes, document.lang)
    return packed(document, header, section, sheet.pictures)


def _document(sheet: Sheet, document: Document) -> Iterator[str]:
    lang = document.lang
    yield sheet.paragraph(document.title, "Title", before=_section_run(sheet))
    for name, text in (("programme", document.programme), ("question", document.question)):
        if text:
            label = Run(f"{say(f'export.{name}', lang)}: ", bold=True)
            yield sheet.paragraph((label, Run(text)))
    for banner in document.banners:
        yield from _boxed(sheet, "caution", [(Run(f"{say('export.notice', lang)} ", bold=True), Run(banner))])
    if document.parts:
        yield sheet.paragraph((Run(say("export.contents", lang), bold=True),))
        for part in document.parts:
            yield _item(sheet, Paragraph("item", (Run(heading_of(part)),), 1, "•"))
    blocks = {part.name: list[tuple[Block, int]]() for part in document.parts}
    for part, block, number in numbered(document):
        blocks[part.name].append((block, number))
    for part in document.parts:
        yield from _part(sheet, part, blocks[part.name], lang)
    if document.facts:
        yield sheet.paragraph(say("page.provenance", lang), "Outline 1", new_page=True)
        yield facts_block(sheet, document.facts, lang)
    if any(isinstance(block, Picture) for part in document.parts for block in part.blocks):
        yield sheet.paragraph(say("export.values_elsewhere", lang), "Note")


def _part(sheet: Sheet, part: Part, blocks: list[tuple[Block, int]], lang: str) -> Iterator[str]:
    yield sheet.paragraph(heading_of(part), "Outline 1", new_page=True)
    if part.sentence:
        yield from _boxed(sheet, "danger", [(Run(part.sentence),)])
    for block, number in blocks:
        yield from _block(sheet, block, number, lang)


def _block(sheet: Sheet, block: Block, number: int, lang: str) -> Iterator[str]:
    if isinstance(block, Heading):
        yield sheet.paragraph(block.text, f"Outline {min(max(block.level, 2), 10)}")
    elif isinstance(block, Prose):
        yield from _prose(sheet, block.markdown)
    elif isinstance(block, Remark):
        word = say(f"release.{block.level}", lang)
        yield from _boxed(sheet, block.level, [(Run(f"{word} ", bold=True), Run(block.text))])
    elif isinstance(block, Answer):
        yield from _answer(sheet, block, lang)
    elif isinstance(block, Picture):
        yield from _picture(sheet, block, number, lang)
    elif isinstance(block, Exhibit):
        yield from table_blocks(
            sheet, block.table, caption_text(say("export.table", lang, number=number), block.table.title)
        )


def _prose(sheet: Sheet, markdown: str) -> Iterator[str]:
    for block in read_prose(markdown):
        if isinstance(block, Grid):
            yield grid_block(sheet, block)
        elif block.kind == "heading":
            yield sheet.paragraph(block.runs, f"Outline {min(max(block.level, 2), 10)}")
        elif block.kind == "item":
            yield _item(sheet, block)
        elif block.kind == "quote":
            yield sheet.paragraph(block.runs, lines=Lines(left=1000 * block.level, right=1000, after=400))
        elif block.kind == "rule":
            border = sheet.shapes.of_border(Border(bottom=("0.12 mm", "#808080")))
            yield sheet.paragraph("", lines=replace(_RULE, border=border))
        elif block.kind in ("code", "formula"):
            yield sheet.paragraph(block.runs, lines=Lines("LEFT", left=1000, after=400))
        else:
            yield sheet.paragraph(block.runs)


def _item(sheet: Sheet, item: Paragraph) -> str:
    """An item of a list: a bullet of the word processor, or its number as text; what goes on has neither."""
    left, first, bullet = 1_000 * item.level, 0, 0
    runs = item.runs
    if item.marker and item.marker[0].isascii():
        runs, first = (Run(f"{item.marker} "), *runs), -1_000
    elif item.marker:  # a bullet hangs by itself
        bullet = min(item.level, 3)
    lines = replace(STYLES[STYLE["List"]].lines, left=left, first=first, bullet=bullet)
    return sheet.paragraph(runs, "List", lines=lines)


def _boxed(
    sheet: Sheet, level: str, paragraphs: list[tuple[Run, ...]], letters: Letters | None = None
) -> Iterator[str]:
    """Paragraphs in a box with a bar at the left; what it means stands in words."""
    color = _COLORS.get(level, _COLORS["note"])
    border = sheet.shapes.of_border(Border(left=("1.0 mm", color), fill="#F3F5F8"))
    lines = replace(STYLES[STYLE["Notice"]].lines, border=border)
    for runs in paragraphs:
        yield sheet.paragraph(runs, "Notice", lines=lines, letters=letters)
    yield sheet.paragraph("", lines=Lines("LEFT", spacing=100), letters=Letters(size=400))


def _answer(sheet: Sheet, answer: Answer, lang: str) -> Iterator[str]:
    grade = f" ({say('release.grade', lang, grade=answer.grade)})" if answer.grade else ""
    border = sheet.shapes.of_border(Border(left=("1.0 mm", _COLORS["note"]), fill="#F3F5F8"))
    lines = replace(STYLES[STYLE["Notice"]].lines, border=border)
    label = (Run(answer.label, bold=True), Run(grade))
    yield sheet.paragraph(label, "Notice", lines=replace(lines, keep=True))
    value = Letters(size=1500, bold=True, color=_COLORS["note"])
    yield sheet.paragraph(answer.value, "Notice", lines=replace(lines, keep=True), letters=value)
    yield sheet.paragraph(answer.sentence, "Notice", lines=lines)
    yield sheet.paragraph("", lines=Lines("LEFT", spacing=100), letters=Letters(size=400))


def _picture(sheet: Sheet, picture: Picture, number: int, lang: str) -> Iterator[str]:
    png, wide, tall = png_of(picture.svg)
    scale = min(1.0, WIDTH / (wide * 100), _TALLEST / (tall * 100))
    width, height = round(wide * 100 * scale), round(tall * 100 * scale)
    sheet.pictures.append(png)
    # a paragraph and not a caption of the picture: readers of the format differ in the room they leave for that
    yield sheet.paragraph(caption_text(say("export.figure", lang, number=number), picture.title), "Caption")
    inner = (
        f'<hp:run charPrIDRef="{sheet.shapes.of_letters(Letters())}">'
        f"{_picture_object(sheet, picture.alt or picture.title, width, height)}<hp:t/></hp:run>"
    )
    yield sheet.raw(inner, STYLE["Normal"], Lines("CENTER", spacing=100, after=200))
    if picture.note:
        yield sheet.paragraph(picture.note, "Note")


def _picture_object(sheet: Sheet, alt: str, width: int, height: int) -> str:
    """The picture added last, as big as it is drawn; what it shows stands in its comment, which is read aloud."""
    number = sheet.number()
    size = f'width="{width}" height="{height}"'
    matrices = "".join(
        f'<hc:{name} e1="1" e2="0" e3="0" e4="0" e5="1" e6="0"/>'
        for name in ("transMatrix", "scaMatrix", "rotMatrix")
    )
    corners = "".join(
        f'<hc:pt{n} x="{x}" y="{y}"/>'
        for n, (x, y) in enumerate(((0, 0), (width, 0), (width, height), (0, height)))
    )
    return (
        f'<hp:pic id="{number}" zOrder="0" numberingType="PICTURE" textWrap="TOP_AND_BOTTOM" textFlow="BOTH_SIDES"'
        f' lock="0" dropcapstyle="None" href="" groupLevel="0" instid="{number}" reverse="0">'
        f'<hp:offset x="0" y="0"/><hp:orgSz {size}/><hp:curSz {size}/><hp:flip horizontal="0" vertical="0"/>'
        f'<hp:rotationInfo angle="0" centerX="{width // 2}" centerY="{height // 2}" rotateimage="1"/>'
        f"<hp:renderingInfo>{matrices}</hp:renderingInfo><hp:imgRect>{corners}</hp:imgRect>"
        f'<hp:imgClip left="0" right="{width}" top="0" bottom="{height}"/>'
        '<hp:inMargin left="0" right="0" top="0" bottom="0"/>'
        f'<hp:imgDim dimwidth="{width}" dimheight="{height}"/>'
        f'<hc:img binaryItemIDRef="{picture_id(len(sheet.pictures) - 1)}" bright="0" contrast="0"'
        ' effect="REAL_PIC" alpha="0"/><hp:effects/>'
        f'<hp:sz {size} widthRelTo="ABSOLUTE" heightRelTo="ABSOLUTE" protect="0"/>'
        '<hp:pos treatAsChar="1" affectLSpacing="0" flowWithText="1" allowOverlap="0" holdAnchorAndSO="0"'
        ' vertRelTo="PARA" horzRelTo="COLUMN" vertAlign="TOP" horzAlign="LEFT" vertOffset="0" horzOffset="0"/>'
        f'<hp:outMargin left="0" right="0" top="0" bottom="0"/>'
        f"<hp:shapeComment>{escape(one_line(alt), quote=False)}</hp:shapeComment></hp:pic>"
    )


def _section_run(sheet: Sheet) -> str:
    """What the first run of a body must hold: paper, margins, kinds of notes, and the page number at the bottom."""
    width, height = _PAPER
    m = _MARGIN
    note = (
        '<hp:autoNumFormat type="DIGIT" userChar="" prefixChar="" suffixChar=")" supscript="0"/>'
        '<hp:noteLine length="{length}" type="SOLID" width="0.12 mm" color="#000000"/>'
        '<hp:noteSpacing betweenNotes="{between}" belowLine="567" aboveLine="850"/>'
        '<hp:numbering type="CONTINUOUS" newNum="1"/><hp:placement place="{place}" beneathText="0"/>'
    )
    # one for all pages, even and odd ones: the word processor drops the text of a section that has fewer
    borders = "".join(
        f'<hp:pageBorderFill type="{kind}" borderFillIDRef="1" textBorder="PAPER" headerInside="0"'
        ' footerInside="0" fillArea="PAPER"><hp:offset left="1417" right="1417" top="1417" bottom="1417"/>'
        "</hp:pageBorderFill>"
        for kind in ("BOTH", "EVEN", "ODD")
    )
    return (
        f'<hp:run charPrIDRef="{sheet.shapes.of_letters(Letters())}">'
        '<hp:secPr id="" textDirection="HORIZONTAL" spaceColumns="1134" tabStop="8000" tabStopVal="4000"'
        ' tabStopUnit="HWPUNIT" outlineShapeIDRef="1" memoShapeIDRef="0" textVerticalWidthHead="0"'
        ' masterPageCnt="0"><hp:grid lineGrid="0" charGrid="0" wonggojiFormat="0"/>'
        '<hp:startNum pageStartsOn="BOTH" page="0" pic="0" tbl="0" equation="0"/>'
        '<hp:visibility hideFirstHeader="0" hideFirstFooter="0" hideFirstMasterPage="0" border="SHOW_ALL"'
        ' fill="SHOW_ALL" hideFirstPageNum="0" hideFirstEmptyLine="0" showLineNumber="0"/>'
        '<hp:lineNumberShape restartType="0" countBy="0" distance="0" startNumber="0"/>'
        f'<hp:pagePr landscape="WIDELY" width="{width}" height="{height}" gutterType="LEFT_ONLY">'
        f'<hp:margin header="{m}" footer="{m}" gutter="0" left="{2 * m - 1}" right="{2 * m - 1}" top="{m}"'
        f' bottom="{m}"/></hp:pagePr>'
        f"<hp:footNotePr>{note.format(length=-1, between=283, place='EACH_COLUMN')}</hp:footNotePr>"
        f"<hp:endNotePr>{note.format(length=14692344, between=0, place='END_OF_DOCUMENT')}</hp:endNotePr>"
        f'{borders}</hp:secPr><hp:ctrl><hp:colPr id="" type="NEWSPAPER" layout="LEFT" colCount="1" sameSz="1"'
        ' sameGap="0"/></hp:ctrl><hp:ctrl><hp:pageNum pos="BOTTOM_CENTER" formatType="DIGIT" sideChar="-"/>'
        "</hp:ctrl></hp:run>"
    )
