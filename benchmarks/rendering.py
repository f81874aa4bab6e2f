"""Rendering many reports: kernels forked from a warm process beside ordinary ones, the regional grid, and runs under stress.

    python benchmarks/rendering.py              # 12 regional reports with both kinds of kernel, bytes compared
    python benchmarks/rendering.py --grid       # 84 regional reports (14 시·도 × 3 outcomes × 2 phases), forked; aim: 60 s
    python benchmarks/rendering.py --grid --both        # the same with ordinary kernels beside it, bytes compared
    python benchmarks/rendering.py --stress 288 # so many small reports, 16 at once; what is left behind is counted

The plan is that of the regional clusters on its simulated world, copied into a temporary project whose data are prepared
before the clock starts; two reports are made at once. Memory is the peak of the summed proportional shares (PSS) of all
processes of the command, sampled every three seconds (twice a second it took a third of the time), so pages that forks share are
counted once.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from evalkit.report.pipeline import render_plan
from evalkit.report.task import Options
from evalkit.study.plan import load_plan
from evalkit.study.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]
PROVINCES = [
    "부산",
    "대구",
    "광주",
    "대전",
    "울산",
    "세종",
    "강원",
    "충북",
    "충남",
    "전북",
    "전남",
    "경북",
    "경남",
    "제주",
]
GRID = {"outcome": ["jobs", "sales", "survival"], "phase": [1, 3], "region": PROVINCES}
SMALL = {"outcome": ["jobs"], "phase": [1], "region": PROVINCES[:12]}
NOTEBOOK = "07_region.ipynb"
EVERY = 3.0  # seconds between two looks at memory


def project(root: Path, grid: dict[str, list[object]], notebook: str) -> Path:
    """A project with one notebook rendered over a grid; the path of its plan."""
    for name in ("plans", "notebooks", "data/raw"):
        (root / name).mkdir(parents=True, exist_ok=True)
    plan = yaml.safe_load((ROOT / "plans" / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))
    plan |= {"id": "grid", "reports": [{"notebook": notebook, "for_each": grid}]}
    path = root / "plans" / "grid.yml"
    path.write_text(yaml.safe_dump(plan, allow_unicode=True), encoding="utf-8")
    return path


def processes() -> list[int]:
    """This process and what it started, directly or through others."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def megabytes() -> float:
    """Summed proportional shares of memory."""
    total = 0
    for pid in processes():
        with contextlib.suppress(OSError, ValueError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            total += int(text.partition("\nPss:")[2].split()[0])
    return total / 1024


@contextlib.contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Seconds, and peak memory where /proc tells it."""
    found, over = {"peak": 0.0}, threading.Event()

    def watch() -> None:
        while not over.wait(EVERY):
            found["peak"] = max(found["peak"], megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    try:
        yield found
    finally:
        found["seconds"] = time.perf_counter() - begin
        over.set()
        watcher.join()


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the record of the run, which holds times."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "run.json"]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def render(plan: Path, out: Path, *, forked: bool, jobs: int) -> tuple[dict[str, float], int]:
    """All reports of the plan; times and memory, and how many were made."""
    os.environ["EVALKIT_FORK"] = "1" if forked else "0"
    with measured() as found, contextlib.redirect_stderr(io.StringIO()):
        outcome = render_plan(plan, Options(out=out, force=True, jobs=jobs))
    if outcome.failed:
        raise SystemExit(f"{len(outcome.failed)} of {len(outcome.made)} reports failed: {outcome.failed[0]}")
    return found, len(outcome.made)


def line(case: str, reports: int, found: dict[str, float], ratio: float | None = None) -> None:
    """One line of the table."""
    each = found["seconds"] / reports
    beside = "" if ratio is None else f"   ordinary / this {ratio:.1f}"
    print(
        f"{case:<34} {reports:>4} reports {found['seconds']:>7.1f} s {each:>7.2f} s each"
        f"   peak {found['peak']:>6.0f} MB{beside}   load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def grid(root: Path, *, whole: bool, both: bool) -> None:
    """Regional reports with forked and ordinary kernels."""
    plan = project(root, GRID if whole else SMALL, NOTEBOOK)
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, root / "notebooks")
    prepare(plan, load_plan(plan))
    forked, count = render(plan, root / "forked", forked=True, jobs=2)
    if not both:
        line("forked", count, forked)
        return
    ordinary, _ = render(plan, root / "ordinary", forked=False, jobs=2)
    line("ordinary kernels", count, ordinary)
    line("forked from a warm process", count, forked, ordinary["seconds"] / forked["seconds"])
    one, other = (hashes(root / name / "grid") for name in ("forked", "ordinary"))
    moved = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    print(f"files {len(one)}, different {len(moved)}")
    if moved:
        raise SystemExit(f"not the same bytes: {sorted(moved)[:5]}")


def stress(root: Path, count: int) -> None:
    """Small reports, sixteen at once; counts what is left behind."""
    sys.path.insert(0, str(ROOT / "tests" / "helpers"))
    from small_project import HEADLINE, TABLE, Project, prepared_at_rest, write_notebook

    from evalkit.report import rendering

    rendering.prepare, rendering.check_asked = prepared_at_rest, lambda *_: None  # the notebooks read no data
    small = Project(root)
    numbered = "outcome: str = 'jobs'\nphase: int = 1\nnumber: int = 1"
    write_notebook(root / "notebooks" / "effect.ipynb", TABLE, HEADLINE, parameters=numbered)
    numbers = {"number": list(range(1, count + 1))}
    small.raw["reports"] = [{"notebook": "effect.ipynb", "for_each": numbers}]
    small.save()
    before = set(Path(tempfile.gettempdir()).glob("evk-*"))
    for forked in (True, False):
        found, made = render(small.plan, root / f"out-{forked}", forked=forked, jobs=16)
        line(f"{'forked' if forked else 'ordinary'}, 16 at once, 0 failures", made, found)
    left = set(Path(tempfile.gettempdir()).glob("evk-*")) - before
    others = [pid for pid in processes() if pid != os.getpid()]
    print(
        f"left behind: folders {len(left)}, processes {len(others)}, threads {threading.active_count() - 1}"
    )


def main() -> None:
    """Measure in a temporary project, remove it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", action="store_true", help="all 84 reports")
    parser.add_argument("--both", action="store_true", help="with ordinary kernels beside them")
    parser.add_argument(
        "--stress", type=int, default=0, metavar="N", help="so many small reports, 16 at once"
    )
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="evalkit-rendering-")).resolve()
    print(f"load before: {os.getloadavg()[0]:.1f}")
    try:
        if asked.stress:
            stress(root, asked.stress)
        else:
            grid(root, whole=asked.grid, both=asked.both or not asked.grid)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
