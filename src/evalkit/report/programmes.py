"""Several plans in one command: their reports, one page over all of them, and the first page of the folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalkit.errors import EvalkitError, FileError, UsageError
from evalkit.report import pipeline, store
from evalkit.report.audit import Trail, audit_path, recorded
from evalkit.report.description import code_description, trail_key, trail_options
from evalkit.report.frame import build_context, relative
from evalkit.report.index import ListedPlan, render_programmes
from evalkit.report.parameters import declared_parameters, typed_parameters
from evalkit.report.pipeline import Outcome, Work
from evalkit.report.provenance import (
    Ingredients,
    code_hash,
    digest,
    environment_sha256,
    git_state,
    package_versions,
    reasons,
    template_sha256,
)
from evalkit.report.source import content_sha256, find_notebook, read_notebook
from evalkit.report.task import Options, Task
from evalkit.report.workshop import Workshop
from evalkit.study.plan import Job, Plan, is_fact_file
from evalkit.study.raw_sums import sha256_of

NOTEBOOK = "05_programmes.ipynb"
FOLDER = "programmes"
SEPARATOR = "; "


@dataclass(frozen=True, slots=True)
class Together:
    """What came of several plans.

    Attributes
    ----------
    index : first page of all plans; empty where only some reports were asked for
    plans : plan file and its outcome
    absent : plan file and the sentence that says which of its data are not at hand
    """

    index: Path
    plans: tuple[tuple[Path, Outcome], ...]
    absent: tuple[tuple[Path, str], ...]
    overview: Outcome | None
    exit_code: int


def render_plans(paths: Sequence[Path], options: Options, *, present: bool = False) -> Together:
    """Render what must be rendered of every plan, then the page over all of them.

    Every plan is read and checked before the first one is rendered. A plan whose data files are not there is named and
    left out.

    Parameters
    ----------
    present : a plan whose data are not there is no failure

    Raises
    ------
    EvalkitError : a plan or a parameter is at fault, two plans have one name, or no plan has its data; nothing was
        written
    """
    works, absent = _works(paths, options)
    lang = options.lang or works[0].plan.lang
    overview = None if options.only else _overview(works, options, lang)
    total = sum(len(work.stale) for work in works) + (overview is not None and bool(overview.why))
    outcomes: list[tuple[Path, Outcome]] = []
    with Workshop(total, options.jobs) as workshop:
        for work in works:
            try:
                outcome = pipeline.carry_out(work, workshop)
            except EvalkitError as error:  # its data are at fault; the other plans are not
                outcome = Outcome(work.folder, (), (), ((work.plan.id, error.sentence()),), error.exit_code)
            outcomes.append((work.plan_path, outcome))
        over = None if overview is None else _render_overview(overview, options, workshop)
    index = Path()
    if overview is not None:
        index = overview.index
        _write_index(index, works, overview, lang)
    everything = [outcome for _, outcome in outcomes] + ([] if over is None else [over])
    codes = [outcome.exit_code for outcome in everything]
    if absent and not present:
        codes.append(FileError.exit_code)
    return Together(index, tuple(outcomes), tuple(absent), over, max(codes))


def _works(paths: Sequence[Path], options: Options) -> tuple[list[Work], list[tuple[Path, str]]]:
    """Every plan read, and those without data; a report named by ``only`` must be in one of them."""
    works: list[Work] = []
    absent: list[tuple[Path, FileError]] = []
    refused: UsageError | None = None
    for path in paths:
        if is_fact_file(path):  # plans/*.yml means them too
            continue
        try:
            work = pipeline.work_of(path, replace(options, only=()))
        except FileError as error:
            absent.append((path, error))
            continue
        known = []
        for word in options.only:
            try:
                pipeline.narrowed(work, (word,))
                known.append(word)
            except UsageError as error:
                refused = error
        if known or not options.only:
            works.append(pipeline.narrowed(work, tuple(known)))
    if not works:
        raise refused or absent[0][1]
    named: dict[str, str] = {FOLDER: "evalkit"}
    for work in works:
        if work.plan.id in named:
            raise UsageError(
                f"계획의 이름(id) {work.plan.id!r} 이(가) 겹침",
                where=(named[work.plan.id], work.plan_path.name),
                remedy="id 를 서로 다르게 적을 것",
            )
        named[work.plan.id] = work.plan_path.name
    return works, [(path, error.sentence()) for path, error in absent]


@dataclass(frozen=True, slots=True)
class Overview:
    """The page over all plans: its job, where it and the first page go, and why it must run ("" = it need not)."""

    task: Task
    folder: Path
    index: Path
    root: Path
    lang: str
    before: Mapping[str, Any]
    why: str
    simulated: bool
    in_part: bool
    plans: tuple[str, ...]


def _overview(works: Sequence[Work], options: Options, lang: str) -> Overview:
    root = works[0].root
    path = find_notebook(NOTEBOOK, plan_path=works[0].plan_path, root=root)
    nb = read_notebook(path)
    declared = declared_parameters(nb, notebook=path.name)
    names = [Path(os.path.relpath(work.plan_path, path.parent)).as_posix() for work in works]
    given: dict[str, Any] = {"plans": SEPARATOR.join(names), "lang": lang}
    if options.data is not None:
        given["data"] = str(options.data.resolve())
    typed = typed_parameters(given, declared, notebook=path.name)
    sha = content_sha256(nb)
    made_of = Ingredients(
        notebook=sha,
        parameters=digest([path.name, {k: v for k, v in typed.items() if k != "data"}]),
        inputs=digest([[work.inputs.digest, work.inputs.simulated] for work in works]),
        plan=digest([work.plan.sha256() for work in works]),
        frozen=digest([work.frozen.file_sha256 if work.frozen else "" for work in works]),
        code=code_hash(),
        template=template_sha256(),
        environment=environment_sha256(root),
        lang=lang,
    )
    stem = Path(NOTEBOOK).stem
    task = Task(Job(stem, NOTEBOOK, {}), path, sha, typed, declared, "", made_of)
    reports = (options.out or root / "reports").resolve()
    folder, index = reports / FOLDER, reports / "index.html"
    if lang != works[0].plan.lang:
        folder, index = folder / lang, index.with_suffix(f".{lang}.html")
    before = store.read_run(folder)
    record = before.get("jobs", {}).get(stem)
    changed = reasons(record.get("made_of") if record else None, made_of)
    why = "--force" if options.force else ", ".join(changed)
    if not why and record and (record["state"] != "ok" or not store.is_intact(folder, record["files"])):
        why = "결과 파일이 없거나 바뀜"
    simulated = [work.inputs.simulated for work in works]
    in_part = any(simulated) and not all(simulated)
    shown = tuple(relative(work.plan_path, root) for work in works)
    return Overview(task, folder, index, root, lang, before, why, any(simulated), in_part, shown)


def _render_overview(overview: Overview, options: Options, workshop: Workshop) -> Outcome:
    """The page, with its tables and figures, and the record of the run."""
    from evalkit.report.rendering import run_specs, spec_of

    task, name = overview.task, overview.task.job.name
    earlier = overview.before.get("jobs", {})
    records: dict[str, Any] = dict(earlier)
    if overview.why:
        context = _context(overview)
        timings: dict[str, Any] = {}
        trail = _trail(overview)
        described = trail_options(options) | {"plan_files": list(overview.plans)}
        with recorded(trail, options=described, jobs={name: overview.why}) as told:
            with store.staging(overview.folder) as staged:
                spec = spec_of(task, context, staged, overview.root, options)
                spec["index_href"] = Path(os.path.relpath(overview.index, overview.folder)).as_posix()
                why = {name: (task, overview.why)}
                run_specs(workshop, [spec], why, staged, overview.folder, earlier, records, timings, trail)
            store.write_disclosure(overview.folder, records[name]["suppressed"])
            told |= _write_record(overview, context, options, records, timings, trail)
    state = records[name]["state"]
    failed = () if state == "ok" else ((name, str(records[name]["sentence"])),)
    made, kept = ((name,), ()) if overview.why else ((), (name,))
    return Outcome(overview.folder, made, kept, failed, {"ok": 0, "refused": 5}.get(state, 4))


def _trail(overview: Overview) -> Trail:
    """The audit trail of the page over all plans."""
    reports = overview.index.parent
    common = {
        "folder": overview.folder.relative_to(reports).as_posix(),
        "plan": "",
        "git": git_state(overview.root),
        "versions": package_versions(),
        "seed": None,
    }
    return Trail(audit_path(reports), common, trail_key(overview.root))


def _write_record(
    overview: Overview,
    context: Mapping[str, Any],
    options: Options,
    records: Mapping[str, Any],
    timings: Mapping[str, Any],
    trail: Trail,
) -> dict[str, Any]:
    """``run.json`` of the page over all plans; what the audit trail says of it."""
    described = {name: context[name] for name in ("lang", "simulated", "versions")}
    index = {"disclosure.csv": sha256_of(overview.folder / "disclosure.csv")}
    record = {
        **described,
        "plans": list(overview.plans),
        "data": options.data is not None,
        "code": code_description(context, overview.root),
        "jobs": records,
        "index": index,
        store.TIMING: {"jobs": timings, "audit": {"line": trail.last[0], "sha256": trail.last[1]}},
    }
    states = {name: entry["state"] for name, entry in records.items()}
    return {"states": states, "files": index, "record": store.write_run(overview.folder, record)}


def _context(overview: Overview) -> dict[str, Any]:
    """What the page says about its making."""
    return {
        "lang": overview.lang,
        "plan": None,
        "plans": overview.plans,
        "simulated": overview.simulated,
        "simulated_in_part": overview.in_part,
        "command": ["evalkit", "report", *overview.plans],
        **build_context(overview.root),
    }


def _write_index(path: Path, works: Sequence[Work], overview: Overview, lang: str) -> None:
    """The first page: every plan with its question, its main result and how its reports stand."""
    listed = []
    for work in works:
        records = store.read_run(work.folder).get("jobs", {})
        states = [
            records[task.job.name]["state"] if task.job.name in records else "missing"
            for task in work.tasks
            if task.job.name in records or not task.job.on_request
        ]
        # in the order of the plan: its summary stands before what its other pages found
        told = (records.get(task.job.name, {}).get("headline", "") for task in work.tasks)
        lead = next((headline for headline in told if headline), "")
        href = Path(os.path.relpath(work.folder / "index.html", path.parent)).as_posix()
        listed.append(
            ListedPlan(
                href,
                work.plan.title[lang],
                work.plan.question[lang],
                lead,
                tuple(states),
                work.inputs.simulated,
                _kind(work.plan),
            )
        )
    page = Path(os.path.relpath(overview.folder / f"{overview.task.job.name}.html", path.parent)).as_posix()
    text = render_programmes(_context(overview), listed, page)
    if path.is_file() and path.read_bytes() == text.encode():
        return
    store.write_text(path, text)
    trail = _trail(overview)
    trail.write("index", files={os.path.relpath(path, overview.folder).replace(os.sep, "/"): sha256_of(path)})


def _kind(plan: Plan) -> str:
    """What a plan does: estimates effects, watches indicators, or counts what happened."""
    if plan.outcomes:
        return "evaluation"
    return "counting" if plan.monitoring is None else "monitoring"
