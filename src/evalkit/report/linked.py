"""After the last page: whether the tables of all pages together give a withheld cell away, and the page that has to go.

Reads the kept notebooks of the report folder, which hold what every reader of it has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit.errors import DisclosureError
from evalkit.report import store
from evalkit.report.guard import PAYLOAD
from evalkit.report.task import Task

_THRESHOLD = re.compile(rb'^ +"min_firms": (\d+),?$', re.MULTILINE)
_SIGNS = (b'"hidden"', b'"keys"')


def refuse_linked(
    plan: Any,
    tasks: Sequence[Task],
    context: Mapping[str, Any],
    staged: Path,
    folder: Path,
    records: dict[str, Any],
    told: Callable[[str, Mapping[str, Any]], None],
) -> None:
    """Replace pages that, with the others, give a withheld cell away by a page that says so.

    Parameters
    ----------
    records : of every job; those of stopped pages become refused ones
    told : called with the name and the record of each stopped page
    """
    order = [task.job.name for task in tasks if records.get(task.job.name, {}).get("state") == "ok"]
    by_name = {task.job.name: task for task in tasks}

    def stop(name: str, error: DisclosureError) -> None:
        record = records[name]
        files = _refused(by_name[name], context, staged, error, record["title"])
        kept = store.publish(staged, folder, files, record["files"])
        records[name] = {
            **record,
            "state": "refused",
            "headline": "",
            "sentence": error.sentence(),
            "suppressed": [],
            "files": kept,
        }
        told(name, records[name])

    for name in [name for name in order if _laxer(folder, name, plan.disclosure.min_firms)]:
        order.remove(name)
        stop(
            name,
            DisclosureError(
                f"계획의 최소 기업 수 {plan.disclosure.min_firms} 보다 느슨한 규칙으로 내보낸 표나 그림이 있음",
                where=(name,),
                remedy="study.release 로 내보내거나, 공표된 통계이면 계획의 disclosure.min_firms 를 고칠 것",
            ),
        )
    found = [entry for name in order for entry in _published(folder, name)]
    if not any(entry.hidden for entry in found):
        return
    from evalkit.release.run_audit import audit

    for exposure in audit(found, order, plan.disclosure.rules()):
        others = ", ".join(exposure.given_by) or exposure.place
        error = DisclosureError(
            f"이 보고서의 표를 다른 표와 함께 읽으면 가린 칸을 되짚을 수 있음 ({others})",
            where=tuple(exposure.place.split(" › ")),
            remedy="두 표 가운데 하나에서 그 칸이나 합계를 빼거나, 같은 수에 같은 이름(keys)과 합계를 선언해 함께 가리게 할 것",
        )
        stop(exposure.report, error)


def _laxer(folder: Path, name: str, least: int) -> bool:
    """Whether a page holds something released under a smaller threshold than the plan's."""
    path = folder / "notebooks" / f"{name}.ipynb"
    data = path.read_bytes() if path.is_file() else b""
    return any(int(n) < least for n in _THRESHOLD.findall(data))


def _published(folder: Path, name: str) -> Iterator[Any]:
    """Released tables of one page that other tables may tell something of."""
    from evalkit.release.run_audit import Published

    path = folder / "notebooks" / f"{name}.ipynb"
    data = path.read_bytes() if path.is_file() else b""
    if not any(sign in data for sign in _SIGNS):
        return
    for cell in json.loads(data)["cells"]:
        for output in cell.get("outputs", ()):
            payload = output.get("data", {}).get(PAYLOAD)
            if isinstance(payload, dict):
                entry = Published.read(name, payload)
                if entry is not None:
                    yield entry


def _refused(
    task: Task, context: Mapping[str, Any], staged: Path, error: DisclosureError, title: str
) -> list[str]:
    """The page with nothing but the reason."""
    import nbformat

    from evalkit.report.frame import make_frame
    from evalkit.report.page import refused_content, render_page

    frame = make_frame(
        context,
        title=title,
        subtitle=task.subtitle,
        parameters=tuple(row for row in task.shown_parameters() if row["name"] != "data"),
        notebook={"name": task.notebook.name, "sha256": task.sha256},
        state="refused",
        index_href="index.html",
    )
    empty = nbformat.from_dict({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})  # type: ignore[no-untyped-call]
    name, log = f"{task.job.name}.html", f"logs/{task.job.name}.log"
    for relative, text in (
        (name, render_page(empty, frame, refused_content(frame, error))),
        (log, error.sentence() + "\n"),
    ):
        (staged / relative).parent.mkdir(parents=True, exist_ok=True)
        (staged / relative).write_bytes(text.encode())
    return [name, log]
