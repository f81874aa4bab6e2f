"""Inference against clubSandwich 0.6.0 (CR2, CR3, HTZ) and did 2.5.1 (multiplier bootstrap).

Analytic numbers differ by rounding only and are held to 1e-9 relative; the bootstrap to 5 % (25 000 draws there, as
many here: Monte Carlo error of either is below 1 % for standard errors). S1 is carried in two_way_S1.json.
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

from evalkit import aggregate
from evalkit.arrays.cluster import jackknife_covariance, leave_one_out
from evalkit.arrays.two_way import demean, projection
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import (
    Bootstrap,
    bias_reduced,
    cluster_jackknife,
    cluster_robust,
    multiplier_bootstrap,
    wald,
)
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-9
CARRIED: dict[str, Any] = json.loads((HERE / "two_way_S1.json").read_text(encoding="utf-8"))["clubsandwich"]

NOT_COVERED = {
    "S1-pooled": "no unit effects: tests/reference/test_cluster_covariances.py",
    "CR1S": "Stata's convention: tests/reference/test_cluster_covariances.py",
}
COVERED = {
    "S1-twfe-lm-region-CR0",
    "S1-twfe-lm-region-CR1",
    "S1-twfe-lm-region-CR2",
    "S1-twfe-lm-region-absorbed-CR2",
    "S1-twfe-lm-region-absorbed-CR3",
    "S1-es-region-CR2",
    "S1-es-region-Wald-pretrend",
}


def rows(case: dict[str, Any], names: list[str]) -> list[np.ndarray]:
    at = [list(case["Coef"]).index(name) for name in names]
    return [np.asarray(case[column], dtype=float)[at] for column in ("beta", "SE", "df_Satt")]


@cache
def s1() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    return Panel.from_long(
        frame, unit="unit", period="year", varying=["y", "x2", "treated"], fixed=["adoption", "region"]
    )


@cache
def by_region() -> Estimate:
    return two_way_effects(s1(), Design("y", covariates=("x2",), cluster="region"))


@cache
def events() -> Estimate:
    return two_way_event_study(s1(), Design("y", cluster="region"), window=(-4, 3))


def test_every_case_on_S1_is_tested_or_named() -> None:
    left = set(CARRIED) - COVERED
    assert set(CARRIED) >= COVERED
    assert not {case for case in left if not any(word in case for word in NOT_COVERED)}


@pytest.mark.parametrize(("case", "factor"), [("CR0", 1.0), ("CR1", 14 / 13)])
def test_cluster_robust_without_small_sample_terms(case: str, factor: float) -> None:
    _, errors, _ = rows(CARRIED[f"S1-twfe-lm-region-{case}"], ["treated", "x2"])
    plain = cluster_robust(by_region(), "CR0")
    np.testing.assert_allclose(plain.std_errors * np.sqrt(factor), errors, rtol=TOLERANCE)


@pytest.mark.parametrize("case", ["S1-twfe-lm-region-CR2", "S1-twfe-lm-region-absorbed-CR2"])
def test_bias_reduced(case: str) -> None:
    beta, errors, dof = rows(CARRIED[case], ["treated", "x2"])
    estimate = bias_reduced(by_region())
    np.testing.assert_allclose(estimate.values, beta, rtol=TOLERANCE)
    np.testing.assert_allclose(estimate.std_errors, errors, rtol=TOLERANCE)
    np.testing.assert_allclose(estimate.dof, dof, rtol=TOLERANCE)


def test_bias_reduced_event_study() -> None:
    beta, errors, dof = rows(CARRIED["S1-es-region-CR2"], ["rm4", "rm3", "rm2", "rp0", "rp1", "rp2", "rp3"])
    estimate = bias_reduced(events())
    np.testing.assert_allclose(estimate.values, beta, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(estimate.std_errors, errors, rtol=TOLERANCE)
    np.testing.assert_allclose(estimate.dof, dof, rtol=TOLERANCE)


def test_joint_pre_trend_test_is_HTZ() -> None:
    case = CARRIED["S1-es-region-Wald-pretrend"]
    at = case["test"].index("HTZ")
    test = wald(bias_reduced(events()), np.array([0, 1, 2]))
    np.testing.assert_allclose(test.statistic, case["Fstat"][at], rtol=1e-8)
    np.testing.assert_allclose(test.df_denominator, float(case["df_denom"][at]), rtol=TOLERANCE)
    np.testing.assert_allclose(test.p_value, case["p_val"][at], rtol=TOLERANCE)
    assert test.df == case["df_num"][at]


def fixed_projection(panel: Panel, names: list[str], outcome: str, cluster: str) -> np.ndarray:
    """CR3 as clubSandwich has it for a plm "within": unit and period means are not taken again without a cluster."""
    effects = projection(None)
    x = np.stack([demean(panel.values(name), effects) for name in names])
    y = demean(panel.values(outcome), effects)
    codes, labels = panel.clusters(cluster)
    parts = [(x[:, codes == c], y[codes == c]) for c in range(len(labels))]
    gram = np.array([np.einsum("knt,lnt->kl", a, a) for a, _ in parts])
    cross = np.array([np.einsum("knt,nt->k", a, b) for a, b in parts])
    replicates = leave_one_out(gram, cross, np.arange(len(names)))
    centre = np.linalg.solve(gram.sum(axis=0), cross.sum(axis=0))
    scale = len(labels) / (len(labels) - 1)
    return np.sqrt(np.diag(jackknife_covariance(replicates, centre)) * scale)


def test_jackknife_algebra_is_CR3_when_the_projection_is_held_fixed() -> None:
    _, errors, _ = rows(CARRIED["S1-twfe-lm-region-absorbed-CR3"], ["treated", "x2"])
    np.testing.assert_allclose(
        fixed_projection(s1(), ["treated", "x2"], "y", "region"), errors, rtol=TOLERANCE
    )


def test_jackknife_estimates_the_period_effects_anew() -> None:
    """CV3 is a jackknife of the whole regression, so it is a little wider than the fixed projection."""
    ours = cluster_jackknife(by_region()).std_errors * np.sqrt(14 / 13)
    fixed = fixed_projection(s1(), ["treated", "x2"], "y", "region")
    assert (ours > fixed).all()
    keep = s1().clusters("region")[0] != 3
    again = two_way_effects(s1().select(keep), Design("y", covariates=("x2",), cluster="region"))
    replicates = by_region().replicates
    assert replicates is not None
    np.testing.assert_allclose(replicates[3], again.values, rtol=1e-10)


# -- published data, where they are ----------------------------------------------------------------


@cache
def golden(name: str) -> dict[str, Any]:
    cases = json.loads((GOLDEN / "open" / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case["result"] for case in cases}


@cache
def castle() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "castle.csv").assign(state=lambda f: f["sid"])
    return Panel.from_long(
        frame, unit="sid", period="year", varying=["l_homicide", "post"], fixed=["popwt", "state"]
    )


@needs_golden
@pytest.mark.parametrize(
    ("case", "weight"),
    [
        ("castle-twfe-sid-CR2", None),
        ("castle-twfe-sid-absorbed-CR2", None),
        ("castle-twfe-w-sid-CR2", "popwt"),
    ],
)
def test_bias_reduced_on_castle(case: str, weight: str | None) -> None:
    """With weights the reference's working model is equal variances (its default for a weighted lm)."""
    beta, errors, dof = rows(golden("clubsandwich_S1_castle")[case], ["post"])
    estimate = bias_reduced(two_way_effects(castle(), Design("l_homicide", weight=weight), treatment="post"))
    assert estimate.detail["working"] == "identity"
    np.testing.assert_allclose(estimate.values, beta, rtol=TOLERANCE)
    np.testing.assert_allclose(estimate.std_errors, errors, rtol=TOLERANCE)
    np.testing.assert_allclose(estimate.dof, dof, rtol=TOLERANCE)


@needs_golden
@pytest.mark.parametrize("weight", [None, "popwt"])
def test_cluster_robust_on_castle(weight: str | None) -> None:
    name = "castle-twfe-sid-" if weight is None else "castle-twfe-w-sid-"
    plain = cluster_robust(
        two_way_effects(castle(), Design("l_homicide", weight=weight), treatment="post"), "CR0"
    )
    for kind, factor in (("CR0", 1.0), ("CR1", 50 / 49)):
        _, errors, _ = rows(golden("clubsandwich_S1_castle")[name + kind], ["post"])
        np.testing.assert_allclose(plain.std_errors * np.sqrt(factor), errors, rtol=TOLERANCE)


@needs_golden
def test_jackknife_algebra_on_castle() -> None:
    _, errors, _ = rows(golden("clubsandwich_S1_castle")["castle-twfe-sid-absorbed-CR3"], ["post"])
    np.testing.assert_allclose(
        fixed_projection(castle(), ["post"], "l_homicide", "state"), errors, rtol=TOLERANCE
    )


# -- multiplier bootstrap ----------------------------------------------------------------------------


@cache
def county_effects() -> Estimate:
    frame = pd.read_csv(GOLDEN / "data" / "mpdta.csv")
    frame["adoption"] = frame["first.treat"].replace(0, np.inf)
    panel = Panel.from_long(
        frame, unit="countyreal", period="year", varying=["lemp"], fixed=["adoption", "lpop"]
    )
    design = Design("lemp", comparison="never", base="varying", covariates=("lpop",))
    return group_time_effects(panel, design, method="dr")


@cache
def boot(which: str) -> Bootstrap:
    source = county_effects() if which == "att_gt" else aggregate.event_study(county_effects())
    return multiplier_bootstrap(source, draws=25_000, seed=7)


@needs_golden
@pytest.mark.parametrize("which", ["att_gt", "dynamic"])
def test_bootstrap_errors_and_critical_value(which: str) -> None:
    case = golden("did_mpdta_bootstrap")["mpdta-boot-simult"][which]
    result = boot(which)
    np.testing.assert_allclose(result.estimate.values, case["att"], atol=1e-8)
    np.testing.assert_allclose(result.estimate.std_errors, case["se"], rtol=0.05)
    np.testing.assert_allclose(result.band.critical, case["crit_val"]["95%"], rtol=0.05)


@needs_golden
def test_joint_test_of_pre_periods_with_many_clusters_is_chi_squared() -> None:
    """did prints W and its p-value for the cells before adoption (group-time effects before g)."""
    case = golden("did_mpdta_bootstrap")["mpdta-boot-simult"]["att_gt"]
    cells = county_effects()
    before = np.asarray(
        cells.terms.get_level_values("period") < cells.terms.get_level_values("cohort"), dtype=bool
    )
    test = wald(cells, before)
    np.testing.assert_allclose(test.statistic, case["wald_pretest"], rtol=1e-6)
    np.testing.assert_allclose(test.p_value, case["wald_pvalue"], atol=5e-6)
    assert test.df_denominator == np.inf
