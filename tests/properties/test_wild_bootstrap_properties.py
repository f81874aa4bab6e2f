"""What the wild bootstrap keeps whatever the panel: interval and p-value agree, and no label or unit of measurement matters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staggered_panels import staggered_panels

from evalkit.arrays.quartic import real_roots
from evalkit.arrays.wild_bootstrap import drawn
from evalkit.design import Design
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import cluster_diagnostics, wild_bootstrap, wild_draws
from evalkit.panel import Panel

KINDS = st.sampled_from(["WCR-C", "WCR-S", "WCR-V", "WCR-B", "WCU-C", "WCU-S"])
SIDES = st.sampled_from(["two-sided", "equal-tailed", "greater", "less"])
DESIGN = Design("y", covariates=("z",), cluster="region", weight="w")


def spread(panel: Panel, regions: int = 7) -> Panel:
    """The same units in seven regions, so that signs can reject at 10 %."""
    return panel.with_fixed(region=np.arange(len(panel.units)) % regions)


@settings(max_examples=40, deadline=None)
@given(staggered_panels(), KINDS, SIDES, st.floats(-3, 3), st.sampled_from([0.8, 0.9]), st.booleans())
def test_a_value_is_inside_exactly_where_it_is_not_rejected(
    panel: Panel, kind: Any, side: Any, shift: float, level: float, drawn_at_random: bool
) -> None:
    estimate = two_way_effects(spread(panel), DESIGN)
    options: dict[str, Any] = {"kind": kind, "alternative": side, "level": level, "weights": "rademacher"}
    if drawn_at_random:
        options |= {"weights": "webb", "draws": 199}
    found = wild_bootstrap(estimate, [0], **options)[0]
    ends = [end for piece in found.pieces for end in piece if math.isfinite(end)]
    error = float(found.detail["std_error"])  # type: ignore[arg-type]
    values = [found.estimate + shift * error, *(e + step * error for e in ends for step in (-1e-5, 1e-5))]
    for value in values:
        if any(abs(value - end) < 1e-7 * error for end in ends):
            continue
        p = wild_bootstrap(estimate, [0], null=value, **options)[0].p_value
        assert (value in found) == (p >= 1 - level - 1e-12), (value, p, found.pieces)


@settings(max_examples=25, deadline=None)
@given(staggered_panels(), KINDS, st.integers(0, 99))
def test_labels_order_and_units_of_measurement_do_not_matter(panel: Panel, kind: Any, seed: int) -> None:
    panel = spread(panel)
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"kind": kind, "weights": "rademacher", "level": 0.9}
    plain = wild_bootstrap(two_way_effects(panel, DESIGN), [0], null=0.25, **options)[0]
    order, names = rng.permutation(len(panel.units)), rng.permutation(7)
    moved = panel.select(units=order)
    moved = moved.with_fixed(region=names[moved.constant("region")])
    scaled = moved.with_varying(y=3 - 2.5 * moved.values("y"), z=1e3 * moved.values("z"))
    other = wild_bootstrap(two_way_effects(scaled, DESIGN), [0], null=-2.5 * 0.25, **options)[0]
    assert plain.p_value == other.p_value
    error = float(plain.detail["std_error"])  # type: ignore[arg-type]
    assert len(plain.pieces) == len(other.pieces)
    for (low, high), (back, front) in zip(plain.pieces, reversed(other.pieces), strict=True):
        np.testing.assert_allclose([back, front], [-2.5 * high, -2.5 * low], atol=1e-6 * error, rtol=1e-7)


@settings(max_examples=25, deadline=None)
@given(staggered_panels(), KINDS)
def test_p_values_have_a_floor_and_the_sample_is_its_own_tie(panel: Panel, kind: Any) -> None:
    draws = wild_draws(two_way_effects(spread(panel), DESIGN), kind=kind, null=0.3, weights="rademacher")
    assert draws.exact
    assert len(draws.t_star) == 2**6
    assert (draws.p_values >= 2.0**-6).all()
    assert (draws.p_values <= 1).all()
    if kind in ("WCR-C", "WCR-V"):  # all signs +1: the sample itself
        np.testing.assert_allclose(draws.t_star[0], draws.t, rtol=1e-8)


@settings(max_examples=20, deadline=None)
@given(staggered_panels(), st.integers(0, 99))
def test_leverage_sums_to_parameters_and_partial_leverage_to_one(panel: Panel, seed: int) -> None:
    panel = spread(panel)
    found = cluster_diagnostics(two_way_effects(panel, DESIGN), rho=(0.0, 0.5))
    assert found.leverage is not None
    assert found.partial_leverage is not None
    assert found.effective is not None
    assert found.share is not None
    periods = len(panel.periods)
    np.testing.assert_allclose(found.leverage.sum(), 2 + periods - 1, rtol=1e-8)
    np.testing.assert_allclose(found.partial_leverage.sum(axis=0), 1, rtol=1e-8)
    np.testing.assert_allclose(found.share.sum(axis=0), 1, rtol=1e-8)
    assert (found.effective >= 1 - 1e-9).all()
    assert (found.effective <= 7 + 1e-9).all()
    np.testing.assert_allclose(found.effective[0], found.effective[1])
    assert (found.low <= found.high).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 4))
def test_quartics_against_companion_matrices(seed: int, spread_: float) -> None:
    rng = np.random.default_rng(seed)
    poly = rng.normal(size=(50, 5)) * 10 ** rng.uniform(-spread_, spread_, size=(50, 5))
    poly[:5, 0] = 0
    poly[5:8, [0, 1, 3]] = 0
    found = real_roots(poly)
    for row, mine in zip(poly, found, strict=True):
        roots = np.roots(row)
        plain = np.sort(roots[np.abs(roots.imag) < 1e-7 * (1 + np.abs(roots))].real)
        near = np.abs(roots.imag) < 1e-4 * (1 + np.abs(roots))
        if near.sum() != len(plain):  # almost a double root: either count is right
            continue
        np.testing.assert_allclose(mine[np.isfinite(mine)], plain, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["rademacher", "webb", "mammen", "normal"])
def test_weights_have_mean_zero_variance_one_and_do_not_depend_on_blocks(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.concatenate(list(drawn(kind, 40_000, 5, 11)))
    monkeypatch.setattr("evalkit.arrays.wild_bootstrap.BLOCK", 777)
    parts = list(drawn(kind, 40_000, 5, 11))
    assert len(parts) > 100
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=0.025)
    np.testing.assert_allclose(whole.var(axis=0), 1, atol=0.03)
    third = {"mammen": 1.0}.get(kind, 0.0)
    np.testing.assert_allclose((whole**3).mean(axis=0), third, atol=0.1)
