"""고용보험DB 맞춤형 추출: what the file says, and the sentences where it cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DataError, SchemaError
from evalkit.ingest.audit.kinds import kind_by_name
from evalkit.ingest.identifiers import business_check_digit
from evalkit.ingest.sources import read_source
from evalkit.panel import Panel
from evalkit.study.firms_sources import HEADS, composition

KEY = b"k"
HEAD = "기준연도,사업자등록번호,정규직,청년(만 15~34세),취득자수,상실자수"


A, B = (stem + str(business_check_digit(stem)) for stem in ("110860000", "220860000"))


def read(tmp_path: Path, rows: list[str], head: str = HEAD, encoding: str = "cp949") -> pd.DataFrame:
    path = tmp_path / "추출.csv"
    path.write_bytes("\n".join([head, *rows, ""]).encode(encoding))
    (table,) = read_source("employment_composition", path, key=KEY)
    return table.frame


@pytest.mark.parametrize("encoding", ["cp949", "utf-8-sig"])
def test_rows_of_firm_and_year(tmp_path: Path, encoding: str) -> None:
    rows = [f'2019,{A[:3]}-{A[3:5]}-{A[5:]},"1,012",310,55,-', f"2020,{A},1000,,40,52", f"2019,{B},-,-,-,9"]
    frame = read(tmp_path, rows, encoding=encoding)
    assert frame["firm_id"].nunique() == 2
    first = frame[frame["firm_id"] == frame["firm_id"].iloc[0]].set_index("year")
    assert first.loc[2019, ["regular", "youth", "hires", "separations"]].tolist() == [1012, 310, 55, 0]
    assert pd.isna(first.loc[2020, "youth"])  # an empty cell is not zero
    closed = frame[frame["firm_id"] != frame["firm_id"].iloc[0]].iloc[0]
    assert (closed["regular"], closed["separations"]) == (0, 9)
    assert A not in frame.astype(str).to_numpy()


def test_titles_totals_and_notes_are_left_out(tmp_path: Path) -> None:
    rows = ["", f"2019,{A},10,3,2,1", "합계,,10,3,2,1", "※ 연말 기준,,,,,"]
    assert len(read(tmp_path, rows, head="맞춤형 추출,,,,,\n,,,,,(단위: 명)\n" + HEAD)) == 1


@pytest.mark.parametrize(
    ("rows", "head", "error", "said"),
    [
        ([f"2019,{A},10,3,2"], HEAD.removesuffix(",상실자수"), SchemaError, "상실자수"),
        ([f"2019,{A},10,3,2,1", f"2019,{A},11,3,2,1"], HEAD, DataError, "겹"),
        ([f"2019,{A},10,-3,2,1"], HEAD, DataError, "-3"),
    ],
)
def test_what_cannot_be_read(
    tmp_path: Path, rows: list[str], head: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        read(tmp_path, rows, head=head)


def test_after_closing_nobody_comes_or_goes() -> None:
    """The year of closing keeps what the extract says, later years are zero, a firm that is missing alive stays missing."""
    values = np.array([[4.0, 9.0, np.nan], [3.0, np.nan, 5.0]])
    alive = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    panel = Panel(np.array(["a", "b"]), np.arange(2018, 2021), dict.fromkeys(HEADS, values), {})
    found = composition(panel, alive)
    assert set(found) == set(HEADS)
    np.testing.assert_array_equal(found["hires"], [[4.0, 9.0, 0.0], [3.0, np.nan, 5.0]])
    assert composition(Panel(panel.units, panel.periods, {"jobs": values}, {}), alive) == {}


def test_a_founding_is_no_hiring() -> None:
    """The first year of a firm says nothing of flows; that of the files may be any firm's."""
    values = np.array([[4.0, 9.0, 5.0], [np.nan, 12.0, 5.0]])
    alive = np.array([[1.0, 1.0, 1.0], [np.nan, 1.0, 1.0]])
    panel = Panel(np.array(["a", "b"]), np.arange(2018, 2021), dict.fromkeys(HEADS, values), {})
    found = composition(panel, alive)
    for name in ("hires", "separations"):
        np.testing.assert_array_equal(found[name], [[4, 9, 5], [np.nan, np.nan, 5]])
    np.testing.assert_array_equal(found["regular"], values)


def test_separations_are_persons_and_no_ratio() -> None:
    assert kind_by_name("separations", "명") == "count"
    assert kind_by_name("debt_ratio") == "share"
