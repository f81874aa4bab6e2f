"""Ferman–Pinto, its version through estimator weights, Conley–Taber and the band against explicit loops and enumeration.

Everything is deterministic given the draws, so tolerances are rounding (1e-10), and p-values are equal.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from evalkit.aggregate import event_study, overall
from evalkit.arrays.residual_paths import (
    NullImposed,
    Scales,
    affine_set,
    residual_shares,
    two_way_paths,
    variance_law,
)
from evalkit.arrays.studentised_paths import studentised
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.imputation import imputation_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import (
    conley_taber,
    estimator_weights,
    ferman_pinto,
    ferman_pinto_collapsed,
    few_treated_band,
)
from evalkit.inference.few_treated import null_imposed
from evalkit.panel import Panel

SIZES = np.array([33, 24, 14, 14.5, 11, 3.8, 15, 16])


def panel_of(seed: int = 5, *, effect: float = 0.0) -> Panel:
    """Eight provinces over six years, cohorts 3 and 4 (1 + 1 provinces), spread ∝ 1/√size."""
    rng = np.random.default_rng(seed)
    adoption = np.array([3.0, 4.0, *[np.inf] * 6])
    y = rng.normal(size=(8, 6)) * 4 / np.sqrt(SIZES)[:, None]
    y = y + effect * (np.arange(6) >= adoption[:, None]) + rng.normal(size=(8, 1)) + np.arange(6)
    return Panel(
        np.arange(8), np.arange(6), {"y": y}, {"adoption": adoption, "size": SIZES, "p": np.arange(8)}
    )


def by_cohorts(panel: Panel, design: Design) -> Estimate:
    return overall(group_time_effects(panel, design))


def by_imputation(panel: Panel, design: Design) -> Estimate:
    return imputation_effects(panel, design, by="overall")


def loop_of_draws(
    v: np.ndarray,
    y: np.ndarray,
    shift: np.ndarray,
    size: np.ndarray,
    null: float,
    flat: np.ndarray,
    rule: str,
) -> np.ndarray:
    """θ* of every draw, cluster by cluster, straight from the formulas."""
    g, periods = y.shape
    under = y - null * shift
    e = np.empty_like(y)
    for c in range(g):
        for t in range(periods):
            e[c, t] = under[c, t] - under[c].mean() - under[:, t].mean() + under.mean()
    z = (1 / size) / np.mean(1 / size)
    if rule == "exact":
        a = np.array([1 - 2 / g + g * (1 / g) ** 2 for _ in range(g)])
        b = np.array([z[c] * (1 - 2 / g) + sum(z[j] / g**2 for j in range(g)) for c in range(g)])
        rounds = 6
    else:
        a, b, rounds = np.full(g, (g - 1) / g), z * (g - 1) / g, 1
    squares = np.array([(e[c] ** 2).sum() for c in range(g)])
    weight = np.ones(g)
    for _ in range(rounds):
        design = np.stack([a, b], axis=1) * np.sqrt(weight)[:, None]
        target = squares * np.sqrt(weight)
        free = np.linalg.lstsq(design, target, rcond=None)[0]
        if (free >= 0).all():
            law = free
        else:  # the better corner of the quarter plane
            corners = [np.array([target @ design[:, 0] / (design[:, 0] @ design[:, 0]), 0.0])]
            corners.append(np.array([0.0, target @ design[:, 1] / (design[:, 1] @ design[:, 1])]))
            law = min(corners, key=lambda x: float(((target - design @ x) ** 2).sum()))
        fit = law[0] * a + law[1] * b
        weight = 1 / np.maximum(fit / fit.max(), 1e-6) ** 2
    q, s = np.sqrt(law[0] + law[1] * z), np.sqrt(law[0] * a + law[1] * b)
    out = np.zeros(len(flat))
    for draw, picked in enumerate(flat - np.arange(g) * g):
        for c, k in enumerate(picked):
            out[draw] += q[c] * sum(v[c, t] * e[k, t] for t in range(periods)) / s[k]
    return out


@pytest.mark.parametrize("rule", ["exact", "plain"])
@pytest.mark.parametrize("fit", [by_cohorts, by_imputation])
@pytest.mark.parametrize("null", [0.0, 0.7])
def test_the_p_value_is_that_of_the_loop(rule: str, fit: object, null: float) -> None:
    panel, design = panel_of(effect=0.5), Design("y", cluster="p")
    found = ferman_pinto(panel, design, fit, size="size", rule=rule, draws=299, null=null)  # type: ignore[arg-type]
    weights = estimator_weights(panel, design, fit)  # type: ignore[arg-type]
    v, y = weights.by_cluster[0], panel.values("y")
    shift = (panel.periods >= panel.constant("adoption")[:, None]).astype(float)
    test = null_imposed(v, y, shift, SIZES, draws=299, seed=[20180301, 1], rule=rule)
    expected = loop_of_draws(v, y, shift, SIZES, null, test.flat, rule)
    np.testing.assert_allclose(test.draws_at(null)[0], expected, atol=1e-10)
    gap = abs(found.estimate - null)
    assert found.p_value == (1 + (np.abs(expected) >= gap).sum()) / 300
    assert found.detail["std_error"] == pytest.approx(expected.std(), rel=1e-9)


def test_draws_are_right_on_average_over_all_combinations() -> None:
    """Four clusters, two periods: all 4⁴ sums by enumeration hold every draw, and have the mean and variance of θ*."""
    rng = np.random.default_rng(2)
    y = rng.normal(size=(4, 2))
    v = np.array([[-1.0, 1.0], [1 / 3, -1 / 3], [1 / 3, -1 / 3], [1 / 3, -1 / 3]])
    shift = np.zeros((4, 2))
    shift[0, 1] = 1
    test = null_imposed(v, y, shift, None, draws=20_000, seed=1)
    found, matrix = test.draws_at(0.0)
    everything = np.array([sum(matrix[c, k] for c, k in enumerate(ks)) for ks in product(range(4), repeat=4)])
    e = two_way_paths(y)
    by_hand = np.array([[v[c] @ e[k] * np.sqrt(4 / 3) for k in range(4)] for c in range(4)])
    np.testing.assert_allclose(matrix, by_hand, atol=1e-13)
    nearest = np.abs(found[:, None] - everything[None, :]).min(axis=1)
    assert nearest.max() < 1e-12
    assert found.mean() == pytest.approx(everything.mean(), abs=4 * everything.std() / np.sqrt(20_000))
    gap = abs(test.estimate)
    exact = (np.abs(everything) >= gap * (1 - 1e-12)).mean()
    assert test.counts(np.zeros(1))[0] / 20_000 == pytest.approx(exact, abs=4 * np.sqrt(0.25 / 20_000))


def test_the_interval_with_one_variance_is_exact() -> None:
    """Endpoints by the sweep: the p-value is at the level there and under it a hair outside; a fine grid agrees."""
    panel, design = panel_of(effect=0.5), Design("y", cluster="p")
    found = ferman_pinto(panel, design, by_cohorts, variance="constant", draws=199, level=0.8)
    v = estimator_weights(panel, design, by_cohorts).by_cluster[0]
    shift = (panel.periods >= panel.constant("adoption")[:, None]).astype(float)
    test = null_imposed(v, panel.values("y"), shift, None, draws=199, seed=[20180301, 1])
    grid = np.linspace(found.estimate - 8, found.estimate + 8, 4001)
    inside = (1 + test.counts(grid)) / 200 >= 0.2 * (1 - 1e-12)
    assert inside.any()
    assert not inside.all()
    np.testing.assert_array_equal(inside, [x in found for x in grid])
    for low, high in found.pieces:
        for edge, step in ((low, -1e-9), (high, 1e-9)):
            if np.isfinite(edge):
                near = (1 + test.counts(np.array([edge - step, edge + step]))) / 200
                assert near[0] >= 0.2 * (1 - 1e-12)
                assert near[1] < 0.2


def test_the_interval_with_a_law_in_size_agrees_with_a_grid() -> None:
    panel, design = panel_of(effect=0.5), Design("y", cluster="p")
    found = ferman_pinto(panel, design, by_cohorts, size="size", draws=199, level=0.8)
    v = estimator_weights(panel, design, by_cohorts).by_cluster[0]
    shift = (panel.periods >= panel.constant("adoption")[:, None]).astype(float)
    test = null_imposed(v, panel.values("y"), shift, SIZES, draws=199, seed=[20180301, 1])
    grid = np.linspace(found.estimate - 8, found.estimate + 8, 801)
    inside = (1 + test.counts(grid)) / 200 >= 0.2 * (1 - 1e-12)
    assert (inside != np.array([x in found for x in grid])).mean() < 0.005
    assert (1 + test.counts(np.array([found.low]))[0]) / 200 >= 0.2 * (1 - 1e-12)
    assert (1 + test.counts(np.array([found.high]))[0]) / 200 >= 0.2 * (1 - 1e-12)


def test_affine_sets_hold_gaps_and_rays() -> None:
    """A draw that moves faster than the null is far on both sides: its set is all but a gap."""
    assert affine_set(np.array([3.0]), np.array([2.0]), 0.0, 1) == [(-np.inf, 1.0), (3.0, np.inf)]
    assert affine_set(np.array([1.0]), np.array([0.0]), 0.0, 1) == [(-1.0, 1.0)]
    assert affine_set(np.array([1.0, 1.0]), np.array([0.0, 0.0]), 0.0, 3) == []
    rng = np.random.default_rng(1)
    first, slope = rng.normal(size=41), rng.normal(size=41)
    for need in (5, 20, 30):
        pieces = affine_set(first, slope, 0.4, need)
        for x in np.linspace(-6, 6, 601):
            count = (np.abs(first - x * slope) >= abs(0.4 - x)).sum()
            assert any(low <= x <= high for low, high in pieces) == (count >= need)


def test_an_effect_without_bound_gets_the_smallest_p_value() -> None:
    panel, design = panel_of(), Design("y", cluster="p")
    after = panel.periods >= panel.constant("adoption")[:, None]
    small = ferman_pinto(panel, design, by_cohorts, size="size", draws=499)
    for effect in (1e7, -1e7):
        large = panel.with_varying(y=panel.values("y") + effect * after)
        found = ferman_pinto(large, design, by_cohorts, size="size", draws=499)
        assert found.p_value == pytest.approx(small.smallest_p, abs=1e-12)
    assert small.smallest_p > 1 / 500


def test_residual_variances_are_those_of_the_projection() -> None:
    """E[e_k²] from the formula and from the dense projection, for any law."""
    rng = np.random.default_rng(3)
    z = rng.uniform(0.3, 3, 9)
    z /= z.mean()
    a, b = residual_shares(z)
    project = np.eye(9) - 1 / 9
    for constant, slope in ((1.0, 0.0), (0.0, 1.0), (0.7, 2.1)):
        dense = np.diag(project @ np.diag(constant + slope * z) @ project)
        np.testing.assert_allclose(constant * a + slope * b, dense, atol=1e-14)


def test_the_law_is_the_constrained_minimum() -> None:
    """Against scipy's non-negative least squares, with interior solutions and both corners."""
    from scipy.optimize import nnls

    rng = np.random.default_rng(4)
    kinds = set()
    for _ in range(200):
        z = rng.uniform(0.2, 4, 8)
        a, b = residual_shares(z / z.mean())
        squares = rng.exponential(size=8) * rng.choice([1.0, 5.0], 8)
        found = variance_law(squares, a, b)
        expected, _ = nnls(np.stack([a, b], axis=1), squares)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        kinds.add((bool(found[0] > 0), bool(found[1] > 0)))
    assert kinds == {(True, True), (True, False), (False, True)}


# -- comparison donors and the band ------------------------------------------------------------------------------------


def loop_of_ratios(
    v: np.ndarray, y: np.ndarray, donors: np.ndarray, size: np.ndarray, picked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Errors and studentised draws of several terms, draw by draw."""
    z = (1 / size) / np.mean(1 / size)
    scales = Scales(z, donors)

    def error(paths: np.ndarray) -> np.ndarray:
        _, q, s = scales.fit(paths)
        spread = sum(np.outer(e, e) / sk**2 for e, sk in zip(paths, s, strict=True)) / len(donors)
        return np.array([np.sqrt(sum(q[c] ** 2 * w[c] @ spread @ w[c] for c in range(len(y)))) for w in v])

    paths = two_way_paths(y[donors])
    _, q, s = scales.fit(paths)
    out = []
    for ks in picked:
        made = np.array([q[c] * paths[k] / s[k] for c, k in enumerate(ks)])
        own = error(two_way_paths(made[donors]))
        out.append([(w * made).sum() / e for w, e in zip(v, own, strict=True)])
    return error(paths), np.array(out)


def test_the_band_is_that_of_the_loop() -> None:
    panel, design = panel_of(effect=0.5), Design("y", cluster="p")

    def fit(p: Panel, d: Design) -> Estimate:
        return event_study(group_time_effects(p, d))

    weights = estimator_weights(panel, design, fit)
    donors = np.arange(2, 8)
    picked = np.random.default_rng([7, 2]).integers(0, 6, (199, 8))
    at = np.flatnonzero((weights.by_cluster != 0).any(axis=(1, 2)))
    errors, ratios = loop_of_ratios(weights.by_cluster[at], panel.values("y"), donors, SIZES, picked)
    made = studentised(
        weights.by_cluster[at],
        panel.values("y"),
        Scales((1 / SIZES) / np.mean(1 / SIZES), donors),
        199,
        [7, 2],
    )
    np.testing.assert_allclose(made.errors, errors, rtol=1e-10)
    np.testing.assert_allclose(made.ratios, ratios, rtol=1e-8, atol=1e-10)
    found = few_treated_band(panel, design, fit, size="size", draws=199, seed=7, level=0.9)
    largest = np.sort(np.abs(ratios).max(axis=1))
    assert found.critical == pytest.approx(
        largest[-19], rel=1e-9
    )  # (1 + 19)/200 is the level, (1 + 18)/200 under it
    np.testing.assert_allclose(found.low[at], weights.values[at] - found.critical * errors, rtol=1e-8)
    base = list(found.terms.get_level_values(0)).index(-1)
    assert np.isnan(found.std_errors[base])
    observed = np.abs(weights.values[at]) / errors
    assert found.p_value == (1 + (largest >= observed.max()).sum()) / 200
    own = (1 + (np.abs(ratios) >= observed).sum(axis=0)) / 200
    np.testing.assert_array_equal(np.asarray(found.detail["p_values"])[at], own)


def test_one_event_time_is_tested_whatever_the_others_are() -> None:
    """Comparison donors: effects at other event times change nothing but the estimate of their own."""
    panel, design = panel_of(), Design("y", cluster="p", comparison="never")

    def fit(p: Panel, d: Design) -> Estimate:
        found = event_study(group_time_effects(p, d))
        return found.select(np.asarray(found.terms.get_level_values(0)) == 1)

    first = ferman_pinto(panel, design, fit, size="size", draws=499)
    event = (
        panel.periods
        - np.where(np.isinf(panel.constant("adoption")), -99, panel.constant("adoption"))[:, None]
    )
    moved = panel.with_varying(y=panel.values("y") + 50.0 * ((event == 0) | (event == 2)) * (event < 50))
    again = ferman_pinto(moved, design, fit, size="size", draws=499)
    assert first.method == again.method == "FP-v/t"
    assert again.p_value == first.p_value
    np.testing.assert_allclose(again.pieces, first.pieces, atol=1e-9)
    assert first.detail["donors"] == [str(c) for c in range(2, 8)]


# -- as first published ------------------------------------------------------------------------------------------------


def test_conley_taber_by_hand() -> None:
    """Two treated, four comparison clusters, before and after: 16 sums of comparison changes."""
    change = np.array([5.0, 3.0, -1.0, 0.0, 2.0, 3.0])
    y = np.stack([np.zeros(6), change], axis=1)
    panel = Panel(np.arange(6), np.array([0, 1]), {"y": y}, {"adoption": np.array([1, 1, *[np.inf] * 4])})
    found = conley_taber(panel, Design("y"), level=0.6)
    centred = change[2:] - 1.0
    sums = np.sort([(a + b) / 2 for a, b in product(centred, centred)])
    assert found.estimate == pytest.approx(3.0)
    assert found.exact
    assert found.draws == 16
    # two-sided: 2 (1 + number beyond)/17 is at least 0.4 while at least 3 of 16 lie beyond (2·4/17 = 0.47, 2·3/17 = 0.35)
    assert (found.low, found.high) == pytest.approx((3.0 - sums[-3], 3.0 - sums[2]))
    assert found.p_value == pytest.approx(2 * (1 + (sums >= 3.0).sum()) / 17)
    assert found.smallest_p == pytest.approx(2 / 17)
    at_two = conley_taber(panel, Design("y"), null=2.0)
    assert at_two.p_value == pytest.approx(2 * (1 + (sums >= 1.0).sum()) / 17)


def test_conley_taber_with_one_treated_cluster_says_that_it_cannot_reject() -> None:
    rng = np.random.default_rng(1)
    panel = Panel(
        np.arange(14),
        np.arange(6),
        {"y": rng.normal(size=(14, 6))},
        {"adoption": np.array([3.0, *[np.inf] * 13])},
    )
    found = conley_taber(panel, Design("y"))
    assert found.pieces == ((-np.inf, np.inf),)
    assert found.smallest_p == pytest.approx(2 / 14)
    assert {"no_rejection_possible", "one_treated_cluster"} <= set(found.notes)


def test_conley_taber_staggered_uses_the_weights_of_each_treated_cluster() -> None:
    panel, design = panel_of(effect=1.0), Design("y", cluster="p")
    found = conley_taber(panel, design, by_imputation, level=0.8)
    v = estimator_weights(panel, design, by_imputation).by_cluster[0]
    y = panel.values("y")[2:]
    e = y - y.mean(axis=1, keepdims=True)
    e = e - e.mean(axis=0)
    sums = np.sort([v[0] @ e[i] + v[1] @ e[j] for i, j in product(range(6), range(6))])
    need = next(m for m in range(1, 36) if 2 * (1 + m) / 37 >= 0.2)
    assert found.low == pytest.approx(found.estimate - sums[-need])
    assert found.high == pytest.approx(found.estimate - sums[need - 1])
    assert found.draws == 36


def test_ferman_pinto_on_collapsed_outcomes_by_hand() -> None:
    """Five clusters of known sizes: the law by least squares, and every draw from the formulas of the paper."""
    change = np.array([4.0, -1.0, 0.5, 2.0, -0.5])
    size = np.array([2.0, 4.0, 10.0, 5.0, 20.0])
    before = np.arange(5.0)
    y = np.stack([before, before, before + change, before + change + 0.0], axis=1)
    panel = Panel(np.arange(5), np.arange(4), {"y": y}, {"adoption": np.array([2, *[np.inf] * 4]), "m": size})
    found = ferman_pinto_collapsed(panel, Design("y"), size="m", draws=199, seed=3, null=1.0)
    assert found.estimate == pytest.approx(4.0 - change[1:].mean())
    under = change - np.array([1.0, 0, 0, 0, 0])
    w = under - under.mean()
    x = np.stack([np.ones(5), 1 / size], axis=1)
    law = np.linalg.lstsq(x, w**2, rcond=None)[0]
    assert (law > 0).all(), "both coefficients inside, so that least squares is the answer"
    sigma = np.sqrt(x @ law)
    flat = np.random.default_rng([3, 4]).integers(0, 5, (199, 5))
    made = w[flat] / sigma[flat] * sigma
    stars = made[:, 0] - made[:, 1:].mean(axis=1)
    expected = (1 + (np.abs(stars) >= abs(found.estimate - 1.0)).sum()) / 200
    assert found.p_value == expected
    # the law is kept with 1/size scaled to a mean of 1; squares of both halves of the collapsed path are half of W²
    ratio = found.detail["law"][1] / found.detail["law"][0]
    assert ratio == pytest.approx(law[1] * np.mean(1 / size) / law[0])


def test_units_in_clusters_give_what_cluster_means_give() -> None:
    rng = np.random.default_rng(8)
    panel = panel_of(effect=1.0)
    twice = Panel(
        np.arange(16),
        panel.periods,
        {
            "y": np.repeat(panel.values("y"), 2, axis=0)
            + np.tile([[0.3], [-0.3]], (8, 6)) * rng.normal(size=6)
        },
        {"adoption": np.repeat(panel.constant("adoption"), 2), "p": np.repeat(np.arange(8), 2)},
    )
    one = ferman_pinto(panel, Design("y", cluster="p"), by_imputation, draws=499)
    two = ferman_pinto(twice, Design("y", cluster="p"), by_imputation, draws=499)
    np.testing.assert_allclose(one.pieces, two.pieces, atol=1e-9)
    assert one.p_value == two.p_value
    collapsed = ferman_pinto_collapsed(
        twice.with_fixed(adoption=np.where(twice.constant("adoption") == 3, 3.0, np.inf)),
        Design("y", cluster="p"),
        draws=499,
    )
    again = ferman_pinto_collapsed(
        panel.with_fixed(adoption=np.where(panel.constant("adoption") == 3, 3.0, np.inf)),
        Design("y", cluster="p"),
        draws=499,
    )
    np.testing.assert_allclose(collapsed.pieces, again.pieces, atol=1e-9)


def test_two_way_and_group_time_with_one_date_are_the_same_test_after_one_period_each() -> None:
    """Two periods: every estimator is the same difference of means, and so is the test."""
    rng = np.random.default_rng(9)
    panel = Panel(
        np.arange(10),
        np.arange(2),
        {"y": rng.normal(size=(10, 2))},
        {"adoption": np.array([1.0, 1.0, *[np.inf] * 8]), "size": rng.uniform(1, 5, 10)},
    )
    found = [
        ferman_pinto(panel, Design("y"), fit, size="size", draws=299)
        for fit in (two_way_effects, by_cohorts, by_imputation)
    ]
    assert len({f.p_value for f in found}) == 1
    np.testing.assert_allclose(found[1].pieces, found[0].pieces, atol=1e-8)
    plain = ferman_pinto(panel, Design("y"), two_way_effects, size="size", draws=299, rule="plain")
    assert plain.pieces != found[0].pieces


def test_donors_positions_are_read() -> None:
    """`NullImposed` with draws given by hand."""
    y = np.array([[0.0, 2.0], [0.0, 1.0], [0.0, -3.0]])
    v = np.array([[-1.0, 1.0], [0.5, -0.5], [0.5, -0.5]])
    flat = np.array([[0, 3 + 1, 6 + 2], [2, 3 + 2, 6 + 2]])
    test = NullImposed(
        v, two_way_paths(y), np.zeros((3, 2)), 3.0, Scales(np.ones(3), np.arange(3), False, "none"), flat
    )
    # residual changes 2, 1, −3: the first draw is 2 − (1 − 3)/2, the second −3 − (−3 − 3)/2
    np.testing.assert_allclose(test.draws_at(0.0)[0], [3.0, 0.0], atol=1e-12)
    assert test.counts(np.array([0.0, 6.0]))[0] == 1
