"""Applicants that were not chosen as comparison: they wanted the programme as much as those that got it (Busso, Gregory and
Kline 2013; Greenstone, Hornbeck and Moretti 2010). The estimator is that of the leading design."""

from __future__ import annotations

from typing import cast

import numpy as np

from evalkit.estimate import Estimate
from evalkit.inference.refit import Refits
from evalkit.study.fitting import planned_fit
from evalkit.study.opinions.question import Question, flags, require, treated_flags
from evalkit.study.opinions.result import Opinion
from evalkit.study.plan import Exclusion
from evalkit.study.plan_base import Text
from evalkit.study.plan_opinions import ApplicantsOptions
from evalkit.study.sample import draw_sample


def applicants(question: Question) -> Opinion:
    """Those chosen against those that applied and were not."""
    asked = cast(ApplicantsOptions, question.asked.options)
    panel = question.study.panel(question.of.panel)
    require(panel, asked.applicant)
    applied = np.where(flags(panel.constant(asked.applicant)), "1", "0")
    only = Exclusion(
        variable="applicant_used", equals="0", reason=Text(ko="신청하지 않음", en="did not apply")
    )
    plan = question.plan
    ruled = plan.model_copy(
        update={"units": plan.units.model_copy(update={"exclude": (*plan.units.exclude, only)})}
    )
    outcome = question.of
    if asked.covariates == "none":
        outcome = outcome.model_copy(update={"covariates": ()})
    ruled = ruled.model_copy(update={"outcomes": {**plan.outcomes, question.outcome: outcome}})
    sample = draw_sample(ruled, panel.with_fixed(applicant_used=applied), question.outcome, question.phase)
    fit = planned_fit(ruled, question.phase, inference=False)
    found: Estimate = fit(sample.panel, sample.design)
    inference = plan.inference
    refits = Refits(sample.panel, sample.design, fit, size=inference.size, strata=inference.strata)
    lead = question.led(found, treated_flags(found, sample), refits)
    treated, others = int(sample.treated.sum()), int(sample.comparison.sum())
    rows = question.rows(lead, [("effect", {}, treated, others)])
    rows += question.totals(rows[0], treated)
    return question.answer(
        rows,
        same_question=True,
        estimate=lead.estimate,
        lead=lead,
        sets=lead.sets,
        facts={"treated": treated, "comparison": others, "base": sample.baseline},
    )
