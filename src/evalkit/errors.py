"""Every error that a user can cause, in one tree.

    EvalkitError                exit 1   something the kit cannot do; the message is one sentence with the way out
    ├── UsageError              exit 2   a command, parameter or plan is wrong
    │   ├── PlanError                    the plan (YAML) does not say what can be run
    │   └── ParameterError               a notebook parameter has a wrong name or type
    ├── DataError               exit 3   a file or table is not what it must be
    │   ├── FileError                    missing, empty, truncated, password-protected, wrong encoding
    │   ├── SchemaError                  sheet or column missing, a header that matches two columns
    │   └── ValueProblem                 a cell that cannot be read: number, date, unit, code, identifier
    ├── DesignError             exit 3   the data cannot answer the question: no clean period, no comparison
    ├── RefusalError            exit 3   a number that would mislead; the message names the alternative
    ├── NotebookError           exit 4   a notebook did not finish
    └── DisclosureError         exit 5   something that may not leave the room

Messages are Korean sentences: they are read by the analyst at the terminal. Each says what is wrong (with the
value), where (file, sheet, row, column, or unit and period), and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from evalkit.plain_text import one_line

_LONGEST = 600  # characters: a cell may hold a book, a sentence may not


_BUSINESS = re.compile(r"(?<!\d)(\d{3})-\d{2}-\d{5}(?!\d)")
_THIRTEEN = re.compile(r"(?<!\d)(\d{3})\d{3}-\d{7}(?!\d)")


def _unnumbered(text: str) -> str:
    """A text in one line whose numbers of firms and persons, by their form, are masked: it goes to logs and screens."""
    return _THIRTEEN.sub(r"\1***-*******", _BUSINESS.sub(r"\1-**-*****", one_line(text)))


def _short(text: str) -> str:
    """As `_unnumbered`, with the middle left out where a text is too long to be read."""
    text = _unnumbered(text)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


class EvalkitError(Exception):
    """Base of the tree.

    Parameters
    ----------
    problem : what is wrong, with the offending value; one clause without a final period
    where : place of the fault, outermost first, such as ``("성과조사.xlsx", "시트 총괄", "12행", "매출액")``
    remedy : what the reader should do; one clause without a final period
    """

    exit_code = 1

    def __init__(self, problem: str, *, where: Iterable[object] = (), remedy: str = "") -> None:
        self.problem = _short(problem.rstrip(". "))
        self.where = tuple(_short(str(part)) for part in where if str(part))
        self.remedy = _unnumbered(remedy.rstrip(". "))
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """The whole message: place, problem, way out."""
        place = f"[{' > '.join(self.where)}] " if self.where else ""
        remedy = f" → {self.remedy}." if self.remedy else ""
        return f"{place}{self.problem}.{remedy}"


class UsageError(EvalkitError):
    exit_code = 2


class PlanError(UsageError):
    pass


class ParameterError(UsageError):
    pass


class DataError(EvalkitError):
    exit_code = 3


class FileError(DataError):
    pass


class SchemaError(DataError):
    pass


class ValueProblem(DataError):
    pass


class DesignError(EvalkitError):
    exit_code = 3


class RefusalError(EvalkitError):
    exit_code = 3


class NotebookError(EvalkitError):
    exit_code = 4


class DisclosureError(EvalkitError):
    exit_code = 5


def nearest(word: str, known: Iterable[str], *, count: int = 1) -> str:
    """The known names closest to ``word`` as a phrase, or the whole list when none is near.

    >>> nearest("phaze", ["phase", "outcome"])
    '비슷한 이름: phase'
    """
    names = [str(name) for name in known]
    close = get_close_matches(str(word), names, n=count, cutoff=0.6)
    if close:
        return f"비슷한 이름: {', '.join(close)}"
    return f"쓸 수 있는 이름: {', '.join(names)}" if names else "쓸 수 있는 이름이 없음"
