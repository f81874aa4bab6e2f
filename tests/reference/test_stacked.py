"""Stacked difference-in-differences against the stacked regressions in fixest 0.14.2, and against a peer.

Points 1e-8 and standard errors 1e-6 are the agreed tolerances; the two differ by rounding, so they are held to 1e-10.
The cases on S1 are carried in stacked_S1.json; those on published data are read from ../shared/golden.
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
from evalkit.estimators.stacked import stacked_effects
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
CARRIED = {c["id"]: c for c in json.loads((HERE / "stacked_S1.json").read_text(encoding="utf-8"))["cases"]}


@cache
def s1() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    return Panel.from_long(frame, unit="unit", period="year", varying=["y"], fixed=["adoption", "region"])


@cache
def golden() -> dict[str, Any]:
    cases = json.loads((GOLDEN / "open" / "stacked_S1_mpdta.json").read_text(encoding="utf-8"))["cases"]
    return {case["id"]: case for case in cases}


def agree(case: dict[str, Any], panel: Panel, design: Design, window: tuple[int, int]) -> None:
    """weighted: corrective weights; es: event study of the classic stack; att: one dummy in the classic stack."""
    name, result = case["id"], case["result"]
    options: dict[str, Any] = {"weighting": "treated" if "weighted" in name else "variance"}
    if name.endswith("att"):
        options.update(by="overall", baseline="mean")
    estimate = stacked_effects(panel, design, window=window, **options)
    names = list(result["coef"])
    if not name.endswith("att"):
        assert [int(n.split("::")[1].split(":")[0]) for n in names] == [e for (e,) in estimate.terms]
    np.testing.assert_allclose(estimate.values, [result["coef"][n] for n in names], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(estimate.std_errors, [result["se"][n] for n in names], rtol=1e-10)
    assert estimate.detail["n_obs"] == result["nobs"]
    assert (estimate.dof == result["df_t"]).all()


@pytest.mark.parametrize("case", CARRIED)
def test_S1(case: str) -> None:
    never = "-never-" in case
    design = Design("y", comparison="never" if never else "not_yet", cluster=None if never else "region")
    agree(CARRIED[case], s1(), design, (-3, 2))


@needs_golden
@pytest.mark.parametrize("kind", ["att", "es", "weighted-es"])
def test_minimum_wage(kind: str) -> None:
    frame = pd.read_csv(GOLDEN / "data" / "mpdta.csv")
    frame["adoption"] = frame["first.treat"].replace(0, np.inf)
    panel = Panel.from_long(frame, unit="countyreal", period="year", varying=["lemp"], fixed=["adoption"])
    agree(golden()[f"mpdta-notyet-1-0-{kind}"], panel, Design("lemp"), (-1, 0))


@needs_golden
def test_every_case_is_tested() -> None:
    published = {f"mpdta-notyet-1-0-{kind}" for kind in ("att", "es", "weighted-es")}
    assert set(golden()) == set(CARRIED) | published
    assert all(golden()[name]["result"] == CARRIED[name]["result"] for name in CARRIED)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_diff_diff() -> None:
    """Event study, overall effect, and both errors: its cluster convention is the same."""
    diff_diff = pytest.importorskip("diff_diff")
    for seed in range(3):
        rng = np.random.default_rng(seed)
        n, years = 90, np.arange(1, 10)
        adoption = rng.choice([3.0, 5.0, 7.0, np.inf], n)
        y = rng.normal(size=(n, 1)) + (years >= adoption[:, None]) + rng.normal(size=(n, 9))
        panel = Panel(np.arange(n), years, {"y": y}, {"adoption": adoption})
        frame = panel.to_long().assign(g=lambda f: f["adoption"].replace(np.inf, 0).astype(int))
        peer = diff_diff.StackedDiD(kappa_pre=2, kappa_post=2, control_group="not_yet_treated")
        peer = peer.fit(frame, "y", "unit", "period", "g", aggregate="event_study")
        ours = stacked_effects(panel, Design("y"), window=(-2, 2))
        theirs = [peer.event_study_effects[e] for (e,) in ours.terms]
        np.testing.assert_allclose(ours.values, [t["effect"] for t in theirs], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(ours.std_errors, [t["se"] for t in theirs], rtol=1e-6)
        overall = stacked_effects(panel, Design("y"), window=(-2, 2), by="overall")
        np.testing.assert_allclose(overall.values, [peer.overall_att], rtol=1e-8)
        np.testing.assert_allclose(overall.std_errors, [peer.overall_se], rtol=1e-6)
