"""Interaction-weighted event study against fixest 0.14.2 sunab, and against peers.

Points 1e-8 and standard errors 1e-6 are the agreed tolerances; the two differ by rounding, so they are held to 1e-9
relative. The references are on published data, read from ../shared/golden where it is present. On S1, which is
carried, the cells add up to the stacked regression of fixest: stacked_S1.json.
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
from evalkit.estimators.sun_abraham import sun_abraham_effects
from evalkit.inference import cluster_robust
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
TOLERANCE = {"rtol": 1e-9, "atol": 1e-11}
PARTS = {"att": "overall", "period": "event_time", "cohort": "cohort", "disaggregated": "cell"}


@cache
def golden() -> dict[str, Any]:
    cases = json.loads((GOLDEN / "open" / "sunab_basestagg_mpdta.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case["result"] for case in cases}


@cache
def base_stagg() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "base_stagg.csv")
    frame["adoption"] = frame["year_treated"].where(frame["year_treated"] < 10_000, np.inf)
    return Panel.from_long(frame, unit="id", period="year", varying=["y", "x1"], fixed=["adoption"])


@cache
def minimum_wage() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "mpdta.csv")
    frame["adoption"] = frame["first.treat"].replace(0, np.inf)
    return Panel.from_long(frame, unit="countyreal", period="year", varying=["lemp"], fixed=["adoption"])


# fixest's .F is the first event time of the data
CASES: dict[str, tuple[tuple[int, ...] | None, str]] = {
    "base_stagg-sunab": (None, "CV1"),
    "base_stagg-sunab-iid": (None, "iid"),
    "base_stagg-sunab-refp": ((-9, -1), "CV1"),
    "mpdta-sunab": (None, "CV1"),
}


def label_of(part: str, term: tuple[Any, ...]) -> str:
    if part == "disaggregated":
        return f"year::{term[1]}:cohort::{term[0]}"
    return {"att": "ATT", "period": f"year::{term[0]}", "cohort": f"cohort::{term[0]}"}[part]


@needs_golden
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("case", CASES)
def test_sunab(case: str, part: str) -> None:
    """Every term of the reference, and no other; x1 is a covariate, not a term here."""
    reference, kind = CASES[case]
    panel, design = (
        (minimum_wage(), Design("lemp"))
        if case.startswith("mpdta")
        else (base_stagg(), Design("y", covariates=("x1",)))
    )
    estimate = sun_abraham_effects(panel, design, by=PARTS[part], reference=reference)  # type: ignore[arg-type]
    estimate = cluster_robust(estimate, kind)  # type: ignore[arg-type]
    result = {name: np.atleast_1d(values) for name, values in golden()[case][part].items()}
    table = {t: (e, s) for t, e, s in zip(result["term"], result["estimate"], result["se"], strict=True)}
    x1 = table.pop("x1", None)
    labels = [label_of(part, term) for term in estimate.terms]
    assert set(labels) == set(table)
    np.testing.assert_allclose(estimate.values, [table[n][0] for n in labels], **TOLERANCE)
    np.testing.assert_allclose(estimate.std_errors, [table[n][1] for n in labels], rtol=1e-9)
    assert estimate.detail["n_obs"] == golden()[case]["nobs"]
    assert (estimate.dof == golden()[case]["df_t"]).all()
    if x1 is not None:
        np.testing.assert_allclose(estimate.detail["covariate_values"], [x1[0]], **TOLERANCE)


@needs_golden
def test_every_case_is_tested() -> None:
    assert set(golden()) == set(CASES)
    assert all(set(result) == {*PARTS, "nobs", "df_t"} for result in golden().values())


def test_cells_of_S1_add_up_to_the_stacked_regression() -> None:
    """Units never treated as comparison, balanced: treated shares of the cells in the window are fixest's stack."""
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    panel = Panel.from_long(frame, unit="unit", period="year", varying=["y"], fixed=["adoption"])
    cases = json.loads((HERE / "stacked_S1.json").read_text(encoding="utf-8"))["cases"]
    coef = next(c for c in cases if c["id"] == "S1-never-3-2-weighted-es")["result"]["coef"]
    cells = sun_abraham_effects(panel, Design("y"), by="cell")
    event = np.asarray(cells.terms.get_level_values("event_time"))
    cohort = np.asarray(cells.terms.get_level_values("cohort"))
    whole = np.isin(cohort, (2014, 2016, 2017))
    for name, value in coef.items():
        at = whole & (event == int(name.split("::")[1].split(":")[0]))
        np.testing.assert_allclose(
            np.average(cells.values[at], weights=cells.n_treated[at]), value, rtol=1e-10, atol=1e-12
        )


# -- peers --------------------------------------------------------------------------------------------


def random_panel(seed: int) -> Panel:
    rng = np.random.default_rng(seed)
    n, years = 80, np.arange(1, 9)
    adoption = rng.choice([3.0, 5.0, 6.0, np.inf], n)
    y = rng.normal(size=(n, 1)) + 0.1 * years + (years >= adoption[:, None]) + rng.normal(size=(n, 8))
    return Panel(np.arange(n), years, {"y": y}, {"adoption": adoption})


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_pyfixest_saturated_event_study() -> None:
    pyfixest = pytest.importorskip("pyfixest")
    for seed in range(2):
        frame = random_panel(seed).to_long().assign(g=lambda f: f["adoption"].replace(np.inf, 0).astype(int))
        frame["unit"] = frame["unit"].astype(int)
        peer = pyfixest.event_study(frame, "y", "unit", "period", "g", estimator="saturated", cluster="unit")
        table = peer.aggregate().astype(float)
        ours = sun_abraham_effects(random_panel(seed), Design("y"))
        np.testing.assert_array_equal(table.index.to_numpy(float), ours.terms.get_level_values(0))
        np.testing.assert_allclose(ours.values, table["Estimate"], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(ours.std_errors, table["Std. Error"], rtol=1e-6)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_diff_diff() -> None:
    diff_diff = pytest.importorskip("diff_diff")
    for seed in range(2):
        panel = random_panel(seed)
        frame = panel.to_long().assign(g=lambda f: f["adoption"].replace(np.inf, 0).astype(int))
        peer = diff_diff.SunAbraham().fit(frame, "y", "unit", "period", "g")
        ours = sun_abraham_effects(panel, Design("y"))
        theirs = [peer.event_study_effects[e] for (e,) in ours.terms]
        np.testing.assert_allclose(ours.values, [t["effect"] for t in theirs], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(ours.std_errors, [t["se"] for t in theirs], rtol=1e-6)
        overall = sun_abraham_effects(panel, Design("y"), by="overall")
        np.testing.assert_allclose(overall.values, [peer.overall_att], rtol=1e-8)
        np.testing.assert_allclose(overall.std_errors, [peer.overall_se], rtol=1e-6)
