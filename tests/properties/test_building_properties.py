"""Panels do not depend on the order of rows, on how a table was cut into files, or on what its units are called."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.building import Built, History, Part, joined_panel, move_flows
from evalkit.errors import DataError
from evalkit.flows import Flows

SETTINGS = settings(max_examples=30, deadline=None)
ROW = st.tuples(
    st.sampled_from("abcdefg"),
    st.integers(2015, 2019),
    st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False)),
    st.sampled_from(["", "가", "나", "다"]),
)
ROWS = st.lists(ROW, min_size=1, max_size=40)


def frame_of(rows: list[tuple[str, int, float | None, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["firm_id", "year", "jobs", "region"])
    return frame.astype({"jobs": "float64"})


def build(*frames: pd.DataFrame, repeats: str = "sum", **options: object) -> Built:
    part = Part(
        "고용", pd.concat(frames, ignore_index=True), {"jobs": "jobs"}, {"region": "region"}, repeats=repeats
    )  # type: ignore[arg-type]
    return joined_panel([part], fixed={"region": "first"}, **options)  # type: ignore[arg-type]


def same(a: Built, b: Built) -> None:
    assert a.panel.units.tolist() == b.panel.units.tolist()
    assert a.panel.periods.tolist() == b.panel.periods.tolist()
    np.testing.assert_array_equal(a.panel.varying["jobs"], b.panel.varying["jobs"])
    assert a.panel.fixed["region"].tolist() == b.panel.fixed["region"].tolist()
    assert a.flow == b.flow


@SETTINGS
@given(ROWS, st.randoms(use_true_random=False), st.sampled_from(["sum", "largest"]), st.data())
def test_order_and_files_do_not_matter(rows, random, repeats, data) -> None:  # type: ignore[no-untyped-def]
    frame = frame_of(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    cut = data.draw(st.integers(0, len(rows)))
    whole = build(frame, repeats=repeats)
    same(whole, build(frame_of(shuffled), repeats=repeats))
    same(whole, build(frame.iloc[cut:], frame.iloc[:cut], repeats=repeats))


@SETTINGS
@given(ROWS)
def test_names_of_units_do_not_matter(rows) -> None:  # type: ignore[no-untyped-def]
    names = dict(zip("abcdefg", ("q", "w", "e", "r", "t", "y", "u"), strict=True))
    a, b = (build(frame_of(r)) for r in (rows, [(names[u], *rest) for u, *rest in rows]))
    order = [list(b.panel.units).index(names[unit]) for unit in a.panel.units]
    np.testing.assert_array_equal(a.panel.varying["jobs"], b.panel.varying["jobs"][order])
    assert a.panel.fixed["region"].tolist() == b.panel.fixed["region"][order].tolist()
    assert a.flow == b.flow


@SETTINGS
@given(ROWS)
def test_sums_and_traits_are_those_of_a_plain_grouping(rows) -> None:  # type: ignore[no-untyped-def]
    frame = frame_of(rows)
    panel = build(frame).panel
    sums = frame.groupby(["firm_id", "year"])["jobs"].agg(lambda v: v.sum(skipna=False))
    for (unit, year), value in sums.items():
        i, t = panel.units.tolist().index(unit), panel.periods.tolist().index(year)
        np.testing.assert_allclose(panel.varying["jobs"][i, t], value, rtol=1e-12, atol=1e-6)
    for i, unit in enumerate(panel.units):
        of = [(y, -np.inf if j is None else j, r) for u, y, j, r in rows if u == unit and r]
        first = [row for row in of if row[0] == min(y for y, _, _ in of)] if of else []
        largest = [row for row in first if row[1] == max(j for _, j, _ in first)]
        assert panel.fixed["region"][i] == (min(r for _, _, r in largest) if largest else "")


@SETTINGS
@given(ROWS, ROWS, st.sampled_from(["any", "all", "고용"]), st.booleans())
def test_the_flow_chart_adds_up(first, second, units, balanced) -> None:  # type: ignore[no-untyped-def]
    other = frame_of(second).rename(columns={"jobs": "won"}).drop_duplicates(["firm_id", "year"])
    parts = [
        Part("고용", frame_of(first), {"jobs": "jobs"}, repeats="sum"),
        Part("재무", other, {"sales": "won"}),
    ]
    try:
        built = joined_panel(parts, units=units, balanced=balanced)
    except DataError:  # no unit in all sources, or none that is seen throughout
        assert units == "all" or balanced
        return
    steps = built.flow.to_frame()
    last = steps.groupby("자료", sort=False).last()
    sums = steps.groupby("자료", sort=False)[["행", "단위"]].sum()
    np.testing.assert_array_equal(last[["남은 행", "남은 단위"]], sums)
    assert (steps[["남은 행", "남은 단위"]] >= 0).all(axis=None)
    assert steps["행"].iloc[0] == len(first)
    assert last.loc["패널", "남은 단위"] == len(built.panel.units)
    for name, made in built.rows.items():
        if not balanced:
            assert (last.loc[name, "남은 행"], last.loc[name, "남은 단위"]) == (
                len(made),
                made["unit"].nunique(),
            )
    cells = set().union(*(set(zip(m["unit"], m["period"], strict=True)) for m in built.rows.values()))
    assert last.loc["패널", "남은 행"] == len(cells)


@SETTINGS
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4).filter(any), min_size=1, max_size=12))
def test_histories_against_a_walk_through_time(seen) -> None:  # type: ignore[no-untyped-def]
    there = np.array(seen)
    history = History.of(there)
    values = np.where(there, 5.0, np.nan)
    for i, row in enumerate(seen):
        first, last = row.index(True), len(row) - 1 - row[::-1].index(True)
        for t in range(len(row)):
            expected = np.nan if t < first else 0.0 if t > last else 5.0 if row[t] else np.nan
            np.testing.assert_equal(history.exits_as_zero(values)[i, t], expected)
            np.testing.assert_equal(history.alive()[i, t], np.nan if t < first else float(t <= last))
            assert history.gaps[i, t] == (first < t < last and not row[t])
    # entries and exits are those of the units that come after the first and leave before the last period
    assert np.nansum(history.entered()) == sum(row.index(True) > 0 for row in seen)
    assert np.nansum(history.exited()) == sum(not row[-1] for row in seen)


@SETTINGS
@given(ROWS, st.randoms(use_true_random=False))
def test_moves_against_a_walk_through_time(rows, random) -> None:  # type: ignore[no-untyped-def]
    frame = frame_of(rows).drop_duplicates(["firm_id", "year"]).rename(columns={"firm_id": "unit", "year": "period"})  # fmt: skip
    periods = list(range(2015, 2020))
    known = frame[frame["region"] != ""]
    if known.empty:
        return
    order = list(range(len(frame)))
    random.shuffle(order)
    flows, chart = move_flows(frame.iloc[order], place="region", periods=periods, places=["가", "나", "다"])
    where = {(u, p): r for u, p, r in zip(known["unit"], known["period"], known["region"], strict=True)}
    expected: dict[tuple[str, str, int], int] = {}
    for (unit, period), place in where.items():
        before = where.get((unit, period - 1))
        if before and before != place:
            expected[before, place, period] = expected.get((before, place, period), 0) + 1
    assert table(flows) == expected
    assert chart.left("이전")[0] == sum(expected.values())


def table(flows: Flows) -> dict[tuple[str, str, int], int]:
    return {
        (str(flows.origins[o]), str(flows.destinations[d]), int(flows.periods[t])): int(flows.counts[o, d, t])
        for o, d, t in np.argwhere(flows.counts)
    }
