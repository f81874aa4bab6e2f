"""Parameters: what papermill lets pass is refused in one sentence before a kernel starts."""

from __future__ import annotations

import pytest

from evalkit.errors import NotebookError, ParameterError
from evalkit.report.parameters import declared_parameters, from_command_line, typed_parameters

CELL = """\
from typing import Literal
phase: int = 1  # 단계
region: str = "00150"  # 시군구 코드
share: float = 0.5
weighted: bool = False
lang: Literal["ko", "en"] = "ko"
years: list[int] = [2019, 2020]
limit: int | None = None
"""


def notebook(source: str = CELL, tags: int = 1) -> dict:
    cells = [
        {"cell_type": "code", "id": f"c{k}", "metadata": {"tags": ["parameters"]}, "source": source}
        for k in range(tags)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def typed(**given: object) -> dict:
    return typed_parameters(given, declared_parameters(notebook(), notebook="n.ipynb"), notebook="n.ipynb")


def refused(**given: object) -> str:
    with pytest.raises(ParameterError) as caught:
        typed(**given)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_cell_is_the_schema() -> None:
    found = declared_parameters(notebook(), notebook="n.ipynb")
    assert list(found) == ["phase", "region", "share", "weighted", "lang", "years", "limit"]
    assert found["region"].default == "00150"
    assert found["phase"].comment == "단계"
    assert found["lang"].kind.words() == "다음 가운데 하나: ko, en"


def test_a_misspelt_name_names_the_nearest() -> None:
    said = refused(phaze=3)
    assert "모르는 매개변수 'phaze'" in said
    assert "비슷한 이름: phase" in said


def test_a_word_is_not_a_number() -> None:
    assert "값 'abc'" in (said := refused(phase="abc"))
    assert "정수" in said
    assert "매개변수 phase" in said


def test_a_region_code_keeps_its_zeros() -> None:
    assert typed(region="00150") == {"region": "00150"}
    assert typed_parameters(
        from_command_line(("region=00150",)), declared_parameters(notebook(), notebook="n"), notebook="n"
    ) == {"region": "00150"}


def test_a_code_that_yaml_read_as_a_number_is_refused_not_mended() -> None:
    assert "따옴표" in refused(region=150)


@pytest.mark.parametrize(("word", "value"), [("true", True), ("False", False), ("1", True), ("off", False)])
def test_truth_is_read(word: str, value: bool) -> None:
    assert typed(weighted=word)["weighted"] is value


@pytest.mark.parametrize(
    "given",
    [
        {"share": "1e400"},
        {"share": float("nan")},
        {"phase": "1e400"},
        {"phase": 1.5},
        {"phase": True},
        {"phase": "null"},
        {"share": "true"},
        {"weighted": "maybe"},
        {"weighted": 1},
        {"phase": "²"},
        {"years": "2019,x"},
        {"years": 2019},
        {"region": None},
    ],
)
def test_values_that_would_change_meaning(given: dict) -> None:
    assert "형에 맞지 않음" in refused(**given)


def test_none_only_where_it_is_declared() -> None:
    assert typed(limit="null") == {"limit": None}
    assert typed(limit=None) == {"limit": None}
    assert typed(limit="7") == {"limit": 7}


def test_lists_and_choices() -> None:
    assert typed(years="2015, 2016") == {"years": [2015, 2016]}
    assert typed(lang="en") == {"lang": "en"}
    assert "비슷한 이름: en" in refused(lang="eng")


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("phase = 1", "이름: 형 = 기본값"),
        ("phase: int = f()", "상수가 아님"),
        ("phase: dict = {}", "알 수 없는 매개변수 형"),
        ("phase: int =", "문법"),
    ],
)
def test_a_cell_that_is_no_schema(source: str, word: str) -> None:
    with pytest.raises(NotebookError, match=word):
        declared_parameters(notebook(source), notebook="n.ipynb")


@pytest.mark.parametrize("tags", [0, 2])
def test_exactly_one_cell(tags: int) -> None:
    with pytest.raises(NotebookError, match=f"{tags}개"):
        declared_parameters(notebook(tags=tags), notebook="n.ipynb")


@pytest.mark.parametrize("words", [("phase",), ("=3",), ("a=1", "a=2")])
def test_words_that_are_no_assignment(words: tuple[str, ...]) -> None:
    with pytest.raises(ParameterError):
        from_command_line(words)


def test_an_equals_sign_may_stand_in_a_value() -> None:
    assert from_command_line(("a=b=c", "empty=")) == {"a": "b=c", "empty": ""}
