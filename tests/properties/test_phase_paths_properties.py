"""What must not change for two treatments in a row."""

from __future__ import annotations

from functools import partial
from typing import Any

import contract
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths_panel import two_treatments

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.phase_paths import equal_time_gap, naive_phase_regression, phase_path_effects
from evalkit.panel import Panel

few = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 10_000)
methods = st.sampled_from(["dr_improved", "dr", "reg", "ipw"])
levels = st.sampled_from(["event_time", "cell", "overall"])
bases = st.sampled_from(["universal", "varying"])


def design(**changes: Any) -> Design:
    given_: dict[str, Any] = {"outcome": "y", "covariates": ("x",), "cluster": "cluster", "weight": "w"}
    return Design(**{**given_, **changes})


def paths(panel: Panel, question: Design, **options: Any) -> Estimate:
    return phase_path_effects(panel, question, **{"second": "later", **options})


naive = partial(naive_phase_regression, second="later", first_until=5, for_contrast=True)


@few
@given(seed=seeds, method=methods, level=levels, base=bases, tier=st.sampled_from([None, "tier"]))
def test_replicates_are_refits(seed: int, method: str, level: str, base: str, tier: str | None) -> None:
    """Averages by regression: weights that fail without a cluster lose a cell, and then the mean is another's."""
    call = partial(paths, method=method if level == "cell" else "reg", level=level, tier=tier)
    contract.replicates_are_refits(call, two_treatments(seed, clusters=4, units=288), design(base=base))


@few
@given(seed=seeds, level=levels, at_risk=st.sampled_from([None, "alive"]))
def test_replicates_are_refits_where_cells_are_missing(seed: int, level: str, at_risk: str | None) -> None:
    panel = two_treatments(seed, missing=0.08, clusters=4, units=288)
    call = partial(paths, level=level, missing="pairs", method="reg")
    contract.replicates_are_refits(call, panel, design(at_risk=at_risk))
    contract.replicates_are_refits(call, panel, design(at_risk=at_risk, covariates=()))


@few
@given(seed=seeds, method=methods, level=levels, missing=st.sampled_from(["drop", "pairs"]))
def test_unit_order_does_not_matter(seed: int, method: str, level: str, missing: str) -> None:
    panel = two_treatments(seed, missing=0.0 if missing == "drop" else 0.05)
    contract.unit_order_does_not_matter(
        partial(paths, method=method, level=level, missing=missing), panel, design()
    )


@few
@given(seed=seeds, level=levels, shift=st.integers(1, 3000))
def test_periods_are_labels(seed: int, level: str, shift: int) -> None:
    panel = two_treatments(seed)
    fixed = {**panel.fixed, **{name: panel.fixed[name] + shift for name in ("adoption", "later")}}
    moved = Panel(panel.units, panel.periods + shift, panel.varying, fixed)
    a, b = paths(panel, design(), level=level), paths(moved, design(), level=level)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-9, atol=1e-9)


@few
@given(seed=seeds, method=methods)
def test_outcome_weights_and_copies(seed: int, method: str) -> None:
    panel, call = two_treatments(seed), partial(paths, method=method)
    contract.outcome_is_equivariant(call, panel, design())
    contract.weights_matter_up_to_a_factor(call, panel, design())
    contract.copies_are_weights(call, panel, design())
    contract.caller_is_left_alone(call, panel, design())


@few
@given(seed=seeds, method=methods, level=levels)
def test_influence_is_the_derivative(seed: int, method: str, level: str) -> None:
    call = partial(paths, method=method, level=level)
    contract.influence_is_the_derivative(call, two_treatments(seed), design(), units=(0, 1, 5, 17))
    contract.influence_gives_the_covariance(call(two_treatments(seed), design()))


@few
@given(seed=seeds)
def test_gap_at_equal_event_time_carries_everything(seed: int) -> None:
    """ΔE: values, replicates and variance of the difference of two terms of one Estimate."""
    est = paths(two_treatments(seed), design())
    gap = est.combine(*equal_time_gap(est))
    for (_, e), value, variance in zip(gap.terms, gap.values, np.diag(gap.covariance), strict=True):
        i, j = est.terms.get_loc(("E3_new", e)), est.terms.get_loc(("E1", e))
        assert value == pytest.approx(est.values[i] - est.values[j])
        cov = est.covariance
        assert variance == pytest.approx(cov[i, i] + cov[j, j] - 2 * cov[i, j])
    contract.influence_gives_the_covariance(gap)


@few
@given(seed=seeds, missing=st.sampled_from([0.0, 0.08]))
def test_the_naive_regression_keeps_the_contract_too(seed: int, missing: float) -> None:
    panel = two_treatments(seed, missing=missing)
    question = design(covariates=(), weight=None)
    contract.replicates_are_refits(naive, panel, question)
    contract.unit_order_does_not_matter(naive, panel, question)
    contract.outcome_is_equivariant(naive, panel, question)
    contract.influence_is_the_derivative(naive, panel, design(covariates=()), units=(0, 3))
    contract.copies_are_weights(naive, panel, design(covariates=()))
    contract.caller_is_left_alone(naive, panel, question)


def test_it_survives_a_file(tmp_path: Any) -> None:
    panel = two_treatments(1)
    contract.survives_a_file(paths(panel, design(), tier="tier"), tmp_path)
    contract.survives_a_file(naive(panel, design(covariates=())), tmp_path)
