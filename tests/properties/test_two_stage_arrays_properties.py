"""The two stages on arrays against dense least squares with every dummy written out, and brute-force refits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.arrays.two_stage import Stages, solve, two_stage
from evalkit.arrays.two_stage_moments import moments

fast = settings(max_examples=30, deadline=None)
CLUSTERS = 6
Floats = np.ndarray


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Stages, Floats]:
    """Three cohorts and never treated units; perhaps weights, holes, exposed neighbours, strata; and the clusters."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, periods = 36, 6
    adoption = rng.choice([3, 4, 5, 99], n)
    adoption[:16] = np.tile([3, 4, 5, 99], 4)
    group = np.arange(n) // 4 % 2 if draw(st.booleans()) else np.zeros(n, dtype=int)
    pairs, cohort = np.unique(group * 1000 + adoption, return_inverse=True)
    dates, time = (pairs % 1000)[:, None], np.arange(1, periods + 1)
    weights = {
        "none": None,
        "unit": rng.uniform(0.5, 2, (n, 1)),
        "cell": rng.uniform(0.5, 2, (n, periods)),
    }[draw(st.sampled_from(["none", "unit", "cell"]))]
    if weights is not None and weights.shape[1] > 1 and draw(st.booleans()):
        weights[16:, 1:] *= rng.random((n - 16, periods - 1)) > 0.1
    unclean = None
    if draw(st.booleans()):
        unclean = rng.random((n, periods)) < 0.1
        unclean[:16] = unclean[:, 0] = False
    event = time - dates
    tables = np.stack([event == e for e in (0, 1)] + [event >= 2], axis=2).astype(float)
    y = rng.normal(size=(n, periods)) + 5 * rng.normal(size=(n, 1))
    if weights is not None and weights.shape[1] > 1:
        y[weights == 0] = np.nan  # cells with weight 0 may hold anything
    dense = (np.abs(rng.normal(size=(n, periods))),)
    stages = Stages(
        outcome=y,
        cohort=cohort,
        clean=time < dates,
        target=np.ones((len(pairs), periods), dtype=bool),
        tables=tables,
        dense=dense if draw(st.booleans()) else (),
        covariates=(rng.normal(size=(n, periods)),) if draw(st.booleans()) else (),
        weights=weights,
        unclean=unclean,
        stratum=pairs // 1000 if group.any() else None,
    )
    if draw(st.booleans()):  # averages over treated cells
        treated = time >= dates
        dense = tuple(x * treated[cohort] for x in stages.dense)
        stages = replace(stages, target=treated, dense=dense, averages=True)
    return stages, rng.permutation(np.arange(n) % CLUSTERS)


def brute(stages: Stages, units: Floats) -> tuple[Floats, Floats]:
    """Points and influence (n, K) of some units by definition; NaN where the first stage does not cover a cell."""
    y = stages.outcome[units]
    n, periods = y.shape
    w = (
        np.ones((n, periods))
        if stages.weights is None
        else np.broadcast_to(stages.weights[units], (n, periods))
    )
    i, t = np.nonzero(w > 0)
    cohort = stages.cohort[units]
    weight = w[i, t]
    clean = weight * stages.clean[cohort[i], t]
    if stages.unclean is not None:
        clean = clean * ~stages.unclean[units][i, t]
    second = weight * stages.target[cohort[i], t]
    strata = stages.strata
    z = np.column_stack(
        [
            np.eye(n)[i],
            np.eye((strata.max() + 1) * periods)[strata[cohort[i]] * periods + t],
            *(x[units][i, t] for x in stages.covariates),
        ]
    )
    inverse = np.linalg.pinv((z * clean[:, None]).T @ z, rcond=1e-11)
    theta = inverse @ (z * clean[:, None]).T @ y[i, t]
    left = y[i, t] - z @ theta
    x = np.column_stack([stages.tables[cohort[i], t], *(d[units][i, t] for d in stages.dense)])
    gram = (x * second[:, None]).T @ x
    if stages.averages:
        gram = np.diag((x * second[:, None]).sum(axis=0))
    bread = np.linalg.pinv(gram)
    values = bread @ (x * second[:, None]).T @ left
    inner = x @ values if not stages.averages else np.zeros(len(i))
    rows = x * (second * (left - inner))[:, None]
    if stages.averages:
        rows = x * (second[:, None] * (left[:, None] - values))
    loading = (x * second[:, None]).T @ z
    rows = rows - (z * (clean * left)[:, None]) @ inverse @ loading.T
    influence = np.zeros((n, x.shape[1]))
    np.add.at(influence, i, rows @ bread * n)
    used = z[second > 0]
    covered = np.allclose(used, used @ inverse @ ((z * clean[:, None]).T @ z), atol=1e-7)
    lost = np.diag(gram) == 0
    values[lost | (not covered)] = np.nan
    return values, influence


@fast
@given(worlds())
def test_values_influence_and_deletion(world: tuple[Stages, Floats]) -> None:
    stages, cluster = world
    fit = two_stage(stages, cluster, CLUSTERS)
    assert fit.solution.uncovered is None
    values, influence = brute(stages, np.arange(len(cluster)))
    np.testing.assert_allclose(fit.values, values, rtol=1e-9, atol=1e-9)
    if not stages.averages:  # averages have scores of their own
        np.testing.assert_allclose(fit.influence, influence, rtol=1e-7, atol=1e-8)
    assert fit.replicates is not None
    for c in range(CLUSTERS):
        again = brute(stages, np.flatnonzero(cluster != c))[0]
        np.testing.assert_allclose(fit.replicates[c], again, rtol=1e-8, atol=1e-9)


@fast
@given(worlds())
def test_parts_add_up_over_clusters(world: tuple[Stages, Floats]) -> None:
    stages, cluster = world
    one = solve(stages, moments(stages, np.zeros(len(cluster), dtype=np.int64), 1))
    many = solve(stages, moments(stages, cluster, CLUSTERS))
    np.testing.assert_allclose(one.values, many.values, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(one.slope, many.slope, rtol=1e-8, atol=1e-10)
    alone = two_stage(stages)
    assert alone.replicates is None
    np.testing.assert_allclose(alone.values, one.values, rtol=1e-12)


@fast
@given(worlds())
def test_cells_that_are_not_covered_are_found(world: tuple[Stages, Floats]) -> None:
    """A unit without clean cells, and a period without any."""
    stages, _ = world
    shape = stages.outcome.shape
    blocked = np.zeros(shape, dtype=bool) if stages.unclean is None else stages.unclean.copy()
    blocked[0] = True
    found = solve(
        replace(stages, unclean=blocked),
        moments(replace(stages, unclean=blocked), np.zeros(shape[0], dtype=np.int64), 1),
    ).uncovered
    seen = (
        np.ones(shape, dtype=bool) if stages.weights is None else np.broadcast_to(stages.weights > 0, shape)
    )
    target = stages.target[stages.cohort] & seen
    assert found is not None
    np.testing.assert_array_equal(found, target & (np.arange(shape[0]) == 0)[:, None])
    late = replace(stages, clean=stages.clean & (np.arange(shape[1]) < 5))
    found = solve(late, moments(late, np.zeros(shape[0], dtype=np.int64), 1)).uncovered
    assert found is not None
    np.testing.assert_array_equal(found, target & (np.arange(shape[1]) == 5))
