"""Faults that 시·군·구 collections have shown, looked for in a panel; each finding is one Korean sentence.

Seen in the sources of real panels: a total that is not the sum of its parts, one snapshot exactly doubled (every value
even), two neighbours swapped in one year, rows shifted, a change of definition read as growth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.table import Table

SUMS = (("nts_biz_total", ("nts_biz_corp", "nts_biz_indiv")),)
COUNTS = ("population", "nts_biz_corp", "nts_biz_indiv", "nps_members", "nps_workplaces")
_JUMP = 0.25  # log points: half of the step that a swap must make


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `rows` counts the cells or pairs concerned."""

    check: str
    passed: bool
    sentence: str
    rows: int = 0


def audit(table: Table) -> tuple[Finding, ...]:
    """All checks on a region panel."""
    frame = table.frame
    findings = [finding for total, parts in SUMS for finding in _sums(frame, total, parts)]
    present = [name for name in COUNTS if name in frame and frame[name].notna().any()]
    findings.append(_doubled(frame, present))
    findings.append(_swapped(frame, present))
    findings.append(_complete(frame))
    return tuple(findings)


def _sums(frame: pd.DataFrame, total: str, parts: tuple[str, ...]) -> list[Finding]:
    if not {total, *parts} <= set(frame.columns):
        return []
    known = frame[[total, *parts]].notna().all(axis=1)
    if not known.any():
        return []
    gap = (frame[total] - frame[list(parts)].sum(axis=1))[known]
    wrong = gap[gap.abs() > 0.5]
    name = f"{total} = {' + '.join(parts)}"
    if wrong.empty:
        return [Finding(name, True, f"합계가 부분의 합과 모두 같음 ({int(known.sum())}행)")]
    row = int(frame.loc[wrong.index[0], "source_row"])
    return [
        Finding(
            name,
            False,
            f"합계가 부분의 합과 다른 행이 {len(wrong)}개 있음 (처음: {row}행, 차이 {wrong.iloc[0]:g})",
            len(wrong),
        )
    ]


def _doubled(frame: pd.DataFrame, names: list[str]) -> Finding:
    """A year in which every value of a count is even: by chance once in 2^n."""
    found = []
    for name in names:
        known = frame[[name, "year"]].dropna()
        even = (known[name] % 2 == 0).groupby(known["year"]).agg(["all", "size"])
        for year in even.index[even["all"] & (even["size"] >= 20)]:
            found.append(f"{name} {int(year)}년")
    if found:
        return Finding(
            "두 배로 적힌 해",
            False,
            f"모든 값이 짝수라 두 배로 적힌 것으로 보이는 해가 있음: {', '.join(found)}",
            len(found),
        )
    return Finding("두 배로 적힌 해", True, "모든 값이 짝수인 해가 없음")


def _wide(frame: pd.DataFrame, name: str) -> tuple[NDArray[np.float64], list[str], list[int]]:
    table = frame.pivot(index="region", columns="year", values=name).sort_index()
    return table.to_numpy(dtype=np.float64), [str(r) for r in table.index], [int(y) for y in table.columns]


def _swapped(frame: pd.DataFrame, names: list[str]) -> Finding:
    """Two units of one 시·도 whose values change places for one year and come back."""
    found: list[str] = []
    for name in names:
        if frame.duplicated(["region", "year"]).any():
            continue
        values, regions, years = _wide(frame, name)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(values)
        for t in range(1, len(years) - 1):
            around = (logs[:, t - 1] + logs[:, t + 1]) / 2
            steady = np.abs(logs[:, t + 1] - logs[:, t - 1]) < _JUMP
            odd = np.flatnonzero(np.isfinite(around) & steady & (np.abs(logs[:, t] - around) > 2 * _JUMP))
            for i, first in enumerate(odd):
                for second in odd[i + 1 :]:
                    close = (
                        abs(logs[first, t] - around[second]) < _JUMP
                        and abs(logs[second, t] - around[first]) < _JUMP
                    )
                    if close and regions[first][:2] == regions[second][:2]:
                        found.append(f"{name} {years[t]}년 {regions[first]}↔{regions[second]}")
    if found:
        return Finding(
            "한 해만 뒤바뀐 두 지역",
            False,
            f"한 해만 서로 뒤바뀐 것으로 보이는 지역이 있음: {', '.join(found[:5])}",
            len(found),
        )
    return Finding("한 해만 뒤바뀐 두 지역", True, "한 해만 서로 뒤바뀐 지역이 없음")


def _complete(frame: pd.DataFrame) -> Finding:
    regions, years = frame["region"].nunique(), frame["year"].nunique()
    gap = regions * years - len(frame)
    if gap:
        return Finding(
            "빠진 지역×연도", False, f"{regions}개 지역 × {years}개 연도 가운데 {gap}개가 없음", gap
        )
    return Finding("빠진 지역×연도", True, f"{regions}개 지역 × {years}개 연도가 모두 있음")
