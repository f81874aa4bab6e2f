"""Each province's supported firms: their effect against unsupported firms of the same province, firm by firm.

With support in every province at once, one province alone is one treated cluster, and no method that compares provinces gives
it an interval. What one province does give is a comparison inside it: firms were chosen one by one, so firms are what chance
moved. The change of a supported firm is held against that of the province's own unsupported firms (an intercept for each
province), with the slopes of size and industry taken from the unsupported firms of all provinces, because one province has too
few for slopes of its own. Means over provinces, weighted by their supported firms, are the effect of the same regression on all.

The inference leaves out each firm in turn; degrees of freedom are Satterthwaite's of the two sides. What hit the place of the
zone as a whole is not in it: `evalkit.study.regional` measures by how much provinces differ beyond their firms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit import aggregate
from evalkit.arrays.adjusted_groups import adjusted_groups
from evalkit.arrays.cluster import sandwich
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts, Headline, cluster_counts, headline
from evalkit.study.plan import Plan
from evalkit.study.sample import ADOPTION, OUTCOME, AnalysisSample

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
PROVINCE = "sido"
FEWEST = 3
"""Firms on a side from which a province has an effect at all; the plan's disclosure rule may ask for more."""


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """One province's effect by event time and on average.

    Attributes
    ----------
    cells : group-time effects (cohort, period) of the province's supported firms, one cluster a firm
    event, average : under the inference that leads, with Satterthwaite's degrees of freedom
    headline : of the average; `counts` : firms of the province by side
    horizon : event times of the average
    """

    cells: Estimate
    event: Estimate
    average: Estimate
    headline: Headline
    counts: ClusterCounts
    horizon: tuple[int, ...]


def fewest(plan: Plan) -> int:
    """Firms on a side from which an effect may be estimated and shown."""
    return max(FEWEST, plan.disclosure.min_firms)


def provinces_of_sample(sample: AnalysisSample) -> NDArray[np.str_]:
    """Province of each unit of a sample  # (N,)"""
    return np.asarray(sample.panel.constant(PROVINCE)).astype(str)


def within_province(plan: Plan, sample: AnalysisSample, phase: int, region: str, cells: Estimate) -> Within:
    """A province's effect from its cells.

    Parameters
    ----------
    sample : of all provinces, as the plan draws it
    cells : of the province, from `province_cells`

    Raises
    ------
    DesignError : too few supported or unsupported firms, or no event time with enough of them
    """
    own = provinces_of_sample(sample) == region
    treated, comparison = own & sample.treated, own & sample.comparison
    require_firms(plan, region, int(treated.sum()), int(comparison.sum()))
    event = aggregate.event_study(cells)
    enough = (event.n_treated >= fewest(plan)) & (event.n_comparison >= fewest(plan))
    event = event.select(enough & np.isfinite(event.values))
    times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
    horizon = tuple(int(e) for e in times if 0 <= e <= plan.horizon)
    if not horizon:
        raise DesignError(
            f"{region}에는 지원 뒤의 값을 견줄 수 있는 기업이 {fewest(plan)}곳이 안 됨",
            remedy="기간이 더 쌓인 뒤에 다시 볼 것",
        )
    counts = cluster_counts(event, treated, own.astype(np.float64))
    rule, level = plan.inference.rule, plan.inference.level
    average = aggregate.average(event, horizon)
    lead = headline(average, counts, rule=rule, level=level)
    led = satterthwaite(lead.estimate, treated, comparison)
    return Within(
        cells=cells,
        event=satterthwaite(headline(event, counts, rule=rule).estimate, treated, comparison),
        average=led,
        headline=replace(lead, estimate=led),
        counts=counts,
        horizon=horizon,
    )


def require_firms(plan: Plan, region: str, treated: int, comparison: int) -> None:
    """Refuse a province with too few firms on a side.

    Raises
    ------
    DesignError : which side, and how many would do
    """
    least = fewest(plan)
    if treated < least:
        raise DesignError(
            f"{region}에서 이 단계에 처음 지원받은 기업이 {least}곳보다 적어 효과를 추정하지 않음",
            remedy="여러 시·도를 묶은 결과를 볼 것",
        )
    if comparison < least:
        raise DesignError(
            f"{region}에는 견줄 수 있는 지원받지 않은 기업이 {least}곳보다 적어 시·도 안에서 견주지 않음",
            remedy="여러 시·도를 묶은 결과를 볼 것",
        )


def province_cells(
    plan: Plan, sample: AnalysisSample, phase: int, regions: Sequence[str], *, intercepts: bool = True
) -> dict[str, Estimate]:
    """Group-time effects of every province's supported firms, from one regression a cell.

    Parameters
    ----------
    intercepts : a province's own (its firms are compared inside it); False = one for all, so that firms of all provinces
        are its comparison, as in the plan

    Returns
    -------
    province -> Estimate with terms (cohort, period) over the units of the sample, clusters are firms; a province without a
    cohort of the phase has none

    Raises
    ------
    RefusalError : repeated cross-sections, in which no firm can be followed
    """
    if plan.design.missing == "rows":
        raise RefusalError(
            "반복 횡단면으로는 한 시·도의 기업을 따라가며 견줄 수 없음", remedy="missing: pairs 로 적을 것"
        )
    panel, home = sample.panel, provinces_of_sample(sample)
    adoption = np.asarray(panel.constant(ADOPTION), dtype=np.float64)
    lo, hi = plan.phases[phase].cohorts
    starts = np.unique(adoption[(adoption >= lo) & (adoption <= hi)]).astype(np.int64)
    y, x = panel.values(OUTCOME), _regressors(sample, home if intercepts else None)
    usable = _usable(plan, sample, y)
    anticipation = sample.design.anticipation
    codes = np.array([regions.index(h) if h in regions else -1 for h in home.tolist()], dtype=np.int64)
    never = np.isinf(adoption)
    own_never = np.array([never & (codes == p) for p in range(len(regions))]).reshape(len(regions), -1)
    found: dict[str, list[tuple[int, int, float, Floats, Floats, int, int]]] = {r: [] for r in regions}
    for g in starts.tolist():
        base = int(np.flatnonzero(panel.periods == g - 1 - anticipation)[0])
        members = np.where(adoption == g, codes, -1)
        present = sorted(set(members[members >= 0].tolist()))
        for column, t in enumerate(panel.periods.tolist()):
            seen = usable[base] & np.isfinite(y[:, base]) & np.isfinite(y[:, column])
            group = np.where(seen, members, -1)
            untreated = seen & never
            change = np.where(seen, y[:, column] - y[:, base], 0.0)
            made = adjusted_groups(change, x, untreated, group, len(regions))
            for p in present:
                behind = untreated & own_never[p] if intercepts else untreated
                cell = (made.values[p], made.influence[:, p], made.deleted[:, p])
                if column == base and np.isfinite(made.values[p]):
                    cell = (0.0, np.zeros(len(y)), np.zeros(len(y)))
                found[regions[p]].append((g, t, *cell, int((group == p).sum()), int(behind.sum())))
    return {
        region: _estimate(plan, sample, np.where(codes == regions.index(region), adoption, np.nan), cells)
        for region, cells in found.items()
        if cells
    }


def satterthwaite(est: Estimate, treated: Bools, comparison: Bools) -> Estimate:
    """Degrees of freedom of a difference of two sides with variances of their own, from the influence of the firms.

    Parameters
    ----------
    treated, comparison : units of the province on each side; the share of other units counts with the comparison  # (N,)
    """
    assert est.influence is not None
    n1, n0 = int(treated.sum()), int(comparison.sum())
    square = np.square(est.influence)
    v1, v0 = square[treated].sum(axis=0), square[~treated].sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        dof = (v1 + v0) ** 2 / (v1**2 / max(n1 - 1, 1) + v0**2 / max(n0 - 1, 1))
    return replace(est, dof=np.where(np.isfinite(dof), dof, float(max(min(n1, n0) - 1, 1))))


def _estimate(
    plan: Plan,
    sample: AnalysisSample,
    adoption: Floats,
    cells: list[tuple[int, int, float, Floats, Floats, int, int]],
) -> Estimate:
    """Cells of one province as an Estimate."""
    n = len(adoption)
    cohorts, periods, values, influence, deleted, treated, comparison = zip(*cells, strict=True)
    psi, left = np.column_stack(influence), np.column_stack(deleted)
    lo, hi = min(cohorts), max(cohorts)
    member = np.isfinite(adoption) & (adoption >= lo) & (adoption <= hi)
    for k, g in enumerate(cohorts):
        holders = np.flatnonzero(member & (adoption == g))
        if len(holders) == 1:  # without its only firm the cohort has no share, and its cells no value to miss
            left[holders[0], k] = values[k]
    covariance = sandwich(np.nan_to_num(psi), np.arange(n), n)
    lost = ~np.isfinite(np.asarray(values))
    covariance[lost, :] = covariance[:, lost] = np.nan
    return Estimate(
        terms=pd.MultiIndex.from_arrays([list(cohorts), list(periods)], names=["cohort", "period"]),
        values=np.array(values),
        covariance=covariance,
        influence=psi,
        cluster=np.arange(n),
        cluster_labels=sample.panel.units,
        replicates=left,
        dof=np.full(len(values), np.inf),
        n_treated=np.array(treated),
        n_comparison=np.array(comparison),
        method="group_time/reg by province",
        inference="IF",
        units=sample.panel.units,
        design={"outcome": OUTCOME, "anticipation": plan.design.anticipation, "base": "universal"},
        detail={"cohort": np.where(member, adoption, np.nan), "weight": member.astype(np.float64)},
    )


def _usable(plan: Plan, sample: AnalysisSample, y: Floats) -> Bools:
    """Who may be compared from each base period on: at risk there, and complete where the plan asks for it  # (T, N)"""
    at_risk = sample.design.at_risk
    alive: Bools = np.ones(y.shape, dtype=bool)
    if at_risk is not None:
        alive = np.asarray(sample.panel.values(at_risk) > 0)
    whole: Bools = np.ones(len(y), dtype=bool)
    if plan.design.missing == "drop":
        whole = np.asarray(np.isfinite(y).all(axis=1))
    return np.asarray((alive & whole[:, None]).T)


def _regressors(sample: AnalysisSample, home: NDArray[np.str_] | None) -> Floats:
    """Ones, the plan's covariates as they are frozen in the sample, and an intercept a province  # (N, k)"""
    columns: list[Floats] = [np.ones(len(sample.panel.units))]
    names = [sample.panel.constant(name) for name in sample.design.covariates]
    for values in [*names, *([] if home is None else [home])]:
        if values.dtype.kind in "OUS":
            text = values.astype(str)
            columns += [(text == level).astype(np.float64) for level in np.unique(text)[1:]]
        else:
            number = np.asarray(values, dtype=np.float64)
            spread = float(number.std())
            columns.append((number - number.mean()) / (spread if spread > 0 else 1.0))
    return np.column_stack(columns)
