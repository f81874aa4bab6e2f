"""A process that makes one page after another and stays warm in between.

Started by `pool` as ``python -m evalkit.report.worker``; JSON lines on standard input and output. Its environment fixes
hash seed, threads and time zone, and kernels inherit it.
"""

from __future__ import annotations

import builtins
import errno
import json
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import evalkit
from evalkit import errors
from evalkit.errors import DisclosureError, EvalkitError
from evalkit.plain_text import one_line
from evalkit.report.environment import end_process
from evalkit.report.source import read_notebook, text_of

Emit = Callable[[dict[str, Any]], None]
_OURS = {
    name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, EvalkitError)
}

_KNOWN = {name for name, item in vars(builtins).items() if isinstance(item, type)} | {"LinAlgError"}
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


_STORAGE = {getattr(errno, name, -1) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM")}


def make_page(
    spec: Mapping[str, Any], folder: Path, emit: Emit, host: Path | None, memory: int = 0
) -> dict[str, Any]:
    """Execute one notebook, check what it shows, write page and files into the staging folder.

    Parameters
    ----------
    spec : the job as `pipeline` describes it
    folder : folder of this command
    emit : told of every cell
    host : socket from which kernels are forked, or None
    memory : bytes that the kernel may have of its own; 0 = no bound
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
        memory=memory,
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

    def frame(state: str, suppressed: Any = None) -> Any:
        return make_frame(
            spec["context"],
            title=title,
            subtitle=spec["subtitle"],
            parameters=tuple(spec["shown_parameters"]),
            notebook={"name": spec["notebook_name"], "sha256": spec["notebook_sha256"]},
            state=state,
            index_href=spec.get("index_href", ""),
            suppressed=suppressed,
        )

    failure = None
    if state == "failed":
        failure = Failure(executed.cell, _failure_words(spec, executed, frame("ok")))
    files: dict[str, bytes] = {}
    sentence, headline, suppressed = failure.text if failure else "", "", []
    try:
        if failure is not None and executed.error_name == DisclosureError.__name__:
            raise _refusal(failure.text)
        content = read_content(cells, frame(state), stem=name, failure=failure, folders=folders)
        gathered = harvest(content.released, name)
        files |= gathered.files
        headline, suppressed = gathered.headline, gathered.suppressed
        files[f"notebooks/{name}.ipynb"] = kept_notebook(executed.nb, folders, stopped=executed.cell).encode()
    except DisclosureError as error:
        state, sentence, headline, suppressed, files = "refused", error.sentence(), "", [], {}
        content = refused_content(frame("refused"), error)
    files[f"{name}.html"] = render_page(
        _empty(), frame(state, suppressed if state == "ok" else None), content
    ).encode()
    if state != "ok":
        log = sentence + "\n" if state == "refused" else _log(executed, sentence, folders)
        files[f"logs/{name}.log"] = log.encode()
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
    if executed.state == "flooded":
        return str(frame.say("page.error_flooded"))
    if executed.error_name in {"MemoryError", "_ArrayMemoryError"}:
        return str(frame.say("page.error_memory", log=log))
    if "[Errno 28]" in executed.error_text:
        return str(frame.say("page.error_disk", log=log))
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


def _refusal(sentence: str) -> DisclosureError:
    """What release raised inside a notebook, from its sentence."""
    place, problem, remedy = re.fullmatch(
        r"(?:\[(.*?)\] )?(.*?)\.?(?: → (.*?)\.?)?", sentence, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    return DisclosureError(problem, where=tuple(place.split(" > ")) if place else (), remedy=remedy or "")


_NUMBER = re.compile(r"\d[\d.,]*\d\d")


def _log(executed: Any, sentence: str, folders: tuple[Path, ...]) -> str:
    """For whoever repairs it: the traceback, without identifiers, folders, and what the error quotes of the data."""
    from evalkit.release.search import safe_words
    from evalkit.report.guard import masked, scrubbed

    told = executed.error_text
    blotted = _NUMBER.sub("■", _QUOTED.sub("‘…’", told))
    trace = executed.traceback.replace(told, blotted) if told else executed.traceback
    cell = "" if executed.cell is None else text_of(executed.nb["cells"][executed.cell])
    parts = [sentence, f"{executed.error_name}: {blotted}", trace, "--- 셀", cell]
    text = masked(scrubbed("\n".join(part for part in parts if part), folders))
    return "\n".join(safe_words(line) for line in text.split("\n")) + "\n"


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
    folder, memory = Path(configuration["folder"]), int(configuration.get("memory") or 0)
    host = Path(configuration["host"]) if configuration.get("host") else None
    jobs = _jobs(requests, at_work := _AtWork(emit))
    _warm_up()
    while (line := jobs.get()) is not None:
        spec = json.loads(line)
        try:
            answer = make_page(spec, folder, at_work, host, memory)
        except Exception as error:
            answer = _excuse(spec, error)
        at_work.kernel = None
        emit(answer)
    return 0


def _warm_up() -> None:
    """The slow imports and what every page reads, while the data are prepared."""
    import nbformat
    import openpyxl  # noqa: F401

    from evalkit.present import messages
    from evalkit.report import execute, page  # noqa: F401

    page.warm_up()
    messages.keys()
    nbformat.validate(_empty())  # compiles the schema


class _AtWork:
    """Passes messages on and remembers the kernel, for the case that nobody listens any more."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.kernel: int | None = None

    def __call__(self, message: dict[str, Any]) -> None:
        if message["event"] == "kernel":
            self.kernel = message["pid"]
        self._emit(message)


def _jobs(requests: Iterable[str], at_work: _AtWork) -> queue.SimpleQueue[str | None]:
    """Lines of standard input as they come; its end means that the command is gone, and so are kernel and worker."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in requests:
            lines.put(line)
        if at_work.kernel is not None:
            end_process(at_work.kernel)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _excuse(spec: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    """What is said of a page that could not be made: another page, or, where nothing can be written, a sentence."""
    done = {"event": "done", "job": spec["name"], "seconds": 0.0}
    try:
        if not (isinstance(error, OSError) and error.errno in _STORAGE):
            return done | _last_page(spec, error)
    except OSError as second:
        error = second
    why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    sentence = f"[{spec['name']}] 보고서를 쓸 수 없음{why} → 디스크의 남은 공간과 권한을 확인할 것."
    return {"event": "error", "job": spec["name"], "sentence": sentence, "exit": 1}


if __name__ == "__main__":
    raise SystemExit(main())
