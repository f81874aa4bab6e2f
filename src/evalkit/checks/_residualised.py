"""Treatment and outcome with unit effects, period effects and covariates taken out, for the diagnoses of a two-way fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.normal_equations import independent, scaled_inverse
from evalkit.arrays.two_way import demean, projection
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimators._two_way_sample import Sample, draw
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.panel import Panel

Floats = NDArray[np.float64]
# a residual below this share of its variable's spread is rounding
ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class Residualised:
    """Cells of the fit; 0 where not used.

    used : (N, T); weights : (N, T), 0 where not used
    treatment, others : as given  # (N, T) each
    treatment_left, outcome_left : residuals on everything else  # (N, T)
    adoption : first treated period of each unit, +inf = never; None where the treatment was given  # (N,)
    """

    sample: Sample
    label: str
    used: NDArray[np.bool_]
    weights: Floats
    treatment: Floats
    others: tuple[Floats, ...]
    treatment_left: Floats
    outcome_left: Floats
    adoption: Floats | None

    @property
    def coefficient(self) -> float:
        """Two-way coefficient of the treatment."""
        w, d = self.weights, self.treatment_left
        return float((w * d * self.outcome_left).sum() / (w * d * d).sum())


def residualise(
    panel: Panel, design: Design, treatment: str | None, other_treatments: tuple[str, ...] = ()
) -> Residualised:
    """Take everything but the treatment out of treatment and outcome (Frisch, Waugh & Lovell).

    Raises
    ------
    DesignError : a treatment is negative, or nothing of the treatment is left
    """
    label, adoption = treatment or "treatment", None
    for name in other_treatments:
        panel.values(name)
    if treatment is None:
        adoption = adoption_codes(panel, design.adoption)
        on = panel.periods[None, :] >= adoption[:, None]
        while label in panel.varying or label in panel.fixed:
            label += "_"
        panel = panel.with_varying(**{label: on.astype(np.float64)})
    plain = replace(
        design,
        covariates=(*(c for c in design.covariates if c not in other_treatments), *other_treatments),
        anticipation=0,
    )
    sample = draw(panel, plain, treatment=label)
    used = np.ones(sample.outcome.shape, dtype=bool) if sample.used is None else sample.used
    weights = np.ones(used.shape) if sample.weights is None else np.broadcast_to(sample.weights, used.shape)
    weights = np.where(used, weights, 0.0)
    dense = [np.where(used, values, 0.0) for values in sample.dense]
    for name, values in zip((label, *sample.covariates), dense, strict=True):
        if name in (label, *other_treatments) and (values < 0).any():
            i, t = np.argwhere(values < 0)[0]
            raise DesignError(
                f"처치 {name} 의 값 {values[i, t]:g} 이(가) 음수라 무게를 나눌 수 없음",
                where=(f"단위 {sample.units[i]}", f"{sample.periods[t]}"),
                remedy="처치가 없는 상태를 0 으로 적을 것",
            )
    effects = projection(sample.weights)
    left = [np.where(used, demean(values, effects), 0.0) for values in (sample.outcome, *dense)]
    outcome, own, rest = left[0], left[1], left[2:]
    if rest:
        outcome, own = (_without(values, rest, weights) for values in (outcome, own))
    size = np.sqrt((weights * dense[0] ** 2).sum() / max(weights.sum(), 1e-300))
    if not np.sqrt((weights * own**2).sum() / weights.sum()) > ROUNDING * max(size, 1e-300):
        raise DesignError(
            f"처치 {label} 이(가) 단위 효과·기간 효과와 다른 변수로 모두 설명되어 진단할 것이 없음",
            remedy="처치 전 기간과 비교 집단이 함께 있는 자료를 쓰거나 공변량을 줄일 것",
        )
    own = np.where(np.abs(own) > ROUNDING * size, own, 0.0)
    others = dense[1 + len(sample.covariates) - len(other_treatments) :] if other_treatments else []
    if adoption is not None:
        adoption = adoption[np.isin(panel.units, sample.units)]
    return Residualised(sample, label, used, weights, dense[0], tuple(others), own, outcome, adoption)


def _without(values: Floats, rest: list[Floats], weights: Floats) -> Floats:
    """Residual of one variable on others, twice over for the last digits."""
    gram = np.array([[(weights * a * b).sum() for b in rest] for a in rest])
    inverse = scaled_inverse(gram, independent(gram))
    for _ in range(2):
        slopes = inverse @ np.array([(weights * a * values).sum() for a in rest])
        values = values - sum(b * x for b, x in zip(slopes, rest, strict=True))
    return values
