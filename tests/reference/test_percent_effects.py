"""percent_effects against R did 2.5.1 (through the golden group-time effects) and by hand.

Effects must be those of group_time_effects and its averages, which are held to R elsewhere; here the numbers on mpdta in
levels of employment are compared with R did's ATT on the log outcome's data where that is present, and the ratio with its
definition from means of the raw data.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evalkit.aggregate import by_cohort, event_study, overall
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.percent_effects import By, percent_effects
from evalkit.panel import Panel
from evalkit.percent import percent_of

HERE = Path(__file__).resolve().parent
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def s1() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    frame["y"] += 10 - frame["y"].min()
    return Panel.from_long(
        frame, unit="unit", period="year", varying=["y", "x2"], fixed=["adoption", "region", "pop", "x1"]
    )


def part(estimate: Estimate, term: str) -> Estimate:
    return estimate.select(np.asarray(estimate.terms.get_level_values("term") == term))


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@pytest.mark.parametrize("covariates", [(), ("x1",), ("x1", "x2")])
@pytest.mark.parametrize("by", ["overall", "event_time", "cohort", "cell"])
def test_effects_are_the_group_time_effects_that_R_confirms(
    by: By, covariates: tuple[str, ...], comparison: str
) -> None:
    design = Design("y", cluster="region", weight="pop", covariates=covariates, comparison=comparison)  # type: ignore[arg-type]
    mine = part(percent_effects(s1(), design, by=by), "effect")
    cells = group_time_effects(s1(), design)
    cells = cells.select(
        np.isfinite(cells.values)
    )  # few treated units and two covariates: some cells fail in both
    theirs = {"overall": overall, "event_time": event_study, "cohort": by_cohort, "cell": lambda e: e}[by](
        cells
    )
    np.testing.assert_allclose(mine.values, theirs.values, **TIGHT)
    np.testing.assert_allclose(mine.covariance, theirs.covariance, **TIGHT)
    np.testing.assert_allclose(mine.replicates, theirs.replicates, **TIGHT)
    np.testing.assert_allclose(mine.influence, theirs.influence, rtol=1e-8, atol=1e-9)


def test_the_ratio_is_that_of_means_of_the_raw_data() -> None:
    """θ_e = Σ (mean outcome − counterfactual) / Σ counterfactual; R did 2.5.1 confirms the numerator."""
    panel = s1()
    design = Design("y", cluster="region")
    found = percent_effects(panel, design, by="overall")
    cells = group_time_effects(panel, design)
    adoption, y = panel.constant("adoption"), panel.values("y")
    gained = level = 0.0
    for (g, t), att in zip(cells.terms, cells.values, strict=True):
        if t >= g:
            own = adoption == g
            gained += own.sum() * att
            level += own.sum() * (y[own, panel.periods == t].mean() - att)
    assert found.values[0] == pytest.approx(100 * gained / level, rel=1e-10)


def test_joint_form_equals_the_ratio_of_two_estimates() -> None:
    """`percent_of` on the parts gives the same per cent, influence and replicates with ψ_θ = (ψ_ATT − θ ψ_μ0) / μ0."""
    found = percent_effects(s1(), Design("y", cluster="region", covariates=("x1",)))
    terms = part(found, "effect").terms.droplevel("term")
    a, b = (
        Estimate(
            terms=pd.MultiIndex.from_arrays([terms], names=["event_time"]),
            **{
                name: getattr(part(found, term), name)
                for name in Estimate.__dataclass_fields__
                if name != "terms"
            },
        )
        for term in ("effect", "counterfactual")
    )
    joint, mine = percent_of(a, b), part(found, "percent")
    np.testing.assert_allclose(joint.values, mine.values, **TIGHT)
    np.testing.assert_allclose(joint.influence, mine.influence, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(joint.covariance, mine.covariance, **TIGHT)
    np.testing.assert_allclose(joint.replicates, mine.replicates, **TIGHT)


@pytest.mark.slow
def test_influence_error_equals_the_bootstrap() -> None:
    """Clusters redrawn 400 times: the error of the ratio within a tenth."""
    panel = s1()
    design = Design("y", cluster="unit_itself")
    panel = panel.with_fixed(unit_itself=np.arange(len(panel.units)))
    whole = percent_effects(panel, design, by="overall", replicates=False)
    rng = np.random.default_rng(0)
    draws = []
    n = len(panel.units)
    for _ in range(400):
        at = rng.integers(0, n, n)
        again = Panel(
            np.arange(n),
            panel.periods,
            {"y": panel.values("y")[at]},
            {"adoption": panel.constant("adoption")[at], "unit_itself": np.arange(n)},
        )
        draws.append(percent_effects(again, design, by="overall", replicates=False).values[0])
    assert np.std(draws) == pytest.approx(whole.std_errors[0], rel=0.1)
