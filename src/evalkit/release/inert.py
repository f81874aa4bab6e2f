"""Inert Markdown: paragraphs, list items with a hyphen and bold are all that a released text can hold.

Whatever else could be read as a mark (links, pictures, definitions of links, which vanish from the page, HTML, entities,
formulas, code, tables, headings, rules) is escaped, so that a name from a plan or a workbook reads as it was written.
"""

from __future__ import annotations

import re

from evalkit.plain_text import clean_text

_PAIR = re.compile(r"(?<!\*)\*\*(?!\*)")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_MARKS = re.compile(r"[\\`\[\]*_~$|]")
_INDENT = re.compile(r"^(?: {0,3}\t| {4})[ \t]*")
_DEEP_ITEM = re.compile(r"^( {0,3}- )[ \t]+")
_BLOCK = re.compile(
    r"^(?P<item> {0,3}(?:- )?+)"
    r"(?:(?P<mark>[#>+])|(?P<number>\d{1,9})(?P<stop>[.)])(?=\s|$)|(?P<rule>[-=])(?=[-= ]*$|\s))"
)


def inert_markdown(markdown: str) -> str:
    """Markdown in which nothing loads, links or vanishes.

    >>> inert_markdown("**a** <b>c</b> ![x](http://y)")
    '**a** &lt;b>c&lt;/b> !\\\\[x\\\\](http://y)'
    """
    return "\n".join(_line(line) for line in clean_text(markdown).split("\n"))


def _line(line: str) -> str:
    """One line: pairs of ``**`` stay, everything else is escaped."""
    line = _DEEP_ITEM.sub(r"\1", _INDENT.sub("", line))  # four columns would be code, which shows its marks
    pieces = [_MARKS.sub(r"\\\g<0>", _TAG.sub("&lt;", _ENTITY.sub("&amp;", p))) for p in _PAIR.split(line)]
    marks = len(pieces) - 1
    whole = marks // 2 * 2
    line = "**".join(pieces[: whole + 1]) + "".join(rf"\*\*{piece}" for piece in pieces[whole + 1 :])
    return _BLOCK.sub(_escaped_block, line)


def _escaped_block(match: re.Match[str]) -> str:
    """What would open a block at the start of a line, or of an item, as text."""
    sign = match["mark"] or match["stop"] or match["rule"]
    return f"{match['item']}{match['number'] or ''}\\{sign}"
