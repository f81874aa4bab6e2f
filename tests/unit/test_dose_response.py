"""Continuous dose: by hand, the refusal without a zero-dose group, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evalkit.arrays.dose_splines import SplineBasis
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.dose_response import descriptive_dose_regression, dose_response
from evalkit.panel import Panel

INF, NAN = np.inf, np.nan
DOSE = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]
Y = [[0, 3, 2], [0, 5, 4], [0, 6, 7], [0, 10, 9], [0, 1, 0], [0, 3, 2]]


def panel_of(**changes: Any) -> Panel:
    fixed = {"adoption": np.array([2, 2, 2, 2, INF, INF]), "won": np.array(DOSE)}
    fixed.update({name: np.asarray(v, dtype=float) for name, v in changes.items()})
    return Panel(np.arange(6), np.arange(1, 4), {"y": np.array(Y, dtype=float)}, fixed)


def curve(panel: Panel, design: Design | None = None, **options: Any) -> Estimate:
    return dose_response(panel, design or Design("y"), **{"dose": "won", "degree": 1, **options})


def test_line_by_hand() -> None:
    """Changes less 2 in period 2: 1, 3, 4, 8 on doses 1, 2, 3, 4: slope 2.2, mean 4."""
    est = curve(panel_of(), grid=(1, 2.5, 4), horizon=0)
    assert list(est.terms) == [
        ("att", 1.0),
        ("att", 2.5),
        ("att", 4.0),
        ("acrt", 1.0),
        ("acrt", 2.5),
        ("acrt", 4.0),
        ("att", "average"),
        ("acrt", "average"),
    ]
    np.testing.assert_allclose(est.values, [0.7, 4.0, 7.3, 2.2, 2.2, 2.2, 4.0, 2.2])
    # the mean effect is the difference in means: residuals of both groups
    treated, others = np.array([-3, -1, 0, 4.0]), np.array([-1, 1.0])
    assert est.std_errors[-2] ** 2 == pytest.approx((treated**2).sum() / 16 + (others**2).sum() / 4)
    residual = np.array([1, 3, 4, 8]) - (4 + 2.2 * (np.arange(1, 5) - 2.5))
    slope = (np.arange(1, 5) - 2.5) * residual / 5.0
    assert est.std_errors[-1] ** 2 == pytest.approx((slope**2).sum())
    assert (est.n_treated[0], est.n_comparison[0]) == (4, 2)


def test_periods_of_a_cohort_count_equally() -> None:
    both = curve(panel_of(), grid=(2.5,))
    first = curve(panel_of(), grid=(2.5,), horizon=0)
    assert [cell["period"] for cell in both.detail["cells"]] == [2, 3]
    np.testing.assert_allclose(both.values[-2], np.mean([cell["att"] for cell in both.detail["cells"]]))
    assert first.values[-2] == pytest.approx(4.0)


def test_covariates_are_predicted_from_the_comparison_units() -> None:
    x = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    est = curve(panel_of(x=x), Design("y", covariates=("x",)), grid=(2.5,), horizon=0)
    gap = np.array([3, 5, 6, 10]) - (1 + 2 * x[:4])
    assert est.values[-2] == pytest.approx(gap.mean())


def test_caution_stands_in_the_result() -> None:
    est = curve(panel_of())
    assert "강한 평행추세" in est.detail["caution"]
    assert est.detail["notes"][0] == est.detail["caution"]
    assert est.detail["support"] == [1.0, 4.0]
    assert len(est.detail["grid"]) == 9


def test_without_a_zero_dose_group_it_refuses_and_names_the_alternatives() -> None:
    with pytest.raises(RefusalError, match="규모 0") as caught:
        curve(panel_of(adoption=[2] * 6, won=[1, 2, 3, 4, 5, 6]))
    for way in ("not_yet", "가장 작은 규모", "HAD"):
        assert way in str(caught.value)
    # a later cohort is without a dose until it starts
    later = curve(panel_of(adoption=[2, 2, 2, 2, 3, 3], won=[1, 2, 3, 4, 5, 6]), grid=(2.5,))
    assert later.values[-2] == pytest.approx(4.0)
    assert later.detail["failed"]  # period 3 has no comparison
    with pytest.raises(RefusalError):
        curve(panel_of(adoption=[2, 2, 2, 2, 3, 3], won=[1, 2, 3, 4, 5, 6]), Design("y", comparison="never"))


@pytest.mark.parametrize(
    ("changes", "options", "error", "words"),
    [
        ({"won": [1, 2, 0, 4, 0, 0]}, {}, DataError, "0 이하"),
        ({"won": [1, 2, -3, 4, 0, 0]}, {}, DataError, "단위 2"),
        ({"won": [1, 2, 3, 4, 5, 0]}, {}, DataError, "도입 시점이 없는 단위"),
        ({"won": [1, 2, INF, 4, 0, 0]}, {}, DataError, "무한대"),
        ({"won": [2, 2, 2, 2, 0, 0]}, {}, DesignError, "모두 2 으로 같음"),
        ({"won": [1, 1, 2, 2, 0, 0]}, {"degree": 3}, DesignError, "tier_effects"),
        ({"won": [NAN] * 6}, {}, DesignError, "규모를 아는"),
        ({"adoption": [1, 1, 1, 1, INF, INF]}, {}, DesignError, "하나도 없음"),
        ({"adoption": [INF] * 6, "won": [0] * 6}, {}, DesignError, "규모를 아는"),
        ({}, {"grid": (0.5, 2.0)}, DesignError, "범위 1–4 밖"),
        ({}, {"grid": ()}, DesignError, "범위"),
        ({}, {"degree": 0}, DesignError, "차수"),
        ({}, {"knots": -1}, DesignError, "매듭"),
        ({}, {"knots": (9.0,)}, DesignError, "매듭 9"),
        ({}, {"knots": (3.0, 2.0)}, DesignError, "오름차순"),
    ],
)
def test_bad_input(changes: dict[str, Any], options: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        curve(panel_of(**changes), **options)


def test_ratios_are_refused() -> None:
    with pytest.raises(RefusalError, match="수준 척도"):
        curve(panel_of(), Design("y", link="ratios"))


def test_treated_units_of_unknown_dose_leave_and_are_counted() -> None:
    est = curve(panel_of(won=[1, 2, NAN, 4, 0, NAN]), grid=(2.5,))
    assert est.detail["dropped"]["missing_dose"] == 1
    assert est.n_treated[0] == 3
    assert est.n_comparison[0] == 2  # without support a missing dose is no dose


def test_leaving_a_cluster_out_that_is_the_cohort() -> None:
    est = curve(panel_of(c=[0, 0, 0, 0, 1, 2]), Design("y", cluster="c"), grid=(2.5,))
    assert est.replicates is not None
    assert np.isnan(est.replicates[0]).all()
    assert np.isfinite(est.replicates[1:]).all()


def test_splines_sum_to_one_and_their_slopes_to_nothing() -> None:
    basis = SplineBasis(3, 0.0, 2.0, (0.5, 1.0))
    at = np.linspace(0, 2, 11)
    assert basis.values(at).shape == (11, basis.size) == (11, 6)
    np.testing.assert_allclose(basis.values(at).sum(axis=1), 1.0)
    np.testing.assert_allclose(basis.slopes(at).sum(axis=1), 0.0, atol=1e-12)
    step = 1e-6
    inner = at[1:-1]
    by_difference = (basis.values(inner + step) - basis.values(inner - step)) / (2 * step)
    np.testing.assert_allclose(basis.slopes(inner), by_difference, atol=1e-5)


def test_descriptive_regression_by_hand() -> None:
    """Two periods: the slope of the change on the dose, zeros included."""
    panel = panel_of().select(periods=[1, 2])
    est = descriptive_dose_regression(panel, Design("y"), dose="won")
    assert est.values[0] == pytest.approx(np.polyfit(DOSE, [3, 5, 6, 10, 1, 3], 1)[0])
    assert list(est.terms) == [("won × post",)]
    assert "서술" in est.detail["caution"]
    assert "descriptive" in est.method
    with pytest.raises(DesignError, match="차수"):
        descriptive_dose_regression(panel, Design("y"), dose="won", degree=3)
    with pytest.raises(DesignError, match="흡수되어"):
        descriptive_dose_regression(
            panel.with_fixed(adoption=[INF] * 6, won=[0] * 6), Design("y"), dose="won"
        )
