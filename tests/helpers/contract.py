"""What every method promises, as checks that a property test calls with its own panels.

A method is handed over as ``call(panel, design) -> Estimate`` with its options bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.panel import Panel

Call = Callable[[Panel, Design], Estimate]
Floats = NDArray[np.float64]


def aligned(estimate: Estimate, like: Estimate) -> Floats:
    """The values of one estimate in the order of another's terms; NaN where a term is missing."""
    place = {term: i for i, term in enumerate(estimate.terms)}
    return np.array([estimate.values[place[t]] if t in place else np.nan for t in like.terms])


def refits(call: Call, panel: Panel, design: Design, whole: Estimate) -> Floats:
    """The estimate without each cluster by brute force; NaN where nothing can be estimated  # (C, k)"""
    codes, labels = panel.clusters(design.cluster)
    out = np.full((len(labels), len(whole)), np.nan)
    for c in range(len(labels)):
        try:
            out[c] = aligned(call(panel.select(codes != c), design), whole)
        except EvalkitError:
            continue
    return out


def replicates_are_refits(
    call: Call, panel: Panel, design: Design, rtol: float = 1e-9, atol: float = 1e-9
) -> None:
    """Delete-one-cluster replicates equal brute-force refits, undefined ones included."""
    whole = call(panel, design)
    assert whole.replicates is not None
    labels = panel.clusters(design.cluster)[1]
    assert [str(label) for label in whole.cluster_labels] == [str(label) for label in labels]
    np.testing.assert_allclose(whole.replicates, refits(call, panel, design, whole), rtol=rtol, atol=atol)


def unit_order_does_not_matter(
    call: Call, panel: Panel, design: Design, seed: int = 0, rtol: float = 1e-9
) -> None:
    """Shuffled units give the same numbers, and influence rows that follow their units."""
    order = np.random.default_rng(seed).permutation(len(panel.units))
    a, b = call(panel, design), call(panel.select(order), design)
    np.testing.assert_allclose(a.values, aligned(b, a), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.std_errors, b.std_errors, rtol=rtol, atol=rtol)
    if a.influence is not None and b.influence is not None:
        rows = {unit: i for i, unit in enumerate(b.units)}
        at = [rows[unit] for unit in a.units]
        np.testing.assert_allclose(a.influence, b.influence[at], rtol=rtol, atol=rtol)


def periods_are_labels(call: Call, panel: Panel, design: Design, shift: int = 7, rtol: float = 1e-9) -> None:
    """Adding a constant to every period changes no number."""
    moved = Panel(
        panel.units,
        panel.periods + shift,
        panel.varying,
        {**panel.fixed, design.adoption: panel.fixed[design.adoption] + shift},
    )
    a, b = call(panel, design), call(moved, design)
    np.testing.assert_allclose(a.values, b.values, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.std_errors, b.std_errors, rtol=rtol, atol=rtol)


def outcome_is_equivariant(
    call: Call, panel: Panel, design: Design, level: float = 3.0, scale: float = 2.5, rtol: float = 1e-9
) -> None:
    """y → a + b y gives b times the effects and their errors."""
    changed = panel.with_varying(**{design.outcome: level + scale * panel.values(design.outcome)})
    a, b = call(panel, design), call(changed, design)
    np.testing.assert_allclose(a.values * scale, b.values, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(a.std_errors * scale, b.std_errors, rtol=rtol, atol=rtol)


def weights_matter_up_to_a_factor(call: Call, panel: Panel, design: Design, factor: float = 3.7) -> None:
    """c times the weights changes nothing."""
    assert design.weight is not None
    scaled = panel.with_fixed(**{design.weight: panel.constant(design.weight) * factor})
    a, b = call(panel, design), call(scaled, design)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.std_errors, b.std_errors, rtol=1e-9, atol=1e-9)


def with_copies(panel: Panel, twice: NDArray[np.bool_], weight: str) -> Panel:
    """The panel with some units copied, every weight 1."""
    at = np.concatenate([np.arange(len(twice)), np.flatnonzero(twice)])
    return Panel(
        np.arange(len(at)),
        panel.periods,
        {name: values[at] for name, values in panel.varying.items()},
        {**{name: values[at] for name, values in panel.fixed.items()}, weight: np.ones(len(at))},
    )


def copies_are_weights(call: Call, panel: Panel, design: Design, rtol: float = 1e-9) -> None:
    """A unit that stands twice counts like a unit of weight two: points and replicates (clusters hold both copies)."""
    assert design.weight is not None
    assert design.cluster is not None
    twice = np.arange(len(panel.units)) % 3 == 0
    a = call(panel.with_fixed(**{design.weight: np.where(twice, 2.0, 1.0)}), design)
    b = call(with_copies(panel, twice, design.weight), design)
    np.testing.assert_allclose(a.values, aligned(b, a), rtol=rtol, atol=rtol)
    if a.replicates is not None and b.replicates is not None:
        np.testing.assert_allclose(a.replicates, b.replicates, rtol=rtol, atol=rtol)


def influence_is_the_derivative(
    call: Call, panel: Panel, design: Design, units: Sequence[int], step: float = 1e-4, rtol: float = 1e-5
) -> None:
    """influence_i / N = dθ/dw_i: the influence function is the derivative of the estimate in the unit's weight."""
    assert design.weight is not None
    whole = call(panel, design)
    assert whole.influence is not None
    rows = {unit: i for i, unit in enumerate(whole.units)}
    scale = np.nanmax(np.abs(whole.influence)) / len(whole.influence)
    base = panel.constant(design.weight).astype(np.float64)
    for unit in units:
        sides = []
        for sign in (1, -1):
            changed = base.copy()
            changed[unit] *= 1 + sign * step
            sides.append(aligned(call(panel.with_fixed(**{design.weight: changed}), design), whole))
        slope = (sides[0] - sides[1]) / (2 * step)
        at = rows.get(panel.units[unit])
        mine = np.zeros(len(whole)) if at is None else whole.influence[at] / len(whole.influence)
        np.testing.assert_allclose(slope, mine, rtol=rtol, atol=rtol * scale)


def influence_gives_the_covariance(estimate: Estimate, rtol: float = 1e-9) -> None:
    """Cluster sums of the influence function, squared, over N²: the covariance, up to one factor for all terms.

    Terms without a standard error (one cluster alone on a side, sums that cancel) are passed over.
    """
    assert estimate.influence is not None
    sums = np.zeros((estimate.n_clusters, len(estimate)))
    np.add.at(sums, estimate.cluster, estimate.influence)
    plain = sums.T @ sums / estimate.n_units**2
    size = np.square(estimate.influence).sum(axis=0) / estimate.n_units**2
    seen = (np.diag(plain) > 1e-24 * size) & (np.diag(estimate.covariance) > 0)
    tiny = np.diag(estimate.covariance) == 0
    assert (np.diag(plain)[tiny] <= 1e-20 * np.diag(plain).max(initial=0.0)).all()
    if not seen.any():
        return
    ratio = np.diag(estimate.covariance)[seen] / np.diag(plain)[seen]
    np.testing.assert_allclose(ratio, ratio[0], rtol=rtol)
    np.testing.assert_allclose(
        estimate.covariance[np.ix_(seen, seen)], plain[np.ix_(seen, seen)] * ratio[0], rtol=1e-7, atol=1e-12
    )


def caller_is_left_alone(call: Call, panel: Panel, design: Design) -> None:
    """The panel's arrays are as they were."""
    before = {name: values.copy() for name, values in {**panel.varying, **panel.fixed}.items()}
    call(panel, design)
    for name, values in {**panel.varying, **panel.fixed}.items():
        np.testing.assert_array_equal(values, before[name])


def survives_a_file(estimate: Estimate, folder: object) -> None:
    """Saved and loaded, it is the same, ``detail`` included as far as it is arrays and plain values."""
    from pathlib import Path

    path = Path(str(folder)) / "estimate.npz"
    estimate.save(path)
    again = Estimate.load(path)
    np.testing.assert_array_equal(again.values, estimate.values)
    np.testing.assert_array_equal(again.covariance, estimate.covariance)
    assert list(again.terms) == list(estimate.terms)
    assert set(again.detail) == set(estimate.detail)


def plain(design: Design) -> Design:
    """The design without weight and covariates."""
    return replace(design, weight=None, covariates=())
