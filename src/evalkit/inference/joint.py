"""Joint (Wald) tests that several terms are zero.

With infinite degrees of freedom χ²(q). With few clusters the Hotelling form  F = (η − q + 1)/(η q) W ~ F(q, η − q + 1):
η is the smallest degree of freedom of the terms (C − 1 for CV1 and CV3); for CR2 it is that of the HTZ test of
Pustejovsky & Tipton 2018, checked against clubSandwich 0.6.0 (``Wald_test(test = "HTZ")``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, fdtrc

from evalkit.arrays.cluster import hotelling_dof
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import places

# eigenvalues of the correlation matrix below this share of the largest count as 0
RANK = 1e-9


@dataclass(frozen=True, slots=True)
class WaldTest:
    """A joint test.

    Attributes
    ----------
    statistic : χ² when `df_denominator` is infinite, else F
    df : number of restrictions tested (rank of the covariance)
    df_denominator : +inf, or the second degree of freedom of F
    p_value : NaN where the clusters are too few for so many restrictions
    rank_reduced : the covariance has fewer dimensions than terms (restrictions outside its span are not tested)
    omitted : terms without an estimate or a variance, left out
    """

    statistic: float
    df: int
    df_denominator: float
    p_value: float
    rank_reduced: bool
    omitted: tuple[str, ...]


def wald(est: Estimate, terms: ArrayLike | None = None) -> WaldTest:
    """Test that the terms (a mask or positions; all by default) are zero together.

    Raises
    ------
    DesignError : no term has an estimate and a variance
    """
    chosen = est if terms is None else est.select(terms)
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(chosen.values) & (np.diag(chosen.covariance) > 0)
    omitted = tuple(" ".join(str(part) for part in label) for label in chosen.terms[~usable])
    chosen = chosen.select(usable)
    if not len(chosen):
        raise DesignError(
            "분산이 있는 항이 없어 결합 검정을 할 수 없음", remedy="다른 추론 방법이나 항을 고를 것"
        )
    errors = chosen.std_errors
    correlation = chosen.covariance / errors[:, None] / errors[None, :]
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
    kept = values > RANK * values[-1]
    turned = vectors[:, kept].T @ (chosen.values / errors)
    quadratic = float(np.sum(turned**2 / values[kept]))
    q = int(kept.sum())
    reduced = q < len(chosen)
    eta = float(np.nanmin(chosen.dof)) if np.isfinite(chosen.dof).any() else np.inf
    if np.isinf(eta):
        return WaldTest(quadratic, q, np.inf, float(chdtrc(q, quadratic)), reduced, omitted)
    exact = None if reduced else _hotelling(chosen)
    eta = eta if exact is None else exact
    second = eta - q + 1
    if second <= 0:
        return WaldTest(float("nan"), q, second, float("nan"), reduced, omitted)
    statistic = second / (eta * q) * quadratic
    return WaldTest(statistic, q, second, float(fdtrc(q, second, statistic)), reduced, omitted)


def _hotelling(est: Estimate) -> float | None:
    """η of HTZ, where the estimate is CR2 with terms as fitted."""
    if est.inference != "CR2" or "products" not in est.detail:
        return None
    at = places(est)
    if at is None:
        return None
    # products are held for the identified terms, in their order
    identified = np.flatnonzero(~np.isnan(np.asarray(est.detail["values"])))
    restriction = (identified[None, :] == np.asarray(at)[:, None]).astype(np.float64)
    return hotelling_dof(np.asarray(est.detail["products"]), restriction)
