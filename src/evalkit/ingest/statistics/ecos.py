"""ECOS of the Bank of Korea: StatisticSearch by pages, items of a table, list of tables (ecos.bok.or.kr/api)."""

from __future__ import annotations

from urllib.parse import quote

from evalkit.ingest.statistics.connection import PLACEHOLDER, Connection
from evalkit.ingest.statistics.faults import ServiceFailure, shown
from evalkit.ingest.statistics.fetched import Answer, Citation, Fetched, now
from evalkit.ingest.statistics.kosis import Progress, Rows
from evalkit.ingest.statistics.periods import (
    ecos_cycle,
)
from evalkit.ingest.statistics.queries import EcosQuery, ecos_cell
from evalkit.ingest.statistics.replies import read_reply

PAGE = 1000
"""Rows of one answer."""


def _page(
    connection: Connection, service: str, start: int, tail: tuple[str, ...], where: tuple[str, ...], role: str
) -> tuple[Answer, Rows, int]:
    """One page: the answer, its rows, and how many rows there are in all."""
    end = start + PAGE - 1
    path = "/".join(quote(part, safe="*") for part in (str(start), str(end), *tail))

    def read(content: bytes) -> tuple[Rows, int]:
        value = read_reply(content, "ecos", where=where)
        body = value.get(service) if isinstance(value, dict) else None
        rows = body.get("row") if isinstance(body, dict) else None
        total = str(body.get("list_total_count", "")) if isinstance(body, dict) else ""
        if (
            not isinstance(rows, list)
            or not all(isinstance(row, dict) for row in rows)
            or not total.isdigit()
        ):
            raise ServiceFailure(
                f"응답에 {service} 의 행이 없음",
                where=("ECOS", *where),
                remedy="서비스의 응답 꼴이 바뀌었는지 개발 안내를 볼 것",
                code="form",
            )
        return rows, int(total)

    content, (rows, total) = connection.get(f"{service}/{PLACEHOLDER}/json/kr/{path}", read, where=where)
    return Answer(role, {"path": f"{service}/json/kr/{path}"}, content, now(), len(rows)), rows, total


def _pages(
    connection: Connection,
    service: str,
    tail: tuple[str, ...],
    where: tuple[str, ...],
    role: str,
    progress: Progress | None = None,
) -> tuple[list[Answer], Rows]:
    """Every row, page by page, up to the count that the first page gives."""
    answers: list[Answer] = []
    rows: Rows = []
    total = -1
    while total < 0 or len(rows) < total:
        answer, found, count = _page(connection, service, len(rows) + 1, tail, where, role)
        short = not found or (len(found) < PAGE and len(rows) + len(found) < count)
        if (total >= 0 and count != total) or short or len(rows) + len(found) > count:
            raise ServiceFailure(
                f"쪽마다 행의 수가 어긋남 (모두 {max(total, count):,}행이라는데 {len(rows) + len(found):,}행이 옴)",
                where=("ECOS", *where),
                remedy="받는 동안 자료가 바뀐 것일 수 있으니 다시 받을 것",
                code="rows",
            )
        total = count
        answers.append(answer)
        rows.extend(found)
        if progress:
            progress(len(answers), -(-total // PAGE))
    return answers, rows


def ecos_items(connection: Connection, stat: str) -> Rows:
    """The items of a table with their codes, periods and units (StatisticItemList)."""
    return _pages(connection, "StatisticItemList", (stat,), (stat, "항목"), "items")[1]


def ecos_tables(connection: Connection, stat: str = "") -> Rows:
    """The tables of ECOS, or those below one (StatisticTableList)."""
    return _pages(connection, "StatisticTableList", (stat,) if stat else (), ("통계표 목록",), "tables")[1]


def fetch_ecos(connection: Connection, query: EcosQuery, *, progress: Progress | None = None) -> Fetched:
    """Every row of a question, joined and checked.

    Raises
    ------
    ServiceRefusal, ServiceFailure : as the service answers; a row that came twice, or one that was not asked
    """
    tail = (query.stat, ecos_cycle(query.period), *query.ends, *query.items)
    answers, rows = _pages(connection, "StatisticSearch", tail, query.where(), "data", progress)
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        cell = ecos_cell(row)
        asked = row.get("STAT_CODE") == query.stat and query.covers(str(row.get("TIME", "")))
        asked = asked and all(
            str(row.get(f"ITEM_CODE{i}")) == item for i, item in enumerate(query.items, start=1)
        )
        if not asked or cell in seen or "DATA_VALUE" not in row:
            told = "같은 칸을 두 번" if cell in seen else "묻지 않은 칸을"
            raise ServiceFailure(
                f"ECOS가 {told} 보냄: {shown(' '.join(cell), 60)}",
                where=("ECOS", *query.where()),
                remedy="다시 받고, 계속되면 항목 코드와 주기를 확인할 것",
                code="cells",
            )
        seen.add(cell)
    return Fetched("ecos", query.record(), tuple(answers), tuple(rows), _citation(query, rows))


def _citation(query: EcosQuery, rows: Rows) -> Citation:
    name = next((shown(row["STAT_NAME"]) for row in rows if row.get("STAT_NAME")), "")
    units = dict.fromkeys(shown(row["UNIT_NAME"], 20) for row in rows if row.get("UNIT_NAME"))
    return Citation("한국은행", name, query.stat, tuple(units), "", "경제통계시스템(ECOS)")
