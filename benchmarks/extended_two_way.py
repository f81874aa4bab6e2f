"""Times extended two-way, interaction-weighted and stacked effects against numpy sketches and peers on the same arrays.

    OPENBLAS_NUM_THREADS=1 python benchmarks/extended_two_way.py [--large] [--repeat 5] [--without-peers]

Ten periods, cohorts 3, 5, 7 and never treated units, errors clustered by unit unless the case says otherwise. "sketch"
is the closed form in a few lines of numpy: means taken out and every cell's dummy written out as an array of units ×
periods. pyfixest and diff-diff run where they are installed; at 500,000 units only one fit of pyfixest (the others need minutes
and tens of gigabytes). Points and standard errors are compared before anything is timed. Peak memory is what the call
adds (tracemalloc sees numpy's buffers), measured in a run of its own. Peers make no delete-one-cluster replicates:
beside them, and beside the sketches, ours are left out as well, and their cost is shown by itself.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from _measuring import HEADER, SIZES, line, peak_of, staggered, timed

from evalkit.design import Design
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.stacked import stacked_effects
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.panel import Panel

Numbers = tuple[np.ndarray, np.ndarray]
LINEAR, RATIOS = Design("y"), Design("count", link="ratios")


def two_means(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()


def cells_of(panel: Panel, leads: bool) -> list[tuple[float, int]]:
    g = panel.constant("adoption")
    return [
        (a, int(t))
        for a in np.unique(g[np.isfinite(g)])
        for t in panel.periods
        if (t != a - 1 if leads else t >= a)
    ]


def least_squares(panel: Panel, leads: bool) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of all cells and each unit's score, dummies written out  # (K,), (N, K)"""
    g, y = panel.constant("adoption"), two_means(panel.values("y"))
    x = np.stack(
        [
            two_means(((g == a)[:, None] & (panel.periods == t)).astype(float))
            for a, t in cells_of(panel, leads)
        ],
        axis=2,
    )
    gram = np.tensordot(x, x, axes=([0, 1], [0, 1]))
    beta = np.linalg.solve(gram, np.tensordot(x, y, axes=([0, 1], [0, 1])))
    return beta, np.einsum("ntk,nt->nk", x, y - x @ beta) @ np.linalg.inv(gram)


def sketch_linear(panel: Panel) -> Numbers:
    beta, scores = least_squares(panel, leads=False)
    n, cells = len(scores), panel.values("y").size
    factor = n / (n - 1) * (cells - 1) / (cells - len(beta) - 10)
    return beta, np.sqrt(factor * np.square(scores).sum(axis=0))


def sketch_event_study(panel: Panel) -> Numbers:
    beta, scores = least_squares(panel, leads=True)
    cells = cells_of(panel, leads=True)
    g = panel.constant("adoption")
    clock = np.array([t - a for a, t in cells])
    size = np.array([(g == a).sum() for a, _ in cells])
    weights = np.stack([np.where(clock == e, size, 0) / size[clock == e].sum() for e in np.unique(clock)])
    n, rows = len(scores), panel.values("y").size
    factor = n / (n - 1) * (rows - 1) / (rows - len(beta) - 10)
    return weights @ beta, np.sqrt(factor * np.square(scores @ weights.T).sum(axis=0))


def sketch_poisson(panel: Panel) -> Numbers:
    """Alternating closed forms on the cells of cohort and period, then the mean observed less the mean fitted."""
    y, g = panel.values("count"), panel.constant("adoption")
    cohorts = np.unique(g)
    size = np.array([(g == a).sum() for a in cohorts], dtype=float)
    total = np.stack([y[g == a].sum(axis=0) for a in cohorts])
    clean = panel.periods < cohorts[:, None]
    level, trend = np.ones(len(cohorts)), np.ones(len(panel.periods))
    for _ in range(300):
        level = (total * clean).sum(axis=1) / (size[:, None] * clean * trend).sum(axis=1)
        trend = (total * clean).sum(axis=0) / (size[:, None] * clean * level[:, None]).sum(axis=0)
    effect = total / size[:, None] - level[:, None] * trend
    return effect[~clean], np.empty(0)


def sketch_stacked(panel: Panel) -> Numbers:
    """Cohorts 3, 5, 7 in the window (−2, 2), differences of mean differences."""
    y, g = panel.values("y"), panel.constant("adoption")
    parts, mass = [], []
    for a in (3, 5, 7):
        window = y[:, a - 3 : a + 2] - y[:, [a - 2]]
        parts.append(window[g == a].mean(axis=0) - window[g > a + 2].mean(axis=0))
        mass.append((g == a).sum())
    return np.delete(np.average(parts, axis=0, weights=mass), 1), np.empty(0)


Case = tuple[str, Callable[[], object], str, Callable[[], object]]


def frame_of(panel: Panel) -> pd.DataFrame:
    frame = panel.to_long()
    frame["unit"] = frame["unit"].astype(int)
    frame["g"] = frame["adoption"].replace(np.inf, 0).astype(int)
    for a, t in cells_of(panel, leads=True):
        frame[f"d{a:g}_{t}"] = ((frame["g"] == a) & (frame["period"] == t)).astype(float)
    return frame


def peers(panel: Panel) -> list[Case]:
    """The same numbers by pyfixest and diff-diff, where they are installed."""
    found: list[Case] = []
    frame = frame_of(panel)
    treated = " + ".join(f"d{a:g}_{t}" for a, t in cells_of(panel, leads=False))
    every = " + ".join(f"d{a:g}_{t}" for a, t in cells_of(panel, leads=True))
    linear = lambda: extended_two_way_effects(panel, LINEAR, replicates=False)  # noqa: E731
    poisson = lambda: extended_two_way_effects(panel, RATIOS, replicates=False)  # noqa: E731
    sunab = lambda: sun_abraham_effects(panel, LINEAR, replicates=False)  # noqa: E731
    stacked = lambda: stacked_effects(panel, LINEAR, window=(-2, 2), replicates=False)  # noqa: E731
    if importlib.util.find_spec("pyfixest"):
        import pyfixest

        cluster = {"CRV1": "unit"}
        found += [
            (
                "extended two-way, linear",
                linear,
                "pyfixest feols",
                lambda: pyfixest.feols(f"y ~ {treated} | unit + period", frame, vcov=cluster),
            ),
            (
                "extended two-way, Poisson",
                poisson,
                "pyfixest fepois",
                lambda: pyfixest.fepois(f"count ~ {treated} | g + period", frame, vcov=cluster),
            ),
            (
                "interaction-weighted",
                sunab,
                "pyfixest feols",
                lambda: pyfixest.feols(f"y ~ {every} | unit + period", frame, vcov=cluster),
            ),
        ]
    if importlib.util.find_spec("diff_diff") and panel.shape[0] <= 20_000:
        import diff_diff

        names = ("unit", "period", "g")
        found += [
            (
                "extended two-way, linear",
                linear,
                "diff-diff",
                lambda: diff_diff.WooldridgeDiD().fit(frame, "y", *names),
            ),
            (
                "extended two-way, Poisson",
                poisson,
                "diff-diff",
                lambda: diff_diff.WooldridgeDiD(method="poisson").fit(frame, "count", *names),
            ),
            (
                "interaction-weighted",
                sunab,
                "diff-diff",
                lambda: diff_diff.SunAbraham().fit(frame, "y", *names),
            ),
            (
                "stacked",
                stacked,
                "diff-diff",
                lambda: diff_diff.StackedDiD(2, 2, control_group="not_yet_treated").fit(
                    frame, "y", *names, aggregate="event_study"
                ),
            ),
        ]
    return found


def cases(panel: Panel) -> list[Case]:
    """What is timed: label, call, yardstick, its call."""
    region = {"cluster": "region"}
    plain = lambda: extended_two_way_effects(panel, Design("y", **region), replicates=False)  # noqa: E731
    count = Design("count", link="ratios", **region)  # type: ignore[arg-type]
    no_replicates = lambda: extended_two_way_effects(panel, count, replicates=False)  # noqa: E731
    return [
        (
            "extended two-way, linear",
            lambda: extended_two_way_effects(panel, LINEAR, replicates=False),
            "sketch",
            lambda: sketch_linear(panel),
        ),
        (
            "linear, 17 clusters left out",
            lambda: extended_two_way_effects(panel, Design("y", **region)),
            "without replicates",
            plain,
        ),
        (
            "linear, one covariate, 17 left out",
            lambda: extended_two_way_effects(panel, Design("y", covariates=("x",), **region)),  # type: ignore[arg-type]
            "sketch (no covariate)",
            lambda: sketch_linear(panel),
        ),
        (
            "linear, 5 % of cells missing",
            lambda: extended_two_way_effects(panel, Design("hole"), replicates=False),
            "sketch (none missing)",
            lambda: sketch_linear(panel),
        ),
        (
            "extended two-way, Poisson",
            lambda: extended_two_way_effects(panel, RATIOS, replicates=False),
            "sketch (points only)",
            lambda: sketch_poisson(panel),
        ),
        (
            "Poisson, 17 clusters left out",
            lambda: extended_two_way_effects(panel, count),
            "without replicates",
            no_replicates,
        ),
        (
            "interaction-weighted",
            lambda: sun_abraham_effects(panel, LINEAR, replicates=False),
            "sketch",
            lambda: sketch_event_study(panel),
        ),
        (
            "interaction-weighted, 17 left out",
            lambda: sun_abraham_effects(panel, Design("y", **region)),  # type: ignore[arg-type]
            "without replicates",
            lambda: sun_abraham_effects(panel, Design("y", **region), replicates=False),  # type: ignore[arg-type]
        ),
        (
            "stacked",
            lambda: stacked_effects(panel, LINEAR, window=(-2, 2), replicates=False),
            "sketch (points only)",
            lambda: sketch_stacked(panel),
        ),
    ]


def agree(panel: Panel) -> None:
    """Stop if the kit and the sketches do not give the same numbers."""
    for kit, (values, errors) in (
        (extended_two_way_effects(panel, LINEAR), sketch_linear(panel)),
        (sun_abraham_effects(panel, LINEAR), sketch_event_study(panel)),
        (extended_two_way_effects(panel, RATIOS), sketch_poisson(panel)),
        (stacked_effects(panel, LINEAR, window=(-2, 2)), sketch_stacked(panel)),
    ):
        np.testing.assert_allclose(kit.values, values, rtol=1e-7, atol=1e-9)
        if len(errors):
            np.testing.assert_allclose(kit.std_errors, errors, rtol=1e-7)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--without-peers", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(HEADER)
    for units in SIZES if args.large else SIZES[:-1]:
        panel = staggered(units)
        agree(panel)
        large = units > 100_000
        rows = [(case, 3 if large else args.repeat) for case in cases(panel)]
        if not args.without_peers:  # at 500,000 units pyfixest's Poisson wants more than 24 GB
            rows += [(case, 1 if large else 3) for case in peers(panel)[: 1 if large else None]]
        for (label, call, yardstick, theirs), repeat in rows:
            seconds, base = timed([call, theirs], repeat)
            print(line(units, label, seconds, yardstick, base, peak_of(call)), flush=True)


if __name__ == "__main__":
    main()
