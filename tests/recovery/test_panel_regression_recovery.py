"""Panel regressions in worlds that keep and break what each assumes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import recovery
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators._panel_models import Model
from evalkit.estimators.dynamic_panel import dynamic_panel_effects
from evalkit.estimators.hausman_taylor import hausman_taylor_effects
from evalkit.estimators.instrumental_variables import instrumental_effects
from evalkit.estimators.panel_regression import panel_regression
from evalkit.panel import Panel

N, T = 150, 6


def read(estimate: Estimate, term: str, truth: float) -> tuple[float, float, float]:
    at = [t[0] for t in estimate.terms].index(term)
    return float(estimate.values[at]), float(estimate.std_errors[at]), truth


def static(rng: np.random.Generator, correlated: bool) -> Panel:
    unit = rng.normal(size=(N, 1))
    x = rng.normal(size=(N, T)) + (0.7 * unit if correlated else 0.0)
    return Panel(np.arange(N), np.arange(T), {"y": x + unit + rng.normal(size=(N, T)), "x": x})


def random_effects(rng: np.random.Generator, correlated: bool = False) -> tuple[float, ...]:
    return read(
        panel_regression(
            static(rng, correlated), Design("y"), model="random", regressors=("x",), replicates=False
        ),
        "x",
        1.0,
    )


def fixed_effects(rng: np.random.Generator) -> tuple[float, ...]:
    return read(
        panel_regression(static(rng, True), Design("y"), regressors=("x",), replicates=False), "x", 1.0
    )


def slope(
    rng: np.random.Generator, model: Model, correlated: bool = False, feedback: bool = False
) -> tuple[float, ...]:
    """The slope 1 of a model; effects that go with x, or x that answers to the error of the period before."""
    panel = static(rng, correlated)
    if feedback:
        u, x = rng.normal(size=(2, N, T))
        x[:, 1:] += 0.6 * u[:, :-1]
        panel = panel.with_varying(y=x + rng.normal(size=(N, 1)) + u, x=x)
    return read(
        panel_regression(panel, Design("y"), model=model, regressors=("x",), replicates=False), "x", 1.0
    )


def dynamic(rng: np.random.Generator, gmm: bool, rho: float = 0.5, errors: float = 0.0) -> tuple[float, ...]:
    """``errors``: how much of an error is left the year after."""
    unit, y = rng.normal(size=N), np.zeros((N, T + 20))
    u = rng.normal(size=(N, T + 20))
    for t in range(1, T + 20):
        u[:, t] += errors * u[:, t - 1]
        y[:, t] = rho * y[:, t - 1] + unit + u[:, t]
    lagged = Panel(
        np.arange(N), np.arange(T), {"y": y[:, 20:], "x": rng.normal(size=(N, T)), "before": y[:, 19:-1]}
    )
    if gmm:
        return read(
            dynamic_panel_effects(lagged, Design("y"), regressors=("x",), collapse=True), "lag_1", rho
        )
    return read(
        panel_regression(lagged, Design("y"), regressors=("before",), replicates=False), "before", rho
    )


def instrumented(rng: np.random.Generator, excluded: bool = True) -> tuple[float, ...]:
    z, u = rng.normal(size=(2, N, T))
    x = z + u + rng.normal(size=(N, T))
    y = x + u + rng.normal(size=(N, 1)) + (0.0 if excluded else 0.5) * z
    panel = Panel(np.arange(N), np.arange(T), {"y": y, "x": x, "z": z})
    return read(instrumental_effects(panel, Design("y"), endogenous=("x",), instruments=("z",)), "x", 1.0)


def fixed_regressor(
    rng: np.random.Generator, exogenous: bool = True, taylor: bool = True
) -> tuple[float, ...]:
    u, a = rng.normal(size=(2, N))
    x = a[:, None] + rng.normal(size=(N, T)) + (0.0 if exogenous else 0.7) * u[:, None]
    z = a + 0.7 * u + rng.normal(size=N)
    y = x + (z + u)[:, None] + rng.normal(size=(N, T))
    panel = Panel(np.arange(N), np.arange(T), {"y": y, "x": x}, {"z": z})
    if taylor:
        return read(hausman_taylor_effects(panel, Design("y"), exogenous=("x",), endogenous=("z",)), "z", 1.0)
    return read(
        panel_regression(panel, Design("y"), model="random", regressors=("x", "z"), replicates=False),
        "z",
        1.0,
    )


CASES = [
    recovery.Case("hausman_taylor_effects", "fixed regressor goes with the effects", fixed_regressor),
    recovery.Case(
        "hausman_taylor_effects",
        "its instrument does too",
        lambda rng: fixed_regressor(rng, False),
        holds=False,
    ),
    recovery.Case(
        "panel_regression, random",
        "fixed regressor goes with the effects",
        lambda rng: fixed_regressor(rng, True, False),
        holds=False,
    ),
    recovery.Case("panel_regression, random", "effects unrelated to x", random_effects),
    recovery.Case(
        "panel_regression, random", "effects go with x", lambda rng: random_effects(rng, True), holds=False
    ),
    recovery.Case("panel_regression, fixed", "effects go with x", fixed_effects),
    recovery.Case(
        "panel_regression, fixed",
        "lagged outcome (Nickell)",
        lambda rng: dynamic(rng, gmm=False),
        holds=False,
        draws=60,
    ),
    recovery.Case(
        "dynamic_panel_effects", "AR(0.5), T = 6", lambda rng: dynamic(rng, gmm=True), coverage=(0.88, 0.99)
    ),
    recovery.Case(
        "dynamic_panel_effects",
        "AR(0.5), errors that last",
        lambda rng: dynamic(rng, gmm=True, errors=0.5),
        holds=False,
        draws=60,
    ),
    *(
        recovery.Case(f"panel_regression, {model}", "effects unrelated to x", partial(slope, model=model))
        for model in ("pooled", "between")
    ),
    *(
        recovery.Case(
            f"panel_regression, {model}",
            "effects go with x",
            partial(slope, model=model, correlated=True),
            holds=model in ("first_difference", "correlated_random"),
            draws=100,
        )
        for model in ("pooled", "between", "first_difference", "correlated_random")
    ),
    *(
        recovery.Case(
            f"panel_regression, {model}",
            "x answers to last year's error",
            partial(slope, model=model, feedback=True),
            holds=False,
            draws=60,
        )
        for model in ("first_difference", "correlated_random")
    ),
    recovery.Case("instrumental_effects", "instrument excluded", instrumented),
    recovery.Case(
        "instrumental_effects", "instrument in the outcome", lambda rng: instrumented(rng, False), holds=False
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}-{c.world}")
def test_recovery(case: recovery.Case) -> None:
    recovery.judge(case, recovery.run(case))
