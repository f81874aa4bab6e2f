"""What tables and figures read from an `Estimate` or a frame: rows by event time, with interval and band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import UsageError, nearest
from evalkit.estimate import Estimate

NEEDED = ("estimate", "conf_low", "conf_high")


def as_frame(source: Estimate | pd.DataFrame | Mapping[Any, Any], level: float = 0.95) -> pd.DataFrame:
    """Rows with estimate, conf_low, conf_high (and n_treated, n_comparison from an Estimate)."""
    if isinstance(source, Estimate):
        frame = source.table(level)
        return frame.assign(n_treated=source.n_treated, n_comparison=source.n_comparison)
    frame = pd.DataFrame(source).copy()
    for name in NEEDED:
        if name not in frame.columns:
            raise UsageError(
                f"추정 표에 열 {name!r} 이(가) 없음",
                remedy=f"Estimate 또는 Estimate.table() 을 넘길 것 ({nearest(name, map(str, frame.columns))})",
            )
    return frame


def by_event_time(source: Estimate | pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """`as_frame` indexed by event time alone, in order.

    Raises
    ------
    UsageError : there is no level or column ``event_time``, or an event time stands twice
    """
    frame = as_frame(source, level)
    if "event_time" in frame.columns:
        times = pd.Index(frame["event_time"].to_numpy())
    elif "event_time" in frame.index.names:
        times = frame.index.get_level_values("event_time")
    elif frame.index.nlevels == 1 and pd.api.types.is_numeric_dtype(frame.index):
        times = frame.index
    else:
        raise UsageError(
            "경과 연수(event_time)가 추정 표에 없음",
            remedy="aggregate 의 event_study 결과를 넘길 것",
        )
    frame.index = pd.Index(np.asarray(times, dtype=np.int64), name="event_time")
    if frame.index.has_duplicates:
        raise UsageError("같은 경과 연수가 두 번 이상 있음", remedy="한 결과·한 단계의 추정만 넘길 것")
    return frame.sort_index()


def band_limits(
    band: pd.DataFrame | NDArray[np.float64] | None, source: Estimate | pd.DataFrame, frame: pd.DataFrame
) -> pd.DataFrame | None:
    """Band as conf_low, conf_high on the rows of `frame`; an array follows the order of `source`."""
    if band is None:
        return None
    if isinstance(band, pd.DataFrame):
        renamed = band.rename(columns={"band_low": "conf_low", "band_high": "conf_high"})
        if not {"conf_low", "conf_high"} <= set(renamed.columns):
            raise UsageError("신뢰대의 표에 하한과 상한이 없음", remedy="conf_low 와 conf_high 열을 둘 것")
        limits = by_event_time(renamed[["conf_low", "conf_high"]].assign(estimate=np.nan))
        return limits[["conf_low", "conf_high"]].reindex(frame.index)
    array = np.asarray(band, dtype=np.float64)
    if array.shape != (len(frame), 2):
        raise UsageError(
            f"신뢰대의 크기 {array.shape} 이(가) ({len(frame)}, 2) 와 다름",
            remedy="하한과 상한 두 열의 배열이나 conf_low, conf_high 열의 표를 넘길 것",
        )
    raw = as_frame(source)
    keys = raw["event_time"] if "event_time" in raw.columns else raw.index.get_level_values(-1)
    order = np.argsort(np.asarray(keys, dtype=np.int64), kind="stable")
    return pd.DataFrame(array[order], index=frame.index, columns=["conf_low", "conf_high"])


def excludes_zero(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose interval leaves zero out  # (k,)"""
    low, high = (frame[name].to_numpy(dtype=np.float64) for name in ("conf_low", "conf_high"))
    return (low > 0) | (high < 0)


def has_interval(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows with an interval  # (k,)"""
    return frame[["conf_low", "conf_high"]].notna().all(axis=1).to_numpy(dtype=np.bool_)


def half_widths(frame: pd.DataFrame) -> list[float]:
    """Median half width first, then nothing else: it decides how many decimals a table shows."""
    half = (frame["conf_high"] - frame["conf_low"]).to_numpy(dtype=np.float64) / 2
    known = half[np.isfinite(half) & (half > 0)]
    if len(known):
        return [float(np.median(known))]
    values = np.abs(frame["estimate"].to_numpy(dtype=np.float64))
    values = values[np.isfinite(values) & (values > 0)]
    return [float(np.median(values))] if len(values) else []
