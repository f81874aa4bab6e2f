"""The flow of the sample: no reader learns a count of one or two firms from what is left after each step."""

from __future__ import annotations

import itertools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalkit.release.steps import Joined, joined_steps

DROPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=0, max_size=6)


def flow_of(drops: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Units and supported units after each step, from what each drops of (supported, others)."""
    treated, others = 50, 500
    left = [(treated + others, treated)]
    for gone, also in drops:
        treated, others = treated - gone, others - also
        left.append((treated + others, treated))
    return left


def learnt(lines: list[Joined], left: list[tuple[int, int]]) -> list[int]:
    """Every count of firms that lines give away: differences of units, of supported units and of the others."""
    found = []
    for one, two in itertools.combinations(lines, 2):
        if one.left is not None and two.left is not None:
            found.append(one.left - two.left)
        if one.treated is not None and two.treated is not None:
            found.append(one.treated - two.treated)
            if one.left is not None and two.left is not None:
                found.append(one.left - one.treated - two.left + two.treated)
    return found + [line.dropped for line in lines if line.dropped is not None]


@given(DROPS, st.sampled_from([1, 3, 4, 5]))
@settings(max_examples=300, deadline=None)
@example([(1, 0)], 3)
@example([(0, 2), (1, 0), (0, 30)], 3)
def test_no_small_count_follows(drops: list[tuple[int, int]], least: int) -> None:
    left = flow_of(drops)
    lines = joined_steps(left, least)
    assert not any(0 < count < least for count in learnt(lines, left))
    assert [step for line in lines for step in line.steps] == list(range(len(left)))
    assert (lines[-1].left, lines[-1].treated) == left[-1] or len(left) == 1


@given(DROPS)
@settings(max_examples=100, deadline=None)
def test_as_many_steps_are_told_as_can_be(drops: list[tuple[int, int]]) -> None:
    left = flow_of(drops)
    lines = joined_steps(left, 3)
    most = 0
    inner = range(1, len(left) - 1)
    for size in range(len(left)):
        for chosen in itertools.combinations(inner, size):
            ends = sorted({0, *chosen, len(left) - 1})
            pairs = [(left[a], left[b]) for a, b in itertools.pairwise(ends)]
            gone = [(a[0] - b[0], a[1] - b[1], a[0] - a[1] - b[0] + b[1]) for a, b in pairs]
            if not any(0 < count < 3 for three in gone for count in three):
                most = max(most, len(ends))
    if most:
        assert len(lines) == most
        assert all(line.treated is not None for line in lines)


def test_where_one_supported_firm_is_lost_in_all_the_sides_are_told_at_the_end() -> None:
    lines = joined_steps([(900, 50), (700, 50), (650, 49), (600, 49)], 3)
    assert [(line.left, line.treated) for line in lines] == [(900, None), (700, None), (650, None), (600, 49)]


def test_where_one_firm_is_lost_in_all_the_start_keeps_its_number() -> None:
    lines = joined_steps([(900, 50), (899, 50)], 3)
    assert lines == [Joined((0,), None, None, None), Joined((1,), 899, 50, None)]


def test_public_statistics_are_told_as_they_are() -> None:
    left = [(900, 50), (899, 50), (898, 49)]
    assert [line.steps for line in joined_steps(left, 1)] == [(0,), (1,), (2,)]
