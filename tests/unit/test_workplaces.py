"""Histories and relocations: every edge of every rule by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.building.relocation_flows import event_panel, observed_periods, relocation_flows
from evalkit.building.relocations import Relocations, relocations
from evalkit.building.workplaces import Workplaces, workplace_histories
from evalkit.design import Design
from evalkit.errors import DataError, PlanError, SchemaError, UsageError
from evalkit.estimators.hazard import hazard_effects
from evalkit.ingest.regions import to_base

SEOUL, GURO, BUSAN, SUWON_JANGAN, SUWON_GWONSEON, CHUNCHEON, GUNWI = (
    "11110", "11530", "26110", "41111", "41113", "42110", "47720",
)  # fmt: skip


def rows(
    unit: int, months: range | list[int], region: str = SEOUL, members: float = 5, **more: Any
) -> pd.DataFrame:
    """One history over months counted from January 2019."""
    count = len(months)
    frame = pd.DataFrame(
        {"unit": [unit] * count, "region": [region] * count, "members": [float(members)] * count}
    )
    frame["month"] = [pd.Timestamp("2019-01-01") + pd.DateOffset(months=m) for m in months]
    return frame.assign(**more)


def filler(last: int) -> pd.DataFrame:
    return rows(0, range(last + 1), region="50110")


def made(*parts: pd.DataFrame, last: int = 35, missing: tuple[int, ...] = (), **options: Any) -> Workplaces:
    frame = pd.concat([filler(last), *parts], ignore_index=True)
    gone = [pd.Timestamp("2019-01-01") + pd.DateOffset(months=m) for m in missing]
    frame = frame[~frame["month"].isin(gone)].reset_index(drop=True)
    return workplace_histories(frame, frame["unit"], **options)


def spells_of(histories: Workplaces, unit: int = 1) -> list[tuple[str, str, str]]:
    table = histories.spell_table()
    table = table[table["unit"] == unit]
    return list(table[["begin", "end", "left"]].itertuples(index=False, name=None))


def statuses(*parts: pd.DataFrame, last: int = 35, missing: tuple[int, ...] = (), **rule: Any) -> list[str]:
    return relocations(made(*parts, last=last, missing=missing), **rule).events["status"].tolist()


# -- entry and exit -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("months", "expected"),
    [
        (range(36), [("left_censored", "censored", "")]),
        (range(30), [("left_censored", "vanished", "2021-07")]),
        (range(33), [("left_censored", "vanished", "2021-10")]),  # three months unseen at the end
        (range(34), [("left_censored", "censored", "")]),  # two: it may come again
        ([*range(10), *range(12, 36)], [("left_censored", "censored", "")]),  # two months: no exit
        (
            [*range(10), *range(13, 36)],  # three months: an exit and a return
            [("left_censored", "vanished", "2019-11"), ("returned", "censored", "")],
        ),
        (range(5, 36), [("entered", "censored", "")]),
        (range(2, 36), [("left_censored", "censored", "")]),  # two months unseen at first: no entry
    ],
)
def test_entries_exits_and_gaps(months: Any, expected: list[tuple[str, str, str]]) -> None:
    assert spells_of(made(rows(1, months))) == expected


def test_a_missing_file_is_neither_a_gap_nor_an_exit() -> None:
    """Four files are missing around two months not seen: that is two months, not six."""
    seen = [*range(10), *range(16, 36)]
    assert spells_of(made(rows(1, seen), missing=(11, 12, 13, 14))) == [("left_censored", "censored", "")]
    assert spells_of(made(rows(1, seen)))[0][1] == "vanished"
    # the exit is dated by the first file that is there without it
    assert spells_of(made(rows(1, range(10)), missing=(10, 11))) == [("left_censored", "vanished", "2020-01")]
    # a file that is missing at the end of time cannot tell
    assert spells_of(made(rows(1, range(10)), last=11)) == [("left_censored", "censored", "")]


def test_who_says_so_has_left_at_once() -> None:
    """Nine months, and in the tenth a row that says that it left; no gap needs to pass."""
    status = ["joined"] * 9 + ["left"]
    told = made(rows(1, range(10), status=status), last=10)
    assert spells_of(told) == [("left_censored", "withdrawn", "2019-10")]
    assert [(line.rows, line.units) for line in told.chart.lines] == [(21, 2), (-1, 0)]

    def dated(day: str, months: int = 10) -> list[tuple[str, str, str]]:
        left = pd.to_datetime([None] * (months - 1) + [day])
        return spells_of(
            made(rows(1, range(months), status=["joined"] * (months - 1) + ["left"], left=left), last=12)
        )

    assert dated("2019-09-20") == [("left_censored", "withdrawn", "2019-10")]
    assert dated("1999-01-01") == [("left_censored", "withdrawn", "2019-10")]  # it was seen until September
    # two months unseen before the file says so: gone from the month after the date
    late = rows(
        1, [0, 1, 2, 5], status=["joined"] * 3 + ["left"], left=pd.to_datetime([None] * 3 + ["2019-04-03"])
    )
    assert spells_of(made(late, last=12)) == [("left_censored", "withdrawn", "2019-05")]


def test_a_row_of_leaving_is_no_sighting() -> None:
    """Eleven months at the destination, and in the twelfth the row of leaving."""
    stay = rows(1, range(6, 18), BUSAN, status=["joined"] * 11 + ["left"])
    assert statuses(rows(1, range(6), status="joined"), stay) == ["too_short"]
    alone = made(rows(1, [4], status="left"), rows(2, range(10), status="joined"))
    assert alone.units.tolist() == [0, 2]
    assert [(line.rows, line.units) for line in alone.chart.lines] == [(47, 3), (-1, -1)]


def test_who_left_and_is_back_soon_has_not_gone() -> None:
    back = rows(1, [*range(8), 8, 10, 11], status=["joined"] * 8 + ["left"] + ["joined"] * 2)
    assert spells_of(made(back, last=11)) == [("left_censored", "censored", "")]
    later = rows(1, [*range(8), 8, 12, 13], status=["joined"] * 8 + ["left"] + ["joined"] * 2)
    assert spells_of(made(later, last=13)) == [
        ("left_censored", "withdrawn", "2019-09"), ("returned", "censored", "")
    ]  # fmt: skip


def test_without_a_status_the_date_of_leaving_says_it() -> None:
    left = pd.to_datetime([None] * 9 + ["2019-10-20"])
    assert spells_of(made(rows(1, range(10), left=left), last=11)) == [
        ("left_censored", "withdrawn", "2019-11")
    ]


def test_seen_late_but_registered_long_ago_is_no_entry() -> None:
    histories = made(
        rows(1, range(6, 36), joined=pd.Timestamp("2011-03-01")),
        rows(2, range(6, 36), joined=pd.Timestamp("2019-06-11")),
        rows(3, range(1, 36), joined=pd.Timestamp("2019-02-01")),
    )
    assert [spells_of(histories, unit)[0][0] for unit in (1, 2, 3)] == ["appeared", "entered", "entered"]


def test_histories_that_stand_twice_in_a_file_are_left_out_and_told() -> None:
    histories = made(rows(1, range(10)), rows(1, range(5, 10)), rows(2, range(36)))
    assert histories.units.tolist() == [0, 2]
    assert [(line.rows, line.units) for line in histories.chart.lines] == [(36 + 15 + 36, 3), (-15, -1)]


def test_kinds_that_contradict_each_other_are_unknown() -> None:
    histories = made(
        rows(1, range(3), place_kind="plant"),
        rows(2, [0, 1, 2], place_kind=["plant", "branch", "plant"]),
        rows(3, [0, 1, 2], place_kind=["unknown", "laboratory", "unknown"]),
    )
    frame = pd.concat([filler(3).assign(place_kind="unknown"), rows(1, range(3), place_kind="plant")])
    assert histories.kind.tolist() == ["unknown"] * 1 + ["plant", "unknown", "laboratory"]
    assert workplace_histories(frame, frame["unit"]).kind.tolist() == ["unknown", "plant"]


# -- relocations ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stay", "status"),
    [
        (12, "relocated"),
        (11, "too_short"),
        (13, "relocated"),
    ],
)
def test_eleven_months_are_too_few_and_twelve_are_enough(stay: int, status: str) -> None:
    """The stay ends by a move on."""
    found = statuses(
        rows(1, range(6)), rows(1, range(6, 6 + stay), BUSAN), rows(1, range(6 + stay, 36), GURO)
    )
    assert found[0] == status
    # and by vanishing
    assert statuses(rows(1, range(6)), rows(1, range(6, 6 + stay), BUSAN)) == [status]


@pytest.mark.parametrize(("stay", "status"), [(11, "censored"), (12, "relocated")])
def test_a_stay_that_the_files_cut_off_is_a_class_of_its_own(stay: int, status: str) -> None:
    assert statuses(rows(1, range(36 - stay)), rows(1, range(36 - stay, 36), BUSAN)) == [status]


@pytest.mark.parametrize(("members", "status"), [(0, "paper"), (1, "relocated"), (np.nan, "paper")])
def test_without_an_insured_worker_it_is_an_address_on_paper(members: float, status: str) -> None:
    assert statuses(rows(1, range(6)), rows(1, range(6, 36), BUSAN, members)) == [status]


def test_workers_must_be_there_the_whole_time() -> None:
    broken = [1.0] * 11 + [0.0] + [1.0] * 11 + [0.0] * 8
    frame = rows(1, range(5, 36), BUSAN).assign(members=broken)
    assert statuses(rows(1, range(5)), frame) == ["too_short"]
    late = [0.0] * 6 + [1.0] * 12 + [0.0] * 13
    found = relocations(made(rows(1, range(5)), frame.assign(members=late))).words().iloc[0]
    assert (found["status"], found["moved"], found["settled"], found["months"]) == (
        "relocated", "2019-06", "2019-12", 12,
    )  # fmt: skip
    # with workers again at the end, it may still come to twelve
    again = [0.0] * 25 + [1.0] * 6
    assert statuses(rows(1, range(5)), frame.assign(members=again)) == ["censored"]


def test_other_rules_can_be_asked_for() -> None:
    parts = (rows(1, range(6)), rows(1, range(6, 12), BUSAN, 2))
    assert statuses(*parts, months=6, workers=2) == ["relocated"]
    assert statuses(*parts, months=6, workers=3) == ["paper"]
    assert statuses(*parts, months=7, workers=2) == ["too_short"]
    assert statuses(rows(1, range(6)), rows(1, range(6, 36), BUSAN, np.nan), workers=0) == ["relocated"]


def test_short_gaps_and_missing_files_do_not_break_a_stay() -> None:
    stay = rows(1, [6, 7, 8, 11, 12, 13, 14, 15, 16, 17], BUSAN)  # 9 and 10 not seen
    assert statuses(rows(1, range(6)), stay) == ["relocated"]
    stay = rows(1, [m for m in range(6, 18) if m not in (8, 9, 10, 11)], BUSAN)
    assert statuses(rows(1, range(6)), stay, missing=(8, 9, 10, 11)) == ["relocated"]
    assert statuses(rows(1, range(6)), stay) == ["too_short"]  # the files were there: it had left


def test_a_stop_on_the_way_is_no_origin_and_a_return_no_move() -> None:
    moved = relocations(
        made(rows(1, range(6)), rows(1, range(6, 10), GURO), rows(1, range(10, 36), BUSAN))
    ).events
    assert moved["status"].tolist() == ["too_short", "relocated"]
    assert moved[["origin", "destination"]].iloc[1].tolist() == [SEOUL, BUSAN]
    back = statuses(rows(1, range(6)), rows(1, range(6, 10), BUSAN), rows(1, range(10, 36)))
    assert back == ["too_short", "returned"]
    there_and_back = statuses(rows(1, range(6)), rows(1, range(6, 20), BUSAN), rows(1, range(20, 36)))
    assert there_and_back == ["relocated", "relocated"]


def test_a_move_out_of_sight_is_named_and_not_counted() -> None:
    """Seoul for six months, three to six months unseen, Busan to the end: once it vanished without a word."""
    for gap in (3, 6):
        histories = made(rows(1, range(6)), rows(1, range(6 + gap, 36), BUSAN))
        found = relocations(histories)
        event = found.words().iloc[0]
        assert event[["origin", "destination", "last_seen", "moved", "status"]].tolist() == [
            SEOUL, BUSAN, "2019-06", f"{2019 + (6 + gap) // 12}-{(6 + gap) % 12 + 1:02d}", "unseen",
        ]  # fmt: skip
        assert found.counted().empty
        assert found.summary()["status"].tolist() == ["사이에 보이지 않아 이전인지 알 수 없음"]
        assert [(line.reason, line.rows) for line in found.chart.lines][1:] == [
            ("사이에 보이지 않아 이전인지 알 수 없음", -1)
        ]
        flows = relocation_flows(found, every="month")
        assert np.nansum(flows.counts) == 0
        assert flows.notes["unseen_in_observed_periods"] == 1
    # two months unseen are no gap
    assert statuses(rows(1, range(6)), rows(1, range(8, 36), BUSAN)) == ["relocated"]


def test_second_spells() -> None:
    assert statuses(rows(1, range(6)), rows(1, range(12, 36))) == []  # away and back
    third = [rows(1, range(4)), rows(1, range(8, 12), BUSAN), rows(1, range(16, 36), GURO)]
    assert statuses(*third) == ["unseen", "unseen"]
    # a stop before the gap: back at the origin it has returned, elsewhere it has come from where it had settled
    stop = [rows(1, range(6)), rows(1, range(6, 9), BUSAN)]
    assert statuses(*stop, rows(1, range(14, 36))) == ["too_short", "returned"]
    assert statuses(*stop, rows(1, range(14, 36), BUSAN)) == ["too_short"]
    last = relocations(made(*stop, rows(1, range(14, 36), GURO))).events.iloc[1]
    assert last[["origin", "destination", "status"]].tolist() == [SEOUL, GURO, "unseen"]
    # from a second spell on, moves count again; other histories do not mix in
    assert statuses(rows(1, range(4)), rows(1, range(8, 12)), rows(1, range(12, 36), BUSAN)) == ["relocated"]
    assert statuses(rows(1, range(4)), rows(2, range(8, 36), BUSAN)) == []


def test_where_the_twelfth_file_is_missing_nothing_can_be_told() -> None:
    """Busan for eleven months; the file of the twelfth is missing, and then it is gone, moved on or without workers."""
    seoul, busan = rows(1, range(6)), rows(1, range(6, 17), BUSAN)
    assert statuses(seoul, busan, missing=(17,)) == ["censored"]
    assert statuses(seoul, busan, missing=(18,)) == ["too_short"]
    assert statuses(seoul, rows(1, range(6, 16), BUSAN), missing=(16,)) == ["too_short"]  # eleven at most
    assert statuses(seoul, rows(1, range(6, 16), BUSAN), missing=(16, 17)) == ["censored"]
    assert statuses(seoul, busan, rows(1, range(18, 36), GURO), missing=(17,)) == ["censored", "relocated"]
    assert statuses(seoul, busan, rows(1, range(18, 36), BUSAN, 0), missing=(17,)) == ["censored"]
    # a date of leaving tells what the missing file cannot
    status = ["joined"] * 11 + ["left"]
    told = rows(1, [*range(6, 17), 18], BUSAN, status=status)
    for day, expected in (("2020-05-10", "too_short"), ("2020-06-10", "censored")):
        left = told.assign(left=pd.to_datetime([None] * 11 + [day]))
        assert statuses(seoul.assign(status="joined"), left, missing=(17,)) == [expected]


@pytest.mark.parametrize(
    ("origin", "destination", "scope", "direction"),
    [
        (SUWON_JANGAN, SUWON_GWONSEON, "within_city", "within_capital"),
        (SEOUL, GURO, "within_province", "within_capital"),
        (SEOUL, SUWON_JANGAN, "between_provinces", "within_capital"),
        (SEOUL, BUSAN, "between_provinces", "out_of_capital"),
        (BUSAN, SEOUL, "between_provinces", "into_capital"),
        (BUSAN, CHUNCHEON, "between_provinces", "outside_capital"),
    ],
)
def test_how_far_and_which_way(origin: str, destination: str, scope: str, direction: str) -> None:
    event = relocations(made(rows(1, range(6), origin), rows(1, range(6, 36), destination))).counted().iloc[0]
    assert (event["scope"], event["direction"]) == (scope, direction)


@pytest.mark.parametrize(
    ("old", "new", "cut", "date"),
    [("42110", "51110", 53, "2023-05"), ("47720", "27720", 54, "2023-06"), ("45111", "52111", 60, "2023-12")],
)
def test_a_new_code_is_no_move(old: str, new: str, cut: int, date: str) -> None:
    """Codes of the files' own dates, brought to 2018: 강원 42 → 51, 군위 to 대구, 전북 45 → 52."""
    months = [pd.Timestamp("2019-01-01") + pd.DateOffset(months=m) for m in range(72)]
    codes = [old] * cut + [new] * (72 - cut)
    assert str(months[cut - 1])[:7] == date
    base = [to_base([code], month.strftime("%Y-%m"))[0] for code, month in zip(codes, months, strict=True)]
    frame = rows(1, range(72)).assign(region=base)
    found = relocations(made(frame, last=71))
    assert found.events.empty
    assert set(base) == {old}
    # read without their dates they would have moved
    naive = relocations(made(rows(1, range(72)).assign(region=codes), last=71))
    assert len(naive.events) == 1


def test_moves_within_a_district_are_seen_where_files_tell_towns() -> None:
    parts = (rows(1, range(14), town="101"), rows(1, range(14, 36), town="102"))
    frame = pd.concat([filler(35).assign(town="1"), *parts], ignore_index=True)
    blind = relocations(workplace_histories(frame, frame["unit"]))
    assert blind.events.empty
    seen = relocations(workplace_histories(frame, frame["unit"], town="town"))
    assert seen.counted()["scope"].tolist() == ["within_district"]
    cells = relocation_flows(seen, level="district")
    at = cells.origins.tolist().index(SEOUL)
    assert np.nansum(cells.counts[at, at]) == 1
    assert np.isnan(relocation_flows(blind, level="district").counts[at, at]).all()


def test_a_branch_that_opens_elsewhere_is_an_opening() -> None:
    parts = [
        rows(1, range(36), firm="f", place_kind="head_office"),
        rows(2, range(12, 36), BUSAN, firm="f", place_kind="branch"),
        rows(3, range(12, 36), BUSAN, firm="g", place_kind="branch"),  # a firm of its own
        rows(4, range(6), firm="h"),
        rows(5, range(12, 36), BUSAN, firm="h"),  # the other had closed: not told to be an opening
    ]
    whole = pd.concat([filler(35).assign(firm="z", place_kind="unknown"), *parts], ignore_index=True)
    found = relocations(workplace_histories(whole, whole["unit"], firm="firm"))
    assert found.events[["unit", "kind", "origin", "destination", "status"]].to_numpy().tolist() == [
        [2, "branch", SEOUL, BUSAN, "opening"]
    ]
    assert found.counted().empty
    assert found.chart.left("주소 변경") == (0, 0)


def test_doubtful_links_can_be_left_out() -> None:
    frame = pd.concat(
        [
            filler(35),
            rows(1, range(6)),
            rows(1, range(6, 36), BUSAN),
            rows(2, range(6)),
            rows(2, range(6, 36), BUSAN),
        ],
        ignore_index=True,
    )
    found = relocations(workplace_histories(frame, frame["unit"], certain=frame["unit"] != 2))
    assert len(found.counted()) == 2
    assert found.counted(certain_only=True)["unit"].tolist() == [1]


def test_the_chart_and_the_summary_add_up() -> None:
    found = relocations(
        made(
            rows(1, range(6)), rows(1, range(6, 36), BUSAN),
            rows(2, range(6)), rows(2, range(6, 36), BUSAN, 0),
            rows(3, range(30)), rows(3, range(30, 36), BUSAN),
        )
    )  # fmt: skip
    assert [(line.rows, line.units) for line in found.chart.lines] == [(3, 3), (-1, -1), (-1, -1)]
    assert found.chart.left("주소 변경") == (1, 1)
    assert found.summary()["events"].sum() == 3


def test_yearly_files_need_two_sightings() -> None:
    def year(unit: int, years: list[int], region: str) -> pd.DataFrame:
        return pd.DataFrame({"unit": unit, "year": years, "region": region, "employees": 3.0})

    frame = pd.concat(
        [
            year(0, list(range(2015, 2022)), "50110"),
            year(1, [2015, 2016], SEOUL), year(1, [2017, 2018], BUSAN),
            year(2, [2015, 2016], SEOUL), year(2, [2017], BUSAN), year(2, [2018, 2019, 2020, 2021], GURO),
            year(3, list(range(2015, 2021)), SEOUL), year(3, [2021], BUSAN),
        ],
        ignore_index=True,
    )  # fmt: skip
    histories = workplace_histories(frame, frame["unit"], period="year", workers="employees")
    found = relocations(histories).events.sort_values(["unit", "moved"])
    assert found["status"].tolist() == ["relocated", "too_short", "relocated", "censored"]
    assert found["origin"].tolist() == [SEOUL] * 4
    years, known = observed_periods(histories, after=11)
    assert years[known].tolist() == [2016, 2017, 2018, 2019, 2020]
    assert spells_of(histories)[0] == ("left_censored", "vanished", "2019")


# -- flows and panels -------------------------------------------------------------------------------------


def world() -> Relocations:
    """Forty-eight months from January 2019: moves in 2019, 2020 and 2022."""
    return relocations(
        made(
            rows(1, range(6)), rows(1, range(6, 48), BUSAN),
            rows(2, range(15)), rows(2, range(15, 48), BUSAN, 3),
            rows(3, range(20)), rows(3, range(20, 48), GURO),
            rows(4, range(37)), rows(4, range(37, 48), BUSAN),
            rows(5, range(36)), rows(5, range(36, 48), BUSAN),
            last=47,
        )
    )  # fmt: skip


def test_flows_count_and_leave_empty_what_cannot_be_told() -> None:
    cells = relocation_flows(world())
    assert cells.periods.tolist() == [2019, 2020, 2021, 2022]
    o, d = cells.origins.tolist().index("서울"), cells.destinations.tolist().index("부산")
    # 2019 has no file before it; moves of 2022 could not have lasted twelve months by its end
    assert cells.counts[o, d].tolist()[1:3] == [1.0, 0.0]
    assert np.isnan(cells.counts[o, d, [0, 3]]).all()
    assert cells.counts[o, o, 1] == 1.0  # 종로 → 구로, within 서울
    assert np.isnan(cells.counts[d, d, 1])  # one district of 부산 in the files: nothing within it can be seen
    assert cells.notes["in_periods_not_observed"] == 2.0
    assert cells.notes["not_observed"] == ["2019", "2022"]
    jobs = relocation_flows(world(), weight="workers")
    assert jobs.counts[o, d, 1] == 3.0
    assert relocation_flows(world(), kinds=["plant"]).counts[o, d, 1] == 0.0


def test_monthly_flows_agree_with_the_events() -> None:
    found = world()
    cells = relocation_flows(found, every="month", level="city")
    assert len(cells.periods) == 48
    seen = np.isfinite(cells.counts[0, 1])
    assert seen.tolist() == [False] + [True] * 36 + [False] * 11
    assert np.nansum(cells.counts) == len(found.counted())
    holes = relocations(made(rows(1, range(36)), missing=(10,)))
    _, known = observed_periods(holes.histories, every="month", after=11)
    assert np.flatnonzero(~known).tolist() == [0, 10, 11, *range(25, 36)]
    _, years = observed_periods(holes.histories, after=11)
    assert years.tolist() == [False, True, False]  # a hole within 2019 would not matter; its beginning does


def test_events_for_hazards() -> None:
    found = relocations(
        made(
            rows(1, range(48)),
            rows(2, range(15)),
            rows(3, range(20)), rows(3, range(20, 48), BUSAN),
            rows(4, range(14)), rows(4, range(14, 40), BUSAN),
            rows(5, range(18, 48)),
            last=47,
        )
    )  # fmt: skip
    panel = event_panel(found, every="year", units=np.arange(1, 6))
    assert panel.units.tolist() == [1, 2, 3, 4, 5]
    nan = np.nan
    np.testing.assert_array_equal(
        panel.values("exit"),
        [[nan, 0, 0, nan], [nan, 1, 1, nan], [nan, 0, 0, nan], [nan, 0, 0, nan], [nan, 0, 0, nan]],
    )
    np.testing.assert_array_equal(
        panel.values("relocated"),
        [[nan, 0, 0, nan], [nan, 0, nan, nan], [nan, 1, 1, nan], [nan, 1, 1, nan], [nan, 0, 0, nan]],
    )
    assert panel.constant("region").tolist() == [SEOUL] * 5
    monthly = event_panel(found, every="month")
    at = monthly.units.tolist().index(4)
    exits = monthly.values("exit")[at]
    assert np.flatnonzero(exits == 1)[0] == 40
    assert np.isnan(exits[46:]).all()  # three months must follow
    assert np.isfinite(exits[1:46]).all()
    with pytest.raises(DataError, match="판단할 수 있는 기간이 없음"):
        event_panel(relocations(made(rows(1, range(5)), last=5)))


def test_hazards_can_be_estimated_from_the_panel() -> None:
    rng = np.random.default_rng(11)
    parts = []
    for unit in range(1, 121):
        last = int(min(48, 8 + rng.geometric(0.03)))
        parts.append(rows(unit, range(last)))
    panel = event_panel(relocations(made(*parts, last=47)), every="month")
    panel = panel.select(periods=panel.periods[3:45])
    treated = np.where(np.arange(len(panel.units)) % 2, float(panel.periods[12]), np.inf)
    panel = panel.with_fixed(adoption=treated)
    estimate = hazard_effects(panel, Design("exit", comparison="not_yet"))
    assert np.isfinite(estimate.values).all()


def test_bad_input_is_told() -> None:
    with pytest.raises(PlanError, match="gap_months"):
        made(rows(1, range(3)), gap_months=0)
    with pytest.raises(SchemaError, match="employees"):
        made(rows(1, range(3)), workers="employees")
    with pytest.raises(DataError, match="이력 번호의 크기"):
        workplace_histories(filler(3), np.arange(2))
    with pytest.raises(DataError, match="행이 없음"):
        workplace_histories([], np.arange(0))
    twice = pd.concat([filler(3), filler(3)])
    with pytest.raises(DataError, match="모두 한 파일에 둘 이상"):
        workplace_histories(twice, np.zeros(8, dtype=int))
    histories = made(rows(1, range(3)))
    with pytest.raises(PlanError, match="months 0"):
        relocations(histories, months=0)
    with pytest.raises(DataError, match="workers=0"):
        relocations(made(rows(1, range(3)), workers=None))
    with pytest.raises(UsageError, match="level"):
        relocation_flows(relocations(histories), level="town")  # type: ignore[arg-type]


# -- exact edges ----------------------------------------------------------------------------------------


def test_who_registered_in_the_first_month_of_the_files_did_not_enter_within_them() -> None:
    """Registered in January 2019, with which the files begin: February is the first month that tells an entry."""
    histories = made(
        rows(1, range(6, 36), joined=pd.Timestamp("2019-01-20")),
        rows(2, range(6, 36), joined=pd.Timestamp("2019-02-01")),
        rows(3, range(36), joined=pd.Timestamp("2019-02-01")),  # seen before it registered
        rows(4, range(36), joined=pd.Timestamp("2025-02-01")),
    )
    begun = [spells_of(histories, unit)[0][0] for unit in (1, 2, 3, 4)]
    assert begun == ["appeared", "entered", "left_censored", "left_censored"]


def test_files_missing_at_first_are_not_months_unseen() -> None:
    """First seen at the fourth position; of the three before it one has no file: two months unseen are no entry."""
    assert spells_of(made(rows(1, range(3, 36))))[0][0] == "entered"
    assert spells_of(made(rows(1, range(3, 36)), missing=(1,)))[0][0] == "left_censored"
    assert spells_of(made(rows(1, range(4, 36)), missing=(1,)))[0][0] == "entered"
    assert spells_of(made(rows(1, range(36))))[0][0] == "left_censored"
    late = made(rows(1, range(1, 36)), gap_months=1)
    assert spells_of(late)[0][0] == "entered"
    assert spells_of(late, 0)[0][0] == "left_censored"  # there from the first file on


def test_a_stay_that_goes_on_without_workers_waits_as_long_as_it_was_asked_for() -> None:
    """On paper for eleven months at the end of the files it may yet fill; after twelve it did not."""
    assert statuses(rows(1, range(25)), rows(1, range(25, 36), BUSAN, 0)) == ["censored"]
    assert statuses(rows(1, range(24)), rows(1, range(24, 36), BUSAN, 0)) == ["paper"]


def opened(*parts: pd.DataFrame) -> list[list[Any]]:
    whole = pd.concat([filler(35).assign(firm="z", place_kind="unknown"), *parts], ignore_index=True)
    found = relocations(workplace_histories(whole, whole["unit"], firm="firm"))
    return found.events.loc[found.events["status"] == "opening", ["unit", "origin"]].to_numpy().tolist()


def test_an_opening_needs_a_workplace_that_was_there_before_and_is_there_still() -> None:
    new = rows(2, range(12, 36), BUSAN, firm="f", place_kind="branch")
    for months, expected in (
        (range(13), [[2, SEOUL]]),  # seen for the last time in the month of the opening
        (range(12), []),  # and the month before it
        (range(11, 36), [[2, SEOUL]]),  # a month older
        (range(12, 36), []),  # both at once
    ):
        assert opened(rows(1, months, firm="f", place_kind="head_office"), new) == expected


def test_the_origin_of_an_opening_is_the_head_office_else_the_oldest() -> None:
    new = rows(9, range(12, 36), BUSAN, firm="f", place_kind="branch")
    oldest = rows(1, range(36), GURO, firm="f", place_kind="plant")
    head = rows(2, range(3, 36), SEOUL, firm="f", place_kind="head_office")
    assert [9, SEOUL] in opened(oldest, head, new)
    assert [9, GURO] in opened(oldest, head.assign(place_kind="branch"), new)
