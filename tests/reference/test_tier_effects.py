"""Effects by tier against fixest 0.14.2 on the S6 panel, and against group-time effects where there is one tier.

With unit effects and tier × year dummies the regression is saturated, so its coefficients are the cells with a
universal base, and its CV1 is ours times G/(G − 1) · (N − 1)/(N − K), K the dummies and years (unit effects are nested).
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from doses_s6 import carried, case, panel_of_s6
from shared_files import GOLDEN, needs_golden

from evalkit.design import Design
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.tier_effects import tier_contrasts, tier_effects
from evalkit.panel import Panel

POINTS, ERRORS = 1e-8, 1e-6


def factor(parameters: int) -> float:
    units, rows = 240, 1440
    return np.sqrt(units / (units - 1) * (rows - 1) / (rows - parameters))


def test_cells_are_the_saturated_regression() -> None:
    effects = tier_effects(panel_of_s6(), Design("y"), tier="tier")
    golden = case("S6-tier-es")
    for name, value in golden["coef"].items():
        year, tier = int(name[6:10]), int(name.rstrip(")")[-1])
        at = effects.terms.get_loc((tier, 2013, year))
        assert effects.values[at] == pytest.approx(value, abs=POINTS)
        assert effects.std_errors[at] * factor(6 + 15) == pytest.approx(golden["se"][name], rel=ERRORS)
    assert len(golden["coef"]) + 3 == len(effects)  # and three base cells


def test_mean_of_periods_is_the_regression_with_one_dummy_a_tier() -> None:
    """post × tier: mean of the cells from 2013 on less the mean of those before."""
    effects = tier_effects(panel_of_s6(), Design("y"), tier="tier")
    after = np.asarray(effects.terms.get_level_values("period")) >= 2013
    tiers = np.asarray(effects.terms.get_level_values("tier"))
    weights = np.stack([(tiers == k) * np.where(after, 1 / 3, -1 / 3) for k in (1, 2, 3)])
    found = effects.combine(weights, ["1", "2", "3"])
    golden = case("S6-tier-att")
    np.testing.assert_allclose(found.values, list(golden["coef"].values()), atol=POINTS)
    # the regression leaves the tiers' paths within the periods in its residuals, whose cluster sums are the same
    np.testing.assert_allclose(found.std_errors * factor(6 + 3), list(golden["se"].values()), rtol=ERRORS)


def test_contrasts_are_differences_of_the_regression() -> None:
    contrasts = tier_contrasts(panel_of_s6(), Design("y"), tier="tier")
    coef = case("S6-tier-es")["coef"]
    values = {
        (name.split(" (")[0], e): v for (name, e), v in zip(contrasts.terms, contrasts.values, strict=True)
    }
    for year in (2010, 2011, 2013, 2014, 2015):
        high, low = (coef[f"year::{year}:as.integer(tier == {k})"] for k in (3, 1))
        assert values["3 − 1", year - 2013] == pytest.approx(high - low, abs=POINTS)


@needs_golden
def test_the_carried_file_is_the_golden_file() -> None:
    source = json.loads((GOLDEN / "open" / "dose_S6.json").read_text(encoding="utf-8"))
    whole = {c["id"]: c["result"] for c in source["cases"]}
    assert set(whole) == {c["id"] for c in carried()["cases"]}
    for name in ("S6-tier-att", "S6-tier-es", "S6-linear-dose", "S6-quadratic-dose"):
        assert whole[name] == case(name)
    frame = pd.read_csv(GOLDEN / "data" / "S6_dose.csv")
    wide = frame.pivot(index="unit", columns="year", values="y").to_numpy()
    np.testing.assert_array_equal(wide, panel_of_s6().values("y"))


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@pytest.mark.parametrize("method", ["dr_improved", "dr", "reg", "ipw", "ipw_ht"])
@pytest.mark.parametrize("base", ["universal", "varying"])
def test_one_tier_is_group_time_effects(comparison: str, method: str, base: str) -> None:
    rng = np.random.default_rng(5)
    n, periods = 160, 6
    adoption = rng.choice([3.0, 4.0, 6.0, np.inf], n)
    panel = Panel(
        np.arange(n),
        np.arange(1, periods + 1),
        {"y": rng.standard_normal((n, periods)).cumsum(axis=1)},
        {
            "adoption": adoption,
            "tier": np.where(np.isfinite(adoption), 2.0, np.nan),
            "x": rng.standard_normal(n),
            "w": rng.uniform(0.5, 2, n),
            "region": rng.integers(0, 8, n),
        },
    )
    design = Design("y", comparison=comparison, base=base, covariates=("x",), weight="w", cluster="region")
    ours = tier_effects(panel, design, tier="tier", method=method)
    theirs = group_time_effects(panel, design, method=method)
    assert [term[1:] for term in ours.terms] == list(theirs.terms)
    for one, other in (
        (ours.values, theirs.values),
        (ours.influence, theirs.influence),
        (ours.replicates, theirs.replicates),
        (ours.covariance, theirs.covariance),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
