"""The rules are data of the plan: read strictly, with the line of a fault, and handed to release."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from small_project import PLANS

from evalkit.errors import PlanError
from evalkit.release import Rules, listable, strictest
from evalkit.study.plan import load_plan


def plan_with(folder: Path, disclosure: object) -> Path:
    raw = yaml.safe_load((PLANS / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))
    path = folder / "plan.yml"
    path.write_text(yaml.safe_dump(raw | {"disclosure": disclosure}, allow_unicode=True), encoding="utf-8")
    return path


def test_what_the_plan_leaves_out_is_as_usual(tmp_path: Path) -> None:
    assert load_plan(plan_with(tmp_path, {"min_firms": 4})).disclosure.rules() == Rules(4, (2, 0.9), 0.1, 10)
    asked = {"min_firms": 5, "dominance": {"n": 1, "k": 0.6}, "p_percent": None, "order_firms": 20}
    assert load_plan(plan_with(tmp_path, asked)).disclosure.rules() == Rules(5, (1, 0.6), None, 20)


@pytest.mark.parametrize(
    "fault",
    [
        {"dominance": {"n": 9}},
        {"dominance": {"k": 1.5}},
        {"dominance": {"share": 0.9}},
        {"p_percent": 0},
        {"min_cell": 5},
        {"order_firms": "열"},
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, fault: dict[str, object]) -> None:
    path = plan_with(tmp_path, fault)
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert "disclosure" in str(caught.value)
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(k for k, line in enumerate(lines, 1) if line.startswith("disclosure:"))
    assert any(f"{line}번째 줄" in str(caught.value) or f"{line}행" in str(caught.value) or f"{line}줄" in str(caught.value)
               for line in range(start, start + 4)), str(caught.value)  # fmt: skip


def test_over_several_plans_the_strictest_rules_hold() -> None:
    several = [Rules(1, None, None), Rules(3, (1, 0.7), 0.1, 12), Rules(5, (2, 0.9), 0.2)]
    assert strictest(several) == Rules(5, (2, 0.7), 0.2, 12)
    assert strictest([]) == Rules()


def test_a_sentence_lists_no_number_that_its_neighbours_give_away() -> None:
    assert listable({"a": 1, "b": 1, "c": 9}, 3) == {}  # two ones: 9 less than a total would be their sum
    assert listable({"a": 0, "b": 4, "c": 9}, 3) == {"a": 0, "b": 4, "c": 9}
    assert listable({"a": 2, "b": 2, "c": 5, "d": 9}, 3) == {"d": 9}
