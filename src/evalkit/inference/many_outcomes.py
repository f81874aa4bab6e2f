"""Many outcomes: p-values and false discovery rates that hold for a family.

A family is a set of outcomes that answer one question (jobs, sales, relocation), fixed in the plan before results are
read. Within it `romano_wolf` and `westfall_young` keep the chance of any false rejection at α, `sharpened_q` the share of
false ones among the rejected; `holm` and `benjamini_hochberg` need only p-values. They take any statistics with joint draws: wild
bootstrap t*, permutations, or those that `family_test` makes itself from the influence functions or the delete-one-cluster
estimates of any estimator, with the same sign for a cluster in every outcome:

    T*_b = Σ_c v_c d_c,   t*_b = T*_b / √(C/(C − 1) Σ_c (v_c d_c − mean)²),

d_c the sum of the influence function over cluster c by N, or −(C − 1)/C (θ(−c) − θ̂). Outcomes may have different units; clusters are
joined by label. Up to 16 clusters all 2^(C−1) sign patterns are used. The null is not imposed on the estimates: with few treated clusters
wild bootstrap draws with the null imposed, or permutations, are the better ones to hand in.

Sources and checks: `evalkit.arrays.stepdown`, tests/reference/test_many_outcomes.py, tests/recovery/test_rigour_M17.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays import stepdown as steps
from evalkit.arrays.cluster import cluster_sums
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.counts import ClusterCounts
from evalkit.inference.refit import only_term
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Source = Literal["auto", "replicates", "influence"]

# clusters up to which all sign patterns are used
ENUMERATED = 16
# clusters on the smaller side below which sign changes find too much
FEWEST = 5

CARDS = (
    MethodCard(
        function="family_test",
        name="결과 묶음의 다중검정",
        english="Romano–Wolf and Westfall–Young stepdown tests of a family of outcomes",
        group="many",
        question="결과를 여럿 보았어도 이 결과의 효과는 우연이 아닌가?",
        assumptions=(
            "결과 묶음은 결과를 보기 전에 계획서에서 정했다.",
            "군집끼리는 서로 독립이다.",
        ),
        returns="결과마다 p값(그대로, Romano–Wolf, Westfall–Young, Holm)과 q값(BH, sharpened), 묶음의 결합 p값",
        reference="Romano & Wolf (2005, 2016); Westfall & Young (1993); Anderson (2008)",
        oracle=(
            "pyfixest 0.60 rwolf·wyoung, statsmodels 0.15, 부분집합 전수 계산: tests/reference/test_many_outcomes.py",
            "14개 군집 모의실험: tests/recovery/test_rigour_M17.py",
        ),
        differs="동률도 센다(>=); 군집이 16개 이하이면 부호를 모두 센다.",
        refuses="한쪽의 군집이 5개보다 적을 때(counts 를 주면): 재배정한 통계량을 romano_wolf 에 준다.",
    ),
    MethodCard(
        function="sharpened_q",
        name="선명화한 q값",
        english="sharpened two-stage false discovery rate q-values",
        group="many",
        question="유의하다고 고른 결과 가운데 잘못 고른 것의 비율은 얼마까지인가?",
        assumptions=("p값이 서로 독립이거나 양의 방향으로 함께 움직인다.",),
        returns="q값 (0.001 간격)",
        reference="Benjamini, Krieger & Yekutieli (2006); Anderson (2008)",
        oracle=("정의를 그대로 옮긴 계산, statsmodels fdr_tsbky: tests/reference/test_many_outcomes.py",),
    ),
)


@dataclass(frozen=True, slots=True)
class Family:
    """Tests of one family.

    Attributes
    ----------
    name, outcomes : as given  # m outcomes
    values, statistics : estimates and their t  # (m,)
    p_value : unadjusted, from the same draws  # (m,)
    romano_wolf, westfall_young, holm : p-values that hold for the family  # (m,)
    benjamini_hochberg, sharpened_q : false discovery rates  # (m,)
    joint_p : of the null that no outcome is affected (largest |t|)
    """

    name: str
    outcomes: tuple[str, ...]
    values: Floats
    statistics: Floats
    p_value: Floats
    romano_wolf: Floats
    westfall_young: Floats
    holm: Floats
    benjamini_hochberg: Floats
    sharpened_q: Floats
    joint_p: float

    def table(self) -> pd.DataFrame:
        """One line an outcome."""
        names = ("p_value", "romano_wolf", "westfall_young", "holm", "benjamini_hochberg", "sharpened_q")
        columns = {"estimate": self.values, "statistic": self.statistics}
        columns |= {name: getattr(self, name) for name in names}
        return pd.DataFrame(columns, index=pd.Index(self.outcomes, name="outcome"))


@dataclass(frozen=True, slots=True)
class FamilyTests:
    """What `family_test` gives.

    Attributes
    ----------
    families : in the order given
    draws : sign patterns or draws; enumerated : every pattern was used
    clusters : of all outcomes together
    smallest_p : the smallest p-value that these draws can give
    source : "replicates" or "influence"
    notes : codes, such as "no_rejection_possible"
    """

    families: tuple[Family, ...]
    draws: int
    enumerated: bool
    clusters: int
    smallest_p: float
    source: str
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Family:
        for family in self.families:
            if family.name == name:
                return family
        raise KeyError(name)


def _joint(statistics: ArrayLike, draws: ArrayLike) -> tuple[Floats, Floats]:
    """|statistics| (m,) and |draws| (B, m), checked."""
    size = np.abs(np.atleast_1d(np.asarray(statistics, dtype=np.float64)))
    many = np.abs(np.asarray(draws, dtype=np.float64))
    if many.ndim != 2 or size.ndim != 1 or many.shape[1] != len(size) or not len(many):
        raise UsageError(
            f"통계량 {size.shape} 과 재표집 값 {many.shape} 의 크기가 맞지 않음",
            where=("draws",),
            remedy="통계량은 (m,), 재표집 값은 (B, m) 으로 줄 것",
        )
    bad = np.isnan(many) & ~np.isnan(size)
    if bad.any() or np.isinf(size).any():
        raise DataError(
            f"재표집 값에 빈 값이 {int(bad.sum())}개 있거나 통계량이 무한대임",
            where=("draws",),
            remedy="그 결과를 빼거나 모든 재표집에서 값이 나오는 통계량을 쓸 것",
        )
    return size, np.where(np.isnan(many), -np.inf, many)


def romano_wolf(statistics: ArrayLike, draws: ArrayLike, *, includes_actual: bool = False) -> Floats:
    """Stepdown p-values that hold for all hypotheses together  # (m,)

    Parameters
    ----------
    statistics : t statistics, two-sided; NaN = not tested  # (m,)
    draws : the same statistics under the null, drawn jointly  # (B, m)
    includes_actual : the draws hold the actual assignment (enumerated permutations): p = #/B, else (1 + #)/(B + 1)

    Raises
    ------
    UsageError : shapes that do not fit
    DataError : NaN among the draws

    Examples
    --------
    >>> romano_wolf([3.0, 1.0], [[0.5, 2.0], [1.5, 0.2], [0.1, 0.3]]).tolist()
    [0.25, 0.5]
    """
    return steps.stepdown(*_joint(statistics, draws), includes_actual)


def westfall_young(
    statistics: ArrayLike,
    draws: ArrayLike,
    *,
    method: Literal["min_p", "max_t"] = "min_p",
    includes_actual: bool = False,
) -> Floats:
    """Westfall–Young stepdown p-values  # (m,)

    Parameters
    ----------
    statistics, draws, includes_actual : as in `romano_wolf`
    method : "max_t" is `romano_wolf`; "min_p" compares p-values, each outcome's ranks among its own draws, so that outcomes
        whose statistics have other distributions weigh the same

    Raises
    ------
    UsageError, DataError : as in `romano_wolf`
    """
    if method not in ("min_p", "max_t"):
        raise UsageError(f"방법 {method!r} 은(는) 없음", remedy="min_p 또는 max_t 로 적을 것")
    size, many = _joint(statistics, draws)
    if method == "max_t":
        return steps.stepdown(size, many, includes_actual)
    own, each = steps.ranks(size, many, True)
    return steps.stepdown(1 - own, 1 - each, includes_actual)


def joint_randomisation(
    statistics: ArrayLike,
    draws: ArrayLike,
    *,
    method: Literal["max_t", "wald"] = "max_t",
    includes_actual: bool = False,
) -> float:
    """One p-value for the null that no outcome of the family is affected.

    Parameters
    ----------
    statistics, draws, includes_actual : as in `romano_wolf`; signs are kept for "wald"
    method : "max_t" = largest |t|; "wald" = t'R⁻¹t with R the second moments of the draws (Young 2019)

    Raises
    ------
    UsageError, DataError : as in `romano_wolf`; all statistics NaN
    """
    size, many = _joint(statistics, draws)
    known = ~np.isnan(size)
    if not known.any():
        raise DataError("통계량이 모두 비어 있음", remedy="값이 있는 결과를 하나 이상 줄 것")
    if method == "wald":
        signed, all_signed = np.asarray(statistics, float)[known], np.asarray(draws, float)[:, known]
        inverse = np.linalg.pinv(all_signed.T @ all_signed / len(all_signed), rcond=1e-10, hermitian=True)
        actual = np.array([signed @ inverse @ signed])
        drawn = np.einsum("bi,ij,bj->b", all_signed, inverse, all_signed)[:, None]
    elif method == "max_t":
        actual, drawn = size[known].max(keepdims=True), many[:, known].max(axis=1, keepdims=True)
    else:
        raise UsageError(f"방법 {method!r} 은(는) 없음", remedy="max_t 또는 wald 로 적을 것")
    return float(steps.single(actual, drawn, includes_actual)[0])


def _probabilities(p_values: ArrayLike) -> Floats:
    p = np.atleast_1d(np.asarray(p_values, dtype=np.float64))
    bad = (p < 0) | (p > 1)
    if p.ndim != 1 or bad.any():
        raise DataError(
            f"p값 {p[bad][:1]} 이(가) 0과 1 사이가 아님", remedy="0과 1 사이의 p값을 한 줄로 줄 것"
        )
    return p


def sharpened_q(p_values: ArrayLike) -> Floats:
    """Sharpened two-stage q-values (Anderson 2008), on the published grid of 0.001; NaN stays NaN  # (m,)

    Raises
    ------
    DataError : a value outside 0–1

    Examples
    --------
    >>> sharpened_q([0.001, 0.02, 0.6]).tolist()
    [0.004, 0.021, 0.25]
    """
    return steps.sharpened(_probabilities(p_values))


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Benjamini–Hochberg q-values; NaN stays NaN  # (m,)"""
    return steps.benjamini_hochberg(_probabilities(p_values))


def holm(p_values: ArrayLike) -> Floats:
    """Holm's p-values; NaN stays NaN  # (m,)"""
    return steps.holm(_probabilities(p_values))


def family_test(
    estimates: Mapping[str, Estimate],
    families: Mapping[str, Sequence[str]],
    *,
    draws: int = 9_999,
    seed: int = 20180301,
    source: Source = "auto",
    counts: ClusterCounts | None = None,
) -> FamilyTests:
    """Tests of families of outcomes whose estimates share clusters, for any estimator.

    Parameters
    ----------
    estimates : outcome -> estimate with one term; units may differ, clusters are joined by their labels
    families : name -> outcomes; an outcome may stand in several
    draws, seed : used with more than 16 clusters; all sign patterns otherwise
    source : what the draws are made of; "auto" = delete-one-cluster estimates where every outcome has them, else influence functions

    counts : clusters by treatment (`cluster_counts`), so that too few on a side are refused

    Raises
    ------
    RefusalError : fewer than 5 clusters on a side: with 3 of 14 treated, one family in six has a false finding
    UsageError : an outcome without an estimate, an empty family, an estimate with several terms
    DesignError : one cluster, or the source is not held by every estimate
    """
    wanted = list(dict.fromkeys(name for members in families.values() for name in members))
    absent = [name for name in wanted if name not in estimates]
    if absent or not wanted or not all(len(members) for members in families.values()):
        raise UsageError(
            f"묶음 {', '.join(families) or '(없음)'} 에 결과가 없거나 추정이 없는 결과가 있음: {', '.join(absent)}",
            where=("families",),
            remedy=f"추정이 있는 결과 이름만 적을 것: {', '.join(estimates)}",
        )
    if counts is not None and counts.fewest < FEWEST:
        raise RefusalError(
            f"처치군과 비교군 가운데 적은 쪽의 군집이 {counts.fewest}개라 부호를 바꾸는 다중검정이 수준을 지키지 못함",
            where=("family_test",),
            remedy="처치를 다시 배정한 통계량(randomisation_draws)을 romano_wolf 에 줄 것",
        )
    if draws < 99:
        raise UsageError(f"추출 횟수 {draws} 이(가) 너무 적음", remedy="적어도 99, 보통 9999 로 적을 것")
    chosen = {name: estimates[name] for name in wanted}
    values = np.array([only_term(one) for one in chosen.values()])
    used = _source(chosen, source)
    labels, parts, clusters = _parts(chosen, used)
    sums = steps.signed_sums(parts, draws, seed, ENUMERATED)
    drawn = steps.studentised(sums, parts, clusters)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(clusters / (clusters - 1) * np.square(parts).sum(axis=0))
        statistics = np.where(error > 0, values / error, np.nan)
    place = {name: k for k, name in enumerate(wanted)}
    made = tuple(
        _family(name, tuple(members), [place[m] for m in members], values, statistics, drawn)
        for name, members in families.items()
    )
    smallest = 1 / (len(drawn) + 1)
    enumerated = len(labels) <= ENUMERATED
    notes = ["no_rejection_possible"] if smallest > 0.05 else []
    if np.isnan(statistics).any():
        notes.append("outcome_without_variance")
    return FamilyTests(made, len(drawn), enumerated, len(labels), smallest, used, tuple(notes))


def _family(
    name: str, members: tuple[str, ...], at: list[int], values: Floats, statistics: Floats, drawn: Floats
) -> Family:
    t, draws = statistics[at], drawn[:, at]
    size, many = _joint(t, draws)
    alone = steps.single(size, many, False)
    return Family(
        name=name,
        outcomes=members,
        values=values[at],
        statistics=t,
        p_value=alone,
        romano_wolf=steps.stepdown(size, many, False),
        westfall_young=westfall_young(t, draws),
        holm=steps.holm(alone),
        benjamini_hochberg=steps.benjamini_hochberg(alone),
        sharpened_q=steps.sharpened(alone),
        joint_p=joint_randomisation(t, draws) if not np.isnan(t).all() else float("nan"),
    )


def _source(estimates: Mapping[str, Estimate], source: Source) -> str:
    if source not in ("auto", "replicates", "influence"):
        raise UsageError(
            f"재표집의 근거 {source!r} 은(는) 없음", remedy="auto, replicates, influence 중에서 고를 것"
        )
    for way in ("replicates", "influence") if source == "auto" else (source,):
        held = [getattr(one, way) for one in estimates.values()]
        if all(array is not None and np.isfinite(array).all() for array in held):
            return way
    raise DesignError(
        "모든 결과의 추정이 함께 가진 영향함수나 군집을 뺀 값이 없음",
        where=("estimates",),
        remedy="통계량과 재표집 값을 만들어 romano_wolf 에 직접 줄 것",
    )


def _parts(estimates: Mapping[str, Estimate], source: str) -> tuple[list[str], Floats, NDArray[np.int64]]:
    """Labels of all clusters, d_c of each outcome (C, m), clusters of each outcome (m,)."""
    labels = sorted({str(label) for one in estimates.values() for label in one.cluster_labels})
    clusters = np.array([one.n_clusters for one in estimates.values()], dtype=np.int64)
    if clusters.min() < 2:
        raise DesignError(
            "군집이 하나뿐인 결과가 있어 묶음을 검정할 수 없음", remedy="더 잘게 나뉜 군집 변수를 쓸 것"
        )
    row = {label: i for i, label in enumerate(labels)}
    parts = np.zeros((len(labels), len(estimates)))
    for k, one in enumerate(estimates.values()):
        if source == "replicates":
            assert one.replicates is not None
            part = -(one.n_clusters - 1) / one.n_clusters * (one.replicates - one.values)[:, 0]
        else:
            assert one.influence is not None
            part = cluster_sums(one.influence, one.cluster, one.n_clusters)[:, 0] / one.n_units
        parts[[row[str(label)] for label in one.cluster_labels], k] = part
    return labels, parts, clusters
