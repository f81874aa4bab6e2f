"""A plan rendered twice in surroundings that differ in everything that must not matter, and its files compared.

``python tests/helpers/twice.py PLAN [--only NAME …] [--export]`` prints the table of docs/assurance.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR")
UNLIKE = ("audit.jsonl",)
"""Files that tell of a run and not of its results."""


@dataclass(frozen=True)
class Surroundings:
    """What differs between the two runs."""

    environment: dict[str, str]
    workers: int
    umask: int
    cwd: str


PLAIN = Surroundings(
    {"TZ": "Asia/Seoul", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "EVALKIT_FORK": "0"}, 1, 0o022, "."
)
OTHER = Surroundings(
    {
        "TZ": "America/New_York",
        "LANG": "ko_KR.eucKR",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "4711",
        "EVALKIT_FORK": "1",
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_NUM_THREADS": "2",
    },
    2,
    0o077,
    "elsewhere",
)


def render(
    plan: Path, out: Path, at: Surroundings, only: tuple[str, ...] = (), formats: tuple[str, ...] = ()
) -> Path:
    """Render a plan into a folder and export it; the folder of its reports.

    Raises
    ------
    RuntimeError : a command failed
    """
    cwd = out / at.cwd
    cwd.mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | at.environment
    words = ["report", str(plan), "--out", str(out / "reports"), "--jobs", str(at.workers)]
    commands = [words + [w for name in only for w in ("--only", name)]]
    if formats:
        to = [word for name in formats for word in ("--to", name)]
        commands.append(["export", str(plan), *to, "--reports", str(out / "reports")])
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "evalkit", *command],
            env=environment,
            cwd=cwd,
            umask=at.umask,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
    (folder,) = (path.parent for path in (out / "reports").glob("*/run.json"))
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Relative path → hash of every file; ``run.json`` without its times, the audit trail left out."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in UNLIKE):
        raw = path.read_bytes()
        if path.name == "run.json":
            record = json.loads(raw)
            del record["timing"]
            raw = json.dumps(record, sort_keys=True).encode()
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(raw).hexdigest()
    return found


def compared(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Files that differ or stand in one folder only."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def main() -> int:
    """Render twice and print kinds of files, how many, how many differ."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plan", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--export", action="append", default=[], help="xlsx, docx, hwpx")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folders = [
            render(given.plan.resolve(), Path(place, name), at, tuple(given.only), tuple(given.export))
            for name, at in (("one", PLAIN), ("two", OTHER))
        ]
        one, other = (contents(folder) for folder in folders)
    wrong = compared(one, other)
    kinds, bad = (Counter(Path(name).suffix for name in names) for names in (one, wrong))
    print("| files | number | differ |\n|---|---:|---:|")
    for kind, count in sorted(kinds.items()):
        print(f"| {kind.lstrip('.')} | {count} | {bad[kind]} |")
    for name in wrong:
        print(f"differs: {name}")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
