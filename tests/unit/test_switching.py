"""Switching treatments: hand-made examples, paths, gaps, crossings, the phase 3 device, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.checks.pre_trends import pre_trends
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.goodman_bacon import goodman_bacon_decomposition
from evalkit.estimators.switching import switching_average, switching_effects
from evalkit.panel import Panel

DESIGN = Design("y")


def table(d: list[list[float]], y: list[list[float]], **fixed: Any) -> Panel:
    n, periods = np.array(d).shape
    return Panel(
        np.arange(n),
        np.arange(1, periods + 1),
        {"d": np.array(d, dtype=float), "y": np.array(y, dtype=float)},
        {"adoption": np.full(n, np.inf), **{k: np.array(v) for k, v in fixed.items()}},
    )


def values(panel: Panel, design: Design = DESIGN, **options: Any) -> dict[int, float]:
    estimate = switching_effects(panel, design, treatment="d", **options)
    return {int(t[0]): float(v) for t, v in zip(estimate.terms, estimate.values, strict=True)}


def test_in_and_out_by_hand() -> None:
    """Unit 0 switches in (baseline 0), unit 2 switches out (baseline 1); each has one comparison unit of its own."""
    panel = table(
        [[0, 0, 1], [0, 0, 0], [1, 1, 0], [1, 1, 1]],
        [[0, 1, 6], [0, 1, 2], [9, 9, 4], [5, 5, 6]],
    )
    # in: (6 − 1) − (2 − 1) = 4; out: −[(4 − 9) − (6 − 5)] = 6
    assert values(panel) == pytest.approx({-2: (0 - 0) / 2, 0: 5.0})
    assert values(panel, switchers="in")[0] == pytest.approx(4.0)
    assert values(panel, switchers="out")[0] == pytest.approx(6.0)
    average = switching_average(panel, DESIGN, treatment="d")
    assert average.values == pytest.approx([5.0])


def test_dose_and_normalisation_by_hand() -> None:
    """Dose 2 then 3 against 0: effects 4 and 12; of one unit: 4/2 and 12/5; average total (4 + 12)/(2 + 3)."""
    panel = table([[0, 2, 3], [0, 0, 0], [0, 0, 0]], [[0, 4, 12], [1, 1, 1], [2, 2, 2]])
    assert values(panel) == pytest.approx({0: 4.0, 1: 12.0})
    assert values(panel, normalized=True) == pytest.approx({0: 2.0, 1: 12 / 5})
    average = switching_average(panel, DESIGN, treatment="d")
    assert average.values == pytest.approx([16 / 5])
    assert average.detail["dose"] == pytest.approx([2.5])


def test_paths_are_told() -> None:
    panel = table([[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], np.zeros((4, 4)).tolist())
    estimate = switching_effects(panel, DESIGN, treatment="d")
    paths = [p for p in estimate.detail["paths"] if p["event_time"] == 1]
    assert [(p["path"], p["switchers"]) for p in paths] == [([0, 1, 0], 2), ([0, 1, 1], 1)]
    assert sum(p["share"] for p in paths) == pytest.approx(1)


def test_many_paths_are_cut_with_the_rest_counted() -> None:
    doses = 1 + np.arange(30.0)
    d = np.zeros((40, 3))
    d[:30, 1:] = doses[:, None]
    panel = table(d.tolist(), np.random.default_rng(0).normal(size=(40, 3)).tolist())
    paths = [
        p for p in switching_effects(panel, DESIGN, treatment="d").detail["paths"] if p["event_time"] == 0
    ]
    assert len(paths) == 21
    assert paths[-1]["path"] == []
    assert paths[-1]["switchers"] == 10


def test_crossings_are_dropped_or_kept() -> None:
    """Unit 0 goes above its baseline, then below: its last cell is left out unless it is kept."""
    panel = table([[1, 2, 0], [1, 1, 1], [1, 1, 1]], [[0, 3, 7], [0, 1, 1], [0, 1, 1]])
    estimate = switching_effects(panel, DESIGN, treatment="d")
    assert list(estimate.terms.get_level_values(0)) == [0]
    assert estimate.detail["dropped"]["crossing_cells"] == 1
    assert any("높아졌다가" in note for note in estimate.detail["notes"])
    assert values(panel, crossing="keep") == pytest.approx({0: 2.0, 1: 6.0})


def test_same_switchers_keep_the_composition() -> None:
    rng = np.random.default_rng(1)
    d = np.zeros((30, 6))
    d[:10, 2:] = 1
    d[10:20, 4:] = 1
    panel = table(d.tolist(), rng.normal(size=(30, 6)).tolist())
    free = switching_effects(panel, DESIGN, treatment="d", horizons=3)
    same = switching_effects(panel, DESIGN, treatment="d", horizons=3, same_switchers=True)
    times = np.asarray(same.terms.get_level_values(0))
    assert set(same.n_treated[times >= 0]) == {10}
    assert set(free.n_treated[np.asarray(free.terms.get_level_values(0)) >= 0]) == {20, 10}
    early = switching_effects(panel.select(np.r_[:10, 20:30]), DESIGN, treatment="d", horizons=3)
    # the later switchers still serve as comparison until they switch, so only the last horizon is the same here
    assert same.values[-1] == pytest.approx(early.values[-1], rel=1e-12)


def test_phase_3_given_phase_1() -> None:
    """The effect of phase 3 among phase 1 regions, compared within the start of phase 1: +0.4 whatever phase 1 did."""
    rng = np.random.default_rng(2)
    n, years = 400, np.arange(2015, 2026)
    start = rng.choice([2018.0, 2019.0], n)
    third = np.where(rng.random(n) < np.where(start == 2018, 0.7, 0.2), 2023.0, np.inf)
    one = np.where(start[:, None] == 2018, 0.5, 0.1) * np.clip(years - start[:, None] + 1, 0, None)
    y = (
        rng.normal(size=(n, 1))
        + one
        + 0.4 * (years >= third[:, None])
        + 0.1 * rng.normal(size=(n, len(years)))
    )
    panel = Panel(
        np.arange(n),
        years,
        {"y": y, "d": (years >= third[:, None]).astype(float)},
        {"phase_1": start, "adoption": third},
    )
    within = switching_effects(panel, DESIGN, treatment="d", within="phase_1", horizons=3, placebos=2)
    np.testing.assert_allclose(within.values[2:], 0.4, atol=0.05)
    np.testing.assert_allclose(within.values[:2], 0.0, atol=0.05)
    pooled = switching_effects(panel, DESIGN, treatment="d", horizons=3, placebos=2)
    assert pooled.values[-1] > 0.6


def test_missing_treatments() -> None:
    nan = np.nan
    y = np.random.default_rng(3).normal(size=(6, 5)).tolist()
    panel = table(
        [
            [0, nan, 0, 1, 1],  # between equal values: 0
            [0, 0, nan, 1, 1],  # when did it change? used until the gap
            [nan, 0, 0, 1, 1],  # no first value: left out
            [0, 0, 0, 0, nan],  # carried on
            [0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0],
        ],
        y,
    )
    estimate = switching_effects(panel, DESIGN, treatment="d")
    assert estimate.detail["dropped"]["baseline_missing"] == 1
    assert estimate.detail["dropped"]["after_a_gap"] == 3
    shown = np.array(y)
    shown[1, 2:] = nan
    expected = switching_effects(
        table(
            [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
            shown[[0, 1, 3, 4, 5]].tolist(),
        ),
        DESIGN,
        treatment="d",
    )
    np.testing.assert_allclose(estimate.values, expected.values, rtol=1e-12)


def test_linear_trends_of_units_are_taken_out() -> None:
    """Units with slopes of their own and an effect of 2 at once: exact where there is no noise."""
    rng = np.random.default_rng(4)
    slope, start = rng.normal(size=(30, 1)), rng.normal(size=(30, 1))
    d = np.zeros((30, 7))
    d[:12, 3:] = 1
    d[:6, 2] = 1
    slope[:12] += 1
    panel = table(d.tolist(), (start + slope * np.arange(7) + 2 * d).tolist())
    found = values(panel, trends_linear=True, horizons=3)
    for event_time, value in found.items():
        assert value == pytest.approx(2.0 if event_time >= 0 else 0.0, abs=1e-10)
    assert abs(values(panel, horizons=3)[2] - 2) > 1
    with pytest.raises(DesignError, match="함께 쓸 수 없음"):
        switching_effects(panel, Design("y", covariates=("d",)), treatment="d", trends_linear=True)


def test_covariates_take_out_what_they_explain() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 6)).cumsum(axis=1)
    d = np.zeros((40, 6))
    d[:15, 3:] = 1
    x[:15] += 0.8 * np.arange(6)
    panel = table(d.tolist(), (rng.normal(size=(40, 1)) + 1.5 * x + 2 * d).tolist()).with_varying(x=x)
    found = values(panel, Design("y", covariates=("x",)))
    for event_time, value in found.items():
        assert value == pytest.approx(2.0 if event_time >= 0 else 0.0, abs=1e-9)
    estimate = switching_effects(panel, Design("y", covariates=("x",)), treatment="d")
    assert estimate.detail["slopes"]["values"][0] == pytest.approx([1.5])


def test_fewer_horizons_than_asked_are_noted() -> None:
    panel = table([[0, 0, 1], [0, 0, 0], [0, 0, 0]], [[0, 1, 2], [0, 0, 0], [1, 1, 1]])
    estimate = switching_effects(panel, DESIGN, treatment="d", horizons=5)
    assert any("5 대신 1" in note for note in estimate.detail["notes"])


@pytest.mark.parametrize(
    ("d", "options", "kind", "words"),
    [
        ([[0, 0, 0], [1, 1, 1], [0, 0, 0]], {}, DesignError, "바뀌지 않음"),
        ([[0, 0, 1], [1, 1, 1], [1, 1, 1]], {}, DesignError, "비교 단위가 없음"),
        ([[0, 0, 1], [0, 0, 1], [0, 0, 1]], {}, DesignError, "비교 단위가 없음"),
        ([[0, 0, 1], [0, 0, 0], [0, 0, np.inf]], {}, DataError, "무한대"),
        ([[0, 0, 1], [0, 0, 0], [0, 0, 0]], {"horizons": 0}, DesignError, "horizons"),
        ([[0, 0, 1], [0, 0, 0], [0, 0, 0]], {"placebos": -1}, DesignError, "placebos"),
        ([[0, 0, 1], [0, 0, 0], [0, 0, 0]], {"switchers": "up"}, DesignError, "switchers"),
        ([[0, 0, 1], [0, 0, 0], [0, 0, 0]], {"switchers": "out"}, DesignError, "비교 단위가 없음"),
        ([[0, 0, 1], [0, 0, 0], [0, 0, 0]], {"crossing": "kep"}, DesignError, "keep"),
        ([[0, 0, 1], [0, 0, 0], [0, 0, 0]], {"within": "place"}, DesignError, "place"),
    ],
)
def test_bad_input(d: Any, options: dict[str, Any], kind: type[Exception], words: str) -> None:
    panel = table(d, [[0, 1, 2], [0, 0, 1], [2, 1, 1]])
    with pytest.raises(kind, match=words):
        switching_effects(panel, DESIGN, treatment="d", **options)


def test_bad_designs() -> None:
    panel = table([[0, 0, 1], [0, 0, 0], [0, 0, 0]], [[0, 1, 2], [0, 0, 1], [2, 1, 1]], one=[1, 1, 1])
    for design, kind, words in (
        (replace(DESIGN, link="ratios"), RefusalError, "수준"),
        (replace(DESIGN, cluster="one"), DesignError, "하나뿐"),
        (Design("yy"), DesignError, "비슷한 이름"),
        (replace(DESIGN, covariates=("d2",)), DesignError, "d2"),
    ):
        with pytest.raises(kind, match=words):
            switching_effects(panel, design, treatment="d")
    flat = panel.with_varying(x=np.ones((3, 3)))
    with pytest.raises(DesignError, match="기울기를 구할 수 없음"):
        switching_effects(flat, replace(DESIGN, covariates=("x",)), treatment="d")
    with pytest.raises(DesignError, match="기간 2"):
        switching_effects(panel.select(periods=[1, 3]), DESIGN, treatment="d")
    with pytest.raises(DesignError, match="관측값이 없음"):
        switching_effects(panel.with_varying(y=np.full((3, 3), np.nan)), DESIGN, treatment="d")


def test_fixed_covariates_are_named_not_used() -> None:
    panel = table([[0, 0, 1], [0, 0, 0], [0, 0, 0]], [[0, 1, 2], [0, 0, 1], [2, 1, 1]], size=[1.0, 2, 3])
    estimate = switching_effects(panel, replace(DESIGN, covariates=("size",)), treatment="d")
    assert any("size" in note for note in estimate.detail["notes"])


# -- the decomposition ---------------------------------------------------------------------------------------


def test_decomposition_refuses_what_it_cannot_decompose() -> None:
    years = np.arange(1, 5)
    y = np.arange(16.0).reshape(4, 4) % 5
    panel = Panel(np.arange(4), years, {"y": y}, {"adoption": np.array([2, 3, np.inf, np.inf])})
    holes = y.copy()
    holes[1, 2] = np.nan
    for changed, design, kind, words in (
        (panel.with_varying(y=holes), DESIGN, DesignError, "빈 칸이 1개"),
        (panel, replace(DESIGN, covariates=("y",)), RefusalError, "two_way_weights"),
        (panel, replace(DESIGN, anticipation=1), RefusalError, "예상 효과"),
        (panel.with_fixed(adoption=np.full(4, 3.0)), DESIGN, DesignError, "코호트가 하나뿐"),
        (panel.with_fixed(adoption=np.array([1, 1, np.inf, np.inf])), DESIGN, DesignError, "전과 후"),
    ):
        with pytest.raises(kind, match=words):
            goodman_bacon_decomposition(changed, design)


def test_decomposition_names_every_kind_of_comparison() -> None:
    rng = np.random.default_rng(6)
    adoption = np.repeat([1.0, 3.0, 5.0, np.inf], 5)
    panel = Panel(np.arange(20), np.arange(1, 7), {"y": rng.normal(size=(20, 6))}, {"adoption": adoption})
    estimate = goodman_bacon_decomposition(panel, DESIGN)
    assert set(estimate.terms) == {
        ("treated_vs_never", 3, "never"),
        ("treated_vs_never", 5, "never"),
        ("earlier_vs_later", 3, "5"),
        ("later_vs_earlier", 5, "3"),
        ("later_vs_always", 3, "always"),
        ("later_vs_always", 5, "always"),
    }
    assert estimate.detail["weight"].sum() == pytest.approx(1)
    share = {row["type"]: row["weight"] for row in estimate.detail["by_type"]}
    told = estimate.detail["already_treated"]
    assert told == pytest.approx(share["later_vs_earlier"] + share["later_vs_always"])


def test_placebos_feed_the_check_of_pre_trends() -> None:
    """Event times and base are told so that the check knows which terms lie before the base."""
    rng = np.random.default_rng(7)
    d = np.zeros((60, 8))
    d[:25, 5:] = 1
    panel = table(d.tolist(), (rng.normal(size=(60, 8)) + 2 * d).tolist())
    estimate = switching_effects(panel, Design("y", base="varying"), treatment="d", horizons=3, placebos=3)
    found = pre_trends(estimate, effect=2.0)
    assert found.detail["periods"] == 3
    assert found.p_value == pytest.approx(estimate.detail["joint_placebos"]["p_value"], rel=1e-6)


def test_same_switchers_are_seen_at_the_last_horizon_too() -> None:
    """Of the switchers in periods 3 and 4 the second lacks the last of two horizons by one period: it leaves both; and a
    switcher whose outcome is missing at the last horizon alone leaves too."""
    d = [[0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    y = [[0, 0, 3, 5], [0, 0, 0, 90], [0, 0, 70, np.nan], [0, 0, 1, 1], [0, 0, 1, 1]]
    panel = table(
        d, y
    )  # the switcher of period 4 has not switched in period 3 and is a comparison unit there
    free = switching_effects(panel, DESIGN, treatment="d", horizons=2, placebos=0)
    assert free.n_treated.tolist() == [3, 1]
    same = switching_effects(panel, DESIGN, treatment="d", horizons=2, placebos=0, same_switchers=True)
    assert same.n_treated.tolist() == [1, 1]
    # 3 − (0 + 1 + 1)/3 and 5 − (1 + 1)/2
    assert same.values == pytest.approx([3 - 2 / 3, 4.0])
