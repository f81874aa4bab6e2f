"""Times sensitivity analyses over ten bounds, breakdown included, against diff-diff's HonestDiD where it is installed.

    OPENBLAS_NUM_THREADS=1 python benchmarks/sensitivity.py [--large] [--repeat 5]

Four coefficients before and after the base (--large: eight), one process, the same event study. Before anything is timed the
fixed-length intervals and identified sets are compared. diff-diff has no conditional tests for relative magnitudes: its
interval there is the identified set plus and minus 1.96 standard errors, so only that of smoothness is the same work. Its
breakdown is the search of `HonestDiD.sensitivity_analysis` over its own grid.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from _measuring import HEADER, line, peak_of, timed

from evalkit.checks.pre_trend_power import pre_trend_power
from evalkit.checks.sensitivity import sensitivity
from evalkit.estimate import Estimate

SMOOTH = np.linspace(0.0, 0.45, 10)
RELATIVE = np.linspace(0.2, 2.0, 10)


def study(side: int, seed: int = 3) -> tuple[pd.DataFrame, Any]:
    """80 units, 30 treated from period `side` + 1 on, and diff-diff's fit of it (None where it is not installed)."""
    rng = np.random.default_rng(seed)
    periods = range(2 * side + 1)
    table = pd.DataFrame(
        [(i, t, int(i < 30)) for i in range(80) for t in periods], columns=["unit", "time", "treated"]
    )
    table["y"] = rng.normal(size=len(table)) + 2.0 * table.treated * (table.time > side)
    if importlib.util.find_spec("diff_diff") is None:
        return table, None
    import diff_diff

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = diff_diff.MultiPeriodDiD(cluster="unit").fit(
            table,
            outcome="y",
            treatment="treated",
            time="time",
            post_periods=list(range(side + 1, 2 * side + 1)),
            reference_period=side,
            unit="unit",
        )
    return table, fit


def event_of(table: pd.DataFrame, side: int) -> Estimate:
    """Differences of means from the base period, independent units."""
    wide = table.pivot(index="unit", columns="time", values="y").to_numpy()
    rows = np.delete(wide - wide[:, [side]], side, axis=1)
    treated = np.arange(80) < 30
    values = rows[treated].mean(axis=0) - rows[~treated].mean(axis=0)
    covariance = np.cov(rows[treated].T) / 30 + np.cov(rows[~treated].T) / 50
    times = [*range(-1 - side, -1), *range(side)]
    return Estimate(
        terms=pd.MultiIndex.from_arrays([times], names=["event_time"]),
        values=values,
        covariance=covariance,
        influence=None,
        cluster=np.arange(80),
        cluster_labels=np.arange(80),
        replicates=None,
        dof=np.array(np.inf),
        n_treated=np.array(30),
        n_comparison=np.array(50),
        method="means",
        inference="means",
        units=np.arange(80),
    )


def of_fit(fit: Any, side: int, like: Estimate) -> Estimate:
    """The same type from diff-diff's coefficients."""
    from dataclasses import replace

    periods = [*range(side), *range(side + 1, 2 * side + 1)]
    rows = [fit.interaction_indices[p] for p in periods]
    covariance = np.asarray(fit.vcov)[np.ix_(rows, rows)]
    values = np.array([fit.period_effects[p].effect for p in periods])
    return replace(like, values=values, covariance=(covariance + covariance.T) / 2)


def theirs(fit: Any, kind: str, bounds: np.ndarray) -> Callable[[], list[Any]]:
    import diff_diff

    def run() -> list[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [diff_diff.HonestDiD(method=kind, M=float(m)).fit(fit) for m in bounds]

    return run


def agree(event: Estimate, fit: Any) -> None:
    """Fixed lengths and identified sets are the same."""
    smooth = sensitivity(event, restriction="smoothness", bounds=SMOOTH)
    for found, other in zip(smooth.sets, theirs(fit, "smoothness", SMOOTH)(), strict=True):
        np.testing.assert_allclose([found.low, found.high], [other.ci_lb, other.ci_ub], atol=1e-4)
    relative = sensitivity(event, bounds=RELATIVE)
    for pieces, other in zip(relative.identified, theirs(fit, "relative_magnitude", RELATIVE)(), strict=True):
        np.testing.assert_allclose(pieces[0], [other.lb, other.ub], atol=1e-8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="eight coefficients on each side")
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    print(HEADER)
    for side in (4, 8) if arguments.large else (4,):
        table, fit = study(side)
        event = event_of(table, side)
        if fit is not None:
            event = of_fit(fit, side, event)
            agree(event, fit)
        cases: list[tuple[str, Callable[[], object], Callable[[], object] | None, str]] = [
            (
                "smoothness, FLCI, 10 M and breakdown",
                lambda e=event: sensitivity(e, restriction="smoothness", bounds=SMOOTH),
                None if fit is None else theirs(fit, "smoothness", SMOOTH),
                "diff-diff, no breakdown",
            ),
            (
                "relative magnitudes, C-LF, 10 M̄, breakdown",
                lambda e=event: sensitivity(e, bounds=RELATIVE),
                None if fit is None else theirs(fit, "relative_magnitude", RELATIVE),
                "diff-diff, linear bound",
            ),
            (
                "relative magnitudes of bends, C-LF",
                lambda e=event: sensitivity(e, restriction="smoothness_relative", bounds=RELATIVE),
                None,
                "",
            ),
            ("power of the pre-test", lambda e=event: pre_trend_power(e), None, ""),
        ]
        if side == 4:
            cases.insert(
                2,
                (
                    "relative, negative bias, C-LF",
                    lambda e=event: sensitivity(e, bounds=RELATIVE, bias="negative"),
                    None,
                    "",
                ),
            )
        for name, ours, other, label in cases:
            calls = [ours] if other is None else [ours, other]
            seconds = timed(calls, arguments.repeat)
            print(line(80, f"{side}+{side} {name}", seconds[0], label, seconds[-1], peak_of(ours)))


if __name__ == "__main__":
    main()
