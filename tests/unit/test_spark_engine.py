"""The same expressions through PySpark on this machine: equal to DuckDB, bit for bit. Skipped without PySpark or Java.

Runs alone as well: ``pytest tests/unit/test_spark_engine.py``. One session serves the module: the JVM starts slowly.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from national_files import national_frame, written

from evalkit.arrays.cell_sums import CellSums
from evalkit.design import Design
from evalkit.errors import DataError, FileError, UsageError
from evalkit.scale import (
    Engine,
    MatchRule,
    matched_pool,
    national_cells,
    open_engine,
    open_pension,
    open_source,
    pension_panel,
    place_cells,
    supported_panel,
    with_programme,
)

JAVA = shutil.which("java") is not None or (Path(os.environ.get("JAVA_HOME", "")) / "bin" / "java").is_file()
PYSPARK = importlib.util.find_spec("pyspark") is not None
# PySpark says at import that it does not fully support pandas 3, and leaves sockets and files of its gateway open
pytestmark = [
    pytest.mark.skipif(not PYSPARK, reason="PySpark is not installed"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
needs_java = pytest.mark.skipif(not JAVA, reason="Java is not installed")

FRAME = national_frame(100, seed=5).query("2015 <= year <= 2019")
DESIGN = Design("sales", cluster="sido")
WHERE: dict[str, Any] = {"unit": "id", "period": "year"}
RULE = MatchRule(size_edges=(10,), age_edges=(), lags=2, ratio=2)


@pytest.fixture(scope="module")
def spark() -> Iterator[Engine]:
    with open_engine("spark", memory="1GB", threads=2) as opened:
        # a few hundred rows: compiling every query would take longer than running it
        for name, value in (
            ("spark.sql.codegen.wholeStage", "false"),
            ("spark.sql.codegen.factoryMode", "NO_CODEGEN"),
            ("spark.sql.shuffle.partitions", "1"),
            ("spark.sql.adaptive.enabled", "false"),
        ):
            opened.backend._session.conf.set(name, value)
        yield opened


@pytest.fixture(scope="module")
def duck() -> Iterator[Engine]:
    with open_engine("duckdb", memory="500MB", threads=2) as opened:
        yield opened


@needs_java
def test_cells_are_the_same_to_the_last_bit(spark: Engine, duck: Engine, tmp_path: Path) -> None:
    path = written(FRAME, tmp_path / "national.parquet")
    design = replace(DESIGN, weight="w")
    ours, theirs = (
        national_cells(open_source(e, path), design, window=(2016, 2019), **WHERE).sums for e in (duck, spark)
    )
    for field in fields(CellSums):
        assert getattr(ours, field.name).tolist() == getattr(theirs, field.name).tolist(), field.name


@needs_java
def test_partitions_programmes_and_places_are_the_same(spark: Engine, duck: Engine, tmp_path: Path) -> None:
    for year, part in FRAME.groupby("year"):
        place = tmp_path / "national" / f"year={year}"
        place.mkdir(parents=True)
        written(part.drop(columns=["year", "adoption"]), place / "part.parquet")
    firms = FRAME.dropna(subset=["adoption"]).drop_duplicates("id")[["id", "adoption"]]
    sums, tables = [], []
    for engine in (duck, spark):
        opened = open_source(engine, tmp_path / "national")
        sums.append(
            national_cells(with_programme(opened, firms, unit="id"), DESIGN, **WHERE).sums.sums.tolist()
        )
        tables.append(
            place_cells(opened, period="year", region="region", industry="industry", values=["sales"])
        )
    assert sums[0] == sums[1]
    pd.testing.assert_frame_equal(*tables, check_dtype=False)


@needs_java
def test_panels_and_matches_are_the_same(spark: Engine, duck: Engine, tmp_path: Path) -> None:
    path = written(FRAME, tmp_path / "national.parquet")
    panels, pools = [], []
    for engine in (duck, spark):
        source = open_source(engine, path)
        panels.append(supported_panel(source, DESIGN, labels=["sido"], **WHERE))
        pools.append(matched_pool(source, DESIGN, rule=RULE, **WHERE))
    pd.testing.assert_frame_equal(*(panel.to_long() for panel in panels))
    pd.testing.assert_frame_equal(*(pool.pairs for pool in pools), check_dtype=False)
    pd.testing.assert_frame_equal(*(pool.panel.to_long() for pool in pools))


@needs_java
def test_text_and_months_are_the_same(spark: Engine, duck: Engine, tmp_path: Path) -> None:
    header = "자료생성년월,사업장명,사업자등록번호,고객법정동주소코드,적용일자,가입자수,당월고지금액"
    for month in ("2021-03", "2021-04"):
        lines = [
            f"{month},회사{i}(주),{126810 + i},4161033025,1988-01-0{i + 1},{i + 3},100" for i in range(4)
        ]
        (tmp_path / f"{month}.csv").write_bytes("\n".join([header, *lines]).encode("cp949"))
    panels = [pension_panel(open_pension(engine, tmp_path, key=b"k")) for engine in (duck, spark)]
    pd.testing.assert_frame_equal(*(panel.to_long() for panel in panels))


@needs_java
def test_faults_are_the_same_sentences(spark: Engine, tmp_path: Path) -> None:
    twice = written(pd.concat([FRAME, FRAME.iloc[:1]]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="같은 단위와 기간이 두 번 이상 있음"):
        national_cells(open_source(spark, twice), DESIGN, **WHERE)
    whole = written(FRAME, tmp_path / "b.parquet").read_bytes()
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="끝이 잘림"):
        open_source(spark, cut)


def test_without_java_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("JAVA_HOME", "")
    with pytest.raises(
        UsageError, match=r"스파크를 돌릴 자바가 없음. → Java 17 이상을 설치하거나 엔진을 duckdb 로"
    ):
        open_engine("spark")
