"""Facts of region codes, for arrays: each distinct code is looked up once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.ingest import regions


def _each(function: Callable[[str], Any], codes: ArrayLike) -> NDArray[Any]:
    distinct, inverse = np.unique(np.asarray(codes, dtype=str), return_inverse=True)
    found = np.array([function(str(code)) for code in distinct])
    return np.asarray(found[inverse])


def capital_mask(codes: ArrayLike) -> NDArray[np.bool_]:
    """Whether each code lies in the capital region (서울, 인천, 경기)."""
    return _each(regions.is_capital, codes).astype(bool)


def provinces_of(codes: ArrayLike) -> NDArray[np.str_]:
    """Short name of the 시·도 of each code."""
    return _each(regions.sido_short, codes).astype(str)
