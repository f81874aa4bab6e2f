"""What a second design answers, or why it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from evalkit.checks.check import Check
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts, Headline
from evalkit.interval_set import IntervalSet
from evalkit.study.plan_base import Text
from evalkit.study.plan_opinions import Kind

Unit = Literal["outcome", "total", "cell", "percent", "dose"]
Standing = Literal["agrees", "silent", "both_silent", "differs", "only_second", "other_question", "no_answer"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer, and what data would be needed for one."""

    reason: Text
    needs: Text


@dataclass(frozen=True, slots=True)
class OpinionRow:
    """One line of an opinion's table.

    Attributes
    ----------
    term : code of what the number is: "direct", "ring", "spillover", "net", "effect", "contrast", "placebo", …
    estimate, low, high, p_value : NaN where there is none
    unit : "outcome" = natural unit of the outcome, "total" = that over all units, "cell" = total unit a province ×
        industry, "percent", "dose" = natural unit for each unit of dose
    treated, comparison : units behind it
    by : method of its interval, such as "CV3" or "RI-β"
    values : what the words of the term need, such as the band of a ring
    why : code of the reason why no p-value or interval is given; "" where there is one
    """

    term: str
    estimate: float
    low: float = float("nan")
    high: float = float("nan")
    p_value: float = float("nan")
    unit: Unit = "outcome"
    treated: int = 0
    comparison: int = 0
    by: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    why: str = ""

    @property
    def known(self) -> bool:
        """Whether it has an interval."""
        return bool(np.isfinite(self.low) or np.isfinite(self.high))

    def mapped(
        self, function: Callable[[float], float], *, term: str = "", unit: Unit | None = None
    ) -> OpinionRow:
        """The same row in another unit: an increasing function of estimate and bounds keeps what an interval covers."""
        return replace(
            self,
            term=term or self.term,
            estimate=function(self.estimate),
            low=function(self.low),
            high=function(self.high),
            unit=unit or self.unit,
        )


@dataclass(frozen=True, slots=True)
class Opinion:
    """One second design and what it found.

    Attributes
    ----------
    name, label, kind : as in the plan; the words of what a kind compares and identifies go by its name
    outcome, phase : the question; None where the plan states something that is not identified
    rows : the table, the row that answers the question first; () where it is refused
    same_question : whether the first row estimates what the leading design estimates, in the same unit
    shares_comparison : whether its comparison units are those of the leading design, so that both fail together
    estimate : the terms with the covariance that leads; None where the answer is not one of an Estimate
    lead : the decision of inference on the first row; None where the design brings its own
    sets : tests beside or in place of it, by method
    counts : clusters; None where the design has none
    facts : numbers that the words need (units compared, base year, money, …)
    checks : what was found on the way
    figure : what is drawn, by the kind; None = nothing beside the forest
    refusal : why there is no answer; None where there is one
    """

    name: str
    kind: Kind
    outcome: str | None
    phase: int | None
    label: Text | None = None
    rows: tuple[OpinionRow, ...] = ()
    same_question: bool = False
    shares_comparison: bool = False
    estimate: Estimate | None = None
    lead: Headline | None = None
    sets: Mapping[str, IntervalSet] = field(default_factory=dict)
    counts: ClusterCounts | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    figure: pd.DataFrame | None = None
    refusal: Refusal | None = None

    @property
    def answered(self) -> bool:
        """Whether there is a number."""
        return bool(self.rows)

    @property
    def first(self) -> OpinionRow:
        """The row that answers the question."""
        return self.rows[0]

    def standing(self, leading: Mapping[str, float] | None) -> Standing:
        """How the answer stands beside the leading design's, by intervals alone.

        Parameters
        ----------
        leading : estimate, conf_low, conf_high of the leading design in the outcome's unit; None = it has no answer

        Returns
        -------
        "other_question" where the number is about something else (a difference between tiers); "agrees": both intervals
        lie on the same side of zero and, in the same unit, overlap; "differs": they lie on opposite sides, or do not overlap
        in the same unit; "both_silent", "silent" (the opinion's includes zero), "only_second" (the leading one's does);
        "no_answer" where one has no interval. Both rest on the same data, so that this is no test of their difference
        """
        if not self.answered or leading is None:
            return "no_answer"
        row = self.first
        low, high = float(leading["conf_low"]), float(leading["conf_high"])
        if not (np.isfinite(low) and np.isfinite(high)) or not row.known:
            return "no_answer"
        if not self.same_question and row.unit == "outcome" and row.term == "contrast":
            return "other_question"
        apart = self.same_question and (row.low > high or row.high < low)
        mine, theirs = _side(row.low, row.high), _side(low, high)
        if apart or mine * theirs < 0:
            return "differs"
        if mine == theirs:
            return "agrees" if mine else "both_silent"
        return "silent" if mine == 0 else "only_second"


def _side(low: float, high: float) -> int:
    """1 above zero, −1 below, 0 where zero is included."""
    return 1 if low > 0 else -1 if high < 0 else 0
