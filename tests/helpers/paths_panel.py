"""Random panels with all four paths through two treatments, and the example of a lasting first treatment."""

from __future__ import annotations

import numpy as np

from evalkit.panel import Panel

INF = np.inf


def two_treatments(
    seed: int, *, units: int = 240, periods: int = 8, missing: float = 0.0, clusters: int = 6
) -> Panel:
    """First treatment 3, 4 or never, second 6, 7 or never: every pair occurs in every cluster."""
    rng = np.random.default_rng(seed)
    pairs = [(f, g) for f in (3.0, 4.0, INF) for g in (6.0, 7.0, INF)]
    at = np.arange(units)
    first, second = np.array(pairs)[at % len(pairs)].T
    cluster = (at // len(pairs)) % clusters
    shuffled = rng.permutation(units)
    x = rng.standard_normal(units) + 0.3 * np.isfinite(first)
    t = np.arange(1, periods + 1)
    y = rng.standard_normal((units, periods)).cumsum(axis=1) + 0.2 * x[:, None] * t
    y += 0.2 * np.clip(t - first[:, None] + 1, 0, None) + 0.5 * (t >= second[:, None])
    y[rng.random(y.shape) < missing] = np.nan
    fixed = {
        "adoption": first,
        "later": second,
        "tier": np.where(np.isfinite(second), 1.0 + rng.integers(0, 2, units), np.nan),
        "x": x,
        "w": rng.uniform(0.5, 2.0, units),
        "cluster": cluster,
    }
    alive = (rng.random(y.shape) > 0.1).astype(float)
    return Panel(
        np.arange(units),
        t,
        {"y": y[shuffled], "alive": alive},
        {name: values[shuffled] for name, values in fixed.items()},
    )


def lasting_first_treatment() -> Panel:
    """No noise; phase 1 gives 0.2 a year from 2018 on and goes on growing; phase 3 gives 0.5, or 0.2 after
    phase 1, from 2023 on. Mean of phase 1 over 2018-2020: 0.4; mean of phase 3: 0.35."""
    t = np.arange(2013, 2026)
    rows, paths = [], []
    for first, second in ((INF, INF), (2018.0, INF), (INF, 2023.0), (2018.0, 2023.0)):
        later = 0.2 if np.isfinite(first) else 0.5
        path = 0.2 * np.clip(t - first + 1, 0, None) + later * (t >= second)
        for level in (0.0, 1.0, 5.0):
            rows.append(path + level)
            paths.append((first, second))
    first, second = np.array(paths).T
    return Panel(np.arange(12), t, {"y": np.array(rows)}, {"adoption": first, "later": second})
