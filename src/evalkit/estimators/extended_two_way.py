"""Extended two-way fixed effects: an effect for every cohort and period, in levels, ratios or odds.

What it estimates: ATT(g, t), the mean effect on cohort g in period t, on the scale of the outcome, from the model

    E[Y | cohort, period, x] = h( η_g + λ_t + x'(β + β_g + β_t) + 1{g, t treated} (τ_gt + ẋ_g'ξ_gt) )

with the identity, exponential or logistic h and x centred within the cohort. ATT(g, t) is the mean over the cell's
observations of  h(with τ, ξ) − h(without). The scale on which trends are parallel is that of h: differences for the
linear link, ratios for Poisson, log odds for logit. Effects are reported in the outcome's units whichever it is.

Wooldridge (2025), Two-way fixed effects, the two-way Mundlak regression, and difference-in-differences estimators,
Empirical Economics 69; Wooldridge (2023), Simple approaches to nonlinear difference-in-differences with panel data,
Econometrics Journal 26.

Computed without the dummies: with these links the treated cells are fitted exactly, so the estimate is the observed
mean less the mean predicted by the cohort and period effects of the untreated cells (`evalkit.arrays.saturated`).
Without covariates, and always for the linear link, that needs cell sums only; replicates are exact refits on the sums
without a cluster (Newton from the whole sample's solution under Poisson and logit; on rows with covariates).

Checked against R etwfe 0.6.0 with marginaleffects 0.32.0, fixest 0.14.2 (tests/reference/test_extended_two_way.py):
points 1e-8; regression standard errors 1e-6. marginaleffects differentiates numerically, which leaves up to 4e-6
in its averaged standard errors, and fixest's Poisson errors of a small cohort are 2e-6 off the exact sandwich: ours
agree with the sandwich of the regression with every dummy to 1e-8, and the test pins both.

Where it differs, and why: the covariates that effects are averaged over are a sample too, so their draw is part of
the influence function (``averaging="fixed"`` gives the delta method of the reference); with unit effects absorbed in
a nonlinear model the delta method of averaged effects is wrong (etwfe before 0.6.0): the cohort effects here are
explicit; periods in which everyone is treated and cohorts without a clean period are counted and named; a covariate
that changes over time is taken before anyone is treated.

``detail``
    link : "linear", "poisson", "logit"; parallel : "levels", "ratios", "odds"; scale, averaging, effects : options
    cohort, weight : (N,) first treated period and weight in cohort shares; periods : (T,)
    observed, counterfactual : (K,) mean outcome and mean without the programme, in outcome units
    cell_weight : (K,) sum of weights of the cell, the weight of an average over observations
    reference : last clean period of each cohort (comparison "never"), as [cohort, period] pairs
    control : "never", or the cohort that stands in for units never treated
    failed : cohort, period and reason of cells without an estimate
    dropped : unobserved, already_treated (units), all_treated_cells; notes : Korean sentences
    covariates : names; n_obs, n_units, n_periods, n_period_effects, period_rank, periods_nested, n_regressors : counts
    and, for the linear link with unit effects, what `evalkit.estimators.two_way` keeps of a fit
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import without_rounding
from evalkit.arrays.saturated import Link
from evalkit.arrays.saturated_effects import Cells
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._extended_fit import REASONS, Fitted, Request, Scale, saturated_fit
from evalkit.estimators._extended_unit_fit import unit_fit
from evalkit.estimators._one_sided import Sides, doubts, saturated, sides_of_terms, without_error
from evalkit.estimators._saturated_sample import Trimmed, baseline_covariates, trim
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Averaging = Literal["sampled", "fixed"]
Effects = Literal["unit", "cohort"]
PARALLEL = {"linear": "levels", "poisson": "ratios", "logit": "odds"}

CARDS = (
    MethodCard(
        function="extended_two_way_effects",
        name="확장 이원고정효과",
        english="extended two-way fixed effects (linear, Poisson, logit)",
        group="staggered",
        question="도입 시점이 서로 다를 때, 건수나 비율처럼 수준의 평행추세가 어울리지 않는 결과에서 집단별·시점별 효과는 얼마인가?",
        assumptions=(
            "지원이 없었다면 추세가 같았다: 선형은 차이, 포아송은 비율, 로짓은 로그 승산의 척도에서. 세 가정은 서로 다르며 함께 참일 수 없다.",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
            "지원은 한 번 시작하면 이어진다.",
            "공변량을 넣으면 평균의 모형이 공변량에 대해 옳다.",
        ),
        returns="cohort, period; CV1, 영향함수, 군집을 뺀 추정치. `evalkit.aggregate` 로 평균한다",
        reference="Wooldridge (2023, 2025)",
        oracle=(
            "R etwfe 0.6.0, fixest 0.14.2: tests/reference/test_extended_two_way.py",
            "더미를 모두 적은 회귀와 대체법: tests/properties/test_extended_two_way_properties.py",
        ),
        differs="공변량의 표집도 표준오차에 넣는다(averaging=fixed 로 끌 수 있다). 모두 지원받은 기간은 빼고 그 수를 알린다.",
        refuses="음수인 결과의 포아송, 0–1 밖의 로짓, 단위 고정효과를 넣은 로짓(코호트 효과를 쓴다), at_risk.",
    ),
)


def extended_two_way_effects(
    panel: Panel,
    design: Design,
    *,
    link: Link | None = None,
    effects: Effects | None = None,
    scale: Scale = "outcome",
    averaging: Averaging = "sampled",
    replicates: bool | None = None,
) -> Estimate:
    """Effects of each cohort in each period under treatment.

    Parameters
    ----------
    panel : balanced or not; cells without outcome or weight, and units without covariates, are not used. Counts or
        amounts >= 0 for Poisson; shares in 0–1 for logit, with their denominators as weight
    design : comparison "not_yet" uses every untreated observation and gives the treated periods; "never" uses the
        units never treated and the last clean period of each cohort, and gives every other period of the cohort too
        (leads). Covariates that change over time are taken in the last period before anyone is treated. ``base``
        is not read
    link : None follows ``design.link``: "levels" is linear, "ratios" is Poisson. "poisson" or "logit" state the scale
        themselves (the Estimate's design then says "ratios" for Poisson); "linear" or "logit" against a design that
        says "ratios" is refused
    effects : "unit" or "cohort" effects beside the period effects; the same in a balanced panel. None = "unit" for
        the linear link (composition may change where cells are missing), "cohort" otherwise
    scale : "outcome" for effects in units of the outcome; "relative" for effect / mean without the programme
        (0.1 = 10 %; ψ = (ψ_effect − θ ψ_mean) / mean); "counterfactual" for that mean itself
    averaging : "sampled" or "fixed": whether the covariates of the cells averaged over are draws
    replicates : whether to leave out each cluster; None = when there are at most 1,000 and the sums stay small

    Returns
    -------
    Estimate with terms (cohort, period); CV1 as in fixest, t(G − 1). A cell that cannot be estimated is NaN and
    listed in ``detail["failed"]``; see the module for ``detail``

    Raises
    ------
    DesignError : scales that contradict each other, nothing to compare, a covariate without variation, one cluster,
        unit effects under a link that cannot have them
    DataError : outcomes outside the link's range, infinite values, negative weights

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[2, 4], [2, 4], [1, 3.0], [1, 5]])},
    ...               {"adoption": np.array([np.inf, np.inf, 2, 2])})
    >>> extended_two_way_effects(panel, Design("y")).values
    array([1.])
    >>> extended_two_way_effects(panel, Design("y", link="ratios")).values.round(9)
    array([2.])
    """
    kind, design = _link(design, link)
    chosen: Effects = effects or ("unit" if kind == "linear" else "cohort")
    for name, value, known in (
        ("scale", scale, get_args(Scale)),
        ("averaging", averaging, get_args(Averaging)),
        ("effects", chosen, get_args(Effects)),
    ):
        if value not in known:
            raise DesignError(f"{name} 값 {value!r} 을(를) 모름", remedy=nearest(value, known))
    request = Request(kind, scale, averaging == "fixed", chosen == "unit", replicates)
    return _fit(panel, design, request, {"scale": scale, "averaging": averaging, "effects": chosen})


def _fit(panel: Panel, design: Design, request: Request, options: dict[str, Any]) -> Estimate:
    """Draw the sample, refuse what cannot be answered, fit, and label."""
    kind = request.link
    z, names, full, notes = baseline_covariates(panel, design)
    among = None if full.all() else np.broadcast_to(full[:, None], panel.shape)
    trimmed = trim(panel, design, never_only=design.comparison == "never", among=among)
    if design.comparison == "never":
        trimmed = _last_clean(trimmed)
    _require_range(trimmed, design, kind)
    _require_effects(trimmed, request.unit_effects, kind)
    z = _standardised(z[trimmed.rows], names, design)
    cells = _cells(trimmed)
    on_rows = not names or not trimmed.balanced  # a balanced panel with covariates is its cell moments
    if kind == "linear" and request.unit_effects and on_rows:
        fitted = unit_fit(trimmed, design, request, z, cells)
    else:
        fitted = saturated_fit(trimmed, design, request, z, cells)
    if kind != "linear" and trimmed.seen is not None:
        notes.append(
            "빠진 칸이 있는 패널: 코호트 효과만 두므로, 남은 단위의 구성이 바뀌면 그 차이도 효과에 섞인다."
        )
    told = {"link": kind, "parallel": PARALLEL[kind], **options, "covariates": names}
    return _estimate(trimmed, design, fitted, cells, told, notes)


def _link(design: Design, link: Link | None) -> tuple[Link, Design]:
    """The link, and the design with the scale that it stands for."""
    if link is not None and link not in get_args(Link):
        raise DesignError(f"연결함수 {link!r} 을(를) 모름", remedy=nearest(link, get_args(Link)))
    if link is None:
        return ("poisson" if design.link == "ratios" else "linear"), design
    if design.link == "ratios" and link != "poisson":
        raise DesignError(
            f"설계는 비율의 평행추세(link=ratios)를 말하는데 연결함수는 {link} 임",
            remedy="link 를 적지 않거나 poisson 으로 두거나, 설계의 link 를 levels 로 고칠 것",
        )
    return link, replace(design, link="ratios") if link == "poisson" else design


def _last_clean(trimmed: Trimmed) -> Trimmed:
    """Only the last clean period of each treated cohort stays clean: every other cell gets an effect."""
    clean = trimmed.clean.copy()
    for g in np.flatnonzero(np.isfinite(trimmed.cohorts)):
        clean[g, np.flatnonzero(clean[g])[:-1]] = False
    return replace(trimmed, clean=clean)


def _cells(trimmed: Trimmed) -> Cells:
    wanted = (trimmed.counts > 0) & ~trimmed.clean & np.isfinite(trimmed.cohorts)[:, None]
    cohort, period = np.nonzero(wanted)
    return Cells(cohort.astype(np.int64), period.astype(np.int64))


def _require_range(trimmed: Trimmed, design: Design, link: Link) -> None:
    if link == "linear":
        return
    y = trimmed.panel.values(design.outcome)
    wrong = (y < 0) | ((y > 1) if link == "logit" else False)
    if trimmed.seen is not None:
        wrong &= trimmed.seen
    if wrong.any():
        i, t = np.argwhere(wrong)[0]
        name, limits = ("포아송", "0 이상") if link == "poisson" else ("로짓", "0 이상 1 이하")
        raise DataError(
            f"{name} 모형의 결과 {design.outcome} 에 {y[i, t]:g} 이(가) 있음 (같은 문제 {int(wrong.sum())}개)",
            where=(f"단위 {trimmed.panel.units[i]}", f"{trimmed.panel.periods[t]}"),
            remedy=f"{limits}의 값을 쓰거나 link 를 linear 로 둘 것",
        )
    clean = (
        trimmed.clean[trimmed.cohort]
        if trimmed.seen is None
        else trimmed.clean[trimmed.cohort] & trimmed.seen
    )
    if not (y[clean] > 0).any():
        raise DesignError(
            f"지원 전이거나 지원받지 않은 칸의 결과 {design.outcome} 이(가) 모두 0 이라 지원이 없었을 때의 평균을 정할 수 없음",
            remedy="더 넓은 결과나 긴 기간을 쓰거나 link 를 linear 로 둘 것",
        )


def _require_effects(trimmed: Trimmed, unit_effects: bool, link: Link) -> None:
    if not unit_effects or link == "linear":
        return
    if link == "logit":
        raise DesignError(
            "로짓에 단위 고정효과를 넣으면 부수모수 때문에 추정이 어긋남", remedy='effects="cohort" 로 둘 것'
        )
    if not trimmed.balanced:
        raise DesignError(
            "빠진 칸이나 해마다 바뀌는 가중치가 있는 패널에서는 단위 고정효과 포아송을 칸의 합으로 풀 수 없음",
            remedy='effects="cohort" 로 두거나, 단위 고정효과를 두는 포아송 회귀를 쓸 것',
        )


def _standardised(z: Floats, names: list[str], design: Design) -> Floats:
    """Covariates centred and scaled: no number changes, and tolerances become relative."""
    for j, name in enumerate(names):
        spread = float(z[:, j].std())
        if not spread > 1e-9 * max(1.0, abs(float(z[:, j].mean()))):
            raise DesignError(
                f"공변량 {name} 이(가) 모든 단위에서 같은 값임",
                where=(f"결과 {design.outcome}",),
                remedy=f"공변량에서 {name} 을(를) 뺄 것",
            )
    return np.asarray((z - z.mean(axis=0)) / z.std(axis=0)) if names else z


def _failures(trimmed: Trimmed, design: Design, fitted: Fitted, cells: Cells) -> list[dict[str, Any]]:
    failed = [
        {
            "cohort": int(trimmed.cohorts[g]),
            "period": int(trimmed.panel.periods[t]),
            "reason": REASONS[reason],
        }
        for g, t, reason in zip(cells.cohort, cells.period, fitted.reasons, strict=True)
        if reason
    ]
    if len(failed) == len(cells.cohort):
        first = failed[0]
        raise DesignError(
            f"추정할 수 있는 효과가 하나도 없음: {first['reason']}",
            where=(f"코호트 {first['cohort']}", f"기간 {first['period']}"),
            remedy="지원받지 않은 단위와 지원 전 기간이 자료에 있는지 확인할 것",
        )
    return failed


def _estimate(
    trimmed: Trimmed,
    design: Design,
    fitted: Fitted,
    cells: Cells,
    options: dict[str, Any],
    notes: list[str],
) -> Estimate:
    failed = _failures(trimmed, design, fitted, cells)
    lost = np.array([bool(reason) for reason in fitted.reasons])
    cohorts = trimmed.cohorts[cells.cohort].astype(np.int64)
    values = np.where(lost, np.nan, fitted.values)
    covariance = without_rounding(fitted.covariance, _largest(trimmed, design, options["scale"]))
    covariance[lost] = covariance[:, lost] = np.nan
    if lost.any():
        fitted.influence[:, lost] = np.nan
    replicates = None if fitted.replicates is None else np.where(lost, np.nan, fitted.replicates)
    terms = pd.MultiIndex.from_arrays(
        [cohorts, trimmed.panel.periods[cells.period]], names=["cohort", "period"]
    )
    sides = _sides(trimmed, design, cells)
    if sides is not None:
        covariance = without_error(covariance, sides.alone)
    free = trimmed.counts * trimmed.clean
    compared = free.sum(axis=0)[cells.period] - free[cells.cohort, cells.period]
    covariance, full = saturated(covariance, compared, len(options["covariates"]), terms)
    notes = [*notes, *_told(failed), *full, *doubts(sides, terms, values, covariance, design.cluster)]
    detail = {
        **fitted.detail,
        **options,
        "cohort": fitted.cohort_of,
        "weight": fitted.share,
        "periods": trimmed.panel.periods,
        "observed": fitted.observed,
        "counterfactual": fitted.untreated,
        "cell_weight": fitted.weight,
        "reference": _references(trimmed) if design.comparison == "never" else [],
        "control": trimmed.control,
        "failed": failed,
        "dropped": trimmed.dropped,
        "notes": [*fitted.detail.get("notes", []), *trimmed.notes, *notes],
    }
    return Estimate(
        terms=terms,
        values=values,
        covariance=covariance,
        influence=fitted.influence,
        cluster=fitted.cluster,
        cluster_labels=fitted.cluster_labels,
        replicates=replicates,
        dof=np.full(len(values), float(len(fitted.cluster_labels) - 1)),
        n_treated=trimmed.counts[cells.cohort, cells.period],
        n_comparison=compared,
        method=f"extended_two_way/{options['link']}",
        inference="CV1",
        units=fitted.units,
        design=design.to_dict(),
        detail=detail,
    )


def _largest(trimmed: Trimmed, design: Design, scale: Scale) -> float:
    """The largest value that effects on a scale are made of."""
    if scale == "relative":
        return 1.0
    y = trimmed.panel.values(design.outcome)
    return float(np.abs(y if trimmed.seen is None else y[trimmed.seen]).max())


def _told(failed: list[dict[str, Any]]) -> list[str]:
    """Cells without an estimate, by reason."""
    reasons = dict.fromkeys(item["reason"] for item in failed)
    named = {r: [f"{f['cohort']}·{f['period']}" for f in failed if f["reason"] == r] for r in reasons}
    return [f"추정하지 못한 칸 {len(at)}개({', '.join(at)}): {reason}." for reason, at in named.items()]


def _sides(trimmed: Trimmed, design: Design, cells: Cells) -> Sides | None:
    """Clusters behind each cell: those of its cohort, and those of the clean cells of its period."""
    codes, labels = trimmed.panel.clusters(design.cluster)
    tables = np.zeros((*trimmed.counts.shape, len(cells.cohort)), dtype=bool)
    tables[cells.cohort, cells.period, np.arange(len(cells.cohort))] = True
    return sides_of_terms(trimmed.cohort, codes, len(labels), trimmed.seen, tables, trimmed.clean)


def _references(trimmed: Trimmed) -> list[list[int]]:
    return [
        [int(trimmed.cohorts[g]), int(trimmed.panel.periods[np.flatnonzero(trimmed.clean[g])[-1]])]
        for g in np.flatnonzero(np.isfinite(trimmed.cohorts))
    ]
