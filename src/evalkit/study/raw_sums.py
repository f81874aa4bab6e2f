"""SHA256SUMS of the raw folders: what was received, held against what lies there now.

Each source folder under the data folder may hold a ``SHA256SUMS`` in the form of the usual tool (``sha256sum -c`` reads it).
It is written once, when the files arrive; raw files themselves are only ever read. Names are written as they lie there, with
the tool's own escapes, and compared as NFC. Light (no pandas): it runs before any decision to build.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from evalkit.errors import FileError

NAME = "SHA256SUMS"
_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}  # of GNU coreutils, on lines that begin with a backslash
_WRITTEN = {escape: character for character, escape in _ESCAPES.items()}
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
        lines = (
            path.read_bytes().decode("utf-8-sig").split("\n")
        )  # names may hold every other kind of line break
    except UnicodeDecodeError as error:
        raise FileError("글자를 읽을 수 없음", where=(where,), remedy="UTF-8 로 다시 저장할 것") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.removesuffix("\r"))
        written = None if match is None else _unescaped(match.group(3)) if match.group(1) else match.group(3)
        if match is None or written is None:
            raise FileError(
                "해시와 파일 이름의 줄이 아님",
                where=(where, f"{number}행"),
                remedy="'해시 두 칸 이름' 의 꼴로 적거나 evalkit raw seal --again 으로 다시 쓸 것",
            )
        pure = PurePosixPath(_composed(written))  # without the «./» that the tool accepts
        name = pure.as_posix()
        if name in found or pure.is_absolute() or ".." in pure.parts:
            problem = "두 번 적힌 파일" if name in found else "폴더 밖을 가리키는 이름"
            raise FileError(f"{problem} {name!r}", where=(where, f"{number}행"), remedy="그 줄을 지울 것")
        found[name] = match.group(2).lower()
    return found


def standings(data: Path) -> list[Standing]:
    """Every file below the source folders of a data folder, in order of path, and every listed one that is gone.

    Raises
    ------
    FileError : as `listed`; a name that is not UTF-8, or two that differ only in how their letters are composed
    """
    out: list[Standing] = []
    for folder in source_folders(data):
        known = listed(folder)
        there = _by_name(folder)
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
    FileError : as `standings`; or a listed file was changed or is gone, and `again` is False; nothing is written then
    """
    if not data.is_dir():
        raise FileError(f"자료 폴더 {str(data)!r} 이(가) 없음", remedy="받은 파일이 있는 폴더를 적을 것")
    before = standings(data)
    wrong = [s for s in before if s.state in ("changed", "missing")]
    if wrong and not again:
        refuse(wrong[0].path, wrong[0].state, others=len(wrong) - 1)
    for folder in source_folders(data):
        files = sorted(_by_name(folder).items())
        if files:
            lines = [_line(sha256_of(file), file.relative_to(folder).as_posix()) for _, file in files]
            _write(folder / NAME, "".join(lines))
    return before


def refuse(path: str, state: str, *, others: int = 0) -> None:
    """Stop because a raw file is not what was received."""
    more = f" (모두 {others + 1}개)" if others else ""
    problem = "받은 뒤에 내용이 바뀐 파일임" if state == "changed" else "받은 목록에 있는데 없는 파일임"
    raise FileError(problem + more, where=(path,), remedy=_AGAIN)


def standing_of(file: Path, data: Path, digest: str) -> str:
    """How a file that is about to be read stands: "same", "changed", "unlisted"; "" where its source has no list.

    Raises
    ------
    FileError : as `listed`, or a name that is not UTF-8
    """
    try:
        parts = file.relative_to(data).parts
    except ValueError:
        return ""
    _refuse_unwritable("/".join(parts))
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


def _by_name(folder: Path) -> dict[str, Path]:
    """Raw files by their names as NFC."""
    found: dict[str, Path] = {}
    for file in sorted(raw_files(folder)):
        path = file.relative_to(folder).as_posix()
        _refuse_unwritable(f"{folder.name}/{path}")
        name = _composed(path)
        if name in found:
            raise FileError(
                f"한글을 적는 방식(NFC, NFD)만 다른 같은 이름의 파일이 둘임: {name!r}",
                where=(folder.name,),
                remedy="둘 가운데 하나의 이름을 바꾸거나 지울 것",
            )
        found[name] = file
    return found


def _refuse_unwritable(path: str) -> None:
    """Stop at a name whose bytes are no UTF-8, such as one in CP949 from an old ZIP: no list or record can hold it."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        content = path.encode("utf-8", errors="surrogateescape")
        shown = content.decode("utf-8", errors="backslashreplace")
        try:
            better = f"{content.decode('cp949').rpartition('/')[2]!r} 처럼 "
        except UnicodeDecodeError:
            better = ""
        raise FileError(
            "UTF-8 이 아닌 파일 이름이라 적을 수 없음",
            where=(shown,),
            remedy=f"파일이나 폴더의 이름을 {better}UTF-8 로 바꿀 것",
        ) from None


def _line(digest: str, name: str) -> str:
    escaped = "".join(_ESCAPES.get(character, character) for character in name)
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def _unescaped(name: str) -> str | None:
    """A name as it was before `_line`; None where a backslash stands for nothing."""
    if re.fullmatch(r"(?:[^\\]|\\[\\nr])*", name) is None:
        return None
    return re.sub(r"\\.", lambda escape: _WRITTEN[escape.group()], name)


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
