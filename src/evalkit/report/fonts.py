"""The Korean font inside the page: the glyphs in use and no others, as WOFF2.

Pretendard is under the OFL with a reserved name, so the subset carries another one, EvalkitSans; the licence text lies
beside the font. Digits keep their tabular forms and U+2212 is there. It has no Hanja: what it lacks of KS X 1001 comes
from a second file, EvalkitHanja (one weight), and only into pages that use it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import logging
import os
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import evalkit
from evalkit.report.environment import cache_folder

FAMILY = "EvalkitSans"
FACES = {400: "Pretendard-Regular.otf", 700: "Pretendard-Bold.otf"}
SECOND = "EvalkitHanja"
SECOND_FACE = "EvalkitHanja-Regular.ttf"
_FOLDER = Path(evalkit.__file__).with_name("present") / "fonts"
_BOLD = {"h1", "h2", "h3", "h4", "h5", "h6", "th", "strong", "b", "caption", "figcaption", "dt"}
_UNSEEN = {"style", "script", "head"}
_ALWAYS = "0123456789.,%()+-−–—·…†*<>=≤≥±× "
_MARGIN = re.compile(r'content:"([^"\\]*)"')
_RECIPE = "6"  # part of the cache key: change it when the subsetting below changes


class _Glyphs(HTMLParser):
    """Characters of a page, all of them and those set in bold."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.regular: set[str] = set(_ALWAYS)
        self.bold: set[str] = set(_ALWAYS)
        self._depth: dict[str, int] = {"bold": 0, "unseen": 0}
        self._total_row = False

    def _count(self, tag: str, step: int) -> None:
        for name, tags in (("bold", _BOLD), ("unseen", _UNSEEN)):
            if tag in tags:
                self._depth[name] = max(0, self._depth[name] + step)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._count(tag, 1)
        if tag == "tr":  # the style sheet sets the cells of a total row in bold
            self._total_row = "total" in (dict(attrs).get("class") or "").split()

    def handle_endtag(self, tag: str) -> None:
        self._count(tag, -1)
        if tag == "tr":
            self._total_row = False

    def handle_data(self, data: str) -> None:
        if self._depth["unseen"]:  # what the style sheet writes into the margins of printed pages is seen
            self.regular |= {glyph for words in _MARGIN.findall(data) for glyph in words}
            return
        self.regular |= set(data)
        if self._depth["bold"] or self._total_row:
            self.bold |= set(data)


def font_faces(page: str) -> str:
    """``@font-face`` rules with the glyphs that ``page`` (HTML) uses."""
    glyphs = _Glyphs()
    glyphs.feed(page)
    glyphs.close()
    rules = [
        _rule(FAMILY, str(weight), subset(FACES[weight], frozenset(used)))
        for weight, used in ((400, glyphs.regular), (700, glyphs.bold))
    ]
    lacking = frozenset(glyphs.regular) - _characters(FACES[400])
    if second := lacking & _characters(SECOND_FACE):
        rules.append(_rule(SECOND, "400 700", subset(SECOND_FACE, second)))
    return "\n".join(rules)


def _rule(family: str, weight: str, data: bytes) -> str:
    return (
        f"@font-face{{font-family:{family};font-weight:{weight};font-style:normal;"
        f"src:url(data:font/woff2;base64,{base64.b64encode(data).decode()}) format('woff2')}}"
    )


def missing_glyphs(text: str) -> tuple[str, ...]:
    """Printable characters of ``text`` that no packaged font draws: a box where the machine has no other font."""
    known = _characters(FACES[400]) | _characters(SECOND_FACE)
    return tuple(sorted(g for g in set(text) if g.isprintable() and g not in known))


@cache
def _characters(face: str) -> frozenset[str]:
    from fontTools.ttLib import TTFont

    with TTFont(_FOLDER / face, lazy=True) as font:
        return frozenset(chr(code) for code in font.getBestCmap())


def subset(face: str, glyphs: frozenset[str]) -> bytes:
    """WOFF2 with the given characters; kept by content, so the second page with them costs nothing."""
    source = _FOLDER / face
    text = "".join(sorted(g for g in glyphs if g.isprintable()))
    name = hashlib.sha256(f"{_RECIPE} {_font_hash(source)} {text}".encode()).hexdigest()[:32]
    kept = cache_folder() / "fonts" / f"{name}.woff2"
    if kept.is_file():
        return kept.read_bytes()
    data = _made(source, text)
    with contextlib.suppress(OSError):  # a page without a cache is a slower page
        kept.parent.mkdir(parents=True, exist_ok=True)
        temporary = kept.with_name(f"{name}.{os.getpid()}.part")
        temporary.write_bytes(data)
        temporary.replace(kept)
    return data


@cache
def _font_hash(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


def _made(source: Path, text: str) -> bytes:
    """Subset, rename, compress."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.ERROR)
    options = Options()
    # figures of one width; no pair kerning, whose tables cost as much time as the outlines
    options.layout_features = ["tnum", "lnum"]
    options.drop_tables += ["GPOS", "GDEF", "vhea", "vmtx", "VORG"]
    options.hinting = False
    options.desubroutinize = True
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.notdef_outline = True
    options.recalc_timestamp = False
    with TTFont(source, lazy=True, recalcTimestamp=False, recalcBBoxes=False) as font:
        subsetter = Subsetter(options)
        subsetter.populate(text=text)
        subsetter.subset(font)
        if source.name != SECOND_FACE:  # that one was renamed when it was made
            _rename(font, "Bold" if "Bold" in source.name else "Regular")
        font.flavor = "woff2"
        written = io.BytesIO()
        font.save(written, reorderTables=False)
        return written.getvalue()


def _rename(font: Any, style: str) -> None:
    """The reserved name taken out."""
    names = {1: FAMILY, 2: style, 3: f"{FAMILY}-{style}", 4: f"{FAMILY} {style}", 6: f"{FAMILY}-{style}"}
    for record in list(font["name"].names):
        if record.nameID in names:
            record.string = names[record.nameID]
    if "CFF " in font:
        cff = font["CFF "].cff
        cff.fontNames = [f"{FAMILY}-{style}"]
        top = cff.topDictIndex[0]
        top.FullName, top.FamilyName = f"{FAMILY} {style}", FAMILY
