"""Panel regressions, IV, difference GMM and the Hausman test: bad input, edges, small cases by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import contract
import numpy as np
import pytest

from evalkit.checks.hausman import hausman
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.dynamic_panel import dynamic_panel_effects
from evalkit.estimators.instrumental_variables import instrumental_effects
from evalkit.estimators.panel_regression import panel_regression
from evalkit.panel import Panel

RNG = np.random.default_rng(4)
N, T = 30, 6
X = RNG.normal(size=(N, T))
Y = 2 * X + RNG.normal(size=(N, 1)) + RNG.normal(size=(N, T))
DESIGN = Design("y", cluster="region")


def panel(**changes: Any) -> Panel:
    varying = {"y": Y, "x": X, "z": X + 0.5 * np.roll(X, 1, axis=0)}
    fixed = {
        "region": np.arange(N) % 5,
        "size": np.arange(N, dtype=float),
        "name": np.array(["가", "나"] * (N // 2)),
        "adoption": np.where(np.arange(N) < 10, 2018.0, np.nan),
    }
    varying |= {k: v for k, v in changes.items() if np.ndim(v) == 2}
    fixed |= {k: v for k, v in changes.items() if np.ndim(v) == 1}
    return Panel(np.arange(N), np.arange(2015, 2015 + T), varying, fixed)


def test_by_hand() -> None:
    """Two units, two periods: the fixed-effect slope is the ratio of changes, pooled the ratio of covariances."""
    small = Panel(
        np.arange(2), np.array([1, 2]), {"y": np.array([[1.0, 3], [4, 9]]), "x": np.array([[0.0, 1], [1, 3]])}
    )
    fixed = panel_regression(small, Design("y"), regressors=("x",))
    np.testing.assert_allclose(fixed.values, (2 * 1 + 5 * 2) / (1 + 4))
    pooled = panel_regression(small, Design("y"), model="pooled", regressors=("x",))
    x, y = np.array([0, 1, 1, 3]), np.array([1, 3, 4, 9])
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    np.testing.assert_allclose(pooled.values, [y.mean() - slope * x.mean(), slope])


def test_the_treatment_indicator_is_the_default_regressor() -> None:
    found = panel_regression(panel(), replace(DESIGN, covariates=("x",)))
    assert [t[0] for t in found.terms] == ["treatment", "x"]
    assert (found.n_treated[0], found.n_comparison[0]) == (10, 20)


def test_fixed_covariates_are_absorbed_and_named() -> None:
    found = panel_regression(panel(), replace(DESIGN, covariates=("x", "size")))
    assert found.detail["absorbed"] == ["size"]
    assert "size" in found.detail["notes"][0]


BAD: list[tuple[dict[str, Any], dict[str, Any], type[Exception], str]] = [
    ({}, {"regressors": ("size",)}, DesignError, "size.*흡수"),
    ({}, {"regressors": ("nothing",)}, DesignError, "nothing"),
    ({}, {"regressors": ("name",)}, DesignError, "name.*숫자"),
    ({}, {"regressors": ()}, DesignError, "설명변수가 하나도"),
    ({}, {"regressors": ("x",), "model": "fxed"}, DesignError, "fixed"),
    ({}, {"regressors": ("x",), "covariance": "driscoll_kraay"}, RefusalError, "6개뿐.*cluster"),
    ({}, {"regressors": ("x", "twice"), "model": "pooled"}, DesignError, "겹치|설명됨"),
    ({"y": np.full((N, T), np.nan)}, {"regressors": ("x",)}, DesignError, "관측된 칸이 없음"),
    ({"x": np.where(X > 2, np.inf, X)}, {"regressors": ("x",)}, DataError, "무한대"),
    ({"region": np.zeros(N)}, {"regressors": ("x",)}, DesignError, "군집이 1개"),
]


@pytest.mark.parametrize(("changes", "options", "kind", "words"), BAD)
def test_bad_input_gets_a_sentence(
    changes: dict[str, Any], options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        panel_regression(panel(twice=2 * X, **changes), DESIGN, **options)


def test_negative_weights_and_models_without_weights() -> None:
    heavy = panel(w=np.where(np.arange(N) == 3, -1.0, 1.0))
    with pytest.raises(DataError, match=r"단위 3.*음수"):
        panel_regression(heavy, replace(DESIGN, weight="w"), regressors=("x",))
    with pytest.raises(RefusalError, match=r"random.*가중치"):
        panel_regression(panel(w=np.ones(N)), replace(DESIGN, weight="w"), regressors=("x",), model="random")


def test_differences_need_even_gaps() -> None:
    with pytest.raises(DesignError, match="2016–2018"):
        panel_regression(
            panel().select(periods=[2015, 2016, 2018, 2019]),
            DESIGN,
            regressors=("x",),
            model="first_difference",
        )


def test_ratios_belong_to_poisson() -> None:
    with pytest.raises(DesignError, match="포아송"):
        panel_regression(panel(), replace(DESIGN, link="ratios"), regressors=("x",))


def test_no_unit_variance_makes_random_effects_pooled() -> None:
    flat = panel(y=2 * X + np.tile([1.0, -1, 1, -1, 1, -1], (N, 1)) * np.linspace(0.5, 2, N)[:, None])
    random = panel_regression(flat, DESIGN, model="random", regressors=("x",))
    pooled = panel_regression(flat, DESIGN, model="pooled", regressors=("x",))
    assert random.detail["variance_effects"] == 0.0
    assert "통합 회귀" in random.detail["notes"][-1]
    np.testing.assert_allclose(random.values, pooled.values, rtol=1e-9)


def test_saved_and_loaded(tmp_path: Path) -> None:
    contract.survives_a_file(panel_regression(panel(), DESIGN, model="random", regressors=("x",)), tmp_path)
    contract.survives_a_file(
        instrumental_effects(panel(), DESIGN, endogenous=("x",), instruments=("z",)), tmp_path
    )
    contract.survives_a_file(dynamic_panel_effects(panel(), DESIGN, regressors=("x",)), tmp_path)


# -- Hausman ------------------------------------------------------------------------------------------


def test_hausman_sees_effects_that_go_with_the_regressor() -> None:
    rng = np.random.default_rng(8)
    unit = 2 * rng.normal(size=(200, 1))
    x = unit + rng.normal(size=(200, 5))
    make = lambda y: Panel(np.arange(200), np.arange(5), {"y": y, "x": x})  # noqa: E731
    noise = rng.normal(size=(200, 5))
    for kind in ("classic", "robust"):
        guilty = hausman(make(x + unit + noise), Design("y"), regressors=("x",), kind=kind)  # type: ignore[arg-type]
        assert (guilty.verdict, guilty.reason) == ("fail", "effects_correlated")
    shuffled = make(x + unit[rng.permutation(200)] + noise)
    assert hausman(shuffled, Design("y"), regressors=("x",)).verdict == "pass"


def test_hausman_needs_a_regressor_that_varies() -> None:
    with pytest.raises(DesignError, match="변하는 설명변수가 없어"):
        hausman(panel(), DESIGN, regressors=("size",))


# -- instruments --------------------------------------------------------------------------------------


def test_too_few_instruments() -> None:
    with pytest.raises(DesignError, match="도구변수 1개로 내생변수 2개"):
        instrumental_effects(panel(), DESIGN, endogenous=("x", "z"), instruments=("size",))
    with pytest.raises(DesignError, match=r"도구변수이면서 설명변수"):
        instrumental_effects(panel(), DESIGN, endogenous=("x",), instruments=("x",))
    with pytest.raises(DesignError, match=r"size.*흡수"):
        instrumental_effects(panel(), DESIGN, endogenous=("x",), instruments=("size",))
    with pytest.raises(DesignError, match="효과 'units'"):
        instrumental_effects(panel(), DESIGN, endogenous=("x",), instruments=("z",), effects="units")  # type: ignore[arg-type]


def test_a_weak_instrument_is_named() -> None:
    weak = panel(z=np.random.default_rng(1).normal(size=(N, T)))
    found = instrumental_effects(weak, DESIGN, endogenous=("x",), instruments=("z",))
    assert found.detail["first_stage_f"][0] < 10
    assert "x 의 1단계 F" in found.detail["notes"][0]
    strong = instrumental_effects(panel(), DESIGN, endogenous=("x",), instruments=("z",))
    assert strong.detail["first_stage_f"][0] > 10
    assert strong.detail["notes"] == []


# -- dynamic panels -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lags": 0}, "lags=0"),
        ({"steps": 3}, "steps=3"),
        ({"instrument_lags": (1, None)}, "instrument_lags"),
        ({"lags": 5}, "7개 기간"),
    ],
)
def test_dynamic_panel_bad_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DesignError, match=words):
        dynamic_panel_effects(panel(), DESIGN, regressors=("x",), **options)


def test_dynamic_panel_gaps_and_weights() -> None:
    with pytest.raises(DesignError, match="2016–2018"):
        dynamic_panel_effects(panel().select(periods=[2015, 2016, 2018, 2019]), DESIGN, regressors=("x",))
    with pytest.raises(DesignError, match="가중치"):
        dynamic_panel_effects(panel(w=np.ones(N)), replace(DESIGN, weight="w"), regressors=("x",))


def test_more_instruments_than_units_is_said() -> None:
    found = dynamic_panel_effects(panel().select(units=np.arange(12)), DESIGN, regressors=("x",))
    assert found.detail["n_instruments"] > 12
    assert "단위 12개보다 많아" in found.detail["notes"][0]
    fewer = dynamic_panel_effects(panel(), DESIGN, regressors=("x",), collapse=True)
    assert fewer.detail["n_instruments"] < found.detail["n_instruments"]


# -- what must not be told with confidence, and what must not be taken silently ---------------------------------------

MODELS = ("pooled", "fixed", "two_way", "first_difference", "random", "correlated_random")


@pytest.mark.parametrize("code", [0.0, -1.0, 2018.5])
@pytest.mark.parametrize("model", MODELS)
def test_an_adoption_code_that_is_no_period_is_refused(code: float, model: Any) -> None:
    """0 for "never" would make those units treated in every period."""
    wrong = panel(adoption=np.where(np.arange(N) < 10, 2018.0, code))
    with pytest.raises(DesignError, match=f"{code:g} 은\\(는\\) 기간이 아님"):
        panel_regression(wrong, DESIGN, model=model)
    with pytest.raises(DesignError, match="기간이 아님"):
        dynamic_panel_effects(wrong, DESIGN, collapse=True)


@pytest.mark.parametrize("model", MODELS)
def test_one_cluster_alone_on_a_side_has_no_standard_error(model: Any) -> None:
    for treated in (np.arange(N) == 3, np.arange(N) != 3):
        found = panel_regression(panel(adoption=np.where(treated, 2018.0, np.nan)), Design("y"), model=model)
        row = found.table().loc[("treatment",)].squeeze()
        assert np.isfinite(row["estimate"])
        assert row.drop("estimate").isna().all()
        assert any("단위가 하나뿐인 항" in note and "treatment" in note for note in found.detail["notes"])


def test_few_clusters_are_told() -> None:
    for found in (
        panel_regression(panel(region=np.arange(N) % 3), DESIGN, regressors=("x",)),
        instrumental_effects(panel(region=np.arange(N) % 3), DESIGN, endogenous=("x",), instruments=("z",)),
    ):
        assert any("군집(region)이 3개뿐" in note for note in found.detail["notes"])
    found = dynamic_panel_effects(panel(region=np.arange(N) % 6), DESIGN, regressors=("x",))
    assert any("군집이 6개뿐" in note for note in found.detail["notes"])


@pytest.mark.parametrize("model", ["pooled", "fixed", "two_way"])
def test_an_exact_fit_has_no_standard_error(model: Any) -> None:
    found = panel_regression(panel(double=2 * X, y=2 * X), DESIGN, model=model, regressors=("x",))
    assert found.values[-1] == pytest.approx(2)
    assert found.table()[["std_error", "p_value"]].isna().all(axis=None)
    assert any("남김없이" in note for note in found.detail["notes"])


def test_a_saturated_instrument_has_no_standard_error() -> None:
    two = panel().select(units=[0, 1])
    found = instrumental_effects(two, Design("y"), endogenous=("x",), instruments=("z",))
    assert found.table()[["std_error", "p_value"]].isna().all(axis=None)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], type[Exception], str]] = [
    ({}, {"at_risk": "x"}, RefusalError, "at_risk=x"),
    ({}, {"covariates": ("x", "x")}, DesignError, "x 을\\(를\\) 두 번"),
    ({}, {"covariates": ("y",)}, DesignError, "y 이\\(가\\) 설명변수에도"),
    ({"adoption": np.full(N, np.nan)}, {}, DesignError, "지원받은 관측값이 하나도"),
    ({"y": np.full((N, T), 5.0)}, {}, DesignError, "모두 5 로 같음"),
]


@pytest.mark.parametrize(("changes", "asked", "kind", "words"), REFUSED)
@pytest.mark.parametrize("model", MODELS)
def test_what_the_design_asks_is_not_passed_over(
    changes: dict[str, Any], asked: dict[str, Any], kind: type[Exception], words: str, model: Any
) -> None:
    with pytest.raises(kind, match=words):
        panel_regression(panel(**changes), replace(DESIGN, **asked), model=model)


def test_everyone_treated_at_once_is_the_period_effect() -> None:
    with pytest.raises(DesignError, match=r"treatment.*효과와 겹치"):
        panel_regression(panel(adoption=np.full(N, 2018.0)), DESIGN, model="two_way")


def test_difference_gmm_does_not_depend_on_the_unit_of_measure() -> None:
    """Sales in won or in hundreds of millions: the same slopes; and a covariate that never changes is named."""
    plain = dynamic_panel_effects(panel(), DESIGN, regressors=("x",), collapse=True)
    won = dynamic_panel_effects(panel(y=Y * 1e12), DESIGN, regressors=("x",), collapse=True)
    unit = np.array([1, 1e12])
    np.testing.assert_allclose(won.values, plain.values * unit, rtol=1e-9)
    np.testing.assert_allclose(won.std_errors, plain.std_errors * unit, rtol=1e-9)
    assert won.replicates is not None
    assert plain.replicates is not None
    np.testing.assert_allclose(won.replicates, plain.replicates * unit, rtol=1e-7)
    with pytest.raises(DesignError, match=r"size.*차분하면 사라짐"):
        dynamic_panel_effects(panel(), replace(DESIGN, covariates=("size",)), collapse=True)


def notes_of(adoption: Any, **asked: Any) -> str:
    return " / ".join(
        panel_regression(panel(adoption=adoption), replace(DESIGN, **asked), model="two_way").detail["notes"]
    )


def test_comparisons_with_treated_units_are_told() -> None:
    place = np.arange(N)
    plain = np.where(place < 10, 2018.0, np.nan)
    assert "비교 대상" not in notes_of(plain)
    assert "모든 기간에 지원받은 단위 4개" in notes_of(np.where(place < 4, 2010.0, plain))
    assert "2019, 2020 에는 모든 단위가 지원받아" in notes_of(np.where(place < 10, 2017.0, 2019.0))


def test_what_is_not_read_is_told() -> None:
    adoption = np.where(np.arange(N) < 10, 2018.0, np.nan)
    assert "anticipation=1 은 쓰이지 않음" in notes_of(adoption, anticipation=1)
    found = panel_regression(panel(), replace(DESIGN, covariates=("z",)), regressors=("x",))
    assert any("공변량 z 은(는) 설명변수로 적지 않아" in note for note in found.detail["notes"])
