"""Estimate: intervals made when asked, linear combinations, keeping."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evalkit.errors import DataError
from evalkit.estimate import Estimate


def make(dof: float = 13.0) -> Estimate:
    rng = np.random.default_rng(7)
    influence = rng.normal(size=(40, 3))
    cluster = np.repeat(np.arange(4), 10)
    sums = np.zeros((4, 3))
    np.add.at(sums, cluster, influence)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([[-1, 0, 1]], names=["event_time"]),
        values=np.array([0.1, 0.5, 0.9]),
        covariance=sums.T @ sums / 40**2,
        influence=influence,
        cluster=cluster,
        cluster_labels=np.array(["강원", "경북", "부산", "제주"]),
        replicates=rng.normal(size=(4, 3)),
        dof=dof,
        n_treated=7,
        n_comparison=33,
        method="test",
        inference="IF",
        units=np.arange(40),
        design={"outcome": "jobs"},
        detail={"weights": np.ones(40), "word": "말"},
    )


@pytest.mark.parametrize("dof", [np.inf, 13.0, 3.0])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_intervals_against_scipy(dof: float, level: float) -> None:
    est = make(dof)
    table = est.table(level)
    law = stats.norm if np.isinf(dof) else stats.t(dof)
    low, high = law.interval(level)
    np.testing.assert_allclose(table["conf_low"], est.values + low * est.std_errors, rtol=1e-12)
    np.testing.assert_allclose(table["conf_high"], est.values + high * est.std_errors, rtol=1e-12)
    np.testing.assert_allclose(table["p_value"], 2 * law.sf(est.values / est.std_errors), rtol=1e-10)


def test_level_must_be_a_share() -> None:
    with pytest.raises(DataError, match="0과 1 사이"):
        make().table(95)


def test_combinations_carry_covariance_influence_and_replicates() -> None:
    est = make()
    w = np.array([[0, 0.5, 0.5], [-1, 0, 1]])
    out = est.combine(w, ["mean", "change"])
    np.testing.assert_allclose(out.values, w @ est.values)
    np.testing.assert_allclose(out.covariance, w @ est.covariance @ w.T)
    np.testing.assert_allclose(out.influence, est.influence @ w.T)
    np.testing.assert_allclose(out.replicates, est.replicates @ w.T)
    sums = np.zeros((4, 2))
    np.add.at(sums, out.cluster, out.influence)
    np.testing.assert_allclose(out.covariance, sums.T @ sums / 40**2, atol=1e-15)


def test_a_missing_term_poisons_only_what_uses_it() -> None:
    est = make()
    from dataclasses import replace

    holed = replace(est, values=np.array([np.nan, 0.5, 0.9]))
    out = holed.combine([[0, 0.5, 0.5], [1, 0, 0]], ["mean", "first"])
    assert out.values[0] == pytest.approx(0.7)
    assert np.isnan(out.values[1])


def test_an_unknown_variance_stays_unknown_in_a_combination() -> None:
    from dataclasses import replace

    est = make()
    covariance = est.covariance.copy()
    covariance[0, :] = covariance[:, 0] = np.nan
    out = replace(est, covariance=covariance).combine([[0, 0.5, 0.5], [0.5, 0.5, 0]], ["known", "unknown"])
    assert np.isfinite(out.covariance[0, 0])
    assert np.isnan(out.covariance[1]).all()
    assert np.isnan(out.table()["conf_low"].iloc[1])


def test_terms_may_not_repeat_and_shapes_are_checked() -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match="겹침"):
        replace(make(), terms=pd.MultiIndex.from_arrays([[0, 0, 1]], names=["event_time"]))
    with pytest.raises(DataError, match="covariance"):
        replace(make(), covariance=np.eye(2))


def test_a_zero_error_has_no_interval() -> None:
    from dataclasses import replace

    row = replace(make(), covariance=np.zeros((3, 3))).table().iloc[0]
    assert row["estimate"] == 0.1
    assert row[["std_error", "conf_low", "conf_high", "p_value"]].isna().all()


def test_an_error_of_the_size_of_rounding_has_no_interval() -> None:
    est = replace(make(), values=np.array([0.1, 1.0, 0.9]), covariance=np.diag([1e-4, 1e-34, 1e-4]))
    table = est.table()
    assert table.iloc[1].drop("estimate").isna().all()
    assert table.iloc[[0, 2]].notna().all(axis=None)


def test_saving_keeps_everything(tmp_path) -> None:
    est = make(np.inf)
    est.save(tmp_path / "e.npz")
    again = Estimate.load(tmp_path / "e.npz")
    pd.testing.assert_frame_equal(again.table(), est.table())
    assert again.terms.equals(est.terms)
    assert again.terms.names == est.terms.names
    np.testing.assert_array_equal(again.influence, est.influence)
    np.testing.assert_array_equal(again.detail["weights"], np.ones(40))
    assert again.detail["word"] == "말"
    assert again.cluster_labels.tolist() == est.cluster_labels.tolist()
    assert dict(again.design) == {"outcome": "jobs"}


def test_selecting_keeps_rows_together() -> None:
    est = make().select([2, 0])
    assert est.values.tolist() == [0.9, 0.1]
    assert est.covariance[0, 1] == make().covariance[2, 0]
    assert est.terms.get_level_values(0).tolist() == [1, -1]
