"""Times the power curve of 20 effect sizes × 1,000 simulations on a province panel, against an explicit loop.

    OPENBLAS_NUM_THREADS=1 python benchmarks/power.py [--repeat 3] [--loop 20]

One process, the same panel (14 provinces × 10 years before adoption, AR(0.6) shocks) and the same simulations. The loop
writes a new outcome, estimates and tests for each simulation and effect size with the kit's own public functions; it is
run on `--loop` simulations and scaled up. Before anything is timed the decisions of both are compared. The last rows
are the automatic rule as a report prints it: CV3 with five treated provinces, residuals of the comparison provinces
(FP-v) with three, and staggered adoption by group-time effects. No installed package simulates placebo windows; the
power module of diff_diff draws outcomes from a model and estimates them one by one, which is timed beside.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

import numpy as np
from _measuring import HEADER, line, peak_of, seconds_of, timed

from evalkit.aggregate import overall
from evalkit.checks import leading_rule, simulated_power
from evalkit.checks._power_setting import Asked, setting_of
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import bias_reduced, cluster_jackknife
from evalkit.inference.randomisation import randomisation_test
from evalkit.panel import Panel

DESIGN = Design("y", cluster="province")
BEFORE, AFTER, SIMULATIONS = 4, 3, 1000
EFFECTS = np.linspace(0, 3, 20)


def provinces(treated: int = 5, clusters: int = 14, periods: int = 10, seed: int = 1) -> Panel:
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((clusters, periods))
    for t in range(1, periods):
        e[:, t] = 0.6 * e[:, t - 1] + 0.8 * e[:, t]
    at = np.arange(clusters)
    return Panel(
        at,
        np.arange(2018 - periods, 2018),
        {"y": 10 + e},
        {"adoption": np.where(at < treated, 2018.0, np.inf), "province": at},
    )


def two_way(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design)


def staggered(panel: Panel, design: Design) -> Estimate:
    return overall(group_time_effects(panel, design))


def rejects(rule: str, panel: Panel) -> bool:
    """The test of one panel, by the public functions."""
    if rule == "RI-t":
        return randomisation_test(panel, DESIGN, interval=False).p_value <= 0.05
    est = two_way(panel, DESIGN)
    led = cluster_jackknife(est) if rule == "CV3-t" else bias_reduced(est)
    return bool(led.table().iloc[0]["p_value"] <= 0.05)


def loop(panel: Panel, rule: str, simulations: int, effects: np.ndarray) -> np.ndarray:
    """One estimate and one test a simulation and effect size  # (R, E)"""
    setting = setting_of(panel, DESIGN, Asked(AFTER, BEFORE, simulations=SIMULATIONS, seed=20180301))
    out = np.zeros((simulations, len(effects)), dtype=bool)
    for s in range(simulations):
        start = setting.window[s]
        window = panel.select(periods=panel.periods[start : start + setting.length])
        dates = window.periods[BEFORE] + setting.offset[setting.codes[setting.pick[s]][setting.slot]]
        on = (window.periods >= dates[:, None]).astype(float)
        for k, effect in enumerate(effects):
            y = window.values("y") + effect * on
            out[s, k] = rejects(rule, window.with_fixed(adoption=dates).with_varying(y=y))
    return out


def curve(panel: Panel, rule: str, simulations: int = SIMULATIONS) -> Callable[[], object]:
    return lambda: simulated_power(
        panel,
        DESIGN,
        decide=rule,
        effects=EFFECTS,
        after=AFTER,
        before=BEFORE,
        simulations=simulations,  # type: ignore[arg-type]
    )


def agree(panel: Panel, rule: str, simulations: int) -> None:
    """The same decisions, on the first simulations."""
    from evalkit.checks._power_tests import collapsed_decisions

    setting = setting_of(panel, DESIGN, Asked(AFTER, BEFORE, simulations=SIMULATIONS, seed=20180301))
    fast, _ = collapsed_decisions(DESIGN, setting, rule, EFFECTS[::5], 0.95, 1999, 20180301)
    np.testing.assert_array_equal(fast[:simulations], loop(panel, rule, simulations, EFFECTS[::5]))


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--loop", type=int, default=20)
    given = options.parse_args()
    print(HEADER)
    panel = provinces()
    for rule, few in (("CV3-t", given.loop), ("CR2-BM", given.loop), ("RI-t", max(2, given.loop // 5))):
        agree(panel, rule, few)
        ours = curve(panel, rule)
        seconds = timed([ours], given.repeat)[0]
        theirs = seconds_of(lambda r=rule, n=few: loop(panel, r, n, EFFECTS)) / few * SIMULATIONS  # type: ignore[misc]
        print(line(14, f"20 × 1,000, {rule}", seconds, "explicit loop (scaled)", theirs, peak_of(ours)))
    cases = {
        "20 × 1,000, automatic rule, 5 treated": (panel, two_way),
        "20 × 1,000, automatic rule, 3 treated (FP-v)": (provinces(3), two_way),
        "20 × 1,000, automatic rule, staggered": (
            panel.with_fixed(
                adoption=np.where(np.arange(14) < 5, 2018.0, np.where(np.arange(14) < 9, 2019.0, np.inf))
            ),
            staggered,
        ),
    }
    for name, (data, fit) in cases.items():

        def ours(data: Panel = data, fit: Callable[[Panel, Design], Estimate] = fit) -> object:
            return simulated_power(
                data,
                DESIGN,
                fit,
                leading_rule(fit),
                EFFECTS,
                after=AFTER,
                before=BEFORE,
                simulations=SIMULATIONS,
            )

        seconds = seconds_of(ours)
        print(line(14, name, seconds, "target of 10 s", 10.0, float("nan")))
    diff_diff_simulation()


def diff_diff_simulation() -> None:
    """Their simulated power at one effect size, 50 draws, scaled to 20 × 1,000."""
    if importlib.util.find_spec("diff_diff") is None:
        return
    from diff_diff import DifferenceInDifferences
    from diff_diff.power import simulate_power

    def theirs() -> object:
        return simulate_power(
            DifferenceInDifferences(), n_units=14, n_periods=7, n_simulations=50, seed=1, progress=False
        )

    theirs()
    scaled = seconds_of(theirs) / 50 * 20 * SIMULATIONS
    seconds = timed([curve(provinces(), "CV3-t")], 3)[0]
    print(line(14, "20 × 1,000, CV3-t", seconds, "diff_diff (model, scaled)", scaled, float("nan")))


if __name__ == "__main__":
    main()
