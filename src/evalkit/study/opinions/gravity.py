"""Flows from the origins to treated destinations, net of what every origin sends out in a year (PPML gravity).

The coefficient is relative: destinations that lost the movers stand among those compared with, unless a diversion term
names them. Its two readings bound the truth: nobody lost the movers (positive sum), or all of them were only divided anew
(zero sum).
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.exact_odds import exact_odds
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.gravity import gravity_effects
from evalkit.flows import Flows
from evalkit.inference import Headline
from evalkit.percent import flow_bounds
from evalkit.study.opinions.question import Question
from evalkit.study.opinions.result import Opinion, OpinionRow
from evalkit.study.plan_opinions import GravityOptions

ADOPTION = "adoption_used"
# moves to zones before or after, under which only the exact odds ratio is given
RARE = 10


def gravity(question: Question) -> Opinion:
    """Per cent more flows to treated destinations, the two readings, and the diversion terms."""
    asked = cast(GravityOptions, question.asked.options)
    plan = question.plan
    flows = within_phase(
        question.study.flows(asked.flows),
        asked.adoption,
        asked.diversion,
        plan.phases[question.phase].cohorts,
        plan.phases[question.phase].periods,
    )
    design = Design(
        "moves",
        adoption=ADOPTION,
        anticipation=plan.design.anticipation,
        cluster=plan.inference.cluster,
    )
    adoption = np.asarray(flows.constant(ADOPTION), dtype=np.float64)
    own, others = int(np.isfinite(adoption).sum()), int(np.isinf(adoption).sum())
    table = collapsed(flows)
    facts = {
        "treated": own,
        "comparison": others,
        "base": plan.phases[question.phase].cohorts[0] - 1 - plan.design.anticipation,
        "moves": float(np.nansum(flows.counts)),
        "table": ", ".join(f"{n:g}" for n in table.ravel()),
        "rare": float(table[:, 0].min()) < RARE,
    }
    exact = _exact(question, table, own, others)
    if facts["rare"]:
        return question.answer([exact], facts=facts)
    found = gravity_effects(flows, design, diversion=asked.diversion, pair=asked.pair, trends=asked.trends)
    treated = np.isfinite(adoption)[np.isin(flows.destinations, found.units)]
    bounds = flow_bounds(found)
    lead = question.led(found.select([0]), treated)
    rows = [_percent(row) for row in question.rows(lead, [("flow", {}, own, others)], "percent")]
    two = question.rows(
        question.led(bounds, treated), [(str(label[0]), {}, own, others) for label in bounds.terms], "percent"
    )
    rows += [_percent(row) for row in two[1:]]
    rows += _diversion(question, found, treated, asked.diversion, own, others)
    return question.answer([*rows, exact], estimate=found, lead=lead, facts=facts)


def collapsed(flows: Flows) -> NDArray[np.float64]:
    """Moves after and before (rows) to treated destinations and to others (columns); before the first adoption of all.

    Cells of a treated destination between the first adoption and its own are left out.
    """
    start = np.asarray(flows.constant(ADOPTION), dtype=np.float64)
    first = start[np.isfinite(start)].min()
    after, before = flows.periods >= first, flows.periods < first
    counts = np.nansum(flows.counts, axis=0)  # (D, T)
    on = flows.periods[None, :] >= start[:, None]
    own = np.isfinite(start)
    return np.array(
        [
            [counts[own][on[own]].sum(), counts[~own][:, after].sum()],
            [counts[own][:, before].sum(), counts[~own][:, before].sum()],
        ]
    )


def _exact(question: Question, table: NDArray[np.float64], own: int, others: int) -> OpinionRow:
    found = exact_odds(table, question.level)
    row = OpinionRow(
        "exact",
        found.ratio,
        found.low,
        found.high,
        found.p_value,
        unit="percent",
        treated=own,
        comparison=others,
        by="exact",
    )
    return row.mapped(lambda ratio: 100 * (ratio - 1))


def within_phase(
    flows: Flows,
    adoption: str,
    diversion: tuple[str, ...],
    cohorts: tuple[int, int],
    periods: tuple[int, int],
) -> Flows:
    """Flows in the years of a phase; destinations treated before it leave, those treated after it count as not treated.

    Raises
    ------
    DesignError : no year or no treated destination is left
    """
    start = np.asarray(flows.constant(adoption), dtype=np.float64)
    start = np.where(np.isnan(start), np.inf, start)
    kept = start >= cohorts[0]
    years = (flows.periods >= periods[0]) & (flows.periods <= periods[1])
    used = np.where(start <= cohorts[1], start, np.inf)
    if not years.any() or not np.isfinite(used[kept]).any():
        raise DesignError(
            f"{cohorts[0]}–{cohorts[1]}년에 처음 지구가 된 도착지나 그 기간의 흐름이 없음",
            remedy="단계의 기간과 지구의 시작 연도를 확인할 것",
        )
    fixed = {name: values[kept] for name, values in flows.fixed.items()}
    for name in diversion:
        fixed[name] = _exposed(flows.constant(name), cohorts)[kept]
    return Flows(
        flows.origins,
        flows.destinations[kept],
        flows.periods[years],
        flows.counts[:, kept][:, :, years],
        {**fixed, ADOPTION: used[kept]},
        {name: values[kept][:, years] for name, values in flows.varying.items()},
        flows.notes,
    )


def _exposed(raw: NDArray[np.generic], cohorts: tuple[int, int]) -> NDArray[np.float64]:
    """First year near a zone; after the phase is as never."""
    start = np.asarray(raw, dtype=np.float64)
    return np.where(np.isnan(start) | (start > cohorts[1]), np.inf, start)


def _diversion(
    question: Question,
    found: Estimate,
    treated: NDArray[np.bool_],
    names: tuple[str, ...],
    own: int,
    others: int,
) -> list[OpinionRow]:
    labels = [str(label[0]) for label in found.terms]
    at = [labels.index(name) for name in names if name in labels]
    if not at:
        return []
    lead: Headline = question.led(found.select(at), treated)
    rows = question.rows(lead, [("diversion", {}, own, others)] * len(at), "percent")
    return [_percent(row) for row in rows]


def _percent(row: OpinionRow) -> OpinionRow:
    """100 (e^β − 1) of a log ratio."""
    return row.mapped(lambda value: 100 * float(np.expm1(value)))
