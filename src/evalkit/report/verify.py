"""Whether a finished page is what its record, the audit trail and today's inputs say: ``evalkit verify``.

Three things are held against one another: the bytes in the folder, ``run.json``, and the chain of the audit trail; then what
the page was made of against what lies on the disk today. What cannot be looked at is said, never taken for the same.
"""

from __future__ import annotations

import hashlib
import html
import re
import tempfile
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.errors import EvalkitError, FileError
from evalkit.present.messages import LANGUAGES
from evalkit.report.audit import AUDIT_FILE
from evalkit.report.chain import read_chain
from evalkit.report.changes import listed
from evalkit.report.store import RUN_FILE, read_run, run_sha256
from evalkit.report.today import Answer, find_plan, ingredients_today
from evalkit.report.vouching import earlier_files, has_made, trail_of

_TAG = re.compile(r"<[^>]*>")


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
    below = sorted({path.parent for path in place.rglob(RUN_FILE)} | _told(place)) if target.is_dir() else []
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
    if not _is_whole(record):
        raise FileError(
            f"{RUN_FILE} 을(를) 읽을 수 없음 (없거나 모양이 다름)",
            where=(folder.name,),
            remedy="evalkit report 로 다시 만들 것",
        )
    plan_path = find_plan(record, folder, asked.plan)
    told = trail_of(folder, record, plan_path, asked.head)
    answers, entries = told.answers, told.entries
    jobs = _jobs(record, asked.file)
    answers += _files(folder, record, jobs, entries, asked.file)
    if told.known:
        answers += _exports(folder, record, entries, asked.file)
    answers += _footers(folder, record, jobs, asked.file)
    if record.get("plan"):
        answers += ingredients_today(record, jobs or record["jobs"], plan_path, asked.data)
    elif not asked.file or jobs:
        answers.append(Answer("재료", "여러 계획의 쪽", "unknown", "재료는 계획마다 따로 확인할 것"))
    if asked.again:
        answers += _again(asked, record, jobs, plan_path)
    return answers


def _told(reports: Path) -> set[Path]:
    """Report folders that the audit trail tells of and that are still there, also those that lost their record."""
    if not (reports / AUDIT_FILE).is_file():
        return set()
    ended = {str(e.get("folder")) for e in read_chain(reports / AUDIT_FILE).entries if e.get("record")}
    return {reports / name for name in ended if (reports / name).is_dir()}


def _is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record has what every record has; one that was written by hand need not."""
    jobs, index = record.get("jobs"), record.get("index", {})
    return (
        isinstance(jobs, dict)
        and isinstance(index, dict)
        and all(
            isinstance(entry, dict)
            and {"state"} <= entry.keys()
            and all(isinstance(entry.get(name), dict) for name in ("files", "made_of"))
            for entry in jobs.values()
        )
    )


def _jobs(record: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Records of the pages that are looked at: all, or the one that a file belongs to."""
    jobs: dict[str, Any] = dict(record.get("jobs", {}))
    return jobs if not file else {name: r for name, r in jobs.items() if file in r["files"]}


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
    owners = earlier_files(entries) | {sha: path for path, sha in known.items()}
    answers = []
    for job, entry in jobs.items():
        files = entry["files"] if not file else {file: entry["files"][file]}
        wrong = _altered(folder, files, owners)
        if not wrong and entries and not any(has_made(e, job, record) for e in entries):
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
        answers += _strange(folder, known.keys() | exported)
    return answers


def _strange(folder: Path, known: Collection[str]) -> Iterator[Answer]:
    """Files in the folder that nothing says who made; one whose name reads like a known one is no accident."""
    apart = tuple(f"{lang}/" for lang in LANGUAGES if (folder / lang / RUN_FILE).is_file())
    lying = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    lying = {p for p in lying if not p.startswith(apart) and p not in {RUN_FILE, AUDIT_FILE}}
    strange = sorted(lying - set(known))
    if strange:
        yield Answer("쪽", "그 밖의 파일", "unknown", f"만든 기록이 없음: {listed(strange)}")
    read = {_as_read(path): path for path in known}
    alike = [f"{path} → {read[_as_read(path)]}" for path in strange if _as_read(path) in read]
    if alike:
        yield Answer("쪽", "이름이 같아 보이는 파일", "differs", listed(alike))


def _as_read(path: str) -> str:
    """A name as a reader sees it: composed, without case and without signs that are not seen."""
    composed = unicodedata.normalize("NFKC", path).casefold()
    return "".join(sign for sign in composed if unicodedata.category(sign) not in {"Cf", "Cc", "Zs"})


def _altered(folder: Path, files: Mapping[str, str], owners: Mapping[str, str]) -> list[str]:
    """Files that are gone or hold other bytes than were written."""
    wrong = []
    for path, sha in files.items():
        now = _sha(folder / path)
        if (folder / path).is_symlink():
            wrong.append(f"{path} 파일이 아니라 다른 곳을 가리키는 연결임")
        elif now is None:
            wrong.append(f"{path} 없음")
        elif now != sha:
            wrong.append(f"{path} " + (f"{owners[now]} 의 내용임" if now in owners else "바뀜"))
    return wrong


def _sha(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


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
