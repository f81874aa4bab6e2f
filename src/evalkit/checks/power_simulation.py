"""Power before outcomes are read: what would this design and this test have found, had the programme worked?

On the periods before the first adoption the actual assignment is put in the place of others like it: every window of
periods, every exchange of the adoption dates among clusters (or among the units of a cluster that holds several), an
effect of a known size is added to the treated cells, and the rule of inference that will be used decides. The share of
decisions is the power; its value at an effect of zero is the size of the rule in these very data. In the manner of
Bertrand, Duflo & Mullainathan (2004), Quarterly Journal of Economics 119, and Burlig, Preonas & Woerman (2020), Journal
of Development Economics 144, section 5.

Effects: "additive" (e on every treated cell), "multiplicative" (the outcome times 1 + e), "dose" (e a unit of dose).
An additive constant shifts the estimate of every difference-in-differences by itself and its replicates likewise, and
the set of values not rejected with it: one estimate a simulation serves all effect sizes (checked on the first one; a
method that does not shift is estimated again for each size). Without ``fit`` the estimate is the difference of mean
changes between clusters and all simulations are a few array operations (`evalkit.arrays.power_draws`).

What it cannot tell: the error shown is that of drawing simulations. All windows come from one history of one set of
clusters; ``detail["by_window"]`` shows how much the answer depends on the window.

Checked in tests/reference/test_power_simulation.py (the fast tests against the panel functions, simulation by
simulation; the closed form with independent errors) and tests/recovery/test_rigour_power.py (fresh worlds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.power_draws import crossing, crossing_interval
from evalkit.checks._power_setting import Asked, Kind, Setting, before_adoption, setting_of
from evalkit.checks._power_tests import Rule, collapsed_decisions
from evalkit.checks._power_trials import Decide, panel_decisions
from evalkit.checks.serial_power import serial_mde
from evalkit.design import Design
from evalkit.errors import UsageError, nearest
from evalkit.inference.refit import Fit
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
# rejections at zero beyond this make power at other effects look better than it is
LIBERAL = 0.075
SIZES = 20

CARDS = (
    MethodCard(
        function="simulated_power",
        name="지원 전 자료로 모의한 검정력",
        english="simulated power on pre-period data",
        group="before",
        question="이 설계와 이 추론 규칙으로, 사업의 효과가 얼마나 커야 열에 여덟 번 찾아낼 수 있는가?",
        assumptions=(
            "지원 전 기간의 변동이 지원 뒤에도 비슷하다.",
            "지원이 다른 지역(단위)에 배정되었을 수도 있었다: 같은 수, 같은 도입 순서로 자리를 바꾼다.",
        ),
        returns="PowerCurve: 효과 크기마다의 검정력과 모의 오차, 효과가 0일 때의 기각률, 80 % 로 찾는 가장 작은 효과(단위와 %)",
        reference="Bertrand, Duflo & Mullainathan (2004); Burlig, Preonas & Woerman (2020)",
        oracle=(
            "패널 함수로 하나씩 한 모의, 독립 오차의 닫힌 식: tests/reference/test_power_simulation.py",
            "새로 뽑은 세계의 기각률: tests/recovery/test_rigour_power.py",
        ),
        refuses="지원 뒤의 결과가 든 패널: before_adoption 으로 자른다. 창을 만들 수 없으면 serial_mde 를 쓴다.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class PowerCurve:
    """Power by effect size.

    Attributes
    ----------
    effects : as added, increasing, 0 first  # (E,)
    power : share of simulations that reject no effect  # (E,)
    error : its Monte Carlo standard error, 0 where all assignments and windows were taken  # (E,)
    exaggeration : mean |estimate| of those that reject over the mean effect on treated cells; NaN at 0  # (E,)
    size : power at 0
    target : wanted power; smallest : the effect at which the curve reaches it, NaN = never
    smallest_low, smallest_high : 95 % interval of `smallest` for the chance in the simulations
    natural : `smallest` as a mean effect on a treated cell, in the unit of the outcome
    percent : the same in per cent of `counterfactual_mean`
    counterfactual_mean : mean outcome of the units that are to be treated, over the last ``after`` periods before
    kind : "additive", "multiplicative" or "dose"; rule : name of the test; level : its confidence level
    simulations, windows, assignments : number made; windows and distinct assignments that exist
    exact : every window and assignment was taken
    before, after : periods of a window
    failed : simulations without an answer, counted as no rejection
    notes : codes: one_window, few_windows, size_above_nominal, never_reached, never_rejects, failures, refitted,
        few_assignments
    detail : by_window (W, E) power; window_starts (W,); unit_effect mean change of a treated cell an effect of 1
    """

    effects: Floats
    power: Floats
    error: Floats
    exaggeration: Floats
    size: float
    target: float
    smallest: float
    smallest_low: float
    smallest_high: float
    natural: float
    percent: float
    counterfactual_mean: float
    kind: str
    rule: str
    level: float
    simulations: int
    windows: int
    assignments: int
    exact: bool
    before: int
    after: int
    failed: int = 0
    notes: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("effects", "power", "error", "exaggeration"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "detail", MappingProxyType(dict(self.detail)))

    def power_at(self, natural: float) -> float:
        """Power at a mean effect on treated cells in the unit of the outcome, by straight lines; held at the ends."""
        unit = float(self.detail["unit_effect"])
        return float(np.interp(natural / unit, self.effects, self.power))


def simulated_power(
    panel: Panel,
    design: Design,
    fit: Fit | None = None,
    decide: Decide | Rule = "wider",
    effects: Sequence[float] | None = None,
    *,
    after: int,
    before: int | None = None,
    kind: Kind = "additive",
    dose: str | None = None,
    strata: str | None = None,
    simulations: int = 1000,
    seed: int = 20180301,
    level: float = 0.95,
    target: float = 0.8,
    permutations: int = 1999,
) -> PowerCurve:
    """Power curve of a design and a rule of inference on periods before adoption.

    Parameters
    ----------
    panel : periods before the first adoption (less anticipation) only: `before_adoption`
    design : its adoption dates are exchanged, whole clusters where a cluster has one date
    fit : the actual estimator as a function of (panel, design) with one term out; None = the difference of mean
        changes between clusters (one adoption date within the window, no mixed clusters, nothing missing)
    decide : with ``fit`` a function (estimate, panel, design) -> Estimate with its leading covariance, `Headline`,
        `IntervalSet`, or bool (True = rejects; estimated again for every effect size); without ``fit`` the name of a
        test: "CV3-t", "CR2-BM", "wider" (of these two) or "RI-t". Tests are judged by their set, so it must be made
    effects : sizes >= 0 to add; None = 20 sizes up to twice the analytic smallest effect (`serial_mde`)
    after : periods from the first adoption on that the evaluation will have
    before : periods before it that a window holds; None = half of what is left, so that several windows exist
    kind, dose : what an effect is; ``dose`` names a fixed variable, exchanged together with the adoption date
    strata : fixed variable within whose values clusters exchange their adoption
    simulations : drawn; all windows × assignments are taken where they are no more
    permutations : "RI-t": assignments drawn where there are more than 5,000

    Returns
    -------
    PowerCurve

    Raises
    ------
    RefusalError : the panel holds outcomes from adoption on
    DesignError : the periods before make no window, one cluster on a side, nothing to exchange
    UsageError : effects that are not numbers >= 0, an unknown kind, rule or level

    Examples
    --------
    >>> y = np.random.default_rng(1).normal(size=(12, 8))
    >>> panel = Panel(np.arange(12), np.arange(2010, 2018), {"y": y}, {"adoption": np.array([2018.0] * 5 + [np.inf] * 7)})
    >>> curve = simulated_power(panel, Design("y"), effects=[0, 1, 2, 3], after=2, before=3, decide="CV3-t")
    >>> bool(curve.power[0] < 0.1 < curve.power[-1])
    True
    """
    _check(kind, dose, level, target, simulations)
    _check_rule(fit, decide)
    setting = setting_of(panel, design, Asked(after, before, kind, dose, strata, simulations, seed))
    sizes = _sizes(effects, panel, design, setting, level, target)
    notes, failed = list(setting.notes), 0
    if fit is None:
        rejected, estimates = collapsed_decisions(
            design, setting, str(decide), sizes, level, permutations, seed
        )
    else:
        assert not isinstance(decide, str)
        trials = panel_decisions(design, setting, fit, decide, sizes, level)
        rejected, estimates, failed = trials.rejected, trials.estimates, trials.failed
        notes += ["refitted"] * trials.refitted + ["failures"] * (failed > 0)
    return _curve(setting, sizes, rejected, estimates, _name(decide), level, target, seed, failed, notes)


def _name(decide: Decide | Rule) -> str:
    return decide if isinstance(decide, str) else str(getattr(decide, "__name__", "rule"))


def _check_rule(fit: Fit | None, decide: Decide | Rule) -> None:
    if fit is None and not isinstance(decide, str):
        raise UsageError(
            "추정 방법(fit) 없이 추론 규칙만 함수로 받음",
            remedy="fit 에 (panel, design) 을 받는 추정 함수를 함께 주거나, decide 를 CV3-t, CR2-BM, wider, RI-t 로 적을 것",
        )
    if fit is not None and isinstance(decide, str):
        raise UsageError(
            f"fit 을 주면 추론 규칙 {decide!r} 은(는) 이름으로 쓸 수 없음",
            remedy="decide 에 (estimate, panel, design) 을 받는 함수를 줄 것 (예: leading_rule(fit))",
        )


def _curve(
    setting: Setting,
    sizes: Floats,
    rejected: NDArray[np.bool_],
    estimates: Floats,
    name: str,
    level: float,
    target: float,
    seed: int,
    failed: int,
    notes: list[str],
) -> PowerCurve:
    n = len(rejected)
    power = rejected.mean(axis=0)
    smallest = float(crossing(sizes, power, target))
    low = high = smallest
    if not setting.exact:
        low, high = crossing_interval(sizes, rejected, target, seed)
    natural = smallest * setting.unit_effect
    if power[0] > max(LIBERAL, 1.5 * (1 - level)):
        notes.append("size_above_nominal")
    if np.isnan(smallest):
        notes.append("never_reached" if power.max() > 0 else "never_rejects")
    with np.errstate(divide="ignore", invalid="ignore"):
        taken = np.where(rejected, np.abs(estimates), 0.0).sum(axis=0) / rejected.sum(axis=0)
        exaggeration = np.where(sizes > 0, taken / np.abs(sizes * setting.unit_effect), np.nan)
    starts = np.unique(setting.window)
    by_window = np.stack([rejected[setting.window == w].mean(axis=0) for w in starts])
    return PowerCurve(
        effects=sizes,
        power=power,
        error=np.zeros(len(sizes)) if setting.exact else np.sqrt(power * (1 - power) / n),
        exaggeration=exaggeration,
        size=float(power[0]),
        target=target,
        smallest=smallest,
        smallest_low=low,
        smallest_high=high,
        natural=natural,
        percent=100 * natural / abs(setting.mean) if setting.mean != 0 else float("nan"),
        counterfactual_mean=setting.mean,
        kind=setting.kind,
        rule=name,
        level=level,
        simulations=n,
        windows=setting.n_windows,
        assignments=setting.n_assignments,
        exact=setting.exact,
        before=setting.before,
        after=setting.after,
        failed=failed,
        notes=tuple(dict.fromkeys(notes)),
        detail={
            "by_window": by_window,
            "window_starts": setting.panel.periods[starts],
            "unit_effect": setting.unit_effect,
        },
    )


def _check(kind: str, dose: str | None, level: float, target: float, simulations: int) -> None:
    if kind not in get_args(Kind):
        raise UsageError(f"효과의 꼴 {kind!r} 을(를) 모름", remedy=nearest(kind, get_args(Kind)))
    if (kind == "dose") != (dose is not None):
        raise UsageError(
            f"kind={kind!r} 와 dose={dose!r} 이(가) 맞지 않음",
            remedy='용량에 비례하는 효과는 kind="dose" 와 함께 용량 변수의 이름을 줄 것',
        )
    for label, value in (("신뢰수준", level), ("목표 검정력", target)):
        if not 0 < value < 1:
            raise UsageError(f"{label} {value!r} 이(가) 0과 1 사이가 아님", remedy="0.95, 0.8 처럼 적을 것")
    if simulations < 50:
        raise UsageError(f"모의 횟수 {simulations} 이(가) 너무 적음", remedy="1000 처럼 적을 것")


def _sizes(
    effects: Sequence[float] | None,
    panel: Panel,
    design: Design,
    setting: Setting,
    level: float,
    target: float,
) -> Floats:
    if effects is None:
        scale = serial_mde(
            panel, design, before=setting.before, after=setting.after, level=level, power=target
        ).smallest
        return np.linspace(0.0, 2 * scale / abs(setting.unit_effect), SIZES + 1)
    sizes = np.unique(np.append(np.asarray(effects, dtype=np.float64), 0.0))
    if not np.isfinite(sizes).all() or sizes[0] < 0 or len(sizes) < 2:
        raise UsageError(
            f"효과 크기 {list(effects)!r} 을(를) 쓸 수 없음",
            remedy="0보다 큰 유한한 수를 하나 이상 줄 것(줄어드는 효과는 결과의 부호를 바꿀 것)",
        )
    return sizes


__all__ = ["PowerCurve", "before_adoption", "simulated_power"]
