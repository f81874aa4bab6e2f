"""Answers on disk: as received, written once, verified, compared, replayed without the network, and read as tables."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statistics_server import (
    ECOS_KEY,
    KOSIS_KEY,
    EcosTable,
    KosisTable,
    StatisticsServer,
    consumer_prices,
    number,
    population,
)

from evalkit.errors import DataError, FileError, PlanError, SchemaError, UsageError, ValueProblem
from evalkit.ingest.sources import read_source
from evalkit.ingest.statistics import kept as store
from evalkit.ingest.statistics.catalogue import break_table_of, catalogue, markdown, series
from evalkit.ingest.statistics.changes import compared
from evalkit.ingest.statistics.connection import Limits
from evalkit.ingest.statistics.kept import INDEX, Kept, load, replay
from evalkit.ingest.statistics.obtaining import Obtained, obtain
from evalkit.ingest.statistics.queries import EcosQuery, KosisQuery
from evalkit.ingest.store import TableStore

QUICK = Limits(10_000, 1.0, attempts=2, wait=0.001, timeout=5.0, deadline=30.0)
POPULATION = KosisQuery("101", "DT_1B040A3", first="2015", last="2024")
PRICES = EcosQuery("901Y009", items=("0",), first="2010", last="2024")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatisticsServer]:
    monkeypatch.setenv("EVALKIT_KOSIS_KEY", KOSIS_KEY)
    monkeypatch.setenv("EVALKIT_ECOS_KEY", ECOS_KEY)
    with StatisticsServer(kosis={"DT_1B040A3": population()}, ecos={"901Y009": consumer_prices()}) as running:
        yield running


def got(server: StatisticsServer, query: KosisQuery | EcosQuery, folder: Path) -> Obtained:
    path = "kosis" if isinstance(query, KosisQuery) else "ecos"
    return obtain(query, folder, base_url=f"{server.base}/{path}", limits=QUICK)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The time of each fetch, as the test says it."""
    times = ["2025-01-10T03:15:00Z"]
    for module in ("kosis", "ecos"):
        monkeypatch.setattr(f"evalkit.ingest.statistics.{module}.now", lambda: times[-1])
    return times


# -- writing ------------------------------------------------------------------------------------------------


def test_the_bytes_are_kept_as_received_with_a_record_and_an_index(
    server: StatisticsServer, tmp_path: Path, clock: list[str]
) -> None:
    done = got(server, POPULATION, tmp_path).kept
    assert done.fresh
    assert done.path.name.startswith("101_DT_1B040A3_Y_2015-2024.")
    assert done.path.name.endswith(".20250110T031500Z.json")
    told = json.loads(done.path.read_text(encoding="utf-8"))
    assert told["query"] == {
        "period": "Y", "org": "101", "table": "DT_1B040A3", "items": ["ALL"], "axes": [["ALL"]], "first": "2015", "last": "2024",
    }  # fmt: skip
    assert told["fetched_at"] == "2025-01-10T03:15:00Z"
    assert told["citation"]["organisation"] == "국가데이터처"
    assert told["citation"]["units"] == ["명"]
    assert "자료 갱신 2025-01-03" in told["cited_as"]
    assert "출처를 적고" in told["licence"]
    (data,) = done.record.data
    file = tmp_path / "kosis" / data.file
    packed = file.suffix == ".gz"
    content = gzip.decompress(file.read_bytes()) if packed else file.read_bytes()
    assert hashlib.sha256(content).hexdigest() == data.sha256
    assert data.file.startswith(f"responses/{data.sha256}")
    assert len(json.loads(content)) == 140
    index = json.loads((tmp_path / "kosis" / INDEX).read_text(encoding="utf-8"))
    assert [entry["file"] for entry in index["records"]] == [done.path.name]
    assert index["records"][0]["sha256"] == hashlib.sha256(done.path.read_bytes()).hexdigest()
    assert not list(tmp_path.rglob(".part-*"))


def test_a_small_answer_is_kept_plainly_and_a_large_one_packed(
    server: StatisticsServer, tmp_path: Path
) -> None:
    files = [a.file for a in got(server, POPULATION, tmp_path).kept.record.answers]
    assert any(name.endswith(".json") for name in files)
    assert any(name.endswith(".json.gz") for name in files)


def test_the_same_answer_again_writes_nothing(
    server: StatisticsServer, tmp_path: Path, clock: list[str]
) -> None:
    first = got(server, PRICES, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    clock.append("2025-02-01T00:00:00Z")
    again = got(server, PRICES, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert (again.kept.path, again.kept.fresh, again.changes) == (first.kept.path, False, None)


def test_a_revision_is_a_new_file_and_the_difference_is_told(
    server: StatisticsServer, tmp_path: Path, clock: list[str]
) -> None:
    first = got(server, PRICES, tmp_path)
    assert first.changes is None
    old = first.kept.path.read_bytes()
    table = consumer_prices()
    table.rows[0] = (*table.rows[0][:2], "79.90")
    del table.rows[14]
    server.ecos["901Y009"] = table
    clock.append("2025-02-01T00:00:00Z")
    later = got(server, EcosQuery("901Y009", items=("0",), first="2010", last="2024"), tmp_path)
    assert later.changes is not None
    assert later.changes.changed == ((("901Y009", "0", "", "", "", "2010"), "80.00", "79.90"),)
    assert later.changes.added == ()
    assert later.changes.removed == (("901Y009", "0", "", "", "", "2024"),)
    assert later.changes.same == 13
    assert later.changes.sentence() == (
        "앞서 받은 것과 견주어 1칸이 바뀌고 0칸이 늘고 1칸이 없어짐 (같은 칸 13)"
    )
    assert later.changes.examples() == ["901Y009 0 2010: 80.00 → 79.90", "901Y009 0 2024: 없어짐"]
    assert later.kept.record.previous == first.kept.path.name
    assert first.kept.path.read_bytes() == old
    back = compared(later.kept, first.kept)
    assert (len(back.changed), len(back.added), len(back.removed)) == (1, 1, 0)
    assert compared(first.kept, first.kept).sentence() == "앞서 받은 것과 값이 모두 같음 (15칸)"
    assert replay(tmp_path, "ecos", PRICES.record()).path == later.kept.path


def test_two_revisions_within_a_second_do_not_overwrite(
    server: StatisticsServer, tmp_path: Path, clock: list[str]
) -> None:
    paths = []
    for shift in range(3):
        table = consumer_prices()
        table.rows[0] = (*table.rows[0][:2], f"{70 + shift}.00")
        server.ecos["901Y009"] = table
        paths.append(got(server, PRICES, tmp_path).kept.path)
    assert len(set(paths)) == 3
    assert replay(tmp_path, "ecos", PRICES.record()).path == paths[-1]
    assert [load(p).record.previous for p in paths] == ["", paths[0].name, paths[1].name]


def test_records_of_two_services_are_not_compared(server: StatisticsServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="서로 다른 서비스"):
        compared(got(server, PRICES, tmp_path).kept, got(server, POPULATION, tmp_path).kept)


def test_a_folder_that_cannot_be_written_is_a_sentence(server: StatisticsServer, tmp_path: Path) -> None:
    (tmp_path / "ecos").write_text("a file in the way")
    with pytest.raises(FileError, match="받은 자료를 쓸 수 없음"):
        got(server, PRICES, tmp_path)


def test_a_disk_without_links_is_written_all_the_same(
    server: StatisticsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(store.os, "link", no_links)
    done = got(server, PRICES, tmp_path)
    assert len(store.rows_of(done.kept)) == 15
    assert got(server, PRICES, tmp_path).kept.path == done.kept.path


# -- replay ---------------------------------------------------------------------------------------------------


def test_offline_gives_what_was_kept_and_asks_nothing(
    server: StatisticsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = got(server, PRICES, tmp_path).kept
    for name in ("EVALKIT_KOSIS_KEY", "EVALKIT_ECOS_KEY"):
        monkeypatch.delenv(name)
    count = len(server.asked)
    assert obtain(PRICES, tmp_path, offline=True).kept.path == first.path
    with pytest.raises(FileError, match="받아 둔 자료가 없음") as told:
        obtain(EcosQuery("901Y009", items=("A",), first="2010", last="2024"), tmp_path, offline=True)
    assert "--offline 없이" in told.value.remedy
    with pytest.raises(FileError, match="받아 둔 자료가 없음"):
        obtain(POPULATION, tmp_path, offline=True)
    assert len(server.asked) == count


def damaged(kept: Kept, how: str) -> None:
    """Change the data of a record on disk."""
    answer = kept.record.data[0]
    path = kept.path.parent / answer.file
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "value":
        changed = content.replace(b"80.00", b"81.00")
        assert changed != content
        path.write_bytes(gzip.compress(changed) if path.suffix == ".gz" else changed)
    elif how == "longer":
        path.write_bytes(gzip.compress(content + b" ") if path.suffix == ".gz" else content + b" ")
    else:
        path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("how", ["gone", "value", "longer", "cut"])
@pytest.mark.parametrize("packed", [True, False])
def test_an_answer_that_is_not_what_was_received_is_refused(
    server: StatisticsServer, tmp_path: Path, how: str, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_GZIP_FROM", 0 if packed else 10**9)
    done = got(server, PRICES, tmp_path).kept
    assert (done.path.parent / done.record.data[0].file).suffix == (".gz" if packed else ".json")
    damaged(done, how)
    with pytest.raises(FileError, match="응답 파일"):
        replay(tmp_path, "ecos", PRICES.record())
    with pytest.raises(FileError, match="응답 파일"):
        read_source("ecos", done.path)
    with pytest.raises(FileError, match="응답 파일"):
        got(server, PRICES, tmp_path)  # nor is it silently replaced


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told.update(extra=1), "기록이 아니거나"),
        (lambda told: told.update(form=2), "기록이 아니거나"),
        (lambda told: told["answers"][0].update(file="../../secret.json"), "기록이 아니거나"),
        (lambda told: told["answers"][0].update(sha256="xyz"), "기록이 아니거나"),
        (lambda told: told.update(rows=14), "행 수"),
    ],
)
def test_a_record_that_was_changed_is_refused(
    server: StatisticsServer, tmp_path: Path, change: Any, words: str
) -> None:
    done = got(server, PRICES, tmp_path).kept
    told = json.loads(done.path.read_text(encoding="utf-8"))
    change(told)
    done.path.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_source("ecos", done.path)


def test_what_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="파일이 없음"):
        load(tmp_path / "none.json")
    (tmp_path / "other.json").write_text("[1, 2")
    with pytest.raises(SchemaError, match="기록이 아니거나"):
        load(tmp_path / "other.json")


# -- tables ---------------------------------------------------------------------------------------------------


def test_a_table_of_kosis_holds_what_was_received(server: StatisticsServer, tmp_path: Path) -> None:
    truth = population()
    done = got(server, POPULATION, tmp_path).kept
    (table,) = read_source("kosis", done.path)
    frame = table.frame
    assert len(frame) == 140
    assert [c for c in frame if c.startswith("axis")] == ["axis1", "axis1_name"]
    for row in frame.itertuples():
        assert row.value == float(number((row.item, row.axis1, row.period)))
        assert (row.period_kind, row.part) == ("Y", 0)
        assert row.axis1_name == truth.axes[0][1][row.axis1]
    assert table.notes["area_systems"] == {"2": "mois_province", "5": "mois_district"}
    assert set(frame.loc[frame["axis1"] == "26110", "area_system"]) == {"mois_district"}
    assert set(frame.loc[frame["axis1"] == "00", "area_system"]) == {""}
    assert table.notes["cited_as"] == done.record.cited_as
    assert table.flow[-1].rows == len(frame)
    assert table.sha256 == hashlib.sha256(done.path.read_bytes()).hexdigest()


def small(codes: dict[str, str], values: dict[str, str] | None = None, name: str = "시도별") -> KosisTable:
    """One item by region in 2020."""
    given = values or {}
    return KosisTable(
        "101",
        "DT_S",
        "작은 표",
        {"T": ("값", "명")},
        [(name, codes)],
        ["2020"],
        lambda cell: given.get(cell[1], "7"),
    )


SMALL = KosisQuery("101", "DT_S", first="2020", last="2020")


def test_codes_of_the_statistics_office_are_told_from_those_of_the_ministry(
    server: StatisticsServer, tmp_path: Path
) -> None:
    server.kosis["DT_S"] = small({"00": "전국", "21": "부산광역시", "22": "대구광역시", "23": "인천광역시"})
    (table,) = read_source("kosis", got(server, SMALL, tmp_path).kept.path)
    assert table.notes["area_systems"] == {"2": "kostat_province"}
    assert table.frame["axis1"].tolist() == ["00", "21", "22", "23"]


def test_codes_that_cannot_be_told_stay_text_with_a_note(server: StatisticsServer, tmp_path: Path) -> None:
    server.kosis["DT_S"] = small({"77": "어디", "78": "거기"})
    (table,) = read_source("kosis", got(server, SMALL, tmp_path).kept.path)
    assert table.notes["area_systems"]["2"].startswith("정하지 못함")
    assert set(table.frame["area_system"]) == {""}
    assert table.frame["axis1"].tolist() == ["77", "78"]


def test_the_region_axis_is_found_by_its_name_or_told(server: StatisticsServer, tmp_path: Path) -> None:
    server.kosis["DT_S"] = small({"11": "서울특별시"}, name="소재")
    path = got(server, SMALL, tmp_path).kept.path
    assert read_source("kosis", path)[0].notes["region_axis"] == ""
    told = read_source("kosis", path, options={"region_axis": 1})[0]
    assert told.notes["region_axis"] == "axis1"
    with pytest.raises(ValueProblem, match="분류 3 이"):
        read_source("kosis", path, options={"region_axis": 3})
    with pytest.raises(PlanError, match="모르는 옵션"):
        read_source("kosis", path, options={"axis": 3})


def test_values_are_text_and_what_is_missing_is_counted(server: StatisticsServer, tmp_path: Path) -> None:
    codes = {str(i): f"지역{i}" for i in range(10, 19)}
    values = dict(zip(codes, ["1,234", "-", "", "…", "X", "△5", "0", "12.50", " 7 "], strict=True))
    server.kosis["DT_S"] = small(codes, values)
    (table,) = read_source("kosis", got(server, SMALL, tmp_path).kept.path)
    np.testing.assert_array_equal(
        table.frame["value"].to_numpy(), [1234, np.nan, np.nan, np.nan, np.nan, -5, 0, 12.5, 7]
    )
    repairs = {repair.kind: repair.count for repair in table.repairs}
    assert repairs["비밀 보호로 가린 값을 빈 값으로 읽음"] == 1
    assert repairs["천 단위 쉼표 뺌"] == 1
    assert repairs["음수 표기(△·괄호) 읽음"] == 1
    assert any("빈 값(으)로 읽음" in kind for kind in repairs)
    assert "4" in table.flow[-1].example


def test_a_value_that_is_no_number_has_its_place(server: StatisticsServer, tmp_path: Path) -> None:
    server.kosis["DT_S"] = small({"11": "서울", "26": "부산"}, {"26": "=1+1"})
    path = got(server, SMALL, tmp_path).kept.path
    with pytest.raises(ValueProblem, match="수로 읽을 수 없는 값 '=1\\+1'") as told:
        read_source("kosis", path)
    assert told.value.where[1:] == ("2행", "열 DT")


def test_quarters_and_their_labels(server: StatisticsServer, tmp_path: Path) -> None:
    server.kosis["DT_S"] = KosisTable(
        "101",
        "DT_S",
        "분기",
        {"T": ("값", "명")},
        [("시도별", {"11": "서울"})],
        ["202003", "202004", "202101"],
        number,
        kind="Q",
    )
    query = KosisQuery("101", "DT_S", period="Q", first="2020", last="2021")
    (table,) = read_source("kosis", got(server, query, tmp_path).kept.path)
    assert table.frame["period"].tolist() == ["2020-Q3", "2020-Q4", "2021-Q1"]
    assert table.frame["year"].tolist() == [2020, 2020, 2021]
    assert table.frame["part"].tolist() == [3, 4, 1]
    assert "breaks" not in table.notes


def test_breaks_of_the_statistic_travel_with_its_table(server: StatisticsServer, tmp_path: Path) -> None:
    server.kosis["DT_1K52B01"] = KosisTable(
        "101",
        "DT_1K52B01",
        "전국사업체조사",
        {"T": ("사업체수", "개")},
        [("시도별", {"11": "서울"})],
        ["2019", "2020"],
        number,
    )
    query = KosisQuery("101", "DT_1K52B01", first="2019", last="2020")
    (table,) = read_source("kosis", got(server, query, tmp_path).kept.path)
    assert 2020 in [note["period"] for note in table.notes["breaks"]]
    assert break_table_of("101 DT_1B040A3") == ""


def test_records_of_one_service_are_not_read_as_the_other(server: StatisticsServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ECOS에서 받은 기록임"):
        read_source("kosis", got(server, PRICES, tmp_path).kept.path)
    with pytest.raises(UsageError, match="KOSIS에서 받은 기록임"):
        read_source("ecos", got(server, POPULATION, tmp_path).kept.path)


def test_two_fetches_of_one_series_are_not_read_together(
    server: StatisticsServer, tmp_path: Path, clock: list[str]
) -> None:
    first = got(server, PRICES, tmp_path).kept.path
    table = consumer_prices()
    table.rows[0] = (*table.rows[0][:2], "79.90")
    server.ecos["901Y009"] = table
    clock.append("2025-02-01T00:00:00Z")
    second = got(server, PRICES, tmp_path).kept.path
    with pytest.raises(ValueProblem, match="에도 있는 열쇠"):
        read_source("deflator", [first, second])


def test_a_table_is_kept_after_reading_like_any_other(server: StatisticsServer, tmp_path: Path) -> None:
    path = got(server, POPULATION, tmp_path).kept.path
    folder = TableStore(tmp_path / "tables", code="c")
    (first,) = read_source("kosis", path, store=folder)
    again = TableStore(tmp_path / "tables", code="c")
    (second,) = read_source("kosis", path, store=again)
    assert again.kept == [path.name]
    assert second.frame.equals(first.frame)
    assert dict(second.notes) == dict(first.notes)


# -- price indices ---------------------------------------------------------------------------------------------


def test_a_deflator_comes_from_a_record_as_from_a_file(server: StatisticsServer, tmp_path: Path) -> None:
    path = got(server, PRICES, tmp_path).kept.path
    (table,) = read_source("deflator", path)
    assert table.spec.name == "deflator"
    assert table.frame["year"].tolist() == list(range(2010, 2025))
    assert table.frame["index"].tolist() == [80.0 + 2 * i for i in range(15)]
    assert "2020=100" in table.frame["remark"].iloc[0]
    file = tmp_path / "물가.csv"
    file.write_text(
        "연도,지수\n" + "".join(f"{y},{80 + 2 * (y - 2010):.2f}\n" for y in range(2010, 2025)),
        encoding="utf-8",
    )
    (other,) = read_source("deflator", file)
    assert other.frame[["year", "index"]].equals(table.frame[["year", "index"]])


def test_one_index_of_several_must_be_chosen(server: StatisticsServer, tmp_path: Path) -> None:
    path = got(server, EcosQuery("901Y009", first="2010", last="2024"), tmp_path).kept.path
    with pytest.raises(SchemaError, match="항목이 여럿") as told:
        read_source("deflator", path)
    assert "0(총지수)" in told.value.remedy
    (table,) = read_source("deflator", path, options={"item": "A"})
    assert table.frame["index"].iloc[0] == 81.5
    assert [step.rows for step in table.flow] == [30, -15, 15]
    with pytest.raises(SchemaError, match="항목 Z 이"):
        read_source("deflator", path, options={"item": "Z"})


def test_a_monthly_index_is_the_mean_of_whole_years(server: StatisticsServer, tmp_path: Path) -> None:
    times = [f"{year}{month:02d}" for year in (2020, 2021) for month in range(1, 13)] + ["202201", "202202"]
    rows = [((("*AA", "총지수"),), time, f"{100 + i}") for i, time in enumerate(times)]
    server.ecos["404Y014"] = EcosTable("404Y014", "생산자물가지수", "M", rows)
    query = EcosQuery("404Y014", items=("*AA",), period="M", first="2020", last="2022")
    (table,) = read_source("deflator", got(server, query, tmp_path).kept.path)
    assert table.frame["year"].tolist() == [2020, 2021]
    assert table.frame["index"].tolist() == [sum(range(100, 112)) / 12, sum(range(112, 124)) / 12]
    assert sum(step.rows for step in table.flow[:-1]) == table.flow[-1].rows == 2


@pytest.mark.parametrize(
    ("cycle", "time", "value", "words"),
    [
        ("Q", "2020Q1", "100", "연간이나 월간이 아닌"),
        ("A", "2020", "-", "물가지수가 없거나"),
        ("A", "2020", "0.4", "1보다 작음"),
        ("M", "202001", "100", "온전한 해가 하나도"),
    ],
)
def test_what_gives_no_annual_index(
    server: StatisticsServer, tmp_path: Path, cycle: str, time: str, value: str, words: str
) -> None:
    server.ecos["1X"] = EcosTable("404Y014", "지수", cycle, [((("0", "총"),), time, value)])
    server.ecos["404Y014"] = server.ecos.pop("1X")
    query = EcosQuery("404Y014", period=cycle, first="2020", last="2020")
    with pytest.raises(DataError, match=words):
        read_source("deflator", got(server, query, tmp_path).kept.path)


def test_options_of_files_and_records_are_not_mixed(server: StatisticsServer, tmp_path: Path) -> None:
    path = got(server, PRICES, tmp_path).kept.path
    with pytest.raises(UsageError, match="쓸 수 없는 옵션 sheet"):
        read_source("deflator", path, options={"sheet": "x"})
    file = tmp_path / "물가.csv"
    file.write_text("연도,지수\n2020,100\n", encoding="utf-8")
    with pytest.raises(UsageError, match="item 은 ECOS"):
        read_source("deflator", file, options={"item": "0"})


# -- catalogue -------------------------------------------------------------------------------------------------


def test_the_catalogue_serves_every_outcome_and_says_how_sure_it_is() -> None:
    outcomes = {entry.outcome for entry in catalogue().values()}
    assert outcomes >= {"고용", "매출", "이전", "생존", "물가", "인구", "사업체", "GRDP", "R&D"}
    assert (series("cpi").code, series("ppi").code, series("gdp_deflator").code) == (
        "901Y009/0", "404Y014/*AA", "200Y112/10601",
    )  # fmt: skip
    for name in ("establishments", "establishments_province", "workers_municipality"):
        assert series(name).status == "verify"
    for name, entry in catalogue().items():
        if entry.source == "none":
            with pytest.raises(UsageError, match="통계표 번호를 알지 못함"):
                entry.query(this_year=2026)
        else:
            record = entry.query(this_year=2026).record()
            assert record["last"] in ("2025", "2019"), name
    with pytest.raises(UsageError, match="모르는 계열") as told:
        series("populaton")
    assert "population" in told.value.remedy


def test_the_readme_table_has_a_row_for_every_series() -> None:
    lines = markdown().splitlines()
    assert len(lines) == 2 + len(catalogue())
    assert len({line.count("|") for line in lines}) == 1
    assert "`901Y009/0`" in markdown()
    assert "확인 필요" in markdown()
