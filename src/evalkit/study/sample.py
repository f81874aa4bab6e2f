"""The estimation sample of one outcome and phase: who stays, who goes and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.panel import Panel
from evalkit.study.plan import Exclusion, Outcome, Phase, Plan
from evalkit.transforms import is_log_like

OUTCOME = "outcome"
ADOPTION = "adoption_used"


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One step from all units to the sample: how many units and treated units remain after it."""

    reason: str
    units: int
    treated: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class AnalysisSample:
    """Panel, design and flow; `treated` and `comparison` mark the units of the sample  # (N,)"""

    panel: Panel
    design: Design
    flow: tuple[FlowStep, ...]
    treated: NDArray[np.bool_]
    comparison: NDArray[np.bool_]
    baseline: int


class _Keeping:
    """Which units are still in, and the flow that led there."""

    def __init__(self, treated: NDArray[np.bool_]) -> None:
        self.treated = treated
        self.keep = np.ones(len(treated), dtype=bool)
        self.flow = [FlowStep("all", len(treated), int(treated.sum()))]

    def drop(self, mask: NDArray[np.bool_], reason: str, text: str = "") -> None:
        """Leave out some units; a step that leaves out nobody is not written down."""
        left = self.keep & ~mask
        if left.sum() != self.keep.sum():
            self.keep = left
            self.flow.append(FlowStep(reason, int(left.sum()), int((left & self.treated).sum()), text))


def draw_sample(plan: Plan, panel: Panel, name: str, number: int, lang: str = "ko") -> AnalysisSample:
    """The sample of an outcome in a phase.

    Treated units adopted within the phase's cohorts; comparison units never adopted or adopt later. Covariates that vary
    are frozen at the baseline, the last period before the phase's first cohort less anticipation.

    Raises
    ------
    DesignError : no clean period, no treated or no comparison unit is left
    RefusalError : a logarithm of an outcome with zeros, or a comparison across a change of definition
    """
    outcome, phase = plan.outcomes[name], plan.phases[number]
    periods = _periods(panel, outcome, phase)
    panel.select(periods=periods).values(outcome.variable)  # refuses a change of definition in between
    adoption, (lo, hi) = _adoption(plan, panel, outcome, phase, int(periods[0]))
    baseline = lo - 1 - plan.design.anticipation
    if baseline not in periods:
        raise DesignError(
            f"{lo}년 코호트에 지원 전의 깨끗한 기간이 없음 (쓸 수 있는 해: {periods[0]}–{periods[-1]})",
            where=(plan.id, f"outcomes.{name}", f"phases.{number}"),
            remedy="periods 를 앞으로 넓히거나, 넓힐 자료가 없으면 reading: description 으로 바꿀 것",
        )
    treated = (adoption >= lo) & (adoption <= hi)
    # the logarithm of a value that has none is missing until it is refused
    values = scaled_values(panel, outcome.variable, outcome.scale, across_breaks=True)
    at_baseline = int(np.flatnonzero(panel.periods == baseline)[0])
    frozen = _frozen_covariates(plan, outcome, panel, at_baseline)
    kept = _Keeping(treated)
    for exclusion in plan.units.exclude:
        applies = _matches(panel, exclusion)
        if applies is not None:
            spared = treated & (exclusion.applies_to == "comparison")
            kept.drop(applies & ~spared, "excluded", exclusion.reason[lang])
    if phase.drop_treated_before:
        kept.drop(adoption < lo, "treated_before")
    if plan.design.comparison == "never":
        # whoever is supported after the window looks never supported in it, but lived to be supported
        kept.drop(np.isfinite(adoption) & (adoption > hi), "treated_later")
    inside = np.isin(panel.periods, periods)
    _refuse_zeros(plan, panel, name, kept.keep, inside)
    _refuse_unnamed_logs(plan, panel, name)
    kept.drop(~np.isfinite(values[:, at_baseline]), "not_at_baseline")
    for covariate, array in frozen.items():
        if array.dtype.kind == "f":
            kept.drop(~np.isfinite(array), "covariate_missing", covariate)
    kept.drop(np.isfinite(values[:, inside]).sum(axis=1) < 2, "observed_once")
    _require_both_groups(plan, name, number, (lo, hi), kept)
    prepared = panel.with_derived((outcome.variable,), **{OUTCOME: values}).with_fixed(
        **{ADOPTION: adoption, **frozen}
    )
    return AnalysisSample(
        panel=prepared.select(kept.keep, periods),
        design=_design(plan, prepared, tuple(frozen)),
        flow=tuple(kept.flow),
        treated=treated[kept.keep],
        comparison=~treated[kept.keep],
        baseline=baseline,
    )


def _adoption(
    plan: Plan, panel: Panel, outcome: Outcome, phase: Phase, first: int
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """First treated period (+inf = never) and the cohorts of the phase.

    A description has no clean period: its treated units count from the second period on, so that the first is the base.
    """
    adoption = np.asarray(panel.constant(outcome.adoption or plan.design.adoption), dtype=np.float64)
    adoption = np.where(np.isnan(adoption), np.inf, adoption)
    if outcome.reading == "description":
        return np.where(np.isfinite(adoption), float(first + 1), np.inf), (first + 1, first + 1)
    return adoption, phase.cohorts


def _require_both_groups(
    plan: Plan, name: str, number: int, cohorts: tuple[int, int], kept: _Keeping
) -> None:
    if not (kept.keep & kept.treated).any():
        raise DesignError(
            f"{number}단계({cohorts[0]}–{cohorts[1]}년)에 처음 지원받은 단위가 표본에 없음",
            where=(plan.id, f"outcomes.{name}"),
            remedy="cohorts 의 범위와 제외 규칙을 확인할 것",
        )
    if not (kept.keep & ~kept.treated).any():
        raise DesignError(
            "비교할 단위가 표본에 하나도 없음",
            where=(plan.id, f"outcomes.{name}"),
            remedy="제외 규칙을 줄이거나 비교집단 자료를 더할 것",
        )


def _design(plan: Plan, panel: Panel, covariates: tuple[str, ...]) -> Design:
    """The plan's design on a prepared panel; a cluster that the panel lacks is an error here, not later."""
    for cluster in (plan.inference.cluster, plan.inference.companion_cluster):
        if cluster:
            panel.constant(cluster)
    at_risk = plan.design.at_risk
    return Design(
        outcome=OUTCOME,
        adoption=ADOPTION,
        comparison=plan.design.comparison,
        base=plan.design.base,
        anticipation=plan.design.anticipation,
        covariates=covariates,
        cluster=plan.inference.cluster,
        at_risk=at_risk if at_risk in panel.varying else None,
    )


def _periods(panel: Panel, outcome: Outcome, phase: Phase) -> NDArray[np.int64]:
    lo, hi = phase.periods
    if outcome.periods is not None:
        lo, hi = max(lo, outcome.periods[0]), min(hi, outcome.periods[1])
    periods = panel.periods[(panel.periods >= lo) & (panel.periods <= hi)]
    # a variable that is nowhere observed in a period cannot serve in it
    values = panel.values(outcome.variable, across_breaks=True)
    observed = np.isfinite(values).any(axis=0)
    periods = periods[np.isin(periods, panel.periods[observed])]
    if len(periods) < 2:
        raise DesignError(
            f"{lo}–{hi}년에 변수 {outcome.variable} 이(가) 관측된 해가 {len(periods)}개뿐임",
            remedy="기간을 넓힐 것",
        )
    return periods


def scaled_values(
    panel: Panel, variable: str, scale: str, *, across_breaks: bool = False
) -> NDArray[np.float64]:
    """A variable on its scale (level, share in per cent, log); the logarithm of a value that has none is missing."""
    values = panel.values(variable, across_breaks=across_breaks)
    if scale == "share":
        return np.asarray(values * 100.0)
    if scale == "log":
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(values > 0, np.log(values), np.nan))
    return values


def _refuse_zeros(
    plan: Plan, panel: Panel, name: str, kept: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> None:
    """Refuse the logarithm of an outcome that has zeros among the units and periods that would be used."""
    outcome = plan.outcomes[name]
    if outcome.scale != "log":
        return
    used = panel.values(outcome.variable, across_breaks=True)[np.ix_(kept, inside)]
    with np.errstate(invalid="ignore"):
        count = int((used <= 0).sum())
    if count:
        raise RefusalError(
            f"결과 {name} 에 0 이하인 값이 {count}개 있어 로그를 취하지 않음",
            where=(plan.id, f"outcomes.{name}"),
            remedy="scale: level 로 수준 효과를 추정하고 반사실 평균에 대한 %로 읽을 것",
        )


def _refuse_unnamed_logs(plan: Plan, panel: Panel, name: str) -> None:
    """Refuse log(1 + y) and asinh(y) under a name that does not say so: the reader would take it for something else."""
    variable = plan.outcomes[name].variable
    if is_log_like(variable, panel) and not is_log_like(variable):
        raise RefusalError(
            f"결과 {name} 의 변수 {variable} 은(는) 다른 변수를 log(1+y) 나 asinh 로 바꾼 것인데 이름이 그렇게 말하지 않음",
            where=(plan.id, f"outcomes.{name}"),
            remedy="이름을 log1p_… 이나 asinh_… 로 바꾸거나 원래 변수를 쓸 것",
        )


def _matches(panel: Panel, exclusion: Exclusion) -> NDArray[np.bool_] | None:
    """Units that a rule excludes; None where this panel does not have the variable."""
    if exclusion.variable not in panel.fixed:
        return None
    values = panel.constant(exclusion.variable)
    if exclusion.equals is not None:
        return np.asarray(values.astype(str) == exclusion.equals)
    numbers = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        if exclusion.at_most is not None:
            return np.asarray(numbers <= exclusion.at_most)
        return np.asarray(numbers >= float(exclusion.at_least or 0.0))


def _frozen_covariates(
    plan: Plan, outcome: Outcome, panel: Panel, at_baseline: int
) -> dict[str, NDArray[np.float64] | NDArray[np.str_]]:
    names = plan.design.covariates if outcome.covariates is None else outcome.covariates
    frozen: dict[str, NDArray[np.float64] | NDArray[np.str_]] = {}
    for name in names:
        if name in panel.varying:
            frozen[f"{name}_baseline"] = panel.values(name, across_breaks=True)[:, at_baseline].copy()
        else:
            values = panel.constant(name)
            frozen[f"{name}_fixed"] = (
                values.astype(str) if values.dtype.kind in "OUS" else np.asarray(values, dtype=np.float64)
            )
    return frozen


def baseline_values(sample: AnalysisSample) -> dict[str, NDArray[np.float64]]:
    """The outcome and the covariates at the baseline; a text covariate is one share a level: variable -> value of each unit  # (N,)"""
    panel = sample.panel
    at = int(np.flatnonzero(panel.periods == sample.baseline)[0])
    variables: dict[str, NDArray[np.float64]] = {"outcome": panel.values(OUTCOME)[:, at]}
    for name in sample.design.covariates:
        values = panel.constant(name)
        if values.dtype.kind in "OUS":
            for level in np.unique(values.astype(str)):
                variables[f"{name}={level}"] = (values.astype(str) == level).astype(np.float64)
        else:
            variables[name] = np.asarray(values, dtype=np.float64)
    return variables
