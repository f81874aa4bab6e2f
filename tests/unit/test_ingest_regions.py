"""Codes of any date against the fact tables: 250 and 229 units, every change of 2010–2026, addresses."""

from __future__ import annotations

import csv
import datetime as dt
from importlib import resources

import numpy as np
import pytest
from shared_files import SHARED, needs_facts

from evalkit.errors import ValueProblem
from evalkit.ingest import addresses, regions


def rows(name: str) -> list[dict[str, str]]:
    text = resources.files("evalkit.ingest").joinpath("facts", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize(
    ("date", "district", "city", "provinces"),
    [
        (2011, 251, 230, 16),  # 청원군 and 청주 apart, no 세종
        (2015, 252, 229, 17),  # three 구 of 부천
        (2018, 250, 229, 17),
        (2024, 252, 229, 17),  # three 구 of 부천 again
        ("2026-06-30", 255, 229, 17),  # four 구 of 화성
        (2026, 256, 230, 16),  # 광주 and 전남 one 시·도
    ],
)
def test_number_of_units(date, district, city, provinces):
    assert len(regions.municipalities(date)) == district
    frame = regions.municipalities(date, level="city")
    assert len(frame) == city
    assert frame["sido"].nunique() == provinces
    assert frame["code"].is_unique


@pytest.mark.parametrize(("column", "date"), [("mois_2024", 2024), ("mois_2026_07", "2026-07-01")])
def test_published_codes_lead_back_to_2018(column, date):
    """Oracle: the correspondence table, made independently of the list of changes."""
    table = rows("municipalities_2018.csv")
    published = {code for row in table for code in row[column].split("|")}
    assert set(regions.municipalities(date)["code"]) == published
    for row in table:
        for code in row[column].split("|"):
            base = regions.to_base([code], date)[0]
            if code == "28125":  # 제물포구 = 중구 inland + 동구: followed as 동구
                assert (base, regions.is_approximate([code], date)[0]) == ("28140", True)
            else:
                assert base == row["code"]


@pytest.mark.parametrize("level", ["district", "city"])
def test_there_and_back_for_every_year(level):
    base = regions.municipalities(2018, level=level)["code"].to_numpy(dtype=str)
    for year in range(2010, 2028):
        codes = regions.code_at(base, year, level=level)
        back = regions.to_base(codes, dt.date(year, 12, 31), level=level)
        lost = set(base[base != back])
        # 청주시서원구 was part of 상당구 and 흥덕구 before 2014-07-01
        assert lost == ({"43112"} if level == "district" and year < 2014 else set()), year


def test_every_change_begins_and_ends_on_its_day():
    whole = regions.municipalities(2018, level="city")["code"].tolist()
    for row in rows("changes_2010_2026.csv"):
        if row["old_codes"] == "45110":
            level = "city"
        else:
            level = "district"
        day = dt.date.fromisoformat(row["date"])
        before, after = (
            set(regions.municipalities(d, level=level)["code"]) for d in (day - dt.timedelta(1), day)
        )
        old, new = set(row["old_codes"].split("|")), set(row["new_codes"].split("|"))
        assert old <= before
        assert new <= after
        assert not (old - new) & after
        assert not (new - old) & before
    assert len(whole) == 229


def test_a_code_of_another_time_names_the_change():
    with pytest.raises(
        ValueProblem, match=r"28170 은\(는\) 2022년에 이미 없어진 코드.*2018-07-01.*미추홀구\(28177\)"
    ):
        regions.to_base(["28170"], 2022)
    with pytest.raises(ValueProblem, match=r"51110 은\(는\) 2020년에 아직 없던 코드.*2023-06-11"):
        regions.to_base(["42110", "51110"], 2020)
    with pytest.raises(ValueProblem, match=r"99999 은.*없음"):
        regions.to_base(["99999"], 2020)
    with pytest.raises(ValueProblem, match=r"41110.*단위와 다름"):
        regions.to_base(["41110"], 2020)
    with pytest.raises(ValueProblem, match="2018x"):
        regions.to_base(["11110"], "2018x")


def test_a_year_reads_what_was_valid_on_any_of_its_days():
    assert regions.to_base(["42110", "51110"], 2023).tolist() == ["42110", "42110"]
    with pytest.raises(ValueProblem):
        regions.to_base(["42110"], "2023-07")
    assert regions.to_base(["42110"], "2023-06").tolist() == ["42110"]


@pytest.mark.parametrize(
    ("text", "date", "code", "base"),
    [
        ("경기도 광주시 도척면 도척윗로", 2022, "41610", "41610"),
        ("광주시 북구 용봉동", 2022, "29170", "29170"),
        ("강원특별자치도춘천시 동면", 2020, "42110", "42110"),
        ("강원도 춘천시", 2024, "51110", "42110"),
        ("전라북도 전주시 완산구", 2024, "52111", "45111"),
        ("세종특별자치시 한누리대로 2130", 2020, "36110", "36110"),
        ("대구 군위군", 2020, "47720", "47720"),
        ("경북 군위군 소보면", 2025, "27720", "47720"),
        ("인천 남구 주안동", 2023, "28177", "28177"),
        ("전남 목포시", 2026, "12110", "46110"),
        ("전남광주통합특별시 목포시", 2026, "12110", "46110"),
        ("충남 당진군", 2018, "44270", "44270"),
        ("(06234) 서울특별시 강남구 역삼동", 2018, "11680", "11680"),
        ("강원 고성군", 2018, "42820", "42820"),
        ("경상남도 창원시 성산구 중앙대로", 2018, "48123", "48123"),
        ("경남 진해시", 2018, "48129", "48129"),
        ("충북 청원군 오창읍", 2013, "43710", "43114"),
        ("경남 고성군", 2018, "48820", "48820"),
    ],
)
def test_addresses(text, date, code, base):
    assert addresses.parse_address(text, date) == code
    assert addresses.address_to_base([text], date).tolist() == [base]


@pytest.mark.parametrize(
    "text",
    [
        "중구 명동",
        "제주시 연동",
        "고성군",
        "경기 수원시 매산로",
        "경남 창원시",
        "충북 청원군 오창읍",
        "",
        "서울",
    ],
)
def test_a_place_is_never_guessed(text):
    with pytest.raises(ValueProblem):
        addresses.parse_address(text, 2018)


def test_provinces():
    assert len(regions.PROVINCES) == 14
    outside = {s for s in regions.municipalities(2018)["sido"] if s not in regions.CAPITAL}
    assert outside == set(regions.PROVINCES)
    assert regions.is_capital("28177")
    assert not regions.is_capital("51110")
    assert regions.sido_short("12110") == "전남광주"
    assert regions.sido_of(["42110", "11110"]).tolist() == ["강원", "서울"]
    assert regions.to_city(["41111", "36110", "41110"]).tolist() == ["41110", "36110", "41110"]
    with pytest.raises(ValueProblem, match="앞 두 자리"):
        regions.sido_short("99")


@needs_facts
def test_facts_are_those_of_the_source():
    """The carried tables against the tables that they were carried from."""
    with (SHARED / "facts" / "sgg_kostat2018_mois.csv").open(encoding="utf-8") as stream:
        source = {row["mois5_2018base"].replace("28170", "28177"): row for row in csv.DictReader(stream)}
    carried = {row["code"]: row for row in rows("municipalities_2018.csv")}
    assert set(source) == set(carried)
    for code, row in carried.items():
        assert row["mois_2024"] == source[code]["mois5_2024"]
        assert row["mois_2026_07"] == source[code]["mois5_2026_07"]
    with (SHARED / "facts" / "sgg_changes_2010_2026.csv").open(encoding="utf-8") as stream:
        changes = [(r["date"], r["old_codes"]) for r in csv.DictReader(stream)]
    assert changes == [(r["date"], r["old_codes"]) for r in rows("changes_2010_2026.csv")]


def test_empty_input():
    assert len(regions.to_base([], 2020)) == 0
    assert regions.to_base(np.array(["11110"]), 2020).dtype.kind == "U"
