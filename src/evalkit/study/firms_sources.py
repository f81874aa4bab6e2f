"""What the firm builder takes from each source: years, parts, prices, sales, industry groups, and what the audit tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.building import Part
from evalkit.errors import DataError, PlanError
from evalkit.ingest.counting import counting_facts
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.audit import describe_repair
from evalkit.study.linking import MEMBERS, STATUS, pension_members
from evalkit.study.places import capital_mask
from evalkit.study.plan import Plan
from evalkit.study.programme_files import reported_totals
from evalkit.study.programme_of import outcomes_of

INSURED = "고용보험"
COMPOSITION = "고용보험DB"
FLOWS = ("hires", "separations")
HEADS = ("hires", "separations", "regular", "youth")
"""Persons of a firm: taken on and left during the year, regular and young (15–34) at its end."""


def second_source(
    tables: Mapping[str, list[Table]],
    units: pd.Index,
    years: NDArray[np.int64],
    jobs: NDArray[np.float64],
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], dict[str, Any]]:
    """국민연금 members where there are files; a firm that has closed has none."""
    pension = tables.get("national_pension")
    if not pension:
        return {}, {}, {}
    varying, fixed, facts = pension_members(
        tables["employment_insurance"], pension, units.to_numpy(dtype=str), years
    )
    covered = np.isfinite(varying[MEMBERS]).any(axis=0)
    gone = (jobs == 0) & covered[None, :] & (fixed[STATUS] != "unlinked")[:, None]
    members = np.where(gone, 0.0, varying[MEMBERS])
    return {**varying, MEMBERS: members}, fixed, {"pension_links": facts}


def years_of(insured: list[Table]) -> NDArray[np.int64]:
    """The years from the first to the last year-end file, without a gap."""
    found = {int(year) for table in insured for year in table.frame["year"].unique()}
    years = np.arange(min(found), max(found) + 1)
    missing = sorted(set(years.tolist()) - found)
    if missing:
        raise DataError(
            f"고용보험 자료에 {missing[0]}년 파일이 없음",
            where=("고용보험",),
            remedy="그 해의 연말 파일을 넣거나 기간을 줄일 것",
        )
    return years


def parts_of(tables: Mapping[str, list[Table]]) -> list[Part]:
    """Workplaces added up to firms, with region and industry of the largest; and the firms' own financial figures."""
    parts = [
        Part.of_tables(
            INSURED,
            tables["employment_insurance"],
            {"employees": "employees"},
            traits={"region": "region", "industry": "industry"},
            repeats="sum",
        ),
        Part.of_tables("재무", tables["firm_financials"], {"sales": "sales_million_krw"}),
    ]
    extract = tables.get("employment_composition")
    if extract:
        parts.append(Part.of_tables(COMPOSITION, extract, {name: name for name in HEADS}))
    return parts


def composition(panel: Panel, alive: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Hires, separations, regular and young staff where the extract was given; zero after the year of exit.

    The extract has a row for the year in which a firm closes (everybody leaves), and none after it. In the year in which a
    firm is first seen its whole staff counts as hired: no flow of a firm that was there, so that hires and separations are
    missing in that year. In a comparison they would stand in the base year and fall by the whole staff after it.
    """
    gone = (alive == 0) & np.isfinite(alive)
    seen = np.isfinite(alive)
    begins = seen & (np.cumsum(seen, axis=1) == 1)
    begins[:, 0] = False  # before the first file nobody knows
    made = {}
    for name in HEADS:
        if name in panel.varying:
            values = np.where(gone & ~np.isfinite(panel.values(name)), 0.0, panel.values(name))
            made[name] = np.where(begins, np.nan, values) if name in FLOWS else values
    return made


def reported(tables: list[Table], plan: Plan) -> dict[str, Any]:
    """Reported totals, the repairs that took double counting out of them, and what every rule would make of them."""
    rules = plan.data.counting.rules()
    totals, cleaned = reported_totals(tables, rules=rules, outcomes=lambda phase: outcomes_of(plan, phase))
    before = {repair for table in tables for repair in table.repairs}
    return {
        "programme": totals,
        "counting": counting_facts(tables, rules),
        "double_counting": [
            {"title": table.spec.title, "sheet": table.sheet, "file": table.file, **describe_repair(repair)}
            for table in cleaned
            for repair in table.repairs
            if repair not in before
        ],
    }


def grouped(sector: NDArray[np.str_], groups: Mapping[str, Any], plan: str) -> NDArray[np.str_]:
    """Industry groups of the plan; without groups the KSIC 2-digit industry itself."""
    if not groups:
        return sector
    of = {str(code): str(name) for name, codes in groups.items() for code in codes}
    strangers = sorted(set(sector.tolist()) - set(of) - {""})
    if strangers:
        raise PlanError(
            f"업종 {strangers[0]!r} 이(가) 어느 업종 묶음에도 없음 (모두 {len(strangers)}개)",
            where=(plan, "units.options.industry_groups"),
            remedy="그 업종 코드를 묶음 하나에 넣을 것",
        )
    return np.array([of.get(code, "") for code in sector.tolist()])


def price_level(tables: list[Table], years: NDArray[np.int64], base: int) -> NDArray[np.float64]:
    """Price level of each year, base year = 1."""
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    series = frame.set_index(frame["year"].astype(int))["index"].astype(float)
    missing = [int(y) for y in (*years, base) if y not in series.index]
    if missing:
        raise DataError(
            f"물가지수에 {missing[0]}년 값이 없음",
            where=("물가",),
            remedy="그 해의 지수를 더하거나 기간을 줄일 것",
        )
    level = series.reindex(years).to_numpy(dtype=np.float64)
    return np.asarray(level / float(series.loc[base]))


def real_sales(
    nominal: NDArray[np.float64],
    years: NDArray[np.int64],
    alive: NDArray[np.float64],
    deflator: NDArray[np.float64],
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Real sales (million KRW); zero after exit, missing where the firm did not file."""
    real = np.where(alive == 0, 0.0, nominal / deflator[None, :])
    filed = np.isfinite(nominal) & (alive == 1)
    rate = filed.sum(axis=0) / np.maximum((alive == 1).sum(axis=0), 1)
    return real, {"filing_rate": {str(int(y)): round(float(r), 4) for y, r in zip(years, rate, strict=True)}}


def linkage(units: pd.Index, started: pd.DataFrame) -> dict[str, Any]:
    """How many supported firms the insurance files know, in all and by phase."""
    found = started.index.isin(units)
    return {
        "supported_firms": len(started),
        "linked": int(found.sum()),
        "by_phase": {
            str(int(p)): {
                "supported": int((started["phase"] == p).sum()),
                "linked": int(((started["phase"] == p) & found).sum()),
            }
            for p in np.unique(started["phase"])
        },
    }


def reconciliation(tables: Mapping[str, list[Table]], insured: pd.DataFrame) -> list[dict[str, Any]]:
    """Yearly totals of two administrative sources side by side (non-capital)."""
    pension = tables.get("national_pension")
    if not pension:
        return []
    members = pd.concat([table.frame for table in pension], ignore_index=True)
    members = members[members["region"].notna()]
    members = members[~capital_mask(members["region"].to_numpy(dtype=str))]
    by_month = members.groupby(members["month"].astype(str))["members"].sum()
    outside = insured[~capital_mask(insured["region"].to_numpy(dtype=str))]
    by_year = outside.groupby(outside["year"].astype(int))["employees"].sum()
    rows = []
    for month, total in by_month.items():
        year = int(str(month)[:4])
        if year in by_year.index:
            rows.append(
                {
                    "year": year,
                    "month": str(month)[:7],
                    "pension": float(total),
                    "insurance": float(by_year[year]),
                }
            )
    return rows


def log_positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm, missing where there is none  # like values"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(values > 0, np.log(values), np.nan))


def log1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(1 + y): a covariate only; as an outcome it would be refused."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.log1p(np.maximum(values, 0.0)))
