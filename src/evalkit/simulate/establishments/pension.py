"""국민연금 files of a world: the same 22 columns under three headers, in the encodings that they came in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.establishments.drawing import INDUSTRIES
from evalkit.simulate.establishments.model import EstablishmentWorld, FileRows
from evalkit.simulate.establishments.names import Names, full_places, miswritten, roads
from evalkit.simulate.establishments.publishing import members_of
from evalkit.simulate.registers import PENSION_COLUMNS

ENGLISH_COLUMNS: tuple[str, ...] = (
    "DATA_CRT_YM", "WKPL_NM", "BZOWR_RGST_NO", "WKPL_JNNG_STCD", "ZIP", "WKPL_LTNO_DTL_ADDR", "WKPL_ROAD_NM_DTL_ADDR",
    "CUST_LDONG_ADDR_CD", "CUST_ADMIN_DONG_ADDR_CD", "LDONG_ADDR_MGPL_DG_CD", "LDONG_ADDR_MGPL_SGGU_CD",
    "LDONG_ADDR_MGPL_SGGU_EMD_CD", "WKPL_STYL_DVCD", "WKPL_INTP_CD", "VLDT_VL_KRN_NM", "ADPT_DT", "RRGST_DT", "SCSN_DT",
    "JNNGP_CNT", "CRRMM_NTC_AMT", "NW_ACQZR_CNT", "LSS_JNNGP_CNT",
)  # fmt: skip
DOTTED_COLUMNS: tuple[str, ...] = tuple(name.strip().replace(" ", ".") for name in PENSION_COLUMNS)
_WAGE, _RATE = 2_900_000, 0.09


def text_bytes(
    header: Sequence[str], rows: Iterable[Sequence[Any]], encoding: str, separator: str = ","
) -> bytes:
    """A delimited file as bytes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue().encode(encoding)


def generation(at: int, months: int) -> int:
    """Which header a monthly file has: 0 English, 1 Korean with leading blanks, 2 Korean with dots; a third of the time each."""
    return min(3 * at // months, 2)


def pension_bytes(world: EstablishmentWorld, rows: FileRows, names: Names, index: int) -> bytes:
    """One monthly file."""
    rng = np.random.default_rng([world.seed, 73, index])
    at, place = rows.period, rows.establishment
    way = generation(at, len(world.months))
    columns = _columns(
        world, rows, names, rng, float_codes=way == 2, no_date="" if way == 2 else "0001-01-01"
    )
    repeated = np.unique(place, return_index=True, return_inverse=True)
    again = repeated[1][repeated[2]]  # a repeated row is the first one again, every cell of it
    lines = list(zip(*columns, strict=True))
    if len(repeated[0]) < len(place):
        lines = [lines[i] for i in again.tolist()]
    header, encoding = (
        (ENGLISH_COLUMNS, "utf-8"),
        (PENSION_COLUMNS, "cp949"),
        (DOTTED_COLUMNS, "utf-8-sig"),
    )[way]
    return text_bytes(header, lines, encoding)


def _columns(
    world: EstablishmentWorld,
    rows: FileRows,
    names: Names,
    rng: np.random.Generator,
    *,
    float_codes: bool,
    no_date: str,
) -> list[Sequence[Any]]:
    at, place, left = rows.period, rows.establishment, rows.left
    places, n = world.places, len(rows.establishment)
    month = world.months[at]
    where = full_places(tuple(world.codes.tolist()), str(month))
    region = places.region[place, at]
    codes = [where[r][0] for r in region.tolist()]
    street = places.street[place, at]
    town = 101 + street % 39
    heads = [where[r][1] for r in region.tolist()]
    addresses = [f"{h} {r}" for h, r in zip(heads, roads(street).tolist(), strict=True)]
    full = [f"{c}{t}00" for c, t in zip(codes, town.tolist(), strict=True)]
    members = np.where(left, 0, members_of(places)[place, at])
    before = members_of(places)[place, at - 1] if at else members
    turnover = rng.poisson(0.02 * members)
    again = (at >= places.again_from[place]) & ~left
    joined = np.where(again & places.again_new[place], places.joined_again[place], places.joined[place])
    back = np.where(again & ~places.again_new[place], places.joined_again[place], np.datetime64("NaT", "D"))
    gone = np.where(left, month.astype("datetime64[D]") - 1, np.datetime64("NaT", "D"))
    industry = world.firms.industry[places.firm[place]]
    wage = _WAGE + 3_000 * (street % 100) + 5_000 * at
    return [
        [str(month)] * n,
        miswritten(rng, names.of(place, at)).tolist(),
        [number[:6] for number in places.number[place]],
        np.where(left, 2, 1).tolist(),
        [f"{10_000 + 7 * int(s) % 50_000:05d}" for s in street],
        addresses,
        addresses,
        [f"{code}.0" for code in full] if float_codes else full,
        full,
        [c[:2] for c in codes],
        [c[2:] for c in codes],
        town.tolist(),
        np.where(world.firms.corporation[places.firm[place]], 1, 2).tolist(),
        [f"{INDUSTRIES[i][0]}0" for i in industry.tolist()],
        [INDUSTRIES[i][1] for i in industry.tolist()],
        joined.astype(str).tolist(),
        _dates(back, no_date),
        _dates(gone, no_date),
        members.tolist(),
        np.round(members * wage * _RATE, -1).astype(np.int64).tolist(),
        (np.maximum(members - before, 0) + turnover).tolist(),
        (np.maximum(before - members, 0) + turnover).tolist(),
    ]


def _dates(days: NDArray[np.datetime64], missing: str) -> list[str]:
    return [missing if text == "NaT" else text for text in days.astype(str).tolist()]
