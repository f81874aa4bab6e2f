"""Times two-way fixed effects against a short numpy sketch of the closed form, and pyfixest where it is installed.

    OPENBLAS_NUM_THREADS=1 python benchmarks/two_way.py [--large] [--repeat 5]

One process, the same arrays. A staggered panel of ten periods, errors clustered by unit; "sketch" is the closed form
of a balanced panel (means taken out, units × periods × K event dummies written out), alternating projections where
cells are missing. Before anything is timed, points
and standard errors of the kit and the sketch are compared. Peak memory is what the call adds to the process
(tracemalloc sees numpy's buffers), measured in a run of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

import numpy as np
from _measuring import HEADER, line, peak_of, timed

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


def clustered(
    x: np.ndarray, y: np.ndarray, cells: int, cluster: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares on demeaned columns (N, T, K), errors clustered (CV1)."""
    periods, k = x.shape[1:]
    gram = np.tensordot(x, x, axes=([0, 1], [0, 1]))
    beta = np.linalg.solve(gram, np.tensordot(x, y, axes=([0, 1], [0, 1])))
    scores = np.einsum("ntk,nt->nk", x, y - x @ beta) @ np.linalg.inv(gram)
    if cluster is not None:
        scores = np.stack([np.bincount(cluster, column) for column in scores.T], axis=1)
    groups = len(scores)
    factor = groups / (groups - 1) * (cells - 1) / (cells - k - periods)
    return beta, np.sqrt(factor * np.diag(scores.T @ scores))


def treated(panel: Panel) -> np.ndarray:
    return (panel.periods >= panel.constant("adoption")[:, None]).astype(float)


def sketch_effects(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """One treatment indicator."""
    y = panel.values("y")
    return clustered(two_means(treated(panel))[:, :, None], two_means(y), y.size)


def sketch_covariate(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """One treatment indicator and one covariate."""
    y = panel.values("y")
    x = np.stack([two_means(treated(panel)), two_means(panel.values("x"))], axis=2)
    return clustered(x, two_means(y), y.size)


def sketch_event_study(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """One dummy for each event time but −1."""
    clock = panel.periods - panel.constant("adoption")[:, None]
    times = [e for e in np.unique(clock[np.isfinite(clock)]) if e != -1]
    x = np.stack([two_means((clock == e).astype(float)) for e in times], axis=2)
    return clustered(x, two_means(panel.values("y")), clock.size)


def sketch_missing(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Missing cells by alternating projections, as most packages do it."""
    seen = (~np.isnan(panel.values("hole"))).astype(float)
    rows, columns = seen.sum(axis=1, keepdims=True), seen.sum(axis=0)
    out = []
    for values in (np.nan_to_num(panel.values("hole")), treated(panel)):
        part = values * seen
        for _ in range(200):
            before = part
            part = part - seen * part.sum(axis=1, keepdims=True) / rows
            part = part - seen * (part.sum(axis=0) / columns)
            if np.abs(part - before).max() < 1e-10:
                break
        out.append(part)
    return clustered(out[1][:, :, None], out[0], int(seen.sum()), panel.constant("region"))


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


Sketch = Callable[[Panel], object]
Case = tuple[Sketch, Callable[[], object]]


def cases(panel: Panel) -> dict[str, Case]:
    """What is timed: label -> (sketch it is held against, call)."""
    holes = Design("hole", cluster="region")
    with_x = Design("y", covariates=("x",))
    found: dict[str, Case] = {
        "effects": (sketch_effects, lambda: two_way_effects(panel, UNIT)),
        "effects, one covariate": (sketch_covariate, lambda: two_way_effects(panel, with_x)),
        "effects, 17 clusters left out": (
            sketch_effects,
            lambda: cluster_jackknife(two_way_effects(panel, REGION)),
        ),
        "effects, 5 % of cells missing": (sketch_missing, lambda: two_way_effects(panel, holes)),
        "event study": (sketch_event_study, lambda: two_way_event_study(panel, UNIT)),
        "event study, CV3": (
            sketch_event_study,
            lambda: cluster_jackknife(two_way_event_study(panel, REGION)),
        ),
        "event study, CR2 and band": (
            sketch_event_study,
            lambda: uniform_band(bias_reduced(two_way_event_study(panel, REGION))),
        ),
        "event study, 5 % of cells missing": (sketch_event_study, lambda: two_way_event_study(panel, holes)),
    }
    return found


def agree(panel: Panel) -> None:
    """Stop if the kit and the sketches do not give the same numbers."""
    for kit, (values, errors), tolerance in (
        (two_way_effects(panel, UNIT), sketch_effects(panel), 1e-8),
        (two_way_effects(panel, Design("y", covariates=("x",))), sketch_covariate(panel), 1e-8),
        (two_way_event_study(panel, UNIT), sketch_event_study(panel), 1e-8),
        (two_way_effects(panel, Design("hole", cluster="region")), sketch_missing(panel), 1e-6),
    ):
        np.testing.assert_allclose(kit.values, values, rtol=tolerance)
        np.testing.assert_allclose(kit.std_errors, errors, rtol=tolerance)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=7)
    args = parser.parse_args()
    print(HEADER)
    for units in (20_000, 500_000) if args.large else (20_000,):
        panel = simulate(units)
        agree(panel)
        repeat = args.repeat if units < 100_000 else max(1, args.repeat // 2)
        beside = peers(panel)
        for label, (sketch, call) in cases(panel).items():
            seconds, base = timed([call, lambda sketch=sketch, panel=panel: sketch(panel)], repeat)
            print(line(units, label, seconds, "sketch", base, peak_of(call)), flush=True)
            if label in beside:
                seconds, theirs = timed([call, beside[label]], repeat)
                print(line(units, label, seconds, "pyfixest", theirs, peak_of(call)), flush=True)


if __name__ == "__main__":
    main()
