"""`evalkit build` and `evalkit raw`: processed data from raw files, and raw files held against what was received."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evalkit.cli.base import FILE, FOLDER, Commands, sentences
from evalkit.errors import DataError


@click.command()
@click.argument("plan", type=FILE)
@click.option("--data", type=FOLDER, help="자료 폴더 (기본: 계획에 적힌 폴더).")
@click.option("--force", is_flag=True, help="바뀐 것이 없어도 모든 파일을 다시 읽는다.")
@click.option("--check", is_flag=True, help="만들지 않고, 만들어 둔 것이 지금 자료와 맞는지만 본다.")
@sentences
def build(plan: Path, data: Path | None, force: bool, check: bool) -> None:
    """PLAN 의 자료를 읽어 패널로 만든다. 바뀐 파일만 다시 읽는다."""
    from evalkit.study.plan import load_plan
    from evalkit.study.prepare import prepare

    loaded = load_plan(plan)
    if check:
        _check(plan, data)
        return
    done = prepare(
        plan, loaded, data, progress=lambda step: click.echo(f"자료 준비: {step}", err=True), force=force
    )
    if not done.changed:
        click.echo(f"바뀐 것 없음: {done.folder}")
        return
    for reason in done.why:
        click.echo(f"  {reason}")
    click.echo(f"읽은 파일 {len(done.read)}개, 그대로 쓴 파일 {len(done.kept)}개")
    click.echo(f"새로 만듦: {done.folder}")
    _say_poorly_linked(done.folder)
    unlisted = [file.path for file in done.inputs.files if file.sealed == "unlisted"]
    if unlisted:
        click.echo(f"받은 목록(SHA256SUMS)에 없는 파일 {len(unlisted)}개: {unlisted[0]} …", err=True)


def _say_poorly_linked(folder: Path) -> None:
    """Supported firms that the administrative files do not know: a wrong number, phase or file."""
    import json

    audit = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    for phase, n in sorted(audit.get("linkage", {}).get("by_phase", {}).items()):
        if n["linked"] < 0.8 * n["supported"]:
            click.echo(
                f"경고: {phase}단계 지원 기업 {n['supported']}곳 가운데 {n['linked']}곳만 고용보험 자료에 있음 → "
                "사업자등록번호와 단계를 확인할 것.",
                err=True,
            )


def _check(plan: Path, data: Path | None) -> None:
    """Say whether what was made still is what a build would make, and untouched."""
    from evalkit.study import provenance
    from evalkit.study.plan import load_plan
    from evalkit.study.prepare import standing

    folder, _, making, _ = standing(plan, load_plan(plan), data)
    record = provenance.read(folder)
    wrong = provenance.changes(record, making)
    wrong += [] if record is None else provenance.verify(folder)
    if wrong:
        for reason in wrong:
            click.echo(f"  {reason}", err=True)
        raise DataError(
            f"만들어 둔 자료가 지금 자료와 맞지 않음 ({len(wrong)}곳)",
            where=(folder.name,),
            remedy=f"evalkit build {plan.name} 으로 다시 만들 것",
        )
    assert record is not None
    click.echo(f"맞음: {folder} (입력 {len(record['inputs'])}개, 만든 파일 {len(record['outputs'])}개)")


@click.group(cls=Commands)
def raw() -> None:
    """받은 파일을 목록(SHA256SUMS)으로 봉하고, 그 뒤에 바뀌지 않았는지 본다."""


@raw.command("seal")
@click.argument("folder", type=FOLDER, default=Path("data/raw"))
@click.option("--again", is_flag=True, help="바뀌거나 없어진 파일이 있어도 지금 있는 대로 목록을 다시 쓴다.")
@sentences
def raw_seal(folder: Path, again: bool) -> None:
    """FOLDER 의 자료 폴더마다 SHA256SUMS 를 쓴다. 자료 파일은 건드리지 않는다."""
    from evalkit.study.raw_sums import seal

    before = seal(folder, again=again)
    words = {"same": "그대로", "unlisted": "더함", "changed": "바뀜", "missing": "없어짐"}
    for state, word in words.items():
        paths = [s.path for s in before if s.state == state]
        if paths:
            click.echo(f"{word} {len(paths)}개" + ("" if state == "same" else f": {', '.join(paths[:5])}"))
    if not before:
        click.echo("봉할 파일이 없음")


@raw.command("verify")
@click.argument("folder", type=FOLDER, default=Path("data/raw"))
@sentences
def raw_verify(folder: Path) -> None:
    """FOLDER 의 파일이 받은 그대로인지 본다."""
    from evalkit.errors import FileError
    from evalkit.study.raw_sums import standings

    if not folder.is_dir():
        raise FileError(f"자료 폴더 {str(folder)!r} 이(가) 없음", remedy="받은 파일이 있는 폴더를 적을 것")
    found = standings(folder)
    words = {"unlisted": "목록에 없음", "changed": "내용이 바뀜", "missing": "없어짐"}
    for item in found:
        if item.state != "same":
            click.echo(f"{words[item.state]}: {item.path}", err=True)
    bad = sum(item.state in ("changed", "missing") for item in found)
    click.echo(f"그대로 {sum(item.state == 'same' for item in found)}개, 바뀌거나 없어진 것 {bad}개")
    if bad:
        sys.exit(DataError.exit_code)
