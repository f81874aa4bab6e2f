"""Distances, bands, neighbours, areas and centroids: hand-made maps and known geodesics."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from evalkit.errors import DataError, FileError, RefusalError, SchemaError, ValueProblem
from evalkit.ingest.boundaries import read_boundaries
from evalkit.ingest.crosswalk import crosswalk
from evalkit.ingest.places import (
    Places,
    band_labels,
    band_of,
    distance_km,
    read_adjacency,
    read_centroids,
)


def test_known_distances_on_the_ellipsoid():
    """One degree along the equator is a·π/180; from the equator to the pole of WGS84 is 10,001.965 729 km."""
    assert distance_km(0, 0, 0, 1) == pytest.approx(6378.137 * math.pi / 180, abs=1e-9)
    assert distance_km(0, 127, 90, 127) == pytest.approx(10001.965729, abs=1e-6)
    assert distance_km(37, 127, 37, 127) == 0.0
    # Geoscience Australia's worked example, Flinders Peak – Buninyong, 54,972.271 m (GRS80 = WGS84 within 0.1 mm)
    peak = -(37 + 57 / 60 + 3.72030 / 3600), 144 + 25 / 60 + 29.52440 / 3600
    buninyong = -(37 + 39 / 60 + 10.15610 / 3600), 143 + 55 / 60 + 35.38390 / 3600
    assert distance_km(*peak, *buninyong) == pytest.approx(54.972271, abs=1e-6)


def test_the_sphere_is_near_enough_to_be_told():
    rng = np.random.default_rng(1)
    lat, lon = rng.uniform(33, 38.6, (2, 500)), rng.uniform(125, 130, (2, 500))
    exact = distance_km(lat[0], lon[0], lat[1], lon[1])
    round_earth = distance_km(lat[0], lon[0], lat[1], lon[1], "sphere")
    assert np.abs(round_earth / exact - 1).max() < 0.003
    assert distance_km(37.5665, 126.978, 35.1796, 129.0756, "sphere") == pytest.approx(325.1, abs=0.05)


def test_places_that_are_none():
    with pytest.raises(DataError, match="범위를 벗어난"):
        distance_km(127, 37, 35, 129)
    with pytest.raises(DataError, match="반대편"):
        distance_km(0, 0, 0.5, 179.7)


def test_bands():
    assert band_of([0, 0.01, 2, 2.01, 5, 10, 20, 40, 40.01, np.nan, np.inf]).tolist() == [
        0, 1, 1, 2, 2, 3, 4, 5, 6, -1, 6,
    ]  # fmt: skip
    assert band_labels() == ("0km(안)", "0–2km", "2–5km", "5–10km", "10–20km", "20–40km", "40km 초과")
    for edges in ([], [1, 2], [0, 2, 2]):
        with pytest.raises(DataError, match="거리 구간"):
            band_of([1], edges)
    with pytest.raises(DataError, match="음수"):
        band_of([-1])


def square(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def feature(code: str, *rings: list[list[float]]) -> dict[str, object]:
    return {
        "type": "Feature",
        "properties": {"code": code},
        "geometry": {"type": "Polygon", "coordinates": list(rings)},
    }


def saved(tmp_path, features) -> str:
    path = tmp_path / "map.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return str(path)


def graticule_km2(south: float, north: float, width: float) -> float:
    """Area between two parallels on WGS84, by the integral of M·N·cosφ (Simpson's rule)."""
    a, f = 6378.137, 1 / 298.257223563
    e2 = f * (2 - f)
    phi = np.radians(np.linspace(south, north, 2001))
    w = 1 - e2 * np.sin(phi) ** 2
    density = a**2 * (1 - e2) * np.cos(phi) / w**2
    weights = np.ones(2001)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return float((weights * density).sum() * (phi[1] - phi[0]) / 3 * math.radians(width))


def test_area_and_centroid_of_a_square(tmp_path):
    """Oracle: the integral of the surface element."""
    path = saved(
        tmp_path, [feature("11110", square(127, 37, 127.1, 37.1), square(127.02, 37.02, 127.04, 37.04))]
    )
    made = read_boundaries(path, 2020)
    whole, hole = graticule_km2(37, 37.1, 0.1), graticule_km2(37.02, 37.04, 0.02)
    assert made.areas_km2()[0] == pytest.approx(whole - hole, rel=1e-9)
    lat, lon = made.centroids()
    assert lon[0] == pytest.approx((whole * 127.05 - hole * 127.03) / (whole - hole), abs=1e-9)
    assert lat[0] == pytest.approx((whole * 37.05 - hole * 37.03) / (whole - hole), abs=1e-4)


def test_who_touches_whom(tmp_path):
    """A chess board: beside, across a corner, 30 m and 1 km apart."""
    features = [
        feature("11110", square(127.0, 37.0, 127.1, 37.1)),
        feature("11140", square(127.1, 37.0, 127.2, 37.1)),  # shares an edge
        feature("11170", square(127.1, 37.1, 127.2, 37.2)),  # shares a corner with the first
        feature("11200", square(126.9, 37.0, 126.99966, 37.1)),  # 30 m to the west
        feature("11215", square(127.0, 36.9, 127.1, 36.99)),  # 1.1 km to the south
    ]
    made = read_boundaries(saved(tmp_path, features), 2020)
    assert made.touching().tolist() == [[0, 1], [0, 2], [0, 3], [1, 2]]
    assert made.touching(contact="edge").tolist() == [[0, 1], [0, 3], [1, 2]]
    assert made.touching(0.001).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert made.touching(2.0, "edge").tolist()[:3] == [[0, 1], [0, 3], [0, 4]]


def test_an_edge_that_runs_along_a_longer_one(tmp_path):
    """No corner of the long edge is near, but those of the short one are."""
    features = [
        feature("11110", square(127.0, 37.0, 127.5, 37.1)),
        feature("11140", square(127.2, 37.1, 127.3, 37.2)),
    ]
    made = read_boundaries(saved(tmp_path, features), 2020)
    assert made.touching(contact="edge").tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("features", "kind", "words"),
    [
        ([], FileError, "FeatureCollection"),
        ([{"type": "Feature"}], SchemaError, "'code' 이"),
        ([{"properties": {"cod": 1}}], SchemaError, "비슷한 이름: cod"),
        ([{"properties": {"code": "11110"}, "geometry": {"type": "Point"}}], SchemaError, "면이 아님"),
        ([feature("11110", [[127, 37], [128, 37]])], SchemaError, "좌표가 잘못됨"),
        ([feature("11110", [["가", 37]] * 4)], SchemaError, "좌표가 잘못됨"),
        ([feature("11110")], SchemaError, "좌표가 없음"),
        ([feature("11110", square(200000, 500000, 200100, 500100))], ValueProblem, "EPSG:4326"),
        ([feature("11110", square(37, 127, 38, 128))], ValueProblem, "경도·위도가 아님"),
        ([feature("99999", square(127, 37, 128, 38))], ValueProblem, "99999"),
        ([feature("11110", square(127, 37, 128, 38))] * 2, SchemaError, "두 번"),
    ],
)
def test_maps_that_cannot_be_read(tmp_path, features, kind, words):
    with pytest.raises(kind, match=words):
        read_boundaries(saved(tmp_path, features), 2020)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 200_000])
def test_files_that_are_no_maps(tmp_path, content):
    path = tmp_path / "x.geojson"
    path.write_bytes(content)
    with pytest.raises(FileError, match="읽을 수 없음"):
        read_boundaries(path, 2020)
    with pytest.raises(FileError, match="파일이 없음"):
        read_boundaries(tmp_path / "none.geojson", 2020)


def line() -> Places:
    """Four 구 of 화성 in a row on 2026 codes."""
    codes = np.array(["41591", "41593", "41595", "41597"])
    return Places(
        codes,
        np.array([37.0, 37.0, 37.0, 37.0]),
        np.array([127.0, 127.1, 127.2, 127.3]),
        np.array([1.0, 2.0, 3.0, 4.0]),
        2026,
        "district",
        np.array([[0, 1], [1, 2], [2, 3]]),
    )


def test_neighbours_of_neighbours():
    places = line()
    assert np.argwhere(np.triu(places.neighbours(1))).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert np.argwhere(np.triu(places.neighbours(2))).tolist() == [[0, 2], [1, 3]]
    assert np.argwhere(np.triu(places.neighbours(3))).tolist() == [[0, 3]]
    assert not places.neighbours(4).any()
    with pytest.raises(DataError, match="차수 0"):
        places.neighbours(0)
    bare = Places(places.codes, places.latitude, places.longitude, places.area_km2, 2026, "district")
    with pytest.raises(DataError, match="이웃한 지역을 알 수 없음"):
        bare.neighbours()
    assert places.distances()[0, 3] == pytest.approx(float(distance_km(37, 127, 37, 127.3)))


def test_places_follow_code_changes():
    """By hand: mean longitude (127·1 + 127.1·2 + 127.2·3 + 127.3·4) / 10 = 127.2."""
    old = line().at(2018)
    assert old.codes.tolist() == ["41590"]
    assert old.area_km2.tolist() == [10.0]
    assert old.longitude[0] == pytest.approx(127.2)
    assert old.pairs is not None
    assert len(old.pairs) == 0
    with pytest.raises(RefusalError, match="41590 화성시"):
        old.at(2026)
    lat, lon = line().locate(["41597", "41591", "41597"])
    assert lon.tolist() == [127.3, 127.0, 127.3]
    assert lat.tolist() == [37.0] * 3
    with pytest.raises(ValueProblem, match="지역 41590 의 위치가 없음"):
        line().locate(["41590"])
    places = line()
    unknown = Places(
        places.codes, places.latitude, places.longitude, places.area_km2 * np.nan, 2026, "district"
    )
    with pytest.raises(DataError, match="41590 의 중심점을 구할 면적"):
        unknown.at(2018)
    shares = crosswalk(2025, 2026, weights=line().sizes(), codes=["41590"]).frame
    assert shares["weight"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert set(shares["basis"]) == {"몫: 면적"}


def test_places_must_be_whole():
    with pytest.raises(ValueProblem, match="51110"):
        Places(np.array(["51110"]), *(np.ones(1) for _ in range(3)), 2020, "city")
    with pytest.raises(DataError, match="두 번"):
        Places(np.array(["11110", "11110"]), *(np.ones(2) for _ in range(3)), 2020, "city")
    with pytest.raises(DataError, match="크기"):
        Places(np.array(["11110"]), np.ones(2), np.ones(1), np.ones(1), 2020, "city")


def test_tables_of_places(tmp_path):
    table = tmp_path / "centroids.csv"
    table.write_text("code,cx,cy,area_km2\n11140,126.99,37.56,10\n11110,126.97,37.59,24\n", encoding="utf-8")
    places = read_centroids(table, 2020)
    assert places.codes.tolist() == ["11110", "11140"]
    assert places.latitude.tolist() == [37.59, 37.56]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("code_a,code_b\n11110,11140\n11140,11110\n", encoding="utf-8")
    both = read_adjacency(pairs, places)
    assert both.pairs is not None
    assert both.pairs.tolist() == [[0, 1]]
    assert [name for name, _ in both.sources] == ["centroids.csv", "pairs.csv"]
    pairs.write_text("code_a,code_b\n11110,11110\n", encoding="utf-8")
    with pytest.raises(SchemaError, match=r"2행.*자기 자신"):
        read_adjacency(pairs, places)
    table.write_text("code,cx,cy\n11140,37.56,126.99\n", encoding="utf-8")
    with pytest.raises(ValueProblem, match="124 보다 작음"):
        read_centroids(table, 2020)
