"""One notebook without a plan's bookkeeping: `evalkit run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.report import store
from evalkit.report.audit import Trail, audit_path
from evalkit.report.environment import run_folder
from evalkit.report.frame import build_context, plan_context, relative
from evalkit.report.frozen import read_frozen
from evalkit.report.parameters import declared_parameters, from_command_line, typed_parameters
from evalkit.report.plan_search import refuse_in
from evalkit.report.pool import Pool
from evalkit.report.progress import Progress
from evalkit.report.provenance import audit_key, git_state, package_versions
from evalkit.report.source import content_sha256, read_notebook
from evalkit.report.words import subtitle_of
from evalkit.study.inputs import project_root
from evalkit.study.plan import load_plan
from evalkit.study.prepare import prepare


def render_notebook(
    notebook: Path, pairs: tuple[str, ...], *, out: Path, lang: str, timeout: float
) -> tuple[Path, str, str]:
    """Execute one notebook and write ``out/<stem>.html`` with its files.

    A parameter ``plan`` with a value is read, its data are prepared and the page says what it says in a plan's report.

    Returns
    -------
    page, state (ok, failed, refused), sentence of the failure
    """
    nb = read_notebook(notebook)
    notebook = notebook.resolve()
    declared = declared_parameters(nb, notebook=notebook.name)
    given: dict[str, Any] = {"lang": lang} if "lang" in declared else {}
    typed = typed_parameters(given | from_command_line(pairs), declared, notebook=notebook.name)
    values = {name: typed.get(name, item.default) for name, item in declared.items()}
    with run_folder() as place, Progress(1) as progress, Pool(1, place, fork=False) as pool:
        context, subtitle, root = _context(notebook, values, lang, progress)
        refuse_in([values, subtitle, notebook.stem], (notebook.suffix.lstrip("."), "parameters"))
        with store.staging(out.resolve()) as staged:
            spec: dict[str, Any] = {
                "name": notebook.stem,
                "notebook": str(notebook),
                "notebook_name": notebook.name,
                "notebook_sha256": content_sha256(nb),
                "parameters": typed,
                "shown_parameters": [
                    {"name": name, "value": str(values[name]), "comment": item.comment}
                    for name, item in declared.items()
                    if name != "data"
                ],
                "subtitle": subtitle,
                "context": context,
                "staging": str(staged),
                "root": str(root),
                "timeout": timeout,
            }
            last: dict[str, Any] = {}
            for last in pool.run([spec]):
                if last["event"] == "start":
                    progress.start(spec["name"], "직접 실행")
                elif last["event"] == "cell":
                    progress.cell(spec["name"], last["index"], last["count"], last["title"])
            state = last.get("state") or ("refused" if last.get("exit") == 5 else "failed")
            files = store.publish(staged, out.resolve(), last.get("files", ()), ())
            plan = context["plan"]["id"] if context["plan"] else ""
            common = {"folder": ".", "plan": plan, "git": git_state(root), "versions": package_versions()}
            trail = Trail(audit_path(out.resolve()), common, audit_key(root))
            made_of = {"notebook": spec["notebook_sha256"], "code": context["code"], "lang": lang}
            trail.write("page", job=notebook.stem, state=state, made_of=made_of, files=files)
            progress.finish(spec["name"], {"ok": "완료"}.get(state, "실패"))
    return out / f"{notebook.stem}.html", state, last.get("sentence", "")


def _context(
    notebook: Path, values: dict[str, Any], lang: str, progress: Progress
) -> tuple[dict[str, Any], str, Path]:
    """What the page says about plan and inputs; the data of a plan are prepared."""
    named = values.get("plan")
    if isinstance(named, str) and named:
        path = (notebook.parent / named).resolve()
        plan = load_plan(path)
        root = project_root(path)
        folder = (notebook.parent / values["data"]).resolve() if values.get("data") else None
        inputs = prepare(path, plan, folder, progress=progress.preparing).inputs
        context = plan_context(
            plan, path, root, inputs, read_frozen(path, plan), lang=lang, data=folder is not None
        )
        command = ["evalkit", "run", relative(notebook, root), "-p", "…"]
        return context | {"command": command}, subtitle_of(plan, values, lang), root
    root = notebook.parent
    context = {"lang": lang, "plan": None, "command": ["evalkit", "run", notebook.name, "-p", "…"]}
    return context | build_context(root), "", root
