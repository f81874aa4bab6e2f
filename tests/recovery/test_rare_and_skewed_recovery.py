"""Methods for zeros, distributions, attrition and rare events in worlds of their own, and in worlds that break them.

Truths are closed forms or large sums written here. Worlds with zeros, attrition and hazards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtri

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.attrition import attrition_effects
from evalkit.estimators.changes_in_changes import changes_in_changes
from evalkit.estimators.distribution_did import distribution_effects
from evalkit.estimators.duration_did import duration_effects, duration_pre_test
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.hazard import hazard_effects, incidence_effects
from evalkit.estimators.lee_bounds import lee_bounds
from evalkit.estimators.margins import margin_effects
from evalkit.panel import Panel
from recovery import Case, judge, run

pytestmark = pytest.mark.slow
Draw = Callable[[np.random.Generator], tuple[float, ...]]
Y = Design("y")
YEARS2 = np.array([1, 2])


def pair(y: np.ndarray, treated: np.ndarray) -> Panel:
    return Panel(np.arange(len(y)), YEARS2, {"y": y}, {"adoption": np.where(treated, 2.0, np.inf)})


def term(found: Estimate, label: object, truth: float) -> tuple[float, float, float]:
    i = [t if len(found.terms.names) > 1 else t[0] for t in found.terms].index(label)
    return float(found.values[i]), float(found.std_errors[i]), truth


# -- zeros -------------------------------------------------------------------------------------------------


def sales(name: str, truth: float, drift: float = 0.0) -> Draw:
    """Treated sell with probability .4 → .7, others .5 → .6 (so .5 without treatment); sales of those who would sell
    anyway rise by 2 from a mean of 3, those who start sell a mean of 3. `drift` breaks the trends of the shares.
    """

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        n = 600
        treated = np.arange(n) < 250
        v = rng.random((n, 2))
        p0 = (
            np.where(treated, 0.4, 0.5)[:, None]
            + np.array([0.0, 0.1])
            + drift * treated[:, None] * np.array([0, 1])
        )
        size = rng.gamma(2.0, 1.5, (n, 2))
        y = np.where(v < p0, size, 0.0)
        always = v[:, 1] < 0.5 + drift
        lifted = np.where(always, size[:, 1] + 2.0, np.where(v[:, 1] < 0.7 + drift, size[:, 1], 0.0))
        y[:, 1] = np.where(treated, lifted, y[:, 1])
        found = margin_effects(pair(y, treated), Y)
        return term(found, name, truth)

    return draw


# -- distributions -----------------------------------------------------------------------------------------


def steps(parallel: bool) -> Draw:
    """Levels 0–3; a common change of the shares of levels (parallel), or a common shift of unequal spreads."""

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        n = 800
        treated = np.arange(n) < 350
        if parallel:
            first = np.where(treated[:, None], [0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25])
            second = first + np.array([-0.1, 0.0, 0.05, 0.05])
            second = second + treated[:, None] * np.array([0.0, -0.1, 0.0, 0.1])
            y = np.stack(
                [(rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1) for p in (first, second)], axis=1
            ).astype(float)
            return term(distribution_effects(pair(y, treated), Y, thresholds=(0, 1, 2)), ("effect", 1.0), 0.1)
        spread = np.where(treated, 2.0, 0.6)[:, None]
        y = spread * rng.normal(size=(n, 2)) + np.array([0.0, 1.0])
        return term(distribution_effects(pair(y, treated), Y, thresholds=(-1, 0, 1)), ("effect", 0.0), 0.0)

    return draw


def ranks(stable: bool, name: str = "q0.5") -> Draw:
    """y = u, then exp(u): trends in levels are not parallel, ranks are; unstable: the treated group's ranks move."""

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        n = 700
        treated = np.arange(n) < 300
        u = rng.normal(size=(n, 2)) * 0.7 + 0.5 * treated[:, None]
        if not stable:
            u[:, 1] += 0.5 * treated
        y = np.stack([u[:, 0], np.exp(u[:, 1]) + 1.0 * treated], axis=1)
        truth = 1.0
        found = changes_in_changes(pair(y, treated), Y)
        return term(found, (name, 2, 2), truth)

    return draw


def levels(rng: np.random.Generator) -> tuple[float, ...]:
    """Difference-in-differences where changes-in-changes holds."""
    n = 700
    treated = np.arange(n) < 300
    u = rng.normal(size=(n, 2)) * 0.7 + 0.5 * treated[:, None]
    y = np.stack([u[:, 0], np.exp(u[:, 1]) + 1.0 * treated], axis=1)
    return term(group_time_effects(pair(y, treated), Design("y", base="varying")), (2, 2), 1.0)


# -- attrition ---------------------------------------------------------------------------------------------


def lowest(share: float) -> float:
    """Mean of the lowest share of a standard normal."""
    return float(-np.exp(-(ndtri(share) ** 2) / 2) / np.sqrt(2 * np.pi) / share)


def leavers(side: str) -> Draw:
    """90 % of treated and 60 % of others stay; changes are N(1, 1) for treated and N(0, 1) for others."""

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        n = 800
        treated = np.arange(n) < 400
        base = rng.normal(size=n)
        after = base + treated + rng.normal(size=n)
        after[rng.random(n) > np.where(treated, 0.9, 0.6)] = np.nan
        truth = 1 + (1 if side == "lower" else -1) * lowest(0.6 / 0.9)
        return term(lee_bounds(pair(np.stack([base, after], axis=1), treated), Y), side, truth)

    return draw


def choosers(rng: np.random.Generator) -> tuple[float, ...]:
    """Not monotone: the treatment drives out those with large changes and keeps those with small ones; the truth is the
    effect on the always observed, 0, above the upper bound."""
    n = 1500
    treated = np.arange(n) < 700
    gain = rng.normal(size=n)
    base = rng.normal(size=n)
    stay = np.where(treated, gain < 0.8, gain > -0.4)
    after = np.where(stay, base + gain, np.nan)
    found = lee_bounds(pair(np.stack([base, after], axis=1), treated), Y, monotone="more")
    return term(found, "upper", 0.0)


def weighted(missing_at_random: bool, name: str = "ipw") -> Draw:
    """Changes depend on the base outcome, staying on the base outcome — or on the change itself."""

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        n = 900
        treated = np.arange(n) < 400
        base = rng.normal(size=n)
        change = 0.5 * base + rng.normal(size=n) + treated
        index = base if missing_at_random else change
        stay = rng.random(n) < 1 / (1 + np.exp(-(0.8 + np.where(treated, 1.0, -0.6) * index)))
        y = np.stack([base, np.where(stay, base + change, np.nan)], axis=1)
        return term(attrition_effects(pair(y, treated), Y), name, 1.0)

    return draw


# -- hazards -----------------------------------------------------------------------------------------------

RISK = np.array(
    [0.0, 0.12, 0.16, 0.10, 0.20, 0.24]
)  # continuous-time hazards of the comparison group by period


def curves(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Treated hazards without treatment: a constant gap or a constant ratio; treatment halves them from period 5 on."""
    own = RISK + 0.12 * (np.arange(6) > 0) if kind == "cd" else 2.0 * RISK
    return own, np.where(np.arange(6) >= 4, 0.5 * own, own)


def survival(kind: str, model: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        n = 1600
        treated = np.arange(n) < 700
        own, halved = curves(kind)
        hazard = np.where(treated[:, None], halved, RISK)
        event = rng.random((n, 6)) < -np.expm1(-hazard)
        first = np.where(event.any(axis=1), event.argmax(axis=1), 6)
        gone = (np.arange(6) >= first[:, None]).astype(float)
        once = (np.arange(6) == first[:, None]).astype(float)
        panel = Panel(
            np.arange(n),
            np.arange(1, 7),
            {"y": gone, "once": once},
            {"adoption": np.where(treated, 5.0, np.inf)},
        )
        truth = float(np.exp(-own.sum()) - np.exp(-halved.sum()))
        if model == "linear":
            return term(group_time_effects(panel, Y), (5, 6), truth)
        if model == "hazard":
            return term(hazard_effects(panel, Design("once")), ("once", "treatment"), float(np.log(0.5)))
        if model == "incidence":
            # of those at risk at adoption
            part = 1 - float(np.exp(-own[4:].sum()))
            treated_part = 1 - float(np.exp(-halved[4:].sum()))
            return term(incidence_effects(panel, Design("once")), ("once", 1), treated_part - part)
        if model in ("pre cd", "pre ph"):
            return term(duration_pre_test(panel, Y, model=model[-2:]), (5, 2), 0.0)  # type: ignore[arg-type]
        return term(duration_effects(panel, Y, model=model), (5, 6), truth)  # type: ignore[arg-type]

    return draw


CASES = [
    Case("margin_effects: total", "zeros, shares and means parallel", sales("total", 1.6)),
    Case("margin_effects: extensive", "zeros, shares and means parallel", sales("extensive", 0.2)),
    Case("margin_effects: extensive", "shares drift apart", sales("extensive", 0.2, 0.1), holds=False),
    Case("distribution_effects", "shares of levels change alike", steps(True)),
    Case("distribution_effects", "same shift, unequal spreads", steps(False), holds=False),
    Case("changes_in_changes: median", "increasing change of the scale", ranks(True)),
    Case("changes_in_changes: mean", "increasing change of the scale", ranks(True, "mean")),
    Case("changes_in_changes: median", "ranks of the treated move", ranks(False), holds=False),
    Case("group_time_effects", "increasing change of the scale", levels, holds=False),
    Case("lee_bounds: lower", "treatment keeps units", leavers("lower")),
    Case("lee_bounds: upper", "treatment keeps units", leavers("upper")),
    Case("lee_bounds: upper", "selection not monotone", choosers, holds=False, draws=100),
    Case("attrition_effects: ipw", "leaving depends on the base", weighted(True)),
    Case("attrition_effects: ipw", "leaving depends on the change", weighted(False), holds=False),
    Case("duration_effects: cd", "constant gap of hazards", survival("cd", "cd")),
    Case("duration_effects: ph", "constant ratio of hazards", survival("ph", "ph")),
    Case("duration_effects: ph", "constant gap of hazards", survival("cd", "ph"), holds=False),
    Case("duration_effects: cd", "constant ratio of hazards", survival("ph", "cd"), holds=False),
    Case("duration_pre_test: cd", "constant gap of hazards", survival("cd", "pre cd")),
    Case("duration_pre_test: ph", "constant ratio of hazards", survival("ph", "pre ph")),
    Case("duration_pre_test: cd", "constant ratio of hazards", survival("ph", "pre cd"), holds=False),
    Case("duration_pre_test: ph", "constant gap of hazards", survival("cd", "pre ph"), holds=False),
    Case("group_time_effects", "constant gap of hazards", survival("cd", "linear"), holds=False),
    Case("hazard_effects", "constant ratio of hazards", survival("ph", "hazard")),
    Case("incidence_effects", "constant ratio of hazards", survival("ph", "incidence")),
    Case("hazard_effects", "constant gap of hazards", survival("cd", "hazard"), holds=False, draws=400),
    Case("incidence_effects", "constant gap of hazards", survival("cd", "incidence"), holds=False, draws=400),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.method}, {c.world}")
def test_recovery(case: Case) -> None:
    judge(case, run(case))


def test_the_interval_covers_the_always_observed() -> None:
    """Imbens and Manski: the interval holds the effect (here 1, inside the bounds) at least at its level; and it covers
    the point at a bound, the worst case, at 95 %: the effect that equals the true lower bound.
    """
    worst, draws = 0, 300
    for seed in range(draws):
        rng = np.random.default_rng([7, seed])
        n = 800
        treated = np.arange(n) < 400
        base = rng.normal(size=n)
        after = base + treated + rng.normal(size=n)
        after[rng.random(n) > np.where(treated, 0.9, 0.6)] = np.nan
        found = lee_bounds(pair(np.stack([base, after], axis=1), treated), Y)
        low, high = found.detail["interval"][0, 2:]
        worst += low <= 1 + lowest(0.6 / 0.9) <= high
    assert 0.91 <= worst / draws <= 0.99
