"""Times local projections, switching treatments and the two-way decomposition against peers and a numpy sketch.

    OPENBLAS_NUM_THREADS=1 python benchmarks/local_projection.py [--large] [--repeat 5]

One process, the same arrays: a balanced panel of ten periods with cohorts 3, 5, 7 and never treated units. Yardsticks:
diff_diff and pyfixest where they are installed (only up to 20,000 units: beyond, one run of theirs takes minutes), and
a sketch of the closed form (loops over horizons and cohorts, means of differences, influence written out) without
replicates and for complete panels only. Before anything is timed, points and standard errors are compared.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _measuring import HEADER, SIZES, line, peak_of, staggered, timed

from evalkit.checks.two_way_weights import two_way_weights
from evalkit.design import Design
from evalkit.estimators.goodman_bacon import goodman_bacon_decomposition
from evalkit.estimators.local_projection import local_projection_effects
from evalkit.estimators.switching import switching_effects
from evalkit.panel import Panel

UNIT = Design("y")
REGION = Design("y", cluster="region")
PEER_LIMIT = 20_000
WINDOW = (-4, 5)


def prepared(units: int) -> Panel:
    """The shared panel with its treatment as a variable."""
    panel = staggered(units)
    return panel.with_varying(d=(panel.periods >= panel.constant("adoption")[:, None]).astype(float))


def sketch(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Equal weights: values and standard errors by unit, horizon by horizon."""
    y, g, periods = panel.values("y"), panel.constant("adoption"), panel.periods
    values, errors = [], []
    for h in range(WINDOW[0], WINDOW[1] + 1):
        if h == -1:
            continue
        parts = []
        for date in np.unique(g[np.isfinite(g)]):
            base, target = int(date) - 2, int(date) - 1 + h
            if base < 0 or not 0 <= target < len(periods):
                continue
            own, clean = g == date, g > date + max(h, 0)
            change = y[:, target] - y[:, base]
            level = change[clean].mean()
            parts.append((own, clean, change, level, change[own].mean() - level))
        count = sum(own.sum() for own, *_ in parts)
        theta = sum(own.sum() * gap for own, *_, gap in parts) / count
        psi = np.zeros(len(y))
        for own, clean, change, level, _ in parts:
            psi[own] += change[own] - level - theta
            psi[clean] -= own.sum() / clean.sum() * (change[clean] - level)
        values.append(theta)
        errors.append(np.sqrt((psi**2).sum()) / count)
    return np.array(values), np.array(errors)


def sketch_weights(panel: Panel) -> float:
    """Sum of the negative weights of a balanced panel (the peer writes every dummy out and needs 30 GB)."""
    d = panel.values("d")
    left = d - d.mean(axis=1, keepdims=True) - d.mean(axis=0) + d.mean()
    weights = (left * d)[d > 0]
    return float(weights[weights < 0].sum() / weights.sum())


def peers(panel: Panel) -> dict[str, Callable[[], Any]]:
    """What is installed."""
    found: dict[str, Callable[[], Any]] = {}
    frame = panel.to_long()
    frame["unit"] = frame["unit"].astype(int)
    frame["g"] = np.where(np.isfinite(frame["adoption"]), frame["adoption"], 0).astype(int)
    if importlib.util.find_spec("pyfixest"):
        import pyfixest

        found["pyfixest lpdid"] = lambda: pyfixest.lpdid(
            frame,
            yname="y",
            idname="unit",
            tname="period",
            gname="g",
            vcov={"CRV1": "unit"},
            pre_window=-WINDOW[0],
            post_window=WINDOW[1],
            att=False,
        )
    if importlib.util.find_spec("diff_diff"):
        import diff_diff

        found["diff_diff LPDiD"] = lambda: diff_diff.LPDiD(
            pre_window=-WINDOW[0], post_window=WINDOW[1], reweight=True
        ).fit(frame, "y", "unit", "period", "d", only_event=True)
        found["diff_diff LPDiD, x"] = lambda: diff_diff.LPDiD(
            pre_window=-WINDOW[0], post_window=WINDOW[1], reweight=True, cluster="region"
        ).fit(frame, "y", "unit", "period", "d", covariates=["x"], only_event=True)
        found["diff_diff dCDH"] = lambda: diff_diff.ChaisemartinDHaultfoeuille(twfe_diagnostic=False).fit(
            frame, "y", "unit", "period", "d", L_max=5
        )
        found["diff_diff Bacon"] = lambda: diff_diff.BaconDecomposition().fit(
            frame, "y", "unit", "period", "g"
        )
    return found


Case = tuple[str, Callable[[], object], str]


def cases(panel: Panel) -> list[Case]:
    """Label, our call, yardstick."""
    with_x = Design("y", cluster="region", covariates=("x",))
    holes = Design("hole", cluster="region")
    d: dict[str, Any] = {"treatment": "d", "horizons": 5}
    return [
        ("local projection, equal", lambda: local_projection_effects(panel, UNIT, horizons=WINDOW), "sketch"),
        (
            "local projection, equal, 17 left out",
            lambda: local_projection_effects(panel, REGION, horizons=WINDOW),
            "sketch",
        ),
        (
            "local projection, variance",
            lambda: local_projection_effects(panel, UNIT, weighting="variance", horizons=WINDOW),
            "pyfixest lpdid",
        ),
        (
            "local projection, reweighted",
            lambda: local_projection_effects(panel, UNIT, weighting="reweighted", horizons=WINDOW),
            "diff_diff LPDiD",
        ),
        (
            "local projection, covariate, 17 left out",
            lambda: local_projection_effects(panel, with_x, horizons=WINDOW),
            "diff_diff LPDiD, x",
        ),
        (
            "local projection, 5 % missing, 17 left out",
            lambda: local_projection_effects(panel, holes, horizons=WINDOW),
            "sketch",
        ),
        ("switching", lambda: switching_effects(panel, UNIT, **d), "diff_diff dCDH"),
        (
            "switching, normalised, 17 left out",
            lambda: switching_effects(panel, REGION, normalized=True, **d),
            "diff_diff dCDH",
        ),
        ("Bacon, 17 left out", lambda: goodman_bacon_decomposition(panel, REGION), "diff_diff Bacon"),
        ("two-way weights", lambda: two_way_weights(panel, UNIT), "sketch of weights"),
    ]


def agree(panel: Panel, found: dict[str, Callable[[], Any]]) -> None:
    """Stop if the kit, the sketch and the peers do not give the same numbers."""
    negative = two_way_weights(panel, UNIT).detail["sum_negative"]
    np.testing.assert_allclose(negative, sketch_weights(panel), rtol=1e-8, atol=1e-10)
    kit = local_projection_effects(panel, UNIT, horizons=WINDOW)
    for ours, theirs in zip((kit.values, kit.std_errors), sketch(panel), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    if "pyfixest lpdid" in found:
        plain = local_projection_effects(panel, UNIT, weighting="variance", horizons=WINDOW)
        told = found["pyfixest lpdid"]().tidy()
        told = told.set_index(told.index.str.removeprefix("time_to_treatment::").astype(int)).sort_index()
        np.testing.assert_allclose(plain.values, told["Estimate"].astype(float), rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(plain.std_errors, told["Std. Error"].astype(float), rtol=1e-7)
    if "diff_diff dCDH" in found:
        effects = found["diff_diff dCDH"]().event_study_effects
        mine = switching_effects(panel, UNIT, treatment="d", horizons=5, placebos=0)
        np.testing.assert_allclose(mine.values, [effects[k]["effect"] for k in range(1, 6)], rtol=1e-7)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(HEADER)
    for units in SIZES if args.large else SIZES[:2]:
        panel = prepared(units)
        found = peers(panel) if units <= PEER_LIMIT else {}
        agree(panel, found)
        repeat = args.repeat if units < 1_000 else max(1, args.repeat // 2)
        for label, call, yardstick in cases(panel):
            other = found.get(yardstick)
            if yardstick == "sketch of weights":
                other = lambda panel=panel: sketch_weights(panel)  # noqa: E731
            elif other is None:
                yardstick, other = "sketch", lambda panel=panel: sketch(panel)
            seconds, theirs = timed([call, other], repeat)
            print(line(units, label, seconds, yardstick, theirs, peak_of(call)), flush=True)


if __name__ == "__main__":
    main()
