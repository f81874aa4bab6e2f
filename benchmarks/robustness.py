"""Times the robustness checks against explicit loops over the same fits, and diff_diff where it is installed.

    OPENBLAS_NUM_THREADS=1 python benchmarks/robustness.py [--repeat 3] [--draws 1000]

One process, 250 units × 10 periods in 25 regions, 10 of them treated at two dates. "curve" is 48 specifications (3 outcomes ×
2 weights × 4 sets of controls × 2 samples) with their joint test; the yardstick is the loop: `two_way_effects` for every
specification and assignment, timed on a hundredth of the assignments and multiplied. Before anything is timed, the joint
p-values of the loop and of the kit are compared on the assignments that both did.
"""

from __future__ import annotations

import argparse
import importlib.util
from itertools import product

import numpy as np
from _measuring import HEADER, line, peak_of, seconds_of, timed

from evalkit.checks.influence import leave_out
from evalkit.checks.placebo import placebo_in_time
from evalkit.checks.placebo_places import placebo_in_place
from evalkit.checks.reassignment import two_way_coefficient
from evalkit.checks.specification_curve import Choice, curve_statistics, specification_curve
from evalkit.design import Design
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.reassignment import reassignments
from evalkit.panel import Panel

UNITS = 250
DESIGN = Design("y", cluster="region")
CONTROLS: tuple[tuple[str, ...], ...] = ((), ("a",), ("b",), ("a", "b"))


def simulate(seed: int = 1) -> Panel:
    """A balanced panel; regions treated as a whole."""
    rng = np.random.default_rng(seed)
    t, region = np.arange(1, 11), np.arange(UNITS) % 25
    adoption = np.select([region < 5, region < 10], [5.0, 7.0], np.inf)
    y = rng.normal(size=(UNITS, 1)) + rng.normal(size=(UNITS, 10)).cumsum(axis=1) * 0.3
    y = y + 0.2 * (t >= adoption[:, None])
    return Panel(
        np.arange(UNITS),
        t,
        {
            "y": y,
            "real": y + 0.1 * rng.normal(size=y.shape),
            "log": np.log(np.exp(y) + 1),
            "a": rng.normal(size=y.shape),
            "b": rng.normal(size=y.shape),
        },
        {
            "adoption": adoption,
            "region": region,
            "w": rng.uniform(0.5, 2, UNITS),
            "old": np.arange(UNITS) < 200,
        },
    )


GRID = {
    "outcome": {
        name: Choice(design={"outcome": name} if name != "y" else {}) for name in ("y", "real", "log")
    },
    "weight": {"none": Choice(), "w": Choice(design={"weight": "w"})},
    "controls": {"+".join(c) or "none": Choice(design={"covariates": c} if c else {}) for c in CONTROLS},
    "sample": {"all": Choice(), "old": Choice(panel=lambda p: p.select(p.constant("old")))},
}


def loop(panel: Panel, draws: int, seed: int = 20180301) -> np.ndarray:
    """The three statistics of the curve under the first assignments, one fit after another  # (draws + 1, 3)"""
    chosen = reassignments(panel, DESIGN, draws=max(draws, 19), seed=seed, enumerated=1)
    given = np.asarray(panel.constant("adoption"), dtype=float)
    values, p_values = [], []
    for b in range(draws + 1):
        moved = panel if b == 0 else panel.with_fixed(adoption=chosen.adoption(b - 1, given))
        row = []
        for outcome, weight, controls, sample in product(("y", "real", "log"), (None, "w"), CONTROLS, (0, 1)):
            own = moved.select(moved.constant("old")) if sample else moved
            design = Design(outcome, cluster="region", weight=weight, covariates=controls)
            row.append(two_way_effects(own, design).table().iloc[0][["estimate", "p_value"]])
        values.append([float(r["estimate"]) for r in row])
        p_values.append([float(r["p_value"]) for r in row])
    return curve_statistics(np.array(values), np.array(p_values), 0.95)


def plain(panel: Panel, design: Design) -> object:
    return two_way_effects(panel, design).select([0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--draws", type=int, default=1000)
    asked = parser.parse_args()
    panel, draws = simulate(), asked.draws
    few = max(draws // 100, 19)
    ours = specification_curve(panel, DESIGN, two_way_coefficient, GRID, draws=few, most=1)
    theirs = np.abs(loop(panel, few))
    expected = (theirs >= theirs[0] * (1 - 1e-9)).mean(axis=0)
    np.testing.assert_allclose(list(ours.joint.values()), expected, rtol=1e-12)
    print(HEADER)

    def curve() -> object:
        return specification_curve(panel, DESIGN, two_way_coefficient, GRID, draws=draws, most=1)

    (seconds,) = timed([curve], asked.repeat)
    explicit = seconds_of(lambda: loop(panel, few)) * (draws + 1) / (few + 1)
    print(
        line(
            UNITS,
            f"curve: 48 specifications × {draws} assignments",
            seconds,
            "explicit loop",
            explicit,
            peak_of(curve),
        )
    )

    def place() -> object:
        return placebo_in_place(panel, DESIGN, two_way_coefficient, draws=draws, most=1)

    def place_loop() -> object:
        return placebo_in_place(panel, DESIGN, plain, draws=draws, most=1)  # type: ignore[arg-type]

    seconds, slow = timed([place, place_loop], 1)
    print(line(UNITS, f"placebo in place, {draws} assignments", seconds, "fit by fit", slow, peak_of(place)))

    def units() -> object:
        return leave_out(panel, DESIGN, plain, by="unit", refits=20)  # type: ignore[arg-type]

    def every() -> object:
        return leave_out(panel, DESIGN, plain, by="unit", refits=UNITS)  # type: ignore[arg-type]

    seconds, slow = timed([units, every], asked.repeat)
    print(line(UNITS, "leave one unit out, 20 refitted", seconds, "250 refits", slow, peak_of(units)))

    def regions() -> object:
        return leave_out(panel, DESIGN, plain)  # type: ignore[arg-type]

    def refits() -> object:
        labels = panel.constant("region")
        return [plain(panel.select(labels != r), DESIGN) for r in range(25)]

    seconds, slow = timed([regions, refits], asked.repeat)
    print(line(UNITS, "leave one region out", seconds, "25 refits", slow, peak_of(regions)))
    if importlib.util.find_spec("diff_diff"):
        _against_diff_diff(panel, asked.repeat)


def _against_diff_diff(panel: Panel, repeat: int) -> None:
    """One date, one moved date."""
    import diff_diff

    one = panel.select(panel.constant("adoption") != 5)
    frame = one.to_long().assign(treated=lambda f: np.isfinite(f["adoption"]).astype(int))
    design = Design("y")

    def ours() -> object:
        return placebo_in_time(one, design, plain, shifts=[2])  # type: ignore[arg-type]

    def theirs() -> object:
        return diff_diff.placebo_timing_test(frame, "y", "treated", "period", 5, post_periods=[7, 8, 9, 10])

    told = placebo_in_time(one, design, plain, shifts=[2])  # type: ignore[arg-type]
    np.testing.assert_allclose(told.table.loc[2, "estimate"], theirs().placebo_effect, rtol=1e-8)  # type: ignore[attr-defined]
    seconds, slow = timed([ours, theirs], repeat)
    print(line(one.shape[0], "placebo in time, one date", seconds, "diff_diff", slow, peak_of(ours)))


if __name__ == "__main__":
    main()
