"""What a design asks is done or refused, never passed over; what cannot be read is named with its unit and period."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalkit.design import Design
from evalkit.errors import DataError, DesignError, EvalkitError, RefusalError
from evalkit.estimate import Estimate
from evalkit.estimators.imputation import imputation_effects, imputation_pretrends
from evalkit.estimators.lee_wooldridge import lee_wooldridge_effects
from evalkit.estimators.phase_paths import naive_phase_regression, phase_path_effects
from evalkit.estimators.repeated_cross_sections import repeated_cross_section_effects
from evalkit.estimators.spillovers import border_class_effects, spillover_effects
from evalkit.estimators.tier_effects import tier_effects
from evalkit.estimators.two_stage import two_stage_effects
from evalkit.estimators.two_way import two_way_effects
from evalkit.panel import Panel
from evalkit.sample import Sample
from evalkit.zones import Zone, Zones

N, T = 40, 8
RNG = np.random.default_rng(5)
Y, X = RNG.normal(size=(N, T)), RNG.normal(size=(N, T))
PLACE = np.arange(N)
FIRST = np.where(PLACE % 2 == 0, 2018.0 + 2 * (PLACE % 4 == 0), np.inf)
DESIGN = Design("y")


def panel(**changes: Any) -> Panel:
    varying = {"y": Y, "x": X, "near": np.zeros((N, T)), "alive": np.ones((N, T))}
    varying["near"][PLACE % 8 == 1, 4:] = 1.0
    fixed = {
        "adoption": FIRST,
        "later": np.where(PLACE % 8 == 2, 2021.0, np.inf),
        "tier": np.where(np.isfinite(FIRST), 1.0, np.nan),
        "size": PLACE * 1.0,
        "word": np.array(["가", "나"] * (N // 2)),
        "latitude": np.where(PLACE % 2 == 0, 36.0, 36.5 + PLACE / 100),
        "longitude": np.full(N, 127.5),
    }
    varying |= {name: v for name, v in changes.items() if np.ndim(v) == 2}
    fixed |= {name: v for name, v in changes.items() if np.ndim(v) == 1}
    return Panel(np.array([f"u{i}" for i in PLACE]), np.arange(2015, 2015 + T), varying, fixed)


def borders(data: Panel, question: Design) -> Estimate:
    zones = [
        Zone(phase=1, first=2018, corners=(36.0, 127.5), radius_km=5),
        Zone(phase=3, first=2020, corners=(36.5, 127.5), radius_km=5),
    ]
    return border_class_effects(
        data, question, zones=Zones.measure(data, zones, rings=(0, 10)), before=1, after=3
    )


REGRESSIONS: dict[str, Callable[[Panel, Design], Estimate]] = {
    "two-way": two_way_effects,
    "two dummies": lambda p, d: naive_phase_regression(p, d, second="later", for_contrast=True),
    "rings": lambda p, d: spillover_effects(p, d, rings=("near",)),
    "rings, one regression": lambda p, d: spillover_effects(p, d, rings=("near",), method="static"),
    "borders": borders,
    "imputation": imputation_effects,
    "pre-trends": lambda p, d: imputation_pretrends(p, d, leads=1),
    "two stages": two_stage_effects,
}
GROUPS: dict[str, Callable[[Panel, Design], Estimate]] = {
    "paths": lambda p, d: phase_path_effects(p, d, second="later", level="overall"),
    "tiers": lambda p, d: tier_effects(p, d, tier="tier", level="overall"),
}
ROLLING = {"rolling": lee_wooldridge_effects}


def over(*tables: dict[str, Callable[[Panel, Design], Estimate]]) -> Any:
    calls = {name: call for table in tables for name, call in table.items()}
    return pytest.mark.parametrize("call", calls.values(), ids=calls.keys())


@over(REGRESSIONS, ROLLING)
def test_who_is_at_risk_is_not_passed_over(call: Callable[[Panel, Design], Estimate]) -> None:
    assert np.isfinite(call(panel(), DESIGN).values).any()
    with pytest.raises(RefusalError, match="at_risk"):
        call(panel(), replace(DESIGN, at_risk="alive"))


@over(REGRESSIONS)
def test_the_outcome_does_not_explain_itself(call: Callable[[Panel, Design], Estimate]) -> None:
    with pytest.raises(DesignError, match="결과 y 이\\(가\\) 공변량에도"):
        call(panel(), replace(DESIGN, covariates=("y",)))


@over(REGRESSIONS, GROUPS, ROLLING)
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_outcomes_are_named(call: Callable[[Panel, Design], Estimate], bad: float) -> None:
    y = Y.copy()
    y[3, 4] = bad
    with pytest.raises(DataError, match=r"u3.*2019.*y.*무한대"):
        call(panel(y=y), DESIGN)


@pytest.mark.parametrize("call", [imputation_effects, two_stage_effects, lee_wooldridge_effects])
def test_infinite_fixed_covariates_are_named(call: Callable[[Panel, Design], Estimate]) -> None:
    with pytest.raises(DataError, match=r"u3\].*공변량 size 에 무한대"):
        call(panel(size=np.where(PLACE == 3, np.inf, PLACE)), replace(DESIGN, covariates=("size",)))


@over(REGRESSIONS, GROUPS, ROLLING)
def test_weights_that_are_words_or_below_zero(call: Callable[[Panel, Design], Estimate]) -> None:
    with pytest.raises(DesignError, match="word 이\\(가\\) 숫자가 아님"):
        call(panel(), replace(DESIGN, weight="word"))
    with pytest.raises(DataError, match=r"u3\].*w 에 음수"):
        call(panel(w=np.where(PLACE == 3, -1.0, 1.0)), replace(DESIGN, weight="w"))


@pytest.mark.parametrize("code", [0.0, -1.0, 2018.5])
def test_codes_that_are_no_period_in_two_way_regressions(code: float) -> None:
    with pytest.raises(DesignError, match="기간이 아님"):
        two_way_effects(panel(adoption=np.where(np.isinf(FIRST), code, FIRST)), DESIGN)


@over({k: v for k, v in REGRESSIONS.items() if k in ("imputation", "two stages")}, GROUPS)
def test_a_gap_between_periods_is_told(call: Callable[[Panel, Design], Estimate]) -> None:
    gap = panel().select(periods=[2015, 2016, 2018, 2019, 2020, 2021, 2022])
    assert any("2016–2018" in note for note in call(gap, DESIGN).detail["notes"])
    assert not any("빈 곳" in note for note in call(panel(), DESIGN).detail["notes"])
    every_other = panel().select(periods=[2015, 2017, 2019, 2021])
    assert not any("빈 곳" in note for note in call(every_other, DESIGN).detail["notes"])


def test_a_gap_between_surveys_is_told() -> None:
    times = np.repeat([2015, 2016, 2018], 20)
    sample = Sample(times, {"y": RNG.normal(size=60), "adoption": np.tile([2018, np.inf], 30)})
    assert any("2016–2018" in n for n in repeated_cross_section_effects(sample, DESIGN).detail["notes"])


@over(REGRESSIONS, GROUPS)
def test_one_unit_is_called_a_unit(call: Callable[[Panel, Design], Estimate]) -> None:
    one = panel().select(units=[2])
    with pytest.raises(EvalkitError) as caught:
        call(one, DESIGN)
    assert "None" not in str(caught.value)
