"""Synthetic difference-in-differences: donors and periods reweighted so that the comparison moves as the treated did.

What it estimates: the mean effect on the treated, from  (Ȳ_tr − Σ ω_i Y_i)(post mean − Σ_pre λ_t ·). Donor weights ω
make a mix of never treated units run parallel to the treated before adoption (ridge ζ² keeps them spread out); period
weights λ make the periods before adoption resemble those after. Arkhangelsky, Athey, Hirshberg, Imbens & Wager (2021,
eq. 4–7). Staggered adoption: one problem a cohort against the never treated, averaged with weights N_a T_post,a
(appendix of the same; Clarke, Pailañir, Athey & Imbens 2023); event study of Ciccia (2024, eq. 3–7): the effect ℓ
periods after adoption averages the cohorts that are seen then, weighted by treated units; the periods before adoption
are shown too, as gaps from the λ-weighted past. Covariates are "projected": the outcome less x'β, β from a two-way
regression on untreated cells (Kranz 2022). ``variant`` "sc" and "did" are the special cases of the same formula.

Solvers. ``exact`` (default) finds the optimum of both quadratic programmes and certifies it (`evalkit.arrays.simplex`).
``frank_wolfe`` is the sparsified Frank–Wolfe of R synthdid 0.0.9 with its stopping rule, which **ends before the
optimum**: Proposition 99 gives −15.60383 there, −15.60540 at the optimum. It is there for comparison.

Inference: ``placebo`` (donors pretend; needs more donors than treated; errors alike across units; sd with divisor B;
normal), ``jackknife`` (fixed weights, Algorithm 3; at least two treated clusters a cohort; t(C − 1)), ``bootstrap``
(clusters, weights found anew, ζ as it was; sd with divisor B; normal), ``none``. ``auto`` takes the first of placebo
and jackknife that exists and says so. With one treated unit no method tells the noise of that unit itself.
``replicates`` are the delete-one-cluster estimates under the convention of the jackknife: ω renormalised over the
donors that are left, λ, β and ζ as they were; NaN where a cohort or all donor weight goes. ``influence`` is linear in
the same sense and is given where every cohort has treated units in two clusters; elsewhere its rows would show no
noise of the treated at all, so it is None.

Checked against R synthdid 0.0.9 (tests/reference/test_synthetic_did.py: Frank–Wolfe 1e-8 and exact, both pinned) and
diff-diff 3.13. Differences: the jackknife is centred at the estimate as in the paper (the reference centres at the
mean of the replicates); with no more than B placebo assignments every one is used once in place of random draws.

``detail``
    omega : donor weights (A, J); donors : their labels (J,); donor_positions : their rows among ``units`` (J,)
    time_weights : λ (A, T), 0 outside the clean past; cohorts (A,), periods (T,), treated_counts (A,)
    effects : of every cohort and period (A, T)
    noise, zeta_omega, zeta_lambda : σ̂ and the penalties (A,)
    pre_fit : root mean squared gap before adoption, intercept taken out but for "sc" (A,)
    effective_donors : 1/Σω² (A,); gap : worst distance from the optimality conditions, relative (NaN: Frank–Wolfe)
    slopes : β of each covariate; dropped : counts of units left out by reason; notes : Korean sentences
    replications, seed, discarded : of the draws; enumerated : all placebo assignments were used
    placebos : placebo values (B, k); placebo_p, placebo_p_smallest : rank p-values (k,) and the smallest attainable
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import jackknife_covariance
from evalkit.design import Design
from evalkit.errors import RefusalError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators._one_sided import FEW
from evalkit.estimators._synthetic_draws import (
    Recipe,
    bootstrap_terms,
    checked_replications,
    placebo_effects,
    placebo_roles,
    rank_p_values,
    treated_clusters,
)
from evalkit.estimators._synthetic_fit import (
    Solver,
    Terms,
    Variant,
    average,
    effects_of,
    influence_of,
    pre_fit,
    replicates_of,
    term_cells,
    tuning,
    weights_of,
)
from evalkit.estimators._synthetic_sample import SyntheticSample, draw
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Inference = Literal["auto", "placebo", "jackknife", "bootstrap", "none"]
FEW_PLACEBOS = 20  # draws below which no rank can be as small as 1 in 20

CARDS = (
    MethodCard(
        function="synthetic_did_effects",
        name="합성 이중차분",
        english="synthetic difference-in-differences",
        group="synthetic",
        question="지원받은 곳과 지원 전에 나란히 움직이도록 섞은 비교 지역에 견주어 지원의 효과는 얼마인가?",
        assumptions=(
            "지원이 없었다면 지원받은 곳과 섞은 비교 지역의 차이가 지원 전과 같았다(몇 개의 공통 요인으로 움직이는 결과).",
            "비교 지역은 끝까지 지원받지 않았고 지원의 영향이 번지지 않았다.",
            "플라시보 추론: 지역마다 잡음의 크기가 같다.",
        ),
        returns="term, cohort 또는 event_time; 플라시보·잭나이프·붓스트랩 가운데 하나, 가중치와 지원 전 적합도",
        reference="Arkhangelsky, Athey, Hirshberg, Imbens & Wager (2021); Clarke et al. (2023); Ciccia (2024)",
        oracle=(
            "R synthdid 0.0.9, diff-diff 3.13: tests/reference/test_synthetic_did.py",
            "항등식: tests/properties/test_synthetic_properties.py",
        ),
        differs="가중치를 최적해까지 정확히 푼다. 참조 구현의 Frank–Wolfe 는 일찍 멈춘다(프로포지션 99: −15.604 대 −15.605).",
        refuses="지원 단위가 하나일 때의 잭나이프와 붓스트랩, 비교 단위가 지원 단위보다 많지 않을 때의 플라시보, 단위 가중치.",
    ),
)


def synthetic_did_effects(
    panel: Panel,
    design: Design,
    *,
    terms: Terms = "overall",
    variant: Variant = "sdid",
    solver: Solver = "exact",
    inference: Inference = "auto",
    replications: int = 200,
    seed: int = 1,
) -> Estimate:
    """Synthetic difference-in-differences for one or several adoption dates.

    Parameters
    ----------
    panel : units with a missing outcome or covariate leave and are counted; at least two clean periods a cohort
    design : outcome, adoption, anticipation, covariates (varying ones) and cluster are read. The donors are the
        never treated, whatever ``comparison`` says: a donor must stay untreated to the end
    terms : "overall" (weights N_a T_post,a), "cohort", or "event_time" (periods before adoption included)
    variant : "sdid"; "sc" (no intercept, no λ, almost no ridge) or "did" (equal weights) by the same formula
    solver : "exact" or "frank_wolfe" (slow, for comparison with the reference)
    inference : "placebo", "jackknife", "bootstrap", "none", or "auto": placebo where it exists, else jackknife
    replications, seed : of placebo and bootstrap draws

    Returns
    -------
    Estimate with terms at level "term", "cohort" or "event_time"

    Raises
    ------
    DesignError : fewer than two donors, no cohort with two clean periods, weights, ratios
    RefusalError : a standard error that does not exist (one treated unit for jackknife or bootstrap, no more donors
        than treated for placebo, clusters of unequal size for placebo)
    """
    _known(variant, solver, inference, replications)
    sample = draw(panel, design)
    labels, cells = term_cells(sample, terms)
    y0 = sample.outcome[sample.donors]
    tuned = [tuning(sample, cohort, variant) for cohort in sample.cohorts]
    targets = [sample.outcome[cohort.treated].mean(axis=0)[None] for cohort in sample.cohorts]
    each = list(zip(targets, sample.cohorts, tuned, strict=True))
    fitted = [weights_of(y0, target, None, cohort, zeta, variant, solver) for target, cohort, zeta in each]
    effects = np.stack([effects_of(y0, t, w, c)[0] for (t, c, _), w in zip(each, fitted, strict=True)])
    counts = sample.treated_counts.astype(np.float64)
    values = average(effects[None], counts[None], cells)[0]
    replicates = replicates_of(sample, fitted, cells)
    recipe = Recipe(tuned, fitted, variant, solver)
    found = _inference(sample, recipe, cells, values, replicates, inference, replications, seed)
    covariance, dof, name, drawn = found
    detail = _detail(sample, recipe, effects)
    told = [*drawn.pop("notes", []), *_few_clusters(sample, name)]
    detail["notes"] = [*sample.notes, *told, *_warnings(sample, detail, design)]
    seen = (treated_clusters(sample) >= 2).all()
    return Estimate(
        terms=labels,
        values=values,
        covariance=covariance,
        influence=influence_of(sample, fitted, effects, values, cells) if seen else None,
        cluster=sample.cluster,
        cluster_labels=sample.cluster_labels,
        replicates=replicates,
        dof=np.full(len(labels), dof),
        n_treated=(cells.sum(axis=2) > 0) @ sample.treated_counts,
        n_comparison=np.full(len(labels), len(sample.donors)),
        method=f"synthetic_did/{variant}" + ("" if solver == "exact" else "/frank_wolfe"),
        inference=name,
        units=sample.units,
        design=design.to_dict(),
        detail={**detail, **drawn},
    )


def _known(variant: str, solver: str, inference: str, replications: int) -> None:
    checked_replications(replications)
    for name, value, known in (
        ("variant", variant, ("sdid", "sc", "did")),
        ("solver", solver, ("exact", "frank_wolfe")),
        ("inference", inference, ("auto", "placebo", "jackknife", "bootstrap", "none")),
    ):
        if value not in known:
            raise UsageError(
                f"{name} {value!r} 은(는) 쓸 수 없음", remedy=f"{', '.join(known)} 가운데 고를 것"
            )


def _inference(
    sample: SyntheticSample,
    recipe: Recipe,
    cells: Floats,
    values: Floats,
    replicates: Floats,
    inference: Inference,
    replications: int,
    seed: int,
) -> tuple[Floats, float, str, dict[str, Any]]:
    """Covariance, degrees of freedom, the name of the inference and what it leaves in ``detail``."""
    notes: list[str] = []
    if inference in ("placebo", "auto"):
        try:
            roles, enumerated = placebo_roles(sample, replications, seed)
        except RefusalError as problem:
            if inference == "placebo":
                raise
            notes.append(f"{problem.problem}.")
        else:
            placebos = average(
                placebo_effects(sample, recipe, roles),
                np.broadcast_to(sample.treated_counts.astype(np.float64), (len(roles), len(sample.cohorts))),
                cells,
            )
            extra = {
                "placebos": placebos,
                "placebo_p": rank_p_values(placebos, values),
                "placebo_p_smallest": 1.0 / (1 + len(placebos)),
                "replications": len(placebos),
                "seed": seed,
                "enumerated": enumerated,
            }
            if len(placebos) < FEW_PLACEBOS:
                notes.append(
                    f"플라시보가 {len(placebos)}개뿐이라 표준오차가 거칠고 정규근사의 p값은 믿을 수 없다: 순위로 본 p값은"
                    f" {1 / (1 + len(placebos)):.2g} 보다 작을 수 없다(detail 의 placebo_p)."
                )
            return _spread(placebos), np.inf, "placebo", {**extra, "notes": notes}
    if inference in ("jackknife", "auto"):
        try:
            _jackknife_exists(sample, replicates)
        except RefusalError as problem:
            if inference == "jackknife":
                raise
            notes.append(f"{problem.problem}: 표준오차를 내지 않았다.")
        else:
            covariance = jackknife_covariance(replicates, values)
            return covariance, float(len(replicates) - 1), "jackknife", {"notes": notes}
    if inference == "bootstrap":
        draws, discarded = bootstrap_terms(sample, recipe, cells, replications, seed)
        told = {"replications": replications, "seed": seed, "discarded": discarded}
        return _spread(draws), np.inf, "bootstrap", told
    return np.full((len(cells), len(cells)), np.nan), np.nan, "none", {"notes": notes}


def _spread(draws: Floats) -> Floats:
    """Covariance of draws with divisor B  # (k, k)"""
    centred = draws - draws.mean(axis=0)
    out: Floats = centred.T @ centred / len(draws)
    return out


def _jackknife_exists(sample: SyntheticSample, replicates: Floats) -> None:
    alone = treated_clusters(sample) < 2
    if alone.any():
        raise RefusalError(
            "지원 단위가 한 군집에만 있어 그 군집을 빼면 남는 것이 없으므로 잭나이프 표준오차가 없음",
            where=tuple(f"코호트 {c.adoption}" for c, one in zip(sample.cohorts, alone, strict=True) if one),
            remedy='inference="placebo" 를 쓰거나, 군집을 더 잘게 나눌 것',
        )
    lost = np.isnan(replicates).any(axis=1)
    if lost.any():
        raise RefusalError(
            f"비교 가중치가 군집 {sample.cluster_labels[lost][0]} 하나에 몰려 있어 잭나이프 표준오차가 없음",
            remedy='inference="placebo" 를 쓸 것',
        )


def _detail(sample: SyntheticSample, recipe: Recipe, effects: Floats) -> dict[str, Any]:
    time = np.zeros(effects.shape)
    for a, cohort in enumerate(sample.cohorts):
        time[a, cohort.pre] = recipe.fitted[a].time[0]
    error, effective = pre_fit(sample, recipe.fitted, level=recipe.variant == "sc")
    return {
        "omega": np.stack([weights.omega[0] for weights in recipe.fitted]),
        "donors": sample.units[sample.donors],
        "donor_positions": sample.donors,
        "time_weights": time,
        "cohorts": np.array([cohort.adoption for cohort in sample.cohorts]),
        "periods": sample.periods,
        "treated_counts": sample.treated_counts,
        "effects": effects,
        "noise": np.array([penalties.noise for penalties in recipe.tuned]),
        "zeta_omega": np.array([penalties.zeta_omega for penalties in recipe.tuned]),
        "zeta_lambda": np.array([penalties.zeta_lambda for penalties in recipe.tuned]),
        "pre_fit": error,
        "effective_donors": effective,
        "gap": max(weights.gap for weights in recipe.fitted),
        "slopes": dict(sample.slopes),
        "dropped": dict(sample.dropped),
    }


def _few_clusters(sample: SyntheticSample, inference: str) -> list[str]:
    """Leaving out or drawing again from a handful of clusters sees too little of what they could have been."""
    treated = np.concatenate([cohort.treated for cohort in sample.cohorts])
    sides = (len(np.unique(sample.cluster[rows])) for rows in (treated, sample.donors))
    fewest = min(sides)
    if inference not in ("jackknife", "bootstrap") or fewest >= FEW:
        return []
    return [
        f"한쪽의 군집이 {fewest}개뿐이라 {inference} 의 표준오차와 p값이 너무 작기 쉽다: 플라시보의 순위와 함께 볼 것."
    ]


def _warnings(sample: SyntheticSample, detail: dict[str, Any], design: Design) -> list[str]:
    """What the reader must know about the fit."""
    notes = []
    for a, cohort in enumerate(sample.cohorts):
        if detail["pre_fit"][a] > detail["noise"][a]:
            notes.append(
                f"코호트 {cohort.adoption}: 지원 전 적합이 나쁘다(차이의 제곱평균제곱근 {detail['pre_fit'][a]:.3g}, "
                f"비교 단위의 해마다의 흔들림 {detail['noise'][a]:.3g}). 효과로 읽지 말 것."
            )
        if len(cohort.treated) == 1:
            notes.append(
                f"코호트 {cohort.adoption}: 지원 단위가 하나라 그 단위만의 잡음은 어떤 추론으로도 잴 수 없다."
            )
    if len(sample.cohorts) > 1 and design.comparison == "not_yet":
        notes.append("나중에 지원받는 단위는 합성에 쓰지 않았다. 비교 단위는 끝까지 지원받지 않은 단위다.")
    return notes
