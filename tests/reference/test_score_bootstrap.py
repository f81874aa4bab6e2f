"""Score and linearised bootstrap: identities with the wild bootstrap for least squares, explicit weighting, live Poisson moments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.estimators.poisson import poisson_effects, poisson_event_study
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference import cluster_jackknife, cluster_robust, score_bootstrap, wild_bootstrap
from evalkit.panel import Panel


def counts(seed: int = 3, regions: int = 12) -> Panel:
    rng = np.random.default_rng(seed)
    n, years = 5 * regions, np.arange(2010, 2016)
    region = np.arange(n) % regions
    adoption = np.where(region < regions // 2, 2013.0, np.inf)
    level = rng.normal(size=(n, 1)) * 0.6 + 2 + 0.2 * rng.normal(size=(regions, 6))[region]
    x = rng.normal(size=(n, 6))
    y = rng.poisson(np.exp(level + 0.2 * x + 0.3 * (years >= adoption[:, None]))).astype(float)
    share = rng.beta(2, 3, (n, 6))
    return Panel(
        np.arange(n), years, {"y": y, "x": x, "share": share}, {"adoption": adoption, "region": region}
    )


DESIGN = Design("y", covariates=("x",), cluster="region")


@pytest.fixture(scope="module")
def poisson() -> Estimate:
    return poisson_effects(counts(), DESIGN, replicates=True)


@pytest.mark.parametrize("suffix", ["C", "S"])
@pytest.mark.parametrize("imposed", ["R", "U"])
def test_for_least_squares_linearising_changes_nothing(suffix: str, imposed: str) -> None:
    estimate = two_way_effects(counts(), DESIGN)
    linear = wild_bootstrap(estimate, kind=f"WC{imposed}-{suffix}", null=[1.0, 0.1])  # type: ignore[arg-type]
    scores = score_bootstrap(estimate, kind=f"WCL{imposed}-{suffix}", null=[1.0, 0.1])  # type: ignore[arg-type]
    for a, b in zip(linear, scores, strict=True):
        assert a.p_value == b.p_value
        assert a.pieces == b.pieces
        assert a.detail["p_other"] == b.detail["p_other"]


def test_unrestricted_scores_weighted_by_hand(poisson: Estimate) -> None:
    """KS: t* = Σ v_cC_c/√Σ(v_cC_c)²; KS-J from the fits without each cluster, whose squares are CV3's."""
    influence, replicates = poisson.influence, poisson.replicates
    assert influence is not None
    assert replicates is not None
    sums = np.stack([influence[poisson.cluster == c].sum(axis=0) for c in range(12)]) / poisson.n_units
    patterns = np.array([(1.0, *rest) for rest in itertools.product([1.0, -1.0], repeat=11)])
    parts = {"KS": sums[:, 0], "KS-J": poisson.values[0] - replicates[:, 0]}
    errors = {
        "KS": cluster_robust(poisson, "CR0").std_errors[0] * np.sqrt(12 / 11),
        "KS-J": cluster_jackknife(poisson).std_errors[0],
    }
    for kind, c in parts.items():
        stars = patterns @ c / np.sqrt(patterns**2 @ c**2)
        t = (poisson.values[0] - 0.2) / np.sqrt(c @ c)
        found = score_bootstrap(poisson, [0], kind=kind, null=0.2)[0]  # type: ignore[arg-type]
        assert found.p_value == max((np.abs(stars) >= abs(t) * (1 - 1e-12)).mean(), 2.0**-11)
        np.testing.assert_allclose(found.detail["std_error"], errors[kind], rtol=1e-9)
        # least number of draws at or beyond: the set is symmetric and ends at a quantile of |t*|
        ordered = np.sort(np.abs(stars))[::-1]
        edge = ordered[int(np.ceil(0.05 * len(stars) - 1e-9)) - 1] * np.sqrt(c @ c)
        np.testing.assert_allclose(
            [found.low, found.high], poisson.values[0] + edge * np.array([-1, 1]), rtol=1e-9
        )


def test_linearised_restriction_is_one_newton_step(poisson: Estimate) -> None:
    """The draws from e_c = s_c + A_cBr δ/(r'Br), the Hessian and scores of the fit, written out."""
    gram, score = np.asarray(poisson.detail["gram"]), np.asarray(poisson.detail["score"])
    bread = np.linalg.inv(gram.sum(axis=0))
    np.testing.assert_allclose(score.sum(axis=0), 0, atol=1e-6)
    r = np.eye(gram.shape[1])[poisson.detail["positions"][0]]
    gap = poisson.values[0] - 0.2
    e = score + gram @ bread @ r * gap / (r @ bread @ r)
    patterns = np.array([(1.0, *rest) for rest in itertools.product([1.0, -1.0], repeat=11)])
    stars = []
    for v in patterns:
        moved = bread @ (v[:, None] * e).sum(axis=0)
        left = (v[:, None] * e - gram @ moved) @ bread @ r
        stars.append(r @ moved / np.sqrt(left @ left))
    t = gap / np.sqrt(np.sum((score @ bread @ r) ** 2))
    found = score_bootstrap(poisson, [0], kind="WCLR-C", null=0.2)[0]
    assert found.p_value == (np.abs(stars) >= abs(t) * (1 - 1e-10)).mean()


def test_defaults_follow_what_the_estimate_holds(poisson: Estimate) -> None:
    assert score_bootstrap(poisson)[0].method == "WCLR-S"
    groups = extended_two_way_effects(counts(), Design("share", cluster="region"), link="logit")
    average = groups.combine(np.full((1, len(groups)), 1 / len(groups)), ["average"])
    found = score_bootstrap(average)[0]
    assert found.method == "KS-J"
    assert found.exact
    assert found.bounded
    assert score_bootstrap(average, kind="KS")[0].method == "KS"
    many = poisson_event_study(counts(), DESIGN, replicates=False)
    assert [one.detail["term"] for one in score_bootstrap(many, [0, 3])] == ["-3", "1"]
