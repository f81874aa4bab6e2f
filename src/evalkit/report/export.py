"""Finished reports as files that offices open: Excel, Word, HWPX, PDF, LaTeX, CSV. Nothing is computed or rendered again.

What is exported is what `run.json` says was made, byte for byte; a page that was changed since is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from evalkit.errors import FileError, PlanError, UsageError, nearest
from evalkit.present.document import Document, Exhibit, Picture
from evalkit.report import store
from evalkit.report.audit import record_export
from evalkit.report.document import Page, is_earlier, read_document
from evalkit.report.pipeline import report_folder
from evalkit.study.inputs import project_root
from evalkit.study.plan import Plan, load_plan

FORMATS = ("xlsx", "docx", "hwpx", "pdf", "latex", "csv")
_WRITERS = {
    "xlsx": ("workbook", "workbook_bytes", ".xlsx"),
    "docx": ("word", "word_bytes", ".docx"),
    "hwpx": ("hwpx", "hwpx_bytes", ".hwpx"),
}
_ENDINGS = {"latex": ".tex"}
_MANY = {"pdf": "*.pdf", "csv": "*.csv", "latex": "*.*"}  # formats of many files, each in a folder of its own
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export made.

    Attributes
    ----------
    paths : files, or for many files of one kind their folder
    left_out : (page, sentence) of the pages that have no content
    exit_code : 0, 4 (a page had failed) or 5 (a page was refused); the others are exported all the same
    """

    paths: tuple[Path, ...]
    left_out: tuple[tuple[str, str], ...]
    exit_code: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line may say; `reports` is the folder of all plans' reports, `out` a folder or, for one file, its name."""

    formats: tuple[str, ...]
    only: tuple[str, ...] = ()
    lang: str | None = None
    reports: Path | None = None
    out: Path | None = None


def export_plan(plan_path: Path, asked: Asked) -> Exported:
    """Write the finished reports of a plan in other formats.

    Raises
    ------
    UsageError : there are no reports, an unknown format or name, or an extra is absent
    PlanError : the plan was changed after its reports were made
    FileError : a file of the reports is missing or was changed, or the result cannot be written
    DisclosureError : an output that passed no disclosure rule
    """
    unknown = [name for name in asked.formats if name not in FORMATS]
    if unknown or not asked.formats:
        raise UsageError(f"형식 {unknown!r} 은(는) 쓸 수 없음", remedy=f"{', '.join(FORMATS)} 가운데 고를 것")
    plan = load_plan(plan_path)
    lang = asked.lang or plan.lang
    folder = report_folder(plan, project_root(plan_path), asked.reports, lang)
    run = _finished(plan, plan_path, folder, lang)
    pages = _pages(plan, run, asked.only)
    _refuse_changed(folder, run, pages, plan_path)
    document = read_document(plan, plan_path, folder, run, pages, lang)
    paths = _write(document, folder, asked)
    left_out = tuple((part.name, part.sentence) for part in document.parts if part.state != "ok")
    states = {part.state for part in document.parts}
    code = 5 if "refused" in states else 4 if "failed" in states else 0
    return Exported(paths, left_out, code)


# -- what may be exported -----------------------------------------------------------------------------


def _finished(plan: Plan, plan_path: Path, folder: Path, lang: str) -> dict[str, Any]:
    """The record of the last run of this plan as it stands now."""
    command = f"evalkit report {plan_path.name}" + (f" --lang {lang}" if lang != plan.lang else "")
    run = store.read_run(folder)
    if not run.get("jobs"):
        raise UsageError(
            "내보낼 보고서가 아직 없음", where=(plan_path.name, lang), remedy=f"{command} 을(를) 먼저 할 것"
        )
    if run["plan"]["sha256"] != plan.sha256():
        raise PlanError(
            "보고서를 만든 뒤에 계획이 바뀜", where=(plan_path.name,), remedy=f"{command} 을(를) 다시 할 것"
        )
    return run


def _pages(plan: Plan, run: Mapping[str, Any], only: Sequence[str]) -> list[Page]:
    """The pages asked for, in the order of the plan: those of the plan's first page, or those named."""
    jobs = plan.jobs()
    records = run["jobs"]
    for word in only:
        if not any(word in _names(job) for job in jobs):
            known = [
                *dict.fromkeys([*(job.name for job in jobs), *(Path(job.notebook).stem for job in jobs)])
            ]
            raise UsageError(f"계획에 보고서 {word!r} 이(가) 없음", remedy=nearest(word, known))
    chosen = [job for job in jobs if _is_chosen(job, only, job.name in records)]
    return [Page(job.name, records.get(job.name)) for job in chosen]


def _names(job: Any) -> set[str]:
    path = Path(job.notebook)
    return {job.name, path.stem, path.name}


def _is_chosen(job: Any, only: Sequence[str], made: bool) -> bool:
    if only:
        return bool(_names(job) & set(only))
    return made or not getattr(job, "on_request", False)


def _refuse_changed(folder: Path, run: Mapping[str, Any], pages: Iterable[Page], plan_path: Path) -> None:
    """Every file of the pages holds the bytes that the run wrote."""
    changed = [
        relative
        for page in pages
        if page.record is not None and page.state == "ok" and not is_earlier(page.record, run)
        for relative, expected in page.record["files"].items()
        if _sha256(folder / relative) != expected
    ]
    if changed:
        more = f" 밖에 {len(changed) - 3}개" if len(changed) > 3 else ""
        raise FileError(
            f"보고서를 만든 뒤에 바뀌거나 없어진 파일이 있음: {', '.join(changed[:3])}{more}",
            where=(folder.name,),
            remedy=f"evalkit report {plan_path.name} 으로 다시 만들 것",
        )


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


# -- writing ------------------------------------------------------------------------------------------


def _write(document: Document, folder: Path, asked: Asked) -> tuple[Path, ...]:
    """All files or none: made in a private folder and moved when the last one is finished."""
    stem = _stem(document.name, asked.only)
    target, single = _target(folder, asked)
    shown: list[Path] = []
    with store.staging(target) as staged:
        made: list[str] = []
        gone: list[str] = []
        for form in dict.fromkeys(asked.formats):
            names = _make(form, document, folder, staged, stem, whole=not asked.only)
            if single:
                names = [_renamed(staged, names, single, form)]
            made += names
            if not single and form in _MANY:
                place = f"{stem}_{form}"
                gone += [f"{place}/{p.name}" for p in (target / place).glob(_MANY[form]) if p.is_file()]
                shown.append(target / place)
            else:
                shown += [target / name for name in names]
        store.publish(staged, target, made, gone)
    record_export(folder, [target / name for name in made])
    return tuple(shown)


def _stem(name: str, only: Sequence[str]) -> str:
    """Name of the result; a part of the reports never takes the place of all of them."""
    return "__".join([name, *(Path(word).stem for word in only)])[:_LONGEST_NAME]


def _target(folder: Path, asked: Asked) -> tuple[Path, str]:
    """Folder of the results, and the name of the one file where `--out` names a file."""
    if asked.out is None:
        return folder / "export", ""
    out = asked.out.resolve()
    endings = {_ENDINGS.get(form, f".{form}") for form in asked.formats}
    if out.suffix.lower() not in endings or out.is_dir():
        return out, ""
    if len(set(asked.formats)) > 1:
        raise UsageError(
            f"형식이 {len(set(asked.formats))}개인데 --out 이 파일 하나임",
            where=(out.name,),
            remedy="폴더를 적거나 형식을 하나만 고를 것",
        )
    return out.parent, out.name


def _renamed(staged: Path, names: list[str], single: str, form: str) -> str:
    if len(names) != 1:
        raise UsageError(
            f"{form} 파일이 {len(names)}개라 --out 에 적은 한 파일에 담을 수 없음",
            where=(single,),
            remedy="폴더를 적거나 --only 로 보고서 하나를 고를 것",
        )
    (staged / names[0]).replace(staged / single)
    return single


def _make(form: str, document: Document, folder: Path, staged: Path, stem: str, *, whole: bool) -> list[str]:
    """One format in the private folder; names relative to it."""
    if form == "pdf":
        return _print(document, folder, staged, stem, whole=whole)
    if form == "csv":
        return _csv(document, staged, stem)
    if form == "latex":
        return _latex(document, staged, stem)
    module, function, ending = _WRITERS[form]
    content: bytes = getattr(import_module(f"evalkit.present.writers.{module}"), function)(document)
    name = f"{stem}{ending}"
    (staged / name).write_bytes(content)
    return [name]


def _latex(document: Document, staged: Path, stem: str) -> list[str]:
    """The text and the pictures that it sets, in one folder."""
    from evalkit.present.writers.latex import latex_figures, latex_text

    place = staged / f"{stem}_latex"
    place.mkdir()
    files = {f"{stem}.tex": latex_text(document).encode(), **latex_figures(document)}
    for name, content in files.items():
        (place / name).write_bytes(content)
    return [f"{place.name}/{name}" for name in files]


def _print(document: Document, folder: Path, staged: Path, stem: str, *, whole: bool) -> list[str]:
    from evalkit.report.printing import print_pages

    place = staged / f"{stem}_pdf"
    place.mkdir()
    names = ["index"] if whole and (folder / "index.html").is_file() else []
    names += [part.name for part in document.parts if part.state == "ok"]
    print_pages({folder / f"{name}.html": place / f"{name}.pdf" for name in names})
    return [f"{place.name}/{name}.pdf" for name in names]


def _csv(document: Document, staged: Path, stem: str) -> list[str]:
    """One file a table or figure, a list of them, and what their marks and notes say."""
    from evalkit.present.document import heading_of, numbered
    from evalkit.present.messages import say
    from evalkit.present.writers.csv_notes import listing, notes_of
    from evalkit.present.writers.spreadsheets import csv_bytes

    lang = document.lang
    place = staged / f"{stem}_csv"
    place.mkdir()
    rows, tables = [], {}
    for part, block, number in numbered(document):
        if isinstance(block, Exhibit | Picture):
            table, kind = (block.table, "table") if isinstance(block, Exhibit) else (block.data, "figure")
            name = f"{part.name}__{kind}__{table.name}.csv"
            (place / name).write_bytes(csv_bytes(table))
            tables[name] = table
            title = block.title if isinstance(block, Picture) else table.title
            rows.append((say(f"export.{kind}", lang, number=number), name, title, heading_of(part)))
    (place / "contents.csv").write_bytes(csv_bytes(listing(rows, document.title, lang)))
    (place / "notes.csv").write_bytes(csv_bytes(notes_of(tables, document.title, lang)))
    return [f"{place.name}/{name}" for name in ("contents.csv", "notes.csv", *tables)]
