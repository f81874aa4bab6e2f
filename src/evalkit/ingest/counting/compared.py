"""Totals under every rule side by side: how much each rule matters, as plain facts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evalkit.errors import ValueProblem
from evalkit.ingest.counting.arrivals import counted_arrivals
from evalkit.ingest.counting.findings import KINDS, find_double_counting
from evalkit.ingest.counting.results import Counted, as_written, counted
from evalkit.ingest.counting.rows import ATTRACTED, OUTCOMES, PROJECTS, branch_groups, merged_firms, rows_of
from evalkit.ingest.counting.rules import CHOICES, QUESTIONS, CountingRules, known_choices
from evalkit.ingest.table import Table


@dataclass(frozen=True, slots=True)
class Indicator:
    """What is added up: a column of the 성과 sheet divided to its unit, or arrivals (no column)."""

    name: str
    unit: str
    column: str = ""
    divisor: float = 1.0
    only_capital: bool = False

    @property
    def questions(self) -> tuple[str, ...]:
        """The questions that can change it."""
        if self.column:
            return ("repeated_totals", "partners", "branches", "phases")
        return ("attraction", "bodies", "branches", "phases")


ByFirm = dict[int, dict[str, float]]
INDICATORS: tuple[Indicator, ...] = (
    Indicator("new_jobs", "명", "new_jobs"),
    Indicator("new_regular_jobs", "명", "new_regular_jobs"),
    Indicator("new_youth_jobs", "명", "new_youth_jobs"),
    Indicator("commercial_sales", "억원", "commercial_sales_million_krw", 100.0),
    Indicator("patents", "건", "patents"),
    Indicator("papers", "건", "papers"),
    Indicator("attracted", "건"),
    Indicator("attracted_capital", "건", only_capital=True),
)


@dataclass(frozen=True, slots=True)
class Reported:
    """The rows of programme files, ready to be counted."""

    outcomes: pd.DataFrame
    projects: pd.DataFrame
    attracted: pd.DataFrame
    told: Mapping[str, frozenset[int]]
    groups: pd.DataFrame

    @classmethod
    def of(cls, tables: Iterable[Table]) -> Reported:
        """From the tables of all workbooks together."""
        held = list(tables)
        told: dict[str, set[int]] = {}
        for table in held:
            phases = {int(p) for p in table.frame["phase"].unique()} if "phase" in table.frame else set()
            names = {OUTCOMES: list(table.frame.columns), ATTRACTED: [""]}.get(table.spec.name, [])
            for name in names:
                told.setdefault(str(name), set()).update(phases)
        outcomes, projects, attracted = (rows_of(held, spec) for spec in (OUTCOMES, PROJECTS, ATTRACTED))
        return cls(
            outcomes,
            projects,
            attracted,
            {name: frozenset(phases) for name, phases in told.items()},
            branch_groups([outcomes, projects, attracted]),
        )

    def phases(self, indicator: Indicator) -> list[int]:
        """Phases whose files have the indicator's column, or a list of arrivals."""
        return sorted(self.told.get(indicator.column, ()))

    def by_firm(self, indicator: Indicator, rules: CountingRules | None) -> Counted:
        """What each firm counts with, in the indicator's unit; None counts every row as it is written.

        Raises
        ------
        ValueProblem : a firm's rows differ, and the rule is to stop
        """
        merge = rules is not None and rules.branches == "merge"
        outcomes, projects, attracted = (
            merged_firms(frame, self.groups) if merge else frame
            for frame in (self.outcomes, self.projects, self.attracted)
        )
        if indicator.column:
            found = (
                as_written(outcomes, indicator.column)
                if rules is None
                else counted(outcomes, projects, indicator.column, rules)
            )
            return Counted(found.firms.assign(value=found.firms["value"] / indicator.divisor))
        loose = CountingRules(bodies="each") if rules is None else rules
        rows = counted_arrivals(attracted, loose, only_capital=indicator.only_capital)
        return Counted(rows[["phase", "firm"]].assign(value=1.0))


def totals_by_rule(tables: Iterable[Table], rules: CountingRules | None = None) -> list[dict[str, Any]]:
    """The total of every indicator and phase under every rule: each question's answers in turn, the others as chosen.

    Returns
    -------
    list of plain values ``phase, indicator, unit, question, choice, chosen, total, firms, changed, problem``: the first of
        an indicator is "as_written" (every row), the second "chosen" (the rules together); then one row an answer.
        ``firms`` behind the total; ``changed``, firms whose count differs from that under the chosen rules (None where these stop). ``total`` is
        None where the rule stops, and ``problem`` says why. ``made`` and ``made_of_change``: `made_of` the total and of
        its difference from the chosen one, for the disclosure rules alone
    """
    chosen = rules or CountingRules()
    reported = Reported.of(tables)
    out: list[dict[str, Any]] = []
    for indicator in INDICATORS:
        if not reported.phases(indicator):
            continue
        base, problem = _try(reported, indicator, chosen)
        runs: list[tuple[str, str, ByFirm | None, str]] = [
            ("as_written", "", reported.by_firm(indicator, None).by_phase(), ""),
            ("chosen", "", base, problem),
        ]
        for question in indicator.questions:
            for choice in known_choices()[question]:
                runs.append(
                    (question, choice, *_try(reported, indicator, chosen.with_choice(question, choice)))
                )
        for phase in reported.phases(indicator):
            for question, choice, found, why in runs:
                out.append(
                    {
                        "phase": phase,
                        "indicator": indicator.name,
                        "unit": indicator.unit,
                        "question": question,
                        "choice": choice,
                        "chosen": bool(choice) and getattr(chosen, question) == choice,
                        "problem": why,
                        **_numbers(found, base, phase),
                    }
                )
    return sorted(out, key=lambda row: row["phase"])


def _try(reported: Reported, indicator: Indicator, rules: CountingRules) -> tuple[ByFirm | None, str]:
    try:
        return reported.by_firm(indicator, rules).by_phase(), ""
    except ValueProblem as problem:
        return None, problem.problem.split(" (")[0]


def _numbers(found: ByFirm | None, base: ByFirm | None, phase: int) -> dict[str, Any]:
    if found is None:
        return {"total": None, "firms": None, "changed": None}
    mine, other = found.get(phase, {}), {} if base is None else base.get(phase, {})
    moved = []
    for firm in mine.keys() | other.keys():
        a, b = mine.get(firm, 0.0), other.get(firm, 0.0)
        if abs(a - b) > 1e-9 * max(1.0, abs(a), abs(b)):
            moved.append(a - b)
    return {
        "total": float(sum(mine.values())),
        "firms": sum(value != 0 for value in mine.values()),
        "changed": None if base is None else len(moved),
        "made": made_of(mine.values()),
        "made_of_change": None if base is None else made_of(moved),
    }


def made_of(values: Iterable[float]) -> dict[str, Any]:
    """What the disclosure rules ask of a sum over firms: its ``total`` and the five ``largest`` in falling order.

    These are firms' own values: they stay in the prepared data, as the panel does, and nothing shows them.
    """
    found = sorted((abs(float(value)) for value in values), reverse=True)
    return {"total": math.fsum(found), "largest": found[:5]}


def counting_facts(tables: Iterable[Table], rules: CountingRules | None = None) -> dict[str, Any]:
    """Everything a page needs; of firms' own values only what `made_of` hands to the disclosure rules.

    Returns
    -------
    ``rules``: question, its words, the choice and its words; ``findings``: by kind and phase the cases, rows, firms and the
        first place; ``totals``: `totals_by_rule`
    """
    held, chosen = list(tables), rules or CountingRules()
    return {
        "rules": [
            {
                "question": question,
                "words": words,
                "choice": getattr(chosen, question),
                "choice_words": CHOICES[question][getattr(chosen, question)],
                "choices": [{"choice": c, "words": w} for c, w in CHOICES[question].items()],
            }
            for question, words in QUESTIONS.items()
        ],
        "findings": _summary(find_double_counting(held)),
        "totals": totals_by_rule(held, chosen),
    }


def _summary(findings: pd.DataFrame) -> list[dict[str, Any]]:
    order = list(KINDS)
    out = []
    groups = findings.groupby(["question", "kind", "certain", "column"], sort=True)
    for (question, kind, certain, column), part in groups:
        out.append(
            {
                "question": str(question),
                "kind": str(kind),
                "words": KINDS[str(kind)],
                "certain": bool(certain),
                "column": str(column),
                "cases": int(part["case"].nunique()),
                "rows": len(part),
                "firms": int(part["firm"].nunique()),
                "phases": sorted({int(p) for p in part["phase"]}),
                "file": str(part["file"].iloc[0]),
                "sheet": str(part["sheet"].iloc[0]),
                "row": int(part["row"].iloc[0]),
            }
        )
    return sorted(out, key=lambda r: (order.index(r["kind"]), r["column"], not r["certain"]))
