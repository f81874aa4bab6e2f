"""SHA256SUMS of the raw folders: what was received, held against what lies there now.

Each source folder under the data folder may hold a ``SHA256SUMS`` in the form of the usual tool (``sha256sum -c`` reads it).
It is written once, when the files arrive; raw files themselves are only ever read. Light (no pandas): it runs before any
decision to build.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evalkit.errors import FileError

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_AGAIN = "원본이 맞다면 evalkit raw seal --again 으로 목록을 새로 쓰고, 아니면 받은 파일을 다시 둘 것"


@dataclass(frozen=True, slots=True)
class Standing:
    """One file of a source folder against the list: "same", "changed", "missing" or "unlisted"."""

    path: str  # from the data folder
    state: str


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def listed(folder: Path) -> dict[str, str]:
    """Hashes by name (as NFC) of the list of a folder; empty where there is none.

    Raises
    ------
    FileError : a line that is not a hash and a name, a name twice, or one that leads out of the folder
    """
    path = folder / NAME
    if not path.is_file():
        return {}
    where = f"{folder.name}/{NAME}"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileError("글자를 읽을 수 없음", where=(where,), remedy="UTF-8 로 다시 저장할 것") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise FileError(
                "해시와 파일 이름의 줄이 아님",
                where=(where, f"{number}행"),
                remedy="'해시 두 칸 이름' 의 꼴로 적거나 evalkit raw seal --again 으로 다시 쓸 것",
            )
        name = _composed(match.group(2))
        if name in found or Path(name).is_absolute() or ".." in Path(name).parts:
            problem = "두 번 적힌 파일" if name in found else "폴더 밖을 가리키는 이름"
            raise FileError(f"{problem} {name!r}", where=(where, f"{number}행"), remedy="그 줄을 지울 것")
        found[name] = match.group(1).lower()
    return found


def standings(data: Path) -> list[Standing]:
    """Every file below the source folders of a data folder, in order of path, and every listed one that is gone."""
    out: list[Standing] = []
    for folder in source_folders(data):
        known = listed(folder)
        there = {_composed(file.relative_to(folder).as_posix()): file for file in raw_files(folder)}
        for name in sorted({*known, *there}):
            path = f"{folder.name}/{name}"
            if name not in there:
                out.append(Standing(path, "missing"))
            elif name not in known:
                out.append(Standing(path, "unlisted"))
            else:
                out.append(Standing(path, "same" if sha256_of(there[name]) == known[name] else "changed"))
    return out


def seal(data: Path, *, again: bool = False) -> list[Standing]:
    """Write the list of every source folder: new files are added, what is listed must be as it was.

    Returns
    -------
    how each file stood before

    Raises
    ------
    FileError : a listed file was changed or is gone, and `again` is False; nothing is written then
    """
    if not data.is_dir():
        raise FileError(f"자료 폴더 {str(data)!r} 이(가) 없음", remedy="받은 파일이 있는 폴더를 적을 것")
    before = standings(data)
    wrong = [s for s in before if s.state in ("changed", "missing")]
    if wrong and not again:
        refuse(wrong[0].path, wrong[0].state, others=len(wrong) - 1)
    for folder in source_folders(data):
        files = sorted(raw_files(folder), key=lambda f: _composed(f.relative_to(folder).as_posix()))
        if files:
            lines = [f"{sha256_of(f)}  {_composed(f.relative_to(folder).as_posix())}\n" for f in files]
            _write(folder / NAME, "".join(lines))
    return before


def refuse(path: str, state: str, *, others: int = 0) -> None:
    """Stop because a raw file is not what was received."""
    more = f" (모두 {others + 1}개)" if others else ""
    problem = "받은 뒤에 내용이 바뀐 파일임" if state == "changed" else "받은 목록에 있는데 없는 파일임"
    raise FileError(problem + more, where=(path,), remedy=_AGAIN)


def standing_of(file: Path, data: Path, digest: str) -> str:
    """How a file that is about to be read stands: "same", "changed", "unlisted"; "" where its source has no list."""
    try:
        parts = file.relative_to(data).parts
    except ValueError:
        return ""
    if len(parts) < 2 or not (data / parts[0] / NAME).is_file():
        return ""
    known = listed(data / parts[0]).get(_composed("/".join(parts[1:])))
    return "unlisted" if known is None else "same" if known == digest else "changed"


def source_folders(data: Path) -> list[Path]:
    """The folders directly below the data folder."""
    return sorted(f for f in data.iterdir() if f.is_dir() and not f.name.startswith("."))


def raw_files(folder: Path) -> Iterator[Path]:
    """Files below a folder, without hidden ones, Excel's temporary ones and the list itself."""
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.is_file() and not hidden and not file.name.startswith("~$") and file.name != NAME:
            yield file


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _write(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".sums-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
