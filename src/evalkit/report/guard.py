"""What may leave the room: only what `evalkit.release` marked, and plain text without identifiers.

The mark is ``metadata.evalkit.released`` of an output, and beside the picture or table a description of it under the
type ``application/vnd.evalkit+json``. Any other rich output is a raw frame or a figure that passed no disclosure rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nh3

from evalkit.errors import DisclosureError
from evalkit.plain_text import clean_text, without_ansi
from evalkit.report.source import text_of

PAYLOAD = "application/vnd.evalkit+json"
_SHOWN = ("text/html", "image/svg+xml", "text/markdown")
_ALLOWED = {*_SHOWN, "text/plain", PAYLOAD}

_LONG_NUMBER = re.compile(
    r"\d(?:[\u00ad\u200b-\u200f\u2060\ufeff]*[\s\-‐‑–—−－.]?[\u00ad\u200b-\u200f\u2060\ufeff]*\d){8,}"
)
_FRAME = re.compile(
    r"^\[\d+ rows x \d+ columns\]$|^(?:Name: .*, )?(?:Length: \d+, )?dtype: \S+$", re.MULTILINE
)
_CELL_FILE = re.compile(
    r"(?<!\S)\S*?ipykernel_\d+[\\/]\d+\.py"
)  # from the start of a word: its length counts once
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")

_TAGS = {
    *(
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "details",
        "div",
    ),
    *(
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
    ),
    *(
        "pre",
        "s",
        "section",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
    ),
    *("th", "thead", "tr", "u", "ul"),
}
_ATTRIBUTES = {
    "*": {
        "class",
        "id",
        "lang",
        "title",
        "role",
        "aria-label",
        "aria-labelledby",
        "aria-describedby",
        "aria-hidden",
    },
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "headers"},
    "th": {"colspan", "rowspan", "headers", "scope", "abbr"},
    "col": {"span"},
    "colgroup": {"span"},
    "ol": {"start"},
    "details": {"open"},
    "div": {"tabindex"},
}
_PICTURE = re.compile(r"^data:image/(?:png|svg\+xml|webp);base64,[A-Za-z0-9+/=]+$")
_LINK = re.compile(r"^(?:#[\w.\-]+|https?://.+|(?:tables|figures)/[\w.\-%]+)$")


@dataclass(frozen=True, slots=True)
class Shown:
    """One output as the page shows it: html, svg, markdown or text."""

    form: str
    content: str
    payload: Mapping[str, Any] = field(default_factory=dict)


def masked(text: str) -> str:
    """Every number of nine or more digits blotted out: for logs, where too much is better than too little."""
    return _LONG_NUMBER.sub("■■■", text)


def scrubbed(text: str, folders: Iterable[Path] = ()) -> str:
    """Clean plain output without what differs from machine to machine: folders, process numbers, addresses."""
    text = _CELL_FILE.sub("(공책 셀)", without_ansi(text))
    text = _ADDRESS.sub("0x…", text)
    for folder in sorted({str(f) for f in folders if str(f) not in {"", "/", "."}}, key=len, reverse=True):
        text = text.replace(folder, "…")
    return clean_text(text)


def sanitised(fragment: str) -> str:
    """Released HTML through the allow-list: a second lock behind release's own escaping."""

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute == "src":
            return value if _PICTURE.match(value) else None
        if attribute == "href":
            return value if _LINK.match(value) else None
        return value

    return nh3.clean(
        fragment,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        url_schemes={"http", "https", "data"},
        link_rel="noopener noreferrer",
        clean_content_tags={"script", "style", "svg", "iframe", "object", "template", "math"},
        strip_comments=True,
    )


_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = {
    *("svg", "g", "defs", "path", "use", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text"),
    *("tspan", "clipPath", "pattern", "image", "linearGradient", "radialGradient", "stop", "style", "title"),
    *("desc", "metadata"),
}
_DESCRIBED = (
    "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}",
    "{http://creativecommons.org/ns#}",
    "{http://purl.org/dc/",
)
_INSIDE = re.compile(r"#[\w.\-]+|data:image/png;base64,[A-Za-z0-9+/=\s]+")
_ADDRESS_IN_STYLE = re.compile(r"url\(\s*[\"']?(?!#)|@import|expression\(|\\\\", re.IGNORECASE)


def is_still(svg: str) -> bool:
    """Whether a picture is shapes alone: opened by itself, an SVG may run scripts and load what it names."""
    body = svg.removeprefix("\ufeff").removeprefix('<?xml version="1.0" encoding="utf-8" standalone="no"?>')
    if "<?" in body or "<!DOCTYPE" in body.upper() or "<!ENTITY" in body.upper():
        return False
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314 (declarations are refused above)
    except ElementTree.ParseError:
        return False
    return root.tag == _SVG + "svg" and all(_is_shape(element) for element in root.iter())


def _is_shape(element: ElementTree.Element) -> bool:
    space, _, name = str(element.tag).rpartition("}")
    if not (f"{space}}}" == _SVG and name in _SHAPES) and not str(element.tag).startswith(_DESCRIBED):
        return False
    if element.tag == _SVG + "style" and _ADDRESS_IN_STYLE.search("".join(element.itertext())):
        return False
    for name, value in element.attrib.items():
        plain = name.rpartition("}")[2].lower()
        if plain.startswith("on") or plain in {"src", "base", "begin"}:
            return False
        if plain == "href" and not _INSIDE.fullmatch(value):
            return False
        if _ADDRESS_IN_STYLE.search(value) and plain not in {"resource", "d"}:
            return False
    return True


def shown_outputs(
    cell: Mapping[str, Any], *, place: str, folders: Iterable[Path] = (), stopped: bool = False
) -> Iterator[Shown]:
    """The outputs of a cell that may be shown.

    Parameters
    ----------
    stopped : the cell failed; what it printed may hold what made it fail, so only what release let pass is shown

    Raises
    ------
    DisclosureError : a rich output without the mark, a printed frame, or an identifier in any text
    """
    for output in cell.get("outputs", ()):
        kind = output.get("output_type")
        if kind == "stream" and not stopped:
            text = scrubbed(text_of({"source": output.get("text", "")}), folders)
            if _FRAME.search(text):
                raise DisclosureError(
                    "자료의 행을 그대로 찍은 출력이 있음",
                    where=(place,),
                    remedy="evalkit.release 의 표로 내보낼 것",
                )
            _refuse_identifiers(text, place)
            if text.strip():
                yield Shown("text", text)
        elif kind in {"display_data", "execute_result"}:
            yield from _released(output, place)


def _released(output: Mapping[str, Any], place: str) -> Iterator[Shown]:
    data = output.get("data", {})
    mark = output.get("metadata", {}).get("evalkit", {})
    unknown = sorted(set(data) - _ALLOWED)
    if mark.get("released") is not True or unknown:
        what = unknown[0] if unknown else next((m for m in _SHOWN if m in data), "text/plain")
        raise DisclosureError(
            f"공개 규칙을 거치지 않은 출력이 있음 ({what})",
            where=(place,),
            remedy="evalkit.release 의 함수로 내보내고, 마지막 줄의 값은 화면에 띄우지 말 것",
        )
    payload = data.get(PAYLOAD) or {}
    if isinstance(payload, str):
        payload = json.loads(payload)
    form = next((m for m in _SHOWN if m in data), "")
    content = text_of({"source": data.get(form, "")}) if form else ""
    if form == "text/html":
        content = sanitised(content)
    drawn = (content if form == "image/svg+xml" else "", str(payload.get("svg") or ""))
    if any(svg and not is_still(svg) for svg in drawn):
        raise DisclosureError(
            "그림에 모양이 아닌 것(실행되거나 밖을 가리키는 부분)이 있음",
            where=(place,),
            remedy="evalkit.present.figures 의 함수로 다시 그려 내보낼 것",
        )
    if form == "text/markdown":
        _refuse_identifiers(content, place)  # tables and figures were searched by their numbers in release
    short = {"text/html": "html", "image/svg+xml": "svg", "text/markdown": "markdown", "": "nothing"}[form]
    yield Shown(short, content, payload)


def _refuse_identifiers(text: str, place: str) -> None:
    from evalkit.release.search import identifier_in

    found = identifier_in(text)
    if found:
        raise DisclosureError(
            f"출력에 {found} 꼴의 글자가 있음",
            where=(place,),
            remedy="식별자를 빼고 다시 내보낼 것 (값은 기록하지 않음)",
        )


def refuse_identifiers_in_source(cell: Mapping[str, Any], *, place: str) -> None:
    """Code and prose are shown on the page too."""
    _refuse_identifiers(text_of(dict(cell)), place)
