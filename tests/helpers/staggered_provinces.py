"""Fourteen provinces, two cohorts, and what a linear estimator and its errors are as matrices on the outcome.

An estimate, its influence and its delete-one estimates are linear in the outcome, so that a fixed design needs one fit a
cell, and a Monte Carlo draw a product. The matrices come from the estimator itself, by raising each cell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import provinces

from evalkit.aggregate import overall
from evalkit.arrays.linear_weights import overall_weights
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.imputation import imputation_effects
from evalkit.panel import Panel

G, T = 14, provinces.PERIODS
FIRST = (4.0, 6.0)
ASSIGNMENTS = 999
SIZE = provinces.sizes(G)


@dataclass(frozen=True)
class Maps:
    """θ̂ = value·y, influence and delete-one estimates  # (G·T,), (G·T, G), (G·T, G)"""

    value: np.ndarray
    influence: np.ndarray
    replicates: np.ndarray


@dataclass(frozen=True)
class Setting:
    """One design: adoption (G,), size weights or none, maps of group-time and imputation, v of other assignments."""

    adoption: np.ndarray
    weighted: bool
    group_time: Maps
    imputation: Maps
    others: np.ndarray  # (assignments, G·T)

    @property
    def after(self) -> np.ndarray:
        return (np.arange(T) >= self.adoption[:, None]).astype(float)


def who(cohorts: tuple[int, int], variance: str) -> np.ndarray:
    """Positions of the treated provinces: the smallest where variance falls with size, else spread over the sizes."""
    order = np.argsort(SIZE, kind="stable")
    places = np.arange(sum(cohorts)) if variance == "size" else [2, 9, 5, 12, 0, 7, 11, 3, 8][: sum(cohorts)]
    return order[places]


def dates(cohorts: tuple[int, int], treated: np.ndarray) -> np.ndarray:
    out = np.full(G, np.inf)
    out[treated[: cohorts[0]]] = FIRST[0]
    out[treated[cohorts[0] :]] = FIRST[1]
    return out


def panel_of(y: np.ndarray, adoption: np.ndarray) -> Panel:
    return Panel(
        np.arange(G),
        np.arange(T),
        {"y": y},
        {"adoption": adoption, "province": np.arange(G), "size": SIZE},
    )


def by_cohorts(panel: Panel, design: Design) -> Estimate:
    return overall(group_time_effects(panel, design))


def by_imputation(panel: Panel, design: Design) -> Estimate:
    return imputation_effects(panel, design, by="overall")


def maps(fit: Callable[[Panel, Design], Estimate], adoption: np.ndarray, weighted: bool) -> Maps:
    design = Design("y", cluster="province", weight="size" if weighted else None)
    base = np.random.default_rng(0).normal(size=(G, T))
    first = fit(panel_of(base, adoption), design)
    value, influence, replicates = np.zeros(G * T), np.zeros((G * T, G)), np.full((G * T, G), np.nan)
    for cell in range(G * T):
        raised = base.copy()
        raised.flat[cell] += 1.0
        found = fit(panel_of(raised, adoption), design)
        value[cell] = found.values[0] - first.values[0]
        influence[cell] = found.influence[:, 0] - first.influence[:, 0]
        replicates[cell] = found.replicates[:, 0] - first.replicates[:, 0]
    return Maps(value, influence, replicates)


@cache
def setting(cohorts: tuple[int, int], weighted: bool, variance: str) -> Setting:
    treated = who(cohorts, variance)
    adoption = dates(cohorts, treated)
    rng = np.random.default_rng(sum(cohorts))
    mass = SIZE if weighted else np.ones(G)
    others = np.stack(
        [
            overall_weights(dates(cohorts, rng.permutation(G)[: sum(cohorts)]), mass, np.arange(T)).ravel()
            for _ in range(ASSIGNMENTS)
        ]
    )
    return Setting(
        adoption,
        weighted,
        maps(by_cohorts, adoption, weighted),
        maps(by_imputation, adoption, weighted),
        others,
    )


def outcome(rng: np.random.Generator, variance: str, law: str) -> np.ndarray:
    """Paths without an effect  # (G, T)"""
    y = provinces.shocks(rng, G, law=law)
    if variance == "size":
        return y / np.sqrt(SIZE)[:, None]
    if variance == "free":
        return y * np.exp(0.5 * rng.standard_normal((G, 1)))
    return y
