"""Faults planted into clean panels, with the rows that hold them and whether anyone could tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from planted_worlds import Generator, World, draw

from evalkit.ingest.audit import Finding, audit_frame
from evalkit.ingest.regions import municipalities

CLEAR = 10.0
"""A value is told from another when they lie this many times the unit's yearly change apart."""


@dataclass
class Fault:
    """What was planted.

    Attributes
    ----------
    rows : source rows of the fault; empty where it is the whole column or a row that is not there
    checks : the checks that may tell it
    variable : the column; empty where it is the rows themselves
    identifiable : whether the panel holds enough to tell it (see the page)
    """

    rows: set[int]
    checks: tuple[str, ...]
    variable: str = ""
    identifiable: bool = True


Plant = Callable[[World, Generator], Fault]


def _inner_year(world: World, rng: Generator, column: str = "") -> int:
    """A year that is neither the first nor the last in which a column is observed."""
    frame = world.frame if not column else world.frame[world.frame[column].notna()]
    years = sorted(frame["year"].unique())
    return int(rng.choice(years[1:-1]))


def _rows(world: World, mask: Sequence[bool] | np.ndarray) -> set[int]:
    return set(world.frame.loc[np.asarray(mask), "source_row"].astype(int))


def _count(world: World, rng: Generator) -> str:
    return str(rng.choice(world.counts))


def _size(world: World, rng: Generator) -> str:
    """A count or an amount."""
    money = "grdp_mkrw" if world.kind == "regions" else "sales_mkrw"
    return str(rng.choice([*world.counts, money]))


# -- a whole period ----------------------------------------------------------------------------------------


def times(factor: float) -> Plant:
    """One year of one column at a multiple; the first and the last year too."""

    def plant(world: World, rng: Generator) -> Fault:
        name = _count(world, rng) if factor in (2.0, 0.5) else _size(world, rng)
        years = sorted(world.frame.loc[world.frame[name].notna(), "year"].unique())
        hit = world.frame["year"] == int(rng.choice(years))
        world.frame.loc[hit, name] *= factor
        return Fault(_rows(world, hit), ("scaled_period", "unit_change", "all_even"), name)

    return plant


def unit_change(world: World, rng: Generator) -> Fault:
    """From one year on in another unit of measure."""
    name = "grdp_mkrw" if world.kind == "regions" else "sales_mkrw"
    year = _inner_year(world, rng, name)
    hit = (world.frame["year"] >= year) & world.frame[name].notna()
    world.frame.loc[hit, name] *= 1000.0
    return Fault(_rows(world, world.frame[name].notna()), ("scaled_period", "unit_change"), name)


def definition(world: World, rng: Generator) -> Fault:
    """From one year on another definition: 30–60 % more or less, not the same for all."""
    name = _count(world, rng)
    year = _inner_year(world, rng)
    hit = (world.frame["year"] >= year).to_numpy()
    step = float(rng.choice([-1, 1]) * rng.uniform(0.3, 0.5))
    clear = _quiet(world, name, year, abs(step))
    units = pd.factorize(world.frame[world.unit])[0]
    own = step * (1 + 0.2 * rng.normal(size=units.max() + 1))[units]
    world.frame.loc[hit, name] = np.round(world.frame.loc[hit, name] * np.exp(own[hit]))
    return Fault(_rows(world, world.frame["year"] == year), ("break",), name, clear)


def _quiet(world: World, name: str, year: int, step: float) -> bool:
    """Whether the panel's own common steps stay well below a step, and near it no shock could be taken for it.

    Four steps beside it must be known.
    """
    wide = world.frame.pivot(index=world.unit, columns="year", values=name)
    common = np.log(wide.where(wide > 0)).diff(axis=1).median().dropna()
    if len(common) < 5 or year not in common.index:
        return False
    away = (common - common.median()).abs()
    beside = away[[y for y in away.index if y != year and abs(y - year) <= 2]]
    return bool(away.max() < 0.6 * step and beside.max() < 0.25 * step)


def stale(world: World, rng: Generator) -> Fault:
    """A year copied from the year before, for 70–100 % of the units."""
    name = _size(world, rng)
    frame = world.frame
    year = int(rng.choice(sorted(frame.loc[frame[name].notna(), "year"].unique())[1:]))
    before = frame[frame["year"] == year - 1].set_index(world.unit)[name]
    hit = (frame["year"] == year) & frame[world.unit].isin(before.dropna().index) & frame[name].notna()
    hit &= rng.random(len(frame)) < rng.uniform(0.7, 1.0)
    usual = _equal_share(world, name)
    frame.loc[hit, name] = frame.loc[hit, world.unit].map(before)
    return Fault(_rows(world, hit), ("stale",), name, usual < 0.12)


def _equal_share(world: World, name: str) -> float:
    """How often a value of 20 or more is that of the year before, without any fault."""
    wide = world.frame.pivot(index=world.unit, columns="year", values=name).to_numpy()
    return float((wide[:, 1:] == wide[:, :-1])[wide[:, 1:] >= 20].mean())


def stale_group(world: World, rng: Generator) -> Fault:
    """All units of one 시·도 copied from the year before."""
    name, frame = _size(world, rng), world.frame
    year = int(rng.choice(sorted(frame.loc[frame[name].notna(), "year"].unique())[1:]))
    before = frame[frame["year"] == year - 1].set_index(world.unit)[name].dropna()
    able = (frame["year"] == year) & frame[world.unit].isin(before.index) & frame[name].notna()
    large = frame[able & (frame[name] >= 20)].groupby("sido").size()
    group = str(rng.choice(large.index[large >= 6])) if (large >= 6).any() else str(large.idxmax())
    hit = able & (frame["sido"] == group)
    usual = _equal_share(world, name)
    frame.loc[hit, name] = frame.loc[hit, world.unit].map(before)
    # all of them equal by accident must be out of the question
    return Fault(
        _rows(world, hit), ("stale",), name, bool(max(usual, 0.01) ** large[group] < 1e-7 and usual < 0.1)
    )


# -- rows in each other's place ---------------------------------------------------------------------------


def swap(world: World, rng: Generator) -> Fault:
    """Two units (neighbours in the file or of one 시·도) hold each other's values in one year, in one or all columns."""
    frame, year = world.frame, _inner_year(world, rng)
    there = frame[frame["year"] == year].reset_index()
    group = there[there["sido"] == rng.choice(there["sido"].unique())]
    if len(group) < 2 or world.kind == "firms" or rng.random() < 0.3:
        group = there
        first = int(rng.integers(0, len(there) - 1))
        second = first + 1
    else:
        first, second = rng.choice(len(group), 2, replace=False)
    a, b = int(group.iloc[first]["index"]), int(group.iloc[second]["index"])
    columns = _columns(world, rng)
    clear = False
    for name in [c for c in columns if c in world.noise]:
        if np.isfinite(frame.loc[[a, b], name]).all() and (frame.loc[[a, b], name] > 0).all():
            apart = abs(np.log(frame.loc[a, name] / frame.loc[b, name]))
            small = frame.loc[[a, b], name].min()
            clear |= apart >= CLEAR * max(_own(world, a, name), _own(world, b, name), 1 / np.sqrt(small))
    clear &= _beside(world, a) and _beside(world, b)
    frame.loc[[a, b], columns] = frame.loc[[b, a], columns].to_numpy()
    return Fault({int(frame.loc[a, "source_row"]), int(frame.loc[b, "source_row"])}, ("swapped",), "", clear)


def shift(world: World, rng: Generator) -> Fault:
    """A block of 5–9 units holds in one year the values of the unit above; the first holds those of the last."""
    frame, year = world.frame, _inner_year(world, rng)
    there = frame.index[frame["year"] == year].to_numpy()
    length = int(rng.integers(5, 10))
    start = int(rng.integers(0, len(there) - length))
    block = there[start : start + length]
    columns = _columns(world, rng)
    strong = 0
    for name in [c for c in columns if c in world.noise]:
        x = frame.loc[block, name].to_numpy(dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.abs(np.log(x[1:] / x[:-1]))
            limit = [
                CLEAR * max(_own(world, i, name), 1 / np.sqrt(max(v, 1)))
                for i, v in zip(block[1:], x[1:], strict=True)
            ]
            own = sum(
                bool(d > m) and _beside(world, i) for d, m, i in zip(apart, limit, block[1:], strict=True)
            )
        strong = max(strong, own if own >= 0.6 * (length - 1) else 0)
    frame.loc[block, columns] = frame.loc[np.roll(block, 1), columns].to_numpy()
    return Fault(_rows(world, frame.index.isin(block)), ("shifted", "swapped"), "", strong >= 4)


def _columns(world: World, rng: Generator) -> list[str]:
    """One column that is no part of a sum that would tell it too, or the whole row."""
    alone = ["population", "nps_members", "grdp_mkrw"] if world.kind == "regions" else ["sales_mkrw"]
    whole = [*world.noise] if world.kind == "regions" else ["workers", "men", "women", "sales_mkrw"]
    return [str(rng.choice(alone))] if rng.random() < 0.5 else whole


def _own(world: World, row: int, name: str) -> float:
    """The column's typical yearly change, or half of the unit's own widest one where that is more, in log points."""
    frame = world.frame
    mine = frame.loc[frame[world.unit] == frame.loc[row, world.unit], name].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = np.abs(np.diff(np.log(mine)))
    changes = changes[np.isfinite(changes)]
    return max(world.noise[name], float(changes.max()) / 2 if len(changes) else 0.0)


def _beside(world: World, row: int) -> bool:
    """Whether the unit is observed in the years before and after: otherwise it has no years of its own."""
    frame = world.frame
    mine = set(frame.loc[frame[world.unit] == frame.loc[row, world.unit], "year"])
    year = int(frame.loc[row, "year"])
    return {year - 1, year + 1} <= mine


def names_swapped(world: World, rng: Generator) -> Fault:
    """Two names change places while the codes stay, in one year or in all."""
    frame = world.frame
    one, two = rng.choice(frame["code"].unique(), 2, replace=False)
    years = frame["year"] == _inner_year(world, rng) if rng.random() < 0.5 else frame["year"] > 0
    a, b = (frame["code"] == one) & years, (frame["code"] == two) & years
    first, second = (
        frame.loc[frame["code"] == one, "sigungu"].iloc[0],
        frame.loc[frame["code"] == two, "sigungu"].iloc[0],
    )
    frame.loc[a, "sigungu"], frame.loc[b, "sigungu"] = second, first
    return Fault(
        _rows(world, a | b),
        ("name_contradicts_code",),
        "sigungu",
        first != second and bool(a.any() or b.any()),
    )


# -- rows too many or too few -----------------------------------------------------------------------------


def city_and_districts(world: World, rng: Generator) -> Fault:
    """Cities beside rows of their own 구, by code."""
    table = municipalities(2018)
    cities = [c for c in world.frame["code"].unique() if ((table["code"].str[:4] == c[:4]) & (table["code"] != c)).any()
              and table.loc[table["code"].str[:4] == c[:4], "sigungu"].str.contains("시.+구").any()]  # fmt: skip
    if not cities:
        return Fault(set(), ("counted_twice",), "", False)
    city = str(rng.choice(cities))
    parts = table[(table["code"].str[:4] == city[:4]) & (table["code"] != city)]
    return _add_parts(world, rng, city, parts["code"].tolist(), parts["sigungu"].tolist())


def sum_without_codes(world: World, rng: Generator) -> Fault:
    """A unit beside its parts, with labels that say nothing."""
    world.frame["code"] = "지역" + pd.Series(pd.factorize(world.frame["code"])[0]).astype(str).to_numpy()
    world.frame["sigungu"] = world.frame["code"]
    unit = str(rng.choice(world.frame["code"].unique()))
    k = int(rng.integers(2, 6))
    return _add_parts(world, rng, unit, [f"{unit}-{j}" for j in range(k)], [f"{unit}-{j}" for j in range(k)])


def _add_parts(world: World, rng: Generator, unit: str, codes: list[str], names: list[str]) -> Fault:
    """Rows of parts after their whole, adding up to it in every count and amount."""
    frame = world.frame
    own = frame[frame["code"] == unit]
    shares = rng.dirichlet(np.full(len(codes), 8.0))
    parts = []
    for j, (code, name) in enumerate(zip(codes, names, strict=True)):
        part = own.copy()
        part["code"], part["sigungu"] = code, name
        for column in (*world.counts, "grdp_mkrw", "export_kusd"):
            cut = np.round(own[column] * shares[j])
            part[column] = cut if j < len(codes) - 1 else own[column] - sum(p[column] for p in parts)
        part["biz_total"] = part["biz_corp"] + part["biz_indiv"]
        parts.append(part)
    at = int(np.flatnonzero(frame["code"] == unit)[-1]) + 1
    world.frame = pd.concat([frame.iloc[:at], *parts, frame.iloc[at:]], ignore_index=True)
    world.frame["source_row"] = np.arange(len(world.frame)) + 2
    return Fault(_rows(world, world.frame["code"] == unit), ("counted_twice",))


def duplicates(world: World, rng: Generator) -> Fault:
    """A few rows stand twice, or twice with other values."""
    frame = world.frame
    again = frame.sample(int(rng.integers(1, 6)), random_state=int(rng.integers(1 << 30)))
    if rng.random() < 0.5:
        again = again.assign(**{world.counts[0]: again[world.counts[0]] + 7})
    world.frame = pd.concat([frame, again], ignore_index=True)
    world.frame["source_row"] = np.arange(len(world.frame)) + 2
    both = world.frame.duplicated([world.unit, "year"], keep=False)
    return Fault(_rows(world, both), ("duplicates",))


def period_missing(world: World, rng: Generator) -> Fault:
    """A whole year is not there."""
    world.frame = world.frame[world.frame["year"] != _inner_year(world, rng)].reset_index(drop=True)
    return Fault(set(), ("missing_period",), "", world.frame["year"].nunique() >= 4)


def churn(world: World, rng: Generator) -> Fault:
    """From one year on a fifth to two fifths of the units have other codes."""
    frame, year = world.frame, _inner_year(world, rng)
    units = frame[world.unit].unique()
    moved = rng.choice(units, max(6, int(rng.uniform(0.25, 0.4) * len(units))), replace=False)
    hit = frame[world.unit].isin(moved) & (frame["year"] >= year)
    frame.loc[hit, world.unit] = "Z" + frame.loc[hit, world.unit]
    edge = frame["year"].isin([year - 1, year])
    old = frame[world.unit].isin(moved) & (frame["year"] == year - 1)
    return Fault(_rows(world, (hit & edge) | old), ("churn",))


def gaps(world: World, rng: Generator) -> Fault:
    """A few units are absent for one year."""
    frame, year = world.frame, _inner_year(world, rng)
    units = rng.choice(frame[world.unit].unique(), 3, replace=False)
    there = frame[frame[world.unit].isin(units)].groupby(world.unit)["year"].agg(["min", "max"])
    able = bool(((there["min"] < year) & (there["max"] > year)).any())
    hit = frame[world.unit].isin(units) & (frame["year"] == year)
    world.frame = frame[~hit].reset_index(drop=True)
    return Fault(set(), ("gap",), "", able)


def missing_by_group(world: World, rng: Generator) -> Fault:
    """One group lacks 40–70 % of its values."""
    frame, name = world.frame, _size(world, rng)
    column = world.groups[-1]
    sizes = frame.groupby(column)[world.unit].nunique()
    sizes = sizes[sizes >= 8]
    if len(sizes) < 2:
        return Fault(set(), ("missing_by_group",), name, False)
    hit = (frame[column] == rng.choice(sizes.index)) & (rng.random(len(frame)) < rng.uniform(0.4, 0.7))
    frame.loc[hit, name] = np.nan
    return Fault(_rows(world, hit), ("missing_by_group",), name)


# -- single cells ------------------------------------------------------------------------------------------


def typing(world: World, rng: Generator) -> Fault:
    """One value with digits too many or too few."""
    name = _size(world, rng)
    frame, year = world.frame, _inner_year(world, rng, name)
    large = frame.index[(frame["year"] == year) & (frame[name] >= 100)]
    row = int(rng.choice(large))
    factor = float(rng.choice([0.01, 10.0, 100.0, 1000.0]))
    clear = abs(np.log(factor)) >= 1.5 * CLEAR * _own(world, row, name) and _beside(world, row)
    clear &= _observed(world, row, name)
    frame.loc[row, name] = np.round(frame.loc[row, name] * factor)
    return Fault({int(frame.loc[row, "source_row"])}, ("outlier", "sums"), "", clear)


def _observed(world: World, row: int, name: str) -> bool:
    frame = world.frame
    mine = frame[frame[world.unit] == frame.loc[row, world.unit]].set_index("year")[name]
    year = int(frame.loc[row, "year"])
    return bool(np.isfinite(mine.get(year - 1, np.nan)) and np.isfinite(mine.get(year + 1, np.nan)))


def thousandfold_units(world: World, rng: Generator) -> Fault:
    """Some units of one year in another unit of measure."""
    name = "grdp_mkrw" if world.kind == "regions" else "sales_mkrw"
    frame, year = world.frame, _inner_year(world, rng, name)
    able = list(frame.index[(frame["year"] == year) & (frame[name] > 0)])
    rows = [int(i) for i in rng.choice(able, min(12, len(able)), replace=False)]
    seen = sum(_observed(world, i, name) for i in rows)
    frame.loc[rows, name] *= 1000.0
    return Fault(_rows(world, frame.index.isin(rows)), ("scaled_period", "outlier"), name, seen >= 3)


def broken_sum(world: World, rng: Generator) -> Fault:
    """A total that was not brought up to date in a few rows."""
    name = "biz_total" if world.kind == "regions" else "workers"
    rows = rng.choice(world.frame.index, int(rng.integers(1, 9)), replace=False)
    world.frame.loc[rows, name] += np.round(rng.uniform(3, 30, len(rows)))
    return Fault(_rows(world, world.frame.index.isin(rows)), ("sums",), name)


def negative(world: World, rng: Generator) -> Fault:
    """A few counts below zero."""
    name = _count(world, rng)
    rows = rng.choice(world.frame.index, int(rng.integers(1, 4)), replace=False)
    world.frame.loc[rows, name] *= -1
    return Fault(_rows(world, world.frame.index.isin(rows)), ("negative", "sums"))


def share_above(world: World, rng: Generator) -> Fault:
    """A few shares above their bound."""
    name, factor = ("emp_rate", 10.0) if world.kind == "regions" else ("rd_share", 100.0)
    able = world.frame.index[world.frame[name] > 0.02]
    rows = rng.choice(able, int(rng.integers(1, 4)), replace=False)
    world.frame.loc[rows, name] *= factor
    return Fault(_rows(world, world.frame.index.isin(rows)), ("share_range", "outlier"), name)


def fractions(world: World, rng: Generator) -> Fault:
    """A few counts with a decimal point too many."""
    name = _count(world, rng)
    rows = rng.choice(world.frame.index, int(rng.integers(1, 4)), replace=False)
    world.frame.loc[rows, name] = world.frame.loc[rows, name] + 0.5
    return Fault(_rows(world, world.frame.index.isin(rows)), ("fractions", "sums"))


def future(world: World, rng: Generator) -> Fault:
    """A few dates that have not come."""
    rows = rng.choice(world.frame.index, 2, replace=False)
    world.frame.loc[rows, "joined"] = pd.Timestamp("2203-05-01")
    return Fault(_rows(world, world.frame.index.isin(rows)), ("future",), "joined")


# -- columns that are not what they say -------------------------------------------------------------------


def rate_as_index(world: World, rng: Generator) -> Fault:
    """The index column holds yearly changes in per cent."""
    frame = world.frame
    before = frame.groupby("code")["cpi_2020"].shift(1)
    frame["cpi_2020"] = np.round(100 * (frame["cpi_2020"] / before - 1), 2)
    return Fault(set(), ("rate_as_index",), "cpi_2020")


def growth_as_level(world: World, rng: Generator) -> Fault:
    """A count's column holds yearly changes in per cent."""
    frame, name = world.frame, _count(world, rng)
    before = frame.groupby(world.unit)[name].shift(1)
    frame[name] = np.round(100 * (frame[name] / before - 1), 2)
    share = float((frame[name] < 0).mean())
    return Fault(set(), ("rate_as_level",), name, share > 0.03)


FAULTS: dict[str, tuple[str, tuple[str, ...], Plant]] = {
    "doubled": ("one period doubled", ("regions", "firms"), times(2.0)),
    "halved": ("one period halved", ("regions", "firms"), times(0.5)),
    "thousand": ("one period × 1,000", ("regions", "firms"), times(1000.0)),
    "million": ("one period ÷ 1,000,000", ("regions", "firms"), times(1e-6)),
    "unit_change": ("unit of measure changes for good", ("regions", "firms"), unit_change),
    "definition": ("definition changes for good", ("regions", "firms"), definition),
    "stale": ("period copied from the one before", ("regions", "firms"), stale),
    "stale_group": ("one 시·도 copied from the period before", ("regions", "firms"), stale_group),
    "swap": ("two units swapped in one period", ("regions", "firms"), swap),
    "shift": ("block of units shifted by one row", ("regions", "firms"), shift),
    "names": ("names swapped, codes right", ("regions",), names_swapped),
    "city": ("city beside its districts, by code", ("regions",), city_and_districts),
    "sum_row": ("unit beside its parts, no codes", ("regions",), sum_without_codes),
    "duplicates": ("rows twice", ("regions", "firms"), duplicates),
    "period": ("a period missing", ("regions", "firms"), period_missing),
    "churn": ("sudden change in the set of units", ("regions", "firms"), churn),
    "gaps": ("units absent for one period", ("regions",), gaps),
    "missing": ("missing values in one group", ("regions", "firms"), missing_by_group),
    "typing": ("one value with digits too many or few", ("regions", "firms"), typing),
    "units_thousand": ("some units of one period × 1,000", ("regions", "firms"), thousandfold_units),
    "sums": ("total not the sum of its parts", ("regions", "firms"), broken_sum),
    "negative": ("negative counts", ("regions", "firms"), negative),
    "share": ("shares above 1 or 100", ("regions", "firms"), share_above),
    "fractions": ("fractions in counts", ("regions", "firms"), fractions),
    "future": ("dates to come", ("firms",), future),
    "index": ("an index that is a rate", ("regions",), rate_as_index),
    "growth": ("a level that is a growth rate", ("regions", "firms"), growth_as_level),
}  # fmt: skip
"""Every fault: its words, the worlds that it is planted in, and how."""


def audited(world: World) -> tuple[Finding, ...]:
    """The findings on a world, as a user calls it."""
    dates = ("joined",) if "joined" in world.frame else ()
    return audit_frame(
        world.frame, world.unit, "year", world.values, groups=world.groups, names=world.names, dates=dates,
        sensitive=world.kind == "firms",
    )  # fmt: skip


def clean(rng: Generator, kind: str) -> tuple[World, tuple[Finding, ...]]:
    """A clean world and what the audit says about it."""
    world = draw(rng, kind)
    world.frame["source_row"] = np.arange(len(world.frame)) + 2
    return world, audited(world)


def corrupted(rng: Generator, kind: str, fault: str) -> tuple[World, Fault, tuple[Finding, ...]]:
    """A world with one fault, and what the audit says about it."""
    world = draw(rng, kind)
    world.frame["source_row"] = np.arange(len(world.frame)) + 2
    planted = FAULTS[fault][2](world, rng)
    return world, planted, audited(world)


def tells(finding: Finding, fault: Fault) -> bool:
    """Whether a finding tells the fault: the right check and column, and half of the rows that it shows are the planted ones."""
    if finding.check not in fault.checks or finding.severity == "hint":
        return False
    if fault.variable and finding.variable not in ("", fault.variable):
        return False
    if not fault.rows:
        return True
    shown = [row.source_row for row in finding.rows]
    return bool(shown) and sum(row in fault.rows for row in shown) >= 0.5 * len(shown)
