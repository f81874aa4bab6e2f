"""Cluster covariances against clubSandwich 0.6.0, fixest 0.14.2 and pyfixest, and against dense matrices of the regression.

Dense: every dummy written out, (I − H)^{-1/2} formed in n_c × n_c. The published numbers are held to 1e-9 relative, dense
re-computation to 1e-10.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.panel_regression import panel_regression
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import (
    SmallSample,
    bias_reduced,
    cluster_diagnostics,
    cluster_jackknife,
    cluster_robust,
    two_way_clusters,
    wald,
)
from evalkit.inference.heteroskedastic import row_robust
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-9
CARRIED: dict[str, Any] = json.loads((HERE / "two_way_S1.json").read_text(encoding="utf-8"))


@cache
def s1() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    frame["kindb"] = (frame["kind"] == "b").astype(float)
    frame["industry"] = frame["unit"] * 7 % 11 % 6
    frame["trade"] = frame["unit"] % 9
    fixed = ["adoption", "region", "x1", "kindb", "industry", "trade"]
    return Panel.from_long(frame, unit="unit", period="year", varying=["y", "x2", "treated"], fixed=fixed)


@cache
def by_region() -> Estimate:
    return two_way_effects(s1(), Design("y", covariates=("x2",), cluster="region"))


@cache
def pooled() -> Estimate:
    return panel_regression(
        s1(), Design("y", cluster="region"), model="pooled", regressors=("treated", "x1", "kindb")
    )


def club(case: str, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    held = CARRIED["clubsandwich"][case]
    at = [list(held["Coef"]).index(name) for name in names]
    return np.asarray(held["SE"], dtype=float)[at], np.asarray(held["df_Satt"], dtype=float)[at]


NAMES = ["(Intercept)", "treated", "x1", "kindb"]


@pytest.mark.parametrize(
    ("case", "ssc"),
    [("CR0", SmallSample.NONE), ("CR1", SmallSample.CLUBSANDWICH), ("CR1S", SmallSample.STATA)],
)
def test_conventions_by_name(case: str, ssc: SmallSample) -> None:
    """CR1S counts every dummy of the two-way regression; without effects Stata's and fixest's conventions agree."""
    errors, _ = club(f"S1-twfe-lm-region-{case}", ["treated", "x2"])
    np.testing.assert_allclose(cluster_robust(by_region(), ssc=ssc).std_errors, errors, rtol=TOLERANCE)
    errors, _ = club(f"S1-pooled-region-{case}", NAMES)
    np.testing.assert_allclose(cluster_robust(pooled(), ssc=ssc).std_errors, errors, rtol=TOLERANCE)


def test_fixest_without_effects() -> None:
    held = CARRIED["fixest"]["S1-pooled-cluster"]
    estimate = cluster_robust(pooled(), ssc=SmallSample.FIXEST)
    np.testing.assert_allclose(estimate.std_errors, [held["se"][n] for n in NAMES], rtol=TOLERANCE)
    stata = cluster_robust(pooled(), ssc=SmallSample.STATA)
    np.testing.assert_allclose(estimate.covariance, stata.covariance, rtol=1e-12)


def test_bias_reduced_and_jackknife_without_effects() -> None:
    errors, dof = club("S1-pooled-region-CR2", NAMES)
    estimate = bias_reduced(pooled())
    np.testing.assert_allclose(estimate.std_errors, errors, rtol=TOLERANCE)
    np.testing.assert_allclose(estimate.dof, dof, rtol=TOLERANCE)
    errors, _ = club("S1-pooled-region-CR3", NAMES)
    np.testing.assert_allclose(
        cluster_jackknife(pooled()).std_errors * np.sqrt(14 / 13), errors, rtol=TOLERANCE
    )


@pytest.mark.parametrize(("case", "kind"), [("hetero", "HC1"), ("HC2", "HC2"), ("HC3", "HC3")])
def test_rows_for_independent(case: str, kind: Any) -> None:
    held = CARRIED["fixest"][f"S1-twfe-{case}"]
    estimate = row_robust(two_way_effects(s1(), Design("y", covariates=("x2",))), kind)
    np.testing.assert_allclose(
        estimate.std_errors, [held["se"][n] for n in ("treated", "x2")], rtol=TOLERANCE
    )
    assert estimate.dof[0] == held["df_t"]


# -- dense matrices --------------------------------------------------------------------------------------------------


def dummies(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


def dense_two_way(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Treatment, x2, unit and period dummies; outcome; cluster of each row."""
    frame = panel.to_long()
    d = (frame["period"] >= frame["adoption"]).to_numpy(float)
    units, periods = dummies(frame["unit"].to_numpy()), dummies(frame["period"].to_numpy())
    x = np.column_stack([d, frame["x2"], units, periods[:, 1:]])
    return x, frame["y"].to_numpy(), frame["region"].to_numpy().astype(int)


def dense_pooled(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame = panel.to_long()
    x = np.column_stack([np.ones(len(frame)), frame[["treated", "x1", "kindb"]].to_numpy()])
    return x, frame["y"].to_numpy(), frame["region"].to_numpy().astype(int)


@cache
def few() -> Panel:
    return s1().select(units=np.arange(0, 200, 4))


def root_inverse(block: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((block + block.T) / 2)
    keep = values > 1e-9
    power = np.where(keep, 1 / np.sqrt(np.where(keep, values, 1.0)), 0.0)
    return (vectors * power) @ vectors.T


def dense_bias_reduced(
    x: np.ndarray, y: np.ndarray, cluster: np.ndarray, r: np.ndarray
) -> tuple[float, float, float, float]:
    """Variance, Bell–McCaffrey and Imbens–Kolesár degrees of freedom of r'θ, and ρ̂, from n × n matrices."""
    bread = np.linalg.inv(x.T @ x)
    away = np.eye(len(x)) - x @ bread @ x.T
    u = away @ y
    labels = np.unique(cluster)
    g, gaps = [], []
    for c in labels:
        at = cluster == c
        v = root_inverse(away[np.ix_(at, at)]) @ x[at] @ bread @ r
        gaps.append(float(v @ u[at]))
        g.append(away[:, at] @ v)
    big = np.stack(g, axis=1)
    same = cluster[:, None] == cluster[None, :]
    squares = float(u @ u)
    pairs = float(same.sum() - len(u))
    own, shared = squares / len(u), (float(u @ same @ u) - squares) / pairs
    freedom = []
    for omega in (np.eye(len(u)), (own - shared) * np.eye(len(u)) + shared * same):
        product = big.T @ omega @ big
        freedom.append(float(np.trace(product) ** 2 / np.square(product).sum()))
    return float(np.square(gaps).sum()), freedom[0], freedom[1], shared / own


def test_low_rank_bias_reduction_is_the_dense_one() -> None:
    """CR2, Bell–McCaffrey and Imbens–Kolesár, terms and a combination; no effects, and two-way."""
    design = Design("y", covariates=("x2",), cluster="region")
    flat = panel_regression(few(), design, model="pooled", regressors=("treated", "x1", "kindb"))
    cases = [(flat, dense_pooled(few()), 4), (two_way_effects(few(), design), dense_two_way(few()), 2)]
    for estimate, (x, y, cluster), k in cases:
        rows = np.vstack([np.eye(k), np.linspace(1, -2, k)])
        found = bias_reduced(estimate, contrast=rows)
        correlated = bias_reduced(estimate, contrast=rows, dof="IK")
        for i, row in enumerate(rows):
            r = np.zeros(x.shape[1])
            r[:k] = row
            variance, bell, imbens, rho = dense_bias_reduced(x, y, cluster, r)
            np.testing.assert_allclose(found.covariance[i, i], variance, rtol=1e-8)
            np.testing.assert_allclose(found.dof[i], bell, rtol=1e-8)
            np.testing.assert_allclose(correlated.dof[i], imbens, rtol=1e-8)
            if k == 4:
                np.testing.assert_allclose(correlated.detail["moulton_rho"], rho, rtol=1e-8)
                assert abs(bell - imbens) > 1e-3
            else:
                np.testing.assert_allclose(imbens, bell, rtol=1e-8)


def test_the_combination_is_what_combine_would_give_and_its_tests_agree() -> None:
    weights = [[0, 0, 0, 0.25, 0.25, 0.25, 0.25], [1, 1, 1, 0, 0, 0, 0]]
    estimate = two_way_event_study(s1(), Design("y", cluster="region"), window=(-4, 3))
    plain = bias_reduced(estimate)
    found = bias_reduced(estimate, contrast=weights)
    again = plain.combine(weights, ["a", "b"])
    np.testing.assert_allclose(found.values, again.values, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, again.covariance, rtol=1e-10)
    assert (found.dof > again.dof.min() - 5).all()
    # a turned basis of the same restrictions gives the same joint test
    turned = bias_reduced(
        estimate, contrast=[[1, 0, 0, 0, 0, 0, 0], [1, 2, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0, 0]]
    )
    first, second = wald(plain, np.array([0, 1, 2])), wald(turned)
    np.testing.assert_allclose(first.statistic, second.statistic, rtol=1e-8)
    np.testing.assert_allclose(first.df_denominator, second.df_denominator, rtol=1e-8)


def test_jackknife_is_the_form_with_inverse_hat_matrices() -> None:
    """CV3 = (G−1)/G Σ (B x_c'(I − H_cc)⁻¹û_c)², the regression with no effects nested in clusters."""
    x, y, cluster = dense_pooled(few())
    bread = np.linalg.inv(x.T @ x)
    u = y - x @ bread @ x.T @ y
    parts = []
    for c in np.unique(cluster):
        at = cluster == c
        hat = x[at] @ bread @ x[at].T
        parts.append(bread @ x[at].T @ np.linalg.solve(np.eye(at.sum()) - hat, u[at]))
    wanted = 13 / 14 * np.array(parts).T @ np.array(parts)
    design = Design("y", cluster="region")
    flat = panel_regression(few(), design, model="pooled", regressors=("treated", "x1", "kindb"))
    np.testing.assert_allclose(cluster_jackknife(flat).covariance, wanted, rtol=1e-8)


def test_jackknife_around_the_mean_of_the_replicates() -> None:
    replicates = by_region().replicates
    assert replicates is not None
    gap = replicates - replicates.mean(axis=0)
    found = cluster_jackknife(by_region(), centre="mean")
    np.testing.assert_allclose(found.covariance, 13 / 14 * gap.T @ gap, rtol=1e-12)
    assert found.inference == "CV3J"
    assert (found.std_errors < cluster_jackknife(by_region()).std_errors).all()


@pytest.mark.parametrize("which", ["pooled", "two_way"])
def test_leverage_and_effective_clusters(which: str) -> None:
    """Unit dummies are no part of the leverage of the two-way regression: they are partialled out of everything first."""
    design = Design("y", covariates=("x2",), cluster="region")
    if which == "pooled":
        estimate = panel_regression(few(), design, model="pooled", regressors=("treated", "x1", "kindb"))
        x, _, cluster = dense_pooled(few())
        k = 4
    else:
        estimate = two_way_effects(few(), design)
        x, _, cluster = dense_two_way(few())
        unit = dummies(few().to_long()["unit"].to_numpy())
        away = np.eye(len(x)) - unit @ np.linalg.pinv(unit)
        x = away @ np.delete(x, np.s_[2 : 2 + unit.shape[1]], axis=1)
        k = 2
    found = cluster_diagnostics(estimate, rho=(0.0, 0.3, 1.0))
    bread = np.linalg.inv(x.T @ x)
    labels = np.unique(cluster)
    hats = np.array([np.trace(x[cluster == c] @ bread @ x[cluster == c].T) for c in labels])
    assert found.leverage is not None
    assert found.partial_leverage is not None
    assert found.effective is not None
    np.testing.assert_allclose(found.leverage, hats, rtol=1e-9)
    np.testing.assert_allclose(found.leverage.sum(), x.shape[1], rtol=1e-9)
    for j in range(k):
        others = np.delete(x, j, axis=1)
        rest = x[:, j] - others @ np.linalg.lstsq(others, x[:, j], rcond=None)[0]
        shares = np.array([np.sum(rest[cluster == c] ** 2) for c in labels]) / np.sum(rest**2)
        np.testing.assert_allclose(found.partial_leverage[:, j], shares, rtol=1e-8)
        for i, rho in enumerate((0.0, 0.3, 1.0)):
            gamma = np.array(
                [
                    (1 - rho) * np.sum(rest[cluster == c] ** 2) + rho * rest[cluster == c].sum() ** 2
                    for c in labels
                ]
            )
            if which == "two_way" and rho == 1.0:
                assert np.isnan(found.effective[i, j])
                continue
            wanted = len(labels) / (1 + np.mean((gamma / gamma.mean() - 1) ** 2))
            np.testing.assert_allclose(found.effective[i, j], wanted, rtol=1e-7)
    assert ("moulton_absorbed" in found.notes) == (which == "two_way")


# -- two groupings of units ------------------------------------------------------------------------------------------


@pytest.mark.peer
def test_province_and_industry_live_against_pyfixest() -> None:
    peer = pytest.importorskip("pyfixest")
    frame = s1().to_long()
    frame["d"] = (frame["period"] >= frame["adoption"]).astype(float)
    fit = peer.feols("y ~ d + x2 | unit + period", frame, vcov={"CRV1": "region + industry"}, fixef_tol=1e-13)
    found = two_way_clusters(by_region(), s1().constant("industry"))
    np.testing.assert_allclose(found.std_errors, fit.tidy()["Std. Error"].astype(float), rtol=1e-6)
    assert found.dof[0] == 5
    assert found.detail["second_clusters"] == 6
    assert not found.detail["nested"]
    assert found.detail["eigenvalues_clipped"]
    assert np.linalg.eigvalsh(found.covariance)[0] >= -1e-18


def test_province_and_industry_by_hand() -> None:
    """One factor for all parts; one for each where asked."""
    region, industry = (s1().clusters(name)[0] for name in ("region", "industry"))
    influence = by_region().influence
    assert influence is not None

    def meat(codes: np.ndarray) -> np.ndarray:
        sums = dummies(codes).T @ influence / len(influence)
        return sums.T @ sums

    parts = [meat(region), meat(industry), meat(region * 6 + industry)]
    counts = [14, 6, len(np.unique(region * 6 + industry))]
    none = two_way_clusters(by_region(), industry, SmallSample.NONE)
    np.testing.assert_allclose(none.std_errors**2, np.diag(parts[0] + parts[1] - parts[2]), rtol=1e-10)
    each = two_way_clusters(by_region(), industry, SmallSample(k_adj=False, g_df="conventional"))
    factor = [g / (g - 1) for g in counts]
    wanted = factor[0] * parts[0] + factor[1] * parts[1] - factor[2] * parts[2]
    np.testing.assert_allclose(each.std_errors**2, np.diag(wanted), rtol=1e-10)
    # the treatment alone needs no repair
    alone = two_way_clusters(by_region().select([0]), industry, SmallSample(k_adj=False, g_df="conventional"))
    np.testing.assert_allclose(alone.covariance, wanted[:1, :1], rtol=1e-10)
    assert not alone.detail["eigenvalues_clipped"]


def test_a_grouping_inside_the_other_leaves_the_coarser_one() -> None:
    unit = two_way_effects(s1(), Design("y", covariates=("x2",)))
    found = two_way_clusters(unit, s1().constant("region"))
    assert found.detail["nested"]
    np.testing.assert_allclose(found.covariance, cluster_robust(by_region()).covariance, rtol=1e-10)


def test_a_variance_that_the_formula_makes_negative_is_none() -> None:
    """V₁ + V₂ − V₁₂ is negative for x2 here; fixest gives NaN or, after its own repair, a number of no meaning."""
    found = two_way_clusters(by_region(), s1().constant("trade"))
    assert found.detail["eigenvalues_clipped"]
    assert np.isnan(found.std_errors[1])
    assert found.std_errors[0] > 0
    np.testing.assert_allclose(found.std_errors[0], 0.10541, atol=5e-6)
