"""One table in every file that offices send gives one frame: CP949, UTF-8 with and without a mark, UTF-16, xlsx."""

from __future__ import annotations

from pathlib import Path

import pytest
from openpyxl import Workbook
from pandas.testing import assert_frame_equal

from evalkit.ingest import read_source

ROWS = (
    ("연도", "지수"),
    ("2018", "104.45"),
    ("2019", "104.85"),
    ("2020", "105.42"),
)


def written(path: Path, form: str) -> Path:
    """The rows as a file of the form; ``xlsx`` holds numbers as numbers, as Excel does."""
    if form == "xlsx":
        book = Workbook()
        for row in ROWS:
            book.active.append([float(v) if v.replace(".", "").isdigit() else v for v in row])
        book.save(path.with_suffix(".xlsx"))
        return path.with_suffix(".xlsx")
    text = "".join(",".join(row) + "\r\n" for row in ROWS)
    path.with_suffix(".csv").write_bytes(text.encode(form))
    return path.with_suffix(".csv")


@pytest.mark.parametrize("form", ["cp949", "utf-8", "utf-16", "xlsx"])
def test_the_same_table_is_the_same_frame(form: str, tmp_path: Path) -> None:
    marked = read_source("deflator", [written(tmp_path / "marked", "utf-8-sig")], key=b"k")[0]
    other = read_source("deflator", [written(tmp_path / "other", form)], key=b"k")[0]
    assert len(marked.frame) == 3
    assert_frame_equal(marked.frame, other.frame)
