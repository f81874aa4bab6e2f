"""What became of finished reports: `evalkit verify`, `evalkit diff` and `evalkit release-check`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.base import FILE, FOLDER, sentences

if TYPE_CHECKING:
    from evalkit.report.differences import Cause, Difference, Movement
    from evalkit.report.today import Answer

_WORDS = {"same": "일치", "differs": "다름", "unknown": "확인할 수 없음"}
_PLACES = {"headline": "결론", "table": "표", "figure": "그림", "text": "글"}
_PARTS = {"value": "값", "sentence": "문장", "grade": "증거 등급"}
_DIFFERS = 3
_LONGEST = 90


@click.command()
@click.argument("target", metavar="보고서", type=click.Path(exists=True, path_type=Path))
@click.option("--plan", type=FILE, help="계획 파일 (기본: 보고서에 적힌 것을 찾는다).")
@click.option("--data", type=FOLDER, help="자료 폴더 (--data 로 만든 보고서일 때).")
@click.option("--again", is_flag=True, help="임시 폴더에 다시 만들어 바이트를 견준다.")
@click.option("--head", metavar="해시", default="", help="따로 적어 둔 감사 기록의 머리가 아직 있는지 본다.")
@click.option("--strict", is_flag=True, help="확인할 수 없는 것이 있어도 3 으로 끝낸다.")
@click.option("--json", "as_json", is_flag=True, help="JSON 으로 적는다.")
@sentences
def verify(
    target: Path, plan: Path | None, data: Path | None, again: bool, head: str, strict: bool, as_json: bool
) -> None:
    """보고서가 기록과 재료에 맞는지 확인한다: 폴더, 쪽 하나, 또는 모든 계획의 폴더.

    쪽의 바이트를 run.json 과 감사 기록(audit.jsonl)에, 쪽을 만든 재료를 오늘의 파일에 견준다. 다른 것이 있으면 3 으로 끝난다.
    """
    from evalkit.report.verify import asked_of
    from evalkit.report.verify import verify as verified

    found: list[tuple[str, list[Answer]]] = []
    for asked in asked_of(target, plan=plan, data=data, again=again, head=head):
        found.append((asked.folder.name, verified(asked)))
    answers = [answer for _, group in found for answer in group]
    if as_json:
        _echo_json({name: [_plain(answer) for answer in group] for name, group in found})
    else:
        for name, group in found:
            if len(found) > 1:
                click.echo(f"[{name}]")
            _table(group)
        click.echo(_conclusion(answers))
    bad = {"differs", "unknown"} if strict else {"differs"}
    sys.exit(_DIFFERS if any(answer.verdict in bad for answer in answers) else 0)


def _plain(answer: Answer) -> dict[str, str]:
    return {name: getattr(answer, name) for name in ("group", "what", "verdict", "detail")}


def _echo_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=1))


def _table(answers: Sequence[Answer]) -> None:
    """One row an answer; pages that agree are told as one row where there are many."""
    good = [a for a in answers if a.group == "쪽" and a.verdict == "same"]
    shown = [a for a in answers if a not in good] if len(good) > 12 else list(answers)
    group = ""
    for answer in shown:
        first, group = answer.group if answer.group != group else "", answer.group
        detail = f"  {answer.detail}" if answer.detail else ""
        click.echo(f"{_padded(first, 14)}{_padded(_WORDS[answer.verdict], 16)}{answer.what}{detail}")
    if len(shown) < len(answers):
        click.echo(f"{_padded('쪽', 14)}{_padded(_WORDS['same'], 16)}그 밖의 쪽과 파일 {len(good)}건")


def _padded(text: str, width: int) -> str:
    """Korean letters take two columns of a terminal."""
    return text + " " * max(1, width - sum(2 if ord(letter) > 0x1100 else 1 for letter in text))


def _conclusion(answers: Sequence[Answer]) -> str:
    counts = {v: sum(a.verdict == v for a in answers) for v in _WORDS}
    told = ", ".join(f"{word} {counts[v]}" for v, word in _WORDS.items())
    if counts["differs"]:
        return f"맞지 않는 것이 있음 ({told})"
    if counts["unknown"]:
        return f"확인한 것은 모두 맞음; 확인하지 못한 것이 있음 ({told})"
    return f"보고서가 기록과 재료에 맞음 ({told})"


@click.command()
@click.argument("before", metavar="앞", type=FOLDER)
@click.argument("after", metavar="뒤", type=FOLDER)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="이 비율까지의 차이는 같은 것으로 본다 (0 = 유효숫자 10자리).",
)
@click.option("--all", "everything", is_flag=True, help="움직인 수를 모두 적는다 (기본: 40개).")
@click.option("--json", "as_json", is_flag=True, help="JSON 으로 적는다.")
@sentences
def diff(before: Path, after: Path, tolerance: float, everything: bool, as_json: bool) -> None:
    """두 실행(보고서 폴더)에서 어떤 수가 왜 움직였는지 적는다: 자료, 코드, 계획, 씨앗.

    재료가 모두 같은데 수가 움직인 쪽이 있으면 재현되지 않은 것이며 3 으로 끝난다. 만든 뒤에 바뀐 결과 파일이 있어도 그렇다.
    """
    from evalkit.report.differences import compare

    found = compare(before.resolve(), after.resolve(), tolerance)
    if as_json:
        _echo_json(found.to_json())
    else:
        _tell(found, everything)
    sys.exit(_DIFFERS if found.unexplained or found.altered else 0)


def _tell(found: Difference, everything: bool) -> None:
    click.echo("바뀐 재료" if found.ingredients else "재료가 모두 같음")
    for item in found.ingredients:
        details = item.details if everything else item.details[:6]
        more = f" 외 {len(item.details) - len(details)}" if len(details) < len(item.details) else ""
        click.echo(f"  {item.word} ({len(item.pages)}쪽): {'; '.join(details) or '바뀜'}{more}")
    for words, pages in (("앞에만 있는 쪽", found.gone), ("뒤에만 있는 쪽", found.come)):
        if pages:
            click.echo(f"{words}: {', '.join(pages)}")
    for page, (then, now) in found.states.items():
        click.echo(f"상태가 바뀐 쪽: {page} {then} → {now}")
    if found.movements:
        _tell_causes(found.causes)
        _tell_movements(found.movements, everything)
    else:
        click.echo("움직인 수가 없음")
    if found.unexplained:
        moved = ", ".join(found.unexplained)
        click.echo(f"재현되지 않음: 재료가 모두 같은데 수가 움직인 쪽: {moved}", err=True)
    if found.altered:
        told = ", ".join(f"{name.replace(' ', ' 실행의 ', 1)}" for name in found.altered)
        click.echo(f"만든 뒤에 바뀐 결과 파일이 있어 까닭을 말할 수 없음: {told}", err=True)


def _tell_causes(causes: Sequence[Cause]) -> None:
    """One line for the pages that share what can have moved them."""
    for cause in causes:
        if cause.words:
            told = f"까닭: {', '.join(cause.words)} ({len(cause.pages)}쪽 {cause.movements}곳)"
            more = " → 함께 바뀌어 몫을 나눌 수 없음; 하나씩 바꾸어 다시 만들어 견줄 것"
            click.echo(told + (more if len(cause.words) > 1 else ""))


def _tell_movements(movements: Sequence[Movement], everything: bool) -> None:
    counts = {word: sum(m.place == place for m in movements) for place, word in _PLACES.items()}
    told = ", ".join(f"{word} {count}" for word, count in counts.items() if count)
    click.echo(f"움직인 것 {len(movements)}곳, {len({m.page for m in movements})}쪽 ({told})")
    shown = movements if everything else movements[:40]
    for item in shown:
        click.echo(f"  {_line(item)}")
    if len(shown) < len(movements):
        click.echo(f"  … 외 {len(movements) - len(shown)}곳 (--all)")


def _line(item: Movement) -> str:
    part = _PARTS.get(item.column, item.column) if item.place == "headline" else item.column
    where = " › ".join(word for word in (item.name, item.row, part) if word)
    size = ""
    if item.absolute is not None:
        share = "" if item.relative is None else f", {item.relative:+.3%}"
        size = f" ({item.absolute:+.6g}{share})"
    zero = "  0을 넘음" if item.crosses_zero else ""
    change = f"{_value(item.before)} → {_value(item.after)}{size}{zero}"
    return f"{_padded(_PLACES[item.place], 6)}{item.page}  {where + ': ' if where else ''}{change}"


def _value(value: Any) -> str:
    """A value on one line."""
    if value is None:
        return "(없음)"
    if isinstance(value, list):
        return f"[{_value(value[0])}, {_value(value[1])}]"
    if isinstance(value, dict):
        return "∞" if value.get("infinite", 1) > 0 else "−∞"
    if isinstance(value, int | float):
        return f"{value:.10g}"
    text = " ".join(str(value).split())
    return f"“{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}”"


_RISKS = {
    "difference": "기업 수의 차이가 한두 곳인 칸",
    "moved": "한두 기업만 다른 표본에서 움직인 수가 있는 표",
    "shown_elsewhere": "한 실행이 가리고 다른 실행이 보이는 칸",
    "linked": "두 실행의 합계로 되짚을 수 있는 칸이 있는 표",
}
_REFUSED = 5
_LISTED = 12


@click.command("release-check")
@click.argument("folders", metavar="보고서…", type=FOLDER, nargs=-1, required=True)
@click.option("--csv", "form", type=FILE, help="검토자가 서명할 목록을 이 파일에 적는다.")
@click.option("--all", "everything", is_flag=True, help="모두 적는다 (기본: 규칙마다 12개).")
@sentences
def release_check(folders: tuple[Path, ...], form: Path | None, everything: bool) -> None:
    """여러 실행을 함께 내보내면 한두 기업의 값이 드러나는 곳을 찾는다.

    같은 계획의 두 실행(앞 실행의 복사본과 새 실행), 또는 같은 파일을 읽은 여러 계획의 폴더를 적는다. 찾으면 5 로 끝난다.
    """
    from evalkit.report.between import form as form_of
    from evalkit.report.between import names, pairs

    found = pairs(folders)
    for pair in found:
        if pair.apart or pair.risks:
            click.echo(f"[{' + '.join(names(pair))}] {pair.apart}".rstrip())
        for rule, words in _RISKS.items():
            listed = [risk for risk in pair.risks if risk.rule == rule]
            if listed:
                click.echo(f"  {words}: {len(listed)}")
            for risk in listed if everything else listed[:_LISTED]:
                place = " › ".join(part for part in (risk.report, risk.table, risk.row, risk.column) if part)
                click.echo(f"    {place}")
    if form is not None:
        form.write_text(form_of(found), encoding="utf-8-sig", newline="")
        click.echo(f"서명할 목록: {form}")
    risks = sum(len(pair.risks) for pair in found)
    compared = sum(not pair.apart for pair in found)
    if risks:
        click.echo(f"함께 내보내기 전에 사람이 볼 곳 {risks} (실행 {compared}쌍)", err=True)
        sys.exit(_REFUSED)
    click.echo(
        f"함께 내보내도 새로 드러나는 칸을 찾지 못함 (실행 {compared}쌍; 열쇠와 이름이 같은 칸만 견준다)"
    )
