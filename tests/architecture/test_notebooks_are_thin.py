"""A notebook holds parameters, calls and prose; what it computes lives in the package."""

from __future__ import annotations

import ast
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "notebooks"
REPORTS = sorted(FOLDER.glob("*.ipynb"))
EVERY = sorted(p for p in FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)

# All that a report's cell may be made of. No definition, loop, branch, comprehension or operator: those are work.
STATEMENTS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr)
EXPRESSIONS = (ast.Call, ast.Attribute, ast.Name, ast.Constant, ast.keyword, ast.Tuple, ast.List, ast.Starred)
MOST_STATEMENTS = 8


def read(path: Path) -> dict[str, Any]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(notebook, dict)
    return notebook


def code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def is_parameters(cell: dict[str, Any]) -> bool:
    return "parameters" in cell["metadata"].get("tags", [])


def thick(text: str) -> list[str]:
    """What in a cell is more than an import, an assignment or a call."""
    tree = ast.parse(text)
    found = [f"{type(s).__name__} (line {s.lineno})" for s in tree.body if not isinstance(s, STATEMENTS)]
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr)) and statement.value is not None:
            for node in ast.walk(statement.value):
                if isinstance(node, ast.expr) and not isinstance(node, EXPRESSIONS):
                    found.append(f"{type(node).__name__} (line {node.lineno})")
    if len(tree.body) > MOST_STATEMENTS:
        found.append(f"{len(tree.body)} statements")
    return found


def test_there_are_report_notebooks() -> None:
    assert len(REPORTS) >= 4


@pytest.mark.parametrize(
    "text",
    [
        "for x in y:\n    f(x)",
        "def f():\n    return 1",
        "[f(x) for x in y]",
        "a = b * 2",
        "if a:\n    f(a)",
        "table = frame[frame.year > 2018]",
        "g(lambda x: x)",
        "with open(p) as s:\n    f(s)",
        "\n".join(f"f({n})" for n in range(9)),
    ],
)
def test_work_in_a_cell_is_found(text: str) -> None:
    assert thick(text)


@pytest.mark.parametrize(
    "text", ["study = Study.open(plan, lang=lang)\naudit.opening(study)", "import evalkit", "x: int = 3"]
)
def test_a_reading_of_the_package_is_allowed(text: str) -> None:
    assert thick(text) == []


@pytest.mark.parametrize("path", REPORTS, ids=lambda p: p.stem)
def test_cells_are_calls(path: Path) -> None:
    offenders = {
        cell["id"]: thick(source(cell))
        for cell in code(read(path))
        if not is_parameters(cell) and thick(source(cell))
    }
    assert not offenders, f"{path.name}: move this into src/evalkit: {offenders}"


@pytest.mark.parametrize("path", REPORTS, ids=lambda p: p.stem)
def test_cells_import_only_the_package(path: Path) -> None:
    for cell in code(read(path)):
        for node in ast.walk(ast.parse(source(cell))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert all(name.split(".")[0] == "evalkit" for name in names), (path.name, cell["id"], names)


@pytest.mark.parametrize("path", REPORTS, ids=lambda p: p.stem)
def test_one_cell_of_typed_defaults_is_tagged_parameters(path: Path) -> None:
    tagged = [cell for cell in code(read(path)) if is_parameters(cell)]
    assert len(tagged) == 1
    for statement in ast.parse(source(tagged[0])).body:
        assert isinstance(statement, ast.AnnAssign), f"{path.name}: a parameter without a type"
        assert isinstance(statement.value, ast.Constant), f"{path.name}: a parameter without a plain default"
        assert isinstance(statement.annotation, ast.Name)
        assert type(statement.value.value).__name__ == statement.annotation.id


@pytest.mark.parametrize("path", EVERY, ids=lambda p: str(p.relative_to(FOLDER)))
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    for cell in code(read(path)):
        assert cell["outputs"] == [], f"{path.name} {cell.get('id')}: outputs (evalkit nb strip removes them)"
        assert cell["execution_count"] is None, f"{path.name} {cell.get('id')}: an execution count"
        assert "execution" not in cell["metadata"]
    assert "papermill" not in read(path)["metadata"]


@pytest.mark.parametrize("path", EVERY, ids=lambda p: str(p.relative_to(FOLDER)))
def test_cell_identifiers_are_valid_and_unique(path: Path) -> None:
    notebook = read(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"] >= 5) == (4, True)
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)


@pytest.mark.parametrize("path", REPORTS, ids=lambda p: p.stem)
def test_the_kernel_is_ours_and_the_first_cell_is_the_title(path: Path) -> None:
    notebook = read(path)
    assert notebook["metadata"]["kernelspec"]["name"] == "evalkit"
    first = notebook["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    headings = [
        len(mark)
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
        for mark in re.findall(r"^(#+) ", source(cell), flags=re.M)
    ]
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
