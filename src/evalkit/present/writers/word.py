"""A document as Word: heading styles, captions, tables with marked headers, pictures with what they show in words.

The file holds no macro, no link and nothing that loads; the same document gives the same bytes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from evalkit.errors import UsageError
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
from evalkit.present.tabulation import Column, Tabulation, clean_text
from evalkit.present.writers import word_xml as xml
from evalkit.present.writers.packages import fixed_zip
from evalkit.present.writers.pictures import OFFICE, png_of
from evalkit.present.writers.prose import Grid, Paragraph, read_prose
from evalkit.present.writers.word_math import formula
from evalkit.present.writers.word_styles import new_word, remark_style
from evalkit.present.writers.word_tables import PORTRAIT, fit_of, prose_table, word_table

_FEW_PARTS = 12  # up to here the contents list sections too
_TALLEST = 640.0  # points: what a figure may take of a page
_ITEM = 360  # twips an item is set in
_UNDER = 160  # twips between the last note and what follows


def word_bytes(document: Document) -> bytes:
    """The document as a .docx file.

    Raises
    ------
    UsageError : the extra `office` is absent
    """
    try:
        import docx  # noqa: F401
    except ImportError:
        raise UsageError("워드 파일을 쓰는 python-docx 가 없음", remedy=OFFICE) from None
    writer = _Writer(document)
    writer.write()
    stream = io.BytesIO()
    writer.word.save(stream)
    return fixed_zip(stream.getvalue())


@dataclass(slots=True)
class _Heads:
    """Headings for the contents: level, text, bookmark."""

    found: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, level: int, text: str) -> str:
        name = f"_Toc{len(self.found) + 1:06d}"
        self.found.append((level, text, name))
        return name


class _Writer:
    """Writes block after block into the body of one Word document."""

    def __init__(self, document: Document) -> None:
        self.document, self.lang = document, document.lang
        self.word = new_word(document)
        self.body = self.word.element.body
        self.heads = _Heads()
        self.across = False
        self.pictures = 0
        self.lists: dict[int, tuple[int, int]] = {}  # level -> (number of the list, last item)

    def write(self) -> None:
        self._cover()
        contents = xml.paragraph("TOCHeading", xml.run(say("export.contents", self.lang)))
        contents.pPr.append(xml.element("pageBreakBefore"))
        self._add(contents)
        part: Part | None = None
        bare = (p for p in self.document.parts)
        pending = list(bare)
        for owner, block, number in numbered(self.document):
            while part is not owner:
                part = pending.pop(0)
                self._part(part)
            self._block(block, number)
        for part in pending:
            self._part(part)
        self._facts()
        for paragraph in reversed(self._contents()):
            contents.addnext(paragraph)

    def _add(self, *elements: Any) -> None:
        """Before the properties of the last section."""
        for one in elements:
            self.body.insert(len(self.body) - 1, one)

    # -- what stands around the parts ---------------------------------------------------------

    def _cover(self) -> None:
        document, lang = self.document, self.lang
        self._add(xml.paragraph("Title", xml.run(document.title)))
        for key, text in (("programme", document.programme), ("question", document.question)):
            if text:
                words = (xml.run(f"{say(f'export.{key}', lang)}: ", bold=True), xml.run(text))
                self._add(xml.paragraph("EkLead", *words))
        for banner in document.banners:
            self._remark(Remark("danger", banner))
        gone = [part for part in document.parts if part.state != "ok"]
        if gone:
            self._add(xml.paragraph("EkDanger", xml.run(say("export.left_out", lang), bold=True)))
        for part in gone:
            self._add(xml.paragraph("EkDanger", xml.run(f"{heading_of(part)}: {part.sentence}")))
        self._add(xml.paragraph("Normal", xml.run(say("export.values_elsewhere", lang), colour=xml.QUIET)))

    def _facts(self) -> None:
        if not self.document.facts:
            return
        columns = (
            Column("item", say("workbook.item", self.lang)),
            Column("value", say("workbook.value", self.lang)),
        )
        title = say("page.provenance", self.lang)
        table = Tabulation("facts", title, columns, self.document.facts, lang=self.lang)
        self._turn(across=False)
        self._heading(1, title)
        self._add(word_table(table, fit_of(table), title), xml.paragraph("EkTableNote"))

    def _contents(self) -> list[Any]:
        """The table of contents: a field that Word fills anew with page numbers; until then its lines are links."""
        deepest = 2 if len(self.document.parts) <= _FEW_PARTS else 1
        lines = [entry for entry in self.heads.found if entry[0] <= deepest]
        begin = xml.element("r", xml.element("fldChar", fldCharType="begin", dirty="true"))
        instruction = xml.element("instrText")
        instruction.text = f' TOC \\o "1-{deepest}" \\h \\z \\u '
        apart = xml.element("r", xml.element("fldChar", fldCharType="separate"))
        end = xml.element("r", xml.element("fldChar", fldCharType="end"))
        made = []
        for at, (level, text, name) in enumerate(lines):
            link = xml.element("hyperlink", xml.run(text), anchor=name, history=1)
            opening = (begin, xml.element("r", instruction), apart) if at == 0 else ()
            closing = (end,) if at == len(lines) - 1 else ()
            made.append(xml.paragraph(f"TOC{level}", *opening, link, *closing))
        return made

    def _part(self, part: Part) -> None:
        self._turn(across=False)
        self._heading(1, heading_of(part))
        if part.state != "ok":
            self._remark(Remark("danger", part.sentence))

    def _turn(self, *, across: bool) -> None:
        """Go on with a page set across, or upright again; header and footer go on as they are."""
        if across == self.across:
            return
        from docx.enum.section import WD_ORIENT, WD_SECTION
        from docx.shared import Mm

        section = self.word.add_section(WD_SECTION.NEW_PAGE)
        section.orientation = WD_ORIENT.LANDSCAPE if across else WD_ORIENT.PORTRAIT
        section.page_width, section.page_height = (Mm(297), Mm(210)) if across else (Mm(210), Mm(297))
        self.across = across

    # -- blocks -------------------------------------------------------------------------------

    def _block(self, block: Block, number: int) -> None:
        if isinstance(block, Exhibit):
            self._exhibit(block.table, number)
            return
        self._turn(across=False)
        if isinstance(block, Heading):
            self._heading(block.level, block.text)
        elif isinstance(block, Prose):
            for paragraph in read_prose(block.markdown):
                self._prose(paragraph)
        elif isinstance(block, Remark):
            self._remark(block)
        elif isinstance(block, Answer):
            self._answer(block)
        else:
            self._picture(block, number)

    def _heading(self, level: int, text: str) -> None:
        level = min(level, 4)
        name = self.heads.add(level, clean_text(text))
        words = xml.bookmark(name, len(self.heads.found), xml.run(text))
        self._add(xml.paragraph(f"Heading{level}", *words))

    def _remark(self, remark: Remark) -> None:
        word = say(f"release.{remark.level}", self.lang)
        self._add(xml.paragraph(remark_style(remark), xml.run(f"{word} ", bold=True), xml.run(remark.text)))

    def _answer(self, answer: Answer) -> None:
        label = [xml.run(answer.label)]
        if answer.grade:
            grade = say("release.grade", self.lang, grade=answer.grade)
            label.append(xml.run(f"  ({grade})", colour=xml.QUIET))
        self._add(
            xml.paragraph("EkAnswerLabel", *label),
            xml.paragraph("EkAnswerValue", xml.run(answer.value)),
            xml.paragraph("EkAnswerText", xml.run(answer.sentence)),
        )

    def _caption(self, kind: str, number: int, title: str, *, keep: bool) -> None:
        word = say(f"export.{kind}_word", self.lang)
        count = xml.field(f"SEQ {word} \\* ARABIC", str(number))
        words = (xml.run(f"{word} "), count, xml.run(f". {title}" if title else ""))
        self._add(xml.paragraph("Caption", *words, keep=keep))

    def _exhibit(self, table: Tabulation, number: int) -> None:
        fit = fit_of(table)
        self._turn(across=fit.landscape)
        self._caption("table", number, table.title, keep=True)
        self._add(word_table(table, fit, table.title or table.name))
        for at, note in enumerate(table.notes, start=1):
            last = at == len(table.notes)
            below = _UNDER if last else 0
            self._add(xml.paragraph("EkTableNote", xml.run(note), keep=not last, below=below))
        if not table.notes:  # two tables that touch would become one
            self._add(xml.paragraph("EkTableNote"))

    def _picture(self, picture: Picture, number: int) -> None:
        from docx.oxml.shape import CT_Inline
        from docx.shared import Pt

        png, width, height = png_of(picture.svg)
        scale = min(PORTRAIT / 20 / width, _TALLEST / height, 1.0)
        self.pictures += (
            1  # numbered here: the library would look through the whole document for a free number
        )
        relation, image = self.word.part.get_or_add_image(io.BytesIO(png))
        shape = CT_Inline.new_pic_inline(
            self.pictures, relation, image.filename, Pt(width * scale), Pt(height * scale)
        )
        shape.docPr.set("name", say("export.figure", self.lang, number=number))
        shape.docPr.set("descr", clean_text(picture.alt))
        self._add(xml.paragraph("EkPicture", xml.element("r", xml.element("drawing", shape))))
        self._caption("figure", number, picture.title, keep=bool(picture.note))
        if picture.note:
            self._add(xml.paragraph("EkTableNote", xml.run(picture.note), below=_UNDER))

    # -- prose --------------------------------------------------------------------------------

    def _prose(self, paragraph: Paragraph | Grid) -> None:
        if isinstance(paragraph, Grid):
            self._add(prose_table(paragraph), xml.paragraph("Normal"))
            return
        kind = paragraph.kind
        if kind == "item":
            self._add(self._item(paragraph))
            return
        self.lists.clear()
        if kind == "heading":
            self._heading(max(2, paragraph.level), paragraph.text)
        elif kind == "formula":
            self._add(xml.paragraph("EkFormula", formula(paragraph.text), across="center"))
        elif kind == "rule":
            self._add(xml.paragraph("Normal"))
        else:
            style = {"quote": "EkQuote", "code": "EkCode"}.get(kind, "Normal")
            left = _ITEM * (paragraph.level - 1) if kind == "quote" else 0
            self._add(xml.paragraph(style, *self._runs(paragraph), left=left))

    def _runs(self, paragraph: Paragraph) -> list[Any]:
        found = []
        for part in paragraph.runs:
            found += [formula(part.text)] if part.formula else xml.runs([part])
        return found

    def _item(self, paragraph: Paragraph) -> Any:
        """An item of a list: a real one, so that screen readers count it."""
        level = min(max(paragraph.level, 1), 3)
        tail = "" if level == 1 else str(level)
        for deeper in [known for known in self.lists if known > level]:
            del self.lists[deeper]
        if paragraph.marker.rstrip(".").isdigit() and paragraph.marker.endswith("."):
            made = xml.paragraph(f"ListNumber{tail}", *self._runs(paragraph))
            number = self._numbering(
                level, int(paragraph.marker[:-1]), f"List Number{' ' if tail else ''}{tail}"
            )
            numbering = xml.element("numPr", xml.element("ilvl", val=0), xml.element("numId", val=number))
            made.pPr.append(numbering)
            return made
        if paragraph.marker.startswith("["):  # the text of a footnote
            return xml.paragraph("EkTableNote", xml.run(f"{paragraph.marker} "), *self._runs(paragraph))
        style = "ListBullet" if paragraph.marker else "ListContinue"
        return xml.paragraph(f"{style}{tail}", *self._runs(paragraph))

    def _numbering(self, level: int, at: int, style: str) -> int:
        """The list to which an item belongs: the one before, or a new one that begins at the item's number."""
        known = self.lists.get(level)
        if known and known[1] + 1 == at:
            self.lists[level] = (known[0], at)
            return known[0]
        numbering = self.word.part.numbering_part.numbering_definitions._numbering
        base = self.word.styles[style].element.pPr.numPr.numId.val
        made = numbering.add_num(numbering.num_having_numId(base).abstractNumId.val)
        made.add_lvlOverride(ilvl=0).add_startOverride(at)
        self.lists[level] = (made.numId, at)
        return int(made.numId)
