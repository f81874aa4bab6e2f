"""fractional_shares against statsmodels GLM on cells (binomial, Poisson, Gaussian with dummies), points 1e-8."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.estimators.fractional_shares import fractional_shares
from evalkit.panel import Panel


def simulate(seed: int, units: int = 60, periods: int = 6) -> Panel:
    rng = np.random.default_rng(seed)
    years = np.arange(2015, 2015 + periods)
    adoption = rng.choice([2017.0, 2019.0, np.inf], units)
    adoption[:6] = [2017.0, 2017.0, 2019.0, 2019.0, np.inf, np.inf]
    on = years >= adoption[:, None]
    jobs = rng.poisson(20 * np.exp(0.5 * rng.normal(size=(units, 1)) + 0.1 * on)) + 1.0
    share = 1 / (1 + np.exp(-(0.4 * rng.normal(size=(units, 1)) + 0.1 * np.arange(periods) + 0.5 * on)))
    return Panel(
        np.arange(units),
        years,
        {"regular": rng.binomial(jobs.astype(int), share).astype(float), "jobs": jobs},
        {"adoption": adoption, "region": np.arange(units) % 6, "w": rng.uniform(0.5, 2, units)},
    )


@pytest.mark.parametrize("link", ["levels", "ratios"])
def test_statsmodels_on_the_cells(link: str) -> None:
    sm = pytest.importorskip("statsmodels.api")
    panel = simulate(2)
    design = Design("regular", weight="w", cluster="region", link=link)  # type: ignore[arg-type]
    mine = fractional_shares(panel, design, denominator="jobs", by="cell")
    w, adoption, years = panel.constant("w"), panel.constant("adoption"), panel.periods
    dates = np.unique(adoption)
    n, d = (
        np.array([(w[:, None] * panel.values(v))[adoption == g].sum(0) for g in dates])
        for v in ("regular", "jobs")
    )
    size = np.array([w[adoption == g].sum() for g in dates])
    j, t = np.meshgrid(np.arange(3), np.arange(len(years)), indexing="ij")
    x = np.column_stack([np.eye(3)[j.ravel()], np.eye(len(years))[t.ravel()][:, 1:]])
    fitted = (years[None, :] < dates[:, None]).ravel()
    weight = {"share": d.ravel(), "size": np.repeat(size, len(years))}
    family = sm.families.Gaussian() if link == "levels" else sm.families.Poisson()

    def without(y: np.ndarray, family: object, weights: np.ndarray) -> np.ndarray:
        model = sm.GLM(y[fitted], x[fitted], family=family, var_weights=weights[fitted])
        return np.asarray(model.fit(tol=1e-14, maxiter=200).predict(x)).reshape(n.shape)

    share0 = without((n / d).ravel(), sm.families.Binomial(), weight["share"])
    n0 = without((n / size[:, None]).ravel(), family, weight["size"])
    d0 = without((d / size[:, None]).ravel(), family, weight["size"])
    for (term, g, year), value in zip(mine.terms, mine.values, strict=True):
        a, b = int(np.flatnonzero(dates == g)[0]), int(year - years[0])
        n1, d1 = n[a, b] / size[a], d[a, b] / size[a]
        expected = {
            "share": n1 / d1 - share0[a, b],
            "numerator": n1 - n0[a, b],
            "denominator": d1 - d0[a, b],
            "ratio": n1 / d1 - n0[a, b] / d0[a, b],
            "ratio_numerator": (n1 - n0[a, b]) / d1,
            "ratio_denominator": -n0[a, b] / d0[a, b] * (d1 - d0[a, b]) / d1,
        }[term]
        assert value == pytest.approx(expected, rel=1e-8, abs=1e-9), (term, g, year)


@pytest.mark.parametrize("link", ["levels", "ratios"])
def test_never_treated_and_one_base_period_fit_exactly(link: str) -> None:
    """The counterfactual is the base period moved as the never treated moved, on each scale."""
    panel = simulate(4)
    design = Design("regular", weight="w", link=link, comparison="never")  # type: ignore[arg-type]
    mine = fractional_shares(panel, design, denominator="jobs", by="cell")
    w, adoption, years = panel.constant("w"), panel.constant("adoption"), panel.periods

    def mean(name: str, g: float, t: int) -> float:
        own = adoption == g
        return float(np.average(panel.values(name)[own, t - years[0]], weights=w[own]))

    def moved(values: list[float], scale: str) -> float:
        base, never, never_base = values
        if scale == "levels":
            return base + never - never_base
        if scale == "ratios":
            return base * never / never_base
        odds = [v / (1 - v) for v in values]
        out = odds[0] * odds[1] / odds[2]
        return out / (1 + out)

    for (term, g, t), value in zip(mine.terms, mine.values, strict=True):
        cells = [(g, g - 1), (np.inf, t), (np.inf, g - 1)]
        n0, d0 = (moved([mean(name, *cell) for cell in cells], link) for name in ("regular", "jobs"))
        s0 = moved([mean("regular", *cell) / mean("jobs", *cell) for cell in cells], "logit")
        n1, d1 = mean("regular", g, t), mean("jobs", g, t)
        expected = {
            "share": n1 / d1 - s0,
            "numerator": n1 - n0,
            "denominator": d1 - d0,
            "ratio": n1 / d1 - n0 / d0,
            "ratio_numerator": (n1 - n0) / d1,
            "ratio_denominator": -n0 / d0 * (d1 - d0) / d1,
        }[term]
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-10), (term, g, t)


def test_two_cells_by_hand() -> None:
    """One treated and one comparison unit, two periods: the odds ratio and the differences."""
    panel = Panel(
        np.arange(2),
        np.array([1, 2]),
        {"n": np.array([[4.0, 9.0], [5.0, 6.0]]), "d": np.array([[10.0, 12.0], [10.0, 10.0]])},
        {"adoption": np.array([2.0, np.inf])},
    )
    estimate = fractional_shares(panel, Design("n"), denominator="d")
    odds = (4 / 6) * (6 / 4) / (5 / 5)
    found = dict(zip(estimate.terms.get_level_values("term"), estimate.values, strict=True))
    assert found["share"] == pytest.approx(9 / 12 - odds / (1 + odds), rel=1e-10)
    assert found["numerator"] == pytest.approx((9 - 4) - (6 - 5), rel=1e-12)
    assert found["denominator"] == pytest.approx(2.0, rel=1e-12)
    assert found["ratio"] == pytest.approx(9 / 12 - 5 / 10, rel=1e-12)
    assert found["ratio_numerator"] + found["ratio_denominator"] == pytest.approx(found["ratio"], rel=1e-12)
