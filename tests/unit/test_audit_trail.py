"""The audit trail: every line holds the one before, a crash leaves a mark, and what was changed is found."""

from __future__ import annotations

import json
import multiprocessing
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import FileError
from evalkit.report import audit
from evalkit.report.audit import Trail, append, folder_of, record_export, recorded
from evalkit.report.chain import ORIGIN, Chain, key_mark, line_hash, read_chain, seal_of

KEY = b"a key of the tests"


def filled(path: Path, count: int = 6, key: bytes | None = KEY) -> Path:
    for k in range(count):
        append(path, {"event": "page", "folder": "nic", "job": f"page{k}"}, key)
    return path


def faults(path: Path, key: bytes | None = KEY) -> list[tuple[int, str]]:
    return [(fault.line, fault.kind) for fault in read_chain(path, key).faults]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "audit.jsonl")


def test_lines_are_json_numbered_dated_and_chained(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    before = ORIGIN
    for number, line in enumerate(lines, start=1):
        entry = json.loads(line)
        assert (entry["n"], entry["previous"], entry["schema"]) == (number, before, 1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["time"])
        before = line_hash(line)
    chain = read_chain(path, KEY)
    assert chain.faults == ()
    assert (len(chain.hashes), chain.head, chain.sealed, chain.foreign) == (6, before, 6, ())


def test_no_name_of_the_account_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit.getpass, "getuser", lambda: "hong.gildong")
    Trail(path, {"folder": "nic"}, KEY).write("start")
    Trail(path, {"folder": "nic"}, KEY).write("start")
    Trail(path, {"folder": "nic"}, b"another key").write("start")
    Trail(path, {"folder": "nic"}, None).write("start")
    assert b"hong" not in path.read_bytes()
    who = [json.loads(line)["who"] for line in path.read_bytes().splitlines()[-4:]]
    assert who[0] == who[1] != who[2]
    assert who[0]
    assert who[3] == ""


def changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"page2", b"page9"), *lines[3:]]


def forged_in_between(lines: list[bytes]) -> list[bytes]:
    body = lines[3].replace(b"page3", b"paid3")
    return [*lines[:3], body, *lines[3:]]


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (changed, {(3, "seal"), (4, "broken")}),
        (lambda lines: [*lines[:2], *lines[3:]], {(3, "broken")}),
        (lambda lines: lines[1:], {(1, "broken")}),
        (
            lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
            {(2, "broken"), (3, "broken"), (4, "broken")},
        ),
        (forged_in_between, {(4, "seal"), (5, "broken"), (5, "number")} - {(5, "number")}),
        (lambda lines: [*lines, b"by hand"], {(7, "unreadable")}),
        (lambda lines: [*lines[:3], b"by hand", *lines[3:]], {(4, "unreadable"), (5, "broken")}),
        (lambda lines: [*lines[:3], b"", *lines[3:]], {(4, "unreadable"), (5, "broken")}),
    ],
)
def test_what_was_changed_is_found(
    path: Path, tamper: Callable[[list[bytes]], list[bytes]], found: set[tuple[int, str]]
) -> None:
    lines = tamper(path.read_bytes().splitlines())
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert found <= set(faults(path))
    assert min(line for line, _ in faults(path)) == min(line for line, _ in found)


@pytest.mark.parametrize("byte", [0, 20, 80, 110, 150, 250, 300])
def test_one_changed_byte_anywhere_in_a_line_is_found(path: Path, byte: int) -> None:
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\n") + 1 + byte
    raw[at] = ord("x") if raw[at] != ord("x") else ord("y")
    path.write_bytes(bytes(raw))
    assert faults(path, None)  # also without the key


def test_a_line_forged_at_the_end_lacks_the_seal(path: Path) -> None:
    """The hash of the line before is no secret; the seal is."""
    last = path.read_bytes().splitlines()[-1]
    body = {"previous": line_hash(last), "n": 7, "time": "2026-11-23T00:00:00Z", "event": "page"}
    claimed = {**body, "key": key_mark(KEY)}
    for entry, expected in ((claimed, [(7, "seal")]), (body, [])):
        copy = path.with_name("copy.jsonl")
        line = json.dumps(entry, separators=(",", ":")).encode()
        copy.write_bytes(path.read_bytes() + (seal_of(line, b"guess") if expected else line) + b"\n")
        assert faults(copy) == expected
        assert read_chain(copy, KEY).foreign == (() if expected else (7,))


def test_a_torn_line_is_kept_and_named(path: Path) -> None:
    whole = path.read_bytes()
    cut = whole[:-40]
    path.write_bytes(cut)
    chain = read_chain(path, KEY)
    assert (chain.unfinished, chain.faults) == (True, ())
    append(path, {"event": "start", "folder": "nic"}, KEY)
    assert path.read_bytes().startswith(cut + b"\n")
    chain = read_chain(path, KEY)
    assert (chain.torn, chain.faults, chain.unfinished) == ((6,), (), False)
    events = [json.loads(line)["event"] for line in path.read_bytes().splitlines()[-2:]]
    assert events == ["torn", "start"]
    assert json.loads(path.read_bytes().splitlines()[-1])["n"] == 8
    raw = path.read_bytes()
    path.write_bytes(raw.replace(cut.splitlines()[-1] + b"\n", cut.splitlines()[-1][:-3] + b"\n"))
    assert faults(path)[0] == (6, "unreadable")  # the cut line itself is bound too


def test_a_whole_line_that_lost_its_end_counts(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    append(path, {"event": "start", "folder": "nic"}, KEY)
    chain = read_chain(path, KEY)
    assert (chain.faults, chain.torn, len(chain.hashes)) == ((), (), 8)


def test_a_file_that_holds_nothing_or_one_torn_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    assert read_chain(empty).head == ORIGIN
    assert append(empty, {"event": "start"})[0] == 1
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b'{"previous":"000')
    assert append(torn, {"event": "start"})[0] == 3
    assert read_chain(torn).torn == (1,)


def test_long_lines_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(3):
        append(path, {"event": "page", "files": {f"tables/{k}.csv": "0" * 64 for k in range(3000)}}, KEY)
    assert faults(path) == []
    assert len(read_chain(path).hashes) == 3


def _appends(path: str, count: int) -> None:
    for k in range(count):
        append(Path(path), {"event": "page", "folder": "nic", "job": str(k)}, KEY)


def test_commands_at_once_do_not_interleave(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_appends, args=(str(path), 40)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    chain = read_chain(path, KEY)
    assert (len(chain.hashes), chain.faults, chain.sealed) == (120, (), 120)


def test_a_clock_set_back_is_told_and_breaks_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_now", lambda: "2001-01-01T00:00:00Z")
    append(path, {"event": "start"}, KEY)
    chain = read_chain(path, KEY)
    assert (chain.earlier, chain.faults) == ((7,), ())


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "reports" / "audit.jsonl").mkdir(parents=True)
    with pytest.raises(FileError, match=r"^\[reports > audit.jsonl\] 감사 기록에 적을 수 없음 .* → .*--out"):
        append(tmp_path / "reports" / "audit.jsonl", {"event": "start"})


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileError("표가 비어 있음 900101-1234567"), {"state": "error", "error": "FileError", "exit": 3}),
        (SystemExit(143), {"state": "interrupted", "error": "SystemExit", "exit": 143}),
        (KeyboardInterrupt(), {"state": "interrupted", "error": "KeyboardInterrupt", "exit": 1}),
        (ValueError("비밀 값"), {"state": "error", "error": "ValueError", "exit": 1}),
        (None, {"state": "done", "states": {"a": "ok"}}),
    ],
)
def test_a_command_leaves_its_end_whatever_it_is(
    tmp_path: Path, error: BaseException | None, told: dict[str, Any]
) -> None:
    trail = Trail(tmp_path / "audit.jsonl", {"folder": "nic"}, KEY)

    def command() -> None:
        with recorded(trail, jobs={}) as end:
            end["states"] = {"a": "ok"}
            if error is not None:
                raise error

    if error is None:
        command()
    else:
        with pytest.raises(type(error)):
            command()
    begun, ended = (json.loads(line) for line in trail.path.read_bytes().splitlines())
    assert (begun["event"], ended["event"]) == ("start", "end")
    assert begun["run"] == ended["run"]
    assert told.items() <= ended.items()
    text = trail.path.read_text(encoding="utf-8")
    assert "비밀" not in text
    assert "1234567" not in text


def test_exports_are_noted_by_hash(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "nic"
    (folder / "export").mkdir(parents=True)
    (folder / "export" / "nic.xlsx").write_bytes(b"workbook")
    (tmp_path / "elsewhere.xlsx").write_bytes(b"other")
    record_export(folder, ["export/nic.xlsx", tmp_path / "elsewhere.xlsx"])
    entry = json.loads((tmp_path / "reports" / "audit.jsonl").read_bytes())
    assert (entry["event"], entry["folder"]) == ("export", "nic")
    assert entry["files"] == {"export/nic.xlsx": line_hash(b"workbook")}
    assert str(tmp_path) not in json.dumps(entry)


def test_only_the_lines_of_one_folder_are_taken(path: Path) -> None:
    append(path, {"event": "page", "folder": "nic/en", "job": "x"}, KEY)
    append(path, {"event": "page", "folder": "다른 폴더", "job": "y"}, KEY)

    def jobs(folder: str) -> list[str]:
        chain: Chain = read_chain(path, KEY, folder)
        return [entry["job"] for entry in chain.entries]

    assert jobs("nic/en") == ["x"]
    assert jobs("다른 폴더") == ["y"]
    assert len(jobs("nic")) == 6
    assert folder_of(path, path.parent / "nic" / "en") == "nic/en"
