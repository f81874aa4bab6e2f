"""Rings around treated places, against a count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evalkit.errors import DataError, PlanError
from evalkit.ingest.places import distance_km
from evalkit.ingest.sources import read_source
from evalkit.ingest.table import Table
from evalkit.panel import Panel
from evalkit.study.region_rings import with_rings

# 강릉, 동해, 삼척, 원주, 춘천: codes of 2018
PLACES = {
    "42150": (37.75, 128.88),
    "42170": (37.52, 129.11),
    "42230": (37.45, 129.17),
    "42130": (37.34, 127.92),
    "42110": (37.88, 127.73),
}
YEARS = np.arange(2016, 2021)


def centroids(folder: Path, places: dict[str, tuple[float, float]] = PLACES) -> list[Table]:
    path = folder / "중심점_2018.csv"
    rows = [f"{code},{lon},{lat}" for code, (lat, lon) in places.items()]
    path.write_text("\n".join(["code,경도,위도", *rows]) + "\n", encoding="utf-8")
    return read_source("centroids", path, options={"year": 2018})


def panel(adoption: list[float]) -> Panel:
    return Panel(
        np.array(list(PLACES)), YEARS, {"y": np.ones((5, 5))}, {"adoption": np.array(adoption, dtype=float)}
    )


def test_a_place_is_in_the_band_of_the_nearest_place_treated_by_then(tmp_path: Path) -> None:
    adoption = [2018.0, np.inf, 2020.0, np.inf, np.inf]
    made = with_rings(panel(adoption), centroids(tmp_path), {"ring_bands": [20, 40, 100]}, "p")
    codes = list(PLACES)
    for i, code in enumerate(codes):
        for t, year in enumerate(YEARS.tolist()):
            near = [
                float(distance_km(*PLACES[code], *PLACES[other]))
                for other, start in zip(codes, adoption, strict=True)
                if start <= year
            ]
            least = min(near, default=np.inf) if adoption[i] > year else np.inf
            for low, high in ((0, 20), (20, 40), (40, 100)):
                assert made.values(f"ring_{low}_{high}")[i, t] == float(low < least <= high), (code, year)
    assert made.values("ring_20_40").sum() > 0
    assert made.constant("ring").tolist() == ["0", "1", "1", "1", "0"]
    assert made.constant("km_treated")[[0, 2]].tolist() == [0.0, 0.0]


def test_a_place_without_a_centroid_stops(tmp_path: Path) -> None:
    tables = centroids(tmp_path, {k: v for k, v in PLACES.items() if k != "42130"})
    with pytest.raises(DataError, match=r"1곳 있음 \(예: 42130\)"):
        with_rings(panel([2018.0] + [np.inf] * 4), tables, {}, "p")


@pytest.mark.parametrize("bands", [[], [40, 20], [0, 20], ["가"], [20, 20]])
def test_edges_increase(tmp_path: Path, bands: list[object]) -> None:
    with pytest.raises(PlanError, match="커지는 순서"):
        with_rings(panel([2018.0] + [np.inf] * 4), centroids(tmp_path), {"ring_bands": bands}, "p")
