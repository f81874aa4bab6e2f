"""Net effect of a programme on a place and its neighbours: what was gained inside and what was won or lost around it.

    θ_net = Σ_cells τ̂ N_τ + Σ_j Σ_cells δ̂_j N_j

with the joint covariance of direct and ring effects: they share their comparison, so their errors move
together, and a sum with separate errors would be wrong. The counts are taken as given: the error is that of the effects
for the units that there were, not for another draw of units. A direct effect from a difference-in-differences is
already net of what would have happened anyway, so no deadweight is taken off it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError, DesignError
from evalkit.estimate import Estimate


def net_effect(estimate: Estimate, counts: ArrayLike | Mapping[Any, float] | None = None) -> Estimate:
    """Direct, spillover and net totals with their joint covariance, influence and replicates.

    Parameters
    ----------
    estimate : of `spillover_effects` or `border_class_effects`
    counts : how many each term stands for: one number a term, or a mapping from the term's label; jobs per cell where the
        outcome is a rate, cells where it is a level. None = the cells behind each term (unit × period), so that the
        total is in units of the outcome times periods. Terms before treatment count 0.

    Returns
    -------
    Estimate with terms "quantity": "direct", "spillover", "net"; counts fixed

    Raises
    ------
    DesignError : an estimate without direct and ring terms
    DataError : counts that are negative, missing, or do not fit the terms
    """
    if "kind" not in estimate.terms.names:
        raise DesignError(
            "직접 효과와 고리 효과의 항이 없는 추정치임",
            remedy="spillover_effects 나 border_class_effects 의 결과를 줄 것",
        )
    around = np.asarray(estimate.terms.get_level_values("kind") == "ring")
    if around.all() or not around.any():
        raise DesignError(
            "직접 효과와 고리 효과 가운데 하나가 없어 순효과를 구할 수 없음",
            remedy="두 가지를 함께 추정한 결과를 줄 것",
        )
    n = _counts(estimate, counts)
    if "event_time" in estimate.terms.names:
        n = np.where(np.asarray(estimate.terms.get_level_values("event_time")) < 0, 0.0, n)
    weights = np.stack([np.where(around, 0.0, n), np.where(around, n, 0.0), n])
    index = pd.MultiIndex.from_arrays([["direct", "spillover", "net"]], names=["quantity"])
    return estimate.combine(weights, index, method=f"net_effect({estimate.method})")


def _counts(estimate: Estimate, counts: ArrayLike | Mapping[Any, float] | None) -> NDArray[np.float64]:
    given: Any
    if counts is None:
        given = estimate.detail.get("cells")
        if given is None:
            raise DataError("추정치에 칸 수가 없음", remedy="항마다 몇을 뜻하는지 counts 로 줄 것")
    elif isinstance(counts, Mapping):
        labels = [label if label in counts else _short(label) for label in estimate.terms]
        absent = [str(label) for label in labels if label not in counts]
        if absent:
            raise DataError(
                f"항 {', '.join(absent)} 의 수가 counts 에 없음",
                remedy=f"모든 항의 수를 적을 것: {', '.join(map(str, estimate.terms))}",
            )
        given = [counts[label] for label in labels]
    else:
        given = counts
    out = np.asarray(given, dtype=np.float64)
    if out.shape != (len(estimate),):
        raise DataError(
            f"counts 의 크기 {out.shape} 이(가) 항의 수 ({len(estimate)},) 와 다름",
            remedy="항마다 하나씩 적을 것",
        )
    if not np.isfinite(out).all() or (out < 0).any():
        raise DataError(
            "counts 에 음수나 빈 값이 있음", remedy="그 항에 해당하는 단위 × 기간의 수를 0 이상으로 적을 것"
        )
    return out


def _short(label: Sequence[Any]) -> Any:
    """A term's ring, or its kind where it has none."""
    kind, ring = label[0], label[1]
    return ring if ring != "" else kind
