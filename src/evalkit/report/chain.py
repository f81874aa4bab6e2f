"""A chain of lines: each names the hash of the one before, so that none can be changed, taken out or put in between.

What a chain cannot show by itself is that lines at its end are missing, or that all of it was written anew. Against the
first, ``run.json`` names the line that was the last when it was written. Against the second, lines bear a seal that only
the holder of the key can make, and the hash of the last line can be kept elsewhere (``evalkit verify --head``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ORIGIN = "0" * 64
_HEAD = re.compile(
    rb'\{"previous":"([0-9a-f]{64})","n":(\d{1,18}),"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)",'
)
_TORN = b'"event":"torn"'
_SEAL = b',"seal":"'
_SEALED = len(_SEAL) + 64 + len(b'"}')


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where the chain does not hold; ``kind`` is broken, unreadable, number or seal."""

    line: int
    kind: str


@dataclass(frozen=True, slots=True)
class Chain:
    """An audit file, read and held against itself.

    Attributes
    ----------
    entries : the lines about the folder that was asked for, in order
    hashes : of every line, in order
    faults : where the chain does not hold
    torn : lines that a crash cut off and that the next line names
    unfinished : whether the last line was cut off and nothing names it yet
    sealed, foreign : number of lines whose seal was checked, and the lines that bear none or one of another key
    earlier : lines whose time lies before that of the line above (a clock that was set back)
    """

    entries: tuple[dict[str, Any], ...]
    hashes: tuple[str, ...]
    faults: tuple[Fault, ...]
    torn: tuple[int, ...]
    unfinished: bool
    sealed: int
    foreign: tuple[int, ...]
    earlier: tuple[int, ...]

    @property
    def head(self) -> str:
        """Hash of the last line."""
        return self.hashes[-1] if self.hashes else ORIGIN


def line_hash(line: bytes) -> str:
    """Hash of a line without its line end."""
    return hashlib.sha256(line).hexdigest()


def key_mark(key: bytes) -> str:
    """Which key a line was sealed with; says nothing about the key."""
    return hashlib.sha256(b"evalkit audit key " + key).hexdigest()[:8]


def seal_of(body: bytes, key: bytes | None) -> bytes:
    """A line with its seal: a keyed hash of all that stands before it."""
    if key is None:
        return body
    return body[:-1] + _SEAL + _sealed(body, key) + b'"}'


def _sealed(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"evalkit audit seal " + body, "sha256").hex().encode()


def read_chain(path: Path, key: bytes | None = None, folder: str | None = None) -> Chain:
    """Read an audit file and hold every line against the one before.

    Parameters
    ----------
    key : of the seals; None = seals cannot be checked
    folder : report folder whose lines are wanted; None = those of all
    """
    reading = _Reading(key, b"" if folder is None else _folder_field(folder))
    with path.open("rb") as stream:
        for line in stream:
            reading.take(line)
    return reading.chain()


def _folder_field(folder: str) -> bytes:
    return b'"folder":' + json.dumps(folder, ensure_ascii=False).encode() + b","


class _Reading:
    """Line after line: only those that were asked for are taken apart, so that long files are quick to check."""

    def __init__(self, key: bytes | None, wanted: bytes) -> None:
        self._key, self._wanted = key, wanted
        self._mark = b"" if key is None else b',"key":"' + key_mark(key).encode() + b'"'
        self._entries: list[dict[str, Any]] = []
        self._hashes: list[str] = []
        self._faults: list[Fault] = []
        self._torn: list[int] = []
        self._earlier: list[int] = []
        self._before, self._latest = ORIGIN, b""
        self._sealed = 0
        self._foreign: list[int] = []
        self._unread = 0  # number of a line that cannot be read: torn, if the next one says so
        self._whole = True

    def take(self, physical: bytes) -> None:
        """One line with its line end."""
        self._whole = physical.endswith(b"\n")
        line = physical[:-1] if self._whole else physical
        number = len(self._hashes) + 1
        found = _HEAD.match(line) if line.endswith(b"}") else None
        if self._unread:
            named = found is not None and _TORN in line and self._before.encode() in line[found.end() :]
            if named:
                self._torn.append(self._unread)
            else:
                self._faults.append(Fault(self._unread, "unreadable"))
        self._unread = 0
        if found is None:
            self._unread = number
        else:
            self._check(line, number, found)
        self._before = line_hash(line)
        self._hashes.append(self._before)

    def _check(self, line: bytes, number: int, found: re.Match[bytes]) -> None:
        before, counted, time = found.groups()
        if before != self._before.encode():
            self._faults.append(Fault(number, "broken"))
        elif int(counted) != number:
            self._faults.append(Fault(number, "number"))
        if self._key is not None and line[:-_SEALED].endswith(self._mark):
            self._sealed += 1
            if line[-_SEALED:-2] != _SEAL + _sealed(line[:-_SEALED] + b"}", self._key):
                self._faults.append(Fault(number, "seal"))
        else:
            self._foreign.append(number)
        if time < self._latest:
            self._earlier.append(number)
        self._latest = time
        if self._wanted in line:
            try:
                self._entries.append(json.loads(line))
            except ValueError:
                self._faults.append(Fault(number, "unreadable"))

    def chain(self) -> Chain:
        """What was found."""
        if self._unread and self._whole:
            self._faults.append(Fault(self._unread, "unreadable"))
        return Chain(
            tuple(self._entries),
            tuple(self._hashes),
            tuple(self._faults),
            tuple(self._torn),
            not self._whole,
            self._sealed,
            tuple(self._foreign),
            tuple(self._earlier),
        )
