"""Placebo statistics of all assignments as functions of the constant effect under the null."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curves:
    """The statistic of each assignment by z = τ − centre: (b − zh) over the root of a quadratic; −z for the actual one.

    estimate : of the actual assignment
    centre : value at which the actual statistic is 0; the estimate, unless a method is not linear in the outcome
    b, h : (B,); NaN = not estimable
    own : variance by powers of z  # (B, 3); actual : the same for the actual assignment  # (3,)
    always : assignments that tie with the actual one whatever the value  # (B,)
    affine : whether b and h hold for every z; otherwise only at the null that was asked for
    """

    estimate: float
    centre: float
    b: Floats
    h: Floats
    own: Floats
    actual: Floats
    always: NDArray[np.bool_]
    affine: bool
