"""Families of outcomes against explicit subsets, pyfixest 0.60, statsmodels 0.15, and the definitions written as loops."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from evalkit.aggregate import overall
from evalkit.arrays import stepdown as steps
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import (
    benjamini_hochberg,
    cluster_jackknife,
    family_test,
    holm,
    joint_randomisation,
    outcome_index,
    romano_wolf,
    sharpened_q,
    westfall_young,
)
from evalkit.panel import Panel


def drawn(seed: int, m: int = 6, b: int = 499) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(m, m)) + np.eye(m)
    return rng.normal(size=m) * 2, rng.normal(size=(b, m)) @ mixed.T / 2


def by_subsets(size: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Closed testing: the p-value of a hypothesis is the largest over every subset that holds it, each by its largest |t|."""
    m, b = draws.shape[1], len(draws)
    out = np.zeros(m)
    for subset in range(1, 1 << m):
        at = [k for k in range(m) if subset >> k & 1]
        top = size[at].max()
        p = (1 + (draws[:, at].max(axis=1) >= top).sum()) / (b + 1)
        for k in at:
            out[k] = max(out[k], p)
    return out


@pytest.mark.parametrize("seed", range(6))
def test_romano_wolf_is_closed_testing_over_all_subsets(seed: int) -> None:
    statistics, draws = drawn(seed)
    ours = romano_wolf(statistics, draws)
    np.testing.assert_array_equal(ours, by_subsets(np.abs(statistics), np.abs(draws)))


@pytest.mark.parametrize("seed", range(4))
def test_min_p_is_closed_testing_on_p_values(seed: int) -> None:
    """The p-value of each draw by counting, one after the other."""
    statistics, draws = drawn(seed, m=5, b=199)
    draws *= np.array([1, 5, 0.2, 1, 30])
    size, many = np.abs(statistics) * np.array([1, 5, 0.2, 1, 30]), np.abs(draws)
    own = np.array([(many[:, k] >= size[k]).mean() for k in range(5)])
    each = np.array([[(many[:, k] >= many[b, k]).mean() for k in range(5)] for b in range(len(many))])
    expected = by_subsets(1 - own, 1 - each)
    np.testing.assert_allclose(westfall_young(size, draws), expected, rtol=1e-12)
    np.testing.assert_array_equal(
        westfall_young(statistics, draws, method="max_t"), romano_wolf(statistics, draws)
    )


def test_enumerated_permutations_count_the_actual_one() -> None:
    """Sharing of 2 of 5 among 10 assignments: the smallest p-value is 1/10, and it is exact."""
    draws = np.arange(10.0)[:, None] * np.ones(2)
    p = romano_wolf([9.0, 5.0], draws, includes_actual=True)
    np.testing.assert_array_equal(p, [0.1, 0.5])
    assert joint_randomisation([9.0, 5.0], draws, includes_actual=True) == 0.1


def test_ties_by_rounding_count() -> None:
    assert romano_wolf([0.3], [[0.1 + 0.2], [0.3 - 1e-16]])[0] == 1.0


def test_joint_wald_by_hand() -> None:
    statistics, draws = drawn(3, m=3)
    inverse = np.linalg.inv(draws.T @ draws / len(draws))
    size = [t @ inverse @ t for t in draws]
    expected = (1 + sum(s >= statistics @ inverse @ statistics for s in size)) / (len(draws) + 1)
    assert joint_randomisation(statistics, draws, method="wald") == pytest.approx(expected)
    top = (1 + (np.abs(draws).max(1) >= np.abs(statistics).max()).sum()) / 500
    assert joint_randomisation(statistics, draws) == pytest.approx(top)


# -- false discovery rates --------------------------------------------------------------------------------------------


def sharpened_by_definition(p: np.ndarray) -> np.ndarray:
    """Anderson 2008, section 3.2.3, one q after the other from 1.000 down to 0.001."""
    order = np.argsort(p, kind="stable")
    m = len(p)
    out = np.ones(m)
    for step in range(1000, 0, -1):
        q = step / 1000
        first = q / (1 + q)
        r1 = max((r for r in range(1, m + 1) if p[order[r - 1]] <= first * r / m), default=0)
        second = first * m / (m - r1) if r1 < m else np.inf
        r2 = max((r for r in range(1, m + 1) if p[order[r - 1]] <= second * r / m), default=0)
        out[order[:r2]] = q
    return out


@pytest.mark.parametrize("seed", range(20))
def test_sharpened_q_is_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.4, 1.5, rng.integers(1, 25)).round(rng.integers(2, 6))  # with ties
    np.testing.assert_array_equal(sharpened_q(p), sharpened_by_definition(p))


def test_sharpened_q_on_the_p_values_of_benjamini_and_hochberg() -> None:
    """Fifteen p-values of Benjamini & Hochberg (1995, section 4): four are rejected by BH at 0.05, and by the two stages."""
    p = np.array([1, 4, 19, 95, 201, 278, 298, 344, 459, 3240, 4262, 5719, 6528, 7590, 10000]) / 10000
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4
    assert (holm(p) <= 0.05).sum() == 3
    assert (sharpened_q(p) <= 0.05).sum() >= 4
    np.testing.assert_array_equal(sharpened_q(p), sharpened_by_definition(p))


def test_missing_p_values_stay_out() -> None:
    p = np.array([0.01, np.nan, 0.03, 0.5])
    for rule in (holm, benjamini_hochberg, sharpened_q):
        np.testing.assert_array_equal(rule(p)[[0, 2, 3]], rule(p[[0, 2, 3]]))
        assert np.isnan(rule(p)[1])


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(5))
def test_statsmodels(seed: int) -> None:
    """Holm and BH to rounding; the two-stage rule rejects the same at every level asked."""
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    p = np.random.default_rng(seed).beta(0.4, 1.5, 12)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12)
    for level in (0.01, 0.05, 0.1, 0.2):
        theirs = multipletests(p, alpha=level, method="fdr_tsbky")[0]
        np.testing.assert_array_equal(sharpened_q(p) <= level, theirs)


# -- families made from estimates ----------------------------------------------------------------------------------------


@cache
def panel(seed: int = 1, clusters: int = 10) -> Panel:
    rng = np.random.default_rng(seed)
    n, years = 8 * clusters, np.arange(2000, 2006)
    region = np.arange(n) % clusters
    adoption = np.where(region < clusters // 2, 2003.0, np.inf)
    shock = rng.normal(size=(clusters, 6, 4)).cumsum(axis=1)[region]
    effect = (years >= adoption[:, None])[:, :, None] * np.array([2.5, 0.0, 1.2, 0.0])
    y = rng.normal(size=(n, 6, 4)) + shock + effect
    return Panel(
        np.arange(n),
        years,
        {f"y{k}": y[:, :, k] for k in range(4)},
        {"adoption": adoption, "region": region},
    )


def estimates(clusters: int = 10, method: str = "two_way") -> dict[str, Estimate]:
    out = {}
    for k in range(4):
        design = Design(f"y{k}", cluster="region")
        if method == "two_way":
            out[f"y{k}"] = two_way_effects(panel(1, clusters), design)
        else:
            out[f"y{k}"] = overall(group_time_effects(panel(1, clusters), design))
    return out


@pytest.mark.parametrize("source", ["replicates", "influence"])
@pytest.mark.parametrize("method", ["two_way", "group_time"])
def test_family_by_explicit_sign_patterns(source: str, method: str) -> None:
    made = estimates(method=method)
    tests = family_test(made, {"all": list(made)}, source=source)  # type: ignore[arg-type]
    family, c = tests["all"], 10
    parts = []
    for one in made.values():
        if source == "replicates":
            parts.append(-(c - 1) / c * (one.replicates - one.values)[:, 0])
        else:
            parts.append(np.bincount(one.cluster, one.influence[:, 0]) / one.n_units)
    d = np.stack(parts, axis=1)
    size = np.array([one.values[0] for one in made.values()]) / np.sqrt(c / (c - 1) * (d**2).sum(0))
    many = []
    for pattern in range(512):
        v = np.array([1.0] + [1.0 - 2 * (pattern >> k & 1) for k in range(9)])
        turned = v[:, None] * d
        spread = np.sqrt(c / (c - 1) * ((turned - turned.mean(0)) ** 2).sum(0))
        many.append(turned.sum(0) / spread)
    np.testing.assert_allclose(family.statistics, size, rtol=1e-12)
    assert (tests.draws, tests.enumerated, tests.clusters) == (512, True, 10)
    np.testing.assert_allclose(family.romano_wolf, romano_wolf(size, many), rtol=1e-12)
    np.testing.assert_allclose(
        family.p_value, [(1 + (np.abs(many)[:, k] >= abs(size[k])).sum()) / 513 for k in range(4)]
    )
    np.testing.assert_allclose(family.westfall_young, westfall_young(size, many), rtol=1e-12)
    np.testing.assert_array_equal(family.holm, holm(family.p_value))
    np.testing.assert_array_equal(family.sharpened_q, sharpened_q(family.p_value))
    assert family.joint_p == joint_randomisation(size, many)


def test_statistics_of_replicates_are_jackknife_t() -> None:
    made = estimates()
    family = family_test(made, {"all": list(made)})["all"]
    expected = [one.values[0] / cluster_jackknife(one).std_errors[0] for one in made.values()]
    np.testing.assert_allclose(family.statistics, expected, rtol=1e-12)


def test_outcomes_with_other_units_share_the_signs_of_their_clusters() -> None:
    """An outcome for half of the units and eight of ten regions: its p-value is that of the outcome alone."""
    made = estimates()
    some = panel().select((np.arange(80) % 10 < 9) & (np.arange(80) % 10 > 0) & (np.arange(80) < 50))
    made["part"] = two_way_effects(some, Design("y2", cluster="region"))
    whole = family_test(made, {"a": ["y0", "part"], "b": ["y1"]})
    alone = family_test({"part": made["part"]}, {"a": ["part"]})
    assert whole.clusters == 10
    assert alone.clusters == 8
    # every pattern of the eight regions appears equally often among those of all ten
    more, fewer = whole["a"].p_value[1] * 513 - 1, alone["a"].p_value[0] * 129 - 1
    assert more == pytest.approx(4 * fewer)
    assert [f.name for f in whole.families] == ["a", "b"]
    assert whole["b"].romano_wolf[0] == whole["b"].p_value[0]


def test_many_clusters_are_drawn_and_do_not_depend_on_blocks() -> None:
    rng = np.random.default_rng(3)
    parts = rng.normal(size=(1200, 2))
    one = steps.signed_sums(parts, 400, 7, 16)
    np.testing.assert_array_equal(one, steps.signed_sums(parts, 400, 7, 16))
    assert one.shape == (400, 2)
    assert abs(one[:, 0].std() / np.sqrt((parts[:, 0] ** 2).sum()) - 1) < 0.15
    assert not np.array_equal(one, steps.signed_sums(parts, 400, 8, 16))


@pytest.mark.peer
def test_pyfixest_rwolf_and_wyoung() -> None:
    """Its wild bootstrap (null imposed, CV1) with draws of its own: handed in, the stepdown gives its p-values."""
    pf = pytest.importorskip("pyfixest")
    from pyfixest.estimation.post_estimation.multcomp import _get_rwolf_pval, _get_wyoung_pval

    for seed in range(5):
        statistics, draws = drawn(seed, m=5)
        theirs = _get_rwolf_pval(statistics.copy(), draws.copy())
        np.testing.assert_allclose(romano_wolf(statistics, draws), theirs, rtol=1e-12)
        size, many = np.abs(statistics), np.abs(draws)
        own, each = steps.ranks(size, many, True)
        # theirs is a plain share; ours counts the actual statistics as one more draw
        share = _get_wyoung_pval(own.copy(), each.copy())
        np.testing.assert_allclose(westfall_young(statistics, draws), (1 + 499 * share) / 500, rtol=1e-12)
    assert hasattr(pf, "rwolf")


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_pyfixest_rwolf_live() -> None:
    """Its permutations of a treatment over 40 rows, against ours: p-values within four Monte Carlo errors of 199 draws."""
    pf = pytest.importorskip("pyfixest")
    rng = np.random.default_rng(0)
    n = 40
    d = (np.arange(n) % 2).astype(float)
    y = rng.normal(size=(n, 3)) + rng.normal(size=(n, 1)) + d[:, None] * np.array([1.4, 0.0, 0.6])

    def studentised(treated: np.ndarray) -> np.ndarray:
        a, b = y[treated == 1], y[treated == 0]
        variance = (a.var(0) / len(a) + b.var(0) / len(b)) * n / (n - 2)
        return (a.mean(0) - b.mean(0)) / np.sqrt(variance)

    frame = pd.DataFrame({"d": d} | {f"y{k}": y[:, k] for k in range(3)})
    fits = [pf.feols(f"y{k} ~ d", frame, vcov="hetero") for k in range(3)]
    np.testing.assert_allclose([fit.tstat()["d"] for fit in fits], studentised(d), rtol=1e-9)
    theirs = pf.rwolf(fits, "d", reps=199, seed=3, sampling_method="ri").loc["RW Pr(>|t|)"].to_numpy(float)
    draws = [studentised(rng.permutation(d)) for _ in range(4_999)]
    ours = romano_wolf(studentised(d), draws)
    error = np.sqrt(ours * (1 - ours) / 199)
    assert (np.abs(ours - theirs) < 4 * error + 0.005).all()


# -- index -----------------------------------------------------------------------------------------------------------------


def test_index_by_the_inverse_covariance() -> None:
    reference = panel().constant("adoption") == np.inf
    index = outcome_index(panel(), {"y0": 1, "y1": -1, "y3": 1}, reference)
    cells = np.stack([panel().values("y0"), -panel().values("y1"), panel().values("y3")], axis=2)
    base = cells[reference].reshape(-1, 3)
    standard = (cells - base.mean(0)) / base.std(0, ddof=1)
    weights = np.linalg.inv(np.cov(base.T) / np.outer(base.std(0, ddof=1), base.std(0, ddof=1))).sum(1)
    np.testing.assert_allclose(index, standard @ weights / weights.sum(), rtol=1e-10, atol=1e-12)


def test_index_with_missing_outcomes_is_the_weighted_mean_of_the_rest() -> None:
    whole = panel()
    holes = whole.values("y1").copy()
    holes[0, :] = np.nan
    some = whole.with_varying(y1=holes)
    reference = whole.constant("adoption") == np.inf
    a = outcome_index(whole, {"y0": 1, "y1": 1}, reference)
    b = outcome_index(some, {"y0": 1, "y1": 1}, reference)
    np.testing.assert_allclose(a[1:], b[1:], rtol=1e-10)
    base = whole.values("y0")[reference]
    np.testing.assert_allclose(b[0], (whole.values("y0")[0] - base.mean()) / base.std(ddof=1), rtol=1e-10)
