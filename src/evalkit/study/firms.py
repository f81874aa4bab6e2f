"""Firm panel and municipality panel of a cluster programme, from the files an evaluator has.

Firms are joined by the keyed hash of their business number. Jobs and survival come from the year-end employment-insurance
files (a firm that has left them counts zero jobs: exits are outcomes, not missing values), total sales from the financial
file (real, by the plan's price base), support from the 성과조사 workbooks, zones and distances from the notices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.building import Built, History, Part, joined_panel, moved_in, over_places
from evalkit.building.relocation_flows import relocation_flows
from evalkit.building.relocations import Relocations, relocations
from evalkit.building.workplaces import workplace_histories
from evalkit.errors import DataError, PlanError
from evalkit.flows import Flows
from evalkit.ingest.counting import CountingRules, counting_facts
from evalkit.ingest.regions import municipalities
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.audit import describe_repair
from evalkit.study.linking import MEMBERS, STATUS, pension_members
from evalkit.study.places import capital_mask, provinces_of
from evalkit.study.programme_files import reported_totals, support

RING_KM = 20.0
INSURED = "고용보험"
OPTIONS: dict[str, Any] = {
    "price_base_year": 2020,
    "ring_km": RING_KM,
    "industry_groups": {},
    "relocation_months": 12,
    "relocation_workers": 1,
}


def build_firms(plan: Any, tables: Mapping[str, list[Table]]) -> tuple[dict[str, Panel], dict[str, Any]]:
    """Panels ``units`` (firms) and ``regions`` (시군구), with the facts of the audit."""
    options = {**OPTIONS, **plan.units.options}
    insured = tables["employment_insurance"]
    years = _years(insured)
    built = joined_panel(
        _parts(tables), units=INSURED, periods=years.tolist(), fixed={"region": "first", "industry": "first"}
    )
    units = pd.Index(built.panel.units, name="firm_id")
    history = History.of(np.isfinite(built.panel.values("employees")))
    jobs, alive = history.exits_as_zero(built.panel.values("employees")), history.alive()
    region = built.panel.constant("region")
    sector = built.panel.constant("industry").astype("U2")
    started = support(tables["performance_survey"])
    adoption = started["adoption"].reindex(units).to_numpy(dtype=float, na_value=np.inf)
    phase = started["phase"].reindex(units).to_numpy(dtype=float, na_value=0.0)
    deflator = _deflator(tables["deflator"], years, int(options["price_base_year"]))
    sales, assets_facts = _sales(built.panel.values("sales"), years, alive, deflator)
    distance = _nearest_zone(tables["zone_distances"])
    treated = np.isfinite(adoption)
    second, links, linking = _second(tables, units, years, jobs)
    panel = Panel(
        units=units.to_numpy(dtype=str),
        periods=years,
        varying={
            **second,
            "jobs": jobs,
            "alive": alive,
            "sales_real": sales,
            "log_jobs": _log_positive(jobs),
            "log1p_sales": _log1p(sales),
        },
        fixed={
            **links,
            "adoption": adoption,
            "phase_first": phase,
            "sido": provinces_of(region),
            "sigungu": region,
            "capital_region": np.where(capital_mask(region), "1", "0"),
            "sector": sector,
            "sector_group": _grouped(sector, options["industry_groups"], plan.id),
            "ring": _in_ring(distance, region, float(options["ring_km"])),
        },
        notes={**built.panel.notes, "row": "기업", "price_base_year": int(options["price_base_year"])},
    )
    moved, found = _moves(built, int(options["relocation_months"]), int(options["relocation_workers"]))
    moves = moved_in(moved, capital_mask(moved.origins))
    moves[capital_mask(moved.destinations)] = 0.0  # a move within the capital region leads nobody out of it
    regions = _region_panel(
        moved.destinations, moves, moved.periods, tables["zones"], distance, float(options["ring_km"])
    )
    facts = {
        **_reported(tables["performance_survey"], plan.programme, plan.data.counting.rules()),
        "linkage": _linkage(units, started),
        **linking,
        "reconciliation": _reconcile(
            tables, pd.concat([table.frame for table in insured], ignore_index=True)
        ),
        "moves": {str(int(y)): int(n) for y, n in zip(moved.periods, moves.sum(axis=0), strict=True)},
        "panel_flow": {"units": built.flow.records(), "regions": found.chart.records()},
        "histories": history.facts(),
        "support_by_year": {str(int(y)): int((adoption == y).sum()) for y in np.unique(adoption[treated])},
        "financials": assets_facts,
        "ring_km": float(options["ring_km"]),
        "price_base_year": int(options["price_base_year"]),
    }
    return {"units": panel, "regions": regions}, facts


def _in_ring(distance: pd.Series, region: NDArray[Any], ring_km: float) -> NDArray[np.str_]:
    """Whether a firm lies near a zone, by place alone  # (N,)

    A firm supported later but near a zone is as exposed to displacement as one never supported, and keeping it would fill
    the comparison with firms that by definition lived to be supported.
    """
    return np.where(distance.reindex(region).to_numpy(dtype=float) <= ring_km, "1", "0")


def _second(
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


def _years(insured: list[Table]) -> NDArray[np.int64]:
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


def _parts(tables: Mapping[str, list[Table]]) -> list[Part]:
    """Workplaces added up to firms, with region and industry of the largest; and the firms' own financial figures."""
    return [
        Part.of_tables(
            INSURED,
            tables["employment_insurance"],
            {"employees": "employees"},
            traits={"region": "region", "industry": "industry"},
            repeats="sum",
        ),
        Part.of_tables("재무", tables["firm_financials"], {"sales": "sales_million_krw"}),
    ]


def _reported(tables: list[Table], programme: str, rules: CountingRules) -> dict[str, Any]:
    """Reported totals, the repairs that took double counting out of them, and what every rule would make of them."""
    totals, cleaned = reported_totals(tables, programme, rules)
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


def _grouped(sector: NDArray[np.str_], groups: Mapping[str, Any], plan: str) -> NDArray[np.str_]:
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


def _deflator(tables: list[Table], years: NDArray[np.int64], base: int) -> NDArray[np.float64]:
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


def _sales(
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


def _nearest_zone(tables: list[Table]) -> pd.Series:
    """Kilometres from each 시군구 to the nearest zone of any phase."""
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    return frame.groupby("region")["zone_distance_km"].min()


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


def _region_panel(
    codes: NDArray[np.str_],
    moves: NDArray[np.float64],
    years: NDArray[np.int64],
    zones: list[Table],
    distance: pd.Series,
    ring_km: float,
) -> Panel:
    """Municipalities: firms moving in from the capital region; adoption = first designation of a zone.

    A zone designated in the second half of a year counts from the next year.
    """
    frame = pd.concat([table.frame for table in zones], ignore_index=True)
    date = pd.to_datetime(frame["designated"])
    first = (date.dt.year + (date.dt.month > 6)).groupby(frame["region"]).min()
    adoption = first.reindex(codes).to_numpy(dtype=float, na_value=np.inf)
    near = distance.reindex(codes).to_numpy(dtype=float) <= ring_km
    return Panel(
        units=codes,
        periods=years,
        varying={"moved_in": moves},
        fixed={
            "adoption": adoption,
            "sido": provinces_of(codes),
            "sigungu": codes,
            "capital_region": np.where(capital_mask(codes), "1", "0"),
            "ring": np.where(near, "1", "0"),
        },
        notes={"row": "시군구"},
    )


def _linkage(units: pd.Index, started: pd.DataFrame) -> dict[str, Any]:
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


def _reconcile(tables: Mapping[str, list[Table]], insured: pd.DataFrame) -> list[dict[str, Any]]:
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


def _log_positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(values > 0, np.log(values), np.nan))


def _log1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(1 + y): a covariate only; as an outcome it would be refused."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.log1p(np.maximum(values, 0.0)))
