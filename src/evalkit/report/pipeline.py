"""Plan → jobs → what must run → pages, index and record.

Light until something has to run: a plan in which nothing changed is told by hashes alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.errors import NotebookError, UsageError, nearest
from evalkit.report import store
from evalkit.report.frozen import Frozen, read_frozen
from evalkit.report.parameters import declared_parameters, typed_parameters
from evalkit.report.provenance import (
    Ingredients,
    code_hash,
    digest,
    environment_sha256,
    reasons,
    template_sha256,
)
from evalkit.report.source import content_sha256, find_notebook, read_notebook
from evalkit.report.task import Options, Task, index_key
from evalkit.study.inputs import Inputs, fingerprint, project_root
from evalkit.study.plan import Plan, load_plan

if TYPE_CHECKING:
    from evalkit.report.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of the command came to.

    Attributes
    ----------
    folder : where the reports lie
    made, kept : names of the jobs rendered now, and of those that were up to date
    failed : (job, sentence)
    exit_code : 0, 4 (a notebook failed) or 5 (disclosure)
    """

    folder: Path
    made: tuple[str, ...]
    kept: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    exit_code: int


@dataclass(frozen=True, slots=True)
class Work:
    """A plan read and checked, and which of its jobs must run: job name -> why."""

    plan: Plan
    plan_path: Path
    root: Path
    inputs: Inputs
    frozen: Frozen | None
    folder: Path
    tasks: tuple[Task, ...]
    chosen: tuple[Task, ...]
    before: Mapping[str, Any]
    stale: Mapping[str, str]
    options: Options

    @property
    def reports(self) -> Path:
        """Folder of all plans' reports, where the audit trail lies."""
        return reports_folder(self.root, self.options.out)

    @property
    def is_done(self) -> bool:
        """Whether every chosen page and the index are what they would be made again."""
        key = _index_key(self.tasks, self.before.get("jobs", {}))
        return (
            not self.stale
            and self.before.get("index_key") == key
            and store.is_intact(self.folder, self.before.get("index", {}))
        )


def render_plan(plan_path: Path, options: Options) -> Outcome:
    """Render what must be rendered.

    Raises
    ------
    EvalkitError : the plan, a parameter or an input is at fault; nothing was written
    """
    work = work_of(plan_path, options)
    if work.is_done:
        return _left(work)
    from evalkit.report.workshop import Workshop

    with Workshop(len(work.stale), options.jobs) as workshop:
        return carry_out(work, workshop)


def work_of(plan_path: Path, options: Options) -> Work:
    """Read a plan, its inputs and the record of its last run; writes nothing.

    Raises
    ------
    EvalkitError : the plan, a parameter or an input is at fault
    """
    plan = load_plan(plan_path)
    plan_path = plan_path.resolve()
    lang = options.lang or plan.lang
    root = project_root(plan_path)
    inputs = fingerprint(plan_path, plan, options.data)
    frozen = read_frozen(plan_path, plan)
    tasks = tasks_of(plan, plan_path, root, inputs, frozen, options, lang)
    chosen = _chosen(tasks, options.only)
    folder = report_folder(plan, root, options.out, lang)
    before = store.read_run(folder)
    records: dict[str, Any] = before.get("jobs", {})
    stale = {
        task.job.name: why
        for task in chosen
        if (why := _why(task, records.get(task.job.name), folder, options.force))
    }
    options = replace(options, lang=lang)
    return Work(
        plan, plan_path, root, inputs, frozen, folder, tuple(tasks), tuple(chosen), before, stale, options
    )


def narrowed(work: Work, only: tuple[str, ...]) -> Work:
    """The same work on some of its reports; empty = all.

    Raises
    ------
    UsageError : a name that no report and no notebook of the plan has
    """
    chosen = tuple(_chosen(work.tasks, only))
    names = {task.job.name for task in chosen}
    stale = {name: why for name, why in work.stale.items() if name in names}
    return replace(work, chosen=chosen, stale=stale, options=replace(work.options, only=only))


def carry_out(work: Work, workshop: Workshop) -> Outcome:
    """Do a plan's work with the processes and the progress of a workshop."""
    if work.is_done:
        return _left(work)
    from evalkit.report.rendering import render_tasks

    return outcome_of(work, render_tasks(work, workshop))


def _left(work: Work) -> Outcome:
    """Nothing is to be done but to clear away what an earlier command was made to leave."""
    store.sweep(work.folder)
    return outcome_of(work, work.before.get("jobs", {}))


def outcome_of(work: Work, records: Mapping[str, Any]) -> Outcome:
    """What came of the chosen jobs."""
    names = [task.job.name for task in work.chosen]
    made = tuple(name for name in names if name in work.stale)
    kept = tuple(name for name in names if name not in work.stale)
    return Outcome(work.folder, made, kept, _failures(work.chosen, records), _exit(work.chosen, records))


def reports_folder(root: Path, out: Path | None) -> Path:
    """Folder of all plans' reports."""
    return (out or root / "reports").resolve()


def report_folder(plan: Plan, root: Path, out: Path | None, lang: str) -> Path:
    """Folder of a plan's reports; another language than the plan's has a folder of its own inside."""
    folder = reports_folder(root, out) / plan.id
    return folder if lang == plan.lang else folder / lang


def tasks_of(
    plan: Plan,
    plan_path: Path,
    root: Path,
    inputs: Inputs,
    frozen: Frozen | None,
    options: Options,
    lang: str,
) -> list[Task]:
    """Every job of the plan with its parameters checked before anything runs."""
    from evalkit.report.words import subtitle_of

    common = {
        "inputs": digest([inputs.digest, inputs.simulated]),
        "plan": plan.sha256(),
        "frozen": frozen.file_sha256 if frozen else "",
        "code": code_hash(),
        "template": template_sha256(),
        "environment": environment_sha256(root),
        "lang": lang,
    }
    tasks = []
    names: set[str] = set()
    for job in plan.jobs():
        if job.name in names:
            raise UsageError(
                f"보고서 이름 {job.name!r} 이(가) 두 번 나옴",
                where=(plan_path.name, "reports"),
                remedy="for_each 를 나눌 것",
            )
        names.add(job.name)
        path = find_notebook(job.notebook, plan_path=plan_path, root=root)
        nb = read_notebook(path)
        declared = declared_parameters(nb, notebook=path.name)
        ours: dict[str, Any] = {"plan": _from(path.parent, plan_path), "lang": lang}
        if options.data is not None:
            ours["data"] = _from(path.parent, options.data.resolve())
        given = {name: value for name, value in ours.items() if name in declared} | dict(job.parameters)
        typed = typed_parameters(given, declared, notebook=path.name)
        sha = content_sha256(nb)
        stable = {k: v for k, v in typed.items() if k != "data"}
        made_of = Ingredients(notebook=sha, parameters=digest([path.name, stable]), **common)
        tasks.append(Task(job, path, sha, typed, declared, subtitle_of(plan, typed, lang), made_of))
    return tasks


def _from(folder: Path, target: Path) -> str:
    """A path as seen from the notebook; absolute only on another drive."""
    try:
        return Path(os.path.relpath(target, folder)).as_posix()
    except ValueError:
        return target.as_posix()


def _chosen(tasks: Sequence[Task], only: tuple[str, ...]) -> list[Task]:
    """The jobs named by ``--only``: a job's name, or a notebook's for all of its runs; else all but those on request."""
    if not only:
        return [task for task in tasks if not task.job.on_request]
    wanted: set[str] = set()
    for word in only:
        found = {t.job.name for t in tasks if word in {t.job.name, t.notebook.stem, t.notebook.name}}
        if not found:
            known = [*dict.fromkeys([*(t.job.name for t in tasks), *(t.notebook.stem for t in tasks)])]
            raise UsageError(f"계획에 보고서 {word!r} 이(가) 없음", remedy=nearest(word, known))
        wanted |= found
    return [task for task in tasks if task.job.name in wanted]


def _why(task: Task, record: Mapping[str, Any] | None, folder: Path, force: bool) -> str:
    """Why a job must run, or '' when it need not."""
    if force:
        return "--force"
    changed = reasons(record.get("made_of") if record else None, task.made_of)
    if changed:
        return "처음" if changed == ["처음"] else f"바뀐 것: {', '.join(changed)}"
    assert record is not None
    if record["state"] != "ok":
        return "지난번에 끝나지 않음"
    return "" if store.is_intact(folder, record["files"]) else "결과 파일이 없거나 바뀜"


def _index_key(tasks: Sequence[Task], records: Mapping[str, Any]) -> str:
    return index_key([(t.job.name, t.made_of.as_dict()) for t in tasks], records)


def _failures(chosen: Sequence[Task], records: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    names = [t.job.name for t in chosen]
    return tuple(
        (n, str(records[n]["sentence"])) for n in names if n in records and records[n]["state"] != "ok"
    )


def _exit(chosen: Sequence[Task], records: Mapping[str, Any]) -> int:
    states = {records[t.job.name]["state"] for t in chosen if t.job.name in records}
    if "refused" in states:
        return 5
    return NotebookError.exit_code if "failed" in states else 0
