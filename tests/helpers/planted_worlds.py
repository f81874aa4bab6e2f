"""Clean panels with what real ones have: size, growth, common shocks, plants that open and close, entry and exit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from evalkit.ingest.regions import municipalities, sido_of

Generator = np.random.Generator


@dataclass
class World:
    """A clean long table and what its columns are; `noise` is the typical yearly change of a unit in log points."""

    kind: str
    frame: pd.DataFrame
    unit: str
    values: list[str]
    counts: list[str]
    noise: dict[str, float]
    groups: tuple[str, ...]
    names: tuple[str, ...] = ()
    years: list[int] = field(default_factory=list)


def _common(rng: Generator, t: int) -> np.ndarray:
    """Growth of all units, with a shock that comes back, wholly or by half, in half of the worlds  # (T,)"""
    steps = rng.normal(rng.uniform(-0.01, 0.05), 0.012, t)
    if rng.random() < 0.5 and t >= 5:
        at, size = int(rng.integers(1, t - 1)), float(rng.uniform(-0.35, -0.08))
        steps[at] += size
        steps[at + 1] -= size * float(rng.uniform(0.5, 1.0))
    return np.cumsum(steps)


def _paths(
    rng: Generator, start: np.ndarray, t: int, noise: float, heavy: bool, exposure: float = 0.3
) -> np.ndarray:
    """Log paths: common growth with unequal exposure, own trends, own shocks and a few real level shifts  # (N, T)"""
    n = len(start)
    common = _common(rng, t) * (1 + exposure * rng.normal(size=(n, 1)))
    trend = rng.normal(0, 0.3 * noise, (n, 1)) * np.arange(t)
    shocks = rng.standard_t(3, (n, t)) / np.sqrt(3) if heavy else rng.normal(size=(n, t))
    small = np.exp(-0.15 * (start - start.mean()))[:, None]
    own = np.cumsum(noise * small * shocks, axis=1)
    moved = rng.random((n, t)) < 0.004  # a new town, a plant that closes
    shift = np.cumsum(np.where(moved, rng.normal(0, 0.35, (n, t)), 0.0), axis=1)
    return start[:, None] + common + trend + own + shift


def regions(rng: Generator) -> World:
    """시·군·구 × year, real codes and names, 5–18 years."""
    table = municipalities(2018, level="city")
    n = int(rng.choice([60, 110, 160, 229]))
    first = int(rng.integers(0, len(table) - n + 1))
    table = table.iloc[first : first + n]
    t = int(rng.integers(5, 19))
    years = list(range(2024 - t + 1, 2025))
    size = rng.normal(11.5, 1.0, n)
    people = _paths(rng, size, t, 0.012, False)
    corporations = people[:, :1] + rng.normal(-4.2, 0.3, (n, 1)) + _paths(rng, np.zeros(n), t, 0.025, False)
    persons = people + rng.normal(-2.3, 0.2, (n, 1)) + _paths(rng, np.zeros(n), t, 0.018, False)
    members = people[:, :1] + rng.normal(-1.6, 0.5, (n, 1)) + _paths(rng, np.zeros(n), t, 0.03, False)
    product = people + rng.normal(3.3, 0.4, (n, 1)) + _paths(rng, np.zeros(n), t, 0.035, False)
    exports = rng.normal(11, 2.0, (n, 1)) + _paths(rng, np.zeros(n), t, 0.18, True)
    rate = 60 + rng.normal(0, 3, (n, 1)) + np.cumsum(rng.normal(0, 0.5, (n, t)), axis=1)
    prices = np.exp(np.cumsum(rng.normal(0.02, 0.008, t)) + rng.normal(0, 0.003, (n, t)).cumsum(axis=1))
    base = years.index(2020)
    wide = {
        "population": np.round(np.exp(people)),
        "biz_corp": np.round(np.exp(corporations)),
        "biz_indiv": np.round(np.exp(persons)),
        "nps_members": np.round(np.exp(members)),
        "grdp_mkrw": np.round(np.exp(product)),
        "export_kusd": np.round(np.exp(exports)),
        "emp_rate": np.round(rate, 1),
        "cpi_2020": np.round(100 * prices / prices[:, base : base + 1], 3),
    }
    wide["biz_total"] = wide["biz_corp"] + wide["biz_indiv"]
    frame = pd.DataFrame(
        {"code": np.repeat(table["code"].to_numpy(), t), "sido": np.repeat(sido_of(table["code"]), t),
         "sigungu": np.repeat(table["sigungu"].to_numpy(), t), "year": np.tile(years, n)}
        | {name: x.ravel() for name, x in wide.items()}
    )  # fmt: skip
    if rng.random() < 0.4:  # some series begin later or are kept by some 시·도 only
        frame.loc[frame["year"] < years[int(rng.integers(1, t - 2))], "grdp_mkrw"] = np.nan
    frame = frame[~_entries(rng, n, t, 0.01).ravel()]
    frame = frame.reset_index(drop=True)
    noise = {"population": 0.012, "biz_corp": 0.025, "biz_indiv": 0.022, "nps_members": 0.03, "grdp_mkrw": 0.037,
             "export_kusd": 0.18, "biz_total": 0.02}  # fmt: skip
    values = [
        "population",
        "biz_total",
        "biz_corp",
        "biz_indiv",
        "nps_members",
        "grdp_mkrw",
        "export_kusd",
        "emp_rate",
        "cpi_2020",
    ]
    counts = ["population", "biz_corp", "biz_indiv", "nps_members"]
    return World("regions", frame, "code", values, counts, noise, ("sido",), ("sido", "sigungu"), years)


def firms(rng: Generator) -> World:
    """Firms × year: skewed sizes, heavy tails, entry and exit of about a tenth a year, some rounding, missing sales."""
    n, t = int(rng.choice([200, 500, 1200, 2500])), int(rng.integers(4, 11))
    years = list(range(2024 - t + 1, 2025))
    noise = float(rng.uniform(0.06, 0.15))
    workers = _paths(rng, rng.normal(2.8, 1.2, n), t, noise, True)
    sales = workers + rng.normal(5.0, 0.7, (n, 1)) + _paths(rng, np.zeros(n), t, 1.3 * noise, True)
    workers = np.clip(workers, 0, 10)
    people = np.maximum(np.round(np.exp(workers)), 1)
    women = rng.binomial(people.astype(int), rng.beta(2, 4, (n, 1)))
    money = np.round(np.exp(sales))
    rounds = rng.random((n, 1)) < 0.15
    money = np.where(rounds & (money > 1000), np.round(money, -2), money)
    group = rng.choice(["부산", "대구", "광주", "대전", "충북", "전남", "경남", "제주"], n)
    treated = (rng.random(n) < 0.25).astype(int)
    frame = pd.DataFrame(
        {"firm_id": np.repeat([f"F{i:05d}" for i in range(n)], t), "sido": np.repeat(group, t),
         "treated": np.repeat(treated, t).astype(str), "year": np.tile(years, n), "workers": people.ravel(),
         "men": (people - women).ravel(), "women": women.ravel().astype(float), "sales_mkrw": money.ravel(),
         "rd_share": np.round(np.clip(rng.beta(1.5, 20, (n, 1)) + rng.normal(0, 0.005, (n, t)), 0, 1), 3).ravel()}
    )  # fmt: skip
    frame.loc[rng.random(len(frame)) < 0.05, "sales_mkrw"] = np.nan
    frame = frame[~_entries(rng, n, t, 0.08).ravel()].reset_index(drop=True)
    joined = pd.to_datetime("2000-01-01") + pd.to_timedelta(rng.integers(0, 4000, n), unit="D")
    dates = {f"F{i:05d}": day for i, day in enumerate(joined)}
    frame["joined"] = frame["firm_id"].map(dates)
    values = ["workers", "men", "women", "sales_mkrw", "rd_share"]
    return World("firms", frame, "firm_id", values, ["workers"], {"workers": noise, "sales_mkrw": 1.6 * noise},
                 ("sido", "treated"), (), years)  # fmt: skip


def _entries(rng: Generator, n: int, t: int, rate: float) -> np.ndarray:
    """Cells before a unit's entry or after its exit  # (N, T)"""
    entry = np.where(rng.random(n) < rate * t / 2, rng.integers(0, t, n), 0)
    leave = np.where(rng.random(n) < rate * t / 2, rng.integers(1, t + 1, n), t)
    position = np.arange(t)
    gone = (position < entry[:, None]) | (position >= leave[:, None])
    gone[gone.all(axis=1)] = False
    return gone


def draw(rng: Generator, kind: str) -> World:
    """A world of a kind."""
    return regions(rng) if kind == "regions" else firms(rng)
