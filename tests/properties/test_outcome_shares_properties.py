"""What percent_effects, fractional_shares and gravity_effects promise, over random small data."""

from __future__ import annotations

from dataclasses import replace

import contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.estimators.gravity import gravity_effects
from evalkit.estimators.percent_effects import percent_effects
from evalkit.flows import Flows
from evalkit.panel import Panel

few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**32 - 1)
bys = st.sampled_from(["overall", "event_time", "cohort", "cell"])
DESIGN = Design("y", cluster="region", weight="w")


def simulate(seed: int, missing: float = 0.0, n: int = 48) -> Panel:
    rng = np.random.default_rng(seed)
    periods = 6
    years = np.arange(2015, 2015 + periods)
    adoption = rng.choice([2017.0, 2019.0, np.inf], n, p=[0.3, 0.3, 0.4])
    region = np.arange(n) % 6
    for r in range(6):  # every cohort in every region, so that each is left when one region goes
        adoption[np.flatnonzero(region == r)[:3]] = [2017.0, 2019.0, np.inf]
    on = years >= adoption[:, None]
    jobs = rng.poisson(15 * np.exp(0.4 * rng.normal(size=(n, 1)) + 0.1 * on)) + 2.0
    y = rng.binomial((jobs - 2).astype(int), 0.3 + 0.2 * on) + 1.0
    if missing:
        y[rng.random(n) < missing, 2] = np.nan
    return Panel(
        np.arange(n),
        years,
        {"y": y, "jobs": jobs},
        {"adoption": adoption, "region": region, "w": rng.uniform(0.5, 2, n), "x": rng.normal(size=n)},
    )


def percent(by: str) -> contract.Call:
    return lambda panel, design: percent_effects(panel, design, by=by)  # type: ignore[arg-type]


def shares(by: str) -> contract.Call:
    return lambda panel, design: fractional_shares(panel, design, denominator="jobs", by=by)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [percent, shares])
@few
@given(
    seed=seeds, by=bys, missing=st.sampled_from([0.0, 0.1]), comparison=st.sampled_from(["never", "not_yet"])
)
def test_the_contract(make: object, seed: int, by: str, missing: float, comparison: str) -> None:
    panel, call = simulate(seed, missing), make(by)  # type: ignore[operator]
    design = replace(DESIGN, comparison=comparison, link="levels")
    contract.unit_order_does_not_matter(call, panel, design)
    contract.weights_matter_up_to_a_factor(call, panel, design)
    contract.copies_are_weights(call, panel, design)
    contract.caller_is_left_alone(call, panel, design)
    contract.replicates_are_refits(call, panel, design)
    contract.influence_is_the_derivative(call, panel, design, [0, 4, 11])
    contract.influence_gives_the_covariance(call(panel, design))
    if by == "overall":
        contract.periods_are_labels(call, panel, design)


@few
@given(seed=seeds, by=bys)
def test_ratios_of_numerator_and_denominator(seed: int, by: str) -> None:
    panel = simulate(seed)
    design = replace(DESIGN, link="ratios")
    contract.replicates_are_refits(shares(by), panel, design)
    contract.influence_is_the_derivative(shares(by), panel, design, [0, 4])


@few
@given(seed=seeds)
def test_percent_with_covariates(seed: int) -> None:
    panel = simulate(seed, n=240)  # enough units that every cell can be balanced without a cluster
    design = replace(DESIGN, covariates=("x",))
    contract.replicates_are_refits(percent("event_time"), panel, design)
    contract.influence_is_the_derivative(percent("overall"), panel, design, [0, 4], rtol=1e-4)


@few
@given(seed=seeds, scale=st.floats(1e-6, 1e6))
def test_the_unit_of_measure_does_not_matter(seed: int, scale: float) -> None:
    """Percent stays when y is measured in another unit; effect and level are multiplied (Chen and Roth)."""
    panel = simulate(seed)
    changed = panel.with_varying(y=panel.values("y") * scale)
    a, b = (percent_effects(p, DESIGN, by="overall") for p in (panel, changed))
    factor = np.array([1.0, scale, scale])
    np.testing.assert_allclose(b.values, a.values * factor, rtol=1e-9)
    np.testing.assert_allclose(b.std_errors, a.std_errors * factor, rtol=1e-9)
    np.testing.assert_allclose(b.replicates, np.asarray(a.replicates) * factor, rtol=1e-8)


@few
@given(seed=seeds, by=bys)
def test_the_parts_of_a_share_add_up(seed: int, by: str) -> None:
    estimate = fractional_shares(simulate(seed), DESIGN, denominator="jobs", by=by)  # type: ignore[arg-type]
    term = np.asarray(estimate.terms.get_level_values("term"))

    def of(name: str, values: np.ndarray) -> np.ndarray:
        return values[..., term == name]

    for values in (estimate.values, np.asarray(estimate.replicates), np.asarray(estimate.influence)):
        np.testing.assert_allclose(
            of("ratio", values),
            of("ratio_numerator", values) + of("ratio_denominator", values),
            rtol=1e-9,
            atol=1e-9,
        )


@few
@given(seed=seeds, factor=st.floats(0.5, 20))
def test_a_share_does_not_depend_on_the_scale_of_both(seed: int, factor: float) -> None:
    panel = simulate(seed)
    changed = panel.with_varying(y=panel.values("y") * factor, jobs=panel.values("jobs") * factor)
    a, b = (fractional_shares(p, DESIGN, denominator="jobs") for p in (panel, changed))
    scale = np.array([1, factor, factor, 1, 1, 1])
    np.testing.assert_allclose(b.values, a.values * scale, rtol=1e-8, atol=1e-9)


# -- flows ---------------------------------------------------------------------------------------------


def flows_of(seed: int, *, holes: bool = False) -> Flows:
    rng = np.random.default_rng(seed)
    origins, destinations, periods = 4, 10, 6
    years, at = np.arange(1, periods + 1), np.arange(destinations)
    adoption = np.where(at % 3 == 0, 4.0, np.inf)
    mean = np.exp(rng.normal(0.5, 0.7, (origins, destinations, 1)) + 0.3 * (years >= adoption[:, None]))
    counts = rng.poisson(mean * np.ones((1, 1, periods))).astype(float)
    if holes:
        counts[rng.random(counts.shape) < 0.1] = np.nan
    return Flows(
        np.arange(origins),
        at,
        years,
        counts,
        {"adoption": adoption, "ring": np.where(at % 3 == 1, 4.0, np.inf), "group": at // 2},
        {"x": rng.normal(size=(destinations, periods))},
    )


OPTIONS: tuple[dict[str, object], ...] = (
    {},
    {"diversion": ("ring",)},
    {"origin_period": False},
    {"trends": True},
    {"pair": False, "diversion": ("ring",)},
)
FLOW = Design("movers", cluster="group", covariates=("x",))


def brute(flows: Flows, design: Design, whole: Estimate, options: dict[str, object]) -> np.ndarray:
    codes, labels = flows.clusters(design.cluster)
    out = np.full((len(labels), len(whole)), np.nan)
    for c in range(len(labels)):
        try:
            out[c] = gravity_effects(flows.select(codes != c), design, **options).values  # type: ignore[arg-type]
        except EvalkitError:
            continue
    return out


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("covariates", [(), ("x",)])
def test_replicates_of_flows_are_refits(options: dict[str, object], covariates: tuple[str, ...]) -> None:
    for seed in (0, 1):
        flows = flows_of(seed, holes=seed == 1)
        design = replace(FLOW, covariates=covariates)
        whole = gravity_effects(flows, design, **options)  # type: ignore[arg-type]
        assert whole.replicates is not None
        np.testing.assert_allclose(
            whole.replicates, brute(flows, design, whole, options), rtol=1e-9, atol=1e-9
        )
        contract.influence_gives_the_covariance(whole)


@few
@given(seed=seeds, options=st.sampled_from(OPTIONS), scale=st.floats(0.01, 1000))
def test_flows_do_not_depend_on_order_or_unit(seed: int, options: dict[str, object], scale: float) -> None:
    flows = flows_of(seed)
    whole = gravity_effects(flows, FLOW, **options)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    o, d = rng.permutation(4), rng.permutation(10)
    moved = Flows(
        flows.origins[o],
        flows.destinations[d],
        flows.periods + 9,
        flows.counts[o][:, d] * scale,
        {
            **{name: values[d] for name, values in flows.fixed.items()},
            "adoption": flows.fixed["adoption"][d] + 9,
            "ring": flows.fixed["ring"][d] + 9,
        },
        {name: values[d] for name, values in flows.varying.items()},
    )
    other = gravity_effects(moved, FLOW, **options)  # type: ignore[arg-type]
    np.testing.assert_allclose(other.values, whole.values, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(other.std_errors, whole.std_errors, rtol=1e-6)
    back = [list(other.units).index(u) for u in whole.units]
    np.testing.assert_allclose(np.asarray(other.influence)[back], whole.influence, rtol=1e-5, atol=1e-6)


@few
@given(seed=seeds)
def test_what_happens_at_an_origin_does_not_matter(seed: int) -> None:
    """Origin × period effects take up how many leave: multiplying an origin's year changes nothing but weights of cells.

    With two destinations the identity is exact: the ratio of their flows is all that is read.
    """
    flows = flows_of(seed)
    chosen = np.isin(np.arange(10), [0, 1])
    two = flows.select(chosen)
    counts = two.counts[:1] + 1.0
    one = Flows(two.origins[:1], two.destinations, two.periods[:], counts, two.fixed, two.varying)
    factor = np.random.default_rng(seed).integers(1, 9, (1, 1, 6)).astype(float)
    periods = [2, 3]  # before and after: two destinations, two periods
    before, after = (
        Flows(one.origins, one.destinations, one.periods[periods], c[:, :, periods], one.fixed)
        for c in (counts, counts * factor)
    )
    plain = Design("movers")
    np.testing.assert_allclose(
        gravity_effects(after, plain).values, gravity_effects(before, plain).values, rtol=1e-9, atol=1e-10
    )


def test_survives_a_file(tmp_path: object) -> None:
    contract.survives_a_file(gravity_effects(flows_of(0), FLOW), tmp_path)
    contract.survives_a_file(percent_effects(simulate(0), DESIGN), tmp_path)
    contract.survives_a_file(fractional_shares(simulate(0), DESIGN, denominator="jobs"), tmp_path)
