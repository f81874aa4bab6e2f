"""Wild cluster bootstrap: t tests with few clusters that keep their size far better than t(G − 1), from moments alone.

`wild_bootstrap` gives p-values and exact intervals by inversion, `wild_draws` the draws t* of several hypotheses and outcomes
under the same weights (for step-down tests), `wild_joint` a joint (Wald) test. Names are those of MacKinnon, Nielsen & Webb
(2023): R = the null is imposed, U = it is not; C = classic, S = scores of fits without each cluster, V = jackknife (CV3)
denominators, B = both (11, 31, 13, 33 of fwildclusterboot). Algebra and sources: `evalkit.arrays.wild_bootstrap`.

With at most sixteen clusters Rademacher sign patterns are enumerated: no Monte Carlo error, p at least 2^(1 − G), because
the pattern of the sample itself counts. With few treated clusters R hardly ever rejects and U nearly always
(MacKinnon & Webb 2017): where the two contradict one another so, a note says that neither is to be believed.

Checked against fwildclusterboot 0.14.3 (p and interval, all deterministic cases) and resampling of the rows (1e-12):
tests/reference/test_wild_bootstrap.py. Where it differs: fwildclusterboot leaves out the two patterns that repeat the
sample (strict >), so that its p can be 0; random draws here count the sample too, (1 + #)/(B + 1).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays.wild_inversion import Alternative
from evalkit.errors import UsageError
from evalkit.estimate import Estimate
from evalkit.inference.moments import hypotheses
from evalkit.inference.robust import DEFAULT, SmallSample
from evalkit.inference.wild_plan import (
    SEED,
    Weights,
    factor_of,
    inverted,
    linear_only,
    nulls,
    plan_of,
    prepared,
)
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Kind = Literal["WCR-C", "WCR-S", "WCR-V", "WCR-B", "WCU-C", "WCU-S", "WCU-V", "WCU-B"]

CARDS = (
    MethodCard(
        function="wild_bootstrap",
        name="와일드 군집 부트스트랩",
        english="wild cluster bootstrap (restricted and unrestricted; classic, score and jackknife variants)",
        group="clusters",
        question="군집이 열 개 남짓일 때 효과의 p값과 신뢰구간은 얼마인가?",
        assumptions=(
            "군집 사이에는 오차가 서로 무관하다.",
            "처치 군집과 비교 군집이 각각 다섯 개쯤은 된다: 그보다 적으면 귀무를 둔 쪽은 거의 기각하지 않고 두지 않은 쪽은 너무 자주 기각한다.",
        ),
        returns="IntervalSet (항마다 하나); p값의 하한 2^(1−G)",
        reference="Cameron, Gelbach & Miller (2008); MacKinnon, Nielsen & Webb (2023)",
        oracle=(
            "R fwildclusterboot 0.14.3: tests/reference/test_wild_bootstrap.py",
            "행을 직접 다시 뽑은 회귀: tests/reference/test_wild_bootstrap.py",
        ),
        differs="표본 자신과 같은 부호 배열도 센다: fwildclusterboot 의 p값은 0이 될 수 있으나 여기서는 2^(1−G) 이상이다.",
        refuses="군집별 적률이 없는 추정(집단·시점별 효과 등): 군집 잭나이프나 score_bootstrap 을 쓴다.",
    ),
)


def check_options(kind: str, alternative: str, level: float) -> None:
    """Options that exist.

    Raises
    ------
    UsageError : one does not
    """
    if kind not in get_args(Kind):
        raise UsageError(
            f"와일드 부트스트랩 {kind!r} 은(는) 없음", remedy=f"{', '.join(get_args(Kind))} 중에서 고를 것"
        )
    if alternative not in get_args(Alternative):
        raise UsageError(
            f"대립가설 {alternative!r} 은(는) 없음",
            remedy=f"{', '.join(get_args(Alternative))} 중에서 고를 것",
        )
    if not 0 < level < 1:
        raise UsageError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")


def wild_bootstrap(
    est: Estimate,
    terms: ArrayLike | None = None,
    *,
    contrast: ArrayLike | None = None,
    null: ArrayLike = 0.0,
    kind: Kind = "WCR-S",
    weights: Weights = "auto",
    alternative: Alternative = "two-sided",
    level: float = 0.95,
    draws: int = 9_999,
    seed: int = SEED,
    enumerate_patterns: bool | None = None,
    ssc: SmallSample = DEFAULT,
) -> tuple[IntervalSet, ...]:
    """p-values and intervals of terms, or of linear combinations of terms, all under the same weights.

    Parameters
    ----------
    est : a least-squares fit with moments by cluster (`two_way_effects`, `two_way_event_study`, `panel_regression`), its
        terms as fitted or selected, not combined
    terms : mask or positions; None = all terms with an estimate
    contrast : weights of combinations on the terms, in place of `terms`  # (m, k)
    null : value of each hypothesis
    kind : "WCR-C", "WCR-S", "WCR-V", "WCR-B", "WCU-C", "WCU-S", "WCU-V", "WCU-B"
    weights : "auto" = Webb's six points below ten clusters, else Rademacher; "mammen"; "normal"
    alternative : "two-sided" (of |t|), "equal-tailed", "greater" (the effect is greater than the null), "less"
    draws, seed : of random weights; sign patterns of at most sixteen clusters are enumerated
    enumerate_patterns : None = where it fits; False = draw at random all the same
    ssc : convention of the standard error in ``detail`` (p-values and intervals do not depend on it)

    Returns
    -------
    IntervalSet of each hypothesis. ``detail``: term, t, std_error, weights, alternative, clusters, and p_other, the p-value of
    the same bootstrap with the null (not) imposed. Notes: "few_treated_failure", "no_rejection_possible",
    "unbounded", "gaps"

    Raises
    ------
    RefusalError : no moments by cluster, a nonlinear fit, jackknife denominators that do not exist
    DesignError : one cluster, no residual left
    UsageError : options that do not exist
    """
    check_options(kind, alternative, level)
    plan = plan_of(weights, est.n_clusters, draws, seed, enumerate_patterns)
    asked = linear_only(hypotheses(est, terms, contrast, method=f"와일드 군집 부트스트랩 {kind}"))
    against = nulls(null, len(asked.rows))
    other = ("WCU" if kind.startswith("WCR") else "WCR") + kind[3:]
    ready = [(prepared(asked, i, kind), prepared(asked, i, other)) for i in range(len(asked.rows))]
    return inverted(est, asked, against, ready, plan, kind, alternative, level, factor_of(est, kind, ssc))
