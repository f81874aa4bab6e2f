"""Spatial-correlation principal components against the authors' Stata program, Monte Carlo, Student's t and dense matrices.

The Stata numbers: github.com/spatial-spur/scpcR (run_scpc.log, stata_scpc.csv; Stata 18, scpc of 2025-04, options avc(0.03) latlong cvs)
on 500 simulated rows that R makes with set.seed(123); the generator of R is rewritten here, so no data are carried. That program
read latitude and longitude in the order of the columns of the file, which are swapped (mended by its authors since); the test swaps
them too. Its critical values stop within 0.001/√q of the root, always above it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.special import ndtri, stdtrit

from evalkit.arrays import spatial as sums
from evalkit.arrays.spatial_components import (
    Basis,
    average_correlation,
    basis_of,
    conditional_weights,
    covariances,
    critical_value,
    decay_of,
    expected_length,
    rejection,
)
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import spatial_components, spatial_places
from evalkit.panel import Panel

# coefficient, standard error, t, p, low, high; then critical values at 32, 10, 5 and 1 %
STATA = {
    "x1": (
        (0.8627429395243525, 0.0518305833833151, 16.64544142102169, 3.60057687058e-06),
        (0.7276676947260624, 0.9978181843226427),
        (1.191, 2.090, 2.606, 3.891),
    ),
    "x2": (
        (-0.24685574047314, 0.0314092391896101, -7.859335241548854, 0.000260682312069),
        (-0.3280669581723906, -0.1656445227738894),
        (1.177, 2.070, 2.586, 3.863),
    ),
    "_cons": (
        (1.024154516680632, 0.0668011608301888, 15.33138801710456, 5.02710729262e-06),
        (0.8521521129453584, 1.196156920415905),
        (1.182, 2.068, 2.575, 3.827),
    ),
}


class R:
    """R's default generator: Mersenne Twister seeded by a congruential sequence, normals by inversion of 53 bits."""

    def __init__(self, seed: int) -> None:
        x = seed
        for _ in range(50):
            x = (69069 * x + 1) & 0xFFFFFFFF
        state = []
        for _ in range(625):
            x = (69069 * x + 1) & 0xFFFFFFFF
            state.append(x)
        self.bits = np.random.RandomState()
        self.bits.set_state(("MT19937", np.array(state[1:], dtype=np.uint32), 624))

    def runif(self, n: int) -> np.ndarray:
        return self.bits.randint(0, 2**32, n, dtype=np.uint32) * 2.3283064365386963e-10

    def rnorm(self, n: int) -> np.ndarray:
        u = self.runif(2 * n).reshape(n, 2)
        return ndtri((np.floor(134217728 * u[:, 0]) + u[:, 1]) / 134217728)


@cache
def toy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r, n = R(123), 500
    x1, x2 = r.rnorm(n), r.rnorm(n)
    y = 1 + 0.8 * x1 - 0.3 * x2 + r.rnorm(n)
    lon, lat = -180 + 360 * r.runif(n), -90 + 180 * r.runif(n)
    return np.column_stack([x1, x2, np.ones(n)]), y, np.column_stack([lon, lat])


@cache
def toy_basis() -> Basis:
    points = sums.embed(toy()[2], True)
    return basis_of(sums.between(points, points, True), 0.03)


def test_the_generator_of_R() -> None:
    """rnorm(3) after set.seed(123), known to everyone who uses R."""
    np.testing.assert_allclose(R(123).rnorm(3), [-0.56047565, -0.23017749, 1.55870831], atol=1e-8)


@pytest.mark.parametrize("term", STATA)
def test_the_authors_program_on_a_regression(term: str) -> None:
    """Standard error and t to the accuracy of their c0 (0.001), p-value to 1e-4, critical values from below to their 0.001."""
    x, y, _ = toy()
    n, basis = len(y), toy_basis()
    q = basis.q
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ y
    at = list(STATA).index(term)
    loading = n * (x @ inverse[at])
    score = b[at] + loading * (y - x @ b)
    weights = basis.weights[:, : q + 1]
    error = np.linalg.norm(weights[:, 1:].T @ score) / np.sqrt(q * n)
    tau = b[at] / error
    given = conditional_weights(weights, loading, np.arange(n), x)
    worst = [basis.omegas[:, : q + 1, : q + 1], covariances(basis.distances, basis.grid, given)]
    p = max(rejection(omegas, abs(tau)).max() for omegas in worst)
    reference, ends, critical = STATA[term]
    assert q == 6
    np.testing.assert_allclose([b[at], error, tau], reference[:3], rtol=2e-5)
    np.testing.assert_allclose(p, reference[3], rtol=1e-4)
    ours = np.array(
        [max(critical_value(omegas, level) for omegas in worst) for level in (0.32, 0.10, 0.05, 0.01)]
    )
    assert (np.array(critical) - ours > -6e-4).all()  # printed to three digits
    assert (np.array(critical) - ours < 1.6e-3).all()
    half = ours[2] * error
    np.testing.assert_allclose([b[at] - half, b[at] + half], ends, atol=1.2e-4)


def spread(n: int, seed: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    at = np.column_stack([rng.uniform(34.3, 38.3, n), rng.uniform(126.0, 129.5, n)])
    points = sums.embed(at, True)
    return sums.between(points, points, True)


@pytest.mark.parametrize("q", [1, 2, 5, 9])
def test_rejection_is_student_s_without_correlation(q: int) -> None:
    for level in (0.01, 0.05, 0.32):
        value = float(stdtrit(q, 1 - level / 2))
        np.testing.assert_allclose(rejection(np.eye(q + 1)[None], value), level, rtol=1e-9)
        assert critical_value(np.eye(q + 1)[None], level) == pytest.approx(value, rel=1e-9)


def test_rejection_is_its_monte_carlo() -> None:
    """Four million draws of z ~ N(0, Ω); 3.5 standard errors."""
    basis = basis_of(spread(60), 0.05)
    omega = basis.omegas[0, : basis.q + 1, : basis.q + 1]
    rng = np.random.default_rng(0)
    z = rng.standard_normal((1_000_000, basis.q + 1)) @ np.linalg.cholesky(omega).T
    tau = np.sqrt(basis.q) * np.abs(z[:, 0]) / np.linalg.norm(z[:, 1:], axis=1)
    for critical in (1.0, 2.0, basis.critical, 5.0):
        exact = rejection(omega[None], critical)[0]
        error = np.sqrt(exact * (1 - exact) / len(z))
        assert abs((tau > critical).mean() - exact) < 3.5 * error


def test_rejection_is_the_integral_of_its_source() -> None:
    """(2/π) ∫ du / √((1 − u²) Π(1 + λ/(1 − u²))) by adaptive quadrature, eigenvalues of the matrix that is not symmetric."""
    from scipy.integrate import quad

    basis = basis_of(spread(80), 0.03)
    for c in (0, 4, 12):
        omega, critical = basis.omegas[c, : basis.q + 1, : basis.q + 1], 2.7
        sign = np.append(1.0, np.full(basis.q, -(critical**2) / basis.q))
        values = np.sort(np.linalg.eigvals(np.diag(sign) @ omega).real)
        rates = -values[:-1] / values[-1]

        def inside(u: float, rates: np.ndarray = rates) -> float:
            return float(1 / np.sqrt((1 - u**2) * np.prod(1 + rates / (1 - u**2))))

        exact = 2 / np.pi * quad(inside, 0, 1, epsabs=1e-12)[0]
        np.testing.assert_allclose(rejection(omega[None], critical)[0], exact, rtol=1e-8)


def test_basis_by_dense_matrices() -> None:
    """c0, eigenvectors of the demeaned worst case, Ω(c), and the number of components by all its candidates."""
    distances = spread(70)
    basis = basis_of(distances, 0.03)
    n = 70
    upper = np.exp(-basis.grid[0] * distances)[np.triu_indices(n, 1)]
    assert upper.mean() == pytest.approx(0.03, rel=1e-10)
    assert average_correlation(basis.grid[-1] * 1.2, distances) <= 1.001e-5
    m = np.eye(n) - 1 / n
    vectors = np.linalg.eigh(m @ np.exp(-basis.grid[0] * distances) @ m)[1]
    for j in range(1, basis.q + 1):
        own = vectors[:, -j]
        assert abs(own @ basis.weights[:, j]) == pytest.approx(1, abs=1e-9)
    w = basis.weights
    np.testing.assert_allclose(basis.omegas[3], w.T @ np.exp(-basis.grid[3] * distances) @ w, atol=1e-12)
    np.testing.assert_array_equal(basis.omegas[-1], np.eye(w.shape[1]))
    lengths = [
        expected_length(q, critical_value(basis.omegas[:, : q + 1, : q + 1], 0.05))
        for q in range(1, w.shape[1])
    ]
    assert basis.q == 1 + int(np.argmin(lengths))
    assert basis.critical == critical_value(basis.omegas[:, : basis.q + 1, : basis.q + 1], 0.05)


def test_the_critical_value_holds_for_every_weaker_correlation() -> None:
    distances = spread(60)
    basis = basis_of(distances, 0.03)
    fine = np.geomspace(basis.grid[0], basis.grid[-1], 400)
    omegas = covariances(distances, fine, basis.weights[:, : basis.q + 1])
    worst = rejection(omegas, basis.critical)
    assert worst.max() < 0.0501
    assert rejection(basis.omegas[:, : basis.q + 1, : basis.q + 1], basis.critical).max() == pytest.approx(
        0.05, rel=1e-8
    )


def test_more_components_are_tried_where_the_first_guess_is_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    distances = spread(60)
    whole = basis_of(distances, 0.03)
    monkeypatch.setattr("evalkit.arrays.spatial_components._first_guess", lambda correlation: 2)
    grown = basis_of(distances, 0.03)
    assert whole.q > 2
    assert (grown.q, grown.weights.shape[1]) == (whole.q, grown.omegas.shape[1])
    assert grown.critical == pytest.approx(whole.critical, rel=1e-9)


@cache
def fitted(weighted: bool) -> tuple[Estimate, np.ndarray]:
    rng = np.random.default_rng(4)
    n = 60
    at = np.column_stack([rng.uniform(34.5, 38, n), rng.uniform(126.3, 129.3, n)])
    adoption = np.where(at[:, 0] < 35.6, 2003.0, np.inf)
    y = rng.normal(size=(n, 5)).cumsum(axis=1)
    z = rng.normal(size=(n, 5))
    w = rng.uniform(0.5, 2, n)
    panel = Panel(np.arange(n), np.arange(2000, 2005), {"y": y, "z": z}, {"adoption": adoption, "w": w})
    design = Design("y", covariates=("z",), weight="w" if weighted else None)
    return two_way_effects(panel, design), at


@pytest.mark.parametrize("weighted", [False, True])
def test_two_way_terms_by_dense_matrices(weighted: bool) -> None:
    """The whole path again with dummies for units and periods, written out."""
    est, at = fitted(weighted)
    result = spatial_components(est, at)
    rng = np.random.default_rng(4)
    n, periods = 60, 5
    rng.uniform(34.5, 38, n), rng.uniform(126.3, 129.3, n)
    y = rng.normal(size=(n, periods)).cumsum(axis=1).ravel()
    z = rng.normal(size=(n, periods)).ravel()
    w = np.repeat(rng.uniform(0.5, 2, n), periods) if weighted else np.ones(n * periods)
    unit, period = np.repeat(np.arange(n), periods), np.tile(np.arange(periods), n)
    d = ((at[unit, 0] < 35.6) & (period >= 3)).astype(float)
    x = np.column_stack([d, z, unit[:, None] == np.arange(n), period[:, None] == np.arange(1, periods)])
    root = np.sqrt(w)
    x, y = x * root[:, None], y * root
    inverse = np.linalg.inv(x.T @ x)
    b = inverse @ x.T @ y
    residual = y - x @ b
    points = sums.embed(at, True)
    basis = basis_of(sums.between(points, points, True), 0.03)
    q = basis.q
    project = np.eye(len(y)) - x @ inverse @ x.T
    for k in range(2):
        loading = x @ inverse[k]
        score = n * np.bincount(unit, loading * residual)
        error = np.linalg.norm(basis.weights[:, 1 : q + 1].T @ score) / np.sqrt(q * n)
        size = np.sqrt(np.bincount(unit, loading**2))[unit]
        scaled = loading / size
        given = np.empty((n, q + 1))
        given[:, 0] = basis.weights[:, 0] * np.bincount(unit, scaled * loading)
        for j in range(1, q + 1):
            left = project @ (basis.weights[unit, j] * scaled)
            given[:, j] = np.bincount(unit, left * loading)
        omegas = covariances(basis.distances, basis.grid, given / np.linalg.norm(given[:, 0]))
        critical = max(basis.critical, critical_value(omegas, 0.05))
        np.testing.assert_allclose(result.estimate.values[k], b[k], rtol=1e-9)
        np.testing.assert_allclose(result.std_errors[k], error, rtol=1e-9)
        np.testing.assert_allclose(result.critical[k], critical, rtol=1e-7)
    assert result.conditional.all()
    assert result.notes == ()


def test_clusters_as_places_and_units_as_places_agree_where_each_unit_is_a_cluster() -> None:
    est, at = fitted(False)
    places = spatial_places(est.units, at)
    one = spatial_components(est, places)
    two = spatial_components(est, at, locations="cluster")
    np.testing.assert_allclose(one.critical, two.critical, rtol=1e-9)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-9)


def test_unconditional_is_narrower_and_says_so() -> None:
    est, at = fitted(False)
    given, plain = spatial_components(est, at), spatial_components(est, at, conditional=False)
    assert (plain.critical <= given.critical).all()
    assert plain.notes == ("unconditional_only",)
    assert plain.interval(0).method == "SCPC"
    assert given.interval(0).method == "C-SCPC"


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_a_value_is_inside_where_its_p_value_is_not_below(level: float) -> None:
    est, at = fitted(False)
    result = spatial_components(est, at, level=level)
    for k in range(2):
        ends = result.interval(k)
        for end in (ends.low, ends.high):
            p = spatial_components(est, at, level=level, null=end).p_value[k]
            assert p == pytest.approx(1 - level, rel=1e-6)


def test_decay_is_found_in_any_unit() -> None:
    distances = spread(40)
    np.testing.assert_allclose(decay_of(distances * 1000, 0.03) * 1000, decay_of(distances, 0.03), rtol=1e-10)
    assert decay_of(np.zeros((5, 5)), 0.5) == np.inf
