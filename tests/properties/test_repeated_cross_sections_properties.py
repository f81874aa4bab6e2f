"""What repeated cross-sections keep whatever the sample: the contract, told in observations instead of units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.repeated_cross_sections import repeated_cross_section_effects
from evalkit.panel import Panel
from evalkit.sample import Sample

DESIGN = Design("y", cluster="town", weight="w", covariates=("x",))
METHODS = ("dr_improved", "dr", "reg", "ipw")
fast = settings(max_examples=8, deadline=None)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, periods = draw(st.integers(300, 500)), 4
    g = rng.choice([2.0, 3.0, np.inf], n, p=[0.3, 0.3, 0.4])
    t = rng.integers(1, periods + 1, n)
    x = rng.normal(size=n) + 0.3 * (g == 2)
    y = 0.3 * t + x * (1 + 0.2 * t) + (t >= g) + rng.normal(size=n)
    w = rng.uniform(0.5, 2, n) if draw(st.booleans()) else np.ones(n)
    y[rng.random(n) < 0.02] = np.nan
    return Sample(t, {"y": y, "adoption": g, "x": x, "town": np.arange(n) % 6, "w": w})


def call(sample: Sample, method: Any, design: Design = DESIGN) -> Estimate:
    return repeated_cross_section_effects(sample, design, method=method)


def aligned(est: Estimate, like: Estimate) -> np.ndarray:
    place = {term: i for i, term in enumerate(est.terms)}
    return np.array([est.values[place[t]] if t in place else np.nan for t in like.terms])


@fast
@given(samples())
def test_replicates_are_refits(sample: Sample) -> None:
    for method in METHODS:
        whole = call(sample, method)
        assert whole.replicates is not None
        for c, town in enumerate(whole.cluster_labels):
            try:
                again = aligned(call(sample.select(sample.column("town") != town), method), whole)
            except EvalkitError:
                again = np.full(len(whole), np.nan)
            np.testing.assert_allclose(whole.replicates[c], again, rtol=1e-9, atol=1e-9)


@fast
@given(samples(), st.integers(0, 2**32 - 1))
def test_order_labels_levels_and_scales(sample: Sample, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(sample))
    moved = Sample(
        sample.periods + 2000,
        {**sample.variables, "adoption": sample.numbers("adoption") + 2000},
        sample.labels,
    )
    for method in METHODS:
        a = call(sample, method)
        shuffled = call(sample.select(order), method)
        np.testing.assert_allclose(a.values, shuffled.values, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(a.std_errors, shuffled.std_errors, rtol=1e-8, atol=1e-9)
        assert a.influence is not None
        assert shuffled.influence is not None
        np.testing.assert_allclose(a.influence[order], shuffled.influence, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(a.values, call(moved, method).values, rtol=1e-9, atol=1e-9)
        changed = call(sample.with_variables(y=3 + 2.5 * sample.numbers("y")), method)
        np.testing.assert_allclose(2.5 * a.values, changed.values, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(2.5 * a.std_errors, changed.std_errors, rtol=1e-7, atol=1e-8)
        heavy = call(sample.with_variables(w=3.7 * sample.numbers("w")), method)
        np.testing.assert_allclose(a.values, heavy.values, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(a.std_errors, heavy.std_errors, rtol=1e-8, atol=1e-9)


@fast
@given(samples())
def test_copies_are_weights(sample: Sample) -> None:
    twice = np.arange(len(sample)) % 3 == 0
    at = np.concatenate([np.arange(len(sample)), np.flatnonzero(twice)])
    copied = Sample(sample.periods[at], {k: v[at] for k, v in sample.variables.items()}).with_variables(
        w=np.ones(len(at))
    )
    for method in METHODS:
        a = call(sample.with_variables(w=np.where(twice, 2.0, 1.0)), method)
        b = call(copied, method)
        np.testing.assert_allclose(a.values, b.values, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(a.replicates, b.replicates, rtol=1e-7, atol=1e-8)  # type: ignore[arg-type]


@fast
@given(samples())
def test_influence_is_the_derivative(sample: Sample) -> None:
    """Of "reg" and "ipw", whose nuisance terms are exact; those of the doubly robust ones vanish only in large samples."""
    for method in ("reg", "ipw"):
        whole = call(sample, method)
        assert whole.influence is not None
        weights, step = sample.numbers("w"), 1e-4
        for row in (0, 17, 101, 250):
            sides = []
            for sign in (1, -1):
                w = weights.copy()
                w[row] *= 1 + sign * step
                sides.append(call(sample.with_variables(w=w), method).values)
            slope = (sides[0] - sides[1]) / (2 * step)
            mine = whole.influence[row] / len(sample)
            np.testing.assert_allclose(
                slope, mine, rtol=1e-3, atol=1e-5 * np.abs(whole.influence).max() / len(sample)
            )


@fast
@given(samples(), st.sampled_from(["never", "not_yet"]), st.sampled_from(["universal", "varying"]))
def test_a_panel_of_people_seen_once_gives_the_same(sample: Sample, comparison: Any, base: Any) -> None:
    frame = sample.to_frame()
    panel = Panel.from_long(
        frame, unit="row", period="period", varying=["y"], fixed=["adoption", "x", "w", "town"]
    )
    design = replace(DESIGN, comparison=comparison, base=base)
    for method in METHODS:
        a = group_time_effects(panel, design, method=method, missing="rows")
        b = call(sample, method, design)
        assert list(a.terms) == list(b.terms)
        np.testing.assert_allclose(a.values, b.values, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(a.std_errors, b.std_errors, rtol=1e-8, atol=1e-9)


@fast
@given(samples())
def test_without_covariates_all_methods_are_four_means(sample: Sample) -> None:
    design = Design("y", comparison="never", base="varying", weight="w")
    found = [call(sample, method, design).values for method in METHODS]
    for values in found[1:]:
        np.testing.assert_array_equal(values, found[0])
    y, g, t, w = (sample.numbers("y"), sample.numbers("adoption"), sample.periods, sample.numbers("w"))

    def mean(cohort: float, period: int) -> float:
        at = (g == cohort) & (t == period) & ~np.isnan(y)
        return float(np.average(y[at], weights=w[at]))

    first = (mean(2, 3) - mean(2, 1)) - (mean(np.inf, 3) - mean(np.inf, 1))
    terms = list(call(sample, "reg", design).terms)
    assert found[0][terms.index((2, 3))] == pytest.approx(first, rel=1e-9)


@fast
@given(samples())
def test_the_sample_is_left_alone(sample: Sample) -> None:
    before = {name: values.copy() for name, values in sample.variables.items()}
    call(sample, "dr_improved")
    for name, values in before.items():
        np.testing.assert_array_equal(sample.column(name), values)
