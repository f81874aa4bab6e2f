"""How what programme files report is counted: each question with the answers that a plan may choose, in words.

성과조사 files hold the same thing more than once: a firm's totals in each of its 과제, one result told by every partner, an
agreement counted as an arrival, one arrival told by two bodies, a branch beside its head office, a firm in two phases.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args, get_type_hints

from evalkit.errors import PlanError, nearest

RepeatedTotals = Literal["largest", "missing", "once", "error"]
Partners = Literal["each", "lead", "split"]
Attraction = Literal["both", "moves", "agreements"]
Bodies = Literal["once", "each"]
Branches = Literal["separate", "merge"]
Phases = Literal["each", "first"]

QUESTIONS: dict[str, str] = {
    "repeated_totals": "한 기업이 여러 과제에 적은 기업 총량",
    "partners": "한 과제의 참여 기업들이 똑같이 적은 성과",
    "attraction": "유치로 세는 것",
    "bodies": "두 기관이 함께 적은 같은 유치",
    "branches": "이름의 뿌리가 같고 번호가 다른 본사와 지사",
    "phases": "두 단계에 모두 든 기업",
}
CHOICES: dict[str, dict[str, str]] = {
    "repeated_totals": {
        "largest": "한 번만 세고, 과제마다 다르면 가장 큰 값을 쓴다",
        "missing": "한 번만 세고, 과제마다 다르면 쓰지 않는다",
        "once": "같은 값은 한 번만 세고, 다른 값은 서로 다른 성과로 보아 더한다",
        "error": "과제마다 다르면 멈춘다",
    },
    "partners": {
        "each": "기업마다 적은 대로 센다",
        "lead": "주관 기업의 것만 센다",
        "split": "한 번만 세고 참여 기업 수로 나눈다",
    },
    "attraction": {
        "both": "협약(MOU)과 이전·설립을 모두 센다",
        "moves": "이전·설립만 센다",
        "agreements": "협약(MOU)만 센다",
    },
    "bodies": {"once": "한 번만 센다", "each": "적은 기관마다 센다"},
    "branches": {"separate": "번호마다 다른 기업으로 센다", "merge": "본사와 지사를 한 기업으로 센다"},
    "phases": {"each": "단계마다 센다", "first": "처음 든 단계에서만 센다"},
}


@dataclass(frozen=True, slots=True)
class CountingRules:
    """One choice a question; the defaults count as the programmes' own tables do once repeated rows are taken out.

    Raises
    ------
    PlanError : a choice that is not known
    """

    repeated_totals: RepeatedTotals = "largest"
    partners: Partners = "each"
    attraction: Attraction = "both"
    bodies: Bodies = "once"
    branches: Branches = "separate"
    phases: Phases = "each"

    def __post_init__(self) -> None:
        for name, choices in known_choices().items():
            value = getattr(self, name)
            if value not in choices:
                raise PlanError(
                    f"셈 규칙 {name} 에 쓸 수 없는 값 {value!r}",
                    where=("data.counting", name),
                    remedy=nearest(str(value), choices),
                )

    def with_choice(self, question: str, choice: str) -> CountingRules:
        """The rules with one answer changed."""
        return replace(self, **{question: choice})  # type: ignore[arg-type]


def known_choices() -> dict[str, tuple[str, ...]]:
    """Question -> its answers, the default first."""
    hints = get_type_hints(CountingRules)
    return {one.name: get_args(hints[one.name]) for one in fields(CountingRules)}
