"""Words: particles, numbers, messages, and sentences that follow the interval."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.present.messages import (
    LANGUAGES,
    few_cluster_line,
    finding,
    keys,
    placeholders,
    read_messages,
    say,
)
from evalkit.present.numerals import (
    digits_for,
    interval,
    level_text,
    number,
    p_value,
    percent,
    quantity,
    spoken,
    with_unit,
)
from evalkit.present.particles import PAIRS, with_particle

MESSAGES = Path(__import__("evalkit.present.messages", fromlist=["x"]).__file__).with_name("messages")


@pytest.mark.parametrize(
    ("word", "pair", "expected"),
    [
        ("고용", "은/는", "고용은"),
        ("매출", "으로/로", "매출로"),  # ㄹ takes 로
        ("특허", "을/를", "특허를"),
        ("효과", "과/와", "효과와"),
        ("사업", "으로/로", "사업으로"),
        ("3단계", "이/가", "3단계가"),
        ("3", "이/가", "3이"),  # 삼
        ("2", "이/가", "2가"),  # 이
        ("10", "은/는", "10은"),  # 십
        ("1,000", "을/를", "1,000을"),  # 천
        ("1", "으로/로", "1로"),  # 일
        ("6", "으로/로", "6으로"),  # 육
        ("0.05", "이/가", "0.05가"),  # 오
        ("0.10", "은/는", "0.10은"),  # 영
        ("1000000000000", "이/가", "1000000000000가"),  # 조
        ("12.3%", "은/는", "12.3%는"),  # 퍼센트
        ("%p", "을/를", "%p를"),
        ("ROI", "은/는", "ROI는"),
        ("SQL", "으로/로", "SQL로"),
        ("GDP", "이/가", "GDP가"),
        ("KPI", "을/를", "KPI를"),
        ("[−4, 28]", "이/가", "[−4, 28]이"),
        ("0.934", "이고/고", "0.934이고"),  # a figure keeps the 이 of the copula
        ("2.4%p", "이다/다", "2.4%p이다"),
        ("3단계", "이다/다", "3단계다"),
        ("고용(명)", "은/는", "고용(명)은"),  # the bracket is not read
        ("", "은/는", "는"),
    ],
)
def test_a_particle_follows_the_last_sound(word: str, pair: str, expected: str) -> None:
    assert with_particle(word, pair) == expected


def test_every_hangul_syllable_takes_the_particle_of_its_final_consonant() -> None:
    for code in range(ord("가"), ord("힣") + 1):
        final = (code - ord("가")) % 28
        assert with_particle(chr(code), "은/는")[-1] == ("은" if final else "는")
        assert with_particle(chr(code), "으로/로")[1:] == ("로" if final in (0, 8) else "으로")


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (1234567.891, 1, "1,234,567.9"),
        (-0.5, 2, "−0.50"),
        (-0.0004, 2, "0.00"),  # a rounded zero has no sign
        (0.0, 0, "0"),
        (None, 0, "–"),
        (math.nan, 2, "–"),
        (math.inf, 0, "∞"),
        (-math.inf, 0, "−∞"),
    ],
)
def test_numbers_have_separators_and_a_real_minus_sign(value: float, digits: int, expected: str) -> None:
    assert number(value, digits) == expected
    assert "-" not in number(value, digits)


def test_units_percent_levels_and_intervals() -> None:
    assert number(3.0, 1, plus=True) == "+3.0"
    assert number(0.0, 1, plus=True) == "0.0"
    assert percent(0.385) == "38.5%"
    assert percent(math.nan) == "–"
    assert level_text(0.9) == "90%"
    assert level_text(0.975) == "97.5%"
    assert interval(-4, 28) == "[−4, 28]"
    assert interval(math.nan, 1) == "–"
    assert quantity(1446, "억원") == "1,446억원"
    assert quantity(12.3, "jobs", 1, "en") == "12.3 jobs"
    assert with_unit("3", "%", "en") == "3%"
    assert quantity(math.nan, "명") == "–"


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.0, "p < 0.001"),
        (0.00099, "p < 0.001"),
        (0.001, "p = 0.001"),
        (0.0499, "p = 0.050"),
        (0.99951, "p > 0.999"),
        (1.0, "p = 1.000"),
        (math.nan, "–"),
    ],
)
def test_p_values(p: float, expected: str) -> None:
    assert p_value(p) == expected


def test_digits_follow_the_half_width_and_keep_the_sign_of_a_bound() -> None:
    assert digits_for(4.2) == 1
    assert digits_for(0.034) == 3
    assert digits_for(1234.5) == 0
    assert digits_for() == 0
    # one figure of the width would write the bound 0.02 as 0.0
    assert digits_for(4.2, 0.02, 8.42) == 2
    assert digits_for(1e-12) == 4


# -- the table of messages --------------------------------------------------------------------------


def test_both_languages_of_every_message_need_the_same_values() -> None:
    table = read_messages(MESSAGES)
    assert set(table) == set(keys())
    assert len(table) > 80
    for key, entry in table.items():
        korean, english = placeholders(entry["ko"]), placeholders(entry["en"])
        # a language may leave out a value that only the other needs for its grammar
        assert korean <= english or english <= korean, key
        assert any(entry[lang] for lang in LANGUAGES), key


def test_an_unknown_key_names_the_nearest_and_a_missing_value_its_name() -> None:
    with pytest.raises(UsageError, match=r"비슷한 이름: .*finding\.uncertain"):
        say("finding.uncertian")
    with pytest.raises(UsageError, match="넣을 값 level 이"):
        say("table.interval", "ko")
    with pytest.raises(UsageError, match="언어 'fr'"):
        say("unit.clusters", "fr")


def test_values_are_put_in_as_they_are() -> None:
    # braces in a value are text, and a message cannot reach into a value
    assert say("finding.owner", "ko", outcome="{x}") == "{x}의"
    with pytest.raises(UsageError):
        say("finding.owner", "ko")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a.yml": "k: {ko: 가, en: a}\nk: {ko: 나, en: b}\n"}, "두 번 있음"),
        ({"a.yml": "k: {ko: 가, en: a}\n", "b.yml": "k: {ko: 나, en: b}\n"}, "두 파일에"),
        ({"a.yml": "k: {ko: 가}\n"}, "ko 와 en"),
        ({"a.yml": "k: {ko: 가, en: 3}\n"}, "ko 와 en"),
        ({"a.yml": "- k\n"}, "묶음이 아님"),
    ],
)
def test_a_faulty_table_of_messages_is_an_error(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=problem):
        read_messages(tmp_path)


def test_files_are_merged(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("k: {ko: 가, en: a}\n", encoding="utf-8")
    (tmp_path / "b.yml").write_text("m: {ko: 나, en: b}\n", encoding="utf-8")
    assert read_messages(tmp_path) == {"k": {"ko": "가", "en": "a"}, "m": {"ko": "나", "en": "b"}}


# -- findings ---------------------------------------------------------------------------------------


def row(estimate: float, low: float, high: float) -> dict[str, float]:
    return {"estimate": estimate, "conf_low": low, "conf_high": high}


UP, DOWN, OPEN = row(12.3, 4.1, 20.5), row(-3, -5, -1), row(12, -4, 28)
NAN = math.nan

CASES = [
    # (row, mde, claimed, Korean, English)
    (UP, None, None, "12.3명 늘어난 것으로 추정된다", "estimated to have added 12.3 jobs"),
    (DOWN, None, None, "3.0명 줄어든 것으로 추정된다", "estimated to have taken away 3.0 jobs"),
    (UP, 5, 10, "10.0명은 이 구간 안에 있다", "lies within this interval"),
    (UP, 5, 30, "30.0명은 이 구간보다 크다", "lies above this interval"),
    (UP, 5, 2, "2.0명은 이 구간보다 작다", "lies below this interval"),
    (DOWN, 2, 4, "4.0명은 이 구간보다 크다", "lies above this interval"),
    (
        OPEN,
        None,
        None,
        "늘었는지 줄었는지 이 자료로는 말할 수 없다",
        "cannot tell an increase from a decrease",
    ),
    (OPEN, 23, None, "23명보다 작은 효과를 가려낼 수 없다", "cannot detect effects smaller than 23 jobs"),
    (OPEN, 23, 10, "효과의 유무를 판정할 수 없다", "the data cannot tell either way"),
    (OPEN, None, 10, "모두 포함하므로", "includes both zero and the 10 jobs"),
    (OPEN, None, 40, "이 구간 밖에 있다", "lies outside it"),
    (row(1, -4, 8), 5, 7, "모두 포함하므로", "cannot decide between them"),
    (row(1, -4, 8), 5, 10, "그만한 효과는 나타나지 않았다고 본다", "an effect of that size did not appear"),
    (row(2, NAN, NAN), None, None, "신뢰구간을 구할 수 없어", "no interval can be computed"),
    (row(NAN, NAN, NAN), None, None, "추정할 수 없다", "cannot be estimated"),
]


@pytest.mark.parametrize(("estimate", "mde", "claimed", "korean", "english"), CASES)
def test_each_wording_in_both_languages(
    estimate: dict[str, float], mde: float | None, claimed: float | None, korean: str, english: str
) -> None:
    assert korean in finding(estimate, "명", 0.95, mde, claimed)
    assert english in finding(estimate, "jobs", 0.95, mde, claimed, "en")
    for lang, unit, outcome in (("ko", "명", "고용"), ("en", "jobs", "Jobs")):
        sentence = finding(estimate, unit, 0.95, mde, claimed, lang, outcome=outcome)
        assert sentence.startswith(outcome)
        assert sentence.endswith(".")
        # one sentence: a full stop inside a number is followed by a digit
        assert ". " not in sentence


BOUNDS = [(-8.0, 0.5), (-4.0, 28.0), (0.0, 3.0), (-3.0, 0.0), (0.2, 9.0), (-9.0, -0.2), (NAN, NAN)]


@pytest.mark.parametrize(
    ("bounds", "mde", "claimed"),
    list(itertools.product(BOUNDS, [None, 0.5, 5.0, 50.0, NAN], [None, 0.0, -7.0, 1.0, 40.0, NAN])),
)
def test_no_sentence_says_more_than_the_interval(
    bounds: tuple[float, float], mde: float | None, claimed: float | None
) -> None:
    low, high = bounds
    sentence = finding(row((low + high) / 2 if low == low else 1.0, low, high), "명", 0.95, mde, claimed)
    open_interval = not (low > 0 or high < 0)
    assert "효과가 없다" not in sentence
    if open_interval:
        assert "효과가 있다" not in sentence
        assert "것으로 추정" not in sentence
    else:
        assert "것으로 추정" in sentence
    too_weak = mde is not None and claimed is not None and mde > abs(claimed)
    if not open_interval or too_weak or not mde or not claimed or mde != mde or claimed != claimed:
        assert "나타나지 않았다" not in sentence


def test_the_level_and_the_interval_stand_in_the_sentence() -> None:
    sentence = finding(row(0.2, 0.02, 8.42), "명", 0.9)
    assert "90% 신뢰구간 [0.02, 8.42]" in sentence
    assert "−5.0" in finding(DOWN, "명")


# -- few clusters -----------------------------------------------------------------------------------


def test_the_line_on_few_clusters() -> None:
    counts = {"total": 14, "treated": 3, "comparison": 11, "mixed": 0, "min_p_permutation": 1 / 364}
    line = few_cluster_line(counts, cluster="시·도")
    assert line == (
        "군집(시·도)은 모두 14개이고, 처치 단위만 있는 군집 3개, 비교 단위만 있는 군집 11개이다. "
        "어느 군집이 처치인지만 바꾸어 뽑는(시작 연도는 가르지 않는) 순열 검정에서 얻을 수 있는 가장 작은 p값은 0.0027이다."
    )
    english = few_cluster_line(counts, "en", cluster="provinces")
    assert "3 with treated units only, 11 with comparison units only" in english
    assert "0.0027" in english


def test_the_line_says_when_significance_is_out_of_reach_or_undefined() -> None:
    class Counts:
        total, treated, comparison, mixed, min_p_permutation = 5, 1, 4, 0, 0.2

    assert "5% 수준의 유의성에 이를 수 없다" in few_cluster_line(Counts())
    mixed = {"total": 14, "treated": 0, "comparison": 0, "mixed": 14, "min_p_permutation": None}
    assert "둘 다 있는 군집 14개" in few_cluster_line(mixed)
    assert "정해지지 않는다" in few_cluster_line(mixed)
    assert "has no smallest p-value" in few_cluster_line(mixed, "en")
    tiny = {"total": 40, "treated": 20, "comparison": 20, "mixed": 0, "min_p_permutation": 7e-12}
    assert "0.0001보다 작다" in few_cluster_line(tiny)


def test_pairs_are_two_forms_each() -> None:
    assert all(pair.count("/") == 1 for pair in PAIRS)


def test_mixed_clusters_name_the_smallest_p_value_by_signs() -> None:
    counts = {
        "total": 14,
        "treated": 0,
        "comparison": 0,
        "mixed": 14,
        "min_p_permutation": None,
        "min_p_sign": 2.0**-13,
    }
    assert "0.0001이다" in few_cluster_line(counts, "ko")
    assert "0.0039" in few_cluster_line({**counts, "min_p_sign": 2.0**-8}, "en")
    assert "below 0.0001" in few_cluster_line({**counts, "min_p_sign": 2.0**-20}, "en")


@pytest.mark.parametrize(
    ("value", "unit", "digits", "lang", "expected"),
    [
        (1.9, "명/기업", 1, "ko", "기업당 1.9명"),
        (-456, "백만원/기업", 0, "ko", "기업당 −456백만원"),
        (0.07, "건/시군구·년", 2, "ko", "시군구당 연 0.07건"),
        (2.5, "건/년", 1, "ko", "연 2.5건"),
        (3.4, "%p", 1, "ko", "3.4%p"),
        (1.9, "persons per firm", 1, "en", "1.9 persons per firm"),
        (math.nan, "명/기업", 1, "ko", "–"),
    ],
)
def test_a_sentence_puts_the_denominator_first(
    value: float, unit: str, digits: int, lang: str, expected: str
) -> None:
    assert spoken(value, unit, digits, lang) == expected


def test_a_finding_reads_its_unit_aloud() -> None:
    row = {"estimate": 1.89, "conf_low": 1.31, "conf_high": 2.48}
    assert finding(row, "명/기업", outcome="고용").startswith("고용은 사업으로 기업당 1.89명 늘어난")
