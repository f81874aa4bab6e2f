"""Times panel regressions, instruments, difference GMM and gravity against linearmodels and pyfixest on the same arrays.

    OPENBLAS_NUM_THREADS=1 python benchmarks/panel_models.py [--large] [--repeat 5]

Panel regressions, instruments and difference GMM have linearmodels inside and add influence functions and replicates of 17
regions: they cannot be faster than linearmodels, and the ratio says what the additions cost (0.5 = twice as long). pyfixest
computes the same slopes and errors without them. Gravity: 60 origins × 60 destinations × 10 periods, one treatment that
varies by destination and period, origin-period and pair effects. Numbers are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable

import numpy as np
import pandas as pd
from _measuring import HEADER, SIZES, line, peak_of, staggered, timed

from evalkit import dynamic_panel_effects, gravity_effects, instrumental_effects, panel_regression
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.flows import Flows
from evalkit.panel import Panel

REGION = Design("y", cluster="region")
Call = Callable[[], object]
PYFIXEST = importlib.util.find_spec("pyfixest") is not None


def with_instrument(panel: Panel) -> Panel:
    rng = np.random.default_rng(7)
    z = rng.standard_normal(panel.shape)
    x = z + rng.standard_normal(panel.shape)
    return panel.with_varying(x1=x, z1=z, y=panel.values("y") + 0.5 * x)


def frame_of(panel: Panel) -> pd.DataFrame:
    frame = panel.to_long()[["unit", "period", "region", "y", "x1", "z1", "z"]]
    return frame.set_index(["unit", "period"], drop=False).rename_axis(index=[None, None])


def by_linearmodels(frame: pd.DataFrame, model: str) -> Call:
    from linearmodels import panel as peer

    y, x, clusters = frame["y"], frame[["x1", "z"]], frame[["region"]]

    def run() -> object:
        if model == "random":
            fitted = peer.RandomEffects(y, x.assign(constant=1.0))
            return fitted.fit(cov_type="clustered", clusters=clusters).std_errors
        fitted = peer.PanelOLS(y, x, entity_effects=True, time_effects=model == "two_way")
        return fitted.fit(cov_type="clustered", clusters=clusters).std_errors

    return run


def cases(panel: Panel) -> dict[str, tuple[Call, dict[str, Call]]]:
    """label -> (ours, yardsticks by name)."""
    frame = frame_of(panel)
    found: dict[str, tuple[Call, dict[str, Call]]] = {}
    for model in ("fixed", "two_way", "random"):

        def ours(model: str = model) -> Estimate:
            return panel_regression(panel, REGION, model=model, regressors=("x1", "z"))  # type: ignore[arg-type]

        found[f"panel regression, {model}"] = (ours, {"linearmodels": by_linearmodels(frame, model)})
    design = Design("y", cluster="region", covariates=("z",))

    def instruments() -> Estimate:
        return instrumental_effects(panel, design, endogenous=("x1",), instruments=("z1",))

    found["instruments, unit and period effects"] = (instruments, {})
    if PYFIXEST:
        import pyfixest

        flat = frame.reset_index(drop=True)
        found["panel regression, two_way"][1]["pyfixest"] = lambda: pyfixest.feols(
            "y ~ x1 + z | unit + period", flat, vcov={"CRV1": "region"}
        )
        found["instruments, unit and period effects"][1]["pyfixest"] = lambda: pyfixest.feols(
            "y ~ z | unit + period | x1 ~ z1", flat, vcov={"CRV1": "region"}
        )
    if panel.shape[0] <= 20_000:
        found["difference GMM, one step"] = (
            lambda: dynamic_panel_effects(panel, REGION, regressors=("z",), collapse=True),
            {},
        )
    return found


def gravity() -> tuple[Call, dict[str, Call]]:
    rng = np.random.default_rng(3)
    o, d, t = 60, 60, 10
    adoption = rng.choice([4.0, 6.0, np.inf], d)
    mean = np.exp(rng.normal(size=(o, 1, t)) * 0.2 + rng.normal(size=(o, d, 1)))
    mean = mean * np.exp(0.3 * (np.arange(t) >= adoption[:, None]))[None]
    counts = rng.poisson(mean).astype(float)
    flows = Flows(np.arange(o), np.arange(d), np.arange(t), counts, fixed={"adoption": adoption})
    yardsticks: dict[str, Call] = {}
    if PYFIXEST:
        import pyfixest

        index = pd.MultiIndex.from_product([range(o), range(d), range(t)], names=["o", "d", "t"])
        frame = pd.DataFrame({"n": counts.ravel()}, index=index).reset_index()
        frame["treated"] = (frame["t"] >= adoption[frame["d"]]).astype(float)
        yardsticks["pyfixest"] = lambda: pyfixest.fepois("n ~ treated | o^t + o^d", frame, vcov={"CRV1": "d"})
    return lambda: gravity_effects(flows, Design("counts")), yardsticks


def agree(found: dict[str, tuple[Call, dict[str, Call]]]) -> None:
    """Stop if the kit and pyfixest do not give the same errors."""
    for label in ("panel regression, two_way", "instruments, unit and period effects"):
        ours, beside = found[label]
        if "pyfixest" in beside:
            mine, theirs = ours(), beside["pyfixest"]()
            names = [term[0] for term in mine.terms]  # type: ignore[attr-defined]
            np.testing.assert_allclose(mine.std_errors, theirs.se()[names], rtol=1e-5)  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(HEADER)
    for units in SIZES if args.large else SIZES[:2]:
        found = cases(with_instrument(staggered(units)))
        if units == SIZES[0]:
            agree(found)
        repeat = args.repeat if units < 100_000 else 1
        for label, (ours, beside) in found.items():
            peak = peak_of(ours)
            for name, theirs in (beside or {"–": lambda: None}).items():
                seconds, base = timed([ours, theirs], repeat)
                print(line(units, label, seconds, name, base, peak), flush=True)
    ours, beside = gravity()
    peak = peak_of(ours)
    for name, theirs in (beside or {"–": lambda: None}).items():
        seconds, base = timed([ours, theirs], args.repeat)
        print(line(36_000, "gravity, 60 × 60 × 10 flows", seconds, name, base, peak), flush=True)


if __name__ == "__main__":
    main()
