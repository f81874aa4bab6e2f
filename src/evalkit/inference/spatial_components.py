"""SCPC: t statistics from spatial-correlation principal components, valid under strong correlation over space.

Conley errors rest on correlation that dies out within the cutoff; where it does not (the average pairwise correlation is
of the order of 0.01 or more) they are too small. SCPC projects the scores on the q leading principal components of an
exponential worst case whose average pairwise correlation is ρ̄ and takes the critical value that holds for every weaker
correlation (Müller & Watson 2022, Econometrica; their program scpc). For the coefficients of a two-way regression whose
rows are kept the critical value also holds conditionally on the regressors (C-SCPC, Müller & Watson 2023, JBES), the larger
of the two counts. Numerics: `evalkit.arrays.spatial_components`.

Distances between all pairs are needed, so places are at most `MOST_LOCATIONS`. There is no approximation for more:
that of the authors' program mixes Euclidean and great-circle distances for latitude and longitude. Their program of 2024 also
read coordinates in the order of the columns of the data set; here the order is latitude, longitude.

Checked: the authors' Stata program (its numbers on simulated data), Monte Carlo, Student's t without correlation:
tests/reference/test_spatial_components.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays import spatial as sums
from evalkit.arrays.cluster import cluster_sums
from evalkit.arrays.spatial_components import (
    Basis,
    basis_of,
    conditional_weights,
    covariances,
    critical_value,
    rejection,
)
from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import EXACT, Estimate
from evalkit.inference.fitted import places
from evalkit.inference.locations import Coordinates, located
from evalkit.inference.reassignment import check_level
from evalkit.inference.spatial import row_loadings
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

MOST_LOCATIONS = 4_500
FEWEST_LOCATIONS = 5

CARDS = (
    MethodCard(
        function="spatial_components",
        name="공간상관 주성분 추론",
        english="spatial correlation robust inference by principal components (SCPC, C-SCPC)",
        group="spatial",
        question="오차가 먼 지역까지 강하게 함께 움직여도 신뢰구간을 믿을 수 있는가?",
        assumptions=(
            "모든 지역 쌍의 평균 상관이 정한 값(기본 0.03)을 넘지 않는다.",
            "상관이 거리에 따라 줄어드는 모습이 지수 함수의 묶음으로 나타난다.",
        ),
        returns="항마다 추정치, 표준오차, 임계값, p값, 신뢰구간(IntervalSet)",
        reference="Müller & Watson (2022, 2023)",
        oracle=("Stata scpc (Müller & Watson), 몬테카를로: tests/reference/test_spatial_components.py",),
        differs="임계값을 근 찾기로 구한다(원 프로그램은 0.001 에서 멈춤).",
        refuses="지역이 4,500곳보다 많으면 쓰지 않는다: 더 큰 지역으로 묶거나 conley 를 쓴다.",
    ),
)


@dataclass(frozen=True, slots=True)
class Places:
    """What `spatial_components` needs of the places, made once and used for many estimates (`spatial_places`).

    basis : weights and worst cases; correlation : ρ̄; labels : of the places in order  # (n,)
    """

    basis: Basis
    correlation: float
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpatialInference:
    """SCPC inference of every term.

    Attributes
    ----------
    estimate : what it was made for
    std_errors, critical, p_value : of each term; NaN where there is no score  # (k,)
    level : of the intervals; null : the value tested
    components : q; locations : places n; correlation : ρ̄
    decay_km : distance at which the worst case falls to 1/e
    conditional : whether the critical values also hold given the regressors, term by term  # (k,)
    notes : codes, such as "unconditional_only"
    """

    estimate: Estimate
    std_errors: Floats
    critical: Floats
    p_value: Floats
    level: float
    null: float
    components: int
    locations: int
    correlation: float
    decay_km: float
    conditional: NDArray[np.bool_]
    notes: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Columns of `Estimate.table`, with the critical value  # indexed by the terms"""
        half = self.critical * self.std_errors
        return pd.DataFrame(
            {
                "estimate": self.estimate.values,
                "std_error": self.std_errors,
                "conf_low": self.estimate.values - half,
                "conf_high": self.estimate.values + half,
                "p_value": self.p_value,
                "critical": self.critical,
            },
            index=self.estimate.terms,
        )

    def interval(self, term: int = 0) -> IntervalSet:
        """The confidence set of the term at this position.

        Raises
        ------
        DesignError : the term has no score
        """
        if not np.isfinite(self.std_errors[term]):
            raise DesignError(
                f"항 {self.estimate.terms[term]} 에는 공간상관 표준오차가 없음",
                remedy="표준오차가 있는 항을 고를 것",
            )
        value = float(self.estimate.values[term])
        half = float(self.critical[term] * self.std_errors[term])
        return IntervalSet(
            estimate=value,
            pieces=((value - half, value + half),),
            level=self.level,
            p_value=float(self.p_value[term]),
            method="C-SCPC" if self.conditional[term] else "SCPC",
            null=self.null,
            notes=self.notes,
            detail={
                "std_error": float(self.std_errors[term]),
                "critical": float(self.critical[term]),
                "components": self.components,
                "locations": self.locations,
                "average_correlation": self.correlation,
                "decay_km": self.decay_km,
            },
        )


def spatial_places(
    labels: NDArray[np.generic],
    coordinates: Coordinates,
    *,
    average_correlation: float = 0.03,
    degrees: bool = True,
) -> Places:
    """Principal components and worst cases of a set of places.

    Parameters
    ----------
    labels : of the places (``est.units`` or ``est.cluster_labels``)
    coordinates : in their order (n, 2), or label -> pair; latitude and longitude in degrees, or kilometres
    average_correlation : ρ̄, the largest average pairwise correlation that is guarded against, 0.001 to 0.99
    degrees : what the coordinates are

    Raises
    ------
    RefusalError : more than 4,500 places
    DesignError : fewer than 5, or so many at one point that their correlation alone is above ρ̄
    UsageError : ρ̄ out of range
    """
    n = len(labels)
    if not 0.001 <= average_correlation <= 0.99:
        raise UsageError(
            f"평균 상관 {average_correlation!r} 이(가) 0.001과 0.99 사이가 아님",
            where=("average_correlation",),
            remedy="기본값 0.03 을 쓸 것",
        )
    if n > MOST_LOCATIONS:
        raise RefusalError(
            f"장소가 {n:,}곳이라 모든 쌍의 거리를 다룰 수 없음 (최대 {MOST_LOCATIONS:,}곳)",
            where=("coordinates",),
            remedy="읍면동이나 시군구로 묶어 locations='cluster' 로 부르거나 conley 를 쓸 것",
        )
    if n < FEWEST_LOCATIONS:
        raise DesignError(
            f"장소가 {n}곳뿐이라 공간상관 주성분을 구할 수 없음",
            where=("coordinates",),
            remedy="단위를 장소로 쓰거나(locations='unit') 군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    points = sums.embed(located(labels, coordinates, degrees=degrees), degrees)
    distances = sums.between(points, points, degrees)
    together = (np.count_nonzero(distances == 0) - n) / (n * (n - 1))
    if together >= average_correlation:
        raise DesignError(
            f"같은 좌표에 있는 쌍이 {together:.1%} 라 평균 상관 {average_correlation} 을 맞출 수 없음",
            where=("coordinates",),
            remedy="같은 곳의 단위를 한 군집으로 묶어 locations='cluster' 로 부를 것",
        )
    basis = basis_of(distances, average_correlation)
    return Places(basis, average_correlation, tuple(str(label) for label in labels))


def spatial_components(
    est: Estimate,
    coordinates: Coordinates | Places,
    *,
    average_correlation: float = 0.03,
    level: float = 0.95,
    null: float = 0.0,
    locations: str = "unit",
    conditional: bool | None = None,
    degrees: bool = True,
) -> SpatialInference:
    """SCPC inference of an estimate, term by term.

    Parameters
    ----------
    est : any estimate with influence functions
    coordinates : of the units or clusters, as in `spatial_places`, or what it returned
    average_correlation : ρ̄; not read where `coordinates` is a `Places`
    level : of the intervals. The number of components is chosen at 95 %, whatever the level, as its authors do.
    null : value tested
    locations : "unit", or "cluster" where a cluster is one place (scores are summed over it)
    conditional : whether critical values must also hold given the regressors. None = where the estimate is a two-way
        regression as fitted whose rows are kept; else the note "unconditional_only" is set

    Raises
    ------
    UsageError : unknown locations or level, `conditional` where the rows are not kept
    DesignError, RefusalError : no influence functions, too few or too many places
    """
    check_level(level, null)
    if locations not in ("unit", "cluster"):
        raise UsageError(f"장소 단위 {locations!r} 은(는) 없음", remedy="unit 또는 cluster 로 적을 것")
    if est.influence is None:
        raise DesignError(
            "영향함수가 없는 추정이라 공간상관 주성분을 구할 수 없음",
            remedy="군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    labels = est.units if locations == "unit" else est.cluster_labels
    at = places(est) if "row_period" in est.detail else None
    if conditional and at is None:
        raise UsageError(
            "회귀의 행이 이 추정에 남아 있지 않아 조건부 임계값을 구할 수 없음",
            where=("conditional",),
            remedy="이원고정효과 추정을 합치기 전에 부르거나 conditional=False 로 부를 것",
        )
    found = _places(labels, coordinates, average_correlation, degrees)
    code = np.arange(est.n_units) if locations == "unit" else est.cluster
    errors = _std_errors(est, found.basis, code)
    given = None if conditional is False else at
    critical, p_value = _critical(est, found.basis, code, errors, given, level, null)
    return SpatialInference(
        estimate=est,
        std_errors=errors,
        critical=critical,
        p_value=p_value,
        level=level,
        null=null,
        components=found.basis.q,
        locations=len(labels),
        correlation=found.correlation,
        decay_km=float(1 / found.basis.grid[0]),
        conditional=np.full(len(est), given is not None),
        notes=("unconditional_only",) if given is None else (),
    )


def _std_errors(est: Estimate, basis: Basis, code: Codes) -> Floats:
    """Length of the scores in the components, over √(q n)  # (k,)"""
    n, q = len(basis.distances), basis.q
    assert est.influence is not None
    scores = cluster_sums(np.nan_to_num(est.influence), code, n) * (n / est.n_units)
    errors = np.linalg.norm(basis.weights[:, 1 : q + 1].T @ scores, axis=0) / np.sqrt(q * n)
    errors = np.where(errors > EXACT * np.abs(scores).max(axis=0, initial=0.0), errors, np.nan)
    errors[np.isnan(est.values) | np.isnan(np.diag(est.covariance))] = np.nan
    return errors


def _critical(
    est: Estimate,
    basis: Basis,
    code: Codes,
    errors: Floats,
    given: list[int] | None,
    level: float,
    null: float,
) -> tuple[Floats, Floats]:
    """Critical value and p-value of each term; `given` are its places in the two-way fit  # (k,), (k,)"""
    plain = basis.omegas[:, : basis.q + 1, : basis.q + 1]
    whole = critical_value(plain, 1 - level)
    critical, p_value = np.full(len(est), np.nan), np.full(len(est), np.nan)
    for j in np.flatnonzero(np.isfinite(errors)):
        worst = [plain] if given is None else [plain, _given(est, given[j], basis, code)]
        critical[j] = max(whole, *(critical_value(each, 1 - level) for each in worst[1:]), 0.0)
        tau = float(abs(est.values[j] - null) / errors[j])
        p_value[j] = max(float(rejection(each, tau).max()) for each in worst)
    return critical, p_value


def _places(
    labels: NDArray[np.generic], coordinates: Coordinates | Places, correlation: float, degrees: bool
) -> Places:
    if not isinstance(coordinates, Places):
        return spatial_places(labels, coordinates, average_correlation=correlation, degrees=degrees)
    if coordinates.labels != tuple(str(label) for label in labels):
        raise UsageError(
            f"미리 만든 장소 {len(coordinates.labels)}곳이 추정의 단위 {len(labels)}개와 다르거나 순서가 다름",
            where=("coordinates",),
            remedy="이 추정의 units(또는 cluster_labels)로 spatial_places 를 다시 부를 것",
        )
    return coordinates


def _given(est: Estimate, term: int, basis: Basis, code: Codes) -> Floats:
    """Ω of the statistic given the regressors: rows multiplied by √weight, unit means taken out  # (m, q + 1, q + 1)"""
    unit = np.asarray(est.detail["row_unit"])
    root = np.sqrt(np.asarray(est.detail["row_weight"]))
    rows = np.asarray(est.detail["rows"]) * root[:, None]
    loading = rows @ row_loadings(est, [term])[:, 0]
    effects = root / np.sqrt(np.bincount(unit, root**2, minlength=est.n_units))[unit]
    weights = conditional_weights(basis.weights[:, : basis.q + 1], loading, code[unit], rows, unit, effects)
    return covariances(basis.distances, basis.grid, weights / np.linalg.norm(weights[:, 0]))
