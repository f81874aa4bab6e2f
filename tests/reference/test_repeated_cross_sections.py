"""Repeated cross-sections against R did 2.5.1 (panel = FALSE), DRDID's published output, and diff-diff 3.13.

POINTS 1e-8 and ERRORS 1e-6, as agreed for the reference files; they hold "reg", "ipw" and "dr". The improved method has no
case there; its oracles are the output that DRDID's manual prints for its own simulated sample (four decimals; the sample
is read from the shared folder), a transcription of equation (3.4) with weights from `scipy.optimize`, and
`repeated_cross_section_effects` = `group_time_effects` on rows, which must give the same numbers.
"""

from __future__ import annotations

import json
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from shared_files import GOLDEN, needs_golden

from evalkit.aggregate import average, by_cohort, by_period, cohort_average, event_study, overall
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.repeated_cross_sections import repeated_cross_section_effects
from evalkit.panel import Panel
from evalkit.sample import Sample

POINTS, ERRORS = 1e-8, 1e-6
HERE = Path(__file__).resolve().parent


@cache
def rows() -> pd.DataFrame:
    frame = pd.read_csv(HERE / "data" / "S5_rcs.csv")
    frame["adoption"] = frame["g"].where(frame["g"] != 0, np.inf).astype(float)
    return frame


def sample_of(frame: pd.DataFrame) -> Sample:
    return Sample.from_frame(
        frame, period="year", variables=["y", "x", "w", "adoption", "municipality"], row="pid"
    )


def cases(path: Path) -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in json.loads(path.read_text(encoding="utf-8"))["cases"]}


def argument(call: str, name: str) -> str:
    found = re.search(rf'\b{name} = "?([^",)]+)', call)
    return found[1] if found else ""


def estimate_of(call: str, cluster: str | None = None) -> Estimate:
    """The same question as an R call of did::att_gt."""
    formula = re.search(r"xformla = ~([^,]+),", call)
    assert formula is not None
    design = Design(
        "y",
        comparison="never" if argument(call, "control_group") == "nevertreated" else "not_yet",
        base="universal" if argument(call, "base_period") == "universal" else "varying",
        covariates=() if formula[1].strip() == "1" else (formula[1].strip(),),
        weight=argument(call, "weightsname") or None,
        cluster=cluster,
    )
    return repeated_cross_section_effects(sample_of(rows()), design, method=argument(call, "est_method"))  # type: ignore[arg-type]


def numbers(values: Any) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in np.atleast_1d(values)], dtype=float)


def same(found: Any, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(found, numbers(wanted), rtol=tolerance, atol=tolerance)


def assert_case(case: dict[str, Any]) -> None:
    est, result = estimate_of(case["call"]), case["result"]
    cells = result["att_gt"]
    labels = pd.MultiIndex.from_arrays([cells["group"], cells["t"]], names=["cohort", "period"])
    assert set(labels) == set(est.terms)
    at = est.terms.get_indexer(labels)
    same(est.values[at], cells["att"], POINTS)
    same(est.table()["std_error"].to_numpy()[at], cells["se"], ERRORS)
    assert int((est.detail["weight"] > 0).sum()) == cells["n"]
    totals = {
        "aggte_simple": overall(est),
        "aggte_dynamic": average(event_study(est)),
        "aggte_group": cohort_average(by_cohort(est)),
        "aggte_calendar": average(by_period(est)),
    }
    assert set(result) - {"att_gt"} == set(totals)
    for key, total in totals.items():
        same(total.values, result[key]["overall_att"], POINTS)
        same(total.std_errors, result[key]["overall_se"], ERRORS)
    events = event_study(est)
    assert list(events.terms.get_level_values(0)) == result["aggte_dynamic"]["egt"]
    same(events.values, result["aggte_dynamic"]["att"], POINTS)
    same(events.table()["std_error"], result["aggte_dynamic"]["se"], ERRORS)


CARRIED = cases(HERE / "group_time_S5.json")


@pytest.mark.parametrize("case", CARRIED)
def test_carried_cases(case: str) -> None:
    assert_case(CARRIED[case])


@needs_golden
def test_every_case_of_the_shared_folder() -> None:
    found = cases(GOLDEN / "open" / "did_S5_rcs.json")
    assert len(found) == 14
    for case in found.values():
        assert_case(case)


@needs_golden
@pytest.mark.parametrize(
    ("method", "att", "error"),
    [
        ("dr_improved", -0.2089, 0.2003),
        ("dr", -0.1678, 0.2009),
        ("reg", -8.7910, 7.7785),
        ("ipw", -15.8033, 9.0834),
    ],
)
def test_the_printed_examples_of_drdid(method: Any, att: float, error: float) -> None:
    """Manual pages of drdid_imp_rc, drdid_rc and reg_did_rc (version 1.0.2) and std_ipw_did_rc (newer).

    The error was sd(ψ)/√n in the older version and is sd(ψ) √(n − 1)/n in the newer one.
    """
    frame = pd.read_csv(GOLDEN / "data" / "sim_rc.csv")
    frame["adoption"] = np.where(frame["d"] == 1, 1.0, np.inf)
    sample = Sample.from_frame(frame, period="post", variables=["y", "adoption", "x1", "x2", "x3", "x4"])
    design = Design("y", comparison="never", base="varying", covariates=("x1", "x2", "x3", "x4"))
    est = repeated_cross_section_effects(sample, design, method=method)
    assert list(est.terms) == [(1, 1)]
    assert est.values[0] == pytest.approx(att, abs=6e-5)
    assert est.influence is not None
    n = est.n_units
    scale = np.sqrt(n - 1) / n if method == "ipw" else 1 / np.sqrt(n)
    assert est.influence[:, 0].std(ddof=1) * scale == pytest.approx(error, abs=6e-5)


def improved(y: np.ndarray, post: np.ndarray, d: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """Sant'Anna and Zhao (2020), equation (3.4) with the nuisance models of section 3.2, term by term."""
    z = np.column_stack([np.ones(len(y)), x])

    def loss(g: np.ndarray) -> float:
        return float(np.mean(np.where(d == 1, -z @ g, np.exp(z @ g))))

    def slope(g: np.ndarray) -> np.ndarray:
        return z.T @ np.where(d == 1, -1.0, np.exp(z @ g)) / len(y)

    gamma = minimize(loss, np.zeros(z.shape[1]), jac=slope, method="BFGS", options={"gtol": 1e-12}).x
    odds = np.exp(z @ gamma)

    def model(side: int, when: int) -> np.ndarray:
        at = (d == side) & (post == when)
        root = np.sqrt(odds[at]) if side == 0 else np.ones(at.sum())
        return z @ np.linalg.lstsq(z[at] * root[:, None], y[at] * root, rcond=None)[0]

    m = {(s, t): model(s, t) for s in (0, 1) for t in (0, 1)}
    m0 = np.where(post == 1, m[0, 1], m[0, 0])
    w1 = {t: d * (post == t) for t in (0, 1)}
    w0 = {t: odds * (1 - d) * (post == t) for t in (0, 1)}

    def mean(w: np.ndarray, v: np.ndarray) -> tuple[float, np.ndarray]:
        value = float((w * v).mean() / w.mean())
        return value, w * (v - value) / w.mean()

    terms = [
        (1, mean(w1[1], y - m0)),
        (-1, mean(w1[0], y - m0)),
        (-1, mean(w0[1], y - m0)),
        (1, mean(w0[0], y - m0)),
        (1, mean(d, m[1, 1] - m[0, 1])),
        (-1, mean(w1[1], m[1, 1] - m[0, 1])),
        (-1, mean(d, m[1, 0] - m[0, 0])),
        (1, mean(w1[0], m[1, 0] - m[0, 0])),
    ]
    psi = sum(sign * part for sign, (_, part) in terms)
    return sum(sign * value for sign, (value, _) in terms), float(np.sqrt((psi**2).sum()) / len(y))


@pytest.mark.parametrize("period", [2012, 2015])
def test_the_improved_method_is_its_equation(period: int) -> None:
    frame = rows()
    used = frame[frame["year"].isin([2011, period]) & frame["g"].isin([0, 2012])]
    value, error = improved(
        used["y"].to_numpy(),
        (used["year"] == period).to_numpy().astype(int),
        (used["g"] == 2012).to_numpy().astype(float),
        used["x"].to_numpy(),
    )
    est = repeated_cross_section_effects(sample_of(frame), Design("y", comparison="never", covariates=("x",)))
    k = list(est.terms).index((2012, period))
    assert est.values[k] == pytest.approx(value, rel=1e-7)
    assert est.std_errors[k] == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("method", ["dr_improved", "dr", "reg", "ipw"])
def test_rows_of_a_panel_with_units_seen_once_are_the_same(method: Any) -> None:
    frame = rows()
    panel = Panel.from_long(
        frame, unit="pid", period="year", varying=["y", "x"], fixed=["adoption", "w", "municipality"]
    )
    design = Design("y", covariates=("x",), weight="w", cluster="municipality")
    a = group_time_effects(panel, design, method=method, missing="rows")
    b = repeated_cross_section_effects(sample_of(frame), design, method=method)
    assert list(a.terms) == list(b.terms)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(a.std_errors, b.std_errors, rtol=1e-9, atol=1e-10)
    assert a.replicates is not None
    np.testing.assert_allclose(a.replicates, b.replicates, rtol=1e-8, atol=1e-9)


@pytest.mark.peer
@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
@pytest.mark.parametrize("covariates", [(), ("x",)])
def test_against_diff_diff(method: Any, covariates: tuple[str, ...]) -> None:
    """Points of every cell after adoption; its errors follow conventions of their own."""
    dd = pytest.importorskip("diff_diff")
    rng = np.random.default_rng(3)
    n = 1500
    g = rng.choice([0, 3, 4], n, p=[0.5, 0.3, 0.2])
    t = rng.integers(1, 6, n)
    x = rng.normal(size=n) + 0.3 * (g == 3)
    y = 0.5 * t + x * (1 + 0.1 * t) + (g > 0) * (t >= g) + rng.normal(size=n)
    frame = pd.DataFrame({"pid": np.arange(n), "t": t, "g": g, "x": x, "y": y})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dd.CallawaySantAnna(
            control_group="never_treated", estimation_method=method, panel=False, base_period="universal"
        ).fit(frame, "y", "pid", "t", "g", covariates=list(covariates) or None)
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    found = repeated_cross_section_effects(
        Sample.from_frame(frame, period="t", variables=["y", "x", "adoption"]),
        Design("y", comparison="never", covariates=covariates),
        method=method,
    )
    values = dict(zip(found.terms, found.values, strict=True))
    checked = 0
    for (cohort, period), cell in theirs.group_time_effects.items():
        if period >= cohort:
            assert values[int(cohort), int(period)] == pytest.approx(cell["effect"], rel=1e-6, abs=1e-7)
            checked += 1
    assert checked == 5
