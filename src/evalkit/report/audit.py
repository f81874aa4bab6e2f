"""The audit trail: ``reports/audit.jsonl``, one line of JSON for everything that was made, each with the hash of the one before.

Lines are appended under a lock and written through to the disk; the tool never rewrites one. A line that was cut off by a
crash stays as it is, and the next line says so. No line holds a value of the data, a name of a person or a folder of the
machine: who ran a command is a keyed hash of the account. The form and what it proves: docs/audit_trail.md.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from evalkit.errors import EvalkitError, FileError
from evalkit.report.chain import ORIGIN, key_mark, line_hash, seal_of
from evalkit.report.store import refused

AUDIT_FILE = "audit.jsonl"
SCHEMA = 1
_TAIL = 1 << 16  # bytes read at a time while looking for the last line
_LOCKED_AT = 1 << 30  # Windows locks a range of bytes; this one holds no line


@dataclass(slots=True)
class Trail:
    """The lines of one command on one report folder.

    Parameters
    ----------
    path : the audit file
    common : what every line of this command says (folder, plan, …)
    key : of the keyed hashes; None = lines bear no seal and name nobody
    """

    path: Path
    common: Mapping[str, Any]
    key: bytes | None = None
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    last: tuple[int, str] = (0, ORIGIN)

    def write(self, event: str, **values: Any) -> None:
        """Append one line.

        Raises
        ------
        FileError : the file cannot be written
        """
        who = "" if self.key is None else _who(self.key)
        entry = {"event": event, "run": self.run, "who": who, **self.common, **values}
        self.last = append(self.path, entry, self.key)


@contextmanager
def recorded(trail: Trail, **start: Any) -> Iterator[dict[str, Any]]:
    """A command: a line where it begins, one where it ends, whatever the end.

    Yields
    ------
    what the last line is to say besides; ``state`` is ``done`` unless the command ends otherwise
    """
    trail.write("start", **start)
    told: dict[str, Any] = {"state": "done"}
    try:
        yield told
    except BaseException as error:
        ended = isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)
        told |= {"state": "interrupted" if ended else "error", "error": type(error).__name__}
        told["exit"] = error.exit_code if isinstance(error, EvalkitError) else 1
        if isinstance(error, SystemExit) and isinstance(error.code, int):
            told["exit"] = error.code
        with suppress(
            FileError
        ):  # a full disk: what ended the command is told, not that its end cannot be noted
            trail.write("end", **told)
        raise
    trail.write("end", **told)


def audit_path(reports: Path) -> Path:
    """The audit file of a folder of reports."""
    return reports / AUDIT_FILE


def audits_above(folder: Path) -> list[Path]:
    """Audit files that can tell of a report folder: in it, beside it, and one folder further out."""
    return [place / AUDIT_FILE for place in (folder, *folder.parents[:2]) if (place / AUDIT_FILE).is_file()]


def find_audit(folder: Path) -> Path | None:
    """The nearest audit file of a report folder; None where there is none."""
    return next(iter(audits_above(folder)), None)


def folder_of(audit: Path, folder: Path) -> str:
    """A report folder as the lines name it."""
    return folder.resolve().relative_to(audit.resolve().parent).as_posix()


def record_export(folder: Path, files: Sequence[Path | str]) -> None:
    """Note files that were made from the reports of a folder (Excel, Word, HWPX, PDF), so that they can be verified.

    Parameters
    ----------
    folder : report folder of the plan (with ``run.json``)
    files : absolute, or relative to `folder`; those outside of it are not noted

    Raises
    ------
    FileError : the audit file cannot be written
    """
    from evalkit.report.provenance import audit_key
    from evalkit.report.store import read_run, run_sha256

    folder = folder.resolve()
    made = {}
    for file in files:
        path = (folder / file).resolve()
        if path.is_relative_to(folder) and path.is_file():
            made[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    record = read_run(folder)
    audit = find_audit(folder) or audit_path(folder.parent)
    plan = str((record.get("plan") or {}).get("id", ""))
    trail = Trail(audit, {"folder": folder_of(audit, folder), "plan": plan}, audit_key(folder))
    trail.write("export", record=run_sha256(record) if record else "", files=made)


def append(path: Path, entry: Mapping[str, Any], key: bytes | None = None) -> tuple[int, str]:
    """Append one line to the chain; a torn last line is kept and the next one says so.

    Returns
    -------
    number and hash of the line

    Raises
    ------
    FileError : the file cannot be written, or is no audit file
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as stream, _locked(stream):
            number, before, torn = _last(stream)
            added = b""
            if torn is not None:
                mend = {"event": "torn", "bytes": len(torn), "sha256": before, "schema": SCHEMA}
                line = audit_line(mend, number + 1, before, key)
                added, number, before = b"\n" + line + b"\n", number + 1, line_hash(line)
            line = audit_line({"schema": SCHEMA, **entry}, number + 1, before, key)
            stream.write(added + line + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
            return number + 1, line_hash(line)
    except OSError as error:
        why, remedy = refused(error)
        raise FileError(
            f"감사 기록에 적을 수 없음 ({why})", where=(path.parent.name, path.name), remedy=remedy
        ) from error


def audit_line(entry: Mapping[str, Any], number: int, before: str, key: bytes | None) -> bytes:
    """One line: the hash of the line before comes first, the seal last."""
    content = {"n": number, "time": _now(), **{name: entry[name] for name in sorted(entry)}}
    if key is not None:
        content["key"] = key_mark(key)
    body = json.dumps({"previous": before, **content}, ensure_ascii=False, separators=(",", ":"))
    return seal_of(body.encode(), key)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _last(stream: IO[bytes]) -> tuple[int, str, bytes | None]:
    """Number and hash of the last line, and its bytes where no line end follows it (a crash while it was written)."""
    end = stream.seek(0, os.SEEK_END)
    if end == 0:
        return 0, ORIGIN, None
    tail, start = b"", end
    while start > 0 and b"\n" not in tail[:-1]:
        step = min(_TAIL, start)
        start -= step
        stream.seek(start)
        tail = stream.read(step) + tail
    whole = tail.endswith(b"\n")
    lines = tail.split(b"\n")
    line = lines[-2] if whole else lines[-1]
    number = _number(line)
    if number is None:  # a torn or foreign line has the number after the one before it
        stream.seek(0)
        number = sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(1 << 20), b"")) + (not whole)
    stream.seek(0, os.SEEK_END)
    return number, line_hash(line), None if whole else line


def _number(line: bytes) -> int | None:
    try:
        number = json.loads(line)["n"]
    except (ValueError, TypeError, KeyError):
        return None
    return number if isinstance(number, int) else None


@contextmanager
def _locked(stream: IO[bytes]) -> Iterator[None]:
    """Nobody else appends meanwhile; ends with the process, whatever happens to it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        windows: Any = msvcrt
        stream.seek(_LOCKED_AT)
        while True:
            try:
                windows.locking(stream.fileno(), windows.LK_LOCK, 1)  # tries for ten seconds
                break
            except OSError:
                continue
        try:
            yield
        finally:
            stream.seek(_LOCKED_AT)
            windows.locking(stream.fileno(), windows.LK_UNLCK, 1)
        return
    fcntl.flock(stream, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(stream, fcntl.LOCK_UN)


def _who(key: bytes) -> str:
    """The account as a keyed hash: the same person is the same word, and the word is no name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
    return hmac.digest(key, b"evalkit audit who " + name.encode(), "sha256").hex()[:16]
