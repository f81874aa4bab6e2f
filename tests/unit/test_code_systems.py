"""Code systems are found from the codes; 통계청 and 행정안전부 side by side; names only check."""

from __future__ import annotations

import datetime as dt

import pytest

from evalkit.errors import DataError, RefusalError, ValueProblem
from evalkit.ingest import regions
from evalkit.ingest.carrying import carry
from evalkit.ingest.code_repairs import repair_codes
from evalkit.ingest.code_systems import detect_system
from evalkit.ingest.crosswalk import crosswalk
from evalkit.ingest.kostat import (
    kostat_crosswalk,
    kostat_table,
    kostat_to_base,
    kostat_to_mois,
    kostat_to_sido,
    mois_to_kostat,
    sido_to_kostat,
)
from evalkit.ingest.region_names import codes_of_names, name_conflicts, repeated_names
from evalkit.ingest.split_weights import SplitWeights
from evalkit.ingest.territory import land_on


def test_every_kostat_code_of_2018_has_its_mois_code():
    table = kostat_table()
    assert len(table) == 250
    assert set(table.values()) == set(regions.municipalities(2018)["code"])
    assert len(kostat_table("city")) == 229
    assert set(kostat_table("city").values()) == set(regions.municipalities(2018, level="city")["code"])
    assert kostat_to_base(["33040", "31010"], level="city").tolist() == ["43110", "41110"]
    assert mois_to_kostat(kostat_to_base(table), 2020).tolist() == list(table)


def test_kostat_to_any_date():
    assert kostat_to_mois(["32010", "35011", "37310"], 2024).tolist() == ["51110", "52111", "27720"]
    assert kostat_to_mois(["24010", "36010"], 2026).tolist() == ["12210", "12110"]
    with pytest.raises(RefusalError, match="41590 화성시 → "):
        kostat_to_mois(["31240"], 2026)
    weights = SplitWeights("손", {"41590": {"41591": 0.25, "41593": 0.25, "41595": 0.25, "41597": 0.25}})
    frame = kostat_crosswalk(2026, weights=weights, codes=["31240"]).frame
    assert frame["source"].tolist() == ["31240"] * 4
    assert frame["weight"].tolist() == [0.25] * 4


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (["99999"], "2018년 통계청 시군구 코드에 없음"),
        (["26110"], "행정안전부 코드임"),
        (["31010"], "지역 단위와 다름"),
    ],
)
def test_no_kostat_code(codes, words):
    with pytest.raises(ValueProblem, match=words):
        kostat_to_base(codes)


@pytest.mark.parametrize(
    ("code", "date"),
    [("27720", "2023-07-01"), ("41192", 2024), ("41591", "2026-02-01"), ("12110", 2026), ("28125", 2026)],
)
def test_new_kostat_codes_are_not_known(code, date):
    with pytest.raises(RefusalError, match=f"{code} .*통계청의 새 코드를 이 도구가 알지 못함"):
        mois_to_kostat([code], date)


def test_mois_to_kostat():
    assert mois_to_kostat(["47720"], "2023-06").tolist() == ["37310"]
    assert mois_to_kostat(["51110", "52111", "28177"], 2024).tolist() == ["32010", "35011", "23030"]
    assert mois_to_kostat(["41110"], 2024, level="city").tolist() == ["31010"]
    with pytest.raises(RefusalError, match=r"43710 청원군 은.*2018년과 경계가 달라"):
        mois_to_kostat(["43710"], 2013)
    with pytest.raises(ValueProblem, match="51110"):
        mois_to_kostat(["51110"], 2020)


def test_provinces():
    assert sido_to_kostat(["26", "42"], 2022).tolist() == ["21", "32"]
    assert sido_to_kostat(["51", "52"], 2024).tolist() == ["32", "35"]
    assert kostat_to_sido(["21", "32", "35", "29"], 2024).tolist() == ["26", "51", "52", "36"]
    assert kostat_to_sido(["32"], 2022).tolist() == ["42"]
    with pytest.raises(RefusalError, match="시·도 12: 통계청의 새 코드"):
        sido_to_kostat(["12"], 2026)
    with pytest.raises(ValueProblem, match=r"51 은.*2020"):
        sido_to_kostat(["51"], 2020)
    with pytest.raises(ValueProblem, match="28 은"):
        kostat_to_sido(["28"], 2020)
    with pytest.raises(ValueProblem, match=r"24 은.*2026"):
        kostat_to_sido(["24"], 2026)


def test_whole_lists_are_told_apart():
    assert detect_system(regions.municipalities(2018)["code"]).system == "mois_district"
    assert detect_system(regions.municipalities(2018, level="city")["code"]).system == "mois_city"
    assert detect_system(kostat_table()).system == "kostat_district"
    assert detect_system(kostat_table("city")).system == "kostat_city"
    assert detect_system(["11", "26", "27", "41"]).system == "mois_province"
    assert detect_system(["11", "21", "22", "39"]).system == "kostat_province"


@pytest.mark.parametrize(
    ("date", "first", "last"),
    [
        (2018, "2018-07-01", "2023-06-10"),
        (2024, "2024-01-18", "2026-01-31"),
        (2026, "2026-07-01", "9999-12-31"),
        (2015, "2014-07-01", "2016-07-03"),
    ],
)
def test_the_time_of_a_list(date, first, last):
    found = detect_system(list(land_on(date)))
    assert (found.first, found.last) == (dt.date.fromisoformat(first), dt.date.fromisoformat(last))
    assert detect_system(list(land_on(date)), date=date).system == "mois_district"


def test_a_claimed_date_is_checked():
    with pytest.raises(ValueProblem, match=r"51110 은.*2020년에 아직 없던.*2023-06-11"):
        detect_system(["51110", "11110", "26110"], date=2020)
    with pytest.raises(ValueProblem, match="시·도 코드 51"):
        detect_system(["51", "26", "27"], date=2020)


def test_two_systems_that_both_fit_are_asked():
    """11110 and 11140 are 종로구 and 중구 of 행정안전부, 노원구 and 마포구 of 통계청."""
    with pytest.raises(DataError, match=r"정할 수 없음: 행정안전부.*통계청.*11110, 11140"):
        detect_system(["11110", "11140"])
    assert detect_system(["11110", "11140"], names=["종로구", "중구"]).system == "mois_district"
    assert detect_system(["11110", "11140"], names=["노원구", "서울 마포구"]).system == "kostat_district"
    assert detect_system(["11110", "11140"], system="kostat_district").system == "kostat_district"
    with pytest.raises(DataError, match="정할 수 없음"):
        detect_system(["11110", "11140"], names=["가", "나"])
    with pytest.raises(DataError, match="정할 수 없음"):
        detect_system(["11", "26", "31"])
    assert detect_system(["11", "26", "31"], names=["서울", "울산", "경기"]).system == "kostat_province"


def test_a_claimed_system_is_checked():
    with pytest.raises(
        ValueProblem, match=r"통계청 시군구.* 이\(가\) 아님 .예: 26110.; 맞는 체계: 행정안전부"
    ):
        detect_system(["26110", "26140"], system="kostat_district")
    with pytest.raises(ValueProblem, match="법정동"):
        detect_system(["9999901000"], system="legal_town")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "하나도 없음"),
        (["", None, "-"], "하나도 없음"),
        (["11110", "서울"], "지역 코드가 아닌 값 '서울'"),
        (["11110", "11"], "자릿수가 다른 코드"),
        (["111"], "3자리 지역 코드"),
        (["41110", "41111", "41113"], "시 전체와 그 일반구.*41110.*두 번"),
        (["42110", "51130", "11110"], "한 시점에 함께 쓰인 코드가 아님"),
        (["26110", "99999"], "어느 체계에도.*99999"),
        (["4161033025", "1159051000", "1159010100"], "법정동 코드와 행정동 코드가 섞여"),
        (["1111010100300010000"], "11번째 자리"),
    ],
)
def test_columns_that_cannot_be_read(values, words):
    with pytest.raises(DataError, match=words):
        detect_system(values)


@pytest.mark.parametrize(
    ("values", "system"),
    [
        (["1159010100", "4161033025"], "legal_town"),
        (["1159051000", "2826072000"], "administrative_town"),
        (["4161033000", "4165025000"], "either_town"),
        (["1101053", "31191510", "2101051"], "kostat_town"),
        (["1111010100100010000", "4161033025200010001"], "parcel"),
    ],
)
def test_longer_codes(values, system):
    found = detect_system(values)
    assert found.system == system
    assert found.municipalities.tolist() == [value[:5] for value in values]


def test_old_codes_in_a_register_are_listed_when_asked():
    codes = [*land_on(2022), "41195"]
    with pytest.raises(ValueProblem, match="한 시점에"):
        detect_system(codes, date=2022)
    found = detect_system(codes, date=2022, stale="list")
    assert found.strange == ("41195",)
    assert found.system == "mois_district"
    with pytest.raises(DataError, match="99999"):
        detect_system([*land_on(2022), "99999"], stale="list")


def test_what_spreadsheets_did_is_taken_back():
    codes, repairs, lost = repair_codes(
        [
            "11110.0",
            11110.0,
            "'11110",
            "4161033025.0",
            "4.16103E+09",
            "4.16E+09",
            "1.1110E+4",
            "11,110",
            None,
            "２６１１０",
        ]
    )
    assert codes.tolist() == [
        "11110", "11110", "11110", "4161033025", "4161030000", "", "11110", "11110", "", "26110",
    ]  # fmt: skip
    assert lost == (5,)
    assert repairs == {
        "코드의 소수점 뺌": 3,
        "코드 앞뒤의 기호와 빈칸 뺌": 1,
        "지수로 바뀐 코드의 남은 자리로 읽음": 1,
        "지수로 바뀐 코드 되돌림": 1,
        "코드의 쉼표 뺌": 1,
    }


def test_swapped_labels_are_listed_and_codes_count():
    codes = ["28245", "28237", "26140", "41111"]
    names = ["부평구", "계양구", "서구", "장안구"]
    found = name_conflicts(codes, names, 2020, provinces=["인천", "인천", "부산광역시", "경기"])
    assert found[["row", "code", "given", "expected", "whose"]].to_numpy().tolist() == [
        [0, "28245", "인천 부평구", "계양구", "28237"],
        [1, "28237", "인천 계양구", "부평구", "28245"],
    ]
    assert name_conflicts(["26140"], ["서구"], 2020, provinces=["대구"])["given"].tolist() == ["대구 서구"]
    assert name_conflicts(["36110"], ["세종시"], 2020).empty
    with pytest.raises(ValueProblem, match="51110"):
        name_conflicts(["51110"], ["춘천시"], 2020)


def test_names_alone_are_never_joined():
    assert repeated_names(2018) == ("강서구", "고성군", "남구", "동구", "북구", "서구", "중구")
    with pytest.raises(DataError, match=r"이름만으로는.*예: 중구"):
        codes_of_names(None, ["중구"], 2020)
    joined = codes_of_names(
        ["부산", "강원", "경남", "경기", ""], ["중구", "고성군", "고성군", "중구", "중구"], 2024
    )
    assert joined.codes.tolist() == ["26110", "51820", "48820", "", ""]
    assert joined.problems["row"].tolist() == [3, 4]
    assert joined.problems["problem"].tolist()[1] == "시·도가 비어 있음"


def test_kostat_figures_reach_2024_codes_with_their_totals():
    """The way of a 통계청 file: its codes to 2018, then carried."""
    import pandas as pd

    frame = pd.DataFrame({"region": kostat_to_base(kostat_table()), "n": 1.0})
    got = carry(frame, "n", crosswalk("2018-12-31", "2024-12-31", weights="follow")).frame
    assert got["n"].sum() == 250
    assert got.loc[got["region"] == "27720", "n"].tolist() == [1.0]


def test_a_huge_cell_is_shortened_in_every_sentence():
    for values in (["1" * 5000], ["11110", "1" * 5000], ["가" * 5000]):
        with pytest.raises(DataError) as told:
            detect_system(values)
        assert len(str(told.value)) < 300
