"""The report folder: what it holds, moved there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalkit.errors import FileError

RUN_FILE = "run.json"
SCHEMA = 2
_READABLE = (1, SCHEMA)  # 1 had times among the jobs
TIMING = "timing"
_ABANDONED = 86_400.0  # seconds
_MAKING = ".making-"
_FOLDERS = ("tables", "figures", "notebooks", "results", "logs")


def read_run(folder: Path) -> dict[str, Any]:
    """The record of the last run; empty when there is none or it is of another schema."""
    try:
        record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.get("schema") in _READABLE else {}


def run_sha256(record: Mapping[str, Any]) -> str:
    """Hash of a record without its times: the same inputs give the same one."""
    kept = {name: value for name, value in record.items() if name != TIMING}
    return hashlib.sha256(json.dumps(kept, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def is_intact(folder: Path, files: Mapping[str, str]) -> bool:
    """Whether every file is there with the bytes that were written."""
    for relative, expected in files.items():
        path = folder / relative
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            return False
    return True


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A private folder beside the final one, so that finished files can be moved in one step."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        made, held = _private(folder)
    except OSError as error:
        why, remedy = refused(error)
        raise FileError(f"보고서 폴더에 쓸 수 없음 ({why})", where=(folder.name,), remedy=remedy) from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if held is not None:
            os.close(held)


def refused(error: OSError) -> tuple[str, str]:
    """Why the system did not write, in Korean, and the remedy."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "디스크가 가득 참", "자리를 비운 뒤 다시 실행하거나 --out 으로 다른 디스크의 폴더를 적을 것"
    if error.errno == errno.EROFS:
        return "읽기만 할 수 있는 곳임", "--out 으로 다른 폴더를 적을 것"
    why = "권한이 없음" if isinstance(error, PermissionError) else error.strerror or type(error).__name__
    return why, "파일과 폴더의 쓰기 권한을 확인하거나 --out 으로 다른 폴더를 적을 것"


def sweep(folder: Path) -> None:
    """Remove what commands that were cut off left in a report folder."""
    with contextlib.suppress(OSError):  # of another account, or on a disk that cannot be written
        for left in folder.glob(f"{_MAKING}*"):
            if _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        for part in folder.glob(".*.part"):
            if _age(part) > _ABANDONED:
                part.unlink(missing_ok=True)


def _private(folder: Path) -> tuple[Path, int | None]:
    """A new private folder, and the lock on it, which ends with this process whatever happens to it."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=_MAKING, dir=folder))
        held = None
        try:
            import fcntl

            held = os.open(made, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, FileNotFoundError):  # swept before it was ours
            if held is not None:
                os.close(held)
            continue
        except (ImportError, OSError):  # Windows; a disk without locks
            return made, held
        if made.is_dir():
            return made, held
        os.close(held)


def _is_abandoned(made: Path) -> bool:
    """Whether nobody holds a private folder any more; its age decides where locks cannot tell."""
    try:
        import fcntl

        held = os.open(made, os.O_RDONLY)
    except (ImportError, OSError):
        return _age(made) > _ABANDONED
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return _age(made) > _ABANDONED
    finally:
        os.close(held)
    return True


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def publish(staged: Path, folder: Path, files: Iterable[str], replaced: Iterable[str]) -> dict[str, str]:
    """Move finished files to their place and remove those of the earlier run that have no successor.

    Returns
    -------
    relative path → SHA-256
    """
    moved = {}
    for relative in files:
        source, target = staged / relative, folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        moved[relative] = hashlib.sha256(source.read_bytes()).hexdigest()
        try:
            source.replace(target)
        except PermissionError as error:
            raise FileError(
                "파일을 바꿀 수 없음",
                where=(folder.name, relative),
                remedy="그 파일을 연 프로그램(엑셀 등)을 닫고 다시 실행할 것",
            ) from error
    for relative in set(replaced) - set(moved):
        (folder / relative).unlink(missing_ok=True)
    return moved


def write_text(path: Path, text: str, *, encoding: str = "utf-8") -> None:
    """Write under a temporary name and move."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")  # two commands may write the same file
    try:
        temporary.write_text(text, encoding=encoding, newline="")
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_run(folder: Path, record: Mapping[str, Any]) -> str:
    """The record of a run, readable and sorted; what differs between two runs on the same inputs stands under ``timing``.

    Returns
    -------
    hash of the record without its times
    """
    whole = {"schema": SCHEMA, **record}
    write_text(folder / RUN_FILE, record_text(whole))
    return run_sha256(whole)


def record_text(record: Mapping[str, Any]) -> str:
    """A record as it is written."""
    return json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write_disclosure(folder: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Every suppressed or flagged cell of every report: which table, which cell, which rule; to be signed."""
    from evalkit.release.ledger import ledger_csv

    write_text(folder / "disclosure.csv", ledger_csv(rows), encoding="utf-8-sig")


def tidy(folder: Path) -> None:
    """Remove folders that hold nothing any more."""
    for name in _FOLDERS:
        place = folder / name
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
