"""The numbers behind `evalkit.estimators.switching`: sample, effects, influence, variance given the paths, deletions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.event_centres import given_paths
from evalkit.arrays.event_comparisons import (
    Coefficients,
    Rows,
    Sums,
    event_sums,
    influence,
)
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, nearest
from evalkit.estimators._event_sheet import Sheet, keeps_clusters, read_sheet, sort_rows
from evalkit.estimators._switching_paths import (
    Order,
    Paths,
    Plan,
    Switchers,
    dose_layers,
    order_atoms,
    plan_events,
    reach_of,
    read_paths,
)
from evalkit.estimators._switching_slopes import Slopes, fit_slopes, slope_influence
from evalkit.panel import Panel

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked; see `evalkit.estimators.switching.switching_effects`."""

    treatment: str
    horizons: int | None
    placebos: int | None
    normalized: bool
    same_switchers: bool
    switchers: Switchers
    within: str | None
    trends_linear: bool
    crossing: str


@dataclass(frozen=True, slots=True)
class Work:
    """The sample: sorted rows (outcome, covariates, dose layer), their order, and the events."""

    sheet: Sheet
    paths: Paths
    order: Order
    rows_at: NDArray[np.int64]
    rows: Rows
    plan: Plan
    covariates: tuple[str, ...]
    dosed: bool


@dataclass(frozen=True, slots=True)
class Found:
    """values (K,); psi, psi_given (K, n) times 1/N; replicates (C, K) or None; dose (K,); alive (E,)."""

    values: Floats
    psi: Floats
    psi_given: Floats
    replicates: Floats | None
    dose: Floats
    alive: NDArray[np.bool_]
    n_observations: NDArray[np.int64]
    slopes: Slopes | None


def settle(panel: Panel, design: Design, options: Options) -> Work:
    """Read, sort and plan.

    Raises
    ------
    DesignError : a wrong option, nobody to compare with
    """
    _check(design, options)
    sheet = read_sheet(panel, design, "지원 전환 추정")
    paths = read_paths(panel, sheet, options.treatment, options.crossing)
    covariates = tuple(name for name in design.covariates if name in panel.varying)
    fixed = [name for name in design.covariates if name not in panel.varying]
    for name in fixed:
        panel.constant(name)
    if fixed:
        paths.notes.append(f"고정 공변량 {', '.join(fixed)} 은(는) 변화가 없어 식에 넣지 않았다.")
    layers = _layers(panel, covariates)
    outcome = np.where(paths.seen, sheet.outcome, np.nan)
    for values in layers:
        outcome = np.where(np.isnan(values), np.nan, outcome)
    order = order_atoms(panel, paths, options.within)
    effects, placebos = _settle_horizons(panel, design, options, paths, order)
    if options.same_switchers:
        outcome = _whole_horizons(outcome, paths, effects)
    plan = plan_events(
        order, design, panel.shape[1], effects, placebos, options.switchers, trends=options.trends_linear
    )
    rows_at, rows = sort_rows(
        replace(sheet, outcome=outcome), paths.keep, order.atom, len(order.first), layers
    )
    return Work(sheet, paths, order, rows_at, rows, plan, covariates, False)


def _check(design: Design, options: Options) -> None:
    if options.switchers not in (None, "in", "out"):
        raise DesignError(
            f"switchers {options.switchers!r} 을(를) 모름",
            remedy=nearest(str(options.switchers), ("in", "out")),
        )
    if options.crossing not in ("drop", "keep"):
        raise DesignError(
            f"crossing {options.crossing!r} 을(를) 모름", remedy=nearest(options.crossing, ("drop", "keep"))
        )
    for name, value in (("horizons", options.horizons), ("placebos", options.placebos)):
        if value is not None and value < (1 if name == "horizons" else 0):
            raise DesignError(f"{name} {value} 은(는) 쓸 수 없음", remedy="기간의 수를 적을 것")
    if options.trends_linear and design.covariates:
        raise DesignError(
            f"단위별 추세와 공변량 {', '.join(design.covariates)} 을(를) 함께 쓸 수 없음 (trends_linear)",
            remedy="공변량을 빼거나 trends_linear 를 끌 것",
        )


def _layers(panel: Panel, covariates: tuple[str, ...]) -> list[Floats]:
    layers = []
    for name in covariates:
        values = panel.values(name)
        if np.isinf(values).any():
            raise DataError(f"공변량 {name} 에 무한대가 있음", remedy="변환을 바꾸거나 빈 값으로 둘 것")
        layers.append(values)
    return layers


def _settle_horizons(
    panel: Panel, design: Design, options: Options, paths: Paths, order: Order
) -> tuple[int, int]:
    effects, placebos = reach_of(order, design, panel.shape[1], options.switchers)
    if effects < 1:
        moved = np.flatnonzero(paths.keep & (paths.first < panel.shape[1]))
        place: tuple[str, ...] = ()
        if len(moved):
            unit = moved[0]
            place = (
                f"단위 {panel.units[unit]}",
                f"처음 수준 {paths.baseline[unit]:g}",
                f"바뀐 기간 {panel.periods[paths.first[unit]]}",
            )
        raise DesignError(
            f"처음 수준이 같으면서 아직 바뀌지 않은 비교 단위가 없음 (처치 {options.treatment}, 처음 수준 "
            f"{len(np.unique(order.values))}가지)",
            where=place,
            remedy="처음 수준을 몇 단계로 묶거나, 바뀌지 않은 단위와 바뀌기 전의 기간을 더하거나, within 을 뺄 것",
        )
    if options.horizons is not None and options.horizons > effects:
        paths.notes.append(
            f"효과는 {effects}기간까지만 비교할 단위가 있어 {options.horizons} 대신 {effects} 로 줄였다."
        )
    effects = effects if options.horizons is None else min(options.horizons, effects)
    most = max(0, min(placebos, effects))
    return effects, most if options.placebos is None else min(options.placebos, most)


def _whole_horizons(outcome: Floats, paths: Paths, effects: int) -> Floats:
    """Outcomes without those of switchers that are not seen from the base to the last horizon."""
    periods = outcome.shape[1]
    at = np.arange(periods)
    first = paths.first[:, None]
    window = (at >= first - 1) & (at <= first - 1 + effects)
    short = (paths.first < periods) & (
        (paths.first - 1 + effects >= periods) | (window & np.isnan(outcome)).any(axis=1)
    )
    return np.where(short[:, None] & (at >= first), np.nan, outcome)


def fit(work: Work, design: Design, options: Options, *, average: bool) -> Found:
    """Estimate, differentiate, delete."""
    plan, rows, order = work.plan, work.rows, work.order
    layers = 1 + len(work.covariates)
    if average or options.normalized:
        dose = dose_layers(work.paths, design.anticipation, cumulated=not average)[work.rows_at].T
        rows = replace(rows, y=np.concatenate([rows.y, np.where(np.isnan(rows.y[:1]), np.nan, dose[None])]))
    clusters = len(work.sheet.labels)
    small = keeps_clusters(work.sheet, len(order.first), rows.y.shape[1] * len(rows.y))
    sums = event_sums(rows, plan.events, clusters if small else 1)
    base = order.baseline[plan.stratum]
    slopes = None
    if work.covariates:
        needed = np.bincount(base, minlength=int(order.baseline.max()) + 1) > 0
        slopes = fit_slopes(rows, order, work.covariates, clusters if small else 1, needed)

    def answers(some: Sums, theta: Floats | None) -> tuple[Floats, ...]:
        return _answers(some, theta, plan, base, layers, average or options.normalized, average, options)

    whole = sums.whole()
    values, a, scale, level, dose_k, alive = (
        part[0] for part in answers(whole, None if slopes is None else slopes.values[None])
    )
    replicates = None
    if small:
        replicates = answers(sums.without(), None if slopes is None else slopes.without)[0]
    psi, given = _influences(work, rows, whole, slopes, a, scale, level, values, dose_k, average, clusters)
    together = (whole.treated_units + whole.others_units)[0] * alive
    term = np.zeros(len(plan.events), dtype=np.int64) if average else plan.events.term
    counts = np.bincount(term, together, minlength=len(values))
    return Found(values, psi, given, replicates, dose_k, alive > 0, counts.astype(np.int64), slopes)


def _answers(
    sums: Sums,
    theta: Floats | None,
    plan: Plan,
    base: NDArray[np.int64],
    layers: int,
    dosed: bool,
    average: bool,
    options: Options,
) -> tuple[Floats, ...]:
    """Values (C, K), event weights (C, E), 1 over the divisor of a term (C, K), mean change of the others (C, E),

    dose of a term (C, K) and events alive (C, E); slopes θ (C, D, P) are taken out of gaps and means.
    """
    events, terms = plan.events, 1 if average else len(plan.terms)
    term = np.zeros(len(events), dtype=np.int64) if average else events.term
    alive = sums.alive
    if options.same_switchers:
        alive = _all_horizons(alive, plan)
    treated, others = sums.means()
    gap, level = (treated - others)[0], others[0]
    if theta is not None:
        alive = alive & np.asarray(np.isfinite(theta).all(axis=2))[:, base]
        theta = np.nan_to_num(theta)
        gap = gap - np.einsum("cep,pce->ce", theta[:, base], (treated - others)[1:layers])
        level = level - np.einsum("cep,pce->ce", theta[:, base], others[1:layers])
        gap, level = np.where(alive, gap, 0.0), np.where(alive, level, 0.0)
    a = np.where(alive, sums.treated_weight, 0.0)
    pick = np.eye(terms)[term]
    total = a @ pick
    divisor = total
    mean_dose = np.full(total.shape, np.nan)
    if dosed:
        change = np.where(alive, sums.treated_change[-1], 0.0) * events.sign
        divisor = change @ pick
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_dose = divisor / total
    some = alive.astype(np.float64) @ pick > 0
    usable = some & (np.abs(divisor) > 1e-12 * np.maximum(np.abs(total), 1e-300))
    scale = np.where(usable, 1.0 / np.where(usable, divisor, 1.0), np.nan)
    values = ((a * events.sign * gap) @ pick) * scale
    return values, a, scale, level, mean_dose, alive.astype(np.float64)


def _all_horizons(alive: NDArray[np.bool_], plan: Plan) -> NDArray[np.bool_]:
    """Events whose switchers have every effect  # (C, E)"""
    effects = sum(term > 0 for term in plan.terms)
    key = np.stack([plan.stratum, plan.first, plan.events.sign.astype(np.int64)], axis=1)
    _, group = np.unique(key, axis=0, return_inverse=True)
    group = group.reshape(-1)
    pick = np.eye(int(group.max()) + 1 if len(group) else 0)[group]
    full = (alive & (plan.horizon > 0)).astype(np.float64) @ pick >= effects
    out: NDArray[np.bool_] = alive & full[:, group]
    return out


def _influences(
    work: Work,
    rows: Rows,
    whole: Sums,
    slopes: Slopes | None,
    a: Floats,
    scale: Floats,
    level: Floats,
    values: Floats,
    dose: Floats,
    average: bool,
    clusters: int,
) -> tuple[Floats, Floats]:
    """Derivative in the units' weights, and the variance given the paths, both times 1/N  # (K, n)"""
    plan, order = work.plan, work.order
    events = plan.events
    layers = 1 + len(work.covariates)
    terms = len(values)
    if average:
        events = replace(events, term=np.zeros(len(events), dtype=np.int64))
    plain = replace(rows, y=rows.y[:1])
    if slopes is not None:
        atom = np.repeat(np.arange(len(order.first)), np.diff(rows.starts))
        theta = np.nan_to_num(slopes.values)[order.baseline[order.stratum[atom]]]
        plain = replace(plain, y=rows.y[:1] - np.einsum("np,ptn->tn", theta, rows.y[1:layers])[None])
    inside = np.where(a > 0, np.nan_to_num(scale)[events.term] * events.sign, 0.0)
    ratio = a / np.where(a > 0, whole.others_weight[0], 1.0)
    dosed = len(rows.y) > layers
    # d(divisor): each switcher adds its own dose (or 1)
    by = Coefficients(inside, level, inside * ratio, level)
    psi = influence(plain, events, terms, by)
    one = np.where(a > 0, np.nan_to_num(scale * values)[events.term], 0.0)
    _take_divisor(psi, rows, events, one, dosed)
    adjusted = whole if slopes is None else event_sums(plain, events, 1)
    given = influence(plain, events, terms, given_paths(plain, events, adjusted, clusters, inside, ratio))
    if slopes is not None:
        treated, others = whole.means()
        gap = (treated - others)[1:layers, 0]  # (P, E)
        lean = np.zeros((terms, len(slopes.values), layers - 1))
        np.add.at(lean, (events.term, order.baseline[plan.stratum]), (inside * a * gap).T)
        extra = slope_influence(rows, slopes, lean)
        psi += extra
        given += extra
    return psi, given


def _take_divisor(psi: Floats, rows: Rows, events: Any, one: Floats, dosed: bool) -> None:
    """Less value × (own part of the divisor), for the switchers of each event, in place."""
    for e in np.flatnonzero(one):
        part = rows.units(events.treated[e])
        used = np.flatnonzero(events.loading[e])
        seen = None if rows.complete else ~np.isnan(rows.y[0][used, part]).any(axis=0)
        own: Any = 1.0
        if dosed:
            own = events.sign[e] * (events.loading[e, used] @ rows.y[-1][used, part])
            # a loading before the base period has the dose at its first column
        mass = own if rows.w is None else own * rows.w[part]
        psi[events.term[e], part] -= one[e] * (mass if seen is None else np.where(seen, mass, 0.0))
