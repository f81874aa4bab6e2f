"""The readers on files that none of us made; skipped where ../shared/data is absent. Numbers: README of that folder."""

from __future__ import annotations

import pandas as pd
import pytest
from shared_files import REAL as DATA
from shared_files import needs_real

from evalkit.errors import FileError
from evalkit.ingest import ColumnSpec, TableSpec, read_source, read_table, regions

pytestmark = needs_real
KEY = b"test key"

# 주민등록인구 at 31 December, 행정안전부
OFFICIAL_POPULATION = {
    2010: 50_515_666,
    2015: 51_529_338,
    2020: 51_829_023,
    2023: 51_325_329,
    2024: 51_217_221,
}


@pytest.fixture(scope="module")
def panel():
    (table,) = read_source("region_panel", DATA / "kr_sigungu_panel_2010_2024.csv")
    return table


def test_panel(panel):
    frame = panel.frame
    assert len(frame) == 3435
    assert frame["region"].nunique() == 229
    assert set(frame["region"]) == set(regions.municipalities(2018, level="city")["code"])
    assert [step.rows for step in panel.flow] == [3435, 3435]
    total = frame.groupby("year")["population"].sum()
    for year, people in OFFICIAL_POPULATION.items():
        assert total[year] == people


def test_panel_codes_are_those_of_2024(panel):
    moved = panel.frame[panel.frame["code"] != panel.frame["region"]]
    # 강원 18, 전북 14, 군위 1, each in 15 years
    assert len(moved) == (18 + 14 + 1) * 15 == 495
    assert set(moved["code"].str[:2]) == {"51", "52", "27"}
    gunwi = panel.frame[panel.frame["code"] == "27720"]
    assert set(gunwi["sido"]) == {"대구"}
    assert set(gunwi["sido_2018"]) == {"경북"}


def test_innovation_cities(panel):
    (table,) = read_source("membership", DATA / "hyeoksin_cities_10.csv")
    frame = table.frame
    assert len(frame) == 14
    assert frame["name"].nunique() == 10
    assert set(frame["adoption"]) == {2014}
    assert set(frame["region"]) <= set(panel.frame["region"])
    assert {"42130", "45110", "45710"} <= set(frame["region"])


def test_pension_file_breaks_off_in_its_last_row():
    path = DATA / "nps_firms_202204_sample.csv"
    with pytest.raises(FileError, match=r"29976행\] 마지막 행이 도중에 끊김"):
        read_source("national_pension", path, key=KEY)
    (table,) = read_source("national_pension", path, key=KEY, options={"cut_last_row": "drop"})
    frame = table.frame
    assert len(frame) == 29_974
    assert set(frame["month"]) == {pd.Timestamp("2022-04-01")}
    assert (~frame["joined"].dt.year.between(1988, 2003)).sum() == 1  # one of 2008 among the oldest
    assert frame["region"].notna().all()
    assert set(frame["region"]) <= set(regions.municipalities(2018)["code"])
    kinds = {r.kind: r.count for r in table.repairs}
    # five workplaces still stand under a 구 of 부천 that was abolished in 2016
    assert kinds["이미 없어진 지역 코드를 그 뒤의 지역으로 읽음"] == 5


def test_pension_regions_agree_with_the_addresses():
    """Oracle: the 시·도 written in the address against the 시·도 of the code."""
    (table,) = read_source(
        "national_pension", DATA / "nps_firms_202204_sample.csv", key=KEY, options={"cut_last_row": "drop"}
    )
    raw = pd.read_csv(DATA / "nps_firms_202204_sample.csv", dtype=str, keep_default_na=False).iloc[:-1]
    written = raw["사업장지번상세주소"].str.split().str[0]
    names = dict(zip(*regions_names(), strict=True))
    known = written.isin(names).to_numpy()
    assert known.mean() > 0.99
    assert (
        written[known].map(names).to_numpy() == regions.sido_of(table.frame["region"])[known]
    ).mean() > 0.999


def regions_names() -> tuple[list[str], list[str]]:
    full = ["서울특별시", "부산광역시", "대구광역시", "인천광역시", "광주광역시", "대전광역시", "울산광역시", "세종특별자치시", "경기도",
            "강원도", "충청북도", "충청남도", "전라북도", "전라남도", "경상북도", "경상남도", "제주특별자치도"]  # fmt: skip
    short = ["서울", "부산", "대구", "인천", "광주", "대전", "울산", "세종", "경기", "강원", "충북", "충남", "전북", "전남", "경북", "경남", "제주"]  # fmt: skip
    return full, short


HEAD_OFFICES = TableSpec(
    name="head_offices",
    title="상장사 본사",
    row_meaning="한 시점의 한 상장사",
    key=("snapshot", "code"),
    columns=(
        ColumnSpec("snapshot", ("snapshot",), "month", "시점", nullable=False),
        ColumnSpec("code", ("code",), "code", "종목 코드", digits=6, nullable=False),
        ColumnSpec("listed", ("listed",), "date", "상장일"),
        ColumnSpec("sido", ("hq_sido",), "text", "본사 시·도"),
    ),
)


def test_listed_firms():
    table = read_table(DATA / "listed_firm_hq_snapshots.csv", HEAD_OFFICES)
    assert len(table.frame) == 37_404
    assert table.frame["code"].nunique() == 3208
    assert table.frame["snapshot"].nunique() == 15
    assert table.frame["code"].str.len().eq(6).all()
    assert set(table.frame["sido"].dropna()) <= {*regions.CAPITAL, *regions.PROVINCES}
