"""Links over time: every stage by hand, what is left in doubt, and the order of rows and files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DataError, PlanError, SchemaError
from evalkit.ingest.linking.accuracy import link_accuracy, recall_by_change
from evalkit.ingest.linking.ends import Ends, candidates
from evalkit.ingest.linking.links import Links
from evalkit.ingest.linking.over_time import link_over_time
from evalkit.ingest.linking.report import report_over_time
from evalkit.ingest.linking.stages import NUMBERED_STAGES, WORKPLACE_STAGES, Stage, checked, stage_table
from evalkit.ingest.linking.strands import strands_of

START = pd.Timestamp("2019-01-01")


def rows(months: range | list[int], **values: Any) -> pd.DataFrame:
    """One workplace over months counted from January 2019."""
    filled = {
        "name_key": "n1",
        "head_key": "h1",
        "region": "11110",
        "joined": "2010-05-01",
        "place_kind": "unknown",
        **values,
    }
    frame = pd.DataFrame([filled] * len(months))
    frame.insert(0, "month", [START + pd.DateOffset(months=m) for m in months])
    frame["joined"] = pd.to_datetime(frame["joined"])
    return frame


def filler(last: int) -> pd.DataFrame:
    """A workplace of its own that makes every file be there."""
    return rows(range(last + 1), name_key="z", head_key="z", region="50110", joined="1990-01-01")


def linked(*parts: pd.DataFrame, **options: Any) -> tuple[pd.DataFrame, Links]:
    frame = pd.concat(parts, ignore_index=True)
    links = link_over_time(frame, **options)
    names = np.array(["begin", *(s.name for s in links.stages)])
    frame["unit"], frame["certain"] = links.unit, links.certain
    frame["stage"] = names[links.stage + 1]
    return frame[frame["name_key"] != "z"], links


def stages_of(frame: pd.DataFrame) -> list[str]:
    """Stages of the links between strands, in time."""
    return [s for s in frame.sort_values("month", kind="stable")["stage"] if s not in ("begin", "exact")]


@pytest.mark.parametrize(
    ("later", "months", "stage"),
    [
        ({"region": "26110"}, range(4, 9), "moved"),
        ({"region": "26110"}, range(6, 9), "moved_after_gap"),
        ({"region": "26110"}, range(7, 9), "moved_after_gap"),
        ({"name_key": "n2"}, range(4, 9), "renamed"),
        ({"joined": "2019-05-10"}, range(4, 9), "registered_again"),
        ({"joined": "2019-04-01"}, range(4, 9), "registered_again"),
        ({}, range(8, 9), "exact_after_gap"),
    ],
)
def test_each_stage_ties_what_it_is_for(later: dict[str, Any], months: range, stage: str) -> None:
    frame, links = linked(filler(8), rows(range(4)), rows(months, **later))
    assert frame["unit"].nunique() == 1
    assert stages_of(frame) == [stage]
    assert frame["certain"].all()
    assert links.units == 2


@pytest.mark.parametrize(
    ("later", "months"),
    [
        ({"region": "26110"}, range(8, 9)),  # four files between: too long for a move
        ({"name_key": "n2"}, range(5, 9)),  # another name, and a file between
        ({"name_key": "n2", "region": "26110"}, range(4, 9)),  # too much differs
        ({"joined": "2019-03-31"}, range(4, 9)),  # registered before the other had ended
        ({"joined": "2009-01-01"}, range(4, 9)),  # an older registration
        ({"joined": "2019-05-10", "place_kind": "plant"}, range(4, 9)),  # the other is called a branch
        ({"head_key": "h2"}, range(4, 9)),
        ({"name_key": None}, range(4, 9)),
    ],
)
def test_what_no_stage_allows_stays_apart(later: dict[str, Any], months: range) -> None:
    frame, _ = linked(filler(8), rows(range(4), place_kind="branch"), rows(months, **later))
    assert stages_of(frame) == []
    assert frame["unit"].nunique() == (2 if later.get("name_key", "") is not None else 1 + len(months))
    assert frame["certain"].all()


def test_a_chain_of_moves_is_one_history() -> None:
    frame, _ = linked(
        filler(11), rows(range(4)), rows([4, 5], region="26110"), rows(range(6, 12), region="27110")
    )
    assert frame["unit"].nunique() == 1
    assert stages_of(frame) == ["moved", "moved"]


def test_there_and_back_fills_its_own_gap() -> None:
    frame, _ = linked(filler(11), rows([0, 1, 2, 3, 8, 9, 10, 11]), rows(range(4, 8), region="26110"))
    assert frame["unit"].nunique() == 1
    assert stages_of(frame) == ["moved", "moved"]


def test_two_destinations_are_in_doubt_and_no_looser_stage_decides() -> None:
    """After two rivals for a move, another name at the old place in the same month is not taken either."""
    frame, links = linked(
        filler(8),
        rows(range(4)),
        rows(range(4, 9), region="26110"),
        rows(range(4, 9), region="27110"),
        rows(range(4, 9), name_key="n2"),
    )
    assert frame["unit"].nunique() == 4
    assert stages_of(frame) == []
    assert not frame["certain"].any()
    assert links.doubts["group"].nunique() == 1
    assert len(links.doubts) == 3


def test_two_origins_are_in_doubt() -> None:
    frame, links = linked(
        filler(8),
        rows(range(4), region="26110"),
        rows(range(4), region="27110"),
        rows(range(4, 9), region="11110"),
    )
    assert frame["unit"].nunique() == 3
    assert len(links.doubts) == 2
    assert not frame["certain"].any()


def test_of_two_places_the_one_that_ends_has_moved() -> None:
    frame, _ = linked(
        filler(8),
        rows(range(9), region="26110"),
        rows(range(4), region="27110"),
        rows(range(4, 9), region="28110"),
    )
    by_region = frame.groupby("region")["unit"].first()
    assert by_region["27110"] == by_region["28110"] != by_region["26110"]


def test_keys_seen_in_one_file_are_two_workplaces() -> None:
    """One vanishes for a while in the month in which the other comes back: no move, each goes on by its own key."""
    frame, _ = linked(
        filler(9),
        rows([0, 1, 2, 3, 8, 9]),
        rows([0, 1, 4, 5, 6, 7, 8, 9], region="26110"),
    )
    assert frame.groupby("region")["unit"].nunique().tolist() == [1, 1]
    assert set(stages_of(frame)) == {"exact_after_gap"}


def test_a_key_twice_in_a_file_is_a_bundle() -> None:
    frame, links = linked(filler(5), rows(range(6)), rows(range(2, 6)))
    assert frame["unit"].nunique() == 1
    assert not frame["certain"].any()
    assert (links.strands["kind"] == "bundle").sum() == 1


def test_the_kind_of_place_tells_a_double_key_apart() -> None:
    frame, _ = linked(
        filler(9), rows(range(10)), rows([2, 3, 6, 7], place_kind="plant"), rows([8, 9], place_kind="plant")
    )
    assert frame.groupby("place_kind")["unit"].nunique().tolist() == [1, 1]
    assert frame["unit"].nunique() == 2
    assert frame["certain"].all()


def test_a_kind_that_is_told_later_does_not_end_a_history() -> None:
    """Two rows of one key; one of them is called a head office from the fifth month on."""
    frame, _ = linked(
        filler(9),
        rows(range(10), place_kind="plant"),
        rows(range(4)),
        rows(range(4, 10), place_kind="head_office"),
    )
    by_kind = frame.groupby("place_kind")["unit"].first()
    assert by_kind["unknown"] == by_kind["head_office"] != by_kind["plant"]


def test_a_missing_file_is_no_gap() -> None:
    """The file of May is not there: the move from April to June is one to the next file."""
    present = [m for m in range(10) if m != 4]
    base = rows(present, name_key="z", head_key="z", region="50110", joined="1990-01-01")
    frame, links = linked(base, rows(range(4)), rows(range(5, 10), region="26110"))
    assert stages_of(frame) == ["moved"]
    assert len(links.periods) == 9


def test_a_crowd_of_candidates_is_left_in_doubt() -> None:
    many = [rows(range(4, 6), name_key="n1", region=str(20000 + i)) for i in range(60)]
    frame, _ = linked(filler(5), rows(range(4)), *many)
    assert frame["unit"].nunique() == 61
    assert not frame["certain"].any()


def test_a_row_of_leaving_goes_with_the_history_that_it_ends() -> None:
    """In the month of the row of leaving the same workplace is there under a new date: no two workplaces."""
    frame, links = linked(
        filler(8).assign(status="joined"),
        rows(range(4), status="joined"),
        rows([4], status="left"),
        rows(range(4, 9), joined="2019-05-02", status="joined"),
        rows([3], name_key="n9", status="left"),
    )
    assert stages_of(frame) == ["registered_again"]
    own = frame[frame["name_key"] == "n1"]
    assert own["unit"].nunique() == 1
    assert links.units == 3
    assert own["certain"].all()
    assert not links.live[frame.index[frame["status"] == "left"]].any()
    assert link_accuracy(links, frame_truth(links, frame)).loc["all", "precision"] == 1.0


def frame_truth(links: Links, frame: pd.DataFrame) -> np.ndarray:
    truth = np.full(len(links.unit), "z", dtype=object)
    truth[frame.index] = frame["name_key"]
    return truth


def test_yearly_files_with_the_full_number() -> None:
    def year(years: list[int], **values: Any) -> pd.DataFrame:
        base = {"firm_id": "f1", "name_key": "n1", "region": "11110", "joined": "2010-05-01", **values}
        frame = pd.DataFrame([base] * len(years))
        frame["year"] = years
        frame["joined"] = pd.to_datetime(frame["joined"])
        return frame

    frame = pd.concat(
        [
            year([2015, 2016]),
            year([2017, 2018], region="26110"),
            year([2015, 2016, 2017, 2018], name_key="n2", region="27110"),
            year([2015, 2016], firm_id="f2"),
            year([2017, 2018], firm_id="f2", joined="2016-12-15"),
        ],
        ignore_index=True,
    )
    links = link_over_time(frame, period="year", stages=NUMBERED_STAGES)
    assert links.units == 3
    assert links.certain.all()
    assert links.periods.tolist() == [2015, 2016, 2017, 2018]


def test_a_resolution_leaves_nothing_in_doubt_and_keeps_what_was_sure() -> None:
    frame, links = linked(
        filler(8),
        rows(range(4)),
        rows(range(4, 9), region="26110"),
        rows(range(4, 9), region="27110"),
        rows(range(9), name_key="n5"),
        rows(range(2, 9), name_key="n5"),
    )
    drawn = [links.resolved(seed) for seed in range(30)]
    whole = links.unit[frame.index]
    seen = set()
    for draw in drawn:
        assert draw.certain.all()
        cells = np.unique(np.stack([draw.unit, draw.period]), axis=1)
        assert cells.shape[1] == len(draw.unit)  # one row a history and file
        unit = draw.unit[frame.index]
        origin = unit[frame["region"].eq("11110") & frame["name_key"].eq("n1")]
        taken = [r for r in ("26110", "27110") if unit[frame["region"].eq(r)][0] == origin[0]]
        assert len(taken) == 1
        seen.add(taken[0])
        assert draw.units == 5  # filler, the mover, its rival, two places of the bundle
    assert seen == {"26110", "27110"}
    assert len(np.unique(whole)) == 4
    assert np.array_equal(links.resolved(3).unit, links.resolved(3).unit)


def test_the_report_counts_and_masks() -> None:
    frame, links = linked(
        filler(8),
        rows(range(4), name_key="secretname"),
        rows(range(4, 9), name_key="secretname", region="26110"),
        rows(range(4, 9), name_key="secretname", region="27110"),
        rows(range(9), name_key="n5"),
        rows(range(2, 9), name_key="n5"),
        rows(range(9), name_key="n6", head_key="h6"),
    )
    whole = pd.concat(
        [
            filler(8),
            frame[["month", "name_key", "head_key", "region", "joined", "place_kind"]],
        ],
        ignore_index=True,
    )
    report = report_over_time(links, whole)
    # counted by hand: rows after the first file are 8 + 3 + 5 + 5 + 8 + 7 + 8
    assert report.linked + report.ambiguous + report.unlinked == 44
    assert report.ambiguous == 2 + 15  # two beginnings in doubt, and the rows of the bundle
    assert report.unlinked == 0
    assert report.by_group["값"].tolist() == [f"2019-{m:02d}" for m in range(2, 10)]
    assert int(report.by_stage["연결"].sum()) == report.linked == 27
    shown = report.ambiguous_groups
    assert shown["묶음"].nunique() == 2
    assert "secretname" not in shown.to_csv()
    assert set(shown["쪽"]) == {"앞", "뒤", ""}
    assert "모호 17" in report.sentence()


def test_the_accuracy_of_links_counts_successive_rows() -> None:
    frame, links = linked(filler(8), rows(range(4)), rows(range(4, 9), name_key="n2"))
    truth = ["z"] * 9 + ["a"] * 4 + ["b"] * 5  # the renamed one is truly another
    table = link_accuracy(links, truth)
    assert table.loc["renamed", ["links", "right"]].tolist() == [1, 0]
    assert table.loc["all", "links"] == 8 + 3 + 4 + 1
    assert table.loc["all", "precision"] == pytest.approx(15 / 16)
    assert table.loc["all", "recall"] == 1.0
    apart = link_accuracy(links, ["z"] * 9 + ["a"] * 9)
    assert apart.loc["all", "precision"] == 1.0
    split = recall_by_change(links, ["z"] * 9 + ["a"] * 9, ["same"] * 13 + ["name"] + ["same"] * 4)
    assert split.loc["name", "recall"] == 1.0
    assert frame["unit"].nunique() == 1
    with pytest.raises(DataError, match="참값의 길이"):
        link_accuracy(links, ["a"])


def test_bad_input_is_told() -> None:
    with pytest.raises(DataError, match="연결할 행이 없음"):
        link_over_time([])
    with pytest.raises(SchemaError, match="head_key"):
        link_over_time(rows(range(2)).drop(columns="head_key"))
    with pytest.raises(DataError, match="빈 값"):
        link_over_time(rows(range(2)).assign(month=pd.NaT))
    with pytest.raises(DataError, match="날짜도 정수도"):
        link_over_time(rows(range(2)).assign(month="2019-01"))
    with pytest.raises(PlanError, match="하나도 없음"):
        link_over_time(rows(range(2)), stages=())
    with pytest.raises(PlanError, match="두 번"):
        checked([WORKPLACE_STAGES[0], WORKPLACE_STAGES[0]])
    with pytest.raises(PlanError, match="열쇠 열이 없음"):
        Stage("a", "가", ())
    with pytest.raises(PlanError, match="같아야 하면서"):
        Stage("a", "가", ("b",), ("b",))
    with pytest.raises(PlanError, match="음수"):
        Stage("a", "가", ("b",), missed=-1)
    with pytest.raises(PlanError, match="음수"):
        Stage("a", "가", ("b",), near=("joined", -1))
    assert stage_table(WORKPLACE_STAGES)["단계"].is_unique


def test_a_new_registration_lies_after_the_old_and_not_before_its_last_month() -> None:
    """Last seen in April 2019 (registered 2019-04-10): a later day of April will do, the same day or March will not."""

    def tied(old: str, new: str) -> bool:
        frame, _ = linked(filler(8), rows(range(4), joined=old), rows(range(4, 9), joined=new))
        return bool(frame["unit"].nunique() == 1)

    assert tied("2019-04-10", "2019-04-11")
    assert tied("2010-05-01", "2019-04-01")
    assert not tied("2010-05-01", "2019-03-31")
    assert not tied("2019-06-01", "2019-05-31")


@pytest.mark.parametrize(("heads", "listed"), [(50, 50), (51, 0)])
def test_a_crowd_is_more_than_fifty(heads: int, listed: int) -> None:
    """One end and as many beginnings with its key: fifty are looked at one by one."""
    exact = np.arange(heads + 1)
    files = np.array([0] + [1] * heads)
    strands = strands_of(exact, files, None, np.ones(heads + 1, dtype=bool))
    ends = Ends.loose(heads + 1)
    key = np.zeros(heads + 1, dtype=np.int64)
    earlier, later = candidates(strands, ends, key, key, 0)
    assert len(earlier) == len(later) == listed
    assert ends.crowded_tail.any() == (listed == 0)
    assert int(ends.crowded_head.sum()) == heads - listed
