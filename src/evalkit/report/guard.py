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

import nh3

from evalkit.errors import DisclosureError
from evalkit.report.source import text_of

PAYLOAD = "application/vnd.evalkit+json"
_SHOWN = ("text/html", "image/svg+xml", "text/markdown")
_ALLOWED = {*_SHOWN, "text/plain", PAYLOAD}

_LONG_NUMBER = re.compile(r"\d(?:[\s\-‐‑–.]?\d){8,}")
_FRAME = re.compile(
    r"^\[\d+ rows x \d+ columns\]$|^(?:Name: .*, )?(?:Length: \d+, )?dtype: \S+$", re.MULTILINE
)
_CELL_FILE = re.compile(r"\S*ipykernel_\d+[\\/]\d+\.py")
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
    """Plain output without what differs from machine to machine: folders, process numbers, addresses."""
    text = _CELL_FILE.sub("(공책 셀)", text)
    text = _ADDRESS.sub("0x…", text)
    for folder in sorted({str(f) for f in folders if str(f) not in {"", "/", "."}}, key=len, reverse=True):
        text = text.replace(folder, "…")
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


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


def shown_outputs(cell: Mapping[str, Any], *, place: str, folders: Iterable[Path] = ()) -> Iterator[Shown]:
    """The outputs of a cell that may be shown.

    Raises
    ------
    DisclosureError : a rich output without the mark, a printed frame, or an identifier in any text
    """
    for output in cell.get("outputs", ()):
        kind = output.get("output_type")
        if kind == "stream":
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
