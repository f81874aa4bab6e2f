"""Members of firms from files that know six digits: linked where one fits one, dealt out where two could be meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evalkit import simulate
from evalkit.errors import DesignError
from evalkit.ingest import SPECS, read_source
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.linking import MEMBERS, OTHERS, RIVALS, STATUS, pension_members
from evalkit.study.second_source import _drawn, second_source

KEY = b"a key of the tests"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second")
    simulate.write(simulate.world(seed=6, firms=600), folder / "raw", folder / "truth")
    return folder / "raw"


@pytest.fixture(scope="module")
def read(raw: Path) -> tuple[list[Table], list[Table]]:
    insured = read_source("employment_insurance", sorted(raw.glob("고용보험/*.csv")), key=KEY)
    return insured, read_source("national_pension", sorted(raw.glob("국민연금/*.csv")), key=KEY)


@pytest.fixture(scope="module")
def linked(read: tuple[list[Table], list[Table]]) -> tuple[pd.Index, np.ndarray, Panel, dict[str, object]]:
    insured, pension = read
    firms = pd.concat([t.frame for t in insured])
    units = np.unique(firms["firm_id"].to_numpy(dtype=str))
    years = np.arange(2013, 2028)
    varying, fixed, facts = pension_members(insured, pension, units, years)
    return pd.Index(units), years, Panel(units, years, varying, fixed), facts


def test_every_firm_is_linked_in_doubt_or_neither(
    linked: tuple[pd.Index, np.ndarray, Panel, dict[str, object]],
) -> None:
    units, _, panel, facts = linked
    status = panel.constant(STATUS)
    for name in ("linked", "ambiguous", "unlinked"):
        assert int((status == name).sum()) == facts[name]
    assert facts["ambiguous"] > 0  # type: ignore[operator]
    assert ((panel.constant(RIVALS) >= 0) == (status == "ambiguous")).all()
    assert np.isnan(panel.varying[MEMBERS][status == "unlinked"]).all()
    assert len(units) == len(status)


def test_members_are_those_of_the_file(
    raw: Path,
    linked: tuple[pd.Index, np.ndarray, Panel, dict[str, object]],
    read: tuple[list[Table], list[Table]],
) -> None:
    """Linked and in doubt together hold every person of each file exactly once: joined by the file's own number."""
    _, years, panel, _ = linked
    for table in read[1]:
        frame = table.frame
        year = int(frame["month"].dt.year.iloc[0])
        column = panel.varying[MEMBERS][:, int(np.searchsorted(years, year))]
        assert np.nansum(column) == frame["members"].sum()
        assert int(np.isfinite(column).sum()) == len(frame)


def test_links_agree_with_the_whole_numbers(
    raw: Path, linked: tuple[pd.Index, np.ndarray, Panel, dict[str, object]]
) -> None:
    """The world knows whose row is whose: names are distinct but for the pairs that were made alike."""
    units, years, panel, _ = linked
    world = simulate.world(seed=6, firms=600)
    from evalkit.ingest.columns import hash_text
    from evalkit.simulate.identity import identify

    who = identify(world)
    ids = np.array([hash_text(str(n), KEY) for n in who.business_number])
    place = units.get_indexer(ids)
    jobs = world.jobs[:, 2019 - int(world.years[0])]
    members = panel.varying[MEMBERS][:, int(np.searchsorted(years, 2019))][place]
    certain = (panel.constant(STATUS)[place] == "linked") & np.isfinite(members)
    # members leave out people of 60 and over only: never more than the firm's own jobs, and not far below
    assert (members[certain] <= np.maximum(jobs[certain], 1)).all()
    assert (members[certain] >= 0.65 * jobs[certain] - 1).all()


def pension(rows: list[tuple[str, str, int, str]]) -> Table:
    """month, status, members, name of workplaces that share digits, place and day."""
    frame = pd.DataFrame(
        {
            "name_key": [name for *_, name in rows],
            "head_key": "h",
            "region": "11110",
            "joined": pd.Timestamp("2010-01-01"),
            "place_kind": "head_office",
            "month": pd.to_datetime([month for month, *_ in rows]),
            "status": pd.Series([status for _, status, *_ in rows], dtype="str"),
            "members": [members for *_, members, _ in rows],
            "source_row": range(2, 2 + len(rows)),
        }
    )
    return Table(SPECS["national_pension"], frame, Path("국민연금.csv"), "0" * 64)


def insured(names: list[str]) -> Table:
    frame = pd.DataFrame(
        {
            "firm_id": [f"f{i}" for i in range(len(names))],
            "name_key": names,
            "head_key": "h",
            "region": "11110",
            "joined": pd.Timestamp("2010-01-01"),
            "year": 2019,
            "source_row": range(2, 2 + len(names)),
        }
    )
    return Table(SPECS["employment_insurance"], frame, Path("고용보험.csv"), "0" * 64)


def test_only_the_last_month_of_a_year_counts_for_rivals_too() -> None:
    months = [(f"2019-{m:02d}-01", "joined", 100 + m, "twin") for m in range(1, 13)]
    rows = [*months, *[(f"2019-{m:02d}-01", "joined", 5, "twin") for m in range(1, 13)]]
    varying, fixed, facts = pension_members(
        [insured(["twin", "twin"])], [pension(rows)], np.array(["f0", "f1"]), np.array([2019])
    )
    assert sorted(varying[MEMBERS][:, 0].tolist()) == [5.0, 112.0]
    assert facts["ambiguous"] == 2
    assert set(fixed[STATUS]) == {"ambiguous"}


def test_the_last_month_counts_where_a_firm_is_linked() -> None:
    rows = [(f"2019-{m:02d}-01", "joined", 100 + m, "one") for m in range(1, 11)]
    varying, _, _ = pension_members(
        [insured(["one"])], [pension(rows)], np.array(["f0"]), np.array([2018, 2019])
    )
    np.testing.assert_array_equal(varying[MEMBERS], [[np.nan, 110.0]])


def test_who_has_left_the_scheme_is_no_member() -> None:
    rows = [("2019-12-01", "joined", 5, "one"), ("2019-12-01", "left", 7, "one")]
    varying, _, _ = pension_members([insured(["one"])], [pension(rows)], np.array(["f0"]), np.array([2019]))
    assert varying[MEMBERS].tolist() == [[5.0]]


def test_the_larger_of_two_candidates_stands_first_and_the_other_is_drawn() -> None:
    held = Panel(
        np.array(["a", "b"]),
        np.array([2019]),
        {MEMBERS: np.array([[9.0], [4.0]]), OTHERS: np.array([[2.0], [np.nan]])},
        {RIVALS: np.array([0.0, 0.0])},
    )
    drawn = {tuple(_drawn(held, MEMBERS, seed).varying[MEMBERS][:, 0]) for seed in range(60)}
    assert drawn == {(9.0, 4.0), (4.0, 9.0), (9.0, 2.0), (2.0, 9.0), (4.0, 2.0), (2.0, 4.0)}


def test_dealing_again_keeps_every_group_and_every_sum(
    linked: tuple[pd.Index, np.ndarray, Panel, dict[str, object]],
) -> None:
    _, _, panel, _ = linked
    group = panel.constant(RIVALS)
    seen = set()
    for seed in range(6):
        drawn = _drawn(panel, MEMBERS, seed).varying[MEMBERS]
        np.testing.assert_array_equal(drawn[group < 0], panel.varying[MEMBERS][group < 0])
        for number in np.unique(group[group >= 0]):
            mine = group == number
            np.testing.assert_allclose(
                np.nansum(drawn[mine], axis=0), np.nansum(panel.varying[MEMBERS][mine], axis=0)
            )
        seen.add(drawn.tobytes())
    assert len(seen) > 1


def test_a_panel_without_the_variable_is_refused(
    linked: tuple[pd.Index, np.ndarray, Panel, dict[str, object]],
) -> None:
    class Bare:
        panel = linked[2]

    with pytest.raises(DesignError, match="두 번째 자료의 변수 nothing"):
        second_source(Bare(), None, "nothing", 0.95)  # type: ignore[arg-type]
