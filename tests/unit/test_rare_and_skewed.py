"""Bad input to the methods for zeros, distributions, attrition and rare events: a sentence with a way out each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evalkit.aggregate import event_study, overall
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.attrition import attrition_effects
from evalkit.estimators.changes_in_changes import changes_in_changes
from evalkit.estimators.distribution_did import distribution_effects
from evalkit.estimators.duration_did import duration_effects, duration_pre_test
from evalkit.estimators.hazard import hazard_effects, incidence_effects
from evalkit.estimators.lee_bounds import lee_bounds
from evalkit.estimators.margins import margin_effects
from evalkit.inference import cluster_jackknife
from evalkit.panel import Panel

METHODS: dict[str, tuple[str, Callable[..., Estimate]]] = {
    "margins": ("sales", margin_effects),
    "distribution": ("y", distribution_effects),
    "lee": ("y", lee_bounds),
    "attrition": ("y", attrition_effects),
    "duration": ("gone", duration_effects),
    "pre-test": ("gone", duration_pre_test),
    "hazard": ("gone", hazard_effects),
    "incidence": ("gone", incidence_effects),
    "changes": ("y", changes_in_changes),
}
every = pytest.mark.parametrize("name", METHODS)


def world(n: int = 120, seed: int = 1) -> Panel:
    rng = np.random.default_rng(seed)
    years = np.array([2014, 2015, 2016, 2018, 2019, 2020])  # 2017 is not in the data
    adoption = np.tile([2018.0, 2019.0, np.inf], n)[:n]
    y = rng.normal(size=(n, 6)) + 0.5 * (years >= adoption[:, None])
    gone = np.maximum.accumulate(rng.random((n, 6)) < 0.15, axis=1).astype(float)
    gone[:, 0] = 0
    return Panel(
        np.arange(n),
        years,
        {"y": y, "sales": np.maximum(y, 0), "gone": gone, "x": rng.normal(size=(n, 6))},
        {
            "adoption": adoption,
            "region": np.repeat(np.arange(6), n // 6),
            "w": np.ones(n),
            "one": np.zeros(n),
        },
    )


def run(name: str, panel: Panel, **design: object) -> Estimate:
    outcome, method = METHODS[name]
    return method(panel, Design(outcome, **design))  # type: ignore[arg-type]


@every
def test_a_gap_in_the_periods_is_no_obstacle(name: str) -> None:
    found = run(name, world(), cluster="region")
    assert np.isfinite(found.values).any()
    assert found.replicates is not None
    assert found.n_units == 120
    assert (found.n_treated > 0).all()
    assert (found.n_comparison > 0).all()
    jackknife = cluster_jackknife(found)
    known = np.isfinite(found.values) & np.isfinite(jackknife.std_errors) & (found.std_errors > 0)
    ratio = jackknife.std_errors[known] / found.std_errors[known]
    assert 0.5 < np.median(ratio) < 2


@every
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"adoption": np.full(120, np.inf)}, DesignError),
        ({"adoption": np.full(120, 2018.0)}, DesignError),
        ({"adoption": np.full(120, 2010.0)}, DesignError),
        ({"adoption": np.where(np.arange(120) % 2, 2014.0, np.inf)}, DesignError),
    ],
    ids=["nobody treated", "everyone treated", "all before", "treated at the start"],
)
def test_nothing_to_compare(name: str, change: dict[str, np.ndarray], error: type[EvalkitError]) -> None:
    with pytest.raises(error) as told:
        run(name, world().with_fixed(**change))
    assert told.value.remedy


@every
def test_one_cluster(name: str) -> None:
    with pytest.raises(DesignError, match="하나뿐"):
        run(name, world(), cluster="one")


@every
@pytest.mark.parametrize("unit", [7, 10])
def test_one_treated_unit(name: str, unit: int) -> None:
    """Unit 7 is gone before adoption, unit 10 is there to the end: without an event of its own nothing is separated."""
    adoption = np.full(120, np.inf)
    adoption[unit] = 2018.0
    panel = world().with_fixed(adoption=adoption)
    gone = panel.values("gone")
    assert gone[7, 1] == 1
    if name in ("hazard", "incidence") or (name in ("duration", "pre-test") and unit == 7):
        with pytest.raises(DesignError) as told:
            run(name, panel, cluster="region")
        assert told.value.remedy
        return
    found = run(name, panel, cluster="region")
    assert found.n_treated.max() == 1
    assert found.replicates is not None
    assert np.isnan(found.replicates[int(panel.constant("region")[unit])]).all()


def test_ph_without_events_before_adoption() -> None:
    p = world()
    calm = p.values("gone").copy()
    calm[calm[:, 2] == 1] = 0.0  # nobody before 2018
    with pytest.raises(DesignError, match="비교 단위의 사건이 하나도 없어"):
        duration_effects(p.with_varying(gone=calm), Design("gone"), model="ph")


@every
def test_negative_and_infinite_weights(name: str) -> None:
    for value in (-1.0, np.inf):
        w = np.ones(120)
        w[3] = value
        with pytest.raises(DataError, match="음수나 무한대"):
            run(name, world().with_fixed(w=w), weight="w")


@every
def test_weights_that_change_over_time(name: str) -> None:
    with pytest.raises(DesignError):
        run(name, world().with_varying(wt=np.ones((120, 6))), weight="wt")


@every
def test_all_missing_and_infinite_outcomes(name: str) -> None:
    outcome = METHODS[name][0]
    with pytest.raises(EvalkitError) as told:
        run(name, world().with_varying(**{outcome: np.full((120, 6), np.nan)}))
    assert told.value.remedy
    broken = world().values(outcome).copy()
    broken[5, 2] = np.inf
    with pytest.raises(DataError):
        run(name, world().with_varying(**{outcome: broken}))


@every
def test_designs_that_cannot_be_honoured(name: str) -> None:
    if name != "attrition":
        with pytest.raises(DesignError, match=r"공변량|covariates"):
            run(name, world(), covariates=("x",))
    with pytest.raises(EvalkitError):
        run(name, world(), link="ratios")
    with pytest.raises(DesignError, match="at_risk"):
        run(name, world(), at_risk="x")


@every
def test_options_by_their_names(name: str) -> None:
    outcome, method = METHODS[name]
    for option in ("by", "model", "link", "effects", "monotone"):
        if option in method.__kwdefaults__:
            with pytest.raises(DesignError, match="nonsense"):
                method(world(), Design(outcome), **{option: "nonsense"})


def test_negative_sales_have_no_margins() -> None:
    with pytest.raises(DataError, match="group_time_effects"):
        margin_effects(world(), Design("y"))
    with pytest.raises(DesignError, match="top"):
        margin_effects(world(), Design("sales"), top=0.0)


def test_events_that_are_not_events() -> None:
    p = world()
    back = p.values("gone").copy()
    back[0] = [0, 1, 0, 0, 0, 0]
    with pytest.raises(DataError, match="되돌아감"):
        duration_effects(p.with_varying(gone=back), Design("gone"))
    hazard_effects(p.with_varying(gone=back), Design("gone"))  # what follows the first event is not read
    half = p.values("gone") / 2
    for method in (duration_effects, hazard_effects):
        with pytest.raises(DataError, match="0 이나 1"):
            method(p.with_varying(gone=half), Design("gone"))
    with pytest.raises(DataError, match="같은 기간"):
        hazard_effects(p.with_varying(move=p.values("gone")), Design("gone"), competing=("move",))


def test_separation_is_named() -> None:
    p = world()
    treated = p.periods >= p.constant("adoption")[:, None]
    none = p.values("gone").copy()
    none[treated] = 0.0
    with pytest.raises(DesignError, match="사건이 하나도 없음"):
        hazard_effects(p.with_varying(gone=none), Design("gone"))


def test_a_period_without_events_is_left_out_and_told() -> None:
    p = world()
    quiet = p.values("gone").copy()
    first = quiet.cumsum(axis=1) == 1
    quiet[first[:, 2]] = 0.0  # no event in 2016
    found = hazard_effects(p.with_varying(gone=quiet), Design("gone"))
    assert found.detail["left_out"][0] > 0
    assert np.isfinite(found.values).all()
    without = p.with_varying(gone=quiet).select(periods=[2014, 2015, 2018, 2019, 2020])
    np.testing.assert_allclose(found.values, hazard_effects(without, Design("gone")).values, rtol=1e-8)


def test_never_treated_only_is_refused_by_hazards() -> None:
    with pytest.raises(RefusalError, match="not_yet"):
        hazard_effects(world(), Design("gone", comparison="never"))


def test_durations_need_two_clean_periods() -> None:
    p = world().select(periods=[2016, 2018, 2019])
    found = duration_effects(p, Design("gone"))
    assert {g for g, _ in found.terms} == {2019}
    assert any("2018" in note for note in found.detail["notes"])
    with pytest.raises(DesignError, match="3개"):
        duration_pre_test(p, Design("gone"))


def test_group_time_terms_can_be_averaged() -> None:
    p = world()
    for found in (
        duration_effects(p, Design("gone", cluster="region")),
        changes_in_changes(p, Design("y", cluster="region"), quantiles=()),
    ):
        assert np.isfinite(overall(found).values).all()
        assert list(event_study(found).terms.names) == ["event_time"]


def test_quantiles_and_thresholds() -> None:
    with pytest.raises(DesignError, match="분위"):
        changes_in_changes(world(), Design("y"), quantiles=(0.5, 1.0))
    with pytest.raises(RefusalError, match="bounds=True"):
        changes_in_changes(world(), Design("sales"))
    with pytest.raises(DesignError, match="커지는"):
        distribution_effects(world(), Design("y"), thresholds=(1.0, 0.0))
    with pytest.raises(DesignError, match="thresholds"):
        distribution_effects(world().with_varying(y=np.ones((120, 6))), Design("y"))


def test_attrition_wants_whole_covariates() -> None:
    with pytest.raises(DataError, match="빈 값"):
        attrition_effects(
            world().with_fixed(z=np.where(np.arange(120) == 4, np.nan, 1.0)), Design("y", covariates=("z",))
        )
    holes = world().values("y").copy()
    holes[::7, 0] = np.nan
    found = attrition_effects(world().with_varying(y=holes), Design("y"))
    assert any("18개" in note for note in found.detail["notes"])


def test_a_covariate_constant_within_the_treated_is_left_out_of_their_logit_and_told() -> None:
    p = world()
    left = p.values("gone") == 1
    stay = p.with_varying(y=np.where(left, np.nan, p.values("y")))
    z = np.where(np.isfinite(p.constant("adoption")), 1.0, np.arange(120) % 5)
    with_z = attrition_effects(stay.with_fixed(z=z), Design("y", covariates=("z",)))
    assert any("바뀌지 않는 공변량" in note for note in with_z.detail["notes"])
    assert not any("바뀌지 않는" in note for note in attrition_effects(stay, Design("y")).detail["notes"])
    assert np.isfinite(with_z.values).all()
