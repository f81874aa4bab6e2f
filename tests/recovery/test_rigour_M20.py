"""M20: the ratio of two effects whose lower one may be near zero. Fieller's set covers; the delta method does not.

Two estimates, jointly normal (or their cluster means over 14 provinces, with t(13)), correlated 0.3; the denominator is 0.5, 1.5 or 4
of its standard errors away from 0. "whole or complement" is how often Fieller's set is unbounded: where the denominator cannot be told from 0 the
data do not bound the ratio, and an interval that is always bounded cannot cover (Gleser & Hwang 1987).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import rigour
from scipy.special import ndtri, stdtrit

from evalkit.appraisal.ratio import fieller

CLUSTERS = 14
NUMERATOR = 2.0


def draw(rng: np.random.Generator, away: float, clusters: int | None) -> rigour.Measures:
    """One pair of estimates with standard errors 1; the truth is 2/away."""
    truth = NUMERATOR / away
    root = np.linalg.cholesky(np.array([[1.0, 0.3], [0.3, 1.0]]))
    if clusters is None:
        a, b = np.array([NUMERATOR, away]) + root @ rng.standard_normal(2)
        v, dof = np.array([[1.0, 0.3], [0.3, 1.0]]), np.inf
        critical = -ndtri(0.025)
    else:
        parts = np.array([NUMERATOR, away]) + np.sqrt(clusters) * rng.standard_normal((clusters, 2)) @ root.T
        (a, b), v, dof = parts.mean(axis=0), np.cov(parts.T) / clusters, clusters - 1.0
        critical = float(stdtrit(dof, 0.975))
    found = fieller(float(a), float(b), (v[0, 0], v[1, 1]), v[0, 1], dof=dof, null=truth)
    r = a / b
    error = np.sqrt(v[0, 0] - 2 * r * v[0, 1] + r * r * v[1, 1]) / abs(b)
    half = critical * error
    return {
        "Fieller": {
            "coverage": truth in found,
            "reject": found.p_value < 0.05,
            "unbounded": not found.bounded,
        },
        "delta": {"coverage": abs(r - truth) <= half, "reject": abs(r - truth) > half, "unbounded": 0.0},
    }


@pytest.mark.slow
@pytest.mark.parametrize("away", [0.5, 1.5, 4.0])
@pytest.mark.parametrize("clusters", [None, CLUSTERS])
def test_M20_ratio_with_a_denominator_near_zero(away: float, clusters: int | None) -> None:
    world = (
        f"denominator {away:g} standard errors from zero, {'normal' if clusters is None else '14 clusters'}"
    )
    claims = {("Fieller", "coverage"): (93.5, 96.5)}
    if away < 1:
        claims["delta", "coverage"] = (0.0, 80.0)
    rows = rigour.run(
        "M20", world, partial(draw, away=away, clusters=clusters), seed=2000, replications=4000, claims=claims
    )
    rigour.judge(rows)
    assert rows["Fieller", "coverage"].value + rows["Fieller", "reject"].value == pytest.approx(100.0)
