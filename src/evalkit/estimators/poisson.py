"""Poisson pseudo-likelihood with unit and period effects: the effect as a ratio.

What it estimates: τ of  E[y_it] = exp(α_i + δ_t + D_it τ + x_it'β + offset_it) × exposure_it,  so e^τ − 1 is the
proportional effect on the mean (`evalkit.percent.percent_table`), under parallel trends in ratios: without the treatment
the means of treated and comparison units would have grown by the same factor. Only the mean must be right: zeros, over-
dispersion and amounts that are no counts do no harm (Gourieroux, Monfort & Trognon 1984; Santos Silva & Tenreyro 2006;
Wooldridge 1999). Under staggered adoption with effects that differ by cohort or over time the same warning holds as for
`evalkit.estimators.two_way`: τ weighs comparisons with units already treated; report extended two-way Poisson then.

Fit: exact, unit effects concentrated out (`evalkit.arrays.poisson`). Separation is looked for in full before (Correia,
Guimarães & Zylkin 2019): units without any count, periods without any, and cells that a combination of effects and
regressors fits by a mean of 0 leave, are counted and listed. A treatment that separation takes away is an error.
Inference: CV1 as in fixest (K counts effects that are not nested in clusters), t(G − 1); fixest itself uses the normal
distribution for its p-values. Replicates are exact fits without each cluster, on sums of units by cohort where no
regressor varies by cell (a few per cent of the estimate's cost), otherwise by two to six passes over the rows for all
clusters side by side (`evalkit.arrays.poisson_chord`; half to three quarters of the estimate's cost with 17 clusters,
then only unasked where small; ``replicates=True`` asks for them).

Checked against fixest 0.14.2, its trade example, pyfixest and statsmodels: tests/reference/test_poisson.py.
Differences: t(G − 1) in place of normal; a regressor that is a combination of those before it is NaN and named.

``detail`` of both functions
    n_obs, n_units, n_periods, n_regressors, n_period_effects, period_rank, periods_nested, n_dropped_missing,
    n_dropped_singletons, weighted, deviance, pearson, likelihood (conditional), iterations : of the fit
    n_separated_units, separated_units : units whose counts are all 0, and the first hundred of their labels
    n_separated_cells, separated_cell_units, separated_cell_periods : other separated cells, the first hundred of them
    smallest_mean : least fitted mean of a cell with count 0 (below 1e-6 a sentence in ``notes`` warns)
    hessian_inverse : of the terms, covariates last  # (L, L); collinear : names left out; notes : Korean sentences
    labels, values, gram, score, positions, by_period, cell_meat, n_cells : as in `two_way`, weights are the means
    scale : "log", so that `evalkit.percent` knows a log ratio
    covariate_names, covariate_values, covariate_std_errors, reference : event study only
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._event_time import cohorts_of, event_clock
from evalkit.estimators._one_sided import FEW, Sides, doubts, without_error
from evalkit.estimators._poisson_factors import solve_factors
from evalkit.estimators._poisson_fit import Solved, solve
from evalkit.estimators._poisson_sample import draw_counts, problem_of
from evalkit.estimators._two_way_sample import Sample
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
LISTED = 100

CARDS = (
    MethodCard(
        function="poisson_effects",
        name="포아송 이중차분",
        english="Poisson pseudo-likelihood with fixed effects (PPML)",
        group="outcomes",
        question="지원이 건수나 금액을 몇 배로 바꾸었는가(0이 많아도)?",
        assumptions=(
            "지원이 없었다면 두 집단의 평균이 같은 비율로 움직였다(비율의 평행추세).",
            "도입 시점이 하나이거나 비율 효과가 집단과 기간에 따라 다르지 않다.",
            "지원 전에는 효과가 나타나지 않는다.",
        ),
        returns="term (로그 척도); CV1, 영향함수, 군집을 뺀 추정치(정확한 재추정)",
        reference="Santos Silva & Tenreyro (2006); Correia, Guimarães & Zylkin (2020)",
        oracle=("R fixest 0.14.2 fepois, pyfixest, statsmodels: tests/reference/test_poisson.py",),
        differs="p값에 정규분포가 아니라 t(G−1)을 쓴다. 분리를 선형계획으로 끝까지 찾아 뺀다.",
        refuses="log(1+y)·asinh 처럼 바꾼 결과(원래 값을 쓴다), 음수가 있는 결과.",
    ),
    MethodCard(
        function="poisson_event_study",
        name="포아송 사건연구",
        english="Poisson event study",
        group="outcomes",
        question="지원 전후의 경과 기간마다 두 집단 평균의 비는 어떻게 움직였는가?",
        assumptions=(
            "비율의 평행추세.",
            "도입 시점이 다르면 비율 효과가 코호트마다 같다: 아니면 견주어 보는 용도로만 쓴다.",
        ),
        returns="event_time (로그 척도); CV1, 영향함수, 군집을 뺀 추정치",
        reference="Wooldridge (2023)",
        oracle=("R fixest 0.14.2 fepois: tests/reference/test_poisson.py",),
    ),
)


def poisson_effects(
    panel: Panel,
    design: Design,
    *,
    treatment: str | None = None,
    within: str | tuple[str, ...] | None = None,
    offset: str | None = None,
    exposure: str | None = None,
    replicates: bool | None = None,
) -> Estimate:
    """Log ratio of means due to the treatment, and coefficients of varying covariates.

    Parameters
    ----------
    panel : balanced or not; the outcome is not negative; a cell with a missing value is not used
    design : outcome, adoption, covariates, cluster, weight and anticipation are read as in `two_way_effects`; the
        scale of parallel trends is that of ratios whatever ``link`` says, and the result's design says so
    treatment : name of a varying variable to use in place of the indicator period >= adoption
    within : name of a fixed variable: each of its values has period effects of its own. Several names: the period
        effects of each, side by side (not of their combinations)
    offset : name of a variable that enters with coefficient 1 on the log scale
    exposure : name of a variable whose log does (firms at risk); where it is 0 nothing is observed
    replicates : whether to leave out each cluster; None = where this is cheap

    Returns
    -------
    Estimate with terms at level "term", on the log scale: the treatment, then the varying covariates

    Raises
    ------
    RefusalError : an outcome that is a log already
    DataError : negative counts or weights, infinite values
    DesignError : one cluster, nothing but zeros, no variation left in the treatment, separation by the treatment

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[2, 4], [1, 2], [3, 9], [1, 7.0]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> round(float(np.exp(poisson_effects(panel, Design("y")).values[0])), 12)
    2.0
    """
    several = isinstance(within, tuple) and len(within) > 1
    single = within[0] if isinstance(within, tuple) and len(within) == 1 else within
    sample, shift = draw_counts(
        panel,
        design,
        treatment=treatment,
        within=None if several else str(single) if single else None,
        offset=offset,
        exposure=exposure,
    )
    label, tables, cohort, stratum, treated = _treatment(sample, treatment)
    names = [label, *sample.covariates]
    problem = problem_of(sample, tables, cohort, stratum, shift)
    if several:
        assert isinstance(within, tuple)
        solved = solve_factors(problem, panel, sample, within, names, replicates=bool(replicates))
    else:
        weights = sample.weights
        solved = solve(problem, names, weights=weights, replicates=replicates, required=1)
    if np.isnan(solved.values[0]):
        raise _absorbed(label, solved)
    terms = pd.MultiIndex.from_arrays([names], names=["term"])
    behind = treated[solved.rows]
    counts = np.repeat(np.array([behind.sum(), (~behind).sum()])[:, None], len(names), axis=1)
    if treatment is not None:  # whoever is ever treated stands on one side
        sample = replace(sample, adoption=np.where(treated, float(sample.periods[-1]), np.inf))
    return _estimate(sample, design, solved, names, terms, counts, "poisson/effects")


def _treatment(
    sample: Sample, treatment: str | None
) -> tuple[str, Floats, NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.bool_]]:
    """Label and tables of the treatment, cohort codes, strata of cohorts, and who is ever treated."""
    if treatment is None:
        label, treated = "treatment", sample.adoption <= sample.periods[-1]
        cohorts, cohort, stratum = cohorts_of(sample)
        tables = (sample.periods[None, :] >= cohorts[:, None]).astype(np.float64)[:, :, None]
    else:
        label = treatment
        cohorts, cohort, stratum = cohorts_of(replace(sample, adoption=np.zeros(sample.n_units)))
        tables = np.zeros((len(cohorts), len(sample.periods), 0))
        switched = sample.dense[0] != 0
        treated = (switched if sample.used is None else switched & sample.used).any(axis=1)
    return label, tables, cohort, stratum, treated


def poisson_event_study(
    panel: Panel,
    design: Design,
    *,
    reference: int | tuple[int, ...] | None = None,
    window: tuple[int, int] | None = None,
    within: str | None = None,
    offset: str | None = None,
    exposure: str | None = None,
    replicates: bool | None = None,
) -> Estimate:
    """Log ratios by event time (period − adoption); for contrast when adoption is staggered.

    Parameters
    ----------
    panel, design, within, offset, exposure, replicates : as in `poisson_effects`
    reference : event time(s) left out; the default is −1 − anticipation
    window : first and last event time; what lies beyond is binned into them

    Returns
    -------
    Estimate with terms at level "event_time" (the reference is not a term; covariates stand in ``detail``)

    Raises
    ------
    DesignError : an event time cannot be told apart from the unit and period effects, no unit is ever treated
    """
    left_out = -1 - design.anticipation if reference is None else reference
    omitted = (left_out,) if isinstance(left_out, int) else tuple(left_out)
    sample, shift = draw_counts(
        panel,
        replace(design, anticipation=0),
        treatment=None,
        within=within,
        offset=offset,
        exposure=exposure,
    )
    cohorts, cohort, stratum = cohorts_of(sample)
    clock, times = event_clock(sample, design.adoption, cohorts, cohort, window, omitted)
    tables = (clock[:, :, None] == times[None, None, :]).astype(np.float64)
    problem = problem_of(sample, tables, cohort, stratum, shift)
    names = [*(str(e) for e in times), *sample.covariates]
    k = len(times)
    solved = solve(problem, names, weights=sample.weights, replicates=replicates, required=k, strict=True)
    if np.isnan(solved.values[:k]).any():
        raise _absorbed("경과 기간 " + ", ".join(str(e) for e in times[np.isnan(solved.values[:k])]), solved)
    never = ~np.isfinite(sample.adoption[solved.rows])
    behind = sample.reach(cohort, clock, times)
    counts = np.stack([behind, np.full(k, never.sum()) if never.any() else len(never) - behind])
    terms = pd.MultiIndex.from_arrays([times], names=["event_time"])
    extra: dict[str, Any] = {"reference": list(omitted)}
    if len(names) > k:
        extra |= {
            "covariate_names": names[k:],
            "covariate_values": solved.values[k:],
            "covariate_std_errors": np.sqrt(np.diag(solved.covariance)[k:]),
        }
    return _estimate(sample, design, solved, names, terms, counts, "poisson/event_study", extra)


def _absorbed(label: str, solved: Solved) -> DesignError:
    if solved.detail["n_separated_cells"]:
        return DesignError(
            f"{label} 의 결과가 모두 0이어서(분리) 비율 효과가 −∞ 또는 +∞ 로 갈 뿐 추정되지 않음"
            f" (분리된 관측 {solved.detail['n_separated_cells']}개)",
            remedy="더 넓은 결과나 긴 기간을 쓰거나 수준의 효과(group_time_effects)를 볼 것",
        )
    return DesignError(
        f"처치 {label} 이(가) 단위 효과와 기간 효과에 모두 흡수되어 추정할 것이 남지 않음",
        remedy="처치 전 기간과 비교 집단이 함께 있는 기간·단위를 쓸 것",
    )


def _sides(sample: Sample, solved: Solved, effects: int, terms: int) -> Sides | None:
    """Clusters behind the effects: those treated within the data, and those untreated while others are treated."""
    first, last = sample.adoption[solved.rows], sample.periods[-1]
    treated = first <= last
    if not treated.any():
        return None
    untreated = first > max(first.min(), sample.periods[0])
    cluster = sample.cluster[solved.rows]
    fewest = min(len(np.unique(cluster[side])) for side in (treated, untreated))
    behind = np.full(terms, FEW)
    behind[:effects] = fewest
    return Sides(behind, behind)


def _listed(sample: Sample, solved: Solved) -> dict[str, Any]:
    """Labels of what separation took away."""
    cell_unit, cell_period = (at[:LISTED] for at in np.nonzero(solved.cells))
    return {
        "n_dropped_missing": sample.n_missing,
        "n_dropped_singletons": sample.n_singletons,
        "separated_units": sample.units[~solved.rows][:LISTED],
        "separated_cell_units": sample.units[cell_unit],
        "separated_cell_periods": sample.periods[cell_period],
        "notes": [*sample.notes, *solved.detail["notes"]],
    }


def _estimate(
    sample: Sample,
    design: Design,
    solved: Solved,
    names: list[str],
    terms: pd.MultiIndex,
    counts: NDArray[np.int64],
    method: str,
    extra: dict[str, Any] | None = None,
) -> Estimate:
    k = len(terms)
    sides = _sides(sample, solved, k if extra is not None else 1, k)
    covariance = solved.covariance[:k, :k]
    if sides is not None:
        covariance = without_error(covariance, sides.alone)
    detail = {**solved.detail, **_listed(sample, solved), **(extra or {})}
    detail |= {"labels": names[:k], "values": solved.values[:k], "scale": "log"}
    if "positions" in detail:
        detail["positions"] = detail["positions"][: int((~np.isnan(solved.values[:k])).sum())]
    for key, at in (("by_period", np.s_[:, :k]), ("cell_meat", np.s_[:k, :k])):
        if key in detail:
            detail[key] = detail[key][at]
    detail["notes"] += doubts(sides, terms, solved.values[:k], covariance, design.cluster)
    whole = k == len(names)
    return Estimate(
        terms=terms,
        values=solved.values[:k],
        covariance=covariance,
        influence=solved.influence if whole else np.ascontiguousarray(solved.influence[:, :k]),
        cluster=solved.cluster,
        cluster_labels=sample.cluster_labels[solved.clusters],
        replicates=None if solved.replicates is None else solved.replicates[:, :k],
        dof=np.full(k, float(len(solved.clusters) - 1)),
        n_treated=counts[0],
        n_comparison=counts[1],
        method=method,
        inference="CV1",
        units=sample.units[solved.rows],
        design=replace(design, link="ratios").to_dict(),
        detail=detail,
    )
