"""Two treatments in a row where the first leaves something behind, and where an assumption breaks."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import recovery
from evalkit.design import Design
from evalkit.estimators.phase_paths import naive_phase_regression, phase_path_effects
from evalkit.panel import Panel
from recovery import Case

pytestmark = pytest.mark.slow
PERIODS = np.arange(2013, 2026)


def first_effect(persistence: float, since: np.ndarray) -> np.ndarray:
    """0.2, 0.4, 0.6 in the three years of the first treatment (mean 0.4); then 0.6 ρ^years."""
    growing = 0.2 * (since + 1)
    left = 0.6 * persistence ** np.maximum(since - 2, 0)
    return np.where(since < 0, 0.0, np.where(since <= 2, growing, left))


def world(
    rng: np.random.Generator,
    *,
    persistence: float,
    add: float = 0.2,
    new: float = 0.5,
    fading: float = 0.0,
    drift: tuple[float, float] = (0.0, 0.0),
    units: int = 320,
) -> Panel:
    """Four paths, AR(0.6) shocks, levels that depend on the path, shocks shared by 40 places.

    fading: what units with the second treatment lose less of the first's remains a year (an E3_add world that breaks)
    drift: trends of their own of the units with the first and with the second treatment
    """
    path = rng.choice(4, units, p=[0.3, 0.25, 0.2, 0.25])
    first, second = path % 2 == 1, path >= 2
    place = rng.integers(0, 40, units)
    noise = rng.standard_normal((units, len(PERIODS)))
    shared = rng.standard_normal((40, len(PERIODS)))[place] * 0.3
    for t in range(1, len(PERIODS)):
        noise[:, t] = 0.6 * noise[:, t - 1] + 0.8 * noise[:, t]
    y = 0.5 * noise + shared + 0.05 * (PERIODS - 2013) + rng.standard_normal((units, 1)) + path[:, None]
    y += first[:, None] * first_effect(persistence, PERIODS - 2018)
    on = PERIODS >= 2023
    y += second[:, None] * on * np.where(first, add, new)[:, None]
    y += (drift[0] * first + drift[1] * second)[:, None] * (PERIODS - 2013)
    y -= (fading * first * ~second)[:, None] * np.maximum(PERIODS - 2022, 0)
    return Panel(
        np.arange(units),
        PERIODS,
        {"y": y},
        {
            "adoption": np.where(first, 2018.0, np.inf),
            "later": np.where(second, 2023.0, np.inf),
            "place": place,
        },
    )


DESIGN = Design("y", cluster="place")


def path_draw(rng: np.random.Generator, estimand: str, truth: float, **facts: Any) -> tuple[float, ...]:
    panel = world(rng, **facts)  # type: ignore[arg-type]
    est = phase_path_effects(
        panel,
        DESIGN,
        second="later",
        estimands=(estimand,),
        level="overall",
        horizon=2,
        replicates=False,  # type: ignore[arg-type]
    )
    return est.values[0], est.std_errors[0], truth


def gap_draw(rng: np.random.Generator, **facts: float) -> tuple[float, ...]:
    """E3_new − E1, both averaged over their first three years; the two share comparison units."""
    est = phase_path_effects(
        world(rng, **facts),  # type: ignore[arg-type]
        DESIGN,
        second="later",
        estimands=("E1", "E3_new"),
        level="overall",
        horizon=2,
        replicates=False,
    )
    gap = est.combine([[-1.0, 1.0]], ["gap"])
    return gap.values[0], gap.std_errors[0], 0.0


def naive_draw(rng: np.random.Generator, position: int, truth: float, **facts: float) -> tuple[float, ...]:
    est = naive_phase_regression(
        world(rng, **facts),  # type: ignore[arg-type]
        DESIGN,
        second="later",
        first_until=2020,
        for_contrast=True,
    )
    return est.values[position], est.std_errors[position], truth


LASTING = "the first effect lasts (ρ = 1)"
HALF = "half of the first effect is lost each year (ρ = 0.5)"
CASES = [
    Case("phase_paths E1", LASTING, partial(path_draw, estimand="E1", truth=0.4, persistence=1.0)),
    Case("phase_paths E3_add", LASTING, partial(path_draw, estimand="E3_add", truth=0.2, persistence=1.0)),
    Case("phase_paths E3_add", HALF, partial(path_draw, estimand="E3_add", truth=0.2, persistence=0.5)),
    Case("phase_paths E3_new", LASTING, partial(path_draw, estimand="E3_new", truth=0.5, persistence=1.0)),
    Case(
        "phase_paths E_cum",
        "ρ = 1, years 0 to 2",
        partial(path_draw, estimand="E_cum", truth=0.4, persistence=1.0),
    ),
    Case(
        "phase_paths E3_new − E1",
        "no difference, shared comparison units",
        partial(gap_draw, persistence=1.0, new=0.4),
    ),
    Case(
        "phase_paths E3_add",
        "remains fade faster without the second treatment",
        partial(path_draw, estimand="E3_add", truth=0.2, persistence=1.0, fading=0.2),
        holds=False,
    ),
    Case(
        "phase_paths E1",
        "units of the first treatment drift",
        partial(path_draw, estimand="E1", truth=0.4, persistence=1.0, drift=(0.1, 0.0)),
        holds=False,
    ),
    Case(
        "phase_paths E3_new",
        "units of the second treatment drift",
        partial(path_draw, estimand="E3_new", truth=0.5, persistence=1.0, drift=(0.0, 0.1)),
        holds=False,
    ),
    Case(
        "phase_paths E_cum",
        "units of the first treatment drift",
        partial(path_draw, estimand="E_cum", truth=0.4, persistence=1.0, drift=(0.1, 0.0)),
        holds=False,
    ),
    Case(
        "phase_paths naive, first dummy",
        LASTING,
        partial(naive_draw, position=0, truth=0.4, persistence=1.0),
        holds=False,
    ),
    Case(
        "phase_paths naive, first dummy",
        "a fifth of the first effect is lost each year (ρ = 0.8)",
        partial(naive_draw, position=0, truth=0.4, persistence=0.8),
        holds=False,
    ),
    Case(
        "phase_paths naive, first dummy",
        "the effect ends with the dummy, one second effect",
        partial(naive_draw, position=0, truth=0.4, persistence=0.0, add=0.35, new=0.35),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}: {c.world}")
def test_recovery(case: Case) -> None:
    recovery.judge(case, recovery.run(case))
