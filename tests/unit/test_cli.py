"""The command line: quick, one sentence per fault, exit codes by kind, any console."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from evalkit import cli as module
from evalkit.cli import cli
from evalkit.report.task import Options

PROJECT = Path(__file__).resolve().parents[2]
PLANS = PROJECT / "plans"
HEAVY = (
    "pandas",
    "numpy",
    "papermill",
    "nbconvert",
    "nbformat",
    "jupyter_client",
    "matplotlib",
    "scipy",
    "jinja2",
)


def call(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    raw = yaml.safe_load((PLANS / "nic_phase1_vs_phase3.yml").read_text(encoding="utf-8"))
    raw |= {"id": "small", "reports": [{"notebook": "n.ipynb", "for_each": {"phase": [1, 3]}}]}
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "plans").mkdir()
    cell = {
        "cell_type": "code",
        "id": "p",
        "metadata": {"tags": ["parameters"]},
        "source": 'phase: int = 1  # 단계\nregion: str = "00150"  # 코드',
        "outputs": [],
        "execution_count": None,
    }
    nb = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "notebooks" / "n.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    path = tmp_path / "plans" / "small.yml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return path


def imported(code: str) -> list[str]:
    show = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", show], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout.splitlines()[-1].replace("'", '"'))


def test_the_command_line_imports_nothing_heavy() -> None:
    assert imported("import evalkit.cli") == []
    assert imported("import evalkit.report.pipeline, evalkit.study.prepare") == []


def test_help_is_korean_and_complete() -> None:
    code, out, _ = call("--help")
    assert code == 0
    for word in ("report", "run", "params", "plan", "build", "raw", "simulate", "doctor", "nb", "지역혁신"):
        assert word in out


def test_a_misspelt_command_names_the_nearest() -> None:
    code, _, err = call("reprot", "x.yml")
    assert code == 2
    assert "비슷한 이름: report" in err
    code, _, err = call("plan", "freze", "x.yml")
    assert "비슷한 이름: freeze" in err


def test_a_missing_plan_is_one_sentence(tmp_path: Path) -> None:
    code, out, err = call("report", tmp_path / "none.yml")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("오류: ")
    assert "Traceback" not in err


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["--debug", "report", str(tmp_path / "none.yml")])
    assert type(done.exception).__name__ == "PlanError"


def test_check_reads_the_plan_and_its_notebooks(plan: Path) -> None:
    code, out, _ = call("plan", "check", plan)
    assert code == 0
    assert "보고서 2건" in out
    assert "n_phase3" in out
    raw = yaml.safe_load(plan.read_text(encoding="utf-8"))
    raw["reports"][0]["parameters"] = {"regoin": "00150"}
    plan.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    code, _, err = call("plan", "check", plan)
    assert code == 2
    assert "비슷한 이름: region" in err


def test_freeze_and_diff(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    code, _, err = call("plan", "diff", plan)
    assert code == 2
    assert "freeze" in err
    assert "1970-01-01" in call("plan", "freeze", plan)[1]
    assert "그대로" in call("plan", "diff", plan)[1]
    raw = yaml.safe_load(plan.read_text(encoding="utf-8"))
    raw["horizon"] = 4
    plan.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    assert "horizon: 2 → 4" in call("plan", "diff", plan)[1]
    assert call("plan", "freeze", plan)[0] == 2
    assert call("plan", "freeze", plan, "--again")[0] == 0


def test_the_schema_is_json() -> None:
    schema = json.loads(call("plan", "schema")[1])
    assert "outcomes" in schema["properties"]


def test_parameters_are_listed(plan: Path) -> None:
    code, out, _ = call("params", plan.parents[1] / "notebooks" / "n.ipynb")
    assert code == 0
    assert out.splitlines() == ["phase = 1    [정수]  단계", "region = '00150'    [글자]  코드"]


def test_notebooks_are_checked_and_stripped(plan: Path) -> None:
    folder = plan.parents[1] / "notebooks"
    assert call("nb", "check", folder)[0] == 2
    assert call("nb", "strip", folder)[0] == 0
    assert call("nb", "check", folder) == (0, f"{folder / 'n.ipynb'}: 이상 없음\n", "")


def test_report_passes_its_options_on(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.report import pipeline

    seen: list[Options] = []

    def render(path: Path, options: Options) -> pipeline.Outcome:
        seen.append(options)
        return pipeline.Outcome(tmp_path, ("a", "c"), ("b",), (("a", "이유"),), 4)

    monkeypatch.setattr(pipeline, "render_plan", render)
    words = [
        "--only",
        "x",
        "--only",
        "y",
        "--force",
        "--lang",
        "en",
        "--out",
        tmp_path,
        "--jobs",
        3,
        "--timeout",
        9,
    ]
    code, out, err = call("report", plan, *words)
    assert code == 4
    assert seen == [Options(("x", "y"), True, "en", None, tmp_path, 3, 9.0)]
    assert "보고서 1건을 만듦, 1건은 그대로, 1건은 끝나지 않음" in out  # one that failed is not made
    assert "실패: a: 이유" in err


def test_simulate_refuses_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    code, _, err = call("simulate", "--out", tmp_path)
    assert code == 2
    assert "비어 있지 않음" in err


def test_an_unexpected_fault_is_a_sentence_too(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.report import pipeline

    monkeypatch.setattr(pipeline, "render_plan", lambda *_: 1 / 0)
    code, _, err = call("report", plan)
    assert code == 1
    assert "ZeroDivisionError" in err
    assert "--debug" in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_told_to_end_cleans_up(tmp_path: Path, name: str) -> None:
    signum = getattr(signal, name)
    code = (
        "import signal, sys, tempfile, time\n"
        "from evalkit import cli\n"
        f"signal.signal(signal.{name}, signal.SIG_DFL)\n"  # the tests may run under nohup
        "def work(**_):\n"
        "    with tempfile.TemporaryDirectory(dir=sys.argv[1]):\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "cli.cli = work\n"
        "cli.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline() == "ready\n"
        assert len(list(tmp_path.iterdir())) == 1
        run.send_signal(signum)
        assert run.wait(30) == 128 + signum
        assert run.stderr.read() == f"밖에서 멈춤 ({name}).\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_fault() -> None:
    """`evalkit plan schema | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "evalkit", "plan", "schema"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert "오류" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "cp1252"])
def test_any_console_can_show_it(encoding: str, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    for words in (["--help"], ["report", str(tmp_path / "없는.yml")]):
        done = subprocess.run(
            [sys.executable, "-m", "evalkit", *words], capture_output=True, env=env, timeout=60
        )
        assert b"Traceback" not in done.stderr
        assert b"UnicodeEncodeError" not in done.stderr
        assert done.returncode == (0 if words == ["--help"] else 2)


def test_streams_without_reconfigure_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, console = object(), io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    monkeypatch.setattr(sys, "stderr", console)
    module._consoles()
    assert sys.stdout is plain
    assert console.errors == "replace"


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "남은 자리가 없음"), (errno.EACCES, "쓸 권한이 없음"), (errno.EIO, "다루지 못함")],
)
def test_what_the_system_refuses_is_a_sentence_without_a_folder(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/somewhere/deep/보고서.html")

    monkeypatch.setattr("evalkit.report.doctor.examine", refuse)
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 1
    assert words in result.stderr
    assert "[보고서.html]" in result.stderr
    assert "deep" not in result.stderr
