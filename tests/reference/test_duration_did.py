"""Duration difference-in-differences against DurationDiD of diff-diff 3.13.0, and by hand.

Points of the peer are the same formula on two groups with one date: held to 1e-10. Its standard errors are a bootstrap
over units: with 4,000 draws a standard deviation has an error of about 1.1 %, so 6 % is five of those errors.
No reference numbers from R exist for this method.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evalkit.design import Design
from evalkit.estimators.duration_did import Model, duration_effects, duration_pre_test
from evalkit.panel import Panel

POINTS = 1e-10


def draw(seed: int, n: int = 400, periods: int = 7, adoption: int = 5) -> Panel:
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < 0.4
    hazard = 0.06 + 0.03 * treated[:, None] + 0.01 * np.arange(periods)
    event = rng.random((n, periods)) < hazard
    gone = np.maximum.accumulate(event, axis=1).astype(float)
    return Panel(
        np.arange(n),
        np.arange(1, periods + 1),
        {"gone": gone},
        {"adoption": np.where(treated, float(adoption), np.inf)},
    )


def long_frame(panel: Panel) -> pd.DataFrame:
    frame = panel.to_long()
    frame["treated"] = np.isfinite(frame["adoption"]).astype(int)
    return frame


@pytest.mark.peer
@pytest.mark.parametrize("model", ["cd", "ph"])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_points_of_the_peer(model: Model, seed: int) -> None:
    peer = pytest.importorskip("diff_diff")
    panel = draw(seed)
    theirs = peer.DurationDiD(method=model, n_bootstrap=0).fit(
        long_frame(panel), "gone", "unit", "period", "treated", last_pre_period=4
    )
    table = theirs.to_dataframe()
    ours = duration_effects(panel, Design("gone"), model=model)
    effects = dict(zip(table.iloc[:, 0], table.filter(regex="att|effect|estimate").iloc[:, 0], strict=True))
    for (_, period), value in zip(ours.terms, ours.values, strict=True):
        assert value == pytest.approx(effects[period], abs=POINTS)


@pytest.mark.peer
@pytest.mark.parametrize("model", ["cd", "ph"])
def test_errors_of_the_peer(model: Model) -> None:
    peer = pytest.importorskip("diff_diff")
    panel = draw(11, n=2000)
    theirs = peer.DurationDiD(method=model, n_bootstrap=4000, seed=1).fit(
        long_frame(panel), "gone", "unit", "period", "treated", last_pre_period=4
    )
    table = theirs.to_dataframe()
    errors = dict(zip(table.iloc[:, 0], table.filter(regex="^se|std").iloc[:, 0], strict=True))
    ours = duration_effects(panel, Design("gone"), model=model)
    for (_, period), error in zip(ours.terms, ours.std_errors, strict=True):
        assert error == pytest.approx(errors[period], rel=0.06)


def hand() -> Panel:
    """Treated survive 8/10, 6/10, 3/10; comparison 9/10, 6/10, 3/10 in periods 1, 2, 3; adoption in 3."""
    treated = np.array([[1, 1, 1]] * 2 + [[0, 1, 1]] * 2 + [[0, 0, 1]] * 3 + [[0, 0, 0]] * 3)
    others = np.array([[1, 1, 1]] * 1 + [[0, 1, 1]] * 3 + [[0, 0, 1]] * 3 + [[0, 0, 0]] * 3)
    return Panel(
        np.arange(20),
        np.array([1, 2, 3]),
        {"gone": np.concatenate([treated, others]).astype(float)},
        {"adoption": np.repeat([3.0, np.inf], 10)},
    )


def test_common_dynamics_by_hand() -> None:
    """c = log(.8/.6) − log(.9/.6); S⁰_3 = .8 · (.3/.9) · exp(−2c) = .8/3 · (.9/.6 · .6/.8)² = .3375."""
    found = duration_effects(hand(), Design("gone"))
    assert list(found.terms) == [(3, 3)]
    np.testing.assert_allclose(found.values, [0.3375 - 0.3], rtol=1e-12)
    np.testing.assert_allclose(found.detail["hazard_relation"], [np.log(0.8 / 0.9)], rtol=1e-12)


def test_proportional_hazards_by_hand() -> None:
    ratio = np.log(0.8 / 0.6) / np.log(0.9 / 0.6)
    found = duration_effects(hand(), Design("gone"), model="ph")
    np.testing.assert_allclose(found.values, [0.8 * (0.3 / 0.9) ** ratio - 0.3], rtol=1e-12)


def test_pre_test_by_hand() -> None:
    """(D_1t − D_2t)/e_t of period 2 less that of period 3, adoption in 4."""
    panel = hand()
    gone = np.concatenate([panel.values("gone"), panel.values("gone")[:, 2:]], axis=1)
    longer = Panel(
        panel.units, np.array([1, 2, 3, 4]), {"gone": gone}, {"adoption": panel.constant("adoption") + 1}
    )
    found = duration_pre_test(longer, Design("gone"))
    assert list(found.terms) == [(4, 2)]
    second = np.log(0.8 / 0.6) - np.log(0.9 / 0.6)
    third = (np.log(0.8 / 0.3) - np.log(0.9 / 0.3)) / 2
    np.testing.assert_allclose(found.values, [second - third], rtol=1e-12)


def test_an_impossible_curve_is_told() -> None:
    """Common dynamics carries a large negative gap forward: the imputed survival rises."""
    treated = np.array([[0, 0, 0, 0]] * 9 + [[0, 0, 0, 1]])
    others = np.array([[0, 1, 1, 1]] * 6 + [[0, 0, 1, 1]] * 1 + [[0, 0, 0, 0]] * 3)
    panel = Panel(
        np.arange(20),
        np.arange(1, 5),
        {"gone": np.concatenate([treated, others]).astype(float)},
        {"adoption": np.repeat([3.0, np.inf], 10)},
    )
    found = duration_effects(panel, Design("gone"))
    assert found.detail["invalid"]
    assert any("반사실 생존 곡선" in note for note in found.detail["notes"])
