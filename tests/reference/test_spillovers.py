"""Ring effects against least squares with every dummy written out, pyfixest and diff-diff.

No reference file covers rings. The oracle of spillover_effects (both methods) and border_class_effects is dense: unit and
period dummies on the clean cells by `numpy.linalg.lstsq`, what is left on dense dummies, and the influence by the GMM
formula on those matrices. TIGHT is what double precision leaves there.

One difference is pinned: the errors of diff-diff 3.13 depend on the order of the units. Its first-stage design for the
variance drops the dummy of the first unit without an intercept, so that the terms with cells of that unit get another
error; all other terms equal ours times its factor G/(G − 1) (n − 1)/(n − K).
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.spillovers import border_class_effects, spillover_effects
from evalkit.panel import Panel
from evalkit.zones import Zone, Zones

TIGHT = {"rtol": 1e-9, "atol": 1e-10}
YEARS = np.arange(2015, 2023)
DESIGN = Design("y", cluster="region")


def world(seed: int, n: int = 120, *, holes: bool = False) -> tuple[Panel, Zones]:
    """Units on a square of some 170 km, eight of them treated in 2018 and 2020, the rest near or far."""
    rng = np.random.default_rng(seed)
    lat, lon = 36 + rng.uniform(-0.8, 0.8, n), 127 + rng.uniform(-1, 1, n)
    adoption = np.full(n, np.inf)
    adoption[:4], adoption[4:8] = 2018, 2020
    y = rng.normal(size=(n, len(YEARS))) + 2 * rng.normal(size=(n, 1)) + 0.2 * np.arange(len(YEARS))
    if holes:
        y[rng.random(y.shape) < 0.1] = np.nan
    panel = Panel(
        np.arange(n),
        YEARS,
        {"y": y, "x": rng.normal(size=y.shape)},
        {
            "adoption": adoption,
            "latitude": lat,
            "longitude": lon,
            "region": rng.integers(0, 10, n),
            "w": rng.uniform(0.5, 2, n),
        },
    )
    zones = [Zone(1, int(adoption[i]), [(lat[i], lon[i])]) for i in range(8)]
    return panel, Zones.measure(panel, zones, rings=(0, 15, 30))


def dense(
    panel: Panel, clean: np.ndarray, dummies: list[np.ndarray], *, covariate: bool, weighted: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Two stages with every dummy written out: values, and the covariance by region  # (K,), (K, K)"""
    y, w = panel.values("y"), np.repeat(panel.constant("w")[:, None], panel.shape[1], axis=1)
    seen = ~np.isnan(y)
    i, t = np.nonzero(seen)
    root = np.sqrt(w[seen]) if weighted else np.ones(seen.sum())
    x1 = np.column_stack([np.eye(panel.shape[0])[i], np.eye(panel.shape[1])[t]])
    if covariate:
        x1 = np.column_stack([x1, panel.values("x")[seen]])
    x1, out = x1 * root[:, None], y[seen] * root
    x2 = np.column_stack([d[seen] for d in dummies]).astype(float) * root[:, None]
    first = clean[seen][:, None] * x1
    theta = np.linalg.lstsq(first, clean[seen] * out, rcond=1e-11)[0]
    left = out - x1 @ theta
    values = np.linalg.lstsq(x2, left, rcond=1e-11)[0]
    bread = np.linalg.inv(x2.T @ x2)
    to_first = x2.T @ x1 @ np.linalg.pinv(first.T @ first, rcond=1e-11)
    score = x2 * (left - x2 @ values)[:, None] - (first * left[:, None]) @ to_first.T
    sums = np.zeros((10, x2.shape[1]))
    np.add.at(sums, panel.constant("region")[i], score @ bread)
    return values, sums.T @ sums


def cells(panel: Panel, zones: Zones) -> tuple[np.ndarray, np.ndarray]:
    """Treated cells and the ring of the others (0 = clean)  # (N, T) each"""
    treated = panel.periods >= panel.constant("adoption")[:, None]
    return treated, np.where(treated, 0, zones.codes())


@pytest.mark.parametrize("covariate", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("holes", [False, True])
def test_two_stages_equal_dense_least_squares(covariate: bool, weighted: bool, holes: bool) -> None:
    panel, zones = world(1, holes=holes)
    treated, ring = cells(panel, zones)
    design = Design(
        "y", cluster="region", covariates=("x",) if covariate else (), weight="w" if weighted else None
    )
    found = spillover_effects(panel, design, rings=zones)
    clean = ~treated & (ring == 0)
    values, covariance = dense(
        panel, clean, [treated, ring == 1, ring == 2], covariate=covariate, weighted=weighted
    )
    np.testing.assert_allclose(found.values, values, **TIGHT)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8, atol=1e-12)
    assert list(found.terms) == [("direct", ""), ("ring", "0-15"), ("ring", "15-30")]
    seen = ~np.isnan(panel.values("y"))
    np.testing.assert_array_equal(
        found.detail["cells"], [(c & seen).sum() for c in (treated, ring == 1, ring == 2)]
    )


def test_event_time_and_leads_equal_dense_least_squares() -> None:
    panel, zones = world(2)
    treated, ring = cells(panel, zones)
    clean = ~treated & (ring == 0)
    clock = panel.periods - panel.constant("adoption")[:, None]
    near = ring > 0
    start = np.where(near.any(axis=1), YEARS[near.argmax(axis=1)], np.inf)
    elapsed = panel.periods - start[:, None]
    entry = np.where(near.any(axis=1), ring[np.arange(len(ring)), near.argmax(axis=1)], 0)
    for leads in (False, True):
        found = spillover_effects(panel, DESIGN, rings=zones, by="event_time", leads=leads)
        dummies = []
        for kind, label, e in found.terms:
            if kind == "direct":
                dummies.append((treated if e >= 0 else clean) & (clock == e))
            else:
                j = zones.labels.index(label) + 1
                dummies.append(((ring == j) if e >= 0 else clean & (entry == j)[:, None]) & (elapsed == e))
        values, covariance = dense(panel, clean, dummies, covariate=False, weighted=False)
        np.testing.assert_allclose(found.values, values, rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(found.covariance, covariance, rtol=1e-7, atol=1e-11)
        times = set(found.terms.get_level_values("event_time"))
        assert -1 not in times
        assert (min(times) < 0) == leads


def test_border_classes_equal_dense_least_squares() -> None:
    """Phase 1 is a circle, phase 3 the same circle moved by its radius."""
    panel, _ = world(3, n=200)
    zones = Zones.measure(
        panel,
        [
            Zone(1, 2018, [(36.0, 127.0)], last=2020, radius_km=30.0),
            Zone(3, 2021, [(36.27, 127.0)], radius_km=30.0),
        ],
        rings=(0, 10, 20),
    )
    found = border_class_effects(panel, DESIGN, zones=zones, before=1, after=3)
    classes, codes = zones.border_classes(1, 3)[:, None], zones.codes()
    one = (YEARS >= 2018) & (YEARS <= 2020)
    two = YEARS >= 2021
    never = classes == "never"
    exposed = np.maximum.accumulate(codes > 0, axis=1)
    masks = {}
    for phase, window in ((1, one), (3, two)):
        for kind in ("stable", "entered", "left"):
            masks[kind, "", phase] = (classes == kind) & window
        for j, label in enumerate(zones.labels, start=1):
            masks["ring", label, phase] = never & (codes == j) & window
    del masks["entered", "", 1]
    wanted = [key for key in masks if masks[key].any()]
    assert set(found.terms) == set(wanted)
    clean = ~np.any([masks[key] for key in wanted], axis=0) & ~exposed
    values, covariance = dense(
        panel, clean, [masks[key] for key in found.terms], covariate=False, weighted=False
    )
    np.testing.assert_allclose(found.values, values, **TIGHT)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_static_equals_least_squares_with_every_dummy(weighted: bool) -> None:
    panel, zones = world(4, holes=True)
    treated, ring = cells(panel, zones)
    design = Design("y", cluster="region", weight="w" if weighted else None)
    found = spillover_effects(panel, design, rings=zones, method="static")
    y = panel.values("y")
    i, t = np.nonzero(~np.isnan(y))
    x = np.column_stack(
        [*(d[i, t] for d in (treated, ring == 1, ring == 2)), np.eye(len(y))[i], np.eye(len(YEARS))[t]]
    ).astype(float)
    root = np.sqrt(panel.constant("w")[i]) if weighted else np.ones(len(i))
    beta = np.linalg.lstsq(x * root[:, None], y[i, t] * root, rcond=1e-11)[0]
    np.testing.assert_allclose(found.values, beta[:3], **TIGHT)
    assert found.inference == "CV1"


@pytest.mark.parametrize("holes", [False, True])
def test_one_date_makes_both_methods_agree(holes: bool) -> None:
    """Under one adoption date in a balanced panel, static and two-stage points are the same (Butts 2021, section 3)."""
    panel, _ = world(5, holes=holes)
    adoption = np.where(np.isfinite(panel.constant("adoption")), 2018.0, np.inf)
    panel = panel.with_fixed(adoption=adoption)
    lat, lon = panel.constant("latitude"), panel.constant("longitude")
    zones = Zones.measure(panel, [Zone(1, 2018, [(lat[i], lon[i])]) for i in range(8)], rings=(0, 15, 30))
    a = spillover_effects(panel, DESIGN, rings=zones)
    b = spillover_effects(panel, DESIGN, rings=zones, method="static")
    assert np.allclose(a.values, b.values, rtol=1e-9, atol=1e-10) != holes


# -- live peers ------------------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(3))
def test_static_against_pyfixest(seed: int) -> None:
    pf = pytest.importorskip("pyfixest")
    panel, zones = world(seed, holes=True)
    treated, ring = cells(panel, zones)
    panel = panel.with_varying(d=treated, r1=ring == 1, r2=ring == 2)
    frame = panel.to_long().dropna()
    fit = pf.feols("y ~ d + r1 + r2 | unit + period", frame, vcov={"CRV1": "region"})
    found = spillover_effects(panel, DESIGN, rings=("r1", "r2"), method="static")
    np.testing.assert_allclose(found.values, fit.coef().to_numpy(), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.std_errors, fit.se().to_numpy(), rtol=1e-6)


def spillover_did(panel: Panel, cluster: str) -> tuple[np.ndarray, np.ndarray]:
    """Points and errors of diff-diff: direct, then rings."""
    dd = pytest.importorskip("diff_diff")
    frame = panel.to_long()
    frame["first"] = frame["adoption"]
    model = dd.SpilloverDiD(rings=[0, 15, 30], conley_coords=("latitude", "longitude"), cluster=cluster)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer warns of its own conventions
        result = model.fit(frame, outcome="y", unit="unit", time="period", first_treat="first")
    rings: pd.DataFrame = result.spillover_effects
    return np.array([result.att, *rings["coef"]]), np.array([result.se, *rings["se"]])


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(3))
def test_two_stages_against_diff_diff(seed: int) -> None:
    panel, zones = world(seed)
    found = spillover_effects(panel, DESIGN, rings=zones)
    points, errors = spillover_did(panel, "region")
    np.testing.assert_allclose(found.values, points, rtol=1e-8, atol=1e-8)
    factor = np.sqrt(10 / 9 * (panel.values("y").size - 1) / (panel.values("y").size - 3))
    # the first unit is treated: terms without its cells have our error times the factor, the other is off
    np.testing.assert_allclose(errors[1:], found.std_errors[1:] * factor, rtol=1e-6)
    assert abs(errors[0] / (found.std_errors[0] * factor) - 1) > 1e-4


@pytest.mark.peer
def test_errors_of_diff_diff_depend_on_the_order_of_units_and_ours_do_not() -> None:
    panel, zones = world(1)
    order = np.roll(np.arange(len(panel.units)), 20)
    turned = panel.select(order)
    relabelled = Panel(np.arange(len(order)), turned.periods, turned.varying, turned.fixed)
    theirs = [spillover_did(p, "region")[1] for p in (panel, relabelled)]
    assert np.abs(theirs[0] / theirs[1] - 1).max() > 1e-4

    def ours(p: Panel, z: Zones) -> Estimate:
        return spillover_effects(p, DESIGN, rings=z)

    np.testing.assert_allclose(ours(panel, zones).std_errors, ours(turned, zones).std_errors, rtol=1e-10)
