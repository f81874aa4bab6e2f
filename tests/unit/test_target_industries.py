"""What target-industry triple differences refuse, and what they say about cells that they cannot estimate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evalkit.aggregate import average, event_study
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimators.target_industries import target_industry_effects
from evalkit.inference.target_permutation import permuted_targets
from evalkit.panel import Panel

YEARS = np.arange(2016, 2022)
P, K = np.divmod(np.arange(24), 6)
SIDO, SECTOR = np.array([f"p{i}" for i in P]), np.array([f"k{i}" for i in K])


def panel(starts: dict[tuple[int, int], float], *, effect: float = 3.0, **changes: Any) -> Panel:
    start = np.array([starts.get((p, k), np.inf) for p, k in zip(P, K, strict=True)])
    rng = np.random.default_rng(5)
    y = 50.0 + rng.standard_normal((4, 6))[P] + rng.standard_normal((6, 6))[K]
    y = y + effect * (start[:, None] <= YEARS)
    fixed = {"adoption": start, "sido": SIDO, "sector": SECTOR} | {
        n: v for n, v in changes.items() if np.ndim(v) == 1
    }
    varying = {"y": y} | {n: v for n, v in changes.items() if np.ndim(v) == 2}
    return Panel(np.arange(24), YEARS, varying, fixed)


SOME = {(0, 1): 2018.0, (1, 2): 2018.0, (2, 4): 2018.0, (3, 0): 2018.0}
ALL_ALIKE = {(p, 2): 2018.0 for p in range(4)}


def test_every_province_is_treated_and_the_effect_is_found() -> None:
    est = target_industry_effects(panel(SOME), Design("y"))
    event = event_study(est)
    np.testing.assert_allclose(event.values, [0, 0, 3, 3, 3, 3], atol=1e-10)
    assert average(event, (0, 1, 2)).values[0] == pytest.approx(3.0)
    assert est.n_treated.tolist() == [4] * 6
    assert est.n_comparison.tolist() == [20] * 6
    assert est.inference == "IF"
    assert est.design["cluster"] == "sido"


def test_two_cohorts_are_compared_with_cells_that_are_never_a_target() -> None:
    starts = {(0, 1): 2018.0, (1, 2): 2018.0, (2, 4): 2020.0, (3, 0): 2020.0}
    est = target_industry_effects(panel(starts), Design("y"))
    late = [(g, t) for g, t in est.terms if g == 2020]
    assert [est.values[est.terms.get_loc(x)] for x in late] == pytest.approx([0, 0, 0, 0, 3, 3], abs=1e-10)
    early = [(g, t) for g, t in est.terms if g == 2018]
    assert [est.values[est.terms.get_loc(x)] for x in early] == pytest.approx([0, 0, 3, 3, 3, 3], abs=1e-10)
    # the cells of the other cohort are no comparison
    assert set(est.n_comparison.tolist()) == {20}


def test_the_same_targets_everywhere_are_refused() -> None:
    with pytest.raises(DesignError, match="추정할 수 있는 해가 하나도 없음") as caught:
        target_industry_effects(panel(ALL_ALIKE), Design("y"))
    assert "모든 시·도의 대상 산업이 같거나" in caught.value.remedy
    with pytest.raises(DesignError, match="목록을 바꾸어 배정해도 달라지는 것이 없음"):
        permuted_targets(panel(ALL_ALIKE), Design("y"), horizon=1)


def test_a_province_without_which_nothing_is_left_has_no_replicate() -> None:
    one = {(0, 1): 2018.0}
    est = target_industry_effects(panel(one), Design("y"))
    assert est.replicates is not None
    assert np.isnan(est.replicates[0]).all()
    assert np.isfinite(est.replicates[1:]).all()


def test_a_year_without_targets_is_a_cell_that_failed() -> None:
    y = panel(SOME).values("y").copy()
    y[[1, 8, 16, 18], 5] = np.nan
    est = target_industry_effects(panel(SOME, y=y), Design("y"))
    assert np.isnan(est.values[-1])
    assert np.isnan(est.std_errors[-1])
    assert est.detail["failed"] == [
        {"cohort": 2018, "period": 2021, "reason": "대상 산업의 값이 있는 칸이 없음"}
    ]


def test_a_cohort_without_a_base_year_is_said() -> None:
    est = target_industry_effects(panel(SOME | {(0, 5): 2016.0}), Design("y"))
    assert est.detail["notes"] == ["첫 기간 2016 에 이미 시작한 코호트 2016 은(는) 기준 연도가 없어 제외"]
    with pytest.raises(DesignError, match="기준 연도가 있는 코호트가 없음"):
        target_industry_effects(panel({(0, 1): 2016.0, (1, 2): 2016.0}), Design("y"))


def test_anticipation_moves_the_base() -> None:
    est = target_industry_effects(panel(SOME | {(0, 1): 2018.0}), Design("y", anticipation=1))
    assert est.values[0] == 0.0
    assert est.values[1] == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(
    ("design", "changes", "error", "words"),
    [
        (Design("y", link="ratios"), {}, RefusalError, "수준 척도"),
        (Design("y", covariates=("x",)), {}, DesignError, "covariates 을"),
        (Design("y", at_risk="x"), {}, DesignError, "at_risk 을"),
        (Design("y", base="varying"), {}, DesignError, "기준 연도가 하나"),
        (Design("y", weight="w"), {"w": np.full(24, -1.0)}, DataError, "0 보다 작은 단위가 24개"),
        (Design("y", weight="w"), {"w": np.array(["a"] * 24)}, DataError, "단위가 24개"),
        (Design("y"), {"y": np.full((24, 6), np.inf)}, DataError, "무한대"),
        (Design("y"), {"sector": np.array(["k0"] * 24)}, DesignError, r"둘 이상임 \(p0, k0\)"),
        (Design("y"), {"adoption": np.full(24, np.inf)}, DesignError, "하나도 없음"),
    ],
)
def test_refusals(design: Design, changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        target_industry_effects(panel(SOME, **changes), design)


def test_scales_refuse_what_they_cannot_read() -> None:
    y = panel(SOME).values("y").copy()
    y[3, 2] = 0.0
    with pytest.raises(RefusalError, match="0 이하인 값이 1개"):
        target_industry_effects(panel(SOME, y=y), Design("y"), scale="log")
    found = target_industry_effects(panel(SOME, y=y), Design("y"), scale="growth")
    assert np.isfinite(found.values).all()
    y[3, 2] = -1.0
    with pytest.raises(DataError, match="음수"):
        target_industry_effects(panel(SOME, y=y), Design("y"), scale="growth")
    with pytest.raises(DesignError, match="척도 'dhs'"):
        target_industry_effects(panel(SOME), Design("y"), scale="dhs")  # type: ignore[arg-type]


def test_permutation_of_lists() -> None:
    found = permuted_targets(panel(SOME), Design("y"), horizon=2, draws=50)
    assert (found.exact, found.provinces, found.listed, len(found.draws)) == (True, 4, 4, 23)
    assert found.estimate == pytest.approx(3.0)
    assert found.p_value == pytest.approx(1 / 24)
    nothing = permuted_targets(panel(SOME, effect=0.0), Design("y"), horizon=2, draws=50)
    assert nothing.estimate == pytest.approx(0.0, abs=1e-10)
    with pytest.raises(DesignError, match="시작 연도가 2개"):
        permuted_targets(panel(SOME | {(3, 3): 2020.0}), Design("y"), horizon=1)
    with pytest.raises(DesignError, match="0–1년이 자료에 없음"):
        permuted_targets(
            panel(SOME).select(periods=[2016, 2017]),
            Design("y", anticipation=1),
            horizon=1,
        )


def test_cells_that_are_never_seen_change_no_error() -> None:
    """Influence is in the scale of all cells, seen or not: a province without data adds nothing to what is known."""
    whole = panel(SOME)
    y = whole.values("y") + np.random.default_rng(8).standard_normal((24, 6))
    gone = SIDO == "p3"
    blank = np.where(gone[:, None], np.nan, y)
    seen = target_industry_effects(panel(SOME, y=y).select(~gone), Design("y"))
    some = target_industry_effects(panel(SOME, y=blank), Design("y"))
    np.testing.assert_allclose(some.values, seen.values)
    np.testing.assert_allclose(some.std_errors, seen.std_errors)
    assert (seen.std_errors[2:] > 0).all()


def test_cohorts_are_averaged_with_the_weights_of_their_cells() -> None:
    """A cohort of cells with 30 jobs each counts thrice as much as one of cells with 10."""
    starts = {(0, 1): 2018.0, (1, 2): 2018.0, (2, 4): 2020.0, (3, 0): 2020.0}
    start = np.array([starts.get((p, k), np.inf) for p, k in zip(P, K, strict=True)])
    base = panel(starts, effect=0.0).values("y")
    y = base + np.where(start[:, None] <= YEARS, np.where(start[:, None] == 2018, 2.0, 6.0), 0.0)
    jobs = np.where(start == 2018, 10.0, 30.0)
    est = target_industry_effects(panel(starts, y=y, jobs=jobs), Design("y", weight="jobs"))
    now = event_study(est)
    at = list(now.terms.get_level_values("event_time")).index(0)
    assert now.values[at] == pytest.approx((2 * 10 + 6 * 30) / 40)
