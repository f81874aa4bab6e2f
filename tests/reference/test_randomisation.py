"""Randomisation inference against full enumeration in R 4.2.2, re-estimation assignment by assignment, and pyfixest.

R: golden ri_exact_S4 (all assignments of 1 or 3 of 17 regions; coefficient and CR0 t; covariate; shifted null). Statistics
agree to rounding (1e-12), enumerated p-values exactly. Re-estimation: `two_way_effects` for every assignment, coefficients
to 1e-10 and CR0 t to 1e-9. pyfixest 0.60: `feols` for every assignment.
"""

from __future__ import annotations

import itertools
import json
import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shared_files import GOLDEN, needs_golden

from evalkit import aggregate
from evalkit.arrays.cluster import sandwich
from evalkit.arrays.permutations import all_assignments, count_assignments, drawn_assignments, permutation_t
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import cluster_robust
from evalkit.inference.placebo_rank import placebo_rank
from evalkit.inference.randomisation import randomisation_draws, randomisation_test
from evalkit.inference.reassignment import reassignments
from evalkit.panel import Panel

CASES = {
    "S4-3of17": ("y3", "a3", (), 0.0),
    "S4-3of17-x": ("y3", "a3", ("x",), 0.0),
    "S4-1of17": ("y1", "a1", (), 0.0),
    "S4-3of17-shift0.5": ("y3", "a3", (), 0.5),
}


@cache
def golden() -> dict[str, dict[str, Any]]:
    cases = json.loads((GOLDEN / "open" / "ri_exact_S4.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case["result"] for case in cases}


@cache
def s4() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "S4_fewtreated.csv")
    panel = Panel.from_long(
        frame,
        unit="region",
        period="year",
        varying=["y1", "y3", "ys", "x", "pop", "treat1", "treat3", "treats"],
    )
    dates = {}
    for name in ("1", "3", "s"):
        on = panel.values(f"treat{name}") > 0
        dates[f"a{name}"] = np.where(on.any(axis=1), panel.periods[np.argmax(on, axis=1)], np.inf)
    return panel.with_fixed(**dates)


@needs_golden
def test_every_case_is_read() -> None:
    assert set(CASES) == set(golden())


@needs_golden
@pytest.mark.parametrize("case", CASES)
def test_enumeration_is_that_of_r(case: str) -> None:
    outcome, adoption, covariates, null = CASES[case]
    design = Design(outcome, adoption=adoption, covariates=covariates)
    told = golden()[case]
    by_t = randomisation_test(s4(), design, null=null)
    by_size = randomisation_test(s4(), design, statistic="coefficient", null=null)
    assert by_t.exact
    assert by_t.draws == by_size.detail["count"] == told["n_assignments"]
    np.testing.assert_allclose(by_t.detail["coefficient"], told["observed_coef"], rtol=1e-12)
    np.testing.assert_allclose(by_t.detail["t"], told["observed_t_CR0"], rtol=1e-12)
    assert by_t.p_value == by_size.detail["p_t"] == told["p_two_sided_t"]
    assert by_size.p_value == by_t.detail["p_coefficient"] == told["p_two_sided_coef"]
    assert by_size.detail["p_upper"] == told["p_upper_coef"]
    assert by_size.detail["p_lower"] == told["p_lower_coef"]
    assert by_t.detail["p_upper"] == told["p_upper_t"]
    assert by_t.p_value * by_t.draws == pytest.approx(told["rank_abs_t"], abs=1e-9)
    shares = [0.025, 0.05, 0.5, 0.95, 0.975]
    quantiles = np.quantile(by_size.detail["placebos"], shares)
    np.testing.assert_allclose(quantiles, list(told["coef_quantiles_type7"].values()), rtol=1e-10)
    if told["coef_distribution_sorted"] is not None:
        placebos = np.sort(by_size.detail["placebos"])
        np.testing.assert_allclose(placebos, told["coef_distribution_sorted"], rtol=1e-10)


@needs_golden
def test_rank_of_the_only_treated_region() -> None:
    told = golden()["S4-1of17"]
    out = placebo_rank(s4(), Design("y1", adoption="a1"))
    assert (out.rank, out.of, out.treated) == (told["rank_abs_coef"], 17, "3")
    np.testing.assert_allclose(out.estimate, told["observed_coef"], rtol=1e-12)
    np.testing.assert_allclose(np.sort(out.placebos), told["coef_distribution_sorted"], rtol=1e-10)
    assert out.placebos[out.labels.index("3")] == pytest.approx(out.estimate, rel=1e-12)


@needs_golden
@pytest.mark.parametrize("statistic", ["t", "coefficient"])
def test_the_set_inverts_the_shifted_null(statistic: str) -> None:
    """R's p-value of 0.5 says that 0.5 is inside at 95 %; the set must agree, at ends found by re-testing."""
    design = Design("y3", adoption="a3")
    out = randomisation_test(s4(), design, statistic=statistic)  # type: ignore[arg-type]
    assert 0.5 in out
    ((low, high),) = out.pieces
    for end, inward in ((low, 1.0), (high, -1.0)):
        for move, kept in ((1e-7, True), (-1e-7, False)):
            p = randomisation_test(
                s4(),
                design,
                statistic=statistic,  # type: ignore[arg-type]
                null=end + inward * move,
                interval=False,
            ).p_value
            assert (p > 0.05) == kept


def test_one_region_in_seventeen_of_collapsed_data() -> None:
    if not GOLDEN.is_dir():
        pytest.skip("the reference numbers are not here")
    told = golden()["S4-3of17"]
    y, treated = s4().values("y3"), np.isfinite(s4().constant("a3"))
    after = s4().periods >= 2014
    out = permutation_t(y[:, after].mean(axis=1) - y[:, ~after].mean(axis=1), treated)
    assert (out.p_coefficient, out.p_t) == (told["p_two_sided_coef"], told["p_two_sided_t"])
    np.testing.assert_allclose([out.coefficient, out.t], [told["observed_coef"], told["observed_t_CR0"]])


# -- re-estimation, assignment by assignment --------------------------------------------------------------------


def small(seed: int, *, units_per: int = 1, holes: bool = False, staggered: bool = False) -> Panel:
    """Seven clusters; dates 3 (and 5), constant within clusters."""
    rng = np.random.default_rng(seed)
    clusters, periods = 7, 6
    n = clusters * units_per
    dates = np.array([3, 5, 3, np.inf, np.inf, np.inf, np.inf] if staggered else [3, 3] + [np.inf] * 5)
    region = np.repeat(np.arange(clusters), units_per)
    y = rng.normal(size=(n, periods)).cumsum(axis=1) + rng.normal(size=(n, 1))
    if holes:
        y[rng.random((n, periods)) < 0.15] = np.nan
        y[:, :2] = np.where(np.isnan(y[:, :2]), 0.3, y[:, :2])
    return Panel(
        np.arange(n),
        np.arange(1, periods + 1),
        {"y": y, "z": rng.normal(size=(n, periods)), "wt": rng.uniform(0.5, 2.0, (n, periods))},
        {
            "adoption": dates[region],
            "region": region,
            "w": rng.uniform(0.5, 3.0, n),
            "zone": np.array([0, 0, 0, 0, 1, 1, 1])[region],
            "half": np.array([0, 1, 1, 0, 0, 1, 1])[region],
        },
    )


def by_refits(panel: Panel, design: Design, dates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficient and CR0 t of each row of dates (B, N)."""
    out = np.empty((len(dates), 2))
    for i, row in enumerate(dates):
        est = two_way_effects(panel.with_fixed(adoption=row), design)
        assert est.influence is not None
        error = math.sqrt(sandwich(est.influence, est.cluster, est.n_clusters)[0, 0])
        out[i] = est.values[0], est.values[0] / error
    return out[:, 0], out[:, 1]


WORLDS = {
    "plain": ({}, Design("y")),
    "clusters": ({"units_per": 3}, Design("y", cluster="region")),
    "staggered": ({"staggered": True}, Design("y")),
    "holes": ({"units_per": 3, "holes": True}, Design("y", cluster="region")),
    "sizes": ({"units_per": 2}, Design("y", cluster="region", weight="w")),
    "cell weights": ({"units_per": 2}, Design("y", cluster="region", weight="wt")),
    "covariate": ({}, Design("y", covariates=("z",))),
    "everything": (
        {"units_per": 3, "holes": True, "staggered": True},
        Design("y", cluster="region", weight="wt", covariates=("z",)),
    ),
}


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_all_assignments_at_once_are_re_estimation(name: str, seed: int) -> None:
    options, design = WORLDS[name]
    panel = small(seed, **options)  # type: ignore[arg-type]
    chosen = reassignments(panel, design)
    given = np.asarray(panel.constant("adoption"))
    dates = np.stack([chosen.adoption(row, given) for row in range(len(chosen.codes))])
    assert len(np.unique(dates, axis=0)) == chosen.count == len(dates)
    assert (dates == given).all(axis=1).sum() == 1
    coefficient, t = by_refits(panel, design, dates)
    found = {
        s: randomisation_test(panel, design, statistic=s)  # type: ignore[arg-type]
        for s in ("t", "coefficient")
    }
    np.testing.assert_allclose(
        found["coefficient"].detail["placebos"],
        coefficient,
        rtol=1e-10,
        atol=1e-10 * np.abs(coefficient).max(),
    )
    np.testing.assert_allclose(found["t"].detail["placebos"], t, rtol=1e-9, atol=1e-10)
    own_c, own_t = (float(x[0]) for x in by_refits(panel, design, given[None, :]))
    assert found["coefficient"].p_value == np.mean(np.abs(coefficient) >= abs(own_c) * (1 - 1e-9))
    assert found["t"].p_value == np.mean(np.abs(t) >= abs(own_t) * (1 - 1e-9))
    assert found["t"].estimate == pytest.approx(own_c, rel=1e-10)


@pytest.mark.parametrize("name", ["plain", "staggered", "everything"])
@pytest.mark.parametrize("statistic", ["t", "coefficient"])
@pytest.mark.parametrize("level", [0.6, 0.9])
def test_the_set_is_where_the_p_value_exceeds_alpha(name: str, statistic: Any, level: float) -> None:
    """Explicit tests of many values, on a grid over and beyond the set and just beside every end."""
    options, design = WORLDS[name]
    panel = small(3, **options)  # type: ignore[arg-type]
    out = randomisation_test(panel, design, statistic=statistic, level=level)
    ends = np.array([end for piece in out.pieces for end in piece if math.isfinite(end)])
    assert ends.size
    assert out.estimate in out
    reach = 3.0 * max(np.abs(ends - out.estimate).max(), 1.0)
    grid = [*np.linspace(out.estimate - reach, out.estimate + reach, 81), *(ends + 1e-6), *(ends - 1e-6)]
    for value in grid:
        p = randomisation_test(panel, design, statistic=statistic, null=float(value), interval=False).p_value
        assert (value in out) == (p > (1 - level) * (1 + 1e-9)), value


def one(panel: Panel, design: Design) -> Estimate:
    return cluster_robust(two_way_effects(panel, design), "CR0").select([0])


@pytest.mark.parametrize("statistic", ["t", "coefficient"])
@pytest.mark.parametrize("null", [0.0, 0.7])
def test_a_method_given_is_the_built_in_one(statistic: Any, null: float) -> None:
    panel, design = small(5, units_per=2, staggered=True), Design("y", cluster="region")
    fast = randomisation_test(panel, design, statistic=statistic, null=null, level=0.8)
    slow = randomisation_test(panel, design, one, statistic=statistic, null=null, level=0.8)
    assert slow.exact
    assert slow.draws == fast.draws == 105
    assert slow.p_value == fast.p_value
    np.testing.assert_allclose(slow.detail["placebos"], fast.detail["placebos"], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(slow.pieces, fast.pieces, rtol=1e-6)


def test_group_time_effects_re_estimated() -> None:
    """The overall effect under every assignment, by hand."""
    panel, design = small(6, staggered=True), Design("y", comparison="never")

    def fit(panel: Panel, design: Design) -> Estimate:
        return aggregate.overall(group_time_effects(panel, design))

    out = randomisation_test(panel, design, fit, statistic="coefficient", level=0.8)
    own = float(fit(panel, design).values[0])
    dates = sorted(set(itertools.permutations([3.0, 5.0, 3.0, *[np.inf] * 4])))
    values = np.array([float(fit(panel.with_fixed(adoption=np.array(d)), design).values[0]) for d in dates])
    assert out.draws == len(dates) == 105
    assert out.p_value == np.mean(np.abs(values) >= abs(own) * (1 - 1e-12))
    np.testing.assert_allclose(np.sort(out.detail["placebos"]), np.sort(values), rtol=1e-9, atol=1e-12)
    for value in (out.low + 1e-6, out.high - 1e-6):
        inside = randomisation_test(panel, design, fit, statistic="coefficient", null=value, interval=False)
        assert inside.p_value > 0.2
    for value in (out.low - 1e-6, out.high + 1e-6):
        beyond = randomisation_test(panel, design, fit, statistic="coefficient", null=value, interval=False)
        assert beyond.p_value <= 0.2


def test_units_change_places_within_their_clusters() -> None:
    """Mixed clusters: units are permuted within regions, errors are clustered by region."""
    rng = np.random.default_rng(8)
    region = np.repeat(np.arange(4), 3)
    adoption = np.where(np.arange(12) % 3 == 0, 2.0, np.inf)
    panel = Panel(
        np.arange(12),
        np.arange(1, 4),
        {"y": rng.normal(size=(12, 3))},
        {"adoption": adoption, "region": region},
    )
    design = Design("y", cluster="region")
    out = randomisation_test(panel, design, reassign="units_within_clusters")
    rows = []
    for places in itertools.product(range(3), repeat=4):
        row = np.full(12, np.inf)
        row[np.arange(4) * 3 + np.array(places)] = 2.0
        rows.append(row)
    coefficient, t = by_refits(panel, design, np.array(rows))
    assert out.draws == len(rows) == 81
    np.testing.assert_allclose(np.sort(out.detail["placebos"]), np.sort(t), rtol=1e-9, atol=1e-9)
    own = by_refits(panel, design, adoption[None, :])
    assert out.p_value == np.mean(np.abs(t) >= abs(own[1][0]) * (1 - 1e-9))
    assert out.detail["p_coefficient"] == np.mean(np.abs(coefficient) >= abs(own[0][0]) * (1 - 1e-9))


def test_strata_keep_their_treated_clusters() -> None:
    panel, design = small(9, units_per=2), Design("y", cluster="region")
    chosen = reassignments(panel, design, strata="half")
    by_hand = [
        codes
        for codes in itertools.product([0, 1], repeat=7)
        if sum(codes) == 5 and codes[0] + codes[3] + codes[4] == 2
    ]
    assert chosen.count == 3 * 4 == len(by_hand)
    assert {tuple(int(c) for c in row) for row in chosen.codes} == set(by_hand)
    out = randomisation_test(panel, design, strata="half")
    dates = np.stack([chosen.adoption(row, panel.constant("adoption")) for row in range(12)])
    np.testing.assert_allclose(out.detail["placebos"], by_refits(panel, design, dates)[1], rtol=1e-9)


def test_several_outcomes_share_their_assignments() -> None:
    panel = small(10, units_per=2)
    gap = np.where(np.arange(6) == 4, np.nan, panel.values("y")) * 2.0 + panel.values("z")
    panel = panel.with_varying(gap=gap)
    design = Design("y", cluster="region", weight="w")
    observed, draws = randomisation_draws(panel, design, ["y", "gap", "z"])
    assert observed.shape == (3,)
    assert draws.shape == (21, 3)
    for j, name in enumerate(("y", "gap", "z")):
        alone = randomisation_test(panel, Design(name, cluster="region", weight="w"))
        np.testing.assert_allclose(draws[:, j], alone.detail["placebos"], rtol=1e-12)
        np.testing.assert_allclose(observed[j], alone.detail["t"], rtol=1e-12)
    shared = reassignments(panel, design)
    other = Design("y", cluster="region", covariates=("z",))
    again = randomisation_draws(panel, other, ["y"], statistic="coefficient", assignments=shared)
    alone = randomisation_test(panel, other, statistic="coefficient")
    np.testing.assert_allclose(again[1][:, 0], alone.detail["placebos"], rtol=1e-12)


def test_collapsed_data_with_sizes_are_a_weighted_regression() -> None:
    """HC0 by dense matrices, for every assignment."""
    rng = np.random.default_rng(11)
    v, w, treated = rng.normal(size=7), rng.uniform(0.5, 4.0, 7), np.arange(7) < 3

    def dense(on: np.ndarray) -> tuple[float, float]:
        x = np.column_stack([np.ones(7), on])
        bread = np.linalg.inv((x * w[:, None]).T @ x)
        beta = bread @ (x * w[:, None]).T @ v
        scores = x * (w * (v - x @ beta))[:, None]
        return float(beta[1]), float(beta[1] / math.sqrt((bread @ scores.T @ scores @ bread)[1, 1]))

    every = [np.isin(np.arange(7), at).astype(float) for at in itertools.combinations(range(7), 3)]
    values = np.array([dense(on) for on in every])
    out = permutation_t(v, treated, w)
    np.testing.assert_allclose([out.coefficient, out.t], dense(treated.astype(float)), rtol=1e-12)
    expected = np.mean(np.abs(values) >= np.abs([out.coefficient, out.t]) * (1 - 1e-12), axis=0)
    assert [out.p_coefficient, out.p_t] == list(expected)


@pytest.mark.parametrize("codes", [[0, 0, 1, 1, 2], [0, 1, 1, 2, 2, 2], [1, 1, 0, 0, 0, 0, 2]])
def test_enumeration_against_permutations_written_out(codes: list[int]) -> None:
    strata = np.array([0, 0, 0, *[1] * (len(codes) - 3)])
    by_hand = {
        (*first, *second)
        for first in itertools.permutations(codes[:3])
        for second in itertools.permutations(codes[3:])
    }
    rows = all_assignments(np.array(codes), strata)
    assert {tuple(int(c) for c in row) for row in rows} == by_hand
    assert len(rows) == len(by_hand) == count_assignments(np.array(codes), strata)


def test_draws_are_uniform_and_begin_alike() -> None:
    codes, strata = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 0, 0, 1, 1, 1])
    rows = drawn_assignments(codes, strata, 20_000, 7)
    values, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(values) == 9
    # chi-square with 8 degrees of freedom: 26.1 is its 99.9 % point
    assert ((counts - 20_000 / 9) ** 2 / (20_000 / 9)).sum() < 26.1
    assert (drawn_assignments(codes, strata, 50, 7) == rows[:50]).all()
    flat = np.zeros(6, dtype=np.int64)
    assert (drawn_assignments(codes, flat, 50, 7) == drawn_assignments(codes, flat, 3_000, 7)[:50]).all()


def test_draws_approach_enumeration() -> None:
    """1,820 assignments listed, and drawn 40,000 times: the p-values agree within four Monte Carlo errors."""
    rng = np.random.default_rng(12)
    y = rng.normal(size=(16, 5)).cumsum(axis=1)
    panel = Panel(np.arange(16), np.arange(5), {"y": y}, {"adoption": np.where(np.arange(16) < 4, 3, np.inf)})
    exact = randomisation_test(panel, Design("y"))
    assert exact.draws == 1820
    drawn = reassignments(panel, Design("y"), draws=40_000, enumerated=1)
    observed, draws = randomisation_draws(panel, Design("y"), ["y"], assignments=drawn)
    p = (1 + np.sum(np.abs(draws[:, 0]) >= abs(observed[0]) * (1 - 1e-12))) / 40_001
    assert abs(p - exact.p_value) < 4 * math.sqrt(exact.p_value * (1 - exact.p_value) / 40_000)


# -- pyfixest --------------------------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize(("weight", "covariates"), [(None, ()), ("w", ("z",))])
def test_every_assignment_by_pyfixest(weight: str | None, covariates: tuple[str, ...]) -> None:
    peer = pytest.importorskip("pyfixest")
    panel = small(13, units_per=2)
    design = Design("y", cluster="region", weight=weight, covariates=covariates)
    out = randomisation_test(panel, design)
    chosen = reassignments(panel, design)
    frame = panel.to_long()
    theirs = np.empty((len(chosen.codes), 2))
    for row in range(len(chosen.codes)):
        dates = chosen.adoption(row, panel.constant("adoption"))
        frame["on"] = (frame["period"].to_numpy() >= np.repeat(dates, 6)).astype(float)
        formula = f"y ~ {' + '.join(['on', *covariates])} | unit + period"
        fit = peer.feols(formula, frame, vcov={"CRV1": "region"}, weights=weight, fixef_tol=1e-13)
        theirs[row] = fit.coef()["on"], fit.tstat()["on"]
    ratio = theirs[:, 1] / out.detail["placebos"]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-7)  # the small-sample factor, the same for all
    assert ratio[0] < 1.0
    coefficients = randomisation_test(panel, design, statistic="coefficient").detail["placebos"]
    np.testing.assert_allclose(theirs[:, 0], coefficients, rtol=1e-8, atol=1e-10)


@pytest.mark.peer
def test_pyfixest_draws_the_number_of_treated_anew() -> None:
    """`ritest` gives each row 0 or 1 with equal chance: most of its statistics are of no assignment with three treated."""
    peer = pytest.importorskip("pyfixest")
    v = np.random.default_rng(14).normal(size=8)
    frame = pd.DataFrame({"v": v, "on": (np.arange(8) < 3).astype(float)})
    fit = peer.feols("v ~ on", frame, vcov="HC1")
    fit.ritest(
        "on", reps=40, rng=np.random.default_rng(1), choose_algorithm="slow", store_ritest_statistics=True
    )
    theirs = np.asarray(fit._ritest_statistics)
    ours = np.array(
        [v[list(at)].mean() - np.delete(v, list(at)).mean() for at in itertools.combinations(range(8), 3)]
    )
    among = (np.abs(theirs[:, None] - ours[None, :]) < 1e-10).any(axis=1)
    assert 0.0 < among.mean() < 0.6
