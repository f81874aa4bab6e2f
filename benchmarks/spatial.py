"""Times Conley errors, spatial principal components and Driscoll–Kraay against numpy sketches and diff_diff.

    OPENBLAS_NUM_THREADS=1 python benchmarks/spatial.py [--large] [--repeat 5]

One process, the same scores and places (uniform over the extent of Korea). "dense sketch" holds all distances and weights at once;
"diff_diff" is its meat of the same scores (panel form where a lag is given). Before anything is timed the standard errors are compared.
Peak memory in a run of its own.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial

import numpy as np
import pandas as pd
from _measuring import HEADER, line, peak_of, timed

from evalkit.arrays.geometry import great_circle_km
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import conley, conley_curve, spatial_components, spatial_places
from evalkit.panel import Panel

CUTOFF = 30.0


def made(units: int, seed: int = 1) -> tuple[Estimate, np.ndarray]:
    """Three terms with random influence functions."""
    rng = np.random.default_rng(seed)
    at = np.column_stack([rng.uniform(34.3, 38.3, units), rng.uniform(126.0, 129.5, units)])
    influence = rng.normal(size=(units, 3))
    est = Estimate(
        terms=pd.MultiIndex.from_arrays([["a", "b", "c"]], names=["term"]),
        values=np.ones(3),
        covariance=influence.T @ influence / units**2,
        influence=influence,
        cluster=np.arange(units),
        cluster_labels=np.arange(units),
        replicates=None,
        dof=np.full(3, np.inf),
        n_treated=np.ones(3, dtype=int),
        n_comparison=np.ones(3, dtype=int),
        method="benchmark",
        inference="CR0",
        units=np.arange(units),
    )
    return est, at


def sketch(est: Estimate, at: np.ndarray) -> np.ndarray:
    """All distances at once."""
    score = est.influence / est.n_units
    weight = np.maximum(1 - great_circle_km(at[:, None], at[None]) / CUTOFF, 0)
    return np.asarray(score.T @ weight @ score)


def diff_diff(est: Estimate, at: np.ndarray) -> np.ndarray | None:
    """Its meat, where it is installed."""
    try:
        from diff_diff.conley import _compute_conley_meat
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(
            _compute_conley_meat(est.influence / est.n_units, at, CUTOFF, "haversine", "bartlett")
        )


def components_sketch(at: np.ndarray, q: int, c: float) -> np.ndarray:
    """One eigendecomposition and 25 matrices: the least that any program must do."""
    d = great_circle_km(at[:, None], at[None])
    sigma = np.exp(-c * d)
    sigma -= sigma.mean(axis=0)
    sigma -= sigma.mean(axis=1)[:, None]
    w = np.linalg.eigh(sigma)[1][:, -q:]
    return np.stack([w.T @ np.exp(-c * 1.2**k * d) @ w for k in range(25)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(HEADER)
    for units in (250, 3_500, 20_000) if args.large else (250, 3_500):
        est, at = made(units)
        conleys(units, est, at, args.repeat if units < 10_000 else 1)
    est, at = made(250)
    curve = partial(conley_curve, est, at, list(range(10, 210, 10)))
    (a,) = timed([curve], args.repeat)
    print(line(250, "conley_curve of 20 cutoffs", a, "-", a, peak_of(curve)))
    components(args.repeat)


def conleys(units: int, est: Estimate, at: np.ndarray, repeat: int) -> None:
    """Against all distances at once, where they fit, and against diff_diff."""
    ours = partial(conley, est, at, CUTOFF)
    covariance = ours().covariance
    if units <= 3_500:
        np.testing.assert_allclose(covariance, sketch(est, at), rtol=1e-9)
        a, b = timed([ours, partial(sketch, est, at)], repeat)
        print(line(units, "conley, Bartlett to 30 km", a, "dense sketch", b, peak_of(ours)))
    theirs = diff_diff(est, at)
    if theirs is not None:
        np.testing.assert_allclose(np.diag(covariance), np.diag(theirs), rtol=1e-5)
        a, b = timed([ours, partial(diff_diff, est, at)], repeat)
        print(line(units, "conley, Bartlett to 30 km", a, "diff_diff", b, peak_of(ours)))


def components(repeat: int) -> None:
    """Places once, then unconditional and conditional inference of a two-way regression of 250 places."""
    rng = np.random.default_rng(3)
    _, at = made(250)
    names = np.arange(250)
    places = spatial_places(names, at)
    least = partial(components_sketch, at, places.basis.q, float(places.basis.grid[0]))
    ours = partial(spatial_places, names, at)
    a, b = timed([ours, least], repeat)
    print(line(250, "spatial_places", a, "sketch, no critical", b, peak_of(ours)))
    adoption = np.where(rng.random(250) < 0.3, 2014.0, np.inf)
    panel = Panel(names, np.arange(2010, 2020), {"y": rng.normal(size=(250, 10))}, {"adoption": adoption})
    est = two_way_effects(panel, Design("y"))
    for given in (False, True):
        one = partial(spatial_components, est, places, conditional=given)
        (a,) = timed([one], repeat)
        print(line(250, f"spatial_components, conditional={given}", a, "-", a, peak_of(one)))


if __name__ == "__main__":
    main()
