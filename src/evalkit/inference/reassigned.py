"""The two-way coefficient under re-assignments of adoption dates: from panel and design to its placebo curves.

The numbers come from `evalkit.arrays.reassigned_two_way`, the cells from the same sample as `two_way_effects`. Checked:
tests/reference/test_randomisation.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.reassigned_two_way import Effects, Placebos, evaluate, factor, moments
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimators._two_way_sample import Sample, draw
from evalkit.inference.placebo_curves import Curves
from evalkit.inference.reassignment import Reassignment, reassignments
from evalkit.panel import Panel

Floats = NDArray[np.float64]

# assignments whose treatment is the actual one or its mirror image tie whatever the outcome
MIRROR = 1e-9


@dataclass(frozen=True, slots=True)
class Ready:
    """A sample with its effects factored and the place of its units among the groups."""

    sample: Sample
    effects: Effects
    on: Floats  # treatment under the actual assignment  (N, T)
    group: NDArray[np.int64]
    paths: Floats


def prepare(panel: Panel, sample: Sample, chosen: Reassignment) -> Ready:
    """Factor the effects of a sample and place its units among the groups of a re-assignment."""
    paths = (panel.periods[None, :] >= chosen.dates[:, None]).astype(np.float64)
    group = chosen.group[np.isin(panel.units, sample.units)]
    effects = factor(sample.weights, sample.dense, sample.outcome.shape)
    return Ready(sample, effects, paths[chosen.observed[group]], group, paths)


def sample_for(panel: Panel, design: Design) -> Sample:
    """The cells of the two-way regression, which may not depend on the assignment.

    Raises
    ------
    RefusalError : anticipation, which leaves out other cells under each assignment
    """
    if design.anticipation:
        raise RefusalError(
            f"예상 효과 기간 anticipation={design.anticipation} 은(는) 배정마다 쓰는 칸을 바꾸어 빠른 계산을 쓸 수 없음",
            remedy="fit=lambda p, d: two_way_effects(p, d).select([0]) 처럼 방법을 줄 것",
        )
    return draw(panel, design)


def two_way_curves(panel: Panel, design: Design, **options: Any) -> tuple[Reassignment, Curves]:
    """Placebo coefficients of y − β̂D and of D, with the quadratics of their variances.

    Parameters
    ----------
    options : of `evalkit.inference.reassignment.reassignments`

    Raises
    ------
    DesignError : nothing of the treatment is left beside effects and covariates
    """
    sample = sample_for(panel, design)
    chosen = reassignments(panel, design, units=np.isin(panel.units, sample.units), **options)
    ready = prepare(panel, sample, chosen)
    outcome, own = ready.effects.residual(sample.outcome), ready.effects.residual(ready.on)
    weights = 1.0 if sample.weights is None else sample.weights
    size = float((weights * own * own).sum())
    if not size > MIRROR * float(np.sum(weights * ready.on)):
        raise DesignError(
            "처치가 단위 효과, 기간 효과와 공변량에 모두 흡수되어 재배정할 계수가 없음",
            remedy="처치 전 기간과 비교 집단이 함께 있는 자료를 쓰거나 공변량을 줄일 것",
        )
    beta = float((weights * own * outcome).sum() / size)
    sums = moments(
        ready.effects, [outcome - beta * own, own], ready.paths, ready.group, len(chosen.labels), chosen.owner
    )
    rows = np.vstack([chosen.observed.astype(np.int8), chosen.codes])
    return chosen, _curves(evaluate(sums, rows, mixed=True), beta)


def _curves(out: Placebos, beta: float) -> Curves:
    assert out.mixed is not None
    own = np.stack([out.variance[:, 0], -2.0 * out.mixed, out.variance[:, 1]], axis=1)
    # the scores of D given its own assignment are 0 but for rounding
    own[0, 1:] = 0.0
    with np.errstate(invalid="ignore"):
        likeness = np.abs(out.coefficient[1:, 1]) * np.sqrt(out.left[1:] / out.left[0])
    return Curves(
        estimate=beta,
        centre=beta,
        b=out.coefficient[1:, 0],
        h=out.coefficient[1:, 1],
        own=own[1:],
        actual=own[0],
        always=likeness >= 1.0 - MIRROR,
        affine=True,
    )
