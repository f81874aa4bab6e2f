"""Times Poisson effects against pyfixest and a short numpy sketch, on the same arrays in one run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/poisson.py [--large] [--repeat 5]

A staggered panel of ten periods (cohorts 3, 5, 7 and never). "sketch" is the closed form where there is one: Newton on the
sums of cohorts and periods (also beside panels with missing cells, where it has an easier task). pyfixest is skipped at 500,000 units unless --peers is given (it needs minutes there). Before
anything is timed, points and errors are compared. "without replicates" is the same estimate without the fits that leave
out each cluster: what those add is timed in the same run. Peak memory is what the call adds (tracemalloc), in a run of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable

import numpy as np
from _measuring import HEADER, SIZES, line, peak_of, staggered, timed

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.estimators.percent_effects import percent_effects
from evalkit.estimators.poisson import poisson_effects, poisson_event_study
from evalkit.panel import Panel

UNIT = Design("count")
REGION = Design("count", cluster="region")
WITH_Z = Design("count", covariates=("z",), cluster="region")


def sketch(panel: Panel) -> tuple[float, float]:
    """Newton on the cell sums, and the error clustered by unit; balanced, no covariates."""
    y, adoption = panel.values("count"), panel.constant("adoption")
    kept = y.sum(axis=1) > 0
    y, adoption = y[kept], adoption[kept]
    dates, code = np.unique(adoption, return_inverse=True)
    sums = np.stack([y[code == g].sum(axis=0) for g in range(len(dates))])
    periods = y.shape[1]
    on = (panel.periods[None, :] >= dates[:, None]).astype(float)
    x = np.concatenate(
        [np.broadcast_to(np.eye(periods)[:, 1:], (len(dates), periods, periods - 1)), on[:, :, None]], 2
    )
    theta = np.zeros(periods)
    total = sums.sum(axis=1)
    for _ in range(8):
        p = np.exp(x @ theta)
        p /= p.sum(axis=1, keepdims=True)
        mean = total[:, None] * p
        centre = np.einsum("gt,gtk->gk", p, x)
        hessian = np.einsum("gt,gtk,gtl->kl", mean, x, x) - np.einsum("g,gk,gl->kl", total, centre, centre)
        theta = theta + np.linalg.solve(hessian, np.einsum("gt,gtk->k", sums - mean, x))
    loads = x @ np.linalg.inv(hessian)[:, -1]
    residual = y - y.sum(axis=1, keepdims=True) * p[code]
    score = np.einsum("nt,nt->n", residual, loads[code])
    n = y.size
    factor = len(y) / (len(y) - 1) * (n - 1) / (n - 1 - periods)
    return float(theta[-1]), float(np.sqrt(factor * score @ score))


def peers(panel: Panel) -> dict[str, Callable[[], object]]:
    """The same fits by pyfixest, where it is installed."""
    if importlib.util.find_spec("pyfixest") is None:
        return {}
    import pyfixest

    frame = panel.to_long()
    frame["d"] = (frame["period"] >= frame["adoption"]).astype(float)
    clock = frame["period"] - frame["adoption"]
    frame["rel"] = np.where(np.isfinite(clock), clock, -1).astype(int)

    def fit(formula: str, cluster: str) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pyfixest.fepois(formula, frame, vcov={"CRV1": cluster})

    return {
        "effects": lambda: fit("count ~ d | unit + period", "unit"),
        "effects, one covariate": lambda: fit("count ~ d + z | unit + period", "region"),
        "event study": lambda: fit("count ~ i(rel, ref = -1) | unit + period", "region"),
    }


def agree(panel: Panel, found: dict[str, Callable[[], object]]) -> None:
    """Stop if the kit and its yardsticks do not give the same numbers."""
    mine = poisson_effects(panel, UNIT)
    np.testing.assert_allclose([mine.values[0], mine.std_errors[0]], sketch(panel), rtol=1e-7)
    if found:
        for name, estimate in (("effects", mine), ("effects, one covariate", poisson_effects(panel, WITH_Z))):
            theirs = found[name]()
            np.testing.assert_allclose(estimate.values, theirs.coef().to_numpy(), rtol=1e-4, atol=1e-6)  # type: ignore[attr-defined]
            np.testing.assert_allclose(estimate.std_errors, theirs.se().to_numpy(), rtol=1e-4)  # type: ignore[attr-defined]


def calls(panel: Panel) -> dict[str, tuple[str, Callable[[], Estimate]]]:
    """label -> (yardstick's label, call)."""
    hole = panel.with_varying(
        hole=np.where(np.isnan(panel.values("hole")), np.nan, panel.values("count")),
        jobs=panel.values("count") + 3.0,
    )
    gaps = Design("hole", cluster="region")
    return {
        "effects": ("effects", lambda: poisson_effects(panel, UNIT)),
        "effects, 17 clusters left out": ("effects", lambda: poisson_effects(panel, REGION)),
        "effects, 5 % missing, clusters left out": ("effects", lambda: poisson_effects(hole, gaps)),
        "effects, one covariate": (
            "effects, one covariate",
            lambda: poisson_effects(panel, WITH_Z, replicates=False),
        ),
        "effects, one covariate, clusters left out": (
            "effects, one covariate",
            lambda: poisson_effects(panel, WITH_Z, replicates=True),
        ),
        "event study, clusters left out": ("event study", lambda: poisson_event_study(panel, REGION)),
        "percent of counterfactual mean": ("", lambda: percent_effects(panel, REGION)),
        "fractional shares": ("", lambda: fractional_shares(hole, REGION, denominator="jobs")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--peers", action="store_true", help="pyfixest at 500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(HEADER)
    for units in SIZES if args.large else SIZES[:2]:
        panel = staggered(units)
        found = peers(panel) if units < 100_000 or args.peers else {}
        agree(panel, found if units < 100_000 else {})
        repeat = args.repeat if units < 100_000 else 1
        every = calls(panel)
        for label, (yardstick, call) in every.items():
            others: list[tuple[str, Callable[[], object]]] = []
            if yardstick == "effects":
                others.append(("sketch", lambda panel=panel: sketch(panel)))
            alone = label.removesuffix(", clusters left out")
            if alone != label and alone in every:
                others.append(("without replicates", every[alone][1]))
            if yardstick in found:
                others.append(("pyfixest", found[yardstick]))
            seconds, *theirs = timed([call, *(other for _, other in others)], repeat)
            peak = peak_of(call)
            for (name, _), took in zip(others, theirs, strict=True):
                print(line(units, label, seconds, name, took, peak), flush=True)
            if not others:
                print(line(units, label, seconds, "-", float("nan"), peak), flush=True)


if __name__ == "__main__":
    main()
