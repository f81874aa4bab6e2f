"""Two phases set side by side on one outcome: every part is computed when asked for, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DesignError, EvalkitError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators._phase_cells import Estimand
from evalkit.estimators.phase_paths import phase_path_effects
from evalkit.inference import cluster_counts, headline
from evalkit.panel import Panel
from evalkit.study.comparing_samples import (
    FIRST,
    LAST,
    PATHS,
    PathFacts,
    compared_phases,
    continuing_sample,
    earlier_sample,
    later_sample,
    path_facts,
)
from evalkit.study.plan import Plan
from evalkit.study.sample import AnalysisSample

if TYPE_CHECKING:
    from evalkit.appraisal.composition import Split
    from evalkit.appraisal.path_randomisation import Permuted
    from evalkit.study.comparing_checks import Naive, Variant
    from evalkit.study.comparing_mix import Moved
    from evalkit.study.effect import Effect


@dataclass(frozen=True, slots=True, eq=False)
class PathEffect:
    """The effect on one path.

    Attributes
    ----------
    estimand : E1, E1_persist, E3_new, E3_add or E_cum
    events : by event time, with the leading covariance
    average : mean over `window`, one term
    window : event times averaged
    n_treated, n_comparison : units of the path, and those it is held against
    reasons : why this inference leads, or why none does
    """

    estimand: str
    events: Estimate
    average: Estimate
    window: tuple[int, ...]
    n_treated: int
    n_comparison: int
    reasons: tuple[str, ...]

    def row(self, level: float) -> dict[str, float]:
        """estimate, std_error, conf_low, conf_high, p_value of the average."""
        return {str(k): float(v) for k, v in self.average.table(level).iloc[0].items()}


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Who went which way, and the effect of each way that is identified.

    Attributes
    ----------
    counts : units of the panel by path "10", "11", "01", "00", and "between" (first supported in between: left out)
    repeated : units of the earlier phase that were supported again in between, by path
    effects : estimand -> effect, or the reason why there is none
    """

    phases: tuple[int, int]
    counts: Mapping[str, int]
    repeated: Mapping[str, int]
    effects: Mapping[str, PathEffect | EvalkitError]


class Comparing:
    """Two phases on one outcome of a plan.

    Parameters
    ----------
    plan, panel : of the outcome
    outcome : its name
    effects : the effects of the earlier and of the later phase, as their own pages print them
    """

    def __init__(self, plan: Plan, panel: Panel, outcome: str, effects: Mapping[int, Effect]) -> None:
        self.plan = plan
        self.panel = panel
        self.outcome = outcome
        self.effects = effects
        self.phases = compared_phases(plan)

    @cached_property
    def facts(self) -> PathFacts:
        """The path of every unit."""
        return path_facts(self.plan, self.panel)

    @cached_property
    def paths(self) -> Paths:
        """First-time, continuing and dropped units apart."""
        return path_effects(self)

    @cached_property
    def split(self) -> Split:
        """Composition against effect."""
        from evalkit.study.comparing_mix import split_of

        return split_of(self)

    @cached_property
    def moved(self) -> Moved:
        """The effect of the earlier phase in the population of the later."""
        from evalkit.study.comparing_mix import moved_to_last

        return moved_to_last(self)

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """The difference under other choices of years, controls and units."""
        from evalkit.study.comparing_checks import variants_of

        return variants_of(self)

    @cached_property
    def naive(self) -> Naive:
        """The regression with a dummy a phase, for contrast."""
        from evalkit.study.comparing_checks import naive_of

        return naive_of(self)

    @cached_property
    def permuted(self) -> Permuted | None:
        """The difference against paths drawn anew within provinces; None where the plan asks for none."""
        from evalkit.study.comparing_mix import permuted_of

        return permuted_of(self)


def later_window(plan: Plan) -> tuple[int, ...]:
    """Event times of the earlier phase's clock at which the later phase is at work, as many as are averaged elsewhere."""
    one, three = compared_phases(plan)
    gap = plan.phases[three].cohorts[0] - plan.phases[one].cohorts[0]
    return tuple(range(gap, gap + plan.horizon + 1))


def path_effects(asked: Comparing) -> Paths:
    """Effects by path, each on the sample of its own question."""
    plan, panel, facts = asked.plan, asked.panel, asked.facts
    kept = _inside(plan, panel)
    counts = {path: int(((facts.path == path) & kept).sum()) for path in PATHS}
    counts["between"] = int(((facts.path == "") & kept).sum())
    again = np.isfinite(facts.between) & kept
    repeated = {path: int((again & (facts.path == path)).sum()) for path in ("10", "11")}
    near, late = tuple(range(plan.horizon + 1)), later_window(plan)
    found: dict[str, PathEffect | EvalkitError] = {}
    for names, draw, windows in (
        (("E1", "E1_persist", "E_cum"), earlier_sample, (near, late, late)),
        (("E3_new",), later_sample, (near,)),
        (("E3_add",), continuing_sample, (near,)),
    ):
        try:
            sample = draw(plan, panel, asked.outcome, facts)
            effects = _estimated(plan, sample, names)  # type: ignore[arg-type]
        except EvalkitError as error:
            found.update(dict.fromkeys(names, error))
            continue
        for name, window in zip(names, windows, strict=True):
            if name in ("E1_persist", "E_cum") and _is_survival(plan, asked.outcome):
                found[name] = _no_paths_of_survival(plan, asked.outcome)
                continue
            try:
                found[name] = _one(plan, sample, effects, name, window)
            except EvalkitError as error:
                found[name] = error
    return Paths(asked.phases, counts, repeated, found)


def _is_survival(plan: Plan, outcome: str) -> bool:
    """Whether the outcome says who is still there, which later support presupposes."""
    return plan.outcomes[outcome].variable == (plan.design.at_risk or "alive")


def _no_paths_of_survival(plan: Plan, outcome: str) -> RefusalError:
    return RefusalError(
        "다시 지원받으려면 그때까지 살아 있어야 하므로, 생존에서는 계속과 중단을 나누어 보는 것이 뜻을 잃음",
        where=(plan.id, f"outcomes.{outcome}"),
        remedy="이어 받은 지원이 더한 효과(E3_add)를 볼 것",
    )


def _inside(plan: Plan, panel: Panel) -> NDArray[np.bool_]:
    """Units that no rule keeps out of the sample altogether."""
    kept = np.ones(len(panel.units), dtype=bool)
    for rule in plan.units.exclude:
        if rule.applies_to == "all" and rule.equals is not None and rule.variable in panel.fixed:
            kept &= panel.constant(rule.variable).astype(str) != rule.equals
    return kept


def _estimated(plan: Plan, sample: AnalysisSample, names: tuple[Estimand, ...]) -> Estimate:
    """The estimands that one sample holds. {11} against {10} has few units in a cell: regression adjustment alone."""
    method = plan.design.method if sample.design.covariates and "E3_add" not in names else "reg"
    return phase_path_effects(
        sample.panel,
        replace(sample.design, adoption=FIRST),
        second=LAST,
        estimands=names,
        method=method,
        missing="drop" if plan.design.missing == "drop" else "pairs",
    )


def _one(
    plan: Plan, sample: AnalysisSample, effects: Estimate, name: str, window: tuple[int, ...]
) -> PathEffect:
    names = np.asarray(effects.terms.get_level_values("estimand"))
    own = effects.select(names == name)
    times = np.asarray(own.terms.get_level_values("event_time"), dtype=int)
    usable = tuple(int(e) for e in times[np.isfinite(own.values)] if e in window)
    if not usable:
        lost = [note for note in effects.detail["notes"] if note.startswith(f"{name}(")]
        raise DesignError(
            lost[0].split(":")[0]
            if lost
            else f"{name} 을(를) 지원 뒤 {window[0]}–{window[-1]}년에서 추정할 수 없음",
            where=(plan.id,),
            remedy="그 경로의 단위와 그 해의 자료를 더할 것",
        )
    weights = np.isin(times, usable) / len(usable)
    average = own.combine(weights, pd.MultiIndex.from_arrays([[name]], names=["term"]))
    treated = _treated(sample, name)
    lead = headline(average, cluster_counts(average, treated), rule=plan.inference.rule)
    events = own.combine(np.eye(len(own)), pd.MultiIndex.from_arrays([times.tolist()], names=["event_time"]))
    return PathEffect(
        estimand=name,
        events=headline(events, cluster_counts(events, treated), rule=plan.inference.rule).estimate,
        average=replace(lead.estimate, replicates=average.replicates),
        window=usable,
        n_treated=int(own.n_treated[np.isin(times, usable)].max()),
        n_comparison=int(own.n_comparison[np.isin(times, usable)].max()),
        reasons=lead.reasons,
    )


def _treated(sample: AnalysisSample, name: str) -> NDArray[np.bool_]:
    """Units whose effect an estimand is  # (n,)"""
    last = np.isfinite(np.asarray(sample.panel.constant(LAST), dtype=np.float64))
    if name == "E1_persist":
        return np.asarray(sample.treated & ~last)
    return np.asarray(sample.treated & last) if name in ("E_cum", "E3_add", "E3_new") else sample.treated
