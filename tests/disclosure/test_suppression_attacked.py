"""Suppression, attacked: what is withheld stays out of reach for attackers that share no code with it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from attackers import feasible_interval, sums_of, whole_number_solutions
from tables import grids, two_level, two_way

from evalkit.present.tabulation import Column, Contribution, Tabulation, Total
from evalkit.release import Rules, suppress
from evalkit.release.attack import Sum, System, Unknown
from evalkit.release.rules import sensitive

FEW = settings(max_examples=12, deadline=None)
MANY = settings(max_examples=400, deadline=None)


def counts_stay_open(firms: list[list[list[float]]], least: int) -> None:
    """Every number of firms that a rule withholds has a second value that fits everything published."""
    table = two_way(firms, what="count")
    hidden = suppress(table, Rules(least))
    if not hidden:
        return
    top = max(int(table.value(*at)) for at in hidden) + 2  # type: ignore[arg-type]
    if len(hidden) > 9 or top > 14:
        return
    solutions = whole_number_solutions(table, hidden, top, least)
    assert solutions
    for at, rule in hidden.items():
        if rule in ("threshold", "withheld"):
            assert len({chosen[at] for chosen in solutions}) > 1, (at, hidden)


@given(grids(3, 2), st.sampled_from([3, 4, 5]))
@FEW
def test_no_number_of_firms_follows_from_margins_rules_and_whole_numbers(
    firms: list[list[list[float]]], least: int
) -> None:
    counts_stay_open(firms, least)


@pytest.mark.slow
@given(grids(3, 3), st.sampled_from([3, 4, 5]))
@MANY
def test_no_number_of_firms_follows_many(firms: list[list[list[float]]], least: int) -> None:
    counts_stay_open(firms, least)


def amounts_stay_wide(table: Tabulation, rules: Rules) -> None:
    """Every amount that a rule withholds can lie as far from its value, up and down, as the rule asks."""
    needs, hidden = sensitive(table, rules), suppress(table, rules)
    assert set(needs) <= set(hidden)
    tied = {at for total, parts in sums_of(table) for at in (total, *parts)}
    for at, need in needs.items():
        if at not in tied:
            continue
        low, high = feasible_interval(table, list(hidden), at)
        value = float(table.value(*at))  # type: ignore[arg-type]
        slack = 1e-4 * (1 + value)
        assert high >= value + need.up - slack, (at, need, value, (low, high), hidden)
        assert low <= max(0.0, value - need.down) + slack, (at, need, value, (low, high), hidden)


RULES = st.builds(
    Rules,
    st.sampled_from([3, 5]),
    st.sampled_from([None, (1, 0.6), (2, 0.9)]),
    st.sampled_from([None, 0.1, 0.3]),
)


@given(grids(), RULES)
@FEW
def test_no_amount_is_known_more_closely_than_the_rules_allow(
    firms: list[list[list[float]]], rules: Rules
) -> None:
    amounts_stay_wide(two_way(firms, what="amount"), rules)


@given(
    st.lists(
        st.lists(st.lists(st.floats(1, 300), max_size=6), min_size=2, max_size=4), min_size=2, max_size=3
    ),
    RULES,
)
@FEW
def test_levels_of_a_hierarchy_give_nothing_away(firms: list[list[list[float]]], rules: Rules) -> None:
    amounts_stay_wide(two_level(firms), rules)


@pytest.mark.slow
@given(grids(6, 4), RULES)
@MANY
def test_no_amount_is_known_many(firms: list[list[list[float]]], rules: Rules) -> None:
    amounts_stay_wide(two_way(firms, what="amount"), rules)


@given(grids(3, 3), st.sampled_from([3, 4]))
@FEW
def test_hidden_parts_of_a_shown_total_hold_enough_firms(firms: list[list[list[float]]], least: int) -> None:
    table = two_way(firms, what="amount")
    hidden = suppress(table, Rules(least))
    for total, parts in sums_of(table):
        gone = [at for at in parts if at in hidden]
        if gone and total not in hidden:
            assert sum(table.firms(*at) or 0 for at in gone) >= least


# -- the solver against counting -------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@FEW
def test_the_solver_agrees_with_every_whole_number_tried(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, size=(2, 3))
    names = [(r, c) for r in range(2) for c in range(3)]
    hidden = [at for at in names if rng.random() < 0.6] or [(0, 0)]
    unknowns = {at: Unknown(0.0, 6.0, whole=True) for at in hidden}
    sums = []
    for axis in (0, 1):
        for k in range((2, 3)[axis]):
            line = [at for at in hidden if at[axis] == k]
            if line:
                level = float(sum(truth[at] for at in line))
                sums.append(Sum(dict.fromkeys(line, 1.0), level, level))
    system = System(unknowns, sums)
    possible = {at: set() for at in hidden}

    def fill(k: int, chosen: dict[tuple[int, int], int]) -> None:
        if k == len(hidden):
            if all(sum(chosen[at] for at in s.weights) == s.low for s in sums):
                for at in hidden:
                    possible[at].add(chosen[at])
            return
        room = min(
            (s.low - sum(chosen.get(at, 0) for at in s.weights) for s in sums if hidden[k] in s.weights),
            default=6,
        )
        for value in range(int(min(room, 6)) + 1):
            fill(k + 1, {**chosen, hidden[k]: value})

    fill(0, {})
    for at in hidden:
        assert system.interval(at) == (min(possible[at]), max(possible[at]))


def test_a_gap_is_kept_to() -> None:
    # two withheld numbers of firms add to 5; one is 0 or at least 3, the other 1 or 2: it must be 2
    unknowns = {"a": Unknown(1.0, 2.0, whole=True), "b": Unknown(0.0, gap=3.0, whole=True)}
    system = System(unknowns, [Sum({"a": 1.0, "b": 1.0}, 4.0, 4.0)])
    assert system.interval("a") == (1.0, 1.0)
    assert System(unknowns, [Sum({"a": 1.0, "b": 1.0}, 5.0, 5.0)]).interval("a") == (1.0, 2.0)
    assert System(unknowns, [Sum({"a": 1.0}, 7.0, 7.0)]).interval("a") is None
    assert System({"a": Unknown()}, []).interval("a") == (0.0, np.inf)
    # sums of which nothing is shown: the whole is 0 or at least 3, and its parts reach it
    parts = {name: Unknown(1.0, 2.0, whole=True) for name in "abc"} | {"t": Unknown(gap=3.0, whole=True)}
    whole = System(parts, [Sum({"a": 1.0, "b": 1.0, "c": 1.0, "t": -1.0}, 0.0, 0.0)])
    assert whole.interval("a") == (1.0, 2.0)
    assert whole.interval("t") == (3.0, 6.0)


# -- what the naive rules miss -----------------------------------------------------------------------------


def column_of(values: list[float], counts: list[int], **more: object) -> Tabulation:
    rows = [(f"r{k}", v) for k, v in enumerate([*values, sum(values)])]
    last = len(values)
    return Tabulation(
        "t",
        "표",
        (Column("g", "집단"), Column("v", "값", "number")),
        rows,
        counts=[*counts, sum(counts)],
        totals=(Total("row", last, tuple(range(last))),),
        **more,  # type: ignore[arg-type]
    )


def test_two_thin_counts_that_only_one_pair_fits_take_a_third_with_them() -> None:
    # 2 + 2 = 4: whoever knows that each is 1 or 2 knows both; the threshold rule alone would stop here
    table = column_of([2, 2, 5, 9], [2, 2, 5, 9])
    assert suppress(table, 3) == {(0, 1): "threshold", (1, 1): "threshold", (2, 1): "complementary"}
    open_ = column_of([1, 2, 5, 9], [1, 2, 5, 9])
    assert set(suppress(open_, 3)) == {(0, 1), (1, 1)}


def test_a_complementary_cell_that_is_too_small_to_hide_behind_gets_company() -> None:
    # the p % cell needs room that its small neighbour has not
    big = Contribution(1000.0, (950.0, 40.0))
    table = column_of(
        [1000.0, 2.0, 800.0],
        [5, 5, 50],
        contributions={
            (0, 1): big,
            (1, 1): Contribution.of([1, 1, 0, 0, 0]),
            (2, 1): Contribution.of([16.0] * 50),
        },
    )
    hidden = suppress(table, Rules(3, None, 0.1))
    assert hidden[0, 1] == "p_percent"
    _low, high = feasible_interval(table, list(hidden), (0, 1))
    assert high >= 1000 + 0.1 * 950 - 10
    assert (2, 1) in hidden


def test_the_rules_name_what_they_found() -> None:
    made = {
        (0, 1): Contribution.of([90.0, 5.0, 3.0, 2.0]),  # the two largest hold 95 %
        (1, 1): Contribution.of([50.0, 30.0, 1.0, 1.0]),  # the rest is 2, less than 10 % of 50
        (2, 1): Contribution.of([10.0] * 9),
    }
    table = column_of([100.0, 82.0, 90.0], [4, 4, 9], contributions=made)
    assert suppress(table, Rules(3, (2, 0.9), None))[0, 1] == "dominance"
    assert suppress(table, Rules(3, None, 0.1))[1, 1] == "p_percent"
    assert suppress(table, Rules(3, None, None)) == {}
    assert suppress(table, Rules(1, (2, 0.9), 0.1)) == {}
    needs = sensitive(table, Rules(3, (2, 0.9), None))
    assert needs[0, 1].up == pytest.approx(95 / 0.9 - 100)
    assert sensitive(table, Rules(3, None, 0.1))[1, 1].up == pytest.approx(0.1 * 50 - 2)


def test_levels_are_in_the_unit_of_the_cell() -> None:
    # the cell shows a mean in 억원, the contributions are in 백만원
    made = {(0, 1): Contribution.of([5000.0, 3000.0, 100.0, 100.0])}
    table = Tabulation(
        "t",
        "",
        (Column("g", ""), Column("v", "", "number")),
        [("a", 8200 / 4 / 100)],
        counts=[4],
        contributions=made,
    )
    need = sensitive(table, Rules(3, None, 0.1))[0, 1]
    assert need.up == pytest.approx((0.1 * 5000 - 200) / 4 / 100)


def test_a_mean_and_a_number_of_firms_do_not_give_a_complementary_sum_back() -> None:
    columns = (
        Column("g", ""),
        Column("n", "기업", "integer"),
        Column("s", "매출", "number"),
        Column("m", "평균", "number"),
    )
    data = [("a", 2, 30.5), ("b", 4, 70.25), ("c", 9, 450.75)]
    rows = [(g, n, s, s / n) for g, n, s in data]
    rows.append(("계", 15, sum(s for *_, s in data), sum(s for *_, s in data) / 15))
    counts = [(None, n, n, n) for _, n, _ in data] + [(None, 15, 15, 15)]
    table = Tabulation("t", "", columns, rows, counts=counts, totals=(Total("row", 3, (0, 1, 2)),))
    hidden = suppress(table, 3)
    assert {(0, 1), (0, 2), (0, 3)} <= set(hidden)
    for r in range(4):
        shown = {c: rows[r][c] for c in (1, 2, 3) if (r, c) not in hidden}
        assert not {1, 3} <= set(shown) or (r, 2) not in hidden
        assert not {2, 3} <= set(shown) or (r, 1) not in hidden


def test_where_the_rule_alone_would_tell_a_count_it_is_not_named() -> None:
    table = two_way([[[], []], [[1.0], [1.0]]], what="count")  # 1 + 1 = 2: each of the three is 1 or 2
    hidden = suppress(table, 3)
    assert set(hidden.values()) == {"withheld"}
    counts_stay_open([[[], []], [[1.0], [1.0]]], 3)


def test_a_withheld_one_does_not_show_itself_by_what_is_withheld_with_it() -> None:
    columns = (Column("g", ""), Column("n", "건", "integer"), Column("m", "다른 비율", "number"))
    hidden = [
        suppress(Tabulation("t", "", columns, [("a", n, 6.527)], counts=[(None, n, 33)]), 3) for n in (1, 2)
    ]
    assert hidden == [{(0, 1): "threshold"}] * 2


def test_order_statistics_of_few_firms_go_and_of_many_are_flagged() -> None:
    columns = (
        Column("g", "집단"),
        Column("lo", "최솟값", "number"),
        Column("med", "중앙값", "number"),
        Column("hi", "Maximum", "number"),
        Column("q", "값", "number", statistic="quantile"),
        Column("mde", "최소 탐지 효과", "number"),
    )
    rows = [("a", 1.5, 2.5, 9.5, 3.5, 0.5), ("b", 1.5, 2.5, 9.5, 3.5, 0.5)]
    table = Tabulation("t", "", columns, rows, counts=[9, 40])
    assert suppress(table, Rules()) == dict.fromkeys(
        [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 3)], "order_statistic"
    )
    assert suppress(Tabulation("t", "", columns, rows, counts=None), Rules()) == {}


def test_rows_of_order_statistics_are_found_by_their_label() -> None:
    rows = [("평균", 5.5), ("최댓값", 9.5), ("95백분위수", 8.5), ("p50", 4.5), ("기업 최대 3곳", 1.5)]
    table = Tabulation("t", "", (Column("g", "항목"), Column("v", "값", "number")), rows, counts=[8] * 5)
    assert set(suppress(table, Rules())) == {(1, 1), (2, 1), (3, 1)}


def test_a_negative_amount_opens_the_interval_downwards() -> None:
    table = column_of([-30.0, 60.0, 45.0], [2, 8, 9])
    hidden = suppress(table, 3)
    low, high = feasible_interval(table, list(hidden), (0, 1), signed=True)
    assert low < -33
    assert high > -27
