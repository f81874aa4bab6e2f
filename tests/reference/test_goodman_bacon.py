"""Goodman-Bacon decomposition against R bacondecomp 0.1.3 (castle, math reform, mpdta) and, live, diff_diff 3.13.

The golden data are those of packages and are read from ../shared; S1 carries a decomposition by hand below. Estimates
and weights 1e-9 (both sides are closed forms).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shared_files import GOLDEN, needs_golden

from evalkit.design import Design
from evalkit.estimators.goodman_bacon import goodman_bacon_decomposition
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
TIGHT = {"rtol": 1e-9, "atol": 1e-12}
KINDS = {
    "Treated vs Untreated": "treated_vs_never",
    "Earlier vs Later Treated": "earlier_vs_later",
    "Later vs Earlier Treated": "later_vs_earlier",
}
FILES = {
    "castle-bacon": ("castle", "sid", "year", "l_homicide", "post"),
    "math-bacon": ("math_reform", "state", "class", "incearn_ln", "reform_math"),
    "mpdta-bacon": ("mpdta", "countyreal", "year", "lemp", ""),
}


def golden() -> dict[str, Any]:
    text = (GOLDEN / "open" / "bacon_castle_math_mpdta.json").read_text(encoding="utf-8")
    return {case["id"]: case["result"] for case in json.loads(text)["cases"]}


@needs_golden
def test_every_case_is_tested() -> None:
    assert set(golden()) == set(FILES)


@needs_golden
@pytest.mark.parametrize("name", list(FILES))
def test_against_bacondecomp(name: str) -> None:
    file, unit, period, outcome, post = FILES[name]
    frame = pd.read_csv(GOLDEN / "data" / f"{file}.csv")
    if post:
        first = frame[frame[post] > 0].groupby(unit)[period].min()
        frame["adoption"] = frame[unit].map(first).fillna(np.inf)
    else:
        frame["adoption"] = frame["first.treat"].where(frame["first.treat"] > 0, np.inf)
    panel = Panel.from_long(frame, unit=unit, period=period, varying=[outcome], fixed=["adoption"])
    estimate = goodman_bacon_decomposition(panel, Design(outcome))
    told = golden()[name]
    table = told["table"]
    assert len(estimate) == told["n_rows"]
    place = {term: k for k, term in enumerate(estimate.terms)}
    at = [
        place[(KINDS[kind], int(cohort), "never" if str(other) == "Inf" else f"{float(other):g}")]
        for kind, cohort, other in zip(table["type"], table["treated"], table["untreated"], strict=True)
    ]
    np.testing.assert_allclose(estimate.values[at], table["estimate"], **TIGHT)
    np.testing.assert_allclose(estimate.detail["weight"][at], table["weight"], **TIGHT)
    assert estimate.detail["two_way"] == pytest.approx(told["twfe"], rel=1e-9)
    for row in estimate.detail["by_type"]:
        if "by_type" in told:
            (j,) = [j for j, kind in enumerate(told["by_type"]["type"]) if KINDS[kind] == row["type"]]
            assert row["weight"] == pytest.approx(told["by_type"]["weight"][j], rel=1e-9)
            assert row["effect"] == pytest.approx(told["by_type"]["avg_estimate"][j], rel=1e-9)


def s1() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    return Panel.from_long(frame, unit="unit", period="year", varying=["y"], fixed=["adoption", "region"])


def test_one_comparison_by_hand() -> None:
    """2016 against 2014 on S1: the window is 2014 to 2019, when the comparison is treated throughout."""
    panel = s1()
    estimate = goodman_bacon_decomposition(panel, Design("y", cluster="region"))
    y, adoption, years = panel.values("y"), panel.constant("adoption"), panel.periods
    late, early = y[adoption == 2016], y[adoption == 2014]
    after, before = years >= 2016, (years >= 2014) & (years < 2016)
    by_hand = (late[:, after].mean() - late[:, before].mean()) - (
        early[:, after].mean() - early[:, before].mean()
    )
    (k,) = [k for k, t in enumerate(estimate.terms) if t == ("later_vs_earlier", 2016, "2014")]
    assert estimate.values[k] == pytest.approx(by_hand, rel=1e-12)
    # equation 10c: ((n_k + n_l) D̄_k)² n_kl(1 − n_kl) · D̄_l/D̄_k · (D̄_k − D̄_l)/D̄_k, here relative to that against never
    sizes = {g: (adoption == g).mean() for g in (2014, 2016, 2017, np.inf)}
    share = {2014: 0.6, 2016: 0.4}
    pair = sizes[2014] + sizes[2016]
    mix = sizes[2014] * sizes[2016] / pair**2
    late_weight = (pair * share[2014]) ** 2 * mix * (0.4 / 0.6) * (0.2 / 0.6)
    both = sizes[2016] + sizes[np.inf]
    never_weight = both**2 * sizes[2016] * sizes[np.inf] / both**2 * 0.4 * 0.6
    (j,) = [j for j, t in enumerate(estimate.terms) if t == ("treated_vs_never", 2016, "never")]
    ratio = estimate.detail["weight"][k] / estimate.detail["weight"][j]
    assert ratio == pytest.approx(late_weight / never_weight, rel=1e-12)
    assert estimate.detail["two_way"] == pytest.approx(
        two_way_effects(panel, Design("y")).values[0], rel=1e-10
    )


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4, 10))
def test_live_against_diff_diff(seed: int) -> None:
    package = pytest.importorskip("diff_diff")
    rng = np.random.default_rng(seed)
    years = np.arange(2001, 2010)
    adoption = rng.choice([2003.0, 2005.0, 2008.0, np.inf], 80)
    y = rng.normal(size=(80, 9)).cumsum(axis=1) + 0.5 * (years >= adoption[:, None])
    panel = Panel(np.arange(80), years, {"y": y}, {"adoption": adoption})
    frame = panel.to_long()
    frame["first"] = np.where(np.isfinite(frame["adoption"]), frame["adoption"], 0).astype(int)
    result = package.BaconDecomposition(weights="exact").fit(frame, "y", "unit", "period", "first")
    estimate = goodman_bacon_decomposition(panel, Design("y"))
    assert estimate.detail["two_way"] == pytest.approx(result.twfe_estimate, rel=1e-9)
    found = {(int(t[1]), str(t[2])): k for k, t in enumerate(estimate.terms)}
    assert len(result.comparisons) == len(estimate)
    for told in result.comparisons:
        other = "never" if told.comparison_type == "treated_vs_never" else str(int(told.control_group))
        k = found[(int(told.treated_group), other)]
        assert estimate.values[k] == pytest.approx(told.estimate, rel=1e-9)
        assert estimate.detail["weight"][k] == pytest.approx(told.weight, rel=1e-9)
