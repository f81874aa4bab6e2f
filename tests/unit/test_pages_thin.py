"""Points from too few firms leave a figure; the page stands."""

from types import SimpleNamespace

import pandas as pd
import pytest

from evalkit.study.pages.showing import without_thin_points


def study(builder: str = "firms", panel: str = "units", least: int = 3) -> SimpleNamespace:
    plan = SimpleNamespace(
        units=SimpleNamespace(builder=builder),
        outcomes={"jobs": SimpleNamespace(panel=panel)},
        disclosure=SimpleNamespace(min_firms=least),
    )
    return SimpleNamespace(plan=plan, lang="ko")


FRAME = pd.DataFrame({"estimate": [0.1, 0.2, 0.3, 0.4], "n_treated": [0, 2, 3, 1]}, index=[-1, 0, 1, 2])


def test_points_from_one_or_two_firms_leave_with_a_note() -> None:
    frame, note = without_thin_points(study(), "jobs", FRAME)  # type: ignore[arg-type]
    assert frame.index.tolist() == [-1, 1]
    assert note == "기업 3개 미만에서 나온 점 2개는 그리지 않았다."


@pytest.mark.parametrize("changes", [{"builder": "regions"}, {"panel": "regions"}, {"least": 1}])
def test_nothing_leaves_where_units_are_not_firms_or_none_is_thin(changes: dict) -> None:
    frame, note = without_thin_points(study(**changes), "jobs", FRAME)  # type: ignore[arg-type]
    assert frame is FRAME
    assert note == ""
