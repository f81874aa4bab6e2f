"""Results of firms counted by the rules: which number of which firm stands once, and who shares it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import ValueProblem
from evalkit.ingest.counting.rows import numbers
from evalkit.ingest.counting.rules import CountingRules

Token = dict[str, Any]
Pair = tuple[int, int, str, str, str]
# columns of the 성과 sheet that hold amounts of money, and counts
MONEY = ("commercial_sales_million_krw",)
COUNTS = ("new_jobs", "new_regular_jobs", "new_youth_jobs", "patents", "papers")
LEAST_COUNT = 10.0


@dataclass(frozen=True, slots=True)
class Counted:
    """One indicator under one set of rules.

    Attributes
    ----------
    firms : ``phase, firm, value``: what each firm counts with
    """

    firms: pd.DataFrame

    def total(self, phase: int) -> float:
        """The sum of a phase."""
        return float(self.firms.loc[self.firms["phase"] == phase, "value"].sum())

    def by_phase(self) -> dict[int, dict[str, float]]:
        """Phase -> firm -> value, firms in their order."""
        out: dict[int, dict[str, float]] = {}
        rows = zip(self.firms["phase"], self.firms["firm"], self.firms["value"], strict=True)
        for phase, firm, value in sorted(rows, key=lambda row: (row[0], row[1])):
            of_phase = out.setdefault(int(phase), {})
            of_phase[str(firm)] = of_phase.get(str(firm), 0.0) + float(value)
        return out

    def of(self, phase: int) -> pd.Series:
        """Values by firm of a phase."""
        part = self.firms[self.firms["phase"] == phase]
        return part.groupby("firm")["value"].sum()


def as_written(outcomes: pd.DataFrame, column: str) -> Counted:
    """Every row as it stands."""
    values = np.nan_to_num(numbers(outcomes, column))
    return Counted(outcomes[["phase", "firm"]].assign(value=values))


def counted(outcomes: pd.DataFrame, projects: pd.DataFrame, column: str, rules: CountingRules) -> Counted:
    """An indicator of the 성과 sheets by the rules on repeated totals, partners and phases.

    Parameters
    ----------
    outcomes, projects : of `rows.rows_of`, branches merged where they are to be
    column : of numbers

    Raises
    ------
    ValueProblem : a firm's rows differ, and the rule is to stop
    """
    tokens = tokens_of(outcomes, column, rules.repeated_totals)
    if rules.partners != "each":
        pairs = alike_pairs(outcomes, MONEY, COUNTS)
        tokens = shared(tokens, pairs, leads_of(projects), rules.partners)
    frame = pd.DataFrame(
        [(t["phase"], t["firm"], t["value"] * t["weight"]) for t in tokens],
        columns=["phase", "firm", "value"],
    )
    if rules.phases == "first" and len(frame):
        first = outcomes.groupby("firm")["phase"].min()
        frame = frame[frame["phase"].to_numpy() == first.reindex(frame["firm"]).to_numpy()]
    return Counted(frame)


def tokens_of(outcomes: pd.DataFrame, column: str, rule: str) -> list[Token]:
    """The numbers that stand for a firm in a phase and year, each once: one, or several under "once".

    A token is ``phase, year, firm, value, weight, places``; places are the (project, row position) in which it is written.
    """
    values = numbers(outcomes, column)
    told: dict[tuple[int, int, str], dict[float, list[tuple[str, int]]]] = {}
    keys = zip(outcomes["phase"], outcomes["year"], outcomes["firm"], outcomes["project"], strict=True)
    for at, (phase, year, firm, project) in enumerate(keys):
        if not np.isnan(values[at]):
            of_firm = told.setdefault((int(phase), int(year), str(firm)), {})
            of_firm.setdefault(float(f"{values[at]:.12g}"), []).append((str(project), at))
    tokens: list[Token] = []
    for (phase, year, firm), places in sorted(told.items()):
        distinct = sorted(places)
        if len(distinct) > 1 and rule == "error":
            _stop(outcomes, column, places)
        if len(distinct) > 1 and rule == "missing":
            continue
        for value in distinct if rule == "once" else distinct[-1:]:
            tokens.append(
                {"phase": phase, "year": year, "firm": firm, "value": value, "weight": 1.0, "places": places[value]}
            )  # fmt: skip
    return tokens


def _stop(outcomes: pd.DataFrame, column: str, places: dict[float, list[tuple[str, int]]]) -> None:
    low, high = min(places), max(places)
    one, other = (outcomes.iloc[places[value][0][1]] for value in (low, high))
    raise ValueProblem(
        f"한 기업의 {column} 값이 과제 행마다 다름 ({one['row']}행 {low:g}, {other['row']}행 {high:g})",
        where=(str(other["file"]), f"시트 {other['sheet']}", f"{other['row']}행"),
        remedy="원본을 확인해 같은 값으로 고치거나 data.counting 의 repeated_totals 를 largest, missing, once 가운데 고를 것",
    )


def leads_of(projects: pd.DataFrame) -> dict[tuple[int, str], set[str]]:
    """The leading firms of each project of a phase; empty where the roles are not told."""
    leads: dict[tuple[int, str], set[str]] = {}
    if projects.empty or "role" not in projects:
        return leads
    led = projects[projects["role"].astype(str) == "lead"]
    for phase, project, firm in zip(led["phase"], led["project"], led["firm"], strict=True):
        leads.setdefault((int(phase), str(project)), set()).add(str(firm))
    return leads


def alike_pairs(outcomes: pd.DataFrame, money: Sequence[str], counts: Sequence[str]) -> set[Pair]:
    """Pairs of firms in one project whose rows cannot well agree by chance.

    They agree in an amount of money that is not zero, or in a count of at least `LEAST_COUNT`; smaller counts agree by
    chance every day.
    """
    found: set[Pair] = set()
    for column in (*money, *counts):
        if column not in outcomes:
            continue
        values = numbers(outcomes, column)
        least = 0.0 if column in money else LEAST_COUNT
        told = np.nan_to_num(values) >= max(least, 1e-12)
        told &= (outcomes["project"] != "").to_numpy(dtype=bool)
        together: dict[tuple[int, int, str, float], set[str]] = {}
        keys = zip(outcomes["phase"], outcomes["year"], outcomes["project"], outcomes["firm"], strict=True)
        for at, (phase, year, project, firm) in enumerate(keys):
            if told[at]:
                where = (int(phase), int(year), str(project), float(f"{values[at]:.12g}"))
                together.setdefault(where, set()).add(str(firm))
        for (phase, year, project, _), firms in together.items():
            found |= {(phase, year, project, *pair) for pair in combinations(sorted(firms), 2)}
    return found


def same_results(tokens: list[Token], pairs: set[Pair]) -> list[list[Token]]:
    """Tokens of different firms with the same number, not zero, written in one project by firms that are a pair.

    Firms that meet in a chain of projects with the same number are one group.
    """
    groups: list[list[Token]] = []
    by_value: dict[tuple[int, int, float], list[Token]] = {}
    for token in tokens:
        if token["value"]:
            by_value.setdefault((token["phase"], token["year"], token["value"]), []).append(token)
    for alike in by_value.values():
        label = list(range(len(alike)))
        for (i, one), (j, other) in combinations(enumerate(alike), 2):
            first, second = sorted((one["firm"], other["firm"]))
            both = {p for p, _ in one["places"]} & {p for p, _ in other["places"]}
            if any((one["phase"], one["year"], p, first, second) in pairs for p in both):
                old, new = label[j], label[i]
                label = [new if k == old else k for k in label]
        for one_label in dict.fromkeys(label):
            group = [t for t, k in zip(alike, label, strict=True) if k == one_label]
            if len(group) > 1:
                groups.append(group)
    return groups


def lead_of(group: list[Token], leads: dict[tuple[int, str], set[str]]) -> tuple[Token, bool]:
    """The token that counts for a group under "lead", and whether its role was told; else the first row's."""
    for token in sorted(group, key=lambda t: min(at for _, at in t["places"])):
        if any(token["firm"] in leads.get((token["phase"], p), ()) for p, _ in token["places"]):
            return token, True
    return min(group, key=lambda t: min(at for _, at in t["places"])), False


def shared(
    tokens: list[Token], pairs: set[Pair], leads: dict[tuple[int, str], set[str]], rule: str
) -> list[Token]:
    """The tokens with their weights under a rule on partners."""
    weight = {id(t): 1.0 for t in tokens}
    for group in same_results(tokens, pairs):
        chosen, _ = lead_of(group, leads)
        for token in group:
            weight[id(token)] = 1 / len(group) if rule == "split" else float(token is chosen)
    return [{**t, "weight": weight[id(t)]} for t in tokens]
