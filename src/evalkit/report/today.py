"""What the ingredients of a finished run are today, held against what its record says: ``evalkit verify``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalkit.errors import EvalkitError
from evalkit.report.changes import file_changes, key_changes, listed, part_changes, value_changes
from evalkit.report.frozen import Frozen, read_frozen
from evalkit.report.pipeline import tasks_of
from evalkit.report.provenance import REASONS, code_parts, lock_sha256, package_versions
from evalkit.report.task import Options
from evalkit.study.inputs import Inputs, fingerprint, project_root, world_folder
from evalkit.study.plan import Plan, load_plan
from evalkit.study.raw_sums import sha256_of

Verdict = Literal["same", "differs", "unknown"]
_NO_PLAN = "계획 파일을 찾을 수 없음 (--plan 으로 적을 수 있음)"


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that was looked at: what, how it stands, and a Korean clause that says more."""

    group: str
    what: str
    verdict: Verdict
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Now:
    """A plan as it lies on the disk today."""

    plan: Plan
    path: Path
    root: Path
    frozen: Frozen | None
    data: Path | None


def find_plan(record: Mapping[str, Any], folder: Path, named: Path | None) -> Path | None:
    """The plan of a report folder: the one named, or the file that the record names, above the folder or from here."""
    if named is not None:
        return named.resolve()
    file = str((record.get("plan") or {}).get("file", ""))
    if not file:
        return None
    for place in (*folder.resolve().parents, Path.cwd(), *Path.cwd().parents):
        if (place / file).is_file():
            return place / file
    return None


def ingredients_today(
    record: Mapping[str, Any], jobs: Mapping[str, Any], plan_path: Path | None, data: Path | None
) -> list[Answer]:
    """Every ingredient of the pages, today against then.

    Parameters
    ----------
    jobs : records of the pages that are looked at
    data : folder named by ``--data``, which the record does not hold
    """
    if plan_path is None:
        return [Answer("재료", word, "unknown", _NO_PLAN) for word in REASONS.values()]
    try:
        plan = load_plan(plan_path)
    except EvalkitError as error:
        return [Answer("재료", REASONS["plan"], "differs", f"읽을 수 없음: {error.sentence()}")]
    answers: list[Answer] = []
    frozen: Frozen | None = None
    try:
        frozen = read_frozen(plan_path, plan)
    except EvalkitError as error:
        answers.append(Answer("재료", REASONS["frozen"], "differs", error.sentence()))
    now = Now(plan, plan_path, project_root(plan_path), frozen, data)
    told, inputs = _inputs(record, now)
    answers += told
    answers += _pages(record, jobs, now, inputs, {a.what for a in answers})
    return answers


def _inputs(record: Mapping[str, Any], now: Now) -> tuple[list[Answer], Inputs | None]:
    """The input files one by one; the answer on all of them is left to the pages where none differs."""
    word = REASONS["inputs"]
    if record.get("data") and now.data is None:
        why = "--data 로 준 폴더의 자료로 만든 쪽임 (같은 --data 로 확인할 수 있음)"
        return [Answer("재료", word, "unknown", why)], None
    then = list(record.get("inputs", ()))
    here = []
    for file in then:
        path = _place(file["path"], record, now)
        if path is not None and path.is_file():
            here.append({"path": file["path"], "sha256": sha256_of(path), "bytes": path.stat().st_size})
    own = [f for f in then if not str(f["path"]).startswith(("facts:", "mapping:"))]
    found = {f["path"] for f in here}
    if own and not any(f["path"] in found for f in own):
        return [Answer("재료", word, "unknown", f"자료 파일 {len(own)}개가 여기에 하나도 없음")], None
    inputs, trouble = None, ""
    try:
        inputs = fingerprint(now.path, now.plan, now.data)
        here += [
            {"path": f.path, "sha256": f.sha256, "bytes": f.bytes}
            for f in inputs.files
            if f.path not in {file["path"] for file in then}
        ]
    except EvalkitError as error:
        trouble = error.sentence()
    changed = file_changes(then, here)
    if changed or trouble:
        return [Answer("재료", word, "differs", listed(changed) or trouble)], inputs
    return [], inputs


def _place(name: str, record: Mapping[str, Any], now: Now) -> Path | None:
    """Where an input of the record lies today."""
    beside = now.path.parent
    if name.startswith("facts:"):
        return beside / str(now.plan.facts) if now.plan.facts else None
    if name.startswith("mapping:"):
        return beside / name.removeprefix("mapping:")
    if record.get("simulated"):
        return None if now.plan.data.simulate is None else world_folder(now.path, now.plan) / "raw" / name
    return (now.data or beside / now.plan.data.folder) / name


def _pages(
    record: Mapping[str, Any],
    jobs: Mapping[str, Any],
    now: Now,
    inputs: Inputs | None,
    answered: set[str],
) -> list[Answer]:
    """Ingredients of each page as the pipeline would compute them today."""
    lang = str(record.get("lang") or now.plan.lang)
    stand_in = inputs or Inputs("", (), bool(record.get("simulated")), now.path.parent)
    options = Options(lang=lang, data=now.data)
    try:
        tasks = tasks_of(now.plan, now.path, now.root, stand_in, now.frozen, options, lang)
    except EvalkitError as error:
        return [Answer("재료", REASONS["notebook"], "differs", error.sentence())]
    today = {task.job.name: task.made_of.as_dict() for task in tasks}
    answers = []
    gone = [name for name in jobs if name not in today]
    if gone:
        answers.append(Answer("재료", "보고서 목록", "differs", f"오늘의 계획에 없는 쪽: {listed(gone)}"))
    details = _details(record, now)
    for name, word in REASONS.items():
        if word in answered:
            continue
        other = [
            job for job, r in jobs.items() if job in today and r["made_of"].get(name) != today[job][name]
        ]
        if not other:
            answers.append(Answer("재료", word, "same", _kept(name, record)))
        else:
            detail = details[name]() if name in details else ""
            told = "; ".join(part for part in (detail, _which(other, jobs)) if part)
            answers.append(Answer("재료", word, "differs", told))
    return answers


def _which(other: list[str], jobs: Mapping[str, Any]) -> str:
    return "" if len(other) == len(jobs) > 1 else f"쪽: {listed(other, 3)}"


def _kept(name: str, record: Mapping[str, Any]) -> str:
    """What a reader may want to know of an ingredient that is the same."""
    if name == "inputs":
        count = len(record.get("inputs", ()))
        return f"파일 {count}개" + (" (모의 자료)" if record.get("simulated") else "")
    if name == "frozen":
        frozen = record.get("frozen")
        return f"{frozen['date']} 에 고정" if frozen else "고정하지 않은 계획"
    return ""


def _details(record: Mapping[str, Any], now: Now) -> dict[str, Callable[[], str]]:
    """What differs within an ingredient, asked only where it does."""
    code = record.get("code", {})

    def plan() -> str:
        before = (record.get("plan") or {}).get("content")
        if before is None:
            return ""
        import json

        found = key_changes(before, json.loads(now.plan.canonical()))
        return listed(f"{key}: {old} → {new}" for key, old, new in found)

    def environment() -> str:
        found = value_changes(record.get("versions", {}), package_versions())
        lock = [] if code.get("lock") == lock_sha256(now.root) else ["requirements.lock"]
        return listed(found + lock) or "운영체제나 기계"

    return {
        "plan": plan,
        "code": lambda: listed(part_changes(code.get("parts", {}), code_parts())),
        "environment": environment,
    }
