"""Power of one phase × outcome before outcomes are read: effects planted in the values before support, and the plan's rule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.checks.leading_rule import leading_rule
from evalkit.checks.power_simulation import PowerCurve, simulated_power
from evalkit.errors import DesignError, EvalkitError
from evalkit.panel import Panel
from evalkit.study.fitting import planned_fit
from evalkit.study.plan import Plan
from evalkit.study.sample import ADOPTION, AnalysisSample

Floats = NDArray[np.float64]
# sizes of the effect between none and the largest
STEPS = 12
# standard errors that the largest size spans: beyond it nearly every test rejects
REACH = 6.0
# the error of one assignment may mislead: so many times further in coarse steps, to the claim where it is not too far
FURTHER = 3.0
MOST = 20.0
BETWEEN = 6
# beyond a power of this, sizes larger than the claim tell nothing
SURE = 0.99
# share of simulations without an answer above which the curve would be a guess
MOST_FAILED = 0.5


@dataclass(frozen=True, slots=True)
class Power:
    """A power curve in natural units.

    Attributes
    ----------
    curve : indexed by effect: power, error (of the simulation)
    smallest : effect found with probability `target`; None where the curve does not reach it
    size, size_error : rejections without an effect, and the error of the simulation
    rule : what was simulated: what leads under the plan's rule, as `evalkit.inference` names it
    simulated : the curve as it was made, on the scale of the estimation
    """

    curve: pd.DataFrame
    smallest: float | None
    target: float
    size: float
    size_error: float
    rule: str
    simulations: int
    simulated: PowerCurve

    def at(self, effect: float) -> float:
        """Power at an effect in natural units, by straight lines; held at the ends."""
        sizes = self.curve.index.to_numpy(dtype=np.float64)
        return float(np.interp(abs(effect), sizes, self.curve["power"].to_numpy(dtype=np.float64)))


def power_of(
    plan: Plan,
    sample: AnalysisSample,
    before: Panel,
    outcome: str,
    phase: int,
    *,
    claim: float | None,
    lead: str,
) -> Power | EvalkitError:
    """The power curve, or why there is none.

    Parameters
    ----------
    before : the sample's panel up to the base period
    claim : effect a unit that the programme claims, in natural units
    lead : what leads under the decision table ("none" = no test)
    """
    try:
        return _simulate(plan, sample, before, outcome, phase, claim, lead)
    except EvalkitError as error:
        return error


def _simulate(
    plan: Plan,
    sample: AnalysisSample,
    before: Panel,
    outcome: str,
    phase: int,
    claim: float | None,
    lead: str,
) -> Power:
    if lead == "none":
        raise DesignError("p값을 적을 수 있는 추론이 없는 설계라 검정력도 없음", remedy="처치 군집을 늘릴 것")
    asked, design = plan.outcomes[outcome], replace(sample.design)
    described = asked.reading == "description"
    fit = planned_fit(plan, phase, described=described, inference=False)
    after = _after(plan, sample, len(before.periods))
    log = asked.scale == "log"
    sizes = plan.power.effects.get(outcome)
    if sizes is None:
        pilot = fit(_moved(before, sample, after), design)
        scale = float(pilot.std_errors[0])
        if not scale > 1e-9 * max(1.0, abs(float(pilot.values[0]))):
            raise DesignError(
                "지원 전에 결과가 변하지 않아(모두 같은 값) 검정력을 모의할 수 없음",
                remedy="지원 전에도 변하는 결과로 볼 것",
            )
        sizes = grid(REACH * (100 * scale if log else scale))
        claimed = 1.05 * abs(claim) if claim is not None and abs(claim) <= MOST * sizes[-1] else 0.0
        further = max(FURTHER * sizes[-1], claimed)
        sizes = (*sizes, *np.linspace(sizes[-1], further, BETWEEN + 1)[1:].tolist())
    effects = [math.log1p(s / 100) if log else s for s in sizes]
    found = simulated_power(
        before,
        design,
        fit,
        leading_rule(
            fit, rule=plan.inference.rule, level=plan.inference.level, size=plan.inference.size, draws=499
        ),
        effects,
        after=after,
        simulations=plan.power.simulations,
        seed=plan.power.seed,
        level=plan.inference.level,
        target=plan.power.target,
    )
    if found.failed > MOST_FAILED * found.simulations:
        raise DesignError(
            f"모의실험 {found.simulations}번 가운데 {found.failed}번에서 추정할 수 없어 검정력을 말할 수 없음",
            remedy="지원 전 기간을 늘리거나 통제변수를 줄일 것",
        )
    return _natural(found, log, lead, None if outcome in plan.power.effects else abs(claim or 0.0))


def _natural(found: PowerCurve, log: bool, lead: str, needed: float | None) -> Power:
    """In natural units, without the tail of sizes found nearly always; `needed` is kept, None keeps all."""

    def natural(values: Floats) -> Floats:
        return np.asarray(100 * np.expm1(values) if log else values, dtype=np.float64)

    effects = natural(found.effects)
    smallest = float(natural(np.array([found.natural]))[0])
    curve = pd.DataFrame({"power": found.power, "error": found.error}, index=pd.Index(effects, name="effect"))
    if needed is not None:
        sure = np.r_[False, found.power[:-1] >= SURE] & np.r_[False, effects[:-1] >= needed]
        curve = curve[~sure]
    return Power(
        curve=curve,
        smallest=smallest if np.isfinite(smallest) else None,
        target=found.target,
        size=found.size,
        size_error=max(float(found.error[0]), math.sqrt(0.05 * 0.95 / found.simulations)),
        rule=lead,
        simulations=found.simulations,
        simulated=found,
    )


def _after(plan: Plan, sample: AnalysisSample, length: int) -> int:
    """Periods after the start of a window: as many as are averaged, if that leaves one before."""
    planned = plan.horizon + 1
    seen = int((sample.panel.periods > sample.baseline).sum())
    return max(1, min(planned, seen, length - 1 - plan.design.anticipation))


def _moved(before: Panel, sample: AnalysisSample, after: int) -> Panel:
    """Support moved back so that `after` periods before it stand for those after it."""
    dates = np.asarray(before.constant(ADOPTION), dtype=np.float64)
    first = float(dates[np.isfinite(dates)].min())
    moved = np.where(
        np.isfinite(dates), np.minimum(dates, first) - after - sample.design.anticipation, np.inf
    )
    return before.with_fixed(**{ADOPTION: moved})


def grid(largest: float) -> tuple[float, ...]:
    """Round sizes from 0 to about `largest`, some `STEPS` of them.

    >>> grid(3.3)
    (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5)
    """
    rough = largest / STEPS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1.0, 2.0, 2.5, 5.0, 10.0) if unit * m >= rough * 0.9)
    count = math.ceil(largest / step - 1e-9)
    return tuple(round(k * step, 10) for k in range(count + 1))
