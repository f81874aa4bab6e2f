"""How long it takes to hold an audit file of 100,000 lines against itself, with and without its seals, and to append to it.

python3 run.py bench audit_trail
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evalkit.report import audit, chain

LINES = 100_000
KEY = b"k" * 32
HASH = "a" * 64


def entry(folder: str) -> dict[str, Any]:
    """A line as a page leaves it: ten files, all ingredients."""
    names = ("notebook", "parameters", "inputs", "plan", "frozen", "code", "template", "environment")
    return {
        "schema": 1,
        "event": "page",
        "run": "0" * 16,
        "who": "0" * 16,
        "folder": folder,
        "plan": folder,
        "job": "02_effect_jobs_phase1",
        "state": "ok",
        "made_of": dict.fromkeys(names, HASH) | {"lang": "ko"},
        "files": {f"tables/02_effect_jobs_phase1__table{k}.csv": HASH for k in range(10)},
    }


def timed(what: str, work: Callable[[], object]) -> None:
    """Run once and print the seconds, by the clock and of the processor."""
    started, used = time.perf_counter(), time.process_time()
    work()
    print(f"| {what} | {time.perf_counter() - started:.2f} | {time.process_time() - used:.2f} |")


def main() -> None:
    """Write the file, read it, append to it."""
    with tempfile.TemporaryDirectory() as place:
        path, before, lines = Path(place) / "audit.jsonl", chain.ORIGIN, []
        for number in range(1, LINES + 1):
            folder = "nic" if number % 100 == 0 else "swc2"
            line = audit.audit_line(entry(folder), number, before, KEY)
            before = chain.line_hash(line)
            lines.append(line)
        path.write_bytes(b"\n".join(lines) + b"\n")
        print(
            f"{LINES:,} lines, {path.stat().st_size / 1e6:.0f} MB\n\n| | seconds | of the processor |\n|---|---:|---:|"
        )
        timed("chain", lambda: chain.read_chain(path, None, "nic"))
        timed("chain and seals", lambda: chain.read_chain(path, KEY, "nic"))
        timed("one line more", lambda: audit.append(path, entry("nic"), KEY))
        assert not chain.read_chain(path, KEY).faults


if __name__ == "__main__":
    main()
