"""Uniform bands: all terms at once inside, with the stated probability.

`uniform_band` is the plug-in sup-t band (Montiel Olea & Plagborg-Møller 2019): the critical value is a quantile of
max_k |Z_k|/s with Z ~ N(0, R̂), s² ~ χ²(ν)/ν, R̂ the correlation of the estimate's own covariance, so it works with
any inference, the cluster jackknife with few clusters included. `multiplier_bootstrap` follows R package did
(``mboot``): Rademacher multipliers on cluster sums, IQR standard errors, type-1 quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from evalkit.arrays.cluster import cluster_sums
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate

Floats = NDArray[np.float64]
# clusters × draws handled at a time
BLOCK = 1 << 23
WEBB = np.array([-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)])


@dataclass(frozen=True, slots=True)
class Band:
    """A uniform band.

    low, high : (k,), NaN for terms without a variance; critical : multiplier of the standard errors
    """

    low: Floats
    high: Floats
    critical: float
    level: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What `multiplier_bootstrap` gives.

    estimate : with the bootstrap covariance; band : uniform band; draws, weights : how it was made
    """

    estimate: Estimate
    band: Band
    draws: int
    weights: str


def _usable(est: Estimate) -> NDArray[np.int64]:
    variance = np.diag(est.covariance)
    with np.errstate(invalid="ignore"):
        usable = np.flatnonzero((variance > 0) & np.isfinite(est.values))
    if not len(usable):
        raise DesignError(
            "분산이 있는 항이 하나도 없어 동시신뢰대를 만들 수 없음",
            remedy="다른 추론 방법을 고르거나 군집을 늘릴 것",
        )
    return usable


def _band(est: Estimate, critical: float, level: float) -> Band:
    errors = est.std_errors
    half = np.where(errors > 0, critical * errors, np.nan)
    return Band(est.values - half, est.values + half, critical, level)


def _check(level: float, draws: int) -> None:
    if not 0 < level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
    if draws < 100:
        raise UsageError(
            f"추출 횟수 {draws} 이(가) 너무 적음", remedy="적어도 100, 보통 9999 이상으로 적을 것"
        )


def uniform_band(est: Estimate, level: float = 0.95, draws: int = 50_000, seed: int = 20180301) -> Band:
    """Sup-t band from the estimate's own covariance and degrees of freedom; the same seed gives the same band.

    Terms without a variance (the reference period) stay out. With terms of different degrees of freedom the smallest
    is used. The critical value is never below the pointwise one.

    Raises
    ------
    DesignError : no term has a variance
    """
    _check(level, draws)
    at = _usable(est)
    errors = est.std_errors[at]
    correlation = est.covariance[np.ix_(at, at)] / errors[:, None] / errors[None, :]
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.Generator(np.random.Philox(seed))
    dof = float(np.nanmin(est.dof[at]))
    normal = rng.standard_normal((draws, len(at)))
    largest = np.abs(normal @ root.T).max(axis=1)
    tail = 1 - (1 - level) / 2
    if np.isfinite(dof):
        largest /= np.sqrt(rng.chisquare(dof, draws) / dof)
        pointwise = float(stdtrit(dof, tail))
    else:
        pointwise = float(ndtri(tail))
    critical = max(float(np.quantile(largest, level, method="inverted_cdf")), pointwise)
    return _band(est, critical, level)


def multiplier_bootstrap(
    est: Estimate,
    draws: int = 9_999,
    seed: int = 20180301,
    weights: Literal["rademacher", "webb"] = "rademacher",
    level: float = 0.95,
) -> Bootstrap:
    """Multiplier bootstrap of the influence functions by cluster, in the conventions of R package did.

    Parameters
    ----------
    est : an estimate with influence functions
    draws, seed : number of draws; the same seed gives the same draws on any machine
    weights : "rademacher" (±1) or "webb" (six points, for few clusters)

    Raises
    ------
    DesignError : no influence functions, or no term with a variance
    """
    _check(level, draws)
    if weights not in ("rademacher", "webb"):
        raise UsageError(
            f"부트스트랩 가중치 {weights!r} 은(는) 없음", remedy="rademacher 또는 webb 로 적을 것"
        )
    if est.influence is None:
        raise DesignError(
            "영향함수가 없는 추정이라 승수 부트스트랩을 할 수 없음",
            remedy="군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    sums = cluster_sums(est.influence, est.cluster, est.n_clusters) / est.n_units
    known = np.flatnonzero(np.isfinite(sums).all(axis=0) & (sums != 0).any(axis=0))
    if not len(known):
        raise DesignError(
            "영향함수가 모두 0이라 승수 부트스트랩을 할 수 없음", remedy="추정 결과를 확인할 것"
        )
    drawn = _multiply(np.ascontiguousarray(sums[:, known]), draws, seed, weights)
    low, high = np.quantile(drawn, [0.25, 0.75], axis=0, method="inverted_cdf")
    errors = (high - low) / (ndtri(0.75) - ndtri(0.25))
    critical = float(np.quantile(np.abs(drawn / errors).max(axis=1), level, method="inverted_cdf"))
    covariance = np.full((len(est), len(est)), np.nan)
    correlation = np.atleast_2d(np.corrcoef(drawn, rowvar=False))
    covariance[np.ix_(known, known)] = errors[:, None] * correlation * errors[None, :]
    still = np.flatnonzero((est.influence == 0).all(axis=0))
    covariance[np.ix_(still, still)] = 0.0
    result = replace(est, covariance=covariance, dof=np.full(len(est), np.inf), inference="bootstrap")
    return Bootstrap(result, _band(result, critical, level), draws, weights)


def _multiply(sums: Floats, draws: int, seed: int, weights: str) -> Floats:
    """Σ_c v_c sums_c for each draw  # (B, k)"""
    rng = np.random.Generator(np.random.Philox(seed))
    clusters = len(sums)
    out = np.zeros((draws, sums.shape[1]))
    step = max(8, BLOCK // draws // 8 * 8)
    for low in range(0, clusters, step):
        part = sums[low : low + step]
        if weights == "webb":
            out += WEBB[rng.integers(0, 6, (draws, len(part)))] @ part
            continue
        width = -(-len(part) // 8)
        bits = np.unpackbits(
            np.frombuffer(rng.bytes(draws * width), dtype=np.uint8).reshape(draws, width),
            axis=1,
            count=len(part),
        )
        # ±1 = 2·bit − 1; single precision inside a block, double precision across blocks
        out += 2.0 * (bits.astype(np.float32) @ part.astype(np.float32)) - part.sum(axis=0)
    return out
