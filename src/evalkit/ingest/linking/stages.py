"""Stages: the declared rules by which two records are held to be the same workplace, or a workplace that of a firm.

A rule is a row of a table: its name, the columns that must agree, what may differ, and how far apart in time. Stages are
tried in the order in which they stand, strictest first; a link carries its stage, and what one stage leaves undecided is
decided by no looser one. Keys are those of DOMAIN: normalised name, first six digits of the number, 시·군·구 on 2018
boundaries, date of joining (국민연금 가입 사업장 has no more); where a full number is there, it goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from evalkit.errors import PlanError, SchemaError, nearest


@dataclass(frozen=True, slots=True)
class Stage:
    """One rule.

    Attributes
    ----------
    name : of the rule, as tables carry it
    title : Korean
    keys : columns that must agree and be filled
    differs : columns that may differ (they do: records that agree in them too were joined before)
    missed : files in which neither record is seen, at most; None = any number. Of links over time only
    later : a date column that must not lie before the last month in which the earlier record was seen (a re-registration)
    compatible : columns that must not contradict each other: both known ("unknown" is not) and different. Left aside where the
        files lack them. Of links over time only
    near : a date column of both sides, and by how many days it may differ at most. Of links to firms only
    shared : several records of the left may take the same firm of the right (only where the number itself agrees)
    apart : a column that tells records apart whose keys stand twice in one file; of the first stage only
    """

    name: str
    title: str
    keys: tuple[str, ...]
    differs: tuple[str, ...] = ()
    missed: int | None = 0
    later: str = ""
    compatible: tuple[str, ...] = ()
    near: tuple[str, int] | None = None
    shared: bool = False
    apart: str = ""

    def __post_init__(self) -> None:
        if not self.keys:
            raise PlanError(f"연결 단계 {self.name} 에 열쇠 열이 없음", remedy="keys 에 열 이름을 적을 것")
        both = sorted(set(self.keys) & set(self.differs))
        if both:
            raise PlanError(
                f"연결 단계 {self.name} 에서 열 {', '.join(both)} 이(가) 같아야 하면서 달라도 됨",
                remedy="keys 와 differs 가운데 한 곳에만 적을 것",
            )
        if self.missed is not None and self.missed < 0:
            raise PlanError(
                f"연결 단계 {self.name} 의 missed 값 {self.missed} 이(가) 음수임",
                remedy="0 이상의 정수로 적을 것",
            )
        if self.near is not None and self.near[1] < 0:
            raise PlanError(
                f"연결 단계 {self.name} 의 날짜 차이 {self.near[1]} 이(가) 음수임",
                remedy="0 이상의 정수로 적을 것",
            )


_NAME, _HEAD, _REGION, _JOINED, _FIRM = "name_key", "head_key", "region", "joined", "firm_id"

WORKPLACE_STAGES: tuple[Stage, ...] = (
    Stage("exact", "열쇠가 모두 같음", (_NAME, _HEAD, _REGION, _JOINED), apart="place_kind"),
    Stage("moved", "이전 (다음 파일)", (_NAME, _HEAD, _JOINED), (_REGION,)),
    Stage("renamed", "상호 변경·오기", (_HEAD, _REGION, _JOINED), (_NAME,)),
    Stage("exact_after_gap", "보이지 않다가 같은 열쇠로", (_NAME, _HEAD, _REGION, _JOINED), missed=None),
    Stage("moved_after_gap", "이전 (몇 달 뒤)", (_NAME, _HEAD, _JOINED), (_REGION,), missed=3),
    Stage(
        "registered_again",
        "재가입",
        (_NAME, _HEAD, _REGION),
        (_JOINED,),
        missed=12,
        later=_JOINED,
        compatible=("place_kind",),
    ),
)
"""Monthly files without a full number. Moves and new names come before gaps: a workplace that goes and comes back, or whose
name is misspelt for a month, fills its own gap."""

NUMBERED_STAGES: tuple[Stage, ...] = (
    Stage("exact", "열쇠가 모두 같음", (_FIRM, _NAME, _REGION, _JOINED), apart="place_kind"),
    Stage("moved", "이전 (다음 파일)", (_FIRM, _NAME, _JOINED), (_REGION,)),
    Stage("renamed", "상호 변경·오기", (_FIRM, _REGION, _JOINED), (_NAME,)),
    Stage("exact_after_gap", "보이지 않다가 같은 열쇠로", (_FIRM, _NAME, _REGION, _JOINED), missed=None),
    Stage("moved_after_gap", "이전 (한 해 뒤)", (_FIRM, _NAME, _JOINED), (_REGION,), missed=1),
    Stage(
        "registered_again",
        "재가입",
        (_FIRM, _NAME, _REGION),
        (_JOINED,),
        missed=1,
        later=_JOINED,
        compatible=("place_kind",),
    ),
)
"""Year-end files with the full number (고용·산재보험): one number may have several workplaces."""

FIRM_STAGES: tuple[Stage, ...] = (
    Stage("number", "사업자등록번호", (_FIRM,), shared=True),
    Stage(
        "name_head_region_date", "이름·앞 여섯 자리·지역·날짜", (_NAME, _HEAD, _REGION), near=(_JOINED, 366)
    ),
    Stage("name_head_region", "이름·앞 여섯 자리·지역", (_NAME, _HEAD, _REGION)),
    Stage("name_head", "이름·앞 여섯 자리", (_NAME, _HEAD), (_REGION,)),
    Stage("name_region_date", "이름·지역·날짜", (_NAME, _REGION), (_HEAD,), near=(_JOINED, 366)),
    Stage("name_region", "이름·지역", (_NAME, _REGION), (_HEAD, _JOINED)),
)
"""Programme firms to workplaces: the number where both have it, else names, with less and less beside them."""


def checked(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages as a tuple.

    Raises
    ------
    PlanError : none, or two of one name
    """
    table = tuple(stages)
    if not table:
        raise PlanError("연결 단계가 하나도 없음", remedy="단계를 하나 이상 적을 것")
    names = [stage.name for stage in table]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanError(f"연결 단계 {', '.join(twice)} 이(가) 두 번 있음", remedy="이름을 하나씩만 쓸 것")
    return table


def require_columns(frames: Sequence[pd.DataFrame], columns: Iterable[str], what: str) -> None:
    """Every frame has every column.

    Raises
    ------
    SchemaError : names the frame and the column
    """
    wanted = tuple(dict.fromkeys(columns))
    for number, frame in enumerate(frames, start=1):
        for name in wanted:
            if name not in frame.columns:
                raise SchemaError(
                    f"열 {name!r} 이(가) 표에 없음",
                    where=(f"{what} {number}번째 표" if len(frames) > 1 else what,),
                    remedy=nearest(name, map(str, frame.columns)),
                )


def stage_table(stages: Iterable[Stage]) -> pd.DataFrame:
    """The rules as a Korean table, for the report's appendix."""
    rows = [
        {
            "단계": stage.title,
            "같아야 하는 열": ", ".join(stage.keys),
            "다를 수 있는 열": ", ".join(stage.differs),
            "서로 어긋나면 안 되는 열": ", ".join(stage.compatible),
            "보이지 않아도 되는 파일 수": "제한 없음" if stage.missed is None else str(stage.missed),
            "날짜 차이(일)": "" if stage.near is None else f"{stage.near[0]} {stage.near[1]}",
        }
        for stage in stages
    ]
    return pd.DataFrame(rows)
