"""Score and linearised wild bootstrap: p-values with few clusters for Poisson, logit and any estimate with influence functions.

A draw never fits the nonlinear model again:

    KS       t* = Σ v_cC_c / (Σ v_c²C_c²)^½, C_c the sum of the influence functions of cluster c over N: the score
             bootstrap of Kline & Santos (2012) without the null imposed, for any estimate
    KS-J     the same with C_c = θ̂ − θ̂₍c₎ from the exact fits without each cluster, which allow for leverage
    WCLR-C, WCLR-S, WCLU-C, WCLU-S
             the wild bootstrap of the likelihood linearised at θ̂ (MacKinnon, Nielsen & Webb 2024, "Cluster-robust jackknife and
             bootstrap inference for logistic regression models"): A_c is the Hessian of cluster c, s_c its score, and
             everything else is `evalkit.arrays.wild_bootstrap`. R imposes the null, S takes scores without cluster c

Where it differs: MacKinnon, Nielsen & Webb and Stata's boottest evaluate scores and Hessian of restricted bootstraps at
the restricted estimate; here the restricted score is one Newton step from the unrestricted one, because an Estimate holds
no restricted fit. For least squares the two are the same and WCLR-C is WCR-C. Far from the null they drift apart, so an
interval that is wide on the log scale is approximate. KS and KS-J do not impose the null and reject too often with few treated
clusters (12–29 % and 7–13 % of 5 % tests in M4, where WCLR-S has 1–5 %): a note says so, and they stand in only where an
estimate has nothing better. Checked: explicit weighting of the scores, and identity with WCR for least
squares: tests/reference/test_score_bootstrap.py; size: tests/recovery/test_rigour_M4.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays.cluster import cluster_sums
from evalkit.arrays.wild_bootstrap import Pieces
from evalkit.arrays.wild_inversion import Alternative
from evalkit.errors import DesignError, RefusalError, UsageError
from evalkit.estimate import EXACT, Estimate
from evalkit.inference.fitted import places
from evalkit.inference.moments import Hypotheses, combinations, hypotheses
from evalkit.inference.wild import check_options
from evalkit.inference.wild_plan import SEED, Weights, inverted, nulls, plan_of, prepared
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
ScoreKind = Literal["KS", "KS-J", "WCLR-C", "WCLR-S", "WCLU-C", "WCLU-S"]

CARDS = (
    MethodCard(
        function="score_bootstrap",
        name="점수·선형화 와일드 부트스트랩",
        english="score bootstrap (Kline & Santos) and wild cluster linearised bootstrap",
        group="clusters",
        question="포아송·로짓처럼 다시 맞추기 어려운 추정에서 군집이 적을 때 p값과 신뢰구간은 얼마인가?",
        assumptions=(
            "군집 사이에는 오차가 서로 무관하다.",
            "추정량이 점수의 일차식으로 잘 어림된다: 군집 하나가 추정값을 크게 흔들면 그렇지 않다.",
        ),
        returns="IntervalSet (항마다 하나)",
        reference="Kline & Santos (2012); MacKinnon, Nielsen & Webb (2024)",
        oracle=("점수에 가중치를 직접 곱한 계산과 WCR 과의 항등식: tests/reference/test_score_bootstrap.py",),
        differs="귀무를 둔 점수를 제약 추정이 아니라 비제약 추정에서 한 번 선형화하여 얻는다.",
        refuses="영향함수도 군집을 뺀 추정치도 없는 추정.",
    ),
)


def score_bootstrap(
    est: Estimate,
    terms: ArrayLike | None = None,
    *,
    contrast: ArrayLike | None = None,
    null: ArrayLike = 0.0,
    kind: ScoreKind | None = None,
    weights: Weights = "auto",
    alternative: Alternative = "two-sided",
    level: float = 0.95,
    draws: int = 9_999,
    seed: int = SEED,
    enumerate_patterns: bool | None = None,
) -> tuple[IntervalSet, ...]:
    """p-values and intervals of terms or combinations of terms, all under the same weights.

    Parameters
    ----------
    est : any estimate with influence functions; replicates for "KS-J"; moments by cluster (Poisson, two-way) for "WCL.."
    kind : None = "WCLR-S" where there are moments, else "KS-J" where there are replicates, else "KS"
    terms, contrast, null, weights, alternative, level, draws, seed, enumerate_patterns : as in
        `evalkit.inference.wild_bootstrap`; nulls and intervals are on the scale of the estimate (log for Poisson)

    Returns
    -------
    IntervalSet of each hypothesis; ``detail`` as in `evalkit.inference.wild_bootstrap`. Notes: those of
    `evalkit.inference.wild_bootstrap`, and "null_not_imposed" (KS and KS-J)

    Raises
    ------
    RefusalError : the estimate lacks what the kind needs
    DesignError : one cluster, no variation between clusters
    UsageError : options that do not exist
    """
    if kind is not None and kind not in get_args(ScoreKind):
        raise UsageError(
            f"점수 부트스트랩 {kind!r} 은(는) 없음", remedy=f"{', '.join(get_args(ScoreKind))} 중에서 고를 것"
        )
    check_options("WCR-C", alternative, level)
    plan = plan_of(weights, est.n_clusters, draws, seed, enumerate_patterns)
    chosen = _default(est) if kind is None else kind
    ready: list[tuple[Pieces, ...]]
    if chosen.startswith("WCL"):
        asked = hypotheses(est, terms, contrast, method=f"선형화 부트스트랩 {chosen}")
        other = ("WCLU" if chosen.startswith("WCLR") else "WCLR") + chosen[4:]
        ready = [(prepared(asked, i, chosen), prepared(asked, i, other)) for i in range(len(asked.rows))]
    else:
        rows, names = combinations(est, terms, contrast)
        parts = _contributions(est, chosen, rows)
        used = (rows != 0).any(axis=0)
        values = rows[:, used] @ est.values[used]
        none = np.zeros((est.n_clusters, 0))
        asked = Hypotheses(none[:, :, None], none, np.zeros((len(rows), 0)), values, names, True)
        ready = [(_unrefitted(parts[:, i], float(values[i]), names[i]),) for i in range(len(rows))]
    against = nulls(null, len(asked.values))
    factor = est.n_clusters / (est.n_clusters - 1)
    if chosen == "KS-J":
        factor = 1 / factor
    found = inverted(est, asked, against, ready, plan, chosen, alternative, level, factor)
    if chosen.startswith("WCL"):
        return found
    return tuple(replace(one, notes=(*one.notes, "null_not_imposed")) for one in found)


def _default(est: Estimate) -> ScoreKind:
    if "gram" in est.detail and places(est) is not None:
        return "WCLR-S"
    known = ~np.isnan(est.values)
    if est.replicates is not None and not np.isnan(est.replicates[:, known]).any():
        return "KS-J"
    return "KS"


def _contributions(est: Estimate, kind: str, rows: Floats) -> Floats:
    """What each cluster adds to each combination  # (C, m)"""
    used = (rows != 0).any(axis=0)
    if kind == "KS-J":
        if est.replicates is None or np.isnan(est.replicates[:, used]).any():
            raise RefusalError(
                "군집을 하나씩 뺀 추정치가 없거나, 어느 군집을 빼면 추정되지 않는 항이 있음",
                remedy="kind='KS' 를 쓰거나 더 큰 군집으로 추정할 것",
            )
        gaps = est.values[used] - est.replicates[:, used]
        out: Floats = gaps @ rows[:, used].T
        return out
    if est.influence is None:
        raise RefusalError(
            "영향함수가 없는 추정이라 점수 부트스트랩을 할 수 없음",
            remedy="군집 잭나이프(cluster_jackknife)를 쓸 것",
        )
    sums = cluster_sums(np.ascontiguousarray(est.influence[:, used]), est.cluster, est.n_clusters)
    return sums @ rows[:, used].T / est.n_units


def _unrefitted(parts: Floats, value: float, name: str) -> Pieces:
    """t* = Σ v_cC_c / (Σ v_c²C_c²)^½, the same at every null."""
    clusters = len(parts)
    variance = float(parts @ parts)
    if not np.sqrt(variance) > EXACT * max(abs(value), 1e-300):
        raise DesignError(
            f"항 {name} 의 점수가 군집마다 0이라 표준오차를 구할 수 없음",
            remedy="추정 결과를 확인하고, 군집을 더 잘게 나눌 것",
        )
    return Pieces(
        (parts[:, None], np.zeros((clusters, 1, 1))),
        (np.diag(parts)[None], np.zeros((1, clusters, clusters, 1))),
        np.array([[variance]]),
    )
