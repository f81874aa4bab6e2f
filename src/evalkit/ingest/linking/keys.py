"""Keys by which firm files meet: number, first six digits, root of the name, kind of place.

Every reader of a file of firms gives `LINK_COLUMNS`:

- ``firm_id`` keyed hash of the ten digits, where the file has them
- ``head_key`` keyed hash of «head|» and the first six digits (`identifiers.hash_head`)
- ``entity_kind`` what holds the number, by its digits 4–5 (`identifiers.ENTITY_KINDS`)
- ``name_key`` keyed hash of «name|» and the root of the name (`name_roots`)
- ``place_kind`` one of `PLACE_KINDS` (`place_kinds`)
- ``region`` 시·군·구 of 2018
- ``joined`` the day the workplace was registered (적용일자, 성립일, 최초등록일)

What is not in a file is missing there ("unknown" for the two kinds). Names and numbers stay behind.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.identifiers import ENTITY_KINDS as ENTITY_KINDS
from evalkit.ingest.identifiers import entity_kind as entity_kind
from evalkit.ingest.identifiers import hash_head as hash_head
from evalkit.ingest.identifiers import hash_text as hash_text
from evalkit.ingest.lineage import sido_rows, spans_of_cities, spans_of_districts

LINK_COLUMNS: tuple[str, ...] = (
    "firm_id", "head_key", "entity_kind", "name_key", "place_kind", "region", "joined",
)  # fmt: skip
PLACE_KINDS: tuple[str, ...] = ("head_office", "branch", "laboratory", "plant", "unknown")

_LEGAL_FORM = re.compile(
    r"주식\s*회사|유한\s*책임\s*회사|유한\s*회사|합자\s*회사|합명\s*회사|농업\s*회사\s*법인|어업\s*회사\s*법인|영농\s*조합\s*법인|"
    r"영어\s*조합\s*법인|사회\s*복지\s*법인|사단\s*법인|재단\s*법인|의료\s*법인|학교\s*법인|사회적\s*협동\s*조합|협동\s*조합|"
    r"\(\s*(?:주|유|합|재|사|의|학|복|자|명)\s*\)|\(\s*(?:주|유)$|^(?:주|유)\s*\)|"
    r"(?<![a-z])(?:co\.?\s*,?\s*ltd|inc|corp(?:oration)?|ltd|llc)(?![a-z])\.?"
)
_PLACE_WORDS: dict[str, str] = {
    "본사": "head_office", "본점": "head_office",
    "지점": "branch", "지사": "branch", "영업소": "branch", "출장소": "branch", "사무소": "branch", "사무실": "branch",
    "분사무소": "branch", "연락사무소": "branch", "지역본부": "branch",
    "기업부설연구소": "laboratory", "부설연구소": "laboratory", "기술연구소": "laboratory", "중앙연구소": "laboratory",
    "종합연구소": "laboratory", "연구소": "laboratory", "연구센터": "laboratory", "기술개발센터": "laboratory",
    "rd센터": "laboratory", "rnd센터": "laboratory", "알앤디센터": "laboratory",
    "제조공장": "plant", "생산공장": "plant", "공장": "plant",
    "사업장": "unknown", "사업소": "unknown",
}  # fmt: skip
_WIDE_AREAS = ("수도권", "경인", "충청", "호남", "영남", "중부", "남부", "동부", "서부", "북부", "한국")
# words that firms also bear in names of their own: they tell a place only where something sets them off
_ALSO_A_FIRM = frozenset({"기술연구소", "중앙연구소", "종합연구소", "연구소", "연구센터", "사무소"})
_PROFESSION = re.compile(r"(?:사|법률|설계|건축|합동|관리|측량|특허|회계|노무|감정)$")
_WORD = re.compile(
    r"(?:제\d{1,2}|(?<!\d)\d)?("
    + "|".join(sorted(_PLACE_WORDS, key=len, reverse=True))
    + r")(?:제?\d{1,2}|[a-z])?$"
)
_ANY_WORD = re.compile("|".join(_PLACE_WORDS))
_TAIL = 10  # the longest word and a number behind it
_SHORTEST_ROOT = 2


def plain_name(name: str) -> str:
    """A name without legal form, blanks and punctuation, in small letters: ``(주) 한빛 소재`` → ``한빛소재``."""
    return re.sub(r"[\W_]+", "", _LEGAL_FORM.sub(" ", unicodedata.normalize("NFKC", name).lower()))


def normalised_names(names: Iterable[Any]) -> NDArray[np.object_]:
    """`plain_name` of each, once per distinct name  # (n,)

    >>> normalised_names(["㈜ 한빛 소재", "한빛소재(주)"]).tolist()
    ['한빛소재', '한빛소재']
    """
    codes, distinct = pd.factorize(pd.Series(list(names), dtype="object"), use_na_sentinel=False)
    return np.array([plain_name(str(text)) for text in distinct], dtype=object)[codes]


@cache
def _region_end() -> re.Pattern[str]:
    """A name of a 시·도 or a 시·군·구 at the end of a text, with or without its last syllable, or of a wider area; the
    longest is found.
    """
    names = {row[column] for row in sido_rows() for column in ("name", "short")}
    for table in (spans_of_districts(), spans_of_cities()):
        for spans in table.values():
            for span in spans:
                names |= {span.name, re.sub(r"^.{2,}시(?=.+구$)", "", span.name)}
    names |= {name[:-1] for name in names if len(name) >= 3 and name[-1] in "시군구"}
    names |= set(_WIDE_AREAS)
    return re.compile("(?:" + "|".join(sorted(names, key=lambda n: (-len(n), n))) + ")$")


@lru_cache(maxsize=1 << 18)  # monthly files repeat their names
def split_place(name: str) -> tuple[str, str]:
    """The root of a name, and the kind of place that its last words tell.

    Legal form, blanks, punctuation and, at the end, words of a place are taken away: 본사, 지점, 기술연구소, 제2공장, and
    the 시·도 or 시·군·구 before such a word (대전공장). Blanks do not matter to the root. Two letters always stay, and so
    does the 사무소 of a profession (건축사사무소). The kind is told by the last word that has one; 연구소 and 사무소 tell it
    only where a blank, a bracket, a legal form, a number or a region sets them off, for firms are called so too.

    >>> split_place("(주)한빛소재 대전제2공장"), split_place("한국식품연구소")
    (('한빛소재', 'plant'), ('한국식품', 'unknown'))
    """
    spaced = _LEGAL_FORM.sub(" ", unicodedata.normalize("NFKC", name).lower())
    spaced = re.sub(r"r\s*&\s*d", "rd", spaced)
    # where something set words apart is remembered, and then blanks no longer matter
    parts = [re.sub(r"[\W_]+", "", part) for part in re.split(r"[\s()\[\]<>{}/,·-]+", spaced)]
    borders = set(np.cumsum([len(part) for part in parts]).tolist())
    root, kind = "".join(parts), "unknown"
    while _ANY_WORD.search(root[-_TAIL:]):
        found = _WORD.search(root)
        if found is None or found.start() < _SHORTEST_ROOT:
            break
        word, left = found.group(1), root[: found.start()]
        if word == "사무소" and _PROFESSION.search(left):
            break
        apart = found.start() in borders or found.start(1) in borders or found.start(1) > found.start()
        region = _region_end().search(left)
        while region is not None and region.start() >= _SHORTEST_ROOT:
            left, apart = left[: region.start()], True
            region = _region_end().search(left)
        if kind == "unknown" and (apart or word not in _ALSO_A_FIRM):
            kind = _PLACE_WORDS[word]
        root = left
    return root, kind


def name_roots(names: Iterable[Any]) -> NDArray[np.object_]:
    """The root of each name (`split_place`); None where there is no name  # (n,)"""
    return _split(names)[0]


def name_keys(names: Iterable[Any], key: bytes) -> NDArray[np.object_]:
    """Keyed hash of «name|» and the root of each name; None where there is none  # (n,)"""
    return link_names(names, key)[0]


def link_names(names: Iterable[Any], key: bytes) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """`name_keys` and the kinds of place that the names tell, each distinct name split once  # (n,), (n,)"""
    roots, kinds = _split(names)
    codes, distinct = pd.factorize(roots)
    hashed = np.array([*(hash_text(f"name|{root}", key) for root in distinct), None], dtype=object)
    return hashed[codes], kinds  # the code of a missing root is -1: the last


def place_kinds(told: Iterable[str], entities: Iterable[str]) -> NDArray[np.object_]:
    """The kind of place: as the name tells, else by what holds the number  # (n,)

    A number of a branch is a branch's; a number of a head office may stand for every workplace of its firm, so such a
    row is "head_office" only as far as the source can tell.
    """
    named = np.array(list(told), dtype=object)
    held = pd.Series(list(entities), dtype="object").map(
        {"corporation_head_office": "head_office", "corporation_branch": "branch"}
    )
    return np.where(named == "unknown", held.fillna("unknown").to_numpy(dtype=object), named)


def _split(names: Iterable[Any]) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    codes, distinct = pd.factorize(pd.Series(list(names), dtype="object"))
    split = [split_place(str(text)) for text in distinct]
    roots = np.array([*(root or None for root, _ in split), None], dtype=object)
    kinds = np.array([*(kind for _, kind in split), "unknown"], dtype=object)
    return roots[codes], kinds[codes]


def with_link_columns(
    frame: pd.DataFrame,
    *,
    names: str,
    key: bytes,
    joined: str = "",
    default_place: str = "unknown",
    keep_names: bool = False,
) -> pd.DataFrame:
    """The frame of a reader with `LINK_COLUMNS` in front, and without the names.

    Parameters
    ----------
    frame : with ``head_key`` and ``entity_kind`` where the file has a number (`ColumnSpec.with_head`)
    names : the column of names, dropped unless `keep_names`
    key : secret of the hashes
    joined : the column of the registration day, which is renamed; empty where there is none
    default_place : the kind where neither name nor number tells it (공장등록: "plant")
    """
    out = frame.drop(columns=[] if keep_names else [names])
    n = len(out)
    nothing = pd.Series(np.full(n, None, dtype=object), dtype="str", index=out.index)
    for name in ("firm_id", "head_key", "region"):
        if name not in out:
            out[name] = nothing
    if "entity_kind" not in out:
        out["entity_kind"] = pd.Series(np.full(n, "unknown", dtype=object), dtype="str", index=out.index)
    keys, told = link_names(frame[names], key)
    if default_place != "unknown":
        told = np.where(told == "unknown", default_place, told)
    out["name_key"] = pd.Series(keys, dtype="str", index=out.index)
    kinds = place_kinds(told, out["entity_kind"])
    out["place_kind"] = pd.Series(kinds, dtype="str", index=out.index)
    if joined:
        out = out.rename(columns={joined: "joined"})
    else:
        out["joined"] = pd.Series(np.full(n, np.datetime64("NaT"), dtype="datetime64[s]"), index=out.index)
    first = list(LINK_COLUMNS)
    return out[[*first, *(name for name in out.columns if name not in first)]]
