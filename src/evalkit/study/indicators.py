"""Indicators × years from published facts and, where there is one, the evaluator's file of observed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evalkit.appraisal.monitoring import Direction, required_path
from evalkit.errors import DataError, PlanError, RefusalError, UsageError, nearest
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.programmes import Fact
from evalkit.study.plan import Plan
from evalkit.study.plan_monitoring import Figure, IndicatorPlan, MonitoringPlan, Point
from evalkit.study.programme_of import fact_of

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A value of the plan with where it comes from.

    Attributes
    ----------
    value : number in the indicator's unit
    origin : the fact, where the value is one; None for a value that the plan gives itself
    source : words of the source that the plan gives; empty for a fact
    """

    value: float
    origin: Fact | None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One indicator with its values looked up.

    Attributes
    ----------
    start : (year, value); value 0 where the target counts from zero
    from_zero : whether that start is a convention of the source, not something observed
    observed : year -> published or own value, the baseline among them
    refused : why there is no path (``no_start``, ``no_target``, ``said``); empty where there is one
    """

    name: str
    plan: IndicatorPlan
    start: tuple[int, float] | None
    from_zero: bool
    target: tuple[int, float] | None
    milestones: tuple[tuple[int, float], ...]
    observed: Mapping[int, float]
    refused: str = ""

    @property
    def points(self) -> tuple[tuple[int, float], ...]:
        """What the path runs through; empty where there is none."""
        if self.refused or self.start is None or self.target is None:
            return ()
        return (self.start, *self.milestones, self.target)

    @property
    def direction(self) -> Direction:
        """Which way is better."""
        return self.plan.direction


def build_indicators(plan: Any, tables: Mapping[str, list[Table]]) -> tuple[dict[str, Panel], dict[str, Any]]:
    """Panel ``units`` (indicators × years): ``observed`` and the required ``path``, both NaN where there is none.

    Raises
    ------
    PlanError : a fact that is not there, is no number, has another unit or the wrong standing
    DataError : a row of the file about no indicator, in another unit, or against a published value
    """
    every = all_series(plan)
    own = _own_values(plan, tables.get("indicators", []))
    every = [_with_own(series, own.get(series.name, {})) for series in every]
    years = sorted(
        {year for series in every for year in (*series.observed, *(y for y, _ in series.points))}
        | {series.target[0] for series in every if series.target}
    )
    as_of = _monitoring(plan).as_of
    if not years and as_of is None:
        raise PlanError(
            "지표에 값이 하나도 없음",
            where=(plan.id, "monitoring.indicators"),
            remedy="기준값이나 목표를 적거나, 비워 둔 채 보려면 as_of 를 적을 것",
        )
    years = years or [int(as_of or 0)]
    periods = np.arange(years[0], years[-1] + 1)
    observed = np.array([[s.observed.get(int(year), np.nan) for year in periods] for s in every])
    path = np.array(
        [
            required_path(s.points, periods.tolist()) if s.points else np.full(len(periods), np.nan)
            for s in every
        ]
    )
    panel = Panel(
        units=np.array([s.name for s in every]),
        periods=periods,
        varying={"observed": observed, "path": path},
        notes={"row": "지표 하나의 한 해"},
    )
    return {"units": panel}, {
        "own_values": [
            {"indicator": name, "year": year, "value": value, "source": source}
            for name, values in sorted(own.items())
            for year, (value, source) in sorted(values.items())
        ]
    }


def all_series(plan: Any) -> list[Series]:
    """Every indicator of the plan with its published values, in the plan's order."""
    monitoring = _monitoring(plan)
    return [_series(plan, name, indicator) for name, indicator in monitoring.indicators.items()]


def look_up(plan: Plan, figure: Figure, unit: str, where: Place, *, not_a: tuple[str, ...] = ()) -> Published:
    """The value of a figure; its unit and standing checked.

    Parameters
    ----------
    plan : its own fact file is looked into first
    unit : unit that the fact must have; empty = any
    not_a : standings that the fact may not have (a target is no observation)

    Raises
    ------
    PlanError : the fact is not there, is no number, or has another unit or such a standing
    RefusalError : the fact is only recalled
    """
    if figure.fact is None:
        assert figure.value is not None
        return Published(float(figure.value), None, figure.source or "")
    try:
        found = fact_of(plan, figure.fact)
        value = found.number
    except UsageError as error:
        raise PlanError(error.problem, where=where, remedy=error.remedy) from None
    if found.label == "recalled":
        raise RefusalError(
            f"사실 {found.id} 은(는) 출처가 확인되지 않아 지표의 값으로 쓸 수 없음",
            where=where,
            remedy="출처가 있는 사실을 적을 것",
        )
    if unit and found.unit != unit:
        raise PlanError(
            f"사실 {found.id} 의 단위 {found.unit!r} 이(가) 지표의 단위 {unit!r} 와(과) 다름",
            where=where,
            remedy="unit 의 ko 를 사실의 단위대로 적을 것",
        )
    if found.status in not_a:
        raise PlanError(
            f"사실 {found.id} 은(는) 관측값이 아니라 {_STATUS[found.status]}임",
            where=where,
            remedy="target 이나 milestones 에 적을 것",
        )
    return Published(value, found)


_STATUS = {"target": "목표", "planned": "계획"}


def _monitoring(plan: Any) -> MonitoringPlan:
    found: MonitoringPlan = plan.monitoring
    return found


def _series(plan: Plan, name: str, indicator: IndicatorPlan) -> Series:
    at: Place = (plan.id, "monitoring.indicators", name)
    unit = indicator.unit.ko

    def point(asked: Point, key: str, not_a: tuple[str, ...] = ()) -> tuple[int, float]:
        return asked.year, look_up(plan, asked, unit, (*at, key), not_a=not_a).value

    observed: dict[int, float] = {}
    start = None
    if indicator.baseline is not None:
        start = point(indicator.baseline, "baseline", ("target",))
        observed[start[0]] = start[1]
    target = point(indicator.target, "target") if indicator.target is not None else None
    if indicator.from_zero is not None and indicator.target is not None:
        _says_from_zero(plan, indicator.from_zero.words, indicator.target, (*at, "from_zero"))
        start = (indicator.from_zero.year, 0.0)
    for asked in indicator.observations:
        year, value = point(asked, "observations", ("target",))
        observed[year] = value
    milestones = tuple(point(asked, "milestones") for asked in indicator.milestones)
    refused = ""
    if target is None:
        refused = "no_target"
    elif indicator.path == "none":
        refused = "said"
    elif start is None:
        refused = "no_start"
    return Series(
        name, indicator, start, indicator.from_zero is not None, target, milestones, observed, refused
    )


def _says_from_zero(plan: Plan, words: str, target: Point, where: Place) -> None:
    """A target is watched from zero only if its own quotation (or the source that the plan gives) says so."""
    said = fact_of(plan, target.fact).quote if target.fact is not None else str(target.source)
    if words not in said:
        raise PlanError(
            f"목표의 출처에 {words!r} 이(가) 없어 0에서 센다고 볼 수 없음",
            where=where,
            remedy="출처에 적힌 말을 그대로 옮기거나, 그런 말이 없으면 from_zero 를 지울 것",
        )


def _own_values(plan: Any, tables: list[Table]) -> dict[str, dict[int, tuple[float, str]]]:
    """Values of the evaluator's files: indicator -> year -> (value, source); rows without a value say nothing."""
    monitoring = _monitoring(plan)
    named = {key: key for key in monitoring.indicators}
    for key, indicator in monitoring.indicators.items():
        named |= {indicator.label.ko: key, indicator.label.en: key}
    found: dict[str, dict[int, tuple[float, str]]] = {}
    for table, row in _rows(tables):
        line = int(row["source_row"])
        written = str(row["indicator"])
        if written not in named:
            raise DataError(
                f"지표 {written!r} 이(가) 계획에 없음",
                where=table.where(line, "지표"),
                remedy=nearest(written, named),
            )
        if not np.isfinite(float(row["value"])):
            continue
        key, year, value = named[written], int(row["year"]), float(row["value"])
        unit, wanted = row.get("unit"), monitoring.indicators[key].unit
        if isinstance(unit, str) and unit and unit not in (wanted.ko, wanted.en):
            raise DataError(
                f"단위 {unit!r} 이(가) 계획의 단위 {wanted.ko!r} 와(과) 다름",
                where=table.where(line, "단위"),
                remedy="값을 계획의 단위로 바꾸어 적을 것",
            )
        if monitoring.as_of is not None and year > monitoring.as_of:
            raise DataError(
                f"관측값의 연도 {year} 이(가) 계획의 as_of({monitoring.as_of}년)보다 뒤임",
                where=table.where(line, "연도"),
                remedy="연도가 맞으면 계획의 as_of 를 고칠 것",
            )
        before = found.setdefault(key, {}).get(year)
        if before is not None:
            raise DataError(
                f"지표 {written!r} 의 {year}년 값이 두 번 있음",
                where=table.where(line, "값"),
                remedy="하나만 남길 것",
            )
        _agrees(plan, key, year, value, table.where(line, "값"))
        found[key][year] = (value, str(row["source"]))
    return found


def _agrees(plan: Any, key: str, year: int, value: float, where: Place) -> None:
    """A value of the file may repeat a published one, not contradict it."""
    series = next(s for s in all_series(plan) if s.name == key)
    known = series.observed.get(year)
    if known is not None and abs(known - value) > 1e-9 * max(1.0, abs(known)):
        raise DataError(
            f"{year}년 값 {value:g} 이(가) 계획에 적힌 발표값 {known:g} 와(과) 다름",
            where=where,
            remedy="어느 쪽이 맞는지 확인해 파일의 행을 지우거나 계획의 값을 고칠 것",
        )
    if series.start is not None and year < series.start[0]:
        raise DataError(
            f"관측값의 연도 {year} 이(가) 기준 연도 {series.start[0]} 보다 앞임",
            where=where,
            remedy="기준 연도를 앞당기려면 계획의 baseline 을 고칠 것",
        )


def _rows(tables: list[Table]) -> Iterator[tuple[Table, dict[str, Any]]]:
    for table in tables:
        for row in table.frame.to_dict("records"):
            yield table, {str(name): cell for name, cell in row.items()}


def _with_own(series: Series, own: Mapping[int, tuple[float, str]]) -> Series:
    values = dict(series.observed) | {year: value for year, (value, _) in own.items()}
    return Series(
        series.name, series.plan, series.start, series.from_zero, series.target, series.milestones,
        values, series.refused,
    )  # fmt: skip
