"""How establishments are written: names with legal forms and places, slips and other spellings, addresses of a month."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest import regions
from evalkit.ingest.lineage import sido_rows
from evalkit.simulate.establishments.drawing import FORMS
from evalkit.simulate.establishments.model import Firms, Places

SPELLED_OTHERWISE, SLIPPED = 0.03, 0.002  # share of rows

_SUFFIXES = (
    (" 본사", "", "", "", "", "", "", ""),
    ("", "", " {r}지점", " {r}지사", " {r}영업소", "{r}지점", " {r}사무소", " 지점"),
    ("", " 기술연구소", " 부설연구소", " 연구소", " R&D센터", "기술연구소", " {r}연구소", " 기업부설연구소"),
    ("", " 공장", " 제2공장", "공장", " {r}공장", " {r} 제2공장", " 1공장", "{r}공장"),
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
_SLIPS = "규뉴듀류뮤뷰슈유쥬츄큐튜퓨휴"  # syllables that no invented name has


class Names:
    """Names of establishments, each built once."""

    def __init__(self, firms: Firms, places: Places, codes: NDArray[np.str_]) -> None:
        self._firms, self._places = firms, places
        self._short = short_places(codes)
        self._known: dict[tuple[int, int, int], str] = {}

    def of(self, establishment: NDArray[np.int64], at: int) -> NDArray[np.object_]:
        """Names of establishments in a month, as their firm writes them  # (n,)"""
        version = (at >= self._firms.renamed[self._places.firm[establishment]]).astype(np.int64)
        region = self._places.region[establishment, at]
        keys = zip(establishment.tolist(), version.tolist(), region.tolist(), strict=True)
        return np.array([self._known.get(key) or self._build(key) for key in keys], dtype=object)

    def _build(self, key: tuple[int, int, int]) -> str:
        place, version, region = key
        firm = self._places.firm[place]
        base = FORMS[self._firms.form[version, firm]].format(self._firms.root[version, firm])
        suffix = _SUFFIXES[self._places.kind[place]][self._places.suffix[place]]
        self._known[key] = base + suffix.format(r=self._short[region])
        return self._known[key]


def miswritten(rng: np.random.Generator, names: NDArray[np.object_]) -> NDArray[np.object_]:
    """Names as files have them: a few with other blanks or another sign of the same legal form, very few with a slip."""
    out = names.copy()
    draw = rng.random(len(names))
    for row in np.flatnonzero(draw < SPELLED_OTHERWISE).tolist():
        out[row] = _other_spelling(str(names[row]), row % 3)
    for row in np.flatnonzero(draw > 1 - SLIPPED).tolist():
        text = str(names[row])
        inside = [i for i, letter in enumerate(text) if re.match(r"[가-힣]", letter)]
        # a letter of the root, which comes after 주식회사 and before the place
        start = 4 if text.startswith(("주식회사", "유한회사")) else (1 if "(주)" in text[:3] else 0)
        spot = inside[min(start, len(inside) - 1)]
        out[row] = text[:spot] + _SLIPS[row % len(_SLIPS)] + text[spot + 1 :]
    return out


def _other_spelling(text: str, how: int) -> str:
    if how == 0 and "(주)" in text:
        return text.replace("(주)", "㈜")
    if how == 1 and "㈜" in text:
        return text.replace("㈜", "(주) ")
    spot = len(text) // 2
    if how == 2 and text[spot - 1 : spot + 1].isalpha() and "회사" not in text:
        return (
            f"{text[:spot]} {text[spot:]}" if re.fullmatch(r"[가-힣]{2}", text[spot - 1 : spot + 1]) else text
        )
    return text.replace(" ", "") if not text.startswith(("주식회사", "유한회사")) else text.replace(" ", "  ")


def short_places(codes: NDArray[np.str_]) -> NDArray[np.object_]:
    """What a workplace is called after: 수원시장안구 → 수원, 대덕구 → 대덕, 중구 → the 시·도  # (R,)"""
    table = regions.municipalities(2018)
    names = dict(zip(table["code"], table["sigungu"], strict=True))
    sido = regions.sido_of(codes)
    out = []
    for code, province in zip(codes.tolist(), sido.tolist(), strict=True):
        whole = re.sub(r"(?<=시).+구$", "", names[code])
        out.append(whole[:-1] if len(whole) >= 3 and code[:2] != "36" else province)
    return np.array(out, dtype=object)


@lru_cache(maxsize=256)
def full_places(codes: tuple[str, ...], date: str) -> tuple[tuple[str, str], ...]:
    """Code and «시·도 시·군·구» of each 시·군·구 of 2018 as they were at a date."""
    table = regions.municipalities(date)
    names = dict(zip(table["code"], table["sigungu"], strict=True))
    sido = {row["mois"]: row["name"] for row in sido_rows()}
    out = []
    for code in regions.code_at(list(codes), date).tolist():
        province, name = sido[code[:2]], names[code]
        apart = re.sub(r"^(.{2,}시)(.+구)$", r"\1 \2", name)
        out.append((code, province if name == province else f"{province} {apart}"))
    return tuple(out)


def roads(street: NDArray[np.int64]) -> NDArray[np.object_]:
    """Names of roads that do not exist  # (n,)"""
    return np.array(_ROADS, dtype=object)[street % len(_ROADS)]
