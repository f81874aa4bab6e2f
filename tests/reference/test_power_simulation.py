"""Simulated power: the array tests against the panel functions simulation by simulation, and closed forms.

Decisions must agree one by one (they are booleans); estimates and half-widths to 1e-9. The analytic formula is compared
with dense matrices (1e-12), with diff_diff 3.13 (1e-12), and with the power that it promises by simulation.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import comb

import numpy as np
import pytest
from scipy.special import nctdtr, stdtrit

from evalkit.aggregate import overall
from evalkit.arrays import power_draws as draws
from evalkit.checks import before_adoption, leading_rule, serial_mde, simulated_power
from evalkit.checks._power_setting import Asked, setting_of
from evalkit.checks._power_tests import collapsed_decisions
from evalkit.checks._power_trials import panel_decisions
from evalkit.checks.serial_power import serial_variance
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.poisson import poisson_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import bias_reduced, cluster_counts, cluster_jackknife, headline, wider
from evalkit.inference.randomisation import randomisation_test
from evalkit.interval_set import IntervalSet
from evalkit.panel import Panel

SIZES = np.array([0.0, 0.5, 1.0, 2.0])


def provinces(
    clusters: int = 10,
    treated: int = 4,
    periods: int = 8,
    seed: int = 0,
    units: bool = False,
    weighted: bool = False,
) -> Panel:
    """Province paths with serial correlation; with ``units`` two to five units in each."""
    rng = np.random.default_rng(seed)
    path = rng.normal(size=(clusters, periods)).cumsum(axis=1) * 0.5 + 5
    cluster = np.arange(clusters)
    if units:
        cluster = np.repeat(cluster, rng.integers(2, 6, clusters))
    y = path[cluster] + rng.normal(size=(len(cluster), periods)) * 0.5
    adoption = np.where(cluster < treated, 2020.0, np.inf)
    fixed = {"adoption": adoption, "c": cluster, "dose": np.where(cluster < treated, 1.0 + cluster, 0.0)}
    if weighted:
        fixed["w"] = rng.uniform(0.5, 2, len(cluster))
    return Panel(np.arange(len(cluster)), np.arange(2020 - periods, 2020), {"y": y}, fixed)


DESIGN = Design("y", cluster="c")


def fit(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design)


RULES = {
    "CV3-t": lambda est, panel, design: cluster_jackknife(est),
    "CR2-BM": lambda est, panel, design: bias_reduced(est),
    "wider": lambda est, panel, design: wider(cluster_jackknife(est), bias_reduced(est)),
}


# -- assignments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "block"),
    [
        ([0, 0, 1, 1, 1], [0, 0, 0, 0, 0]),
        ([0, 1, 2, 2, 0, 1], [0, 0, 0, 0, 0, 0]),
        ([0, 1, 1, 0, 2, 2], [0, 0, 0, 1, 1, 1]),
        ([1], [0]),
    ],
)
def test_every_distinct_assignment_once(codes: list[int], block: list[int]) -> None:
    code, blocks = np.array(codes), np.array(block)
    found = draws.all_assignments(code, blocks)
    parts = [sorted(set(itertools.permutations(code[blocks == b]))) for b in np.unique(blocks)]
    wanted = set()
    for pick in itertools.product(*parts):
        row = np.empty(len(code), dtype=int)
        for b, values in zip(np.unique(blocks), pick, strict=True):
            row[blocks == b] = values
        wanted.add(tuple(row.tolist()))
    assert {tuple(row) for row in found.tolist()} == wanted
    assert len(found) == len(wanted) == draws.assignments_count(code, blocks)


def test_drawn_assignments_keep_counts_and_are_alike() -> None:
    codes, block = np.array([0, 0, 1, 1, 2, 0, 1]), np.array([0, 0, 0, 0, 0, 1, 1])
    found = draws.random_assignments(codes, block, 6000, seed=1)
    for b in (0, 1):
        assert (np.sort(found[:, block == b], axis=1) == np.sort(codes[block == b])).all()
    _, counts = np.unique(found, axis=0, return_counts=True)
    assert len(counts) == draws.assignments_count(codes, block) == 60
    # χ²(59) below its 99.9 % quantile of about 98
    assert ((counts - 100) ** 2 / 100).sum() < 98
    np.testing.assert_array_equal(found[:10], draws.random_assignments(codes, block, 6000, seed=1)[:10])


def test_units_change_places_within_their_cluster_where_it_is_mixed() -> None:
    """Two pure clusters exchange, the third keeps its own units."""
    codes, cluster = np.array([1, 1, 0, 0, 1, 0, 0]), np.array([0, 0, 1, 1, 2, 2, 2])
    slot, actual, block = draws.slots_of(codes, cluster, np.zeros(7, dtype=np.int64))
    assert draws.assignments_count(actual, block) == 2 * 3
    units = draws.all_assignments(actual, block)[:, slot]
    assert (units[:, :2] == units[:, [0]]).all()
    assert (units[:, 0] + units[:, 2] == 1).all()
    assert (units[:, 4:].sum(axis=1) == 1).all()
    np.testing.assert_array_equal(actual[slot], codes)


# -- the array tests against the panel functions -----------------------------------------------------


@pytest.mark.parametrize("kind", ["additive", "multiplicative", "dose"])
@pytest.mark.parametrize("units", [False, True])
@pytest.mark.parametrize("rule", ["CV3-t", "CR2-BM", "wider"])
def test_the_array_tests_are_the_panel_tests(rule: str, units: bool, kind: str) -> None:
    panel = provinces(units=units, seed=3)
    asked = Asked(2, 3, kind, "dose" if kind == "dose" else None, None, 60, 1)  # type: ignore[arg-type]
    setting = setting_of(panel, DESIGN, asked)
    sizes = SIZES if kind == "additive" else SIZES / 4
    fast, estimates = collapsed_decisions(DESIGN, setting, rule, sizes, 0.95, 99, 1)
    slow = panel_decisions(DESIGN, setting, fit, RULES[rule], sizes, 0.95)
    np.testing.assert_allclose(estimates, slow.estimates, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(fast, slow.rejected)
    assert 0 < fast.mean() < 1


@pytest.mark.parametrize("weighted", [False, True])
def test_half_widths_are_those_of_the_estimate(weighted: bool) -> None:
    panel = provinces(units=True, weighted=weighted, seed=5)
    design = replace(DESIGN, weight="w" if weighted else None)
    setting = setting_of(panel, design, Asked(3, 5, simulations=50))
    cluster = panel.clusters("c")[0]
    size = np.bincount(cluster, setting.weight)
    means = draws.cluster_means(panel.values("y"), setting.weight, cluster, size)
    change = means[:, 5:].mean(axis=1) - means[:, :5].mean(axis=1)
    treated = np.arange(10) < 4
    est = fit(panel.with_fixed(adoption=np.where(cluster < 4, 2017.0, np.inf)), design)
    assert draws.differences(change, treated, size) == pytest.approx(est.values[0], rel=1e-10)
    for reach, other in (
        (draws.jackknife_reach, cluster_jackknife(est)),
        *([] if weighted else [(draws.bias_reduced_reach, bias_reduced(est))]),
    ):
        row = other.table(0.9).iloc[0]
        half = (row["conf_high"] - row["conf_low"]) / 2
        assert reach(change, treated, size, 0.9) == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize("units", [False, True])
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_permutation_p_values_are_those_of_the_test(units: bool, effect: float) -> None:
    """All 45 assignments of 2 to 10, exactly; against `randomisation_test`."""
    panel = provinces(treated=2, units=units, seed=7)
    setting = setting_of(panel, DESIGN, Asked(3, 5, simulations=50))
    cluster = panel.clusters("c")[0]
    size = np.bincount(cluster, setting.weight)
    means = draws.cluster_means(panel.values("y"), setting.weight, cluster, size)
    change = means[:, 5:].mean(axis=1) - means[:, :5].mean(axis=1)
    treated = np.arange(10) < 2
    reference = draws.all_assignments(treated.astype(np.int64), np.zeros(10, dtype=np.int64)) == 1
    p = draws.permutation_p((change + effect * treated)[None], treated[None], size, reference, drawn=False)
    placebo = panel.with_fixed(adoption=np.where(cluster < 2, 2017.0, np.inf))
    moved = placebo.with_varying(
        y=panel.values("y") + effect * ((cluster < 2)[:, None] & (panel.periods >= 2017))
    )
    wanted = randomisation_test(moved, DESIGN, interval=False)
    assert wanted.exact
    assert p[0] == pytest.approx(wanted.p_value, abs=1e-12)
    assert len(reference) == comb(10, 2)


def test_drawn_permutations_count_the_actual_assignment() -> None:
    rng = np.random.default_rng(0)
    change, treated = rng.normal(size=(3, 8)) + 50 * (np.arange(8) < 3), np.tile(np.arange(8) < 3, (3, 1))
    reference = draws.random_assignments(treated[0].astype(np.int64), np.zeros(8, dtype=np.int64), 99, 4) == 1
    same = (reference == treated[0]).all(axis=1).sum()
    p = draws.permutation_p(change, treated, np.ones(8), reference, drawn=True)
    np.testing.assert_allclose(p, (1 + same) / 100)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = provinces(seed=2)
    whole = simulated_power(panel, DESIGN, decide="RI-t", effects=SIZES, after=2, before=3, simulations=60)
    monkeypatch.setattr(draws, "BLOCK", 1000)
    again = simulated_power(panel, DESIGN, decide="RI-t", effects=SIZES, after=2, before=3, simulations=60)
    np.testing.assert_array_equal(whole.power, again.power)


# -- any estimator, any rule -------------------------------------------------------------------------


def by_hand(panel: Panel, design: Design, method, rule, sizes, *, simulations: int, kind: str = "additive"):  # type: ignore[no-untyped-def]
    """The explicit loop: a new outcome, a new estimate and a new test for each simulation and effect size."""
    setting = setting_of(panel, design, Asked(2, 3, kind, simulations=simulations, seed=9))  # type: ignore[arg-type]
    out = np.zeros((simulations, len(sizes)), dtype=bool)
    for s in range(simulations):
        window = panel.select(periods=panel.periods[setting.window[s] : setting.window[s] + 5])
        offset = setting.offset[setting.codes[setting.pick[s]][setting.slot]]
        dates = np.where(offset <= 1, window.periods[3] + offset, np.inf)
        on = window.periods >= dates[:, None]
        for k, effect in enumerate(sizes):
            y = (
                window.values("y") * (1 + effect * on)
                if kind == "multiplicative"
                else window.values("y") + effect * on
            )
            trial = window.with_fixed(adoption=dates).with_varying(y=y)
            row = rule(method(trial, design), trial, design).table(0.95).iloc[0]
            out[s, k] = row["conf_low"] > 0 or row["conf_high"] < 0
    return out


def staggered(panel: Panel) -> Panel:
    cluster = panel.constant("c")
    return panel.with_fixed(adoption=np.where(cluster < 2, 2020.0, np.where(cluster < 5, 2021.0, np.inf)))


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_staggered_effects_equal_the_explicit_loop(kind: str) -> None:
    def method(panel: Panel, design: Design) -> Estimate:
        return overall(group_time_effects(panel, design))

    panel = staggered(provinces(units=True, seed=11))
    sizes = SIZES if kind == "additive" else SIZES / 4
    rule = RULES["CV3-t"]
    curve = simulated_power(
        panel,
        DESIGN,
        method,
        rule,
        sizes,
        after=2,
        before=3,
        simulations=50,
        seed=9,
        kind=kind,  # type: ignore[arg-type]
    )
    wanted = by_hand(panel, DESIGN, method, rule, sizes, simulations=50, kind=kind)
    np.testing.assert_allclose(curve.power, wanted.mean(axis=0))
    assert "refitted" not in curve.notes
    assert curve.power[-1] > 0


def test_firms_supported_within_provinces_equal_the_explicit_loop() -> None:
    """Every province holds both kinds: firms change places within theirs, in numbers that stay."""
    rng = np.random.default_rng(13)
    cluster = np.repeat(np.arange(6), 5)
    y = rng.normal(size=(6, 8))[cluster] + rng.normal(size=(30, 8))
    adoption = np.where(np.tile(np.arange(5), 6) < 2, 2020.0, np.inf)
    panel = Panel(np.arange(30), np.arange(2012, 2020), {"y": y}, {"adoption": adoption, "c": cluster})
    setting = setting_of(panel, DESIGN, Asked(2, 3, simulations=50, seed=9))
    assert setting.n_assignments == comb(5, 2) ** 6
    for s in range(50):
        on = np.isfinite(setting.offset)[setting.units_codes(s)]
        np.testing.assert_array_equal(np.bincount(cluster, on), np.full(6, 2))
    curve = simulated_power(
        panel, DESIGN, fit, RULES["CV3-t"], SIZES, after=2, before=3, simulations=50, seed=9
    )
    wanted = by_hand(panel, DESIGN, fit, RULES["CV3-t"], SIZES, simulations=50)
    np.testing.assert_allclose(curve.power, wanted.mean(axis=0))
    assert curve.power[-1] > curve.power[0]


def test_judgements_of_every_kind_agree() -> None:
    """An estimate, its interval as a set, and a bare decision."""
    panel = provinces(seed=4)

    def as_set(est: Estimate, panel: Panel, design: Design) -> IntervalSet:
        row = cluster_jackknife(est).table(0.95).iloc[0]
        return IntervalSet(est.values[0], ((row["conf_low"], row["conf_high"]),), 0.95, row["p_value"], "t")

    def as_bool(est: Estimate, panel: Panel, design: Design) -> bool:
        return bool(cluster_jackknife(est).table(0.95).iloc[0]["p_value"] < 0.05)

    found = [
        simulated_power(panel, DESIGN, fit, rule, SIZES, after=2, before=3, simulations=60)
        for rule in (RULES["CV3-t"], as_set, as_bool)
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].power, other.power)
    assert ["refitted" in curve.notes for curve in found] == [False, False, True]


def test_a_method_that_does_not_move_with_the_effect_is_estimated_again() -> None:
    """A Poisson ratio is not linear in the outcome."""
    panel = provinces(seed=6)
    curve = simulated_power(
        panel,
        DESIGN,
        lambda p, d: poisson_effects(p, replace(d, link="ratios")).select([0]),
        RULES["CV3-t"],
        [1.0, 4.0],
        after=2,
        before=3,
        simulations=50,
    )
    assert "refitted" in curve.notes
    assert curve.power[-1] > curve.power[0]


@pytest.mark.parametrize("treated", [1, 3, 5])
@pytest.mark.parametrize("with_fit", [False, True])
def test_the_leading_rule_is_the_headline(treated: int, with_fit: bool) -> None:
    """What leads, and its bounds, as `headline` gives them with all its companions."""
    from evalkit.inference.refit import Refits

    panel = provinces(14, treated, seed=8).with_fixed(
        adoption=np.where(np.arange(14) < treated, 2017.0, np.inf)
    )
    est = fit(panel, DESIGN)
    chosen = fit if with_fit else None
    found = leading_rule(chosen, draws=499)(est, panel, DESIGN)
    refits = Refits(panel, DESIGN, fit, draws=499) if with_fit else None
    whole = headline(est, cluster_counts(est, panel.constant("adoption")), refits=refits)
    wanted = whole.first(0.95)
    if isinstance(found, IntervalSet):
        assert (found.low, found.high) == (wanted["conf_low"], wanted["conf_high"])
    else:
        assert isinstance(found, Estimate)
        row = found.table(0.95).iloc[0]
        np.testing.assert_allclose(
            [row["conf_low"], row["conf_high"]], [wanted["conf_low"], wanted["conf_high"]]
        )


# -- closed forms ------------------------------------------------------------------------------------


def test_power_of_independent_errors_is_the_noncentral_t() -> None:
    """CR2 with equal groups is the pooled t-test with J − 2 degrees of freedom; many windows of normal noise."""
    rng = np.random.default_rng(1)
    j, m, r = 12, 2, 2
    y = rng.normal(size=(j, 400))
    panel = Panel(
        np.arange(j),
        np.arange(400),
        {"y": y},
        {"adoption": np.where(np.arange(j) < 6, 400.0, np.inf), "c": np.arange(j)},
    )
    effects = np.array([0.0, 0.8, 1.2, 1.6])
    curve = simulated_power(
        panel, DESIGN, decide="CR2-BM", effects=effects, after=r, before=m, simulations=4000
    )
    se = np.sqrt((1 / m + 1 / r) * (2 / 6))
    t = stdtrit(10, 0.975)
    wanted = 1 - nctdtr(10, effects / se, t) + nctdtr(10, effects / se, -t)
    # 4,000 simulations: one standard error is 0.8 points at most; windows overlap, so four are allowed
    np.testing.assert_allclose(curve.power, wanted, atol=0.032)
    assert curve.windows == 397


def test_the_whole_set_is_taken_where_it_is_small() -> None:
    panel = provinces(6, 2, 5, seed=1)
    curve = simulated_power(panel, DESIGN, decide="RI-t", effects=SIZES, after=2, before=3)
    assert curve.exact
    assert (curve.simulations, curve.assignments, curve.windows) == (15, 15, 1)
    assert (curve.error == 0).all()
    assert curve.smallest_low == curve.smallest_high or np.isnan(curve.smallest)
    assert "one_window" in curve.notes


def test_crossings_by_hand() -> None:
    effects = np.array([0.0, 1.0, 2.0, 3.0])
    power = np.array([[0.1, 0.4, 0.9, 1.0], [0.9, 1, 1, 1], [0, 0, 0, 0.1], [0, 0.8, 0.7, 1]])
    np.testing.assert_allclose(draws.crossing(effects, power, 0.8), [1.8, 0.0, np.nan, 1.0])


def test_the_interval_of_the_crossing_covers_its_chance() -> None:
    """200 sets of 300 simulations from a known curve: about 95 % of intervals hold the true crossing."""
    effects = np.linspace(0, 3, 13)
    truth = effects / 3
    held = 0
    for i in range(200):
        u = np.random.default_rng([3, i]).random((300, 1))
        low, high = draws.crossing_interval(effects, u < truth, 0.8, seed=i, draws=200)
        held += low <= 2.4 <= high
    assert 180 <= held <= 200


def test_the_bracket_is_the_variance_of_the_contrast() -> None:
    """c'Ωc with dense matrices, whatever the periods before the window that the means are taken over."""
    rng = np.random.default_rng(2)
    root = rng.normal(size=(5, 5))
    omega = root @ root.T
    m, r = 3, 2
    c = np.concatenate([np.full(m, -1 / m), np.full(r, 1 / r)])
    b, a = omega[:m, :m], omega[m:, m:]
    psi = (
        (b.sum() - np.trace(b)) / (m * (m - 1)),
        (a.sum() - np.trace(a)) / (r * (r - 1)),
        omega[:m, m:].mean(),
    )
    found = serial_variance((np.trace(b) / m, np.trace(a) / r), psi, m, r)
    assert found == pytest.approx(c @ omega @ c, rel=1e-12)
    middle = np.eye(5) - 1 / 5
    assert c @ middle @ omega @ middle @ c == pytest.approx(c @ omega @ c, rel=1e-12)


@pytest.mark.peer
def test_equal_correlations_are_diff_diffs() -> None:
    power = pytest.importorskip("diff_diff.power")
    for m, r, rho in ((4, 3, 0.3), (1, 1, 0.5), (5, 2, 0.0)):
        theirs = power.PowerAnalysis()._compute_variance(
            6, 8, m, r, 2.0, rho, design="panel" if m + r > 2 else "basic_did"
        )
        cov = rho * 4.0
        ours = serial_variance((4.0, 4.0), (cov, cov, cov), m, r) * (1 / 6 + 1 / 8)
        assert ours == pytest.approx(theirs, rel=1e-12)


def ar1(rng: np.random.Generator, units: int, periods: int, rho: float) -> np.ndarray:
    e = rng.normal(size=(units, periods))
    for t in range(1, periods):
        e[:, t] = rho * e[:, t - 1] + np.sqrt(1 - rho**2) * e[:, t]
    return e


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_the_estimated_variance_is_unbiased_in_small_samples(rho: float) -> None:
    """Eight clusters, five periods, unit and period effects: the mean of std_error² is the truth."""
    m, r, j = 3, 2, 8
    c = np.concatenate([np.full(m, -1 / m), np.full(r, 1 / r)])
    omega = rho ** np.abs(np.subtract.outer(np.arange(m + r), np.arange(m + r))) if rho else np.eye(m + r)
    truth = float(c @ omega @ c) * (1 / 3 + 1 / 5)
    found = []
    for i in range(1500):
        rng = np.random.default_rng([8, i])
        y = ar1(rng, j, m + r, rho) + rng.normal(size=(j, 1)) * 5 + rng.normal(size=m + r) * 3
        panel = Panel(
            np.arange(j), np.arange(m + r), {"y": y}, {"adoption": np.where(np.arange(j) < 3, 10.0, np.inf)}
        )
        found.append(serial_mde(panel, Design("y"), before=m, after=r).std_error ** 2)
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(truth, abs=4 * error)
    # uncorrected it would be off by 1/8, which this many draws see
    assert abs(np.mean(found) * 7 / 8 - truth) > 4 * error


def test_the_formula_reaches_the_power_that_it_promises() -> None:
    """The true bracket's smallest effect is found four times out of five by the pooled t-test."""
    m, r, j, rho = 4, 3, 14, 0.6
    c = np.concatenate([np.full(m, -1 / m), np.full(r, 1 / r)])
    omega = rho ** np.abs(np.subtract.outer(np.arange(m + r), np.arange(m + r)))
    se = np.sqrt(c @ omega @ c * (1 / 6 + 1 / 8))
    effect = (stdtrit(j - 2, 0.8) + stdtrit(j - 2, 0.975)) * se
    e = ar1(np.random.default_rng(4), 8000 * j, m + r, rho).reshape(8000, j, m + r) @ c
    a, b = e[:, :6] + effect, e[:, 6:]
    pooled = (a.var(axis=1, ddof=1) * 5 + b.var(axis=1, ddof=1) * 7) / 12
    t = (a.mean(axis=1) - b.mean(axis=1)) / np.sqrt(pooled * (1 / 6 + 1 / 8))
    assert (np.abs(t) > stdtrit(12, 0.975)).mean() == pytest.approx(0.8, abs=0.02)


def test_the_formula_and_the_simulation_agree_on_a_long_history() -> None:
    rng = np.random.default_rng(6)
    panel = Panel(
        np.arange(14),
        np.arange(60),
        {"y": ar1(rng, 14, 60, 0.6)},
        {"adoption": np.where(np.arange(14) < 6, 60.0, np.inf), "c": np.arange(14)},
    )
    formula = serial_mde(panel, DESIGN, before=4, after=3)
    effects = formula.smallest * np.linspace(0, 2, 21)
    curve = simulated_power(
        panel, DESIGN, decide="CR2-BM", effects=effects, after=3, before=4, simulations=3000
    )
    assert curve.smallest == pytest.approx(formula.smallest, rel=0.08)


def test_only_the_periods_before_are_kept() -> None:
    panel = provinces()
    whole = Panel(
        panel.units,
        np.arange(2012, 2023),
        {"y": np.hstack([panel.values("y"), np.ones((10, 3))])},
        dict(panel.fixed),
    )
    cut = before_adoption(whole, DESIGN)
    np.testing.assert_array_equal(cut.periods, panel.periods)
    earlier = before_adoption(whole, replace(DESIGN, anticipation=2))
    assert earlier.periods[-1] == 2017


def test_anticipation_leaves_a_gap_between_before_and_after() -> None:
    panel = provinces(periods=9, seed=12)
    design = replace(DESIGN, anticipation=1)
    cut = before_adoption(panel, design)
    fast = simulated_power(cut, design, decide="CV3-t", effects=SIZES, after=2, before=3, simulations=60)
    slow = simulated_power(cut, design, fit, RULES["CV3-t"], SIZES, after=2, before=3, simulations=60)
    np.testing.assert_array_equal(fast.power, slow.power)
    assert fast.windows == 8 - 6 + 1
