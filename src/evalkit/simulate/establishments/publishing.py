"""Which establishment stands in which row of which public file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.establishments.events import there_mask
from evalkit.simulate.establishments.model import HEAD_OFFICE, NEVER, PLANT, FileRows, Firms, Places

SMALLEST_PUBLISHED = 3
"""국민연금 does not publish individuals, nor corporations with fewer members than this."""
REPEATED_ROWS = 2  # rows that stand twice in every sixth monthly file
SUPPORTED_SHARE = 0.03  # of corporations


def members_of(places: Places) -> NDArray[np.int64]:
    """Members of 국민연금: the insured below 60  # (E, T)"""
    return places.employees - np.floor(places.employees * places.older[:, None]).astype(np.int64)


def away_mask(places: Places) -> NDArray[np.bool_]:
    """Whether 국민연금 does not have an establishment between two registrations  # (E, T)"""
    at = np.arange(places.region.shape[1])[None, :]
    start = (places.again_from - places.again_gap)[:, None]
    return np.asarray(
        (at >= start) & (at < places.again_from[:, None]) & (places.again_from[:, None] != NEVER)
    )


def published_mask(firms: Firms, places: Places) -> NDArray[np.bool_]:
    """Whether 국민연금 publishes an establishment in each month  # (E, T)"""
    enough = members_of(places) >= SMALLEST_PUBLISHED
    return there_mask(places) & enough & firms.corporation[places.firm][:, None] & ~away_mask(places)


def leaving_mask(firms: Firms, places: Places) -> NDArray[np.bool_]:
    """Whether an establishment stands in a month's file as one that left: it was there the month before  # (E, T)"""
    published = published_mask(firms, places)
    gone = ~there_mask(places) | away_mask(places)
    out = np.zeros_like(published)
    out[:, 1:] = published[:, :-1] & gone[:, 1:]
    return out


def files_of(
    seed: int, firms: Firms, places: Places, calendar: NDArray[np.datetime64]
) -> tuple[FileRows, ...]:
    """Every file of the world, in the order in which they are written."""
    rng = np.random.default_rng([seed, 72])
    files = _pension(rng, firms, places, calendar)
    files += _insurance(rng, places, calendar)
    files += _factories(rng, places, calendar)
    files.append(_supported(rng, firms, places, calendar))
    return tuple(files)


def _pension(
    rng: np.random.Generator, firms: Firms, places: Places, calendar: NDArray[np.datetime64]
) -> list[FileRows]:
    published, leaving = published_mask(firms, places), leaving_mask(firms, places)
    files = []
    for at, month in enumerate(calendar):
        rows = rng.permutation(np.flatnonzero(published[:, at] | leaving[:, at]))
        if at % 6 == 4:
            rows = np.concatenate([rows, rows[:REPEATED_ROWS]])
        name = f"국민연금공단_국민연금 가입 사업장 내역_{str(month).replace('-', '')}.csv"
        files.append(FileRows("national_pension", name, at, rows, leaving[rows, at]))
    return files


def _insurance(rng: np.random.Generator, places: Places, calendar: NDArray[np.datetime64]) -> list[FileRows]:
    """Every establishment that is there in December; 2020 was published twice, the first time with rows left out."""
    there = there_mask(places)
    files = []
    for at, month in enumerate(calendar):
        year, number = str(month).split("-")
        if number != "12":
            continue
        rows = rng.permutation(np.flatnonzero(there[:, at]))
        name = f"근로복지공단_고용산재보험 가입 현황_{year}1231"
        if year == "2020":
            early = rows[rng.random(len(rows)) > 0.03]
            files.append(_whole("employment_insurance", f"{name}.csv", at, early, used=False))
            name += "_수정"
        files.append(_whole("employment_insurance", f"{name}.csv", at, rows))
    return files


def _factories(rng: np.random.Generator, places: Places, calendar: NDArray[np.datetime64]) -> list[FileRows]:
    """Plants of the last month: a national file, and one of a province with headers of its own."""
    at = len(calendar) - 1
    rows = rng.permutation(np.flatnonzero(there_mask(places)[:, at] & (places.kind == PLANT)))
    local = rng.random(len(rows)) < 0.2
    day = f"{str(calendar[-1]).replace('-', '')}28"
    return [
        _whole("factory_registration", f"한국산업단지공단_전국공장등록현황_{day}.csv", at, rows[~local]),
        _whole("factory_registration", f"지자체_공장등록현황_{day}.csv", at, rows[local]),
    ]


def _supported(
    rng: np.random.Generator, firms: Firms, places: Places, calendar: NDArray[np.datetime64]
) -> FileRows:
    """Head offices of supported corporations at the beginning of the window."""
    heads = np.flatnonzero(
        (places.kind == HEAD_OFFICE) & firms.corporation[places.firm] & there_mask(places)[:, 0]
    )
    count = min(len(heads), max(5, round(SUPPORTED_SHARE * len(heads))))
    name = "성과조사_1단계_과제현황.csv"
    return _whole("performance_survey", name, 0, rng.permutation(heads)[:count])


def _whole(source: str, name: str, at: int, rows: NDArray[np.int64], *, used: bool = True) -> FileRows:
    return FileRows(source, name, at, rows, np.zeros(len(rows), dtype=bool), used)
