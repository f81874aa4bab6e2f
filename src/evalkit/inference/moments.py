"""Moments of a fit by cluster and hypotheses on its terms, as the wild bootstrap and the diagnostics of clusters read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import labels_of, places

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Linear combinations of the terms of one fit, one a row.

    Attributes
    ----------
    gram, score : moments by cluster  # (C, P, P), (C, P)
    rows : the combinations in the P columns of the moments  # (m, P)
    values : their estimates  # (m,)
    labels : their names
    nonlinear : the moments are those of a linearised likelihood (Poisson)
    """

    gram: Floats
    score: Floats
    rows: Floats
    values: Floats
    labels: tuple[str, ...]
    nonlinear: bool


def combinations(
    est: Estimate, terms: ArrayLike | None, contrast: ArrayLike | None
) -> tuple[Floats, tuple[str, ...]]:
    """The combinations asked for, as weights on the terms of the estimate (m, k), and their names.

    Raises
    ------
    UsageError : both terms and contrast, a contrast of another length, no term with an estimate
    DesignError : a combination uses a term without an estimate
    """
    labels = labels_of(est)
    k = len(est)
    if contrast is not None:
        if terms is not None:
            raise UsageError(
                "terms 와 contrast 를 함께 적음",
                remedy="항을 고르려면 terms 만, 항의 조합이면 contrast 만 적을 것",
            )
        rows = np.atleast_2d(np.asarray(contrast, dtype=np.float64))
        if rows.shape[1] != k or not np.isfinite(rows).all() or not rows.any(axis=1).all():
            raise UsageError(
                f"contrast 의 크기 {rows.shape} 이(가) 항 {k}개와 맞지 않거나 빈 줄 또는 숫자가 아닌 값이 있음",
                remedy="항마다 하나씩, 적어도 하나는 0이 아닌 유한한 수를 적을 것",
            )
        names = tuple(_spelled(row, labels) for row in rows)
    else:
        known = np.flatnonzero(~np.isnan(est.values))
        at = known if terms is None else np.arange(k)[np.asarray(terms)]
        rows = np.eye(k)[np.atleast_1d(at)]
        names = tuple(labels[i] for i in np.atleast_1d(at))
    if not len(rows):
        raise UsageError("고른 항이 없음", remedy=f"항 {', '.join(labels)} 중에서 고를 것")
    lost = np.isnan(est.values) & (rows != 0).any(axis=0)
    if lost.any():
        raise DesignError(
            f"항 {labels[int(np.flatnonzero(lost)[0])]} 의 추정값이 없어 검정할 수 없음",
            remedy="추정된 항만 고를 것",
        )
    return rows, names


def _spelled(row: Floats, labels: list[str]) -> str:
    return " ".join(f"{row[i]:+.6g}*{labels[i]}" for i in np.flatnonzero(row))


def hypotheses(
    est: Estimate, terms: ArrayLike | None = None, contrast: ArrayLike | None = None, *, method: str
) -> Hypotheses:
    """The moments of the fit behind an estimate, with the combinations asked for.

    Raises
    ------
    RefusalError : the estimate holds no moments by cluster, or its terms are no longer those of the fit
    """
    at = places(est) if "gram" in est.detail else None
    if at is None:
        raise RefusalError(
            f"{method} 에 필요한 군집별 적률이 이 추정({est.method})에 없음",
            where=(f"군집 {est.n_clusters}개",),
            remedy="이원고정효과 추정을 합치기 전에 넘기고 조합은 contrast 로 적거나, 군집 잭나이프(CV3)·score_bootstrap 을 쓸 것",
        )
    weights, names = combinations(est, terms, contrast)
    gram, score = np.asarray(est.detail["gram"]), np.asarray(est.detail["score"])
    if not (np.isfinite(gram).all() and np.isfinite(score).all()):
        raise DesignError("군집별 적률에 무한대나 빈 값이 있음", remedy="결과와 공변량의 값을 확인할 것")
    fitted = np.asarray(est.detail["values"], dtype=np.float64)
    column = np.full(len(fitted), -1)
    column[~np.isnan(fitted)] = np.asarray(est.detail["positions"], dtype=np.int64)
    rows = np.zeros((len(weights), gram.shape[1]))
    used = np.flatnonzero((weights != 0).any(axis=0))
    rows[:, column[np.asarray(at)[used]]] = weights[:, used]
    values = weights[:, used] @ est.values[used]
    return Hypotheses(gram, score, rows, values, names, "hessian_inverse" in est.detail)
