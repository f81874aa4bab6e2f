"""Local-projection difference-in-differences (LP-DiD) for a treatment that stays once it has come.

What it estimates: for each event time h, the change of the outcome from the base period (the last one before adoption,
anticipation counted) to h periods after adoption, of the units that adopt in period t, less the same change of units
that are not yet treated in t + h; one regression a horizon, with an intercept for each t. Already treated units are
never a comparison, so none of the weights is negative.

    "equal"       every treated unit counts once: the average effect on the treated. Without covariates it is the
                  event study of group-time effects against not yet treated units; with covariates, regression
                  adjustment (slopes from the comparison units alone)
    "variance"    the plain regression: events weigh by n_T n_C / (n_T + n_C)
    "reweighted"  the plain regression with weights n / n_C an event: as "equal" without covariates, errors of the
                  regression with its weights taken as given

Dube, Girardi, Jordà & Taylor (2025), A local projections approach to difference-in-differences, Journal of Applied
Econometrics: equations 9 to 13 (clean controls, weights), section 3.6 (base over a window of periods, PMD).

Checked live against diff_diff 3.13 (points and errors of all three, PMD, pooled, covariates, lagged changes) and
pyfixest 0.60 (variance weights): tests/reference/test_local_projection.py; against group-time effects in
tests/properties/test_local_projection_properties.py.

Where it differs, and why: the default is "equal", which has a meaning when effects differ by cohort, where the Stata
command starts from "variance". Covariates that vary over time are taken in the base period, as everywhere in this kit
(the peers take them in t). "equal" has the influence function of the average itself (treated shares estimated, no
G/(G−1), normal quantiles, "IF"); the two regressions have CV1 with G/(G−1)·(n−1)/(n−k), k the intercepts, slopes and
the effect, and t(G−1). Periods are calendar labels: a base or target period that is not in the data drops the event
and says so. Before the base, comparison units are those not treated in the base period, as group-time effects have it.

``detail``
    events : list of cohort, event_time (first and last of a pooled term), n_treated, n_comparison, effect, weight: the
        two-group comparisons behind each term, without covariates taken out; weight sums to 1 within a term
    n_obs, small_sample : observations of each regression, and the factor of its covariance (1 for "equal")  # (k,)
    weighting, base_window, horizons : as asked; covariates : names; slopes : of the covariates  # (k, P)
    dropped : counts of units and cohorts left out; notes : Korean sentences
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich, without_rounding
from evalkit.arrays.event_comparisons import (
    clusters_by_side,
    units_behind,
)
from evalkit.design import Design
from evalkit.errors import DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._event_sheet import Sheet, keeps_clusters, read_sheet, unsorted
from evalkit.estimators._local_projection_events import (
    Layout,
    covariate_reader,
    lay_out,
    settle_adoption,
    settle_horizons,
)
from evalkit.estimators._local_projection_fit import (
    Fit,
    Weighting,
    fit_adjusted,
    fit_plain,
    small_sample,
)
from evalkit.estimators._one_sided import Sides, doubts, saturated, without_error
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="local_projection_effects",
        name="국소투영 이중차분",
        english="local-projection difference-in-differences (LP-DiD)",
        group="staggered",
        question="지원을 시작한 지 몇 해 뒤에 효과가 얼마인가, 아직 지원받지 않은 곳과만 견주면?",
        assumptions=(
            "지원이 없었다면 시작한 곳과 아직 시작하지 않은 곳의 변화가 같았다(평행추세).",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "지원은 한 번 시작하면 이어진다.",
        ),
        returns="event_time (pooled 이면 term); IF 또는 CV1, 영향함수, 군집을 뺀 추정치",
        reference="Dube, Girardi, Jordà & Taylor (2025)",
        oracle=(
            "diff_diff 3.13, pyfixest 0.60: tests/reference/test_local_projection.py",
            "집단-시점 효과와의 항등식: tests/properties/test_local_projection_properties.py",
        ),
        differs="기본값은 지원받은 단위마다 같은 무게(equal)이고, 공변량은 기준 기간의 값을 쓴다.",
        refuses="켜졌다 꺼지는 지원: switching_effects 를 쓴다.",
    ),
)


def local_projection_effects(
    panel: Panel,
    design: Design,
    *,
    weighting: Weighting = "equal",
    horizons: tuple[int, int] | None = None,
    pooled: tuple[int, int] | None = None,
    base_window: int | Literal["all"] | None = None,
    lagged_changes: int = 0,
    treatment: str | None = None,
) -> Estimate:
    """Effects by event time against clean comparison units, one regression a horizon.

    Parameters
    ----------
    panel : balanced or not; a unit takes part in a comparison when the base and the target period are observed
    design : comparison "not_yet" or "never"; anticipation moves the base and shortens the clean comparison; fixed
        covariates, and varying ones in the base period; a fixed weight; ``base`` is always "universal"
    weighting : "equal" (average effect on the treated), "variance" or "reweighted"
    horizons : first and last event time; None = all that the data hold
    pooled : first and last event time of one pooled term in place of the event study: the mean outcome over these
        event times, all of them observed, against units clean until the last
    base_window : None = the base period alone; a number k = the mean of the k periods up to it; "all" = the mean of
        all periods up to it (PMD: less noise where errors are not persistent)
    lagged_changes : that many changes of the outcome up to the base period as covariates
    treatment : name of a varying 0/1 variable to read adoption from, in place of ``design.adoption``

    Returns
    -------
    Estimate
        terms "event_time", 0 = the first treated period; the base period is a term only with a ``base_window``.
        With ``pooled``, one term ("term": "pooled"). A term that cannot be estimated is left out and noted.

    Raises
    ------
    RefusalError : the treatment of ``treatment`` switches off again; link other than levels; units at risk
    DesignError : no event with comparison units, no base period, a covariate that explains itself, one cluster
    DataError : infinite values, negative weights, a treatment other than 0 and 1

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 3.0], [0, 5.0], [1, 2.0], [0, 1.0]])},
    ...               {"adoption": np.array([2, 2, np.inf, np.inf])})
    >>> local_projection_effects(panel, Design("y")).values
    array([3.])
    """
    _check(weighting, horizons, pooled, base_window, lagged_changes)
    sheet = read_sheet(panel, design, "국소투영 이중차분")
    adoption = settle_adoption(panel, design, treatment)
    wanted = settle_horizons(panel, design, adoption, horizons, pooled, base_window)
    layout = lay_out(
        panel,
        design,
        sheet,
        adoption,
        wanted,
        base_window,
        everything=weighting == "variance" or bool(design.covariates) or lagged_changes > 0,
    )
    reader = covariate_reader(panel, design, layout, lagged_changes)
    small = keeps_clusters(sheet, len(layout.atoms), len(panel.periods))
    clusters = len(sheet.labels) if small else 1
    if reader is None:
        fit = fit_plain(layout.rows, layout.events, len(wanted), weighting, clusters, small)
    else:
        fit = fit_adjusted(layout, reader.names, reader.read, len(wanted), weighting, clusters, small)
    return _estimate(panel, design, sheet, layout, wanted, fit, weighting, pooled, base_window)


def _check(
    weighting: str,
    horizons: tuple[int, int] | None,
    pooled: tuple[int, int] | None,
    base_window: int | str | None,
    lagged_changes: int,
) -> None:
    if weighting not in get_args(Weighting):
        raise DesignError(
            f"무게 {weighting!r} 을(를) 모름 (weighting)", remedy=nearest(str(weighting), get_args(Weighting))
        )
    if horizons is not None and pooled is not None:
        raise DesignError("horizons 와 pooled 를 함께 적음", remedy="둘 가운데 하나만 적을 것")
    for name, window in (("horizons", horizons), ("pooled", pooled)):
        if window is not None and (len(window) != 2 or window[0] > window[1]):
            raise DesignError(f"{name} {window} 이(가) 오름차순이 아님", remedy="(-4, 4) 처럼 적을 것")
    if base_window is not None and base_window != "all" and (
        not isinstance(base_window, int) or base_window < 1
    ):  # fmt: skip
        raise DesignError(
            f"base_window {base_window!r} 은(는) 쓸 수 없음", remedy='1 이상의 정수나 "all" 을 적을 것'
        )
    if lagged_changes < 0:
        raise DesignError(f"lagged_changes {lagged_changes} 이(가) 음수임", remedy="0 이상으로 적을 것")


def _estimate(
    panel: Panel,
    design: Design,
    sheet: Sheet,
    layout: Layout,
    wanted: list[tuple[int, int]],
    fit: Fit,
    weighting: Weighting,
    pooled: tuple[int, int] | None,
    base_window: int | str | None,
) -> Estimate:
    n, clusters = len(panel.units), len(sheet.labels)
    keep = np.flatnonzero(np.isfinite(fit.values))
    notes = [*sheet.notes, *layout.notes]
    if not len(keep):
        raise DesignError(
            "비교할 단위가 있는 경과 기간이 하나도 없음",
            where=(f"결과 {design.outcome}", f"코호트 {', '.join(layout.cohort_names)}"),
            remedy="지원받지 않았거나 더 늦게 받은 단위를 더하거나 더 이른 기간의 자료를 넣을 것",
        )
    if len(keep) < len(wanted):
        gone = ", ".join(str(wanted[k][0]) for k in range(len(wanted)) if k not in keep)
        why = "비교할 단위가 없거나 공변량의 기울기를 구할 수 없어" if fit.names else "비교할 단위가 없어"
        notes.append(f"경과 기간 {gone} 은(는) {why} 뺐다.")
    psi = unsorted(fit.psi[keep] * n, layout.order, n)
    factor, n_obs, dof = small_sample(layout, fit, weighting, len(wanted), clusters)
    covariance = sandwich(psi, sheet.cluster, clusters)
    covariance *= np.sqrt(factor[keep, None] * factor[None, keep])
    if pooled is None:
        terms = pd.MultiIndex.from_arrays([[wanted[k][0] for k in keep]], names=["event_time"])
    else:
        terms = pd.MultiIndex.from_arrays([["pooled"]], names=["term"])
    alive = np.asarray((fit.units > 0).all(axis=0))
    sides = Sides(
        *(s[keep] for s in clusters_by_side(layout.rows, layout.events, len(wanted), alive, clusters))
    )
    behind = units_behind(layout.rows, layout.events, len(wanted), alive)[:, keep]
    largest = float(np.nanmax(np.abs(panel.values(design.outcome))))
    covariance = without_error(without_rounding(covariance, largest), sides.alone)
    covariance, full = saturated(covariance, behind[1], len(fit.names), terms)
    notes += [*full, *doubts(sides, terms, fit.values[keep], covariance, design.cluster)]
    return Estimate(
        terms=terms,
        values=fit.values[keep],
        covariance=covariance,
        influence=psi,
        cluster=sheet.cluster,
        cluster_labels=sheet.labels,
        replicates=None if fit.replicates is None else fit.replicates[:, keep],
        dof=dof[keep],
        n_treated=behind[0],
        n_comparison=behind[1],
        method=f"local_projection/{weighting}",
        inference="IF" if weighting == "equal" else "CV1",
        units=panel.units,
        design=replace(design, base="universal").to_dict(),
        detail={
            "events": _told(layout, fit, wanted),
            "n_obs": n_obs[keep],
            "small_sample": factor[keep],
            "weighting": weighting,
            "base_window": base_window,
            "horizons": [list(wanted[k]) for k in keep],
            "covariates": list(fit.names),
            "slopes": fit.slopes[keep],
            "dropped": {**sheet.dropped, **layout.dropped},
            "notes": notes,
        },
    )


def _told(layout: Layout, fit: Fit, wanted: list[tuple[int, int]]) -> list[dict[str, Any]]:
    return [
        {
            "cohort": int(layout.dates[e]),
            "event_time": list(wanted[k]),
            "n_treated": int(fit.units[0, e]),
            "n_comparison": int(fit.units[1, e]),
            "effect": float(fit.gap[e]),
            "weight": float(fit.share[e]),
        }
        for e, k in enumerate(layout.events.term)
        if fit.units[0, e] and fit.units[1, e]
    ]
