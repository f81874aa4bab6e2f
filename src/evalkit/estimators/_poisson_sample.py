"""The observations of a Poisson panel regression: those of the two-way regression, with an offset and counts checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.poisson_sums import Problem
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators._two_way_sample import Sample, draw
from evalkit.panel import Panel
from evalkit.transforms import refuse_percent

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

SHIFT = "offset"


def ratio_outcome(panel: Panel, name: str) -> None:
    """Refuse outcomes that a ratio makes no sense of: logs, and negative values.

    Raises
    ------
    RefusalError : log(1 + y), asinh(y) or another log of the outcome
    DataError : negative values
    """
    refuse_percent(name, panel)
    if name.lower().startswith(("log_", "ln_")):
        raise RefusalError(
            f"결과 변수 {name} 은(는) 이미 로그여서 비율의 변화를 다시 구할 수 없음",
            remedy="로그를 취하기 전의 값을 결과로 둘 것",
        )
    values = panel.values(name)
    least = np.nanmin(values, initial=np.inf)
    if least < 0:
        at = np.argwhere(values < 0)[0]
        raise DataError(
            f"결과 변수 {name} 에 음수 {values[at[0], at[1]]:g} 이(가) 있음",
            where=(f"단위 {panel.units[at[0]]}", f"{panel.periods[at[1]]}"),
            remedy="건수나 금액처럼 0 이상인 결과에만 쓸 것",
        )


def draw_counts(
    panel: Panel,
    design: Design,
    *,
    treatment: str | None,
    within: str | None,
    offset: str | None,
    exposure: str | None,
) -> tuple[Sample, Floats | None]:
    """The sample, and the offset of each cell on the log scale (N, T) or None.

    Raises
    ------
    DesignError : nothing to compare, an offset and an exposure at once
    DataError : negative counts or weights, infinite values, a positive count without exposure
    """
    ratio_outcome(panel, design.outcome)
    design = replace(design, link="levels")
    if offset is None and exposure is None:
        return draw(panel, design, treatment=treatment, within=within), None
    if offset is not None and exposure is not None:
        raise DesignError("offset 과 exposure 를 함께 쓸 수 없음", remedy="하나만 적을 것")
    name = str(offset if exposure is None else exposure)
    given = panel.values(name) if name in panel.varying else _wide(panel, name)
    if exposure is not None:
        given = _log_exposure(panel, design.outcome, name, given)
    slot = SHIFT + "·" + name
    panel = panel.with_varying(**{slot: given})
    sample = draw(
        panel,
        replace(design, covariates=(*design.covariates, slot)),
        treatment=treatment,
        within=within,
    )
    return replace(sample, dense=sample.dense[:-1], covariates=sample.covariates[:-1]), sample.dense[-1]


def _wide(panel: Panel, name: str) -> Floats:
    values = np.asarray(panel.constant(name), dtype=np.float64)
    return np.repeat(values[:, None], len(panel.periods), axis=1)


def _log_exposure(panel: Panel, outcome: str, name: str, given: Floats) -> Floats:
    """log of the exposure; cells with nothing at risk are not observed."""
    counts = panel.values(outcome)
    with np.errstate(invalid="ignore"):
        wrong = (given < 0) | ((given == 0) & (counts > 0))
    if wrong.any():
        at = np.argwhere(wrong)[0]
        raise DataError(
            f"노출 변수 {name} 이(가) {given[at[0], at[1]]:g} 인데 결과 {outcome} 은(는) {counts[at[0], at[1]]:g} 임",
            where=(f"단위 {panel.units[at[0]]}", f"{panel.periods[at[1]]}"),
            remedy="위험에 놓인 수(노출)를 0보다 큰 값으로 고칠 것",
        )
    return np.log(np.where(given > 0, given, np.nan))


def problem_of(
    sample: Sample, tables: Floats, cohort: Codes, stratum: Codes | None, offset: Floats | None
) -> Problem:
    """Counts and exposures of a sample; cells that are not used hold 0."""
    weights, used = sample.weights, sample.used
    counts = sample.outcome if weights is None else sample.outcome * weights
    exposure: Floats | None = None
    if used is not None:
        counts = np.where(used, counts, 0.0)
        exposure = np.asarray(weights)
    if offset is not None:
        shift = offset if used is None else np.where(used, offset, 0.0)
        wide = np.ones(sample.outcome.shape) if exposure is None else exposure
        seen = wide > 0
        # one factor a unit drops out, so the largest is taken as 1
        top = np.where(seen, shift, -np.inf).max(axis=1, keepdims=True)
        exposure = wide * np.exp(np.where(seen, shift - np.where(np.isfinite(top), top, 0.0), 0.0))
    dense = sample.dense
    if used is not None and dense:
        dense = tuple(np.where(used, x, 0.0) for x in dense)
    return Problem(
        counts=counts,
        exposure=exposure,
        group=cohort,
        profile=np.arange(len(tables), dtype=np.int64),
        stratum=np.zeros(len(tables), dtype=np.int64) if stratum is None else stratum,
        tables=tables,
        dense=dense,
        cluster=sample.cluster,
    )
