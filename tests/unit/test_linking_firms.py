"""Programme firms to workplaces: each stage, rivals, several workplaces, contradicting numbers, the report."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from evalkit.errors import DataError, SchemaError
from evalkit.ingest.linking.firms import FirmLinks, link_firms
from evalkit.ingest.linking.report import report_firms
from evalkit.ingest.linking.stages import FIRM_STAGES

COLUMNS = ("firm_id", "name_key", "head_key", "region", "joined", "place_kind")
BASE: dict[str, Any] = {
    "firm_id": None, "name_key": "n1", "head_key": "h1", "region": "11110", "joined": "2010-05-01", "place_kind": "unknown",
}  # fmt: skip


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame([{**BASE, **row} for row in rows])
    for name in COLUMNS:
        if name != "joined":
            frame[name] = (
                frame[name].astype("str") if frame[name].notna().any() else frame[name].astype(object)
            )
    frame["joined"] = pd.to_datetime(frame["joined"])
    return frame


def linked(firms: list[dict[str, Any]], places: list[dict[str, Any]]) -> FirmLinks:
    told = [{"firm": f"u{number}", **row} for number, row in enumerate(firms)]
    return link_firms(table(*told), table(*places), unit="firm")


def stage_of(links: FirmLinks, unit: str) -> str:
    number = int(links.firms.loc[unit, "stage"])  # type: ignore[arg-type]
    return FIRM_STAGES[number].name if number >= 0 else str(links.firms.loc[unit, "status"])


@pytest.mark.parametrize(
    ("firm", "place", "stage"),
    [
        ({"firm_id": "a"}, {"firm_id": "a", "name_key": "x", "head_key": "y", "region": "2"}, "number"),
        ({}, {}, "name_head_region_date"),
        ({}, {"joined": "2011-05-02"}, "name_head_region_date"),  # 366 days
        ({}, {"joined": "2011-05-03"}, "name_head_region"),
        ({"joined": None}, {}, "name_head_region"),
        ({}, {"region": "26110"}, "name_head"),
        ({"head_key": None}, {}, "name_region_date"),
        ({"head_key": None}, {"joined": "2001-01-01"}, "name_region"),
        ({"head_key": "h9", "joined": None}, {}, "name_region"),
        ({"firm_id": "a"}, {}, "name_head_region_date"),  # the number is known on one side only
        ({"firm_id": "a"}, {"firm_id": "b"}, "unlinked"),  # two numbers are two firms
        ({"head_key": None, "region": None}, {}, "unlinked"),
        ({"name_key": "n2"}, {}, "unlinked"),
        ({"head_key": "h9"}, {"region": "26110"}, "unlinked"),
    ],
)
def test_each_stage_links_what_it_is_for(firm: dict[str, Any], place: dict[str, Any], stage: str) -> None:
    links = linked([firm], [place, {"name_key": "other", "head_key": "other"}])
    assert stage_of(links, "u0") == stage
    assert len(links.places) == (stage != "unlinked")


def test_a_firm_keeps_all_its_workplaces() -> None:
    links = linked(
        [{"firm_id": "a"}],
        [
            {"firm_id": "a", "place_kind": "head_office"},
            {"firm_id": "a", "name_key": "n9", "region": "26110", "place_kind": "plant"},
            {"region": "27110", "place_kind": "branch"},  # no number, but the name and digits of a
            {"name_key": "n9", "head_key": "h9"},
        ],
    )
    assert links.places[["row", "place_kind"]].to_numpy().tolist() == [
        [0, "head_office"],
        [1, "plant"],
        [2, "branch"],
    ]
    assert links.firms.loc["u0", "places"] == 3
    assert links.certain.tolist() == [True]


def test_two_firms_of_one_name_in_one_place_are_in_doubt() -> None:
    links = linked(
        [{"head_key": None, "joined": None}],
        [{}, {"head_key": "h2"}, {"head_key": "h2", "joined": "2015-01-01"}],
    )
    assert links.firms.loc["u0", "status"] == "ambiguous"
    assert links.doubts["row"].tolist() == [0, 1, 2]
    assert links.places.empty
    # the date tells which it is, where it is known
    dated = linked([{"head_key": None}], [{}, {"head_key": "h2", "joined": "2015-01-01"}])
    assert stage_of(dated, "u0") == "name_region_date"


def test_a_stricter_doubt_is_not_decided_by_a_looser_stage() -> None:
    """Two firms share name, digits and region under two numbers; only one of them has the name there by itself."""
    links = linked(
        [{"joined": None}],
        [{"firm_id": "a"}, {"firm_id": "b"}],
    )
    assert links.firms.loc["u0", "status"] == "ambiguous"
    assert set(links.doubts["stage"]) == {[s.name for s in FIRM_STAGES].index("name_head_region")}


def test_two_programme_firms_for_one_are_in_doubt_unless_the_number_says_so() -> None:
    links = linked([{}, {}], [{}])
    assert links.firms["status"].tolist() == ["ambiguous", "ambiguous"]
    assert links.doubts["group"].nunique() == 1
    same = linked([{"firm_id": "a"}, {"firm_id": "a", "name_key": "other"}], [{"firm_id": "a"}])
    assert same.firms["status"].tolist() == ["linked", "linked"]
    # a firm without a number that would take what another has by its number
    late = linked([{"firm_id": "a"}, {}], [{"firm_id": "a"}])
    assert late.firms["status"].tolist() == ["linked", "ambiguous"]


def test_several_rows_of_a_firm_are_all_tried() -> None:
    firms = table({}, {"region": "26110"}).assign(firm=["u", "u"])
    links = link_firms(firms.assign(head_key=None), table({"region": "26110"}), unit="firm")
    assert links.firms.loc["u", "status"] == "linked"


def test_rules_whose_columns_are_missing_are_left_out() -> None:
    firms = table({}).assign(firm="u").drop(columns=["firm_id", "head_key", "joined"])
    links = link_firms(firms, table({}), unit="firm")
    assert FIRM_STAGES[int(links.firms["stage"].iloc[0])].name == "name_region"


def test_order_does_not_matter() -> None:
    firms = table(*[{"name_key": f"n{i % 4}", "head_key": f"h{i % 3}"} for i in range(9)]).assign(
        firm=range(9)
    )
    places = table(
        *[{"name_key": f"n{i % 4}", "head_key": f"h{i % 3}", "region": str(i % 5)} for i in range(20)]
    )
    one = link_firms(firms, places, unit="firm").firms[["status", "stage", "places"]]
    turned = link_firms(firms.iloc[::-1], places.iloc[::-1], unit="firm").firms[["status", "stage", "places"]]
    pd.testing.assert_frame_equal(one, turned)


def test_the_report_counts_by_year_source_and_phase_and_masks() -> None:
    firms = table(
        {"name_key": "secret-one"},
        {"head_key": None, "joined": None, "name_key": "secret-two"},
        {"name_key": "no"},
    )
    firms = firms.assign(
        firm=["business-1", "business-2", "business-3"], phase=[1, 1, 3], year=[2018, 2018, 2023]
    )
    places = table(
        {"name_key": "secret-one"}, {"name_key": "secret-two"}, {"name_key": "secret-two", "head_key": "h2"}
    )
    links = link_firms(firms, places.assign(source_row=[5, 6, 7]), unit="firm")
    report = report_firms(links, firms, places.assign(source_row=[5, 6, 7]), unit="firm")
    assert (report.linked, report.ambiguous, report.unlinked) == (1, 1, 1)
    by = report.by_group.set_index(["구분", "값"])
    assert by.loc[("phase", "1"), ["연결", "모호", "미연결"]].tolist() == [1, 1, 0]
    assert by.loc[("phase", "3"), "미연결률"] == 1.0
    assert by.loc[("year", "2018"), "연결"] == 1
    assert report.by_stage.loc[report.by_stage["연결"] > 0, "단계"].tolist() == [
        "이름·앞 여섯 자리·지역·날짜"
    ]
    assert report.ambiguous_groups["source_row"].tolist() == [6, 7]
    assert "secret-two" not in report.ambiguous_groups.to_csv()
    assert "business-2" not in report.ambiguous_groups.to_csv()
    assert report.sentence() == "연결 1 (33.3%), 모호 1 (33.3%), 미연결 1 (33.3%)"


def test_bad_input_is_told() -> None:
    with pytest.raises(SchemaError, match="firm"):
        link_firms(table({}), table({}), unit="firm")
    with pytest.raises(DataError, match="빈 값"):
        link_firms(table({}).assign(firm=None), table({}), unit="firm")
    with pytest.raises(DataError, match="행이 없음"):
        link_firms(table({}).assign(firm="u"), table({}).iloc[:0], unit="firm")
    with pytest.raises(DataError, match="어느 연결 단계도"):
        link_firms(table({})[["name_key"]].assign(firm="u"), table({}), unit="firm")
    with pytest.raises(SchemaError, match="firm"):
        report_firms(linked([{}], [{}]), table({}), table({}), unit="firm")


def test_rows_without_a_number_join_no_one_of_two_numbers() -> None:
    """Two numbers stand with one name and digits: whose the third row is, nobody knows."""
    places = [{"firm_id": "a"}, {"firm_id": "b"}, {"region": "27110"}]
    links = linked([{"firm_id": "a"}], places)
    assert links.places["row"].tolist() == [0]
    links = linked([{"firm_id": "b"}], places)
    assert links.places["row"].tolist() == [1]
    links = linked([{"firm_id": "a"}], [places[0], {**places[1], "name_key": "n2"}, places[2]])
    assert links.places["row"].tolist() == [0, 2]
