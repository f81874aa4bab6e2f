"""Who is compared with whom before adoption, and on which columns: the same for every way of balancing.

Only what stood before the first adoption may be balanced. A varying variable is taken in the base period, the last one
that neither adoption nor its anticipation touches, or in an earlier period named with it; a fixed variable is taken to
be older than adoption unless ``panel.notes["measured"]`` (name → period) says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.balancing.result import Balancing
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError, nearest
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# a column that keeps less than this of its length beside the others is a combination of them; more than PLAIN needs no
# second look
REDUNDANT, PLAIN = 1e-8, 1e-3
# a variable of the panel, or a varying variable and the period in which it is read
Covariate = str | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Sides:
    """Treated and comparison units with their columns.

    treated, comparison : units that take part  # (N,)
    base : weights before balancing, 0 for units that do not take part  # (N,)
    x : columns in the units of the data, 0 for units that do not take part  # (N, K)
    names, origin : of each column, and of the covariate that it comes from  # (K,)
    binary : whether a column has two values  # (K,)
    period : the base period; first : the first adoption
    dropped : reason -> labels of units that leave
    """

    treated: Bools
    comparison: Bools
    base: Floats
    x: Floats
    names: tuple[str, ...]
    origin: tuple[str, ...]
    binary: Bools
    period: int
    first: int
    dropped: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def adoption_dates(panel: Panel, design: Design) -> Floats:
    """First treated periods, +inf = never  # (N,)"""
    raw = panel.constant(design.adoption)
    if raw.dtype.kind not in "iufb":
        raise DesignError(
            f"도입 시점 변수 {design.adoption} 이(가) 숫자가 아님 (예: {str(raw[0])!r})",
            remedy="처음 지원받은 기간을 숫자로, 지원받지 않은 단위는 빈 값으로 적을 것",
        )
    dates = raw.astype(np.float64)
    dates = np.where(np.isnan(dates), np.inf, dates)
    if (dates <= 0).any():
        at = int(np.argmax(dates <= 0))
        raise DesignError(
            f"도입 시점 변수 {design.adoption} 의 값 {dates[at]:g} 은(는) 기간이 아님",
            where=(f"단위 {panel.units[at]}",),
            remedy="지원받지 않은 단위는 0 이 아니라 빈 값(무한대)으로 적을 것",
        )
    return np.asarray(dates)


def base_period(panel: Panel, design: Design, dates: Floats) -> tuple[int, int]:
    """The last period before the first adoption and its anticipation, and the first adoption."""
    finite = dates[np.isfinite(dates)]
    if not len(finite) or len(finite) == len(dates):
        side = "지원받은 단위" if not len(finite) else "지원받지 않은 단위"
        raise DesignError(
            f"{side}가 없어 맞출 상대가 없음 (단위 {len(dates)}개)",
            where=(f"도입 시점 {design.adoption}",),
            remedy="두 집단이 함께 있는 자료를 쓸 것",
        )
    first = int(finite.min())
    before = panel.periods[panel.periods < first - design.anticipation]
    if not len(before):
        raise DesignError(
            f"첫 도입 {first} 앞에 깨끗한 기간이 없음 (자료의 첫 기간 {panel.periods[0]}, 예상 효과 {design.anticipation}기간)",
            remedy="더 이른 기간의 자료를 더하거나 이미 지원받은 단위를 뺄 것",
        )
    return int(before[-1]), first


def read_sides(panel: Panel, design: Design, covariates: Sequence[Covariate] | None) -> Sides:
    """Units, weights and columns of a design.

    Raises
    ------
    DesignError : no covariates, one side empty, no clean period, an unknown variable
    RefusalError : a covariate measured at or after adoption
    DataError : infinite values, negative weights
    """
    wanted = tuple(design.covariates if covariates is None else covariates)
    if not wanted:
        raise DesignError(
            "맞출 공변량이 하나도 없음",
            remedy="design.covariates 나 covariates 에 기준 시점의 변수를 적을 것",
        )
    dates = adoption_dates(panel, design)
    period, first = base_period(panel, design, dates)
    columns, names, origin = _read(panel, design, wanted, period, first)
    x = np.column_stack(columns)
    base = _weights(panel, design, period)
    treated = np.isfinite(dates)
    dropped: dict[str, tuple[str, ...]] = {}
    used = np.ones(len(dates), dtype=bool)
    if design.at_risk is not None:
        with np.errstate(invalid="ignore"):
            risk = panel.values(design.at_risk, across_breaks=True)[:, panel.periods == period][:, 0] > 0
        _leave(dropped, "not_at_risk", panel, used & ~risk)
        used &= risk
    for reason, lost in (
        ("missing_covariates", np.isnan(x).any(axis=1)),
        ("no_weight", ~(np.nan_to_num(base) > 0)),
    ):
        _leave(dropped, reason, panel, used & lost)
        used &= ~lost
    sides = (treated & used, ~treated & used)
    for side, label in zip(sides, ("지원받은 단위", "비교 단위"), strict=True):
        if not side.any():
            raise DesignError(
                f"공변량이 모두 관측된 {label}가 없음",
                where=(f"기준 시점 {period}",),
                remedy="빈 값이 많은 공변량을 빼거나 다른 기준 시점의 값을 쓸 것",
            )
    x = np.where(used[:, None], x, 0.0)
    inside = x[used]
    binary = ((inside == inside.min(axis=0)) | (inside == inside.max(axis=0))).all(axis=0)
    notes = ("outcome_matched",) if design.outcome in origin else ()
    return Sides(
        sides[0],
        sides[1],
        np.where(used, base, 0.0),
        x,
        tuple(names),
        tuple(origin),
        binary,
        period,
        first,
        dropped,
        notes,
    )


def _read(
    panel: Panel, design: Design, wanted: tuple[Covariate, ...], period: int, first: int
) -> tuple[list[Floats], list[str], list[str]]:
    columns: list[Floats] = []
    names: list[str] = []
    origin: list[str] = []
    for one in wanted:
        for name, values in _columns(panel, design, one, period, first):
            if np.isinf(values).any():
                at = int(np.argmax(np.isinf(values)))
                raise DataError(
                    f"공변량 {name} 에 무한대가 있음",
                    where=(f"단위 {panel.units[at]}",),
                    remedy="변환을 바꾸거나 빈 값으로 둘 것",
                )
            columns.append(values)
            names.append(name)
            origin.append(one if isinstance(one, str) else one[0])
    return columns, names, origin


def _leave(dropped: dict[str, tuple[str, ...]], reason: str, panel: Panel, who: Bools) -> None:
    if who.any():
        dropped[reason] = tuple(str(unit) for unit in panel.units[who])


def _columns(
    panel: Panel, design: Design, one: Covariate, period: int, first: int
) -> list[tuple[str, Floats]]:
    """Columns of one covariate: itself, or dummies of a text variable without its first level."""
    name, when = one if isinstance(one, tuple) else (one, period)
    if isinstance(one, tuple) and name not in panel.varying:
        raise UsageError(
            f"공변량 {name!r} 은(는) 기간마다 바뀌는 변수가 아니어서 {when} 의 값을 고를 수 없음",
            remedy=nearest(name, panel.varying),
        )
    if name == design.adoption:
        raise RefusalError(
            f"도입 시점 {name} 은(는) 맞출 공변량이 될 수 없음", remedy="지원 전에 정해진 변수를 쓸 것"
        )
    measured = dict(panel.notes.get("measured", {})).get(name)
    late = when if isinstance(one, tuple) else measured if name in panel.fixed else None
    if late is not None and int(late) >= first - design.anticipation:
        raise RefusalError(
            f"공변량 {name} 은(는) 지원이 시작된(예상 효과 포함) {first - design.anticipation} 이후인 {late} 의 값이라"
            " 지원의 결과일 수 있음",
            remedy=f"{period} 또는 그 이전의 값을 쓸 것",
        )
    if name in panel.varying:
        if when not in panel.periods:
            raise UsageError(
                f"공변량 {name} 을(를) 읽을 기간 {when} 이(가) 패널에 없음",
                remedy=f"{panel.periods[0]}–{period} 에서 고를 것",
            )
        label = name if not isinstance(one, tuple) else f"{name}@{when}"
        return [(label, panel.values(name, across_breaks=True)[:, panel.periods == when][:, 0])]
    if name not in panel.fixed:
        raise DesignError(
            f"공변량 {name!r} 이(가) 패널에 없음", remedy=nearest(name, [*panel.varying, *panel.fixed])
        )
    raw = panel.constant(name)
    if raw.dtype.kind in "iufb":
        return [(name, raw.astype(np.float64))]
    text = raw.astype(str)
    levels = [level for level in np.unique(text) if level]
    return [(f"{name}={level}", np.where(text == "", np.nan, text == level)) for level in levels[1:]]


def _weights(panel: Panel, design: Design, period: int) -> Floats:
    """Weights before balancing; a varying weight is taken in the base period  # (N,)"""
    if design.weight is None:
        return np.ones(len(panel.units))
    if design.weight in panel.varying:
        weights = panel.values(design.weight, across_breaks=True)[:, panel.periods == period][:, 0]
    else:
        raw = panel.constant(design.weight)
        if raw.dtype.kind not in "iufb":
            raise DesignError(f"가중치 {design.weight} 이(가) 숫자가 아님", remedy="숫자 변수를 고를 것")
        weights = raw.astype(np.float64)
    if (weights < 0).any() or np.isinf(weights).any():
        at = int(np.argmax((weights < 0) | np.isinf(weights)))
        raise DataError(
            f"가중치 {design.weight} 에 음수나 무한대가 있음",
            where=(f"단위 {panel.units[at]}",),
            remedy="0 이상의 유한한 수로 적을 것",
        )
    return weights


def with_powers(sides: Sides, moments: int) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
    """Columns with squares and cubes of those that are not binary, their names, and where each comes from.

    Powers are taken of the column centred and scaled by the treated units, which asks the same of the weights as raw
    powers (the lower ones are there too) and does not lose digits.
    """
    if moments not in (1, 2, 3):
        raise UsageError(f"맞출 적률의 차수 {moments!r} 을(를) 쓸 수 없음", remedy="1, 2, 3 가운데 적을 것")
    used = sides.treated | sides.comparison
    columns, names, origin = [sides.x], list(sides.names), list(sides.names)
    for power in range(2, moments + 1):
        for j in np.flatnonzero(~sides.binary):
            own = sides.x[sides.treated, j]
            spread = float(sides.x[used, j].std())
            columns.append(((sides.x[:, j] - own.mean()) / spread)[:, None] ** power)
            names.append(f"{sides.names[j]}^{power}")
            origin.append(sides.names[j])
    return np.concatenate(columns, axis=1), tuple(names), tuple(origin)


def standardised(x: Floats, sides: Sides) -> tuple[Floats, Floats, Floats]:
    """Columns centred at the treated mean and scaled by the spread among all units; mean and spread of each."""
    used = sides.treated | sides.comparison
    weight = sides.base[sides.treated]
    mean = weight @ x[sides.treated] / weight.sum()
    spread = x[used].std(axis=0)
    spread = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(mean)), spread, 0.0)
    safe = np.where(spread > 0, spread, 1.0)
    return (x - mean) / safe, mean, spread


def independent(z: Floats, columns: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
    """Columns that are no combination of those before them and a constant; whether any was left out.

    Parameters
    ----------
    z : rows in which the columns must be told apart  # (n, K)
    columns : candidates, in order
    """
    if not len(columns):
        return columns, False
    chosen = z[:, columns] - z[:, columns].mean(axis=0)
    gram = chosen.T @ chosen
    size = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    try:
        plain = bool(np.diag(np.linalg.cholesky(gram / size / size[:, None])).min() > PLAIN)
    except np.linalg.LinAlgError:
        plain = False
    if plain and bool((size > REDUNDANT * np.sqrt(len(z))).all()):
        return columns, False
    basis = np.ones((len(z), 1)) / np.sqrt(len(z))
    kept: list[int] = []
    for j in columns:
        column = z[:, j]
        left = column - basis @ (basis.T @ column)
        left -= basis @ (basis.T @ left)
        length = float(np.linalg.norm(left))
        if length > REDUNDANT * max(float(np.linalg.norm(column)), 1e-300):
            basis = np.column_stack([basis, left / length])
            kept.append(int(j))
    return np.asarray(kept, dtype=np.int64), len(kept) < len(columns)


@dataclass(frozen=True, slots=True)
class Told:
    """What a method says of its weights: the fields of `Balancing` of the same names."""

    method: str
    dropped: Mapping[str, tuple[str, ...]]
    notes: Sequence[str]
    detail: Mapping[str, Any]
    propensity: Floats | None = None


def balancing_of(
    told: Told, panel: Panel, sides: Sides, weights: Floats, z: Floats, spread: Floats
) -> Balancing:
    """The result, with the largest difference that the weights leave in the columns z (those with spread > 0)."""
    w1, w0 = (
        np.where(side, weights, 0.0) / weights[side].sum() for side in (sides.treated, sides.comparison)
    )
    return Balancing(
        method=told.method,
        units=panel.units,
        weights=weights,
        base=sides.base,
        treated=sides.treated,
        comparison=sides.comparison,
        propensity=np.full(len(weights), np.nan) if told.propensity is None else told.propensity,
        names=sides.names,
        values=sides.x,
        base_period=sides.period,
        gap=float(np.abs((w1 - w0) @ z)[spread > 0].max(initial=0.0)),
        dropped=told.dropped,
        notes=tuple(dict.fromkeys([*sides.notes, *told.notes])),
        detail=told.detail,
    )
