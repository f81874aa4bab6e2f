"""What must not change for imputation and two-stage effects, and the identities they obey, on random small panels.

The oracle is dense least squares with every dummy written out. Tolerances of 1e-9 are what double precision leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.aggregate import event_study, overall
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.imputation import imputation_effects, imputation_pretrends, imputation_weights
from evalkit.estimators.two_stage import two_stage_effects, two_stage_event_study
from evalkit.panel import Panel

Floats = np.ndarray
fast = settings(max_examples=15, deadline=None)
DESIGN = Design("y", covariates=("x",), cluster="region", weight="w")
CALLS: dict[str, Callable[[Panel, Design], Estimate]] = {
    "imputation": imputation_effects,
    "imputation, event time": partial(imputation_effects, by="event_time"),
    "imputation, coarse": partial(imputation_effects, by="event_time", averages="all"),
    "imputation, custom": partial(imputation_effects, by=("u", "share")),
    "imputation, plain": partial(imputation_effects, by="overall", leave_out=False),
    "imputation, within": partial(imputation_effects, by="cohort", within="half"),
    "imputation, drop": partial(imputation_effects, by="period", unimputable="drop"),
    "two stages": two_stage_effects,
    "two stages, event study": partial(two_stage_event_study, window=(-2, 2)),
    "two stages, within": partial(two_stage_effects, within="half"),
}
METHODS = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@st.composite
def panels(
    draw: st.DrawFn, *, holes: bool | None = None, even: bool | None = None, clusters: int = 6
) -> Panel:
    """Small panels with three cohorts and never treated units in every half, weights, covariate, missing cells."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    per, periods = draw(st.integers(4, 6)), draw(st.integers(5, 6))
    n = per * clusters
    years = np.arange(2015, 2015 + periods)
    adoption = rng.choice([2017.0, 2018.0, np.inf], n)
    adoption[:18] = np.tile([2017.0, 2018.0, np.inf], 6)
    region = rng.permutation(np.arange(n) % clusters)
    y = rng.normal(size=(n, periods)) * 3 + 10 * rng.normal(size=(n, 1)) + (years >= adoption[:, None])
    if draw(st.booleans()) if holes is None else holes:
        hole = rng.random((n, periods)) < 0.12
        hole[:, 0] = hole[:12, :] = False  # every unit has a clean cell, every period a comparison
        y[hole] = np.nan
    if draw(st.booleans()) if even is None else even:
        w = np.repeat(rng.uniform(0.3, 3, (n, 1)), periods, 1)
    else:
        w = rng.uniform(0.3, 3, (n, periods))
    return Panel(
        np.arange(n),
        years,
        {"y": y, "x": rng.normal(size=(n, periods)), "w": w, "u": rng.uniform(0, 2, (n, periods))},
        {
            "adoption": adoption,
            "region": region,
            "size": rng.uniform(0.3, 3, n),
            "half": np.arange(n) // 3 % 2,
            "z": rng.normal(size=n),
            "share": rng.uniform(0.1, 1, n),
        },
    )


def dense(panel: Panel, design: Design, columns: Floats, within: str | None = None) -> tuple[Floats, ...]:
    """τ̂ of every treated cell (N, T; NaN elsewhere), and v (K, N, T) for weights `columns` (K, N, T) by the formula."""
    n, periods = panel.shape
    w = np.ones((n, periods)) if design.weight is None else panel.with_varying().varying.get(design.weight)
    if w is None:
        w = np.repeat(panel.constant(str(design.weight))[:, None], periods, 1)
    y = panel.values(design.outcome)
    seen = ~np.isnan(y)
    i, t = np.nonzero(seen)
    group = np.zeros(n, dtype=int) if within is None else panel.constant(within).astype(int)
    z = np.column_stack(
        [
            np.eye(n)[i],
            np.eye((group.max() + 1) * periods)[group[i] * periods + t],
            *(panel.values(x)[i, t] for x in design.covariates if x in panel.varying),
            *(
                panel.constant(x)[i] * (t == s)
                for x in design.covariates
                if x in panel.fixed
                for s in range(periods)
            ),
        ]
    )
    treated = panel.periods[t] >= panel.constant(design.adoption)[i] - design.anticipation
    weight = w[i, t]
    z0, z1 = z[~treated], z[treated]
    inverse = np.linalg.pinv((z0 * weight[~treated, None]).T @ z0, rcond=1e-12)
    theta = inverse @ (z0 * weight[~treated, None]).T @ y[i, t][~treated]
    effects = np.full((n, periods), np.nan)
    effects[i[treated], t[treated]] = y[i, t][treated] - z1 @ theta
    v = np.zeros((len(columns), n, periods))
    for k, column in enumerate(columns):
        w1 = (column[i, t] * weight)[treated]
        w1 = w1 / w1.sum()
        v[k, i[treated], t[treated]] = w1
        v[k, i[~treated], t[~treated]] = -weight[~treated] * (z0 @ inverse @ z1.T @ w1)
    return effects, v


def indicators(panel: Panel, estimate: Estimate) -> Floats:
    """The treated cells of each term  # (K, N, T)"""
    cohort = panel.constant("adoption")[:, None]
    time = np.broadcast_to(panel.periods[None, :], panel.shape)
    columns = {
        "cohort": np.broadcast_to(cohort, panel.shape),
        "period": time,
        "event_time": time - cohort,
    }
    out = []
    for term in estimate.terms:
        hit = time >= cohort
        for name, value in zip(estimate.terms.names, term, strict=True):
            if name != "term":
                hit = hit & (columns[name] == value)
        out.append(hit.astype(float))
    return np.array(out)


@fast
@given(
    panels(), st.sampled_from(["cohort_period", "event_time", "cohort", "period", "overall"]), st.booleans()
)
def test_weights_reproduce_the_estimate_and_add_up_to_nothing(panel: Panel, by: str, grouped: bool) -> None:
    """v'Y = τ̂ with weights, and v is 0 summed over the periods of a unit and over the units of a period."""
    within = "half" if grouped else None
    design = replace(DESIGN, covariates=("x", "z"))
    estimate = imputation_effects(panel, design, by=by, within=within)  # type: ignore[arg-type]
    terms, v = imputation_weights(panel, design, by=by, within=within)  # type: ignore[arg-type]
    assert terms.equals(estimate.terms)
    y = np.nan_to_num(panel.values("y"))
    np.testing.assert_allclose((v * y).sum(axis=(1, 2)), estimate.values, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(v.sum(axis=2), 0, atol=1e-10)
    for half in (0, 1):
        members = panel.constant("half") == half
        np.testing.assert_allclose(v[:, members if grouped else slice(None)].sum(axis=1), 0, atol=1e-10)
    np.testing.assert_allclose((v * panel.values("x")).sum(axis=(1, 2)), 0, atol=1e-9)
    np.testing.assert_allclose((v * panel.constant("z")[:, None]).sum(axis=1), 0, atol=1e-9)
    effects, expected = dense(panel, design, indicators(panel, estimate), within)
    np.testing.assert_allclose(v, expected, rtol=1e-8, atol=1e-10)
    means = [
        np.average(effects[hit > 0], weights=panel.values("w")[hit > 0])
        for hit in indicators(panel, estimate) * ~np.isnan(panel.values("y"))
    ]
    np.testing.assert_allclose(estimate.values, means, rtol=1e-9, atol=1e-9)


def theorem_3(
    panel: Panel, design: Design, v: Floats, effects: Floats, sets: Floats, leave_out: bool
) -> Floats:
    """Variance of one term by its definition, loops over clusters and sets."""
    y, cluster = panel.values(design.outcome), panel.constant(str(design.cluster))
    w = panel.values(str(design.weight))
    treated = ~np.isnan(effects)
    clean = ~treated & ~np.isnan(y)
    n, periods = panel.shape
    i, t = np.nonzero(clean)
    z = np.column_stack([np.eye(n)[i], np.eye(periods)[t], panel.values("x")[i, t]])
    root = np.sqrt(w[i, t])
    theta = np.linalg.lstsq(z * root[:, None], y[i, t] * root, rcond=1e-11)[0]
    error = np.zeros((n, periods))
    error[i, t] = y[i, t] - z @ theta
    for name in np.unique(sets[treated & (v != 0)]):
        cells = treated & (v != 0) & (sets == name)
        parts = [(cells & (cluster == c)[:, None]) for c in np.unique(cluster)]
        mass = np.array([v[part].sum() for part in parts])
        total = np.array([(v * np.nan_to_num(effects))[part].sum() for part in parts])
        bar = (mass * total).sum() / (mass**2).sum()
        for part, own in zip(parts, mass, strict=True):
            factor = (mass**2).sum() / ((mass**2).sum() - own**2) if leave_out and own else 1.0
            error[part] = (effects[part] - bar) * factor
    return np.array([np.sum((v * error)[cluster == c]) for c in np.unique(cluster)])


@fast
@given(
    panels(),
    st.sampled_from(["cohort_period", "event_time", "cohort", "all"]),
    st.sampled_from(["event_time", "cohort_period", "overall", ("u", "share")]),
    st.booleans(),
)
def test_scores_are_theorem_3(
    panel: Panel, averages: str, by: str | tuple[str, ...], leave_out: bool
) -> None:
    estimate = imputation_effects(panel, DESIGN, by=by, averages=averages, leave_out=leave_out)  # type: ignore[arg-type]
    columns = indicators(panel, estimate)
    if not isinstance(by, str):
        columns = columns * np.array(
            [panel.values("u"), np.repeat(panel.constant("share")[:, None], panel.shape[1], 1)]
        )
    effects, v = dense(panel, DESIGN, columns)
    cohort = np.where(np.isfinite(panel.constant("adoption")), panel.constant("adoption"), 0)[:, None]
    time = panel.periods[None, :]
    sets = {
        "cohort_period": cohort * 1e4 + time,
        "event_time": time - cohort,
        "cohort": np.broadcast_to(cohort, panel.shape),
        "all": np.zeros(panel.shape),
    }
    codes, labels = panel.clusters("region")
    sums = np.zeros((len(labels), len(estimate)))
    np.add.at(sums, codes, np.asarray(estimate.influence) / estimate.n_units)
    for k in range(len(estimate)):
        used = str(estimate.detail["averages"][k])
        if used == "none":
            assert np.isnan(estimate.std_errors[k])
            continue
        expected = theorem_3(panel, DESIGN, v[k], effects, sets[used], leave_out)
        np.testing.assert_allclose(sums[:, k], expected, rtol=1e-7, atol=1e-9)


@fast
@given(panels(), st.booleans())
def test_units_as_clusters(panel: Panel, leave_out: bool) -> None:
    """Each unit its own cluster is the same as a cluster variable with one unit each."""
    named = panel.with_fixed(own=np.arange(panel.shape[0]))
    for weight in (None, "size", "w"):
        plain = replace(DESIGN, cluster=None, weight=weight)
        a = imputation_effects(named, plain, leave_out=leave_out)
        b = imputation_effects(named, replace(plain, cluster="own"), leave_out=leave_out)
        for one, other in (
            (a, b),
            (imputation_effects(named, plain, leave_out=leave_out, within="half"), None),
        ):
            if other is not None:
                np.testing.assert_allclose(one.influence, other.influence, rtol=1e-9, atol=1e-9)
        # shuffled units: clusters are no longer in order of the units
        order = np.random.default_rng(1).permutation(panel.shape[0])
        c = imputation_effects(
            named.select(order).with_fixed(own=np.argsort(order)),
            replace(plain, cluster="own"),
            leave_out=leave_out,
        )
        np.testing.assert_allclose(c.std_errors, a.std_errors, rtol=1e-9)


@METHODS
@settings(max_examples=8, deadline=None)
@given(panel=panels())
def test_replicates_are_refits(call: Callable[[Panel, Design], Estimate], panel: Panel) -> None:
    contract.replicates_are_refits(call, panel, DESIGN)
    contract.replicates_are_refits(call, panel, replace(DESIGN, weight=None, covariates=()))


@METHODS
@settings(max_examples=4, deadline=None)
@given(panel=panels(), alone=st.booleans())
def test_replicates_of_units_are_refits(
    call: Callable[[Panel, Design], Estimate], panel: Panel, alone: bool
) -> None:
    """Each unit its own cluster; perhaps a cohort of one unit, treated or the only one never treated."""
    adoption = panel.constant("adoption").copy()
    if alone:
        adoption[np.isinf(adoption)] = 2018.0
        adoption[0], adoption[1] = np.inf, 2019.0
    plain = replace(DESIGN, weight=None, covariates=(), cluster=None)
    panel = panel.with_fixed(
        adoption=adoption, half=np.zeros(panel.shape[0]) if alone else panel.constant("half")
    )
    contract.replicates_are_refits(call, panel, plain)
    order = np.random.default_rng(0).permutation(panel.shape[0])
    named = panel.with_fixed(own=order)  # clusters of one unit in another order
    a, b = call(panel, plain), call(named, replace(plain, cluster="own"))
    np.testing.assert_allclose(np.asarray(b.replicates)[order], a.replicates, rtol=1e-9, atol=1e-9)


@METHODS
@settings(max_examples=4, deadline=None)
@given(panel=panels())
def test_what_must_not_change(call: Callable[[Panel, Design], Estimate], panel: Panel) -> None:
    contract.unit_order_does_not_matter(call, panel, DESIGN)
    contract.periods_are_labels(call, panel, DESIGN)
    contract.outcome_is_equivariant(call, panel, DESIGN)
    contract.caller_is_left_alone(call, panel, DESIGN)
    contract.weights_matter_up_to_a_factor(call, panel, replace(DESIGN, weight="size"))
    contract.copies_are_weights(call, panel, replace(DESIGN, weight="size"))
    contract.influence_gives_the_covariance(call(panel, DESIGN))


@pytest.mark.parametrize("name", [name for name in CALLS if name.startswith("two")])
@settings(max_examples=4, deadline=None)
@given(panel=panels())
def test_two_stage_influence_is_the_derivative(name: str, panel: Panel) -> None:
    contract.influence_is_the_derivative(CALLS[name], panel, replace(DESIGN, weight="size"), [0, 1, 2, 20])


@fast
@given(panels())
def test_imputation_influence_is_the_derivative_within_cells(panel: Panel) -> None:
    """Alike within cells (weights 1, a unit a cluster, own unit not left out) the scores are the derivative."""
    call = partial(imputation_effects, leave_out=False)
    ones = panel.with_fixed(size=np.ones(panel.shape[0]))
    design = replace(DESIGN, weight="size", cluster=None)
    contract.influence_is_the_derivative(call, ones, design, [0, 1, 2, 20])


@fast
@given(panels())
def test_saturated_two_stages_are_imputation(panel: Panel) -> None:
    """Identity 6: with no leads, the second stage's coefficients are the means of the imputed effects."""
    first = imputation_effects(panel, DESIGN, by="overall")
    np.testing.assert_allclose(two_stage_effects(panel, DESIGN).values, first.values, rtol=1e-9, atol=1e-9)
    study = two_stage_event_study(panel, DESIGN, reference=())
    late = np.asarray(study.terms.get_level_values("event_time")) >= 0
    by_time = imputation_effects(panel, DESIGN, by="event_time")
    np.testing.assert_allclose(study.values[late], by_time.values, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(study.replicates[:, late], by_time.replicates, rtol=1e-9, atol=1e-9)


@fast
@given(panels(holes=False))
def test_cells_of_a_complete_panel_depend_on_cohort_means_alone(panel: Panel) -> None:
    """Identity: replacing every outcome by its cohort's mean moves no point estimate."""
    means = panel.values("y").copy()
    cohort = panel.constant("adoption")
    for g in np.unique(cohort):
        means[cohort == g] = means[cohort == g].mean(axis=0)
    plain = Design("y")
    a = imputation_effects(panel, plain)
    b = imputation_effects(panel.with_varying(y=means), plain)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-9, atol=1e-9)
    one = imputation_effects(panel, plain, by="event_time").values
    np.testing.assert_allclose(event_study(a).values, one, rtol=1e-9, atol=1e-9)
    whole = imputation_effects(panel, plain, by="overall").values
    np.testing.assert_allclose(overall(a).values, whole, rtol=1e-9, atol=1e-9)


@fast
@given(panels(holes=False))
def test_imputed_cells_are_those_of_the_saturated_regression(panel: Panel) -> None:
    """Identity 5: extended two-way fixed effects give the same cells, and the same without each cluster."""
    design = Design("y", cluster="region")
    a, b = imputation_effects(panel, design), extended_two_way_effects(panel, design)
    np.testing.assert_allclose(a.values, contract.aligned(b, a), rtol=1e-9, atol=1e-9)
    both = np.isfinite(np.asarray(a.replicates)) & np.isfinite(np.asarray(b.replicates))
    np.testing.assert_allclose(
        np.asarray(a.replicates)[both], np.asarray(b.replicates)[both], rtol=1e-9, atol=1e-9
    )
    assert both.any()


@fast
@given(panels(holes=False))
def test_two_periods_are_group_time_effects(panel: Panel) -> None:
    """With one period before and one after, imputation is the change against the never treated."""
    two = panel.select(periods=[2016, 2017]).with_fixed(
        adoption=np.where(panel.constant("adoption") == 2017, 2017.0, np.inf)
    )
    design = Design("y", cluster="region", weight="size")
    a = imputation_effects(two, design, leave_out=False)
    b = group_time_effects(two, design, replicates=True)
    late = np.asarray(b.terms.get_level_values("period")) == 2017
    np.testing.assert_allclose(a.values, b.values[late], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.replicates, np.asarray(b.replicates)[:, late], rtol=1e-9, atol=1e-9)


@fast
@given(panels())
def test_pretrends_keep_the_contract(panel: Panel) -> None:
    call = partial(imputation_pretrends, leads=1)
    contract.replicates_are_refits(call, panel, DESIGN)
    contract.unit_order_does_not_matter(call, panel, DESIGN)
    contract.periods_are_labels(call, panel, DESIGN)
    contract.outcome_is_equivariant(call, panel, DESIGN)
    contract.caller_is_left_alone(call, panel, DESIGN)


@fast
@given(panels())
def test_pretrends_are_least_squares_on_untreated_rows(panel: Panel) -> None:
    estimate = imputation_pretrends(panel, replace(DESIGN, covariates=("x", "z")), leads=2)
    y, w, z = panel.values("y"), panel.values("w"), panel.constant("z")
    clock = panel.periods[None, :] - panel.constant("adoption")[:, None]
    i, t = np.nonzero(~np.isnan(y) & (clock < 0))
    n, periods = panel.shape
    x = np.column_stack(
        [
            *(clock[i, t] == e for e in (-2, -1)),
            panel.values("x")[i, t],
            *(z[i] * (t == s) for s in range(periods)),
            np.eye(n)[i],
            np.eye(periods)[t],
        ]
    )
    root = np.sqrt(w[i, t])
    expected = np.linalg.lstsq(x * root[:, None], y[i, t] * root, rcond=1e-11)[0][:2]
    np.testing.assert_allclose(estimate.values, expected, rtol=1e-8, atol=1e-9)
