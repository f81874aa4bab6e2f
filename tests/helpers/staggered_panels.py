"""Random small staggered panels for property tests: real outcomes, counts and shares, with weights and a covariate."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from evalkit.panel import Panel

REGIONS = 5


@st.composite
def staggered_panels(
    draw: st.DrawFn, *, holes: bool | None = None, never: bool = True, one_cluster_cohort: bool = False
) -> Panel:
    """Units of every cohort in every region (so that no region is alone with one), unless asked otherwise.

    ``y`` real, ``count`` whole numbers, ``share`` in 0–1; ``w`` fixed weights, ``wt`` weights by cell, ``x`` fixed
    covariate, ``z`` a covariate that changes over time.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    per, t = draw(st.integers(4, 6)), draw(st.integers(6, 8))
    n = per * REGIONS
    years = np.arange(2011, 2011 + t)
    cohorts = np.array([2013.0, 2015.0, np.inf if never else 2016.0])
    adoption = cohorts[(np.arange(n) // REGIONS) % 3]
    region = np.arange(n) % REGIONS
    if one_cluster_cohort:
        adoption = np.where((adoption == 2015.0) & (region != 0), 2013.0, adoption)
    x = rng.normal(size=n)
    treated = years >= adoption[:, None]
    level = rng.normal(size=(n, 1)) + 0.4 * x[:, None] + 0.1 * np.arange(t) * (1 + 0.3 * x[:, None])
    y = 5 + level + treated * (1 + 0.2 * (years - np.where(np.isfinite(adoption), adoption, 0)[:, None]))
    y = y + rng.normal(size=(n, t))
    mean = np.exp(1.2 + 0.3 * level + 0.3 * treated)
    panel = {
        "y": y,
        "count": rng.poisson(mean) + 0.0,
        "share": rng.beta(2, 3, (n, t)),
        "z": rng.normal(size=(n, t)),
        "wt": rng.uniform(0.5, 2, (n, t)),
    }
    if draw(st.booleans()) if holes is None else holes:
        gone = rng.random((n, t)) < 0.1
        gone[: 3 * REGIONS] = False  # every cohort is whole somewhere in every region
        for name in ("y", "count", "share"):
            panel[name] = np.where(gone, np.nan, panel[name])
    fixed = {"adoption": adoption, "region": region, "w": rng.uniform(0.5, 2, n), "x": x}
    return Panel(np.arange(n), years, panel, fixed)
