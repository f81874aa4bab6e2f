"""Treated places against a mix of places never treated that moved as they did before (synthetic difference-in-differences),
with the rank of the effect among places that only pretend to be treated."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.permutations import as_large, p_value
from evalkit.checks.check import Check, Verdict
from evalkit.errors import DesignError, RefusalError
from evalkit.estimators.synthetic_did import synthetic_did_effects
from evalkit.inference import cluster_counts
from evalkit.study.opinions.question import Question, natural, treated_flags
from evalkit.study.opinions.result import Opinion, OpinionRow
from evalkit.study.plan_opinions import SyntheticOptions
from evalkit.study.sample import AnalysisSample


def synthetic(question: Question) -> Opinion:
    """Mean over event times 0..horizon; the rows of every event time are the figure."""
    asked = cast(SyntheticOptions, question.asked.options)
    sample = question.sample(covariates=False, variable=asked.variable)
    found = synthetic_did_effects(
        sample.panel, sample.design, terms="event_time", replications=asked.replications, seed=1
    )
    times = np.asarray(found.terms.get_level_values("event_time"), dtype=int)
    inside = (times >= 0) & (times <= question.horizon) & np.isfinite(found.values)
    if not inside.any():
        raise DesignError(
            f"지원 후 0–{question.horizon}년의 효과를 하나도 추정할 수 없음", remedy="기간을 확인할 것"
        )
    weights = inside / inside.sum()
    mean = found.combine(weights, ["average"])
    row = {str(k): float(v) for k, v in mean.table(question.level).iloc[0].items()}
    treated, donors = int(found.n_treated.max()), int(found.n_comparison.max())
    first = OpinionRow(
        "effect",
        row["estimate"],
        row["conf_low"],
        row["conf_high"],
        row["p_value"],
        treated=treated,
        comparison=donors,
        by=found.inference,
        why="" if np.isfinite(row["conf_low"]) else "no_standard_error",
    ).mapped(lambda value: natural(value, question.of.scale))
    ranks, checks = [], []
    drawn = _placebos(sample, weights, asked.replications)
    if drawn is not None:
        values, every = drawn
        rank = p_value(as_large(row["estimate"], values), exact=every)
        ranks.append(
            OpinionRow(
                "placebo_rank", float("nan"), p_value=rank, by="placebo", treated=treated, comparison=donors
            )
        )
        verdict: Verdict = "pass" if rank <= 1 - question.level else "unknown"
        checks.append(Check("placebo", verdict, "rank", rank, rank, {"draws": len(values)}))
    fit = float(np.max(found.detail["pre_fit"]))
    paths = found.table(question.level)
    for name in ("estimate", "conf_low", "conf_high"):
        paths[name] = paths[name].map(lambda value: natural(value, question.of.scale))
    return question.answer(
        [first, *question.totals(first, treated), *ranks],
        same_question=True,
        shares_comparison=True,
        estimate=found,
        counts=cluster_counts(found, treated_flags(found, sample)),
        checks=tuple(checks),
        figure=paths,
        facts={
            "treated": treated,
            "comparison": donors,
            "base": sample.baseline,
            "pre_fit": fit,
            "donors": float(np.min(found.detail["effective_donors"])),
        },
    )


def _placebos(
    sample: AnalysisSample, weights: NDArray[np.float64], replications: int
) -> tuple[NDArray[np.float64], bool] | None:
    """The same mean for sets of donors that only pretend, and whether all sets were used; places move alone, not by cluster."""
    alone = replace(sample.design, cluster=None)
    try:
        found = synthetic_did_effects(
            sample.panel, alone, terms="event_time", inference="placebo", replications=replications, seed=1
        )
    except RefusalError:
        return None
    drawn = np.asarray(found.detail["placebos"], dtype=np.float64) @ weights
    return drawn[np.isfinite(drawn)], bool(found.detail.get("enumerated", False))
