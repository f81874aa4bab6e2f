"""Cells of comparisons between groups, and their averages: points, influence, and each cluster left out.

A cell takes one stretch of treated units from a base period to a period and sets it against one comparison set, or
against several with signs (triple differences). Each comparison is fitted once for all cells that share it
(`evalkit.arrays.doubly_robust`; Sant'Anna and Zhao 2020). A row of the result is one cell, or the mean of several with
the weights of their treated units; the weights are estimated too, which adds w_i (cell − mean) / sum to the influence
(Callaway and Sant'Anna 2021, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.doubly_robust import Comparison, Method, fit_comparison, write_influence
from evalkit.arrays.doubly_robust_deletion import delete_one
from evalkit.arrays.propensity import Sample
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._group_sample import Floats, GroupSample, Ints, Span
from evalkit.estimators._one_sided import Sides, clusters_in, doubts, without_error
from evalkit.estimators.group_time_cells import REASONS
from evalkit.panel import Panel

Part = tuple[float, tuple[Span, ...]]


@dataclass(frozen=True, slots=True)
class GroupCell:
    """Positions of base and period; row of the result; `where` names the cell in sentences."""

    treated: Span
    parts: tuple[Part, ...]
    base: int
    period: int
    row: int
    where: tuple[tuple[str, Any], ...] = ()

    @property
    def family(self) -> tuple[tuple[str, Any], ...]:
        """What the cells of one treated stretch share: everything but the period."""
        return tuple(part for part in self.where if part[0] != "period")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the result. psi (rows, N) in the panel's order; failed: cells without an estimate; sides: clusters behind."""

    values: Floats
    psi: Floats
    replicates: Floats | None
    n_treated: Ints
    n_comparison: Ints
    max_propensity: Floats
    trimmed: Ints
    failed: list[dict[str, Any]]
    sides: Sides | None = None


@dataclass(slots=True)
class _Tally:
    """What the cells of all rows add up to."""

    mass: Floats  # (R,)
    sums: Floats  # (R,)
    psi: Floats  # (R, N), in the sample's order
    left: Floats  # (C, R) mass without each cluster
    without: Floats  # (C, R)
    counts: list[dict[Span, tuple[int, int]]]
    max_propensity: Floats
    trimmed: Ints
    least: Ints  # clusters on the smallest side of the cells that count (R,)
    most: Ints
    kept: list[list[tuple[Span, float]]]  # treated units and value of each cell that counts
    alive: dict[
        Any, NDArray[np.bool_]
    ]  # families with an estimate, and without which clusters they have one  # (C,)


def run_cells(
    sample: GroupSample,
    cells: Sequence[GroupCell],
    method: Method,
    rows: int,
    *,
    average: bool,
    replicates: bool,
) -> Rows:
    """Fill the rows from the cells.

    Parameters
    ----------
    cells : each with its row; where `average` is false a row holds one cell
    average : weigh the cells of a row by their treated units, with the sampling error of the weights
    """
    plain: Method = "reg" if sample.x.shape[1] == 1 else method
    n, clusters = len(sample.codes), len(sample.labels) if replicates else 0
    tally = _Tally(
        mass=np.zeros(rows),
        sums=np.zeros(rows),
        psi=np.zeros((rows, n)),
        left=np.zeros((clusters, rows)),
        without=np.zeros((clusters, rows)),
        counts=[{} for _ in range(rows)],
        max_propensity=np.full(rows, np.nan),
        trimmed=np.zeros(rows, dtype=np.int64),
        least=np.full(rows, np.iinfo(np.int64).max),
        most=np.zeros(rows, dtype=np.int64),
        kept=[[] for _ in range(rows)],
        alive={},
    )
    failed: list[dict[str, Any]] = []
    layered = len(sample.x) > 1 or len(sample.w) > 1
    groups: dict[Any, list[GroupCell]] = {}
    for at, cell in enumerate(cells):
        if cell.base == cell.period:
            continue
        layer = min(cell.base, cell.period) if layered else 0
        key = at if sample.by_pairs else (cell.treated, cell.parts, layer)
        groups.setdefault(key, []).append(cell)
    for members in groups.values():
        _fit_group(sample, members, plain, tally, failed, average)
    for cell in cells:
        if cell.base == cell.period and cell.family in tally.alive:
            _add_base(sample, cell, tally, average)
    return _close(sample, tally, failed, average, replicates)


# -- one comparison ------------------------------------------------------------------------------------


def _comparison(
    sample: GroupSample, cell: GroupCell, controls: tuple[Span, ...], pairs: bool
) -> tuple[Comparison, list[Any]]:
    layer = min(cell.base, cell.period)
    x, w = sample.x[layer % len(sample.x)], sample.w[layer % len(sample.w)]
    places: list[Any]
    if not pairs:
        places = [slice(*span) for span in (cell.treated, *controls)]
        outcomes = [sample.y[:, part] for part in places]
    else:
        places = [seen_in_both(sample, cell.base, cell.period, span) for span in (cell.treated, *controls)]
        outcomes = [sample.y[[cell.base, cell.period]][:, part] for part in places]
    pieces = [Sample(x[:, part], w[part], sample.cluster[part]) for part in places]
    return Comparison(pieces[0], pieces[1:], outcomes[0], outcomes[1:]), places


def seen_in_both(sample: GroupSample, base: int, period: int, span: Span) -> Ints:
    """Units of a stretch that are seen in both periods and at risk in the base period."""
    part = slice(*span)
    seen = np.ones(span[1] - span[0], dtype=bool)
    if sample.observed is not None:
        seen &= sample.observed[base, part] & sample.observed[period, part]
    if sample.at_risk is not None:
        seen &= sample.at_risk[base, part]
    return np.flatnonzero(seen) + span[0]


def _fit_group(
    sample: GroupSample,
    members: list[GroupCell],
    method: Method,
    tally: _Tally,
    failed: list[dict[str, Any]],
    average: bool,
) -> None:
    """Fit the comparisons that these cells share, and add each cell to its row."""
    first, pairs = members[0], sample.by_pairs
    fits, deleted = [], []
    clusters = len(tally.left)
    for _, controls in first.parts:
        comparison, places = _comparison(sample, first, controls, pairs)
        fit = fit_comparison(method, comparison)
        fits.append((fit, comparison, places))
        if clusters:
            deleted.append(delete_one(method, fit, comparison, clusters))
    left = mass_without(sample, first.treated, clusters) if clusters else np.zeros(0)
    behind = min(clusters_behind(sample, comparison) for _, comparison, _ in fits)
    mass = float(sample.share[slice(*first.treated)].sum())
    for cell in members:
        b, t = (0, 1) if pairs else (cell.base, cell.period)
        reason = next((fit.failure for fit, _, _ in fits if fit.failure), "")
        if reason:
            failed.append({**dict(cell.where), "reason": REASONS[reason]})
            continue
        r, share = cell.row, mass if average else 1.0
        signs = [sign for sign, _ in cell.parts]
        value = sum(
            s * float(fit.effect[t] - fit.effect[b]) for s, (fit, _, _) in zip(signs, fits, strict=True)
        )
        tally.mass[r] += share
        tally.sums[r] += share * value
        tally.kept[r].append((cell.treated, value))
        tally.least[r], tally.most[r] = min(tally.least[r], behind), max(tally.most[r], behind)
        _count(tally, cell, fits)
        alive = tally.alive.setdefault(cell.family, np.zeros(clusters, dtype=bool))
        if clusters:
            gaps = (s * (d[:, t] - d[:, b]) for s, d in zip(signs, deleted, strict=True))
            without = sum(gaps, np.zeros(clusters))
            alive |= np.isfinite(without)
            weight = left if average else np.ones(clusters)
            tally.left[:, r] += weight
            tally.without[:, r] += weight * without
        _add_influence(tally.psi[r], cell, fits, b, t, share * tally.psi.shape[1])


def _add_base(sample: GroupSample, cell: GroupCell, tally: _Tally, average: bool) -> None:
    """The base period of a universal base: 0 by construction, as long as the family has an estimate at all."""
    fits = [(None, *_comparison(sample, cell, controls, sample.by_pairs)) for _, controls in cell.parts]
    r = cell.row
    share = float(sample.share[slice(*cell.treated)].sum()) if average else 1.0
    tally.mass[r] += share
    tally.kept[r].append((cell.treated, 0.0))
    _count(tally, cell, fits)
    clusters = len(tally.left)
    if clusters:
        left = mass_without(sample, cell.treated, clusters) if average else np.ones(clusters)
        tally.left[:, r] += left
        tally.without[:, r] += left * np.where(tally.alive[cell.family], 0.0, np.nan)


def clusters_behind(sample: GroupSample, comparison: Comparison) -> int:
    """Clusters on the smaller side of a comparison."""
    sides = ([comparison.treated], comparison.controls)
    return min(
        clusters_in([piece.cluster for piece in side], [piece.w for piece in side], len(sample.labels))
        for side in sides
    )


def mass_without(sample: GroupSample, treated: Span, clusters: int) -> Floats:
    """Weight of the treated units without each cluster; exactly 0 where none is left  # (C,)"""
    part = slice(*treated)
    code, share = sample.cluster[part], sample.share[part]
    held = np.bincount(code, weights=share > 0, minlength=clusters)
    own = np.bincount(code, weights=share, minlength=clusters)
    return np.where(held.sum() - held > 0, own.sum() - own, 0.0)


def _count(tally: _Tally, cell: GroupCell, fits: list[Any]) -> None:
    """Units behind a row: of a treated stretch the most in any cell, of comparisons the most in any part."""
    treated = max(len(comparison.treated.w) for _, comparison, _ in fits)
    others = max(sum(len(s.w) for s in comparison.controls) for _, comparison, _ in fits)
    before = tally.counts[cell.row].get(cell.treated, (0, 0))
    tally.counts[cell.row][cell.treated] = (max(before[0], treated), max(before[1], others))
    for fit, _, _ in fits:
        if fit is not None:
            tally.trimmed[cell.row] += fit.trimmed
            tally.max_propensity[cell.row] = np.fmax(tally.max_propensity[cell.row], fit.max_propensity)


def _add_influence(psi: Floats, cell: GroupCell, fits: list[Any], b: int, t: int, scale: float) -> None:
    for (sign, _), (fit, comparison, places) in zip(cell.parts, fits, strict=True):
        out = [np.empty(len(s.w)) for s in (comparison.treated, *comparison.controls)]
        write_influence(fit, comparison, b, t, sign * scale, out[0], out[1:])
        for place, values in zip(places, out, strict=True):
            psi[place] += values


# -- rows ----------------------------------------------------------------------------------------------


def _close(
    sample: GroupSample, tally: _Tally, failed: list[dict[str, Any]], average: bool, replicates: bool
) -> Rows:
    n = len(sample.codes)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(tally.mass > 0, tally.sums / tally.mass, np.nan)
        without = np.where(tally.left > 0, tally.without / tally.left, np.nan) if replicates else None
    for r, row in enumerate(tally.psi):
        if not tally.mass[r] > 0:
            row[:] = np.nan
            continue
        if average:
            for treated, value in tally.kept[r]:
                if value != values[r]:
                    row[slice(*treated)] += (n * (value - values[r])) * sample.share[slice(*treated)]
            row /= tally.mass[r]
    return Rows(
        values=values,
        psi=in_panel_order(tally.psi, sample.order),
        replicates=without,
        n_treated=np.array([sum(a for a, _ in c.values()) for c in tally.counts], dtype=np.int64),
        n_comparison=np.array([max((b for _, b in c.values()), default=0) for c in tally.counts]),
        max_propensity=tally.max_propensity,
        trimmed=tally.trimmed,
        failed=failed,
        sides=Sides(np.where(tally.most > 0, tally.least, 0), tally.most),
    )


def in_panel_order(psi: Floats, order: Ints) -> Floats:
    """Columns from the sample's order into the panel's, in place; unused units are 0."""
    n = len(order)
    if n == psi.shape[1] and bool((order == np.arange(n)).all()):
        return psi
    for row in psi:
        if np.isnan(row[0]):
            continue
        own = row[:n].copy()
        row[:] = 0.0
        row[order] = own
    return psi


def estimate_of_rows(
    panel: Panel,
    design: Design,
    sample: GroupSample,
    rows: Rows,
    terms: pd.MultiIndex,
    method: str,
    detail: dict[str, Any],
) -> Estimate:
    """The Estimate; ``detail`` gains the keys that every method over groups fills.

    periods, covariates, dropped (counts), failed (cells with the reason), max_propensity, trimmed, notes
    """
    covariance = sandwich(rows.psi.T, sample.codes, len(sample.labels))
    if rows.sides is not None:
        covariance = without_error(covariance, rows.sides.alone)
    notes = [*sample.notes, *detail.pop("notes", ())]
    notes += doubts(rows.sides, terms, rows.values, covariance, design.cluster)
    if rows.failed:
        notes.append(
            f"추정하지 못한 칸 {len(rows.failed)}개는 평균에서 빠짐: 까닭은 detail['failed'] 에 있음"
        )
    return Estimate(
        terms=terms,
        values=rows.values,
        covariance=covariance,
        influence=rows.psi.T,
        cluster=sample.codes,
        cluster_labels=sample.labels,
        replicates=rows.replicates,
        dof=np.full(len(terms), np.inf),
        n_treated=rows.n_treated,
        n_comparison=rows.n_comparison,
        method=method,
        inference="IF",
        units=panel.units,
        design=design.to_dict(),
        detail={
            "periods": sample.periods,
            "covariates": list(sample.columns),
            "failed": rows.failed,
            "max_propensity": rows.max_propensity,
            "trimmed": rows.trimmed,
            **detail,
            "dropped": {**sample.dropped, **detail.get("dropped", {})},
            "notes": notes,
        },
    )


def nothing_left(rows: Rows, outcome: str, remedy: str) -> None:
    """Raise where no row has an estimate.

    Raises
    ------
    DesignError : with the place and the reason of the first cell that failed
    """
    if np.isfinite(rows.values).any():
        return
    first = dict(rows.failed[0]) if rows.failed else {"reason": "비교할 칸이 없음"}
    reason = first.pop("reason")
    raise DesignError(
        f"추정할 수 있는 효과가 하나도 없음: {reason}",
        where=(f"결과 {outcome}", *(f"{name} {value}" for name, value in first.items())),
        remedy=remedy,
    )


def chosen_rows(rows: Rows, kept: NDArray[np.bool_]) -> Rows:
    """Only some rows."""
    at = np.flatnonzero(kept)
    return Rows(
        values=rows.values[at],
        psi=rows.psi if len(at) == len(kept) else rows.psi[at],
        replicates=None if rows.replicates is None else rows.replicates[:, at],
        n_treated=rows.n_treated[at],
        n_comparison=rows.n_comparison[at],
        max_propensity=rows.max_propensity[at],
        trimmed=rows.trimmed[at],
        failed=rows.failed,
        sides=None if rows.sides is None else rows.sides.chosen(at),
    )
