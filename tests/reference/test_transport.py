"""The earlier effect carried to the later firms: exact reweighting where x is discrete, and a jackknife by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit import aggregate
from evalkit.appraisal.transport import Population, beside, transport
from evalkit.design import Design
from evalkit.errors import DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.panel import Panel

PLACES = np.array(["가", "나", "다", "라", "마", "바"])
N, N3 = 240, 90


def made(seed: int = 2, *, continuous: bool = False):  # type: ignore[no-untyped-def]
    """One cohort of 80 treated among 240 firms in three groups (or with a size), and the 90 firms of the later phase."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, N)
    treated = np.arange(N) % 3 == 0
    size = rng.normal(0, 1, N) + 0.3 * treated
    y = rng.normal(size=(N, 3)).cumsum(axis=1) + (1 + group)[:, None] * (
        treated[:, None] & (np.arange(3) >= 1)
    )
    later = rng.choice(3, N3, p=[0.2, 0.3, 0.5])
    later_size = rng.normal(0.5, 0.8, N3)
    panel = Panel(
        np.array([f"u{i:03d}" for i in range(N)]),
        np.arange(3),
        {"y": y},
        {
            "g": np.where(treated, 1.0, np.inf),
            "place": PLACES[np.arange(N) % 6],
            "group": group.astype(str),
            "size": size,
        },
    )
    x = size[:, None] if continuous else np.column_stack([group == 1, group == 2]).astype(float)
    xt = later_size[:, None] if continuous else np.column_stack([later == 1, later == 2]).astype(float)
    source = Population(panel.units.astype(str), panel.constant("place").astype(str), x)
    target = Population(np.array([f"t{i:03d}" for i in range(N3)]), PLACES[np.arange(N3) % 6], xt)
    return panel, source, target, treated, group, later


def fit_on(panel: Panel, covariates: tuple[str, ...]):  # type: ignore[no-untyped-def]
    design = Design("y", adoption="g", comparison="never", cluster="place", covariates=covariates, weight="w")

    def fit(weights: np.ndarray, kept: np.ndarray) -> Estimate:
        part = panel.with_fixed(w=weights).select(kept)
        cells = group_time_effects(part, design, method="dr_improved", replicates=False)
        return aggregate.average(aggregate.event_study(cells), (0, 1))

    return fit


def exact(panel, treated, group, later, kept, left) -> float:  # type: ignore[no-untyped-def]
    """Σ_k w_3k τ_1k with plain means in each group, averaged over two event times."""
    y = panel.values("y")
    gap = (y[:, 1] - y[:, 0] + y[:, 2] - y[:, 0]) / 2
    total = 0.0
    for k in range(3):
        one, zero = kept & treated & (group == k), kept & ~treated & (group == k)
        total += (later[left] == k).mean() * (gap[one].mean() - gap[zero].mean())
    return total


def test_saturated_groups_are_exactly_reweighted() -> None:
    panel, source, target, treated, group, later = made()
    found = transport(source, treated, target, fit_on(panel, ("group",)), columns=("1", "2"))
    everyone, all3 = np.ones(N, dtype=bool), np.ones(N3, dtype=bool)
    assert found.estimate.values[1] == pytest.approx(
        exact(panel, treated, group, later, everyone, all3), rel=1e-7
    )
    own = fit_on(panel, ("group",))(np.ones(N), everyone).values[0]
    assert found.estimate.values[0] == pytest.approx(own, rel=1e-12)
    assert abs(found.estimate.values[1] - own) > 0.2  # the groups of the later firms differ


def test_each_place_is_left_out_of_both_phases() -> None:
    panel, source, target, treated, group, later = made()
    found = transport(source, treated, target, fit_on(panel, ("group",)), columns=("1", "2"))
    for c, place in enumerate(found.estimate.cluster_labels):
        without = exact(panel, treated, group, later, source.cluster != place, target.cluster != place)
        assert found.estimate.replicates[c, 1] == pytest.approx(without, rel=1e-6)


def test_influence_carries_the_error_of_the_weights() -> None:
    """∂(transported)/∂(weight of one unit), with the groups' shares and means both moving, by hand."""
    panel, source, target, treated, group, later = made()
    found = transport(source, treated, target, fit_on(panel, ("group",)), columns=("1", "2"))
    n = found.estimate.n_units
    y = panel.values("y")
    gap = (y[:, 1] - y[:, 0] + y[:, 2] - y[:, 0]) / 2
    share = np.array([(later == k).mean() for k in range(3)])
    effect = np.array(
        [gap[treated & (group == k)].mean() - gap[~treated & (group == k)].mean() for k in range(3)]
    )
    psi = dict(zip(found.estimate.units, found.estimate.influence[:, 1] / n, strict=True))
    for i in range(0, N, 7):
        k = group[i]
        side = treated & (group == k) if treated[i] else ~treated & (group == k)
        sign = 1 if treated[i] else -1
        expected = sign * share[k] * (gap[i] - gap[side].mean()) / side.sum()
        assert psi[panel.units[i]] == pytest.approx(expected, abs=2e-6), i
    for j in range(0, N3, 11):  # a later firm moves only the shares
        expected = (effect[later[j]] - share @ effect) / N3
        assert psi[target.units[j]] == pytest.approx(expected, abs=2e-6), j


def test_continuous_characteristics_are_balanced_and_agree_with_the_jackknife() -> None:
    panel, source, target, treated, _, _ = made(continuous=True)
    found = transport(source, treated, target, fit_on(panel, ("size",)), columns=("size",))
    weights = found.overlap.weights
    assert weights.mean() == pytest.approx(1)
    assert (weights * source.x[treated, 0]).mean() == pytest.approx(target.x[:, 0].mean(), abs=1e-8)
    assert found.overlap.ess == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    jackknife = 5 / 6 * ((found.estimate.replicates - found.estimate.values) ** 2).sum(axis=0)
    ratio = np.sqrt(np.diag(found.estimate.covariance) / jackknife)
    assert ((ratio > 0.6) & (ratio < 1.3)).all()


def test_beside_the_later_phase() -> None:
    panel, source, target, treated, _, _ = made()
    fit = fit_on(panel, ("group",))
    found = transport(source, treated, target, fit, columns=("1", "2"))
    other = fit(np.ones(N), np.ones(N, dtype=bool))
    table = beside(found, other)
    values = dict(zip(table.terms.get_level_values(0), table.values, strict=True))
    assert values["composition"] == pytest.approx(values["transported"] - values["own"])
    assert values["effect"] == pytest.approx(values["last"] - values["transported"])
    # the same estimate from the same units: its difference from `own` has no error
    assert values["own"] == pytest.approx(values["last"])
    gap = table.combine([[1, 0, -1, 0, 0]], ["gap"])
    assert gap.covariance[0, 0] == pytest.approx(0, abs=1e-12)


# -- refusals --------------------------------------------------------------------------------------


def test_populations_that_do_not_overlap_are_refused() -> None:
    panel, source, target, treated, _, _ = made(continuous=True)
    far = Population(target.units, target.cluster, target.x + 9)
    with pytest.raises(RefusalError, match=r"겹치지 않아.*범위 밖.*특성을 줄이거나"):
        transport(source, treated, far, fit_on(panel, ("size",)), columns=("size",))
    high = Population(target.units, target.cluster, target.x + 1.7)
    with pytest.raises(RefusalError, match=r"유효|지원 기업이 \d+개\(전체의 \d+ %\)에 지나지 않고"):
        transport(source, treated, high, fit_on(panel, ("size",)), columns=("size",))


def test_a_group_that_the_earlier_phase_never_had_is_refused() -> None:
    panel, source, target, treated, group, _ = made()
    x = source.x.copy()
    x[treated & (group == 2), 1] = 0.0
    with pytest.raises(RefusalError, match="2 이\\(가\\) 앞 단계에서는 모두 같아"):
        transport(
            Population(source.units, source.cluster, x),
            treated,
            target,
            fit_on(panel, ()),
            columns=("1", "2"),
        )


def test_a_unit_in_two_places_is_refused() -> None:
    panel, source, target, treated, _, _ = made()
    names = target.units.copy()
    names[0] = source.units[1]
    with pytest.raises(DesignError, match="군집이 다른 단위"):
        transport(
            source,
            treated,
            Population(names, target.cluster, target.x),
            fit_on(panel, ("group",)),
            columns=("1", "2"),
        )


def weighed(ones: int, treated: int, share: float):  # type: ignore[no-untyped-def]
    """`ones` of the `treated` have a feature that `share` of a hundred later firms have; no covariates in the fit."""
    n = 3 * treated
    is_treated = np.arange(n) < treated
    x = ((np.arange(n) % treated) < ones).astype(float)[:, None]
    y = np.random.default_rng(1).normal(size=(n, 3))
    panel = Panel(
        np.array([f"u{i:03d}" for i in range(n)]),
        np.arange(3),
        {"y": y},
        {"g": np.where(is_treated, 1.0, np.inf), "place": PLACES[np.arange(n) % 6]},
    )
    target = Population(
        np.array([f"t{i:03d}" for i in range(100)]),
        PLACES[np.arange(100) % 6],
        (np.arange(100) < round(100 * share)).astype(float)[:, None],
    )
    source = Population(panel.units.astype(str), panel.constant("place").astype(str), x)
    return transport(source, is_treated, target, fit_on(panel, ()), columns=("x",))


def test_each_limit_of_the_overlap_refuses_by_itself() -> None:
    # one of sixty carries 14 or 16 in a hundred: 27 effective units of 60 either way
    assert weighed(1, 60, 0.14).overlap.largest == pytest.approx(0.14)
    with pytest.raises(RefusalError, match=r"한 기업의 몫이 최대 16 %"):
        weighed(1, 60, 0.16)
    # everybody weighs the same, but there are only fourteen
    assert weighed(8, 16, 0.5).overlap.ess == pytest.approx(16)
    with pytest.raises(RefusalError, match=r"지원 기업이 14개\(전체의 100 %\)"):
        weighed(7, 14, 0.5)


def test_a_later_phase_in_one_place_has_no_replicate_without_it() -> None:
    panel, source, target, treated, _, _ = made()
    alone = Population(target.units, np.full(N3, "가"), target.x)
    found = transport(source, treated, alone, fit_on(panel, ("group",)), columns=("1", "2"))
    at = list(found.estimate.cluster_labels).index("가")
    assert np.isnan(found.estimate.replicates[at]).all()
    assert np.isfinite(np.delete(found.estimate.replicates, at, axis=0)).all()
