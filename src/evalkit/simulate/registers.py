"""Administrative files: 고용보험, 국민연금, 재무, 지정고시, 물가, as delimited text in the encodings that they come in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest import regions
from evalkit.simulate.economy import World
from evalkit.simulate.identity import Identity, addresses
from evalkit.simulate.parameters import CPI_PUBLISHED, FIRST_YEAR, SECTORS, YEARS

PENSION_COLUMNS: tuple[str, ...] = (
    "자료생성년월", " 사업장명", " 사업자등록번호", " 사업장가입상태코드 1 등록 2 탈퇴", " 우편번호", " 사업장지번상세주소",
    " 사업장도로명상세주소", " 고객법정동주소코드", " 고객행정동주소코드", " 법정동주소광역시도코드", " 법정동주소광역시시군구코드",
    " 법정동주소광역시시군구읍면동코드", " 사업장형태구분코드 1 법인 2 개인", " 사업장업종코드", " 사업장업종코드명", " 적용일자",
    " 재등록일자", " 탈퇴일자", " 가입자수", " 당월고지금액", " 신규취득자수", " 상실가입자수",
)  # fmt: skip
"""The 22 columns of the public file, leading blanks included."""

_PENSION_MONTHS = {2019: 11, 2022: 10, 2024: 9}  # the snapshot is not always that of December
_KSIC = np.array([s.ksic for s in SECTORS], dtype=object)
_KSIC_NAMES = np.array([s.name for s in SECTORS], dtype=object)
_ZONE_DATES = {1: "2018-11-06", 2: "2021-01-01", 3: "2023-01-01"}


def _text(header: Sequence[str], rows: Iterable[Sequence[Any]], encoding: str, separator: str = ",") -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue().encode(encoding)


def insurance_file(world: World, who: Identity, year: int) -> tuple[str, bytes]:
    """고용·산재보험 가입 현황 at the end of a year: every firm that is there; 2 % of the larger ones as two 사업장."""
    at = year - FIRST_YEAR
    rows = np.flatnonzero(world.alive[:, at])
    staff = world.jobs[rows, at].astype(np.int64)
    two = (rows % 50 == 7) & (staff >= 10)
    second = np.where(two, staff // 3, 0)
    columns = _insurance_columns(world, who, year, rows, staff - second)
    more = _insurance_columns(world, who, year, rows[two], second[two], label=" 제2공장")
    header = (
        "사업장명",
        "사업장주소",
        "사업자등록번호",
        "고용보험상시근로자수",
        "고용업종코드",
        "고용업종명",
        "성립일자",
    )
    encoding = "utf-8-sig" if year % 3 == 1 else "cp949"
    separator = "\t" if year in (2016, 2017, 2021) else ","
    lines = [*zip(*columns, strict=True), *zip(*more, strict=True)]
    return f"고용산재보험_가입현황_{year}1231.csv", _text(header, lines, encoding, separator)


def _insurance_columns(
    world: World, who: Identity, year: int, rows: NDArray[np.int64], staff: NDArray[np.int64], label: str = ""
) -> list[Sequence[Any]]:
    hyphens = year >= 2019
    numbers = [_hyphened(n) if hyphens else n for n in who.business_number[rows]]
    sector = world.firms.sector[rows]
    began = [f"{founded}-03-02" for founded in world.firms.founded[rows]]
    names = [f"{name}{label}" for name in who.name[rows]] if label else who.name[rows].tolist()
    street = addresses(world, who, year, rows, f"{year}-12-31").tolist()
    return [
        names,
        street,
        numbers,
        staff.tolist(),
        _KSIC[sector].tolist(),
        _KSIC_NAMES[sector].tolist(),
        began,
    ]


def _hyphened(number: str) -> str:
    return f"{number[:3]}-{number[3:5]}-{number[5:]}"


def pension_file(world: World, who: Identity, year: int) -> tuple[str, bytes]:
    """국민연금 가입 사업장 of one month: six digits of the number, region codes in force that month."""
    rng = np.random.default_rng(np.random.SeedSequence([world.seed, 17, year]))
    at = year - FIRST_YEAR
    month = f"{year}-{_PENSION_MONTHS.get(year, 12):02d}"
    rows = np.flatnonzero(world.alive[:, at])
    staff = world.jobs[rows, at]
    older = np.clip(rng.normal(0.06, 0.03, size=len(rows)), 0, 0.3)
    members = np.maximum(np.round(staff * (1 - older)), 1).astype(np.int64)
    listed = (members >= 3) & (who.corporation[rows] | (members >= 5))
    rows, members = rows[listed], members[listed]
    before = np.where(at > 0, np.nan_to_num(world.jobs[rows, at - 1]), 0)
    joined = rng.poisson(0.02 * members) + (np.maximum(staff[listed] - before, 0) / 12).astype(np.int64)
    left = rng.poisson(0.02 * members)
    codes = regions.code_at(world.geography.codes, month)[world.municipality[rows, at]].astype(object)
    town = rng.integers(101, 140, size=len(rows))
    street = addresses(world, who, year, rows, month)
    roads = [text.rsplit(" ", 1)[0] for text in street]  # addresses stop at the name of the road
    wage = 2_300_000 + 400_000 * (world.firms.productivity[rows] / 180) + 60_000 * at
    sector = world.firms.sector[rows]
    full = [f"{code}{t:03d}00" for code, t in zip(codes, town, strict=True)]
    columns: list[Sequence[Any]] = [
        [month] * len(rows), who.name[rows].tolist(), [n[:6] for n in who.business_number[rows]], [1] * len(rows),
        [f"{10000 + 37 * h % 50000:05d}" for h in who.house[rows]], roads, roads, full, full,
        [c[:2] for c in codes], [c[2:] for c in codes], town.tolist(),
        np.where(who.corporation[rows], 1, 2).tolist(), [f"{k[:2]}2201" for k in _KSIC[sector]],
        _KSIC_NAMES[sector].tolist(), [f"{f}-04-01" for f in world.firms.founded[rows]],
        ["0001-01-01"] * len(rows), ["0001-01-01"] * len(rows), members.tolist(),
        (np.round(members * wage * 0.09, -1)).astype(np.int64).tolist(), joined.tolist(), left.tolist(),
    ]  # fmt: skip
    content = _text(PENSION_COLUMNS, zip(*columns, strict=True), "cp949")
    return f"국민연금_가입사업장_{month.replace('-', '')}.csv", content


def accounts_file(world: World, who: Identity) -> tuple[str, bytes]:
    """Filed accounts in nominal 천원, one row per firm and year; firms that do not file are not there."""
    rng = np.random.default_rng(np.random.SeedSequence([world.seed, 19]))
    p = world.parameters
    firm, at = np.nonzero(world.filed)
    nominal = world.sales[firm, at] * (p.cpi()[at] / 100) * 1000
    assets = nominal * rng.uniform(0.6, 1.4, size=len(firm)) + 200_000
    street = np.empty(len(firm), dtype=object)
    for year in YEARS:
        rows = np.flatnonzero(at == year - FIRST_YEAR)
        street[rows] = addresses(world, who, int(year), firm[rows], f"{year}-12-31")
    sector = world.firms.sector[firm]
    header = (
        "기업명",
        "사업자등록번호",
        "결산연도",
        "매출액(천원)",
        "자산총계(천원)",
        "표준산업분류(10차)",
        "설립일자",
        "본사주소",
    )
    columns: list[Sequence[Any]] = [
        who.name[firm].tolist(), [_hyphened(n) for n in who.business_number[firm]], (at + FIRST_YEAR).tolist(),
        np.round(nominal).astype(np.int64).tolist(), np.round(assets).astype(np.int64).tolist(),
        _KSIC[sector].tolist(), [f"{f}-03-02" for f in world.firms.founded[firm]], street.tolist(),
    ]  # fmt: skip
    content = _text(header, zip(*columns, strict=True), "utf-8-sig")
    return f"기업재무_{YEARS[0]}-{YEARS[-1]}.csv", content


def composition_file(world: World, who: Identity) -> tuple[str, bytes]:
    """고용보험DB 맞춤형 추출: a row per firm and year, the year of closing included; a title above, a total and notes below."""
    counts = world.composition.treated
    before = np.column_stack([np.zeros(len(world.jobs)), np.nan_to_num(world.jobs[:, :-1])])
    at, firm = np.nonzero((world.alive | (before > 0)).T)
    names = ("regular", "youth", "hires", "separations")
    values = [counts[name][firm, at].astype(np.int64) for name in names]
    numbers = [
        _hyphened(n) if row % 3 else n
        for row, n in zip(firm.tolist(), who.business_number[firm].tolist(), strict=True)
    ]
    cells = [["-" if v == 0 else f"{v:,}" for v in column.tolist()] for column in values]
    header = ("연번", "기준연도", "사업자등록번호", "정규직", "청년(만 15~34세)", "취득자수", "상실자수")
    rows: list[Sequence[Any]] = [
        ("고용보험DB 맞춤형 추출 (모의 자료)", *[""] * 6),
        ("", "", "", "", "", "", "(단위: 명)"),
        header,
        *zip(range(1, len(firm) + 1), (at + FIRST_YEAR).tolist(), numbers, *cells, strict=True),
        ("", "합계", "", *(f"{column.sum():,}" for column in values)),
        (
            "※ 정규직·청년은 연말 기준, 취득자·상실자는 그해 합계임. 폐업한 해의 상실자에는 남은 근로자 모두가 들어감",
            *[""] * 6,
        ),
    ]
    return f"고용보험DB_맞춤형추출_{YEARS[0]}-{YEARS[-1]}.csv", _text(rows[0], rows[1:], "cp949")


def zone_files(world: World) -> list[tuple[str, bytes]]:
    """지정고시 of each phase (codes of its day), and distances of the municipalities of 2018."""
    g = world.geography
    designated = []
    for phase, zones in g.zones.items():
        codes = regions.code_at(g.codes[zones], _ZONE_DATES[phase])
        designated += [
            (f"{phase}단계", g.sido[z], code, f"{g.sido[z]} 가상지구 {phase}-{i}", _ZONE_DATES[phase])
            for i, (z, code) in enumerate(zip(zones, codes, strict=True), start=1)
        ]
    distances = [
        (code, f"{phase}단계", f"{km:.1f}")
        for phase, values in g.distance_km.items()
        for code, km in zip(g.codes, values, strict=True)
    ]
    return [
        (
            "국가혁신클러스터_지구.csv",
            _text(("단계", "시도", "시군구코드", "지구명", "지정일"), designated, "utf-8-sig"),
        ),
        ("시군구_지구거리.csv", _text(("시군구코드", "단계", "지구까지거리_km"), distances, "utf-8-sig")),
    ]


def price_file(world: World) -> tuple[str, bytes]:
    """소비자물가지수 2020=100: published until 2024, simulated after, and said so in each row."""
    rows = [
        (int(year), f"{index:.3f}", "통계청 소비자물가조사" if year in CPI_PUBLISHED else "모의값(공표 전)")
        for year, index in zip(YEARS, world.parameters.cpi(), strict=True)
    ]
    return "소비자물가지수.csv", _text(("연도", "지수(2020=100)", "비고"), rows, "utf-8-sig")
