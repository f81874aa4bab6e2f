"""Study: one plan with its data, and what can be asked of it. Notebooks read this and nothing deeper."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.appraisal.phases import PhaseComparison, compare_phases
from evalkit.errors import DesignError, ParameterError, PlanError, nearest
from evalkit.flows import Flows
from evalkit.panel import Panel
from evalkit.study.asked import check_asked
from evalkit.study.effect import Effect, estimate_effect
from evalkit.study.inputs import Inputs
from evalkit.study.plan import Outcome, Phase, Plan, load_plan
from evalkit.study.prepare import prepare

if TYPE_CHECKING:
    from evalkit.programmes import Programme
    from evalkit.release import Release
    from evalkit.study.comparing import Comparing
    from evalkit.study.comparing_borders import Borders
    from evalkit.study.monitoring import Watched
    from evalkit.study.opinions import Opinion
    from evalkit.study.outcomes.jobs import JobsOutcome
    from evalkit.study.outcomes.panel_methods import PanelMethods
    from evalkit.study.outcomes.rings import Spillovers
    from evalkit.study.outcomes.sales import SalesOutcome
    from evalkit.study.planning import Planning
    from evalkit.study.regional import Regional
    from evalkit.study.robustness import Robustness
    from evalkit.study.valuing import Value


class Study:
    """A plan opened on its data.

    Examples
    --------
    >>> study = Study.open("plans/nic_phase1_vs_phase3.yml")  # doctest: +SKIP
    >>> study.effect("jobs", phase=1).average.table()  # doctest: +SKIP
    """

    def __init__(self, plan: Plan, plan_path: Path, folder: Path, inputs: Inputs, lang: str) -> None:
        self.plan = plan
        self.plan_path = plan_path
        self.folder = folder
        self.inputs = inputs
        self.lang = lang
        self._panels: dict[str, Panel] = {}
        self._flows: dict[str, Flows] = {}
        self._effects: dict[tuple[str, int], Effect] = {}
        self._planning: dict[tuple[str, int], Planning] = {}
        self._comparing: dict[str, Comparing] = {}
        self._borders: dict[str, Borders] = {}
        self._robustness: dict[tuple[str, int], Robustness] = {}
        self._values: dict[int, Value] = {}
        self._opinions: dict[str, Opinion] = {}
        self._jobs: dict[tuple[str, int], JobsOutcome] = {}
        self._sales: dict[tuple[str, int], SalesOutcome] = {}
        self._spillovers: dict[tuple[str, int], Spillovers] = {}
        self._methods: dict[tuple[str, int], PanelMethods] = {}
        self._release: Release | None = None

    @classmethod
    def open(cls, plan: str | Path, *, lang: str = "", data: str | Path | None = None) -> Study:
        """Read the plan, prepare its data where needed, and open it.

        Parameters
        ----------
        plan : path of the YAML file, from where the notebook stands
        lang : "ko" or "en"; empty = the plan's language
        data : another data folder than the plan's; empty = the plan's
        """
        path = Path(plan)
        read = load_plan(path)
        if lang not in ("", "ko", "en"):
            raise ParameterError(f"언어 {lang!r} 은(는) 쓸 수 없음", remedy="ko 또는 en 으로 적을 것")
        prepared = prepare(path, read, data or None)
        check_asked(read, prepared.folder, path.name)
        return cls(read, path, prepared.folder, prepared.inputs, lang or read.lang)

    @property
    def release(self) -> Release:
        """The disclosure rules of the plan, one for all that is shown: what one table withholds no other shows."""
        from evalkit.release import Release

        if self._release is None:
            self._release = Release(lang=self.lang, rules=self.plan.disclosure.rules())
        return self._release

    # -- the parts ----------------------------------------------------------------------------

    def outcome(self, name: str) -> Outcome:
        """An outcome of the plan."""
        if name not in self.plan.outcomes:
            raise PlanError(
                f"결과 {name!r} 이(가) 계획에 없음",
                where=(self.plan_path.name,),
                remedy=nearest(name, self.plan.outcomes),
            )
        return self.plan.outcomes[name]

    def phase(self, number: int) -> Phase:
        """A phase of the plan."""
        if number not in self.plan.phases:
            raise PlanError(
                f"단계 {number!r} 이(가) 계획에 없음",
                where=(self.plan_path.name,),
                remedy=nearest(str(number), map(str, self.plan.phases)),
            )
        return self.plan.phases[number]

    def panel(self, name: str = "units") -> Panel:
        """A prepared panel."""
        if name not in self._panels:
            path = self.folder / f"{name}.npz"
            if not path.is_file():
                known = sorted(p.stem for p in self.folder.glob("*.npz"))
                raise PlanError(
                    f"패널 {name!r} 이(가) 없음", where=(self.plan_path.name,), remedy=nearest(name, known)
                )
            self._panels[name] = Panel.load(path)
        return self._panels[name]

    def flows(self, name: str = "relocation") -> Flows:
        """Prepared flows."""
        if name not in self._flows:
            path = self.folder / "flows" / f"{name}.npz"
            if not path.is_file():
                known = sorted(p.stem for p in (self.folder / "flows").glob("*.npz"))
                raise PlanError(
                    f"흐름 자료 {name!r} 이(가) 없음",
                    where=(self.plan_path.name,),
                    remedy=nearest(name, known) if known else "흐름을 만드는 자료(builder: firms)를 쓸 것",
                )
            self._flows[name] = Flows.load(path)
        return self._flows[name]

    @cached_property
    def audit(self) -> Mapping[str, Any]:
        """What was read, repaired, dropped and reconciled, as plain values."""
        loaded: Mapping[str, Any] = json.loads((self.folder / "audit.json").read_text(encoding="utf-8"))
        return loaded

    @cached_property
    def watched(self) -> tuple[Watched, ...]:
        """The indicators of a plan that is monitored, each with its path and its observations."""
        from evalkit.study.monitoring import watch

        return watch(self.plan, self.panel(), self.audit)

    @cached_property
    def programme(self) -> Programme:
        """The programme of the plan, built in or from the plan's own fact file, and what was published about it."""
        from evalkit.study.programme_of import programme_of

        return programme_of(self.plan, self.plan_path)

    @property
    def simulated(self) -> bool:
        """True while the simulated world stands in for the evaluator's files."""
        return self.inputs.simulated

    def text(self, key: str) -> str:
        """A note of the plan in the language of the study; empty where the plan has none."""
        note = self.plan.notes.get(key)
        return "" if note is None else note[self.lang]

    # -- the results --------------------------------------------------------------------------

    def effect(self, outcome: str, phase: int) -> Effect:
        """The effect of first support in a phase on an outcome, with its inference and checks."""
        if (outcome, phase) not in self._effects:
            panel = self._panel_of(outcome, phase)
            self._effects[outcome, phase] = estimate_effect(self.plan, panel, outcome, phase)
        return self._effects[outcome, phase]

    def planning(self, outcome: str, phase: int) -> Planning:
        """What can be known of an effect before outcomes are read: sample, balance, inference to come, power."""
        if (outcome, phase) not in self._planning:
            from evalkit.study.planning import plan_ahead

            panel = self._panel_of(outcome, phase)
            self._planning[outcome, phase] = plan_ahead(self.plan, panel, outcome, phase)
        return self._planning[outcome, phase]

    def robustness(self, outcome: str, phase: int) -> Robustness:
        """What could change an effect: every check that the plan names."""
        if (outcome, phase) not in self._robustness:
            from evalkit.study.robustness import robustness_of

            panel, effect = self._panel_of(outcome, phase), self.effect(outcome, phase)
            self._robustness[outcome, phase] = robustness_of(self.plan, panel, effect)
        return self._robustness[outcome, phase]

    def opinion(self, name: str) -> Opinion:
        """A second design of the plan: its answer, or why there is none and what data would be needed."""
        if name not in self._opinions:
            from evalkit.study.opinions import opinion_of

            self._opinions[name] = opinion_of(self, name)
        return self._opinions[name]

    def opinions(self) -> dict[str, Opinion]:
        """Every second design of the plan, in its order."""
        return {name: self.opinion(name) for name in self.plan.opinions}

    def value(self, phase: int) -> Value:
        """What a phase is worth: gross to net, cost, public funds."""
        if phase not in self._values:
            from evalkit.study.valuing import value_of

            self.phase(phase)
            self._values[phase] = value_of(self, phase)
        return self._values[phase]

    def jobs(self, outcome: str, phase: int) -> JobsOutcome:
        """An effect on jobs in full: flows, regular and young staff, survivors, job-years."""
        if (outcome, phase) not in self._jobs:
            from evalkit.study.outcomes.jobs import jobs_outcome

            self._jobs[outcome, phase] = jobs_outcome(self.plan, self.effect(outcome, phase))
        return self._jobs[outcome, phase]

    def sales(self, outcome: str, phase: int) -> SalesOutcome:
        """An effect on sales in full: per cent, margins, heavy tails, units of measure."""
        if (outcome, phase) not in self._sales:
            from evalkit.study.outcomes.sales import sales_outcome

            self._sales[outcome, phase] = sales_outcome(self.plan, self.effect(outcome, phase))
        return self._sales[outcome, phase]

    def spillovers(self, outcome: str, phase: int) -> Spillovers:
        """Direct, ring and net effects of a phase with their joint errors."""
        if (outcome, phase) not in self._spillovers:
            from evalkit.study.outcomes.rings import spillovers

            panel, effect = self._panel_of(outcome, phase), self.effect(outcome, phase)
            self._spillovers[outcome, phase] = spillovers(self.plan, panel, effect)
        return self._spillovers[outcome, phase]

    def regional(self, outcome: str, phase: int, region: str) -> Regional:
        """What can be said of one province's supported firms, beside the other provinces."""
        from evalkit.study.regional import regional

        self._panel_of(outcome, phase)
        return regional(self, outcome, phase, region)

    def methods(self, outcome: str, phase: int) -> PanelMethods:
        """Classic and recent panel methods on the sample of an effect."""
        if (outcome, phase) not in self._methods:
            from evalkit.study.outcomes.panel_methods import panel_methods

            self._methods[outcome, phase] = panel_methods(self.plan, self.effect(outcome, phase))
        return self._methods[outcome, phase]

    def _panel_of(self, outcome: str, phase: int) -> Panel:
        """The panel of an outcome that the plan evaluates in a phase."""
        asked = self.outcome(outcome)
        self.phase(phase)
        if phase not in self.plan.phases_of(outcome):
            raise PlanError(
                f"결과 {outcome!r} 은(는) {phase}단계에서 평가하지 않기로 계획됨",
                where=(self.plan_path.name, "outcomes", outcome, "phases"),
                remedy=f"평가하는 단계: {', '.join(map(str, self.plan.phases_of(outcome)))}",
            )
        return self.panel(asked.panel)

    def effects(self) -> dict[tuple[str, int], Effect | DesignError]:
        """Every outcome × phase of the plan; a design that the data cannot answer stands with its reason."""
        results: dict[tuple[str, int], Effect | DesignError] = {}
        for outcome in self.plan.outcomes:
            for phase in self.plan.phases_of(outcome):
                try:
                    results[outcome, phase] = self.effect(outcome, phase)
                except DesignError as error:
                    results[outcome, phase] = error
        return results

    def comparing(self, outcome: str) -> Comparing:
        """Two phases set side by side on an outcome: paths, composition, transport, other years and controls."""
        if outcome not in self._comparing:
            from evalkit.study.comparing import Comparing
            from evalkit.study.comparing_samples import compared_phases

            phases = compared_phases(self.plan)
            effects = {phase: self.effect(outcome, phase) for phase in phases}
            panel = self.panel(self.outcome(outcome).panel)
            self._comparing[outcome] = Comparing(self.plan, panel, outcome, effects)
        return self._comparing[outcome]

    def borders(self, outcome: str) -> Borders:
        """Municipalities whose zones stayed, were added and were dropped between the phases, on an outcome of theirs."""
        if outcome not in self._borders:
            from evalkit.study.comparing_borders import border_effects

            panel = self.panel(self.outcome(outcome).panel)
            self._borders[outcome] = border_effects(self.plan, panel, outcome)
        return self._borders[outcome]

    def compare(self, outcome: str, phases: tuple[int, int] = (1, 3)) -> PhaseComparison:
        """The effects of two phases on an outcome at equal event time."""
        effects = {phase: self.effect(outcome, phase) for phase in phases}
        return compare_phases(
            {phase: effect.plain for phase, effect in effects.items()},
            {phase: effect.sample.treated for phase, effect in effects.items()},
            horizon=self.plan.horizon,
            rule=self.plan.inference.rule,
        )
