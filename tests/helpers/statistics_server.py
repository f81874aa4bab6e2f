"""A server of ours that answers as KOSIS and ECOS document it: data, meta data, every error, limits, and bad days.

Real sockets on this computer. `StatisticsServer.bad` holds what the next answers do instead of answering: "reset", "timeout",
"slow", "500", "html", "cut", an error code such as "err:40" or "code:ERROR-602", …; each is used up once.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KOSIS_KEY = "TXlTZWNyZXRLb3Npc0tleS9mb3IrdGVzdHM9PQ=="
ECOS_KEY = "ECOSSECRETKEY12345678"

KOSIS_WORDS = {
    "10": "인증KEY가 누락되었습니다.",
    "11": "인증KEY가 기간만료되었습니다.",
    "20": "필수요청변수값이 누락되었습니다.",
    "21": "잘못된 요청변수를 호출하였습니다.",
    "30": "데이터가 존재하지 않습니다.",
    "31": "조회결과가 초과하였습니다.",
    "40": "호출가능건수가 제한되었습니다.",
    "41": "호출가능 ROW수가 제한되었습니다.",
    "42": "사용자별 이용이 제한되었습니다.",
    "50": "서버오류가 발생하였습니다.",
}
ECOS_WORDS = {
    "INFO-100": "인증키가 유효하지 않습니다.",
    "INFO-200": "해당하는 데이터가 없습니다.",
    "ERROR-100": "필수 값이 누락되어 있습니다.",
    "ERROR-101": "주기와 다른 형식의 날짜 형식입니다.",
    "ERROR-200": "파일타입 값이 누락 혹은 유효하지 않습니다.",
    "ERROR-300": "조회건수 값이 누락되어 있습니다.",
    "ERROR-301": "조회건수 값의 타입이 유효하지 않습니다.",
    "ERROR-400": "검색범위가 적정범위를 초과하여 60초 TIMEOUT이 발생하였습니다.",
    "ERROR-500": "서버 오류입니다.",
    "ERROR-600": "DB Connection 오류입니다.",
    "ERROR-601": "SQL 오류입니다.",
    "ERROR-602": "과도한 OpenAPI호출로 이용이 제한되었습니다.",
}


@dataclass
class KosisTable:
    """A table: items and axes with their codes and names, periods as KOSIS writes them, and the value of each cell."""

    org: str
    table: str
    name: str
    items: dict[str, tuple[str, str]]  # code -> (name, unit)
    axes: list[tuple[str, dict[str, str]]]  # (name, code -> name)
    periods: list[str]
    value: Callable[[tuple[str, ...]], str | None]  # (item, codes…, period) -> DT; None: no such cell
    kind: str = "Y"
    changed: str = "2025-01-03"


@dataclass
class EcosTable:
    """A table of ECOS: rows as (items, time, value), for one cycle."""

    stat: str
    name: str
    cycle: str
    rows: list[tuple[tuple[tuple[str, str], ...], str, str]]
    unit: str = "2020=100"


@dataclass
class StatisticsServer:
    """The server; a context manager. `base` is its address, to which KOSIS and ECOS paths are added."""

    kosis: dict[str, KosisTable] = field(default_factory=dict)
    ecos: dict[str, EcosTable] = field(default_factory=dict)
    bad: deque[str] = field(default_factory=deque)
    asked: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # cells of every answer with data
    limit: int = 40_000
    hidden_factor: int = 1  # KOSIS counts this many times more cells than the description lets expect
    registered: dict[str, str] = field(default_factory=dict)  # userStatsId -> table
    tamper: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = field(default=lambda rows: rows)

    def __enter__(self) -> StatisticsServer:
        owner = self

        class Handler(_Handler):
            home = owner

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is no news."""

        self._ended = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def wait(self, seconds: float) -> None:
        """As long as the server lives, at most `seconds`."""
        self._ended.wait(seconds)

    # -- KOSIS ------------------------------------------------------------------------------------------

    def kosis_reply(self, path: str, query: dict[str, str]) -> Any:
        if not query.get("apiKey"):
            return kosis_error("10")
        if query["apiKey"] != KOSIS_KEY:
            return kosis_error("11")
        if query.get("method") == "getMeta":
            return self._meta(query)
        if path == "statisticsSearch.do":
            found = [t for t in self.kosis.values() if query["searchNm"] in t.name]
            return [
                {"ORG_ID": t.org, "TBL_ID": t.table, "TBL_NM": t.name, "STRT_PRD_DE": t.periods[0]}
                for t in found
            ] or kosis_error("30")
        if path == "statisticsList.do":
            return (
                [{"LIST_ID": "A_1", "LIST_NM": "인구"}]
                if query.get("parentListId") == "A"
                else kosis_error("30")
            )
        if path == "statisticsData.do":
            if query.get("userStatsId") not in self.registered:
                return kosis_error("20")
            table = self.kosis[self.registered[query["userStatsId"]]]
            query = {**query, "itmId": "ALL"} | {f"objL{i}": "ALL" for i in range(1, len(table.axes) + 1)}
        else:
            for name in ("orgId", "tblId", "itmId", "prdSe"):
                if not query.get(name):
                    return kosis_error("20")
            if query["tblId"] not in self.kosis or self.kosis[query["tblId"]].org != query["orgId"]:
                return kosis_error("30")
            table = self.kosis[query["tblId"]]
        return self._cells(table, query)

    def _cells(self, table: KosisTable, query: dict[str, str]) -> Any:
        given = [query.get(f"objL{i}", "") for i in range(1, 9)]
        axes = [text for text in given if text]
        if len(axes) < len(table.axes):
            return kosis_error("20", "필수요청변수값이 누락되었습니다.(objL)")
        if len(axes) > len(table.axes) or query["prdSe"] != table.kind:
            return kosis_error("21")
        lists = []
        for text, known in zip(
            [query["itmId"], *axes], [table.items, *(codes for _, codes in table.axes)], strict=True
        ):
            wanted = list(known) if text == "ALL" else text.split()
            if not set(wanted) <= set(known):
                return kosis_error("21")
            lists.append(wanted)
        if query.get("newEstPrdCnt"):
            periods = table.periods[-int(query["newEstPrdCnt"]) :]
        elif query.get("startPrdDe") and query.get("endPrdDe"):
            periods = [p for p in table.periods if query["startPrdDe"] <= p <= query["endPrdDe"]]
        else:
            return kosis_error("20")
        size = prod(map(len, lists)) * len(periods)
        if size * self.hidden_factor > self.limit:
            return kosis_error("31")
        rows = [
            row for item in lists[0] for cell in _combinations(lists[1:]) for period in periods
            if (row := self._row(table, (item, *cell, period))) is not None
        ]  # fmt: skip
        self.sizes.append(size)
        return self.tamper(rows) if rows else kosis_error("30")

    @staticmethod
    def _row(table: KosisTable, cell: tuple[str, ...]) -> dict[str, Any] | None:
        value = table.value(cell)
        if value is None:
            return None
        item, *codes, period = cell
        name, unit = table.items[item]
        row = {
            "ORG_ID": table.org, "TBL_ID": table.table, "TBL_NM": table.name, "ITM_ID": item, "ITM_NM": name,
            "UNIT_NM": unit, "PRD_SE": "A" if table.kind == "Y" else table.kind, "PRD_DE": period, "DT": value,
            "LST_CHN_DE": table.changed,
        }  # fmt: skip
        for i, (code, (axis, names)) in enumerate(zip(codes, table.axes, strict=True), start=1):
            row |= {f"C{i}": code, f"C{i}_OBJ_NM": axis, f"C{i}_NM": names[code], f"C{i}_NM_ENG": code}
        return row

    def _meta(self, query: dict[str, str]) -> Any:
        table = self.kosis.get(query.get("tblId", ""))
        if table is None or table.org != query.get("orgId"):
            return kosis_error("30")
        kind = query.get("type")
        if kind == "ITM":
            rows: list[dict[str, Any]] = [
                {"OBJ_ID": "ITEM", "OBJ_NM": "항목", "ITM_ID": code, "ITM_NM": name, "UNIT_NM": unit}
                for code, (name, unit) in table.items.items()
            ]
            for i, (axis, codes) in enumerate(table.axes, start=1):
                rows += [
                    {"OBJ_ID": chr(64 + i), "OBJ_NM": axis, "OBJ_ID_SN": str(i), "ITM_ID": c, "ITM_NM": n}
                    for c, n in codes.items()
                ]
            return rows
        told: dict[str, list[dict[str, Any]]] = {
            "TBL": [{"TBL_NM": table.name}],
            "ORG": [{"ORG_NM": "국가데이터처"}],
            "PRD": [{"PRD_SE": "년", "STRT_PRD_DE": table.periods[0], "END_PRD_DE": table.periods[-1]}],
            "SOURCE": [{"JOSA_NM": "모의통계조사", "DEPT_NM": "모의과"}],
        }
        return told.get(str(kind), kosis_error("30"))

    # -- ECOS -------------------------------------------------------------------------------------------

    def ecos_reply(self, parts: list[str]) -> Any:
        service, key, form, _, start, end, *tail = [*parts, *[""] * 6][: max(6, len(parts))]
        if key != ECOS_KEY:
            return ecos_error("INFO-100")
        if form != "json":
            return ecos_error("ERROR-200")
        if not start or not end:
            return ecos_error("ERROR-300")
        if not (start.isdigit() and end.isdigit()) or int(end) - int(start) >= 1000:
            return ecos_error("ERROR-301")
        if service == "StatisticSearch":
            rows = self._search(tail)
        elif service == "StatisticItemList":
            rows = self._items(tail[0])
        elif service == "StatisticTableList":
            rows = [{"STAT_CODE": t.stat, "STAT_NAME": t.name, "CYCLE": t.cycle} for t in self.ecos.values()]
        else:
            return ecos_error("ERROR-500")
        if isinstance(rows, dict):
            return rows
        chosen = rows[int(start) - 1 : int(end)]
        if not chosen:
            return ecos_error("INFO-200")
        self.sizes.append(len(chosen))
        return {service: {"list_total_count": len(rows), "row": self.tamper(chosen)}}

    def _items(self, stat: str) -> Any:
        if stat not in self.ecos:
            return ecos_error("INFO-200")
        found = {items[0]: None for items, _, _ in self.ecos[stat].rows}
        return [{"STAT_CODE": stat, "ITEM_CODE": code, "ITEM_NAME": name} for code, name in found]

    def _search(self, tail: list[str]) -> Any:
        if len(tail) < 4 or not all(tail[:4]):
            return ecos_error("ERROR-100")
        stat, cycle, first, last, *items = tail
        form = {
            "A": r"\d{4}",
            "Q": r"\d{4}Q[1-4]",
            "M": r"\d{6}",
            "S": r"\d{4}S[12]",
            "D": r"\d{8}",
            "SM": r"\d{6}S[12]",
        }
        if cycle not in form or not all(re.fullmatch(form[cycle], text) for text in (first, last)):
            return ecos_error("ERROR-101")
        table = self.ecos.get(stat)
        if table is None or table.cycle != cycle:
            return ecos_error("INFO-200")
        rows = []
        for names, time, value in table.rows:
            if first <= time <= last and all(names[i][0] == item for i, item in enumerate(items)):
                row: dict[str, Any] = {
                    "STAT_CODE": stat, "STAT_NAME": table.name, "UNIT_NAME": table.unit, "WGT": None, "TIME": time,
                    "DATA_VALUE": value,
                }  # fmt: skip
                for i in range(1, 5):
                    code, name = names[i - 1] if i <= len(names) else (None, None)
                    row |= {f"ITEM_CODE{i}": code, f"ITEM_NAME{i}": name}
                rows.append(row)
        return rows or ecos_error("INFO-200")


def kosis_error(code: str, message: str = "") -> dict[str, str]:
    """As KOSIS writes an error, with HTTP status 200."""
    return {"err": code, "errMsg": message or KOSIS_WORDS.get(code, "알 수 없는 오류")}


def ecos_error(code: str) -> dict[str, dict[str, str]]:
    """As ECOS writes an error, with HTTP status 200."""
    return {"RESULT": {"CODE": code, "MESSAGE": ECOS_WORDS.get(code, "알 수 없는 오류")}}


def unquoted(value: Any) -> str:
    """JSON as KOSIS writes it without ``jsonVD=Y``: keys without quotation marks."""
    return re.sub(r'"(\w+)":', r"\1:", json.dumps(value, ensure_ascii=False))


def _combinations(lists: list[list[str]]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for codes in lists:
        found = [(*cell, code) for cell in found for code in codes]
    return found


class _Handler(BaseHTTPRequestHandler):
    home: StatisticsServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece: else each answer waits for an acknowledgement
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self.home.asked.append(self.path)
        with contextlib.suppress(OSError):
            mode = self.home.bad.popleft() if self.home.bad else ""
            if not self._bad(mode):
                self._send(*self._answer(mode))

    def do_CONNECT(self) -> None:
        self.home.asked.append(f"CONNECT {self.path}")
        self._send(b"", status=502)

    def _answer(self, mode: str) -> tuple[bytes, str]:
        parts = urlsplit(self.path)
        service, _, rest = parts.path.lstrip("/").partition("/")
        if service == "kosis":
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            value = self.home.kosis_reply(rest, query)
            code = mode.removeprefix("err:")
            value = (
                kosis_error(code, f"{KOSIS_WORDS.get(code, '모름')} 키 {query.get('apiKey')}")
                if mode.startswith("err:")
                else value
            )
            plain = query.get("jsonVD") != "Y" or mode.startswith("unquoted")
            text = (
                unquoted(kosis_error("20") if mode == "unquoted error" else value)
                if plain
                else json.dumps(value, ensure_ascii=False)
            )
        else:
            value = self.home.ecos_reply([unquote(part) for part in rest.split("/")])
            if mode.startswith("code:"):
                value = ecos_error(mode.removeprefix("code:"))
            text = json.dumps(value, ensure_ascii=False)
        if mode.startswith("xml:"):
            text = f"<RESULT><CODE>{mode.removeprefix('xml:')}</CODE><MESSAGE>오류</MESSAGE></RESULT>"
        if mode == "cut":
            text = text[: len(text) // 2]
        if mode.startswith("text:"):
            text = mode.removeprefix("text:")
        if mode == "cp949":
            return text.encode("cp949"), ""
        return (gzip.compress(text.encode()), "gzip") if mode == "gzip" else (text.encode(), "")

    def _bad(self, mode: str) -> bool:
        """Do what a bad day does; whether it was one."""
        if mode == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._hang_up()
        elif mode == "timeout":
            self.home.wait(3.0)
            self._hang_up()
        elif mode == "slow":
            self._drip()
        elif mode == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{")
            self.wfile.flush()
            self.close_connection = True
        elif mode == "bomb":
            self._send(gzip.compress(b" " * 2**22), "gzip")
        elif mode == "bad gzip":
            self._send(b"this is no gzip", "gzip")
        elif mode == "html":
            self._send("<!DOCTYPE html><html><body>점검 중</body></html>".encode())
        elif mode == "empty":
            self._send(b"")
        elif mode == "redirect":
            self._send(b"", status=302, location=f"https://elsewhere.example{self.path}")
        elif mode.startswith("429"):
            self._send(b"slow down", status=429, retry=mode.removeprefix("429:").removeprefix("429"))
        elif mode.isdigit():
            self._send(f"status {mode} for {self.path}".encode(), status=int(mode))
        else:
            return False
        return True

    def _hang_up(self) -> None:
        """Close the socket at once; what the handler would still write fails, and nobody minds."""
        for stream in (self.rfile, self.wfile, self.connection):
            stream.close()

    def _drip(self) -> None:
        """A body that never ends, a byte at a time."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(200):
            self.wfile.write(b" ")
            self.wfile.flush()
            self.home.wait(0.02)
            if self.home._ended.is_set():
                break
        self.close_connection = True

    def _send(
        self, body: bytes, encoding: str = "", *, status: int = 200, location: str = "", retry: str = ""
    ) -> None:
        self.send_response(status)
        for name, value in (("Content-Encoding", encoding), ("Location", location), ("Retry-After", retry)):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


# -- tables that several tests ask for ------------------------------------------------------------------------


def number(cell: tuple[str, ...]) -> str:
    """A value that only this cell has."""
    total = 0
    for place, part in enumerate(cell):
        for char in part:
            total = (total * 131 + ord(char) + place) % 99_999_989
    return str(total)


def population(years: range = range(2015, 2025), towns: int = 0) -> KosisTable:
    """Population by region (codes of 행정안전부): the nation, two provinces, some districts; `towns` more codes."""
    codes = {"00": "전국", "11": "서울특별시", "26": "부산광역시"}
    codes |= {"11110": "종로구", "11140": "중구", "26110": "중구", "26170": "동구"}
    codes |= {f"9{i:05d}": f"마을{i}" for i in range(towns)}
    items = {"T20": ("총인구수", "명"), "T21": ("남자인구수", "명")}
    axes = [("행정구역(시군구)별", codes)]
    return KosisTable(
        "101", "DT_1B040A3", "행정구역(시군구)별, 성별 인구수", items, axes, [str(y) for y in years], number
    )


def consumer_prices(years: range = range(2010, 2025)) -> EcosTable:
    """An annual price index of two items."""
    rows = [
        (((code, name),), str(year), f"{80 + 2 * (year - 2010) + shift:.2f}")
        for code, name in (("0", "총지수"), ("A", "식료품"))
        for year in years
        for shift in (0.0 if code == "0" else 1.5,)
    ]
    return EcosTable("901Y009", "4.2.1. 소비자물가지수", "A", rows)
