"""Observed rows of a panel for regressions that work row by row: checked, in order of unit and period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._one_sided import FEW, Sides, clusters_in, doubts, without_error
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PanelRows:
    """Rows with every variable observed; units without one are gone.

    y : (n,); variables : the columns asked for, by name  # (n,) each
    unit, period : codes of each row; units, periods : their labels
    weight : (n,); cluster : code of each unit; cluster_labels
    fixed : names of the variables that are constant within units by construction
    n_missing : cells of the panel that are not used
    """

    y: Floats
    variables: dict[str, Floats]
    unit: Codes
    period: Codes
    weight: Floats
    units: NDArray[np.generic]
    periods: NDArray[np.int64]
    cluster: Codes
    cluster_labels: NDArray[np.generic]
    treated: NDArray[np.bool_]
    fixed: frozenset[str]
    n_missing: int

    @property
    def n_units(self) -> int:
        return len(self.units)

    def matrix(self, names: Sequence[str]) -> Floats:
        """Columns side by side  # (n, len(names))"""
        return (
            np.column_stack([self.variables[name] for name in names]) if names else np.zeros((len(self.y), 0))
        )


TREATMENT = "treatment"
# a standard error below this share of its value, or of its scores, is a rounding error
ROUNDING = 1e-12


def rows_estimate(
    rows: PanelRows,
    design: Design,
    terms: list[str],
    values: Floats,
    covariance: Floats,
    influence: Floats,
    replicates: Floats | None,
    *,
    treated: int,
    dof: float,
    method: str,
    inference: str,
    detail: dict[str, Any],
) -> Estimate:
    """The Estimate of a regression on these rows; ``treated`` units stand behind every term.

    A variance that is only rounding (a saturated fit), and that of a treatment indicator with one cluster alone on a side,
    is taken out, as all are where ``detail["exact"]``; ``detail["notes"]`` says so.
    """
    k = len(terms)
    index = pd.MultiIndex.from_arrays([terms], names=["term"])
    size = np.square(influence).sum(axis=0) / rows.n_units**2
    variance = np.diag(covariance)
    covariance = covariance.copy()
    gone = (variance <= ROUNDING**2 * size) | (variance <= (ROUNDING * values) ** 2)
    covariance[gone, :] = covariance[:, gone] = 0.0
    sides = _treatment_sides(rows, terms)
    exact = bool(detail.get("exact"))
    covariance = without_error(covariance, sides.alone | exact)
    detail["notes"] = [
        *detail["notes"],
        *doubts(sides, index, values, covariance, design.cluster),
        *_few(rows, design),
        *_forbidden(rows, terms, design),
        *_unread(design, terms, detail),
        *(["설명변수가 결과를 남김없이 설명하여 오차를 알 수 없다: 표준오차를 비웠다"] if exact else []),
    ]
    return Estimate(
        terms=index,
        values=values,
        covariance=covariance,
        influence=influence,
        cluster=rows.cluster,
        cluster_labels=rows.cluster_labels,
        replicates=replicates,
        dof=np.full(k, dof),
        n_treated=np.full(k, treated),
        n_comparison=np.full(k, rows.n_units - treated),
        method=method,
        inference=inference,
        units=rows.units,
        design=design.to_dict(),
        detail=detail,
    )


def _few(rows: PanelRows, design: Design) -> list[str]:
    clusters = len(rows.cluster_labels)
    if clusters >= FEW:
        return []
    what = "단위가" if design.cluster is None else f"군집({design.cluster})이"
    return [
        f"{what} {clusters}개뿐이라 표준오차와 p값이 너무 작기 쉬움: evalkit.inference 의 방법으로 다시 볼 것"
    ]


def _unread(design: Design, terms: list[str], detail: dict[str, Any]) -> list[str]:
    left = [name for name in design.covariates if name not in (*terms, *detail.get("absorbed", ()))]
    return [f"설계의 공변량 {', '.join(left)} 은(는) 설명변수로 적지 않아 쓰이지 않음"] if left else []


def _forbidden(rows: PanelRows, terms: list[str], design: Design) -> list[str]:
    """Sentences on comparisons with treated units, and on what of the design is not read."""
    if TREATMENT not in terms or TREATMENT not in rows.variables:
        return []
    on = rows.variables[TREATMENT] > 0
    off = np.bincount(rows.unit[~on], minlength=rows.n_units)
    always = int((off == 0).sum())
    clean = np.bincount(rows.period[~on], minlength=len(rows.periods))
    bare = [str(rows.periods[t]) for t in np.unique(rows.period[on]) if not clean[t]]
    notes = []
    if always:
        notes.append(
            f"관측된 모든 기간에 지원받은 단위 {always}개가 비교 대상처럼 쓰임: 효과가 해마다 다르면 계수가 틀어짐"
        )
    if bare:
        notes.append(
            f"{', '.join(bare)} 에는 모든 단위가 지원받아, 먼저 지원받은 단위가 비교 대상이 됨:"
            " 효과가 해마다 다르면 계수가 틀어짐"
        )
    if design.anticipation:
        notes.append(
            f"anticipation={design.anticipation} 은 쓰이지 않음: 지원 전의 효과는 지원 전 기간에 섞임"
        )
    return notes


def _treatment_sides(rows: PanelRows, terms: list[str]) -> Sides:
    """Clusters behind the treatment indicator: with it on, and with it off in a period in which it is on for others."""
    least, most = np.zeros(len(terms), dtype=np.int64), np.zeros(len(terms), dtype=np.int64)
    if TREATMENT in terms and TREATMENT in rows.variables:
        on, clusters = rows.variables[TREATMENT], len(rows.cluster_labels)
        code = rows.cluster[rows.unit]
        others = [
            clusters_in([code[rows.period == t]], [1.0 - on[rows.period == t]], clusters)
            for t in np.unique(rows.period[on > 0])
        ]
        met = [count for count in others if count]
        own = clusters_in([code], [on], clusters)
        for name in (TREATMENT, f"mean_{TREATMENT}"):
            if name in terms and met:
                least[terms.index(name)], most[terms.index(name)] = min(own, *met), min(own, max(met))
    return Sides(least, most)


def influence_of(scores: Floats, rows: PanelRows) -> Floats:
    """N times the sum of row scores (n, k) by unit  # (N, k)"""
    out = np.empty((rows.n_units, scores.shape[1]))
    for j, column in enumerate(scores.T):
        out[:, j] = rows.n_units * np.bincount(rows.unit, column, minlength=rows.n_units)
    return out


def panel_rows(panel: Panel, design: Design, names: Sequence[str], *, treatment: bool) -> PanelRows:
    """Rows of the outcome and the named variables; ``treatment`` adds the indicator period >= adoption.

    Raises
    ------
    DesignError : a variable is missing, not a number, named twice or the outcome itself; nothing is observed or treated;
        one unit or one cluster
    DataError : infinite values, negative weights
    RefusalError : ``at_risk``
    """
    _check_names(design, names)
    if design.link != "levels":
        raise DesignError(
            "패널 회귀는 수준(levels)의 결과만 다룸", remedy="link 를 levels 로 두거나 포아송 회귀를 쓸 것"
        )
    wide = {name: wide_variable(panel, name) for name in names}
    adoption = adoption_dates(panel, design) if treatment else np.full(len(panel.units), np.inf)
    if treatment:
        wide = {TREATMENT: (panel.periods[None, :] >= adoption[:, None]).astype(np.float64), **wide}
    outcome = panel.values(design.outcome)
    weight = _weight(panel, design.weight)
    used = np.isfinite(weight) & (weight > 0)
    for name, values in [(design.outcome, outcome), *wide.items()]:
        if np.isinf(values).any():
            i, t = np.argwhere(np.isinf(values))[0]
            raise DataError(
                f"변수 {name} 에 무한대가 있음",
                where=(f"단위 {panel.units[i]}", str(panel.periods[t])),
                remedy="변환을 바꾸거나 빈 값으로 둘 것",
            )
        used &= ~np.isnan(values)
    if not used.any():
        raise DesignError(
            f"결과 {design.outcome} 와(과) 설명변수가 함께 관측된 칸이 없음", remedy="변수와 기간을 확인할 것"
        )
    if treatment and not wide[TREATMENT][used].any():
        raise DesignError(
            "지원받은 관측값이 하나도 없음",
            where=(f"결과 {design.outcome}", f"도입 {design.adoption}"),
            remedy="도입 시점이 자료의 기간 안에 있는지, 지원받은 단위의 값이 비지 않았는지 확인할 것",
        )
    if np.ptp(outcome[used]) == 0:
        raise DesignError(
            f"결과 {design.outcome} 의 값이 모두 {outcome[used][0]:g} 로 같음", remedy="결과 변수를 확인할 것"
        )
    keep = used.any(axis=1)
    codes, labels = panel.clusters(design.cluster)
    present, cluster = np.unique(codes[keep], return_inverse=True)
    if keep.sum() < 2 or len(present) < 2:
        raise DesignError(
            f"쓸 수 있는 단위가 {int(keep.sum())}개, 군집이 {len(present)}개뿐임",
            where=(f"결과 {design.outcome}",),
            remedy="단위와 군집이 둘 이상인 자료를 넣을 것",
        )
    unit, period = np.nonzero(used[keep])
    return PanelRows(
        y=outcome[keep][unit, period],
        variables={name: values[keep][unit, period] for name, values in wide.items()},
        unit=unit.astype(np.int64),
        period=period.astype(np.int64),
        weight=weight[keep][unit, period],
        units=panel.units[keep],
        periods=panel.periods,
        cluster=cluster.astype(np.int64),
        cluster_labels=labels[present],
        treated=(adoption <= panel.periods[-1])[keep],
        fixed=frozenset(name for name in names if name in panel.fixed),
        n_missing=int(used.size - used.sum()),
    )


def regression_rows(
    panel: Panel, design: Design, regressors: Sequence[str] | None
) -> tuple[PanelRows, list[str]]:
    """Rows and regressors: those named, or (None) the treatment indicator and the design's covariates."""
    names = list(design.covariates if regressors is None else regressors)
    rows = panel_rows(panel, design, names, treatment=regressors is None)
    names = [TREATMENT, *names] if regressors is None else names
    if not names:
        raise DesignError("설명변수가 하나도 없음", remedy="regressors 나 공변량을 적을 것")
    return rows, names


def _check_names(design: Design, names: Sequence[str]) -> None:
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise DesignError(f"설명변수 {twice[0]} 을(를) 두 번 적음", remedy="한 번만 적을 것")
    if design.outcome in names:
        raise DesignError(
            f"결과 {design.outcome} 이(가) 설명변수에도 있음: 스스로를 남김없이 설명함",
            remedy="설명변수와 공변량에서 뺄 것",
        )
    if design.at_risk is not None:
        raise RefusalError(
            f"패널 회귀는 기준 기간이 없어 at_risk={design.at_risk} 를 쓸 수 없음",
            remedy="위험에 놓인 단위만 골라 panel.select 로 넘기거나 group_time_effects 를 쓸 것",
        )


def wide_variable(panel: Panel, name: str) -> Floats:
    """A varying or fixed numeric variable  # (N, T)"""
    if name in panel.varying:
        return panel.values(name)
    if name not in panel.fixed:
        raise DesignError(
            f"변수 {name!r} 이(가) 패널에 없음", remedy=nearest(name, [*panel.varying, *panel.fixed])
        )
    raw = panel.fixed[name]
    if raw.dtype.kind not in "iufb":
        raise DesignError(
            f"설명변수 {name} 이(가) 숫자가 아님", remedy="범주는 0과 1의 변수로 나누어 넣을 것"
        )
    return np.repeat(raw.astype(np.float64)[:, None], len(panel.periods), axis=1)


def adoption_dates(panel: Panel, design: Design) -> Floats:
    """First treated periods, +inf = never  # (N,)

    Raises
    ------
    DesignError : a code is not a whole positive period
    """
    return adoption_codes(panel, design.adoption)


def _weight(panel: Panel, name: str | None) -> Floats:
    if name is None:
        return np.ones(panel.shape)
    weight = wide_variable(panel, name)
    if (weight < 0).any() or np.isinf(weight).any():
        i = int(np.flatnonzero(((weight < 0) | np.isinf(weight)).any(axis=1))[0])
        raise DataError(
            f"가중치 {name} 에 음수나 무한대가 있음",
            where=(f"단위 {panel.units[i]}",),
            remedy="0 이상의 유한한 수로 적을 것",
        )
    return weight
