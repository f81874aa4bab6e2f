"""Switching treatments against R DIDmultiplegtDYN 2.1.2 and, live, diff_diff.

The package rounds coefficients to 5 decimals (held to 5.1e-6) and keeps standard errors unrounded (held to 1e-9).
Three conventions of version 2.1.2 are not followed; both numbers are pinned:

* with clusters, √(n/(n−1)) counts units there, clusters here (as in the package from July 2025 on);
* a switcher alone with its (D, F, D_F) adds nothing to the variance there; here its change is centred at switchers
  and comparison units together (as in the package from July 2025 on);
* a normalised placebo ℓ > 1 is divided there by the dose of those periods only for which the placebo change is observed.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shared_files import GOLDEN, needs_golden

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.switching import switching_average, switching_effects
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
CARRIED: dict[str, Any] = json.loads((HERE / "switching_S1_S6.json").read_text(encoding="utf-8"))
CASES = CARRIED["cases"]
ROUNDED = 5.1e-6
SE = 1e-9

NOT_COVERED = {
    "S1-dyn-4-3-cluster p_jointplacebo": "follows from standard errors that count units",
    "S6-dyn-dose p_jointplacebo": "follows from standard errors without lone switchers",
    "p_jointeffects": "0 to the digits that are stored, but for mpdta",
}


@cache
def s1() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    return Panel.from_long(frame, unit="unit", period="year", varying=["y", "treated"], fixed=["region"])


@cache
def s6() -> Panel:
    data = CARRIED["S6"]
    y = np.array(data["y"])
    periods = data["first_period"] + np.arange(y.shape[1])
    post = (periods >= data["treated_from"]).astype(float)
    return Panel(
        np.arange(len(y)),
        periods,
        {"y": y, "tier": np.outer(data["tier"], post), "dose": np.outer(data["dose"], post)},
        {"region": np.array(data["region"])},
    )


def in_order(estimate: Estimate, values: np.ndarray) -> np.ndarray:
    """Effects 1, 2, …, then placebos 1, 2, …, as the reference lists them."""
    times = np.asarray(estimate.terms.get_level_values("event_time"))
    return np.concatenate([values[times >= 0], values[times < 0][::-1]])


def points(estimate: Estimate, case: dict[str, Any]) -> None:
    found = in_order(estimate, estimate.values)
    np.testing.assert_allclose(found, list(case["coef_5dec"].values()), rtol=0, atol=ROUNDED)


def errors(case: dict[str, Any]) -> np.ndarray:
    return np.array(list(case["se_full_precision"].values()))


def average(panel: Panel, design: Design, case: dict[str, Any], error: bool = True, **options: Any) -> None:
    estimate = switching_average(panel, design, **options)
    told = case["ATE"]["values"][0]
    np.testing.assert_allclose(estimate.values, told[0], rtol=0, atol=ROUNDED)
    if error:
        np.testing.assert_allclose(estimate.std_errors, told[1], rtol=0, atol=ROUNDED)


def test_absorbing_treatment() -> None:
    case = CASES["S1-dyn-4-3"]
    estimate = switching_effects(s1(), Design("y"), treatment="treated", horizons=4, placebos=3)
    points(estimate, case)
    np.testing.assert_allclose(in_order(estimate, estimate.std_errors), errors(case), rtol=SE)
    average(s1(), Design("y"), case, treatment="treated", horizons=4)
    told = np.array(case["Effects"]["values"])
    times = np.asarray(estimate.terms.get_level_values("event_time"))
    np.testing.assert_array_equal(estimate.detail["n_observations"][times >= 0], told[:, 4])
    np.testing.assert_array_equal(estimate.n_treated[times >= 0], told[:, 5])
    assert estimate.detail["joint_placebos"]["p_value"] == pytest.approx(case["p_jointplacebo"], rel=1e-8)


def given_paths(panel: Panel, treatment: str, ell: int, *, units: bool, lone: str) -> float:
    """Standard error of effect ℓ by the definition, cell by cell; ``lone``: "union", "nothing" for lone switchers."""
    y, d = panel.values("y"), panel.values(treatment)
    cluster = panel.constant("region")
    n, periods = y.shape
    first = np.array([next((t for t in range(periods) if d[i, t] != d[i, 0]), periods) for i in range(n)])
    u = np.zeros(n)
    number = 0
    for t in range(ell, periods):
        treated, others = (first - 1 + ell == t) & (first < periods), first > t
        if not treated.any() or not others.any():
            continue
        number += treated.sum()
        change = y[:, t] - y[:, t - ell]

        def put(rows: np.ndarray, both: np.ndarray, scale: float, change: np.ndarray = change) -> None:
            count = int(rows.sum()) if units else len(np.unique(cluster[rows]))
            centre = rows
            if count == 1:
                if lone == "nothing":
                    return
                centre, count = both, int(both.sum()) if units else len(np.unique(cluster[both]))
            u[rows] += scale * np.sqrt(count / (count - 1)) * (change[rows] - change[centre].mean())

        put(others, treated | others, -treated.sum() / others.sum())
        for dose in np.unique(d[treated, first[treated]]):
            same = treated & (d[np.arange(n), np.minimum(first, periods - 1)] == dose)
            put(same, treated | others, 1.0)
    sums = pd.Series(u / number).groupby(cluster).sum() if not units or lone == "cluster" else u / number
    return float(np.sqrt(np.square(sums).sum()))


def test_clusters_are_counted_as_clusters() -> None:
    """Ours, by the definition with clusters; the reference, by the definition with units."""
    case = CASES["S1-dyn-4-3-cluster"]
    design = Design("y", cluster="region")
    estimate = switching_effects(s1(), design, treatment="treated", horizons=4, placebos=3)
    points(estimate, case)
    average(s1(), design, case, error=False, treatment="treated", horizons=4)
    found = in_order(estimate, estimate.std_errors)
    for ell in (1, 2, 3, 4):
        ours = given_paths(s1(), "treated", ell, units=False, lone="union")
        theirs = given_paths(s1(), "treated", ell, units=True, lone="cluster")
        assert found[ell - 1] == pytest.approx(ours, rel=SE)
        assert errors(case)[ell - 1] == pytest.approx(theirs, rel=SE)
        assert ours > theirs


def test_lone_switchers_are_not_forgotten() -> None:
    """145 doses among 146 switchers: the reference leaves all but two of them out of the variance."""
    case = CASES["S6-dyn-dose"]
    estimate = switching_effects(s6(), Design("y"), treatment="dose", horizons=3, placebos=2)
    points(estimate, case)
    average(s6(), Design("y"), case, error=False, treatment="dose", horizons=3)
    found = in_order(estimate, estimate.std_errors)
    for ell in (1, 2, 3):
        ours = given_paths(s6(), "dose", ell, units=True, lone="union")
        theirs = given_paths(s6(), "dose", ell, units=True, lone="nothing")
        assert found[ell - 1] == pytest.approx(ours, rel=SE)
        assert errors(case)[ell - 1] == pytest.approx(theirs, rel=SE)
        assert ours > 1.3 * theirs


def test_normalised_by_tiers() -> None:
    case = CASES["S6-dyn-tier-normalized"]
    options: dict[str, Any] = {"treatment": "tier", "horizons": 3}
    estimate = switching_effects(s6(), Design("y"), placebos=2, normalized=True, **options)
    found, told = in_order(estimate, estimate.values), np.array(list(case["coef_5dec"].values()))
    np.testing.assert_allclose(found[:4], told[:4], rtol=0, atol=ROUNDED)
    np.testing.assert_allclose(in_order(estimate, estimate.std_errors)[:4], errors(case)[:4], rtol=SE)
    average(s6(), Design("y"), case, **options)
    # placebo 2: the reference divides by the dose of one period where two stand behind the horizon
    plain = switching_effects(s6(), Design("y"), placebos=2, **options)
    dose = np.array([t for t in CARRIED["S6"]["tier"] if t > 0]).mean()
    placebo = in_order(plain, plain.values)[4]
    assert found[4] == pytest.approx(placebo / (2 * dose), rel=1e-9)
    assert told[4] == pytest.approx(placebo / dose, abs=ROUNDED)
    assert estimate.detail["joint_placebos"]["p_value"] == pytest.approx(case["p_jointplacebo"], rel=1e-8)


@needs_golden
def test_counties() -> None:
    (case,) = [
        c["result"]
        for c in json.loads((GOLDEN / "open" / "dcdh_dyn_S1_S6_mpdta.json").read_text(encoding="utf-8"))[
            "cases"
        ]
        if c["id"] == "mpdta-dyn"
    ]
    frame = pd.read_csv(GOLDEN / "data" / "mpdta.csv")
    frame["d"] = ((frame["first.treat"] > 0) & (frame["year"] >= frame["first.treat"])).astype(float)
    panel = Panel.from_long(frame, unit="countyreal", period="year", varying=["lemp", "d"])
    estimate = switching_effects(panel, Design("lemp"), treatment="d", horizons=3, placebos=2)
    points(estimate, case)
    np.testing.assert_allclose(in_order(estimate, estimate.std_errors), errors(case), rtol=SE)
    average(panel, Design("lemp"), case, treatment="d", horizons=3)
    assert estimate.detail["joint_effects"]["p_value"] == pytest.approx(case["p_jointeffects"], rel=1e-8)
    assert estimate.detail["joint_placebos"]["p_value"] == pytest.approx(case["p_jointplacebo"], rel=1e-8)


def on_and_off(seed: int, doses: bool) -> Panel:
    rng = np.random.default_rng(seed)
    n, periods = 120, 7
    start = rng.integers(0, 2, n).astype(float)
    first = rng.choice([2, 3, 4, 5, periods], n)
    d = np.repeat(start[:, None], periods, axis=1)
    for i in np.flatnonzero(first < periods):
        step = rng.choice([-1, 1, 2]) if doses else 1 - 2 * start[i]
        d[i, first[i] :] += step
        if not doses and rng.random() < 0.5:
            d[i, first[i] + 2 :] = start[i]
    y = rng.normal(size=(n, periods)).cumsum(axis=1) + d + 3 * rng.normal(size=(n, 1))
    return Panel(
        np.arange(n),
        np.arange(2011, 2011 + periods),
        {"y": y, "d": d, "x": rng.normal(size=(n, periods)).cumsum(axis=1)},
        {"group": rng.integers(0, 2, n)},
    )


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("doses", [False, True])
@pytest.mark.parametrize("option", ["", "covariates", "within", "trends"])
def test_live_against_diff_diff(doses: bool, option: str) -> None:
    """Points of effects, placebos and normalised effects; its errors have no √(n/(n−1)).

    With trends only the first horizon is the same comparison: later ones use one comparison group a horizon here, a
    shrinking one there.
    """
    package = pytest.importorskip("diff_diff")
    panel = on_and_off(5, doses)
    theirs = {
        "": {},
        "covariates": {"covariates": ["x"]},
        "within": {"trends_nonparam": "group"},
        "trends": {"trends_linear": True},
    }[option]
    model = package.ChaisemartinDHaultfoeuille(drop_larger_lower=False, twfe_diagnostic=False)
    result = model.fit(panel.to_long(), "y", "unit", "period", "d", L_max=4, **theirs)
    design = Design("y", covariates=("x",) if option == "covariates" else ())
    ours: dict[str, Any] = {"treatment": "d", "horizons": 4, "crossing": "keep"}
    ours |= {"within": "group"} if option == "within" else {}
    estimate = switching_effects(panel, design, trends_linear=option == "trends", **ours)
    found = {int(e[0]): v for e, v in zip(estimate.terms, estimate.values, strict=True)}
    if option == "trends":
        assert found[0] == pytest.approx(result.linear_trends_effects[1]["effect"], rel=1e-8)
        return
    for ell, told in result.event_study_effects.items():
        assert found[ell - 1] == pytest.approx(told["effect"], rel=1e-8, abs=1e-10)
    for ell, told in result.placebo_event_study.items():
        if np.isfinite(told["effect"]):
            assert found[ell - 1] == pytest.approx(told["effect"], rel=1e-8, abs=1e-10)
    normalised = switching_effects(panel, design, normalized=True, **ours)
    found = {int(e[0]): v for e, v in zip(normalised.terms, normalised.values, strict=True)}
    for ell, told in result.normalized_effects.items():
        assert found[ell - 1] == pytest.approx(told["effect"], rel=1e-8, abs=1e-10)
