"""pyproject.toml, the locks and environment.yml say the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
LOCKS = {
    "requirements.lock": ("launch",),
    "requirements-dev.lock": ("launch", "dev"),
    "requirements-bench.lock": ("launch", "bench"),
}
RUNTIME = "requirements.lock"

# conda-forge calls the Python binding by another name (there, `brotli` is the command-line program)
CONDA_NAMES = {"brotli": "brotli-python"}
# what conda needs and pip does not ask for by name
CONDA_ONLY = {"python", "pip"}

# the six packages that the kit is built upon
FIXED = {"jupyterlab", "pandas", "statsmodels", "linearmodels", "seaborn", "papermill"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def split(requirement: str) -> tuple[str, str]:
    """("pandas", ">=3.0") of "pandas>=3.0"."""
    match = re.fullmatch(r"([A-Za-z0-9._-]+)\s*(.*)", requirement.strip())
    assert match, requirement
    return canonical(match[1]), match[2].replace(" ", "")


def project() -> dict[str, Any]:
    data = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert isinstance(data["project"], dict)
    return data["project"]


def wanted(*extras: str) -> dict[str, str]:
    """Names and bounds that pyproject.toml asks for."""
    table = project()
    lines = list(table["dependencies"])
    for extra in extras:
        lines += table["optional-dependencies"][extra]
    return dict(split(line) for line in lines)


def locked(name: str) -> dict[tuple[str, str], list[str]]:
    """(name, version) -> hashes, of one lock; a name may stand with several versions for several Pythons."""
    pins: dict[tuple[str, str], list[str]] = {}
    current: tuple[str, str] | None = None
    for line in (PROJECT / name).read_text(encoding="utf-8").splitlines():
        pin = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line)
        if pin:
            current = (canonical(pin[1]), pin[2])
            pins[current] = []
        elif line.strip().startswith("--hash="):
            assert current is not None, line
            pins[current].append(line.strip().removeprefix("--hash=").removesuffix(" \\"))
        else:
            assert not line.strip(), f"{name}: a line that is neither a pin nor a hash: {line}"
    return pins


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def satisfies(version: str, bounds: str) -> bool:
    """Enough of PEP 440 for the bounds that pyproject.toml uses: >= and < over plain numbers."""
    for bound in filter(None, bounds.split(",")):
        match = re.fullmatch(r"(>=|<)([\d.]+)", bound)
        assert match, f"a bound that this test cannot read: {bound}"
        low = match[1] == ">="
        if (numbers(version) >= numbers(match[2])) != low:
            return False
    return True


def test_the_bounds_are_read_as_written() -> None:
    assert satisfies("3.11.2", ">=3.10,<3.13")
    assert not satisfies("3.13.0", ">=3.10,<3.13")
    assert not satisfies("3.9", ">=3.10")
    assert satisfies("3.10", ">=3.9")


# -- locks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_locked_within_its_bounds(name: str) -> None:
    pins = locked(name)
    for package, bounds in wanted(*LOCKS[name]).items():
        versions = [version for (pinned, version) in pins if pinned == package]
        assert versions, f"{package} is not in {name}: run `python3 run.py lock`"
        assert all(satisfies(version, bounds) for version in versions), (package, versions, bounds)


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_sha256_hashes(name: str) -> None:
    pins = locked(name)
    assert len(pins) > 100
    for pin, hashes in pins.items():
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), pin


@pytest.mark.parametrize("name", [name for name in LOCKS if name != RUNTIME])
def test_the_larger_locks_hold_the_runtime_lock_whole(name: str) -> None:
    """The launcher counts on it: after `test`, `report` installs nothing."""
    runtime, larger = locked(RUNTIME), locked(name)
    assert runtime.keys() <= larger.keys()
    assert all(set(hashes) == set(larger[pin]) for pin, hashes in runtime.items())


def test_packages_of_two_larger_locks_agree() -> None:
    dev, bench = locked("requirements-dev.lock"), locked("requirements-bench.lock")
    both = {name for name, _ in dev} & {name for name, _ in bench}
    assert {pin for pin in dev if pin[0] in both} == {pin for pin in bench if pin[0] in both}


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_address(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    assert "find-links" not in text


def test_spark_has_a_lock_of_its_own_that_says_what_the_extra_says() -> None:
    data = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert data["dependency-groups"]["spark"] == project()["optional-dependencies"]["spark"]
    pins = locked("requirements-spark.lock")
    assert {name for name, _ in pins} == {"pyspark", "py4j"}
    assert all(hashes for hashes in pins.values())
    ((_, version),) = [pin for pin in pins if pin[0] == "pyspark"]
    assert satisfies(version, wanted("spark")["pyspark"])
    # what builds it comes from the development lock
    assert {"setuptools", "wheel"} <= {name for name, _ in locked("requirements-dev.lock")}
    assert "://" not in (PROJECT / "requirements-spark.lock").read_text(encoding="utf-8")


def test_the_extra_scale_is_in_the_locks_of_tests_and_measurements() -> None:
    for extra in ("dev", "bench"):
        assert wanted("scale").items() <= wanted(extra).items()


def test_the_build_backend_is_locked_so_that_the_project_installs_without_a_download() -> None:
    data = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    backends = dict(split(line) for line in data["build-system"]["requires"])
    assert backends.items() <= wanted("launch").items()
    assert backends.keys() <= {name for name, _ in locked(RUNTIME)}


# -- conda --------------------------------------------------------------------------------------------


def conda() -> tuple[dict[str, str], list[str]]:
    """Names and bounds of environment.yml, and its pip section."""
    data = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    lines = [line for line in data["dependencies"] if isinstance(line, str)]
    pip = [line for part in data["dependencies"] if isinstance(part, dict) for line in part["pip"]]
    pairs = [split(line) for line in lines]
    assert len(dict(pairs)) == len(pairs), "a name stands twice in environment.yml"
    return dict(pairs), pip


def test_conda_and_pip_ask_for_the_same_packages_with_the_same_bounds() -> None:
    expected = {CONDA_NAMES.get(name, name): bounds for name, bounds in wanted().items()}
    names, _ = conda()
    assert {name: bounds for name, bounds in names.items() if name not in CONDA_ONLY} == expected


def test_conda_installs_the_project_itself_and_nothing_else_through_pip() -> None:
    names, pip = conda()
    assert pip == ["-e ."]
    assert names["python"] == project()["requires-python"]


def test_the_fixed_packages_are_asked_for_by_their_own_names() -> None:
    assert wanted().keys() >= FIXED
    assert conda()[0].keys() >= FIXED


def test_conda_takes_packages_from_one_channel() -> None:
    data = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    assert data["channels"] == ["conda-forge", "nodefaults"]
