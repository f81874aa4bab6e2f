"""Log-like outcomes: their names, the guard, the demonstration that their size is a choice of unit, winsorisation."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel
from evalkit.transforms import (
    is_log_like,
    log_like_name,
    refuse_percent,
    rescaled,
    winsorised,
    with_log_like,
)


def panel() -> Panel:
    """Half of the treated start to sell; those who sold keep their level."""
    n = 40
    rng = np.random.default_rng(1)
    treated = np.arange(n) < 20
    base = np.where(np.arange(n) % 2 == 0, rng.lognormal(1, 1, n), 0.0)
    after = base.copy()
    after[treated & (base == 0)] = 5.0
    return Panel(
        np.arange(n),
        np.array([1, 2]),
        {"sales": np.stack([base, after], axis=1)},
        {"adoption": np.where(treated, 2.0, np.inf)},
    )


def effect(panel: Panel, outcome: str) -> Estimate:
    return two_way_effects(panel, Design(outcome))


def test_values_and_names() -> None:
    p = panel()
    y = p.values("sales")
    np.testing.assert_allclose(with_log_like(p, "sales", "log1p").values("log1p_sales"), np.log(1 + y))
    np.testing.assert_allclose(
        with_log_like(p, "sales", "asinh").values("asinh_sales"), np.log(y + np.sqrt(1 + y**2))
    )
    made = with_log_like(p, "sales", "calibrated", worth=0.5).values("calibrated_sales_x0.5")
    np.testing.assert_allclose(made[y > 0], np.log(y[y > 0] / y[y > 0].min()))
    np.testing.assert_array_equal(made[y == 0], -0.5)
    assert log_like_name("sales", "calibrated", 3) == "calibrated_sales_x3"


@pytest.mark.parametrize("kind", ["log1p", "asinh"])
def test_a_million_times_the_unit_moves_the_effect(kind: str) -> None:
    """Chen and Roth (2024): with an extensive margin of 1/2 each factor adds log(factor)/2, here 6.9."""
    found = rescaled(effect, panel(), "sales", kind)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.factors, [1.0, 100.0, 1e6])
    assert found.moves()[2, 0] == pytest.approx(0.5 * np.log(1e6), abs=0.1)
    assert found.moves()[1, 0] > 1.5
    assert "×1e+06" in found.sentence()


def test_the_calibrated_outcome_does_not_move() -> None:
    found = rescaled(effect, panel(), "sales", "calibrated", worth=1.0)
    np.testing.assert_allclose(found.moves(), 0.0, atol=1e-12)


def test_percent_is_refused_by_name_and_by_value() -> None:
    p = with_log_like(panel(), "sales", "asinh")
    for outcome in ("asinh_sales", "log1p_jobs", "calibrated_sales_x0.1"):
        assert is_log_like(outcome)
        with pytest.raises(RefusalError, match="margin_effects"):
            refuse_percent(outcome)
    hidden = p.with_varying(growth=np.log1p(p.values("sales")))
    assert is_log_like("growth", hidden)
    with pytest.raises(RefusalError, match="growth"):
        refuse_percent("growth", hidden)
    refuse_percent("sales", hidden)
    assert not is_log_like("sales", hidden)


def test_winsorisation_reads_only_the_years_before() -> None:
    p = panel()
    raised = p.with_varying(sales=p.values("sales") * np.array([1.0, 50.0]))
    changed, bound = winsorised(raised, "sales", percentile=90)
    assert bound == pytest.approx(np.percentile(p.values("sales")[:, 0], 90))
    assert changed.values("winsor90_sales").max() == bound
    assert raised.values("sales").max() > bound


def test_what_cannot_be_made() -> None:
    p = panel()
    with pytest.raises(DesignError, match="worth"):
        with_log_like(p, "sales", "calibrated")
    with pytest.raises(DesignError, match="log1p"):
        with_log_like(p, "sales", "log")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="단위 0"):
        with_log_like(p.with_varying(sales=p.values("sales") - 100), "sales", "log1p")
    with pytest.raises(DataError, match="양수가 없음"):
        with_log_like(p.with_varying(sales=p.values("sales") * 0), "sales", "calibrated", worth=0)
    with pytest.raises(DesignError, match="백분위수"):
        winsorised(p, "sales", percentile=10)
    with pytest.raises(DesignError, match="이전의 관측값"):
        winsorised(p, "sales", before=1)
    with pytest.raises(DesignError, match="양수가 아님"):
        rescaled(effect, p, "sales", "asinh", factors=(1, 0))
