"""Amount of support: effects by amount and what another unit of money brings, units without support as amount zero.

The mean effect answers the question of the leading design. Its slope is the effect of the amount only under strong parallel
trends (Callaway, Goodman-Bacon and Sant'Anna 2024): firms of every amount would have had the same path at every amount.

Amounts by province are refused. Where every province got the same sum, the amount for each worker is one over its size: what
happens to small and large provinces alike would be read as the effect of money, and there is no province with amount zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from evalkit.estimators.dose_response import dose_response
from evalkit.study.opinions.question import Question, Unanswerable, require, treated_flags
from evalkit.study.opinions.result import Opinion
from evalkit.study.plan_opinions import DoseOptions
from evalkit.study.sample import AnalysisSample

DOSE = "dose_used"
QUARTILES = (0.25, 0.5, 0.75)


def dose(question: Question) -> Opinion:
    """Mean effect, effect of another unit of money, effects at the quartiles of the amounts.

    Raises
    ------
    Unanswerable : amounts by province, or no such variable
    """
    asked = cast(DoseOptions, question.asked.options)
    if asked.at == "province":
        raise Unanswerable("dose_is_size")
    require(question.study.panel(question.of.panel), asked.variable)
    sample = question.sample()
    raw = np.asarray(sample.panel.constant(asked.variable), dtype=np.float64)
    amount = np.where(sample.treated, raw / asked.scale, 0.0)
    amount[sample.treated & (amount <= 0)] = np.nan  # supported, and no amount was written down
    panel = sample.panel.with_fixed(**{DOSE: amount})
    known = amount[sample.treated & np.isfinite(amount)]
    grid = np.unique(np.quantile(known, QUARTILES)) if len(known) else np.zeros(0)
    found = dose_response(
        panel,
        sample.design,
        dose=DOSE,
        grid=grid.tolist(),
        degree=asked.degree,
        knots=asked.knots,
        horizon=question.horizon,
        missing="pairs",
    )
    lead = question.led(found, treated_flags(found, sample))
    treated, others = len(known), int(sample.comparison.sum())
    terms = [
        (
            f"dose_{label[0]}",
            {"dose": "" if label[1] == "average" else f"{float(label[1]):.1f}"},
            treated,
            others,
        )
        for label in found.terms
    ]
    every = question.rows(lead, terms)
    named = {(row.term, row.values["dose"]): row for row in every}
    mean = replace(named["dose_att", ""], term="effect", values={})
    slope = replace(named["dose_acrt", ""], term="slope", unit="dose")
    curve = [row for row in every if row.term == "dose_att" and row.values["dose"]]
    return question.answer(
        [mean, *question.totals(mean, treated), slope, *curve],
        # it averages over firms, the leading design over event times: the same where every cohort is seen at all of them
        same_question=_seen_throughout(sample, question.horizon),
        shares_comparison=True,
        estimate=lead.estimate,
        lead=lead,
        facts={
            "treated": treated,
            "comparison": others,
            "base": sample.baseline,
            "unknown": int(sample.treated.sum()) - treated,
            "low": float(known.min()),
            "high": float(known.max()),
            "unit": asked.unit,
        },
    )


def _seen_throughout(sample: AnalysisSample, horizon: int) -> bool:
    """Whether the last cohort is observed at every event time of the horizon."""
    adoption = np.asarray(sample.panel.constant(sample.design.adoption), dtype=np.float64)
    return bool(adoption[np.isfinite(adoption)].max() + horizon <= sample.panel.periods[-1])
