"""Times the tests for few treated clusters against an explicit numpy loop over draws; no package installed here computes them.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/few_treated.py [--repeat 9]

One process, the same panel: 14 provinces, ten years, cohorts of two and two, group-time effects averaged over treated cells.
"numpy loop" draws donors one draw at a time and adds the scaled paths up; for the interval it repeats this at 60 nulls (what
bisection for two ends needs); for the band it refits the law in every draw. "one fit a cell" raises each cell of the panel by
one and estimates again. All are compared before anything is timed.
"""

from __future__ import annotations

import argparse

import numpy as np
from _measuring import HEADER, line, peak_of, timed

from evalkit.aggregate import event_study, overall
from evalkit.arrays.residual_paths import NullImposed, Scales, inverse_sizes, two_way_paths
from evalkit.arrays.studentised_paths import studentised
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.inference import estimator_weights, ferman_pinto, few_treated_band
from evalkit.inference.few_treated import accepted, null_imposed
from evalkit.panel import Panel

CLUSTERS, YEARS, DRAWS, NULLS = 14, 10, 9_999, 60
DESIGN = Design("y", cluster="province")


def simulate(seed: int = 1) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = np.array([4.0, 4.0, 6.0, 6.0, *[np.inf] * 10])
    size = rng.uniform(0.5, 4, CLUSTERS)
    y = rng.normal(size=(CLUSTERS, YEARS)) / np.sqrt(size)[:, None]
    y += 0.5 * (np.arange(YEARS) >= adoption[:, None])
    fixed = {"adoption": adoption, "size": size, "province": np.arange(CLUSTERS)}
    return Panel(np.arange(CLUSTERS), np.arange(YEARS), {"y": y}, fixed)


def average(panel: Panel, design: Design) -> Estimate:
    return overall(group_time_effects(panel, design))


def series(panel: Panel, design: Design) -> Estimate:
    return event_study(group_time_effects(panel, design))


def loop_p(test: NullImposed, null: float) -> float:
    """The p-value with one draw at a time."""
    paths = test.paths - null * test.shift
    _, q, s = test.scales.fit(paths)
    picked = test.flat - np.arange(CLUSTERS) * CLUSTERS
    hits = 0
    for ks in picked:
        star = np.sum(test.weights * (paths[ks] * (q / s[ks])[:, None]))
        hits += abs(star) >= abs(test.estimate - null)
    return float((1 + hits) / (len(picked) + 1))


def loop_ratios(weights: np.ndarray, y: np.ndarray, scales: Scales, picked: np.ndarray) -> np.ndarray:
    """Studentised draws of several terms, one at a time  # (B, K)"""
    donors = scales.donors

    def errors(paths: np.ndarray) -> np.ndarray:
        _, q, s = scales.fit(paths)
        unit = paths / s[:, None]
        spread = unit.T @ unit / len(donors)
        return np.sqrt(np.einsum("kct,tu,kcu,c->k", weights, spread, weights, q**2, optimize=True))

    paths = two_way_paths(y[donors])
    _, q, s = scales.fit(paths)
    out = []
    for ks in picked:
        made = paths[ks] * (q / s[ks])[:, None]
        out.append(np.tensordot(weights, made, axes=2) / errors(two_way_paths(made[donors])))
    return np.array(out)


def bumped(panel: Panel) -> np.ndarray:
    """Weights by one fit a cell  # (C, T)"""
    y, base = panel.values("y"), average(panel, DESIGN).values[0]
    out = np.zeros_like(y)
    for cell in range(y.size):
        raised = y.copy()
        raised.flat[cell] += 1.0
        out.flat[cell] = average(panel.with_varying(y=raised), DESIGN).values[0] - base
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9)
    repeat = parser.parse_args().repeat
    panel = simulate()
    weights, many = estimator_weights(panel, DESIGN, average), estimator_weights(panel, DESIGN, series)
    v, y, size = weights.by_cluster[0], panel.values("y"), panel.constant("size")
    shift = (panel.periods >= panel.constant("adoption")[:, None]).astype(float)
    test = null_imposed(v, y, shift, size, draws=DRAWS, seed=1)
    scales = Scales(inverse_sizes(size), np.arange(4, CLUSTERS))
    terms = many.by_cluster[(many.by_cluster != 0).any(axis=(1, 2))]
    picked = np.random.default_rng([1, 2]).integers(0, len(scales.donors), (DRAWS, CLUSTERS))

    np.testing.assert_allclose(v, bumped(panel), atol=1e-12)
    assert (1 + test.counts(np.zeros(1))[0]) / (DRAWS + 1) == loop_p(test, 0.0)
    np.testing.assert_allclose(
        studentised(terms, y, scales, DRAWS, [1, 2]).ratios[:200], loop_ratios(terms, y, scales, picked[:200])
    )
    cases = [
        ("weights of the estimate", lambda: estimator_weights(panel, DESIGN, average), "one fit a cell", lambda: bumped(panel), 1),
        ("one p-value, 9,999 draws", lambda: test.counts(np.zeros(1)), "numpy loop", lambda: loop_p(test, 0.0), 1),
        ("interval, 9,999 draws", lambda: accepted(test, 0.95), "numpy loop, 60 nulls", lambda: loop_p(test, 0.0), NULLS),
        ("ferman_pinto, all of it", lambda: ferman_pinto(panel, DESIGN, average, size="size"), "numpy loop, 60 nulls", lambda: loop_p(test, 0.0), NULLS),
        ("few_treated_band, 11 terms", lambda: few_treated_band(panel, DESIGN, series, size="size"), "numpy loop", lambda: loop_ratios(terms, y, scales, picked), 1),
    ]  # fmt: skip
    print(HEADER)
    for label, call, yardstick, theirs, times in cases:
        seconds, base = timed([call, theirs], repeat)
        print(line(CLUSTERS, label, seconds, yardstick, base * times, peak_of(call)), flush=True)


if __name__ == "__main__":
    main()
