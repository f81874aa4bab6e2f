"""Any estimator and any rule of inference under every simulation, one panel at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from evalkit.checks._power_setting import Setting
from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference import Headline
from evalkit.inference.refit import Fit, only_term
from evalkit.interval_set import IntervalSet
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Judgement = Estimate | Headline | IntervalSet | bool
Decide = Callable[[Estimate, Panel, Design], Judgement]
# relative to the size of effect and error: beyond it an estimate does not move with a constant effect
SHIFTED = 1e-7


@dataclass(frozen=True, slots=True)
class Trials:
    """rejected, estimates (R, E); failed: simulations without an answer; refitted: one estimate an effect size."""

    rejected: NDArray[np.bool_]
    estimates: Floats
    failed: int
    refitted: bool


@dataclass(frozen=True, slots=True)
class _World:
    """A window with a placebo assignment, and what an effect of 1 adds to its cells."""

    panel: Panel
    outcome: str
    unit: Floats

    def with_effect(self, effect: float) -> Panel:
        if effect == 0:
            return self.panel
        y = self.panel.values(self.outcome) + effect * self.unit
        return self.panel.with_varying(**{self.outcome: y})


def panel_decisions(
    design: Design, setting: Setting, fit: Fit, decide: Decide, sizes: Floats, level: float
) -> Trials:
    """Run every simulation.

    Raises
    ------
    DesignError : no simulation has an answer; the sentence holds the first reason
    UsageError : the estimate has more than one term, the rule returns something else
    """
    runs = len(setting.window)
    rejected = np.zeros((runs, len(sizes)), dtype=bool)
    estimates = np.full((runs, len(sizes)), np.nan)
    windows = {int(w): _window(setting, int(w)) for w in np.unique(setting.window)}
    shifts = setting.kind == "additive"
    checked = False
    failed, reason = 0, ""
    for run in range(runs):
        world = _world(design, setting, windows[int(setting.window[run])], run)
        try:
            estimate = fit(world.panel, design)
            estimates[run, 0] = only_term(estimate)
            judged = decide(estimate, world.panel, design)
            if not checked and shifts:
                shifts = _moves(world, design, fit, decide, estimate, judged, float(sizes[-1]), level)
                checked = True
            if shifts:
                estimates[run] = estimates[run, 0] + sizes
                rejected[run] = _excludes(judged, -sizes, level)
                continue
            rejected[run, 0] = _rejects(judged, level)
            for k, effect in enumerate(sizes[1:], start=1):
                changed = world.with_effect(float(effect))
                again = fit(changed, design)
                estimates[run, k] = only_term(again)
                rejected[run, k] = _rejects(decide(again, changed, design), level)
        except UsageError:
            raise
        except EvalkitError as error:
            failed += 1
            reason = reason or error.problem
    if failed == runs:
        raise DesignError(
            f"모의 {runs}번이 모두 추정되지 않음: {reason}",
            where=(f"앞 {setting.before}·뒤 {setting.after}기간의 창",),
            remedy="before 를 늘리거나 추정 방법을 바꾸거나, 해석식 serial_mde 를 쓸 것",
        )
    return Trials(rejected, estimates, failed, not shifts and setting.kind == "additive")


def _window(setting: Setting, start: int) -> Panel:
    return setting.panel.select(periods=setting.panel.periods[start : start + setting.length])


def _world(design: Design, setting: Setting, window: Panel, run: int) -> _World:
    codes = setting.units_codes(run)
    first = window.periods[setting.before + setting.gap]
    dates = first + setting.offset[codes]
    dates = np.where(dates <= window.periods[-1], dates, np.inf)
    on = window.periods >= dates[:, None]
    unit = on.astype(np.float64)
    if setting.kind == "multiplicative":
        unit = np.where(on, window.values(design.outcome), 0.0)
    elif setting.kind == "dose":
        unit = np.where(on, setting.dose[codes][:, None], 0.0)
    return _World(window.with_fixed(**{design.adoption: dates}), design.outcome, unit)


def _leading(judged: Judgement) -> Estimate | IntervalSet:
    """What decides: the test that leads a headline, or the estimate with the leading covariance."""
    if isinstance(judged, Headline):
        return judged.estimate if judged.interval is None else judged.interval
    if not isinstance(judged, Estimate | IntervalSet):
        raise UsageError(
            f"추론 규칙이 {type(judged).__name__} 을(를) 돌려줌",
            remedy="Estimate, Headline, IntervalSet 또는 참·거짓을 돌려줄 것",
        )
    return judged


def _excludes(judged: Judgement, values: Floats, level: float) -> NDArray[np.bool_]:
    """Whether each value is outside the set of values not rejected  # (E,)"""
    leading = _leading(judged)
    if isinstance(leading, IntervalSet):
        if leading.p_value < (1 - level) * (1 - 1e-9) and leading.pieces == ((-np.inf, np.inf),):
            raise UsageError(
                f"{leading.method} 의 구간이 p값({leading.p_value:.3g})과 어긋남: 구간 없이 구한 검정임",
                remedy="Refits(intervals=True) 로 구간까지 구하게 할 것",
            )
        return np.array([leading.excludes(float(value)) for value in values])
    low, high = _ends(leading, level)
    # no interval, no rejection
    return np.asarray((values < low) | (values > high))


def _rejects(judged: Judgement, level: float) -> bool:
    if isinstance(judged, bool | np.bool_):
        return bool(judged)
    return bool(_excludes(judged, np.zeros(1), level)[0])


def _ends(leading: Estimate | IntervalSet, level: float) -> Floats:
    if isinstance(leading, IntervalSet):
        return np.array([leading.low, leading.high])
    value, error = only_term(leading), float(leading.std_errors[0])
    dof = float(leading.dof[0])
    critical = float(stdtrit(dof, 0.5 + level / 2) if np.isfinite(dof) else ndtri(0.5 + level / 2))
    return value + np.array([-1.0, 1.0]) * critical * (error if error > 0 else np.nan)


def _moves(
    world: _World,
    design: Design,
    fit: Fit,
    decide: Decide,
    estimate: Estimate,
    judged: Judgement,
    effect: float,
    level: float,
) -> bool:
    """Whether a constant effect moves the estimate and its interval by itself and changes nothing else."""
    if isinstance(judged, bool | np.bool_):
        return False
    changed = world.with_effect(effect)
    again = fit(changed, design)
    scale = effect + abs(only_term(estimate))
    if not abs(only_term(again) - only_term(estimate) - effect) <= SHIFTED * scale:
        return False
    leading = _leading(judged)
    ends, moved = _ends(leading, level), _ends(_leading(decide(again, changed, design)), level)
    # an inversion finds its ends to a tolerance of its own
    near = 1e-4 if isinstance(leading, IntervalSet) else SHIFTED
    return bool(np.allclose(moved, ends + effect, rtol=0, atol=near * scale, equal_nan=True))
