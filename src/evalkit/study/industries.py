"""시·도 × industry panels from statistical tables and a list of target industries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.building import Part, joined_panel
from evalkit.errors import DataError, PlanError
from evalkit.ingest.regions import CAPITAL
from evalkit.ingest.sources.industry_panel import FIGURES
from evalkit.ingest.table import Table
from evalkit.panel import Panel

OPTIONS = ("reference",)
RELATIVE = ("jobs", "workplaces")


def build_industries(plan: Any, tables: Mapping[str, list[Table]]) -> tuple[dict[str, Panel], dict[str, Any]]:
    """Panels of cells and of provinces.

    ``units`` : 시·도 × industry ("부산|62") × year. Figures of the table; ``jobs_ratio, workplaces_ratio`` = of a cell, over
    the geometric mean of the reference industries of its province in that year. Fixed: ``sido, sector, capital_region,
    target`` ("1" = target industry of its province), ``eligible`` ("1" = target of some province), ``concurrent`` ("1" =
    target of another programme at the same time), ``same_province`` ("1" = no target, in a province with targets),
    ``adoption`` (start of a target cell, +inf else).

    ``industries`` : the same cells with ``adoption`` = start of the *province*, for designs that compare with other
    industries of treated provinces: without ``same_province`` and ``eligible``, by which rules of the plan leave these out.
    ``picked`` = "1" for a target, and in provinces without targets for industries that are some province's.

    ``provinces`` : sums over industries; ``adoption`` = start of the province.

    Raises
    ------
    DataError : a target that the figures do not have, no reference industry, a province whose targets start in two years
    PlanError : a reference industry that the figures do not have or that is a target
    """
    panel, flow = _cells(tables["panel"])
    targets = pd.concat([table.frame for table in tables["targets"]], ignore_index=True)
    _refuse_strangers(panel, targets, tables["targets"][0])
    starts = _starts(targets, tables["targets"][0])
    reference = _reference(plan, panel, targets)
    marks = _marks(panel, targets, starts)
    panel = _relative(panel.with_fixed(**marks), reference)
    by_province = np.array([starts.get(str(s), np.inf) for s in panel.fixed["sido"]])
    industries = Panel(
        panel.units,
        panel.periods,
        panel.varying,
        {
            **{n: v for n, v in panel.fixed.items() if n not in ("same_province", "eligible")},
            "adoption": by_province,
            "picked": np.where(panel.fixed["same_province"] == "1", "0", panel.fixed["eligible"]),
        },
        panel.notes,
    )
    started = np.where(panel.fixed["target"] == "1", by_province, np.inf)
    panels = {
        "units": panel.with_fixed(adoption=started),
        "industries": industries,
        "provinces": _provinces(panel, starts),
    }
    return panels, {
        "panel_flow": {"units": flow},
        "targets": _described(targets),
        "reference": [str(code) for code in reference],
    }


def _cells(tables: list[Table]) -> tuple[Panel, list[dict[str, Any]]]:
    """Cells with the figures that the files hold; breaks travel by what the reader was told of codes and borders."""
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    held = [name for name in FIGURES if name in frame.columns and frame[name].notna().any()]
    if not held:
        raise DataError(
            "시·도 × 산업 자료에 수치 열이 하나도 없음",
            where=(tables[0].file,),
            remedy="상시근로자수, 사업장수, 종사자수, 사업체수, 매출액 가운데 하나 이상을 둘 것",
        )
    part = Part.of_tables(
        "시·도 × 산업 통계",
        tables,
        {name: name for name in held},
        traits={"sido": "sido", "sector": "sector"},
        unit="unit",
    )
    built = joined_panel(
        [part],
        fixed={"sido": "constant", "sector": "constant"},
        notes={"row": "시·도 × 산업"},
        current_industry=any(table.notes.get("classification") != "10" for table in tables),
        current_provinces=any(table.notes.get("borders") != "2018" for table in tables),
    )
    capital = np.where(np.isin(built.panel.fixed["sido"], CAPITAL), "1", "0")
    return built.panel.with_fixed(capital_region=capital), built.flow.records()


def _refuse_strangers(panel: Panel, targets: pd.DataFrame, table: Table) -> None:
    known = set(panel.units.tolist())
    for sido, sector, at in zip(targets["sido"], targets["sector"], targets["source_row"], strict=True):
        if f"{sido}|{sector}" not in known:
            raise DataError(
                f"대상 산업 {sido} {sector} 의 수치가 시·도 × 산업 자료에 없음",
                where=table.where(int(at), "sector"),
                remedy="업종코드의 기준(10차 중분류)과 시·도를 맞출 것",
            )
    if not (targets["role"] == "target").any():
        raise DataError(
            "대상 산업 목록에 평가 대상 사업의 산업이 하나도 없음",
            where=(table.file, "구분"),
            remedy="구분에 '대상' 이라고 적을 것",
        )


def _starts(targets: pd.DataFrame, table: Table) -> dict[str, float]:
    """Start of each province with targets; one year a province."""
    own = targets[targets["role"] == "target"]
    for name, group in own.groupby("sido"):
        if group["start"].nunique() > 1:
            raise DataError(
                f"{name} 의 대상 산업이 서로 다른 해에 시작함",
                where=(table.file, "시작연도"),
                remedy="시·도마다 시작 연도를 하나로 적고, 나중에 더해진 산업은 따로 된 계획에서 볼 것",
            )
    return {str(name): float(start) for name, start in own.groupby("sido")["start"].first().items()}


def _reference(plan: Any, panel: Panel, targets: pd.DataFrame) -> list[str]:
    """Industries that no programme of the list picks in any province: those of the plan, else all that are left."""
    sectors = sorted(set(panel.fixed["sector"].tolist()))
    picked = set(targets["sector"])
    where = (plan.id, "units.options.reference")
    asked = plan.units.options.get("reference")
    if asked is None:
        asked = [sector for sector in sectors if sector not in picked]
        if not asked:
            raise DataError(
                "어느 시·도의 대상도 아닌 산업이 없어 기준으로 삼을 산업이 없음",
                remedy="대상이 아닌 산업의 수치를 자료에 더할 것",
            )
    for sector in map(str, asked):
        if sector not in sectors:
            raise PlanError(
                f"기준 산업 {sector!r} 이(가) 자료에 없음",
                where=where,
                remedy=f"자료의 산업: {', '.join(sectors)}",
            )
        if sector in picked:
            raise PlanError(
                f"기준 산업 {sector!r} 이(가) 어느 시·도의 대상 산업임",
                where=where,
                remedy="대상도 동시사업도 아닌 산업만 적을 것",
            )
    return [str(sector) for sector in asked]


def _marks(panel: Panel, targets: pd.DataFrame, starts: Mapping[str, float]) -> dict[str, NDArray[np.str_]]:
    """Whether a cell is a target, its industry somebody's target, another programme's, or beside a target."""
    cells = targets["sido"].astype(str) + "|" + targets["sector"].astype(str)
    own = targets["role"] == "target"
    target = np.isin(panel.units, cells[own].to_numpy(dtype=str))
    beside = np.isin(panel.fixed["sido"], list(starts)) & ~target
    marks = {
        "target": target,
        "eligible": np.isin(panel.fixed["sector"], targets.loc[own, "sector"].to_numpy(dtype=str)),
        "concurrent": np.isin(panel.units, cells[~own].to_numpy(dtype=str)),
        "same_province": beside,
    }
    return {name: np.where(mask, "1", "0") for name, mask in marks.items()}


def _relative(panel: Panel, reference: list[str]) -> Panel:
    """Figures over the geometric mean of the reference industries of the same province and year."""
    inside = np.isin(panel.fixed["sector"], reference)
    codes, labels = panel.clusters("sido")
    for name in RELATIVE:
        if name not in panel.varying:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.where(panel.varying[name] > 0, np.log(panel.varying[name]), np.nan)
        means = np.full((len(labels), len(panel.periods)), np.nan)
        for p in range(len(labels)):
            rows = logs[inside & (codes == p)]
            if len(rows) == len(reference):
                means[p] = rows.mean(
                    axis=0
                )  # NaN where one is missing: another mean would be another comparison
        ratio = panel.varying[name] / np.exp(means[codes])
        panel = panel.with_derived((name,), **{f"{name}_ratio": ratio})
    return panel


def _provinces(panel: Panel, starts: Mapping[str, float]) -> Panel:
    """Sums over the industries of each province; missing where one is."""
    codes, labels = panel.clusters("sido")
    varying = {}
    for name in (n for n in FIGURES if n in panel.varying):
        sums = np.zeros((len(labels), len(panel.periods)))
        np.add.at(sums, codes, panel.varying[name])
        varying[name] = sums
    return Panel(
        units=labels.astype(str),
        periods=panel.periods,
        varying=varying,
        fixed={
            "sido": labels.astype(str),
            "capital_region": np.where(np.isin(labels, CAPITAL), "1", "0"),
            "adoption": np.array([starts.get(str(name), np.inf) for name in labels]),
        },
        notes={**panel.notes, "row": "시·도"},
    )


def _described(targets: pd.DataFrame) -> list[dict[str, Any]]:
    """The list as plain values for the audit page."""
    return [
        {
            "sido": str(row["sido"]),
            "sector": str(row["sector"]),
            "year": int(row["start"]),
            "role": str(row["role"]),
            "name": "" if pd.isna(row.get("name")) else str(row["name"]),
        }
        for _, row in targets.iterrows()
    ]


__all__ = ["OPTIONS", "build_industries"]
