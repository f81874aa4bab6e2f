"""Markdown read into paragraphs of runs, for formats that are not HTML.

What is raw HTML, a link or a picture in the Markdown comes out as text: nothing in the result can load, link or run.
A formula keeps its TeX and is marked as such; a link is followed by its address in brackets.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from evalkit.plain_text import clean_text

Kind = Literal["paragraph", "heading", "item", "quote", "code", "formula", "rule"]
BULLETS = ("•", "◦", "▪")


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one appearance; ``\\n`` in it is a line end. `formula`: the text is TeX."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    strike: bool = False
    formula: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph.

    Attributes
    ----------
    kind : what it is
    runs : its text
    level : of a heading 1–6, of an item or a quotation its depth from 1
    marker : what stands before the first paragraph of an item, such as ``•`` or ``2.``; "" = goes on
    """

    kind: Kind
    runs: tuple[Run, ...]
    level: int = 0
    marker: str = ""

    @property
    def text(self) -> str:
        """The text without appearance."""
        return "".join(run.text for run in self.runs)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table written in Markdown: header and rows of runs, all of one width; `right` says which columns hold numbers."""

    head: tuple[tuple[Run, ...], ...]
    rows: tuple[tuple[tuple[Run, ...], ...], ...]
    right: tuple[bool, ...]


def read_prose(markdown: str) -> tuple[Paragraph | Grid, ...]:
    """Markdown as paragraphs.

    >>> [(p.kind, p.text) for p in read_prose("가 **나**\\n\\n- 다")]
    [('paragraph', '가 나'), ('item', '다')]
    """
    tokens = _reader()(clean_text(markdown))
    return tuple(_blocks(tokens, Paragraph("paragraph", ())))


@cache
def _reader() -> Callable[[str], Sequence[Mapping[str, Any]]]:
    import mistune

    # the same plugins as the page, so that the same text means the same
    return mistune.create_markdown(  # type: ignore[return-value]
        renderer=None, plugins=["table", "math", "footnotes", "strikethrough"]
    )


def _blocks(tokens: Sequence[Mapping[str, Any]], around: Paragraph) -> Iterator[Paragraph | Grid]:
    """Paragraphs of block tokens; `around` is the item or quotation that they stand in."""
    for token in tokens:
        kind, children = token["type"], token.get("children", ())
        if kind in ("paragraph", "block_text"):
            yield replace(around, runs=_runs(children))
            around = replace(around, marker="")
        elif kind == "heading":
            yield Paragraph("heading", _runs(children), int(token["attrs"]["level"]))
        elif kind == "list":
            yield from _items(token, around.level + 1 if around.kind == "item" else 1)
        elif kind == "block_quote":
            yield from _blocks(children, Paragraph("quote", (), around.level + 1))
        elif kind == "block_code":
            yield Paragraph("code", (Run(clean_text(token["raw"]).rstrip("\n"), code=True),))
        elif kind == "block_math":
            yield Paragraph("formula", (Run(clean_text(token["raw"]).strip(), formula=True),))
        elif kind == "thematic_break":
            yield Paragraph("rule", ())
        elif kind == "table":
            yield _grid(token)
        elif kind == "footnotes":
            for item in children:
                number = f"[{item['attrs']['index']}]"
                yield from _blocks(item["children"], Paragraph("item", (), 1, number))
        elif kind != "blank_line":  # raw HTML, and what a later version may bring
            yield replace(around, runs=(Run(clean_text(token.get("raw", "")).strip("\n")),))


def _items(token: Mapping[str, Any], depth: int) -> Iterator[Paragraph | Grid]:
    attrs = token["attrs"]
    number = int(attrs.get("start", 1))
    for at, item in enumerate(token["children"]):
        marker = f"{number + at}." if attrs.get("ordered") else BULLETS[min(depth, len(BULLETS)) - 1]
        first = Paragraph("item", (), depth, marker)
        found = tuple(_blocks(item.get("children", ()), first))
        if not found or not isinstance(found[0], Paragraph) or found[0].marker != marker:
            yield first  # an item that holds nothing, or begins with something else than text
        yield from found


def _grid(token: Mapping[str, Any]) -> Grid:
    head: list[tuple[Run, ...]] = []
    right: list[bool] = []
    rows: list[tuple[tuple[Run, ...], ...]] = []
    for part in token["children"]:
        if part["type"] == "table_head":
            head = [_runs(cell["children"]) for cell in part["children"]]
            right = [cell["attrs"].get("align") == "right" for cell in part["children"]]
        else:
            rows += [tuple(_runs(cell["children"]) for cell in row["children"]) for row in part["children"]]
    return Grid(tuple(head), tuple(rows), tuple(right))


def _runs(tokens: Sequence[Mapping[str, Any]]) -> tuple[Run, ...]:
    """Inline tokens as runs; neighbours of one appearance are joined."""
    joined: list[Run] = []
    for run in _inline(tokens, Run("")):
        if not run.text:
            continue
        if joined and replace(joined[-1], text="") == replace(run, text="") and not run.formula:
            joined[-1] = replace(run, text=joined[-1].text + run.text)
        else:
            joined.append(run)
    return tuple(joined)


def _inline(tokens: Sequence[Mapping[str, Any]], style: Run) -> Iterator[Run]:
    for token in tokens:
        kind, children, raw = token["type"], token.get("children", ()), str(token.get("raw", ""))
        if kind == "text":
            yield replace(style, text=clean_text(html.unescape(raw)))
        elif kind == "strong":
            yield from _inline(children, replace(style, bold=True))
        elif kind == "emphasis":
            yield from _inline(children, replace(style, italic=True))
        elif kind == "strikethrough":
            yield from _inline(children, replace(style, strike=True))
        elif kind == "codespan":
            yield replace(style, text=clean_text(raw), code=True)
        elif kind == "inline_math":
            yield replace(style, text=clean_text(raw), formula=True)
        elif kind == "linebreak":
            yield replace(style, text="\n")
        elif kind == "softbreak":
            yield replace(style, text=" ")
        elif kind == "link":
            yield from _inline(children, style)
            yield from _address(token, children, style)
        elif kind == "image":  # pictures come from release alone
            yield from _inline(children, replace(style, italic=True))
        elif kind == "footnote_ref":
            yield replace(style, text=f"[{token['attrs']['index']}]")
        elif children:
            yield from _inline(children, style)
        else:  # raw HTML, and what a later version may bring
            yield replace(style, text=clean_text(raw))


def _address(token: Mapping[str, Any], children: Sequence[Mapping[str, Any]], style: Run) -> Iterator[Run]:
    """The address of a link as text, unless the text says it already."""
    address = clean_text(html.unescape(str(token["attrs"].get("url", ""))))
    shown = "".join(run.text for run in _inline(children, style))
    bare = re.sub(r"^mailto:", "", address)
    if address and not address.startswith("#") and shown not in (address, bare):
        yield replace(style, text=f" ({address})")
