"""Guesses of real files: the declared tables are found, the rest is left alone, and a guessed mapping reads as the declaration."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from shared_files import REAL, needs_real

from evalkit.errors import EvalkitError
from evalkit.ingest import read_source
from evalkit.ingest.workbook.guessing import guess
from evalkit.ingest.workbook.writing import mapping_text

KEY = b"real files"
pytestmark = needs_real


@pytest.mark.parametrize(
    ("name", "source", "table", "answers"),
    [
        ("nps_firms_202204_sample.csv", "national_pension", "national_pension", {}),
        ("kr_sigungu_panel_2010_2024.csv", "region_panel", "region_panel", {}),
        ("hyeoksin_cities_10.csv", "membership", "membership", {"region_year": "2024"}),
    ],
)
def test_a_guessed_mapping_reads_as_the_declaration(
    tmp_path: Path, name: str, source: str, table: str, answers: dict[str, str]
) -> None:
    found = guess(REAL / name)
    assert [one.name for one in found.tables] == [table]
    assert found.questions == len(answers)
    text = mapping_text(found)
    for key, answer in answers.items():
        text = text.replace(f"{key}: ???", f"{key}: {answer}")
    mapping = tmp_path / "a.map.yml"
    mapping.write_text(text, encoding="utf-8")
    options = {"cut_last_row": "drop"}  # the sample of the register breaks off in its last row
    (declared,) = read_source(source, REAL / name, key=KEY, options=options)
    (mapped,) = read_source(source, REAL / name, key=KEY, options={**options, "mapping": str(mapping)})
    pd.testing.assert_frame_equal(declared.frame, mapped.frame)
    assert declared.flow == mapped.flow


def test_no_workplace_of_the_register_stands_in_its_mapping() -> None:
    path = REAL / "nps_firms_202204_sample.csv"
    text = mapping_text(guess(path)).split("schema_version")[1]
    names = pd.read_csv(path, dtype=str, usecols=[1, 2], nrows=3000)
    bare = set(re.split(r"[^\w()]+", text))
    assert not bare & set(names.iloc[:, 0].dropna())
    assert not bare & set(names.iloc[:, 1].dropna())


@pytest.mark.parametrize(
    "name",
    ["adjacency_229.csv", "kr_deflators.csv", "listed_firm_hq_snapshots.csv", "region_master_2024.csv",
     "sido_emp_rate_annual.csv"],
)  # fmt: skip
def test_files_of_other_tables_are_left_alone(name: str) -> None:
    found = guess(REAL / name)
    assert not found.tables
    assert len(found.left) == 1


@pytest.mark.parametrize(
    ("name", "table"),
    [("centroids_229_2024.csv", "centroids"), ("listed_firm_hq_moves.csv", "listed_moves")],
)
def test_files_of_declared_tables_are_known(name: str, table: str) -> None:
    found = guess(REAL / name)
    assert [one.name for one in found.tables] == [table]


def test_an_index_of_many_provinces_is_not_taken_for_a_national_one(tmp_path: Path) -> None:
    """The headers of this file are those of a price index, but each year stands there once for every 시·도."""
    found = guess(REAL / "sido_cpi_annual.csv")
    (table,) = found.tables
    assert "연도 이(가) 같은 행" in table.asked
    mapping = tmp_path / "a.map.yml"
    mapping.write_text(mapping_text(found), encoding="utf-8")
    with pytest.raises(EvalkitError, match=r"table 을\(를\) 아직 정하지 않음"):
        read_source("deflator", REAL / "sido_cpi_annual.csv", options={"mapping": str(mapping)})
