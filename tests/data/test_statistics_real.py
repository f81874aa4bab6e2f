"""Real numbers through the whole way: served in the services' own forms, fetched in parts, kept, and read back to the last digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shared_files import REAL, needs_real
from statistics_server import ECOS_KEY, KOSIS_KEY, EcosTable, KosisTable, StatisticsServer

from evalkit.ingest.sources import read_source
from evalkit.ingest.statistics.connection import Limits
from evalkit.ingest.statistics.obtaining import obtain
from evalkit.ingest.statistics.queries import EcosQuery, KosisQuery
from evalkit.study.inputs import matching

pytestmark = needs_real
QUICK = Limits(10_000, 1.0, wait=0.001, deadline=60.0)


def test_the_population_of_229_municipalities_over_15_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = pd.read_csv(REAL / "kr_sigungu_panel_2010_2024.csv", dtype={"code": str})
    cells = {
        ("T20", row.code, str(row.year)): str(int(row.population))
        for row in panel.itertuples()
        if np.isfinite(row.population)
    }
    names = dict(zip(panel["code"], panel["sigungu"], strict=True))
    table = KosisTable(
        "101", "DT_1B040A3", "행정구역(시군구)별 인구수", {"T20": ("총인구수", "명")}, [("행정구역(시군구)별", names)],
        [str(y) for y in range(2010, 2025)], cells.get,
    )  # fmt: skip
    monkeypatch.setenv("EVALKIT_KOSIS_KEY", KOSIS_KEY)
    with StatisticsServer(kosis={"DT_1B040A3": table}) as server:
        server.limit = 700  # three years at a time
        query = KosisQuery("101", "DT_1B040A3", items=("T20",), first="2010", last="2024")
        done = obtain(query, tmp_path, base_url=f"{server.base}/kosis", limits=QUICK)
        assert max(server.sizes) <= 700
    (read,) = read_source("kosis", matching(tmp_path, "kosis/101_DT_1B040A3_*.json"))
    assert done.kept.record.rows == len(cells)
    got = {(r.item, r.axis1, r.period): r.value for r in read.frame.itertuples()}
    assert got == {cell: float(value) for cell, value in cells.items()}
    assert read.notes["area_systems"] == {"5": "mois_city"}  # 2024 codes of 행정안전부, cities whole


def test_real_price_indices_as_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = pd.read_csv(REAL / "kr_deflators.csv")
    year, index = prices.columns[0], next(name for name in prices.columns if "cpi" in name.lower())
    known = prices[[year, index]].dropna()
    rows = [((("0", "총지수"),), str(int(y)), f"{v:.3f}") for y, v in known.itertuples(index=False)]
    monkeypatch.setenv("EVALKIT_ECOS_KEY", ECOS_KEY)
    with StatisticsServer(ecos={"901Y009": EcosTable("901Y009", "소비자물가지수", "A", rows)}) as server:
        query = EcosQuery("901Y009", items=("0",), first="2000", last="2024")
        obtain(query, tmp_path, base_url=f"{server.base}/ecos", limits=QUICK)
    (table,) = read_source("deflator", matching(tmp_path, "ecos/901Y009_*.json"))
    np.testing.assert_allclose(table.frame["index"], known[index].round(3), rtol=0, atol=1e-12)
    assert table.frame["year"].tolist() == known[year].astype(int).tolist()
    assert table.frame.set_index("year")["index"].loc[2020] == pytest.approx(100.0)
