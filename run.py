#!/usr/bin/env python3
"""evalkit 실행기: 가상환경(.venv)을 만들고 일을 시킨다. Python 3.11 이상의 표준 라이브러리만 쓴다.

    python3 run.py report [계획.yml…] [선택지…]   보고서를 만든다 (기본: plans/ 의 계획 가운데 자료가 있는 것 모두)
    python3 run.py test [pytest 인자…]           전체 시험: ruff, mypy, import-linter, pytest
    python3 run.py coverage [pytest 인자…]       시험이 지나가지 않은 줄과 갈래 (coverage; 시험은 두 배 남짓 걸린다)
    python3 run.py check [이름…]                 시험 가운데 정적 검사만: ruff, mypy, import-linter, 공책
    python3 run.py lab [JupyterLab 인자…]        JupyterLab 을 notebooks/ 에서 연다 (커널 이름: evalkit)
    python3 run.py bench [이름…]                 benchmarks/ 의 속도 측정
    python3 run.py docs [sphinx 인자…]           안내서를 만든다 (docs/_build/html; 만든 보고서가 있으면 함께)
    python3 run.py rigour [pytest 인자…]         오래 걸리는 모의실험 시험 (slow)
    python3 run.py lock                          requirements*.lock 을 다시 만든다 (uv 필요)

처음 한 번은 패키지를 설치하고, 다음부터는 잠금 파일이나 pyproject.toml 이 바뀐 때에만 다시 설치한다.
"""

# Older Pythons must be able to compile this file, so that they can say what they lack: no syntax above 3.7.

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

OLDEST = (3, 11)


def old_python_sentence(version: "Sequence[int]", which: "Callable[[str], object]" = shutil.which) -> str:
    """What to tell someone whose Python is too old; it names a newer one where there is one."""
    newer = [name for name in ("python3.%d" % minor for minor in range(14, 10, -1)) if which(name)]  # noqa: UP031
    remedy = (
        newer[0] + " run.py 로 다시 실행할 것" if newer else "Python 3.11 이상을 설치한 뒤 다시 실행할 것"
    )
    return f"이 Python 은 {version[0]}.{version[1]} 인데 evalkit 은 3.11 이상이 필요함. → {remedy}."


if sys.version_info < OLDEST:
    sys.exit(old_python_sentence(sys.version_info[:2]))

ROOT = Path(__file__).resolve().parent
RUNTIME, DEV, BENCH = "requirements.lock", "requirements-dev.lock", "requirements-bench.lock"
SPARK = "requirements-spark.lock"  # alone: PySpark comes as source only, and only tests beside a Java want it
EXTRAS = {RUNTIME: ("launch",), DEV: ("launch", "dev"), BENCH: ("launch", "bench"), SPARK: ()}


class LaunchError(Exception):
    """One sentence for the person at the terminal: what is wrong and the way out."""


def say(text: str) -> None:
    """A line of the launcher's own, on stderr: stdout belongs to the command that is run."""
    print(text, file=sys.stderr, flush=True)


# -- what stands in .venv ---------------------------------------------------------------------------


def venv_of(root: Path) -> Path:
    return root / ".venv"


def venv_python(root: Path) -> Path:
    """The interpreter inside .venv."""
    return venv_of(root) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def base_python() -> str:
    """The interpreter behind this one: .venv must not be rebuilt by the Python that lives in it."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def digest(path: Path) -> str:
    """SHA-256 of a file with its line ends made equal (a Windows checkout has others); "" where it is missing."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() if path.is_file() else ""


def identity(root: Path) -> dict[str, str]:
    """What a .venv cannot survive a change of."""
    return {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "platform": f"{sys.implementation.cache_tag} {sysconfig.get_platform()}",
        "root": str(root),
    }


def stamp_path(root: Path) -> Path:
    return venv_of(root) / "evalkit-stamp.json"


def making_path(root: Path) -> Path:
    """Stands while an installation runs; found at the start of a run, it means that one was cut short."""
    return venv_of(root) / "evalkit-installing"


def read_stamp(root: Path) -> dict[str, object]:
    """The stamp of the last finished installation; empty where there is none or it cannot be read."""
    try:
        stamp = json.loads(stamp_path(root).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(root: Path, lock: str) -> None:
    """Note what is installed now: a new lock beside those that still hold, moved into place in one step."""
    held = read_stamp(root).get("locks")
    locks = {k: v for k, v in held.items() if v == digest(root / k)} if isinstance(held, dict) else {}
    locks[lock] = digest(root / lock)
    stamp = {"identity": identity(root), "project": digest(root / "pyproject.toml"), "locks": locks}
    part = stamp_path(root).with_suffix(".part")
    part.write_text(json.dumps(stamp, indent=1, sort_keys=True), encoding="utf-8")
    os.replace(part, stamp_path(root))


def venv_version(root: Path) -> str:
    """Major.minor of the Python that made .venv, from pyvenv.cfg; "" where it does not say."""
    try:
        text = (venv_of(root) / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("version", "version_info"):
            return ".".join(value.strip().split(".")[:2])
    return ""


def needed(root: Path, lock: str) -> tuple[str, str]:
    """What must be done before `lock` can be relied upon: ("nothing" | "install" | "make", why)."""
    if not venv_of(root).exists():
        return "make", "처음 실행"
    if making_path(root).exists():
        return "make", "지난 설치가 끝나지 않았음"
    if not venv_python(root).exists() or not venv_version(root):
        return "make", ".venv 가 온전하지 않음"
    mine = identity(root)
    if venv_version(root) != mine["python"]:
        return "make", f".venv 가 다른 Python({venv_version(root)})의 것임"
    stamp = read_stamp(root)
    if not stamp:
        return "install", ".venv 에 설치 기록이 없음"
    if stamp.get("identity") != mine:
        return "make", "폴더를 옮겼거나 Python 이 바뀌었음"
    if stamp.get("project") != digest(root / "pyproject.toml"):
        return "install", "pyproject.toml 이 바뀌었음"
    locks = stamp.get("locks")
    current = [k for k, v in locks.items() if v == digest(root / k)] if isinstance(locks, dict) else []
    # every lock holds the runtime lock whole (tests/unit/test_environment.py), so any of them will do for it
    if lock in current or (lock == RUNTIME and current):
        return "nothing", ""
    return "install", f"{lock} 이(가) 새롭거나 바뀌었음"


# -- the environment of children --------------------------------------------------------------------

_FOREIGN = (
    "PYTHONDONTWRITEBYTECODE",  # left on, every kernel compiles pandas and scipy again
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONOPTIMIZE",
    "PYTHONSTARTUP",
    "PYTHONIOENCODING",
    "__PYVENV_LAUNCHER__",
    "UV_SYSTEM_PYTHON",
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_TARGET",
    "UV_PREFIX",
    "UV_PYTHON",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_PYTHON",
)
_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def home_writable(environ: Mapping[str, str]) -> bool:
    """Whether the user's folder can take caches; a folder that does not exist cannot."""
    home = environ.get("USERPROFILE" if os.name == "nt" else "HOME") or ""
    return bool(home) and os.path.isdir(home) and os.access(home, os.W_OK)


def child_environment(root: Path, environ: Mapping[str, str], *, own_jupyter: bool = True) -> dict[str, str]:
    """The environment of everything that is started from here.

    `own_jupyter` keeps the user's Jupyter and IPython settings (start-up files, kernels named python3 of another
    environment) out; `lab` lets them in where the home folder is writable. Mirrors named in pip.conf, uv.toml or
    the environment stay in force.
    """
    env = {name: value for name, value in environ.items() if name not in _FOREIGN}
    venv, var = venv_of(root), venv_of(root) / "var"
    zone = "Asia/Seoul" if os.path.exists("/usr/share/zoneinfo/Asia/Seoul") else "KST-9"
    env.update(
        VIRTUAL_ENV=str(venv),
        PATH=str(venv_python(root).parent) + os.pathsep + environ.get("PATH", os.defpath),
        PYTHONUTF8="1",
        PYTHONHASHSEED="0",
        TZ=zone,
        MPLCONFIGDIR=str(var / "matplotlib"),
        JUPYTER_PLATFORM_DIRS="1",
        JUPYTER_PREFER_ENV_PATH="1",
        PIP_USER="0",  # `user = true` in pip.conf cannot work inside a virtual environment
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        **dict.fromkeys(_THREADS, "1"),
    )
    homeless = not home_writable(environ)
    if homeless:
        env.update(
            {f"XDG_{kind}_HOME": str(var / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
        )
    if own_jupyter or homeless:
        env["IPYTHONDIR"] = str(var / "ipython")
        env.update(
            {
                f"JUPYTER_{kind}_DIR": str(var / "jupyter" / kind.lower())
                for kind in ("CONFIG", "DATA", "RUNTIME")
            }
        )
    return env


# -- running ----------------------------------------------------------------------------------------


def run(command: Sequence[str], env: Mapping[str, str], cwd: Path = ROOT) -> int:
    """Run a command in the foreground; Ctrl-C and termination are the child's to handle; its exit code."""
    process = subprocess.Popen(list(command), cwd=cwd, env=dict(env))
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    before[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


def quietly(command: Sequence[str], env: Mapping[str, str], log: Path, *, note: str = "") -> bool:
    """Run a command with its output in the log; with a note, a line every 15 seconds shows that it lives."""
    with log.open("ab") as stream:
        stream.write(("$ " + " ".join(command) + "\n").encode())
        stream.flush()
        try:
            process = subprocess.Popen(
                list(command),
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=dict(env),
            )
        except OSError as error:
            stream.write(f"{error}\n".encode())
            return False
        started = time.monotonic()
        try:
            while True:
                try:
                    return process.wait(timeout=15) == 0
                except subprocess.TimeoutExpired:
                    if note:
                        say(f"  … {note} {time.monotonic() - started:.0f}초째")
        except BaseException:
            process.kill()
            process.wait()
            raise


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """One installation at a time for this folder; another run waits for it."""
    name = hashlib.sha256(
        f"{root}{os.environ.get('USERNAME') or os.environ.get('USER')}".encode()
    ).hexdigest()
    with open(Path(tempfile.gettempdir()) / f"evalkit-{name[:16]}.lock", "a+b") as stream:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    stream.seek(0)
                    msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # LK_LOCK gives up after ten seconds
                    continue
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# -- making .venv -----------------------------------------------------------------------------------


def remove_venv(root: Path) -> None:
    """Take .venv away whole."""
    venv = venv_of(root)
    try:
        if venv.is_symlink() or venv.is_file():
            venv.unlink()
        elif venv.exists():
            shutil.rmtree(venv)
    except OSError as error:
        raise LaunchError(
            f".venv 를 지우지 못함 ({error}). → 열려 있는 JupyterLab 이나 터미널을 닫고 다시 실행할 것."
        ) from error


def make_venv(root: Path, env: Mapping[str, str], log: Path) -> None:
    """An empty .venv without pip, which Debian makes even where python3-venv (ensurepip) is missing."""
    venv, base = str(venv_of(root)), base_python()
    ways = [
        [base, "-m", "venv", "--without-pip", venv],
        [base, "-m", "virtualenv", "--no-download", "--python", base, venv],
    ]
    uv = shutil.which("uv")
    if uv:
        ways.append([uv, "venv", "--python", base, venv])
    for way in ways:
        if quietly(way, env, log) and venv_python(root).exists():
            making_path(root).touch()
            return
        remove_venv(root)
    raise LaunchError(
        "가상환경을 만들지 못함. → Debian·Ubuntu 는 `sudo apt install python3-venv` 를, 그 밖에는 python.org 의 Python 이나 uv 를"
        f" 설치한 뒤 다시 실행할 것 (기록: {log})."
    )


def pip_command(root: Path, env: Mapping[str, str], log: Path) -> list[str]:
    """A pip that installs into .venv: its own, one from ensurepip, the system's, or one that virtualenv brings."""
    python, base = str(venv_python(root)), base_python()
    inside = [python, "-m", "pip"]
    if quietly([*inside, "--version"], env, log):
        return inside
    if quietly([python, "-m", "ensurepip", "--default-pip"], env, log):
        return inside
    outside = [base, "-m", "pip", "--python", python]  # pip >= 22.3; PEP 668 does not bind a .venv
    if quietly([*outside, "--version"], env, log):
        return outside
    if quietly([base, "-m", "virtualenv", "--no-download", "--python", base, str(venv_of(root))], env, log):
        return inside
    raise LaunchError(
        "이 Python 에는 pip 도 ensurepip 도 없음. → Debian·Ubuntu 는 `sudo apt install python3-venv` 를, 그 밖에는 uv 를 설치한 뒤"
        f" 다시 실행할 것 (기록: {log})."
    )


def install(root: Path, lock: str, env: Mapping[str, str], log: Path) -> None:
    """The locked packages, each checked against its hash, then the project itself, editable and without a download."""
    python, uv = str(venv_python(root)), shutil.which("uv")
    project = ["--no-deps", "--no-build-isolation", "-e", str(root)]
    locked = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(root / lock)]
    if uv:
        start = [uv, "pip", "install", "--python", python]
        if quietly([*start, *locked], env, log, note="uv 로 설치하는 중") and quietly(
            [*start, "--offline", *project], env, log
        ):
            return
        say("  uv 로 설치하지 못함: pip 으로 다시 설치함")
    start = [*pip_command(root, env, log), "install", "--no-compile", "--no-input", "--progress-bar", "off"]
    if quietly([*start, *locked], env, log, note="pip 으로 설치하는 중") and quietly(
        [*start, "--no-index", *project], env, log
    ):
        return
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
    say("\n".join(f"  | {line}" for line in tail))
    raise LaunchError(
        "패키지를 설치하지 못함 (위는 기록의 끝). → 인터넷 연결과 프록시를 확인하고, 사내 미러를 쓰면 pip.conf 나 uv.toml 에 적은 뒤"
        f" 다시 실행할 것 (전체 기록: {log})."
    )


def make_path_relative(root: Path) -> None:
    """Let the line that puts src/ on the path be relative, hence ASCII.

    Before 3.13 Python reads such files in the locale's encoding even in UTF-8 mode; a Korean folder name, written as
    UTF-8 by the installer and read as CP949 or ASCII, would stop every start of the interpreter.
    """
    base = {"base": str(venv_of(root)), "platbase": str(venv_of(root))}
    site = Path(sysconfig.get_path("purelib", "venv", base))
    file = site / "evalkit.pth"
    if file.is_file():
        file.write_text(os.path.relpath(root / "src", site) + "\n", encoding="ascii")


def prepare(root: Path, lock: str, environ: Mapping[str, str]) -> None:
    """Bring .venv to where `lock` says; nothing happens where it is there already."""
    if needed(root, lock)[0] == "nothing":
        return
    if not (root / lock).is_file():
        raise LaunchError(f"{lock} 이(가) 없음. → 저장소를 다시 받거나 `python3 run.py lock` 을 실행할 것.")
    with alone(root):
        action, why = needed(root, lock)  # another run may have done it while this one waited
        if action == "nothing":
            return
        started = time.monotonic()
        say(f"환경을 준비함 ({why}): {venv_of(root)}")
        log = Path(tempfile.gettempdir()) / f"evalkit-install-{os.getpid()}.log"
        log.write_bytes(b"")
        env = child_environment(root, environ)
        if action == "make":
            remove_venv(root)
            make_venv(root, env, log)
        making_path(root).touch()
        make_path_relative(root)
        install(root, lock, env, log)
        make_path_relative(root)
        (venv_of(root) / "var").mkdir(exist_ok=True)
        write_stamp(root, lock)
        making_path(root).unlink()
        log.unlink(missing_ok=True)
        say(f"환경 준비를 마침: {time.monotonic() - started:.0f}초")


def prepare_spark(root: Path, environ: Mapping[str, str]) -> bool:
    """PySpark into the prepared .venv where Java is present; whether it is there now.

    It is a source package and is built here, with the setuptools and wheel of the development lock. Without Java, or when
    it cannot be had, its tests are skipped and say so.
    """
    java = environ.get("JAVA_HOME") or shutil.which("java", path=environ.get("PATH"))
    if not java or not (root / SPARK).is_file():
        return False
    mark = venv_of(root) / "evalkit-spark"
    if mark.is_file() and mark.read_text(encoding="ascii") == digest(root / SPARK):
        return True
    with alone(root):
        log = Path(tempfile.gettempdir()) / f"evalkit-spark-{os.getpid()}.log"
        log.write_bytes(b"")
        env, uv = child_environment(root, environ), shutil.which("uv")
        start = [uv, "pip", "install", "--python", str(venv_python(root))] if uv else []
        locked = ["--no-deps", "--require-hashes", "--no-build-isolation", "-r", str(root / SPARK)]
        say("Java 가 있어 PySpark 를 설치함 (시험에만 씀)")
        pip = [*pip_command(root, env, log), "install", "--no-compile", "--no-input", "--progress-bar", "off"]
        if not (uv and quietly([*start, *locked], env, log)) and not quietly([*pip, *locked], env, log):
            say(f"  PySpark 를 설치하지 못해 그 시험은 건너뜀 (기록: {log})")
            return False
        mark.write_text(digest(root / SPARK), encoding="ascii")
        log.unlink(missing_ok=True)
    return True


# -- the words --------------------------------------------------------------------------------------


def report_arguments(arguments: Sequence[str]) -> list[str]:
    """Every plan whose data are at hand, unless the user names one."""
    if any(a.lower().endswith((".yml", ".yaml")) and not a.startswith("-") for a in arguments):
        return ["report", *arguments]
    plans = [f"plans/{path.name}" for path in sorted((ROOT / "plans").glob("*.yml"))]
    return ["report", "--present", *plans, *arguments]


def word_report(arguments: Sequence[str]) -> int:
    prepare(ROOT, RUNTIME, os.environ)
    env = child_environment(ROOT, os.environ)
    return run([str(venv_python(ROOT)), "-m", "evalkit", *report_arguments(arguments)], env)


def checks(python: str) -> dict[str, list[str]]:
    """The tools that read the tree without running the kit, in the order in which they run."""
    folders = [
        name for name in ("src", "tests", "benchmarks", "docs", "run.py", ".github") if (ROOT / name).exists()
    ]
    program = Path(python)
    return {
        "ruff-check": [python, "-m", "ruff", "check", *folders],
        "ruff-format": [python, "-m", "ruff", "format", "--check", *folders],
        "import-linter": [str(program.with_name("lint-imports" + program.suffix)), "--no-cache"],
        "mypy": [python, "-m", "mypy"],
        "notebooks": [python, "-m", "pytest", "-q", "tests/architecture/test_notebooks_are_thin.py"],
    }


def word_check(arguments: Sequence[str]) -> int:
    """Some of the checks, or all."""
    known = checks(str(venv_python(ROOT)))
    wrong = [name for name in arguments if name not in known]
    if wrong:
        raise LaunchError(f"그런 검사가 없음: {wrong[0]}. → {' · '.join(known)} 가운데에서 고를 것.")
    prepare(ROOT, DEV, os.environ)
    env = child_environment(ROOT, os.environ)
    failed = []
    for name in arguments or known:
        say(f"— {name}")
        if run(known[name], env):
            failed.append(name)
    if failed:
        say(f"통과하지 못한 검사: {', '.join(failed)}")
    return int(bool(failed))


def pytest_arguments(arguments: Sequence[str]) -> list[str]:
    """The slow simulations stay out unless the user chooses by mark."""
    chosen = any(a.startswith("-m") for a in arguments)
    return [*arguments] if chosen else ["-m", "not slow", *arguments]


BESIDE = ("tests/notebooks", "tests/properties")


def word_test(arguments: Sequence[str]) -> int:
    """The whole suite; with arguments of the user, only pytest with those."""
    prepare(ROOT, DEV, os.environ)
    env, python = child_environment(ROOT, os.environ), str(venv_python(ROOT))
    pytest = [python, "-m", "pytest"]
    prepare_spark(ROOT, os.environ)
    if arguments:
        return run([*pytest, *pytest_arguments(arguments)], env)

    def static() -> int:
        return word_check([n for n in checks(python) if n != "notebooks"])

    unclean, code = by_halves(static, [*pytest, "-m", "not slow"], env)
    if unclean:
        say("정적 검사를 통과하지 못함: 위의 기록을 볼 것")
    return code or unclean


def by_halves(static: "Callable[[], int]", pytest: Sequence[str], env: Mapping[str, str]) -> tuple[int, int]:
    """Two cores, two halves: rendered reports and random panels run beside the static checks and the rest.

    The second half's output is shown when the first has ended, so that the two do not mix.

    Returns
    -------
    exit code of the static checks, exit code of the tests
    """
    rendered = [name for name in BESIDE if (ROOT / name).is_dir()]
    with tempfile.TemporaryFile() as output:
        beside = None
        if rendered:
            command = [*pytest, "-p", "no:cacheprovider", *rendered]
            beside = subprocess.Popen(
                command, cwd=ROOT, env=dict(env), stdout=output, stderr=subprocess.STDOUT
            )
        try:
            unclean = static()
            code = run([*pytest, *(f"--ignore={name}" for name in rendered)], env)
            second = beside.wait() if beside else 0
        finally:
            if beside and beside.poll() is None:
                beside.terminate()
        output.seek(0)
        sys.stdout.flush()
        sys.stdout.write(output.read().decode("utf-8", "replace"))
        sys.stdout.flush()
    return unclean, code or second


def word_coverage(arguments: Sequence[str]) -> int:
    """Lines and branches that no quick test passes through; apart from the suite, because tracing doubles its time.

    Reports are rendered in processes of their own, which are not traced: without arguments those tests are left out.
    """
    prepare(ROOT, DEV, os.environ)
    env, coverage = child_environment(ROOT, os.environ), [str(venv_python(ROOT)), "-m", "coverage"]
    asked = arguments or [f"--ignore={name}" for name in BESIDE]
    code = run([*coverage, "run", "-m", "pytest", *pytest_arguments(asked)], env)
    return run([*coverage, "report"], env) or code


def word_rigour(arguments: Sequence[str]) -> int:
    prepare(ROOT, DEV, os.environ)
    env = child_environment(ROOT, os.environ)
    if not arguments:  # the whole of it: write the table of what each estimator recovers
        env["EVALKIT_RIGOUR_TABLE"] = "1"
    return run([str(venv_python(ROOT)), "-m", "pytest", "-m", "slow", *arguments], env)


def word_docs(arguments: Sequence[str]) -> int:
    """The documentation site, and its first page's path."""
    prepare(ROOT, DEV, os.environ)
    env, built = child_environment(ROOT, os.environ), ROOT / "docs" / "_build"
    command = [str(venv_python(ROOT)), "-m", "sphinx", "-q", "-W", "-b", "html", "-d", str(built / "trees")]
    code = run([*command, *arguments, str(ROOT / "docs"), str(built / "html")], env)
    if not code:
        print(built / "html" / "index.html")
    return code


def word_lab(arguments: Sequence[str]) -> int:
    prepare(ROOT, RUNTIME, os.environ)
    env, python = child_environment(ROOT, os.environ, own_jupyter=False), str(venv_python(ROOT))
    register = [python, "-m", "ipykernel", "install", "--prefix", str(venv_of(ROOT)), "--name", "evalkit"]
    register += ["--display-name", "evalkit"]
    for name in ("PYTHONHASHSEED", "PYTHONUTF8", *_THREADS):
        register += ["--env", name, env[name]]
    log = Path(tempfile.gettempdir()) / f"evalkit-kernel-{os.getpid()}.log"
    if not quietly(register, env, log):
        raise LaunchError(f"커널 evalkit 을 등록하지 못함. → .venv 를 지우고 다시 실행할 것 (기록: {log}).")
    log.unlink(missing_ok=True)
    return run([python, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT / 'notebooks'}", *arguments], env)


def word_bench(arguments: Sequence[str]) -> int:
    scripts = sorted((ROOT / "benchmarks").glob("[!_]*.py"))
    chosen = [s for s in scripts if not arguments or s.stem in arguments]
    if not chosen:
        names = ", ".join(s.stem for s in scripts) or "없음"
        raise LaunchError(f"그런 측정이 없음: {' '.join(arguments)}. → 쓸 수 있는 이름: {names}.")
    prepare(ROOT, BENCH, os.environ)
    env, python = child_environment(ROOT, os.environ), str(venv_python(ROOT))
    codes = []
    for script in chosen:
        say(f"— {script.stem}")
        codes.append(run([python, str(script)], env))
    return max(codes)


def compile_command(uv: str, lock: str) -> list[str]:
    """How a lock is compiled; the others follow the versions of the runtime lock."""
    command = [
        uv,
        "pip",
        "compile",
        "pyproject.toml",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
    ]
    command += ["--no-emit-index-url", "--no-annotate", "--no-header", "--quiet", "--output-file", lock]
    if lock == SPARK:
        command[command.index("pyproject.toml")] = "--group"
        command.insert(command.index("--group") + 1, "spark")
        return command
    for extra in EXTRAS[lock]:
        command += ["--extra", extra]
    return command if lock == RUNTIME else [*command, "--constraint", RUNTIME]


def word_lock(arguments: Sequence[str]) -> int:
    uv = shutil.which("uv")
    if not uv:
        raise LaunchError("잠금 파일은 uv 로 만듦. → uv 를 설치한 뒤 다시 실행할 것.")
    env = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    for lock in EXTRAS:
        say(f"— {lock}")
        code = run([*compile_command(uv, lock), *arguments], env)
        if code:
            return code
    return 0


WORDS = {
    "report": word_report,
    "test": word_test,
    "check": word_check,
    "lab": word_lab,
    "bench": word_bench,
    "docs": word_docs,
    "coverage": word_coverage,
    "rigour": word_rigour,
    "lock": word_lock,
}


def main(arguments: Sequence[str]) -> int:
    """Do what the first word says; the exit code of the command, 1 for a broken environment, 2 for a wrong word."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # a cp949 pipe cannot hold every sign; children write UTF-8 as well
            piped = os.name == "nt" and not stream.isatty()
            stream.reconfigure(errors="replace", **({"encoding": "utf-8"} if piped else {}))
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print((__doc__ or "").strip())
        return 0 if arguments else 2
    word, *rest = arguments
    if word not in WORDS:
        say(f"모르는 말 {word!r}. → {' · '.join(WORDS)} 가운데 하나를 쓸 것 (`python3 run.py --help`).")
        return 2
    try:
        return int(WORDS[word](rest))
    except LaunchError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("멈춤. → 같은 명령을 다시 실행하면 처음부터 안전하게 이어짐.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
