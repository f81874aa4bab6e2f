"""Times rings, rolling transformations and repeated cross-sections against numpy sketches, diff_diff and pyfixest.

    OPENBLAS_NUM_THREADS=1 python benchmarks/spillovers.py [--large] [--repeat 5]

One process, the same arrays, ten periods. Rings: forty units treated in 3, 5 or 7, the others in rings of 15 and 30 km around
them or far. Rolling transformation: cohorts 3, 5, 7 and never. Repeated cross-sections: as many rows as cells of the panel.
Before anything is timed the numbers are compared. diff_diff is timed once at 20,000 and left out at 500,000, where it needs
minutes and more memory than there is.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _measuring import HEADER, SIZES, line, peak_of, seconds_of, staggered, timed

from evalkit.design import Design
from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects
from evalkit.estimators.repeated_cross_sections import repeated_cross_section_effects
from evalkit.estimators.spillovers import spillover_effects
from evalkit.panel import Panel
from evalkit.sample import Sample
from evalkit.zones import Zone, Zones

Call = Callable[[], Any]
UNIT, REGION = Design("y"), Design("y", cluster="region")
TREATED = 40


def world(units: int, seed: int = 1) -> tuple[Panel, list[Zone]]:
    """Units on some 300 km square, the first forty of them treated where they stand."""
    rng = np.random.default_rng(seed)
    lat, lon = 35 + rng.uniform(0, 2.7, units), 126.5 + rng.uniform(0, 3, units)
    adoption = np.full(units, np.inf)
    adoption[:TREATED] = rng.choice([3.0, 5.0, 7.0], TREATED)
    t = np.arange(1, 11)
    noise = rng.standard_normal((units, 10)).cumsum(axis=1) * 0.5
    y = rng.standard_normal((units, 1)) + 0.1 * t + (t >= adoption[:, None]) + noise
    panel = Panel(
        np.arange(units),
        t,
        {"y": y},
        {"adoption": adoption, "latitude": lat, "longitude": lon, "region": rng.integers(0, 17, units)},
    )
    return panel, [Zone(1, int(adoption[i]), [(lat[i], lon[i])]) for i in range(TREATED)]


def measure(panel: Panel, zones: list[Zone]) -> Zones:
    return Zones.measure(panel, zones, rings=(0, 15, 30))


def ring_sketch(panel: Panel, rings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two stages by cells: T × T system of the clean cells, means of what is left, influence by unit."""
    y, treated = panel.values("y"), panel.periods >= panel.constant("adoption")[:, None]
    ring = np.where(treated, 0, np.maximum(rings, 0))
    clean = (~treated & (ring == 0)).astype(float)
    total = clean.sum(axis=1, keepdims=True)
    share = clean / np.where(total > 0, total, 1)
    gram = np.diag(clean.sum(axis=0)) - clean.T @ share
    centred = y - (share * y).sum(axis=1, keepdims=True)
    inverse = np.linalg.pinv(gram, hermitian=True)
    period = inverse @ (clean * centred).sum(axis=0)
    left = centred - period + (share @ period)[:, None]
    values, errors = [], []
    for cells in (treated, ring == 1, ring == 2):
        r = (cells & (total > 0)).astype(float)
        value = (r * left).sum() / r.sum()
        loading = r.sum(axis=0) - share.T @ r.sum(axis=1)
        score = (r * (left - value)).sum(axis=1) - (clean * left) @ (inverse @ loading)
        values.append(value)
        errors.append(np.sqrt((score**2).sum()) / r.sum())
    return np.array(values), np.array(errors)


def rolling_sketch(panel: Panel) -> np.ndarray:
    """Cells against not yet treated units: difference of two means, and its classic error."""
    y, g = panel.values("y"), panel.constant("adoption")
    out = []
    for cohort in (3, 5, 7):
        step = y - y[:, : cohort - 1].mean(axis=1, keepdims=True)
        for t in range(cohort, 11):
            own, other = step[g == cohort, t - 1], step[g > t, t - 1]
            spread = ((own - own.mean()) ** 2).sum() + ((other - other.mean()) ** 2).sum()
            error = np.sqrt(spread / (len(own) + len(other) - 2) * (1 / len(own) + 1 / len(other)))
            out.append((own.mean() - other.mean(), error))
    return np.array(out)


def surveys(rows: int, seed: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = rng.choice([3.0, 5.0, 7.0, np.inf], rows, p=[0.15, 0.2, 0.15, 0.5])
    t, x = rng.integers(1, 11, rows), rng.standard_normal(rows)
    y = 0.1 * t * x + (t >= g) + rng.standard_normal(rows)
    columns = {
        "row": np.arange(rows),
        "t": t,
        "g": np.where(np.isinf(g), 0, g),
        "adoption": g,
        "x": x,
        "y": y,
    }
    return pd.DataFrame({**columns, "region": rng.integers(0, 17, rows)})


def quietly(call: Call) -> Call:
    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()

    return run


def peers(panel: Panel, frame: pd.DataFrame, rows: pd.DataFrame, units: int) -> dict[str, tuple[str, Call]]:
    """Case → (name, call) of the peers that can do it at this size."""
    out: dict[str, tuple[str, Call]] = {}
    if importlib.util.find_spec("pyfixest"):
        import pyfixest as pf

        out["rings, static"] = (
            "pyfixest feols",
            quietly(lambda: pf.feols("y ~ d + r1 + r2 | unit + period", frame, vcov={"CRV1": "region"})),
        )
    if importlib.util.find_spec("diff_diff") and units <= 20_000:
        import diff_diff as dd
        from diff_diff.lwdid import LWDiD

        def rings(event_study: bool) -> Any:
            model = dd.SpilloverDiD(
                rings=[0, 15, 30],
                conley_coords=("latitude", "longitude"),
                cluster="unit",
                event_study=event_study,
            )
            return model.fit(frame, outcome="y", unit="unit", time="period", first_treat="adoption")

        out["rings, two stages"] = ("diff_diff SpilloverDiD", quietly(partial(rings, False)))
        out["rings, two stages by event time"] = ("diff_diff SpilloverDiD", quietly(partial(rings, True)))
        cohorts = staggered(units).to_long()
        cohorts["d"] = (cohorts["period"] >= cohorts["adoption"]).astype(int)
        cohorts["first"] = cohorts["adoption"].where(np.isfinite(cohorts["adoption"]), 0.0)
        out["rolling, cells"] = (
            "diff_diff LWDiD",
            quietly(
                lambda: LWDiD(vcov_type="classical").fit(
                    cohorts, "y", "unit", "period", "d", first_treat="first"
                )
            ),
        )
        out["repeated cross-sections, dr"] = (
            "diff_diff CallawaySantAnna",
            quietly(
                lambda: dd.CallawaySantAnna(
                    control_group="never_treated",
                    estimation_method="dr",
                    panel=False,
                    base_period="universal",
                ).fit(rows, "y", "row", "t", "g", covariates=["x"])
            ),
        )
    return out


def run(units: int, repeat: int) -> None:
    panel, zones = world(units)
    rings = measure(panel, zones)
    codes = rings.codes()
    cohorts = staggered(units)
    rows = surveys(10 * units)
    sample = Sample.from_frame(rows, period="t", variables=["y", "x", "adoption", "region"])
    survey = Design("y", comparison="never", covariates=("x",))
    frame = pd.DataFrame()
    if units <= 20_000 or importlib.util.find_spec("pyfixest"):
        treated = panel.periods >= panel.constant("adoption")[:, None]
        frame = panel.with_varying(
            d=treated.astype(float), r1=((codes == 1) & ~treated).astype(float), r2=((codes == 2) & ~treated).astype(float)
        ).to_long()  # fmt: skip
    others = peers(panel, frame, rows, units)
    cases: dict[str, tuple[Call, tuple[str, Call] | None]] = {
        "distances to forty zones": (lambda: measure(panel, zones), None),
        "rings, two stages": (
            lambda: spillover_effects(panel, UNIT, rings=rings),
            ("numpy sketch", lambda: ring_sketch(panel, codes)),
        ),
        "rings, two stages by event time": (
            lambda: spillover_effects(panel, UNIT, rings=rings, by="event_time", leads=True),
            None,
        ),
        "rings, two stages, 17 clusters left out": (
            lambda: spillover_effects(panel, REGION, rings=rings),
            ("without replicates", lambda: spillover_effects(panel, REGION, rings=rings, replicates=False)),
        ),
        "rings, static": (
            lambda: spillover_effects(panel, REGION, rings=rings, method="static", after_exposure="clean"),
            None,
        ),
        "rolling, cells": (
            lambda: lee_wooldridge_effects(cohorts, UNIT, by="cell", replicates=False),
            ("numpy sketch", lambda: rolling_sketch(cohorts)),
        ),
        "rolling, cells, 17 clusters left out": (
            lambda: lee_wooldridge_effects(cohorts, REGION, by="cell", level="unit"),
            ("without replicates", lambda: lee_wooldridge_effects(cohorts, REGION, by="cell", level="unit", replicates=False)),
        ),
        "repeated cross-sections, dr": (
            lambda: repeated_cross_section_effects(sample, survey, method="dr"),
            None,
        ),
        "repeated cross-sections, dr_improved": (lambda: repeated_cross_section_effects(sample, survey), None),
    }  # fmt: skip
    agree(panel, rings, cohorts)
    for case, (call, yardstick) in cases.items():
        peak = peak_of(call)
        compared = [pair for pair in (yardstick, others.get(case)) if pair is not None]
        if not compared:
            [mine] = timed([call], repeat)
            print(f"{units:>8,} {case:<44} {mine:>9.4f} {'':>24} {'':>9} {'':>7} {peak:>8.0f}", flush=True)
        for name, other in compared:
            slow = name.startswith("diff_diff") and units > 1000
            if slow:
                [mine], theirs = timed([call], repeat), seconds_of(other)
            else:
                mine, theirs = timed([call, other], repeat)
            print(line(units, case, mine, name, theirs, peak), flush=True)


def agree(panel: Panel, rings: Zones, cohorts: Panel) -> None:
    """Stop if the kit and the sketches do not give the same numbers."""
    values, errors = ring_sketch(panel, rings.codes())
    found = spillover_effects(panel, UNIT, rings=rings)
    np.testing.assert_allclose(found.values, values, atol=1e-9)
    np.testing.assert_allclose(found.std_errors, errors, rtol=1e-8)
    table = rolling_sketch(cohorts)
    cells = lee_wooldridge_effects(cohorts, UNIT, by="cell", replicates=False)
    np.testing.assert_allclose(cells.values, table[:, 0], atol=1e-9)
    np.testing.assert_allclose(cells.std_errors, table[:, 1], rtol=1e-8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="500,000 units too")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(HEADER)
    for units in SIZES if args.large else SIZES[:2]:
        run(units, args.repeat if units < 100_000 else max(1, args.repeat // 2))


if __name__ == "__main__":
    main()
