"""Boundaries for repeated looks: alpha spending and recursive integration.

Spending functions of Lan & DeMets 1983 (two-sided α at information fraction t): O'Brien–Fleming type 4(1 − Φ(z_{1−α/4}/√t)),
Pocock type α ln(1 + (e − 1)t), power family α t^ρ. Boundaries by the recursion of Armitage, McPherson & Rowe 1969 (Jennison &
Turnbull 2000, ch. 19) for Brownian motion: the density of paths that have not crossed, on Gauss–Legendre nodes between the
boundaries. Checked: published boundaries (ldbounds, Proschan, Lan & Wittes 2006), multivariate normal probabilities of scipy, Monte
Carlo: tests/reference/test_repeated_looks.py.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]
Spending = Literal["obrien_fleming", "pocock", "power"]

NODES = 128
WIDE = 10.0  # standard deviations where no path is left
NOTHING = 1e-13  # α that is not spent


def spent_by(fraction: Floats, alpha: float, spending: Spending, power: float) -> Floats:
    """Cumulative two-sided α spent at information fractions in (0, 1]  # (K,)"""
    t = np.minimum(fraction, 1.0)
    if spending == "obrien_fleming":
        found = np.minimum(4 * ndtr(ndtri(alpha / 4) / np.sqrt(t)), alpha)
    elif spending == "pocock":
        found = alpha * np.log1p((np.e - 1) * t)
    else:
        found = alpha * t**power
    out: Floats = found
    return out


def boundaries(fraction: Floats, spent: Floats) -> Floats:
    """Two-sided boundaries of z at each look; +inf where nothing is spent  # (K,)

    Parameters
    ----------
    fraction : information fractions, increasing  # (K,)
    spent : cumulative α  # (K,)
    """
    steps = np.diff(fraction, prepend=0.0)
    share = np.diff(spent, prepend=0.0)
    out = np.full(len(fraction), np.inf)
    node, density = np.zeros(1), np.ones(1)  # all paths start at 0
    for k, (t, step, alpha) in enumerate(zip(fraction, steps, share, strict=True)):
        sd = np.sqrt(step)
        if alpha > NOTHING:
            out[k] = brentq(_excess, 0.0, 40.0, args=(node, density, np.sqrt(t), sd, alpha), xtol=1e-12)
        edge = min(out[k], WIDE) * np.sqrt(t)
        if k + 1 < len(fraction):
            node, density = _carry(node, density, edge, sd, float(np.sqrt(steps[k + 1])))
    return out


def _excess(z: float, node: Floats, density: Floats, root: float, sd: float, alpha: float) -> float:
    """P(|S| beyond z√t at this look and not before) − α."""
    return float(density @ (ndtr((node - z * root) / sd) + ndtr((-node - z * root) / sd)) - alpha)


def _carry(node: Floats, density: Floats, edge: float, sd: float, following: float) -> tuple[Floats, Floats]:
    """Nodes in (−edge, edge) with the mass of paths that are still between the boundaries, quadrature weights included."""
    count = int(max(NODES, 12 * edge / min(sd, following)))
    unit, gauss = _rule(-(-min(count, 2_000) // 32) * 32)
    at = edge * unit
    kernel = np.exp(-0.5 * ((at[:, None] - node[None, :]) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    return at, (kernel @ density) * gauss * edge


@lru_cache(maxsize=64)
def _rule(count: int) -> tuple[Floats, Floats]:
    """Gauss–Legendre nodes and weights on (−1, 1)."""
    at, gauss = np.polynomial.legendre.leggauss(count)
    return np.asarray(at, dtype=np.float64), np.asarray(gauss, dtype=np.float64)


def crossing(fraction: Floats, z: Floats) -> Floats:
    """Probability of crossing ±z first at each look under the null  # (K,)"""
    steps = np.diff(fraction, prepend=0.0)
    out = np.empty(len(fraction))
    node, density = np.zeros(1), np.ones(1)
    for k, (t, step) in enumerate(zip(fraction, steps, strict=True)):
        out[k] = _excess(float(min(z[k], 40.0)), node, density, float(np.sqrt(t)), float(np.sqrt(step)), 0.0)
        if k + 1 < len(fraction):
            edge = float(min(z[k], WIDE) * np.sqrt(t))
            node, density = _carry(node, density, edge, float(np.sqrt(step)), float(np.sqrt(steps[k + 1])))
    return out
