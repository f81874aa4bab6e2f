"""Keys of a real pension file: how far they tell workplaces apart, and what links over months make of them.

Only one month of real rows is at hand. What happens to them afterwards (exits, new names, moves, months left out) is drawn here;
how often keys coincide is not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from shared_files import REAL, needs_real

from evalkit.ingest.linking.accuracy import link_accuracy, recall_by_change
from evalkit.ingest.linking.over_time import link_over_time
from evalkit.ingest.sources import national_pension

pytestmark = needs_real


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    (table,) = national_pension.read(
        REAL / "nps_firms_202204_sample.csv", key=b"a key of sixteen", cut_last_row="drop"
    )
    return table.frame


def unique_share(rows: pd.DataFrame, keys: list[str]) -> float:
    counts = rows.groupby(keys).size()
    return float((counts == 1).sum() / len(rows))


def test_how_far_real_keys_tell_workplaces_apart(rows: pd.DataFrame) -> None:
    links = link_over_time(rows)
    assert links.certain.mean() > 0.999
    assert set(links.strands["kind"]) <= {"plain", "bundle", "keyless"}
    assert unique_share(rows, ["name_key", "head_key", "joined"]) > 0.999  # moves
    assert unique_share(rows, ["name_key", "head_key", "region"]) > 0.999  # registrations anew
    assert unique_share(rows, ["name_key", "region"]) > 0.99  # programme firms without digits
    # the weakest: without the name, a quarter of these old workplaces share digits, 시·군·구 and day with another
    assert 0.6 < unique_share(rows, ["head_key", "region", "joined"]) < 0.9


def test_links_hold_where_real_keys_coincide(rows: pd.DataFrame) -> None:
    """Eight months drawn from the real rows: each month 1 % leave, 2 % are left out, 0.5 % have a new name, 0.3 % move."""
    rng = np.random.default_rng(8)
    now = rows[rows["status"] == "joined"].reset_index(drop=True)
    now = now.assign(truth=np.arange(len(now)), change="same")
    regions = now["region"].unique()
    months = []
    for month in range(8):
        lot = rng.random(len(now))
        now = now[lot >= 0.01].reset_index(drop=True)
        lot = rng.random(len(now))
        named, moved = lot < 0.005, (lot >= 0.005) & (lot < 0.008)
        change = np.where(named, "name", np.where(moved, "region", "same")) if month else "same"
        if month:
            names, places = now["name_key"].to_numpy(dtype=object), now["region"].to_numpy(dtype=object)
            names[named] = [f"{x:016x}" for x in rng.integers(0, 2**63, int(named.sum()))]
            places[moved] = rng.choice(regions, int(moved.sum()))
            now = now.assign(name_key=names, region=places)
        now = now.assign(month=pd.Timestamp("2022-04-01") + pd.DateOffset(months=month), change=change)
        months.append(now[rng.random(len(now)) >= 0.02])
    frame = pd.concat(months, ignore_index=True)
    links = link_over_time(frame)
    table = link_accuracy(links, frame["truth"])
    print(table)
    assert table.loc["all", "precision"] >= 0.9999
    assert table.loc["renamed", "precision"] >= 0.98
    assert table.loc["moved", "precision"] >= 0.999
    found = recall_by_change(links, frame["truth"], frame["change"])
    print(found)
    assert found.loc["region", "recall"] >= 0.95
    assert found.loc["name", "recall"] >= 0.85
