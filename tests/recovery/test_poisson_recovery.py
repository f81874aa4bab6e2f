"""Poisson effects, per cent of the counterfactual mean, shares and flows: right in their worlds, wrong in others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from evalkit.design import Design
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.estimators.gravity import gravity_effects
from evalkit.estimators.percent_effects import percent_effects
from evalkit.estimators.poisson import poisson_effects, poisson_event_study
from evalkit.flows import Flows
from evalkit.panel import Panel
from recovery import Case, Draw, judge, run

pytestmark = pytest.mark.slow

UNITS, PERIODS = 300, 6
YEARS = np.arange(1, PERIODS + 1)
LOG_EFFECT = 0.3


def world(rng: np.random.Generator, *, parallel: str, staggered: bool = False) -> tuple[Panel, float]:
    """Over-dispersed counts with firm sizes that differ between the treated and the others; and the true log ratio.

    parallel : "ratios": both groups grow by the same factor; "levels": by the same number of jobs
    staggered : half start early, few never, and effects grow
    """
    treated = rng.random(UNITS) < (0.9 if staggered else 0.4)
    start = rng.choice([2.0, 5.0], UNITS) if staggered else np.full(UNITS, 4.0)
    adoption = np.where(treated, start, np.inf)
    on = adoption[:, None] <= YEARS
    size = rng.gamma(2.0, 1.0, (UNITS, 1)) * np.where(treated, 3.0, 1.0)[:, None]
    growth = np.exp(np.linspace(0, 0.8, PERIODS))
    without = size * growth if parallel == "ratios" else size + 2.0 * (growth - 1)
    since = np.where(on, YEARS - adoption[:, None] + 1.0 if staggered else 1.0, 0.0)
    mean = without * np.exp(LOG_EFFECT * since) if parallel == "ratios" else without + 1.5 * on
    noise = rng.gamma(1.0, 1.0, mean.shape)  # a negative binomial with many zeros: only the mean matters
    panel = Panel(
        np.arange(UNITS), YEARS, {"y": rng.poisson(mean * noise).astype(float)}, {"adoption": adoption}
    )
    return panel, float(np.log(mean[on].sum() / without[on].sum()))


def poisson(parallel: str, staggered: bool = False) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[float, float, float]:
        panel, truth = world(rng, parallel=parallel, staggered=staggered)
        estimate = poisson_effects(panel, Design("y"), replicates=False)
        return float(estimate.values[0]), float(estimate.std_errors[0]), truth

    return draw


def event(lead: bool, parallel: str = "ratios") -> Draw:
    """With trends parallel in levels a lead is not 0: the treated, who are larger, grow by a smaller factor."""

    def draw(rng: np.random.Generator) -> tuple[float, float, float]:
        panel, _ = world(rng, parallel=parallel)
        estimate = poisson_event_study(panel, Design("y"), replicates=False)
        at = list(estimate.terms.get_level_values(0)).index(-3 if lead else 2)
        return float(estimate.values[at]), float(estimate.std_errors[at]), 0.0 if lead else LOG_EFFECT

    return draw


def percent(parallel: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[float, float, float]:
        panel, truth = world(rng, parallel=parallel)
        estimate = percent_effects(panel, Design("y"), by="overall")
        return float(estimate.values[0]), float(estimate.std_errors[0]), 100 * float(np.expm1(truth))

    return draw


def shares(logit: bool) -> Draw:
    """True effect on the log odds 0.5; with ``logit`` False the shares run in parallel as they are, not in log odds."""

    def draw(rng: np.random.Generator) -> tuple[float, float, float]:
        treated = np.arange(UNITS) % 5 < 2
        adoption = np.where(treated, 4.0, np.inf)
        jobs = rng.poisson(20.0, (UNITS, PERIODS)) + 5
        trend = np.linspace(0, 1.0, PERIODS)
        level = np.where(treated, -2.5, 0.0)[:, None]
        without = expit(level + trend) if logit else expit(level) + 0.2 * trend
        on = adoption[:, None] <= YEARS
        odds = np.log(without / (1 - without)) + 0.5 * on
        share = rng.beta(30 * expit(odds), 30 * (1 - expit(odds)))  # more dispersed than binomial
        y = rng.binomial(jobs, share).astype(float)
        panel = Panel(np.arange(UNITS), YEARS, {"n": y, "d": jobs.astype(float)}, {"adoption": adoption})
        estimate = fractional_shares(panel, Design("n"), denominator="d")
        truth = (expit(odds) - without)[on].mean()
        return float(estimate.values[0]), float(estimate.std_errors[0]), float(truth)

    return draw


def flows(diversion: bool, told: bool) -> Draw:
    """Treated destinations draw 30 % more; with diversion their neighbours lose 20 %, which the regression is told or not."""

    def draw(rng: np.random.Generator) -> tuple[float, float, float]:
        origins, destinations = 6, 30
        at = np.arange(destinations)
        adoption, ring = np.where(at % 3 == 0, 4.0, np.inf), np.where(at % 3 == 1, 4.0, np.inf)
        log_mean = rng.normal(1.5, 0.5, (origins, destinations, 1)) + 0.3 * rng.normal(
            size=(origins, 1, PERIODS)
        )
        log_mean = log_mean + LOG_EFFECT * (adoption[:, None] <= YEARS)
        log_mean = log_mean - 0.2 * diversion * (ring[:, None] <= YEARS)
        log_mean = log_mean + 0.1 * rng.normal(size=(1, destinations, PERIODS))
        data = Flows(
            np.arange(origins),
            at,
            YEARS,
            rng.poisson(np.exp(log_mean)).astype(float),
            {"adoption": adoption, "ring": ring},
        )
        estimate = gravity_effects(data, Design("m"), diversion=("ring",) if told else (), replicates=False)
        return float(estimate.values[0]), float(estimate.std_errors[0]), LOG_EFFECT

    return draw


CASES = (
    Case("poisson_effects", "parallel in ratios, over-dispersed, 40 % zeros", poisson("ratios"), draws=150),
    Case("poisson_effects", "parallel in levels", poisson("levels"), holds=False, draws=60),
    Case(
        "poisson_effects", "staggered, effect grows", poisson("ratios", staggered=True), holds=False, draws=60
    ),
    Case("poisson_event_study", "parallel in ratios, lead −3", event(lead=True), draws=100),
    Case("poisson_event_study", "parallel in ratios, event time 2", event(lead=False), draws=100),
    Case(
        "poisson_event_study",
        "parallel in levels, lead −3",
        event(lead=True, parallel="levels"),
        holds=False,
        draws=150,
    ),
    Case("percent_effects", "parallel in levels", percent("levels"), draws=150),
    Case("percent_effects", "parallel in ratios", percent("ratios"), holds=False, draws=60),
    Case("fractional_shares", "parallel in log odds", shares(logit=True), draws=150),
    Case("fractional_shares", "parallel in shares", shares(logit=False), holds=False, draws=60),
    Case("gravity_effects", "no diversion", flows(diversion=False, told=False), draws=150),
    Case("gravity_effects", "diversion from neighbours, told", flows(diversion=True, told=True), draws=100),
    Case(
        "gravity_effects",
        "diversion from neighbours, not told",
        flows(diversion=True, told=False),
        holds=False,
        draws=60,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}: {c.world}")
def test_recovery(case: Case) -> None:
    judge(case, run(case))
