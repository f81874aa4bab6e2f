"""`evalkit ingest`: what a workbook holds, a proposed mapping of it, and what a mapping makes of it."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.base import FILE, Commands, sentences
from evalkit.errors import UsageError
from evalkit.plain_text import one_line

if TYPE_CHECKING:
    from evalkit.ingest.table import TableSpec
    from evalkit.ingest.workbook.checking import TableCheck
    from evalkit.ingest.workbook.proposal import Guess

_MOST = 12  # repairs and headers shown of each table


@click.group(cls=Commands)
def ingest() -> None:
    """통합문서의 어느 머리글이 어느 열인지 제안하고 점검한다."""


@ingest.command("show")
@click.argument("file", type=FILE)
@sentences
def ingest_show(file: Path) -> None:
    """FILE 의 시트와 머리글, 단위를 적는다."""
    from evalkit.ingest.workbook.checking import show

    encoding, sheets = show(file)
    click.echo(f"{one_line(file.name)} ({encoding})")
    for sheet in sheets:
        more = [f"{sheet.rows:,}행 × {sheet.columns}열"]
        more += ["숨긴 시트"] * sheet.hidden
        more += [f"숨긴 행 {sheet.hidden_rows}개"] * bool(sheet.hidden_rows)
        more += [f"병합 {sheet.merged}곳"] * bool(sheet.merged)
        click.echo(f"\n{one_line(sheet.name or '(시트 이름 없음)')}: {', '.join(more)}")
        for rows, units, labels in sheet.headers:
            click.echo(f"  머리글 {rows}, 단위: {one_line(', '.join(units)) or '표 위에 없음'}")
            for label in labels:
                click.echo(f"    {one_line(label)}")
        if not sheet.headers:
            click.echo("  머리글을 찾지 못함")


@ingest.command("guess")
@click.argument("file", type=FILE)
@click.option("--out", type=FILE, help="열 대응 파일의 이름 (기본: FILE 과 같은 폴더의 '이름.map.yml').")
@click.option("--force", is_flag=True, help="이미 있는 열 대응 파일을 덮어쓴다.")
@sentences
def ingest_guess(file: Path, out: Path | None, force: bool) -> None:
    """FILE 의 열 대응 파일을 제안한다. 확실하지 않은 것은 물음으로 적는다."""
    from evalkit.ingest.workbook.guessing import guess
    from evalkit.ingest.workbook.location import own_name
    from evalkit.ingest.workbook.writing import for_shell, mapping_text

    target = out or file.with_name(own_name(file))
    if target.exists() and not force:
        raise UsageError(
            "열 대응 파일이 이미 있음",
            where=(target.name,),
            remedy="--out 으로 다른 이름을 적거나, 덮어쓰려면 --force 를 붙일 것",
        )
    found = guess(file)
    _save(target, mapping_text(found, target.name, _schema_beside(target)))
    _say_guess(found)
    click.echo(str(target))
    command = f"evalkit ingest check {for_shell(file)} --map {for_shell(target)}"
    if not found.tables:
        click.echo("아는 표를 찾지 못함: evalkit ingest show 로 머리글을 보고 표를 손으로 적을 것", err=True)
    elif found.questions:
        click.echo(f"다음: {target.name} 의 '???' {found.questions}곳에 답하고 {command}")
    else:
        click.echo(f"다음: {command}")


def _schema_beside(target: Path) -> str:
    """Where the schema of mapping files lies, seen from one under ``plans``; empty where it is not there."""
    target = target.resolve()
    for folder in target.parents:
        schema = folder / "mapping.schema.json"
        if folder.name == "plans" and schema.is_file():
            return Path(os.path.relpath(schema, target.parent)).as_posix()
    return ""


def _say_guess(found: Guess) -> None:
    for table in found.tables:
        click.echo(
            f"{table.name} ({table.title}): 시트 {one_line(table.sheet or '없음')}, 열 {len(table.sure)}개를 제안, 물음 {table.questions}개"
        )
        left = [header.key for header in table.headers if header.column == "leave"]
        if left:
            click.echo(
                f"  읽지 않는 열 {len(left)}개 (필요하면 leave 에서 옮길 것): {one_line(', '.join(left))}"
            )
    for sheet, why in found.left:
        click.echo(f"읽지 않는 시트 {one_line(sheet or '(이름 없음)')}: {why}")


def _save(target: Path, text: str) -> None:
    """Written under a temporary name, then moved."""
    if not target.parent.is_dir():
        raise UsageError("폴더가 없음", where=(str(target.parent),), remedy="폴더를 먼저 만들 것")
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".map-", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        Path(draft).chmod(0o644)
        Path(draft).replace(target)
    finally:
        Path(draft).unlink(missing_ok=True)


@ingest.command("check")
@click.argument("file", type=FILE)
@click.option(
    "--map", "mapping", type=click.Path(path_type=Path), required=True, help="열 대응 파일, 또는 그 폴더."
)
@click.option("--year", help="지역 코드가 쓰이던 해 (region_year 가 없는 표).")
@click.option(
    "--invalid-identifier",
    type=click.Choice(["error", "unlinked"]),
    default="error",
    show_default=True,
    help="검증번호가 틀린 사업자등록번호.",
)
@click.option(
    "--invalid-region",
    type=click.Choice(["error", "missing", "follow"]),
    default="error",
    show_default=True,
    help="읽을 수 없는 지역.",
)
@click.option(
    "--cut-last-row",
    type=click.Choice(["error", "drop", "keep"]),
    default="error",
    show_default=True,
    help="도중에 끊긴 마지막 행.",
)
@sentences
def ingest_check(
    file: Path,
    mapping: Path,
    year: str | None,
    invalid_identifier: Any,
    invalid_region: Any,
    cut_last_row: Any,
) -> None:
    """열 대응 파일대로 FILE 을 읽어 보고, 표마다 무엇이 읽혔는지 적는다."""
    from evalkit.ingest.workbook.checking import check_mapping
    from evalkit.ingest.workbook.location import mapping_of
    from evalkit.ingest.workbook.mapping import mapping_faults

    path = mapping_of(mapping, file)
    faults = mapping_faults(path)
    if faults:
        for fault in faults:
            click.echo(f"오류: {fault.error(path.name).sentence()}", err=True)
        click.echo(f"{path.name}: 고칠 곳 {len(faults)}곳", err=True)
        sys.exit(UsageError.exit_code)
    when = int(year) if year and year.isdigit() else year
    checks = check_mapping(
        file,
        path,
        year=when,
        invalid_identifier=invalid_identifier,
        invalid_region=invalid_region,
        cut_last_row=cut_last_row,
    )
    for check in checks:
        _say_check(check)
    bad = [check for check in checks if check.fault is not None]
    if bad:
        click.echo(f"\n표 {len(checks)}개 가운데 {len(bad)}개를 읽지 못함", err=True)
        sys.exit(3)
    click.echo(f"\n표 {len(checks)}개를 모두 읽음")


def _say_check(check: TableCheck) -> None:
    rows = check.header_rows
    place = f"시트 {check.sheet}" if check.sheet else "시트 하나"
    header = (
        f", 머리글 {rows[0]}–{rows[1]}행"
        if rows and rows[0] != rows[1]
        else f", 머리글 {rows[0]}행"
        if rows
        else ""
    )
    click.echo(f"\n{check.name} ({check.spec.title}): {place}{header}")
    if check.fault is not None:
        click.echo(f"  오류: {check.fault.sentence()}", err=True)
    if check.table is not None:
        click.echo(f"  행: 읽은 {check.rows_read:,} → 쓴 {check.rows_used:,}")
        for step in check.table.flow[1:]:
            if step.rows < 0:
                click.echo(
                    f"    {step.reason} {step.rows:,}" + (f" (처음: {step.example})" if step.example else "")
                )
        if len(check.table.frame) != check.rows_used:
            click.echo(f"    {check.table.flow[-1].reason}: {len(check.table.frame):,}")
        click.echo(f"  고친 것: {len(check.table.repairs) or '없음'}{'가지' if check.table.repairs else ''}")
        for repair in check.table.repairs[:_MOST]:
            told = f" ({repair.row}행: {repair.before or '빈 칸'} → {repair.after})" if repair.after else ""
            click.echo(
                f"    {repair.kind}{f' [{repair.column}]' if repair.column else ''} {repair.count:,}건{told}"
            )
        if len(check.table.repairs) > _MOST:
            click.echo(f"    … 그 밖에 {len(check.table.repairs) - _MOST}가지")
    if check.unmapped:
        click.echo(f"  대응하지 않은 머리글 (leave 에도 없음): {', '.join(check.unmapped)}")
    if check.absent:
        click.echo(f"  없는 열 (꼭 필요하지는 않음): {', '.join(column.name for column in check.absent)}")


@ingest.command("schema")
@sentences
def ingest_schema() -> None:
    """편집기가 쓸 수 있는 열 대응 파일의 JSON Schema 를 적는다."""
    import json

    from evalkit.ingest.workbook.mapping import declared
    from evalkit.ingest.workbook.model import mapping_schema

    click.echo(json.dumps(mapping_schema(list(declared())), ensure_ascii=False, indent=1))


@ingest.command("tables")
@click.argument("name", required=False)
@sentences
def ingest_tables(name: str | None) -> None:
    """선언된 표를 모두 적거나, NAME 표의 열을, NAME 이 자료의 이름이면 그 자료의 표를 적는다."""
    from evalkit.errors import nearest
    from evalkit.ingest.sources import READERS
    from evalkit.ingest.workbook.mapping import declared

    specs = declared()
    own = _tables_of(name, specs) if name else list(specs)
    if name is None or (own and own != [name]):
        for spec in map(specs.__getitem__, own):
            click.echo(f"{spec.name}  {spec.title}: {spec.row_meaning}")
        return
    if name not in specs:
        raise UsageError(f"모르는 표 {name!r}", remedy=nearest(name, [*specs, *READERS]))
    click.echo(f"{name}: {specs[name].row_meaning}")
    for column in specs[name].columns:
        unit = f", {column.unit}" if column.unit else ""
        need = ", 꼭 필요함" if column.required else ""
        click.echo(f"  {column.name}  {column.meaning}{unit}{need}. 머리글: {', '.join(column.aliases[:6])}")


def _tables_of(source: str, specs: dict[str, TableSpec]) -> list[str]:
    """Names of the tables that the reader of a source declares."""
    from evalkit.ingest.sources import READERS

    if source not in READERS:
        return []
    home = import_module(READERS[source].__module__)
    return [name for name, spec in specs.items() if any(value is spec for value in vars(home).values())]
