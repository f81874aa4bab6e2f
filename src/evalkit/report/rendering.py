"""The part of `pipeline` that runs only when something must be rendered."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalkit.report import store
from evalkit.report.frame import plan_context
from evalkit.report.index import render_index
from evalkit.report.pipeline import Work
from evalkit.report.pool import Pool
from evalkit.report.progress import Progress
from evalkit.report.provenance import git_state
from evalkit.report.task import Options, Task, index_key
from evalkit.report.workshop import Workshop
from evalkit.study.asked import check_asked
from evalkit.study.prepare import prepare
from evalkit.study.raw_sums import sha256_of

_WORDS = {"ok": "완료", "failed": "실패", "refused": "공개 거부"}


def render_tasks(work: Work, workshop: Workshop) -> dict[str, Any]:
    """Prepare the data, render the jobs that must run, write index and record.

    Workers and the kernel host warm up while the data are prepared. A fault in the data ends everything before a file
    of the report folder is touched.

    Returns
    -------
    the record of every job of the plan that has one
    """
    started = time.monotonic()
    options, plan, folder, before = work.options, work.plan, work.folder, work.before
    lang = options.lang or plan.lang
    earlier = before.get("jobs", {})
    records = {t.job.name: r for t in work.tasks if (r := earlier.get(t.job.name))}
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
    with store.staging(folder) as staged:
        specs = [spec_of(task, context, staged, work.root, options) for task, _ in why.values()]
        run_specs(workshop.pool, specs, why, staged, folder, earlier, records, workshop.progress)
        gone = {f for name, r in earlier.items() if name not in records for f in r["files"]}
        store.publish(staged, folder, (), gone)
    _conclude(
        folder,
        context,
        work.tasks,
        records,
        {
            "code": {"sha256": context["code"], "lock": context["lock"], **git_state(work.root)},
            "seconds": round(time.monotonic() - started, 3),
            "seconds_preparing": round(preparation, 3),
            "workers": workshop.count,
        },
    )
    return records


def _conclude(
    folder: Path,
    context: Mapping[str, Any],
    tasks: Sequence[Task],
    records: Mapping[str, Any],
    measured: Mapping[str, Any],
) -> None:
    """Index, list of suppressed cells and record of the run."""
    listed = [(t.job.name, _shown(records.get(t.job.name), t)) for t in tasks]
    store.write_text(folder / "index.html", render_index(context, listed))
    suppressed = [row for t in tasks if t.job.name in records for row in records[t.job.name]["suppressed"]]
    store.write_disclosure(folder, suppressed)
    store.tidy(folder)
    described = ("plan", "frozen", "deviations", "simulated", "inputs", "seed", "lang", "versions")
    store.write_run(
        folder,
        {
            **{name: context[name] for name in described},
            **measured,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "jobs": records,
            "index": {name: sha256_of(folder / name) for name in ("index.html", "disclosure.csv")},
            "index_key": index_key([(t.job.name, t.made_of.as_dict()) for t in tasks], records),
        },
    )


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
    pool: Pool,
    specs: Sequence[Mapping[str, Any]],
    why: Mapping[str, tuple[Task, str]],
    staged: Path,
    folder: Path,
    earlier: Mapping[str, Any],
    records: dict[str, Any],
    progress: Progress,
) -> None:
    """Run the jobs; each page is published as soon as it is finished."""
    for message in pool.run(specs):
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
                "seconds": message.get("seconds", 0.0),
                "subtitle": task.subtitle,
                "made_of": task.made_of.as_dict(),
                "why": reason,
                "parameters": {k: str(v) for k, v in task.given.items() if k != "data"},
            }
            progress.finish(name, _WORDS[message["state"]])
