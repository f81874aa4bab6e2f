"""A world of provinces × industries × years for a programme that picks industries in some provinces; the truth is known.

Cell p × k (17 시·도, 15 divisions of KSIC 10), year t = 2012 … 2024. Everything here is invented but the five 시·도 and
their published 특화산업; which division each means is our reading.

- jobs         log y_pkt(0) = a_pk + λ_pt + μ_kt + ε_pkt;  λ AR(.8) sd .02 and a trend of each province; μ a random walk (sd
  .02) with COVID by industry in 2020–21; ε AR(.6), sd .02. Provinces that get the programme have the better trend (.006 a
  year): totals of treated and other provinces do not run in parallel, gaps between their industries do
- SW융합클러스터 2.0   target cells of five provinces from 2019 on: log effect .04, .07, .09, .10, .10, .10. A fixed share of
  the added workers (a half) comes from the other industries of the province, in proportion to their size; the rest is new
- 국가혁신클러스터   in 14 provinces at the same time (from 2019) one industry each, from other divisions: log effect .05
- workplaces   jobs / 14 with shocks of their own and .6 of the effects
- 전국사업체조사   workers, establishments and sales of another survey: from 2020 on it counts others as well, by a factor of
  each cell of its own (mean 1.25), so that 2019 and 2020 cannot be compared

What identifies the effect: gaps between industries are parallel between provinces. The triple difference finds the effect
on a target industry *relative* to the industries it is compared with; where these are losers of the reallocation it exceeds
what the province gained. `IndustriesTruth` holds both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import ParameterError, UsageError
from evalkit.ingest.regions import CAPITAL, PROVINCES

Floats = NDArray[np.float64]
YEARS = np.arange(2012, 2025)
SIDO: tuple[str, ...] = (*CAPITAL, *PROVINCES)
SECTORS: tuple[str, ...] = (
    "10", "20", "21", "23", "26", "27", "28", "29", "30", "31", "46", "52", "62", "85", "86",
)  # fmt: skip
REFERENCE: tuple[str, ...] = ("10", "23", "46", "85", "86")
"""Divisions that are nobody's target."""

START = 2019
TARGETS: dict[str, tuple[str, str]] = {
    "인천": ("21", "바이오정보 라이프로그"),
    "부산": ("52", "스마트 물류"),
    "울산": ("31", "조선해양 자율운항·친환경 선박"),
    "경남": ("29", "지식진화형 기계설비"),
    "충남": ("26", "SW융합 디스플레이"),
}
"""시·도 -> division (our reading) and 특화산업 as published."""

PATH = (0.04, 0.07, 0.09, 0.10, 0.10, 0.10)
REALLOCATED = 0.5
CONCURRENT = ("20", "27", "28", "30", "62")
CONCURRENT_EFFECT = 0.05
WORKPLACE_SHARE = 0.6
_SIZE = {"서울": 900, "경기": 1000, "인천": 260, "부산": 260, "대구": 180, "광주": 110, "대전": 120, "울산": 130, "세종": 25,
         "강원": 90, "충북": 140, "충남": 180, "전북": 110, "전남": 110, "경북": 190, "경남": 260, "제주": 45}  # fmt: skip
"""Thousand workers of all divisions here, invented."""

NOTICE = "모의자료_안내.txt"


@dataclass(frozen=True, slots=True, eq=False)
class IndustriesTruth:
    """Effects as differences of potential outcomes.

    Attributes
    ----------
    cells : one row a target cell and event time: ``direct`` (log effect on jobs), ``relative`` (log effect on jobs over the
        geometric mean of the reference industries of the province), ``workplaces`` (relative, of workplaces), persons
    provinces : one row a treated province and event time: ``net`` (log effect on all jobs of the province), persons
    """

    cells: pd.DataFrame
    provinces: pd.DataFrame

    def mean(self, what: str, horizon: int = 2) -> float:
        """Mean over event times 0..horizon of a column, over cells (or provinces for "net"), in log points."""
        table = self.provinces if what == "net" else self.cells
        if what not in table.columns:
            raise UsageError(
                f"모의 세계에 참값 {what!r} 이(가) 없음", remedy="direct, relative, workplaces, net"
            )
        inside = table[(table["event_time"] >= 0) & (table["event_time"] <= horizon)]
        return float(inside[what].mean())


@dataclass(frozen=True, slots=True, eq=False)
class IndustriesWorld:
    """Arrays of provinces × industries × years (17, 15, 13), and the truth."""

    seed: int
    effect: float
    jobs: Floats
    workplaces: Floats
    employees: Floats
    establishments: Floats
    sales: Floats
    concurrent: dict[str, str]
    truth: IndustriesTruth


def industries_world(seed: int, *, effect: float = 1.0) -> IndustriesWorld:
    """Draw a world.

    Parameters
    ----------
    seed : the same seed gives the same world
    effect : factor on the effects of the programme; 0 = a world in which it did nothing

    Raises
    ------
    ParameterError : a seed below zero
    """
    if seed < 0:
        raise ParameterError(f"씨앗 {seed} 이(가) 0 보다 작음", remedy="0 이상의 정수로 적을 것")
    rng = np.random.default_rng([seed, 590])
    size, untreated = _untreated(rng)
    nic = _concurrent(rng)
    on = np.clip(YEARS - START, 0, None)
    later = np.zeros(untreated.shape)
    for name, sector in nic.items():
        later[SIDO.index(name), SECTORS.index(sector)] = CONCURRENT_EFFECT * (YEARS >= START)
    untreated = untreated + later
    lift = np.zeros(untreated.shape)
    for name, (sector, _) in TARGETS.items():
        path = effect * np.array(PATH)[on] * (YEARS >= START)
        lift[SIDO.index(name), SECTORS.index(sector)] = path
    jobs0 = np.exp(untreated)
    jobs1 = _reallocated(jobs0, lift)
    own = _ar(rng, untreated.shape, 0.6, 0.02)
    places0 = np.exp(np.log(jobs0 / 14.0) + own)
    places1 = places0 * np.exp(WORKPLACE_SHARE * (np.log(jobs1) - np.log(jobs0)))
    broken = np.exp(rng.normal(np.log(1.25), 0.12, size=size.shape))[:, :, None] * (YEARS >= 2020) + (
        YEARS < 2020
    )
    noise = _ar(rng, untreated.shape, 0.5, 0.02)
    rounded = np.maximum(np.round(jobs1), 1.0)
    return IndustriesWorld(
        seed=seed,
        effect=effect,
        jobs=rounded,
        workplaces=np.maximum(np.round(places1), 1.0),
        employees=np.round(1.3 * jobs1 * broken * np.exp(noise)),
        establishments=np.maximum(np.round(2.2 * places1 * broken), 1.0),
        sales=np.round(180.0 * jobs1 * broken * np.exp(noise)),
        concurrent=nic,
        truth=_truth(jobs0, jobs1, places0, places1),
    )


def _ar(rng: np.random.Generator, shape: tuple[int, ...], rho: float, sd: float) -> Floats:
    """Stationary AR(1) along the last axis."""
    out = np.empty(shape)
    out[..., 0] = rng.normal(0, sd, shape[:-1])
    for t in range(1, shape[-1]):
        out[..., t] = rho * out[..., t - 1] + rng.normal(0, sd * np.sqrt(1 - rho**2), shape[:-1])
    return out


def _untreated(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Size of the cells, and log jobs without any programme  # (17, 15), (17, 15, 13)"""
    shape = (len(SIDO), len(SECTORS), len(YEARS))
    share = rng.dirichlet(np.full(len(SECTORS), 6.0), size=len(SIDO))
    total = np.array([1000.0 * _SIZE[name] for name in SIDO])
    size = np.maximum(share * total[:, None], 300.0)
    treated = np.isin(SIDO, list(TARGETS))
    since = YEARS - YEARS[0]
    province = _ar(rng, (shape[0], shape[2]), 0.8, 0.02)
    province = province + (rng.normal(0.010, 0.004, shape[0]) + 0.006 * treated)[:, None] * since
    industry = rng.normal(0, 0.02, (shape[1], shape[2])).cumsum(axis=1)
    covid = rng.normal(-0.03, 0.04, shape[1])[:, None] * np.isin(YEARS, [2020, 2021])
    cell = _ar(rng, shape, 0.6, 0.02)
    return size, np.log(size)[:, :, None] + province[:, None, :] + (industry + covid)[None] + cell


def _concurrent(rng: np.random.Generator) -> dict[str, str]:
    """The industry of the 국가혁신클러스터 in each of the 14 provinces: never one of the programme's own."""
    return {name: str(rng.choice(CONCURRENT)) for name in PROVINCES}


def _reallocated(jobs0: Floats, lift: Floats) -> Floats:
    """Jobs with the programme: what target cells gain, and what the others of the province lose of it."""
    gained = jobs0 * np.expm1(lift)
    others = np.where(lift > 0, 0.0, jobs0)
    total = others.sum(axis=1, keepdims=True)
    lost = REALLOCATED * gained.sum(axis=1, keepdims=True) * others / total
    return np.asarray(jobs0 + gained - lost)


def _truth(jobs0: Floats, jobs1: Floats, places0: Floats, places1: Floats) -> IndustriesTruth:
    rest = [SECTORS.index(sector) for sector in REFERENCE]
    change = np.log(jobs1) - np.log(jobs0)
    places = np.log(places1) - np.log(places0)
    cells, provinces = [], []
    for name, (sector, _) in TARGETS.items():
        p, k = SIDO.index(name), SECTORS.index(sector)
        for t, year in enumerate(YEARS):
            when = int(year - START)
            cells.append(
                {
                    "sido": name,
                    "sector": sector,
                    "event_time": when,
                    "direct": change[p, k, t],
                    "relative": change[p, k, t] - change[p, rest, t].mean(),
                    "workplaces": places[p, k, t] - places[p, rest, t].mean(),
                    "persons": jobs1[p, k, t] - jobs0[p, k, t],
                }
            )
            before, after = jobs0[p, :, t].sum(), jobs1[p, :, t].sum()
            provinces.append(
                {
                    "sido": name,
                    "event_time": when,
                    "net": float(np.log(after / before)),
                    "persons": after - before,
                }
            )
    return IndustriesTruth(pd.DataFrame(cells), pd.DataFrame(provinces))


# -- files ---------------------------------------------------------------------------------------------


def write_industries(
    world: IndustriesWorld, raw_folder: str | Path, truth_folder: str | Path
) -> tuple[Path, ...]:
    """The files as an evaluator would get them, and elsewhere the truth; the same world gives the same bytes.

    Raises
    ------
    UsageError : the truth would lie where the readers look
    """
    raw, truth = Path(raw_folder), Path(truth_folder)
    if truth.resolve().is_relative_to(raw.resolve()):
        raise UsageError(
            "참값 폴더가 원자료 폴더 안에 있음", where=(truth.name,), remedy="원자료 폴더 밖의 폴더를 줄 것"
        )
    summary = {
        "seed": world.seed,
        "effect": world.effect,
        "unit": "로그 (0.01 ≈ 1 %)",
        "event_times_0_2": {
            name: world.truth.mean(name) for name in ("direct", "relative", "workplaces", "net")
        },
    }
    notice = (
        "이 폴더의 파일은 evalkit 이 만든 모의 자료입니다. 수치는 모두 지어낸 것이며 실제와 무관합니다.\n"
        "다섯 시·도와 특화산업의 이름은 발표 자료의 것이고, 그것을 어느 업종코드로 읽을지는 우리의 해석입니다.\n"
    )
    return (
        _save(raw / "산업통계" / "시도_산업_2012_2024.csv", figures_file(world)),
        _save(raw / "대상산업" / "SW융합클러스터_대상산업.csv", targets_file(world)),
        _save(raw / NOTICE, notice),
        _save(truth / "truth.json", json.dumps(summary, ensure_ascii=False, indent=1) + "\n"),
        _save(truth / "cells.csv", _csv(world.truth.cells)),
        _save(truth / "provinces.csv", _csv(world.truth.provinces)),
    )


def figures_file(world: IndustriesWorld) -> str:
    """시·도 × industry × year as a statistical table: one row a cell and year."""
    p, k, t = np.indices(world.jobs.shape).reshape(3, -1)
    frame = pd.DataFrame(
        {
            "시도": np.array(SIDO)[p],
            "업종코드": np.array(SECTORS)[k],
            "연도": YEARS[t],
            "상시근로자수": world.jobs.ravel().astype(int),
            "사업장수": world.workplaces.ravel().astype(int),
            "종사자수": world.employees.ravel().astype(int),
            "사업체수": world.establishments.ravel().astype(int),
            "매출액(백만원)": world.sales.ravel().astype(int),
        }
    )
    return _csv(frame)


def targets_file(world: IndustriesWorld) -> str:
    """Target industries of the five, and those of the programme that runs at the same time."""
    rows = [
        (name, sector, START, "대상", words, "특화산업의 이름은 발표 자료, 업종코드는 우리의 해석")
        for name, (sector, words) in TARGETS.items()
    ]
    rows += [
        (name, sector, START, "동시사업", "모의 대표산업(국가혁신클러스터)", "모의값")
        for name, sector in world.concurrent.items()
    ]
    return _csv(pd.DataFrame(rows, columns=["시도", "업종코드", "시작연도", "구분", "특화산업", "출처"]))


def _csv(frame: pd.DataFrame) -> str:
    held = StringIO()
    frame.to_csv(held, index=False, float_format="%.10g", lineterminator="\n")
    return held.getvalue()


def _save(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(text.encode("utf-8"))
    draft.replace(path)
    return path


__all__ = [
    "IndustriesTruth",
    "IndustriesWorld",
    "figures_file",
    "industries_world",
    "targets_file",
    "write_industries",
]
