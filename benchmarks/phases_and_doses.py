"""Times paths, tiers, doses and triple differences beside a numpy sketch and beside diff_diff, on the same arrays.

    OPENBLAS_NUM_THREADS=1 python benchmarks/phases_and_doses.py [--large] [--repeat 5] [--no-peer]

"cell loop" is a short numpy sketch: means of boolean masks, cell by cell, with the influence of every cell where the kit
gives one. Kit and sketch are first held to the same points. diff_diff is timed up to 20,000 units (at 500,000 it needs
minutes). ratio = theirs / ours.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from _measuring import HEADER, SIZES, line, peak_of, timed

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.dose_response import dose_response
from evalkit.estimators.phase_paths import naive_phase_regression, phase_path_effects
from evalkit.estimators.tier_effects import tier_effects
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.panel import Panel

Call = Callable[[], object]
DESIGN = Design("y", comparison="never")
REGIONS = replace(DESIGN, cluster="region")


def panel_of(units: int, periods: int = 10, seed: int = 1) -> Panel:
    """First treatment in 3 or 5, second in 8, never; tiers, doses, eligibility, 17 regions."""
    rng = np.random.default_rng(seed)
    first = rng.choice([3.0, 5.0, np.inf], units, p=[0.25, 0.2, 0.55])
    second = np.where(rng.random(units) < 0.4, 8.0, np.inf)
    t = np.arange(1, periods + 1)
    y = rng.standard_normal((units, 1)) + rng.standard_normal((units, periods)).cumsum(axis=1) * 0.5
    dose = np.where(np.isfinite(first), rng.uniform(0.5, 2.0, units), 0.0)
    y += 0.2 * (t >= first[:, None]) * dose[:, None] + 0.5 * (t >= second[:, None])
    fixed = {
        "adoption": first,
        "second": second,
        "tier": np.where(np.isfinite(first), rng.integers(1, 4, units), 0),
        "dose": dose,
        "target": rng.integers(0, 2, units),
        "region": rng.integers(0, 17, units),
        "x": rng.standard_normal(units),
    }
    return Panel(np.arange(units), t, {"y": y}, fixed)


def mean_gap(y: np.ndarray, treated: np.ndarray, others: np.ndarray, base: int, t: int) -> np.ndarray:
    """One cell: its value in front of its influence  # (1 + N,)"""
    change = y[:, t] - y[:, base]
    out = np.zeros(1 + len(y))
    for sign, who in ((1.0, treated), (-1.0, others)):
        mean = change[who].mean()
        out[0] += sign * mean
        out[1:][who] += sign * (change[who] - mean) * (len(y) / who.sum())
    return out


def sketch_paths(panel: Panel) -> dict[tuple[str, int, str, int], np.ndarray]:
    """Every cell of every estimand, never treated comparison."""
    y, first, second = panel.values("y"), panel.constant("adoption"), panel.constant("second")
    none = np.isinf(first) & np.isinf(second)
    cells = {}
    for f in (3.0, 5.0):
        same = first == f
        for name, other, who, versus, base, last in (
            ("E1", "any", same, np.isinf(first), f, 7),
            ("E1_persist", "never", same & np.isinf(second), none, f, 10),
            ("E3_add", f"{f:g}", same & (second == 8), same & np.isinf(second), 8.0, 10),
            ("E_cum", "8", same & (second == 8), none, f, 10),
        ):
            for t in range(1, last + 1):
                cells[name, int(base), other, t] = mean_gap(y, who, versus, int(base) - 2, t - 1)
    for t in range(1, 11):
        cells["E3_new", 8, "never", t] = mean_gap(y, np.isinf(first) & (second == 8), none, 6, t - 1)
    return cells


def sketch_tiers(panel: Panel) -> dict[tuple[int, int, int], np.ndarray]:
    """Every cell."""
    y, first, tier = panel.values("y"), panel.constant("adoption"), panel.constant("tier")
    never = np.isinf(first)
    return {
        (k, g, t): mean_gap(y, (first == g) & (tier == k), never, g - 2, t - 1)
        for k in (1, 2, 3)
        for g in (3, 5)
        for t in range(1, 11)
    }


def sketch_triple(panel: Panel) -> dict[tuple[int, int], np.ndarray]:
    """Every cell against the never treated."""
    y, first, target = panel.values("y"), panel.constant("adoption"), panel.constant("target") == 1
    never = np.isinf(first)
    return {
        (g, t): mean_gap(y, (first == g) & target, never & target, g - 2, t - 1)
        - mean_gap(y, (first == g) & ~target, never & ~target, g - 2, t - 1)
        for g in (3, 5)
        for t in range(1, 11)
    }


def sketch_dose(panel: Panel) -> np.ndarray:
    """Cubic in the dose, cell by cell; the curve at three doses over cells by treated units; points only."""
    y, first, dose = panel.values("y"), panel.constant("adoption"), panel.constant("dose")
    never, at = np.isinf(first), np.vander(np.array([0.8, 1.2, 1.6]), 4)
    total, mass = np.zeros(3), 0.0
    for g in (3, 5):
        own = first == g
        powers = np.vander(dose[own], 4)
        gaps = [
            y[own, t - 1] - y[own, g - 2] - (y[never, t - 1] - y[never, g - 2]).mean() for t in range(g, 11)
        ]
        coef = np.linalg.lstsq(powers, np.stack(gaps, axis=1), rcond=None)[0]
        total += own.sum() * (at @ coef).mean(axis=1)
        mass += own.sum()
    return total / mass


def values_of(est: Estimate) -> dict[object, float]:
    return dict(zip(est.terms, est.values, strict=True))


def agree(panel: Panel) -> None:
    """Stop if the kit and the sketch do not give the same numbers."""
    for found, sketch in (
        (phase_path_effects(panel, DESIGN, second="second", level="cell"), sketch_paths(panel)),
        (tier_effects(panel, DESIGN, tier="tier"), sketch_tiers(panel)),
        (triple_difference_effects(panel, DESIGN, eligible="target"), sketch_triple(panel)),
    ):
        values, errors = values_of(found), dict(zip(found.terms, found.std_errors, strict=True))
        assert set(values) == set(sketch), set(values) ^ set(sketch)
        for key, cell in sketch.items():
            np.testing.assert_allclose(values[key], cell[0], atol=1e-9)
            np.testing.assert_allclose(errors[key], np.sqrt((cell[1:] ** 2).sum()) / len(cell[1:]), atol=1e-9)
    curve = dose_response(panel, DESIGN, dose="dose", grid=(0.8, 1.2, 1.6))
    np.testing.assert_allclose(curve.values[:3], sketch_dose(panel), atol=1e-8)


def cases(panel: Panel) -> list[tuple[str, Call, str, Call]]:
    """Label, the kit's call, the yardstick's name and call."""
    both = partial(phase_path_effects, panel, second="second")
    return [
        (
            "paths, every cell",
            lambda: both(DESIGN, level="cell"),
            "cell loop",
            partial(sketch_paths, panel),
        ),
        ("paths, by event time", lambda: both(DESIGN), "cell loop", partial(sketch_paths, panel)),
        (
            "paths, by event time, 17 clusters left out",
            lambda: both(REGIONS),
            "without replicates",
            lambda: both(REGIONS, replicates=False),
        ),
        (
            "paths, doubly robust, 17 left out",
            lambda: both(replace(REGIONS, covariates=("x",))),
            "without replicates",
            lambda: both(replace(REGIONS, covariates=("x",)), replicates=False),
        ),
        (
            "two dummies, for contrast",
            lambda: naive_phase_regression(panel, DESIGN, second="second", for_contrast=True),
            "paths, by event time",
            lambda: both(DESIGN),
        ),
        (
            "tiers, every cell",
            lambda: tier_effects(panel, DESIGN, tier="tier"),
            "cell loop",
            partial(sketch_tiers, panel),
        ),
        (
            "triple differences, never",
            lambda: triple_difference_effects(panel, DESIGN, eligible="target"),
            "cell loop",
            partial(sketch_triple, panel),
        ),
        (
            "triple, combined, 17 left out",
            lambda: triple_difference_effects(
                panel, replace(REGIONS, comparison="not_yet"), eligible="target"
            ),
            "without replicates",
            lambda: triple_difference_effects(
                panel, replace(REGIONS, comparison="not_yet"), eligible="target", replicates=False
            ),
        ),
        (
            "dose, cubic, three doses, influence",
            lambda: dose_response(panel, DESIGN, dose="dose", grid=(0.8, 1.2, 1.6)),
            "points only",
            partial(sketch_dose, panel),
        ),
        (
            "dose, 17 clusters left out",
            lambda: dose_response(panel, REGIONS, dose="dose", grid=(0.8, 1.2, 1.6)),
            "without replicates",
            lambda: dose_response(panel, REGIONS, dose="dose", grid=(0.8, 1.2, 1.6), replicates=False),
        ),
    ]


def peer_cases(panel: Panel) -> list[tuple[str, Call, str, Call]]:
    """diff_diff, where it is installed."""
    try:
        import diff_diff
    except ImportError:
        return []
    frame = panel.to_long()
    frame["first"] = frame["adoption"].where(np.isfinite(frame["adoption"]), 0)
    curve = diff_diff.ContinuousDiD(degree=3, dvals=np.array([0.8, 1.2, 1.6]), n_bootstrap=0)
    triple = diff_diff.TripleDifference(estimation_method="reg", base_period="universal")
    names = {"unit": "unit", "time": "period"}
    return [
        (
            "dose, cubic, three doses, influence",
            lambda: dose_response(panel, DESIGN, dose="dose", grid=(0.8, 1.2, 1.6)),
            "diff_diff",
            lambda: curve.fit(frame, outcome="y", first_treat="first", dose="dose", **names),
        ),
        (
            "triple differences, combined",
            lambda: triple_difference_effects(
                panel, replace(DESIGN, comparison="not_yet"), eligible="target"
            ),
            "diff_diff",
            lambda: triple.fit(frame, "y", first_treat="adoption", partition="target", **names),
        ),
        (
            "triple, combined, doubly robust, x",
            lambda: triple_difference_effects(
                panel,
                replace(DESIGN, comparison="not_yet", covariates=("x",)),
                eligible="target",
                method="dr",
            ),
            "diff_diff",
            lambda: diff_diff.TripleDifference(estimation_method="dr", base_period="universal").fit(
                frame, "y", first_treat="adoption", partition="target", covariates=["x"], **names
            ),
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(HEADER)
    for units in SIZES if args.large else SIZES[:2]:
        panel = panel_of(units)
        agree(panel)
        repeat = args.repeat if units < 100_000 else max(1, args.repeat // 2)
        listed = [(case, repeat) for case in cases(panel)]
        if units <= 20_000 and not args.no_peer:
            listed += [(case, 1) for case in peer_cases(panel)]
        for (label, ours, yardstick, theirs), rounds in listed:
            seconds, other = timed([ours, theirs], rounds)
            print(line(units, label, seconds, yardstick, other, peak_of(ours)), flush=True)


if __name__ == "__main__":
    main()
