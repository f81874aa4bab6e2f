"""Balancing: every sentence, edges, and what the result says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.balancing import Balancing, entropy_balancing, inverse_probability, matching
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError, UsageError
from evalkit.panel import Panel

D = Design("y")


def small(**more: object) -> Panel:
    """Three treated from 2013 on, five comparison units; x overlaps, far does not."""
    fixed = {
        "adoption": np.array([2013, 2013, 2014, *[np.inf] * 5]),
        "x": np.array([1.0, 2, 3, 0, 1, 2, 3, 4]),
        "far": np.array([10.0, 11, 12, 0, 1, 2, 3, 4]),
        "text": np.array(["a", "a", "b", "a", "b", "b", "c", "c"]),
        "size": np.array(["s", "s", "l", "s", "l", "s", "l", "s"]),
    }
    varying = {
        "y": np.arange(32, dtype=float).reshape(8, 4),
        "sales": np.tile(fixed["x"][:, None], (1, 4)) + np.arange(4) * 100,
        "open": np.ones((8, 4)),
    }
    for name, value in more.items():
        (varying if np.ndim(value) == 2 else fixed)[name] = np.asarray(value)  # type: ignore[assignment]
    return Panel(np.array(list("abcdefgh")), np.arange(2010, 2014), varying, fixed)


METHODS = [
    entropy_balancing,
    inverse_probability,
    lambda p, d, c=None: matching(p, d, c, on="mahalanobis"),
]
NAMES = ["entropy", "ipw", "matching"]


# -- bad input, the same for all ---------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
@pytest.mark.parametrize(
    ("covariates", "changes", "design", "error", "sentence"),
    [
        ((), {}, D, DesignError, "맞출 공변량이 하나도 없음"),
        (("nothing",), {}, D, DesignError, "공변량 'nothing'"),
        (("adoption",), {}, D, RefusalError, "도입 시점 adoption"),
        ((("sales", 2013),), {}, D, RefusalError, "sales .*2013 이후인 2013"),
        ((("y", 2013),), {}, D, RefusalError, "결과일 수 있음"),
        ((("sales", 2012),), {}, Design("y", anticipation=1), RefusalError, "2012 이후인 2012"),
        ((("sales", 2001),), {}, D, UsageError, "2001"),
        ((("x", 2011),), {}, D, UsageError, "기간마다 바뀌는 변수가 아니어서"),
        (("x",), {"x": np.array([1, 2, 3, 0, 1, np.inf, 3, 4])}, D, DataError, "무한대"),
        (
            ("x",),
            {"x": np.array([np.nan] * 3 + [0, 1, 2, 3, 4.0])},
            D,
            DesignError,
            "공변량이 모두 관측된 지원",
        ),
        (("x",), {"adoption": np.full(8, np.inf)}, D, DesignError, "지원받은 단위가 없어"),
        (("x",), {"adoption": np.full(8, 2012.0)}, D, DesignError, "지원받지 않은 단위가 없어"),
        (("x",), {"adoption": np.array([2010.0] * 3 + [np.inf] * 5)}, D, DesignError, "깨끗한 기간이 없음"),
        (("x",), {"adoption": np.array([0.0] * 3 + [np.inf] * 5)}, D, DesignError, "빈 값"),
        (("x",), {"adoption": np.array(["2013"] * 8)}, D, DesignError, "숫자가 아님"),
        (("x",), {"w": np.array([-1.0] + [1.0] * 7)}, Design("y", weight="w"), DataError, "음수"),
        (("x",), {}, Design("y", weight="text"), DesignError, "숫자가 아님"),
    ],
)
def test_sentences(method, covariates, changes, design, error, sentence) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=sentence) as raised:
        method(small(**changes), design, covariates)
    assert raised.value.remedy


def test_a_fixed_covariate_measured_after_adoption_is_refused() -> None:
    panel = small()
    noted = Panel(panel.units, panel.periods, panel.varying, panel.fixed, {"measured": {"x": 2013}})
    with pytest.raises(RefusalError, match=r"공변량 x .*2013"):
        entropy_balancing(noted, D, ("x",))
    before = Panel(panel.units, panel.periods, panel.varying, panel.fixed, {"measured": {"x": 2012}})
    assert entropy_balancing(before, D, ("x",)).converged


def test_outcomes_after_adoption_are_not_read() -> None:
    panel = small()
    later = panel.values("y").copy()
    later[:, 3] = np.nan
    changed = panel.with_varying(y=later)
    a, b = entropy_balancing(panel, D, ("x",)), entropy_balancing(changed, D, ("x",))
    np.testing.assert_array_equal(a.weights, b.weights)


# -- entropy -----------------------------------------------------------------------------------------


def test_a_mean_out_of_reach_names_the_covariate() -> None:
    with pytest.raises(DesignError, match=r"공변량 far .*모든 비교 단위보다 큼"):
        entropy_balancing(small(), D, ("x", "far"))


def test_means_that_cannot_be_had_together_name_a_covariate() -> None:
    """Each is within its range; together they are not: where one is high the other is low."""
    panel = small(u=np.array([2.0, 2, 2, 0, 1, 2, 3, 4]), v=np.array([3.9, 3.9, 3.9, 4, 3, 2, 1, 0]))
    with pytest.raises(DesignError, match=r"공변량 (u|v).*비교 단위의 무게로 만들 수 없음.*표준편차 남음"):
        entropy_balancing(panel, D, ("u", "v"))


def test_bounds_on_weights() -> None:
    for wrong in (0, -1, 1.5):
        with pytest.raises(UsageError, match="max_weight"):
            entropy_balancing(small(), D, ("x",), max_weight=wrong)
    with pytest.raises(DesignError, match="합이 1이 되지 않음"):
        entropy_balancing(small(), D, ("x",), max_weight=0.1)
    free = entropy_balancing(small(), D, (("sales", 2010),))
    bounded = entropy_balancing(small(x=np.array([2.8, 2.9, 3, 0, 1, 2, 3, 4])), D, ("x",), max_weight=0.35)
    assert free.notes == ()
    assert "bounded" in bounded.notes
    assert bounded.largest_share == pytest.approx(0.35, abs=1e-9)
    with pytest.raises(UsageError, match="차수"):
        entropy_balancing(small(), D, ("x",), moments=4)


def test_a_category_without_treated_units_leaves() -> None:
    b = entropy_balancing(small(x=np.array([0.2, 0.5, 0.8, 0, 1, 3, 3, 4])), D, ("text", "x"))
    assert "category_without_treated" in b.notes
    assert set(b.dropped["outside_category"]) == {"g", "h"}
    assert (b.weights[6:] == 0).all()
    assert b.gap < 1e-10


def test_constants_and_combinations_are_told() -> None:
    panel = small(one=np.ones(8), twice=2 * small().constant("x") + 1)
    b = entropy_balancing(panel, D, ("one", "x", "twice"))
    assert {"constant_column", "redundant_column"} <= set(b.notes)
    plain = entropy_balancing(panel, D, ("x",))
    np.testing.assert_allclose(b.weights, plain.weights)


def test_a_combination_that_treated_units_do_not_keep_is_refused() -> None:
    """Among comparison units z = 2x; among the treated it is not."""
    x = small().constant("x")
    panel = small(z=np.where(np.arange(8) < 3, 2 * x + 1, 2 * x))
    with pytest.raises(DesignError, match="무게로 만들 수 없음"):
        entropy_balancing(panel, D, ("x", "z"))


def test_units_that_leave_are_listed() -> None:
    panel = small(
        x=np.array([1.0, 2, 3, 0, np.nan, 2, 3, 4]),
        open=np.where(np.arange(8)[:, None] == 7, 0.0, np.ones((8, 4))),
    )
    b = entropy_balancing(panel, Design("y", at_risk="open"), ("x",))
    assert dict(b.dropped) == {"not_at_risk": ("h",), "missing_covariates": ("e",)}
    assert (int(b.treated.sum()), int(b.comparison.sum())) == (3, 3)
    assert b.weights[4] == b.weights[7] == 0


def test_the_base_period_is_the_last_clean_one() -> None:
    assert entropy_balancing(small(), D, ("sales",)).base_period == 2012
    early = entropy_balancing(small(), Design("y", anticipation=1), ("sales",))
    assert (early.base_period, early.names) == (2011, ("sales",))
    named = entropy_balancing(small(), D, ("sales", ("sales", 2010)))
    assert named.names == ("sales", "sales@2010")


def test_matching_on_the_outcome_is_told() -> None:
    wide = small(y=np.tile(small().constant("x")[:, None], (1, 4)))
    assert entropy_balancing(wide, D, (("y", 2010),)).notes == ("outcome_matched",)


# -- propensity --------------------------------------------------------------------------------------


def test_separation_names_the_covariate() -> None:
    with pytest.raises(DesignError, match=r"공변량 far .*완전히 갈라"):
        inverse_probability(small(), D, ("x", "far"))
    # together: treated where u + v is high, neither alone
    panel = small(u=np.array([3.0, 1, 2, 2.5, 0, 1, 0, 1]), v=np.array([1.0, 3, 2, 0, 2.5, 1, 1, 0]))
    with pytest.raises(DesignError, match=r"공변량 (u|v) .*완전히 갈라"):
        inverse_probability(panel, D, ("u", "v"))


def test_trimming_lists_both_sides() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    treated = rng.random(300) < 1 / (1 + np.exp(-2.5 * x))
    panel = Panel(
        np.arange(300),
        np.array([1]),
        {"y": np.zeros((300, 1))},
        {"adoption": np.where(treated, 2, np.inf), "x": x},
    )
    b = inverse_probability(panel, D, ("x",), trim=(0.1, 0.9))
    p = b.propensity
    out = (p < 0.1) | (p >= 0.9)
    assert (b.weights[out] == 0).all()
    assert (b.weights[~out] > 0).all()
    listed = set(b.dropped["propensity_low"]) | set(b.dropped["propensity_high"])
    assert listed == {str(i) for i in np.flatnonzero(out)}
    assert "trimmed" in b.notes
    assert b.lost_treated == pytest.approx(out[treated].mean())
    assert b.weights[b.comparison].sum() == pytest.approx(b.weights[b.treated].sum())
    for wrong in ((0.5, 0.2), (-1, 0.5), (0.1, 1.1)):
        with pytest.raises(UsageError, match="자를 범위"):
            inverse_probability(panel, D, ("x",), trim=wrong)
    with pytest.raises(DesignError, match="한쪽에 단위가 남지 않음"):
        inverse_probability(panel, D, ("x",), trim=(0.0, 0.0001))


# -- matching ----------------------------------------------------------------------------------------


def test_calipers_strata_and_the_unmatched() -> None:
    b = matching(small(), D, ("x",), on="mahalanobis", caliper=1e-6, exact=("size",))
    # a (x=1, s): no s with x=1; b (x=2, s): f; c (x=3, l): g
    assert b.dropped["unmatched"] == ("a",)
    assert b.weights.tolist() == [0, 1, 1, 0, 0, 1, 1, 0]
    assert b.lost_treated == pytest.approx(1 / 3)
    with pytest.raises(DesignError, match=r"짝을 찾은 단위가 없음"):
        matching(small(), D, ("far",), on="mahalanobis", caliper=0.01)


def test_ties_go_to_the_smaller_label_whatever_the_order() -> None:
    panel = Panel(
        np.array(["t", "z", "m", "k"]),
        np.array([1]),
        {"y": np.zeros((4, 1))},
        {"adoption": np.array([2, np.inf, np.inf, np.inf]), "x": np.array([1.0, 2, 0, 9])},
    )
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 1, 0, 3]):
        shuffled = panel.select(order)
        b = matching(shuffled, D, ("x",), on="mahalanobis")
        assert shuffled.units[(b.weights > 0) & b.comparison] == ["m"]


def test_without_replacement_every_comparison_unit_serves_once() -> None:
    for order in ("optimal", "greedy"):
        b = matching(small(), D, ("x",), on="mahalanobis", replacement=False, order=order)  # type: ignore[arg-type]
        assert sorted(b.weights[b.comparison]) == [0, 0, 1, 1, 1]
    few = matching(small().select([0, 1, 2, 3, 4]), D, ("x",), on="mahalanobis", replacement=False)
    assert len(few.dropped["unmatched"]) == 1


@pytest.mark.parametrize(
    "options",
    [{"on": "color"}, {"order": "first"}, {"neighbours": 0}, {"neighbours": True}, {"caliper": -1.0}],
)
def test_options_of_matching(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        matching(small(), D, ("x",), **options)  # type: ignore[arg-type]


def test_too_many_pairs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.balancing import matching as module  # the function shadows the module

    monkeypatch.setitem(module.__globals__, "PAIRS", 4)
    with pytest.raises(DesignError, match="너무 많음"):
        matching(small(), D, ("x",), on="mahalanobis", replacement=False)


# -- the result --------------------------------------------------------------------------------------


def test_applied_to_its_own_panel_only() -> None:
    panel = small()
    b = entropy_balancing(panel, D, ("x",))
    np.testing.assert_array_equal(b.apply(panel).constant("balancing_weight"), b.weights)
    with pytest.raises(DataError, match="같지 않음"):
        b.apply(panel.select([1, 0, 2, 3, 4, 5, 6, 7]))
    with pytest.raises(RefusalError, match="이미 있음"):
        b.apply(panel, name="x")
    with pytest.raises(ValueError, match="read-only"):
        b.weights[0] = 1


def test_sizes_of_a_result() -> None:
    with pytest.raises(DataError, match=r"Balancing\.weights"):
        Balancing(
            "entropy",
            np.arange(2),
            np.ones(3),
            np.ones(2),
            np.array([True, False]),
            np.array([False, True]),
            np.full(2, np.nan),
            ("x",),
            np.zeros((2, 1)),
            1,
            0.0,
        )


def test_every_error_is_one_of_ours() -> None:
    for method in METHODS:
        with pytest.raises(EvalkitError):
            method(small(), D, ("none",))
