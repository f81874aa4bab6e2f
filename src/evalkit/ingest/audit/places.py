"""Faults of region tables: a city beside its districts by its code, names that contradict their codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import ValueProblem
from evalkit.ingest.audit.finding import Finding
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, listed, said
from evalkit.ingest.lineage import sido_rows, spans_of_cities, spans_of_districts
from evalkit.ingest.regions import city_of, sido_short

_CODE = re.compile(r"\d{5}")
_FULL = {
    "서울특별시": "서울", "부산광역시": "부산", "대구광역시": "대구", "인천광역시": "인천", "광주광역시": "광주", "대전광역시": "대전",
    "울산광역시": "울산", "세종특별자치시": "세종", "경기도": "경기", "강원도": "강원", "강원특별자치도": "강원", "충청북도": "충북",
    "충청남도": "충남", "전라북도": "전북", "전북특별자치도": "전북", "전라남도": "전남", "경상북도": "경북", "경상남도": "경남",
    "제주특별자치도": "제주", "제주도": "제주",
}  # fmt: skip


def is_region(subject: Subject) -> bool:
    """Whether most units are codes of 시·군·구."""
    labels = subject.units.astype(str)[:2000]
    if not len(labels):
        return False
    known = spans_of_districts().keys() | spans_of_cities().keys()
    return bool(np.mean([label in known for label in labels]) > 0.8)


# -- a city beside its districts -------------------------------------------------------------------------------


def cities_twice(subject: Subject) -> Iterator[Finding]:
    """City rows in the periods in which rows of their own 일반구 stand too."""
    if not is_region(subject):
        return
    labels = subject.units.astype(str)
    place = {label: i for i, label in enumerate(labels)}
    there = subject.cell >= 0
    names: list[str] = []
    units: list[int] = []
    periods: list[int] = []
    for parent in sorted({city_of(label) for label in labels if city_of(label) != label} & set(labels)):
        parts = [place[label] for label in labels if city_of(label) == parent and label != parent]
        own = place[parent]
        both = np.flatnonzero(there[own] & there[parts].any(axis=0))
        if len(both):
            names.append(f"{parent} ({len(parts)})")
            units += [own] * len(both)
            periods += both.tolist()
    if not names:
        return
    first = next((n for n in subject.working if subject.kinds[n] in ("count", "money")), "")
    rows = subject.of_cells(units, periods, first)
    for values in subject.working.values():
        values[units, periods] = np.nan
    yield Finding(
        check="counted_twice", severity="fault", sentence=said("counted_twice_code", names=listed(names, 12)), rows=rows,
        total=len(units), rule=RULES["counted_twice"], score=1.0,
    )  # fmt: skip


# -- names and codes -------------------------------------------------------------------------------------------


def names_and_codes(subject: Subject) -> Iterator[Finding]:
    """Names that belong to another unit than the code beside them; names that change on the way."""
    region = is_region(subject)
    for column, texts in subject.texts.items():
        pairs = pd.DataFrame(
            {"unit": subject.unit_codes, "name": pd.Series(texts, dtype="object").map(_bare)}
        )
        pairs = pairs[(pairs["unit"] >= 0) & (pairs["name"] != "")]
        if pairs.empty or _is_sido(pairs["name"]):
            if region and not pairs.empty:
                yield from _sido_of_code(subject, column, pairs)
            continue
        counts = pairs.groupby(["unit", "name"]).size().reset_index(name="n")
        told: set[tuple[int, str]] = set()
        if region:
            wrong = _against_register(subject, counts)
            told = {(unit, name) for unit, name, _ in wrong}
            if wrong:
                yield _names_finding(subject, column, pairs, wrong, "name_register", 1.0)
        yield from _against_itself(subject, column, pairs, counts, told)


@cache
def _bare(text: Any) -> str:
    if text is None or text != text:
        return ""
    return re.sub(r"[\s·.()]+", "", str(text))


@cache
def _register() -> dict[str, frozenset[str]]:
    """Every name that a code ever had, whole and without its 시·도 or city."""
    found: dict[str, set[str]] = {}
    for spans in (spans_of_districts(), spans_of_cities()):
        for code, group in spans.items():
            for span in group:
                words = str(span.name).split()
                whole = {_bare("".join(words[k:])) for k in range(len(words))}
                tails = {re.sub(r"^.+시(?=.+구$)", "", name) for name in whole}
                found.setdefault(code, set()).update(whole | tails)
    return {code: frozenset(names) for code, names in found.items()}


def _without_province(name: str) -> str:
    for full in _FULL:
        if name.startswith(full) and len(name) > len(full):
            return name[len(full) :]
    return name


def _against_register(subject: Subject, counts: pd.DataFrame) -> list[tuple[int, str, str]]:
    """(unit, written name, name of the register) where the name is another code's and not this one's."""
    register = _register()
    everywhere = frozenset().union(*register.values())
    wrong = []
    for unit, name in zip(counts["unit"], counts["name"], strict=True):
        code = str(subject.units[unit])
        mine = register.get(code)
        if mine is None:
            continue
        bare = _without_province(name)
        if bare in mine or name in mine or any(bare.endswith(own) for own in mine):
            continue
        if bare in everywhere:
            wrong.append((int(unit), name, max(mine, key=len)))
    return wrong


def _against_itself(
    subject: Subject, column: str, pairs: pd.DataFrame, counts: pd.DataFrame, told: set[tuple[int, str]]
) -> Iterator[Finding]:
    """A name that is rare for its unit and usual for another; or a name that only changes."""
    usual = counts.sort_values(["unit", "n"], ascending=[True, False], kind="stable").drop_duplicates("unit")
    own = dict(zip(usual["unit"], usual["name"], strict=True))
    if len(own) < 2 or len(counts) > 1.5 * len(own) or len(set(own.values())) < 0.5 * len(own):
        return  # names that group units, or that are different everywhere, say nothing
    theirs = set(own.values())
    odd = counts[(counts["name"] != counts["unit"].map(own))]
    wrong: list[tuple[int, str, str]] = []
    renamed: list[tuple[int, str, str]] = []
    for unit, name in zip(odd["unit"], odd["name"], strict=True):
        if (int(unit), name) in told or (int(unit), own[unit]) in told:
            continue
        (wrong if name in theirs else renamed).append((int(unit), name, own[unit]))
    if wrong:
        yield _names_finding(subject, column, pairs, wrong, "name_exchanged", 0.95)
    if renamed:
        yield _names_finding(subject, column, pairs, renamed, "renamed", 0.5)


def _is_sido(names: pd.Series[Any]) -> bool:
    short = {row["short"] for row in sido_rows()} | set(_FULL)
    return bool(names.isin(short).mean() > 0.8)


def _sido_of_code(subject: Subject, column: str, pairs: pd.DataFrame) -> Iterator[Finding]:
    """시·도 names against the first digits of the code; 시·도 that the same area had at another date are let pass."""
    wrong = []
    for unit, name in pairs.drop_duplicates().itertuples(index=False):
        code = str(subject.units[unit])
        allowed = _provinces(code)
        if allowed and _FULL.get(name, name) not in allowed:
            wrong.append((int(unit), str(name), "·".join(sorted(allowed))))
    if wrong:
        yield _names_finding(subject, column, pairs, wrong, "name_sido", 0.95)


@cache
def _provinces(code: str) -> frozenset[str]:
    spans = spans_of_districts().get(code) or spans_of_cities().get(code)
    if not spans:
        return frozenset()
    bases = {base for span in spans for base in span.bases}
    found = set()
    for table in (spans_of_districts(), spans_of_cities()):
        for other, group in table.items():
            if any(bases & set(span.bases) for span in group):
                try:
                    found.add(sido_short(other))
                except ValueProblem:
                    continue
    return frozenset(found)


def _names_finding(
    subject: Subject,
    column: str,
    pairs: pd.DataFrame,
    wrong: list[tuple[int, str, str]],
    key: str,
    score: float,
) -> Finding:
    want = {(unit, name): other for unit, name, other in wrong}
    keys = list(zip(pairs["unit"], pairs["name"], strict=True))
    hit: NDArray[np.bool_] = np.array([k in want for k in keys], dtype=bool)
    places = pairs.index.to_numpy()[hit]
    expected = [want[k] for k, one in zip(keys, hit, strict=True) if one]
    words = [
        f"{subject.unit_label(u)} {'' if subject.sensitive else f'{n} ({other})'}".strip()
        for u, n, other in wrong
    ]
    renamed = key == "renamed"
    return Finding(
        check="renamed" if renamed else "name_contradicts_code", severity="hint" if renamed else "fault",
        sentence=said(key, names=listed(words)), rows=subject.of_rows(places, column, expected), total=len(places),
        rule=RULES["renamed" if renamed else "name"], score=score, variable=column,
    )  # fmt: skip
