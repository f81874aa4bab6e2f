"""What the same method finds where nothing can have happened: at earlier dates and in industries that are not supported.

In time: adoption is moved back within the data before the true adoption, by every feasible shift, and the placebo effects
are tested together. In industry: units of industries that the programme does not target, in the treated places, as if
treated (Gruber 1994's third difference, read on its own). In place: `evalkit.checks.placebo_places`; in outcome and in
exposure: `evalkit.checks.negative_controls`.

Checked against `two_way_effects` on panels cut by hand and diff_diff 3.13 (live): tests/reference/test_placebo.py.
Differences: diff_diff moves adoption to one date at a time, has no joint test and no placebo in industry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.checks._before import Cut, before_treatment, shifted, treated_dates
from evalkit.checks._joint import Fits, Placebo, placebo_check, table_of, together
from evalkit.checks.reassignment import require_level
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.refit import Fit, only_term
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

__all__ = ["Placebo", "placebo_in_industry", "placebo_in_time"]

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="placebo_in_time",
        name="시점 위약",
        english="placebo in time",
        group="robustness",
        question="지원 전 자료에서 도입 시점을 앞당기면 없어야 할 효과가 나오는가?",
        assumptions=("예상 기간보다 앞선 때에는 지원의 효과가 없다.",),
        returns="Placebo: 앞당긴 기간마다의 추정치와 구간, 결합 p값, Check",
        reference="Angrist & Pischke (2009); Roth (2022)",
        oracle=("손으로 자른 패널의 이원고정효과, diff_diff 3.13: tests/reference/test_placebo.py",),
        differs="가능한 모든 시점을 함께 검정하고, 위약 구간이 실제 효과를 품으면 통과로 세지 않는다.",
        refuses="지원 전 기간이 둘보다 적은 자료: 장소 위약을 쓴다.",
    ),
    MethodCard(
        function="placebo_in_industry",
        name="산업 위약",
        english="placebo in non-target industries",
        group="robustness",
        question="같은 지역의 지원 대상이 아닌 산업에서도 효과가 나타나는가?",
        assumptions=("대상이 아닌 산업에는 지원이 닿지 않는다(같은 지역 안의 파급이 없다).",),
        returns="Placebo: 산업마다의 추정치와 구간, 결합 p값, Check",
        reference="Gruber (1994); Olden & Møen (2022)",
        oracle=("손으로 고른 산업의 이원고정효과: tests/reference/test_placebo.py",),
    ),
)


def placebo_in_time(
    panel: Panel,
    design: Design,
    fit: Fit,
    *,
    shifts: Sequence[int] | None = None,
    cut: Cut = "periods",
    joint: Literal["auto", "wald", "holm"] = "auto",
    level: float = 0.95,
) -> Placebo:
    """The effect of adoption dates moved back within the data before the true adoption (less anticipation).

    Parameters
    ----------
    fit : one-term method
    shifts : periods by which adoption is moved back; None = every one that leaves a period before and one after
    cut : "periods" keeps the periods before the first adoption; "cells" keeps each unit's own periods before adoption,
        more data under staggered adoption, for methods that take unbalanced panels
    joint : how the placebos are tested together

    Returns
    -------
    Placebo of kind "time"; rows "shift" with the columns of an estimate, ``before`` and ``after`` (periods on each side of
    the first moved date)

    Raises
    ------
    DesignError : fewer than two clean periods before adoption, or no shift asked for is feasible
    """
    require_level(level)
    clean, dates = before_treatment(panel, design, design.anticipation, cut)
    actual = fit(panel, design)
    only_term(actual)
    first = float(dates.min())
    wanted = (
        range(1, int(dates[np.isfinite(dates)].max() - clean.periods[0]) + 1) if shifts is None else shifts
    )
    if any(not (isinstance(s, int | np.integer) and s >= 1) for s in wanted):
        raise UsageError(
            f"당길 기간 {list(wanted)} 에 1 이상의 정수가 아닌 값이 있음", remedy="1, 2, … 로 적을 것"
        )
    fits, sides = Fits(), {}
    for shift in wanted:
        moved = _moved(clean, design, dates, int(shift))
        if moved is None:
            if shifts is not None:
                fits.failed[str(shift)] = "옮긴 시점의 앞이나 뒤에 남는 기간이 없음."
            continue
        begin = float(np.min(moved.constant(design.adoption)))
        sides[int(shift)] = (
            int((moved.periods < begin - design.anticipation).sum()),
            int((moved.periods >= begin).sum()),
        )
        fits.attempt(int(shift), fit, moved, design)
    if not sides:
        raise DesignError(
            f"지원 전의 깨끗한 기간이 {len(clean.periods)}개라 시점을 당겨 볼 수 없음 (예상 {design.anticipation}기간)",
            where=(f"기간 {panel.periods[0]}–{panel.periods[-1]}", f"첫 지원 {first:g}"),
            remedy="지원 전 자료를 두 기간 이상 붙이거나 장소 위약(placebo_in_place)을 쓸 것",
        )
    table = table_of(fits.done, level, "shift")
    table["before"] = [sides[s][0] for s in fits.done]
    table["after"] = [sides[s][1] for s in fits.done]
    return _family("time", "placebo_in_time", fits, table, actual, joint, level)


def _moved(clean: Panel, design: Design, dates: Floats, shift: int) -> Panel | None:
    """The panel with moved dates; None where the moved date is no period of its own or a side is empty."""
    moved = np.unique(dates[np.isfinite(dates)] - shift)
    inside = np.isin(moved, clean.periods) & (moved - design.anticipation > clean.periods[0])
    return shifted(clean, design, dates, shift) if inside.any() else None


def _family(
    kind: str,
    name: str,
    fits: Fits,
    table: pd.DataFrame,
    actual: Estimate,
    joint: str,
    level: float,
) -> Placebo:
    p_value, combined = together(
        list(fits.done.values()), table["p_value"].to_numpy(dtype=np.float64), how=joint
    )
    check = placebo_check(name, fits, table, p_value, level=level, actual=actual)
    return Placebo(kind, table, only_term(actual), p_value, combined, dict(fits.failed), check)


# -- industry --------------------------------------------------------------------------------------------


def placebo_in_industry(
    panel: Panel,
    design: Design,
    fit: Fit,
    *,
    industry: str | ArrayLike,
    target: Sequence[Any] | None = None,
    place: str | None = None,
    joint: Literal["auto", "wald", "holm"] = "auto",
    level: float = 0.95,
) -> Placebo:
    """Units of industries that are not supported, in the treated places, as if treated.

    Parameters
    ----------
    industry : name of a fixed variable, with `target` its supported values; or a mask, True = target industry  # (N,)
    place : fixed variable of the places that were designated; None = the design's cluster. Units of a place without a
        date of their own get the first date of its target units

    Returns
    -------
    Placebo of kind "industry": one row an industry that is not a target, and "(all)" for them together where there are
    several; the joint p-value is that of the single industries

    Raises
    ------
    DesignError : no unit outside the target industries, no place with a treated target unit, or no place to go by
    UsageError : a mask of another length, a target value that no unit has
    """
    require_level(level)
    names, targets = _industries(panel, industry, target)
    dates = treated_dates(panel, design)
    key = design.cluster if place is None else place
    if key is None:
        raise DesignError(
            "어느 장소가 지정되었는지 알 군집 변수가 없음",
            remedy="place 에 지역을 나타내는 고정 변수의 이름을 적을 것",
        )
    codes, labels = panel.clusters(key)
    own = np.full(len(labels), np.inf)
    np.minimum.at(own, codes[targets], dates[targets])
    if not np.isfinite(own).any():
        raise DesignError(
            f"대상 산업({', '.join(map(str, target)) if target else '표시된 단위'})에 지원받은 단위가 없음",
            where=(f"장소 변수 {key}",),
            remedy="대상 산업의 값과 도입 시점을 확인할 것",
        )
    actual = fit(panel.select(targets), design)
    pseudo = panel.with_fixed(**{design.adoption: own[codes]})
    fits, whole = Fits(), Fits()
    for name in np.unique(names[~targets]):
        chosen = ~targets & (names == name)
        if not np.isfinite(own[codes[chosen]]).any():
            fits.failed[str(name)] = "지정된 장소에 이 산업의 단위가 없음."
            continue
        fits.attempt(str(name), fit, pseudo.select(chosen), design)
    table = table_of(fits.done, level, "industry")
    result = _family("industry", "placebo_in_industry", fits, table, actual, joint, level)
    if len(fits.done) < 2:
        return result
    whole.attempt("(all)", fit, pseudo.select(~targets), design)
    extra = table_of(whole.done, level, "industry").assign(p_holm=np.nan)
    both = pd.concat([table, extra]) if len(extra) else table
    return replace(result, table=both, failed={**result.failed, **whole.failed})


def _industries(
    panel: Panel, industry: str | ArrayLike, target: Sequence[Any] | None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Industry of each unit and whether it is a target."""
    if isinstance(industry, str):
        names = panel.constant(industry)
        known = {str(name) for name in names}
        missing = [str(t) for t in target or () if str(t) not in known]
        if not target or missing:
            raise UsageError(
                f"대상 산업 {', '.join(missing) or '(없음)'} 이(가) 변수 {industry} 에 없음",
                remedy=f"target 을 {', '.join(sorted(known)[:8])} 가운데서 고를 것",
            )
        targets = np.isin(names.astype(str), [str(t) for t in target])
        names = names.astype(str)
    else:
        targets = np.asarray(industry)
        if targets.dtype != bool or targets.shape != (len(panel.units),):
            raise UsageError(
                f"산업 표시의 크기 {targets.shape} 또는 형 {targets.dtype} 이(가) 단위 {len(panel.units)}개와 맞지 않음",
                remedy="단위마다 참·거짓 하나인 배열이나 고정 변수의 이름을 줄 것",
            )
        names = np.where(targets, "target", "other")
    if targets.all():
        raise DesignError(
            "대상이 아닌 산업의 단위가 없어 산업 위약을 볼 수 없음",
            remedy="대상 산업 밖의 단위를 패널에 넣을 것",
        )
    return names, targets
