"""Payloads planted in every place that text from outside can reach, for each writer; and what came out of a format."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import nbformat
from payloads import Payload

from evalkit.plain_text import clean_text
from evalkit.present.canvas import Drawing
from evalkit.present.document import Answer, Document, Exhibit, Heading, Part, Picture, Prose, Remark
from evalkit.present.tabulation import Column, Entry, Tabulation
from evalkit.release import Release
from evalkit.release.inert import inert_markdown
from evalkit.report.page import Frame, read_content, render_page

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40pt" height="20pt" viewBox="0 0 40 20">'
    '<path d="M 0 0 L 40 20" style="fill: none; stroke: #000000"/></svg>'
)
WIDTH = 5


def chunks(texts: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Texts in groups of one size, the last filled up with a harmless word."""
    groups = [list(texts[k : k + size]) for k in range(0, len(texts), size)]
    return [tuple(group + ["채움"] * (size - len(group))) for group in groups]


def rows_table(texts: Sequence[str], name: str = "rows") -> Tabulation:
    """One row a text: row heading, cell, entry with a unit, mark behind a number; a heading row and a total in between."""
    columns = (
        Column("a", "이름"),
        Column("b", "글"),
        Column("c", "단위"),
        Column("d", "값", "number", digits=1),
    )
    rows = [(text, text, Entry(5, "integer", 0, text), 1.5) for text in texts]
    return Tabulation(
        name,
        "행마다 글 하나",
        columns,
        rows,
        marks={(k, 3): text for k, text in enumerate(texts)},
        roles=["body" if k % 7 else "heading" if k % 2 else "total" for k in range(len(texts))],
    )


def heads_table(texts: tuple[str, ...], name: str) -> Tabulation:
    """Texts as title, labels, groups, units and notes of a small table."""
    columns = [Column("a", texts[0], unit=texts[1])]
    columns += [Column(f"c{k}", text, "number", texts[-1 - k], 1, text) for k, text in enumerate(texts)]
    rows = [("한빛", *(float(k) for k in range(len(texts))))]
    return Tabulation(name, texts[0], columns, rows, notes=texts)


def drawing_of(texts: tuple[str, ...], name: str) -> Drawing:
    """A figure whose words are payloads."""
    return Drawing(name, texts[0], SVG, f"설명 {texts[1]}", heads_table(texts, f"{name}-data"), note=texts[2])


def document_of(texts: Sequence[str], *, heads: bool = True) -> Document:
    """A document with a text in every place of every block."""
    groups = chunks(texts, WIDTH)
    blocks: list[Any] = [Exhibit(rows_table(texts))]
    for k, group in enumerate(groups):
        a, b, c, d, e = group
        blocks += [
            Heading(2 + k % 3, a),
            Prose(inert_markdown("\n".join((a, "", f"- {b}", f"- **굵게** {c}")))),
            Remark("note", d),
        ]
        blocks += [Answer(e, a, b, "3"), Answer(b, c, d)]
        if heads:
            blocks.append(Exhibit(heads_table(group, f"heads-{k}")))
        if k % 10 == 0:
            drawn = drawing_of(group, f"drawn-{k}")
            blocks.append(Picture(drawn.name, drawn.title, drawn.svg, drawn.alt, drawn.data, drawn.note))
    parts = [Part("all", "모두", texts[0], tuple(blocks))]
    parts += [
        Part(f"failed-{k}", a, b, (), "failed", f"{c} {d} {e}") for k, (a, b, c, d, e) in enumerate(groups)
    ]
    return Document(
        "planted",
        texts[0],
        " ".join(groups[0]),
        " ".join(texts[:20]),
        "ko",
        tuple(parts),
        banners=tuple(texts[:30]),
        facts=tuple((text, text) for text in texts),
    )


# -- the page ---------------------------------------------------------------------------------------


def _output(released: Any) -> dict[str, Any]:
    data, metadata = released._repr_mimebundle_()
    return {"output_type": "execute_result", "metadata": metadata, "data": data}


def _printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text + "\n"}


def harmless(texts: Sequence[str]) -> list[str]:
    """Texts of the same lines, items and lengths in which nothing has a meaning; what is equal once clean stays equal."""
    clean = [clean_text(text) for text in texts]
    made = []
    for text in clean:
        lines = [
            f"- {_mute(line[2:])}" if line.startswith("- ") else _mute(line) for line in text.split("\n")
        ]
        signs, number = list("\n".join(lines)), f"{clean.index(text):03d}"
        places = [at for at, sign in enumerate(signs) if sign == "글"][-len(number) :]
        for at, digit in zip(places, number, strict=False):
            signs[at] = digit
        made.append("".join(signs) + number * (len(places) < len(number)))
    return made


def _mute(line: str) -> str:
    return re.sub(r"\S", "글", line) if line.strip() else ""


def prose_page(texts: Sequence[str]) -> str:
    """A page whose Markdown cells hold the texts as their author wrote them."""
    shown = Frame(lang="ko", title="글")
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": f"m{k}", "metadata": {}, "source": text}
        for k, text in enumerate(texts)
    ]
    content = read_content(cells, shown, stem="prose")
    return render_page(_empty(), shown, content)


def long_page(texts: Sequence[str]) -> str:
    """A page with every text as cell, row heading, mark, prose and printed text."""
    release = Release()
    outputs = [_output(release.table(rows_table(texts)))]
    outputs += [_output(release.text(f"- {text}")) for text in texts] + [_printed(text) for text in texts]
    shown = Frame(lang="ko", title="긴 글")
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": "c", "metadata": {}, "source": "", "outputs": outputs}
    ]
    return render_page(_empty(), shown, read_content(cells, shown, stem="long"))


def _empty() -> Any:
    return nbformat.from_dict({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def page_of(texts: Sequence[str]) -> str:
    """A whole report with a text in every place: tables, figures, prose, notices, headlines, frame, printed text."""
    texts = list(texts)
    release = Release()
    groups = chunks(texts, WIDTH)
    outputs: list[dict[str, Any]] = [_output(release.table(rows_table(texts)))]
    for k, group in enumerate(groups):
        a, b, c, d, e = group
        outputs += [
            _output(release.text("\n\n".join(f"앞 {text}" for text in group))),
            _output(release.text("\n\n".join(group))),
            _output(release.text("\n".join(f"- {text}" for text in group))),
            _output(release.notice("note", a)),
            _output(release.headline(b, c, d, e[:20])),
            _printed(f"찍음 {a}"),
        ]
        outputs.append(_output(release.table(heads_table(group, f"heads-{k}"))))
        if k % 10 == 0:
            outputs.append(_output(release.figure(drawing_of(group, f"drawn-{k}"))))
    outputs.append(
        _output(release.summary_cards([{"label": t, "value": t, "sentence": t} for t in texts[:60]]))
    )
    shown = Frame(
        lang="ko",
        title=texts[0],
        subtitle=texts[1 % len(texts)],
        programme=texts[2 % len(texts)],
        banners=tuple({"kind": "simulated", "text": text} for text in texts[:40]),
        facts=tuple((text, text) for text in texts),
        parameters=tuple({"name": t, "value": t, "comment": t} for t in texts),
        deviations=tuple({"key": t, "before": t, "after": t} for t in texts),
        inputs=tuple({"path": t, "bytes": 1, "sha256": "ab" * 32} for t in texts),
        index_href="index.html",
    )
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# 시험\n\n## 결과"},
        {"cell_type": "code", "id": "c", "metadata": {}, "source": "", "outputs": outputs},
    ]
    content = read_content(cells, shown, stem="planted")
    return render_page(_empty(), shown, content)


class Read(HTMLParser):
    """Elements, attributes and text of a page, as a parser reads them that runs nothing."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.pieces: list[str] = []
        self._quiet = 0
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._quiet += tag == "style"
        if tag == "br":
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._quiet -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return flat("".join(self.pieces))


def flat(text: str) -> str:
    """White space and the invisible mark behind letters from the right aside."""
    return " ".join(text.replace("\u200e", "").split())


def lost(texts: Iterable[Payload], read: str) -> list[str]:
    """Names of the payloads that cannot be read in what a format shows."""
    whole = flat(read)
    return [payload.name for payload in texts if payload.shown not in whole]


# -- what other formats say -------------------------------------------------------------------------


def csv_cells(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


_EXCEL_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def package_parts(content: bytes) -> dict[str, bytes]:
    """Parts of an office file; every XML part must parse and declare no document type."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, data in parts.items():
        if name.endswith((".xml", ".rels", ".hpf", ".rdf")):
            assert b"<!DOCTYPE" not in data
            assert b"<!ENTITY" not in data
            ElementTree.fromstring(data)
    return parts


def words_of(parts: dict[str, bytes], ending: str = ".xml") -> str:
    """All text of the XML parts; runs of one paragraph stand together."""
    pieces: list[str] = []
    for name, data in parts.items():
        if name.endswith(ending):
            for element in ElementTree.fromstring(data).iter():
                kind = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
                if kind in {"p", "si", "is", "c", "tc"}:
                    pieces.append("\n")
                if kind in {"br", "lineBreak", "tab", "cr"}:
                    pieces.append(" ")
                if element.text and kind in {"t", "v", "lineBreak", "title", "fwSpace"}:
                    pieces.append(element.text)
                if element.tail and element.tail.strip():
                    pieces.append(element.tail)
    return "".join(pieces)


def excel_words(parts: dict[str, bytes]) -> str:
    """As `words_of`, with the escapes of Excel undone as Excel undoes them."""
    return _EXCEL_ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), words_of(parts))


def addresses(parts: dict[str, bytes]) -> list[str]:
    """Every target of a relationship that leaves the file."""
    found = []
    for name, data in parts.items():
        if name.endswith(".rels"):
            for element in ElementTree.fromstring(data).iter():
                if element.attrib.get("TargetMode") == "External":
                    found.append(element.attrib.get("Target", ""))
    return found


_TEX = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "\x01",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textasciigrave{}": "`",
    r"\textquotesingle{}": "'",
    r"\textquotedbl{}": '"',
    r"\symbol{65533}": "\ufffd",
    r"\newline ": " ",
    "-{}": "-",
    ",{}": ",",
    "{[}": "[",
    "{]}": "]",
    "{*}": "*",
    **{f"\\{sign}": sign for sign in "{}$&#%_"},
    "~": "\u00a0",
}
_TEX_SIGNS = re.compile("|".join(re.escape(sign) for sign in sorted(_TEX, key=len, reverse=True)))


def untexed(tex: str) -> str:
    """What LaTeX sets, as far as text goes."""
    return _TEX_SIGNS.sub(lambda match: _TEX[match.group()], tex).replace("\x01", "~")


def tex_commands(tex: str) -> set[str]:
    """Commands that a text would run, once what stands for signs is taken out."""
    bare = _TEX_SIGNS.sub(" ", tex)
    return set(re.findall(r"\\(?:[A-Za-z@]+\d*|.)", bare))
