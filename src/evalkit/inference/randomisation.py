"""Randomisation inference: the actual assignment of adoption dates against the others that could have been drawn.

The statistic (coefficient, RI-β, or its cluster-robust t, RI-t) is computed again for re-assignments of whole cohorts over
clusters (Fisher 1935; Young 2019; MacKinnon & Webb 2020). RI-t is primary: it keeps its level asymptotically even where
only the average effect is 0, and loses less than RI-β where clusters differ in size. The p-value is exact if clusters were
assigned at random, or if their paths without treatment are exchangeable; enumeration counts every distinct assignment.
Intervals hold the constant effects that are not rejected (p > 1 − level), from exact crossings.

Without `fit` the statistic is that of `two_way_effects`, for all assignments at once (`arrays.reassigned_two_way`); with it,
the method is estimated again for every assignment.

Checked against full enumeration in R (golden ri_exact_S4), re-estimation assignment by assignment and pyfixest's ``ritest``:
tests/reference/test_randomisation.py. Differences: t has the cluster-robust error without small-sample factor (the same
for all assignments, so no p-value changes); pyfixest draws each cluster's treatment independently, so that the number of
treated clusters varies: here it is kept.

``detail``
    coefficient, t, std_error : of the actual assignment (y less the null); t and std_error without small-sample factor
    p_coefficient, p_t : two-sided, of either statistic; p_upper, p_lower : one-sided, of the chosen one
    count : distinct assignments; n_groups, n_treated : groups re-assigned, and those with a date
    n_not_estimable : assignments that leave no treatment to estimate; they count as at least as large
    placebos : the chosen statistic by assignment  # (B,)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.acceptance import covered, of_coefficient, of_t
from evalkit.arrays.permutations import as_large, p_value
from evalkit.arrays.reassigned_two_way import evaluate, moments
from evalkit.design import Design
from evalkit.errors import RefusalError, UsageError
from evalkit.inference.placebo_curves import Curves
from evalkit.inference.reassigned import prepare, sample_for, two_way_curves
from evalkit.inference.reassignment import (
    SEED,
    Reassign,
    Reassignment,
    check_level,
    least_rejected,
    reassignments,
)
from evalkit.inference.reestimated import reestimate
from evalkit.inference.refit import Fit
from evalkit.interval_set import IntervalSet
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Statistic = Literal["t", "coefficient"]

NAMES = {"t": "RI-t", "coefficient": "RI-β"}

CARDS = (
    MethodCard(
        function="randomisation_test",
        name="무작위 재배정 검정",
        english="randomisation inference (RI-t, RI-β)",
        group="few_treated",
        question="지원 지역을 달리 골랐어도 이만한 효과가 나왔을까?",
        assumptions=(
            "지원 군집이 (층 안에서) 무작위로 골라졌거나, 지원이 없었을 때의 경로가 군집 사이에 서로 바꾸어도 좋을 만큼 닮았다.",
            "신뢰집합은 효과가 모든 지원 군집에서 같다고 볼 때의 것이다.",
        ),
        returns="IntervalSet: p값, 기각되지 않는 효과의 집합, 이 설계에서 가능한 가장 작은 p값",
        reference="Fisher (1935); Young (2019); MacKinnon & Webb (2020)",
        oracle=(
            "R 의 완전 열거(ri_exact_S4)와 배정마다의 재추정: tests/reference/test_randomisation.py",
            "pyfixest 0.60 ritest: tests/reference/test_randomisation.py",
        ),
        differs="t 의 표준오차에 소표본 보정을 곱하지 않는다: 배정마다 같은 값이라 p값은 그대로다. pyfixest 와 달리 처치 군집 수를 지킨다.",
        refuses="군집 안에 처치 시점이 섞이면 통째로 재배정하지 않는다: 군집 안 단위의 재배정이나 CV3 를 쓴다.",
    ),
)


def randomisation_test(
    panel: Panel,
    design: Design,
    fit: Fit | None = None,
    *,
    statistic: Statistic = "t",
    strata: str | None = None,
    reassign: Reassign = "clusters",
    draws: int = 9_999,
    seed: int = SEED,
    level: float = 0.95,
    null: float = 0.0,
    interval: bool = True,
    most_refits: int = 999,
) -> IntervalSet:
    """Randomisation test of a constant effect, with the set of effects that it does not reject.

    Parameters
    ----------
    panel, design : clusters of the design (units where it names none) are re-assigned; errors are clustered by them
    fit : method with one term out; None = the treatment coefficient of `two_way_effects`, with the varying covariates
    statistic : "t" (studentised, to be preferred) or "coefficient"
    strata : fixed variable (each cluster in one stratum): dates are permuted within strata only
    reassign : "clusters", or "units_within_clusters" where firms of one province were assigned: units change places within
        their cluster, errors stay clustered
    draws, seed : random assignments where the distinct ones are more than 50,000; else all are listed
    level : of the set; a value is in it where p > 1 − level
    null : effect tested, in units of the outcome
    interval : whether the set is wanted; otherwise it is the whole line
    most_refits : with `fit`, assignments at most (all are listed where they are no more); an interval takes three estimates
        of each

    Returns
    -------
    IntervalSet "RI-t" or "RI-β"; codes in ``notes``: "no_rejection_possible" (the smallest p-value exceeds 1 − level),
        "drawn_assignments", "assignments_not_estimable", "unbounded_interval", "interval_in_pieces",
        "no_interval_not_affine" (the method is not linear in the outcome)

    Raises
    ------
    DesignError : mixed clusters, a cluster in two strata, nothing to re-assign, one cluster
    RefusalError : t where the error is 0 or not defined; anticipation without `fit`
    UsageError : an option or level that does not exist

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 3], [1, 1], [0, 1], [2, 4.0]])},
    ...               {"adoption": np.array([2, np.inf, np.inf, np.inf])})
    >>> out = randomisation_test(panel, Design("y"), statistic="coefficient")
    >>> round(out.estimate, 12), out.p_value, out.smallest_p, out.notes
    (2.0, 0.5, 0.25, ('no_rejection_possible', 'unbounded_interval'))
    """
    check_level(level, null)
    _check_statistic(statistic)
    options: dict[str, Any] = {"strata": strata, "reassign": reassign, "seed": seed}
    if fit is None:
        chosen, curves = two_way_curves(panel, design, draws=draws, **options)
    else:
        most = max(int(most_refits), 19)
        chosen = reassignments(
            panel, design, draws=min(draws, most), merge_late=False, enumerated=most, **options
        )
        curves = reestimate(panel, design, fit, chosen, null=null, shifted=interval)
    return _set_of(chosen, curves, statistic, level, null, interval)


def _check_statistic(statistic: str) -> None:
    if statistic not in NAMES:
        raise UsageError(f"통계량 {statistic!r} 은(는) 없음", remedy="t 또는 coefficient 로 적을 것")


def _set_of(
    chosen: Reassignment, curves: Curves, statistic: Statistic, level: float, null: float, interval: bool
) -> IntervalSet:
    z = null - curves.centre
    values = curves.b - z * curves.h
    variance = np.maximum(curves.own @ np.array([1.0, z, z * z]), 0.0)
    own_variance = float(curves.actual @ np.array([1.0, z, z * z]))
    known = np.isfinite(own_variance) and own_variance > (1e-12 * max(abs(curves.centre), abs(z))) ** 2
    if statistic == "t" and not known:
        raise RefusalError(
            f"실제 배정의 표준오차가 {own_variance:.3g} 이라 t 통계량을 만들 수 없음",
            remedy='statistic="coefficient" 로 재배정하거나 한쪽의 군집을 둘 이상으로 늘릴 것',
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        t, own_t = values / np.sqrt(variance), -z / np.sqrt(own_variance) if known else np.nan
    statistics = {"coefficient": (-z, values), "t": (float(own_t), t)}
    p_values = {
        name: p_value(as_large(own, drawn), exact=chosen.exact) if np.isfinite(own) else np.nan
        for name, (own, drawn) in statistics.items()
    }
    own, drawn = statistics[statistic]
    total = len(drawn) if chosen.exact else len(drawn) + 1
    smallest = (int(curves.always.sum()) + (0 if chosen.exact else 1)) / total
    lost = int((~np.isfinite(curves.b)).sum())
    wanted = interval and curves.affine
    pieces = _pieces(curves, statistic, total, level, chosen.exact) if wanted else ((-np.inf, np.inf),)
    told = {
        "no_rejection_possible": smallest > (1.0 - level) * (1.0 + 1e-9),
        "drawn_assignments": not chosen.exact,
        "assignments_not_estimable": lost > 0,
        "no_interval_not_affine": interval and not curves.affine,
        "unbounded_interval": wanted and not np.isfinite([pieces[0][0], pieces[-1][1]]).all(),
        "interval_in_pieces": len(pieces) > 1,
    }
    return IntervalSet(
        estimate=curves.estimate,
        pieces=pieces,
        level=float(level),
        p_value=p_values[statistic],
        method=NAMES[statistic],
        smallest_p=smallest,
        null=float(null),
        exact=chosen.exact,
        draws=len(drawn),
        notes=tuple(code for code, true in told.items() if true),
        detail={
            "coefficient": -z,
            "t": float(own_t),
            "std_error": float(np.sqrt(max(own_variance, 0.0))),
            **{f"p_{name}": p for name, p in p_values.items()},
            "p_upper": p_value(as_large(own, drawn, 1), exact=chosen.exact),
            "p_lower": p_value(as_large(own, drawn, -1), exact=chosen.exact),
            "count": chosen.count,
            "n_groups": len(chosen.labels),
            "n_treated": int(chosen.treated.sum()),
            "n_not_estimable": lost,
            "placebos": drawn,
        },
    )


def _pieces(
    curves: Curves, statistic: Statistic, total: int, level: float, exact: bool
) -> tuple[tuple[float, float], ...]:
    if statistic == "coefficient":
        starts, ends = of_coefficient(curves.b, curves.h, curves.always)
    else:
        starts, ends = of_t(curves.b, curves.h, curves.own, curves.actual, curves.always)
    if not exact:  # the actual assignment beside the draws
        starts, ends = np.append(starts, -np.inf), np.append(ends, np.inf)
    pieces = covered(starts, ends, least_rejected(total, level))
    return tuple((curves.centre + low, curves.centre + high) for low, high in pieces)


# -- one set of assignments for several outcomes or specifications -----------------------------------


def randomisation_draws(
    panel: Panel,
    design: Design,
    outcomes: Sequence[str],
    *,
    statistic: Statistic = "t",
    strata: str | None = None,
    reassign: Reassign = "clusters",
    draws: int = 9_999,
    seed: int = SEED,
    assignments: Reassignment | None = None,
) -> tuple[Floats, Floats]:
    """Statistics of several outcomes under the same assignments, for step-down tests and specification curves.

    Parameters
    ----------
    panel, design, statistic, strata, reassign, draws, seed : as in `randomisation_test`; the design's outcome is not read
    outcomes : names of varying variables
    assignments : from `reassignments` with this panel, to share them with other calls (other covariates, weights); strata,
        reassign, draws and seed are then not read

    Returns
    -------
    observed (m,) and draws (B, m) of the two-way statistic. Under enumeration (`Reassignment.exact`) the actual assignment
        is one of the draws, so p = mean(|draws| ≥ |observed|); with random draws p = (1 + #)/(B + 1). NaN = that assignment
        leaves nothing to estimate for that outcome

    Raises
    ------
    UsageError : no outcome, or assignments of another panel
    """
    _check_statistic(statistic)
    if not outcomes:
        raise UsageError("결과 변수가 하나도 없음", remedy="outcomes 에 변수 이름을 하나 이상 적을 것")
    samples = [sample_for(panel, replace(design, outcome=name)) for name in outcomes]
    if assignments is None:
        units = np.isin(panel.units, np.concatenate([sample.units for sample in samples]))
        assignments = reassignments(
            panel, design, strata=strata, reassign=reassign, draws=draws, seed=seed, units=units
        )
    elif len(assignments.group) != len(panel.units):
        raise UsageError(
            f"재배정이 다른 패널(단위 {len(assignments.group)}개)의 것임: 이 패널의 단위는 {len(panel.units)}개",
            remedy="같은 패널로 reassignments 를 부를 것",
        )
    elif any((assignments.group[np.isin(panel.units, sample.units)] < 0).any() for sample in samples):
        raise UsageError(
            "재배정에 들지 않은 단위가 결과 변수의 표본에 있음",
            remedy="reassignments 를 units 없이 불러 모든 단위를 재배정할 것",
        )
    rows = np.vstack([assignments.observed.astype(np.int8), assignments.codes])
    out = np.full((len(rows), len(outcomes)), np.nan)
    done: dict[bytes, list[int]] = {}
    for j, sample in enumerate(samples):
        key = b"" if sample.weights is None else sample.weights.tobytes()
        done.setdefault(key + sample.units.tobytes(), []).append(j)
    for alike in done.values():
        ready = prepare(panel, samples[alike[0]], assignments)
        left = [ready.effects.residual(samples[j].outcome) for j in alike]
        sums = moments(
            ready.effects, left, ready.paths, ready.group, len(assignments.labels), assignments.owner
        )
        found = evaluate(sums, rows, studentise=statistic == "t")
        with np.errstate(divide="ignore", invalid="ignore"):
            t = found.coefficient / np.sqrt(found.variance)
        out[:, alike] = t if statistic == "t" else found.coefficient
    return out[0], out[1:]
