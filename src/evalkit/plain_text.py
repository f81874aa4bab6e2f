"""Text from outside as every format, screen and log can hold it: nothing steers, nothing hides, nothing turns round.

Control characters and lone surrogates become U+FFFD. What reorders text without being seen (overrides, embeddings,
isolates, marks) or hides in it (tag characters, annotation anchors) is written out, such as ``[U+202E]``, so that a name
can never reverse the digits of the number beside it. After letters that run from right to left stands the invisible mark
U+200E, which keeps what follows in its place in every program that follows the Unicode algorithm.
"""

from __future__ import annotations

import re

_LINE_ENDS = re.compile("\r\n|[\r\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_STEERING = re.compile("[\u061c\u200f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb\U000e0000-\U000e007f]")
_RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_RUN = re.compile(f"([{_RIGHT_TO_LEFT}]++(?: +[{_RIGHT_TO_LEFT}]++)*+)\u200e?")
_ANSI = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_].*?(?:\x1b\\\\|\x07|$)|[ -/]*[0-~])", re.DOTALL)
_WHITE = re.compile(r"\s+")


def clean_text(text: object) -> str:
    """Text that every format can hold; line ends are ``\\n``. Cleaning twice changes nothing more.

    >>> clean_text("가\\x00나\\u202e12")
    '가�나[U+202E]12'
    """
    clean = _CONTROL.sub("\ufffd", _LINE_ENDS.sub("\n", str(text)))
    clean = _STEERING.sub(lambda match: f"[U+{ord(match.group()):04X}]", clean)
    return _RUN.sub("\\1\u200e", clean)


def one_line(text: object) -> str:
    """Clean text in one line: for a terminal, a log or a sentence, where a line end could begin a forged line."""
    return _WHITE.sub(" ", clean_text(text)).strip()


def without_ansi(text: str) -> str:
    """Text without the sequences that move the cursor, colour or retitle a terminal.

    >>> without_ansi("\\x1b[31m붉은\\x1b[0m")
    '붉은'
    """
    return _ANSI.sub("", text)
