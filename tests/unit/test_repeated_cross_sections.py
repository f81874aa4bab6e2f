"""Repeated cross-sections by hand, at the edges, and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.repeated_cross_sections import repeated_cross_section_effects
from evalkit.sample import Sample

NEVER = np.inf


def drawn(seed: int = 0, n: int = 600, cohorts: Any = (3.0, 4.0, NEVER), periods: int = 5) -> Sample:
    rng = np.random.default_rng(seed)
    g = rng.choice(cohorts, n)
    t = rng.integers(1, periods + 1, n)
    x = rng.normal(size=n)
    y = 0.3 * t + x + (t >= g) + rng.normal(size=n)
    return Sample(
        t, {"y": y, "adoption": g, "x": x, "town": rng.integers(0, 12, n), "w": rng.uniform(0.5, 2, n)}
    )


def test_by_hand() -> None:
    """(mean 5 − mean 1) − (mean 2 − mean 0) with weights that make the last mean 0.5."""
    sample = Sample(
        np.array([1, 2, 2, 1, 1, 2]),
        {
            "y": np.array([1.0, 4, 6, 0, 2, 2]),
            "adoption": np.array([2, 2, 2, NEVER, NEVER, NEVER]),
            "w": np.array([1.0, 1, 1, 3, 1, 1]),
        },
    )
    found = repeated_cross_section_effects(sample, Design("y", base="varying", weight="w"))
    assert found.values[0] == pytest.approx((5 - 1) - (2 - 0.5))
    assert (found.n_treated[0], found.n_comparison[0]) == (3, 3)
    assert found.detail["counts"] == [[1, 3], [2, 3]]


def test_observations_are_the_units_and_clusters_sum_them() -> None:
    sample = drawn()
    found = repeated_cross_section_effects(sample, Design("y", cluster="town"))
    assert found.n_units == len(sample)
    assert found.n_clusters == 12
    assert found.influence is not None
    sums = np.zeros((12, len(found)))
    np.add.at(sums, found.cluster, found.influence)
    np.testing.assert_allclose(found.covariance, sums.T @ sums / len(sample) ** 2, rtol=1e-9, atol=1e-15)
    assert repeated_cross_section_effects(sample, Design("y")).replicates is None


def test_covariates_as_text_are_dummies() -> None:
    sample = drawn()
    kind = np.where(sample.numbers("x") > 0.2, "제조", "정보")
    text = sample.with_variables(kind=kind)
    number = sample.with_variables(kind=(kind == "제조").astype(float))
    a = repeated_cross_section_effects(text, Design("y", covariates=("kind",)))
    b = repeated_cross_section_effects(number, Design("y", covariates=("kind",)))
    np.testing.assert_allclose(a.values, b.values, rtol=1e-9)


def test_rows_that_cannot_be_used_are_counted_and_carry_nothing() -> None:
    sample = drawn()
    y = sample.numbers("y").copy()
    y[:7] = np.nan
    found = repeated_cross_section_effects(sample.with_variables(y=y), Design("y"))
    again = repeated_cross_section_effects(sample.select(np.arange(7, 600)), Design("y"))
    np.testing.assert_allclose(found.values, again.values, rtol=1e-10)
    np.testing.assert_allclose(found.std_errors, again.std_errors, rtol=1e-10)
    assert found.detail["dropped"]["unobserved"] == 7
    assert found.influence is not None
    assert not found.influence[:7].any()


def test_cohorts_treated_from_the_start_leave() -> None:
    sample = drawn(cohorts=(1.0, 3.0, NEVER))
    found = repeated_cross_section_effects(sample, Design("y"))
    assert set(found.terms.get_level_values("cohort")) == {3}
    assert found.detail["dropped"]["already_treated"] == int((sample.numbers("adoption") == 1).sum())
    assert "코호트 1" in found.detail["notes"][0]


def test_without_never_treated_rows_the_last_cohort_is_compared_with() -> None:
    sample = drawn(cohorts=(3.0, 5.0))
    found = repeated_cross_section_effects(sample, Design("y", comparison="not_yet"))
    assert set(found.terms) == {(3, t) for t in range(1, 5)}
    assert any("비교집단으로만" in note for note in found.detail["notes"])
    never = repeated_cross_section_effects(sample, Design("y", comparison="never"))
    np.testing.assert_allclose(never.values, found.values, rtol=1e-10)


def test_a_cell_without_rows_on_one_side_is_nan_and_listed() -> None:
    sample = drawn()
    keep = ~((sample.numbers("adoption") == 3) & (sample.periods == 4))
    found = repeated_cross_section_effects(sample.select(keep), Design("y", cluster="town"))
    table = dict(zip(found.terms, found.values, strict=True))
    assert np.isnan(table[3, 4])
    assert found.detail["failed"] == [
        {"cohort": 3, "period": 4, "reason": "두 시점 가운데 지원받은 집단의 관측이 없는 시점이 있음"}
    ]
    assert np.isfinite(table[3, 5])


def test_the_base_cell_is_zero() -> None:
    found = repeated_cross_section_effects(drawn(), Design("y", base="universal"))
    at = list(found.terms).index((3, 2))
    assert found.values[at] == 0
    assert found.std_errors[at] == 0


# -- refusals ----------------------------------------------------------------------------------------------


def fails(sample: Sample, told: str, error: type[Exception] = DesignError, **options: Any) -> None:
    design = options.pop("design", Design("y"))
    with pytest.raises(error, match=told):
        repeated_cross_section_effects(sample, design, **options)


def test_what_rows_cannot_answer_is_refused() -> None:
    fails(drawn(), "수준 척도", RefusalError, design=Design("y", link="ratios"))
    fails(drawn(), "at_risk", RefusalError, design=Design("y", at_risk="alive"))
    fails(drawn(), "ipw_ht", RefusalError, method="ipw_ht")
    fails(drawn(), "비슷한 이름: dr", method="drr")


def test_no_comparison_no_clean_period_no_cohort() -> None:
    fails(drawn(cohorts=(3.0,)), "효과를 추정할 수 있는 코호트가 없음")
    fails(drawn(cohorts=(1.0, NEVER)), "코호트 1 이전의 깨끗한 기간이 없음")
    fails(drawn(cohorts=(NEVER,)), "효과를 추정할 수 있는 코호트가 없음")
    fails(drawn(cohorts=(2.0, 2.0)), "기간이 1개뿐")
    one = drawn().select(drawn().periods == 2)
    fails(one, "기간이 1개뿐")
    apart = drawn(cohorts=(3.0, NEVER))
    fails(
        apart.select((apart.numbers("adoption") == 3) | (apart.periods > 4)),
        "비교할 관측이 없는",
        design=Design("y", comparison="never"),
    )


def test_bad_values() -> None:
    sample = drawn()
    fails(sample.with_variables(y=np.where(np.arange(600) == 5, np.inf, 1.0)), "관측 5.*무한대", DataError)
    fails(sample.with_variables(y=np.full(600, np.nan)), "관측값이 없음")
    fails(sample.with_variables(w=-sample.numbers("w")), "음수", DataError, design=Design("y", weight="w"))
    fails(sample.with_variables(x=np.ones(600)), "공변량 x .*같은 값", design=Design("y", covariates=("x",)))
    fails(sample.with_variables(adoption=np.zeros(600)), "0 이 아니라 빈 값")
    fails(sample.with_variables(adoption=np.full(600, "2018년")), "숫자가 아님")
    fails(sample, "비슷한 이름: town", design=Design("y", cluster="towns"))
    one = sample.with_variables(town=np.zeros(600))
    fails(one, "군집 town 이.*하나뿐", design=Design("y", cluster="town"))


def test_separated_groups_have_no_weights() -> None:
    sample = drawn(cohorts=(3.0, NEVER))
    g = np.isfinite(sample.numbers("adoption"))
    fails(
        sample.with_variables(x=np.where(g, 10.0, -10.0) + sample.numbers("x") / 10),
        "완전히 갈라|공통 영역",
        design=Design("y", covariates=("x",)),
    )
