"""What a page was made from: hashes and versions, the key that decides whether it is made again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import evalkit
from evalkit.study.inputs import code_sha256

PACKAGES = (
    "numpy",
    "pandas",
    "scipy",
    "statsmodels",
    "linearmodels",
    "matplotlib",
    "seaborn",
    "papermill",
    "nbconvert",
)

REASONS = {
    "notebook": "공책",
    "parameters": "매개변수",
    "inputs": "입력 자료",
    "plan": "계획",
    "frozen": "고정한 계획",
    "code": "코드",
    "template": "보고서 틀",
    "environment": "꾸러미 판",
    "lang": "언어",
}


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that can change a page, one hash or value each; same ingredients, same bytes."""

    notebook: str
    parameters: str
    inputs: str
    plan: str
    frozen: str
    code: str
    template: str
    environment: str
    lang: str

    def as_dict(self) -> dict[str, str]:
        """Plain mapping, for run.json."""
        return {name: getattr(self, name) for name in REASONS}

    def key(self) -> str:
        """One hash of all of it."""
        return digest(self.as_dict())


def digest(value: Any) -> str:
    """Hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def reasons(before: Mapping[str, str] | None, after: Ingredients) -> list[str]:
    """Korean names of what changed since the page was last made; empty when nothing did."""
    if before is None:
        return ["처음"]
    now = after.as_dict()
    return [word for name, word in REASONS.items() if before.get(name) != now[name]]


@cache
def package_versions() -> dict[str, str]:
    """Versions of what computes and draws; absent packages are left out."""
    found = {"python": platform.python_version(), "evalkit": evalkit.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def lock_sha256(root: Path) -> str:
    """Hash of the locked requirements, or '' where there is no lock."""
    path = root / "requirements.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def environment_sha256(root: Path) -> str:
    """Lock, installed versions and platform in one hash."""
    return digest([lock_sha256(root), package_versions(), sys.platform, platform.machine()])


@cache
def template_sha256() -> str:
    """Hash of the page template, its styles and the fonts that pages carry."""
    fonts = Path(evalkit.__file__).with_name("present") / "fonts"
    hashed = hashlib.sha256()
    for folder in (Path(__file__).with_name("template"), fonts):
        for path in sorted(item for item in folder.iterdir() if item.is_file()):
            hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()


def code_hash() -> str:
    """Hash of the whole package."""
    return code_sha256()


@cache
def code_parts() -> dict[str, str]:
    """Hash of each part of the package, shortened: which part differs between two runs."""
    package = Path(evalkit.__file__).parent
    parts = sorted(
        item.name
        for item in package.iterdir()
        if item.suffix == ".py" or (item.is_dir() and (item / "__init__.py").is_file())
    )
    return {part: code_sha256(part)[:16] for part in parts}


def audit_key(*places: Path) -> bytes | None:
    """Key of the keyed hashes in the audit trail: that of the identifiers, which never leaves the machine.

    From ``EVALKIT_HASH_KEY``; else beside the processed data of the project that a place lies in; None = not at hand.
    """
    given = os.environ.get("EVALKIT_HASH_KEY")
    if given:
        return given.encode()
    for place in (*places, Path.cwd()):
        for folder in (place.resolve(), *place.resolve().parents):
            path = folder / "data" / "processed" / "identifier.key"
            if path.is_file():
                return path.read_bytes()
    return None


def git_state(root: Path) -> dict[str, Any]:
    """Commit and whether the tree differs from it; empty outside a repository. For run.json only."""
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), "")
    return {"commit": commit, "modified": any(not line.startswith("#") for line in lines)}
