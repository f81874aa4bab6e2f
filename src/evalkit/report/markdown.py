"""Prose of a notebook as HTML: escaped, formulas as MathML, headings in order, no request, translations put in."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from xml.etree import ElementTree

import mistune
from mistune.block_parser import BlockParser
from mistune.util import safe_entity

from evalkit.plain_text import clean_text
from evalkit.present.writers.html import unbroken
from evalkit.report.source import text_of

_SAFE_LINK = re.compile(r"^(https?://|mailto:|#|(?![A-Za-z][A-Za-z0-9+.\-]*:)(?!//)[\w./#%\-]+$)")
_TAG = re.compile(r"<[^>]+>")
_FORMULA = {
    "{http://www.w3.org/1998/Math/MathML}" + name
    for name in (
        *(
            "math",
            "mrow",
            "mi",
            "mn",
            "mo",
            "mtext",
            "mspace",
            "ms",
            "mfrac",
            "msqrt",
            "mroot",
            "mstyle",
            "mpadded",
        ),
        *(
            "mphantom",
            "menclose",
            "msub",
            "msup",
            "msubsup",
            "munder",
            "mover",
            "munderover",
            "mmultiscripts",
        ),
        *("mtable", "mtr", "mtd", "mlabeledtr"),
    )
}
_FORMULA_ATTRIBUTES = {
    *(
        "display",
        "mathvariant",
        "stretchy",
        "fence",
        "form",
        "separator",
        "lspace",
        "rspace",
        "minsize",
        "maxsize",
    ),
    *(
        "movablelimits",
        "accent",
        "accentunder",
        "displaystyle",
        "scriptlevel",
        "linethickness",
        "width",
        "height",
    ),
    *(
        "depth",
        "notation",
        "columnalign",
        "rowspacing",
        "columnspacing",
        "columnlines",
        "rowlines",
        "symmetric",
    ),
}


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the page: for the table of contents."""

    level: int
    id: str
    text: str
    lang: str = ""


@dataclass(slots=True)
class Outline:
    """Headings met so far; levels never jump and only the page itself has a first level.

    ``lang`` is the language of what is being read where it is not the page's; ``page_lang`` that of the page.
    """

    headings: list[Heading] = field(default_factory=list)
    title: str = ""
    title_lang: str = ""
    lang: str = ""
    page_lang: str = "ko"
    tables: int = 0

    def caption(self) -> str:
        """What a table written in prose is called: its number there, and the heading that it stands under."""
        from evalkit.present.messages import say

        self.tables += 1
        word = f"{say('page.table', self.lang or self.page_lang)} {self.tables}"
        return f"{word} · {self.headings[-1].text}" if self.headings else word

    def add(self, inner: str, level: int) -> str:
        """HTML of a heading at the level that fits; the first one of level 1 becomes the title of the page."""
        text = html.unescape(_TAG.sub("", inner)).strip()
        if level == 1 and not self.title and not self.headings:
            self.title, self.title_lang = text, self.lang
            return ""
        last = self.headings[-1].level if self.headings else 1
        level = min(max(level, 2), last + 1)
        name = f"s{len(self.headings) + 1}"
        self.headings.append(Heading(level, name, text, self.lang))
        return f'<h{level} id="{name}">{inner}</h{level}>\n'


class _Renderer(mistune.HTMLRenderer):
    """HTML with everything from outside escaped and nothing that loads."""

    def __init__(self, outline: Outline) -> None:
        super().__init__(escape=True)
        self.outline = outline

    def text(self, text: str) -> str:
        return unbroken(safe_entity(text))

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        return self.outline.add(text, level)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if not _SAFE_LINK.match(url):  # nothing is lost: the address is read, not followed
            return f"{text} ({html.escape(url, quote=True)})"
        return f'<a href="{html.escape(url, quote=True)}" rel="noopener noreferrer">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return f"<em>{text}</em> ({html.escape(url, quote=True)})"  # figures come from release alone

    def table_cell(self, text: str, align: str | None = None, head: bool = False) -> str:
        kind = f' class="{align}"' if align in {"left", "center", "right"} else ""
        return f'<th scope="col"{kind}>{text}</th>\n' if head else f"<td{kind}>{text}</td>\n"

    def table(self, text: str) -> str:
        caption = html.escape(self.outline.caption())
        opening = f'<div class="wide" tabindex="0" role="region" aria-label="{caption}"><table>'
        return f"{opening}<caption>{caption}</caption>\n{text}</table></div>\n"

    def inline_math(self, text: str) -> str:
        return mathml(text, display="inline")

    def block_math(self, text: str) -> str:
        from evalkit.present.messages import say

        label = say("page.formula", self.outline.lang or self.outline.page_lang)
        opening = f'<div class="formula" tabindex="0" role="group" aria-label="{label}">'
        return f"{opening}{mathml(text.strip(), display='block')}</div>\n"


def mathml(tex: str, *, display: str) -> str:
    """A formula as MathML; what cannot be read, or holds anything but a formula, is shown as it was written.

    latex2mathml does not escape what stands in ``\\text{…}`` and follows ``\\href``, so its result is read back and
    kept only when every element and attribute is on the list.
    """
    from latex2mathml.converter import convert

    tex = html.unescape(tex)
    try:
        converted: str = convert(tex, display=display)
        root = ElementTree.fromstring(converted)  # noqa: S314 (no document type gets this far: `<!` is refused)
    except Exception:  # the library raises many kinds of its own
        return f"<code>{html.escape(tex)}</code>"
    safe = "<!" not in converted and all(
        element.tag in _FORMULA and not set(element.attrib) - _FORMULA_ATTRIBUTES for element in root.iter()
    )
    return converted if safe else f"<code>{html.escape(tex)}</code>"


def render_markdown(source: str, outline: Outline) -> str:
    """Markdown to HTML; headings go through ``outline``.

    Definitions of links are text here: a line that vanishes from the page could hide what somebody wrote.
    """
    blocks = BlockParser()
    for rules in (blocks.rules, blocks.block_quote_rules, blocks.list_rules):
        rules[:] = [rule for rule in rules if rule != "ref_link"]
    markdown = mistune.Markdown(renderer=_Renderer(outline), block=blocks)
    for plugin in _plugins():
        plugin(markdown)
    rendered = markdown(clean_text(source))
    assert isinstance(rendered, str)
    return rendered


@cache
def _plugins() -> tuple[Any, ...]:
    from mistune.plugins.formatting import strikethrough
    from mistune.plugins.math import math
    from mistune.plugins.table import table

    return (table, math, strikethrough)


@cache
def _translations() -> dict[str, dict[str, str]]:
    from evalkit.present.messages import FOLDER, read_messages

    return read_messages(FOLDER)


def translate_markdown(nb: dict[str, Any], stem: str, lang: str) -> dict[str, Any]:
    """A copy of the notebook with its prose in another language.

    Sources of Markdown cells are replaced by the messages ``notebook.<stem>.<cell id>``. A cell without one keeps its
    Korean and is marked ``metadata.lang = "ko"``, which the page turns into the attribute of that section.

    Parameters
    ----------
    nb : notebook as JSON
    stem : name of the notebook file without suffix
    lang : "ko" returns an unchanged copy
    """
    translated = deepcopy(nb)
    if lang == "ko":
        return translated
    table = _translations()
    for cell in translated["cells"]:
        if cell["cell_type"] != "markdown" or not text_of(cell).strip():
            continue
        entry = table.get(f"notebook.{stem}.{cell.get('id', '')}")
        if entry is None:
            cell.setdefault("metadata", {})["lang"] = "ko"
        else:
            cell["source"] = entry[lang]
    return translated


def _headings_in(source: str) -> list[str]:
    """Headings of Markdown as plain text, code blocks left out; they name places, so identifiers leave no trace."""
    from evalkit.release.search import safe_words

    prose = re.sub(r"(?ms)^(```|~~~).*?^\1", "", source)
    found = re.findall(r"^#{1,6}\s+(.+?)\s*#*\s*$", prose, flags=re.MULTILINE)
    return [safe_words(re.sub(r"[*_`]", "", text)) for text in found]


def first_heading(cells: Iterable[dict[str, Any]]) -> str:
    """Text of the first heading of a notebook, without marks; '' when there is none."""
    for cell in cells:
        if cell["cell_type"] == "markdown" and (found := _headings_in(text_of(cell))):
            return found[0]
    return ""


def cell_titles(cells: Iterable[dict[str, Any]]) -> dict[int, str]:
    """For each cell the last heading above it: what a reader would call the place."""
    titles: dict[int, str] = {}
    current = ""
    for index, cell in enumerate(cells):
        if cell["cell_type"] == "markdown" and (found := _headings_in(text_of(cell))):
            current = found[-1]
        titles[index] = current
    return titles
