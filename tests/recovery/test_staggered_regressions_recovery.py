"""Extended two-way, interaction-weighted and stacked regressions in worlds that keep and break what each assumes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import recovery
from evalkit.aggregate import overall
from evalkit.design import Design
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.stacked import stacked_effects
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.two_way import two_way_event_study
from evalkit.panel import Panel

pytestmark = pytest.mark.slow

N, T = 150, 7
YEARS = np.arange(1, T + 1)
ADOPTION = np.repeat([3.0, 5.0, np.inf], N // 3)
TREATED = ADOPTION[:, None] <= YEARS
LEVEL = np.select([ADOPTION == 3, ADOPTION == 5], [1.2, 0.6], 0.0)[:, None]
TREND = 0.15 * YEARS
EFFECT = 0.3


def mean_of(scale: str, eta: np.ndarray) -> np.ndarray:
    return {"levels": 3 + eta, "ratios": np.exp(eta), "odds": 1 / (1 + np.exp(2.5 - eta))}[scale]


def parallel(rng: np.random.Generator, scale: str, link: str) -> tuple[float, ...]:
    """Trends parallel on one scale, estimated on another or the same; cohorts start at different levels."""
    with_, without = (mean_of(scale, LEVEL + TREND + d) for d in (EFFECT * TREATED, 0.0))
    truth = float((with_ - without)[TREATED].mean())
    if scale == "odds":
        y = (rng.random((N, T)) < with_) + 0.0
    else:
        size = rng.gamma(4.0, 0.25, (N, 1))  # mean one: big and small firms in every cohort
        y = rng.poisson(size * with_) + 0.0 if scale == "ratios" else with_ + rng.normal(size=(N, T)) + size
        y = np.maximum(y, 0.0) if link == "poisson" else y
    panel = Panel(np.arange(N), YEARS, {"y": y}, {"adoption": ADOPTION})
    estimate = overall(extended_two_way_effects(panel, Design("y"), link=link, replicates=False))  # type: ignore[arg-type]
    return float(estimate.values[0]), float(estimate.std_errors[0]), truth


def selected(rng: np.random.Generator, covariates: tuple[str, ...]) -> tuple[float, ...]:
    """Trends differ by x, and so does x between cohorts."""
    x = rng.normal(size=N) + LEVEL[:, 0]
    y = rng.normal(size=(N, 1)) + 0.3 * x[:, None] * YEARS + EFFECT * TREATED + rng.normal(size=(N, T))
    panel = Panel(np.arange(N), YEARS, {"y": y}, {"adoption": ADOPTION, "x": x})
    estimate = overall(extended_two_way_effects(panel, Design("y", covariates=covariates), replicates=False))
    return float(estimate.values[0]), float(estimate.std_errors[0]), EFFECT


def leavers(rng: np.random.Generator, effects: str) -> tuple[float, ...]:
    """Small firms leave when their cohort is treated: unit effects hold composition, cohort effects do not."""
    size = rng.normal(size=(N, 1))
    y = size + TREND + EFFECT * TREATED + rng.normal(size=(N, T))
    gone = TREATED & (size < -0.3) & (rng.random((N, 1)) < 0.7)
    panel = Panel(np.arange(N), YEARS, {"y": np.where(gone, np.nan, y)}, {"adoption": ADOPTION})
    estimate = overall(extended_two_way_effects(panel, Design("y"), effects=effects, replicates=False))  # type: ignore[arg-type]
    return float(estimate.values[0]), float(estimate.std_errors[0]), EFFECT


SPEED = np.where(ADOPTION == 3, 2.0, 0.2)[:, None]


def growing(rng: np.random.Generator, drift: float = 0.0) -> Panel:
    """Effects that grow at a speed of the cohort's own; drift breaks parallel trends."""
    since = np.where(TREATED, YEARS - np.where(np.isfinite(ADOPTION), ADOPTION, 0)[:, None] + 1, 0)
    y = rng.normal(size=(N, 1)) + TREND + SPEED * since + rng.normal(size=(N, T))
    y = y + drift * YEARS * np.isfinite(ADOPTION)[:, None]
    return Panel(np.arange(N), YEARS, {"y": y}, {"adoption": ADOPTION})


def event_time(
    rng: np.random.Generator, method: str, event: int = 2, drift: float = 0.0
) -> tuple[float, ...]:
    """The effect so many periods after adoption, averaged over both cohorts; before adoption there is none."""
    panel = growing(rng, drift)
    call = sun_abraham_effects if method == "sun_abraham" else two_way_event_study
    estimate = call(panel, Design("y"))
    at = list(estimate.terms.get_level_values(0)).index(event)
    return (
        float(estimate.values[at]),
        float(estimate.std_errors[at]),
        (event + 1) * 1.1 if event >= 0 else 0.0,
    )


UNEVEN = np.repeat([3.0, 5.0, np.inf], [90, 20, 40])


def stack(rng: np.random.Generator, weighting: str, shares: str, drift: float = 0.0) -> tuple[float, ...]:
    """Cohorts of different size and effect; the wanted mean weighs every treated unit alike."""
    treated = UNEVEN[:, None] <= YEARS
    effect = np.where(UNEVEN == 3, 0.2, 2.0)[:, None] * treated
    y = rng.normal(size=(N, 1)) + TREND + effect + rng.normal(size=(N, T))
    y = y + drift * YEARS * np.isfinite(UNEVEN)[:, None]
    panel = Panel(np.arange(N), YEARS, {"y": y}, {"adoption": UNEVEN})
    estimate = stacked_effects(
        panel,
        Design("y"),
        window=(-2, 2),
        by="overall",
        weighting=weighting,
        shares=shares,  # type: ignore[arg-type]
    )
    return float(estimate.values[0]), float(estimate.std_errors[0]), (90 * 0.2 + 20 * 2.0) / 110


E, P, L = (f"extended_two_way/{link}" for link in ("linear", "poisson", "logit"))
CASES = [
    recovery.Case(E, "parallel in levels", partial(parallel, scale="levels", link="linear")),
    recovery.Case(P, "parallel in ratios", partial(parallel, scale="ratios", link="poisson")),
    recovery.Case(L, "parallel in odds", partial(parallel, scale="odds", link="logit")),
    recovery.Case(E, "parallel in ratios", partial(parallel, scale="ratios", link="linear"), holds=False),
    recovery.Case(P, "parallel in levels", partial(parallel, scale="levels", link="poisson"), holds=False),
    recovery.Case(E, "parallel in odds", partial(parallel, scale="odds", link="linear"), holds=False),
    recovery.Case(f"{E}, covariate", "trends differ by x", partial(selected, covariates=("x",))),
    recovery.Case(E, "trends differ by x", partial(selected, covariates=()), holds=False),
    recovery.Case(f"{E}, unit effects", "small firms leave", partial(leavers, effects="unit")),
    recovery.Case(f"{E}, cohort effects", "small firms leave", partial(leavers, effects="cohort"), holds=False),
    recovery.Case("sun_abraham", "speeds differ by cohort", partial(event_time, method="sun_abraham")),
    recovery.Case("sun_abraham", "speeds differ by cohort (lead)", partial(event_time, method="sun_abraham", event=-2)),
    recovery.Case("two_way/event_study", "speeds differ by cohort (lead)", partial(event_time, method="two_way", event=-2), holds=False),
    recovery.Case(
        "sun_abraham", "trends not parallel", partial(event_time, method="sun_abraham", drift=0.2), holds=False
    ),
    recovery.Case("stacked/treated", "cohorts differ", partial(stack, weighting="treated", shares="sampled")),
    recovery.Case(
        "stacked/treated, regression errors", "cohorts differ", partial(stack, weighting="treated", shares="regression"),
        coverage=(0.93, 1.0),
    ),
    recovery.Case(
        "stacked/variance", "cohorts differ", partial(stack, weighting="variance", shares="sampled"), holds=False
    ),
    recovery.Case(
        "stacked/treated", "trends not parallel", partial(stack, weighting="treated", shares="sampled", drift=0.2),
        holds=False,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method} in {c.world}")
def test_recovery(case: recovery.Case) -> None:
    recovery.judge(case, recovery.run(case))
