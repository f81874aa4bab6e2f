"""Rings around treated places: how far each 시군구 lies from the nearest one that is treated in that year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError, PlanError
from evalkit.ingest.places import distance_km
from evalkit.ingest.table import Table
from evalkit.panel import Panel

EDGES_KM = (20.0, 40.0)


def with_rings(panel: Panel, tables: Sequence[Table], options: Mapping[str, Any], plan: str) -> Panel:
    """The panel with a varying 0/1 variable a band, such as ``ring_20_40``, and fixed ``ring`` and ``km_treated``.

    A place is in a band from the year on in which the nearest treated place is that near, and never once it is treated
    itself. ``ring`` is "1" for places that are ever in a band, ``km_treated`` the distance to the nearest place that is ever
    treated (0 = itself).

    Parameters
    ----------
    panel : units are 시군구 codes, with fixed ``adoption``
    tables : `evalkit.ingest.sources.centroids`
    options : ``ring_bands``: upper edges in km, increasing; default `EDGES_KM`

    Raises
    ------
    PlanError : edges that do not increase from 0
    DataError : a place of the panel without a centroid
    """
    edges = _edges(options.get("ring_bands", EDGES_KM), plan)
    frame = pd.concat([table.frame for table in tables], ignore_index=True).set_index("region")
    units = panel.units.astype(str)
    absent = [unit for unit in units.tolist() if unit not in frame.index]
    if absent:
        raise DataError(
            f"중심점이 없는 시군구가 {len(absent)}곳 있음 (예: {absent[0]})",
            where=(tables[0].file,),
            remedy="두 자료의 행정구역 기준 연도를 맞추거나 그 시군구의 중심점을 더할 것",
        )
    at = frame.loc[units]
    latitude, longitude = at["latitude"].to_numpy(dtype=float), at["longitude"].to_numpy(dtype=float)
    adoption = np.asarray(panel.constant("adoption"), dtype=np.float64)
    treated = np.flatnonzero(np.isfinite(adoption))
    km = np.stack(
        [distance_km(latitude, longitude, latitude[k], longitude[k]) for k in treated], axis=1
    )  # (N, treated)
    in_force = adoption[treated][:, None] <= panel.periods  # (treated, T)
    nearest = np.where(in_force[None], km[:, :, None], np.inf).min(axis=1)  # (N, T)
    nearest[adoption[:, None] <= panel.periods] = np.inf
    lows = (0.0, *edges[:-1])
    varying = {
        f"ring_{low:g}_{high:g}": ((nearest > low) & (nearest <= high)).astype(np.float64)
        for low, high in zip(lows, edges, strict=True)
    }
    near = np.isfinite(nearest) & (nearest <= edges[-1])
    return panel.with_varying(**varying).with_fixed(
        ring=np.where(near.any(axis=1), "1", "0"), km_treated=np.round(km.min(axis=1), 3)
    )


def _edges(given: Any, plan: str) -> NDArray[np.float64]:
    edges = np.asarray(given, dtype=object)
    numbers = [float(edge) for edge in edges.tolist() if isinstance(edge, int | float)]
    if (
        len(numbers) != len(edges)
        or not numbers
        or any(b <= a for a, b in zip([0.0, *numbers], numbers, strict=False))
    ):
        raise PlanError(
            f"고리의 끝 {given!r} 이(가) 0보다 큰 수를 커지는 순서로 적은 것이 아님",
            where=(plan, "units.options.ring_bands"),
            remedy="[20, 40] 처럼 적을 것",
        )
    return np.array(numbers)
