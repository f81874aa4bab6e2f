"""Local projections and switching treatments in worlds that keep and break their assumptions.

The variance given the paths is conservative, so that its coverage may pass 99 %.
"""

from __future__ import annotations

import numpy as np
import pytest

import recovery
from evalkit.design import Design
from evalkit.estimators.local_projection import local_projection_effects
from evalkit.estimators.switching import switching_average, switching_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

pytestmark = pytest.mark.slow

N, YEARS = 240, np.arange(2015, 2024)
CONSERVATIVE = (0.90, 1.0)


def staggered(rng: np.random.Generator, *, drift: float = 0.0) -> Panel:
    """Effects that differ by cohort and grow: 4, 1 and 1 two years on. ``drift`` breaks parallel trends."""
    adoption = rng.choice([2017.0, 2019.0, 2021.0, np.inf], N, p=[0.2, 0.2, 0.2, 0.4])
    since = YEARS - adoption[:, None]
    effect = np.where(
        since >= 0, np.where(adoption == 2017, 2.0, 0.5)[:, None] * (1 + 0.5 * since.clip(0)), 0
    )
    trend = drift * np.isfinite(adoption)[:, None] * (YEARS - 2015)
    y = rng.normal(size=(N, 1)) + 0.2 * YEARS + trend + effect + rng.normal(size=(N, len(YEARS)))
    return Panel(np.arange(N), YEARS, {"y": y}, {"adoption": adoption})


def projected(weighting: str, drift: float) -> recovery.Draw:
    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        panel = staggered(rng, drift=drift)
        found = local_projection_effects(panel, Design("y"), weighting=weighting, horizons=(2, 2))  # type: ignore[arg-type]
        return float(found.values[0]), float(found.std_errors[0]), 2.0

    return draw


def on_and_off(rng: np.random.Generator, *, carry: float = 0.0, drift: float = 0.0) -> tuple[Panel, float]:
    """A dose that comes, goes and comes back; the truth is the effect of the first period, 1 a unit of dose.

    ``carry``: what past doses do in later periods; ``drift``: trends that differ by baseline (which the method allows)
    or, negative, up before an increase and down before a decrease (which it does not).
    """
    start = rng.integers(0, 2, N).astype(float)
    first = rng.choice([3, 5, len(YEARS)], N, p=[0.25, 0.25, 0.5])
    d = np.repeat(start[:, None], len(YEARS), axis=1)
    for i in np.flatnonzero(first < len(YEARS)):
        d[i, first[i] :] = 1 - start[i]
        if rng.random() < 0.5:
            d[i, first[i] + 1 :: 2] = start[i]
    before = np.hstack([d[:, :1], d[:, :-1]])
    slope = abs(drift) * (start if drift > 0 else np.where(first < len(YEARS), 1 - 2 * start, 0))
    y = d + carry * before + slope[:, None] * np.arange(len(YEARS))
    y = y + rng.normal(size=(N, 1)) + 0.5 * rng.normal(size=d.shape)
    return Panel(np.arange(N), YEARS, {"y": y, "d": d}, {"adoption": np.full(N, np.inf)}), 1.0


def switched(carry: float, drift: float) -> recovery.Draw:
    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        panel, truth = on_and_off(rng, carry=carry, drift=drift)
        found = switching_effects(panel, Design("y"), treatment="d", horizons=1, placebos=0)
        return float(found.values[0]), float(found.std_errors[0]), truth

    return draw


def averaged(rng: np.random.Generator, drift: float = 0.0) -> tuple[float, ...]:
    """Effects of 1 a unit of dose at once: the total over the dose is 1."""
    panel, truth = on_and_off(rng, drift=drift)
    found = switching_average(panel, Design("y"), treatment="d")
    return float(found.values[0]), float(found.std_errors[0]), truth


def two_way_on_and_off(rng: np.random.Generator) -> tuple[float, ...]:
    """For contrast: past doses act, and trends differ by baseline: the two-way coefficient of the dose."""
    panel, truth = on_and_off(rng, carry=0.8, drift=0.2)
    found = two_way_effects(panel, Design("y"), treatment="d")
    return float(found.values[0]), float(found.std_errors[0]), truth


def phase_3(within: str | None) -> recovery.Draw:
    """Phase 3 after phase 1, whose effect still grows and decides who gets phase 3; the truth is 0.4."""

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        start = rng.choice([2017.0, 2019.0], N)
        third = np.where(rng.random(N) < np.where(start == 2017, 0.6, 0.2), 2021.0, np.inf)
        one = np.where(start[:, None] == 2017, 0.4, 0.1) * (YEARS - start[:, None] + 1).clip(0)
        y = rng.normal(size=(N, 1)) + one + 0.4 * (third[:, None] <= YEARS) + 0.5 * rng.normal(size=one.shape)
        panel = Panel(
            np.arange(N),
            YEARS,
            {"y": y, "d": (third[:, None] <= YEARS).astype(float)},
            {"phase_1": start, "adoption": third},
        )
        found = switching_effects(panel, Design("y"), treatment="d", within=within, horizons=3, placebos=0)
        return float(found.values[2]), float(found.std_errors[2]), 0.4

    return draw


CASES = [
    recovery.Case("local projection, equal", "staggered, growing effects", projected("equal", 0.0)),
    recovery.Case("local projection, reweighted", "staggered, growing effects", projected("reweighted", 0.0)),
    recovery.Case(
        "local projection, reweighted", "treated units drift", projected("reweighted", 0.2), holds=False
    ),
    recovery.Case("local projection, equal", "treated units drift", projected("equal", 0.2), holds=False),
    recovery.Case(
        "local projection, variance",
        "staggered, growing effects: not the mean effect",
        projected("variance", 0.0),
        holds=False,
    ),
    recovery.Case("switching, first period", "on and off", switched(0.0, 0.0), coverage=CONSERVATIVE),
    recovery.Case(
        "switching, first period",
        "on and off, trends by baseline, past doses act",
        switched(0.8, 0.2),
        coverage=CONSERVATIVE,
    ),
    recovery.Case("switching, first period", "switchers drift", switched(0.0, -0.2), holds=False),
    recovery.Case("switching, average total", "on and off", averaged, coverage=CONSERVATIVE),
    recovery.Case(
        "switching, average total", "switchers drift", lambda rng: averaged(rng, -0.2), holds=False
    ),
    recovery.Case(
        "two-way effects", "on and off, trends by baseline, past doses act", two_way_on_and_off, holds=False
    ),
    recovery.Case(
        "switching within phase 1", "phase 3 after phase 1", phase_3("phase_1"), coverage=CONSERVATIVE
    ),
    recovery.Case("switching, phase 1 ignored", "phase 3 after phase 1", phase_3(None), holds=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method} | {c.world}")
def test_recovery(case: recovery.Case) -> None:
    recovery.judge(case, recovery.run(case))
