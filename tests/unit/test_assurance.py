"""docs/assurance.md names tests that exist, and every one of the fifteen points names some."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "assurance.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", PAGE, flags=re.MULTILINE)


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_fifteen_points_each_with_a_test() -> None:
    assert [number for number, _ in ROWS] == [str(k) for k in range(1, 16)]
    assert all(re.search(r"`tests/[^`]+`", tests) for _, tests in ROWS)


def test_every_test_and_command_named_exists() -> None:
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", PAGE)
    assert len(named) > 25
    for file, name in named:
        path = PROJECT / file
        assert path.is_file(), file
        assert not name or name in functions(path), f"{file}::{name}"
    for script in re.findall(r"(?:python|python3) ((?:tests|benchmarks)/[\w/]+\.py)", PAGE):
        assert (PROJECT / script).is_file(), script
