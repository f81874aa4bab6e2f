"""Real code lists: the system and the time that each is in, labels that fit, the panel on other boundaries."""

from __future__ import annotations

import csv

import pandas as pd
import pytest
from shared_files import REAL, SHARED, needs_facts, needs_real

from evalkit.errors import DataError
from evalkit.ingest.carrying import freeze
from evalkit.ingest.code_systems import detect_system
from evalkit.ingest.kostat import kostat_table
from evalkit.ingest.region_names import name_conflicts
from evalkit.ingest.split_weights import UnitSizes


def text(name: str) -> pd.DataFrame:
    return pd.read_csv(REAL / name, dtype="str")


@needs_real
def test_codes_of_the_2024_panel_are_found_out():
    found = detect_system(text("region_master_2024.csv")["code"])
    assert (found.system, str(found.first), str(found.last)) == ("mois_city", "2024-01-18", "2026-06-30")
    # thirteen cities with 구 in 2024 stand whole in this list
    assert (found.evidence.loc[found.evidence["system"] == "mois_district", "share"] < 1).all()


@needs_facts
def test_the_table_of_two_systems_is_read_as_it_says():
    with (SHARED / "facts" / "sgg_kostat2018_mois.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert detect_system([row["kostat5_2018"] for row in rows]).system == "kostat_district"
    old = detect_system([row["mois5_2018base"] for row in rows])
    assert (old.system, str(old.last)) == (
        "mois_district",
        "2018-06-30",
    )  # the table still has 인천 남구 (28170)
    renamed = {"28170": "28177"}
    table = kostat_table()
    assert {r["kostat5_2018"]: renamed.get(r["mois5_2018base"], r["mois5_2018base"]) for r in rows} == table


@needs_real
def test_labels_of_the_panel_fit_their_codes():
    frame = text("kr_sigungu_panel_2010_2024.csv")
    found = name_conflicts(frame["code"], frame["sigungu"], 2024, provinces=frame["sido"], level="city")
    assert found.empty
    first, second = frame.index[frame["sigungu"].isin(["제주시", "서귀포시"]) & (frame["year"] == "2015")]
    frame.loc[[first, second], "sigungu"] = frame.loc[[second, first], "sigungu"].to_numpy()
    swapped = name_conflicts(frame["code"], frame["sigungu"], 2024, provinces=frame["sido"], level="city")
    assert swapped["row"].tolist() == [first, second]
    assert swapped["whose"].tolist() == ["50130", "50110"]


@needs_real
def test_the_pension_file_is_in_법정동_codes_with_one_of_another_time():
    frame = text("nps_firms_202204_sample.csv")
    column = next(name for name in frame if "법정동주소코드" in name)
    found = detect_system(frame[column], date="2022-04", stale="list")
    assert found.system == "legal_town"
    assert found.strange == ("41195",)
    assert found.repairs == {"코드의 소수점 뺌": int(frame[column].notna().sum())}
    other = next(name for name in frame if "행정동주소코드" in name)
    with pytest.raises(DataError, match="자릿수가 다른"):
        detect_system(frame[other])


@needs_real
def test_national_population_stands_on_every_boundary():
    """229 units of 2024 to those of 2018, 2020 and 2026; 2026 needs the shares of 중구 (영종) and 서구."""
    frame = text("kr_sigungu_panel_2010_2024.csv").rename(columns={"code": "region"})
    frame = frame.assign(n=frame["population"].astype(float), when="2024-12-31")[
        ["region", "year", "n", "when"]
    ]
    whole = frame.groupby("year")["n"].sum()
    for base in ("2018-12-31", 2020, 2026):
        got = freeze(frame, "n", base, level="city", weights="follow", year="when", by=["year"])
        sums = got.frame.groupby("year")["n"].sum()
        assert (sums == whole).all(), base
        assert (
            got.frame["region"].nunique() == 229
        )  # of 2026, 검단구 is in 서해구 when nothing is known of it
    half = UnitSizes("같은 몫", 2026, "district", {"28275": 1.0, "28290": 1.0})
    seoul = frame[frame["region"] == "28260"]
    parts = freeze(seoul, "n", 2026, level="city", weights=half, year="when", by=["year"], whole=True).frame
    assert parts.groupby("year")["n"].sum().tolist() == seoul.groupby("year")["n"].sum().tolist()
