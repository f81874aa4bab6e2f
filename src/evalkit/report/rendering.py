"""The part of `pipeline` that runs only when something must be rendered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalkit.release.ledger import totals_of
from evalkit.report import store
from evalkit.report.audit import Trail, audit_path, recorded
from evalkit.report.description import run_description, trail_key, trail_options
from evalkit.report.frame import plan_context, relative
from evalkit.report.index import render_index
from evalkit.report.linked import refuse_linked
from evalkit.report.pipeline import Work
from evalkit.report.plan_search import refuse_in_plan
from evalkit.report.provenance import git_state, package_versions
from evalkit.report.task import Options, Task, index_key
from evalkit.report.workshop import Workshop
from evalkit.study.asked import check_asked
from evalkit.study.prepare import prepare
from evalkit.study.raw_sums import sha256_of

_WORDS = {"ok": "완료", "failed": "실패", "refused": "공개 거부"}


def render_tasks(work: Work, workshop: Workshop) -> dict[str, Any]:
    """Prepare the data, render the jobs that must run, write index and record.

    Workers and the kernel host warm up while the data are prepared. A fault in the data ends everything before a file
    of the report folder is touched. The audit trail has a line where this begins, one a page, and one where it ends.

    Returns
    -------
    the record of every job of the plan that has one
    """
    trail = _trail(work)
    described = trail_options(work.options) | {"plan_file": relative(work.plan_path, work.root)}
    with recorded(trail, options=described, jobs=dict(work.stale)) as told:
        records, finished = _render(work, workshop, trail)
        told |= finished
    return records


def _render(work: Work, workshop: Workshop, trail: Trail) -> tuple[dict[str, Any], dict[str, Any]]:
    """The work itself; the records, and what the last line of the trail says of it."""
    started = time.monotonic()
    options, plan, folder, before = work.options, work.plan, work.folder, work.before
    lang = options.lang or plan.lang
    earlier = before.get("jobs", {})
    records = {
        t.job.name: {k: v for k, v in r.items() if k not in {"seconds", "why"}}
        for t in work.tasks
        if (r := earlier.get(t.job.name))
    }
    why = {t.job.name: (t, work.stale[t.job.name]) for t in work.chosen if t.job.name in work.stale}
    prepared = prepare(work.plan_path, plan, options.data, progress=workshop.progress.preparing)
    check_asked(plan, prepared.folder, work.plan_path.name)
    preparation = time.monotonic() - started
    context = plan_context(
        plan,
        work.plan_path,
        work.root,
        prepared.inputs,
        work.frozen,
        lang=lang,
        data=options.data is not None,
    )
    refuse_in_plan(plan, context, work.tasks, work.plan_path.name)
    timings = dict(before.get(store.TIMING, {}).get("jobs", {}))
    with store.staging(folder) as staged:
        specs = [spec_of(task, context, staged, work.root, options) for task, _ in why.values()]
        run_specs(workshop, specs, why, staged, folder, earlier, records, timings, trail)
        refuse_linked(plan, work.tasks, context, staged, folder, records, _stopped(trail))
        gone = {f for name, r in earlier.items() if name not in records for f in r["files"]}
        store.publish(staged, folder, (), gone)
    measured = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 3),
        "seconds_preparing": round(preparation, 3),
        "workers": workshop.count,
        "jobs": {name: timings[name] for name in records if name in timings},
        "audit": {"line": trail.last[0], "sha256": trail.last[1]},
    }
    described = run_description(work, context, prepared)
    return records, _conclude(folder, context, work.tasks, records, {**described, store.TIMING: measured})


def _stopped(trail: Trail) -> Callable[[str, Mapping[str, Any]], None]:
    """A line of the trail for a page that all tables of the run together stopped."""

    def tell(name: str, record: Mapping[str, Any]) -> None:
        trail.write("page", job=name, state=record["state"], made_of=record["made_of"], files=record["files"])

    return tell


def _trail(work: Work) -> Trail:
    """The audit trail of this command on this plan."""
    reports, git = work.reports, git_state(work.root)
    simulation = work.plan.data.simulate
    common = {
        "folder": work.folder.relative_to(reports).as_posix(),
        "plan": work.plan.id,
        "git": git,
        "versions": package_versions(),
        "seed": simulation.seed if work.inputs.simulated and simulation else None,
    }
    return Trail(audit_path(reports), common, trail_key(work.root))


def _conclude(
    folder: Path,
    context: Mapping[str, Any],
    tasks: Sequence[Task],
    records: Mapping[str, Any],
    described: Mapping[str, Any],
) -> dict[str, Any]:
    """Index, list of suppressed cells and record of the run; what the audit trail says of them."""
    made = [t for t in tasks if t.job.name in records or not t.job.on_request]
    listed = [(t.job.name, _shown(records.get(t.job.name), t)) for t in made]
    asked = Counter(t.notebook.stem for t in tasks if t not in made)
    store.write_text(folder / "index.html", render_index(context, listed, asked))
    suppressed = [row for t in tasks if t.job.name in records for row in records[t.job.name]["suppressed"]]
    store.write_disclosure(folder, suppressed)
    store.tidy(folder)
    index = {name: sha256_of(folder / name) for name in ("index.html", "disclosure.csv")}
    record = {
        **described,
        "jobs": records,
        "disclosure": totals_of(suppressed),
        "index": index,
        "index_key": index_key([(t.job.name, t.made_of.as_dict()) for t in tasks], records),
    }
    states = {name: entry["state"] for name, entry in records.items()}
    return {"states": states, "files": index, "record": store.write_run(folder, record)}


def _shown(record: Mapping[str, Any] | None, task: Task) -> Mapping[str, Any] | None:
    """A record as the index tells it: a page made of other things than today's is an earlier one."""
    if record is None or record["state"] != "ok" or record["made_of"] == task.made_of.as_dict():
        return record
    return {**record, "state": "outdated"}


def spec_of(
    task: Task, context: Mapping[str, Any], staged: Path, root: Path, options: Options
) -> dict[str, Any]:
    """A job in plain values, for a worker."""
    return {
        "name": task.job.name,
        "notebook": str(task.notebook),
        "notebook_name": task.notebook.name,
        "notebook_sha256": task.sha256,
        "parameters": dict(task.given),
        "shown_parameters": [row for row in task.shown_parameters() if row["name"] != "data"],
        "subtitle": task.subtitle,
        "context": context,
        "staging": str(staged),
        "root": str(root),
        "timeout": options.timeout,
        "index_href": "index.html",
    }


def run_specs(
    workshop: Workshop,
    specs: Sequence[Mapping[str, Any]],
    why: Mapping[str, tuple[Task, str]],
    staged: Path,
    folder: Path,
    earlier: Mapping[str, Any],
    records: dict[str, Any],
    timings: dict[str, Any],
    trail: Trail,
) -> None:
    """Run the jobs; each page is published and noted in the audit trail as soon as it is finished."""
    progress = workshop.progress
    for message in workshop.pool.run(specs):
        name = message["job"]
        task, reason = why[name]
        if message["event"] == "start":
            progress.start(name, reason)
        elif message["event"] == "cell":
            progress.cell(name, message["index"], message["count"], message["title"])
        else:
            old = earlier.get(name, {}).get("files", {})
            if message["event"] == "error":
                state = "refused" if message["exit"] == 5 else "failed"
                message = {
                    **message,
                    "state": state,
                    "title": name,
                    "headline": "",
                    "suppressed": [],
                    "files": [],
                }
                old = {}
            files = store.publish(staged, folder, message["files"], old)
            kept = ("state", "title", "headline", "sentence", "suppressed")
            records[name] = {k: message[k] for k in kept} | {
                "files": files,
                "subtitle": task.subtitle,
                "made_of": task.made_of.as_dict(),
                "notebook": task.notebook.name,
                "parameters": {k: str(v) for k, v in task.given.items() if k != "data"},
            }
            timings[name] = {"seconds": message.get("seconds", 0.0), "why": reason}
            made_of = task.made_of.as_dict()
            trail.write("page", job=name, state=message["state"], made_of=made_of, files=files)
            progress.finish(name, _WORDS[message["state"]])
