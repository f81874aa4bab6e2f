"""What must not matter to links and histories: the order of rows and files, and what the keys are called."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.building.relocations import relocations
from evalkit.building.workplaces import workplace_histories
from evalkit.ingest.linking.codes import combined, dense
from evalkit.ingest.linking.links import Links
from evalkit.ingest.linking.over_time import link_over_time

REGIONS = ["11110", "11530", "26110", "42110"]
JOINED = ["2010-05-01", "2018-03-03", "2019-04-20"]


@st.composite
def files(draw: st.DrawFn) -> pd.DataFrame:
    """A small world of few keys, so that doubts, bundles and gaps come up all the time."""
    row = st.tuples(
        st.integers(0, 7),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 3),
        st.integers(0, 2),
        st.integers(0, 2),
    )
    rows = draw(st.lists(row, min_size=2, max_size=40))
    months, names, heads, regions, joined, members = (np.array(part) for part in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "month": pd.to_datetime([f"2019-{m + 1:02d}-01" for m in months]),
            "name_key": [f"n{n}" for n in names],
            "head_key": [f"h{h}" for h in heads],
            "region": [REGIONS[r] for r in regions],
            "joined": pd.to_datetime([JOINED[j] for j in joined]),
            "members": members.astype(float),
        }
    )


def partition(unit: np.ndarray) -> np.ndarray:
    """Each row's first companion: the same for the same partition, whatever its numbers."""
    _, first, inverse = np.unique(unit, return_index=True, return_inverse=True)
    return first[inverse]


def back(links: Links, order: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit, stage and certainty in the order of the rows before they were shuffled"""
    place = np.argsort(order)
    return links.unit[place], links.stage[place], links.certain[place]


@settings(max_examples=40, deadline=None)
@given(files(), st.randoms(use_true_random=False))
def test_order_of_rows_and_files_does_not_matter(frame: pd.DataFrame, random: object) -> None:
    links = link_over_time(frame)
    order = np.array(random.sample(range(len(frame)), len(frame)))  # type: ignore[attr-defined]
    unit, stage, certain = back(link_over_time(frame.iloc[order]), order)
    # the numbers themselves are the same, not only who is together
    assert np.array_equal(unit, links.unit)
    assert np.array_equal(stage, links.stage)
    assert np.array_equal(certain, links.certain)
    months = [frame[frame["month"] == month] for month in frame["month"].unique()]
    random.shuffle(months)  # type: ignore[attr-defined]
    place = np.concatenate([part.index.to_numpy() for part in months])
    unit, stage, certain = back(link_over_time(months), place)
    assert np.array_equal(unit, links.unit)
    assert np.array_equal(stage, links.stage)
    assert np.array_equal(certain, links.certain)


@settings(max_examples=40, deadline=None)
@given(files(), st.permutations(range(4)), st.permutations(range(3)))
def test_names_of_the_keys_do_not_matter(frame: pd.DataFrame, regions: list[int], names: list[int]) -> None:
    links = link_over_time(frame)
    renamed = frame.assign(
        region=frame["region"].map(dict(zip(REGIONS, [f"r{i}" for i in regions], strict=True))),
        name_key=frame["name_key"].map({f"n{i}": f"x{j}" for i, j in enumerate(names)}),
    )
    other = link_over_time(renamed)
    assert np.array_equal(partition(other.unit), partition(links.unit))
    assert np.array_equal(other.stage, links.stage)
    assert np.array_equal(other.certain, links.certain)


@settings(max_examples=40, deadline=None)
@given(files())
def test_a_history_has_one_row_a_file_unless_it_is_a_bundle(frame: pd.DataFrame) -> None:
    links = link_over_time(frame)
    kind = links.strands["kind"].to_numpy()[links.strand]
    cells = pd.DataFrame({"unit": links.unit, "period": links.period})[kind != "bundle"]
    assert not cells.duplicated().any()
    assert not links.certain[kind == "bundle"].any()
    # rows of one exact key that stand once in every file are one history or have moved in between, never two keys at once
    steps = links.strands["before"].to_numpy()
    follow = np.flatnonzero(steps >= 0)
    first, last = links.strands["first"].to_numpy(), links.strands["last"].to_numpy()
    assert (last[steps[follow]] < first[follow]).all()
    assert len(np.unique(steps[follow])) == len(follow)


@settings(max_examples=40, deadline=None)
@given(files(), st.integers(0, 5))
def test_a_draw_keeps_every_link_and_leaves_no_doubt(frame: pd.DataFrame, seed: int) -> None:
    links = link_over_time(frame)
    drawn = links.resolved(seed)
    assert drawn.certain.all()
    cells = pd.DataFrame({"unit": drawn.unit, "period": drawn.period})
    assert not cells.duplicated().any()
    plain = links.strands["kind"].to_numpy()[links.strand] == "plain"
    pairs = pd.DataFrame({"before": links.unit[plain], "after": drawn.unit[plain]}).drop_duplicates()
    assert pairs["before"].is_unique  # a draw ties more, it never cuts


@settings(max_examples=40, deadline=None)
@given(files(), st.randoms(use_true_random=False))
def test_histories_and_relocations_do_not_depend_on_order(frame: pd.DataFrame, random: object) -> None:
    links = link_over_time(frame)
    kind = links.strands["kind"].to_numpy()[links.strand]
    if (kind == "bundle").all():
        return
    one = relocations(workplace_histories(frame, links.unit), months=2)
    order = np.array(random.sample(range(len(frame)), len(frame)))  # type: ignore[attr-defined]
    other = relocations(workplace_histories(frame.iloc[order], links.unit[order]), months=2)
    pd.testing.assert_frame_equal(one.events, other.events)
    pd.testing.assert_frame_equal(one.histories.spells, other.histories.spells)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=1, max_size=30))
def test_codes_of_combinations_agree_with_a_group_number(pairs: list[tuple[int, int]]) -> None:
    left, right = (np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True))
    codes = combined([left, right])
    full = sorted({pair for pair in pairs if min(pair) >= 0})
    assert codes.tolist() == [full.index(pair) if min(pair) >= 0 else -1 for pair in pairs]
    assert dense(left).tolist() == [
        sorted({v for v in left.tolist() if v >= 0}).index(v) if v >= 0 else -1 for v in left
    ]


def brute_spells(seen: list[int], last: int, gap: int) -> list[tuple[int, int, str]]:
    """First and last sighting of each spell and how it ends, month by month."""
    out: list[list] = []
    for month in sorted(seen):
        if out and month - out[-1][1] - 1 < gap:
            out[-1][1] = month
        else:
            out.append([month, month])
    ends = ["vanished"] * (len(out) - 1) + ["vanished" if last - out[-1][1] >= gap else "censored"]
    return [(first, end, kind) for (first, end), kind in zip(out, ends, strict=True)]


@settings(max_examples=100, deadline=None)
@given(st.sets(st.integers(0, 23), min_size=1), st.integers(1, 5))
def test_spells_agree_with_a_walk_through_the_months(seen: set[int], gap: int) -> None:
    def rows(unit: int, months: list[int]) -> pd.DataFrame:
        when = [pd.Timestamp("2019-01-01") + pd.DateOffset(months=m) for m in months]
        return pd.DataFrame({"unit": unit, "month": when, "region": "11110", "members": 1.0})

    frame = pd.concat([rows(0, list(range(24))), rows(1, sorted(seen))], ignore_index=True)
    spells = workplace_histories(frame, frame["unit"], gap_months=gap).spells
    own = spells[spells["unit"] == 1]
    assert list(own[["first", "last", "end"]].itertuples(index=False, name=None)) == brute_spells(
        sorted(seen), 23, gap
    )


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=3, max_size=24),
    st.integers(1, 5),
)
def test_relocations_agree_with_a_walk_through_the_months(path: list[tuple[int, int]], months: int) -> None:
    """One workplace seen every month; its place and whether it has workers drawn month by month."""
    frame = pd.DataFrame(
        {
            "unit": 0,
            "month": [pd.Timestamp("2019-01-01") + pd.DateOffset(months=m) for m in range(len(path))],
            "region": [REGIONS[place] for place, _ in path],
            "members": [float(workers) for _, workers in path],
        }
    )
    if not frame["members"].gt(0).any():
        frame.loc[0, "members"] = 1.0
    found = relocations(workplace_histories(frame, frame["unit"]), months=months).events
    members = frame["members"].tolist()
    # stays one after another
    stays: list[list[int]] = []
    for month, (place, _) in enumerate(path):
        if stays and path[stays[-1][0]][0] == place:
            stays[-1][1] = month
        else:
            stays.append([month, month])
    expected = []
    home = path[0][0]
    for number, (begin, end) in enumerate(stays):
        runs = "".join("1" if members[m] >= 1 else "0" for m in range(begin, end + 1))
        longest = max(len(run) for run in runs.split("0"))
        passed = longest >= months
        place = path[begin][0]
        if number > 0:
            last = number == len(stays) - 1
            if place == home:
                status = "returned"
            elif passed:
                status = "relocated"
            elif last and (runs.endswith("1") or len(runs) < months):
                status = "censored"
            elif "1" not in runs:
                status = "paper"
            else:
                status = "too_short"
            expected.append((REGIONS[home], REGIONS[place], status, longest))
        if passed and number > 0:
            home = place
    assert (
        list(found[["origin", "destination", "status", "months"]].itertuples(index=False, name=None))
        == expected
    )
