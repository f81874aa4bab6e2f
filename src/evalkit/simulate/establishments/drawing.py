"""Firms and establishments as they begin: numbers, names, places, sizes, births and deaths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest import regions
from evalkit.simulate.establishments.model import (
    BRANCH,
    HEAD_OFFICE,
    LABORATORY,
    NEVER,
    PLANT,
    Firms,
    Places,
)

CORPORATION_SHARE = 0.72
MEDIAN_PERSONS = (9.0, 2.5)  # corporations, individuals
LOG_SIZE_SD = 1.0
ESTABLISHMENTS = (0.66, 0.19, 0.10, 0.05)  # share of corporations with one, two, three, four
LATER_SHARE = 0.2  # of firms, and of further establishments: they begin within the window
MONTHLY_DEATH = 0.004  # of firms of nine persons; falls with size to the power 0.3
OWN_NUMBER_SHARE = 0.6  # of further establishments of corporations: a number of a branch (85)
CAPITAL_SHARE = 0.45
TWIN_SHARE = 0.01  # of firms: at least two pairs
OLDER_SHARE = 0.06
_WATCHED = ("47720", "42110", "42130", "45110", "45130", "45111")  # 군위, 강원, 전북: their codes change

_SYLLABLES = "가나다라마바사아자차카타하고노도로모보소오조호구누두루무부수우주후기니디리미비시이지"
STEMS = ("전자", "소재", "테크", "바이오", "정밀", "식품", "화학", "모빌리티", "에너지", "시스템")
INDUSTRIES = (
    ("26299", "그 외 기타 전자 부품 제조업"), ("20499", "그 외 기타 분류 안된 화학제품 제조업"),
    ("29299", "그 외 기타 특수 목적용 기계 제조업"), ("21210", "완제 의약품 제조업"), ("28202", "축전지 제조업"),
    ("10799", "그 외 기타 식료품 제조업"), ("20423", "화장품 제조업"), ("30399", "그 외 자동차용 신품 부품 제조업"),
    ("35114", "태양력 발전업"), ("62010", "컴퓨터 프로그래밍 서비스업"),
)  # fmt: skip
FORMS = ("{}", "(주){}", "{}(주)", "주식회사 {}", "㈜{}", "유한회사 {}")


def draw_firms(rng: np.random.Generator, n: int) -> Firms:
    """Firms with numbers of their own and roots of their own, twins aside."""
    corporation = rng.random(n) < CORPORATION_SHARE
    taxable = rng.integers(1, 80, size=n)
    pair = np.where(corporation, rng.choice([81, 86, 87, 88], size=n), taxable)
    industry = rng.integers(len(STEMS), size=n)
    twins = max(2, round(TWIN_SHARE * n))
    corporate = np.flatnonzero(corporation)
    chosen = rng.permutation(corporate)[: 2 * min(twins, len(corporate) // 2)]
    twin = np.full(n, -1)
    twin[chosen[1::2]] = chosen[::2]
    first = np.array([f"{o:03d}{p:02d}" for o, p in zip(rng.integers(101, 700, size=n), pair, strict=True)])
    serial = rng.permutation(10_000 * max(1, -(-n // 10_000)))[:n] % 10_000
    head = np.char.add(first, np.array([f"{s:04d}" for s in serial]))
    has = twin >= 0
    head[has] = [  # the same six digits, other digits behind them
        f"{head[other][:6]}{(int(head[other][6:9]) + 1 + int(head[own][6:9]) % 997) % 1000:03d}"
        for own, other in zip(np.flatnonzero(has), twin[has], strict=True)
    ]
    head = _apart(head, ~has)
    roots = draw_roots(rng, 2 * n)
    stems = np.array(STEMS, dtype=object)[industry]
    root = np.stack([roots[:n] + stems, roots[n:] + stems])
    root[0, has] = root[0, twin[has]]
    form = np.where(corporation, rng.integers(1, len(FORMS), size=(2, n)), 0)
    return Firms(
        corporation=corporation,
        number=checked(head),
        root=root,
        form=form,
        renamed=np.full(n, NEVER),
        industry=industry,
        twin=twin,
    )


def draw_roots(rng: np.random.Generator, n: int) -> NDArray[np.object_]:
    """Different words of three syllables (four in worlds of more than fifty thousand)  # (n,)"""
    letters = np.array(list(_SYLLABLES), dtype=object)
    length = 3 if n < len(letters) ** 3 // 2 else 4
    numbers = rng.choice(len(letters) ** length, size=n, replace=False)
    words = np.full(n, "", dtype=object)
    for _ in range(length):
        words = words + letters[numbers % len(letters)]
        numbers = numbers // len(letters)
    return words


def _apart(first_nine: NDArray[np.str_], free: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Numbers made different where they are not, by the office of those that may change it."""
    out = first_nine.copy()
    for step in range(1, 500):
        _, at, counts = np.unique(out, return_inverse=True, return_counts=True)
        again = np.flatnonzero((counts[at] > 1) & free)
        if not len(again):
            break
        out[again] = [f"{101 + (int(t[:3]) - 101 + step * (i % 7 + 1)) % 599:03d}{t[3:]}" for i, t in zip(again, out[again], strict=True)]  # fmt: skip
    return out


def checked(first_nine: NDArray[np.str_]) -> NDArray[np.object_]:
    """Numbers with their check digit (weights 1,3,7,1,3,7,1,3,5 and the tens of five times the ninth)."""
    digits = np.array([list(text) for text in first_nine.tolist()]).astype(np.int64)
    total = digits @ np.array([1, 3, 7, 1, 3, 7, 1, 3, 5]) + digits[:, 8] * 5 // 10
    return np.array(
        [f"{text}{digit}" for text, digit in zip(first_nine.tolist(), (10 - total % 10) % 10, strict=True)],
        dtype=object,
    )


def draw_places(
    rng: np.random.Generator,
    firms: Firms,
    codes: NDArray[np.str_],
    first_month: np.datetime64,
    months: int,
) -> Places:
    """Establishments: the head office of each firm first, then the others in order of firm."""
    n = len(firms.corporation)
    count = np.where(firms.corporation, 1 + rng.choice(4, size=n, p=ESTABLISHMENTS), 1)
    count[firms.twin >= 0] = 1
    count[firms.twin[firms.twin >= 0]] = 1
    firm = np.concatenate([np.arange(n), np.repeat(np.arange(n), count - 1)])
    size = len(firm)
    further = np.arange(size) >= n
    kind = np.where(
        further, rng.choice([BRANCH, LABORATORY, PLANT], size=size, p=[0.45, 0.2, 0.35]), HEAD_OFFICE
    )
    median = np.where(firms.corporation, *MEDIAN_PERSONS)
    persons = np.clip(median * np.exp(LOG_SIZE_SD * rng.standard_normal(n)), 1, 2_000)
    share = rng.uniform(0.5, 1.5, size=size)
    total = np.bincount(firm, weights=share, minlength=n)
    base = np.maximum(1.0, (persons * np.sqrt(count))[firm] * share / total[firm])
    # births: negative before the window
    later = rng.random(n) < LATER_SHARE
    founded = np.where(
        later & (months > 2), rng.integers(1, max(2, months), size=n), -rng.integers(1, 300, size=n)
    )
    born = founded[firm]
    late = further & (rng.random(size) < LATER_SHARE) & (months > 2)
    born = np.where(late, np.maximum(born, rng.integers(1, max(2, months), size=size)), born)
    firm_died = _deaths(rng, MONTHLY_DEATH * (9 / persons) ** 0.3, np.maximum(founded, 0), months)
    own_died = _deaths(rng, np.full(size, 0.003), np.maximum(born, 0), months)
    died = np.where(further, np.minimum(own_died, firm_died[firm]), firm_died[firm])
    died = np.where(born >= died, np.minimum(born + 1, NEVER), died)
    region = _regions(rng, firms, firm, further, codes)
    day = rng.integers(0, 28, size=size)
    joined = (first_month + born).astype("datetime64[D]") + day
    number = firms.number[firm].copy()
    own = further & (rng.random(size) < OWN_NUMBER_SHARE)
    number[own] = _branch_numbers(rng, int(own.sum()))
    twin = np.flatnonzero(firms.twin >= 0)
    other = firms.twin[twin]
    region[twin] = region[other]
    alike = rng.random(len(twin)) < 0.5  # hard twins: even the day is the same
    joined[twin[alike]], born[twin[alike]] = joined[other[alike]], born[other[alike]]
    died[twin] = np.where(died[twin] <= born[twin], NEVER, died[twin])
    nothing = np.full(size, np.datetime64("NaT"), dtype="datetime64[D]")
    return Places(
        firm=firm,
        kind=kind,
        born=born,
        died=died,
        base=base,
        number=number,
        suffix=rng.integers(8, size=size),
        older=np.clip(rng.normal(OLDER_SHARE, 0.04, size=size), 0, 0.3),
        region=np.repeat(region[:, None], months, axis=1),
        street=np.repeat(rng.integers(10_000, size=size)[:, None], months, axis=1),
        joined=joined,
        joined_again=nothing,
        again_from=np.full(size, NEVER),
        again_gap=np.zeros(size, dtype=np.int64),
        again_new=np.zeros(size, dtype=bool),
        empty_from=np.full(size, NEVER),
        employees=np.zeros((size, months), dtype=np.int64),
    )


def _deaths(
    rng: np.random.Generator, hazard: NDArray[np.float64], start: NDArray[np.int64], months: int
) -> NDArray[np.int64]:
    """First month no longer there, at least one month after the start; NEVER where that is beyond the window."""
    wait = rng.geometric(np.clip(hazard, 1e-6, 1))
    month = start + wait
    return np.where(month < months, month, NEVER)


def _regions(
    rng: np.random.Generator,
    firms: Firms,
    firm: NDArray[np.int64],
    further: NDArray[np.bool_],
    codes: NDArray[np.str_],
) -> NDArray[np.int64]:
    """Place of each establishment: half of the further ones stand beside the head office."""
    capital = np.isin(regions.sido_of(codes), regions.CAPITAL)
    weight = np.where(capital, CAPITAL_SHARE / capital.sum(), (1 - CAPITAL_SHARE) / (~capital).sum())
    drawn = rng.choice(len(codes), size=len(firm), p=weight / weight.sum())
    n = len(firms.corporation)
    watched = np.searchsorted(codes, np.array(_WATCHED))
    drawn[: min(2 * len(watched), n)] = np.resize(watched, min(2 * len(watched), n))
    beside = further & (rng.random(len(firm)) < 0.5)
    return np.where(beside, drawn[firm], drawn)


def _branch_numbers(rng: np.random.Generator, n: int) -> NDArray[np.object_]:
    office = rng.integers(101, 700, size=n)
    serial = rng.permutation(10_000 * max(1, -(-n // 10_000)))[:n] % 10_000
    head = np.array([f"{o:03d}85{s:04d}" for o, s in zip(office, serial, strict=True)], dtype="U9")
    if not n:
        return np.array([], dtype=object)
    return checked(_apart(head, np.ones(n, dtype=bool)))
