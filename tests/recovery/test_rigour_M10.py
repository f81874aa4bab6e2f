"""M10: negative weights. Early cohorts whose effects grow are the comparison of late ones in a two-way regression.

Three cohorts (years 3, 5 and 8 of ten) and few never treated units; the effect of the early cohort grows by 3 a year, that of
the others stays at 0.5: every effect is positive, and the two-way coefficient is negative nearly always. The
estimators that compare with untreated cells only have no bias and cover. Truth: the mean effect over treated cells of the
units of the sample.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import rigour

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.imputation import imputation_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

pytestmark = pytest.mark.slow
YEARS = np.arange(1, 11)
COHORTS = np.repeat([3.0, 5.0, 8.0, np.inf], [20, 20, 20, 12])
DESIGN = Design("y")


def growing(rng: np.random.Generator) -> tuple[Panel, float]:
    """The panel and the mean effect over treated cells."""
    n, since = len(COHORTS), YEARS - COHORTS[:, None]
    effect = np.where(COHORTS[:, None] == 3, 3.0 * (since + 1), 0.5) * (since >= 0)
    noise = rng.normal(size=(n, len(YEARS)))
    y = rng.normal(size=(n, 1)) + 0.3 * YEARS + effect + noise
    return Panel(np.arange(n), YEARS, {"y": y}, {"adoption": COHORTS}), float(effect[since >= 0].mean())


def _row(estimate: Estimate, truth: float) -> dict[str, float]:
    row = estimate.table().iloc[0]
    return {
        "bias": float(row["estimate"] - truth),
        "coverage": float(row["conf_low"] <= truth <= row["conf_high"]),
        "negative sign": float(row["estimate"] < 0),
        "width": float(row["conf_high"] - row["conf_low"]),
    }


def cells(estimate: Estimate) -> Estimate:
    """The mean over treated cells with the cohort sizes of the design, which are not sampled here."""
    cohort = np.asarray(estimate.terms.get_level_values("cohort"), dtype=float)
    period = np.asarray(estimate.terms.get_level_values("period"), dtype=float)
    size = (COHORTS[None, :] == cohort[:, None]).sum(axis=1) * (period >= cohort)
    return estimate.combine((size / size.sum())[None, :], ["overall"])


def draw(rng: np.random.Generator) -> Mapping[str, Mapping[str, float]]:
    """One panel under every method."""
    panel, truth = growing(rng)
    return {
        "two-way": _row(two_way_effects(panel, DESIGN), truth),
        "group-time (not yet treated)": _row(cells(group_time_effects(panel, DESIGN)), truth),
        "imputation": _row(imputation_effects(panel, DESIGN, by="overall"), truth),
        "extended two-way": _row(cells(extended_two_way_effects(panel, DESIGN)), truth),
    }


def test_M10_negative_weights() -> None:
    robust = ("group-time (not yet treated)", "imputation", "extended two-way")
    claims = {("two-way", "negative sign"): (95.0, 100.0), ("two-way", "coverage"): (0.0, 1.0)}
    claims |= {(method, "coverage"): (93.0, 97.0) for method in robust}
    rows = rigour.run("M10", "early cohort growing by 3 a year", draw, seed=20261010, claims=claims)
    rigour.judge(rows)
    for method in robust:
        row = rows[method, "bias"]
        assert abs(row.value) <= 4 * row.error, row
    assert rows["two-way", "bias"].value < -1
