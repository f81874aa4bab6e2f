"""States of cells by border class and phase, for `evalkit.estimators.spillovers`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators._exposure import OUT, Exposure, check_design
from evalkit.panel import Panel
from evalkit.zones import LEFT_OUT, Zones

KINDS = ("stable", "entered", "left")


def border_exposure(panel: Panel, design: Design, zones: Zones, before: int, after: int) -> Exposure:
    """Classes inside a zone by phase, and rings of the others.

    A label's kind carries its phase ("stable 1"), so that the machinery of rings serves here too.

    Raises
    ------
    DesignError : phases in the wrong order, or nobody inside
    """
    check_design(design)
    zones = zones.of(panel)
    classes = zones.border_classes(before, after)
    begin = [int(zones.first[zones.phases == phase].min()) for phase in (before, after)]
    if begin[0] >= begin[1]:
        raise DesignError(
            f"{before}단계의 지정({begin[0]})이 {after}단계의 지정({begin[1]})보다 앞서지 않음",
            remedy="before 에 앞선 단계를, after 에 뒤따른 단계를 줄 것",
        )
    if not (classes != "never").any():
        raise DesignError("어느 단계의 지구에도 든 단위가 없음", remedy="좌표와 지구를 확인할 것")
    phase_of = np.searchsorted(np.array(begin), panel.periods, side="right")  # 0, 1, 2
    codes = zones.codes()
    states = np.zeros(panel.shape, dtype=np.int8)
    labels: list[tuple[str, str]] = []

    def put(kind: str, ring: str, phase: int, cells: NDArray[np.bool_]) -> None:
        labels.append((f"{kind} {(before, after)[phase - 1]}", ring))
        states[cells] = len(labels)

    for kind in KINDS:
        for phase in (1, 2):
            if (kind, phase) != ("entered", 1):
                put(kind, "", phase, (classes == kind)[:, None] & (phase_of == phase)[None, :])
    never = (classes == "never")[:, None]
    for j, ring in enumerate(zones.labels, start=1):
        for phase in (1, 2):
            put("ring", ring, phase, never & (codes == j) & (phase_of == phase)[None, :])
    exposed = (codes > 0) & (phase_of > 0)[None, :]
    # outsiders near a zone that was dropped, and those who enter later while already near one, are not clean
    gone = (states == 0) & np.maximum.accumulate(exposed, axis=1)
    out = (gone | ((states == 0) & (codes == LEFT_OUT))) & (phase_of > 0)[None, :]
    states[out] = OUT
    notes = list(zones.notes)
    if out.any():
        notes.append(f"고리나 띠에 든 적이 있어 깨끗하지 않은 칸 {int(out.sum())}개는 쓰지 않았다.")
    clocks = np.full((len(states), 1), np.inf)
    return Exposure(
        states,
        tuple(labels),
        clocks,
        np.zeros(len(labels), dtype=np.int64),
        tuple(notes),
        {"not_clean": int(out.sum())},
    )
