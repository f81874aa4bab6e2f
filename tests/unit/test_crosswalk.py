"""Codes of any date to those of another: every change of 2010–2026 on both sides of its day, weights, carrying."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DataError, FileError, RefusalError, SchemaError, ValueProblem
from evalkit.ingest import regions
from evalkit.ingest.carrying import carry, freeze
from evalkit.ingest.crosswalk import FOLLOWED, JOINED, SAME, crosswalk, to_frozen
from evalkit.ingest.split_weights import SplitWeights, UnitSizes, read_weights
from evalkit.ingest.territory import land_during, land_on, names_during

CHANGES = {
    "창원": ("2010-07-01", {"48110", "48160", "48190"}, {"48121", "48123", "48125", "48127", "48129"}),
    "당진": ("2012-01-01", {"44830"}, {"44270"}),
    "세종": ("2012-07-01", {"44730"}, {"36110"}),
    "여주": ("2013-09-23", {"41730"}, {"41670"}),
    "청주": ("2014-07-01", {"43710"}, {"43112", "43114"}),
    "부천 구 폐지": ("2016-07-04", {"41195", "41197", "41199"}, {"41190"}),
    "미추홀": ("2018-07-01", {"28170"}, {"28177"}),
    "강원": ("2023-06-11", {"42110", "42820", "42830"}, {"51110", "51820", "51830"}),
    "군위": ("2023-07-01", {"47720"}, {"27720"}),
    "부천 구 부활": ("2024-01-01", {"41190"}, {"41192", "41194", "41196"}),
    "전북": ("2024-01-18", {"45111", "45800"}, {"52111", "52800"}),
    "화성": ("2026-02-01", {"41590"}, {"41591", "41593", "41595", "41597"}),
    "인천": ("2026-07-01", {"28110", "28140", "28260"}, {"28125", "28155", "28275", "28290"}),
    "전남광주": ("2026-07-01", {"29110", "46110", "46910"}, {"12210", "12110", "12870"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_on_both_sides_of_its_day(change):
    day, old, new = CHANGES[change]
    eve = (dt.date.fromisoformat(day) - dt.timedelta(1)).isoformat()
    before, after = set(land_on(eve)), set(land_on(day))
    assert old <= before
    assert not old & after
    assert new <= after
    assert not new & before
    table = crosswalk(eve, day, weights="follow").frame
    gone = table[table["source"].isin(old)]
    assert len(gone) == len(old)
    assert set(gone["target"]) <= after
    for code in new:  # and back
        assert crosswalk(day, eve, weights="follow", codes=[code]).frame["target"].isin(list(before)).all()
    pieces = [piece for code in before for piece in land_on(eve)[code]]
    assert sorted(pieces) == sorted(piece for code in after for piece in land_on(day)[code])


def test_where_land_went_is_known_without_weights():
    """Renamed, recoded, merged: one target each, in both directions."""
    assert to_frozen(["44830", "41730", "28170"], "2011-12-31", 2020).tolist() == ["44270", "41670", "28177"]
    assert to_frozen(["51110", "27720", "52111", "12110"], 2026).tolist() == [
        "42110",
        "47720",
        "45111",
        "46110",
    ]
    assert to_frozen(["41591", "41597", "28155", "28290"], 2026).tolist() == [
        "41590",
        "41590",
        "28110",
        "28260",
    ]
    assert to_frozen(["41195", "41199"], 2015, 2024).tolist() == ["41192", "41196"]  # 구 that came back
    assert to_frozen(["48110", "48190"], 2009, 2020, level="city").tolist() == ["48120", "48120"]
    assert to_frozen(["42", "45"], 2022, 2024, level="province").tolist() == ["51", "52"]
    assert to_frozen(["29", "46"], 2024, 2026, level="province").tolist() == ["12", "12"]


@pytest.mark.parametrize("base", ["2015-12-31", 2020, 2024, 2026])
def test_other_base_years(base):
    for date in ("2010-01-01", 2013, 2018, 2023, 2025):
        codes = sorted(land_during(date))
        got = to_frozen(codes, date, base, divided="follow")
        assert set(got) <= set(land_on(base))
        assert regions.to_base(codes, date, base=base).tolist() == got.tolist()
    known = sorted(land_on(base))
    assert to_frozen(known, base if isinstance(base, str) else f"{base}-12-31", base).tolist() == known


def test_the_old_way_to_2018_agrees():
    for date in (2010, 2013, 2016, 2020, 2023, 2024, "2026-06", 2026):
        for level in ("district", "city"):
            codes = sorted(land_during(date, level))
            assert (
                to_frozen(codes, date, level=level, divided="follow").tolist()
                == regions.to_base(codes, date, level=level).tolist()
            )


def test_what_is_divided_asks():
    with pytest.raises(RefusalError, match=r"41590 화성시 → 41591 화성시만세구·41593 화성시효행구.*몫 표"):
        crosswalk("2026-01-31", "2026-02-01")
    with pytest.raises(RefusalError, match="47 경상북도 → 47 경상북도·27 대구광역시"):
        to_frozen(["47"], 2022, 2024, level="province")
    with pytest.raises(RefusalError, match="36110 세종특별자치시 → 44730 연기군·44150 공주시·43710 청원군"):
        to_frozen(["36110"], 2013, 2011)
    table = crosswalk(2025, 2026, weights="follow")
    assert table.crossing == ("28110", "28260", "41590")
    assert set(table.frame["basis"]) == {SAME, JOINED, FOLLOWED}


def test_codes_that_were_not_in_use():
    with pytest.raises(ValueProblem, match=r"51110 은.*2020년에 아직 없던"):
        crosswalk(2020, 2018, codes=["51110"])
    with pytest.raises(ValueProblem, match=r"시·도 코드 51 은.*2020"):
        crosswalk(2020, 2018, level="province", codes=["51"])


def test_weights_by_the_size_of_units():
    """화성 by its four 구: 1 + 2 + 3 + 4."""
    sizes = UnitSizes("인구", 2026, "district", {"41591": 1, "41593": 2, "41595": 3, "41597": 4})
    table = crosswalk(2025, 2026, weights=sizes, codes=["41590"]).frame
    assert table["weight"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert set(table["basis"]) == {"몫: 인구"}
    province = UnitSizes(
        "면적", 2022, "district", {"47720": 614.0, **dict.fromkeys(_others("47", "47720"), 1.0)}
    )
    rows = crosswalk(2022, 2024, level="province", weights=province, codes=["47"]).frame
    count = len(_others("47", "47720"))
    assert dict(zip(rows["target"], rows["weight"], strict=True)) == {
        "27": 614 / (614 + count),
        "47": count / (614 + count),
    }
    with pytest.raises(RefusalError, match=r"28110 중구.*인구 표로는 정할 수 없음"):
        crosswalk(2025, 2026, weights=sizes, codes=["28110"])
    with pytest.raises(ValueProblem, match="면적 표의 지역 41590"):
        UnitSizes("면적", 2026, "district", {"41590": 1})
    with pytest.raises(ValueProblem, match="0 이상의 수가 아님"):
        UnitSizes("면적", 2018, "district", {"41590": float("nan")})
    nothing = UnitSizes("면적", 2026, "district", dict.fromkeys(["41591", "41593", "41595", "41597"], 0.0))
    with pytest.raises(RefusalError):
        crosswalk(2025, 2026, weights=nothing, codes=["41590"])


def _others(sido: str, without: str) -> list[str]:
    return [code for code in land_on(2022) if code.startswith(sido) and code != without]


def test_weights_of_the_evaluator(tmp_path):
    csv = tmp_path / "몫.csv"
    csv.write_text("옛 코드,새 코드,몫\n28110,28125,0.3\n28110,28155,0.7\n", encoding="cp949")
    yml = tmp_path / "몫.yml"
    yml.write_text("28110: {28125: 0.3, 28155: 0.7}\n", encoding="utf-8")
    for path in (csv, yml):
        table = crosswalk(2025, 2026, weights=read_weights(path), codes=["28110", "28140"]).frame
        assert table[["target", "weight", "basis"]].to_numpy().tolist() == [
            ["28125", 0.3, f"몫: {path.name}"],
            ["28155", 0.7, f"몫: {path.name}"],
            ["28125", 1.0, JOINED],
        ]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("28110: {28125: 0.3, 28155: 0.6}", DataError, "합이 0.9"),
        ("28110: {28125: -0.3, 28155: 1.3}", DataError, "0과 1 사이"),
        ("28110: {28125: 30, 28155: 70}", DataError, "0과 1 사이"),
        ("28110: {28125: yes, 28155: 0}", DataError, "0과 1 사이"),
        ("28110: {28125: 1}\n28110: {28155: 1}", DataError, "두 번"),
        ("- 1", FileError, "꼴이 아님"),
        ("{", FileError, "읽을 수 없음"),
    ],
)
def test_tables_of_weights_that_cannot_be(tmp_path, text, kind, words):
    path = tmp_path / "w.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(kind, match=words):
        read_weights(path)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("옛 코드,새 코드\n1,2\n", FileError, "'몫' 이"),
        ("source,target,weight\n28110,28125,삼할\n", DataError, "수로 읽을 수 없음"),
        ("source,target,weight\n28110,28125,0.5\n28110,28125,0.5\n", DataError, "두 번"),
        ("source,target,weight\n28110,28125,0.5\n", DataError, "합이 0.5"),
    ],
)
def test_csv_tables_of_weights_that_cannot_be(tmp_path, text, kind, words):
    path = tmp_path / "w.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(kind, match=words):
        read_weights(path)


def test_weights_for_land_that_never_went_there():
    with pytest.raises(ValueProblem, match="28110 의 땅은 2026 에 28275 에 들지 않음"):
        crosswalk(2025, 2026, weights=SplitWeights("표", {"28110": {"28275": 1.0}}))
    with pytest.raises(ValueProblem, match="옛 코드 99999"):
        crosswalk(2025, 2026, weights=SplitWeights("표", {"99999": {"28275": 1.0}}))


def test_counts_are_added_and_divided():
    """By hand: 화성 1,001 people over 0.1, 0.2, 0.3, 0.4."""
    sizes = UnitSizes("면적", 2026, "district", {"41591": 1, "41593": 2, "41595": 3, "41597": 4})
    frame = pd.DataFrame({"region": ["41590", "41590"], "year": [2024, 2025], "people": [1001.0, 10.0]})
    table = crosswalk(2025, 2026, weights=sizes, codes=["41590"])
    plain = carry(frame, "people", table, by=["year"])
    assert np.allclose(plain.frame["people"], [100.1, 200.2, 300.3, 400.4, 1, 2, 3, 4])
    assert plain.divided == {"people": 1.0}
    whole = carry(frame, "people", table, by=["year"], whole=True).frame
    assert whole["people"].tolist() == [100, 200, 300, 401, 1, 2, 3, 4]
    with pytest.raises(DataError, match="정수가 아닌"):
        carry(frame.assign(people=0.5), "people", table, by=["year"], whole=True)


def test_part_of_the_land_is_missing_not_the_whole():
    frame = pd.DataFrame({"region": ["41192", "41194"], "n": [1.0, 2.0]})
    table = crosswalk(2024, 2018)
    got = carry(frame, "n", table)
    assert got.incomplete["region"].tolist() == ["41190"]
    assert got.frame["n"].isna().all()
    full = pd.concat([frame, pd.DataFrame({"region": ["41196"], "n": [4.0]})])
    assert carry(full, "n", table).frame.to_numpy().tolist() == [["41190", 7.0]]
    hole = full.assign(n=[1.0, np.nan, 4.0])
    assert carry(hole, "n", table).frame["n"].isna().all()


def test_rates_need_their_denominator():
    frame = pd.DataFrame(
        {"region": ["41192", "41194", "41196"], "rate": [0.1, 0.2, 0.4], "n": [100.0, 0.0, 300.0]}
    )
    table = crosswalk(2024, 2018, codes=frame["region"])
    with pytest.raises(RefusalError, match=r"비율 'rate'.*더할 수 없음"):
        carry(frame, "rate", table, kind="rate")
    got = carry(frame, "rate", table, kind="rate", denominator="n").frame
    assert got["rate"].tolist() == [pytest.approx((10 + 120) / 400)]
    assert got["n"].tolist() == [400.0]
    with pytest.raises(DataError, match="음수"):
        carry(frame.assign(n=-1.0), "rate", table, kind="rate", denominator="n")
    with pytest.raises(SchemaError, match="열 'x'"):
        carry(frame, "x", table)
    with pytest.raises(SchemaError, match="'weight' 은"):
        carry(frame.assign(weight=1.0), "weight", table)


def test_land_is_never_counted_twice():
    frame = pd.DataFrame({"region": ["42110", "51110"], "n": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"같은 땅이 두 코드\(42110, 51110\)"):
        carry(frame, "n", crosswalk(2023, 2018))
    with pytest.raises(DataError, match=r"11110 이\(가\) 두 번 있음"):
        carry(pd.DataFrame({"region": ["11110", "11110"], "n": [1.0, 2.0]}), "n", crosswalk(2023, 2018))
    with pytest.raises(ValueProblem, match="99999"):
        carry(pd.DataFrame({"region": ["99999"], "n": [1.0]}), "n", crosswalk(2023, 2018))


def test_a_panel_is_frozen_year_by_year():
    frame = pd.DataFrame(
        {
            "region": ["42110", "45111", "51110", "45111", "51110", "52111"],
            "year": [2022, 2022, 2023, 2023, 2024, 2024],
            "n": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }
    )
    got = freeze(frame, "n")
    assert got.frame["region"].tolist() == ["42110", "45111"] * 3
    assert got.frame["n"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    later = freeze(frame, "n", 2024).frame
    assert later["region"].tolist() == ["51110", "52111"] * 3
    with pytest.raises(ValueProblem, match=r"51110 은.*2022년"):
        freeze(frame.assign(year=2022, region=["51110", *frame["region"][1:]]), "n")
    with pytest.raises(SchemaError, match="'when'"):
        freeze(frame, "n", year="when")


def test_frames_of_any_index_and_none_at_all():
    frame = pd.DataFrame({"region": [41192, 41194, 41196], "n": [1, 2, 4]}, index=[0, 0, 0])
    table = crosswalk(2024, 2018)
    assert carry(frame, "n", table).frame["n"].tolist() == [7.0]
    assert carry(frame, "n", table, whole=True).frame["n"].tolist() == [7.0]
    empty = carry(frame.iloc[:0], "n", table)
    assert empty.frame.empty
    assert empty.divided == {"n": 0.0}
    assert to_frozen([], 2024).tolist() == []
    with pytest.raises(DataError, match="옮길 행이 하나도 없음"):
        freeze(frame.iloc[:0].assign(year=2024), "n")
    assert freeze(frame.assign(year=2024.0), "n", 2018).frame["n"].tolist() == [7.0]


def test_names_follow_their_time():
    assert names_during("2018-06-30")["28170"] == "남구"
    assert names_during(2020, "city")["41110"] == "수원시"
    assert names_during(2020, "province")["42"] == "강원도"


def test_rows_without_a_key_are_told_and_never_lost():
    """One of six counts came back where `by` was empty in five rows' place."""
    frame = pd.DataFrame(
        {"region": ["11110"] * 2, "year": [2022, 2022], "kind": ["A", None], "n": [1.0, 5.0]}
    )
    table = crosswalk(2022, 2018)
    for call in (
        lambda: carry(frame, "n", table, by=["kind"]),
        lambda: freeze(frame, "n", by=["kind"]),
        lambda: freeze(frame.assign(kind="A", year=[2022, np.nan]), "n"),
        lambda: carry(frame.assign(region=["11110", None]), "n", table),
    ):
        with pytest.raises(DataError, match=r"\[2번째 행\] 열 '(kind|year|region)' 이\(가\) 빈 행이 있음"):
            call()
    with pytest.raises(DataError, match="같은 문제 1곳 더"):
        freeze(frame.assign(year=np.nan), "n")
    whole = carry(frame.fillna({"kind": "?"}), "n", table, by=["kind"]).frame
    assert whole["n"].sum() == frame["n"].sum()
    with pytest.raises(SchemaError, match="'sort'"):
        freeze(frame, "n", by=["sort"])


HWASEONG = dict(zip(("41591", "41593", "41595", "41597"), (0.1, 0.2, 0.3, 0.4), strict=True))


def test_the_share_that_was_divided():
    """Land with weight one was not divided; the share is over the total, and over years the largest."""
    rule = SplitWeights("표", {"41590": HWASEONG})
    frame = pd.DataFrame({"region": ["41590", "11110"], "n": [30.0, 70.0]})
    assert carry(frame, "n", crosswalk(2025, 2026, weights=rule, codes=frame["region"])).divided[
        "n"
    ] == pytest.approx(0.3)
    alone = carry(frame.iloc[1:], "n", crosswalk(2025, 2026, codes=["11110"]))
    assert alone.divided == {"n": 0.0}
    years = pd.concat([frame.assign(year=2024), frame.assign(year=2025, n=[60.0, 40.0]),
                       frame.assign(year=2023, n=[10.0, 90.0])])  # fmt: skip
    assert freeze(years, "n", 2026, weights=rule).divided["n"] == pytest.approx(0.6)


def test_a_rate_over_nothing_is_missing_and_adds_nothing():
    """Two units become one: the rate of the empty one does not count, whatever stands there."""
    frame = pd.DataFrame(
        {"region": ["41192", "41194", "41196"], "n": [0.0, 10.0, 30.0], "rate": [np.nan, 0.5, 0.1]}
    )
    table = crosswalk(2024, 2020, codes=frame["region"])
    got = carry(frame, "rate", table, kind="rate", denominator="n").frame
    assert got["rate"].tolist() == pytest.approx([(5 + 3) / 40])
    small = carry(
        frame.assign(n=[0.5, 10.0, 30.0], rate=[1.0, 0.5, 0.1]), "rate", table, kind="rate", denominator="n"
    )
    assert small.frame["rate"].tolist() == pytest.approx([8.5 / 40.5])
    one = carry(frame.assign(n=1.0, rate=[0.3, 0.6, 0.9]), "rate", table, kind="rate", denominator="n").frame
    assert one["rate"].tolist() == pytest.approx([0.6])
    none = carry(frame.assign(n=0.0), "rate", table, kind="rate", denominator="n").frame
    assert none["rate"].isna().all()


def test_weights_may_miss_one_by_a_millionth_and_no_more():
    near = dict(HWASEONG) | {"41597": 0.4 + 0.9e-6}
    rule = SplitWeights("표", {"41590": near})
    assert sum(rule.of("41590").values()) == pytest.approx(1.0, abs=1e-12)
    with pytest.raises(DataError, match="합이"):
        SplitWeights("표", {"41590": dict(HWASEONG) | {"41597": 0.4 + 1.1e-6}})
    SplitWeights("표", {"41590": {"41591": 1 + 0.9e-6}})
    with pytest.raises(DataError, match="0과 1 사이"):
        SplitWeights("표", {"41590": {"41591": 1 + 1.1e-6}})


def test_a_weight_of_zero_is_no_row():
    rule = SplitWeights("표", {"41590": {"41591": 0.0, "41593": 0.25, "41595": 0.25, "41597": 0.5}})
    table = crosswalk(2025, 2026, weights=rule, codes=["41590"]).frame
    assert table["target"].tolist() == ["41593", "41595", "41597"]
    small = SplitWeights("표", {"41590": {"41591": 1e-3, "41593": 0.249, "41595": 0.25, "41597": 0.5}})
    assert len(crosswalk(2025, 2026, weights=small, codes=["41590"]).frame) == 4
