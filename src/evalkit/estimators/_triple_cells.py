"""Cells of triple differences, and the combination of comparison cohorts (Ortiz-Villavicencio and Sant'Anna 2025).

What is estimated stands in `triple_differences`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from evalkit.arrays.cluster import cluster_sums
from evalkit.arrays.doubly_robust import Method
from evalkit.arrays.gmm_weights import optimal_weights
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators._group_cells import GroupCell, Rows, run_cells, seen_in_both
from evalkit.estimators._group_sample import Floats, GroupSample, Ints, Span
from evalkit.estimators._one_sided import Sides

Combination = Literal["gmm", "never", "separate"]

# -- the plan ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """cells: one a comparison cohort; labels: (cohort, period, comparison); members: rows behind each (cohort, period)."""

    cells: list[GroupCell]
    labels: list[tuple[int, int, str]]
    cohort_periods: list[tuple[int, int]]
    members: list[Ints]
    notes: list[str]


def plan_triples(sample: GroupSample, design: Design, combination: Combination) -> Plan:
    """Every cohort, period and comparison cohort that has all four groups."""
    cohort, flag = sample.keys.T
    periods, ahead = sample.periods, design.anticipation
    groups: dict[float, dict[int, Span]] = {}
    for g in np.unique(cohort):
        own = cohort == g
        groups[float(g)] = {
            q: sample.spans(own & (flag == q))[0] for q in (0, 1) if (own & (flag == q)).any()
        }
    only_never = combination == "never" or design.comparison == "never"
    cells: list[GroupCell] = []
    labels: list[tuple[int, int, str]] = []
    pairs: list[tuple[int, int]] = []
    members: list[Ints] = []
    notes: list[str] = []
    for g, sides in groups.items():
        missing = [name for q, name in ((1, "대상"), (0, "비대상")) if q not in sides]
        if missing:
            what = "지원받지 않은 지역" if np.isinf(g) else f"코호트 {g:g}"
            notes.append(f"{what}에 {'·'.join(missing)} 단위가 없어 삼중차분에 쓰지 못함")
            continue
        before = sample.before(g, ahead)
        if np.isinf(g):
            continue
        if before is None:
            notes.append(f"첫 기간 {periods[0]} 에 이미 지원받은 코호트 {g:g} 은(는) 기준 기간이 없어 제외")
            continue
        for t in range(0 if design.base == "universal" else 1, len(periods)):
            base = before if design.base == "universal" or periods[t] >= g else t - 1
            limit = periods[max(t, base)] + ahead
            rows = []
            for c, other in groups.items():
                if c == g or len(other) < 2 or c <= limit or (only_never and np.isfinite(c)):
                    continue
                parts = ((1.0, (sides[0],)), (1.0, (other[1],)), (-1.0, (other[0],)))
                name = "never" if np.isinf(c) else f"{c:g}"
                where = (("cohort", int(g)), ("period", int(periods[t])), ("comparison", name))
                cells.append(GroupCell(sides[1], parts, base, t, len(labels), where))
                rows.append(len(labels))
                labels.append((int(g), int(periods[t]), name))
            if rows:
                pairs.append((int(g), int(periods[t])))
                members.append(np.array(rows))
    if not cells:
        raise DesignError(
            "지원·비교 지역에 대상·비대상 단위가 함께 있는 칸이 하나도 없음",
            where=(f"결과 {design.outcome}",),
            remedy="; ".join(notes) or "지원받지 않은 지역의 대상·비대상 단위를 더할 것",
        )
    return Plan(cells, labels, pairs, members, notes)


# -- the combination -----------------------------------------------------------------------------------


def combine_cohorts(
    sample: GroupSample, plan: Plan, rows: Rows, method: Method, ridge: float
) -> tuple[Rows, list[dict[str, Any]]]:
    """One row a cohort and period from the rows of its comparison cohorts."""
    sums = cluster_sums(rows.psi.T, sample.codes, len(sample.labels))  # (C, R)
    k = len(plan.members)
    values, psi = np.full(k, np.nan), np.zeros((k, rows.psi.shape[1]))
    failed, told = list(rows.failed), []
    weight_rows: list[Floats] = []
    for row, at in enumerate(plan.members):
        weights, singular = _weights(sums[:, at], rows.values[at], ridge)
        weight_rows.append(weights)
        kept = np.flatnonzero(weights != 0)
        cohort, period = plan.cohort_periods[row]
        if singular:
            reason = "비교 코호트들의 공분산이 특이함: combination='never' 나 ridge 를 쓸 것"
            failed.append({"cohort": cohort, "period": period, "reason": reason})
        if np.isnan(weights).any() or not len(kept):
            psi[row] = np.nan
            continue
        values[row] = weights[kept] @ rows.values[at[kept]]
        if plan.cells[at[0]].base != plan.cells[at[0]].period:
            psi[row] = weights[kept] @ rows.psi[at[kept]]
        told += [
            {"cohort": cohort, "period": period, "comparison": plan.labels[i][2], "weight": float(w)}
            for i, w in zip(at, weights, strict=True)
        ]
    without = None
    if rows.replicates is not None:
        without = _replicates(sample, plan, rows.replicates, weight_rows, method, ridge)
    pick = np.array([at[0] for at in plan.members])
    return (
        Rows(
            values=values,
            psi=psi,
            replicates=without,
            n_treated=rows.n_treated[pick],
            n_comparison=np.array([rows.n_comparison[at].max() for at in plan.members]),
            max_propensity=np.array([np.fmax.reduce(rows.max_propensity[at]) for at in plan.members]),
            trimmed=np.array([rows.trimmed[at].sum() for at in plan.members]),
            failed=failed,
            sides=_sides(rows, weight_rows, plan.members),
        ),
        told,
    )


def _sides(rows: Rows, weights: list[Floats], members: list[Ints]) -> Sides | None:
    """Clusters behind the comparison cohorts that count."""
    if rows.sides is None:
        return None
    used = [at[np.nan_to_num(w) != 0] for w, at in zip(weights, members, strict=True)]
    return Sides(
        np.array([rows.sides.least[at].min(initial=np.iinfo(np.int64).max) for at in used]),
        np.array([rows.sides.most[at].max(initial=0) for at in used]),
    )


def _weights(sums: Floats, values: Floats, ridge: float) -> tuple[Floats, bool]:
    """Weights of estimates from sums of influence by cluster (C, J); 0 where a value is missing; and "singular"."""
    known = np.flatnonzero(np.isfinite(values))
    out = np.zeros(len(values))
    if len(known) <= 1 or not sums[:, known].any():
        out[known] = 1.0 / max(len(known), 1)  # one comparison, or the base period: 0 whatever the weights
        return out, False
    part = sums[:, known]
    out[known] = optimal_weights(part.T @ part, ridge)
    return out, bool(np.isnan(out).any())


def _replicates(
    sample: GroupSample,
    plan: Plan,
    separate: Floats,
    whole: list[Floats],
    method: Method,
    ridge: float,
) -> Floats:
    """The combination without each cluster, its weights found anew  # (C, k)"""
    clusters = len(separate)
    out = np.full((clusters, len(plan.members)), np.nan)
    several = [row for row, at in enumerate(plan.members) if len(at) > 1]
    plain = sample.x.shape[1] == 1
    for row, at in enumerate(plan.members):
        if row not in several:
            out[:, row] = separate[:, at[0]] if np.isfinite(whole[row]).all() else np.nan
    for c in range(clusters) if several and not plain else ():
        sums = _sums_without(sample, plan, method, c)
        for row in several:
            out[c, row] = _one_replicate(sums[:, plan.members[row]], separate[c, plan.members[row]], ridge)
    for row in several if plain else ():
        gaps = _plain_sums(sample, [plan.cells[i] for i in plan.members[row]], clusters)
        for c in range(clusters):
            out[c, row] = _one_replicate(gaps[c], separate[c, plan.members[row]], ridge)
    return out


def _one_replicate(sums: Floats, values: Floats, ridge: float) -> float:
    weights, _ = _weights(sums, values, ridge)
    kept = np.flatnonzero(weights != 0)
    return float(weights[kept] @ values[kept]) if len(kept) and np.isfinite(weights).all() else np.nan


def _sums_without(sample: GroupSample, plan: Plan, method: Method, cluster: int) -> Floats:
    """Sums of influence by cluster of the sample without one cluster, by fitting again  # (C, R)"""
    w = np.where(sample.cluster == cluster, 0.0, sample.w)
    again = run_cells(
        replace(sample, w=w), plan.cells, method, len(plan.labels), average=False, replicates=False
    )
    return cluster_sums(np.nan_to_num(again.psi.T), sample.codes, len(sample.labels))


def _plain_sums(sample: GroupSample, cells: list[GroupCell], clusters: int) -> Floats:
    """Sums of influence by cluster without each cluster, no covariates: from sums by cluster  # (C left out, C, J)

    The influence of cluster d is  Σ_groups ± (Σ_d w ΔY − mean Σ_d w) / Σ w, with mean and Σ w without the cluster
    that is left out.
    """
    out = np.zeros((clusters, clusters, len(cells)))
    for j, cell in enumerate(cells):
        layer = min(cell.base, cell.period)
        w = sample.w[layer % len(sample.w)]
        signs = ((1.0, cell.treated), *((-s, spans[0]) for s, spans in cell.parts))
        for sign, span in signs:
            part = seen_in_both(sample, cell.base, cell.period, span)
            change = sample.y[cell.period, part] - sample.y[cell.base, part]
            own = np.bincount(sample.cluster[part], w[part], clusters)
            sums = np.bincount(sample.cluster[part], w[part] * change, clusters)
            left = own.sum() - own
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = (sums.sum() - sums) / left
                gap = sign * (sums[None, :] - mean[:, None] * own[None, :]) / left[:, None]
            out[:, :, j] += np.where(np.isfinite(gap), gap, 0.0)
    at = np.arange(clusters)
    out[at, at] = 0.0
    return out
