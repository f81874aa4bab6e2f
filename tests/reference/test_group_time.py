"""Group-time effects and their averages against R did 2.5.1 and DRDID 1.2.3.

POINTS 1e-8 and ERRORS 1e-6, absolute plus relative, as agreed for this oracle. One exception: did fits its logit with
fastglm, which stops once the deviance changes by less than 1e-8; its points are then off by up to 1.5e-8, which
EARLY_STOP allows for the panels in question. `test_early_stop_of_the_reference_is_the_difference` shows that this is
the whole difference: with the reference's iterations the golden number comes out to 1e-13, with one more ours.

The carried JSON files name their source; all cases of the shared folder are run where it is present.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2
from shared_files import GOLDEN, needs_golden

from evalkit.aggregate import average, by_cohort, by_period, cohort_average, event_study, overall
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel

POINTS, ERRORS, EARLY_STOP = 1e-8, 1e-6, 2e-8
HERE = Path(__file__).resolve().parent

SETS = {
    "S1": ("S1_panel.csv", "unit", "year", "g", ["y", "x2"], ["x1", "x1sq", "kind", "region"]),
    "S2": ("S2_unbalanced.csv", "unit", "year", "g", ["y"], ["x1", "region"]),
    "S5": ("S5_rcs.csv", "pid", "year", "g", ["y", "x"], ["w", "municipality"]),
    "mpdta": ("mpdta.csv", "countyreal", "year", "first.treat", ["lemp"], ["lpop"]),
}
FOLDER_FILES = {
    "did_S1_basic": "S1",
    "did_S2_unbalanced": "S2",
    "did_S5_rcs": "S5",
    "did_mpdta_grid": "mpdta",
}


@cache
def panel_of(name: str) -> Panel:
    file, unit, period, cohort, varying, fixed = SETS[name]
    path = HERE / "data" / file
    frame = pd.read_csv(path if path.exists() else GOLDEN / "data" / file)
    if "x1" in frame:
        frame["x1sq"] = frame["x1"] ** 2
    frame["adoption"] = frame[cohort].where(frame[cohort] != 0, np.inf).astype(float)
    return Panel.from_long(frame, unit=unit, period=period, varying=varying, fixed=["adoption", *fixed])


@cache
def cases_of(path: Path) -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in json.loads(path.read_text(encoding="utf-8"))["cases"]}


def argument(call: str, name: str, default: str = "") -> str:
    found = re.search(rf'\b{name} = "?([^",)]+)', call)
    return found[1] if found else default


def estimate_of(call: str, panel: Panel) -> Estimate:
    """The same question as an R call of did::att_gt."""
    formula = re.search(r"xformla = ~([^,]+),", call)
    assert formula is not None
    covariates = [x.strip() for x in formula[1].replace("I(x1^2)", "x1sq").split("+")]
    design = Design(
        outcome=argument(call, "yname"),
        comparison="never" if argument(call, "control_group") == "nevertreated" else "not_yet",
        base="universal" if argument(call, "base_period") == "universal" else "varying",
        anticipation=int(argument(call, "anticipation", "0").rstrip("L")),
        covariates=tuple(x for x in covariates if x != "1"),
        cluster=argument(call, "clustervars") or None,
        weight=argument(call, "weightsname") or None,
    )
    rows = "panel = FALSE" in call or "allow_unbalanced_panel = TRUE" in call
    method = argument(call, "est_method")
    return group_time_effects(panel, design, method=method, missing="rows" if rows else "drop")  # type: ignore[arg-type]


def numbers(values: Any) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in np.atleast_1d(values)], dtype=float)


def errors_of(est: Estimate) -> np.ndarray:
    return est.table()["std_error"].to_numpy()


def assert_case(case: dict[str, Any], name: str) -> None:
    call, result = case["call"], case["result"]
    est = estimate_of(call, panel_of(name))
    logit = argument(call, "est_method") in ("ipw", "dr") and "xformla = ~1," not in call
    points = EARLY_STOP if logit and name in ("S1", "S2") else POINTS

    def same(found: Any, wanted: Any, tolerance: float) -> None:
        np.testing.assert_allclose(found, numbers(wanted), rtol=tolerance, atol=tolerance)

    cells = result["att_gt"]
    labels = pd.MultiIndex.from_arrays([cells["group"], cells["t"]], names=["cohort", "period"])
    assert set(labels) == set(est.terms)
    at = est.terms.get_indexer(labels)
    same(est.values[at], cells["att"], points)
    same(errors_of(est)[at], cells["se"], ERRORS)
    assert int((est.detail["weight"] > 0).sum()) == cells["n"]
    if cells.get("wald_pretest") is not None:
        statistic, p_value = wald_pretest(est)
        same(statistic, cells["wald_pretest"], 1e-5)  # errors enter squared and inverted
        assert p_value == pytest.approx(cells["wald_pvalue"], abs=6e-6)  # the reference rounds to five digits
    for key, wanted in result.items():
        if key == "att_gt":
            continue
        by_label, total = averages(est, key)
        same(total.values, wanted["overall_att"], points)
        same(errors_of(total), wanted["overall_se"], ERRORS)
        if by_label is not None:
            assert list(by_label.terms.get_level_values(0)) == wanted["egt"]
            same(by_label.values, wanted["att"], points)
            same(errors_of(by_label), wanted["se"], ERRORS)


def averages(est: Estimate, key: str) -> tuple[Estimate | None, Estimate]:
    """The averages that a key of the golden file names: by label, and over all."""
    windows: dict[str, dict[str, int]] = {
        "balance_e1": {"balance": 1},
        "min_m2_max_2": {"min_event_time": -2, "max_event_time": 2},
        "max_e_1": {"max_event_time": 1},
    }
    kind, _, window = key.removeprefix("aggte_").partition("_")
    options = windows[window] if window else {}
    if kind == "simple":
        return None, overall(est, **options)
    if kind == "dynamic":
        events = event_study(est, **options)
        return events, average(events)
    if kind == "group":
        cohorts = by_cohort(est, **options)
        return cohorts, cohort_average(cohorts)
    assert kind == "calendar"
    periods = by_period(est)
    return periods, average(periods)


def wald_pretest(est: Estimate) -> tuple[float, float]:
    """Joint test that all cells before adoption are 0, base cells left out."""
    cohort, period = (np.asarray(est.terms.get_level_values(i)) for i in (0, 1))
    before = (period < cohort) & (est.std_errors > 0)
    values, covariance = est.values[before], est.covariance[np.ix_(before, before)]
    statistic = float(values @ np.linalg.solve(covariance, values))
    return statistic, float(chi2.sf(statistic, before.sum()))


CARRIED = [(name, case) for name in ("S1", "S2", "S5") for case in cases_of(HERE / f"group_time_{name}.json")]


@pytest.mark.parametrize(("name", "case"), CARRIED, ids=[case for _, case in CARRIED])
def test_carried_cases(name: str, case: str) -> None:
    assert_case(cases_of(HERE / f"group_time_{name}.json")[case], name)


@needs_golden
@pytest.mark.parametrize("file", list(FOLDER_FILES))
def test_every_case_of_the_shared_folder(file: str) -> None:
    cases = cases_of(GOLDEN / "open" / f"{file}.json")
    assert len(cases) >= 4
    for case in cases.values():
        assert_case(case, FOLDER_FILES[file])


NSW = {
    "dr_improved": "nsw-drdid-imp",
    "dr": "nsw-drdid-trad",
    "reg": "nsw-ordid",
    "ipw": "nsw-ipwdid-normalizedTRUE",
    "ipw_ht": "nsw-ipwdid-normalizedFALSE",
}


@needs_golden
@pytest.mark.parametrize("method", list(NSW))
def test_two_periods_against_drdid(method: str) -> None:
    frame = pd.read_csv(GOLDEN / "data" / "nsw_cps_eval.csv")
    frame["adoption"] = np.where(frame["experimental"] == 1, 1978.0, np.inf)
    covariates = ("age", "educ", "black", "married", "nodegree", "hisp", "re74")
    panel = Panel.from_long(frame, unit="id", period="year", varying=["re"], fixed=["adoption", *covariates])
    design = Design(outcome="re", comparison="never", base="varying", covariates=covariates)
    est = group_time_effects(panel, design, method=method)  # type: ignore[arg-type]
    wanted = cases_of(GOLDEN / "open" / "drdid_nsw.json")[NSW[method]]["result"]
    assert est.values[0] == pytest.approx(wanted["att"], rel=POINTS)
    assert est.influence is not None
    n = est.n_units  # DRDID's scalar functions: the standard deviation, then sqrt(n - 1)/n
    error = est.influence[:, 0].std(ddof=1) * np.sqrt(n - 1) / n
    assert error == pytest.approx(wanted["se"], rel=ERRORS)


def test_early_stop_of_the_reference_is_the_difference() -> None:
    """Iteratively reweighted least squares with the reference's stopping rule gives its number; run on, ours."""
    case = cases_of(HERE / "group_time_S1.json")["S1-dr-never-x1"]
    panel = panel_of("S1")
    est = estimate_of(case["call"], panel)
    y, g, x = panel.values("y"), panel.constant("adoption"), panel.constant("x1")
    cells = case["result"]["att_gt"]
    for cohort, period, golden in zip(cells["group"], cells["t"], cells["att"], strict=True):
        base = period - 1 if period < cohort else cohort - 1
        used = (g == cohort) | np.isinf(g)
        dy = (y[:, period - panel.periods[0]] - y[:, base - panel.periods[0]])[used]
        d, z = (g[used] == cohort).astype(float), np.column_stack([np.ones(used.sum()), x[used]])
        assert dr_with_stop(dy, d, z, 1e-8) == pytest.approx(golden, abs=1e-12)
        ours = est.values[est.terms.get_loc((cohort, period))]
        assert dr_with_stop(dy, d, z, 1e-15) == pytest.approx(ours, abs=1e-12)


def dr_with_stop(dy: np.ndarray, d: np.ndarray, z: np.ndarray, stop: float) -> float:
    fitted, last = (d + 0.5) / 2, np.inf
    index = np.log(fitted / (1 - fitted))
    for _ in range(50):
        weight = fitted * (1 - fitted)
        coef = np.linalg.solve((z.T * weight) @ z, z.T @ (weight * index + d - fitted))
        index = z @ coef
        fitted = 1 / (1 + np.exp(-index))
        deviance = -2 * (d @ np.log(fitted) + (1 - d) @ np.log(1 - fitted))
        if abs(deviance - last) / (abs(deviance) + 0.1) < stop:
            break
        last = deviance
    residual = dy - z @ np.linalg.lstsq(z[d == 0], dy[d == 0], rcond=None)[0]
    odds = (1 - d) * fitted / (1 - fitted)
    return float(residual[d == 1].mean() - odds @ residual / odds.sum())


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@pytest.mark.parametrize(
    ("covariates", "base"), [((), "universal"), (("x",), "varying"), (("x", "z"), "universal")]
)
def test_points_live_against_diff_diff(
    seed: int, method: Any, comparison: Any, covariates: tuple[str, ...], base: Any
) -> None:
    """Every cell on random panels. Doubly robust with covariates, the peer divides the weighted residuals of the
    comparison by the number of treated units, not by the sum of the weights (Hájek, as DRDID does): the exact ratio of
    the two is that of the weighting estimates with and without weights that sum to one."""
    peer = pytest.importorskip("diff_diff")
    rng = np.random.default_rng(seed)
    n, years = 240, np.arange(2001, 2008)
    x, z = rng.normal(size=n), rng.choice([0.0, 1.0], n)
    cohort = rng.choice(4, n, p=[0.25, 0.2, 0.2, 0.35])
    adoption = np.array([2003.0, 2005.0, 2006.0, np.inf])[cohort]
    x += 0.4 * np.isfinite(adoption)
    level = (
        rng.normal(size=(n, 1))
        + 0.2 * years
        + 0.2 * x[:, None] * (years - 2000)
        + 0.3 * np.outer(z, years > 2003)
    )
    y = level + (years >= adoption[:, None]) * (1 + 0.3 * cohort[:, None]) + rng.normal(size=(n, 7))
    panel = Panel(np.arange(n), years, {"y": y}, {"adoption": adoption, "x": x, "z": z})
    frame = panel.to_long().assign(g=lambda f: f["adoption"].replace(np.inf, 0).astype(int))
    theirs = peer.CallawaySantAnna(
        control_group={"never": "never_treated", "not_yet": "not_yet_treated"}[comparison],
        estimation_method=method,
        base_period=base,
    ).fit(frame, "y", "unit", "period", "g", covariates=list(covariates) or None)
    design = Design("y", comparison=comparison, base=base, covariates=covariates)
    found = group_time_effects(panel, design, method=method)
    at = {(int(g), int(t)): k for k, (g, t) in enumerate(found.terms)}
    told = {key: cell for key, cell in theirs.group_time_effects.items() if np.isfinite(cell["effect"])}
    assert {key for key in at if key[1] >= key[0]} == {key for key in told if key[1] >= key[0]}
    assert len(told) >= 10
    values = found.values
    if method == "dr" and covariates:
        weighted, plain, regression = (
            group_time_effects(panel, design, method=name).values for name in ("ipw", "ipw_ht", "reg")
        )
        column = {int(t): k for k, t in enumerate(years)}
        back = [t - 1 if base == "varying" and t < g else g - 1 for g, t in at]
        change = [
            y[adoption == g][:, column[t]] - y[adoption == g][:, column[b]]
            for (g, t), b in zip(at, back, strict=True)
        ]
        treated = np.array([part.mean() for part in change])
        with np.errstate(invalid="ignore"):  # the base period itself
            values = regression + (values - regression) * (treated - plain) / (treated - weighted)
    for (cohort_, period), cell in told.items():
        k = at[int(cohort_), int(period)]
        if period != cohort_ - 1 or base == "varying":
            assert values[k] == pytest.approx(cell["effect"], rel=1e-6, abs=1e-7)
