"""Does a number stand anywhere downstream? Frames, JSON values, HTML and whole folders searched for 사업자등록번호 and 법인등록번호.

Two ways. With the numbers that went in (`known`), any of them is found wherever it stands, and nothing else is taken for one.
Without, what has the hyphens and the check digit of a number is found; ten bare digits with a right check digit are told
apart as "likely", for one amount in ten passes by chance. Places and counts are reported, never the numbers.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import DisclosureError
from evalkit.ingest.identifiers import is_business_number, is_corporate_number, normalise_number
from evalkit.ingest.personal import is_resident_number

BUSINESS, CORPORATE, RESIDENT, LIKELY = (
    "사업자등록번호",
    "법인등록번호",
    "주민등록번호",
    "사업자등록번호로 읽히는 열 자리 수",
)

_DASH = r"[\-‐‑‒–—−]"
_HASH = re.compile(r"(?<![0-9A-Za-z])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}(?![0-9A-Za-z])")
_BUSINESS = re.compile(
    rf"(?<![0-9A-Za-z.])[0-9]{{3}}\s?{_DASH}\s?[0-9]{{2}}\s?{_DASH}\s?[0-9]{{5}}(?![0-9A-Za-z])"
)
_PAIR = re.compile(rf"(?<![0-9A-Za-z.])[0-9]{{6}}\s?{_DASH}\s?[0-9]{{7}}(?![0-9A-Za-z])")
_TEN = re.compile(r"(?<![0-9A-Za-z.\-])[0-9]{10}(?:\.0)?(?![0-9A-Za-z.\-])")
_RUN = re.compile(r"(?<![0-9.])[0-9][0-9\-]{8,}[0-9]")
_DEEP = 64
_MOST_MEMBER = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Leak:
    """Numbers of one kind at one place."""

    place: str
    kind: str
    count: int


def search_text(text: str, known: frozenset[str] = frozenset()) -> dict[str, int]:
    """How many numbers of each kind stand in a text.

    Parameters
    ----------
    known : numbers as plain digits; given, only these are looked for
    """
    found: dict[str, int] = {}

    def add(kind: str, count: int = 1) -> None:
        if count:
            found[kind] = found.get(kind, 0) + count

    plain = _HASH.sub(" ", text)
    if known:
        for match in _RUN.finditer(plain):
            digits = match.group().replace("-", "")
            for width, kind in ((10, BUSINESS), (13, CORPORATE)):
                add(kind, sum(digits[k : k + width] in known for k in range(len(digits) - width + 1)))
        return found
    add(BUSINESS, sum(is_business_number(m.group()) for m in _BUSINESS.finditer(plain)))
    for match in _PAIR.finditer(plain):
        digits = re.sub(r"[^0-9]", "", match.group())
        kind = CORPORATE if is_corporate_number(digits) else RESIDENT if is_resident_number(digits) else ""
        add(kind, int(bool(kind)))
    add(LIKELY, sum(is_business_number(m.group().removesuffix(".0")) for m in _TEN.finditer(plain)))
    return found


def search(value: Any, known: Iterable[Any] = (), *, place: str = "") -> tuple[Leak, ...]:
    """Numbers in a text, a frame, a series, an array, or any nesting of dicts and lists of such.

    Parameters
    ----------
    value : what to search; the names of columns and keys are searched too
    known : numbers that went in, in any spelling
    place : name of the value in the findings
    """
    numbers = _plain(known)
    totals: dict[tuple[str, str], int] = {}
    for where, text in _texts(value, place or "값", 0):
        for kind, count in search_text(text, numbers).items():
            totals[where, kind] = totals.get((where, kind), 0) + count
    return tuple(Leak(where, kind, count) for (where, kind), count in totals.items())


def search_folder(folder: str | Path, known: Iterable[Any] = ()) -> tuple[Leak, ...]:
    """Numbers in every file below a folder: text as it is, archives and arrays opened, the rest as bytes."""
    numbers = _plain(known)
    root = Path(folder)
    leaks: list[Leak] = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = path.relative_to(root).as_posix()
        totals: dict[str, int] = {}
        for text in [name, *_file_texts(path.read_bytes(), path.suffix.lower(), 0)]:
            for kind, count in search_text(text, numbers).items():
                totals[kind] = totals.get(kind, 0) + count
        leaks += [Leak(name, kind, count) for kind, count in totals.items()]
    return tuple(leaks)


def refuse_leaks(leaks: Iterable[Leak], *, likely: bool = False) -> None:
    """Stop at the first number that was found.

    Parameters
    ----------
    likely : stop for bare ten digits as well

    Raises
    ------
    DisclosureError : kind, place and count, never the number
    """
    for leak in leaks:
        if leak.kind != LIKELY or likely:
            raise DisclosureError(
                f"{leak.kind} {leak.count}개가 남아 있음 (값은 적지 않음)",
                where=(leak.place,),
                remedy="식별자를 암호화한 자료로 다시 만들 것",
            )


def _plain(known: Iterable[Any]) -> frozenset[str]:
    numbers = (normalise_number(number) for number in known)
    return frozenset(n for n in numbers if re.fullmatch(r"[0-9]{10}|[0-9]{13}", n))


def _texts(value: Any, where: str, depth: int) -> Iterator[tuple[str, str]]:
    """(place, text) of everything in a value."""
    if depth > _DEEP or value is None or isinstance(value, bool | np.bool_):
        return
    if isinstance(value, pd.DataFrame):
        for column in value.columns:
            yield where, str(column)
            yield from _texts(value[column], f"{where} > {column}", depth + 1)
        yield from _texts(value.index, where, depth + 1)
    elif isinstance(value, pd.Series | pd.Index):
        yield (
            where,
            " ".join(str(name) for name in value.names) if isinstance(value, pd.Index) else str(value.name),
        )
        yield from _texts(value.to_numpy(), where, depth + 1)
    elif isinstance(value, np.ndarray):
        yield (
            where,
            "\n".join(
                _cell(cell) for cell in np.unique(value.astype(str) if value.dtype == object else value)
            ),
        )
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield where, str(key)
            yield from _texts(item, f"{where} > {_shown(key)}", depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item, where, depth + 1)
    else:
        yield where, _cell(value)


def _shown(key: Any) -> str:
    """A key as part of a place, unless it holds digits enough for a number."""
    text = str(key)
    return text if len(re.sub(r"[^0-9]", "", text)) < 9 else "…"


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.0f}" if np.isfinite(value) and float(value).is_integer() else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def _file_texts(content: bytes, suffix: str, depth: int) -> Iterator[str]:
    """Every text of a file; members of archives (xlsx, npz, zip) one by one."""
    if content.startswith(b"PK\x03\x04") and depth < 3:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                yield member.filename
                if not member.is_dir() and member.file_size <= _MOST_MEMBER:
                    yield from _file_texts(
                        archive.read(member), Path(member.filename).suffix.lower(), depth + 1
                    )
        return
    if content.startswith(b"\x93NUMPY"):
        array = np.load(io.BytesIO(content), allow_pickle=False)
        if array.dtype == np.uint8:  # text kept as bytes, as the store of tables does
            yield from _file_texts(array.tobytes(), ".json", depth + 1)
            return
        yield from (text for _, text in _texts(array, "", 0))
        return
    if content.startswith(b"PAR1"):
        yield from (text for _, text in _texts(pd.read_parquet(io.BytesIO(content)), "", 0))
        return
    if b"\x00" in content:  # wide characters, at even and at odd places
        yield from (part.decode("utf-16-le", errors="replace") for part in (content, content[1:]))
    for encoding in ("utf-8-sig", "cp949"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if suffix == ".json":
            try:  # escapes hide nothing from the parsed value
                yield from (part for _, part in _texts(json.loads(text), "", 0))
            except (ValueError, RecursionError):
                pass
            else:
                return
        yield text
        return
    yield content.decode("latin-1")
