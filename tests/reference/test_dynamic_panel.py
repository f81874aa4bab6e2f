"""Difference GMM against Arellano & Bond (1991), table 4, column b, and R plm's pgmm on the same data.

plm's documentation prints, for `pgmm(log(emp) ~ lag(log(emp), 1:2) + lag(log(wage), 0:1) + log(capital) +
lag(log(output), 0:1) | lag(log(emp), 2:99), EmplUK, effect = "twoways", model = "twosteps")`, six decimals of the
coefficients and of the corrected errors, Sargan's test and the tests of serial correlation; the paper prints three.
Tolerance: half a unit of the last printed digit.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from shared_files import GOLDEN, needs_golden

from evalkit.arrays.dynamic_panel import estimate, gaps
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators import dynamic_panel
from evalkit.estimators.dynamic_panel import dynamic_panel_effects
from evalkit.panel import Panel

REGRESSORS = ("lwage", "lwage1", "lcapital", "loutput", "loutput1")
PLM = {
    "lag_1": (0.474151, 0.185398),
    "lag_2": (-0.052967, 0.051749),
    "lwage": (-0.513205, 0.145565),
    "lwage1": (0.224640, 0.141950),
    "lcapital": (0.292723, 0.062627),
    "loutput": (0.609775, 0.156263),
    "loutput1": (-0.446373, 0.217302),
}
PAPER = {  # coefficients and uncorrected two-step errors, three decimals
    "lag_1": (0.474, 0.085),
    "lag_2": (-0.053, 0.027),
    "lwage": (-0.513, 0.049),
    "lwage1": (0.225, 0.080),
    "lcapital": (0.293, 0.039),
    "loutput": (0.610, 0.109),
    "loutput1": (-0.446, 0.125),
}


@cache
def employment() -> Panel:
    frame = pd.read_csv(GOLDEN / "data" / "empluk.csv").sort_values(["firm", "year"])
    for name in ("emp", "wage", "capital", "output"):
        frame["l" + name] = np.log(frame[name])
    for name in ("lwage", "loutput"):
        frame[name + "1"] = frame.groupby("firm")[name].shift(1)
    return Panel.from_long(frame, unit="firm", period="year", varying=["lemp", *REGRESSORS])


@cache
def fitted(steps: int) -> Estimate:
    return dynamic_panel_effects(employment(), Design("lemp"), lags=2, regressors=REGRESSORS, steps=steps)


@needs_golden
def test_two_steps_as_plm_prints_them() -> None:
    table = fitted(2).table()
    np.testing.assert_allclose(table["estimate"], [v for v, _ in PLM.values()], atol=5.1e-7)
    np.testing.assert_allclose(table["std_error"], [s for _, s in PLM.values()], atol=5.1e-7)
    assert [term[0] for term in fitted(2).terms] == list(PLM)
    detail = fitted(2).detail
    np.testing.assert_allclose(detail["sargan"], 30.11247, atol=5.1e-6)
    assert detail["sargan_dof"] == 25
    np.testing.assert_allclose(detail["sargan_p"], 0.22011, atol=5.1e-6)
    np.testing.assert_allclose([detail["ar1"], detail["ar2"]], [-1.53845, -0.2796829], atol=5.1e-6)
    assert (detail["n_obs"], detail["n_units"]) == (611, 140)


@needs_golden
def test_the_paper_prints_the_uncorrected_errors() -> None:
    """Arellano & Bond (1991) had no correction; their errors are (X'ZWZ'X)⁻¹ at the two-step weight."""
    kept = fitted(2)
    panel, rows = employment(), kept.units
    x = [panel.values(name)[np.isin(panel.units, rows)] for name in REGRESSORS]
    y = panel.values("lemp")[np.isin(panel.units, rows)]
    problem, _ = dynamic_panel._differenced(y, x, 2, (2, None), False)
    moments = dynamic_panel.gmm.unit_moments(problem, len(rows))
    _, weight = estimate(moments, 2)
    left = moments.zx.sum(axis=0).T @ weight
    plain = np.sqrt(np.diag(np.linalg.inv(left @ moments.zx.sum(axis=0))))[: len(PAPER)]
    np.testing.assert_allclose(kept.values, [v for v, _ in PAPER.values()], atol=5.1e-4)
    np.testing.assert_allclose(plain, [s for _, s in PAPER.values()], atol=5.1e-4)
    assert (kept.std_errors > plain).all()


@needs_golden
def test_one_step_meets_its_moments() -> None:
    """X'ZW Z'û = 0 defines the estimate, whatever solved it."""
    kept = fitted(1)
    panel = employment()
    at = np.isin(panel.units, kept.units)
    problem, _ = dynamic_panel._differenced(
        panel.values("lemp")[at], [panel.values(n)[at] for n in REGRESSORS], 2, (2, None), False
    )
    moments = dynamic_panel.gmm.unit_moments(problem, len(kept.units))
    theta, weight = estimate(moments, 1)
    np.testing.assert_allclose(kept.values, theta[: len(kept)], rtol=1e-8)
    ends = moments.zx.sum(axis=0).T @ weight @ gaps(moments, theta).sum(axis=0)
    assert np.abs(ends).max() < 1e-8
