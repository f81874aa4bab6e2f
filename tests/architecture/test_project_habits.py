"""What is promised about the tree as a whole: settings, licences, addresses, words, quick help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
LEFT_OUT = {
    ".git",
    ".venv",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "__pycache__",
    "reports",
}

# in two pieces each, so that this file does not hold what it looks for
MACHINE = re.compile(r"(?<![\w.~:-])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me|t" + r"mp|Us" + r"ers)/[\w.]")
REGISTRIES = tuple(
    "".join(parts)
    for parts in (
        ("py", "pi.org"),
        ("pythonhosted", ".org"),
        ("npmjs", ".org"),
        ("registry.", "yarnpkg"),
        ("conda.", "anaconda.org"),
        ("repo.", "anaconda.com"),
        ("deb.", "debian.org"),
        ("cdn.js", "delivr"),
        ("cdn", "js.cloudflare"),
    )
)


def tracked() -> list[Path]:
    """Files under version control; in a copy without git, everything but caches and results."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True)
        names = done.stdout.decode().split("\0")
        files = [PROJECT / name for name in names if name]
    except (OSError, subprocess.CalledProcessError):
        files = [p for p in PROJECT.rglob("*") if not LEFT_OUT & set(p.relative_to(PROJECT).parts)]
    return [p for p in files if p.is_file()]


def text(path: Path) -> str | None:
    """The text of a file, or None for one that is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def settings() -> dict[str, Any]:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_search_for_machine_paths_finds_them() -> None:
    for piece in ("wo" + "rk", "ho" + "me", "t" + "mp"):
        assert MACHINE.search(f'open("/{piece}/x.csv")')
    assert not MACHINE.search("https://example.org/wo" + "rk/x")
    assert not MACHINE.search("a network/ro" + "ot/x")


def test_no_tracked_file_names_a_folder_of_one_machine() -> None:
    found = [
        f"{p.relative_to(PROJECT)}: {match.group(0)}"
        for p in tracked()
        if (content := text(p)) is not None
        for match in MACHINE.finditer(content)
    ]
    assert not found, "\n".join(found)


def test_no_tracked_file_names_a_package_registry() -> None:
    found = [
        f"{p.relative_to(PROJECT)}: {host}"
        for p in tracked()
        if (content := text(p)) is not None
        for host in REGISTRIES
        if host in content
    ]
    assert not found, "\n".join(found)


def test_nothing_received_or_rendered_is_tracked() -> None:
    kept = {p.relative_to(PROJECT).as_posix() for p in tracked()}
    allowed = {"data/raw/README.md", "data/processed/.gitkeep", "reports/.gitkeep"}
    assert {name for name in kept if name.startswith(("data/", "reports/"))} <= allowed


def test_warnings_of_tests_are_errors_and_the_settings_are_strict() -> None:
    pytest_settings = settings()["tool"]["pytest"]["ini_options"]
    assert pytest_settings["filterwarnings"][0] == "error"
    assert {"--strict-markers", "--strict-config"} <= set(pytest_settings["addopts"].split())
    assert settings()["tool"]["mypy"]["strict"] is True
    assert settings()["tool"]["coverage"]["run"]["branch"] is True


def test_the_font_travels_with_its_licence() -> None:
    fonts = PROJECT / "src" / "evalkit" / "present" / "fonts"
    assert list(fonts.glob("*.otf"))
    licence = (fonts / "LICENSE.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE" in licence.upper()
    assert "Reserved Font Name" in licence
    for name in settings()["project"]["license-files"]:
        assert (PROJECT / name).is_file(), name


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    program = (
        "import json, sys\n"
        "sys.argv = ['evalkit', '--help']\n"
        "from evalkit.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\nelse:\n    code = 0\n"
        "print(json.dumps([code or 0, sorted(sys.modules)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert "report" in done.stdout
    heavy = {
        "pandas",
        "numpy",
        "scipy",
        "matplotlib",
        "seaborn",
        "papermill",
        "nbconvert",
        "statsmodels",
        "pydantic",
    }
    assert not heavy & set(modules)


# -- words ----------------------------------------------------------------------------------------------


def glossary() -> list[tuple[str, str]]:
    """(한국어, English) of every row of GLOSSARY.md."""
    rows = []
    for line in (PROJECT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if (
            line.startswith("|")
            and len(cells) == 3
            and not set(cells[0]) <= set("-: ")
            and cells[0] != "한국어"
        ):
            rows.append((cells[0], cells[1].strip("`")))
    return rows


def test_the_glossary_gives_each_word_one_meaning() -> None:
    rows = glossary()
    assert len(rows) >= 40
    for column in (0, 1):
        words = [row[column].lower() for row in rows]
        twice = sorted({word for word in words if words.count(word) > 1})
        assert not twice, twice


@pytest.mark.parametrize(
    "word",
    ["unit", "period", "adoption", "cohort", "event_time", "cluster", "comparison", "phase", "tier", "stage"],
)
def test_the_words_of_the_code_are_in_the_glossary(word: str) -> None:
    assert word in {english for _, english in glossary()}


# -- automation -------------------------------------------------------------------------------------------


def workflow() -> dict[Any, Any]:
    data = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def test_the_workflow_asks_for_little_and_ends() -> None:
    data = workflow()
    assert data["permissions"] == {"contents": "read"}
    assert data["concurrency"]["group"]
    for job in data["jobs"].values():
        assert job["timeout-minutes"] <= 60


def test_actions_are_pinned_to_a_commit() -> None:
    steps = [step for job in workflow()["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action) for action in used), used


def test_the_workflow_tests_every_supported_python_and_windows() -> None:
    matrix = workflow()["jobs"]["test"]["strategy"]["matrix"]
    named = re.findall(r"3\.\d+", settings()["project"]["requires-python"])
    assert matrix["python"][0] == named[0]
    assert any("windows" in entry["os"] for entry in matrix["include"])


def test_inputs_of_a_person_reach_the_shell_as_variables() -> None:
    """`${{ inputs.x }}` inside `run:` would be executed."""
    for job in workflow()["jobs"].values():
        assert all("${{" not in step.get("run", "") for step in job["steps"])


def test_hooks_use_what_is_installed() -> None:
    data = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in data["repos"]] == ["local"]
    hooks = data["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert {hook["id"] for hook in hooks} == {"ruff", "ruff-format", "mypy", "import-linter", "notebooks"}


def test_the_gate_runs_the_two_commands_of_the_readme() -> None:
    gate = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert "set -euo pipefail" in gate
    assert gate.index("run.py test") < gate.index("run.py report")
    for command in ("python3 run.py report", "python3 run.py test"):
        assert command in readme
