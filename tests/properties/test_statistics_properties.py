"""Dividing a question of any shape covers every cell once and keeps every answer below the limit; periods survive both ways."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.ingest.statistics.faults import KOSIS_LIMIT, shown
from evalkit.ingest.statistics.periods import Period, ecos_text, kosis_text, read_period, span
from evalkit.ingest.statistics.redaction import Redactor
from evalkit.ingest.statistics.shapes import LONGEST_LIST, Codes, Part, divided, halved


def part(items: int, axes: list[int], periods: int, width: int = 3) -> Part:
    """A whole table: codes are distinct within and over the lists."""
    lists = [
        Codes(tuple(f"{chr(65 + place)}{i:0{width}d}" for i in range(size)), whole=True)
        for place, size in enumerate([items, *axes])
    ]
    return Part(lists[0], tuple(lists[1:]), tuple(Period(1900 + i) for i in range(periods)))


def cells(one: Part) -> list[tuple[object, ...]]:
    return list(product(*(codes.codes for codes in one.lists), one.periods))


SMALL = st.integers(1, 6)


@given(SMALL, st.lists(SMALL, min_size=1, max_size=4), st.integers(1, 8), st.integers(1, 60))
@settings(deadline=None, max_examples=200)
def test_every_cell_is_asked_once_and_no_part_is_too_large(
    items: int, axes: list[int], periods: int, limit: int
) -> None:
    whole = part(items, axes, periods)
    parts = divided(whole, limit)
    asked = [cell for one in parts for cell in cells(one)]
    assert sorted(asked, key=str) == sorted(cells(whole), key=str)
    assert all(one.cells <= limit for one in parts)
    assert all(one.cells == len(cells(one)) for one in parts)


@given(
    st.integers(1, 50),
    st.lists(st.one_of(st.integers(1, 20), st.integers(1, 5000)), min_size=1, max_size=3),
    st.integers(1, 120),
)
@settings(deadline=None, max_examples=60)
def test_real_sizes_stay_below_the_limit_of_kosis(items: int, axes: list[int], periods: int) -> None:
    whole = part(items, axes, periods, width=5)
    if whole.cells > 60_000_000:
        axes = [min(size, 60) for size in axes]
        whole = part(min(items, 10), axes, periods, width=5)
    parts = divided(whole)
    assert all(one.cells <= KOSIS_LIMIT for one in parts)
    assert sum(one.cells for one in parts) == whole.cells  # with distinct parts below: each cell once
    boxes = {(*(codes.codes for codes in one.lists), one.periods) for one in parts}
    assert len(boxes) == len(parts)
    assert all(
        len(codes.text()) <= LONGEST_LIST or len(codes.codes) == 1 for one in parts for codes in one.lists
    )


@given(SMALL, st.lists(SMALL, min_size=1, max_size=3), st.integers(1, 6))
@settings(deadline=None)
def test_halves_cover_a_part_and_only_a_single_cell_has_none(
    items: int, axes: list[int], periods: int
) -> None:
    whole = part(items, axes, periods)
    two = halved(whole)
    if whole.cells == 1:
        assert two is None
        return
    assert two is not None
    assert len(two) == 2
    assert sorted((c for one in two for c in cells(one)), key=str) == sorted(cells(whole), key=str)
    assert all(
        codes.whole == (set(codes.codes) == set(full.codes))
        for one in two
        for codes, full in zip(one.lists, whole.lists, strict=True)
    )


@given(st.sampled_from(["Y", "H", "Q", "M", "SM", "D"]), st.integers(1960, 2060), st.data())
@settings(deadline=None)
def test_periods_survive_the_writing_of_both_services(kind: str, year: int, data: st.DataObject) -> None:
    part_ = data.draw(st.integers(1, {"H": 2, "Q": 4}.get(kind, 12))) if kind != "Y" else 0
    day = data.draw(st.integers(1, {"SM": 2, "D": 28}[kind])) if kind in ("SM", "D") else 0
    period = Period(year, part_, day)
    assert read_period(ecos_text(period, kind), kind) == period
    assert read_period(period.label(kind), kind) == period
    if kind != "SM":
        assert read_period(kosis_text(period), kind) == period


@given(st.sampled_from(["H", "Q", "M", "SM"]), st.integers(2000, 2030), st.integers(1, 2), st.integers(0, 60))
@settings(deadline=None)
def test_a_span_is_every_period_once_in_order(kind: str, year: int, first: int, steps: int) -> None:
    begin = Period(year, first, 1 if kind == "SM" else 0)
    end = Period(year + steps // 12, first + (steps % 2 if first == 1 else 0), begin.day)
    found = span(begin, end, kind)
    assert found[0] == begin
    assert found[-1] == end
    assert list(found) == sorted(set(found))
    size = {"H": 2, "Q": 4, "M": 12, "SM": 24}[kind]
    place = [p.year * size + (p.part - 1) * (2 if kind == "SM" else 1) + max(p.day - 1, 0) for p in found]
    assert place == list(range(place[0], place[0] + len(place)))


@given(st.text(max_size=400), st.integers(1, 50))
@settings(deadline=None)
def test_text_from_outside_is_one_short_plain_line(text: str, length: int) -> None:
    plain = shown(text, length)
    assert len(plain) <= length
    assert plain.isprintable()
    assert not set("<>\n\r") & set(plain)


@given(
    st.text("abcdefgXYZ0123456789+/", min_size=12, max_size=40), st.text(max_size=30), st.text(max_size=30)
)
@settings(deadline=None)
def test_no_writing_of_a_key_survives(core: str, before: str, after: str) -> None:
    from urllib.parse import quote

    secret = f"{core}=="
    hide = Redactor(secret)
    for way in (secret, core, quote(secret, safe=""), quote(quote(secret, safe=""), safe="")):
        assert core not in hide.text(f"{before}{way}{after}")
        assert core.encode() not in hide.content(f"{before}{way}{after}".encode("utf-8", "replace"))[0]
