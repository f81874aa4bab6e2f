"""Target-industry triple differences: least squares with all dummies, 8 cells by hand, permuted panels one by one."""

from __future__ import annotations

import warnings
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.design import Design
from evalkit.estimators._target_cells import residual_targets
from evalkit.estimators.target_industries import target_industry_effects
from evalkit.inference.target_permutation import permuted_targets
from evalkit.panel import Panel

YEARS = np.arange(2015, 2021)
TARGETS = {0: (0,), 1: (1, 2), 2: (2,), 3: (4,), 4: (0, 3)}  # every province has some


def cells(
    seed: int,
    *,
    provinces: int = 5,
    industries: int = 6,
    lost: int = 0,
    treated: dict[int, Any] | None = None,
) -> Panel:
    rng = np.random.default_rng(seed)
    p, k = np.divmod(np.arange(provinces * industries), industries)
    lists = TARGETS if treated is None else treated
    start = np.array([2018.0 if b in lists.get(a, ()) else np.inf for a, b in zip(p, k, strict=True)])
    y = 60 + 5 * rng.standard_normal((len(p), 1)) + rng.standard_normal((len(p), len(YEARS)))
    y += rng.standard_normal((provinces, len(YEARS)))[p] + rng.standard_normal((industries, len(YEARS)))[k]
    y += 2.0 * (start[:, None] <= YEARS)
    if lost:
        at = rng.choice(np.flatnonzero(np.isinf(start)), lost, replace=False)
        y[at, rng.integers(0, len(YEARS), lost)] = np.nan
    fixed = {
        "adoption": start,
        "sido": np.array([f"p{a}" for a in p]),
        "sector": np.array([f"k{b}" for b in k]),
        "w": rng.uniform(0.5, 2.0, len(p)),
    }
    return Panel(np.array([f"p{a}|k{b}" for a, b in zip(p, k, strict=True)]), YEARS, {"y": y}, fixed)


def long(panel: Panel) -> pd.DataFrame:
    frame = panel.to_long()
    frame["T"] = np.isfinite(frame["adoption"]).astype(float)
    return frame


def by_least_squares(panel: Panel, year: int, weight: bool) -> float:
    """One regression of two years with cell, province × year and industry × year dummies; statsmodels."""
    sm = pytest.importorskip("statsmodels.api")
    frame = long(panel)
    pair = frame[frame["period"].isin([2017, year])].dropna(subset=["y"])
    both = pair.groupby("unit")["period"].transform("nunique") == 2
    pair = pair[both]
    x = pd.concat(
        [
            (pair["T"] * (pair["period"] == year)).rename("effect"),
            pd.get_dummies(pair["unit"], dtype=float),
            pd.get_dummies(pair["sido"] + pair["period"].astype(str), dtype=float),
            pd.get_dummies(pair["sector"] + pair["period"].astype(str), dtype=float),
        ],
        axis=1,
    )
    w = pair["w"] if weight else np.ones(len(pair))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the dummies of three families are collinear; their sum is not asked
        fitted = sm.WLS(pair["y"], x, weights=w).fit(method="pinv")
    return float(fitted.params["effect"])


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("lost", [0, 5])
def test_least_squares_with_all_dummies(weight: str | None, lost: int) -> None:
    panel = cells(1, lost=lost)
    est = target_industry_effects(panel, Design("y", weight=weight))
    for year in (2015, 2016, 2018, 2019, 2020):
        at = est.terms.get_loc((2018, year))
        assert est.values[at] == pytest.approx(by_least_squares(panel, year, weight is not None), abs=1e-8)
    assert est.values[est.terms.get_loc((2018, 2017))] == 0.0


@pytest.mark.peer
def test_errors_of_a_peer() -> None:
    """pyfixest on the changes, clustered by province: CV1 is our sandwich times its factor."""
    pf = pytest.importorskip("pyfixest")
    panel = cells(2, provinces=9, industries=7, treated={i: (i % 7, (i * 3 + 1) % 7) for i in range(6)})
    est = target_industry_effects(panel, Design("y"))
    frame = pd.DataFrame({name: panel.fixed[name] for name in ("sido", "sector")})
    frame["T"] = np.isfinite(panel.fixed["adoption"]).astype(float)
    frame["change"] = panel.values("y")[:, 4] - panel.values("y")[:, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyfixest calls pandas in a way that will go
        fitted = pf.feols("change ~ T | sido + sector", frame, vcov={"CRV1": "sido"})
    at = est.terms.get_loc((2018, 2019))
    assert est.values[at] == pytest.approx(float(fitted.coef()["T"]), abs=1e-9)
    ratio = float(fitted.se()["T"]) / est.std_errors[at]
    n, c = len(frame), 9
    # pyfixest counts parameters that are not nested in the clusters: T and the industries less one
    known = {np.sqrt(c / (c - 1) * (n - 1) / (n - k)) for k in (1 + 7, 1 + 6, 1 + 7 + 1)}
    assert min(abs(ratio - one) for one in known) < 1e-6


def test_eight_cells() -> None:
    """Two provinces and two industries, one target: (own target − own other) less the same elsewhere."""
    panel = cells(3, provinces=2, industries=2, treated={0: (1,)})
    est = target_industry_effects(panel, Design("y"))
    y = panel.values("y")
    change = (y[:, 5] - y[:, 2]).reshape(2, 2)
    by_hand = (change[0, 1] - change[0, 0]) - (change[1, 1] - change[1, 0])
    assert est.values[-1] == pytest.approx(by_hand, abs=1e-12)


def test_weights_of_cells_sum_to_nothing_within_provinces_and_industries() -> None:
    panel = cells(4)
    est = target_industry_effects(panel, Design("y", weight="w"))
    lever = est.detail["comparison_weight"]
    target = np.isfinite(panel.fixed["adoption"])
    assert lever[target].sum() == pytest.approx(1.0)
    for name in ("sido", "sector"):
        for label in np.unique(panel.fixed[name]):
            assert lever[panel.fixed[name] == label].sum() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("weight", [None, "w"])
def test_leaving_out_a_province_is_the_estimate_without_it(weight: str | None) -> None:
    panel = cells(5, lost=4)
    est = target_industry_effects(panel, Design("y", weight=weight))
    assert est.replicates is not None
    for c, label in enumerate(est.cluster_labels):
        rest = panel.select(panel.fixed["sido"] != label)
        again = target_industry_effects(rest, Design("y", weight=weight))
        np.testing.assert_allclose(est.replicates[c], again.values, atol=1e-10)


def test_influence_is_the_derivative_in_the_weight_of_a_cell() -> None:
    panel = cells(6)
    est = target_industry_effects(panel, Design("y", weight="w"))
    assert est.influence is not None
    w = panel.fixed["w"]
    for at in (0, 8, 17):
        step = 1e-6
        moved = panel.with_fixed(w=np.where(np.arange(len(w)) == at, w + step, w))
        found = target_industry_effects(moved, Design("y", weight="w")).values[-1] - est.values[-1]
        assert found / step * w[at] * len(w) == pytest.approx(est.influence[at, -1], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("scale", ["log", "growth"])
def test_scales_by_hand(scale: Any) -> None:
    panel = cells(7)
    y = panel.values("y")
    if scale == "log":
        change = np.log(y[:, 5]) - np.log(y[:, 2])
    else:
        change = 2 * (y[:, 5] - y[:, 2]) / (y[:, 5] + y[:, 2])
    target = np.isfinite(panel.fixed["adoption"]).astype(float)
    p, k = (pd.factorize(panel.fixed[n])[0] for n in ("sido", "sector"))
    left = residual_targets(target, p, k, np.ones(len(p)))
    expected = left @ change / (left @ left)
    est = target_industry_effects(panel, Design("y"), scale=scale)
    assert est.values[-1] == pytest.approx(expected, abs=1e-12)


def test_permutations_one_by_one() -> None:
    """Every order of five lists, by the estimator itself on a panel with the lists changed."""
    panel = cells(8)
    found = permuted_targets(panel, Design("y"), horizon=2, draws=200)
    lists = panel.fixed["adoption"].reshape(5, 6)
    sizes = []
    for order in permutations(range(5)):
        moved = panel.with_fixed(adoption=lists[list(order)].ravel())
        est = target_industry_effects(moved, Design("y"), replicates=False)
        sizes.append(est.values[3:].mean())
    assert found.exact
    assert found.estimate == pytest.approx(sizes[0])
    np.testing.assert_allclose(np.sort(found.draws), np.sort(sizes[1:]), atol=1e-9)
    share = np.mean(np.abs(sizes) >= abs(sizes[0]) * (1 - 1e-9))
    assert found.p_value == pytest.approx(float(share))


def test_drawn_permutations_keep_their_seed() -> None:
    panel = cells(9, provinces=8, treated={i: (i % 6,) for i in range(8)})
    one, two = (permuted_targets(panel, Design("y"), horizon=1, draws=99, seed=4) for _ in range(2))
    assert not one.exact
    assert len(one.draws) == 99
    np.testing.assert_array_equal(one.draws, two.draws)
