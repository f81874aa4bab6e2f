"""Damaged workbooks and files, a thousand here and tens of thousands under `slow`: each ends in a declared error or a logged repair, within bounds.

The readers run in a process of their own with a limit on memory and on the time of each case; an abort of a compiled
reader ends that process and is found by its last line.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit import simulate

PROGRAM = Path(__file__).resolve().parents[1] / "helpers" / "damaged_files.py"
MOST_MEGABYTES = 1_500


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    simulate.write(simulate.world(seed=3, firms=200), folder / "raw", folder / "truth")
    return folder / "raw"


def run(world: Path, what: str, first: int, last: int, cases: int) -> None:
    if os.name == "nt":
        pytest.skip("limits on memory and time are those of POSIX")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(world), what, str(first), str(last)],
        capture_output=True,
        text=True,
        timeout=3_000,
        check=False,
    )
    lines = done.stdout.splitlines()
    faults = [line for line in lines if line.startswith("FAULT")]
    last_case = next((line for line in reversed(lines) if line.startswith("at ")), "none")
    assert done.returncode == 0, f"ended at: {last_case}\n{done.stderr[-2_000:]}"
    assert not faults, "\n".join(faults[:20])
    word, count, peak = lines[-1].split()
    assert (word, int(count)) == ("DONE", cases)
    assert int(peak) < MOST_MEGABYTES
    assert "Warning" not in done.stderr, done.stderr[-2_000:]


def test_damaged_text_is_met_with_a_sentence_or_a_repair(world: Path) -> None:
    run(world, "text", 0, 40, 40 * 5 * 5)


def test_damaged_workbooks_are_met_with_a_sentence_or_a_repair(world: Path) -> None:
    run(world, "book", 0, 16, 16 * 11)


def test_files_made_to_hurt_are_refused(world: Path) -> None:
    """Bombs, entities, a million columns, a cell in the far corner, one endless line, files of another kind."""
    run(world, "hostile", 0, 1, 16)


@pytest.mark.slow
def test_many_more(world: Path) -> None:
    run(world, "text", 40, 100, 60 * 5 * 5)
    run(world, "book", 16, 40, 24 * 11)
    run(world, "text", 1_000, 2_000, 1_000 * 5 * 5)
    run(world, "book", 1_000, 1_300, 300 * 11)
