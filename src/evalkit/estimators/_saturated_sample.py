"""The units and periods that regressions with one effect a cohort and period can use, and what was left out.

A regression that gives every treated (cohort, period) an effect of its own can learn nothing from a cohort without a
clean period, nor from a period in which everyone is treated. Packages drop both in silence (their dummies are
collinear); here they are counted and named before anything is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_way import group_matrix
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimators.cohort_sample import adoption_codes, covariate_layers
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What is left of the panel.

    rows : positions of the used units in the panel given  # (N,)
    panel : units and periods used; the fixed variable `design.adoption` is +inf for the comparison cohort
    adoption : first treated period of each unit, +inf = comparison throughout  # (N,)
    cohorts : distinct adoptions, increasing  # (J,)
    cohort : code of each unit's cohort  # (N,)
    seen : cells with an outcome and a positive weight  # (N, T); None = all
    weights : (N, T), (N, 1) or None for all ones; 0 where not seen when (N, T)
    counts : units seen  # (J, T)
    clean : cells that show the outcome without the programme  # (J, T)
    dropped : counts of what was left out; notes : Korean sentences
    control : "never", or the label of the last cohort where no unit is never treated
    """

    rows: Codes
    panel: Panel
    adoption: Floats
    cohorts: Floats
    cohort: Codes
    seen: Mask | None
    weights: Floats | None
    counts: Codes
    clean: Mask
    dropped: dict[str, int]
    notes: tuple[str, ...]
    control: str

    @property
    def clock(self) -> Floats:
        """Event time by cohort and period, −inf for the comparison cohort  # (J, T)"""
        return self.panel.periods[None, :] - self.cohorts[:, None]

    @property
    def balanced(self) -> bool:
        """Every cell is seen, with one weight a unit."""
        return self.seen is None and (self.weights is None or self.weights.shape[1] == 1)


def trim(panel: Panel, design: Design, *, never_only: bool, among: Mask | None = None) -> Trimmed:
    """Settle which units and periods take part.

    Parameters
    ----------
    never_only : compare with units never treated; without any, the last cohort stands in for them and the periods
        from its adoption on are cut
    among : cells that may be used at all  # (N, T)

    Raises
    ------
    DesignError : nothing to compare; at_risk; a cohort code that is not a period
    DataError : infinite values, negative weights
    """
    if design.at_risk is not None:
        raise DesignError(
            f"기준 시점에 있던 단위만 비교하는 설계(at_risk={design.at_risk})는 한 회귀로 풀 수 없음",
            remedy="group_time_effects 나 stacked_effects 를 쓰거나 at_risk 를 뺄 것",
        )
    codes = adoption_codes(panel, design.adoption)
    weights = cell_weights(panel, design.weight)
    seen = _seen(panel, design, weights, among)
    dropped = {"unobserved": 0, "already_treated": 0, "all_treated_cells": 0}
    notes: list[str] = []
    columns = np.flatnonzero(np.ones(panel.shape[1], bool) if seen is None else seen.any(axis=0))
    if not len(columns):
        raise DesignError(f"결과 변수 {design.outcome} 의 관측값이 없음", remedy="변수와 기간을 확인할 것")
    codes = np.where(codes > panel.periods[columns[-1]] + design.anticipation, np.inf, codes)
    units: Mask = np.ones(len(codes), dtype=bool) if seen is None else np.asarray(seen.any(axis=1))
    dropped["unobserved"] = int((~units).sum())
    early = _already_treated(codes, panel.periods, seen, units, design)
    dropped["already_treated"] = int(early.sum())
    if early.any():
        names = ", ".join(f"{g:g}" for g in np.unique(codes[early]))
        notes.append(
            f"첫 기간에 이미 지원받은 코호트 {names} 의 단위 {int(early.sum())}개는 지원 전 기간이 없어 제외했다."
        )
        units &= ~early
    columns, control = _clean_periods(codes, panel, seen, units, columns, design, never_only, dropped, notes)
    if control != "never":
        codes = np.where(codes == float(control), np.inf, codes)
    return _build(panel, design, codes, weights, seen, units, columns, dropped, notes, control)


def cell_weights(panel: Panel, name: str | None) -> Floats | None:
    """Weights (N, 1) or (N, T) as given, or None.

    Raises
    ------
    DataError : negative or infinite
    """
    if name is None:
        return None
    given = panel.values(name) if name in panel.varying else panel.constant(name)
    if given.dtype.kind not in "iufb":
        raise DesignError(f"가중치 {name} 이(가) 숫자가 아님", remedy="숫자 변수를 고를 것")
    weights = np.asarray(given, dtype=np.float64)
    weights = weights if weights.ndim == 2 else weights[:, None]
    wrong = np.isinf(weights) | (weights < 0)
    if wrong.any():
        at = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise DataError(
            f"가중치 {name} 에 음수나 무한대 값이 있음",
            where=(f"단위 {panel.units[at]}",),
            remedy="가중치를 0 이상의 값으로 고칠 것",
        )
    return weights


def _seen(panel: Panel, design: Design, weights: Floats | None, among: Mask | None) -> Mask | None:
    """Cells with an outcome and a positive weight; None = all of them."""
    outcome = panel.values(design.outcome)
    seen = among
    if not np.isfinite(outcome.sum()):
        refuse_infinite(panel, design.outcome)
        there = ~np.isnan(outcome)
        seen = there if seen is None else seen & there
    if weights is not None and not (weights > 0).all():
        seen = np.broadcast_to(weights > 0, outcome.shape) & (True if seen is None else seen)
    return None if seen is None or seen.all() else seen


def refuse_infinite(panel: Panel, name: str) -> None:
    """Raise DataError where a varying variable is infinite."""
    values = panel.values(name)
    if np.isinf(values).any():
        i, t = np.argwhere(np.isinf(values))[0]
        raise DataError(
            f"변수 {name} 에 무한대 값이 있음",
            where=(f"단위 {panel.units[i]}", f"{panel.periods[t]}"),
            remedy="0으로 나눈 값이나 log(0)을 먼저 고칠 것",
        )


def _already_treated(codes: Floats, labels: Codes, seen: Mask | None, units: Mask, design: Design) -> Mask:
    """Units of cohorts that are not seen once before their adoption (less the periods of anticipation)."""
    early = np.zeros(len(codes), dtype=bool)
    cohorts = np.unique(codes[units & np.isfinite(codes)])
    for g in cohorts:
        members = units & (codes == g)
        before = labels < g - design.anticipation
        if not (before.any() if seen is None else seen[members][:, before].any()):
            early |= members
    if len(cohorts) and bool((early == (units & np.isfinite(codes))).all()):
        raise DesignError(
            f"코호트 {cohorts[0]:g} 이전의 깨끗한 기간이 없음 (자료의 첫 기간 {labels[0]}, 예상 효과 {design.anticipation}기간)",
            where=(f"결과 {design.outcome}",),
            remedy=f"{labels[0]} 이전의 자료를 더하거나 anticipation 을 줄일 것",
        )
    return early


def _clean_periods(
    codes: Floats,
    panel: Panel,
    seen: Mask | None,
    units: Mask,
    columns: Codes,
    design: Design,
    never_only: bool,
    dropped: dict[str, int],
    notes: list[str],
) -> tuple[Codes, str]:
    """Periods with a comparison unit, and who the comparison is."""
    used = codes[units]
    if not np.isfinite(used).any():
        raise _nobody_treated(design, codes)
    control, last = "never", float(used.max())
    if never_only and np.isfinite(last):
        control = f"{last:g}"
        kept = columns[panel.periods[columns] < last - design.anticipation]
        notes.append(f"지원받지 않은 단위가 없어 마지막 코호트 {control} 을(를) 비교집단으로 썼다.")
    else:
        untreated = codes[:, None] - design.anticipation > panel.periods[None, columns]
        untreated &= units[:, None] if seen is None else seen[:, columns] & units[:, None]
        kept = columns[untreated.any(axis=0)]
    lost = columns[~np.isin(columns, kept)]
    if len(lost):
        cells = units.sum() * len(lost) if seen is None else int((seen[:, lost] & units[:, None]).sum())
        dropped["all_treated_cells"] = int(cells)
        years = ", ".join(str(t) for t in panel.periods[lost])
        notes.append(f"{years} 은(는) 비교할 단위가 없어 쓰지 않았다(관측값 {int(cells)}개).")
    if len(kept) < 2:
        raise DesignError(
            f"모든 단위가 {np.min(used):g}–{last:g} 에 지원받아 비교할 기간이 남지 않음",
            where=(f"결과 {design.outcome}",),
            remedy="지원받지 않은 단위를 더하거나 더 이른 기간의 자료를 넣을 것",
        )
    return kept, control


def _nobody_treated(design: Design, codes: Floats) -> DesignError:
    """Why no unit that is used is treated."""
    if np.isfinite(codes).any():
        what = "결과" if design.weight is None else f"결과나 가중치({design.weight})"
        return DesignError(
            f"지원받은 단위 {int(np.isfinite(codes).sum())}개에 쓸 수 있는 {what}가 하나도 없음",
            where=(f"결과 {design.outcome}",),
            remedy="빈 값과 0 인 가중치를 확인할 것",
        )
    return DesignError(
        "지원받은 단위가 하나도 없음",
        remedy=f"도입 시점 변수 {design.adoption} 과(와) 자료의 기간을 확인할 것",
    )


def _build(
    panel: Panel,
    design: Design,
    codes: Floats,
    weights: Floats | None,
    seen: Mask | None,
    units: Mask,
    columns: Codes,
    dropped: dict[str, int],
    notes: list[str],
    control: str,
) -> Trimmed:
    whole = len(columns) == panel.shape[1]
    if seen is not None:
        units = units & seen[:, columns].any(axis=1)
    rows = np.flatnonzero(units)
    every = len(rows) == len(units)
    if not (whole and every):
        names = {design.outcome, *design.covariates, *([design.weight] if design.weight else [])}
        light = replace_variables(panel, names, keep=(design.cluster, design.adoption))
        panel = light.select(None if every else units, panel.periods[columns])
        seen = None if seen is None else seen[units][:, columns]
        seen = None if seen is None or seen.all() else seen
        codes = codes[units]
        if weights is not None:
            weights = weights[units] if weights.shape[1] == 1 else weights[units][:, columns]
    panel = panel.with_fixed(**{design.adoption: codes})
    cohorts, cohort = np.unique(codes, return_inverse=True)
    cohort = cohort.astype(np.int64)
    if weights is not None and bool((weights == weights.flat[0]).all()):
        weights = None
    if seen is not None and weights is not None:
        weights = np.where(seen, weights, 0.0)
    j, t = len(cohorts), panel.shape[1]
    if seen is None:
        counts = np.repeat(np.bincount(cohort, minlength=j)[:, None], t, axis=1)
    else:
        counts = np.asarray(group_matrix(cohort, j) @ seen.astype(np.float64)).round().astype(np.int64)
    clean = (panel.periods[None, :] < cohorts[:, None] - design.anticipation) & (counts > 0)
    if not (np.isfinite(cohorts)[:, None] & ~clean & (counts > 0)).any():
        alone = dropped["all_treated_cells"] > 0
        why = "지원받은 뒤의 기간에 비교할 단위가 하나도" if alone else "지원받은 뒤의 관측값이"
        raise DesignError(
            f"{why} 없어 추정할 효과가 없음",
            where=(f"결과 {design.outcome}",),
            remedy="지원 후의 기간과 비교할 단위가 함께 있는 자료를 넣을 것",
        )
    if panel.clusters(design.cluster)[0].max() < 1:
        raise DesignError(
            f"군집 {design.cluster} 이(가) 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )
    return Trimmed(
        rows, panel, codes, cohorts, cohort, seen, weights, counts, clean, dropped, tuple(notes), control
    )


def replace_variables(panel: Panel, names: set[str], keep: tuple[str | None, ...]) -> Panel:
    """The panel with only some variables, so that a selection copies little."""
    wanted = names | {name for name in keep if name}
    return Panel(
        panel.units,
        panel.periods,
        {name: values for name, values in panel.varying.items() if name in wanted},
        {name: values for name, values in panel.fixed.items() if name in wanted},
        panel.notes,
    )


def baseline_covariates(panel: Panel, design: Design) -> tuple[Floats, list[str], Mask, list[str]]:
    """Covariates of each unit (N, p), their names, units without a missing one, and notes.

    A variable that changes over time is taken in the last period before anyone is treated: later values may already
    be results of the programme.
    """
    layers, varies = covariate_layers(panel, design.covariates)
    notes: list[str] = []
    columns: list[Floats] = []
    at = 0
    if varies:
        codes = adoption_codes(panel, design.adoption)
        first = codes[np.isfinite(codes) & (codes - design.anticipation > panel.periods[0])].min(
            initial=np.inf
        )
        before = np.flatnonzero(panel.periods < first - design.anticipation)
        at = int(before[-1])
        changing = ", ".join(dict.fromkeys(name for name, values in layers if values.ndim == 2))
        notes.append(
            f"해마다 바뀌는 공변량 {changing} 은(는) 아무도 지원받기 전 마지막 기간 {panel.periods[at]} 의 값을 썼다."
        )
    for name, values in layers:
        column = values[:, at] if values.ndim == 2 else values
        if np.isinf(column).any():
            raise DataError(
                f"공변량 {name} 에 무한대 값이 있음",
                where=(f"단위 {panel.units[int(np.flatnonzero(np.isinf(column))[0])]}",),
                remedy="변환을 바꾸거나 빈 값으로 둘 것",
            )
        if np.isnan(column).all():
            raise DataError(
                f"공변량 {name} 이(가) 모든 단위에서 비어 있음",
                where=(f"기간 {panel.periods[at]}",) if values.ndim == 2 else (),
                remedy=f"공변량에서 {name} 을(를) 빼거나 값을 채울 것",
            )
        columns.append(column)
    z = np.column_stack(columns) if columns else np.zeros((len(panel.units), 0))
    full: Mask = np.asarray(~np.isnan(z).any(axis=1))
    if not full.all():
        notes.append(f"공변량이 빈 단위 {int((~full).sum())}개를 제외했다.")
    return z, [name for name, _ in layers], full, notes


def without_covariates(design: Design) -> Design:
    """The design of the regression itself: covariates and anticipation are dealt with by the caller."""
    return replace(design, covariates=(), anticipation=0, link="levels")
