"""A process that makes one page after another and stays warm in between.

Started by `pool` as ``python -m evalkit.report.worker``; JSON lines on standard input and output. Its environment fixes
hash seed, threads and time zone, and kernels inherit it.
"""

from __future__ import annotations

import builtins
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import evalkit
from evalkit import errors
from evalkit.errors import DisclosureError, EvalkitError
from evalkit.plain_text import one_line
from evalkit.report.source import read_notebook, text_of

Emit = Callable[[dict[str, Any]], None]
_OURS = {
    name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, EvalkitError)
}

_KNOWN = {name for name, item in vars(builtins).items() if isinstance(item, type)} | {"LinAlgError"}
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


def make_page(spec: Mapping[str, Any], folder: Path, emit: Emit, host: Path | None) -> dict[str, Any]:
    """Execute one notebook, check what it shows, write page and files into the staging folder.

    Parameters
    ----------
    spec : the job as `pipeline` describes it
    folder : folder of this command
    emit : told of every cell
    host : socket from which kernels are forked, or None
    """
    from evalkit.report.execute import Executed, Run, execute
    from evalkit.report.markdown import translate_markdown

    path = Path(spec["notebook"])
    started = time.monotonic()
    nb = translate_markdown(read_notebook(path), path.stem, spec["context"]["lang"])
    run = Run(
        cwd=path.parent,
        folder=folder,
        timeout=spec["timeout"],
        host=host,
        on_cell=lambda index, count, title: emit(
            {"event": "cell", "job": spec["name"], "index": index, "count": count, "title": title}
        ),
        on_kernel=lambda pid: emit({"event": "kernel", "job": spec["name"], "pid": pid}),
    )
    if spec.get("obituary"):
        executed = Executed(nb, spec["obituary"])
    else:
        executed = execute(nb, spec["parameters"], run)
        _readable_parameters(executed.nb, spec["parameters"])
    result = _write(spec, executed)
    return result | {"event": "done", "job": spec["name"], "seconds": round(time.monotonic() - started, 3)}


def _readable_parameters(nb: Any, parameters: Mapping[str, Any]) -> None:
    """The injected cell in plain Python: papermill writes Korean as escapes."""
    from evalkit.report.execute import INJECTED

    for cell in nb["cells"]:
        if cell.get("id") == INJECTED:
            shown = {name: "…" if name == "data" else value for name, value in parameters.items()}
            cell["source"] = "\n".join(f"{name} = {value!r}" for name, value in shown.items())


def _write(spec: Mapping[str, Any], executed: Any) -> dict[str, Any]:
    """Page, files and log of one run into the staging folder; what is said about it."""
    from evalkit.report.frame import make_frame
    from evalkit.report.harvest import harvest, kept_notebook
    from evalkit.report.markdown import first_heading
    from evalkit.report.page import Failure, read_content, refused_content, render_page

    name, staging = spec["name"], Path(spec["staging"])
    folders = _folders(spec)
    state = "ok" if executed.state == "ok" else "failed"
    cells = list(executed.nb["cells"])
    title = first_heading(cells) or name

    def frame(state: str) -> Any:
        return make_frame(
            spec["context"],
            title=title,
            subtitle=spec["subtitle"],
            parameters=tuple(spec["shown_parameters"]),
            notebook={"name": spec["notebook_name"], "sha256": spec["notebook_sha256"]},
            state=state,
            index_href=spec.get("index_href", ""),
        )

    failure = None
    if state == "failed":
        failure = Failure(executed.cell, _failure_words(spec, executed, frame("ok")))
    files: dict[str, bytes] = {}
    sentence, headline, suppressed = failure.text if failure else "", "", []
    try:
        content = read_content(cells, frame(state), stem=name, failure=failure, folders=folders)
        gathered = harvest(content.released, name)
        files |= gathered.files
        headline, suppressed = gathered.headline, gathered.suppressed
        files[f"notebooks/{name}.ipynb"] = kept_notebook(executed.nb, folders, stopped=executed.cell).encode()
    except DisclosureError as error:
        state, sentence, headline, suppressed, files = "refused", error.sentence(), "", [], {}
        content = refused_content(frame("refused"), error)
    files[f"{name}.html"] = render_page(_empty(), frame(state), content).encode()
    if state != "ok":
        files[f"logs/{name}.log"] = _log(executed, sentence, folders).encode()
    for relative, data in files.items():
        target = staging / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return {
        "state": state,
        "title": title,
        "headline": headline if state == "ok" else "",
        "sentence": sentence,
        "suppressed": suppressed,
        "files": sorted(files),
    }


def _last_page(spec: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """A page for a run that our own machinery could not bring to a page: the sentence, and the traceback as a log."""
    import traceback

    from evalkit.report.frame import make_frame
    from evalkit.report.guard import masked, scrubbed
    from evalkit.report.page import Failure, read_content, render_page

    name, staging = spec["name"], Path(spec["staging"])
    frame = make_frame(
        spec["context"], title=name, subtitle=spec["subtitle"], state="failed", index_href="index.html"
    )
    ours = isinstance(error, EvalkitError)
    log = f"logs/{name}.log"
    sentence = str(error) if ours else frame.say("page.error_other", name=type(error).__name__, log=log)
    content = read_content([], frame, stem=name, failure=Failure(None, sentence))
    trace = masked(scrubbed("".join(traceback.format_exception(error)), _folders(spec)))
    for relative, text in ((f"{name}.html", render_page(_empty(), frame, content)), (log, trace)):
        (staging / relative).parent.mkdir(parents=True, exist_ok=True)
        (staging / relative).write_bytes(text.encode())
    files = [f"{name}.html", log]
    told = {"title": name, "headline": "", "sentence": sentence, "suppressed": [], "files": files}
    return {"state": "failed", **told}


def _empty() -> Any:
    """For the exporter: nothing of the notebook's own outputs goes that way."""
    import nbformat

    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return nbformat.from_dict(empty)  # type: ignore[no-untyped-call]


def _folders(spec: Mapping[str, Any]) -> tuple[Path, ...]:
    """Folders of this machine that must not be printed."""
    places = [Path(sys.prefix), Path(sys.base_prefix), Path(evalkit.__file__).parents[1], Path(spec["root"])]
    return (*places, Path.home(), Path(spec["notebook"]).parent)


def _failure_words(spec: Mapping[str, Any], executed: Any, frame: Any) -> str:
    """One sentence for the page: ours in full, others by their class only."""
    from evalkit.release import identifier_in

    log = f"logs/{spec['name']}.log"
    if executed.state == "timeout":
        return str(frame.say("page.error_timeout", seconds=round(spec["timeout"])))
    if executed.state in {"died", "not_started"}:
        return str(frame.say(f"page.error_{executed.state}", log=log))
    if executed.error_name in _OURS and identifier_in(executed.error_text) is None:
        return without_literals(executed.error_name, one_line(executed.error_text))
    if executed.error_name == "SystemExit":
        return str(frame.say("page.error_exit"))
    name = executed.error_name if executed.error_name in _KNOWN else "Exception"
    return str(frame.say("page.error_other", name=name, log=log))


def without_literals(name: str, sentence: str) -> str:
    """The sentence of an error of ours for a page: what it quotes from data is left out, words of a plan stay."""
    kind: Any = getattr(errors, name, EvalkitError)
    return _QUOTED.sub("‘…’", sentence) if issubclass(kind, errors.DataError) else sentence


def _log(executed: Any, sentence: str, folders: tuple[Path, ...]) -> str:
    """For whoever repairs it: the traceback, without identifiers and folders."""
    from evalkit.report.guard import masked, scrubbed

    cell = "" if executed.cell is None else text_of(executed.nb["cells"][executed.cell])
    parts = [sentence, f"{executed.error_name}: {executed.error_text}", executed.traceback, "--- 셀", cell]
    return masked(scrubbed("\n".join(part for part in parts if part), folders)) + "\n"


def main() -> int:
    """Answer jobs until standard input closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever prints goes to the worker's log, never between the lines
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)

    def emit(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message, ensure_ascii=False) + "\n")
        answers.flush()

    configuration = json.loads(requests.readline())
    folder = Path(configuration["folder"])
    host = Path(configuration["host"]) if configuration.get("host") else None
    from evalkit.report import execute, page  # noqa: F401 (the slow imports, while the data are prepared)

    page.warm_up()
    for line in requests:
        spec = json.loads(line)
        try:
            emit(make_page(spec, folder, emit, host))
        except Exception as error:
            emit({"event": "done", "job": spec["name"], "seconds": 0.0} | _last_page(spec, error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
