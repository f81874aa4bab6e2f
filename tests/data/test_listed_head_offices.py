"""Head offices of listed firms (15 snapshots, 2018-06 … 2026-05): the moves that were compiled from them come out again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from shared_files import REAL, needs_real

from evalkit.building.relocation_flows import relocation_flows
from evalkit.building.relocations import Relocations, relocations
from evalkit.building.workplaces import Workplaces, workplace_histories
from evalkit.ingest.lineage import sido_rows

pytestmark = needs_real
NEVER_GONE = 10_000


@pytest.fixture(scope="module")
def snapshots() -> pd.DataFrame:
    frame = pd.read_csv(REAL / "listed_firm_hq_snapshots.csv", dtype=str, keep_default_na=False)
    code = {row["short"]: f"{row['mois']}000" for row in sido_rows()}
    frame["region"] = frame["hq_sido"].map(code)
    frame["month"] = pd.to_datetime(frame["snapshot"])
    return frame.assign(unit=pd.factorize(frame["code"], sort=True)[0])


@pytest.fixture(scope="module")
def told() -> pd.DataFrame:
    frame = pd.read_csv(REAL / "listed_firm_hq_moves.csv", dtype=str, keep_default_na=False)
    code = {row["short"]: f"{row['mois']}000" for row in sido_rows()}
    frame["origin"], frame["destination"] = frame["prev_sido"].map(code), frame["hq_sido"].map(code)
    return frame


def followed(snapshots: pd.DataFrame) -> Workplaces:
    return workplace_histories(snapshots, snapshots["unit"], workers=None, gap_months=NEVER_GONE)


@pytest.fixture(scope="module")
def found(snapshots: pd.DataFrame) -> Relocations:
    return relocations(followed(snapshots), months=1, workers=0)


def keys(events: pd.DataFrame, snapshots: pd.DataFrame) -> pd.DataFrame:
    labels = snapshots.drop_duplicates("unit").set_index("unit")["code"]
    month = [f"{m // 12}-{m % 12 + 1:02d}" for m in events["moved"]]
    return pd.DataFrame(
        {
            "code": labels.loc[events["unit"]].to_numpy(),
            "snapshot": month,
            "origin": events["origin"].to_numpy(),
            "destination": events["destination"].to_numpy(),
        }
    )


def test_every_change_of_head_office_comes_out_again(
    found: Relocations, snapshots: pd.DataFrame, told: pd.DataFrame
) -> None:
    changes = found.events[found.events["status"].isin(["relocated", "returned"])]
    ours = keys(changes, snapshots)
    theirs = told[["code", "snapshot", "origin", "destination"]]
    both = ours.merge(theirs, how="outer", indicator=True)
    print(both[both["_merge"] != "both"].to_string())
    assert (both["_merge"] == "both").all()
    assert len(ours) == 285


def test_mergers_with_shell_companies_are_no_moves(
    found: Relocations, snapshots: pd.DataFrame, told: pd.DataFrame
) -> None:
    """A listed shell (스팩) that takes a firm over keeps its code and gets that firm's address: 41; of the rest, 40 out, 36 in.

    In four of them the address changed before the name did, so it is the row before that tells a shell.
    """
    ordered = snapshots.sort_values(["unit", "month"])
    was_shell = ordered.groupby("unit")["spac"].shift().eq("1")
    merged = ordered[was_shell][["code", "snapshot"]].drop_duplicates()
    events = found.events.assign(**keys(found.events, snapshots)[["code", "snapshot"]])
    spurious = events.merge(merged, on=["code", "snapshot"])
    assert len(spurious) == int(told["spac_merger"].eq("1").sum()) == 41
    true = events.merge(merged, on=["code", "snapshot"], how="left", indicator=True)
    true = true[true["_merge"] == "left_only"]
    direction = true["direction"].value_counts()
    assert (direction["out_of_capital"], direction["into_capital"]) == (40, 36)


def test_the_twelve_month_rule_on_snapshots_months_apart(found: Relocations, snapshots: pd.DataFrame) -> None:
    """A stay is counted between sightings, whatever files lie between; what arrived in the last snapshots is open."""
    ruled = relocations(followed(snapshots), months=12, workers=0)
    assert len(ruled.events) == len(found.events)
    ours = keys(ruled.events, snapshots).assign(status=ruled.events["status"], months=ruled.events["months"])
    ordered = snapshots[snapshots["region"].notna()].sort_values(["unit", "month"])
    number = ordered["month"].dt.year * 12 + ordered["month"].dt.month
    stay = (ordered["region"] != ordered.groupby("unit")["region"].shift()).cumsum()
    length = number.groupby(stay).transform("max") - number.groupby(stay).transform("min") + 1
    ends = ordered.assign(length=length, month_number=number).groupby(stay.to_numpy()).first()
    by_hand = ends.merge(ours, left_on=["code", "snapshot"], right_on=["code", "snapshot"])
    assert len(by_hand) == len(ours)
    assert (by_hand["length"] == by_hand["months"]).all()
    passed = by_hand["status"].isin(["relocated", "returned"])
    assert (by_hand.loc[by_hand["status"] == "relocated", "length"] >= 12).all()
    assert (by_hand.loc[~passed, "length"] < 12).all()
    print(ruled.summary().to_string())


def test_flows_between_provinces_leave_empty_what_the_snapshots_cannot_tell(found: Relocations) -> None:
    cells = relocation_flows(found, every="year")
    # a year is told where the snapshots of both Decembers are there: 2019, 2020, 2021
    whole = np.isfinite(cells.counts[0, 1])
    assert cells.periods[whole].tolist() == [2019, 2020, 2021]
    at = {name: i for i, name in enumerate(cells.origins.tolist())}
    moves = found.counted()
    year = moves["moved"] // 12
    for y in (2019, 2020, 2021):
        of = moves[(year == y) & (moves["origin"] == "11000") & (moves["destination"] == "41000")]
        assert cells.counts[at["서울"], at["경기"], cells.periods.tolist().index(y)] == len(of)
    assert cells.notes["in_periods_not_observed"] == len(moves) - year.isin([2019, 2020, 2021]).sum()
