"""The columns of an unknown long table: which say unit and period, which hold values; found by rule, and told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.audit.kinds import is_flag, is_sensitive, kind_by_name, plain
from evalkit.ingest.audit.periods import read_periods
from evalkit.ingest.cells import DASHES, parse_number
from evalkit.ingest.lineage import spans_of_cities, spans_of_districts

_PERIOD = re.compile(
    r"연도|년도|기준년|연월|년월|시점|기간|분기|year|month|quarter|period|prdde|crtym|^date$|^연$|^월$|^time$"
)
_CODE = re.compile(r"코드|code|우편|zip|번호|전화|(?:^|_)(?:id|no|brn|cd)(?:_|\.|$)|cd$|mgpl|sggu|emd")
_PLACE = re.compile(r"시군구|시도|지역|행정구역|구역|sigungu|sido|region|district|sgg|^c1")
_NAME = re.compile(r"명$|이름|name|nm$|시군구|시도|sigungu|sido")
_GROUP = re.compile(r"시도|sido|처치|treat|지원|구분|group|capital|수도권|유형|권역")
_DAY = re.compile(r"(?:19|20|21|22|00)\d{2}[-./](?:0?[1-9]|1[0-2])[-./](?:0?[1-9]|[12]\d|3[01])(?:[ T].*)?")
_NO_DAY = {"0001-01-01", "1-01-01", "1900-01-00"}
_SAMPLE = 500  # distinct texts that show whether a column holds words
_MOST_KEY = 3  # columns that may make up a unit together


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a table are.

    `unit` names the columns that make up a unit together; empty where all rows are about one.
    """

    unit: tuple[str, ...]
    period: str | None
    values: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    dates: tuple[str, ...]
    sensitive: bool


@dataclass(frozen=True, slots=True, eq=False)
class Typed:
    """One column of text, read: its numbers where it holds numbers, and the rows whose text is none."""

    texts: NDArray[np.object_]
    numbers: NDArray[np.float64] | None
    unreadable: NDArray[np.int64]
    dates: NDArray[np.datetime64] | None


def read_column(texts: NDArray[np.object_]) -> Typed:
    """Numbers or dates where nineteen in twenty filled cells are such, else the words."""
    codes, distinct = pd.factorize(texts)
    stripped = [str(text).strip() for text in distinct]
    blank = np.array([not text or text.lower() in DASHES for text in stripped], dtype=bool)
    values = pd.to_numeric(pd.Series(stripped, dtype="object"), errors="coerce").to_numpy(np.float64).copy()
    left = np.flatnonzero(np.isnan(values) & ~blank)
    sample = left[:: max(1, len(left) // _SAMPLE)]
    wordy = sum(parse_number(stripped[k]) is None for k in sample) > 0.5 * len(sample)
    for k in sample if wordy else left:
        found = parse_number(stripped[k])
        if found is not None:
            values[k] = found.value
    values[~np.isfinite(values) | blank] = np.nan
    per_text = np.bincount(codes, minlength=len(stripped))
    filled = int(per_text[~blank].sum())
    good = int(per_text[np.isfinite(values)].sum())
    words = np.array(stripped, dtype=object)[codes]
    if filled and good >= 0.95 * filled:
        bad = np.flatnonzero((np.isnan(values) & ~blank)[codes])
        return Typed(words, values[codes], bad, None)
    some = stripped[:: max(1, len(stripped) // _SAMPLE)]
    if not any(_DAY.fullmatch(t) for t in some):
        return Typed(words, None, np.zeros(0, dtype=np.int64), None)
    days = np.array([bool(_DAY.fullmatch(t)) for t in stripped], dtype=bool)
    none = blank | np.array([t in _NO_DAY for t in stripped], dtype=bool)
    if filled and int(per_text[days | none].sum()) >= 0.95 * len(texts) and days.any():
        read = pd.to_datetime(pd.Series(stripped).where(days & ~none), format="mixed", errors="coerce")
        return Typed(words, None, np.zeros(0, dtype=np.int64), read.to_numpy("datetime64[s]")[codes])
    return Typed(words, None, np.zeros(0, dtype=np.int64), None)


def find_roles(
    columns: Mapping[str, Typed],
    *,
    unit: Sequence[str] = (),
    period: str | None = None,
    values: Sequence[str] = (),
) -> Roles:
    """Roles by rule; what is given is taken as it is."""
    period = period or _period_of(columns)
    region = {name for name, c in columns.items() if name != period and _is_region(c)}
    coded = {name for name, c in columns.items() if name != period and (name in region or _is_code(name, c))}
    numeric = [n for n, c in columns.items() if c.numbers is not None and n not in coded and n != period]
    dates = tuple(n for n, c in columns.items() if c.dates is not None and n != period)
    words = [n for n, c in columns.items() if c.numbers is None and c.dates is None and n != period]
    keys = tuple(unit) or _unit_of(columns, period, region, coded, words)
    measured = tuple(values) or tuple(
        n for n in numeric if n not in keys and not is_flag(columns[n].numbers) and np.isfinite(columns[n].numbers).any()  # type: ignore[arg-type]
    )  # fmt: skip
    names = (
        tuple(n for n in words if _NAME.search(plain(n)) and n not in keys)
        if region & set(keys) or not coded
        else ()
    )
    groups = tuple(
        n for n in (*words, *numeric) if _GROUP.search(plain(n)) and n not in keys and _groups(columns[n])
    )[:3]
    firm = [n for n in (*words, *coded) if is_sensitive(n)]
    return Roles(keys, period, measured, names, groups, dates, _about_firms(keys, firm, region))


def _about_firms(keys: tuple[str, ...], named: list[str], region: set[str]) -> bool:
    """Firms by the unit's own name, or by other words that name firms where the unit is no region."""
    return any(is_sensitive(key) for key in keys) or (bool(named) and not (set(keys) & region))


def _period_of(columns: Mapping[str, Typed]) -> str | None:
    """A column named like a time whose values are times; the one with most times where several are."""
    best: tuple[int, str] | None = None
    for name, column in columns.items():
        if column.dates is not None or not _PERIOD.search(plain(name)):
            continue
        found = read_periods(pd.Series(column.texts).replace("", None))
        if found is not None and (best is None or len(found.ordinals) > best[0]):
            best = (len(found.ordinals), name)
    return best[1] if best else None


def _is_region(column: Typed) -> bool:
    """Whether most distinct values are codes of 시·군·구."""
    distinct = [code_text(t) for t in pd.unique(column.texts)[:3000] if t]
    known = spans_of_districts().keys() | spans_of_cities().keys()
    return len(distinct) > 1 and float(np.mean([t in known for t in distinct])) > 0.8


def code_text(text: str) -> str:
    """A code without the decimal point that a spreadsheet gave it."""
    return re.sub(r"\.0+$", "", text) if "." in text else text


def _is_code(name: str, column: Typed) -> bool:
    if _CODE.search(plain(name)) and kind_by_name(name) not in ("index", "share", "money"):
        return True
    if column.numbers is None:
        return False
    sample = [t for t in column.texts[:500] if t]
    return bool(sample) and all(re.fullmatch(r"\d{10}|\d{13}", code_text(t)) for t in sample)


def _unit_of(
    columns: Mapping[str, Typed], period: str | None, region: set[str], coded: set[str], words: list[str]
) -> tuple[str, ...]:
    """The column, or the few columns, that with the period tell rows apart; the most telling name first."""

    def rank(name: str) -> tuple[int, int]:
        text = plain(name)
        firm = is_sensitive(name)
        order = 0 if name in region else 1 if firm and name in coded else 2 if firm or (name in coded and _PLACE.search(text)) else 3 if _PLACE.search(text) else 5 if name in coded else 4  # fmt: skip
        return order, list(columns).index(name)

    n = len(next(iter(columns.values())).texts) if columns else 0
    when = pd.factorize(columns[period].texts)[0] if period else np.zeros(n, dtype=np.int64)
    codes = {name: pd.factorize(columns[name].texts)[0] for name in (*words, *coded)}
    able = sorted((name for name in codes if codes[name].max(initial=0) > 0), key=rank)[:8]
    if not able or n == len(np.unique(when)):
        return ()
    best: tuple[float, tuple[str, ...]] = (1.0, (able[0],))
    for size in range(1, _MOST_KEY + 1):
        for some in combinations(able, size):
            place = when.astype(np.int64)
            for name in some:
                place = pd.factorize(place * (int(codes[name].max()) + 1) + codes[name])[0].astype(np.int64)
            twice = 1.0 - len(np.unique(place)) / n
            # one more column is worth it only where it tells many rows apart
            if twice < best[0] - (0.0 if size == 1 and best[0] == 1.0 else 0.05):
                best = (twice, some)
        if best[0] <= 0.05:
            break
    return best[1]


def _groups(column: Typed) -> bool:
    distinct = len(pd.unique(column.texts))
    return 2 <= distinct <= 60 and distinct <= max(2, 0.3 * len(column.texts))


def labels(columns: Mapping[str, Typed], keys: Sequence[str]) -> NDArray[Any]:
    """Labels of the units: the key columns joined  # (n,)"""
    parts = []
    for key in keys:
        texts = pd.Series(columns[key].texts, dtype="object")
        distinct = {t: code_text(t) or None for t in pd.unique(texts)}
        parts.append(texts.map(distinct))
    out = parts[0]
    for part in parts[1:]:
        out = out + " " + part
    return out.to_numpy(dtype=object)
