"""What the 성과조사 workbooks say: who was supported from when, and what was reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from evalkit import programmes
from evalkit.errors import DataError, UsageError
from evalkit.ingest.counting import INDICATORS, CountingRules, Indicator, Reported
from evalkit.ingest.counting.compared import made_of
from evalkit.ingest.counting.results import Counted
from evalkit.ingest.sources.performance_survey import deduplicate_attracted, deduplicate_firm_totals
from evalkit.ingest.table import Table
from evalkit.programmes import Fact


def _of(tables: Iterable[Table], spec: str) -> list[Table]:
    return [table for table in tables if table.spec.name == spec]


def support(tables: Iterable[Table]) -> pd.DataFrame:
    """First support of each firm.

    Returns
    -------
    DataFrame indexed by firm_id: adoption (year in which the first agreement starts), phase (of that agreement),
    phases (all phases in which the firm has an agreement, such as "1,3")
    """
    frames = [table.frame for table in _of(tables, "performance_projects")]
    if not frames:
        raise DataError(
            "성과조사에 과제현황이 없음", where=("성과조사",), remedy="과제현황 시트가 있는 파일을 넣을 것"
        )
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.assign(year=pd.to_datetime(frame["agreement_start"]).dt.year)
    ordered = frame.sort_values(["firm_id", "agreement_start", "phase"], kind="stable")
    groups = ordered.groupby("firm_id", sort=True)
    return pd.DataFrame(
        {
            "adoption": groups["year"].first().astype(float),
            "phase": groups["phase"].first().astype(int),
            "phases": groups["phase"].agg(lambda values: ",".join(str(v) for v in sorted(set(values)))),
        }
    )


Outcomes = Callable[[int], Mapping[str, Fact]]
# what is shown -> (indicator, attribute of the published outcomes, rules changed for it)
INDICATORS_SHOWN: dict[str, tuple[str, str, dict[str, str]]] = {
    "new_jobs": ("new_jobs", "jobs", {}),
    "new_regular_jobs": ("new_regular_jobs", "", {}),
    "new_youth_jobs": ("new_youth_jobs", "", {}),
    "commercial_sales": ("commercial_sales", "commercialisation_sales", {}),
    "attracted": ("attracted", "core_firms_attracted", {}),
    "attracted_capital": ("attracted_capital", "core_firms_from_capital", {}),
    "attracted_moved": ("attracted", "", {"attraction": "moves"}),
}


def reported_totals(
    tables: Iterable[Table],
    programme: str = "NIC",
    rules: CountingRules | None = None,
    *,
    outcomes: Outcomes | None = None,
) -> tuple[list[dict[str, Any]], list[Table]]:
    """Reported totals by phase: the sum over rows, as the rules count, and as published.

    By default rows of one firm that repeat the same value count once, and where they differ the largest counts; a firm
    reported as attracted by two bodies counts once; agreements (MOU) are counted as reported, and left out in a row of
    their own.

    Parameters
    ----------
    programme : whose published figures stand beside; a programme that `evalkit.programmes` does not know has none
    rules : how to count (`evalkit.ingest.counting`)
    outcomes : the published outcomes of a phase, where they do not come from `programme` but from a fact file of one's own

    Returns
    -------
    rows of plain values, and the tables after the double counting was taken out (with the repairs that say so). Of each
    sum over firms: ``firms`` behind it, ``repeated``, those behind the difference of the two sums, and what the disclosure
    rules ask (`made_of`) of both sums and of their difference

    Raises
    ------
    ValueProblem : a firm's rows differ, and the rule is to stop
    """
    held, chosen = list(tables), rules or CountingRules()
    told = outcomes or (lambda phase: published_outcomes(programme, phase))
    cleaned = _cleaned(held, chosen)
    reported = Reported.of(held)
    known = {indicator.name: indicator for indicator in INDICATORS}
    rows: list[dict[str, Any]] = []
    for shown, (name, attribute, changes) in INDICATORS_SHOWN.items():
        indicator = known[name]
        mine = replace(chosen, **changes)  # type: ignore[arg-type]
        if not reported.phases(indicator):
            continue
        written, net = _written(reported, indicator, changes), reported.by_firm(indicator, mine)
        for phase in reported.phases(indicator):
            if not _reported_at_all(held, indicator.column, phase):
                continue  # a column that the file does not have is not a total of zero
            raw, once = written.of(phase), net.of(phase)
            row = _row(shown, told(phase).get(attribute), float(raw.sum()), float(once.sum()), phase)
            if indicator.column:
                row |= {"firms": int((raw != 0).sum()), "repeated": _repeated(raw, once)}
                twice = raw.sub(once, fill_value=0.0)
                row |= {
                    "made": made_of(once),
                    "made_of_raw": made_of(raw),
                    "made_of_repeated": made_of(twice),
                }
            if changes:
                whole = reported.by_firm(indicator, chosen).of(phase)
                row["agreements"] = round(float(whole.sum()) - float(once.sum()))
            rows.append(row)
    return sorted(rows, key=lambda row: row["phase"]), cleaned


def _reported_at_all(tables: Iterable[Table], column: str, phase: int) -> bool:
    """Whether some row of a phase has a value in a column; arrivals have rows, no column."""
    if not column:
        return True
    for table in tables:
        if column in table.frame and "phase" in table.frame:
            mine = table.frame["phase"] == phase
            if bool(table.frame.loc[mine, column].notna().any()):
                return True
    return False


def _written(reported: Reported, indicator: Indicator, changes: dict[str, str]) -> Counted:
    """Every row as it is written; of moves alone, every row of a move."""
    if not changes:
        return reported.by_firm(indicator, None)
    return reported.by_firm(indicator, replace(CountingRules(bodies="each"), **changes))  # type: ignore[arg-type]


def _cleaned(tables: list[Table], rules: CountingRules) -> list[Table]:
    """The tables of results and arrivals without what the rules count once."""
    out = []
    for table in tables:
        if table.spec.name == "performance_outcomes":
            out.append(deduplicate_firm_totals(table, conflict=rules.repeated_totals))
        elif table.spec.name == "performance_attracted":
            out.append(deduplicate_attracted(table) if rules.bodies == "once" else table)
    return out


def _row(indicator: str, fact: Fact | None, raw: float, deduplicated: float, phase: int) -> dict[str, Any]:
    return {
        "phase": phase,
        "indicator": indicator,
        "raw": raw,
        "deduplicated": deduplicated,
        "published": None if fact is None else fact.number,
        "source": "" if fact is None else fact.cite(),
    }


def _repeated(raw: pd.Series, net: pd.Series) -> int:
    """Firms whose value differs once it is counted a single time."""
    both = raw.sub(net, fill_value=0.0)
    return int((both.abs() > 1e-9 * raw.abs().clip(lower=1.0).reindex(both.index, fill_value=1.0)).sum())


def published_outcomes(programme: str, phase: int) -> Mapping[str, Fact]:
    """The published outcomes of a phase of a built-in programme; none where it is not known."""
    try:
        return programmes.programme(programme).phase(phase).outcomes
    except UsageError:
        return {}
