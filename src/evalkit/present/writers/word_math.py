"""A formula as Word holds it (OMML), from the same MathML that the page shows; TeX as text where that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from evalkit.present.tabulation import clean_text
from evalkit.present.writers.word_xml import MATHS, run

_NAMESPACE = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_LEAVES = ("mi", "mn", "mo", "mtext", "ms")
_GROUPS = ("math", "mrow", "mstyle", "mpadded", "semantics")
_SCRIPTS = {
    "msub": ("sSub", "e", "sub"),
    "msup": ("sSup", "e", "sup"),
    "msubsup": ("sSubSup", "e", "sub", "sup"),
}
_SCRIPTS |= {"munder": ("limLow", "e", "lim"), "mover": ("limUpp", "e", "lim"), "mfrac": ("f", "num", "den")}


class _Unknown(Exception):
    """A piece of MathML that has no simple counterpart."""


def formula(tex: str) -> Any:
    """A formula within a line."""
    from latex2mathml.converter import convert

    try:
        made = _element("oMath", *_pieces(ElementTree.fromstring(convert(tex))))  # noqa: S314 (made here, of text)
    except Exception:  # the converter raises many kinds of its own
        return run(clean_text(tex), italic=True, font=MATHS)
    return made


def _element(tag: str, *children: Any) -> Any:
    from lxml import etree

    made = etree.Element(f"{{{_NAMESPACE}}}{tag}", nsmap={"m": _NAMESPACE})
    made.extend(children)
    return made


def _pieces(element: ElementTree.Element) -> list[Any]:
    name = element.tag.rpartition("}")[2]
    children = list(element)
    if name in _LEAVES:
        text = _element("t")
        text.text = clean_text(element.text or "")
        return [_element("r", text)]
    if name in _GROUPS:
        return [piece for child in children for piece in _pieces(child)]
    if name in _SCRIPTS:
        tag, *slots = _SCRIPTS[name]
        return [_element(tag, *_filled(slots, children))]
    if name == "msqrt":
        return [_element("rad", _element("deg"), *_filled(["e"], [_group(children)]))]
    if name == "munderover":
        base, under, over = children
        low = _element("limLow", *_filled(["e", "lim"], [base, under]))
        limit = _element("lim", *_pieces(over))
        return [_element("limUpp", _element("e", low), limit)]
    if name == "mspace":
        return []
    raise _Unknown(name)


def _filled(slots: Sequence[str], children: Sequence[ElementTree.Element]) -> list[Any]:
    return [_element(slot, *_pieces(child)) for slot, child in zip(slots, children, strict=True)]


def _group(children: Sequence[ElementTree.Element]) -> ElementTree.Element:
    group = ElementTree.Element("mrow")
    group.extend(children)
    return group
