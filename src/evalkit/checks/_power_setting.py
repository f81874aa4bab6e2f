"""Windows and placebo assignments of a design on the periods before its first adoption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.power_draws import all_assignments, assignments_count, random_assignments, slots_of
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError, UsageError
from evalkit.estimators.cohort_sample import adoption_codes, weight_layers
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Kind = Literal["additive", "multiplicative", "dose"]
FEW_WINDOWS = 3
FEW_ASSIGNMENTS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """Simulations to be made: window[s] and assignment[s] of simulation s.

    panel : the periods before, all units; weight : of each unit  # (N,)
    offset : of each code, periods from the first adoption to the code's, +inf = never  # (K,)
    dose : of each code  # (K,)
    slot : of each unit  # (N,); actual : code of each slot; block : of each slot  # (S,)
    codes : code of each slot in each assignment in use  # (A, S)
    window : position of the first period  # (R,); pick : row of `codes`  # (R,)
    gap : anticipated periods between the periods before and after
    mean : mean outcome of units to be treated, last `after` periods
    unit_effect : mean change of a treated cell for an effect of 1, in the unit of the outcome
    """

    panel: Panel
    weight: Floats
    offset: Floats
    dose: Floats
    slot: Codes
    actual: Codes
    block: Codes
    codes: Codes
    window: Codes
    pick: Codes
    n_windows: int
    n_assignments: int
    exact: bool
    before: int
    gap: int
    after: int
    mean: float
    unit_effect: float
    kind: Kind
    notes: tuple[str, ...]

    @property
    def length(self) -> int:
        """Periods of a window."""
        return self.before + self.gap + self.after

    def units_codes(self, simulation: int) -> Codes:
        """Code of each unit in a simulation  # (N,)"""
        return np.asarray(self.codes[self.pick[simulation]][self.slot])


def before_adoption(panel: Panel, design: Design) -> Panel:
    """The panel without the periods from the first adoption (less anticipation) on: what power may read.

    Raises
    ------
    DesignError : no unit is ever treated, or no period stands before
    """
    first = _first(panel, design)
    kept = panel.periods[panel.periods < first - design.anticipation]
    if not len(kept):
        raise DesignError(
            f"첫 도입 {first} 앞에 깨끗한 기간이 없음 (자료의 첫 기간 {panel.periods[0]}, 예상 효과 {design.anticipation}기간)",
            remedy="더 이른 기간의 자료를 더할 것",
        )
    return panel.select(periods=kept)


def _first(panel: Panel, design: Design) -> int:
    dates = adoption_codes(panel, design.adoption)
    finite = dates[np.isfinite(dates)]
    if not len(finite) or len(finite) == len(dates):
        side = "지원받을 단위" if not len(finite) else "지원받지 않는 단위"
        raise DesignError(
            f"{side}가 없어 검정력을 모의할 수 없음 (단위 {len(dates)}개)",
            where=(f"도입 시점 {design.adoption}",),
            remedy="두 집단이 함께 있는 자료를 쓸 것",
        )
    return int(finite.min())


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `simulated_power` that make the simulations."""

    after: int
    before: int | None = None
    kind: Kind = "additive"
    dose: str | None = None
    strata: str | None = None
    simulations: int = 1
    seed: int = 0


def setting_of(panel: Panel, design: Design, asked: Asked) -> Setting:
    """All windows × all assignments, or a draw of them.

    Raises
    ------
    RefusalError, DesignError, UsageError, DataError : see `simulated_power`
    """
    after, kind = asked.after, asked.kind
    first = _first(panel, design)
    _refuse_outcomes(panel, design, first)
    panel = before_adoption(panel, design)
    gap = design.anticipation
    before, starts = _windows(len(panel.periods), asked.before, gap, after, first)
    dates = adoption_codes(panel, design.adoption)
    doses = np.ones(len(dates)) if asked.dose is None else _doses(panel, asked.dose, dates)
    offsets = np.where(dates - first < after, dates - first, np.inf)  # later adoption lies beyond the window
    keys, codes = np.unique(np.column_stack([offsets, doses]), axis=0, return_inverse=True)
    cluster = panel.clusters(design.cluster)[0]
    slot, actual, block = slots_of(
        codes.ravel().astype(np.int64), cluster, _stratum(panel, asked.strata, cluster)
    )
    total = assignments_count(actual, block)
    if total == 1:
        raise DesignError(
            "지원받은 단위와 받지 않은 단위가 자리를 바꿀 수 있는 배정이 하나뿐이라 모의할 수 없음",
            where=(f"군집 {design.cluster}", f"층 {asked.strata}"),
            remedy="strata 를 넓히거나 군집을 더 잘게 나누거나, 해석식 serial_mde 를 쓸 것",
        )
    exact = total * len(starts) <= asked.simulations
    arrangements, pick, window = _runs(actual, block, starts, total, asked.simulations, asked.seed)
    weight = _unit_weights(panel, design)
    mean = _mean_of_treated(panel, design, np.isfinite(dates), weight, after)
    notes = ["one_window"] if len(starts) == 1 else ["few_windows"] if len(starts) <= FEW_WINDOWS else []
    notes += ["few_assignments"] if total < FEW_ASSIGNMENTS else []
    return Setting(
        panel=panel,
        weight=weight,
        offset=keys[:, 0],
        dose=keys[:, 1],
        slot=slot,
        actual=actual,
        block=block,
        codes=arrangements,
        window=window,
        pick=pick,
        n_windows=len(starts),
        n_assignments=total,
        exact=exact,
        before=before,
        gap=gap,
        after=after,
        mean=mean,
        unit_effect=_unit_effect(kind, mean, doses[np.isfinite(dates)], weight[np.isfinite(dates)]),
        kind=kind,
        notes=tuple(notes),
    )


def _runs(
    actual: Codes, block: Codes, starts: Codes, total: int, simulations: int, seed: int
) -> tuple[Codes, Codes, Codes]:
    """Assignments, and of each simulation the assignment and the window."""
    if total * len(starts) <= simulations:
        return (
            all_assignments(actual, block),
            np.tile(np.arange(total), len(starts)),
            np.repeat(starts, total),
        )
    # each window gets the same number of simulations, give or take one
    window = starts[np.arange(simulations) % len(starts)]
    return random_assignments(actual, block, simulations, seed), np.arange(simulations), window


def _unit_effect(kind: Kind, mean: float, doses: Floats, weight: Floats) -> float:
    """Mean change of a treated cell for an effect of 1."""
    if kind == "additive":
        return 1.0
    unit = mean if kind == "multiplicative" else float(doses @ weight / weight.sum())
    if not np.isfinite(unit) or unit == 0:
        raise DesignError(
            f"지원받을 단위의 평균 {'결과가' if kind == 'multiplicative' else '용량이'} {unit:g} 이라 효과의 크기를 나타낼 수 없음",
            remedy='kind="additive" 로 둘 것',
        )
    return unit


def _refuse_outcomes(panel: Panel, design: Design, first: int) -> None:
    late = panel.periods >= first - design.anticipation
    outcome = panel.values(design.outcome)
    if np.isfinite(outcome[:, late]).any():
        at = panel.periods[late][np.isfinite(outcome[:, late]).any(axis=0)][0]
        raise RefusalError(
            f"검정력은 결과를 보기 전에 정하는데, 첫 도입(예상 효과 포함) {first - design.anticipation} 이후인 {at} 의"
            f" 결과 {design.outcome} 이(가) 자료에 있음",
            remedy="before_adoption(panel, design) 으로 지원 전 기간만 남길 것",
        )
    if np.isinf(outcome[:, ~late]).any():
        at = int(np.argmax(np.isinf(outcome[:, ~late]).any(axis=1)))
        raise DataError(
            f"결과 변수 {design.outcome} 에 무한대가 있음",
            where=(f"단위 {panel.units[at]}",),
            remedy="0 의 로그처럼 정의되지 않는 값은 변환을 바꾸거나 빈 값으로 둘 것",
        )


def _windows(length: int, before: int | None, gap: int, after: int, first: int) -> tuple[int, Codes]:
    """Periods before, and the position of the first period of each window."""
    for name, value in (("after", after), ("before", before)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UsageError(f"{name}={value!r} 이(가) 1 이상의 정수가 아님", remedy="기간 수를 적을 것")
    left = length - gap - after
    if before is None:
        before = max(1, (left + 1) // 2)
    count = left - before + 1
    if left < 1 or count < 1:
        raise DesignError(
            f"첫 도입 {first} 앞의 기간이 {length}개라 앞 {before}·뒤 {after}기간(예상 효과 {gap}기간)의 창을 하나도 만들 수 없음",
            remedy="after 나 before 를 줄이거나, 더 이른 자료를 더하거나, 짧은 자료에서도 되는 해석식 serial_mde 를 쓸 것",
        )
    return before, np.arange(count, dtype=np.int64)


def _doses(panel: Panel, dose: str, dates: Floats) -> Floats:
    raw = panel.constant(dose)
    if raw.dtype.kind not in "iufb":
        raise DesignError(f"용량 변수 {dose} 이(가) 숫자가 아님", remedy="숫자 변수를 고를 것")
    values = raw.astype(np.float64)
    treated = np.isfinite(dates)
    if not np.isfinite(values[treated]).all():
        at = int(np.flatnonzero(treated & ~np.isfinite(values))[0])
        raise DataError(
            f"지원받을 단위의 용량 {dose} 이(가) 비어 있음",
            where=(f"단위 {panel.units[at]}",),
            remedy="용량을 채우거나 단위를 뺄 것",
        )
    return np.where(treated, values, 0.0)


def _stratum(panel: Panel, strata: str | None, cluster: Codes) -> Codes:
    """Stratum of each unit, alike within a cluster  # (N,)"""
    if strata is None:
        return np.zeros(len(cluster), dtype=np.int64)
    codes = panel.clusters(strata)[0]
    low, high = np.full(cluster.max() + 1, np.iinfo(np.int64).max), np.full(cluster.max() + 1, -1)
    np.minimum.at(low, cluster, codes)
    np.maximum.at(high, cluster, codes)
    if (low != high).any():
        at = int(np.flatnonzero((low != high)[cluster])[0])
        raise DesignError(
            f"한 군집이 층 {strata} 의 여러 값에 걸쳐 있음",
            where=(f"단위 {panel.units[at]}",),
            remedy="군집보다 큰 단위의 층을 쓸 것",
        )
    return codes


def _unit_weights(panel: Panel, design: Design) -> Floats:
    """Weight of each unit: its mean over the periods before, where it varies  # (N,)"""
    weights = weight_layers(panel, design.weight)
    if np.isnan(weights).any():
        at = int(np.argmax(np.isnan(weights).any(axis=1)))
        raise DataError(
            f"가중치 {design.weight} 이(가) 빈 단위가 있음",
            where=(f"단위 {panel.units[at]}",),
            remedy="가중치를 채우거나 단위를 뺄 것",
        )
    return np.asarray(weights.mean(axis=1))


def _mean_of_treated(
    panel: Panel, design: Design, treated: NDArray[np.bool_], weight: Floats, after: int
) -> float:
    y = panel.values(design.outcome)[treated][:, -after:]
    w = np.where(np.isfinite(y), weight[treated][:, None], 0.0)
    if not w.sum() > 0:
        raise DesignError(
            f"지원받을 단위의 결과 {design.outcome} 이(가) 지원 전에 관측되지 않음",
            remedy="결과 변수와 기간을 확인할 것",
        )
    return float((np.nan_to_num(y) * w).sum() / w.sum())
