"""The closed forms of the sensitivity analysis against slower ways to the same numbers.

* accept or reject: a second implementation of Andrews, Roth & Pakes by linear programs (scipy's HiGHS) with V_lo and V_up by
  bisection on the program's value, at 41 values of θ in 14 configurations, three kinds of first stage;
* combinations: every basis of the cone; counts proved in `honest_rays`;
* identified sets: maximum and minimum of ℓ'δ by linear program;
* fixed lengths: general minimisers from several starts;
* critical values: closed forms where there are, draws where not;
* diff-diff, live: equal for fixed lengths and identified sets; its relative-magnitudes interval is the identified set
  plus and minus 1.96 standard errors ("linear bound"), which ignores that the largest change before the base is estimated.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from event_studies import event_study, random_inputs
from scipy import stats
from scipy.optimize import linprog, minimize

from evalkit.arrays.honest_critical import least_favourable
from evalkit.arrays.honest_flci import fixed_length, folded_quantile, frontier
from evalkit.arrays.honest_rays import extreme_rays
from evalkit.arrays.honest_restrictions import Combinations, combinations, identified_set
from evalkit.arrays.honest_sets import Problem
from evalkit.arrays.honest_tests import Moments, rejected
from evalkit.checks.sensitivity import sensitivity

# -- restrictions written out, period by period ------------------------------------------------------------------------


def restrictions(
    kind: str, before: int, after: int, bound: float, bias: str | None, trend: str | None, *, earlier: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(A, d) of every component over (δ_−K, …, δ_−1, δ_1, …, δ_S), δ_0 = 0; with `earlier`, those before the base too."""
    times = [*range(-before, 0), *range(1, after + 1)]
    at = {t: i for i, t in enumerate(times)}

    def unit(t: int) -> np.ndarray:
        row = np.zeros(before + after)
        if t:
            row[at[t]] = 1
        return row

    def step(t: int) -> np.ndarray:
        return unit(t) - unit(t - 1)

    def bend(t: int) -> np.ndarray:
        return unit(t) - 2 * unit(t - 1) + unit(t - 2)

    change = step if kind == "relative_magnitudes" else bend
    first = 1 - before if kind == "relative_magnitudes" else 2 - before
    shape = []
    for t in range(1, after + 1):
        if bias:
            shape.append(unit(t) * (-1 if bias == "positive" else 1))
        if trend:
            shape.append(step(t) * (-1 if trend == "increasing" else 1))
    out = []
    largest = [None] if kind == "smoothness" else [s * change(t) for s in (1, -1) for t in range(first, 1)]
    for most in largest:
        rows, limits = [], []
        for t in range(first if earlier else 1, after + 1):
            for sign in (1, -1):
                over = np.zeros(before + after) if most is None else most * (1.0 if t < 1 else bound)
                rows.append(sign * change(t) - over)
                limits.append(bound if most is None else 0.0)
        out.append((np.array(rows + shape), np.array(limits + [0.0] * len(shape))))
    return out


# -- accept or reject by linear programs -------------------------------------------------------------------------------


def program(objective: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray]:
    """max objective'γ subject to γ >= 0, W'γ = (1, 0, …)."""
    found = linprog(-objective, A_eq=w.T, b_eq=np.eye(w.shape[1])[0], method="highs-ds")
    assert found.status == 0
    return -found.fun, found.x


def truncation(eta: float, gamma: np.ndarray, y: np.ndarray, sigma: np.ndarray, w: np.ndarray) -> list[float]:
    """V_lo and V_up: how far the statistic could move, with the rest of Y held, before another vertex takes over."""
    tilt = sigma @ gamma / (gamma @ sigma @ gamma)
    rest = y - tilt * (gamma @ y)
    out = []
    for far in (min(-100.0, eta - 50), max(100.0, eta + 50)):
        value, vertex = program(rest + tilt * far, w)
        point = far
        for _ in range(60):  # the program is convex in the point and nowhere below it: cut with its tangents
            if value - point <= 1e-9 * max(1.0, abs(point)):
                break
            point = float(vertex @ rest / (1 - vertex @ tilt))
            value, vertex = program(rest + tilt * point, w)
        out.append(point if abs(point - far) > 1e-9 else np.sign(far) * np.inf)
    return out


def rejects_by_programs(
    theta: float,
    a: np.ndarray,
    d: np.ndarray,
    inputs: tuple[np.ndarray, np.ndarray, int],
    weights: np.ndarray,
    stage: str,
    critical: float,
    first: tuple[np.ndarray, float] | None,
) -> bool:
    beta, covariance, before = inputs
    alpha, kappa = 0.05, 0.005
    basis = np.linalg.svd(weights[None, :])[2][1:].T  # any basis of the effects that leave the target alone
    tau = weights / (weights @ weights) * theta
    y = a @ beta - d - a[:, before:] @ tau
    sigma = a @ covariance @ a.T
    w = np.column_stack([np.sqrt(np.diag(sigma)), a[:, before:] @ basis])
    eta, gamma = program(y, w)
    size = alpha if stage == "Conditional" else (alpha - kappa) / (1 - kappa)
    if stage == "C-LF" and eta > critical:
        return True
    variance = float(gamma @ sigma @ gamma)
    if first is not None:
        line, half = first
        gap = float(line @ beta) - theta
        if abs(gap) > half:
            return True
    if variance < 1e-18:
        return eta > 1e-9
    low, high = truncation(eta, gamma, y, sigma, w)
    if stage == "C-LF":
        high = min(high, critical)
    if first is not None:
        slope = float(line @ covariance @ a.T @ gamma) / variance
        ends = sorted(((half - gap) / slope + eta, (-half - gap) / slope + eta))
        low, high = max(low, ends[0]), min(high, ends[1])
    sd = np.sqrt(variance)
    cut = stats.truncnorm(low / sd, high / sd).ppf(1 - size)
    return bool(eta / sd > max(0.0, cut))


CONFIGURATIONS = [
    # kind, K, S, bound, bias, trend, target, first stage
    ("smoothness", 3, 2, 0.1, None, None, "average", "Conditional"),
    ("smoothness", 4, 4, 0.05, None, None, "average", "C-LF"),
    ("smoothness", 2, 3, 0.2, None, None, "first", "C-F"),
    ("smoothness", 3, 3, 0.1, "negative", None, "average", "C-F"),
    ("smoothness", 3, 4, 0.1, None, "increasing", "average", "C-LF"),
    ("relative_magnitudes", 3, 2, 1.0, None, None, "average", "Conditional"),
    ("relative_magnitudes", 4, 4, 0.5, None, None, "average", "C-LF"),
    ("relative_magnitudes", 2, 3, 1.5, None, None, "first", "C-LF"),
    ("relative_magnitudes", 1, 1, 1.0, None, None, "average", "C-LF"),
    ("relative_magnitudes", 3, 3, 1.0, "positive", None, "average", "C-LF"),
    ("relative_magnitudes", 3, 4, 0.7, None, "decreasing", "first", "Conditional"),
    ("smoothness_relative", 3, 2, 1.0, None, None, "average", "C-LF"),
    ("smoothness_relative", 4, 3, 0.5, None, None, "average", "Conditional"),
    ("smoothness_relative", 3, 3, 1.0, "negative", None, "first", "C-LF"),
]


def ours(configuration: int, seed: int) -> tuple[Problem, Combinations, tuple, np.ndarray, float]:
    kind, before, after, bound, bias, trend, target, stage = CONFIGURATIONS[configuration]
    inputs = random_inputs(np.random.default_rng([seed, configuration]), before, after)
    weights = np.full(after, 1 / after) if target == "average" else np.eye(after)[0]
    bound = bound * (0.1 if kind == "smoothness" else 1.0)
    found = combinations(kind, before, weights, bias=bias, trend=trend)  # type: ignore[arg-type]
    path = frontier(inputs[1], before, weights)
    return Problem(found, inputs[0], inputs[1], stage, 0.95, path, weights), found, inputs, weights, bound


@pytest.mark.parametrize("configuration", range(len(CONFIGURATIONS)))
def test_decisions_agree_with_linear_programs(configuration: int) -> None:
    kind, before, after, _, bias, trend, _, stage = CONFIGURATIONS[configuration]
    problem, _, inputs, weights, bound = ours(configuration, 11)
    one = np.array([bound])
    critical = problem.moments(one).critical
    first = None
    if stage == "C-F":
        best = fixed_length(problem.path, weights, one, 0.995)  # type: ignore[arg-type]
        first = (best.weights[0], float(best.half_length[0]))
    pieces = problem.sets(one)[0]
    middle, width = (pieces[0][0] + pieces[-1][1]) / 2, pieces[-1][1] - pieces[0][0]
    thetas = middle + width * np.linspace(-1.1, 1.1, 41)
    written = restrictions(kind, before, after, bound, bias, trend, earlier=False)
    assert len(written) == problem.components
    decided = []
    for theta in thetas:
        slow = all(
            rejects_by_programs(theta, a, d, inputs, weights, stage, float(critical[i]), first)
            for i, (a, d) in enumerate(written)
        )
        assert bool(problem.excludes(one, float(theta))[0]) == slow
        decided.append(slow)
        inside = any(low <= theta <= high for low, high in pieces)
        assert inside != slow
    assert 5 < sum(decided) < 36


def test_decisions_agree_with_a_search_along_the_statistic() -> None:
    """Any combinations: how far the statistic can move before another one overtakes it, by bisection on the maximum.

    Here the maximiser is often the least variable one, so that V_up is finite and decides.
    """
    rng = np.random.default_rng(31)
    bounded_above = decided = 0
    for trial in range(400):
        loading = rng.normal(size=(4, 5)) * np.exp(rng.normal(size=(4, 1)))
        level = loading @ rng.normal(size=5) + rng.normal(size=4)
        critical, half = [(np.inf, np.inf), (3.0, np.inf), (1.0, np.inf), (np.inf, 0.5)][trial % 4]
        weights, estimate = rng.normal(size=5), 0.3 * rng.normal()
        flat = Moments(
            level[None],
            np.zeros((1, 4)),
            loading[None],
            np.array([critical]),
            np.array([estimate]),
            np.array([half]),
            weights[None],
        )
        kappa = 0.0 if np.isinf(min(critical, half)) else 0.05
        mine = bool(rejected(flat, np.zeros((1, 1)), 0.6, kappa)[0, 0])
        best = int(level.argmax())
        eta, line = level[best], loading[best]
        tilt = loading @ line / (line @ line)
        rest = level - tilt * eta

        move = float(weights @ line / (line @ line))

        def leads(
            x: float,
            rest: np.ndarray = rest,
            tilt: np.ndarray = tilt,
            best: int = best,
            first: tuple[float, float, float, float] = (estimate, move, eta, half),
        ) -> bool:
            values = rest + tilt * x
            within = abs(first[0] + first[1] * (x - first[2])) <= first[3]
            return bool(within and values[best] >= values.max() - 1e-12)

        ends = []
        for far in (-1e6, 1e6):
            inner, outer = eta, far
            if leads(far):
                ends.append(np.sign(far) * np.inf)
                continue
            for _ in range(120):
                middle = (inner + outer) / 2
                inner, outer = (middle, outer) if leads(middle) else (inner, middle)
            ends.append(inner)
        bounded_above += bool(np.isfinite(ends[1]))
        sd = float(np.sqrt(line @ line))
        size = (0.4 - kappa) / (1 - kappa)
        low, high = ends[0], min(ends[1], critical)
        if eta > critical or abs(estimate) > half:
            expected = True
        else:
            expected = eta > 0 and stats.truncnorm(low / sd, high / sd).sf(eta / sd) < size
        decided += mine
        assert mine == expected
    assert bounded_above > 40
    assert 40 < decided < 360


# -- combinations ------------------------------------------------------------------------------------------------------


def rays_by_bases(equations: np.ndarray) -> np.ndarray:
    """Every basis of {γ >= 0, X'γ = 0, 1'γ = 1} with a solution that is not negative, scaled to largest entry 1."""
    m, q = equations.shape
    system = np.column_stack([equations, np.ones(m)]).T
    found = set()
    for chosen in itertools.combinations(range(m), q + 1):
        square = system[:, chosen]
        if abs(np.linalg.det(square)) < 1e-10:
            continue
        part = np.linalg.solve(square, np.eye(q + 1)[-1])
        if (part > -1e-12).all():
            gamma = np.zeros(m)
            gamma[list(chosen)] = np.maximum(part, 0)
            found.add(tuple(np.round(gamma / gamma.max(), 9)))
    return np.array(sorted(found))


@pytest.mark.parametrize("shape", [{}, {"bias": "negative"}, {"trend": "increasing"}])
@pytest.mark.parametrize("kind", ["smoothness", "relative_magnitudes"])
@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_rays_are_all_bases(kind: str, after: int, shape: dict[str, str]) -> None:
    for weights in (np.full(after, 1 / after), np.eye(after)[0], np.linspace(1, 2, after)):
        a, _ = restrictions(kind, 2, after, 1.0, shape.get("bias"), shape.get("trend"), earlier=False)[0]
        basis = np.linalg.svd(weights[None, :])[2][1:].T
        x = np.where(np.abs(a[:, 2:] @ basis) < 1e-14, 0.0, a[:, 2:] @ basis)
        rays = extreme_rays(x)
        slow = rays_by_bases(x)
        assert len(rays) == len(slow)
        np.testing.assert_allclose(np.array(sorted(map(tuple, np.round(rays, 9)))), slow, atol=2e-9)
        if not shape:
            assert len(rays) == after + (2 if np.count_nonzero(weights) > 1 else 1)


# -- identified sets ---------------------------------------------------------------------------------------------------


def identified_by_programs(
    written: list[tuple[np.ndarray, np.ndarray]], beta: np.ndarray, before: int, weights: np.ndarray
) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    effect = float(weights @ beta[before:])
    for a, d in written:
        ends = []
        for sign in (1, -1):
            found = linprog(
                sign * weights,
                A_ub=a[:, before:],
                b_ub=d - a[:, :before] @ beta[:before],
                bounds=[(None, None)] * len(weights),
                method="highs",
            )
            if found.status == 2:
                break
            assert found.status in (0, 3)
            ends.append(effect - sign * found.fun if found.status == 0 else sign * np.inf)
        else:
            low, high = min(low, ends[1]), max(high, ends[0])
    return low, high


@pytest.mark.parametrize("configuration", range(len(CONFIGURATIONS)))
def test_identified_sets_by_linear_programs(configuration: int) -> None:
    kind, before, after, _, bias, trend, *_ = CONFIGURATIONS[configuration]
    for seed in range(8):
        _, found, (beta, _, _), weights, bound = ours(configuration, 100 + seed)
        pieces = identified_set(found, beta, bound)
        # the restrictions before the base single out the largest change; for smoothness they may fail, and do not matter
        written = restrictions(kind, before, after, bound, bias, trend, earlier=kind != "smoothness")
        low, high = identified_by_programs(written, beta, before, weights)
        if not np.isfinite(low) and low > high:
            assert not pieces
            continue
        assert pieces[0][0] == pytest.approx(low, abs=1e-9)
        assert pieces[-1][1] == pytest.approx(high, abs=1e-9)


def test_identified_sets_in_closed_form() -> None:
    """Methods 4.2: ℓ'β + (Σ s ℓ_s) β_−1 ± M Σ_j |Σ_{s>j} (s − j) ℓ_s|, and ℓ'β ± M̄ Σ_j |Σ_{s>=j} ℓ_s| max |Δβ|."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        before, after = rng.integers(1, 6, 2)
        beta = rng.normal(size=before + after)
        weights = rng.normal(size=after)
        steps = np.arange(1, after + 1)
        smooth = combinations("smoothness", int(before), weights)
        centre = weights @ beta[before:] + steps @ weights * beta[before - 1]
        half = 0.3 * sum(abs(np.maximum(steps - j, 0) @ weights) for j in range(after))
        assert identified_set(smooth, beta, 0.3)[0] == pytest.approx((centre - half, centre + half), abs=1e-9)
        relative = combinations("relative_magnitudes", int(before), weights)
        most = np.abs(np.diff(np.append(beta[:before], 0.0))).max()
        half = 0.7 * most * np.abs(np.cumsum(weights[::-1])).sum()
        expected = (weights @ beta[before:] - half, weights @ beta[before:] + half)
        assert identified_set(relative, beta, 0.7)[0] == pytest.approx(expected, abs=1e-9)


# -- fixed lengths -----------------------------------------------------------------------------------------------------


def worst_bias(line: np.ndarray, before: int, bound: float) -> float:
    """Largest line'δ − ℓ'δ_post over |second differences| <= bound, by linear program: unbounded unless exact for lines."""
    after = len(line) - before
    a, d = restrictions("smoothness", before, after, bound, None, None, earlier=True)[0]
    found = linprog(-line, A_ub=a, b_ub=d, bounds=[(None, None)] * len(line), method="highs")
    return np.inf if found.status != 0 else -found.fun


@pytest.mark.parametrize("seed", range(8))
def test_fixed_length_is_the_shortest(seed: int) -> None:
    rng = np.random.default_rng([7, seed])
    before, after = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    _, covariance, _ = random_inputs(rng, before, after)
    weights = np.full(after, 1 / after) if seed % 2 else np.eye(after)[-1]
    path = frontier(covariance, before, weights)
    bounds = np.array([0.0, 0.001, 0.005, 0.02, 0.1, 1.0])
    best = fixed_length(path, weights, bounds, 0.95)
    distance = np.arange(before, 0, -1)
    for i, bound in enumerate(bounds):
        line = best.weights[i]
        # exact for straight lines, and the bias and error that are claimed
        assert line[:before] @ distance == pytest.approx(np.arange(1, after + 1) @ weights, abs=1e-10)
        assert worst_bias(line, before, bound) == pytest.approx(best.worst_bias[i], abs=1e-8)
        assert np.sqrt(line @ covariance @ line) == pytest.approx(best.std_error[i], rel=1e-10)

        def half_length(y: np.ndarray, bound: float = bound) -> float:
            full = np.concatenate([[np.arange(1, after + 1) @ weights], y, [0.0, 0.0]])
            pre = np.array([full[k - 1] - 2 * full[k] + full[k + 1] for k in range(before, 0, -1)])
            whole = np.concatenate([pre, weights])
            sigma = np.sqrt(whole @ covariance @ whole)
            bias = bound * (path.fixed_bias + np.abs(y).sum())
            return float(sigma * folded_quantile(bias / sigma, 0.95))

        if before == 1:
            assert best.half_length[i] == pytest.approx(half_length(np.zeros(0)), rel=1e-12)
            continue
        starts = [np.zeros(before - 1), *rng.normal(size=(3, before - 1))]
        tried = [
            minimize(
                half_length,
                s,
                method="Nelder-Mead",
                options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 20000, "maxfev": 20000},
            )
            for s in starts
        ]
        least = min(t.fun for t in tried)
        assert best.half_length[i] <= least * (1 + 1e-9)
        assert best.half_length[i] == pytest.approx(least, rel=1e-5)


def test_lengths_grow_with_the_bound() -> None:
    rng = np.random.default_rng(12)
    for _ in range(20):
        before, after = int(rng.integers(1, 7)), int(rng.integers(1, 6))
        _, covariance, _ = random_inputs(rng, before, after)
        weights = rng.dirichlet(np.ones(after))
        half = fixed_length(
            frontier(covariance, before, weights), weights, np.linspace(0, 1, 40), 0.9
        ).half_length
        assert (np.diff(half) > 0).all()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.995])
def test_folded_normal_quantile(level: float) -> None:
    bias = np.array([0.0, 1e-8, 0.1, 1.0, 3.0, 30.0, 1e4])
    c = folded_quantile(bias, level)
    np.testing.assert_allclose(
        stats.norm.cdf(c - bias) - stats.norm.cdf(-c - bias), level, rtol=0, atol=2e-11
    )
    np.testing.assert_allclose(c[:6], np.sqrt(stats.ncx2.ppf(level, 1, bias[:6] ** 2)), rtol=2e-6)


# -- critical values ---------------------------------------------------------------------------------------------------


def test_least_favourable_values() -> None:
    kappa = 0.005
    rng = np.random.default_rng(3)
    # one combination, and one with its opposite: normal quantiles
    v = np.array([[[0.3, -0.4]], [[3.0, 4.0]]])
    np.testing.assert_allclose(
        least_favourable(v, kappa), stats.norm.ppf(1 - kappa) * np.array([0.5, 5.0]), rtol=1e-10
    )
    np.testing.assert_allclose(
        least_favourable(np.concatenate([v, -v], axis=1), kappa),
        stats.norm.ppf(1 - kappa / 2) * np.array([0.5, 5.0]),
        rtol=1e-10,
    )
    # two that are not correlated: P(max <= c) = Φ(c)²
    c = least_favourable(np.eye(2)[None], kappa)[0]
    assert c == pytest.approx(stats.norm.ppf(np.sqrt(1 - kappa)), rel=1e-6)
    # three: P(max <= c) = Φ(c)³, on the lattice
    c = least_favourable(np.eye(3)[None], kappa)[0]
    assert c == pytest.approx(stats.norm.ppf((1 - kappa) ** (1 / 3)), rel=1e-4)
    # correlated pairs by the bivariate normal distribution
    for rho in (-0.9, -0.3, 0.5, 0.95):
        c = least_favourable(np.array([[[1.0, 0.0], [rho, np.sqrt(1 - rho**2)]]]), kappa)[0]
        law = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
        assert 1 - law.cdf([c, c]) == pytest.approx(kappa, rel=2e-5)
    # whole problems by draws
    draws = rng.standard_normal((400_000, 8))
    for kind in ("relative_magnitudes", "smoothness_relative"):
        for bias in (None, "negative"):
            _, covariance, _ = random_inputs(rng, 4, 4)
            found = combinations(kind, 4, np.full(4, 0.25), bias=bias)  # type: ignore[arg-type]
            problem = Problem(found, np.zeros(8), covariance, "C-LF", 0.95)
            m = problem.moments(np.array([0.5, 1.0]))
            for i in range(0, len(m.level), 5):
                beyond = ((draws @ m.loading[i].T).max(axis=1) > m.critical[i]).mean()
                assert beyond == pytest.approx(kappa, abs=4.5 * np.sqrt(kappa / len(draws)))


def test_opposite_components_share_their_critical_value() -> None:
    _, covariance, _ = random_inputs(np.random.default_rng(8), 3, 3)
    found = combinations("relative_magnitudes", 3, np.full(3, 1 / 3))
    m = Problem(found, np.zeros(6), covariance, "C-LF", 0.95).moments(np.array([0.5, 2.0]))
    np.testing.assert_allclose(m.critical, least_favourable(m.loading, 0.005), rtol=1e-6)


# -- diff-diff ---------------------------------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_diff_diff() -> None:
    diff_diff = pytest.importorskip("diff_diff")
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        [(i, t, int(i < 30)) for i in range(80) for t in range(9)], columns=["unit", "time", "treated"]
    )
    table["y"] = (
        rng.normal(size=len(table)) + 0.1 * table.treated * table.time + table.treated * (table.time > 4)
    )
    fit = diff_diff.MultiPeriodDiD(cluster="unit").fit(
        table,
        outcome="y",
        treatment="treated",
        time="time",
        post_periods=[5, 6, 7, 8],
        reference_period=4,
        unit="unit",
    )
    periods = [0, 1, 2, 3, 5, 6, 7, 8]
    beta = np.array([fit.period_effects[p].effect for p in periods])
    rows = [fit.interaction_indices[p] for p in periods]
    covariance = np.asarray(fit.vcov)[np.ix_(rows, rows)]
    event = event_study(beta, (covariance + covariance.T) / 2, 4)
    smooth = sensitivity(event, restriction="smoothness", bounds=[0.0, 0.05, 0.2])
    for bound, found in zip(smooth.bounds, smooth.sets, strict=True):
        theirs = diff_diff.HonestDiD(method="smoothness", M=bound).fit(fit)
        assert (found.low, found.high) == pytest.approx((theirs.ci_lb, theirs.ci_ub), abs=2e-5)
    relative = sensitivity(event, bounds=[0.5, 1.0])
    for bound, found, pieces in zip(relative.bounds, relative.sets, relative.identified, strict=True):
        theirs = diff_diff.HonestDiD(method="relative_magnitude", M=bound).fit(fit)
        assert pieces[0] == pytest.approx((theirs.lb, theirs.ub), abs=1e-9)
        error = relative.original.length / (2 * stats.norm.ppf(0.975))
        linear = (theirs.lb - stats.norm.ppf(0.975) * error, theirs.ub + stats.norm.ppf(0.975) * error)
        assert (theirs.ci_lb, theirs.ci_ub) == pytest.approx(linear, abs=1e-6)
        assert found.low < theirs.ci_lb
        assert found.high > theirs.ci_ub
