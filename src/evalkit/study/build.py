"""Tables to panels: the one place where sources are joined. One builder a kind of study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evalkit.ingest.sources import read_source
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.audit import describe_panel, describe_table
from evalkit.study.firms import build_firms
from evalkit.study.plan import Plan
from evalkit.study.prepare import Inputs, Progress
from evalkit.study.regions import build_regions

Tables = Mapping[str, list[Table]]
Builder = Callable[[Plan, Tables], tuple[dict[str, Panel], dict[str, Any]]]
BUILDERS: dict[str, Builder] = {"firms": build_firms, "regions": build_regions}


def build(
    plan: Plan, inputs: Inputs, *, key: bytes, progress: Progress | None = None
) -> tuple[dict[str, Panel], dict[str, Any]]:
    """Read every source of the plan and build its panels.

    Returns
    -------
    panels by name, and the audit as plain values (sources, flows, repairs, reconciliation)
    """
    tables: dict[str, list[Table]] = {}
    for name, source in plan.data.sources.items():
        paths = sorted(
            f for f in inputs.folder.glob(source.files) if f.is_file() and not f.name.startswith(("~$", "."))
        )
        if not paths:
            continue
        if progress:
            progress(f"{name}: 파일 {len(paths)}개를 읽음")
        tables[name] = read_source(source.table, paths, key=key, options=dict(source.options))
    panels, facts = BUILDERS[plan.units.builder](plan, tables)
    audit: dict[str, Any] = {
        "simulated": inputs.simulated,
        "inputs": [{"path": f.path, "sha256": f.sha256, "bytes": f.bytes} for f in inputs.files],
        "tables": [describe_table(name, table) for name, group in tables.items() for table in group],
        "panels": {name: describe_panel(panel) for name, panel in panels.items()},
        **facts,
    }
    return panels, audit


__all__ = ["BUILDERS", "build"]
