"""The notebook for free work runs from where it stands, and its check by hand agrees."""

import json
from pathlib import Path

import matplotlib as mpl
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks" / "explore"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda p: p.stem)
def test_it_runs_and_the_two_packages_agree(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    mpl.use("Agg")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    space: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), space)
            assert not cell["outputs"]
    by_hand, by_kit = space["by_hand"], space["by_kit"]
    assert by_hand.params["treated"] == pytest.approx(by_kit.values[0], abs=1e-8)  # type: ignore[attr-defined]
