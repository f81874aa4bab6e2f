"""What the audit trail says of a report folder: whether it holds, is sealed, and knows the ``run.json`` that lies there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.report.audit import audits_above, folder_of
from evalkit.report.chain import Chain, read_chain
from evalkit.report.changes import listed
from evalkit.report.provenance import audit_key
from evalkit.report.store import RUN_FILE, TIMING, record_text, run_sha256
from evalkit.report.today import Answer

_GROUP = "기록"
_FAULTS = {
    "broken": "앞줄과 이어지지 않음",
    "unreadable": "읽을 수 없음",
    "number": "번호가 차례와 다름",
    "seal": "봉인이 맞지 않음",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a trail came to.

    Attributes
    ----------
    answers : on the trail and on ``run.json``
    entries : the lines about the folder, in order
    known : whether there is a trail that can be read
    """

    answers: list[Answer]
    entries: tuple[dict[str, Any], ...] = ()
    known: bool = False


def trail_of(folder: Path, record: Mapping[str, Any], plan_path: Path | None, head: str) -> Told:
    """The audit trail held against itself and against ``run.json``.

    Parameters
    ----------
    plan_path : plan of the reports, near which the key of the seals may lie
    head : hash of a line that was kept elsewhere; "" = none
    """
    paths = audits_above(folder)
    if not paths:
        return Told(
            [Answer(_GROUP, "감사 기록", "unknown", "audit.jsonl 이 없음 (보고서 폴더와 함께 옮길 것)")]
        )
    key = audit_key(folder, *([] if plan_path is None else [plan_path.parent]))
    try:
        chains = [(path, read_chain(path, key, folder_of(path, folder))) for path in paths]
    except OSError as error:
        return Told([Answer(_GROUP, "감사 기록", "unknown", f"읽을 수 없음 ({error.strerror})")])
    # a command writes to one trail, the one of all reports: the outermost that knows the folder
    telling = [(path, chain) for path, chain in chains if chain.entries]
    path, chain = (telling or chains[:1])[-1]
    answers = [_intact(chain)]
    if len(telling) > 1:
        others = listed(folder_name(other) for other, _ in telling[:-1])
        answers.append(
            Answer(_GROUP, "다른 감사 기록", "differs", f"이 폴더를 말하는 기록이 더 있음: {others}")
        )
    answers.append(_seals(chain, key is not None))
    if head:
        known = head in chain.hashes
        detail = f"{chain.hashes.index(head) + 1}번째 줄" if known else "따로 적어 둔 해시의 줄이 기록에 없음"
        answers.append(Answer(_GROUP, "적어 둔 머리", "same" if known else "differs", detail))
    if chain.entries:
        answers.append(_record_in_chain(folder, chain, record))
    else:
        answers.append(_record_of_another(path, record))
    return Told(answers, chain.entries, True)


def folder_name(audit: Path) -> str:
    """An audit file by the folder that it lies in."""
    return f"{audit.parent.name}/{audit.name}"


def _intact(chain: Chain) -> Answer:
    if chain.faults:
        told = listed((f"{f.line}번째 줄 {_FAULTS[f.kind]}" for f in chain.faults), 3)
        return Answer(_GROUP, "감사 기록", "differs", told)
    notes = [f"{len(chain.hashes)}줄이 모두 이어짐", f"머리 {chain.head}"]
    if chain.torn:
        notes.append(f"쓰다 끊긴 줄 {len(chain.torn)}개는 표시되어 있음")
    if chain.unfinished:
        notes.append("마지막 줄이 쓰이다 끊김 (다음 명령이 표시함)")
    if chain.earlier:
        notes.append(f"시각이 앞줄보다 이른 줄: {listed(map(str, chain.earlier), 3)}")
    return Answer(_GROUP, "감사 기록", "same", "; ".join(notes))


def _seals(chain: Chain, known: bool) -> Answer:
    if not known:
        return Answer(_GROUP, "봉인", "unknown", "열쇠(data/processed/identifier.key)가 여기에 없음")
    if any(f.kind == "seal" for f in chain.faults):
        return Answer(_GROUP, "봉인", "differs", "이 컴퓨터의 열쇠로 쓴 것이 아닌 줄이 있음")
    if chain.foreign:
        where = listed((f"{number}번째" for number in chain.foreign), 3)
        return Answer(
            _GROUP, "봉인", "unknown", f"다른 열쇠로 쓰였거나 봉인이 없는 줄 {len(chain.foreign)}개 ({where})"
        )
    return Answer(_GROUP, "봉인", "same", f"{chain.sealed}줄")


def _record_in_chain(folder: Path, chain: Chain, record: Mapping[str, Any]) -> Answer:
    """``run.json`` as the last line of its command names it, and the line that it names in turn."""
    entries = chain.entries
    anchor = (record.get(TIMING) or {}).get("audit") or {}
    line = anchor.get("line", 0)
    if not isinstance(line, int) or not 0 < line <= len(chain.hashes):
        return _record(f"적혀 있는 감사 기록 {line}번째 줄이 없음")
    if chain.hashes[line - 1] != anchor.get("sha256"):
        return _record(f"적혀 있는 감사 기록 {line}번째 줄이 없거나 다름")
    now = run_sha256(record)
    at = [k for k, e in enumerate(entries) if e["event"] == "end" and e.get("record") == now]
    if not at:
        return _record("감사 기록에 이 내용을 만든 명령이 없음")
    last = entries[at[-1]]
    since = entries[at[-1] + 1 :]
    later = [e for e in since if e["event"] == "end" and e.get("record")]
    if later:
        return _record(
            f"{last['time']} 의 실행을 되돌려 놓은 것임: 마지막 실행은 {later[-1]['time']} 에 끝남"
        )
    pages = [e for e in since if e["event"] == "page" and e.get("files")]  # one without files changed none
    if any(not has_made(e, str(e.get("job")), record) for e in pages):
        return _record(
            "그 뒤의 명령이 끝나지 않음 → evalkit report 를 다시 실행할 것 (만들 것이 없다고 하면 --force)"
        )
    if (folder / RUN_FILE).read_text(encoding="utf-8") != record_text(record) or not _in_time(
        record, last, entries
    ):
        return _record("만든 뒤에 손을 댄 것임: 재료와 쪽은 같으나 시각이나 적힌 모양이 다름")
    begun = any(e["event"] == "start" for e in since)
    note = " (그 뒤의 명령은 끝나지 않았고 쪽을 바꾸지 않음)" if begun else ""
    return Answer(_GROUP, RUN_FILE, "same", f"{last['time']}{note}")


def has_made(entry: Mapping[str, Any], job: str, record: Mapping[str, Any]) -> bool:
    """Whether a line says that a page was made as the record says that it is."""
    made = record["jobs"].get(job)
    return (
        made is not None
        and entry["event"] == "page"
        and entry.get("job") == job
        and all(entry.get(name) == made[name] for name in ("files", "made_of", "state"))
    )


def _record(why: str) -> Answer:
    return Answer(_GROUP, RUN_FILE, "differs", why)


def _in_time(
    record: Mapping[str, Any], last: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether the time in the record lies between the first and the last line of its command."""
    finished = (record.get(TIMING) or {}).get("finished")
    if finished is None:  # the page over several plans
        return True
    begun = [str(e["time"]) for e in entries if e["run"] == last["run"] and e["event"] == "start"]
    at, end = str(finished).replace("+00:00", "Z"), str(last["time"])
    return not begun or begun[0] > end or begun[0] <= at <= end  # a clock set back tells nothing


def _record_of_another(path: Path, record: Mapping[str, Any]) -> Answer:
    """A folder that no line is about: perhaps a copy of one that lines are about."""
    now = run_sha256(record)
    ends = [e for e in read_chain(path).entries if e["event"] == "end" and e.get("record") == now]
    told = "감사 기록에 이 폴더에 관한 줄이 없음"
    if ends:
        told += f"; {ends[-1]['folder']} 폴더의 {ends[-1]['time']} 실행을 베낀 것임"
    return Answer(_GROUP, RUN_FILE, "unknown", told)


def earlier_files(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Hash of every file that a page ever had → what it was."""
    found = {}
    for entry in entries:
        if entry["event"] == "page":
            for path, sha in entry["files"].items():
                found[str(sha)] = f"{entry['time']} 의 {path}"
    return found
