"""Imputation and two stages in worlds that keep and break what they assume; leaving the own cluster out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import recovery
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.imputation import imputation_effects, imputation_pretrends
from evalkit.estimators.two_stage import two_stage_effects, two_stage_event_study
from evalkit.panel import Panel

N, T = 120, 8
PERIODS = np.arange(1, T + 1)
PLAIN = Design("y")
Fit = Callable[[Panel, Design], Estimate]


def world(
    rng: np.random.Generator,
    *,
    trend: float = 0.0,
    early: float = 0.0,
    slope: float = 0.0,
    small: bool = False,
) -> tuple[Panel, np.ndarray]:
    """Staggered adoption, effects that differ by cohort and grow; the panel and the true effect of each cell.

    trend : of the treated cohorts beside the others; early : effect one period before adoption; slope : of a fixed
    covariate that drifts and decides about adoption; small : two cohorts of four units, errors noisier there
    """
    z = rng.normal(size=N)
    order = np.argsort(z + rng.normal(size=N)) if slope else rng.permutation(N)
    adoption = np.full(N, np.inf)
    sizes = (4, 4) if small else (30, 30)
    adoption[order[-sizes[0] :]] = 4.0
    adoption[order[-sum(sizes) : -sizes[0]]] = 6.0
    since = PERIODS - adoption[:, None]
    effect = np.where(since >= 0, np.where(adoption == 4, 1.0, 0.5)[:, None] * (1 + 0.4 * since), 0.0)
    effect = np.where(since >= 0, effect, 0.0)
    treated = np.isfinite(adoption)[:, None]
    noise = rng.normal(size=(N, T)) + 0.5 * rng.normal(size=(N, 1))
    if small:
        noise *= np.where(treated, 2.0, 1.0)
    y = rng.normal(size=(N, 1)) + 0.2 * PERIODS + effect + noise
    y += trend * PERIODS * treated + early * (since == -1) + slope * z[:, None] * PERIODS
    return Panel(np.arange(N), PERIODS, {"y": y}, {"adoption": adoption, "z": z}), effect


def mean(fit: Fit, design: Design = PLAIN, **options: float) -> recovery.Draw:
    """The mean effect over treated cells."""

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        panel, effect = world(rng, **options)  # type: ignore[arg-type]
        estimate = fit(panel, design)
        return float(estimate.values[0]), float(estimate.std_errors[0]), float(effect[effect > 0].mean())

    return draw


def horizon(fit: Fit, at: int) -> recovery.Draw:
    """The mean effect at one event time."""

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        panel, effect = world(rng)
        estimate = fit(panel, Design("y"))
        k = list(estimate.terms.get_level_values(0)).index(at)
        cells = PERIODS - panel.constant("adoption")[:, None] == at
        return float(estimate.values[k]), float(estimate.std_errors[k]), float(effect[cells].mean())

    return draw


def lead(trend: float) -> recovery.Draw:
    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        estimate = imputation_pretrends(world(rng, trend=trend)[0], Design("y"), leads=2)
        return float(estimate.values[-1]), float(estimate.std_errors[-1]), 0.0

    return draw


def overall(panel: Panel, design: Design) -> Estimate:
    return imputation_effects(panel, design, by="overall")


def plain(panel: Panel, design: Design) -> Estimate:
    return imputation_effects(panel, design, by="overall", leave_out=False)


def by_time(panel: Panel, design: Design) -> Estimate:
    return imputation_effects(panel, design, by="event_time")


COVARIATE, AHEAD = Design("y", covariates=("z",)), Design("y", anticipation=1)
CASES = [
    recovery.Case("imputation_effects", "effects differ by cohort and grow", mean(overall)),
    recovery.Case("imputation_effects", "event time 2", horizon(by_time, 2)),
    recovery.Case(
        "imputation_effects", "treated on another trend", mean(overall, trend=0.2), holds=False, draws=60
    ),
    recovery.Case(
        "imputation_effects", "effect a period early", mean(overall, early=1.0), holds=False, draws=60
    ),
    recovery.Case(
        "imputation_effects, anticipation", "effect a period early", mean(overall, AHEAD, early=1.0)
    ),
    recovery.Case(
        "imputation_effects",
        "trend by a covariate, left out",
        mean(overall, slope=0.3),
        holds=False,
        draws=60,
    ),
    recovery.Case(
        "imputation_effects, covariate", "trend by a covariate", mean(overall, COVARIATE, slope=0.3)
    ),
    recovery.Case("two_stage_effects", "effects differ by cohort and grow", mean(two_stage_effects)),
    recovery.Case("two_stage_event_study", "event time 2", horizon(two_stage_event_study, 2)),
    recovery.Case(
        "two_stage_effects",
        "treated on another trend",
        mean(two_stage_effects, trend=0.2),
        holds=False,
        draws=60,
    ),
    recovery.Case("imputation_pretrends", "parallel trends", lead(0.0)),
    recovery.Case("imputation_pretrends", "treated on another trend", lead(0.3), holds=False, draws=60),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}-{c.world}")
def test_recovery(case: recovery.Case) -> None:
    recovery.judge(case, recovery.run(case))


@pytest.mark.slow
def test_leaving_out_matters_for_small_cohorts() -> None:
    """Cohorts of four: plain errors are too small, and leaving the own unit out is no smaller than needed."""
    cases = [
        recovery.Case(f"imputation_effects, {name}", "cohorts of four", mean(fit, small=True), draws=600)
        for name, fit in (("leave_out=False", plain), ("leave_out=True", overall))
    ]
    without, with_ = (recovery.run(case) for case in cases)
    recovery.judge(cases[1], with_)
    assert without.std_error < 0.93 * without.spread
    assert 0.95 * with_.spread < with_.std_error < 1.25 * with_.spread
    assert without.cover < 90 / 100 < with_.cover
