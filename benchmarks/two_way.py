"""Times two-way fixed effects against a short numpy sketch of the closed form, and pyfixest where it is installed.

    OPENBLAS_NUM_THREADS=1 python benchmarks/two_way.py [--large] [--repeat 5]

One process, the same arrays. A staggered panel of ten periods, errors clustered by unit; "sketch" is the closed form
of a balanced panel (means taken out, units × periods × K event dummies written out). Before anything is timed, points
and standard errors of the kit and the sketch are compared. Peak memory is what the call adds to the process
(tracemalloc sees numpy's buffers), measured in a run of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import tracemalloc
from collections.abc import Callable
from statistics import median

import numpy as np

from evalkit.design import Design
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import bias_reduced, cluster_jackknife, uniform_band
from evalkit.panel import Panel

UNIT = Design("y")
REGION = Design("y", cluster="region")


def simulate(units: int, periods: int = 10, seed: int = 1) -> Panel:
    """A balanced panel with cohorts 4, 6, 7 and never treated units."""
    rng = np.random.default_rng(seed)
    adoption = rng.choice([4.0, 6.0, 7.0, np.inf], units, p=[0.15, 0.2, 0.15, 0.5])
    t = np.arange(1, periods + 1)
    noise = rng.standard_normal((units, periods)).cumsum(axis=1) * 0.5
    y = rng.standard_normal((units, 1)) + 0.1 * t + (t >= adoption[:, None]) + noise
    hole = np.where(rng.random((units, periods)) < 0.05, np.nan, y)
    return Panel(
        np.arange(units),
        t,
        {"y": y, "hole": hole, "x": rng.standard_normal((units, periods))},
        {"adoption": adoption, "region": rng.integers(0, 17, units)},
    )


def two_means(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean(axis=0).mean()


def clustered(columns: list[np.ndarray], outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares on demeaned columns, errors clustered by unit (CV1)."""
    x = np.stack([two_means(column) for column in columns], axis=2)
    y = two_means(outcome)
    units, periods, k = x.shape
    gram = np.tensordot(x, x, axes=([0, 1], [0, 1]))
    beta = np.linalg.solve(gram, np.tensordot(x, y, axes=([0, 1], [0, 1])))
    scores = np.einsum("ntk,nt->nk", x, y - x @ beta) @ np.linalg.inv(gram)
    factor = units / (units - 1) * (y.size - 1) / (y.size - k - periods)
    return beta, np.sqrt(factor * np.diag(scores.T @ scores))


def sketch_effects(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """One treatment indicator."""
    treated = (panel.periods >= panel.constant("adoption")[:, None]).astype(float)
    return clustered([treated], panel.values("y"))


def sketch_event_study(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """One dummy for each event time but −1."""
    clock = panel.periods - panel.constant("adoption")[:, None]
    times = [e for e in np.unique(clock[np.isfinite(clock)]) if e != -1]
    return clustered([(clock == e).astype(float) for e in times], panel.values("y"))


def peers(panel: Panel) -> dict[str, Callable[[], object]]:
    """The same two fits by pyfixest, where it is installed."""
    if importlib.util.find_spec("pyfixest") is None:
        return {}
    import pandas as pd
    import pyfixest

    n, t = panel.shape
    frame = pd.DataFrame({"unit": np.repeat(np.arange(n), t), "year": np.tile(panel.periods, n)})
    adoption = np.repeat(panel.constant("adoption"), t)
    frame["y"] = panel.values("y").ravel()
    frame["d"] = (frame["year"] >= adoption).astype(float)
    frame["rel"] = np.where(np.isfinite(adoption), frame["year"] - adoption, -1).astype(int)
    return {
        "effects": lambda: pyfixest.feols("y ~ d | unit + year", frame, vcov={"CRV1": "unit"}),
        "event study": lambda: pyfixest.feols(
            "y ~ i(rel, ref = -1) | unit + year", frame, vcov={"CRV1": "unit"}
        ),
    }


def timed(call: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Median seconds of `repeat` runs after a warm one, and peak megabytes of one more."""
    call()
    seconds = []
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return median(seconds), peak


def cases(panel: Panel) -> dict[str, tuple[str, Callable[[], object]]]:
    """What is timed: label -> (sketch it is held against, call)."""
    holes = Design("hole", cluster="region")
    with_x = Design("y", covariates=("x",))
    return {
        "effects": ("effects", lambda: two_way_effects(panel, UNIT)),
        "effects, one covariate": ("effects", lambda: two_way_effects(panel, with_x)),
        "effects, 17 clusters left out": (
            "effects",
            lambda: cluster_jackknife(two_way_effects(panel, REGION)),
        ),
        "effects, 5 % of cells missing": ("effects", lambda: two_way_effects(panel, holes)),
        "event study": ("event study", lambda: two_way_event_study(panel, UNIT)),
        "event study, CV3 and CR2, band": (
            "event study",
            lambda: [
                f(two_way_event_study(panel, REGION)) for f in (cluster_jackknife, bias_reduced, uniform_band)
            ],
        ),
        "event study, 5 % of cells missing": ("event study", lambda: two_way_event_study(panel, holes)),
    }


def agree(panel: Panel) -> None:
    """Stop if the kit and the sketch do not give the same numbers."""
    for kit, sketch in (
        (two_way_effects(panel, UNIT), sketch_effects(panel)),
        (two_way_event_study(panel, UNIT), sketch_event_study(panel)),
    ):
        np.testing.assert_allclose(kit.values, sketch[0], rtol=1e-8)
        np.testing.assert_allclose(kit.std_errors, sketch[1], rtol=1e-8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(f"{'units':>8} {'case':<36} {'seconds':>9} {'sketch':>9} {'ratio':>6} {'peak MB':>8}")
    for units in (20_000, 500_000) if args.large else (20_000,):
        panel = simulate(units)
        repeat = args.repeat if units < 100_000 else max(1, args.repeat // 2)
        agree(panel)
        base = {
            "effects": timed(lambda panel=panel: sketch_effects(panel), repeat),
            "event study": timed(lambda panel=panel: sketch_event_study(panel), repeat),
        }
        lines = {label: (against, *timed(call, repeat)) for label, (against, call) in cases(panel).items()}
        for name, call in peers(panel).items():
            lines[f"pyfixest, {name}"] = (name, *timed(call, repeat))
        for name, (seconds, peak) in base.items():
            lines[f"sketch, {name}"] = (name, seconds, peak)
        for label, (against, seconds, peak) in lines.items():
            reference = base[against][0]
            print(
                f"{units:>8,} {label:<36} {seconds:>9.4f} {reference:>9.4f} {seconds / reference:>6.2f} {peak:>8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
