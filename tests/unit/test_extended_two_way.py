"""Extended two-way regression: hand-calculated examples, what is refused, and what is dropped aloud."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.aggregate import event_study, overall
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimators import _extended_fit
from evalkit.estimators.extended_two_way import extended_two_way_effects
from evalkit.inference import bias_reduced, cluster_robust
from evalkit.panel import Panel

NEVER = np.inf


def small(y: list[list[float]], adoption: list[float], **fixed: list[float]) -> Panel:
    outcome = np.array(y, dtype=float)
    columns = {"adoption": np.array(adoption), **{k: np.array(v) for k, v in fixed.items()}}
    return Panel(np.arange(len(outcome)), np.arange(1, outcome.shape[1] + 1), {"y": outcome}, columns)


def world(seed: int = 0, n: int = 30, t: int = 6) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = np.array([3.0, 5.0, NEVER])[np.arange(n) % 3]
    years = np.arange(1, t + 1)
    level = rng.normal(size=(n, 1)) + (years >= adoption[:, None])
    return Panel(
        np.array([f"u{i:02d}" for i in range(n)]),
        years,
        {
            "y": level + rng.normal(size=(n, t)),
            "count": rng.poisson(np.exp(0.5 + 0.3 * level)) + 0.0,
            "share": rng.beta(2, 2, (n, t)),
            "z": rng.normal(size=(n, t)),
        },
        {
            "adoption": adoption,
            "region": np.array([f"r{i % 7}" for i in range(n)]),
            "x": rng.normal(size=n),
            "w": rng.uniform(1, 2, n),
            "kind": np.array(["a", "b", "c"])[rng.integers(0, 3, n)],
            "one": np.zeros(n, dtype=int),
            "still": np.ones(n),
        },
    )


# -- by hand ------------------------------------------------------------------------------------------


def test_by_hand_in_levels_ratios_and_odds() -> None:
    """Comparison 2 → 4, treated 1 → 5: without the programme 3, 2, or the same change of odds."""
    panel = small([[2, 4], [2, 4], [1, 4], [1, 6]], [NEVER, NEVER, 2, 2])
    assert extended_two_way_effects(panel, Design("y")).values == pytest.approx([2.0])
    ratios = extended_two_way_effects(panel, Design("y", link="ratios"))
    assert ratios.values == pytest.approx([3.0])
    assert ratios.detail["counterfactual"] == pytest.approx([2.0])
    relative = extended_two_way_effects(panel, Design("y", link="ratios"), scale="relative")
    assert relative.values == pytest.approx([1.5])
    shares = small([[0.5, 0.8], [0.5, 0.8], [0.2, 0.7], [0.2, 0.9]], [NEVER, NEVER, 2, 2])
    # odds 1 → 4 beside odds 1/4 → 1: a share of one half without the programme
    odds = extended_two_way_effects(shares, Design("y"), link="logit")
    assert odds.values == pytest.approx([0.3])
    assert odds.detail["parallel"] == "odds"


def test_scales_of_parallel_trends_answer_differently() -> None:
    """Levels and ratios are different assumptions: where groups start apart they cannot both be right."""
    panel = small([[10, 20], [10, 20], [1, 2], [1, 2]], [NEVER, NEVER, 2, 2])
    assert extended_two_way_effects(panel, Design("y")).values == pytest.approx([-9.0])
    assert extended_two_way_effects(panel, Design("y", link="ratios")).values == pytest.approx([0.0])


def test_the_standard_error_by_hand() -> None:
    """One treated cell of two groups: variance of a difference of mean changes, CV1."""
    panel = small([[0, 1], [0, 3], [0, 2], [0, 8]], [NEVER, NEVER, 2, 2])
    estimate = extended_two_way_effects(panel, Design("y"))
    assert estimate.values == pytest.approx([3.0])
    plain = 2 * (1 / 2) ** 2 + 2 * (3 / 2) ** 2  # squared deviations over n_g²
    # n = 8 rows, K = effect + two periods (unit effects are nested), G = 4
    assert estimate.covariance[0, 0] == pytest.approx(plain * 4 / 3 * 7 / (8 - 3))


# -- the scale is stated once ---------------------------------------------------------------------------


def test_the_link_follows_the_design() -> None:
    design = Design("count")
    assert extended_two_way_effects(world(), design).detail["link"] == "linear"
    assert extended_two_way_effects(world(), replace(design, link="ratios")).detail["link"] == "poisson"
    named = extended_two_way_effects(world(), design, link="poisson")
    assert named.design["link"] == "ratios"
    np.testing.assert_array_equal(
        named.values, extended_two_way_effects(world(), replace(design, link="ratios")).values
    )


@pytest.mark.parametrize("link", ["linear", "logit"])
def test_a_link_against_the_design_is_refused(link: str) -> None:
    with pytest.raises(DesignError, match="ratios"):
        extended_two_way_effects(world(), Design("count", link="ratios"), link=link)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "value"), [("link", "probit"), ("scale", "percent"), ("averaging", "no"), ("effects", "both")]
)
def test_unknown_options_are_named(option: str, value: str) -> None:
    with pytest.raises(DesignError, match=value):
        extended_two_way_effects(world(), Design("y"), **{option: value})  # type: ignore[arg-type]


# -- terms and averages -----------------------------------------------------------------------------------


def test_terms_counts_and_averages() -> None:
    estimate = extended_two_way_effects(world(), Design("y", cluster="region"))
    assert list(estimate.terms) == [(3, 3), (3, 4), (3, 5), (3, 6), (5, 5), (5, 6)]
    assert estimate.n_treated.tolist() == [10] * 6
    assert estimate.n_comparison.tolist() == [20, 20, 10, 10, 10, 10]
    assert estimate.dof.tolist() == [6.0] * 6
    mean = overall(estimate)
    assert mean.values == pytest.approx([estimate.values.mean()])
    assert list(event_study(estimate).terms.get_level_values(0)) == [0, 1, 2, 3]
    assert mean.replicates is not None


def test_leads_with_units_never_treated_only() -> None:
    estimate = extended_two_way_effects(world(), Design("y", comparison="never"))
    assert [t for g, t in estimate.terms if g == 5] == [1, 2, 3, 5, 6]
    assert estimate.detail["reference"] == [[3, 2], [5, 4]]
    assert estimate.n_comparison.tolist()[0] == 10  # at period 1; at a cohort's reference it is clean as well


def test_anticipation_moves_the_reference() -> None:
    estimate = extended_two_way_effects(world(), Design("y", comparison="never", anticipation=1))
    assert estimate.detail["reference"] == [[3, 1], [5, 3]]
    late = extended_two_way_effects(world(), Design("y", anticipation=1))
    assert (5, 4) in list(late.terms)


def test_string_covariates_become_dummies() -> None:
    estimate = extended_two_way_effects(world(), Design("y", covariates=("kind", "x")))
    assert estimate.detail["covariates"] == ["kind=b", "kind=c", "x"]


def test_a_covariate_that_changes_is_taken_before_anyone_is_treated() -> None:
    panel = world()
    estimate = extended_two_way_effects(panel, Design("y", covariates=("z",)))
    frozen = panel.with_fixed(z0=panel.values("z")[:, 1])
    np.testing.assert_array_equal(
        estimate.values, extended_two_way_effects(frozen, Design("y", covariates=("z0",))).values
    )
    assert "마지막 기간 2" in estimate.detail["notes"][0]
    after = panel.values("z").copy()
    after[:, 3:] += 100
    np.testing.assert_array_equal(
        extended_two_way_effects(panel.with_varying(z=after), Design("y", covariates=("z",))).values,
        estimate.values,
    )


def test_covariates_as_draws_make_no_smaller_error_than_as_given() -> None:
    """With an effect that grows with x, the draw of x is part of the uncertainty of the mean effect."""
    panel = world()
    strong = panel.values("y") + 5 * panel.constant("x")[:, None] * (
        panel.periods >= panel.constant("adoption")[:, None]
    )
    panel = panel.with_varying(y=strong)
    design = Design("y", covariates=("x",))
    given, drawn = (extended_two_way_effects(panel, design, averaging=a) for a in ("fixed", "sampled"))
    np.testing.assert_array_equal(given.values, drawn.values)
    assert (drawn.std_errors > 1.2 * given.std_errors).all()


def test_the_two_way_fit_is_kept_for_other_errors() -> None:
    estimate = extended_two_way_effects(world(), Design("y", cluster="region"))
    assert cluster_robust(estimate, "iid").inference == "iid"
    assert np.isfinite(bias_reduced(estimate).std_errors).all()


def test_a_gap_between_periods_is_no_trouble() -> None:
    panel = world().select(periods=[1, 2, 4, 6])
    estimate = extended_two_way_effects(panel, Design("y", comparison="never"))
    assert list(estimate.terms) == [(3, 1), (3, 4), (3, 6), (5, 1), (5, 2), (5, 6)]


# -- what is dropped is told ------------------------------------------------------------------------------


def test_cohorts_already_treated_leave_by_name() -> None:
    panel = world()
    adoption = np.where(np.arange(30) < 4, 1.0, panel.constant("adoption"))
    estimate = extended_two_way_effects(panel.with_fixed(adoption=adoption), Design("y"))
    assert estimate.detail["dropped"]["already_treated"] == 4
    assert "코호트 1" in estimate.detail["notes"][0]
    assert len(estimate.units) == 26


def test_periods_in_which_everyone_is_treated_leave_aloud() -> None:
    panel = world()
    adoption = np.where(np.isinf(panel.constant("adoption")), 5.0, panel.constant("adoption"))
    estimate = extended_two_way_effects(panel.with_fixed(adoption=adoption), Design("y"))
    assert list(estimate.terms) == [(3, 3), (3, 4)]
    assert estimate.detail["dropped"]["all_treated_cells"] == 60
    assert "5, 6 은(는) 비교할 단위가 없어" in estimate.detail["notes"][0]
    last = extended_two_way_effects(panel.with_fixed(adoption=adoption), Design("y", comparison="never"))
    assert last.detail["control"] == "5"
    assert list(last.terms) == [(3, 1), (3, 3), (3, 4)]


def test_composition_is_warned_of_where_counts_are_missing() -> None:
    panel = world()
    count = panel.values("count").copy()
    count[3, 2] = np.nan
    estimate = extended_two_way_effects(panel.with_varying(count=count), Design("count", link="ratios"))
    assert "구성이 바뀌면" in estimate.detail["notes"][-1]
    with pytest.raises(DesignError, match="단위 고정효과 포아송"):
        extended_two_way_effects(
            panel.with_varying(count=count), Design("count", link="ratios"), effects="unit"
        )


def test_units_without_covariates_leave() -> None:
    panel = world()
    x = panel.constant("x").copy()
    x[:2] = np.nan
    estimate = extended_two_way_effects(panel.with_fixed(x=x), Design("y", covariates=("x",)))
    assert len(estimate.units) == 28
    assert "2개를 제외" in estimate.detail["notes"][-1]


# -- separation ------------------------------------------------------------------------------------------


def test_a_cohort_without_any_count_before_has_no_ratio() -> None:
    panel = world()
    count = panel.values("count").copy()
    early = panel.constant("adoption") == 3
    count[early, :2] = 0
    estimate = extended_two_way_effects(panel.with_varying(count=count), Design("count", link="ratios"))
    lost = np.asarray(estimate.terms.get_level_values("cohort")) == 3
    assert np.isnan(estimate.values[lost]).all()
    assert np.isfinite(estimate.values[~lost]).all()
    assert "모두 0" in estimate.detail["failed"][0]["reason"]
    # the other cohort is what it is without the separated one's zeros
    alone = panel.with_varying(count=count).select(~early)
    np.testing.assert_allclose(
        estimate.values[~lost],
        extended_two_way_effects(alone, Design("count", link="ratios")).values,
        rtol=1e-8,
    )


def test_shares_all_one_before_have_no_odds() -> None:
    panel = world()
    share = panel.values("share").copy()
    share[panel.constant("adoption") == 5, :4] = 1.0
    estimate = extended_two_way_effects(panel.with_varying(share=share), Design("share"), link="logit")
    lost = np.asarray(estimate.terms.get_level_values("cohort")) == 5
    assert np.isnan(estimate.values[lost]).all()
    assert np.isfinite(estimate.values[~lost]).all()


def test_nothing_left_is_an_error() -> None:
    panel = small([[1, 2], [2, 3], [0, 2], [0, 1]], [NEVER, NEVER, 2, 2])
    with pytest.raises(DesignError, match="모두 0"):
        extended_two_way_effects(panel, Design("y", link="ratios"))


def test_a_relative_effect_needs_a_positive_mean() -> None:
    panel = small([[0, -5], [0, -5], [1, 1], [1, 3]], [NEVER, NEVER, 2, 2])
    with pytest.raises(DesignError, match="0 이하"):
        extended_two_way_effects(panel, Design("y"), scale="relative")


# -- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "link", "value"),
    [("count", "poisson", -1.0), ("share", "logit", 1.2), ("share", "logit", -0.1)],
)
def test_outcomes_outside_the_range_are_placed(outcome: str, link: str, value: float) -> None:
    values = world().values(outcome).copy()
    values[4, 2] = value
    with pytest.raises(DataError, match=r"u04 > 3.*"):
        extended_two_way_effects(world().with_varying(**{outcome: values}), Design(outcome), link=link)  # type: ignore[arg-type]


def test_unit_effects_in_a_logit_are_refused() -> None:
    with pytest.raises(DesignError, match="부수모수"):
        extended_two_way_effects(world(), Design("share"), link="logit", effects="unit")


def test_at_risk_is_refused() -> None:
    with pytest.raises(DesignError, match="at_risk"):
        extended_two_way_effects(world(), Design("y", at_risk="count"))


def test_no_comparison() -> None:
    panel = world().with_fixed(adoption=np.full(30, 3.0))
    with pytest.raises(DesignError, match="추정할 효과가 없음"):
        extended_two_way_effects(panel, Design("y"))
    with pytest.raises(DesignError, match="지원받은 단위가 하나도"):
        extended_two_way_effects(world().with_fixed(adoption=np.full(30, np.inf)), Design("y"))


def test_everyone_treated_from_the_start() -> None:
    with pytest.raises(DesignError, match="깨끗한 기간이 없음"):
        extended_two_way_effects(world().with_fixed(adoption=np.full(30, 1.0)), Design("y"))


def test_one_cluster() -> None:
    with pytest.raises(DesignError, match="하나뿐"):
        extended_two_way_effects(world(), Design("y", cluster="one"))


def test_one_treated_unit_is_estimated() -> None:
    """With one treated unit the covariate is constant within the treated: the prediction is at that value."""
    panel = world().with_fixed(adoption=np.where(np.arange(30) == 5, 4.0, NEVER))
    for design in (
        Design("y"),
        Design("y", covariates=("x",)),
        Design("count", link="ratios", covariates=("x",)),
    ):
        estimate = extended_two_way_effects(panel, design)
        assert np.isfinite(estimate.values).all()
        assert np.isnan(estimate.replicates[5]).all()


def test_a_constant_covariate() -> None:
    with pytest.raises(DesignError, match="still"):
        extended_two_way_effects(world(), Design("y", covariates=("still",)))


def test_missing_and_infinite_outcomes_and_weights() -> None:
    panel = world()
    with pytest.raises(DesignError, match="관측값이 없음"):
        extended_two_way_effects(panel.with_varying(y=np.full((30, 6), np.nan)), Design("y"))
    y = panel.values("y").copy()
    y[2, 3] = np.inf
    with pytest.raises(DataError, match="u02 > 4"):
        extended_two_way_effects(panel.with_varying(y=y), Design("y"))
    w = panel.constant("w").copy()
    w[1] = -1
    with pytest.raises(DataError, match="u01"):
        extended_two_way_effects(panel.with_fixed(w=w), Design("y", weight="w"))
    x = panel.constant("x").copy()
    x[7] = np.inf
    with pytest.raises(DataError, match="u07"):
        extended_two_way_effects(panel.with_fixed(x=x), Design("y", covariates=("x",)))


def test_bad_names() -> None:
    with pytest.raises(DesignError, match="'yy'"):
        extended_two_way_effects(world(), Design("yy"))
    with pytest.raises(DesignError, match="숫자가 아님"):
        extended_two_way_effects(world(), Design("y", weight="kind"))
    with pytest.raises(DesignError, match="숫자가 아님"):
        extended_two_way_effects(world(), Design("y", adoption="kind"))


def test_weight_zero_is_not_used() -> None:
    panel = world()
    w = panel.constant("w").copy()
    w[:3] = 0
    estimate = extended_two_way_effects(panel.with_fixed(w=w), Design("y", weight="w"))
    rest = extended_two_way_effects(panel.select(np.arange(30) > 2), Design("y", weight="w"))
    np.testing.assert_allclose(estimate.values, rest.values, rtol=1e-12)
    assert len(estimate.units) == 27


# -- replicates --------------------------------------------------------------------------------------------


def test_replicates_can_be_asked_for_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    design = Design("count", link="ratios", covariates=("x",), cluster="region")
    assert extended_two_way_effects(world(), design, replicates=False).replicates is None
    assert extended_two_way_effects(world(), Design("y"), replicates=False).replicates is None
    monkeypatch.setattr(_extended_fit, "ROWS_FOR_REPLICATES", 10)
    assert extended_two_way_effects(world(), design).replicates is None
    assert extended_two_way_effects(world(), design, replicates=True).replicates is not None
