"""A small world as the study sees it: the clusters' plan on the world's own panels, without files to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.simulate import World, world
from evalkit.simulate.direct import study_panels
from evalkit.study import Study
from evalkit.study.inputs import Inputs
from evalkit.study.plan import Plan, load_plan

PLAN = Path(__file__).resolve().parents[2] / "plans" / "nic_phase1_vs_phase3.yml"


def study_of(
    drawn: World, folder: Path, lang: str = "ko", *, leave_out: tuple[str, ...] = (), **changes: Any
) -> Study:
    """The plan of the clusters on a world.

    Parameters
    ----------
    leave_out : varying variables that the units panel shall not have
    changes : fields of the plan
    """
    raw = load_plan(PLAN).model_dump(mode="json") | changes
    plan = Plan.model_validate(raw)
    panels = study_panels(drawn, industry_groups=plan.units.options["industry_groups"], money=False)
    panels["units"] = type(panels["units"])(
        panels["units"].units,
        panels["units"].periods,
        {name: values for name, values in panels["units"].varying.items() if name not in leave_out},
        dict(panels["units"].fixed),
    )
    for name, panel in panels.items():
        panel.save(folder / f"{name}.npz")
    (folder / "audit.json").write_text('{"panels": {}, "tables": []}', encoding="utf-8")
    return Study(plan, folder / "nic.yml", folder, Inputs("", (), False, folder), lang)


def small_world(seed: int = 20180301, firms: int = 1500) -> World:
    """A world of the size that tests use."""
    return world(seed, firms)
