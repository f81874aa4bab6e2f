"""Effects under attrition: group_time_effects on survival and zeros; statsmodels' Logit for the weights."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from evalkit.design import Design
from evalkit.estimators.attrition import attrition_effects
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel


def draw(seed: int, n: int = 300) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = rng.choice([2003.0, np.inf], n)
    years = np.arange(2001, 2005)
    size = rng.normal(size=n)
    y = size[:, None] + rng.normal(size=(n, 4)) + (years >= adoption[:, None])
    left = np.maximum.accumulate(rng.random((n, 4)) < 1 / (1 + np.exp(1.8 + 0.5 * size[:, None])), axis=1)
    left[:, 0] = False
    return Panel(
        np.arange(n),
        years,
        {"y": np.where(left, np.nan, y)},
        {"adoption": adoption, "size": size + rng.normal(size=n), "region": np.arange(n) % 9},
    )


def test_survival_and_zeros_are_group_time_effects() -> None:
    panel = draw(1)
    found = attrition_effects(panel, Design("y", cluster="region"), by="cell")
    seen = ~np.isnan(panel.values("y"))
    with_both = panel.with_varying(seen=seen.astype(float), zero=np.nan_to_num(panel.values("y")))
    for name, outcome in (("survival", "seen"), ("zeros", "zero")):
        mine = found.select(found.terms.get_level_values("term") == name)
        other = group_time_effects(with_both, Design(outcome, cluster="region"))
        at = {term: i for i, term in enumerate(other.terms)}
        rows = [at[term[1:]] for term in mine.terms]
        np.testing.assert_allclose(mine.values, other.values[rows], atol=1e-12)
        np.testing.assert_allclose(mine.std_errors, other.std_errors[rows], rtol=1e-9)
        assert other.replicates is not None
        np.testing.assert_allclose(mine.replicates, other.replicates[:, rows], atol=1e-12)


@pytest.mark.peer
@pytest.mark.parametrize("covariates", [(), ("size",)])
def test_weighting_by_the_logit_of_statsmodels(covariates: tuple[str, ...]) -> None:
    panel = draw(2)
    found = attrition_effects(panel, Design("y", covariates=covariates), by="cell")
    y, adoption = panel.values("y"), panel.constant("adoption")
    mine = dict(zip(found.terms, found.values, strict=True))
    for t in (2, 3):
        means = []
        for side in (adoption == 2003, np.isinf(adoption)):
            at = side & ~np.isnan(y[:, 1])
            x = [np.ones(at.sum()), y[at, 1], *(panel.constant(c)[at] for c in covariates)]
            stayed = ~np.isnan(y[at, t])
            fit = sm.Logit(stayed.astype(float), np.stack(x, axis=1)).fit(disp=0, tol=1e-12, maxiter=100)
            v = stayed / fit.predict()
            means.append((v * np.nan_to_num(y[at, t] - y[at, 1])).sum() / v.sum())
        assert mine["ipw", 2003, 2001 + t] == pytest.approx(means[0] - means[1], abs=1e-8)


def test_nobody_leaves() -> None:
    panel = draw(3)
    panel = panel.with_varying(y=np.nan_to_num(panel.values("y")))
    found = attrition_effects(panel, Design("y"))
    np.testing.assert_allclose(found.values[0], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.values[2], found.values[1], rtol=1e-12)
    np.testing.assert_allclose(found.std_errors[2], found.std_errors[1], rtol=1e-9)
