"""Permuted paths: the statistic against a loop over units, and what the permutation keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.appraisal import path_randomisation
from evalkit.appraisal.path_randomisation import PathUnits, permute_paths
from evalkit.errors import DesignError, UsageError

INF = np.inf
HORIZON = (0, 1)


def units(seed: int = 1, n: int = 160, *, first_effect: float = 0.0, last_effect: float = 0.0) -> PathUnits:
    rng = np.random.default_rng(seed)
    kinds = [(INF, INF), (2.0, INF), (3.0, INF), (INF, 6.0), (INF, 7.0), (2.0, 6.0)]
    pick = rng.choice(6, n, p=[0.4, 0.15, 0.15, 0.12, 0.1, 0.08])
    first, last = np.array(kinds)[pick].T
    t = np.arange(9)
    y = rng.normal(size=(n, 9)).cumsum(axis=1)
    y += first_effect * (first[:, None] <= t) + last_effect * (last[:, None] <= t)
    y[rng.random(y.shape) < 0.02] = np.nan
    x = [np.column_stack([np.ones(n), rng.normal(size=n)]) for _ in range(2)]
    x[1][5] = np.nan
    return PathUnits(first, last, np.arange(n) % 7, y, rng.random(y.shape) > 0.02, t, *x)


def by_hand(u: PathUnits, keep: np.ndarray) -> float:
    """Later − earlier mean effect, unit by unit; changes adjusted once on all never-supported units."""
    never = np.isinf(u.first) & np.isinf(u.last)
    means = []
    for start, x, other in ((u.first, u.x_first, None), (u.last, u.x_last, u.first)):
        known = np.isfinite(x).all(axis=1)
        by_event = []
        for e in HORIZON:
            gain = mass = 0.0
            for g in np.unique(start[np.isfinite(start)]).astype(int):
                d = u.y[:, g + e] - u.y[:, g - 1]
                seen = np.isfinite(d) & u.at_risk[:, g - 1] & known
                slope = np.linalg.lstsq(x[seen & never], d[seen & never], rcond=None)[0]
                zero = list(np.flatnonzero(seen & never & keep))
                base = np.mean([d[i] - x[i] @ slope for i in zero])
                for i in np.flatnonzero(seen & keep & (start == g)):
                    if other is None or np.isinf(other[i]):
                        gain += d[i] - x[i] @ slope - base
                        mass += 1
            by_event.append(gain / mass)
        means.append(np.mean(by_event))
    return float(means[1] - means[0])


def test_difference_and_t_against_a_loop() -> None:
    u = units()
    found = permute_paths(u, horizon=HORIZON, draws=19, seed=1)
    whole = by_hand(u, np.ones(160, dtype=bool))
    without = np.array([by_hand(u, u.cluster != c) for c in range(7)])
    assert found.difference == pytest.approx(whole, rel=1e-10)
    spread = 6 / 7 * ((without - whole) ** 2).sum()
    assert found.t == pytest.approx(whole / np.sqrt(spread), rel=1e-9)


def test_p_value_counts_the_draws_and_has_a_floor() -> None:
    found = permute_paths(units(), horizon=HORIZON, draws=99, seed=1)
    large = (np.abs(found.placebos) >= abs(found.t) * (1 - 1e-12)).sum()
    assert found.p_value == pytest.approx((1 + large) / 100)
    assert found.smallest_p == pytest.approx(0.01)
    again = permute_paths(units(), horizon=HORIZON, draws=99, seed=1)
    np.testing.assert_array_equal(found.placebos, again.placebos)
    other = permute_paths(units(), horizon=HORIZON, draws=99, seed=2)
    assert (found.placebos != other.placebos).any()


def test_every_cluster_keeps_its_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    plain = path_randomisation._statistic

    def spy(columns, cluster, code, kinds, clusters, horizon):  # type: ignore[no-untyped-def]
        seen.append(code.copy())
        return plain(columns, cluster, code, kinds, clusters, horizon)

    monkeypatch.setattr(path_randomisation, "_statistic", spy)
    u = units()
    permute_paths(u, horizon=HORIZON, draws=19, seed=3)
    tally = [[np.bincount(code[u.cluster == c], minlength=6).tolist() for c in range(7)] for code in seen]
    assert all(one == tally[0] for one in tally)
    assert any((code != seen[0]).any() for code in seen[1:])


def test_a_difference_is_found_and_none_is_not() -> None:
    apart = permute_paths(units(n=420, last_effect=2.0), horizon=HORIZON, draws=199, seed=5)
    assert apart.p_value <= 0.02
    null = [permute_paths(units(s, 210), horizon=HORIZON, draws=39, seed=s).p_value for s in range(12)]
    assert np.mean(np.array(null) <= 0.05) < 0.3
    assert np.mean(null) > 0.25


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="재배정 횟수 5"):
        permute_paths(units(), horizon=HORIZON, draws=5, seed=1)
    u = units()
    with pytest.raises(DesignError, match="군집이 하나"):
        permute_paths(replace(u, cluster=np.zeros(160, dtype=int)), horizon=HORIZON, draws=19, seed=1)
    with pytest.raises(DesignError, match="지원 단위가 없는 단계"):
        permute_paths(replace(u, last=np.full(160, INF)), horizon=HORIZON, draws=19, seed=1)
