"""Times families of outcomes against pyfixest's stepdown and a short numpy sketch, and boundaries of looks.

    OPENBLAS_NUM_THREADS=1 python benchmarks/many_outcomes.py [--repeat 5]

One process, the same statistics and draws. "pyfixest" is its Romano–Wolf and Westfall–Young step (``_get_rwolf_pval``) on draws handed
in: its own draws need a package that is not installed here, or refit each permutation. "sketch" draws signs, sums, studentises and takes the largest of
the remaining outcomes in a loop. Before anything is timed the p-values are compared. Peak memory in a run of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from _measuring import HEADER, line, peak_of, timed

from evalkit.arrays import stepdown as steps
from evalkit.arrays.spending import boundaries, spent_by
from evalkit.estimate import Estimate
from evalkit.inference import family_test, romano_wolf, sharpened_q, westfall_young

DRAWS = 9_999


def estimates(clusters: int, outcomes: int, seed: int = 1) -> dict[str, Estimate]:
    """Means of correlated outcomes, one number a cluster."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(clusters, outcomes)) + rng.normal(size=(clusters, 1)) + 0.4
    out = {}
    for k in range(outcomes):
        x = data[:, k]
        out[f"y{k}"] = Estimate(
            terms=pd.MultiIndex.from_arrays([["a"]], names=["term"]),
            values=np.array([x.mean()]),
            covariance=np.array([[x.var(ddof=1) / clusters]]),
            influence=(x - x.mean())[:, None],
            cluster=np.arange(clusters),
            cluster_labels=np.array([f"{c:04d}" for c in range(clusters)]),
            replicates=None,
            dof=np.array([clusters - 1.0]),
            n_treated=np.array([1]),
            n_comparison=np.array([1]),
            method="mean",
            inference="CV1",
            units=np.arange(clusters),
        )
    return out


def sketch(made: dict[str, Estimate], signs: np.ndarray) -> np.ndarray:
    """Romano–Wolf p-values with these signs, one outcome after the other."""
    d = np.stack([one.influence[:, 0] for one in made.values()], axis=1) / len(signs[0])
    c = len(d)
    scale = c / (c - 1)
    t = np.abs([one.values[0] for one in made.values()]) / np.sqrt(scale * (d**2).sum(axis=0))
    drawn = np.empty((len(signs), len(t)))
    for k in range(len(t)):
        turned = signs * d[:, k]
        drawn[:, k] = np.abs(turned.sum(axis=1)) / np.sqrt(c * scale * turned.var(axis=1))
    left, p, last = list(np.argsort(-t)), np.empty(len(t)), 0.0
    while left:
        top = drawn[:, left].max(axis=1)
        last = max(last, (1 + (top >= t[left[0]]).sum()) / (len(drawn) + 1))
        p[left.pop(0)] = last
    return p


def compare(
    size: int, case: str, ours: Callable[[], object], name: str, theirs: Callable[[], object], repeat: int
) -> None:
    """One line of the table."""
    a, b = timed([ours, theirs], repeat)
    print(line(size, case, a, name, b, peak_of(ours)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(HEADER)
    for clusters, outcomes in ((14, 8), (250, 20)):
        made = estimates(clusters, outcomes)
        families = {"f": list(made)}
        if clusters <= 16:
            signs = steps.sign_patterns(clusters)
        else:
            signs = np.sign(steps.signed_sums(np.eye(clusters), DRAWS, 20180301, 16))
        family = family_test(made, families, draws=DRAWS)["f"]
        np.testing.assert_allclose(family.romano_wolf, sketch(made, signs), rtol=1e-9)
        ours = partial(family_test, made, families, draws=DRAWS)
        case = f"family of {outcomes}, all corrections"
        compare(clusters, case, ours, "sketch, RW only", partial(sketch, made, signs), args.repeat)
    against_pyfixest(args.repeat)
    p = np.random.default_rng(0).beta(0.4, 1.5, 500)
    alone(500, "sharpened q of 500 p-values", partial(sharpened_q, p), args.repeat)
    fraction = np.arange(1, 6) / 5
    spent = spent_by(fraction, 0.05, "obrien_fleming", 3)
    alone(5, "boundaries of five looks", partial(boundaries, fraction, spent), args.repeat)


def alone(size: int, case: str, ours: Callable[[], object], repeat: int) -> None:
    """A line without a yardstick."""
    (a,) = timed([ours], repeat)
    print(line(size, case, a, "-", a, peak_of(ours)))


def against_pyfixest(repeat: int) -> None:
    """The stepdown alone on the same draws."""
    try:
        from pyfixest.estimation.post_estimation.multcomp import _get_rwolf_pval, _get_wyoung_pval
    except ImportError:
        return
    rng = np.random.default_rng(2)
    for outcomes in (8, 20):
        t, draws = rng.normal(size=outcomes) * 2, rng.normal(size=(DRAWS, outcomes))
        np.testing.assert_allclose(romano_wolf(t, draws), _get_rwolf_pval(t.copy(), draws), rtol=1e-12)
        case = f"Romano-Wolf, {outcomes} outcomes"
        compare(
            DRAWS,
            case,
            partial(romano_wolf, t, draws),
            "pyfixest",
            partial(_get_rwolf_pval, t, draws),
            repeat,
        )
        own, each = steps.ranks(np.abs(t), np.abs(draws), True)
        ours, theirs = partial(westfall_young, t, draws), partial(_get_wyoung_pval, own, each)
        compare(
            DRAWS, f"Westfall-Young with ranks, {outcomes}", ours, "pyfixest, ranks given", theirs, repeat
        )


if __name__ == "__main__":
    main()
