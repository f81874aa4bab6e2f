"""Many kernels at once, from one warm process and without: no failure, no two reports mixed up, nothing left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from leftovers import nothing_left
from small_project import Project, prepared_at_rest, write_notebook

from evalkit.report import rendering

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SOURCE = """
import numpy as np
drawn = np.random.default_rng(number).standard_normal(1000)
print(f'번호 {number} 합계 {drawn.sum():.12f}')"""


@pytest.mark.parametrize(
    ("count", "jobs", "fork"),
    [
        (24, 3, "1"),
        pytest.param(24, 6, "0", marks=pytest.mark.slow),
        pytest.param(288, 16, "1", marks=pytest.mark.slow),
    ],
)
def test_parallel_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, jobs: int, fork: str
) -> None:
    import numpy as np

    monkeypatch.setattr(rendering, "prepare", prepared_at_rest)
    monkeypatch.setattr(rendering, "check_asked", lambda *_: None)
    monkeypatch.setenv("EVALKIT_FORK", fork)
    project = Project(tmp_path)
    numbers = list(range(1, count + 1))
    write_notebook(tmp_path / "notebooks" / "one.ipynb", SOURCE, parameters="number: int = 1")
    project.raw["reports"] = [{"notebook": "one.ipynb", "for_each": {"number": numbers}}]
    project.save()
    with nothing_left(monkeypatch):
        outcome = project.render(jobs=jobs)
    assert outcome.failed == ()
    assert len(outcome.made) == count
    for number in numbers:
        total = np.random.default_rng(number).standard_normal(1000).sum()
        assert f"번호 {number} 합계 {total:.12f}" in project.page(f"one_{number}")
