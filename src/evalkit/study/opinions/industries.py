"""Target industries: of a province against the same industries elsewhere, and of treated provinces against untreated ones.

The first needs no untreated province (every province has targets of its own); the second does, and takes out in return
what happens to target industries everywhere.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators.target_industries import target_industry_effects
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.inference import Headline
from evalkit.inference.refit import Refits
from evalkit.panel import Panel
from evalkit.percent import PERCENT
from evalkit.study.opinions.question import Question, Unanswerable, flags, mean_of, require, treated_flags
from evalkit.study.opinions.result import Opinion, Unit
from evalkit.study.plan_opinions import IndustriesOptions, TripleOptions
from evalkit.study.sample import AnalysisSample


def target_industries(question: Question) -> Opinion:
    """Cells of province × industry; a cell counts as treated from the year in which its province began, if it is a target."""
    asked = cast(IndustriesOptions, question.asked.options)
    panel = question.study.panel(asked.panel)
    require(panel, asked.target, asked.province, asked.industry, asked.variable or question.of.variable)
    if question.of.scale == "log" and asked.scale != "level":
        raise DesignError(
            f"결과 {question.outcome} 이(가) 이미 로그라 options 의 scale: {asked.scale} 을(를) 다시 취하지 않음",
            remedy="scale: level 로 적을 것",
        )
    target = flags(panel.constant(asked.target))
    start = np.where(target, place_start(panel, asked.province), np.inf)
    sample = question.sample(
        panel.with_fixed(adoption=start), variable=asked.variable, covariates=False, plain=True
    )
    design = Design(
        outcome=sample.design.outcome,
        adoption=sample.design.adoption,
        comparison="never",
        anticipation=sample.design.anticipation,
        cluster=asked.province,
    )

    def fit(panel: Panel, design: Design) -> Estimate:
        found = target_industry_effects(
            panel, design, province=asked.province, industry=asked.industry, scale=asked.scale
        )
        return mean_of(found, question.horizon)[0]

    found = fit(sample.panel, design)
    lead = question.led(found, treated_flags(found, sample))
    return _answer(question, sample, lead, asked.scale)


def triple_differences(question: Question) -> Opinion:
    """Target industries of treated provinces, net of their other industries and of what both do in untreated provinces."""
    asked = cast(TripleOptions, question.asked.options)
    panel = question.study.panel(asked.panel)
    require(panel, asked.eligible, asked.variable or question.of.variable)
    start = place_start(panel, "sido")
    if np.isfinite(start)[_usable(question, panel)].all():
        raise Unanswerable("no_untreated_province")
    eligible = flags(panel.constant(asked.eligible)).astype(np.float64)
    sample = question.sample(
        panel.with_fixed(eligible_used=eligible, adoption=start),
        variable=asked.variable,
        covariates=False,
        plain=True,
    )

    def fit(panel: Panel, design: Design) -> Estimate:
        found = triple_difference_effects(
            panel, design, eligible="eligible_used", combination=asked.combination
        )
        return mean_of(found, question.horizon)[0]

    found = fit(sample.panel, sample.design)
    inference = question.plan.inference
    refits = Refits(sample.panel, sample.design, fit, strata=inference.strata, most_refits=199)
    lead = question.led(found, treated_flags(found, sample), refits)
    return _answer(question, sample, lead, "level", eligible="eligible_used")


def _answer(
    question: Question, sample: AnalysisSample, lead: Headline, scale: str, *, eligible: str = ""
) -> Opinion:
    """Effect a cell, and of all target cells together where the numbers add up."""
    inside = sample.treated.copy()
    if eligible:
        inside &= np.asarray(sample.panel.constant(eligible), dtype=float) == 1
    treated, others = int(inside.sum()), len(inside) - int(inside.sum())
    if not treated:
        raise DesignError("지원받은 곳의 대상 산업이 표본에 없음", remedy="대상 산업의 목록을 확인할 것")
    logged = question.of.scale == "log"  # the sample holds logarithms already
    unit: Unit = "outcome" if logged else "cell" if scale == "level" else "percent"
    factor = 1.0 if logged else question.of.total_factor if scale == "level" else PERCENT
    rows = question.rows(lead, [("effect", {}, treated, others)], unit, factor)
    if scale == "log":
        rows = [row.mapped(lambda value: PERCENT * float(np.expm1(value / PERCENT))) for row in rows]
    if scale == "level" and question.of.total_unit is not None:
        rows.append(rows[0].mapped(lambda value: value * treated, term="total", unit="total"))
    names = sample.panel.constant("sido")
    return question.answer(
        rows,
        # beside a lead over the same cells, itself relative to other industries: another form of one comparison
        shares_comparison=question.plan.units.builder == "industries",
        estimate=lead.estimate,
        lead=lead,
        facts={
            "treated": treated,
            "comparison": others,
            "base": sample.baseline,
            "provinces": len(np.unique(names[inside])),
            "others": len(np.unique(names[~sample.treated])) if eligible else len(np.unique(names)),
        },
    )


def _usable(question: Question, panel: Panel) -> NDArray[np.bool_]:
    """Cells that the plan does not keep out of the sample altogether  # (N,)"""
    kept = np.ones(len(panel.units), dtype=bool)
    for rule in question.plan.units.exclude:
        if rule.applies_to == "all" and rule.equals is not None and rule.variable in panel.fixed:
            kept &= panel.constant(rule.variable).astype(str) != rule.equals
    return kept


def place_start(panel: Panel, province: str) -> NDArray[np.float64]:
    """First treated period of each cell's province, whether the panel dates provinces or their target cells  # (N,)"""
    code, labels = panel.clusters(province)
    first = np.full(len(labels), np.inf)
    np.minimum.at(
        first,
        code,
        np.nan_to_num(np.asarray(panel.constant("adoption"), dtype=float), nan=np.inf, posinf=np.inf),
    )
    return first[code]
