"""Small pieces of WordprocessingML: elements, runs, fields, paragraphs. Text goes in as text nodes only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from evalkit.present.writers.layout import unbroken
from evalkit.present.writers.prose import Run

FONT = "맑은 고딕"
FIXED_WIDTH = "Consolas"
MATHS = "Cambria Math"
RED = "9C0006"
INK = "1A1F2B"
NAVY = "0B3C6F"
QUIET = "5B6472"


def element(tag: str, *children: Any, **attributes: object) -> Any:
    """An element in the namespace of Word; attributes likewise."""
    from docx.oxml.ns import qn
    from docx.oxml.parser import OxmlElement

    made = OxmlElement(f"w:{tag}")
    for name, value in attributes.items():
        made.set(qn(f"w:{name}"), str(value))
    for child in children:
        if child is not None:
            made.append(child)
    return made


def run(
    text: str,
    *,
    bold: bool = False,
    italic: bool = False,
    strike: bool = False,
    font: str = "",
    colour: str = "",
    points: float = 0,
) -> Any:
    """A run of text; line ends and tabs become what Word has for them."""
    from docx.oxml.ns import qn

    look = element("rPr")
    if font:
        look.append(element("rFonts", ascii=font, hAnsi=font, cs=font))
    for name, wanted in (("b", bold), ("i", italic), ("strike", strike)):
        if wanted:
            look.append(element(name))
    if colour:
        look.append(element("color", val=colour))
    if points:
        look.append(element("sz", val=round(2 * points)))
        look.append(element("szCs", val=round(2 * points)))
    made = element("r", look if len(look) else None)
    for part in re.split(r"([\n\t])", unbroken(text)):
        if part == "\n":
            made.append(element("br"))
        elif part == "\t":
            made.append(element("tab"))
        elif part:
            words = element("t")
            words.text = part
            words.set(qn("xml:space"), "preserve")
            made.append(words)
    return made


def field(instruction: str, shown: str, **look: Any) -> Any:
    """A field that Word computes, with what is shown until it does."""
    return element("fldSimple", run(shown, **look), instr=f" {instruction} ")


def runs(parts: Sequence[Run], **look: Any) -> list[Any]:
    """Runs of prose."""
    made = []
    for part in parts:
        font = FIXED_WIDTH if part.code else MATHS if part.formula else ""
        made.append(
            run(
                part.text,
                bold=part.bold or bool(look.get("bold")),
                italic=part.italic or part.formula,
                strike=part.strike,
                font=font,
                colour=str(look.get("colour", "")),
                points=float(look.get("points", 0)),
            )
        )
    return made


def paragraph(
    style: str, *children: Any, keep: bool = False, across: str = "", left: int = 0, below: int = 0
) -> Any:
    """A paragraph.

    Parameters
    ----------
    style : id of its style
    keep : stays on the page of what follows
    across : left, right or center where it differs from the style
    left : indent in twips
    below : space under it in twips where it differs from the style
    """
    look = element("pPr", element("pStyle", val=style))
    if keep:
        look.append(element("keepNext"))
    if below:
        look.append(element("spacing", after=below))
    if left:
        look.append(element("ind", left=left))
    if across:
        look.append(element("jc", val=across))
    return element("p", look, *children)


def bookmark(name: str, number: int, *children: Any) -> tuple[Any, ...]:
    """Children between the two ends of a bookmark."""
    return (
        element("bookmarkStart", id=number, name=name),
        *children,
        element("bookmarkEnd", id=number),
    )
