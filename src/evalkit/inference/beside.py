"""The tests that the decision table asks for, made from an estimate and what can be estimated again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference.choice import Row
from evalkit.inference.cluster_effects import cluster_changes
from evalkit.inference.counts import ClusterCounts
from evalkit.inference.few_treated import ferman_pinto
from evalkit.inference.randomisation import randomisation_test
from evalkit.inference.refit import Refits
from evalkit.inference.single_treated import single_treated_cluster
from evalkit.inference.wild import wild_bootstrap
from evalkit.interval_set import IntervalSet

RI = "RI"
# re-assignment of the two-way coefficient beside an estimate of another method: a question asked twice
RI_TWO_WAY = "RI:two_way"


def named_tests(
    est: Estimate, counts: ClusterCounts, row: Row, refits: Refits | None, *, level: float
) -> tuple[dict[str, IntervalSet], dict[str, str]]:
    """Every test that the row names and that can be made here, by the name of the row; and why others could not.

    Re-assignment without refits is of the two-way coefficient: beside an estimate of another method it is named
    "RI:two_way", and its ``estimate`` is that coefficient.

    Parameters
    ----------
    est : of one term
    refits : None = only what the estimate itself holds
    """
    made: dict[str, Callable[[], IntervalSet]] = {}
    if refits is not None and counts.assigned_by_cluster:
        if refits.scale == "linear":
            made["FP-v"] = lambda: ferman_pinto(
                refits.panel,
                refits.design,
                refits.fit,
                size=refits.size,
                draws=refits.draws,
                seed=refits.seed,
                level=level,
                interval=refits.intervals,
            )
            made[RI if est.method.startswith("two_way") else RI_TWO_WAY] = lambda: randomisation_test(
                refits.panel,
                refits.design,
                # one treated cluster has no error of its own to be divided by
                statistic="t" if counts.fewest > 1 else "coefficient",
                strata=refits.strata,
                draws=refits.draws,
                seed=refits.seed,
                level=level,
                interval=refits.intervals,
            )
            made["Hagemann"] = lambda: _single(refits, level=level)
        else:
            made["RI"] = lambda: reassigned_ratio(refits, level=level)
    if refits is None or refits.intervals:
        made["WCR-S"] = lambda: wild_bootstrap(est, level=level)[0]
    found: dict[str, IntervalSet] = {}
    missing: dict[str, str] = {}
    for asked in dict.fromkeys((row.lead, *row.companions)):
        name = RI_TWO_WAY if asked == RI and RI not in made else asked
        if name not in made:
            continue
        try:
            found[name] = made[name]()
        except EvalkitError as error:
            missing[name] = error.problem
    return found, missing


def _single(refits: Refits, *, level: float) -> IntervalSet:
    """Hagemann's test, the one treated cluster at most twice as variable as the others, either way."""
    changes = cluster_changes(refits.panel, refits.design)
    seen = np.isfinite(changes.values)
    treated = changes.values[changes.treated & seen]
    if len(treated) != 1:
        raise DesignError(
            f"처치 군집이 {len(treated)}개라 하나일 때의 검정을 쓸 수 없음",
            remedy="FP-v 나 재배정 검정을 볼 것",
        )
    return single_treated_cluster(
        float(treated[0]), changes.values[~changes.treated & seen], side="two", level=level
    )


def reassigned_ratio(refits: Refits, *, level: float = 0.95) -> IntervalSet:
    """Re-assignment of clusters for an effect that multiplies the outcome, with an interval by shift.

    The p-value of no effect is that of `randomisation_test` on the estimate. Under another constant ratio the estimates of
    all assignments move by about the same amount, so the interval is the estimate ± the smallest length that as many
    placebo estimates reach as the level leaves: it excludes 0 exactly where p ≤ 1 − level, and is approximate elsewhere
    (note "interval_by_shift").
    """
    out = randomisation_test(
        refits.panel,
        refits.design,
        refits.fit,
        statistic="coefficient",
        strata=refits.strata,
        draws=refits.draws,
        seed=refits.seed,
        level=level,
        interval=False,
        most_refits=refits.most_refits,
    )
    placebos = np.abs(np.asarray(out.detail["placebos"], dtype=np.float64))
    # an assignment that cannot be estimated counts as larger, and the actual one stands beside drawn ones
    placebos = np.append(np.where(np.isnan(placebos), np.inf, placebos), [] if out.exact else [np.inf])
    # kept are the values that more than a share 1 − level of the placebos reach
    last = int(np.floor((1 - level) * len(placebos) * (1 + 1e-12)))
    half = float(np.sort(placebos)[::-1][last])
    return replace(
        out,
        pieces=((out.estimate - half, out.estimate + half),),
        notes=(*out.notes, "interval_by_shift"),
    )
