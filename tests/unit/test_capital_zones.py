"""Zones of 수도권 by 시·군·구, and by 읍·면·동 where a 시·군·구 does not decide (수도권정비계획법 시행령 별표 1)."""

from __future__ import annotations

import pytest

from evalkit.errors import RefusalError, ValueProblem
from evalkit.ingest import regions
from evalkit.ingest.capital_zones import capital_zone, zone_of_address, zone_parts


def test_every_unit_of_the_capital_region_has_an_answer():
    frame = regions.municipalities(2018)
    zones = capital_zone(frame["code"], 2020)
    inside = frame["sido"].isin(regions.CAPITAL).to_numpy()
    assert (zones[~inside] == "").all()
    assert (zones[inside] != "").all()
    assert dict(
        zip(*map(list, (frame["code"][zones == "부분"], frame["sigungu"][zones == "부분"])), strict=True)
    ) == {
        "28110": "중구",
        "28185": "연수구",
        "28200": "남동구",
        "28260": "서구",
        "41360": "남양주시",
        "41390": "시흥시",
        "41461": "용인시처인구",
        "41550": "안성시",
    }
    # 서울 25, 인천 동·미추홀·부평·계양, 의정부 … : the numbers of whole units
    assert [int((zones == z).sum()) for z in ("과밀억제", "성장관리", "자연보전")] == [49, 15, 5]


@pytest.mark.parametrize(
    ("code", "date", "zone"),
    [
        ("11110", 2020, "과밀억제"),
        ("28710", 2020, "성장관리"),
        ("41590", 2020, "성장관리"),
        ("41595", "2026-03", "성장관리"),  # a 구 of 화성
        ("41670", 2020, "자연보전"),
        ("41730", 2012, "자연보전"),  # 여주군
        ("41192", 2024, "과밀억제"),  # a 구 of 부천
        ("28125", 2026, "부분"),  # 제물포구: 동구 and the inland of 중구
        ("28155", 2026, "부분"),
        ("47720", 2020, ""),
        ("12110", 2026, ""),
    ],
)
def test_codes_of_their_time(code, date, zone):
    assert capital_zone([code], date).tolist() == [zone]


def test_cities_as_a_whole():
    assert capital_zone(["41460", "41110", "41270"], 2020, level="city").tolist() == [
        "부분",
        "과밀억제",
        "성장관리",
    ]
    assert capital_zone(["41190", "41590"], 2026, level="city").tolist() == ["과밀억제", "성장관리"]


@pytest.mark.parametrize(
    ("code", "town", "village", "zone"),
    [
        ("41360", "호평동", "", "과밀억제"),
        ("41360", "진접읍", "", "성장관리"),
        ("41360", "화도읍", "", "자연보전"),
        ("41360", "퇴계원면", "", "성장관리"),  # a 읍 since
        ("41360", "어느동", "", "부분"),
        ("41360", "", "", "부분"),
        ("41461", "원삼면", "고당리", "성장관리"),
        ("41461", "원삼면", "사암리", "자연보전"),
        ("41461", "원삼면", "", "부분"),
        ("41461", "포곡읍", "", "자연보전"),
        ("41461", "이동면", "", "성장관리"),
        ("41550", "죽산면", "두교리", "성장관리"),
        ("41550", "삼죽면", "배태리", "자연보전"),
        ("41550", "공도읍", None, "성장관리"),
        ("28260", "오류동", "", "성장관리"),
        ("28260", "가정동", "", "부분"),  # 경제자유구역 or not: no 동 says it
        ("28200", "고잔동", "", "부분"),
        ("41390", "정왕동", float("nan"), "부분"),
    ],
)
def test_towns_and_villages_decide_where_the_code_does_not(code, town, village, zone):
    assert capital_zone([code], 2020, towns=[town], villages=[village]).tolist() == [zone]


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("경기도 용인시 처인구 원삼면 고당리 산 1", "성장관리"),
        ("경기 용인시 처인구 중부대로 1199", "부분"),
        ("경기 용인시 처인구 중부대로 1199 (삼가동)", "자연보전"),
        ("경기 남양주시 경춘로 1 (호평동, 한신상가)", "과밀억제"),
        ("인천광역시 서구 오류동 1", "성장관리"),
        ("서울 강남구 테헤란로", "과밀억제"),
        ("강원 춘천시 동면", ""),
    ],
)
def test_addresses(address, zone):
    assert zone_of_address(address, 2020) == zone


def test_refusals():
    with pytest.raises(RefusalError, match="2010 의 수도권 권역"):
        capital_zone(["11110"], 2010)
    with pytest.raises(RefusalError, match="시·도 코드로는"):
        capital_zone(["11"], 2020, level="province")
    with pytest.raises(ValueProblem, match="99999"):
        capital_zone(["99999"], 2020)
    with pytest.raises(ValueProblem, match="26110"):
        zone_parts("26110")
    parts = zone_parts("28260")
    assert parts["나눈 기준"].tolist() == ["읍·면·동", "구역", "그 밖의 곳"]
    assert parts["근거"].str.contains("별표 1").all()


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ("화도읍 마석우리 101동", "자연보전"),  # a 읍 beats the 동 of a house behind it
        ("진접읍 1 (수동면)", "성장관리"),  # of several the first
        ("다산동 1 (별내동)", "성장관리"),  # of 동 the last
        ("별내동 1 (다산동)", "과밀억제"),
        ("다산동 마석우리", "과밀억제"),  # a 리 is no town
        ("마석우리 1", "부분"),
        ("경춘로 1", "부분"),
    ],
)
def test_which_word_of_an_address_is_the_town(place, zone):
    assert zone_of_address(f"경기도 남양주시 {place}", 2020) == zone
