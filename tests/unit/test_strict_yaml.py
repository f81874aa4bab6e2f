"""YAML from anybody: no text ends the process, and every refusal is a sentence with its line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import PlanError, UsageError
from evalkit.ingest.workbook.mapping import mapping_faults
from evalkit.strict_yaml import MOST_CHARACTERS, MOST_LEVELS, load, load_with_lines
from evalkit.study.plan import load_plan

Loading = Callable[[str], Any]
BOTH = pytest.mark.parametrize("loading", [load, load_with_lines])


def test_a_hundred_thousand_brackets_do_not_end_the_process() -> None:
    """In a process of its own: without the bound it dies of a signal."""
    code = """
from evalkit.errors import UsageError
from evalkit.strict_yaml import load, load_with_lines
for loading in (load, load_with_lines):
    try:
        loading("a: 1\\nb: " + "[" * 100_000)
    except UsageError as error:
        print(error.where)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["('2행',)"] * 2


@BOTH
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_every_way_to_nest_is_bounded(loading: Loading, opening: str) -> None:
    with pytest.raises(UsageError, match=f"{MOST_LEVELS}겹") as caught:
        loading(opening * 1000)
    assert caught.value.where == ("1행",)


@BOTH
def test_indentation_is_bounded_with_its_line(loading: Loading) -> None:
    text = "".join(f"{' ' * level}a:\n" for level in range(MOST_LEVELS + 20))
    with pytest.raises(UsageError, match="겹") as caught:
        loading(text)
    assert caught.value.where == (f"{MOST_LEVELS + 1}행",)


def test_what_the_bound_allows_is_read() -> None:
    text = "[" * MOST_LEVELS + "]" * MOST_LEVELS
    assert repr(load(text)) == text
    assert repr(load_with_lines(text)[0]) == text
    with pytest.raises(UsageError, match="겹"):
        load(f"[{text}]")
    many = ", ".join(["[]"] * 10 * MOST_LEVELS)
    assert len(load(f"[{many}]")) == 10 * MOST_LEVELS  # side by side is not inside one another
    quoted = "[" * 1000
    assert load(f"a: '{quoted}' # {quoted}") == {"a": quoted}


@BOTH
def test_length_is_bounded(loading: Loading) -> None:
    with pytest.raises(UsageError, match="너무 긺"):
        loading("a" * (MOST_CHARACTERS + 1))


@BOTH
@pytest.mark.parametrize(
    ("text", "kind"), [("a: 1\n[b, c]: 2", "목록"), ("a: 1\n{b: c}: 2", "묶음"), ("a: 1\n? - b\n: 2", "목록")]
)
def test_a_key_is_a_word(loading: Loading, text: str, kind: str) -> None:
    with pytest.raises(UsageError, match=f"키 자리에 .*{kind}") as caught:
        loading(text)
    assert caught.value.where == ("2행",)
    assert "Node" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "[a, b]: 1"])
def test_plans_and_mappings_name_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError) as of_plan:
        load_plan(path)
    assert of_plan.value.where == ("x.yml", "1행")
    with pytest.raises(UsageError) as of_mapping:
        mapping_faults(path)
    assert of_mapping.value.where == ("x.yml", "1행")
