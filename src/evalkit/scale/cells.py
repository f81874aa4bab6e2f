"""A national file to sums: by cluster, cohort and pattern for effects, by region, industry and period for description.

Each function builds one Ibis expression that the engine executes; the panel itself is never in memory. Values are added
in whole parts (`evalkit.arrays.cell_sums`), so that neither threads nor engines change a bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cell_sums import BITS, PARTS, SQUARE_PARTS, CellSums, from_parts, grid_exponent
from evalkit.design import Design
from evalkit.errors import DataError, RefusalError, UsageError
from evalkit.ingest.table import FlowStep, Repair
from evalkit.scale.by_unit import WORD, by_unit, fault_sums, refuse_faults
from evalkit.scale.sources import Source
from evalkit.scale.variables import examine, numeric

# rows of one pass of DuckDB: the table of their units takes a few hundred megabytes
BUCKET = 12_000_000


@dataclass(frozen=True, slots=True, eq=False)
class NationalCells:
    """Cell sums of a file, and how its rows became cells.

    Attributes
    ----------
    sums : for `evalkit.scale.group_time_from_cells` and `imputation_from_cells`
    flow, repairs : as of `evalkit.ingest.table.Table`
    """

    sums: CellSums
    flow: tuple[FlowStep, ...]
    repairs: tuple[Repair, ...]

    def table(self) -> pd.DataFrame:
        """One row a cluster, cohort and period: units seen, mean and standard deviation of the outcome."""
        cells = self.sums
        rows = []
        for label in np.unique(cells.cluster).tolist():
            for date in np.unique(cells.cohort[cells.cluster == label]).tolist():
                here = (cells.cluster == label) & (cells.cohort == date)
                for t, period in enumerate(cells.periods.tolist()):
                    seen = here & cells.seen[:, t]
                    mass = float(cells.weight[seen].sum())
                    mean = float(cells.sums[seen, t].sum()) / mass if mass > 0 else float("nan")
                    square = float(cells.squares[seen, t].sum()) / mass if mass > 0 else float("nan")
                    rows.append(
                        (label, date, period, cells.counted(seen), mean, max(square - mean**2, 0.0) ** 0.5)
                    )
        return pd.DataFrame(rows, columns=["cluster", "cohort", "period", "units", "mean", "std"])


@dataclass(frozen=True, slots=True)
class Grid:
    """How values are cut into whole numbers before they are added: the power of two, and the number of parts."""

    exponent: int
    parts: int

    @classmethod
    def of(cls, largest: float, rows: int, parts: int = PARTS, *, whole: bool = False) -> Grid:
        """For values up to `largest`; whole numbers whose sum is a double of full precision are added as they are."""
        if whole and largest * rows < 2.0**53:
            return cls(0, 1)
        return cls(grid_exponent(largest), parts)

    def sums(self, name: str, value: Any) -> dict[str, Any]:
        """Aggregates that hold the sum of a float expression without loss (`evalkit.arrays.cell_sums`)."""
        import ibis

        rest = value * ibis.literal(float(2.0**self.exponent), "float64")
        found = {}
        for k in range(self.parts):
            whole = rest.floor().cast("int64")
            found[f"{name}_{k}"] = whole.sum()
            rest = (rest - whole.cast("float64")) * ibis.literal(2.0**BITS, "float64")
        return found

    def values(self, found: pd.DataFrame, name: str) -> NDArray[np.float64]:
        """These sums in the unit of the values; 0 for a sum over nothing."""
        columns = (pd.to_numeric(found[f"{name}_{k}"]).astype("Int64").fillna(0) for k in range(self.parts))
        return from_parts([np.asarray(column, dtype=np.int64) for column in columns], self.exponent)


def national_cells(
    source: Source,
    design: Design,
    *,
    unit: str,
    period: str,
    window: tuple[int, int] | None = None,
    minimum: float | None = None,
) -> NationalCells:
    """Sums by cluster, cohort and pattern of observed periods.

    Parameters
    ----------
    source : one row a unit and period
    design : outcome, adoption, cluster and weight are columns of the file; adoption is missing for units never supported.
        Adoption, cluster and weight must not change within a unit
    unit, period : columns; periods are whole numbers
    window : first and last period used; None = all
    minimum : least value that the outcome may have; None = any

    Raises
    ------
    RefusalError : covariates, at_risk, no cluster
    SchemaError, ValueProblem, DataError, DesignError : as `evalkit.scale.variables.examine`; a unit twice in a period; a
        fixed variable that changes
    """
    _check(design)
    assert design.cluster is not None
    extent = examine(
        source, unit=unit, period=period, outcomes=[design.outcome], weight=design.weight, adoption=design.adoption,
        cluster=design.cluster, window=window, minimum=minimum,
    )  # fmt: skip
    numbers = [design.adoption, *([design.weight] if design.weight else [])]
    fixed = [*numbers, design.cluster]
    heaviest = extent.largest[design.weight] if design.weight else 1.0
    tallest, rows = extent.largest[design.outcome], extent.rows
    kinds = [source.table[name].type() for name in (design.weight, design.outcome) if name]
    light = design.weight is None or kinds[0].is_integer()
    whole = light and kinds[-1].is_integer()
    grids = {
        "weight": Grid.of(heaviest, rows, whole=light),
        "squares": Grid.of(heaviest**2, rows, whole=light),
        "s": Grid.of(heaviest * tallest, rows, whole=whole),
        "q": Grid.of(heaviest * tallest**2, rows, SQUARE_PARTS, whole=whole),
    }
    parts = []
    for chosen in _buckets(source, unit, rows):
        units = by_unit(
            chosen,
            unit=unit,
            period=period,
            periods=extent.periods,
            varying=[design.outcome],
            numbers=numbers,
            labels=[design.cluster],
        )
        parts.append(source.frame(_sums(units, len(extent.periods), len(fixed), grids)))
    found = _merged(parts)
    refuse_faults(source, found, unit, period, fixed)
    sums = _collected(found, extent.periods, grids)
    return NationalCells(sums, (*source.flow, *_steps(sums, extent.rows)), source.repairs)


def _buckets(source: Source, unit: str, rows: int) -> list[Source]:
    """The file by groups of units small enough that the table of units stays in memory.

    A larger table goes to disk and is read again; a further pass over the file costs less. Spark parts the work itself.
    """
    count = -(-rows // BUCKET) if source.engine.name == "duckdb" else 1
    if count == 1:
        return [source]
    table = source.table
    at = table[unit].hash() % count
    return [
        replace(source, table=table.filter((at == k) | (at == k - count) if k else at == 0))
        for k in range(count)
    ]


def _merged(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Cells of several groups of units as one; whole numbers are added, so that nothing is lost."""
    if len(parts) == 1:
        return parts[0]
    rows = pd.concat(parts, ignore_index=True)
    keys = [name for name in rows.columns if name in ("c", "g") or re.fullmatch(r"p\d+", name)]
    firsts = [name for name in rows.columns if name.endswith("_first")]
    for name in rows.columns.difference([*keys, *firsts]):
        rows[name] = rows[name].astype("Int64").fillna(0)
    groups = rows.groupby(keys, dropna=False, sort=True)
    sums = groups[list(rows.columns.difference([*keys, *firsts]))].sum()
    return sums.join(groups[firsts].min()).reset_index()


def _check(design: Design) -> None:
    for name, given in (("covariates", ", ".join(design.covariates)), ("at_risk", design.at_risk)):
        if given:
            raise RefusalError(
                f"칸 합계에는 {name}={given} 이(가) 들어갈 수 없음",
                remedy="matched_pool 로 뽑은 패널을 메모리 안의 추정에 쓸 것",
            )
    if design.cluster is None:
        raise RefusalError(
            "칸 합계에는 단위보다 큰 군집이 있어야 함", remedy="시·도나 시·군·구 열을 cluster 에 적을 것"
        )


def _sums(units: Any, periods: int, fixed: int, grids: Mapping[str, Grid]) -> Any:
    """The aggregation: units to cells."""
    import ibis

    weighted = fixed == 3
    nothing = ibis.literal(0.0, "float64")
    w = units["n1"].fill_null(nothing) if weighted else ibis.literal(1.0, "float64")
    y = [units[f"v0_{t}"] for t in range(periods)]
    if weighted:
        y = [ibis.ifelse(w > 0, value, ibis.null("float64")) for value in y]
    words = []
    for first in range(0, periods, WORD):
        bits = [
            ibis.ifelse(value.notnull(), ibis.literal(1 << k, "int64"), ibis.literal(0, "int64"))
            for k, value in enumerate(y[first : first + WORD])
        ]
        words.append(sum(bits[1:], bits[0]))
    date = ibis.ifelse(units["n0"].isinf(), ibis.null("float64"), units["n0"])
    rows = units.mutate(
        g=date, c=units["l0"], w=w, **{f"y{t}": value for t, value in enumerate(y)},
        **{f"p{k}": word for k, word in enumerate(words)},
    )  # fmt: skip
    keys = ["c", "g", *(f"p{k}" for k in range(len(words)))]
    totals: dict[str, Any] = {"units": rows.count()}
    totals |= grids["weight"].sums("weight", rows["w"]) | grids["squares"].sums(
        "squares", rows["w"] * rows["w"]
    )
    for t in range(periods):
        value = rows[f"y{t}"]
        scaled = (rows["w"] * value, rows["w"] * (value * value)) if weighted else (value, value * value)
        totals |= grids["s"].sums(f"s{t}", scaled[0]) | grids["q"].sums(f"q{t}", scaled[1])
    totals |= fault_sums(rows, fixed)
    return rows.group_by(keys).aggregate(**totals).order_by(keys)


def _collected(found: pd.DataFrame, periods: NDArray[np.int64], grids: Mapping[str, Grid]) -> CellSums:
    count = len(periods)
    seen = np.stack(
        [(found[f"p{t // WORD}"].to_numpy(dtype=np.int64) >> (t % WORD)) & 1 == 1 for t in range(count)],
        axis=1,
    )
    cohort = pd.to_numeric(found["g"]).to_numpy(dtype=np.float64, na_value=np.nan)
    label = found["c"]
    return CellSums(
        periods=periods,
        cluster=label.astype(str).to_numpy(dtype=str) if label.dtype.kind not in "iu" else label.to_numpy(),
        cohort=np.where(np.isnan(cohort), np.inf, cohort),
        seen=seen,
        units=found["units"].to_numpy(dtype=np.int64),
        weight=grids["weight"].values(found, "weight"),
        weight_squares=grids["squares"].values(found, "squares"),
        sums=np.stack([grids["s"].values(found, f"s{t}") for t in range(count)], axis=1),
        squares=np.stack([grids["q"].values(found, f"q{t}") for t in range(count)], axis=1),
    )


def _steps(sums: CellSums, rows: int) -> tuple[FlowStep, ...]:
    used = int(sums.units @ sums.seen.sum(axis=1))
    silent = sums.counted(~sums.seen.any(axis=1))
    steps = [FlowStep("기간 밖이거나 결과·가중치가 빈 행", used - rows), FlowStep("칸에 든 관측값", used)]
    if silent:
        steps.append(FlowStep("관측값이 하나도 없는 단위", -silent))
    return (*steps, FlowStep("단위", int(sums.units.sum())), FlowStep("칸", len(sums)))


def place_cells(
    source: Source,
    *,
    period: str,
    region: str,
    industry: str | None = None,
    values: Sequence[str],
    region_digits: int = 5,
    industry_digits: int = 2,
    minimum: float | None = 0.0,
) -> pd.DataFrame:
    """Region × industry × period cells: rows, and count, sum and sum of squares of each variable.

    Parameters
    ----------
    region, industry : columns of codes; their first digits make the cell (2 = 시·도, 5 = 시·군·구; 2 = KSIC 중분류)
    values : columns of numbers
    minimum : least value that they may have; None = any

    Returns
    -------
    DataFrame in order of region, industry, period; ``rows``, ``<value>_count``, ``<value>_sum``, ``<value>_squares``

    Raises
    ------
    SchemaError, ValueProblem, DataError, DesignError : as `evalkit.scale.variables.examine`
    """
    if not values:
        raise UsageError("더할 변수가 하나도 없음", remedy="values 에 열 이름을 적을 것")
    source.require([region, *([industry] if industry else [])])
    extent = examine(
        source, unit=region, period=period, outcomes=list(values), minimum=minimum, unit_word="지역"
    )
    table = source.table
    keys = {"region": table[region].cast("string").substr(0, region_digits)}
    if industry is not None:
        keys["industry"] = table[industry].cast("string").substr(0, industry_digits).fill_null("")
    columns = {f"v{j}": numeric(source, name).value for j, name in enumerate(values)}
    rows = table.select(**keys, period=numeric(source, period).value.cast("int64"), **columns)
    totals: dict[str, Any] = {"rows": rows.count()}
    whole = [table[name].type().is_integer() for name in values]
    sizes = [extent.largest[name] for name in values]
    grids = [
        (Grid.of(size, extent.rows, whole=w), Grid.of(size**2, extent.rows, SQUARE_PARTS, whole=w))
        for size, w in zip(sizes, whole, strict=True)
    ]
    for j, (first, second) in enumerate(grids):
        value = rows[f"v{j}"]
        totals[f"c{j}"] = value.count()
        totals |= first.sums(f"s{j}", value) | second.sums(f"q{j}", value * value)
    by = [*keys, "period"]
    found = source.frame(rows.group_by(by).aggregate(**totals).order_by(by))
    short = found["region"].str.len() < region_digits
    if short.any():
        raise DataError(
            f"지역 코드가 {region_digits}자리보다 짧은 칸이 있음 (예: {found['region'][short].iloc[0]!r})",
            where=(source.label, f"열 {region}"),
            remedy="행정안전부 다섯 자리 코드로 고쳐 다시 쓸 것",
        )
    out = found[[*by, "rows"]].copy()
    for j, (name, (first, second)) in enumerate(zip(values, grids, strict=True)):
        out[f"{name}_count"] = found[f"c{j}"].astype("int64")
        out[f"{name}_sum"] = first.values(found, f"s{j}")
        out[f"{name}_squares"] = second.values(found, f"q{j}")
    return out
