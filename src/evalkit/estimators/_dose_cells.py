"""Sums over cohorts and periods of dose responses: see `dose_response` (Callaway, Goodman-Bacon and Sant'Anna 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evalkit.arrays.dose_splines import (
    DoseComparison,
    DoseFit,
    SplineBasis,
    delete_one_dose,
    dose_influence,
    fit_dose,
)
from evalkit.arrays.propensity import Sample
from evalkit.arrays.propensity_deletion import cluster_totals
from evalkit.design import Design
from evalkit.estimators._group_cells import Rows, in_panel_order, mass_without, seen_in_both
from evalkit.estimators._group_sample import Floats, GroupSample, Span
from evalkit.estimators._one_sided import Sides, clusters_in
from evalkit.estimators.group_time_cells import REASONS

TOO_FEW_DOSES = "지원 규모의 서로 다른 값이 너무 적어 곡선의 계수를 구할 수 없음"


@dataclass(frozen=True, slots=True)
class DoseCell:
    """One cohort and period, with the stretches of units."""

    cohort: int
    treated: Span
    controls: tuple[Span, ...]
    base: int
    period: int


def dose_cells(sample: GroupSample, design: Design, horizon: int | None) -> tuple[list[DoseCell], list[str]]:
    """Every cohort and period from the start on, and sentences on cohorts without a clean period."""
    (cohort,) = sample.keys.T
    open_ = design.comparison == "not_yet"
    cells, notes = [], []
    for g in cohort[np.isfinite(cohort)]:
        (span,) = sample.spans(cohort == g)
        base = sample.before(float(g), design.anticipation)
        if base is None:
            notes.append(
                f"첫 기간 {sample.periods[0]} 에 이미 지원받은 코호트 {g:g} 의 단위 {span[1] - span[0]}개는"
                " 기준 기간이 없어 제외"
            )
            continue
        for t in np.flatnonzero(sample.periods >= g):
            if horizon is not None and sample.periods[t] - g > horizon:
                continue
            late = open_ & (cohort > sample.periods[t] + design.anticipation)
            controls = sample.spans((np.isinf(cohort) | late) & (cohort != g))
            cells.append(DoseCell(int(g), span, controls, base, int(t)))
    return cells, notes


@dataclass(slots=True)
class _Sums:
    """Mass-weighted sums over cells; rows are att and acrt at the grid, then their averages."""

    mass: float
    values: Floats  # (R,)
    psi: Floats  # (R, N) in the sample's order
    left: Floats  # (C,)
    without: Floats  # (C, R)
    cells: list[tuple[Span, float, Floats]]
    sides: list[int]  # clusters on the smaller side of each comparison, beyond the fitted coefficients


def run_dose_cells(
    sample: GroupSample,
    cells: list[DoseCell],
    dose: Floats,
    basis: SplineBasis,
    grid: Floats,
    replicates: bool,
) -> tuple[Rows, list[dict[str, Any]]]:
    """The response at the grid and on average, and what each cell gave: every treated unit counts once in all its cells.

    Parameters
    ----------
    dose : in the sample's order, read for treated units only  # (n,)
    """
    wanted = np.concatenate([basis.values(grid), basis.slopes(grid)])  # (2m, q)
    n, r = len(sample.codes), len(wanted) + 2
    clusters = len(sample.labels) if replicates else 0
    sums = _Sums(0.0, np.zeros(r), np.zeros((r, n)), np.zeros(clusters), np.zeros((clusters, r)), [], [])
    failed: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    counts: dict[Span, tuple[int, int]] = {}
    layered = len(sample.x) > 1 or len(sample.w) > 1
    groups: dict[Any, list[DoseCell]] = {}
    for at, cell in enumerate(cells):
        key = at if sample.by_pairs else (cell.treated, cell.controls, cell.base if layered else 0)
        groups.setdefault(key, []).append(cell)
    fits = {}
    for key, members in groups.items():
        comparison, places = _comparison(sample, members[0], dose, basis)
        fits[key] = (fit_dose(comparison), None if sample.by_pairs else (comparison, places))
    shares = _shares(sample, groups, fits)
    for key, members in groups.items():
        fit, held = fits[key]
        if fit.failure:
            reason = TOO_FEW_DOSES if fit.failure == "doses" else REASONS[fit.failure]
            failed += [{**_where(sample, cell), "reason": reason} for cell in members]
            continue
        comparison, places = held or _comparison(sample, members[0], dose, basis)
        deleted = delete_one_dose(comparison, clusters) if clusters else None
        others = sum(len(s.w) for s in comparison.controls)
        sums.sides.append(_clusters_behind(sample, comparison))
        for cell in members:
            share = shares[cell.cohort]
            value = _add(sample, sums, cell, share, comparison, places, fit, deleted, wanted, dose, basis)
            numbers = {"units": len(comparison.treated.w), "att": float(value[-2]), "acrt": float(value[-1])}
            told.append({**_where(sample, cell), **numbers})
            before = counts.get(cell.treated, (0, 0))
            counts[cell.treated] = (max(before[0], len(comparison.treated.w)), max(before[1], others))
    return _close(sample, sums, counts, failed, replicates), told


def _clusters_behind(sample: GroupSample, comparison: DoseComparison) -> int:
    """Clusters on the smaller side; as many treated units as coefficients are fitted exactly and count as one."""
    total = len(sample.labels)
    own = comparison.treated
    exact = int((own.w > 0).sum()) <= len(comparison.basis)
    treated = 1 if exact else clusters_in([own.cluster], [own.w], total)
    others = clusters_in([s.cluster for s in comparison.controls], [s.w for s in comparison.controls], total)
    return min(treated, others)


def _where(sample: GroupSample, cell: DoseCell) -> dict[str, Any]:
    return {"cohort": cell.cohort, "period": int(sample.periods[cell.period])}


def _shares(sample: GroupSample, groups: dict[Any, list[DoseCell]], fits: dict[Any, Any]) -> dict[int, float]:
    """What a cell of each cohort counts per unit of weight: one over the cohort's estimated cells."""
    kept: dict[int, int] = {}
    for key, members in groups.items():
        if not fits[key][0].failure:
            for cell in members:
                kept[cell.cohort] = kept.get(cell.cohort, 0) + 1
    return {cohort: 1.0 / cells for cohort, cells in kept.items()}


def _comparison(
    sample: GroupSample, cell: DoseCell, dose: Floats, basis: SplineBasis
) -> tuple[DoseComparison, list[Any]]:
    layer = min(cell.base, cell.period)
    x, w = sample.x[layer % len(sample.x)], sample.w[layer % len(sample.w)]
    spans = (cell.treated, *cell.controls)
    if sample.by_pairs:
        places: list[Any] = [seen_in_both(sample, cell.base, cell.period, span) for span in spans]
        outcomes = [sample.y[[cell.base, cell.period]][:, part] for part in places]
    else:
        places = [slice(*span) for span in spans]
        outcomes = [sample.y[:, part] for part in places]
    pieces = [Sample(x[:, part], w[part], sample.cluster[part]) for part in places]
    own = basis.values(dose[places[0]]).T
    return DoseComparison(own, pieces[0], pieces[1:], outcomes[0], outcomes[1:]), places


def _add(
    sample: GroupSample,
    sums: _Sums,
    cell: DoseCell,
    share: float,
    comparison: DoseComparison,
    places: list[Any],
    fit: DoseFit,
    deleted: Floats | None,
    wanted: Floats,
    dose: Floats,
    basis: SplineBasis,
) -> Floats:
    """Add one cell to the sums; returns its rows  # (R,)"""
    b, t = (0, 1) if sample.by_pairs else (cell.base, cell.period)
    own = basis.slopes(dose[places[0]]).T  # (q, n1)
    w = comparison.treated.w
    total = float(w.sum())
    means = np.stack([comparison.basis @ w, own @ w]) / total  # (2, q)
    coef = fit.coef[:, t] - fit.coef[:, b]
    rows = np.concatenate([wanted, means])
    value: Floats = rows @ coef
    mass = share * float(sample.share[slice(*cell.treated)].sum())
    on_treated, on_controls = dose_influence(fit, comparison, b, t, rows)
    # an average over doses has the sampling error of the doses too
    for row, table in ((-2, comparison.basis), (-1, own)):
        on_treated[row] += w * (coef @ table - value[row]) / total
    scale = mass * sums.psi.shape[1]
    for part, influence in zip(places, (on_treated, *on_controls), strict=True):
        sums.psi[:, part] += scale * influence
    sums.mass += mass
    sums.values += mass * value
    sums.cells.append((cell.treated, share, value))
    if deleted is not None:
        count = len(deleted)
        left = share * mass_without(sample, cell.treated, count)
        change = deleted[:, :, t] - deleted[:, :, b]  # (C, q)
        own_sums = cluster_totals(
            np.concatenate([comparison.basis, own]) * w, comparison.treated.cluster, count
        )
        weight = cluster_totals(w[None, :], comparison.treated.cluster, count)
        with np.errstate(invalid="ignore", divide="ignore"):
            kept = (own_sums.sum(axis=0) - own_sums) / (weight.sum(axis=0) - weight)
        q = change.shape[1]
        averages = np.stack([(kept[:, :q] * change).sum(axis=1), (kept[:, q:] * change).sum(axis=1)], axis=1)
        sums.left += left
        sums.without += left[:, None] * np.concatenate([change @ wanted.T, averages], axis=1)
    return value


def _close(
    sample: GroupSample,
    sums: _Sums,
    counts: dict[Span, tuple[int, int]],
    failed: list[dict[str, Any]],
    replicates: bool,
) -> Rows:
    n, r = len(sample.codes), len(sums.values)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = sums.values / sums.mass if sums.mass > 0 else np.full(r, np.nan)
        left = sums.left[:, None]
        without = np.where(left > 0, sums.without / left, np.nan) if replicates else None
    for treated, share, value in sums.cells:
        part = slice(*treated)
        sums.psi[:, part] += n * share * (value - values)[:, None] * sample.share[None, part]
    if sums.mass > 0:
        sums.psi /= sums.mass
    return Rows(
        values=values,
        psi=in_panel_order(sums.psi, sample.order),
        replicates=without,
        n_treated=np.full(r, sum(a for a, _ in counts.values()), dtype=np.int64),
        n_comparison=np.full(r, max((b for _, b in counts.values()), default=0), dtype=np.int64),
        max_propensity=np.full(r, np.nan),
        trimmed=np.zeros(r, dtype=np.int64),
        failed=failed,
        sides=Sides(
            np.full(r, min(sums.sides, default=0), dtype=np.int64),
            np.full(r, max(sums.sides, default=0), dtype=np.int64),
        ),
    )
