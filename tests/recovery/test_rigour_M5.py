"""M5: the four worlds of Sant'Anna & Zhao (2020), section 4: doubly robust, regression, weighting, two-way regression.

Kang & Schafer covariates: Z is seen, X is not. World 1: propensity and outcomes are functions of Z (both models right);
2: the propensity is one of X (only the outcome model is right); 3: outcomes are functions of X (only the propensity
model is right); 4: both are of X (both wrong). 1,000 units, two periods, no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import rigour

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

N = 1000
DESIGN = Design("y", covariates=("z1", "z2", "z3", "z4"), base="varying")
METHODS = {
    "improved doubly robust": "dr_improved",
    "doubly robust": "dr",
    "outcome regression": "reg",
    "inverse probability": "ipw",
}
# moments of the four transformations under X ~ N(0, I): the first, the mean of the second and the fourth in closed form
CENTRE = np.array([np.exp(0.125), 10.0, 0.21887, 402.0])
SPREAD = np.array([np.sqrt((np.exp(0.25) - 1) * np.exp(0.25)), 0.54164, 0.04453, np.sqrt(3208.0)])


def observed(x: np.ndarray) -> np.ndarray:
    """Z from X  # (n, 4)"""
    z = np.column_stack(
        [
            np.exp(x[:, 0] / 2),
            x[:, 1] / (1 + np.exp(x[:, 0])) + 10,
            (x[:, 0] * x[:, 2] / 25 + 0.6) ** 3,
            (x[:, 1] + x[:, 3] + 20) ** 2,
        ]
    )
    return np.asarray((z - CENTRE) / SPREAD)


def world(rng: np.random.Generator, number: int, *, seen_once: bool = False) -> Panel:
    """One draw; with ``seen_once`` each unit is observed in one of the two periods."""
    x = rng.standard_normal((N, 4))
    z = observed(x)
    outcome, selection = (x if number in (3, 4) else z), (x if number in (2, 4) else z)
    regression = 210 + outcome @ np.array([27.4, 13.7, 13.7, 13.7])
    index = 0.75 * selection @ np.array([-1, 0.5, -0.25, -0.1])
    treated = rng.random(N) < 1 / (1 + np.exp(-index))
    own = treated * regression + rng.standard_normal(N)
    y = regression[:, None] * np.array([1.0, 2.0]) + own[:, None] + rng.standard_normal((N, 2))
    if seen_once:
        y[np.arange(N), rng.integers(0, 2, N)] = np.nan
    fixed = {"adoption": np.where(treated, 2.0, np.inf), **{f"z{j + 1}": z[:, j] for j in range(4)}}
    return Panel(np.arange(N), np.array([1, 2]), {"y": y}, fixed)


def measured(call: Callable[[], Estimate]) -> dict[str, float]:
    """No answer, where fitted propensities reach 1, is told as such."""
    try:
        row = call().table().iloc[0]
    except DesignError:
        return dict.fromkeys(("bias", "coverage", "width"), float("nan"))
    return {
        "bias": float(row["estimate"]),
        "coverage": float(row["conf_low"] <= 0 <= row["conf_high"]),
        "width": float(row["conf_high"] - row["conf_low"]),
    }


def draw(rng: np.random.Generator, *, number: int) -> rigour.Measures:
    panel = world(rng, number)
    out = {
        name: measured(partial(group_time_effects, panel, DESIGN, method=method))  # type: ignore[arg-type]
        for name, method in METHODS.items()
    }
    out["two-way regression"] = measured(partial(two_way_effects, panel, Design("y")))
    return out


def draw_rows(rng: np.random.Generator, *, number: int) -> rigour.Measures:
    panel = world(rng, number, seen_once=True)
    return {
        name: measured(partial(group_time_effects, panel, DESIGN, method=METHODS[name], missing="rows"))  # type: ignore[arg-type]
        for name in ("improved doubly robust", "doubly robust")
    }


RIGHT = {
    1: "both models right",
    2: "outcome model right",
    3: "propensity model right",
    4: "both models wrong",
}
# outcomes vary by 36; a bias of 0.3 is less than 1 % of that, and of the bias of the two-way regression about 2 %
NONE = (-0.3, 0.3)
COVERED = (93.5, 96.5)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_M5_doubly_robust_in_a_panel(number: int) -> None:
    claims: dict[tuple[str, str], tuple[float, float]] = {("two-way regression", "bias"): (-60, -5)}
    if number < 4:
        claims |= {
            ("improved doubly robust", "bias"): NONE,
            ("doubly robust", "bias"): NONE,
            ("improved doubly robust", "coverage"): COVERED,
        }
    if number < 3:
        claims[("outcome regression", "bias")] = NONE
    rows = rigour.run(
        "M5",
        f"panel, {RIGHT[number]}",
        partial(draw, number=number),
        seed=20260500 + number,
        claims=claims,
    )
    rigour.judge(rows)
    assert rows["two-way regression", "coverage"].value < 50


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_M5_doubly_robust_in_repeated_cross_sections(number: int) -> None:
    claims = {}
    if number < 4:
        claims = {("improved doubly robust", "coverage"): COVERED}
    rows = rigour.run(
        "M5",
        f"repeated cross-sections, {RIGHT[number]}",
        partial(draw_rows, number=number),
        seed=20260510 + number,
        claims=claims,
    )
    rigour.judge(rows)
    if number < 4:
        for method in ("improved doubly robust", "doubly robust"):
            assert abs(rows[method, "bias"].value) < max(0.3, 4 * rows[method, "bias"].error)
