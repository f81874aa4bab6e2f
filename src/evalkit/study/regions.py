"""Municipality panel from a statistical table and a list of treated municipalities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

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
    region = frame["region"].astype(str)
    frame = frame.assign(
        unit=region,
        sido=frame["sido_2018"].astype(str),
        capital_region=np.where(capital_mask(region), "1", "0"),
        name=frame["sigungu"].astype(str),
    )
    panel = Panel.from_long(
        frame, unit="unit", period="year", varying=variables, fixed=("sido", "name", "capital_region")
    )
    started = adoption.reindex(panel.units.astype(str)).to_numpy(dtype=float, na_value=np.inf)
    panel = panel.with_fixed(adoption=started, sigungu=panel.units.astype(str))
    return {"units": panel}, {
        "treated": [
            {"code": str(c), "sido": str(s), "sigungu": str(g), "year": int(y)}
            for c, s, g, y in zip(panel.units, panel.fixed["sido"], panel.fixed["name"], started, strict=True)
            if np.isfinite(y)
        ]
    }
