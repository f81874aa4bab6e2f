"""Conley, Newey–West within units and Driscoll–Kraay against fixest 0.14.2, dense double sums, diff_diff and linearmodels.

fixest sums the scores of a location over its periods, takes n/(n − K), t(n − K) and a sphere of 6,376 km; its flat distances
("triangular") are no distance on a map and are tested through the kernel sum with that distance written here.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.arrays import spatial as sums
from evalkit.arrays.geometry import great_circle_km
from evalkit.design import Design
from evalkit.errors import RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import cluster_robust, conley, conley_curve, conley_cutoff, driscoll_kraay
from evalkit.inference.spatial import row_scores
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
CARRIED: dict[str, Any] = json.loads((HERE / "two_way_S1.json").read_text(encoding="utf-8"))["fixest"]
FIXEST_KM = 6_376.0
SPHERICAL = [case for case in CARRIED if "conley" in case and "spherical" in case]
FLAT = [case for case in CARRIED if "-conley" in case and case not in SPHERICAL and "pooled" not in case]
NO_METHOD = {"S1-twfe-conley100_pixel10"}  # coordinates rounded to a grid of 10 km


@cache
def frame() -> pd.DataFrame:
    data = pd.read_csv(HERE / "data" / "S1_panel.csv")
    data["adoption"] = data["g"].where(data["g"] > 0, np.inf)
    return data


@cache
def s1() -> Panel:
    fixed = ["adoption", "region", "pop", "lat", "lon"]
    return Panel.from_long(frame(), unit="unit", period="year", varying=["y", "x2"], fixed=fixed)


@cache
def fitted(covariate: bool, weight: str | None = None) -> Estimate:
    return two_way_effects(s1(), Design("y", covariates=("x2",) if covariate else (), weight=weight))


def where() -> np.ndarray:
    return np.column_stack([s1().constant("lat"), s1().constant("lon")])


def cutoff_of(case: str) -> float:
    return float(case.split("conley")[1].split("_")[0])


@pytest.mark.parametrize("case", SPHERICAL)
def test_conley_on_the_sphere(case: str) -> None:
    """The case whose matrix had a negative eigenvalue is clipped by both, to the same numbers within 1e-8."""
    est = conley(
        fitted("1reg" not in case),
        where(),
        cutoff_of(case),
        kernel="uniform",
        adjust="full",
        radius_km=FIXEST_KM,
    )
    reference = CARRIED[case]
    np.testing.assert_allclose(est.covariance, reference["vcov"], rtol=1e-6, atol=2e-10)
    np.testing.assert_array_equal(est.dof, reference["df_t"])
    clipped = case == "S1-twfe-conley100_spherical"
    assert est.detail["conley"]["notes"] == (["negative_variance_clipped"] if clipped else [])
    assert len(SPHERICAL) == 5


@pytest.mark.parametrize("case", [case for case in FLAT if case not in NO_METHOD])
def test_conley_on_fixest_s_flat_distances(case: str) -> None:
    """111 km a degree, the cosine at the mean latitude of the pair."""
    est, (lat, lon) = fitted("1reg" not in case), where().T
    across = np.cos(np.radians((lat[:, None] + lat) / 2)) * (lon[:, None] - lon) * 111
    distance = np.hypot(across, (lat[:, None] - lat) * 111)
    scores = est.influence / est.n_units
    meat = scores.T @ (distance <= cutoff_of(case)) @ scores
    n, k = est.detail["n_obs"], CARRIED[case]["df_K"]
    clipped, _ = sums.without_negative(meat * n / (n - k))
    np.testing.assert_allclose(clipped, CARRIED[case]["vcov"], rtol=1e-6, atol=2e-10)
    assert len(FLAT) == 7


@pytest.mark.parametrize(("case", "lag"), [("S1-twfe-NW_L2", 2), ("S1-twfe-NW_default", 1)])
def test_newey_west_is_the_panel_form_without_neighbours(case: str, lag: int) -> None:
    """fixest's factor there is (n − 1)/(n − K) T/(T − 1)."""
    est = conley(fitted(True), where(), 0.0, lag=lag)
    n = est.detail["n_obs"]
    np.testing.assert_allclose(est.covariance * (n - 1) / n * 10 / 9, CARRIED[case]["vcov"], rtol=1e-9)


@pytest.mark.parametrize(("case", "lag"), [("S1-twfe-DK_L2", 2), ("S1-twfe-DK_default", 1)])
def test_driscoll_kraay_of_ten_periods_is_the_reference_s_and_is_refused(
    case: str, lag: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RefusalError, match=r"기간이 10개뿐.*cluster_jackknife"):
        driscoll_kraay(fitted(True), lag)
    monkeypatch.setattr("evalkit.inference.spatial.FEWEST_PERIODS", 2)
    est = driscoll_kraay(fitted(True), lag)
    np.testing.assert_allclose(est.covariance, CARRIED[case]["vcov"], rtol=1e-9)
    np.testing.assert_array_equal(est.dof, CARRIED[case]["df_t"])


def dense(est: Estimate, kernel: str, cutoff: float, lag: int | None) -> np.ndarray:
    """Every pair, one after the other."""
    points, k = where(), len(est)
    scores = row_scores(est, range(k)) if lag is not None else (est.influence / est.n_units)[:, None]
    out = np.zeros((k, k))
    n, periods = scores.shape[:2]
    for i in range(n):
        d = great_circle_km(points[i], points)
        weight = (d <= cutoff) * 1.0 if kernel == "uniform" else np.maximum(1 - d / cutoff, 0)
        for t in range(periods):
            out += np.outer(scores[i, t], weight @ scores[:, t])
            for s in range(periods):
                if s != t and lag is not None and abs(s - t) <= lag:
                    out += (1 - abs(s - t) / (lag + 1)) * np.outer(scores[i, t], scores[i, s])
    return out


@pytest.mark.parametrize("kernel", ["uniform", "bartlett"])
@pytest.mark.parametrize("lag", [None, 0, 3])
@pytest.mark.parametrize("cutoff", [15.0, 90.0])
def test_conley_is_the_double_sum(kernel: str, lag: int | None, cutoff: float) -> None:
    """The near one goes over neighbours, the far one over blocks of points."""
    est = fitted(True, "pop")
    ours = conley(est, where(), cutoff, kernel=kernel, lag=lag, adjust="none")  # type: ignore[arg-type]
    brute = sums.without_negative(dense(est, kernel, cutoff, lag))[0]
    np.testing.assert_allclose(ours.covariance, brute, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("estimator", [two_way_effects, two_way_event_study, sun_abraham_effects])
def test_scores_of_units_and_periods_add_up_to_the_influence_function(estimator: Any) -> None:
    """Whatever regression kept its rows, missing cells and weights included."""
    holes = s1().values("y").copy()
    holes[::7, 3] = np.nan
    panel = s1().with_varying(y=holes)
    est = estimator(panel, Design("y", covariates=("x2",), weight="pop"))
    total = row_scores(est, range(len(est))).sum(axis=1)
    np.testing.assert_allclose(total, est.influence / est.n_units, rtol=1e-9, atol=1e-14)


def test_the_factor_without_neighbours_is_that_of_clustered_units() -> None:
    """Cutoff 0, scores summed over periods: CV1 by unit but for G/(G − 1), and its degrees of freedom."""
    est = fitted(True)
    ours = conley(est, where(), 0.0)
    np.testing.assert_allclose(ours.covariance * 200 / 199, cluster_robust(est).covariance, rtol=1e-10)
    np.testing.assert_array_equal(ours.dof, [199, 199])


def test_neighbours_and_blocks_give_the_same() -> None:
    rng = np.random.default_rng(5)
    points = sums.embed(np.column_stack([rng.uniform(34, 38, 900), rng.uniform(126, 129, 900)]), True)
    rows = rng.normal(size=(900, 3))
    near, count = sums.kernel_product(points, rows, 12.0, "bartlett", degrees=True)
    whole = sums.weight(sums.between(points, points, True), 12.0, "bartlett") @ rows
    np.testing.assert_allclose(near, whole, rtol=1e-12, atol=1e-12)
    within = (sums.between(points, points, True) <= 12.0).sum() - 900
    assert count == within / 900
    old = sums.DENSE, sums.BLOCK
    try:
        sums.DENSE, sums.BLOCK = 0.0, 10_000  # type: ignore[misc]
        blocks, again = sums.kernel_product(points, rows, 12.0, "bartlett", degrees=True)
    finally:
        sums.DENSE, sums.BLOCK = old  # type: ignore[misc]
    np.testing.assert_allclose(blocks, near, rtol=1e-12, atol=1e-12)
    assert again == count


def test_distances_are_the_haversine_formula() -> None:
    rng = np.random.default_rng(1)
    at = np.column_stack([rng.uniform(-89, 89, 60), rng.uniform(-179, 179, 60)])
    at[1] = at[0] + 1e-7
    ours = sums.between(sums.embed(at, True), sums.embed(at, True), True)
    np.testing.assert_allclose(ours, great_circle_km(at[:, None], at[None]), rtol=1e-9, atol=1e-8)


def test_projected_kilometres_are_straight_distances() -> None:
    est = fitted(False)
    lat, lon = where().T
    flat = np.column_stack([lat * 111.2, lon * 63.0])
    distance = np.hypot(flat[:, 0][:, None] - flat[:, 0], flat[:, 1][:, None] - flat[:, 1])
    score = est.influence[:, 0] / est.n_units
    brute = score @ np.maximum(1 - distance / 40, 0) @ score
    ours = conley(est, flat, 40.0, degrees=False, adjust="none")
    np.testing.assert_allclose(ours.covariance[0, 0], brute, rtol=1e-12)


def test_group_time_effects_have_conley_errors_too() -> None:
    """Any influence functions will do; without K there is no factor and the normal distribution."""
    est = group_time_effects(s1(), Design("y"))
    mapping = dict(zip(s1().units, where(), strict=True))
    ours = conley(est, mapping, 30.0)
    score = est.influence / est.n_units
    weight = np.maximum(1 - great_circle_km(where()[:, None], where()[None]) / 30, 0)
    brute = sums.without_negative(score.T @ weight @ score)[0]
    known = np.diag(est.covariance) > 0
    np.testing.assert_allclose(np.diag(ours.covariance)[known], np.diag(brute)[known], rtol=1e-10)
    assert ours.inference == "Conley"
    assert np.isinf(ours.dof).all()


def test_the_curve_holds_the_single_cutoffs() -> None:
    curve = conley_curve(fitted(True), where(), [10, 40, 80])
    single = [conley(fitted(True), where(), c).std_errors for c in (10, 40, 80)]
    np.testing.assert_array_equal(curve.std_errors, single)
    np.testing.assert_array_equal(curve.widest, curve.cutoffs[curve.std_errors.argmax(axis=0)])
    assert (np.diff(curve.neighbours) > 0).all()


def test_the_cutoff_from_the_data_is_the_first_zero_of_the_covariogram() -> None:
    est = fitted(False)
    choice = conley_cutoff(est, where(), longest_km=100.0, bins=10)
    score = est.influence[:, 0] / est.n_units
    score = score - score.mean()
    distance = great_circle_km(where()[:, None], where()[None])
    upper = np.triu_indices(len(score), 1)
    products, d = np.outer(score, score)[upper], distance[upper]
    for b, (found, count) in enumerate(
        zip(choice.covariogram.covariance, choice.covariogram.pairs, strict=True)
    ):
        within = (d >= 10 * b) & (d < 10 * (b + 1))
        np.testing.assert_allclose(found, products[within].mean(), rtol=1e-9)
        assert count == within.sum()
    below = int(np.flatnonzero(choice.covariogram.covariance <= 0)[0])
    assert choice.crossed
    if below:
        left, right = choice.covariogram.covariance[below - 1 : below + 1]
        assert choice.cutoff_km == pytest.approx(10 * below - 5 + 10 * left / (left - right))
    else:
        assert choice.cutoff_km == 5.0


def test_the_zero_of_a_line() -> None:
    gram = sums.Covariogram(np.array([5.0, 15.0, 25.0]), np.array([3.0, 1.0, -1.0]), np.array([4, 4, 4]))
    assert sums.zero_crossing(gram) == (20.0, True)
    empty = sums.Covariogram(np.array([5.0, 15.0]), np.array([np.nan, 2.0]), np.array([0, 4]))
    assert sums.zero_crossing(empty) == (15.0, False)


# -- other programs, live -----------------------------------------------------------------------------------------------


@cache
def long_panel(periods: int = 24, units: int = 30) -> tuple[Panel, pd.DataFrame]:
    rng = np.random.default_rng(8)
    adoption = np.where(np.arange(units) % 3 == 0, 2010.0, np.inf)
    years = np.arange(2000, 2000 + periods)
    x = rng.normal(size=(units, periods)).cumsum(axis=1)
    shock = rng.normal(size=periods).cumsum() * rng.normal(size=(units, 1))
    y = rng.normal(size=(units, periods)) + 0.3 * x + shock + (years >= adoption[:, None])
    at = np.column_stack([rng.uniform(34.5, 38, units), rng.uniform(126.3, 129.3, units)])
    panel = Panel(np.arange(units), years, {"y": y, "x": x}, {"adoption": adoption})
    rows = pd.DataFrame(
        {
            "unit": np.repeat(np.arange(units), periods),
            "year": np.tile(years, units),
            "y": y.ravel(),
            "x": x.ravel(),
            "d": (years >= adoption[:, None]).astype(float).ravel(),
            "lat": np.repeat(at[:, 0], periods),
            "lon": np.repeat(at[:, 1], periods),
        }
    )
    return panel, rows


@pytest.mark.peer
def test_driscoll_kraay_is_linearmodels() -> None:
    """linearmodels 7.1 counts the effects in n/(n − K), and the slopes only when debiased."""
    linear = pytest.importorskip("linearmodels")
    panel, rows = long_panel()
    indexed = rows.set_index(["unit", "year"])
    model = linear.PanelOLS(indexed["y"], indexed[["d", "x"]], entity_effects=True, time_effects=True)
    theirs = model.fit(cov_type="kernel", kernel="bartlett", bandwidth=3, debiased=False)
    ours = driscoll_kraay(two_way_effects(panel, Design("y", covariates=("x",))), 3, adjust=False)
    np.testing.assert_allclose(ours.values, theirs.params, rtol=1e-9)
    effects = 30 + 24 - 1
    np.testing.assert_allclose(ours.covariance * len(rows) / (len(rows) - effects), theirs.cov, rtol=1e-9)


@pytest.mark.peer
@pytest.mark.parametrize(("kernel", "lag"), [("bartlett", 0), ("bartlett", 3), ("uniform", 2)])
def test_panel_form_is_diff_diff_s(kernel: str, lag: int) -> None:
    """Its sum over periods plus sum over units (conleyreg's), on two-way demeaned columns."""
    theirs = pytest.importorskip("diff_diff.conley")
    panel, rows = long_panel()
    est = two_way_effects(panel, Design("y", covariates=("x",)))

    def demeaned(name: str) -> np.ndarray:
        wide = rows[name].to_numpy().reshape(30, 24)
        return (wide - wide.mean(0) - wide.mean(1)[:, None] + wide.mean()).ravel()

    design = np.column_stack([demeaned("d"), demeaned("x")])
    residual = demeaned("y") - design @ est.values
    covariance = theirs._compute_conley_vcov(
        design,
        residual,
        rows[["lat", "lon"]].to_numpy(),
        120.0,
        "haversine",
        kernel,
        design.T @ design,
        time=rows["year"].to_numpy(),
        unit=rows["unit"].to_numpy(),
        lag_cutoff=lag,
    )
    places = rows.drop_duplicates("unit")[["lat", "lon"]].to_numpy()
    ours = conley(est, places, 120.0, kernel=kernel, lag=lag, adjust="none", radius_km=6_371.01)  # type: ignore[arg-type]
    np.testing.assert_allclose(ours.covariance, covariance, rtol=1e-9)
