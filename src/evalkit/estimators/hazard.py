"""Discrete-time hazard difference-in-differences for exit and relocation, with competing risks.

What it estimates: the effect on the chance h_it that a unit still at risk has the event in period t,

    log(−log(1 − h_it))  or  logit h_it  =  γ_duration + η_cohort + λ_period + τ D_it ,

by maximum likelihood on counts by cohort, start of the spell and period (Prentice and Gloeckler 1978; Allison 1982;
Jenkins 1995). With the complementary log-log link τ is the log ratio of the underlying continuous-time hazards. With
competing causes (exit or relocation) each cause has its own equation, the other events count as censoring in it, and
the effect on the cumulative incidence puts the causes together (Fine and Gray 1999 explain why hazards alone do not
tell it):  F_k(e) = Σ_{u≤e} h_k(u) Π_{s<u} (1 − Σ_j h_j(s)),  treated units at risk at adoption, with and without τ.

The risk set is fixed at the first period. Parallel trends is in the transformed hazard, not in the cumulative
indicator: see `evalkit.estimators.duration_did`.

Checked in tests/reference/test_hazard.py: statsmodels 0.15 GLM (Binomial, both links) on one row a unit and period,
points 1e-8 and cluster-robust errors 1e-6; Kaplan–Meier and Nelson–Aalen by hand in saturated cases; cumulative
incidence by brute force. Influence functions use the observed information; replicates are exact warm-started fits of
the counts without each cluster. Where it differs: a period, duration or cohort without any event (or where everyone
has it) is left out and told, where a GLM lets its coefficient drift.

``detail``: ``link``; ``events``: events after adoption among treated units, by cause (J, C); ``at_risk``: units at risk
at adoption; ``dropped``; ``cohort`` (N,); ``hazard_treated``, ``hazard_counterfactual`` (J, Q, T) with
``strata_cohort``, ``strata_start`` (Q,), and ``periods``; ``left_out``: cells without information; ``notes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.grouped_binary import Grouped, Link, fit_grouped
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._hazard_model import HazardModel, assembled, cumulative_incidence, sound_terms
from evalkit.estimators._spells import Spells, spells
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Effects = Literal["overall", "event_time"]
CLUSTERS_FOR_REPLICATES = 400

CARDS = (
    MethodCard(
        function="hazard_effects",
        name="위험률 이중차분",
        english="discrete-time hazard difference-in-differences",
        group="rare",
        question="지원은 아직 남아 있는 기업이 그 해에 폐업하거나 떠날 위험을 얼마나 바꾸었는가?",
        assumptions=(
            "지원이 없었다면 변환한 위험률이 비교 집단과 나란히 움직였다.",
            "위험집단은 첫 기간에 고정되며, 중도 절단은 사건과 무관하다.",
            "지원 전에는 효과가 없다.",
        ),
        returns="cause 와 event_time 또는 term (로그 위험비); 영향함수(IF), 군집을 뺀 추정치",
        reference="Prentice & Gloeckler (1978); Allison (1982); Jenkins (1995)",
        oracle=("statsmodels 0.15 GLM, Kaplan–Meier: tests/reference/test_hazard.py",),
        differs="사건이 전혀 없는 기간·기간 수준·코호트는 빼고 알린다.",
        refuses="지원 후 사건이 없는 항(분리), comparison=never.",
    ),
    MethodCard(
        function="incidence_effects",
        name="누적 발생률의 효과",
        english="effects on cumulative incidence",
        group="rare",
        question="지원이 없었다면 e년 안에 폐업하거나 떠났을 기업의 비율은 얼마나 달라졌을까?",
        assumptions=(
            "지원이 없었다면 변환한 위험률이 비교 집단과 나란히 움직였다.",
            "위험집단은 첫 기간에 고정되며, 중도 절단은 사건과 무관하다.",
        ),
        returns="cause, horizon; 영향함수(IF), 군집을 뺀 추정치",
        reference="Fine & Gray (1999); Allison (1982)",
        oracle=("무차별 대입, Kaplan–Meier: tests/reference/test_hazard.py",),
        refuses="지원 후 사건이 없는 항(분리), comparison=never.",
    ),
)


def hazard_effects(
    panel: Panel,
    design: Design,
    *,
    competing: Sequence[str] = (),
    link: Link = "cloglog",
    effects: Effects = "overall",
    start: str | None = None,
    bins: Sequence[int] | None = None,
    replicates: bool | None = None,
) -> Estimate:
    """Log hazard ratios (cloglog) or log odds ratios (logit) of the treatment, by cause.

    Parameters
    ----------
    panel : the outcome is 1 in the period of the event and 0 before; what follows is not read; NaN censors
    design : comparison "not_yet"; anticipation, cluster and a fixed weight are read
    competing : other events of the same form
    effects : one effect, or one for each event time
    start : fixed variable, the period in which each spell began; None = no duration effects beside the periods
    bins : lower ends of duration groups after the first, such as (3, 7); None = each duration its own
    replicates : whether to leave out each cluster; None = when clusters are at most 400 and not the units

    Returns
    -------
    Estimate with terms (cause, term) or (cause, event_time)

    Raises
    ------
    DesignError : nobody at risk, no comparison, no event after adoption (separation), an effect not identified
    DataError : values other than 0 and 1, two events at once

    Examples
    --------
    >>> y = np.array([[0, 0, 1], [0, 0, 0]] * 2 + [[0, 0, 1]] + [[0, 0, 0]] * 3 + [[0, 1, 0], [0, 1, 0]])
    >>> panel = Panel(np.arange(10), np.array([1, 2, 3]), {"y": y},
    ...               {"adoption": np.array([3] * 4 + [np.inf] * 4 + [3, np.inf])})
    >>> hazard_effects(panel, Design("y"), link="logit").values.round(4).tolist()
    [1.0986]
    """
    model = _model(panel, design, competing, link, effects, start, bins, replicates)
    at = [(j, p) for j in range(len(model.causes)) for p in range(len(model.times))]
    slopes = np.zeros((len(at), len(model.causes), model.x.shape[1]))
    for row, (j, p) in enumerate(at):
        slopes[row, j, p] = 1.0
    values = np.array([model.whole[j].coef[0, p] for j, p in at])
    left = None
    if model.each is not None:
        left = np.stack(
            [np.where(sound_terms(model.each[j], p), model.each[j].coef[:, p], np.nan) for j, p in at], axis=1
        )
    names = ["cause", "event_time" if effects == "event_time" else "term"]
    labels = [(model.causes[j], model.times[p] if effects == "event_time" else "treatment") for j, p in at]
    none = np.zeros((len(at), len(model.data.strata_cohort)))
    return assembled(panel, design, model, names, labels, values, slopes, none, left, f"hazard/{link}")


def incidence_effects(
    panel: Panel,
    design: Design,
    *,
    competing: Sequence[str] = (),
    link: Link = "cloglog",
    effects: Effects = "overall",
    start: str | None = None,
    bins: Sequence[int] | None = None,
    replicates: bool | None = None,
) -> Estimate:
    """Effects on the share of treated units that have had the event within e periods of adoption, by cause.

    Parameters
    ----------
    panel, design, competing, link, effects, start, bins, replicates : as in `hazard_effects`

    Returns
    -------
    Estimate with terms (cause, horizon); horizon 0 is the period of adoption, positive = more events; averaged over
    treated units at risk at adoption whose horizon lies in the data

    Raises
    ------
    DesignError, DataError : as `hazard_effects`
    """
    model = _model(panel, design, competing, link, effects, start, bins, replicates)
    data = model.data
    risk = data.risk.sum(axis=0)
    values, slopes, through = cumulative_incidence(model, risk[None], model.whole, derive=True)
    left = None
    if model.each is not None:
        rest = np.where(risk - data.risk < 1e-12 * risk, 0.0, risk - data.risk)
        left = cumulative_incidence(model, rest, model.each, derive=False)[0]
        for fit in model.each:
            left[~sound_terms(fit, slice(0, len(model.times)))] = np.nan
    there = {int(t - g) for g in data.cohorts[np.isfinite(data.cohorts)] for t in data.periods}
    labels = [(cause, e) for cause in model.causes for e in range(model.horizons)]
    at = np.array([i for i, (_, e) in enumerate(labels) if e in there])
    return assembled(
        panel,
        design,
        model,
        ["cause", "horizon"],
        [labels[i] for i in at],
        values[0, at],
        slopes[at],
        through[at],
        None if left is None else left[:, at],
        f"incidence/{link}",
    )


# -- the model -----------------------------------------------------------------------------------------


def _model(
    panel: Panel,
    design: Design,
    competing: Sequence[str],
    link: Link,
    effects: Effects,
    start: str | None,
    bins: Sequence[int] | None,
    replicates: bool | None,
) -> HazardModel:
    _check(design, panel, link, effects)
    causes = (design.outcome, *competing)
    labels = panel.clusters(design.cluster)[1]
    if replicates is None:
        replicates = design.cluster is not None and len(labels) <= CLUSTERS_FOR_REPLICATES
    data = spells(panel, design, causes, start, replicates)
    x, times, kept, factors = _cells(data, design, effects, start is not None, bins)
    risk = np.where(kept, data.risk.reshape(len(data.risk), -1), 0.0)
    total = risk.sum(axis=0, keepdims=True)
    whole, each = [], []
    for j, cause in enumerate(causes):
        events = np.where(kept, data.events[j].reshape(len(risk), -1), 0.0)
        all_events = events.sum(axis=0, keepdims=True)
        _require_events(x[:, : len(times)], all_events[0], total[0], times, cause, effects)
        fit = fit_grouped(x, all_events, total, factors, link)
        _require_fit(fit, times, cause, effects, before=_events_before(data, j))
        whole.append(fit)
        if replicates:
            rest, gone = total - risk, all_events - events
            few = rest < 1e-12 * total
            each.append(
                fit_grouped(x, np.where(few, 0.0, gone), np.where(few, 0.0, rest), factors, link, fit.coef[0])
            )
    finite = data.cohorts[np.isfinite(data.cohorts)]
    horizons = int(data.periods[-1] - finite.min()) + 1
    return HazardModel(
        data, causes, link, x, tuple(times), kept, whole, each if replicates else None, horizons
    )


def _check(design: Design, panel: Panel, link: str, effects: str) -> None:
    for name, value, known in (("link", link, get_args(Link)), ("effects", effects, get_args(Effects))):
        if value not in known:
            raise DesignError(f"{name}={value!r} 을(를) 모름", remedy=nearest(value, known))
    if design.comparison == "never":
        raise RefusalError(
            "위험률 회귀는 아직 지원받지 않은 단위를 함께 비교함 (comparison=never)",
            remedy='comparison="not_yet" 으로 두거나 나중에 지원받은 단위를 패널에서 뺄 것',
        )
    if design.covariates or design.at_risk is not None or design.link != "levels":
        raise DesignError(
            "위험률 회귀는 covariates, at_risk, link 를 쓰지 않음",
            remedy="위험집단은 첫 기간에 고정됨: 공변량은 start 와 bins, 또는 하위 집단으로 다룰 것",
        )
    if design.weight is not None and design.weight in panel.varying:
        raise DesignError(
            f"위험률 회귀의 가중치 {design.weight} 이(가) 기간에 따라 바뀜",
            remedy="기준 시점의 값을 고정 변수로 만들어 쓸 것",
        )
    if design.cluster is not None and len(panel.clusters(design.cluster)[1]) < 2:
        raise DesignError(
            f"군집 {design.cluster} 이(가) 하나뿐이라 표준오차를 구할 수 없음",
            remedy="더 잘게 나뉜 군집 변수를 쓸 것",
        )


def _cells(
    data: Spells, design: Design, effects: Effects, durations: bool, bins: Sequence[int] | None
) -> tuple[Floats, list[int], NDArray[np.bool_], Floats]:
    """Columns of each cell (Q·T, P), event times of the treatment columns, cells compared, indicators of factors."""
    cohort = data.cohorts[data.strata_cohort][:, None]
    clock = np.broadcast_to(data.periods[None, :] - cohort, (len(cohort), len(data.periods)))
    kept = ~((clock < 0) & (clock >= -design.anticipation)).ravel()
    q, t = np.divmod(np.arange(clock.size), clock.shape[1])
    blocks = [np.eye(len(data.cohorts))[data.strata_cohort[q]], np.eye(clock.shape[1])[t]]
    if durations:
        age = (data.periods[t] - data.strata_start[q]).astype(np.int64)
        level = age if bins is None else np.searchsorted(np.asarray(sorted(bins)), age, side="right")
        names, code = np.unique(level, return_inverse=True)
        blocks.append(np.eye(len(names))[code])
    factors = np.concatenate(blocks, axis=1)
    flat, seen = clock.ravel(), data.risk.sum(axis=0).ravel() > 0
    if not (seen & (flat >= 0)).any():
        raise DesignError(
            "지원 후에 위험에 놓인 지원 단위가 하나도 없음",
            where=(f"결과 {design.outcome}",),
            remedy="지원 단위가 지원 전에 모두 사건을 겪지 않았는지, 기간이 지원 후까지 있는지 확인할 것",
        )
    if effects == "overall":
        times, treat = [0], (flat >= 0).astype(np.float64)[:, None]
    else:
        times = [int(e) for e in np.unique(flat[(flat >= 0) & np.isfinite(flat) & seen])]
        treat = np.stack([(flat == e).astype(np.float64) for e in times], axis=1)
    return np.concatenate([treat, factors], axis=1), times, kept, factors


def _require_events(
    treat: Floats, events: Floats, risk: Floats, times: list[int], cause: str, effects: Effects
) -> None:
    for column, e in zip(treat.T, times, strict=True):
        d, n = float(column @ events), float(column @ risk)
        if not 0 < d < n:
            which = "지원 후" if effects == "overall" else f"경과 기간 {e}"
            what = "사건이 하나도 없음" if d <= 0 else "남은 단위가 모두 사건을 겪음"
            raise DesignError(
                f"{which} 지원 단위에 {what} (위험에 놓인 수 {n:g}): 로그 위험비가 무한대로 감",
                where=(f"사건 {cause}",),
                remedy='effects="overall" 로 묶거나 duration_effects 또는 건수의 순열 검정을 쓸 것',
            )


def _events_before(data: Spells, cause: int) -> float:
    """Events of treated cohorts before their adoption."""
    cohort = data.cohorts[data.strata_cohort][:, None]
    early = np.isfinite(cohort) & (data.periods[None, :] < cohort)
    return float(data.events[cause].sum(axis=0)[early].sum())


def _require_fit(fit: Grouped, times: list[int], cause: str, effects: Effects, *, before: float) -> None:
    lost = [e for e, known in zip(times, fit.identified[0, : len(times)], strict=True) if not known]
    if lost:
        which = "효과" if effects == "overall" else f"경과 기간 {', '.join(map(str, lost))} 의 효과"
        if before <= 0:
            raise DesignError(
                f"{which}를 추정할 수 없음: 지원받은 코호트에 지원 전 사건이 하나도 없어 원래의 위험률을 정할 수 없음",
                where=(f"사건 {cause}",),
                remedy="남아 있던 단위만 지원받은 것이라면 기준 시점에 남아 있던 단위끼리 group_time_effects(at_risk)로 견줄 것",
            )
        raise DesignError(
            f"{which}를 코호트·기간·지속기간 효과와 구별할 수 없음",
            where=(f"사건 {cause}",),
            remedy="지원받지 않은 단위나 지원 전 기간을 더하거나 bins 로 지속기간을 묶을 것",
        )
    if not fit.sound[0]:
        raise DesignError(
            "위험률 모형의 최댓값이 유한하지 않음 (사건이 너무 드물어 설명변수가 사건을 완전히 가름)",
            where=(f"사건 {cause}",),
            remedy="기간이나 지속기간을 묶거나 지역·연도 건수의 포아송 회귀를 쓸 것",
        )
