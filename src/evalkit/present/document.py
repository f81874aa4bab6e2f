"""Document: what a report says, without the form in which it is said. Writers turn it into Word, HWPX, Excel and LaTeX.

Everything in it has passed `evalkit.release`; a document is read back from finished reports (`evalkit.report.document`),
so that every format holds the numbers of the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Tabulation


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `level` 2 to 6 (1 is the title of the part)."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Prose:
    """Text in inert Markdown: paragraphs, lists, emphasis, code, formulas; raw HTML in it is text."""

    markdown: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A boxed remark; `level` is note, caution or danger."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: what it is about, the number in natural units, the sentence, the evidence grade ("" = none)."""

    label: str
    value: str
    sentence: str
    grade: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure: SVG with text as paths, what it shows in words, the values drawn."""

    name: str
    title: str
    svg: str
    alt: str
    data: Tabulation
    note: str = ""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A table."""

    table: Tabulation


Block = Heading | Prose | Remark | Answer | Picture | Exhibit


@dataclass(frozen=True, slots=True)
class Part:
    """One page of a plan.

    Attributes
    ----------
    name : name of the job, as in file names
    state : ok, failed, refused, outdated or missing; only an ok part has blocks
    sentence : why a part is not ok
    """

    name: str
    title: str
    subtitle: str = ""
    blocks: tuple[Block, ...] = ()
    state: str = "ok"
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """The reports of a plan in order.

    Attributes
    ----------
    name : the plan's id, as in file names
    banners : what stands above every page (simulated data, deviations from the frozen plan)
    facts : rows of the provenance: (name, value)
    """

    name: str
    title: str
    programme: str
    question: str
    lang: Lang
    parts: tuple[Part, ...]
    banners: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = field(default=())


def heading_of(part: Part) -> str:
    """Title of a part by which it is told from the others: with what it is about."""
    return f"{part.title} · {part.subtitle}" if part.subtitle else part.title


def numbered(document: Document) -> Iterator[tuple[Part, Block, int]]:
    """Every block with its part; tables and pictures are numbered through the document, each kind from 1, others 0.

    All formats number by this, so that table 7 is the same table in Word and in Excel.
    """
    tables = pictures = 0
    for part in document.parts:
        for block in part.blocks:
            number = 0
            if isinstance(block, Exhibit):
                number = tables = tables + 1
            elif isinstance(block, Picture):
                number = pictures = pictures + 1
            yield part, block, number
