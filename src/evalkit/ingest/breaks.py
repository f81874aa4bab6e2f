"""Known breaks of a source: the day from which a figure means something else. Declared once, here.

What is declared travels with the data and is refused there: `evalkit.breaks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from evalkit.breaks import NOTES, BreakNote, refuse_across
from evalkit.errors import DesignError

Frequency = Literal["year", "month"]
Condition = Literal["always", "current_industry", "current_provinces"]


@dataclass(frozen=True, slots=True)
class Break:
    """A change of what a figure means.

    Attributes
    ----------
    table : declared table or kind of statistic; "*" = any
    variable : column of that table; "*" = every figure of it
    since : the first day on which the new meaning holds
    reason : one Korean clause, what changed
    source : where it is said
    way_out : variables that do not break there, or another way; one Korean clause
    condition : "always"; "current_industry" where figures are sorted by the industry code of their own time;
        "current_provinces" where figures are those of 시·도 with the borders of their own time
    """

    table: str
    variable: str
    since: date
    reason: str
    source: str
    way_out: str = ""
    condition: Condition = "always"

    def first_period(self, frequency: Frequency) -> int:
        """The first period that the new meaning reaches: the year, or the month as 202407."""
        return self.since.year if frequency == "year" else self.since.year * 100 + self.since.month

    def note(self, variable: str, frequency: Frequency) -> dict[str, Any]:
        """What travels with the data: plain values, ready for JSON."""
        return asdict(
            BreakNote(variable, self.first_period(frequency), self.reason, self.source, self.way_out)
        )


BREAKS: tuple[Break, ...] = (
    Break(
        "region_panel",
        "estab_census",
        date(2020, 1, 1),
        "2020년부터 등록 기반 조사로 바뀌어 물리적 장소가 없는 사업체가 들어옴 (전국 +55 %)",
        "전국사업체조사 2020년 기준 개편; 실제 시군구 자료의 2015–2020년 증가율",
        "정의가 바뀌지 않은 결과변수를 고를 것 (예: nps_members, nts_biz_corp)",
    ),
    *(
        Break(
            "industry_panel",
            variable,
            date(2020, 1, 1),
            "2020년부터 등록 기반 조사로 바뀌어 물리적 장소가 없는 사업체가 들어옴 (전국 +55 %)",
            "전국사업체조사 2020년 기준 개편; 실제 시군구 자료의 2015–2020년 증가율",
            "고용보험 상시근로자 수(jobs)나 사업장 수(workplaces)를 쓸 것",
        )
        for variable in ("employees", "establishments", "sales")
    ),
    Break(
        "establishment_census",
        "*",
        date(2020, 1, 1),
        "2020년부터 등록 기반 조사로 바뀌어 물리적 장소가 없는 사업체가 들어옴 (전국 +55 %)",
        "전국사업체조사 2020년 기준 개편; 실제 시군구 자료의 2015–2020년 증가율",
        "2019년까지나 2020년부터의 조사만 쓰거나 고용보험 상시근로자 수를 쓸 것",
    ),
    Break(
        "*",
        "*",
        date(2024, 7, 1),
        "한국표준산업분류 11차가 시행되어 같은 업종 이름이 다른 사업체를 가리킴",
        "한국표준산업분류 11차 개정 (2024-01-01 고시, 2024-07-01 시행)",
        "기업의 지원 전 10차 업종 코드로 나눈 계열을 쓸 것",
        "current_industry",
    ),
    Break(
        "employment_insurance",
        "insured",
        date(2020, 12, 10),
        "고용보험 피보험자에 예술인이 들어옴",
        "고용보험법 개정 (예술인, 2020-12-10 시행)",
        "상시근로자 수(employees)를 쓰거나 상용 피보험자만 셀 것",
    ),
    Break(
        "employment_insurance",
        "insured",
        date(2021, 7, 1),
        "고용보험 피보험자에 노무제공자(특수형태근로종사자)가 들어옴",
        "고용보험법 개정 (노무제공자, 2021-07-01 시행)",
        "상시근로자 수(employees)를 쓰거나 상용 피보험자만 셀 것",
    ),
    *(
        Break(
            table,
            variable,
            date(2026, 1, 1),
            "국민연금 보험료율이 9 %에서 9.5 %로 올라 같은 임금에 고지금액이 늘어남",
            "국민연금법 개정 (보험료율, 2026-01 시행)",
            "고지금액을 보험료율로 나눈 기준소득월액이나 가입자 수를 쓸 것",
        )
        for table, variable in (("national_pension", "premium"), ("region_panel", "nps_premium_krw"))
    ),
    Break(
        "*",
        "*",
        date(2023, 7, 1),
        "군위군이 경상북도에서 대구광역시로 옮겨 두 시·도의 합계가 다른 땅을 가리킴",
        "행정구역 변경 (47720 → 27720, 2023-07-01)",
        "시·군·구 자료를 2018년 경계로 모은 시·도 합계를 쓰거나 대구와 경북을 뺄 것",
        "current_provinces",
    ),
)


def frequency_of(periods: Iterable[int]) -> Frequency:
    """Whether periods are years (2019) or months (201907).

    Raises
    ------
    DesignError : neither
    """
    values = [int(p) for p in periods]
    if all(1900 <= p <= 2200 for p in values):
        return "year"
    if all(1900 <= p // 100 <= 2200 and 1 <= p % 100 <= 12 for p in values):
        return "month"
    raise DesignError(
        f"기간 {values[0]} 이(가) 연도(2019)도 연월(201907)도 아니어서 자료의 단절을 견줄 수 없음",
        remedy="기간을 연도나 연월로 적을 것",
    )


def known_breaks(
    table: str,
    variables: Mapping[str, str],
    frequency: Frequency,
    *,
    current_industry: bool = False,
    current_provinces: bool = False,
) -> list[dict[str, Any]]:
    """The declared breaks of some columns of a table, as they travel.

    Parameters
    ----------
    table : name of the declared table
    variables : name in the panel -> column of the table
    current_industry : whether the figures are sorted by the industry code of their own time (a 업종별 series)
    current_provinces : whether the figures are those of 시·도 with the borders of their own time

    Returns
    -------
    list of plain values, in order of variable and period

    Examples
    --------
    >>> [n["period"] for n in known_breaks("region_panel", {"shops": "estab_census"}, "year")]
    [2020]
    """
    holds = {"always": True, "current_industry": current_industry, "current_provinces": current_provinces}
    found = [
        one.note(name, frequency)
        for name, column in variables.items()
        for one in BREAKS
        if one.table in ("*", table) and one.variable in ("*", column) and holds[one.condition]
    ]
    return sorted(found, key=lambda n: (n["variable"], n["period"], n["reason"]))


def refuse_break(variable: str, first_year: int, last_year: int, *, table: str = "region_panel") -> None:
    """Refuse to compare a column of a declared table in two years with a change of its meaning between them.

    Raises
    ------
    RefusalError : the meaning changed after `first_year` and not later than `last_year`
    """
    if first_year > last_year:
        raise DesignError(
            f"처음 해 {first_year} 이(가) 마지막 해 {last_year} 보다 뒤임", remedy="두 해를 바꾸어 적을 것"
        )
    notes = {NOTES: known_breaks(table, {variable: variable}, "year")}
    refuse_across(notes, variable, (first_year, last_year))


def break_table() -> list[dict[str, str]]:
    """Every declared break in Korean, for a page or the terminal."""
    conditions = {
        "always": "언제나",
        "current_industry": "그 시점의 업종 코드로 나눈 계열",
        "current_provinces": "그 시점 경계의 시·도 합계",
    }
    return [
        {
            "자료": "모든 자료" if b.table == "*" else b.table,
            "변수": "모든 수치" if b.variable == "*" else b.variable,
            "바뀐 날": b.since.isoformat(),
            "까닭": b.reason,
            "해당하는 때": conditions[b.condition],
            "길": b.way_out,
            "근거": b.source,
        }
        for b in BREAKS
    ]
