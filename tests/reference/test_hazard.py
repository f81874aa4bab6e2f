"""Hazard difference-in-differences against statsmodels GLM on one row a unit and period; Kaplan–Meier; brute force.

Points 1e-8 and errors 1e-6. statsmodels' robust covariance of a cloglog GLM uses the expected information where ours is
the derivative of the score, so the sandwich is put together here from its observed Hessian and its scores.
"""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from evalkit.arrays.grouped_binary import Link
from evalkit.design import Design
from evalkit.estimators.hazard import hazard_effects, incidence_effects
from evalkit.panel import Panel

POINTS, ERRORS = 1e-8, 1e-6


def draw(seed: int, n: int = 900, periods: int = 7) -> Panel:
    rng = np.random.default_rng(seed)
    years = np.arange(2011, 2011 + periods)
    adoption = rng.choice([2014.0, 2015.0, np.inf], n, p=[0.3, 0.2, 0.5])
    born = 2011 - rng.integers(0, 9, n)
    treated = years >= adoption[:, None]
    risk = 0.1 * np.exp(-0.05 * (years - born[:, None])) * np.where(treated, 0.6, 1.0)
    exit_ = rng.random((n, periods)) < risk
    move = rng.random((n, periods)) < 0.04 * np.where(treated, 1.5, 1.0)
    first = np.where((exit_ | move).any(axis=1), (exit_ | move).argmax(axis=1), periods)
    at = np.arange(periods) == first[:, None]
    out = exit_ & at
    stop = rng.integers(4, 12, n)  # some are lost to sight
    blind = np.arange(periods) >= stop[:, None]
    return Panel(
        np.arange(n),
        years,
        {
            "exit": np.where(blind, np.nan, out.astype(float)),
            "move": np.where(blind, np.nan, (move & at & ~out).astype(float)),
        },
        {
            "adoption": adoption,
            "born": born,
            "region": rng.integers(0, 12, n),
            "w": rng.uniform(0.5, 2, n),
        },
    )


def rows(panel: Panel, bins: tuple[int, ...] | None) -> tuple[np.ndarray, ...]:
    """One row a unit and period at risk: outcome, regressors with references left out, weight, region."""
    exit_, move, adoption = panel.values("exit"), panel.values("move"), panel.constant("adoption")
    keep = []
    for i in range(len(panel.units)):
        for t in range(len(panel.periods)):
            if np.isnan(exit_[i, t]):
                break
            keep.append((i, t))
            if exit_[i, t] == 1 or move[i, t] == 1:
                break
    i, t = np.array(keep).T
    treated = (panel.periods[t] >= adoption[i]).astype(float)
    columns = [treated, np.ones(len(i))]
    columns += [(adoption[i] == g).astype(float) for g in np.unique(adoption)[:-1]]
    columns += [(t == s).astype(float) for s in range(1, len(panel.periods))]
    if bins is not None:
        level = np.searchsorted(bins, panel.periods[t] - panel.constant("born")[i], side="right")
        columns += [(level == k).astype(float) for k in np.unique(level)[1:]]
    return exit_[i, t], np.stack(columns, axis=1), panel.constant("w")[i], panel.constant("region")[i]


@pytest.mark.peer
@pytest.mark.parametrize("link", ["cloglog", "logit"])
@pytest.mark.parametrize("bins", [None, (3, 6)])
@pytest.mark.parametrize("seed", [1, 2])
def test_coefficient_and_error_of_statsmodels(link: Link, bins: tuple[int, ...] | None, seed: int) -> None:
    panel = draw(seed)
    y, x, w, region = rows(panel, bins)
    family = sm.families.Binomial(sm.families.links.CLogLog() if link == "cloglog" else None)
    model = sm.GLM(y, x, family=family, freq_weights=w)
    fit = model.fit(tol=1e-14, maxiter=200, method="newton", start_params=model.fit().params)
    ours = hazard_effects(
        panel,
        Design("exit", cluster="region", weight="w"),
        competing=("move",),
        link=link,
        start=None if bins is None else "born",
        bins=bins,
    )
    assert ours.values[0] == pytest.approx(fit.params[0], abs=POINTS)
    scores = model.score_obs(fit.params)
    if not np.allclose(scores.sum(axis=0), 0, atol=1e-5):
        scores = scores * w[:, None]
    bread = np.linalg.inv(-model.hessian(fit.params, observed=True))
    sums = np.stack([scores[region == c].sum(axis=0) for c in np.unique(region)])
    error = np.sqrt((bread @ sums.T @ sums @ bread)[0, 0])
    assert ours.std_errors[0] == pytest.approx(error, rel=ERRORS)


def simple(seed: int = 5) -> Panel:
    panel = draw(seed)
    adoption = np.where(np.isfinite(panel.constant("adoption")), 2014.0, np.inf)
    return panel.with_fixed(adoption=adoption)


def test_saturated_hazards_are_kaplan_meier() -> None:
    """One cohort, an effect for each event time: fitted hazards after adoption are events over at risk."""
    panel = simple()
    found = incidence_effects(panel, Design("exit"), competing=("move",), effects="event_time")
    exit_, move = panel.values("exit"), panel.values("move")
    survival, incidence = 1.0, {"exit": 0.0, "move": 0.0}
    treated = np.isfinite(panel.constant("adoption"))
    cohort = list(found.detail["strata_cohort"]).index(2014.0)
    alive = treated.copy()
    for t, year in enumerate(panel.periods):
        alive = alive & ~np.isnan(exit_[:, t])
        d = {"exit": (exit_[alive, t] == 1).sum(), "move": (move[alive, t] == 1).sum()}
        n = alive.sum()
        if year >= 2014:
            for j, cause in enumerate(("exit", "move")):
                assert found.detail["hazard_treated"][j, cohort, t] == pytest.approx(d[cause] / n, rel=1e-8)
                incidence[cause] += survival * d[cause] / n
            survival *= 1 - (d["exit"] + d["move"]) / n
        alive = alive & (exit_[:, t] != 1) & (move[:, t] != 1)
    # the treated side of the effect, put together by the product limit
    h0 = found.detail["hazard_counterfactual"][:, cohort]
    left, without = 1.0, np.zeros(2)
    for t in np.flatnonzero(panel.periods >= 2014):
        without += left * h0[:, t]
        left *= 1 - h0[:, t].sum()
    last = [found.values[list(found.terms).index((c, 3))] for c in ("exit", "move")]
    np.testing.assert_allclose(last, np.array(list(incidence.values())) - without, rtol=1e-7)


def test_nelson_aalen_scale() -> None:
    """With cloglog the effect of one period is the difference of log cumulative hazards −log(1 − d/n) of 2 × 2 cells."""
    panel = simple(8).select(periods=[2013, 2014])
    found = hazard_effects(panel, Design("exit"))
    exit_, treated = panel.values("exit"), np.isfinite(panel.constant("adoption"))
    logs = {}
    for group in (True, False):
        alive = (treated == group) & ~np.isnan(exit_[:, 0])
        for t in range(2):
            alive = alive & ~np.isnan(exit_[:, t])
            logs[group, t] = np.log(-np.log1p(-exit_[alive, t].mean()))
            alive = alive & (exit_[:, t] == 0)
    expected = logs[True, 1] - logs[True, 0] - logs[False, 1] + logs[False, 0]
    assert found.values[0] == pytest.approx(expected, abs=1e-9)


def test_incidence_by_brute_force_over_cohorts_and_starts() -> None:
    panel = draw(3)
    found = incidence_effects(
        panel, Design("exit", weight="w"), competing=("move",), effects="overall", start="born", bins=(3, 6)
    )
    d = found.detail
    exit_, move, adoption = panel.values("exit"), panel.values("move"), panel.constant("adoption")
    total, mass = np.zeros((2, 4)), np.zeros(4)
    for q, (g, s) in enumerate(zip(d["strata_cohort"], d["strata_start"], strict=True)):
        if not np.isfinite(g):
            continue
        begin = list(panel.periods).index(int(g))
        member = (adoption == g) & (panel.constant("born") == s)
        bad = (exit_[:, :begin] == 1) | (move[:, :begin] == 1) | np.isnan(exit_[:, :begin])
        weight = panel.constant("w")[member & ~bad.any(axis=1) & ~np.isnan(exit_[:, begin])].sum()
        curves = []
        for name in ("hazard_treated", "hazard_counterfactual"):
            left, incidence, path = 1.0, np.zeros(2), []
            for t in range(begin, len(panel.periods)):
                incidence = incidence + left * d[name][:, q, t]
                left *= 1 - d[name][:, q, t].sum()
                path.append(incidence)
            curves.append(np.array(path))
        gap = (curves[0] - curves[1]).T
        total[:, : gap.shape[1]] += weight * gap
        mass[: gap.shape[1]] += weight
    np.testing.assert_allclose(found.values.reshape(2, 4), total / mass, rtol=1e-8)


def test_few_events_are_told() -> None:
    found = hazard_effects(draw(4, n=300), Design("exit", cluster="region"))
    assert any("순열 검정" in note for note in found.detail["notes"])
