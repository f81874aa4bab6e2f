"""A simulated world whose files were written and read again: links, relocations and firms against the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evalkit.building.relocations import relocations
from evalkit.building.workplaces import workplace_histories
from evalkit.ingest.linking.accuracy import link_accuracy, recall_by_change
from evalkit.ingest.linking.firms import FirmLinks, link_firms
from evalkit.ingest.linking.links import Links
from evalkit.ingest.linking.over_time import link_over_time
from evalkit.ingest.linking.report import report_over_time
from evalkit.ingest.linking.stages import FIRM_STAGES, NUMBERED_STAGES
from evalkit.ingest.sources import employment_insurance, national_pension
from evalkit.simulate.establishments import EstablishmentTruth, establishment_world, write_establishments

KEY = b"a key of sixteen"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EstablishmentTruth]:
    folder = tmp_path_factory.mktemp("world")
    world = establishment_world(11, firms=2000)
    write_establishments(world, folder / "raw", folder / "truth")
    return folder / "raw", world.truth


def with_truth(tables: list, truth: EstablishmentTruth) -> pd.DataFrame:
    frame = pd.concat([table.frame.assign(file=table.file) for table in tables], ignore_index=True)
    told = truth.links.drop_duplicates(["file", "source_row"]).rename(columns={"firm": "true_firm"})
    told = told[["file", "source_row", "establishment", "true_firm"]]
    return frame.merge(told, on=["file", "source_row"], how="left", validate="1:1")


@pytest.fixture(scope="module")
def pension(files: tuple[Path, EstablishmentTruth]) -> pd.DataFrame:
    paths = sorted((files[0] / "국민연금").iterdir())
    return with_truth([t for path in paths for t in national_pension.read(path, key=KEY)], files[1])


@pytest.fixture(scope="module")
def links(pension: pd.DataFrame) -> Links:
    return link_over_time(pension)


def changes(frame: pd.DataFrame) -> pd.Series:
    """What truly changed since the sighting before of the same workplace."""
    live = frame[frame["status"] != "left"].sort_values(["establishment", "month"])
    before = live.groupby("establishment")[["month", "name_key", "head_key", "region", "joined"]].shift()
    text = pd.Series("", index=live.index)
    for name in ("name_key", "head_key", "region", "joined"):
        text += np.where(before[name].notna() & (before[name] != live[name]), f"+{name}", "")
    gap = (
        (live["month"].dt.year - before["month"].dt.year) * 12
        + live["month"].dt.month
        - before["month"].dt.month
    )
    text = text.where(text != "", "same") + np.where(gap > 1, "|gap", "")
    return text.reindex(frame.index, fill_value="")


def test_links_over_time_are_right(pension: pd.DataFrame, links: Links) -> None:
    table = link_accuracy(links, pension["establishment"])
    print(table)
    assert table.loc["all", "precision"] >= 0.999
    assert table.loc["all", "recall"] >= 0.985
    for stage in ("exact", "moved", "renamed", "exact_after_gap"):
        assert table.loc[stage, "precision"] >= 0.999, stage
    assert table.loc["registered_again", "precision"] >= 0.97
    by_change = recall_by_change(links, pension["establishment"], changes(pension))
    print(by_change)
    for change in ("+region", "+name_key", "+joined", "same|gap"):
        assert by_change.loc[change, "recall"] >= 0.95, change
    # what is missed among rows that did not change is missed on purpose: twins that share every key
    same = by_change.loc["same"]
    assert same["true_links"] - same["found"] == same["ambiguous"]


def test_what_is_in_doubt_is_little_and_listed(pension: pd.DataFrame, links: Links) -> None:
    report = report_over_time(links, pension)
    print(report.sentence())
    rows = len(pension) - int((links.period == links.periods[0]).sum())
    assert report.linked + report.ambiguous + report.unlinked == rows
    assert 0 < report.ambiguous < 0.03 * rows
    assert len(report.by_group) == 35
    names = set(pension["name_key"].dropna())
    assert not names & set(report.ambiguous_groups["name_key"])


def test_a_draw_of_what_is_in_doubt_is_a_full_linkage(pension: pd.DataFrame, links: Links) -> None:
    drawn = links.resolved(4)
    live = drawn.live
    cells = pd.DataFrame({"unit": drawn.unit[live], "period": drawn.period[live]})
    assert not cells.duplicated().any()
    sure = links.certain
    together = pd.DataFrame({"before": links.unit[sure], "after": drawn.unit[sure]}).drop_duplicates()
    assert together["before"].is_unique
    assert together["after"].is_unique


def test_relocations_equal_the_truth_where_they_are_observed(
    pension: pd.DataFrame, links: Links, files: tuple[Path, EstablishmentTruth]
) -> None:
    """Every move out of the capital region, of workplaces that the files hold before and all through the stay."""
    histories = workplace_histories(pension, links.unit, certain=links.certain, gap_months=4)
    found = relocations(histories)
    whose = pension.groupby(links.unit)["establishment"].first()
    events = found.events[found.events["direction"] == "out_of_capital"]
    events = events.assign(establishment=whose.loc[events["unit"]].to_numpy())
    monthly = files[1].monthly
    number = monthly["month"].dt.year * 12 + monthly["month"].dt.month - 1
    published = monthly.set_index([monthly["establishment"], number])["published"]
    truth = files[1].relocations
    truth = truth[truth["type"] != "paper"]
    truth = truth.assign(moved=truth["month"].dt.year * 12 + truth["month"].dt.month - 1)
    last = int(histories.periods[-1])

    def seen(row: pd.Series) -> bool:
        stay = range(row["moved"] - 1, min(row["moved"] + max(12, row["months_with_worker"]), last) + 1)
        return all(bool(published.get((row["establishment"], month), True)) for month in stay)

    truth = truth[truth.apply(seen, axis=1)]
    expected = np.select([truth["counts"], ~truth["observed"]], ["relocated", "censored"], "too_short")
    keys = ["establishment", "moved", "origin", "destination"]
    truth = truth.rename(columns={"from_region": "origin", "to_region": "destination"}).assign(
        expected=expected
    )
    both = truth.merge(events, on=keys, how="left")
    assert len(both) > 50
    assert both["status"].tolist() == both["expected"].tolist()
    assert set(expected) == {"relocated", "censored", "too_short"}
    # and nothing is told that did not happen
    every = files[1].relocations.assign(moved=lambda t: t["month"].dt.year * 12 + t["month"].dt.month - 1)
    every = every.rename(columns={"from_region": "origin", "to_region": "destination"})
    assert len(events.merge(every, on=keys)) == len(events)


def test_paper_offices_never_count(files: tuple[Path, EstablishmentTruth]) -> None:
    """Year-end files with the full number hold them: they open without anybody, and are no relocation."""
    tables = [
        table
        for path in sorted((files[0] / "고용보험").iterdir())
        for table in employment_insurance.read(path, key=KEY)
    ]
    frame = with_truth(tables, files[1]).dropna(subset="establishment")
    frame = frame.drop_duplicates(["year", "establishment"], keep="last", ignore_index=True)
    links = link_over_time(frame, period="year", stages=NUMBERED_STAGES)
    table = link_accuracy(links, frame["establishment"])
    print(table)
    assert table.loc["all", "precision"] >= 0.999
    histories = workplace_histories(
        frame, links.unit, certain=links.certain, period="year", workers="employees", firm="firm_id"
    )
    found = relocations(histories)
    whose = frame.groupby(links.unit)["establishment"].first()
    paper = files[1].relocations.query("type == 'paper'")["establishment"]
    events = found.events.assign(establishment=whose.loc[found.events["unit"]].to_numpy())
    assert not events.loc[events["status"] == "relocated", "establishment"].isin(paper).any()
    opened = events[events["establishment"].isin(paper)]
    assert set(opened["status"]) == {"opening"}
    assert len(opened) > 0


def test_supported_firms_find_their_workplaces(
    pension: pd.DataFrame, links: Links, files: tuple[Path, EstablishmentTruth]
) -> None:
    """Firms as the programme knows them: root of the name, six digits, 시·군·구, founding day; no full number."""
    first = pension.drop_duplicates("establishment")
    heads = first[first["place_kind"].eq("head_office")].drop_duplicates("true_firm")
    firms = heads.sample(150, random_state=5).assign(firm_id=None)
    places = pension.assign(unit=links.unit).drop_duplicates(["unit", "name_key", "head_key", "region"])
    places = places.reset_index(drop=True)
    twin = files[1].establishments.drop_duplicates("firm").set_index("firm")["twin_of"]
    twins = {*twin.index[twin >= 0], *twin[twin >= 0]}

    def wrong(told: FirmLinks) -> pd.DataFrame:
        whose = places["true_firm"].to_numpy()[told.places["row"].to_numpy(dtype=np.int64)]
        return told.places.assign(whose=whose)[whose != told.places["unit"].to_numpy()]

    found = link_firms(firms, places, unit="true_firm")
    assert (found.firms["status"] == "linked").mean() > 0.9
    # two firms of one root and six digits cannot be told apart without the number: nothing else goes wrong
    assert set(wrong(found)["whose"]) <= twins
    by_name = link_firms(firms.assign(head_key=None, joined=pd.NaT), places, unit="true_firm")
    assert {FIRM_STAGES[s].name for s in by_name.firms["stage"] if s >= 0} == {"name_region"}
    assert set(wrong(by_name)["whose"]) <= twins
    assert (by_name.firms["status"] == "linked").mean() > 0.9
