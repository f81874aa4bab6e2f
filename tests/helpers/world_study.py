"""The plan of the national clusters on a drawn world, without files to read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from evalkit import simulate
from evalkit.simulate.direct import study_flows, study_panels
from evalkit.study import Study
from evalkit.study.inputs import Inputs
from evalkit.study.plan import Plan, load_plan

PROJECT = Path(__file__).resolve().parents[2]


def world_plan(opinions: dict[str, Any]) -> Plan:
    """The plan of the national clusters with these second designs."""
    raw = load_plan(PROJECT / "plans" / "nic_phase1_vs_phase3.yml").model_dump(mode="python")
    raw["opinions"] = opinions
    return Plan.model_validate(raw)


def world_study(folder: Path, world: simulate.World, opinions: dict[str, Any], lang: str = "ko") -> Study:
    """The study of the plan on the world's own panels."""
    plan = world_plan(opinions)
    for name, panel in study_panels(world, industry_groups=plan.units.options["industry_groups"]).items():
        panel.save(folder / f"{name}.npz")
    (folder / "flows").mkdir(exist_ok=True)
    study_flows(world).save(folder / "flows" / "relocation.npz")
    (folder / "audit.json").write_text('{"panels": {}, "tables": []}', encoding="utf-8")
    return Study(plan, folder / "nic.yml", folder, Inputs("", (), True, folder), lang)


def tabled(study: Study) -> pd.DataFrame:
    """Every row of every opinion."""
    rows = []
    for name, found in study.opinions().items():
        for row in found.rows:
            values = asdict(row)
            rows.append({"opinion": name, **values, **values.pop("values")})
    return pd.DataFrame(rows)
