"""Every Korean phrase that the readers write about a table has an English one, its values carried over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalkit.building.relocations import STATUS as FATES
from evalkit.ingest import SPECS, cells
from evalkit.ingest.counting import CHOICES, KINDS, QUESTIONS
from evalkit.ingest.linking.stages import FIRM_STAGES
from evalkit.present.messages import keys, template
from evalkit.present.phrases import reworded

INGEST = Path(__file__).resolve().parents[2] / "src" / "evalkit" / "ingest"
HANGUL = re.compile(r"[가-힣]")
# what a reader names -> position of the phrase among the arguments
PLACES = {"note": (0, 2), "note_rows": (0, 5), "FlowStep": (0,), "Repair": (4,)}


def written(node: ast.expr) -> Iterator[str]:
    """The texts that an argument may be; the holes of an f-string are filled with a number."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)


def of_the_code() -> set[str]:
    """Phrases given to the log, the flow and the findings, and those kept in tables of (phrase, rows)."""
    found: set[str] = set()
    for path in sorted(INGEST.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                for place in PLACES.get(name, ()):
                    if place < len(node.args):
                        found |= set(written(node.args[place]))
            # for kind, hit in (("…", mask), …): the phrase of a repair or a step beside its rows
            if isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple):
                for row in node.iter.elts:
                    if isinstance(row, ast.Tuple):
                        found |= set(written(row.elts[0]))
    return {text for text in found if HANGUL.search(text)}


CELLS = {cells.COMMA, cells.NEGATIVE, cells.UNIT_TEXT, cells.WIDE}
# what the pages show of counting, linking and building
WORDS = {
    *QUESTIONS.values(),
    *(words for choices in CHOICES.values() for words in choices.values()),
    *KINDS.values(),
    *(stage.title for stage in FIRM_STAGES),
    *FATES.values(),
}
PHRASES = sorted(of_the_code() | CELLS | WORDS | {spec.title for spec in SPECS.values()})


def test_the_phrases_were_found() -> None:
    assert len(PHRASES) > 45
    assert {"주석 행", "단위 환산 7 → 7", "주소에서 지역 코드를 정함", "기업재무"} <= set(PHRASES)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_has_its_english(phrase: str) -> None:
    assert reworded(phrase, "ko") == phrase
    english = reworded(phrase, "en")
    assert english
    assert not HANGUL.search(english), english


@pytest.mark.parametrize(
    ("korean", "english"),
    [
        ("'-'·'해당없음' 등을 빈 값(으)로 읽음", "dash or “not applicable” read as missing"),
        ("연도별로 펼친 행 (2016–2020, 5개 연도)", "Rows spread by year (2016–2020, 5 years)"),
        (
            "population: 2016년 50110 값과 50130 값이 서로 바뀐 것으로 보임",
            "population: in 2016 the values of 50110 and 50130 seem to have changed places",
        ),
        (
            "population = men + women 관계가 2행에서 어긋남",
            "population = men + women does not hold in 2 rows",
        ),
        (
            "과제 행마다 다른 기업 값: 가장 큰 값(으)로 둠",
            "a firm's value differs between project rows: the largest kept",
        ),
        ("날짜 표기 통일", "date rewritten"),
        ("두 자리 연도 날짜", "date with a two-digit year"),
        ("나주시", "나주시"),
        ("", ""),
    ],
)
def test_values_go_into_the_english(korean: str, english: str) -> None:
    assert reworded(korean, "en") == english


def test_every_pattern_reads_its_own_korean() -> None:
    for key in keys():
        if key.startswith("phrase."):
            filled = re.sub(r"\{\w+\}", "7", template(key, "ko"))
            assert reworded(filled, "en") == re.sub(r"\{\w+\}", "7", template(key, "en")), key
