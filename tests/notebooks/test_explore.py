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
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {"first_look", "quick_start", "side_by_side"}


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


def test_quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """From workbook to event study in ten cells; the estimate is that of the panel it shows, and not far from the truth."""
    cells = json.loads((FOLDER / "quick_start.ipynb").read_text(encoding="utf-8"))["cells"]
    assert sum(cell["cell_type"] == "code" for cell in cells) == 10
    space = run("quick_start", monkeypatch)
    event, panel, lead = space["event"], space["panel"], space["lead"]
    assert not {"11", "28", "41"} & set(panel.constant("sido").tolist())  # type: ignore[attr-defined]
    adoption = panel.constant("adoption")  # type: ignore[attr-defined]
    at = list(event.terms.get_level_values("event_time")).index(0)  # type: ignore[attr-defined]
    years = panel.periods.tolist()  # type: ignore[attr-defined]
    jobs = panel.values("jobs")  # type: ignore[attr-defined]
    gains, sizes = [], []
    for start in np.unique(adoption[np.isfinite(adoption)]):
        change = jobs[:, years.index(int(start))] - jobs[:, years.index(int(start)) - 1]
        own, never = adoption == start, np.isinf(adoption)
        gains.append(np.nanmean(change[own]) - np.nanmean(change[never]))
        sizes.append(np.isfinite(change[own]).sum())
    assert event.values[at] == pytest.approx(np.average(gains, weights=sizes), rel=1e-6)  # type: ignore[attr-defined]
    assert np.isfinite(lead.estimate.values).all()  # type: ignore[attr-defined]
