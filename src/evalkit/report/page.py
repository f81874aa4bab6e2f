"""An executed notebook as one self-contained HTML file, through our own nbconvert template.

No request leaves the page: the policy forbids it, the fonts and figures are inside, there is no script. Everything that
varies between two runs (times, counters, ids of papermill) stays out, so the same inputs give the same bytes.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from evalkit.errors import DisclosureError
from evalkit.plain_text import clean_text
from evalkit.report.fonts import font_faces
from evalkit.report.guard import Shown, refuse_identifiers_in_source, sanitised, shown_outputs
from evalkit.report.languages import mark_korean
from evalkit.report.markdown import Outline, cell_titles, render_markdown
from evalkit.report.source import tags_of, text_of

TEMPLATE = Path(__file__).with_name("template")
_FONTS_MARK = "/*FONTS*/"
HIDDEN_TAG = "hide-cell"
_HARMLESS = " .,()[]·–—-:%/+…‘’“”«»"


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the content: the same for a report and for the index.

    Attributes
    ----------
    facts : (name, value) rows of the provenance footer
    parameters : rows with name, value, comment;  deviations : rows with key, before, after
    inputs : rows with path, bytes, sha256
    banners : rows with kind and text
    """

    lang: str
    title: str
    subtitle: str = ""
    programme: str = ""
    banners: tuple[Mapping[str, str], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    parameters: tuple[Mapping[str, Any], ...] = ()
    deviations: tuple[Mapping[str, str], ...] = ()
    inputs: tuple[Mapping[str, Any], ...] = ()
    index_href: str = ""

    def say(self, key: str, **values: Any) -> str:
        """A word of the page in its language."""
        from evalkit.present.messages import say

        return say(key, self.lang, **values)

    @property
    def document_title(self) -> str:
        """For the tab of the browser."""
        return " · ".join(part for part in (self.title, self.subtitle, self.programme) if part)

    @property
    def running(self) -> dict[str, str]:
        """What a printed page says at its head and foot, ready for a string of the style sheet."""
        title = " · ".join(part for part in (self.title, self.subtitle) if part)
        notices = (self.say(f"page.running_{banner['kind']}") for banner in self.banners)
        return {
            "running_title": style_string(title),
            "running_notice": style_string(" · ".join(notices)),
            "running_plan": style_string(self.programme),
        }

    @property
    def style(self) -> str:
        """The style sheet."""
        return (TEMPLATE / "page.css").read_text(encoding="utf-8")


def style_string(text: str, longest: int = 90) -> str:
    """Text for a string of a style sheet: letters, digits and harmless marks as they are, everything else by its number."""
    words = " ".join(clean_text(text).split())
    if len(words) > longest:
        words = words[: longest - 1].rstrip() + "…"
    return "".join(c if c.isalnum() or c in _HARMLESS else f"\\{ord(c):06x}" for c in words)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why and where a run ended, in words for the reader; ``cell`` is None when no cell ran."""

    cell: int | None
    text: str


@dataclass(slots=True)
class Content:
    """Blocks of a page and what was harvested from them."""

    blocks: list[dict[str, Any]] = field(default_factory=list)
    outline: Outline = field(default_factory=Outline)
    released: list[Shown] = field(default_factory=list)
    _waiting: list[tuple[str, str]] = field(default_factory=list)

    def add_code(self, title: str, markup: str) -> None:
        """Code waits for what it shows: a cell that shows nothing shares the fold of the next one that does."""
        self._waiting.append((title, markup.strip("\n")))

    def add_shown(self, block: dict[str, Any]) -> None:
        """What a cell showed, under the fold of the code that waited for it."""
        self._fold()
        self.blocks.append(block)

    def end(self) -> None:
        """Code after which nothing is shown goes to the last fold; it has one of its own only where there is no other."""
        last = next((block for block in reversed(self.blocks) if block["kind"] == "code"), None)
        if last is None:
            self._fold()
        else:
            last["html"] = "\n\n".join([last["html"], *(markup for _, markup in self._waiting)])
            self._waiting.clear()

    def _fold(self) -> None:
        if self._waiting:
            markup = "\n\n".join(markup for _, markup in self._waiting)
            self.blocks.append({"kind": "code", "title": self._waiting[-1][0], "html": markup})
            self._waiting.clear()


def template_values(frame: Frame, **more: Any) -> dict[str, Any]:
    """What a template sees as ``page``: the frame's fields and words, and the content."""
    values = {item.name: getattr(frame, item.name) for item in fields(frame)}
    return (
        values
        | {"say": frame.say, "style": frame.style, "document_title": frame.document_title}
        | frame.running
        | more
    )


def read_content(
    cells: list[Mapping[str, Any]],
    frame: Frame,
    *,
    stem: str,
    failure: Failure | None = None,
    folders: Iterable[Path] = (),
) -> Content:
    """The cells as checked blocks; what follows a failure is left out.

    Raises
    ------
    DisclosureError : an output, a code cell or prose that may not be shown; names the cell, never the value
    """
    content = Content(outline=Outline(page_lang=frame.lang))
    titles = cell_titles(cells)  # type: ignore[arg-type]
    folders = tuple(folders)
    for index, cell in enumerate(cells):
        place = titles[index] or f"{index + 1}번째 셀"
        stopped = failure is not None and failure.cell == index
        if not stopped:  # the source of the cell that failed is not shown: it may hold what made it fail
            refuse_identifiers_in_source(cell, place=place)
        if cell["cell_type"] == "markdown":
            lang = content.outline.lang = str(cell.get("metadata", {}).get("lang", ""))
            rendered = render_markdown(text_of(dict(cell)), content.outline)
            content.outline.lang = ""
            content.blocks.append({"kind": "prose", "html": rendered, "lang": lang})
        elif cell["cell_type"] == "code":
            if not stopped and text_of(dict(cell)).strip() and HIDDEN_TAG not in tags_of(dict(cell)):
                content.add_code(titles[index], _highlighted(cell))
            for shown in shown_outputs(cell, place=place, folders=folders, stopped=stopped):
                content.released.append(shown)
                block = _block(shown, frame, content.outline, stem)
                if block:
                    content.add_shown(block)
        if stopped:
            break
    content.end()
    if failure is not None:
        content.blocks.append(_error_block(failure, frame, titles))
    _tell_apart(content.blocks)
    return content


def _highlighted(cell: Mapping[str, Any]) -> str:
    """Python with classes for colours; escaped by Pygments."""
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import PythonLexer  # type: ignore[import-untyped]

    lines: str = _format_code(
        clean_text(text_of(dict(cell))).strip("\n"), PythonLexer(), HtmlFormatter(nowrap=True)
    )
    return lines


def _format_code(source: str, lexer: Any, formatter: Any) -> str:
    from pygments import highlight  # type: ignore[import-untyped]

    return str(highlight(source, lexer, formatter))


def _error_block(failure: Failure, frame: Frame, titles: Mapping[int, str]) -> dict[str, Any]:
    place = ""
    if failure.cell is not None:
        title = titles.get(failure.cell, "")
        place = (
            frame.say("page.error_place", title=title)
            if title
            else frame.say("page.error_unknown_place", number=failure.cell + 1)
        )
    return {"kind": "error", "place": place, "text": failure.text}


def _tell_apart(blocks: list[dict[str, Any]]) -> None:
    """Links of two exhibits with the same title say which one they save."""
    seen: dict[tuple[str, str], int] = {}
    for block in blocks:
        key = (block["kind"], block.get("title", ""))
        seen[key] = seen.get(key, 0) + 1
        block["spoken"] = key[1] if seen[key] == 1 else f"{key[1]} ({seen[key]})"


def _block(shown: Shown, frame: Frame, outline: Outline, stem: str) -> dict[str, Any] | None:
    """One output as the template needs it."""
    payload = shown.payload
    name, title, kind = (str(payload.get(key) or "") for key in ("name", "title", "kind"))
    if shown.form == "text":
        return {"kind": "text", "text": shown.content.rstrip("\n")}
    if shown.form == "svg":
        return _picture(shown.content, payload, frame)
    if shown.form == "nothing":
        return None
    markup = sanitised(render_markdown(shown.content, outline)) if shown.form == "markdown" else shown.content
    if kind in {"table", "figure"}:
        return {"kind": kind, "name": name, "title": title, "html": markup, "files": _files(payload, stem)}
    return {"kind": "prose", "html": markup}


def _picture(svg: str, payload: Mapping[str, Any], frame: Frame) -> dict[str, Any]:
    """A figure released as SVG alone: an image, in which nothing can run."""
    name, title = str(payload.get("name") or ""), str(payload.get("title") or "")
    data = base64.b64encode(svg.encode()).decode()
    alt = str(payload.get("alt") or "") or frame.say("page.no_alt", title=title or name, name=name)
    source = f"data:image/svg+xml;base64,{data}"
    return {"kind": "picture", "name": name, "title": title, "alt": alt, "src": source}


def _files(payload: Mapping[str, Any], stem: str) -> list[dict[str, str]]:
    """Links that save a table or figure: CSV from within the page, the others from the folder beside it."""
    name, csv = payload.get("name"), payload.get("csv")
    if not name or not isinstance(csv, str):
        return []
    data = base64.b64encode(csv.lstrip("\ufeff").encode("utf-8-sig")).decode()
    file = f"{stem}__{name}"
    href = f"data:text/csv;charset=utf-8;base64,{data}"
    links = [{"label": "CSV", "href": href, "download": f"{file}.csv"}]
    if payload.get("kind") == "figure":
        return [*links, {"label": "SVG", "href": f"figures/{file}.svg", "download": ""}]
    return [*links, {"label": "Excel", "href": f"tables/{file}.xlsx", "download": ""}]


def render_page(nb: Any, frame: Frame, content: Content) -> str:
    """The whole HTML file.

    Parameters
    ----------
    nb : executed notebook (for the exporter; what is shown comes from ``content``)
    """
    exporter = _exporter()
    page = template_values(
        frame, blocks=content.blocks, headings=content.outline.headings, title_lang=content.outline.title_lang
    )
    rendered, _ = exporter.from_notebook_node(nb, resources={"page": page})
    return with_fonts(mark_korean(rendered, frame.lang))


def with_fonts(rendered: str) -> str:
    """Embed the glyphs that the finished page uses."""
    return rendered.replace(_FONTS_MARK, font_faces(rendered), 1)


@cache
def _exporter() -> Any:
    """nbconvert's template exporter on our own template; nothing of its own templates is inherited."""
    import_module("evalkit.report.execute")  # first: it spares nbconvert the slow import, see there
    from nbconvert.exporters.templateexporter import TemplateExporter

    class ReportExporter(TemplateExporter):
        """One HTML file; everything is escaped unless `page` built and checked it."""

        file_extension = ".html"
        output_mimetype = "text/html"

        def _create_environment(self) -> Any:
            environment: Any = super()._create_environment()  # type: ignore[no-untyped-call]
            environment.autoescape, environment.finalize = True, printable
            return environment

    exporter: Any = ReportExporter(  # type: ignore[no-untyped-call]
        template_name=TEMPLATE.name,
        extra_template_basedirs=[str(TEMPLATE.parent)],
        template_file="report.html.j2",
    )
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    return exporter


def warm_up() -> None:
    """Import and build what the first page would wait for."""
    for name in ("fontTools.subset", "latex2mathml.converter", "pygments.lexers.python", "evalkit.release"):
        import_module(name)
    _exporter()
    render_markdown("", Outline())


@cache
def index_environment() -> Any:
    """Jinja for pages that show no notebook."""
    import jinja2

    return jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATE), autoescape=True, finalize=printable)


def printable(value: Any) -> Any:
    """What a template writes: text from outside is cleaned; markup that `page` built is left as it is."""
    return clean_text(value) if type(value) is str else value


def refused_content(frame: Frame, error: DisclosureError) -> Content:
    """A page with nothing but the reason."""
    content = Content()
    content.blocks.append({"kind": "error", "place": " › ".join(error.where), "text": _plain(error)})
    return content


def _plain(error: DisclosureError) -> str:
    return html.unescape(f"{error.problem}. {error.remedy}.")
