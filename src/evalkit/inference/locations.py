"""Where the units or clusters of an estimate lie: coordinates checked and put in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError

Floats = NDArray[np.float64]
Coordinates = ArrayLike | Mapping[Any, Sequence[float]]


def located(labels: NDArray[Any], coordinates: Coordinates, *, degrees: bool) -> Floats:
    """Coordinates in the order of the labels  # (n, 2)

    Parameters
    ----------
    labels : of units or clusters  # (n,)
    coordinates : one pair a label, in the order of the labels (n, 2), or a mapping from label to pair: latitude and
        longitude in degrees, or northing and easting in kilometres
    degrees : which of the two

    Raises
    ------
    DataError : a label without coordinates, another number of rows, NaN, degrees out of range or in the wrong order
    """
    if isinstance(coordinates, Mapping):
        known: dict[Any, Sequence[float]] = {str(label): pair for label, pair in coordinates.items()}
        absent = [str(label) for label in labels if str(label) not in known]
        if absent:
            raise DataError(
                f"좌표가 없는 단위가 {len(absent)}개 있음 ({', '.join(absent[:3])} …)",
                where=("coordinates",),
                remedy="모든 단위의 좌표를 주거나 좌표가 있는 단위로만 추정할 것",
            )
        coordinates = [known[str(label)] for label in labels]
    points = np.asarray(coordinates, dtype=np.float64)
    if points.shape != (len(labels), 2):
        raise DataError(
            f"좌표의 크기 {points.shape} 이(가) ({len(labels)}, 2) 와 다름",
            where=("coordinates",),
            remedy="추정에 쓰인 단위의 순서(estimate.units)대로 두 열을 줄 것",
        )
    lost = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(lost):
        raise DataError(
            f"단위 {labels[lost[0]]} 의 좌표가 비었거나 무한대임 (모두 {len(lost)}개)",
            where=("coordinates",),
            remedy="좌표를 채우거나 그 단위를 빼고 추정할 것",
        )
    if degrees and (np.abs(points[:, 0]).max() > 90 or np.abs(points[:, 1]).max() > 360):
        raise DataError(
            f"위도 {points[np.abs(points[:, 0]).argmax(), 0]:.6g} 이(가) −90과 90 사이가 아니거나 경도가 ±360을 벗어남",
            where=("coordinates",),
            remedy="위도, 경도 순서로 적을 것; 평면 좌표(km)라면 degrees=False 로 부를 것",
        )
    return points
