"""고용보험, 공장등록 and the list of supported firms of a world, as delimited text and ZIPs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.establishments.drawing import INDUSTRIES
from evalkit.simulate.establishments.model import EstablishmentWorld, FileRows
from evalkit.simulate.establishments.names import Names, full_places, miswritten, roads
from evalkit.simulate.establishments.pension import text_bytes

_PACKED = (2026, 7, 1, 9, 0, 0)
_INSURANCE = (
    "사업장명",
    "사업장주소",
    "사업자등록번호",
    "고용보험상시근로자수",
    "고용업종코드",
    "고용업종명",
    "성립일자",
)
_API = ("saeopjangNm", "addr", "saeopjaDrno", "sangsiInwonCnt", "gyEopjongCd", "gyEopjongNm", "seongripDt")
_FACTORY = (
    "시도", "시군구", "관리기관", "회사명", "공장관리번호", "사업자등록번호", "공장구분", "단지명", "설립구분", "입주형태", "보유구분",
    "최초승인일", "최초등록일", "등록구분", "등록일", "종업원(남)", "종업원(여)", "종업원(외국인)", "종업원(합계)", "생산품", "원자재",
    "공장규모", "용도지역", "지목", "용지면적", "제조시설면적", "부대시설면적", "건축면적", "지식산업센터명", "대표업종", "업종명", "업종코드",
    "차수", "법인주소", "필지수", "공장대표주소(도로명)", "공장대표주소(지번)",
)  # fmt: skip
_LOCAL = (
    "연번",
    "업체명",
    "소재지도로명주소",
    "단지명",
    "업종명",
    "업종코드",
    "차수",
    "최초등록일",
    "종업원합계",
    "생산품",
)


def without_numbers(world: EstablishmentWorld, at: int) -> bool:
    """Whether a year-end file lacks the numbers: the oldest one, in a window of four Decembers or more."""
    ends = [i for i, month in enumerate(world.months) if str(month).endswith("-12")]
    return len(ends) >= 4 and at == ends[0]


def insurance_bytes(world: EstablishmentWorld, rows: FileRows, names: Names, index: int) -> bytes:
    """One year-end file; encoding, separator and header change with the year."""
    rng = np.random.default_rng([world.seed, 74, index])
    at, place, places = rows.period, rows.establishment, world.places
    heads, houses = _addresses(world, place, at)
    columns: list[Sequence[Any]] = [
        miswritten(rng, names.of(place, at)).tolist(),
        [f"{h} {no}" for h, no in zip(heads, houses.tolist(), strict=True)],
        [_hyphened(n) if at % 24 < 12 else n for n in places.number[place]],
        places.employees[place, at].tolist(),
        [INDUSTRIES[i][0] for i in world.firms.industry[places.firm[place]].tolist()],
        [INDUSTRIES[i][1] for i in world.firms.industry[places.firm[place]].tolist()],
        places.joined[place].astype(str).tolist(),
    ]
    year = int(str(world.months[at])[:4])
    header: Sequence[str] = _API if year % 4 == 3 else _INSURANCE
    encoding = "utf-8-sig" if year % 2 else "cp949"
    if without_numbers(world, at):
        header, columns = [*header[:2], *header[3:]], columns[:2] + columns[3:]
    return text_bytes(header, zip(*columns, strict=True), encoding, "\t" if year % 3 == 1 else ",")


def _addresses(
    world: EstablishmentWorld, place: NDArray[np.int64], at: int
) -> tuple[list[str], NDArray[np.int64]]:
    """«시·도 시·군·구 road», and the number of the house."""
    where = full_places(tuple(world.codes.tolist()), str(world.months[at]))
    street = world.places.street[place, at]
    region = world.places.region[place, at]
    heads = [f"{where[r][1]} {s}" for r, s in zip(region.tolist(), roads(street).tolist(), strict=True)]
    return heads, 1 + street % 300


def _hyphened(number: str) -> str:
    return f"{number[:3]}-{number[3:5]}-{number[5:]}"


def factory_bytes(world: EstablishmentWorld, rows: FileRows, names: Names, index: int) -> bytes:
    """공장등록 of the last month: the national form, or that of a local office with headers of its own."""
    rng = np.random.default_rng([world.seed, 75, index])
    at, place, places = rows.period, rows.establishment, world.places
    heads, houses = _addresses(world, place, at)
    address = [f"{h} {no}" for h, no in zip(heads, houses.tolist(), strict=True)]
    name = miswritten(rng, names.of(place, at)).tolist()
    industry = world.firms.industry[places.firm[place]].tolist()
    code = [INDUSTRIES[i][0] for i in industry]
    title = [INDUSTRIES[i][1] for i in industry]
    persons = places.employees[place, at]
    registered = places.joined[place].astype(str).tolist()
    zone = [
        f"{h.split()[1]} 모의산업단지" if s % 3 == 0 else ""
        for h, s in zip(heads, houses.tolist(), strict=True)
    ]
    n = len(place)
    if rows.name.startswith("지자체"):
        local = [list(range(1, n + 1)), name, address, zone, title, code, ["10차"] * n, registered, persons.tolist(), ["모의 제품"] * n]  # fmt: skip
        return text_bytes(_LOCAL, zip(*local, strict=True), "utf-8-sig")
    women, foreign = persons // 4, persons // 10
    men = persons - women - foreign
    where = [h.split() for h in heads]
    numbers = [
        _hyphened(x) if p % 10 < 7 else "" for x, p in zip(places.number[place], place.tolist(), strict=True)
    ]
    area = 1000 + 10 * persons

    def same(text: object) -> list[object]:
        return [text] * n

    columns: list[Sequence[Any]] = [
        [w[0] for w in where], [w[1] for w in where], same("모의시청"), name, [f"{4_000_000 + p}" for p in place.tolist()], numbers,
        same("일반"), zone, same("일반"), same("입주"), same("자가"), registered, registered, same("완료신고"), registered,
        men.tolist(), women.tolist(), foreign.tolist(), persons.tolist(), same("모의 제품"), same("모의 원료"), same("소기업"),
        same("일반공업지역"), same("공장용지"), area.tolist(), (area // 2).tolist(), (area // 10).tolist(), (area // 3).tolist(),
        same(""), code, title, code, same("10"), address, same(1), address, address,
    ]  # fmt: skip
    return text_bytes(_FACTORY, zip(*columns, strict=True), "cp949")


_SUPPORT = (
    "단계",
    "과제번호",
    "과제명",
    "사업구분",
    "기업명",
    "사업자등록번호",
    "참여구분",
    "본사소재지",
    "협약시작일",
    "협약종료일",
    "국비(천원)",
)


def supported_bytes(world: EstablishmentWorld, rows: FileRows, names: Names, index: int) -> bytes:
    """A list of supported firms as 성과조사 has them: numbers in full, addresses of head offices."""
    rng = np.random.default_rng([world.seed, 76, index])
    at, place = rows.period, rows.establishment
    heads, houses = _addresses(world, place, at)
    month, n = world.months[at], len(place)
    columns: list[Sequence[Any]] = [
        ["1단계"] * n,
        [f"P1-{i:04d}" for i in range(n)],
        ["모의 과제"] * n,
        ["R&D" if i % 3 else "비R&D" for i in range(n)],
        miswritten(rng, names.of(place, at)).tolist(),
        [_hyphened(number) for number in world.places.number[place]],
        ["주관"] * n,
        [f"{h} {no}" for h, no in zip(heads, houses.tolist(), strict=True)],
        [f"{month}-15"] * n,
        [f"{month + 12}-14"] * n,
        [f"{100_000 + 500 * i:,}" for i in range(n)],
    ]
    return text_bytes(_SUPPORT, zip(*columns, strict=True), "utf-8-sig")


def zip_bytes(contents: Sequence[tuple[str, bytes]]) -> bytes:
    """A ZIP as Windows in Korean writes it: names in CP949 without a word on it, in a folder a year."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in contents:
            info = _UnmarkedInfo(name, _PACKED)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 0
            archive.writestr(info, content)
    return buffer.getvalue()


class _UnmarkedInfo(zipfile.ZipInfo):
    """An entry whose name is written in CP949."""

    __slots__ = ()

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp949"), self.flag_bits & ~0x800
