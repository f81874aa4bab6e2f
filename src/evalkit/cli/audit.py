"""`evalkit audit`: faults in data files, or in all sources of a plan, in Korean sentences with the rows to look at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.base import FILE, FOLDER, sentences
from evalkit.errors import PlanError, UsageError

if TYPE_CHECKING:
    from evalkit.ingest.audit import Finding

_FOUND = 3
"""Exit code where there is a fault: that of data that is not what it must be."""
_ROWS_SHOWN = 5


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="파일…|계획.yml")
@click.option("--out", type=FILE, metavar="이름.xlsx|csv", help="찾은 것과 볼 행을 모두 적을 파일.")
@click.option("--sheet", metavar="이름", help="통합 문서에서 볼 시트.")
@click.option("--unit", multiple=True, metavar="머리글", help="단위를 적은 열. 여러 번 적을 수 있다.")
@click.option("--period", metavar="머리글", help="기간을 적은 열.")
@click.option("--values", multiple=True, metavar="머리글", help="값을 적은 열. 여러 번 적을 수 있다.")
@click.option("--data", type=FOLDER, help="계획을 점검할 때의 자료 폴더 (기본: 계획에 적힌 폴더).")
@click.option("--warn-only", is_flag=True, help="오류가 있어도 종료 코드 0으로 끝낸다.")
@sentences
def audit(
    files: tuple[Path, ...],
    out: Path | None,
    sheet: str | None,
    unit: tuple[str, ...],
    period: str | None,
    values: tuple[str, ...],
    data: Path | None,
    warn_only: bool,
) -> None:
    """자료 파일이나 계획의 모든 자료에서 오류와 의심스러운 곳을 찾는다. 오류가 있으면 종료 코드 3."""
    if out is not None and out.suffix.lower() not in (".xlsx", ".csv"):
        raise UsageError(
            f"점검 결과를 {out.suffix or '확장자 없는'} 파일로 적을 수 없음",
            remedy="--out 에 .xlsx 나 .csv 로 끝나는 이름을 적을 것",
        )
    plans = [path for path in files if path.suffix.lower() in (".yml", ".yaml")]
    if plans and (sheet or unit or period or values):
        raise UsageError(
            "계획을 점검할 때는 열을 고를 수 없음", remedy="--sheet, --unit, --period, --values 를 뺄 것"
        )
    if data is not None and not plans:
        raise UsageError(
            "--data 는 계획을 점검할 때만 쓸 수 있음", remedy="계획 파일(.yml)을 적거나 --data 를 뺄 것"
        )
    found: list[tuple[str, Finding]] = []
    for path in files:
        many = _of_plan(path, data) if path in plans else _of_file(path, sheet, unit, period, values)
        for source, findings in many:
            _show(source, findings)
            found += [(source, finding) for finding in findings]
    if out is not None:
        from evalkit.ingest.audit import write_findings

        write_findings(found, out)
        click.echo(f"{out}: 찾은 것 {len(found)}건과 볼 행을 적음")
    if any(finding.severity == "fault" for _, finding in found) and not warn_only:
        sys.exit(_FOUND)


def _of_file(
    path: Path, sheet: str | None, unit: tuple[str, ...], period: str | None, values: tuple[str, ...]
) -> Iterator[tuple[str, tuple[Finding, ...]]]:
    """The file, or every data file of a ZIP under its own name."""
    from evalkit.ingest.audit import audit_file
    from evalkit.ingest.packed import naming_the_zip, raw_files

    for raw in raw_files(path):
        with naming_the_zip(path, raw):
            found = audit_file(raw, sheet=sheet, unit=unit, period=period, values=values)
        inside = "" if raw.path == path else f" > {raw.path.relative_to(path).as_posix()}"
        yield path.name + inside, found


def _of_plan(path: Path, data: Path | None) -> Iterator[tuple[str, tuple[Finding, ...]]]:
    """Every source of a plan as its reader reads it; files of one table together."""
    from evalkit.ingest.audit import audit_tables
    from evalkit.study.build import END_OF_TIME, check_words
    from evalkit.study.plan import load_plan
    from evalkit.study.sources import tables_of

    plan = load_plan(path)
    check_words(plan)
    tables, simulated = tables_of(path, plan, data)
    if not tables:
        raise PlanError(
            "점검할 자료 파일이 하나도 없음",
            where=(plan.id, "data"),
            remedy="자료 폴더와 files 의 무늬를 확인할 것",
        )
    for source, group in tables.items():
        for name in dict.fromkeys(table.spec.name for table in group):
            same = [table for table in group if table.spec.name == name]
            yield (
                f"{source} ({same[0].spec.title})",
                audit_tables(same, today=END_OF_TIME if simulated else None),
            )


def _show(source: str, findings: tuple[Finding, ...]) -> None:
    from evalkit.ingest.audit import place_words

    counts = dict.fromkeys(("오류", "의심", "참고"), 0)
    for finding in findings:
        counts[finding.severity_words] += 1
    click.echo(f"{source}: " + ", ".join(f"{word} {n}건" for word, n in counts.items()))
    for finding in findings:
        click.echo(f"  [{finding.severity_words}] {finding.sentence}")
        places = [words for words in map(place_words, finding.rows[:_ROWS_SHOWN]) if words]
        if places:
            more = f" … (모두 {finding.total:,}곳)" if finding.total > len(places) else ""
            click.echo(f"        볼 곳: {'; '.join(places)}{more}")
        if finding.severity != "hint":
            click.echo(f"        할 일: {finding.rule}")
