"""Shares with a numerator and a denominator: regular jobs among jobs, youth among hires.

What it estimates, for the units treated so far, by cohort, period or event time, or overall:

    share             Σ N / Σ D − Σ D ŝ0 / Σ D: the aggregate share less the share without the treatment, from a fractional
                      logit with cohort and period effects on cells weighted by denominators; the denominators are taken
                      as they turned out, so this is the change of composition at the observed size
    numerator         mean effect on N per unit and period, from cohort and period effects on the means of N
    denominator       the same for D
    ratio             R1 − R0 = N1/D1 − N0/D0 with both counterfactuals: the share when the denominator may move too
    ratio_numerator   (N1 − N0)/D1: what of it comes from the numerator
    ratio_denominator −R0 (D1 − D0)/D1: what comes from the denominator. The two add up to `ratio`.

A share can rise because the denominator falls: then `ratio_numerator` is not positive, and the share is no success.

Papke & Wooldridge 1996 (fractional logit, quasi-likelihood); Wooldridge 2023, "Simple approaches to nonlinear difference-in-
differences with panel data", Econometrics Journal 26 (cohort and period effects, imputation form). Unit effects are left
out on purpose (incidental parameters with a logit). Everything is a function of the sums of N, D and units by cohort and
period, so influence functions are gradients in these sums and replicates are exact fits of the sums without each cluster
(a few Newton steps on cohorts × periods numbers, warm or not).

Checked against statsmodels GLM (binomial and Poisson with dummies on cells) and least squares:
tests/reference/test_fractional_shares.py. Units that miss a period are left out.

``detail``
    numerator, denominator, units_weight : sums by cohort and period, as used  # (J, T)
    cohorts : adoption of each row of these, +inf never; periods
    share_without, numerator_without, denominator_without : fitted without the treatment  # (J, T)
    dropped : counts of units left out (unobserved, already_treated, incomplete); notes : Korean sentences
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cell_means import CellFit, Link, fit_cells
from evalkit.arrays.cluster import sandwich
from evalkit.arrays.two_way import group_matrix
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import require_clusters, require_weights
from evalkit.estimators._one_sided import Sides, doubts, sides_of_terms, without_error
from evalkit.estimators.cohort_sample import CohortSample, build_sample
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
By = Literal["overall", "event_time", "cohort", "cell"]
TERMS = ("share", "numerator", "denominator", "ratio", "ratio_numerator", "ratio_denominator")
CLUSTERS_FOR_REPLICATES = 400

CARDS = (
    MethodCard(
        function="fractional_shares",
        name="비율 결과의 이중차분(분자·분모)",
        english="fractional logit difference-in-differences with numerator and denominator",
        group="outcomes",
        question="지원은 정규직·청년의 비율을 바꾸었는가, 그 까닭은 분자인가 분모인가?",
        assumptions=(
            "지원이 없었다면 두 집단의 비율이 로짓 척도에서 나란히 움직였다(share).",
            "지원이 없었다면 분자와 분모의 평균이 각각 나란히 움직였다(link=levels 는 폭, ratios 는 배율; 나머지 항).",
            "지원 전에는 효과가 없다.",
        ),
        returns="term × event_time·cohort·cell; 영향함수(IF), 군집을 뺀 추정치(칸 합계의 정확한 재추정)",
        reference="Papke & Wooldridge (1996); Wooldridge (2023)",
        oracle=("statsmodels GLM (칸 자료): tests/reference/test_fractional_shares.py",),
        differs="단위 효과 대신 코호트 효과를 쓴다(로짓의 우연 모수 문제).",
        refuses="공변량, 0과 1 사이를 벗어난 비율.",
    ),
)


@dataclass(frozen=True, slots=True)
class _Totals:
    """Sums by cohort and period  # (J, T): numerator, denominator, weighted units."""

    n: Floats
    d: Floats
    w: Floats


def fractional_shares(
    panel: Panel,
    design: Design,
    *,
    denominator: str,
    by: By = "overall",
    replicates: bool | None = None,
) -> Estimate:
    """Effects on a share, its numerator and its denominator, in one estimate.

    Parameters
    ----------
    panel : a unit that misses a period of numerator or denominator is left out
    design : the outcome is the numerator (a count, not the share); comparison "not_yet" fits all cells without
        treatment, "never" the never treated and the base period of each cohort; ``link`` is the scale on which
        numerator and denominator run in parallel ("levels" or "ratios"); cluster, weight and anticipation as usual
    denominator : name of the varying variable that the outcome is a part of
    by : "overall", "event_time" (from adoption on), "cohort" or "cell" (cohort and period)
    replicates : whether to leave out each cluster; None = when the clusters are at most 400 and are not the units

    Returns
    -------
    Estimate with terms ("term", by); shares are between 0 and 1, numerator and denominator per unit and period

    Raises
    ------
    DataError : a numerator below 0 or above its denominator
    DesignError : covariates, no cells under treatment, cells of 0 or 1 only where the counterfactual is fitted

    Examples
    --------
    >>> panel = Panel(np.arange(2), np.array([1, 2]),
    ...               {"regular": np.array([[5.0, 8.0], [5.0, 5.0]]), "jobs": np.array([[10.0, 10.0], [10.0, 10.0]])},
    ...               {"adoption": np.array([2.0, np.nan])})
    >>> fractional_shares(panel, Design("regular"), denominator="jobs").values[0].round(12)
    np.float64(0.3)
    """
    panel = _checked(panel, design, denominator, by)
    sample = build_sample(panel, design, unbalanced=False)
    codes, labels = panel.clusters(design.cluster)
    require_clusters(design, len(labels))
    require_weights(sample, design)
    if replicates is None:
        replicates = design.cluster is not None and len(labels) <= CLUSTERS_FOR_REPLICATES
    n, d, w = _arrays(panel, design, sample, denominator)
    cohort = np.repeat(np.arange(len(sample.cohorts)), np.diff(sample.starts))
    whole = _totals(n, d, w, cohort, len(sample.cohorts))
    fitted = _fitted_cells(sample, design)
    sets, levels, names = _sets(sample, by)
    values, gradient, fits = _effects(whole, fitted, sets, design.link)
    # each unit's own sums in the gradient of the estimate in the sums
    part = np.einsum("tn,ntk->nk", n, gradient.n[cohort]) + np.einsum("tn,ntk->nk", d, gradient.d[cohort])
    part += np.einsum("tn,ntk->nk", np.broadcast_to(w, n.shape), gradient.w[cohort])
    influence = np.zeros((len(panel.units), len(values)))
    influence[sample.order] = len(panel.units) * part
    left = None
    if replicates:
        left = _replicates(whole, (n, d, w), cohort, sample.cluster, len(labels), fitted, sets, design.link)
    tables = np.tile(np.stack(sets, axis=2), len(TERMS))
    sides = sides_of_terms(cohort, sample.cluster, len(labels), None, tables, fitted)
    told, clusters, method = (names, levels), (codes, labels), f"fractional_shares/{by}"
    return _assemble(
        panel, design, sample, clusters, told, values, influence, left, whole, fits, method, sides
    )


def _checked(panel: Panel, design: Design, denominator: str, by: str) -> Panel:
    """The panel with the numerator missing wherever the denominator is."""
    if by not in get_args(By):
        raise DesignError(f"묶는 방법 {by!r} 을(를) 모름", remedy=nearest(by, get_args(By)))
    if design.covariates or design.at_risk is not None:
        raise DesignError(
            "비율의 이중차분은 공변량과 at_risk 를 쓰지 않음",
            remedy="공변량이 필요하면 집단을 나누어 추정하거나 분자·분모에 group_time_effects 를 쓸 것",
        )
    n, d = panel.values(design.outcome), panel.values(denominator)
    for name, values in ((design.outcome, n), (denominator, d)):
        if np.isinf(values).any():
            raise DataError(f"변수 {name} 에 무한대가 있음", remedy="유한한 수로 고칠 것")
    with np.errstate(invalid="ignore"):
        wrong = (n < 0) | (d < 0) | (n > d * (1 + 1e-9))
    if wrong.any():
        at = np.argwhere(wrong)[0]
        raise DataError(
            f"분자 {design.outcome} {n[at[0], at[1]]:g} 이(가) 0과 분모 {denominator} {d[at[0], at[1]]:g} 사이에 있지 않음",
            where=(f"단위 {panel.units[at[0]]}", f"{panel.periods[at[1]]}"),
            remedy="결과에는 비율이 아니라 분자의 수를, denominator 에는 그것을 품는 수를 적을 것",
        )
    return panel.with_varying(**{design.outcome: np.where(np.isnan(d), np.nan, n)})


def _arrays(
    panel: Panel, design: Design, sample: CohortSample, denominator: str
) -> tuple[Floats, Floats, Floats]:
    """Weighted numerator and denominator (T, n) and weights (1 or T, n) in the sample's order."""
    columns = np.searchsorted(panel.periods, sample.periods)
    n, d = (panel.values(name)[sample.order][:, columns].T for name in (design.outcome, denominator))
    return n * sample.w, d * sample.w, sample.w


def _totals(n: Floats, d: Floats, w: Floats, cohort: Codes, cohorts: int) -> _Totals:
    indicator = group_matrix(cohort, cohorts)
    return _Totals(
        *(np.asarray(indicator @ np.ascontiguousarray(v.T)) for v in (n, d, np.broadcast_to(w, n.shape)))
    )


def _fitted_cells(sample: CohortSample, design: Design) -> NDArray[np.bool_]:
    """Cells without the treatment that the fit uses  # (J, T)"""
    before = sample.periods[None, :] + design.anticipation < sample.cohorts[:, None]
    if design.comparison == "not_yet":
        return before
    base = np.zeros_like(before)
    base[np.arange(len(base)), before.sum(axis=1) - 1] = True
    return np.where(np.isinf(sample.cohorts)[:, None], before, base)


def _sets(sample: CohortSample, by: By) -> tuple[list[NDArray[np.bool_]], list[tuple[int, ...]], list[str]]:
    """Cells under treatment of each term (J, T), labels, and the names of their levels."""
    target = np.zeros(len(sample.cohorts), dtype=bool)
    target[sample.targets] = True
    cohorts = np.where(np.isfinite(sample.cohorts), sample.cohorts, 2**31)
    event = np.where(target[:, None], sample.periods[None, :] - cohorts[:, None], -1).astype(np.int64)
    after = event >= 0
    if not after.any():
        raise DesignError("지원 후의 기간이 자료에 없음", remedy="기간을 넓힐 것")
    pairs: list[tuple[tuple[int, ...], NDArray[np.bool_]]]
    if by == "overall":
        pairs = [((), after)]
    elif by == "event_time":
        pairs = [((int(e),), event == e) for e in np.unique(event[after])]
    else:
        rows = np.flatnonzero(after.any(axis=1))
        own = np.arange(len(after))[:, None]
        pairs = [((int(cohorts[j]),), after & (own == j)) for j in rows]
        if by == "cell":
            year = np.arange(after.shape[1])[None, :]
            pairs = [
                ((int(cohorts[j]), int(sample.periods[t])), (own == j) & (year == t))
                for j, t in np.argwhere(after)
            ]
    names = {"overall": [], "event_time": ["event_time"], "cohort": ["cohort"], "cell": ["cohort", "period"]}
    return [cells for _, cells in pairs], [label for label, _ in pairs], names[by]


def _effects(
    sums: _Totals, fitted: NDArray[np.bool_], sets: list[NDArray[np.bool_]], link: str
) -> tuple[Floats, _Totals, tuple[CellFit, CellFit, CellFit]]:
    """The terms (6 m,), set by set within a term, and their gradients in the sums  # (J, T, 6 m) each"""
    scale: Link = "identity" if link == "levels" else "log"
    share, top, bottom = (
        fit_cells("logit", sums.n, sums.d, fitted),
        fit_cells(scale, sums.n, sums.w, fitted),
        fit_cells(scale, sums.d, sums.w, fitted),
    )
    m = len(sets)
    values = np.empty((len(TERMS), m))
    grads = _Totals(*(np.zeros((*sums.n.shape, len(TERMS), m)) for _ in range(3)))
    for s, cells in enumerate(sets):
        c = cells.astype(np.float64)
        n1, d1, w1 = ((c * v).sum() for v in (sums.n, sums.d, sums.w))
        n0, d0 = (np.where(cells, sums.w * f.mean, 0.0).sum() for f in (top, bottom))
        z0 = np.where(cells, sums.d * share.mean, 0.0).sum()
        r0 = n0 / d0
        values[:, s] = (
            (n1 - z0) / d1,
            (n1 - n0) / w1,
            (d1 - d0) / w1,
            n1 / d1 - r0,
            (n1 - n0) / d1,
            -r0 * (d1 - d0) / d1,
        )
        # gradients of n1, d1, w1, z0, n0, d0 in (N, D, W), then the chain rule
        zero = np.zeros_like(c)
        zs, ze = share.gradient(c * sums.d)
        ts, te = top.gradient(c * sums.w)
        bs, be = bottom.gradient(c * sums.w)
        without = [np.where(cells, f.mean, 0.0) for f in (share, top, bottom)]
        parts = (
            np.stack([c, zero, zero, zs, ts, zero]),
            np.stack([zero, c, zero, ze + without[0], zero, bs]),
            np.stack([zero, zero, c, zero, te + without[1], be + without[2]]),
        )
        v = values[:, s]
        chain = np.array(
            [
                [1 / d1, -v[0] / d1, 0, -1 / d1, 0, 0],
                [1 / w1, 0, -v[1] / w1, 0, -1 / w1, 0],
                [0, 1 / w1, -v[2] / w1, 0, 0, -1 / w1],
                [1 / d1, -n1 / d1**2, 0, 0, -1 / d0, r0 / d0],
                [1 / d1, -v[4] / d1, 0, 0, -1 / d1, 0],
                [0, -r0 * d0 / d1**2, 0, 0, -(d1 - d0) / (d0 * d1), r0 / d0],
            ]
        )
        for grad, part in zip((grads.n, grads.d, grads.w), parts, strict=True):
            grad[:, :, :, s] = np.einsum("qp,pjt->jtq", chain, part)
    flat = [g.reshape(*sums.n.shape, -1) for g in (grads.n, grads.d, grads.w)]
    return values.ravel(), _Totals(*flat), (share, top, bottom)


def _replicates(
    whole: _Totals,
    arrays: tuple[Floats, Floats, Floats],
    cohort: Codes,
    cluster: Codes,
    clusters: int,
    fitted: NDArray[np.bool_],
    sets: list[NDArray[np.bool_]],
    link: str,
) -> Floats:
    """The terms from the sums without each cluster  # (C, 6 m)"""
    out = np.full((clusters, len(TERMS) * len(sets)), np.nan)
    cohorts, size = len(whole.n), float(whole.w.max())
    own = _totals(*arrays, cluster * cohorts + cohort, clusters * cohorts)
    for c in range(clusters):
        rows = slice(c * cohorts, (c + 1) * cohorts)
        rest = [a - b[rows] for a, b in ((whole.n, own.n), (whole.d, own.d), (whole.w, own.w))]
        gone = rest[2] <= 1e-12 * size
        rest = [np.where(gone, 0.0, np.where(np.abs(v) <= 1e-12 * np.abs(v).max(), 0.0, v)) for v in rest]
        kept = [cells & ~gone for cells in sets]
        try:
            with np.errstate(invalid="ignore", divide="ignore"):
                found, _, _ = _effects(_Totals(*rest), fitted & ~gone, kept, link)
        except EvalkitError:
            continue
        empty = np.tile([not cells.any() for cells in kept], len(TERMS))
        out[c] = np.where(empty | ~np.isfinite(found), np.nan, found)
    return out


def _assemble(
    panel: Panel,
    design: Design,
    sample: CohortSample,
    clusters: tuple[Codes, NDArray[Any]],
    told: tuple[list[str], list[tuple[int, ...]]],
    values: Floats,
    influence: Floats,
    left: Floats | None,
    whole: _Totals,
    fits: tuple[CellFit, CellFit, CellFit],
    method: str,
    sides: Sides | None,
) -> Estimate:
    names, levels = told
    labels = [(term, *label) for term in TERMS for label in levels]
    sizes = np.diff(sample.starts)
    treated = int(sizes[sample.targets].sum())
    lost = ~np.isfinite(values)
    influence[:, lost] = np.nan
    terms = pd.MultiIndex.from_tuples(labels, names=["term", *names])
    covariance = sandwich(influence, clusters[0], len(clusters[1]))
    if sides is not None:
        covariance = without_error(covariance, sides.alone)
    notes = [*sample.notes, *doubts(sides, terms, values, covariance, design.cluster)]
    if lost.any():
        notes.append(f"비교할 칸이 이어지지 않아 값을 구하지 못한 항이 {int(lost.sum())}개 있다.")
    if sample.dropped.get("incomplete"):
        notes.append(f"관측이 빠진 기간이 있는 단위 {sample.dropped['incomplete']}개를 제외하였다.")
    return Estimate(
        terms=terms,
        values=np.where(lost, np.nan, values),
        covariance=covariance,
        influence=influence,
        cluster=clusters[0],
        cluster_labels=clusters[1],
        replicates=left,
        dof=np.full(len(values), np.inf),
        n_treated=np.full(len(values), treated),
        n_comparison=np.full(len(values), int(sizes.sum()) - treated),
        method=method,
        inference="IF",
        units=panel.units,
        design=replace(design).to_dict(),
        detail={
            "numerator": whole.n,
            "denominator": whole.d,
            "units_weight": whole.w,
            "cohorts": sample.cohorts,
            "periods": sample.periods,
            "share_without": fits[0].mean,
            "numerator_without": fits[1].mean,
            "denominator_without": fits[2].mean,
            "dropped": sample.dropped,
            "notes": notes,
        },
    )
