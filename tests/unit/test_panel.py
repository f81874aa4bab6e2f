"""Panel: wide arrays from long rows, and what it refuses."""

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DataError, DesignError, SchemaError
from evalkit.panel import Panel


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "code": ["b", "a", "a", "b", "c"],
            "year": [2020, 2021, 2020, 2021, 2021],
            "jobs": [1.0, 2.0, 3.0, None, 5.0],
            "sido": ["부산", "강원", "강원", "부산", "제주"],
        }
    )


def wide(frame: pd.DataFrame) -> Panel:
    return Panel.from_long(frame, unit="code", period="year", varying=["jobs"], fixed=["sido"])


def test_cells_stand_where_their_labels_say(frame: pd.DataFrame) -> None:
    panel = wide(frame)
    assert panel.units.tolist() == ["a", "b", "c"]
    assert panel.periods.tolist() == [2020, 2021]
    np.testing.assert_array_equal(panel.values("jobs"), [[3, 2], [1, np.nan], [np.nan, 5]])
    assert panel.constant("sido").tolist() == ["강원", "부산", "제주"]


def test_row_order_does_not_matter_and_the_frame_is_untouched(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    one, two = wide(frame), wide(frame.iloc[::-1])
    np.testing.assert_array_equal(one.values("jobs"), two.values("jobs"))
    pd.testing.assert_frame_equal(frame, before)


def test_a_cell_that_stands_twice_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"code=a > year=2020.*두 번"):
        wide(pd.concat([frame, frame.iloc[[2]]]))


def test_a_fixed_variable_that_changes_is_named(frame: pd.DataFrame) -> None:
    frame.loc[1, "sido"] = "경북"
    with pytest.raises(DataError, match=r"code=a.*sido.*바뀜"):
        wide(frame)


def test_a_missing_column_names_the_nearest(frame: pd.DataFrame) -> None:
    with pytest.raises(SchemaError, match="비슷한 이름: jobs"):
        Panel.from_long(frame, unit="code", period="year", varying=["job"])


def test_an_empty_key_is_refused(frame: pd.DataFrame) -> None:
    frame["year"] = frame["year"].astype(float)
    frame.loc[0, "year"] = np.nan
    with pytest.raises(DataError, match="빈 값"):
        wide(frame)


def test_arrays_are_read_only_and_shapes_are_checked(frame: pd.DataFrame) -> None:
    panel = wide(frame)
    with pytest.raises(ValueError, match="read-only"):
        panel.values("jobs")[0, 0] = 9
    with pytest.raises(DataError, match=r"\(3, 2\)"):
        panel.with_varying(x=np.zeros((2, 2)))
    with pytest.raises(DataError, match="비어"):
        panel.select(units=np.zeros(3, dtype=bool))


def test_select_and_clusters(frame: pd.DataFrame) -> None:
    panel = wide(frame).select(units=[0, 2], periods=[2021])
    assert panel.shape == (2, 1)
    codes, labels = panel.clusters("sido")
    assert labels[codes].tolist() == ["강원", "제주"]
    codes, labels = panel.clusters(None)
    assert codes.tolist() == [0, 1]
    assert labels.tolist() == ["a", "c"]


@pytest.mark.parametrize("blank", ["", "  "])
def test_units_without_a_cluster_are_no_cluster_of_their_own(blank: str) -> None:
    """A text variable holds "" where the table had nothing."""
    panel = Panel(np.array(["a", "b", "c"]), np.array([2020]), {}, {"sido": np.array(["강원", blank, blank])})
    with pytest.raises(DataError, match=r"단위 b.*군집 변수 sido 이\(가\) 빈 단위가 2개"):
        panel.clusters("sido")


def test_unknown_variables_name_the_nearest(frame: pd.DataFrame) -> None:
    panel = wide(frame)
    with pytest.raises(DesignError, match="비슷한 이름: jobs"):
        panel.values("jobz")
    with pytest.raises(DesignError, match="비슷한 이름: sido"):
        panel.constant("sidoo")


def test_saving_keeps_everything(frame: pd.DataFrame, tmp_path) -> None:
    panel = Panel.from_long(
        frame, unit="code", period="year", varying=["jobs"], fixed=["sido"], notes={"단위": "명"}
    )
    panel.save(tmp_path / "panel.npz")
    again = Panel.load(tmp_path / "panel.npz")
    np.testing.assert_array_equal(again.values("jobs"), panel.values("jobs"))
    assert again.constant("sido").tolist() == panel.constant("sido").tolist()
    assert dict(again.notes) == {"단위": "명"}
    assert not list(tmp_path.glob("*.part"))


def test_going_long_and_back(frame: pd.DataFrame) -> None:
    panel = wide(frame)
    long = panel.to_long()
    assert long.columns.tolist() == ["unit", "period", "sido", "jobs"]
    again = Panel.from_long(long, unit="unit", period="period", varying=["jobs"], fixed=["sido"])
    np.testing.assert_array_equal(again.values("jobs"), panel.values("jobs"))
    assert again.constant("sido").tolist() == panel.constant("sido").tolist()
