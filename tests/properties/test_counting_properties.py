"""Totals of programme files do not depend on the order of rows or on files, and agree with a count by brute force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.ingest.counting import INDICATORS, CountingRules, Reported, find_double_counting
from evalkit.ingest.sources.performance_survey import OUTCOMES, PROJECTS
from evalkit.ingest.table import Table

SETTINGS = settings(max_examples=40, deadline=None)
SALES, JOBS = INDICATORS[3], INDICATORS[0]
ROW = st.tuples(
    st.sampled_from("abcde"),
    st.sampled_from(["P1", "P2", "P3"]),
    st.sampled_from([1, 2, 3]),
    st.one_of(st.none(), st.sampled_from([0, 100, 200, 300])),
)
ROWS = st.lists(ROW, min_size=1, max_size=16, unique_by=lambda row: row[:3])


def tables(rows: list[Any], cut: int = 0) -> list[Table]:
    frame = pd.DataFrame(rows, columns=["firm_id", "project_id", "phase", "commercial_sales_million_krw"])
    frame["firm_name"] = [f"기업{'가나다라마'['abcde'.index(f)]}" for f in frame["firm_id"]]
    frame["source_row"] = range(5, 5 + len(frame))
    roles = frame[["firm_id", "project_id", "phase", "firm_name", "source_row"]].assign(
        role=["lead" if f in "ab" else "partner" for f in frame["firm_id"]]
    )
    parts = [frame.iloc[cut:], frame.iloc[:cut]] if cut else [frame]
    made = [Table(OUTCOMES, part, Path(f"{i}.xlsx"), "0" * 64, "성과") for i, part in enumerate(parts)]
    return [*made, Table(PROJECTS, roles, Path("0.xlsx"), "0" * 64, "과제현황")]


def brute(rows: list[Any], phase: int, rule: str) -> float:
    """Sum over firms of what stands for each, in 억원."""
    total = 0.0
    for firm in "abcde":
        told = {v for f, _, p, v in rows if f == firm and p == phase and v is not None}
        if told:
            total += {"largest": max(told), "once": sum(told), "missing": max(told) if len(told) == 1 else 0}[
                rule
            ]
    return total / 100


@SETTINGS
@given(ROWS, st.sampled_from(["largest", "once", "missing"]))
def test_repeated_totals_by_brute_force(rows: list[Any], rule: Any) -> None:
    counted = Reported.of(tables(rows)).by_firm(SALES, CountingRules(repeated_totals=rule))
    for phase in (1, 2, 3):
        assert counted.total(phase) == pytest.approx(brute(rows, phase, rule))


@SETTINGS
@given(ROWS)
def test_one_result_of_partners_by_brute_force(rows: list[Any]) -> None:
    """Firms joined by a project and a number: each connected set counts once, whoever counts for it."""
    for rule in ("lead", "split"):
        counted = Reported.of(tables(rows)).by_firm(
            SALES, CountingRules(repeated_totals="once", partners=rule)
        )  # type: ignore[arg-type]
        for phase in (1, 2, 3):
            nodes = {(f, v) for f, _, p, v in rows if p == phase and v}
            total = 0.0
            while nodes:
                todo = [nodes.pop()]
                value = todo[0][1]
                while todo:
                    firm, _ = todo.pop()
                    near = {(g, w) for g, q, p, w in rows if p == phase and w == value and (firm, q, p, value) in set(rows)}  # fmt: skip
                    todo += [n for n in near if n in nodes]
                    nodes -= near
                total += value
            assert counted.total(phase) == pytest.approx(total / 100)


@SETTINGS
@given(ROWS, st.randoms(use_true_random=False), st.integers(0, 15))
def test_order_and_files_do_not_matter(rows: list[Any], random: Any, cut: int) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    for rules in (
        CountingRules(),
        CountingRules(repeated_totals="once", partners="split"),
        CountingRules(phases="first", branches="merge"),
    ):
        a = Reported.of(tables(rows)).by_firm(SALES, rules).by_phase()
        b = Reported.of(tables(shuffled, min(cut, len(rows) - 1))).by_firm(SALES, rules).by_phase()
        assert {p: pytest.approx(v) for p, v in a.items()} == b
    kinds = [
        find_double_counting(t)[["kind", "firm", "column", "value"]].value_counts(dropna=False).to_dict()
        for t in (tables(rows), tables(shuffled))
    ]
    assert {str(k): v for k, v in kinds[0].items()} == {str(k): v for k, v in kinds[1].items()}


@SETTINGS
@given(ROWS)
def test_rules_order_the_totals(rows: list[Any]) -> None:
    """Counting once is never more than each row; adding different values up never less than the largest."""
    reported = Reported.of(tables(rows))
    for phase in (1, 2, 3):
        by = {
            rule: reported.by_firm(SALES, CountingRules(repeated_totals=rule)).total(phase)  # type: ignore[arg-type]
            for rule in ("missing", "largest", "once")
        }
        written = reported.by_firm(SALES, None).total(phase)
        assert by["missing"] <= by["largest"] <= by["once"] <= written + 1e-9
        each, lead, split = (
            reported.by_firm(SALES, CountingRules(partners=rule)).total(phase)  # type: ignore[arg-type]
            for rule in ("each", "lead", "split")
        )
        assert lead == pytest.approx(split)
        assert lead <= each + 1e-9
        first = reported.by_firm(SALES, CountingRules(phases="first")).total(phase)
        assert first <= by["largest"] + 1e-9
