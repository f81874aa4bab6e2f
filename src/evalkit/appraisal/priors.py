"""What is assumed and not estimated, as distributions; and which of them drives an answer.

An answer Y = f(X₁ … X_m) of independent inputs that enters each of them linearly (a product of a sum, as from gross to net)
has E[Y | X_i] = f(E X₁ … X_i … E X_m), so that the first-order share of Sobol (1993) is

    S_i = Var f(E X₁ … X_i … E X_m) / Var f(X₁ … X_m)

without the double loop of the general estimator. Σ S_i ≤ 1; what is left is their interaction. Inputs that are estimated
together (direct effect and spillovers) are one input, because their errors move together.

Checked: the product of independents in closed form, a general pick-freeze estimator: tests/reference/test_net_value.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.errors import DataError, DesignError, UsageError

Floats = NDArray[np.float64]
Kind = Literal["fixed", "beta", "lognormal", "triangular"]


@dataclass(frozen=True, slots=True)
class Prior:
    """A number that is assumed.

    Attributes
    ----------
    kind : "fixed" (value), "beta" (a, b), "lognormal" (median, sd of the logarithm), "triangular" (low, mode, high)
    parameters : as named
    """

    kind: Kind
    parameters: tuple[float, ...]

    def __post_init__(self) -> None:
        p = self.parameters
        sizes = {"fixed": 1, "beta": 2, "lognormal": 2, "triangular": 3}
        if self.kind not in sizes or len(p) != sizes[self.kind] or not all(math.isfinite(v) for v in p):
            raise UsageError(
                f"분포 {self.kind} 의 모수 {p} 을(를) 쓸 수 없음",
                remedy="fixed(값), beta(a, b), lognormal(중앙값, 로그 표준편차), triangular(최소, 최빈, 최대)",
            )
        wrong = {
            "fixed": False,
            "beta": min(p) <= 0,
            "lognormal": p[0] <= 0 or p[-1] < 0,
            "triangular": list(p) != sorted(p),
        }[self.kind]
        if wrong:
            raise UsageError(
                f"분포 {self.kind} 의 모수 {p} 이(가) 범위를 벗어남", remedy="계획의 가정을 고칠 것"
            )

    @property
    def mean(self) -> float:
        """Expected value."""
        p = self.parameters
        if self.kind == "beta":
            return p[0] / (p[0] + p[1])
        if self.kind == "lognormal":
            return p[0] * math.exp(p[1] ** 2 / 2)
        return sum(p) / len(p)

    @property
    def variance(self) -> float:
        """Variance."""
        p = self.parameters
        if self.kind == "beta":
            return p[0] * p[1] / ((p[0] + p[1]) ** 2 * (p[0] + p[1] + 1))
        if self.kind == "lognormal":
            return self.mean**2 * math.expm1(p[1] ** 2)
        if self.kind == "triangular":
            low, mode, high = p
            return (low**2 + mode**2 + high**2 - low * mode - low * high - mode * high) / 18
        return 0.0

    def draw(self, rng: np.random.Generator, size: int) -> Floats:
        """Independent draws  # (size,)"""
        p = self.parameters
        if self.kind == "beta":
            return np.asarray(rng.beta(p[0], p[1], size))
        if self.kind == "lognormal":
            return np.asarray(p[0] * np.exp(p[1] * rng.standard_normal(size)))
        if self.kind == "triangular" and p[0] < p[2]:
            return np.asarray(rng.triangular(p[0], p[1], p[2], size))
        return np.full(size, p[-1])

    def quantile(self, share: float) -> float:
        """The value below which a share of the distribution lies."""
        from scipy.special import betaincinv, ndtri

        p = self.parameters
        if self.kind == "beta":
            return float(betaincinv(p[0], p[1], share))
        if self.kind == "lognormal":
            return float(p[0] * math.exp(p[1] * float(ndtri(share))))
        if self.kind == "triangular" and p[0] < p[2]:
            low, mode, high = p
            turn = (mode - low) / (high - low)
            if share <= turn:
                return low + math.sqrt(share * (high - low) * (mode - low))
            return high - math.sqrt((1 - share) * (high - low) * (high - mode))
        return p[-1]


NONE = Prior("fixed", (0.0,))
ONE = Prior("fixed", (1.0,))


def joint_draws(
    values: ArrayLike, covariance: ArrayLike, dof: float, rng: np.random.Generator, size: int
) -> Floats:
    """Draws of estimates with their joint errors: multivariate t, normal where `dof` is infinite  # (size, k)

    One χ² a draw for all terms, so that a joint draw is as far out as its inference says.

    Raises
    ------
    DesignError : an estimate or a variance that is not known
    DataError : degrees of freedom that are not above 2 (a t with fewer has no variance)
    """
    centre = np.asarray(values, dtype=np.float64)
    spread = np.asarray(covariance, dtype=np.float64)
    if not (np.isfinite(centre).all() and np.isfinite(spread).all()):
        raise DesignError(
            "오차를 알 수 없는 추정치라 불확실성을 이어 나를 수 없음",
            remedy="구간을 낼 수 있는 설계(군집 수)를 갖출 것",
        )
    if not dof > 2:
        raise DataError(
            f"자유도 {dof:g} 인 추정에는 분산이 없어 불확실성의 몫을 나눌 수 없음",
            remedy="군집이 넷 이상인 설계를 쓸 것",
        )
    size_of, vectors = np.linalg.eigh((spread + spread.T) / 2)
    root = vectors * np.sqrt(size_of.clip(0.0))
    z = rng.standard_normal((size, len(centre))) @ root.T
    if math.isfinite(dof):
        z *= np.sqrt(dof / rng.chisquare(dof, size))[:, None]
    return np.asarray(centre + z)


def variance_shares(
    answer: Callable[[Mapping[str, Floats]], Floats],
    draws: Mapping[str, Floats],
    means: Mapping[str, Floats | float],
) -> dict[str, float]:
    """First-order shares of the variance of an answer that is linear in each independent input.

    Parameters
    ----------
    answer : name -> array, vectorised over the first axis, linear in each input with the others held
    draws : name -> draws of the input  # (n,) or (n, k) for one of several parts
    means : name -> its expected value

    Returns
    -------
    name -> share; nothing varies = no shares (empty)
    """
    total = float(np.var(answer(draws)))
    if not total > 0:
        return {}
    fixed: dict[str, Floats] = {
        name: np.broadcast_to(np.asarray(means[name], dtype=np.float64), np.shape(draw)).copy()
        for name, draw in draws.items()
    }
    return {
        name: float(np.var(answer({**fixed, name: draw})) / total)
        for name, draw in draws.items()
        if float(np.var(draw, axis=0).sum()) > 0
    }
