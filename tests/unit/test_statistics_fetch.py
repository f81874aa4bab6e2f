"""KOSIS and ECOS: forms of a question, dividing what is too large, joining without loss or repetition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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

from evalkit.errors import UsageError, ValueProblem
from evalkit.ingest.statistics.connection import Connection, Limits
from evalkit.ingest.statistics.ecos import ecos_items, ecos_tables, fetch_ecos
from evalkit.ingest.statistics.faults import ServiceFailure, ServiceRefusal
from evalkit.ingest.statistics.fetched import Fetched
from evalkit.ingest.statistics.kosis import fetch_kosis, kosis_list, kosis_meta, kosis_search
from evalkit.ingest.statistics.periods import (
    Period,
    asked_period,
    ecos_text,
    kind_of,
    kosis_text,
    read_period,
    span,
)
from evalkit.ingest.statistics.queries import EcosQuery, KosisQuery, kosis_cell

QUICK = Limits(10_000, 1.0, attempts=2, wait=0.001, timeout=5.0, deadline=30.0)


def months(first: int, last: int) -> list[str]:
    return [f"{year}{month:02d}" for year in range(first, last + 1) for month in range(1, 13)]


def workers() -> KosisTable:
    """Two axes with gaps: an industry that two regions do not have, and values that are not numbers."""
    regions = {"00": "전국", "11": "서울특별시", "21": "부산광역시", "39": "제주특별자치도"}
    industries = {f"{letter}": f"{letter} 산업" for letter in "ABCDEFGH"}

    def value(cell: tuple[str, ...]) -> str | None:
        _, region, industry, year = cell
        if industry == "B" and region in ("11", "39"):
            return None
        return "-" if industry == "H" and year == "2019" else number(cell)

    items = {"T1": ("사업체수", "개"), "T2": ("종사자수", "명")}
    axes = [("시도별", regions), ("산업별", industries)]
    return KosisTable(
        "118", "DT_118N_SAUP75", "사업체노동실태현황", items, axes, [str(y) for y in range(2016, 2024)], value
    )


@pytest.fixture
def server() -> Iterator[StatisticsServer]:
    tables = {table.table: table for table in (population(), workers())}
    with StatisticsServer(kosis=tables, ecos={"901Y009": consumer_prices()}) as running:
        running.registered["someone/101/DT_1B040A3/2/1/20250101"] = "DT_1B040A3"
        yield running


def kosis(server: StatisticsServer) -> Connection:
    return Connection("kosis", ApiKey_("kosis"), base_url=f"{server.base}/kosis", limits=QUICK)


def ecos(server: StatisticsServer) -> Connection:
    return Connection("ecos", ApiKey_("ecos"), base_url=f"{server.base}/ecos", limits=QUICK)


def ApiKey_(source: str) -> Any:
    from evalkit.ingest.statistics.keys import ApiKey

    return ApiKey(source, {"kosis": KOSIS_KEY, "ecos": ECOS_KEY}[source], "시험")


def fetched(server: StatisticsServer, query: KosisQuery | EcosQuery, **how: Any) -> Fetched:
    if isinstance(query, KosisQuery):
        with kosis(server) as connection:
            return fetch_kosis(connection, query, **how)
    with ecos(server) as connection:
        return fetch_ecos(connection, query, **how)


def truth(table: KosisTable) -> dict[tuple[str, ...], str]:
    """Every cell of a table, from what wrote it."""
    cells: list[tuple[str, ...]] = [(item,) for item in table.items]
    for _, codes in table.axes:
        cells = [(*cell, code) for cell in cells for code in codes]
    whole = [(*cell, period) for cell in cells for period in table.periods]
    return {cell: value for cell in whole if (value := table.value(cell)) is not None}


def got(result: Fetched, axes: int) -> dict[tuple[str, ...], str]:
    keys = [(r["ITM_ID"], *(r[f"C{i}"] for i in range(1, axes + 1)), r["PRD_DE"]) for r in result.rows]
    assert len(set(keys)) == len(keys)
    return {key: row["DT"] for key, row in zip(keys, result.rows, strict=True)}


WORKERS = KosisQuery("118", "DT_118N_SAUP75", axes=(("ALL",), ("ALL",)), first="2016", last="2023")
POPULATION = KosisQuery("101", "DT_1B040A3", first="2015", last="2024")


# -- KOSIS ------------------------------------------------------------------------------------------------


def test_a_question_below_the_limit_is_one_answer(server: StatisticsServer) -> None:
    result = fetched(server, WORKERS)
    assert got(result, 2) == truth(workers())
    assert len(server.sizes) == 1
    assert result.expected == 2 * 4 * 8 * 8
    assert "itmId=ALL" in " ".join(server.asked)
    assert result.citation.units == ("개", "명")
    assert result.citation.last_change == "2025-01-03"
    assert (result.citation.organisation, result.citation.source) == ("국가데이터처", "모의통계조사")
    assert [answer.role for answer in result.answers] == [
        "meta:ITM",
        "data",
        "meta:TBL",
        "meta:ORG",
        "meta:SOURCE",
    ]


@pytest.mark.parametrize("limit", [512, 511, 200, 64, 63, 17, 8, 3, 1])
def test_a_question_over_the_limit_is_divided_and_joined_whole(server: StatisticsServer, limit: int) -> None:
    server.limit = limit
    result = fetched(server, WORKERS, limit=limit)
    assert got(result, 2) == truth(workers())
    assert max(server.sizes) <= limit
    gaps = [answer for answer in result.answers if answer.role == "data" and answer.rows == 0]
    assert not gaps
    assert (result.empty_parts > 0) == (limit <= 3)  # single cells of an industry that a region does not have


def test_too_many_cells_by_the_services_own_count_is_halved_until_it_fits(server: StatisticsServer) -> None:
    server.limit, server.hidden_factor = 100, 7
    result = fetched(server, WORKERS, limit=100)
    assert got(result, 2) == truth(workers())
    assert max(server.sizes) * 7 <= 100
    refused = [path for path in server.asked if "statisticsParameterData" in path]
    assert len(refused) > len(server.sizes)


def test_a_single_cell_that_is_too_many_is_told(server: StatisticsServer) -> None:
    server.limit = 0
    query = KosisQuery("101", "DT_1B040A3", items=("T20",), axes=(("11",),), first="2020", last="2020")
    with pytest.raises(ServiceFailure, match="40,000칸을 넘음") as told:
        fetched(server, query)
    assert told.value.code == "31"


def test_a_table_without_a_description_is_divided_by_period_only(server: StatisticsServer) -> None:
    described = server._meta
    server._meta = lambda query: [] if query["type"] == "ITM" else described(query)  # type: ignore[method-assign]
    server.limit = 14
    result = fetched(server, POPULATION)
    assert got(result, 1) == truth(population())
    assert result.expected == 0
    server.limit = 13
    with pytest.raises(ServiceFailure, match="40,000칸을 넘음"):
        fetched(server, POPULATION)


def test_codes_asked_by_name_arrive_and_no_others(server: StatisticsServer) -> None:
    query = KosisQuery(
        "118", "DT_118N_SAUP75", items=("T2",), axes=(("11", "21"), ("A", "C")), first="2018", last="2019"
    )
    result = fetched(server, query)
    wanted = {
        cell: value
        for cell, value in truth(workers()).items()
        if cell[0] == "T2"
        and cell[1] in ("11", "21")
        and cell[2] in ("A", "C")
        and cell[3] in ("2018", "2019")
    }
    assert got(result, 2) == wanted
    assert "objL1=11+21&objL2=A+C" in " ".join(server.asked)


def test_a_list_of_codes_too_long_for_an_address_is_divided(server: StatisticsServer) -> None:
    table = population(range(2023, 2024), towns=2000)
    server.kosis["DT_1B040A3"] = table
    codes = tuple(list(table.axes[0][1])[1:])
    query = KosisQuery("101", "DT_1B040A3", items=("T20",), axes=(codes,), first="2023", last="2023")
    result = fetched(server, query)
    assert len(result.rows) == len(codes)
    assert len(server.sizes) > 1
    assert max(map(len, server.asked)) < 4000


def test_the_newest_periods(server: StatisticsServer) -> None:
    query = KosisQuery("101", "DT_1B040A3", items=("T20",), newest=3)
    assert {row["PRD_DE"] for row in fetched(server, query).rows} == {"2022", "2023", "2024"}
    server.limit = 9
    server.sizes.clear()
    result = fetched(server, query, limit=9)
    assert len(got(result, 1)) == 3 * 7
    assert max(server.sizes) <= 9


def test_the_registered_form(server: StatisticsServer) -> None:
    query = KosisQuery(registered="someone/101/DT_1B040A3/2/1/20250101", first="2015", last="2024")
    server.limit = 100
    result = fetched(server, query)
    assert got(result, 1) == truth(population())
    assert len(server.sizes) == 2
    assert result.citation.table_id == "101 DT_1B040A3"
    strange = KosisQuery(registered="nobody/1/2", first="2015", last="2024")
    with pytest.raises(ServiceRefusal, match="꼭 필요한 값"):
        fetched(server, strange)


def test_monthly_periods(server: StatisticsServer) -> None:
    table = KosisTable(
        "101",
        "DT_M",
        "월간",
        {"T": ("값", "명")},
        [("지역", {"00": "전국", "11": "서울"})],
        months(2020, 2023),
        number,
        kind="M",
    )
    server.kosis["DT_M"] = table
    server.limit = 20
    query = KosisQuery("101", "DT_M", period="M", first="2020-03", last="2022")
    result = fetched(server, query, limit=20)
    wanted = {c: v for c, v in truth(table).items() if "202003" <= c[-1] <= "202212"}
    assert got(result, 1) == wanted
    assert max(server.sizes) <= 20


def test_parts_without_data_are_counted_and_none_at_all_is_told(server: StatisticsServer) -> None:
    server.limit = 14
    query = KosisQuery("101", "DT_1B040A3", first="2010", last="2024")
    result = fetched(server, query, limit=14)
    assert result.empty_parts == 5
    assert got(result, 1) == truth(population())
    with pytest.raises(ServiceFailure, match="자료가 없음") as told:
        fetched(server, KosisQuery("101", "DT_1B040A3", first="1990", last="1995"))
    assert told.value.code == "30"


def test_the_wrong_number_of_axes_is_told_before_data_are_asked(server: StatisticsServer) -> None:
    for axes in ((("ALL",),), (("ALL",),) * 3):
        with pytest.raises(ServiceRefusal, match=r"분류는 2개\(시도별, 산업별\)인데") as told:
            fetched(server, KosisQuery("118", "DT_118N_SAUP75", axes=axes, first="2016", last="2017"))
        assert told.value.remedy == "--axes ALL,ALL 처럼 적을 것"
    assert not server.sizes


def test_a_code_that_the_table_does_not_have_names_the_nearest(server: StatisticsServer) -> None:
    with pytest.raises(ServiceRefusal, match="항목에 없는 코드 T3"):
        fetched(
            server, KosisQuery("118", "DT_118N_SAUP75", items=("T3",), axes=(("ALL",),) * 2, first="2016")
        )
    with pytest.raises(ServiceRefusal, match="시도별에 없는 코드 26") as told:
        fetched(server, KosisQuery("118", "DT_118N_SAUP75", axes=(("26",), ("ALL",)), first="2016"))
    assert "쓸 수 있는 이름" in told.value.remedy


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda rows: [*rows, rows[0]], "같은 칸을 두 번"),
        (lambda rows: [{**rows[0], "PRD_DE": "2031"}], "묻지 않은 칸.*시점"),
        (lambda rows: [{**rows[0], "PRD_DE": "2020Q1"}], "연 주기가 아님"),
        (lambda rows: [{**rows[0], "C1": "39"}], "묻지 않은 칸.*C1"),
        (lambda rows: [{**rows[0], "TBL_ID": "DT_OTHER"}], "묻지 않은 칸.*통계표"),
        (lambda rows: [{k: v for k, v in rows[0].items() if k != "DT"}], "시점이나 값이 없음"),
        (lambda rows: {"strange": rows}, "행의 목록이 아님"),
        (lambda rows: [1, 2], "행의 목록이 아님"),
        (lambda rows: [], "행이 하나도 없음"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_is_refused(
    server: StatisticsServer, tamper: Any, words: str
) -> None:
    server.tamper = tamper
    query = KosisQuery("101", "DT_1B040A3", axes=(("11", "26"),), first="2015", last="2016")
    with pytest.raises(ServiceFailure, match=words):
        fetched(server, query)


def test_a_repetition_over_two_answers_is_seen(server: StatisticsServer) -> None:
    kept: list[dict[str, Any]] = []

    def again(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept.extend(rows)
        return list(kept)

    server.tamper = again
    with pytest.raises(ServiceFailure, match=r"묻지 않은 칸|같은 칸을 두 번"):
        fetched(server, POPULATION, limit=50)


def test_data_are_not_lost_when_the_description_cannot_be_had(server: StatisticsServer) -> None:
    described = server._meta

    def failing(query: dict[str, str]) -> Any:
        return described(query) if query["type"] in ("ITM", "TBL") else {"err": "50", "errMsg": "서버오류"}

    server._meta = failing  # type: ignore[method-assign]
    result = fetched(server, WORKERS)
    assert got(result, 2) == truth(workers())
    assert result.notes == ("통계표 설명(ORG)을 받지 못함: KOSIS 서버의 오류임 (응답 50) (2번 물음)",)
    assert result.citation.table == "사업체노동실태현황"
    assert result.citation.organisation == ""


def test_meta_search_and_list(server: StatisticsServer) -> None:
    with kosis(server) as connection:
        assert kosis_meta(connection, "101", "DT_1B040A3", "PRD")[1][0]["END_PRD_DE"] == "2024"
        assert [row["TBL_ID"] for row in kosis_search(connection, "인구수")] == ["DT_1B040A3"]
        assert kosis_list(connection)[0]["LIST_NM"] == "인구"
        with pytest.raises(ServiceFailure, match="자료가 없음"):
            kosis_search(connection, "없는 말")
        with pytest.raises(UsageError, match="모르는 설명 종류"):
            kosis_meta(connection, "101", "DT_1B040A3", "ITEM")


def test_progress_counts_answers(server: StatisticsServer) -> None:
    told: list[tuple[int, int]] = []
    server.limit = 70
    fetched(server, POPULATION, limit=70, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"org": "abc", "table": "DT_1", "first": "2015"}, "기관 번호"),
        ({"org": "101", "table": "DT 1", "first": "2015"}, "통계표 번호"),
        ({"org": "101", "table": "DT_1&apiKey=x", "first": "2015"}, "통계표 번호"),
        ({"org": "101", "table": "DT_1", "axes": (), "first": "2015"}, "분류의 수"),
        ({"org": "101", "table": "DT_1", "axes": (("ALL",),) * 9, "first": "2015"}, "분류의 수"),
        ({"org": "101", "table": "DT_1", "items": ("T 1",), "first": "2015"}, "코드 'T 1'"),
        ({"org": "101", "table": "DT_1", "items": (), "first": "2015"}, "코드 ''"),
        ({"org": "101", "table": "DT_1"}, "기간이 없거나"),
        ({"org": "101", "table": "DT_1", "first": "2015", "newest": 3}, "기간이 없거나"),
        ({"org": "101", "table": "DT_1", "first": "2020", "last": "2015"}, "앞섬"),
        ({"org": "101", "table": "DT_1", "period": "W", "first": "2020"}, "모르는 주기"),
        ({"registered": "a b", "first": "2020"}, "등록 번호"),
    ],
)
def test_a_question_that_cannot_be_asked(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KosisQuery(**words)


def test_equal_questions_give_equal_records() -> None:
    one = KosisQuery("101", "DT_1", period="Y", first="2015", last="2020")
    two = KosisQuery("101", "DT_1", period="년", first=" 2015 ", last="2020")
    assert one.record() == two.record()
    assert kosis_cell({"ITM_ID": "T", "C1": "11", "C2": None, "PRD_SE": "A", "PRD_DE": "2020"})[:3] == (
        "T",
        "11",
        "",
    )


# -- ECOS ---------------------------------------------------------------------------------------------------


def daily(rows: int) -> EcosTable:
    days = [Period(2000 + i // 336, i // 28 % 12 + 1, i % 28 + 1) for i in range(rows)]
    return EcosTable(
        "731Y001",
        "환율",
        "D",
        [((("0000001", "원/달러"),), kosis_text(d), str(1000 + i)) for i, d in enumerate(days)],
    )


@pytest.mark.parametrize("rows", [1, 999, 1000, 1001, 2000, 2345])
def test_pages_are_asked_up_to_the_count_of_the_first(server: StatisticsServer, rows: int) -> None:
    server.ecos["731Y001"] = daily(rows)
    told: list[tuple[int, int]] = []
    query = EcosQuery("731Y001", items=("0000001",), period="D", first="2000", last="2010")
    result = fetched(server, query, progress=lambda done, total: told.append((done, total)))
    assert [row["DATA_VALUE"] for row in result.rows] == [str(1000 + i) for i in range(rows)]
    pages = -(-rows // 1000)
    assert len(server.sizes) == pages
    assert told[-1] == (pages, pages)


def test_items_and_tables(server: StatisticsServer) -> None:
    with ecos(server) as connection:
        assert [row["ITEM_CODE"] for row in ecos_items(connection, "901Y009")] == ["0", "A"]
        assert [row["STAT_CODE"] for row in ecos_tables(connection)] == ["901Y009"]


def test_all_items_and_a_code_with_a_star(server: StatisticsServer) -> None:
    assert len(fetched(server, EcosQuery("901Y009", first="2010", last="2024")).rows) == 30
    ppi = EcosTable("404Y014", "생산자물가지수", "A", [((("*AA", "총지수"),), "2020", "100")])
    server.ecos["404Y014"] = ppi
    assert len(fetched(server, EcosQuery("404Y014", items=("*AA",), first="2020")).rows) == 1
    assert server.asked[-1].endswith("/404Y014/A/2020/2020/*AA")


def test_a_count_that_changes_between_pages_is_refused(server: StatisticsServer) -> None:
    table = daily(1500)
    server.ecos["731Y001"] = table
    query = EcosQuery("731Y001", period="D", first="2000", last="2010")

    def grow(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        table.rows.append((table.rows[0][0], "20101231", "1"))
        return rows

    server.tamper = grow
    with pytest.raises(ServiceFailure, match="행의 수가 어긋남"):
        fetched(server, query)


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda rows: rows[:-1], "행의 수가 어긋남"),
        (lambda rows: [*rows, rows[0]], "행의 수가 어긋남"),
        (lambda rows: [rows[0], *rows[:-1]], "같은 칸을 두 번"),
        (lambda rows: [{**row, "TIME": "2031"} for row in rows], "묻지 않은 칸"),
        (lambda rows: [{**row, "ITEM_CODE1": "B"} for row in rows], "묻지 않은 칸"),
        (lambda rows: [{**row, "STAT_CODE": "X"} for row in rows], "묻지 않은 칸"),
        (lambda rows: [{k: v for k, v in row.items() if k != "DATA_VALUE"} for row in rows], "묻지 않은 칸"),
        (lambda rows: ["x"], "행이 없음"),
    ],
)
def test_an_answer_of_ecos_that_is_not_what_was_asked(
    server: StatisticsServer, tamper: Any, words: str
) -> None:
    server.tamper = tamper
    with pytest.raises(ServiceFailure, match=words):
        fetched(server, EcosQuery("901Y009", items=("0",), first="2010", last="2024"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"stat": "9", "first": "2020"}, "통계표 코드"),
        ({"stat": "901Y009/../x", "first": "2020"}, "통계표 코드"),
        ({"stat": "901Y009", "items": ("a",) * 5, "first": "2020"}, "4개를 넘거나"),
        ({"stat": "901Y009", "items": ("a/b",), "first": "2020"}, "4개를 넘거나"),
        ({"stat": "901Y009"}, "기간이 없음"),
        ({"stat": "901Y009", "period": "IR", "first": "2020"}, "ECOS에 없는 주기"),
        ({"stat": "901Y009", "first": "2020", "last": "2019"}, "앞섬"),
        ({"stat": "901Y009", "period": "D", "first": "1900", "last": "2020"}, "기간이 너무 김"),
    ],
)
def test_a_question_to_ecos_that_cannot_be_asked(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EcosQuery(**words)


# -- periods ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "period", "label"),
    [
        ("2024", "Y", Period(2024), "2024"),
        ("202402", "H", Period(2024, 2), "2024-H2"),
        ("2024S1", "H", Period(2024, 1), "2024-H1"),
        ("2024H1", "H", Period(2024, 1), "2024-H1"),
        ("202404", "Q", Period(2024, 4), "2024-Q4"),
        ("2024Q3", "Q", Period(2024, 3), "2024-Q3"),
        ("2024.10", "M", Period(2024, 10), "2024-10"),
        ("2024-1", "M", Period(2024, 1), "2024-01"),
        ("202401S2", "SM", Period(2024, 1, 2), "2024-01-S2"),
        ("2024-02-29", "D", Period(2024, 2, 29), "2024-02-29"),
        ("2024", "F", Period(2024), "2024"),
        ("2024", "IR", Period(2024), "2024"),
        ("202411", "IR", Period(2024, 11), "2024-11"),
        ("20241130", "IR", Period(2024, 11, 30), "2024-11-30"),
    ],
)
def test_periods_as_both_services_write_them(text: str, kind: str, period: Period, label: str) -> None:
    assert read_period(text, kind) == period
    assert period.label(kind) == label


@pytest.mark.parametrize(
    ("text", "kind"),
    [("202405", "Q"), ("202403", "H"), ("202413", "M"), ("20230229", "D"), ("24", "Y"), ("", "Y"), ("2024Q1", "M"),
     ("2024S1", "Q"), ("202401", "Y"), ("abc", "M"), ("202400", "M"), ("2024", "M"), ("202401S3", "SM"), ("20241301", "IR")],
)  # fmt: skip
def test_what_is_no_period(text: str, kind: str) -> None:
    with pytest.raises(ValueProblem, match="시점"):
        read_period(text, kind)


def test_spans_and_their_texts() -> None:
    assert [kosis_text(p) for p in span(Period(2023, 3), Period(2024, 2), "Q")] == [
        "202303",
        "202304",
        "202401",
        "202402",
    ]
    assert [ecos_text(p, "Q") for p in span(Period(2023, 4), Period(2024, 1), "Q")] == ["2023Q4", "2024Q1"]
    assert [ecos_text(p, "H") for p in span(Period(2023, 2), Period(2024, 1), "H")] == ["2023S2", "2024S1"]
    assert [ecos_text(p, "SM") for p in span(Period(2023, 12, 2), Period(2024, 1, 2), "SM")] == [
        "202312S2",
        "202401S1",
        "202401S2",
    ]
    assert len(span(Period(2024, 2, 28), Period(2024, 3, 1), "D")) == 3
    assert len(span(Period(2024, 1), Period(2024, 6), "IR")) == 6
    assert asked_period("2024", "M", end=True) == Period(2024, 12)
    assert asked_period("2024", "D", end=False) == Period(2024, 1, 1)
    assert asked_period("2024", "SM", end=True) == Period(2024, 12, 2)
    assert (kind_of("A"), kind_of("s"), kind_of("월")) == ("Y", "H", "M")
