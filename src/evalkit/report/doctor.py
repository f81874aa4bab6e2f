"""Can this machine make reports? One line a question."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer."""

    what: str
    good: bool
    words: str


def examine() -> list[Finding]:
    """All findings; a check that breaks is itself a finding."""
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("파이썬", _python),
        ("꾸러미", _packages),
        ("글꼴", _fonts),
        ("쓰기", _writing),
        ("계산 프로세스", _kernel),
    )
    findings = []
    for name, check in checks:
        try:
            findings.append(check())
        except Exception as error:
            findings.append(Finding(name, False, f"점검하다가 {type(error).__name__}: {error}"))
    return findings


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    shown = ".".join(map(str, sys.version_info[:3]))
    return Finding("파이썬", good, shown if good else f"{shown} → 3.11 이상을 설치할 것")


def _packages() -> Finding:
    """Everything that the package requires is installed."""
    missing = []
    for line in requires("evalkit") or ():
        if ";" in line:
            continue
        name = line.split(">")[0].split("<")[0].split("=")[0].split("!")[0].split("[")[0].strip()
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("꾸러미", False, f"없음: {', '.join(missing)} → python3 run.py 로 환경을 다시 만들 것")
    return Finding("꾸러미", True, "모두 있음")


def _fonts() -> Finding:
    from evalkit.report.fonts import FACES, subset

    sizes = [len(subset(face, frozenset("가0−"))) for face in FACES.values()]
    return Finding("글꼴", all(sizes), "본문 글꼴을 페이지에 넣을 수 있음")


def _writing() -> Finding:
    from evalkit.report.environment import cache_folder, has_ipc

    with tempfile.TemporaryDirectory(prefix="evk-") as folder:
        transport = "소켓 파일" if has_ipc(Path(folder)) else "암호화한 포트"
    good = os.access(cache_folder(), os.W_OK)
    return Finding("쓰기", good, f"임시 폴더와 캐시에 쓸 수 있음, 통신은 {transport}")


def _kernel() -> Finding:
    from evalkit.report.environment import kernel_environment, run_folder
    from evalkit.report.execute import Run, execute

    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": "print(6 * 7)",
        "outputs": [],
        "execution_count": None,
    }
    nb = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    kept = dict(os.environ)
    started = time.monotonic()
    try:
        with run_folder() as folder:
            os.environ.update(kernel_environment(folder))
            done = execute(nb, {}, Run(cwd=folder, folder=folder, timeout=60))
    finally:
        os.environ.clear()
        os.environ.update(kept)
    seconds = time.monotonic() - started
    if done.state == "ok":
        return Finding("계산 프로세스", True, f"{seconds:.1f}초에 시작하고 끝남")
    return Finding(
        "계산 프로세스",
        False,
        f"{done.error_name}: {done.error_text} → python3 run.py 로 환경을 다시 만들 것",
    )
