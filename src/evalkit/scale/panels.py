"""Panels out of national files: the supported firms, and firms matched to them, never the whole.

A supported firm is matched at its base period (the last before adoption, anticipation counted) to firms never supported of
exactly the same cell, and among these to those whose path before is nearest:

    cell      region (시·도), industry (two digits of KSIC), size class, age class, all at the base period
    distance  Σ (y_firm − y_other)² over the base period and the periods before it (`MatchRule.lags` of them)

Both must be seen in all of these periods. The nearest `MatchRule.ratio` are taken, with replacement; of equally near firms the one with
the smallest identifier, so that nothing depends on the order of rows. A supported firm weighs 1, a matched one the sum of 1/k
over its k-fold matches (Abadie & Imbens 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, UsageError
from evalkit.ingest.table import FlowStep
from evalkit.panel import Panel
from evalkit.scale.by_unit import by_unit, refuse_faults
from evalkit.scale.sources import Source
from evalkit.scale.variables import examine, numeric

# units of a panel in memory beyond which cell sums are the road
MOST_UNITS = 3_000_000
CELL = ("region", "industry", "kind")


@dataclass(frozen=True, slots=True)
class MatchRule:
    """What matched firms share.

    Attributes
    ----------
    region, industry, size, founded : columns of the file; codes are those of 2018 and KSIC 10, `size` people, `founded` a year
    region_digits, industry_digits : leading digits that must agree
    size_edges, age_edges : lower bounds of the second and later classes
    lags : periods of the path, the base period included
    ratio : matched firms for each supported one
    """

    region: str = "region"
    industry: str = "industry"
    size: str = "employment"
    founded: str = "founded"
    region_digits: int = 2
    industry_digits: int = 2
    size_edges: tuple[float, ...] = (5, 10, 50, 300)
    age_edges: tuple[float, ...] = (3, 7, 20)
    lags: int = 3
    ratio: int = 3

    def __post_init__(self) -> None:
        for name in ("lags", "ratio", "region_digits", "industry_digits"):
            if getattr(self, name) < 1:
                raise UsageError(
                    f"짝짓기의 {name}={getattr(self, name)} 은(는) 1 이상이 아님", remedy="3 처럼 적을 것"
                )
        for name in ("size_edges", "age_edges"):
            edges = getattr(self, name)
            if list(edges) != sorted(set(edges)):
                raise UsageError(
                    f"짝짓기의 {name}={edges} 이(가) 오름차순이 아님", remedy="(5, 10, 50) 처럼 적을 것"
                )


@dataclass(frozen=True, slots=True, eq=False)
class MatchedPool:
    """Supported firms with their matches.

    Attributes
    ----------
    panel : fixed ``adoption``, ``weight``, and the columns asked for; put ``weight`` into ``Design.weight``
    pairs : unit, match, rank (1 = nearest), distance, base; in order of unit and rank
    unmatched : supported firms without a match, and why
    flow : from the firms of the programme to the panel
    """

    panel: Panel
    pairs: pd.DataFrame
    unmatched: pd.DataFrame
    flow: tuple[FlowStep, ...]


def panel_of(
    source: Source,
    *,
    unit: str,
    period: str,
    varying: Sequence[str],
    numbers: Sequence[str] = (),
    labels: Sequence[str] = (),
    units: pd.Series | None = None,
    minimum: float | None = None,
) -> Panel:
    """A panel in memory, pivoted by the engine.

    Parameters
    ----------
    varying : columns of numbers; numbers, labels : fixed columns
    units : only these; None = every unit of the file

    Raises
    ------
    DataError : a unit twice in a period, a fixed variable that changes, more than `MOST_UNITS` units, none
    """
    extent = examine(source, unit=unit, period=period, outcomes=list(varying), minimum=minimum)
    return _panel(source, extent.periods, unit, period, varying, numbers, labels, units, extent.rows)


def _panel(
    source: Source, periods: Any, unit: str, period: str, varying: Sequence[str], numbers: Sequence[str],
    labels: Sequence[str], units: pd.Series | None,
    rows: int = 0,
) -> Panel:  # fmt: skip
    source.require(labels)
    chosen = source
    if units is not None:
        listed = source.engine.listed(pd.DataFrame({unit: units.to_numpy()}))
        chosen = Source(source.engine, source.table.semi_join(listed, unit), source.label)
    elif rows > MOST_UNITS:
        count = int(source.frame(source.table.aggregate(n=source.table[unit].nunique()))["n"].iloc[0])
        if count > MOST_UNITS:
            raise DataError(
                f"단위가 {count:,}개라 패널을 메모리에 올리지 않음",
                where=(source.label,),
                remedy="national_cells 로 칸 합계를 내거나 matched_pool 로 비교 단위를 뽑을 것",
            )
    wide = by_unit(
        chosen, unit=unit, period=period, periods=periods, varying=varying, numbers=numbers, labels=labels
    )
    frame = chosen.frame(wide.order_by("unit"))
    if frame.empty:
        raise DataError("고른 단위가 파일에 하나도 없음", where=(source.label,), remedy="식별자를 확인할 것")
    refuse_faults(chosen, frame, unit, period, [*numbers, *labels])
    names = frame["unit"]
    return Panel(
        units=names.to_numpy(dtype=str) if names.dtype.kind not in "iu" else names.to_numpy(),
        periods=periods,
        varying={
            name: np.stack(
                [
                    pd.to_numeric(frame[f"v{j}_{t}"]).to_numpy(np.float64, na_value=np.nan)
                    for t in range(len(periods))
                ],
                axis=1,
            )
            for j, name in enumerate(varying)
        },
        fixed={
            **{
                n: pd.to_numeric(frame[f"n{k}"]).to_numpy(np.float64, na_value=np.nan)
                for k, n in enumerate(numbers)
            },
            **{
                n: frame[f"l{k}"].fillna("").to_numpy(dtype=str)
                if frame[f"l{k}"].dtype.kind not in "iu"
                else frame[f"l{k}"].to_numpy()
                for k, n in enumerate(labels)
            },
        },
        notes={"source": source.label},
    )


def supported_panel(
    source: Source,
    design: Design,
    *,
    unit: str,
    period: str,
    varying: Sequence[str] = (),
    numbers: Sequence[str] = (),
    labels: Sequence[str] = (),
    minimum: float | None = None,
) -> Panel:
    """The panel of the supported firms alone.

    Parameters
    ----------
    design : outcome and adoption, columns of the file; further columns by `varying`, `numbers` and `labels` (fixed)

    Raises
    ------
    DataError : nobody is supported, and as `panel_of`
    """
    extent = examine(
        source,
        unit=unit,
        period=period,
        outcomes=[design.outcome, *varying],
        adoption=design.adoption,
        minimum=minimum,
    )
    firms = _firms(source, design, unit)
    if firms.empty:
        raise DataError(
            "지원받은 단위가 하나도 없음",
            where=(source.label, f"열 {design.adoption}"),
            remedy="명단을 확인할 것",
        )
    names = ([design.outcome, *varying], [design.adoption, *numbers], labels)
    return _panel(source, extent.periods, unit, period, *names, firms["unit"])


def _firms(source: Source, design: Design, unit: str) -> pd.DataFrame:
    """Supported units and their adoption: columns unit, g.

    Raises
    ------
    DataError : a unit has two adoptions (one that is missing in some rows is found when its panel is made)
    """
    date = numeric(source, design.adoption).value
    rows = source.table.select(unit=source.table[unit], g=date)
    rows = rows.filter(rows["g"].notnull(), ~rows["g"].isinf())
    firms = source.frame(rows.distinct().order_by("unit", "g"))
    if firms["unit"].duplicated().any():
        raise DataError(
            f"고정 변수 {design.adoption} 이(가) 한 단위 안에서 바뀜",
            where=(source.label,),
            remedy="처음 지원받은 기간 하나로 고정해 다시 쓸 것",
        )
    return firms


def matched_pool(
    source: Source,
    design: Design,
    *,
    unit: str,
    period: str,
    rule: MatchRule | None = None,
    labels: Sequence[str] = (),
    minimum: float | None = None,
) -> MatchedPool:
    """Supported firms and their nearest neighbours of the same cell.

    Parameters
    ----------
    design : outcome (whose path is matched), adoption, anticipation
    labels : further fixed columns of the panel, such as the cluster
    rule : None = `MatchRule()`

    Raises
    ------
    DesignError : no supported firm finds a match
    SchemaError, ValueProblem, DataError : as `panel_of`
    """
    rule = rule or MatchRule()
    source.require([rule.region, rule.industry, rule.size, rule.founded, *labels])
    extent = examine(
        source, unit=unit, period=period, outcomes=[design.outcome], adoption=design.adoption, minimum=minimum
    )
    rows = _rows(source, design, rule, unit, period)
    firms = _firms(source, design, unit)
    pairs, reasons = _all_matches(source, rows, firms, extent.periods, design, rule)
    if pairs.empty:
        raise DesignError(
            f"짝이 지어진 단위가 하나도 없음 (지원받은 단위 {len(firms)}개)",
            where=(source.label,),
            remedy="MatchRule 의 lags 를 줄이거나 칸(지역·산업·규모·업력)을 넓힐 것",
        )
    pairs = pairs.sort_values(["unit", "rank"], ignore_index=True)
    unmatched = pd.DataFrame(reasons, columns=["unit", "reason"]).sort_values("unit", ignore_index=True)
    panel = _matched_panel(source, design, pairs, firms, extent.periods, unit, period, labels)
    firms_used = int(pairs["unit"].nunique())
    counts = unmatched["reason"].value_counts().sort_index()
    flow = (
        FlowStep("지원받은 단위", len(firms)),
        *(FlowStep(str(reason), -int(count)) for reason, count in counts.items()),
        FlowStep("짝이 있는 지원 단위", firms_used),
        FlowStep("비교 단위", len(panel.units) - firms_used),
    )
    return MatchedPool(panel, pairs, unmatched, flow)


def _all_matches(
    source: Source, rows: Any, firms: pd.DataFrame, periods: Any, design: Design, rule: MatchRule
) -> tuple[pd.DataFrame, list[tuple[Any, str]]]:
    """Pairs of every cohort, and why other firms have none."""
    found, reasons = [], []
    for date in np.unique(firms["g"].to_numpy(dtype=np.float64)):
        own = firms["unit"][firms["g"] == date]
        before = periods[periods + design.anticipation < date]
        if len(before) < rule.lags:
            reasons += [(name, f"지원 전 기간이 {rule.lags}개가 안 됨") for name in own]
            continue
        pairs, seen = _matches(source, rows, float(date), before[-rule.lags :].tolist(), rule)
        found.append(pairs)
        reasons += [
            (
                name,
                "같은 칸에 짝이 될 단위가 없음" if name in seen else "짝짓기에 쓸 값이 빈 기간이 있음",
            )
            for name in own[~own.isin(pairs["unit"])]
        ]
    pairs = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["unit"])
    return pairs, reasons


def _rows(source: Source, design: Design, rule: MatchRule, unit: str, period: str) -> Any:
    """Unit, period, outcome, adoption and the parts of the cell (size and age class in one)."""
    import ibis

    table = source.table
    date = numeric(source, design.adoption).value
    at = numeric(source, period).value
    size, age = numeric(source, rule.size).value, at - numeric(source, rule.founded).value
    return table.select(
        unit=table[unit],
        at=at.cast("int64"),
        y=numeric(source, design.outcome).value,
        g=ibis.ifelse(date.isinf(), ibis.null("float64"), date),
        region=_leading(table[rule.region], rule.region_digits),
        industry=_leading(table[rule.industry], rule.industry_digits),
        kind=_class_of(size, rule.size_edges) * 100 + _class_of(age, rule.age_edges),
    )


def _leading(code: Any, digits: int) -> Any:
    """The first digits of a code."""
    return (code if code.type().is_string() else code.cast("string")).substr(0, digits)


def _class_of(value: Any, edges: Sequence[float]) -> Any:
    """Number of edges that a value reaches; null where it is missing."""
    import ibis

    total: Any = ibis.ifelse(value.isnull(), ibis.null("int64"), ibis.literal(0, "int64"))
    for edge in edges:
        total = total + ibis.ifelse(value >= float(edge), ibis.literal(1, "int64"), ibis.literal(0, "int64"))
    return total


def _matches(
    source: Source, rows: Any, date: float, path: list[int], rule: MatchRule
) -> tuple[pd.DataFrame, set[Any]]:
    """Pairs of the firms first supported at `date`, and the firms that could be matched at all."""
    import ibis

    values = [f"y{lag}" for lag in range(len(path))]
    known = rows.filter(rows["y"].notnull())
    base = known.filter(known["at"] == path[-1], *[known[name].notnull() for name in CELL])
    base = base.filter(base["g"].isnull() | (base["g"] == date)).select("unit", "g", *CELL, y0=base["y"])
    with source.engine.kept(base, source.label) as here:
        pool = here.semi_join(here.filter(here["g"].notnull()), CELL)
        for lag, label in enumerate(path[-2::-1], start=1):
            earlier = known.filter(known["at"] == label).select("unit", **{f"y{lag}": known["y"]})
            pool = pool.inner_join(earlier, "unit")
        with source.engine.kept(pool, source.label) as seen:
            mine = seen.filter(seen["g"].notnull()).select("unit", *CELL, *values)
            others = seen.filter(seen["g"].isnull())
            theirs = others.select(
                *CELL, match=others["unit"], **{f"o{k}": others[name] for k, name in enumerate(values)}
            )
            both = mine.inner_join(theirs, CELL)
            gaps = [
                (both[name] - both[f"o{k}"]) * (both[name] - both[f"o{k}"]) for k, name in enumerate(values)
            ]
            gapped = both.select("unit", "match", distance=sum(gaps[1:], gaps[0]))
            order = [gapped["distance"], gapped["match"]]
            ranked = gapped.mutate(rank=ibis.row_number().over(group_by="unit", order_by=order) + 1)
            chosen = ranked.filter(ranked["rank"] <= rule.ratio).order_by("unit", "rank")
            pairs = source.frame(chosen)[["unit", "match", "rank", "distance"]]
            able = set(source.frame(mine.select("unit"))["unit"])
    pairs["base"] = path[-1]
    return pairs, able


def _matched_panel(
    source: Source, design: Design, pairs: pd.DataFrame, firms: pd.DataFrame, periods: Any, unit: str, period: str,
    labels: Sequence[str],
) -> Panel:  # fmt: skip
    shares = 1.0 / pairs.groupby("unit")["match"].transform("count")
    # summed in order of the pairs, which is fixed
    weights = shares.groupby(pairs["match"]).sum()
    everyone = pd.Series(pd.unique(pd.concat([pairs["unit"], pairs["match"]], ignore_index=True)))
    panel = _panel(source, periods, unit, period, [design.outcome], [design.adoption], labels, everyone)
    dates = firms.set_index("unit")["g"].reindex(panel.units).to_numpy(dtype=np.float64)
    own = np.isfinite(dates)
    weight = np.where(own, 1.0, weights.reindex(panel.units).fillna(0.0).to_numpy(dtype=np.float64))
    return panel.with_fixed(**{design.adoption: np.where(own, dates, np.inf), "weight": weight})
