"""Times randomisation inference: 10,000 permutations on 250 units × 10 periods, and full enumeration on a province panel.

    OPENBLAS_NUM_THREADS=1 python benchmarks/permutations.py [--repeat 5] [--theirs 20]

One process, the same arrays. Yardsticks: "refit" = `two_way_effects` once for each assignment, timed on a few and multiplied;
"ritest" = pyfixest's ``feols(...).ritest`` (its algorithm without numba where numba is not installed), timed on a few
repetitions and multiplied. Before anything is timed, coefficients and t of the kit and of the refits are compared for a few
assignments. pyfixest draws another treatment for each row, so its numbers are of another test; only its time is compared.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import math
import warnings

import numpy as np
from _measuring import HEADER, line, peak_of, seconds_of, timed

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.permutations import permutation_t
from evalkit.design import Design
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.randomisation import randomisation_draws, randomisation_test
from evalkit.inference.reassignment import Reassignment, reassignments
from evalkit.panel import Panel

DRAWS = 10_000


def simulate(units: int, treated: int, periods: int = 10, *, staggered: bool = False, seed: int = 1) -> Panel:
    """A balanced panel, errors that last, adoption in 6 (and 4 and 8)."""
    rng = np.random.default_rng(seed)
    y = 0.5 * rng.standard_normal((units, periods)).cumsum(axis=1) + rng.standard_normal((units, 1))
    dates = np.full(units, np.inf)
    dates[:treated] = np.array([4.0, 6.0, 8.0])[np.arange(treated) % 3] if staggered else 6.0
    hole = np.where(rng.random((units, periods)) < 0.05, np.nan, y)
    return Panel(
        np.arange(units),
        np.arange(1, periods + 1),
        {"y": y, "hole": hole, "z": rng.standard_normal((units, periods))},
        {"adoption": dates, "w": rng.uniform(0.5, 3.0, units)},
    )


def refit(panel: Panel, design: Design, chosen: Reassignment, rows: range) -> np.ndarray:
    """Coefficient and CR0 t by `two_way_effects`, one assignment after another  # (B, 2)"""
    given = np.asarray(panel.constant("adoption"))
    out = np.empty((len(rows), 2))
    for i, row in enumerate(rows):
        est = two_way_effects(panel.with_fixed(adoption=chosen.adoption(row, given)), design)
        assert est.influence is not None
        error = math.sqrt(sandwich(est.influence, est.cluster, est.n_clusters)[0, 0])
        out[i] = est.values[0], est.values[0] / error
    return out


def agree(panel: Panel, design: Design) -> Reassignment:
    """The kit's statistics are those of the refits, for a few assignments."""
    chosen = reassignments(panel, design, draws=DRAWS)
    rows = range(0, len(chosen.codes), max(1, len(chosen.codes) // 7))
    expected = refit(panel, design, chosen, rows)
    for column, statistic in enumerate(("coefficient", "t")):
        found = randomisation_draws(
            panel,
            design,
            [design.outcome],
            statistic=statistic,
            assignments=chosen,  # type: ignore[arg-type]
        )[1]
        np.testing.assert_allclose(found[list(rows), 0], expected[:, column], rtol=1e-8, atol=1e-10)
    return chosen


def pyfixest_seconds(panel: Panel, repetitions: int) -> float:
    """Seconds of ``ritest`` on the coefficient for `DRAWS` repetitions, from a few."""
    import pyfixest

    frame = panel.to_long()
    frame["on"] = (frame["period"] >= frame["adoption"]).astype(float)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        fit = pyfixest.feols("y ~ on | unit + period", frame, vcov={"CRV1": "unit"})
        few, many = (
            seconds_of(lambda reps=reps: fit.ritest("on", reps=reps, choose_algorithm=algorithm()))
            for reps in (2, 2 + repetitions)
        )
    return (many - few) / repetitions * DRAWS


def algorithm() -> str:
    return "fast" if importlib.util.find_spec("numba") else "slow"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--theirs", type=int, default=20)
    options = parser.parse_args()
    large, staggered = simulate(250, 75), simulate(250, 75, staggered=True)
    province, wide = simulate(14, 5), simulate(17, 5)
    cases = [
        ("10,000 draws, coefficient", large, Design("y"), "coefficient", False),
        ("10,000 draws, t", large, Design("y"), "t", False),
        ("10,000 draws, t and its set", large, Design("y"), "t", True),
        (
            "the same, size weights and a covariate",
            large,
            Design("y", weight="w", covariates=("z",)),
            "t",
            True,
        ),
        ("the same, three cohorts, missing cells", staggered, Design("hole"), "t", True),
        ("all C(14, 5) = 2,002, t and its set", province, Design("y"), "t", True),
        ("all C(17, 5) = 6,188, t and its set", wide, Design("y"), "t", True),
    ]
    print(HEADER)
    for name, panel, design, statistic, interval in cases:
        chosen = agree(panel, design)

        def ours(
            panel: Panel = panel, design: Design = design, s: str = statistic, i: bool = interval
        ) -> object:
            return randomisation_test(panel, design, statistic=s, draws=DRAWS, interval=i)  # type: ignore[arg-type]

        (seconds,) = timed([ours], options.repeat)
        each = seconds_of(lambda p=panel, d=design, c=chosen: refit(p, d, c, range(20))) / 20
        peak = peak_of(ours)
        print(line(len(panel.units), name, seconds, "refit × draws", each * len(chosen.codes), peak))
    if importlib.util.find_spec("pyfixest"):
        (seconds,) = timed(
            [
                lambda: randomisation_test(
                    large, Design("y"), draws=DRAWS, statistic="coefficient", interval=False
                )
            ],
            options.repeat,
        )
        theirs = pyfixest_seconds(large, options.theirs)
        print(line(250, cases[0][0], seconds, f"ritest ({algorithm()})", theirs, 0.0))
    values = np.random.default_rng(2).standard_normal(17)
    treated = np.arange(17) < 5
    for name, weights in (("plain", None), ("with sizes", np.linspace(1.0, 5.0, 17))):

        def collapsed(weights: np.ndarray | None = weights) -> object:
            return permutation_t(values, treated, weights)

        (seconds,) = timed([collapsed], 50)
        print(
            line(17, f"collapsed data, all 6,188, {name}", seconds, "the target", 0.005, peak_of(collapsed))
        )


if __name__ == "__main__":
    main()
