"""The specification curve's joint test where nothing happened, and what choosing among specifications does instead.

Twelve provinces of two places, three treated, seven years, errors that last (AR 0.6) within places and provinces; six
specifications (two outcomes, three sets of controls). The share of worlds in which some specification is significant is what a
search over specifications rejects; the joint test keeps its level.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import rigour

from evalkit.checks.reassignment import two_way_coefficient
from evalkit.checks.specification_curve import Choice, specification_curve
from evalkit.design import Design
from evalkit.panel import Panel

pytestmark = pytest.mark.slow
YEARS = np.arange(2015, 2022)
REGION = np.arange(24) % 12
DESIGN = Design("jobs", cluster="region")
GRID = {
    "outcome": {"jobs": Choice(), "insured": Choice(design={"outcome": "insured"})},
    "controls": {
        "none": Choice(),
        "prices": Choice(design={"covariates": ("prices",)}),
        "both": Choice(design={"covariates": ("prices", "exports")}),
    },
}


def lasting(rng: np.random.Generator, n: int) -> np.ndarray:
    """Errors with a correlation of 0.6 from year to year  # (n, T)"""
    out = rng.normal(size=(n, len(YEARS)))
    for t in range(1, len(YEARS)):
        out[:, t] = 0.6 * out[:, t - 1] + 0.8 * out[:, t]
    return out


def draw(rng: np.random.Generator) -> Mapping[str, Mapping[str, float]]:
    """One world without an effect."""
    prices, exports = lasting(rng, 24), lasting(rng, 24)
    jobs = lasting(rng, 12)[REGION] + 0.7 * lasting(rng, 24) + 0.4 * prices + 0.3 * exports
    panel = Panel(
        np.arange(24),
        YEARS,
        {"jobs": jobs, "insured": jobs + 0.5 * lasting(rng, 24), "prices": prices, "exports": exports},
        {"adoption": np.where(REGION < 3, 2019.0, np.inf), "region": REGION},
    )
    found = specification_curve(panel, DESIGN, two_way_coefficient, GRID)
    p = found.table["p_value"].to_numpy(dtype=float)
    return {
        **{f"joint: {name}": {"rejection": float(value <= 0.05)} for name, value in found.joint.items()},
        "any specification, CV1": {"rejection": float((p < 0.05).any())},
        "the planned one, CV1": {"rejection": float(p[0] < 0.05)},
    }


def test_curve_joint_test_keeps_its_level() -> None:
    claims = {(f"joint: {name}", "rejection"): (3.0, 7.0) for name in ("median", "stouffer")}
    # a share of six specifications has few values: ties make it cautious
    claims[("joint: share_significant", "rejection")] = (0.0, 7.0)
    rows = rigour.run("curve", "12 provinces, 3 treated, no effect", draw, seed=20261011, claims=claims)
    rigour.judge(rows)
    planned = rows["the planned one, CV1", "rejection"].value
    assert rows["any specification, CV1", "rejection"].value > planned
