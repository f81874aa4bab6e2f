"""Identities of synthetic comparisons over random small panels.

1e-9 relative where the algebra is direct. Where λ is chosen with a penalty of (1e-6 σ̂)² on paths that donors can follow
exactly, the problem's own condition (1e6) leaves 1e-8.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from contract import (
    caller_is_left_alone,
    outcome_is_equivariant,
    periods_are_labels,
    replicates_are_refits,
    unit_order_does_not_matter,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from evalkit.arrays.simplex import simplex_least_squares
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.synthetic_control import (
    augmented_synthetic_control_effects,
    synthetic_control_effects,
)
from evalkit.estimators.synthetic_did import synthetic_did_effects
from evalkit.inference import cluster_jackknife
from evalkit.panel import Panel

D = Design("y")
TIGHT = {"rtol": 1e-9, "atol": 1e-9}
fast = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def panels(
    draw: st.DrawFn, *, staggered: bool = True, treated: int | None = None, holes: bool | None = None
) -> Panel:
    """Units with two factors, one or two cohorts; sometimes units with a missing cell, which leave."""
    rng = np.random.default_rng(draw(seeds))
    n, periods = draw(st.integers(12, 20)), draw(st.integers(7, 14))
    k = draw(st.integers(2, 4)) if treated is None else treated
    years = np.arange(2010, 2010 + periods)
    adoption = np.full(n, np.inf)
    adoption[:k] = 2010 + periods - 3
    if staggered and k >= 4 and draw(st.booleans()):
        adoption[2:k] = 2010 + periods - 1
    y = 10 + rng.normal(size=(n, 2)) @ rng.normal(size=(2, periods)) + rng.normal(size=(n, periods))
    if draw(st.booleans()) if holes is None else holes:
        y[n - 1, 1] = np.nan
    order = rng.permutation(n)
    return Panel(
        np.array([f"u{i:02d}" for i in range(n)]),
        years,
        {"y": y[order], "x": rng.normal(size=(n, periods))},
        {
            "adoption": adoption[order],
            "region": np.arange(n) // 2,
            "z": rng.normal(size=n),
            "unit": np.arange(n),
        },
    )


# -- the programme ----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    st.integers(1, 12),
    st.integers(1, 25),
    st.sampled_from([0.0, 1e-12, 1e-6, 1e-3, 0.5, 100.0]),
    st.booleans(),
)
def test_weights_meet_the_optimality_conditions(
    seed: int, rows: int, n: int, ridge: float, multiply: bool
) -> None:
    """Every column with weight has the least slope, no column a smaller one; copies are columns side by side."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(rows, n)) * rng.uniform(0.1, 10)
    b = rng.normal(size=(4, rows))
    m = rng.integers(0, 3, (4, n)).astype(float) if multiply else np.ones((4, n))
    m[:, 0] = np.maximum(m[:, 0], 1)
    w = simplex_least_squares(a, b, ridge=ridge, copies=m).weights
    np.testing.assert_allclose(w.sum(axis=1), 1.0, rtol=1e-12)
    assert (w >= 0).all()
    assert (w[m == 0] == 0).all()
    for i in range(4):
        each = w[i] / np.maximum(m[i], 1)
        slope = a.T @ (a @ w[i] - b[i]) + ridge * each
        least = slope[m[i] > 0].min()
        scale = ((a - b[i][:, None]) ** 2).sum(axis=0).max() + ridge
        assert w[i] @ slope - least <= 1e-11 * scale
        who = np.repeat(np.arange(n), m[i].astype(int))
        apart = simplex_least_squares(a[:, who], b[i][None], ridge=ridge).weights[0]
        gap, other = a @ w[i] - b[i], a[:, who] @ apart - b[i]
        np.testing.assert_allclose(
            gap @ gap + ridge * (m[i] * each**2).sum(),
            other @ other + ridge * (apart**2).sum(),
            rtol=1e-9,
            atol=1e-11 * scale,
        )


@fast
@given(seeds, st.sampled_from([0.0, 0.01, 1.0]))
def test_weights_equal_non_negative_least_squares(seed: int, ridge: float) -> None:
    """NNLS of [P; √c I; κ 1'] w = [0; 0; κ] scaled to one is the same point, for any κ."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(8, 6)), rng.normal(size=8)
    stack = np.vstack([a - b[:, None], np.sqrt(ridge) * np.eye(6), 3.0 * np.ones((1, 6))])
    w = nnls(stack, np.append(np.zeros(14), 3.0))[0]
    found = simplex_least_squares(a, b[None], ridge=ridge).weights[0]
    np.testing.assert_allclose(found, w / w.sum(), atol=1e-9)


@fast
@given(seeds, st.integers(3, 9))
def test_stacked_problems_equal_single_ones(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(5, 4, n)), rng.normal(size=(5, 4))
    together = simplex_least_squares(a, b, ridge=1e-8).weights
    apart = [simplex_least_squares(a[i], b[i][None], ridge=1e-8).weights[0] for i in range(5)]
    np.testing.assert_allclose(together, apart, atol=1e-8)


# -- what every method promises ------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Panel, Design], Estimate]] = {
    "sdid": partial(synthetic_did_effects, inference="jackknife"),
    "sdid placebo": partial(synthetic_did_effects, inference="placebo", replications=50),
    "sdid bootstrap": partial(synthetic_did_effects, inference="bootstrap", replications=50),
    "sdid event": partial(synthetic_did_effects, terms="event_time", inference="jackknife"),
    "did": partial(synthetic_did_effects, variant="did"),
    "control": partial(synthetic_control_effects, replications=50),
    "control fixed": partial(
        synthetic_control_effects, fixed_effects=True, terms="event_time", inference="none"
    ),
    "augmented": partial(augmented_synthetic_control_effects, ridge=2.0, replications=50),
    "augmented z": partial(augmented_synthetic_control_effects, ridge=2.0, inference="none"),
}


def case(name: str, panel: Panel) -> tuple[Callable[[Panel, Design], Estimate], Panel, Design]:
    """One cohort where the method takes one; covariates where the call is about them."""
    if not name.startswith(("sdid", "did")):
        first = np.nanmin(panel.constant("adoption"))
        panel = panel.with_fixed(adoption=np.where(np.isfinite(panel.constant("adoption")), first, np.inf))
    return CALLS[name], panel, replace(D, covariates=("z",)) if name.endswith(" z") else D


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=8, deadline=None)
@given(panels())
def test_contract(name: str, panel: Panel) -> None:
    call, panel, design = case(name, panel)
    unit_order_does_not_matter(call, panel, design, rtol=1e-8)
    periods_are_labels(call, panel, design, rtol=1e-8)
    caller_is_left_alone(call, panel, design)
    if "augmented" not in name:  # a given ridge is in squared units of the outcome
        outcome_is_equivariant(call, panel, design, rtol=1e-7)


@settings(max_examples=8, deadline=None)
@given(panels(staggered=False, treated=3, holes=False))
def test_augmented_is_equivariant_with_its_penalty(panel: Panel) -> None:
    """y → a + b y with λ → b² λ; chosen by cross-validation, λ scales by itself."""
    changed = panel.with_varying(y=3 + 2.5 * panel.values("y"))
    for one, other in ((2.0, 12.5), (None, None)):
        a = augmented_synthetic_control_effects(panel, D, ridge=one, inference="none")
        b = augmented_synthetic_control_effects(changed, D, ridge=other, inference="none")
        np.testing.assert_allclose(b.values, 2.5 * a.values, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", ["control", "control fixed", "augmented", "augmented z"])
@settings(max_examples=8, deadline=None)
@given(panels(staggered=False, treated=3, holes=False), st.sampled_from([None, "region", "unit"]))
def test_replicates_of_synthetic_control_are_refits(name: str, panel: Panel, cluster: str | None) -> None:
    call, panel, design = case(name, panel)
    call = partial(call, inference="none")
    replicates_are_refits(call, panel, replace(design, cluster=cluster))


# -- synthetic difference-in-differences -------------------------------------------------------------------------


def by_hand(
    found: Estimate, panel: Panel, keep: np.ndarray
) -> tuple[dict[int, float], np.ndarray, list[int]]:
    """Effect of each cohort from the units kept, ω renormalised and λ as it was; treated units left."""
    detail = found.detail
    y = panel.values("y")
    place = {str(u): i for i, u in enumerate(panel.units)}
    donors = np.array([place[str(u)] for u in detail["donors"]])
    adoption, out, counts = panel.constant("adoption"), {}, []
    curves = np.full((len(detail["cohorts"]), len(panel.periods)), np.nan)
    for a, cohort in enumerate(detail["cohorts"]):
        stays = keep[donors]
        omega = detail["omega"][a][stays] / detail["omega"][a][stays].sum()
        treated = (adoption == cohort) & keep & np.isin(panel.units, found.units)
        gap = y[treated].mean(axis=0) - omega @ y[donors[stays]]
        curves[a] = gap - detail["time_weights"][a] @ gap
        out[int(cohort)] = float(curves[a][panel.periods >= cohort].mean())
        counts.append(int(treated.sum()))
    return out, curves, counts


@fast
@given(panels())
def test_terms_are_averages_of_the_formula(panel: Panel) -> None:
    """(Ȳ_tr − Σ ω Y)(post − λ) by cohort; overall N_a T_post,a; the event study averages back to the overall."""
    cohorts = synthetic_did_effects(panel, D, terms="cohort", inference="none")
    by_cohort, curves, counts = by_hand(cohorts, panel, np.ones(len(panel.units), dtype=bool))
    dates = np.array(list(by_cohort))
    np.testing.assert_allclose(cohorts.values, list(by_cohort.values()), **TIGHT)
    last = panel.periods[-1]
    share = np.array(counts) * (last - dates + 1)
    overall = synthetic_did_effects(panel, D, inference="none")
    np.testing.assert_allclose(overall.values[0], share @ cohorts.values / share.sum(), **TIGHT)
    events = synthetic_did_effects(panel, D, terms="event_time", inference="none")
    clock = events.terms.get_level_values(0).to_numpy()
    after = clock >= 0
    np.testing.assert_allclose(
        events.n_treated[after] @ events.values[after] / events.n_treated[after].sum(),
        overall.values[0],
        **TIGHT,
    )
    for e, value in zip(clock, events.values, strict=True):
        at = [
            (a, int(np.flatnonzero(panel.periods == g + e)[0]))
            for a, g in enumerate(dates)
            if g + e in panel.periods
        ]
        w = np.array([counts[a] for a, _ in at])
        np.testing.assert_allclose(value, w @ [curves[a, t] for a, t in at] / w.sum(), **TIGHT)


@fast
@given(panels(), st.sampled_from([None, "region"]), st.sampled_from(["overall", "cohort", "event_time"]))
def test_replicates_are_refits_with_fixed_weights(panel: Panel, cluster: str | None, terms: Any) -> None:
    """Brute force under the same convention: ω renormalised over the donors left, λ as it was."""
    design = replace(D, cluster=cluster)
    found = synthetic_did_effects(panel, design, terms=terms, inference="none")
    labels = found.cluster_labels
    own = panel.units if cluster is None else panel.constant("region")
    for c, label in enumerate(labels):
        keep = np.array([str(v) != str(label) for v in own])
        with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # means of nobody
            by_cohort, curves, counts = by_hand(found, panel, keep)
        dates = np.array(list(by_cohort))
        if terms == "cohort":
            expected = np.array(list(by_cohort.values()))
        elif terms == "overall":
            share = np.array(counts) * (panel.periods[-1] - dates + 1)
            expected = np.array([share @ np.array(list(by_cohort.values())) / share.sum()])
        else:
            expected = []
            for e in found.terms.get_level_values(0):
                at = [
                    (a, int(np.flatnonzero(panel.periods == g + e)[0]))
                    for a, g in enumerate(dates)
                    if g + e in panel.periods
                ]
                w = np.array([counts[a] for a, _ in at])
                expected.append(w @ [curves[a, t] for a, t in at] / w.sum() if w.sum() else np.nan)
        np.testing.assert_allclose(found.replicates[c], expected, rtol=1e-9, atol=1e-9)


@fast
@given(panels(treated=4), st.sampled_from(["overall", "event_time"]))
def test_influence_is_the_derivative_with_weights_fixed(panel: Panel, terms: Any) -> None:
    """Leaving out a share of a unit moves the estimate by its influence over n; all of them add up to zero."""
    found = synthetic_did_effects(panel, D, terms=terms, inference="none")
    assert found.influence is not None
    np.testing.assert_allclose(found.influence.sum(axis=0), 0.0, atol=1e-8)
    n = len(found.units)
    # exact for donors: τ(−i) − τ = −influence_i / n / (1 − ω_i), of a single cohort
    if len(found.detail["cohorts"]) == 1:
        donors, omega = found.detail["donor_positions"], found.detail["omega"][0]
        moved = found.replicates[donors] - found.values
        np.testing.assert_allclose(
            moved * (1 - omega)[:, None], -found.influence[donors] / n, rtol=1e-8, atol=1e-9
        )
        treated = np.setdiff1d(np.arange(n), donors)
        moved = found.replicates[treated] - found.values
        factor = (len(treated) - 1) / len(treated)
        np.testing.assert_allclose(moved * factor, -found.influence[treated] / n, rtol=1e-8, atol=1e-9)


@fast
@given(panels())
def test_jackknife_is_cv3_of_the_replicates(panel: Panel) -> None:
    found = synthetic_did_effects(panel, D, inference="jackknife")
    np.testing.assert_allclose(found.covariance, cluster_jackknife(found).covariance, rtol=1e-12)
    assert found.dof[0] == found.n_clusters - 1


@fast
@given(panels(staggered=False, treated=1, holes=False))
def test_one_formula_holds_difference_in_differences_and_synthetic_control(panel: Panel) -> None:
    """ "did" has equal weights; "sc" is synthetic control but for a ridge of (1e-6 σ̂)²."""
    y, after = panel.values("y"), panel.periods >= np.nanmin(panel.constant("adoption"))
    treated = np.isfinite(panel.constant("adoption"))
    change = y[:, after].mean(axis=1) - y[:, ~after].mean(axis=1)
    did = synthetic_did_effects(panel, D, variant="did", inference="none")
    np.testing.assert_allclose(did.values[0], change[treated].mean() - change[~treated].mean(), **TIGHT)
    sc = synthetic_did_effects(panel, D, variant="sc", inference="none")
    control = synthetic_control_effects(panel, D, inference="none")
    if control.detail["pre_fit"] > 1e-3:  # otherwise more than one mix fits
        np.testing.assert_allclose(sc.values, control.values, rtol=1e-4, atol=1e-4)


@fast
@given(panels(staggered=False, treated=1, holes=False), st.floats(-3, 3))
def test_unit_levels_do_not_matter(panel: Panel, size: float) -> None:
    """Nor, for synthetic control, what happens to all alike (for SDID it enters σ̂, the sd of first differences)."""
    rng = np.random.default_rng(0)
    n, t = panel.shape
    levels = panel.with_varying(y=panel.values("y") + size * rng.normal(size=(n, 1)))
    both = levels.with_varying(y=levels.values("y") + size * rng.normal(size=t))
    for method, moved, options in (
        (synthetic_did_effects, levels, {}),
        (synthetic_control_effects, both, {"fixed_effects": True}),
    ):
        a = method(panel, D, terms="event_time", inference="none", **options)  # type: ignore[operator]
        b = method(moved, D, terms="event_time", inference="none", **options)  # type: ignore[operator]
        np.testing.assert_allclose(a.values, b.values, rtol=1e-7, atol=1e-7)


@fast
@given(panels(staggered=False, treated=1, holes=False), st.sampled_from(["shifts", "random"]))
def test_conformal_interval_holds_the_nulls_that_are_not_rejected(panel: Panel, permutations: Any) -> None:
    """Taking a null off the treated path and testing no effect gives the p-values that the interval is made of."""
    options: dict[str, Any] = {"inference": "conformal", "permutations": permutations, "level": 0.8}
    after = panel.periods >= np.nanmin(panel.constant("adoption"))
    path = np.outer(np.isfinite(panel.constant("adoption")), after)
    found = synthetic_control_effects(panel, D, **options)
    low, high, step = (float(found.detail[name][0]) for name in ("conf_low", "conf_high", "grid_step"))
    assert found.detail["conformal_p"][0] >= found.detail["conformal_p_smallest"][0]

    def p_of(null: float) -> float:
        less = panel.with_varying(y=panel.values("y") - null * path)
        return float(synthetic_control_effects(less, D, **options).detail["conformal_p"][0])

    if np.isfinite([low, high]).all():
        assert max(p_of(low), p_of(high)) <= 0.2
        assert p_of(low + step) > 0.2
        assert p_of(high - step) > 0.2


@fast
@given(panels(staggered=False, treated=2, holes=False))
def test_projected_covariate_leaves_what_it_explains(panel: Panel) -> None:
    """y + x'b for any b gives the same estimate once x is projected out, β moving by b."""
    design = replace(D, covariates=("x",))
    a = synthetic_did_effects(panel, design, inference="none")
    b = synthetic_did_effects(
        panel.with_varying(y=panel.values("y") + 1.7 * panel.values("x")), design, inference="none"
    )
    np.testing.assert_allclose(a.values, b.values, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(b.detail["slopes"]["x"] - a.detail["slopes"]["x"], 1.7, rtol=1e-9)


@fast
@given(panels(staggered=False, treated=1, holes=False))
def test_residualised_covariates_are_balanced_exactly(panel: Panel) -> None:
    design = replace(D, covariates=("z",))
    found = augmented_synthetic_control_effects(panel, design, ridge=1.0, inference="none")
    z = dict(zip(map(str, panel.units), panel.constant("z"), strict=True))
    own = z[str(panel.units[np.isfinite(panel.constant("adoption"))][0])]
    mixed = found.detail["weights"] @ [z[str(u)] for u in found.detail["donors"]]
    np.testing.assert_allclose(mixed, own, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(found.detail["weights"].sum(), 1.0, rtol=1e-9)
