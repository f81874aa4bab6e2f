"""Doses and tiers where trends are parallel, and where they are not."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import recovery
from evalkit.design import Design
from evalkit.estimators.dose_response import dose_response
from evalkit.estimators.tier_effects import tier_contrasts, tier_effects
from evalkit.panel import Panel
from recovery import Case

pytestmark = pytest.mark.slow
T = np.arange(1, 7)


def world(rng: np.random.Generator, *, trend: float = 0.0, gains: float = 0.0, units: int = 400) -> Panel:
    """Effect d² + gains · d · ability of dose d; units of more ability get higher doses.

    trend : of untreated outcomes in the dose that a unit will get (breaks parallel trends)
    gains : selection on gains (breaks strong parallel trends only)
    """
    treated = rng.random(units) < 0.6
    ability = rng.uniform(0, 1, units)
    dose = np.where(treated, 0.5 + 0.75 * ability + 0.75 * rng.random(units), 0.0)
    noise = rng.standard_normal((units, len(T))).cumsum(axis=1) * 0.4
    effect = dose**2 + gains * dose * ability
    y = noise + rng.standard_normal((units, 1)) + trend * dose[:, None] * T
    y += (T >= 4) * effect[:, None]
    tier = np.where(treated, np.where(dose > 1.25, 2.0, 1.0), np.nan)
    fixed = {"adoption": np.where(treated, 4.0, np.inf), "dose": dose, "tier": tier}
    return Panel(np.arange(units), T, {"y": y}, fixed)


def curve_draw(rng: np.random.Generator, term: str, truth: float, **facts: float) -> tuple[float, ...]:
    panel = world(rng, **facts)  # type: ignore[arg-type]
    est = dose_response(panel, Design("y"), dose="dose", degree=2, grid=(1.0,))
    at = est.terms.get_loc((term, 1.0))
    return est.values[at], est.std_errors[at], truth


def average_draw(rng: np.random.Generator, term: str, truth: float) -> tuple[float, ...]:
    panel = world(rng)
    est = dose_response(panel, Design("y"), dose="dose", degree=2, grid=(1.0,))
    at = est.terms.get_loc((term, "average"))
    return est.values[at], est.std_errors[at], truth


def tier_draw(rng: np.random.Generator, **facts: float) -> tuple[float, ...]:
    """Truth: E d² + gains E d·ability where ability + luck > 1."""
    panel = world(rng, **facts)  # type: ignore[arg-type]
    est = tier_effects(panel, Design("y"), tier="tier", level="overall")
    return est.values[1], est.std_errors[1], 2.28125 + 1.0208333333 * facts.get("gains", 0.0)


def contrast_draw(rng: np.random.Generator, *, gains: float) -> tuple[float, ...]:
    """Truth: what units of tier 2 gain from the doses of tier 2 over those of tier 1, their ability as it is."""
    est = tier_contrasts(world(rng, gains=gains), Design("y"), tier="tier", level="overall")
    ability, doses = 2 / 3, 1.5 - 1.0
    return est.values[0], est.std_errors[0], 1.25 + gains * ability * doses


MEAN = 0.5 + 0.75  # of the dose
SQUARE = MEAN**2 + 2 * 0.75**2 / 12
CASES = [
    Case("dose_response att(1)", "parallel trends", partial(curve_draw, term="att", truth=1.0)),
    Case("dose_response acrt(1)", "strong parallel trends", partial(curve_draw, term="acrt", truth=2.0)),
    Case(
        "dose_response att average",
        "strong parallel trends",
        partial(average_draw, term="att", truth=SQUARE),
    ),
    Case(
        "dose_response acrt average",
        "strong parallel trends",
        partial(average_draw, term="acrt", truth=2 * MEAN),
    ),
    Case(
        "dose_response att(1)",
        "trends differ by dose",
        partial(curve_draw, term="att", truth=1.0, trend=0.2),
        holds=False,
    ),
    Case(
        "dose_response acrt(1)",
        "units that gain more get more",
        partial(curve_draw, term="acrt", truth=2.0 + 1.0 * (1.0 - 0.5 - 0.375) / 0.75, gains=1.0),
        holds=False,
    ),
    Case("tier_effects tier 2", "parallel trends, selection on gains", partial(tier_draw, gains=1.0)),
    Case("tier_effects tier 2", "trends differ by dose", partial(tier_draw, trend=0.2), holds=False),
    Case("tier_contrasts 2 − 1", "strong parallel trends", partial(contrast_draw, gains=0.0)),
    Case(
        "tier_contrasts 2 − 1",
        "units that gain more choose tier 2",
        partial(contrast_draw, gains=1.5),
        holds=False,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}: {c.world}")
def test_recovery(case: Case) -> None:
    recovery.judge(case, recovery.run(case))
