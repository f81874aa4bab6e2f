"""Draws through an estimator's weights from comparison clusters alone, each with a standard error of its own.

The residual paths of comparison clusters hold no effect, whatever it is, so nothing need be imposed and intervals and bands
follow at once. But the scale of a treated cluster is then told by few donors and by a law (`residual_paths`), and a draw that
does not know this rejects too often (8–15 % at 5 % with 10 to 13 donors in our worlds). Each draw therefore makes paths
u*_c = q_c e_{k_c}/s_{k_c} for every cluster, fits the law to its own comparison clusters anew, and is divided by its own

    se² = Σ_c q_c² v_c'S v_c,     S = mean over donors k of e_k e_k'/s_k²,

as the estimate is: the bootstrap-t of Efron 1982 with the rescaling of Ferman & Pinto 2019. Shapes as in
`evalkit.arrays.residual_paths`; K terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.residual_paths import Codes, Floats, Scales, two_way_paths

# numbers held at a time
BLOCK = 1 << 19


@dataclass(frozen=True, slots=True)
class Studentised:
    """errors (K,): standard errors of the estimates; ratios (B, K): θ*/se* of each draw; q (G,), law (2,)."""

    errors: Floats
    ratios: Floats
    q: Floats
    law: Floats


def studentised(weights: Floats, y: Floats, scales: Scales, draws: int, seed: list[int]) -> Studentised:
    """Standard errors and studentised draws.

    Parameters
    ----------
    weights : (K, G, T); y : outcomes by cluster  # (G, T)
    scales : its donors are the comparison clusters
    seed : of `np.random.default_rng`
    """
    donors = scales.donors
    terms, clusters, periods = weights.shape
    squares = np.einsum("kct,kcu->tukc", weights, weights).reshape(periods**2, terms * clusters)
    paths = two_way_paths(y[donors])
    law, q, s = scales.fit(paths)
    errors = _errors(paths[None], q[None], s[None], squares, terms)[0]
    unit = paths / np.where(s > 0, s, 1.0)[:, None]  # (D, T)
    each = np.einsum("kct,dt->kcd", weights, unit) * q[:, None]  # (K, G, D)
    picked = np.random.default_rng(seed).integers(0, len(donors), (draws, clusters))
    ratios = np.empty((draws, terms))
    step = max(1, BLOCK // (periods**2 + clusters * (terms + periods)))
    columns = np.arange(clusters)
    for start in range(0, draws, step):
        k: Codes = picked[start : start + step]
        values = each[:, columns, k].sum(axis=2).T  # (b, K)
        made = two_way_paths(q[donors, None] * unit[k[:, donors]])  # (b, D, T)
        _, q_made, s_made = scales.fit(made)
        own = _errors(made, q_made, s_made, squares, terms)
        ratios[start : start + step] = np.divide(values, own, out=np.zeros_like(values), where=own > 0)
    return Studentised(errors, ratios, q, law)


def _errors(paths: Floats, q: Floats, s: Floats, squares: Floats, terms: int) -> NDArray[np.float64]:
    """Standard errors of all terms for each set of donor paths  # (b, K)"""
    scaled = paths / np.where(s > 0, s, np.inf)[..., None]
    spread = np.matmul(np.swapaxes(scaled, 1, 2), scaled) / paths.shape[1]  # (b, T, T)
    parts = (spread.reshape(len(paths), -1) @ squares).reshape(len(paths), terms, -1)
    out: Floats = np.sqrt(np.maximum(np.einsum("bkc,bc->bk", parts, q**2), 0.0))
    return out
