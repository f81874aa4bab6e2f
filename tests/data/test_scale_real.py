"""A real month of 국민연금 by blocks, against the reader in memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from shared_files import REAL, needs_real

from evalkit.errors import FileError
from evalkit.ingest.sources import national_pension
from evalkit.scale import month_number, open_engine, open_pension, pension_panel, place_cells

KEY = b"test"
FILE = REAL / "nps_firms_202204_sample.csv"
pytestmark = needs_real


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return national_pension.read(FILE, key=KEY, cut_last_row="drop")[0].frame


def test_the_month_is_that_of_the_reader_in_memory(frame: pd.DataFrame) -> None:
    with open_engine("duckdb", memory="1GB", threads=2) as engine:
        source = open_pension(engine, FILE, key=KEY, cut_last_row="drop")
        found = source.frame(source.table.order_by("workplace"))
        cells = place_cells(source, period="month", region="region", values=["members"])
        panel = pension_panel(source)
    steps = {step.reason: step.rows for step in source.flow}
    assert steps["도중에 끊긴 마지막 행"] == -1
    assert steps["읽은 행"] == len(FILE.read_bytes().splitlines()) - 1
    here = frame.loc[frame["status"].ne("left")]
    assert steps["탈퇴한 사업장의 행"] == len(here) - len(frame) < 0
    assert found["month"].unique().tolist() == [month_number(2022, 4)]
    # workplaces: rows that share name, digits, region and day are added up
    keys = ["name_key", "head_key", "region", "joined"]
    day = here["joined"].dt.strftime("%Y-%m-%d")
    theirs = here.assign(joined=day)[[*keys, "members", "premium"]].fillna(dict.fromkeys(keys, ""))
    theirs = theirs.groupby(keys)[["members", "premium"]].sum().reset_index()
    ours = found[[*keys, "members", "premium"]].fillna(dict.fromkeys(keys, ""))
    ours = ours.groupby(keys)[["members", "premium"]].sum().reset_index()
    pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)
    regions = here.groupby("region")["members"].sum()
    assert dict(zip(cells["region"], cells["members_sum"], strict=True)) == regions.to_dict()
    assert panel.shape == (len(found), 1)


def test_the_last_row_breaks_off_and_is_told() -> None:
    with (
        open_engine("duckdb", memory="1GB", threads=2) as engine,
        pytest.raises(FileError, match=r"마지막 행이 도중에 끊김 \(채워진 칸 2개, 머리글은 22칸\)"),
    ):
        open_pension(engine, FILE, key=KEY)


def test_cp949_and_utf8_give_the_same_rows(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "cp949.csv"
    path.write_bytes(FILE.read_bytes().decode("utf-8-sig").encode("cp949"))
    tables = []
    for file in (FILE, path):
        with open_engine("duckdb", memory="1GB", threads=2) as engine:
            source = open_pension(engine, file, key=KEY, cut_last_row="drop")
            tables.append(source.frame(source.table.order_by("workplace")))
    pd.testing.assert_frame_equal(*tables)
    assert len(frame) >= len(tables[0])
