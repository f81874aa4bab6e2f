"""M1 on real data: placebo programmes given to provinces drawn at random, on what unit and year effects leave of municipalities.

The residuals of log population and log active corporations of the non-capital municipalities, 2010–24, keep the real shocks:
lasting, unequal between provinces, common to neighbours. A replication draws the outcome, a window of eight years, the
treated provinces, and municipalities with replacement inside each province; nothing happened in any of them.
The numbers are shown, not claimed: 14 provinces with fixed residuals are one draw of what could have been.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
import rigour
from leading import DRAWS, design_of, measures
from shared_files import REAL, needs_real

from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.refit import Refits
from evalkit.panel import Panel

WINDOW, BEFORE = 8, 4


@cache
def residuals(sejong: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Residual paths of both outcomes (2, N, T) and the province of each municipality (N,)."""
    table = pd.read_csv(REAL / "kr_sigungu_panel_2010_2024.csv", dtype={"code": str})
    table = table[table["capital_region"] == 0]
    if not sejong:
        table = table[table["sido"] != "세종"]
    found = []
    for name in ("population", "nts_biz_corp"):
        wide = np.log(table.pivot(index="code", columns="year", values=name))
        found.append(wide)
    complete = found[0].index[np.isfinite(found[0]).all(axis=1) & np.isfinite(found[1]).all(axis=1)]
    paths = np.stack([wide.loc[complete].to_numpy() for wide in found])
    paths = paths - paths.mean(axis=2, keepdims=True)
    paths = paths - paths.mean(axis=1, keepdims=True)
    province = table.drop_duplicates("code").set_index("code")["sido"].loc[complete]
    return paths, pd.factorize(province, sort=True)[0]


def draw(rng: np.random.Generator, *, treated: int, provinces: int, sejong: bool) -> rigour.Measures:
    """One placebo programme."""
    paths, province = residuals(sejong)
    outcome, start = rng.integers(len(paths)), rng.integers(paths.shape[2] - WINDOW + 1)
    rows = np.concatenate(
        [rng.choice(at, len(at)) for at in (np.flatnonzero(province == p) for p in range(provinces))]
    )
    hit = rng.choice(provinces, treated, replace=False)
    adoption = np.where(np.isin(province[rows], hit), float(BEFORE), np.inf)
    panel = Panel(
        np.arange(len(rows)),
        np.arange(WINDOW),
        {"y": paths[outcome, rows, start : start + WINDOW]},
        {"adoption": adoption, "province": province[rows]},
    )
    design = design_of("province")
    return measures(
        two_way_effects(panel, design), adoption, Refits(panel, design, two_way_effects, draws=DRAWS)
    )


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("sejong", [True, False])
@pytest.mark.parametrize("treated", [1, 2, 3, 5, 7])
def test_real_residuals_show_what_the_usual_error_does(treated: int, sejong: bool) -> None:
    """Sejong, one municipality that grew from nothing, makes a law of variance by size fit it and nobody else: then the
    rule errs on the safe side. It is shown with and without."""
    _, province = residuals(sejong)
    g = int(province.max()) + 1
    rows = rigour.run(
        "real",
        f"{g} provinces{'' if sejong else ' without Sejong'}, {treated} given a placebo programme",
        partial(draw, treated=treated, provinces=g, sejong=sejong),
        seed=20260201 + treated,
    )
    rigour.judge(rows)
    if treated == 1:
        assert rows["auto", "rejection"].failed == rows["auto", "rejection"].replications
    else:
        assert rows["auto", "rejection"].value < rows["CV1", "rejection"].value
        assert rows["auto", "rejection"].value < 7.5, "too narrow on real shocks is what must not be"
