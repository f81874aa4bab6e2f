"""Cohort by cohort from a clean start, for methods that know nothing of units at risk.

A firm first supported in g was there at the end of g − 1, its comparison need not have been: a method that does not ask
who was still there reads that as an effect. So each cohort is set beside the comparison units that were there in its own
base period, over its own window, and the cohorts are averaged with their treated units. One adoption date a time also
keeps units already treated out of the comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evalkit.appraisal.phases import stack
from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.panel import Panel
from evalkit.study.plan import Plan
from evalkit.study.sample import AnalysisSample

Fit = Callable[[Panel, Design], Estimate]


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Cohorts pooled.

    Attributes
    ----------
    estimate : the terms of the fit, averaged over cohorts with their treated units
    parts : cohort -> its own estimate
    failed : cohort -> why it has none
    treated, comparison : units that the pooled estimate rests on
    """

    estimate: Estimate
    parts: dict[int, Estimate]
    failed: dict[int, str]
    treated: int
    comparison: int


def each_cohort(
    plan: Plan,
    sample: AnalysisSample,
    phase: int,
    fit: Fit,
    *,
    before: int | None = 1,
    horizon: int | None = None,
) -> Pooled:
    """Fit every cohort of a phase on units there in its base period, and average.

    Parameters
    ----------
    sample : panel and design of an effect
    fit : method of a panel and a design, the same terms for every cohort
    before : periods before adoption that the window keeps; None = all
    horizon : last event time of the window; None = the plan's

    Raises
    ------
    DesignError : no cohort has an estimate
    """
    lo, hi = plan.phases[phase].cohorts
    last = plan.horizon if horizon is None else horizon
    panel, design = sample.panel, sample.design
    adoption = np.asarray(panel.constant(design.adoption), dtype=np.float64)
    parts, failed, sizes, compared = {}, {}, {}, np.zeros(len(panel.units), dtype=bool)
    for g in np.unique(adoption[(adoption >= lo) & (adoption <= hi)]).astype(int):
        base = int(g) - 1 - design.anticipation
        if base not in panel.periods:
            continue
        first = int(panel.periods[0]) if before is None else int(g) - before - design.anticipation
        window = [int(t) for t in panel.periods if first <= t <= g + last]
        keep = ((adoption == g) | sample.comparison) & _at_risk(panel, design, base)
        try:
            found = fit(panel.select(keep, window), design)
        except EvalkitError as error:
            failed[int(g)] = error.problem
            continue
        if not np.isfinite(found.values).any():
            failed[int(g)] = "추정할 수 있는 항이 없음"
            continue
        parts[int(g)] = found
        sizes[int(g)] = int((keep & (adoption == g)).sum())
        compared |= keep & sample.comparison
    if not parts:
        raise DesignError(
            "어느 코호트에서도 추정하지 못함"
            + "".join(f" ({g}년: {why})" for g, why in list(failed.items())[:1]),
            remedy="코호트의 크기와 자료가 있는 기간을 확인할 것",
        )
    return Pooled(_average(parts, sizes), parts, failed, sum(sizes.values()), int(compared.sum()))


def _at_risk(panel: Panel, design: Design, base: int) -> np.ndarray:
    if design.at_risk is None:
        return np.ones(len(panel.units), dtype=bool)
    column = int(np.flatnonzero(panel.periods == base)[0])
    return np.asarray(panel.values(design.at_risk)[:, column] > 0)


def _average(parts: dict[int, Estimate], sizes: dict[int, int]) -> Estimate:
    """Terms averaged over the cohorts that have them, with the numbers of treated units as fixed weights."""
    joined = stack(parts, level="cohort")
    names = [name for name in joined.terms.names if name != "cohort"]
    labels = joined.terms.droplevel("cohort")
    terms = list(dict.fromkeys(labels))
    size = np.array([sizes[int(g)] for g in joined.terms.get_level_values("cohort")], dtype=np.float64)
    size[~np.isfinite(joined.values)] = 0.0
    weights = np.stack([np.where([label == term for label in labels], size, 0.0) for term in terms])
    with np.errstate(invalid="ignore"):
        weights = weights / weights.sum(axis=1, keepdims=True)
    kept = np.isfinite(weights).all(axis=1)
    tuples = [term if isinstance(term, tuple) else (term,) for term, k in zip(terms, kept, strict=True) if k]
    return joined.combine(weights[kept], pd.MultiIndex.from_tuples(tuples, names=names))
