"""percent_effects, percent_of, fractional_shares, Flows and gravity_effects: bad input, edges, hand-made examples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evalkit.arrays.cell_means import fit_cells
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, SchemaError, UsageError
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.estimators.gravity import gravity_effects
from evalkit.estimators.percent_effects import percent_effects
from evalkit.estimators.poisson import poisson_effects
from evalkit.flows import Flows
from evalkit.panel import Panel
from evalkit.percent import flow_bounds, percent_of, percent_of_ratio, percent_table


def panel_of(**changes: np.ndarray) -> Panel:
    rng = np.random.default_rng(3)
    jobs = rng.poisson(20.0, (12, 5)) + 5.0
    varying = {"y": np.floor(jobs * 0.5), "jobs": jobs}
    fixed = {"adoption": np.where(np.arange(12) < 4, 2002.0, np.inf), "r": np.arange(12) // 2}
    for name, values in changes.items():
        (varying if values.ndim == 2 else fixed)[name] = values
    return Panel(np.arange(12), np.arange(2000, 2005), varying, fixed)


def cell(name: str, value: float) -> Panel:
    values = panel_of().values(name).copy()
    values[2, 3] = value
    return panel_of(**{name: values})


# -- per cent ------------------------------------------------------------------------------------------


def test_percent_by_hand() -> None:
    y = np.array([[1.0, 4.0], [1.0, 6.0], [2.0, 3.0], [1.0, 2.0]])
    panel = Panel(np.arange(4), np.array([1, 2]), {"y": y}, {"adoption": np.array([2, 2, np.inf, np.inf])})
    estimate = percent_effects(panel, Design("y"), by="cohort")
    assert list(estimate.terms) == [("percent", 2), ("effect", 2), ("counterfactual", 2)]
    np.testing.assert_allclose(estimate.values, [150.0, 3.0, 2.0], rtol=1e-12)


@pytest.mark.parametrize(
    ("panel", "design", "error", "words"),
    [
        (panel_of(log1p_y=np.ones((12, 5))), Design("log1p_y"), RefusalError, "%"),
        (panel_of(asinh_y=np.ones((12, 5))), Design("asinh_y"), RefusalError, "%"),
        (panel_of(log_y=np.ones((12, 5))), Design("log_y"), RefusalError, "로그"),
        (panel_of(hidden=np.log1p(panel_of().values("y"))), Design("hidden"), RefusalError, "%"),
        (panel_of(), Design("y", link="ratios"), RefusalError, "비율"),
        (panel_of(y=-panel_of().values("y")), Design("y"), RefusalError, "반사실"),
        (panel_of(), Design("y", at_risk="jobs"), DesignError, "at_risk"),
        (panel_of(adoption=np.full(12, 2000.0)), Design("y"), DesignError, "."),
        (panel_of(adoption=np.full(12, np.inf)), Design("y"), DesignError, "."),
        (cell("y", np.inf), Design("y"), DataError, "무한대"),
        (panel_of(w=np.full(12, -1.0)), Design("y", weight="w"), DataError, "음수"),
        (panel_of(y=np.full((12, 5), np.nan)), Design("y"), DesignError, "."),
    ],
)
def test_percent_refuses(panel: Panel, design: Design, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        percent_effects(panel, design)


def test_percent_options_are_checked() -> None:
    with pytest.raises(DesignError, match="묶는"):
        percent_effects(panel_of(), Design("y"), by="year")  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="추정 방법"):
        percent_effects(panel_of(), Design("y"), method="drr")  # type: ignore[arg-type]


def test_a_term_without_a_positive_level_is_named() -> None:
    y = panel_of().values("y").copy()
    y[:, 4] -= 60.0
    estimate = percent_effects(panel_of(y=y), Design("y"))
    assert [label[1] for label in estimate.detail["undefined"]] == [2]
    assert np.isnan(estimate.values[[label == ("percent", 2) for label in estimate.terms]]).all()
    assert any("0 이하" in note for note in estimate.detail["notes"])


def test_percent_of_needs_two_that_belong_together() -> None:
    est = percent_effects(panel_of(), Design("y", cluster="r"))
    kind = np.asarray(est.terms.get_level_values("term"))
    effect, level = est.select(kind == "effect"), est.select(kind == "counterfactual")
    with pytest.raises(UsageError, match="항"):
        percent_of(effect, level)
    with pytest.raises(UsageError, match="군집"):
        percent_of(
            effect, replace(effect, cluster=effect.cluster * 0, cluster_labels=np.array([0]), replicates=None)
        )
    with pytest.raises(UsageError, match="영향함수"):
        percent_of(replace(effect, influence=None), effect)
    negative = replace(effect, values=-np.ones(len(effect)))
    with pytest.raises(RefusalError, match="반사실"):
        percent_of(effect, negative)
    log = replace(effect, design={**effect.design, "outcome": "log1p_y"})
    with pytest.raises(RefusalError):
        percent_of(log, effect)


def test_percent_of_a_ratio_and_its_table() -> None:
    est = poisson_effects(panel_of(), Design("y", cluster="r"))
    grown = percent_of_ratio(est)
    table = percent_table(est)
    assert grown.values[0] == pytest.approx(100 * np.expm1(est.values[0]))
    assert grown.std_errors[0] == pytest.approx(100 * est.std_errors[0] * np.exp(est.values[0]))
    np.testing.assert_allclose(grown.replicates, 100 * np.expm1(est.replicates))
    np.testing.assert_allclose(grown.influence, 100 * np.exp(est.values[0]) * np.asarray(est.influence))
    plain = est.table()
    for name in ("estimate", "conf_low", "conf_high"):
        assert table[name].iloc[0] == pytest.approx(100 * np.expm1(plain[name].iloc[0]))
    assert table["p_value"].iloc[0] == plain["p_value"].iloc[0]
    for wrong in (grown, percent_effects(panel_of(), Design("y"))):
        with pytest.raises(UsageError, match="로그 척도"):
            percent_table(wrong)
    with pytest.raises(UsageError, match="로그 척도"):
        percent_of(est, est)


# -- shares --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("panel", "design", "error", "words"),
    [
        (cell("y", 1000.0), Design("y"), DataError, "분자"),
        (cell("y", -1.0), Design("y"), DataError, "분자"),
        (cell("jobs", np.inf), Design("y"), DataError, "무한대"),
        (panel_of(x=np.arange(12.0)), Design("y", covariates=("x",)), DesignError, "공변량"),
        (panel_of(w=np.full(12, -1.0)), Design("y", weight="w"), DataError, "음수"),
        (panel_of(adoption=np.full(12, np.inf)), Design("y"), DesignError, "."),
        (panel_of(y=np.zeros((12, 5))), Design("y"), DesignError, "분리"),
        (panel_of(y=panel_of().values("jobs")), Design("y"), DesignError, "분리"),
        (panel_of(y=np.full((12, 5), np.nan)), Design("y"), DesignError, "."),
    ],
)
def test_shares_refuse(panel: Panel, design: Design, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fractional_shares(panel, design, denominator="jobs")


def test_a_share_that_rises_because_the_denominator_falls() -> None:
    """Nobody is hired for good; others leave: the share rises, and no part of it is the numerator's."""
    regular = np.full((8, 4), 10.0)
    jobs = np.full((8, 4), 20.0)
    jobs[:4, 2:] = 12.5
    panel = Panel(
        np.arange(8),
        np.arange(4),
        {"n": regular, "d": jobs},
        {"adoption": np.where(np.arange(8) < 4, 2.0, np.inf), "r": np.arange(8) // 2},
    )
    estimate = fractional_shares(panel, Design("n", cluster="r"), denominator="d")
    found = dict(zip(estimate.terms.get_level_values("term"), estimate.values, strict=True))
    assert found["share"] == pytest.approx(0.3)
    assert found["numerator"] == pytest.approx(0.0, abs=1e-12)
    assert found["denominator"] == pytest.approx(-7.5)
    assert found["ratio_numerator"] == pytest.approx(0.0, abs=1e-12)
    assert found["ratio_denominator"] == pytest.approx(0.3)


def test_units_that_miss_a_denominator_are_left_out_and_counted() -> None:
    panel = cell("jobs", np.nan)
    estimate = fractional_shares(panel, Design("y"), denominator="jobs")
    assert estimate.detail["dropped"]["incomplete"] == 1
    without = panel.select(np.arange(12) != 2)
    np.testing.assert_allclose(
        fractional_shares(without, Design("y"), denominator="jobs").values, estimate.values, rtol=1e-12
    )


def test_anticipation_is_no_comparison() -> None:
    """With one period of anticipation the period before adoption is not fitted."""
    panel = panel_of()
    estimate = fractional_shares(panel, Design("y", anticipation=1), denominator="jobs")
    y = panel.values("y").copy()
    y[:4, 1] = 1.0
    moved = fractional_shares(panel_of(y=y), Design("y", anticipation=1), denominator="jobs")
    np.testing.assert_allclose(moved.values, estimate.values, rtol=1e-10)


def test_cells_that_the_fit_does_not_connect_are_not_told() -> None:
    sums = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    fitted = np.array([[True, True, False], [True, True, False]])
    found = fit_cells("log", sums, np.ones((2, 3)), fitted)
    assert np.isnan(found.mean[:, 2]).all()
    np.testing.assert_allclose(found.mean[:, :2], sums[:, :2], rtol=1e-10)


# -- flows ---------------------------------------------------------------------------------------------


def flows_of(counts: np.ndarray | None = None, **fixed: np.ndarray) -> Flows:
    rng = np.random.default_rng(0)
    counts = rng.poisson(5.0, (3, 6, 4)) + 1.0 if counts is None else counts
    known = {"adoption": np.where(np.arange(6) < 2, 2002.0, np.inf), "g": np.arange(6) // 2, **fixed}
    return Flows(
        np.array(["a", "b", "c"]),
        np.arange(6),
        np.arange(2000, 2004),
        counts,
        known,
        {"x": rng.normal(size=(6, 4)), "on": np.ones((6, 4))},
    )


def test_flows_check_what_they_hold() -> None:
    good = flows_of()
    assert good.shape == (3, 6, 4)
    with pytest.raises(ValueError, match="read-only"):
        good.counts[0, 0, 0] = 1.0
    bad = good.counts.copy()
    bad[1, 2, 3] = -1.0
    with pytest.raises(DataError, match="b → 2"):
        flows_of(bad)
    with pytest.raises(DataError, match="크기"):
        flows_of(np.zeros((2, 2, 2)))
    with pytest.raises(DataError, match="크기"):
        flows_of(adoption=np.zeros(3))
    with pytest.raises(DataError, match="오름차순"):
        Flows(good.origins, good.destinations, good.periods[::-1], good.counts)
    with pytest.raises(DataError, match="겹침"):
        Flows(np.array([1, 1, 2]), good.destinations, good.periods, good.counts)
    with pytest.raises(DataError, match="함께"):
        Flows(
            good.origins,
            good.destinations,
            good.periods,
            good.counts,
            {"x": np.arange(6)},
            {"x": np.zeros((6, 4))},
        )
    with pytest.raises(DataError, match="비어"):
        Flows(np.array([]), good.destinations, good.periods, np.zeros((0, 6, 4)))
    with pytest.raises(DesignError, match="adoption"):
        good.constant("adoptoin")
    with pytest.raises(DesignError, match="없음"):
        good.values("adoption")


def test_flows_from_rows() -> None:
    frame = pd.DataFrame(
        {"from": ["s", "s", "k"], "to": ["b", "a", "b"], "year": [2001, 2000, 2001], "n": [3, 4, 5]}
    )
    kept = frame.copy()
    names = {"origin": "from", "destination": "to", "period": "year", "count": "n"}
    zero = Flows.from_long(frame, **names, absent="zero", fixed={"adoption": {"a": np.inf, "b": 2001.0}})
    missing = Flows.from_long(frame, **names, absent="missing")
    pd.testing.assert_frame_equal(frame, kept)
    np.testing.assert_array_equal(zero.counts[1], [[4, 0], [0, 3]])
    assert np.isnan(missing.counts).sum() == 5
    np.testing.assert_array_equal(zero.constant("adoption"), [np.inf, 2001])
    with pytest.raises(SchemaError, match="없음"):
        Flows.from_long(frame, **{**names, "count": "m"}, absent="zero")
    with pytest.raises(DesignError, match="absent"):
        Flows.from_long(frame, **names, absent="nothing")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="두 번"):
        Flows.from_long(pd.concat([frame, frame]), **names, absent="zero")
    with pytest.raises(DataError, match="a 의 adoption"):
        Flows.from_long(frame, **names, absent="zero", fixed={"adoption": {"b": 2001.0}})


@pytest.mark.parametrize(
    ("flows", "design", "options", "error", "words"),
    [
        (flows_of(), Design("m", weight="w"), {}, DesignError, "가중치"),
        (flows_of(adoption=np.full(6, np.inf)), Design("m"), {}, DesignError, "처치된 도착지"),
        (flows_of(adoption=np.full(6, 2002.0)), Design("m"), {}, DesignError, "구별"),
        (flows_of(adoption=np.full(6, 2000.0)), Design("m"), {}, DesignError, "구별"),
        (flows_of(), Design("m"), {"treatment": "on"}, DesignError, "구별"),
        (flows_of(one=np.zeros(6)), Design("m", cluster="one"), {}, DesignError, "하나뿐"),
        (flows_of(np.zeros((3, 6, 4))), Design("m"), {}, DesignError, "모두 0"),
        (flows_of(np.zeros((3, 6, 4))), Design("m"), {"pair": False}, DesignError, "모두 0"),
        (flows_of(), Design("m"), {"pair": False, "trends": True}, DesignError, "추세"),
        (flows_of(), Design("m"), {"diversion": ("ring",)}, DesignError, "ring"),
        (flows_of(adoption=np.array(list("abcdef"))), Design("m"), {}, DataError, "연도"),
    ],
)
def test_gravity_refuses(
    flows: Flows, design: Design, options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        gravity_effects(flows, design, **options)  # type: ignore[arg-type]


def test_gravity_says_what_is_not_identified_and_lists_what_is_left_out() -> None:
    counts = flows_of().counts.copy()
    counts[1, 3] = 0.0
    counts[0, 5, 2] = np.nan
    estimate = gravity_effects(flows_of(counts), Design("m", cluster="g"))
    assert estimate.detail["n_separated_pairs"] == 1
    assert estimate.detail["n_missing"] == 1
    assert any("도착지×연도 효과" in note for note in estimate.detail["notes"])
    assert estimate.detail["effects"] == ["origin_period", "pair"]
    assert (estimate.n_treated[0], estimate.n_comparison[0]) == (2, 4)
    early = gravity_effects(
        flows_of(adoption=np.array([2000, 2002, np.inf, np.inf, np.inf, np.inf])), Design("m")
    )
    assert any("이미 처치된 도착지 1곳" in note for note in early.detail["notes"])


def test_a_treatment_may_be_given_by_cell() -> None:
    flows = flows_of()
    on = (flows.periods >= flows.fixed["adoption"][:, None]).astype(float)
    given = Flows(flows.origins, flows.destinations, flows.periods, flows.counts, flows.fixed, {"d": on})
    a, b = gravity_effects(flows, Design("m")), gravity_effects(given, Design("m"), treatment="d")
    np.testing.assert_allclose(b.values, a.values, rtol=1e-12)
    with pytest.raises(UsageError, match="treatment"):
        flow_bounds(b)
    assert len(flow_bounds(b, "d")) == 2


def test_anticipation_leaves_flows_out() -> None:
    flows = flows_of()
    counts = flows.counts.copy()
    counts[:, :2, 1] = np.nan
    np.testing.assert_allclose(
        gravity_effects(flows, Design("m", anticipation=1)).values,
        gravity_effects(flows_of(counts), Design("m")).values,
        rtol=1e-12,
    )
