"""Tables to panels, samples and flows: every rule by hand, every fault by its sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.building import (
    FlowChart,
    FlowLine,
    History,
    Part,
    Sifting,
    event_flows,
    fixed_at,
    joined_panel,
    move_flows,
    moved_in,
    one_row_each,
    pooled_sample,
    wide,
)
from evalkit.building.flow_chart import reading_steps
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError, SchemaError
from evalkit.ingest.sources.employment_insurance import SPEC
from evalkit.ingest.table import FlowStep, Table

NAN = np.nan


def workplaces() -> pd.DataFrame:
    """Firm a: two workplaces in 2018, away in 2019, back in 2020; b: 2018 only; c: from 2019."""
    rows = [
        ("a", 2018, 3.0, "부산", "10"),
        ("a", 2018, 5.0, "대구", "20"),
        ("a", 2020, 4.0, "대구", "20"),
        ("b", 2018, 2.0, "광주", ""),
        ("c", 2019, 7.0, "대전", "30"),
        ("c", 2020, 8.0, "울산", "30"),
    ]
    return pd.DataFrame(rows, columns=["firm_id", "year", "jobs", "region", "industry"])


def jobs_part(frame: pd.DataFrame | None = None, **changes: Any) -> Part:
    given = workplaces() if frame is None else frame
    return Part(
        **{
            "name": "고용보험",
            "frame": given,
            "values": {"jobs": "jobs"},
            "traits": {"region": "region", "industry": "industry"},
            "repeats": "sum",
        }
        | changes
    )


def sales_part(**changes: Any) -> Part:
    frame = pd.DataFrame(
        {"firm_id": ["a", "c", "c", "z"], "year": [2018, 2019, 2020, 2018], "won": [10.0, 20.0, NAN, 5.0]}
    )
    return Part(**{"name": "재무", "frame": frame, "values": {"sales": "won"}} | changes)


# -- one row each ----------------------------------------------------------------------------------


def test_workplaces_are_added_up_and_the_largest_says_where() -> None:
    made, chart = one_row_each(jobs_part())
    assert made.to_numpy().tolist() == [
        ["a", 2018, 8.0, "대구", "20"],
        ["a", 2020, 4.0, "대구", "20"],
        ["b", 2018, 2.0, "광주", ""],
        ["c", 2019, 7.0, "대전", "30"],
        ["c", 2020, 8.0, "울산", "30"],
    ]
    assert [(s.reason, s.rows, s.units) for s in chart.lines] == [
        ("자료의 행과 단위", 6, 3),
        ("같은 단위와 기간의 행을 더함", -1, 0),
    ]


def test_the_largest_row_alone() -> None:
    made, chart = one_row_each(jobs_part(repeats="largest"))
    assert made["jobs"].tolist() == [5.0, 4.0, 2.0, 7.0, 8.0]
    assert chart.lines[-1].reason == "같은 단위와 기간에서 가장 큰 행만 씀"


def test_a_trait_comes_from_the_largest_row_that_has_it() -> None:
    frame = workplaces()
    frame.loc[1, "industry"] = None
    made, _ = one_row_each(jobs_part(frame))
    assert made.loc[0, ["region", "industry"]].tolist() == ["대구", "10"]


def test_a_tie_goes_to_the_smaller_label() -> None:
    frame = workplaces().assign(jobs=1.0)
    for given in (frame, frame.iloc[::-1]):
        assert one_row_each(jobs_part(given))[0].loc[0, "region"] == "대구"


def test_a_missing_value_makes_the_sum_missing() -> None:
    frame = workplaces()
    frame.loc[0, "jobs"] = NAN
    made, _ = one_row_each(jobs_part(frame))
    np.testing.assert_array_equal(made["jobs"], [NAN, 4, 2, 7, 8])


def test_what_stands_twice_is_refused_unless_a_rule_is_named() -> None:
    frame = workplaces().assign(source_row=np.arange(11, 17))
    with pytest.raises(
        DataError, match=r"고용보험 > firm_id=a > year=2018 > 11행과 12행.*두 번 이상.*1쌍"
    ) as caught:
        one_row_each(jobs_part(frame, repeats="refuse"))
    assert "sum" in caught.value.remedy


def test_rows_without_a_unit_or_period_go_by_name() -> None:
    frame = workplaces()
    frame.loc[0, "firm_id"] = None
    frame.loc[3, "firm_id"] = "  "
    frame["year"] = frame["year"].astype("Int64")
    frame.loc[4, "year"] = pd.NA
    made, chart = one_row_each(jobs_part(frame), periods=[2018, 2019])
    assert made["unit"].tolist() == ["a"]
    assert [(s.reason, s.rows, s.units) for s in chart.lines] == [
        ("자료의 행과 단위", 6, 2),
        ("단위가 비어 있는 행", -2, 0),
        ("기간이 비어 있는 행", -1, 0),
        ("기간 밖의 행", -2, -1),
    ]


@pytest.mark.parametrize("bad", ["2018.5", "이천", "inf"])
def test_a_period_that_is_no_whole_number(bad: str) -> None:
    frame = workplaces().astype({"year": "object"})
    frame.loc[2, "year"] = bad
    with pytest.raises(DataError, match=r"열 year > 3행.*정수가 아님 \(같은 문제 1행\)"):
        one_row_each(jobs_part(frame))


def test_faults_of_a_part() -> None:
    with pytest.raises(SchemaError, match=r"고용보험.*'job'.*비슷한 이름: jobs"):
        jobs_part(values={"jobs": "job"})
    with pytest.raises(DesignError, match="'add'"):
        jobs_part(repeats="add")
    with pytest.raises(DesignError, match="period"):
        jobs_part(values={"period": "jobs"})
    with pytest.raises(DesignError, match="region"):
        jobs_part(values={"region": "jobs"})
    with pytest.raises(DataError, match="표가 하나도 없음"):
        Part.of_tables("고용보험", [], {})


# -- panels ----------------------------------------------------------------------------------------


def test_a_panel_of_two_tables() -> None:
    built = joined_panel(
        [jobs_part(), sales_part()], units="고용보험", fixed={"region": "first", "industry": "last"}
    )
    panel = built.panel
    assert panel.units.tolist() == ["a", "b", "c"]
    assert panel.periods.tolist() == [2018, 2019, 2020]
    np.testing.assert_array_equal(panel.values("jobs"), [[8, NAN, 4], [2, NAN, NAN], [NAN, 7, 8]])
    np.testing.assert_array_equal(panel.values("sales"), [[10, NAN, NAN], [NAN] * 3, [NAN, 20, NAN]])
    assert panel.constant("region").tolist() == ["대구", "광주", "대전"]
    assert panel.constant("industry").tolist() == ["20", "", "30"]
    assert built.flow.to_frame().to_numpy().tolist() == [
        ["고용보험", "자료의 행과 단위", 6, 3, 6, 3],
        ["고용보험", "같은 단위와 기간의 행을 더함", -1, 0, 5, 3],
        ["재무", "자료의 행과 단위", 4, 3, 4, 3],
        ["재무", "고용보험에 없는 단위의 행", -1, -1, 3, 2],
        ["패널", "단위와 기간의 칸", 5, 3, 5, 3],
    ]
    assert built.flow.left("재무") == (3, 2)
    assert built.flow.parts == ("고용보험", "재무", "패널")
    # a name in `wide` that is a label
    assert wide(built.rows["고용보험"], panel.units, panel.periods, "region").tolist()[2] == [
        "",
        "대전",
        "울산",
    ]


@pytest.mark.parametrize(("units", "expected"), [("any", "abcz"), ("all", "ac"), ("재무", "acz")])
def test_which_units_there_are(units: str, expected: str) -> None:
    built = joined_panel([jobs_part(), sales_part()], units=units)
    assert "".join(built.panel.units) == expected
    assert built.flow.left("패널")[1] == len(expected)


@pytest.mark.parametrize(("units", "left"), [("any", "c"), ("all", "c"), ("고용보험", "c")])
def test_balanced_means_seen_in_every_period(units: str, left: str) -> None:
    built = joined_panel([jobs_part(), sales_part()], units=units, periods=[2019, 2020], balanced=True)
    assert "".join(built.panel.units) == left
    assert (built.flow.lines[-1].reason == "빠진 기간이 있는 단위") == (units != "all")
    assert built.flow.left("패널") == (2, 1)
    assert set(built.rows["고용보험"]["unit"]) == set(left)
    with pytest.raises(DataError, match="남는 단위가 없음"):
        joined_panel([jobs_part()], balanced=True)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("first", ["대구", "광주", "대전"]),
        ("last", ["대구", "광주", "울산"]),
        ("largest", ["대구", "광주", "울산"]),
        (2019, ["", "", "대전"]),
        (2020, ["대구", "", "울산"]),
    ],
)
def test_when_a_trait_is_taken(when: Any, expected: list[str]) -> None:
    assert joined_panel([jobs_part()], fixed={"region": when}).panel.constant("region").tolist() == expected


def test_a_constant_trait_may_not_change() -> None:
    built = joined_panel([jobs_part()], fixed={"industry": "constant"})
    assert built.panel.constant("industry").tolist() == ["20", "", "30"]
    with pytest.raises(DataError, match=r"단위 c.*region 이\(가\) 한 단위 안에서 바뀜 \(1개 단위\)"):
        joined_panel([jobs_part()], fixed={"region": "constant"})
    with pytest.raises(DesignError, match="'earliest'"):
        fixed_at(built.rows["고용보험"], built.panel.units, "region", "earliest")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parts": []}, "하나도 없음"),
        ({"parts": [jobs_part(), jobs_part()]}, "이름이 겹치거나"),
        ({"parts": [jobs_part(name="패널")]}, "이름이 겹치거나"),
        ({"parts": [jobs_part()], "units": "고용"}, r"'고용'.*비슷한 이름: 고용보험"),
        ({"parts": [jobs_part(), sales_part(values={"jobs": "won"})]}, "jobs 을"),
        ({"parts": [jobs_part()], "fixed": {"regio": "first"}}, "비슷한 이름: region"),
    ],
)
def test_words_that_are_not_known(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DesignError, match=message):
        joined_panel(**arguments)


def test_breaks_of_the_sources_travel() -> None:
    census = pd.DataFrame({"code": ["1", "1", "1"], "year": [2010, 2015, 2020], "estab_census": [1.0, 2, 3]})
    part = Part("통계", census, {"shops": "estab_census"}, unit="code", table="region_panel")
    panel = joined_panel([part], notes={"row": "시군구"}).panel
    assert panel.notes["row"] == "시군구"
    with pytest.raises(RefusalError, match=r"shops.*2015년과 2020년"):
        panel.values("shops")
    assert panel.select(periods=[2010, 2015]).values("shops").tolist() == [[1.0, 2.0]]
    by_industry = joined_panel([part], current_industry=True).panel
    assert [b["period"] for b in by_industry.notes["breaks"]] == [2020, 2024]
    assert "breaks" not in joined_panel([jobs_part()]).panel.notes
    # waves that are neither years nor months cannot be set against a date, and need not where nothing breaks
    waves = census.assign(year=[1, 2, 3])
    with pytest.raises(DesignError, match="연월"):
        joined_panel([Part("통계", waves, {"shops": "estab_census"}, unit="code", table="region_panel")])
    assert joined_panel([Part("통계", waves, {"shops": "estab_census"}, unit="code", table="deflator")]).panel


def test_tables_bring_what_their_reader_left_out() -> None:
    frame = workplaces()
    flows = (
        (FlowStep("머리글 아래에서 읽은 행", 5), FlowStep("빈 행", -1), FlowStep("자료 행", 4)),
        (FlowStep("머리글 아래에서 읽은 행", 2), FlowStep("자료 행", 2)),
    )
    tables = [
        Table(SPEC, part, Path("고용.csv"), "0" * 64, flow=flow)
        for part, flow in zip((frame.head(4), frame.tail(2)), flows, strict=True)
    ]
    part = Part.of_tables("고용보험", tables, {"jobs": "jobs"}, repeats="sum")
    assert part.table == "employment_insurance"
    chart = joined_panel([part]).flow
    assert [(s.reason, s.rows, s.units) for s in chart.lines[:4]] == [
        ("머리글 아래에서 읽은 행", 7, 0),
        ("빈 행", -1, 0),
        ("자료의 행과 단위", 0, 3),
        ("같은 단위와 기간의 행을 더함", -1, 0),
    ]


def test_a_reader_that_spreads_years_over_rows() -> None:
    flow = (FlowStep("읽은 행", 3), FlowStep("빈 행", -1), FlowStep("자료 행", 2), FlowStep("펼친 행", 10), FlowStep("뺀 행", -4))  # fmt: skip
    assert [(s.reason, s.rows) for s in reading_steps([flow])] == [
        ("읽은 행", 3),
        ("펼친 행", 8),
        ("빈 행", -1),
        ("뺀 행", -4),
    ]


# -- flow charts -----------------------------------------------------------------------------------


def test_a_chart_cannot_leave_out_more_than_there_is() -> None:
    with pytest.raises(DataError, match=r"가 > 뺀 것.*음수"):
        FlowChart((FlowLine("가", "읽은 것", 3, 1), FlowLine("가", "뺀 것", -4, 0)))
    with pytest.raises(DataError, match="음수"):
        FlowChart((FlowLine("가", "읽은 것", 3, 1),)) + FlowChart((FlowLine("가", "뺀 것", 0, -2),))
    assert FlowChart().to_frame().columns.tolist() == ["자료", "단계", "행", "단위", "남은 행", "남은 단위"]


def test_a_unit_goes_with_its_last_row() -> None:
    sifting = Sifting("가", ["a", "a", "b", None])
    sifting.drop([True, False, False, False], "하나")
    sifting.drop([True, False, False, False], "같은 것을 또")  # already gone: not written down
    sifting.drop([False, True, False, True], "둘")
    assert [(s.reason, s.rows, s.units) for s in sifting.chart().lines] == [
        ("자료의 행과 단위", 4, 2),
        ("하나", -1, 0),
        ("둘", -2, -1),
    ]


# -- histories -------------------------------------------------------------------------------------

SEEN = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 0, 0, 0, 1], [0, 0, 1, 0, 0]], dtype=bool)
VALUES = np.where(SEEN, np.arange(20.0).reshape(4, 5) + 1, NAN)


def test_exits_are_zero_and_survivors_are_missing() -> None:
    history = History.of(SEEN)
    np.testing.assert_array_equal(
        history.exits_as_zero(VALUES),
        [[1, 2, NAN, 4, 0], [NAN, 7, 8, 9, 10], [11, NAN, NAN, NAN, 15], [NAN, NAN, 18, 0, 0]],
    )
    np.testing.assert_array_equal(history.survivors(VALUES + 0), VALUES)
    np.testing.assert_array_equal(
        history.alive(), [[1, 1, 1, 1, 0], [NAN, 1, 1, 1, 1], [1, 1, 1, 1, 1], [NAN, NAN, 1, 0, 0]]
    )


@pytest.mark.parametrize(
    ("rule", "alive", "value"), [("open", 1, NAN), ("missing", NAN, NAN), ("closed", 0, 0)]
)
def test_a_gap_is_treated_by_its_rule_and_never_filled_in(rule: Any, alive: float, value: float) -> None:
    history = History.of(SEEN)
    np.testing.assert_equal(history.alive(rule)[2].tolist(), [1, alive, alive, alive, 1])
    np.testing.assert_equal(history.exits_as_zero(VALUES, rule)[2].tolist(), [11, value, value, value, 15])
    for word in ("interpolated", "carried"):
        with pytest.raises(DesignError, match="보간은 하지 않음"):
            history.exits_as_zero(VALUES, word)
    with pytest.raises(DesignError, match="비슷한 이름: open"):
        history.alive("opn")  # type: ignore[arg-type]


def test_entry_and_exit() -> None:
    history = History.of(SEEN)
    np.testing.assert_array_equal(
        history.entered(), [[NAN, 0, 0, 0, 0], [NAN, 1, 0, 0, 0], [NAN, 0, 0, 0, 0], [NAN, NAN, 1, 0, 0]]
    )
    np.testing.assert_array_equal(
        history.exited(), [[0, 0, 0, 0, 1], [NAN, 0, 0, 0, 0], [0, 0, 0, 0, 0], [NAN, NAN, 0, 1, NAN]]
    )
    assert history.facts() == {
        "units": 4,
        "entered": 2,
        "exited": 2,
        "units_with_gap": 2,
        "gaps_by_length": {"1": 1, "3": 1},
        "gap_rule": "open",
        "gap_rule_words": "사이가 빈 기간에도 있었던 것으로 보고, 값은 빈 값으로 둔다",
    }


def test_histories_that_are_none() -> None:
    with pytest.raises(DataError, match=r"2번째 단위.*한 번도 보이지 않는 단위가 1개"):
        History.of([[True], [False]])
    with pytest.raises(DataError, match="단위 × 기간이 아님"):
        History.of([True])
    with pytest.raises(DataError, match=r"값의 크기 \(1, 1\)"):
        History.of(SEEN).survivors([[1.0]])


# -- moves -----------------------------------------------------------------------------------------


def places() -> pd.DataFrame:
    rows = [
        ("a", 1, "x"), ("a", 2, "y"), ("a", 3, "y"),  # moves in 2
        ("b", 1, "x"), ("b", 3, "z"),  # somewhere between 1 and 3
        ("c", 1, "x"), ("c", 2, ""), ("c", 3, "x"),  # place unknown once, but it did not move
        ("d", 2, "z"), ("d", 3, "x"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["unit", "period", "where"])


def test_moves_between_periods_that_follow_each_other() -> None:
    flows, chart = move_flows(places(), place="where")
    assert flows.periods.tolist() == [2, 3]
    assert {tuple(k) for k in np.argwhere(flows.counts).tolist()} == {(0, 1, 0), (2, 0, 1)}
    assert [(s.reason, s.rows, s.units) for s in chart.lines] == [
        ("자료의 행과 단위", 10, 4),
        ("장소가 비어 있는 행", -1, 0),
        ("처음 본 기간의 행 (어디에서 왔는지 모름)", -4, 0),
        ("사이 기간이 비어 언제 옮겼는지 모르는 행", -1, -1),
        ("옮기지 않은 행", -2, -1),
    ]
    assert chart.left("이전")[0] == flows.counts.sum()
    assert moved_in(flows, flows.origins == "z").tolist() == [[0, 1], [0, 0], [0, 0]]


def test_moves_across_a_gap_may_be_dated_at_return() -> None:
    flows, _ = move_flows(places(), place="where", across="at_return", places=["x", "y", "z", "w"])
    assert flows.counts.sum() == 3
    assert flows.counts[1, 3, 1] == 1  # x → z in the third period, among w, x, y, z


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"place": "wher"}, "비슷한 이름: where"),
        ({}, {"across": "never"}, "'never'"),
        ({}, {"places": ["x", "y"]}, r"장소 z 이\(가\) 목록에 없음 \(1가지\)"),
        ({}, {"periods": [1, 2]}, r"기간 3 이\(가\) 목록에 없음"),
        ({"period": 1}, {}, r"단위 a > 기간 1.*두 번 이상"),
        ({"where": ""}, {}, "하나도 없음"),
    ],
)
def test_moves_that_cannot_be_told(change: dict[str, Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(EvalkitError, match=message):
        move_flows(places().assign(**change), **{"place": "where"} | arguments)


def test_one_period_tells_no_move() -> None:
    with pytest.raises(DataError, match="둘보다 적음"):
        move_flows(places().query("period == 3"), place="where")
    flows, _ = move_flows(places().query("period != 2"), place="where", periods=[1, 3])
    assert flows.counts.sum() == 2  # the periods that there are follow each other


def events() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "from": ["x", "x", None, "y", "z", "x"],
            "to": ["y", "y", "y", "", "z", "z"],
            "year": [2019, 2019, 2019, 2020, 2020, None],
            "jobs": [3.0, 4.0, 1.0, 1.0, 1.0, 1.0],
        }
    )


def test_events_are_counted_and_what_is_unknown_goes_by_name() -> None:
    told = {"origin": "from", "destination": "to", "period": "year"}
    flows, chart = event_flows(events(), **told, periods=[2018, 2019])
    assert flows.counts[:, :, 1].tolist() == [[0, 2], [0, 0]]
    assert flows.shape == (2, 2, 2)
    assert [(s.reason, s.rows) for s in chart.lines] == [
        ("자료의 행과 단위", 6),
        ("떠난 곳이 비어 있는 행", -1),
        ("온 곳이 비어 있는 행", -1),
        ("때가 비어 있는 행", -1),
        ("같은 곳 안에서 옮긴 행", -1),
    ]
    assert event_flows(events(), **told, count="jobs")[0].counts.sum() == 7
    with pytest.raises(DataError, match="빈 값이나 음수"):
        event_flows(events().assign(jobs=-1.0), **told, count="jobs")
    with pytest.raises(SchemaError, match="비슷한 이름: from"):
        event_flows(events(), **told | {"origin": "fro"})
    with pytest.raises(DataError, match="크기"):
        moved_in(flows, [True])


# -- samples ---------------------------------------------------------------------------------------


def surveys() -> dict[str, pd.DataFrame]:
    return {
        "2018년 조사": pd.DataFrame({"year": 2018, "who": ["p", "q", "r"], "y": [1.0, NAN, 3.0], "g": ["가", "나", ""]}),
        "2020년 조사": pd.DataFrame({"year": [2020, None], "who": ["p", "q"], "y": [4.0, 5.0]}),
    }  # fmt: skip


def test_surveys_become_one_sample() -> None:
    sample, chart = pooled_sample(
        surveys(), period="year", variables=["y", "g"], required=["y"], person="who"
    )
    assert sample.counts() == {2018: 2, 2020: 1}
    assert sample.column("y").tolist() == [1.0, 3.0, 4.0]
    assert sample.column("g").tolist() == ["가", "", ""]
    assert chart.to_frame()[["자료", "단계", "행"]].to_numpy().tolist() == [
        ["2018년 조사", "자료의 행과 단위", 3],
        ["2018년 조사", "y이(가) 비어 있는 관측", -1],
        ["2020년 조사", "자료의 행과 단위", 2],
        ["2020년 조사", "조사 시점이 비어 있는 관측", -1],
    ]


def test_breaks_travel_with_a_sample() -> None:
    note = {"variable": "y", "period": 2020, "reason": "문항이 바뀜", "source": "조사표"}
    sample, _ = pooled_sample(surveys(), period="year", variables=["y"], breaks=[note])
    with pytest.raises(RefusalError, match="문항이 바뀜"):
        sample.numbers("y")


def test_surveys_that_cannot_be_pooled() -> None:
    given = surveys()
    with pytest.raises(DesignError, match="하나도 없음"):
        pooled_sample({}, period="year", variables=["y"])
    with pytest.raises(SchemaError, match=r"'z'.*어느 조사에도"):
        pooled_sample(given, period="year", variables=["z"])
    with pytest.raises(SchemaError, match=r"2018년 조사.*'yea'"):
        pooled_sample(given, period="yea", variables=["y"])
    twice = {"가": given["2018년 조사"], "나": given["2018년 조사"].head(1)}
    with pytest.raises(DataError, match=r"who=p > year=2018.*두 번 있음 \(1건\)"):
        pooled_sample(twice, period="year", variables=["y"], person="who")
    with pytest.raises(DataError, match="정수가 아님"):
        pooled_sample({"가": given["2018년 조사"].assign(year=2018.5)}, period="year", variables=["y"])
    with pytest.raises(DataError, match="관측 0개"):
        pooled_sample({"가": given["2018년 조사"].assign(year=None)}, period="year", variables=["y"])
    sample, chart = pooled_sample(given, period="year", variables=["y"], required=["g"])
    assert sample.counts() == {2018: 2}  # a survey that never asked has nothing to keep
    assert chart.left("2020년 조사") == (0, 0)
