"""Inert Markdown: paragraphs, list items with a hyphen, bold and code are all that a released text can hold.

Whatever else could be read as a mark (links, pictures, definitions of links, which vanish from the page, HTML, entities,
formulas, tables, headings, rules) is escaped, so that a name from a plan or a workbook reads as it was written.
"""

from __future__ import annotations

import re

from evalkit.plain_text import clean_text

_CODE_OR_PAIR = re.compile(r"((?<!`)`[^`\n]+`(?!`)|(?<!\*)\*\*(?!\*))")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_MARKS = re.compile(r"[\\`\[\]*_~$|]")
_INDENT = re.compile(r"^[ \t]+(?=\S)")
_BLOCK = re.compile(
    r"^(?P<items> {0,3}(?:- +)*)"
    r"(?:(?P<mark>[#>+])|(?P<number>\d{1,9})(?P<stop>[.)])(?=\s|$)|(?P<rule>[-=])(?=[-= ]*$))"
)


def inert_markdown(markdown: str) -> str:
    """Markdown in which nothing loads, links or vanishes.

    >>> inert_markdown("**a** <b>c</b> `<d>` ![x](http://y)")
    '**a** &lt;b>c&lt;/b> `<d>` !\\\\[x\\\\](http://y)'
    """
    return "\n".join(_line(line) for line in clean_text(markdown).split("\n"))


def _line(line: str) -> str:
    """One line: code and pairs of ``**`` stay, everything else is escaped."""
    if indented := _INDENT.match(line):  # four columns would be code, which shows its marks
        line = line[indented.end() :] if indented.end() > 3 or "\t" in indented.group() else line
    pieces = _CODE_OR_PAIR.split(line)  # text, mark, text, mark, …
    pairs = pieces[1::2].count("**") // 2 * 2
    for k, piece in enumerate(pieces):
        if k % 2 == 0:
            pieces[k] = _MARKS.sub(r"\\\g<0>", _TAG.sub("&lt;", _ENTITY.sub("&amp;", piece)))
        elif piece == "**":
            pairs -= 1
            pieces[k] = piece if pairs >= 0 else r"\*\*"
    return _BLOCK.sub(_escaped_block, "".join(pieces))


def _escaped_block(match: re.Match[str]) -> str:
    """What would open a block at the start of a line, or of an item, as text."""
    found = match.lastgroup or ""
    sign = match["stop"] if found == "stop" else match[found]
    behind = match["number"] or ""
    return f"{match['items']}{behind}\\{sign}"
