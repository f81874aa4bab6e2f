"""Which units stand against which for each estimand of two treatments in a row (see `phase_paths`).

A path is the pair of first periods of the two treatments (de Chaisemartin and D'Haultfœuille 2023): {00} neither,
{10} only the first, {01} only the second, {11} both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators._group_cells import GroupCell
from evalkit.estimators._group_sample import (
    Floats,
    GroupSample,
    Span,
    fixed_labels,
    starting_periods,
)
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.panel import Panel

Estimand = Literal["E1", "E1_persist", "E3_new", "E3_add", "E_cum"]
Level = Literal["event_time", "cell", "overall"]
ESTIMANDS: tuple[Estimand, ...] = get_args(Estimand)
SPLIT_BY_TIER = ("E3_new", "E3_add", "E_cum")

LOST: dict[str, tuple[str, str]] = {
    "E1": (
        "첫 지원(1단계)의 효과",
        "첫 지원 전후의 기간과 그때까지 지원받지 않은 단위가 자료에 있는지 확인할 것",
    ),
    "E1_persist": (
        "둘째 지원을 받지 않은 단위에 남은 첫 지원의 효과",
        "첫 지원만 받은 {10} 단위와 어느 지원도 받지 않은 {00} 단위를 자료에 더할 것",
    ),
    "E3_new": (
        "둘째 지원(3단계)을 처음 받은 단위의 효과",
        "둘째 지원만 받은 {01} 단위와 {00} 단위를 더하거나, E3_add 로 추가 효과만 볼 것",
    ),
    "E3_add": (
        "첫 지원 뒤에 받은 둘째 지원의 추가 효과",
        "첫 지원의 시작이 같고 둘째 지원을 받지 않은 {10} 단위를 더하거나, E_cum 으로 두 지원의 누적 효과만 볼 것",
    ),
    "E_cum": (
        "두 지원을 이어 받은 단위의 누적 효과",
        "두 지원을 모두 받은 {11} 단위와 어느 지원도 받지 않은 {00} 단위를 자료에 더할 것",
    ),
}


@dataclass(frozen=True, slots=True)
class Paths:
    """First periods of both treatments, and the tier of the second.

    first, second : +inf = never  # (N,)
    keys : first, second, tier code; NaN = left out  # (N, 3)
    tiers : labels of the tiers, () without tiers
    """

    first: Floats
    second: Floats
    keys: Floats
    tiers: tuple[Any, ...]
    dropped: dict[str, int]
    notes: tuple[str, ...]


def read_paths(panel: Panel, design: Design, second: str, tier: str | None) -> Paths:
    """The path of each unit.

    Raises
    ------
    DesignError : a unit whose second treatment does not come after its first
    """
    raw_first, raw_second = adoption_codes(panel, design.adoption), adoption_codes(panel, second)
    wrong = np.isfinite(raw_first) & np.isfinite(raw_second) & (raw_second <= raw_first)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DesignError(
            f"둘째 지원({raw_second[at]:g})이 첫 지원({raw_first[at]:g})보다 늦지 않은 단위가 {int(wrong.sum())}개 있음",
            where=(f"단위 {panel.units[at]}",),
            remedy=f"{design.adoption} 과(와) {second} 을(를) 바꾸어 적지 않았는지 보고, 두 지원을 함께 시작한 단위는 빼거나 한 지원으로 볼 것",
        )
    first, later = starting_periods(panel, design.adoption, design), starting_periods(panel, second, design)
    code, dropped = np.zeros(len(first)), {"missing_tier": 0}
    tiers: list[Any] = []
    notes: list[str] = []
    for name, raw, used in ((design.adoption, raw_first, first), (second, raw_second, later)):
        beyond = int((np.isfinite(raw) & np.isinf(used)).sum())
        if beyond:
            notes.append(
                f"{name} 이(가) 자료의 마지막 기간 뒤인 단위 {beyond}개는 아직 지원받지 않은 것으로 봄"
            )
    if tier is not None:
        values, tiers = fixed_labels(panel, tier)
        code = np.where(np.isfinite(later), values, 0.0)
        dropped["missing_tier"] = int(np.isnan(code).sum())
        if dropped["missing_tier"]:
            notes.append(
                f"둘째 지원의 {tier} 이(가) 빈 단위 {dropped['missing_tier']}개는 어느 등급인지 몰라 제외"
            )
    return Paths(first, later, np.column_stack([first, later, code]), tuple(tiers), dropped, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Question:
    """One treated stretch: its clock, the comparison at a limit, and what it is called."""

    estimand: Estimand
    start: float
    other: str
    tier: str
    treated: NDArray[np.bool_]
    comparison: NDArray[np.bool_]  # groups that may ever serve
    starts: Floats  # first period in which a group stops serving
    last: float  # periods from here on are not asked for


def _questions(
    sample: GroupSample, design: Design, asked: tuple[Estimand, ...], tiers: tuple[Any, ...]
) -> Iterator[_Question]:
    """Every treated stretch of every estimand, with its comparison groups."""
    first, second, code = sample.keys.T
    never1, never2 = np.isinf(first), np.isinf(second)
    neither = never1 & never2
    open_ = design.comparison == "not_yet"
    began = second.min() - design.anticipation  # the second treatment may show from here on
    forever = np.full(len(first), np.inf)
    for f in np.unique(first[~never1]):
        same = first == f
        if "E1" in asked:
            pool = (never1 | open_) & ~same
            yield _Question("E1", f, "any", "all", same, pool, np.minimum(first, second), began)
        if "E1_persist" in asked and (same & never2).any():
            yield _Question("E1_persist", f, "never", "all", same & never2, neither, forever, np.inf)
    split = range(len(tiers)) if tiers else (None,)
    for f, g in {(float(a), float(b)) for a, b in zip(first, second, strict=True) if np.isfinite(b)}:
        same = first == f
        for k in split:
            label = "all" if k is None else str(tiers[k])
            treated = same & (second == g) & (True if k is None else code == k)
            if not treated.any():
                continue
            others = same & (never2 | open_) & (second != g)
            if np.isinf(f) and "E3_new" in asked:
                yield _Question("E3_new", g, "never", label, treated, others, second, np.inf)
            if np.isfinite(f) and "E3_add" in asked:
                yield _Question("E3_add", g, f"{f:g}", label, treated, others, second, np.inf)
            if np.isfinite(f) and "E_cum" in asked:
                yield _Question("E_cum", f, f"{g:g}", label, treated, neither, forever, np.inf)


@dataclass(frozen=True, slots=True)
class Plan:
    """Cells with the labels of their rows, and the treated stretches that have no clean period."""

    cells: list[GroupCell]
    terms: pd.MultiIndex
    skipped: list[dict[str, Any]]


def plan_cells(
    sample: GroupSample,
    design: Design,
    asked: tuple[Estimand, ...],
    tiers: tuple[Any, ...],
    level: Level,
    horizon: int | None,
) -> Plan:
    """The cells of the estimands asked for, each in the row of its label."""
    found: list[tuple[tuple[Any, ...], _Question, Span, int, int, tuple[Span, ...]]] = []
    skipped: list[dict[str, Any]] = []
    ahead, labels = design.anticipation, sample.periods
    for q in sorted(
        _questions(sample, design, asked, tiers),
        key=lambda q: (ESTIMANDS.index(q.estimand), q.tier, q.start, q.other),
    ):
        before = sample.before(q.start, ahead)
        (span,) = sample.spans(q.treated)
        if before is None:
            skipped.append(
                {
                    "estimand": q.estimand,
                    "cohort": int(q.start),
                    "other": q.other,
                    "units": span[1] - span[0],
                }
            )
            continue
        for t in range(0 if design.base == "universal" else 1, len(labels)):
            event = int(labels[t] - q.start)
            if labels[t] >= q.last or (horizon is not None and event > horizon):
                continue
            if level == "overall" and event < 0:
                continue
            base = before if design.base == "universal" or labels[t] >= q.start else t - 1
            limit = labels[max(t, base)] + ahead
            controls = sample.spans(q.comparison & (q.starts > limit))
            found.append((_label(q, event, int(labels[t]), level, bool(tiers)), q, span, base, t, controls))
    names = _names(level, bool(tiers))
    keys = sorted({f[0] for f in found}, key=lambda k: (ESTIMANDS.index(k[0]), *map(_order, k[1:])))
    place = {key: i for i, key in enumerate(keys)}
    cells = [
        GroupCell(
            span,
            ((1.0, controls),),
            base,
            t,
            place[key],
            (
                ("estimand", q.estimand),
                ("tier", q.tier),
                ("cohort", int(q.start)),
                ("other", q.other),
                ("period", int(labels[t])),
            ),
        )
        for key, q, span, base, t, controls in found
    ]
    columns = [[key[i] for key in keys] for i in range(len(names))]
    return Plan(cells, pd.MultiIndex.from_arrays(columns, names=names), skipped)


def _order(part: Any) -> tuple[int, Any]:
    return (0, part) if isinstance(part, int) else (1, str(part))


def _names(level: Level, by_tier: bool) -> list[str]:
    head = ["estimand", "tier"] if by_tier else ["estimand"]
    return head + {"event_time": ["event_time"], "overall": [], "cell": ["cohort", "other", "period"]}[level]


def _label(q: _Question, event: int, period: int, level: Level, by_tier: bool) -> tuple[Any, ...]:
    head = (q.estimand, q.tier) if by_tier else (q.estimand,)
    tail: dict[str, tuple[Any, ...]] = {
        "event_time": (event,),
        "overall": (),
        "cell": (int(q.start), q.other, period),
    }
    return head + tail[level]


def composition(sample: GroupSample, tiers: tuple[Any, ...]) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Units used in each path, and in each pair of first periods (0 = never)."""
    first, second, code = sample.keys.T
    sizes = sample.sizes()
    counts = {"00": 0, "10": 0, "01": 0, "11": 0}
    cells = []
    for f, g, k, size in zip(first, second, code, sizes, strict=True):
        counts[f"{int(np.isfinite(f))}{int(np.isfinite(g))}"] += int(size)
        cell: dict[str, Any] = {
            "first": int(f) if np.isfinite(f) else 0,
            "second": int(g) if np.isfinite(g) else 0,
            "units": int(size),
        }
        if tiers and np.isfinite(g):
            cell["tier"] = str(tiers[int(k)])
        cells.append(cell)
    return counts, cells


def lost_sentences(
    asked: tuple[Estimand, ...], kept: set[str], counts: dict[str, int], skipped: list[dict[str, Any]]
) -> list[str]:
    """What each empty path group costs, and the way out."""
    out = []
    empty = [f"{{{path}}}" for path, size in counts.items() if not size]
    if empty:
        out.append(f"경로 {', '.join(empty)} 에 단위가 없음")
    for estimand in asked:
        if estimand not in kept:
            what, remedy = LOST[estimand]
            out.append(f"{estimand}({what})은(는) 추정하지 못함: {remedy}")
    for gone in skipped:
        out.append(
            f"{gone['estimand']}: {gone['cohort']} 에 시작한 단위 {gone['units']}개는 그 전의 깨끗한 기간이 자료에 없어 빠짐"
        )
    return out
