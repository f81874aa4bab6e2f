"""Answers on disk: bytes as received, a record beside them, an index; written once, never over one another.

``data/raw/<source>/responses/<sha256>.json[.gz]`` holds the bytes (named by their hash, so equal answers are one file), and
``data/raw/<source>/<question>.<time>.json`` says what was asked, when, whose data they are, and which answers belong to
it. The record is what a plan names as the file of a source; a report is rebuilt from it without the network.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evalkit.errors import FileError, SchemaError
from evalkit.ingest.statistics.faults import TITLES, shown
from evalkit.ingest.statistics.fetched import LICENCES, Answer, Citation, Fetched
from evalkit.ingest.statistics.redaction import Redactor
from evalkit.ingest.statistics.replies import read_reply

INDEX = ".index.json"
_GZIP_FROM = 16 * 1024
_LARGEST = 512 * 2**20
_HASH = r"[0-9a-f]{64}"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeptAnswer(_Model):
    """One answer of a record."""

    role: str = Field(max_length=40)
    file: str = Field(pattern=rf"^responses/{_HASH}\.json(\.gz)?$")
    sha256: str = Field(pattern=rf"^{_HASH}$")
    bytes: int = Field(ge=0)
    rows: int = Field(ge=0)
    at: str
    query: dict[str, str]


class KeptCitation(_Model):
    """Whose data they are."""

    organisation: str = ""
    table: str = ""
    table_id: str = ""
    units: tuple[str, ...] = ()
    last_change: str = ""
    source: str = ""

    def sentence(self, title: str, at: str) -> str:
        """The source as a report prints it."""
        who = ", ".join(
            part
            for part in (self.organisation, f"「{self.table}」" if self.table else "", self.source)
            if part
        )
        changed = f", 자료 갱신 {self.last_change}" if self.last_change else ""
        return f"{who} ({title} {self.table_id}{changed}), {at[:10]} 받음"


class Record(_Model):
    """What was asked and received."""

    form: Literal[1] = 1
    source: Literal["kosis", "ecos"]
    query: dict[str, Any]
    fetched_at: str
    rows: int = Field(ge=0)
    expected_cells: int = 0
    empty_parts: int = 0
    citation: KeptCitation
    cited_as: str
    licence: str
    previous: str = ""
    notes: tuple[str, ...] = ()
    answers: tuple[KeptAnswer, ...]

    @property
    def data(self) -> tuple[KeptAnswer, ...]:
        """The answers that hold data."""
        return tuple(answer for answer in self.answers if answer.role == "data")


@dataclass(frozen=True, slots=True)
class Kept:
    """A record on disk, and whether this fetch brought it (False: the same bytes were there already)."""

    path: Path
    record: Record
    fresh: bool = False


def query_name(source: str, query: Mapping[str, Any]) -> str:
    """The beginning of a record's name: what was asked in words, and a hash of all of it."""
    if source == "ecos":
        words = [query["stat"], *query["items"], query["period"], f"{query['first']}-{query['last']}"]
    else:
        named = (
            [query["registered"].replace("/", "_")]
            if "registered" in query
            else [query["org"], query["table"]]
        )
        span = f"newest{query['newest']}" if "newest" in query else f"{query['first']}-{query['last']}"
        words = [*named, query["period"], span]
    text = json.dumps([source, dict(query)], sort_keys=True, ensure_ascii=False)
    plain = re.sub(r"[^\w\-]", "", "_".join(map(str, words)))[:80]
    return f"{plain}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"


# -- writing ----------------------------------------------------------------------------------------------


def keep(fetched: Fetched, folder: Path, *, hide: Redactor | None = None) -> Kept:
    """Write a fetch below ``folder/<source>``; the same bytes as the newest record of that question are not written again.

    Raises
    ------
    FileError : the folder cannot be written, or the record would hold the key
    """
    home = folder / fetched.source
    before = newest(folder, fetched.source, fetched.query)
    digests = [answer.sha256 for answer in fetched.answers if answer.role == "data"]
    if before and [answer.sha256 for answer in before.record.data] == digests:
        for answer in before.record.data:
            answer_bytes(before, answer)  # what is said to be there is there
        return before
    at = max(answer.at for answer in fetched.answers)
    try:
        (home / "responses").mkdir(parents=True, exist_ok=True)
        answers = tuple(_keep_answer(answer, home) for answer in fetched.answers)
        citation = _kept_citation(fetched.citation)
        record = Record(
            source=fetched.source,
            query=dict(fetched.query),
            fetched_at=at,
            rows=len(fetched.rows),
            expected_cells=fetched.expected,
            empty_parts=fetched.empty_parts,
            citation=citation,
            cited_as=citation.sentence(TITLES[fetched.source], at),
            licence=LICENCES[fetched.source],
            previous=before.path.name if before else "",
            notes=fetched.notes,
            answers=answers,
        )
        text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"
        if hide and hide.text(text) != text:
            raise FileError(
                "기록에 인증키가 들어가려 함", where=(fetched.source,), remedy="질의에서 키를 지울 것"
            )
        path = _write_record(text.encode(), home, query_name(fetched.source, fetched.query), at)
        write_index(folder, fetched.source)
    except OSError as error:
        raise FileError(
            f"받은 자료를 쓸 수 없음 ({error.strerror or type(error).__name__})",
            where=(str(folder.name), fetched.source),
            remedy="폴더의 권한과 남은 자리를 확인할 것",
        ) from None
    return Kept(path, record, fresh=True)


def _kept_citation(citation: Citation) -> KeptCitation:
    return KeptCitation(
        organisation=citation.organisation,
        table=citation.table,
        table_id=citation.table_id,
        units=citation.units,
        last_change=citation.last_change,
        source=citation.source,
    )


def _keep_answer(answer: Answer, home: Path) -> KeptAnswer:
    """The bytes under their hash; where they are there already they are held against it."""
    digest, size = answer.sha256, len(answer.content)
    packed = size >= _GZIP_FROM
    name = f"responses/{digest}.json{'.gz' if packed else ''}"
    kept = KeptAnswer(
        role=answer.role,
        file=name,
        sha256=digest,
        bytes=size,
        rows=answer.rows,
        at=answer.at,
        query=dict(answer.query),
    )
    if (home / name).is_file():
        _verified(home, kept)
    else:
        _write_once(home / name, gzip.compress(answer.content, 6, mtime=0) if packed else answer.content)
    return kept


def _write_record(content: bytes, home: Path, name: str, at: str) -> Path:
    """A record under a name that nothing has yet."""
    stamp = re.sub(r"[-:]", "", at)
    for number in range(1, 1000):
        path = home / f"{name}.{stamp}{f'-{number}' if number > 1 else ''}.json"
        if _write_once(path, content):
            return path
    raise FileExistsError(17, "이름이 모두 쓰였음")


def _write_once(path: Path, content: bytes) -> bool:
    """Write a file that is not there yet, whole or not at all; False where it is there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        try:
            os.link(temporary, path)  # fails where the name is taken: nothing is ever overwritten
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            if path.exists():
                return False
            Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return True


def write_index(folder: Path, source: str) -> Path:
    """The index of a source's records, made anew from them; hidden, since it changes while what was received does not."""
    home = folder / source
    lines = []
    for kept in _all(folder, source):
        record = kept.record
        lines.append(
            {
                "file": kept.path.name,
                "question": query_name(source, record.query),
                "fetched_at": record.fetched_at,
                "rows": record.rows,
                "table": record.citation.table,
                "sha256": hashlib.sha256(kept.path.read_bytes()).hexdigest(),
                "previous": record.previous,
            }
        )
    text = json.dumps({"source": source, "records": lines}, ensure_ascii=False, indent=1) + "\n"
    handle, temporary = tempfile.mkstemp(dir=home, prefix=".part-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(temporary).replace(home / INDEX)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return home / INDEX


# -- reading ----------------------------------------------------------------------------------------------


def load(path: Path) -> Kept:
    """A record; its answers are read and verified by `answer_bytes` and `rows_of`.

    Raises
    ------
    FileError : not there, or not JSON
    SchemaError : not a record
    """
    if not path.is_file():
        raise FileError(
            "파일이 없음", where=(path.name,), remedy="evalkit fetch 로 받은 기록(.json)의 이름을 적을 것"
        )
    try:
        return Kept(path, Record.model_validate_json(path.read_bytes()))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "전체"
        raise SchemaError(
            f"통계 API로 받은 기록이 아니거나 깨짐 ({place})",
            where=(path.name,),
            remedy="evalkit fetch 로 다시 받을 것",
        ) from None


def _all(folder: Path, source: str) -> list[Kept]:
    """Every record of a source, in order of time; files that are no records are left alone."""
    found = []
    for path in sorted((folder / source).glob("*.json")) if (folder / source).is_dir() else []:
        if not path.name.startswith("."):
            with contextlib.suppress(SchemaError, FileError):
                found.append(load(path))
    return sorted(found, key=lambda kept: (kept.record.fetched_at, len(kept.path.name), kept.path.name))


def newest(folder: Path, source: str, query: Mapping[str, Any]) -> Kept | None:
    """The newest record of a question; None where it was never asked."""
    name = query_name(source, query)
    found = [kept for kept in _all(folder, source) if query_name(source, kept.record.query) == name]
    return found[-1] if found else None


def replay(folder: Path, source: str, query: Mapping[str, Any]) -> Kept:
    """The newest record of a question, its answers verified: what ``--offline`` gives.

    Raises
    ------
    FileError : never asked, or an answer is not what was received
    """
    found = newest(folder, source, query)
    if found is None:
        raise FileError(
            f"이 질의로 받아 둔 자료가 없음 ({query_name(source, query)})",
            where=(f"{folder.name}/{source}",),
            remedy="--offline 없이 한 번 받을 것",
        )
    for answer in found.record.answers:
        answer_bytes(found, answer)
    return found


def answer_bytes(kept: Kept, answer: KeptAnswer) -> bytes:
    """The bytes of an answer, held against their hash.

    Raises
    ------
    FileError : gone, broken, or not what was received
    """
    return _verified(kept.path.parent, answer)


def _verified(home: Path, answer: KeptAnswer) -> bytes:
    path = home / answer.file
    where = (home.name, answer.file[:24] + "…")
    try:
        if answer.bytes > _LARGEST:
            raise ValueError(answer.bytes)
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(answer.bytes + 1)  # no more than was received, whatever the file unpacks to
    except FileNotFoundError:
        raise FileError(
            "받은 응답 파일이 없음", where=where, remedy="자료를 다시 받거나 파일을 되돌려 놓을 것"
        ) from None
    except (OSError, EOFError, zlib.error, ValueError):
        raise FileError(
            "받은 응답 파일이 깨짐", where=where, remedy="자료를 다시 받거나 파일을 되돌려 놓을 것"
        ) from None
    if len(content) != answer.bytes or hashlib.sha256(content).hexdigest() != answer.sha256:
        raise FileError(
            "받은 뒤에 내용이 바뀐 응답 파일임 (sha256 이 다름)",
            where=where,
            remedy="자료를 다시 받거나 받은 그대로의 파일을 되돌려 놓을 것",
        )
    return content


def rows_of(kept: Kept) -> list[dict[str, Any]]:
    """The rows of a record's data, joined, from verified bytes.

    Raises
    ------
    FileError : as `answer_bytes`, or other rows than were received
    """
    rows: list[dict[str, Any]] = []
    for answer in kept.record.data:
        value = read_reply(answer_bytes(kept, answer), kept.record.source, where=(kept.path.name,))
        if kept.record.source == "ecos":
            value = value.get("StatisticSearch", {}).get("row") if isinstance(value, dict) else None
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise FileError("응답이 행의 목록이 아님", where=(kept.path.name,), remedy="자료를 다시 받을 것")
        rows.extend(value)
    if len(rows) != kept.record.rows:
        raise FileError(
            f"기록의 행 수({kept.record.rows:,})와 응답의 행 수({len(rows):,})가 다름",
            where=(shown(kept.path.name),),
            remedy="자료를 다시 받을 것",
        )
    return rows
