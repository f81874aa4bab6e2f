"""Omitted-variable sensitivity: published numbers of sensemakr, exact identities, searches, and populations with a known truth.

The darfur numbers are those documented by R sensemakr 0.1.6 (Cinelli & Hazlett 2020, section 5): estimate 0.09731582, error
0.02325654, 783 degrees of freedom. The partial R² of the benchmark "female" are read back from the published bound for one time
its strength; two and three times are then predictions.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import t as student

from evalkit.arrays.confounding import (
    Movement,
    benchmark_strength,
    e_value_of_ratio,
    robustness,
    robustness_value,
)
from evalkit.checks.collapsed import collapsed_regression
from evalkit.checks.e_value import e_value
from evalkit.checks.omitted_variables import OmittedVariables, omitted_variables
from evalkit.checks.oster import oster_bounds
from evalkit.design import Design
from evalkit.estimators.poisson import poisson_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

DARFUR = (0.09731582, 0.02325654, 783.0)
PUBLISHED = {
    "r2_treatment": [0.00916428667504862, 0.0183285733500972, 0.0274928600251459],
    "r2_outcome": [0.12464092303637, 0.249324064199975, 0.374050471038094],
    "estimate": [0.0752202698486415, 0.0529151689180575, 0.0303960178770157],
    "std_error": [0.0218733298036818, 0.0203500639944344, 0.0186700665753491],
    "t": [3.43890347394571, 2.60024582392121, 1.62806156873318],
    "conf_low": [0.0322829603180086, 0.0129680276030601, -0.00625329133645187],
    "conf_high": [0.118157579379274, 0.092862310233055, 0.0670453270904833],
}


def female() -> tuple[float, float]:
    r_d = PUBLISHED["r2_treatment"][0] / (1 + PUBLISHED["r2_treatment"][0])
    gap = lambda r: benchmark_strength(r_d, r, 1, 1)[1] - PUBLISHED["r2_outcome"][0]  # noqa: E731
    return r_d, float(brentq(gap, 1e-6, 0.5, xtol=1e-15))


def test_published_robustness_values() -> None:
    found = omitted_variables(*DARFUR)
    assert found.partial_r2 == pytest.approx(0.02187309, abs=5e-9)
    assert found.rv == pytest.approx(0.1387764, abs=1e-7)
    assert found.rv_level == pytest.approx(0.07625797, abs=2e-8)


def test_published_bounds() -> None:
    found = omitted_variables(*DARFUR, benchmarks={"female": female()})
    for column in ("r2_treatment", "r2_outcome", "estimate", "std_error", "t"):
        np.testing.assert_allclose(found.bounds[column], PUBLISHED[column], rtol=1e-9, err_msg=column)
    # their intervals take t(783), ours t(782): the omitted variable costs a degree of freedom
    for side, sign in (("conf_low", -1), ("conf_high", 1)):
        estimate, error = np.array(PUBLISHED["estimate"]), np.array(PUBLISHED["std_error"])
        np.testing.assert_allclose(
            estimate + sign * student.isf(0.025, 783) * error, PUBLISHED[side], rtol=1e-8
        )
        ours = estimate + sign * student.isf(0.025, 782) * error
        np.testing.assert_allclose(found.bounds[side], ours, rtol=1e-8)
    assert (found.check.verdict, found.check.reason) == ("pass", "stronger_than_covariates_needed")
    turned = omitted_variables(-DARFUR[0], *DARFUR[1:], benchmarks={"female": female()})
    np.testing.assert_allclose(turned.bounds["estimate"], -np.array(PUBLISHED["estimate"]), rtol=1e-9)
    np.testing.assert_allclose(turned.bounds["conf_low"], -found.bounds["conf_high"], rtol=1e-12)


def test_published_identities() -> None:
    """At the robustness value the bias is the estimate; at its 5 % version t is the critical value with df − 1."""
    found = omitted_variables(*DARFUR)
    assert found.adjusted(found.rv, found.rv)["estimate"] == pytest.approx(0, abs=1e-15)
    assert found.adjusted(found.rv_level, found.rv_level)["t"] == pytest.approx(student.isf(0.025, 782))
    assert found.adjusted(found.partial_r2, 1.0)["estimate"] == pytest.approx(0, abs=1e-15)
    half = omitted_variables(*DARFUR, q=0.5)
    assert half.adjusted(half.rv, half.rv)["estimate"] == pytest.approx(DARFUR[0] / 2)
    grid = found.contour(points=11)
    assert grid.iloc[0, 0] == DARFUR[0]
    assert grid.loc[0.2, 0.4] == pytest.approx(found.adjusted(0.4, 0.2)["estimate"])


# -- the algebra is exact ------------------------------------------------------------------------------------


@cache
def simulated() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    n = 80
    x = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    z = rng.normal(size=n) + 0.3 * x[:, 1]
    d = 0.5 * z + 0.4 * x[:, 2] + rng.normal(size=n)
    y = 1.0 * d + 0.8 * z + x @ [0.2, 0.5, -0.5] + rng.normal(size=n)
    return y, d, x, z


def partial(y: np.ndarray, of: np.ndarray, given: np.ndarray) -> float:
    """Partial R² with statsmodels: 1 − SSR(with) / SSR(without)."""
    return float(1 - sm.OLS(y, np.column_stack([given, of])).fit().ssr / sm.OLS(y, given).fit().ssr)


def test_adding_the_omitted_variable_gives_the_adjusted_numbers() -> None:
    y, d, x, z = simulated()
    short, long = sm.OLS(y, np.column_stack([d, x])).fit(), sm.OLS(y, np.column_stack([d, x, z])).fit()
    r_d, r_y = partial(d, z, x), partial(y, z, np.column_stack([d, x]))
    found = omitted_variables(short.params[0], short.bse[0], short.df_resid)
    told = found.adjusted(r_d, r_y)
    np.testing.assert_allclose(told["estimate"], long.params[0], rtol=1e-10)
    np.testing.assert_allclose(told["std_error"], long.bse[0], rtol=1e-10)
    np.testing.assert_allclose([told["conf_low"], told["conf_high"]], long.conf_int()[0], rtol=1e-10)
    np.testing.assert_allclose(found.partial_r2, partial(y, d, x), rtol=1e-10)


def test_a_benchmark_once_as_strong_is_that_variable_seen_as_omitted() -> None:
    """Cinelli & Hazlett (2020), bound with k = 1: a confounder uncorrelated with the covariate, just as strong."""
    rng = np.random.default_rng(9)
    n = 4000
    q, _ = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, 4))]))
    w, z, e, u = (q[:, k] * np.sqrt(n) for k in range(1, 5))
    d = 0.5 * w + 0.5 * z + e
    y = d + 0.7 * w + 0.7 * z + u
    one = np.ones((n, 1))
    given = partial(d, w, one), partial(y, w, np.column_stack([one, d]))
    bound = benchmark_strength(*given, 1, 1)
    true = partial(d, z, np.column_stack([one, w])), partial(y, z, np.column_stack([one, d, w]))
    np.testing.assert_allclose(bound[0], true[0], rtol=1e-9)
    assert bound[1] >= true[1] - 1e-12  # a bound on the outcome side


@pytest.mark.parametrize(
    ("t", "dof", "ratio", "own_dof"),
    [
        (4.18, 783, 1.0, 783),
        (3.0, 20, 1.0, 20),
        (12.0, 5, 1.0, 5),  # the worst case is inside: f_q f* > 1
        (4.5, 120, 1.6, 13),  # clusters
        (9.0, 6, 0.7, 13),
        (30.0, 8, 2.0, 3),
    ],
)
def test_the_robustness_value_of_significance_by_search(
    t: float, dof: float, ratio: float, own_dof: float
) -> None:
    """The least r such that some R_Y², R_D² ≤ r bring the interval to zero, by search over both."""
    found = omitted_variables(t, 1.0, dof, clustered=(ratio, own_dof))
    critical = float(student.isf(0.025, own_dof - 1))

    def reach(r: float) -> float:
        def limit(r_y: float) -> float:
            away = np.sqrt(dof * r_y * r / (1 - r))
            return float(t - away - critical * ratio * np.sqrt((1 - r_y) / (1 - r) * dof / (dof - 1)))

        inside = minimize_scalar(limit, bounds=(0.0, r), method="bounded", options={"xatol": 1e-12})
        return min(limit(0.0), limit(r), float(inside.fun))

    assert reach(1e-9) > 0
    by_search = brentq(reach, 1e-9, 1 - 1e-9, xtol=1e-13)
    assert found.rv_level == pytest.approx(by_search, abs=1e-7)


def test_the_stable_form() -> None:
    for f in (1e-6, 0.1, 1.0, 50.0):
        assert robustness(f) == pytest.approx((np.sqrt(f**4 + 4 * f**2) - f**2) / 2, rel=1e-4)
    assert 0.0 < robustness(1e-12) < 1.1e-12
    assert robustness(1e9) == pytest.approx(1.0)
    assert robustness_value(0.3, 0.4) == 0.0


# -- the collapsed regression ----------------------------------------------------------------------------------


@cache
def panel(with_effect: bool = True) -> Panel:
    rng = np.random.default_rng(21)
    n, years = 60, np.arange(2011, 2018)
    region = np.arange(n) % 12
    treated = region < 5
    size = rng.normal(size=n) + 0.6 * treated
    kind = np.array(["가", "나", "다"])[rng.integers(0, 3, n)]
    trend = 0.4 * size + 0.3 * (kind == "나")
    y = rng.normal(size=(n, 1)) + trend[:, None] * (years >= 2015) + rng.normal(size=(n, 7)) * 0.8
    y = y + 1.2 * with_effect * treated[:, None] * (years >= 2015)
    return Panel(
        np.arange(n),
        years,
        {"y": y, "sales": rng.normal(size=(n, 7)) + size[:, None], "count": np.round(np.exp(1 + 0.3 * y))},
        {"adoption": np.where(treated, 2015.0, np.inf), "region": region, "size": size, "kind": kind},
    )


def test_the_collapsed_regression_is_the_two_way_coefficient() -> None:
    found = collapsed_regression(panel(), Design("y", cluster="region"))
    two_way = two_way_effects(panel(), Design("y", cluster="region"))
    assert found.estimate == pytest.approx(float(two_way.values[0]), rel=1e-10)
    assert found.short == pytest.approx(found.estimate)
    assert (found.n_units, found.n_treated, found.dof, found.cluster_dof) == (60, 25, 58.0, 11.0)


def test_the_collapsed_regression_is_ordinary_least_squares() -> None:
    own = panel()
    design = Design("y", cluster="region", covariates=("size", "kind", "sales"))
    found = collapsed_regression(own, design)
    y = own.values("y")[:, 4:].mean(axis=1) - own.values("y")[:, :4].mean(axis=1)
    d = np.isfinite(own.constant("adoption")).astype(float)
    kind = np.column_stack([own.constant("kind") == k for k in ("나", "다")]).astype(float)
    size, sales = own.constant("size"), own.values("sales")[:, :4].mean(axis=1)
    x = np.column_stack([np.ones(60), size, kind, sales])
    plain = sm.OLS(y, np.column_stack([d, x])).fit()
    robust = sm.OLS(y, np.column_stack([d, x])).fit(
        cov_type="cluster", cov_kwds={"groups": own.constant("region")}
    )
    np.testing.assert_allclose(
        [found.estimate, found.std_error, found.dof, found.r2], [plain.params[0], plain.bse[0], 54.0, plain.rsquared]
    )  # fmt: skip
    np.testing.assert_allclose(found.cluster_error, robust.bse[0], rtol=1e-10)
    given = np.column_stack([np.ones(60), size, sales])
    assert found.r2_treatment["kind"] == pytest.approx(partial(d, kind, given))
    assert found.r2_outcome["kind"] == pytest.approx(partial(y, kind, np.column_stack([given, d])))
    assert found.r2_treatment["size"] == pytest.approx(
        partial(d, size, np.column_stack([np.ones(60), kind, sales]))
    )
    bare = sm.OLS(y, np.column_stack([d, np.ones(60)])).fit()
    np.testing.assert_allclose([found.short, found.r2_short], [bare.params[0], bare.rsquared])
    np.testing.assert_allclose(
        [found.var_outcome, found.var_treatment, found.var_left],
        [y.var(), d.var(), sm.OLS(d, x).fit().ssr / 60],
    )


def test_a_collapsed_regression_brings_its_covariates_as_benchmarks() -> None:
    design = Design("y", cluster="region", covariates=("size", "kind"))
    own = collapsed_regression(panel(), design)
    found = omitted_variables(own)
    assert list(found.bounds.index.get_level_values(0).unique()) == ["size", "kind"]
    assert (found.inference_error, found.inference_dof) == (own.cluster_error, 11.0)
    plain = omitted_variables(own.estimate, own.std_error, own.dof)
    assert found.rv == plain.rv
    assert (
        found.rv_level
        == omitted_variables(
            own.estimate, own.std_error, own.dof, clustered=(own.cluster_error, 11.0)
        ).rv_level
    )


def test_a_two_way_estimate_brings_its_classical_error() -> None:
    """Both are facts of the regression: rv from the classical error, rv_level from the clustered one."""
    estimate = two_way_effects(panel(), Design("y", cluster="region"))
    found = omitted_variables(estimate)
    own = panel()
    y, years = own.values("y"), own.periods
    d = (years >= own.constant("adoption")[:, None]).astype(float)
    dummies = np.column_stack(
        [np.kron(np.eye(60), np.ones((7, 1))), np.kron(np.ones((60, 1)), np.eye(7))[:, 1:]]
    )
    dense = sm.OLS(y.ravel(), np.column_stack([d.ravel(), dummies])).fit()
    np.testing.assert_allclose([found.std_error, found.dof], [dense.bse[0], dense.df_resid], rtol=1e-8)
    np.testing.assert_allclose(found.partial_r2, partial(y.ravel(), d.ravel(), dummies), rtol=1e-8)
    assert found.inference_dof == 11
    assert found.inference_error == float(estimate.std_errors[0])
    alone = omitted_variables(estimate.select([0]))
    assert found.rv == alone.rv  # selection of the only term leaves it as fitted
    averaged = omitted_variables(estimate.combine([[1.0]], ["mean"]))
    assert averaged.dof == 11  # no regression behind it: t and its degrees of freedom as they are


def test_verdicts() -> None:
    strong = {"지역 규모": (0.5, 0.5)}
    assert omitted_variables(0.1, 1.0, 50, benchmarks=strong).check.reason == "not_significant"
    assert omitted_variables(3.0, 1.0, 50).check.reason == "no_benchmark"
    told = omitted_variables(3.0, 1.0, 50, benchmarks=strong).check
    assert (told.verdict, told.reason) == ("warn", "as_strong_as_a_covariate_overturns")
    assert told.detail["overturned_by"] == ["지역 규모"]
    # a covariate that tells so much of the treatment that its equal cannot exist beside it
    impossible = omitted_variables(3.0, 1.0, 50, benchmarks={"x": (0.6, 0.1)})
    assert impossible.bounds.isna().all(axis=None)
    assert impossible.check.verdict == "warn"
    assert isinstance(impossible, OmittedVariables)


# -- E-values ----------------------------------------------------------------------------------------------------


def test_published_e_values() -> None:
    """VanderWeele & Ding (2017): 3.9 (1.8–8.7) gives 7.26 and 3.0; 0.80 (0.71–0.91) gives 1.81 and 1.43."""
    first = e_value(3.9, 1.8, 8.7)
    assert (round(first.point, 2), round(first.limit, 2)) == (7.26, 3.0)
    second = e_value(0.80, 0.71, 0.91)
    assert (round(second.point, 2), round(second.limit, 2)) == (1.81, 1.43)
    assert e_value(1 / 0.80).point == pytest.approx(second.point)
    assert e_value(1.2, 0.9, 1.6).limit == 1.0


@pytest.mark.parametrize("ratio", [1.05, 2.0, 3.9, 12.0])
def test_the_e_value_by_search(ratio: float) -> None:
    """The least strength with which a confounder's bias factor ab/(a + b − 1), a = b, reaches the ratio."""
    by_search = brentq(lambda a: a * a / (2 * a - 1) - ratio, 1.0, 1e4)
    assert e_value_of_ratio(ratio) == pytest.approx(by_search, rel=1e-9)


def test_e_values_of_estimates() -> None:
    counted = poisson_effects(panel(), Design("count", cluster="region", link="ratios")).select([0])
    found, row = e_value(counted, scale="log"), counted.table().iloc[0]
    np.testing.assert_allclose(
        [found.ratio, found.low, found.high], np.exp(row[["estimate", "conf_low", "conf_high"]].astype(float))
    )
    assert found.limit == pytest.approx(e_value_of_ratio(found.low))
    smd = e_value(0.5, 0.5 - 1.959963984540054 * 0.25, 0.5 + 1.959963984540054 * 0.25, scale="smd")
    np.testing.assert_allclose(
        [smd.ratio, smd.low, smd.high], np.exp([0.455, 0.455 - 0.445, 0.455 + 0.445]), rtol=1e-12
    )
    assert e_value(2.0, 1.5, 3.0, null=1.2).point == pytest.approx(e_value_of_ratio(2 / 1.2))


# -- proportional selection -----------------------------------------------------------------------------------------


def population(
    a: float, b: float, s1: float, s2: float, beta: float, noise: float, seed: int = 3
) -> tuple[Movement, float, float]:
    """Exact sample moments of Y = βX + w₁ + w₂ + u with orthogonal w₁, w₂, u; returns movement, δ and R² with everything."""
    rng = np.random.default_rng(seed)
    n = 500
    q, _ = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, 4))]))
    w1, w2, e, u = (q[:, k] * np.sqrt(n) for k in range(1, 5))
    w1, w2 = s1 * w1, s2 * w2
    x = a * w1 / s1 + b * w2 / s2 + e
    y = beta * x + w1 + w2 + noise * u
    one = np.ones(n)
    short = sm.OLS(y, np.column_stack([x, one])).fit()
    long = sm.OLS(y, np.column_stack([x, one, w1])).fit()
    full = sm.OLS(y, np.column_stack([x, one, w1, w2])).fit()
    left = sm.OLS(x, np.column_stack([one, w1])).fit().ssr / n
    movement = Movement(
        short.params[0], short.rsquared, long.params[0], long.rsquared, y.var(), x.var(), left
    )
    delta = (np.cov(x, w2)[0, 1] / w2.var()) / (np.cov(x, w1)[0, 1] / w1.var())
    return movement, float(delta), float(full.rsquared)


@pytest.mark.parametrize(
    ("a", "b", "s1", "s2", "beta"),
    [
        (0.6, 0.3, 1.0, 0.8, 0.0),
        (0.6, 0.3, 1.0, 0.8, 0.7),
        (0.5, 0.5, 1.0, 1.0, -0.4),
        (0.7, -0.2, 1.2, 0.9, 0.3),
    ],
)
def test_the_truth_is_a_root_and_delta_is_the_true_selection(
    a: float, b: float, s1: float, s2: float, beta: float
) -> None:
    movement, delta, top = population(a, b, s1, s2, beta, 0.7)
    found = oster_bounds(movement, r_max=top, delta=delta, target=beta)
    assert found.delta == pytest.approx(delta, rel=1e-8)
    assert np.min(np.abs(np.array(found.beta_roots) - beta)) < 1e-7
    assert found.beta == pytest.approx(beta, abs=1e-7)  # and it is the root that is chosen


def test_every_root_satisfies_the_definition() -> None:
    """A second derivation: the definition of δ, not the expanded cubic."""
    movement, _, top = population(0.6, 0.3, 1.0, 0.8, 0.5, 0.7)
    for delta in (-0.5, 0.3, 0.625, 0.9, 1.0, 1.2):
        found = oster_bounds(movement, r_max=top, delta=delta)
        assert found.beta_roots
        for root in found.beta_roots:
            assert movement.delta(root, top) == pytest.approx(delta, rel=1e-6)
    assert len(oster_bounds(movement, r_max=top, delta=1.0).beta_roots) <= 2  # a quadratic
    # beyond the largest δ that any bias can have there is no root, and none is made up
    reached = max(movement.delta(beta, top) for beta in np.linspace(-30, 30, 100_001))
    none = oster_bounds(movement, r_max=top, delta=reached + 0.5)
    assert none.beta_roots == ()
    assert np.isnan(none.beta)
    assert (none.check.verdict, none.check.reason) == ("unknown", "no_solution")


def test_without_selection_nothing_moves_and_the_approximation_is_near_for_little() -> None:
    movement, _, top = population(0.6, 0.3, 1.0, 0.8, 0.5, 0.7)
    assert oster_bounds(movement, r_max=top, delta=0.0).beta == pytest.approx(movement.long)
    small = oster_bounds(movement, r_max=movement.r2_long + 1e-5, delta=1.0)
    assert small.beta == pytest.approx(small.beta_approximate, rel=1e-3)
    by_hand = movement.long - (movement.short - movement.long) * 1e-5 / (movement.r2_long - movement.r2_short)
    assert small.beta_approximate == pytest.approx(by_hand, rel=1e-9)


def test_oster_on_the_collapsed_regression() -> None:
    own = collapsed_regression(panel(), Design("y", cluster="region", covariates=("size", "kind")))
    found = oster_bounds(own)
    assert found.r_max == pytest.approx(min(1.0, 1.3 * own.r2))
    assert (found.long, found.short) == (own.estimate, own.short)
    assert found.check.detail["secondary"] is True
    assert found.check.verdict == "pass"
    assert abs(found.beta) > 0.5
