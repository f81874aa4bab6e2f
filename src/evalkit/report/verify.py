"""Whether a finished page is what its record, the audit trail and today's inputs say: ``evalkit verify``.

Three things are held against one another: the bytes in the folder, ``run.json``, and the chain of the audit trail; then what
the page was made of against what lies on the disk today. What cannot be looked at is said, never taken for the same.
"""

from __future__ import annotations

import hashlib
import html
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.errors import EvalkitError, FileError
from evalkit.report.audit import find_audit, folder_of
from evalkit.report.chain import Chain, read_chain
from evalkit.report.changes import listed
from evalkit.report.provenance import audit_key
from evalkit.report.store import RUN_FILE, TIMING, read_run, run_sha256
from evalkit.report.today import Answer, find_plan, ingredients_today

_TAG = re.compile(r"<[^>]*>")
_OURS = ("*.html", "tables/*", "figures/*", "notebooks/*", "results/*", "export/*")
_FAULTS = {
    "broken": "앞줄과 이어지지 않음",
    "unreadable": "읽을 수 없음",
    "number": "번호가 차례와 다름",
    "seal": "봉인이 맞지 않음",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What ``evalkit verify`` was asked: a report folder, or one file of it, and where its inputs are to be looked for."""

    folder: Path
    file: str = ""
    plan: Path | None = None
    data: Path | None = None
    again: bool = False
    head: str = ""


def asked_of(
    target: Path,
    *,
    plan: Path | None = None,
    data: Path | None = None,
    again: bool = False,
    head: str = "",
) -> list[Asked]:
    """The report folders that a path means: a folder of one plan, of all plans, or a file in one.

    Raises
    ------
    FileError : nothing there was made by evalkit
    """
    target = target.resolve()
    place = target if target.is_dir() else target.parent
    for folder in (place, *place.parents[:2]):
        if (folder / RUN_FILE).is_file():
            file = "" if target.is_dir() else target.relative_to(folder).as_posix()
            return [Asked(folder, file, plan, data, again, head)]
    below = sorted(path.parent for path in place.rglob(RUN_FILE)) if target.is_dir() else []
    if below:
        return [Asked(folder, "", plan, data, again, head) for folder in below]
    raise FileError(
        f"{RUN_FILE} 이(가) 없어 무엇으로 만들었는지 알 수 없음",
        where=(target.name,),
        remedy="evalkit report 가 만든 폴더나 그 안의 파일을 적을 것",
    )


def verify(asked: Asked) -> list[Answer]:
    """Everything that was looked at, in order: trail, pages, files, ingredients, and the page made again."""
    folder = asked.folder
    record = read_run(folder)
    if not record:
        raise FileError(
            f"{RUN_FILE} 을(를) 읽을 수 없음", where=(folder.name,), remedy="evalkit report 로 다시 만들 것"
        )
    plan_path = find_plan(record, folder, asked.plan)
    chain, entries, answers = _trail(asked, record, plan_path)
    jobs = _jobs(record, asked.file)
    answers += _files(folder, record, jobs, entries, asked.file)
    if chain is not None:
        answers += _exports(folder, record, entries, asked.file)
    answers += _footers(folder, record, jobs, asked.file)
    if record.get("plan"):
        answers += ingredients_today(record, jobs or record["jobs"], plan_path, asked.data)
    elif not asked.file or jobs:
        answers.append(Answer("재료", "여러 계획의 쪽", "unknown", "재료는 계획마다 따로 확인할 것"))
    if asked.again:
        answers += _again(asked, record, jobs, plan_path)
    return answers


def _jobs(record: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Records of the pages that are looked at: all, or the one that a file belongs to."""
    jobs: dict[str, Any] = dict(record.get("jobs", {}))
    return jobs if not file else {name: r for name, r in jobs.items() if file in r["files"]}


# -- the trail --------------------------------------------------------------------------------


def _trail(
    asked: Asked, record: Mapping[str, Any], plan_path: Path | None
) -> tuple[Chain | None, tuple[dict[str, Any], ...], list[Answer]]:
    """The audit trail held against itself and against ``run.json``."""
    path = find_audit(asked.folder)
    if path is None:
        why = "audit.jsonl 이 없음 (보고서 폴더와 함께 옮길 것)"
        return None, (), [Answer("기록", "감사 기록", "unknown", why)]
    key = audit_key(asked.folder, *([] if plan_path is None else [plan_path.parent]))
    try:
        chain = read_chain(path, key, folder_of(path, asked.folder))
    except OSError as error:
        return None, (), [Answer("기록", "감사 기록", "unknown", f"읽을 수 없음 ({error.strerror})")]
    answers = [_intact(chain)]
    answers.append(_seals(chain, key is not None))
    if asked.head:
        known = asked.head in chain.hashes
        detail = (
            f"{chain.hashes.index(asked.head) + 1}번째 줄"
            if known
            else "따로 적어 둔 해시의 줄이 기록에 없음"
        )
        answers.append(Answer("기록", "적어 둔 머리", "same" if known else "differs", detail))
    answers.append(_record_in_chain(chain, chain.entries, record))
    return chain, chain.entries, answers


def _intact(chain: Chain) -> Answer:
    if chain.faults:
        told = listed((f"{f.line}번째 줄 {_FAULTS[f.kind]}" for f in chain.faults), 3)
        return Answer("기록", "감사 기록", "differs", told)
    notes = [f"{len(chain.hashes)}줄이 모두 이어짐", f"머리 {chain.head}"]
    if chain.torn:
        notes.append(f"쓰다 끊긴 줄 {len(chain.torn)}개는 표시되어 있음")
    if chain.unfinished:
        notes.append("마지막 줄이 쓰이다 끊김 (다음 명령이 표시함)")
    if chain.earlier:
        notes.append(f"시각이 앞줄보다 이른 줄: {listed(map(str, chain.earlier), 3)}")
    return Answer("기록", "감사 기록", "same", "; ".join(notes))


def _seals(chain: Chain, known: bool) -> Answer:
    if not known:
        return Answer("기록", "봉인", "unknown", "열쇠(data/processed/identifier.key)가 여기에 없음")
    if any(f.kind == "seal" for f in chain.faults):
        return Answer("기록", "봉인", "differs", "이 컴퓨터의 열쇠로 쓴 것이 아닌 줄이 있음")
    if chain.foreign:
        return Answer("기록", "봉인", "unknown", f"다른 열쇠로 쓰였거나 봉인이 없는 줄 {chain.foreign}개")
    return Answer("기록", "봉인", "same", f"{chain.sealed}줄")


def _record_in_chain(chain: Chain, entries: Iterable[Mapping[str, Any]], record: Mapping[str, Any]) -> Answer:
    """``run.json`` as the last line of its command names it, and the line that it names in turn."""
    what, entries = "run.json", tuple(entries)
    if not entries:
        return Answer("기록", what, "unknown", "감사 기록에 이 폴더에 관한 줄이 없음")
    anchor = record.get(TIMING, {}).get("audit") or {}
    line = int(anchor.get("line", 0))
    cut = line > len(chain.hashes) or (line and chain.hashes[line - 1] != anchor.get("sha256"))
    if cut:
        return Answer("기록", what, "differs", f"적혀 있는 감사 기록 {line}번째 줄이 없거나 다름")
    now = run_sha256(record)
    at = [k for k, e in enumerate(entries) if e["event"] == "end" and e.get("record") == now]
    if not at:
        return Answer("기록", what, "differs", "감사 기록에 이 내용을 만든 명령이 없음")
    after = [e for e in entries[at[-1] + 1 :] if e["event"] in {"start", "page"}]
    if after:
        why = "그 뒤의 명령이 끝나지 않음 → evalkit report 를 다시 실행할 것"
        return Answer("기록", what, "differs", why)
    return Answer("기록", what, "same", str(entries[at[-1]]["time"]))


# -- bytes ------------------------------------------------------------------------------------


def _files(
    folder: Path,
    record: Mapping[str, Any],
    jobs: Mapping[str, Any],
    entries: tuple[dict[str, Any], ...],
    file: str,
) -> list[Answer]:
    """Bytes of the pages and of what lies beside them, against record and trail."""
    index: dict[str, str] = dict(record.get("index", {}))
    known = {path: sha for r in record["jobs"].values() for path, sha in r["files"].items()} | index
    owners = {sha: path for path, sha in known.items()}
    answers = []
    for job, entry in jobs.items():
        files = entry["files"] if not file else {file: entry["files"][file]}
        wrong = _altered(folder, files, owners)
        if not wrong and entries and not _has_page(entries, job, entry):
            wrong = ["감사 기록에 이 쪽을 만든 줄이 없음"]
        states = {"failed": "끝나지 않은 쪽", "refused": "공개 거부된 쪽"}
        good = "; ".join(part for part in (f"파일 {len(files)}개", states.get(entry["state"], "")) if part)
        answers.append(Answer("쪽", job, "differs" if wrong else "same", listed(wrong) or good))
    for path, sha in index.items():
        if file in {"", path}:
            wrong = _altered(folder, {path: sha}, owners)
            answers.append(Answer("쪽", path, "differs" if wrong else "same", listed(wrong)))
    exported = {path for e in entries if e["event"] in {"export", "index"} for path in e["files"]}
    if file and file not in known and file not in exported and file != RUN_FILE:
        answers.append(Answer("쪽", file, "differs", "이 파일을 만든 기록이 없음"))
    if not file:
        lying = {p.relative_to(folder).as_posix() for pattern in _OURS for p in folder.glob(pattern)}
        strange = sorted(lying - known.keys() - exported)
        if strange:
            answers.append(Answer("쪽", "그 밖의 파일", "unknown", f"만든 기록이 없음: {listed(strange)}"))
    return answers


def _altered(folder: Path, files: Mapping[str, str], owners: Mapping[str, str]) -> list[str]:
    """Files that are gone or hold other bytes than were written."""
    wrong = []
    for path, sha in files.items():
        now = _sha(folder / path)
        if now is None:
            wrong.append(f"{path} 없음")
        elif now != sha:
            wrong.append(f"{path} " + (f"{owners[now]} 의 내용임" if now in owners else "바뀜"))
    return wrong


def _sha(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _has_page(entries: Iterable[Mapping[str, Any]], job: str, record: Mapping[str, Any]) -> bool:
    return any(
        e["event"] == "page"
        and e.get("job") == job
        and all(e.get(name) == record[name] for name in ("files", "made_of", "state"))
        for e in entries
    )


def _exports(
    folder: Path, record: Mapping[str, Any], entries: Iterable[Mapping[str, Any]], file: str
) -> list[Answer]:
    """Files made from the pages (Excel, Word, HWPX, PDF) and pages over several plans."""
    latest = {
        path: (sha, e.get("record"))
        for e in entries
        if e["event"] in {"export", "index"}
        for path, sha in e["files"].items()
    }
    answers = []
    now = run_sha256(record)
    for path, (sha, of) in sorted(latest.items()):
        if file not in {"", path}:
            continue
        found = _sha(folder / path)
        if found is None and not file:
            continue  # an export may be moved away
        if found != sha:
            answers.append(Answer("쪽", path, "differs", "바뀜" if found else "없음"))
        elif of not in {None, now}:
            answers.append(Answer("쪽", path, "differs", "지금의 쪽이 아니라 이전 쪽에서 내보낸 파일임"))
        else:
            answers.append(Answer("쪽", path, "same", "내보낸 파일" if of else ""))
    return answers


def _footers(folder: Path, record: Mapping[str, Any], jobs: Mapping[str, Any], file: str) -> list[Answer]:
    """The provenance that a page prints, against ``run.json``."""
    wrong, looked = [], 0
    for job, entry in jobs.items():
        path = folder / f"{job}.html"
        if entry["state"] != "ok" or not path.is_file() or file not in {"", f"{job}.html"}:
            continue
        looked += 1
        footer = _footer(path.read_text(encoding="utf-8", errors="replace"))
        made_of = entry["made_of"]
        expected = [made_of[name][:12] for name in ("notebook", "code")]
        if record.get("plan"):
            expected.append(made_of["plan"][:12])
        if made_of["inputs"] == record.get("inputs_digest"):
            expected += [str(f["sha256"])[:16] for f in record.get("inputs", ())]
        if not all(short in footer for short in expected):
            wrong.append(job)
    if not looked:
        return []
    verdict = "differs" if wrong else "same"
    detail = f"run.json 과 다름: {listed(wrong)}" if wrong else f"{looked}쪽"
    return [Answer("쪽", "쪽 끝의 만든 내력", verdict, detail)]  # type: ignore[arg-type]


def _footer(page: str) -> str:
    """Text of the footer that says how the page was made."""
    return html.unescape(_TAG.sub(" ", page[max(page.rfind('id="provenance"'), 0) :]))


# -- made again -------------------------------------------------------------------------------


def _again(
    asked: Asked, record: Mapping[str, Any], jobs: Mapping[str, Any], plan_path: Path | None
) -> list[Answer]:
    """The pages rendered again into a folder that is thrown away, byte by byte against those that lie there."""
    group = "다시 만들기"
    if plan_path is None or not jobs:
        return [Answer(group, "모든 쪽", "unknown", "계획 파일이나 쪽을 찾을 수 없음")]
    if record.get("data") and asked.data is None:
        return [Answer(group, "모든 쪽", "unknown", "--data 로 만든 쪽임")]
    from evalkit.report.pipeline import render_plan
    from evalkit.report.task import Options

    with tempfile.TemporaryDirectory(prefix="evalkit-again-") as place:
        options = Options(only=tuple(jobs), out=Path(place), lang=str(record["lang"]), data=asked.data)
        try:
            outcome = render_plan(plan_path, options)
        except EvalkitError as error:
            return [Answer(group, "모든 쪽", "unknown", error.sentence())]
        made = read_run(outcome.folder).get("jobs", {})
        answers = []
        for job in jobs:
            old, new = jobs[job]["files"], made.get(job, {}).get("files", {})
            other = sorted(f for f in old.keys() | new.keys() if old.get(f) != new.get(f))
            detail = listed(other) or f"파일 {len(old)}개의 바이트가 같음"
            answers.append(Answer(group, job, "differs" if other else "same", detail))
        return answers
