"""Korean particles chosen by how the word before them is read aloud.

A message writes ``{name:은/는}``; the particle follows from the last sound of the value: the final consonant of a
Hangul syllable, the reading of a digit (3 삼, 10 십), or the name of a Latin letter (L 엘).
"""

from __future__ import annotations

import re
from string import Formatter
from typing import Any

PAIRS = (
    "은/는",
    "이/가",
    "을/를",
    "과/와",
    "으로/로",
    "이라/라",
    "이나/나",
    "이며/며",
    "이고/고",
    "이다/다",
    "이었다/였다",
)

# after a figure, a sign or a Latin letter the copula keeps its 이: «0.934이고», not «0.934고»
_COPULA = ("이며/며", "이고/고", "이다/다")

# English: singular and plural of the words that follow a number, «{n:window/windows}»
_NUMBERS = re.compile(r"[a-z][a-z -]*/[a-z][a-z -]*")

# last sound: "" a vowel, "ㄹ", or "ㄴ" for any other consonant
_DIGITS = {
    "0": "ㄴ",
    "1": "ㄹ",
    "3": "ㄴ",
    "6": "ㄴ",
    "7": "ㄹ",
    "8": "ㄹ",
    "2": "",
    "4": "",
    "5": "",
    "9": "",
}
_LETTERS = {"L": "ㄹ", "R": "ㄹ", "M": "ㄴ", "N": "ㄴ"}
_WORD_ENDS = {
    "l": "ㄹ",
    "m": "ㄴ",
    "n": "ㄴ",
    "g": "ㄴ",
    "k": "ㄴ",
    "p": "ㄴ",
    "b": "ㄴ",
    "t": "ㄴ",
    "c": "ㄴ",
}
_SIGNS = {"%": "", "‰": "ㄹ", "㎢": "", "㎡": "", "㎞": "", "℃": "", "∞": ""}
_IGNORED = re.compile(r"[\s)\]}>»〉》」』”’\"'.,…*†]+$")
_BRACKETED = re.compile(r"\s*\([^()]*\)\s*$")


def _number_sound(text: str) -> str:
    """The last sound of a written number, read in Sino-Korean."""
    digits = text.replace(",", "")
    if "." in digits:
        return _DIGITS[digits[-1]]
    zeros = len(digits) - len(digits.rstrip("0"))
    if zeros == 0 or zeros == len(digits):
        return _DIGITS[digits[-1]]
    # 십 · 백 · 천 · 만 · 억 end in a consonant, 조 (10^12) in a vowel
    return "" if 12 <= zeros < 16 else "ㄴ"


def last_sound(text: str) -> str:
    """``""`` for a vowel, ``"ㄹ"``, or ``"ㄴ"`` standing for every other consonant."""
    word = _IGNORED.sub("", text)
    bare = _BRACKETED.sub("", text)
    if bare and bare != text and not _IGNORED.fullmatch(bare):
        word = _IGNORED.sub("", bare)
    if not word:
        return ""
    last = word[-1]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return {0: "", 8: "ㄹ"}.get(final, "ㄴ")
    if last.isascii() and last.isdigit():
        found = re.search(r"[0-9][0-9,]*(\.[0-9]+)?$", word)
        return _number_sound(found.group()) if found else _DIGITS[last]
    if last in _SIGNS:
        return _SIGNS[last]
    if last.isascii() and last.isalpha():
        tail = re.search(r"[A-Za-z]+$", word)
        if tail and (tail.group().isupper() or len(tail.group()) == 1):
            return _LETTERS.get(last.upper(), "")
        return _WORD_ENDS.get(last, "")
    return ""


def _ends_in_hangul(text: str) -> bool:
    last = _IGNORED.sub("", text)[-1:]
    return "가" <= last <= "힣"


def with_particle(text: str, pair: str) -> str:
    """The text and the fitting one of a pair such as 은/는.

    >>> with_particle("매출", "으로/로"), with_particle("고용", "을/를"), with_particle("3단계", "이/가")
    ('매출로', '고용을', '3단계가')
    """
    after_consonant, after_vowel = pair.split("/")
    sound = last_sound(text)
    if pair in _COPULA and not _ends_in_hangul(text):
        return text + after_consonant
    if pair == "으로/로" and sound == "ㄹ":
        return text + after_vowel
    return text + (after_consonant if sound else after_vowel)


class KoreanFormatter(Formatter):
    """`str.format` with particles as format specifications and without attribute or index access.

    >>> KoreanFormatter().format("{a:firm/firms}, {b:firm/firms}", a="1", b="1,200")
    '1 firm, 1,200 firms'
    """

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec in PAIRS:
            return with_particle(str(value), format_spec)
        if _NUMBERS.fullmatch(format_spec):
            one, many = format_spec.split("/")
            return f"{value} {one if str(value) == '1' else many}"
        return str(super().format_field(value, format_spec))

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        # a message names a value and nothing inside it
        return self.get_value(field_name, args, kwargs), field_name
