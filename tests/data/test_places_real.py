"""The real map: areas, centroids and the 586 neighbour pairs, computed from the boundaries alone."""

from __future__ import annotations

import numpy as np
import pytest
from shared_files import REAL, needs_real

from evalkit.errors import RefusalError
from evalkit.ingest import regions
from evalkit.ingest.boundaries import read_boundaries
from evalkit.ingest.places import band_of, distance_km, read_adjacency, read_centroids

pytestmark = needs_real
DATE = "2024-12-31"


@pytest.fixture(scope="module")
def map_of_2024():
    return read_boundaries(REAL / "sigungu_229_2024.geojson", DATE)


@pytest.fixture(scope="module")
def table():
    return read_adjacency(REAL / "adjacency_229.csv", read_centroids(REAL / "centroids_229_2024.csv", DATE))


def test_neighbours_from_borders_are_those_of_the_list(map_of_2024, table):
    places = map_of_2024.places()
    assert places.codes.tolist() == table.codes.tolist()
    assert len(table.pairs) == 586
    assert places.pairs.tolist() == table.pairs.tolist()
    assert len(map_of_2024.touching(contact="edge")) == 577  # nine pairs meet in a point


def test_areas_and_centroids(map_of_2024, table):
    """The table sums to 100,919 km²; on the ellipsoid the same borders hold 100,616 km² (official: some 100,400)."""
    area = map_of_2024.areas_km2()
    assert table.area_km2.sum() == pytest.approx(100_919, abs=1)
    assert area.sum() == pytest.approx(100_616, abs=1)
    assert np.abs(area / table.area_km2 - 1).max() < 0.04
    lat, lon = map_of_2024.centroids()
    gap = distance_km(lat, lon, table.latitude, table.longitude)
    assert np.median(gap) < 0.02
    assert gap.max() < 1.5


def test_the_map_on_the_codes_of_2018(table):
    base = table.at("2018-12-31")
    assert set(base.codes) == set(regions.municipalities(2018, level="city")["code"])
    assert base.area_km2.sum() == pytest.approx(table.area_km2.sum())
    assert len(base.pairs) == 586
    moved = regions.to_base(table.codes, DATE, level="city")
    assert np.array_equal(base.locate(moved)[0], table.latitude)
    with pytest.raises(RefusalError, match="28110 중구"):
        table.at(2026)


def test_distances_and_bands(table):
    distance = table.distances()
    seoul, busan = table.positions(["11140", "26110"])
    assert distance[seoul, busan] == pytest.approx(325, abs=5)
    assert np.array_equal(distance, distance.T)
    bands = band_of(distance[seoul])
    assert bands[seoul] == 0
    assert np.bincount(bands).sum() == 229
    assert table.neighbours(1).sum() == 2 * 586
    assert not (table.neighbours(1) & table.neighbours(2)).any()
