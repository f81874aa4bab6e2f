"""The kit's own rule of inference as something that power can be simulated for: only what leads is computed.

The row of `evalkit.inference.DECISIONS` is chosen from the counts of the placebo assignment as it would be from the
actual one; where a test leads (FP-v, RI) it is made from the panel, where a covariance leads it is read from the
estimate. The companions, which cost most of the time and decide nothing, are left out.

Checked against `evalkit.inference.headline`: tests/reference/test_power_simulation.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from evalkit.checks._power_trials import Decide, Judgement
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts, Headline, cluster_counts, headline, wider
from evalkit.inference.choice import Row
from evalkit.inference.choice import decide as row_of
from evalkit.inference.headline import TESTS, covariances
from evalkit.inference.refit import Fit, Refits
from evalkit.panel import Panel


def leading_rule(
    fit: Fit | None = None,
    *,
    rule: Literal["auto", "cv3"] = "auto",
    level: float = 0.95,
    size: str | None = None,
    scale: Literal["linear", "ratio"] = "linear",
    draws: int = 999,
    seed: int = 20180301,
) -> Decide:
    """The automatic rule as the ``decide`` of `simulated_power`.

    Parameters
    ----------
    fit : the method with one term out, for rows in which a test leads that estimates again; None = covariances only
    rule : of the plan
    level : of the tests that lead
    size : fixed variable with the size of each unit, for FP-v
    scale : "ratio" where the method estimates a ratio
    draws, seed : of tests that cannot be enumerated; fewer than in a report, for every simulation has its own
    """

    def decide(estimate: Estimate, panel: Panel, design: Design) -> Judgement:
        counts = _counts(estimate, panel, design)
        ways, _ = covariances(estimate, counts)
        jackknife = ways.get("CV3")
        row = row_of(
            counts,
            rule,
            refitting="none" if fit is None else scale,
            jackknife=jackknife is None or bool(np.isfinite(jackknife.covariance.diagonal()).any()),
        )
        if row.lead in TESTS and fit is not None:
            from evalkit.inference.beside import named_tests

            refits = Refits(panel, design, fit, scale=scale, size=size, draws=draws, seed=seed)
            sets, _ = named_tests(estimate, counts, replace(row, companions=()), refits, level=level)
            if row.lead in sets:
                return sets[row.lead]
        return _by_covariance(estimate, counts, ways, row, rule)

    decide.__name__ = f"headline-{rule}"
    return decide


def _counts(estimate: Estimate, panel: Panel, design: Design) -> ClusterCounts:
    dates = np.asarray(panel.constant(design.adoption), dtype=np.float64)
    if len(estimate.units) != len(dates) or not np.array_equal(estimate.units, panel.units):
        at = {str(unit): i for i, unit in enumerate(panel.units)}
        dates = dates[[at[str(unit)] for unit in estimate.units]]
    return cluster_counts(estimate, dates)


def _by_covariance(
    estimate: Estimate,
    counts: ClusterCounts,
    ways: dict[str, Estimate],
    row: Row,
    rule: Literal["auto", "cv3"],
) -> Estimate | Headline:
    """The leading covariance; the whole headline where the choice is not one of the plain ones."""
    first, second = ways.get("CV3"), ways.get("CR2", ways.get("CV1-W"))
    if row.lead == "none":
        return replace(estimate, covariance=np.full((1, 1), np.nan), inference="none")
    if first is not None and bool(np.isfinite(first.covariance).all()):
        if row.lead == "CV3":
            return first
        if second is not None and row.lead in ("wider", *TESTS):
            return wider(first, second)
    return headline(estimate, counts, rule)
