"""What cannot be true together in a fact file: a figure in words, a year before the phase, money in no unit of money."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from evalkit.programmes.fact_file import FactFile, Source
from evalkit.programmes.records import Fact
from evalkit.strict_yaml import Place

Contradiction = tuple[Place, str, str]
Find = Callable[[str], Fact]

MONEY = {"원": 1e-8, "천원": 1e-5, "만원": 1e-4, "백만원": 0.01, "천만원": 0.1, "억원": 1.0, "조원": 10_000.0}
"""Units of money in 억원."""
OUTCOMES = {
    "jobs": ("명",),
    "regular_share": ("%",),
    "youth_share": ("%",),
    "commercialisation_sales": ("억원",),
    "core_firms_attracted": ("건", "개", "개사"),
    "core_firms_from_capital": ("건", "개", "개사"),
}
"""Outcomes of a phase that pages put beside the sums of the 성과조사, with the unit of those sums."""
_FIGURE = re.compile(r"[-+−]?\d[\d,.]*\s*\S*")
_SAME = ({"개", "건", "개사", "곳"}, {"명", "인"})


def in_use(file: FactFile, find: Find) -> Iterator[Contradiction]:
    """Place, problem and way out wherever a part of the file uses a fact that it cannot, in the order of the file.

    Parameters
    ----------
    find : a fact by its name; every fact that the file names is there
    """
    return chain(_budgets(file, find), _growth(file, find), _targets(file, find))


def in_facts(file: FactFile, sources: Mapping[str, Source]) -> Iterator[Contradiction]:
    """Place, problem and way out of every fact that contradicts its own name, phase or document.

    Parameters
    ----------
    sources : documents by name, the file's own among them
    """
    spans = {phase.number: phase.years for phase in file.phases}
    for name, row in file.facts.items():
        place: Place = ("facts", name)
        if isinstance(row.value, str) and row.status != "stated" and _FIGURE.fullmatch(row.value.strip()):
            yield (
                (*place, "value"),
                f"수치 {row.value!r} 이(가) 글로 적힘",
                "따옴표·쉼표·단위를 빼고 수만 적고, 단위는 unit 에 적을 것",
            )
        if not isinstance(row.value, str | None) and not row.unit:
            yield place, f"사실 {name!r} 의 수치 {row.value} 에 단위가 없음", "unit: 명 처럼 적을 것"
        start = re.match(r"(\d+)\.", name)
        if start is None:
            continue
        number = int(start[1])
        if number not in spans:
            yield (
                place,
                f"사실 {name!r} 의 {number}단계가 phases 에 없음",
                f"이름표의 첫 수는 단계 번호임: phases 에 적거나 {', '.join(map(str, spans)) or '글자'} (으)로 시작할 것",
            )
        elif row.status == "realised" and ".outcome." in name and row.year and row.year < spans[number][0]:
            yield (
                (*place, "year"),
                f"{number}단계({spans[number][0]}–{spans[number][1]}년)의 성과인데 연도 {row.year} 이(가) 단계의 시작보다 앞섬",
                f"연도를 확인하고, 사업 전의 값이면 이름표를 {number}.baseline.… 으로 바꿀 것",
            )
        outcome = re.fullmatch(r"\d+\.outcome\.(\w+)", name)
        wanted = OUTCOMES.get(outcome[1]) if outcome is not None else None
        if wanted is not None and row.unit not in wanted:
            yield (
                (*place, "unit"),
                f"{name} 은(는) 성과조사의 합과 나란히 놓이는 수치인데 단위가 {row.unit!r} 임",
                f"단위를 {wanted[0]} (으)로 바꾸어 적거나 다른 이름표를 쓸 것",
            )
        if wanted is not None and row.status != "realised":
            yield (
                (*place, "status"),
                f"{name} 은(는) 성과조사의 합과 나란히 놓이는 실적인데 status 가 {row.status} 임",
                f"실적이 아니면 이름표를 {number}.target.{name.split('.')[-1]} 처럼 바꿀 것",
            )
        published = sources[row.source].date[:4] if row.source in sources else ""
        if row.status == "realised" and row.year and published.isdigit() and row.year > int(published):
            yield (
                (*place, "year"),
                f"실적의 연도 {row.year} 이(가) 출처 {row.source} 의 날짜({sources[row.source].date})보다 뒤임",
                "연도나 출처의 날짜를 고치고, 아직 이루지 않은 수치면 status 를 planned 나 target 으로 적을 것",
            )


def _budgets(file: FactFile, find: Find) -> Iterator[Contradiction]:
    for k, line in enumerate(file.budgets):
        place, found = ("budgets", k, "fact"), find(line.fact)
        if not isinstance(found.value, int | float):
            yield place, f"예산의 사실 {line.fact!r} 이(가) 수가 아님", "value 에 금액을 수로 적을 것"
        elif found.value <= 0:
            yield (
                place,
                f"예산 {line.fact!r} 의 금액 {found.value} 이(가) 0보다 크지 않음",
                "금액을 확인할 것",
            )
        elif found.unit not in MONEY:
            yield (
                place,
                f"예산 {line.fact!r} 의 단위 {found.unit!r} 은(는) 금액의 단위가 아님",
                f"unit 을 {', '.join(MONEY)} 가운데 하나로 적을 것",
            )
        if line.years[0] > line.years[1]:
            yield (
                ("budgets", k, "years"),
                f"years {list(line.years)} 이(가) 거꾸로임",
                f"[{line.years[1]}, {line.years[0]}] (으)로 적을 것",
            )


def _growth(file: FactFile, find: Find) -> Iterator[Contradiction]:
    for k, row in enumerate(file.growth):
        before, after = find(row.before), find(row.after)
        for key, name, found in (("from", row.before, before), ("to", row.after, after)):
            if not isinstance(found.value, int | float):
                yield (
                    ("growth", k, key),
                    f"증감을 구할 사실 {name!r} 이(가) 수가 아님",
                    "value 에 수를 적을 것",
                )
        if not _alike(before.unit, after.unit):
            yield (
                ("growth", k, "to"),
                f"단위 {after.unit!r} 이(가) 앞의 단위 {before.unit!r} 와(과) 달라 증감을 구할 수 없음",
                "같은 단위의 수치를 적을 것",
            )


def _targets(file: FactFile, find: Find) -> Iterator[Contradiction]:
    for k, row in enumerate(file.targets):
        target = find(row.target)
        for key, name in (("target", row.target), ("baseline", row.baseline), ("actual", row.actual)):
            if name is None:
                continue
            found = find(name)
            place = ("targets", k, key)
            if not isinstance(found.value, int | float):
                yield place, f"목표와 견줄 사실 {name!r} 이(가) 수가 아님", "value 에 수를 적을 것"
            elif not _alike(found.unit, target.unit):
                yield (
                    place,
                    f"사실 {name!r} 의 단위 {found.unit!r} 이(가) 목표의 단위 {target.unit!r} 와(과) 달라 견줄 수 없음",
                    "같은 단위의 수치를 적을 것",
                )
            elif key == "target" and found.value == 0:
                yield place, f"목표 {name!r} 이(가) 0 이라 달성률을 구할 수 없음", "목표값을 확인할 것"


def _alike(one: str, other: str) -> bool:
    """Units that may be compared: the same, both of money, or two words for one."""
    return one == other or (one in MONEY and other in MONEY) or any({one, other} <= words for words in _SAME)
