"""What one fetch brought: the answers as received, and what is said of them."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LICENCES = {
    "kosis": "KOSIS 공유서비스: 출처를 적고 이용 (통계표마다 조건이 다를 수 있으니 kosis.kr 에서 확인)",
    "ecos": "한국은행 ECOS: 출처를 적고 이용 (ecos.bok.or.kr 의 이용 조건을 확인)",
}


def now() -> str:
    """The time, UTC, to the second: 2025-01-10T03:15:00Z."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes
    ----------
    role : "data", or "meta:ITM", "meta:PRD", …
    query : what was asked, without the key
    content : the bytes
    at : when, UTC
    rows : number of rows in it
    """

    role: str
    query: Mapping[str, str]
    content: bytes
    at: str
    rows: int

    @property
    def sha256(self) -> str:
        """Hash of the bytes."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Citation:
    """Who publishes a table: organisation, title, number, units, the day of its last change, and what it rests on."""

    organisation: str = ""
    table: str = ""
    table_id: str = ""
    units: tuple[str, ...] = ()
    last_change: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetch, joined and checked.

    Attributes
    ----------
    source : "kosis" or "ecos"
    query : the question as asked, without the key
    answers : every answer, data and meta
    rows : the rows of the data, joined
    expected : cells that the table's own description lets expect; 0 where it does not say
    empty_parts : parts of a divided question without data
    notes : what else came about, in words
    """

    source: Literal["kosis", "ecos"]
    query: Mapping[str, Any]
    answers: tuple[Answer, ...]
    rows: tuple[Mapping[str, Any], ...]
    citation: Citation
    expected: int = 0
    empty_parts: int = 0
    notes: tuple[str, ...] = ()
