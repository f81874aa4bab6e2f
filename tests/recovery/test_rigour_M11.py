"""M11: trends part before and after adoption. What passing a pre-test hides, and what sensitivity intervals keep.

The true effect is 0 and the deviation δ lies on the edge of the restriction:
linear     δ grows by γ each period, found by the pre-test in half of all samples: samples that pass are further off than
           all samples (Roth 2022), and a fixed length with M = 0 still covers
bend       δ turns by M at the base and by M in each period after it (the worst path for a target after adoption)
largest    δ moves by M̄ times its largest change before the base, every period after it

Twice: with a known covariance, and with 14 provinces, 5 of them treated, errors correlated over time, the jackknife covariance
and t(13). Claim: coverage of at least 95 % up to 2.5 Monte Carlo errors (1.2 points of 2,000 replications) where the covariance
is known, with the true M or M̄ given.
"""

from __future__ import annotations

import numpy as np
import pytest
import rigour
from event_studies import event_study
from scipy.linalg import toeplitz

from evalkit.arrays.cluster import jackknife_covariance
from evalkit.arrays.honest_flci import fixed_length, frontier
from evalkit.arrays.honest_restrictions import combinations
from evalkit.arrays.honest_sets import Problem
from evalkit.checks.event_window import event_window
from evalkit.checks.pre_trend_power import pre_trend_power
from evalkit.estimate import Estimate

pytestmark = pytest.mark.slow

ENOUGH = (95 - 2.5 * 0.487, 100.0)
# four periods on each side of the base: a common error of the base, and errors that fade
BEFORE = AFTER = 4
KNOWN = 0.04 * (0.6 * np.ones((8, 8)) + toeplitz(0.5 ** np.arange(8.0)))
DISTANCE = np.r_[-4.0, -3, -2, -1, 1, 2, 3, 4]
SLOPE = pre_trend_power(event_study(np.zeros(8), KNOWN, BEFORE), powers=(0.5,)).slopes[0.5]
M, MBAR = 0.05, 1.0
PROVINCES, TREATED, SIDE = 14, 5, 3
SERIAL = np.linalg.cholesky(toeplitz(0.6 ** np.arange(2.0 * SIDE + 1)))


def bent(bound: float, before: int, after: int) -> np.ndarray:
    """0 until the base, then a slope that grows by `bound` every period."""
    s = np.arange(1, after + 1)
    return np.r_[np.zeros(before), bound * s * (s + 1) / 2]


def stepped(bound: float, change: float, before: int, after: int) -> np.ndarray:
    """One change of size `change` two periods before the base, then `bound` times as much every period after it."""
    pre = np.where(np.arange(-before, 0) < -1, -change, 0.0)
    return np.r_[pre, bound * change * np.arange(1, after + 1)]


def covers(event: Estimate, *, smooth: float | None, relative: float | None) -> dict[str, dict[str, float]]:
    """Whether each method's set at the given bounds holds 0, beside the interval without violation."""
    window = event_window(event)
    out = {
        "parallel trends": {
            "coverage": float(abs(window.estimate) <= 1.959964 * window.inflation * window.std_error),
            "width": 2 * 1.959964 * window.inflation * window.std_error,
        }
    }
    path = frontier(window.inflated, window.before, window.target)
    if smooth is not None:
        best = fixed_length(path, window.target, [smooth], 0.95)
        half = float(best.half_length[0])
        gap = abs(float(best.weights[0] @ window.coefficients))
        out["FLCI"] = {"coverage": float(gap <= half), "width": 2 * half}
    for kind, bound in (("smoothness", smooth), ("relative_magnitudes", relative)):
        if bound is None:
            continue
        found = combinations(kind, window.before, window.target)  # type: ignore[arg-type]
        for stage in ("C-LF", "Conditional"):
            problem = Problem(found, window.coefficients, window.inflated, stage, 0.95, path, window.target)
            name = f"{stage} {'SD' if kind == 'smoothness' else 'RM'}"
            out[name] = {"coverage": float(not problem.excludes(np.array([bound]), 0.0)[0])}
    return out


def known(rng: np.random.Generator, delta: np.ndarray) -> Estimate:
    return event_study(rng.multivariate_normal(delta, KNOWN, method="cholesky"), KNOWN, BEFORE)


def provinces(rng: np.random.Generator, delta: np.ndarray) -> Estimate:
    """Means of 5 treated less means of 9 other provinces, relative to the base; leave-one-out replicates."""
    noise = rng.standard_normal((PROVINCES, 2 * SIDE + 1)) @ SERIAL.T * 0.3
    rows = np.delete(noise - noise[:, [SIDE]], SIDE, axis=1)
    rows[:TREATED] += delta
    treated = np.arange(PROVINCES) < TREATED
    total = np.stack([rows[treated].sum(axis=0), rows[~treated].sum(axis=0)])
    values = total[0] / TREATED - total[1] / (PROVINCES - TREATED)
    replicates = np.where(
        treated[:, None],
        (total[0] - rows) / (TREATED - 1) - total[1] / (PROVINCES - TREATED),
        total[0] / TREATED - (total[1] - rows) / (PROVINCES - TREATED - 1),
    )
    covariance = jackknife_covariance(replicates, values)
    return event_study(values, covariance, SIDE, dof=PROVINCES - 1.0, clusters=PROVINCES)


def linear_known(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    event = known(rng, SLOPE * DISTANCE)
    passed = bool((np.abs(event.values[:4]) <= 1.959964 * event.std_errors[:4]).all())
    average = float(event.values[4:].mean())
    out = covers(event, smooth=0.0, relative=None)
    plain = out.pop("parallel trends")
    found = {
        "all samples": {"bias": average, "coverage": plain["coverage"]},
        "samples that pass": {
            "bias": average if passed else np.nan,
            "coverage": plain["coverage"] if passed else np.nan,
        },
    }
    fixed = {name: {"bias": np.nan, "coverage": row["coverage"]} for name, row in out.items()}
    return found | {"FLCI, M = 0": fixed["FLCI"], "C-LF SD, M = 0": fixed["C-LF SD"]}


def bend_known(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    return covers(known(rng, bent(M, BEFORE, AFTER)), smooth=M, relative=None)


def largest_known(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    return covers(known(rng, stepped(MBAR, 0.3, BEFORE, AFTER)), smooth=None, relative=MBAR)


def bend_provinces(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    return covers(provinces(rng, bent(M, SIDE, SIDE)), smooth=M, relative=None)


def largest_provinces(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    return covers(provinces(rng, stepped(MBAR, 0.3, SIDE, SIDE)), smooth=None, relative=MBAR)


def test_M11_linear_violation() -> None:
    theory = pre_trend_power(event_study(np.zeros(8), KNOWN, BEFORE), slope=SLOPE, powers=(0.5,))
    error = float(np.sqrt(np.full(4, 0.25) @ KNOWN[4:, 4:] @ np.full(4, 0.25)) / np.sqrt(1000))
    claims = {
        ("all samples", "bias"): (theory.bias - 2.5 * error, theory.bias + 2.5 * error),
        ("samples that pass", "bias"): (
            theory.bias_if_passed - 2.5 * error,
            theory.bias_if_passed + 2.5 * error,
        ),
        ("FLCI, M = 0", "coverage"): ENOUGH,
        ("C-LF SD, M = 0", "coverage"): ENOUGH,
    }
    rows = rigour.run("M11", "linear violation, covariance known", linear_known, seed=1101, claims=claims)
    rigour.judge(rows)
    passing, everyone = rows["samples that pass", "bias"].value, rows["all samples", "bias"].value
    assert passing > everyone
    assert rows["samples that pass", "coverage"].value < 70


@pytest.mark.parametrize(
    ("world", "draw", "seed"),
    [
        ("bend of M, covariance known", bend_known, 1102),
        ("largest change times M̄, covariance known", largest_known, 1103),
    ],
)
def test_M11_known_covariance(world: str, draw: rigour.Draw, seed: int) -> None:
    names = ("FLCI", "C-LF SD", "Conditional SD") if "bend" in world else ("C-LF RM", "Conditional RM")
    rows = rigour.run("M11", world, draw, seed=seed, claims={(n, "coverage"): ENOUGH for n in names})
    rigour.judge(rows)
    assert rows["parallel trends", "coverage"].value < 85


@pytest.mark.parametrize(
    ("world", "draw", "seed"),
    [
        ("bend of M, 14 provinces, jackknife, t(13)", bend_provinces, 1104),
        ("largest change times M̄, 14 provinces, jackknife, t(13)", largest_provinces, 1105),
    ],
)
def test_M11_fourteen_provinces(world: str, draw: rigour.Draw, seed: int) -> None:
    names = ("FLCI", "C-LF SD") if "bend" in world else ("C-LF RM",)
    rows = rigour.run("M11", world, draw, seed=seed, claims={(n, "coverage"): ENOUGH for n in names})
    rigour.judge(rows)
