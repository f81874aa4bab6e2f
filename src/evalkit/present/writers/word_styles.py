"""The look of a Word document: A4, Korean fonts, styles by name, header and footer, properties."""

from __future__ import annotations

import re
from typing import Any

from evalkit.present.document import Document, Remark
from evalkit.present.messages import say
from evalkit.present.tabulation import clean_text
from evalkit.present.writers.packages import FIXED_TIME
from evalkit.present.writers.word_xml import FONT, INK, NAVY, QUIET, RED, element, field, paragraph, run

LANGUAGES = {"ko": "ko-KR", "en": "en-GB"}
_HEADINGS = {1: (18, NAVY, 0, 10), 2: (13.5, NAVY, 18, 6), 3: (11.5, INK, 12, 4), 4: (10.5, INK, 10, 3)}
_OWN = (
    # id, name, based on, points, bold, colour, before, after
    ("EkTableText", "Ek Table Text", 8.5, False, INK, 0, 0),
    ("EkTableNote", "Ek Table Note", 8.5, False, QUIET, 3, 0),
    ("EkAnswerLabel", "Ek Answer Label", 10, True, INK, 10, 0),
    ("EkAnswerValue", "Ek Answer Value", 15, True, NAVY, 0, 0),
    ("EkAnswerText", "Ek Answer Text", 10.5, False, INK, 0, 10),
    ("EkNote", "Ek Remark Note", 10, False, INK, 8, 8),
    ("EkCaution", "Ek Remark Caution", 10, False, INK, 8, 8),
    ("EkDanger", "Ek Remark Danger", 10, False, RED, 8, 8),
    ("EkCode", "Ek Code", 9, False, INK, 6, 6),
    ("EkFormula", "Ek Formula", 10, False, INK, 6, 6),
    ("EkQuote", "Ek Quote", 10, False, QUIET, 6, 6),
    ("EkPicture", "Ek Picture", 10, False, INK, 10, 4),
    ("EkLead", "Ek Lead", 11, False, QUIET, 0, 6),
    ("TOC1", "toc 1", 10, False, INK, 4, 0),
    ("TOC2", "toc 2", 9.5, False, QUIET, 0, 0),
)
_BARS = {"EkAnswer": (NAVY, "F1F5FA"), "EkNote": (NAVY, "F1F5FA"), "EkCaution": ("D97A1A", "FDF4EA")}
_BARS |= {"EkDanger": (RED, "FBEFEF"), "EkCode": (QUIET, "F6F7F9")}


def new_word(document: Document) -> Any:
    """An empty document of our look."""
    from docx import Document as new_document
    from docx.shared import Mm

    word = new_document()
    _properties(word, document)
    _defaults(word, document.lang)
    _restyle(word)
    section = word.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(20)
    section.top_margin, section.bottom_margin = Mm(22), Mm(20)
    section.header_distance = section.footer_distance = Mm(10)
    _header_and_footer(section, document)
    _settings(word)
    return word


def _properties(word: Any, document: Document) -> None:
    properties = word.core_properties
    properties.title, properties.subject = (
        clean_text(document.title)[:255],
        clean_text(document.programme)[:255],
    )
    properties.author = properties.last_modified_by = "evalkit"
    properties.comments = properties.keywords = ""
    properties.language = LANGUAGES.get(document.lang, document.lang)
    properties.created = properties.modified = FIXED_TIME
    properties.revision = 1
    package = word.part.package
    for name, relation in list(package.rels.items()):
        if relation.reltype.endswith("/thumbnail"):  # a picture of the library's own empty page
            del package.rels[name]


def _defaults(word: Any, lang: str) -> None:
    """Font and language of everything; the template's themes would bring Latin fonts back."""
    from docx.oxml.ns import qn

    styles = word.styles.element
    look = styles.find(qn("w:docDefaults")).find(qn("w:rPrDefault")).find(qn("w:rPr"))
    for old in list(look):
        look.remove(old)
    look.extend(
        [
            _fonts(),
            element("sz", val=20),
            element("szCs", val=20),
            # Hangul is East Asian text; called Korean as well, numbers would be broken anywhere
            element("lang", val="en-US" if lang == "ko" else LANGUAGES[lang], eastAsia="ko-KR", bidi="ar-SA"),
        ]
    )
    # Word would set a gap between a digit and the Hangul behind it: 1단계, 20km
    form = word.styles["Normal"].element.get_or_add_pPr()
    for name in ("autoSpaceDE", "autoSpaceDN"):
        form.insert_element_before(
            element(name, val=0), *_AFTER_BORDER[_AFTER_BORDER.index(f"w:{name}") + 1 :]
        )
    for part in word.part.package.iter_parts():
        if str(part.partname) == "/word/fontTable.xml":
            entry = (
                f'<w:font w:name="{FONT}"><w:altName w:val="Malgun Gothic"/><w:charset w:val="81"/></w:font>'
            )
            part._blob = part.blob.replace(b"</w:fonts>", entry.encode() + b"</w:fonts>")


def _fonts() -> Any:
    return element("rFonts", ascii=FONT, hAnsi=FONT, eastAsia=FONT, cs=FONT)


def _restyle(word: Any) -> None:
    from docx.enum.style import WD_STYLE_TYPE

    for style in list(word.styles):
        if style.type == WD_STYLE_TYPE.TABLE and style.name not in ("Normal Table", "Table Grid"):
            style.element.getparent().remove(style.element)
    for style in word.styles:
        _plain(style)
    for level, (points, colour, before, after) in _HEADINGS.items():
        _set(word.styles[f"Heading {level}"], points, bold=True, colour=colour, before=before, after=after)
    _set(word.styles["Normal"], 10, before=0, after=6)
    _set(word.styles["Title"], 24, bold=True, colour=NAVY, before=120, after=12)
    _set(word.styles["Caption"], 10, bold=True, colour=INK, before=12, after=4)
    _set(word.styles["TOC Heading"], 16, bold=True, colour=NAVY, before=0, after=8)
    for identity, name, points, bold, colour, before, after in _OWN:
        style = word.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.element.set(style.element.keys()[0], "paragraph")
        style.element.set(_w("styleId"), identity)
        style.base_style = word.styles["Normal"]
        style.quick_style = True
        _set(style, points, bold=bold, colour=colour, before=before, after=after)
    _bars(word)


def _w(name: str) -> str:
    from docx.oxml.ns import qn

    return str(qn(f"w:{name}"))


def _plain(style: Any) -> None:
    """Fonts and colours of the template's theme taken out of a style."""
    for fonts in style.element.iter(_w("rFonts")):
        for name in list(fonts.attrib):
            del fonts.attrib[name]
        for slot in ("ascii", "hAnsi", "eastAsia", "cs"):
            fonts.set(_w(slot), FONT)
    for border in list(style.element.iter(_w("pBdr"))):
        border.getparent().remove(border)


def _set(
    style: Any, points: float, *, bold: bool = False, colour: str = INK, before: float = 0, after: float = 0
) -> None:
    from docx.shared import Pt, RGBColor

    style.font.size, style.font.bold, style.font.italic = Pt(points), bold, False
    style.font.color.rgb = RGBColor.from_string(colour)
    form = style.paragraph_format
    form.space_before, form.space_after = Pt(before), Pt(after)
    form.line_spacing = 1.15 if style.name.startswith(("Ek Table", "toc", "Heading")) else 1.35


def _bars(word: Any) -> None:
    """A bar at the left of answers and remarks, tabs of the contents, keeping together what belongs together."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT, WD_TAB_LEADER
    from docx.shared import Mm

    by_id = {style.style_id: style for style in word.styles}
    for identity, _, *_ in _OWN:
        bar = next((look for start, look in _BARS.items() if identity.startswith(start)), None)
        form = by_id[identity].element.get_or_add_pPr()
        if bar:
            colour, shade = bar
            line = element("left", val="single", sz=18, space=8, color=colour)
            form.insert_element_before(element("pBdr", line), *_AFTER_BORDER)
            fill = element("shd", val="clear", color="auto", fill=shade)
            form.insert_element_before(fill, *_AFTER_BORDER[1:])
            by_id[identity].paragraph_format.left_indent = Mm(4)
    for identity in ("EkAnswerLabel", "EkAnswerValue", "EkPicture"):
        by_id[identity].paragraph_format.keep_with_next = True
    by_id["EkPicture"].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
    by_id["EkQuote"].paragraph_format.left_indent = Mm(8)
    by_id["TOC2"].paragraph_format.left_indent = Mm(6)
    for identity in ("TOC1", "TOC2"):
        stops = by_id[identity].paragraph_format.tab_stops
        stops.add_tab_stop(Mm(170), WD_TAB_ALIGNMENT.RIGHT, WD_TAB_LEADER.DOTS)
    word.styles["Heading 1"].paragraph_format.page_break_before = True


_AFTER_BORDER = (
    *("w:shd", "w:tabs", "w:suppressAutoHyphens", "w:kinsoku", "w:wordWrap", "w:overflowPunct"),
    *("w:topLinePunct", "w:autoSpaceDE", "w:autoSpaceDN", "w:bidi", "w:adjustRightInd", "w:snapToGrid"),
    *("w:spacing", "w:ind", "w:contextualSpacing", "w:mirrorIndents", "w:suppressOverlap", "w:jc"),
    *("w:textDirection", "w:textAlignment", "w:textboxTightWrap", "w:outlineLvl", "w:divId", "w:cnfStyle"),
    *("w:rPr", "w:sectPr", "w:pPrChange"),
)


def _header_and_footer(section: Any, document: Document) -> None:
    """The plan and its banners on every page; the page and how many there are."""
    header, footer = section.header._element, section.footer._element
    for place in (header, footer):
        for old in list(place):
            place.remove(old)
    header.append(paragraph("Header", run(document.title, colour=QUIET, points=8), across="right"))
    for banner in document.banners:
        header.append(paragraph("Header", run(banner, bold=True, colour=RED, points=8), across="right"))
    # the words around the two numbers, in the order of the language
    told = re.split(r"(\x01|\x02)", say("export.page", document.lang, page="\x01", pages="\x02"))
    numbers = {"\x01": "PAGE", "\x02": "NUMPAGES"}
    parts = [
        field(numbers[part], "1", colour=QUIET, points=8)
        if part in numbers
        else run(part, colour=QUIET, points=8)
        for part in told
        if part
    ]
    footer.append(paragraph("Footer", *parts, across="center"))


def _settings(word: Any) -> None:
    """The language of the theme, and no compatibility mode: Word would say so in its title bar."""
    settings = word.settings.element
    for name in ("themeFontLang", "compat"):
        for old in list(settings.iter(_w(name))):
            old.getparent().remove(old)
    mode = element(
        "compatSetting", name="compatibilityMode", uri="http://schemas.microsoft.com/office/word", val="15"
    )
    after = next((e for e in settings if e.tag in (_w("rsids"), _w("clrSchemeMapping"))), None)
    compat = element("compat", mode)
    language = element("themeFontLang", val="en-US", eastAsia="ko-KR")
    if after is None:
        settings.extend([compat, language])
        return
    after.addprevious(compat)
    mapping = settings.find(_w("clrSchemeMapping"))
    if mapping is not None:
        mapping.addprevious(language)


def remark_style(remark: Remark) -> str:
    """Style of a remark by its level."""
    return {"caution": "EkCaution", "danger": "EkDanger"}.get(remark.level, "EkNote")
