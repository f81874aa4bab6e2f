"""Notebook files: identity, stripping, what keeps one from being committed."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from evalkit.errors import NotebookError, PlanError
from evalkit.report.source import (
    content_sha256,
    faults,
    find_notebook,
    notebooks_in,
    read_notebook,
    serialised,
    strip_file,
    stripped,
)


def used() -> dict:
    return {
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# 제목\n", "글"]},
            {
                "cell_type": "code",
                "id": "b",
                "metadata": {"tags": ["parameters"], "execution": {"iopub": "t"}},
                "source": "phase: int = 1",
                "execution_count": 3,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}],
            },
        ],
        "metadata": {"kernelspec": {"name": "python3"}, "papermill": {"duration": 1}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def test_stripping_is_idempotent_and_valid(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(used()), encoding="utf-8")
    assert {"출력이 들어 있음", "실행 번호가 들어 있음", "공책 메타데이터에 불필요한 항목이 있음"} == set(
        faults(path)
    )
    assert strip_file(path)
    assert faults(path) == []
    assert not strip_file(path)
    nbformat.validate(nbformat.read(path, as_version=4))
    assert read_notebook(path)["cells"][1]["metadata"] == {"tags": ["parameters"]}


def test_identity_follows_the_source_and_not_the_outputs() -> None:
    nb = used()
    before = content_sha256(nb)
    assert content_sha256(stripped(nb)) == before
    nb["cells"][1]["source"] = "phase: int = 2"
    assert content_sha256(nb) != before


def test_line_ends_do_not_matter() -> None:
    one, other = used(), used()
    one["cells"][0]["source"] = "a\nb"
    other["cells"][0]["source"] = "a\r\nb"
    assert content_sha256(one) == content_sha256(other)


def test_bytes_are_those_of_jupyter(tmp_path: Path) -> None:
    nb = stripped(used())
    path = tmp_path / "n.ipynb"
    nbformat.write(nbformat.from_dict(nb), path)
    assert path.read_text(encoding="utf-8") == serialised(nb)


@pytest.mark.parametrize(
    ("text", "word"), [("{", "JSON"), ("[]", "nbformat 4"), ('{"nbformat": 3}', "nbformat 4")]
)
def test_what_is_no_notebook(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NotebookError, match=word):
        read_notebook(path)


def test_a_missing_notebook_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "summary.ipynb").write_text("{}", encoding="utf-8")
    with pytest.raises(NotebookError, match=r"비슷한 이름: summary\.ipynb"):
        read_notebook(tmp_path / "notebooks" / "sumary.ipynb")
    with pytest.raises(PlanError, match=r"비슷한 이름: summary\.ipynb"):
        find_notebook("sumary.ipynb", plan_path=tmp_path / "p.yml", root=tmp_path)


def test_checkpoints_are_not_notebooks(tmp_path: Path) -> None:
    for place in (tmp_path / "a.ipynb", tmp_path / ".ipynb_checkpoints" / "a.ipynb"):
        place.parent.mkdir(exist_ok=True)
        place.write_text("{}", encoding="utf-8")
    assert notebooks_in([tmp_path]) == [tmp_path / "a.ipynb"]
