"""Rings, rolling transformations and repeated cross-sections where their assumptions hold, and where they do not."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit

import recovery
from evalkit.appraisal.net_effect import net_effect
from evalkit.design import Design
from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects
from evalkit.estimators.repeated_cross_sections import repeated_cross_section_effects
from evalkit.estimators.spillovers import border_class_effects, spillover_effects
from evalkit.panel import Panel
from evalkit.sample import Sample
from evalkit.zones import Zone, Zones
from recovery import Case

pytestmark = pytest.mark.slow
YEARS = np.arange(2015, 2023)
CENTRES = ((35.5, 127.0), (36.5, 128.0), (35.0, 128.6), (37.2, 127.6))
DECAY = (-0.8, -0.3)  # effect on neighbours within 10 km and within 20 km


def city(rng: np.random.Generator, *, staggered: bool = True, grow: float = 0.0, n: int = 240) -> Panel:
    """Each of four zones has units inside, near and next to near; half of all units are far.

    grow : what each further year under treatment adds to the direct effect of 1
    """
    group = rng.integers(0, 8, n)  # 0–3 around a zone, 4–7 far away
    km = rng.uniform(0, 19.5, n)
    km[group < 4] = np.where(rng.random((group < 4).sum()) < 0.4, 0.0, km[group < 4])
    angle = rng.uniform(0, 2 * np.pi, n)
    centre = np.array(CENTRES)[group % 4]
    degree = np.pi / 180 * 6371.0088
    lat = np.where(group < 4, centre[:, 0] + km * np.cos(angle) / degree, 33.0 + rng.uniform(0, 0.5, n))
    lon = centre[:, 1] + np.where(
        group < 4, km * np.sin(angle) / degree / np.cos(np.radians(centre[:, 0])), 0
    )
    panel = Panel(
        np.arange(n), YEARS, {}, {"latitude": lat, "longitude": lon, "adoption": np.full(n, np.inf)}
    )
    zones = measured(panel, staggered)
    first = zones.first_inside()
    codes = zones.codes()
    inside = codes == -1
    truth = np.select([codes == 1, codes == 2], DECAY, 0.0)
    truth[inside] = 1.0
    truth += grow * np.where(inside, YEARS - np.where(np.isfinite(first), first, 0)[:, None], 0.0)
    noise = 0.4 * rng.standard_normal((n, len(YEARS))).cumsum(axis=1)
    y = rng.standard_normal((n, 1)) + 0.2 * (YEARS - 2015) + truth + noise
    return panel.with_varying(y=y, truth=truth).with_fixed(adoption=first)


def measured(panel: Panel, staggered: bool = True) -> Zones:
    dates = (2018, 2018, 2020, 2020) if staggered else (2018,) * 4
    return Zones.measure(
        panel,
        [Zone(1, d, [c], radius_km=1.0) for c, d in zip(CENTRES, dates, strict=True)],
        rings=(0, 10, 20),
    )


def ring_draw(
    rng: np.random.Generator, term: int, *, method: Any = "two_stage", grow: float = 0.0
) -> tuple[float, ...]:
    panel = city(rng, grow=grow)
    est = spillover_effects(panel, Design("y"), rings=measured(panel), method=method)
    where = measured(panel).codes() == (-1, 1, 2)[term]
    return est.values[term], est.std_errors[term], panel.values("truth")[where].mean()


def net_draw(rng: np.random.Generator) -> tuple[float, ...]:
    """The total per cell of both kinds, with the joint covariance."""
    panel = city(rng)
    est = spillover_effects(panel, Design("y"), rings=measured(panel))
    net = net_effect(est)
    cells = est.detail["cells"].sum()
    return net.values[2] / cells, net.std_errors[2] / cells, panel.values("truth").sum() / cells


def naive_draw(rng: np.random.Generator, *, shifted: bool) -> tuple[float, ...]:
    """Rings ignored, under one date: misses τ by −E[δ | control] (shifted: that is the truth it is held against)."""
    panel = city(rng, staggered=False)
    zones = measured(panel, staggered=False)
    after = YEARS >= 2018
    controls = np.isinf(panel.constant("adoption"))
    mean = panel.values("truth")[controls][:, after].mean()
    none = panel.with_varying(none=np.zeros(panel.shape))
    est = spillover_effects(none, Design("y"), rings=("none",))
    assert (zones.codes() > 0).any()
    return est.values[0], est.std_errors[0], 1.0 - shifted * mean


def border_draw(
    rng: np.random.Generator, term: tuple[str, str, int], drift: float = 0.0
) -> tuple[float, ...]:
    """A circle moves north: +1 inside in phase 1, +2 inside in phase 3, half of it lasts where the zone has gone.

    drift : a trend of its own of every place that is ever inside
    """
    n = 240
    place = rng.integers(0, 4, n)  # left, stable, entered, far
    lat = np.select([place == 0, place == 1, place == 2], [35.85, 36.15, 36.45], 33.2)
    fixed = {"latitude": lat + rng.uniform(-0.05, 0.05, n), "longitude": np.full(n, 127.0)}
    panel = Panel(np.arange(n), YEARS, {}, fixed)
    zones = Zones.measure(
        panel,
        [
            Zone(1, 2017, [(36.0, 127.0)], last=2019, radius_km=28.0),
            Zone(3, 2020, [(36.3, 127.0)], radius_km=28.0),
        ],
        rings=(0, 1),
    )
    one, two = (YEARS >= 2017) & (YEARS < 2020), YEARS >= 2020
    effect = np.where((place < 2)[:, None] & one, 1.0, 0.0)
    effect += np.where(((place == 1) | (place == 2))[:, None] & two, 2.0, 0.0)
    effect += np.where((place == 0)[:, None] & two, 0.5, 0.0)
    noise = 0.4 * rng.standard_normal((n, len(YEARS))).cumsum(axis=1)
    trend = (0.2 + drift * (place < 3)[:, None]) * (YEARS - 2015)
    panel = panel.with_varying(y=rng.standard_normal((n, 1)) + trend + effect + noise)
    est = border_class_effects(panel, Design("y"), zones=zones, before=1, after=3)
    k = list(est.terms).index(term)
    truth = {("stable", "", 1): 1.0, ("stable", "", 3): 2.0, ("entered", "", 3): 2.0, ("left", "", 3): 0.5}[
        term
    ]
    return est.values[k], est.std_errors[k], truth


def lasting_draw(rng: np.random.Generator, *, after: Any) -> tuple[float, ...]:
    """Neighbours of a zone that ended keep a growing gain; counted as clean they pull the trend up."""
    n = 160
    group = rng.integers(0, 4, n)  # treated, near, far, far
    near = (group == 1)[:, None] & (YEARS >= 2017) & (YEARS < 2019)
    effect = 1.0 * ((group == 0)[:, None] & (YEARS >= 2019))
    effect = effect + np.where((group == 1)[:, None] & (YEARS >= 2017), 0.5 * (YEARS - 2016), 0.0)
    noise = 0.4 * rng.standard_normal((n, len(YEARS))).cumsum(axis=1)
    panel = Panel(
        np.arange(n),
        YEARS,
        {"y": rng.standard_normal((n, 1)) + effect + noise, "near": near.astype(float)},
        {"adoption": np.where(group == 0, 2019.0, np.inf)},
    )
    est = spillover_effects(panel, Design("y"), rings=("near",), after_exposure=after)
    return est.values[0], est.std_errors[0], 1.0


def provinces(
    rng: np.random.Generator,
    *,
    treated: int = 1,
    slope: float = 0.0,
    noisy: float = 1.0,
    kind: Any = "demean",
) -> tuple[float, ...]:
    """Fourteen provinces, AR(0.6) errors, an effect of 0.5; slope: own trends of the treated; noisy: their errors' scale."""
    n, t = 14, len(YEARS)
    e = rng.standard_normal((n, t))
    for s in range(1, t):
        e[:, s] = 0.6 * e[:, s - 1] + 0.8 * e[:, s]
    d = np.arange(n) < treated
    e[d] *= noisy
    y = (
        rng.standard_normal((n, 1))
        + e
        + 0.5 * (d[:, None] & (YEARS >= 2019))
        + slope * d[:, None] * (YEARS - 2015)
    )
    panel = Panel(np.arange(n), YEARS, {"y": y}, {"adoption": np.where(d, 2019.0, np.inf)})
    est = lee_wooldridge_effects(panel, Design("y"), transformation=kind)
    return est.values[0], est.std_errors[0], 0.5, float(stdtrit(est.dof[0], 0.975))


def surveys(rng: np.random.Generator, *, drift: float, method: Any) -> tuple[float, ...]:
    """Trends and effects (1 + x) differ by x, which differs between groups; drift: x rises among the treated only.

    The effect sought is that on the treated rows of the period; a composition that changes makes rows of all periods
    another population.
    """
    n = 3000
    g = rng.random(n) < 0.4
    t = rng.integers(1, 5, n)
    x = rng.standard_normal(n) + 0.5 * g + drift * g * (t > 2)
    y = x + 0.4 * x * t + (1 + x) * (g & (t > 2)) + rng.standard_normal(n)
    sample = Sample(t, {"y": y, "x": x, "adoption": np.where(g, 3.0, np.inf)})
    covariates = ("x",) if method else ()
    est = repeated_cross_section_effects(
        sample, Design("y", comparison="never", covariates=covariates), method=method or "reg"
    )
    k = list(est.terms).index((3, 4))
    return est.values[k], est.std_errors[k], 1.5 + drift


CASES = [
    Case("rings, two stages: direct", "staggered zones, decaying loss nearby", partial(ring_draw, term=0)),
    Case("rings, two stages: 0–10 km", "staggered zones, decaying loss nearby", partial(ring_draw, term=1)),
    Case("rings, two stages: 10–20 km", "staggered zones, decaying loss nearby", partial(ring_draw, term=2)),
    Case("rings, net effect", "staggered zones, decaying loss nearby", net_draw),
    Case(
        "rings, static: direct",
        "effects that grow, staggered zones",
        partial(ring_draw, term=0, method="static", grow=0.5),
        holds=False,
    ),
    Case("rings, two stages: direct", "effects that grow", partial(ring_draw, term=0, grow=0.5)),
    Case("DiD that ignores rings", "neighbours lose", partial(naive_draw, shifted=False), holds=False),
    Case("DiD that ignores rings, against τ − E[δ | control]", "neighbours lose", partial(naive_draw, shifted=True)),
    Case("rings, cells after exposure left out", "what lasts grows", partial(lasting_draw, after="left_out")),
    Case("rings, cells after exposure clean", "what lasts grows", partial(lasting_draw, after="clean"), holds=False),
    *(
        Case(f"border class {kind}, phase {phase}", "a border redrawn", partial(border_draw, term=(kind, "", phase)))
        for kind, phase in (("stable", 1), ("stable", 3), ("entered", 3), ("left", 3))
    ),
    *(
        Case(
            f"border class {kind}, phase {phase}",
            "places inside drift",
            partial(border_draw, term=(kind, "", phase), drift=0.2),
            holds=False,
        )
        for kind, phase in (("stable", 1), ("stable", 3), ("entered", 3), ("left", 3))
    ),
    Case("Lee-Wooldridge, exact t", "one treated of 14, AR(0.6)", provinces, draws=1000, coverage=(0.93, 0.97)),
    Case("Lee-Wooldridge, exact t", "three treated of 14, AR(0.6)", partial(provinces, treated=3), draws=1000, coverage=(0.93, 0.97)),
    Case("Lee-Wooldridge, exact t", "treated with trends of their own", partial(provinces, slope=0.3), draws=400, holds=False),
    Case("Lee-Wooldridge, detrended", "treated with trends of their own", partial(provinces, slope=0.3, kind="detrend"), draws=1000, coverage=(0.93, 0.97)),
    Case("repeated cross-sections, dr_improved", "trends differ by x", partial(surveys, drift=0.0, method="dr_improved"), draws=150),
    Case("repeated cross-sections, ipw", "trends differ by x", partial(surveys, drift=0.0, method="ipw"), draws=150),
    Case("repeated cross-sections, no covariates", "trends differ by x", partial(surveys, drift=0.0, method=None), draws=150, holds=False),
    Case("repeated cross-sections, dr_improved", "composition changes", partial(surveys, drift=0.7, method="dr_improved"), draws=150, holds=False),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[f"{c.method} | {c.world}" for c in CASES])
def test_recovery(case: Case) -> None:
    recovery.judge(case, recovery.run(case))


def test_exact_t_needs_equal_variances() -> None:
    """With a treated province twice as noisy as the others, the interval covers far less than it says."""
    case = Case("Lee-Wooldridge, exact t", "the treated one twice as noisy", partial(provinces, noisy=2.0), draws=1000, coverage=None)  # fmt: skip
    row = recovery.run(case)
    recovery.judge(case, row)
    assert row.cover < 0.85
