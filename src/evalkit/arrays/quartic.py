"""Real roots of many quartics at once: Ferrari's two quadratics, and eigenvalues where they lose accuracy.

x⁴ + bx³ + cx² + dx + e becomes (y² − sy + u)(y² + sy + w) with y = x + b/4 and s² twice the largest root of the resolvent
cubic. Where the two quadratics do not multiply to the quartic again (each coefficient to 1e-9), the companion matrix decides; two Newton
steps follow. Checked against numpy.roots: tests/properties/test_wild_bootstrap_properties.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ACCURATE = 1e-9
# a pair of complex roots this close to the real line counts as a double root
NEARLY_REAL = 1e-6


def real_roots(poly: Floats) -> Floats:
    """Real roots in order, +inf where there are fewer than four; double roots may be missing or there twice  # (B, 4)

    Parameters
    ----------
    poly : coefficients, highest power first, of degree four at most; what is 0 must be exactly 0  # (B, 5)
    """
    out = np.full((len(poly), 4), np.inf)
    size = np.abs(poly).max(axis=1, initial=0.0)
    even = (poly[:, 0] == 0) & (poly[:, 1] == 0) & (poly[:, 3] == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = -poly[:, 4] / poly[:, 2]
    two = even & (ratio >= 0) & np.isfinite(ratio)
    out[two, 0], out[two, 1] = -np.sqrt(ratio[two]), np.sqrt(ratio[two])
    whole = ~even & (np.abs(poly[:, 0]) > 1e-9 * size)
    full = np.flatnonzero(whole)
    if len(full):
        monic = (poly[full, 1:] / poly[full, :1]).T
        found, sound = _ferrari(monic)
        left = np.flatnonzero(~sound)
        if len(left):
            companion = np.zeros((len(left), 4, 4))
            companion[:, 1:, :3] = np.eye(3)
            companion[:, ::-1, 3] = -monic[:, left].T
            found[left] = _real(np.linalg.eigvals(companion))
        out[full] = found
    for b in np.flatnonzero(~even & ~whole):
        few = _real(np.roots(poly[b]))
        out[b, : len(few)] = few
    return np.sort(_polished(poly, out), axis=1)


def _ferrari(monic: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Roots of x⁴ + bx³ + cx² + dx + e, and where they can be relied on  # (B, 4), (B,)"""
    b, c, d, e = monic
    p = c - 3 * b**2 / 8
    q = d - b * c / 2 + b**3 / 8
    r = e - b * d / 4 + b**2 * c / 16 - 3 * b**4 / 256
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        m = _largest_root(p, p**2 / 4 - r, -(q**2) / 8)
        s = np.sqrt(2 * m)
        low, high = p / 2 + m + q / (2 * s), p / 2 + m - q / (2 * s)
        first, second = _quadratic(-s, low), _quadratic(s, high)
        # the two quadratics in x, and what they multiply to
        h = b / 4
        c1, c2 = h**2 - s * h + low, h**2 + s * h + high
        b1, b2 = 2 * h - s, 2 * h + s
        sound = np.abs(c1 * c2 - e) <= ACCURATE * np.abs(e)
        sound &= np.abs(c1 * b2 + c2 * b1 - d) <= ACCURATE * (np.abs(c1 * b2) + np.abs(c2 * b1))
        sound &= np.abs(c1 + c2 + b1 * b2 - c) <= ACCURATE * (np.abs(c1) + np.abs(c2) + np.abs(b1 * b2))
    found = np.stack([*first, *second], axis=1) - b[:, None] / 4
    return np.where(np.isnan(found), np.inf, found), sound


def _largest_root(a: Floats, b: Floats, c: Floats) -> Floats:
    """Largest real root of m³ + am² + bm + c  # (B,)"""
    p, q = b - a**2 / 3, 2 * a**3 / 27 - a * b / 3 + c
    split = q**2 / 4 + p**3 / 27
    u = np.cbrt(-q / 2 - np.copysign(np.sqrt(np.maximum(split, 0.0)), q))
    one = u - np.where(u == 0, 0.0, p / (3 * u))
    radius = np.sqrt(np.maximum(-p / 3, 0.0))
    three = 2 * radius * np.cos(np.arccos(np.clip(-q / (2 * radius**3), -1.0, 1.0)) / 3)
    m = np.where(split > 0, one, three) - a / 3
    for _ in range(2):
        slope = (3 * m + 2 * a) * m + b
        m = m - np.where(slope == 0, 0.0, (((m + a) * m + b) * m + c) / slope)
    out: Floats = m
    return out


def _quadratic(linear: Floats, constant: Floats) -> tuple[Floats, Floats]:
    """Roots of y² + ly + k; NaN where they are complex."""
    inside = linear**2 / 4 - constant
    inside = np.where(np.abs(inside) <= NEARLY_REAL**2 * (linear**2 + np.abs(constant)), 0.0, inside)
    far = -linear / 2 - np.copysign(np.sqrt(inside), linear)
    return far, np.where(far == 0, 0.0, constant / far)


def _real(values: NDArray[Any]) -> Floats:
    real: Floats = np.where(
        np.abs(np.imag(values)) <= NEARLY_REAL * (1 + np.abs(values)), np.real(values), np.inf
    )
    return real


def _polished(poly: Floats, found: Floats) -> Floats:
    """Two Newton steps where they are small."""
    out = found
    for _ in range(2):
        safe = np.where(np.isfinite(out), out, 1.0)
        value, slope = np.zeros_like(safe), np.zeros_like(safe)
        for k in range(5):
            slope = slope * safe + value
            value = value * safe + poly[:, k, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            step = value / slope
        good = np.isfinite(out) & (np.abs(step) <= 1e-6 * (1 + np.abs(safe)))
        out = np.where(good, safe - np.where(good, step, 0.0), out)
    return out
