"""Jakiela's diagnosis against statsmodels on dummies written out, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.checks.jakiela import jakiela
from evalkit.design import Design
from evalkit.errors import DataError
from evalkit.panel import Panel


def staggered(seed: int, growing: float, n: int = 60, periods: int = 8) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = rng.choice([2.0, 4.0, 7.0, np.inf], n, p=[0.3, 0.3, 0.2, 0.2])
    years = np.arange(1, periods + 1)
    since = np.clip(years - adoption[:, None], 0, None)
    on = (years >= adoption[:, None]).astype(float)
    y = rng.normal(size=(n, 1)) + on * (1 + growing * since) + 0.3 * rng.normal(size=(n, periods))
    return Panel(np.arange(n), years, {"y": y, "d": on}, {"adoption": adoption, "region": np.arange(n) % 15})


@pytest.mark.parametrize("cluster", [None, "region"])
def test_against_least_squares_with_every_dummy(cluster: str | None) -> None:
    sm = pytest.importorskip("statsmodels.api")
    panel = staggered(1, 0.5)
    n, periods = panel.shape
    i, t = np.repeat(np.arange(n), periods), np.tile(np.arange(periods), n)
    dummies = np.column_stack([np.eye(n)[i], np.eye(periods)[t][:, 1:]])
    y, d = panel.values("y").ravel(), panel.values("d").ravel()
    left = [v - dummies @ np.linalg.lstsq(dummies, v, rcond=None)[0] for v in (y, d)]
    groups = i if cluster is None else panel.constant("region")[i]
    x = np.column_stack([np.ones(n * periods), left[1], d, left[1] * d])
    told = sm.OLS(left[0], x).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    check = jakiela(panel, Design("y", cluster=cluster))
    assert check.detail["difference"] == pytest.approx(told.params[3], rel=1e-8)
    assert check.detail["slope_untreated"] == pytest.approx(told.params[1], rel=1e-8)
    assert check.detail["std_error"] == pytest.approx(told.bse[3], rel=1e-8)
    assert check.p_value == pytest.approx(told.pvalues[3], rel=1e-6, abs=1e-300)
    negative = (left[1] < -1e-10) & (d == 1)
    assert check.detail["n_negative"] == negative.sum()
    assert check.statistic == pytest.approx(negative.sum() / d.sum())
    assert check.detail["beta"] == pytest.approx(left[1] @ left[0] / (left[1] @ left[1]), rel=1e-9)


def test_three_cells_by_hand() -> None:
    """Three units and periods, one treated from the first period on, one from the last: D̃ of the early unit's last cell."""
    panel = Panel(
        np.arange(3),
        np.array([1, 2, 3]),
        {"y": np.array([[0, 1.0, 3], [0, 1, 5], [1, 1, 1]])},
        {"adoption": np.array([2.0, 3.0, np.inf])},
    )
    check = jakiela(panel, Design("y"))
    # D̃ = D − unit mean − period mean + mean; unit 0: mean 2/3, period 3: mean 2/3, all: 1/3
    assert check.detail["n_treated"] == 3
    assert check.detail["n_negative"] == int(1 - 2 / 3 - 2 / 3 + 1 / 3 < -1e-9)


def test_effects_that_grow_are_found_and_equal_ones_are_not() -> None:
    assert jakiela(staggered(2, 0.8), Design("y")).verdict == "fail"
    equal = jakiela(staggered(3, 0.0), Design("y"))
    assert equal.reason == "negative_weights"
    assert equal.detail["difference"] == pytest.approx(0, abs=4 * equal.detail["std_error"])


def test_doses_are_refused() -> None:
    panel = staggered(4, 0.0)
    with pytest.raises(DataError, match="0 이나 1"):
        jakiela(panel.with_varying(d=2 * panel.values("d")), Design("y"), treatment="d")
