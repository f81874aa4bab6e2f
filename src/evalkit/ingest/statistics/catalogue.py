"""Which official series serve which outcome: a catalogue beside the code, so that a plan need not know table numbers."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evalkit.errors import UsageError, nearest
from evalkit.ingest.statistics.queries import EcosQuery, KosisQuery
from evalkit.strict_yaml import load

STATUS = {
    "documented": "목록에서 확인",
    "seen": "응답에서 확인",
    "verify": "확인 필요",
    "search": "찾아야 함",
}


class Series(BaseModel):
    """One series: what it serves, where it is, and how sure its code is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: str
    title: str
    source: Literal["kosis", "ecos", "none"]
    status: Literal["documented", "seen", "verify", "search"]
    use: str
    org: str = ""
    table: str = ""
    stat: str = ""
    items: tuple[str, ...] = ()
    axes: tuple[tuple[str, ...], ...] = ()
    period: str = "Y"
    first: str = ""
    last: str = ""
    unit: str = ""
    expect: tuple[str, ...] = ()
    words: str = ""
    breaks: str = Field(default="", description="name under which the breaks of the statistic are declared")

    @model_validator(mode="after")
    def _whole(self) -> Series:
        wanted = {"kosis": (self.org and self.table and self.axes), "ecos": self.stat, "none": True}
        if not wanted[self.source] or (self.source == "none") != (self.status == "search"):
            raise ValueError("a series names its table, or says that it must be searched for")
        return self

    @property
    def code(self) -> str:
        """The table as a person names it; empty where it must be searched for."""
        if self.source == "kosis":
            return f"{self.org} {self.table}"
        return "/".join((self.stat, *self.items)) if self.source == "ecos" else ""

    def query(self, first: str = "", last: str = "", *, this_year: int) -> KosisQuery | EcosQuery:
        """The question that fetches it, up to the year before this one unless told otherwise.

        Raises
        ------
        UsageError : a series that must be searched for
        """
        begin, end = first or self.first, last or self.last or str(this_year - 1)
        if self.source == "kosis":
            return KosisQuery(
                self.org,
                self.table,
                items=self.items,
                axes=self.axes,
                period=self.period,
                first=begin,
                last=end,
            )
        if self.source == "ecos":
            return EcosQuery(self.stat, items=self.items, period=self.period, first=begin, last=end)
        search = f"evalkit fetch search {self.words!r} 로 통계표를 찾을 것" if self.words else self.use
        raise UsageError(f"「{self.title}」의 통계표 번호를 알지 못함", remedy=search)

    def title_differs(self, title: str) -> bool:
        """Whether the title of what arrived lacks a word that it should hold."""
        return any(word not in title for word in self.expect)


@cache
def catalogue() -> dict[str, Series]:
    """Every series by name, in the order of the file."""
    text = resources.files("evalkit.ingest.statistics").joinpath("catalogue.yml").read_text(encoding="utf-8")
    return {name: Series.model_validate(entry) for name, entry in load(text).items()}


def series(name: str) -> Series:
    """A series by its name.

    Raises
    ------
    UsageError : no such series
    """
    known = catalogue()
    if name not in known:
        raise UsageError(f"모르는 계열 {name!r}", remedy=nearest(name, known, count=3))
    return known[name]


def break_table_of(table_id: str) -> str:
    """The name under which the breaks of a table's statistic are declared; empty where none are."""
    return next((entry.breaks for entry in catalogue().values() if entry.code == table_id), "")


def markdown() -> str:
    """The catalogue as a Markdown table for the README, by outcome."""
    lines = [
        "| 성과 | 이름 | 통계 | 서비스 | 통계표 | 주기·처음 | 단위 | 상태 | 쓰임 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    order = list(dict.fromkeys(entry.outcome for entry in catalogue().values()))
    for outcome in order:
        for name, entry in catalogue().items():
            if entry.outcome == outcome:
                code = (
                    f"`{entry.code}`"
                    if entry.code
                    else (f'`fetch search "{entry.words}"`' if entry.words else "–")
                )
                service = {"kosis": "KOSIS", "ecos": "ECOS", "none": "–"}[entry.source]
                span = f"{entry.period} {entry.first}–{entry.last}" if entry.first else "–"
                cells = (
                    outcome,
                    f"`{name}`",
                    entry.title,
                    service,
                    code,
                    span,
                    entry.unit or "–",
                    STATUS[entry.status],
                    entry.use,
                )
                lines.append("| " + " | ".join(cell.replace("|", "·") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
