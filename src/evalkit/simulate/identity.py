"""Invented firms: names, registration numbers with right check digits, addresses on streets that do not exist."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest import regions
from evalkit.simulate.economy import World
from evalkit.simulate.parameters import SECTORS

_WORDS = (
    "가온", "나래", "다솜", "라온", "마루", "바름", "새론", "아람", "자람", "차오름", "큰솔", "터울", "푸름", "하람", "해든",
    "너울", "도담", "미르", "벼리", "소담", "여울", "온새", "이든", "찬솔", "토리", "파란", "한울", "별하", "단비", "모아",
)  # fmt: skip
_AWKWARD = (
    "<b>한빛</b>소재",
    "=누리",
    "다온 & 벗",
    '도담 "정밀"',
    "새벽, 이슬",
    "@바다",
    "+하늘",
    "<script>솔</script>",
)
_ROADS = (
    "가온로",
    "누리길",
    "다솜대로",
    "바람로",
    "별빛길",
    "새솔로",
    "여울대로",
    "은가람길",
    "참빛로",
    "해오름길",
)
_ONE_PAIR_IN = 200  # firms
_SIDO_FULL = {
    "11": "서울특별시", "26": "부산광역시", "27": "대구광역시", "28": "인천광역시", "29": "광주광역시", "30": "대전광역시",
    "31": "울산광역시", "36": "세종특별자치시", "41": "경기도", "42": "강원도", "43": "충청북도", "44": "충청남도",
    "45": "전라북도", "46": "전라남도", "47": "경상북도", "48": "경상남도", "50": "제주특별자치도",
    "51": "강원특별자치도", "52": "전북특별자치도", "12": "전남광주통합특별시",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Names and numbers of the firms of a world  # (N,) each, text"""

    name: NDArray[np.object_]
    business_number: NDArray[np.object_]
    corporate_number: NDArray[np.object_]
    corporation: NDArray[np.bool_]
    road: NDArray[np.object_]
    house: NDArray[np.int64]


def identify(world: World) -> Identity:
    """Names and numbers from the world's seed; no two firms share a number, and a few pairs of neighbours share a name.

    Such a pair also shares the first six digits, so that files without whole numbers cannot tell the two apart.
    """
    rng = np.random.default_rng(np.random.SeedSequence([world.seed, 7]))
    n = len(world.firms.home)
    stems = np.array([s.stem for s in SECTORS], dtype=object)[world.firms.sector]
    words = np.array(_WORDS, dtype=object)[rng.integers(len(_WORDS), size=n)]
    name = np.array(
        [f"{w}{s} {i:04d}" for i, (w, s) in enumerate(zip(words, stems, strict=True), start=1)], dtype=object
    )
    # some of the awkward names go to supported firms, so that they reach every workbook and table
    supported, others = (np.flatnonzero(m) for m in (world.support.phase > 0, world.support.phase == 0))
    for count, label in enumerate(_AWKWARD):
        pool = supported if count % 2 == 0 else others
        spot = int(pool[(7 * count) % len(pool)])
        name[spot] = f"{label} {spot + 1:04d}"
    corporation = (world.firms.size > 8) | (rng.random(n) < 0.5)
    legal = _with_legal_form(name, corporation, rng)
    numbers = business_numbers(rng, corporation)
    _make_twins(world, legal, numbers, corporation)
    return Identity(
        name=legal,
        business_number=numbers,
        corporate_number=_corporate_numbers(rng, n),
        corporation=corporation,
        road=np.array(_ROADS, dtype=object)[rng.integers(len(_ROADS), size=n)],
        house=rng.integers(1, 300, size=n),
    )


def _make_twins(
    world: World,
    name: NDArray[np.object_],
    number: NDArray[np.object_],
    corporation: NDArray[np.bool_],
) -> None:
    """Give the second of some pairs of corporations of one 시·군·구 the first one's name and first six digits, in place."""
    order = np.lexsort((np.arange(len(name)), world.firms.founded, world.firms.home))
    first, second = order[:-1], order[1:]
    alike = (world.firms.home[first] == world.firms.home[second]) & corporation[first] & corporation[second]
    alike &= (world.firms.founded[first] == world.firms.founded[second]) & ~np.isin(first, second[alike])
    pairs = np.flatnonzero(alike)
    taken = {text[:9] for text in number}
    for place in pairs[:: max(1, len(pairs) * _ONE_PAIR_IN // len(name))]:
        one, other = int(first[place]), int(second[place])
        if any(str(name[row]).startswith(("=", "@", "+", "<")) for row in (one, other)):
            continue
        serial = int(number[other][5:9])
        while (start := f"{number[one][:6]}{serial % 1000:03d}") in taken:
            serial += 1
        taken.add(start)
        name[other], number[other] = name[one], _checked(np.array([start], dtype=object))[0]


def _with_legal_form(
    names: NDArray[np.object_], corporation: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.object_]:
    forms = ("㈜{}", "{}(주)", "주식회사 {}")
    draw = rng.integers(len(forms), size=len(names))
    plain = np.array([str(x)[:1] in "=@+" for x in names])
    return np.array(
        [
            name if not corporate else f"{name}(주)" if bare else forms[k].format(name)
            for name, corporate, bare, k in zip(names, corporation, plain, draw, strict=True)
        ],
        dtype=object,
    )


def business_numbers(rng: np.random.Generator, corporation: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Distinct 사업자등록번호 of ten digits with the right check digit  # (n,)"""
    n = len(corporation)
    office = rng.integers(101, 700, size=n)
    kind = np.where(corporation, rng.choice([81, 86, 87, 88], size=n), rng.integers(1, 80, size=n))
    serial = (
        rng.permutation(9000)[np.arange(n) % 9000] + 1000 if n <= 9000 else rng.integers(0, 10_000, size=n)
    )
    taken: set[str] = set()
    found = np.empty(n, dtype=object)
    for row in range(n):
        place, number = int(office[row]), int(serial[row])
        while (first := f"{place:03d}{int(kind[row]):02d}{number:04d}") in taken:
            place = 101 + (place - 100) % 599
            number = (number + 1) % 10_000
        taken.add(first)
        found[row] = first
    return _checked(found)


def _checked(first_nine: NDArray[np.object_]) -> NDArray[np.object_]:
    digits = np.array([list(text) for text in first_nine.astype(str)]).astype(np.int64)
    total = digits @ np.array([1, 3, 7, 1, 3, 7, 1, 3, 5]) + digits[:, 8] * 5 // 10
    last = (10 - total % 10) % 10
    return np.array([f"{text}{digit}" for text, digit in zip(first_nine, last, strict=True)], dtype=object)


def _corporate_numbers(rng: np.random.Generator, n: int) -> NDArray[np.object_]:
    first = np.array([f"110111{number:06d}" for number in rng.integers(0, 1_000_000, size=n)], dtype=object)
    digits = np.array([list(text) for text in first.astype(str)]).astype(np.int64)
    last = (10 - digits @ np.array([1, 2] * 6) % 10) % 10
    return np.array([f"{text}{digit}" for text, digit in zip(first, last, strict=True)], dtype=object)


def addresses(
    world: World, who: Identity, year: int, rows: NDArray[np.int64], date: str
) -> NDArray[np.object_]:
    """Addresses of firms (by row) at the end of a year, with the names of regions at that date  # (len(rows),)"""
    here = world.municipality[rows, year - int(world.years[0])]
    heads = municipality_names(world, date)[here]
    return np.array(
        [f"{h} {r} {n}" for h, r, n in zip(heads, who.road[rows], who.house[rows], strict=True)], dtype=object
    )


def municipality_names(world: World, date: str) -> NDArray[np.object_]:
    """«시·도 시·군·구» of each municipality of 2018 as it was called at a date  # (M,)"""
    table = regions.municipalities(date)
    names = dict(zip(table["code"], table["sigungu"], strict=True))
    codes = regions.code_at(world.geography.codes, date)
    return np.array([_full_name(str(code), names[str(code)]) for code in codes], dtype=object)


def _full_name(code: str, sigungu: str) -> str:
    sido = _SIDO_FULL[code[:2]]
    if sigungu == sido:
        return sido
    apart = re.sub(r"^(.{2,}시)(.+구)$", r"\1 \2", sigungu)  # 수원시장안구 → 수원시 장안구
    return f"{sido} {apart}"
