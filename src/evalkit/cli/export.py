"""`evalkit export`: finished reports as Excel, Word, HWPX, PDF, LaTeX and CSV."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evalkit.cli.base import FILE, FOLDER, sentences

FORMATS = (
    "xlsx",
    "docx",
    "hwpx",
    "pdf",
    "latex",
    "csv",
)  # as `report.export`, which a glance at the help must not load

FEW = 3  # names in one line of what was left out


@click.command()
@click.argument("plan", type=FILE)
@click.option(
    "--to",
    "formats",
    multiple=True,
    required=True,
    type=click.Choice(FORMATS),
    help="형식. 여러 번 적을 수 있다.",
)
@click.option(
    "--only", multiple=True, metavar="이름", help="이 보고서(또는 공책)만 담는다. 여러 번 적을 수 있다."
)
@click.option("--lang", type=click.Choice(["ko", "en"]), help="보고서의 언어 (기본: 계획에 적힌 언어).")
@click.option("--reports", type=FOLDER, help="보고서가 있는 폴더 (기본: reports).")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="폴더|파일",
    help="결과를 둘 폴더나 파일 (기본: 그 계획의 보고서 폴더 안 export).",
)
@sentences
def export(
    plan: Path,
    formats: tuple[str, ...],
    only: tuple[str, ...],
    lang: str | None,
    reports: Path | None,
    out: Path | None,
) -> None:
    """PLAN 의 만들어 둔 보고서를 한 파일로 내보낸다. 다시 계산하지 않으므로 숫자는 보고서와 같다.

    엑셀은 표마다 시트 하나, 워드와 한글(HWPX)은 보고서 전체가 한 문서, PDF와 CSV는 보고서나 표마다 한 파일이다.
    """
    from evalkit.report.export import Asked, export_plan

    exported = export_plan(plan, Asked(formats, only, lang, reports, out))
    for path in exported.paths:
        click.echo(str(path))
    reasons: dict[str, list[str]] = {}
    for name, sentence in exported.left_out:
        reasons.setdefault(sentence, []).append(name)
    for sentence, names in reasons.items():
        more = f" 등 {len(names)}건" if len(names) > FEW else ""
        click.echo(f"내용이 빠짐: {', '.join(names[:FEW])}{more}: {sentence}", err=True)
    sys.exit(exported.exit_code)
