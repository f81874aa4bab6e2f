"""One truth in many layouts: guessed, the questions answered, read: the same frame to the last won."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from workbook_layouts import CHOICES, Layout, Written, layouts, write
from workbook_truth import KEY, expected, truth

from evalkit import strict_yaml
from evalkit.ingest.headers import normal
from evalkit.ingest.workbook.guessing import guess
from evalkit.ingest.workbook.mapped import read_mapped
from evalkit.ingest.workbook.model import header_and_place
from evalkit.ingest.workbook.proposal import Guess
from evalkit.ingest.workbook.writing import mapping_text

COUNT = 60
TRUTH = truth()
EXPECTED = expected(TRUTH)
LAYOUTS = layouts(COUNT)


def answered(text: str, written: Written) -> str:
    """The mapping with every question answered by what the layout knows of itself."""
    raw: dict[str, Any]
    raw, _ = strict_yaml.load_with_lines(text)
    for table in raw["tables"]:
        told = {normal(label): column for label, column in written.answers[table["table"]].items()}
        if table.get("unit") == "???":
            table["unit"] = written.unit
        for key, entry in table["columns"].items():
            if isinstance(entry, str):
                continue
            if entry["column"] == "???":
                column, _, year = told[normal(header_and_place(key)[0])].partition(" ")
                entry["column"] = column
                if year:
                    entry["year"] = year
            if entry["column"] == "leave":
                table["columns"][key] = "leave"
                continue
            if entry.get("unit") == "???":
                entry["unit"] = written.unit
            if entry.get("blank") == "???":
                entry["blank"] = "above"
        for name, value in list(table.get("constants", {}).items()):
            if value != "???":
                continue
            if name == "phase":
                table["constants"][name] = "1"
                continue
            label = next(k for k, c in written.answers[table["table"]].items() if c == name)
            del table["constants"][name]
            table["columns"][label] = {"column": name}
            if name == "project_id" and written.vertical and written.path.suffix == ".csv":
                table["columns"][label]["blank"] = "above"
            table["leave"] = [left for left in table.get("leave", []) if normal(left) != normal(label)]
            if name.endswith("_krw"):
                table["columns"][label]["unit"] = written.unit
        if not table.get("constants", True):
            del table["constants"]
    return yaml.safe_dump(raw, allow_unicode=True, sort_keys=False)


def confident_mistakes(found: Guess, written: Written) -> list[str]:
    """Proposals without a question that are not what the header is."""
    wrong = []
    for table in found.tables:
        told = {normal(label): column for label, column in written.answers.get(table.name, {}).items()}
        for header in table.sure:
            label = normal(header_and_place(header.key)[0])
            meant = told.get(label, "?").split(" ")
            year = int(meant[1]) if len(meant) > 1 else None
            if header.column != meant[0] or header.year != year:
                wrong.append(
                    f"{table.name}: {header.key} → {header.column} {header.year} (is {' '.join(meant)})"
                )
            if header.unit not in ("", "???", written.unit):
                wrong.append(f"{table.name}: {header.key} in {header.unit} (is {written.unit})")
    return wrong


def same_frame(frame: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Every column of the truth, to the last won."""
    assert len(frame) == len(wanted)
    for name in wanted.columns:
        got, want = frame[name], wanted[name]
        if name.endswith("_krw"):
            scale = 1e6 if "million" in name else 1.0
            np.testing.assert_array_equal(np.round(got * scale), np.round(want * scale), err_msg=name)
            np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=name)
        elif want.dtype.kind in "iufM":
            np.testing.assert_array_equal(got.to_numpy(dtype=want.dtype), want.to_numpy(), err_msg=name)
        else:
            assert got.astype(object).tolist() == want.astype(object).tolist(), name


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_gives_the_same_frames(layout: Layout, tmp_path: Path) -> None:
    seen: set[str] = set()
    for written in write(layout, TRUTH, tmp_path):
        found = guess(written.path)
        assert not confident_mistakes(found, written)
        mapping = tmp_path / "answered.map.yml"
        mapping.write_text(answered(mapping_text(found), written), encoding="utf-8")
        for table in read_mapped(written.path, mapping, key=KEY):
            assert table.spec.name not in seen
            seen.add(table.spec.name)
            same_frame(table.frame, EXPECTED[table.spec.name])
    assert seen == set(EXPECTED)


def test_the_layouts_are_many_and_every_choice_comes_up() -> None:
    assert len({layout.name for layout in LAYOUTS}) >= 40
    for name, values in CHOICES.items():
        counted = Counter(getattr(layout, name) for layout in LAYOUTS)
        assert set(counted) == set(values), name
        assert min(counted.values()) >= 3, (name, counted)
