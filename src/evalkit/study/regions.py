"""Municipality panel from a statistical table and a list of treated municipalities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evalkit.building import Part, joined_panel
from evalkit.errors import DataError, PlanError, nearest
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.places import capital_mask


def build_regions(plan: Any, tables: Mapping[str, list[Table]]) -> tuple[dict[str, Panel], dict[str, Any]]:
    """Panel ``units`` (시군구 × year) with adoption from the membership list."""
    variables = list(plan.units.options.get("variables", [o.variable for o in plan.outcomes.values()]))
    frame = pd.concat([table.frame for table in tables["panel"]], ignore_index=True)
    for variable in variables:
        if variable not in frame.columns:
            raise PlanError(
                f"변수 {variable!r} 이(가) 자료에 없음",
                where=(plan.id, "units.options.variables"),
                remedy=nearest(variable, map(str, frame.columns)),
            )
    members = pd.concat([table.frame for table in tables["members"]], ignore_index=True)
    members = members[members["status"].astype(str) == "treated"]
    strangers = sorted(set(members["region"].astype(str)) - set(frame["region"].astype(str)))
    if strangers:
        raise DataError(
            f"처치 목록의 시군구 코드 {strangers[0]} 이(가) 패널에 없음",
            where=(tables["members"][0].file,),
            remedy="두 자료의 행정구역 기준 연도를 맞출 것",
        )
    adoption = members.groupby(members["region"].astype(str))["adoption"].min()
    part = Part.of_tables(
        "시군구 통계",
        tables["panel"],
        {variable: variable for variable in variables},
        traits={"sido": "sido_2018", "name": "sigungu"},
        unit="region",
    )
    built = joined_panel([part], fixed={"sido": "constant", "name": "constant"})
    panel = built.panel.with_fixed(capital_region=np.where(capital_mask(built.panel.units), "1", "0"))
    started = adoption.reindex(panel.units.astype(str)).to_numpy(dtype=float, na_value=np.inf)
    panel = panel.with_fixed(adoption=started, sigungu=panel.units.astype(str))
    return {"units": panel}, {
        "panel_flow": {"units": built.flow.records()},
        "treated": [
            {"code": str(c), "sido": str(s), "sigungu": str(g), "year": int(y)}
            for c, s, g, y in zip(panel.units, panel.fixed["sido"], panel.fixed["name"], started, strict=True)
            if np.isfinite(y)
        ],
    }
