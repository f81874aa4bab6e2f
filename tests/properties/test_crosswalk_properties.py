"""What holds for any two dates: weights sum to one, totals stand, there and back is the same, levels agree."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.errors import RefusalError
from evalkit.ingest.carrying import carry
from evalkit.ingest.crosswalk import crosswalk
from evalkit.ingest.split_weights import SplitWeights
from evalkit.ingest.territory import changes_of_land, land_on

DAYS = (dt.date(2010, 1, 1), *changes_of_land(), dt.date(2027, 1, 1))
days = st.sampled_from(DAYS)
levels = st.sampled_from(["district", "city", "province"])


@given(days, days, levels)
@settings(max_examples=60, deadline=None)
def test_weights_of_a_source_sum_to_one(first, second, level):
    frame = crosswalk(first, second, level=level, weights="follow").frame
    assert (frame.groupby("source")["weight"].sum() == 1.0).all()
    assert set(frame["source"]) == set(land_on(first, level))
    assert set(frame["target"]) <= set(land_on(second, level))


@given(days, days)
@settings(max_examples=30, deadline=None)
def test_codes_of_the_same_land_go_there_and_back(first, second):
    there = crosswalk(first, second, weights="follow").frame
    same = there[there["basis"] == "그대로"]
    back = crosswalk(second, first, codes=same["target"]).frame
    assert dict(zip(back["target"], back["source"], strict=True)) == dict(
        zip(same["source"], same["target"], strict=True)
    )


@given(days, days, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_whole_totals_stand_to_the_last_unit(first, second, seed):
    """Random weights for what is divided; whole counts; the sum before is the sum after, exactly."""
    rng = np.random.default_rng(seed)
    rows = {}
    try:
        crosswalk(first, second)
    except RefusalError:
        holder = {piece: code for code, pieces in land_on(second).items() for piece in pieces}
        for code, pieces in land_on(first).items():
            targets = sorted({holder[piece] for piece in pieces})
            if len(targets) > 1:
                rows[code] = dict(zip(targets, rng.dirichlet(np.ones(len(targets))).tolist(), strict=True))
    table = crosswalk(first, second, weights=SplitWeights("무작위", rows))
    assert set(table.crossing) == set(rows)
    frame = pd.DataFrame({"region": sorted(land_on(first))})
    frame["n"] = rng.integers(0, 10**9, len(frame)).astype(float)
    got = carry(frame, "n", table, whole=True)
    assert got.incomplete.empty
    assert int(got.frame["n"].sum()) == int(frame["n"].sum())
    plain = carry(frame, "n", table).frame
    assert float(plain["n"].sum()) == pytest.approx(float(frame["n"].sum()), rel=1e-14)
    # oracle: exact fractions, source by source
    expected: dict[str, Fraction] = {}
    values = dict(zip(frame["region"], frame["n"], strict=True))
    for row in table.frame.itertuples():
        expected[row.target] = expected.get(row.target, Fraction(0)) + Fraction(row.weight) * int(
            values[row.source]
        )
    for region, n in zip(plain["region"], plain["n"], strict=True):
        assert n == pytest.approx(float(expected[region]), rel=1e-12)
    # divided whole parts lie within one unit of the exact share of each source
    shares = dict(zip(got.frame["region"], got.frame["n"], strict=True))
    assert all(abs(shares[t] - float(e)) <= len(rows) + 1 for t, e in expected.items())


@given(days, days)
@settings(max_examples=20, deadline=None)
def test_a_constant_rate_stays(first, second):
    table = crosswalk(first, second, weights="follow")
    frame = pd.DataFrame({"region": sorted(land_on(first)), "rate": 0.25, "n": 8.0})
    got = carry(frame, "rate", table, kind="rate", denominator="n").frame
    assert (got["rate"] == 0.25).all()
