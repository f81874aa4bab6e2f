"""The card of balance against numpy and scipy: differences, ratios, distances, levels and slopes before adoption."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evalkit.arrays.balance_measures import effective_size, weighted_distance, weighted_variance
from evalkit.balancing import entropy_balancing
from evalkit.checks.balance import balance, balance_card, standardised_differences
from evalkit.design import Design
from evalkit.panel import Panel


def made(n: int = 120, seed: int = 0) -> Panel:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    treated = rng.random(n) < 1 / (1 + np.exp(-x))
    years = np.arange(2010, 2017)
    y = 3 + x[:, None] + 0.4 * np.where(treated, 1, 0)[:, None] * (years - 2010) + rng.normal(size=(n, 7))
    y[3, 1] = np.nan
    return Panel(
        np.arange(n),
        years,
        {"y": y},
        {"adoption": np.where(treated, 2015.0, np.inf), "x": x, "w": rng.uniform(0.5, 2, n)},
    )


def test_kolmogorov_smirnov_is_scipys_and_a_weight_is_a_repetition() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 9, 40).astype(float), rng.integers(0, 9, 31).astype(float)
    one = weighted_distance(a, np.ones(40), b, np.ones(31))
    assert one == pytest.approx(stats.ks_2samp(a, b).statistic, abs=1e-12)
    times = rng.integers(1, 4, 40)
    repeated = np.repeat(a, times)
    weighted = weighted_distance(a, times.astype(float), b, np.ones(31))
    assert weighted == pytest.approx(stats.ks_2samp(repeated, b).statistic, abs=1e-12)


def test_variance_and_effective_size() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert weighted_variance(x, np.full(4, 3.0)) == pytest.approx(x.var(ddof=1))
    assert np.isnan(weighted_variance(x, np.array([0, 0, 1.0, 0])))
    assert effective_size(np.array([2.0, 2.0, 0.0])) == pytest.approx(2)
    assert effective_size(np.array([3.0, 1.0])) == pytest.approx(16 / 10)
    assert effective_size(np.zeros(2)) == 0


def test_the_card_of_a_weighted_comparison() -> None:
    panel = made()
    design = Design("y", covariates=("x",))
    b = entropy_balancing(panel, design)
    card = balance_card(panel, design, b)
    x, t = panel.constant("x"), b.treated
    before = (x[t].mean() - x[~t].mean()) / np.sqrt((x[t].var(ddof=1) + x[~t].var(ddof=1)) / 2)
    row = card.table.loc["x"]
    assert row["smd"] == pytest.approx(before)
    assert row["ks"] == pytest.approx(stats.ks_2samp(x[t], x[~t]).statistic)
    assert row["variance_ratio"] == pytest.approx(x[t].var(ddof=1) / x[~t].var(ddof=1))
    assert abs(row["smd_weighted"]) < 1e-10
    w = b.weights[~t] / b.weights[~t].sum()
    spread = (w @ (x[~t] - w @ x[~t]) ** 2) / (1 - w @ w)
    assert row["variance_ratio_weighted"] == pytest.approx(x[t].var(ddof=1) / spread)


def test_levels_and_slopes_before_adoption_and_nothing_after() -> None:
    panel = made()
    design = Design("y")
    card = balance_card(panel, design)
    y, t = panel.values("y")[:, :5], np.isfinite(panel.constant("adoption"))
    slope = np.array([np.polyfit(np.flatnonzero(np.isfinite(row)), row[np.isfinite(row)], 1)[0] for row in y])
    level = np.nanmean(y, axis=1)
    for name, values in (("y:level", level), ("y:trend", slope)):
        row = card.table.loc[name]
        assert row["mean_treated"] == pytest.approx(values[t].mean())
        assert row["mean_comparison"] == pytest.approx(values[~t].mean())
        pooled = np.sqrt((values[t].var(ddof=1) + values[~t].var(ddof=1)) / 2)
        assert row["smd"] == pytest.approx((values[t].mean() - values[~t].mean()) / pooled)
    assert (card.check.verdict, card.check.reason) == ("warn", "trend_differs")
    assert list(card.table["kind"]) == ["outcome_level", "outcome_trend"]
    later = panel.values("y").copy()
    later[:, 5:] += 1000
    again = balance_card(panel.with_varying(y=later), design)
    assert card.table.equals(again.table)


def test_the_verdict_reads_what_is_left_after_weighting() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=50)
    t = np.arange(50) < 20
    table = standardised_differences({"x": x + t}, t, ~t, weights=np.ones(50))
    assert balance(table).reason == "left_after_weighting"
    assert balance(table.drop(columns="smd_weighted")).reason == "adjusted_for"
    table["smd_weighted"] = 0.05
    assert (balance(table).verdict, balance(table).reason) == ("pass", "balanced")


def test_base_weights_stand_before_balancing() -> None:
    panel = made()
    t = np.isfinite(panel.constant("adoption"))
    w, x = panel.constant("w"), panel.constant("x")
    row = standardised_differences({"x": x}, t, ~t, base=w).loc["x"]
    assert row["mean_treated"] == pytest.approx(w[t] @ x[t] / w[t].sum())
