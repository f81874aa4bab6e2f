"""M17: eight correlated outcomes, two of them affected, 14 provinces: false findings of a family.

Province-year errors are autocorrelated (0.6) and correlated 0.5 between outcomes; 7, 5 or 3 provinces are treated from the fourth of six years on;
the two effects are about 2.5 jackknife standard errors. "any false" is the chance that at least one of the six outcomes without an effect is
found affected at 5 % (family-wise error); "false share" the mean share of false ones among the findings (false discovery rate); "power" the share
of the two effects found. Methods: each outcome alone by CV3; stepdown, Holm, BH and sharpened q from the sign changes of `family_test`
(delete-one-province estimates); stepdown on all C(14, G1) re-assignments of the treatment (studentised).

With three treated provinces the sign changes, which do not impose the null, find far too much, and `family_test` refuses when told the counts;
permutations keep to the level in every row, at the price of power.
"""

from __future__ import annotations

import itertools
from functools import cache, partial

import numpy as np
import pytest
import rigour

from evalkit.design import Design
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import cluster_jackknife, family_test, romano_wolf, sharpened_q
from evalkit.panel import Panel

PROVINCES, OUTCOMES, YEARS = 14, 8, np.arange(2016, 2022)
TRUE = 2
NAMES = [f"y{k}" for k in range(OUTCOMES)]


@cache
def assignments(treated: int) -> np.ndarray:
    """Every choice of treated provinces, the actual one first  # (B, 14)"""
    out = np.zeros((0, PROVINCES), dtype=bool)
    chosen = list(itertools.combinations(range(PROVINCES), treated))
    out = np.zeros((len(chosen), PROVINCES), dtype=bool)
    for row, at in enumerate(chosen):
        out[row, list(at)] = True
    return out


def studentised(change: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Difference of means over its unequal-variance error, for each assignment and outcome  # (B, m)"""
    on = treated.astype(float)
    g1, g0 = on.sum(axis=1)[:, None], (1 - on).sum(axis=1)[:, None]
    sums = [(w @ change, w @ change**2) for w in (on, 1 - on)]
    (a, aa), (b, bb) = sums
    variance = (aa - a**2 / g1) / (g1 * (g1 - 1)) + (bb - b**2 / g0) / (g0 * (g0 - 1))
    return (a / g1 - b / g0) / np.sqrt(variance)


def draw(rng: np.random.Generator, treated: int) -> rigour.Measures:
    """One panel of provinces, all methods."""
    shock = rng.standard_normal((PROVINCES, len(YEARS), OUTCOMES)) + rng.standard_normal(
        (PROVINCES, len(YEARS), 1)
    )
    for t in range(1, len(YEARS)):
        shock[:, t] = 0.6 * shock[:, t - 1] + 0.8 * shock[:, t]
    on = np.arange(PROVINCES) < treated
    size = np.zeros(OUTCOMES)
    size[:TRUE] = 2.5 * 1.25 * np.sqrt(1 / treated + 1 / (PROVINCES - treated))
    y = shock + (on[:, None] & (YEARS >= 2019))[:, :, None] * size
    adoption = np.where(on, 2019.0, np.inf)
    panel = Panel(
        np.arange(PROVINCES),
        YEARS,
        {name: y[:, :, k] for k, name in enumerate(NAMES)},
        {"adoption": adoption},
    )
    made = {name: two_way_effects(panel, Design(name)) for name in NAMES}
    alone = np.array([cluster_jackknife(one).table()["p_value"].iloc[0] for one in made.values()])
    family = family_test(made, {"all": NAMES})["all"]
    change = y[:, 3:].mean(axis=1) - y[:, :3].mean(axis=1)
    draws = studentised(change, assignments(treated))
    # the actual assignment is the first of the list
    permuted = romano_wolf(draws[0], draws, includes_actual=True)
    found = {
        "each alone, CV3": alone,
        "Romano-Wolf, signs": family.romano_wolf,
        "Westfall-Young, signs": family.westfall_young,
        "Holm, signs": family.holm,
        "BH, signs": family.benjamini_hochberg,
        "sharpened q, signs": family.sharpened_q,
        "sharpened q, CV3": sharpened_q(alone),
        "Romano-Wolf, permutations": permuted,
    }
    return {name: measures(p <= 0.05) for name, p in found.items()}


def measures(rejected: np.ndarray) -> dict[str, float]:
    false = rejected[TRUE:].sum()
    return {
        "any false": float(false > 0),
        "false share": float(false / max(rejected.sum(), 1)),
        "power": float(rejected[:TRUE].mean()),
    }


@pytest.mark.slow
@pytest.mark.parametrize("treated", [7, 5, 3])
def test_M17_family_errors(treated: int) -> None:
    # 5 % and three Monte Carlo errors of 2,000 replications
    claims = {
        ("Romano-Wolf, permutations", "any false"): (0.0, 6.5),
        ("each alone, CV3", "any false"): (12.0, 100.0),
    }
    if treated >= 5:
        for name in ("Romano-Wolf", "Westfall-Young", "Holm"):
            claims[f"{name}, signs", "any false"] = (0.0, 6.5)
        for name in ("sharpened q, signs", "sharpened q, CV3", "BH, signs"):
            claims[name, "false share"] = (0.0, 6.0)
    else:
        claims["Romano-Wolf, signs", "any false"] = (8.0, 100.0)  # what it is refused for
    rows = rigour.run(
        "M17", f"{treated} of 14 provinces treated", partial(draw, treated=treated), seed=1700, claims=claims
    )
    rigour.judge(rows)
