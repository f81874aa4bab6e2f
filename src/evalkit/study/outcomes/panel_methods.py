"""Classic and recent panel methods side by side on one sample: what each averages, and what it must assume.

All methods read the same firms and years: those of the page's effect that are observed in every year of the window and were
there in the year before the first cohort, so that differences between rows are differences of method. The estimate that
leads the evaluation stands above them, on its own sample. Nothing here is chosen by its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evalkit import aggregate
from evalkit.checks.check import Check
from evalkit.checks.hausman import hausman
from evalkit.checks.two_way_weights import two_way_weights
from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.dynamic_panel import dynamic_panel_effects
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.goodman_bacon import goodman_bacon_decomposition
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.imputation import imputation_effects
from evalkit.estimators.panel_regression import panel_regression
from evalkit.estimators.stacked import stacked_effects
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import cluster_jackknife
from evalkit.panel import Panel
from evalkit.study.effect import Effect
from evalkit.study.plan import Plan
from evalkit.study.robustness import answered
from evalkit.study.sample import ADOPTION, OUTCOME

Fit = Callable[[Panel, Design], Estimate]
WINDOW_BEFORE = 3
CLASSIC = ("pooled", "between", "random", "within", "two_way", "first_difference", "dynamic")
RECENT = ("group_time", "imputation", "sun_abraham", "extended_two_way", "stacked")


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One row: its name, whether classic, and the estimate with CV3 (one term), or why there is none."""

    name: str
    family: str
    found: Estimate | EvalkitError


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """The leading estimate under one choice of clusters."""

    cluster: str
    planned: bool
    found: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Bacon:
    """Share and mean of each kind of comparison in the two-way coefficient: kind -> (weight, estimate)."""

    parts: dict[str, tuple[float, float]]
    two_way: float


@dataclass(frozen=True, slots=True, eq=False)
class PanelMethods:
    """All methods on one sample.

    Attributes
    ----------
    effect : the leading estimate, on its own sample
    methods : rows in reading order
    units, treated, years, periods : of the common sample, every unit seen in every period
    hausman : fixed or random effects, with clusters
    weights : weights of the two-way coefficient
    bacon : its decomposition
    two_way_event : two-way event study on the common sample; recent : group-time event study beside it
    dynamic : the dynamic model with the coefficient of the lag and its tests
    clusters : the leading estimate by cluster choice
    """

    effect: Effect
    methods: tuple[Method, ...]
    units: int
    treated: int
    years: tuple[int, int]
    periods: int
    hausman: Check | EvalkitError
    weights: Check | EvalkitError
    bacon: Bacon | EvalkitError
    two_way_event: Estimate | EvalkitError
    recent_event: Estimate | EvalkitError
    dynamic: Estimate | EvalkitError
    clusters: tuple[Clustering, ...]


def panel_methods(plan: Plan, effect: Effect) -> PanelMethods:
    """Every method on the common sample of an effect.

    Raises
    ------
    DesignError : no treated or no comparison unit is observed in every year
    """
    panel, base = common_sample(effect)
    treated = np.isfinite(np.asarray(panel.constant(ADOPTION), dtype=np.float64))
    methods = tuple(
        Method(name, "classic" if name in CLASSIC else "recent", answered(partial(_run, fit, panel, base)))
        for name, fit in _fits(plan, effect).items()
    )
    times = effect.horizon
    return PanelMethods(
        effect=effect,
        methods=methods,
        units=len(panel.units),
        treated=int(treated.sum()),
        years=(int(panel.periods[0]), int(panel.periods[-1])),
        periods=len(panel.periods),
        hausman=answered(partial(hausman, panel, base)),
        weights=answered(partial(two_way_weights, panel, base)),
        bacon=answered(partial(_bacon, panel, base)),
        two_way_event=answered(
            partial(two_way_event_study, panel, base, window=(-WINDOW_BEFORE - 1, max(times)))
        ),
        recent_event=answered(partial(_group_time_events, panel, base, max(times))),
        dynamic=answered(partial(_run, _dynamic, panel, base)),
        clusters=_clusterings(plan, effect),
    )


def common_sample(effect: Effect) -> tuple[Panel, Design]:
    """Units of the effect's sample seen in every year and there at its base; the design without covariates.

    Raises
    ------
    DesignError : a side is empty
    """
    sample = effect.sample
    panel = sample.panel
    keep = np.isfinite(panel.values(OUTCOME)).all(axis=1)
    if sample.design.at_risk is not None:
        at = int(np.flatnonzero(panel.periods == sample.baseline)[0])
        keep &= panel.values(sample.design.at_risk)[:, at] > 0
    for side in (sample.treated, sample.comparison):
        if not (keep & side).any():
            raise DesignError(
                f"{panel.periods[0]}–{panel.periods[-1]}년에 해마다 관측된 단위가 한쪽 집단에 없음",
                remedy="단계의 periods 를 좁힐 것",
            )
    adoption = np.asarray(panel.constant(ADOPTION), dtype=np.float64)
    within = np.where(sample.treated, adoption, np.inf)
    chosen = panel.select(keep).with_fixed(**{ADOPTION: within[keep]})
    design = replace(sample.design, covariates=(), at_risk=None, comparison="never")
    return chosen, design


def _run(fit: Fit, panel: Panel, design: Design) -> Estimate:
    """One term with CV3; the method's own covariance where clusters cannot be left out."""
    found = fit(panel, design)
    return found if found.replicates is None else cluster_jackknife(found)


def _term(found: Estimate, name: str = "treatment") -> Estimate:
    at = [k for k, label in enumerate(found.terms) if label[0] == name]
    return found.select(at)


def _classic(model: str, panel: Panel, design: Design) -> Estimate:
    return _term(panel_regression(panel, design, model=model))  # type: ignore[arg-type]


def _dynamic(panel: Panel, design: Design) -> Estimate:
    return dynamic_panel_effects(panel, design, collapse=True)


def _fits(plan: Plan, effect: Effect) -> dict[str, Fit]:
    """Method name -> function of panel and design with one term out."""
    times = effect.horizon
    last = max(times)

    def mean(found: Estimate) -> Estimate:
        known = np.asarray(found.terms.get_level_values("event_time"), dtype=int)[np.isfinite(found.values)]
        return aggregate.average(found, tuple(int(e) for e in known if e in times))

    return {
        "pooled": partial(_classic, "pooled"),
        "between": partial(_classic, "between"),
        "random": partial(_classic, "random"),
        "within": partial(_classic, "fixed"),
        "first_difference": partial(_classic, "first_difference"),
        "two_way": lambda panel, design: _term(two_way_effects(panel, design)),
        "dynamic": lambda panel, design: _term(_dynamic(panel, design)),
        "group_time": lambda panel, design: mean(
            aggregate.event_study(group_time_effects(panel, design, method="reg"))
        ),
        "imputation": lambda panel, design: mean(imputation_effects(panel, design, by="event_time")),
        "sun_abraham": lambda panel, design: mean(sun_abraham_effects(panel, design)),
        "extended_two_way": lambda panel, design: mean(
            aggregate.event_study(extended_two_way_effects(panel, replace(design, comparison="not_yet")))
        ),
        "stacked": lambda panel, design: stacked_effects(
            panel, design, window=(-WINDOW_BEFORE, last), by="overall"
        ),
    }


def _group_time_events(panel: Panel, design: Design, last: int) -> Estimate:
    found = aggregate.event_study(
        group_time_effects(panel, design, method="reg"),
        min_event_time=-WINDOW_BEFORE - 1,
        max_event_time=last,
    )
    return found if found.replicates is None else cluster_jackknife(found)


def _bacon(panel: Panel, design: Design) -> Bacon:
    found = goodman_bacon_decomposition(panel, design)
    weight = np.asarray(found.detail["weight"], dtype=np.float64)
    kinds = np.asarray(found.terms.get_level_values("type")).astype(str)
    parts = {}
    for kind in dict.fromkeys(kinds.tolist()):
        inside = kinds == kind
        share = float(weight[inside].sum())
        parts[kind] = (share, float(weight[inside] @ found.values[inside] / share))
    return Bacon(parts, float(weight @ found.values))


def _clusterings(plan: Plan, effect: Effect) -> tuple[Clustering, ...]:
    """The leading estimate with the plan's clusters, its companion's, and each unit its own."""
    sample = effect.sample
    lo, hi = plan.phases[effect.phase].cohorts
    names: list[str | None] = [sample.design.cluster, plan.inference.companion_cluster, None]
    found = []
    for name in dict.fromkeys(names):
        cells = group_time_effects(
            sample.panel,
            replace(sample.design, cluster=name),
            method=plan.design.method if sample.design.covariates else "reg",
            missing=plan.design.missing,
        )
        mean = aggregate.average(
            aggregate.event_study(aggregate.select_cohorts(cells, lo, hi)), effect.horizon
        )
        led = mean if mean.replicates is None else cluster_jackknife(mean)
        found.append(Clustering(name or "unit", name == sample.design.cluster, led))
    return tuple(found)


def negative_share(check: Check) -> float:
    """How much of the absolute weight is negative, 0–1."""
    up, down = float(check.detail["sum_positive"]), -float(check.detail["sum_negative"])
    return down / (up + down)


def spread(methods: tuple[Method, ...], family: str) -> NDArray[np.float64]:
    """Smallest and largest estimate of a family; NaN where none was found  # (2,)"""
    values = [
        float(m.found.values[0]) for m in methods if m.family == family and isinstance(m.found, Estimate)
    ]
    return np.array([min(values), max(values)]) if values else np.full(2, np.nan)
