"""Weighted stacked difference-in-differences: every cohort beside its own clean comparison units, over one window.

What it estimates: the mean effect at each event time e in the window, over the treated units of all cohorts that are
seen through the whole window. Each such cohort a forms a stack with the units that stay untreated until the window
closes (first treated after a + κ_post, or never), and

    δ_e = Σ_a (N^D_a / N^D) [ (ȳ^D_{a,e} − ȳ^D_{a,ref}) − (ȳ^C_{a,e} − ȳ^C_{a,ref}) ]

which is the coefficient of treated × event time in the stacked regression with weight 1 for treated and
Q_a = (N^D_a/N^D)/(N^C_a/N^C) for comparison units. The composition is the same at every event time: a path over e is
a path of effects, not of cohorts that come and go.

Wing, Freedman and Hollingsworth (2024), Stacked difference-in-differences, NBER Working Paper 32054.
The unweighted stack (Cengiz, Dube, Lindner & Zipperer 2019), ``weighting="variance"``, is there for contrast: it
weighs cohorts by the variance of treatment in their stack, and so is the mean effect of no group of units.

Checked against the stacked regressions in fixest 0.14.2 (tests/reference/test_stacked.py): points 1e-8, CV1 1e-6.

Where it differs, and why: a unit stands in several stacks, its influence is summed over them and clusters are made of
units, so that no copy counts as new information; the standard error is by default that of the stacked regression
(``shares="regression"``), whose score takes residuals from the pooled means; ``"sampled"`` is the derivative of the
estimate itself, stack by stack, shares included, and ``"fixed"`` the same with the shares given. Replicates recompute
everything. Units that miss a period of the window leave that stack (the composition must not change) and are counted.

``detail``
    stacks : cohort, first and last period, units treated and compared, share and how many were incomplete, per stack
    stack_effects : (A, k) the effect of each stack; stack_weights : (A,) their shares
    window, reference, weighting, shares, baseline, by : options
    left_out : cohort and reason of cohorts without a stack; notes : Korean sentences
    n_obs, n_regressors, n_period_effects, periods_nested, n_units : rows of the stacked regression and its parameters
    cohort, weight : (N,) first treated period and weight of each unit
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich, without_rounding
from evalkit.arrays.stacks import Shares, Stack, Weighting, pool, stack_influence, stack_sums
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._one_sided import Sides, doubts, without_error
from evalkit.estimators._saturated_sample import cell_weights, refuse_infinite
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
By = Literal["event_time", "overall"]
Baseline = Literal["reference", "mean"]
CLUSTERS_FOR_REPLICATES = 1_000

CARDS = (
    MethodCard(
        function="stacked_effects",
        name="가중 스택 이중차분",
        english="weighted stacked difference-in-differences",
        group="staggered",
        question="구성이 바뀌지 않는 같은 집단을 따라가면, 지원 전후의 경과 기간마다 효과는 얼마인가?",
        assumptions=(
            "지원받은 집단마다, 지원이 없었다면 창이 닫힐 때까지 지원받지 않은 단위와 추세가 같았다.",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "창 전체가 관측된 코호트의 효과만 답한다.",
        ),
        returns="event_time 또는 term; CV1, 영향함수, 군집을 뺀 추정치",
        reference="Wing, Freedman & Hollingsworth (2024); Cengiz et al. (2019)",
        oracle=(
            "R fixest 0.14.2 의 스택 회귀: tests/reference/test_stacked.py",
            "스택을 실제로 쌓은 가중회귀와의 항등식: tests/properties/test_stacked_properties.py",
        ),
        differs="여러 스택에 든 단위의 영향은 단위마다 합친다. 창의 한 기간이라도 빠진 단위는 그 스택에서 빼고 수를 알린다.",
        refuses="공변량(집단-시점 효과를 쓴다), 비율의 평행추세(link=ratios).",
    ),
)


def stacked_effects(
    panel: Panel,
    design: Design,
    *,
    window: tuple[int, int],
    by: By = "event_time",
    reference: int | None = None,
    baseline: Baseline = "reference",
    weighting: Weighting = "treated",
    shares: Shares = "regression",
    replicates: bool | None = None,
) -> Estimate:
    """Effects by event time over the cohorts that are seen through the whole window.

    Parameters
    ----------
    panel : a unit takes part in a stack when its outcome is observed in every period of the stack's window
    design : comparison "not_yet" (first treated after the window, or never) or "never"; a weight that changes over
        time is taken in the reference period; with ``at_risk`` only units with a positive value there take part;
        ``base`` is not read
    window : first and last event time, such as (-3, 2)
    by : "event_time", or "overall", the mean over event times from 0 on
    reference : event time that changes are counted from; None = −1 − anticipation
    baseline : "reference", or "mean" to count changes from the mean of all event times before −anticipation
    weighting : "treated", shares of treated units; "variance", the unweighted stacked regression, for contrast
    shares : "regression", "fixed" or "sampled": what the standard error takes as given (see the module)
    replicates : whether to leave out each cluster; None = when there are at most 1,000

    Returns
    -------
    Estimate with terms at level "event_time" (with baseline "reference" the reference is not a term) or "term"; CV1
    of the stacked regression, t(G − 1)

    Raises
    ------
    RefusalError : covariates, link "ratios"
    DesignError : no cohort is seen through the window, no clean comparison units, one cluster, a bad option
    DataError : infinite values, negative weights

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 1], [1, 2], [0, 3], [1, 4.5]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> stacked_effects(panel, Design("y"), window=(-1, 0)).values
    array([2.25])
    """
    _check(panel, design, by, baseline, weighting, shares)
    ref = -1 - design.anticipation if reference is None else reference
    times = np.arange(window[0], window[1] + 1)
    contrast, labels = _contrast(times, ref, design.anticipation, baseline, by)
    sample = _sample(panel, design)
    stacks, facts, left_out = _stacks(sample, design, times, ref, contrast)
    told: dict[str, Any] = {
        "stacks": facts,
        "left_out": left_out,
        "window": list(window),
        "reference": ref,
        "weighting": weighting,
        "shares": shares,
        "baseline": baseline,
        "by": by,
        "notes": _notes(facts, left_out),
    }
    return _estimate(panel, design, sample, stacks, labels, told, replicates)


def _estimate(
    panel: Panel,
    design: Design,
    sample: _Sample,
    stacks: list[Stack],
    terms: pd.MultiIndex,
    told: dict[str, Any],
    replicates: bool | None,
) -> Estimate:
    """Pool the stacks and label the result; rows and clusters are counted over the units that are in a stack."""
    weighting, shares = told["weighting"], told["shares"]
    used = np.zeros(len(panel.units), dtype=bool)
    compared = np.zeros(len(panel.units), dtype=bool)
    for stack in stacks:
        used[stack.rows] = True
        compared[stack.rows[~stack.treated]] = True
    codes, cluster = np.unique(sample.cluster[used], return_inverse=True)
    clusters, n = len(codes), int(used.sum())
    if clusters < 2:
        raise DesignError(
            f"쓸 수 있는 단위의 군집 {design.cluster} 이(가) 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )
    stacks = _renumbered(stacks, used, codes)
    sums = stack_sums(stacks, clusters)
    pooled = pool(sums.total, weighting)
    influence = stack_influence(stacks, pooled, n, weighting, shares)
    make = clusters <= CLUSTERS_FOR_REPLICATES if replicates is None else replicates
    counts = _counts(stacks, n, told)
    k = counts["n_regressors"] + counts["n_period_effects"]
    factor = clusters / (clusters - 1) * (counts["n_obs"] - 1) / max(counts["n_obs"] - k, 1)
    covariance = factor * sandwich(influence, cluster.astype(np.int64), clusters)
    own, others = sums.clusters_by_side  # every term rests on every stack
    sides = Sides(*(np.full(len(terms), min(own, n)) for n in (others.min(), others.max())))
    largest = float(max(np.abs(stack.change).max() for stack in stacks))
    covariance = without_error(without_rounding(covariance, largest), sides.alone)
    told["notes"] += doubts(sides, terms, pooled.effect[0], covariance, design.cluster)
    stack_shares = [float(share) for share in pooled.share[:, 0]]
    facts = [{**fact, "share": share} for fact, share in zip(told["stacks"], stack_shares, strict=True)]
    return Estimate(
        terms=terms,
        values=pooled.effect[0],
        covariance=covariance,
        influence=influence,
        cluster=cluster.astype(np.int64),
        cluster_labels=sample.labels[codes],
        replicates=pool(sums.without_each(), weighting).effect if make else None,
        dof=np.full(len(terms), float(clusters - 1)),
        n_treated=np.full(len(terms), sum(int(s.treated.sum()) for s in stacks)),
        n_comparison=np.full(len(terms), int(compared.sum())),
        method=f"stacked/{weighting}",
        inference="CV1",
        units=panel.units[used],
        design=design.to_dict(),
        detail={
            **counts,
            **told,
            "stacks": facts,
            "stack_effects": pooled.mean[:, 1, 0] - pooled.mean[:, 0, 0],
            "stack_weights": pooled.share[:, 0],
            "cohort": sample.adoption[used],
            "weight": sample.mean_weight[used],
        },
    )


def _check(panel: Panel, design: Design, by: str, baseline: str, weighting: str, shares: str) -> None:
    for name, value, known in (
        ("by", by, get_args(By)),
        ("baseline", baseline, get_args(Baseline)),
        ("weighting", weighting, get_args(Weighting)),
        ("shares", shares, get_args(Shares)),
    ):
        if value not in known:
            raise DesignError(f"{name} 값 {value!r} 을(를) 모름", remedy=nearest(value, known))
    if design.link != "levels":
        raise RefusalError(
            f"스택 이중차분은 수준 척도에서만 정의됨 (link={design.link})",
            remedy="비율의 평행추세는 extended_two_way_effects 로 추정할 것",
        )
    if design.covariates:
        raise RefusalError(
            f"스택 이중차분은 공변량 {', '.join(design.covariates)} 을(를) 다루지 않음",
            remedy="공변량이 필요하면 group_time_effects 를 쓰거나 covariates 를 비울 것",
        )
    refuse_infinite(panel, design.outcome)


def _contrast(
    times: Codes, ref: int, anticipation: int, baseline: Baseline, by: By
) -> tuple[Floats, pd.MultiIndex]:
    """Long differences as weights on the window's outcomes (w, k), and the terms."""
    if len(times) < 2 or ref not in times or not (times >= 0).any():
        raise DesignError(
            f"창 {times[0] if len(times) else ''}…{times[-1] if len(times) else ''} 에 기준 시점 {ref} 과(와) 지원 후 기간이 함께 있지 않음",
            remedy="window 를 (-3, 2) 처럼 기준 시점과 지원 후 기간을 품도록 적을 것",
        )
    base = (times == ref).astype(np.float64)
    if baseline == "mean":
        base = (times < -anticipation).astype(np.float64)
        base /= base.sum()
    shown = times if baseline == "mean" else times[times != ref]
    contrast = (times[:, None] == shown[None, :]).astype(np.float64) - base[:, None]
    if by == "event_time":
        return contrast, pd.MultiIndex.from_arrays([shown], names=["event_time"])
    mean = contrast[:, shown >= 0].mean(axis=1, keepdims=True)
    return mean, pd.MultiIndex.from_arrays([["overall"]], names=["term"])


@dataclass(frozen=True, slots=True)
class _Sample:
    outcome: Floats
    periods: Codes
    adoption: Floats
    weights: Floats | None
    risk: Floats | None
    cluster: Codes
    labels: NDArray[Any]
    comparison: str
    missing: Mask | None

    @property
    def mean_weight(self) -> Floats:
        if self.weights is None:
            return np.ones(len(self.outcome))
        return np.asarray(np.nan_to_num(self.weights).mean(axis=1))


def _sample(panel: Panel, design: Design) -> _Sample:
    outcome = panel.values(design.outcome)
    cluster, labels = panel.clusters(design.cluster)
    missing = None if np.isfinite(outcome.sum()) else np.isnan(outcome)
    return _Sample(
        outcome=outcome,
        periods=panel.periods,
        adoption=adoption_codes(panel, design.adoption),
        weights=cell_weights(panel, design.weight),
        risk=None if design.at_risk is None else panel.values(design.at_risk),
        cluster=cluster,
        labels=labels,
        comparison=design.comparison,
        missing=missing,
    )


def _stacks(
    sample: _Sample, design: Design, times: Codes, ref: int, contrast: Floats
) -> tuple[list[Stack], list[dict[str, Any]], list[dict[str, Any]]]:
    """The stacks, what is to be told of each, and the cohorts that have none."""
    cohorts = np.unique(sample.adoption[np.isfinite(sample.adoption)])
    if not len(cohorts):
        raise DesignError(
            "지원받은 단위가 하나도 없음", remedy=f"도입 시점 변수 {design.adoption} 을(를) 확인할 것"
        )
    stacks, facts, left_out = [], [], []
    for g in cohorts:
        columns = np.searchsorted(sample.periods, g + times)
        inside = columns < len(sample.periods)
        if not inside.all() or not (sample.periods[columns] == g + times).all():
            left_out.append({"cohort": int(g), "reason": "창 전체가 자료의 기간 안에 있지 않음"})
            continue
        stack, incomplete = _one(sample, design, g, columns, times, ref, contrast)
        treated = int(stack.treated.sum())
        if treated == 0 or treated == len(stack.rows):
            reason = (
                "창 전체가 관측된 지원 단위가 없음"
                if treated == 0
                else "창이 닫힐 때까지 지원받지 않은 비교 단위가 없음"
            )
            left_out.append({"cohort": int(g), "reason": reason})
            continue
        stacks.append(stack)
        facts.append(
            {
                "cohort": int(g),
                "first": int(g + times[0]),
                "last": int(g + times[-1]),
                "treated": treated,
                "compared": len(stack.rows) - treated,
                "incomplete": incomplete,
            }
        )
    if not stacks:
        raise DesignError(
            f"창 {times[0]}…{times[-1]} 을(를) 채우는 코호트가 하나도 없음: {left_out[0]['reason']}",
            where=(f"코호트 {left_out[0]['cohort']}",),
            remedy="window 를 좁히거나, 비교집단을 not_yet 으로 넓히거나, 지원받지 않은 단위를 더할 것",
        )
    return stacks, facts, left_out


def _one(
    sample: _Sample, design: Design, g: float, columns: Codes, times: Codes, ref: int, contrast: Floats
) -> tuple[Stack, int]:
    """The stack of cohort g, and how many of its units miss a period or their weight."""
    own = sample.adoption == g
    clean = np.isinf(sample.adoption)
    if sample.comparison == "not_yet":
        clean |= sample.adoption - design.anticipation > g + times[-1]
    rows = np.flatnonzero(own | clean)
    at = columns[int(np.flatnonzero(times == ref)[0])]
    if sample.risk is not None:
        with np.errstate(invalid="ignore"):
            rows = rows[sample.risk[rows, at] > 0]
    full = np.ones(len(rows), dtype=bool)
    if sample.missing is not None:
        full &= ~sample.missing[rows][:, columns].any(axis=1)
    weight = np.ones(len(rows))
    if sample.weights is not None:
        weight = sample.weights[rows, at % sample.weights.shape[1]]
        full &= weight > 0
    rows, weight = rows[full], weight[full]
    low, high = int(columns[0]), int(columns[-1]) + 1
    change = sample.outcome[rows, low:high] @ contrast
    return Stack(rows, own[rows], weight, change, sample.cluster[rows]), int((~full).sum())


def _renumbered(stacks: list[Stack], used: Mask, codes: Codes) -> list[Stack]:
    """Rows and clusters counted over the used units."""
    place = np.cumsum(used) - 1
    return [
        Stack(place[s.rows], s.treated, s.weight, s.change, np.searchsorted(codes, s.cluster)) for s in stacks
    ]


def _counts(stacks: list[Stack], units: int, told: dict[str, Any]) -> dict[str, Any]:
    """Rows and parameters of the stacked regression, as fixest counts them."""
    width = told["window"][1] - told["window"][0] + 1
    if told["weighting"] == "treated":
        effects, periods = width, width  # treated × event time, event time
    else:
        # unit × stack effects are nested in clusters, period × stack effects are not
        effects = 1 if told["by"] == "overall" and told["baseline"] == "mean" else width - 1
        periods = width * len(stacks)
    return {
        "n_obs": width * sum(len(s.rows) for s in stacks),
        "n_units": units,
        "n_regressors": effects,
        "n_period_effects": periods,
        "periods_nested": False,
    }


def _notes(facts: list[dict[str, Any]], left_out: list[dict[str, Any]]) -> list[str]:
    notes = [f"코호트 {item['cohort']}: {item['reason']} (스택을 만들지 않음)." for item in left_out]
    missing = sum(fact["incomplete"] for fact in facts)
    if missing:
        notes.append(f"창의 한 기간이라도 관측값이나 가중치가 없는 단위를 스택에서 모두 {missing}번 뺐다.")
    return notes
