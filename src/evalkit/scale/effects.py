"""Effects straight from cell sums: group-time and imputation estimates of files that do not fit in memory.

A cell (cluster, cohort, pattern of observed periods) enters the kit's own estimators as one unit that has the cell's mean
outcome and weight (`evalkit.arrays.cell_sums` says why nothing is lost). Values, influence summed by cluster, cluster
covariance and estimates without a cluster are those of the units; tests hold them to 1e-9 of the panel in memory.

What is a function of these sums, and what is not (and is refused)
    yes : any cohorts, bases, comparisons, anticipation; gaps ("drop", "pairs"); weights fixed in time; clusters above units
    no  : covariates; weights or risk sets that change over time; units as their own clusters (their products of outcomes
          in two periods are no sums of outcomes); averages weighted by a variable of the caller

In the Estimate a "unit" is a cell: influence, ``detail["cohort"]`` and ``detail["weight"]`` have M rows, so that
`evalkit.aggregate` and all inference that reads sums by cluster work as they are. Counts (``n_treated``, ``n_comparison``,
``detail["dropped"]``…) are of real units; ``detail["n_units"]`` is their number, ``detail["cell_units"]`` by cell: give it to
`evalkit.inference.cluster_counts` as weights, and the effective numbers of clusters are those of the units.

Callaway & Sant'Anna (2021); Borusyak, Jaravel & Spiess (2024).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cell_sums import CellSums, effective_size
from evalkit.arrays.cluster import without_rounding
from evalkit.design import Design
from evalkit.errors import RefusalError, UsageError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._one_sided import doubts
from evalkit.estimators.cohort_sample import build_sample
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.group_time_cells import cells_of, comparison_slices
from evalkit.estimators.imputation import Averages, imputation_effects
from evalkit.panel import Panel
from evalkit.scale.imputable import lost_cells, refuse_lost

Bools = NDArray[np.bool_]
Gaps = Literal["drop", "pairs"]
By = Literal["cohort_period", "event_time", "cohort", "period", "overall"]
BY: tuple[str, ...] = ("cohort_period", "event_time", "cohort", "period", "overall")
# how sentences on effective sizes begin: they are counted anew
_EFFECTIVE = "유효 관측수"
# what the sentence on terms without variance holds
_NOTHING = "흩어짐이 0 인 항이"


def group_time_from_cells(
    cells: CellSums, design: Design, *, missing: Gaps = "drop", replicates: bool | None = None
) -> Estimate:
    """Group-time effects (Callaway & Sant'Anna without covariates) from cell sums.

    Parameters
    ----------
    cells : made with the same design (`evalkit.scale.national_cells`)
    design : comparison, base and anticipation are read; a cluster must be named
    missing : units that miss a period leave ("drop"), or serve the cells whose two periods they have ("pairs")
    replicates : as `evalkit.estimators.group_time.group_time_effects`

    Returns
    -------
    Estimate with terms (cohort, period), as the in-memory method

    Raises
    ------
    RefusalError : what is no function of cell sums
    DesignError : as the in-memory method
    """
    _check(design)
    if missing not in ("drop", "pairs"):
        raise UsageError(
            f"칸 합계에서 빠진 칸을 다루는 방법 {missing!r} 을(를) 모름", remedy="drop 또는 pairs 로 적을 것"
        )
    panel, inner = _panel_of_cells(cells, design)
    estimate = group_time_effects(panel, inner, method="reg", missing=missing, replicates=replicates)
    estimate = _cancelled(estimate, cells, design)
    sample = build_sample(panel, inner, unbalanced=missing == "pairs")
    treated, others = [], []
    for cell in cells_of(sample, inner):
        own = slice(int(sample.starts[cell.cohort]), int(sample.starts[cell.cohort + 1]))
        at = [sample.order[part] for part in (own, *comparison_slices(sample, cell))]
        if missing == "pairs":
            columns = np.searchsorted(cells.periods, sample.periods[[cell.base, cell.period]])
            at = [rows[cells.seen[rows][:, columns].all(axis=1)] for rows in at]
        treated.append(int(cells.units[at[0]].sum()))
        others.append(sum(int(cells.units[rows].sum()) for rows in at[1:]))
    dropped = _dropped(cells, inner, sample.periods, missing)
    wrong, right = (
        f"의 단위 {count}개는" for count in (sample.dropped["already_treated"], dropped["already_treated"])
    )
    return replace(
        estimate,
        n_treated=np.array(treated),
        n_comparison=np.array(others),
        method="group_time/cells",
        design=design.to_dict(),
        detail={
            **estimate.detail,
            "dropped": dropped,
            "notes": [note.replace(wrong, right) for note in estimate.detail["notes"]],
            "n_units": int(cells.units.sum()),
            "cell_units": cells.units,
        },
    )


def imputation_from_cells(
    cells: CellSums,
    design: Design,
    *,
    by: By = "cohort_period",
    averages: Averages = "cohort_period",
    leave_out: bool = True,
    unimputable: Literal["refuse", "drop"] = "refuse",
    replicates: bool | None = None,
) -> Estimate:
    """Imputed effects (Borusyak, Jaravel & Spiess without covariates) from cell sums, gaps allowed.

    Parameters
    ----------
    cells : made with the same design (`evalkit.scale.national_cells`)
    design : anticipation is read; a cluster must be named
    by, averages, leave_out, unimputable, replicates : as `evalkit.estimators.imputation.imputation_effects`

    Returns
    -------
    Estimate with the terms of `by`, as the in-memory method

    Raises
    ------
    RefusalError : what is no function of cell sums
    DesignError : as the in-memory method
    """
    _check(design)
    if not isinstance(by, str):
        raise RefusalError(
            "칸 합계에서는 변수로 가중한 평균을 낼 수 없음",
            remedy=f"by 를 {', '.join(BY)} 가운데 하나로 적거나 메모리 안의 패널로 계산할 것",
        )
    if by not in BY:
        raise UsageError(f"by 값 {by!r} 은(는) 쓸 수 없음", remedy=nearest(by, BY))
    panel, inner = _panel_of_cells(cells, design)
    lost, used = lost_cells(cells, design.anticipation)
    if unimputable == "refuse":
        refuse_lost(lost, design)
    estimate = imputation_effects(
        panel, inner, by=by, averages=averages, leave_out=leave_out, unimputable=unimputable, replicates=replicates
    )  # fmt: skip
    estimate = _cancelled(estimate, cells, design)
    if len(estimate.detail["not_imputable"]) > len(lost):
        raise RefusalError(
            "이어지지 않는 단위 묶음이 있어 칸 합계만으로는 뺄 관측값을 셀 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="기간을 줄이거나 메모리 안의 패널로 계산할 것",
        )
    return _recounted(estimate, cells, design, by, lost, used)


def _recounted(
    estimate: Estimate, cells: CellSums, design: Design, by: By, lost: list[list[Any]], used: Bools
) -> Estimate:
    """The estimate with counts of units in place of counts of cells."""
    clean = cells.periods[None, :] < _dates(cells, design)[:, None] - design.anticipation
    members = [np.asarray(_members(cells, design, by, label) & used & ~clean) for label in estimate.terms]
    effective = np.array([effective_size(cells, rows) for rows in members])
    met = [np.asarray(used & clean & np.any(rows, axis=0)[None, :]) for rows in members]
    return replace(
        estimate,
        n_treated=np.array([cells.counted(rows.any(axis=1)) for rows in members]),
        n_comparison=np.array([cells.counted(rows.any(axis=1)) for rows in met]),
        method=f"{estimate.method}/cells",
        design=design.to_dict(),
        detail={
            **estimate.detail,
            "not_imputable": lost,
            "effective": effective,
            "n_obs": int(cells.units @ used.sum(axis=1)),
            "n_clean": int(cells.units @ (used & clean).sum(axis=1)),
            "n_treated_cells": int(cells.units @ (used & ~clean).sum(axis=1)),
            "n_missing": int(cells.units @ (~cells.seen).sum(axis=1)),
            "n_units": int(cells.units.sum()),
            "cell_units": cells.units,
            "notes": _notes(estimate.detail["notes"], lost, effective),
        },
    )


# -- the panel of cells --------------------------------------------------------------------------------


def _check(design: Design) -> None:
    """Refuse what is no function of the sums."""
    for name, given in (("covariates", ", ".join(design.covariates)), ("at_risk", design.at_risk)):
        if given:
            raise RefusalError(
                f"칸 합계에서는 {name}={given} 을(를) 쓸 수 없음: 단위마다의 값이 남아 있지 않음",
                remedy="matched_pool 로 뽑은 패널을 메모리 안의 추정에 쓸 것",
            )
    if design.cluster is None:
        raise RefusalError(
            "칸 합계에서는 단위 하나하나를 군집으로 둘 수 없음: 단위마다의 값이 남아 있지 않음",
            remedy="시·도나 시·군·구처럼 단위보다 큰 군집을 cluster 에 적을 것",
        )


def _panel_of_cells(cells: CellSums, design: Design) -> tuple[Panel, Design]:
    """Cells as units, and the design that weighs them."""
    assert design.cluster is not None
    weight = design.weight or "weight of cell"
    bits = ["".join("1" if flag else "0" for flag in row) for row in cells.seen]
    units = [
        f"{label}|{'never' if np.isinf(g) else f'{g:g}'}|{row}"
        for label, g, row in zip(cells.cluster.tolist(), cells.cohort, bits, strict=True)
    ]
    panel = Panel(
        units=np.array(units),
        periods=cells.periods,
        varying={design.outcome: cells.means},
        fixed={design.adoption: cells.cohort, design.cluster: cells.cluster, weight: cells.weight},
    )
    return panel, replace(design, weight=weight)


def _cancelled(estimate: Estimate, cells: CellSums, design: Design) -> Estimate:
    """Variance 0, and a sentence, where scores cancel within every cluster but for rounding.

    Among units that is seen from the size of their scores; a cell's own score may be rounding already.
    """
    largest = float(np.nanmax(np.abs(cells.means)))
    covariance = without_rounding(estimate.covariance, largest)
    if not (np.diag(covariance) == 0)[np.diag(estimate.covariance) > 0].any():
        return estimate
    notes = [note for note in estimate.detail["notes"] if _NOTHING not in note]
    notes += doubts(None, estimate.terms, estimate.values, covariance, design.cluster)
    return replace(estimate, covariance=covariance, detail={**estimate.detail, "notes": notes})


def _dates(cells: CellSums, design: Design) -> NDArray[np.float64]:
    """Adoption, +inf where it lies beyond the periods."""
    return np.where(cells.cohort > cells.periods[-1] + design.anticipation, np.inf, cells.cohort)


def _dropped(cells: CellSums, design: Design, periods: NDArray[np.int64], missing: Gaps) -> dict[str, int]:
    """Units left out, by reason, in the order of `evalkit.estimators.cohort_sample`."""
    seen = ~np.isnan(cells.means)
    anywhere = seen.any(axis=1)
    first = cells.periods[seen.any(axis=0)][0]
    early = anywhere & np.isfinite(cells.cohort) & (cells.cohort <= first + design.anticipation)
    inside = seen[:, np.isin(cells.periods, periods)]
    enough = inside.all(axis=1) if missing == "drop" else inside.any(axis=1)
    return {
        "unobserved": cells.counted(~anywhere),
        "already_treated": cells.counted(early),
        "incomplete": cells.counted(anywhere & ~early & ~enough),
    }


def _members(cells: CellSums, design: Design, by: By, label: tuple[Any, ...]) -> Bools:
    """Cells and periods of one term, before what is not used leaves  # (M, T)"""
    dates = _dates(cells, design)[:, None]
    periods = np.broadcast_to(cells.periods[None, :], cells.seen.shape)
    after = periods >= dates
    if by == "cohort_period":
        return np.asarray((dates == label[0]) & (periods == label[1]))
    if by == "event_time":
        return np.asarray(periods - dates == label[0])
    if by == "cohort":
        return np.asarray(after & (dates == label[0]))
    if by == "period":
        return np.asarray(after & (periods == label[0]))
    return np.asarray(after)


def _notes(notes: list[str], lost: list[list[Any]], effective: NDArray[np.float64]) -> list[str]:
    """Sentences with the numbers of units in place of those of cells."""
    out = [note for note in notes if not note.startswith((_EFFECTIVE, "지원이 없었을 때의 결과를"))]
    if lost:
        count = sum(int(row[2]) for row in lost)
        out.append(
            f"지원이 없었을 때의 결과를 추정할 수 없는 관측값 {count}개를 뺐다(detail 의 not_imputable)."
        )
    small = int((effective < 30).sum())
    if small:
        out.append(f"{_EFFECTIVE}가 30보다 적은 항이 {small}개 있다(detail 의 effective): 정규근사가 거칠다.")
    return out
