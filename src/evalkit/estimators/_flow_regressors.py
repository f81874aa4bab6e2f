"""What a gravity regression is run on: treatment and diversion terms by destination and period, cells in use, clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.flows import Flows

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Regressors:
    """names : of the columns; columns : (D, T, K), the treatment first

    used : (O, D, T); treated : destinations ever treated  # (D,); n_missing : cells not observed; notes : sentences
    """

    names: list[str]
    columns: Floats
    used: NDArray[np.bool_]
    treated: NDArray[np.bool_]
    n_missing: int
    notes: list[str]


def regressors(flows: Flows, design: Design, treatment: str | None, diversion: tuple[str, ...]) -> Regressors:
    """Columns of a gravity regression.

    Raises
    ------
    DesignError : a weight or ``at_risk``, nobody treated, an adoption that is no period
    DataError : infinite covariates
    """
    if design.weight is not None or design.at_risk is not None:
        raise DesignError(
            "흐름의 회귀는 가중치(weight)와 at_risk 를 쓰지 않음", remedy="두 항목을 빼고 설계를 적을 것"
        )
    used = ~np.isnan(flows.series())
    notes: list[str] = []
    if treatment is None:
        start = _start(flows, design.adoption)
        main = (flows.periods[None, :] >= start[:, None]).astype(np.float64)
        gap = start[:, None] - flows.periods[None, :]
        if design.anticipation:
            used &= ~((gap > 0) & (gap <= design.anticipation))[None]
        always = start <= flows.periods[0]
        if always.any():
            notes.append(
                f"첫 기간부터 이미 처치된 도착지 {int(always.sum())}곳은 전후를 견줄 수 없어 비교로만 쓰인다."
            )
        name = "treatment"
    else:
        main, name = flows.values(treatment), treatment
    names, columns = [name], [main]
    for extra in diversion:
        names.append(extra)
        if extra in flows.varying:
            columns.append(flows.values(extra))
        else:
            columns.append((flows.periods[None, :] >= _start(flows, extra)[:, None]).astype(np.float64))
    for covariate in design.covariates:
        names.append(covariate)
        columns.append(flows.values(covariate))
    stacked = np.stack(columns, axis=2)
    if np.isinf(stacked).any():
        bad = names[int(np.argwhere(np.isinf(stacked))[0, 2])]
        raise DataError(f"변수 {bad} 에 무한대 값이 있음", remedy="0으로 나눈 값이나 log(0)을 먼저 고칠 것")
    seen = np.asarray(~np.isnan(stacked).any(axis=2))
    used &= seen[None]
    treated = ((main != 0) & seen).any(axis=1)
    if not treated.any():
        raise DesignError("처치된 도착지가 하나도 없음", remedy=f"변수 {design.adoption} 을(를) 확인할 것")
    return Regressors(
        names, np.where(seen[:, :, None], stacked, 0.0), used, treated, int((~used).sum()), notes
    )


def _start(flows: Flows, name: str) -> Floats:
    """First period of a fixed variable, +inf = never  # (D,)"""
    try:
        values = np.asarray(flows.constant(name), dtype=np.float64)
    except ValueError as problem:
        raise DataError(
            f"변수 {name} 에 연도로 읽을 수 없는 값이 있음",
            remedy="시작 기간을 숫자로, 처치되지 않은 도착지는 빈 값으로 둘 것",
        ) from problem
    return np.where(np.isnan(values), np.inf, values)
