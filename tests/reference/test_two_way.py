"""Two-way fixed effects against fixest 0.14.2.

Points 1e-8 and standard errors 1e-6 are the agreed tolerances; on these data the two differ by rounding, so they are
held to 1e-9 relative (the references were computed with fixef.tol = 1e-11). The numbers on S1 are carried in
two_way_S1.json; those on published data are read from ../shared/golden where it is present.
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
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import SmallSample, cluster_robust
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-9

CARRIED: dict[str, Any] = json.loads((HERE / "two_way_S1.json").read_text(encoding="utf-8"))["fixest"]

# Every case on S1 is either tested below or listed here with the reason: nothing is passed over in silence.
NOT_COVERED = {
    "hetero": "tests/reference/test_cluster_covariances.py (row_robust, for contrast)",
    "HC2": "as hetero",
    "HC3": "as hetero",
    "NW": "tests/reference/test_spatial.py, as the panel form of conley without neighbours",
    "DK": "tests/reference/test_spatial.py (driscoll_kraay, refused below twenty periods)",
    "conley": "tests/reference/test_spatial.py (conley)",
    "unit-slopes": "unit-specific trends are not offered: they absorb dynamic effects",
    "pooled": "no unit effects: tests/reference/test_cluster_covariances.py; with conley, tests/reference/test_spatial.py",
}
SSC = {
    "K.adj": "k_adj",
    "G.adj": "g_adj",
    "K.fixef": "k_fixef",
    "K.exact": "k_exact",
    "G.df": "g_df",
    "t.df": "t_df",
}
KINDS = {
    "iid": ("iid", None),
    "cluster_unit": ("CV1", None),
    "cluster_region": ("CV1", "region"),
    "twoway_unit_year": ("CV1-period", None),
    "twoway_region_year": ("CV1-period", "region"),
}
OTHER = {
    "S1-twfe-weights-pop-cluster_unit",
    "S1-twfe-region^year",
    "S1-es-binned",
    "S1-es-binned-region",
}


def kind_of(case: str) -> str:
    return case.removeprefix("S1-twfe-").split("-ssc(")[0]


MENU = [case for case in CARRIED if kind_of(case) in KINDS]


@cache
def s1() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    return Panel.from_long(
        frame, unit="unit", period="year", varying=["y", "x2"], fixed=["adoption", "region", "pop", "x1"]
    )


@cache
def fitted(cluster: str | None) -> Estimate:
    return two_way_effects(s1(), Design("y", covariates=("x2",), cluster=cluster))


def agree(estimate: Estimate, case: dict[str, Any], names: list[str], nuisance: tuple[str, ...] = ()) -> None:
    """Every coefficient of the reference is compared, but for those that the estimate does not report."""
    assert {*names, *nuisance} == set(case["coef"])
    np.testing.assert_allclose(estimate.values, [case["coef"][n] for n in names], rtol=TOLERANCE, atol=1e-12)
    np.testing.assert_allclose(estimate.std_errors, [case["se"][n] for n in names], rtol=TOLERANCE)
    np.testing.assert_array_equal(estimate.dof, np.full(len(names), case["df_t"]))


def test_every_case_on_S1_is_tested_or_named() -> None:
    left = {case for case in CARRIED if case not in MENU and case not in OTHER}
    unnamed = {case for case in left if not any(word in case for word in NOT_COVERED)}
    assert not unnamed
    assert len(MENU) == 29


@pytest.mark.parametrize("case", MENU)
def test_covariance_menu(case: str) -> None:
    """iid, one-way and two-way clusters under every small-sample option."""
    kind, cluster = KINDS[kind_of(case)]
    options: dict[str, Any] = {}
    if "-ssc(" in case:
        for part in case.split("-ssc(")[1].rstrip(")").split(","):
            name, value = part.split("=")
            options[SSC[name]] = {"TRUE": True, "FALSE": False}.get(value, value)
    estimate = cluster_robust(fitted(cluster), kind, SmallSample(**options))  # type: ignore[arg-type]
    agree(estimate, CARRIED[case], ["treated", "x2"])
    np.testing.assert_allclose(estimate.covariance, CARRIED[case]["vcov"], rtol=1e-7, atol=1e-14)
    np.testing.assert_allclose(estimate.detail["ssr"], CARRIED[case]["ssr"], rtol=1e-11)


def test_the_default_is_cluster_robust_as_fixest_reports_it() -> None:
    agree(fitted("region"), CARRIED["S1-twfe-cluster_region"], ["treated", "x2"])
    assert fitted("region").inference == "CV1"


def test_weights() -> None:
    case = CARRIED["S1-twfe-weights-pop-cluster_unit"]
    agree(two_way_effects(s1(), Design("y", covariates=("x2",), weight="pop")), case, ["treated", "x2"])


def test_period_effects_by_region() -> None:
    case = CARRIED["S1-twfe-region^year"]
    estimate = two_way_effects(s1(), Design("y", covariates=("x2",), cluster="region"), within="region")
    agree(estimate, case, ["treated", "x2"])
    np.testing.assert_allclose(estimate.detail["ssr"], case["ssr"], rtol=1e-11)


def test_event_study_binned_at_both_ends() -> None:
    case = CARRIED["S1-es-binned"]
    estimate = two_way_event_study(s1(), Design("y", covariates=("x2",)), window=(-4, 4))
    agree(estimate, case, [f"relb::{e}" for e in estimate.terms.get_level_values(0)], nuisance=("x2",))
    assert estimate.detail["covariate_names"] == ["x2"]
    np.testing.assert_allclose(estimate.detail["covariate_values"], case["coef"]["x2"], rtol=TOLERANCE)
    np.testing.assert_allclose(estimate.detail["covariate_std_errors"], case["se"]["x2"], rtol=TOLERANCE)


def test_event_study_clustered_by_region() -> None:
    case = CARRIED["S1-es-binned-region"]
    estimate = two_way_event_study(s1(), Design("y", cluster="region"), window=(-4, 4))
    agree(estimate, case, [f"relb::{e}" for e in estimate.terms.get_level_values(0)])
    np.testing.assert_allclose(estimate.covariance, case["vcov"], rtol=1e-7, atol=1e-14)


# -- published data, where they are ----------------------------------------------------------------


@cache
def golden(name: str) -> dict[str, Any]:
    cases = json.loads((GOLDEN / "open" / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case["result"] for case in cases}


@cache
def castle() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "castle.csv")
    frame["region4"] = (frame[["northeast", "midwest", "south"]] * [1, 2, 3]).sum(axis=1)
    names = ["post", *(n for n in frame.columns if n.startswith(("l_", "black", "white")))]
    return Panel.from_long(
        frame,
        unit="sid",
        period="year",
        varying=[*names, "unemployrt", "poverty"],
        fixed=["popwt", "region4"],
    )


CASTLE = {
    "castle-twfe-weighted": ("l_homicide", "popwt"),
    "castle-twfe-unweighted": ("l_homicide", None),
    "castle-twfe-weighted-l_robbery": ("l_robbery", "popwt"),
    "castle-twfe-weighted-l_assault": ("l_assault", "popwt"),
    "castle-twfe-weighted-l_burglary": ("l_burglary", "popwt"),
    "castle-twfe-weighted-l_larceny": ("l_larceny", "popwt"),
    "castle-twfe-weighted-l_motor": ("l_motor", "popwt"),
}


CASTLE_CONTROLS = (
    "l_police",
    "unemployrt",
    "poverty",
    "l_income",
    "l_prisoner",
    "l_lagprisoner",
    "blackm_15_24",
    "whitem_15_24",
    "blackm_25_44",
    "whitem_25_44",
    "l_exp_subsidy",
    "l_exp_pubwelfare",
)


@needs_golden
@pytest.mark.parametrize("case", CASTLE)
def test_castle_doctrine(case: str) -> None:
    outcome, weight = CASTLE[case]
    estimate = two_way_effects(castle(), Design(outcome, weight=weight), treatment="post")
    agree(estimate, golden("twfe_castle_ezunem_mpdta")[case], ["post"])


@needs_golden
@pytest.mark.parametrize("controls", [False, True])
def test_castle_doctrine_with_region_by_year_effects(controls: bool) -> None:
    """The reference spells region × year as three overlapping interactions and counts all their levels in K."""
    case = "castle-twfe-weighted-regionyear" + ("-controls" if controls else "")
    covariates = CASTLE_CONTROLS if controls else ()
    reference = golden("twfe_castle_ezunem_mpdta")[case]
    design = Design("l_homicide", covariates=covariates, weight="popwt")
    estimate = two_way_effects(castle(), design, treatment="post", within="region4")
    assert estimate.detail["n_obs"] == reference["nobs"]
    ours = estimate.detail["n_regressors"] + estimate.detail["n_period_effects"]
    scale = np.sqrt((reference["nobs"] - ours) / (reference["nobs"] - reference["df_K"]))
    names = ["post", *covariates]
    np.testing.assert_allclose(estimate.values, [reference["coef"][n] for n in names], rtol=1e-8)
    np.testing.assert_allclose(estimate.std_errors * scale, [reference["se"][n] for n in names], rtol=1e-8)


@cache
def ezunem() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "ezunem.csv")
    return Panel.from_long(frame, unit="city", period="year", varying=["luclms", "guclms", "ez", "cez"])


@needs_golden
@pytest.mark.parametrize(
    ("case", "outcome", "treatment", "kind"),
    [
        ("ezunem-fe", "luclms", "ez", "iid"),
        ("ezunem-fe-cluster", "luclms", "ez", "CV1"),
        ("ezunem-randomgrowth-fd", "guclms", "cez", "iid"),
    ],
)
def test_enterprise_zones(case: str, outcome: str, treatment: str, kind: str) -> None:
    """The growth outcome is missing in the first year: the unbalanced path, one period fewer."""
    estimate = two_way_effects(ezunem(), Design(outcome), treatment=treatment)
    reference = golden("twfe_castle_ezunem_mpdta")[case]
    agree(cluster_robust(estimate, kind), reference, [treatment])  # type: ignore[arg-type]
    assert estimate.detail["n_obs"] == reference["nobs"]
    assert estimate.detail["n_dropped_missing"] == 198 - reference["nobs"]


REAL_NOT_COVERED = {
    "ezunem-fd": "no unit effects",
    "ezunem-fe-citytrend": "unit-specific trends",
}
REAL_COVERED = {
    *CASTLE,
    "castle-twfe-weighted-regionyear",
    "castle-twfe-weighted-regionyear-controls",
    "ezunem-fe",
    "ezunem-fe-cluster",
    "ezunem-randomgrowth-fd",
    "mpdta-twfe",
}


@needs_golden
def test_every_real_case_is_tested_or_named() -> None:
    assert set(golden("twfe_castle_ezunem_mpdta")) == REAL_COVERED | set(REAL_NOT_COVERED)


@needs_golden
def test_minimum_wage() -> None:
    frame = pd.read_csv(GOLDEN / "data" / "mpdta.csv")
    frame["adoption"] = frame["first.treat"].replace(0, np.inf)
    panel = Panel.from_long(frame, unit="countyreal", period="year", varying=["lemp"], fixed=["adoption"])
    reference = golden("twfe_castle_ezunem_mpdta")["mpdta-twfe"]
    agree(two_way_effects(panel, Design("lemp")), reference, list(reference["coef"]))


def base_did() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "base_did.csv")
    frame["adoption"] = np.where(frame["treat"] == 1, 6.0, np.inf)
    return Panel.from_long(frame, unit="id", period="period", varying=["y", "x1"], fixed=["adoption"])


@needs_golden
def test_common_adoption() -> None:
    reference = golden("did2x2_kielmc_basedid")["base_did-2x2-fe"]
    agree(two_way_effects(base_did(), Design("y", covariates=("x1",))), reference, ["treat:post", "x1"])


@needs_golden
def test_event_study_of_common_adoption() -> None:
    reference = golden("eventstudy_base_S1")["base_did-es"]
    estimate = two_way_event_study(base_did(), Design("y", covariates=("x1",)))
    agree(
        estimate,
        reference,
        [f"period::{e + 6}:treat" for e in estimate.terms.get_level_values(0)],
        nuisance=("x1",),
    )


@needs_golden
def test_event_study_of_staggered_adoption() -> None:
    frame = pd.read_csv(GOLDEN / "data" / "base_stagg.csv")
    frame["adoption"] = frame["year_treated"].where(frame["year_treated"] < 10_000, np.inf)
    panel = Panel.from_long(frame, unit="id", period="year", varying=["y", "x1"], fixed=["adoption"])
    reference = golden("eventstudy_base_S1")["base_stagg-es"]
    estimate = two_way_event_study(panel, Design("y", covariates=("x1",)))
    agree(
        estimate,
        reference,
        [f"time_to_treatment::{e}" for e in estimate.terms.get_level_values(0)],
        nuisance=("x1",),
    )


# -- live, random panels -----------------------------------------------------------------------------


def random_panel(seed: int, holes: bool) -> Panel:
    """Three dates and units never treated, effects that grow, a covariate, weights by unit and by cell."""
    rng = np.random.default_rng(seed)
    n, years = 90, np.arange(2001, 2010)
    adoption = rng.choice([2004.0, 2006.0, 2007.0, np.inf], n)
    x = rng.normal(size=(n, 9)).cumsum(axis=1)
    since = years - np.where(np.isfinite(adoption), adoption, 3000)[:, None]
    y = (
        rng.normal(size=(n, 1))
        + 0.2 * years
        + 0.7 * x
        + (since >= 0) * (1 + 0.2 * since)
        + rng.normal(size=(n, 9))
    )
    if holes:
        y[rng.random(y.shape) < 0.15] = np.nan
        y[0], y[0, 0] = np.nan, 1.0  # seen once
    fixed = {"adoption": adoption, "region": rng.permutation(n) % 15, "w": rng.uniform(0.5, 3, n)}
    return Panel(np.arange(n), years, {"y": y, "x": x, "wt": rng.uniform(0.5, 3, (n, 9))}, fixed)


def frame_of(panel: Panel) -> pd.DataFrame:
    frame = panel.to_long().dropna()
    frame["treated"] = (frame["period"] >= frame["adoption"]).astype(float)
    since = frame["period"] - frame["adoption"]
    return frame.assign(since=since.replace(-np.inf, -1).clip(-4, 3).astype(int))


def as_the_peer(formula: str, panel: Panel, cluster: str | None, weight: str | None) -> Any:
    peer = pytest.importorskip("pyfixest")
    fit = peer.feols(
        formula, frame_of(panel), vcov={"CRV1": cluster or "unit"}, weights=weight, fixef_tol=1e-13
    )
    return fit.tidy()


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize(("cluster", "weight"), [(None, None), ("region", "w"), ("region", "wt")])
def test_effects_live_against_pyfixest(
    seed: int, holes: bool, cluster: str | None, weight: str | None
) -> None:
    panel = random_panel(seed, holes)
    told = as_the_peer("y ~ treated + x | unit + period", panel, cluster, weight)
    found = two_way_effects(panel, Design("y", covariates=("x",), cluster=cluster, weight=weight))
    assert (found.detail["n_dropped_singletons"] > 0) == holes
    np.testing.assert_allclose(found.values, told["Estimate"].astype(float), rtol=1e-8)
    np.testing.assert_allclose(found.std_errors, told["Std. Error"].astype(float), rtol=1e-6)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize(("cluster", "weight"), [(None, None), ("region", "w"), ("region", "wt")])
def test_event_study_live_against_pyfixest(
    seed: int, holes: bool, cluster: str | None, weight: str | None
) -> None:
    panel = random_panel(seed, holes)
    told = as_the_peer("y ~ i(since, ref=-1) + x | unit + period", panel, cluster, weight)
    design = Design("y", covariates=("x",), cluster=cluster, weight=weight)
    found = two_way_event_study(panel, design, window=(-4, 3))
    at = [name for name in told.index if name != "x"]
    assert [int(name.rstrip("]").split("::")[-1].split("T.")[-1]) for name in at] == [
        e for (e,) in found.terms
    ]
    np.testing.assert_allclose(found.values, told.loc[at, "Estimate"].astype(float), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.std_errors, told.loc[at, "Std. Error"].astype(float), rtol=1e-6)
