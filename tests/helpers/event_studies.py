"""Event studies as plain coefficients and covariances: from the reference files, from publications, and drawn."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from shared_files import GOLDEN

from evalkit.estimate import Estimate

Inputs = tuple[np.ndarray, np.ndarray, int]


def event_study(
    coefficients: ArrayLike,
    covariance: ArrayLike,
    before: int,
    *,
    dof: float = np.inf,
    clusters: int = 400,
    anticipation: int = 0,
    **more: object,
) -> Estimate:
    """An Estimate with `before` coefficients before the base and the others after it, the base left out."""
    values = np.asarray(coefficients, dtype=float)
    first = -1 - anticipation - before
    times = [*range(first, first + before), *range(-anticipation, len(values) - before - anticipation)]
    given: dict[str, object] = {
        "terms": pd.MultiIndex.from_arrays([times], names=["event_time"]),
        "values": values,
        "covariance": np.asarray(covariance, dtype=float),
        "influence": None,
        "cluster": np.arange(clusters),
        "cluster_labels": np.arange(clusters),
        "replicates": None,
        "dof": dof,
        "n_treated": 5,
        "n_comparison": 9,
        "method": "test",
        "inference": "CV3",
        "units": np.arange(clusters),
        "design": {"anticipation": anticipation, "base": "universal"},
    }
    return Estimate(**(given | more))  # type: ignore[arg-type]


@cache
def cases(name: str) -> dict[str, dict[str, Any]]:
    """Cases of a reference file by their id."""
    whole = json.loads((GOLDEN / "open" / f"{name}.json").read_text(encoding="utf-8"))
    return {case["id"]: case for case in whole["cases"]}


@cache
def honest_inputs(name: str) -> Inputs:
    """Coefficients, covariance and number before the base behind a file of honestdid goldens."""
    if name == "honestdid_BC":
        held = json.loads((GOLDEN / "data" / "BCdata_EventStudy.json").read_text(encoding="utf-8"))
        return np.ravel(held["betahat"]), np.array(held["sigma"]), 4
    result = cases(name)["medicaid-original" if name == "honestdid_medicaid" else "mpdta-cs-original"][
        "result"
    ]
    covariance = np.array(result["input_sigma"])
    return np.array(result["input_betahat"]), (covariance + covariance.T) / 2, 5 if "medicaid" in name else 3


def random_inputs(rng: np.random.Generator, before: int, after: int, scale: float = 0.1) -> Inputs:
    """A positive definite covariance and coefficients with trends and effects of the size of their errors."""
    k = before + after
    root = rng.normal(size=(k, k + 3)) * scale / np.sqrt(k + 3)
    covariance = root @ root.T
    centre = np.concatenate([rng.normal(size=before) * scale, rng.normal(size=after) * 2 * scale])
    return rng.multivariate_normal(centre, covariance), covariance, before


# He & Wang (2017, AEJ: Applied 9) as printed in the source of the Stata and R packages pretrends (MIT licence, Roth and
# Caceres Bravo): coefficients at event times −4, −3, −2, 0, 1, 2, 3 and their covariance.
HE_WANG_COEFFICIENTS = np.array(
    [0.0667031482, -0.0077017923, -0.0307690538, 0.084030658, 0.2424418181, 0.2198789865, 0.1910925359]
)
_LOWER = [
    [0.0089065712],
    [0.0044883136, 0.0059369169],
    [0.0014587025, 0.0027500791, 0.0030386248],
    [0.0012157689, 0.0013505858, 0.0009056166, 0.0039247409],
    [0.0020327645, 0.0014315459, 0.0006791299, 0.002596118, 0.008065897],
    [0.0013225015, 0.0012067792, 0.0010167636, 0.0017326149, 0.0058753751, 0.007881579],
    [0.0019617728, 0.0013847158, 0.0007090144, 0.0022345525, 0.0037414359, 0.0036507095, 0.0097884266],
]
HE_WANG_COVARIANCE = np.array([[_LOWER[max(i, j)][min(i, j)] for j in range(7)] for i in range(7)])
