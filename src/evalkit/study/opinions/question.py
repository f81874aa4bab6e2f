"""A second design's question: the plan, its data, and how an estimate becomes rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit import aggregate
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.inference import Headline, cluster_counts, headline
from evalkit.inference.refit import Refits
from evalkit.panel import Panel
from evalkit.present.messages import say
from evalkit.study.opinions.result import Opinion, OpinionRow, Unit
from evalkit.study.plan import Outcome, Plan
from evalkit.study.plan_opinions import OpinionPlan
from evalkit.study.sample import ADOPTION, AnalysisSample, draw_sample

if TYPE_CHECKING:
    from evalkit.study.study import Study

# the variable of the plan's rule that keeps units near a zone out of the comparison
RING = "ring"


class Unanswerable(RefusalError):
    """A refusal that is foreseen: its reason is a message in both languages."""

    def __init__(self, code: str, **values: str) -> None:
        self.code, self.values = code, values
        super().__init__(say(f"study.opinion.refused.{code}", "ko", **values))


def require(panel: Panel, *names: str) -> None:
    """Refuse a design whose variables the data do not have.

    Raises
    ------
    Unanswerable : the first that is missing
    """
    for name in names:
        if name not in panel.fixed and name not in panel.varying:
            raise Unanswerable("no_variable", name=name)


@dataclass(frozen=True, slots=True)
class Question:
    """One second design of a study, its outcome and phase settled."""

    study: Study
    name: str
    asked: OpinionPlan
    outcome: str
    phase: int

    @property
    def plan(self) -> Plan:
        """The plan of the study."""
        return self.study.plan

    @property
    def of(self) -> Outcome:
        """The outcome that the opinion is about."""
        return self.plan.outcomes[self.outcome]

    @property
    def level(self) -> float:
        """Confidence level of the plan."""
        return self.plan.inference.level

    @property
    def horizon(self) -> int:
        """Last event time averaged."""
        return self.plan.horizon

    def sample(
        self,
        panel: Panel | None = None,
        *,
        phase: int | None = None,
        variable: str | None = None,
        covariates: bool = True,
        without: Sequence[str] = (),
        plain: bool = False,
    ) -> AnalysisSample:
        """The units of the plan's rules for this design.

        Parameters
        ----------
        panel : another panel than the outcome's
        variable : another variable than the outcome's
        covariates : whether the plan's covariates are kept
        without : variables whose exclusion rules are not applied
        plain : no units at risk and the plan's adoption variable: for panels other than the outcome's
        """
        changes: dict[str, Any] = {}
        if variable is not None:
            changes["variable"] = variable
        if not covariates:
            changes["covariates"] = ()
        if plain:
            changes["adoption"] = None
        rules = tuple(rule for rule in self.plan.units.exclude if rule.variable not in without)
        whole = self.plan
        update: dict[str, Any] = {
            "units": whole.units.model_copy(update={"exclude": rules}),
            "outcomes": {**whole.outcomes, self.outcome: self.of.model_copy(update=changes)},
        }
        if plain:
            update["design"] = whole.design.model_copy(update={"at_risk": None, "adoption": "adoption"})
            update["inference"] = whole.inference.model_copy(update={"companion_cluster": None})
        plan = whole.model_copy(update=update)
        used = self.study.panel(self.of.panel) if panel is None else panel
        return draw_sample(plan, used, self.outcome, self.phase if phase is None else phase)

    def led(self, estimate: Estimate, treated: ArrayLike, refits: Refits | None = None) -> Headline:
        """The plan's rule of inference on an estimate; `treated` = one value a unit of the estimate."""
        counts = cluster_counts(estimate, np.asarray(treated))
        return headline(estimate, counts, rule=self.plan.inference.rule, refits=refits, level=self.level)

    def rows(
        self,
        lead: Headline,
        terms: Sequence[tuple[str, dict[str, str], int, int]],
        unit: Unit = "outcome",
        factor: float = 1.0,
    ) -> list[OpinionRow]:
        """Rows of every term of an estimate under the inference that leads.

        Parameters
        ----------
        terms : code, values of its words, units treated and compared, in the order of the estimate's terms
        factor : what numbers are multiplied with
        """
        table = lead.estimate.table(self.level)
        if lead.interval is not None:
            table = pd.DataFrame([lead.first(self.level)])
        scale = self.of.scale if unit == "outcome" else "level"
        found = []
        for at, (code, values, treated, comparison) in enumerate(terms):
            row = {str(k): float(v) for k, v in table.iloc[at].items()}
            allowed = lead.p_value_allowed and np.isfinite(row["conf_low"] + row["conf_high"])
            if lead.interval is not None:
                allowed = lead.p_value_allowed
            if not allowed:
                row.update(conf_low=np.nan, conf_high=np.nan, p_value=np.nan)
            numbers = [natural(row[name], scale) * factor for name in ("estimate", "conf_low", "conf_high")]
            found.append(
                OpinionRow(
                    code,
                    estimate=numbers[0],
                    low=numbers[1],
                    high=numbers[2],
                    p_value=row["p_value"],
                    unit=unit,
                    treated=treated,
                    comparison=comparison,
                    by=lead.name if allowed else "",
                    values=values,
                    why="" if allowed else lead.reasons[0],
                )
            )
        return found

    def totals(self, row: OpinionRow, units: int, code: str = "total") -> list[OpinionRow]:
        """The row times the units it stands for, in the outcome's total unit; [] where the plan asks for none."""
        if self.of.total_unit is None:
            return []
        factor = units * self.of.total_factor
        return [row.mapped(lambda value: value * factor, term=code, unit="total")]

    def answer(self, rows: Sequence[OpinionRow], **parts: Any) -> Opinion:
        """The opinion with its name and question."""
        return Opinion(
            name=self.name,
            kind=self.asked.design,
            outcome=self.outcome,
            phase=self.phase,
            label=self.asked.label,
            rows=tuple(rows),
            **parts,
        )


def natural(value: float, scale: str) -> float:
    """A value on the scale of the estimate in the natural unit: logarithms become per cent."""
    return float(100 * np.expm1(value)) if scale == "log" else value


def treated_flags(estimate: Estimate, sample: AnalysisSample) -> NDArray[np.bool_]:
    """Whether each unit of an estimate is treated in the sample  # (N,)"""
    place = pd.Index(sample.panel.units).get_indexer(pd.Index(estimate.units))
    if (place < 0).any():
        raise DesignError("추정에 쓴 단위가 표본에 없음", remedy="같은 표본의 추정인지 확인할 것")
    return np.asarray(sample.treated[place])


def mean_of(cells: Estimate, horizon: int) -> tuple[Estimate, tuple[int, ...]]:
    """Mean over event times 0..horizon of cohort × period effects, and the event times that exist.

    Raises
    ------
    DesignError : none of them can be estimated
    """
    event = aggregate.event_study(cells)
    times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
    wanted = tuple(int(e) for e in times[np.isfinite(event.values)] if 0 <= e <= horizon)
    if not wanted:
        raise DesignError(
            f"지원 후 0–{horizon}년의 효과를 하나도 추정할 수 없음", remedy="기간과 코호트의 범위를 확인할 것"
        )
    return aggregate.average(event, wanted), wanted


def adoption_of(sample: AnalysisSample) -> NDArray[np.float64]:
    """First treated period of each unit of the sample  # (N,)"""
    return np.asarray(sample.panel.constant(ADOPTION), dtype=np.float64)


def flags(values: NDArray[Any]) -> NDArray[np.bool_]:
    """A 0/1 variable, written as text or number  # (N,)"""
    return np.isin(values.astype(str), ("1", "1.0", "True", "true"))
