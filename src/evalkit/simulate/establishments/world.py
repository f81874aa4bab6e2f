"""`establishment_world`: draw, let things happen, and tell the truth."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import ParameterError
from evalkit.ingest import regions
from evalkit.simulate.establishments import events
from evalkit.simulate.establishments.drawing import draw_firms, draw_places
from evalkit.simulate.establishments.model import (
    NEVER,
    PLACE_KINDS,
    EstablishmentTruth,
    EstablishmentWorld,
    FileRows,
    Firms,
    Places,
)
from evalkit.simulate.establishments.names import Names
from evalkit.simulate.establishments.publishing import files_of, members_of, published_mask

FIRST, LAST = "2015-12", "2026-06"
"""Months that can be written: 국민연금 files begin in 2015-12; codes that begin on 2026-07-01 join units of 2018."""


def establishment_world(
    seed: int, firms: int = 3000, first_month: str = "2021-01", months: int = 36
) -> EstablishmentWorld:
    """Draw a monthly world of establishments.

    Parameters
    ----------
    seed : any integer >= 0; the same seed and sizes give the same world
    firms : how many firms ever exist, 40 or more; there are about 1.4 establishments a firm
    first_month : "YYYY-MM", from 2015-12
    months : length of the window, 2 or more, to 2026-06 at most; relocations that last are drawn from 14 months on

    Raises
    ------
    ParameterError : a size or a window that cannot be
    """
    first = _window(firms, first_month, months)
    codes = np.sort(regions.municipalities(2018)["code"].to_numpy(dtype=str))
    rng = np.random.default_rng([seed, 71])
    who = draw_firms(rng, firms)
    places = draw_places(rng, who, codes, first, months)
    events.rename(rng, who, months)
    places, types, papers = events.relocate(rng, who, places, codes, first)
    events.move(rng, who, places, codes, types)
    events.register_again(rng, places, first)
    events.employ(rng, places)
    calendar = first + np.arange(months)
    files = files_of(seed, who, places, calendar)
    truth = _truth(who, places, codes, calendar, types, papers, files)
    return EstablishmentWorld(seed, calendar, codes, who, places, files, truth)


def _window(firms: int, first_month: str, months: int) -> np.datetime64:
    if isinstance(firms, bool) or not isinstance(firms, int) or firms < 40:
        raise ParameterError(
            f"모의 기업 수 firms={firms!r} 은(는) 쓸 수 없음", remedy="40 이상의 정수로 적을 것"
        )
    if isinstance(months, bool) or not isinstance(months, int) or months < 2:
        raise ParameterError(f"개월 수 months={months!r} 은(는) 쓸 수 없음", remedy="2 이상의 정수로 적을 것")
    if not re.fullmatch(r"\d{4}-(?:0[1-9]|1[0-2])", str(first_month)):
        raise ParameterError(f"첫 달 {first_month!r} 을(를) 읽을 수 없음", remedy="2021-01 처럼 적을 것")
    first = np.datetime64(first_month, "M")
    if first < np.datetime64(FIRST) or first + months - 1 > np.datetime64(LAST):
        raise ParameterError(
            f"기간 {first_month} 부터 {months}개월은 {FIRST}–{LAST} 밖임", remedy="기간을 그 안으로 줄일 것"
        )
    return first


def _truth(
    firms: Firms,
    places: Places,
    codes: NDArray[np.str_],
    calendar: NDArray[np.datetime64],
    types: dict[int, str],
    papers: tuple[events.PaperMove, ...],
    files: tuple[FileRows, ...],
) -> EstablishmentTruth:
    moves = events.tell_moves(places, codes, calendar)
    return EstablishmentTruth(
        establishments=_establishments(firms, places, codes, calendar),
        monthly=_monthly(firms, places, codes, calendar),
        moves=moves,
        relocations=events.tell_relocations(moves, places, codes, calendar, types, papers),
        renames=_renames(firms, calendar),
        registrations=_registrations(places, calendar),
        links=_links(places, calendar, files),
    )


def _establishments(
    firms: Firms, places: Places, codes: NDArray[np.str_], calendar: NDArray[np.datetime64]
) -> pd.DataFrame:
    size = len(places.firm)
    at = np.clip(places.born, 0, len(calendar) - 1)
    died = np.full(size, np.datetime64("NaT"), dtype="datetime64[s]")
    gone = places.died != NEVER
    died[gone] = (calendar[0] + places.died[gone]).astype("datetime64[s]")
    names = Names(firms, places, codes)
    return pd.DataFrame(
        {
            "establishment": np.arange(size),
            "firm": places.firm,
            "kind": np.array(PLACE_KINDS, dtype=object)[places.kind],
            "corporation": firms.corporation[places.firm],
            "name": names.of(np.arange(size), 0),
            "born": (calendar[0] + places.born).astype("datetime64[s]"),
            "died": died,
            "region_first": codes[places.region[np.arange(size), at]].astype(object),
            "own_number": places.number != firms.number[places.firm],
            "twin_of": firms.twin[places.firm],
        }
    )


def _monthly(
    firms: Firms, places: Places, codes: NDArray[np.str_], calendar: NDArray[np.datetime64]
) -> pd.DataFrame:
    place, at = np.nonzero(events.there_mask(places))
    again = at >= places.again_from[place]
    joined = np.where(again & places.again_new[place], places.joined_again[place], places.joined[place])
    nothing = np.datetime64("NaT", "D")
    reregistered = np.where(again & ~places.again_new[place], places.joined_again[place], nothing)
    return pd.DataFrame(
        {
            "establishment": place,
            "firm": places.firm[place],
            "month": calendar[at].astype("datetime64[s]"),
            "region": codes[places.region[place, at]].astype(object),
            "employees": places.employees[place, at],
            "members": members_of(places)[place, at],
            "joined": joined.astype("datetime64[s]"),
            "reregistered": reregistered.astype("datetime64[s]"),
            "published": published_mask(firms, places)[place, at],
        }
    )


def _renames(firms: Firms, calendar: NDArray[np.datetime64]) -> pd.DataFrame:
    firm = np.flatnonzero(firms.renamed != NEVER)
    new = firms.root[0, firm] != firms.root[1, firm]
    month = calendar[firms.renamed[firm]].astype("datetime64[s]")
    return pd.DataFrame({"firm": firm, "month": month, "what": np.where(new, "name", "legal_form")})


def _registrations(places: Places, calendar: NDArray[np.datetime64]) -> pd.DataFrame:
    place = np.flatnonzero(places.again_from != NEVER)
    return pd.DataFrame(
        {
            "establishment": place,
            "firm": places.firm[place],
            "month": calendar[places.again_from[place]].astype("datetime64[s]"),
            "gap": places.again_gap[place],
            "new_date": places.again_new[place],
        }
    )


def _links(places: Places, calendar: NDArray[np.datetime64], files: tuple[FileRows, ...]) -> pd.DataFrame:
    counts = [len(rows.establishment) for rows in files]
    place = np.concatenate([rows.establishment for rows in files])
    return pd.DataFrame(
        {
            "source": np.repeat(np.array([rows.source for rows in files], dtype=object), counts),
            "file": np.repeat(np.array([rows.name for rows in files], dtype=object), counts),
            "source_row": np.concatenate([np.arange(n) + 2 for n in counts]),
            "month": np.repeat(calendar[[rows.period for rows in files]].astype("datetime64[s]"), counts),
            "establishment": place,
            "firm": places.firm[place],
            "left": np.concatenate([rows.left for rows in files]),
            "used": np.repeat(np.array([rows.used for rows in files]), counts),
        }
    )
