"""Continuous dose: the effect at each dose on the units of that dose, and its slope.

What it estimates. Treated units have a dose d > 0 (won of support, budget per worker); some units have none. For each
dose ATT(d|d) is the effect of dose d on the units that got d, and its slope in d is ACRT(d|d) + selection: under
parallel trends alone ATT(d|d) is identified, but differences of it across doses are not effects of the dose; under
**strong** parallel trends (all units would have had the same mean path at every dose) they are, and the slope is the
average causal response. Callaway, Goodman-Bacon and Sant'Anna (2024), Difference-in-differences with a continuous
treatment, NBER 32117.

Fit: for each cohort and period, least squares of the change since the base period on B-splines of the dose among the
treated, less the mean change (with covariates: the predicted change) of the comparison units
(`evalkit.arrays.dose_splines`). Periods from the start on count equally within a cohort, cohorts by their treated
units, so that every treated unit counts once. "average" is the mean over the doses that occurred, with the sampling
error of the response and of the doses.

Checked against: contdid 0.1.0 (alpha) on the S6 panel and diff_diff 3.13 on random panels
(tests/reference/test_dose_response.py); `descriptive_dose_regression` against fixest 0.14.2.

Where it differs, and why. contdid evaluates its splines at the grid with the grid's own ends as boundary knots, though
it fitted them with the ends of the doses, so that its curve is stretched: its ATT at grid point d is ours at
low + (d − grid low)(high − low)/(grid high − grid low), its slope ours times that ratio. Its error of the average
slope is two thirds of its own pointwise error where the two are one number (degree 1). The test pins both. Errors there
are a bootstrap of 200 draws, here they are the influence function's. diff_diff takes the doses as known in the error of
the average slope, which is then smaller.

``detail`` of `dose_response`: dose (name), degree, knots, support (least and greatest dose), grid, cells (cohort, period,
units, att, acrt), caution, and the keys of every method over groups: periods, covariates, failed, dropped, missing,
notes (max_propensity and trimmed are empty: no propensity is fitted).
``detail`` of `descriptive_dose_regression`: the keys of `evalkit.estimators.two_way`, with caution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.dose_splines import SplineBasis
from evalkit.arrays.two_way import Regression
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators._dose_cells import TOO_FEW_DOSES, dose_cells, run_dose_cells
from evalkit.estimators._group_cells import estimate_of_rows, nothing_left
from evalkit.estimators._group_sample import (
    GroupSample,
    Missing,
    build_groups,
    check_options,
    starting_periods,
    wants_replicates,
)
from evalkit.estimators._two_way_fit import solve
from evalkit.estimators._two_way_sample import draw
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="dose_response",
        name="지원 규모별 효과",
        english="continuous dose: ATT(d|d) and causal response",
        group="doses",
        question="지원 규모가 d 인 단위에서 지원은 얼마의 효과를 냈으며, 규모가 크면 효과도 큰가?",
        assumptions=(
            "지원이 없었다면 규모가 d 인 단위와 지원받지 않은 단위의 추세가 같았다(평행추세): att 를 읽는 데 필요하다.",
            "강한 평행추세: 모든 단위가 같은 규모를 받았다면 같은 길을 걸었다. 규모 사이의 차이와 기울기(acrt)를 규모의 효과로 읽는 데 필요하다.",
            "규모는 지원을 시작할 때 정해지고 바뀌지 않으며, 효과는 규모의 매끄러운 함수이다.",
        ),
        returns="term (att, acrt), dose (값 또는 average); 영향함수(IF), 군집을 뺀 추정치",
        reference="Callaway, Goodman-Bacon & Sant'Anna (2024)",
        oracle=(
            "R contdid 0.1.0(어긋난 곳을 함께 적음), diff_diff 3.13: tests/reference/test_dose_response.py",
            "몬테카를로: tests/recovery/test_dose_response_recovery.py",
        ),
        differs="contdid 0.1.0 은 격자의 양 끝을 경계 매듭으로 잘못 써서 곡선이 늘어난다.",
        refuses="지원받지 않은 단위가 없는 자료: 가장 작은 규모와의 차이만 알 수 있다. 비율의 평행추세(link=ratios).",
    ),
    MethodCard(
        function="descriptive_dose_regression",
        name="지원 규모의 이원고정효과 회귀(서술용)",
        english="descriptive two-way fixed effects regression on dose",
        group="doses",
        question="규모가 큰 곳에서 결과가 더 많이 변했는가(효과가 아니라 서술)?",
        assumptions=(
            "서술에는 가정이 없다. 계수를 효과로 읽으려면 강한 평행추세와, 효과가 규모에 곧게 비례함이 모두 필요하다.",
        ),
        returns="term (규모의 거듭제곱); CV1, 영향함수, 군집을 뺀 추정치",
        reference="Callaway, Goodman-Bacon & Sant'Anna (2024)",
        oracle=("R fixest 0.14.2: tests/reference/test_dose_response.py",),
    ),
)

CAUTION = (
    "규모가 다른 단위의 효과를 견준 것에는 규모의 효과와 어떤 단위가 그 규모를 받았는지가 섞여 있다: 강한 평행추세 없이는 기울기(acrt)와"
    " 규모 사이의 차이는 규모를 늘린 효과가 아니다."
)
DESCRIPTIVE = "규모의 회귀 계수는 서술이다: 규모별 효과의 가중합이지만 가중치가 뜻있는 모수를 이루지 않는다. 효과는 dose_response 로 구한다."


def dose_response(
    panel: Panel,
    design: Design,
    *,
    dose: str,
    grid: Sequence[float] | None = None,
    degree: int = 3,
    knots: int | Sequence[float] = 0,
    horizon: int | None = None,
    missing: Missing = "drop",
    replicates: bool | None = None,
) -> Estimate:
    """Effects by dose, their slope, and the averages of both.

    Parameters
    ----------
    panel : units with an adoption period need a dose > 0; the others have none (0 or missing)
    design : as in group-time effects; covariates enter by outcome regression among the comparison units
    dose : fixed variable in a unit of measure that the report can name  # (N,)
    grid : doses to report, within the range of doses; None = the deciles 0.1 ... 0.9 of the doses
    degree, knots : of the splines; knots are interior, a number (at quantiles of the doses) or the places themselves
    horizon : event times up to this one only
    missing : "drop" or "pairs"
    replicates : whether to leave out each cluster (the basis and the grid stay); None = when the clusters are at most
        400 and are not the units

    Returns
    -------
    Estimate
        terms (term, dose): ("att", d) and ("acrt", d) for each d of the grid, then ("att", "average") and
        ("acrt", "average"); ``n_treated`` counts all treated units. Normal inference ("IF")

    Raises
    ------
    RefusalError : no units without a dose, or link "ratios"
    DesignError : a grid outside the doses, too few different doses, no clean period, one cluster
    DataError : a treated unit with a dose of 0 or less, a unit with a dose and no adoption, infinite values

    Examples
    --------
    >>> y = np.array([[0, 2.], [0, 3.], [0, 4.], [0, 1.], [0, 1.]])
    >>> fixed = {"adoption": np.array([2, 2, 2, np.inf, np.inf]), "won": np.array([1, 2, 3, 0, 0.])}
    >>> panel = Panel(np.arange(5), np.array([1, 2]), {"y": y}, fixed)
    >>> dose_response(panel, Design("y"), dose="won", degree=1, grid=(1.5,)).values.round(12).tolist()
    [1.5, 1.0, 2.0, 1.0]
    """
    check_options(design, "reg", missing)
    _check_shape(degree, knots)
    sample, own, dropped, notes = _sample(panel, design, dose, missing)
    treated = own[: int(sample.starts[np.isfinite(sample.keys[:, 0]).sum()])]
    basis = _basis(treated, degree, knots)
    at = _grid(treated, grid)
    cells, gone = dose_cells(sample, design, horizon)
    want = wants_replicates(replicates, design, len(sample.labels))
    rows, told = run_dose_cells(sample, cells, own, basis, at, want)
    remedy = "degree 나 knots 를 줄이거나, 규모가 몇 가지뿐이면 tier_effects 를 쓸 것"
    nothing_left(rows, design.outcome, remedy)
    about = {"dose": dose, "degree": degree, "knots": list(basis.knots), "grid": at}
    detail: dict[str, Any] = {
        **about,
        "support": [basis.low, basis.high],
        "cells": told,
        "caution": CAUTION,
        "missing": missing,
        "dropped": dropped,
        "notes": [CAUTION, *notes, *gone],
    }
    method = f"dose_response/spline[degree={degree},knots={len(basis.knots)}]"
    method += "" if horizon is None else f"[horizon={horizon}]"
    return estimate_of_rows(panel, design, sample, rows, _terms(at), method, detail)


def _terms(grid: Floats) -> pd.MultiIndex:
    """att and acrt at the grid, then their averages."""
    labels: list[Any] = [float(d) for d in grid]
    names = ["att"] * len(grid) + ["acrt"] * len(grid) + ["att", "acrt"]
    return pd.MultiIndex.from_arrays([names, labels + labels + ["average"] * 2], names=["term", "dose"])


def _sample(
    panel: Panel, design: Design, dose: str, missing: Missing
) -> tuple[GroupSample, Floats, dict[str, int], list[str]]:
    """The sample with a group a cohort, and the doses in its order (treated units first)."""
    adoption, doses, dropped, notes = _read(panel, design, dose)
    treated = np.isfinite(adoption)
    _zero_dose_group(adoption[treated & ~np.isnan(doses)], ~treated, design)
    keys = np.where(treated & np.isnan(doses), np.nan, adoption)[:, None]
    sample = build_groups(panel, design, keys, missing)
    if not np.isfinite(sample.keys[:, 0]).any():
        raise DesignError("규모를 아는 지원받은 단위가 남지 않음", remedy="빠진 값과 규모 변수를 확인할 것")
    return sample, doses[sample.order], dropped, notes


def _check_shape(degree: int, knots: int | Sequence[float]) -> None:
    if not (isinstance(degree, int) and 1 <= degree <= 5):
        raise DesignError(f"스플라인의 차수 {degree!r} 은(는) 1–5 가 아님", remedy="3 처럼 적을 것")
    if isinstance(knots, int) and knots < 0:
        raise DesignError(f"매듭의 수 {knots} 이(가) 음수임", remedy="0 이상으로 적을 것")


def _read(panel: Panel, design: Design, dose: str) -> tuple[Floats, Floats, dict[str, int], list[str]]:
    """Adoption, dose of the treated (NaN = not known or never treated), and who is left out."""
    raw = panel.constant(dose)
    if raw.dtype.kind not in "iufb":
        raise DesignError(f"규모 변수 {dose} 이(가) 숫자가 아님", remedy="숫자로 된 고정 변수를 고를 것")
    values = raw.astype(np.float64)
    codes = adoption_codes(panel, design.adoption)
    treated = np.isfinite(codes)
    for wrong, what, remedy in (
        (np.isinf(values), "무한대", "유한한 수로 적을 것"),
        (
            treated & (values <= 0),
            "0 이하(지원을 시작한 단위)",
            "지원받지 않았으면 도입 시점을 비우고, 받았으면 규모를 적을 것",
        ),
        (
            ~treated & (values > 0),
            "0 보다 큼(도입 시점이 없는 단위)",
            "도입 시점을 적거나 규모를 0 으로 적을 것",
        ),
    ):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"규모 {dose} 의 값 {values[at]:g} 이(가) {what}임 (같은 문제 {int(wrong.sum())}개 단위)",
                where=(f"단위 {panel.units[at]}",),
                remedy=remedy,
            )
    adoption = starting_periods(panel, design.adoption, design)
    doses = np.where(np.isfinite(adoption), values, np.nan)
    unknown = int((np.isfinite(adoption) & np.isnan(doses)).sum())
    notes = [f"지원받았으나 {dose} 이(가) 빈 단위 {unknown}개는 규모를 몰라 제외"] if unknown else []
    return adoption, doses, {"missing_dose": unknown}, notes


def _zero_dose_group(starts: Floats, never: NDArray[np.bool_], design: Design) -> None:
    """Refuse where nobody is without a dose in any period in which somebody has one."""
    if not len(starts):
        raise DesignError(
            "규모를 아는 지원받은 단위가 없음",
            where=(f"도입 {design.adoption}",),
            remedy="도입 시점과 규모 변수를 확인할 것",
        )
    later = design.comparison == "not_yet" and starts.max() > starts.min() + design.anticipation
    if never.any() or later:
        return
    raise RefusalError(
        "지원받지 않은(규모 0) 단위가 없어 규모별 효과를 알 수 없음: 모든 단위의 변화에 규모의 효과와 시간의 변화가 섞여 있음",
        where=(f"결과 {design.outcome}", f"도입 {starts.min():g}–{starts.max():g}"),
        remedy="지원받지 않은 단위를 더하거나, 늦게 지원받은 코호트를 비교집단(not_yet)으로 쓰거나, 가장 작은 규모를 기준으로 한"
        " 등급 사이의 차이(tier 로 묶어 서술)만 보거나, 규모가 0 에 가까운 단위가 많으면 그들을 기준으로 한 추정(HAD)을 쓸 것",
    )


def _basis(treated: Floats, degree: int, knots: int | Sequence[float]) -> SplineBasis:
    low, high = float(treated.min()), float(treated.max())
    if not high > low:
        raise DesignError(
            f"지원 규모가 모두 {low:g} 으로 같음",
            remedy="규모에 차이가 없으면 group_time_effects 로 효과를 추정할 것",
        )
    if len(np.unique(treated)) < degree + 1:
        raise DesignError(
            f"{TOO_FEW_DOSES} (서로 다른 규모 {len(np.unique(treated))}개, 차수 {degree})",
            remedy="degree 를 줄이거나, 규모가 몇 가지뿐이면 tier_effects 를 쓸 것",
        )
    if isinstance(knots, int):
        places = np.quantile(treated, np.arange(1, knots + 1) / (knots + 1)) if knots else np.zeros(0)
    else:
        places = np.asarray(list(knots), dtype=np.float64)
    inside = (places > low) & (places < high)
    if not inside.all() or (np.diff(places) <= 0).any():
        raise DesignError(
            f"매듭 {', '.join(f'{k:g}' for k in places)} 이(가) 규모의 범위 {low:g}–{high:g} 안에서 오름차순이 아님",
            remedy="범위 안의 서로 다른 값을 오름차순으로 적거나 knots 를 줄일 것",
        )
    return SplineBasis(degree, low, high, tuple(float(k) for k in places))


def _grid(treated: Floats, grid: Sequence[float] | None) -> Floats:
    if grid is None:
        return np.unique(np.quantile(treated, np.arange(1, 10) / 10))
    at = np.asarray(list(grid), dtype=np.float64)
    low, high = treated.min(), treated.max()
    beyond = at[~((at >= low) & (at <= high))]
    if len(beyond) or not len(at):
        raise DesignError(
            f"격자의 규모 {', '.join(f'{d:g}' for d in beyond) or '(없음)'} 이(가) 받은 규모의 범위 {low:g}–{high:g} 밖임",
            remedy="범위 안의 값만 적을 것: 밖은 자료가 말해 주지 않는다",
        )
    return np.unique(at)


def descriptive_dose_regression(panel: Panel, design: Design, *, dose: str, degree: int = 1) -> Estimate:
    """The two-way fixed effects regression on the dose once treated: a description, not an effect.

    Parameters
    ----------
    panel : balanced or not
    design : outcome, adoption, varying covariates, cluster and weight are read; anticipation is not used
    dose : fixed variable, as in `dose_response`
    degree : powers of the dose, 1 or 2

    Returns
    -------
    Estimate with terms at level "term": "<dose> × post", for degree 2 also "<dose>^2 × post", then covariates; CV1

    Raises
    ------
    DesignError : no variation left in the dose, one cluster, another degree
    DataError : as `dose_response`
    """
    if degree not in (1, 2):
        raise DesignError(f"차수 {degree!r} 은(는) 1 이나 2 가 아님", remedy="1 이나 2 로 적을 것")
    adoption, doses, _, notes = _read(panel, design, dose)
    post = panel.periods[None, :] >= adoption[:, None]
    level = np.where(np.isfinite(adoption), doses, 0.0)[:, None]
    powers = {(f"{dose} × post" if k == 1 else f"{dose}^{k} × post"): k for k in range(1, degree + 1)}
    wide = panel.with_varying(**{name: np.where(post, level**k, level * 0.0) for name, k in powers.items()})
    first, *others = powers
    plain = replace(design, covariates=(*others, *design.covariates), anticipation=0)
    sample = draw(wide, plain, treatment=first)
    tables = np.zeros((1, len(sample.periods), 0))
    cohort = np.zeros(sample.n_units, dtype=np.int64)
    names = [first, *sample.covariates]
    fit = solve(sample, Regression(sample.outcome, tables, cohort, sample.dense, sample.weights, None), names)
    if np.isnan(fit.values[:degree]).any():
        raise DesignError(
            f"규모 {dose} 이(가) 단위 효과와 기간 효과에 흡수되어 추정할 것이 남지 않음",
            remedy="지원 전 기간이 있는지, 규모가 단위마다 다른지 확인할 것",
        )
    treated = int((np.isfinite(adoption) & ~np.isnan(doses)).sum())
    return Estimate(
        terms=pd.MultiIndex.from_arrays([names], names=["term"]),
        values=fit.values,
        covariance=fit.covariance,
        influence=fit.influence,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=fit.replicates,
        dof=np.full(len(names), float(len(sample.cluster_labels) - 1)),
        n_treated=np.full(len(names), treated),
        n_comparison=np.full(len(names), sample.n_units - treated),
        method="dose_response/descriptive_regression",
        inference="CV1",
        units=sample.units,
        design=design.to_dict(),
        detail={
            **fit.detail,
            "caution": DESCRIPTIVE,
            "notes": [DESCRIPTIVE, *notes, *fit.detail["notes"]],
        },
    )


__all__ = ["descriptive_dose_regression", "dose_response"]
