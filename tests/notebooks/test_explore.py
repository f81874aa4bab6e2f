"""The notebooks for free work run from where they stand, and what they claim of one another holds."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks" / "explore"


def run(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The names of a notebook after its cells have run."""
    monkeypatch.chdir(FOLDER)
    mpl.use("Agg")
    space: dict[str, object] = {}
    for cell in json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), space)
            assert not cell["outputs"]
    return space


def test_every_notebook_for_free_work_is_run_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {"first_look", "side_by_side"}


def test_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    space = run("first_look", monkeypatch)
    by_hand, by_kit = space["by_hand"], space["by_kit"]
    assert by_hand.params["treated"] == pytest.approx(by_kit.values[0], abs=1e-8)  # type: ignore[attr-defined]


def test_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods with the same base agree; the others lie within a few standard errors, as the text says."""
    space = run("side_by_side", monkeypatch)
    table = space["side_by_side"]
    assert np.isfinite(table.to_numpy()).all()  # type: ignore[attr-defined]
    values = table["estimate"].to_numpy()  # type: ignore[index]
    assert values[2] == pytest.approx(values[1], rel=1e-6)
    assert values[3] == pytest.approx(values[4], rel=1e-9)
    assert np.ptp(values) < 5 * table["std_error"].to_numpy().max()  # type: ignore[index]
