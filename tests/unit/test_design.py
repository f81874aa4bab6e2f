"""Design and errors."""

import pytest

from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError, PlanError, nearest


def test_a_design_is_hashable_and_goes_round() -> None:
    design = Design(outcome="jobs", covariates=["size"], cluster="sido")  # type: ignore[arg-type]
    assert hash(design) == hash(Design.from_dict(design.to_dict()))
    assert Design.from_dict(design.to_dict()) == design


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"comparison": "all"}, "never 또는 not_yet"),
        ({"base": "short"}, "universal"),
        ({"link": "log"}, "ratios"),
        ({"anticipation": -1}, "0 이상의 정수"),
        ({"anticipation": True}, "0 이상의 정수"),
    ],
)
def test_what_a_design_refuses(change: dict, word: str) -> None:
    with pytest.raises(DesignError, match=word):
        Design(outcome="jobs", **change)


def test_an_error_is_a_sentence_with_a_way_out() -> None:
    error = EvalkitError(
        "값 'x' 을(를) 읽을 수 없음.", where=("a.xlsx", "시트 성과", "12행"), remedy="고칠 것"
    )
    assert str(error) == "[a.xlsx > 시트 성과 > 12행] 값 'x' 을(를) 읽을 수 없음. → 고칠 것."
    assert PlanError("x").exit_code == 2


def test_nearest_names_one_or_lists_all() -> None:
    assert nearest("phaze", ["phase", "outcome"]) == "비슷한 이름: phase"
    assert nearest("zzz", ["phase", "outcome"]) == "쓸 수 있는 이름: phase, outcome"
    assert nearest("x", []) == "쓸 수 있는 이름이 없음"
