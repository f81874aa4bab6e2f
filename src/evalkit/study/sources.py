"""The tables of a plan as its readers read them, without building anything from them."""

from __future__ import annotations

from pathlib import Path

from evalkit.ingest.sources import read_source
from evalkit.ingest.store import TableStore
from evalkit.ingest.table import Table
from evalkit.study.inputs import code_sha256, matching, project_root, source_options
from evalkit.study.plan import Plan
from evalkit.study.prepare import READ_BY, identifier_key, standing
from evalkit.study.worlds import write_world


def tables_of(
    plan_path: str | Path, plan: Plan, data: str | Path | None = None
) -> tuple[dict[str, list[Table]], bool]:
    """Every source of a plan, read with the plan's options; tables of unchanged files come from the store of the build.

    Returns
    -------
    tables by source, and whether they are those of a simulated world

    Raises
    ------
    DataError : a file that cannot be read; as `read_source`
    """
    plan_path = Path(plan_path)
    folder, inputs, _, _ = standing(plan_path, plan, data)
    if inputs.simulated:
        write_world(plan_path, plan, None)
        folder, inputs, _, _ = standing(plan_path, plan, data)
    store = TableStore(folder.with_name(f"{folder.name}.tables"), code=code_sha256(*READ_BY))
    key = identifier_key(project_root(plan_path), simulated=inputs.simulated)
    found: dict[str, list[Table]] = {}
    for name, source in plan.data.sources.items():
        paths = matching(inputs.folder, source.files)
        if paths:
            options = source_options(plan_path, source)
            found[name] = read_source(source.table, paths, key=key, options=dict(options), store=store)
    return found, inputs.simulated
