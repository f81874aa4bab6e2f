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
from evalkit.study.region_rings import with_rings

OPTIONS = ("variables", "classification", "ring_bands")
# figures of an industry: by the code of their own time they change their meaning with the classification
BY_INDUSTRY = "digital_"


def build_regions(plan: Any, tables: Mapping[str, list[Table]]) -> tuple[dict[str, Panel], dict[str, Any]]:
    """Panel ``units`` (시군구 × year) with adoption from the membership list.

    Where the list names applicants that were not chosen, ``applicant`` is "1" for them and for the treated, and a second
    panel ``everywhere`` holds the same without it: rules of the plan about applicants do not bind there.
    """
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
    strangers = sorted(set(members["region"].astype(str)) - set(frame["region"].astype(str)))
    if strangers:
        raise DataError(
            f"처치 목록의 시군구 코드 {strangers[0]} 이(가) 패널에 없음",
            where=(tables["members"][0].file,),
            remedy="두 자료의 행정구역 기준 연도를 맞출 것",
        )
    chosen = members[members["status"].astype(str) == "treated"]
    _refuse_undated(chosen, tables["members"][0])
    rejected = members.loc[members["status"].astype(str) == "rejected", "region"].astype(str)
    adoption = chosen.groupby(chosen["region"].astype(str))["adoption"].min()
    part = Part.of_tables(
        "시군구 통계",
        tables["panel"],
        {variable: variable for variable in variables},
        traits={"sido": "sido_2018", "name": "sigungu"},
        unit="region",
    )
    by_industry = any(name.startswith(BY_INDUSTRY) for name in variables)
    fixed_code = str(plan.units.options.get("classification", "current")) == "10"
    built = joined_panel(
        [part],
        fixed={"sido": "constant", "name": "constant"},
        current_industry=by_industry and not fixed_code,
    )
    panel = built.panel.with_fixed(capital_region=np.where(capital_mask(built.panel.units), "1", "0"))
    started = adoption.reindex(panel.units.astype(str)).to_numpy(dtype=float, na_value=np.inf)
    panel = panel.with_fixed(adoption=started, sigungu=panel.units.astype(str))
    if "centroids" in tables:
        panel = with_rings(panel, tables["centroids"], plan.units.options, plan.id)
    panels = {"units": panel}
    if len(rejected):
        applied = np.isfinite(started) | np.isin(panel.units, rejected.to_numpy(dtype=str))
        panels["everywhere"] = panel
        panels["units"] = panel.with_fixed(applicant=np.where(applied, "1", "0"))
    return panels, {
        "rejected": sorted(rejected),
        "panel_flow": {"units": built.flow.records()},
        "treated": [
            {"code": str(c), "sido": str(s), "sigungu": str(g), "year": int(y)}
            for c, s, g, y in zip(panel.units, panel.fixed["sido"], panel.fixed["name"], started, strict=True)
            if np.isfinite(y)
        ],
    }


def _refuse_undated(chosen: pd.DataFrame, table: Table) -> None:
    """A treated place without a year would silently count as never treated."""
    undated = chosen["adoption"].isna()
    if undated.any():
        row = chosen[undated].iloc[0]
        raise DataError(
            f"처치된 시군구 {row['region']} 의 시작 연도가 비어 있음 (모두 {int(undated.sum())}곳)",
            where=table.where(int(row["source_row"]), "adoption"),
            remedy="선정된 해를 적거나, 선정되지 않았으면 구분을 '탈락' 이나 '비교' 로 고칠 것",
        )
