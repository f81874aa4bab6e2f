"""The rearrangement test of one treated cluster: its bound by other quadrature, its size where variances are worst.

ξ(w) is on the author's page (hgmn.github.io/rea); his printed table was not at hand. Sizes are by simulation with the treated
cluster integrated out: 60,000 draws, Monte Carlo error below 0.04 percentage points.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from evalkit.errors import DataError, DesignError, UsageError
from evalkit.inference.single_treated import rearrangement_weight, single_treated_cluster, size_bound

# (comparison clusters, ρ, α)
DESIGNS = [
    (13, 1.0, 0.05),
    (13, 2.0, 0.05),
    (13, 2.0, 0.1),
    (16, 1.0, 0.05),
    (20, 2.0, 0.05),
    (25, 3.0, 0.01),
]


def bound(w: float, q: int, ratio: float) -> float:
    """ξ by adaptive quadrature and a fine grid."""
    upper = quad(
        lambda y: ndtr((1 - w) * ratio * y) ** (q - 1) * math.exp(-y * y / 2) / math.sqrt(2 * math.pi),
        0,
        math.inf,
        epsabs=1e-12,
    )[0]
    b = np.linspace(0, 2, 200_001)
    return (
        2.0 ** (-q - 1) + upper + float((ndtr(w * math.sqrt(q - 1) * b) ** (q - 1) + 2 * ndtr(-b * q)).min())
    )


@pytest.mark.parametrize(("q", "ratio", "alpha"), DESIGNS)
def test_weights_solve_the_equation(q: int, ratio: float, alpha: float) -> None:
    w = rearrangement_weight(q, ratio=ratio, alpha=alpha)
    assert size_bound(w, q, ratio) == pytest.approx(alpha, abs=1e-9)
    assert bound(w, q, ratio) == pytest.approx(alpha, abs=1e-8)
    smaller = np.linspace(0, w, 30)[:-1]
    assert min(bound(float(s), q, ratio) for s in smaller) > alpha


def test_no_weight_with_too_few_clusters() -> None:
    assert math.isnan(rearrangement_weight(10, ratio=1.0))
    assert min(bound(w, 10, 1.0) for w in np.linspace(0.01, 1, 100)) > 0.05
    out = single_treated_cluster(50.0, np.arange(10.0))
    assert out.notes == ("no_rejection_possible",)
    assert not out.bounded
    assert out.p_value == pytest.approx(out.smallest_p, rel=1e-9)
    assert out.smallest_p > 0.05


def size(w: float, deviations: np.ndarray, normals: np.ndarray) -> float:
    """Probability of a rejection under no effect, the treated cluster standard normal."""
    x = normals[:, : len(deviations)] * deviations
    need = (x.max(axis=1) - w * x.mean(axis=1)) / (1 - w)
    return float(ndtr(-need).mean())


@pytest.mark.parametrize(("q", "ratio", "alpha"), DESIGNS)
def test_size_is_kept_over_variances_and_nearly_used(q: int, ratio: float, alpha: float) -> None:
    rng = np.random.default_rng(q)
    normals = rng.standard_normal((60_000, q))
    w = rearrangement_weight(q, ratio=ratio, alpha=alpha)
    least = np.full(q, 1 / ratio)
    worlds = [least, np.append(least[:-1], 0.0)]
    for many in (1, q // 2, q - 1):
        for times in (1.5, 3.0, 20.0):
            wide = np.append(least[:-1], 0.0)
            wide[:many] *= times
            worlds.append(wide)
    worlds += [
        np.append(np.exp(rng.exponential(0.7, q - 1)) / ratio, rng.random() / ratio) for _ in range(10)
    ]
    sizes = np.array([size(w, world, normals) for world in worlds])
    assert sizes.max() <= alpha + 0.0012
    assert sizes.argmax() == 1  # q − 1 as small as allowed, one without variance
    # were the treated cluster four times as variable as assumed, the level would not hold
    assert size(w, least / 4, normals) > alpha


def test_the_bound_is_not_wasteful() -> None:
    normals = np.random.default_rng(3).standard_normal((60_000, 16))
    w = rearrangement_weight(16, ratio=1.0)
    assert size(w, np.append(np.ones(15), 0.0), normals) > 0.048


def test_decisions_are_those_of_the_rearranged_sample() -> None:
    """The paper's algorithm: (1 ± w)(X₁ − X̄₀) are the two largest of q + 2 numbers."""
    rng = np.random.default_rng(4)
    w = rearrangement_weight(16, ratio=1.5)
    kept = 0
    for _ in range(60):
        x, own = rng.standard_normal(16), 3.0 * rng.standard_normal() + 2.0
        gap = own - x.mean()
        sample = np.array([(1 + w) * gap, (1 - w) * gap, *(x - x.mean())])
        rejects = sample[:2].sum() >= np.sort(sample)[-2:].sum()
        out = single_treated_cluster(own, x, ratio=1.5)
        assert out.excludes(0.0) == rejects == (out.p_value < 0.05)
        assert (out.detail["largest_ratio"] > 1.5) == rejects
        mirrored = single_treated_cluster(-own, -x, ratio=1.5, side="less")
        np.testing.assert_allclose(mirrored.pieces[0], [-math.inf, -out.low])
        assert mirrored.p_value == pytest.approx(out.p_value, rel=1e-9)
        kept += rejects
    assert 6 < kept < 54


def test_bound_and_largest_ratio() -> None:
    x = np.array([0.3, -1.2, 0.8, 0.1, -0.4, 1.0, 0.2, -0.6, 0.5, -0.1, 0.0, -0.9, 0.4])
    out = single_treated_cluster(4.0, x)
    w = rearrangement_weight(13)
    assert out.low == pytest.approx(4.0 - x.mean() - (x.max() - x.mean()) / (1 - w))
    at = float(out.detail["largest_ratio"])
    for ratio, rejects in ((at - 1e-4, True), (at + 1e-4, False)):
        assert single_treated_cluster(4.0, x, ratio=ratio).excludes(0.0) == rejects
    both = single_treated_cluster(4.0, x, ratio=1.0, side="two", level=0.9)
    one = single_treated_cluster(4.0, x, ratio=1.0)
    assert both.low == pytest.approx(one.low)
    assert both.high == pytest.approx(
        4.0 - x.mean() + (x.mean() - x.min()) / (1 - rearrangement_weight(13, ratio=1.0))
    )
    assert both.p_value == pytest.approx(2 * one.p_value)


def test_bad_input() -> None:
    x = np.arange(5.0)
    with pytest.raises(DesignError, match="비교 군집이 1개라"):
        single_treated_cluster(1.0, [2.0])
    with pytest.raises(DesignError, match="모두 같아"):
        single_treated_cluster(1.0, [2.0, 2.0, 2.0])
    with pytest.raises(DataError, match="유한하지 않은"):
        single_treated_cluster(1.0, [2.0, np.nan])
    with pytest.raises(UsageError, match="방향 'up'"):
        single_treated_cluster(1.0, x, side="up")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="ratio=-1"):
        single_treated_cluster(1.0, x, ratio=-1.0)
    with pytest.raises(UsageError, match="신뢰수준 95"):
        single_treated_cluster(1.0, x, level=95)


@pytest.mark.parametrize(
    ("comparison", "more"), [(0, {}), (1, {}), (9, {"alpha": 2.0}), (9, {"ratio": float("nan")})]
)
def test_a_weight_for_numbers_that_do_not_hold(comparison: int, more: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="쓸 수 없는 값"):
        rearrangement_weight(comparison, **more)
