"""Continuous dose against contdid 0.1.0 and fixest 0.14.2 on the S6 panel, and live against diff_diff.

contdid (alpha) fits its splines on the range of the doses and evaluates them at its grid with the grid's own ends as
boundary knots, so the curve is read at the wrong doses. `test_curve_of_contdid_is_read_at_other_doses` shows that this
is the whole difference: at the doses that its grid points stand for, the numbers agree to 1e-12.
Its errors come from 200 bootstrap draws (their own error is 6 to 8 %, and larger at the ends of the curve): BOOTSTRAP.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from doses_s6 import case, panel_of_s6
from shared_files import GOLDEN, needs_golden

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.dose_response import descriptive_dose_regression, dose_response
from evalkit.panel import Panel

POINTS, ERRORS, BOOTSTRAP = 1e-8, 1e-6, 0.26


def parts(est: Estimate) -> tuple[np.ndarray, np.ndarray]:
    """Positions of att and acrt at the grid."""
    m = (len(est) - 2) // 2
    return np.arange(m), np.arange(m, 2 * m)


def stretched(golden: dict[str, Any], support: list[float]) -> tuple[np.ndarray, float]:
    """The doses at which contdid's curve really is, and the ratio of the slopes."""
    grid = np.array(golden["dose"])
    ratio = (support[1] - support[0]) / (grid[-1] - grid[0])
    return np.clip(support[0] + (grid - grid[0]) * ratio, *support), ratio


def assert_contdid(golden: dict[str, Any], degree: int) -> None:
    panel = panel_of_s6()
    doses = panel.fixed["dose"][panel.fixed["dose"] > 0]
    grid, ratio = stretched(golden, [doses.min(), doses.max()])
    est = dose_response(panel, Design("y"), dose="dose", degree=degree, grid=grid)
    att, acrt = parts(est)
    np.testing.assert_allclose(est.values[att], golden["att_d"], atol=POINTS)
    np.testing.assert_allclose(est.values[acrt] * ratio, golden["acrt_d"], atol=POINTS)
    np.testing.assert_allclose(est.values[-2:], [golden["overall_att"], golden["overall_acrt"]], atol=POINTS)
    np.testing.assert_allclose(est.std_errors[att], golden["att_d_se"], rtol=BOOTSTRAP)
    np.testing.assert_allclose(est.std_errors[acrt] * ratio, golden["acrt_d_se"], rtol=BOOTSTRAP)
    assert est.std_errors[-2] == pytest.approx(golden["overall_att_se"], rel=BOOTSTRAP)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_curve_of_contdid_is_read_at_other_doses(degree: int) -> None:
    golden = case(f"S6-contdid-degree{degree}")
    assert_contdid(golden, degree)
    # read at the doses that it prints, the curve is another one
    ours = dose_response(panel_of_s6(), Design("y"), dose="dose", degree=degree, grid=golden["dose"])
    att, _ = parts(ours)
    assert np.abs(ours.values[att] - golden["att_d"]).max() > 0.08


def test_average_slope_of_degree_one_is_the_slope_and_so_is_its_error() -> None:
    """contdid's error of the average slope is two thirds of its error of the same slope at every dose."""
    panel, golden = panel_of_s6(), case("S6-contdid-degree1")
    est = dose_response(panel, Design("y"), dose="dose", degree=1, grid=golden["dose"])
    _, acrt = parts(est)
    np.testing.assert_allclose(est.values[acrt], est.values[-1])
    np.testing.assert_allclose(est.std_errors[acrt], est.std_errors[-1])
    assert est.values[-1] == pytest.approx(golden["overall_acrt"], abs=POINTS)
    assert est.std_errors[-1] == pytest.approx(0.17607758, abs=1e-7)
    assert golden["overall_acrt_se"] == pytest.approx(0.11099396, abs=1e-7)


@needs_golden
def test_every_grid_point_of_the_golden_file() -> None:
    source = json.loads((GOLDEN / "open" / "dose_S6.json").read_text(encoding="utf-8"))
    whole = {c["id"]: c["result"] for c in source["cases"]}
    for degree in (1, 2, 3):
        assert_contdid(whole[f"S6-contdid-degree{degree}"], degree)


@pytest.mark.parametrize(("degree", "name"), [(1, "S6-linear-dose"), (2, "S6-quadratic-dose")])
def test_descriptive_regression_is_fixest(degree: int, name: str) -> None:
    est = descriptive_dose_regression(panel_of_s6(), Design("y"), dose="dose", degree=degree)
    golden = case(name)
    np.testing.assert_allclose(est.values, list(golden["coef"].values()), atol=POINTS)
    np.testing.assert_allclose(est.std_errors, list(golden["se"].values()), rtol=ERRORS)
    assert (est.dof == golden["df_t"]).all()


def random_panel(seed: int, cohorts: list[float]) -> Panel:
    rng = np.random.default_rng(seed)
    n, periods = 260, 6
    adoption = rng.choice([*cohorts, np.inf], n)
    dose = np.where(np.isfinite(adoption), rng.uniform(0.3, 2.0, n), 0.0)
    t = np.arange(1, periods + 1)
    y = rng.standard_normal((n, periods)).cumsum(axis=1) + (t >= adoption[:, None]) * np.sqrt(dose)[:, None]
    return Panel(np.arange(n), t, {"y": y}, {"adoption": adoption, "dose": dose})


@pytest.mark.peer
@pytest.mark.parametrize("cohorts", [[4.0], [3.0, 5.0]])
@pytest.mark.parametrize(("degree", "knots"), [(1, 0), (2, 0), (3, 0), (3, 1)])
def test_live_against_diff_diff(cohorts: list[float], degree: int, knots: int) -> None:
    """Points and, where its weights of cohorts are taken as known, errors (one cohort)."""
    peer = pytest.importorskip("diff_diff")
    panel = random_panel(7, cohorts)
    frame = panel.to_long().assign(first=lambda d: d["adoption"].where(np.isfinite(d["adoption"]), 0))
    grid = np.array([0.5, 1.0, 1.5])
    theirs = peer.ContinuousDiD(degree=degree, num_knots=knots, dvals=grid, n_bootstrap=0).fit(
        frame, outcome="y", unit="unit", time="period", first_treat="first", dose="dose"
    )
    rows = theirs.aggregate("dose").to_dataframe()
    knot = tuple(np.quantile(panel.fixed["dose"][panel.fixed["dose"] > 0], [0.5])) if knots else 0
    est = dose_response(
        panel, Design("y", comparison="never"), dose="dose", degree=degree, knots=knot, grid=grid
    )
    np.testing.assert_allclose(est.values[:6], rows["att"].to_numpy(), atol=POINTS)
    if len(cohorts) == 1:
        np.testing.assert_allclose(est.std_errors[:6], rows["se"].to_numpy(), rtol=ERRORS)
    assert est.values[-2] == pytest.approx(theirs.overall_att, abs=POINTS)
    assert est.values[-1] == pytest.approx(theirs.overall_acrt, abs=POINTS)
    if len(cohorts) == 1:
        assert est.std_errors[-2] == pytest.approx(theirs.overall_att_se, rel=ERRORS)
    # theirs takes the doses (and the shares of cohorts) as known, ours has their sampling error too
    if len(cohorts) == 1 and degree == 1:
        assert est.std_errors[-1] == pytest.approx(theirs.overall_acrt_se, rel=ERRORS)
    else:
        assert theirs.overall_acrt_se < est.std_errors[-1] < 1.1 * theirs.overall_acrt_se
