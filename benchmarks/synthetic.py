"""Times synthetic comparisons against diff-diff, pysyncon and non-negative least squares, on the same arrays in one process.

    OPENBLAS_NUM_THREADS=1 python benchmarks/synthetic.py [--large] [--repeat 5]

Cohorts at 3, 5, 7 and never treated units, ten periods (a tenth of the units in each cohort, so that placebos exist).
diff-diff takes one adoption date: it is compared on the cohort at 7, with 200 placebo replications at 250 units (its Frank–Wolfe
runs anew in each) and without inference worth waiting for beyond. "nnls" is the short exact solution of the donor
problem by scipy with a sum-to-one row; its Gram of donors × donors is why it stops at 250. Before anything is timed the
numbers are compared: with diff-diff to 1e-3 (it stops early), with nnls to 1e-8. At 500,000 units the peer needs
minutes and is skipped, and so are our own draws (200 placebos took 64 s for one cohort on a busy machine).
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from _measuring import HEADER, SIZES, line, peak_of, staggered, timed
from scipy.optimize import nnls

from evalkit.design import Design
from evalkit.estimators.synthetic_control import (
    augmented_synthetic_control_effects,
    synthetic_control_effects,
)
from evalkit.estimators.synthetic_did import synthetic_did_effects
from evalkit.panel import Panel

DESIGN = Design("y")


def few_treated(units: int) -> Panel:
    """A tenth of the units in each cohort."""
    panel = staggered(units)
    rng = np.random.default_rng(2)
    adoption = rng.choice([3.0, 5.0, 7.0, np.inf], units, p=[0.1, 0.1, 0.1, 0.7])
    return panel.with_fixed(adoption=adoption)


def one_cohort(panel: Panel, treated: int | None = None) -> Panel:
    """Only the cohort at 7 (its first ``treated`` units) and the never treated."""
    start = panel.constant("adoption")
    keep = np.isinf(start) | (start == 7)
    if treated is not None:
        keep &= np.isinf(start) | (np.cumsum(start == 7) <= treated)
    return panel.select(keep)


def sketch(panel: Panel) -> float:
    """One cohort: donor weights by NNLS with ridge rows and a sum-to-one row, λ likewise."""
    y, treated = panel.values("y"), np.isfinite(panel.constant("adoption"))
    pre = panel.periods < 7
    y0, y1 = y[~treated], y[treated].mean(axis=0)
    noise = np.diff(y0[:, pre], axis=1).std(ddof=1)
    zeta = (treated.sum() * (~pre).sum()) ** 0.25 * noise

    def solve(a: np.ndarray, b: np.ndarray, ridge: float) -> np.ndarray:
        scale = np.sqrt(((a - b[:, None]) ** 2).sum(axis=0).max())
        rows = np.vstack([a - b[:, None], np.sqrt(ridge) * np.eye(a.shape[1]), scale * np.ones(a.shape[1])])
        w = nnls(rows, np.append(np.zeros(len(rows) - 1), scale))[0]
        return w / w.sum()

    a = y0[:, pre].T
    omega = solve(a - a.mean(axis=0), y1[pre] - y1[pre].mean(), pre.sum() * zeta**2)
    x, after = y0[:, pre], y0[:, ~pre].mean(axis=1)
    lam = solve(x - x.mean(axis=0), after - after.mean(), len(y0) * (1e-6 * noise) ** 2)
    gap = y1 - omega @ y0
    return float(gap[~pre].mean() - lam @ gap[pre])


def diff_diff(panel: Panel, draws: int) -> Callable[[], float] | None:
    """The peer, where it is installed."""
    if importlib.util.find_spec("diff_diff") is None:
        return None
    import diff_diff

    frame = panel.to_long()[["unit", "period", "adoption", "y"]]
    frame["treated"] = np.isfinite(frame["adoption"]).astype(int)

    def call() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = diff_diff.SyntheticDiD(n_bootstrap=draws, seed=1).fit(
                frame,
                outcome="y",
                treatment="treated",
                unit="unit",
                time="period",
                post_periods=[7, 8, 9, 10],
            )
        return float(fit.att)

    return call


def pysyncon(panel: Panel) -> Callable[[], object] | None:
    """Outcome matching by the peer, where it is installed."""
    if importlib.util.find_spec("pysyncon") is None:
        return None
    from pysyncon import Synth

    y, treated = panel.values("y"), np.isfinite(panel.constant("adoption"))
    pre = panel.periods < 7
    x0, x1 = y[~treated][:, pre].T, y[treated].mean(axis=0)[pre]
    return lambda: Synth.w_optimize(V_mat=np.eye(pre.sum()), X0=x0, X1=x1)


def show(units: int, case: str, ours: Callable[[], object], name: str, theirs: Callable[[], object] | None, repeat: int) -> None:  # fmt: skip
    """One line of the table."""
    seconds = timed([ours] if theirs is None else [ours, theirs], repeat)
    other = seconds[1] if theirs is not None else float("nan")
    print(line(units, case, seconds[0], name if theirs else "-", other, peak_of(ours)), flush=True)


def run(units: int, repeat: int) -> None:
    """All cases of one size."""
    panel = few_treated(units)
    block = one_cohort(panel)
    single = one_cohort(panel, treated=1)
    exact = synthetic_did_effects(block, DESIGN, inference="none").values[0]
    small = units <= 250
    if small:
        np.testing.assert_allclose(exact, sketch(block), rtol=1e-8)
    peer_point = diff_diff(block, 20) if units <= 20_000 and small else None
    if peer_point is not None:
        np.testing.assert_allclose(exact, peer_point(), atol=1e-3)
    show(units, "sdid, 1 cohort, point", partial(synthetic_did_effects, block, DESIGN, inference="none"), "nnls", partial(sketch, block) if small else None, repeat)  # fmt: skip
    if units <= 20_000:
        show(units, "sdid, 1 cohort, 200 placebos", partial(synthetic_did_effects, block, DESIGN, inference="placebo"), "diff-diff", diff_diff(block, 200) if small else None, min(repeat, 3))  # fmt: skip
    drawn = ("placebo", "bootstrap") if units <= 20_000 else ()
    for inference in ("none", "jackknife", *drawn):
        show(units, f"sdid, 3 cohorts, {inference}", partial(synthetic_did_effects, panel, DESIGN, inference=inference), "-", None, min(repeat, 3))  # fmt: skip
    control = partial(synthetic_control_effects, single, DESIGN, inference="none")
    show(
        units,
        "synthetic control, 1 treated",
        control,
        "pysyncon",
        pysyncon(single) if small else None,
        repeat,
    )
    if units <= 20_000:
        show(units, "synthetic control, all/200 placebos", partial(synthetic_control_effects, single, DESIGN), "-", None, repeat)  # fmt: skip
        show(units, "augmented, λ cross-validated", partial(augmented_synthetic_control_effects, single, DESIGN, inference="none"), "-", None, min(repeat, 3))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(HEADER)
    for units in SIZES if args.large else SIZES[:2]:
        run(units, args.repeat if units < 100_000 else 1)


if __name__ == "__main__":
    main()
