"""Tables to panels: the one place where sources are joined. One builder a kind of study."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from evalkit.errors import FileError, PlanError, nearest
from evalkit.flows import Flows
from evalkit.ingest.sources import READERS, check_options, read_source
from evalkit.ingest.store import TableStore
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.audit import describe_findings, describe_panel, describe_table
from evalkit.study.firms import OPTIONS as FIRM_OPTIONS
from evalkit.study.firms import build_firms
from evalkit.study.head_offices import build_head_offices
from evalkit.study.indicators import build_indicators
from evalkit.study.industries import OPTIONS as INDUSTRY_OPTIONS
from evalkit.study.industries import build_industries
from evalkit.study.inputs import Inputs, matching
from evalkit.study.plan import Plan
from evalkit.study.regions import OPTIONS as REGION_OPTIONS
from evalkit.study.regions import build_regions
from evalkit.study.worlds import Progress

# nothing in a simulated world lies ahead of it
END_OF_TIME = dt.date(9999, 12, 31)
Tables = Mapping[str, list[Table]]
Built = Mapping[str, Panel | Flows]
Builder = Callable[[Plan, Tables], tuple[Built, dict[str, Any]]]
BUILDERS: dict[str, Builder] = {
    "firms": build_firms,
    "regions": build_regions,
    "industries": build_industries,
    "indicators": build_indicators,
    "head_offices": build_head_offices,
}
OPTIONS: dict[str, tuple[str, ...]] = {
    "firms": tuple(FIRM_OPTIONS),
    "regions": REGION_OPTIONS,
    "industries": INDUSTRY_OPTIONS,
    "indicators": (),
    "head_offices": (),
}
# builder -> the sources that it joins, and those that it can do without
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "firms": (
        (
            "performance_survey",
            "employment_insurance",
            "firm_financials",
            "zones",
            "zone_distances",
            "deflator",
        ),
        ("national_pension", "employment_composition"),
    ),
    "regions": (("panel", "members"), ("centroids",)),
    "industries": (("panel", "targets"), ()),
    "indicators": ((), ("indicators",)),
    "head_offices": (("moves",), ()),
}


def build(
    plan: Plan,
    inputs: Inputs,
    *,
    key: bytes,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    store: TableStore | None = None,
    progress: Progress | None = None,
) -> tuple[Built, dict[str, Any]]:
    """Read every source of the plan and build its panels.

    Parameters
    ----------
    options : of each source as its reader takes them; without them those of the plan
    store : where tables of unchanged files come from

    Returns
    -------
    panels and flows by name, and the audit as plain values (sources, flows, repairs, reconciliation)

    Raises
    ------
    PlanError : a source that the builder does not know, or one that it needs is not in the plan
    FileError : a source that it needs has no file
    """
    check_words(plan)
    tables: dict[str, list[Table]] = {}
    for name, source in plan.data.sources.items():
        paths = matching(inputs.folder, source.files)
        if not paths:
            continue
        if progress:
            progress(f"{name}: 파일 {len(paths)}개를 읽음")
        asked = dict(source.options if options is None else options[name])
        tables[name] = read_source(source.table, paths, key=key, options=asked, store=store)
    for name in SOURCES[plan.units.builder][0]:
        if name not in tables:
            raise FileError(
                f"꼭 필요한 자료 {name!r} 의 파일이 없음 (무늬: {plan.data.sources[name].files})",
                where=(plan.id, "data.sources", name),
                remedy="파일을 그 자리에 둘 것 (required: false 로도 뺄 수 없는 자료임)",
            )
    panels, facts = BUILDERS[plan.units.builder](plan, tables)
    audit: dict[str, Any] = {
        "simulated": inputs.simulated,
        "inputs": [
            {"path": f.path, "sha256": f.sha256, "bytes": f.bytes, "sealed": f.sealed} for f in inputs.files
        ],
        "tables": [describe_table(name, table) for name, group in tables.items() for table in group],
        "findings": describe_findings(tables, END_OF_TIME if inputs.simulated else None),
        "panels": {name: describe_panel(p) for name, p in panels.items() if isinstance(p, Panel)},
        **facts,
    }
    return panels, audit


def check_words(plan: Plan) -> None:
    """Refuse names in a plan that no reader and no builder knows; reads no data.

    Raises
    ------
    PlanError : a source, table or option that is not there; the message names the nearest
    """
    _check_sources(plan)
    for name, source in plan.data.sources.items():
        if source.table not in READERS:
            raise PlanError(
                f"모르는 표 {source.table!r}",
                where=(plan.id, f"data.sources.{name}.table"),
                remedy=nearest(source.table, READERS),
            )
        check_options(source.table, source.options)
    known = OPTIONS[plan.units.builder]
    for option in plan.units.options:
        if option not in known:
            raise PlanError(
                f"모르는 옵션 {option!r}", where=(plan.id, "units.options"), remedy=nearest(option, known)
            )


def _check_sources(plan: Plan) -> None:
    """Every source has a name that the builder joins by, and none that it needs is left out."""
    needed, optional = SOURCES[plan.units.builder]
    where = (plan.id, "data.sources")
    for name in plan.data.sources:
        if name not in (*needed, *optional):
            raise PlanError(
                f"모르는 자료 이름 {name!r}", where=where, remedy=nearest(name, (*needed, *optional))
            )
    for name in needed:
        if name not in plan.data.sources:
            raise PlanError(
                f"꼭 필요한 자료 {name!r} 이(가) 계획에 없음", where=where, remedy="table 과 files 를 적을 것"
            )


__all__ = ["BUILDERS", "SOURCES", "build"]
