"""Zones by year, bands, borders and targets of the firm builder on a hand-made map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import PlanError
from evalkit.ingest.sources.performance_survey import PROJECTS
from evalkit.ingest.sources.zones import DESIGNATION, DISTANCE
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.firms_places import Zones, bands, industry_panel, targets_of, tiers_of
from evalkit.study.firms_support import support_variables
from evalkit.study.programme_files import support

REGIONS = np.array(["26110", "26140", "26170", "26200"])
YEARS = np.arange(2017, 2025)


def zones() -> Zones:
    """26110 in both phases, 26140 left, 26170 entered; 26200 never. Phase 1 designated in November, phase 3 in January."""
    designated = pd.DataFrame(
        {
            "phase": [1, 1, 3, 3],
            "region": ["26110", "26140", "26110", "26170"],
            "designated": pd.to_datetime(["2018-11-06", "2018-11-06", "2023-01-01", "2023-01-01"]),
        }
    )
    km = {1: [0.0, 0.0, 8.0, 30.0], 3: [0.0, 12.0, 0.0, 4.0]}
    distances = pd.DataFrame(
        [(p, r, d) for p, values in km.items() for r, d in zip(REGIONS, values, strict=True)],
        columns=["phase", "region", "zone_distance_km"],
    )
    return Zones.of(
        [Table(DESIGNATION, designated, Path("a.csv"), "0" * 64)],
        [Table(DISTANCE, distances, Path("b.csv"), "0" * 64)],
    )


def test_a_zone_designated_late_in_a_year_counts_from_the_next() -> None:
    found = zones()
    assert found.start == {1: 2019, 3: 2023}
    assert found.first.reindex(REGIONS[:3]).tolist() == [2019, 2019, 2023]
    assert found.border(REGIONS).tolist() == ["stable", "left", "entered", "never"]
    assert found.holds(3, REGIONS).tolist() == ["1", "0", "1", "0"]
    assert found.near(REGIONS, 20.0).tolist() == ["1", "1", "1", "1"]
    assert found.near(REGIONS, 3.0).tolist() == ["1", "1", "1", "0"]
    assert np.isnan(found.km(2, REGIONS)).all()


def test_bands_follow_the_zones_in_force() -> None:
    """26170 lies 8 km away until a zone comes to it; 26200 comes near in 2023; a zone once at work stays so."""
    made = bands(zones(), REGIONS, YEARS, np.full(4, np.inf))
    by_year = {name: {int(y): v[:, k].tolist() for k, y in enumerate(YEARS)} for name, v in made.items()}
    assert set(by_year) == {"ring_0_5", "ring_5_10", "ring_10_20"}
    assert by_year["ring_0_5"][2018] == [0, 0, 0, 0]
    assert by_year["ring_0_5"][2019] == [1, 1, 0, 0]
    assert by_year["ring_5_10"][2022] == [0, 0, 1, 0]
    assert by_year["ring_0_5"][2023] == [1, 1, 1, 1]
    assert by_year["ring_5_10"][2023] == [0, 0, 0, 0]
    assert sum(values.sum() for values in made.values()) == 3 * 4 + 4 * 2


def test_a_supported_firm_is_no_neighbour_from_then_on() -> None:
    made = bands(zones(), REGIONS[:2], YEARS, np.array([2021.0, np.inf]))["ring_0_5"]
    assert made[0].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    assert made[1].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]


def test_tiers_and_targets() -> None:
    sido, sector = np.array(["부산", "서울", "대구"]), np.array(["62", "62", "27"])
    assert tiers_of(sido).tolist() == ["2", "0", "1"]
    listed = {"부산": ["62"], "대구": ["28"]}
    assert targets_of(sido, sector, listed, "plan").tolist() == ["1", "0", "0"]
    with pytest.raises(PlanError, match="'부산광역시' 에 기업이 하나도 없음"):
        targets_of(sido, sector, {"부산광역시": ["62"]}, "plan")


def test_industries_are_sums_and_start_with_their_province() -> None:
    units = Panel(
        np.array(["a", "b", "c"]),
        np.array([2018, 2019]),
        {
            "jobs": np.array([[5.0, 6.0], [7.0, 0.0], [np.nan, 4.0]]),
            "alive": np.array([[1.0, 1.0], [1.0, 0.0], [np.nan, 1.0]]),
            "sales_real": np.array([[10.0, np.nan], [20.0, 0.0], [np.nan, np.nan]]),
        },
        {
            "sido": np.array(["부산", "부산", "대구"]),
            "sector": np.array(["62", "62", "27"]),
            "target": np.array(["1", "1", "0"]),
            "adoption": np.array([2019.0, np.inf, np.inf]),
        },
    )
    made = industry_panel(units)
    assert made.units.tolist() == ["대구|27", "부산|62"]
    np.testing.assert_array_equal(made.values("jobs"), [[0, 4], [12, 6]])
    np.testing.assert_array_equal(made.values("firms"), [[0, 1], [2, 1]])
    np.testing.assert_array_equal(made.values("sales_real"), [[np.nan, np.nan], [30, np.nan]])
    np.testing.assert_array_equal(made.values("sales_firms"), [[0, 0], [2, 0]])
    assert made.constant("adoption").tolist() == [np.inf, 2019.0]
    untold = industry_panel(
        Panel(
            units.units, units.periods, units.varying, {k: v for k, v in units.fixed.items() if k != "target"}
        )
    )
    assert "adoption" not in untold.fixed  # without a list of target industries nothing starts


def test_support_by_phase_and_amount() -> None:
    """a: phases 1 and 3, two projects in phase 1; b: phase 3 alone; c: never."""
    frame = pd.DataFrame(
        {
            "firm_id": ["a", "a", "a", "b"],
            "phase": [1, 1, 3, 3],
            "agreement_start": pd.to_datetime(["2019-04-01", "2020-03-01", "2024-05-01", "2023-06-01"]),
            "national_grant_krw": [2e8, 1e8, 5e8, np.nan],
            "local_grant_krw": [1e8, 0.0, 1e8, np.nan],
        }
    )
    tables = [Table(PROJECTS, frame, Path("성과조사.xlsx"), "0" * 64)]
    made = support_variables(tables, support(tables), pd.Index(["a", "b", "c"]))
    assert made["adoption"].tolist() == [2019, 2023, np.inf]
    assert made["phase_first"].tolist() == [1, 3, 0]
    assert made["adoption_phase1"].tolist() == [2019, np.inf, np.inf]
    assert made["adoption_phase2"].tolist() == [np.inf] * 3
    assert made["adoption_phase3"].tolist() == [2024, 2023, np.inf]
    np.testing.assert_allclose(
        made["support_million_krw"], [400, np.nan, 0]
    )  # an amount not written is not zero
    np.testing.assert_allclose(made["support_national_million_krw"], [300, np.nan, 0])
