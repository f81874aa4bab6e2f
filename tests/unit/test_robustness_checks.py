"""Robustness checks: what they refuse, with the sentence, and what they say at the edges."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from evalkit.aggregate import overall
from evalkit.arrays.confounding import Movement
from evalkit.checks._joint import holm, stacked, together
from evalkit.checks.anticipation import anticipation_effects
from evalkit.checks.collapsed import collapsed_regression
from evalkit.checks.e_value import e_value
from evalkit.checks.influence import leave_out
from evalkit.checks.negative_controls import negative_control_exposures, negative_control_outcomes
from evalkit.checks.omitted_variables import omitted_variables
from evalkit.checks.oster import oster_bounds
from evalkit.checks.placebo import placebo_in_industry, placebo_in_time
from evalkit.checks.placebo_places import placebo_in_place
from evalkit.checks.reassignment import FastFit, fit_or_nan, p_values_of, refit, two_way_coefficient
from evalkit.checks.specification_curve import Choice, specification_curve
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, UsageError
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.inference.reassignment import reassignments
from evalkit.panel import Panel


def two_way(panel: Panel, design: Design) -> Estimate:
    return two_way_effects(panel, design).select([0])


@cache
def panel(first: float = 2014.0, seed: int = 3) -> Panel:
    """18 units in 9 regions, 6 years; regions 0–2 treated."""
    rng = np.random.default_rng(seed)
    n, years = 18, np.arange(2011, 2017)
    region = np.arange(n) % 9
    dates = np.where(region < 3, first, np.inf)
    y = rng.normal(size=(n, 6)) + 2.0 * (years >= dates[:, None])
    return Panel(
        np.arange(n),
        years,
        {"y": y, "z": rng.normal(size=(n, 6)), "w": np.ones((n, 6))},
        {
            "adoption": dates,
            "region": region,
            "never": np.full(n, np.inf),
            "industry": np.where(np.arange(n) < 9, "기계", "식품"),
            "one": np.zeros(n),
            "x": rng.normal(size=n),
            "twin": (region < 3).astype(float),
            "half": np.where(np.arange(n) < 9, "ㄱ", "ㄴ"),
        },
    )


DESIGN = Design("y", cluster="region")


# -- sentences ---------------------------------------------------------------------------------------------

REFUSALS: list[tuple[str, type[EvalkitError], str, Callable[[], object]]] = [
    ("too few pre-periods", DesignError, "시점을 당겨 볼 수 없음", lambda: placebo_in_time(panel(2012.0), DESIGN, two_way)),
    ("no pre-period", DesignError, "지원 전 기간이 하나도 없음", lambda: placebo_in_time(panel(2011.0), DESIGN, two_way)),
    (
        "pre-periods eaten by anticipation",
        DesignError,
        "예상 2기간",
        lambda: placebo_in_time(panel(), Design("y", anticipation=2), two_way),
    ),
    ("shift of 0", UsageError, "1 이상의 정수가 아닌", lambda: placebo_in_time(panel(), DESIGN, two_way, shifts=[0])),
    ("shift of nan", UsageError, "1 이상의 정수가 아닌", lambda: placebo_in_time(panel(), DESIGN, two_way, shifts=[np.nan])),
    ("joint", UsageError, "결합 검정 'both'", lambda: placebo_in_time(panel(), DESIGN, two_way, joint="both")),
    ("cut", UsageError, "periods 또는 cells", lambda: placebo_in_time(panel(), DESIGN, two_way, cut="x")),  # type: ignore[arg-type]
    ("level", UsageError, "신뢰수준", lambda: placebo_in_time(panel(), DESIGN, two_way, level=95)),
    ("level nan", UsageError, "신뢰수준", lambda: leave_out(panel(), DESIGN, two_way, level=float("nan"))),
    (
        "nobody treated",
        DesignError,
        "지원받은 단위가 없음",
        lambda: placebo_in_time(panel(), Design("y", adoption="never"), _nothing),
    ),
    (
        "no comparison clusters to move to",
        DesignError,
        "비교 군집에 다시 배정할 수 없음",
        lambda: placebo_in_place(
            panel().with_fixed(adoption=np.where(panel().constant("region") < 5, 2014.0, np.inf)), DESIGN, two_way
        ),
    ),
    (
        "mixed clusters",
        DesignError,
        "군집을 통째로 재배정할 수 없음",
        lambda: placebo_in_place(panel(), Design("y", cluster="half"), two_way),
    ),
    ("few draws", UsageError, "19 이상의 정수", lambda: placebo_in_place(panel(), DESIGN, two_way, draws=3)),
    (
        "industry without treated units",
        DesignError,
        "지원받은 단위가 없음",
        lambda: placebo_in_industry(
            panel().with_fixed(adoption=np.where(np.arange(18) == 0, 2014.0, np.inf)),
            DESIGN,
            two_way,
            industry="industry",
            target=["식품"],
        ),
    ),
    (
        "unknown industry",
        UsageError,
        "대상 산업 광업",
        lambda: placebo_in_industry(panel(), DESIGN, two_way, industry="industry", target=["광업"]),
    ),
    (
        "no target",
        UsageError,
        "기계, 식품 가운데서",
        lambda: placebo_in_industry(panel(), DESIGN, two_way, industry="industry"),
    ),
    (
        "mask of another length",
        UsageError,
        "단위 18개와 맞지 않음",
        lambda: placebo_in_industry(panel(), DESIGN, two_way, industry=np.array([True])),
    ),
    (
        "only targets",
        DesignError,
        "대상이 아닌 산업의 단위가 없어",
        lambda: placebo_in_industry(panel(), DESIGN, two_way, industry=np.ones(18, dtype=bool)),
    ),
    (
        "no place",
        DesignError,
        "군집 변수가 없음",
        lambda: placebo_in_industry(panel(), Design("y"), two_way, industry="industry", target=["식품"]),
    ),
    ("no outcome", UsageError, "이름이 하나도 없음", lambda: negative_control_outcomes(panel(), DESIGN, two_way, [])),
    ("own outcome", UsageError, "쓸 수 없음: y", lambda: negative_control_outcomes(panel(), DESIGN, two_way, ["y"])),
    (
        "twice",
        UsageError,
        "쓸 수 없음: z",
        lambda: negative_control_outcomes(panel(), DESIGN, two_way, ["z", "z"]),
    ),
    ("no variable", DesignError, "'q'", lambda: negative_control_outcomes(panel(), DESIGN, two_way, ["q"])),
    (
        "nothing cancelled",
        DesignError,
        "취소된 단위가 0개",
        lambda: negative_control_exposures(panel(), DESIGN, two_way, announced="adoption"),
    ),
    ("one number", UsageError, "둘 이상", lambda: anticipation_effects(panel(), DESIGN, two_way, periods=[1])),
    (
        "half a period",
        UsageError,
        "0 이상의 정수",
        lambda: anticipation_effects(panel(), DESIGN, two_way, periods=[0, 0.5]),  # type: ignore[list-item]
    ),
    ("one value", DesignError, "값이 1개뿐", lambda: leave_out(panel(), DESIGN, two_way, by="one")),
    ("refits", UsageError, "음수", lambda: leave_out(panel(), DESIGN, two_way, refits=-1)),
    (
        "too many and no influence",
        DesignError,
        "영향함수가 없어",
        lambda: leave_out(panel(), DESIGN, _bare, by="unit", refits=2),
    ),
    ("empty grid", UsageError, "차원이 없음", lambda: specification_curve(panel(), DESIGN, two_way, {})),
    (
        "empty dimension",
        UsageError,
        "빈 차원 통제",
        lambda: specification_curve(panel(), DESIGN, two_way, {"통제": {}}),
    ),
    (
        "no choice",
        UsageError,
        "Choice 가 아님",
        lambda: specification_curve(panel(), DESIGN, two_way, {"통제": {"a": "z"}}),  # type: ignore[dict-item]
    ),
    (
        "no field",
        UsageError,
        "설계에 covariate 이(가) 없음",
        lambda: specification_curve(
            panel(), DESIGN, two_way, {"통제": {"a": Choice(design={"covariate": ("z",)})}}
        ),
    ),
    (
        "two dimensions set one field",
        UsageError,
        "모두 covariates",
        lambda: specification_curve(
            panel(),
            DESIGN,
            two_way,
            {
                "통제": {"a": Choice(design={"covariates": ("z",)})},
                "추가": {"b": Choice(design={"covariates": ()})},
            },
        ),
    ),
    (
        "two dimensions set the method",
        UsageError,
        "모두 추정 방법",
        lambda: specification_curve(
            panel(), DESIGN, two_way, {"가": {"a": Choice(fit=two_way)}, "나": {"b": Choice(fit=two_way)}}
        ),
    ),
    (
        "all apart",
        UsageError,
        "셀 것이 없음",
        lambda: specification_curve(
            panel(), DESIGN, two_way, {"가": {"a": Choice(other_estimand=True)}}
        ),
    ),
    ("number alone", UsageError, "std_error 와 dof", lambda: omitted_variables(1.0)),
    ("both", UsageError, "따로 받지 않음", lambda: omitted_variables(two_way(panel(), DESIGN), 1.0, 10)),
    ("nan", DataError, "추정치 nan", lambda: omitted_variables(float("nan"), 1.0, 10)),
    ("no error", DataError, "양수인 표준오차", lambda: omitted_variables(1.0, 0.0, 10)),
    ("one dof", DataError, "자유도 1", lambda: omitted_variables(1.0, 1.0, 1)),
    ("normal", DataError, "자유도 inf", lambda: omitted_variables(1.0, 1.0, float("inf"))),
    ("q", UsageError, "양수가 아님", lambda: omitted_variables(1.0, 1.0, 10, q=0)),
    (
        "multiples",
        UsageError,
        "짝을 맞추어",
        lambda: omitted_variables(1.0, 1.0, 10, multiples=[1, 2], outcome_multiples=[1]),
    ),
    (
        "share",
        DataError,
        "x 의 지원 쪽 부분 결정계수 1.0",
        lambda: omitted_variables(1.0, 1.0, 10, benchmarks={"x": (1.0, 0.1)}),
    ),
    (
        "nan share",
        DataError,
        "x 의 결과 쪽 부분 결정계수 nan",
        lambda: omitted_variables(1.0, 1.0, 10, benchmarks={"x": (0.1, float("nan"))}),
    ),
    ("strength", DataError, "r2_outcome", lambda: omitted_variables(1.0, 1.0, 10).adjusted(0.1, 1.5)),
    ("grid", DataError, "most", lambda: omitted_variables(1.0, 1.0, 10).contour(most=1.0)),
    ("negative ratio", DataError, "scale='log'", lambda: e_value(-0.5)),
    ("limits turned round", DataError, "품지 않음", lambda: e_value(2.0, 3.0, 4.0)),
    ("scale", UsageError, "ratio·log·smd", lambda: e_value(2.0, scale="odds")),  # type: ignore[arg-type]
    ("null", UsageError, "양수로", lambda: e_value(2.0, null=0.0)),
    ("limits beside", UsageError, "둘 중 하나만", lambda: e_value(two_way(panel(), DESIGN), 1.0, 2.0)),
    (
        "several dates",
        DesignError,
        "도입 시점이 2개",
        lambda: collapsed_regression(
            panel().with_fixed(adoption=np.array([2013.0, 2014.0, *[np.inf] * 16])), DESIGN
        ),
    ),
    ("weight", DesignError, "가중치가 있어", lambda: collapsed_regression(panel(), Design("y", weight="w"))),
    ("no before", DesignError, "전의 기간이 없어", lambda: collapsed_regression(panel(2011.0), DESIGN)),
    (
        "treatment given away",
        DesignError,
        "지원 여부를 그대로",
        lambda: collapsed_regression(panel(), Design("y", covariates=("twin",))),
    ),
    (
        "infinite",
        DataError,
        "무한대",
        lambda: collapsed_regression(panel().with_fixed(x=np.full(18, np.inf)), Design("y", covariates=("x",))),
    ),
    (
        "all missing",
        DesignError,
        "쓸 수 있는 단위가 0개",
        lambda: collapsed_regression(panel().with_varying(y=np.full((18, 6), np.nan)), DESIGN),
    ),
    (
        "constant change",
        DesignError,
        "모두 0 로 같아",
        lambda: collapsed_regression(panel().with_varying(y=np.ones((18, 6))), DESIGN),
    ),
    ("no controls", DesignError, "통제변수가 없어", lambda: oster_bounds(collapsed_regression(panel(), DESIGN))),
    (
        "r_max",
        UsageError,
        "R²_max=0.1",
        lambda: oster_bounds(Movement(1.0, 0.1, 0.8, 0.3, 1.0, 1.0, 0.9), r_max=0.1),
    ),
    (
        "no variance",
        DataError,
        "양수가 아닌 분산",
        lambda: oster_bounds(Movement(1.0, 0.1, 0.8, 0.3, 1.0, 1.0, 0.0)),
    ),
    (
        "nan moment",
        DataError,
        "유한하지 않거나",
        lambda: oster_bounds(Movement(float("nan"), 0.1, 0.8, 0.3, 1.0, 1.0, 0.5)),
    ),
]  # fmt: skip


def _nothing(panel: Panel, design: Design) -> Estimate:
    return two_way(panel, Design("y", cluster="region"))


def _bare(panel: Panel, design: Design) -> Estimate:
    from dataclasses import replace

    return replace(two_way(panel, design), influence=None, replicates=None)


@pytest.mark.parametrize(("kind", "words", "call"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_refusals(kind: type[EvalkitError], words: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert words in caught.value.sentence()
    assert caught.value.remedy


def test_a_method_with_two_terms_is_refused_by_every_check() -> None:
    def two_terms(p: Panel, d: Design) -> Estimate:
        return two_way_effects(p, Design("y", covariates=("z",), cluster="region"))

    calls: list[Callable[..., Any]] = [placebo_in_time, placebo_in_place, leave_out]
    for call in calls:
        with pytest.raises(UsageError, match="항이 2개"):
            call(panel(), DESIGN, two_terms)


# -- edges -------------------------------------------------------------------------------------------------


def test_shifts_that_leave_nothing_are_told_where_asked_for() -> None:
    found = placebo_in_time(panel(), DESIGN, two_way, shifts=[1, 9])
    assert list(found.table.index) == [1]
    assert list(found.failed) == ["9"]
    assert found.check.detail["failed"] == 1


def test_placebos_without_errors_are_unknown() -> None:
    """One treated region: no standard error, so nothing is tested."""
    own = panel().with_fixed(adoption=np.where(panel().constant("region") == 0, 2014.0, np.inf))
    found = placebo_in_time(own, DESIGN, two_way)
    assert np.isnan(found.p_value)
    assert (found.combined, found.check.verdict, found.check.reason) == ("", "unknown", "no_error")
    placed = placebo_in_place(own, DESIGN, two_way)
    assert len(placed.table) == 8
    assert placed.table["std_error"].isna().all()
    assert np.isnan(placed.p_studentised)
    assert placed.check.reason == "too_few_places"
    assert placed.check.verdict == "unknown"


def test_verdicts_in_time() -> None:
    plain = placebo_in_time(panel(), DESIGN, two_way)
    assert (plain.check.verdict, plain.check.reason) == ("pass", "no_placebo_effect")
    drift = 4.0 * np.arange(6) * (panel().constant("region") < 3)[:, None]
    trending = panel().with_varying(y=panel().values("y") + drift)
    found = placebo_in_time(trending, DESIGN, two_way)
    assert (found.check.verdict, found.check.reason) == ("fail", "placebo_effect_found")
    assert found.check.p_value == found.p_value < 0.05
    rng = np.random.default_rng(0)
    noisy = panel().with_varying(
        y=panel().values("y") + np.where(np.arange(6) < 3, 30 * rng.normal(size=(18, 6)), 0)
    )

    def late(p: Panel, d: Design) -> Estimate:
        """Precise where the data after adoption are there, as wide as the noise before it where not."""
        return two_way(p.select(periods=range(2014, 2017)) if p.periods[-1] > 2013 else p, d)

    assert placebo_in_time(noisy, DESIGN, _sure(late)).check.reason == "placebos_too_wide"


def _sure(fit: Callable[[Panel, Design], Estimate]) -> Callable[[Panel, Design], Estimate]:
    from dataclasses import replace

    def wrapped(p: Panel, d: Design) -> Estimate:
        if p.periods[-1] == 2016:
            sure = two_way(p, d)
            return replace(sure, values=np.array([2.0]), covariance=np.array([[0.01]]))
        return two_way(p, d)

    return wrapped


def test_verdicts_in_place() -> None:
    strong = panel().with_varying(
        y=panel().values("y") + 20 * (panel().periods >= panel().constant("adoption")[:, None])
    )
    wide = strong.with_fixed(adoption=np.where(strong.constant("region") < 2, 2014.0, np.inf))
    found = placebo_in_place(wide, DESIGN, two_way_coefficient)
    assert len(found.table) == 21
    assert found.rank == 1
    assert found.p_value == 1 / 22
    assert (found.check.verdict, found.check.reason) == ("pass", "stands_out")
    none = placebo_in_place(wide.with_varying(y=panel().values("z")), DESIGN, two_way_coefficient)
    assert none.check.verdict == "warn"
    assert none.check.reason in ("does_not_stand_out", "common_among_placebos")


def test_the_treated_may_be_assigned_by_another_variable_than_the_cluster() -> None:
    found = placebo_in_place(panel(), Design("y"), two_way, assigned="region")
    again = placebo_in_place(panel(), DESIGN, two_way)
    np.testing.assert_allclose(found.table["estimate"], again.table["estimate"], rtol=1e-10)


def test_an_industry_without_treated_units_is_told() -> None:
    own = np.where((np.arange(18) % 9 == 0) & (np.arange(18) >= 9), "광업", panel().constant("industry"))
    lone = panel().with_fixed(industry=own)
    # the only units of mining stand in region 0, which is designated; of fishery in region 8, which is not
    own = np.where(np.arange(18) == 17, "어업", own)
    lone = panel().with_fixed(industry=own)
    found = placebo_in_industry(lone, DESIGN, two_way, industry="industry", target=["기계"])
    assert "어업" in found.failed
    assert "지정된 장소에" in found.failed["어업"]
    assert "식품" in found.table.index


def test_nan_outcomes_fail_in_words_and_not_in_numbers() -> None:
    own = panel().with_varying(z=np.full((18, 6), np.nan))
    found = negative_control_outcomes(own, DESIGN, two_way, ["z"])
    assert list(found.failed) == ["z"]
    assert (found.check.verdict, found.check.reason) == ("unknown", "nothing_estimated")
    assert found.table.empty


def test_anticipation_that_eats_the_data_is_told() -> None:
    found = anticipation_effects(panel(2013.0), DESIGN, two_way, periods=(0, 1, 2))
    assert list(found.table.index) == [0, 1]
    assert set(found.failed) == {"2", "2 early"}

    def averaged(p: Panel, d: Design) -> Estimate:
        return overall(group_time_effects(p, d))

    alone = anticipation_effects(panel(2012.0), DESIGN, averaged, periods=(0, 1, 2))
    assert (alone.check.verdict, alone.check.reason) == ("unknown", "too_few_estimates")


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(
        holm(np.array([0.01, 0.04, np.nan, 0.03])), [0.03, 0.06, np.nan, 0.06], equal_nan=True
    )
    assert together([], np.array([])) == (pytest.approx(float("nan"), nan_ok=True), "")


def test_estimates_without_influence_are_not_stacked() -> None:
    assert stacked([_bare(panel(), DESIGN)]) is None
    p, how = together([_bare(panel(), DESIGN)], np.array([0.2]))
    assert (p, how) == (0.2, "holm")
    assert np.isnan(together([_bare(panel(), DESIGN)], np.array([0.2]), how="wald")[0])


def test_p_values_at_the_edges() -> None:
    told = p_values_of(np.array([0.0, 1.0, 1.0]), np.array([1.0, 0.0, np.nan]), np.array([5.0, 5.0, np.inf]))
    assert told[0] == 1.0
    assert np.isnan(told[1:]).all()


def test_a_fast_way_that_tells_something_else_is_not_used() -> None:
    chosen = reassignments(panel(), DESIGN)

    def wrong(p: Panel, d: Design, c: Any) -> Any:
        n = len(c.codes) + 1
        return np.zeros(n), np.ones(n), np.full(n, 8.0)

    found = refit(panel(), DESIGN, FastFit(two_way, wrong), chosen)
    assert not found.fast
    assert found.failed == 0
    np.testing.assert_allclose(found.values, refit(panel(), DESIGN, two_way, chosen).values)
    with_anticipation = refit(
        panel(), Design("y", cluster="region", anticipation=1), two_way_coefficient, chosen
    )
    assert not with_anticipation.fast
    assert np.isfinite(with_anticipation.values).all()


def test_refusals_of_a_fit_are_nan() -> None:
    assert np.isnan(fit_or_nan(panel(), Design("없음"), two_way)).all()


GRID = {"통제": {"없음": Choice(), "z": Choice(design={"covariates": ("z",)})}}


def test_verdicts_of_the_curve() -> None:
    found = specification_curve(panel(), DESIGN, two_way_coefficient, GRID)
    assert found.check.verdict == "pass"
    assert found.check.reason == "same_answer"
    none = specification_curve(panel().with_varying(y=panel().values("w") * 0 + panel().values("z")), DESIGN,
                               two_way_coefficient, {"통제": {"없음": Choice()}})  # fmt: skip
    assert none.check.reason == "consistently_not_significant"

    def turned(p: Panel, d: Design) -> Estimate:
        from dataclasses import replace

        return replace(two_way(p, d), values=-two_way(p, d).values)

    methods = {"a": Choice(), "b": Choice(fit=turned), "c": Choice(fit=turned)}
    check = specification_curve(panel(), DESIGN, two_way, {"방법": methods}, draws=0).check
    assert (check.verdict, check.reason) == ("fail", "sign_turns")
    broken = {"결과": {"없는 것": Choice(design={"outcome": "q"}), "있는 것": Choice()}}
    check = specification_curve(panel(), DESIGN, two_way, broken, draws=0).check
    assert (check.verdict, check.reason) == ("unknown", "planned_failed")
    nothing = {"결과": {"없는 것": Choice(design={"outcome": "q"})}}
    found = specification_curve(panel(), DESIGN, two_way, nothing)
    assert (found.check.verdict, found.check.reason) == ("unknown", "nothing_estimated")
    assert found.table.empty
    assert found.planned is None


def test_few_assignments_cannot_make_a_curve_significant() -> None:
    few = panel().select(panel().constant("region") < 6)
    own = few.with_fixed(adoption=np.where(few.constant("region") < 1, 2014.0, np.inf))
    noisy = specification_curve(own, Design("y"), _strong, GRID, draws=99)
    assert noisy.draws >= 12
    region = specification_curve(
        few.with_fixed(adoption=np.where(few.constant("region") < 2, 2014.0, np.inf)), DESIGN, _strong, GRID
    )
    assert region.smallest_p == pytest.approx(1 / 15)
    assert region.check.reason == "too_few_assignments"


def _strong(p: Panel, d: Design) -> Estimate:
    from dataclasses import replace

    plain = two_way(p, d)
    return replace(plain, covariance=plain.covariance / 1e4)


def test_verdicts_of_e_values_and_oster() -> None:
    assert e_value(2.0).check.reason == "no_interval"
    assert e_value(2.0, 0.9, 3.0).check.reason == "not_significant"
    assert e_value(2.0, 1.5, 3.0).check.reason == "no_benchmark"
    assert e_value(2.0, 1.5, 3.0, strongest=1.4).check.verdict == "pass"
    assert e_value(2.0, 1.5, 3.0, strongest=1 / 3).check.reason == "as_strong_as_a_covariate_overturns"
    still = Movement(1.0, 0.2, 1.0, 0.2, 1.0, 1.0, 1.0)
    assert oster_bounds(still).check.reason == "controls_do_not_move"
    moved = Movement(1.0, 0.1, 0.2, 0.3, 1.0, 1.0, 0.8)
    assert oster_bounds(moved, r_max=0.9).check.reason == "selection_as_strong_overturns"
    steady = Movement(1.0, 0.1, 0.95, 0.5, 1.0, 1.0, 0.9)
    assert oster_bounds(steady).check.reason == "stronger_selection_needed"
