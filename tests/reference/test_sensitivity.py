"""Sensitivity to violations of parallel trends against HonestDiD 0.2.6: every case of three event studies.

What R computes with and without error, and how it is held here:

* intervals under parallel trends: 1e-9;
* FLCI: R takes the quantile of the folded normal from 10⁶ draws (one seed) and minimises numerically. At M = 0 its critical
  value is 1.96224, ours 1.95996: half-lengths differ by exactly that factor in every study. For M > 0 its half-lengths are
  within 0.1 % of ours, and where its minimum lies at the end of the frontier the centres agree to 1e-8 standard errors;
* Conditional: both ends within one step of R's grid, and inside ours;
* C-LF, C-F: the same, given the sampling error of R's first stage (the 0.995 quantile of 1,000 draws, of 10⁶ folded normals):
  R's ends lie within a step of ours for some value in its 99.98 % range.
Where R's set runs to the end of its grid ("CI is open"), ours must go on beyond it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from event_studies import cases, event_study, honest_inputs
from scipy import stats
from shared_files import GOLDEN, needs_golden

from evalkit.arrays.honest_critical import least_favourable
from evalkit.arrays.honest_flci import fixed_length, frontier
from evalkit.arrays.honest_restrictions import combinations
from evalkit.arrays.honest_sets import Problem
from evalkit.arrays.honest_tests import Moments
from evalkit.checks.sensitivity import Sensitivity, sensitivity

FILES = ("honestdid_BC", "honestdid_medicaid", "honestdid_mpdta_cs")
ALL = [(name, case) for name in FILES for case in (cases(name) if GOLDEN.is_dir() else {})]
INTERVALS = [(n, c) for n, c in ALL if c.endswith("original")]
FIXED = [(n, c) for n, c in ALL if "FLCI" in c]
TESTED = [(n, c) for n, c in ALL if (n, c) not in INTERVALS and (n, c) not in FIXED]

pytestmark = needs_golden


def target_of(case: str, after: int) -> np.ndarray:
    return (
        np.full(after, 1 / after) if case.endswith("avg") else np.eye(after)[1 if case.endswith("e1") else 0]
    )


def options(case: str) -> dict[str, str]:
    out = {"restriction": "relative_magnitudes" if "-RM" in case else "smoothness"}
    out |= {"bias": "negative"} if "biasNegative" in case else {}
    return out | ({"trend": "decreasing"} if "decreasing" in case else {})


def ours(name: str, case: str, bounds: list[float]) -> Sensitivity:
    beta, sigma, before = honest_inputs(name)
    weights = target_of(case, len(beta) - before)
    method = cases(name)[case]["result"]["method"][0]
    return sensitivity(
        event_study(beta, sigma, before),
        bounds=bounds,
        target=list(weights),
        method=method,
        **options(case),  # type: ignore[arg-type]
    )


def test_every_case_is_covered() -> None:
    assert (len(INTERVALS), len(FIXED), len(TESTED)) == (3, 5, 13)


@pytest.mark.parametrize(("name", "case"), INTERVALS)
def test_interval_under_parallel_trends(name: str, case: str) -> None:
    beta, sigma, before = honest_inputs(name)
    found = sensitivity(event_study(beta, sigma, before), bounds=[1.0], target="first").original
    expected = cases(name)[case]["result"]
    assert found.pieces[0] == pytest.approx((expected["lb"][0], expected["ub"][0]), rel=1e-9)


@pytest.mark.parametrize(("name", "case"), FIXED)
def test_fixed_length_intervals(name: str, case: str) -> None:
    expected = cases(name)[case]["result"]
    found = ours(name, case, expected["M"])
    low, high = np.array(expected["lb"]), np.array(expected["ub"])
    half = np.array([s.length / 2 for s in found.sets])
    centre = np.array([(s.low + s.high) / 2 for s in found.sets])
    gap = (high - low) / 2 / half - 1
    # the folded normal at bias 0, from R's draws: 1.96224
    assert expected["M"][0] == 0
    assert gap[0] == pytest.approx(1.0011606 - 1, abs=2e-7)
    assert np.abs(gap[1:]).max() < 8e-4
    away = np.abs(centre - (low + high) / 2) / found.detail["std_error"]
    assert away.max() < 0.06  # where the half-length is flat in the penalty
    # least bias: the largest M of every study but one, whose minimum is inside the frontier
    if case != "mpdta-cs-SD-FLCI-e1":
        assert away[-1] < 1e-8


def grid_of(name: str, case: str, bound: float) -> tuple[float, float]:
    """End points of R's grid of 1,000 values, from its documented defaults."""
    beta, sigma, before = honest_inputs(name)
    weights = target_of(case, len(beta) - before)
    reach = 20 * float(np.sqrt(weights @ sigma[before:, before:] @ weights))
    if "-RM" in case:
        return -reach, reach
    path = frontier(sigma, before, weights)
    if cases(name)[case]["result"]["method"][0] == "C-F":
        first = fixed_length(path, weights, [bound], 1 - 0.005)
        centre, half = float(first.weights[0] @ beta), float(first.half_length[0])
        return centre - half, centre + half
    return -bound * path.fixed_bias - reach, bound * path.fixed_bias + reach


class OfR(Problem):
    """Tests whose first stage is off as R's may be: a critical value of another size, a half-length times a factor."""

    size, factor = 0.005, 1.0

    def _critical(self, loading: np.ndarray, bounds: int) -> np.ndarray:
        return least_favourable(loading, self.size)

    def moments(self, bounds: np.ndarray) -> Moments:
        out = super().moments(bounds)
        return replace(out, half_length=out.half_length * self.factor)


def ends(name: str, case: str, bounds: list[float], size: float = 0.005, factor: float = 1.0) -> np.ndarray:
    beta, sigma, before = honest_inputs(name)
    weights = target_of(case, len(beta) - before)
    more = options(case)
    found = combinations(more.pop("restriction"), before, weights, **more)  # type: ignore[arg-type]
    method = cases(name)[case]["result"]["method"][0]
    problem = OfR(found, beta, sigma, method, 0.95, frontier(sigma, before, weights), weights)
    problem.size, problem.factor = size, factor
    return np.array([(p[0][0], p[-1][1]) for p in problem.sets(np.array(bounds, dtype=float))])


@pytest.mark.parametrize(("name", "case"), TESTED)
def test_sets_by_conditional_and_hybrid_tests(name: str, case: str) -> None:
    expected = cases(name)[case]["result"]
    bounds = expected.get("M", expected.get("Mbar"))
    hull = np.array([(s.low, s.high) for s in ours(name, case, bounds).sets])
    np.testing.assert_allclose(ends(name, case, bounds), hull, rtol=1e-6)
    near = [hull]
    if expected["method"][0] == "C-LF":
        # R's quantile is between the 995th and 996th of 1,000 draws
        near += [ends(name, case, bounds, stats.beta(5, 996).ppf(1e-4))]
        near += [ends(name, case, bounds, stats.beta(6, 995).ppf(1 - 1e-4))]
    elif expected["method"][0] == "C-F":
        # three standard errors of the 0.995 quantile of 10⁶ folded normals
        near += [ends(name, case, bounds, factor=factor) for factor in (0.995, 1.005)]
    out, inside = np.array([-1, 1]), np.array(near)
    wide, narrow = out * (inside * out).max(axis=0), out * (inside * out).min(axis=0)
    for i, bound in enumerate(bounds):
        start, stop = grid_of(name, case, bound)
        step = (stop - start) / 999
        low, high = expected["lb"][i], expected["ub"][i]
        assert wide[i, 0] - 0.01 * step <= low <= narrow[i, 0] + 1.01 * step
        if high >= stop - 1e-9:  # R's set is cut by its grid
            assert narrow[i, 1] > stop - step
        else:
            assert narrow[i, 1] - 1.01 * step <= high <= wide[i, 1] + 0.01 * step


def test_r_cuts_five_sets_that_go_on() -> None:
    """ "CI is open at one of the endpoints": our sets go up to 600 of R's steps further."""
    cut = []
    for name, case in TESTED:
        expected = cases(name)[case]["result"]
        bounds = expected.get("M", expected.get("Mbar"))
        for bound, high, found in zip(bounds, expected["ub"], ours(name, case, bounds).sets, strict=True):
            start, stop = grid_of(name, case, bound)
            if high >= stop - 1e-9 and "-RM" in case:
                cut.append((found.high - high) / ((stop - start) / 999))
    assert len(cut) == 5
    assert min(cut) > 20
    assert max(cut) > 600


@pytest.mark.parametrize(("name", "case"), TESTED)
def test_the_warning_of_r_is_not_needed(name: str, case: str) -> None:
    """No set of ours is open because of a grid."""
    expected = cases(name)[case]["result"]
    found = ours(name, case, expected.get("M", expected.get("Mbar")))
    assert all(s.bounded for s in found.sets)


def test_the_default_of_r_is_the_first_period_and_ours_the_average() -> None:
    beta, sigma, before = honest_inputs("honestdid_BC")
    event = event_study(beta, sigma, before)
    by_default = sensitivity(event, bounds=[0.5])
    first = sensitivity(event, bounds=[0.5], target="first")
    assert by_default.original.estimate == pytest.approx(beta[4:].mean())
    assert first.original.estimate == pytest.approx(beta[4])
    assert "first_period_only" in first.notes
    assert "first_period_only" not in by_default.notes
    expected = cases("honestdid_BC")["BC-RM-CLF"]["result"]
    assert first.sets[0].low == pytest.approx(expected["lb"][0], abs=8e-4)


def test_published_intervals_of_the_medicaid_example() -> None:
    """HonestDiD's README, to the three digits printed there."""
    beta, sigma, before = honest_inputs("honestdid_medicaid")
    event = event_study(beta, sigma, before)
    relative = sensitivity(event, bounds=[0.5, 1, 1.5, 2], target="first")
    printed = [(0.0241, 0.0673), (0.0171, 0.0720), (0.00859, 0.0796), (-0.00107, 0.0883)]
    np.testing.assert_allclose([(s.low, s.high) for s in relative.sets], printed, atol=5e-4)
    smooth = sensitivity(event, restriction="smoothness", bounds=[0, 0.01, 0.02, 0.03], target="first")
    printed = [(0.0259, 0.0607), (0.0132, 0.0787), (0.00286, 0.0907), (-0.00714, 0.101)]
    np.testing.assert_allclose([(s.low, s.high) for s in smooth.sets], printed, atol=3e-4)
    assert 1.5 < relative.breakdown < 2
    assert 0.02 < smooth.breakdown < 0.03
