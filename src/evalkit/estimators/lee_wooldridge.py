"""Rolling transformation: one number a unit, one regression on the units, and a t distribution that is exact.

What it estimates: the effect on the treated from u_i = the unit's mean outcome after treatment less what its own periods
before predict (their mean; a trend; seasons), regressed on D over the units. With normal homoskedastic u given D the
t statistic has exactly N − 2 degrees of freedom (N − 2 − K with covariates), whatever the number of treated units: one
is enough. It fails when the treated units are noisier than the others (small provinces): with 1 to 3 treated units of 14
whose spread is 1.5 times that of the others, 12–17 % of true nulls are rejected at 5 % (normal errors).

Lee and Wooldridge (2025), "A simple transformation approach to difference-in-differences estimation for panel data";
Lee and Wooldridge (2026) on few treated units. Staggered adoption: each (cohort, period) is a cross-section of its own,
with the periods before that cohort's adoption as the past of treated and comparison units alike. The overall effect is one
regression on ever treated and never treated units, where a never treated unit's number is the mean over cohorts of what it
would have as a member, weighted by the cohorts' shares.

Exactness is at the level at which treatment is assigned. Where `design.cluster` is given, outcomes are averaged to clusters
first and the clusters are the units (``level="unit"`` keeps the units, and says what that assumes).

Checked against diff-diff 3.13 LWDiD (classical and HC3), two-way fixed effects under one adoption date, and dense least
squares: tests/reference/test_lee_wooldridge.py.

Where it differs, and why: a covariance for all terms together (cells share units), which on the diagonal is the classic one;
a staggered overall effect refuses samples without never treated units, because the composite has no meaning there.

Influence: N × the weight of a unit in the effect × its residual, the sampling of cohort shares included; the exact
covariance takes covariates and shares as given, as the theory does.

``detail``
    transformation, adjustment, level : the options as used
    n_used, sigma, leverage : units, residual standard deviation and largest leverage of each term  # (k,)
    n_before : periods before adoption behind each term, the fewest where cohorts differ  # (k,)
    cohort, weight, periods : first treated period and weight of each unit (0 = unused) and the periods, for averages
    shares : weight of each cohort in the overall effect, as pairs; [] otherwise
    dropped : counts of units left out: unobserved, already_treated; cells: failed cells as cohort, period, reason
    notes : Korean sentences for the reader
"""

from __future__ import annotations

from typing import Literal, get_args

from evalkit.design import Design
from evalkit.errors import DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._rolling_cells import By, Options, Transformation, rolling_estimate
from evalkit.estimators._rolling_sample import rolling_sample
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Errors = Literal["exact", "HC3"]
Adjustment = Literal["plain", "interacted"]
Level = Literal["unit", "cluster"]

CARDS = (
    MethodCard(
        function="lee_wooldridge_effects",
        name="단위별 변환과 정확한 t",
        english="Lee-Wooldridge rolling transformation",
        group="exact",
        question="지원받은 지역이 한둘뿐일 때에도 믿을 수 있는 구간으로 본 효과는 얼마인가?",
        assumptions=(
            "지원이 없었다면 단위마다 지원 전의 평균(또는 추세)에서 벗어난 정도가 두 집단에서 같았다(평행추세).",
            "변환한 결과가 정규분포를 따르고 두 집단의 분산이 같다.",
            "단위끼리는 서로 독립이다: 시도 단위로 지원했으면 시도로 모아서 쓴다.",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
        ),
        returns="term, cohort 또는 cohort·period; 정확한 t(N−2, 공변량이 있으면 N−2−K) 또는 HC3, 군집을 뺀 추정치",
        reference="Lee & Wooldridge (2025); Lee & Wooldridge (2026)",
        oracle=(
            "diff-diff 3.13 LWDiD, 이원고정효과(도입 시점이 하나일 때): tests/reference/test_lee_wooldridge.py",
        ),
        differs="항이 여럿이면 함께 쓰는 단위까지 반영한 공분산을 준다.",
        refuses="지원받은 단위가 하나일 때의 HC3, 지원받지 않은 단위가 없을 때의 전체 효과.",
    ),
)


def lee_wooldridge_effects(
    panel: Panel,
    design: Design,
    *,
    transformation: Transformation = "demean",
    season: int | None = None,
    by: By = "overall",
    adjustment: Adjustment = "plain",
    errors: Errors = "exact",
    level: Level | None = None,
    replicates: bool | None = None,
) -> Estimate:
    """Effects from one transformed number a unit, with exact t intervals.

    Parameters
    ----------
    panel : balanced or not; a unit's own observed periods make its number
    design : outcome, adoption, comparison (by cell; averages compare with never treated units only), anticipation,
        fixed covariates, cluster and a fixed weight are read
    transformation : "demean", or "detrend" (a unit-specific line through the periods before; two or more are needed)
    season : periods in a cycle (4 for quarters): unit-specific seasons are taken out too; None = none
    by : "overall" (one term), "cohort" (each cohort's mean effect) or "cell" (cohort and period from adoption on)
    adjustment : how covariates enter: "plain" (1, D, X), or "interacted" with D, centred at the treated mean
    errors : "exact" (classic variance) or "HC3" (unequal variances; the t distribution is then approximate)
    level : "cluster" averages to `design.cluster` first; None = "cluster" where a cluster is named, else "unit"
    replicates : whether to leave out each cluster; None = when there are at most 400

    Returns
    -------
    Estimate with terms "term" ("overall"), "cohort", or (cohort, period); units are clusters at level "cluster"

    Raises
    ------
    DesignError : no past, no comparison, too few units, covariates that vary over time or do not vary at all, adoption
        that differs within a cluster at level "cluster"
    RefusalError : HC3 where a unit alone carries a term; link other than levels
    DataError : infinite values, negative weights

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([[1, 1, 4.0], [0, 2, 2.0], [3, 3, 3.0], [5, 5, 6.0]])
    >>> panel = Panel(np.arange(4), np.arange(1, 4), {"y": y}, {"adoption": np.array([3, *[np.inf] * 3])})
    >>> found = lee_wooldridge_effects(panel, Design("y"))
    >>> found.values.round(12), found.dof
    (array([2.33333333]), array([2.]))
    """
    for value, kind, what in (
        (transformation, Transformation, "변환"),
        (by, By, "나누는 기준"),
        (adjustment, Adjustment, "공변량을 넣는 방법"),
        (errors, Errors, "표준오차"),
        (level or "unit", Level, "수준"),
    ):
        if value not in get_args(kind):
            raise DesignError(f"{what} {value!r} 을(를) 모름", remedy=nearest(str(value), get_args(kind)))
    if season is not None and (isinstance(season, bool) or season < 2):
        raise DesignError(
            f"주기 {season!r} 은(는) 2 이상의 정수가 아님", remedy="분기 자료면 4, 월 자료면 12 로 적을 것"
        )
    if level == "cluster" and design.cluster is None:
        raise DesignError("모을 군집이 정해지지 않음", remedy="설계의 cluster 에 군집 변수를 적을 것")
    collapse = design.cluster is not None if level is None else level == "cluster"
    sample = rolling_sample(panel, design, collapse=collapse)
    return rolling_estimate(
        sample,
        design,
        Options(transformation, season, by, adjustment == "interacted", errors == "HC3", replicates),
    )


__all__ = ["lee_wooldridge_effects"]
