"""Industry codes: form, revision, passage between revisions, the code from before, 대표산업."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DataError, FileError, RefusalError, SchemaError, ValueProblem
from evalkit.ingest.industries import (
    moves,
    read_industries,
    revision_at,
    sections,
    to_revision,
)
from evalkit.ingest.industries_before import pre_period_industry
from evalkit.ingest.target_industries import target_industries
from evalkit.programmes import provinces


def test_sections_of_each_revision():
    """통계청 names 76 divisions in revision 9 and 77 in 10, in 21 sections."""
    assert [len(sections(r)) for r in (9, 10)] == [76, 77]
    assert [len(set(sections(r).values())) for r in (9, 10, 11)] == [21, 21, 21]
    assert (sections(9)["69"], sections(10)["76"], sections(10)["34"]) == ("L", "N", "C")
    assert "34" not in sections(9)
    assert "69" not in sections(10)
    with pytest.raises(ValueProblem, match="8차는 모르는"):
        sections(8)


@pytest.mark.parametrize(
    ("date", "revision"),
    [("2017-06-30", 9), ("2017-07-01", 10), ("2024-06-30", 10), ("2024-07-01", 11), (2017, 10), (2016, 9)],
)
def test_revision_of_a_day(date, revision):
    assert revision_at(date) == revision
    with pytest.raises(ValueProblem, match="2007"):
        revision_at(2007)


def test_codes_in_every_dress():
    found = read_industries(["C26110", "26110", 26110.0, "26.110", None, "-", "c271"], revision=10)
    assert found.codes.tolist() == ["26110", "26110", "26110", "26110", "", "", "271"]
    assert found.divisions.tolist() == ["26", "26", "26", "26", "", "", "27"]
    assert found.section_letters.tolist() == ["C", "C", "C", "C", "", "", "C"]
    assert found.repairs == {"코드의 소수점과 기호 뺌": 2}


def test_lost_zeros_come_back_where_the_other_codes_are_wider():
    wide = read_industries(["26110"] * 40 + ["1110"], revision=10)
    assert wide.codes[-1] == "01110"
    assert wide.repairs == {"코드의 앞자리 0 되살림": 1}
    few = read_industries(["26110", "28111", 1110, 5100.0], revision=10)
    assert few.codes.tolist() == ["26110", "28111", "01110", "05100"]
    assert few.repairs["코드의 앞자리 0 되살림"] == 2
    # of no group of divisions 01–08 with a zero: surely four digits
    assert read_industries(["26110", "2611", "4110"], revision=10).codes.tolist() == ["26110", "2611", "4110"]
    assert read_industries(["1110", "2611"], revision=10).codes.tolist() == ["1110", "2611"]  # all have four
    with_zero = read_industries(["26110", "2611", "5400", "0111"], revision=10, invalid="missing")
    assert with_zero.codes.tolist() == ["26110", "2611", "", "0111"]


def test_a_zero_that_may_be_lost_or_not_is_asked_for():
    """2611 has surely four digits, so 1110 may have too: drinks 11, or crops 01."""
    with pytest.raises(DataError, match=r"3번째 값\] 업종코드 1110 .*01110 인지 4자리.* 정할 수 없음"):
        read_industries(["26110", "2611", "1110"], revision=10)
    with pytest.raises(DataError, match="같은 문제 1곳 더"):
        read_industries(["26110", "1110", "1120"], revision=10)  # more such codes than full ones
    # a section letter decides
    got = read_industries(["26110", "2611", "A1110", "C1110"], revision=10).codes.tolist()
    assert got == ["26110", "2611", "01110", "1110"]


def test_the_zero_of_one_firm_is_told_by_the_column():
    """Firm b grows crops; alone its code 1110 would be drinks."""
    frame = pd.DataFrame({"firm_id": list("abc"), "year": 2017, "industry": [26110, 1110, 28111]})
    for table in (frame, frame.iloc[::-1], frame.assign(industry=frame["industry"].astype(float))):
        got = pre_period_industry(table, 2018).set_index("firm_id")
        assert got.loc["b", ["industry", "division", "status"]].tolist() == ["01110", "01", "이전 코드"]
    mixed = frame.assign(industry=["26110", "1110", "2811"])
    got = pre_period_industry(mixed, 2018).set_index("firm_id")
    assert got.loc["b", ["division", "status"]].tolist() == ["", "앞자리 0이 모호함"]
    assert got.loc[["a", "c"], "division"].tolist() == ["26", "28"]


def test_two_codes_of_one_year_do_not_depend_on_their_order():
    frame = pd.DataFrame(
        {"firm_id": "a", "year": 2017, "industry": ["26110", "10110"], "workers": [3.0, 90.0]}
    )
    for table in (frame, frame.iloc[::-1]):
        got = pre_period_industry(table, 2018).iloc[0]
        assert got[["industry", "division", "status"]].tolist() == ["", "", "같은 시점의 코드가 여럿임"]
        got = pre_period_industry(table, 2018, size="workers").iloc[0]
        assert got[["industry", "division", "status"]].tolist() == ["10110", "10", "이전 코드"]
        same = pre_period_industry(table.assign(workers=5.0), 2018, size="workers").iloc[0]
        assert same["status"] == "같은 시점의 코드가 여럿임"
        unknown = pre_period_industry(table.assign(workers=np.nan), 2018, size="workers").iloc[0]
        assert unknown["status"] == "같은 시점의 코드가 여럿임"
    near = frame.assign(industry=["26110", "26121"])
    assert pre_period_industry(near, 2018).iloc[0][["industry", "division"]].tolist() == ["261", "26"]
    with pytest.raises(SchemaError, match="'insured'"):
        pre_period_industry(frame, 2018, size="insured")


@pytest.mark.parametrize(
    ("values", "options", "kind", "words"),
    [
        ([], {"revision": 10}, DataError, "하나도 없음"),
        (["전자부품"], {"revision": 10}, ValueProblem, "읽을 수 없는 값 '전자부품'"),
        (["292201"], {"revision": 10}, ValueProblem, "6자리 업종코드 292201.*국민연금"),
        (["04110"], {"revision": 10}, ValueProblem, "04110 은.*10차에 있을 수 없는"),
        (["D26110"], {"revision": 10}, ValueProblem, "D26110"),
        (["69", "04", "40"], {"revision": 10}, ValueProblem, "같은 문제 2곳 더"),
        (["69", "34"], {}, DataError, r"중분류\(69\).*중분류\(34\)"),
        (["26110"], {}, DataError, "몇 차인지"),
        (["34011"], {}, DataError, "10차인지 11차인지"),
        (["34011"], {"date": 2015}, DataError, "2015 의 자료는 9차여야"),
        (["69110"], {"date": 2020}, DataError, "2020 의 자료는 10차여야.*69"),
        (["C", "26110"], {"revision": 10}, ValueProblem, "C 은"),
    ],
)
def test_columns_that_cannot_be_read(values, options, kind, words):
    with pytest.raises(kind, match=words):
        read_industries(values, **options)


def test_where_the_revision_comes_from():
    assert read_industries(["69110"]).revision == 9
    assert read_industries(["69110"]).basis == "코드"
    assert read_industries(["26110"], date="2018").basis == "날짜"
    assert read_industries(["26110"], date="2025").revision == 11
    kept = read_industries(["69110", "26110"], revision=10, invalid="missing")
    assert kept.invalid == (0,)
    assert kept.codes.tolist() == ["", "26110"]


def test_divisions_from_nine_to_ten_and_back():
    assert to_revision(["69110", "36010", "95110", "95310", "26110", ""], 9, 10).tolist() == [
        "76", "36", "34", "95", "26", "",
    ]  # fmt: skip
    assert to_revision(["76110", "34011", "95", "26"], 10, 9).tolist() == ["69", "95", "95", "26"]
    assert to_revision(["26", "76"], 10, 11).tolist() == ["26", "76"]
    assert to_revision(["69", "952"], 9, 11).tolist() == ["76", "95"]
    with pytest.raises(RefusalError, match=r"중분류 95 은.*두 자리로는"):
        to_revision(["95"], 9, 10)
    with pytest.raises(ValueProblem, match=r"34 은.*9차"):
        to_revision(["34"], 9, 10)
    for pair in ((9, 10), (10, 9), (10, 11), (9, 11), (11, 9)):
        table = moves(*pair)
        assert set(table["old"].str[:2]) == set(sections(pair[0]))
        assert set(table["new"]) <= set(sections(pair[1]))
        changed = table[table["status"] != "same"]
        assert len(changed) == {(9, 10): 3, (9, 11): 3, (10, 9): 2, (11, 9): 2, (10, 11): 0}[pair]


def test_the_code_from_before_and_never_the_present_one():
    frame = pd.DataFrame(
        {
            "firm_id": ["a", "a", "a", "b", "c", "c", "d", "e"],
            "year": [2015, 2017, 2019, 2019, 2016, 2017, 2016, 2016],
            "industry": ["26110", "26210", "28202", "28202", "69110", None, "95", "36010"],
        }
    )
    got = pre_period_industry(frame, 2018).set_index("firm_id")
    assert got.loc["a", ["industry", "year", "revision", "division"]].tolist() == ["26210", 2017, 10, "26"]
    assert got.loc["b", ["industry", "status"]].tolist() == ["", "이전 코드 없음"]
    assert got.loc["c", ["industry", "revision", "division"]].tolist() == ["69110", 9, "76"]
    assert got.loc["d", ["division", "status"]].tolist() == ["", "차수를 옮길 수 없음"]
    assert got.loc["e", "division"] == "36"
    # a year that has not ended before the day is not from before
    late = pre_period_industry(frame, "2017-06-01").set_index("firm_id")
    assert late.loc["a", "year"] == 2015
    with pytest.raises(SchemaError, match="'ksic'"):
        pre_period_industry(frame, 2018, code="ksic")


def test_the_revision_of_each_row_may_be_declared():
    frame = pd.DataFrame(
        {"firm_id": ["a", "b"], "year": [2017, 2017], "industry": ["69110", "76110"], "차수": [9, 10]}
    )
    got = pre_period_industry(frame, 2018, revision="차수")
    assert got["division"].tolist() == ["76", "76"]
    assert pre_period_industry(frame.iloc[:1], 2018, revision=9)["division"].tolist() == ["76"]
    days = frame.assign(year=pd.to_datetime(["2017-06-30", "2018-01-01"]))
    assert pre_period_industry(days, "2018-01-01")["status"].tolist() == ["이전 코드", "이전 코드 없음"]


def test_target_industries_are_named_as_published():
    ours = target_industries()
    published = provinces()
    assert {p: ours.names[p] for p in ours.names} == {
        name: province.target_industry for name, province in published.items()
    }
    assert ours.basis == "reading"
    assert set(ours.table()["근거"]) == {"우리의 해석(근거 문서 없음)"}


def test_membership():
    got = target_industries().member(
        ["31310", "31", "26110", "", "20423", "2042", "10"],
        ["경남", "경남", "경남", "경남", "제주", "제주", "제주"],
    )
    assert got.tolist() == [1, -1, 0, -1, 1, 1, 1]
    assert got.dtype == np.int8
    with pytest.raises(ValueProblem, match="시·도 '서울'"):
        target_industries().member(["26"], ["서울"])


def test_the_plan_overrides_the_reading(tmp_path):
    path = tmp_path / "대표산업.csv"
    path.write_text('시도,대표산업,업종코드\n경남,항공 부품,"313, 259"\n', encoding="cp949")
    own = target_industries(path)
    assert own.prefixes == {"경남": ("313", "259")}
    assert own.member(["25911"], ["경남"]).tolist() == [1]
    assert own.table()["근거"].tolist() == ["대표산업.csv"]
    path.write_text("시도,대표산업,업종코드\n경남,항공 부품,04\n", encoding="utf-8")
    with pytest.raises(ValueProblem, match="'04'"):
        target_industries(path)
    path.write_text("시도,업종코드\n경남,31\n", encoding="utf-8")
    with pytest.raises(FileError, match="'대표산업' 이"):
        target_industries(path)
    path.write_text("시도,대표산업,업종코드\n경남,항공,\n", encoding="utf-8")
    with pytest.raises(FileError, match="행이 없음"):
        target_industries(path)
