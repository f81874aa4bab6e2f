"""Sample: what it keeps, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DataError, DesignError, SchemaError
from evalkit.sample import Sample

FRAME = pd.DataFrame(
    {
        "year": [2019, 2019, 2020, 2020],
        "y": [1.0, np.nan, 3.0, 4.0],
        "g": [np.nan, 2020, np.nan, 2020],
        "city": ["부산", "대구", "부산", "대구"],
        "pid": ["a", "b", "c", "d"],
    }
)


def sample() -> Sample:
    return Sample.from_frame(FRAME, period="year", variables=["y", "g", "city"], row="pid")


def test_columns_keep_their_kind() -> None:
    s = sample()
    assert len(s) == 4
    assert list(s.labels) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(s.numbers("g"), [np.nan, 2020, np.nan, 2020])
    codes, labels = s.clusters("city")
    assert list(labels[codes]) == list(FRAME["city"])
    assert list(s.clusters(None)[0]) == [0, 1, 2, 3]
    assert s.counts() == {2019: 2, 2020: 2}


def test_numbers_that_came_as_objects_are_numbers_and_missing_text_is_missing() -> None:
    s = Sample(
        np.array([1, 1]), {"x": np.array([1, None], dtype=object), "z": np.array(["a", None], dtype=object)}
    )
    np.testing.assert_array_equal(s.numbers("x"), [1.0, np.nan])
    assert list(s.column("z")) == ["a", ""]
    with pytest.raises(DataError, match="빈 관측이 1개"):
        s.clusters("z")


def test_selection_and_new_variables_leave_the_sample_alone() -> None:
    s = sample()
    part = s.select(np.array([False, True, False, True])).with_variables(y=[0.0, 1.0])
    assert list(part.labels) == ["b", "d"]
    np.testing.assert_array_equal(part.numbers("y"), [0, 1])
    np.testing.assert_array_equal(s.numbers("y"), FRAME["y"])
    with pytest.raises(ValueError, match="read-only"):
        s.column("g")[0] = 1.0


def test_a_file_holds_it(tmp_path: Path) -> None:
    s = sample()
    s.save(tmp_path / "s.npz")
    again = Sample.load(tmp_path / "s.npz")
    pd.testing.assert_frame_equal(s.to_frame(), again.to_frame())


def test_bad_input_is_a_sentence() -> None:
    with pytest.raises(SchemaError, match="'yaer'"):
        Sample.from_frame(FRAME, period="yaer", variables=["y"])
    with pytest.raises(DataError, match="2번째 행"):
        Sample.from_frame(FRAME.assign(year=[2019, np.nan, 2020, 2020]), period="year", variables=["y"])
    with pytest.raises(DataError, match="정수가 아닌"):
        Sample(np.array([2019.5]), {})
    with pytest.raises(DataError, match="비어 있음"):
        Sample(np.array([], dtype=int), {})
    with pytest.raises(DataError, match="크기"):
        Sample(np.array([1, 2]), {"y": np.zeros(3)})
    with pytest.raises(DataError, match="Panel 로"):
        Sample.from_frame(FRAME.assign(pid="a"), period="year", variables=["y"], row="pid")
    with pytest.raises(DesignError, match="비슷한 이름: city"):
        sample().column("citty")
    with pytest.raises(DesignError, match="숫자가 아님"):
        sample().numbers("city")
