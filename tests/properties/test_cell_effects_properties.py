"""Effects from cell sums are the effects of the units: values, cluster covariance, deletions, counts, notes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from evalkit import aggregate
from evalkit.arrays.cell_sums import CellSums, sum_cells
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.imputation import imputation_effects
from evalkit.inference import ClusterCounts, cluster_counts, cluster_jackknife
from evalkit.panel import Panel
from evalkit.scale.effects import group_time_from_cells, imputation_from_cells

# sums of a few hundred values of size 1 to 10: rounding is below 1e-13
NEAR = 1e-10
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Panel, CellSums, Design]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, periods = draw(st.integers(12, 80)), draw(st.integers(3, 7))
    clusters = draw(st.integers(2, 8))
    never = draw(st.sampled_from([0.0, 0.2, 0.6]))
    dates = np.append(np.arange(2, periods + 2, dtype=float), np.inf)
    share = np.append(np.full(periods, (1 - never) / periods), never)
    adoption = rng.choice(dates, n, p=share)
    # unequal clusters, and clusters in which some cohort is missing
    cluster = rng.choice(clusters, n, p=rng.dirichlet(np.full(clusters, 1.0)))
    outcome = rng.normal(size=(n, periods)).cumsum(axis=1) + rng.normal(size=(n, 1)) * 3
    gaps = draw(st.sampled_from([0.0, 0.1, 0.4]))
    outcome[rng.random((n, periods)) < gaps] = np.nan
    weight = rng.integers(1, 5, n).astype(float) if draw(st.booleans()) else None
    fixed: dict[str, Any] = {"adoption": adoption, "place": cluster}
    if weight is not None:
        fixed["w"] = weight
    panel = Panel(np.arange(n), np.arange(1, periods + 1), {"y": outcome}, fixed)
    design = Design(
        "y",
        comparison=draw(st.sampled_from(["never", "not_yet"])),
        base=draw(st.sampled_from(["universal", "varying"])),
        anticipation=draw(st.integers(0, 1)),
        cluster="place",
        weight=None if weight is None else "w",
    )
    return panel, sum_cells(panel.periods, outcome, cluster, adoption, weight), design


def same(whole: Estimate, cells: Estimate) -> None:
    assert whole.terms.equals(cells.terms)
    for name in ("values", "covariance", "dof", "n_treated", "n_comparison"):
        assert_allclose(getattr(cells, name), getattr(whole, name), atol=NEAR, rtol=NEAR, err_msg=name)
    assert (whole.replicates is None) == (cells.replicates is None)
    if whole.replicates is not None:
        # the clusters of the panel, in its order
        assert_allclose(cells.replicates, whole.replicates, atol=NEAR, rtol=NEAR)
    assert cells.detail["n_units"] == whole.n_units
    ours = cluster_counts(cells, cells.detail["cohort"], cells.detail["cell_units"])
    theirs = cluster_counts(whole, whole.detail["cohort"])
    for name in ClusterCounts.__dataclass_fields__:
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a == b or a == pytest.approx(b, rel=1e-12, nan_ok=True), name


def told(estimate: Estimate) -> list[str]:
    """Sentences in an order of their own, without that on variances that are 0 but for rounding."""
    return sorted(note for note in estimate.detail["notes"] if "흩어짐이 0 인 항이" not in note)


def both(
    world: tuple[Panel, CellSums, Design], memory: Any, cells: Any, **options: Any
) -> tuple[Estimate, Estimate]:
    """Both roads, or both refuse."""
    panel, sums, design = world
    try:
        whole = memory(panel, design, **options)
    except DesignError:
        with pytest.raises(DesignError):
            cells(sums, design, **options)
        assume(False)
    if any("구별할 수 없음" in row[3] for row in whole.detail.get("not_imputable", [])):
        # groups of units that no observation links: what was left out cannot be counted from cells, and is not guessed
        with pytest.raises(RefusalError, match="이어지지 않는 단위 묶음"):
            cells(sums, design, **options)
        assume(False)
    return whole, cells(sums, design, **options)


@SETTINGS
@given(worlds(), st.sampled_from(["drop", "pairs"]))
def test_group_time(world: tuple[Panel, CellSums, Design], missing: str) -> None:
    whole, cells = both(world, group_time_effects, group_time_from_cells, missing=missing)
    same(whole, cells)
    assert told(whole) == told(cells)
    assert whole.detail["dropped"] == cells.detail["dropped"]
    assert whole.detail["failed"] == cells.detail["failed"]
    for average in (aggregate.overall, aggregate.event_study, aggregate.by_cohort, aggregate.by_period):
        try:
            ours = average(whole)
        except DesignError:
            continue
        theirs = average(cells)
        for name in ("values", "covariance", "n_treated", "n_comparison"):
            assert_allclose(getattr(theirs, name), getattr(ours, name), atol=NEAR, rtol=NEAR, err_msg=name)
        if ours.replicates is not None:
            assert_allclose(
                cluster_jackknife(theirs).covariance, cluster_jackknife(ours).covariance, atol=1e-8, rtol=1e-8
            )


@SETTINGS
@given(
    worlds(),
    st.sampled_from(["cohort_period", "event_time", "cohort", "period", "overall"]),
    st.sampled_from(["cohort_period", "event_time", "cohort", "all"]),
    st.booleans(),
)
def test_imputation(world: tuple[Panel, CellSums, Design], by: str, averages: str, leave_out: bool) -> None:
    whole, cells = both(
        world, imputation_effects, imputation_from_cells,
        by=by, averages=averages, leave_out=leave_out, unimputable="drop",
    )  # fmt: skip
    same(whole, cells)
    for name in ("effective", "n_clean", "n_treated_cells", "n_missing"):
        assert_allclose(cells.detail[name], whole.detail[name], rtol=1e-12, err_msg=name)
    # observations used: in memory those of periods without a clean one are counted as well where the panel has gaps
    assert cells.detail["n_obs"] == whole.detail["n_clean"] + whole.detail["n_treated_cells"]
    for name in ("averages", "not_imputable", "adoption_periods"):
        assert whole.detail[name] == cells.detail[name]
    assert told(whole) == told(cells)
