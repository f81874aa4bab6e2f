"""Errors correlated over space (Conley) and over time across all units (Driscoll–Kraay).

Conley 1999: scores of units within a cutoff of one another are multiplied and summed with a kernel in distance. Without
`lag` the scores of a unit are summed over its periods first, so that any correlation within a unit is allowed for, and between
neighbours at any two periods (the way of fixest 0.14). With `lag` the sum is that of the panel form: over periods, neighbours of
the same period, plus over units, pairs of periods of one unit with Bartlett weights; a sum, not a product (conleyreg,
Hsiang 2010). Driscoll & Kraay 1998: sums by period with Bartlett weights; it needs many periods (about 20, here refused below).
Uniform weights are not positive semi-definite, and Bartlett weights in distance need not be on a sphere or in the plane: negative
eigenvalues are set to 0 and said ("negative_variance_clipped"). The cutoff from the data is the first zero of the covariogram of the
unit scores (the idea of Lehner 2026; his package was not available to compare with).

Small samples. fixest takes n/(n − K) with K counting all fixed effects (`adjust` "full"), which doubles the variance of a panel of
two periods; where scores are summed over units the unit effects lie inside them, and (n − 1)/(n − K) without them is enough
(`adjust` "nested", the default there). Driscoll–Kraay: (n − 1)/(n − K) T/(T − 1), all effects counted, t(T − 1). With 14 provinces none of these is a remedy for few clusters: they rest on many places.

Checked: fixest 0.14.2 (vcov_conley, NW, DK), linearmodels 7.1, diff_diff 3.13.0, dense sums: tests/reference/test_spatial.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays import spatial as sums
from evalkit.arrays.geometry import EARTH_KM
from evalkit.arrays.spatial import Covariogram, Kernel
from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import as_fitted, places
from evalkit.inference.locations import Coordinates, located
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]

Adjust = Literal["auto", "full", "nested", "none"]

# periods below which Driscoll–Kraay is refused
FEWEST_PERIODS = 20

CARDS = (
    MethodCard(
        function="conley",
        name="콘리 공간상관 표준오차",
        english="Conley spatial HAC standard errors",
        group="spatial",
        question="가까운 지역의 오차가 함께 움직여도 표준오차를 믿을 수 있는가?",
        assumptions=(
            "정한 거리보다 먼 지역의 오차는 서로 무관하다.",
            "그 거리 안의 지역 묶음이 많다: 시도 14곳 같은 적은 군집의 해결책이 아니다.",
        ),
        returns="추정치와 같은 항; 공간상관 공분산, 거리별 표준오차 곡선(conley_curve)",
        reference="Conley (1999); Hsiang (2010)",
        oracle=(
            "R fixest 0.14.2 vcov_conley, diff_diff 3.13.0, 모든 쌍의 합: tests/reference/test_spatial.py",
        ),
        differs="거리는 반지름 6371.0088km 의 구면 거리다(fixest 는 6376km 또는 위도별 근사). 기간을 합칠 때 단위 효과는 자유도에서 빼지 않는다.",
        refuses="영향함수가 없는 추정: 군집 잭나이프를 쓴다.",
    ),
    MethodCard(
        function="driscoll_kraay",
        name="드리스콜·크라이 표준오차",
        english="Driscoll–Kraay standard errors",
        group="spatial",
        question="모든 지역이 같은 해에 함께 흔들려도 표준오차를 믿을 수 있는가?",
        assumptions=("기간이 많다(20개 이상).", "먼 과거의 충격은 지금과 무관하다."),
        returns="추정치와 같은 항; t(T − 1)",
        reference="Driscoll & Kraay (1998)",
        oracle=("R fixest 0.14.2 DK, linearmodels 7.1: tests/reference/test_spatial.py",),
        refuses="기간이 20개보다 적은 패널: 군집 잭나이프(CV3)나 기간별 공간상관(conley)을 쓴다.",
    ),
)


@dataclass(frozen=True, slots=True)
class ConleyCurve:
    """Standard errors against the cutoff; an inverted U is usual, and its top is the cautious choice.

    cutoffs : kilometres  # (m,)
    std_errors : NaN where a variance came out negative  # (m, k)
    neighbours : mean number of other units within each cutoff  # (m,)
    widest : cutoff with the largest standard error of each term  # (k,)
    """

    cutoffs: Floats
    std_errors: Floats
    neighbours: Floats
    widest: Floats


@dataclass(frozen=True, slots=True)
class CutoffChoice:
    """A cutoff from the data.

    cutoff_km : first zero of the covariogram
    crossed : whether it reached 0 at all; if not, the cutoff is the middle of the last bin
    covariogram : what it was read from
    """

    cutoff_km: float
    crossed: bool
    covariogram: Covariogram


def conley(
    est: Estimate,
    coordinates: Coordinates,
    cutoff_km: float,
    *,
    kernel: Kernel = "bartlett",
    lag: int | None = None,
    degrees: bool = True,
    adjust: Adjust = "auto",
    radius_km: float = EARTH_KM,
) -> Estimate:
    """The estimate with Conley standard errors.

    Parameters
    ----------
    est : any estimate with influence functions; with `lag`, a small two-way estimate as fitted (its rows are kept)
    coordinates : of the units, in the order of ``est.units`` (N, 2), or unit -> pair; latitude and longitude in degrees, or
        northing and easting in kilometres
    cutoff_km : distance from which scores no longer count; 0 = each unit (place) alone
    kernel : "bartlett" (1 − d/cutoff) or "uniform" (1 up to the cutoff)
    lag : None = scores summed over the periods of a unit; L >= 0 = the panel form with L lags within units
    degrees : what the coordinates are
    adjust : small-sample factor, where the estimate knows n and K: "full" n/(n − K), all fixed effects counted, t(n − K);
        "nested" (n − 1)/(n − K), unit effects not counted, t(N − 1); "none"; "auto" = "nested" without `lag`, "full" with it
    radius_km : of the sphere

    Returns
    -------
    Estimate with inference "Conley"; ``detail["conley"]`` holds cutoff_km, kernel, lag, neighbours (mean number within the
    cutoff) and notes (codes): "negative_variance_clipped", "few_neighbours_within_cutoff" (less than one on average),
    "most_pairs_within_cutoff" (scores that sum to zero cancel, and the standard error is too small)

    Raises
    ------
    UsageError : negative cutoff or lag, unknown kernel or factor, `lag` where the rows are not kept
    DesignError : no influence functions
    DataError : coordinates that do not fit
    """
    _check(cutoff_km, kernel, lag, adjust)
    scores = _scores(est, lag)
    points = sums.embed(located(est.units, coordinates, degrees=degrees), degrees, radius_km)
    covariance, near = sums.spatial_sum(
        points, scores, float(cutoff_km), kernel, degrees=degrees, radius_km=radius_km
    )
    if lag:
        covariance = covariance + sums.serial_sum(scores, lag, own=False)
    factor, dof = _small_sample(est, ("nested" if lag is None else "full") if adjust == "auto" else adjust)
    covariance, clipped = sums.without_negative(_blank(est, covariance * factor))
    notes = ["negative_variance_clipped"] if clipped else []
    if cutoff_km > 0 and near < 1:
        notes.append("few_neighbours_within_cutoff")
    if 2 * near > est.n_units - 1:
        notes.append("most_pairs_within_cutoff")
    told = {
        "cutoff_km": float(cutoff_km),
        "kernel": kernel,
        "lag": lag,
        "degrees": degrees,
        "neighbours": near,
        "notes": notes,
    }
    return replace(
        est,
        covariance=covariance,
        dof=np.full(len(est), dof),
        inference="Conley",
        detail={**est.detail, "conley": told},
    )


def conley_curve(
    est: Estimate,
    coordinates: Coordinates,
    cutoffs_km: Sequence[float],
    *,
    kernel: Kernel = "bartlett",
    lag: int | None = None,
    degrees: bool = True,
) -> ConleyCurve:
    """Conley standard errors for several cutoffs; arguments as in `conley`.

    Raises
    ------
    UsageError : no cutoff
    """
    if not len(cutoffs_km):
        raise UsageError("거리가 하나도 없음", remedy="[10, 20, 50, 100] 처럼 km 로 적을 것")
    found = [conley(est, coordinates, c, kernel=kernel, lag=lag, degrees=degrees) for c in cutoffs_km]
    errors = np.stack([one.std_errors for one in found])
    cutoffs = np.asarray(cutoffs_km, dtype=np.float64)
    widest = cutoffs[np.where(np.isnan(errors), -np.inf, errors).argmax(axis=0)]
    near = np.array([one.detail["conley"]["neighbours"] for one in found])
    return ConleyCurve(cutoffs, errors, near, widest)


def conley_cutoff(
    est: Estimate,
    coordinates: Coordinates,
    *,
    term: int = 0,
    longest_km: float | None = None,
    bins: int = 40,
    degrees: bool = True,
) -> CutoffChoice:
    """The distance at which the scores of a term stop being correlated: first zero of their covariogram.

    Parameters
    ----------
    est, coordinates, degrees : as in `conley`
    term : position of the term
    longest_km : where the covariogram ends; None = half the largest distance
    bins : of equal width

    Raises
    ------
    UsageError : fewer than two bins, a length that is not positive
    DesignError : all units in one place
    """
    if bins < 2 or (longest_km is not None and not longest_km > 0):
        raise UsageError(
            f"공분산 도표의 구간 {bins}개, 길이 {longest_km} 로는 거리를 고를 수 없음",
            remedy="구간은 2개 이상, 길이는 0보다 크게 적을 것",
        )
    points = sums.embed(located(est.units, coordinates, degrees=degrees), degrees)
    score = _scores(est, None)[:, 0, term]
    if longest_km is None:
        reach = max(
            float(sums.between(points[i : i + 1], points, degrees).max())
            for i in np.unique(np.concatenate([points.argmin(axis=0), points.argmax(axis=0)]))
        )
        if reach == 0:
            raise DesignError(
                "모든 단위의 좌표가 같아 거리를 고를 수 없음",
                where=("coordinates",),
                remedy="단위마다 다른 좌표를 줄 것",
            )
        longest_km = reach / 2
    gram = sums.covariogram(points, score, float(longest_km), bins, degrees=degrees)
    cutoff, crossed = sums.zero_crossing(gram)
    return CutoffChoice(cutoff, crossed, gram)


def driscoll_kraay(est: Estimate, lag: int | None = None, *, adjust: bool = True) -> Estimate:
    """The estimate with Driscoll–Kraay standard errors, t(T − 1).

    Parameters
    ----------
    est : a two-way estimate as fitted, small enough that sums by period were kept
    lag : lags with Bartlett weights; None = ⌊4 (T/100)^(2/9)⌋
    adjust : factor (n − 1)/(n − K) T/(T − 1), as fixest

    Raises
    ------
    RefusalError : fewer than 20 periods, or no sums by period
    UsageError : negative lag
    """
    if "by_period" not in est.detail or not as_fitted(est):
        raise RefusalError(
            "기간별 점수 합이 이 추정에 없어 드리스콜·크라이 표준오차를 구할 수 없음",
            remedy="이원고정효과 추정을 합치기 전에 부르거나, 군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    by_period = np.asarray(est.detail["by_period"]) / est.n_units
    periods = int(est.detail["n_periods"])
    if periods < FEWEST_PERIODS:
        raise RefusalError(
            f"기간이 {periods}개뿐이라 드리스콜·크라이 표준오차가 크게 모자람 ({FEWEST_PERIODS}개 이상이어야 함)",
            where=("driscoll_kraay",),
            remedy="군집 잭나이프(cluster_jackknife)를 쓰거나, 지역이 많으면 conley 를 쓸 것",
        )
    if lag is None:
        lag = int(np.floor(4 * (periods / 100) ** (2 / 9)))
    if lag < 0:
        raise UsageError(f"시차 {lag} 이(가) 음수임", remedy="0 이상으로 적을 것")
    factor, _ = _small_sample(est, "full")
    n = int(est.detail["n_obs"])
    scale = factor * (n - 1) / n * periods / (periods - 1) if adjust else 1.0
    meat = sums.serial_sum(by_period[None], lag, own=True)
    detail = {**est.detail, "driscoll_kraay": {"lag": lag, "periods": periods}}
    return replace(
        est,
        covariance=_blank(est, scale * meat),
        dof=np.full(len(est), float(periods - 1)),
        inference="Driscoll-Kraay",
        detail=detail,
    )


def _check(cutoff_km: float, kernel: str, lag: int | None, adjust: str) -> None:
    if adjust not in ("auto", "full", "nested", "none"):
        raise UsageError(f"보정 {adjust!r} 은(는) 없음", remedy="auto, full, nested, none 중에서 고를 것")
    if kernel not in ("uniform", "bartlett"):
        raise UsageError(f"커널 {kernel!r} 은(는) 없음", remedy="bartlett 또는 uniform 으로 적을 것")
    if not (np.isfinite(cutoff_km) and cutoff_km >= 0):
        raise UsageError(
            f"거리 {cutoff_km!r} 이(가) 0 이상의 수가 아님",
            where=("cutoff_km",),
            remedy="km 로 적을 것; 고리의 바깥 반지름보다 짧지 않게 둘 것",
        )
    if lag is not None and lag < 0:
        raise UsageError(
            f"시차 {lag} 이(가) 음수임", where=("lag",), remedy="0 이상으로 적거나 비울 것(None)"
        )


def _scores(est: Estimate, lag: int | None) -> Floats:
    """Contributions to the estimate: of units (N, 1, k), or of units and periods (N, T, k)."""
    if est.influence is None:
        raise DesignError(
            "영향함수가 없는 추정이라 공간상관 표준오차를 구할 수 없음",
            remedy="군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    if lag is None:
        return np.nan_to_num(est.influence)[:, None, :] / est.n_units
    at = places(est)
    if "row_period" not in est.detail or at is None:
        raise UsageError(
            "단위와 기간별 점수가 이 추정에 없어 시차를 둔 공간상관 표준오차를 구할 수 없음",
            where=("lag",),
            remedy="이원고정효과 추정을 합치기 전에 부르거나, lag=None 으로 단위별 합을 쓸 것",
        )
    return row_scores(est, at)


def row_scores(est: Estimate, at: Sequence[int]) -> Floats:
    """Contribution of each unit and period to two-way terms, `at` their places in the fit  # (N, T, k)"""
    unit, period = np.asarray(est.detail["row_unit"]), np.asarray(est.detail["row_period"])
    wide = np.asarray(est.detail["rows"]) @ row_loadings(est, at)
    wide *= (np.asarray(est.detail["row_weight"]) * np.asarray(est.detail["row_residual"]))[:, None]
    out = np.zeros((est.n_units, int(period.max()) + 1, len(at)))
    out[unit, period] = wide
    return out


def row_loadings(est: Estimate, at: Sequence[int]) -> Floats:
    """(X'WX)⁻¹ columns of two-way terms; 0 for those that are not identified  # (P, k)"""
    inverse = np.linalg.inv(np.asarray(est.detail["gram"]).sum(axis=0))
    identified = np.flatnonzero(~np.isnan(np.asarray(est.detail["values"])))
    place = {int(term): int(column) for term, column in zip(identified, est.detail["positions"], strict=True)}
    out = np.zeros((len(inverse), len(at)))
    for k, term in enumerate(at):
        if term in place:
            out[:, k] = inverse[:, place[term]]
    return out


def _small_sample(est: Estimate, adjust: str) -> tuple[float, float]:
    """Factor and degrees of freedom; 1 and infinity where the estimate is no regression."""
    names = ("n_obs", "n_regressors", "n_units", "n_period_effects")
    if any(name not in est.detail for name in names):
        return 1.0, float(np.inf)
    n, own, units, periods = (int(est.detail[name]) for name in names)
    if adjust == "nested":
        return (n - 1) / max(n - own - periods, 1), float(max(est.n_units - 1, 1))
    left = max(n - own - units - (periods - 1), 1)
    return (1.0 if adjust == "none" else n / left), float(left)


def _blank(est: Estimate, covariance: Floats) -> Floats:
    """NaN where the term has no estimate or no standard error."""
    lost = np.isnan(est.values) | np.isnan(np.diag(est.covariance))
    out = covariance.copy()
    out[lost, :] = out[:, lost] = np.nan
    return out
