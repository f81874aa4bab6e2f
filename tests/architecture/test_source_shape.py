"""The shape of the source: sizes, names, docstrings, layers, and an oracle for every estimator."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = PROJECT / "src" / "evalkit"
MODULES = sorted(SOURCE.rglob("*.py"))
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 70
SHORT_METHOD = 8  # lines
CONTAINERS = {"panel", "sample", "flows"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def where(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def settings() -> dict[str, Any]:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_files_stay_short() -> None:
    long = {
        where(p): n
        for p in MODULES
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > MOST_LINES_OF_A_FILE
    }
    assert not long, f"split these by what they know: {long}"


def test_functions_stay_short() -> None:
    long = {}
    for path in MODULES:
        for node in functions(ast.parse(path.read_text(encoding="utf-8"))):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MOST_LINES_OF_A_FUNCTION:
                long[f"{where(path)}:{node.lineno} {node.name}"] = lines
    assert not long, f"these functions do more than one thing: {long}"


def test_modules_are_named_after_what_they_hold() -> None:
    vague = [where(p) for p in MODULES if VAGUE & set(re.split(r"_", p.stem)) or p.parent.name in VAGUE]
    assert not vague


def undocumented(path: Path) -> Iterator[str]:
    """Modules, public functions and long public methods that do not say what they are for.

    A method of a few lines may be told by its name; the members of private modules are their owner's affair.
    """
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    if text.strip() and ast.get_docstring(tree) is None:
        yield f"{where(path)}: module"
    if path.stem.startswith("_") and path.stem != "__init__":
        return
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else []
        short = [m for m in members if (m.end_lineno or m.lineno) - m.lineno < SHORT_METHOD]
        for function in [node, *(m for m in members if m not in short)]:
            if (
                isinstance(function, ast.FunctionDef)
                and not function.name.startswith("_")
                and ast.get_docstring(function) is None
            ):
                yield f"{where(path)}:{function.lineno} {function.name}"


def test_public_functions_say_what_they_are_for() -> None:
    silent = [name for path in MODULES for name in undocumented(path)]
    assert not silent, "\n".join(silent)


def placed() -> set[str]:
    """Every module that the layer contract places."""
    contracts = settings()["importlinter"]["contracts"]
    (layers,) = [c["layers"] for c in contracts if c["type"] == "layers"]
    return {name.strip() for layer in layers for name in layer.split("|")}


def test_every_part_of_the_package_has_a_layer() -> None:
    parts = {
        "evalkit." + (p.name if p.is_dir() else p.stem)
        for p in SOURCE.iterdir()
        if (p.is_dir() and (p / "__init__.py").exists())
        or (p.suffix == ".py" and not p.stem.startswith("__"))
    }
    assert parts <= placed(), f"not in the layers of pyproject.toml: {parts - placed()}"


def test_every_layer_exists() -> None:
    """A layer that names nothing guards nothing."""
    for name in placed():
        stem = SOURCE.parent / Path(*name.split("."))
        assert stem.with_suffix(".py").is_file() or (stem / "__init__.py").is_file(), name


def estimators() -> list[Path]:
    """The modules of estimators that hold an entry point: a public function that returns an Estimate.

    Modules with an underscore are what methods share.
    """
    return [p for p in (SOURCE / "estimators").glob("[!_]*.py") if list(entry_points(p))]


def entry_points(path: Path) -> Iterator[Function]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.FunctionDef)
            and not node.name.startswith("_")
            and node.returns is not None
            and ast.unparse(node.returns) == "Estimate"
        ):
            yield node


def test_there_are_estimators() -> None:
    assert {p.stem for p in estimators()} >= {"group_time", "two_way"}


def test_every_estimator_takes_a_panel_and_a_design() -> None:
    for path in estimators():
        for node in entry_points(path):
            names = [argument.arg for argument in node.args.args]
            assert [names[0] in CONTAINERS, names[1:2]] == [True, ["design"]], (
                f"{where(path)}:{node.lineno} {node.name}({', '.join(names)})"
            )


def test_methods_do_not_know_one_another() -> None:
    """A module with an entry point imports no other such module: what two methods share stands in a third."""
    homes = {p.stem for p in estimators()}
    found = [
        f"{where(path)} → {name}"
        for path in estimators()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("evalkit.estimators.")
        and (name := (node.module or "").removeprefix("evalkit.estimators.")) in homes - {path.stem}
    ]
    assert not found


def test_every_entry_point_of_an_estimator_is_held_against_an_oracle() -> None:
    told = "\n".join(
        p.read_text(encoding="utf-8") for p in (PROJECT / "tests" / "reference").glob("test_*.py")
    )
    missing = [
        f"{where(path)} {node.name}"
        for path in estimators()
        for node in entry_points(path)
        if not re.search(rf"\b{node.name}\b", told)
    ]
    assert not missing, f"no test in tests/reference names {missing}"


def test_every_module_of_estimators_has_a_module_header() -> None:
    """In words what it estimates, with its source (DESIGN: module header of a method)."""
    for path in estimators():
        header = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert re.search(r"\b(19|20)\d\d\b", header), f"{where(path)}: the header names no paper and year"


@pytest.mark.parametrize(
    "module", [p for p in MODULES if "arrays" in p.parts and p.stem != "__init__"], ids=where
)
def test_array_functions_keep_their_hands_off_objects(module: Path) -> None:
    """Arrays in, arrays out: nothing of the kit's own types is imported by evalkit.arrays."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("evalkit"):
            assert (node.module or "").startswith(("evalkit.arrays", "evalkit.errors")), node.module
