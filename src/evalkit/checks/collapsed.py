"""Difference-in-differences as one cross-section: the change of each unit on treatment and covariates.

With one adoption date and a complete panel the mean after less the mean before, regressed on the treatment, has the two-way
coefficient (Bertrand, Duflo & Mullainathan 2004, section IV.C; Wooldridge 2021, theorem 3.1). It is an ordinary regression:
its R² and partial R² mean what sensitivity analyses take them to mean, and serial correlation is gone. Covariates that do not
vary over time enter as they are (text in groups of indicators), varying ones as their means before adoption.

Checked against `two_way_effects` and statsmodels: tests/reference/test_omitted_variables.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import cluster_sums
from evalkit.checks._before import treated_dates
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.panel import Panel

Floats = NDArray[np.float64]

# a column with this share of its own variation left by the others has none left
COLLINEAR = 1e-10


@dataclass(frozen=True, slots=True)
class Collapsed:
    """A least-squares regression of changes.

    Attributes
    ----------
    estimate, std_error, dof : coefficient of the treatment, classical error, n − columns
    cluster_error, cluster_dof : CV1 error by the design's clusters and C − 1; NaN with one cluster on a side
    r2_treatment, r2_outcome : partial R² of each covariate (all indicators of a text together) with the treatment given the
        others, and with the outcome given treatment and the others
    short, r2_short : coefficient and R² without covariates; r2 : with them
    var_outcome, var_treatment, var_left : variances (divisor n) of the change and of the treatment, and of what the
        covariates leave of it
    n_units, n_treated, dropped : units used, treated, and left out for a missing value
    """

    estimate: float
    std_error: float
    dof: float
    cluster_error: float
    cluster_dof: float
    r2_treatment: Mapping[str, float]
    r2_outcome: Mapping[str, float]
    short: float
    r2_short: float
    r2: float
    var_outcome: float
    var_treatment: float
    var_left: float
    n_units: int
    n_treated: int
    dropped: int


def collapsed_regression(panel: Panel, design: Design) -> Collapsed:
    """Regress the change of the outcome over adoption on the treatment and the design's covariates.

    Parameters
    ----------
    design : outcome, adoption (one date), anticipation (these periods are in neither mean), covariates and cluster

    Raises
    ------
    DesignError : several adoption dates, a weight, nobody treated or nobody else, no period on a side, too few units, or
        covariates that give the treatment away
    DataError : an infinite value
    """
    dates = treated_dates(panel, design)
    own = np.unique(dates[np.isfinite(dates)])
    if len(own) > 1 or design.weight is not None:
        why = (
            f"도입 시점이 {len(own)}개({', '.join(f'{g:g}' for g in own)})"
            if len(own) > 1
            else "가중치가 있어"
        )
        raise DesignError(
            f"{why}라 한 번의 전후 차이로 접을 수 없음",
            where=(f"결과 {design.outcome}",),
            remedy="코호트와 비교 집단만 골라 가중치 없이 부르거나, 추정치·표준오차·자유도를 omitted_variables 에 바로 줄 것",
        )
    before = panel.periods < own[0] - design.anticipation
    after = panel.periods >= own[0]
    if not before.any():
        raise DesignError(
            f"{own[0]:g} 전의 기간이 없어 전후 차이를 만들 수 없음", remedy="지원 전 자료를 붙일 것"
        )
    outcome = panel.values(design.outcome)
    y = outcome[:, after].mean(axis=1) - outcome[:, before].mean(axis=1)
    d = np.isfinite(dates).astype(np.float64)
    columns, names = _columns(panel, design, before)
    used = np.isfinite(y) & np.isfinite(columns).all(axis=1)
    if np.isinf(outcome).any() or np.isinf(columns).any():
        raise DataError(
            "결과나 공변량에 무한대가 있음",
            where=(f"결과 {design.outcome}",),
            remedy="그 값을 고치거나 비울 것",
        )
    codes, labels = panel.clusters(design.cluster)
    return _fit(y[used], d[used], columns[used], names, codes[used], len(labels), int((~used).sum()))


def _columns(
    panel: Panel, design: Design, before: NDArray[np.bool_]
) -> tuple[Floats, dict[str, NDArray[np.int64]]]:
    """Covariates as columns, and the columns of each name."""
    parts: list[Floats] = []
    names: dict[str, NDArray[np.int64]] = {}
    count = 0
    for name in design.covariates:
        if name in panel.varying:
            block = panel.values(name)[:, before].mean(axis=1)[:, None]
        else:
            values = panel.constant(name)
            if values.dtype.kind in "iufb":
                block = values.astype(np.float64)[:, None]
            else:
                levels = np.unique(values.astype(str))
                block = (values.astype(str)[:, None] == levels[None, 1:]).astype(np.float64)
        names[name] = np.arange(count, count + block.shape[1])
        count += block.shape[1]
        parts.append(block)
    return (np.hstack(parts) if parts else np.zeros((len(panel.units), 0))), names


def _fit(
    y: Floats,
    d: Floats,
    x: Floats,
    names: dict[str, NDArray[np.int64]],
    cluster: NDArray[np.int64],
    clusters: int,
    dropped: int,
) -> Collapsed:
    n = len(y)
    rest = np.column_stack([np.ones(n), x]) if n else np.ones((0, 1))
    dof = float(n - np.linalg.matrix_rank(rest) - 1) if n else 0.0
    if not 0 < d.sum() < n or dof < 2:
        raise DesignError(
            f"쓸 수 있는 단위가 {n}개(지원 {int(d.sum())}개)라 공변량 {x.shape[1]}열과 함께 회귀할 수 없음",
            remedy="빈 값을 줄이거나 공변량을 줄일 것",
        )
    total = float(((y - y.mean()) ** 2).sum())
    if not total > 0:
        raise DesignError(
            f"단위 {n}개의 전후 변화가 모두 {y[0]:g} 로 같아 회귀할 것이 없음", remedy="결과 변수를 확인할 것"
        )
    d_left, y_left = _residual(rest, d), _residual(rest, y)
    whole = float(((d - d.mean()) ** 2).sum())
    size = float(d_left @ d_left)
    if size <= COLLINEAR * whole:
        raise DesignError(
            f"공변량 {', '.join(names)} 이(가) 지원 여부를 그대로 말해 주어 추정할 것이 남지 않음",
            remedy="지원 지역이나 대상과 같은 뜻의 공변량을 뺄 것",
        )
    slope = float(d_left @ y_left) / size
    residual = y_left - slope * d_left
    error = float(np.sqrt(residual @ residual / dof / size))
    short = float((d - d.mean()) @ y) / whole
    r2_treatment, r2_outcome = {}, {}
    for name, at in names.items():
        others = np.delete(rest, at + 1, axis=1)
        r2_treatment[name] = _partial(_residual(others, d), d_left)
        both = np.column_stack([others, d])
        r2_outcome[name] = _partial(_residual(both, y), residual)
    sums = cluster_sums((d_left * residual)[:, None], cluster, clusters)[:, 0]
    sides = [len(np.unique(cluster[d == side])) for side in (0, 1)]
    seen = len(np.unique(cluster))
    factor = seen / (seen - 1) * (n - 1) / dof if seen > 1 else float("nan")
    robust = float(np.sqrt(factor * (sums @ sums))) / size if min(sides) > 1 else float("nan")
    return Collapsed(
        slope, error, dof, robust, float(seen - 1), r2_treatment, r2_outcome,
        short, short**2 * whole / total, 1.0 - float(residual @ residual) / total,
        total / n, whole / n, size / n, n, int(d.sum()), dropped,
    )  # fmt: skip


def _residual(x: Floats, y: Floats) -> Floats:
    return np.asarray(y - x @ np.linalg.lstsq(x, y, rcond=None)[0])


def _partial(without: Floats, left: Floats) -> float:
    """Share of what is left without some columns that they explain."""
    whole = float(without @ without)
    return max(1.0 - float(left @ left) / whole, 0.0) if whole > 0 else 0.0
