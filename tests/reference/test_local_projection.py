"""Local projections against diff_diff 3.13 and pyfixest 0.60, live, and against numbers carried from them on S1.

No golden file of R or Stata covers LP-DiD; the carried numbers are those of diff_diff 3.13 (points and errors of all
weightings) and pyfixest 0.60 on our own panel S1, so that they hold where the peers are not installed. Tolerance 1e-9:
both sides are closed forms.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.design import Design
from evalkit.estimators.local_projection import local_projection_effects
from evalkit.panel import Panel

HERE = Path(__file__).resolve().parent
CARRIED: dict[str, Any] = json.loads((HERE / "local_projection_S1.json").read_text(encoding="utf-8"))
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


@cache
def s1() -> Panel:
    frame = pd.read_csv(HERE / "data" / "S1_panel.csv")
    frame["adoption"] = frame["g"].where(frame["g"] > 0, np.inf)
    return Panel.from_long(
        frame, unit="unit", period="year", varying=["y", "treated"], fixed=["adoption", "region", "x1"]
    )


def options_of(case: dict[str, Any]) -> tuple[Design, dict[str, Any]]:
    design = Design(
        "y",
        cluster=case["cluster"],
        covariates=tuple(case["covariates"]),
        comparison=case["comparison"],
    )
    options = {k: case[k] for k in ("weighting", "base_window", "lagged_changes")}
    return design, options


@pytest.mark.parametrize("name", list(CARRIED["cases"]))
def test_numbers_of_the_peers_on_S1(name: str) -> None:
    case = CARRIED["cases"][name]
    design, options = options_of(case)
    times = case["event_time"]
    estimate = local_projection_effects(s1(), design, horizons=(min(times), max(times)), **options)
    place = {int(e[0]): k for k, e in enumerate(estimate.terms)}
    at = [place[e] for e in times]
    np.testing.assert_allclose(estimate.values[at], case["estimate"], **TIGHT)
    np.testing.assert_allclose(estimate.std_errors[at], case["std_error"], **TIGHT)
    if case["pooled"] is not None:
        pooled = local_projection_effects(s1(), design, pooled=(0, case["pooled"]["last"]), **options)
        np.testing.assert_allclose(pooled.values, case["pooled"]["estimate"], **TIGHT)
        np.testing.assert_allclose(pooled.std_errors, case["pooled"]["std_error"], **TIGHT)


def random_panel(seed: int, holes: bool) -> Panel:
    rng = np.random.default_rng(seed)
    n, periods = 90, 9
    years = np.arange(2011, 2011 + periods)
    adoption = rng.choice([2014.0, 2015.0, 2017.0, np.inf], n)
    y = rng.normal(size=(n, periods)).cumsum(axis=1) + (years >= adoption[:, None])
    if holes:
        y[rng.random(y.shape) < 0.08] = np.nan
    return Panel(
        np.arange(n),
        years,
        {"y": y, "d": (years >= adoption[:, None]).astype(float)},
        {"adoption": adoption, "region": np.arange(n) % 12, "x": rng.normal(size=n)},
    )


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [11, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (13, 14))])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("base", [None, 2, "all"])
@pytest.mark.parametrize(
    ("weighting", "covariates", "lags"),
    [
        ("variance", (), 0),
        ("variance", ("x",), 1),
        ("reweighted", (), 0),
        ("equal", ("x",), 0),
        ("equal", ("x",), 1),
    ],
)
def test_live_against_diff_diff(
    weighting: Any, covariates: tuple[str, ...], lags: int, base: Any, holes: bool, seed: int
) -> None:
    """Rows with a missing outcome stay in the peer's frame: it then needs base and target only, as here."""
    package = pytest.importorskip("diff_diff")
    panel = random_panel(seed, holes)
    for comparison, word in (("not_yet", "clean"), ("never", "never_treated"))[: 1 if base else 2]:
        model = package.LPDiD(
            pre_window=3,
            post_window=3,
            reweight=weighting != "variance",
            pmd={"all": "max"}.get(base, base),
            cluster="region",
            control_group=word,
        )
        result = model.fit(
            panel.to_long(), "y", "unit", "period", "d", covariates=list(covariates) or None, dylags=lags
        )
        told = result.to_dataframe().set_index("horizon").drop(index=-1)
        design = Design("y", cluster="region", covariates=covariates, comparison=comparison)  # type: ignore[arg-type]
        options: dict[str, Any] = {"weighting": weighting, "base_window": base, "lagged_changes": lags}
        estimate = local_projection_effects(panel, design, horizons=(-3, 3), **options)
        mine = estimate.table()
        mine = mine.set_index(mine.index.get_level_values(0)).drop(index=-1, errors="ignore")
        shared = [e for e in mine.index if e in told.index]
        assert len(shared) == len(told.dropna(subset="coefficient"))
        np.testing.assert_allclose(mine.loc[shared, "estimate"], told.loc[shared, "coefficient"], **TIGHT)
        # a horizon that a lagged change gives is 0 by construction: no error here, rounding there
        free = [e for e in shared if np.isfinite(mine.loc[e, "std_error"])]
        given = [e for e in shared if e not in free]
        assert len(given) <= lags
        assert (told.loc[given, "se"].fillna(0.0) < 1e-12).all()
        np.testing.assert_allclose(mine.loc[free, "std_error"], told.loc[free, "se"], **TIGHT)
        pooled = local_projection_effects(panel, design, pooled=(0, 3), **options)
        if holes and base == "all":
            continue  # the peer pools over the horizons that are there, with a mean that skips
        last = result.to_dataframe("pooled").iloc[-1]
        np.testing.assert_allclose(pooled.values[0], last["coefficient"], **TIGHT)
        np.testing.assert_allclose(pooled.std_errors[0], last["se"], **TIGHT)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [12, 15, 16])
@pytest.mark.parametrize("cluster", [None, "region"])
def test_live_against_pyfixest(cluster: str | None, seed: int) -> None:
    """The plain regression with CV1: clusters are those of the horizon's own sample."""
    package = pytest.importorskip("pyfixest")
    panel = random_panel(seed, False)
    frame = panel.to_long()
    frame["g"] = np.where(np.isfinite(frame["adoption"]), frame["adoption"], 0).astype(int)
    result = package.lpdid(
        frame,
        yname="y",
        idname="unit",
        tname="period",
        gname="g",
        vcov={"CRV1": cluster or "unit"},
        pre_window=3,
        post_window=4,
        att=False,
    ).tidy()
    estimate = local_projection_effects(
        panel, Design("y", cluster=cluster), weighting="variance", horizons=(-3, 4)
    )
    told = result.set_index(result.index.str.removeprefix("time_to_treatment::").astype(int))
    times = list(estimate.terms.get_level_values(0))
    np.testing.assert_allclose(estimate.values, told.loc[times, "Estimate"].astype(float), **TIGHT)
    np.testing.assert_allclose(estimate.std_errors, told.loc[times, "Std. Error"].astype(float), **TIGHT)
    np.testing.assert_array_equal(estimate.detail["n_obs"], told.loc[times, "N"].astype(int))
