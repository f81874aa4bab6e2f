"""Changes-in-changes against ChangesInChanges of diff-diff 3.13.0, worked bounds, and brute force with weights.

The peer uses the same quantiles (R type 1) and is itself held to R qte 1.3.1. Both take n·(k/n) in floating point, and
where that lands one unit in the last place above k they pass on to the next order statistic: a rounding artefact that
moves their estimate by up to a few thousandths. With 128 comparison units k/128 is exact and points agree to 1e-10; with
another number both results are pinned, and ours is the definition by brute force. Its errors are a
bootstrap over units; ours come from an influence function with a quantile density by differences, so 15 % is allowed for
the mean and 35 % for quantiles (a smoothed density against the bootstrap of a step function at n = 812).
"""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import RefusalError
from evalkit.estimators.changes_in_changes import changes_in_changes
from evalkit.panel import Panel

POINTS = 1e-10
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def draw(seed: int, others: int = 128, own: int = 100) -> Panel:
    n = others + own
    rng = np.random.default_rng(seed)
    treated = np.arange(n) >= others
    rank = rng.normal(size=n) + 0.3 * treated
    y = np.stack([rank + 0.5 * rng.normal(size=n), np.exp(0.4 * rank + 0.3 * rng.normal(size=n))], axis=1)
    y[treated, 1] += 0.3
    return Panel(np.arange(n), np.array([1, 2]), {"y": y}, {"adoption": np.where(treated, 2.0, np.inf)})


@pytest.mark.peer
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_points_of_the_peer(seed: int) -> None:
    peer = pytest.importorskip("diff_diff")
    panel = draw(seed)
    ours = changes_in_changes(panel, Design("y"), quantiles=QUANTILES)
    theirs = fit(peer, panel, 0)
    assert ours.values[0] == pytest.approx(theirs.att, abs=POINTS)
    np.testing.assert_allclose(ours.values[1:], quantile_effects(theirs, "effect|qte|estimate"), atol=POINTS)


@pytest.mark.peer
def test_the_peer_skips_an_order_statistic_by_rounding() -> None:
    """165 comparison units: 165 · (k/165) is not k for some k. The definition (brute force) is ours."""
    peer = pytest.importorskip("diff_diff")
    panel = draw(1, others=165, own=135)
    ours = changes_in_changes(panel, Design("y"), quantiles=()).values[0]
    theirs = fit(peer, panel, 0).att
    assert ours == pytest.approx(brute(panel, np.ones(300)), abs=1e-12)
    assert 1e-6 < abs(ours - theirs) < 5e-3


@pytest.mark.peer
def test_errors_of_the_peer() -> None:
    peer = pytest.importorskip("diff_diff")
    panel = draw(9, others=512, own=300)
    ours = changes_in_changes(panel, Design("y"), quantiles=QUANTILES)
    theirs = fit(peer, panel, 1500)
    assert ours.std_errors[0] == pytest.approx(theirs.se, rel=0.15)
    np.testing.assert_allclose(ours.std_errors[1:], quantile_effects(theirs, "^se|std"), rtol=0.35)


def fit(peer, panel: Panel, draws: int):  # type: ignore[no-untyped-def]
    frame = panel.to_long()
    frame["treated"] = np.isfinite(frame["adoption"]).astype(int)
    frame["post"] = (frame["period"] == 2).astype(int)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer warns of quantiles beyond the support
        return peer.ChangesInChanges(quantiles=list(QUANTILES), n_bootstrap=draws, panel=True, seed=1).fit(
            frame, outcome="y", treatment="treated", time="post", unit="unit"
        )


def quantile_effects(result, pattern: str) -> np.ndarray:  # type: ignore[no-untyped-def]
    table = result.quantile_effects
    return table.filter(regex=pattern).iloc[:, 0].to_numpy(dtype=float)


def brute(panel: Panel, weight: np.ndarray) -> float:
    """k(y) = smallest y01 whose weighted share is at least that of y00 <= y."""
    y, treated = panel.values("y"), np.isfinite(panel.constant("adoption"))
    w0, w1 = weight[~treated], weight[treated]
    put = []
    for value in y[treated, 0]:
        share = w0[y[~treated, 0] <= value].sum() / w0.sum()
        after = np.sort(y[~treated, 1])
        shares = np.array([w0[y[~treated, 1] <= z].sum() / w0.sum() for z in after])
        put.append(after[np.flatnonzero(shares >= share - 1e-12)[0]])
    return float(np.average(y[treated, 1], weights=w1) - np.average(put, weights=w1))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weights_by_brute_force(seed: int) -> None:
    panel = draw(seed, others=45, own=35)
    w = np.random.default_rng(seed).uniform(0.5, 2, 80)
    ours = changes_in_changes(panel.with_fixed(w=w), Design("y", weight="w"), quantiles=())
    assert ours.values[0] == pytest.approx(brute(panel, w), abs=1e-12)


def zeros() -> Panel:
    """Before: comparison 0 0 0 1, treated 0 1; after: comparison 0 2 4 6, treated 3 9.

    Zeros cover ranks (0, 3/4]: what would have been lies in [0, 4] for the treated zero; for the treated 1 (ranks
    (3/4, 1]) it is 6. Mean after 6: effect in [6 − (4 + 6)/2, 6 − (0 + 6)/2] = [1, 3].
    """
    y = np.array([[0, 0.0], [0, 2], [0, 4], [1, 6], [0, 3], [1, 9]])
    return Panel(np.arange(6), np.array([1, 2]), {"y": y}, {"adoption": np.array([np.inf] * 4 + [2.0] * 2)})


def test_bounds_with_zeros_by_hand() -> None:
    found = changes_in_changes(zeros(), Design("y"), quantiles=(0.5,), bounds=True)
    assert list(found.terms.get_level_values("term")) == [
        "mean_lower",
        "q0.5_lower",
        "mean_upper",
        "q0.5_upper",
    ]
    np.testing.assert_allclose(found.values, [1.0, -1.0, 3.0, 3.0])


def test_a_point_is_refused_where_zeros_pile_up() -> None:
    with pytest.raises(RefusalError, match="bounds=True"):
        changes_in_changes(zeros(), Design("y"))
