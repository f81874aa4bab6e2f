"""What the same method finds in other places: treatment given to clusters that did not have it, and the actual rank.

Whole clusters are re-assigned, as many of each cohort as there are; few assignments are all made, many are drawn. The actual
estimate is ranked among the placebo estimates (Abadie, Diamond & Hainmueller 2010); the same for t ratios, which
hold their size better where clusters differ in variance (MacKinnon & Webb 2020).

The treated clusters are left out, so that no placebo holds a true effect; the p-value is therefore a rank, not an exact test
(fewer comparison clusters stand behind a placebo than behind the actual estimate). Re-assignment over all clusters, exact under
exchangeability, is `evalkit.inference.randomisation_test`.

Checked against explicit loops over assignments, estimate by estimate, and diff_diff 3.13's ``placebo_group_test`` (live):
tests/reference/test_placebo.py. Differences: diff_diff estimates one given set of units; the rank is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from evalkit.arrays.permutations import as_large, p_value
from evalkit.checks._before import treated_dates
from evalkit.checks.check import Check
from evalkit.checks.reassignment import numbers_of, p_values_of, refit, require_level
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.inference.reassignment import Reassignment, reassignments
from evalkit.inference.refit import Fit
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

CARDS = (
    MethodCard(
        function="placebo_in_place",
        name="장소 위약",
        english="placebo in place",
        group="robustness",
        question="지원받지 않은 지역에 지원을 배정해 보면 실제 추정치만큼 큰 값이 얼마나 흔한가?",
        assumptions=("지원이 없었다면 어느 지역이 지원받았어도 추정치의 분포가 같았다(교환 가능).",),
        returns="PlaceboInPlace: 배정마다의 추정치, 순위, p값, 가능한 가장 작은 p값, Check",
        reference="Abadie, Diamond & Hainmueller (2010); MacKinnon & Webb (2020)",
        oracle=("배정을 하나하나 다시 추정한 값: tests/reference/test_placebo.py",),
        differs="군집을 통째로, 코호트 수를 지켜 배정하고, 배정이 적으면 모두 열거한다.",
        refuses="지원받은 군집보다 비교 군집이 많지 않은 자료: 모든 군집에 다시 배정하는 randomisation_test 를 쓴다.",
    ),
)


@dataclass(frozen=True, slots=True)
class PlaceboInPlace:
    """The actual estimate among those of other assignments.

    Attributes
    ----------
    estimate : the actual estimate
    table : one row a placebo assignment: estimate, std_error, p_value (its own), assigned (names, cohort by cohort)
    rank : of the actual estimate by absolute value, 1 = largest, ties before it
    p_value : share of assignments, the actual one counted, with an estimate as large in absolute value; assignments
        that could not be estimated count as large
    p_studentised : the same for t ratios; NaN without a standard error
    smallest_p : the smallest p-value that so many assignments can give
    exact : every assignment among the comparison clusters was made
    failed : assignments that could not be estimated
    check : verdict
    """

    estimate: float
    table: pd.DataFrame
    rank: int
    p_value: float
    p_studentised: float
    smallest_p: float
    exact: bool
    failed: int
    check: Check


def placebo_in_place(
    panel: Panel,
    design: Design,
    fit: Fit,
    *,
    assigned: str | None = None,
    strata: str | None = None,
    draws: int = 999,
    most: int = 5000,
    seed: int = 20180301,
    level: float = 0.95,
) -> PlaceboInPlace:
    """Give the treatment to never treated clusters instead, as many of each cohort, and rank the actual estimate.

    Parameters
    ----------
    fit : one-term method; a `FastFit` such as `two_way_coefficient` is asked for all assignments at once
    assigned : fixed variable whose values were treated as a whole; None = the design's cluster
    strata : fixed variable within whose values the treatment may move; the treated cohorts are first given to clusters of
        their own stratum
    draws, most : draws where there are more than `most` distinct assignments

    Raises
    ------
    DesignError : treatment is not given to whole clusters, or no more comparison than treated clusters (in a stratum)
    UsageError : fewer than 19 draws, a level outside (0, 1)
    """
    require_level(level)
    own = design if assigned is None else replace(design, cluster=assigned)
    chosen = reassignments(panel, own, strata=strata, draws=draws, seed=seed, enumerated=1)
    value, error, dof = numbers_of(fit(panel, design))
    pseudo = _comparison_only(panel, own, chosen, strata)
    chosen = reassignments(pseudo, own, strata=strata, draws=draws, seed=seed, enumerated=most)
    found = refit(pseudo, design, fit, chosen)
    values, errors = found.values[1:], found.errors[1:]  # the first is an arrangement of our own making
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio, ratios = (abs(value) / error if error > 0 else np.nan), values / errors
    large = as_large(value, values)
    p_place = p_value(large, exact=False)
    p_ratio = p_value(as_large(ratio, ratios), exact=False) if np.isfinite(ratio) else float("nan")
    table = pd.DataFrame(
        {
            "estimate": values,
            "std_error": errors,
            "p_value": found.p_values[1:],
            "assigned": _names(chosen),
        }
    )
    known = int(np.isfinite(values).sum())
    smallest = 1 / (1 + len(values))
    p_own = float(p_values_of(np.array([value]), np.array([error]), np.array([dof]))[0])
    check = _check(p_place, smallest, p_own, known, level)
    failed = len(values) - known
    return PlaceboInPlace(
        value, table, 1 + int(large.sum()), p_place, p_ratio, smallest, chosen.exact, failed, check
    )


def _comparison_only(panel: Panel, design: Design, chosen: Reassignment, strata: str | None) -> Panel:
    """The panel of never treated groups, with the treated cohorts given to the first of them in each stratum."""
    dates = treated_dates(panel, design)
    treated = chosen.treated
    layer = panel.clusters(strata)[0] if strata is not None else np.zeros(len(dates), dtype=np.int64)
    of_group = np.zeros(len(treated), dtype=np.int64)
    of_group[chosen.group] = layer
    pseudo = np.full(len(treated), np.inf)
    for s in np.unique(of_group):
        pool = np.flatnonzero((of_group == s) & ~treated)
        moved = np.sort(chosen.dates[chosen.observed[(of_group == s) & treated]])
        if len(moved) and len(pool) <= len(moved):
            place = "" if strata is None else f" (층 {strata})"
            raise DesignError(
                f"지원받지 않은 군집이 {len(pool)}개로 지원받은 군집 {len(moved)}개보다 많지 않아 비교 군집에 다시 배정할"
                f" 수 없음{place}",
                where=(f"도입 시점 변수 {design.adoption}",),
                remedy="randomisation_test 로 모든 군집에 다시 배정하거나 더 잘게 나뉜 군집 변수를 쓸 것",
            )
        pseudo[pool[: len(moved)]] = moved
    kept = ~np.isfinite(dates)
    return panel.with_fixed(**{design.adoption: pseudo[chosen.group]}).select(kept)


def _names(chosen: Reassignment) -> list[str]:
    """Groups treated in each assignment."""
    words = np.array([str(label) for label in chosen.labels])
    on = np.isfinite(chosen.dates)[chosen.codes]
    return [", ".join(words[row]) for row in on]


def _check(p_place: float, smallest: float, own: float, known: int, level: float) -> Check:
    name = "placebo_in_place"
    detail: dict[str, Any] = {"placebos": known, "smallest_p": smallest, "own_p_value": own}
    if not known:
        return Check(name, "unknown", "nothing_estimated", detail=detail)
    if smallest >= 1 - level:
        return Check(name, "unknown", "too_few_places", p_value=p_place, detail=detail)
    if p_place < 1 - level:
        return Check(name, "pass", "stands_out", p_value=p_place, detail=detail)
    reason = "common_among_placebos" if own < 1 - level else "does_not_stand_out"
    return Check(name, "warn", reason, p_value=p_place, detail=detail)
