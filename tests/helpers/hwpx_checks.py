"""A reader and checker of HWPX of our own, which knows nothing of the writer and nothing of python-hwpx.

The rules are those whose breach made the word processor refuse a file, lose text or draw it wrongly, as people reported of
other writers, and those of the format: every reference resolves, counts match, tables are tiled exactly, pictures exist.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

HP = "{http://www.hancom.co.kr/hwpml/2011/paragraph}"
HH = "{http://www.hancom.co.kr/hwpml/2011/head}"
HC = "{http://www.hancom.co.kr/hwpml/2011/core}"
HS = "{http://www.hancom.co.kr/hwpml/2011/section}"
OPF = "{http://www.idpf.org/2007/opf/}"
PREFIXES = {
    *("ha", "hp", "hp10", "hs", "hc", "hh", "hhs", "hm", "hpf", "dc", "opf", "ooxmlchart", "hwpunitchar"),
    *("epub", "config"),
}
# all that a body may hold: no fields, links, objects, scripts, forms, videos, charts or memos
ELEMENTS = {
    *(
        "sec",
        "p",
        "run",
        "t",
        "lineBreak",
        "secPr",
        "ctrl",
        "colPr",
        "pageNum",
        "grid",
        "startNum",
        "visibility",
    ),
    *(
        "lineNumberShape",
        "pagePr",
        "margin",
        "footNotePr",
        "endNotePr",
        "autoNumFormat",
        "noteLine",
        "noteSpacing",
    ),
    *(
        "numbering",
        "placement",
        "pageBorderFill",
        "offset",
        "tbl",
        "sz",
        "pos",
        "outMargin",
        "inMargin",
        "caption",
    ),
    *("subList", "tr", "tc", "cellAddr", "cellSpan", "cellSz", "cellMargin", "pic", "orgSz", "curSz", "flip"),
    *(
        "rotationInfo",
        "renderingInfo",
        "transMatrix",
        "scaMatrix",
        "rotMatrix",
        "imgRect",
        "pt0",
        "pt1",
        "pt2",
    ),
    *("pt3", "imgClip", "imgDim", "img", "effects", "shapeComment"),
}
_CELL = ["subList", "cellAddr", "cellSpan", "cellSz", "cellMargin"]
_TABLE = ["sz", "pos", "outMargin", "inMargin"]
_ATTRIBUTE = re.compile(r"[A-Za-z0-9 가-힣.#:/_\-)•◦▪]*")


@dataclass(slots=True)
class Table:
    """A table as read: its caption, and the text, span, alignment and role of each cell by (row, column)."""

    caption: str
    shape: tuple[int, int]
    cells: dict[tuple[int, int], str] = field(default_factory=dict)
    spans: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    aligns: dict[tuple[int, int], str] = field(default_factory=dict)
    header: set[tuple[int, int]] = field(default_factory=set)
    repeats: bool = False


@dataclass(slots=True)
class Read:
    """What a reader of the file meets, in order."""

    paragraphs: list[tuple[str, str]]  # (name of the style, text), tables left out
    tables: list[Table]
    pictures: list[tuple[str, bytes]]  # (words, bytes)
    title: str
    language: str

    @property
    def text(self) -> str:
        """All text of the body."""
        return "\n".join(text for _, text in self.paragraphs)


def text_of(element: etree._Element) -> str:
    """Text of a paragraph, or of the paragraphs of a list, line ends as such."""
    lines = []
    for paragraph in [element] if element.tag == HP + "p" else element.iterfind(f"{HP}subList/{HP}p"):
        parts = []
        for t in paragraph.iterfind(f"{HP}run/{HP}t"):
            parts.append(t.text or "")
            for child in t:
                assert child.tag == HP + "lineBreak"
                parts.append("\n" + (child.tail or ""))
        lines.append("".join(parts))
    return "\n".join(lines)


def read_hwpx(content: bytes) -> Read:
    """The file as a reader of it would see it."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    package = _xml(archive, "Contents/content.hpf")
    header, section = _xml(archive, "Contents/header.xml"), _xml(archive, "Contents/section0.xml")
    styles = {style.get("id"): style.get("name") for style in header.iter(HH + "style")}
    shapes = {
        shape.get("id"): shape.find(HH + "align").get("horizontal") for shape in header.iter(HH + "paraPr")
    }
    items = {item.get("id"): item.get("href") for item in package.iter(OPF + "item")}
    return Read(
        [(styles[p.get("styleIDRef")], text_of(p)) for p in section.iterfind(HP + "p")],
        [_table(table, shapes) for table in section.iter(HP + "tbl")],
        [
            (
                pic.findtext(HP + "shapeComment") or "",
                archive.read(items[pic.find(HC + "img").get("binaryItemIDRef")]),
            )
            for pic in section.iter(HP + "pic")
        ],
        package.findtext(f"{OPF}metadata/{OPF}title") or "",
        package.findtext(f"{OPF}metadata/{OPF}language") or "",
    )


def _table(element: etree._Element, shapes: dict[str, str]) -> Table:
    caption = element.find(HP + "caption")
    found = Table(
        "" if caption is None else text_of(caption),
        (int(element.get("rowCnt")), int(element.get("colCnt"))),
        repeats=element.get("repeatHeader") == "1",
    )
    for cell in element.iterfind(f"{HP}tr/{HP}tc"):
        at = _pair(cell.find(HP + "cellAddr"), "rowAddr", "colAddr")
        found.cells[at] = text_of(cell)
        found.spans[at] = _pair(cell.find(HP + "cellSpan"), "rowSpan", "colSpan")
        found.aligns[at] = shapes[cell.find(f"{HP}subList/{HP}p").get("paraPrIDRef")]
        if cell.get("header") == "1":
            found.header.add(at)
    return found


def _pair(element: etree._Element, first: str, second: str) -> tuple[int, int]:
    return int(element.get(first)), int(element.get(second))


def _xml(archive: zipfile.ZipFile, name: str) -> etree._Element:
    return etree.fromstring(archive.read(name), etree.XMLParser(resolve_entities=False, huge_tree=True))


def faults(content: bytes) -> list[str]:
    """What is wrong with a file; empty when nothing is."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    found = [*_package_faults(archive, content)]
    if found:
        return found
    header, section = _xml(archive, "Contents/header.xml"), _xml(archive, "Contents/section0.xml")
    return [
        *_header_faults(header),
        *_reference_faults(header, section),
        *_body_faults(section),
        *(fault for table in section.iter(HP + "tbl") for fault in _table_faults(table)),
        *_picture_faults(archive, section),
    ]


def _package_faults(archive: zipfile.ZipFile, content: bytes) -> Iterator[str]:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if names[0] != "mimetype" or infos[0].compress_type != zipfile.ZIP_STORED or infos[0].extra:
        yield "mimetype is not the first entry, stored"
    if content[30:57] != b"mimetypeapplication/hwp+zip":
        yield "the kind of file does not stand at byte 30"
    if max(Counter(names).values()) > 1 or any(
        name.endswith("/") or ".." in name or "\\" in name for name in names
    ):
        yield "an entry is there twice, is a folder or leaves its folder"
    if {info.date_time for info in infos} != {(1980, 1, 1, 0, 0, 0)} or any(info.extra for info in infos):
        yield "an entry has a date or an extra field"
    needed = {
        *(
            "version.xml",
            "settings.xml",
            "META-INF/container.xml",
            "META-INF/manifest.xml",
            "Contents/content.hpf",
        ),
        *("META-INF/container.rdf", "Contents/header.xml", "Contents/section0.xml", "Preview/PrvText.txt"),
    }
    if missing := sorted(needed - set(names)):
        yield f"missing: {missing}"
        return
    for name in names:
        if name.endswith((".xml", ".hpf", ".rdf")):
            data = archive.read(name)
            if not data.startswith(b'<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>'):
                yield f"{name}: declaration"
            if b"<!" in data or b"<?" in data[5:]:
                yield f"{name}: a document type, comment or instruction"
    if "tagetApplication" not in _xml(archive, "version.xml").attrib:
        yield "version.xml: tagetApplication"
    for root in _xml(archive, "META-INF/container.xml").iter("{*}rootfile"):
        if root.get("full-path") not in names or not root.get("media-type"):
            yield "container.xml: a root file is not there or has no type"
    if not archive.read("Preview/PrvText.txt").decode("utf-8").strip():
        yield "PrvText.txt is empty"
    yield from _manifest_faults(archive, names)


def _manifest_faults(archive: zipfile.ZipFile, names: list[str]) -> Iterator[str]:
    package = _xml(archive, "Contents/content.hpf")
    items = {item.get("id"): item for item in package.iter(OPF + "item")}
    if len(items) != sum(1 for _ in package.iter(OPF + "item")):
        yield "content.hpf: an id is there twice"
    for name, item in items.items():
        path, kind = item.get("href"), item.get("media-type")
        if not name or path not in names or not kind:
            yield f"content.hpf: {name} is not there or has no type"
        elif path.startswith("BinData/") and (
            kind != "image/png" or item.get("isEmbeded") != "1" or archive.read(path)[:4] != b"\x89PNG"
        ):
            yield f"content.hpf: {name} is no embedded PNG"
    held = {item.get("href") for item in items.values()}
    for name in names:
        if name.startswith(("Contents/", "BinData/")) and name != "Contents/content.hpf" and name not in held:
            yield f"content.hpf does not list {name}"
    order = [ref.get("idref") for ref in package.iter(OPF + "itemref")]
    if [items[name].get("href") for name in order if name in items] != [
        "Contents/header.xml",
        "Contents/section0.xml",
    ]:
        yield "content.hpf: the order is not header, body"
    if any(meta.get("name") is None for meta in package.iter(OPF + "meta")):
        yield "content.hpf: a fact without a name"


def _header_faults(header: etree._Element) -> Iterator[str]:
    if not set(header.nsmap) >= PREFIXES:
        yield f"header.xml: prefixes {sorted(PREFIXES - set(header.nsmap))}"
    if header.get("version") != "1.5" or header.get("secCnt") != "1":
        yield "header.xml: version or number of sections"
    if header.find(HH + "compatibleDocument").get("targetProgram") != "HWP201X":
        yield "header.xml: target program"
    lists = list(header.find(HH + "refList"))
    for each in [*lists, *header.iter(HH + "fontface")]:
        name, children = etree.QName(each).localname, list(each)
        counted = each.get("fontCnt" if name == "fontface" else "itemCnt")
        if counted != str(len(children)):
            yield f"header.xml: {name} counts {counted} of {len(children)}"
        if name == "fontfaces":
            continue
        start = 1 if name in ("borderFills", "numberings", "bullets") else 0
        # the word processor looks shapes up by place
        if [child.get("id") for child in children] != [str(start + n) for n in range(len(children))]:
            yield f"header.xml: {name} are not numbered by place"
    if [face.get("lang") for face in header.iter(HH + "fontface")] != [
        *("HANGUL", "LATIN", "HANJA", "JAPANESE", "OTHER", "SYMBOL", "USER")
    ]:
        yield "header.xml: fonts of seven scripts"
    for side in header.iter(*(f"{HH}{side}Border" for side in ("left", "right", "top", "bottom"))):
        if not re.fullmatch(r"\d\.\d+ mm", side.get("width")):
            yield f"header.xml: width {side.get('width')}"


def _reference_faults(header: etree._Element, section: etree._Element) -> Iterator[str]:
    def ids(name: str) -> set[str]:
        return {each.get("id") for each in header.iter(HH + name)}

    known = {
        "charPrIDRef": ids("charPr"),
        "paraPrIDRef": ids("paraPr"),
        "styleIDRef": ids("style"),
        "nextStyleIDRef": ids("style"),
        "borderFillIDRef": ids("borderFill"),
        "tabPrIDRef": ids("tabPr"),
        "outlineShapeIDRef": ids("numbering"),
        "memoShapeIDRef": {"0"},
        "linkListIDRef": {"0"},
        "linkListNextIDRef": {"0"},
    }
    for root in (header, section):
        for element in root.iter():
            for name, value in element.attrib.items():
                no_shape = element.tag == HH + "paraHead" and value == "4294967295"
                if name in known and value not in known[name] and not no_shape:
                    yield f"{etree.QName(element).localname}: {name}={value} is nowhere"
                if not _ATTRIBUTE.fullmatch(value):
                    yield f"{etree.QName(element).localname}: {name} holds {value!r}"
    fonts = {font.get("id") for font in header.iter(HH + "font")}
    for refs in header.iter(HH + "fontRef"):
        if set(refs.attrib.values()) - fonts:
            yield "a font is nowhere"
    for heading in header.iter(HH + "heading"):
        if heading.get("type") == "BULLET" and heading.get("idRef") not in ids("bullet"):
            yield "a bullet is nowhere"


def _body_faults(section: etree._Element) -> Iterator[str]:
    if not set(section.nsmap) >= PREFIXES:
        yield f"section0.xml: prefixes {sorted(PREFIXES - set(section.nsmap))}"
    if strange := {etree.QName(e).localname for e in section.iter() if isinstance(e.tag, str)} - ELEMENTS:
        yield f"section0.xml: {sorted(strange)}"
    first = section.find(f"{HP}p/{HP}run")
    properties = list(section.iter(HP + "secPr"))
    if len(properties) != 1 or properties[0].getparent() is not first or first[0] is not properties[0]:
        yield "the section's properties are not the first thing of the first run"
    elif [e.get("type") for e in properties[0].iterfind(HP + "pageBorderFill")] != ["BOTH", "EVEN", "ODD"]:
        yield "the section has not three borders of pages"
    elif any(properties[0].find(HP + name) is None for name in ("startNum", "visibility", "pagePr")):
        yield "the section's properties lack a part"
    if any(len(ctrl) == 0 for ctrl in section.iter(HP + "ctrl")):
        yield "an empty control"
    numbers = [e.get("id") for e in section.iter(HP + "p", HP + "tbl", HP + "pic")]
    if len(set(numbers)) != len(numbers):
        yield "two paragraphs or objects have one number"
    for paragraph in section.iter(HP + "p"):
        runs = paragraph.findall(HP + "run")
        if not runs or len(runs) != len(paragraph):
            yield "a paragraph that is not made of runs"
        if any(each.tail for run in runs for each in (run, *run)) or any(run.text for run in runs):
            yield "text outside of hp:t"
    if any(sub.find(HP + "p") is None for sub in section.iter(HP + "subList")):
        yield "a list without paragraphs"
    if any(element.get("href") for element in section.iter()):
        yield "a link"


def _table_faults(table: etree._Element) -> Iterator[str]:
    rows, columns = int(table.get("rowCnt")), int(table.get("colCnt"))
    page = table.getroottree().getroot().find(f".//{HP}pagePr")
    margin = page.find(HP + "margin")
    room = int(page.get("width")) - int(margin.get("left")) - int(margin.get("right"))
    children = [
        etree.QName(child).localname for child in table if child.tag not in (HP + "tr", HP + "caption")
    ]
    if children != _TABLE:
        yield f"a table holds {children}"
    written = table.findall(HP + "tr")
    if len(written) != rows:
        yield f"a table of {rows} rows has {len(written)}"
    taken: Counter[tuple[int, int]] = Counter()
    widths: dict[int, set[int]] = {}
    for at, row in enumerate(written):
        cells = row.findall(HP + "tc")
        if not cells:
            yield "a row without cells"
        for cell in cells:
            if [etree.QName(child).localname for child in cell] != _CELL:
                yield "a cell lacks a part"
                return
            r, c = _pair(cell.find(HP + "cellAddr"), "rowAddr", "colAddr")
            down, across = _pair(cell.find(HP + "cellSpan"), "rowSpan", "colSpan")
            if r != at or down < 1 or across < 1:
                yield f"the cell {r}, {c} does not stand in its row"
            taken.update((r + i, c + j) for i in range(down) for j in range(across))
            width, height = _pair(cell.find(HP + "cellSz"), "width", "height")
            if width < 1 or height < 1:
                yield "a cell without size"
            if across == 1:
                widths.setdefault(c, set()).add(width)
    if taken != Counter((r, c) for r in range(rows) for c in range(columns)):
        yield "the cells of a table do not tile it"
    if any(len(each) > 1 for each in widths.values()):
        yield "a column has two widths"
    total = int(table.find(HP + "sz").get("width"))
    if total > room or (len(widths) == columns and sum(max(each) for each in widths.values()) != total):
        yield f"the widths of a table do not add up to {total}, or the page is narrower"
    marked = [
        (int(tc.find(HP + "cellAddr").get("rowAddr")), tc.get("header")) for tc in table.iter(HP + "tc")
    ]
    head = {row for row, mark in marked if mark == "1"}
    if any(mark != "1" for row, mark in marked if row in head):
        yield "a row is half a header"
    if head != set(range(len(head))) or table.get("repeatHeader") != "1":
        yield "the header is not at the top, or is not repeated"


def _picture_faults(archive: zipfile.ZipFile, section: etree._Element) -> Iterator[str]:
    items = {
        item.get("id"): item.get("href") for item in _xml(archive, "Contents/content.hpf").iter(OPF + "item")
    }
    used = set()
    for picture in section.iter(HP + "pic"):
        image = picture.find(HC + "img")
        if image is None or not items.get(image.get("binaryItemIDRef"), "").startswith("BinData/"):
            yield "a picture without its image"
            continue
        used.add(items[image.get("binaryItemIDRef")])
        matrices = [etree.QName(e).localname for e in picture.find(HP + "renderingInfo")]
        corners = [etree.QName(e).localname for e in picture.find(HP + "imgRect")]
        if matrices != ["transMatrix", "scaMatrix", "rotMatrix"] or corners != ["pt0", "pt1", "pt2", "pt3"]:
            yield "a picture lacks a matrix or corner"
        if not (picture.findtext(HP + "shapeComment") or "").strip():
            yield "a picture says nothing to those who cannot see it"
    if loose := {name for name in archive.namelist() if name.startswith("BinData/")} - used:
        yield f"pictures that nothing shows: {sorted(loose)}"
