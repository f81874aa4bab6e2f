"""PNG of a drawn figure, for formats that hold no SVG."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from xml.etree import ElementTree

from evalkit.errors import UsageError

OFFICE = 'pip install "evalkit[office]"'
_LENGTH = re.compile(r"\s*([\d.]+)\s*(pt|px|)\s*$")
_REFERENCE = re.compile(r"(?:url\(|@import)\s*['\"]?(?!['\"]?#)", re.IGNORECASE)
_LOADS = ("image", "script", "foreignObject", "a", "feImage", "set", "animate", "use")


@lru_cache(maxsize=512)  # a whole plan: an export to several formats draws each figure once
def png_of(svg: str, dpi: int = 200) -> tuple[bytes, float, float]:
    """A figure as PNG on white, with its width and height in points.

    Letters in the SVG are paths, so no font of the machine is asked for and the bytes are the same everywhere. An SVG
    that names anything outside itself is refused: the renderer would open local files.

    Raises
    ------
    UsageError : the extra `office` is absent, or the SVG cannot be drawn or names something outside itself
    """
    try:
        import resvg_py
    except ImportError:
        raise UsageError("그림을 PNG로 바꾸는 resvg-py 가 없음", remedy=OFFICE) from None
    width, height = _inert_size(svg)
    try:
        png = bytes(
            resvg_py.svg_to_bytes(
                svg_string=svg, background="#ffffff", skip_system_fonts=True, dpi=float(dpi)
            )
        )
    except Exception as error:  # the library raises kinds of its own
        raise UsageError(f"그림을 PNG로 바꿀 수 없음: {error}", remedy="보고서를 다시 만들 것") from error
    return png, width, height


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG in pixels."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR":
        raise UsageError("PNG 파일이 아님", remedy="보고서를 다시 만들 것")
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def _inert_size(svg: str) -> tuple[float, float]:
    """Width and height in points of an SVG that names nothing outside itself."""
    refused = UsageError("그림의 SVG가 이 판의 그림이 아님", remedy="보고서를 다시 만들 것")
    if re.search(r"<!(?!--)(?!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1\.1//EN\"[^\[>]*>)", svg):
        raise refused
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314 (entities and document types are refused above)
    except ElementTree.ParseError:
        raise refused from None
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        links = [value for key, value in element.attrib.items() if key.rpartition("}")[2] in ("href", "src")]
        inside = all(link.startswith("#") for link in links)
        words = " ".join([element.text or "", *element.attrib.values()])
        if not inside or (name in _LOADS and not (name == "use" and links)) or _REFERENCE.search(words):
            raise refused
    sizes = [_LENGTH.match(root.get(side, "")) for side in ("width", "height")]
    if not all(sizes):
        raise refused
    points = [float(m[1]) * (0.75 if m[2] != "pt" else 1.0) for m in sizes if m]
    if not all(0 < size <= 5_000 for size in points):
        raise refused
    return points[0], points[1]
