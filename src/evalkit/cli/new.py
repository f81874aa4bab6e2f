"""`evalkit new`: the files of a programme of one's own, written whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evalkit.cli.base import CONTEXT, FOLDER, Commands, sentences
from evalkit.errors import UsageError

KINDS = {
    "firms": "기업을 지원하는 사업",
    "regions": "시군구를 지정하는 사업",
    "indicators": "지표만 살피는 사업",
}


@click.group(cls=Commands, context_settings=CONTEXT)
def new() -> None:
    """새 사업의 파일을 만든다."""


@new.command("programme")
@click.option(
    "--id", "name_tag", metavar="이름표", help="영문자로 시작하는 영문자·숫자·밑줄 (예: our_cluster)."
)
@click.option("--name", metavar="이름", help="사업의 한글 이름.")
@click.option("--name-en", metavar="이름", help="사업의 영문 이름 (기본: 이름표).")
@click.option("--ministry", metavar="부처", help="주관 부처.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="연도-연도",
    help="단계의 기간. 단계마다 한 번씩 적는다 (예: 2021-2023).",
)
@click.option("--kind", type=click.Choice(list(KINDS)), help="firms 기업, regions 시군구, indicators 지표만.")
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="시·도",
    help="대상 시·도의 짧은 이름. 여러 번 적을 수 있다.",
)
@click.option("--folder", type=FOLDER, help="자료 폴더 (기본: data/raw/이름표).")
@click.option(
    "--root", type=FOLDER, default=Path("."), show_default="여기", help="plans 와 notebooks 가 있는 폴더."
)
@sentences
def programme(
    name_tag: str | None,
    name: str | None,
    name_en: str | None,
    ministry: str | None,
    phases: tuple[str, ...],
    kind: str | None,
    regions: tuple[str, ...],
    folder: Path | None,
    root: Path,
) -> None:
    """사실 파일, 평가 계획, 자료 폴더를 만든다. 터미널에서는 빠진 것을 묻는다."""
    from evalkit.study.starting import Beginning, begin, parse_phases

    asked = _at_terminal()
    name_tag = name_tag or _ask("--id", "이름표(영문)", asked)
    name = name or _ask("--name", "사업의 한글 이름", asked)
    name_en = name_en or (click.prompt("사업의 영문 이름", default=name_tag) if asked else name_tag)
    if ministry is None:
        ministry = (
            click.prompt("주관 부처 (모르면 그냥 Enter)", default="", show_default=False) if asked else ""
        )
    spans = parse_phases(
        phases or _ask("--phase", "단계의 기간 (예: 2018-2020, 2021-2023)", asked).split(",")
    )
    if kind is None:
        kind = _ask_kind(asked)
    if not regions and asked:
        written = click.prompt("대상 시·도 (예: 부산, 대구; 없으면 Enter)", default="", show_default=False)
        regions = tuple(part.strip() for part in written.split(",") if part.strip())
    written_files = begin(
        Beginning(name_tag, name, name_en, ministry, spans, kind, regions), root=root, folder=folder
    )
    for path in written_files:
        click.echo(f"씀: {path}")
    click.echo(f"다음: evalkit plan check plans/{name_tag}.yml")


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(flag: str, question: str, asked: bool) -> str:
    """An answer at the terminal; without one, the flag that was left out."""
    if not asked:
        raise UsageError(f"{flag} 이(가) 빠짐 ({question})", remedy=f"{flag} 를 적을 것")
    return str(click.prompt(question))


def _ask_kind(asked: bool) -> str:
    if not asked:
        raise UsageError("--kind 이(가) 빠짐", remedy=f"{', '.join(KINDS)} 가운데 하나를 적을 것")
    for key, words in KINDS.items():
        click.echo(f"  {key}: {words}")
    return str(click.prompt("종류", type=click.Choice(list(KINDS)), default="firms"))
