"""Times imputation and two stages against a numpy sketch of the closed form, and against diff_diff and pyfixest.

    OPENBLAS_NUM_THREADS=1 python benchmarks/imputation.py [--large] [--peers-large] [--repeat 5]

One process, the same arrays: ten periods, cohorts at 3, 5, 7 and never, errors by unit unless a line says otherwise.
The sketch computes points and conservative standard errors of all event times in a balanced panel. Before anything is
timed the numbers are compared. Peers run where they are installed and able: pyfixest's did2s writes a dummy for every
unit out (4 GB and more at 20,000 units) and is left out there; diff_diff's two stages take more than a minute at
20,000, so they are timed once, and left out at 500,000; its imputation runs there only with --peers-large.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _measuring import HEADER, SIZES, line, peak_of, staggered, timed

from evalkit.design import Design
from evalkit.estimators.imputation import imputation_effects, imputation_pretrends
from evalkit.estimators.two_stage import two_stage_effects, two_stage_event_study
from evalkit.panel import Panel

UNIT, REGION, HOLES = Design("y"), Design("y", cluster="region"), Design("hole", cluster="region")
Call = Callable[[], object]


def sketch(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Event times of a balanced panel: cohort by cohort, unit effects by the mean of clean periods."""
    y, g = panel.values("y"), panel.constant("adoption")
    n, periods = y.shape
    cohorts = np.unique(g)
    gram, cross = np.zeros((periods, periods)), np.zeros(periods)
    for c in cohorts:
        clean = (panel.periods < c).astype(float)
        within = np.diag(clean) - np.outer(clean, clean) / clean.sum()
        gram += (g == c).sum() * within
        cross += within @ y[g == c].sum(axis=0)
    inverse = np.linalg.pinv(gram, hermitian=True)
    period = inverse @ cross
    times = range(int(periods - cohorts[0]) + 1)
    effects, weights = np.empty((n, periods)), np.zeros((len(times), n, periods))
    for c in cohorts:
        at, clean = g == c, panel.periods < c
        left = y[at] - y[at][:, clean].mean(axis=1, keepdims=True) - period + period[clean].mean()
        effects[at] = left
        for e in times:
            if np.isfinite(c) and c + e <= periods:
                weights[e, np.ix_(at, panel.periods == c + e)[0], int(c + e) - 1] = 1.0
    values, errors = [], []
    for e in times:
        w = weights[e] / weights[e].sum()
        values.append((w * effects).sum())
        onto = np.zeros(periods)
        for c in cohorts:
            part, clean = w[g == c].sum(axis=0), panel.periods < c
            onto += part - part.sum() * clean / clean.sum()
        score = np.zeros(n)
        for c in cohorts:
            at, clean = g == c, panel.periods < c
            residual = np.where(clean, effects[at], effects[at] - effects[at].mean(axis=0))
            score[at] = residual[:, clean] @ -(inverse @ onto)[clean] + (w[at] * residual).sum(axis=1)
        errors.append(np.sqrt((score**2).sum()))
    return np.array(values), np.array(errors)


def long_frame(panel: Panel) -> pd.DataFrame:
    """Rows of the balanced panel as the peers read them."""
    n, t = panel.shape
    adoption = np.repeat(panel.constant("adoption"), t)
    frame = pd.DataFrame({"unit": np.repeat(np.arange(n), t), "period": np.tile(panel.periods, n)})
    frame["y"] = panel.values("y").ravel()
    frame["first"] = np.where(np.isfinite(adoption), adoption, 0).astype(int)
    frame["treated"] = frame["period"] >= adoption
    return frame


def peers(panel: Panel, large: bool) -> dict[str, Call]:
    """The same fits by the peers that are installed and able."""
    units, found = panel.shape[0], {}
    if units > 100_000 and not large:
        return {}
    frame = long_frame(panel)
    if importlib.util.find_spec("diff_diff") is not None:
        import diff_diff

        columns = ("y", "unit", "period", "first")
        found["diff_diff imputation"] = lambda: diff_diff.ImputationDiD().fit(frame, *columns)
        if units < 100_000:
            found["diff_diff two stages"] = lambda: diff_diff.TwoStageDiD().fit(frame, *columns)
    if importlib.util.find_spec("pyfixest") is not None and units < 5_000:
        import pyfixest

        found["pyfixest did2s"] = lambda: pyfixest.did2s(
            frame, "y", "~ 0 | unit + period", "~ i(treated, ref = False)", "treated", "unit"
        )
    return found


def cases(panel: Panel) -> dict[str, tuple[str, Call]]:
    """What is timed: label -> (the peer it is held against beside the sketch, call)."""

    def effects(design: Design, **options: object) -> Call:
        return lambda: imputation_effects(panel, design, **options)  # type: ignore[arg-type]

    imputation, two = "diff_diff imputation", "diff_diff two stages"
    return {
        "event times": (imputation, effects(UNIT, by="event_time")),
        "cells of cohort and period": (imputation, effects(UNIT)),
        "cells, every unit left out": (imputation, effects(UNIT, replicates=True)),
        "cells, clusters, none left out": (imputation, effects(REGION, replicates=False)),
        "cells, 17 clusters left out": (imputation, effects(REGION)),
        "event times, coarse averages": (imputation, effects(UNIT, by="event_time", averages="event_time")),
        "cells, one varying covariate": (imputation, effects(Design("y", covariates=("z",)))),
        "cells, one fixed covariate by period": (imputation, effects(Design("y", covariates=("x",)))),
        "cells, 5 % missing": (imputation, effects(HOLES, unimputable="drop", replicates=False)),
        "cells, 5 % missing, clusters left out": (imputation, effects(HOLES, unimputable="drop")),
        "two stages": (two, lambda: two_stage_effects(panel, UNIT)),
        "two stages, event study": (two, lambda: two_stage_event_study(panel, UNIT)),
        "two stages, clusters left out": ("pyfixest did2s", lambda: two_stage_effects(panel, REGION)),
        "pre-trends": ("", lambda: imputation_pretrends(panel, UNIT, leads=3)),
    }


def agree(panel: Panel, others: dict[str, Call]) -> dict[str, float]:
    """Stop if the kit, the sketch and the peers do not give the same numbers; seconds of the peers' first calls."""
    ours = imputation_effects(panel, UNIT, by="event_time", leave_out=False)
    values, errors = sketch(panel)
    np.testing.assert_allclose(ours.values, values, rtol=1e-9)
    np.testing.assert_allclose(ours.std_errors, errors, rtol=1e-9)
    first = {}
    for name, call in others.items():
        begin = time.perf_counter()
        found: Any = call()
        first[name] = time.perf_counter() - begin
        if name == "diff_diff imputation":
            whole = imputation_effects(panel, UNIT, by="overall", leave_out=False)
        else:
            whole = two_stage_effects(panel, UNIT)
        if name == "pyfixest did2s":  # its demeaning stops at a tolerance
            np.testing.assert_allclose(whole.values, found.coef(), rtol=1e-3)
        else:
            np.testing.assert_allclose(whole.values, found.overall_att, rtol=1e-7)
            np.testing.assert_allclose(whole.std_errors, found.overall_se, rtol=1e-6)
    return first


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--peers-large", action="store_true", help="the peers at 500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(HEADER)  # the sketch and the peers fit no covariate and no missing cell, whatever the case
    for units in SIZES if args.large or args.peers_large else SIZES[:2]:
        panel = staggered(units)
        big = units > 100_000
        others = peers(panel, args.peers_large)
        theirs = agree(panel, others)
        for name, call in others.items():
            if theirs[name] < 5:  # slow ones are not run again
                theirs[name] = timed([call], args.repeat)[0]
        for label, (peer, call) in cases(panel).items():
            seconds, base = timed([call, partial(sketch, panel)], 3 if big else args.repeat)
            peak = peak_of(call)
            print(line(units, label, seconds, "sketch", base, peak), flush=True)
            if peer in theirs:
                print(line(units, label, seconds, peer, theirs[peer], peak), flush=True)


if __name__ == "__main__":
    main()
