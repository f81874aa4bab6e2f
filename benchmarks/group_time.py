"""Times group-time effects against a short numpy sketch of the closed form, in one process on the same arrays.

    OPENBLAS_NUM_THREADS=1 python benchmarks/group_time.py [--large] [--repeat 5] [--draws 999]

Doubly robust with one covariate, three cohorts, ten periods, universal base; "sketch" computes the same points and
influence functions cell by cell with fresh arrays. Peak memory is what the call adds to the process (tracemalloc
sees numpy's buffers), measured in a run of its own. Without OPENBLAS_NUM_THREADS=1 the products use every core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
from _measuring import HEADER, line, peak_of, timed

from evalkit.aggregate import event_study
from evalkit.design import Design
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import multiplier_bootstrap
from evalkit.panel import Panel

COHORTS = (4, 6, 8)


def simulate(units: int, periods: int = 10, seed: int = 1) -> Panel:
    """A balanced panel with cohorts 4, 6, 8 and never treated units, selection on x."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(units)
    draw = rng.random(units) + 0.08 * x
    adoption = np.select([draw < 0.45, draw < 0.65, draw < 0.85], [np.inf, 4.0, 6.0], 8.0)
    t = np.arange(1, periods + 1)
    effect = np.maximum(t[None, :] - adoption[:, None] + 1, 0.0) * np.isfinite(adoption)[:, None]
    noise = rng.standard_normal((units, periods)).cumsum(axis=1) * 0.5
    y = rng.standard_normal((units, 1)) + 0.1 * t * x[:, None] + 0.2 * effect + noise
    region = rng.integers(0, 17, units)
    return Panel(np.arange(units), t, {"y": y}, {"adoption": adoption, "x": x, "region": region})


def sketch(panel: Panel, comparison: str) -> tuple[np.ndarray, np.ndarray]:
    """The textbook loop: one cell at a time, one logit and one regression a cell."""
    y, g, x = panel.values("y"), panel.constant("adoption"), panel.constant("x")
    values, columns = [], []
    for cohort in COHORTS:
        base = cohort - 2
        for t in range(y.shape[1]):
            if t == base:
                continue
            clean = np.isinf(g) if comparison == "never" else (g > max(t, base) + 1) & (g != cohort)
            use = (g == cohort) | clean
            d, z = (g[use] == cohort).astype(float), np.column_stack([np.ones(use.sum()), x[use]])
            dy = y[use, t] - y[use, base]
            beta = np.linalg.lstsq(z[d == 0], dy[d == 0], rcond=None)[0]
            gamma = np.zeros(2)
            for _ in range(8):
                p = 1 / (1 + np.exp(-z @ gamma))
                hessian = (z * (p * (1 - p))[:, None]).T @ z
                gamma += np.linalg.solve(hessian, z.T @ (d - p))
            p = 1 / (1 + np.exp(-z @ gamma))
            r, w0 = dy - z @ beta, (1 - d) * p / (1 - p)
            n1, n0 = d.sum(), w0.sum()
            m1, m0 = (d * r).sum() / n1, (w0 * r).sum() / n0
            score = np.linalg.solve(hessian, z.T @ (w0 * (r - m0)) / n0)
            gap = np.linalg.solve(z[d == 0].T @ z[d == 0], (d / n1 - w0 / n0) @ z)
            psi = d * (r - m1) / n1 - w0 * (r - m0) / n0
            psi = psi - (d - p) * (z @ score) - (1 - d) * r * (z @ gap)
            full = np.zeros(len(g))
            full[use] = psi * len(g)
            values.append(m1 - m0)
            columns.append(full)
    influence = np.column_stack(columns)
    return np.array(values), np.sqrt((influence**2).sum(axis=0)) / len(g)


def cases(panel: Panel, comparison: str, draws: int) -> dict[str, Callable[[], object]]:
    """The calls that are timed."""
    design = Design(outcome="y", comparison=comparison, covariates=("x",))
    regions = Design(outcome="y", comparison=comparison, covariates=("x",), cluster="region")
    return {
        "dr": lambda: group_time_effects(panel, design, method="dr"),
        "dr_improved": lambda: group_time_effects(panel, design),
        "reg": lambda: group_time_effects(panel, design, method="reg"),
        "dr + event study": lambda: event_study(group_time_effects(panel, design, method="dr")),
        f"dr + {draws} draws": lambda: multiplier_bootstrap(
            group_time_effects(panel, design, method="dr"), draws=draws
        ),
        "dr, 17 clusters left out": lambda: group_time_effects(panel, regions, method="dr"),
    }


def agree(panel: Panel, comparison: str) -> None:
    """Stop if the kit and the sketch do not give the same numbers."""
    values, errors = sketch(panel, comparison)
    found = group_time_effects(
        panel, Design(outcome="y", comparison=comparison, covariates=("x",)), method="dr"
    )
    kept = found.std_errors > 0
    np.testing.assert_allclose(found.values[kept], values, atol=1e-9)
    np.testing.assert_allclose(found.std_errors[kept], errors, rtol=1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--draws", type=int, default=999)
    args = parser.parse_args()
    print(HEADER)
    for units in (20_000, 500_000) if args.large else (20_000,):
        panel = simulate(units)
        repeat = args.repeat if units < 100_000 else max(1, args.repeat // 2)
        for comparison in ("never", "not_yet"):
            agree(panel, comparison)
            theirs = partial(sketch, panel, comparison)
            for label, call in cases(panel, comparison, args.draws).items():
                seconds, base = timed([call, theirs], repeat)
                name = f"{comparison} {label}"
                print(line(units, name, seconds, "sketch", base, peak_of(call)), flush=True)


if __name__ == "__main__":
    main()
