"""Shapes of an HWPX document: what letters, paragraphs and borders look like, and the part that lists them.

The body refers to shapes by their place in these lists (letters and paragraphs from 0, borders from 1), and the word
processor looks them up by place, so the number is always the place. The document of styles keeps the names that Korean
offices know: 바탕글, 본문, 개요 1 to 10, 캡션.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from evalkit.present.writers.prose import BULLETS

NAMESPACES = {
    "ha": "http://www.hancom.co.kr/hwpml/2011/app",
    "hp": "http://www.hancom.co.kr/hwpml/2011/paragraph",
    "hp10": "http://www.hancom.co.kr/hwpml/2016/paragraph",
    "hs": "http://www.hancom.co.kr/hwpml/2011/section",
    "hc": "http://www.hancom.co.kr/hwpml/2011/core",
    "hh": "http://www.hancom.co.kr/hwpml/2011/head",
    "hhs": "http://www.hancom.co.kr/hwpml/2011/history",
    "hm": "http://www.hancom.co.kr/hwpml/2011/master-page",
    "hpf": "http://www.hancom.co.kr/schema/2011/hpf",
    "dc": "http://purl.org/dc/elements/1.1/",
    "opf": "http://www.idpf.org/2007/opf/",
    "ooxmlchart": "http://www.hancom.co.kr/hwpml/2016/ooxmlchart",
    "hwpunitchar": "http://www.hancom.co.kr/hwpml/2016/HwpUnitChar",
    "epub": "http://www.idpf.org/2007/ops",
    "config": "urn:oasis:names:tc:opendocument:xmlns:config:1.0",
}
DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>'
ROOT = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())

FONTS = ("함초롬돋움", "함초롬바탕")
SANS, SERIF = 0, 1
_SCRIPTS = ("HANGUL", "LATIN", "HANJA", "JAPANESE", "OTHER", "SYMBOL", "USER")
_EACH = ("hangul", "latin", "hanja", "japanese", "other", "symbol", "user")
_TYPE = (
    '<hh:typeInfo familyType="FCAT_GOTHIC" weight="6" proportion="4" contrast="0" strokeVariation="1"'
    ' armStyle="1" letterform="1" midline="1" xHeight="1"/>'
)
_NO_SHAPE = 4_294_967_295


@dataclass(frozen=True, slots=True)
class Letters:
    """Shape of letters; `size` in hundredths of a point."""

    size: int = 1000
    font: int = SERIF
    bold: bool = False
    italic: bool = False
    strike: bool = False
    color: str = "#000000"
    shade: str = "none"


@dataclass(frozen=True, slots=True)
class Lines:
    """Shape of a paragraph; lengths in hundredths of a point.

    Attributes
    ----------
    outline : level of a heading, 1–10; 0 = none
    bullet : depth of a list, 1–3; 0 = none
    border : number of the border around it
    keep : stays on the page of the next paragraph
    """

    align: str = "JUSTIFY"
    left: int = 0
    right: int = 0
    first: int = 0
    before: int = 0
    after: int = 0
    spacing: int = 160
    outline: int = 0
    bullet: int = 0
    border: int = 2
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Border:
    """Lines around a cell or paragraph as (width, colour), None = no line; `fill` is a colour, "" = none."""

    left: tuple[str, str] | None = None
    right: tuple[str, str] | None = None
    top: tuple[str, str] | None = None
    bottom: tuple[str, str] | None = None
    fill: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """A named style: paragraphs (PARA) or letters (CHAR)."""

    name: str
    english: str
    lines: Lines = Lines()
    letters: Letters = Letters()
    kind: str = "PARA"


STYLES = (
    Style("바탕글", "Normal"),
    Style("본문", "Body", Lines(after=400), Letters()),
    *(
        Style(
            f"개요 {level}",
            f"Outline {level}",
            Lines("LEFT", before=900 if level < 4 else 500, after=400, outline=level, keep=True),
            Letters({1: 1700, 2: 1400, 3: 1200}.get(level, 1050), SANS, bold=True),
        )
        for level in range(1, 11)
    ),
    Style("쪽 번호", "Page Number", Lines(), Letters(font=SANS), "CHAR"),
    Style("캡션", "Caption", Lines("LEFT", before=300, after=200, keep=True), Letters(950, SANS, bold=True)),
    Style("제목", "Title", Lines("LEFT", before=600, after=600, spacing=140), Letters(2200, SANS, bold=True)),
    Style("표 내용", "Table Text", Lines("LEFT", spacing=130), Letters(900, SANS)),
    Style("주", "Note", Lines("LEFT", after=100, spacing=140), Letters(850, SANS, color="#333333")),
    Style("목록", "List", Lines("LEFT", left=1000, after=150)),
    Style("알림", "Notice", Lines("LEFT", left=600, right=600, spacing=150)),
)
STYLE = {style.english: number for number, style in enumerate(STYLES)}


@dataclass(slots=True)
class Shapes:
    """Shapes in the order in which they were first asked for."""

    letters: dict[Letters, int] = field(default_factory=dict)
    lines: dict[Lines, int] = field(default_factory=dict)
    borders: dict[Border | str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # the first border has nothing, the second is what letters and paragraphs without a border refer to
        self.borders = {Border(): 1, "none": 2}
        for style in STYLES:
            self.of_letters(style.letters)
            self.of_lines(style.lines)

    def of_letters(self, shape: Letters) -> int:
        """Number of a shape of letters."""
        return self.letters.setdefault(shape, len(self.letters))

    def of_lines(self, shape: Lines) -> int:
        """Number of a shape of paragraphs."""
        return self.lines.setdefault(shape, len(self.lines))

    def of_border(self, border: Border) -> int:
        """Number of a border."""
        return self.borders.setdefault(border, len(self.borders) + 1)


def header_part(shapes: Shapes, lang: str) -> str:
    """The part ``Contents/header.xml``: everything that the body refers to, with its numbers."""
    fonts = "".join(
        f'<hh:font id="{number}" face="{face}" type="TTF" isEmbedded="0">{_TYPE}</hh:font>'
        for number, face in enumerate(FONTS)
    )
    faces = "".join(
        f'<hh:fontface lang="{script}" fontCnt="{len(FONTS)}">{fonts}</hh:fontface>' for script in _SCRIPTS
    )
    tabs = "".join(
        f'<hh:tabPr id="{n}" autoTabLeft="{left}" autoTabRight="{right}"/>'
        for n, (left, right) in enumerate(((0, 0), (1, 0), (0, 1)))
    )
    language = "1042" if lang == "ko" else "1033"
    lists = {
        "fontfaces": (len(_SCRIPTS), faces),
        "borderFills": (len(shapes.borders), "".join(_border(b, n) for b, n in shapes.borders.items())),
        "charProperties": (len(shapes.letters), "".join(_letters(c, n) for c, n in shapes.letters.items())),
        "tabProperties": (3, tabs),
        "numberings": (1, f'<hh:numbering id="1" start="0">{_outline()}</hh:numbering>'),
        "bullets": (len(BULLETS), "".join(_bullet(char, n) for n, char in enumerate(BULLETS, start=1))),
        "paraProperties": (len(shapes.lines), "".join(_lines(p, n) for p, n in shapes.lines.items())),
        "styles": (len(STYLES), "".join(_style(s, n, shapes, language) for n, s in enumerate(STYLES))),
    }
    body = "".join(f'<hh:{name} itemCnt="{n}">{text}</hh:{name}>' for name, (n, text) in lists.items())
    return (
        f'{DECLARATION}<hh:head {ROOT} version="1.5" secCnt="1">'
        '<hh:beginNum page="1" footnote="1" endnote="1" pic="1" tbl="1" equation="1"/>'
        f"<hh:refList>{body}</hh:refList>"
        '<hh:compatibleDocument targetProgram="HWP201X"><hh:layoutCompatibility/></hh:compatibleDocument>'
        '<hh:docOption><hh:linkinfo path="" pageInherit="0" footnoteInherit="0"/></hh:docOption>'
        '<hh:trackchageConfig flags="56"/></hh:head>'
    )


def _border(border: Border | str, number: int) -> str:
    shape = border if isinstance(border, Border) else Border()
    sides = "".join(
        f'<hh:{side}Border type="{"SOLID" if line else "NONE"}" width="{line[0] if line else "0.1 mm"}"'
        f' color="{line[1] if line else "#000000"}"/>'
        for side, line in (
            ("left", shape.left),
            ("right", shape.right),
            ("top", shape.top),
            ("bottom", shape.bottom),
        )
    )
    fill = shape.fill or ("none" if border == "none" else "")
    brush = (
        f'<hc:fillBrush><hc:winBrush faceColor="{fill}" hatchColor="#999999" alpha="0"/></hc:fillBrush>'
        if fill
        else ""
    )
    return (
        f'<hh:borderFill id="{number}" threeD="0" shadow="0" centerLine="NONE" breakCellSeparateLine="0">'
        '<hh:slash type="NONE" Crooked="0" isCounter="0"/><hh:backSlash type="NONE" Crooked="0" isCounter="0"/>'
        f'{sides}<hh:diagonal type="SOLID" width="0.1 mm" color="#000000"/>{brush}</hh:borderFill>'
    )


def _each(name: str, value: int) -> str:
    return f"<hh:{name} " + " ".join(f'{script}="{value}"' for script in _EACH) + "/>"


def _letters(shape: Letters, number: int) -> str:
    marks = ("<hh:bold/>" if shape.bold else "") + ("<hh:italic/>" if shape.italic else "")
    return (
        f'<hh:charPr id="{number}" height="{shape.size}" textColor="{shape.color}" shadeColor="{shape.shade}"'
        ' useFontSpace="0" useKerning="0" symMark="NONE" borderFillIDRef="2">'
        f"{_each('fontRef', shape.font)}{_each('ratio', 100)}{_each('spacing', 0)}{_each('relSz', 100)}"
        f'{_each("offset", 0)}{marks}<hh:underline type="NONE" shape="SOLID" color="#000000"/>'
        f'<hh:strikeout shape="{"SOLID" if shape.strike else "NONE"}" color="#000000"/><hh:outline type="NONE"/>'
        '<hh:shadow type="NONE" color="#C0C0C0" offsetX="10" offsetY="10"/></hh:charPr>'
    )


def _lines(shape: Lines, number: int) -> str:
    if shape.outline:
        heading = f'<hh:heading type="OUTLINE" idRef="0" level="{shape.outline - 1}"/>'
        if shape.outline > 7:  # older versions know seven levels
            heading = (
                f'<hp:switch><hp:case hp:required-namespace="{NAMESPACES["hp10"]}">{heading}</hp:case>'
                '<hp:default><hh:heading type="NONE" idRef="0" level="0"/></hp:default></hp:switch>'
            )
    elif shape.bullet:
        heading = f'<hh:heading type="BULLET" idRef="{shape.bullet}" level="0"/>'
    else:
        heading = '<hh:heading type="NONE" idRef="0" level="0"/>'
    return (
        f'<hh:paraPr id="{number}" tabPrIDRef="0" condense="0" fontLineHeight="0" snapToGrid="1"'
        ' suppressLineNumbers="0" checked="0" textDir="LTR">'
        f'<hh:align horizontal="{shape.align}" vertical="BASELINE"/>{heading}'
        '<hh:breakSetting breakLatinWord="KEEP_WORD" breakNonLatinWord="KEEP_WORD" widowOrphan="0"'
        f' keepWithNext="{int(shape.keep)}" keepLines="0" pageBreakBefore="0" lineWrap="BREAK"/>'
        '<hh:autoSpacing eAsianEng="0" eAsianNum="0"/><hp:switch>'
        f'<hp:case hp:required-namespace="{NAMESPACES["hwpunitchar"]}">{_margins(shape, 1)}</hp:case>'
        f"<hp:default>{_margins(shape, 2)}</hp:default></hp:switch>"
        f'<hh:border borderFillIDRef="{shape.border}" offsetLeft="0" offsetRight="0" offsetTop="0"'
        f' offsetBottom="0" connect="{int(shape.border > 2)}" ignoreMargin="0"/></hh:paraPr>'
    )


def _margins(shape: Lines, times: int) -> str:
    """Margins in hundredths of a point; versions without the unit of letters read half of what is written."""
    values = (
        ("intent", shape.first),
        ("left", shape.left),
        ("right", shape.right),
        ("prev", shape.before),
        ("next", shape.after),
    )
    margins = "".join(f'<hc:{name} value="{times * value}" unit="HWPUNIT"/>' for name, value in values)
    return (
        f"<hh:margin>{margins}</hh:margin>"
        f'<hh:lineSpacing type="PERCENT" value="{shape.spacing}" unit="HWPUNIT"/>'
    )


def _head(level: int, text: str = "", *, start: str = "", width: int = 1, shape: str = "DIGIT") -> str:
    inner = f">{text}</hh:paraHead>" if text else "/>"
    return (
        f'<hh:paraHead {start}level="{level}" align="LEFT" useInstWidth="{width}" autoIndent="1"'
        ' widthAdjust="0" textOffsetType="PERCENT" textOffset="50"'
        f' numFormat="{shape}" charPrIDRef="{_NO_SHAPE}" checkable="0"{inner}'
    )


def _outline() -> str:
    """Ten levels of headings without numbers: the pages number nothing either."""
    return "".join(_head(level, start='start="1" ') for level in range(1, 11))


def _bullet(char: str, number: int) -> str:
    return f'<hh:bullet id="{number}" char="{char}" useImage="0">{_head(0, width=0)}</hh:bullet>'


def _style(style: Style, number: int, shapes: Shapes, language: str) -> str:
    following = 0 if style.kind == "CHAR" else number
    return (
        f'<hh:style id="{number}" type="{style.kind}" name="{style.name}" engName="{style.english}"'
        f' paraPrIDRef="{shapes.of_lines(style.lines)}" charPrIDRef="{shapes.of_letters(style.letters)}"'
        f' nextStyleIDRef="{following}" langID="{language}" lockForm="0"/>'
    )
