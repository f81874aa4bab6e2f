"""Panels of a cluster programme, from the files an evaluator has: firms, municipalities, industries, flows.

Firms are joined by the keyed hash of their business number. Jobs and survival come from the year-end employment-insurance
files (a firm that has left them counts zero jobs: exits are outcomes, not missing values), total sales from the financial
file (real, by the plan's price base), support from the 성과조사 workbooks, zones and distances from the notices; hires,
separations, regular and young staff from the 고용보험DB extract where the plan has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.building import Built, History, joined_panel, over_places
from evalkit.building.relocation_flows import relocation_flows
from evalkit.building.relocations import Relocations, relocations
from evalkit.building.workplaces import workplace_histories
from evalkit.flows import Flows
from evalkit.ingest.regions import municipalities
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.firms_places import (
    Zones,
    bands,
    industry_panel,
    municipality_panel,
    relocation_matrix,
    targets_of,
    tiers_of,
)
from evalkit.study.firms_sources import (
    COMPOSITION,
    INSURED,
    composition,
    grouped,
    linkage,
    log1p,
    log_positive,
    parts_of,
    price_level,
    real_sales,
    reconciliation,
    reported,
    second_source,
    years_of,
)
from evalkit.study.firms_support import support_variables
from evalkit.study.places import capital_mask, provinces_of
from evalkit.study.programme_files import support
from evalkit.study.relocation_facts import relocation_facts

RING_KM = 20.0
OPTIONS: dict[str, Any] = {
    "price_base_year": 2020,
    "ring_km": RING_KM,
    "industry_groups": {},
    "industry_labels": {},
    "target_industries": {},
    "relocation_months": 12,
    "relocation_workers": 1,
}


def build_firms(
    plan: Any, tables: Mapping[str, list[Table]]
) -> tuple[dict[str, Panel | Flows], dict[str, Any]]:
    """Panels ``units`` (firms), ``regions`` (시군구), ``industries`` (시·도 × KSIC 2-digit) and flows ``relocation``.

    Returns
    -------
    by name, and the facts of the audit
    """
    options = {**OPTIONS, **plan.units.options}
    insured = tables["employment_insurance"]
    years = years_of(insured)
    built = joined_panel(
        parts_of(tables),
        units=INSURED,
        periods=years.tolist(),
        fixed={"region": "first", "industry": "first"},
    )
    zones = Zones.of(tables["zones"], tables["zone_distances"])
    started = support(tables["performance_survey"])
    panel, history, facts = _firm_panel(plan, tables, options, built, years, zones, started)
    moved, found = _moves(built, int(options["relocation_months"]), int(options["relocation_workers"]))
    ring_km = float(options["ring_km"])
    regions = municipality_panel(moved, zones, built.rows[INSURED], ring_km)
    adoption = panel.constant("adoption")
    facts = {
        **reported(tables["performance_survey"], plan),
        "linkage": linkage(pd.Index(panel.units), started),
        **facts,
        "reconciliation": reconciliation(
            tables, pd.concat([table.frame for table in insured], ignore_index=True)
        ),
        "moves": {
            str(int(y)): int(n)
            for y, n in zip(moved.periods, regions.varying["moved_in"].sum(axis=0), strict=True)
        },
        "panel_flow": {"units": built.flow.records(), "regions": found.chart.records()},
        "relocation": relocation_facts(tables["performance_survey"], built.rows[INSURED], found),
        "histories": history.facts(),
        "support_by_year": {
            str(int(y)): int((adoption == y).sum()) for y in np.unique(adoption[np.isfinite(adoption)])
        },
        "ring_km": ring_km,
        "price_base_year": int(options["price_base_year"]),
    }
    flows = relocation_matrix(moved, zones, ring_km)
    return {
        "units": panel,
        "regions": regions,
        "industries": industry_panel(panel),
        "relocation": flows,
    }, facts


def _firm_panel(
    plan: Any,
    tables: Mapping[str, list[Table]],
    options: Mapping[str, Any],
    built: Built,
    years: NDArray[np.int64],
    zones: Zones,
    started: pd.DataFrame,
) -> tuple[Panel, History, dict[str, Any]]:
    """Firms × years, with the facts about how their sources were joined."""
    units = pd.Index(built.panel.units, name="firm_id")
    history = History.of(np.isfinite(built.panel.values("employees")))
    jobs, alive = history.exits_as_zero(built.panel.values("employees")), history.alive()
    region = built.panel.constant("region")
    sector = built.panel.constant("industry").astype("U2")
    sido = provinces_of(region)
    supported = support_variables(tables["performance_survey"], started, units)
    deflator = price_level(tables["deflator"], years, int(options["price_base_year"]))
    sales, filed = real_sales(built.panel.values("sales"), years, alive, deflator)
    second, links, linking = second_source(tables, units, years, jobs)
    industries = options["target_industries"]
    target = {"target": targets_of(sido, sector, industries, plan.id)} if industries else {}
    panel = Panel(
        units=units.to_numpy(dtype=str),
        periods=years,
        varying={
            **second,
            "jobs": jobs,
            "alive": alive,
            "sales_real": sales,
            "log_jobs": log_positive(jobs),
            "log1p_sales": log1p(sales),
            **composition(built.panel, alive),
            **bands(zones, region, years, supported["adoption"]),
        },
        fixed={
            **links,
            **supported,
            "sido": sido,
            "sigungu": region,
            "capital_region": np.where(capital_mask(region), "1", "0"),
            "sector": sector,
            "sector_group": grouped(sector, options["industry_groups"], plan.id),
            **target,
            "tier": tiers_of(sido),
            "ring": zones.near(region, float(options["ring_km"])),
            **{f"km_phase{phase}": zones.km(phase, region) for phase in (1, 3)},
        },
        notes={
            **built.panel.notes,
            "row": "기업",
            "price_base_year": int(options["price_base_year"]),
            "price_levels": {
                str(int(y)): float(p) for y, p in zip(years, deflator, strict=True) if np.isfinite(p)
            },
        },
    )
    facts = {**linking, "financials": filed}
    if COMPOSITION in built.rows:
        facts["composition"] = {"firms": int(built.rows[COMPOSITION]["unit"].nunique())}
    return panel, history, facts


def _moves(built: Built, months: int, workers: int) -> tuple[Flows, Relocations]:
    """Relocations of firms between 시·군·구 by the rule of the plan, over every place and the years in which they can be told.

    A change of address counts where the firm has `workers` insured workers at the new one for `months` months: in year-end
    files, at two year-ends. The last year cannot be told.
    """
    rows = built.rows[INSURED]
    histories = workplace_histories(
        rows, pd.factorize(rows["unit"])[0], period="period", workers="employees", gap_months=12
    )
    moved = relocations(histories, months=months, workers=workers)
    return over_places(relocation_flows(moved, level="district"), _municipalities()), moved


def _municipalities() -> list[str]:
    return [str(code) for code in np.sort(municipalities(2018)["code"].to_numpy(dtype=str))]
