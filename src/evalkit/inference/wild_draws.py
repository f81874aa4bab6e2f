"""Draws of the wild cluster bootstrap for many hypotheses and outcomes under the same weights, and its joint (Wald) test.

The draws keep the dependence between terms and between outcomes, which step-down tests of many outcomes need (Romano &
Wolf 2005). The joint test is that of Roodman, MacKinnon, Nielsen & Webb (2019, section 4.2): the Wald statistic with its own
cluster-robust covariance in every draw, the null imposed on all its restrictions together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays import wild_bootstrap as arrays
from evalkit.arrays.wild_bootstrap import Pieces
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.moments import hypotheses
from evalkit.inference.robust import DEFAULT, SmallSample
from evalkit.inference.wild import Kind, check_options
from evalkit.inference.wild_plan import (
    SEED,
    Weights,
    factor_of,
    linear_only,
    nulls,
    plan_of,
    prepared,
    smallest,
)
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="wild_joint",
        name="와일드 군집 부트스트랩 결합 검정",
        english="wild cluster bootstrap Wald test",
        group="clusters",
        question="군집이 적을 때 여러 항이 모두 0이라는 가설을 기각할 수 있는가?",
        assumptions=("군집 사이에는 오차가 서로 무관하다.", "검정하는 항의 수가 군집 수보다 훨씬 적다."),
        returns="WildJoint (통계량과 p값)",
        reference="Roodman, MacKinnon, Nielsen & Webb (2019)",
        oracle=("행을 직접 다시 뽑은 회귀: tests/reference/test_wild_bootstrap.py",),
    ),
)


@dataclass(frozen=True, slots=True)
class WildDraws:
    """Draws of t* for several hypotheses under the same weights.

    Attributes
    ----------
    labels : name of each hypothesis, with the number of its estimate where several were given
    values, std_errors : estimates, and the standard errors in the t statistics  # (m,)
    t : t statistics of the sample  # (m,)
    t_star : draws  # (B, m); where `exact` the mirror images −t* of the other half of the sign patterns are left out
    method, weights : which bootstrap, which weights
    exact : sign patterns were enumerated
    smallest_p : smallest two-sided p-value  # (m,)
    """

    labels: tuple[str, ...]
    values: Floats
    std_errors: Floats
    t: Floats
    t_star: Floats
    method: str
    weights: str
    exact: bool
    smallest_p: Floats

    @property
    def p_values(self) -> Floats:
        """Two-sided, ties and the sample itself counted  # (m,)"""
        beyond = (np.abs(self.t_star) >= np.abs(self.t) * (1 - 1e-12)).sum(axis=0)
        draws = len(self.t_star)
        found = beyond / draws if self.exact else (1 + beyond) / (draws + 1)
        out: Floats = np.maximum(found, self.smallest_p)
        return out


@dataclass(frozen=True, slots=True)
class WildJoint:
    """A joint test.

    Attributes
    ----------
    statistic : Wald statistic over its number of restrictions
    df : number of restrictions
    p_value, smallest_p : with ties and the sample itself counted
    method, weights, exact, draws : as in `WildDraws`
    labels : the restrictions
    """

    statistic: float
    df: int
    p_value: float
    smallest_p: float
    method: str
    weights: str
    exact: bool
    draws: int
    labels: tuple[str, ...]


def _clusters_of(estimates: Sequence[Estimate]) -> tuple[int, list[NDArray[np.int64]]]:
    """How many clusters there are in all, and where those of each estimate stand among them."""
    place: dict[str, int] = {}
    for est in estimates:
        for label in est.cluster_labels:
            place.setdefault(str(label), len(place))
    return len(place), [np.array([place[str(label)] for label in est.cluster_labels]) for est in estimates]


def wild_draws(
    est: Estimate | Sequence[Estimate],
    terms: ArrayLike | None = None,
    *,
    contrast: ArrayLike | None = None,
    null: ArrayLike = 0.0,
    kind: Kind = "WCR-S",
    weights: Weights = "auto",
    draws: int = 9_999,
    seed: int = SEED,
    enumerate_patterns: bool | None = None,
    ssc: SmallSample = DEFAULT,
) -> WildDraws:
    """Draws of t* of every hypothesis under the same weights.

    Parameters
    ----------
    est : one estimate or several (outcomes); clusters are matched by label, so that a cluster has the same weight
        in each of them
    terms, contrast : as in `wild_bootstrap`, the same for each estimate
    null : one value, or one for each hypothesis, estimate by estimate
    kind, weights, draws, seed, enumerate_patterns, ssc : as in `wild_bootstrap`

    Raises
    ------
    as `wild_bootstrap`
    """
    check_options(kind, "two-sided", 0.95)
    estimates = [est] if isinstance(est, Estimate) else list(est)
    if not estimates:
        raise UsageError("추정이 하나도 없음", remedy="추정을 하나 이상 넘길 것")
    clusters, where = _clusters_of(estimates)
    plan = plan_of(weights, clusters, draws, seed, enumerate_patterns)
    asked = [linear_only(hypotheses(one, terms, contrast, method=kind)) for one in estimates]
    values = np.concatenate([one.values for one in asked])
    against = nulls(null, len(values))
    ready = [(e, prepared(one, i, kind)) for e, one in enumerate(asked) for i in range(len(one.rows))]
    x = (values - against) / np.array([np.sqrt(p.variance[0, 0]) for _, p in ready])
    shrink = np.array([factor_of(estimates[e], kind, ssc) for e, _ in ready])
    t_star = np.concatenate([_block(block, ready, where, x) for block in plan.blocks()]) / np.sqrt(shrink)
    names = [
        f"{e}:{label}" if len(estimates) > 1 else label for e, one in enumerate(asked) for label in one.labels
    ]
    return WildDraws(
        labels=tuple(names),
        values=values,
        std_errors=np.array([np.sqrt(p.variance[0, 0]) for _, p in ready]) * np.sqrt(shrink),
        t=x / np.sqrt(shrink),
        t_star=t_star,
        method=kind,
        weights=plan.weights,
        exact=plan.exact,
        smallest_p=np.array([smallest(plan, estimates[e].n_clusters) for e, _ in ready]),
    )


def _block(
    block: Floats, ready: list[tuple[int, Pieces]], where: list[NDArray[np.int64]], x: Floats
) -> Floats:
    """t* of one block of weights, before small-sample factors  # (b, m)"""
    out = np.empty((len(block), len(ready)))
    for i, (e, piece) in enumerate(ready):
        a, c, q0, q1, q2 = arrays.curves(block[:, where[e]], piece)
        top = a + c * x[i]
        below = np.sqrt(np.maximum(q0 + x[i] * (q1 + x[i] * q2), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            out[:, i] = np.where(top == 0, 0.0, top / below)
    return out


def wild_joint(
    est: Estimate,
    terms: ArrayLike | None = None,
    *,
    contrast: ArrayLike | None = None,
    null: ArrayLike = 0.0,
    kind: Kind = "WCR-S",
    weights: Weights = "auto",
    draws: int = 9_999,
    seed: int = SEED,
    enumerate_patterns: bool | None = None,
    ssc: SmallSample = DEFAULT,
) -> WildJoint:
    """Test that terms (or combinations) have given values together, such as no pre-trend.

    Parameters
    ----------
    est, terms, contrast, kind, weights, draws, seed, enumerate_patterns, ssc : as in `wild_bootstrap`
    null : one value, or one for each restriction

    Raises
    ------
    DesignError : as many restrictions as clusters, restrictions that repeat one another
    and as `wild_bootstrap`
    """
    check_options(kind, "two-sided", 0.95)
    plan = plan_of(weights, est.n_clusters, draws, seed, enumerate_patterns)
    asked = linear_only(hypotheses(est, terms, contrast, method=f"{kind} 결합 검정"))
    q = len(asked.rows)
    if q >= est.n_clusters:
        raise DesignError(
            f"제약 {q}개를 군집 {est.n_clusters}개로 함께 검정할 수 없음 (제약이 군집보다 적어야 함)",
            remedy="제약을 줄이거나(가까운 시점끼리 묶기) 더 잘게 나뉜 군집 변수를 쓸 것",
        )
    if np.linalg.matrix_rank(asked.rows) < q:
        raise DesignError("함께 검정할 제약이 서로 겹침", remedy="다른 제약의 조합인 줄을 뺄 것")
    gap = asked.values - nulls(null, q)
    piece = prepared(asked, np.arange(q), kind)
    actual = float(arrays.quadratic(gap[None, :], piece.variance[None, :, :])[0])
    beyond = sum(
        int((arrays.joint_statistics(block, piece, gap) >= actual * (1 - 2e-12)).sum())
        for block in plan.blocks()
    )
    floor = smallest(plan, est.n_clusters)
    found = beyond / plan.size if plan.exact else (1 + beyond) / (plan.size + 1)
    return WildJoint(
        statistic=actual / factor_of(est, kind, ssc) / q,
        df=q,
        p_value=max(found, floor),
        smallest_p=floor,
        method=kind,
        weights=plan.weights,
        exact=plan.exact,
        draws=2 * plan.size if plan.exact else plan.size,
        labels=asked.labels,
    )
