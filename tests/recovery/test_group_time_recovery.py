"""Group-time effects and two-way regressions in worlds that keep and break what each assumes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import recovery
from evalkit.aggregate import overall
from evalkit.design import Design
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.panel import Panel
from recovery import Case

pytestmark = pytest.mark.slow
N, YEARS = 300, np.arange(2015, 2022)


def selected(
    rng: np.random.Generator, *, method: Any = "dr_improved", told: bool = True
) -> tuple[float, ...]:
    """Who is treated, and when, depends on x, which carries a trend; effects differ by cohort and grow with x."""
    x = rng.normal(size=N)
    odds = np.exp(np.column_stack([0.8 * x - 0.6, 0.4 * x - 0.6, np.zeros(N)]))
    u = rng.random(N) * odds.sum(axis=1)
    group = (u[:, None] > odds.cumsum(axis=1)).sum(axis=1)
    adoption = np.array([2017.0, 2019.0, np.inf])[group]
    on = adoption[:, None] <= YEARS
    effect = on * (1.0 + 0.5 * x + 0.5 * (group == 1))[:, None]
    y = rng.normal(size=(N, 1)) + 0.3 * x[:, None] * (YEARS - 2015) + effect + rng.normal(size=on.shape)
    panel = Panel(np.arange(N), YEARS, {"y": y}, {"adoption": adoption, "x": x})
    design = Design("y", comparison="never", covariates=("x",) if told else ())
    found = overall(group_time_effects(panel, design, method=method))
    return float(found.values[0]), float(found.std_errors[0]), float(effect[on].mean())


def two_way(
    rng: np.random.Generator, *, event: int | None = None, staggered: bool = False, drift: float = 0.0
) -> tuple[float, ...]:
    """Effects 1, 1.5, 2, ... after one date (or two, the second the last period but one); drift: trends not parallel."""
    late = rng.random(N) < 0.5
    treated = np.arange(N) < (270 if staggered else 120)
    adoption = np.where(treated, np.where(staggered & late, 2020.0, 2017.0), np.inf)
    since = YEARS - np.where(treated, adoption, 9999.0)[:, None]
    effect = np.where(since >= 0, 1 + 0.5 * since, 0.0)
    y = rng.normal(size=(N, 1)) + treated[:, None] * (1 + drift * (YEARS - 2015)) + 0.2 * YEARS + effect
    y = y + rng.normal(size=y.shape).cumsum(axis=1) * 0.5
    panel = Panel(np.arange(N), YEARS, {"y": y}, {"adoption": adoption})
    if event is None:
        found = two_way_effects(panel, Design("y"))
        return float(found.values[0]), float(found.std_errors[0]), float(effect[since >= 0].mean())
    found = two_way_event_study(panel, Design("y"))
    at = list(found.terms.get_level_values(0)).index(event)
    return float(found.values[at]), float(found.std_errors[at]), 1 + 0.5 * event if event >= 0 else 0.0


ONE = "one date, effects that grow"
CASES = [
    *(
        Case(f"group_time, {method}", "selection on x, effects that differ", partial(selected, method=method))
        for method in ("dr_improved", "dr", "reg", "ipw")
    ),
    Case("group_time, no covariate", "selection on x", partial(selected, told=False), holds=False),
    Case("two_way_effects", ONE, two_way),
    Case("two_way_effects", "two dates, effects that grow", partial(two_way, staggered=True), holds=False),
    Case("two_way_effects", "treated units drift", partial(two_way, drift=0.2), holds=False),
    Case("two_way_event_study", f"{ONE}: 3 years on", partial(two_way, event=3)),
    Case("two_way_event_study", f"{ONE}: lead", partial(two_way, event=-2)),
    Case("two_way_event_study", "treated units drift: lead", partial(two_way, event=-2, drift=0.2), holds=False),
    Case("two_way_event_study", "treated units drift: 3 years on", partial(two_way, event=3, drift=0.2), holds=False),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}: {c.world}")
def test_recovery(case: Case) -> None:
    recovery.judge(case, recovery.run(case))
