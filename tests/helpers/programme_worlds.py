"""Panels of the plans for SW융합클러스터 2.0 and 디지털 혁신거점 from a drawn world, without the files of the project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalkit.ingest.sources import read_source
from evalkit.panel import Panel
from evalkit.simulate.hubs_world import HubsWorld, write_hubs
from evalkit.simulate.industries_world import IndustriesWorld, write_industries
from evalkit.study.build import BUILDERS
from evalkit.study.inputs import matching
from evalkit.study.plan import Plan, load_plan

PLANS = Path(__file__).resolve().parents[2] / "plans"


def plan_of(name: str) -> Plan:
    return load_plan(PLANS / f"{name}.yml")


def panels_of(
    name: str, world: IndustriesWorld | HubsWorld, folder: Path
) -> tuple[Plan, Mapping[str, Panel], dict[str, Any]]:
    """What the plan's builder makes of the world's files."""
    if isinstance(world, IndustriesWorld):
        write_industries(world, folder / "raw", folder / "truth")
    else:
        write_hubs(world, folder / "raw", folder / "truth")
    plan = plan_of(name)
    tables = {
        source: read_source(
            asked.table, matching(folder / "raw", asked.files), key=b"k", options=dict(asked.options)
        )
        for source, asked in plan.data.sources.items()
    }
    panels, facts = BUILDERS[plan.units.builder](plan, tables)
    return plan, {n: p for n, p in panels.items() if isinstance(p, Panel)}, facts
