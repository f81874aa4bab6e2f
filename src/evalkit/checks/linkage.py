"""Do links in doubt carry the result, and were treated firms linked as often as others?

Record linkage leaves some units in doubt: two workplaces that could both be the firm, a history that may or may not go on. The
estimate is made with all of them as they stand, without them, and with each group of rivals resolved by lot, again and again:
how far these lie apart is what the linkage contributes to the uncertainty (Lahiri & Larsen 2005; Bailey, Cole, Henderson &
Massey 2020). Firms that could not be linked at all are lost to the comparison, and losing more of one group than of the other
is attrition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.checks.attrition import LIMIT
from evalkit.checks.check import Check
from evalkit.checks.reassignment import require_level
from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.refit import Fit, only_term
from evalkit.panel import Panel

Codes = NDArray[np.int64]
Resolve = Callable[[Panel, int], Panel]


@dataclass(frozen=True, slots=True, eq=False)
class LinkSensitivity:
    """Estimates under each way to treat links in doubt.

    Attributes
    ----------
    table : indexed by treatment ("all", "dropped", "drawn 1", …): estimate, conf_low, conf_high, units
    estimate : with all units as they stand
    low, high : of the draws
    ambiguous : units in doubt; groups : groups of rivals
    failed : treatment -> sentence, of those under which nothing can be estimated
    check : verdict
    """

    table: pd.DataFrame
    estimate: Estimate
    low: float
    high: float
    ambiguous: int
    groups: int
    failed: dict[str, str]
    check: Check


def link_sensitivity(
    panel: Panel,
    design: Design,
    fit: Fit,
    *,
    ambiguous: ArrayLike,
    resolve: Resolve | None = None,
    draws: int = 20,
    seed: int = 20180301,
    level: float = 0.95,
) -> LinkSensitivity:
    """How far the estimate moves with the links in doubt.

    Parameters
    ----------
    fit : one-term method
    ambiguous : of each unit: whether its links are in doubt (bool), or the group of rivals that it belongs to (integer, −1 =
        beyond doubt)  # (N,)
    resolve : from the panel and a seed, the panel with everything in doubt drawn (such as one built again from
        `Links.resolved`); None = of each group of rivals one unit stays, by lot; with a bool mask each unit in doubt stays or
        goes with equal chance
    draws : how often

    Returns
    -------
    LinkSensitivity; its check is "fail" where one of the other estimates has another sign although the whole is significant,
    "warn" where one lies more than a standard error away or cannot be made, "unknown" where the whole has no standard error;
    statistic = the largest distance

    Raises
    ------
    DesignError : a mask of another length, or everything is in doubt
    UsageError : fewer than one draw
    """
    require_level(level)
    if draws < 1:
        raise UsageError(f"제비를 뽑을 횟수 {draws} 이(가) 1보다 작음", remedy="1 이상의 정수로 적을 것")
    group = _groups(ambiguous, len(panel.units))
    doubtful = group >= 0
    whole = fit(panel, design)
    only_term(whole)
    rows: dict[str, tuple[float, float, float, int]] = {"all": (*_interval(whole, level), len(panel.units))}
    failed: dict[str, str] = {}

    def add(name: str, make: Callable[[], Panel]) -> None:
        try:
            changed = make()
            estimate = fit(changed, design)
        except EvalkitError as problem:
            rows[name], failed[name] = (np.nan, np.nan, np.nan, 0), problem.sentence()
            return
        rows[name] = (*_interval(estimate, level), len(changed.units))

    if doubtful.any():
        add("dropped", lambda: panel.select(~doubtful))
        make = resolve or _by_lot(group, single=np.asarray(ambiguous).dtype == np.bool_)
        for draw in range(1, draws + 1):
            own = int(np.random.default_rng([seed, draw]).integers(2**31))
            add(f"drawn {draw}", lambda own=own: make(panel, own))  # type: ignore[misc]
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["estimate", "conf_low", "conf_high", "units"]
    )
    table.index.name = "links"
    drawn = table.loc[[name for name in table.index if name.startswith("drawn")], "estimate"].dropna()
    low, high = (float(drawn.min()), float(drawn.max())) if len(drawn) else (np.nan, np.nan)
    groups = len(np.unique(group[doubtful]))
    check = _judged(whole, table, level, int(doubtful.sum()), groups, failed)
    return LinkSensitivity(table, whole, low, high, int(doubtful.sum()), groups, failed, check)


def _groups(ambiguous: ArrayLike, units: int) -> Codes:
    """Group of rivals of each unit, −1 = beyond doubt  # (N,)"""
    given = np.asarray(ambiguous)
    if given.shape != (units,) or given.dtype.kind not in "biu":
        raise DesignError(
            f"모호한 단위의 표시가 단위 {units}개의 참·거짓이나 묶음 번호가 아님 (크기 {given.shape})",
            remedy="패널의 단위마다 하나씩 줄 것",
        )
    group = np.where(given, np.arange(units), -1) if given.dtype.kind == "b" else np.maximum(given, -1)
    if (group >= 0).all():
        raise DesignError(
            "모든 단위의 연결이 모호해 뺄 수 없음", remedy="연결 열쇠를 더하거나 연결 단계를 고칠 것"
        )
    return group.astype(np.int64)


def _by_lot(group: Codes, *, single: bool) -> Resolve:
    """One unit of each group stays, or each unit in doubt with equal chance; all beyond doubt do"""

    def drawn(panel: Panel, seed: int) -> Panel:
        rng = np.random.default_rng(seed)
        kept = group < 0
        if single:
            return panel.select(kept | (rng.random(len(group)) < 0.5))
        rivals = rng.permutation(np.flatnonzero(~kept))
        _, first = np.unique(group[rivals], return_index=True)
        kept[rivals[first]] = True
        return panel.select(kept)

    return drawn


def _interval(estimate: Estimate, level: float) -> tuple[float, float, float]:
    row = estimate.table(level).iloc[0]
    return float(row["estimate"]), float(row["conf_low"]), float(row["conf_high"])


def _judged(
    whole: Estimate, table: pd.DataFrame, level: float, ambiguous: int, groups: int, failed: dict[str, str]
) -> Check:
    share = ambiguous / float(table["units"].to_numpy()[0])
    detail = {"ambiguous": ambiguous, "groups": groups, "share": share, "failed": len(failed)}
    if not ambiguous:
        return Check("link_sensitivity", "pass", "nothing_in_doubt", statistic=0.0, detail=detail)
    value, error = float(whole.values[0]), float(whole.std_errors[0])
    others = table["estimate"].drop("all").dropna().to_numpy(dtype=np.float64)
    moved = float(np.max(np.abs(others - value))) if len(others) else np.nan
    turned = bool((np.sign(others) != np.sign(value)).any())
    conf_low, conf_high = table[["conf_low", "conf_high"]].to_numpy(dtype=np.float64)[0]
    significant = bool(conf_low > 0 or conf_high < 0)
    detail |= {
        "dropped": float(table["estimate"].to_numpy(dtype=np.float64)[1]),
        "lowest": float(others.min()) if len(others) else np.nan,
        "highest": float(others.max()) if len(others) else np.nan,
    }
    if not error > 0:
        return Check("link_sensitivity", "unknown", "no_standard_error", statistic=moved, detail=detail)
    if turned and significant:
        return Check("link_sensitivity", "fail", "sign_turns", statistic=moved, detail=detail)
    if failed:
        return Check("link_sensitivity", "warn", "cannot_be_estimated", statistic=moved, detail=detail)
    if moved > error:
        return Check("link_sensitivity", "warn", "moves_much", statistic=moved, detail=detail)
    return Check("link_sensitivity", "pass", "stable", statistic=moved, detail=detail)


def linkage_gap(linked: ArrayLike, treated: ArrayLike) -> Check:
    """Whether treated and comparison firms were linked at different rates: losing them is attrition.

    Parameters
    ----------
    linked : whether each firm of the lists that were to be linked was; in doubt counts as not  # (n,)
    treated : whether it is treated  # (n,)

    Returns
    -------
    Check "linkage_gap": "fail" above ten percentage points, "unknown" where one group is empty; statistic = gap of the shares
    not linked (treated − comparison); detail: unlinked_treated, unlinked_comparison, limit

    Raises
    ------
    DesignError : masks of different lengths
    """
    found, group = np.asarray(linked, dtype=bool), np.asarray(treated, dtype=bool)
    if found.shape != group.shape or found.ndim != 1:
        raise DesignError(
            f"연결 여부의 크기 {found.shape} 이(가) 지원 여부의 크기 {group.shape} 와 다름",
            remedy="같은 기업 목록에서 하나씩 줄 것",
        )
    if not group.any() or group.all():
        return Check("linkage_gap", "unknown", "one_group_only")
    one, other = float((~found[group]).mean()), float((~found[~group]).mean())
    wide = abs(one - other) > LIMIT
    return Check(
        "linkage_gap",
        "fail" if wide else "pass",
        "linked_unequally" if wide else "linked_alike",
        statistic=one - other,
        detail={"unlinked_treated": one, "unlinked_comparison": other, "limit": LIMIT},
    )
