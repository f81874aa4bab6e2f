"""ZIPs of data files: what lies in them, read within a bound, under names that can be read.

A public ZIP may hold several years, in folders, under names written in CP949 without saying so; it may also be a bomb.
(`archives` looks into workbooks, which are ZIPs as well.)
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from evalkit.errors import DataError, FileError
from evalkit.ingest.archives import readable_name
from evalkit.ingest.files import RawFile, raw_of, read_raw

LARGEST_BYTES = 2 << 30
"""The most bytes that one member may unpack to."""
LARGEST_RATIO = 200
"""The most that a member may be larger than its packed form: tables of text pack to a fifth or a tenth."""
_SMALL_BYTES = 1 << 20  # whatever the ratio, this much does no harm

_TABLES = {".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls"}
_LITTER = re.compile(r"(?:^|/)(?:__MACOSX/|\.|~\$|Thumbs\.db$|desktop\.ini$)")
_WORKBOOK_PARTS = {"xl/workbook.xml", "xl/workbook.bin", "content.xml", "[Content_Types].xml"}


@dataclass(frozen=True, slots=True)
class Member:
    """One data file of a ZIP: its path in the ZIP as a person reads it, and when it was packed."""

    name: str
    packed: tuple[int, ...]
    info: zipfile.ZipInfo


def is_packed(path: Path) -> bool:
    """Whether a file is a ZIP of files and not a workbook, by its content."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return False
    try:
        with zipfile.ZipFile(path) as archive:
            return not _WORKBOOK_PARTS & set(archive.namelist())
    except zipfile.BadZipFile:
        return path.suffix.lower() == ".zip"


def members(path: Path) -> tuple[Member, ...]:
    """The data files of a ZIP, in order of name; what the file systems of others leave in it is passed over.

    Raises
    ------
    FileError : damaged, holding another ZIP, or no table at all
    """
    found = []
    with _opened(path) as archive:
        for info in archive.infolist():
            name = readable_name(info)
            if info.is_dir() or _LITTER.search(name):
                continue
            suffix = PurePosixPath(name).suffix.lower()
            if suffix == ".zip":
                raise FileError(
                    f"압축 파일 안에 또 압축 파일 {name!r} 이(가) 있음",
                    where=(path.name,),
                    remedy="안의 파일을 풀어 따로 둘 것",
                )
            if suffix in _TABLES:
                found.append(Member(name, tuple(info.date_time), info))
    if not found:
        raise FileError(
            "압축 파일 안에 표(.csv, .txt, .xlsx …)가 없음", where=(path.name,), remedy="원본을 다시 받을 것"
        )
    return tuple(sorted(found, key=lambda member: member.name))


def read_member(path: Path, member: Member) -> RawFile:
    """One data file of a ZIP; its path is that of the ZIP with the member's behind it.

    Raises
    ------
    FileError : locked or damaged, or larger than `LARGEST_BYTES` or `LARGEST_RATIO` allow (then it is not unpacked
        further, whatever size its header claims)
    """
    info = member.info
    where = (path.name, member.name)
    if info.flag_bits & 0x1:
        raise FileError(
            "암호가 걸린 압축 파일임", where=where, remedy="암호를 풀어 다시 압축하거나 풀어 둘 것"
        )
    bound = min(LARGEST_BYTES, max(_SMALL_BYTES, LARGEST_RATIO * info.compress_size))
    try:
        with _opened(path) as archive, archive.open(info) as stream:
            content = stream.read(bound + 1)
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, zlib.error) as error:
        raise _damaged(path, member.name) from error
    if len(content) > bound:
        raise FileError(
            f"압축을 풀면 {bound / (1 << 20):,.0f}MB 를 넘음 (압축된 크기 {info.compress_size:,}바이트): 읽지 않음",
            where=where,
            remedy="믿을 수 있는 파일이면 직접 풀어 그 파일을 둘 것",
        )
    return raw_of(path / member.name, content)


def raw_files(path: Path) -> Iterator[RawFile]:
    """The file itself, or every data file of a ZIP one after another.

    Raises
    ------
    FileError : as `members` and `read_member`
    """
    if not is_packed(path):
        yield read_raw(path)
        return
    for member in members(path):
        yield read_member(path, member)


@contextmanager
def naming_the_zip(path: Path, raw: RawFile) -> Iterator[None]:
    """Errors of a member name its ZIP too."""
    try:
        yield
    except DataError as error:
        if raw.path == path:
            raise
        raise type(error)(error.problem, where=(path.name, *error.where), remedy=error.remedy) from error


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(path, "") from error
    with archive:
        yield archive


def _damaged(path: Path, member: str) -> FileError:
    return FileError(
        "압축 파일이 깨졌거나 끝이 잘림",
        where=tuple(part for part in (path.name, member) if part),
        remedy="원본을 다시 받을 것",
    )
