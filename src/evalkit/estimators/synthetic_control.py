"""Synthetic control, and its augmentation by ridge regression: a mix of donors that follows the treated before adoption.

What it estimates: the gap between the treated (one unit, or the mean of several with one adoption date) and a convex
mix of never treated units whose weights make the two paths agree before adoption (Abadie, Diamond & Hainmueller 2010).
``fixed_effects`` first takes each unit's mean before adoption out (Doudchenko & Imbens 2016; Ferman & Pinto 2021),
which is what a treated unit outside the donors' levels needs. With ``predictors`` the weights match means of named
variables, weighted by a diagonal V that is chosen to follow the outcome (nested optimisation). The augmented estimate
corrects the mix for what remains of the gap by ridge regression,  γ = w + (x1 − X0'w)'(X0'X0 + λI)⁻¹X0'  (Ben-Michael,
Feller & Rothstein 2021, eq. 12); λ by leaving out one period at a time, the largest within one standard error.

The simplex programme is solved exactly (`evalkit.arrays.simplex`). Inference, none of which is a standard error, so the
covariance is NaN and the numbers stand in ``detail``: ``placebo`` in space (donors pretend, the treated left out; rank
of the effect and of the post/pre ratio; smallest p 1/(J + 1)); ``conformal`` (Chernozhukov, Wüthrich & Zhu 2021: the
mix matched anew **under the null on all periods**, permutations with the identity among them, p ≥ 1/|Π|); ``jackknife_plus``
over periods (Barber et al. 2021, as in R augsynth). ``influence`` is None: with one treated path nothing is averaged.
``replicates`` are exact refits without each cluster (λ and V as they were); for the plain mix only donors with weight
need one.

Checked against R augsynth 0.2.0, R Synth 1.1.8 and pysyncon 1.7 (tests/reference/test_synthetic_control.py).
Differences: the search for V finds a smaller outcome gap than R Synth on its own example (0.0043 against 0.0089: its
optimiser stops at a local optimum); handed R's V, the weights agree. augsynth's weights come from a first-order solver (OSQP) and are off by about 1e-7; with covariates beside
the outcomes its λ (0.0128 for Kansas) follows a rule that leaving out outcome periods does not give (0.0020), and is
reproduced when handed over; its conformal default
draws random orders of the periods, ours are the T shifts (``permutations``).

``detail`` of both functions
    weights : of the donors (J,); donors : labels (J,); periods (T,); fit_periods : those matched
    gaps : treated less synthetic (T,); synthetic : path of the mix (T,), less levels with fixed effects
    pre_fit : root mean squared gap over the periods matched; noise : sd of the donors' first differences
    dropped : counts of units left out by reason; notes : Korean sentences
    imbalance, scaled_imbalance : length of the gap over the periods matched; over that of equal weights
    predictor_names, predictor_weights, predictor_treated, predictor_synthetic, loss : with predictors
    ridge, ridge_errors, ridge_grid : λ, and its cross-validation (augmented; NaN where λ was given)
    placebos (B, k), placebo_p (k,), placebo_p_ratio, placebo_p_smallest, rmspe_ratio, enumerated, seed : placebo
    level, conf_low, conf_high : (k,), NaN before adoption; conformal_p, conformal_p_smallest, grid_step (k,)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators._synthetic_control import (
    Case,
    Inference,
    Permutations,
    Settings,
    Terms,
    beside,
    estimate,
    read,
    unit_means,
)
from evalkit.estimators._synthetic_draws import generator
from evalkit.estimators._synthetic_match import (
    RATIOS,
    Matcher,
    cross_validated,
    outcome_loss,
    penalties,
    scaled,
    search_predictor_weights,
    with_ridge,
)
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Predictor = tuple[str, Sequence[int] | None]

CARDS = (
    MethodCard(
        function="synthetic_control_effects",
        name="합성 대조",
        english="synthetic control",
        group="synthetic",
        question="지원 전에 꼭 닮은 길을 걸은 비교 지역의 조합에 견주어 지원받은 지역은 얼마나 달라졌는가?",
        assumptions=(
            "지원이 없었다면 지원받은 곳은 지원 전에 맞춘 비교 지역의 조합을 계속 따라갔다.",
            "지원받은 곳이 비교 지역들의 범위 안에 있고 지원 전 기간이 길다.",
            "비교 지역은 지원받지 않았고 지원의 영향이 번지지 않았다.",
        ),
        returns="term 또는 event_time; 표준오차 없이 공간 플라시보·CWZ 순열·jackknife+ 의 p값과 구간",
        reference="Abadie, Diamond & Hainmueller (2010); Chernozhukov, Wüthrich & Zhu (2021)",
        oracle=("R augsynth 0.2.0, Synth 1.1.8, pysyncon 1.7: tests/reference/test_synthetic_control.py",),
        differs="가중치를 최적해까지 정확히 푼다. 적합성 추론은 임의 추출 대신 기간의 이동을 모두 쓴다.",
        refuses="여러 도입 시점(합성 이중차분), 단위 가중치, 비교 단위가 지원 단위보다 많지 않을 때의 플라시보.",
    ),
    MethodCard(
        function="augmented_synthetic_control_effects",
        name="보강 합성 대조(능형)",
        english="ridge augmented synthetic control",
        group="synthetic",
        question="비교 지역의 조합으로 다 맞추지 못한 지원 전 차이를 회귀로 바로잡으면 효과는 얼마인가?",
        assumptions=(
            "지원이 없었다면 지원 전 결과와 그 뒤 결과의 관계가 비교 지역과 같았다(선형).",
            "비교 지역의 범위 밖으로 조금 뻗는 것이 남은 차이보다 낫다.",
        ),
        returns="term 또는 event_time; 표준오차 없이 공간 플라시보·CWZ 순열·jackknife+ 의 p값과 구간",
        reference="Ben-Michael, Feller & Rothstein (2021)",
        oracle=("R augsynth 0.2.0, pysyncon 1.7: tests/reference/test_synthetic_control.py",),
        differs="공변량을 함께 맞출 때의 λ 선택이 augsynth 와 다르다. λ 를 주면 같은 값이다.",
        refuses="여러 도입 시점, 단위 가중치.",
    ),
)


def synthetic_control_effects(
    panel: Panel,
    design: Design,
    *,
    terms: Terms = "overall",
    fixed_effects: bool = False,
    predictors: Sequence[Predictor] | None = None,
    predictor_weights: Sequence[float] | None = None,
    fit_periods: Sequence[int] | None = None,
    inference: Inference = "placebo",
    replications: int = 200,
    seed: int = 1,
    level: float = 0.95,
    permutations: Permutations = "shifts",
) -> Estimate:
    """Synthetic control for one adoption date.

    Parameters
    ----------
    panel : units with a missing outcome leave and are counted; at least two clean periods
    design : outcome, adoption, anticipation and cluster are read; the donors are the never treated
    terms : "overall" (mean over the periods under treatment) or "event_time" (gaps before adoption included)
    fixed_effects : match paths less each unit's mean before adoption
    predictors : pairs (variable, periods) whose means are matched in place of the outcome's path; periods None = all
        clean periods, or a fixed variable. V follows the outcome over ``fit_periods``
    predictor_weights : the diagonal of V, one number >= 0 a predictor; None = searched
    fit_periods : clean periods that are matched (that V follows); None = all
    inference : "placebo", "conformal", "jackknife_plus" or "none"; not a standard error: read ``detail``
    replications, seed : of placebo draws where there are more choices, and of the search for V
    level : of conformal and jackknife+ intervals
    permutations : of conformal inference: "shifts" in time (valid under serial dependence, blunt where the periods
        after adoption are many) or ``replications`` "random" orders (errors exchangeable over time)

    Returns
    -------
    Estimate with terms at level "term" or "event_time"; covariance NaN

    Raises
    ------
    DesignError : several adoption dates, fewer than two donors or clean periods, a predictor that does not vary
    RefusalError : no more donors than treated for placebo; conformal or jackknife+ with predictors
    """
    settings = Settings(terms, inference, replications, seed, level, permutations)
    if design.covariates:
        raise DesignError(
            f"합성 대조는 공변량 {', '.join(design.covariates)} 을(를) 그대로 쓰지 않음",
            remedy="predictors=((이름, 기간), …) 로 맞출 평균을 적거나 augmented_synthetic_control_effects 를 쓸 것",
        )
    case = read(panel, design, None if fit_periods is None else tuple(fit_periods))
    donors = case.sample.outcome[case.sample.donors]
    if predictors is None:
        matcher = Matcher(donors, fixed_effects)
        extra: dict[str, Any] = {}
    elif fixed_effects:
        raise UsageError("predictors 와 fixed_effects 를 함께 쓸 수 없음", remedy="하나만 고를 것")
    else:
        case, matcher, extra = _with_predictors(panel, case, predictors, predictor_weights, seed)
    method = "synthetic_control/" + (
        "predictors" if predictors is not None else "fixed_effects" if fixed_effects else "levels"
    )
    return estimate(case, matcher, design, settings, method, extra)


def augmented_synthetic_control_effects(
    panel: Panel,
    design: Design,
    *,
    terms: Terms = "overall",
    ridge: float | None = None,
    fixed_effects: bool = False,
    covariates: Literal["residualised", "matched"] = "residualised",
    fit_periods: Sequence[int] | None = None,
    inference: Inference = "placebo",
    replications: int = 200,
    seed: int = 1,
    level: float = 0.95,
    permutations: Permutations = "shifts",
) -> Estimate:
    """Synthetic control corrected by ridge regression, for one adoption date.

    Parameters
    ----------
    panel, terms, fit_periods, inference, replications, seed, level, permutations : as in `synthetic_control_effects`
    design : outcome, adoption, anticipation, covariates (means over the clean periods, or fixed) and cluster are read
    ridge : λ > 0; None = leave-one-period-out cross-validation with the one-standard-error rule
    fixed_effects : paths less each unit's mean before adoption
    covariates : "residualised" (taken out of the outcomes first, then balanced exactly) or "matched" (beside the
        outcomes, on their scale; the default of augsynth)

    Returns
    -------
    Estimate with terms at level "term" or "event_time"; covariance NaN

    Raises
    ------
    DesignError : as `synthetic_control_effects`; more covariates than donors allow
    """
    settings = Settings(terms, inference, replications, seed, level, permutations)
    if covariates not in ("residualised", "matched"):
        raise UsageError(
            f"covariates {covariates!r} 은(는) 쓸 수 없음", remedy="residualised 또는 matched 로 적을 것"
        )
    if ridge is not None and not (np.isfinite(ridge) and ridge > 0):
        raise UsageError(f"ridge {ridge!r} 은(는) 0보다 큰 수가 아님", remedy="None 으로 두면 자료로 고른다")
    case = _with_covariates(
        panel, design, read(panel, design, None if fit_periods is None else tuple(fit_periods))
    )
    sample = case.sample
    matcher = Matcher(
        sample.outcome[sample.donors],
        fixed_effects,
        covariates=None if case.beside is None else case.beside[sample.donors],
        residualised=covariates == "residualised",
    )
    f0, f1 = _features(case, matcher)
    grid, errors = penalties(f0), np.full(RATIOS + 1, np.nan)
    _require_paths(case, design, grid)
    if ridge is None:
        if len(case.columns) < 3:
            raise DesignError(
                f"지원 전 기간이 {len(case.columns)}개뿐이라 λ 를 자료로 고를 수 없음",
                remedy="지원 전 기간을 셋 이상 넣거나 ridge 를 적을 것",
            )
        ridge, errors, _ = cross_validated(f0, f1, len(case.columns))
    matcher = with_ridge(matcher, float(ridge))
    extra = {
        "ridge": float(ridge),
        "ridge_errors": errors,
        "ridge_grid": grid,
    }
    method = "augmented_synthetic_control/" + ("fixed_effects" if fixed_effects else "levels")
    return estimate(case, matcher, design, settings, method, extra)


def _require_paths(case: Case, design: Design, grid: Floats) -> None:
    """Donors that differ before adoption."""
    if not grid[0] > (1e-12 * np.abs(case.sample.outcome).max()) ** 2:
        first, *_, last = case.sample.periods[case.columns]
        raise DesignError(
            "비교 단위의 지원 전 경로가 모두 같아 능형 보정을 할 것이 없음",
            where=(f"결과 {design.outcome}", f"기간 {first}…{last}"),
            remedy="결과 변수를 확인하거나 synthetic_control_effects 를 쓸 것",
        )


def _with_covariates(panel: Panel, design: Design, case: Case) -> Case:
    """The case with the means of the covariates over the clean periods beside the outcomes."""
    sample = case.sample
    if not design.covariates:
        return case
    clean = sample.periods[sample.cohorts[0].pre]
    z = np.column_stack([unit_means(panel, sample, name, clean) for name in design.covariates])
    if (
        z.shape[1] + 2 > len(sample.donors)
        or np.linalg.matrix_rank(scaled(z[sample.donors] - z[sample.donors].mean(axis=0))) < z.shape[1]
    ):
        raise DesignError(
            f"공변량 {', '.join(design.covariates)} 을(를) 비교 단위 {len(sample.donors)}개로 가릴 수 없음",
            remedy="공변량을 줄일 것",
        )
    return beside(case, z)


def _features(case: Case, matcher: Matcher) -> tuple[Floats, Floats]:
    """What is matched, of donors (J, p) and treated (p,)."""
    x0 = matcher.centred(matcher.donors, case.columns)[:, case.columns]
    x1 = matcher.centred(case.target.path[None], case.columns)[0, case.columns]
    return matcher.features(x0, x1, matcher.covariates, case.target.beside)


def _with_predictors(
    panel: Panel,
    case: Case,
    predictors: Sequence[Predictor],
    given: Sequence[float] | None,
    seed: int,
) -> tuple[Case, Matcher, dict[str, Any]]:
    """The case with scaled predictors times √V beside the outcomes."""
    if not predictors:
        raise UsageError("predictors 가 비어 있음", remedy="None 으로 두거나 하나 이상 적을 것")
    sample, clean = case.sample, case.sample.periods[case.sample.cohorts[0].pre]
    columns, names = [], []
    for name, periods in predictors:
        chosen = clean if periods is None else np.asarray(list(periods), dtype=np.int64)
        late = chosen[chosen > clean[-1]]
        if len(late):
            raise DesignError(
                f"예측변수 {name} 의 기간 {late[0]} 이(가) 지원 전이 아님",
                remedy=f"{clean[-1]} 까지로 고칠 것",
            )
        columns.append(unit_means(panel, sample, name, chosen))
        names.append(f"{name} {chosen[0]}–{chosen[-1]}")
    raw = np.column_stack(columns)
    ready = scaled(raw)
    p0, p1 = ready[sample.donors], ready[case.treated].mean(axis=0)
    donors = sample.outcome[sample.donors]
    y0, y1 = donors[:, case.columns], case.target.path[case.columns]
    if given is None:
        v, loss = search_predictor_weights(p0, p1, y0, y1, generator(seed))
    else:
        v = _checked(given, names)
        loss = outcome_loss(p0, p1, y0, y1, v[None])[0]
    case = beside(case, ready * np.sqrt(v))
    assert case.beside is not None
    matcher = Matcher(donors, predictors=case.beside[sample.donors])
    weights = matcher.weights(
        case.target.path[None], None if case.target.beside is None else case.target.beside[None], case.columns
    )[0]
    extra = {
        "predictor_names": names,
        "predictor_weights": v,
        "predictor_treated": raw[case.treated].mean(axis=0),
        "predictor_synthetic": weights @ raw[sample.donors],
        "loss": float(loss),
        "notes": []
        if given is not None
        else ["예측변수의 가중치 V 는 수치로 찾은 것이라 하나로 정해지지 않을 수 있다."],
    }
    return case, matcher, extra


def _checked(given: Sequence[float], names: list[str]) -> Floats:
    v = np.asarray(given, dtype=np.float64)
    if v.shape != (len(names),) or not np.isfinite(v).all() or (v < 0).any() or not v.sum() > 0:
        raise UsageError(
            f"predictor_weights {list(given)!r} 은(는) 예측변수 {len(names)}개의 0 이상인 가중치가 아님",
            remedy="None 으로 두거나 예측변수마다 하나씩 적을 것",
        )
    out: Floats = v / v.sum()
    return out
