"""What must not change the findings, and what must never stop the audit."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import planted_faults
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.ingest.audit import SEVERITIES, SHOWN, TITLES, Finding, audit_frame

TODAY = dt.date(2026, 6, 1)
FAULTS = [
    "doubled",
    "stale",
    "swap",
    "shift",
    "typing",
    "sums",
    "negative",
    "missing",
    "churn",
    "thousand",
    "city",
]
some = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def corrupted(seed: int, fault: str) -> planted_faults.World:
    world, _, _ = planted_faults.corrupted(np.random.default_rng([77, seed]), "regions", fault)
    return world


def told(world: planted_faults.World, frame: pd.DataFrame, **options) -> tuple[Finding, ...]:
    return audit_frame(
        frame, world.unit, "year", world.values, groups=world.groups, names=world.names, today=TODAY, **options
    )  # fmt: skip


def essence(found: tuple[Finding, ...]) -> set[tuple[str, str, str, int]]:
    return {(f.check, f.severity, f.variable, f.total) for f in found}


@some
@given(st.integers(0, 10_000), st.sampled_from(FAULTS))
def test_columns_may_come_in_any_order(seed, fault):
    world = corrupted(seed, fault)
    found = told(world, world.frame)
    world.values = world.values[::-1]
    assert {(f.check, f.severity, f.total) for f in told(world, world.frame[world.frame.columns[::-1]])} == {
        (f.check, f.severity, f.total) for f in found
    }


@some
@given(st.integers(0, 10_000), st.sampled_from(["doubled", "swap", "shift", "typing", "stale", "thousand"]))
def test_the_years_may_be_others(seed, fault):
    world = corrupted(seed, fault)
    world.values = [name for name in world.values if name != "cpi_2020"]  # its base year stands in its name
    later = world.frame.assign(year=world.frame["year"] - 20)
    assert essence(told(world, later)) == essence(told(world, world.frame))


@some
@given(st.integers(0, 10_000), st.sampled_from(["swap", "shift", "typing", "stale", "thousand"]))
def test_amounts_may_stand_in_another_unit_of_measure(seed, fault):
    world = corrupted(seed, fault)
    found = told(world, world.frame)
    other = world.frame.assign(grdp_mkrw=world.frame["grdp_mkrw"] * 1e6)
    mine = {key for key in essence(found) if key[2] == "grdp_mkrw" and key[0] != "heaping"}
    assert {
        key for key in essence(told(world, other)) if key[2] == "grdp_mkrw" and key[0] != "heaping"
    } == mine


@some
@given(st.integers(0, 10_000), st.sampled_from(FAULTS))
def test_a_second_look_says_the_same_and_findings_are_well_formed(seed, fault):
    world = corrupted(seed, fault)
    before = world.frame.copy()
    found = told(world, world.frame)
    assert found == told(world, world.frame)
    pd.testing.assert_frame_equal(world.frame, before)
    weights = [SEVERITIES.index(f.severity) for f in found]
    assert weights == sorted(weights)
    rows = set(world.frame["source_row"])
    for f in found:
        assert f.check in TITLES
        assert len(f.rows) <= SHOWN
        assert 0 <= f.score <= 1
        assert f.sentence
        assert f.rule
        assert {row.source_row for row in f.rows} <= rows | {0}
        assert "{" not in f.sentence + f.rule


numbers = st.one_of(
    st.floats(-1e12, 1e12),
    st.just(np.nan),
    st.just(0.0),
    st.sampled_from([1.0, 2.0, 1e-12, 1e300, -1e300, np.inf]),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_table_stops_the_audit(data):
    n = data.draw(st.integers(0, 40))
    names = data.draw(st.lists(st.sampled_from(["인구", "매출액", "cpi_2020", "고용률", "증가율", "x", "취업자"]), unique=True, min_size=1))  # fmt: skip
    units = st.one_of(st.sampled_from(["11110", "11140", "41110", "41111", "계", "a", ""]), st.none())
    years = st.one_of(st.integers(2010, 2016), st.none(), st.sampled_from(["2012년", "2012-03", "어제"]))
    frame = pd.DataFrame(
        {
            "code": pd.Series(data.draw(st.lists(units, min_size=n, max_size=n)), dtype="object"),
            "year": pd.Series(data.draw(st.lists(years, min_size=n, max_size=n)), dtype="object"),
            "sido": pd.Series(data.draw(st.lists(st.sampled_from(["서울", "경기", "", None]), min_size=n, max_size=n)), dtype="object"),
            "day": pd.to_datetime(pd.Series(["2012-01-01"] * n)),
            **{name: pd.Series(data.draw(st.lists(numbers, min_size=n, max_size=n)), dtype="float64") for name in names},
        }
    )  # fmt: skip
    unit = data.draw(st.sampled_from(["code", None]))
    period = data.draw(st.sampled_from(["year", None]))
    found = audit_frame(
        frame, unit, period, names, groups=["sido"], names=["sido"], dates=["day"], today=TODAY
    )
    assert all(isinstance(f, Finding) for f in found)


@pytest.mark.parametrize("n", [0, 1])
def test_empty_tables_and_single_rows(n):
    frame = pd.DataFrame({"code": ["11110"], "year": [2015], "인구": [5.0]}).head(n)
    assert audit_frame(frame, "code", "year", ["인구"], today=TODAY) == ()
    assert audit_frame(frame, None, None, ["인구"], today=TODAY) == ()
    assert audit_frame(frame, "code", "year", [], today=TODAY) == ()
