"""Panel regressions against R plm 2.6.6 on Grunfeld's and Munnell's data, fixest and sandwich.

Coefficients agree to 1e-8 and errors to 1e-6. Every case of the four files is tested here (or where ELSEWHERE says) or
stands in NOT_COVERED with the reason; where a factor of the reference differs its exact ratio is asserted.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shared_files import GOLDEN, needs_golden

from evalkit.checks.hausman import hausman
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.panel_regression import panel_regression
from evalkit.panel import Panel

POINTS, ERRORS = 1e-8, 1e-6
SETS = {
    "grunfeld": (Design("inv"), ("value", "capital")),
    "produc": (Design("lgsp"), ("lpcap", "lpc", "lemp", "unemp")),
}
SAME = {
    "pooling": {"model": "pooled", "covariance": "classic"},
    "within": {"model": "fixed", "covariance": "classic"},
    "within-twoways": {"model": "two_way", "covariance": "classic"},
    "within-time": {"model": "period", "covariance": "classic"},
    "between": {"model": "between", "covariance": "classic"},
    "fd": {"model": "first_difference", "covariance": "classic", "drift": True},
    "random-swar": {"model": "random", "covariance": "classic"},
    "mundlak-re-swar": {"model": "correlated_random", "covariance": "classic"},
    "within-arellano-HC0": {"model": "fixed", "small_sample": False},
    "within-arellano-sss": {"model": "fixed"},
    "within-DK-lag1": {"model": "fixed", "covariance": "driscoll_kraay", "lags": 1, "small_sample": False},
    "within-DK-lag2": {"model": "fixed", "covariance": "driscoll_kraay", "lags": 2, "small_sample": False},
    "within-DK-lag3": {"model": "fixed", "covariance": "driscoll_kraay", "lags": 3, "small_sample": False},
    "within-doubleclust": {"model": "fixed", "covariance": "cluster_period", "small_sample": False},
}
# cases whose numbers are compared in a test of their own, below
OTHERWISE = (
    "pFtest",
    "hausman-chisq",
    "hausman-aux",
    "within-white1-HC1",
    "within-arellano-HC1",
    "within-DK-default-sss",
)
LEVERAGE = "covariances scaled by leverage are not offered: bias_reduced (CR2) of two_way_effects is"
NOT_COVERED = {
    "random-amemiya": "variance components of Amemiya are not offered",
    "random-walhus": "variance components of Wallace and Hussain are not offered",
    "random-nerlove": "variance components of Nerlove are not offered",
    "within-arellano-HC3": LEVERAGE,
    "pooling-BK-pcse": "panel-corrected errors are not offered: they need more periods than units",
    "within-fixef": "the unit effects are not reported: each rests on a handful of periods",
    "BP-lm": "no test of pooling by a Lagrange multiplier: the F test stands in detail",
}
SANDWICH = {
    "vcovHC-HC0": {"covariance": "robust", "small_sample": False},
    "vcovHC-HC1": {"covariance": "robust"},
    "vcovCL-HC0-cadjustFALSE": {"covariance": "cluster", "small_sample": False},
    "vcovCL-HC1-cadjustTRUE": {"covariance": "cluster"},
}
# one of the two factors alone: against the errors without any
SANDWICH_FACTOR = {"vcovCL-HC0-cadjustTRUE": 10 / 9, "vcovCL-HC1-cadjustFALSE": 199 / 197}
SANDWICH_NOT_COVERED = {
    **{f"vcovHC-HC{kind}": LEVERAGE for kind in (2, 3, 4)},
    **{f"vcovCL-HC{kind}-cadjust{adjust}": LEVERAGE for kind in (2, 3) for adjust in ("TRUE", "FALSE")},
    "vcovCL-twoway": "a factor for each dimension; here one factor, of the smaller dimension, as in fixest",
    "vcovCL-twoway-multi0": "no clusters within the period in the intersection: not offered",
    "vcovPL": "the same kernel on pooled least squares with firms and another bandwidth: not offered",
    "vcovPC": "panel-corrected errors are not offered: they need more periods than units",
    "NeweyWest-timeseries1": "the time series of one firm is no panel",
}
PETERSEN = {
    '"iid"': ("firm", {"covariance": "classic"}),
    '"hetero"': ("firm", {"covariance": "robust"}),
    "~firm": ("firm", {"covariance": "cluster"}),
    "conventional-~firm": ("firm", {"covariance": "cluster"}),
    "~year": ("year", {"covariance": "cluster"}),
    "conventional-~year": ("year", {"covariance": "cluster"}),
    "~firm + year": ("firm", {"covariance": "cluster_period"}),
}
PETERSEN_NOT_COVERED = {"conventional-~firm + year": "a factor for each dimension is not offered"}
TWO_BY_TWO = {f"kielmc-2x2{more}-{kind}" for more in ("", "-cov") for kind in ("iid", "hetero")} | {
    "base_did-2x2-cluster"
}
ELSEWHERE = {"base_did-2x2-fe": "test_two_way.py::test_common_adoption"}
TWO_BY_TWO_NOT_COVERED = {
    f"kielmc-2x2{more}-{kind}": LEVERAGE for more in ("", "-cov") for kind in ("HC2", "HC3")
}


@cache
def data(name: str) -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / f"{name}.csv")
    if name == "grunfeld":
        return Panel.from_long(frame, unit="firm", period="year", varying=["inv", "value", "capital"])
    for new, old in (("lgsp", "gsp"), ("lpcap", "pcap"), ("lpc", "pc"), ("lemp", "emp")):
        frame[new] = np.log(frame[old])
    return Panel.from_long(frame, unit="state", period="year", varying=["lgsp", *SETS["produc"][1]])


@cache
def golden(name: str) -> dict[str, Any]:
    text = (GOLDEN / "open" / f"{name}.json").read_text(encoding="utf-8")
    return {case["id"]: case["result"] for case in json.loads(text)["cases"]}


def cases() -> dict[str, Any]:
    return golden("plm_grunfeld_produc")


def run(name: str, **options: Any) -> Estimate:
    design, regressors = SETS[name]
    return panel_regression(data(name), design, regressors=regressors, **options)


def agree(estimate: Estimate, case: dict[str, Any]) -> None:
    names = [{"constant": "(Intercept)"}.get(t[0], t[0].replace("mean_", "m_")) for t in estimate.terms]
    assert set(names) == set(case["coef"])
    np.testing.assert_allclose(estimate.values, [case["coef"][n] for n in names], rtol=POINTS)
    np.testing.assert_allclose(estimate.std_errors, [case["se"][n] for n in names], rtol=ERRORS)


@needs_golden
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", SAME)
def test_plm(name: str, kind: str) -> None:
    case = cases()[f"{name}-{kind}"]
    estimate = run(name, **SAME[kind])
    agree(estimate, case)
    if "df_resid" in case and kind not in ("random-swar", "mundlak-re-swar", "fd"):
        assert estimate.detail["df_resid"] == case["df_resid"]
    if "sigma2" in case:
        np.testing.assert_allclose(
            estimate.detail["variance_idiosyncratic"], case["sigma2"]["idios"], rtol=POINTS
        )
        np.testing.assert_allclose(estimate.detail["variance_effects"], case["sigma2"]["id"], rtol=POINTS)
        np.testing.assert_allclose(estimate.detail["theta_max"], case["theta"][0], rtol=POINTS)


@needs_golden
def test_every_case_is_covered_or_named() -> None:
    kinds = [*SAME, *OTHERWISE, *NOT_COVERED]
    assert len(set(kinds)) == len(kinds)
    assert set(cases()) == {f"{name}-{kind}" for name in SETS for kind in kinds}
    assert set(golden("sandwich_grunfeld")) == {
        f"grunfeld-{kind}" for kind in (*SANDWICH, *SANDWICH_FACTOR, *SANDWICH_NOT_COVERED)
    }
    assert set(golden("cluster_petersen")) == {
        f"petersen-{kind}" for kind in (*PETERSEN, *PETERSEN_NOT_COVERED)
    }
    assert set(golden("did2x2_kielmc_basedid")) == {*TWO_BY_TWO, *ELSEWHERE, *TWO_BY_TWO_NOT_COVERED}


@needs_golden
@pytest.mark.parametrize("name", SETS)
def test_factors_of_plm_that_do_not_count_the_effects(name: str) -> None:
    """HC1: n/(n−K) in plm, with clusters too; white here n/(n−K−N); DK sss (n−1)/(n−K) T/(T−1), here n/(n−K−N)."""
    panel, k = data(name), len(SETS[name][1])
    n, units, t = panel.shape[0] * panel.shape[1], *panel.shape
    white = run(name, model="fixed", covariance="robust")
    case = cases()[f"{name}-within-white1-HC1"]["se"]
    ratio = np.sqrt((n / (n - k - units)) / (n / (n - k)))
    # plm counts n/(n − K) with K = slopes
    np.testing.assert_allclose(white.std_errors / [case[v[0]] for v in white.terms], ratio, rtol=1e-9)
    plain = run(name, model="fixed", covariance="cluster", small_sample=False)
    case = cases()[f"{name}-within-arellano-HC1"]["se"]
    np.testing.assert_allclose(
        plain.std_errors * np.sqrt(n / (n - k)), [case[v[0]] for v in plain.terms], rtol=1e-9
    )
    robust = run(name, model="fixed", covariance="driscoll_kraay", lags=2)
    case = cases()[f"{name}-within-DK-default-sss"]["se"]
    ratio = np.sqrt((n / (n - k - units)) / ((n - 1) / (n - k) * t / (t - 1)))
    np.testing.assert_allclose(robust.std_errors / [case[v[0]] for v in robust.terms], ratio, rtol=1e-9)


@needs_golden
@pytest.mark.parametrize("name", SETS)
def test_f_test_of_the_effects(name: str) -> None:
    case = cases()[f"{name}-pFtest"]
    detail = run(name, model="fixed").detail
    np.testing.assert_allclose(detail["f_pooled"], case["statistic"], rtol=POINTS)
    np.testing.assert_allclose(detail["f_pooled_p"], case["pvalue"], rtol=1e-5)


@needs_golden
@pytest.mark.parametrize("name", SETS)
def test_hausman(name: str) -> None:
    design, regressors = SETS[name]
    classic = hausman(data(name), design, regressors=regressors, kind="classic")
    case = cases()[f"{name}-hausman-chisq"]
    np.testing.assert_allclose(
        [classic.statistic, classic.p_value], [case["statistic"], case["pvalue"]], rtol=POINTS
    )
    assert classic.detail["dof"] == case["df"]
    # the difference of covariances is not positive definite on Munnell's data: no verdict, where plm gives one
    assert classic.verdict == ("unknown" if name == "produc" else "pass")


@needs_golden
@pytest.mark.parametrize("name", SETS)
def test_hausman_by_unit_means(name: str) -> None:
    case = cases()[f"{name}-mundlak-re-swar"]
    plain = run(name, model="correlated_random", covariance="classic").detail
    np.testing.assert_allclose(plain["mean_wald"], case["mundlak_wald_chisq"], rtol=1e-7)
    np.testing.assert_allclose(plain["mean_wald"], cases()[f"{name}-hausman-aux"]["statistic"], rtol=1e-7)
    np.testing.assert_allclose(plain["mean_wald_p"], case["mundlak_p"], rtol=1e-7)
    clustered = run(name, model="correlated_random", covariance="cluster", small_sample=False).detail
    np.testing.assert_allclose(clustered["mean_wald"], case["mundlak_wald_cluster"], rtol=1e-7)


def pooled(
    file: str, outcome: str, regressors: tuple[str, ...], unit: str, **options: Any
) -> dict[str, float]:
    """Errors of a pooled regression by name, R's name for the constant; firm or year is the unit, the other the period."""
    frame = pd.read_csv(GOLDEN / "data" / f"{file}.csv")
    period = "firm" if unit == "year" else "year"
    panel = Panel.from_long(frame, unit=unit, period=period, varying=[outcome, *regressors])
    found = panel_regression(panel, Design(outcome), model="pooled", regressors=regressors, **options)
    names = ["(Intercept)" if t[0] == "constant" else t[0] for t in found.terms]
    return dict(zip(names, found.std_errors.tolist(), strict=True))


@needs_golden
@pytest.mark.parametrize("case", PETERSEN)
def test_petersens_data(case: str) -> None:
    """fixest 0.14. Clusters of the year alone: years as the units."""
    unit, options = PETERSEN[case]
    wanted = golden("cluster_petersen")[f"petersen-{case}"]["se"]
    found = pooled("petersen", "y", ("x",), unit, replicates=False, **options)
    np.testing.assert_allclose([found[k] for k in wanted], list(wanted.values()), rtol=ERRORS)


@needs_golden
@pytest.mark.parametrize("case", [*SANDWICH, *SANDWICH_FACTOR])
def test_sandwich_on_grunfeld(case: str) -> None:
    """R sandwich."""
    wanted = golden("sandwich_grunfeld")[f"grunfeld-{case}"]["se"]
    options = SANDWICH.get(case, SANDWICH["vcovCL-HC0-cadjustFALSE"])
    found = pooled("grunfeld", "inv", ("value", "capital"), "firm", **options)
    scale = np.sqrt(SANDWICH_FACTOR.get(case, 1.0))
    np.testing.assert_allclose([found[k] * scale for k in wanted], list(wanted.values()), rtol=ERRORS)


@needs_golden
def test_two_by_two_of_a_panel_clustered_by_unit() -> None:
    """Group, after and their product on pooled rows; the same point with unit and period effects, the panel balanced."""
    frame = pd.read_csv(GOLDEN / "data" / "base_did.csv").assign(both=lambda f: f["treat"] * f["post"])
    panel = Panel.from_long(frame, unit="id", period="period", varying=["y", "both", "post"], fixed=["treat"])
    case = golden("did2x2_kielmc_basedid")["base_did-2x2-cluster"]
    names = {"constant": "(Intercept)", "both": "treat:post"}
    found = panel_regression(panel, Design("y"), model="pooled", regressors=("treat", "post", "both"))
    at = [names.get(t[0], t[0]) for t in found.terms]
    assert set(at) == set(case["coef"])
    np.testing.assert_allclose(found.values, [case["coef"][n] for n in at], rtol=POINTS)
    np.testing.assert_allclose(found.std_errors, [case["se"][n] for n in at], rtol=ERRORS)
    assert (found.dof == case["df_t"]).all()
    same = panel_regression(panel, Design("y"), model="two_way", regressors=("both",))
    np.testing.assert_allclose(same.values, [case["coef"]["treat:post"]], rtol=POINTS)


HOUSES = ("age", "agesq", "intst", "land", "area", "rooms", "baths")


@needs_golden
@pytest.mark.parametrize("covariates", [(), HOUSES])
@pytest.mark.parametrize(("covariance", "theirs"), [("classic", "iid"), ("robust", "hetero")])
def test_two_by_two_of_houses_seen_once(covariates: tuple[str, ...], covariance: str, theirs: str) -> None:
    """Kiel and McClain's incinerator: difference-in-differences on repeated cross-sections as pooled least squares."""
    frame = pd.read_csv(GOLDEN / "data" / "kielmc.csv").assign(house=lambda f: np.arange(len(f)))
    frame["near_after"] = frame["nearinc"] * frame["y81"]
    names = ["nearinc", "y81", "near_after", *covariates]
    panel = Panel.from_long(frame, unit="house", period="year", varying=["rprice"], fixed=names)
    case = golden("did2x2_kielmc_basedid")[f"kielmc-2x2{'-cov' if covariates else ''}-{theirs}"]
    found = panel_regression(
        panel, Design("rprice"), model="pooled", regressors=names, covariance=covariance, replicates=False
    )
    at = [t[0] for t in found.terms].index("near_after")
    np.testing.assert_allclose(found.values[at], case["coef"]["nearinc:y81"], rtol=POINTS)
    np.testing.assert_allclose(found.std_errors[at], case["se"]["nearinc:y81"], rtol=ERRORS)


# -- live, random panels -----------------------------------------------------------------------------


def random_panel(seed: int, holes: bool) -> Panel:
    """Two regressors, one fixed variable that groups units; no unit seen once."""
    rng = np.random.default_rng(seed)
    n, years = 70, np.arange(2001, 2009)
    a = rng.normal(size=(n, 1))
    x, z = rng.normal(size=(2, n, 8)) + 0.5 * a
    y = a + 0.3 * np.sin(years) + 0.8 * x - 0.4 * z + rng.normal(size=(n, 8))
    if holes:
        y[:, 2:][rng.random((n, 6)) < 0.2] = np.nan
    fixed = {"region": rng.permutation(n) % 14, "w": rng.uniform(0.5, 3, n)}
    return Panel(np.arange(n), years, {"y": y, "x": x, "z": z, "wt": rng.uniform(0.5, 3, (n, 8))}, fixed)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("weight", [None, "wt"])
@pytest.mark.parametrize("cluster", [None, "region"])
@pytest.mark.parametrize(("model", "effects"), [("fixed", "unit"), ("two_way", "unit + period")])
def test_effects_live_against_pyfixest(
    model: Any, effects: str, cluster: str | None, weight: str | None, holes: bool, seed: int
) -> None:
    """The peer counts the nested unit effects as one parameter where no other effect stands beside them; we as none."""
    peer = pytest.importorskip("pyfixest")
    panel = random_panel(seed, holes)
    frame = panel.to_long().dropna()
    fit = peer.feols(
        f"y ~ x + z | {effects}", frame, vcov={"CRV1": cluster or "unit"}, weights=weight, fixef_tol=1e-13
    )
    found = panel_regression(
        panel,
        Design("y", cluster=cluster, weight=weight),
        model=model,
        regressors=("x", "z"),
        replicates=False,
    )
    n = len(frame)
    scale = np.sqrt((n - 2) / (n - 3)) if model == "fixed" else 1.0
    np.testing.assert_allclose(found.values, fit.coef(), rtol=1e-8)
    np.testing.assert_allclose(found.std_errors * scale, fit.se(), rtol=1e-6)
