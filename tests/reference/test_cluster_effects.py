"""Cluster-level effects: hand-calculated differences, signs written out, scipy's t tests and worst cases in closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import stdtr, stdtrit

from evalkit.arrays.permutations import permutation_t
from evalkit.design import Design
from evalkit.errors import DataError, RefusalError
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.cluster_effects import cluster_changes, cluster_effects
from evalkit.inference.independent_effects import ANY_VARIANCES, FEW, ibragimov_muller, sign_changes
from evalkit.panel import Panel

INF = np.inf


def provinces() -> Panel:
    """Two treated (in 3 and in 4), three never treated; paths before 3 pair a with e and b with c."""
    y = np.array(
        [
            [1.0, 2.0, 6.0, 7.0, 8.0],  # a, treated in 3
            [0.0, 0.0, 0.5, 4.0, 4.0],  # b, treated in 4
            [5.0, 5.0, 6.0, 6.0, 7.0],  # c: flat before, as b
            [9.0, 3.0, 0.0, 1.0, 2.0],  # d: falls
            [2.0, 3.1, 4.0, 5.0, 6.0],  # e: rises, as a
        ]
    )
    return Panel(
        np.array(list("abcde")),
        np.arange(1, 6),
        {"y": y},
        {"adoption": np.array([3, 4, INF, INF, INF]), "pair": np.array(["p", "q", "p", "q", ""])},
    )


def test_matched_pairs_by_hand() -> None:
    """a with e: (21/3 − 1.5) − (15/3 − 2.55) = 3.05; b with c: (4 − 0.5/3) − (6.5 − 16/3) = 2.6667."""
    out = cluster_effects(provinces(), Design("y"))
    assert out.treated == ("a", "b")
    assert out.comparison == (("e",), ("c",))
    np.testing.assert_allclose(out.values, [(7 - 1.5) - (5 - 2.55), (4 - 0.5 / 3) - (6.5 - 16 / 3)])
    # paths less their means over periods 1 and 2: ∓0.5 against ∓0.55, and both flat
    np.testing.assert_allclose(out.distance, [0.05, 0.0], atol=1e-15)


def test_given_pairs_are_estimated_apart() -> None:
    panel = provinces()
    out = cluster_effects(panel, Design("y"), pairs="pair")
    assert (out.treated, out.comparison) == (("a", "b"), (("c",), ("d",)))
    for value, pair in zip(out.values, ("ac", "bd"), strict=True):
        alone = two_way_effects(panel.select(np.isin(panel.units, list(pair))), Design("y"))
        assert value == pytest.approx(alone.values[0], rel=1e-14)
    assert np.isnan(out.distance).all()


def test_matching_is_the_best_over_all() -> None:
    """Every way to pair three treated with five others, written out."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(8, 6)).cumsum(axis=1)
    panel = Panel(np.arange(8), np.arange(6), {"y": y}, {"adoption": np.where(np.arange(8) < 3, 4.0, INF)})
    out = cluster_effects(panel, Design("y"))
    before = y[:, :4] - y[:, :4].mean(axis=1, keepdims=True)
    cost = {
        pick: sum(np.square(before[i] - before[k]).mean() for i, k in enumerate(pick))
        for pick in itertools.permutations(range(3, 8), 3)
    }
    best = min(cost, key=lambda pick: cost[pick])
    assert out.comparison == tuple((str(k),) for k in best)
    assert np.square(out.distance).sum() == pytest.approx(cost[best])


def test_changes_by_hand_with_sizes() -> None:
    panel = Panel(
        np.arange(4),
        np.arange(1, 4),
        {"y": np.array([[0.0, 1.0, 5.0], [4.0, 3.0, 9.0], [1.0, 1.0, 1.0], [np.nan, 2.0, 5.0]])},
        {
            "adoption": np.array([3, 3, INF, INF]),
            "g": np.array(["x", "x", "y", "z"]),
            "w": np.array([1.0, 3, 2, 2]),
        },
    )
    out = cluster_changes(panel, Design("y", cluster="g", weight="w"))
    # x: period means 3, 2.5, 8 → 8 − 2.75; y: 0; z: 5 − 2
    np.testing.assert_allclose(out.values, [5.25, 0.0, 3.0])
    np.testing.assert_allclose(out.size, [4.0, 2.0, 2.0])
    assert out.treated.tolist() == [True, False, False]
    plain = cluster_changes(panel.select([0, 2, 3]), Design("y"))
    found = permutation_t(plain.values, plain.treated)
    assert found.coefficient == pytest.approx(4.5 - 1.5)


def test_sign_changes_by_hand() -> None:
    """3, −1, 2: |Σ| = 4; the eight sums are ±4, ±6, ±2, 0, 0, so four are as large: p = 1/2."""
    out = sign_changes([3.0, -1.0, 2.0])
    assert (out.p_value, out.smallest_p, out.exact) == (0.5, 0.25, True)
    # 1…5, all positive: only the pattern and its mirror image: 2/32
    assert sign_changes([1.0, 2.0, 3.0, 4.0, 5.0]).p_value == 2 / 32


def test_set_of_sign_changes_by_hand() -> None:
    """1, 2, 6: |9 − 3τ| is at most |7 − τ| on [1, 4], |5 − τ| on [2, 3.5], |3 + τ| on [1.5, 6].

    Kept at α = 0.5: with the pattern without a change two of the three, [1.5, 4]; at α = 0.75 all three, [2, 3.5]; at
    α = 0.25 one, [1, 6]; below that every value.
    """
    for level, piece in ((0.5, (1.5, 4.0)), (0.25, (2.0, 3.5)), (0.75, (1.0, 6.0)), (0.8, (-INF, INF))):
        np.testing.assert_allclose(sign_changes([1.0, 2.0, 6.0], level=level).pieces, [piece])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_signs_written_out(seed: int, level: float) -> None:
    x = np.random.default_rng(seed).normal(0.5, 1.0, 7)
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=7)))

    def p(value: float, studentised: bool) -> float:
        z = signs * (x - value)
        size = np.abs(z.mean(axis=1)) / (z.std(axis=1, ddof=1) if studentised else 1.0)
        own = abs((x - value).mean()) / ((x - value).std(ddof=1) if studentised else 1.0)
        return float(np.mean(size >= own * (1 - 1e-10)))

    out = sign_changes(x, level=level, null=0.3)
    assert out.p_value == p(0.3, False) == p(0.3, True)
    ends = [end for piece in out.pieces for end in piece]
    for value in (*np.linspace(-3, 4, 71), *(np.array(ends) + 1e-7), *(np.array(ends) - 1e-7)):
        assert (value in out) == (p(float(value), False) > 1 - level + 1e-12)


def test_many_effects_draw_signs() -> None:
    x = np.random.default_rng(5).normal(0.4, 1.0, 30)
    out = sign_changes(x)
    assert not out.exact
    assert out.notes == ("drawn_assignments",)
    assert out.draws == 9_999
    # close to the t test with so many effects
    assert out.p_value == pytest.approx(float(stats.ttest_1samp(x, 0.0).pvalue), abs=0.02)
    assert out.p_value == sign_changes(x).p_value


def test_one_sample_is_scipy() -> None:
    x = np.array([1.2, -0.3, 2.5, 0.8, 1.9])
    out = ibragimov_muller(x, null=0.2)
    told = stats.ttest_1samp(x, 0.2)
    interval = told.confidence_interval(0.95)
    np.testing.assert_allclose(out.p_value, told.pvalue, rtol=1e-12)
    np.testing.assert_allclose(out.pieces, [(interval.low, interval.high)], rtol=1e-12)


def test_two_samples_have_the_degrees_of_freedom_of_the_smaller() -> None:
    x, z = np.array([3.0, 1.0, 2.5]), np.array([0.2, -0.5, 0.4, 1.1, 0.0])
    out = ibragimov_muller(x, z)
    told = stats.ttest_ind(x, z, equal_var=False)
    assert out.detail["t"] == pytest.approx(float(told.statistic), rel=1e-12)
    assert out.detail["dof"] == 2
    assert out.p_value == pytest.approx(2 * stats.t(2).sf(told.statistic), rel=1e-12)


def worst_size(q: int, alpha: float) -> float:
    """Largest size of the t test over k ≤ q equal variances, the others 0 (where Bakirov & Székely find the extremes).

    t_q² > c² is S²/Σx² > r with r = qc²/(q − 1 + c²), and with k normals S²/Σx² = k t_k²/(k − 1 + t_k²).
    """
    c = float(stdtrit(q - 1, 1 - alpha / 2))
    r = q * c * c / (q - 1 + c * c)
    return max(float(2 * stdtr(k - 1, -math.sqrt(r * (k - 1) / (k - r)))) for k in range(2, q + 1) if k > r)


def test_the_level_holds_for_any_variances_up_to_its_limit() -> None:
    for q in (2, 3, 5, 8, 14, 20, 60):
        assert worst_size(q, 0.05) <= 0.05 * (1 + 1e-9)
        assert worst_size(q, ANY_VARIANCES) <= ANY_VARIANCES * (1 + 1e-9)
    for q in range(2, FEW + 1):
        assert worst_size(q, 0.1) <= 0.1 * (1 + 1e-9)
    assert worst_size(FEW + 1, 0.1) > 0.1 * (1 + 1e-6)
    x = np.arange(FEW + 1) / 7.0
    assert ibragimov_muller(x[:FEW], level=0.9).length > 0
    with pytest.raises(RefusalError, match=r"유의수준 0\.1 에서는"):
        ibragimov_muller(x, level=0.9)
    with pytest.raises(RefusalError, match=r"한도 0\.0833"):
        ibragimov_muller(x[:5], x[5:10], level=0.9)


def test_values_too_large_for_a_distance() -> None:
    panel = provinces()
    huge = panel.with_varying(y=panel.values("y") * 1e200)
    with pytest.raises(DataError, match="너무 커서"):
        cluster_effects(huge, Design("y"))
