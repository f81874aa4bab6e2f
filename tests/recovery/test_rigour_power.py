"""Power foretold on the periods before adoption, and the rate of rejection that fresh worlds then show.

A world has ten periods before adoption and three after. From the ten alone the power at an effect is simulated
(windows of four and three periods, assignments exchanged); then the effect happens, and the test is made on the last
four periods before and the three after. Over many worlds the two rates must agree where the periods after are like
those before; where they are noisier, the forecast is too good, and the table shows by how much.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import rigour

from evalkit.checks import simulated_power
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import bias_reduced, cluster_jackknife
from evalkit.inference.randomisation import randomisation_test
from evalkit.panel import Panel

BEFORE, AFTER, HISTORY = 4, 3, 10
DESIGN = Design("y", cluster="province")
# in standard deviations of a province-year; about one half and nine tenths of the power with five treated
EFFECTS = (0.0, 1.0, 1.8)


def world(rng: np.random.Generator, provinces: int, treated: int, after_sd: float) -> Panel:
    """Provinces with AR(0.6) shocks of unit variance; the periods after have shocks `after_sd` times as large."""
    e = rng.standard_normal((provinces, HISTORY + AFTER))
    e[:, HISTORY:] *= after_sd
    for t in range(1, HISTORY + AFTER):
        e[:, t] = 0.6 * e[:, t - 1] + 0.8 * e[:, t]
    y = e + 3 * rng.standard_normal((provinces, 1)) + rng.standard_normal(HISTORY + AFTER)
    at = np.arange(provinces)
    return Panel(
        at,
        np.arange(2018 - HISTORY, 2018 + AFTER),
        {"y": y},
        {"adoption": np.where(at < treated, 2018.0, np.inf), "province": at},
    )


def decision(rule: str, panel: Panel) -> bool:
    """The test of the evaluation itself."""
    if rule == "RI-t":
        return randomisation_test(panel, DESIGN, interval=False).p_value <= 0.05
    est: Estimate = two_way_effects(panel, DESIGN)
    led = cluster_jackknife(est) if rule == "CV3-t" else bias_reduced(est)
    return bool(led.table(0.95).iloc[0]["p_value"] <= 0.05)


def draw(
    rng: np.random.Generator, *, rule: str, provinces: int, treated: int, after_sd: float, simulations: int
) -> rigour.Measures:
    panel = world(rng, provinces, treated, after_sd)
    before = panel.select(periods=panel.periods[:HISTORY])
    foretold = simulated_power(
        before,
        DESIGN,
        decide=rule,  # type: ignore[arg-type]
        effects=EFFECTS,
        before=BEFORE,
        after=AFTER,
        simulations=simulations,
        seed=int(rng.integers(2**31)),
    )
    used = panel.select(periods=panel.periods[HISTORY - BEFORE :])
    on = (used.periods >= used.constant("adoption")[:, None]).astype(float)
    out = {}
    for k, effect in enumerate(EFFECTS):
        found = decision(rule, used.with_varying(y=used.values("y") + effect * on))
        out[f"{rule}, effect {effect:g}"] = {
            "foretold": float(foretold.power[k]),
            "rejection": float(found),
            "bias": float(foretold.power[k]) - found,
        }
    return out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "provinces", "treated", "simulations"),
    [("CV3-t", 14, 5, 300), ("CR2-BM", 14, 3, 300), ("RI-t", 12, 4, 60)],
)
def test_power_foretold_is_power_found(rule: str, provinces: int, treated: int, simulations: int) -> None:
    rows = rigour.run(
        "power",
        f"{provinces} provinces, {treated} treated, periods after like those before",
        partial(draw, rule=rule, provinces=provinces, treated=treated, after_sd=1.0, simulations=simulations),
        seed=20260700 + treated + len(rule),
        claims={(f"{rule}, effect {effect:g}", "bias"): (-0.035, 0.035) for effect in EFFECTS},
    )
    rigour.judge(rows)


@pytest.mark.slow
def test_power_foretold_is_too_good_where_the_years_after_are_noisier() -> None:
    rule = "CV3-t"
    rows = rigour.run(
        "power",
        "14 provinces, 5 treated, shocks after twice as large",
        partial(draw, rule=rule, provinces=14, treated=5, after_sd=2.0, simulations=300),
        seed=20260790,
        claims={(f"{rule}, effect 1.8", "bias"): (0.1, 0.6)},
    )
    rigour.judge(rows)
