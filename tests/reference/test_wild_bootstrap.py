"""Wild cluster bootstrap against fwildclusterboot 0.14.3 and explicit resampling of the rows.

Enumerated p-values agree exactly, t statistics, quantiles of |t*| and intervals to 1e-6 (they differ by rounding); cases with
random weights within bootstrap error. Explicit resampling agrees to 1e-12.
"""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shared_files import GOLDEN, needs_golden

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.panel_regression import panel_regression
from evalkit.estimators.two_way import two_way_effects, two_way_event_study
from evalkit.inference import SmallSample, wild_bootstrap, wild_draws, wild_joint
from evalkit.panel import Panel

pytestmark = needs_golden
TOLERANCE = 1e-6
# fwildclusterboot: (N − 1)/(N − K), K without fixed effects, times G/(G − 1)
ITS = SmallSample(k_fixef="none")


@cache
def cases() -> dict[str, dict[str, Any]]:
    text = (GOLDEN / "open" / "wildboot_S1_S6.json").read_text(encoding="utf-8")
    return {case["id"]: case for case in json.loads(text)["cases"]}


@cache
def s1() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    frame["y09"] = frame["y"] - 0.9 * frame["treated"]
    varying = ["y", "y09", "x2", "treated"]
    return Panel.from_long(
        frame, unit="unit", period="year", varying=varying, fixed=["adoption", "region", "x1"]
    )


@cache
def s6() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "S6_dose.csv")
    return Panel.from_long(frame, unit="unit", period="year", varying=["y", "dosepost"], fixed=["region"])


@cache
def fitted(case: str) -> tuple[Estimate, int]:
    """The regression behind a case, and the place of its term."""
    design = Design("y09" if "shift" in case else "y", covariates=("x2",), cluster="region")
    if case.startswith("S6"):
        return two_way_effects(s6(), Design("y", cluster="region"), treatment="dosepost"), 0
    if case.startswith("S1e"):
        few = s1().select(periods=np.arange(2012, 2016))
        return two_way_effects(few, Design("y", cluster="region"), treatment="treated"), 0
    if case.startswith("S1-pooled-x1"):
        return panel_regression(s1(), design, model="pooled", regressors=("treated", "x1")), 2
    if case.startswith("S1-pooled"):
        return panel_regression(s1(), design, model="pooled", regressors=("treated", "x1", "x2")), 1
    return two_way_effects(s1(), design, treatment="treated"), 0


KIND = {"type11": "C", "typefnw11": "C", "type13": "V", "type31": "S", "type33": "B"}
NULL = {"r0.8": 0.8, "r0.9": 0.9, "r1.1": 1.1, "r0.5": 0.5, "r1.2": 1.2, "r1.3": 1.3}
SIDES = {"onesided<": "less", "onesided>": "greater", "equaltailed": "equal-tailed"}
RANDOM = {"webb": "webb", "mammen": "mammen", "norm": "normal"}


def options(case: str) -> dict[str, Any]:
    words = case.split("-")
    out: dict[str, Any] = {
        "kind": ("WCU-" if "WCU" in words else "WCR-") + "C",
        "null": 0.9 if "equaltailed" in case else 0.0,
    }
    for word in words:
        out["null"] = NULL.get(word, out["null"])
        if word in KIND:
            out["kind"] = "WCR-" + KIND[word]
        if word in RANDOM:
            out["weights"] = RANDOM[word]
    return out


DETERMINISTIC = [
    "S1-twfe-r0-WCR",
    "S1-twfe-r0-WCU",
    "S1-twfe-r0.8-WCR",
    "S1-twfe-r0.8-WCU",
    "S1-twfe-r0.9-WCR",
    "S1-twfe-r0.9-WCU",
    "S1-twfe-r1.1-WCR",
    "S1-twfe-r1.1-WCU",
    "S1-twfe-shift0.9-type11",
    "S1-twfe-shift0.9-typefnw11",
    "S1-pooled-shift0.9-type11",
    "S1-pooled-shift0.9-type13",
    "S1-pooled-shift0.9-type31",
    "S1-pooled-shift0.9-type33",
    "S1e-twfe-2012to2015",
    "S1e-twfe-r0.5",
    "S1-pooled-x1-r0.8",
    "S6-dose-r0",
    "S6-dose-r1.2",
    "S6-dose-r1.3",
]
ONE_SIDED = ("S1-twfe-r0.9-onesided<", "S1-twfe-r0.9-onesided>", "S1-twfe-equaltailed")
DRAWN = ("S1-twfe-r0.9-webb", "S1-twfe-r0.9-mammen", "S1-twfe-r0.9-norm")


def test_every_case_is_tested() -> None:
    assert set(cases()) == {*DETERMINISTIC, *ONE_SIDED, *DRAWN}


@pytest.mark.parametrize("case", DETERMINISTIC)
def test_enumerated(case: str) -> None:
    """Ties counted (p_ge) and not (p_gt); where no draw but the sample itself is as far out, ours is 2^(1 − G) and not 0.

    With jackknife denominators (13, 33) the reference multiplies the variance of t, and not that of t*, by the factor of CV1
    as well: it sets a t that is 4 % too small here against the draws. t*, as it has them, is held; t by that factor.
    """
    wanted = cases()[case]["result"]
    estimate, at = fitted(case)
    draws = wild_draws(estimate, [at], ssc=ITS, **options(case))
    assert draws.exact
    np.testing.assert_allclose(draws.values[0], wanted["point_estimate"], rtol=1e-10)
    scale = 1.0 if options(case)["kind"][-1] in "CS" else np.sqrt(14 / 13 * 1999 / 1996)
    np.testing.assert_allclose(draws.t[0] / scale, wanted["t_stat"], rtol=TOLERANCE)
    both = np.repeat(np.abs(draws.t_star[:, 0]), 2)
    assert len(both) == wanted["boot_iter"]
    size = abs(draws.t[0]) / scale
    assert (both >= size * (1 - 1e-12)).mean() == wanted["p_ge"]
    assert (both > size * (1 + 1e-12)).mean() == wanted["p_gt"]
    assert draws.p_values[0] == max(
        (both >= size * scale * (1 - 1e-12)).mean(), 2.0 ** (1 - estimate.n_clusters)
    )
    quantiles = wanted["abs_t_boot_quantiles_type1"]
    found = np.quantile(both, [0.5, 0.9, 0.95, 0.99], method="inverted_cdf")
    np.testing.assert_allclose(found, [quantiles[q] for q in ("q50", "q90", "q95", "q99")], rtol=TOLERANCE)
    inverted = wild_bootstrap(estimate, [at], **options(case))[0]
    assert inverted.p_value == draws.p_values[0]
    assert inverted.exact
    assert inverted.draws == wanted["boot_iter"]


@pytest.mark.parametrize("case", [c for c in DETERMINISTIC if "type1" not in c and "type3" not in c])
def test_interval_by_inversion(case: str) -> None:
    """The reference excludes the two patterns that repeat the sample: its set ends where two more draws lie further out."""
    low, high = cases()[case]["result"]["conf_int"]
    estimate, at = fitted(case)
    patterns = 2**estimate.n_clusters
    own = 0 if "WCU" in case else 2
    least = 2 * np.ceil(0.05 * patterns / 2) + own
    found = wild_bootstrap(estimate, [at], level=1 - (least - 1) / patterns, **options(case))[0]
    assert len(found.pieces) == 1
    np.testing.assert_allclose([found.low, found.high], [low, high], rtol=TOLERANCE)
    usual = wild_bootstrap(estimate, [at], **options(case))[0]
    assert usual.low <= found.low + 1e-12
    assert usual.high >= found.high - 1e-12


@pytest.mark.parametrize("case", ONE_SIDED)
def test_one_sided_and_equal_tailed(case: str) -> None:
    """The reference leaves out the pattern that repeats the sample on each side."""
    wanted = cases()[case]["result"]["p_val"]
    estimate, at = fitted(case)
    side = SIDES[case.split("-")[-1]]
    found = wild_bootstrap(estimate, [at], alternative=side, **options(case))[0]
    assert found.p_value == wanted + (2 if side == "equal-tailed" else 1) / 2**14


@pytest.mark.parametrize("case", DRAWN)
def test_random_weights_within_bootstrap_error(case: str) -> None:
    wanted = cases()[case]["result"]
    estimate, at = fitted(case)
    found = wild_bootstrap(estimate, [at], **options(case))[0]
    assert not found.exact
    error = np.sqrt(2 * found.p_value * (1 - found.p_value) / found.draws)
    assert abs(found.p_value - wanted["p_val"]) < 4 * error
    low, high = wanted["conf_int"]
    np.testing.assert_allclose([found.low, found.high], [low, high], atol=0.06 * (high - low))


# -- explicit resampling of the rows --------------------------------------------------------------------------------


def dummies(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


@cache
def small(weighted: bool = False, holes: bool = False) -> tuple[Panel, Design]:
    """Seven clusters of unequal size, an event study's worth of periods, a covariate."""
    rng = np.random.default_rng(5)
    sizes = np.array([2, 3, 4, 5, 2, 6, 3])
    region = np.repeat(np.arange(7), sizes)
    n, years = len(region), np.arange(2001, 2006)
    adoption = np.where(region < 3, 2003.0, np.inf)
    x = rng.normal(size=(n, 5))
    y = rng.normal(size=(n, 1)) + rng.normal(size=(7, 5))[region] + 0.5 * x + rng.normal(size=(n, 5))
    if holes:
        y[rng.random(y.shape) < 0.15] = np.nan
    fixed = {"adoption": adoption, "region": region, "w": rng.uniform(0.5, 3, n)}
    panel = Panel(np.arange(n), years, {"y": y, "x": x}, fixed)
    return panel, Design("y", covariates=("x",), cluster="region", weight="w" if weighted else None)


def dense(panel: Panel, design: Design) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Treatment, covariate and all dummies as columns, rows multiplied by √weight; outcome; clusters."""
    frame = panel.to_long().dropna(subset=["y"])
    seen = frame.groupby("unit")["y"].transform("size") > 1
    frame = frame[seen]
    d = (frame["period"] >= frame["adoption"]).to_numpy(float)
    periods = dummies(frame["period"].to_numpy())[:, 1:]
    x = np.column_stack([d, frame["x"], dummies(frame["unit"].to_numpy()), periods])
    root = np.sqrt(frame["w"].to_numpy() if design.weight else np.ones(len(frame)))
    return x * root[:, None], frame["y"].to_numpy() * root, frame["region"].to_numpy().astype(int)


def jackknife(x: np.ndarray, y: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Slopes without each cluster; unit dummies of the cluster left out are not needed."""
    return np.array(
        [np.linalg.lstsq(x[cluster != c], y[cluster != c], rcond=None)[0] for c in np.unique(cluster)]
    )


def statistics(
    x: np.ndarray, y: np.ndarray, cluster: np.ndarray, r: np.ndarray, r0: float, cv3: bool
) -> float:
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    if cv3:
        gaps = (jackknife(x, y, cluster) - beta) @ r
        return float((r @ beta - r0) / np.sqrt(gaps @ gaps))
    bread = np.linalg.inv(x.T @ x)
    u = y - x @ beta
    scores = np.array([r @ bread @ x[cluster == c].T @ u[cluster == c] for c in np.unique(cluster)])
    return float((r @ beta - r0) / np.sqrt(scores @ scores))


def resampled(
    x: np.ndarray,
    y: np.ndarray,
    cluster: np.ndarray,
    r: np.ndarray,
    r0: float,
    kind: str,
    patterns: np.ndarray,
) -> tuple[float, np.ndarray]:
    """t of the sample, and of samples whose residuals changed sign cluster by cluster, by regressions on the rows.

    Residuals of kind S: the regression without cluster c, unit effects of c fitted inside c.
    """
    restricted, jack, cv3 = kind.startswith("WCR"), kind[-1] in "SB", kind[-1] in "VB"
    k = len(r)
    if restricted:  # θ = particular + free φ with r'θ = r0
        free = np.linalg.qr(r[:, None], mode="complete")[0][:, 1:]
        particular = r * r0 / (r @ r)
    else:
        free, particular = np.eye(k), np.zeros(k)
    z, v = x @ free, y - x @ particular
    whole = np.linalg.lstsq(z, v, rcond=None)[0]
    fit = x @ particular + z @ whole
    residual = y - fit
    if jack:
        for c in np.unique(cluster):
            inside, outside = cluster == c, cluster != c
            # coordinates that only cluster c has are fitted inside it
            _, s, vt = np.linalg.svd(z[outside], full_matrices=True)
            own = vt[(s > 1e-9).sum() :].T
            away = np.linalg.lstsq(z[outside], v[outside], rcond=None)[0]
            rest = v[inside] - z[inside] @ away
            if own.shape[1]:
                mine = z[inside] @ own
                rest = rest - mine @ np.linalg.lstsq(mine, rest, rcond=None)[0]
            residual[inside] = rest
    centre = r0 if restricted else float(r @ np.linalg.lstsq(x, y, rcond=None)[0])
    stars = [statistics(x, fit + v_b[cluster] * residual, cluster, r, centre, cv3) for v_b in patterns]
    return statistics(x, y, cluster, r, r0, cv3), np.array(stars)


PATTERNS = np.array([(1.0, *rest) for rest in itertools.product([1.0, -1.0], repeat=6)])


@pytest.mark.parametrize("kind", ["WCR-C", "WCR-S", "WCR-V", "WCR-B", "WCU-C", "WCU-S", "WCU-V", "WCU-B"])
@pytest.mark.parametrize(("weighted", "holes"), [(False, False), (True, True)])
@pytest.mark.parametrize("null", [0.0, 0.7])
def test_draws_are_those_of_explicit_resampling(kind: Any, weighted: bool, holes: bool, null: float) -> None:
    panel, design = small(weighted, holes)
    estimate = two_way_effects(panel, design)
    x, y, cluster = dense(panel, design)
    r = np.eye(x.shape[1])[0]
    t, stars = resampled(x, y, cluster, r, null, kind, PATTERNS)
    draws = wild_draws(estimate, [0], kind=kind, null=null, weights="rademacher", ssc=SmallSample.NONE)
    scale = np.sqrt(6 / 7) if kind[-1] in "VB" else 1.0
    np.testing.assert_allclose(draws.t[0] * scale, t, rtol=1e-12)
    np.testing.assert_allclose(
        np.sort(np.abs(draws.t_star[:, 0])) * scale, np.sort(np.abs(stars)), rtol=1e-12, atol=1e-12
    )


def test_a_combination_is_resampled_as_such() -> None:
    panel, design = small()
    x, y, cluster = dense(panel, design)
    r = np.zeros(x.shape[1])
    r[:2] = 1.0, -2.0
    t, stars = resampled(x, y, cluster, r, 0.3, "WCR-S", PATTERNS)
    estimate = two_way_effects(panel, design)
    draws = wild_draws(estimate, contrast=[[1, -2]], null=0.3, weights="rademacher", ssc=SmallSample.NONE)
    np.testing.assert_allclose(draws.t[0], t, rtol=1e-12)
    np.testing.assert_allclose(
        np.sort(np.abs(draws.t_star[:, 0])), np.sort(np.abs(stars)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("kind", ["WCR-C", "WCU-C"])
def test_joint_test_is_that_of_explicit_resampling(kind: Any) -> None:
    """Wald statistics of treatment and covariate with their own cluster-robust covariance in every draw."""
    panel, design = small()
    x, y, cluster = dense(panel, design)
    bread = np.linalg.inv(x.T @ x)

    def wald(outcome: np.ndarray, centre: np.ndarray) -> float:
        beta = bread @ x.T @ outcome
        u = outcome - x @ beta
        scores = np.array([(bread @ x[cluster == c].T @ u[cluster == c])[:2] for c in range(7)])
        gap = beta[:2] - centre
        return float(gap @ np.linalg.solve(scores.T @ scores, gap))

    null = np.array([0.2, 0.4])
    beta = bread @ x.T @ y
    if kind == "WCR-C":
        fit = x[:, :2] @ null
        fit = fit + x[:, 2:] @ np.linalg.lstsq(x[:, 2:], y - fit, rcond=None)[0]
        centre = null
    else:
        fit, centre = x @ beta, beta[:2]
    actual = wald(y, null)
    stars = np.array([wald(fit + v[cluster] * (y - fit), centre) for v in PATTERNS])
    found = wild_joint(
        two_way_effects(panel, design), null=null, kind=kind, weights="rademacher", ssc=SmallSample.NONE
    )
    np.testing.assert_allclose(found.statistic * 2, actual, rtol=1e-10)
    assert found.p_value == max((stars >= actual * (1 - 1e-10)).mean(), 2.0**-6)
    assert found.df == 2


def test_pre_trends_of_an_event_study_in_one_test() -> None:
    estimate = two_way_event_study(s1(), Design("y", cluster="region"), window=(-4, 3))
    joint = wild_joint(estimate, [0, 1, 2], kind="WCR-C")
    alone = [interval.p_value for interval in wild_bootstrap(estimate, [0, 1, 2], kind="WCR-C")]
    assert joint.labels == ("-4", "-3", "-2")
    assert joint.exact
    assert joint.p_value > 0.9
    assert min(alone) > 0.5
    single = wild_joint(estimate, [0], kind="WCR-C")
    assert single.p_value == alone[0]
