"""The part of a panel in which nobody is treated yet, for placebos and announcements."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Cut = Literal["periods", "cells"]


def treated_dates(panel: Panel, design: Design) -> Floats:
    """First treated period of each unit, +inf where it lies beyond the panel  # (N,)

    Raises
    ------
    DesignError : nobody is treated within the panel
    """
    dates = adoption_codes(panel, design.adoption)
    dates = np.where(dates <= panel.periods[-1], dates, np.inf)
    if not np.isfinite(dates).any():
        raise DesignError(
            f"기간 {panel.periods[0]}–{panel.periods[-1]} 안에 지원받은 단위가 없음",
            where=(f"도입 시점 변수 {design.adoption}",),
            remedy="도입 시점과 기간을 확인할 것",
        )
    return dates


def before_treatment(panel: Panel, design: Design, anticipation: int, cut: Cut) -> tuple[Panel, Floats]:
    """The panel without what treatment (less `anticipation`) can have touched, and the true first treated periods.

    Units that are treated from the first period on are left out. With "periods" only the periods before the first
    adoption are kept (balanced); with "cells" each treated unit keeps its own periods before adoption (unbalanced: the
    method must take units that miss periods).

    Raises
    ------
    DesignError : no period is left
    """
    if cut not in ("periods", "cells"):
        raise UsageError(f"자르는 방법 {cut!r} 은(는) 없음", remedy="periods 또는 cells 로 적을 것")
    dates = treated_dates(panel, design)
    clean = dates - anticipation > panel.periods[0]
    if not np.isfinite(dates[clean]).any():
        raise DesignError(
            f"지원 전 기간이 하나도 없음 (첫 기간 {panel.periods[0]}, 첫 지원 {dates.min():g}, 예상 {anticipation})",
            where=(f"도입 시점 변수 {design.adoption}",),
            remedy="지원 전 자료를 더 붙이거나 장소 위약(placebo_in_place)을 쓸 것",
        )
    panel, dates = (panel, dates) if clean.all() else (panel.select(clean), dates[clean])
    own = dates[np.isfinite(dates)]
    end = (own.min() if cut == "periods" else own.max()) - anticipation
    panel = panel.select(periods=panel.periods[panel.periods < end])
    if cut == "cells":
        touched = panel.periods[None, :] >= (dates - anticipation)[:, None]
        outcome = np.where(touched, np.nan, panel.values(design.outcome))
        panel = panel.with_varying(**{design.outcome: outcome})
    return panel, dates


def shifted(panel: Panel, design: Design, dates: Floats, shift: int) -> Panel | None:
    """The panel with adoption moved back by `shift`; None where that leaves no period before or none after it.

    Cohorts whose moved date lies beyond the kept periods are untreated there: comparison units under "not_yet", left out
    under "never"; cohorts that it leaves without a period before are left out.
    """
    moved = dates - shift
    first, last = panel.periods[0], panel.periods[-1]
    beyond = np.isfinite(moved) & (moved > last)
    early = moved - design.anticipation <= first
    keep = ~early & ~(beyond if design.comparison == "never" else np.zeros(len(beyond), dtype=bool))
    moved = np.where(beyond, np.inf, moved)
    if not np.isfinite(moved[keep]).any():
        return None
    panel = panel.with_fixed(**{design.adoption: moved})
    return panel if keep.all() else panel.select(keep)
