"""What must not change: order of units, labels of clusters, scale and level of the outcome; and p-values against sets."""

from __future__ import annotations

from typing import Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.design import Design
from evalkit.inference.independent_effects import sign_changes
from evalkit.inference.randomisation import randomisation_test
from evalkit.panel import Panel

STATISTICS: tuple[Literal["t", "coefficient"], ...] = ("t", "coefficient")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Panel, Design]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    clusters, per, periods = draw(st.integers(5, 7)), draw(st.integers(1, 2)), draw(st.integers(4, 6))
    dates = np.full(clusters, np.inf)
    dates[:2] = 3.0
    if draw(st.booleans()):
        dates[1] = 4.0
    region = np.repeat(np.arange(clusters), per)
    n = len(region)
    y = rng.normal(size=(n, periods)).cumsum(axis=1) + rng.normal(size=(n, 1))
    if draw(st.booleans()):
        hole = rng.random((n, periods)) < 0.1
        hole[:, :2] = False
        y[hole] = np.nan
    panel = Panel(
        np.arange(n),
        np.arange(1, periods + 1),
        {"y": y, "z": rng.normal(size=(n, periods))},
        {"adoption": dates[region], "region": region, "w": rng.uniform(0.5, 3.0, n)},
    )
    design = Design(
        "y",
        cluster="region",
        weight=draw(st.sampled_from([None, "w"])),
        covariates=draw(st.sampled_from([(), ("z",)])),
    )
    return panel, design


@settings(max_examples=25, deadline=None)
@given(worlds(), st.sampled_from(STATISTICS), st.integers(0, 2**31))
def test_order_and_labels_do_not_matter(
    world: tuple[Panel, Design], statistic: Literal["t", "coefficient"], seed: int
) -> None:
    panel, design = world
    rng = np.random.default_rng(seed)
    out = randomisation_test(panel, design, statistic=statistic, level=0.8)
    order = rng.permutation(len(panel.units))
    names = rng.permutation(100)[: int(panel.constant("region").max()) + 1]
    other = panel.with_fixed(region=names[panel.constant("region")]).select(order)
    again = randomisation_test(other, design, statistic=statistic, level=0.8)
    assert again.p_value == out.p_value
    assert len(again.pieces) == len(out.pieces)
    np.testing.assert_allclose(again.pieces, out.pieces, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        np.sort(again.detail["placebos"]), np.sort(out.detail["placebos"]), rtol=1e-7, atol=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(
    worlds(),
    st.sampled_from(STATISTICS),
    st.floats(-50, 50),
    st.sampled_from([-3.0, -0.01, 0.5, 1e4]),
    st.floats(-1, 1),
)
def test_level_and_scale_of_the_outcome(
    world: tuple[Panel, Design],
    statistic: Literal["t", "coefficient"],
    level: float,
    scale: float,
    null: float,
) -> None:
    """y → a + by moves the effect and its set by b; trends common to all move nothing."""
    panel, design = world
    out = randomisation_test(panel, design, statistic=statistic, level=0.8, null=null)
    moved = panel.with_varying(y=level + scale * panel.values("y") + 0.3 * panel.periods**2)
    again = randomisation_test(moved, design, statistic=statistic, level=0.8, null=null * scale)
    assert again.p_value == out.p_value
    expected = np.sort(scale * np.array(out.pieces), axis=1)
    expected = expected[np.argsort(expected[:, 0])]
    np.testing.assert_allclose(again.pieces, expected, rtol=1e-6, atol=1e-6 * abs(scale))


@settings(max_examples=30, deadline=None)
@given(worlds(), st.sampled_from(STATISTICS), st.sampled_from([0.5, 0.8, 0.9]), st.floats(-6, 6))
def test_a_value_is_in_the_set_where_its_p_value_exceeds_alpha(
    world: tuple[Panel, Design], statistic: Literal["t", "coefficient"], level: float, value: float
) -> None:
    panel, design = world
    out = randomisation_test(panel, design, statistic=statistic, level=level)
    p = randomisation_test(
        panel, design, statistic=statistic, null=value, level=level, interval=False
    ).p_value
    near = any(abs(value - end) < 1e-9 for piece in out.pieces for end in piece)
    assert near or (value in out) == (p > (1 - level) * (1 + 1e-9))
    assert out.smallest_p <= out.p_value
    assert out.estimate in out


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-20, 20).map(lambda x: round(x, 3)), min_size=2, max_size=8),
    st.floats(-25, 25),
    st.sampled_from([0.5, 0.8, 0.9, 0.95]),
)
def test_signs_agree_with_their_set(effects: list[float], value: float, level: float) -> None:
    out = sign_changes(effects, level=level)
    p = sign_changes(effects, level=level, null=value).p_value
    near = any(abs(value - end) < 1e-7 for piece in out.pieces for end in piece)
    assert near or (value in out) == (p > (1 - level) * (1 + 1e-9))
    assert sign_changes([-x for x in effects]).p_value == sign_changes(effects).p_value
