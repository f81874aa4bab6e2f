"""Poisson panel regression: bad input, edges, and hand-calculated examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.arrays import poisson as poisson_arrays
from evalkit.arrays.poisson import fit
from evalkit.arrays.poisson_chord import chord, moments_by_cluster
from evalkit.arrays.poisson_factors import Absorber
from evalkit.arrays.poisson_sums import Problem
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.poisson import poisson_effects, poisson_event_study
from evalkit.inference import bias_reduced, cluster_jackknife, cluster_robust, uniform_band
from evalkit.panel import Panel


def panel_of(y: np.ndarray | None = None, **fixed: np.ndarray) -> Panel:
    rng = np.random.default_rng(3)
    y = rng.poisson(4.0, (12, 5)) + 1.0 if y is None else y
    adoption = np.where(np.arange(len(y)) < 4, 2002.0, np.inf)
    extra = {"adoption": adoption, "r": np.arange(len(y)) // 2, **fixed}
    return Panel(
        np.arange(len(y)), np.arange(2000, 2000 + y.shape[1]), {"y": y, "x": rng.normal(size=y.shape)}, extra
    )


def changed(**at: float) -> Panel:
    y = panel_of().values("y").copy()
    y[2, 3] = at["value"]
    return panel_of(y)


def test_ratio_of_ratios_by_hand() -> None:
    y = np.array([[2.0, 6.0], [0.0, 2.0], [5.0, 5.0], [1.0, 4.0]])
    panel = Panel(np.arange(4), np.array([1, 2]), {"y": y}, {"adoption": np.array([2, 2, np.inf, np.inf])})
    estimate = poisson_effects(panel, Design("y"))
    assert np.exp(estimate.values[0]) == pytest.approx((8 / 2) / (9 / 6), rel=1e-12)
    assert estimate.n_treated[0] == estimate.n_comparison[0] == 2
    assert estimate.design["link"] == "ratios"


def test_exposure_is_a_rate_by_hand() -> None:
    y = np.array([[2.0, 6.0], [6.0, 9.0]])
    risk = np.array([[10.0, 40.0], [20.0, 20.0]])
    panel = Panel(
        np.arange(2),
        np.array([1, 2]),
        {"y": y, "risk": risk, "log": np.log(risk)},
        {"adoption": np.array([2, np.inf])},
    )
    expected = np.log((6 / 40) / (2 / 10)) - np.log((9 / 20) / (6 / 20))
    for options in ({"exposure": "risk"}, {"offset": "log"}):
        estimate = poisson_effects(panel, Design("y"), **options)
        assert estimate.values[0] == pytest.approx(expected, rel=1e-12)


def test_an_exposure_fixed_in_time_changes_nothing() -> None:
    panel = panel_of(size=np.linspace(1, 9, 12))
    plain = poisson_effects(panel, Design("y", cluster="r"))
    fixed = poisson_effects(panel, Design("y", cluster="r"), exposure="size")
    np.testing.assert_allclose(fixed.values, plain.values, rtol=1e-10)
    np.testing.assert_allclose(fixed.replicates, plain.replicates, rtol=1e-9)


@pytest.mark.parametrize(
    ("panel", "design", "options", "error", "words"),
    [
        (changed(value=-1.0), Design("y"), {}, DataError, "음수"),
        (changed(value=np.inf), Design("y"), {}, DataError, "무한대"),
        (panel_of(np.zeros((12, 5))), Design("y"), {}, DesignError, "모두 0"),
        (panel_of(np.full((12, 5), np.nan)), Design("y"), {}, DesignError, "비교할 수 없음"),
        (panel_of(one=np.zeros(12)), Design("y", cluster="one"), {}, DesignError, "하나뿐"),
        (panel_of(w=np.full(12, -1.0)), Design("y", weight="w"), {}, DataError, "음수"),
        (panel_of(adoption=np.full(12, 2002.0)), Design("y"), {}, DesignError, "흡수"),
        (panel_of(adoption=np.full(12, np.inf)), Design("y"), {}, DesignError, "흡수"),
        (panel_of(), Design("y"), {"offset": "x", "exposure": "x"}, DesignError, "함께"),
        (panel_of(), Design("y"), {"exposure": "x"}, DataError, "노출"),
    ],
)
def test_bad_input(
    panel: Panel, design: Design, options: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        poisson_effects(panel, design, **options)


@pytest.mark.parametrize("name", ["log1p_y", "asinh_y", "log_y", "ln_y"])
def test_logs_are_refused(name: str) -> None:
    panel = panel_of().with_varying(**{name: np.log1p(panel_of().values("y"))})
    with pytest.raises(RefusalError):
        poisson_effects(panel, Design(name))
    with pytest.raises(RefusalError):
        poisson_event_study(panel, Design(name))


def test_a_log_under_another_name_is_refused() -> None:
    panel = panel_of().with_varying(hidden=np.log1p(panel_of().values("y")))
    with pytest.raises(RefusalError):
        poisson_effects(panel, Design("hidden"))


def test_units_of_zeros_are_counted_and_listed() -> None:
    y = panel_of().values("y").copy()
    y[[5, 9]] = 0.0
    panel = panel_of(y)
    estimate = poisson_effects(panel, Design("y", cluster="r"))
    assert estimate.detail["n_separated_units"] == 2
    np.testing.assert_array_equal(estimate.detail["separated_units"], [5, 9])
    assert any("2개" in note for note in estimate.detail["notes"])
    assert len(estimate.units) == 10
    left = poisson_effects(panel.select(y.sum(axis=1) > 0), Design("y", cluster="r"))
    np.testing.assert_allclose(left.values, estimate.values, rtol=1e-12)
    np.testing.assert_allclose(left.covariance, estimate.covariance, rtol=1e-10)


def test_one_treated_unit_and_an_always_treated_cohort() -> None:
    adoption = np.full(12, np.inf)
    adoption[0] = 2003.0
    alone = poisson_effects(panel_of(adoption=adoption), Design("y"))
    assert np.isfinite(alone.values).all()
    assert alone.n_treated[0] == 1
    adoption[5] = 2000.0
    assert np.isfinite(poisson_effects(panel_of(adoption=adoption), Design("y")).values).all()


def test_a_covariate_constant_within_units_is_absorbed_and_named() -> None:
    panel = panel_of().with_varying(flat=np.repeat(np.arange(12.0)[:, None], 5, axis=1))
    estimate = poisson_effects(panel, Design("y", covariates=("flat", "x")))
    assert estimate.detail["collinear"] == ["flat"]
    assert np.isnan(estimate.values[1])
    assert np.isfinite(estimate.values[[0, 2]]).all()


def test_periods_may_have_gaps() -> None:
    panel = panel_of()
    gap = Panel(panel.units, np.array([2000, 2001, 2002, 2005, 2009]), panel.varying, panel.fixed)
    np.testing.assert_allclose(
        poisson_effects(gap, Design("y")).values, poisson_effects(panel, Design("y")).values, rtol=1e-12
    )


def test_event_study_says_what_it_cannot_tell() -> None:
    with pytest.raises(DesignError, match="처치된 단위"):
        poisson_event_study(panel_of(adoption=np.full(12, np.inf)), Design("y"))
    with pytest.raises(DesignError, match="경과 기간"):
        poisson_event_study(panel_of(adoption=np.full(12, 2002.0)), Design("y"))
    with pytest.raises(DesignError, match="기준 시점"):
        poisson_event_study(panel_of(), Design("y"), reference=-9)


def test_covariates_of_an_event_study_stand_in_detail() -> None:
    estimate = poisson_event_study(panel_of(), Design("y", covariates=("x",), cluster="r"))
    assert list(estimate.terms.get_level_values("event_time")) == [-2, 0, 1, 2]
    assert estimate.detail["covariate_names"] == ["x"]
    assert np.isfinite(estimate.detail["covariate_values"]).all()
    assert estimate.detail["covariate_std_errors"][0] > 0


def test_anticipation_leaves_periods_out() -> None:
    panel = panel_of()
    y = panel.values("y").copy()
    y[:4, 1] = np.nan
    np.testing.assert_allclose(
        poisson_effects(panel, Design("y", anticipation=1)).values,
        poisson_effects(panel.with_varying(y=y), Design("y")).values,
        rtol=1e-12,
    )


def test_large_and_small_amounts_converge() -> None:
    """Sales in won: 1e12 beside 0 and 3."""
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.integers(0, 13, (60, 1))
    y = np.round(scale * rng.gamma(1.0, 1.0, (60, 6))) * (rng.random((60, 6)) > 0.4)
    panel = Panel(
        np.arange(60),
        np.arange(6),
        {"y": y},
        {"adoption": np.where(np.arange(60) % 3 == 0, 3.0, np.inf), "r": np.arange(60) // 6},
    )
    estimate = poisson_effects(panel, Design("y", cluster="r"))
    assert estimate.detail["iterations"] < 20
    score = np.asarray(estimate.influence).sum(axis=0)
    assert np.abs(score).max() < 1e-6 * np.abs(estimate.influence).sum()


def test_inference_reads_the_estimate() -> None:
    estimate = poisson_effects(panel_of(), Design("y", covariates=("x",), cluster="r"))
    for other in (cluster_jackknife(estimate), bias_reduced(estimate)):
        assert np.isfinite(other.std_errors).all()
    assert cluster_robust(estimate, "CV1-period").std_errors[0] > 0
    np.testing.assert_allclose(cluster_robust(estimate).covariance, estimate.covariance, rtol=1e-12)
    study = poisson_event_study(panel_of(), Design("y", cluster="r"))
    assert uniform_band(study) is not None
    assert np.isfinite(bias_reduced(study).std_errors).all()


def test_many_clusters_keep_no_replicates() -> None:
    rng = np.random.default_rng(0)
    n = 500
    panel = Panel(
        np.arange(n),
        np.arange(4),
        {"y": rng.poisson(2.0, (n, 4)) + 0.0},
        {"adoption": np.where(np.arange(n) % 2, 2.0, np.inf)},
    )
    assert poisson_effects(panel, Design("y")).replicates is None
    asked = poisson_effects(panel.select(np.arange(n) < 20), Design("y"), replicates=True)
    assert asked.replicates is not None
    assert asked.replicates.shape == (len(asked.cluster_labels), 1)


def test_conjugate_gradients_and_dense_levels_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    factors = [rng.integers(0, size, 400) for size in (40, 30, 20)]
    weights, values = rng.uniform(0.1, 3, 400), rng.normal(size=400)
    dummies = np.column_stack([np.eye(int(f.max()) + 1)[f] for f in factors])
    root = np.sqrt(weights)
    expected = values - dummies @ np.linalg.lstsq(dummies * root[:, None], values * root, rcond=1e-12)[0]
    for limit in (600, 0):
        monkeypatch.setattr("evalkit.arrays.poisson_factors.DENSE", limit)
        absorber = Absorber(factors)
        absorber.weigh(weights)
        np.testing.assert_allclose(absorber.residual(values), expected, atol=1e-10)


def test_the_design_is_not_changed() -> None:
    design = Design("y")
    poisson_effects(panel_of(), design)
    assert design == replace(design)
    assert design.link == "levels"


def test_moments_by_cluster_are_those_of_all_regressors_written_out() -> None:
    """Each cluster's Σ_i X_i' [diag(m_i) − m_i m_i'/A_i] X_i and Σ_i X_i' (a_i − m_i), with every column written out."""
    rng = np.random.default_rng(3)
    n, periods, clusters = 40, 4, 5
    group = rng.integers(0, 4, n)
    tables = np.zeros((2, periods, 1))
    tables[1, 2:, 0] = 1.0
    problem = Problem(
        counts=rng.poisson(3.0, (n, periods)) + 0.0,
        exposure=rng.uniform(0.5, 2.0, (n, periods)) * (rng.random((n, periods)) > 0.1),
        group=group,
        profile=np.array([0, 1, 0, 1]),
        stratum=np.array([0, 0, 1, 1]),
        tables=tables,
        dense=(rng.normal(size=(n, periods)), rng.normal(size=(n, periods))),
        cluster=np.arange(n) % clusters,
    )
    assert problem.exposure is not None
    problem = replace(problem, counts=problem.counts * (problem.exposure > 0))
    whole = fit(problem)
    found = moments_by_cluster(problem, whole, clusters)
    x = np.zeros((n, periods, 2 * periods + 3))
    for i in range(n):
        x[i, np.arange(periods), problem.stratum[group[i]] * periods + np.arange(periods)] = 1.0
        x[i, :, -3] = tables[problem.profile[group[i]], :, 0]
        x[i, :, -2], x[i, :, -1] = problem.dense[0][i], problem.dense[1][i]
    mean = problem.exposure * np.exp(x @ np.concatenate([whole.delta.ravel(), whole.beta]))
    total = problem.counts.sum(axis=1)
    mean *= (total / mean.sum(axis=1))[:, None]
    x = x[:, :, found.at]
    assert len(found.at) == 2 * periods - 2 + 3
    centre = np.einsum("nt,ntp->np", mean, x) / np.sqrt(total)[:, None]
    for c in range(clusters):
        own = problem.cluster == c
        gram = np.einsum("nt,ntp,ntq->pq", mean[own], x[own], x[own]) - centre[own].T @ centre[own]
        score = np.einsum("nt,ntp->p", (problem.counts - mean)[own], x[own])
        np.testing.assert_allclose(found.gram[c], gram, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.score[c], score, rtol=1e-9, atol=1e-8)


def test_a_cluster_that_moves_the_solution_far_is_fitted_on_its_own() -> None:
    rng = np.random.default_rng(1)
    n, clusters = 40, 8
    region = np.arange(n) % clusters
    panel = panel_with_one_cluster_apart(rng, n, region)
    design = Design("y", covariates=("x",), cluster="region")
    found = []

    def spy(*args: Any) -> Any:
        found.append(chord(*args))
        return found[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("evalkit.arrays.poisson_deletion.chord", spy)
        estimate = poisson_effects(panel, design)
    assert not found[0][1][0]
    assert found[0][1][1:].any()
    assert estimate.replicates is not None
    without = poisson_effects(panel.select(region != 0), design)
    np.testing.assert_allclose(estimate.replicates[0], without.values, rtol=1e-9, atol=1e-10)


def panel_with_one_cluster_apart(rng: np.random.Generator, n: int, region: np.ndarray) -> Panel:
    """Counts whose slope is −1 in the first cluster, where counts are large, and 1 elsewhere."""
    x = rng.normal(size=(n, 5))
    apart = (region == 0)[:, None]
    y = rng.poisson(np.where(apart, 300 * np.exp(-x), 2 * np.exp(x))) + 0.0
    adoption = np.where(np.arange(n) % 3, np.inf, 3.0)
    return Panel(np.arange(n), np.arange(5), {"y": y, "x": x}, {"adoption": adoption, "region": region})


def test_iterations_are_the_steps_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """One where the start is the answer; elsewhere as many as Newton steps were computed."""
    taken: list[float] = []
    step = poisson_arrays.step_of

    def counted(*given: Any) -> Any:
        out = step(*given)
        taken.append(out[2])
        return out

    monkeypatch.setattr(poisson_arrays, "step_of", counted)
    growth = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    same = poisson_effects(panel_of(np.arange(1.0, 13.0)[:, None] * growth), Design("y"), replicates=False)
    assert same.detail["iterations"] == len(taken) == 1
    assert same.values[0] == pytest.approx(0.0, abs=1e-12)
    taken.clear()
    other = poisson_effects(panel_of(), Design("y"), replicates=False)
    assert other.detail["iterations"] == len(taken) >= 3
    assert taken[-1] < 1e-6 * taken[0]
