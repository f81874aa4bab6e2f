"""Surveys of different persons or firms in each period to a `Sample`, with the flow chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.breaks import with_breaks
from evalkit.building.flow_chart import FlowChart, Sifting
from evalkit.errors import DataError, DesignError, SchemaError, nearest
from evalkit.sample import Sample


def pooled_sample(
    surveys: Mapping[str, pd.DataFrame],
    *,
    period: str,
    variables: Sequence[str],
    required: Sequence[str] = (),
    person: str | None = None,
    breaks: Sequence[Mapping[str, Any]] = (),
    notes: Mapping[str, Any] | None = None,
) -> tuple[Sample, FlowChart]:
    """Repeated cross-sections as one sample.

    Parameters
    ----------
    surveys : Korean name -> one row an observation
    period : column of the period, whole numbers
    variables : columns to keep; one that a survey does not have is missing there
    required : variables without which an observation is left out, each with its reason
    person : column that names persons or firms; the same one twice in a period is refused
    breaks : known breaks of the variables (`evalkit.ingest.breaks.known_breaks`)

    Returns
    -------
    Sample, observations in order of survey and row, and the steps

    Raises
    ------
    SchemaError : a column that no survey has
    DataError : a period that is no whole number, a person twice in a period, nothing left
    """
    _check_columns(surveys, period, variables, required, person)
    flow = FlowChart()
    kept: list[pd.DataFrame] = []
    for survey, frame in surveys.items():
        sifting = Sifting(survey, frame[person].to_numpy() if person else np.arange(len(frame)))
        when = _when(survey, frame, period)
        sifting.drop(np.isnan(when), "조사 시점이 비어 있는 관측")
        for name in required:
            empty = (
                frame[name].isna() | (frame[name].astype(str).str.strip() == "") if name in frame else True
            )
            sifting.drop(np.broadcast_to(np.asarray(empty), len(frame)), f"{name}이(가) 비어 있는 관측")
        flow = flow + sifting.chart()
        wanted = list(dict.fromkeys([*variables, *([person] if person else [])]))
        part = frame.loc[sifting.kept].reindex(columns=wanted)
        kept.append(part.assign(__period=when[sifting.kept].astype(np.int64)))
    pooled = pd.concat([part for part in kept if len(part)] or kept, ignore_index=True)
    if not len(pooled):
        raise DataError("표본이 비어 있음 (관측 0개)", remedy="자료의 필터와 required 를 확인할 것")
    if person is not None:
        _refuse_twice(pooled, person, period)
    sample = Sample(
        pooled["__period"].to_numpy(),
        {name: pooled[name].to_numpy() for name in variables},
        notes=with_breaks(notes, breaks),
    )
    return sample, flow


def _check_columns(
    surveys: Mapping[str, pd.DataFrame],
    period: str,
    variables: Sequence[str],
    required: Sequence[str],
    person: str | None,
) -> None:
    if not surveys:
        raise DesignError("조사가 하나도 없음", remedy="표를 하나 이상 줄 것")
    held = {str(c) for frame in surveys.values() for c in frame.columns}
    for name in (*variables, *required):
        if name not in held:
            raise SchemaError(f"열 {name!r} 이(가) 어느 조사에도 없음", remedy=nearest(name, held))
    for survey, frame in surveys.items():
        for name in (period, *([person] if person else [])):
            if name not in frame.columns:
                raise SchemaError(
                    f"열 {name!r} 이(가) 표에 없음",
                    where=(survey,),
                    remedy=nearest(name, map(str, frame.columns)),
                )


def _when(survey: str, frame: pd.DataFrame, period: str) -> NDArray[np.float64]:
    """The period of each observation, NaN where it is not told  # (n,)"""
    when = pd.to_numeric(frame[period], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = frame[period].notna().to_numpy() & ~(np.isfinite(when) & (when == np.floor(when)))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(
            f"조사 시점 {str(frame[period].iloc[at])!r} 이(가) 정수가 아님",
            where=(survey, f"{at + 1}번째 행"),
            remedy="연도(2019)나 연월(201907) 같은 정수로 적을 것",
        )
    return when


def _refuse_twice(pooled: pd.DataFrame, person: str, period: str) -> None:
    again = pooled.duplicated([person, "__period"]) & pooled[person].notna()
    if again.any():
        twice = pooled[again].iloc[0]
        raise DataError(
            f"같은 사람이 한 시점에 두 번 있음 ({int(again.sum())}건)",
            where=(f"{person}={twice[person]}", f"{period}={twice['__period']}"),
            remedy="겹친 행을 고칠 것 (여러 시점에 걸쳐 같은 사람을 따라가면 joined_panel 을 쓸 것)",
        )
