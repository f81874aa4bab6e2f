"""`evalkit fetch`: official statistics from KOSIS and ECOS, kept as received."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evalkit.cli.base import FILE, FOLDER, Commands, sentences

if TYPE_CHECKING:
    from evalkit.ingest.statistics.connection import Connection, Limits
    from evalkit.ingest.statistics.obtaining import Obtained, Query

F = TypeVar("F", bound=Callable[..., Any])
SERVICE = click.Choice(["kosis", "ecos"])


def _online(command: F) -> F:
    """Options of every command that asks a service."""
    for option in (
        click.option("--deadline", type=click.FloatRange(1), default=1800.0, show_default=True, help="모두 합한 제한 시간(초)."),
        click.option("--base-url", default="", hidden=True, help="서비스의 다른 주소 (https)."),
    ):  # fmt: skip
        command = option(command)
    return command


def _kept(command: F) -> F:
    """Options of every command that writes."""
    for option in (
        click.option("--offline", is_flag=True, help="네트워크 없이, 받아 둔 것을 확인해 쓴다."),
        click.option(
            "--out", type=FOLDER, default=Path("data/raw"), show_default=True, help="받은 자료를 둘 폴더."
        ),
    ):
        command = option(command)
    return _online(command)


@click.group("fetch", cls=Commands)
def fetch() -> None:
    """통계 서비스(KOSIS, ECOS)에서 자료를 받아 받은 그대로 둔다."""


@fetch.command("kosis")
@click.option("--org", default="", help="기관 번호 (101 = 국가데이터처).")
@click.option("--table", default="", help="통계표 번호 (DT_…).")
@click.option("--registered", default="", help="통계표 대신, KOSIS에 등록한 자료의 userStatsId.")
@click.option("--items", default="ALL", show_default=True, help="항목 코드: ALL 또는 T10,T20.")
@click.option(
    "--axes", default="ALL", show_default=True, help="분류마다 쉼표로: ALL,ALL. 코드 여럿은 11+21,ALL."
)
@click.option("--period", default="Y", show_default=True, help="주기: Y H Q M D F IR.")
@click.option("--from", "first", default="", help="처음 시점: 2015, 2015Q1, 2015-01.")
@click.option("--to", "last", default="", help="마지막 시점.")
@click.option("--newest", type=click.IntRange(1, 1000), help="기간 대신, 가장 새로운 시점의 수.")
@_kept
@sentences
def fetch_kosis_command(
    org: str,
    table: str,
    registered: str,
    items: str,
    axes: str,
    period: str,
    first: str,
    last: str,
    newest: int | None,
    **how: Any,
) -> None:
    """KOSIS 통계표 하나를 받는다. 40,000칸이 넘으면 나누어 받아 잇는다."""
    from evalkit.ingest.statistics.queries import KosisQuery

    query = KosisQuery(
        org,
        table,
        items=_codes(items),
        axes=tuple(_codes(axis.replace("+", ",")) for axis in axes.split(",")),
        period=period,
        first=first,
        last=last,
        newest=newest or 0,
        registered=registered,
    )
    _report(_obtained(query, **how))


@fetch.command("ecos")
@click.option("--stat", required=True, help="통계표 코드 (901Y009).")
@click.option("--item", default="", help="항목 코드; 여러 단계면 쉼표로 (0 또는 *AA 또는 10101,A).")
@click.option("--period", default="A", show_default=True, help="주기: A S Q M SM D.")
@click.option("--from", "first", default="", help="처음 시점.")
@click.option("--to", "last", default="", help="마지막 시점.")
@_kept
@sentences
def fetch_ecos_command(stat: str, item: str, period: str, first: str, last: str, **how: Any) -> None:
    """한국은행 ECOS 통계 하나를 받는다."""
    from evalkit.ingest.statistics.queries import EcosQuery

    items = _codes(item) if item else ()
    _report(_obtained(EcosQuery(stat, items=items, period=period, first=first, last=last), **how))


@fetch.command("catalogue")
@click.argument("name")
@click.option("--from", "first", default="", help="처음 시점 (기본: 목록에 적힌 해).")
@click.option("--to", "last", default="", help="마지막 시점 (기본: 지난해).")
@_kept
@sentences
def fetch_catalogue(name: str, first: str, last: str, **how: Any) -> None:
    """목록(evalkit fetch series)의 NAME 계열을 받는다."""
    import datetime as dt

    from evalkit.ingest.statistics.catalogue import series

    entry = series(name)
    done = _obtained(entry.query(first, last, this_year=dt.datetime.now(dt.UTC).year), **how)
    _report(done)
    title = done.kept.record.citation.table
    if entry.title_differs(title):
        words = ", ".join(entry.expect)
        click.echo(
            f"확인할 것: 통계표 이름 「{title}」에 '{words}' 이(가) 없음 (목록: {entry.title})", err=True
        )
    elif entry.status == "verify":
        click.echo(
            f"확인할 것: 통계표 번호와 항목을 아직 확인하지 못한 계열임 (받은 표: 「{title}」)", err=True
        )


@fetch.command("series")
@click.argument("name", required=False)
@click.option("--markdown", "as_markdown", is_flag=True, help="README 에 넣을 표를 적는다.")
@sentences
def fetch_series(name: str | None, as_markdown: bool) -> None:
    """어느 통계가 어느 성과에 쓰이는지 적는다."""
    from evalkit.ingest.statistics.catalogue import STATUS, catalogue, markdown, series

    if as_markdown:
        click.echo(markdown(), nl=False)
    elif name:
        entry = series(name)
        for title, text in (
            ("통계", entry.title), ("성과", entry.outcome), ("서비스와 통계표", f"{entry.source} {entry.code}".strip()),
            ("상태", STATUS[entry.status]), ("쓰임", entry.use), ("찾을 말", entry.words),
        ):  # fmt: skip
            if text:
                click.echo(f"{title}: {text}")
    else:
        for key, entry in catalogue().items():
            click.echo(
                f"{entry.outcome}  {key}  {entry.title}  [{STATUS[entry.status]}] {entry.code}".rstrip()
            )


@fetch.command("meta")
@click.option("--org", required=True, help="기관 번호.")
@click.option("--table", required=True, help="통계표 번호.")
@click.option("--kind", default="ITM", show_default=True, help="TBL ORG PRD ITM CMMT UNIT SOURCE WGT NCD.")
@_online
@sentences
def fetch_meta(org: str, table: str, kind: str, **how: Any) -> None:
    """KOSIS 통계표의 항목·분류(ITM), 수록 기간(PRD), 주석(CMMT) 등을 적는다."""
    from evalkit.ingest.statistics.kosis import kosis_meta

    with _connection("kosis", **how) as connection:
        _print(kosis_meta(connection, org, table, kind.upper())[1])


@fetch.command("search")
@click.argument("words")
@click.option("--count", type=click.IntRange(1, 200), default=20, show_default=True, help="찾을 통계표의 수.")
@_online
@sentences
def fetch_search(words: str, count: int, **how: Any) -> None:
    """WORDS 가 든 KOSIS 통계표를 찾는다."""
    from evalkit.ingest.statistics.kosis import kosis_search

    with _connection("kosis", **how) as connection:
        _print(
            kosis_search(connection, words, count=count),
            ("ORG_ID", "TBL_ID", "TBL_NM", "STRT_PRD_DE", "END_PRD_DE"),
        )


@fetch.command("list")
@click.option("--parent", default="A", show_default=True, help="목록의 번호.")
@click.option("--view", default="MT_ZTITLE", show_default=True, help="목록의 종류 (MT_ZTITLE = 주제별).")
@_online
@sentences
def fetch_list(parent: str, view: str, **how: Any) -> None:
    """KOSIS 통계목록에서 PARENT 아래를 적는다."""
    from evalkit.ingest.statistics.kosis import kosis_list

    with _connection("kosis", **how) as connection:
        _print(
            kosis_list(connection, view=view, parent=parent),
            ("LIST_ID", "LIST_NM", "ORG_ID", "TBL_ID", "TBL_NM"),
        )


@fetch.command("items")
@click.argument("stat")
@_online
@sentences
def fetch_items(stat: str, **how: Any) -> None:
    """ECOS 통계표 STAT 의 항목 코드와 수록 기간을 적는다."""
    from evalkit.ingest.statistics.ecos import ecos_items

    with _connection("ecos", **how) as connection:
        _print(
            ecos_items(connection, stat),
            ("ITEM_CODE", "ITEM_NAME", "CYCLE", "START_TIME", "END_TIME", "UNIT_NAME"),
        )


@fetch.command("tables")
@click.argument("stat", required=False, default="")
@_online
@sentences
def fetch_tables(stat: str, **how: Any) -> None:
    """ECOS 통계표를 모두, 또는 STAT 아래를 적는다."""
    from evalkit.ingest.statistics.ecos import ecos_tables

    with _connection("ecos", **how) as connection:
        _print(ecos_tables(connection, stat), ("STAT_CODE", "STAT_NAME", "CYCLE", "ORG_NAME"))


@fetch.command("diff")
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@sentences
def fetch_diff(before: Path, after: Path) -> None:
    """받은 기록 둘이 어떻게 다른지 적는다: 공식 통계는 나중에 고쳐진다."""
    from evalkit.ingest.statistics.changes import compared
    from evalkit.ingest.statistics.kept import load

    found = compared(load(before), load(after))
    click.echo(found.sentence())
    for line in found.examples(20):
        click.echo(f"  {line}")


@fetch.group("key", cls=Commands)
def key() -> None:
    """인증키를 시스템 keyring 에 두거나 지운다. 키는 보여 주지 않는다."""


@key.command("set")
@click.argument("service", type=SERVICE)
@sentences
def key_set(service: str) -> None:
    """SERVICE 의 키를 숨긴 채 묻고 keyring 에 둔다 (파이프로 넣어도 된다)."""
    from evalkit.ingest.statistics.keys import store_key

    hidden = sys.stdin.isatty()
    given = str(click.prompt("인증키", hide_input=True, err=True)) if hidden else sys.stdin.readline()
    store_key(service, given)
    click.echo(f"{service}: 시스템 keyring 에 둠")


@key.command("delete")
@click.argument("service", type=SERVICE)
@sentences
def key_delete(service: str) -> None:
    """SERVICE 의 키를 keyring 에서 지운다."""
    from evalkit.ingest.statistics.keys import VARIABLES, delete_key, key_origin

    click.echo(f"{service}: {'keyring 에서 지움' if delete_key(service) else 'keyring 에 없음'}")
    if key_origin(service):
        click.echo(f"환경변수 {VARIABLES[service]} 에는 아직 있음", err=True)


@key.command("show")
@sentences
def key_show() -> None:
    """키가 있는지, 어디에 있는지만 적는다."""
    from evalkit.ingest.statistics.keys import VARIABLES, key_origin

    for service in VARIABLES:
        click.echo(f"{service}: {key_origin(service) or '없음'}")


# -- what the commands share -------------------------------------------------------------------------------


def _codes(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _tell(words: str) -> None:
    click.echo(words, err=True)


def _limits(service: str, deadline: float) -> Limits:
    from evalkit.ingest.statistics.connection import LIMITS

    return replace(LIMITS[service], deadline=deadline)


@contextmanager
def _connection(service: str, *, base_url: str, deadline: float) -> Iterator[Connection]:
    from evalkit.ingest.statistics.obtaining import connected

    limits = _limits(service, deadline)
    with connected(service, base_url=base_url, limits=limits, tell=_tell) as connection:
        yield connection


def _obtained(query: Query, *, out: Path, offline: bool, base_url: str, deadline: float) -> Obtained:
    """Fetch with a bar of answers on a terminal."""
    from tqdm import tqdm

    from evalkit.ingest.statistics.obtaining import obtain, source_of

    limits = _limits(source_of(query), deadline)
    with tqdm(unit="번", desc="받는 중", disable=True if offline else None, leave=False) as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        def tell(words: str) -> None:
            with bar.external_write_mode():
                _tell(words)

        return obtain(
            query, out, offline=offline, base_url=base_url, limits=limits, tell=tell, progress=advance
        )


def _report(done: Obtained) -> None:
    """What came, in words."""
    record = done.kept.record
    click.echo(str(done.kept.path))
    absent = record.expected_cells - record.rows
    lacking = f", 표의 칸 {record.expected_cells:,} 가운데 자료가 없는 칸 {absent:,}" if absent > 0 else ""
    click.echo(f"{record.rows:,}칸{lacking} (응답 {len(record.data)}개, 빈 응답 {record.empty_parts}개)")
    click.echo(f"출처: {record.cited_as}")
    click.echo(f"이용: {record.licence}")
    for note in record.notes:
        click.echo(f"적어 둠: {note}", err=True)
    if done.changes is not None:
        click.echo(done.changes.sentence())
        for line in done.changes.examples():
            click.echo(f"  {line}")
    elif not done.kept.fresh:
        click.echo(f"{record.fetched_at} 에 받아 둔 것임")


def _print(rows: list[dict[str, Any]], names: tuple[str, ...] = ()) -> None:
    """Rows of a service as lines of harmless text."""
    from evalkit.ingest.statistics.faults import shown

    for row in rows:
        wanted = [row.get(name) for name in names] if names else list(row.values())
        click.echo("  ".join(shown(value, 80) for value in wanted if value not in (None, "")))
    if not rows:
        click.echo("없음")
