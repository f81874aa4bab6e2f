"""`evalkit new`: the files of a programme of one's own, written whole or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    from evalkit.study.starting import (
        Beginning,
        begin,
        check_id,
        check_regions,
        check_text,
        parse_phases,
    )

    asked = _at_terminal()
    if not name_tag:
        question = "이름표 (파일 이름이 됨; 영문자·숫자·밑줄, 예: busan_marine)"
        name_tag = _ask("--id", question, asked, check_id)
    name = name or _ask("--name", "사업의 한글 이름", asked, lambda text: check_text("이름", text))
    if not name_en:
        name_en = click.prompt("사업의 영문 이름", default=name_tag) if asked else name_tag
    if ministry is None:
        ministry = (
            click.prompt("주관 부처 (모르면 그냥 Enter)", default="", show_default=False) if asked else ""
        )
    if not phases:
        question = "단계의 기간 (예: 2018-2020, 2021-2023)"
        phases = tuple(
            _ask("--phase", question, asked, lambda text: parse_phases(text.split(","))).split(",")
        )
    spans = parse_phases(phases)
    if kind is None:
        kind = _ask_kind(asked)
    if not regions and asked:
        question = "대상 시·도의 짧은 이름 (예: 부산, 대구; 없으면 Enter)"
        written = _answer(question, lambda text: check_regions(_parts(text)), default="", show_default=False)
        regions = _parts(written)
    written_files = begin(
        Beginning(name_tag, name, name_en, ministry, spans, kind, regions), root=root, folder=folder
    )
    for path in written_files:
        click.echo(f"씀: {path}")
    if kind == "firms" and len(regions) == 1:
        click.echo(
            f"주의: 대상이 {regions[0]} 한 곳이라 시·도를 군집으로 하면 신뢰구간을 내지 않음 (계획의 inference 위에 적어 둠)"
        )
    click.echo("다음에 할 일:")
    click.echo(f"  1. 공표된 수치를 적는다: plans/{name_tag}.facts.yml")
    click.echo(f"  2. 자료를 둔다: {written_files[-1]} 에 어느 파일이 어디에 가는지 있음")
    click.echo(f"  3. 점검한다: evalkit plan check plans/{name_tag}.yml")
    click.echo(f"  4. 보고서를 만든다: evalkit report plans/{name_tag}.yml")


def _at_terminal() -> bool:
    return sys.stdin.isatty()


def _parts(written: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in written.split(",") if part.strip())


def _ask(flag: str, question: str, asked: bool, check: Callable[[str], object]) -> str:
    """An answer at the terminal; without one, the flag that was left out."""
    if not asked:
        raise UsageError(f"{flag} 이(가) 빠짐 ({question})", remedy=f"{flag} 를 적을 것")
    return _answer(question, check)


def _answer(question: str, check: Callable[[str], object], **options: Any) -> str:
    """An answer that can be used: one that cannot is said why, and the question is asked again."""
    while True:
        answer = str(click.prompt(question, **options)).strip()
        try:
            check(answer)
        except UsageError as error:
            click.echo(f"  {error.sentence()}")
        else:
            return answer


def _ask_kind(asked: bool) -> str:
    if not asked:
        raise UsageError("--kind 이(가) 빠짐", remedy=f"{', '.join(KINDS)} 가운데 하나를 적을 것")
    for key, words in KINDS.items():
        click.echo(f"  {key}: {words}")
    return str(click.prompt("종류", type=click.Choice(list(KINDS)), default="firms"))
