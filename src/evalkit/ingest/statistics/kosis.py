"""KOSIS: data by parameters or by a registered form, meta data, search and list (development guide, kosis.kr/openapi)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from evalkit.errors import UsageError, ValueProblem, nearest
from evalkit.ingest.statistics import shapes
from evalkit.ingest.statistics.connection import PLACEHOLDER, Connection
from evalkit.ingest.statistics.faults import KOSIS_LIMIT, ServiceFailure, ServiceRefusal, shown
from evalkit.ingest.statistics.fetched import Answer, Citation, Fetched, now
from evalkit.ingest.statistics.periods import (
    KINDS,
    kosis_text,
    read_period,
)
from evalkit.ingest.statistics.queries import ALL, KosisQuery, kosis_cell
from evalkit.ingest.statistics.replies import read_reply, records
from evalkit.ingest.statistics.shapes import Codes, Part

META_KINDS = ("TBL", "ORG", "PRD", "ITM", "CMMT", "UNIT", "SOURCE", "WGT", "NCD")
_DATA = "Param/statisticsParameterData.do"
Rows = list[dict[str, Any]]
Progress = Callable[[int, int], None]


def _ask(
    connection: Connection, path: str, query: Mapping[str, str], where: tuple[str, ...], role: str
) -> tuple[Answer, Rows]:
    """One question with its rows; blanks in a value become «+», which KOSIS reads as «and»."""
    target = f"{path}?{urlencode({**query, 'format': 'json', 'jsonVD': 'Y'})}&apiKey={PLACEHOLDER}"

    def read(content: bytes) -> Rows:
        return records(read_reply(content, "kosis", where=where), "kosis", where=where)

    content, rows = connection.get(target, read, where=where)
    return Answer(role, {"path": path, **query}, content, now(), len(rows)), rows


def kosis_meta(connection: Connection, org: str, table: str, kind: str) -> tuple[Answer, Rows]:
    """One kind of what KOSIS says of a table: TBL, ORG, PRD, ITM, CMMT, UNIT, SOURCE, WGT, NCD.

    Raises
    ------
    UsageError : no such kind
    ServiceRefusal, ServiceFailure : as the service answers
    """
    if kind not in META_KINDS:
        raise UsageError(f"모르는 설명 종류 {kind!r}", remedy=nearest(kind, META_KINDS))
    query = {"method": "getMeta", "type": kind, "orgId": org, "tblId": table}
    return _ask(connection, "statisticsData.do", query, (f"{org} {table}", kind), f"meta:{kind}")


def kosis_search(connection: Connection, words: str, *, count: int = 20) -> Rows:
    """Tables whose name or description has the words."""
    query = {
        "method": "getList",
        "searchNm": words,
        "startCount": "1",
        "resultCount": str(count),
        "sort": "RANK",
    }
    return _ask(connection, "statisticsSearch.do", query, (f"검색 {shown(words, 40)}",), "search")[1]


def kosis_list(connection: Connection, *, view: str = "MT_ZTITLE", parent: str = "A") -> Rows:
    """The tables and folders below a folder of a list of KOSIS (MT_ZTITLE: by subject)."""
    query = {"method": "getList", "vwCd": view, "parentListId": parent}
    return _ask(connection, "statisticsList.do", query, (f"목록 {view} {parent}",), "list")[1]


# -- data -----------------------------------------------------------------------------------------------


def fetch_kosis(
    connection: Connection,
    query: KosisQuery,
    *,
    limit: int = KOSIS_LIMIT,
    progress: Progress | None = None,
) -> Fetched:
    """Every cell of a question, in as many answers as the service needs, joined and checked.

    The description of the table (items, categories) is asked first: it says whether the question fits the table and how
    many cells it has. Parts without data are counted, not hidden.

    Raises
    ------
    UsageError : codes that the table does not have, or another number of axes
    ServiceRefusal, ServiceFailure : as the service answers; a cell that came twice, or one that was not asked
    """
    answers: list[Answer] = []
    part = Part(Codes(()), (), query.periods, query.newest)
    if not query.registered:
        answer, described = kosis_meta(connection, query.org, query.table, "ITM")
        answers.append(answer)
        part = table_part(query, described)
    gathered = _Gathered(query)
    waiting = shapes.divided(part, limit)
    total, done = len(waiting), 0
    while waiting:
        piece = waiting.pop(0)
        try:
            answer, rows = _ask(connection, *_question(query, piece), query.where(), "data")
        except ServiceFailure as failure:
            halves = shapes.halved(piece) if failure.code == "31" else None
            if halves is None and failure.code != "30":
                raise
            if halves:
                waiting[:0] = halves
                total += len(halves) - 1
                continue
            gathered.empty.append(failure)
        else:
            answers.append(answer)
            gathered.add(piece, rows)
        done += 1
        if progress:
            progress(done, total)
    if not gathered.rows:
        raise gathered.empty[0] if gathered.empty else _nothing(query)
    org, table = (str(gathered.rows[0].get(name, "")) for name in ("ORG_ID", "TBL_ID"))
    told, citation, notes = _citation(connection, org or query.org, table or query.table, gathered.rows)
    return Fetched(
        "kosis",
        query.record(),
        (*answers, *told),
        tuple(gathered.rows),
        citation,
        expected=part.cells if part.items.codes else 0,
        empty_parts=len(gathered.empty),
        notes=notes,
    )


def _nothing(query: KosisQuery) -> ServiceFailure:
    return ServiceFailure(
        "응답에 행이 하나도 없음",
        where=("KOSIS", *query.where()),
        remedy="기간과 코드를 확인할 것",
        code="30",
    )


def _question(query: KosisQuery, part: Part) -> tuple[str, dict[str, str]]:
    """Path and parameters of a part."""
    asked = {"method": "getList", "prdSe": query.period}
    if part.newest:
        asked["newEstPrdCnt"] = str(part.newest)
    else:
        asked |= {"startPrdDe": kosis_text(part.periods[0]), "endPrdDe": kosis_text(part.periods[-1])}
    if query.registered:
        return "statisticsData.do", {**asked, "userStatsId": query.registered}
    asked |= {"orgId": query.org, "tblId": query.table, "itmId": part.items.text()}
    return _DATA, asked | {f"objL{i}": codes.text() for i, codes in enumerate(part.axes, start=1)}


def table_part(query: KosisQuery, described: Sequence[Mapping[str, Any]]) -> Part:
    """The whole question as a part: what ALL means, by the table's own description (meta ITM).

    Raises
    ------
    UsageError : another number of axes than the table has, or a code that it does not have
    """
    items = _unique(row.get("ITM_ID") for row in described if row.get("OBJ_ID") == "ITEM")
    axes: dict[str, tuple[str, list[str]]] = {}
    order: dict[str, int] = {}
    for row in described:
        axis = str(row.get("OBJ_ID", ""))
        if axis and axis != "ITEM":
            axes.setdefault(axis, (str(row.get("OBJ_NM", axis)), []))[1].append(str(row.get("ITM_ID", "")))
            number = str(row.get("OBJ_ID_SN") or "")
            order.setdefault(axis, int(number) if number.isdigit() else 99)
    known = [axes[axis] for axis in sorted(axes, key=lambda axis: order[axis])]
    if not known or not items:
        return Part(
            _asked((), query.items, "항목", query),
            tuple(_asked((), c, "", query) for c in query.axes),
            query.periods,
            query.newest,
        )
    if len(known) != len(query.axes):
        names = ", ".join(shown(name, 30) for name, _ in known)
        raise ServiceRefusal(
            f"이 통계표의 분류는 {len(known)}개({names})인데 {len(query.axes)}개를 적음",
            where=("KOSIS", *query.where()),
            remedy=f"--axes {','.join(['ALL'] * len(known))} 처럼 적을 것",
            code="axes",
        )
    lists = tuple(
        _asked(_unique(codes), asked, name, query)
        for (name, codes), asked in zip(known, query.axes, strict=True)
    )
    return Part(_asked(items, query.items, "항목", query), lists, query.periods, query.newest)


def _unique(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def _asked(known: tuple[str, ...], asked: tuple[str, ...], name: str, query: KosisQuery) -> Codes:
    """The codes behind what was asked of one list."""
    if asked == ALL:
        return Codes(known, whole=True)
    codes = _unique(asked)
    strange = [code for code in codes if known and code not in known]
    if strange:
        raise ServiceRefusal(
            f"{shown(name, 30)}에 없는 코드 {shown(strange[0], 30)}",
            where=("KOSIS", *query.where()),
            remedy=nearest(strange[0], known)
            if len(known) <= 30
            else f"evalkit fetch meta 로 코드 {len(known):,}개를 볼 것",
            code="codes",
        )
    return Codes(codes, whole=False)


class _Gathered:
    """Rows joined over the parts of a question; every cell once, and only cells that were asked."""

    def __init__(self, query: KosisQuery) -> None:
        self.rows: Rows = []
        self.empty: list[ServiceFailure] = []
        self._query = query
        self._seen: set[tuple[str, ...]] = set()

    def add(self, part: Part, rows: Rows) -> None:
        periods = {kosis_text(period) for period in part.periods}
        lists = [
            (name, set(codes.codes))
            for name, codes in zip(("ITM_ID", *(f"C{i}" for i in range(1, 9))), part.lists, strict=False)
            if not codes.whole and codes.codes
        ]
        irregular = self._query.period in ("IR", "F", "D")
        for row in rows:
            cell = kosis_cell(row)
            strange = self._strange(row, periods if not irregular else set(), lists)
            if strange or cell in self._seen:
                told = f"묻지 않은 칸({strange})" if strange else "같은 칸을 두 번"
                raise ServiceFailure(
                    f"KOSIS가 {told} 보냄: {shown(' '.join(cell), 60)}",
                    where=("KOSIS", *self._query.where()),
                    remedy="기간을 나누어 다시 받고, 계속되면 통계표의 수록 방식을 물을 것",
                    code="cells",
                )
            self._seen.add(cell)
        self.rows.extend(rows)

    def _strange(self, row: Mapping[str, Any], periods: set[str], lists: list[tuple[str, set[str]]]) -> str:
        """What of a row was not asked; an empty string where all was."""
        table = str(row.get("TBL_ID", self._query.table))
        if self._query.table and table != self._query.table:
            return "통계표"
        if "PRD_DE" not in row or "DT" not in row:
            return "시점이나 값이 없음"
        if periods:
            try:
                period = read_period(str(row["PRD_DE"]), self._query.period)
            except ValueProblem:
                return f"{KINDS[self._query.period]} 주기가 아님"
            if kosis_text(period) not in periods:
                return "시점"
        return next((name for name, codes in lists if str(row.get(name, "")) not in codes), "")


def _citation(
    connection: Connection, org: str, table: str, rows: Rows
) -> tuple[list[Answer], Citation, tuple[str, ...]]:
    """Who publishes a table, from its own description; what cannot be had is noted, for the data are there already."""
    answers: list[Answer] = []
    found: dict[str, Rows] = {}
    notes: list[str] = []
    for kind in ("TBL", "ORG", "SOURCE", "CMMT") if org and table else ():
        try:
            answer, found[kind] = kosis_meta(connection, org, table, kind)
        except (ServiceFailure, ServiceRefusal) as problem:
            if problem.code == "30":  # a table without such a description
                continue
            notes.append(f"통계표 설명({kind})을 받지 못함: {problem.problem}")
            break
        answers.append(answer)

    def first(kind: str, *names: str) -> str:
        return next((shown(row[n]) for row in found.get(kind, []) for n in names if row.get(n)), "")

    title = next((shown(row["TBL_NM"]) for row in rows if row.get("TBL_NM")), "") or first("TBL", "TBL_NM")
    changed = sorted(shown(day, 20) for day in _unique(row.get("LST_CHN_DE") for row in rows))
    citation = Citation(
        organisation=first("ORG", "ORG_NM"),
        table=title,
        table_id=f"{org} {table}".strip(),
        units=tuple(shown(unit, 20) for unit in _unique(row.get("UNIT_NM") for row in rows)),
        last_change=changed[-1] if changed else "",
        source=first("SOURCE", "JOSA_NM", "STAT_NM"),
    )
    return answers, citation, tuple(notes)
