"""The monthly world of establishments: what was written comes back, and the truth agrees with slow countings of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import ParameterError, UsageError
from evalkit.ingest import read_source
from evalkit.ingest.identifiers import hash_identifier, valid_business_numbers
from evalkit.ingest.linking.keys import name_roots
from evalkit.ingest.regions import is_capital
from evalkit.ingest.sources import employment_insurance, national_pension
from evalkit.ingest.sources.supported_firms import read_supported
from evalkit.ingest.table import Table
from evalkit.simulate.establishments import EstablishmentWorld, establishment_world, write_establishments
from evalkit.simulate.establishments.names import Names
from evalkit.simulate.establishments.pension import generation

KEY = b"test key"
Made = tuple[EstablishmentWorld, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """400 firms from 2020-02 to 2024-07: every change of region codes, five Decembers, two revisions of 2020."""
    folder = tmp_path_factory.mktemp("world")
    world = establishment_world(5, 400, "2020-02", 54)
    write_establishments(world, folder / "raw", folder / "truth")
    return world, folder / "raw"


@pytest.fixture(scope="module")
def pension(made: Made) -> list[Table]:
    return list(national_pension.read_months((made[1] / "국민연금").glob("*.csv"), key=KEY))


def joined_to_truth(world: EstablishmentWorld, table: Table) -> pd.DataFrame:
    """Rows of a table beside the establishment that each truly is."""
    links = world.truth.links[world.truth.links["file"] == table.file]
    out = table.frame.merge(links, on="source_row", suffixes=("", "_linked"), how="left", validate="1:1")
    assert out["establishment"].notna().all()
    return out


def same(left: pd.Series, right: pd.Series) -> bool:
    return bool(((left == right) | (left.isna() & right.isna())).all())


# -- files and truth -----------------------------------------------------------------------------------


def test_pension_files_come_back(made: Made, pension: list[Table]) -> None:
    world, _ = made
    monthly = world.truth.monthly
    assert [str(t.frame["month"].iloc[0])[:7] for t in pension] == [str(m) for m in world.months]
    assert {t.notes["encoding"] for t in pension} == {"utf-8-sig", "cp949"}
    seen = []
    for table in pension:
        rows = joined_to_truth(world, table)
        assert (rows["status"] == "left").tolist() == rows["left_linked"].tolist()
        here = rows[rows["status"] == "joined"].merge(
            monthly, on=["establishment", "month"], suffixes=("", "_true"), validate="1:1"
        )
        assert len(here) == (rows["status"] == "joined").sum()
        for column in ("region", "members", "joined", "reregistered"):
            assert same(here[column], here[f"{column}_true"]), (table.file, column)
        assert here["published"].all()
        seen.append(here[["establishment", "month"]])
    # and nothing that was published is missing
    published = monthly[monthly["published"]]
    assert len(pd.concat(seen)) == len(published) > 10_000


def test_rows_that_left_say_so(made: Made, pension: list[Table]) -> None:
    world, _ = made
    there = set(zip(world.truth.monthly["establishment"], world.truth.monthly["month"], strict=True))
    again = world.truth.registrations.set_index("establishment")
    count = 0
    for table in pension[1:]:
        rows = joined_to_truth(world, table)
        gone = rows[rows["status"] == "left"]
        assert (gone["members"] == 0).all()
        assert (gone["left"] == gone["month"] - pd.Timedelta(days=1)).all()
        for place, month in zip(gone["establishment"], gone["month"], strict=True):
            away = place in again.index and month < again.loc[place, "month"]
            assert (place, month) not in there or away
        count += len(gone)
    assert count > 20


def test_repeated_rows_are_left_out_and_counted(pension: list[Table]) -> None:
    for index, table in enumerate(pension):
        repeats = [step.rows for step in table.flow if "되풀이" in step.reason]
        assert repeats == ([-2] if index % 6 == 4 else [])


def test_keys_of_pension_rows(made: Made, pension: list[Table]) -> None:
    """Six digits and roots as the world drew them; slips and nothing else break a root."""
    world, _ = made
    firms, places = world.firms, world.places
    broken = total = 0
    for at, table in enumerate(pension):
        rows = joined_to_truth(world, table)
        place = rows["establishment"].to_numpy()
        heads = [hash_identifier(f"head|{places.number[p][:6]}", KEY) for p in place]
        assert rows["head_key"].tolist() == heads
        version = (at >= firms.renamed[places.firm[place]]).astype(int)
        roots = firms.root[version, places.firm[place]]
        keys = np.array([hash_identifier(f"name|{root}", KEY) for root in roots])
        broken += int((rows["name_key"].to_numpy() != keys).sum())
        total += len(rows)
    assert 0 < broken < 0.005 * total


def test_insurance_files_come_back(made: Made) -> None:
    world, raw = made
    tables = read_source(
        "employment_insurance", (raw / "고용보험").glob("*"), key=KEY, options={"numbers": "optional"}
    )
    assert [t.notes["year"] for t in tables] == [2020, 2021, 2022, 2023]
    assert {t.notes["encoding"] for t in tables} == {"utf-8-sig", "cp949"}
    said = [r.kind for r in tables[0].repairs if "2020년" in r.kind]
    assert said == ["2020년 파일이 2개: 뒤의 것을 씀"]
    for table in tables:
        rows = joined_to_truth(world, table)
        assert rows["used"].all()
        month = rows["month"].iloc[0]
        true = world.truth.monthly[world.truth.monthly["month"] == month]
        both = rows.merge(true, on="establishment", suffixes=("", "_true"), validate="1:1")
        assert len(both) == len(true) == len(table.frame)
        assert same(both["region"], both["region_true"])
        assert same(both["employees"], both["employees_true"])  # to the person
        assert int(both["employees"].sum()) == int(true["employees"].sum())
        place = rows["establishment"].to_numpy()
        assert same(rows["joined"], pd.Series(world.places.joined[place].astype("datetime64[s]")))
        if table.notes["year"] == 2020:
            assert rows["firm_id"].isna().all()
        else:
            assert rows["firm_id"].tolist() == [hash_identifier(world.places.number[p], KEY) for p in place]


def test_factories_and_supported_firms_come_back(made: Made) -> None:
    world, raw = made
    tables = read_source("factory_registration", (raw / "공장등록").glob("*.csv"), key=KEY)
    last = world.truth.monthly[world.truth.monthly["month"] == world.months[-1].astype("datetime64[s]")]
    plants = last.merge(
        world.truth.establishments.query("kind == 'plant'")[["establishment"]], on="establishment"
    )
    rows = pd.concat([joined_to_truth(world, table) for table in tables])
    both = rows.merge(plants, on="establishment", suffixes=("", "_true"), validate="1:1")
    assert len(both) == len(plants) == len(rows) > 20
    assert same(both["region"], both["region_true"])
    assert same(both["employees"], both["employees_true"])
    assert (both["place_kind"] == "plant").all()
    assert (both["ksic_revision"] == 10).all()
    supported = read_supported(raw / "성과조사" / "성과조사_1단계_과제현황.csv", key=KEY)
    rows = joined_to_truth(world, supported)
    heads = world.truth.establishments.set_index("establishment").loc[rows["establishment"]]
    assert (heads["kind"] == "head_office").all()
    assert rows["firm_id"].tolist() == [
        hash_identifier(world.places.number[p], KEY) for p in rows["establishment"]
    ]


def test_links_name_every_row_of_every_file(made: Made, pension: list[Table]) -> None:
    world, raw = made
    links = world.truth.links
    assert not links.duplicated(["file", "source_row"]).any()
    written = {path.name for path in raw.rglob("*.csv")}
    packed = {"근로복지공단_고용산재보험 가입 현황_20201231.csv", "근로복지공단_고용산재보험 가입 현황_20201231_수정.csv",
              "근로복지공단_고용산재보험 가입 현황_20211231.csv"}  # fmt: skip
    assert set(links["file"]) == written | packed
    lines = sum(len(path.read_bytes().splitlines()) - 1 for path in (raw / "국민연금").iterdir())
    assert lines == (links["source"] == "national_pension").sum()
    assert set(links.loc[~links["used"], "file"]) == {"근로복지공단_고용산재보험 가입 현황_20201231.csv"}


# -- the truth against slow countings -------------------------------------------------------------------


def test_relocations_by_a_walk_through_the_months(made: Made) -> None:
    """Oracle: for each establishment its months in order; a move out of the capital, then months until nobody is there."""
    world, _ = made
    monthly = world.truth.monthly
    found: dict[int, tuple[Any, ...]] = {}
    for place, rows in monthly.sort_values("month").groupby("establishment"):
        regions, months, persons = (rows[c].tolist() for c in ("region", "month", "employees"))
        for i in range(1, len(rows)):
            if is_capital(regions[i - 1]) and not is_capital(regions[i]):
                run = 0
                while i + run < len(rows) and regions[i + run] == regions[i] and persons[i + run] >= 1:
                    run += 1
                ended = months[-1] < monthly["month"].max() or i + run < len(rows)
                found[int(str(place))] = (months[i], regions[i - 1], regions[i], persons[i], run, run >= 12 or ended, run >= 12)  # fmt: skip
    table = world.truth.relocations
    real = table[table["type"] != "paper"].set_index("establishment")
    columns = ["month", "from_region", "to_region", "workers", "months_with_worker", "observed", "counts"]
    assert {
        int(str(p)): tuple(row) for p, row in zip(real.index, real[columns].to_numpy().tolist(), strict=True)
    } == found


def test_the_four_ways_to_relocate(made: Made) -> None:
    world, _ = made
    table = world.truth.relocations
    assert set(table["type"]) >= {"paper", "short", "lasting", "late"}
    by = table.groupby("type")
    assert by["counts"].all()["lasting"]
    assert not by["counts"].any()[["paper", "short", "late"]].any()
    assert by["observed"].all()[["paper", "short", "lasting"]].all()
    assert not by["observed"].any()["late"]
    paper = table[table["type"] == "paper"]
    assert (paper["workers"] == 0).all()
    # the people of a head office on paper are where they were
    firms = world.truth.monthly.merge(paper[["firm", "month", "from_region"]], on=["firm", "month"])
    stayed = firms[firms["region"] == firms["from_region"]].groupby("firm")["employees"].sum()
    assert len(stayed) == len(paper)
    assert (stayed > 0).all()
    # nobody publishes an office without anybody
    assert not world.truth.monthly.merge(paper[["establishment"]], on="establishment")["published"].any()


def test_moves_are_changes_of_place(made: Made) -> None:
    world, _ = made
    monthly = world.truth.monthly.sort_values(["establishment", "month"])
    before = monthly.groupby("establishment")["region"].shift()
    changed = monthly[before.notna() & (monthly["region"] != before)]
    between = world.truth.moves[world.truth.moves["between"]]
    assert set(zip(changed["establishment"], changed["month"], strict=True)) == set(
        zip(between["establishment"], between["month"], strict=True)
    )
    within = world.truth.moves[~world.truth.moves["between"]]
    assert len(within) > 5
    assert (within["from_region"] == within["to_region"]).all()


def test_what_is_published(made: Made) -> None:
    world, _ = made
    table = world.truth.monthly.merge(
        world.truth.establishments[["establishment", "corporation"]], on="establishment"
    )
    assert not table.loc[~table["corporation"], "published"].any()
    assert not table.loc[table["members"] < 3, "published"].any()
    assert (table["members"] <= table["employees"]).all()
    away = world.truth.registrations.query("gap > 0").iloc[0]
    hidden = table[(table["establishment"] == away["establishment"]) & (table["month"] < away["month"])].tail(
        int(away["gap"])
    )
    assert not hidden["published"].any()


def test_establishments(made: Made) -> None:
    world, _ = made
    table = world.truth.establishments
    kinds = table.groupby("firm")["kind"].agg(lambda k: (k == "head_office").sum())
    paper = set(world.truth.relocations.query("type == 'paper'")["firm"])
    assert all(n == (2 if firm in paper else 1) for firm, n in kinds.items())
    assert set(table["kind"]) == {"head_office", "branch", "laboratory", "plant"}
    assert table.groupby("firm").size().max() <= 5
    numbers = world.places.number
    assert valid_business_numbers(numbers).all()
    own = table["own_number"].to_numpy()
    assert {n[3:5] for n in numbers[own]} == {"85"}
    assert len(set(numbers[own])) == own.sum()
    assert len(set(world.firms.number)) == len(world.firms.number)
    head = table["kind"] == "head_office"
    assert {n[3:5] for n in numbers[(head & table["corporation"]).to_numpy()]} <= {"81", "86", "87", "88"}
    assert (
        pd.to_numeric(pd.Series([n[3:5] for n in numbers[(~table["corporation"]).to_numpy()]])) < 80
    ).all()


def test_twins_share_what_files_tell(made: Made) -> None:
    world, _ = made
    firms, places = world.firms, world.places
    twins = np.flatnonzero(firms.twin >= 0)
    assert len(twins) >= 2
    for one in twins:
        other = firms.twin[one]
        a, b = (int(np.flatnonzero(places.firm == f)[0]) for f in (one, other))
        assert firms.root[0, one] == firms.root[0, other]
        assert places.number[a][:6] == places.number[b][:6]
        assert places.number[a] != places.number[b]
        assert (places.region[a] == places.region[b]).all()


def test_renames(made: Made) -> None:
    world, _ = made
    names = Names(world.firms, world.places, world.codes)
    heads = np.arange(len(world.firms.corporation))
    table = world.truth.renames
    assert set(table["what"]) == {"name", "legal_form"}
    first = names.of(heads, 0)
    last = names.of(heads, len(world.months) - 1)
    moved = set(world.truth.moves["firm"])
    told = set(table["firm"])
    assert {int(f) for f in heads[first != last]} - moved == told - moved
    for firm, what in zip(table["firm"], table["what"], strict=True):
        same_root = name_roots([first[firm]])[0] == name_roots([last[firm]])[0]
        assert same_root == (what == "legal_form")


def test_codes_of_regions_change_within_the_window(made: Made, pension: list[Table]) -> None:
    """강원, 전북 and 군위 are written with the codes of their month, and read back to one code."""
    _world, raw = made
    for short, early, late, month in (
        ("강원", "42", "51", "202306"),
        ("전북", "45", "52", "202401"),
        ("군위", "47720", "27720", "202307"),
    ):
        texts = {}
        for path in sorted((raw / "국민연금").glob("*.csv")):
            raw_frame = pd.read_csv(
                path, dtype=str, encoding="cp949" if b"\xc0\xda" in path.read_bytes()[:40] else "utf-8-sig"
            )
            codes = raw_frame.iloc[:, 7]
            texts[path.stem[-6:]] = (codes.str.startswith(early).sum(), codes.str.startswith(late).sum())
        assert all(old > 0 and new == 0 for key, (old, new) in texts.items() if key < month), short
        assert all(old == 0 and new > 0 for key, (old, new) in texts.items() if key >= month), short
    assert [generation(at, 54) for at in (0, 17, 18, 35, 36, 53)] == [0, 0, 1, 1, 2, 2]
    assert not any(table.frame["region"].str.startswith(("51", "52", "27720")).any() for table in pension)


# -- the same again ------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_establishments(
            establishment_world(3, 60, "2019-11", 15), tmp_path / name / "raw", tmp_path / name / "truth"
        )
    files = [
        sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*") if p.is_file()) for n in "ab"
    ]
    assert files[0] == files[1]
    assert all((tmp_path / "a" / p).read_bytes() == (tmp_path / "b" / p).read_bytes() for p in files[0])
    other = establishment_world(4, 60, "2019-11", 15)
    assert not other.truth.monthly.equals(establishment_world(3, 60, "2019-11", 15).truth.monthly)
    # one December, so no ZIP; nothing lasting fits into less than fourteen months
    assert not list((tmp_path / "a" / "raw").rglob("*.zip"))
    short = establishment_world(3, 60, "2019-11", 6).truth.relocations
    assert set(short["type"]) <= {"paper", "late", "other"}


def test_what_cannot_be_drawn_or_written(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"firms=39 은\(는\) 쓸 수 없음.*40 이상"):
        establishment_world(1, 39)
    with pytest.raises(ParameterError, match=r"months=1 은\(는\) 쓸 수 없음.*2 이상"):
        establishment_world(1, 100, months=1)
    with pytest.raises(ParameterError, match=r"첫 달 '2021-13' 을\(를\) 읽을 수 없음"):
        establishment_world(1, 100, "2021-13")
    with pytest.raises(ParameterError, match=r"기간 2015-11 부터 3개월은 2015-12–2026-06 밖임"):
        establishment_world(1, 100, "2015-11", 3)
    with pytest.raises(ParameterError, match=r"2026-05 부터 3개월은"):
        establishment_world(1, 100, "2026-05", 3)
    with pytest.raises(UsageError, match="참값 폴더가 원자료 폴더 안에 있음"):
        write_establishments(establishment_world(1, 40, months=2), tmp_path, tmp_path / "truth")


def test_the_first_file_without_numbers_is_refused_by_default(made: Made) -> None:
    from evalkit.errors import SchemaError

    with pytest.raises(SchemaError, match=r"사업자등록번호가 없는 해의 파일임"):
        employment_insurance.read_all((made[1] / "고용보험").glob("*"), key=KEY)
