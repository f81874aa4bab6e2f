"""The command line. Nothing heavy is imported before a command needs it: ``evalkit --help`` must be quick."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path

import click

from evalkit.cli.audit import audit
from evalkit.cli.base import CONTEXT, FILE, FOLDER, Commands, sentences
from evalkit.cli.build import build, raw
from evalkit.cli.export import export
from evalkit.cli.fetch import fetch
from evalkit.cli.ingest import ingest
from evalkit.cli.new import new
from evalkit.cli.trail import diff, release_check, verify
from evalkit.errors import PlanError, UsageError


def _consoles() -> None:
    """Korean on any console: a letter that it cannot show is replaced, never an error."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


@click.group(cls=Commands, context_settings=CONTEXT)
@click.option("--debug", is_flag=True, help="오류의 자세한 기록(traceback)을 보여 준다.")
@click.version_option(package_name="evalkit", message="evalkit %(version)s")
def cli(debug: bool) -> None:
    """지역혁신 사업 평가: 자료 파일에서 보고서까지."""


@cli.command()
@click.argument("plans", metavar="PLAN…", type=FILE, nargs=-1, required=True)
@click.option(
    "--only", multiple=True, metavar="이름", help="이 보고서(또는 공책)만 만든다. 여러 번 적을 수 있다."
)
@click.option("--force", is_flag=True, help="바뀐 것이 없어도 다시 만든다.")
@click.option("--present", is_flag=True, help="자료가 없는 계획은 말만 하고 건너뛴다 (계획이 여럿일 때).")
@click.option("--lang", type=click.Choice(["ko", "en"]), help="보고서의 언어 (기본: 계획에 적힌 언어).")
@click.option("--data", type=FOLDER, help="자료 폴더 (기본: 계획에 적힌 폴더).")
@click.option("--out", type=FOLDER, help="보고서를 둘 폴더 (기본: reports).")
@click.option("--jobs", type=click.IntRange(1, 64), help="동시에 돌릴 공책 수 (기본: 코어 수).")
@click.option(
    "--timeout", type=click.FloatRange(1), default=900.0, show_default=True, help="공책 하나의 제한 시간(초)."
)
@sentences
def report(
    plans: tuple[Path, ...],
    only: tuple[str, ...],
    force: bool,
    present: bool,
    lang: str | None,
    data: Path | None,
    out: Path | None,
    jobs: int | None,
    timeout: float,
) -> None:
    """PLAN 의 보고서를 만든다. 바뀐 것이 없는 보고서는 다시 만들지 않는다.

    계획을 여럿 적으면(plans/*.yml) 모두 만들고, 전체 사업을 한눈에 보는 쪽과 차례를 더한다.
    """
    from evalkit.report.pipeline import Outcome, render_plan
    from evalkit.report.task import Options

    options = Options(only, force, lang, data, out, jobs, timeout)
    outcomes: list[tuple[str, Outcome]]
    if len(plans) == 1:
        outcomes = [("", render_plan(plans[0], options))]
        index, exit_code = outcomes[0][1].folder / "index.html", outcomes[0][1].exit_code
    else:
        from evalkit.report.programmes import render_plans

        together = render_plans(plans, options, present=present)
        for path, sentence in together.absent:
            click.echo(f"자료가 없어 건너뜀: {path.name}: {sentence}", err=True)
        outcomes = [(f"{path.stem}/", outcome) for path, outcome in together.plans]
        outcomes += [] if together.overview is None else [("", together.overview)]
        index, exit_code = together.index, together.exit_code
    made, kept = (sum(len(getattr(o, name)) for _, o in outcomes) for name in ("made", "kept"))
    failures = [(prefix + name, words) for prefix, outcome in outcomes for name, words in outcome.failed]
    if made:
        fresh = {prefix + name for prefix, outcome in outcomes for name in outcome.made}
        failed = len({name for name, _ in failures} & fresh)
        click.echo(
            f"보고서 {made - failed}건을 만듦"
            + (f", {kept}건은 그대로" if kept else "")
            + (f", {failed}건은 끝나지 않음" if failed else "")
        )
    else:
        click.echo(f"바뀐 것이 없어 보고서 {kept}건을 그대로 둠")
    if index.name:
        click.echo(str(index))
    for name, sentence in failures:
        click.echo(f"실패: {name}: {sentence}", err=True)
    sys.exit(exit_code)


@cli.command()
@click.argument("notebook", type=FILE)
@click.option("-p", "--parameter", "pairs", multiple=True, metavar="이름=값", help="공책의 매개변수.")
@click.option("--out", type=FOLDER, default=Path("reports"), show_default=True, help="결과를 둘 폴더.")
@click.option(
    "--lang", type=click.Choice(["ko", "en"]), default="ko", show_default=True, help="보고서의 언어."
)
@click.option("--timeout", type=click.FloatRange(1), default=900.0, show_default=True, help="제한 시간(초).")
@sentences
def run(notebook: Path, pairs: tuple[str, ...], out: Path, lang: str, timeout: float) -> None:
    """공책 하나를 실행해 HTML 로 만든다."""
    from evalkit.report.single import render_notebook

    page, state, sentence = render_notebook(notebook, pairs, out=out, lang=lang, timeout=timeout)
    click.echo(str(page))
    if state != "ok":
        click.echo(f"실패: {sentence}", err=True)
        sys.exit(5 if state == "refused" else 4)


@cli.command()
@click.argument("notebook", type=FILE)
@sentences
def params(notebook: Path) -> None:
    """공책의 매개변수와 형, 기본값, 뜻을 보여 준다."""
    from evalkit.report.parameters import declared_parameters
    from evalkit.report.source import read_notebook

    for item in declared_parameters(read_notebook(notebook), notebook=notebook.name).values():
        click.echo(f"{item.name} = {item.default!r}    [{item.kind.words()}]  {item.comment}".rstrip())


@cli.group(cls=Commands)
def plan() -> None:
    """평가 계획을 점검하고, 고정하고, 견주어 본다."""


@plan.command("check")
@click.argument("plan", type=FILE)
@sentences
def plan_check(plan: Path) -> None:
    """PLAN 과 그 공책의 매개변수가 맞는지 본다. 자료는 읽지 않는다."""
    from evalkit.report.parameters import declared_parameters, typed_parameters
    from evalkit.report.source import find_notebook, read_notebook
    from evalkit.study.inputs import project_root
    from evalkit.study.plan import load_plan
    from evalkit.study.plan_check import check_plan
    from evalkit.study.plan_faults import located

    loaded = load_plan(plan)
    check_plan(loaded, plan)
    root = project_root(plan)
    jobs = loaded.jobs()
    for job in jobs:
        try:
            path = find_notebook(job.notebook, plan_path=plan, root=root)
        except PlanError as error:
            raise located(error, plan) from None
        declared = declared_parameters(read_notebook(path), notebook=path.name)
        typed_parameters(job.parameters, declared, notebook=path.name)
    asked = sum(job.on_request for job in jobs)
    aside = f"과 부를 때 만드는 {asked}건" if asked else ""
    click.echo(f"{plan.name}: 이상 없음 (보고서 {len(jobs) - asked}건{aside}, 해시 {loaded.sha256()[:12]})")
    for job in jobs:
        click.echo(f"  {job.name}{'  (부를 때만)' if job.on_request else ''}")
    click.echo("자료와 변수 이름은 evalkit audit 와 evalkit report 가 자료를 읽을 때 점검함.")


@plan.command("freeze")
@click.argument("plan", type=FILE)
@click.option("--again", is_flag=True, help="이미 고정한 계획을 다시 고정한다. 앞의 해시는 기록에 남는다.")
@sentences
def plan_freeze(plan: Path, again: bool) -> None:
    """PLAN 을 해시와 날짜와 함께 고정한다. 그 뒤에 바뀐 점은 보고서에 적힌다."""
    from evalkit.report.frozen import freeze, read_frozen
    from evalkit.study.plan import load_plan

    loaded = load_plan(plan)
    path = freeze(plan, loaded, again=again)
    frozen = read_frozen(plan, loaded)
    assert frozen is not None
    click.echo(f"{path.name}: {frozen.date} 에 고정 (해시 {frozen.sha256[:12]})")


@plan.command("diff")
@click.argument("plan", type=FILE)
@sentences
def plan_diff(plan: Path) -> None:
    """고정한 뒤 PLAN 에서 바뀐 점을 적는다."""
    from evalkit.report.frozen import deviations, frozen_path, read_frozen
    from evalkit.study.plan import load_plan

    loaded = load_plan(plan)
    frozen = read_frozen(plan, loaded)
    if frozen is None:
        name = frozen_path(plan, loaded).name
        raise UsageError(
            "고정한 계획이 없음", where=(name,), remedy=f"evalkit plan freeze {plan.name} 을 먼저 할 것"
        )
    found = deviations(frozen, loaded)
    click.echo(
        f"{frozen.date} 에 고정한 뒤 {len(found)}곳이 바뀜" if found else f"{frozen.date} 에 고정한 그대로임"
    )
    for item in found:
        click.echo(f"  {item.key}: {item.before} → {item.after}")


@plan.command("schema")
@click.argument("plan", type=FILE, required=False)
@sentences
def plan_schema(plan: Path | None) -> None:
    """편집기가 쓸 수 있는 계획의 JSON Schema 를 적는다."""
    import json

    from evalkit.study.plan import Plan

    click.echo(json.dumps(Plan.model_json_schema(), ensure_ascii=False, indent=1))


@cli.command()
@click.option("--seed", type=click.IntRange(0), default=20180301, show_default=True, help="난수 씨앗.")
@click.option("--firms", type=click.IntRange(200, 200_000), default=4000, show_default=True, help="기업 수.")
@click.option("--out", type=FOLDER, required=True, help="자료를 둘 새 폴더; 참값은 그 안의 truth 에 둔다.")
@sentences
def simulate(seed: int, firms: int, out: Path) -> None:
    """참값을 아는 모의 세계의 자료 파일을 쓴다."""
    from evalkit import simulate as simulation

    if out.exists() and any(out.iterdir()):
        raise UsageError("폴더가 비어 있지 않음", where=(out.name,), remedy="새 폴더의 이름을 적을 것")
    simulation.write(simulation.world(seed=seed, firms=firms), out / "raw", out / "truth")
    click.echo(str(out / "raw"))


@cli.command()
@click.argument("name", required=False)
@click.option("--page", is_flag=True, help="METHODS.md 의 글을 적는다.")
@sentences
def methods(name: str | None, page: bool) -> None:
    """추정 방법을 모두 적거나, NAME 방법의 질문·가정·문헌·대조를 보여 준다."""
    from evalkit import methods as register

    if page:
        click.echo(register.page(), nl=False)
    else:
        click.echo(register.description(register.method(name)) if name else register.listing())


@cli.command()
@sentences
def doctor() -> None:
    """이 컴퓨터에서 보고서를 만들 수 있는지 점검한다."""
    from evalkit.report.doctor import examine

    findings = examine()
    for item in findings:
        click.echo(f"{'정상' if item.good else '문제'}  {item.what}: {item.words}")
    if not all(item.good for item in findings):
        sys.exit(1)


@cli.group(cls=Commands)
def nb() -> None:
    """공책 파일을 정리하고 점검한다."""


@nb.command("strip")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True)
@sentences
def nb_strip(paths: tuple[Path, ...]) -> None:
    """출력과 실행 번호를 지운다."""
    from evalkit.report.source import notebooks_in, strip_file

    for path in notebooks_in(paths):
        click.echo(f"{path}: {'정리함' if strip_file(path) else '그대로'}")


@nb.command("check")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True)
@sentences
def nb_check(paths: tuple[Path, ...]) -> None:
    """판본 관리에 올릴 수 있는 공책인지 본다."""
    from evalkit.report.source import faults, notebooks_in

    bad = 0
    for path in notebooks_in(paths):
        found = faults(path)
        bad += bool(found)
        click.echo(f"{path}: {', '.join(found) if found else '이상 없음'}", err=bool(found))
    if bad:
        click.echo("→ evalkit nb strip 으로 정리할 것.", err=True)
        sys.exit(2)


cli.add_command(audit)
cli.add_command(build)
cli.add_command(export)
cli.add_command(fetch)
cli.add_command(ingest)
cli.add_command(new)
cli.add_command(raw)
cli.add_command(diff)
cli.add_command(release_check)
cli.add_command(verify)


def _end_in_order() -> None:
    """A request to end (a scheduler, a closing session) leaves no kernels, sockets or temporary folders behind."""
    for name in ("SIGTERM", "SIGHUP"):
        signum = getattr(signal, name, None)  # Windows has no SIGHUP
        if signum is None or signal.getsignal(signum) == signal.SIG_IGN:  # nohup: the session may close
            continue
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signum, _ended)


def _ended(signum: int, _frame: object) -> None:
    signal.signal(signum, signal.SIG_IGN)  # asked again, the cleaning up goes on
    with contextlib.suppress(OSError, RuntimeError):  # the terminal is gone, or was being written to
        click.echo(f"밖에서 멈춤 ({signal.Signals(signum).name}).", err=True)
    sys.exit(128 + signum)


def main() -> None:
    """Entry point."""
    _consoles()
    _end_in_order()
    cli(prog_name="evalkit")


if __name__ == "__main__":
    main()
