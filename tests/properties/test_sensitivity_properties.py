"""What a change of unit, sign or origin does to a sensitivity analysis, and how its sets lie in one another."""

from __future__ import annotations

import numpy as np
import pytest
from event_studies import event_study, random_inputs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.checks.equivalence import equivalence
from evalkit.checks.event_window import fewer_periods
from evalkit.checks.pre_trend_power import pre_trend_power
from evalkit.checks.sensitivity import Sensitivity, sensitivity

SLOW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 10**6)
KINDS = ("relative_magnitudes", "smoothness", "smoothness_relative")
MIRROR = {
    "positive": "negative",
    "negative": "positive",
    "increasing": "decreasing",
    "decreasing": "increasing",
}
kinds = st.sampled_from(KINDS)
shapes = st.sampled_from([{}, {"bias": "positive"}, {"trend": "decreasing"}])


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    rng = np.random.default_rng(seed)
    return random_inputs(rng, int(rng.integers(2, 5)), int(rng.integers(1, 5)))


def ends(found: Sensitivity) -> np.ndarray:
    return np.array([(s.low, s.high) for s in found.sets])


def close(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * np.nanmax(np.abs(b)))


@SLOW
@given(seeds, kinds, shapes, st.sampled_from([1e-3, 0.7, 400.0]))
def test_unit_of_the_outcome(seed: int, kind: str, shape: dict[str, str], factor: float) -> None:
    """y → c y scales sets by c; M has the unit of y, M̄ has none; critical values and breakdown M̄ do not move."""
    beta, sigma, before = drawn(seed)
    unit = factor if kind == "smoothness" else 1.0
    one = sensitivity(event_study(beta, sigma, before), restriction=kind, bounds=[0.0, 0.05, 0.5], **shape)  # type: ignore[arg-type]
    other = sensitivity(
        event_study(beta * factor, sigma * factor**2, before),
        restriction=kind,  # type: ignore[arg-type]
        bounds=np.array([0.0, 0.05, 0.5]) * unit,
        **shape,  # type: ignore[arg-type]
    )
    close(ends(other), ends(one) * factor)
    assert other.breakdown == pytest.approx(one.breakdown * unit, rel=1e-6)


@SLOW
@given(seeds, kinds, shapes)
def test_sign_of_the_outcome(seed: int, kind: str, shape: dict[str, str]) -> None:
    """y → −y mirrors the sets, with the shape mirrored too."""
    beta, sigma, before = drawn(seed)
    mirrored = {key: MIRROR[value] for key, value in shape.items()}
    one = sensitivity(event_study(beta, sigma, before), restriction=kind, bounds=[0.05, 0.5], **shape)  # type: ignore[arg-type]
    other = sensitivity(event_study(-beta, sigma, before), restriction=kind, bounds=[0.05, 0.5], **mirrored)  # type: ignore[arg-type]
    close(ends(other), -ends(one)[:, ::-1])
    assert other.breakdown == pytest.approx(one.breakdown, rel=1e-6)


@SLOW
@given(seeds, kinds, st.floats(-1, 1))
def test_a_constant_effect_moves_the_set_with_it(seed: int, kind: str, effect: float) -> None:
    beta, sigma, before = drawn(seed)
    moved = beta + np.r_[np.zeros(before), np.full(len(beta) - before, effect)]
    one = sensitivity(event_study(beta, sigma, before), restriction=kind, bounds=[0.05, 0.5])  # type: ignore[arg-type]
    other = sensitivity(event_study(moved, sigma, before), restriction=kind, bounds=[0.05, 0.5], null=effect)  # type: ignore[arg-type]
    close(ends(other), ends(one) + effect)
    assert other.breakdown == pytest.approx(one.breakdown, rel=1e-6)


@SLOW
@given(seeds, st.floats(-0.3, 0.3))
def test_a_straight_line_does_not_move_smooth_sets(seed: int, slope: float) -> None:
    """δ → δ + slope t: second differences and what they bound stay as they are."""
    beta, sigma, before = drawn(seed)
    line = slope * np.r_[np.arange(-before, 0), np.arange(1, len(beta) - before + 1)]
    for kind in ("smoothness", "smoothness_relative"):
        one, other = (
            sensitivity(event_study(b, sigma, before), restriction=kind, bounds=[0.02, 0.5])  # type: ignore[arg-type]
            for b in (beta, beta + line)
        )
        close(ends(other), ends(one))


@SLOW
@given(seeds, kinds, shapes)
def test_null_is_excluded_up_to_the_breakdown_and_sets_hold_what_is_identified(
    seed: int, kind: str, shape: dict[str, str]
) -> None:
    beta, sigma, before = drawn(seed)
    found = sensitivity(event_study(beta, sigma, before), restriction=kind, **shape)  # type: ignore[arg-type]
    for bound, kept, pieces in zip(found.bounds, found.sets, found.identified, strict=True):
        if bound < found.breakdown * (1 - 1e-6):
            assert kept.excludes(found.null)
        if found.method == "C-F":  # its first stage may leave out what the estimates identify
            continue
        for low, high in pieces if found.method != "FLCI" else ():
            assert kept.low <= low + 1e-9
            assert kept.high >= high - 1e-9


@SLOW
@given(seeds, st.integers(1, 3))
def test_bins_of_bins(seed: int, width: int) -> None:
    """Choosing all periods changes nothing; averaging keeps a straight line straight and its covariance in step."""
    rng = np.random.default_rng(seed)
    beta, sigma, _ = random_inputs(rng, 6, 6)
    event = event_study(beta, sigma, 6)
    same = fewer_periods(event, before=6, after=6)
    np.testing.assert_allclose(same.values, beta)
    np.testing.assert_allclose(same.covariance, sigma)
    line = event_study(beta + 0.3 * np.r_[-6:0, 1:7], sigma, 6)
    a, b = (fewer_periods(e, width=width) for e in (event, line))
    steps = np.asarray(a.terms.get_level_values(0), dtype=float) + 1
    np.testing.assert_allclose(b.values - a.values, 0.3 * width * steps, atol=1e-12)
    np.testing.assert_allclose(a.covariance, b.covariance)


@SLOW
@given(seeds, st.sampled_from([np.inf, 13.0]), st.sampled_from([0.01, 30.0]))
def test_power_and_equivalence_have_no_unit(seed: int, dof: float, factor: float) -> None:
    beta, sigma, before = drawn(seed)
    one, other = (
        pre_trend_power(event_study(beta * c, sigma * c**2, before, dof=dof), slope=0.05 * c, powers=(0.5,))
        for c in (1.0, factor)
    )
    for name in ("power", "false_alarm", "bayes_factor", "likelihood_ratio"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-8)
    np.testing.assert_allclose(other.expected, one.expected * factor, rtol=1e-7, atol=1e-12 * factor)
    opposite = pre_trend_power(event_study(beta, sigma, before, dof=dof), slope=-0.05, powers=(0.5,))
    assert opposite.power == pytest.approx(one.power, abs=2e-4)
    a, b = (
        equivalence(event_study(beta * c, sigma * c**2, before, dof=dof), margin=0.2 * c)
        for c in (1.0, factor)
    )
    np.testing.assert_allclose(a.p_values, b.p_values, rtol=1e-8)
    assert a.smallest_margin * factor == pytest.approx(b.smallest_margin, rel=1e-10)
