"""Triple differences: by hand, what each cell needs, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.panel import Panel

INF, NAN = np.inf, np.nan


def panel_of(copies: int = 2, **changes: Any) -> Panel:
    """Cohorts 2, 3 and never × eligible and not, with the changes of the example from period 1 to 2."""
    adoption = np.repeat([2.0, 2.0, 3.0, 3.0, INF, INF], copies)
    target = np.tile(np.repeat([1.0, 0.0], copies), 3)
    change = np.repeat([9.0, 4.0, 5.0, 3.0, 3.0, 1.0], copies)
    n = len(change)
    noise = np.tile(np.arange(copies) - (copies - 1) / 2, n // copies)
    y = np.column_stack([np.zeros(n), change + noise, 2 * change])
    fixed = {"adoption": adoption, "target": target}
    fixed.update({name: np.asarray(v) for name, v in changes.items()})
    return Panel(np.arange(n), np.arange(1, 4), {"y": y}, fixed)


def triple(panel: Panel, design: Design | None = None, **options: Any) -> Estimate:
    return triple_difference_effects(panel, design or Design("y"), **{"eligible": "target", **options})


def value(est: Estimate, *term: Any) -> float:
    return float(est.values[est.terms.get_loc(term)])


def test_by_hand() -> None:
    est = triple(panel_of(), combination="separate")
    assert value(est, 2, 2, "never") == pytest.approx((9 - 4) - (3 - 1))
    assert value(est, 2, 2, "3") == pytest.approx((9 - 4) - (5 - 3))
    assert (2, 3, "3") not in est.terms  # cohort 3 is treated by then
    assert value(est, 3, 3, "never") == pytest.approx((5 - 3) - (3 - 1))
    assert value(est, 2, 1, "never") == 0


def test_never_alone_and_the_design_that_asks_for_it() -> None:
    a = triple(panel_of(), combination="never")
    b = triple(panel_of(), Design("y", comparison="never"))
    np.testing.assert_array_equal(a.values, b.values)
    assert list(a.terms) == [(2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)]
    assert {w["comparison"] for w in a.detail["weights"]} == {"never"}


def test_weights_of_comparison_cohorts_are_told() -> None:
    est = triple(panel_of(4))
    found = [w for w in est.detail["weights"] if (w["cohort"], w["period"]) == (2, 2)]
    assert {w["comparison"] for w in found} == {"3", "never"}
    assert sum(w["weight"] for w in found) == pytest.approx(1.0)
    # the two comparisons have the same noise, so they weigh the same
    assert found[0]["weight"] == pytest.approx(0.5)
    assert est.detail["composition"][0] == {"cohort": 2, "eligible": 0, "units": 4}


def test_few_clusters_are_warned_about() -> None:
    panel = panel_of(4, c=np.arange(24) % 4)
    est = triple(panel, Design("y", cluster="c"))
    assert any("가중치가 불안정" in note for note in est.detail["notes"])
    calm = triple(panel, Design("y", cluster="c"), combination="never")
    assert not any("가중치가 불안정" in note for note in calm.detail["notes"])


def test_a_covariance_that_tells_nothing_apart_is_told() -> None:
    """Two clusters: what one has too much the other lacks, so Ω has rank one."""
    panel = panel_of(2, c=np.tile([0, 1], 6))
    noise = np.random.default_rng(1).standard_normal(panel.shape)
    panel = panel.with_varying(y=panel.values("y") + noise)
    est = triple(panel, Design("y", cluster="c"))
    assert np.isnan(value(est, 2, 2))
    assert any("특이함" in f["reason"] for f in est.detail["failed"])
    assert np.isfinite(value(est, 2, 3))  # one comparison cohort
    assert np.isfinite(value(triple(panel, Design("y", cluster="c"), ridge=0.1), 2, 2))


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ((2.0, 1.0), "코호트 2에 대상 단위가 없어"),
        ((2.0, 0.0), "코호트 2에 비대상 단위가 없어"),
        ((INF, 1.0), "지원받지 않은 지역에 대상 단위가 없어"),
    ],
)
def test_a_missing_group_is_named(gone: tuple[float, float], words: str) -> None:
    panel = panel_of()
    kept = (panel.fixed["adoption"] != gone[0]) | (panel.fixed["target"] != gone[1])
    est = triple(panel.select(kept))
    assert any(words in note for note in est.detail["notes"])


def test_no_complete_cell_is_an_error_with_the_reasons() -> None:
    panel = panel_of()
    with pytest.raises(DesignError, match="하나도 없음") as caught:
        triple(panel.select(panel.fixed["target"] == 1))
    assert "비대상 단위가 없어" in str(caught.value)
    with pytest.raises(DesignError, match="하나도 없음"):
        triple(panel.select(np.isinf(panel.fixed["adoption"])))
    with pytest.raises(DesignError, match="하나도 없음"):
        triple(panel.with_fixed(adoption=np.full(12, 2.0)))


def test_a_cohort_treated_from_the_start_is_told() -> None:
    panel = panel_of()
    early = np.where(panel.fixed["adoption"] == 2, 1.0, panel.fixed["adoption"])
    est = triple(panel.with_fixed(adoption=early))
    assert set(est.terms.get_level_values("cohort")) == {3}
    assert any("기준 기간이 없어 제외" in note for note in est.detail["notes"])


def test_units_of_unknown_eligibility_leave_and_are_counted() -> None:
    panel = panel_of()
    target = panel.fixed["target"].copy()
    target[0] = NAN
    est = triple(panel.with_fixed(target=target))
    assert est.detail["dropped"]["missing_eligible"] == 1
    assert est.n_treated[est.terms.get_loc((2, 2))] == 1


@pytest.mark.parametrize(
    ("changes", "design", "options", "error", "words"),
    [
        ({"target": np.arange(12) % 3}, Design("y"), {}, DataError, "0 도 1 도 아님"),
        ({"target": np.array(["a"] * 12)}, Design("y"), {}, DataError, "0 도 1 도 아님"),
        ({"w": -np.ones(12)}, Design("y", weight="w"), {}, DataError, "음수"),
        ({"c": np.zeros(12)}, Design("y", cluster="c"), {}, DesignError, "군집이 1개뿐"),
        ({}, Design("y", link="ratios"), {}, RefusalError, "수준 척도"),
        ({}, Design("y"), {"combination": "pool"}, DesignError, "합치는 방법 'pool'"),
        ({}, Design("y"), {"ridge": -1.0}, DesignError, "ridge"),
        ({}, Design("y"), {"eligible": "aim"}, DesignError, "'aim'"),
    ],
)
def test_bad_input(
    changes: dict[str, Any], design: Design, options: dict[str, Any], error: type, words: str
) -> None:
    with pytest.raises(error, match=words):
        triple(panel_of(**changes), design, **options)


def test_infinite_and_unobserved_outcomes() -> None:
    panel = panel_of()
    with pytest.raises(DataError, match="무한대"):
        triple(panel.with_varying(y=np.where(panel.values("y") > 8, INF, panel.values("y"))))
    with pytest.raises(DesignError, match="관측된 기간이 0개"):
        triple(panel.with_varying(y=np.full(panel.shape, NAN)))


def test_separated_covariates_are_told_by_cell() -> None:
    panel = panel_of(8)
    rng = np.random.default_rng(1)
    x = np.where((panel.fixed["adoption"] == 2) & (panel.fixed["target"] == 1), 9.0, 0.0)
    x = x + rng.standard_normal(48)
    est = triple(panel.with_fixed(x=x), Design("y", covariates=("x",)), combination="separate", method="dr")
    told = [f for f in est.detail["failed"] if f["cohort"] == 2]
    assert told
    assert all("갈라" in f["reason"] or "공통 영역" in f["reason"] for f in told)
