"""Distances, rings and border classes: by hand where a hand can, by a dense search where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.arrays.geometry import EARTH_KM, distance_km, great_circle_km, inside
from evalkit.errors import DataError, DesignError
from evalkit.panel import Panel
from evalkit.zones import BORDER, INSIDE, LEFT_OUT, Zone, Zones, bands

YEARS = np.arange(2016, 2026)
DEGREE = np.pi / 180 * EARTH_KM  # km of one degree of latitude
SQUARE = np.array([[36.0, 127.0], [36.0, 127.2], [36.1, 127.2], [36.1, 127.0]])


def panel_at(places: list[tuple[float, float]]) -> Panel:
    at = np.array(places, dtype=float)
    n = len(at)
    return Panel(
        np.array([f"u{i}" for i in range(n)]),
        YEARS,
        {"y": np.zeros((n, len(YEARS)))},
        {"latitude": at[:, 0], "longitude": at[:, 1]},
    )


def test_great_circle_against_known_values() -> None:
    """One degree of latitude, a quarter of the globe, and a point on itself."""
    assert great_circle_km(np.array([36.0, 127.0]), np.array([37.0, 127.0])) == pytest.approx(DEGREE)
    assert great_circle_km(np.array([0.0, 0.0]), np.array([0.0, 90.0])) == pytest.approx(np.pi / 2 * EARTH_KM)
    assert great_circle_km(np.array([36.0, 127.0]), np.array([36.0, 127.0])) == 0


@pytest.mark.parametrize(
    "place", [(36.3, 127.1), (35.8, 126.7), (36.05, 127.6), (35.99, 127.1), (36.4, 127.5)]
)
def test_distance_to_an_area_is_the_least_distance_to_its_edge(place: tuple[float, float]) -> None:
    """Against 40,000 points along the edges, each by great circle."""
    following = np.roll(SQUARE, -1, axis=0)
    way = np.linspace(0, 1, 10_001)[:, None, None]
    edge = (SQUARE + way * (following - SQUARE)).reshape(-1, 2)
    dense = great_circle_km(np.array(place), edge).min()
    found = distance_km(np.array([place]), SQUARE, degrees=True)[0]
    # the nearest point is sought in a plane: the miss grows with the square of its error, a few metres at most
    assert found == pytest.approx(dense, rel=2e-5)
    assert found >= dense * (1 - 1e-6)


def test_inside_on_the_edge_and_at_a_corner_is_no_distance() -> None:
    at = np.array([[36.05, 127.1], [36.0, 127.1], [36.1, 127.2], [36.05, 127.0]])
    np.testing.assert_array_equal(distance_km(at, SQUARE, degrees=True), 0.0)
    assert inside(at[:1], SQUARE).all()
    assert not inside(np.array([[36.2, 127.1], [36.05, 127.3]]), SQUARE).any()


def test_an_area_that_bends_in_is_seen_as_such() -> None:
    """The bay of a U is outside, and its nearest edge is the bay's."""
    u = (
        np.array([[0, 0], [0, 30], [30, 30], [30, 20], [10, 20], [10, 10], [30, 10], [30, 0]], dtype=float)
        * 1000
    )
    found = distance_km(np.array([[20_000.0, 15_000.0], [5_000.0, 15_000.0]]), u, degrees=False)
    np.testing.assert_allclose(found, [5.0, 0.0])


def test_metres_are_kilometres_times_a_thousand() -> None:
    panel = panel_at([(0.0, 0.0), (3_000.0, 4_000.0)])
    zones = Zones.measure(panel, [Zone(1, 2018, [(0.0, 0.0)])], degrees=False)
    np.testing.assert_allclose(zones.distance[:, 0], [0.0, 5.0])
    np.testing.assert_array_equal(zones.codes()[:, -1], [INSIDE, 1])  # up to and including the edge


def along(km: float) -> tuple[float, float]:
    """A place so many km north of 36° N 127° E."""
    return (36.0 + km / DEGREE, 127.0)


def test_rings_follow_the_nearest_zone_designated_in_the_period() -> None:
    """Zone A from 2018 at 0 km, zone B from 2023 at 30 km: the ring changes, and is 0 before anything is designated."""
    panel = panel_at([along(km) for km in (0, 3, 7, 18, 29, 30, 60)])
    zones = Zones.measure(
        panel,
        [Zone(1, 2018, [along(0)]), Zone(3, 2023, [along(30)])],
        rings=(0, 5, 10, 20),
    )
    codes = zones.codes()
    assert not codes[:, :2].any()
    np.testing.assert_array_equal(codes[:, 2], [INSIDE, 1, 2, 3, 0, 0, 0])  # 2018
    np.testing.assert_array_equal(codes[:, 7], [INSIDE, 1, 2, 3, 1, INSIDE, 0])  # 2023
    np.testing.assert_array_equal(zones.first_inside(), [2018, *[np.inf] * 4, 2023, np.inf])
    np.testing.assert_array_equal(zones.first_near(), [np.inf, 2018, 2018, 2018, 2023, np.inf, np.inf])
    assert zones.labels == ("0-5", "5-10", "10-20")
    dummies = zones.variables()
    assert list(dummies) == ["ring_0-5", "ring_5-10", "ring_10-20"]
    np.testing.assert_array_equal(dummies["ring_0-5"], codes == 1)
    np.testing.assert_array_equal(zones.phase_codes(3), [0, 0, 0, 3, 1, INSIDE, 0])


def test_a_designation_ends() -> None:
    panel = panel_at([along(0), along(3)])
    codes = Zones.measure(panel, [Zone(1, 2018, [along(0)], last=2020)], rings=(0, 5)).codes()
    np.testing.assert_array_equal(codes[0], [0, 0, -1, -1, -1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(codes[1], [0, 0, 1, 1, 1, 0, 0, 0, 0, 0])


def test_the_donut_is_neither_ring_nor_clean() -> None:
    panel = panel_at([along(km) for km in (15, 25, 35)])
    zone = [Zone(1, 2018, [along(0)])]
    codes = Zones.measure(panel, zone, rings=(0, 20), donut=(20, 30)).codes()[:, -1]
    np.testing.assert_array_equal(codes, [1, LEFT_OUT, 0])
    gap = Zones.measure(panel, zone, rings=((0, 10), (20, 30))).codes()[:, -1]
    np.testing.assert_array_equal(gap, [LEFT_OUT, 2, 0])


def test_a_circle_of_twenty_kilometres() -> None:
    panel = panel_at([along(km) for km in (19.9, 23, 41)])
    zones = Zones.measure(panel, [Zone(1, 2018, [along(0)], radius_km=20.0)], rings=(0, 5, 10))
    np.testing.assert_allclose(zones.distance[:, 0], [0, 3, 21], atol=1e-9)
    np.testing.assert_array_equal(zones.codes()[:, -1], [INSIDE, 1, 0])


def test_border_classes_of_a_redrawn_zone() -> None:
    """2018–2020: 36.0–36.1° N; from 2023 its northern half and as much again to the north."""
    north = SQUARE + np.array([0.05, 0.0])
    zones = [Zone(1, 2018, SQUARE, last=2020), Zone(3, 2023, north)]
    panel = panel_at([(36.02, 127.1), (36.07, 127.1), (36.12, 127.1), (36.6, 127.1)])
    found = Zones.measure(panel, zones, rings=(0, 5)).border_classes(1, 3)
    assert list(found) == ["left", "stable", "entered", "never"]
    assert set(found) == set(BORDER)


def test_distances_follow_units_by_label() -> None:
    panel = panel_at([along(km) for km in (0, 3, 7, 60)])
    zones = Zones.measure(panel, [Zone(1, 2018, [along(0)])], rings=(0, 5, 10))
    part = panel.select(np.array([3, 1]), periods=range(2017, 2020))
    np.testing.assert_array_equal(zones.of(part).codes(), [[0, 0, 0], [0, 1, 1]])
    with pytest.raises(DataError, match="단위 other"):
        zones.of(Panel(np.array(["other"]), YEARS, {}, {}))


def test_arrays_are_read_only_and_the_panel_is_left_alone() -> None:
    panel = panel_at([along(0), along(3)])
    corners = SQUARE.copy()
    zones = Zones.measure(panel, [Zone(1, 2018, corners)])
    for array in (zones.distance, zones.units, zones.first, np.asarray(Zone(1, 2018, corners).corners)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]
    corners[0, 0] = 0.0  # the caller's array is still the caller's


# -- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rings",
    [
        (),
        (5,),
        (0, 0),
        (5, 3),
        (-1, 5),
        (0, np.inf),
        ((0, 5), (4, 10)),
        ((5, 10), (0, 5)),
        "near",
        (0, (1, 2)),
    ],
)
def test_rings_that_cannot_be(rings: object) -> None:
    with pytest.raises(DataError, match="고리"):
        bands(rings)  # type: ignore[arg-type]


def test_overlapping_rings_are_named() -> None:
    with pytest.raises(DataError, match=r"4–10 km 가 앞 고리\(…–5 km\)와 겹침"):
        bands(((0, 5), (4, 10)))


def test_a_donut_inside_the_rings_is_refused() -> None:
    with pytest.raises(DataError, match="비워 둘 띠"):
        Zones.measure(panel_at([along(0)]), [Zone(1, 2018, [along(0)])], rings=(0, 20), donut=(10, 30))


def test_missing_coordinates_name_the_unit() -> None:
    with pytest.raises(DataError, match=r"단위 u1.*없는 단위가 1개"):
        Zones.measure(panel_at([along(0), (np.nan, 127.0)]), [Zone(1, 2018, [along(0)])])


def test_latitude_and_longitude_exchanged() -> None:
    swapped = [(lon, lat) for lat, lon in (along(0), along(3))]
    with pytest.raises(DataError, match="단위의 위도와 경도가 서로 바뀐"):
        Zones.measure(panel_at(swapped), [Zone(1, 2018, [along(0)])])
    with pytest.raises(DataError, match="지구의 위도와 경도가 서로 바뀐"):
        Zones.measure(panel_at([along(0)]), [Zone(1, 2018, SQUARE[:, ::-1])])


def test_metres_taken_for_degrees() -> None:
    with pytest.raises(DataError, match="degrees=False"):
        Zones.measure(panel_at([(1_950_000.0, 950_000.0)]), [Zone(1, 2018, [along(0)])])


def test_places_outside_korea_are_only_noted() -> None:
    zones = Zones.measure(panel_at([along(0), (35.68, 139.69)]), [Zone(1, 2018, [along(0)])])
    assert "u1" in zones.notes[0]
    assert not Zones.measure(panel_at([along(0)]), [Zone(1, 2018, [along(0)])]).notes


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        (lambda: Zone(1, 2018, [(1.0, 2.0, 3.0)]), "꼭짓점"),
        (lambda: Zone(1, 2018, [(np.nan, 127.0)], name="오창"), "오창"),
        (lambda: Zone(1, 2020, [along(0)], last=2018), "거꾸로"),
        (lambda: Zone(1, 2018, [along(0)], radius_km=-1.0), "반지름"),
        (lambda: Zone(1, 2018, SQUARE, radius_km=2.0), "반지름"),
    ],
)
def test_zones_that_cannot_be(zone: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        zone()  # type: ignore[operator]


def test_no_zones_and_an_unknown_phase() -> None:
    panel = panel_at([along(0)])
    with pytest.raises(DesignError, match="하나도 없음"):
        Zones.measure(panel, [])
    with pytest.raises(DesignError, match="2단계의 지구가 없음"):
        Zones.measure(panel, [Zone(1, 2018, [along(0)])]).phase_codes(2)
