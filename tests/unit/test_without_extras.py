"""The kit's own installation has no pyarrow, DuckDB, Ibis or Spark; the development one has: both give the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from prepared_project import Project

from evalkit import simulate

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
PROGRAM = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None  # an import of it fails as if it were not installed
sys.path.insert(0, {helpers!r})
from pathlib import Path
from prepared_project import Project
folder = Project(Path({root!r})).prepare(force=True).folder
import hashlib, json, pandas
print(json.dumps({{
    "storage": pandas.StringDtype(na_value=float("nan")).storage,
    "files": {{p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.npz"))}},
    "audit": hashlib.sha256((folder / "audit.json").read_bytes()).hexdigest(),
}}))
"""


def made(root: Path, blocked: list[str]) -> dict[str, object]:
    code = PROGRAM.format(blocked=blocked, helpers=str(HELPERS), root=str(root))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_panels_are_the_same_with_and_without_the_extras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALKIT_HASH_KEY", "one key for both")
    simulate.write(simulate.world(seed=4, firms=200), tmp_path / "data" / "raw", tmp_path / "truth")
    Project(tmp_path)
    bare = made(tmp_path, ["pyarrow", "duckdb", "ibis", "pyspark"])
    full = made(tmp_path, [])
    assert bare.pop("storage") == "python"
    full.pop("storage")
    assert bare == full
    assert len(dict(bare["files"])) >= 2  # type: ignore[call-overload]


def test_what_needs_no_extra_imports_without_them() -> None:
    code = (
        "import sys\n"
        "for name in ('pyarrow', 'duckdb', 'ibis', 'pyspark'): sys.modules[name] = None\n"
        "import evalkit, evalkit.scale, evalkit.study, evalkit.study.pages, evalkit.report.pipeline, evalkit.cli\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
