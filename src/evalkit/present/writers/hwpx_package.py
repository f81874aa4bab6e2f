"""The package of an HWPX file: its parts in order, what lists them, and the same bytes for the same content."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence

from evalkit.plain_text import one_line
from evalkit.present.document import Document, heading_of
from evalkit.present.writers.hwpx_shapes import DECLARATION, NAMESPACES, ROOT
from evalkit.present.writers.hwpx_text import words

MIMETYPE = "application/hwp+zip"
_TIME = "2000-01-01T00:00:00Z"
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_PREVIEW = 1_000
_VERSION = (
    f'{DECLARATION}<hv:HCFVersion xmlns:hv="http://www.hancom.co.kr/hwpml/2011/version"'
    ' tagetApplication="WORDPROCESSOR" major="5" minor="1" micro="1" buildNumber="0" os="1" xmlVersion="1.5"'
    ' application="evalkit" appVersion="1, 0, 0, 0"/>'  # the spelling of the first attribute is the format's
)
_SETTINGS = (
    f'{DECLARATION}<ha:HWPApplicationSetting xmlns:ha="{NAMESPACES["ha"]}" xmlns:config="{NAMESPACES["config"]}">'
    '<ha:CaretPosition listIDRef="0" paraIDRef="0" pos="0"/></ha:HWPApplicationSetting>'
)
_CONTAINER = (
    f'{DECLARATION}<ocf:container xmlns:ocf="urn:oasis:names:tc:opendocument:xmlns:container"'
    f' xmlns:hpf="{NAMESPACES["hpf"]}"><ocf:rootfiles>'
    '<ocf:rootfile full-path="Contents/content.hpf" media-type="application/hwpml-package+xml"/>'
    '<ocf:rootfile full-path="Preview/PrvText.txt" media-type="text/plain"/>'
    '<ocf:rootfile full-path="META-INF/container.rdf" media-type="application/rdf+xml"/>'
    "</ocf:rootfiles></ocf:container>"
)
_MANIFEST = f'{DECLARATION}<odf:manifest xmlns:odf="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'


def packed(document: Document, header: str, section: str, pictures: Sequence[bytes]) -> bytes:
    """The file: what tells its kind first, then version, header, body, previews, settings, lists and pictures."""
    parts: dict[str, bytes] = {
        "mimetype": MIMETYPE.encode(),
        "version.xml": _VERSION.encode(),
        "Contents/header.xml": header.encode(),
        "Contents/section0.xml": section.encode(),
        "Preview/PrvText.txt": _preview(document).encode(),
        "settings.xml": _SETTINGS.encode(),
        "Preview/PrvImage.png": _blank_png(),
        "META-INF/container.rdf": _rdf().encode(),
        "Contents/content.hpf": _package(document, len(pictures)).encode(),
        "META-INF/container.xml": _CONTAINER.encode(),
        "META-INF/manifest.xml": _MANIFEST.encode(),
    }
    parts |= {f"BinData/{picture_id(n)}.png": png for n, png in enumerate(pictures)}
    return _archive(parts)


def picture_id(number: int) -> str:
    """Name of a picture, counted from 0."""
    return f"image{number + 1}"


def _rdf() -> str:
    package = "http://www.hancom.co.kr/hwpml/2016/meta/pkg#"
    parts = "".join(
        f'<rdf:Description rdf:about=""><ns0:hasPart xmlns:ns0="{package}" rdf:resource="{name}"/></rdf:Description>'
        f'<rdf:Description rdf:about="{name}"><rdf:type rdf:resource="{package}{kind}"/></rdf:Description>'
        for name, kind in (("Contents/header.xml", "HeaderFile"), ("Contents/section0.xml", "SectionFile"))
    )
    return (
        f'{DECLARATION}<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{parts}'
        f'<rdf:Description rdf:about=""><rdf:type rdf:resource="{package}Document"/></rdf:Description></rdf:RDF>'
    )


def _package(document: Document, pictures: int) -> str:
    """The list of parts with title, language and dates; dates are fixed so that equal content gives equal bytes."""
    facts = {
        "creator": "evalkit",
        "subject": words(one_line(document.programme)),
        "description": words(one_line(document.question)),
        "lastsaveby": "evalkit",
        "CreatedDate": _TIME,
        "ModifiedDate": _TIME,
        "date": _TIME,
        "keyword": "",
    }
    metas = "".join(
        f'<opf:meta name="{name}" content="text">{text}</opf:meta>' for name, text in facts.items()
    )
    items = [
        ("header", "Contents/header.xml", "application/xml", ""),
        ("section0", "Contents/section0.xml", "application/xml", ""),
        ("settings", "settings.xml", "application/xml", ""),
        *(
            (picture_id(n), f"BinData/{picture_id(n)}.png", "image/png", ' isEmbeded="1"')
            for n in range(pictures)
        ),
    ]
    manifest = "".join(
        f'<opf:item id="{name}" href="{path}" media-type="{kind}"{more}/>' for name, path, kind, more in items
    )
    return (
        f'{DECLARATION}<opf:package {ROOT} version="" unique-identifier="" id=""><opf:metadata>'
        f"<opf:title>{words(one_line(document.title))}</opf:title>"
        f"<opf:language>{document.lang}</opf:language>{metas}</opf:metadata>"
        f"<opf:manifest>{manifest}</opf:manifest>"
        '<opf:spine><opf:itemref idref="header" linear="yes"/><opf:itemref idref="section0" linear="yes"/></opf:spine>'
        "</opf:package>"
    )


def _preview(document: Document) -> str:
    """The first words, which file managers show."""
    texts = [document.title, document.programme, document.question, *document.banners]
    texts += [heading_of(part) for part in document.parts]
    lines = [one_line(text) for text in texts]
    shown = "\r\n".join(line for line in lines if line)[:_PREVIEW] or document.name
    return shown + "\r\n"


def _blank_png() -> bytes:
    """A white page: the small picture that file managers show."""
    width, height = 177, 250

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + b"\xff" * ((width + 7) // 8)) * height
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def _archive(parts: dict[str, bytes]) -> bytes:
    """The parts in order; the first tells the kind of file and is not compressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, data in parts.items():
            entry = zipfile.ZipInfo(name, date_time=_ZIP_DATE)
            stored = name == "mimetype" or name.startswith("BinData/")
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            entry.create_system = 0
            target.writestr(entry, data, compresslevel=6)
    return out.getvalue()
