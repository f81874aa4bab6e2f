"""Reading: the plain digits that a text comes to for whoever, or whatever, reads it.

A number can be hidden from a search, and still be read, by digits of another script or width, by invisible signs, by
marks of Markdown or HTML, by spaces between its digits, and by letters that look like digits. Each way gives one reading.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_NAMED_SIGN = re.compile(
    r"\[U\+[0-9A-F]{4,6}\]"
)  # what `plain_text.clean_text` writes for a sign that steers
_TAG = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>", re.DOTALL)
_MARKUP = re.compile(r"(?<=[\d\-])[*_~`\\|]+(?=[\d\-])|(?<=[\d\-])\]\(|\\(?=-)")
_SPACED = re.compile(r"(?<![\d.,])\d(?:[ \-]\d){9,13}(?![\d.,]|[ \-]\d)")
_LOOKALIKE = re.compile(r"(?<![A-Za-z가-힣])[\dOoΟоОㅇ〇lI|-]*\d[\dOoΟоОㅇ〇lI|-]{7,}(?![A-Za-z])")
_LETTERS = str.maketrans(dict.fromkeys("OoΟоОㅇ〇", "0") | dict.fromkeys("lI|", "1"))
_DASHES = frozenset("−ㅡ\u1173ー―﹣－")


def readings(text: str) -> Iterator[str]:
    """The text as it stands, and as it reads; each reading once."""
    given: set[str] = set()
    if not any(sign.isdigit() or sign in "@＠﹫〇" for sign in text) and "&" not in text:
        return
    for reading in _all(text):
        if reading not in given:
            given.add(reading)
            yield reading


def _all(text: str) -> Iterator[str]:
    yield text
    plain = plain_digits(text)
    yield plain
    bare = _MARKUP.sub("", _TAG.sub("", html.unescape(plain)))
    bare = plain_digits(bare)
    yield bare
    for match in _SPACED.finditer(bare):
        yield re.sub(r"[ \-]", "", match.group())
    for match in _LOOKALIKE.finditer(bare):
        word = match.group().translate(_LETTERS)
        if "-" in word:  # without hyphens letters are a code, not a number
            yield word


def plain_digits(text: str) -> str:
    """Digits and dashes of any script as ASCII, without signs that cannot be seen.

    >>> plain_digits("０１０－１２３４\u200b－５６７８")
    '010-1234-5678'
    """
    text = _NAMED_SIGN.sub("", text)
    if text.isascii():
        return text
    return "".join(_plain(sign) for sign in unicodedata.normalize("NFKC", text))


@lru_cache(maxsize=4096)
def _plain(sign: str) -> str:
    if sign.isascii():
        return sign
    digit = unicodedata.digit(sign, None)
    if digit is not None:
        return str(digit)
    kind = unicodedata.category(sign)
    if kind == "Pd" or sign in _DASHES:
        return "-"
    if kind in ("Cf", "Mn", "Me") or sign in "\u115f\u1160\u3164\uffa0\u2800":
        return ""
    return " " if kind == "Zs" else sign
