"""Rolling transformation against statsmodels on the transformed numbers, published tables, TWFE and diff-diff.

No reference file covers the method. `lee_wooldridge_effects` is held against: least squares of statsmodels on numbers
transformed unit by unit (points, classic errors, HC3); two-way fixed effects under one adoption date (identity 1 of the
suite); the published table for California's tobacco law (Lee and Wooldridge 2026, Table 3, three decimals), whose data are
read from the shared folder; and diff-diff 3.13 LWDiD, live.

One difference in defaults: with covariates diff-diff fits the interacted regression.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from shared_files import GOLDEN, needs_golden

from evalkit.design import Design
from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

TIGHT = {"rtol": 1e-9, "atol": 1e-10}
YEARS = np.arange(2011, 2021)


def world(seed: int, n: int = 40, *, staggered: bool = False, treated: int = 5, holes: bool = False) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = np.full(n, np.inf)
    adoption[:treated] = 2016
    if staggered:
        adoption[treated : treated + 4] = 2018
    y = rng.normal(size=(n, len(YEARS))) + 3 * rng.normal(size=(n, 1))
    if holes:
        y[rng.random(y.shape) < 0.15] = np.nan
        y[:, [1, 3, 8]] = rng.normal(size=(n, 3))
    return Panel(
        np.arange(n),
        YEARS,
        {"y": y},
        {"adoption": adoption, "x": rng.normal(size=n), "z": rng.uniform(size=n), "region": rng.integers(0, 8, n),
         "w": rng.uniform(0.5, 2, n)},
    )  # fmt: skip


def transformed(panel: Panel, cohort: int, after: np.ndarray, kind: str) -> np.ndarray:
    """Mean residual after adoption from a regression on the unit's own past, one unit at a time  # (N,)"""
    out = np.empty(len(panel.units))
    for i, y in enumerate(panel.values("y")):
        z = np.column_stack([np.ones(len(YEARS))] + ([YEARS - 2000.0] if kind == "detrend" else []))
        past = (cohort > YEARS) & ~np.isnan(y)
        beta = np.linalg.lstsq(z[past], y[past], rcond=None)[0]
        out[i] = np.nanmean((y - z @ beta)[after])
    return out


@pytest.mark.parametrize("kind", ["demean", "detrend"])
@pytest.mark.parametrize("errors", ["exact", "HC3"])
@pytest.mark.parametrize("covariates", [(), ("x", "z")])
@pytest.mark.parametrize("holes", [False, True])
def test_one_date_against_statsmodels(
    kind: Any, errors: Any, covariates: tuple[str, ...], holes: bool
) -> None:
    panel = world(1, holes=holes)
    number = transformed(panel, 2016, YEARS >= 2016, kind)
    d = np.isfinite(panel.constant("adoption")).astype(float)
    x = np.column_stack([panel.constant(c) for c in covariates]) if covariates else np.zeros((40, 0))
    for adjustment in ("plain", "interacted"):
        more = [x] if adjustment == "plain" else [x, d[:, None] * (x - x[d == 1].mean(axis=0))]
        fit = sm.OLS(number, np.column_stack([np.ones(40), d, *more])).fit(
            cov_type="HC3" if errors == "HC3" else "nonrobust"
        )
        found = lee_wooldridge_effects(
            panel,
            Design("y", covariates=covariates),
            transformation=kind,
            errors=errors,
            adjustment=adjustment,  # type: ignore[arg-type]
        )
        np.testing.assert_allclose(found.values, fit.params[1:2], **TIGHT)
        np.testing.assert_allclose(found.std_errors, fit.bse[1:2], rtol=1e-8)
        assert found.dof[0] == fit.df_resid
        if errors == "exact":
            np.testing.assert_allclose(found.table()["p_value"], fit.pvalues[1:2], rtol=1e-8)
            np.testing.assert_allclose(
                found.table().iloc[0][["conf_low", "conf_high"]].astype(float), fit.conf_int()[1], rtol=1e-8
            )


def test_weights_against_statsmodels() -> None:
    panel = world(2)
    number = transformed(panel, 2016, YEARS >= 2016, "demean")
    d = np.isfinite(panel.constant("adoption")).astype(float)
    z = np.column_stack([np.ones(40), d, panel.constant("x")])
    fit = sm.WLS(number, z, weights=panel.constant("w")).fit()
    found = lee_wooldridge_effects(panel, Design("y", covariates=("x",), weight="w"))
    np.testing.assert_allclose(found.values, fit.params[1:2], **TIGHT)
    np.testing.assert_allclose(found.std_errors, fit.bse[1:2], rtol=1e-9)


@pytest.mark.parametrize("kind", ["demean", "detrend"])
def test_the_staggered_overall_effect_is_one_regression(kind: Any) -> None:
    """Never treated units hold the cohorts' weighted mean (Lee and Wooldridge 2025, section 7)."""
    panel = world(3, staggered=True)
    adoption = panel.constant("adoption")
    numbers = {g: transformed(panel, g, g <= YEARS, kind) for g in (2016, 2018)}
    share = {2016: 5 / 9, 2018: 4 / 9}
    number = sum(share[g] * numbers[g] for g in share)
    for g in share:
        number = np.where(adoption == g, numbers[g], number)
    d = np.isfinite(adoption).astype(float)
    fit = sm.OLS(number, np.column_stack([np.ones(40), d])).fit()
    found = lee_wooldridge_effects(panel, Design("y"), transformation=kind)
    robust = lee_wooldridge_effects(panel, Design("y"), transformation=kind, errors="HC3")
    np.testing.assert_allclose(robust.std_errors, fit.HC3_se[1:2], rtol=1e-9)
    np.testing.assert_allclose(found.values, fit.params[1:2], **TIGHT)
    np.testing.assert_allclose(found.std_errors, fit.bse[1:2], rtol=1e-9)
    assert found.detail["shares"] == [[2016.0, pytest.approx(5 / 9)], [2018.0, pytest.approx(4 / 9)]]
    cohorts = lee_wooldridge_effects(panel, Design("y"), transformation=kind, by="cohort")
    np.testing.assert_allclose(cohorts.values @ list(share.values()), found.values[0], **TIGHT)


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
def test_cells_against_statsmodels(comparison: Any) -> None:
    panel = world(4, staggered=True)
    adoption = panel.constant("adoption")
    found = lee_wooldridge_effects(panel, Design("y", comparison=comparison), by="cell")
    assert list(found.terms) == [(g, t) for g in (2016, 2018) for t in range(g, 2021)]
    for k, (g, t) in enumerate(found.terms):
        used = (adoption == g) | (adoption > t if comparison == "not_yet" else np.isinf(adoption))
        number = transformed(panel, g, t == YEARS, "demean")[used]
        fit = sm.OLS(number, sm.add_constant((adoption[used] == g).astype(float))).fit()
        assert found.values[k] == pytest.approx(fit.params[1], rel=1e-9)
        assert found.std_errors[k] == pytest.approx(fit.bse[1], rel=1e-9)
        assert found.dof[k] == used.sum() - 2


@pytest.mark.parametrize("seed", range(3))
def test_one_date_is_two_way_fixed_effects_and_a_collapsed_regression(seed: int) -> None:
    """Identity: TWFE = OLS of (mean after − mean before) on D = demeaning, with weights too."""
    panel = world(seed)
    for weight in (None, "w"):
        design = Design("y", weight=weight)
        rolling = lee_wooldridge_effects(panel, design).values
        np.testing.assert_allclose(two_way_effects(panel, design).values, rolling, **TIGHT)
        y, d = panel.values("y"), np.isfinite(panel.constant("adoption"))
        w = np.ones(40) if weight is None else panel.constant("w")
        step = y[:, YEARS >= 2016].mean(axis=1) - y[:, YEARS < 2016].mean(axis=1)
        collapsed = np.average(step[d], weights=w[d]) - np.average(step[~d], weights=w[~d])
        np.testing.assert_allclose(rolling, [collapsed], **TIGHT)


def test_seasons_against_regression_on_own_dummies() -> None:
    """Quarters: a unit-specific mean for each, and a trend."""
    rng = np.random.default_rng(5)
    t = np.arange(100, 124)
    y = rng.normal(size=(12, 24)) + rng.normal(size=(12, 4))[:, t % 4]
    adoption = np.array([114.0, 114.0, *[np.inf] * 10])
    panel = Panel(np.arange(12), t, {"y": y}, {"adoption": adoption})
    z = np.column_stack([np.ones(24), t, *[(t % 4 == s) for s in (1, 2, 3)]]).astype(float)
    past = t < 114
    number = [(row - z @ np.linalg.lstsq(z[past], row[past], rcond=None)[0])[~past].mean() for row in y]
    fit = sm.OLS(number, sm.add_constant(np.isfinite(adoption).astype(float))).fit()
    found = lee_wooldridge_effects(panel, Design("y"), transformation="detrend", season=4)
    np.testing.assert_allclose(found.values, fit.params[1:], rtol=1e-8)
    np.testing.assert_allclose(found.std_errors, fit.bse[1:], rtol=1e-8)


# -- published -------------------------------------------------------------------------------------------


@needs_golden
@pytest.mark.parametrize(
    ("kind", "average", "error", "last", "p_value"),
    [("demean", -0.422, 0.121, -0.667, None), ("detrend", -0.227, 0.094, -0.403, 0.021)],
)
def test_california_tobacco_law(
    kind: Any, average: float, error: float, last: float, p_value: float | None
) -> None:
    """Lee and Wooldridge (2026), Table 3: 39 states, log packs a head, one treated state."""
    frame = pd.read_csv(GOLDEN / "data" / "prop99.csv")
    frame["packs"] = np.log(frame["PacksPerCapita"])
    frame["adoption"] = np.where(frame["State"] == "California", 1989.0, np.inf)
    panel = Panel.from_long(frame, unit="State", period="Year", varying=["packs"], fixed=["adoption"])
    found = lee_wooldridge_effects(panel, Design("packs"), transformation=kind)
    assert found.values[0] == pytest.approx(average, abs=5e-4)
    assert found.std_errors[0] == pytest.approx(error, abs=5e-4)
    assert found.dof[0] == 37
    if p_value is not None:
        assert found.table()["p_value"].iloc[0] == pytest.approx(p_value, abs=5e-4)
    cells = lee_wooldridge_effects(panel, Design("packs"), transformation=kind, by="cell")
    assert cells.values[-1] == pytest.approx(last, abs=5e-4)
    if kind == "demean":
        assert cells.values[0] == pytest.approx(-0.168, abs=5e-4)


# -- a live peer -----------------------------------------------------------------------------------------


def peer(panel: Panel, staggered: bool, covariates: tuple[str, ...], **options: Any) -> Any:
    dd = pytest.importorskip("diff_diff.lwdid")
    frame = panel.to_long()
    frame["first"] = frame["adoption"].where(np.isfinite(frame["adoption"]), 0.0)
    frame["d"] = (frame["period"] >= frame["adoption"]).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dd.LWDiD(**options).fit(
            frame,
            "y",
            "unit",
            "period",
            "d",
            covariates=list(covariates) or None,
            **({"first_treat": "first"} if staggered else {}),
        )


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["demean", "detrend"])
@pytest.mark.parametrize("covariates", [(), ("x",)])
@pytest.mark.parametrize(("vcov", "errors"), [("classical", "exact"), ("hc3", "HC3")])
def test_one_date_against_diff_diff(kind: Any, covariates: tuple[str, ...], vcov: str, errors: Any) -> None:
    for seed in range(3):
        panel = world(seed)
        theirs = peer(panel, False, covariates, rolling=kind, vcov_type=vcov)
        found = lee_wooldridge_effects(
            panel,
            Design("y", covariates=covariates),
            transformation=kind,
            errors=errors,
            adjustment="interacted",
        )
        assert found.values[0] == pytest.approx(theirs.att, rel=1e-8)
        assert found.std_errors[0] == pytest.approx(theirs.se, rel=1e-8)


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["demean", "detrend"])
@pytest.mark.parametrize(
    ("control", "comparison"), [("never_treated", "never"), ("not_yet_treated", "not_yet")]
)
def test_staggered_against_diff_diff(kind: Any, control: str, comparison: Any) -> None:
    panel = world(7, staggered=True)
    theirs = peer(panel, True, (), rolling=kind, vcov_type="classical", control_group=control)
    design = Design("y", comparison=comparison)
    cells = lee_wooldridge_effects(panel, design, transformation=kind, by="cell")
    for k, (g, t) in enumerate(cells.terms):
        cell = theirs.cohort_time_effects[float(g), t]
        assert cells.values[k] == pytest.approx(cell["att"], rel=1e-8)
        assert cells.std_errors[k] == pytest.approx(cell["se"], rel=1e-8)
    if control == "never_treated":
        found = lee_wooldridge_effects(panel, design, transformation=kind)
        assert found.values[0] == pytest.approx(theirs.att, rel=1e-8)
        assert found.std_errors[0] == pytest.approx(theirs.se, rel=1e-8)


@needs_golden
@pytest.mark.peer
def test_castle_laws_against_diff_diff() -> None:
    """Two cohorts of one state each, 2005 and 2009. (The peer's HC3 is NaN here.)"""
    frame = pd.read_csv(GOLDEN / "data" / "castle.csv")
    frame["adoption"] = frame["effyear"].where(frame["effyear"] > 0, np.inf)
    panel = Panel.from_long(frame, unit="state", period="year", varying=["l_homicide"], fixed=["adoption"])
    panel = Panel(panel.units, panel.periods, {"y": panel.values("l_homicide")}, panel.fixed)
    theirs = peer(panel, True, (), vcov_type="classical", control_group="never_treated")
    found = lee_wooldridge_effects(panel, Design("y"))
    assert found.values[0] == pytest.approx(theirs.att, rel=1e-8)
    assert found.std_errors[0] == pytest.approx(theirs.se, rel=1e-8)
