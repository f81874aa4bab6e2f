"""Finished reports read back into a `Document`: what the pages say, for formats that are not HTML.

Read are the record of the run and the executed notebooks beside the pages, so every number is the page's number. Code is
left out. A page that failed, was refused, is of an earlier plan or was never made stays in the document by its name, with
the sentence that says why it is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.errors import EvalkitError, FileError, UsageError
from evalkit.present.document import Answer, Block, Document, Exhibit, Heading, Part, Picture, Prose, Remark
from evalkit.present.messages import say
from evalkit.present.tabulation import Tabulation, clean_text
from evalkit.report.frame import make_frame, relative
from evalkit.report.guard import Shown, shown_outputs
from evalkit.report.markdown import Outline, render_markdown
from evalkit.report.source import read_notebook, text_of
from evalkit.study.inputs import project_root
from evalkit.study.plan import Plan
from evalkit.study.programme_of import programme_of

_HEADING = re.compile(r"^ {0,3}#{1,6}(?:\s|$)")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_HASH = 12  # characters of a hash that are shown


@dataclass(frozen=True, slots=True)
class Page:
    """A job of the plan and the record of its last run; None = never made."""

    name: str
    record: Mapping[str, Any] | None

    @property
    def state(self) -> str:
        """State as the record has it, or missing."""
        return str(self.record["state"]) if self.record else "missing"


def read_document(
    plan: Plan, plan_path: Path, folder: Path, run: Mapping[str, Any], pages: list[Page], lang: str
) -> Document:
    """The reports of a plan as a document.

    Parameters
    ----------
    plan_path : where the plan lies
    folder : the reports of the plan in this language
    run : the record of the last run (run.json)
    pages : which jobs, in the order of the plan

    Raises
    ------
    FileError : an executed notebook that is missing or is not what a run leaves
    DisclosureError : an output that passed no disclosure rule
    """
    frame = make_frame(_context(run, plan, plan_path, lang), title=plan.title[lang])
    banners = [clean_text(banner["text"]) for banner in frame.banners]
    facts = [(clean_text(name), clean_text(value)) for name, value in frame.facts]
    if frame.deviations:
        frozen = say("page.frozen", lang)
        banners += [f"{name}: {value}" for name, value in facts if name == frozen]
        facts += [
            (say("page.deviations", lang), clean_text(f"{row['key']}: {row['before']} → {row['after']}"))
            for row in frame.deviations
        ]
    facts += [
        (say("page.inputs", lang), clean_text(_input(row, lang)))
        for row in sorted(frame.inputs, key=lambda row: str(row["path"]))
    ]
    return Document(
        name=plan.id,
        title=clean_text(plan.title[lang]),
        programme=_programme(plan, plan_path, lang),
        question=clean_text(plan.question[lang]),
        lang=lang,
        parts=tuple(_part(page, folder, run, lang) for page in pages),
        banners=tuple(banners),
        facts=tuple(facts),
    )


def _context(run: Mapping[str, Any], plan: Plan, plan_path: Path, lang: str) -> dict[str, Any]:
    """What `frame` says on every page, from the record of the run."""
    command = ["evalkit", "report", relative(plan_path, project_root(plan_path))]
    command += ["--lang", lang] if lang != plan.lang else []
    code = run["code"]
    return {**run, "lang": lang, "command": command, "code": code["sha256"], "lock": code.get("lock", "")}


def _programme(plan: Plan, plan_path: Path, lang: str) -> str:
    try:
        return clean_text(programme_of(plan, plan_path).name(lang))
    except EvalkitError:  # a fact file that has gone since; the pages stand without it
        return plan.programme


def _input(row: Mapping[str, Any], lang: str) -> str:
    return say("export.input", lang, path=row["path"], bytes=f"{row['bytes']:,}", hash=row["sha256"][:_HASH])


def _part(page: Page, folder: Path, run: Mapping[str, Any], lang: str) -> Part:
    record = page.record
    if record is None:
        return Part(page.name, page.name, state="missing", sentence=say("export.missing", lang))
    title, subtitle = clean_text(record["title"]), clean_text(record["subtitle"])
    if page.state != "ok":
        said = clean_text(record["sentence"]) or say(f"index.{page.state}", lang)
        return Part(page.name, title, subtitle, state=page.state, sentence=said)
    if is_earlier(record, run):
        return Part(page.name, title, subtitle, state="outdated", sentence=say("export.outdated", lang))
    outline = Outline()
    blocks = tuple(_blocks(folder / "notebooks" / f"{page.name}.ipynb", outline, lang))
    return Part(page.name, outline.title or title, subtitle, blocks)


def is_earlier(record: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether a page was left from a run with another plan or other code than the last one."""
    made = record["made_of"]
    return bool(made["plan"] != run["plan"]["sha256"] or made["code"] != run["code"]["sha256"])


# -- the executed notebook --------------------------------------------------------------------------


def _blocks(path: Path, outline: Outline, lang: str) -> Iterator[Block]:
    """The blocks of one executed notebook in the order of the page."""
    try:
        cells = read_notebook(path)["cells"]
    except EvalkitError as error:
        raise FileError(error.problem, where=("notebooks", path.name), remedy=_again(path.stem)) from None
    for at, cell in enumerate(cells):
        if cell["cell_type"] == "markdown":
            yield from _prose(text_of(cell), outline)
        elif cell["cell_type"] == "code":
            for shown in shown_outputs(cell, place=f"{path.name} {at + 1}"):
                yield from _output(shown, outline, lang, path.stem)


def _again(name: str) -> str:
    return f"evalkit report --only {name} --force 로 다시 만들 것"


def _prose(markdown: str, outline: Outline) -> Iterator[Block]:
    """Markdown cut at its headings; their levels follow the page's own rule."""
    kept: list[str] = []
    fence = ""
    for line in [*markdown.split("\n"), None]:
        if line is not None and (fence or not _HEADING.match(line)):
            fence = _fence_after(line, fence)
            kept.append(line)
            continue
        if text := "\n".join(kept).strip("\n"):
            yield Prose(clean_text(text))
        kept = []
        if line is not None:
            before = len(outline.headings)
            render_markdown(line, outline)
            for heading in outline.headings[before:]:
                yield Heading(heading.level, clean_text(heading.text))


def _fence_after(line: str, fence: str) -> str:
    """The fence of code that is open after a line; "" = none."""
    if fence:
        bare = line.strip()
        return "" if len(bare) >= len(fence) and set(bare) == {fence[0]} else fence
    opened = _FENCE.match(line)
    return opened[1] if opened else ""


def _output(shown: Shown, outline: Outline, lang: str, job: str) -> Iterator[Block]:
    """One output that may be shown."""
    payload = shown.payload
    kind = payload.get("kind")
    if shown.form == "text":
        fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", shown.content)), default=0))
        yield Prose(f"{fence}\n{clean_text(shown.content).rstrip()}\n{fence}")
    elif shown.form == "markdown":
        yield from _prose(shown.content, outline)
    elif kind == "table":
        yield Exhibit(_table(payload, job))
    elif kind == "figure":
        words = {key: clean_text(payload.get(key) or "") for key in ("name", "title", "alt", "note")}
        yield Picture(**words, svg=str(payload["svg"]), data=_table(payload, job))
    elif kind == "notice":
        yield Remark(str(payload["level"]), clean_text(payload["text"]))
    elif kind in ("headline", "cards"):
        for item in payload["items"]:
            words = {key: clean_text(item[key]) for key in ("label", "value", "sentence")}
            yield Answer(**words, grade=clean_text(item.get("grade") or ""))
    elif shown.form != "nothing":
        raise UsageError(
            f"종류 {kind!r} 의 출력을 문서에 옮길 수 없음", where=(job,), remedy="HTML 보고서를 쓸 것"
        )


def _table(payload: Mapping[str, Any], job: str) -> Tabulation:
    """The table of an output; kept notebooks say nothing of the firms behind a cell."""
    try:
        return Tabulation.from_json({**payload["table"], "counts": None})
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(
            f"표 {payload.get('name')!r} 을(를) 읽을 수 없음 ({type(error).__name__})",
            where=("notebooks", f"{job}.ipynb"),
            remedy=_again(job),
        ) from error
