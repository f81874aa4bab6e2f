"""The same inputs give the same bytes, whatever the surroundings: folder, zone, language, hash seed, workers, kernels, umask.

What may differ: ``run.json`` under ``timing``, and the audit trail, which says when and by whom. PDF is exempt.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from twice import OTHER, PLAIN, ROOT, compared, contents, render

FORMATS = ("xlsx", "docx", "hwpx", "latex", "csv")
"""What `evalkit export` writes, without PDF."""


def twice(plan: str, place: Path, only: tuple[str, ...] = (), to: tuple[str, ...] = ()) -> dict[str, str]:
    """Hashes of the files of a plan rendered twice; the two runs agree."""
    path = ROOT / "plans" / f"{plan}.yml"
    one = contents(render(path, place / "one", PLAIN, only, to))
    other = contents(render(path, place / "a longer name of a folder", OTHER, only, to))
    assert compared(one, other) == []
    return one


def test_a_page_is_the_same_in_other_surroundings(tmp_path: Path) -> None:
    found = twice("ldi", tmp_path, ("06b_portfolio",))
    assert {Path(name).suffix for name in found} >= {".html", ".json", ".csv", ".xlsx", ".ipynb"}


def test_the_comparison_sees_one_byte(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"timing": {"finished": name}, "jobs": {}}))
        (tmp_path / name / "page.html").write_text("<p>1</p>")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert compared(one, two) == []
    (tmp_path / "two" / "page.html").write_text("<p>2</p>")
    assert compared(one, contents(tmp_path / "two")) == ["page.html"]
    (tmp_path / "two" / "page.html").unlink()
    assert compared(one, contents(tmp_path / "two")) == ["page.html"]


@pytest.mark.slow
@pytest.mark.parametrize("plan", ["ldi", "swc2", "nic_phase1_vs_phase3"])
def test_a_whole_plan_is_the_same_in_every_format(plan: str, tmp_path: Path) -> None:
    found = twice(plan, tmp_path, to=FORMATS)
    kinds = {Path(name).suffix for name in found}
    assert kinds >= {".html", ".json", ".csv", ".xlsx", ".svg", ".ipynb", ".docx", ".hwpx", ".tex"}
