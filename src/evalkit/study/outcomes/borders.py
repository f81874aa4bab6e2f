"""Redrawn borders: municipalities whose zone stayed, came or went, against municipalities far from every zone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.spillovers import border_class_effects
from evalkit.panel import Panel
from evalkit.study.plan import Plan
from evalkit.zones import Zones

OUTER_KM = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """Municipalities by what the redrawn border did to them.

    Attributes
    ----------
    variable : what is measured, per municipality
    classes : class -> municipalities outside the capital region
    estimate : terms (kind, ring, phase)
    """

    variable: str
    classes: dict[str, int]
    estimate: Estimate


def borders(plan: Plan, panel: Panel, variable: str, phases: tuple[int, int]) -> Borders:
    """Effects on municipalities whose zone stayed, came or went when the borders were redrawn.

    Raises
    ------
    DesignError : the panel has no distances to the zones of both phases, or nobody stays clean
    """
    needed = [f"km_phase{phase}" for phase in phases]
    missing = [name for name in (*needed, "border") if name not in panel.fixed]
    if variable not in panel.varying:
        missing.append(variable)
    if missing:
        raise DesignError(
            f"변수 {missing[0]} 이(가) 시군구 패널에 없음",
            where=(plan.id,),
            remedy="두 단계의 지정고시와 거리표를 sources 에 둘 것",
        )
    outside = panel.constant("capital_region").astype(str) != "1"
    chosen = panel.select(outside)
    distance = np.column_stack([np.asarray(chosen.constant(name), dtype=np.float64) for name in needed])
    first = [_start(chosen, phase) for phase in phases]
    known = np.isfinite(distance).all(axis=1)
    chosen, distance = chosen.select(known), distance[known]
    zones = Zones(
        units=chosen.units,
        periods=chosen.periods,
        phases=np.array(phases, dtype=np.int64),
        first=np.array(first, dtype=np.int64),
        last=np.array([float(first[1] - 1), np.inf]),
        distance=distance,
        rings=((0.0, OUTER_KM),),
    )
    design = Design(outcome=variable, cluster=plan.inference.cluster)
    estimate = border_class_effects(chosen, design, zones=zones, before=phases[0], after=phases[1])
    kinds, counts = np.unique(chosen.constant("border").astype(str), return_counts=True)
    return Borders(variable, {str(k): int(n) for k, n in zip(kinds, counts, strict=True)}, estimate)


def _start(panel: Panel, phase: int) -> int:
    """First year of a phase's zones: the earliest adoption among municipalities that only this phase holds."""
    other = "border"
    wanted = {1: ("stable", "left"), 3: ("entered",)}.get(phase, ("entered",))
    mask = np.isin(panel.constant(other).astype(str), wanted)
    adoption = np.asarray(panel.constant("adoption"), dtype=np.float64)[mask]
    if not np.isfinite(adoption).any():
        raise DesignError(
            f"{phase}단계 지구가 시작된 해를 시군구 패널에서 알 수 없음", remedy="지정고시의 날짜를 확인할 것"
        )
    return int(np.nanmin(adoption))
