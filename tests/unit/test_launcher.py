"""run.py decides what to do from a folder's state; nothing here installs anything."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    """run.py as a module; it is a script at the top of the project, not part of a package."""
    spec = importlib.util.spec_from_file_location("evalkit_launcher", PROJECT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


launcher = load()
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(autouse=True)
def _own_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Logs and the lock of an installation stay out of the machine's temporary folder."""
    folder = str(tmp_path_factory.mktemp("temporary"))
    monkeypatch.setattr(launcher.tempfile, "gettempdir", lambda: folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project folder with locks and a pyproject, without a .venv."""
    for name in (launcher.RUNTIME, launcher.DEV, launcher.BENCH, "pyproject.toml"):
        (tmp_path / name).write_text(f"{name}\n", encoding="utf-8")
    return tmp_path


def make(root: Path, version: str = f"{HERE}.1") -> None:
    """What `python -m venv` leaves, as far as the launcher looks."""
    python = launcher.venv_python(root)
    python.parent.mkdir(parents=True)
    python.write_text("")
    (root / ".venv" / "pyvenv.cfg").write_text(f"home = somewhere\nversion = {version}\n", encoding="utf-8")


def finish(root: Path, lock: str) -> None:
    launcher.write_stamp(root, lock)


# -- what has to be done ------------------------------------------------------------------------------


def test_a_fresh_clone_makes_an_environment(root: Path) -> None:
    assert launcher.needed(root, launcher.RUNTIME)[0] == "make"


def test_after_an_installation_nothing_is_done(root: Path) -> None:
    make(root)
    finish(root, launcher.RUNTIME)
    assert launcher.needed(root, launcher.RUNTIME) == ("nothing", "")


@pytest.mark.parametrize("larger", [launcher.DEV, launcher.BENCH])
def test_a_larger_lock_serves_the_runtime_but_not_the_other_way_round(root: Path, larger: str) -> None:
    make(root)
    finish(root, larger)
    assert launcher.needed(root, launcher.RUNTIME)[0] == "nothing"
    other = launcher.BENCH if larger == launcher.DEV else launcher.DEV
    assert launcher.needed(root, other)[0] == "install"


def test_two_locks_are_remembered_together_until_one_changes(root: Path) -> None:
    make(root)
    finish(root, launcher.DEV)
    finish(root, launcher.BENCH)
    assert launcher.needed(root, launcher.DEV)[0] == "nothing"
    (root / launcher.DEV).write_text("new\n")
    assert launcher.needed(root, launcher.DEV)[0] == "install"
    assert launcher.needed(root, launcher.BENCH)[0] == "nothing"


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_into_the_same_environment(root: Path, name: str) -> None:
    make(root)
    finish(root, launcher.RUNTIME)
    (root / name).write_text("changed\n")
    action, why = launcher.needed(root, launcher.RUNTIME)
    assert action == "install"
    assert name in why


def test_windows_line_ends_are_not_a_change(root: Path) -> None:
    make(root)
    (root / launcher.RUNTIME).write_bytes(b"a==1\nb==2\n")
    finish(root, launcher.RUNTIME)
    (root / launcher.RUNTIME).write_bytes(b"a==1\r\nb==2\r\n")
    assert launcher.needed(root, launcher.RUNTIME)[0] == "nothing"


def test_an_installation_cut_short_is_made_again(root: Path) -> None:
    make(root)
    finish(root, launcher.RUNTIME)
    launcher.making_path(root).touch()
    assert launcher.needed(root, launcher.RUNTIME)[0] == "make"


def test_a_folder_without_an_interpreter_is_made_again(root: Path) -> None:
    make(root)
    finish(root, launcher.RUNTIME)
    launcher.venv_python(root).unlink()
    assert launcher.needed(root, launcher.RUNTIME)[0] == "make"


def test_an_environment_of_another_python_is_made_again(root: Path) -> None:
    make(root, version="3.8.2")
    finish(root, launcher.RUNTIME)
    action, why = launcher.needed(root, launcher.RUNTIME)
    assert action == "make"
    assert "3.8" in why


def test_a_folder_that_was_moved_is_made_again(root: Path) -> None:
    make(root)
    finish(root, launcher.RUNTIME)
    stamp = json.loads(launcher.stamp_path(root).read_text())
    stamp["identity"]["root"] = str(root / "elsewhere")
    launcher.stamp_path(root).write_text(json.dumps(stamp))
    assert launcher.needed(root, launcher.RUNTIME)[0] == "make"


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_working_environment_without_our_record_is_kept_and_installed_into(
    root: Path, content: str
) -> None:
    make(root)
    launcher.stamp_path(root).write_text(content)
    assert launcher.needed(root, launcher.RUNTIME)[0] == "install"


@pytest.mark.parametrize("key", ["version", "version_info"])
def test_the_python_of_an_environment_is_read_from_both_spellings(root: Path, key: str) -> None:
    make(root)
    (root / ".venv" / "pyvenv.cfg").write_text(f"home = x\n{key} = 3.12.4.final.0\n")
    assert launcher.venv_version(root) == "3.12"


# -- making it ----------------------------------------------------------------------------------------


class Recorder:
    """Stands for the commands that would be run: notes them and answers as told."""

    def __init__(self, root: Path, answers: Any) -> None:
        self.root, self.answers, self.commands = root, answers, []

    def __call__(self, command: list[str], env: dict[str, str], log: Path, *, note: str = "") -> bool:
        self.commands.append(command)
        done = bool(self.answers(command))
        if done and {"venv", "virtualenv"} & set(command) and not launcher.venv_python(self.root).exists():
            make(self.root)
        return done


@pytest.fixture
def no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher.shutil, "which", lambda name: None)


def record(monkeypatch: pytest.MonkeyPatch, root: Path, answers: Any) -> Recorder:
    recorder = Recorder(root, answers)
    monkeypatch.setattr(launcher, "quietly", recorder)
    return recorder


def test_prepare_with_uv_installs_by_hash_and_the_project_without_a_download(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = record(monkeypatch, root, lambda command: True)
    monkeypatch.setattr(launcher.shutil, "which", lambda name: "uv" if name == "uv" else None)
    launcher.prepare(root, launcher.RUNTIME, {})
    making, locked, project = recorder.commands
    assert making[1:4] == ["-m", "venv", "--without-pip"]
    assert locked[:3] == ["uv", "pip", "install"]
    assert {"--require-hashes", "--no-deps", str(root / launcher.RUNTIME)} <= set(locked)
    assert {"--offline", "--no-build-isolation", "--no-deps", "-e"} <= set(project)
    assert launcher.needed(root, launcher.RUNTIME)[0] == "nothing"
    assert not launcher.making_path(root).exists()


def test_prepare_does_nothing_the_second_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = record(monkeypatch, root, lambda command: True)
    launcher.prepare(root, launcher.RUNTIME, {})
    count = len(recorder.commands)
    launcher.prepare(root, launcher.RUNTIME, {})
    assert len(recorder.commands) == count


def test_pip_takes_over_where_uv_fails(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = record(monkeypatch, root, lambda command: command[0] != "uv")
    monkeypatch.setattr(launcher.shutil, "which", lambda name: "uv" if name == "uv" else None)
    launcher.prepare(root, launcher.RUNTIME, {})
    python = str(launcher.venv_python(root))
    installs = [c for c in recorder.commands if c[:4] == [python, "-m", "pip", "install"]]
    assert len(installs) == 2
    assert all("--no-compile" in c for c in installs)
    assert "--require-hashes" in installs[0]
    assert "--no-index" in installs[1]


@pytest.mark.usefixtures("no_uv")
def test_without_ensurepip_the_pip_of_the_system_installs_into_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = str(launcher.venv_python(root))
    inside = lambda c: c[:3] in ([python, "-m", "pip"], [python, "-m", "ensurepip"])  # noqa: E731
    recorder = record(monkeypatch, root, lambda command: not inside(command))
    launcher.prepare(root, launcher.RUNTIME, {})
    outside = [launcher.base_python(), "-m", "pip", "--python", python]
    assert sum(c[:5] == outside and "install" in c for c in recorder.commands) == 2


@pytest.mark.usefixtures("no_uv")
def test_where_nothing_can_install_one_sentence_names_the_package_to_install(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record(monkeypatch, root, lambda command: "--without-pip" in command)
    with pytest.raises(launcher.LaunchError, match="python3-venv"):
        launcher.prepare(root, launcher.RUNTIME, {})
    assert launcher.making_path(root).exists()  # the next run starts afresh
    assert not launcher.stamp_path(root).exists()


@pytest.mark.usefixtures("no_uv")
def test_where_no_environment_can_be_made_nothing_is_left_behind(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = record(monkeypatch, root, lambda command: False)
    with pytest.raises(launcher.LaunchError, match="python3-venv"):
        launcher.prepare(root, launcher.RUNTIME, {})
    assert any("virtualenv" in command for command in recorder.commands)
    assert not (root / ".venv").exists()


@pytest.mark.usefixtures("no_uv")
def test_a_failed_download_shows_the_end_of_the_record_and_the_way_out(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def quietly(command: list[str], env: dict[str, str], log: Path, *, note: str = "") -> bool:
        if "--without-pip" in command:
            make(root)
        log.write_text("first\nHTTP error 403: proxy says no\n")
        return "install" not in command

    monkeypatch.setattr(launcher, "quietly", quietly)
    with pytest.raises(launcher.LaunchError, match=r"pip\.conf"):
        launcher.prepare(root, launcher.RUNTIME, {})
    assert "proxy says no" in capsys.readouterr().err


def test_a_half_made_environment_is_removed_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root)
    (root / ".venv" / "rubbish").write_text("")
    launcher.making_path(root).touch()
    record(monkeypatch, root, lambda command: True)
    launcher.prepare(root, launcher.RUNTIME, {})
    assert not (root / ".venv" / "rubbish").exists()


def test_a_missing_lock_is_said_before_anything_is_touched(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = record(monkeypatch, root, lambda command: True)
    (root / launcher.DEV).unlink()
    with pytest.raises(launcher.LaunchError, match=r"run\.py lock"):
        launcher.prepare(root, launcher.DEV, {})
    assert recorder.commands == []


@pytest.mark.skipif(os.name == "nt", reason="Windows lets only administrators make links")
def test_a_linked_environment_is_unlinked_and_its_target_stays(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "kept").write_text("")
    (root / ".venv").symlink_to(target, target_is_directory=True)
    launcher.remove_venv(root)
    assert not (root / ".venv").exists()
    assert (target / "kept").exists()


def test_the_path_to_the_source_is_written_in_ascii_whatever_the_folder_is_called(tmp_path: Path) -> None:
    root = tmp_path / "바탕 화면"
    root.mkdir()
    make(root)
    site = launcher.venv_of(root) / (
        "Lib/site-packages" if os.name == "nt" else f"lib/python{HERE}/site-packages"
    )
    site.mkdir(parents=True)
    (site / "evalkit.pth").write_text(f"{root / 'src'}\n", encoding="utf-8")
    launcher.make_path_relative(root)
    line = (site / "evalkit.pth").read_bytes().decode("ascii").strip()
    assert (site / line).resolve() == (root / "src").resolve()


# -- the environment of children ------------------------------------------------------------------------


def test_children_compile_to_bytecode_and_speak_utf8_whatever_the_user_set(root: Path) -> None:
    env = launcher.child_environment(
        root,
        {
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": "x",
            "PYTHONHOME": "y",
            "PYTHONIOENCODING": "cp949",
            "OMP_NUM_THREADS": "8",
            "PIP_USER": "1",
            "HOME": str(root),
        },
    )
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "PYTHONIOENCODING"} & set(env)
    assert env["PYTHONUTF8"] == "1"
    assert env["PYTHONHASHSEED"] == "0"
    assert env["OMP_NUM_THREADS"] == env["OPENBLAS_NUM_THREADS"] == "1"
    assert env["TZ"] in ("Asia/Seoul", "KST-9")
    assert env["PIP_USER"] == "0"


def test_mirrors_of_the_user_stay_in_force(root: Path) -> None:
    mirrors = {"PIP_INDEX_URL": "a", "PIP_CONFIG_FILE": "b", "UV_DEFAULT_INDEX": "c", "HTTPS_PROXY": "d"}
    env = launcher.child_environment(root, {**mirrors, "HOME": str(root)})
    assert mirrors.items() <= env.items()


def test_a_writable_home_keeps_the_users_jupyter_in_lab_but_not_in_reports(root: Path) -> None:
    environ = {"HOME": str(root), "USERPROFILE": str(root)}
    assert "JUPYTER_DATA_DIR" not in launcher.child_environment(root, environ, own_jupyter=False)
    report = launcher.child_environment(root, environ)
    for name in (
        "JUPYTER_DATA_DIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_RUNTIME_DIR",
        "IPYTHONDIR",
        "MPLCONFIGDIR",
    ):
        assert Path(report[name]).is_relative_to(root / ".venv")
    assert "XDG_CACHE_HOME" not in report


@pytest.mark.parametrize("home", ["missing", ""])
def test_without_a_home_every_cache_goes_into_the_environment(root: Path, home: str) -> None:
    place = str(root / home) if home else ""
    env = launcher.child_environment(root, {"HOME": place, "USERPROFILE": place}, own_jupyter=False)
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        assert Path(env[name]).is_relative_to(root / ".venv")


def test_programs_of_the_environment_come_first_on_the_path(root: Path) -> None:
    env = launcher.child_environment(root, {"PATH": "somewhere"})
    first, second = env["PATH"].split(os.pathsep)
    assert Path(first) == launcher.venv_python(root).parent
    assert second == "somewhere"


PLANS = [
    f"plans/{path.name}"
    for path in sorted((launcher.ROOT / "plans").glob("*.yml"))
    if not path.name.endswith(".facts.yml")
]


# -- words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["report", "--present", *PLANS]),
        (["--lang", "en"], ["report", "--present", *PLANS, "--lang", "en"]),
        (["plans/other.yml"], ["report", "plans/other.yml"]),
        (["--force", "OTHER.YAML"], ["report", "--force", "OTHER.YAML"]),
    ],
)
def test_report_takes_every_plan_unless_one_is_named(given: list[str], expected: list[str]) -> None:
    assert launcher.report_arguments(given) == expected


def test_slow_tests_stay_out_unless_a_mark_is_chosen() -> None:
    assert launcher.pytest_arguments([]) == ["-m", "not slow"]
    assert launcher.pytest_arguments(["-k", "x"]) == ["-m", "not slow", "-k", "x"]
    assert launcher.pytest_arguments(["-m", "slow"]) == ["-m", "slow"]
    assert launcher.pytest_arguments(["-mslow"]) == ["-mslow"]


@pytest.mark.parametrize(("static", "tests", "expected"), [(0, 0, 0), (1, 0, 1), (0, 3, 3), (1, 3, 3)])
def test_the_suite_fails_when_any_part_of_it_fails(
    monkeypatch: pytest.MonkeyPatch, static: int, tests: int, expected: int
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], env: dict[str, str]) -> int:
        ran.append(command)
        return static if "mypy" in command else 0

    def by_halves(checks: Callable[[], int], pytest: list[str], env: dict[str, str]) -> tuple[int, int]:
        found = checks()
        ran.append(pytest)
        return found, tests

    monkeypatch.setattr(launcher, "prepare", lambda *_: None)
    monkeypatch.setattr(launcher, "run", run)
    monkeypatch.setattr(launcher, "by_halves", by_halves)
    assert launcher.word_test([]) == expected
    assert "pytest" in ran[-1]  # its closing line is the last of the output
    words = " ".join(" ".join(command) for command in ran[:-1])
    assert all(name in words for name in ("ruff check", "ruff format", "mypy", "lint-imports"))


@pytest.mark.parametrize(("tests", "expected"), [(0, 0), (3, 3)])
def test_coverage_tells_what_no_test_passes_and_fails_with_the_tests(
    monkeypatch: pytest.MonkeyPatch, tests: int, expected: int
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], env: dict[str, str]) -> int:
        ran.append(command[1:])
        return tests if "run" in command else 0

    monkeypatch.setattr(launcher, "prepare", lambda *_: None)
    monkeypatch.setattr(launcher, "run", run)
    assert launcher.word_coverage(["tests/unit"]) == expected
    first = ["-m", "coverage", "run", "-m", "pytest", "-m", "not slow", "tests/unit"]
    assert ran == [first, ["-m", "coverage", "report"]]


@pytest.mark.parametrize(("first", "second", "expected"), [(0, 0, 0), (0, 3, 3), (2, 0, 2), (2, 3, 2)])
def test_both_halves_run_and_either_fails_the_suite(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    first: int,
    second: int,
    expected: int,
) -> None:
    (tmp_path / "tests" / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(launcher, "ROOT", tmp_path)

    half = f"import sys; print(*sys.argv[1:]); sys.exit({first} if sys.argv[1].startswith('--ignore') else {second})"
    codes = launcher.by_halves(lambda: 7, [sys.executable, "-c", half], dict(os.environ))
    assert codes == (7, expected)
    said = capfd.readouterr().out.splitlines()
    assert said == ["--ignore=tests/notebooks", "-p no:cacheprovider tests/notebooks"]


def test_static_checks_run_while_the_second_half_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second half says that it runs, and ends only when the checks have seen it."""
    (tmp_path / "tests" / "notebooks").mkdir(parents=True)
    monkeypatch.setattr(launcher, "ROOT", tmp_path)
    runs, seen = tmp_path / "runs", tmp_path / "seen"
    waiting = (
        f"import pathlib, time; pathlib.Path({str(runs)!r}).touch(); seen = pathlib.Path({str(seen)!r})\n"
        "end = time.monotonic() + 120\n"
        "while not seen.exists() and time.monotonic() < end: time.sleep(0.01)\n"
        "raise SystemExit(not seen.exists())"
    )

    def checks() -> int:
        end = time.monotonic() + 120
        while not runs.exists() and time.monotonic() < end:
            time.sleep(0.01)
        seen.touch()
        return int(not runs.exists())

    half = [
        sys.executable,
        "-c",
        f"import sys\nif 'no:cacheprovider' in sys.argv:\n{textwrap.indent(waiting, ' ')}",
    ]
    assert launcher.by_halves(checks, half, dict(os.environ)) == (0, 0)


def test_an_unknown_word_is_a_usage_error_that_names_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert launcher.main(["reprot"]) == 2
    said = capsys.readouterr().err
    assert "reprot" in said
    assert all(word in said for word in launcher.WORDS)


def test_every_word_is_in_the_help_and_in_the_makefile(capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main(["--help"]) == 0
    shown = capsys.readouterr().out
    rule = next(
        line for line in (PROJECT / "Makefile").read_text().splitlines() if line.startswith("report ")
    )
    assert rule.rstrip(":").split() == list(launcher.WORDS)
    assert all(f"run.py {word}" in shown for word in launcher.WORDS)


def test_a_launch_error_is_one_sentence_and_exit_code_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: list[str]) -> int:
        raise launcher.LaunchError("안 됨. → 이렇게 할 것.")

    monkeypatch.setitem(launcher.WORDS, "report", broken)
    assert launcher.main(["report"]) == 1
    assert capsys.readouterr().err == "안 됨. → 이렇게 할 것.\n"


def test_exit_codes_of_children_are_passed_on(tmp_path: Path) -> None:
    env = dict(os.environ)
    assert launcher.run([sys.executable, "-c", "raise SystemExit(4)"], env) == 4
    assert launcher.run([sys.executable, "-c", ""], env) == 0


def test_a_command_that_is_not_there_is_a_failure_in_the_record(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert not launcher.quietly([str(tmp_path / "nothing")], {}, log)
    assert "nothing" in log.read_text()


# -- other Pythons ----------------------------------------------------------------------------------------


def test_old_pythons_can_read_the_file_and_are_told_what_they_lack() -> None:
    ast.parse((PROJECT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    sentence = launcher.old_python_sentence((3, 9), which=lambda name: name == "python3.12")
    assert "3.9" in sentence
    assert "python3.12 run.py" in sentence
    assert "설치" in launcher.old_python_sentence((3, 9), which=lambda name: None)


def test_only_the_standard_library_is_imported() -> None:
    tree = ast.parse((PROJECT / "run.py").read_text(encoding="utf-8"))
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_help_survives_a_pipe_that_cannot_hold_hangul() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, str(PROJECT / "run.py"), "--help"], capture_output=True, env=env)
    assert done.returncode == 0
    assert b"run.py report" in done.stdout


# -- PySpark, for tests beside a Java -------------------------------------------------------------------


def with_tools(monkeypatch: pytest.MonkeyPatch, *tools: str) -> None:
    monkeypatch.setattr(
        launcher.shutil, "which", lambda name, path=None: f"/there/{name}" if name in tools else None
    )


def test_without_java_spark_is_not_installed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root)
    (root / launcher.SPARK).write_text("pyspark\n")
    recorder = record(monkeypatch, root, lambda command: True)
    with_tools(monkeypatch, "uv")
    assert not launcher.prepare_spark(root, {"PATH": ""})
    assert not recorder.commands


def test_beside_java_spark_is_installed_by_hash_and_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root)
    (root / launcher.SPARK).write_text("pyspark\n")
    recorder = record(monkeypatch, root, lambda command: True)
    with_tools(monkeypatch, "uv", "java")
    assert launcher.prepare_spark(root, {"PATH": ""})
    (command,) = [c for c in recorder.commands if "install" in c]
    assert {"--require-hashes", "--no-deps", "--no-build-isolation", str(root / launcher.SPARK)} <= set(
        command
    )
    assert launcher.prepare_spark(root, {"PATH": ""})
    assert len([c for c in recorder.commands if "install" in c]) == 1
    (root / launcher.SPARK).write_text("pyspark, newer\n")
    assert launcher.prepare_spark(root, {"PATH": ""})
    assert len([c for c in recorder.commands if "install" in c]) == 2


def test_spark_that_cannot_be_had_stops_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(root)
    (root / launcher.SPARK).write_text("pyspark\n")
    record(monkeypatch, root, lambda command: "install" not in command)
    with_tools(monkeypatch, "uv", "java")
    assert not launcher.prepare_spark(root, {"PATH": ""})
    assert "건너뜀" in capsys.readouterr().err
    assert not (root / ".venv" / "evalkit-spark").exists()


def test_the_lock_of_spark_is_compiled_from_its_group_alone() -> None:
    command = launcher.compile_command("uv", launcher.SPARK)
    assert command[command.index("--group") + 1] == "spark"
    assert "pyproject.toml" not in command
    assert "--extra" not in command
