"""The 250 시·군·구 of 2018 on a map of our own, zones of each phase, and distances.

Coordinates are invented (a block per province, municipalities on a jittered grid): they are not centroids of anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest import regions

_BLOCK_KM = 160.0
_ORDER = (*regions.CAPITAL, *regions.PROVINCES)
_SPACING_KM = {"서울": 8.0, "인천": 10.0, "경기": 11.0, "부산": 14.0, "대구": 16.0}
_METRO = ("광주", "대전", "울산")


@dataclass(frozen=True, slots=True, eq=False)
class Geography:
    """Municipalities of 2018 (M of them) and the zones of each phase.

    Attributes
    ----------
    codes : 행정안전부 codes of 2018  # (M,)
    names : 시·군·구 names of 2018  # (M,)
    sido : short names of 시·도  # (M,)
    province : index of the 시·도 in ``provinces``: 0–2 capital region, 3–16 the 14 others  # (M,)
    xy_km : invented coordinates  # (M, 2)
    zones : phase -> indices of the municipalities that hold a zone; phase 2 keeps the zones of phase 1
    distance_km : phase -> distance to the nearest zone, 0 inside one  # (M,)
    """

    codes: NDArray[np.str_]
    names: NDArray[np.str_]
    sido: NDArray[np.str_]
    province: NDArray[np.int64]
    xy_km: NDArray[np.float64]
    zones: dict[int, NDArray[np.int64]]
    distance_km: dict[int, NDArray[np.float64]]

    @property
    def capital(self) -> NDArray[np.bool_]:
        """Whether each municipality lies in the capital region  # (M,)"""
        return self.province < len(regions.CAPITAL)


@lru_cache(maxsize=1)
def _map() -> tuple[
    NDArray[np.str_], NDArray[np.str_], NDArray[np.str_], NDArray[np.int64], NDArray[np.float64]
]:
    table = regions.municipalities("2018-12-31")
    codes, names, sido = (table[column].to_numpy(dtype=str) for column in ("code", "sigungu", "sido"))
    province = np.array([_ORDER.index(short) for short in sido])
    jitter = np.random.default_rng(2018).uniform(-0.2, 0.2, size=(len(codes), 2))
    xy = np.zeros((len(codes), 2))
    for index, short in enumerate(_ORDER):
        inside = np.flatnonzero(province == index)
        spacing = _SPACING_KM.get(short, 19.0 if short in _METRO else 18.0 if short != "제주" else 28.0)
        side = int(np.ceil(np.sqrt(len(inside))))
        cells = np.arange(len(inside))
        grid = np.column_stack([cells % side, cells // side]) + jitter[inside]
        corner = np.array([index % 5, index // 5]) * _BLOCK_KM
        xy[inside] = corner + grid * spacing
    return codes, names, sido, province, xy


def draw_geography(rng: np.random.Generator) -> Geography:
    """Zones of phases 1–3: one to three municipalities per non-capital province, partly redrawn in phase 3."""
    codes, names, sido, province, xy = _map()
    first: list[int] = []
    third: list[int] = []
    for index in range(len(regions.CAPITAL), len(_ORDER)):
        inside = np.flatnonzero(province == index)
        count = 1 if len(inside) <= 8 else 2 if len(inside) < 22 else 3
        chosen = rng.permutation(inside)[:count]
        first.extend(chosen.tolist())
        rest = np.setdiff1d(inside, chosen)
        keep = chosen[: max(1, count - 1)]
        redrawn = count > 1 or (len(rest) > 2 and rng.random() < 0.4)
        if not redrawn:
            third.extend(chosen.tolist())
        elif count > 1:
            third.extend([*keep.tolist(), int(rng.choice(rest))])
        else:
            third.append(int(rng.choice(rest)))
    one, three = np.array(sorted(first)), np.array(sorted(third))
    zones = {1: one, 2: one, 3: three}
    distance = {phase: _nearest_km(xy, xy[where]) for phase, where in zones.items()}
    return Geography(codes, names, sido, province, xy, zones, distance)


def _nearest_km(points: NDArray[np.float64], zones: NDArray[np.float64]) -> NDArray[np.float64]:
    gap = points[:, None, :] - zones[None, :, :]
    return np.asarray(np.round(np.sqrt((gap**2).sum(axis=2)).min(axis=1), 1), dtype=np.float64)
